//! The model's holds and grants.

use super::entries::Entry;
use super::{Model, detail, fee, no};
use nostro::{
    Address, Amount, AssetId, AssetPolicy, Channel, Grant, GrantAction, GrantKind, GrantName, GrantState, Happening,
    Hold, HoldState, Rejection, RejectionCode, Settle, Time,
};
use std::collections::BTreeMap;

pub(super) fn encode_hold(hold: &HoldState, bytes: &mut Vec<u8>) {
    bytes.push(4);
    bytes.extend(hold.owner.0);
    bytes.extend(hold.id.to_le_bytes());
    bytes.extend(hold.asset.0.to_le_bytes());
    bytes.extend(hold.amount.0.to_le_bytes());
    bytes.extend(hold.expiry.map_or(0, |time| time.0).to_le_bytes());
    bytes.push(
        u8::from(hold.releases_at_expiry) + 2 * u8::from(hold.arbiter.is_some()) + 4 * u8::from(hold.channel.is_some()),
    );
    bytes.extend(hold.arbiter.map_or([0; 32], |arbiter| arbiter.0));
    bytes.push(u8::try_from(hold.payees.len()).expect("at most four"));
    for share in &hold.payees {
        bytes.extend(share.payee.0);
        bytes.extend(share.parts.to_le_bytes());
    }
    for predicate in [&hold.release, &hold.cancel] {
        bytes.extend(u16::try_from(predicate.bytes().len()).expect("short").to_le_bytes());
        bytes.extend(predicate.bytes());
    }
    if let Some(channel) = &hold.channel {
        bytes.extend(channel.key.0);
        bytes.extend(channel.opened.0.to_le_bytes());
        bytes.extend(channel.drawn.0.to_le_bytes());
    }
}

pub(super) fn encode_grant(grant: &GrantState, bytes: &mut Vec<u8>) {
    bytes.push(5);
    bytes.extend(grant.owner.0);
    bytes.extend(grant.id.to_le_bytes());
    bytes.extend(grant.to.0);
    bytes.push(match grant.kind {
        GrantKind::Spend => 0,
        GrantKind::Access => 1,
        GrantKind::Act => 2,
    });
    bytes.push(u8::from(grant.is_revoked));
    bytes.extend(grant.asset.0.to_le_bytes());
    bytes.extend(grant.payee.map_or([0; 32], |payee| payee.0));
    bytes.extend(grant.cap.0.to_le_bytes());
    bytes.extend(grant.used.0.to_le_bytes());
    bytes.extend(grant.period_ms.to_le_bytes());
    bytes.extend(grant.period_cap.0.to_le_bytes());
    bytes.extend(grant.period.to_le_bytes());
    bytes.extend(grant.period_used.0.to_le_bytes());
    bytes.extend(grant.rate.0.to_le_bytes());
    bytes.extend(grant.start.0.to_le_bytes());
    bytes.extend(grant.end.map_or(0, |time| time.0).to_le_bytes());
    bytes.extend(grant.subject);
    bytes.extend(u16::try_from(grant.predicate.bytes().len()).expect("short").to_le_bytes());
    bytes.extend(grant.predicate.bytes());
    if grant.kind == GrantKind::Act {
        bytes.extend(grant.scope.to_le_bytes());
    }
}

/// What each payee of a hold gets of an amount of it.
fn parts(hold: &HoldState, amount: u128) -> Vec<u128> {
    let all: u128 = hold.payees.iter().map(|share| u128::from(share.parts)).sum();
    // parts × amount may not fit, so whole shares and the rest of them apart.
    let part = |parts: u32| amount / all * u128::from(parts) + amount % all * u128::from(parts) / all;
    let mut parts: Vec<u128> = hold.payees.iter().map(|share| part(share.parts)).collect();
    parts[0] += amount - parts.iter().sum::<u128>();
    parts
}

impl Model {
    /// What is over goes, the earliest first, at most 256 of them.
    pub(super) fn sweep(&mut self) {
        for _ in 0..256 {
            let Some(number) = self.state.table.first_over(self.time) else { return };
            self.end(number);
        }
    }

    pub(super) fn end(&mut self, number: u32) {
        if let Entry::Order(order) = &self.state.table.entries[&number] {
            let order = *order;
            return self.end_order(number, &order);
        }
        if let Entry::Hold(hold) = self.state.table.entries[&number].clone() {
            let (before, told) = (self.state.clone(), self.events.len());
            let released = Happening::HoldReleased { hold: hold.id, asset: hold.asset, amount: hold.amount };
            self.tell(hold.owner, released);
            if hold.releases_at_expiry && self.release(number, &hold, hold.amount.0).is_ok() {
                return;
            }
            self.state = before;
            self.events.truncate(told);
            self.refund(&hold);
        }
        self.state.table.entries.remove(&number);
    }

    /// What holds and orders say is set aside, by owner and asset.
    pub(super) fn table_holds(&self) -> BTreeMap<(Address, AssetId), u128> {
        let mut held = BTreeMap::new();
        for entry in self.state.table.entries.values() {
            let (owner, id, amount) = match entry {
                Entry::Hold(hold) => (hold.owner, hold.asset, hold.amount.0),
                Entry::Order(order) => self.set_aside_by(order),
                _ => continue,
            };
            *held.entry((owner, id)).or_default() += amount;
        }
        held
    }

    fn refund(&mut self, hold: &HoldState) {
        let (owner, id, amount) = (hold.owner, hold.asset, hold.amount.0);
        self.state.set_held(owner, id, self.state.held(&owner, id) - amount);
        self.state.set_balance(owner, id, self.state.balance(&owner, id) + amount);
        self.tell(owner, Happening::HoldReturned { hold: hold.id, asset: id, amount: hold.amount });
        for (share, part) in hold.payees.iter().zip(parts(hold, amount)) {
            self.tell(share.payee, Happening::HoldLost { hold: hold.id, asset: id, amount: Amount(part) });
        }
    }

    /// Gives a part of a hold to its payees.
    fn release(&mut self, number: u32, hold: &HoldState, amount: u128) -> Result<(), Rejection> {
        let asset = self.asset(hold.asset)?;
        let (owner, id) = (hold.owner, hold.asset);
        for share in &hold.payees {
            self.check_policy(&asset, id, owner, share.payee)?;
        }
        for share in &hold.payees {
            self.check_payee(share.payee, 1)?;
        }
        for (share, part) in hold.payees.iter().zip(parts(hold, amount)) {
            self.pay_held(owner, share.payee, id, part);
            if part > 0 {
                self.tell(share.payee, Happening::Paid { hold: hold.id, asset: id, amount: Amount(part) });
            }
        }
        self.tell_fees();
        self.check_room()?;
        let left = hold.amount.0 - amount;
        if left == 0 {
            self.state.table.entries.remove(&number);
        } else {
            let rest = HoldState { amount: Amount(left), ..hold.clone() };
            self.state.table.entries.insert(number, Entry::Hold(rest));
        }
        Ok(())
    }

    /// Pays what was set aside; the asset's fee goes off it. What the payee got.
    pub(super) fn pay_held(&mut self, owner: Address, payee: Address, id: AssetId, amount: u128) -> u128 {
        if amount == 0 {
            return 0;
        }
        let place = usize::try_from(id.0).expect("32 bits");
        let (asset, terms) = (self.state.assets[place], self.state.table.terms(id));
        self.state.set_held(owner, id, self.state.held(&owner, id) - amount);
        if payee == asset.issuer {
            self.state.assets[place].issued.0 -= amount;
            return amount;
        }
        let fee = if asset.policy.has(AssetPolicy::FEE) { fee(&terms, amount).min(amount) } else { 0 };
        let balance = self.state.balance(&payee, id);
        self.state.set_balance(payee, id, balance + amount - fee);
        if fee > 0 && terms.fee_account == asset.issuer {
            self.state.assets[place].issued.0 -= fee;
        } else if fee > 0 {
            let collected = self.state.balance(&terms.fee_account, id);
            self.state.set_balance(terms.fee_account, id, collected + fee);
        }
        if fee > 0 {
            self.state.fees.push((terms.fee_account, id, fee));
        }
        amount - fee
    }

    /// A hold with its number.
    #[must_use]
    pub fn hold(&self, owner: Address, id: u64) -> Option<(u32, HoldState)> {
        self.state.table.entries.iter().find_map(|(&number, entry)| match entry {
            Entry::Hold(hold) if (hold.owner, hold.id) == (owner, id) => Some((number, hold.clone())),
            _ => None,
        })
    }

    pub(super) fn is_over(&self, end: Option<Time>) -> bool {
        end.is_some_and(|last| last < self.time)
    }

    pub(super) fn set_aside(&mut self, source: Address, order: &Hold) -> Result<(), Rejection> {
        let asset = self.asset(order.asset)?;
        for share in &order.payees {
            self.check_policy(&asset, order.asset, source, share.payee)?;
        }
        if order.payees.iter().any(|share| share.payee == source) {
            return no(RejectionCode::SelfTransfer, 0);
        }
        let (id, amount) = (order.asset, order.amount.0);
        if amount == 0 {
            return no(RejectionCode::ZeroAmount, 0);
        }
        let balance = self.state.balance(&source, id);
        if balance < amount {
            return no(RejectionCode::InsufficientFunds, detail(amount - balance));
        }
        if self.is_over(order.expiry) {
            return no(RejectionCode::ExpiryPast, self.time.0);
        }
        if let Some((number, hold)) = self.hold(source, order.id) {
            if !self.is_over(hold.expiry) {
                return no(RejectionCode::HoldExists, u64::from(number));
            }
            self.end(number);
        }
        let Hold { id: name, asset: id, amount, payees, release, cancel, arbiter, expiry, releases_at_expiry, .. } =
            order.clone();
        let channel = order.voucher_key.map(|key| Channel { key, opened: self.time, drawn: Amount(0) });
        self.state.table.add(Entry::Hold(HoldState {
            owner: source,
            id: name,
            asset: id,
            amount,
            expiry,
            releases_at_expiry,
            arbiter,
            payees,
            release,
            cancel,
            channel,
        }));
        self.state.set_balance(source, id, self.state.balance(&source, id) - amount.0);
        self.state.set_held(source, id, self.state.held(&source, id) + amount.0);
        Ok(())
    }

    pub(super) fn settle(&mut self, source: Address, order: &Settle) -> Result<(), Rejection> {
        let found = self.hold(order.owner, order.id).filter(|(_, hold)| !self.is_over(hold.expiry));
        let Some((number, hold)) = found else { return no(RejectionCode::NoHold, 0) };
        let is_payee = hold.payees.iter().any(|share| share.payee == source);
        let is_owner = source == hold.owner;
        let condition = match order.cancels {
            _ if hold.arbiter == Some(source) => None,
            true if is_payee => None,
            true if is_owner => Some(&hold.cancel),
            false if is_owner => None,
            false if is_payee => Some(&hold.release),
            _ => return no(RejectionCode::WrongParty, 0),
        };
        if let Some(node) = condition.and_then(|condition| self.holds(condition, order.preimage.as_deref())) {
            return no(RejectionCode::ConditionUnmet, node);
        }
        if order.cancels {
            self.refund(&hold);
            self.state.table.entries.remove(&number);
            return Ok(());
        }
        let mut hold = hold;
        let mut amount = if order.amount.0 == 0 { hold.amount.0 } else { order.amount.0 };
        let needs_voucher = is_payee && !is_owner && hold.arbiter != Some(source);
        match (&mut hold.channel, order.voucher) {
            (None, None) => {}
            (Some(_), None) if !needs_voucher => {}
            (Some(_), None) => return no(RejectionCode::BadVoucher, 0),
            (None, Some(_)) => return no(RejectionCode::BadVoucher, 1),
            (Some(channel), Some(signature)) => {
                let mut message = b"nostro 1 voucher".to_vec();
                message.extend(order.owner.0);
                message.extend(order.id.to_le_bytes());
                message.extend(channel.opened.0.to_le_bytes());
                message.extend(amount.to_le_bytes());
                if !nostro_ed25519::verify(&channel.key.0, &message, &signature.0) {
                    return no(RejectionCode::BadVoucher, 2);
                }
                if amount <= channel.drawn.0 {
                    return no(RejectionCode::StaleVoucher, detail(channel.drawn.0));
                }
                (amount, channel.drawn) = (amount - channel.drawn.0, Amount(amount));
            }
        }
        if amount > hold.amount.0 {
            return no(RejectionCode::ExceedsHold, detail(amount - hold.amount.0));
        }
        self.release(number, &hold, amount)
    }

    pub(super) fn granted(&self, owner: Address, id: u64) -> Option<(u32, GrantState)> {
        self.state.table.entries.iter().find_map(|(&number, entry)| match entry {
            Entry::Grant(grant) if (grant.owner, grant.id) == (owner, id) => Some((number, grant.clone())),
            _ => None,
        })
    }

    pub(super) fn grant(&mut self, source: Address, order: &Grant) -> Result<(), Rejection> {
        let any = self.granted(source, order.id);
        let found = any.clone().filter(|(_, grant)| !self.is_over(grant.end));
        let Some(terms) = order.terms.as_deref() else {
            let Some((number, grant)) = found else { return no(RejectionCode::NoGrant, 0) };
            if order.action == GrantAction::Remove {
                self.state.table.entries.remove(&number);
            } else {
                let revoked = GrantState { is_revoked: true, ..grant };
                self.state.table.entries.insert(number, Entry::Grant(revoked));
            }
            return Ok(());
        };
        let limits = terms.cap.0 > 0 || terms.period_ms > 0 || terms.rate.0 > 0;
        if terms.kind == GrantKind::Spend || terms.kind == GrantKind::Act && limits {
            self.asset(terms.asset)?;
        }
        if terms.to == source {
            return no(RejectionCode::SelfTransfer, 0);
        }
        if self.is_over(terms.end) {
            return no(RejectionCode::ExpiryPast, self.time.0);
        }
        if let Some((number, _)) = found {
            return no(RejectionCode::GrantExists, u64::from(number));
        }
        let grant = GrantState {
            owner: source,
            id: order.id,
            to: terms.to,
            kind: terms.kind,
            is_revoked: false,
            asset: terms.asset,
            payee: terms.payee,
            cap: terms.cap,
            used: Amount(0),
            period_ms: terms.period_ms,
            period_cap: terms.period_cap,
            period: 0,
            period_used: Amount(0),
            rate: terms.rate,
            start: if terms.start.0 == 0 { self.time } else { terms.start },
            end: terms.end,
            subject: terms.subject,
            predicate: terms.predicate.clone(),
            scope: terms.scope,
        };
        match any {
            Some((number, _)) => drop(self.state.table.entries.insert(number, Entry::Grant(grant))),
            None => self.state.table.add(Entry::Grant(grant)),
        }
        Ok(())
    }

    /// The number of a grant, how much may be spent by it now, and which code more meets.
    pub(super) fn may_spend(
        &self,
        name: GrantName,
        spender: Address,
        asset: AssetId,
        payee: Address,
    ) -> Result<(u32, u128, RejectionCode), Rejection> {
        let found = self.granted(name.owner, name.id).filter(|(_, grant)| !self.is_over(grant.end));
        let Some((number, grant)) = found else { return no(RejectionCode::NoGrant, 0) };
        if grant.to != spender {
            return no(RejectionCode::WrongParty, 0);
        }
        if let Some(node) = self.holds(&grant.predicate, None) {
            return no(RejectionCode::ConditionUnmet, node);
        }
        if grant.is_revoked {
            return no(RejectionCode::GrantRevoked, 0);
        }
        let wrong =
            [grant.kind != GrantKind::Spend, grant.asset != asset, grant.payee.is_some_and(|only| only != payee)];
        if let Some(which) = wrong.iter().position(|&wrong| wrong) {
            return no(RejectionCode::OutOfScope, which as u64);
        }
        if grant.start > self.time {
            return no(RejectionCode::NotVested, u64::MAX);
        }
        let (left, code) = self.left_of(&grant);
        Ok((number, left, code))
    }

    /// How much may be spent by a grant now, and which code more meets.
    pub(super) fn left_of(&self, grant: &GrantState) -> (u128, RejectionCode) {
        let elapsed = u128::from(self.time.0 - grant.start.0);
        let mut limits = Vec::new();
        if grant.rate.0 > 0 {
            // rate × elapsed / 1000, or everything where that doesn't fit.
            let (thousands, rest) = (grant.rate.0 / 1_000, grant.rate.0 % 1_000);
            let (seconds, part) = (elapsed / 1_000, elapsed % 1_000);
            let free = grant.rate.0.saturating_mul(seconds);
            let free = free.saturating_add(thousands.saturating_mul(part)).saturating_add(rest * part / 1_000);
            limits.push((free.saturating_sub(grant.used.0), RejectionCode::NotVested));
        } else {
            limits.push((u128::MAX - grant.used.0, RejectionCode::NotVested));
        }
        if grant.cap.0 > 0 {
            limits.push((grant.cap.0.saturating_sub(grant.used.0), RejectionCode::GrantExhausted));
        }
        if grant.period_ms > 0 {
            let used = if self.period(grant) == grant.period { grant.period_used.0 } else { 0 };
            limits.push((grant.period_cap.0.saturating_sub(used), RejectionCode::PeriodCap));
        }
        // Where two limits are alike, the smaller code is told.
        limits.into_iter().min_by_key(|&(left, code)| (left, code.number())).expect("one at least")
    }

    fn period(&self, grant: &GrantState) -> u64 {
        (self.time.0 - grant.start.0).checked_div(grant.period_ms).unwrap_or(0)
    }

    pub(super) fn count_spent(&mut self, number: u32, amount: u128) {
        let Some(Entry::Grant(grant)) = self.state.table.entries.get(&number) else { panic!("a grant that was used") };
        let mut grant = grant.clone();
        let period = self.period(&grant);
        if period != grant.period {
            (grant.period, grant.period_used) = (period, Amount(0));
        }
        grant.used.0 = grant.used.0.saturating_add(amount);
        grant.period_used.0 = grant.period_used.0.saturating_add(amount);
        self.state.table.entries.insert(number, Entry::Grant(grant));
    }
}
