//! The lowest nodes of a tree that are kept, made from the records below them.

use super::leaves::{LEAF_BYTES, leaf};
use super::tree::{Kept, Records};
use crate::merkle::{self, Hash, MISSING};
use blake3::hazmat::ContextKey;

/// Slots between two times that accounts are let go of.
const RELEASE: u32 = 1024;

/// Where the leaves of one tree come from, by ascending place.
pub(super) trait Source {
    /// Writes a leaf, over whatever was there.
    fn write(&mut self, place: u32, bytes: &mut [u8; LEAF_BYTES]);

    /// This one will be asked for, but not next.
    fn prefetch(&self, _place: u32) {}

    /// This one will be asked for next.
    fn prefetch_rest(&self, _place: u32) {}
}

/// Accounts, which are let go of behind.
pub(super) struct Accounts<'a, R> {
    records: &'a mut R,
    canonical: Vec<u8>,
    release_at: u32,
}

impl<'a, R: Records> Accounts<'a, R> {
    pub(super) const fn new(records: &'a mut R) -> Self {
        Self { records, canonical: Vec::new(), release_at: RELEASE }
    }
}

impl<R: Records> Source for Accounts<'_, R> {
    #[inline]
    fn write(&mut self, place: u32, bytes: &mut [u8; LEAF_BYTES]) {
        if place >= self.release_at {
            self.records.release_accounts_below(place);
            self.release_at = place.saturating_add(RELEASE);
        }
        self.records.write_account_leaf(place, &mut self.canonical, bytes);
    }

    #[inline]
    fn prefetch(&self, place: u32) {
        self.records.prefetch_account(place);
    }

    #[inline]
    fn prefetch_rest(&self, place: u32) {
        self.records.prefetch_saved_account(place);
    }
}

/// Assets or entries.
pub(super) struct Others<E> {
    encode: E,
    canonical: Vec<u8>,
}

impl<E: Fn(u32, &mut Vec<u8>)> Others<E> {
    /// Those whose canonical bytes this appends.
    pub(super) const fn new(encode: E) -> Self {
        Self { encode, canonical: Vec::new() }
    }
}

impl<E: Fn(u32, &mut Vec<u8>)> Source for Others<E> {
    fn write(&mut self, place: u32, bytes: &mut [u8; LEAF_BYTES]) {
        self.canonical.clear();
        (self.encode)(place, &mut self.canonical);
        *bytes = leaf(&self.canonical);
    }
}

/// Memory in which groups are hashed.
#[derive(Default)]
pub(super) struct GroupWork {
    messages: Vec<[u8; LEAF_BYTES]>,
    level: Vec<Hash>,
    above: Vec<Hash>,
}

impl GroupWork {
    /// Some of the lowest kept nodes, with all records below them, missing ones included.
    pub(super) fn hash(
        &mut self,
        [leaf_key, node_key]: [&ContextKey; 2],
        len: u32,
        (groups, kept): (&[u32], Kept),
        source: &mut impl Source,
    ) -> &[Hash] {
        let Self { messages, level, above } = self;
        let places = groups.iter().flat_map(|&group| kept.records_below(group));
        messages.resize(groups.len() << kept.bits(), [0; LEAF_BYTES]);
        for (message, place) in messages.iter_mut().zip(places.clone()) {
            // What stands for a missing one doesn't matter.
            if place < len {
                source.write(place, message);
            }
        }
        level.clear();
        merkle::leaves(leaf_key, messages, level);
        if groups.last().is_some_and(|&group| *kept.records_below(group).end() >= len) {
            for (hash, place) in level.iter_mut().zip(places) {
                if place >= len {
                    *hash = MISSING;
                }
            }
        }
        for _ in 0..kept.bits() {
            above.clear();
            merkle::parents(node_key, level, above);
            std::mem::swap(level, above);
        }
        level
    }
}
