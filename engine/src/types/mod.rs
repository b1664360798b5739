//! The words everything else is said in: plain values without I/O, threads or a clock.
//!
//! An identifier is its own type, so that an asset can't be passed for an account or a height for a time. All of them are
//! `Copy`, compare by value and print as a person would write them: bytes as hexadecimal, numbers as decimals.

mod address;
mod amount;
mod asset;
mod authority;
mod condition;
mod digest;
mod event;
mod header;
mod holding;
mod market;
mod outcome;
mod policy;
mod receipt;

pub use address::Address;
pub use amount::{Amount, AmountOverflow};
pub use asset::{AssetCode, AssetCodeError, AssetId};
pub use authority::{AuthorityKey, AuthorityRules};
pub use condition::{Comparison, GrantKind, RecordKind};
pub use digest::{Digest, LedgerId, ParseHexError, TransactionId};
pub use event::{Event, Happening};
pub use header::BlockHeader;
pub use holding::Holding;
pub use market::{Lifetime, MarketId, SelfTrade, Side};
pub use outcome::{Outcome, Rejection, RejectionCode};
pub use policy::{AssetPolicy, AssetTerms};
pub use receipt::{Receipt, Receipts, Refusal};

pub(crate) use digest::write_hex;
pub(crate) use event::EVENT_BYTES;
pub(crate) use header::RootInterval;
pub(crate) use outcome::REJECTION_BYTES;
pub(crate) use receipt::{Settlement, Span};

/// Number of a block. The first block of a ledger has height 1; 0 stands for "before the first block".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Height(pub u64);

impl Height {
    /// The height after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for Height {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment of block time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
