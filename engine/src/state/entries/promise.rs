//! What accounts have promised: holds, which set money aside, and grants, which let somebody else act.
//!
//! ```text
//! hold       4 u8, owner [32], id u64, asset u32, amount u128, expiry u64, flags u8 (1 releases at expiry, 2 arbiter), arbiter [32] or zeros,
//!            payees u8, each: [32], share u32; release: length u16, bytes; cancel: length u16, bytes; with flag 4 (vouchers): key [32],
//!            opened u64, drawn u128
//! grant      5 u8, owner [32], id u64, to [32], kind u8, revoked u8, asset u32, payee [32] or zeros, cap u128, used u128, period u64,
//!            period cap u128, period index u64, period used u128, rate u128, start u64, end u64, subject [32], predicate: length u16, bytes; to act: scope u32
//! ```

use super::Name;
use super::entry::{odd, put_time, take_address, take_flag, take_time};
use crate::ops::Predicate;
use crate::state::load::Unloadable;
use crate::types::{Address, Amount, AssetId, GrantKind, Time};
use crate::wire::Reader;

/// Who gets a part of a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub payee: Address,
    /// How many parts of all the shares together; not 0.
    pub parts: u32,
}

/// Money set aside until somebody releases or cancels it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldState {
    /// Whose money it is.
    pub owner: Address,
    /// Which of its owner's.
    pub id: u64,
    /// Of which asset.
    pub asset: AssetId,
    /// How much is left.
    pub amount: Amount,
    /// The last block time at which it can be settled.
    pub expiry: Option<Time>,
    /// Whether it is released then, not refunded.
    pub releases_at_expiry: bool,
    /// Who may settle it either way.
    pub arbiter: Option<Address>,
    /// One to four.
    pub payees: Vec<Share>,
    /// When a payee may release it.
    pub release: Predicate,
    /// When its owner may cancel it.
    pub cancel: Predicate,
    /// How payees draw from it by vouchers, if they have to.
    pub channel: Option<Channel>,
}

/// How payees draw from a hold: by vouchers that its owner gives them, each good for all that may have been drawn so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// The key that signs vouchers.
    pub key: Address,
    /// The time of the block in which the hold was opened; part of what a voucher's signature is for.
    pub opened: Time,
    /// How much was drawn by vouchers.
    pub drawn: Amount,
}

impl HoldState {
    pub(crate) const fn name(owner: &Address, id: u64) -> Name<'_> {
        Name::Hold { owner, id }
    }

    /// Visits the accounts whose balances it asks for.
    pub(crate) fn balances(&self, see: &mut dyn FnMut(Address)) {
        [&self.release, &self.cancel].iter().for_each(|predicate| predicate.balances(see));
    }

    /// How much each payee gets of an amount: rounded down, and what is left over to the first.
    pub(crate) fn split(&self, amount: Amount) -> impl Iterator<Item = (Address, Amount)> {
        let all: u128 = self.payees.iter().map(|share| u128::from(share.parts)).sum::<u128>().max(1);
        // Nobody divides where there is nobody to share with.
        let is_shared = self.payees.len() > 1;
        let part = move |share: &Share| {
            let parts = u128::from(share.parts);
            // At most the amount: parts are at most all.
            (amount.0 / all).saturating_mul(parts).saturating_add(amount.0 % all * parts / all)
        };
        let rest = self.payees.iter().skip(1).map(part).sum();
        let first = amount.0.saturating_sub(if is_shared { rest } else { 0 });
        let payees = self.payees.iter().enumerate();
        payees.map(move |(place, share)| (share.payee, Amount(if place == 0 { first } else { part(share) })))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(&self.amount.0.to_le_bytes());
        put_time(self.expiry, out);
        let flags = u8::from(self.releases_at_expiry) | u8::from(self.arbiter.is_some()) << 1;
        out.push(flags | u8::from(self.channel.is_some()) << 2);
        out.extend_from_slice(&self.arbiter.unwrap_or_default().0);
        out.push(u8::try_from(self.payees.len()).unwrap_or(u8::MAX));
        for share in &self.payees {
            out.extend_from_slice(&share.payee.0);
            out.extend_from_slice(&share.parts.to_le_bytes());
        }
        put_predicate(&self.release, out);
        put_predicate(&self.cancel, out);
        if let Some(Channel { key, opened, drawn }) = &self.channel {
            out.extend_from_slice(&key.0);
            out.extend_from_slice(&opened.0.to_le_bytes());
            out.extend_from_slice(&drawn.0.to_le_bytes());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let (owner, id, asset) = (Address(reader.array()?), reader.u64()?, AssetId(reader.u32()?));
        let (amount, expiry, flags) = (Amount(reader.u128()?), take_time(reader)?, reader.u8()?);
        let arbiter = take_address(reader)?;
        if flags > 7 || arbiter.is_some() != (flags & 2 == 2) {
            return Err(odd("a hold's flags", flags));
        }
        let count = reader.u8()?;
        if !(1..=4).contains(&count) {
            return Err(odd("a hold's payees", count));
        }
        let share = |reader: &mut Reader<'_>| -> Result<Share, Unloadable> {
            Ok(Share { payee: Address(reader.array()?), parts: reader.u32()? })
        };
        let payees = (0..count).map(|_| share(reader)).collect::<Result<_, _>>()?;
        let (release, cancel) = (take_predicate(reader)?, take_predicate(reader)?);
        let channel = |reader: &mut Reader<'_>| -> Result<Channel, Unloadable> {
            let (key, opened) = (Address(reader.array()?), Time(reader.u64()?));
            Ok(Channel { key, opened, drawn: Amount(reader.u128()?) })
        };
        let channel = (flags & 4 == 4).then(|| channel(reader)).transpose()?;
        let releases_at_expiry = flags & 1 == 1;
        Ok(Self { owner, id, asset, amount, expiry, releases_at_expiry, arbiter, payees, release, cancel, channel })
    }
}

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

fn put_predicate(predicate: &Predicate, out: &mut Vec<u8>) {
    let bytes = predicate.bytes();
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take_predicate(reader: &mut Reader<'_>) -> Result<Predicate, Unloadable> {
    let length = usize::from(reader.u16()?);
    let predicate = Predicate::decode(reader)?;
    if predicate.bytes().len() != length {
        let found = format!("one of {}", predicate.bytes().len());
        return Err(Unloadable::new("a predicate", "one of the length that is said", found));
    }
    Ok(predicate)
}
