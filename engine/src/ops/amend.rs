//! Changes orders that wait, or takes them back.
//!
//! Less of the same keeps its place; a new price or more of it loses it. An amended order never takes another.
//!
//! **Touches** the orders and the source's account.
//!
//! **Goes by market**, in order there, as orders do (see `order.rs`).

use super::{Source, Touch};
use crate::state::{Book, OrderState};
use crate::types::{Amount, MarketId, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// An order about orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amend {
    /// Takes orders back: one to 64.
    Cancel(Vec<u64>),
    /// Takes all of the source's orders in a market back, the newest first, at most 32 in one transaction.
    CancelAll(MarketId),
    /// Changes one.
    Change {
        /// Which of the source's.
        id: u64,
        /// Its new price; not 0.
        price: u64,
        /// Its new quantity; not 0.
        quantity: u64,
    },
}

impl Amend {
    pub(crate) const CODE: u8 = 9;
    pub(crate) const BYTES_MIN: usize = 16;
    pub(crate) const BYTES_MAX: usize = 8 + 8 * Self::IDS_MAX;
    const IDS_MAX: usize = 64;

    pub(crate) fn apply(&self, source: Source<'_>, book: &mut impl Book) -> Result<(), Rejection> {
        match self {
            Self::Cancel(ids) => {
                let mut numbers = [0; Self::IDS_MAX];
                book.find_orders(source, ids, &mut numbers)?;

                // From here on it cannot fail.
                book.end_orders(source, numbers.get(..ids.len()).unwrap_or_default(), false);
                Ok(())
            }
            Self::CancelAll(market) => {
                book.market(*market)?;
                let numbers = book.own_orders(*market, source, book.orders_left());
                numbers.iter().for_each(|_| book.meet());
                book.end_orders(source, &numbers, true);
                Ok(())
            }
            &Self::Change { id, price, quantity } => change(source, id, price, quantity, book),
        }
    }

    /// The first order it is about, if it names any, read from the bytes of the whole operation.
    #[inline]
    pub(super) fn peek_id(operation: &[u8]) -> Option<u64> {
        super::peek_u64(operation, 8).filter(|_| operation.get(4) != Some(&1))
    }

    /// See [`Touch`]. A new price may meet what no longer counts, which goes back to its owner.
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        if *operation.get(4)? == 2 {
            see(Touch::PaysAnybody);
        }
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Cancel(ids) => {
                out.extend_from_slice(&[0, u8::try_from(ids.len()).unwrap_or(u8::MAX), 0, 0]);
                ids.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
            }
            Self::CancelAll(market) => {
                out.extend_from_slice(&[1, 0, 0, 0]);
                out.extend_from_slice(&market.0.to_le_bytes());
                out.extend_from_slice(&[0; 4]);
            }
            Self::Change { id, price, quantity } => {
                out.extend_from_slice(&[2, 0, 0, 0]);
                [id, price, quantity].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let (action, count) = (reader.u8()?, reader.u8()?);
        let lowest = u8::from(action == 0);
        let highest = if action == 0 { 64 } else { 0 };
        if count < lowest || count > highest {
            let expected = "1 to 64 when cancelling by id, else 0";
            return Err(Malformed::Field { field: "ids", offset: offset + 1, expected, found: count.into() });
        }
        reader.reserved::<2>()?;
        match action {
            0 => Ok(Self::Cancel((0..count).map(|_| reader.u64()).collect::<Result<_, _>>()?)),
            1 => {
                let market = MarketId(reader.u32()?);
                reader.reserved::<4>()?;
                Ok(Self::CancelAll(market))
            }
            2 => {
                let (id, price, quantity) = (reader.u64()?, reader.u64()?, reader.u64()?);
                if price == 0 || quantity == 0 {
                    let (field, offset) = ("price and quantity", offset + 12);
                    return Err(Malformed::Field { field, offset, expected: "1 or more", found: 0 });
                }
                Ok(Self::Change { id, price, quantity })
            }
            other => Err(Malformed::Field { field: "action", offset, expected: "0 to 2", found: other.into() }),
        }
    }
}

/// An order of the source's that waits.
fn own(source: Source<'_>, id: u64, book: &impl Book) -> Result<(u32, OrderState), Rejection> {
    book.own_order(source, id).ok_or(Rejection::new(RejectionCode::NoOrder, id))
}

fn change(source: Source<'_>, id: u64, price: u64, quantity: u64, book: &mut impl Book) -> Result<(), Rejection> {
    let (number, before) = own(source, id, book)?;
    let mut market = *book.market(before.market)?;
    let (asset, old) = market.given(before.side, before.quantity, before.price);
    let (_, new) = market.given(before.side, quantity, price);
    let (old, new) = (old.unwrap_or(Amount::ZERO), new.unwrap_or(Amount::MAX));
    let more = Amount(new.0.saturating_sub(old.0));
    let slot = book.source(source, asset, more)?;
    let keeps_its_place = price == before.price && quantity <= before.quantity;
    if !keeps_its_place {
        book.check_crosses_nothing(before.market, before.side, price)?;
    }
    let priority = if keeps_its_place { before.priority } else { market.take_priority() };
    book.replace_order(number, OrderState { price, quantity, priority, ..before });
    if !keeps_its_place {
        book.set_market(before.market, market);
    }
    if more != Amount::ZERO {
        book.set_aside(slot, asset, more);
    } else {
        book.give_back(source, asset, Amount(old.0.saturating_sub(new.0)));
    }
    Ok(())
}
