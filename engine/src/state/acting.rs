//! Acting in another's place: who may by a grant, and what that costs its owner.

use super::State;
use super::context::Context;
use super::entries::GrantState;
use crate::ops::{Operation, Source};
use crate::types::{Address, Amount, AssetId, GrantKind, Rejection, RejectionCode, Time};

impl State {
    /// Whether somebody may order these operations, each by its code, for an account at a time; `Ok(false)` if no grant says so. `place` is that
    /// of the account among the signers.
    pub(crate) fn may_act(
        &self,
        owner: &Address,
        agent: &Address,
        place: u8,
        codes: impl Iterator<Item = u8>,
        now: Time,
    ) -> Result<bool, Rejection> {
        let Some(grant) = self.grant_named(owner, GrantState::acting_id(agent)) else { return Ok(false) };
        let is_its = grant.kind == GrantKind::Act && grant.to == *agent && !grant.is_revoked;
        if !is_its || grant.start > now || grant.end.is_some_and(|last| last < now) {
            return Ok(false);
        }
        let covers = |code: u8| grant.scope & 1_u32.checked_shl(code.into()).unwrap_or(0) != 0;
        if !codes.into_iter().all(covers) {
            return Err(Rejection::new(RejectionCode::ThresholdUnmet, u64::from(place)));
        }
        if self.is_closed(owner, now) {
            return Err(Rejection::new(RejectionCode::AccountClosed, u64::from(place)));
        }
        Ok(true)
    }
}

impl Context<'_> {
    /// Does what an agent orders in another's place, within the limits of its grant.
    pub(crate) fn act(&mut self, agent: &Address, owner: Source<'_>, operation: Operation) -> Result<(), Rejection> {
        let no = |code, detail| Err(Rejection::new(code, detail));
        // It was there when the transaction began, and an agent can't take it away.
        let Some((number, grant)) = self.grant(owner.address, GrantState::acting_id(agent)) else {
            return no(RejectionCode::NoGrant, 0);
        };
        if let Err(node) = grant.predicate.holds(self, None) {
            return no(RejectionCode::ConditionUnmet, u64::from(node));
        }
        if operation.uses_grant() {
            return no(RejectionCode::OutOfScope, 3);
        }
        if !grant.is_limited() {
            return operation.apply(owner, self);
        }
        if operation.given(owner.address, self).is_some_and(|asset| asset != grant.asset) {
            return no(RejectionCode::OutOfScope, 1);
        }
        let before = self.means(owner.address, grant.asset);
        operation.apply(owner, self)?;
        let spent = Amount(before.0.saturating_sub(self.means(owner.address, grant.asset).0));
        if spent == Amount::ZERO {
            return Ok(());
        }
        let (most, code) = self.spendable(&grant);
        if spent > most {
            return no(code, u64::try_from(spent.0.saturating_sub(most.0)).unwrap_or(u64::MAX));
        }
        self.spend(number, &grant, spent);
        Ok(())
    }

    /// What an account can spend of an asset; its issuer what can still be issued at all.
    fn means(&self, account: &Address, id: AssetId) -> Amount {
        match self.asset(id) {
            Ok(asset) if asset.issuer == *account => Amount(u128::MAX.saturating_sub(asset.issued.0)),
            _ => self.available(account, id),
        }
    }
}
