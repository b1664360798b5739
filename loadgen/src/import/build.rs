//! Turns what was read into a load: keys for all parties, the setup, a signed transfer for every payment.

use super::opening::Opening;
use super::sheet::{Leaves, Party, Payment, Sheet};
use crate::failure::Failure;
use crate::generate::finish;
use crate::interrupt;
use crate::load::LoadWriter;
use nostro::{
    Address, Amount, AssetId, Comparison, KeyPair, Ledger, Operation, Predicate, Require, Time, Transaction, Transfer,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Mints per transaction of the setup.
const MINTS: usize = 256;
/// Payments signed at a time.
const ROUND: usize = 65_536;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The key pair that a party gets: a function of the data set and of its name there.
pub(super) fn key(data_set: &str, party: &Party) -> KeyPair {
    let (kind, name) = match party {
        Party::Account(name) => ("account", name.as_str()),
        Party::Issuer(name) => ("issuer", name.as_str()),
        Party::Fees => ("fees", ""),
    };
    let mut hasher = blake3::Hasher::new_derive_key("nostro 1 loadgen imported account");
    for text in [data_set, kind, name] {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    KeyPair::from_seed(hasher.finalize().as_bytes())
}

/// Keys and sequences of all parties.
struct Signers<'a> {
    ledger: &'a Ledger,
    keys: Vec<KeyPair>,
    addresses: Vec<Address>,
    sequences: Vec<u64>,
    /// Opening balances by account and asset.
    openings: BTreeMap<(u32, u32), u128>,
}

impl Signers<'_> {
    fn key(&self, party: u32) -> Result<&KeyPair, Failure> {
        self.keys.get(party as usize).ok_or_else(|| Failure::new(format!("party {party}: expected a key, found none")))
    }

    fn address(&self, party: u32) -> Result<Address, Failure> {
        self.key(party)?;
        Ok(self.addresses.get(party as usize).copied().unwrap_or_default())
    }

    /// The next sequence of a party.
    fn sequence(&mut self, party: u32) -> u64 {
        self.sequences.get_mut(party as usize).map_or(0, |sequence| {
            *sequence += 1;
            *sequence
        })
    }
}

/// Writes the setup and the payments.
pub(super) fn build(
    sheet: &Sheet,
    openings: &[Opening],
    data_set: &str,
    ledger: &Ledger,
    writer: &mut LoadWriter,
) -> Result<(), Failure> {
    let keys: Vec<KeyPair> = sheet.parties.par_iter().map(|party| key(data_set, party)).collect();
    let addresses = keys.iter().map(KeyPair::address).collect();
    let opened = openings.iter().map(|opening| ((opening.account, opening.asset), opening.amount)).collect();
    let mut signers = Signers { ledger, sequences: vec![0; keys.len()], keys, addresses, openings: opened };
    for listing in &sheet.assets {
        let order = Transaction::builder(signers.address(listing.issuer)?)
            .sequence(signers.sequence(listing.issuer))
            .register_asset(listing.code, listing.scale, Amount::MAX);
        let order = order.build().map_err(Failure::new)?;
        writer.setup(finish(order, ledger, Some(signers.key(listing.issuer)?))?.bytes(), 1)?;
    }
    for of_one_asset in openings.chunk_by(|one, other| one.asset == other.asset) {
        for mints in of_one_asset.chunks(MINTS) {
            let asset = mints.first().map_or(0, |opening| opening.asset);
            let issuer = sheet.assets.get(asset as usize).map_or(0, |listing| listing.issuer);
            let mut order = Transaction::builder(signers.address(issuer)?).sequence(signers.sequence(issuer));
            for opening in mints {
                order = order.transfer(signers.address(opening.account)?, AssetId(asset), Amount(opening.amount));
            }
            let order = order.build().map_err(Failure::new)?;
            writer.setup(finish(order, ledger, Some(signers.key(issuer)?))?.bytes(), 1)?;
        }
    }
    let first = sheet.payments.first().and_then(|payment| payment.time_ms).unwrap_or(0);
    for payments in sheet.payments.chunks(ROUND) {
        if interrupt::is_set() {
            return Err(Failure::at(&sheet.tally.file, "interrupted while its payments were signed"));
        }
        let numbered: Vec<(Payment, u64)> =
            payments.iter().map(|&payment| (payment, signers.sequence(payment.payer))).collect();
        let signed: Vec<Transaction> = numbered
            .par_iter()
            .map(|(payment, sequence)| sign(&signers, payment, *sequence))
            .collect::<Result<_, _>>()?;
        for (payment, transaction) in payments.iter().zip(&signed) {
            let since = payment.time_ms.unwrap_or(first).saturating_sub(first);
            let due = since.saturating_mul(NANOSECONDS_PER_MILLISECOND);
            writer.transactions(transaction.bytes(), 1, due, payment.time_ms.map(Time))?;
        }
    }
    Ok(())
}

/// A payment's transfer, its reference the line it stands on; and that it leaves what the data set says it does.
fn sign(signers: &Signers<'_>, payment: &Payment, sequence: u64) -> Result<Transaction, Failure> {
    let payer = signers.address(payment.payer)?;
    let transfer = Transfer {
        payee: signers.address(payment.payee)?,
        asset: AssetId(payment.asset),
        amount: Amount(payment.amount),
        reference: payment.line,
        code: 0,
        ..Transfer::default()
    };
    let mut order = Transaction::builder(payer).sequence(sequence).operation(payer, Operation::Transfer(transfer));
    if let Some(Leaves { account, change }) = payment.leaves {
        let before = signers.openings.get(&(account, payment.asset)).copied().unwrap_or(0);
        let left = before.checked_add_signed(change).ok_or_else(|| {
            Failure::new(format!(
                "line {}: expected a balance that isn't negative, found {before} and {change}",
                payment.line
            ))
        })?;
        let account = signers.address(account)?;
        let predicate = Predicate::balance(account, AssetId(payment.asset), Comparison::Equal, Amount(left));
        order = order.operation(payer, Require { predicate }.into());
    }
    finish(order.build().map_err(Failure::new)?, signers.ledger, Some(signers.key(payment.payer)?))
}
