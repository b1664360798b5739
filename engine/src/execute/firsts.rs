//! Where something first happens to each account of a block: positions by slot, and nothing else.

use crate::state::Slot;
use std::collections::BTreeMap;

/// Places looked at beside an account's own before it goes elsewhere, so that slots chosen to meet in one place make nothing slow.
const PROBES: usize = 8;

/// Places that are kept for the next time however few were needed.
const KEPT_MAX: usize = 1024;

/// A place where nothing is; no account has that slot.
const NOTHING: u64 = u64::MAX;

/// The first position of every account that was entered.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    /// Slot above position, at most half full; a power of two.
    table: Vec<u64>,
    len: usize,
    /// What found no place in the table.
    rest: BTreeMap<u32, u32>,
}

impl Firsts {
    /// Forgets all, and memory that is far more than was needed: so this takes no longer than what was entered did.
    pub(super) fn clear(&mut self) {
        if self.len > 0 {
            if self.table.len() > KEPT_MAX.max(self.len.saturating_mul(16)) {
                self.table = Vec::new();
            }
            self.table.fill(NOTHING);
            self.rest.clear();
            self.len = 0;
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Enters a position of an account; the lowest stays.
    pub(super) fn enter(&mut self, slot: Slot, position: u32) {
        if (self.len + 1) * 2 > self.table.len() {
            self.grow();
        }
        let own = u64::from(slot.0) << 32 | u64::from(position);
        for place in places(self.table.len(), slot) {
            let there = &mut self.table[place];
            if *there == NOTHING {
                *there = own;
                self.len += 1;
                return;
            }
            if *there >> 32 == u64::from(slot.0) {
                *there = own.min(*there);
                return;
            }
        }
        self.rest.entry(slot.0).and_modify(|first| *first = position.min(*first)).or_insert(position);
    }

    /// The first position of an account.
    #[inline]
    pub(super) fn of(&self, slot: Slot) -> Option<u32> {
        if self.is_empty() { None } else { self.find(slot) }
    }

    fn find(&self, slot: Slot) -> Option<u32> {
        for place in places(self.table.len(), slot) {
            let there = self.table[place];
            if there == NOTHING {
                return None;
            }
            if there >> 32 == u64::from(slot.0) {
                return u32::try_from(there & u64::from(u32::MAX)).ok();
            }
        }
        self.rest.get(&slot.0).copied()
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![NOTHING; (self.table.len() * 2).max(64)];
        let before = std::mem::replace(&mut self.table, larger);
        let rest = std::mem::take(&mut self.rest);
        self.len = 0;
        for entry in before.into_iter().filter(|&entry| entry != NOTHING) {
            let (slot, position) = (entry >> 32, entry & u64::from(u32::MAX));
            // Both are halves of a word.
            self.enter(Slot(u32::try_from(slot).unwrap_or(0)), u32::try_from(position).unwrap_or(0));
        }
        rest.into_iter().for_each(|(slot, position)| self.enter(Slot(slot), position));
    }
}

/// In place of an account: the name of an entry, by its tag. Others may come to the same.
pub(super) fn by_tag(tag: u64) -> Slot {
    Slot(u32::try_from(tag >> 33).unwrap_or(0))
}

/// Where an account may stand in a table of a size.
#[inline]
fn places(size: usize, slot: Slot) -> impl Iterator<Item = usize> {
    let mixed = u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let home = usize::try_from(mixed).unwrap_or(0);
    (0..PROBES).map(move |step| (home + step) & (size.wrapping_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_counts_however_many_accounts_there_are_and_wherever_they_meet() {
        let mut firsts = Firsts::default();
        assert_eq!((firsts.of(Slot(3)), firsts.is_empty()), (None, true));
        // Some that come close, and a hundred whose places are alike in any table they need.
        let alike =
            (0..u32::MAX).filter(|&n| places(1 << 32, Slot(n)).next().is_some_and(|place| place % (1 << 14) == 7));
        for slots in [(0..9_000).collect::<Vec<u32>>(), alike.take(100).collect()] {
            for round in 0..2 {
                let mut naive = BTreeMap::new();
                for (n, &slot) in slots.iter().chain(&slots).enumerate() {
                    let position = u32::try_from(n).unwrap() * 7_919 % 20_000;
                    firsts.enter(Slot(slot), position);
                    naive.entry(slot).and_modify(|first: &mut u32| *first = position.min(*first)).or_insert(position);
                }
                for slot in (0..10_000).chain(slots.iter().copied()) {
                    assert_eq!(firsts.of(Slot(slot)), naive.get(&slot).copied(), "round {round}, slot {slot}");
                }
                firsts.clear();
                assert!(slots.iter().all(|&slot| firsts.of(Slot(slot)).is_none()));
            }
        }
    }

    #[test]
    fn what_was_needed_once_is_not_gone_through_for_ever() {
        let mut firsts = Firsts::default();
        (0..100_000).for_each(|slot| firsts.enter(Slot(slot), slot));
        firsts.clear();
        assert!(firsts.is_empty() && firsts.of(Slot(7)).is_none());
        firsts.enter(Slot(7), 1);
        firsts.clear();
        assert!(firsts.table.len() <= KEPT_MAX, "{}", firsts.table.len());
        firsts.enter(Slot(7), 2);
        assert_eq!((firsts.of(Slot(7)), firsts.of(Slot(8))), (Some(2), None));
    }
}
