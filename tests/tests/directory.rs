//! P5 and P6 for a ledger's directory: what somebody has put, copied, renamed or left there is refused by name, or left alone; and a
//! clock that was set back between two runs changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Engine, EngineConfig, Height, Time, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::stream::{Follower, closed, order};
use nostro_tests::world::{open, trusting};
use std::fs;
use std::path::Path;

/// Why neither an opening nor an audit takes a directory: both name the file, and nothing is changed.
fn refused(directory: &Path, name: &str) {
    let read = |name: &str| fs::read(directory.join(name)).ok();
    let before: Vec<_> = (1..=4).map(|n| read(&format!("segment-0000000{n}.log"))).collect();
    let opened = Engine::open(directory, trusting()).expect_err(name).to_string();
    let audited = audit_ledger(directory, false, &mut |_, _| ()).expect_err(name).to_string();
    for error in [opened, audited] {
        assert!(error.contains(name), "{name}: {error}");
    }
    let after: Vec<_> = (1..=4).map(|n| read(&format!("segment-0000000{n}.log"))).collect();
    assert!(before == after, "{name}: refused, and changed");
}

fn transactions(directory: &Path) -> u64 {
    let engine = open(directory, trusting());
    let count = engine.snapshot().unwrap().transaction_count();
    engine.close().unwrap();
    count
}

#[test]
fn a_segment_that_is_there_twice_is_refused_by_the_name_of_the_copy() {
    for (from, to) in [(1, 4), (2, 4), (3, 4), (1, 2), (2, 3), (3, 2), (2, 1), (3, 1)] {
        let directory = closed();
        let name = |n: u32| format!("segment-{n:08}.log");
        fs::copy(directory.path().join(name(from)), directory.path().join(name(to))).unwrap();
        refused(directory.path(), &name(to));
    }
}

#[test]
fn files_of_others_are_neither_read_nor_touched() {
    let directory = closed();
    let segment = fs::read(directory.path().join("segment-00000002.log")).unwrap();
    let foreign = [
        "notes.txt",
        "segment-2.log",
        "segment-0000002.log",
        "segment-00000002.log.bak",
        "segment-00000002.LOG",
        "segment-+0000002.log",
        "segment-99999999999999999999.log",
        "segment-.log",
        "ledger",
        "LEDGER.bak",
    ];
    for name in foreign {
        fs::write(directory.path().join(name), &segment).unwrap();
    }
    fs::create_dir(directory.path().join("directory")).unwrap();
    assert_eq!(transactions(directory.path()), 600);
    assert_eq!(transactions(directory.path()), 600);
    assert_eq!(audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap().summary.transactions, 600);
    for name in foreign {
        assert_eq!(fs::read(directory.path().join(name)).unwrap(), segment, "{name}");
    }
    fs::remove_dir(directory.path().join("directory")).unwrap();
}

#[test]
fn a_directory_in_the_place_of_a_file_is_told() {
    for name in ["LEDGER", "segment-00000001.log", "segment-00000003.log", "segment-00000004.log"] {
        let directory = closed();
        let path = directory.path().join(name);
        // The fourth is only now made.
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        refused(directory.path(), name);
    }
    let directory = closed();
    let _ = fs::remove_file(directory.path().join("LOCK"));
    fs::create_dir(directory.path().join("LOCK")).unwrap();
    let error = Engine::open(directory.path(), trusting()).unwrap_err().to_string();
    assert!(error.contains("LOCK"), "{error}");
}

#[test]
fn what_a_creation_left_behind_hinders_no_second_one() {
    let directory = Directory::in_memory();
    fs::create_dir(directory.path()).unwrap();
    for (name, bytes) in [("LEDGER.tmp", 50), ("pool-00000001.tmp", 5000), ("pool-00000007.tmp", 1 << 20)] {
        fs::write(directory.path().join(name), vec![0xAA; bytes]).unwrap();
    }
    let engine = open(directory.path(), trusting());
    assert!(engine.submit(&order(0)).unwrap().wait().unwrap().outcome.is_applied());
    engine.close().unwrap();
    assert_eq!(transactions(directory.path()), 1);
}

/// A file of the reserve is looked at before it becomes a segment: rot in it harms nobody.
#[test]
fn a_reserve_that_is_not_blank_any_more_harms_nobody() {
    let directory = Directory::in_memory();
    let config = EngineConfig { block_transactions_max: 1, log_reserve_bytes: 2 << 20, ..trusting() };
    open(directory.path(), config.clone()).close().unwrap();
    let pools: Vec<_> =
        directory.files().into_iter().filter(|(path, _)| path.extension().unwrap_or_default() == "tmp").collect();
    assert!(!pools.is_empty());
    for (n, (path, bytes)) in pools.iter().enumerate() {
        let mut bytes = bytes.clone();
        bytes[[4096, 0, 1 << 19][n % 3]] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let engine = open(directory.path(), config);
    let orders: Vec<_> = (0..600).map(order).collect();
    let _ = engine.submit_batch(&orders).unwrap().wait().unwrap();
    engine.close().unwrap();
    assert!(directory.path().join("segment-00000003.log").exists());
    assert_eq!(transactions(directory.path()), 600);
}

#[test]
fn a_clock_set_back_between_runs_changes_nothing_and_time_stands_still() {
    let directory = Directory::in_memory();
    // The first run's clock is far ahead, the second's is the machine's, the third's at the beginning of time.
    let far = Time(4_000_000_000_000);
    let mut times = Vec::new();
    for (n, asked) in [Some(far), None, Some(Time(0)), Some(Time(far.0 + 1))].into_iter().enumerate() {
        let engine = open(directory.path(), trusting());
        let submitter = asked.map_or_else(|| engine.submitter(), |time| engine.submitter().at(time));
        let receipt = submitter.submit(&order(n as u64)).unwrap().wait().unwrap();
        times.push(receipt.time);
        engine.close().unwrap();
    }
    assert_eq!(times, [far, far, far, Time(far.0 + 1)]);
    let engine = open(directory.path(), trusting());
    let mut follower = Follower::default();
    engine.blocks_from(Height(1)).for_each(|block| follower.follow(&block.unwrap()));
    assert_eq!(follower.lines.len(), 4);
    assert_eq!(engine.snapshot().unwrap().digest(), follower.digest());
}
