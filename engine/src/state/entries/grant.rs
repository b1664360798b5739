//! Grants, which let somebody else act.
//!
//! ```text
//! grant      5 u8, owner [32], id u64, to [32], kind u8, revoked u8, asset u32, payee [32] or zeros, cap u128, used u128, period u64,
//!            period cap u128, period index u64, period used u128, rate u128, start u64, end u64, subject [32], predicate: length u16, bytes; to act: scope u32
//! ```

use super::Name;
use super::entry::{odd, put_time, take_address, take_flag, take_time};
use crate::ops::Predicate;
use crate::state::load::Unloadable;
use crate::types::{Address, Amount, AssetId, GrantKind, Time};
use crate::wire::Reader;

/// What somebody may do in another's place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantState {
    /// Who has granted it.
    pub owner: Address,
    /// Which of its owner's.
    pub id: u64,
    /// To whom.
    pub to: Address,
    /// What it is good for.
    pub kind: GrantKind,
    /// Whether its owner has taken it back.
    pub is_revoked: bool,
    /// Of which asset may be spent.
    pub asset: AssetId,
    /// The only one who may be paid with it.
    pub payee: Option<Address>,
    /// How much may be spent in all; 0 is no limit.
    pub cap: Amount,
    /// How much was.
    pub used: Amount,
    /// How long a period is, in ms from the start on; 0 is no period.
    pub period_ms: u64,
    /// How much may be spent in a period.
    pub period_cap: Amount,
    /// The period in which it was used last, from 0.
    pub period: u64,
    /// How much was spent in that period.
    pub period_used: Amount,
    /// How much becomes free a second, from the start on; 0 is all at once.
    pub rate: Amount,
    /// The first block time at which it counts.
    pub start: Time,
    /// The last.
    pub end: Option<Time>,
    /// What an access is to: a record's key, a purpose.
    pub subject: [u8; 32],
    /// What has to hold whenever it is used.
    pub predicate: Predicate,
    /// What may be ordered by it in its owner's place: bit n is the operation of code n. Zero unless it is to act.
    pub scope: u32,
}

impl GrantState {
    /// The id of a grant to act, by which it is found when its agent signs: the first eight bytes of the agent's address.
    pub(crate) fn acting_id(agent: &Address) -> u64 {
        agent.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// Whether it limits what is spent by it.
    pub(crate) fn is_limited(&self) -> bool {
        self.period_ms != 0 || self.cap != Amount::ZERO || self.rate != Amount::ZERO
    }

    pub(crate) const fn name(owner: &Address, id: u64) -> Name<'_> {
        Name::Grant { owner, id }
    }

    /// How much has become free by a time.
    pub(crate) fn vested(&self, now: Time) -> Amount {
        if self.rate == Amount::ZERO {
            return Amount::MAX;
        }
        let elapsed = u128::from(now.0.saturating_sub(self.start.0));
        let (seconds, rest) = (elapsed / 1_000, elapsed % 1_000);
        let whole = self.rate.0.saturating_mul(seconds);
        let part = (self.rate.0 / 1_000).saturating_mul(rest).saturating_add(self.rate.0 % 1_000 * rest / 1_000);
        Amount(whole.saturating_add(part))
    }

    /// The period a time lies in, and what was spent in it.
    pub(crate) fn period_at(&self, now: Time) -> (u64, Amount) {
        let period = now.0.saturating_sub(self.start.0).checked_div(self.period_ms).unwrap_or(0);
        (period, if period == self.period { self.period_used } else { Amount::ZERO })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.to.0);
        out.extend_from_slice(&[self.kind.number(), u8::from(self.is_revoked)]);
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(&self.payee.unwrap_or_default().0);
        out.extend_from_slice(&self.cap.0.to_le_bytes());
        out.extend_from_slice(&self.used.0.to_le_bytes());
        out.extend_from_slice(&self.period_ms.to_le_bytes());
        out.extend_from_slice(&self.period_cap.0.to_le_bytes());
        out.extend_from_slice(&self.period.to_le_bytes());
        out.extend_from_slice(&self.period_used.0.to_le_bytes());
        out.extend_from_slice(&self.rate.0.to_le_bytes());
        out.extend_from_slice(&self.start.0.to_le_bytes());
        put_time(self.end, out);
        out.extend_from_slice(&self.subject);
        put_predicate(&self.predicate, out);
        if self.kind == GrantKind::Act {
            out.extend_from_slice(&self.scope.to_le_bytes());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let (owner, id, to) = (Address(reader.array()?), reader.u64()?, Address(reader.array()?));
        let kind = reader.u8()?;
        let kind = GrantKind::from_number(kind).ok_or_else(|| odd("a grant's kind", kind))?;
        Ok(Self {
            owner,
            id,
            to,
            kind,
            is_revoked: take_flag(reader)?,
            asset: AssetId(reader.u32()?),
            payee: take_address(reader)?,
            cap: Amount(reader.u128()?),
            used: Amount(reader.u128()?),
            period_ms: reader.u64()?,
            period_cap: Amount(reader.u128()?),
            period: reader.u64()?,
            period_used: Amount(reader.u128()?),
            rate: Amount(reader.u128()?),
            start: Time(reader.u64()?),
            end: take_time(reader)?,
            subject: reader.array()?,
            predicate: take_predicate(reader)?,
            scope: if kind == GrantKind::Act { reader.u32()? } else { 0 },
        })
    }
}

pub(super) fn put_predicate(predicate: &Predicate, out: &mut Vec<u8>) {
    let bytes = predicate.bytes();
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn take_predicate(reader: &mut Reader<'_>) -> Result<Predicate, Unloadable> {
    let length = usize::from(reader.u16()?);
    let predicate = Predicate::decode(reader)?;
    if predicate.bytes().len() != length {
        let found = format!("one of {}", predicate.bytes().len());
        return Err(Unloadable::new("a predicate", "one of the length that is said", found));
    }
    Ok(predicate)
}
