//! Lets somebody act in the source's place, within limits; or takes that back.
//!
//! **Touches** the grant.
//!
//! **Goes by shards** like a hold where something is granted; its place in the table of entries it gets in order. To revoke or remove one goes in order.

use super::{Predicate, Promise, Source, Touch};
use crate::state::{Context, GrantState};
use crate::types::{Address, Amount, AssetId, GrantKind, Rejection, RejectionCode, Time};
use crate::wire::{Malformed, Reader};

/// What is to become of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GrantAction {
    /// Makes one.
    #[default]
    Create,
    /// Takes one back. It stays, so that everybody sees that it was.
    Revoke,
    /// Removes one.
    Remove,
}

/// An order to grant something, or to take it back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// What is to become of it.
    pub action: GrantAction,
    /// A number of the source's own. Free again when the grant has gone. Of a grant to act the one that [`GrantTerms::acting_id`] gives.
    pub id: u64,
    /// What is granted; `None` when one is revoked or removed.
    pub terms: Option<Box<GrantTerms>>,
}

/// What is granted, and its limits. They are told at [`GrantState`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantTerms {
    /// What it is good for.
    pub kind: GrantKind,
    /// To whom.
    pub to: Address,
    /// Of which asset may be spent; 0 unless it is to spend.
    pub asset: AssetId,
    /// The only one who may be paid with it.
    pub payee: Option<Address>,
    /// How much may be spent in all; 0 is no limit.
    pub cap: Amount,
    /// How long a period is, in ms from the start on; 0 is no period.
    pub period_ms: u64,
    /// How much may be spent in a period; 0 without periods.
    pub period_cap: Amount,
    /// How much becomes free a second, from the start on; 0 is all at once.
    pub rate: Amount,
    /// The first block time at which it counts; 0 is at once.
    pub start: Time,
    /// The last.
    pub end: Option<Time>,
    /// What an access is to: a record's key, a purpose. Zeros unless it is for access.
    pub subject: [u8; 32],
    /// What has to hold whenever it is used.
    pub predicate: Predicate,
    /// What may be ordered by it: bit n is the operation of code n, but neither Grant nor Authorize. Zero unless it is to act.
    pub scope: u32,
}

impl GrantTerms {
    /// The id that a grant to act has: by it an agent's grant is found when the agent signs.
    #[must_use]
    pub fn acting_id(agent: &Address) -> u64 {
        GrantState::acting_id(agent)
    }

    /// What stands in the table when it is granted.
    fn granted(self, owner: &Address, id: u64, time: Time) -> GrantState {
        let GrantTerms { kind, to, asset, payee, cap, period_ms, period_cap, rate, start, end, subject, .. } = self;
        let (predicate, scope) = (self.predicate, self.scope);
        let start = if start == Time(0) { time } else { start };
        GrantState {
            owner: *owner,
            id,
            to,
            kind,
            is_revoked: false,
            asset,
            payee,
            cap,
            used: Amount::ZERO,
            period_ms,
            period_cap,
            period: 0,
            period_used: Amount::ZERO,
            rate,
            start,
            end,
            subject,
            predicate,
            scope,
        }
    }

    fn is_limited(&self) -> bool {
        self.period_ms != 0 || self.cap != Amount::ZERO || self.rate != Amount::ZERO
    }
}

impl Grant {
    pub(crate) const CODE: u8 = 7;
    pub(crate) const BYTES_MIN: usize = 16;
    pub(crate) const BYTES_MAX: usize = 1800;
    /// What can be ordered in another's place: all but what gives such rights.
    const SCOPE: u32 = 0x1ffe & !(1 << Self::CODE) & !(1 << 10);

    pub(super) fn apply(self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let found = context.grant(source.address, self.id);
        let Some(terms) = self.terms else {
            let (number, grant) = found.ok_or(Rejection::new(RejectionCode::NoGrant, 0))?;
            let revoked = (self.action == GrantAction::Revoke)
                .then(|| GrantState { is_revoked: true, ..(*grant).clone() }.into());
            context.set_entry(number, revoked);
            return Ok(());
        };
        if terms.kind == GrantKind::Spend || terms.kind == GrantKind::Act && terms.is_limited() {
            context.asset(terms.asset)?;
        }
        if terms.to == *source.address {
            return Err(Rejection::new(RejectionCode::SelfTransfer, 0));
        }
        context.check_expiry(terms.end)?;
        if let Some((number, _)) = found {
            return Err(Rejection::new(RejectionCode::GrantExists, u64::from(number)));
        }
        let id = self.id;
        let grant = terms.granted(source.address, id, context.time());
        match context.stale_grant(source.address, id) {
            Some(number) => context.set_entry(number, Some(grant.into())),
            None => drop(context.open_entry(grant.into())?),
        }
        Ok(())
    }

    /// See [`Touch`].
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        let [action, _, has_payee] = *operation.get(4..)?.first_chunk()?;
        if action != GrantAction::Create as u8 {
            return Some(());
        }
        let start = 160 + 32 * usize::from(has_payee);
        super::refuse_balances(&mut Reader::new(operation.get(start..)?), see)
    }

    /// See [`promise`](super::EncodedOperation::promise).
    pub(super) fn promise(self, owner: &Address, time: Time) -> Option<Promise> {
        let terms = self.terms.filter(|terms| terms.to != *owner && terms.end.is_none_or(|last| last >= time))?;
        let needs_asset = terms.kind == GrantKind::Spend || terms.kind == GrantKind::Act && terms.is_limited();
        let asset = needs_asset.then_some(terms.asset);
        Some(Promise { entry: terms.granted(owner, self.id, time).into(), asset, amount: Amount::ZERO })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let kind = self.terms.as_ref().map_or(0, |terms| terms.kind.number());
        let has_payee = self.terms.as_ref().is_some_and(|terms| terms.payee.is_some());
        out.extend_from_slice(&[self.action as u8, kind, u8::from(has_payee), 0]);
        out.extend_from_slice(&self.id.to_le_bytes());
        let Some(terms) = &self.terms else { return };
        out.extend_from_slice(&terms.to.0);
        out.extend_from_slice(&terms.asset.0.to_le_bytes());
        out.extend_from_slice(&terms.scope.to_le_bytes());
        out.extend_from_slice(&terms.cap.0.to_le_bytes());
        out.extend_from_slice(&terms.period_ms.to_le_bytes());
        out.extend_from_slice(&terms.period_cap.0.to_le_bytes());
        out.extend_from_slice(&terms.rate.0.to_le_bytes());
        out.extend_from_slice(&terms.start.0.to_le_bytes());
        out.extend_from_slice(&terms.end.map_or(0, |time| time.0).to_le_bytes());
        out.extend_from_slice(&terms.subject);
        terms.payee.iter().for_each(|payee| out.extend_from_slice(&payee.0));
        out.extend_from_slice(terms.predicate.bytes());
        super::pad(start, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field =
            |field, at: usize, expected, found: u64| Malformed::Field { field, offset: offset + at, expected, found };
        let [action, kind, has_payee] = [reader.u8()?, reader.u8()?, reader.u8()?];
        reader.reserved::<1>()?;
        let action = match action {
            0 => GrantAction::Create,
            1 => GrantAction::Revoke,
            2 => GrantAction::Remove,
            other => return Err(field("action", 0, "0 to 2", other.into())),
        };
        let creates = action == GrantAction::Create;
        let known = GrantKind::from_number(kind).filter(|_| creates || kind == 0);
        let kind = known.ok_or_else(|| field("grant kind", 1, "a kind, 0 where none is made", kind.into()))?;
        if has_payee > u8::from(creates && kind == GrantKind::Spend) {
            return Err(field("flags", 2, "0, or 1 to spend", has_payee.into()));
        }
        let id = reader.u64()?;
        if !creates {
            return Ok(Self { action, id, terms: None });
        }
        let to = super::address(reader)?;
        let at = reader.offset() - offset;
        let (asset, scope) = (AssetId(reader.u32()?), reader.u32()?);
        let (cap, period_ms, period_cap) = (Amount(reader.u128()?), reader.u64()?, Amount(reader.u128()?));
        let (rate, start) = (Amount(reader.u128()?), Time(reader.u64()?));
        let end = Some(reader.u64()?).filter(|&time| time != 0).map(Time);
        let subject = reader.array()?;
        let payee = (has_payee == 1).then(|| super::address(reader)).transpose()?;
        let predicate = Predicate::decode(reader)?;
        super::padding(reader, reader.offset() - offset + 4)?;
        let amounts = [cap, period_cap, rate];
        let spends = period_ms != 0 || asset != AssetId(0) || amounts.iter().any(|&amount| amount != Amount::ZERO);
        if kind == GrantKind::Access && spends {
            return Err(field("limits", at, "0 unless it is to spend", 1));
        }
        let is_scope = if kind == GrantKind::Act { scope != 0 && scope & !Self::SCOPE == 0 } else { scope == 0 };
        if !is_scope {
            let expected = "operations but Grant and Authorize to act, else 0";
            return Err(field("scope", at + 4, expected, scope.into()));
        }
        if (period_ms == 0) != (period_cap == Amount::ZERO) {
            return Err(field("period", at + 24, "a period and a cap for it, or neither", period_ms));
        }
        if kind != GrantKind::Access && subject != [0; 32] {
            return Err(field("subject", at + 80, "0 unless it is for access", 1));
        }
        let terms = GrantTerms {
            kind,
            to,
            asset,
            payee,
            cap,
            period_ms,
            period_cap,
            rate,
            start,
            end,
            subject,
            predicate,
            scope,
        };
        if kind == GrantKind::Act && !terms.is_limited() && asset != AssetId(0) {
            return Err(field("asset", at, "0 without limits", asset.0.into()));
        }
        if kind == GrantKind::Act && id != GrantState::acting_id(&terms.to) {
            return Err(field("id", 4, "the first eight bytes of whom it is to", id));
        }
        Ok(Self { action, id, terms: Some(Box::new(terms)) })
    }
}
