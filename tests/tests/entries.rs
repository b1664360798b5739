//! The table of entries in checkpoints, roots and proofs: a ledger that has some is the same after any way of opening it again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Address, AssetId, Engine, EngineConfig, Height, ProveError, RejectionCode, Snapshot, Transaction};
use nostro_tests::compare::{Observed, observe, on_model};
use nostro_tests::directory::Directory;
use nostro_tests::program::Program;
use nostro_tests::world::{address, open, trusting};
use std::collections::BTreeSet;

fn submit(engine: &Engine, steps: &[nostro_tests::program::Step]) {
    for same_time in steps.chunk_by(|one, other| one.time == other.time) {
        let batch: Vec<Transaction> = same_time.iter().map(|step| step.transaction.clone()).collect();
        let _ = engine.submitter().at(same_time[0].time).submit_batch(&batch).unwrap().wait().unwrap();
    }
}

/// Everything that can be asked of a state by name.
fn answers(snapshot: &Snapshot) -> Vec<String> {
    let mut said: Vec<String> = snapshot.records().map(|record| format!("{record:?}")).collect();
    for record in snapshot.records() {
        let found = snapshot.record(&record.owner, record.kind, &record.key, record.subject.as_ref());
        assert_eq!(found, Some(record));
    }
    for (id, _) in snapshot.assets() {
        said.push(format!("{:?}", snapshot.asset_terms(id)));
        said.extend((0..9).map(|n| format!("{:?}", snapshot.holder_state(id, &address(n)))));
    }
    said
}

#[test]
fn a_ledger_with_entries_goes_on_from_a_checkpoint_as_if_it_had_never_stopped() {
    let mut entries = 0;
    for seed in 70_000..70_060 {
        let program = Program::random(seed, false);
        let model = on_model(&program, None);
        let directory = Directory::in_memory();
        let middle = program.steps.len() / 2;
        let mut engine = open(directory.path(), trusting());
        submit(&engine, &program.steps[..middle]);
        engine.checkpoint().unwrap();
        let before = engine.snapshot().unwrap();
        engine.close().unwrap();
        engine = open(directory.path(), trusting());
        let after = engine.snapshot().unwrap();
        assert_eq!((after.digest(), answers(&after)), (before.digest(), answers(&before)), "seed {seed}");
        entries += after.entry_count();
        submit(&engine, &program.steps[middle..]);
        let after = engine.snapshot().unwrap();
        let seen = Observed { events: model.events.clone(), ..observe(model.outcomes.clone(), &after) };
        assert_eq!(seen, model, "seed {seed}");
        assert!(engine.warnings().is_empty());
        engine.close().unwrap();
    }
    assert!(entries > 40, "{entries} entries in all checkpoints");
}

#[test]
fn a_balance_is_proved_in_a_ledger_with_entries() {
    let directory = Directory::in_memory();
    let config = EngineConfig { block_transactions_max: 1, balance_proofs: true, ..trusting() };
    let engine = open(directory.path(), config);
    let mut proved = 0;
    for seed in 70_000.. {
        submit(&engine, &Program::random(seed, false).steps);
        if engine.durable_height() > Height(700) && engine.snapshot().unwrap().entry_count() > 3 {
            break;
        }
    }
    let holders: Vec<Address> = (0..9).map(address).collect();
    for account in &holders {
        let (height, proof) = match engine.prove_balance(account) {
            Ok(proved) => proved,
            Err(ProveError::NoAccount { .. }) => continue,
            Err(other) => panic!("{other}"),
        };
        let header = *engine.blocks_from(height).next().unwrap().unwrap().header();
        let again = nostro::BalanceProof::decode(&proof.encode()).unwrap();
        assert_eq!(again, proof);
        let holding = proof.verify(&header, account, AssetId(0)).unwrap();
        assert_eq!(again.verify(&header, account, AssetId(0)), Ok(holding));
        let mut bytes = proof.encode();
        assert_eq!(bytes[2], 1, "the proof has the entries' part");
        bytes[50] ^= 1;
        let forged =
            nostro::BalanceProof::decode(&bytes).and_then(|forged| forged.verify(&header, account, AssetId(0)));
        assert!(forged.is_err());
        proved += 1;
    }
    assert!(proved > 3);
    engine.close().unwrap();
}

/// Random programs are worth what they reach.
#[test]
fn random_programs_reach_the_codes_there_are() {
    let mut reached = BTreeSet::new();
    for seed in 0..4_800 {
        let model = on_model(&Program::random(seed, false), None);
        reached.extend(model.outcomes.iter().filter_map(|(_, outcome)| match outcome {
            nostro::Outcome::Rejected(rejection) => Some(rejection.code),
            nostro::Outcome::Applied => None,
        }));
    }
    // What takes billions of accounts, assets or entries; `operations_codes.rs` says where they are met.
    let unreachable = [RejectionCode::TooManyAssets, RejectionCode::TooManyAccounts, RejectionCode::TooManyEntries];
    let missed: Vec<_> =
        RejectionCode::ALL.iter().filter(|code| !reached.contains(code) && !unreachable.contains(code)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
