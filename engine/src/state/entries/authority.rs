//! Who may act for an account, where that isn't simply the key of its address.
//!
//! ```text
//! authority  8 u8, owner [32], slot u32, rules, 0 u8 or 1 u8, from u64, rules
//! rules      flags u8 (1 closed, 2 memo required), low u8, medium u8, high u8, quorum u8, delay u64,
//!            keys u8, each: [32], weight u8, scope u32, expiry u64; recovery keys u8, each [32]
//! ```

use super::Name;
use super::entry::{odd, put_time, take_flag, take_time};
use crate::state::load::Unloadable;
use crate::types::{Address, AuthorityKey, AuthorityRules, Time};
use crate::wire::Reader;

/// Who may act for an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorityState {
    /// For which.
    pub owner: Address,
    /// Where that is; never shows.
    pub(crate) slot: u32,
    /// What holds.
    pub rules: AuthorityRules,
    /// What holds from a block time on, when a recovery is under way.
    pub pending: Option<(Time, AuthorityRules)>,
}

impl AuthorityState {
    pub(crate) const fn name(owner: &Address) -> Name<'_> {
        Name::Authority { owner }
    }

    /// What holds at a time.
    pub(crate) fn rules_at(&self, now: Time) -> &AuthorityRules {
        match &self.pending {
            Some((from, rules)) if *from <= now => rules,
            _ => &self.rules,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.slot.to_le_bytes());
        encode_rules(&self.rules, out);
        out.push(u8::from(self.pending.is_some()));
        if let Some((from, rules)) = &self.pending {
            out.extend_from_slice(&from.0.to_le_bytes());
            encode_rules(rules, out);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let (owner, slot, rules) = (Address(reader.array()?), reader.u32()?, decode_rules(reader)?);
        let pending = if take_flag(reader)? { Some((Time(reader.u64()?), decode_rules(reader)?)) } else { None };
        Ok(Self { owner, slot, rules, pending })
    }
}

fn encode_rules(rules: &AuthorityRules, out: &mut Vec<u8>) {
    let flags = u8::from(rules.is_closed) | u8::from(rules.needs_memo) << 1;
    out.extend_from_slice(&[flags, rules.low, rules.medium, rules.high, rules.quorum]);
    out.extend_from_slice(&rules.delay_ms.to_le_bytes());
    out.push(u8::try_from(rules.keys.len()).unwrap_or(u8::MAX));
    for key in &rules.keys {
        out.extend_from_slice(&key.key.0);
        out.push(key.weight);
        out.extend_from_slice(&key.scope.to_le_bytes());
        put_time(key.expiry, out);
    }
    out.push(u8::try_from(rules.recovery_keys.len()).unwrap_or(u8::MAX));
    rules.recovery_keys.iter().for_each(|key| out.extend_from_slice(&key.0));
}

fn decode_rules(reader: &mut Reader<'_>) -> Result<AuthorityRules, Unloadable> {
    let flags = reader.u8()?;
    if flags > 3 {
        return Err(odd("an authority's flags", flags));
    }
    let (low, medium, high, quorum, delay_ms) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?, reader.u64()?);
    let key = |reader: &mut Reader<'_>| -> Result<AuthorityKey, Unloadable> {
        let (key, weight) = (Address(reader.array()?), reader.u8()?);
        Ok(AuthorityKey { key, weight, scope: reader.u32()?, expiry: take_time(reader)? })
    };
    let keys = (0..reader.u8()?).map(|_| key(reader)).collect::<Result<_, _>>()?;
    let recovery = |reader: &mut Reader<'_>| -> Result<Address, Unloadable> { Ok(Address(reader.array()?)) };
    let recovery_keys = (0..reader.u8()?).map(|_| recovery(reader)).collect::<Result<_, _>>()?;
    let (is_closed, needs_memo) = (flags & 1 == 1, flags & 2 == 2);
    Ok(AuthorityRules { keys, low, medium, high, recovery_keys, quorum, delay_ms, is_closed, needs_memo })
}
