//! What an import has read: who paid whom how much of what, when; what was left out and why; what couldn't be read.

use crate::failure::Failure;
use crate::interrupt;
use nostro::AssetCode;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A row that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) column: String,
    pub(super) expected: String,
    pub(super) found: String,
}

impl BadRow {
    /// Shows at most so much of what was found.
    const FOUND_MAX: usize = 80;

    pub(super) fn new(line: u64, column: &str, expected: &str, found: &str) -> Self {
        let mut shown: String = found.chars().take(Self::FOUND_MAX).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self { line, column: column.to_owned(), expected: expected.to_owned(), found: format!("{shown:?}") }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, expected, found } = self;
        write!(f, "line {line}, column {column}: expected {expected}, found {found}")
    }
}

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
    pub(super) file: PathBuf,
    pub(super) parties: Vec<Party>,
    party_numbers: BTreeMap<Party, u32>,
    pub(super) assets: Vec<Listing>,
    asset_numbers: BTreeMap<(u32, AssetCode), u32>,
    pub(super) payments: Vec<Payment>,
    pub(super) rows: u64,
    /// Rows left out by reason.
    pub(super) omitted: BTreeMap<&'static str, u64>,
    pub(super) bad: Vec<BadRow>,
    skip_bad: u64,
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
            file: file.to_path_buf(),
            parties: Vec::new(),
            party_numbers: BTreeMap::new(),
            assets: Vec::new(),
            asset_numbers: BTreeMap::new(),
            payments: Vec::new(),
            rows: 0,
            omitted: BTreeMap::new(),
            bad: Vec::new(),
            skip_bad,
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
        if interrupt::is_set() {
            return Err(Failure::at(&self.file, format_args!("interrupted after {} rows", self.rows)));
        }
        self.rows += 1;
        match row {
            Ok(Row::Payment(payment)) if payment.amount == 0 => self.omit("of nothing"),
            Ok(Row::Payment(payment)) if payment.payer == payment.payee => self.omit("to oneself"),
            Ok(Row::Payment(payment)) => self.payments.push(payment),
            Ok(Row::Omitted(reason)) => self.omit(reason),
            Err(bad) => self.take_bad(bad)?,
        }
        Ok(())
    }

    fn omit(&mut self, reason: &'static str) {
        *self.omitted.entry(reason).or_insert(0) += 1;
    }

    /// Takes a row that can't be read; an error when there are more than allowed.
    pub(super) fn take_bad(&mut self, bad: BadRow) -> Result<(), Failure> {
        if self.bad.len() as u64 >= self.skip_bad {
            return Err(Failure::at(&self.file, bad));
        }
        self.bad.push(bad);
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
        bad.into_iter().try_for_each(|bad| self.take_bad(bad))?;
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
