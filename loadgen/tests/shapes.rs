//! Imported data sets lead to one digest, that of the model, whatever the threads, the shards, the sizes of the blocks and the restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, fixture, result, sample, succeed};
use nostro::{Engine, EngineConfig, ExecutionShape, Height, Outcome, Time, Transaction};
use nostro_tests::compare::on_model;
use nostro_tests::directory::Directory;
use nostro_tests::program::{Program, Step};
use nostro_tests::sharded::{Run, execute};
use std::path::Path;

const THREADS: [usize; 5] = [1, 2, 3, 4, 8];
const SHARDS: [u32; 4] = [1, 2, 7, 64];
const BLOCK_SIZES: [usize; 4] = [1, 2, 100, 16_384];

/// An engine that looks at no signatures; the digest of a state doesn't depend on the ledger's name.
fn config(ledger: &str) -> EngineConfig {
    EngineConfig {
        ledger: ledger.to_owned(),
        threads: 1,
        trust_signatures: true,
        segment_bytes: 16 << 20,
        log_reserve_bytes: 0,
        ..EngineConfig::default()
    }
}

/// Imports a data set and replays it; gives its transactions with the times of their blocks, and the digest reached.
fn imported(format: &str, file: &str, more: &[&str]) -> (Program, String) {
    let place = Place::new();
    let (load, ledger) = (place.path("load"), place.path("ledger"));
    succeed(&[&["import", "--format", format, file, "--out", &load], more].concat());
    let replayed = result(&place, &["replay", &load, "--dir", &ledger]);
    let name = nostro::ledger_name(Path::new(&ledger)).unwrap();
    let engine = Engine::open(Path::new(&ledger), config(&name)).unwrap();
    let mut steps = Vec::new();
    for block in engine.blocks_from(Height(1)) {
        let block = block.unwrap();
        let time = block.header().time;
        let own = block.view().unwrap();
        let own = own.transactions().map(|(order, _)| order.to_owned());
        steps.extend(own.map(|transaction| Step { time, transaction }));
    }
    engine.close().unwrap();
    (Program { steps }, replayed["final_digest"].as_str().unwrap().to_owned())
}

/// What an engine of this shape makes of a program, opened again in its middle.
fn on_engine(
    program: &Program,
    execute_threads: usize,
    block_transactions_max: usize,
) -> (Vec<(Time, Outcome)>, String) {
    let directory = Directory::in_memory();
    let config = EngineConfig { execute_threads, block_transactions_max, ..config("shapes") };
    let mut seen = Vec::new();
    let (before, after) = program.steps.split_at(program.steps.len() / 2);
    let mut digest = String::new();
    for part in [before, after] {
        let engine = Engine::open(directory.path(), config.clone()).unwrap();
        for steps in part.chunk_by(|one, other| one.time == other.time) {
            let batch: Vec<Transaction> = steps.iter().map(|step| step.transaction.clone()).collect();
            let tickets = engine.submitter().waiting().at(steps[0].time).submit_batch(&batch).unwrap();
            let receipts = tickets.wait().unwrap();
            seen.extend(receipts.iter().map(|receipt| receipt.unwrap()).map(|receipt| (receipt.time, receipt.outcome)));
        }
        digest = engine.snapshot().unwrap().digest().to_string();
        engine.close().unwrap();
    }
    (seen, digest)
}

fn check(format: &str, file: &str, more: &[&str]) {
    let (program, digest) = imported(format, file, more);
    assert!(program.steps.len() > 3, "{file}");
    let model = on_model(&program, None);
    assert_eq!(model.digest.to_string(), digest, "{file}: the model's and that of the replay");
    let outcomes: Vec<Outcome> = model.outcomes.iter().map(|&(_, outcome)| outcome).collect();
    for block_transactions_max in BLOCK_SIZES {
        let serial = Run { shape: ExecutionShape::SERIAL, ..Run::new(1, 0, block_transactions_max) };
        let serial = execute(&program, serial);
        assert_eq!((&serial.outcomes, serial.digest), (&outcomes, model.digest), "{file}, one by one");
        for threads in THREADS {
            for shards in SHARDS {
                let seen = execute(&program, Run::new(shards, threads, block_transactions_max));
                assert_eq!(
                    seen, serial,
                    "{file}: {shards} shards, {threads} threads, {block_transactions_max} a block"
                );
            }
            let (seen, reached) = on_engine(&program, threads, block_transactions_max);
            assert_eq!(seen, model.outcomes, "{file}: {threads} threads, {block_transactions_max} a block, restarted");
            assert_eq!(reached, digest, "{file}: {threads} threads, {block_transactions_max} a block, restarted");
        }
    }
}

#[test]
fn the_ethereum_sample_in_every_shape() {
    let Some(file) = sample("ethereum/transactions.csv") else { return };
    check("ethereum-etl", &file, &[]);
}

#[test]
fn the_stellar_sample_in_every_shape() {
    let Some(file) = sample("stellar/token_transfers.jsonl") else { return };
    check("stellar-transfers", &file, &[]);
}

#[test]
fn small_data_sets_of_every_format_in_every_shape() {
    check("ethereum-etl", &fixture("ethereum.csv"), &[]);
    check("stellar-transfers", &fixture("transfers.jsonl"), &[]);
    check("csv", &fixture("payments.csv"), &["--map", "from=payer,to=payee,asset=currency,amount=sum,time=when"]);
    check("berka", &fixture("berka.asc"), &[]);
    check("lobster", &fixture("ABCD_2012-06-21_34200000_57600000_message_3.csv"), &[]);
}
