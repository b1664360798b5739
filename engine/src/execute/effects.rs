//! What a block has changed, as bytes: made from the state when the block has been executed, hashed by whoever has time.

use super::Scratch;
use crate::state::{Changes, State, group_of};
use crate::types::Digest;

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

    /// Takes what has changed out of the state and the scratch.
    pub(super) fn take(state: &mut State, scratch: &mut Scratch) -> Self {
        let Scratch { changes, spare, slots, unrooted, .. } = scratch;
        let mut bytes = spare.pop().unwrap_or_default();
        state.take_changed_accounts(slots, &mut bytes);
        let mut last = None;
        for group in slots.iter().map(|slot| group_of(slot.0)) {
            if last.replace(group) != Some(group) {
                unrooted[0].insert(group);
            }
        }
        let Changes { assets, entries, .. } = changes;
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
        Self(bytes)
    }
}
