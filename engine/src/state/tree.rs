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
//! The lowest three levels aren't kept: the eight records below a kept node are hashed again when one of them has changed, which is
//! as much work as looking for it, and leaves eight bytes of memory per account. The trees are functions of the state alone, so
//! they needn't be stored: from a checkpoint they are made anew.
//!
//! # Cost
//!
//! Some 0.3 µs for each group of eight in which something has changed, on a thread of its own.

use super::StateRecords;
use crate::merkle::{self, Hash, MISSING, depth};
use crate::types::Digest;
use blake3::hazmat::{ContextKey, hash_derive_key_context};

/// Records below one node that is kept: 2³.
const GROUP_BITS: u32 = 3;
const GROUP: usize = 1 << GROUP_BITS;
/// Groups hashed together: enough to fill the hash function at every level.
const BATCH: usize = 16;
const LEAF_BYTES: usize = 128;
/// Slots between two times that accounts are let go of.
const RELEASE: u32 = 1024;
/// The most canonical bytes that stand in a leaf themselves.
const PLAIN_BYTES_MAX: usize = LEAF_BYTES - 4;

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

/// The 128 bytes that stand for a record.
fn leaf(canonical: &[u8]) -> [u8; LEAF_BYTES] {
    let mut bytes = [0; LEAF_BYTES];
    let length = u32::try_from(canonical.len()).unwrap_or(u32::MAX);
    bytes[PLAIN_BYTES_MAX..].copy_from_slice(&length.to_le_bytes());
    match bytes.get_mut(..canonical.len()).filter(|_| canonical.len() <= PLAIN_BYTES_MAX) {
        Some(plain) => plain.copy_from_slice(canonical),
        None => bytes[..32].copy_from_slice(&blake3::derive_key("nostro 1 state long", canonical)),
    }
    bytes
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
}

/// Groups of eight slots, of eight assets and of eight entries in which something has changed, each ascending.
#[derive(Debug, Default)]
pub(crate) struct ChangedGroups {
    pub accounts: Vec<u32>,
    pub assets: Vec<u32>,
    pub entries: Vec<u32>,
}

/// The group a slot or an asset is in.
pub(crate) const fn group_of(place: u32) -> u32 {
    place >> GROUP_BITS
}

/// All trees, as far as they are kept.
#[derive(Clone, Debug)]
pub(crate) struct StateTree {
    keys: Keys,
    accounts: Tree,
    assets: Tree,
    entries: Tree,
}

impl StateTree {
    pub(crate) fn new() -> Self {
        Self { keys: Keys::new(), accounts: Tree::default(), assets: Tree::default(), entries: Tree::default() }
    }

    /// Follows what has changed since the last time; the first time follows everything. Lets go of the accounts it has been to, so that
    /// the owner needn't copy them any more.
    pub(crate) fn update(&mut self, records: &mut impl Records, changed: &ChangedGroups) -> RootParts {
        let [accounts, assets, entries] = records.counts();
        let Keys { account, asset, entry, node } = &self.keys;
        let mut release_at = RELEASE;
        self.accounts.update([account, node], accounts, &changed.accounts, |slot, out| {
            if slot >= release_at {
                records.release_accounts_below(slot);
                release_at = slot.saturating_add(RELEASE);
            }
            records.encode_account(slot, out);
        });
        self.assets.update([asset, node], assets, &changed.assets, |place, out| records.encode_asset(place, out));
        self.entries.update([entry, node], entries, &changed.entries, |place, out| records.encode_entry(place, out));
        self.parts()
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

    /// The path of an account, with its canonical bytes. The records must be those of the last update.
    pub(crate) fn account_path(&self, records: &impl Records, slot: u32) -> (Vec<u8>, Vec<Hash>) {
        let keys = [&self.keys.account, &self.keys.node];
        let mut canonical = Vec::with_capacity(LEAF_BYTES);
        records.encode_account(slot, &mut canonical);
        let path = self.accounts.path(keys, slot, |slot, out| records.encode_account(slot, out));
        (canonical, path)
    }
}

/// One tree without its lowest three levels.
#[derive(Clone, Debug, Default)]
struct Tree {
    len: u32,
    /// From the nodes over eight records each up to the root.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(MISSING)
    }

    fn update(
        &mut self,
        [leaf_key, node_key]: [&ContextKey; 2],
        len: u32,
        changed: &[u32],
        mut encode: impl FnMut(u32, &mut Vec<u8>),
    ) {
        let groups = len.div_ceil(1 << GROUP_BITS);
        let mut changed: Vec<u32> = if self.len == 0 { (0..groups).collect() } else { changed.to_vec() };
        self.len = len;
        // The lowest level that is kept has a node per group, each one above half as many, the last one.
        let count = if groups == 0 { 0 } else { depth(u64::from(groups)) as usize + 1 };
        self.levels.resize_with(count, Vec::new);
        for (up, level) in self.levels.iter_mut().enumerate() {
            level.resize((groups as usize).div_ceil(1 << up), MISSING);
        }
        let Some((lowest, mut upper)) = self.levels.split_first_mut() else { return };
        for batch in changed.chunks(BATCH) {
            let nodes = hash_groups([leaf_key, node_key], len, batch, &mut encode);
            put(lowest, batch, &nodes);
        }
        let mut below: &[Hash] = lowest;
        let mut children = Vec::with_capacity(2 * BATCH);
        let mut nodes = Vec::with_capacity(BATCH);
        while let Some((level, rest)) = upper.split_first_mut() {
            changed.iter_mut().for_each(|node| *node >>= 1);
            changed.dedup();
            for batch in changed.chunks(BATCH) {
                children.clear();
                nodes.clear();
                for &node in batch {
                    let left = node as usize * 2;
                    children.extend([left, left + 1].map(|child| below.get(child).copied().unwrap_or(MISSING)));
                }
                merkle::parents(node_key, &children, &mut nodes);
                put(level, batch, &nodes);
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
        let group = group_of(place);
        let mut path = Vec::with_capacity(self.levels.len() + GROUP_BITS as usize);
        self.path_within([leaf_key, node_key], place, &mut encode, &mut path);
        let below = self.levels.split_last().map(|(_, below)| below).unwrap_or_default();
        let sibling = |(up, level): (usize, &Vec<Hash>)| level.get(group as usize >> up ^ 1).copied();
        path.extend(below.iter().enumerate().map(|at| sibling(at).unwrap_or(MISSING)));
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
        let (first, own) = (group_of(place) << GROUP_BITS, place as usize % GROUP);
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

fn put(level: &mut [Hash], places: &[u32], nodes: &[Hash]) {
    for (&place, hash) in places.iter().zip(nodes) {
        if let Some(node) = level.get_mut(place as usize) {
            *node = *hash;
        }
    }
}

/// The hashes of all records of some groups, missing ones included.
fn leaf_hashes(key: &ContextKey, len: u32, groups: &[u32], encode: &mut impl FnMut(u32, &mut Vec<u8>)) -> Vec<Hash> {
    let mut messages = Vec::with_capacity(groups.len() * GROUP);
    let mut canonical = Vec::with_capacity(LEAF_BYTES);
    let places = groups.iter().flat_map(|group| (0..1 << GROUP_BITS).map(move |n| (group << GROUP_BITS) + n));
    for place in places.clone() {
        canonical.clear();
        if place < len {
            encode(place, &mut canonical);
        }
        messages.push(leaf(&canonical));
    }
    let mut hashes = Vec::with_capacity(messages.len());
    merkle::leaves(key, &messages, &mut hashes);
    for (hash, place) in hashes.iter_mut().zip(places) {
        if place >= len {
            *hash = MISSING;
        }
    }
    hashes
}

/// The nodes over some groups.
fn hash_groups(
    [leaf_key, node_key]: [&ContextKey; 2],
    len: u32,
    groups: &[u32],
    encode: &mut impl FnMut(u32, &mut Vec<u8>),
) -> Vec<Hash> {
    let mut level = leaf_hashes(leaf_key, len, groups, encode);
    for _ in 0..GROUP_BITS {
        let mut above = Vec::with_capacity(level.len() / 2);
        merkle::parents(node_key, &level, &mut above);
        level = above;
    }
    level
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

    /// A tree made anew.
    fn anew(made: &Made) -> StateTree {
        let mut tree = StateTree::new();
        tree.update(&mut Made(made.0.clone()), &ChangedGroups::default());
        tree
    }

    #[test]
    fn a_tree_that_follows_changes_is_the_tree_made_anew() {
        let (mut made, mut tree) = (Made(Vec::new()), StateTree::new());
        let mut seed = 3_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..120_u8 {
            let mut changed = std::collections::BTreeSet::new();
            for _ in 0..random(40) {
                changed.insert(group_of(u32::try_from(made.0.len()).unwrap()));
                made.0.push((usize::try_from(56 + 36 * random(4)).unwrap(), round));
            }
            for _ in 0..random(20).min(made.0.len() as u64) {
                let slot = usize::try_from(random(made.0.len() as u64)).unwrap();
                made.0[slot].1 = round;
                changed.insert(group_of(u32::try_from(slot).unwrap()));
            }
            let accounts: Vec<u32> = changed.into_iter().collect();
            let entries = accounts.clone();
            let parts = tree.update(&mut made, &ChangedGroups { accounts, assets: Vec::new(), entries });
            assert_eq!(parts, anew(&made).parts(), "round {round}, {} records", made.0.len());
        }
    }

    #[test]
    fn every_account_has_a_path_to_the_root_and_no_other_bytes_or_place_do() {
        for count in [1, 2, 7, 8, 9, 16, 17, 100, 1025] {
            let made = Made((0..count).map(|n| (56 + 36 * (n % 4), 1)).collect());
            let tree = anew(&made);
            let parts = tree.parts();
            for slot in 0..u32::try_from(count).unwrap() {
                let (canonical, path) = tree.account_path(&made, slot);
                assert_eq!(path.len(), levels_above(parts.accounts));
                assert_eq!(tree.keys.climb_account(&canonical, slot, &path), parts.account_root);
                assert_ne!(tree.keys.climb_account(&canonical, slot ^ 1, &path), parts.account_root);
                let mut other = canonical;
                other[55] ^= 1;
                assert_ne!(tree.keys.climb_account(&other, slot, &path), parts.account_root);
            }
        }
    }

    #[test]
    fn a_leaf_is_one_for_each_record() {
        // Zeros at the end and long records are told apart.
        let all = [leaf(&[1]), leaf(&[1, 0]), leaf(&[0; 124]), leaf(&[0; 125]), leaf(&[])];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|other| other != one));
        }
    }
}
