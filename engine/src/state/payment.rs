//! Payments between accounts, the short way: the two halves of a transfer, each on one account.
//!
//! Almost every transaction is a payment between accounts that are there, in lane 0 and by one signer. Then all there is to it is the
//! payer's window and one balance of each. What is done here is what `ops::Transfer` does through a [`Context`](super::Context), in
//! the same order of precedence. Each half concerns one account and no other, so whoever has a shard to itself can do the halves of
//! its accounts beside those who do others'.

use super::entries::Entries;
use super::layout::Place;
use super::shard::Shard;
use super::window::{Use, Window};
use super::{Balance, Changes, Flows, Layout, Shift, Slot, State};
use crate::types::{Amount, AssetId, Rejection, RejectionCode, Time};

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
        self.take(payment, payer, time, |shard, rest| {
            let after = |before| Balance { available: rest, ..before };
            shard.change_balance((payment.payer, payer), payment.asset, after).map(drop)
        })
    }

    /// The owner's half of a promise: the same, but what is paid is set aside.
    pub(crate) fn set_aside(&mut self, payment: &Payment, owner: Place, time: Time) -> Option<Debited> {
        self.take(payment, owner, time, |shard, rest| {
            // Both are parts of what is issued.
            let held = |before: Balance| Amount(before.held.0.saturating_add(payment.amount.0));
            let after = |before| Balance { available: rest, held: held(before) };
            shard.change_balance((payment.payer, owner), payment.asset, after).map(drop)
        })
    }

    /// The owner's half of what is decided elsewhere: the most that it may take is out of reach until that is
    /// [given back](Self::give_reserve_back), which has to be in the same block. The sequence is used; what the account has doesn't count as
    /// changed.
    pub(crate) fn reserve(&mut self, payment: &Payment, owner: Place, time: Time) -> Option<Debited> {
        self.take(payment, owner, time, |shard, rest| shard.leave_available(owner, payment.asset, rest))
    }

    /// Adds to what an account has, as it was found out that it can be.
    pub(crate) fn shift(&mut self, owner: (Slot, Place), asset: AssetId, shift: Shift, flows: &mut Flows) {
        let _ = self.change_balance(owner, asset, |before| before.shifted(shift));
        flows.shifted(asset, shift);
    }

    /// Gives back what was reserved.
    pub(crate) fn give_reserve_back(&mut self, owner: Place, asset: AssetId, amount: Amount) {
        let available = self.available(owner, asset);
        // It was there before.
        let _ = self.leave_available(owner, asset, Amount(available.0.saturating_add(amount.0)));
    }

    /// Takes from what an account can spend; `take` does, given what is left to be spent.
    #[inline]
    fn take(
        &mut self,
        payment: &Payment,
        payer: Place,
        time: Time,
        take: impl FnOnce(&mut Self, Amount) -> Option<()>,
    ) -> Option<Debited> {
        let available = self.available(payer, payment.asset);
        Some(match judge(self.cell(payer)?.window(), available, payment, time) {
            Judged::Covered(window, rest) => {
                self.use_up(payer, window);
                if payment.amount != Amount::ZERO {
                    take(self, rest)?;
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
    pub(super) fn know(&self, payment: &Payment, accounts: u32, entries: &Entries) -> bool {
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

impl State {
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

    /// Gives an account back what was reserved of an asset.
    pub(crate) fn give_reserve_back(&mut self, owner: Slot, asset: AssetId, amount: Amount) {
        if amount == Amount::ZERO {
            return;
        }
        let (shards, layout) = self.accounts.shards();
        let place = layout.place(owner);
        if let Some(shard) = shards.get_mut(place.shard) {
            shard.give_reserve_back(place, asset, amount);
        }
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
