//! What stands in a place of the table of entries, and its canonical bytes.
//!
//! ```text
//! free       0 u8
//! record     1 u8, owner [32], kind u8, key [32], subject [32] or zeros, hash [32], expiry u64, written u64, revoked u8,
//!            length u16, value
//! holder     2 u8, asset u32, holder [32], bit 0 authorised, bit 1 frozen u8
//! terms      3 u8, asset u32, schema [32], attester [32], fee account [32], fee maximum u128, fee u16, expiry u64, metadata [32]
//! hold, grant 4, 5: see `hold.rs`, `grant.rs`
//! market, order 6, 7: see `market.rs`
//! authority 8: see `authority.rs`
//! ```

use super::Name;
use super::authority::AuthorityState;
use super::grant::GrantState;
use super::hold::PlacedHold;
use super::market::{MarketState, OrderState};
use crate::state::load::Unloadable;
use crate::types::{Address, Amount, AssetId, AssetTerms, RecordKind, Time};
use crate::wire::Reader;
use std::sync::Arc;

/// A record that somebody has put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Address,
    /// What it is for.
    pub kind: RecordKind,
    /// Which of its owner's.
    pub key: [u8; 32],
    /// Whom it is about.
    pub subject: Option<Address>,
    /// The hash its owner has given it.
    pub hash: [u8; 32],
    /// The last block time at which it counts.
    pub expiry: Option<Time>,
    /// The time of the block that wrote it last.
    pub written: Time,
    /// Whether its owner has taken it back.
    pub is_revoked: bool,
    /// At most 256 bytes.
    pub value: Vec<u8>,
}

impl Record {
    pub(crate) const fn name<'a>(
        owner: &'a Address,
        kind: RecordKind,
        key: &'a [u8; 32],
        subject: Option<&'a Address>,
    ) -> Name<'a> {
        Name::Record { owner, kind, key, subject }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner.0);
        out.push(self.kind.number());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.subject.unwrap_or_default().0);
        out.extend_from_slice(&self.hash);
        put_time(self.expiry, out);
        out.extend_from_slice(&self.written.0.to_le_bytes());
        out.push(u8::from(self.is_revoked));
        // Decoding has bounded it.
        out.extend_from_slice(&u16::try_from(self.value.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&self.value);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let owner = Address(reader.array()?);
        let kind = reader.u8()?;
        let kind = RecordKind::from_number(kind).ok_or_else(|| odd("a record's kind", kind))?;
        let (key, subject) = (reader.array()?, take_address(reader)?);
        let (hash, expiry) = (reader.array()?, take_time(reader)?);
        let (written, is_revoked) = (Time(reader.u64()?), take_flag(reader)?);
        let length = reader.u16()?;
        let value = reader.bytes(usize::from(length))?.to_vec();
        Ok(Self { owner, kind, key, subject, hash, expiry, written, is_revoked, value })
    }
}

/// What an issuer has said of a holder. There is none for a holder of whom nothing was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HolderState {
    /// Of which asset.
    pub asset: AssetId,
    /// Of whom.
    pub holder: Address,
    /// Whether the issuer lets them have it.
    pub is_authorized: bool,
    /// Whether they can neither pay nor be paid.
    pub is_frozen: bool,
}

impl HolderState {
    pub(crate) const fn name(asset: AssetId, holder: &Address) -> Name<'_> {
        Name::Holder { asset, holder }
    }
}

/// An asset's terms, which few assets have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub asset: AssetId,
    pub terms: AssetTerms,
}

impl Terms {
    pub(crate) const fn name(asset: AssetId) -> Name<'static> {
        Name::Terms { asset }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let AssetTerms { schema, attester, fee_account, fee_maximum, fee_basis_points, expiry, metadata } = &self.terms;
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(schema);
        out.extend_from_slice(&attester.0);
        out.extend_from_slice(&fee_account.0);
        out.extend_from_slice(&fee_maximum.0.to_le_bytes());
        out.extend_from_slice(&fee_basis_points.to_le_bytes());
        out.extend_from_slice(&expiry.0.to_le_bytes());
        out.extend_from_slice(metadata);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let asset = AssetId(reader.u32()?);
        let (schema, attester, fee_account) = (reader.array()?, Address(reader.array()?), Address(reader.array()?));
        let (fee_maximum, fee_basis_points) = (Amount(reader.u128()?), reader.u16()?);
        let (expiry, metadata) = (Time(reader.u64()?), reader.array()?);
        let terms = AssetTerms { schema, attester, fee_account, fee_maximum, fee_basis_points, expiry, metadata };
        Ok(Self { asset, terms })
    }
}

macro_rules! entries {
    ($($name:ident($type:ty) $(in $pointer:ident)?,)*) => {
        /// What stands in a place. What is changed often and is small lies in it, all else behind a pointer.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum Entry {
            $($name(entries!(@in $type $(, $pointer)?)),)*
        }

        $(impl From<$type> for Entry {
            fn from(value: $type) -> Self {
                Self::$name(value.into())
            }
        })*
    };
    (@in $type:ty) => { $type };
    (@in $type:ty, $pointer:ident) => { $pointer<$type> };
}

entries! {
    Record(Record) in Arc,
    Holder(HolderState),
    Terms(Terms) in Arc,
    Hold(PlacedHold),
    Grant(GrantState) in Arc,
    Market(MarketState) in Arc,
    Order(OrderState),
    Authority(AuthorityState) in Arc,
}

const _: () = assert!(size_of::<Option<Entry>>() <= 144);

impl Entry {
    /// What it is found by.
    pub(crate) fn name(&self) -> Name<'_> {
        match self {
            Self::Record(record) => Record::name(&record.owner, record.kind, &record.key, record.subject.as_ref()),
            Self::Holder(state) => HolderState::name(state.asset, &state.holder),
            Self::Terms(terms) => Terms::name(terms.asset),
            Self::Hold(hold) => PlacedHold::name(&hold.owner, hold.id),
            Self::Grant(grant) => GrantState::name(&grant.owner, grant.id),
            Self::Market(market) => MarketState::name(&market.operator, market.base, market.quote),
            Self::Order(order) => OrderState::name(&order.owner, order.id),
            Self::Authority(authority) => AuthorityState::name(&authority.owner),
        }
    }

    /// The last block time at which it counts, if it ends by itself.
    pub(crate) fn expiry(&self) -> Option<Time> {
        match self {
            Self::Record(record) => record.expiry,
            Self::Hold(hold) => hold.expiry,
            Self::Grant(grant) => grant.end,
            Self::Order(order) => order.expiry,
            Self::Holder(_) | Self::Terms(_) | Self::Market(_) | Self::Authority(_) => None,
        }
    }

    /// Whether what becomes of it depends on balances: it is a promise with such a predicate.
    #[inline]
    pub(super) fn asks_for_balances(&self) -> bool {
        match self {
            Self::Hold(hold) => hold.release().asks_for_balances() || hold.cancel().asks_for_balances(),
            Self::Grant(grant) => grant.predicate.asks_for_balances(),
            _ => false,
        }
    }

    /// Its canonical bytes, appended.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Record(record) => {
                out.push(1);
                record.encode(out);
            }
            Self::Holder(state) => {
                out.push(2);
                out.extend_from_slice(&state.asset.0.to_le_bytes());
                out.extend_from_slice(&state.holder.0);
                out.push(u8::from(state.is_authorized) | u8::from(state.is_frozen) << 1);
            }
            Self::Terms(terms) => {
                out.push(3);
                terms.encode(out);
            }
            Self::Hold(hold) => {
                out.push(4);
                hold.encode(out);
            }
            Self::Grant(grant) => {
                out.push(5);
                grant.encode(out);
            }
            Self::Market(market) => {
                out.push(6);
                market.encode(out);
            }
            Self::Order(order) => {
                out.push(7);
                order.encode(out);
            }
            Self::Authority(authority) => {
                out.push(8);
                authority.encode(out);
            }
        }
    }

    /// Reads a place back; `None` is a free one.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Option<Self>, Unloadable> {
        let entry = match reader.u8()? {
            0 => return Ok(None),
            1 => Record::decode(reader)?.into(),
            2 => {
                let (asset, holder) = (AssetId(reader.u32()?), Address(reader.array()?));
                let bits = reader.u8()?;
                if !(1..=3).contains(&bits) {
                    return Err(odd("a holder's state", bits));
                }
                HolderState { asset, holder, is_authorized: bits & 1 == 1, is_frozen: bits & 2 == 2 }.into()
            }
            3 => Terms::decode(reader)?.into(),
            4 => PlacedHold::decode(reader)?.into(),
            5 => GrantState::decode(reader)?.into(),
            6 => MarketState::decode(reader)?.into(),
            7 => OrderState::decode(reader)?.into(),
            8 => AuthorityState::decode(reader)?.into(),
            other => return Err(odd("the kind of an entry", other)),
        };
        Ok(Some(entry))
    }
}

pub(super) fn odd(what: &'static str, found: u8) -> Unloadable {
    Unloadable::new(what, "one that this version knows", found.to_string())
}

pub(super) fn put_time(time: Option<Time>, out: &mut Vec<u8>) {
    out.extend_from_slice(&time.map_or(0, |time| time.0).to_le_bytes());
}

pub(super) fn take_time(reader: &mut Reader<'_>) -> Result<Option<Time>, Unloadable> {
    Ok(Some(reader.u64()?).filter(|&time| time != 0).map(Time))
}

/// Zeros are nobody: no account has this address, since anyone could sign for it.
pub(super) fn take_address(reader: &mut Reader<'_>) -> Result<Option<Address>, Unloadable> {
    Ok(Some(Address(reader.array()?)).filter(|address| *address != Address::default()))
}

pub(super) fn take_flag(reader: &mut Reader<'_>) -> Result<bool, Unloadable> {
    match reader.u8()? {
        flag @ (0 | 1) => Ok(flag == 1),
        other => Err(odd("a flag", other)),
    }
}
