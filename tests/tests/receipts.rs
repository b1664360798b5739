//! Receipts by id: anything in retained history is found by its id, whatever became of the index.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    AuthorityKey, AuthorityRules, Authorize, Engine, EngineConfig, Height, Operation, Outcome, Receipt, RejectionCode,
    Retention, Time, Transaction, TransactionId,
};
use nostro_tests::case::pay;
use nostro_tests::directory::Directory;
use nostro_tests::language::program;
use nostro_tests::world::{ledger, named, open, trusting, unsigned};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

fn transactions(text: &str) -> Vec<Transaction> {
    program(text).steps.into_iter().map(|step| step.transaction).collect()
}

/// Some five segments of payments, some of them rejected; gives every receipt that was handed out.
fn history(engine: &Engine) -> Vec<Receipt> {
    let text: String = (0..18_000)
        .map(|n| format!("A>{}:{}#{n}/{} ", ['B', 'C', 'D'][n % 3], if n % 10 == 0 { 9_999_999 } else { 1 }, n % 7))
        .collect();
    let mut receipts = Vec::new();
    for batch in transactions(&format!("I*EUR:max I>A:1000000 {text}")).chunks(700) {
        let batch = engine.submit_batch(batch).unwrap().wait().unwrap();
        receipts.extend(batch.iter().map(|receipt| receipt.expect("not refused")));
    }
    receipts
}

fn check(engine: &Engine, receipts: &[Receipt]) {
    for receipt in receipts.iter().step_by(151).chain(receipts.last()) {
        assert_eq!(engine.receipt(&receipt.transaction).unwrap(), Some(*receipt));
    }
    assert_eq!(engine.receipt(&TransactionId([9; 32])).unwrap(), None);
    // The beginning of a known id isn't the id.
    let mut stranger = receipts[77].transaction;
    stranger.0[31] ^= 1;
    assert_eq!(engine.receipt(&stranger).unwrap(), None);
}

fn runs(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut runs: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "index")).collect();
    runs.sort();
    runs
}

#[test]
fn every_receipt_that_was_handed_out_is_found_again_by_its_id() {
    for receipt_index in [true, false] {
        let directory = Directory::in_memory();
        let config = EngineConfig { receipt_index, ..trusting() };
        let engine = open(directory.path(), config.clone());
        assert_eq!(engine.receipt(&TransactionId([9; 32])).unwrap(), None, "an empty ledger has none");
        let receipts = history(&engine);
        check(&engine, &receipts);
        engine.close().unwrap();
        assert!(runs(directory.path()).len() >= 3);

        let engine = open(directory.path(), config.clone());
        check(&engine, &receipts);
        // What comes now is found too.
        let order = transactions("A>B:5#50000").remove(0);
        let receipt = engine.submit(&order).unwrap().wait().unwrap();
        assert_eq!(engine.receipt(&order.id(&ledger())).unwrap(), Some(receipt));
        engine.close().unwrap();

        // Missing, cut, empty and damaged runs are made again, and what they said before is not trusted.
        for damage in 0..5 {
            let good: Vec<Vec<u8>> = runs(directory.path()).iter().map(|path| fs::read(path).unwrap()).collect();
            for path in runs(directory.path()) {
                let mut bytes = fs::read(&path).unwrap();
                match damage {
                    0 => fs::remove_file(&path).unwrap(),
                    1 => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                    2 => fs::write(&path, []).unwrap(),
                    3 => {
                        bytes.chunks_mut(4096).skip(1).for_each(|page| page[100] ^= 4);
                        fs::write(&path, bytes).unwrap();
                    }
                    _ => {
                        let pages = bytes.len() / 4096;
                        bytes.copy_within(4096..8192, (pages - 1) * 4096);
                        fs::write(&path, bytes).unwrap();
                    }
                }
            }
            let engine = open(directory.path(), config.clone());
            check(&engine, &receipts);
            engine.close().unwrap();
            let again: Vec<Vec<u8>> = runs(directory.path()).iter().map(|path| fs::read(path).unwrap()).collect();
            assert!(damage == 4 || again == good, "damage {damage}: the runs are as they were");
        }
    }
}

/// Submits a transaction again and gives the receipt of that.
fn again(engine: &Engine, text: &str) -> Receipt {
    let receipt = engine.submit(&transactions(text)[0]).unwrap().wait().unwrap();
    let Outcome::Rejected(no) = receipt.outcome else { panic!("{text} is applied twice") };
    assert!(matches!(no.code, RejectionCode::Duplicate | RejectionCode::OutOfWindow), "{no}");
    receipt
}

#[test]
fn whoever_submits_blindly_again_is_told_the_first_use() {
    let directory = Directory::in_memory();
    let config = || EngineConfig { block_transactions_max: 500, ..trusting() };
    let engine = open(directory.path(), config());
    let receipts = history(&engine);
    let first_of = |receipt: &Receipt| *receipts.iter().find(|old| old.transaction == receipt.transaction).unwrap();
    // Twice in one block, and more often than hints are read at once.
    let many = transactions(&"A>C:1#17998/1 ".repeat(40));
    for receipt in engine.submit_batch(&many).unwrap().wait().unwrap().iter() {
        let receipt = receipt.unwrap();
        assert!(!receipt.outcome.is_applied());
        assert_eq!(engine.receipt(&receipt.transaction).unwrap(), Some(first_of(&receipt)));
    }
    // Applied, rejected at its first use, out of its window.
    let texts = ["A>D:1#17999/2", "A>D:9999999#17990/0", "A>C:1#1/1"];
    let check = |engine: &Engine| {
        for text in texts {
            let receipt = again(engine, text);
            let first = engine.receipt(&receipt.transaction).unwrap().unwrap();
            assert_eq!(first, first_of(&receipt), "{text}");
            assert!((first.height, first.position) < (receipt.height, receipt.position));
        }
        // Another transaction with a sequence that was used isn't that one's first use, but its own.
        let other = again(engine, "A>B:77#17999/2");
        let found = engine.receipt(&other.transaction).unwrap().unwrap();
        assert!(found == other || found.height < other.height && found.outcome == other.outcome);
    };
    check(&engine);
    engine.close().unwrap();
    // After restarts, with and without the index, and with one that was made again.
    for round in 0..3 {
        if round == 2 {
            runs(directory.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
        }
        let engine = open(directory.path(), EngineConfig { receipt_index: round != 1, ..config() });
        check(&engine);
        engine.close().unwrap();
    }
    // The blocks of the first uses are retired: nothing is said rather than that they were rejected.
    let engine = open(directory.path(), EngineConfig { retention: Retention::Recycle, ..config() });
    for _ in 0..2 {
        engine.checkpoint().unwrap();
        again(&engine, texts[0]);
    }
    engine.checkpoint().unwrap();
    assert!(engine.blocks_from(Height(1)).next().unwrap().is_err(), "the first blocks are gone");
    let receipt = again(&engine, texts[2]);
    assert_eq!(engine.receipt(&receipt.transaction).unwrap(), None);
    let fresh = engine.submit(&transactions("A>B:1#90000")[0]).unwrap().wait().unwrap();
    assert_eq!(engine.receipt(&again(&engine, "A>B:1#90000").transaction).unwrap(), Some(fresh));
}

#[test]
fn what_was_retired_is_not_found_and_all_else_is() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { retention: Retention::Recycle, ..trusting() });
    let receipts = history(&engine);
    check(&engine, &receipts);
    let before = runs(directory.path()).len();
    engine.checkpoint().unwrap();
    let order = transactions("A>B:5#50000").remove(0);
    engine.submit(&order).unwrap().wait().unwrap();
    engine.checkpoint().unwrap();
    let first = engine.blocks_from(engine.durable_height()).next_height();
    assert!(first > Height(1));
    assert_eq!(engine.receipt(&receipts[0].transaction).unwrap(), None);
    let newest = receipts.last().unwrap();
    assert_eq!(engine.receipt(&newest.transaction).unwrap(), Some(*newest));
    assert!(runs(directory.path()).len() < before, "a run goes with its segment");
}

/// An order of an account of one letter, signed by keys of others; without any by its own.
fn ordered(account: char, keys: &str, sequence: u64, order: impl Into<Operation>) -> Transaction {
    let builder = Transaction::builder(named(account)).sequence(sequence);
    let builder = keys.chars().fold(builder, |builder, key| builder.signed_by(named(account), named(key)));
    unsigned(builder.operation(named(account), order.into()).build().unwrap())
}

fn rules(letters: &str, medium: u8, is_closed: bool) -> Operation {
    let key = |letter| AuthorityKey { key: named(letter), weight: 1, scope: 0, expiry: None };
    let mut keys: Vec<AuthorityKey> = letters.chars().map(key).collect();
    keys.sort_by_key(|key| key.key);
    Authorize::Set(AuthorityRules { keys, low: 1, medium, high: medium, is_closed, ..AuthorityRules::default() }).into()
}

const LAST: Time = Time(1 << 50);

/// An order of A that is over after [`LAST`].
fn short(sequence: u64) -> Transaction {
    let builder = Transaction::builder(named('A')).sequence(sequence).valid_until(LAST);
    unsigned(builder.operation(named('A'), pay('B', 1, 0).into()).build().unwrap())
}

/// The number of a rejection; 0 is applied.
fn number(receipt: &Receipt) -> u16 {
    match receipt.outcome {
        Outcome::Applied => 0,
        Outcome::Rejected(no) => no.code.number(),
    }
}

/// A history in which transactions are rejected without a trace, many times over, and some of them are applied later. Gives for each the
/// numbers that came of it in their order, and the receipt that counts.
fn traceless_history(engine: &Engine) -> Vec<(Vec<u16>, Receipt)> {
    let mut told: Vec<(Transaction, Vec<Receipt>)> = Vec::new();
    let mut submit = |order: &Transaction, times: usize| {
        let orders = vec![order.clone(); times];
        let receipts = engine.submit_batch(&orders).unwrap().wait().unwrap();
        let receipts = receipts.iter().map(|receipt| receipt.unwrap());
        match told.iter_mut().find(|(known, _)| known == order) {
            Some((_, all)) => all.extend(receipts),
            None => told.push((order.clone(), receipts.collect())),
        }
    };
    for order in transactions("I*EUR:max I>A:1000 I>B:1000 I>C:1000") {
        submit(&order, 1);
    }
    // A key that A doesn't know yet, more often than entries alike are read at first; then it does, and then no more.
    let by_key = ordered('A', "K", 1, pay('B', 1, 0));
    submit(&by_key, 20);
    submit(&ordered('A', "", 0, rules("AK", 1, false)), 1);
    submit(&by_key, 2);
    submit(&ordered('A', "", 2, rules("A", 1, false)), 1);
    submit(&by_key, 20);
    // Too few keys, until fewer do.
    let by_few = ordered('B', "", 1, pay('C', 1, 0));
    submit(&ordered('B', "", 0, rules("BK", 2, false)), 1);
    submit(&by_few, 1);
    submit(&ordered('B', "BK", 2, rules("BK", 1, false)), 1);
    submit(&by_few, 1);
    // Closed and opened again.
    let by_closed = ordered('D', "", 1, pay('C', 1, 0));
    submit(&ordered('D', "", 0, rules("D", 1, true)), 1);
    submit(&by_closed, 3);
    submit(&ordered('D', "", 2, rules("D", 1, false)), 1);
    submit(&ordered('I', "", 100, pay('D', 5, 0)), 1);
    submit(&by_closed, 1);
    // Never allowed; and one whose sequence another takes.
    submit(&ordered('C', "K", 5, pay('A', 1, 0)), 2);
    let overtaken = ordered('C', "K", 6, pay('A', 2, 0));
    submit(&overtaken, 1);
    submit(&ordered('C', "", 6, pay('A', 3, 0)), 1);
    submit(&ordered('C', "", 7, rules("CK", 1, false)), 1);
    submit(&overtaken, 1);
    // Applied, then too late.
    submit(&short(9), 1);
    let late = engine.submitter().at(Time(LAST.0 + 1)).submit(&short(9)).unwrap().wait().unwrap();
    assert_eq!(number(&late), 301);
    told.into_iter()
        .map(|(_, receipts)| {
            let numbers: Vec<u16> = receipts.iter().map(number).collect();
            let used = |no: u16| !matches!(no, 201 | 202 | 303 | 416);
            let place = numbers.iter().position(|&no| used(no)).or_else(|| numbers.iter().position(|&no| no == 303));
            (numbers, receipts[place.unwrap_or(0)])
        })
        .collect()
}

#[test]
fn a_rejection_that_left_no_trace_counts_only_as_long_as_there_is_nothing_else() {
    for block_transactions_max in [1, 1_000] {
        let directory = Directory::in_memory();
        let config = || EngineConfig { block_transactions_max, ..trusting() };
        let engine = open(directory.path(), config());
        let history = traceless_history(&engine);
        let all: Vec<&[u16]> = history.iter().map(|(numbers, _)| numbers.as_slice()).collect();
        let (many, few) = ([vec![201; 20], vec![0, 303], vec![201; 20]].concat(), [202, 0]);
        for expected in [many.as_slice(), &few, &[416, 416, 416, 0], &[201, 201], &[201, 303]] {
            assert!(all.contains(&expected), "the history has {expected:?}: {all:?}");
        }
        let check = |engine: &Engine| {
            for (numbers, counts) in &history {
                assert_eq!(engine.receipt(&counts.transaction).unwrap(), Some(*counts), "of {numbers:?}");
            }
        };
        check(&engine);
        // So that all of it is in full segments, of which there are runs.
        self::history(&engine);
        check(&engine);
        engine.close().unwrap();
        assert!(runs(directory.path()).len() >= 2);
        for _ in 0..2 {
            let engine = open(directory.path(), config());
            check(&engine);
            engine.close().unwrap();
            runs(directory.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
        }
    }
}

#[test]
fn where_blocks_were_retired_a_rejection_without_a_trace_says_nothing() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { retention: Retention::Recycle, ..trusting() });
    let applied = ordered('A', "K", 1, pay('B', 1, 0));
    for order in transactions("I*EUR:max I>A:10000000") {
        engine.submit(&order).unwrap().wait().unwrap();
    }
    engine.submit(&ordered('A', "", 0, rules("AK", 1, false))).unwrap().wait().unwrap();
    assert!(engine.submit(&applied).unwrap().wait().unwrap().outcome.is_applied());
    engine.submit(&ordered('A', "", 2, rules("A", 1, false))).unwrap().wait().unwrap();
    assert!(engine.submit(&short(3)).unwrap().wait().unwrap().outcome.is_applied());
    history(&engine);
    for n in 0..2 {
        engine.checkpoint().unwrap();
        engine.submit(&ordered('A', "", 90_000 + n, pay('B', 1, 0))).unwrap().wait().unwrap();
    }
    engine.checkpoint().unwrap();
    assert!(engine.blocks_from(Height(1)).next().unwrap().is_err(), "the first blocks are gone");
    let again = engine.submitter().at(Time(LAST.0 + 1));
    for (order, expected) in [(&applied, 201), (&short(3), 301)] {
        let again = again.submit(order).unwrap().wait().unwrap();
        assert_eq!(number(&again), expected);
        assert_eq!(engine.receipt(&again.transaction).unwrap(), None, "it was applied in a block that is gone");
    }
}

/// Whatever rots in a block under a running engine: a receipt is what it was, or an error that names the file.
#[test]
fn rot_under_a_running_engine_never_changes_a_receipt() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let batch: String = (0..20).map(|n| format!("A>B:{} ", if n % 3 == 0 { 9_999 } else { 1 })).collect();
    for order in transactions("I*EUR:max I>A:100") {
        engine.submit(&order).unwrap().wait().unwrap();
    }
    let receipts = engine.submit_batch(&transactions(&batch)).unwrap().wait().unwrap();
    let receipts: Vec<Receipt> = receipts.iter().map(|receipt| receipt.expect("not refused")).collect();
    assert!(receipts.iter().all(|receipt| receipt.height == receipts[0].height), "one block");
    assert_eq!(receipts.iter().filter(|receipt| number(receipt) == 412).count(), 7);
    let asked = [receipts[0], receipts[10], receipts[19]];
    for receipt in asked {
        assert_eq!(engine.receipt(&receipt.transaction).unwrap(), Some(receipt));
    }
    let path = directory.path().join("segment-00000001.log");
    let bytes = fs::read(&path).unwrap();
    let is_frame = |start: &usize| bytes[*start..].starts_with(b"NFRM") && bytes[*start + 6] == 0;
    let start = (0..bytes.len()).step_by(4096).rfind(is_frame).unwrap();
    let end = start + 256 + 20 * 192 + 7 * 16;
    assert!(bytes[end - 1] != 0 || bytes[end - 16..end].iter().any(|&byte| byte != 0), "where the body ends");
    assert!(bytes[end..end + 100].iter().all(|&byte| byte == 0), "where the padding begins");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let (mut right, mut reported) = (0, 0);
    for place in start..end + 8 {
        file.write_all_at(&[bytes[place] ^ 1 << (place % 8)], place as u64).unwrap();
        for receipt in asked {
            match engine.receipt(&receipt.transaction) {
                Ok(found) => {
                    assert_eq!(found, Some(receipt), "byte {place}");
                    right += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("segment-00000001.log"), "byte {place}: {error}");
                    reported += 1;
                }
            }
        }
        file.write_all_at(&bytes[place..=place], place as u64).unwrap();
    }
    // What a receipt isn't made of may rot: signatures, other transactions. Header, own body and rejections may not.
    assert!(right > 3 * 20 * 64, "{right} right, {reported} reported");
    assert!(reported > 3 * (224 + 7 * 16) + 3 * 128, "{right} right, {reported} reported");
}
