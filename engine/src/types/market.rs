//! The words of a market.

use std::fmt;

/// The number of a market: that of its entry, which never goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarketId(pub u32);

impl fmt::Display for MarketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which side of a market an order is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Gives quote for base.
    #[default]
    Buy,
    /// Gives base for quote.
    Sell,
}

impl Side {
    /// The side it trades with.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// Whether an order on this side with this limit takes one on the other side with that price.
    pub(crate) const fn crosses(self, limit: u64, price: u64) -> bool {
        match self {
            Self::Buy => price <= limit,
            Self::Sell => price >= limit,
        }
    }
}

/// How long an order waits, and what it does at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Takes what it can and waits with the rest.
    #[default]
    GoodTillCancelled,
    /// Takes what it can; the rest is gone.
    ImmediateOrCancel,
    /// Takes all of its quantity at once, or is rejected.
    FillOrKill,
    /// Waits, and is rejected if it would take anything.
    PostOnly,
    /// Takes what it can for a budget of quote; the rest is gone. Only to buy.
    Budget,
}

/// What happens when an order meets another of the same account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SelfTrade {
    /// The waiting one is cancelled.
    #[default]
    CancelWaiting,
    /// What is left of the new one is gone.
    CancelTaking,
    /// The new one is rejected.
    Reject,
}
