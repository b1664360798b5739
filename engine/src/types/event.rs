//! What happens to an account that the bytes of no transaction say: it depends on what the ledger knew.
//!
//! ```text
//!  0 position  u32  of the transaction that caused it; 0 if none did
//!  4 operation u16  which of its operations, from 0
//!  6 kind      u8   1 traded, 2 paid, 3 hold returned, 4 hold released, 5 order ended, 6 sent, 7 collected, 8 hold lost
//!  7 before    u8   1: its time had come, before the block's first transaction
//!  8 account   [32] whom it happened to
//! 40 id        u64  of the order or the hold; 0 if it is about none
//! 48 amount    u128; of a trade price u64, quantity u64
//! 64 asset     u32  or the market
//! 68           0 [4]
//! ```

use super::{Address, Amount, AssetId, MarketId};
use crate::wire::Reader;

pub(crate) const EVENT_BYTES: usize = 72;

/// What happened to an account, beside what transactions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Place in the block of the transaction that caused it; `None` if its time had come.
    pub position: Option<u32>,
    /// Which of that transaction's operations, from 0.
    pub operation: u16,
    /// Whom it happened to.
    pub account: Address,
    /// What happened.
    pub what: Happening,
}

/// What can happen to an account. Amounts are before what an asset's or a market's fee takes of them, but for what is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// An order of the account's that waited was taken, by the operation's source.
    Traded {
        /// In which market.
        market: MarketId,
        /// Which of the account's orders.
        order: u64,
        /// At which price, in ticks per lot.
        price: u64,
        /// How many lots.
        quantity: u64,
    },
    /// It was paid out of a hold: that of the operation, or of the [`HoldReleased`](Self::HoldReleased) before.
    Paid {
        /// Which of its owner's holds.
        hold: u64,
        /// In what.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// It got back what was left of a hold of its own.
    HoldReturned {
        /// Which.
        hold: u64,
        /// Of which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// A hold of its own was over, and all that was left of it went to the payees.
    HoldReleased {
        /// Which.
        hold: u64,
        /// Of which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// An order of its own is gone without its having taken it back by its id, and it got back what was set aside for it.
    OrderEnded {
        /// Which.
        order: u64,
        /// What was set aside.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// It was paid up to what there was.
    Sent {
        /// In what.
        asset: AssetId,
        /// How much.
        amount: Amount,
    },
    /// It got the fees of an operation, or of a hold that was over. If it is the asset's issuer they were burnt.
    Collected {
        /// In what.
        asset: AssetId,
        /// How much it got of all of them.
        amount: Amount,
    },
    /// A hold by which it would have been paid went back to its owner: that of the [`HoldReturned`](Self::HoldReturned) before.
    HoldLost {
        /// Which of its owner's.
        hold: u64,
        /// Of which asset.
        asset: AssetId,
        /// How much of what was left of it would have been the account's.
        amount: Amount,
    },
}

impl Event {
    pub(crate) fn encode(&self) -> [u8; EVENT_BYTES] {
        let (kind, id, number, place) = match self.what {
            Happening::Traded { market, order, price, quantity } => {
                (1, order, u128::from(quantity) << 64 | u128::from(price), market.0)
            }
            Happening::Paid { hold, asset, amount } => (2, hold, amount.0, asset.0),
            Happening::HoldReturned { hold, asset, amount } => (3, hold, amount.0, asset.0),
            Happening::HoldReleased { hold, asset, amount } => (4, hold, amount.0, asset.0),
            Happening::OrderEnded { order, asset, amount } => (5, order, amount.0, asset.0),
            Happening::Sent { asset, amount } => (6, 0, amount.0, asset.0),
            Happening::Collected { asset, amount } => (7, 0, amount.0, asset.0),
            Happening::HoldLost { hold, asset, amount } => (8, hold, amount.0, asset.0),
        };
        let mut bytes = [0; EVENT_BYTES];
        bytes[..4].copy_from_slice(&self.position.unwrap_or(0).to_le_bytes());
        bytes[4..6].copy_from_slice(&self.operation.to_le_bytes());
        bytes[6..8].copy_from_slice(&[kind, u8::from(self.position.is_none())]);
        bytes[8..40].copy_from_slice(&self.account.0);
        bytes[40..48].copy_from_slice(&id.to_le_bytes());
        bytes[48..64].copy_from_slice(&number.to_le_bytes());
        bytes[64..68].copy_from_slice(&place.to_le_bytes());
        bytes
    }

    /// Reads one back. `None` for a kind this version doesn't know, and for bytes that no event has.
    pub(crate) fn decode(bytes: &[u8; EVENT_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let (position, operation) = (reader.u32().ok()?, reader.u16().ok()?);
        let (kind, before) = (reader.u8().ok()?, reader.u8().ok()?);
        let (account, id) = (Address(reader.array().ok()?), reader.u64().ok()?);
        let (low, high) = (reader.u64().ok()?, reader.u64().ok()?);
        let place = reader.u32().ok()?;
        let (asset, amount) = (AssetId(place), Amount(u128::from(high) << 64 | u128::from(low)));
        let what = match kind {
            1 => Happening::Traded { market: MarketId(place), order: id, price: low, quantity: high },
            2 => Happening::Paid { hold: id, asset, amount },
            3 => Happening::HoldReturned { hold: id, asset, amount },
            4 => Happening::HoldReleased { hold: id, asset, amount },
            5 => Happening::OrderEnded { order: id, asset, amount },
            6 => Happening::Sent { asset, amount },
            7 => Happening::Collected { asset, amount },
            8 => Happening::HoldLost { hold: id, asset, amount },
            _ => return None,
        };
        let event = Self { position: (before == 0).then_some(position), operation, account, what };
        // One value has one encoding: this compares everything.
        (event.encode() == *bytes).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_back_from_its_bytes_and_no_other_bytes_are_one() {
        let (asset, amount) = (AssetId(7), Amount(u128::MAX - 5));
        let all = [
            Happening::Traded { market: MarketId(9), order: u64::MAX, price: 3, quantity: u64::MAX - 1 },
            Happening::Paid { hold: 1, asset, amount },
            Happening::HoldReturned { hold: 2, asset, amount },
            Happening::HoldReleased { hold: 3, asset, amount },
            Happening::OrderEnded { order: 4, asset, amount },
            Happening::Sent { asset, amount },
            Happening::Collected { asset, amount },
            Happening::HoldLost { hold: 5, asset, amount },
        ];
        for what in all {
            for position in [None, Some(0), Some(u32::MAX)] {
                let event = Event { position, operation: 513, account: Address([5; 32]), what };
                let bytes = event.encode();
                assert_eq!(Event::decode(&bytes), Some(event));
                for at in [6, 7, 68, 71] {
                    let mut other = bytes;
                    other[at] = 77;
                    assert_eq!(Event::decode(&other), None, "byte {at}");
                }
            }
        }
    }
}
