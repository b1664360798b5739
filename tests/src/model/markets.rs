//! The model's markets: orders in no order at all, the best one found by looking at each.

use super::entries::Entry;
use super::{Model, detail, no};
use nostro::{
    Address, Amend, Amount, AssetId, AssetPolicy, Happening, Lifetime, MarketId, MarketState, OpenMarket, Operation,
    OrderState, PlaceOrder, Rejection, RejectionCode, SelfTrade, Side,
};

/// How many orders those of a transaction meet at most.
const MET_MAX: usize = 32;

pub(super) fn encode_market(market: &MarketState, bytes: &mut Vec<u8>) {
    bytes.push(6);
    bytes.extend(market.operator.0);
    bytes.extend(market.base.0.to_le_bytes());
    bytes.extend(market.quote.0.to_le_bytes());
    bytes.extend(market.lot.to_le_bytes());
    bytes.extend(market.tick.to_le_bytes());
    bytes.extend(market.fee_basis_points.to_le_bytes());
    bytes.extend(market.fee_account.0);
    bytes.extend(market.next_priority.to_le_bytes());
    bytes.extend(market.trades.to_le_bytes());
    bytes.extend(market.volume.to_le_bytes());
    bytes.extend(market.last_price.to_le_bytes());
}

pub(super) fn encode_order(order: &OrderState, bytes: &mut Vec<u8>) {
    bytes.push(7);
    bytes.extend(order.owner.0);
    bytes.extend(order.id.to_le_bytes());
    bytes.extend(order.market.0.to_le_bytes());
    bytes.push(u8::from(order.side == Side::Sell));
    bytes.extend(order.price.to_le_bytes());
    bytes.extend(order.quantity.to_le_bytes());
    bytes.extend(order.priority.to_le_bytes());
    bytes.extend(order.expiry.map_or(0, |time| time.0).to_le_bytes());
}

/// What a quantity at a price asks for, and of which asset; `None` is more than a number holds.
fn gives(market: &MarketState, side: Side, quantity: u64, price: u64) -> (AssetId, Option<u128>) {
    let (quantity, price) = (u128::from(quantity), u128::from(price));
    match side {
        Side::Buy => (market.quote, (quantity * price).checked_mul(u128::from(market.tick))),
        Side::Sell => (market.base, Some(quantity * u128::from(market.lot))),
    }
}

fn crosses(side: Side, limit: u64, price: u64) -> bool {
    if side == Side::Buy { price <= limit } else { price >= limit }
}

impl Model {
    fn market(&self, id: MarketId) -> Result<MarketState, Rejection> {
        match self.state.table.entries.get(&id.0) {
            Some(Entry::Market(market)) => Ok(*market),
            _ => no(RejectionCode::NoMarket, u64::from(id.0)),
        }
    }

    /// The markets there are, each with its base and its quote.
    #[must_use]
    pub fn markets(&self) -> Vec<(MarketId, [AssetId; 2])> {
        let assets = |(&number, entry): (&u32, &Entry)| match entry {
            Entry::Market(market) => Some((MarketId(number), [market.base, market.quote])),
            _ => None,
        };
        self.state.table.entries.iter().filter_map(assets).collect()
    }

    /// The market in which an order waits, over or not.
    #[must_use]
    pub fn waits_in(&self, owner: Address, id: u64) -> Option<MarketId> {
        self.order(owner, id).map(|(_, order)| order.market)
    }

    pub(super) fn open_market(&mut self, source: Address, order: &OpenMarket) -> Result<(), Rejection> {
        for id in [order.base, order.quote] {
            if self.asset(id)?.policy.has(AssetPolicy::NON_TRANSFERABLE) {
                return no(RejectionCode::PolicyForbids, u64::from(AssetPolicy::NON_TRANSFERABLE.0));
            }
        }
        let known = self.state.table.find(|entry| match entry {
            Entry::Market(market) => (market.operator, market.base, market.quote) == (source, order.base, order.quote),
            _ => false,
        });
        if let Some(number) = known {
            return no(RejectionCode::MarketExists, u64::from(number));
        }
        if let Some(collector) = order.fee_account {
            self.state.open(collector);
        }
        self.state.table.add(Entry::Market(MarketState {
            operator: source,
            base: order.base,
            quote: order.quote,
            lot: order.lot,
            tick: order.tick,
            fee_basis_points: order.fee_basis_points,
            fee_account: order.fee_account.unwrap_or_default(),
            ..MarketState::default()
        }));
        Ok(())
    }

    /// Every order of a side, the best first.
    fn side(&self, market: MarketId, side: Side) -> Vec<(u32, OrderState)> {
        let mut all: Vec<(u32, OrderState)> = self
            .state
            .table
            .entries
            .iter()
            .filter_map(|(&number, entry)| match entry {
                Entry::Order(order) if (order.market, order.side) == (market, side) => Some((number, *order)),
                _ => None,
            })
            .collect();
        all.sort_by_key(|(_, order)| {
            let rank = if side == Side::Buy { u64::MAX - order.price } else { order.price };
            (rank, order.priority)
        });
        all
    }

    fn order(&self, owner: Address, id: u64) -> Option<(u32, OrderState)> {
        self.state.table.entries.iter().find_map(|(&number, entry)| match entry {
            Entry::Order(order) if (order.owner, order.id) == (owner, id) => Some((number, *order)),
            _ => None,
        })
    }

    fn trader(&self, market: &MarketState, who: Address) -> Result<(), Rejection> {
        for id in [market.base, market.quote] {
            let asset = self.asset(id)?;
            self.check_policy(&asset, id, who, who)?;
        }
        Ok(())
    }

    fn counts(&self, order: &OrderState) -> bool {
        let market = self.market(order.market).expect("an order waits in a market");
        !self.is_over(order.expiry) && self.trader(&market, order.owner).is_ok()
    }

    pub(super) fn end_order(&mut self, number: u32, order: &OrderState) {
        let (asset, amount) = self.take_back(number, order);
        self.tell(order.owner, Happening::OrderEnded { order: order.id, asset, amount: Amount(amount) });
    }

    fn take_back(&mut self, number: u32, order: &OrderState) -> (AssetId, u128) {
        let market = self.market(order.market).expect("an order waits in a market");
        let (id, given) = gives(&market, order.side, order.quantity, order.price);
        let (owner, given) = (order.owner, given.expect("it was set aside"));
        self.state.set_held(owner, id, self.state.held(&owner, id) - given);
        self.state.set_balance(owner, id, self.state.balance(&owner, id) + given);
        self.state.table.entries.remove(&number);
        (id, given)
    }

    /// The asset that an order takes of its source.
    pub(super) fn taken(&self, source: Address, order: &Operation) -> Option<AssetId> {
        let (market, side) = match order {
            Operation::Transfer(order) => return Some(order.asset),
            Operation::Hold(order) => return Some(order.asset),
            Operation::PlaceOrder(order) => (order.market, order.side),
            Operation::Amend(Amend::Change { id, .. }) => {
                let (_, order) = self.order(source, *id).filter(|(_, order)| !self.is_over(order.expiry))?;
                (order.market, order.side)
            }
            _ => return None,
        };
        let market = self.market(market).ok()?;
        Some(if side == Side::Buy { market.quote } else { market.base })
    }

    pub(super) fn set_aside_by(&self, order: &OrderState) -> (Address, AssetId, u128) {
        let market = self.market(order.market).expect("an order waits in a market");
        let (id, given) = gives(&market, order.side, order.quantity, order.price);
        (order.owner, id, given.expect("it was set aside"))
    }

    fn needs(&self, source: Address, id: AssetId, amount: u128) -> Result<(), Rejection> {
        let balance = self.state.balance(&source, id);
        if balance < amount { no(RejectionCode::InsufficientFunds, detail(amount - balance)) } else { Ok(()) }
    }

    /// Whether an order of this price would take nothing. What doesn't count any more goes.
    fn meets_nobody(&mut self, market: MarketId, side: Side, price: u64) -> Result<(), Rejection> {
        for (number, order) in self.side(market, side.other()) {
            if !crosses(side, price, order.price) {
                return Ok(());
            }
            if self.met == MET_MAX {
                return no(RejectionCode::WouldCross, price);
            }
            if self.counts(&order) {
                return no(RejectionCode::WouldCross, order.price);
            }
            self.met += 1;
            self.end_order(number, &order);
        }
        Ok(())
    }

    fn set_aside_for_order(&mut self, source: Address, id: AssetId, amount: u128) {
        self.state.set_balance(source, id, self.state.balance(&source, id) - amount);
        self.state.set_held(source, id, self.state.held(&source, id) + amount);
    }

    pub(super) fn place(&mut self, source: Address, order: &PlaceOrder) -> Result<(), Rejection> {
        let market = self.market(order.market)?;
        self.trader(&market, source)?;
        let (id, worst) = gives(&market, order.side, order.quantity, order.price);
        match (order.lifetime, worst) {
            (Lifetime::Budget, worst) => {
                self.needs(source, id, order.budget.0.min(worst.unwrap_or(u128::MAX)))?;
            }
            (_, Some(worst)) => self.needs(source, id, worst)?,
            (_, None) => return no(RejectionCode::InsufficientFunds, u64::MAX),
        }
        if self.is_over(order.expiry) {
            return no(RejectionCode::ExpiryPast, self.time.0);
        }
        if let Some((number, old)) = self.order(source, order.id) {
            if !self.is_over(old.expiry) {
                return no(RejectionCode::OrderExists, u64::from(number));
            }
            self.end_order(number, &old);
        }
        match order.lifetime {
            Lifetime::PostOnly => self.meets_nobody(order.market, order.side, order.price)?,
            Lifetime::FillOrKill => self.would_be_filled(source, order)?,
            _ => {}
        }
        let (left, cut) =
            if order.lifetime == Lifetime::PostOnly { (order.quantity, false) } else { self.take(source, order)? };
        self.tell_fees();
        let others = self.side(order.market, order.side.other());
        let still = others.first().is_some_and(|(_, best)| crosses(order.side, order.price, best.price));
        let waits = matches!(order.lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly);
        if waits && left > 0 && !cut && !still {
            let given = gives(&market, order.side, left, order.price).1.expect("less than the worst case");
            self.set_aside_for_order(source, id, given);
            let priority = self.next_priority(order.market);
            let PlaceOrder { id, market, side, price, expiry, .. } = *order;
            let waiting = OrderState { owner: source, id, market, side, price, quantity: left, priority, expiry };
            self.state.table.add(Entry::Order(waiting));
        }
        Ok(())
    }

    fn next_priority(&mut self, id: MarketId) -> u64 {
        let Some(Entry::Market(market)) = self.state.table.entries.get_mut(&id.0) else { panic!("a market") };
        market.next_priority += 1;
        market.next_priority - 1
    }

    fn would_be_filled(&self, source: Address, order: &PlaceOrder) -> Result<(), Rejection> {
        let mut left = order.quantity;
        for (_, other) in self.side(order.market, order.side.other()).into_iter().take(MET_MAX - self.met) {
            if !crosses(order.side, order.price, other.price) {
                break;
            }
            let own = other.owner == source;
            if own && order.self_trade == SelfTrade::CancelTaking {
                break;
            }
            if self.counts(&other) && !(own && order.self_trade == SelfTrade::CancelWaiting) {
                left = left.saturating_sub(other.quantity);
            }
        }
        if left > 0 { no(RejectionCode::NotFilled, left) } else { Ok(()) }
    }

    /// Takes what it can. What is left, and whether that is gone.
    fn take(&mut self, source: Address, order: &PlaceOrder) -> Result<(u64, bool), Rejection> {
        let (mut left, mut budget) = (order.quantity, order.budget.0);
        for (number, other) in self.side(order.market, order.side.other()).into_iter().take(MET_MAX - self.met) {
            if left == 0 || !crosses(order.side, order.price, other.price) {
                break;
            }
            if !self.counts(&other) {
                self.met += 1;
                self.end_order(number, &other);
                continue;
            }
            if other.owner == source {
                match order.self_trade {
                    SelfTrade::CancelWaiting => {
                        self.met += 1;
                        self.end_order(number, &other);
                    }
                    SelfTrade::CancelTaking => return Ok((left, true)),
                    SelfTrade::Reject => return no(RejectionCode::SelfTrade, other.id),
                }
                continue;
            }
            let market = self.market(order.market)?;
            let wanted = left.min(other.quantity);
            let mut quantity = wanted;
            if order.lifetime == Lifetime::Budget {
                let lot = gives(&market, Side::Buy, 1, other.price).1.unwrap_or(u128::MAX);
                quantity = quantity.min(u64::try_from(budget / lot).unwrap_or(u64::MAX));
                if quantity == 0 {
                    break;
                }
            }
            self.met += 1;
            let quote = gives(&market, Side::Buy, quantity, other.price).1.expect("it was set aside");
            let base = gives(&market, Side::Sell, quantity, 0).1.expect("it fits");
            let (given, given_amount, got, got_amount) = match order.side {
                Side::Buy => (market.quote, quote, market.base, base),
                Side::Sell => (market.base, base, market.quote, quote),
            };
            self.set_aside_for_order(source, given, given_amount);
            if quantity == other.quantity {
                self.state.table.entries.remove(&number);
            } else {
                let rest = OrderState { quantity: other.quantity - quantity, ..other };
                self.state.table.entries.insert(number, Entry::Order(rest));
            }
            let points = u128::from(market.fee_basis_points);
            let fee = got_amount / 10_000 * points + got_amount % 10_000 * points / 10_000;
            self.pay_held(source, other.owner, given, given_amount);
            self.pay_held(other.owner, source, got, got_amount - fee);
            let collected = self.pay_held(other.owner, market.fee_account, got, fee);
            if collected > 0 {
                self.state.fees.push((market.fee_account, got, collected));
            }
            let (id, own, price) = (other.market, other.id, other.price);
            self.tell(other.owner, Happening::Traded { market: id, order: own, price, quantity });
            let Some(Entry::Market(market)) = self.state.table.entries.get_mut(&order.market.0) else {
                panic!("a market")
            };
            market.trades += 1;
            market.volume += u128::from(quantity);
            market.last_price = other.price;
            left -= quantity;
            budget = budget.saturating_sub(quote);
            if quantity < wanted {
                // No budget is left for the rest of that one, which stands before all others.
                break;
            }
        }
        Ok((left, false))
    }

    pub(super) fn amend(&mut self, source: Address, order: &Amend) -> Result<(), Rejection> {
        let own = |model: &Self, id: u64| match model.order(source, id) {
            Some(found) if !model.is_over(found.1.expiry) => Ok(found),
            _ => no(RejectionCode::NoOrder, id),
        };
        match order {
            Amend::Cancel(ids) => {
                for &id in ids {
                    let (number, order) = own(self, id)?;
                    self.take_back(number, &order);
                }
            }
            Amend::CancelAll(market) => {
                self.market(*market)?;
                let mut all = self.side(*market, Side::Buy);
                all.extend(self.side(*market, Side::Sell));
                all.retain(|(_, order)| order.owner == source);
                all.sort_by_key(|&(_, order)| std::cmp::Reverse(order.priority));
                for (number, order) in all.into_iter().take(MET_MAX - self.met) {
                    self.met += 1;
                    self.end_order(number, &order);
                }
            }
            &Amend::Change { id, price, quantity } => {
                let (number, before) = own(self, id)?;
                let market = self.market(before.market)?;
                let (asset, old) = gives(&market, before.side, before.quantity, before.price);
                let (_, new) = gives(&market, before.side, quantity, price);
                let (old, new) = (old.expect("it was set aside"), new.unwrap_or(u128::MAX));
                self.needs(source, asset, new.saturating_sub(old))?;
                let keeps = price == before.price && quantity <= before.quantity;
                if !keeps {
                    self.meets_nobody(before.market, before.side, price)?;
                }
                let priority = if keeps { before.priority } else { self.next_priority(before.market) };
                let after = OrderState { price, quantity, priority, ..before };
                self.state.table.entries.insert(number, Entry::Order(after));
                let (balance, held) = (self.state.balance(&source, asset), self.state.held(&source, asset));
                self.state.set_balance(source, asset, balance + old - new);
                self.state.set_held(source, asset, held + new - old);
            }
        }
        Ok(())
    }
}
