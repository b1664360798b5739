//! Which accounts of a shard a block has changed, and which of their balances.
//!
//! Each shard says it of its own accounts, so that those who work on shards side by side share nothing. A bit per account, and a mark per
//! page of the words of it that aren't zero: entering costs two words, and giving back what was entered, in order and without sorting
//! accounts.
//!
//! Of its first balance an account says itself in which block it has changed, and whether any other has; here is which.

use super::Slot;
use super::layout::{Layout, Place};
use crate::types::AssetId;

/// Accounts whose bits are in one word.
const WORD: usize = u64::BITS as usize;

/// What a block has changed in a shard.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// By page: which of its words aren't zero.
    marks: Vec<u64>,
    /// As many for each page.
    words: Vec<u64>,
    /// Words for a page, as a power of two.
    words_bits: u32,
    /// Pages with a mark, in the order they got it.
    pages: Vec<u32>,
    /// Balances beside accounts' first ones, in the order they changed, some more than once.
    balances: Vec<ChangedBalance>,
}

/// A balance by its account, then its asset, as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChangedBalance(u64);

impl ChangedBalance {
    const fn new(slot: Slot, asset: AssetId) -> Self {
        Self((slot.0 as u64) << 32 | asset.0 as u64)
    }

    #[inline]
    pub(super) const fn slot(self) -> Slot {
        Slot((self.0 >> 32) as u32)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half of the number")]
    pub(super) const fn asset(self) -> AssetId {
        AssetId(self.0 as u32)
    }
}

impl Changed {
    pub(super) fn new(layout: Layout) -> Self {
        let words = layout.page_len().div_ceil(WORD);
        // A page's words are told apart by the bits of one.
        debug_assert!(words <= WORD && words.is_power_of_two());
        Self { words_bits: words.trailing_zeros(), ..Self::default() }
    }

    /// Makes room for another page.
    pub(super) fn add_page(&mut self) {
        self.marks.push(0);
        self.words.resize(self.marks.len() << self.words_bits, 0);
    }

    /// Enters an account; whether it was entered before.
    #[inline]
    pub(super) fn enter(&mut self, place: Place) -> bool {
        let word = place.offset / WORD;
        let at = (place.page << self.words_bits) + word;
        let (Some(mark), Some(bits)) = (self.marks.get_mut(place.page), self.words.get_mut(at)) else { return false };
        if *mark == 0 {
            // There are never so many pages.
            self.pages.push(u32::try_from(place.page).unwrap_or(u32::MAX));
        }
        let bit = 1 << (place.offset % WORD);
        let was_entered = *bits & bit != 0;
        *mark |= 1 << word;
        *bits |= bit;
        was_entered
    }

    /// Takes back that an account was entered: the last one.
    pub(super) fn take_back(&mut self, place: Place) {
        let word = place.offset / WORD;
        let at = (place.page << self.words_bits) + word;
        let (Some(mark), Some(bits)) = (self.marks.get_mut(place.page), self.words.get_mut(at)) else { return };
        *bits &= !(1 << (place.offset % WORD));
        if *bits == 0 {
            *mark &= !(1 << word);
        }
        if *mark == 0 {
            // It got its mark with this account, and no page got one since.
            self.pages.pop();
        }
    }

    /// Takes back that a balance was entered: the last one.
    pub(super) fn take_balance_back(&mut self, asset: AssetId) {
        let last = self.balances.pop();
        debug_assert_eq!(last.map(ChangedBalance::asset), Some(asset), "changes are taken back backwards");
    }

    /// Enters a balance that isn't its account's first one.
    #[inline]
    pub(super) fn enter_balance(&mut self, slot: Slot, asset: AssetId) {
        self.balances.push(ChangedBalance::new(slot, asset));
    }

    /// Gives the accounts of a page that have changed, ascending, as their places on it, and forgets them.
    #[inline]
    pub(super) fn drain_page(&mut self, page: usize, mut visit: impl FnMut(u32)) {
        let Some(mark) = self.marks.get_mut(page) else { return };
        for word in bits(std::mem::take(mark)) {
            let Some(own) = self.words.get_mut((page << self.words_bits) + word as usize) else { return };
            for bit in bits(std::mem::take(own)) {
                visit(word * u64::BITS + bit);
            }
        }
    }

    /// Pages of the shard on which something has changed.
    pub(super) fn pages(&self) -> &[u32] {
        &self.pages
    }

    /// Forgets which pages those were: all have been drained.
    pub(super) fn clear_pages(&mut self) {
        self.pages.clear();
    }

    /// Sorts the balances by account and asset, each once: nothing else has to be entered before somebody asks for them.
    pub(super) fn sort_balances(&mut self) {
        self.balances.sort_unstable();
        self.balances.dedup();
    }

    /// Whether any balance but first ones has changed.
    #[inline]
    pub(super) const fn has_balances(&self) -> bool {
        !self.balances.is_empty()
    }

    /// The sorted balances from an account on.
    pub(super) fn balances_from(&self, slot: Slot) -> &[ChangedBalance] {
        let start = self.balances.partition_point(|balance| balance.slot() < slot);
        self.balances.get(start..).unwrap_or_default()
    }

    /// Forgets the balances.
    pub(super) fn clear_balances(&mut self) {
        self.balances.clear();
    }
}

/// Places of the bits that are set, ascending.
#[inline]
fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then_some(word.trailing_zeros());
        word &= word.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn accounts_come_back_once_and_in_order_page_by_page() {
        for page_bits in [0, 3, 6, 10, 12] {
            let layout = Layout::new(1, page_bits);
            let mut changed = Changed::new(layout);
            (0..=20_000_u32 >> page_bits).for_each(|_| changed.add_page());
            for round in 1..4_u32 {
                let slots: BTreeSet<u32> = (0..2_000 * round).map(|n| n.wrapping_mul(2_654_435_761) % 20_000).collect();
                let all = slots.iter().map(|&slot| (slot, false)).chain(slots.iter().map(|&slot| (slot, true)));
                all.for_each(|(slot, again)| assert_eq!(changed.enter(layout.place(Slot(slot))), again));
                let mut pages = changed.pages().to_vec();
                pages.sort_unstable();
                let mut found = Vec::new();
                for page in pages {
                    changed.drain_page(page as usize, |place| found.push((page << page_bits) + place));
                }
                changed.clear_pages();
                assert!(found.iter().eq(&slots), "pages of 2^{page_bits}, round {round}");
            }
        }
    }

    #[test]
    fn what_is_taken_back_was_never_entered() {
        let layout = Layout::new(1, 7);
        let mut changed = Changed::new(layout);
        (0..4).for_each(|_| changed.add_page());
        let place = |slot| layout.place(Slot(slot));
        let kept = [3, 200, 260];
        kept.iter().for_each(|&slot| assert!(!changed.enter(place(slot))));
        // Others of the same word, of another word, and of pages that have no other.
        let tried = [4, 100, 201, 400, 500];
        for _ in 0..3 {
            tried.iter().for_each(|&slot| assert!(!changed.enter(place(slot))));
            tried.iter().rev().for_each(|&slot| changed.take_back(place(slot)));
        }
        assert_eq!(changed.pages(), [0, 1, 2]);
        assert!(!changed.enter(place(400)));
        let mut found = Vec::new();
        for page in changed.pages().to_vec() {
            changed.drain_page(page as usize, |offset| found.push((page << 7) + offset));
        }
        assert_eq!(found, [3, 200, 260, 400]);
        changed.enter_balance(Slot(3), AssetId(1));
        changed.enter_balance(Slot(200), AssetId(2));
        changed.take_balance_back(AssetId(2));
        assert_eq!(changed.balances_from(Slot(0)).len(), 1);
    }

    #[test]
    fn balances_go_to_their_own_account_each_once() {
        let mut changed = Changed::default();
        for (slot, asset) in [(7, 3), (u32::MAX, 1), (7, u32::MAX), (0, 9), (7, 3), (7, 0)] {
            changed.enter_balance(Slot(slot), AssetId(asset));
        }
        changed.sort_balances();
        let from = |slot| {
            let balances = changed.balances_from(Slot(slot)).iter();
            balances.map(|balance| (balance.slot().0, balance.asset().0)).collect::<Vec<_>>()
        };
        let all = [(0, 9), (7, 0), (7, 3), (7, u32::MAX), (u32::MAX, 1)];
        assert_eq!((from(0).as_slice(), from(1).as_slice(), from(8).as_slice()), (&all[..], &all[1..], &all[4..]));
    }
}
