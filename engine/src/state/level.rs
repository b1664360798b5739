//! One level of a tree: siblings side by side in one cache line, in large pages. A tree of a million leaves is larger than any cache.
//!
//! Whoever proves balances keeps a level as it is; then the next nodes that are put copy the pieces they are in.

use super::pages::Page;
use super::prefetch::prefetch;
use crate::arena::{Arena, Piece};
use crate::merkle::{Hash, MISSING};

/// Pairs of a piece: 64 KB.
const PIECE_PAIRS: usize = 1024;

/// Two siblings: what is hashed together lies together.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Pair([Hash; 2]);

const _: () = assert!(size_of::<Pair>() == 64);

/// Nodes by number, missing ones where nobody has put any.
#[derive(Debug)]
pub(super) struct Level {
    pieces: Vec<Page<Piece<Pair>>>,
    arena: Arena,
}

impl Level {
    pub(super) const fn new(arena: Arena) -> Self {
        Self { pieces: Vec::new(), arena }
    }

    /// Makes room for so many nodes.
    pub(super) fn reserve(&mut self, nodes: usize) {
        while self.pieces.len() < nodes.div_ceil(2 * PIECE_PAIRS) {
            self.pieces.push(Page::Owned(self.arena.piece(PIECE_PAIRS, |_| Pair([MISSING; 2]))));
        }
    }

    /// The level as it is now, for somebody to keep.
    pub(super) fn share(&mut self) -> Self {
        let pieces = self.pieces.iter_mut().map(|piece| Page::Shared(piece.share())).collect();
        Self { pieces, arena: self.arena.clone() }
    }

    #[inline]
    fn find(&self, pair: usize) -> Option<&Pair> {
        self.pieces.get(pair / PIECE_PAIRS)?.get().get(pair % PIECE_PAIRS)
    }

    /// A node and its sibling: the children of the node of this number in the level above.
    #[inline]
    pub(super) fn pair(&self, number: usize) -> [Hash; 2] {
        self.find(number).map_or([MISSING; 2], |pair| pair.0)
    }

    #[inline]
    pub(super) fn get(&self, number: usize) -> Hash {
        self.pair(number / 2)[number % 2]
    }

    /// Puts nodes at places for which there is room.
    #[inline]
    pub(super) fn put(&mut self, numbers: &[u32], nodes: &[Hash]) {
        for (&number, hash) in numbers.iter().zip(nodes) {
            let number = number as usize;
            let piece = self.pieces.get_mut(number / 2 / PIECE_PAIRS);
            if let Some(pair) = piece.and_then(|piece| piece.get_mut().get_mut(number / 2 % PIECE_PAIRS)) {
                pair.0[number % 2] = *hash;
            }
        }
    }

    /// Brings a node and its sibling closer.
    #[inline]
    pub(super) fn prefetch(&self, number: usize) {
        if let Some(pair) = self.find(number / 2) {
            prefetch(pair);
        }
    }
}
