//! What operations cost, beside plain transfers and in one run. `cargo bench -p nostro-bench --bench operations` prints five tables:
//!
//! 1. the mixes of the load generator through a whole engine, durable, signatures trusted;
//! 2. an order book with a million orders that wait: the exchange mix through the engine, inside execution, and order by order;
//! 3. the same with five thousand, which the processor's caches hold;
//! 4. eight markets inside execution: one by one, and by shards on more and more threads;
//! 5. each operation alone inside execution, as it usually is and at its worst, beside a transfer in nanoseconds.
//!
//! No criterion here: a ledger can be run through but once, so that a sample is a fresh ledger, and what counts is the ratio to the first
//! line. A word behind `--` picks one table: `mixes`, `book`, `few`, `markets`, `alone`; another behind
//! `alone` the operations whose names have it.

#![allow(clippy::print_stdout, reason = "it prints tables")]
#![allow(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "ratios for people")]

mod alone;
mod book;
mod people;

use nostro::{Engine, EngineConfig, TransactionRef};
use nostro_bench::{Failure, TemporaryDirectory};
use nostro_loadgen::{Mix, UnsignedLoad, unsigned_load};
use std::time::Instant;

/// What a load has come to.
struct Ran {
    seconds: f64,
    transactions: usize,
    operations: usize,
    rejected: usize,
    /// Of the execute thread, per transaction.
    execute_ns: u64,
}

impl Ran {
    fn per_second(&self) -> f64 {
        self.transactions as f64 / self.seconds
    }
}

/// Runs of so many transactions, back to back.
fn batches(bytes: &[u8], count: usize) -> Result<Vec<&[u8]>, Failure> {
    let mut batches = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut after = rest;
        for _ in 0..count {
            if after.is_empty() {
                break;
            }
            (_, after) = TransactionRef::decode_prefix(after)?;
        }
        let (batch, left) = rest.split_at(rest.len() - after.len());
        batches.push(batch);
        rest = left;
    }
    Ok(batches)
}

/// Transactions and operations.
fn count(bytes: &[u8]) -> Result<(usize, usize), Failure> {
    let (mut transactions, mut operations) = (0, 0);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (transaction, after) = TransactionRef::decode_prefix(rest)?;
        transactions += 1;
        operations += usize::from(transaction.operation_count());
        rest = after;
    }
    Ok((transactions, operations))
}

/// Runs a load through a whole engine until its last transaction is durable.
fn run(load: &UnsignedLoad) -> Result<Ran, Failure> {
    let directory = TemporaryDirectory::new("operations");
    let bytes = (load.setup.len() + load.load.len()) as u64;
    let config =
        EngineConfig { trust_signatures: true, log_reserve_bytes: bytes + bytes / 4, ..EngineConfig::default() };
    let engine = Engine::open(directory.path(), config)?;
    let submitter = engine.submitter().waiting();
    let submitter = load.time.map_or(submitter.clone(), |time| submitter.at(time));
    for batch in batches(&load.setup, 64)? {
        let receipts = submitter.submit_encoded(batch)?.wait()?;
        assert_eq!(receipts.applied(), receipts.len(), "the setup is applied");
    }
    let (transactions, operations) = count(&load.load)?;
    let batches = batches(&load.load, 1_024)?;
    let before = engine.stats().stage(nostro::Stage::Execute).cpu_ns;
    let start = Instant::now();
    let tickets: Vec<_> = batches.iter().map(|batch| submitter.submit_encoded(batch)).collect::<Result<_, _>>()?;
    let mut rejected = 0;
    for ticket in tickets {
        rejected += ticket.wait()?.rejected();
    }
    let seconds = start.elapsed().as_secs_f64();
    let execute_ns = (engine.stats().stage(nostro::Stage::Execute).cpu_ns - before) / transactions.max(1) as u64;
    engine.close()?;
    Ok(Ran { seconds, transactions, operations, rejected, execute_ns })
}

fn mixes(is_test: bool) -> Result<(), Failure> {
    let (accounts, transactions) = if is_test { (100, 500) } else { (100_000, 1_000_000) };
    println!("Mixes of {accounts} accounts, through the engine, durable");
    println!(
        "{:<16} {:>10} {:>10} {:>9} {:>9} {:>9} {:>12}",
        "mix", "k tx/s", "k op/s", "tx/plain", "op/plain", "rejected", "execute ns"
    );
    let mut plain = None;
    // Plain transfers again at the end: what the machine has done meanwhile shows between the two.
    for mix in Mix::ALL.into_iter().chain([Mix::Payments]) {
        let transactions = if mix == Mix::Disburse { transactions / 50 } else { transactions };
        let ran = run(&unsigned_load(mix, accounts, transactions, 1)?)?;
        let operations = ran.operations as f64 / ran.seconds;
        let plain = *plain.get_or_insert(ran.per_second());
        println!(
            "{:<16} {:>10.0} {:>10.0} {:>9.2} {:>9.2} {:>9} {:>12}",
            mix.name(),
            ran.per_second() / 1e3,
            operations / 1e3,
            ran.per_second() / plain,
            operations / plain,
            ran.rejected,
            ran.execute_ns
        );
    }
    Ok(())
}

/// Prints a table; a small one if it is only to be seen that it can.
type Table = fn(bool) -> Result<(), Failure>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let tables: [(&str, Table); 5] = [
        ("mixes", mixes),
        ("book", book::print),
        ("few", book::print_few),
        ("markets", book::print_markets),
        ("alone", alone::print),
    ];
    let picked = tables.iter().any(|(name, _)| arguments.iter().any(|argument| argument == name));
    for (name, table) in tables {
        if !picked || arguments.iter().any(|argument| argument == name) {
            table(is_test)?;
            println!();
        }
    }
    Ok(())
}
