//! Sets money aside for somebody, until it is released to them or cancelled.
//!
//! **Touches** the source's account, the hold, the asset, and what its policy asks of source and payees; a hold of the same id that is over.
//!
//! **Goes by shards** where it is the only order of one signer, in lane 0, in an asset without policy, under an id that nobody had at the beginning of
//! the block, and no predicate asks for balances: what it sets aside is a debit like any other (see `execute/sharded.rs`). Its place in the table of
//! entries it gets in order, since which place an entry gets is part of the state. Any other goes in order.

use super::{Predicate, Promise, Source, Touch};
use crate::state::{Channel, Context, HoldState, PlacedHold, Share};
use crate::types::{Address, Amount, AssetId, Rejection, RejectionCode, Time};
use crate::wire::{Malformed, Reader};

/// An order to set money aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// A number of the source's own, by which it is settled. Free again when the hold has gone.
    pub id: u64,
    /// Of which asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// Who is to get it: one to four, none twice.
    pub payees: Vec<Share>,
    /// When a payee may release it.
    pub release: Predicate,
    /// When its owner may cancel it.
    pub cancel: Predicate,
    /// Who may settle it either way.
    pub arbiter: Option<Address>,
    /// The last block time at which it can be settled. Then it goes back, or to the payees.
    pub expiry: Option<Time>,
    /// Whether it goes to the payees then.
    pub releases_at_expiry: bool,
    /// The key that signs the vouchers by which payees draw from it, if they need any: see [`Settle`](crate::Settle).
    pub voucher_key: Option<Address>,
}

impl Hold {
    pub(crate) const CODE: u8 = 5;
    pub(crate) const BYTES_MIN: usize = 96;
    pub(crate) const BYTES_MAX: usize = 2048;
    const PAYEES_MAX: usize = 4;
    const RELEASES: u8 = 1;
    const HAS_ARBITER: u8 = 2;
    const HAS_VOUCHER_KEY: u8 = 4;
    const FLAGS: u8 = Self::RELEASES | Self::HAS_ARBITER | Self::HAS_VOUCHER_KEY;

    pub(super) fn apply(self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let asset = context.asset(self.asset)?;
        for share in &self.payees {
            if asset.has_policy() {
                context.check_policy(asset, self.asset, source.address, &share.payee)?;
            }
        }
        if self.payees.iter().any(|share| share.payee == *source.address) {
            return Err(Rejection::new(RejectionCode::SelfTransfer, 0));
        }
        if self.amount == Amount::ZERO {
            return Err(Rejection::new(RejectionCode::ZeroAmount, 0));
        }
        let (owner, _) = context.payer(source, self.asset, self.amount)?;
        context.check_expiry(self.expiry)?;
        let tag = context.free_hold(source.address, self.id)?;
        let (asset, amount) = (self.asset, self.amount);
        let hold = self.opened(source.address, context.time());
        context.enter_hold(hold.into(), owner, tag)?;
        context.set_aside(owner, asset, amount);
        Ok(())
    }

    /// What stands in the table when it is made.
    fn opened(self, owner: &Address, time: Time) -> HoldState {
        let Self { id, asset, amount, payees, release, cancel, arbiter, expiry, releases_at_expiry, voucher_key } =
            self;
        let channel = voucher_key.map(|key| Channel { key, opened: time, drawn: Amount::ZERO });
        let owner = *owner;
        HoldState { owner, id, asset, amount, expiry, releases_at_expiry, arbiter, payees, release, cancel, channel }
    }

    /// See [`promise`](super::EncodedOperation::promise).
    pub(super) fn promise(self, owner: &Address, time: Time) -> Option<Promise> {
        let pays_itself = self.payees.iter().any(|share| share.payee == *owner);
        if pays_itself || self.amount == Amount::ZERO || self.expiry.is_some_and(|last| last < time) {
            return None;
        }
        let (asset, amount) = (Some(self.asset), self.amount);
        Some(Promise { entry: PlacedHold::from(self.opened(owner, time)).into(), asset, amount })
    }

    /// Its id, read from the bytes of the whole operation.
    #[inline]
    pub(super) fn peek_id(operation: &[u8]) -> Option<u64> {
        super::peek_u64(operation, 16)
    }

    /// See [`Touch`].
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        see(Touch::Ends);
        let [flags, payees] = *operation.get(4..)?.first_chunk()?;
        let has = |flag: u8| usize::from(flags & flag != 0);
        let start = 48 + 32 * (has(Self::HAS_ARBITER) + has(Self::HAS_VOUCHER_KEY)) + 40 * usize::from(payees);
        let mut predicates = Reader::new(operation.get(start..)?);
        for _ in 0..2 {
            super::refuse_balances(&mut predicates, see)?;
        }
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(Self::RELEASES, self.releases_at_expiry)
            | flag(Self::HAS_ARBITER, self.arbiter.is_some())
            | flag(Self::HAS_VOUCHER_KEY, self.voucher_key.is_some());
        out.extend_from_slice(&[flags, u8::try_from(self.payees.len()).unwrap_or(u8::MAX), 0, 0]);
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.amount.0.to_le_bytes());
        out.extend_from_slice(&self.expiry.map_or(0, |time| time.0).to_le_bytes());
        self.arbiter.iter().chain(&self.voucher_key).for_each(|address| out.extend_from_slice(&address.0));
        for share in &self.payees {
            out.extend_from_slice(&share.payee.0);
            out.extend_from_slice(&share.parts.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
        }
        out.extend_from_slice(self.release.bytes());
        out.extend_from_slice(self.cancel.bytes());
        super::pad(start, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field = |field, at: usize, expected, found: u64| {
            Err(Malformed::Field { field, offset: offset + at, expected, found })
        };
        let (flags, count) = (reader.u8()?, reader.u8()?);
        if flags & !Self::FLAGS != 0 {
            return field("flags", 0, "0 to 7", flags.into());
        }
        if !(1..=Self::PAYEES_MAX).contains(&usize::from(count)) {
            return field("payees", 1, "1 to 4", count.into());
        }
        reader.reserved::<2>()?;
        let asset = AssetId(reader.u32()?);
        reader.reserved::<4>()?;
        let (id, amount) = (reader.u64()?, Amount(reader.u128()?));
        let at = reader.offset() - offset;
        let expiry = Some(reader.u64()?).filter(|&time| time != 0).map(Time);
        let releases_at_expiry = flags & Self::RELEASES != 0;
        if releases_at_expiry && expiry.is_none() {
            return field("expiry", at, "a time at which it is released", 0);
        }
        let arbiter = (flags & Self::HAS_ARBITER != 0).then(|| super::address(reader)).transpose()?;
        let voucher_key = (flags & Self::HAS_VOUCHER_KEY != 0).then(|| super::address(reader)).transpose()?;
        let mut payees: Vec<Share> = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let at = reader.offset() - offset;
            let payee = super::address(reader)?;
            if payees.iter().any(|share| share.payee == payee) {
                return field("payee", at, "each but once", payees.len() as u64);
            }
            let at = reader.offset() - offset;
            let parts = reader.u32()?;
            if parts == 0 {
                return field("share", at, "1 or more", 0);
            }
            reader.reserved::<4>()?;
            payees.push(Share { payee, parts });
        }
        let (release, cancel) = (Predicate::decode(reader)?, Predicate::decode(reader)?);
        super::padding(reader, reader.offset() - offset + 4)?;
        Ok(Self { id, asset, amount, payees, release, cancel, arbiter, expiry, releases_at_expiry, voucher_key })
    }
}
