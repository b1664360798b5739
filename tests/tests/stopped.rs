//! P8, a stopped engine says so: after a write that fails it takes nothing more, names the cause, and still answers reads of what
//! is durable. The disk that is full is made of a limit on the length of files, and is a small file system where one can be mounted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Height, StopError, SubmitError};
use nostro_tests::directory::Directory;
use nostro_tests::disk::SmallDisk;
use nostro_tests::stream::{Follower, order};
use nostro_tests::world::{open, trusting};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn a_full_disk_stops_the_engine_with_its_cause_and_loses_nothing_acknowledged() {
    // In the middle of a segment; and just so large that only making the next segment fails.
    for (limit, file) in
        [(100 << 10, "segment-00000001.log"), (300 << 10, "segment-00000001.log"), ((1 << 20) - 1, "pool-")]
    {
        let directory = Directory::in_memory();
        // A process may ignore the signal for files that grow too long, and its children inherit that.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_settler"), "fill"]);
        let output = command.arg(directory.path()).arg(limit.to_string()).output().unwrap();
        let told = told(&output, &format!("limit {limit}"));
        let cause = &told["stopped"];
        assert!(cause.contains("File too large") && cause.contains(file) && cause.contains("offset"), "{cause}");
        nothing_is_lost(directory.path(), &output);
    }
}

#[test]
fn a_file_system_without_space_stops_the_engine_and_when_there_is_some_it_goes_on() {
    let disk = match SmallDisk::mount("full", 24 << 20) {
        Ok(disk) => disk,
        Err(reason) => {
            println!("skipped: no file system can be mounted here: {reason}");
            return;
        }
    };
    // What will make room again.
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let directory = disk.path().join("ledger");
    let mut settler = Command::new(env!("CARGO_BIN_EXE_settler"));
    let output = settler.arg("fill").arg(&directory).arg("0").output().unwrap();
    let told = told(&output, "a full file system");
    let cause = &told["stopped"];
    assert!(cause.contains("No space left on device") || cause.contains("no storage space"), "{cause}");
    assert!(cause.contains(directory.to_str().unwrap()), "{cause}");
    // Whoever only reads needs no room.
    let acknowledged = acknowledged(&output).len() as u64;
    let audit = nostro::audit_ledger(&directory, false, &mut |_, _| ()).unwrap();
    assert!(audit.summary.transactions >= acknowledged);
    std::fs::remove_file(&ballast).unwrap();
    nothing_is_lost(&directory, &output);
}

/// What the settler said of the engine, by what it was of.
fn told(output: &Output, of: &str) -> BTreeMap<String, String> {
    assert!(output.status.success(), "{of}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let lines = said.lines().filter_map(|line| line.split_once(": "));
    let told: BTreeMap<String, String> = lines.map(|(what, text)| (what.to_owned(), text.to_owned())).collect();
    let cause = &told["stopped"];
    assert_eq!(told["closed"], *cause);
    assert_eq!(told["refused"], format!("902 stopped: {cause}"));
    assert_eq!(told["again"], told["refused"]);
    told
}

/// The receipts that went out.
fn acknowledged(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stdout);
    said.split_inclusive('\n').filter(|line| !line.contains(": ")).map(str::to_owned).collect()
}

/// Opens the ledger again: every receipt holds, what the stopped engine showed is a prefix of what is found, and it goes on.
fn nothing_is_lost(directory: &Path, output: &Output) {
    let told = told(output, "the same");
    let cause = &told["stopped"];
    assert!(cause.contains(directory.to_str().unwrap()), "{cause}");
    let engine = open(directory, trusting());
    let mut follower = Follower::default();
    engine.blocks_from(Height(1)).for_each(|block| follower.follow(&block.unwrap()));
    let acknowledged = acknowledged(output);
    assert!(acknowledged.len() > 100, "{} were acknowledged", acknowledged.len());
    assert_eq!(acknowledged, follower.lines[..acknowledged.len()]);
    let snapshot: Vec<&str> = told["snapshot"].split(' ').collect();
    let mut shown = Follower::default();
    let height = Height(snapshot[0].parse().unwrap());
    engine.blocks_from(Height(1)).take(usize::try_from(height.0).unwrap()).for_each(|block| {
        shown.follow(&block.unwrap());
    });
    assert_eq!(snapshot[1], shown.lines.len().to_string());
    assert_eq!(snapshot[2], shown.digest().to_string());
    assert!(shown.lines.len() >= acknowledged.len(), "the snapshot holds everything there was a receipt for");
    assert_eq!(told["durable"], format!("{height} {height}"));
    let next = order(follower.lines.len() as u64);
    assert!(engine.submit(&next).unwrap().wait().is_ok());
    engine.close().unwrap();
}

#[test]
fn a_closed_engine_tells_its_submitters() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let (plain, waiting) = (engine.submitter(), engine.submitter().waiting());
    let ticket = plain.submit(&order(0)).unwrap();
    engine.close().unwrap();
    assert!(ticket.wait().unwrap().outcome.is_applied(), "what was admitted is made durable by the close");
    for submitter in [plain, waiting] {
        assert_eq!(submitter.submit(&order(1)).unwrap_err(), SubmitError::Stopped(StopError::Closed));
    }
    let engine = open(directory.path(), trusting());
    assert_eq!(engine.snapshot().unwrap().transaction_count(), 1);
    assert_eq!(engine.stopped(), None);
}

#[test]
fn dropping_an_engine_closes_it() {
    let directory = Directory::in_memory();
    for n in 0..5 {
        let engine = open(directory.path(), trusting());
        assert!(engine.submit(&order(n)).unwrap().wait().is_ok());
        drop(engine);
    }
    assert_eq!(nostro::audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap().summary.transactions, 5);
}
