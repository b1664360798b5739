//! Opening balances: what the data set says each account has before the first payment, and exactly what it needs beyond so that
//! every payment is covered.

use super::sheet::Sheet;
use super::tally::BadRow;
use crate::failure::Failure;
use std::collections::BTreeMap;

/// What the issuer of an asset gives an account before the first payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) account: u32,
    pub(super) asset: u32,
    pub(super) amount: u128,
}

#[derive(Clone, Copy, Default)]
struct Holding {
    opening: u128,
    balance: u128,
    /// Place in the order of first appearance.
    place: usize,
}

/// Plays all payments through. What an account lacks for a payment it must have had from the beginning.
pub(super) fn openings(sheet: &Sheet) -> Result<Vec<Opening>, Failure> {
    let mut holdings: BTreeMap<(u32, u32), Holding> = BTreeMap::new();
    // Openings and mints: an upper bound of what is ever issued.
    let mut issued = vec![0_u128; sheet.assets.len()];
    for (&(account, asset), &balance) in &sheet.before {
        let place = holdings.len();
        holdings.insert((account, asset), Holding { opening: balance, balance, place });
        if let Some(total) = issued.get_mut(asset as usize) {
            *total = total.checked_add(balance).ok_or_else(|| {
                let expected = "opening balances below 2^128 in all, found more";
                Failure::at(&sheet.tally.file, format_args!("expected {expected}"))
            })?;
        }
    }
    for payment in &sheet.payments {
        let too_much = || {
            let expected = "an amount that keeps what is issued of the asset below 2^128";
            Failure::at(&sheet.tally.file, BadRow::new(payment.line, "amount", expected, &payment.amount.to_string()))
        };
        let issuer = sheet.assets.get(payment.asset as usize).map(|listing| listing.issuer);
        let total = issued.get_mut(payment.asset as usize).ok_or_else(too_much)?;
        if issuer == Some(payment.payer) {
            *total = total.checked_add(payment.amount).ok_or_else(too_much)?;
        } else {
            let place = holdings.len();
            let fresh = Holding { place, ..Holding::default() };
            let holding = holdings.entry((payment.payer, payment.asset)).or_insert(fresh);
            let lacking = payment.amount.saturating_sub(holding.balance);
            *total = total.checked_add(lacking).ok_or_else(too_much)?;
            // No more than `total`, which didn't overflow.
            holding.opening += lacking;
            holding.balance = holding.balance.saturating_sub(payment.amount);
        }
        if issuer != Some(payment.payee) {
            let place = holdings.len();
            let fresh = Holding { place, ..Holding::default() };
            let holding = holdings.entry((payment.payee, payment.asset)).or_insert(fresh);
            holding.balance = holding.balance.checked_add(payment.amount).ok_or_else(too_much)?;
        }
    }
    let mut needed: Vec<(usize, Opening)> = holdings
        .into_iter()
        .filter(|(_, holding)| holding.opening > 0)
        .map(|((account, asset), holding)| (holding.place, Opening { account, asset, amount: holding.opening }))
        .collect();
    needed.sort_by_key(|(place, opening)| (opening.asset, *place));
    Ok(needed.into_iter().map(|(_, opening)| opening).collect())
}
