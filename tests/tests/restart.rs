//! P3, acknowledged means durable: a process is killed at random moments while its acknowledgements go out on a pipe, and all of
//! them hold. And what an engine says of a directory that it can't open.
//!
//! `NOSTRO_KILL_SECONDS=600 cargo test -p nostro-tests --test restart` goes on killing for longer. Killing alone can't find a missing
//! sync, since the system keeps what was written; the simulated disk of the engine's own tests does that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Amount, AssetId, Engine, EngineConfig, Height, Transaction, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::random::Random;
use nostro_tests::stream::{Follower, closed, order};
use nostro_tests::world::{named, open, trusting, unsigned};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn settler(what: &str, directory: &Path, number: u64) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_settler"));
    command.arg(what).arg(directory).arg(number.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Reads the receipts that came out whole, and waits for the end of the process.
fn receipts(mut child: Child) -> Vec<String> {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    said.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
}

/// Every receipt stands where it said, in the lines of all that is in the ledger.
fn assert_kept(receipts: &[String], lines: &[String]) {
    for receipt in receipts {
        let n: usize = receipt.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(lines.get(n), Some(receipt), "transaction {n} was acknowledged");
    }
}

fn follow(engine: &Engine, follower: &mut Follower) {
    let known = follower.hashes.len() as u64;
    for block in engine.blocks_from(Height(1)) {
        let block = block.unwrap();
        let height = block.header().height;
        match height.0.checked_sub(1).filter(|&place| place < known) {
            Some(place) => {
                assert_eq!(block.hash(), follower.hashes[usize::try_from(place).unwrap()], "block {height} is another");
            }
            None => follower.follow(&block),
        }
    }
    assert!(engine.durable_height().0 >= known, "what was there before is there");
}

#[expect(clippy::disallowed_methods, reason = "how long to try isn't part of any result")]
fn seconds(default: u64) -> Duration {
    let text = std::env::var("NOSTRO_KILL_SECONDS").ok();
    Duration::from_secs(text.map_or(default, |text| text.parse().expect("NOSTRO_KILL_SECONDS is a number")))
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_and_nothing_is_there_twice() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let end = Instant::now() + seconds(5);
    let (mut kills, mut acknowledged) = (0, 0);
    while kills < 8 || Instant::now() < end {
        // A kill loses nothing that was written, so that memory will do; a disk makes the engine wait at other places.
        let directory = if random.chance(30) { Directory::on_disk() } else { Directory::in_memory() };
        let mut follower = Follower::default();
        for _ in 0..5 {
            if kills >= 8 && Instant::now() > end {
                break;
            }
            let mut child = settler("pay", directory.path(), random.bits() >> 1);
            let out = child.stdout.take().unwrap();
            let reader = std::thread::spawn(move || {
                let mut said = String::new();
                BufReader::new(out).read_to_string(&mut said).unwrap();
                said
            });
            // While it starts, creates and recovers too.
            std::thread::sleep(Duration::from_millis(random.below(70)));
            child.kill().unwrap();
            let status = child.wait().unwrap();
            let mut complaints = String::new();
            child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
            assert_eq!(status.code(), None, "it ended by itself: {complaints}");
            let said = reader.join().unwrap();
            let receipts: Vec<String> =
                said.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect();
            kills += 1;
            acknowledged += receipts.len();
            if !directory.path().join("LEDGER").exists() {
                assert!(receipts.is_empty());
                continue;
            }
            let audit = audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
            // Sometimes the next process recovers, sometimes this one.
            if random.chance(30) {
                assert_kept_by_look(directory.path(), &receipts);
                continue;
            }
            let engine = open(directory.path(), trusting());
            follow(&engine, &mut follower);
            assert_kept(&receipts, &follower.lines);
            let snapshot = engine.snapshot().unwrap();
            assert_eq!(snapshot.digest(), follower.digest(), "the state is that of executing all again");
            assert_eq!((audit.state, audit.summary.height), (snapshot.digest(), snapshot.height()));
            engine.close().unwrap();
        }
    }
    println!("{kills} kills, {acknowledged} acknowledged");
    assert!(kills >= 8 && acknowledged > 100, "{kills} kills, {acknowledged} acknowledged");
}

/// The same without opening.
fn assert_kept_by_look(directory: &Path, receipts: &[String]) {
    let mut lines = Vec::new();
    nostro::read_ledger(directory, &mut |block| {
        for ((transaction, outcome), position) in block.transactions().zip(0..) {
            let n = lines.len() as u64;
            assert_eq!(transaction.bytes(), order(n).bytes());
            lines.push(nostro_tests::stream::line(n, block.header().height, position, &outcome));
        }
        Ok(())
    })
    .unwrap();
    assert_kept(receipts, &lines);
}

/// A ledger whose process died as soon as its last block was acknowledged, before it could say that it was at rest.
fn died(blocks: u64) -> (Directory, Vec<String>) {
    for _ in 0..50 {
        let directory = Directory::in_memory();
        let receipts = receipts(settler("die", directory.path(), blocks));
        assert_eq!(receipts.len() as u64, blocks * 100);
        if !nostro::read_ledger(directory.path(), &mut |_| Ok(())).unwrap().sealed {
            return (directory, receipts);
        }
    }
    panic!("the process is always at rest before it dies");
}

/// Where the last frame begins in the only segment: 100 transfers take five pages.
fn last_frame(segment: &[u8]) -> usize {
    segment.len() - segment.rchunks(4096).position(|page| page.starts_with(b"NFRM")).unwrap() * 4096 - 4096
}

#[test]
fn a_tail_torn_at_any_page_is_cut_and_the_ledger_goes_on() {
    let (directory, receipts) = died(5);
    let (_, segment) = directory.files().into_iter().find(|(path, _)| path.ends_with("segment-00000001.log")).unwrap();
    let start = last_frame(&segment);
    let pages = segment[start..].chunks(4096).take_while(|page| page.iter().any(|&byte| byte != 0)).count();
    assert!(pages > 3, "the last frame has {pages} pages");
    for page in 0..pages {
        let copy = directory.copy();
        let mut torn = segment.clone();
        torn[start + page * 4096..start + (page + 1) * 4096].fill(0);
        fs::write(copy.path().join("segment-00000001.log"), &torn).unwrap();

        let audit = audit_ledger(copy.path(), false, &mut |_, _| ()).unwrap();
        let told = audit.summary.torn.unwrap_or_default();
        assert_eq!(audit.summary.height, Height(4), "page {page}: {told}");
        assert!(told.contains("segment-00000001.log") && told.contains(&start.to_string()), "page {page}: {told}");
        let mut follower = Follower::default();
        let engine = open(copy.path(), trusting());
        follow(&engine, &mut follower);
        assert_kept(&receipts[..400], &follower.lines);
        assert_eq!(follower.lines.len(), 400);
        // What was cut can be submitted again.
        for n in 400..500 {
            let receipt = engine.submit(&order(n)).unwrap().wait().unwrap();
            let before = receipts[usize::try_from(n).unwrap()].rsplit(' ').next().unwrap();
            assert_eq!(before == "0\n", receipt.outcome.is_applied(), "{n}");
        }
        engine.close().unwrap();
        let engine = open(copy.path(), trusting());
        follow(&engine, &mut follower);
        assert_eq!((follower.lines.len(), engine.snapshot().unwrap().digest()), (500, follower.digest()));
    }
}

#[test]
fn a_hole_below_what_was_durable_is_refused() {
    let (directory, _) = died(5);
    let path = directory.path().join("segment-00000001.log");
    let segment = fs::read(&path).unwrap();
    let last = last_frame(&segment);
    let before = last_frame(&segment[..last]);
    let mut broken = segment.clone();
    broken[before + 4096..before + 8192].fill(0);
    fs::write(&path, &broken).unwrap();
    let error = Engine::open(directory.path(), trusting()).unwrap_err().to_string();
    for part in ["segment-00000001.log", &format!("offset {before}"), "height 4", "expected", "found"] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
    assert_eq!(fs::read(&path).unwrap(), broken, "nothing is repaired silently");
}

/// Why a directory doesn't open.
fn refusal(directory: &Path, config: EngineConfig) -> String {
    Engine::open(directory, config).unwrap_err().to_string()
}

#[test]
fn a_ledger_is_open_in_one_engine_at_a_time() {
    let directory = Directory::on_disk();
    let mut child = settler("hold", directory.path(), 0);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    let error = refusal(directory.path(), trusting());
    assert!(error.contains("open in another engine"), "{error}");
    assert!(error.contains(&child.id().to_string()), "{error} names the process");
    child.kill().unwrap();
    child.wait().unwrap();
    let engine = open(directory.path(), trusting());
    let error = refusal(directory.path(), trusting());
    assert!(error.contains("open in another engine"), "in one process too: {error}");
    drop(engine);
    open(directory.path(), trusting()).close().unwrap();
}

#[test]
fn another_ledgers_directory_is_refused_by_name() {
    let directory = closed();
    let error = refusal(directory.path(), EngineConfig { ledger: "another".to_owned(), ..trusting() });
    assert!(error.contains("expected the ledger") && error.contains("found"), "{error}");
    open(directory.path(), trusting()).close().unwrap();
}

#[test]
fn a_newer_format_is_refused_and_told() {
    for name in ["LEDGER", "segment-00000002.log"] {
        let directory = closed();
        let path = directory.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[4] = 2;
        fs::write(&path, bytes).unwrap();
        let error = refusal(directory.path(), trusting());
        for part in [name, "format 2", "reads up to format 1"] {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    for n in 1..=3 {
        let directory = closed();
        let name = format!("segment-0000000{n}.log");
        fs::remove_file(directory.path().join(&name)).unwrap();
        let error = refusal(directory.path(), trusting());
        assert!(error.contains(&name) && error.contains("missing"), "{error}");
    }
}

#[test]
fn a_segment_or_ledger_file_of_another_length_is_refused() {
    for name in ["segment-00000001.log", "segment-00000002.log", "segment-00000003.log", "LEDGER"] {
        let directory = closed();
        let path = directory.path().join(name);
        let bytes = fs::read(&path).unwrap();
        for length in [0, 1, 50, bytes.len() / 2, bytes.len() - 1, bytes.len() + 1] {
            let mut other = bytes.clone();
            other.resize(length, 0);
            fs::write(&path, other).unwrap();
            let error = refusal(directory.path(), trusting());
            assert!(error.contains(name) && error.contains("expected") && error.contains("found"), "{length}: {error}");
        }
        fs::write(&path, bytes).unwrap();
        open(directory.path(), trusting()).close().unwrap();
    }
}

#[test]
fn records_without_their_ledger_file_are_not_overwritten() {
    let directory = closed();
    fs::remove_file(directory.path().join("LEDGER")).unwrap();
    let error = refusal(directory.path(), trusting());
    assert!(error.contains("LEDGER") && error.contains("missing"), "{error}");
}

#[test]
fn a_file_in_the_place_of_the_directory_is_told() {
    let directory = Directory::in_memory();
    fs::write(directory.path(), "not a ledger").unwrap();
    let error = refusal(directory.path(), trusting());
    assert!(error.contains(directory.path().to_str().unwrap()), "{error}");
    assert_eq!(fs::read(directory.path()).unwrap(), b"not a ledger");
    fs::remove_file(directory.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let directory = closed();
    let permit = |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
    permit(0o555);
    let probe = fs::write(directory.path().join("probe"), "");
    if probe.is_ok() {
        // Root writes anywhere.
        println!("skipped: this user may write everywhere");
    } else {
        let name = directory.path().join("new");
        let error = refusal(&name, trusting());
        assert!(error.contains("can't be written"), "{error}");
    }
    permit(0o755);
}

#[test]
fn limits_out_of_range_and_bad_names_are_told_before_anything_is_made() {
    let directory = Directory::in_memory();
    let error = refusal(directory.path(), EngineConfig { block_transactions_max: 0, ..trusting() });
    assert!(error.contains("block_transactions_max: expected 1 to 1048576, found 0"), "{error}");
    for name in ["", "\u{e9}", "line\n", &"x".repeat(65)] {
        let error = refusal(directory.path(), EngineConfig { ledger: name.to_owned(), ..trusting() });
        assert!(error.contains("1 to 64 printable"), "{error}");
    }
    assert!(!directory.path().exists());
}

#[test]
fn a_ledger_of_small_segments_takes_the_default_limits() {
    let directory = Directory::in_memory();
    open(directory.path(), trusting()).close().unwrap();
    // Blocks of 4 MiB don't fit into its segments of 1 MiB.
    let limits =
        EngineConfig { ledger: trusting().ledger, trust_signatures: true, log_reserve_bytes: 0, ..Default::default() };
    let engine = open(directory.path(), limits);
    let large = |sequence| {
        let order = (0..256).fold(Transaction::builder(named('A')).sequence(sequence), |order, _| {
            order.transfer(named('B'), AssetId(0), Amount(1))
        });
        unsigned(order.build().unwrap())
    };
    let orders: Vec<Transaction> = (0..200).map(large).collect();
    let receipts = engine.submit_batch(&orders).unwrap().wait().unwrap();
    assert_eq!((receipts.len(), receipts.rejected()), (200, 200));
    engine.close().unwrap();
    assert_eq!(open(directory.path(), trusting()).snapshot().unwrap().transaction_count(), 200);
}
