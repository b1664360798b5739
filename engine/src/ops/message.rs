//! What is said to a book: an order, or something about orders.

use super::{Amend, EncodedOperation, PlaceOrder, Source};
use crate::state::Book;
use crate::types::{MarketId, Rejection};
use crate::wire::Reader;

/// An operation that only a book, its market and the accounts of those who trade there have to know.
#[derive(Clone, Debug)]
pub(crate) enum OrderMessage {
    Place(PlaceOrder),
    Amend(Amend),
}

/// What is named in one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    Market(MarketId),
    Orders(&'a [u64]),
}

impl OrderMessage {
    /// Whether an operation is one.
    #[inline]
    pub(super) fn is_one(operation: EncodedOperation<'_>) -> bool {
        matches!(operation.bytes.first(), Some(&(PlaceOrder::CODE | Amend::CODE)))
    }

    /// An operation, if it is one.
    pub(super) fn decode(operation: EncodedOperation<'_>) -> Option<Self> {
        let mut fields = Reader::new(operation.bytes.get(4..)?);
        match *operation.bytes.first()? {
            PlaceOrder::CODE => PlaceOrder::decode(&mut fields).ok().map(Self::Place),
            Amend::CODE => Amend::decode(&mut fields).ok().map(Self::Amend),
            _ => None,
        }
    }

    /// What it is about: a market, or orders of its account by their ids.
    pub(crate) const fn about(&self) -> About<'_> {
        match self {
            Self::Place(PlaceOrder { market, .. }) | Self::Amend(Amend::CancelAll(market)) => About::Market(*market),
            Self::Amend(Amend::Cancel(ids)) => About::Orders(ids.as_slice()),
            Self::Amend(Amend::Change { id, .. }) => About::Orders(std::slice::from_ref(id)),
        }
    }

    /// Does it in a book.
    #[inline]
    pub(crate) fn apply(&self, source: Source<'_>, book: &mut impl Book) -> Result<(), Rejection> {
        match self {
            Self::Place(order) => order.apply(source, book),
            Self::Amend(amend) => amend.apply(source, book),
        }
    }
}
