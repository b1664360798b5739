//! What an import has read: who paid whom how much of what, when; what was left out and why; what couldn't be read.

use super::tally::{BadRow, Tally};
use crate::failure::Failure;
use nostro::AssetCode;
use std::collections::BTreeMap;
use std::path::Path;

/// A payment of the data set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payment {
    pub(super) line: u64,
    pub(super) payer: u32,
    pub(super) payee: u32,
    pub(super) asset: u32,
    pub(super) amount: u128,
    /// Decimal places that `amount` has; the asset's scale once the sheet is complete.
    pub(super) places: u8,
    pub(super) time_ms: Option<u64>,
    /// What somebody has after it, where the data set says so.
    pub(super) leaves: Option<Leaves>,
}

/// What the data set says an account has after a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaves {
    pub(super) account: u32,
    /// By how much more, or less, than before the first row of the account.
    pub(super) change: i128,
}

/// An account of the data set, or one that the import adds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// By its name in the data set.
    Account(String),
    /// Issues what has no issuer in the data set.
    Issuer(String),
    /// Takes the fees.
    Fees,
}

/// An asset of the data set.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) code: AssetCode,
    pub(super) scale: u8,
    pub(super) issuer: u32,
}

/// Everything read.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) tally: Tally,
    pub(super) parties: Vec<Party>,
    party_numbers: BTreeMap<Party, u32>,
    pub(super) assets: Vec<Listing>,
    asset_numbers: BTreeMap<(u32, AssetCode), u32>,
    pub(super) payments: Vec<Payment>,
    /// What accounts have before the first row, by account and asset, where the data set says so.
    pub(super) before: BTreeMap<(u32, u32), u128>,
}

/// What a row is.
pub(super) enum Row {
    Payment(Payment),
    /// A row that is right but moves nothing that can be moved here.
    Omitted(&'static str),
}

impl Sheet {
    pub(super) fn new(file: &Path, skip_bad: u64) -> Self {
        Self {
            tally: Tally::new(file, skip_bad),
            parties: Vec::new(),
            party_numbers: BTreeMap::new(),
            assets: Vec::new(),
            asset_numbers: BTreeMap::new(),
            payments: Vec::new(),
            before: BTreeMap::new(),
        }
    }

    /// The number of a party, in the order they appear.
    pub(super) fn party(&mut self, party: Party) -> u32 {
        let next = u32::try_from(self.parties.len()).unwrap_or(u32::MAX);
        match self.party_numbers.get(&party) {
            Some(&number) => number,
            None => {
                self.parties.push(party.clone());
                self.party_numbers.insert(party, next);
                next
            }
        }
    }

    /// The number of an asset, in the order they appear.
    pub(super) fn asset(&mut self, issuer: u32, code: AssetCode, scale: u8) -> u32 {
        let next = u32::try_from(self.assets.len()).unwrap_or(u32::MAX);
        *self.asset_numbers.entry((issuer, code)).or_insert_with(|| {
            self.assets.push(Listing { code, scale, issuer });
            next
        })
    }

    /// Takes a row in.
    pub(super) fn take(&mut self, row: Result<Row, BadRow>) -> Result<(), Failure> {
        self.tally.count()?;
        match row {
            Ok(Row::Payment(payment)) if payment.amount == 0 => self.tally.omit("of nothing"),
            Ok(Row::Payment(payment)) if payment.payer == payment.payee => self.tally.omit("to oneself"),
            Ok(Row::Payment(payment)) => self.payments.push(payment),
            Ok(Row::Omitted(reason)) => self.tally.omit(reason),
            Err(bad) => self.tally.take_bad(bad)?,
        }
        Ok(())
    }

    /// Ends the reading: brings amounts to their assets' scales, and rows into the order of their times. Gives how many rows
    /// stood behind a later one.
    pub(super) fn complete(&mut self) -> Result<u64, Failure> {
        for payment in &self.payments {
            if let Some(listing) = self.assets.get_mut(payment.asset as usize) {
                listing.scale = listing.scale.max(payment.places);
            }
        }
        let mut payments = std::mem::take(&mut self.payments);
        let mut bad = Vec::new();
        payments.retain_mut(|payment| {
            let scale = self.assets.get(payment.asset as usize).map_or(0, |listing| listing.scale);
            let missing = u32::from(scale.saturating_sub(payment.places));
            let scaled = 10_u128.checked_pow(missing).and_then(|factor| payment.amount.checked_mul(factor));
            match scaled {
                Some(amount) => {
                    payment.amount = amount;
                    payment.places = scale;
                }
                None => {
                    let expected = format!("an amount below 2^128 with {scale} decimal places");
                    bad.push(BadRow::new(payment.line, "amount", &expected, &payment.amount.to_string()));
                }
            }
            scaled.is_some()
        });
        bad.into_iter().try_for_each(|bad| self.tally.take_bad(bad))?;
        let mut latest = None;
        let mut moved = 0;
        for payment in &payments {
            moved += u64::from(payment.time_ms < latest);
            latest = latest.max(payment.time_ms);
        }
        payments.sort_by_key(|payment| payment.time_ms);
        self.payments = payments;
        Ok(moved)
    }
}
