//! The model's table of entries: records, what issuers have said of holders, terms of assets.

use super::{Model, detail, no};
use nostro::{
    Address, Amount, Asset, AssetId, AssetPolicy, AssetTerms, AuthorityState, ControlHolder, GrantState, HoldState,
    HolderAction, HolderState, MarketState, OrderState, Put, PutAction, Record, RecordKind, RegisterAsset, Rejection,
    RejectionCode, Time,
};
use std::collections::BTreeMap;

/// What an entry is.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Record(Record),
    Holder(HolderState),
    Terms(AssetId, AssetTerms),
    Hold(HoldState),
    Grant(GrantState),
    Market(MarketState),
    Order(OrderState),
    Authority(AuthorityState),
}

/// Entries by number. A new one gets the lowest number that is free; how many there ever were at one time is remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<u32, Entry>,
    places: u32,
}

impl Table {
    pub(super) fn add(&mut self, entry: Entry) {
        let number = (0..).find(|number| !self.entries.contains_key(number)).expect("room");
        self.entries.insert(number, entry);
        self.places = self.places.max(number + 1);
    }

    pub(super) fn find(&self, is_it: impl Fn(&Entry) -> bool) -> Option<u32> {
        self.entries.iter().find(|(_, entry)| is_it(entry)).map(|(&number, _)| number)
    }

    /// The entry that is over first, if one is.
    pub(super) fn first_over(&self, now: Time) -> Option<u32> {
        let end = |entry: &Entry| match entry {
            Entry::Record(record) => record.expiry,
            Entry::Hold(hold) => hold.expiry,
            Entry::Grant(grant) => grant.end,
            Entry::Order(order) => order.expiry,
            Entry::Holder(_) | Entry::Terms(..) | Entry::Market(_) | Entry::Authority(_) => None,
        };
        let over = self.entries.iter().filter_map(|(&number, entry)| Some((end(entry)?, number)));
        over.filter(|&(end, _)| end < now).min().map(|(_, number)| number)
    }

    pub(super) fn terms(&self, asset: AssetId) -> AssetTerms {
        let terms = self.entries.values().find_map(|entry| match entry {
            Entry::Terms(id, terms) if *id == asset => Some(*terms),
            _ => None,
        });
        terms.unwrap_or_default()
    }

    fn holder(&self, asset: AssetId, holder: Address) -> (bool, bool) {
        let found = self.entries.values().find_map(|entry| match entry {
            Entry::Holder(state) if (state.asset, state.holder) == (asset, holder) => Some(state),
            _ => None,
        });
        found.map_or((false, false), |state| (state.is_authorized, state.is_frozen))
    }

    /// Canonical bytes; `order` is that in which accounts came into being.
    pub(super) fn encode(&self, order: &[Address], bytes: &mut Vec<u8>) {
        for number in 0..self.places {
            match self.entries.get(&number) {
                None => bytes.push(0),
                Some(Entry::Record(record)) => encode_record(record, bytes),
                Some(Entry::Holder(state)) => {
                    bytes.push(2);
                    bytes.extend(state.asset.0.to_le_bytes());
                    bytes.extend(state.holder.0);
                    bytes.push(u8::from(state.is_authorized) + 2 * u8::from(state.is_frozen));
                }
                Some(Entry::Hold(hold)) => super::promises::encode_hold(hold, bytes),
                Some(Entry::Grant(grant)) => super::promises::encode_grant(grant, bytes),
                Some(Entry::Authority(state)) => {
                    let slot = order.iter().position(|account| *account == state.owner).expect("an account");
                    super::authority::encode_authority(state, u32::try_from(slot).expect("few"), bytes);
                }
                Some(Entry::Market(market)) => super::markets::encode_market(market, bytes),
                Some(Entry::Order(order)) => super::markets::encode_order(order, bytes),
                Some(Entry::Terms(asset, terms)) => {
                    bytes.push(3);
                    bytes.extend(asset.0.to_le_bytes());
                    bytes.extend(terms.schema);
                    bytes.extend(terms.attester.0);
                    bytes.extend(terms.fee_account.0);
                    bytes.extend(terms.fee_maximum.0.to_le_bytes());
                    bytes.extend(terms.fee_basis_points.to_le_bytes());
                    bytes.extend(terms.expiry.0.to_le_bytes());
                    bytes.extend(terms.metadata);
                }
            }
        }
        if self.places > 0 {
            bytes.extend(self.places.to_le_bytes());
        }
    }
}

fn encode_record(record: &Record, bytes: &mut Vec<u8>) {
    bytes.push(1);
    bytes.extend(record.owner.0);
    bytes.push(kind(record.kind));
    bytes.extend(record.key);
    bytes.extend(record.subject.map_or([0; 32], |subject| subject.0));
    bytes.extend(record.hash);
    bytes.extend(record.expiry.map_or(0, |time| time.0).to_le_bytes());
    bytes.extend(record.written.0.to_le_bytes());
    bytes.push(u8::from(record.is_revoked));
    bytes.extend(u16::try_from(record.value.len()).expect("at most 256").to_le_bytes());
    bytes.extend(&record.value);
}

/// A record kind's number.
pub(super) fn kind(kind: RecordKind) -> u8 {
    match kind {
        RecordKind::Attestation => 0,
        RecordKind::Anchor => 1,
        RecordKind::Rate => 2,
        RecordKind::Data => 3,
        RecordKind::Identity => 4,
    }
}

impl Model {
    /// A record that counts: there, and not over. Its number too.
    pub(super) fn record(
        &self,
        owner: Address,
        kind: RecordKind,
        key: [u8; 32],
        subject: Option<Address>,
    ) -> Option<(u32, Record)> {
        let is_it = |record: &Record| {
            (record.owner, record.kind, record.key, record.subject) == (owner, kind, key, subject)
                && record.expiry.is_none_or(|last| self.time <= last)
        };
        self.state.table.entries.iter().find_map(|(&number, entry)| match entry {
            Entry::Record(record) if is_it(record) => Some((number, record.clone())),
            _ => None,
        })
    }

    pub(super) fn put(&mut self, source: Address, order: &Put) -> Result<(), Rejection> {
        if order.expiry.is_some_and(|last| last < self.time) {
            return no(RejectionCode::ExpiryPast, self.time.0);
        }
        let owner = order.owner.unwrap_or(source);
        let found = self.record(owner, order.kind, order.key, order.subject);
        if let (PutAction::Create, Some((number, _))) = (order.action, &found) {
            return no(RejectionCode::RecordExists, u64::from(*number));
        }
        let takes_back = matches!(order.action, PutAction::Revoke | PutAction::Remove);
        if takes_back && found.is_none() {
            return no(RejectionCode::NoRecord, 0);
        }
        let is_subject = order.kind == RecordKind::Attestation && order.subject == Some(source);
        if owner != source && !(order.action == PutAction::Remove && is_subject) {
            return no(RejectionCode::NotOwner, 0);
        }
        let Put { action, kind, key, subject, hash, expiry, .. } = *order;
        let table = &mut self.state.table;
        if let (PutAction::Remove, Some((number, _))) = (action, &found) {
            table.entries.remove(number);
            return Ok(());
        }
        if let (PutAction::Revoke, Some((number, record))) = (action, &found) {
            table.entries.insert(*number, Entry::Record(Record { is_revoked: true, ..record.clone() }));
            return Ok(());
        }
        let (written, value) = (self.time, order.value.clone());
        let record = Record { owner, kind, key, subject, hash, expiry, written, is_revoked: false, value };
        // One that is over keeps its place for the next of the same name.
        let same = |entry: &Entry| match entry {
            Entry::Record(old) => (old.owner, old.kind, old.key, old.subject) == (owner, kind, key, subject),
            _ => false,
        };
        match table.find(same) {
            Some(number) => drop(table.entries.insert(number, Entry::Record(record))),
            None => table.add(Entry::Record(record)),
        }
        Ok(())
    }

    pub(super) fn control(&mut self, source: Address, order: &ControlHolder) -> Result<(), Rejection> {
        let asset = self.asset(order.asset)?;
        if asset.issuer != source {
            return no(RejectionCode::NotIssuer, u64::from(order.asset.0));
        }
        let bit = match order.action {
            HolderAction::Authorize | HolderAction::Deauthorize => AssetPolicy::AUTHORIZATION,
            HolderAction::Freeze | HolderAction::Unfreeze => AssetPolicy::FREEZABLE,
            HolderAction::ClawBack => AssetPolicy::CLAWBACK,
        };
        if !asset.policy.has(bit) {
            return no(RejectionCode::PolicyForbids, u64::from(bit.0));
        }
        if order.holder == source {
            return no(RejectionCode::SelfTransfer, 0);
        }
        let (id, holder) = (order.asset, order.holder);
        if order.action == HolderAction::ClawBack {
            let balance = self.state.balance(&holder, id);
            let amount = if order.up_to { order.amount.0.min(balance) } else { order.amount.0 };
            if order.amount.0 == 0 {
                return no(RejectionCode::ZeroAmount, 0);
            }
            if amount > balance {
                return no(RejectionCode::InsufficientFunds, detail(amount - balance));
            }
            if amount > 0 {
                self.state.set_balance(holder, id, balance - amount);
                self.state.assets[usize::try_from(id.0).expect("32 bits")].issued.0 -= amount;
            }
            return Ok(());
        }
        let (mut is_authorized, mut is_frozen) = self.state.table.holder(id, holder);
        match order.action {
            HolderAction::Authorize => is_authorized = true,
            HolderAction::Deauthorize => is_authorized = false,
            HolderAction::Freeze => is_frozen = true,
            _ => is_frozen = false,
        }
        let table = &mut self.state.table;
        let same = |entry: &Entry| matches!(entry, Entry::Holder(old) if (old.asset, old.holder) == (id, holder));
        let after = Entry::Holder(HolderState { asset: id, holder, is_authorized, is_frozen });
        match (table.find(same), is_authorized || is_frozen) {
            (Some(number), true) => drop(table.entries.insert(number, after)),
            (Some(number), false) => drop(table.entries.remove(&number)),
            (None, true) => table.add(after),
            (None, false) => {}
        }
        Ok(())
    }

    pub(super) fn asset(&self, id: AssetId) -> Result<Asset, Rejection> {
        match self.state.assets.get(usize::try_from(id.0).expect("32 bits")) {
            Some(asset) => Ok(*asset),
            None => no(RejectionCode::NoAsset, u64::from(id.0)),
        }
    }

    /// Enters the terms of an order for an asset.
    pub(super) fn set_terms(&mut self, id: AssetId, order: &RegisterAsset) {
        let place = self.state.table.find(|entry| matches!(entry, Entry::Terms(known, _) if *known == id));
        let terms = order.terms.as_deref().copied();
        if let Some(terms) = terms.filter(|_| order.policy.has(AssetPolicy::FEE)) {
            self.state.open(terms.fee_account);
        }
        let table = &mut self.state.table;
        match (place, terms) {
            (Some(number), Some(terms)) => drop(table.entries.insert(number, Entry::Terms(id, terms))),
            (Some(number), None) => drop(table.entries.remove(&number)),
            (None, Some(terms)) => table.add(Entry::Terms(id, terms)),
            (None, None) => {}
        }
    }

    pub(super) fn update(&mut self, issuer: Address, order: &RegisterAsset) -> Result<(), Rejection> {
        let own = |asset: &Asset| asset.issuer == issuer && asset.code == order.code;
        let Some(place) = self.state.assets.iter().position(own) else {
            return no(RejectionCode::NoAsset, u64::MAX);
        };
        let id = AssetId(u32::try_from(place).expect("few assets"));
        let asset = self.state.assets[place];
        if asset.issued > order.maximum_supply {
            return no(RejectionCode::SupplyExceeded, detail(asset.issued.0 - order.maximum_supply.0));
        }
        if !asset.policy.has(AssetPolicy::MUTABLE) {
            let (old, new) = (self.state.table.terms(id), order.terms.as_deref().copied().unwrap_or_default());
            if order.maximum_supply > asset.maximum_supply {
                return no(RejectionCode::PolicyLocked, 0);
            }
            if order.policy.0 & !asset.policy.0 != 0 {
                return no(RejectionCode::PolicyLocked, 1);
            }
            let keeps = |bit| order.policy.has(bit);
            let credential = (old.schema, old.attester) != (new.schema, new.attester);
            let collector = (old.fee_account, old.fee_maximum) != (new.fee_account, new.fee_maximum);
            if keeps(AssetPolicy::CREDENTIAL) && credential
                || keeps(AssetPolicy::FEE) && (collector || new.fee_basis_points > old.fee_basis_points)
                || keeps(AssetPolicy::EXPIRES) && old.expiry != new.expiry
                || keeps(AssetPolicy::METADATA) && old.metadata != new.metadata
            {
                return no(RejectionCode::PolicyLocked, 2);
            }
        }
        self.set_terms(id, order);
        let asset = &mut self.state.assets[place];
        (asset.maximum_supply, asset.policy) = (order.maximum_supply, order.policy);
        Ok(())
    }

    /// Whether this payment is one that the asset's policy allows.
    pub(super) fn check_policy(
        &self,
        asset: &Asset,
        id: AssetId,
        payer: Address,
        payee: Address,
    ) -> Result<(), Rejection> {
        let terms = self.state.table.terms(id);
        let has = |bit| asset.policy.has(bit);
        let (mint, burn) = (payer == asset.issuer, payee == asset.issuer);
        if has(AssetPolicy::NON_TRANSFERABLE) && !mint && !burn {
            return no(RejectionCode::PolicyForbids, u64::from(AssetPolicy::NON_TRANSFERABLE.0));
        }
        if has(AssetPolicy::EXPIRES) && self.time > terms.expiry && !burn {
            return no(RejectionCode::AssetExpired, terms.expiry.0);
        }
        let mut sides = vec![(0, payer), (1, payee)];
        sides.retain(|&(_, holder)| holder != asset.issuer);
        for &(side, holder) in &sides {
            if has(AssetPolicy::FREEZABLE) && self.state.table.holder(id, holder).1 {
                return no(RejectionCode::Frozen, side);
            }
        }
        if burn {
            return Ok(());
        }
        for &(side, holder) in &sides {
            if has(AssetPolicy::AUTHORIZATION) && !self.state.table.holder(id, holder).0 {
                return no(RejectionCode::NotAuthorized, side);
            }
        }
        for &(side, holder) in &sides {
            let attested = self.record(terms.attester, RecordKind::Attestation, terms.schema, Some(holder));
            if has(AssetPolicy::CREDENTIAL) && attested.is_none_or(|(_, record)| record.is_revoked) {
                return no(RejectionCode::NotAttested, side);
            }
        }
        Ok(())
    }

    /// What an account has available.
    pub(super) fn funds(&self, account: &Address, asset: u32) -> Amount {
        Amount(self.state.balance(account, AssetId(asset)))
    }
}
