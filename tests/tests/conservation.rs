//! P4, conservation: for every asset the sum over all holders equals what was issued, in every state that can be seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Snapshot, Transaction};
use nostro_tests::directory::Directory;
use nostro_tests::program::Program;
use nostro_tests::world::{open, trusting};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Adds up every asset and compares; gives how much is issued of all together, so that a test can tell that there was something.
fn assert_conserved(snapshot: &Snapshot, when: &str) -> u128 {
    let mut sums: BTreeMap<_, u128> = BTreeMap::new();
    for (account, holdings) in snapshot.accounts() {
        for holding in holdings {
            let sum = sums.entry(holding.asset).or_default();
            let held = holding.available.plus(holding.held).expect("holdings add up below the maximum supply");
            *sum = sum.checked_add(held.0).unwrap_or_else(|| panic!("{when}: {} overflows", holding.asset));
            let asset = snapshot.asset(holding.asset).expect("only registered assets are held");
            assert_ne!(asset.issuer, account, "{when}: the issuer holds its own asset {}", holding.asset);
        }
    }
    let mut all = 0_u128;
    for (id, asset) in snapshot.assets() {
        let held = sums.remove(&id).unwrap_or(0);
        assert_eq!(asset.issued.0, held, "{when}, height {}: asset {id}", snapshot.height());
        assert!(asset.issued <= asset.maximum_supply, "{when}: asset {id} passes its maximum supply");
        all = all.saturating_add(held);
    }
    assert!(sums.is_empty(), "{when}: {sums:?} is held and not registered");
    all
}

#[test]
fn after_every_piece_of_random_programs_and_after_reopening() {
    let mut something = 0;
    for seed in 5_000..5_040 {
        let program = Program::random(seed, false);
        let directory = Directory::in_memory();
        let engine = open(directory.path(), trusting());
        for (piece, steps) in program.steps.chunks(10).enumerate() {
            let batch: Vec<Transaction> = steps.iter().map(|step| step.transaction.clone()).collect();
            let _ = engine.submitter().at(steps[0].time).submit_batch(&batch).unwrap().wait().unwrap();
            let issued = assert_conserved(&engine.snapshot().unwrap(), &format!("seed {seed}, piece {piece}"));
            something += usize::from(issued > 0);
        }
        let before = engine.snapshot().unwrap();
        engine.close().unwrap();
        let engine = open(directory.path(), trusting());
        let after = engine.snapshot().unwrap();
        assert_conserved(&after, &format!("seed {seed}, reopened"));
        assert_eq!(after.digest(), before.digest(), "seed {seed}");
    }
    assert!(something > 200, "money was there in {something} states only");
}

#[test]
fn in_every_snapshot_while_traffic_goes_on() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let running = AtomicBool::new(true);
    let (states, heights) = std::thread::scope(|scope| {
        let look = scope.spawn(|| {
            let (mut states, mut heights) = (0, std::collections::BTreeSet::new());
            while running.load(Ordering::Relaxed) {
                let snapshot = engine.snapshot().unwrap();
                states += usize::from(assert_conserved(&snapshot, "under way") > 0);
                assert!(engine.durable_height() >= snapshot.height(), "a snapshot is durable");
                heights.insert(snapshot.height());
            }
            (states, heights.len())
        });
        let pay = |first: u64| {
            let engine = &engine;
            scope.spawn(move || {
                for seed in first..first + 30 {
                    let program = Program::random(seed, false);
                    for steps in program.steps.chunks(25) {
                        let batch: Vec<Transaction> = steps.iter().map(|step| step.transaction.clone()).collect();
                        let _ = engine.submitter().waiting().submit_batch(&batch).unwrap().wait().unwrap();
                    }
                }
            })
        };
        let payers: Vec<_> = [10_000, 20_000, 30_000].into_iter().map(pay).collect();
        payers.into_iter().for_each(|payer| payer.join().unwrap());
        running.store(false, Ordering::Relaxed);
        look.join().unwrap()
    });
    assert!(states > 10 && heights > 5, "{states} states with money at {heights} heights were seen");
    assert_conserved(&engine.snapshot().unwrap(), "at the end");
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let submit = |seed| {
        let batch: Vec<_> = Program::random(seed, false).steps.into_iter().map(|step| step.transaction).collect();
        let _ = engine.submit_batch(&batch).unwrap().wait().unwrap();
    };
    submit(1);
    let snapshot = engine.snapshot().unwrap();
    let before = (snapshot.digest(), snapshot.height(), snapshot.accounts().collect::<Vec<_>>());
    (2..20).for_each(submit);
    assert_ne!(engine.snapshot().unwrap().digest(), before.0, "the engine went on");
    assert_eq!((snapshot.digest(), snapshot.height(), snapshot.accounts().collect::<Vec<_>>()), before);
    assert_conserved(&snapshot, "kept");
}
