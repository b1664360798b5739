//! The operations: one file each, one line each in the table below, which gives it its wire code for ever.
//!
//! An operation answers five questions in the same order: what it is, what it touches (from its bytes alone), what it does
//! (check everything, then change everything), how it is written, how it is read. Operations don't know each other; what two
//! of them share belongs to [`Context`] or the state.
//!
//! Every operation begins with the same four bytes and is a multiple of eight bytes long:
//!
//! ```text
//! 0  code    u8    which operation
//! 1  source  u8    which signer it takes from: 0 the account, n the n-th further signer
//! 2  words   u16   its length in words of eight bytes, these four bytes included
//! ```

mod amend;
mod asset;
mod authorize;
mod display;
mod grant;
mod hold;
mod holder;
mod market;
mod message;
mod order;
mod predicate;
mod put;
mod require;
mod settle;
mod transfer;

pub use amend::Amend;
pub use asset::RegisterAsset;
pub use authorize::Authorize;
pub use grant::{Grant, GrantAction, GrantTerms};
pub use hold::Hold;
pub use holder::{ControlHolder, HolderAction};
pub use market::OpenMarket;
pub(crate) use message::{About, OrderMessage};
pub use order::PlaceOrder;
pub use predicate::Predicate;
pub use put::{Put, PutAction};
pub use require::Require;
pub use settle::Settle;
pub use transfer::{GrantName, Transfer};

use crate::state::{Book, Context, Entry, GrantState, Name, OrderState, PlacedHold};
use crate::types::{Address, Amount, AssetId, MarketId, Rejection, Time};
use crate::wire::{Malformed, Reader};

/// One line of the table of operations.
#[derive(Clone, Copy, Debug)]
pub struct OperationKind {
    /// The code on the wire.
    pub code: u8,
    /// Its name, as in the documents.
    pub name: &'static str,
    /// Its shortest length on the wire in bytes.
    pub bytes_min: usize,
    /// Its longest.
    pub bytes_max: usize,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($min:expr, $max:expr),)*) => {
        /// Every operation, by ascending code. Codes are never reused.
        pub const OPERATIONS: &[OperationKind] = &[$(
            OperationKind { code: $name::CODE, name: stringify!($name), bytes_min: $min, bytes_max: $max },
        )*];

        /// What a transaction orders.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $name($name),)*
        }

        impl Operation {
            /// Does it. After an `Err` the caller rolls back what it has done.
            #[inline]
            pub(crate) fn apply(self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
                match self {
                    $(Self::$name(order) => order.apply(source, context),)*
                }
            }

            /// The same without a value as large as the largest.
            #[inline]
            fn check_fields(code: u8, reader: &mut Reader<'_>) -> Result<(), Malformed> {
                match code {
                    $($name::CODE => $name::decode(reader).map(drop),)*
                    found => Err(Malformed::UnknownOperation { offset: reader.offset().saturating_sub(4), found }),
                }
            }

            /// Does the one that has these fields, which were read before. The same without a value as large as the largest.
            #[inline]
            fn apply_fields(
                code: u8,
                fields: &mut Reader<'_>,
                source: Source<'_>,
                context: &mut Context<'_>,
            ) -> Result<(), Rejection> {
                match code {
                    $($name::CODE => $name::decode(fields).map_or(Ok(()), |order| order.apply(source, context)),)*
                    _ => Ok(()),
                }
            }

            /// Says what the one that these bytes are touches beside its transaction's signers. `None` if its bytes don't say.
            #[inline]
            fn peek_touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
                match *operation.first()? {
                    $($name::CODE => $name::touches(operation, see),)*
                    _ => None,
                }
            }

            /// Its line in the table.
            #[must_use]
            pub fn kind(&self) -> &'static OperationKind {
                let code = match self {
                    $(Self::$name(_) => $name::CODE,)*
                };
                // Every code has its line.
                line(code).unwrap_or(&OPERATIONS[0])
            }

            fn encode_fields(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(order) => order.encode(out),)*
                }
            }

            #[inline]
            fn decode_fields(code: u8, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                match code {
                    $($name::CODE => Ok(Self::$name($name::decode(reader)?)),)*
                    found => Err(Malformed::UnknownOperation { offset: reader.offset().saturating_sub(4), found }),
                }
            }
        }

        $(impl From<$name> for Operation {
            fn from(order: $name) -> Self {
                Self::$name(order)
            }
        })*
    };
}

operations! {
    /// Moves an amount of an asset from the source to a payee.
    Transfer(Transfer::BYTES, Transfer::BYTES_MAX),
    /// Registers an asset, issued by the source, or changes one.
    RegisterAsset(RegisterAsset::BYTES_MIN, RegisterAsset::BYTES_MAX),
    /// Controls who may hold an asset of the source's.
    ControlHolder(ControlHolder::BYTES, ControlHolder::BYTES),
    /// Writes a record or takes one back.
    Put(Put::BYTES_MIN, Put::BYTES_MAX),
    /// Sets money aside for somebody.
    Hold(Hold::BYTES_MIN, Hold::BYTES_MAX),
    /// Releases money that was set aside, or gives it back.
    Settle(Settle::BYTES_MIN, Settle::BYTES_MAX),
    /// Lets somebody act in the source's place, or no longer.
    Grant(Grant::BYTES_MIN, Grant::BYTES_MAX),
    /// Buys or sells in a market.
    PlaceOrder(PlaceOrder::BYTES, PlaceOrder::BYTES),
    /// Changes orders that wait, or takes them back.
    Amend(Amend::BYTES_MIN, Amend::BYTES_MAX),
    /// Says who may act for the source.
    Authorize(Authorize::BYTES_MIN, Authorize::BYTES_MAX),
    /// Requires that a predicate holds.
    Require(Require::BYTES_MIN, Require::BYTES_MAX),
    /// Opens a market.
    OpenMarket(OpenMarket::BYTES, OpenMarket::BYTES),
}

/// An operation as it lies in a transaction whose operations were all read before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedOperation<'a> {
    bytes: &'a [u8],
}

impl<'a> EncodedOperation<'a> {
    /// The operation that these bytes begin with, and what lies behind it.
    #[inline]
    pub(crate) fn next(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let words = u16::from_le_bytes(*bytes.get(2..)?.first_chunk()?);
        let (bytes, rest) = bytes.split_at_checked(usize::from(words) * 8)?;
        Some((Self { bytes }, rest))
    }

    /// The place of its source among the signers.
    #[inline]
    pub(crate) fn source(self) -> u8 {
        self.bytes.get(1).copied().unwrap_or(0)
    }

    /// The account beside its source which it is most likely to change.
    #[inline]
    pub(crate) fn party(self) -> Option<Address> {
        Operation::peek_party(self.bytes)
    }

    /// Does it. After an `Err` the caller rolls back what it has done.
    #[inline]
    pub(crate) fn apply(self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let code = self.bytes.first().copied().unwrap_or(0);
        Operation::apply_fields(code, &mut Reader::new(self.bytes.get(4..).unwrap_or_default()), source, context)
    }

    /// Says what it touches of balances and rules beside what its transaction's signers have.
    #[inline]
    pub(crate) fn touches(self, see: &mut dyn FnMut(Touch)) {
        if Operation::peek_touches(self.bytes, see).is_none() {
            see(Touch::Anything);
        }
    }

    /// The promise that it makes for its account, as far as that can be said before the block: nothing stands against it but what the account has,
    /// that the asset has to be there and without policy, and that another may have its name. `None` for all else.
    #[inline]
    pub(crate) fn promise(self, account: &Address, time: Time) -> Option<Promise> {
        let mut fields = Reader::new(self.bytes.get(4..)?);
        match *self.bytes.first()? {
            Hold::CODE => Hold::decode(&mut fields).ok()?.promise(account, time),
            Grant::CODE => Grant::decode(&mut fields).ok()?.promise(account, time),
            _ => None,
        }
    }

    /// Whether it may make one.
    #[inline]
    pub(crate) fn may_promise(self) -> bool {
        // Where something is granted there is more than an id.
        matches!(self.bytes, [Hold::CODE, ..] | [Grant::CODE, _, _, _, 0, ..])
    }

    /// Whether it is something said to a book.
    #[inline]
    pub(crate) fn is_message(self) -> bool {
        OrderMessage::is_one(self)
    }

    /// What it says to a book.
    #[inline]
    pub(crate) fn message(self) -> Option<OrderMessage> {
        OrderMessage::decode(self)
    }

    /// The same as a value.
    pub(crate) fn decode(self) -> Option<Operation> {
        Operation::decode(&mut Reader::new(self.bytes), u8::MAX).ok().map(|(_, operation)| operation)
    }
}

/// What an account promises: an entry, and what the account sets aside for it.
#[derive(Debug)]
pub(crate) struct Promise {
    pub entry: Entry,
    /// What has to be there, without policy.
    pub asset: Option<AssetId>,
    /// How much is set aside.
    pub amount: Amount,
}

/// What gives an entry of its kind its name, by owner and id.
pub(crate) type EntryKind = for<'a> fn(&'a Address, u64) -> Name<'a>;

/// How far what an operation changes lies from the entry that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It comes into being.
    NewEntry,
    /// All that there is lies in its place.
    Entry,
    /// The same, and places that stand next to it in a book.
    Orders,
    /// Other places may be on the way.
    Further,
}

/// What an operation touches of balances and rules, beside those of its transaction's signers, as its bytes say it: whoever does things side by side
/// has to know. Other entries and assets are no part of it, since they are only read and changed in order; nor are fees, since whatever is paid in an
/// asset that has any is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Touch {
    /// It may take from this account, or read what that has.
    Takes(Address),
    /// It may pay this account.
    Pays(Address),
    /// It may pay accounts that its bytes don't name.
    PaysAnybody,
    /// It may end a promise that is over, which pays accounts that its bytes don't name.
    Ends,
    /// It may read what the predicates of this promise ask for, if it was made before the block. One made in the block asks for no balances, or
    /// whoever has made it says [`Anything`](Self::Anything).
    Asks(Address, u64, EntryKind),
    /// It, or what comes of it, may touch all there is.
    Anything,
}

/// Number of eight bytes at an offset.
#[inline]
fn peek_u64(operation: &[u8], offset: usize) -> Option<u64> {
    operation.get(offset..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// How much it takes to order an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It gives nothing away.
    Low,
    Medium,
    /// It changes who may act.
    High,
}

/// The line of a code.
#[inline]
fn line(code: u8) -> Option<&'static OperationKind> {
    OPERATIONS.iter().find(|kind| kind.code == code)
}

impl Operation {
    /// The account beside its source which the operation these bytes begin with is most likely to change; nothing else of it is read.
    #[inline]
    pub(crate) fn peek_party(operation: &[u8]) -> Option<Address> {
        match *operation.first()? {
            Transfer::CODE => Transfer::peek_payee(operation),
            Settle::CODE => Settle::peek_name(operation).map(|(owner, _)| owner),
            _ => None,
        }
    }

    /// The entry that it looks for, if it is one of the account's or says whose it is: its owner, its id, and what kind it is.
    #[inline]
    pub(crate) fn peek_name(operation: &[u8], account: &Address) -> Option<(Address, u64, EntryKind)> {
        let own = |id| Some((*account, id));
        let (code, source) = (*operation.first()?, *operation.get(1)?);
        let (named, kind): (_, EntryKind) = match code {
            Transfer::CODE => (Transfer::peek_grant(operation), GrantState::name),
            Settle::CODE => (Settle::peek_name(operation), PlacedHold::name),
            // What follows is of a further signer's.
            _ if source != 0 => return None,
            Hold::CODE => (own(Hold::peek_id(operation)?), PlacedHold::name),
            PlaceOrder::CODE => (own(PlaceOrder::peek_id(operation)?), OrderState::name),
            Amend::CODE => (own(Amend::peek_id(operation)?), OrderState::name),
            _ => return None,
        };
        named.map(|(owner, id)| (owner, id, kind))
    }

    /// How far what it changes lies from that entry.
    #[inline]
    pub(crate) fn peek_way(operation: &[u8]) -> Way {
        match operation.first() {
            Some(&Hold::CODE) => Way::NewEntry,
            Some(&Settle::CODE) => Way::Entry,
            Some(&(PlaceOrder::CODE | Amend::CODE)) => Way::Orders,
            _ => Way::Further,
        }
    }

    /// The market in which it places an order.
    #[inline]
    pub(crate) fn peek_market(operation: &[u8]) -> Option<MarketId> {
        if *operation.first()? == PlaceOrder::CODE { PlaceOrder::peek_market(operation) } else { None }
    }

    /// Whom it names beside its source: payees, parties, subjects, owners of what it is about.
    pub(crate) fn concerns(&self, see: &mut dyn FnMut(&Address)) {
        match self {
            Self::Transfer(order) => {
                see(&order.payee);
                order.grant.iter().for_each(|grant| see(&grant.owner));
            }
            Self::RegisterAsset(order) => order.terms.iter().for_each(|terms| see(&terms.fee_account)),
            Self::ControlHolder(order) => see(&order.holder),
            Self::Put(order) => order.subject.iter().chain(&order.owner).for_each(see),
            Self::Hold(order) => {
                order.payees.iter().for_each(|share| see(&share.payee));
                order.arbiter.iter().for_each(see);
            }
            Self::Settle(order) => see(&order.owner),
            Self::Grant(order) => order.terms.iter().for_each(|terms| {
                see(&terms.to);
                terms.payee.iter().for_each(&mut *see);
            }),
            Self::OpenMarket(order) => order.fee_account.iter().for_each(see),
            Self::PlaceOrder(_) | Self::Amend(_) | Self::Authorize(_) | Self::Require(_) => {}
        }
    }

    /// Whether it spends by another's grant.
    pub(crate) const fn uses_grant(&self) -> bool {
        matches!(self, Self::Transfer(order) if order.grant.is_some())
    }

    /// What it takes of its source, or sets aside there, if it does.
    pub(crate) fn given(&self, source: &Address, context: &Context<'_>) -> Option<AssetId> {
        let (market, side) = match self {
            Self::Transfer(order) => return Some(order.asset),
            Self::Hold(order) => return Some(order.asset),
            Self::PlaceOrder(order) => (order.market, order.side),
            Self::Amend(Amend::Change { id, .. }) => {
                let (_, order) = context.own_order(Source { address: source, slot: None }, *id)?;
                (order.market, order.side)
            }
            _ => return None,
        };
        let market = context.market(market).ok()?;
        Some(market.given(side, 0, 0).0)
    }

    /// The most events that come of it by itself, and whether it meets orders.
    pub(crate) const fn events_max(&self) -> (usize, bool) {
        match self {
            // What it has paid, and its fee.
            Self::Transfer(_) => (2, false),
            // It may end one of the same id: that goes back, or on to four payees with a fee.
            Self::Hold(_) => (6, false),
            // Four payees, and a fee or the owner.
            Self::Settle(_) => (5, false),
            // It may end one of its own; each asset has its fees and the market has its own.
            Self::PlaceOrder(_) => (4, true),
            Self::Amend(_) => (0, true),
            _ => (0, false),
        }
    }

    /// How much it takes to order it, its code, and whether recovery keys order it.
    pub(crate) fn class(&self) -> (Class, u8, bool) {
        let class = match self {
            Self::Put(_) | Self::Require(_) | Self::Settle(_) | Self::Amend(_) => Class::Low,
            Self::Authorize(_) => Class::High,
            _ => Class::Medium,
        };
        (class, self.kind().code, matches!(self, Self::Authorize(order) if order.is_recovery()))
    }

    /// Whether the operation these bytes begin with may have changed something when it is rejected, so that a journal is needed; some begin one
    /// themselves when it is.
    #[inline]
    pub(crate) fn needs_journal(operation: &[u8]) -> bool {
        // These look at everything that may stand against them first; a hold that is ended beforehand leaves the place that is needed.
        const CHECKED_FIRST: [u8; 8] = [
            Transfer::CODE,
            Hold::CODE,
            Settle::CODE,
            Grant::CODE,
            Put::CODE,
            Require::CODE,
            PlaceOrder::CODE,
            Amend::CODE,
        ];
        operation.first().is_none_or(|code| !CHECKED_FIRST.contains(code))
    }

    /// Writes it; `source` is the place of its source among the signers.
    pub(crate) fn encode(&self, source: u8, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[self.kind().code, source, 0, 0]);
        self.encode_fields(out);
        // What is longer than the field can say is refused by the decoder, as what is longer than the table allows.
        let words = u16::try_from(out.len().saturating_sub(start) / 8).unwrap_or(u16::MAX);
        out[start + 2..start + 4].copy_from_slice(&words.to_le_bytes());
    }

    /// Reads one; gives the place of its source among the `signers` too.
    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'_>, signers: u8) -> Result<(u8, Self), Malformed> {
        Self::read(reader, signers, Self::decode_fields)
    }

    /// The same without keeping more than the place of its source.
    #[inline]
    pub(crate) fn check(reader: &mut Reader<'_>, signers: u8) -> Result<u8, Malformed> {
        Self::read(reader, signers, Self::check_fields).map(|(source, ())| source)
    }

    #[inline]
    fn read<T>(
        reader: &mut Reader<'_>,
        signers: u8,
        fields: impl FnOnce(u8, &mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<(u8, T), Malformed> {
        let offset = reader.offset();
        let code = reader.u8()?;
        let Some(kind) = line(code) else { return Err(Malformed::UnknownOperation { offset, found: code }) };
        let source = reader.u8()?;
        if source >= signers {
            let expected = "a signer of this transaction";
            return Err(Malformed::Field { field: "source", offset: offset + 1, expected, found: u64::from(source) });
        }
        let words = reader.u16()?;
        let bytes = usize::from(words) * 8;
        let wrong_length = Malformed::Field {
            field: "words",
            offset: offset + 2,
            expected: "the length of this operation in words",
            found: u64::from(words),
        };
        if bytes < kind.bytes_min || bytes > kind.bytes_max {
            return Err(wrong_length);
        }
        let read = fields(code, reader)?;
        // The fields decide how long it is, and the length must say the same.
        if reader.offset().saturating_sub(offset) != bytes {
            return Err(wrong_length);
        }
        Ok((source, read))
    }
}

/// Reads an address that somebody can hold the key of.
#[inline]
fn address(reader: &mut Reader<'_>) -> Result<Address, Malformed> {
    let offset = reader.offset();
    let address = reader.array()?;
    if nostro_ed25519::is_low_order(&address) {
        return Err(Malformed::LowOrderAddress { offset });
    }
    Ok(Address(address))
}

/// Reads the zeros that fill a part of `bytes` up to whole words.
fn padding(reader: &mut Reader<'_>, bytes: usize) -> Result<(), Malformed> {
    let offset = reader.offset();
    let padding = reader.bytes(bytes.next_multiple_of(8) - bytes)?;
    match padding.iter().find(|&&byte| byte != 0) {
        None => Ok(()),
        Some(&byte) => Err(Malformed::Field { field: "padding", offset, expected: "0", found: u64::from(byte) }),
    }
}

/// Fills up what an operation has written behind its first four bytes with zeros to whole words.
fn pad(start: usize, out: &mut Vec<u8>) {
    let length = out.len().saturating_sub(start) + 4;
    out.resize(out.len() + length.next_multiple_of(8) - length, 0);
}

/// Writes a predicate, filled up with zeros to whole words.
fn put_predicate(predicate: &Predicate, out: &mut Vec<u8>) {
    let bytes = predicate.bytes();
    out.extend_from_slice(bytes);
    out.resize(out.len() + bytes.len().next_multiple_of(8) - bytes.len(), 0);
}

/// Reads a predicate that is kept and looked at later: nobody knows what is touched then if it asks for balances.
fn refuse_balances(reader: &mut Reader<'_>, see: &mut dyn FnMut(Touch)) -> Option<()> {
    Predicate::read_balances(reader, &mut |_| see(Touch::Anything))
}

/// Reads a predicate and the zeros behind it.
fn take_predicate(reader: &mut Reader<'_>) -> Result<Predicate, Malformed> {
    let predicate = Predicate::decode(reader)?;
    padding(reader, predicate.bytes().len())?;
    Ok(predicate)
}

/// Who an operation takes from, with the slot of its account if that has come into being.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub address: &'a Address,
    pub slot: Option<crate::state::Slot>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_lengths_are_whole_words() {
        assert!(OPERATIONS.windows(2).all(|pair| pair[0].code < pair[1].code));
        let is_whole = |bytes: usize| bytes.is_multiple_of(8) && bytes >= 8;
        assert!(OPERATIONS.iter().all(|kind| is_whole(kind.bytes_min) && is_whole(kind.bytes_max)));
        assert!(OPERATIONS.iter().all(|kind| kind.bytes_min <= kind.bytes_max));
    }
}
