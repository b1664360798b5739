//! What a block has changed, as bytes: made from the state when the block has been executed, hashed by whoever has time.

use super::Scratch;
use crate::state::{Changes, State, group_of};
use crate::types::Digest;

/// Records are brought closer so many ahead.
const AHEAD: usize = 16;

/// Every changed account by slot, a mark, then every changed asset by number; if entries have changed or there are events, another mark and
/// then those by number; if there are events a third mark, and those in order.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    bytes: Vec<u8>,
    /// Where the events begin.
    events: usize,
}

impl Effects {
    /// BLAKE3 over it.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("nostro 1 effects");
        hasher.update(&self.bytes);
        Digest(hasher.finalize().into())
    }

    /// Its memory, for the effects of another block.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// What has happened to accounts beside what transactions say, one after the other.
    pub(crate) fn events(&self) -> &[u8] {
        self.bytes.get(self.events..).unwrap_or_default()
    }

    /// Takes what has changed out of the scratch.
    pub(super) fn take(state: &State, scratch: &mut Scratch) -> Self {
        let Scratch { changes, spare, slots, unrooted, .. } = scratch;
        let mut bytes = spare.pop().unwrap_or_default();
        bytes.clear();
        let Changes { accounts, balances, assets, entries, events: happened, .. } = changes;
        slots.clear();
        accounts.drain(|slot| slots.push(slot));
        for (place, &slot) in slots.iter().enumerate() {
            if let Some(&ahead) = slots.get(place + AHEAD) {
                state.prefetch_whole(ahead);
            }
            unrooted[0].insert(group_of(slot));
            state.encode_changed_account(slot, balances, &mut bytes);
        }
        balances.clear();
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assets.drain(|asset| {
            unrooted[1].insert(group_of(asset));
            state.encode_asset(asset, &mut bytes);
        });
        let mut has_entries = false;
        entries.drain(|number| {
            if !std::mem::replace(&mut has_entries, true) {
                bytes.extend_from_slice(&u32::MAX.to_le_bytes());
            }
            unrooted[2].insert(group_of(number));
            state.encode_entry(number, &mut bytes);
        });
        if !happened.is_empty() {
            let marks = if has_entries { 1 } else { 2 };
            (0..marks).for_each(|_| bytes.extend_from_slice(&u32::MAX.to_le_bytes()));
        }
        let events = bytes.len();
        bytes.append(happened);
        Self { bytes, events }
    }
}
