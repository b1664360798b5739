//! Holds and grants: what operations ask of them, and how they change them.

use super::book::Book;
use super::context::Context;
use super::entries::{Entry, GrantState, PlacedHold};
use super::{Slot, State};
use crate::ops::Source;
use crate::types::{Address, Amount, AssetId, AssetPolicy, GrantKind, Happening, Rejection, RejectionCode};
use std::sync::Arc;

impl State {
    pub(super) fn grant_named(&self, owner: &Address, id: u64) -> Option<&GrantState> {
        match self.entries.get(self.entries.find(&GrantState::name(owner, id))?) {
            Some(Entry::Grant(grant)) => Some(grant),
            _ => None,
        }
    }
}

impl Context<'_> {
    fn hold_at(&self, owner: &Address, id: u64) -> Option<(u32, &PlacedHold)> {
        let number = self.state.entries.find(&PlacedHold::name(owner, id))?;
        match self.state.entries.get(number) {
            Some(Entry::Hold(hold)) => Some((number, hold)),
            _ => None,
        }
    }

    /// A hold with its number, unless it is over.
    pub(crate) fn hold(&self, owner: &Address, id: u64) -> Option<(u32, PlacedHold)> {
        let (number, hold) = self.hold_at(owner, id)?;
        (!self.is_over(hold.expiry)).then(|| (number, hold.clone()))
    }

    /// Makes sure that an id is free, and gives the tag of its name: a hold that is over and still in its place is ended.
    pub(crate) fn free_hold(&mut self, owner: &Address, id: u64) -> Result<u64, Rejection> {
        let name = PlacedHold::name(owner, id);
        let tag = self.state.entries.tag(&name);
        let Some(number) = self.state.entries.find_tagged(&name, tag) else { return Ok(tag) };
        match self.state.entries.get(number) {
            Some(Entry::Hold(hold)) if !self.is_over(hold.expiry) => {
                Err(Rejection::new(RejectionCode::HoldExists, u64::from(number)))
            }
            _ => {
                self.end_entry(number);
                Ok(tag)
            }
        }
    }

    /// Moves a part of what an account can spend to what it has set aside. The caller has made sure that it is there.
    pub(crate) fn set_aside(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.change_balance(slot, asset, |before| before.set_aside(amount));
    }

    /// Gives what was set aside back.
    pub(crate) fn give_back(&mut self, owner: Source<'_>, asset: AssetId, amount: Amount) {
        // Whoever has set something aside has an account.
        let Some(slot) = owner.slot.or_else(|| self.find_account(owner.address)) else { return };
        self.change_balance(slot, asset, |before| before.delivered(amount).credited(amount));
    }

    /// Gives all that is left of a hold back to its owner; those it would have paid are told.
    pub(crate) fn refund(&mut self, number: u32, hold: &PlacedHold) {
        let owner = Source { address: &hold.owner, slot: self.state.entries.owner_slot(number) };
        self.close_hold(number);
        self.give_back(owner, hold.asset, hold.amount);
        let &PlacedHold { id, asset, amount, .. } = hold;
        self.tell(hold.owner, Happening::HoldReturned { hold: id, asset, amount });
        for (payee, part) in hold.split(amount) {
            self.tell(payee, Happening::HoldLost { hold: id, asset, amount: part });
        }
    }

    /// Gives some of a hold to its payees, for somebody who may be one of them; `drawn` is what vouchers have drawn then. Nothing remains of it if
    /// it is rejected, as far as the transaction is rolled back.
    pub(crate) fn release(
        &mut self,
        (number, hold): (u32, &PlacedHold),
        source: Source<'_>,
        amount: Amount,
        drawn: Option<Amount>,
    ) -> Result<(), Rejection> {
        let asset = self.asset(hold.asset)?;
        if asset.has_policy() {
            for share in hold.payees() {
                self.check_policy(asset, hold.asset, &hold.owner, &share.payee)?;
            }
        }
        for share in hold.payees() {
            self.check_payee(&share.payee, true)?;
        }
        let party = |address: &Address| source.slot.filter(|_| address == source.address);
        let owner = Source { address: &hold.owner, slot: self.state.entries.owner_slot(number) };
        for (payee, part) in hold.split(amount) {
            let target = Source { address: &payee, slot: party(&payee) };
            self.deliver(hold.asset, owner, target, part)?;
            if part != Amount::ZERO {
                self.tell(payee, Happening::Paid { hold: hold.id, asset: hold.asset, amount: part });
            }
        }
        self.tell_collected();
        match hold.amount.minus(amount) {
            Ok(left) if left != Amount::ZERO => self.reduce_hold(number, left, drawn),
            _ => self.close_hold(number),
        }
        Ok(())
    }

    /// Pays out of what an account has set aside; a fee goes off what the payee gets. Slots that aren't known are looked for. Gives what the payee
    /// gets; who got the fee is yet to be told.
    pub(super) fn deliver(
        &mut self,
        id: AssetId,
        owner: Source<'_>,
        payee: Source<'_>,
        amount: Amount,
    ) -> Result<Amount, Rejection> {
        if amount == Amount::ZERO {
            return Ok(amount);
        }
        let asset = *self.asset(id)?;
        let is_burnt = *payee.address == asset.issuer;
        let target = match payee.slot {
            _ if is_burnt => None,
            None => Some(self.open_account(payee.address)?),
            known => known,
        };
        let terms = (asset.policy.has(AssetPolicy::FEE) && !is_burnt).then(|| self.asset_terms(id));
        let fee = terms.as_ref().map_or(Amount::ZERO, |terms| Amount(terms.fee(amount).0.min(amount.0)));
        let collector = terms.map(|terms| terms.fee_account).filter(|_| fee != Amount::ZERO);

        // From here on it cannot fail: what an account has is part of what is issued.
        let Some(source) = owner.slot.or_else(|| self.find_account(owner.address)) else { return Ok(Amount::ZERO) };
        self.change_balance(source, id, |before| before.delivered(amount));
        let mut burnt = if is_burnt { amount } else { Amount::ZERO };
        let kept = Amount(amount.0.saturating_sub(fee.0));
        if let Some(target) = target {
            self.credit(target, id, kept);
        }
        if let Some(collector) = collector {
            self.collect(collector, id, fee);
        }
        match collector {
            Some(collector) if collector == asset.issuer => burnt = fee,
            Some(collector) => {
                let slot = self.open_account(&collector)?;
                self.credit(slot, id, fee);
            }
            None => {}
        }
        if burnt != Amount::ZERO {
            self.set_issued(id, Amount(asset.issued.0.saturating_sub(burnt.0)));
        }
        Ok(kept)
    }

    /// Does what is to be done when an entry is over, and frees its place.
    pub(super) fn end_entry(&mut self, number: u32) {
        let hold = match self.state.entries.get(number) {
            Some(Entry::Hold(hold)) => hold.clone(),
            Some(&Entry::Order(order)) => return self.end_order(number, &order),
            _ => return self.set_entry(number, None),
        };
        let &PlacedHold { id, asset, amount, .. } = &hold;
        if !hold.releases_at_expiry || !self.can_release(&hold) {
            return self.refund(number, &hold);
        }
        let told = self.told();
        self.tell(hold.owner, Happening::HoldReleased { hold: id, asset, amount });
        let owner = Source { address: &hold.owner, slot: None };
        if self.release((number, &hold), owner, amount, None).is_err() {
            self.untell(told);
            self.refund(number, &hold);
        }
    }

    /// Whether nothing stands against releasing a hold now, so that it isn't begun in vain.
    fn can_release(&self, hold: &PlacedHold) -> bool {
        let Ok(asset) = self.asset(hold.asset) else { return false };
        let is_missing = |payee: &Address| *payee != asset.issuer && self.find_account(payee).is_none();
        let parts = hold.split(hold.amount);
        let mut missing: Vec<Address> =
            parts.filter(|(payee, part)| *part != Amount::ZERO && is_missing(payee)).map(|(payee, _)| payee).collect();
        missing.sort_unstable();
        missing.dedup();
        let fits = missing.len() <= self.state.accounts.room() as usize;
        let is_open = hold.payees().all(|share| self.check_payee(&share.payee, true).is_ok());
        fits && is_open
            && (!asset.has_policy()
                || hold.payees().all(|share| self.check_policy(asset, hold.asset, &hold.owner, &share.payee).is_ok()))
    }

    fn grant_at(&self, owner: &Address, id: u64) -> Option<(u32, &Arc<GrantState>)> {
        let number = self.state.entries.find(&GrantState::name(owner, id))?;
        match self.state.entries.get(number) {
            Some(Entry::Grant(grant)) => Some((number, grant)),
            _ => None,
        }
    }

    /// A grant with its number, unless it is over.
    pub(crate) fn grant(&self, owner: &Address, id: u64) -> Option<(u32, Arc<GrantState>)> {
        let (number, grant) = self.grant_at(owner, id)?;
        (!self.is_over(grant.end)).then(|| (number, grant.clone()))
    }

    /// The number of a grant that is over and still in its place.
    pub(crate) fn stale_grant(&self, owner: &Address, id: u64) -> Option<u32> {
        self.grant_at(owner, id).map(|(number, _)| number)
    }

    /// A grant by which somebody may pay somebody in an asset, with its number.
    pub(crate) fn spending(
        &self,
        owner: &Address,
        id: u64,
        spender: Source<'_>,
        asset: AssetId,
        payee: &Address,
    ) -> Result<(u32, Arc<GrantState>), Rejection> {
        let no = |code, detail| Err(Rejection::new(code, detail));
        let Some((number, grant)) = self.grant(owner, id) else { return no(RejectionCode::NoGrant, 0) };
        if grant.to != *spender.address {
            return no(RejectionCode::WrongParty, 0);
        }
        if let Err(node) = grant.predicate.holds(self, None) {
            return no(RejectionCode::ConditionUnmet, u64::from(node));
        }
        if grant.is_revoked {
            return no(RejectionCode::GrantRevoked, 0);
        }
        if grant.kind != GrantKind::Spend {
            return no(RejectionCode::OutOfScope, 0);
        }
        if grant.asset != asset {
            return no(RejectionCode::OutOfScope, 1);
        }
        if grant.payee.is_some_and(|only| only != *payee) {
            return no(RejectionCode::OutOfScope, 2);
        }
        if grant.start > self.time() {
            return no(RejectionCode::NotVested, u64::MAX);
        }
        Ok((number, grant))
    }

    /// How much a grant leaves to be spent now, and the code that more meets.
    pub(crate) fn spendable(&self, grant: &GrantState) -> (Amount, RejectionCode) {
        let left = |of: Amount, used: Amount| Amount(of.0.saturating_sub(used.0));
        let mut least = (left(grant.vested(self.time()), grant.used), RejectionCode::NotVested);
        if grant.cap != Amount::ZERO {
            least = least.min((left(grant.cap, grant.used), RejectionCode::GrantExhausted));
        }
        if grant.period_ms != 0 {
            let (_, used) = grant.period_at(self.time());
            least = least.min((left(grant.period_cap, used), RejectionCode::PeriodCap));
        }
        least
    }

    /// Counts what was spent by a grant.
    pub(crate) fn spend(&mut self, number: u32, grant: &GrantState, amount: Amount) {
        let (period, used) = grant.period_at(self.time());
        let plus = |used: Amount| Amount(used.0.saturating_add(amount.0));
        let (used, period_used) = (plus(grant.used), plus(used));
        self.set_entry(number, Some(GrantState { used, period, period_used, ..grant.clone() }.into()));
    }
}
