//! The books of all markets: which order comes first, and which orders an account has. They follow from the entries.
//!
//! # Cost
//!
//! Entering, removing and finding the best are logarithmic in the number of orders on a side, whatever their prices.

use super::market::OrderState;
use crate::types::{Address, MarketId, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Where an order stands on its side: the better price, then priority.
type Rank = (u64, u64);

#[derive(Debug, Default)]
pub(super) struct Books {
    /// The sides, each in the order in which its orders are taken.
    sides: BTreeMap<(MarketId, Side), BTreeMap<Rank, u32>>,
    /// Orders by market and by the beginning of their owner's address.
    owned: BTreeSet<(MarketId, u64, u32)>,
}

fn prefix(owner: &Address) -> u64 {
    owner.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Books {
    pub(super) fn insert(&mut self, order: &OrderState, number: u32) {
        self.sides.entry((order.market, order.side)).or_default().insert(order.rank(), number);
        self.owned.insert((order.market, prefix(&order.owner), number));
    }

    pub(super) fn remove(&mut self, order: &OrderState, number: u32) {
        if let Some(side) = self.sides.get_mut(&(order.market, order.side)) {
            side.remove(&order.rank());
        }
        self.owned.remove(&(order.market, prefix(&order.owner), number));
    }

    /// The orders of a side, the best first.
    pub(super) fn side(&self, market: MarketId, side: Side) -> impl Iterator<Item = u32> {
        self.sides.get(&(market, side)).into_iter().flat_map(|side| side.values().copied())
    }

    /// The orders in a market that may be an account's, by number.
    pub(super) fn owned(&self, market: MarketId, owner: &Address) -> impl Iterator<Item = u32> {
        let prefix = prefix(owner);
        self.owned.range((market, prefix, 0)..=(market, prefix, u32::MAX)).map(|&(_, _, number)| number)
    }
}
