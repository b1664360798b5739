//! The books of all markets: which order comes first, and which orders an account has. They follow from the entries.
//!
//! # Cost
//!
//! Entering, removing and finding the best are logarithmic in the number of orders, whatever their prices.

use super::market::{BookKey, OrderState};
use crate::types::{Address, MarketId, Side};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Books {
    /// In the order in which they are taken.
    ranked: BTreeMap<BookKey, u32>,
    owned: BTreeSet<(MarketId, Address, u32)>,
}

impl Books {
    pub(super) fn insert(&mut self, order: &OrderState, number: u32) {
        self.ranked.insert(order.book_key(), number);
        self.owned.insert((order.market, order.owner, number));
    }

    pub(super) fn remove(&mut self, order: &OrderState, number: u32) {
        self.ranked.remove(&order.book_key());
        self.owned.remove(&(order.market, order.owner, number));
    }

    /// The orders of a side, the best first.
    pub(super) fn side(&self, market: MarketId, side: Side) -> impl Iterator<Item = u32> {
        let all = (market, side, 0, 0)..=(market, side, u64::MAX, u64::MAX);
        self.ranked.range(all).map(|(_, &number)| number)
    }

    /// The orders of an account in a market, by number.
    pub(super) fn owned(&self, market: MarketId, owner: &Address) -> impl Iterator<Item = u32> {
        let all = (market, *owner, 0)..=(market, *owner, u32::MAX);
        self.owned.range(all).map(|&(_, _, number)| number)
    }
}
