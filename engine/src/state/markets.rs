//! The ledger's own book: orders, books and balances as a transaction finds them in order.

use super::book::{Book, ORDERS_MET_MAX, Trades};
use super::context::Context;
use super::entries::{Entry, MarketState, OrderState};
use super::{Asset, Slot};
use crate::ops::Source;
use crate::types::{Address, Amount, AssetId, AssetTerms, Happening, MarketId, Rejection, RejectionCode, Side, Time};

impl Context<'_> {
    /// The number of an operator's market.
    pub(crate) fn find_market(&self, operator: &Address, base: AssetId, quote: AssetId) -> Option<u32> {
        self.state.entries.find(&MarketState::name(operator, base, quote))
    }

    fn order_numbered(&self, number: u32) -> Option<OrderState> {
        match self.state.entries.get(number) {
            Some(Entry::Order(order)) => Some(*order),
            _ => None,
        }
    }

    fn order_tagged(&self, owner: &Address, id: u64, tag: u64) -> Option<(u32, OrderState)> {
        let number = self.state.entries.find_tagged(&OrderState::name(owner, id), tag)?;
        let order = self.order_numbered(number).filter(|order| !self.is_over(order.expiry))?;
        Some((number, order))
    }
}

impl Book for Context<'_> {
    #[inline]
    fn time(&self) -> Time {
        self.scene.time
    }

    #[inline]
    fn asset(&self, asset: AssetId) -> Result<&Asset, Rejection> {
        Context::asset(self, asset)
    }

    fn terms_of(&self, asset: &Asset, id: AssetId) -> AssetTerms {
        Context::terms_of(self, asset, id)
    }

    fn market(&self, market: MarketId) -> Result<&MarketState, Rejection> {
        match self.state.entries.get(market.0) {
            Some(Entry::Market(state)) => Ok(state),
            _ => Err(Rejection::new(RejectionCode::NoMarket, u64::from(market.0))),
        }
    }

    fn set_market(&mut self, market: MarketId, after: MarketState) {
        self.change_market(market.0, after);
    }

    fn check_trader(&self, market: &MarketState, trader: &Address) -> Result<(), Rejection> {
        for id in [market.base, market.quote] {
            let asset = self.asset(id)?;
            if asset.has_policy() {
                self.check_policy(asset, id, trader, trader)?;
            }
        }
        Ok(())
    }

    fn can_trade(&self, trades: &Trades, order: &OrderState) -> bool {
        let is_free = |(id, asset, terms): (AssetId, &Asset, &AssetTerms)| {
            !asset.has_policy() || self.check_terms(asset, (id, terms), &order.owner, &order.owner).is_ok()
        };
        !self.is_over(order.expiry) && trades.assets().into_iter().all(is_free)
    }

    #[inline]
    fn source(&self, source: Source<'_>, asset: AssetId, amount: Amount) -> Result<Slot, Rejection> {
        self.payer(source, asset, amount).map(|(slot, _)| slot)
    }

    fn owner_of<'b>(&self, number: u32, order: &'b OrderState) -> Source<'b> {
        Source { address: &order.owner, slot: self.state.entries.owner_slot(number) }
    }

    fn own_order(&self, owner: Source<'_>, id: u64) -> Option<(u32, OrderState)> {
        let tag = self.state.entries.tag(&OrderState::name(owner.address, id));
        self.order_tagged(owner.address, id, tag)
    }

    /// Several lie anywhere, so each step is made for all of them before the next.
    fn find_orders<const N: usize>(
        &self,
        owner: Source<'_>,
        ids: &[u64],
        numbers: &mut [u32; N],
    ) -> Result<(), Rejection> {
        let entries = &self.state.entries;
        let mut tags = [0; N];
        for (tag, &id) in tags.iter_mut().zip(ids) {
            *tag = entries.tag(&OrderState::name(owner.address, id));
            entries.prefetch_name(*tag);
        }
        if ids.len() > 1 {
            tags.iter().take(ids.len()).for_each(|&tag| entries.prefetch_places(tag));
        }
        for (place, (&tag, &id)) in tags.iter().zip(ids).enumerate() {
            let (before, rest) = numbers.split_at_mut(place);
            let found = self.order_tagged(owner.address, id, tag).map(|(number, _)| number);
            // What was named before is gone by then.
            let Some(number) = found.filter(|number| !before.contains(number)) else {
                return Err(Rejection::new(RejectionCode::NoOrder, id));
            };
            if let Some(next) = rest.first_mut() {
                *next = number;
            }
            if ids.len() > 1 {
                entries.prefetch_neighbours(number);
            }
        }
        Ok(())
    }

    fn own_orders(&mut self, market: MarketId, owner: Source<'_>, most: usize) -> Vec<u32> {
        let Some(slot) = owner.slot else { return Vec::new() };
        self.state.entries.owned(market, slot).take(most).collect()
    }

    fn free_order(&mut self, owner: Source<'_>, id: u64) -> Result<u64, Rejection> {
        let name = OrderState::name(owner.address, id);
        let tag = self.state.entries.tag(&name);
        let Some(number) = self.state.entries.find_tagged(&name, tag) else { return Ok(tag) };
        match self.order_numbered(number) {
            Some(order) if self.is_over(order.expiry) => {
                self.begin_journal();
                self.end_order(number, &order);
                Ok(tag)
            }
            _ => Err(Rejection::new(RejectionCode::OrderExists, u64::from(number))),
        }
    }

    fn first_order(&self, market: MarketId, side: Side) -> Option<(u32, OrderState)> {
        self.state.entries.first_waiting(market, side).map(|(number, order)| (number, *order))
    }

    fn orders(&self, market: MarketId, side: Side) -> impl Iterator<Item = OrderState> {
        self.state.entries.waiting(market, side).copied()
    }

    fn orders_left(&self) -> usize {
        ORDERS_MET_MAX.saturating_sub(self.met)
    }

    fn meet(&mut self) {
        self.met = self.met.saturating_add(1);
    }

    fn expect_place(&mut self) {
        if self.state.entries.is_full() {
            self.begin_journal();
        }
    }

    fn begin_journal(&mut self) {
        Context::begin_journal(self);
    }

    fn enter_order(&mut self, order: OrderState, owner: Slot, tag: u64) -> Result<u32, Rejection> {
        let opened = self.state.entries.open_order(order, owner, tag);
        self.record_opened(opened)
    }

    fn close_order(&mut self, number: u32) -> Option<OrderState> {
        self.keep_before(number);
        self.state.entries.close_order(number)
    }

    fn reduce_order(&mut self, number: u32, left: u64) {
        self.keep_before(number);
        self.state.entries.reduce_order(number, left);
    }

    fn replace_order(&mut self, number: u32, after: OrderState) {
        self.set_entry(number, Some(after.into()));
    }

    fn bring_line(&self, number: u32) {
        if let Some(slot) = self.state.entries.owner_slot(number) {
            self.state.prefetch_further(slot);
        }
        if let Some(slot) = self.state.entries.prefetch_line(number) {
            self.state.prefetch(slot);
        }
    }

    #[inline]
    fn credit(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        Context::credit(self, slot, asset, amount);
    }

    fn debit(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.change_balance(slot, asset, |before| before.debited(amount));
    }

    fn deliver_held(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.change_balance(slot, asset, |before| before.delivered(amount));
    }

    #[inline]
    fn set_aside(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        Context::set_aside(self, slot, asset, amount);
    }

    #[inline]
    fn give_back(&mut self, owner: Source<'_>, asset: AssetId, amount: Amount) {
        Context::give_back(self, owner, asset, amount);
    }

    fn burn(&mut self, asset: AssetId, amount: Amount) -> Result<(), Rejection> {
        let issued = self.asset(asset)?.issued;
        self.set_issued(asset, Amount(issued.0.saturating_sub(amount.0)));
        Ok(())
    }

    fn find_account(&self, address: &Address) -> Option<Slot> {
        Context::find_account(self, address)
    }

    fn open_account(&mut self, address: &Address) -> Result<Slot, Rejection> {
        Context::open_account(self, address)
    }

    fn tell(&mut self, account: Address, what: Happening) {
        Context::tell(self, account, what);
    }

    fn collect(&mut self, account: Address, asset: AssetId, amount: Amount) {
        Context::collect(self, account, asset, amount);
    }

    fn tell_collected(&mut self) {
        Context::tell_collected(self);
    }
}
