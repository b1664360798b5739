//! Payments between accounts, the short way: the two halves of a transfer, each on one account.
//!
//! Almost every transaction is a payment between accounts that are there, in lane 0 and by one signer. Then all there is to it is the
//! payer's window and one balance of each. What is done here is what `ops::Transfer` does through a [`Context`](super::Context), in
//! the same order of precedence. Each half concerns one account and no other, so whoever has a shard to itself can do the halves of
//! its accounts beside those who do others'.

use super::addresses::Addresses;
use super::asset::Assets;
use super::entries::{Entries, Entry, Name, PLACES_MAX as ENTRIES_MAX};
use super::index::Index;
use super::layout::Place;
use super::shard::Shard;
use super::window::{Use, Window};
use super::{Balance, Changes, Layout, Slot, State};
use crate::types::{Address, Amount, AssetId, Rejection, RejectionCode, Time};

/// A transaction of one signer and one transfer in lane 0, of more than nothing and to somebody else; both accounts are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub payer: Slot,
    pub payee: Slot,
    pub asset: AssetId,
    pub amount: Amount,
    pub sequence: u64,
    /// Its last block time; the latest there is if it is unbounded.
    pub valid_until: Time,
}

/// What became of the payer's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Debited {
    /// The account has paid.
    Paid,
    /// There isn't enough; a credit could change that. Nothing has changed; the window as it would be.
    Uncovered(Window, Rejection),
    /// Rejected whatever the balance is; the sequence is used up if it was fresh.
    Rejected(Rejection),
}

/// What a payer's half comes to.
enum Judged {
    /// It can pay. The window and what is left afterwards.
    Covered(Window, Amount),
    Uncovered(Window, Rejection),
    /// The window afterwards, if it changes.
    Rejected(Option<Window>, Rejection),
}

#[inline(always)]
fn judge(own: Window, available: Amount, payment: &Payment, time: Time) -> Judged {
    let sequence = payment.sequence;
    let used = match own.check(sequence) {
        Use::Fresh => None,
        Use::Duplicate => Some(Rejection::new(RejectionCode::Duplicate, sequence)),
        Use::OutOfWindow(lowest) => Some(Rejection::new(RejectionCode::OutOfWindow, lowest)),
    };
    if time > payment.valid_until {
        let window = used.is_none().then(|| own.with(sequence));
        return Judged::Rejected(window, Rejection::new(RejectionCode::Expired, time.0));
    }
    if let Some(rejection) = used {
        return Judged::Rejected(None, rejection);
    }
    let window = own.with(sequence);
    match available.minus(payment.amount) {
        Ok(rest) => Judged::Covered(window, rest),
        Err(_) => {
            let missing = u64::try_from(payment.amount.0.saturating_sub(available.0)).unwrap_or(u64::MAX);
            Judged::Uncovered(window, Rejection::new(RejectionCode::InsufficientFunds, missing))
        }
    }
}

/// The halves of payments, for whoever has the shard to itself.
impl Shard {
    /// The payer's half, if it can be paid whatever else happens in the block.
    #[inline(always)]
    pub(crate) fn debit(&mut self, payment: &Payment, payer: Place, time: Time) -> Option<Debited> {
        let cell = self.cell(payer)?;
        if cell.asset() != payment.asset {
            return self.debit_further(payment, payer, time);
        }
        match judge(cell.window(), cell.available(), payment, time) {
            Judged::Covered(window, rest) => {
                let block = self.block();
                let cell = self.change(payer)?;
                cell.mark(cell.changed().paid(block));
                cell.set_window(window);
                cell.set_available(rest);
                self.changed.enter(payer);
                Some(Debited::Paid)
            }
            Judged::Uncovered(window, rejection) => Some(Debited::Uncovered(window, rejection)),
            Judged::Rejected(window, rejection) => {
                if let Some(window) = window {
                    self.use_up(payer, window);
                }
                Some(Debited::Rejected(rejection))
            }
        }
    }

    /// The same in an asset that isn't the payer's first.
    #[cold]
    fn debit_further(&mut self, payment: &Payment, payer: Place, time: Time) -> Option<Debited> {
        self.take(payment, payer, time, |before, rest| Balance { available: rest, ..before })
    }

    /// The owner's half of a promise: the same, but what is paid is set aside.
    pub(crate) fn set_aside(&mut self, payment: &Payment, owner: Place, time: Time) -> Option<Debited> {
        self.take(payment, owner, time, |before, rest| {
            // Both are parts of what is issued.
            Balance { available: rest, held: Amount(before.held.0.saturating_add(payment.amount.0)) }
        })
    }

    /// Takes from what an account can spend; `after` says what it has then, given what is left to be spent.
    #[inline]
    fn take(
        &mut self,
        payment: &Payment,
        payer: Place,
        time: Time,
        after: impl Fn(Balance, Amount) -> Balance,
    ) -> Option<Debited> {
        let available = self.available(payer, payment.asset);
        Some(match judge(self.cell(payer)?.window(), available, payment, time) {
            Judged::Covered(window, rest) => {
                self.use_up(payer, window);
                if payment.amount != Amount::ZERO {
                    self.change_balance((payment.payer, payer), payment.asset, |before| after(before, rest))?;
                }
                Debited::Paid
            }
            Judged::Uncovered(window, rejection) => Debited::Uncovered(window, rejection),
            Judged::Rejected(window, rejection) => {
                if let Some(window) = window {
                    self.use_up(payer, window);
                }
                Debited::Rejected(rejection)
            }
        })
    }

    /// Uses a sequence up.
    #[inline]
    pub(crate) fn use_up(&mut self, payer: Place, window: Window) {
        self.set_first_window(payer, window);
        self.changed.enter(payer);
    }

    /// The payee's half: adds to what the account can spend. Can't overflow, since all balances together are at most the maximum supply.
    #[inline(always)]
    pub(crate) fn credit(&mut self, payment: &Payment, payee: Place) {
        let Some(cell) = self.cell(payee) else { return };
        if cell.asset() != payment.asset {
            return self.credit_further(payment, payee);
        }
        let block = self.block();
        let Some(cell) = self.change(payee) else { return };
        let available = cell.available();
        debug_assert!(available.plus(payment.amount).is_ok(), "balances are part of what is issued");
        cell.mark(cell.changed().paid(block));
        cell.set_available(Amount(available.0.saturating_add(payment.amount.0)));
        self.changed.enter(payee);
    }

    /// The same in an asset that isn't the payee's first.
    #[cold]
    fn credit_further(&mut self, payment: &Payment, payee: Place) {
        let _ = self.change_balance((payment.payee, payee), payment.asset, |before| before.credited(payment.amount));
    }
}

/// Which accounts issue assets, as far as somebody asked: what is needed to tell a payment from a mint or a burn by slots alone.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    /// By asset: the issuer's slot, and how many accounts there were when it was looked for.
    known: Vec<(Option<Slot>, u32)>,
}

impl Issuers {
    /// Whether a payment is known to be neither a mint nor a burn nor anybody's who has rules of their own, with so many accounts.
    #[inline]
    fn know(&self, payment: &Payment, accounts: u32, entries: &Entries) -> bool {
        // Who has rules of their own is looked at in order.
        if entries.is_guarded(payment.payer.0) || entries.is_guarded(payment.payee.0) {
            return false;
        }
        match self.known.get(payment.asset.0 as usize) {
            // An account that is there stays, and so does an asset.
            Some(&(Some(issuer), _)) => issuer != payment.payer && issuer != payment.payee,
            Some(&(None, asked)) => asked == accounts,
            None => false,
        }
    }
}

/// What can be known of a state while its shards are worked on: who is there, and who issues what. It doesn't change meanwhile.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    index: &'a Index,
    addresses: &'a Addresses,
    accounts: u32,
    issuers: &'a Issuers,
    entries: &'a Entries,
    assets: &'a Assets,
}

impl Known<'_> {
    /// The slot of an account, if it has come into being.
    pub(crate) fn find(&self, address: &Address) -> Option<Slot> {
        let is_it = |slot: Slot| slot.0 < self.accounts && self.addresses.is(slot, address);
        self.index.find(self.index.hash(address), is_it)
    }

    /// Whether a payment is known to be nothing else: no mint, no burn, nobody's who has rules of their own.
    #[inline]
    pub(crate) fn is_payment(&self, payment: &Payment) -> bool {
        self.issuers.know(payment, self.accounts, self.entries)
    }

    /// Visits the accounts whose balances the hold or the grant of a name asks for.
    pub(crate) fn balances_asked(&self, name: &Name<'_>, see: &mut dyn FnMut(Address)) {
        if !self.entries.asks_for_balances() {
            return;
        }
        match self.entries.find(name).and_then(|number| self.entries.get(number)) {
            Some(Entry::Hold(hold)) => hold.balances(see),
            Some(Entry::Grant(grant)) => grant.predicate.balances(see),
            _ => {}
        }
    }

    /// Whether an account has rules of its own.
    #[inline]
    pub(crate) fn is_guarded(&self, slot: Slot) -> bool {
        self.entries.is_guarded(slot.0)
    }

    /// Whether there is an asset, and it has no policy.
    #[inline]
    pub(crate) fn is_plain(&self, asset: AssetId) -> bool {
        self.assets.get(asset).is_some_and(|asset| !asset.has_policy())
    }

    /// By which a name is looked for.
    pub(crate) fn tag(&self, name: &Name<'_>) -> u64 {
        self.entries.tag(name)
    }

    /// Whether an entry has a name with this tag.
    pub(crate) fn has_entry(&self, name: &Name<'_>, tag: u64) -> bool {
        self.entries.find_tagged(name, tag).is_some()
    }

    /// Whether so many entries more surely find room.
    pub(crate) fn has_room(&self, entries: u64) -> bool {
        u64::from(self.entries.len()).saturating_add(entries) < u64::from(ENTRIES_MAX)
    }

    /// Brings closer where an entry is looked for.
    #[inline]
    pub(crate) fn prefetch_name(&self, tag: u64) {
        self.entries.prefetch_name(tag);
    }

    /// Whether something is over at a time and still in its place.
    pub(crate) fn has_over(&self, now: Time) -> bool {
        self.entries.first_over(now).is_some()
    }
}

impl State {
    /// The shards, and what else has to be known of the state to work on them.
    pub(crate) fn known_and_shards(&mut self) -> (Known<'_>, &mut [Shard]) {
        let Self { accounts, index, issuers, entries, assets, .. } = self;
        let (addresses, accounts, shards) = accounts.split();
        (Known { index, addresses, accounts, issuers, entries, assets }, shards)
    }

    /// How accounts are spread over shards.
    pub(crate) const fn layout(&self) -> Layout {
        self.accounts.layout()
    }

    /// Whether a payment is neither a mint nor a burn. `false` if there is no such asset. Only to be asked between transactions.
    #[inline]
    fn is_payment(&mut self, payment: &Payment) -> bool {
        let Self { issuers, entries, accounts, .. } = self;
        issuers.know(payment, accounts.len(), entries) || self.find_issuer(payment)
    }

    #[cold]
    fn find_issuer(&mut self, payment: &Payment) -> bool {
        // What has a policy may not be paid by everyone. One without never gets any, since it isn't mutable.
        let plain = self.assets.get(payment.asset).filter(|asset| !asset.has_policy());
        let Some(issuer) = plain.map(|asset| asset.issuer) else { return false };
        let found = self.find(&issuer);
        let known = &mut self.issuers.known;
        let place = payment.asset.0 as usize;
        if known.len() <= place {
            // There are never so many accounts: nobody was looked for.
            known.resize(place.saturating_add(1), (None, u32::MAX));
        }
        known[place] = (found, self.accounts.len());
        let is_guarded = self.is_guarded(payment.payer) || self.is_guarded(payment.payee);
        !is_guarded && found.is_none_or(|issuer| issuer != payment.payer && issuer != payment.payee)
    }

    /// Makes a payment. `None` if it isn't one; then nothing has changed.
    #[inline]
    pub(crate) fn pay(
        &mut self,
        payment: &Payment,
        time: Time,
        changes: &mut Changes,
    ) -> Option<Result<(), Rejection>> {
        if !self.is_payment(payment) {
            return None;
        }
        let (shards, layout) = self.accounts.shards();
        let payer = layout.place(payment.payer);
        let shard = shards.get_mut(payer.shard)?;
        match shard.debit(payment, payer, time)? {
            Debited::Paid => {
                changes.debited(payment.asset, payment.amount);
                self.credit(payment, changes);
                Some(Ok(()))
            }
            Debited::Rejected(rejection) => Some(Err(rejection)),
            Debited::Uncovered(window, rejection) => {
                shard.use_up(payer, window);
                Some(Err(rejection))
            }
        }
    }

    /// Whether a payment is in an asset that isn't the first of both accounts.
    #[inline]
    pub(crate) fn pays_further(&self, payment: &Payment) -> bool {
        let is_further = |slot| self.accounts.first_asset(slot) != Some(payment.asset);
        is_further(payment.payer) || is_further(payment.payee)
    }

    /// Brings the balances of a payment closer, when the records are at hand: what is in place, later what that leads to.
    #[inline]
    pub(crate) fn prefetch_balances(&self, payment: &Payment, is_in_place_at_hand: bool) {
        self.accounts.prefetch_balance(payment.payer, payment.asset, is_in_place_at_hand);
        self.accounts.prefetch_balance(payment.payee, payment.asset, is_in_place_at_hand);
    }

    /// The payee's half of a payment.
    #[inline]
    pub(crate) fn credit(&mut self, payment: &Payment, changes: &mut Changes) {
        let (shards, layout) = self.accounts.shards();
        let payee = layout.place(payment.payee);
        if let Some(shard) = shards.get_mut(payee.shard) {
            shard.credit(payment, payee);
            changes.credited(payment.asset, payment.amount);
        }
    }
}
