//! Which accounts of a shard are contended, and which are credited: positions by slot, and nothing else.

use crate::state::Slot;
use std::collections::BTreeMap;

/// From which position on an account is contended. Hardly any account of a block is.
#[derive(Debug, Default)]
pub(super) struct Contended(BTreeMap<u32, u32>);

impl Contended {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Positions come in ascending order, so that the first one stays.
    pub(super) fn enter(&mut self, slot: Slot, position: u32) {
        self.0.entry(slot.0).or_insert(position);
    }

    #[inline]
    pub(super) fn from(&self, slot: Slot) -> Option<u32> {
        if self.0.is_empty() { None } else { self.0.get(&slot.0).copied() }
    }
}

/// Where accounts are first credited, found out when somebody asks: whoever has money never does.
#[derive(Debug, Default)]
pub(super) struct Credited {
    /// By slot, then position.
    credits: Vec<(u32, u32)>,
    is_known: bool,
}

impl Credited {
    pub(super) fn clear(&mut self) {
        self.credits.clear();
        self.is_known = false;
    }

    /// Whether an account may be credited before a position; `credits` are all there may be.
    pub(super) fn is_before<I: Iterator<Item = (Slot, u32)>>(
        &mut self,
        slot: Slot,
        position: u32,
        credits: impl FnOnce() -> I,
    ) -> bool {
        if !self.is_known {
            self.credits.extend(credits().map(|(slot, position)| (slot.0, position)));
            self.credits.sort_unstable();
            self.is_known = true;
        }
        let first = self.credits.partition_point(|&(other, _)| other < slot.0);
        self.credits.get(first).is_some_and(|&(other, first)| other == slot.0 && first < position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_counts() {
        let mut contended = Contended::default();
        assert_eq!(contended.from(Slot(3)), None);
        for (slot, position) in [(3, 5), (7, 6), (3, 9)] {
            contended.enter(Slot(slot), position);
        }
        assert_eq!([3, 7, 5].map(|slot| contended.from(Slot(slot))), [Some(5), Some(6), None]);
        contended.clear();
        assert_eq!(contended.from(Slot(3)), None);
    }

    #[test]
    fn only_an_earlier_credit_to_the_same_account_counts() {
        let mut credited = Credited::default();
        let credits = || [(8, 2), (3, 5), (8, 9), (1, 0)].into_iter().map(|(slot, position)| (Slot(slot), position));
        for (slot, position, expected) in
            [(3, 5, false), (3, 6, true), (8, 2, false), (8, 3, true), (8, 99, true), (2, 99, false), (9, 99, false)]
        {
            assert_eq!(credited.is_before(Slot(slot), position, credits), expected, "{slot} before {position}");
        }
        credited.clear();
        assert!(!credited.is_before(Slot(3), 6, std::iter::empty));
    }
}
