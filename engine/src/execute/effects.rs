//! What a block has changed, as bytes: made from the state when the block has been executed, hashed by whoever has time.

use super::Scratch;
use super::unrooted::Kind;
use crate::state::{Changes, State};
use crate::types::Digest;

/// Records are brought closer so many ahead.
const AHEAD: usize = 16;

/// Every changed account by slot, a mark, then every changed asset by number; if entries have changed, another mark and then those by
/// number.
#[derive(Debug, Default)]
pub(crate) struct Effects(Vec<u8>);

impl Effects {
    /// BLAKE3 over it.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("nostro 1 effects");
        hasher.update(&self.0);
        Digest(hasher.finalize().into())
    }

    /// Its memory, for the effects of another block.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.0
    }

    /// Takes what has changed out of the scratch.
    pub(super) fn take(state: &State, scratch: &mut Scratch) -> Self {
        let Scratch { changes, spare, slots, unrooted, .. } = scratch;
        let mut bytes = spare.pop().unwrap_or_default();
        bytes.clear();
        let Changes { accounts, balances, assets, entries, .. } = changes;
        slots.clear();
        accounts.drain(|slot| slots.push(slot));
        for (place, &slot) in slots.iter().enumerate() {
            if let Some(&ahead) = slots.get(place + AHEAD) {
                state.prefetch_whole(ahead);
            }
            let start = bytes.len();
            if state.encode_changed_account(slot, balances, &mut bytes) {
                unrooted.enter(Kind::Account, slot, behind_number(&bytes, start));
            } else {
                unrooted.enter_long_account(slot, state);
            }
        }
        balances.clear();
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assets.drain(|asset| {
            let start = bytes.len();
            state.encode_asset(asset, &mut bytes);
            unrooted.enter(Kind::Asset, asset, behind_number(&bytes, start));
        });
        let mut has_entries = false;
        entries.drain(|number| {
            if !std::mem::replace(&mut has_entries, true) {
                bytes.extend_from_slice(&u32::MAX.to_le_bytes());
            }
            let start = bytes.len();
            state.encode_entry(number, &mut bytes);
            unrooted.enter(Kind::Entry, number, behind_number(&bytes, start));
        });
        Self(bytes)
    }
}

/// The canonical bytes of a record that was written from `start` on, behind its number.
#[inline]
fn behind_number(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start.saturating_add(4)..).unwrap_or_default()
}
