//! Says who may act for the source from the next transaction on; or puts other rules in their place when keys were lost.
//!
//! **Touches** the source's authority and, to close it, its account.
//!
//! **Goes in order**, and all behind it too, since whatever follows in the block is judged by it.

use super::{Source, Touch};
use crate::state::Context;
use crate::types::{Address, AuthorityKey, AuthorityRules, Rejection, RejectionCode, Time};
use crate::wire::{Malformed, Reader};

/// An order about who may act for the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorize {
    /// These rules hold from the next transaction on; a recovery that is under way is over.
    Set(AuthorityRules),
    /// Signed by the recovery keys: these rules hold when the delay is over.
    Recover(AuthorityRules),
    /// Ends a recovery that is under way.
    Object,
}

impl Authorize {
    pub(crate) const CODE: u8 = 10;
    pub(crate) const BYTES_MIN: usize = 8;
    pub(crate) const BYTES_MAX: usize = 24 + 16 * 48 + 8 * 32;

    /// Whether it is signed by recovery keys.
    pub(crate) const fn is_recovery(&self) -> bool {
        matches!(self, Self::Recover(_))
    }

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let before = context.authority(source.address);
        match self {
            Self::Set(rules) => {
                check_reachable(rules, context.time())?;
                if rules.is_closed && context.holds_anything(source) {
                    return Err(Rejection::new(RejectionCode::NotEmpty, 0));
                }
                context.set_authority(source, rules.clone(), None)
            }
            Self::Recover(rules) => {
                if before.pending.is_some() {
                    let from = before.pending.map_or(0, |(from, _)| from.0);
                    return Err(Rejection::new(RejectionCode::RecoveryPending, from));
                }
                check_reachable(rules, context.time())?;
                if rules.is_closed {
                    return Err(Rejection::new(RejectionCode::NotEmpty, 0));
                }
                let from = Time(context.time().0.saturating_add(before.rules.delay_ms));
                context.set_authority(source, before.rules, Some((from, rules.clone())))
            }
            Self::Object => {
                if before.pending.is_none() {
                    return Err(Rejection::new(RejectionCode::NoRecovery, 0));
                }
                context.set_authority(source, before.rules, None)
            }
        }
    }

    /// See [`Touch`]. Whoever pays the source is bound by what it says.
    pub(super) const fn touches(_: &[u8], _: &mut dyn FnMut(Touch)) -> Option<()> {
        None
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (action, rules) = match self {
            Self::Set(rules) => (0, rules),
            Self::Recover(rules) => (1, rules),
            Self::Object => return out.extend_from_slice(&[2, 0, 0, 0]),
        };
        let count = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        let flags = u8::from(rules.is_closed) | u8::from(rules.needs_memo) << 1;
        out.extend_from_slice(&[action, count(rules.keys.len()), count(rules.recovery_keys.len()), flags]);
        out.extend_from_slice(&[rules.low, rules.medium, rules.high, rules.quorum, 0, 0, 0, 0]);
        out.extend_from_slice(&rules.delay_ms.to_le_bytes());
        for key in &rules.keys {
            out.extend_from_slice(&key.key.0);
            out.extend_from_slice(&[key.weight, 0, 0, 0]);
            out.extend_from_slice(&key.scope.to_le_bytes());
            out.extend_from_slice(&key.expiry.map_or(0, |time| time.0).to_le_bytes());
        }
        rules.recovery_keys.iter().for_each(|key| out.extend_from_slice(&key.0));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let [action, keys, recovery, flags] = [reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?];
        let field = |field, at: usize, expected, found: u8| {
            Err(Malformed::Field { field, offset: offset + at, expected, found: found.into() })
        };
        if action == 2 {
            return match (keys, recovery, flags) {
                (0, 0, 0) => Ok(Self::Object),
                _ => field("keys and flags", 1, "0 to object", keys.max(recovery).max(flags)),
            };
        }
        if action > 2 {
            return field("action", 0, "0 to 2", action);
        }
        if !(1..=16).contains(&keys) {
            return field("keys", 1, "1 to 16", keys);
        }
        if recovery > 8 {
            return field("recovery keys", 2, "at most 8", recovery);
        }
        if flags > 3 {
            return field("flags", 3, "0 to 3", flags);
        }
        let [low, medium, high, quorum] = [reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?];
        if low == 0 || low > medium || medium > high {
            return field("thresholds", 4, "1 or more, ascending", low);
        }
        if quorum > recovery || (quorum == 0) != (recovery == 0) {
            return field("quorum", 7, "1 to the number of recovery keys, 0 without any", quorum);
        }
        reader.reserved::<4>()?;
        let delay_ms = reader.u64()?;
        if recovery == 0 && delay_ms != 0 {
            return field("delay", 12, "0 without recovery keys", 1);
        }
        let mut list: Vec<AuthorityKey> = Vec::with_capacity(usize::from(keys));
        for _ in 0..keys {
            let at = reader.offset() - offset;
            let key = super::address(reader)?;
            if list.last().is_some_and(|last| last.key >= key) {
                return field("key", at, "ascending keys, none twice", list.len().try_into().unwrap_or(u8::MAX));
            }
            let at = reader.offset() - offset;
            let weight = reader.u8()?;
            if weight == 0 {
                return field("weight", at, "1 or more", 0);
            }
            reader.reserved::<3>()?;
            let scope = reader.u32()?;
            let expiry = Some(reader.u64()?).filter(|&time| time != 0).map(Time);
            list.push(AuthorityKey { key, weight, scope, expiry });
        }
        let mut recovery_keys: Vec<Address> = Vec::with_capacity(usize::from(recovery));
        for _ in 0..recovery {
            let at = reader.offset() - offset;
            let key = super::address(reader)?;
            if recovery_keys.last().is_some_and(|last| *last >= key) {
                return field("recovery key", at, "ascending keys, none twice", 0);
            }
            recovery_keys.push(key);
        }
        let (is_closed, needs_memo) = (flags & 1 == 1, flags & 2 == 2);
        let rules =
            AuthorityRules { keys: list, low, medium, high, recovery_keys, quorum, delay_ms, is_closed, needs_memo };
        Ok(if action == 0 { Self::Set(rules) } else { Self::Recover(rules) })
    }
}

/// Refuses rules that nobody could ever change again: keys that may change them have to reach the highest threshold for ever.
fn check_reachable(rules: &AuthorityRules, now: Time) -> Result<(), Rejection> {
    let lasting = rules.keys.iter().filter(|key| key.expiry.is_none());
    let weight: u32 = lasting.map(|key| key.weight_for(Authorize::CODE, now)).sum();
    if weight < u32::from(rules.high) {
        return Err(Rejection::new(RejectionCode::AuthorityUnreachable, u64::from(weight)));
    }
    Ok(())
}
