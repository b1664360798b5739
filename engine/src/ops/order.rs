//! Buys or sells in a market: takes what others offer at the limit or better, and waits with the rest.
//!
//! Price, then time: the best price is taken first, at a price the one that has waited longest. A trade is at the price of the order that
//! waited. What an order that waits gives is set aside. The orders of a transaction together meet at most 32 others; what is left of one that
//! could take more is gone.
//!
//! **Touches** the market and its orders, the accounts of the source and of those whose orders are met, both assets and what their
//! policies ask.
//!
//! **Goes by market**, in order there, since what it meets is what the orders before it have left; other markets go beside it, and what others pay goes
//! by shards: of those whose orders it meets it takes only what they have set aside. Among all that is ordered it goes if its account may not be able to
//! pay, or if its market does from an earlier one on (see `execute/messages.rs`).

use super::{Source, Touch};
use crate::state::{Book, MarketState, ORDERS_MET_MAX, OrderState, Slot, Trades};
use crate::types::{Address, Amount, Lifetime, MarketId, Rejection, RejectionCode, SelfTrade, Side, Time};
use crate::wire::{Malformed, Reader};

/// An order to buy or to sell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Where.
    pub market: MarketId,
    /// A number of the source's own. Free again when the order has gone.
    pub id: u64,
    /// Whether the base is bought or sold.
    pub side: Side,
    /// The worst price, in ticks per lot; not 0.
    pub price: u64,
    /// How many lots; not 0.
    pub quantity: u64,
    /// How long it waits.
    pub lifetime: Lifetime,
    /// What happens when it meets another of the same account.
    pub self_trade: SelfTrade,
    /// The last block time at which it can trade. Only of one that waits.
    pub expiry: Option<Time>,
    /// How much of the quote may be spent; zero but for [`Lifetime::Budget`].
    pub budget: Amount,
}

impl PlaceOrder {
    pub(crate) const CODE: u8 = 8;
    pub(crate) const BYTES: usize = 64;

    pub(crate) fn apply(&self, source: Source<'_>, book: &mut impl Book) -> Result<(), Rejection> {
        let market = *book.market(self.market)?;
        book.check_trader(&market, source.address)?;
        let (asset, given) = market.given(self.side, self.quantity, self.price);
        let worst = given.unwrap_or(Amount::MAX);
        let worst = if self.lifetime == Lifetime::Budget { self.budget.min(worst) } else { worst };
        if given.is_none() && self.lifetime != Lifetime::Budget {
            return Err(Rejection::new(RejectionCode::InsufficientFunds, u64::MAX));
        }
        let slot = book.source(source, asset, worst)?;
        book.check_expiry(self.expiry)?;
        let tag = book.free_order(source, self.id)?;
        if self.lifetime == Lifetime::PostOnly {
            book.check_crosses_nothing(self.market, self.side, self.price)?;
        }
        let mut taking = Taking { left: self.quantity, budget: self.budget, waits: self.waits() };
        if taking.waits {
            book.expect_place();
        }
        let takes = self.lifetime == Lifetime::FillOrKill || self.first_crossed(book).is_some();
        let mut market = if takes { self.take((source, slot), market, &mut taking, book)? } else { market };
        if taking.waits && taking.left > 0 {
            // All of it was there before, and what was traded cost no more than its part.
            let given = market.given(self.side, taking.left, self.price).1.unwrap_or(Amount::ZERO);
            let order = self.waiting(source.address, taking.left, market.take_priority());
            book.set_market(self.market, market);
            book.open_order(order, (slot, tag), (asset, given))?;
        } else if taking.left < self.quantity {
            book.set_market(self.market, market);
        }
        Ok(())
    }

    /// Whether it is one that waits.
    const fn waits(&self) -> bool {
        matches!(self.lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly)
    }

    /// What waits of it.
    const fn waiting(&self, owner: &Address, left: u64, priority: u64) -> OrderState {
        let Self { market, id, side, price, expiry, .. } = *self;
        OrderState { owner: *owner, id, market, side, price, quantity: left, priority, expiry }
    }

    /// The best order that waits on the other side and is crossed.
    fn first_crossed(&self, book: &impl Book) -> Option<(u32, OrderState)> {
        let (number, order) = book.first_order(self.market, self.side.other())?;
        self.side.crosses(self.price, order.price).then_some((number, order))
    }

    /// Whether all of it would be taken at once; gives which of those that are met then count.
    fn check_is_filled(&self, source: Source<'_>, trades: &Trades, book: &impl Book) -> Result<Known, Rejection> {
        let mut left = self.quantity;
        let mut known = Known::default();
        let crossed = book.orders(self.market, self.side.other()).take(book.orders_left());
        for order in crossed.take_while(|order| self.side.crosses(self.price, order.price)) {
            let is_own = order.owner == *source.address;
            if is_own && self.self_trade == SelfTrade::CancelTaking {
                break;
            }
            let counts = book.can_trade(trades, &order);
            known.push(counts);
            if counts && !(is_own && self.self_trade == SelfTrade::CancelWaiting) {
                left = left.saturating_sub(order.quantity);
            }
            if left == 0 {
                return Ok(known);
            }
        }
        Err(Rejection::new(RejectionCode::NotFilled, left))
    }

    /// Refuses to meet one of its own, for an order that would rather not be.
    fn check_meets_no_own(&self, source: Source<'_>, trades: &Trades, book: &impl Book) -> Result<(), Rejection> {
        let (mut left, mut budget) = (self.quantity, self.budget);
        let crossed = book.orders(self.market, self.side.other()).take(book.orders_left());
        for order in crossed.take_while(|order| self.side.crosses(self.price, order.price)) {
            if left == 0 {
                break;
            }
            if !book.can_trade(trades, &order) {
                continue;
            }
            if order.owner == *source.address {
                return Err(Rejection::new(RejectionCode::SelfTrade, order.id));
            }
            let most = left.min(order.quantity);
            if self.affords(&trades.market, budget, (most, order.price)) < most {
                // It stays the first.
                break;
            }
            let paid = trades.market.quote_of(most, order.price).unwrap_or(Amount::MAX);
            budget = Amount(budget.0.saturating_sub(paid.0));
            left = left.saturating_sub(most);
        }
        Ok(())
    }

    /// How many of so many lots at a price it can pay for.
    fn affords(&self, market: &MarketState, budget: Amount, (quantity, price): (u64, u64)) -> u64 {
        if self.lifetime != Lifetime::Budget {
            return quantity;
        }
        // A lot that costs more than there can be of an asset costs more than the budget.
        let one = market.quote_of(1, price).unwrap_or(Amount::MAX);
        let afforded = budget.0.checked_div(one.0).unwrap_or(0);
        quantity.min(u64::try_from(afforded).unwrap_or(u64::MAX))
    }

    /// Takes what it can; gives the market after that.
    fn take(
        &self,
        (source, slot): (Source<'_>, Slot),
        market: MarketState,
        taking: &mut Taking,
        book: &mut impl Book,
    ) -> Result<MarketState, Rejection> {
        let mut trades = book.begin_trades(market, self.side)?;
        let mut known = match self.lifetime {
            Lifetime::FillOrKill => self.check_is_filled(source, &trades, book)?,
            _ => Known::default(),
        };
        if self.self_trade == SelfTrade::Reject {
            self.check_meets_no_own(source, &trades, book)?;
        }
        while taking.left > 0 {
            let Some((number, order)) = self.first_crossed(book) else { break };
            if book.orders_left() == 0 {
                taking.waits = false;
                break;
            }
            book.bring_line(number);
            let counts = known.next().unwrap_or_else(|| book.can_trade(&trades, &order));
            let is_own = order.owner == *source.address;
            if !counts || is_own && self.self_trade == SelfTrade::CancelWaiting {
                book.meet();
                book.end_order(number, &order);
                continue;
            }
            if is_own {
                taking.waits = false;
                break;
            }
            let quantity = self.affords(&trades.market, taking.budget, (taking.left.min(order.quantity), order.price));
            if quantity == 0 {
                break;
            }
            book.meet();
            let paid = book.trade(&mut trades, source.address, (number, &order), quantity);
            taking.budget = Amount(taking.budget.0.saturating_sub(paid.0));
            taking.left = taking.left.saturating_sub(quantity);
        }
        if taking.left == self.quantity {
            return Ok(trades.market);
        }
        let market = book.end_trades(trades, slot)?;
        book.tell_collected();
        Ok(market)
    }

    /// Its id, read from the bytes of the whole operation.
    #[inline]
    pub(super) fn peek_id(operation: &[u8]) -> Option<u64> {
        super::peek_u64(operation, 16)
    }

    /// Its market, read in the same way.
    #[inline]
    pub(super) fn peek_market(operation: &[u8]) -> Option<MarketId> {
        operation.get(8..)?.first_chunk().map(|bytes| MarketId(u32::from_le_bytes(*bytes)))
    }

    /// See [`Touch`]. Of those whose orders it meets it takes only what they have set aside.
    #[expect(clippy::unnecessary_wraps, reason = "all operations say it alike")]
    pub(super) fn touches(_: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        see(Touch::PaysAnybody);
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.side as u8, self.lifetime as u8, self.self_trade as u8, 0]);
        out.extend_from_slice(&self.market.0.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.price.to_le_bytes());
        out.extend_from_slice(&self.quantity.to_le_bytes());
        out.extend_from_slice(&self.expiry.map_or(0, |time| time.0).to_le_bytes());
        out.extend_from_slice(&self.budget.0.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field = |field, at: usize, expected, found: u64| {
            Err(Malformed::Field { field, offset: offset + at, expected, found })
        };
        let [side, lifetime, self_trade] = [reader.u8()?, reader.u8()?, reader.u8()?];
        reader.reserved::<1>()?;
        let side = match side {
            0 => Side::Buy,
            1 => Side::Sell,
            other => return field("side", 0, "0 or 1", other.into()),
        };
        let lifetime = match lifetime {
            0 => Lifetime::GoodTillCancelled,
            1 => Lifetime::ImmediateOrCancel,
            2 => Lifetime::FillOrKill,
            3 => Lifetime::PostOnly,
            4 if side == Side::Buy => Lifetime::Budget,
            other => return field("lifetime", 1, "0 to 3, or 4 to buy", other.into()),
        };
        let self_trade = match self_trade {
            0 => SelfTrade::CancelWaiting,
            1 => SelfTrade::CancelTaking,
            2 => SelfTrade::Reject,
            other => return field("self trade", 2, "0 to 2", other.into()),
        };
        let market = MarketId(reader.u32()?);
        reader.reserved::<4>()?;
        let (id, price, quantity) = (reader.u64()?, reader.u64()?, reader.u64()?);
        if price == 0 || quantity == 0 {
            return field("price and quantity", 20, "1 or more", 0);
        }
        let expiry = Some(reader.u64()?).filter(|&time| time != 0).map(Time);
        if let Some(time) = expiry
            && !matches!(lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly)
        {
            return field("expiry", 36, "0 unless it waits", time.0);
        }
        let budget = Amount(reader.u128()?);
        if (lifetime == Lifetime::Budget) != (budget != Amount::ZERO) {
            return field(
                "budget",
                44,
                "an amount with a budget, 0 without",
                u64::try_from(budget.0).unwrap_or(u64::MAX),
            );
        }
        Ok(Self { market, id, side, price, quantity, lifetime, self_trade, expiry, budget })
    }
}

/// An order on its way through the book.
struct Taking {
    /// Lots.
    left: u64,
    /// What may still be spent, if there is a budget.
    budget: Amount,
    /// Whether what is left of it waits.
    waits: bool,
}

/// Which of the first orders that are met count, as far as they were looked at before: a bit for each.
#[derive(Default)]
struct Known {
    bits: u64,
    len: u32,
    next: u32,
}

const _: () = assert!(ORDERS_MET_MAX <= u64::BITS as usize);

impl Known {
    fn push(&mut self, counts: bool) {
        self.bits |= u64::from(counts).checked_shl(self.len).unwrap_or(0);
        self.len = self.len.saturating_add(1);
    }

    /// That of the next one.
    fn next(&mut self) -> Option<bool> {
        let bit = self.bits.checked_shr(self.next)? & 1;
        self.next = self.next.saturating_add(1);
        (self.next <= self.len).then_some(bit == 1)
    }
}
