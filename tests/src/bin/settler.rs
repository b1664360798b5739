//! A process that settles the stream on a ledger until something happens to it: it is killed, it dies, or its disk is full.
//! What is acknowledged goes out on its standard output, a line per receipt.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Engine, EngineConfig, Height, Tickets, Transaction};
use nostro_tests::random::Random;
use nostro_tests::stream::{line, order};
use nostro_tests::world::{open, trusting};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

fn main() {
    // A hang is a failure too, and must not become the test's own.
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(60));
        std::process::exit(3);
    });
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, directory, number] = arguments.as_slice() else { panic!("expected WHAT DIRECTORY NUMBER") };
    let (directory, number) = (Path::new(directory), number.parse().expect("a number"));
    match what.as_str() {
        "pay" => pay(directory, number),
        "hold" => hold(directory),
        "die" => die(directory, number),
        "fill" => fill(directory, number),
        other => panic!("expected pay, hold, die or fill, found {other}"),
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Submits the stream from where the ledger stands.
struct Stream<'a> {
    engine: &'a Engine,
    next: u64,
}

impl<'a> Stream<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self { engine, next: engine.snapshot().unwrap().transaction_count() }
    }

    fn submit(&mut self, count: u64) -> Result<(u64, Tickets), nostro::SubmitError> {
        let orders: Vec<Transaction> = (self.next..self.next + count).map(order).collect();
        let tickets = self.engine.submitter().waiting().submit_batch(&orders)?;
        self.next += count;
        Ok((self.next - count, tickets))
    }
}

fn acknowledge(first: u64, tickets: Tickets) -> Result<(), nostro::StopError> {
    let receipts = tickets.wait()?;
    let lines = receipts.iter().zip(first..).map(|(receipt, n)| {
        let receipt = receipt.expect("nothing is refused");
        line(n, receipt.height, receipt.position, &receipt.outcome)
    });
    say(&lines.collect::<String>());
    Ok(())
}

/// Submits for ever, with several submissions on their way.
fn pay(directory: &Path, seed: u64) {
    let mut random = Random::new(seed);
    let engine = open(directory, EngineConfig { threads: 2, block_transactions_max: 100, ..trusting() });
    let mut stream = Stream::new(&engine);
    let mut waiting = VecDeque::new();
    loop {
        let longest = *random.pick(&[1, 20, 300]);
        waiting.push_back(stream.submit(1 + random.below(longest)).unwrap());
        if waiting.len() > 4 {
            let (first, tickets) = waiting.pop_front().unwrap();
            acknowledge(first, tickets).unwrap();
        }
    }
}

/// Keeps the ledger open until it is killed.
fn hold(directory: &Path) {
    let engine = open(directory, trusting());
    say("open\n");
    loop {
        std::thread::park();
        assert!(engine.stopped().is_none());
    }
}

/// Settles so many blocks of a hundred, and dies as soon as the last is acknowledged.
fn die(directory: &Path, blocks: u64) {
    let engine = open(directory, trusting());
    let mut stream = Stream::new(&engine);
    for _ in 0..blocks {
        let (first, tickets) = stream.submit(100).unwrap();
        acknowledge(first, tickets).unwrap();
    }
    std::process::abort();
}

/// Settles until files may not be longer than so many bytes, or, with 0, until the disk is full, and tells what the engine says then.
fn fill(directory: &Path, limit: u64) {
    let engine = open(directory, trusting());
    let mut stream = Stream::new(&engine);
    let (first, tickets) = stream.submit(50).unwrap();
    acknowledge(first, tickets).unwrap();
    // The reader of another height stays valid, whatever happens later.
    let before = engine.snapshot().unwrap();
    let digest_before = before.digest();

    if limit > 0 {
        setrlimit(Resource::Fsize, Rlimit { current: Some(limit), maximum: None }).unwrap();
    }
    let mut waiting = VecDeque::new();
    let refused = loop {
        match stream.submit(20) {
            Ok(submission) => waiting.push_back(submission),
            Err(error) => break error,
        }
        if waiting.len() > 4 {
            let (first, tickets) = waiting.pop_front().unwrap();
            if acknowledge(first, tickets).is_err() {
                break stream.submit(1).expect_err("a stopped engine takes nothing");
            }
        }
    };
    for (first, tickets) in waiting {
        // Those who still wait are told, one way or the other.
        let _ = acknowledge(first, tickets);
    }
    assert_eq!(before.digest(), digest_before);
    let submitter = engine.submitter();
    let once_more = submitter.submit(&order(stream.next)).expect_err("a stopped engine takes nothing");
    let (one, other) = (engine.snapshot().unwrap(), engine.snapshot().unwrap());
    assert_eq!(one.digest(), other.digest());
    let blocks = engine.blocks_from(Height(1)).collect::<Result<Vec<_>, _>>().unwrap().len();
    say(&format!("refused: {refused}\n"));
    say(&format!("again: {once_more}\n"));
    say(&format!("stopped: {}\n", engine.stopped().expect("a cause")));
    say(&format!("snapshot: {} {} {}\n", one.height(), one.transaction_count(), one.digest()));
    say(&format!("durable: {} {blocks}\n", engine.durable_height()));
    say(&format!("closed: {}\n", engine.close().expect_err("the cause")));
}
