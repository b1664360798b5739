//! A language for small programs, so that a case is a line.
//!
//! ```text
//! A>B:5            A pays B 5 of asset 0
//! A>B:5@2          of asset 2
//! A*EUR:100        A registers the asset EUR with a maximum supply of 100; `max` is 2^128 - 1
//! A>B:5+B>C:5      both or neither; the account is the first payer, the others sign further
//! A>B:5#7          with sequence 7; without one it is the account's next in that lane, from 0
//! A>B:5/3          on lane 3
//! A>B:5!1000       valid until 1000 ms
//! T=1000           block time for what follows
//! ```
//!
//! Accounts are letters. `#`, `/` and `!` stand behind the last operation, in any order. What became of it is told by one word per transaction:
//! `ok`, or the number of the rejection, with `.n` for the operation unless that is 0, and `=n` for the detail unless that doesn't
//! matter to the case.

use crate::program::{Program, Step};
use crate::world::{ledger, name_of, named, sign, unsigned};
use nostro::{
    Address, Amount, AssetId, Operation, Outcome, RegisterAsset, Time, Transaction, TransactionRef, Transfer,
};
use std::collections::BTreeMap;

/// Reads a program.
///
/// # Panics
/// If it isn't one: a case that can't be read is a mistake in the test.
#[must_use]
pub fn program(text: &str) -> Program {
    read(text, false)
}

/// Reads a program and signs it.
///
/// # Panics
/// As [`program`].
#[must_use]
pub fn signed_program(text: &str) -> Program {
    read(text, true)
}

fn read(text: &str, signed: bool) -> Program {
    let mut time = Time(1_000);
    let mut next = BTreeMap::new();
    let mut steps = Vec::new();
    for word in text.split_whitespace() {
        match word.strip_prefix("T=") {
            Some(digits) => time = Time(digits.parse().expect("a time")),
            None => steps.push(Step { time, transaction: transaction(word, &mut next, signed) }),
        }
    }
    Program { steps }
}

fn transaction(word: &str, next: &mut BTreeMap<(Address, u16), u64>, signed: bool) -> Transaction {
    let end = word.find(['#', '/', '!']).unwrap_or(word.len());
    let (operations, marks) = word.split_at(end);
    let operations: Vec<(Address, Operation)> = operations.split('+').map(operation).collect();
    let account = operations[0].0;
    let mark = |sign: char| {
        let start = marks.find(sign)? + 1;
        let digits: String = marks[start..].chars().take_while(char::is_ascii_digit).collect();
        Some(digits.parse::<u64>().unwrap_or_else(|_| panic!("a number behind {sign} in {word}")))
    };
    let lane = u16::try_from(mark('/').unwrap_or(0)).expect("a lane");
    let following = next.entry((account, lane)).or_default();
    let sequence = mark('#').unwrap_or(*following);
    *following = (*following).max(sequence.saturating_add(1));
    let mut builder = Transaction::builder(account).lane(lane).sequence(sequence);
    if let Some(last) = mark('!') {
        builder = builder.valid_until(Time(last));
    }
    for (source, operation) in operations {
        builder = builder.operation(source, operation);
    }
    let order = builder.build().unwrap_or_else(|error| panic!("{word}: {error}"));
    if signed { sign(order, &ledger()) } else { unsigned(order) }
}

fn operation(text: &str) -> (Address, Operation) {
    let letter = |text: &str| named(text.chars().next().unwrap_or_else(|| panic!("a letter in {text}")));
    let number = |text: &str| match text {
        "max" => u128::MAX,
        digits => digits.parse().unwrap_or_else(|_| panic!("a number, found {text:?}")),
    };
    let (left, amount) = text.split_once(':').unwrap_or_else(|| panic!("an amount in {text}"));
    if let Some((issuer, code)) = left.split_once('*') {
        let code = code.parse().expect("a code");
        return (letter(issuer), RegisterAsset::plain(code, 2, Amount(number(amount))).into());
    }
    let (payer, payee) = left.split_once('>').unwrap_or_else(|| panic!("a payment in {text}"));
    let (amount, asset) = amount.split_once('@').unwrap_or((amount, "0"));
    let asset = AssetId(asset.parse().expect("an asset"));
    let order = Transfer { payee: letter(payee), asset, amount: Amount(number(amount)), ..Transfer::default() };
    (letter(payer), order.into())
}

/// Writes a transaction in the language.
#[must_use]
pub fn show(transaction: &TransactionRef<'_>) -> String {
    let signers: Vec<String> = transaction.signers().map(|signer| name_of(&signer)).collect();
    let one = |(source, operation): (u8, Operation)| {
        let source = &signers[usize::from(source)];
        match operation {
            Operation::Transfer(Transfer { payee, asset, amount, .. }) => {
                format!("{source}>{}:{amount}@{asset}", name_of(&payee))
            }
            Operation::RegisterAsset(order) if order.policy.0 == 0 && !order.is_update => {
                format!("{source}*{}:{}", order.code, order.maximum_supply)
            }
            // What the language has no words for.
            other => format!("{source}:{other:?}"),
        }
    };
    let operations: Vec<String> = transaction.operations().map(one).collect();
    let lane = Some(transaction.lane()).filter(|&lane| lane != 0).map_or_else(String::new, |lane| format!("/{lane}"));
    let until = transaction.valid_until().map_or_else(String::new, |last| format!("!{}", last.0));
    // The account is the first payer in the language; where it isn't, say so.
    let account = &signers[0];
    let prefix = if operations[0].starts_with(account.as_str()) { String::new() } else { format!("({account})") };
    format!("{prefix}{}#{}{lane}{until}", operations.join("+"), transaction.sequence())
}

/// Whether an outcome is what a word says.
///
/// # Panics
/// If the word isn't one.
#[must_use]
pub fn agrees(word: &str, outcome: &Outcome) -> bool {
    let Outcome::Rejected(rejection) = outcome else { return word == "ok" };
    if word == "ok" {
        return false;
    }
    let (left, detail) = word.split_once('=').map_or((word, None), |(left, detail)| (left, Some(detail)));
    let (code, operation) = left.split_once('.').unwrap_or((left, "0"));
    code.parse() == Ok(rejection.code.number())
        && operation.parse() == Ok(rejection.operation)
        && detail.is_none_or(|detail| detail.parse() == Ok(rejection.detail))
}

/// Writes an outcome as a word.
#[must_use]
pub fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied => "ok".to_owned(),
        Outcome::Rejected(no) => format!("{}.{}={}", no.code.number(), no.operation, no.detail),
    }
}
