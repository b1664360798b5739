//! Payments between accounts, the short way: the two halves of a transfer, each on the record of one account.
//!
//! Almost every transaction is a payment between accounts whose first asset it is. Then all there is to it is the payer's window and
//! one balance of each. What is done here is what `ops::Transfer` does through a [`Context`](super::Context), in the same order of precedence; where
//! anything else would have to be looked at, the answer is that it isn't plain, and nothing has changed.

use super::account::{Account, Balance, NO_ASSET};
use super::window::{Use, Window};
use super::{Changes, Slot, State};
use crate::types::{Amount, AssetId, Rejection, RejectionCode, Time};

/// A transaction of one signer and one transfer in lane 0, of more than nothing and to somebody else; both accounts are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub payer: Slot,
    pub payee: Slot,
    pub asset: AssetId,
    pub amount: Amount,
    pub sequence: u64,
    /// Its last block time; `None` is unbounded.
    pub valid_until: Option<Time>,
}

/// What becomes of the payer's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is paid: the window and what is left afterwards.
    Covered(Window, Amount),
    /// There isn't enough: the window afterwards and what is missing.
    Uncovered(Window, Rejection),
    /// Rejected whatever the balance is: the window afterwards, if it changes.
    Rejected(Option<Window>, Rejection),
    /// Another asset is the payer's first.
    NotPlain,
}

impl Account {
    /// Judges the payer's half of a payment; changes nothing.
    #[inline]
    pub(super) fn judge(&self, payment: &Payment, time: Time) -> Judged {
        if self.asset != payment.asset {
            return Judged::NotPlain;
        }
        let sequence = payment.sequence;
        let used = match self.window.check(sequence) {
            Use::Fresh => None,
            Use::Duplicate => Some(Rejection::new(RejectionCode::Duplicate, sequence)),
            Use::OutOfWindow(lowest) => Some(Rejection::new(RejectionCode::OutOfWindow, lowest)),
        };
        if payment.valid_until.is_some_and(|last| time > last) {
            let window = used.is_none().then(|| self.window.with(sequence));
            return Judged::Rejected(window, Rejection::new(RejectionCode::Expired, time.0));
        }
        if let Some(rejection) = used {
            return Judged::Rejected(None, rejection);
        }
        let window = self.window.with(sequence);
        match self.balance.available.minus(payment.amount) {
            Ok(rest) => Judged::Covered(window, rest),
            Err(_) => {
                let missing = payment.amount.0.saturating_sub(self.balance.available.0);
                let missing = u64::try_from(missing).unwrap_or(u64::MAX);
                Judged::Uncovered(window, Rejection::new(RejectionCode::InsufficientFunds, missing))
            }
        }
    }

    #[inline]
    pub(super) const fn take(&mut self, window: Window, rest: Amount) {
        self.window = window;
        self.balance.available = rest;
    }

    #[inline]
    pub(super) const fn use_up(&mut self, window: Window) {
        self.window = window;
    }

    /// Whether a credit in this asset concerns this record alone.
    #[inline]
    pub(super) fn takes_plainly(&self, asset: AssetId) -> bool {
        self.asset == asset || self.asset == NO_ASSET
    }

    /// Adds to what the account can spend; gives what it was before. Can't overflow, since all balances together are at most the
    /// maximum supply.
    #[inline]
    pub(super) fn add(&mut self, asset: AssetId, amount: Amount) -> Balance {
        let before = self.balance;
        debug_assert!(self.takes_plainly(asset) && before.available.plus(amount).is_ok());
        self.asset = asset;
        self.balance.available = Amount(before.available.0.saturating_add(amount.0));
        before
    }
}

/// Which accounts issue assets, as far as somebody asked: what is needed to tell a payment from a mint or a burn by slots alone.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    /// By asset: the issuer's slot, and how many accounts there were when it was looked for.
    known: Vec<(Option<u32>, u32)>,
}

impl State {
    /// The account of an asset's issuer, if it has one. `None` if there is no such asset. Only to be asked between transactions.
    #[inline]
    pub(crate) fn issuer(&mut self, asset: AssetId) -> Option<Option<u32>> {
        match self.issuers.known.get(asset.0 as usize) {
            // An account that is there stays.
            Some(&(Some(slot), _)) => Some(Some(slot)),
            Some(&(None, asked)) if asked == self.accounts.len() => Some(None),
            _ => self.find_issuer(asset),
        }
    }

    #[cold]
    fn find_issuer(&mut self, asset: AssetId) -> Option<Option<u32>> {
        let issuer = self.assets.get(asset)?.issuer;
        let found = self.find(&issuer).map(|slot| slot.0);
        let known = &mut self.issuers.known;
        let place = asset.0 as usize;
        if known.len() <= place {
            // Asked with no accounts, none is found: as good as never.
            known.resize(place.saturating_add(1), (None, u32::MAX));
        }
        known[place] = (found, self.accounts.len());
        Some(found)
    }

    /// Makes a payment. `None` if it isn't as plain as that; then nothing has changed.
    #[inline]
    pub(crate) fn pay(
        &mut self,
        payment: &Payment,
        time: Time,
        changes: &mut Changes,
    ) -> Option<Result<(), Rejection>> {
        let issuer = self.issuer(payment.asset)?;
        let Payment { payer, payee, asset, amount, .. } = *payment;
        if issuer == Some(payer.0) || issuer == Some(payee.0) || !self.accounts.get(payee)?.takes_plainly(asset) {
            return None;
        }
        let account = self.accounts.get_mut(payer)?;
        match account.judge(payment, time) {
            Judged::NotPlain => None,
            Judged::Rejected(window, rejection) => {
                if let Some(window) = window {
                    account.use_up(window);
                    changes.accounts.insert(payer.0);
                }
                Some(Err(rejection))
            }
            Judged::Uncovered(window, rejection) => {
                account.use_up(window);
                changes.accounts.insert(payer.0);
                Some(Err(rejection))
            }
            Judged::Covered(window, rest) => {
                let before = account.balance.available;
                account.take(window, rest);
                changes.changed_available(payer, asset, before, rest);
                let account = self.accounts.get_mut(payee)?;
                let before = account.add(asset, amount).available;
                let after = account.balance.available;
                changes.changed_available(payee, asset, before, after);
                Some(Ok(()))
            }
        }
    }
}
