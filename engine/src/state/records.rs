//! The records of a state without its index: what digests and checkpoints are made of.

use super::accounts::SharedAccounts;
use super::asset::SharedAssets;
use super::entries::SharedEntries;
use super::index::Slot;
use crate::types::{AssetId, Digest};

/// All accounts, assets and entries as they were, while the owner goes on.
#[derive(Clone, Debug)]
pub(crate) struct StateRecords {
    pub(super) accounts: SharedAccounts,
    pub(super) assets: SharedAssets,
    pub(super) entries: SharedEntries,
}

impl StateRecords {
    /// Hashing in pieces of this size keeps the hash function wide and the memory small.
    const PIECE_BYTES: usize = 1 << 20;

    pub(crate) const fn account_count(&self) -> u32 {
        self.accounts.len()
    }

    pub(crate) const fn asset_count(&self) -> u32 {
        self.assets.len()
    }

    /// Appends the canonical bytes of accounts from a slot on, as long as there are fewer than `bytes` and at least those of one.
    /// Gives the slot behind the last of them; none are left when it is the number of accounts.
    pub(crate) fn encode_accounts(&self, from: u32, bytes: usize, out: &mut Vec<u8>) -> u32 {
        encode_until(from..self.account_count(), bytes, out, |slot, out| self.accounts.encode(Slot(slot), out))
    }

    /// The same for assets.
    pub(crate) fn encode_assets(&self, from: u32, bytes: usize, out: &mut Vec<u8>) -> u32 {
        encode_until(from..self.asset_count(), bytes, out, |asset, out| self.assets.encode(AssetId(asset), out))
    }

    /// Places in the table of entries, free ones included.
    pub(crate) const fn entry_count(&self) -> u32 {
        self.entries.len()
    }

    /// The same for entries.
    pub(crate) fn encode_entries(&self, from: u32, bytes: usize, out: &mut Vec<u8>) -> u32 {
        encode_until(from..self.entry_count(), bytes, out, |number, out| self.entries.encode(number, out))
    }

    /// Lets go of accounts below a slot, so that the owner needn't save them any more.
    pub(crate) fn release_accounts_below(&mut self, slot: u32) {
        self.accounts.release_below(Slot(slot));
    }

    /// The state digest: BLAKE3 over the number of accounts, every account by slot, the number of assets, every asset; if there are entries, every
    /// one, then their number.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = StateHasher::new(self.account_count());
        let mut piece = Vec::with_capacity(Self::PIECE_BYTES + 4096);
        let mut next = 0;
        while next < self.account_count() {
            piece.clear();
            next = self.encode_accounts(next, Self::PIECE_BYTES, &mut piece);
            hasher.update(&piece);
        }
        hasher.begin_assets(self.asset_count());
        next = 0;
        while next < self.asset_count() {
            piece.clear();
            next = self.encode_assets(next, Self::PIECE_BYTES, &mut piece);
            hasher.update(&piece);
        }
        next = 0;
        while next < self.entry_count() {
            piece.clear();
            next = self.encode_entries(next, Self::PIECE_BYTES, &mut piece);
            hasher.update(&piece);
        }
        hasher.end_entries(self.entry_count());
        hasher.finish()
    }
}

fn encode_until(
    range: std::ops::Range<u32>,
    bytes: usize,
    out: &mut Vec<u8>,
    mut encode: impl FnMut(u32, &mut Vec<u8>),
) -> u32 {
    let end = out.len().saturating_add(bytes);
    let mut next = range.start;
    while next < range.end && out.len() < end {
        encode(next, out);
        next = next.saturating_add(1);
    }
    next
}

/// A state digest in the making, from canonical bytes that come piece by piece.
#[derive(Debug)]
pub(crate) struct StateHasher(blake3::Hasher);

impl StateHasher {
    const CONTEXT: &str = "nostro 1 state";

    /// Begins with the number of accounts; the accounts follow.
    pub(crate) fn new(accounts: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(Self::CONTEXT);
        hasher.update(&accounts.to_le_bytes());
        Self(hasher)
    }

    /// After the last account, before the first asset.
    pub(crate) fn begin_assets(&mut self, assets: u32) {
        self.0.update(&assets.to_le_bytes());
    }

    /// After the last entry. A state without entries has the digest it had before there were any.
    pub(crate) fn end_entries(&mut self, entries: u32) {
        if entries > 0 {
            self.0.update(&entries.to_le_bytes());
        }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(&self) -> Digest {
        Digest(self.0.finalize().into())
    }
}
