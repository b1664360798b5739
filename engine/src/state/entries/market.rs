//! Markets and the orders that wait in them.
//!
//! ```text
//! market     6 u8, operator [32], base u32, quote u32, lot u64, tick u64, fee u16, fee account [32], next priority u64, trades u64,
//!            volume u128, last price u64
//! order      7 u8, owner [32], id u64, market u32, side u8 (0 buys, 1 sells), price u64, quantity u64, priority u64, expiry u64
//! ```

use super::Name;
use super::entry::{odd, put_time, take_time};
use crate::state::load::Unloadable;
use crate::types::{Address, Amount, AssetId, MarketId, Side, Time};
use crate::wire::Reader;

/// Where two assets are traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketState {
    /// Who has opened it.
    pub operator: Address,
    /// What is bought and sold.
    pub base: AssetId,
    /// What it is paid in.
    pub quote: AssetId,
    /// How many of the base's smallest units a lot has.
    pub lot: u64,
    /// How many of the quote's smallest units a lot costs at a price of 1.
    pub tick: u64,
    /// What whoever takes an order gives of what it gets, in hundredths of a percent, rounded down.
    pub fee_basis_points: u16,
    /// Who gets that.
    pub fee_account: Address,
    /// The priority of the next order that waits.
    pub next_priority: u64,
    /// How many trades there were.
    pub trades: u64,
    /// How many lots were traded.
    pub volume: u128,
    /// The price of the last trade; 0 before the first.
    pub last_price: u64,
}

impl MarketState {
    pub(crate) const fn name(operator: &Address, base: AssetId, quote: AssetId) -> Name<'_> {
        Name::Market { operator, base, quote }
    }

    /// The base of a quantity. Always fits: both have 64 bits.
    #[must_use]
    pub fn base_of(&self, quantity: u64) -> Amount {
        Amount(u128::from(quantity).saturating_mul(u128::from(self.lot)))
    }

    /// The quote of a quantity at a price; `None` if that is more than there can be of an asset.
    #[must_use]
    pub fn quote_of(&self, quantity: u64, price: u64) -> Option<Amount> {
        let whole = u128::from(quantity).saturating_mul(u128::from(price));
        whole.checked_mul(u128::from(self.tick)).map(Amount)
    }

    /// The asset that is given on a side, and how much of it for a quantity at a price.
    pub(crate) fn given(&self, side: Side, quantity: u64, price: u64) -> (AssetId, Option<Amount>) {
        match side {
            Side::Buy => (self.quote, self.quote_of(quantity, price)),
            Side::Sell => (self.base, Some(self.base_of(quantity))),
        }
    }

    /// The priority of an order that begins to wait.
    pub(crate) const fn take_priority(&mut self) -> u64 {
        let priority = self.next_priority;
        self.next_priority = priority.saturating_add(1);
        priority
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.operator.0);
        out.extend_from_slice(&self.base.0.to_le_bytes());
        out.extend_from_slice(&self.quote.0.to_le_bytes());
        out.extend_from_slice(&self.lot.to_le_bytes());
        out.extend_from_slice(&self.tick.to_le_bytes());
        out.extend_from_slice(&self.fee_basis_points.to_le_bytes());
        out.extend_from_slice(&self.fee_account.0);
        out.extend_from_slice(&self.next_priority.to_le_bytes());
        out.extend_from_slice(&self.trades.to_le_bytes());
        out.extend_from_slice(&self.volume.to_le_bytes());
        out.extend_from_slice(&self.last_price.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        Ok(Self {
            operator: Address(reader.array()?),
            base: AssetId(reader.u32()?),
            quote: AssetId(reader.u32()?),
            lot: reader.u64()?,
            tick: reader.u64()?,
            fee_basis_points: reader.u16()?,
            fee_account: Address(reader.array()?),
            next_priority: reader.u64()?,
            trades: reader.u64()?,
            volume: reader.u128()?,
            last_price: reader.u64()?,
        })
    }
}

/// An order that waits. What it gives is set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderState {
    /// Whose it is.
    pub owner: Address,
    /// Which of its owner's.
    pub id: u64,
    /// Where it waits.
    pub market: MarketId,
    /// On which side.
    pub side: Side,
    /// Its limit, which is the price it trades at.
    pub price: u64,
    /// How many lots are left.
    pub quantity: u64,
    /// Its place among those of the same price: the lower comes first.
    pub priority: u64,
    /// The last block time at which it can trade.
    pub expiry: Option<Time>,
}

impl OrderState {
    pub(crate) const fn name(owner: &Address, id: u64) -> Name<'_> {
        Name::Order { owner, id }
    }

    /// Its price, so that the better one is less.
    pub(crate) const fn rank(&self) -> u64 {
        match self.side {
            Side::Buy => !self.price,
            Side::Sell => self.price,
        }
    }

    /// Whether it stands where another does, so that a book needn't change.
    pub(crate) fn stands_like(&self, other: &Self) -> bool {
        let place = |order: &Self| (order.market, order.side, order.price, order.priority);
        place(self) == place(other) && self.owner == other.owner
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.market.0.to_le_bytes());
        out.push(self.side as u8);
        out.extend_from_slice(&self.price.to_le_bytes());
        out.extend_from_slice(&self.quantity.to_le_bytes());
        out.extend_from_slice(&self.priority.to_le_bytes());
        put_time(self.expiry, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let (owner, id, market) = (Address(reader.array()?), reader.u64()?, MarketId(reader.u32()?));
        let side = match reader.u8()? {
            0 => Side::Buy,
            1 => Side::Sell,
            other => return Err(odd("an order's side", other)),
        };
        let (price, quantity, priority) = (reader.u64()?, reader.u64()?, reader.u64()?);
        Ok(Self { owner, id, market, side, price, quantity, priority, expiry: take_time(reader)? })
    }
}
