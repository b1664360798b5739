//! Which balances a block has changed.

use super::Slot;
use super::account::NO_ASSET;
use crate::types::{Amount, AssetId};

/// Balances in the order they changed, some of them more than once; in order when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct ChangedBalances {
    entries: Vec<Entry>,
    /// The same, as shards have found it out, until somebody asks.
    parts: Vec<Vec<Entry>>,
    is_sorted: bool,
}

/// The slot above the asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u64);

impl Entry {
    #[inline]
    fn new(slot: Slot, asset: AssetId) -> Self {
        Self(u64::from(slot.0) << 32 | u64::from(asset.0))
    }

    #[inline]
    pub(super) const fn slot(self) -> Slot {
        Slot((self.0 >> 32) as u32)
    }

    fn asset(self) -> AssetId {
        AssetId(u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or(u32::MAX))
    }
}

impl ChangedBalances {
    #[inline]
    pub(super) fn enter(&mut self, slot: Slot, asset: AssetId) {
        self.entries.push(Entry::new(slot, asset));
    }

    /// Takes what a shard has found out; leaves memory for the next block.
    pub(super) fn take_part(&mut self, part: &mut Vec<Entry>) {
        if !part.is_empty() {
            let capacity = part.capacity();
            self.parts.push(std::mem::replace(part, Vec::with_capacity(capacity)));
        }
    }

    /// The assets whose balances have changed of one account, ascending. The first who asks pays for the sorting; hardly any block
    /// has anyone who asks.
    pub(super) fn of(&mut self, slot: Slot) -> impl Iterator<Item = AssetId> {
        if !self.is_sorted {
            for part in self.parts.drain(..) {
                self.entries.extend(part.into_iter().filter(|entry| entry.asset() != NO_ASSET));
            }
            self.entries.sort_unstable();
            self.entries.dedup();
            self.is_sorted = true;
        }
        let start = self.entries.partition_point(|&entry| entry.slot() < slot);
        let own = self.entries.get(start..).unwrap_or_default().iter().take_while(move |&&entry| entry.slot() == slot);
        own.map(|&entry| entry.asset())
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.parts.clear();
        self.is_sorted = false;
    }
}

/// What a block has changed in one shard. Put together with the other shards' by `Changes::take_part`.
#[derive(Debug, Default)]
pub(crate) struct ChangedPart {
    /// In the order they changed; `NO_ASSET` where only the window has.
    pub(super) entries: Vec<Entry>,
    /// Credits less debits, modulo 2¹²⁸. An asset may come more than once.
    pub(super) flows: Vec<(AssetId, u128)>,
}

impl ChangedPart {
    /// A sequence was used up and nothing else.
    #[inline]
    pub(crate) fn used(&mut self, slot: Slot) {
        self.entries.push(Entry::new(slot, NO_ASSET));
    }

    /// An account has paid.
    #[inline]
    pub(crate) fn debited(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.entries.push(Entry::new(slot, asset));
        let flow = self.flow(asset);
        *flow = flow.wrapping_sub(amount.0);
    }

    /// An account was paid.
    #[inline]
    pub(crate) fn credited(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.entries.push(Entry::new(slot, asset));
        let flow = self.flow(asset);
        *flow = flow.wrapping_add(amount.0);
    }

    /// The sum of the asset that moved last is at hand.
    #[inline]
    fn flow(&mut self, asset: AssetId) -> &mut u128 {
        if self.flows.last().is_none_or(|&(last, _)| last != asset) {
            self.flows.push((asset, 0));
        }
        let last = self.flows.len() - 1;
        &mut self.flows[last].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_given_once_and_in_order_to_its_own_account() {
        let mut changed = ChangedBalances::default();
        for round in 0..2 {
            for (slot, asset) in [(7, 3), (u32::MAX, 1), (7, u32::MAX), (0, 9), (7, 3), (7, 0)] {
                changed.enter(Slot(slot), AssetId(asset));
            }
            let mut of = |slot| changed.of(Slot(slot)).map(|asset| asset.0).collect::<Vec<_>>();
            assert_eq!(of(7), [0, 3, u32::MAX], "round {round}");
            assert_eq!((of(0), of(u32::MAX), of(8)), (vec![9], vec![1], vec![]));
            changed.clear();
            assert_eq!(changed.of(Slot(7)).count(), 0);
            changed.clear();
        }
    }
}
