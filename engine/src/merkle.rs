//! Binary Merkle trees, hashed sixteen nodes at a time.
//!
//! A tree over `n` leaves has `depth(n)` levels above them. A node is the derive-key hash of its two children side by side, 64 bytes, one block
//! of the hash function. What is missing at the right edge is 32 zero bytes; a node both of whose children are missing is missing.
//! Leaves and nodes are hashed under different keys, and each kind of tree has its own, so that no part of one passes for a part of
//! another. Whoever checks a path must know the number of leaves from something that is hashed with the root.

use crate::wide_hash::{WIDTH, derive_keys};
use blake3::hazmat::ContextKey;

pub(crate) type Hash = [u8; 32];

/// In the place of a node that isn't there.
pub(crate) const MISSING: Hash = [0; 32];

/// How many levels a tree of so many leaves has above them.
pub(crate) const fn depth(leaves: u64) -> u32 {
    if leaves <= 1 { 0 } else { u64::BITS - (leaves - 1).leading_zeros() }
}

/// Appends the hashes of messages.
pub(crate) fn leaves<const N: usize>(key: &ContextKey, messages: &[[u8; N]], out: &mut Vec<Hash>) {
    for some in messages.chunks(WIDTH) {
        let mut references = [&[0; N]; WIDTH];
        for (reference, message) in references.iter_mut().zip(some) {
            *reference = message;
        }
        out.extend_from_slice(&derive_keys(key, &references[..some.len()])[..some.len()]);
    }
}

/// The hashes of a few messages, without memory of their own.
pub(crate) fn hash_few<const N: usize, const COUNT: usize>(
    key: &ContextKey,
    messages: &[[u8; N]; COUNT],
) -> [Hash; COUNT] {
    const { assert!(COUNT <= WIDTH) };
    let hashes = derive_keys(key, &messages.each_ref());
    std::array::from_fn(|place| hashes[place])
}

/// The parents of a few pairs.
pub(crate) fn parents_of<const COUNT: usize>(key: &ContextKey, pairs: [[Hash; 2]; COUNT]) -> [Hash; COUNT] {
    let messages: [[u8; 64]; COUNT] = pairs.map(|pair| {
        let mut message = [0; 64];
        message.copy_from_slice(pair.as_flattened());
        message
    });
    let mut hashes = hash_few(key, &messages);
    for (hash, message) in hashes.iter_mut().zip(&messages) {
        if *message == [0; 64] {
            *hash = MISSING;
        }
    }
    hashes
}

/// Appends the parents of a level's nodes.
pub(crate) fn parents(key: &ContextKey, children: &[Hash], out: &mut Vec<Hash>) {
    for some in children.chunks(2 * WIDTH) {
        let mut pairs = [[0; 64]; WIDTH];
        pairs.as_flattened_mut()[..some.len() * 32].copy_from_slice(some.as_flattened());
        let count = some.len().div_ceil(2);
        let mut references = [&[0; 64]; WIDTH];
        for (reference, pair) in references.iter_mut().zip(&pairs) {
            *reference = pair;
        }
        let hashes = derive_keys(key, &references[..count]);
        for (pair, hash) in pairs.iter().zip(hashes).take(count) {
            out.push(if *pair == [0; 64] { MISSING } else { hash });
        }
    }
}

/// The parent of two nodes.
pub(crate) fn parent(key: &ContextKey, left: &Hash, right: &Hash) -> Hash {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(left);
    pair[32..].copy_from_slice(right);
    derive_keys(key, &[&pair])[0]
}

/// The root that a leaf's path leads to: its siblings from the bottom up.
pub(crate) fn climb(key: &ContextKey, leaf: Hash, index: u64, path: &[Hash]) -> Hash {
    let step = |(node, index): (Hash, u64), sibling: &Hash| {
        let above = if index & 1 == 0 { parent(key, &node, sibling) } else { parent(key, sibling, &node) };
        (above, index >> 1)
    };
    path.iter().fold((leaf, index), step).0
}

/// All levels of a tree, for one that is small enough to be kept while paths are taken from it.
#[derive(Clone, Debug)]
pub(crate) struct Levels(Vec<Vec<Hash>>);

impl Levels {
    /// The tree over these leaves.
    pub(crate) fn new(key: &ContextKey, leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let mut above = Vec::with_capacity(below.len().div_ceil(2));
            parents(key, below, &mut above);
            levels.push(above);
        }
        Self(levels)
    }

    /// Its root; all zeros without leaves.
    pub(crate) fn root(&self) -> Hash {
        self.0.last().and_then(|top| top.first()).copied().unwrap_or(MISSING)
    }

    /// The siblings of a leaf from the bottom up.
    pub(crate) fn path(&self, index: usize) -> Vec<Hash> {
        path(&self.0, index)
    }
}

/// The siblings of a node of the lowest of these levels, from the bottom up, below the level of the root.
pub(crate) fn path(levels: &[Vec<Hash>], index: usize) -> Vec<Hash> {
    let below = levels.split_last().map(|(_, below)| below).unwrap_or_default();
    below.iter().enumerate().map(|(up, level)| level.get(index >> up ^ 1).copied().unwrap_or(MISSING)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake3::hazmat::hash_derive_key_context;

    /// The same said naively.
    fn naive(key: &ContextKey, leaves: &[Hash], width: usize) -> Hash {
        if leaves.is_empty() {
            return MISSING;
        }
        if width == 1 {
            return leaves[0];
        }
        let (left, right) = leaves.split_at(leaves.len().min(width / 2));
        parent(key, &naive(key, left, width / 2), &naive(key, right, width / 2))
    }

    #[test]
    fn trees_are_what_they_are_said_to_be_and_every_path_leads_to_the_root() {
        let key = hash_derive_key_context("nostro test");
        for count in (0..70).chain([127, 128, 129, 1000]) {
            let messages: Vec<[u8; 64]> = (0..count).map(|n| [u8::try_from(n % 251).unwrap(); 64]).collect();
            let mut hashes = Vec::new();
            leaves(&key, &messages, &mut hashes);
            let levels = Levels::new(&key, hashes.clone());
            assert_eq!(levels.root(), naive(&key, &hashes, 1 << depth(count)), "{count} leaves");
            for (index, leaf) in hashes.iter().enumerate() {
                let path = levels.path(index);
                assert_eq!(path.len(), depth(count) as usize);
                assert_eq!(climb(&key, *leaf, index as u64, &path), levels.root(), "leaf {index} of {count}");
                let wrong = climb(&key, *leaf, index as u64 ^ 1, &path);
                assert!(path.is_empty() || wrong != levels.root(), "a place is part of a path");
            }
        }
    }
}
