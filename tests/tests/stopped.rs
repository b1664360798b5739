//! P8, a stopped engine says so: after a write that fails it takes nothing more, names the cause, and still answers reads of what
//! is durable. The disk that is full is made of a limit on the length of files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Height, StopError, SubmitError};
use nostro_tests::directory::Directory;
use nostro_tests::stream::{Follower, order};
use nostro_tests::world::{open, trusting};
use std::collections::BTreeMap;
use std::process::Command;

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
        let said = String::from_utf8(output.stdout).unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "limit {limit}: {complaints}");
        let told: BTreeMap<&str, &str> = said.lines().filter_map(|line| line.split_once(": ")).collect();
        let cause = told["stopped"];
        assert!(cause.contains("File too large") && cause.contains(file) && cause.contains("offset"), "{cause}");
        assert!(cause.contains(directory.path().to_str().unwrap()), "{cause}");
        assert_eq!(told["closed"], cause);
        assert_eq!(told["refused"], format!("902 stopped: {cause}"));
        assert_eq!(told["again"], told["refused"]);

        let engine = open(directory.path(), trusting());
        let mut follower = Follower::default();
        engine.blocks_from(Height(1)).for_each(|block| follower.follow(&block.unwrap()));
        let acknowledged: Vec<&str> = said.split_inclusive('\n').filter(|line| !line.contains(": ")).collect();
        assert!(acknowledged.len() > 100, "{} were acknowledged", acknowledged.len());
        assert_eq!(acknowledged, follower.lines[..acknowledged.len()]);
        // What the stopped engine showed is a prefix of what is found.
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
        // And when the disk has room again, it goes on.
        let next = order(follower.lines.len() as u64);
        assert!(engine.submit(&next).unwrap().wait().is_ok());
        engine.close().unwrap();
    }
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
