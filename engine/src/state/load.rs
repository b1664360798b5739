//! From canonical bytes back to a state, in bulk.

use super::State;
use super::account::{Decoded, Record};
use super::accounts::Accounts;
use super::asset::Assets;
use super::balance::Balance;
use super::entries::Entries;
use super::index::IndexBuilder;
use super::layout::Layout;
use super::payment::Issuers;
use crate::arena::Arena;
use crate::types::{Address, AssetId, Time};
use crate::wire::{Malformed, Reader};

/// Why bytes aren't a state's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub(crate) struct Unloadable {
    pub what: &'static str,
    pub expected: &'static str,
    pub found: String,
}

impl Unloadable {
    pub(super) const fn new(what: &'static str, expected: &'static str, found: String) -> Self {
        Self { what, expected, found }
    }

    pub(super) fn full() -> Self {
        Self::new("a table", "room for one more", "none".to_owned())
    }
}

impl From<Malformed> for Unloadable {
    fn from(reason: Malformed) -> Self {
        Self::new("bytes", "a whole record", reason.to_string())
    }
}

/// A state in the making. Accounts come by ascending slot, assets and entries by ascending number; the bytes are those that the digest is made
/// of, so loading and encoding are each other's inverse.
#[derive(Debug)]
pub(crate) struct StateLoader {
    accounts: Accounts,
    assets: Assets,
    entries: Entries,
    index: IndexBuilder,
    arena: Arena,
}

impl StateLoader {
    /// Fails only if the operating system has no randomness for the index's secret.
    pub(crate) fn new() -> std::io::Result<Self> {
        let arena = Arena::default();
        let accounts = Accounts::new(Layout::DEFAULT, arena.clone());
        let index = IndexBuilder::new()?;
        let (assets, entries) = (Assets::new(arena.clone()), Entries::new(index.key(), &arena));
        Ok(Self { accounts, assets, entries, index, arena })
    }

    /// Takes `count` accounts that fill these bytes.
    pub(crate) fn accounts(&mut self, count: u32, bytes: &[u8]) -> Result<(), Unloadable> {
        let mut reader = Reader::new(bytes);
        for _ in 0..count {
            let (slot, address) = self.accounts.push_encoded(&mut reader)?;
            self.index.push(&address, slot);
        }
        at_end(&reader, bytes)
    }

    /// Takes `count` assets that fill these bytes.
    pub(crate) fn assets(&mut self, count: u32, bytes: &[u8]) -> Result<(), Unloadable> {
        let mut reader = Reader::new(bytes);
        for _ in 0..count {
            self.assets.push_encoded(&mut reader)?;
        }
        at_end(&reader, bytes)
    }

    /// Takes `count` places of the table of entries that fill these bytes.
    pub(crate) fn entries(&mut self, count: u32, bytes: &[u8]) -> Result<(), Unloadable> {
        let mut reader = Reader::new(bytes);
        for _ in 0..count {
            self.entries.push_encoded(&mut reader)?;
        }
        at_end(&reader, bytes)
    }

    pub(crate) const fn entry_count(&self) -> u32 {
        self.entries.len()
    }

    pub(crate) const fn account_count(&self) -> u32 {
        self.accounts.len()
    }

    pub(crate) const fn asset_count(&self) -> u32 {
        self.assets.len()
    }

    /// The state of everything taken.
    pub(crate) fn finish(self) -> State {
        let Self { accounts, assets, mut entries, index, arena } = self;
        let (index, issuers) = (index.build(arena), Issuers::default());
        entries.fill_books(|owner| index.find(index.hash(owner), |slot| accounts.is_at(owner, slot)));
        let state = State { accounts, index, assets, entries, time: Time(0), issuers };
        state.settle_accounts();
        state
    }
}

/// The address and the holdings of an account, from its canonical bytes alone.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<(Address, Vec<(AssetId, Balance)>), Unloadable> {
    let mut reader = Reader::new(bytes);
    let Decoded { address, account, further, .. } = Decoded::read(&mut reader)?;
    at_end(&reader, bytes)?;
    let record = Record { account, further: further.as_ref(), lanes: &[] };
    Ok((address, record.holdings().collect()))
}

fn at_end(reader: &Reader<'_>, bytes: &[u8]) -> Result<(), Unloadable> {
    match bytes.len().checked_sub(reader.offset()) {
        Some(0) => Ok(()),
        left => Err(Unloadable::new("bytes", "an end behind the last record", format!("{left:?} more"))),
    }
}
