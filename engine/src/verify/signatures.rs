//! The signatures of many transactions, gathered to be checked together.

use crate::transaction::{SignedMessage, TransactionRef};
use crate::types::Address;
use nostro_ed25519::Item;

/// Signatures to be checked together, each with the place of its transaction and of its signer.
#[derive(Default)]
pub(crate) struct Signatures<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) hints: Vec<Option<&'a [u8; 32]>>,
    places: Vec<(usize, u8)>,
}

impl<'a> Signatures<'a> {
    pub(super) fn reserve(&mut self, count: usize) {
        self.items.reserve(count);
        self.hints.reserve(count);
        self.places.reserve(count);
    }

    /// Takes those of a transaction. The next of `keys` are those that signed it, the next of `hints` those of its signatures, if it has
    /// any.
    #[inline]
    pub(super) fn gather(
        &mut self,
        transaction: TransactionRef<'a>,
        place: usize,
        message: &'a SignedMessage,
        keys: &mut impl Iterator<Item = &'a Address>,
        hints: &mut impl Iterator<Item = &'a [u8; 32]>,
    ) {
        for (signer, (signature, key)) in (0_u8..).zip(transaction.signatures().zip(keys)) {
            self.items.push(Item { key: &key.0, message, signature });
            self.hints.push(hints.next());
            self.places.push((place, signer));
        }
    }

    /// Those that aren't valid.
    pub(super) fn check(&self, verify: impl FnOnce(&Self, &mut [bool])) -> Vec<(usize, u8)> {
        let mut verdicts = vec![false; self.items.len()];
        verify(self, &mut verdicts);
        self.places.iter().zip(&verdicts).filter(|&(_, &valid)| !valid).map(|(&place, _)| place).collect()
    }
}
