//! Checkpoints and retention: opening begins at the newest that is whole, and everything survives in it; the log below the older
//! one stays, moves or goes, as asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Digest, Engine, EngineConfig, Height, OpenError, Retention, Transaction, audit_ledger, read_ledger, truncate_ledger,
};
use nostro_tests::directory::Directory;
use nostro_tests::language::{agrees, program, word};
use nostro_tests::world::{open, trusting};
use std::fs;
use std::path::{Path, PathBuf};

fn transactions(text: &str) -> Vec<Transaction> {
    program(text).steps.into_iter().map(|step| step.transaction).collect()
}

fn settle(engine: &Engine, transactions: &[Transaction], expected: &str) {
    let receipts = engine.submit_batch(transactions).unwrap().wait().unwrap();
    let found: Vec<_> = receipts.iter().map(|receipt| receipt.expect("not refused").outcome).collect();
    let expected: Vec<&str> = expected.split_whitespace().collect();
    let alike = expected.len() == found.len() && expected.iter().zip(&found).all(|(word, found)| agrees(word, found));
    assert!(alike, "expected {expected:?}, found {:?}", found.iter().map(word).collect::<Vec<_>>());
}

/// Many payments, in as many blocks as it takes; each call of another `round` is new to the engine.
fn pay(engine: &Engine, round: usize, count: usize) {
    let lane = round % 60;
    let from = round * count;
    let text: String = (from..from + count).map(|n| format!("A>{}:1#{n}/{lane} ", ['B', 'C', 'D'][n % 3])).collect();
    for batch in transactions(&text).chunks(500) {
        let receipts = engine.submit_batch(batch).unwrap().wait().unwrap();
        assert_eq!(receipts.applied(), batch.len());
    }
}

fn names(directory: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

fn checkpoint_paths(directory: &Path) -> Vec<PathBuf> {
    names(directory, "checkpoint-").iter().map(|name| directory.join(name)).collect()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A ledger with two checkpoints and blocks below, between and above them, closed. Gives its state digest.
fn history(directory: &Path, config: EngineConfig) -> Digest {
    let engine = open(directory, config);
    settle(&engine, &transactions("I*EUR:max I*USD:1000 I>A:1000000 I>B:7@1 A>B:1/9"), "ok ok ok ok ok");
    pay(&engine, 1, 7_000);
    assert!(engine.checkpoint().unwrap() > Height(0));
    pay(&engine, 2, 6_000);
    assert_eq!(engine.checkpoint().unwrap(), engine.durable_height());
    assert_eq!(engine.checkpoint().unwrap(), engine.durable_height(), "a second one of the same block is the same");
    pay(&engine, 3, 3_000);
    let digest = engine.snapshot().unwrap().digest();
    engine.close().unwrap();
    digest
}

#[test]
fn opening_begins_at_the_newest_checkpoint_and_everything_survives_in_it() {
    let directory = Directory::in_memory();
    let digest = history(directory.path(), trusting());
    let engine = open(directory.path(), trusting());
    let recovered = engine.recovered();
    assert!(recovered.checkpoint > Height(0));
    assert_eq!(recovered.transactions, 3_000, "only what came after the checkpoint was executed again");
    assert!(engine.warnings().is_empty());
    let snapshot = engine.snapshot().unwrap();
    assert_eq!((snapshot.digest(), snapshot.transaction_count()), (digest, 16_005));
    // Replay windows, lanes, assets and their numbers are as they were (P7).
    settle(
        &engine,
        &transactions("I*EUR:max I*USD:1000 I>A:1000000 I>B:7@1 A>B:1/9 A>B:1#3001/1 A>B:1#17999/2 I*USD:5#9 B>A:7@1"),
        "303=0 303=1 303=2 303=3 303=0 304 303=17999 402=1 ok",
    );
    // All of the history is there to be read.
    assert_eq!(engine.blocks_from(Height(1)).next().unwrap().unwrap().header().height, Height(1));
    engine.close().unwrap();
    let report = audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
    assert_eq!((report.summary.from, report.summary.transactions), (Height(0), 16_014));
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let directory = Directory::in_memory();
    let digest = history(directory.path(), trusting());
    let paths = checkpoint_paths(directory.path());
    assert_eq!(paths.len(), 2);
    flip(&paths[1]);
    let engine = open(directory.path(), trusting());
    assert_eq!(engine.recovered().transactions, 9_000, "the older one was used");
    let [warning] = engine.warnings() else { panic!("{:?}", engine.warnings()) };
    assert!(warning.contains(paths[1].file_name().unwrap().to_str().unwrap()), "{warning}");
    assert!(warning.contains("offset") && warning.contains("expected"), "{warning}");
    assert_eq!(engine.snapshot().unwrap().digest(), digest);
    engine.close().unwrap();
    let audited = audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap_err().to_string();
    assert!(audited.contains("checkpoint-"), "{audited}");

    flip(&paths[0]);
    let engine = open(directory.path(), trusting());
    assert_eq!(
        (engine.recovered().transactions, engine.warnings().len()),
        (16_005, 2),
        "all blocks were executed again"
    );
    assert_eq!(engine.snapshot().unwrap().digest(), digest);
    // A new one takes the place of the damaged ones.
    engine.checkpoint().unwrap();
    engine.close().unwrap();
    assert_eq!(checkpoint_paths(directory.path()).len(), 1);
    let engine = open(directory.path(), trusting());
    assert_eq!((engine.recovered().transactions, engine.warnings().len()), (0, 0));
}

#[test]
fn the_log_below_the_older_checkpoint_goes_if_asked_and_the_ledger_lives_on() {
    let directory = Directory::in_memory();
    let digest = history(directory.path(), EngineConfig { retention: Retention::Recycle, ..trusting() });
    let segments = names(directory.path(), "segment-");
    assert!(segments[0].as_str() > "segment-00000001.log", "{segments:?}");
    let engine = open(directory.path(), trusting());
    assert_eq!(engine.snapshot().unwrap().digest(), digest);
    let error = engine.blocks_from(Height(1)).next().unwrap().unwrap_err();
    assert!(error.to_string().contains("retired"), "{error}");
    engine.close().unwrap();

    let report = audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
    assert!(report.summary.from > Height(0));
    assert_eq!((report.state, report.summary.transactions), (digest, 16_005));
    let mut first = None;
    let summary = read_ledger(directory.path(), &mut |block| {
        first = first.or(Some(block.header().height));
        Ok(())
    });
    assert_eq!(first, Some(summary.unwrap().from.next()));

    // With no checkpoint left there is no way to the state, and that is said.
    for path in checkpoint_paths(directory.path()) {
        flip(&path);
    }
    let error = Engine::open(directory.path(), trusting()).unwrap_err().to_string();
    assert!(error.contains("segment-00000001.log is missing") && error.contains("checkpoint-"), "{error}");
}

#[test]
fn the_log_below_the_older_checkpoint_moves_to_the_archive_if_asked() {
    let (directory, archive, other_disk) = (Directory::in_memory(), Directory::in_memory(), Directory::on_disk());
    for archive in [archive.path(), other_disk.path()] {
        let _ = fs::remove_dir_all(directory.path());
        let retention = Retention::Archive(archive.to_path_buf());
        let digest = history(directory.path(), EngineConfig { retention, ..trusting() });
        let archived = names(archive, "segment-");
        assert_eq!(archived[0], "segment-00000001.log");
        for name in &archived {
            assert!(!directory.path().join(name).exists(), "{name} has moved");
            fs::copy(archive.join(name), directory.path().join(name)).unwrap();
        }
        // Put back, it is the whole history again.
        let report = audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
        assert_eq!((report.state, report.summary.from, report.summary.transactions), (digest, Height(0), 16_005));
    }
}

#[test]
fn a_checkpoint_of_another_ledger_or_of_a_height_that_the_log_never_reached_is_refused() {
    let (directory, early, other) = (Directory::in_memory(), Directory::in_memory(), Directory::in_memory());
    history(directory.path(), trusting());
    let newest = checkpoint_paths(directory.path()).pop().unwrap();

    let engine = open(early.path(), trusting());
    settle(&engine, &transactions("I*EUR:max I>A:5"), "ok ok");
    engine.close().unwrap();
    fs::copy(&newest, early.path().join(newest.file_name().unwrap())).unwrap();
    let error = Engine::open(early.path(), trusting()).unwrap_err();
    assert!(matches!(error, OpenError::Checkpoint(_)), "{error}");
    assert!(error.to_string().contains("a log that ends at height"), "{error}");

    let elsewhere = EngineConfig { ledger: "another".to_owned(), ..trusting() };
    open(other.path(), elsewhere.clone()).close().unwrap();
    fs::copy(&newest, other.path().join(newest.file_name().unwrap())).unwrap();
    let error = Engine::open(other.path(), elsewhere).unwrap_err();
    assert!(matches!(error, OpenError::Checkpoint(_)) && error.to_string().contains("of the ledger"), "{error}");
}

#[test]
fn checkpoints_are_written_by_themselves_as_the_log_grows() {
    let directory = Directory::in_memory();
    let config = EngineConfig { checkpoint_log_bytes: 1 << 20, retention: Retention::Recycle, ..trusting() };
    let engine = open(directory.path(), config.clone());
    settle(&engine, &transactions("I*EUR:max I>A:1000000"), "ok ok");
    for round in 1..12 {
        pay(&engine, round, 3_000);
    }
    let stats = engine.stats();
    assert!(stats.checkpoint > Height(0) && stats.checkpoint_failure.is_none(), "{stats:?}");
    let digest = engine.snapshot().unwrap().digest();
    engine.close().unwrap();
    let engine = open(directory.path(), config);
    assert!(engine.recovered().transactions < 33_000);
    assert_eq!(engine.snapshot().unwrap().digest(), digest);
    assert!(checkpoint_paths(directory.path()).len() <= 2);
}

#[test]
fn an_engine_without_blocks_writes_none_and_a_closed_directory_has_no_draft() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    assert_eq!(engine.checkpoint(), Ok(Height(0)));
    engine.close().unwrap();
    assert!(names(directory.path(), "checkpoint").is_empty());
}

#[test]
fn a_ledger_that_was_cut_goes_on_from_the_checkpoint_below_the_cut() {
    let (directory, copy) = (Directory::in_memory(), Directory::in_memory());
    history(directory.path(), trusting());
    let paths = checkpoint_paths(directory.path());
    let height = |path: &PathBuf| -> u64 {
        path.file_stem().unwrap().to_str().unwrap().trim_start_matches("checkpoint-").parse().unwrap()
    };
    let after = Height(height(&paths[0]) + 1);
    let cut = truncate_ledger(directory.path(), after, copy.path()).unwrap();
    assert_eq!(cut.height, after);
    assert_eq!(checkpoint_paths(directory.path()), paths[..1]);
    assert_eq!(names(copy.path(), "checkpoint-").len(), 1, "what was taken away is in the copy");
    assert_eq!(cut.removed.last(), Some(&names(copy.path(), "checkpoint-")[0]));

    let engine = open(directory.path(), trusting());
    assert_eq!((engine.recovered().checkpoint.0, engine.durable_height()), (height(&paths[0]), after));
    // Segments that fill again are another's: no index of what was cut is believed.
    let orders = transactions("B>A:1#900 C>A:1#900 D>A:1#900");
    let receipts = engine.submit_batch(&orders).unwrap().wait().unwrap();
    pay(&engine, 5, 8_000);
    for receipt in receipts.iter() {
        let receipt = receipt.unwrap();
        assert_eq!(engine.receipt(&receipt.transaction).unwrap(), Some(receipt));
    }
    engine.close().unwrap();
    audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
}
