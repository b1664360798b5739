//! What operations ask of the table of entries, and how they change it.

use super::Slot;
use super::asset::Asset;
use super::context::{Context, Undo};
use super::entries::{Entry, HolderState, PlacedHold, Record, Terms};
use crate::types::{Address, Amount, AssetId, AssetPolicy, AssetTerms, RecordKind, Rejection, RejectionCode, Time};

/// What a transaction brings beside its operations: the time of its block and who has signed it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scene<'a> {
    pub time: Time,
    pub account: Address,
    /// Where that is.
    pub slot: Option<Slot>,
    /// Addresses of the further signers, ascending.
    pub further: &'a [[u8; 32]],
}

/// Refuses an end that has come by now.
pub(super) fn check_expiry(expiry: Option<Time>, now: Time) -> Result<(), Rejection> {
    if is_over(expiry, now) { Err(Rejection::new(RejectionCode::ExpiryPast, now.0)) } else { Ok(()) }
}

/// Whether something counts no more by now.
pub(super) fn is_over(expiry: Option<Time>, now: Time) -> bool {
    expiry.is_some_and(|last| last < now)
}

impl Context<'_> {
    /// The time of the block.
    pub(crate) const fn time(&self) -> Time {
        self.scene.time
    }

    /// Whether an account is among the signers.
    pub(crate) fn has_signed(&self, account: &Address) -> bool {
        self.scene.account == *account || self.scene.further.binary_search(&account.0).is_ok()
    }

    /// What an account has available; nothing if it hasn't come into being.
    pub(crate) fn available(&self, account: &Address, asset: AssetId) -> Amount {
        self.find_account(account).map_or(Amount::ZERO, |slot| self.state.available(slot, asset))
    }

    /// Refuses an end that has come.
    pub(crate) fn check_expiry(&self, expiry: Option<Time>) -> Result<(), Rejection> {
        check_expiry(expiry, self.time())
    }

    /// Whether something counts no more.
    pub(crate) fn is_over(&self, expiry: Option<Time>) -> bool {
        is_over(expiry, self.time())
    }

    fn record_at(
        &self,
        owner: &Address,
        kind: RecordKind,
        key: &[u8; 32],
        subject: Option<&Address>,
    ) -> Option<(u32, &Record)> {
        let number = self.state.entries.find(&Record::name(owner, kind, key, subject))?;
        match self.state.entries.get(number) {
            Some(Entry::Record(record)) => Some((number, record)),
            _ => None,
        }
    }

    /// A record with its number, unless it is over.
    pub(crate) fn record_of(
        &self,
        owner: &Address,
        kind: RecordKind,
        key: &[u8; 32],
        subject: Option<&Address>,
    ) -> Option<(u32, &Record)> {
        self.record_at(owner, kind, key, subject).filter(|(_, record)| !self.is_over(record.expiry))
    }

    /// The number of a record that is over and still in its place.
    pub(crate) fn stale_record(
        &self,
        owner: &Address,
        kind: RecordKind,
        key: &[u8; 32],
        subject: Option<&Address>,
    ) -> Option<u32> {
        self.record_at(owner, kind, key, subject).map(|(number, _)| number)
    }

    /// Whether the issuer attests the schema of the subject.
    pub(crate) fn is_attested(&self, subject: &Address, schema: &[u8; 32], issuer: &Address) -> bool {
        let found = self.record_of(issuer, RecordKind::Attestation, schema, Some(subject));
        found.is_some_and(|(_, record)| !record.is_revoked)
    }

    /// A rate that an issuer has published, unless it is older than this or taken back.
    pub(crate) fn rate(&self, issuer: &Address, pair: &[u8; 32], age_ms: u64) -> Option<u128> {
        let (_, record) = self.record_of(issuer, RecordKind::Rate, pair, None)?;
        let is_fresh = self.time().0.saturating_sub(record.written.0) <= age_ms && !record.is_revoked;
        let value = record.value.as_slice().try_into().ok().filter(|_| is_fresh)?;
        Some(u128::from_le_bytes(value))
    }

    /// The hash of a record without subject, unless it is taken back.
    pub(crate) fn record_hash(&self, owner: &Address, kind: RecordKind, key: &[u8; 32]) -> Option<[u8; 32]> {
        let (_, record) = self.record_of(owner, kind, key, None)?;
        (!record.is_revoked).then_some(record.hash)
    }

    /// The number of an issuer's asset.
    pub(crate) fn find_asset(&self, issuer: &Address, code: crate::types::AssetCode) -> Option<AssetId> {
        self.state.assets.find(issuer, code)
    }

    /// The terms of an asset; zeros where it has none.
    pub(crate) fn asset_terms(&self, asset: AssetId) -> AssetTerms {
        let number = self.state.entries.find(&Terms::name(asset));
        match number.and_then(|number| self.state.entries.get(number)) {
            Some(Entry::Terms(terms)) => terms.terms,
            _ => AssetTerms::default(),
        }
    }

    /// Writes an asset's terms. Whoever gets its fees has an account from then on.
    pub(super) fn set_asset_terms(
        &mut self,
        asset: AssetId,
        policy: AssetPolicy,
        terms: &AssetTerms,
    ) -> Result<(), Rejection> {
        let place = self.state.entries.find(&Terms::name(asset));
        let after = policy.has_any(AssetPolicy::WITH_TERMS).then(|| Entry::from(Terms { asset, terms: *terms }));
        if policy.has(AssetPolicy::FEE) {
            self.open_account(&terms.fee_account)?;
        }
        match (place, after) {
            (Some(number), after) => self.set_entry(number, after),
            (None, Some(after)) => drop(self.open_entry(after)?),
            (None, None) => {}
        }
        Ok(())
    }

    /// Changes what an asset's issuer may change.
    pub(crate) fn update_asset(
        &mut self,
        id: AssetId,
        maximum_supply: Amount,
        policy: AssetPolicy,
        terms: &AssetTerms,
    ) -> Result<(), Rejection> {
        self.set_asset_terms(id, policy, terms)?;
        if let Some(before) = self.state.assets.get(id).copied() {
            self.record(Undo::AssetChange { asset: id, before: before.into() });
            self.state.assets.set(id, Asset { maximum_supply, policy, ..before });
        }
        Ok(())
    }

    /// What the issuer has said of a holder.
    pub(crate) fn holder_state(&self, asset: AssetId, holder: &Address) -> HolderState {
        let number = self.state.entries.find(&HolderState::name(asset, holder));
        match number.and_then(|number| self.state.entries.get(number)) {
            Some(Entry::Holder(state)) => *state,
            _ => HolderState { asset, holder: *holder, ..HolderState::default() },
        }
    }

    /// Enters it, or frees its place if it says nothing.
    pub(crate) fn set_holder_state(&mut self, state: HolderState) -> Result<(), Rejection> {
        let says_something = state.is_authorized || state.is_frozen;
        let after = says_something.then(|| Entry::from(state));
        match (self.state.entries.find(&HolderState::name(state.asset, &state.holder)), after) {
            (Some(number), after) => self.set_entry(number, after),
            (None, Some(after)) => drop(self.open_entry(after)?),
            (None, None) => {}
        }
        Ok(())
    }

    /// What the policy of an asset has against somebody paying somebody in it.
    #[cold]
    pub(crate) fn check_policy(
        &self,
        asset: &Asset,
        id: AssetId,
        payer: &Address,
        payee: &Address,
    ) -> Result<(), Rejection> {
        self.check_terms(asset, (id, &self.terms_of(asset, id)), payer, payee)
    }

    /// The terms of an asset; zeros if its policy asks for none.
    pub(super) fn terms_of(&self, asset: &Asset, id: AssetId) -> AssetTerms {
        if asset.policy.has_any(AssetPolicy::WITH_TERMS) { self.asset_terms(id) } else { AssetTerms::default() }
    }

    /// The same where its terms are known.
    pub(super) fn check_terms(
        &self,
        asset: &Asset,
        (id, terms): (AssetId, &AssetTerms),
        payer: &Address,
        payee: &Address,
    ) -> Result<(), Rejection> {
        let policy = asset.policy;
        let (mints, burns) = (*payer == asset.issuer, *payee == asset.issuer);
        if policy.has(AssetPolicy::NON_TRANSFERABLE) && !mints && !burns {
            let bit = u64::from(AssetPolicy::NON_TRANSFERABLE.0);
            return Err(Rejection::new(RejectionCode::PolicyForbids, bit));
        }
        if policy.has(AssetPolicy::EXPIRES) && self.time() > terms.expiry && !burns {
            return Err(Rejection::new(RejectionCode::AssetExpired, terms.expiry.0));
        }
        // Each is looked up but once, and somebody who is both but as the payer.
        let sides = [(0, payer, mints), (1, payee, burns || payer == payee)];
        let states =
            sides.map(|(side, holder, is_left)| (!is_left).then(|| (side, holder, self.holder_state(id, holder))));
        let first = |code, against: &dyn Fn(u64, &Address, &HolderState) -> bool| {
            let found = states.iter().flatten().find(|(side, holder, state)| against(*side, holder, state));
            found.map_or(Ok(()), |&(side, _, _)| Err(Rejection::new(code, side)))
        };
        if policy.has(AssetPolicy::FREEZABLE) {
            first(RejectionCode::Frozen, &|_, _, state| state.is_frozen)?;
        }
        // Whoever has it already can give it back whatever became of them.
        if policy.has(AssetPolicy::AUTHORIZATION) && !burns {
            first(RejectionCode::NotAuthorized, &|_, _, state| !state.is_authorized)?;
        }
        if policy.has(AssetPolicy::CREDENTIAL) && !burns {
            let lacks =
                |_, holder: &Address, _: &HolderState| !self.is_attested(holder, &terms.schema, &terms.attester);
            first(RejectionCode::NotAttested, &lacks)?;
        }
        Ok(())
    }

    /// Enters something under the lowest free number.
    pub(crate) fn open_entry(&mut self, entry: Entry) -> Result<u32, Rejection> {
        let opened = self.state.entries.open(entry);
        self.record_opened(opened)
    }

    /// The same for a hold of the account with this slot; `tag` is that of its name, which is free.
    pub(crate) fn enter_hold(&mut self, hold: PlacedHold, owner: Slot, tag: u64) -> Result<u32, Rejection> {
        let opened = self.state.entries.open_hold(hold, owner, tag);
        self.record_opened(opened)
    }

    pub(super) fn record_opened(&mut self, opened: Option<(u32, bool)>) -> Result<u32, Rejection> {
        let full = Rejection::new(RejectionCode::TooManyEntries, u64::from(self.state.entries.len()));
        let (number, has_grown) = opened.ok_or(full)?;
        self.record(Undo::Opened { number, has_grown });
        Ok(number)
    }
}

/// The most that is taken out of the table at one time.
const OVER_MAX: usize = 256;
/// The most events that come of it: a hold goes on to four payees, and somebody collects the fees.
pub(crate) const SWEEP_EVENTS_MAX: usize = 6 * OVER_MAX;

/// What is over at the first transaction of a new time is taken out of the table, in order of its end and its number.
pub(crate) fn sweep(context: &mut Context<'_>) {
    for _ in 0..OVER_MAX {
        let Some(number) = context.state.entries.first_over(context.time()) else { return };
        context.end_entry(number);
    }
}
