//! What a block has changed, as bytes: made from the state when the block has been executed, hashed by whoever has time.

use super::Scratch;
use super::unrooted::Kind;
use crate::crew::{Crew, Items};
use crate::state::{Changes, Slot, State};
use crate::types::Digest;

/// Every changed account by slot, a mark, then every changed asset by number; if entries have changed or there are events, another mark and
/// then those by number; if there are events a third mark, and those in order. In pieces, as they were made side by side; where one ends
/// doesn't show.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pieces: Vec<Vec<u8>>,
    /// Where the accounts end in the last piece.
    accounts: usize,
    /// Where the events begin in it.
    events: usize,
    /// What was hashed already.
    digest: Option<Digest>,
}

/// Entries are brought closer so many ahead.
const AHEAD: usize = 24;

/// Accounts that are worth another thread.
const ACCOUNTS_MIN: usize = 2048;

impl Effects {
    /// BLAKE3 over it.
    pub(crate) fn digest(&self) -> Digest {
        self.digest.unwrap_or_else(|| self.hash())
    }

    fn hash(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("nostro 1 effects");
        for piece in &self.pieces {
            hasher.update(piece);
        }
        Digest(hasher.finalize().into())
    }

    /// What has happened to accounts beside what transactions say, one after the other.
    pub(crate) fn events(&self) -> &[u8] {
        self.pieces.last().and_then(|last| last.get(self.events..)).unwrap_or_default()
    }

    /// Takes what has changed out of the state and the scratch; as the first logs have it if that is what was recorded.
    pub(super) fn take(state: &mut State, scratch: &mut Scratch, recorded: Option<&Digest>) -> Self {
        let mut effects = Self::gather(state, scratch);
        if let Some(recorded) = recorded {
            effects.digest = Some(effects.hash());
            if effects.digest.as_ref() != Some(recorded) {
                let of_first_logs = effects.of_first_logs(state, &scratch.slots);
                if of_first_logs.digest.as_ref() == Some(recorded) {
                    effects = of_first_logs;
                }
            }
        }
        state.end_block();
        effects
    }

    /// The same as the first logs have it.
    fn of_first_logs(&self, state: &State, slots: &[Slot]) -> Self {
        let mut bytes = Vec::new();
        state.encode_changed_holders(slots, &mut bytes);
        let accounts = bytes.len();
        let behind = self.pieces.last().and_then(|last| last.get(self.accounts..)).unwrap_or_default();
        bytes.extend_from_slice(behind);
        let events = accounts.saturating_add(self.events.saturating_sub(self.accounts));
        let mut effects = Self { pieces: vec![bytes], accounts, events, digest: None };
        effects.digest = Some(effects.hash());
        effects
    }

    fn gather(state: &mut State, scratch: &mut Scratch) -> Self {
        let Scratch { changes, spare, slots, numbers, unrooted, sharding } = scratch;
        let Self { mut pieces, .. } = spare.pop().unwrap_or_default();
        state.drain_changed_accounts(slots);
        unrooted.enter_accounts(slots, state);
        encode(state, slots, sharding.as_ref().map(|sharding| sharding.crew()), &mut pieces);
        let Changes { assets, entries, events: happened, .. } = changes;
        let mut bytes = pieces.pop().unwrap_or_default();
        let accounts = bytes.len();
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assets.drain(|asset| {
            let start = bytes.len();
            state.encode_asset(asset, &mut bytes);
            unrooted.enter(Kind::Asset, asset, behind_number(&bytes, start));
        });
        numbers.clear();
        entries.drain(|number| numbers.push(number));
        if !numbers.is_empty() {
            bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        }
        for (place, &number) in numbers.iter().enumerate() {
            numbers.get(place + AHEAD).iter().for_each(|&&ahead| state.prefetch_place(ahead));
            numbers.get(place + AHEAD / 2).iter().for_each(|&&ahead| state.prefetch_behind_place(ahead));
            let start = bytes.len();
            state.encode_entry(number, &mut bytes);
            unrooted.enter(Kind::Entry, number, behind_number(&bytes, start));
        }
        if !happened.is_empty() {
            let marks = if numbers.is_empty() { 2 } else { 1 };
            (0..marks).for_each(|_| bytes.extend_from_slice(&u32::MAX.to_le_bytes()));
        }
        let events = bytes.len();
        bytes.append(happened);
        pieces.push(bytes);
        Self { pieces, accounts, events, digest: None }
    }
}

/// Writes accounts into pieces, whatever those held before; several at once if there are many and somebody to help.
fn encode(state: &State, slots: &[Slot], crew: Option<&Crew>, pieces: &mut Vec<Vec<u8>>) {
    let threads = crew.map_or(1, Crew::threads);
    // Some more pieces than threads, so that none has to wait for long.
    let most = if threads > 1 { threads.saturating_mul(4) } else { 1 };
    let count = slots.len().div_ceil(ACCOUNTS_MIN).clamp(1, most);
    pieces.resize_with(count, Vec::new);
    let step = slots.len().div_ceil(count);
    let own = |piece: usize| {
        let start = piece.saturating_mul(step).min(slots.len());
        slots.get(start..start.saturating_add(step).min(slots.len())).unwrap_or_default()
    };
    match crew.filter(|_| count > 1) {
        Some(crew) => {
            let pieces = Items::new(pieces.iter_mut());
            crew.work(&[(count, &|piece| state.encode_changed_accounts(own(piece), &mut pieces.at(piece)))]);
        }
        None => pieces.iter_mut().enumerate().for_each(|(n, piece)| state.encode_changed_accounts(own(n), piece)),
    }
}

/// The canonical bytes of a record that was written from `start` on, behind its number.
#[inline]
fn behind_number(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start.saturating_add(4)..).unwrap_or_default()
}
