//! Who may act for accounts: whether those who have signed may, and who may be paid.

use super::context::Context;
use super::entries::{AuthorityState, Entry};
use super::{Slot, State};
use crate::ops::{Class, Source};
use crate::types::{Address, AuthorityRules, Rejection, RejectionCode, Time};

impl State {
    /// Whether an account has rules of its own.
    #[inline]
    pub(crate) fn is_guarded(&self, slot: Slot) -> bool {
        self.entries.is_guarded(slot.0)
    }

    /// Whether any account has.
    #[inline]
    pub(crate) fn has_guarded(&self) -> bool {
        self.entries.has_guarded()
    }

    fn authority_of(&self, owner: &Address) -> Option<&AuthorityState> {
        match self.entries.get(self.entries.find(&AuthorityState::name(owner))?) {
            Some(Entry::Authority(state)) => Some(state),
            _ => None,
        }
    }

    /// Whether an account is closed at a time.
    pub(super) fn is_closed(&self, account: &Address, now: Time) -> bool {
        self.authority_of(account).is_some_and(|authority| authority.rules_at(now).is_closed)
    }

    /// Whether these keys may order these operations for an account: each its class, its code and whether it is a recovery. `place`
    /// is that of the account among the signers.
    pub(crate) fn check_authority(
        &self,
        account: &Address,
        place: u8,
        keys: &[Address],
        orders: &[(Class, u8, bool)],
        now: Time,
    ) -> Result<(), Rejection> {
        let unknown = Err(Rejection::new(RejectionCode::UnknownKey, u64::from(place)));
        let guarded = self.find(account).is_some_and(|slot| self.is_guarded(slot));
        let Some(authority) = self.authority_of(account).filter(|_| guarded) else {
            return if keys == [*account] { Ok(()) } else { unknown };
        };
        let rules = authority.rules_at(now);
        let recovers = orders.iter().any(|&(_, _, recovers)| recovers);
        let is_known = |key: &Address| {
            let is_own = rules.keys.iter().any(|own| own.key == *key);
            is_own || recovers && rules.recovery_keys.contains(key)
        };
        if !keys.iter().all(is_known) {
            return unknown;
        }
        for &(class, code, recovers) in orders {
            let reached = if recovers {
                let count = keys.iter().filter(|key| rules.recovery_keys.contains(key)).count();
                rules.quorum > 0 && count >= usize::from(rules.quorum)
            } else {
                let needed = match class {
                    Class::Low => rules.low,
                    Class::Medium => rules.medium,
                    Class::High => rules.high,
                };
                let own = rules.keys.iter().filter(|own| keys.contains(&own.key));
                own.map(|own| own.weight_for(code, now)).sum::<u32>() >= u32::from(needed)
            };
            if !reached {
                return Err(Rejection::new(RejectionCode::ThresholdUnmet, u64::from(place)));
            }
            if rules.is_closed && class != Class::High {
                return Err(Rejection::new(RejectionCode::AccountClosed, u64::from(place)));
            }
        }
        Ok(())
    }
}

impl Context<'_> {
    /// Who may act for an account now: what a recovery has put in place is in place.
    pub(crate) fn authority(&self, owner: &Address) -> AuthorityState {
        let Some(found) = self.state.authority_of(owner) else {
            let rules = AuthorityRules::of_address(*owner);
            return AuthorityState { owner: *owner, rules, ..AuthorityState::default() };
        };
        let mut authority = found.clone();
        if let Some((from, rules)) = authority.pending.take_if(|(from, _)| *from <= self.time()) {
            debug_assert!(from <= self.time(), "it holds");
            authority.rules = rules;
        }
        authority
    }

    /// Writes it; rules like those of an account that never had any free their place.
    pub(crate) fn set_authority(
        &mut self,
        owner: Source<'_>,
        rules: AuthorityRules,
        pending: Option<(Time, AuthorityRules)>,
    ) -> Result<(), Rejection> {
        let slot = self.open_account(owner.address)?.0;
        let place = self.state.entries.find(&AuthorityState::name(owner.address));
        let says_something = pending.is_some() || rules != AuthorityRules::of_address(*owner.address);
        let owner = *owner.address;
        let after = says_something.then(|| Entry::from(AuthorityState { owner, slot, rules, pending }));
        match (place, after) {
            (Some(number), after) => self.set_entry(number, after),
            (None, Some(after)) => drop(self.open_entry(after)?),
            (None, None) => {}
        }
        Ok(())
    }

    /// Whether an account has anything, available or set aside.
    pub(crate) fn holds_anything(&self, account: Source<'_>) -> bool {
        account.slot.is_some_and(|slot| self.state.accounts.holds_anything(slot))
    }

    /// Whether an account may be paid, and has the reference it asks for.
    #[inline]
    pub(crate) fn check_payee(&self, payee: &Address, has_reference: bool) -> Result<(), Rejection> {
        if self.state.has_guarded() { self.check_guarded_payee(payee, has_reference) } else { Ok(()) }
    }

    #[cold]
    fn check_guarded_payee(&self, payee: &Address, has_reference: bool) -> Result<(), Rejection> {
        let Some(authority) = self.state.authority_of(payee) else { return Ok(()) };
        let rules = authority.rules_at(self.time());
        if rules.is_closed {
            return Err(Rejection::new(RejectionCode::AccountClosed, 0));
        }
        if rules.needs_memo && !has_reference {
            return Err(Rejection::new(RejectionCode::MemoRequired, 0));
        }
        Ok(())
    }
}
