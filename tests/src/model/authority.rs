//! The model's authorities: who may act for whom.

use super::entries::Entry;
use super::{Model, detail, no};
use nostro::{
    Address, AuthorityRules, AuthorityState, Authorize, GrantKind, Operation, Rejection, RejectionCode, Time,
    TransactionRef,
};

pub(super) fn encode_authority(state: &AuthorityState, slot: u32, bytes: &mut Vec<u8>) {
    bytes.push(8);
    bytes.extend(state.owner.0);
    bytes.extend(slot.to_le_bytes());
    encode_rules(&state.rules, bytes);
    match &state.pending {
        None => bytes.push(0),
        Some((from, rules)) => {
            bytes.push(1);
            bytes.extend(from.0.to_le_bytes());
            encode_rules(rules, bytes);
        }
    }
}

fn encode_rules(rules: &AuthorityRules, bytes: &mut Vec<u8>) {
    bytes.push(u8::from(rules.is_closed) + 2 * u8::from(rules.needs_memo));
    bytes.extend([rules.low, rules.medium, rules.high, rules.quorum]);
    bytes.extend(rules.delay_ms.to_le_bytes());
    bytes.push(u8::try_from(rules.keys.len()).expect("at most 16"));
    for key in &rules.keys {
        bytes.extend(key.key.0);
        bytes.push(key.weight);
        bytes.extend(key.scope.to_le_bytes());
        bytes.extend(key.expiry.map_or(0, |time| time.0).to_le_bytes());
    }
    bytes.push(u8::try_from(rules.recovery_keys.len()).expect("at most 8"));
    rules.recovery_keys.iter().for_each(|key| bytes.extend(key.0));
}

/// The code of an operation and which of the three thresholds it takes.
fn needs(operation: &Operation) -> (u8, usize) {
    let code = operation.kind().code;
    match operation {
        Operation::Put(_) | Operation::Require(_) | Operation::Settle(_) | Operation::Amend(_) => (code, 0),
        Operation::Authorize(_) => (code, 2),
        _ => (code, 1),
    }
}

impl Model {
    fn authority(&self, owner: Address) -> Option<(u32, AuthorityState)> {
        self.state.table.entries.iter().find_map(|(&number, entry)| match entry {
            Entry::Authority(state) if state.owner == owner => Some((number, state.clone())),
            _ => None,
        })
    }

    /// What holds for an account now; a recovery whose time has come has happened.
    fn rules(&self, owner: Address) -> (AuthorityRules, Option<(Time, AuthorityRules)>) {
        let Some((_, state)) = self.authority(owner) else { return (AuthorityRules::of_address(owner), None) };
        match state.pending {
            Some((from, rules)) if from <= self.time => (rules, None),
            pending => (state.rules, pending),
        }
    }

    /// Whether everyone has signed by keys that may; the places of those in whose place the account acts.
    pub(super) fn check_signed(&self, transaction: &TransactionRef<'_>) -> Result<Vec<usize>, Rejection> {
        let all: Vec<(u8, Address)> = transaction.signed_keys().collect();
        let account = transaction.account();
        let mut acting = Vec::new();
        for (place, signer) in (0_u8..).zip(transaction.signers()) {
            let keys = |wanted: u8| -> Vec<Address> {
                all.iter().filter(|(of, _)| *of == wanted).map(|&(_, key)| key).collect()
            };
            let orders: Vec<Operation> =
                transaction.operations().filter(|(of, _)| *of == place).map(|(_, order)| order).collect();
            let signed = self.signed_by(signer, place, &keys(place), orders.clone());
            let Err(rejection) = signed else { continue };
            if rejection.code != RejectionCode::UnknownKey || place == 0 || keys(place) != keys(0) {
                return Err(rejection);
            }
            let id = u64::from_le_bytes(account.0[..8].try_into().expect("eight bytes"));
            let grant = self.granted(signer, id).map(|(_, grant)| grant).filter(|grant| {
                let is_its = grant.kind == GrantKind::Act && grant.to == account && !grant.is_revoked;
                is_its && grant.start <= self.time && !self.is_over(grant.end)
            });
            let Some(grant) = grant else { return Err(rejection) };
            if orders.iter().any(|order| grant.scope & 1 << order.kind().code == 0) {
                return no(RejectionCode::ThresholdUnmet, u64::from(place));
            }
            if self.rules(signer).0.is_closed {
                return no(RejectionCode::AccountClosed, u64::from(place));
            }
            self.signed_by(account, 0, &keys(0), orders)?;
            acting.push(usize::from(place));
        }
        Ok(acting)
    }

    /// Does what somebody orders in another's place.
    pub(super) fn act(&mut self, agent: Address, owner: Address, order: &Operation) -> Result<(), Rejection> {
        let id = u64::from_le_bytes(agent.0[..8].try_into().expect("eight bytes"));
        let (number, grant) = self.granted(owner, id).expect("it was there");
        if let Some(node) = self.holds(&grant.predicate, None) {
            return no(RejectionCode::ConditionUnmet, node);
        }
        if matches!(order, Operation::Transfer(order) if order.grant.is_some()) {
            return no(RejectionCode::OutOfScope, 3);
        }
        if grant.cap.0 == 0 && grant.rate.0 == 0 && grant.period_ms == 0 {
            return self.operate(owner, order);
        }
        if self.taken(owner, order).is_some_and(|asset| asset != grant.asset) {
            return no(RejectionCode::OutOfScope, 1);
        }
        let asset = grant.asset;
        let (before, issued) = (self.state.balance(&owner, asset), self.asset(asset)?.issued.0);
        self.operate(owner, order)?;
        let is_issuer = self.asset(asset)?.issuer == owner;
        let spent = if is_issuer {
            self.asset(asset)?.issued.0.saturating_sub(issued)
        } else {
            before.saturating_sub(self.state.balance(&owner, asset))
        };
        let (left, code) = self.left_of(&grant);
        if spent > left {
            return no(code, detail(spent - left));
        }
        if spent > 0 {
            self.count_spent(number, spent);
        }
        Ok(())
    }

    /// Whether these keys may order this for an account.
    fn signed_by(
        &self,
        signer: Address,
        place: u8,
        keys: &[Address],
        mut orders: Vec<Operation>,
    ) -> Result<(), Rejection> {
        let (rules, _) = self.rules(signer);
        if self.authority(signer).is_none() {
            if keys != [signer] {
                return no(RejectionCode::UnknownKey, u64::from(place));
            }
            return Ok(());
        }
        let recovers = |order: &Operation| matches!(order, Operation::Authorize(Authorize::Recover(_)));
        let any_recovers = orders.iter().any(recovers);
        for key in keys {
            let known = rules.keys.iter().any(|own| own.key == *key);
            let recovers = any_recovers && rules.recovery_keys.contains(key);
            if !(known || recovers) {
                return no(RejectionCode::UnknownKey, u64::from(place));
            }
        }
        if orders.is_empty() {
            // Its sequence alone takes as much as the least.
            orders.push(Operation::Require(nostro::Require::default()));
            let weight = self.weight(&rules, keys, 0);
            if weight < u32::from(rules.low) {
                return no(RejectionCode::ThresholdUnmet, u64::from(place));
            }
            if rules.is_closed {
                return no(RejectionCode::AccountClosed, u64::from(place));
            }
            return Ok(());
        }
        for order in &orders {
            let (code, which) = needs(order);
            let reached = if recovers(order) {
                let count = keys.iter().filter(|key| rules.recovery_keys.contains(key)).count();
                rules.quorum > 0 && count >= usize::from(rules.quorum)
            } else {
                let needed = [rules.low, rules.medium, rules.high][which];
                self.weight(&rules, keys, code) >= u32::from(needed)
            };
            if !reached {
                return no(RejectionCode::ThresholdUnmet, u64::from(place));
            }
            if rules.is_closed && which != 2 {
                return no(RejectionCode::AccountClosed, u64::from(place));
            }
        }
        Ok(())
    }

    fn weight(&self, rules: &AuthorityRules, keys: &[Address], code: u8) -> u32 {
        let own = rules.keys.iter().filter(|own| keys.contains(&own.key));
        let counts = own.filter(|own| own.expiry.is_none_or(|last| self.time <= last));
        let covers = counts.filter(|own| own.scope == 0 || own.scope & (1 << code) != 0);
        covers.map(|own| u32::from(own.weight)).sum()
    }

    pub(super) fn authorize(&mut self, source: Address, order: &Authorize) -> Result<(), Rejection> {
        let (rules, pending) = self.rules(source);
        let reachable = |rules: &AuthorityRules| {
            let lasting = rules.keys.iter().filter(|key| key.expiry.is_none());
            let able = lasting.filter(|key| key.scope == 0 || key.scope & (1 << 10) != 0);
            let weight: u32 = able.map(|key| u32::from(key.weight)).sum();
            if weight < u32::from(rules.high) {
                return no(RejectionCode::AuthorityUnreachable, u64::from(weight));
            }
            Ok(())
        };
        let (after, pending) = match order {
            Authorize::Set(rules) => {
                reachable(rules)?;
                let account = &self.state.accounts.get(&source);
                let empty = account.is_none_or(|account| account.balances.is_empty() && account.held.is_empty());
                if rules.is_closed && !empty {
                    return no(RejectionCode::NotEmpty, 0);
                }
                (rules.clone(), None)
            }
            Authorize::Recover(new) => {
                if let Some((from, _)) = pending {
                    return no(RejectionCode::RecoveryPending, from.0);
                }
                reachable(new)?;
                if new.is_closed {
                    return no(RejectionCode::NotEmpty, 0);
                }
                let from = Time(self.time.0.saturating_add(rules.delay_ms));
                (rules, Some((from, new.clone())))
            }
            Authorize::Object => {
                if pending.is_none() {
                    return no(RejectionCode::NoRecovery, 0);
                }
                (rules, None)
            }
        };
        self.state.open(source);
        let found = self.authority(source).map(|(number, _)| number);
        let plain = pending.is_none() && after == AuthorityRules::of_address(source);
        let mut state = AuthorityState::default();
        (state.owner, state.rules, state.pending) = (source, after, pending);
        let table = &mut self.state.table;
        match (found, plain) {
            (Some(number), true) => drop(table.entries.remove(&number)),
            (Some(number), false) => drop(table.entries.insert(number, Entry::Authority(state))),
            (None, true) => {}
            (None, false) => table.add(Entry::Authority(state)),
        }
        Ok(())
    }

    /// Whether somebody may be paid.
    pub(super) fn check_payee(&self, payee: Address, reference: u64) -> Result<(), Rejection> {
        let (rules, _) = self.rules(payee);
        if rules.is_closed {
            return no(RejectionCode::AccountClosed, 0);
        }
        if rules.needs_memo && reference == 0 {
            return no(RejectionCode::MemoRequired, 0);
        }
        Ok(())
    }
}
