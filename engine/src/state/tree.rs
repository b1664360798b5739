//! The state root: Merkle trees over all accounts, over all assets and over all entries.
//!
//! ```text
//! state root     derive-key "nostro 1 state root" of: number of accounts u32, number of assets u32,
//!                root over the accounts [32], root over the assets [32]; if there are entries, behind that their number u32 and
//!                the root over them [32]
//! node           derive-key "nostro 1 state node" of both children; see `merkle.rs`
//! leaf           derive-key "nostro 1 state account", "nostro 1 state asset", "nostro 1 state entry" of 128 bytes:
//!                the canonical bytes, zeros, their length in the last four bytes; of more than 124 canonical bytes
//!                their derive-key hash "nostro 1 state long" instead, with their length all the same
//! ```
//!
//! The trees are functions of the state alone, so they needn't be stored: from a checkpoint they are made anew. How much of them is kept
//! ([`Kept`]) is nobody's business but the memory's. Usually the lowest three levels aren't: the eight records below a kept node are hashed
//! again when one of them has changed. Where roots are made after every block, all levels are, and what has changed comes as leaves
//! ([`Leaves`]): then nothing is hashed but the way from each of them to the root, and nobody reads the state beside its owner.
//!
//! # Cost
//!
//! Some 0.3 µs for each group of eight in which something has changed, eight bytes of memory per account; with all levels some 0.1 µs for each
//! record that has changed and 64 bytes. On a thread of its own.

use super::StateRecords;
use super::groups::{Accounts, GroupWork, Others, Source};
use super::leaves::{LEAF_BYTES, LeafRun, Leaves, leaf};
use super::level::Level;
use crate::arena::Arena;
use crate::merkle::{self, Hash, MISSING, depth};
use crate::types::Digest;
use blake3::hazmat::{ContextKey, hash_derive_key_context};

/// Records below the lowest node that is always kept: 2³.
const GROUP_BITS: u32 = 3;
const GROUP: usize = 1 << GROUP_BITS;
/// Groups hashed together: enough to fill the hash function at every level.
const BATCH: usize = 16;

/// The keys of the state's trees.
#[derive(Clone)]
pub(crate) struct Keys {
    account: ContextKey,
    asset: ContextKey,
    entry: ContextKey,
    node: ContextKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            account: hash_derive_key_context("nostro 1 state account"),
            asset: hash_derive_key_context("nostro 1 state asset"),
            entry: hash_derive_key_context("nostro 1 state entry"),
            node: hash_derive_key_context("nostro 1 state node"),
        }
    }

    /// The root over the accounts that an account's path leads to.
    pub(crate) fn climb_account(&self, canonical: &[u8], slot: u32, path: &[Hash]) -> Hash {
        let mut hashes = Vec::with_capacity(1);
        merkle::leaves(&self.account, &[leaf(canonical)], &mut hashes);
        merkle::climb(&self.node, hashes.first().copied().unwrap_or(MISSING), u64::from(slot), path)
    }
}

/// The parts of a state root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RootParts {
    pub accounts: u32,
    pub assets: u32,
    pub entries: u32,
    pub account_root: Hash,
    pub asset_root: Hash,
    pub entry_root: Hash,
}

impl RootParts {
    pub(crate) fn root(&self) -> Digest {
        let mut bytes = [0; 108];
        bytes[..4].copy_from_slice(&self.accounts.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.assets.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.account_root);
        bytes[40..72].copy_from_slice(&self.asset_root);
        bytes[72..76].copy_from_slice(&self.entries.to_le_bytes());
        bytes[76..].copy_from_slice(&self.entry_root);
        // A ledger without entries has the roots it had before there were any.
        let said = if self.entries == 0 { &bytes[..72] } else { &bytes[..] };
        Digest(blake3::derive_key("nostro 1 state root", said))
    }
}

/// Where records come from.
pub(crate) trait Records {
    /// How many accounts, assets and places for entries there are.
    fn counts(&self) -> [u32; 3];
    fn encode_account(&self, slot: u32, out: &mut Vec<u8>);
    fn encode_asset(&self, asset: u32, out: &mut Vec<u8>);
    fn encode_entry(&self, number: u32, out: &mut Vec<u8>);

    /// Nobody asks for accounts below this slot any more.
    fn release_accounts_below(&mut self, _slot: u32) {}

    /// Writes the leaf of an account. `canonical` is memory for a moment.
    fn write_account_leaf(&self, slot: u32, canonical: &mut Vec<u8>, bytes: &mut [u8; LEAF_BYTES]) {
        canonical.clear();
        self.encode_account(slot, canonical);
        *bytes = leaf(canonical);
    }

    /// An account will be asked for, but not next.
    fn prefetch_account(&self, _slot: u32) {}

    /// An account will be asked for next.
    fn prefetch_saved_account(&self, _slot: u32) {}
}

impl Records for StateRecords {
    fn counts(&self) -> [u32; 3] {
        [self.account_count(), self.asset_count(), self.entry_count()]
    }

    fn encode_account(&self, slot: u32, out: &mut Vec<u8>) {
        self.accounts.encode(super::Slot(slot), out);
    }

    fn encode_asset(&self, asset: u32, out: &mut Vec<u8>) {
        self.assets.encode(super::AssetId(asset), out);
    }

    fn encode_entry(&self, number: u32, out: &mut Vec<u8>) {
        self.entries.encode(number, out);
    }

    fn release_accounts_below(&mut self, slot: u32) {
        self.accounts.release_below(super::Slot(slot));
    }

    #[inline]
    fn write_account_leaf(&self, slot: u32, canonical: &mut Vec<u8>, bytes: &mut [u8; LEAF_BYTES]) {
        self.accounts.write_leaf(super::Slot(slot), canonical, bytes);
    }

    #[inline]
    fn prefetch_account(&self, slot: u32) {
        self.accounts.prefetch(super::Slot(slot));
    }

    #[inline]
    fn prefetch_saved_account(&self, slot: u32) {
        self.accounts.prefetch_saved(super::Slot(slot));
    }
}

/// How much of the trees is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All but the lowest three levels.
    #[default]
    Groups,
    /// All.
    All,
}

impl Kept {
    /// Levels below the lowest that is kept.
    pub(super) const fn bits(self) -> u32 {
        match self {
            Self::Groups => GROUP_BITS,
            Self::All => 0,
        }
    }

    /// The lowest kept node above a record.
    pub(crate) const fn node_of(self, place: u32) -> u32 {
        place >> self.bits()
    }

    /// The records below one of the lowest kept nodes.
    pub(super) const fn records_below(self, node: u32) -> std::ops::RangeInclusive<u32> {
        let first = node << self.bits();
        first..=first | ((1 << self.bits()) - 1)
    }
}

/// The lowest kept nodes below which something has changed: of accounts, assets and entries, each ascending.
#[derive(Debug, Default)]
pub(crate) struct ChangedNodes {
    pub accounts: Vec<u32>,
    pub assets: Vec<u32>,
    pub entries: Vec<u32>,
}

/// All trees, as far as they are kept.
#[derive(Debug)]
pub(crate) struct StateTree {
    keys: Keys,
    accounts: Tree,
    assets: Tree,
    entries: Tree,
}

impl StateTree {
    pub(crate) fn new(kept: Kept) -> Self {
        let arena = Arena::default();
        let tree = || Tree::new(kept, arena.clone());
        Self { keys: Keys::new(), accounts: tree(), assets: tree(), entries: tree() }
    }

    /// Follows what has changed since the last time; the first time follows everything. Lets go of the accounts it has been to, so that
    /// the owner needn't save them any more.
    pub(crate) fn update(&mut self, records: &mut impl Records, changed: &ChangedNodes) -> RootParts {
        let [accounts, assets, entries] = records.counts();
        let Keys { account, asset, entry, node } = &self.keys;
        let mut own = Accounts::new(&mut *records);
        self.accounts.update([account, node], accounts, &changed.accounts, &mut own);
        let mut own = Others::new(|place, out| records.encode_asset(place, out));
        self.assets.update([asset, node], assets, &changed.assets, &mut own);
        let mut own = Others::new(|place, out| records.encode_entry(place, out));
        self.entries.update([entry, node], entries, &changed.entries, &mut own);
        self.parts()
    }

    /// Follows a block whose changes come as leaves. All levels have to be kept, and everything before has to have been followed.
    pub(crate) fn follow(&mut self, leaves: &mut Leaves) -> RootParts {
        let Keys { account, asset, entry, node } = &self.keys;
        let [accounts, assets, entries] = leaves.counts;
        self.accounts.follow([account, node], accounts, &mut leaves.accounts);
        self.assets.follow([asset, node], assets, &mut leaves.assets);
        self.entries.follow([entry, node], entries, &mut leaves.entries);
        self.parts()
    }

    /// The trees as they are now, for somebody to keep.
    pub(crate) fn share(&mut self) -> Self {
        let Self { keys, accounts, assets, entries } = self;
        Self { keys: keys.clone(), accounts: accounts.share(), assets: assets.share(), entries: entries.share() }
    }

    pub(crate) fn parts(&self) -> RootParts {
        RootParts {
            accounts: self.accounts.len,
            assets: self.assets.len,
            entries: self.entries.len,
            account_root: self.accounts.root(),
            asset_root: self.assets.root(),
            entry_root: self.entries.root(),
        }
    }

    /// Brings closer what the path of an account is made from: all at once, since it is in no cache.
    pub(crate) fn prefetch_path(&self, records: &StateRecords, slot: u32) {
        let node = self.accounts.kept.node_of(slot);
        for other in self.accounts.kept.records_below(node) {
            records.accounts.prefetch(super::Slot(other));
        }
        let node = node as usize;
        for (up, level) in self.accounts.levels.iter().enumerate() {
            level.prefetch(node >> up);
        }
    }

    /// The path of an account, with its canonical bytes. The records must be those of the last update.
    pub(crate) fn account_path(&self, records: &impl Records, slot: u32) -> (Vec<u8>, Vec<Hash>) {
        let keys = [&self.keys.account, &self.keys.node];
        let mut canonical = Vec::with_capacity(LEAF_BYTES);
        records.encode_account(slot, &mut canonical);
        let path = self.accounts.path(keys, slot, |slot, out| records.encode_account(slot, out));
        (canonical, path)
    }
}

/// One tree, as far as it is kept.
#[derive(Debug)]
struct Tree {
    kept: Kept,
    len: u32,
    /// From the lowest nodes that are kept up to the root.
    levels: Vec<Level>,
    arena: Arena,
}

impl Tree {
    const fn new(kept: Kept, arena: Arena) -> Self {
        Self { kept, len: 0, levels: Vec::new(), arena }
    }

    fn share(&mut self) -> Self {
        let levels = self.levels.iter_mut().map(Level::share).collect();
        Self { levels, arena: self.arena.clone(), ..*self }
    }

    fn root(&self) -> Hash {
        self.levels.last().map_or(MISSING, |top| top.get(0))
    }

    /// Makes room for so many records. A level has half as many nodes as the one below it, the last one.
    fn resize(&mut self, len: u32) {
        self.len = len;
        let lowest = self.kept.bits();
        let count = if len == 0 { 0 } else { levels_above(len).saturating_sub(lowest as usize).saturating_add(1) };
        self.levels.resize_with(count, || Level::new(self.arena.clone()));
        for (up, level) in (lowest..).zip(self.levels.iter_mut()) {
            level.reserve(usize::try_from(u64::from(len).div_ceil(1 << up)).unwrap_or(usize::MAX));
        }
    }

    fn update(&mut self, [leaf_key, node_key]: [&ContextKey; 2], len: u32, changed: &[u32], source: &mut impl Source) {
        let is_new = self.len == 0;
        self.resize(len);
        let kept = self.kept;
        let Some(lowest) = self.levels.first_mut() else { return };
        let changed = if is_new { (0..=kept.node_of(len.saturating_sub(1))).collect() } else { changed.to_vec() };
        let mut work = GroupWork::default();
        for (n, batch) in changed.chunks(BATCH).enumerate() {
            prefetch(lowest, &changed, n);
            let later = |ahead: usize| {
                let groups = changed.get(n.saturating_add(ahead).saturating_mul(BATCH)..).unwrap_or_default();
                groups.iter().take(BATCH).flat_map(|&group| kept.records_below(group))
            };
            later(2).for_each(|place| source.prefetch(place));
            later(1).for_each(|place| source.prefetch_rest(place));
            let nodes = work.hash([leaf_key, node_key], len, (batch, kept), source);
            lowest.put(batch, nodes);
        }
        self.climb(node_key, changed);
    }

    fn follow(&mut self, [leaf_key, node_key]: [&ContextKey; 2], len: u32, changed: &mut LeafRun) {
        debug_assert_eq!(self.kept, Kept::All);
        changed.finish();
        self.resize(len);
        let Some(lowest) = self.levels.first_mut() else { return };
        let mut hashes = Vec::with_capacity(BATCH);
        for (n, (batch, leaves)) in changed.numbers.chunks(BATCH).zip(changed.leaves.chunks(BATCH)).enumerate() {
            prefetch(lowest, &changed.numbers, n);
            hashes.clear();
            merkle::leaves(leaf_key, leaves, &mut hashes);
            lowest.put(batch, &hashes);
        }
        self.climb(node_key, changed.numbers.clone());
    }

    /// Makes the nodes above some of the lowest, which are given by ascending number.
    fn climb(&mut self, node_key: &ContextKey, mut changed: Vec<u32>) {
        let Some((lowest, mut upper)) = self.levels.split_first_mut() else { return };
        let mut below: &Level = lowest;
        let mut children = Vec::with_capacity(2 * BATCH);
        let mut nodes = Vec::with_capacity(BATCH);
        while let Some((level, rest)) = upper.split_first_mut() {
            changed.iter_mut().for_each(|node| *node >>= 1);
            changed.dedup();
            for (n, batch) in changed.chunks(BATCH).enumerate() {
                prefetch(level, &changed, n);
                children.clear();
                nodes.clear();
                batch.iter().for_each(|&node| children.extend(below.pair(node as usize)));
                merkle::parents(node_key, &children, &mut nodes);
                level.put(batch, &nodes);
            }
            (below, upper) = (level, rest);
        }
    }

    /// The siblings of a record from the bottom up.
    fn path(
        &self,
        [leaf_key, node_key]: [&ContextKey; 2],
        place: u32,
        mut encode: impl FnMut(u32, &mut Vec<u8>),
    ) -> Vec<Hash> {
        let mut path = Vec::with_capacity(levels_above(self.len));
        if self.kept == Kept::Groups {
            self.path_within([leaf_key, node_key], place, &mut encode, &mut path);
        }
        let (node, below) = (self.kept.node_of(place) as usize, self.levels.split_last());
        let below = below.map(|(_, below)| below).unwrap_or_default();
        path.extend(below.iter().enumerate().map(|(up, level)| level.get(node >> up ^ 1)));
        path
    }

    /// The siblings within the group of eight, whose nodes aren't kept: all leaves but the own are hashed at once, then the three
    /// nodes over two of them that lie beside the path, then the one over four.
    fn path_within(
        &self,
        [leaf_key, node_key]: [&ContextKey; 2],
        place: u32,
        encode: &mut impl FnMut(u32, &mut Vec<u8>),
        path: &mut Vec<Hash>,
    ) {
        let (first, own) = (place >> GROUP_BITS << GROUP_BITS, place as usize % GROUP);
        let (mut messages, mut canonical) = ([[0; LEAF_BYTES]; GROUP], Vec::with_capacity(LEAF_BYTES));
        for (message, other) in
            messages.iter_mut().zip(first..).filter(|&(_, other)| other != place && other < self.len)
        {
            canonical.clear();
            encode(other, &mut canonical);
            *message = leaf(&canonical);
        }
        let mut leaves: [Hash; GROUP] = merkle::hash_few(leaf_key, &messages);
        for (leaf, other) in leaves.iter_mut().zip(first..) {
            if other >= self.len {
                *leaf = MISSING;
            }
        }
        path.push(leaves[own ^ 1]);
        // The pair beside the own one, then both pairs of the other half.
        let half = ((own / 4) ^ 1) * 2;
        let pairs = [(own / 2) ^ 1, half, half + 1];
        let [beside, left, right] =
            merkle::parents_of(node_key, pairs.map(|pair| [leaves[2 * pair], leaves[2 * pair + 1]]));
        path.push(beside);
        path.extend(merkle::parents_of(node_key, [[left, right]]));
    }
}

/// Brings closer the nodes of the batch after the next one.
#[inline]
fn prefetch(level: &Level, changed: &[u32], batch: usize) {
    let ahead = changed.get(batch.saturating_add(2).saturating_mul(BATCH)..).unwrap_or_default();
    ahead.iter().take(BATCH).for_each(|&node| level.prefetch(node as usize));
}

/// How many levels lie above the leaves of a tree of so many records: at least those of one group.
pub(crate) fn levels_above(records: u32) -> usize {
    depth(u64::from(records)).max(GROUP_BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of made-up bytes: `length(n)` of them, which `version` changes.
    struct Made(Vec<(usize, u8)>);

    impl Records for Made {
        fn counts(&self) -> [u32; 3] {
            let count = u32::try_from(self.0.len()).unwrap();
            [count, 0, count]
        }

        fn encode_account(&self, slot: u32, out: &mut Vec<u8>) {
            let (length, version) = self.0[slot as usize];
            out.extend((0..length).map(|n| u8::try_from(n % 200).unwrap() ^ version));
        }

        fn encode_asset(&self, _: u32, _: &mut Vec<u8>) {}

        fn encode_entry(&self, number: u32, out: &mut Vec<u8>) {
            self.encode_account(number, out);
        }
    }

    impl Made {
        /// The leaves of some records.
        fn leaves(&self, changed: &std::collections::BTreeSet<u32>) -> Leaves {
            let mut leaves = Leaves { counts: self.counts(), ..Leaves::default() };
            let mut canonical = Vec::new();
            for &number in changed {
                canonical.clear();
                self.encode_account(number, &mut canonical);
                leaves.accounts.push(number, &canonical);
                leaves.entries.push(number, &canonical);
            }
            leaves
        }
    }

    /// A tree made anew.
    fn anew(made: &Made, kept: Kept) -> StateTree {
        let mut tree = StateTree::new(kept);
        tree.update(&mut Made(made.0.clone()), &ChangedNodes::default());
        tree
    }

    #[test]
    fn trees_that_follow_changes_in_whatever_way_are_the_tree_made_anew() {
        let mut made = Made(Vec::new());
        let mut trees = [Kept::Groups, Kept::All].map(StateTree::new);
        let mut following = StateTree::new(Kept::All);
        let mut seed = 3_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..120_u8 {
            let mut changed = std::collections::BTreeSet::new();
            for _ in 0..random(40) {
                changed.insert(u32::try_from(made.0.len()).unwrap());
                made.0.push((usize::try_from(56 + 36 * random(4)).unwrap(), round));
            }
            for _ in 0..random(20).min(made.0.len() as u64) {
                let slot = usize::try_from(random(made.0.len() as u64)).unwrap();
                made.0[slot].1 = round;
                changed.insert(u32::try_from(slot).unwrap());
            }
            let expected = anew(&made, Kept::Groups).parts();
            assert_eq!(anew(&made, Kept::All).parts(), expected, "round {round}, {} records", made.0.len());
            for tree in &mut trees {
                let mut accounts: Vec<u32> = changed.iter().map(|&slot| tree.accounts.kept.node_of(slot)).collect();
                accounts.dedup();
                let entries = accounts.clone();
                let parts = tree.update(&mut made, &ChangedNodes { accounts, assets: Vec::new(), entries });
                assert_eq!(parts, expected, "round {round}, {} records", made.0.len());
            }
            let path = |tree: &StateTree| tree.accounts.path([&tree.keys.account, &tree.keys.node], 5, |_, _| ());
            let (before, kept) = ((following.parts(), path(&following)), following.share());
            assert_eq!(following.follow(&mut made.leaves(&changed)), expected, "round {round}, by leaves");
            assert_eq!((kept.parts(), path(&kept)), before, "what somebody keeps stays as it was");
        }
    }

    #[test]
    fn every_account_has_a_path_to_the_root_and_no_other_bytes_or_place_do() {
        for count in [1, 2, 7, 8, 9, 16, 17, 100, 1025] {
            let made = Made((0..count).map(|n| (56 + 36 * (n % 4), 1)).collect());
            let [tree, whole] = [Kept::Groups, Kept::All].map(|kept| anew(&made, kept));
            let parts = tree.parts();
            for slot in 0..u32::try_from(count).unwrap() {
                let (canonical, path) = tree.account_path(&made, slot);
                assert_eq!(whole.account_path(&made, slot), (canonical.clone(), path.clone()), "{slot} of {count}");
                assert_eq!(path.len(), levels_above(parts.accounts));
                assert_eq!(tree.keys.climb_account(&canonical, slot, &path), parts.account_root);
                assert_ne!(tree.keys.climb_account(&canonical, slot ^ 1, &path), parts.account_root);
                let mut other = canonical;
                other[55] ^= 1;
                assert_ne!(tree.keys.climb_account(&other, slot, &path), parts.account_root);
            }
        }
    }
}
