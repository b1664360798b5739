//! What an operation can see and change.
//!
//! Changes are made in place and journalled while a transaction has further operations to come; if one of those is rejected the
//! journal is undone backwards and nothing remains. A transaction with one operation needs no journal, since an operation checks
//! everything before it changes anything; one that can't begins a journal before it does.

use super::balance::{Balance, Shift};
use super::book::Collected;
use super::entries::{Before, Entry, MarketState};
use super::facts::Scene;
use super::slots::SlotSet;
use super::{Asset, Slot, State};
use crate::ops::{RegisterAsset, Source};
use crate::types::{Address, Amount, AssetId, Event, Happening, Rejection, RejectionCode};

/// What a block has changed so far beside accounts, which say it themselves, and whether money was made of nothing.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub assets: SlotSet,
    pub entries: SlotSet,
    /// What has happened to accounts beside what transactions say, encoded.
    pub events: Vec<u8>,
    /// The place in the block of the transaction at hand; `None` before the first.
    position: Option<u32>,
    collected: Collected,
    /// Memory of a journal.
    journal: Vec<Undo>,
    /// What stood in the places of entries that the journal names, in its order.
    befores: Vec<Before>,
    /// By asset: the sum of all changes of balances less the change of what is issued, modulo 2¹²⁸. Zero when money is conserved.
    drift: Vec<u128>,
    /// Assets whose drift was touched.
    flowed: SlotSet,
    /// The asset that flowed last, and its drift that isn't entered yet.
    flowing: (AssetId, u128),
}

impl Changes {
    #[inline]
    fn enter(&mut self, undo: &Undo, state: &mut State) {
        match undo {
            // An account says itself what has changed of it.
            Undo::Balance { .. } => {}
            Undo::Account { slot, .. } => state.accounts.mark(*slot),
            Undo::Issued { asset, .. } | Undo::Asset { asset } | Undo::AssetChange { asset, .. } => {
                self.assets.insert(asset.0);
            }
            Undo::Opened { number, .. } | Undo::Entry { number } => self.entries.insert(*number),
        }
    }

    /// Goes on to the transaction at this place of the block, or before the first.
    #[inline]
    pub(crate) const fn go_to(&mut self, position: Option<u32>) {
        self.position = position;
    }

    /// Enters that an account has paid.
    #[inline]
    pub(super) fn debited(&mut self, asset: AssetId, amount: Amount) {
        self.flow(asset, amount, Amount::ZERO);
    }

    /// Enters that an account was paid.
    #[inline]
    pub(super) fn credited(&mut self, asset: AssetId, amount: Amount) {
        self.flow(asset, Amount::ZERO, amount);
    }

    /// Takes what has flowed elsewhere, and leaves nothing there.
    pub(crate) fn take_flows(&mut self, flows: &mut Flows) {
        for (asset, sum) in flows.0.drain(..) {
            self.flow(asset, Amount::ZERO, Amount(sum));
        }
    }

    #[inline]
    fn flow(&mut self, asset: AssetId, before: Amount, after: Amount) {
        if self.flowing.0 != asset {
            self.enter_flow(asset);
        }
        self.flowing.1 = self.flowing.1.wrapping_add(after.0).wrapping_sub(before.0);
    }

    /// Enters what has flowed, and goes on with another asset.
    #[cold]
    fn enter_flow(&mut self, next: AssetId) {
        let (asset, drift) = std::mem::replace(&mut self.flowing, (next, 0));
        if drift == 0 {
            return;
        }
        let place = asset.0 as usize;
        if place >= self.drift.len() {
            self.drift.resize(place + 1, 0);
        }
        self.flowed.insert(asset.0);
        self.drift[place] = self.drift[place].wrapping_add(drift);
    }

    /// The first asset that moved in this block and whose balances no longer add up to what is issued.
    pub(crate) fn unconserved(&mut self) -> Option<AssetId> {
        self.enter_flow(self.flowing.0);
        let mut found = None;
        let drift = &self.drift;
        self.flowed.drain(|asset| {
            if found.is_none() && drift.get(asset as usize).is_some_and(|&drift| drift != 0) {
                found = Some(AssetId(asset));
            }
        });
        found
    }
}

/// Credits less debits by asset, modulo 2¹²⁸, of somebody who works beside others. An asset may come more than once.
#[derive(Debug, Default)]
pub(crate) struct Flows(Vec<(AssetId, u128)>);

impl Flows {
    /// An account has paid.
    #[inline]
    pub(crate) fn debited(&mut self, asset: AssetId, amount: Amount) {
        let sum = self.sum(asset);
        *sum = sum.wrapping_sub(amount.0);
    }

    /// An account was paid.
    #[inline]
    pub(crate) fn credited(&mut self, asset: AssetId, amount: Amount) {
        let sum = self.sum(asset);
        *sum = sum.wrapping_add(amount.0);
    }

    /// What an account has is shifted.
    #[inline]
    pub(super) fn shifted(&mut self, asset: AssetId, shift: Shift) {
        let sum = self.sum(asset);
        *sum = sum.wrapping_add(shift.all());
    }

    /// That of the asset that moved last is at hand.
    #[inline]
    fn sum(&mut self, asset: AssetId) -> &mut u128 {
        if self.0.last().is_none_or(|&(last, _)| last != asset) {
            // What is traded moves in turns with what it is paid in.
            match self.0.as_mut_slice() {
                [.., before, last] if before.0 == asset => std::mem::swap(before, last),
                _ => self.0.push((asset, 0)),
            }
        }
        let last = self.0.len() - 1;
        &mut self.0[last].1
    }
}

#[derive(Debug)]
pub(super) enum Undo {
    Balance { slot: Slot, asset: AssetId, before: super::shard::Before },
    Issued { asset: AssetId, before: Amount },
    Account { address: Address, slot: Slot },
    Asset { asset: AssetId },
    AssetChange { asset: AssetId, before: Box<Asset> },
    Opened { number: u32, has_grown: bool },
    Entry { number: u32 },
}

#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(super) state: &'a mut State,
    pub(super) scene: Scene<'a>,
    changes: &'a mut Changes,
    journal: Option<Vec<Undo>>,
    /// Accounts that will most likely be asked for, which were looked up ahead: the first party of the transaction, and that of the operation at
    /// hand.
    expected: [Option<(Address, Slot)>; 2],
    /// Which operation of the transaction is at hand.
    operation: u16,
    /// Bytes of events there were before the transaction.
    events_before: usize,
    /// Orders that the transaction has met.
    pub(super) met: usize,
}

impl<'a> Context<'a> {
    /// A context for one transaction. `journalled` when more than one operation is to come.
    #[inline]
    pub(crate) fn new(state: &'a mut State, changes: &'a mut Changes, journalled: bool) -> Self {
        let events_before = changes.events.len();
        let journal = journalled.then(|| std::mem::take(&mut changes.journal));
        Self {
            state,
            changes,
            journal,
            expected: [None; 2],
            scene: Scene::default(),
            operation: 0,
            events_before,
            met: 0,
        }
    }

    /// Goes on to the operation at this place of the transaction.
    #[inline]
    pub(crate) const fn turn_to(&mut self, operation: u16) {
        self.operation = operation;
    }

    /// Tells what happens to an account.
    pub(super) fn tell(&mut self, account: Address, what: Happening) {
        let event = Event { position: self.changes.position, operation: self.operation, account, what };
        self.changes.events.extend_from_slice(&event.encode());
    }

    /// Tells somebody how much they were paid where the transaction doesn't say it.
    pub(crate) fn tell_sent(&mut self, payee: Address, asset: AssetId, amount: Amount) {
        self.tell(payee, Happening::Sent { asset, amount });
    }

    /// Enters a fee that somebody got.
    pub(crate) fn collect(&mut self, account: Address, asset: AssetId, amount: Amount) {
        self.changes.collected.add(account, asset, amount);
    }

    /// Tells whoever got fees how much they were, in the order in which they first came.
    pub(crate) fn tell_collected(&mut self) {
        while let Some((account, asset, amount)) = self.changes.collected.next() {
            self.tell(account, Happening::Collected { asset, amount });
        }
    }

    /// Where the events are now, to go back to if what follows comes to nothing.
    pub(super) const fn told(&self) -> usize {
        self.changes.events.len()
    }

    pub(super) fn untell(&mut self, told: usize) {
        self.changes.events.truncate(told);
        self.changes.collected.clear();
    }

    /// Spares the search for an account that was looked up ahead.
    #[inline]
    pub(crate) const fn expect(&mut self, party: Option<(Address, Slot)>) {
        self.expected[0] = party;
    }

    /// The same beside that.
    #[inline]
    pub(crate) const fn expect_too(&mut self, party: Option<(Address, Slot)>) {
        self.expected[1] = party;
    }

    /// Brings a record closer.
    #[inline]
    pub(crate) fn prefetch(&self, slot: Option<Slot>) {
        slot.into_iter().for_each(|slot| self.state.prefetch(slot));
    }

    /// Says when this happens and who has signed.
    #[inline]
    pub(crate) const fn within(&mut self, scene: Scene<'a>) {
        self.scene = scene;
    }

    /// What is known of an asset.
    #[inline]
    pub(crate) fn asset(&self, asset: AssetId) -> Result<&Asset, Rejection> {
        let missing = Rejection::new(RejectionCode::NoAsset, u64::from(asset.0));
        self.state.assets.get(asset).ok_or(missing)
    }

    /// The account a source pays from and what it has left afterwards.
    #[inline]
    pub(crate) fn payer(
        &self,
        source: Source<'_>,
        asset: AssetId,
        amount: Amount,
    ) -> Result<(Slot, Amount), Rejection> {
        let available = source.slot.map_or(Amount::ZERO, |slot| self.state.available(slot, asset));
        match (source.slot, available.minus(amount)) {
            (Some(slot), Ok(rest)) => Ok((slot, rest)),
            _ => {
                let missing = amount.0.saturating_sub(available.0);
                Err(Rejection::new(RejectionCode::InsufficientFunds, u64::try_from(missing).unwrap_or(u64::MAX)))
            }
        }
    }

    /// Where an account is, if that is known: it keeps its slot for ever.
    #[inline]
    fn expected_at(&self, address: &Address) -> Option<Slot> {
        if self.scene.account == *address && self.scene.slot.is_some() {
            return self.scene.slot;
        }
        let [first, at_hand] = &self.expected;
        let known = |expected: &Option<(Address, Slot)>| {
            expected.as_ref().filter(|(expected, _)| expected == address).map(|&(_, slot)| slot)
        };
        known(first).or_else(|| known(at_hand))
    }

    /// The slot of an account, if it has come into being.
    pub(crate) fn find_account(&self, address: &Address) -> Option<Slot> {
        self.expected_at(address).or_else(|| self.state.find(address))
    }

    /// The slot of an account, which comes into being if it hasn't.
    #[inline]
    pub(crate) fn open_account(&mut self, address: &Address) -> Result<Slot, Rejection> {
        if let Some(slot) = self.expected_at(address) {
            return Ok(slot);
        }
        let hash = self.state.index.hash(address);
        if let Some(slot) = self.state.find_hashed(address, hash) {
            return Ok(slot);
        }
        let slot = self.state.open(address, hash)?;
        self.record(Undo::Account { address: *address, slot });
        Ok(slot)
    }

    /// Changes what an account has.
    #[inline]
    pub(super) fn change_balance(&mut self, slot: Slot, asset: AssetId, change: impl FnOnce(Balance) -> Balance) {
        let changes = &mut *self.changes;
        let change = |before: Balance| {
            let after = change(before);
            changes.flow(asset, before.all(), after.all());
            after
        };
        let before = self.state.accounts.change_balance(slot, asset, change);
        if let (Some(before), Some(journal)) = (before, &mut self.journal) {
            journal.push(Undo::Balance { slot, asset, before });
        }
    }

    /// Adds to what an account has, as it was found out that it can be.
    pub(crate) fn shift_balance(&mut self, slot: Slot, asset: AssetId, shift: Shift) {
        self.change_balance(slot, asset, |before| before.shifted(shift));
    }

    /// Changes what an account can spend.
    #[inline]
    pub(crate) fn set_available(&mut self, slot: Slot, asset: AssetId, available: Amount) {
        self.change_balance(slot, asset, |before| Balance { available, ..before });
    }

    /// Adds to what an account can spend. Can't overflow, since all balances together are at most the maximum supply.
    #[inline]
    pub(crate) fn credit(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.change_balance(slot, asset, |before| before.credited(amount));
    }

    /// Changes what is issued of an asset.
    pub(crate) fn set_issued(&mut self, asset: AssetId, issued: Amount) {
        let before = self.state.assets.get(asset).map_or(Amount::ZERO, |record| record.issued);
        self.record(Undo::Issued { asset, before });
        self.changes.flow(asset, issued, before);
        self.state.assets.set_issued(asset, issued);
    }

    /// Enters a new asset under the next number.
    pub(crate) fn register_asset(&mut self, issuer: &Address, order: &RegisterAsset) -> Result<(), Rejection> {
        if let Some(found) = self.state.assets.find(issuer, order.code) {
            return Err(Rejection::new(RejectionCode::AssetExists, u64::from(found.0)));
        }
        let RegisterAsset { code, scale, maximum_supply, policy, .. } = *order;
        let asset = Asset { issuer: *issuer, code, scale, maximum_supply, issued: Amount::ZERO, policy };
        let full = Rejection::new(RejectionCode::TooManyAssets, u64::from(self.state.assets.len()));
        let id = self.state.assets.push(asset).ok_or(full)?;
        self.record(Undo::Asset { asset: id });
        match &order.terms {
            Some(terms) => self.set_asset_terms(id, policy, terms),
            None => Ok(()),
        }
    }

    /// Changes what stands in a place, or frees it.
    pub(crate) fn set_entry(&mut self, number: u32, after: Option<Entry>) {
        let before = self.state.entries.change(number, after);
        if self.journal.is_some() {
            self.changes.befores.push(before);
        }
        self.record(Undo::Entry { number });
    }

    /// Frees the place of a hold.
    pub(super) fn close_hold(&mut self, number: u32) {
        self.keep_before(number);
        self.state.entries.close_hold(number);
    }

    /// Leaves a hold so much, of which vouchers have drawn so much, if one did.
    pub(super) fn reduce_hold(&mut self, number: u32, left: Amount, drawn: Option<Amount>) {
        self.keep_before(number);
        self.state.entries.reduce_hold(number, left, drawn);
    }

    /// Enters that what stands in a place is going to change.
    pub(super) fn keep_before(&mut self, number: u32) {
        match &mut self.journal {
            Some(journal) => {
                journal.push(Undo::Entry { number });
                self.changes.befores.push(self.state.entries.before(number));
            }
            None => self.changes.entries.insert(number),
        }
    }

    /// From here on changes are journalled. For an operation that has changed nothing yet and may be rejected after it has.
    pub(crate) fn begin_journal(&mut self) {
        if self.journal.is_none() {
            self.journal = Some(std::mem::take(&mut self.changes.journal));
        }
    }

    /// Changes a market.
    pub(super) fn change_market(&mut self, number: u32, after: MarketState) {
        if self.journal.is_none()
            && let Some(market) = self.state.entries.market_mut(number)
        {
            *market = after;
            self.changes.entries.insert(number);
        } else {
            self.set_entry(number, Some(after.into()));
        }
    }

    #[inline]
    pub(super) fn record(&mut self, undo: Undo) {
        match &mut self.journal {
            Some(journal) => journal.push(undo),
            None => self.changes.enter(&undo, self.state),
        }
    }

    /// Keeps everything this transaction did.
    #[inline]
    pub(crate) fn keep(self) {
        let Some(mut journal) = self.journal else { return };
        journal.drain(..).for_each(|undo| self.changes.enter(&undo, self.state));
        self.changes.journal = journal;
        self.changes.befores.clear();
    }

    /// Undoes everything this transaction did.
    pub(crate) fn roll_back(self) {
        let Self { state, changes, journal, events_before, .. } = self;
        changes.events.truncate(events_before);
        changes.collected.clear();
        let mut journal = journal.unwrap_or_default();
        for undo in journal.drain(..).rev() {
            match undo {
                Undo::Balance { slot, asset, before } => {
                    let after = state.accounts.balance(slot, asset);
                    changes.flow(asset, after.all(), before.balance.all());
                    state.accounts.change_back(slot, asset, before);
                }
                Undo::Issued { asset, before } => {
                    let after = state.assets.get(asset).map_or(Amount::ZERO, |record| record.issued);
                    changes.flow(asset, before, after);
                    state.assets.set_issued(asset, before);
                }
                Undo::Account { address, slot } => {
                    let hash = state.index.hash(&address);
                    state.index.remove_newest(hash, slot);
                    state.accounts.pop();
                }
                Undo::Asset { .. } => state.assets.pop(),
                Undo::AssetChange { asset, before } => state.assets.set(asset, *before),
                Undo::Opened { number, has_grown } => {
                    let _ = state.entries.change(number, None);
                    if has_grown {
                        state.entries.shrink();
                    }
                }
                Undo::Entry { number } => {
                    if let Some(before) = changes.befores.pop() {
                        state.entries.set_back(number, before);
                    }
                }
            }
        }
        if journal.capacity() > changes.journal.capacity() {
            changes.journal = journal;
        }
    }
}
