//! Markets: what operations ask of books, and how orders trade.

use super::context::Context;
use super::entries::{Entry, MarketState, OrderState};
use super::{Asset, Slot};
use crate::ops::Source;
use crate::types::{
    Address, Amount, AssetId, AssetPolicy, AssetTerms, Happening, MarketId, Rejection, RejectionCode, Side,
};

/// The most orders that wait which those of one transaction meet, or which it takes back market by market.
pub(crate) const ORDERS_MET_MAX: usize = 32;

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

    /// Writes a market that has changed.
    pub(crate) fn set_market(&mut self, market: MarketId, after: MarketState) {
        self.change_market(market.0, after);
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

    /// An order that waits, with its number, unless it is over.
    pub(crate) fn order(&self, owner: &Address, id: u64) -> Option<(u32, OrderState)> {
        self.order_tagged(owner, id, self.state.entries.tag(&OrderState::name(owner, id)))
    }

    fn order_tagged(&self, owner: &Address, id: u64, tag: u64) -> Option<(u32, OrderState)> {
        let number = self.state.entries.find_tagged(&OrderState::name(owner, id), tag)?;
        let order = self.order_numbered(number).filter(|order| !self.is_over(order.expiry))?;
        Some((number, order))
    }

    /// The numbers of an account's orders that wait, by their ids, as many as there is room for. Several lie anywhere, so each step is made for all of
    /// them before the next.
    pub(crate) fn find_orders<const N: usize>(
        &self,
        owner: &Address,
        ids: &[u64],
        numbers: &mut [u32; N],
    ) -> Result<(), Rejection> {
        let entries = &self.state.entries;
        let mut tags = [0; N];
        for (tag, &id) in tags.iter_mut().zip(ids) {
            *tag = entries.tag(&OrderState::name(owner, id));
            entries.prefetch_name(*tag);
        }
        if ids.len() > 1 {
            tags.iter().take(ids.len()).for_each(|&tag| entries.prefetch_places(tag));
        }
        for (place, (&tag, &id)) in tags.iter().zip(ids).enumerate() {
            let (before, rest) = numbers.split_at_mut(place);
            let found = self.order_tagged(owner, id, tag).map(|(number, _)| number);
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

    /// Makes sure that an id is free: one that is over and still in its place is ended. Gives the tag by which it is going to be looked for.
    pub(crate) fn free_order(&mut self, owner: &Address, id: u64) -> Result<u64, Rejection> {
        let name = OrderState::name(owner, id);
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

    /// Makes sure that what is done can be undone if there is no place for an order in the end.
    pub(crate) fn expect_place(&mut self) {
        if self.state.entries.is_full() {
            self.begin_journal();
        }
    }

    /// Lets an order wait, for whose name there is this tag, and sets aside what it gives.
    pub(crate) fn open_order(
        &mut self,
        order: OrderState,
        (owner, tag): (Slot, u64),
        (asset, given): (AssetId, Amount),
    ) -> Result<(), Rejection> {
        self.enter_order(order, owner, tag)?;
        self.set_aside(owner, asset, given);
        Ok(())
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
            self.begin_journal();
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

    /// The numbers of an account's orders in a market, the newest first.
    pub(crate) fn own_orders(&self, market: MarketId, owner: Source<'_>, most: usize) -> Vec<u32> {
        let Some(slot) = owner.slot else { return Vec::new() };
        self.state.entries.owned(market, slot).take(most).collect()
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

    /// The same in a market of whose assets all is known.
    pub(crate) fn can_trade(&self, trades: &Trades, order: &OrderState) -> bool {
        let is_free = |traded: &Traded| {
            let Traded { id, asset, terms, .. } = traded;
            !asset.has_policy() || self.check_terms(asset, (*id, terms), &order.owner, &order.owner).is_ok()
        };
        !self.is_over(order.expiry) && is_free(&trades.given) && is_free(&trades.got)
    }

    /// Takes an order out of its book and gives back what was set aside for it; its owner is told.
    pub(crate) fn end_order(&mut self, number: u32, order: &OrderState) {
        let owner = self.owner_of(number, order);
        if let Some((asset, amount)) = self.close(number, true) {
            self.give_back(owner, asset, amount);
        }
    }

    /// The same for several of one owner's, who is told if it doesn't know. What it gets back is summed up first: mostly it is of one market.
    pub(crate) fn end_orders(&mut self, owner: Source<'_>, numbers: &[u32], is_told: bool) {
        let mut sums = [(AssetId(0), Amount::ZERO); 2];
        for &number in numbers {
            let Some((asset, amount)) = self.close(number, is_told) else { continue };
            let place = sums.iter().position(|&(own, sum)| own == asset || sum == Amount::ZERO).unwrap_or(0);
            let (own, sum) = &mut sums[place];
            if *own != asset {
                self.give_back_some(owner, *own, *sum);
                (*own, *sum) = (asset, Amount::ZERO);
            }
            // Both are part of what is issued.
            sum.0 = sum.0.saturating_add(amount.0);
        }
        sums.into_iter().for_each(|(asset, sum)| self.give_back_some(owner, asset, sum));
    }

    fn give_back_some(&mut self, owner: Source<'_>, asset: AssetId, amount: Amount) {
        if amount != Amount::ZERO {
            self.give_back(owner, asset, amount);
        }
    }

    /// Takes an order out of its book; gives what was set aside for it.
    fn close(&mut self, number: u32, is_told: bool) -> Option<(AssetId, Amount)> {
        let order = self.close_order(number)?;
        // An order waits in a market, which is for ever.
        let (asset, given) = self.market(order.market).ok()?.given(order.side, order.quantity, order.price);
        let amount = given.unwrap_or(Amount::ZERO);
        if is_told {
            self.tell(order.owner, Happening::OrderEnded { order: order.id, asset, amount });
        }
        Some((asset, amount))
    }

    /// Brings closer what trading with an order and with those behind it needs.
    pub(crate) fn bring_line(&self, number: u32) {
        if let Some(slot) = self.state.entries.owner_slot(number) {
            self.state.prefetch_further(slot);
        }
        if let Some(slot) = self.state.entries.prefetch_line(number) {
            self.state.prefetch(slot);
        }
    }

    /// Looks up what the trades of an order on this side need.
    pub(crate) fn begin_trades(&self, market: MarketState, side: Side) -> Result<Trades, Rejection> {
        let traded = |id| {
            let asset = *self.asset(id)?;
            Ok(Traded { id, asset, terms: self.terms_of(&asset, id), fee: Amount::ZERO, burnt: Amount::ZERO })
        };
        let (given, got) = match side {
            Side::Buy => (market.quote, market.base),
            Side::Sell => (market.base, market.quote),
        };
        let (given, got) = (traded(given)?, traded(got)?);
        Ok(Trades { market, given, got, paid: Amount::ZERO, kept: Amount::ZERO, collected: Amount::ZERO })
    }

    /// Trades some lots with an order that waits; gives the quote that was paid. What the taker gives and gets is summed up, and so are the fees,
    /// of which it is yet to be told who got them.
    pub(crate) fn trade(
        &mut self,
        trades: &mut Trades,
        taker: &Address,
        (number, order): (u32, &OrderState),
        quantity: u64,
    ) -> Amount {
        let Trades { market, given, got, .. } = trades;
        let base = market.base_of(quantity);
        // What waits is set aside, so there is as much of it.
        let quote = market.quote_of(quantity, order.price).unwrap_or(Amount::MAX);
        let (given_amount, got_amount) = match order.side {
            Side::Sell => (quote, base),
            Side::Buy => (base, quote),
        };
        let owner = self.owner_of(number, order);
        match order.quantity.saturating_sub(quantity) {
            0 => drop(self.close_order(number)),
            left => self.reduce_order(number, left),
        }
        let (kept, credited) = given.deliver(&order.owner, given_amount);
        self.collect_fee(given, given_amount, kept);
        // Whoever has an order that waits has an account.
        if let Some(slot) = owner.slot.or_else(|| self.find_account(owner.address)) {
            self.change_balance(slot, got.id, |before| before.delivered(got_amount));
            self.credit_some(slot, given.id, credited);
        }
        let fee = got_amount.basis_points(market.fee_basis_points);
        let got_amount = Amount(got_amount.0.saturating_sub(fee.0));
        let (kept, credited) = got.deliver(taker, got_amount);
        self.collect_fee(got, got_amount, kept);
        trades.kept.0 = trades.kept.0.saturating_add(credited.0);
        if fee != Amount::ZERO {
            let (kept, credited) = got.deliver(&market.fee_account, fee);
            self.collect_fee(got, fee, kept);
            self.collect(market.fee_account, got.id, kept);
            trades.collected.0 = trades.collected.0.saturating_add(credited.0);
        }
        trades.paid.0 = trades.paid.0.saturating_add(given_amount.0);
        let &OrderState { market: id, id: own, price, .. } = order;
        self.tell(order.owner, Happening::Traded { market: id, order: own, price, quantity });
        market.trades = market.trades.saturating_add(1);
        market.volume = market.volume.saturating_add(u128::from(quantity));
        market.last_price = order.price;
        quote
    }

    /// Enters what the trades of an order have come to; gives the market as it is now.
    pub(crate) fn end_trades(&mut self, trades: Trades, taker: Slot) -> Result<MarketState, Rejection> {
        let Trades { market, given, got, paid, kept, collected } = trades;
        self.change_balance(taker, given.id, |before| before.debited(paid));
        self.credit_some(taker, got.id, kept);
        if collected != Amount::ZERO {
            let slot = self.open_account(&market.fee_account)?;
            self.credit(slot, got.id, collected);
        }
        for Traded { id, asset, terms, fee, mut burnt } in [given, got] {
            if terms.fee_account == asset.issuer {
                burnt.0 = burnt.0.saturating_add(fee.0);
            } else if fee != Amount::ZERO {
                let slot = self.open_account(&terms.fee_account)?;
                self.credit(slot, id, fee);
            }
            if burnt != Amount::ZERO {
                let issued = self.asset(id)?.issued;
                self.set_issued(id, Amount(issued.0.saturating_sub(burnt.0)));
            }
        }
        Ok(market)
    }

    /// Enters whose an asset's fee is: what of an amount the payee doesn't keep.
    fn collect_fee(&mut self, traded: &Traded, amount: Amount, kept: Amount) {
        if kept != amount {
            self.collect(traded.terms.fee_account, traded.id, Amount(amount.0.saturating_sub(kept.0)));
        }
    }

    /// Adds to what an account can spend, unless it is nothing.
    fn credit_some(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        if amount != Amount::ZERO {
            self.credit(slot, asset, amount);
        }
    }
}

/// The trades of one order with those that wait: what was looked up for all of them, and what they have come to.
#[derive(Debug)]
pub(crate) struct Trades {
    pub(crate) market: MarketState,
    /// What the taker gives, and what it gets.
    given: Traded,
    got: Traded,
    /// How much the taker has given.
    paid: Amount,
    /// How much it has got.
    kept: Amount,
    /// How much of that went to whom the market's fees go to.
    collected: Amount,
}

/// An asset that is traded.
#[derive(Debug)]
struct Traded {
    id: AssetId,
    asset: Asset,
    terms: AssetTerms,
    /// How much its own fees have come to.
    fee: Amount,
    /// How much has come to its issuer.
    burnt: Amount,
}

impl Traded {
    /// Lets somebody have an amount, less the asset's fee: what is kept of it, and what that adds to the payee's account, which is nothing if it
    /// is the issuer.
    fn deliver(&mut self, payee: &Address, amount: Amount) -> (Amount, Amount) {
        if *payee == self.asset.issuer {
            self.burnt.0 = self.burnt.0.saturating_add(amount.0);
            return (amount, Amount::ZERO);
        }
        if !self.asset.policy.has(AssetPolicy::FEE) {
            return (amount, amount);
        }
        let fee = self.terms.fee(amount).0.min(amount.0);
        self.fee.0 = self.fee.0.saturating_add(fee);
        let kept = Amount(amount.0.saturating_sub(fee));
        (kept, kept)
    }
}
