//! Buys or sells in a market: takes what others offer at the limit or better, and waits with the rest.
//!
//! Price, then time: the best price is taken first, at a price the one that has waited longest. A trade is at the price of the order that
//! waited. What an order that waits gives is set aside. The orders of a transaction together meet at most 64 others; what is left of one that
//! could take more is gone.
//!
//! **Touches** the market and its orders, the accounts of the source and of those whose orders are met, both assets and what their
//! policies ask.
//!
//! **Goes in order**, since what it meets is what the orders before it have left. What others pay meanwhile goes by shards: of those whose orders it
//! meets it takes only what they have set aside.

use super::{Source, Touch};
use crate::state::{Context, MarketState, OrderState};
use crate::types::{Amount, AssetId, Lifetime, MarketId, Rejection, RejectionCode, SelfTrade, Side, Time};
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

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let market = *context.market(self.market)?;
        context.check_trader(&market, source.address)?;
        let (asset, given) = market.given(self.side, self.quantity, self.price);
        let worst = given.unwrap_or(Amount::MAX);
        let worst = if self.lifetime == Lifetime::Budget { self.budget.min(worst) } else { worst };
        if given.is_none() && self.lifetime != Lifetime::Budget {
            return Err(Rejection::new(RejectionCode::InsufficientFunds, u64::MAX));
        }
        let (_, _) = context.payer(source, asset, worst)?;
        context.check_expiry(self.expiry)?;
        context.free_order(source.address, self.id)?;
        match self.lifetime {
            Lifetime::PostOnly => context.check_crosses_nothing(self.market, self.side, self.price)?,
            Lifetime::FillOrKill => self.check_is_filled(source, context)?,
            _ => {}
        }
        let mut taking = Taking { market, left: self.quantity, budget: self.budget, is_cut: false };
        if self.lifetime != Lifetime::PostOnly {
            self.take(source, &mut taking, context)?;
            context.tell_collected();
        }
        self.wait(source, asset, &mut taking, context)
    }

    /// The best order that waits on the other side and is crossed.
    fn first_crossed(&self, context: &Context<'_>) -> Option<(u32, OrderState)> {
        let (number, order) = context.first_order(self.market, self.side.other())?;
        self.side.crosses(self.price, order.price).then_some((number, order))
    }

    /// Whether all of it would be taken at once.
    fn check_is_filled(&self, source: Source<'_>, context: &Context<'_>) -> Result<(), Rejection> {
        let mut left = self.quantity;
        let crossed = context.orders(self.market, self.side.other()).take(context.orders_left());
        for order in crossed.take_while(|order| self.side.crosses(self.price, order.price)) {
            let is_own = order.owner == *source.address;
            match self.self_trade {
                SelfTrade::CancelTaking if is_own => break,
                SelfTrade::CancelWaiting if is_own => {}
                _ if !context.counts(order) => {}
                _ => left = left.saturating_sub(order.quantity),
            }
        }
        if left == 0 { Ok(()) } else { Err(Rejection::new(RejectionCode::NotFilled, left)) }
    }

    fn take(&self, source: Source<'_>, taking: &mut Taking, context: &mut Context<'_>) -> Result<(), Rejection> {
        while taking.left > 0 && context.orders_left() > 0 {
            let Some((number, order)) = self.first_crossed(context) else { break };
            if !context.counts(&order) {
                context.meet();
                context.end_order(number, &order);
                continue;
            }
            if order.owner == *source.address {
                match self.self_trade {
                    SelfTrade::CancelWaiting => {
                        context.meet();
                        context.end_order(number, &order);
                    }
                    SelfTrade::CancelTaking => {
                        taking.is_cut = true;
                        break;
                    }
                    SelfTrade::Reject => return Err(Rejection::new(RejectionCode::SelfTrade, order.id)),
                }
                continue;
            }
            let mut quantity = taking.left.min(order.quantity);
            if self.lifetime == Lifetime::Budget {
                // A lot that costs more than there can be of an asset costs more than the budget.
                let one = taking.market.quote_of(1, order.price).unwrap_or(Amount::MAX);
                let afforded = taking.budget.0.checked_div(one.0).unwrap_or(0);
                quantity = quantity.min(u64::try_from(afforded).unwrap_or(u64::MAX));
                if quantity == 0 {
                    break;
                }
            }
            context.meet();
            let paid = context.trade(&mut taking.market, source, number, &order, quantity)?;
            taking.budget = Amount(taking.budget.0.saturating_sub(paid.0));
            taking.left = taking.left.saturating_sub(quantity);
        }
        Ok(())
    }

    /// Waits with the rest, if it is one that waits and nothing is left to be taken.
    fn wait(
        &self,
        source: Source<'_>,
        asset: AssetId,
        taking: &mut Taking,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        let waits = matches!(self.lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly);
        let waits = waits && taking.left > 0 && !taking.is_cut && self.first_crossed(context).is_none();
        if waits {
            let given = taking.market.given(self.side, taking.left, self.price).1;
            // All of it was there before, and what was traded cost no more than its part.
            let (slot, _) = context.payer(source, asset, given.unwrap_or(Amount::MAX))?;
            let order = OrderState {
                owner: *source.address,
                id: self.id,
                market: self.market,
                side: self.side,
                price: self.price,
                quantity: taking.left,
                priority: taking.market.take_priority(),
                expiry: self.expiry,
            };
            context.open_owned_entry(order.into(), Some(slot))?;
            context.set_aside(slot, asset, given.unwrap_or(Amount::ZERO));
        }
        context.set_market(self.market, taking.market);
        Ok(())
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
    market: MarketState,
    /// Lots.
    left: u64,
    /// What may still be spent, if there is a budget.
    budget: Amount,
    /// Whether the rest is gone.
    is_cut: bool,
}
