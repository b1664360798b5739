//! Markets: what operations ask of books, and how orders trade.

use super::context::Context;
use super::entries::{Entry, MarketState, OrderState};
use super::promises::Pot;
use crate::ops::Source;
use crate::types::{Address, Amount, AssetId, Happening, MarketId, Rejection, RejectionCode, Side};

/// The most orders that wait which those of one transaction meet, or which it takes back market by market.
pub(crate) const ORDERS_MET_MAX: usize = 64;

impl Context<'_> {
    /// A market by its number.
    pub(crate) fn market(&self, market: MarketId) -> Result<&MarketState, Rejection> {
        match self.state.entries.get(market.0) {
            Some(Entry::Market(state)) => Ok(state),
            _ => Err(Rejection::new(RejectionCode::NoMarket, u64::from(market.0))),
        }
    }

    /// The number of an operator's market.
    pub(crate) fn find_market(&self, operator: &Address, base: AssetId, quote: AssetId) -> Option<u32> {
        self.state.entries.find(&MarketState::name(operator, base, quote))
    }

    /// Writes what has changed of a market.
    pub(crate) fn set_market(&mut self, market: MarketId, after: MarketState) {
        if self.market(market).is_ok_and(|before| *before != after) {
            self.change_market(market.0, after);
        }
    }

    /// What the policies of both assets have against somebody trading in them.
    pub(crate) fn check_trader(&self, market: &MarketState, trader: &Address) -> Result<(), Rejection> {
        for id in [market.base, market.quote] {
            let asset = self.asset(id)?;
            if asset.has_policy() {
                self.check_policy(asset, id, trader, trader)?;
            }
        }
        Ok(())
    }

    fn order_numbered(&self, number: u32) -> Option<OrderState> {
        match self.state.entries.get(number) {
            Some(Entry::Order(order)) => Some(*order),
            _ => None,
        }
    }

    fn order_at(&self, owner: &Address, id: u64) -> Option<(u32, OrderState)> {
        let number = self.state.entries.find(&OrderState::name(owner, id))?;
        Some((number, self.order_numbered(number)?))
    }

    /// An order that waits, with its number, unless it is over.
    pub(crate) fn order(&self, owner: &Address, id: u64) -> Option<(u32, OrderState)> {
        self.order_at(owner, id).filter(|(_, order)| !self.is_over(order.expiry))
    }

    /// Makes sure that an id is free: one that is over and still in its place is ended.
    pub(crate) fn free_order(&mut self, owner: &Address, id: u64) -> Result<(), Rejection> {
        match self.order_at(owner, id) {
            Some((number, order)) if self.is_over(order.expiry) => {
                self.end_order(number, &order);
                Ok(())
            }
            Some((number, _)) => Err(Rejection::new(RejectionCode::OrderExists, u64::from(number))),
            None => Ok(()),
        }
    }

    /// The orders that wait on a side, the best first, whether they count or not.
    pub(crate) fn orders(&self, market: MarketId, side: Side) -> impl Iterator<Item = &OrderState> {
        self.state.entries.waiting(market, side)
    }

    /// The best of them, with its number.
    pub(crate) fn first_order(&self, market: MarketId, side: Side) -> Option<(u32, OrderState)> {
        self.state.entries.first_waiting(market, side).map(|(number, order)| (number, *order))
    }

    /// Refuses a price at which an order would trade. What no longer counts is taken out of the book as it is met.
    pub(crate) fn check_crosses_nothing(&mut self, market: MarketId, side: Side, price: u64) -> Result<(), Rejection> {
        loop {
            let Some((number, order)) = self.first_order(market, side.other()) else { return Ok(()) };
            if !side.crosses(price, order.price) {
                return Ok(());
            }
            if self.orders_left() == 0 {
                return Err(Rejection::new(RejectionCode::WouldCross, price));
            }
            if self.counts(&order) {
                return Err(Rejection::new(RejectionCode::WouldCross, order.price));
            }
            self.meet();
            self.end_order(number, &order);
        }
    }

    /// How many more orders the transaction may meet.
    pub(crate) const fn orders_left(&self) -> usize {
        ORDERS_MET_MAX.saturating_sub(self.met)
    }

    /// Counts an order that was met.
    pub(crate) const fn meet(&mut self) {
        self.met = self.met.saturating_add(1);
    }

    /// The newest orders of an account in a market, the newest first.
    pub(crate) fn own_orders(&self, market: MarketId, owner: Source<'_>, most: usize) -> Vec<(u32, OrderState)> {
        let Some(slot) = owner.slot else { return Vec::new() };
        self.state.entries.owned(market, slot).take(most).map(|(number, order)| (number, *order)).collect()
    }

    /// The account whose order this is.
    fn owner_of<'b>(&self, number: u32, order: &'b OrderState) -> Source<'b> {
        Source { address: &order.owner, slot: self.state.entries.owner_slot(number) }
    }

    /// Whether an order that waits can trade now: it isn't over, and nothing stands against its owner trading.
    pub(crate) fn counts(&self, order: &OrderState) -> bool {
        let allowed = |market: &MarketState| self.check_trader(market, &order.owner).is_ok();
        !self.is_over(order.expiry) && self.market(order.market).is_ok_and(allowed)
    }

    /// Takes an order out of its book and gives back what was set aside for it; its owner is told.
    pub(crate) fn end_order(&mut self, number: u32, order: &OrderState) {
        let (asset, amount) = self.take_back(number, order);
        self.tell(order.owner, Happening::OrderEnded { order: order.id, asset, amount });
    }

    /// The same for an owner who knows; gives what was set aside.
    pub(crate) fn take_back(&mut self, number: u32, order: &OrderState) -> (AssetId, Amount) {
        let owner = self.owner_of(number, order);
        self.set_entry(number, None);
        // An order waits in a market, which is for ever.
        let Ok(market) = self.market(order.market) else { return (AssetId(0), Amount::ZERO) };
        let (asset, given) = market.given(order.side, order.quantity, order.price);
        let amount = given.unwrap_or(Amount::ZERO);
        self.give_back(owner, asset, amount);
        (asset, amount)
    }

    /// Trades some lots between the source, who takes, and an order that waits; gives the quote that was paid. Who got fees is yet to be told.
    pub(crate) fn trade(
        &mut self,
        market: &mut MarketState,
        taker: Source<'_>,
        number: u32,
        order: &OrderState,
        quantity: u64,
    ) -> Result<Amount, Rejection> {
        let base = market.base_of(quantity);
        // What waits is set aside, so there is as much of it.
        let quote = market.quote_of(quantity, order.price).unwrap_or(Amount::MAX);
        let (given, given_amount, got, got_amount) = match order.side {
            Side::Sell => (market.quote, quote, market.base, base),
            Side::Buy => (market.base, base, market.quote, quote),
        };
        self.payer(taker, given, given_amount)?;
        let left = order.quantity.saturating_sub(quantity);
        let rest = (left > 0).then(|| OrderState { quantity: left, ..*order }.into());
        let owner = self.owner_of(number, order);
        self.set_entry(number, rest);
        self.deliver(given, (taker, Pot::Available), owner, given_amount)?;
        // Rounded down; neither product leaves the range, since the points are at most 10,000.
        let points = u128::from(market.fee_basis_points);
        let fee =
            (got_amount.0 / 10_000).saturating_mul(points).saturating_add(got_amount.0 % 10_000 * points / 10_000);
        let kept = Amount(got_amount.0.saturating_sub(fee));
        self.deliver(got, (owner, Pot::Held), taker, kept)?;
        if fee > 0 {
            let collector = Source { address: &market.fee_account, slot: None };
            let collected = self.deliver(got, (owner, Pot::Held), collector, Amount(fee))?;
            self.collect(market.fee_account, got, collected);
        }
        let &OrderState { market: id, id: own, price, .. } = order;
        self.tell(order.owner, Happening::Traded { market: id, order: own, price, quantity });
        market.trades = market.trades.saturating_add(1);
        market.volume = market.volume.saturating_add(u128::from(quantity));
        market.last_price = order.price;
        Ok(quote)
    }
}
