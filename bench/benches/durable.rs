//! What durability costs beside the log itself: checkpoints, recovery from them, throughput while one is written, state roots.
//!
//! `cargo bench -p nostro-bench --bench durable`. Ten million accounts need some 4 GB of memory and as much disk; `--accounts N` takes
//! fewer, `--payments N` another load, `--only checkpoint|recovery|proofs|roots` one part, and `--directory D` a ledger that stays and is opened
//! again. Signatures are trusted, which makes everything but verification look as expensive as it can; but for the state roots, which are
//! measured beside a signed load.
//!
//! Criterion doesn't fit: it repeats what it measures, and a checkpoint of ten million accounts beside a load, or the first opening after
//! it, happens once. What happens often is repeated here, and the slowest hundredth told.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a benchmark")]

use nostro::{
    Address, Amount, AssetId, Engine, EngineConfig, KeyPair, Ledger, LedgerRules, Signature, Stage, Transaction,
};
use nostro_bench::{PAYMENT_BYTES, TemporaryDirectory, World};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const EURO: AssetId = AssetId(0);

/// An address that nobody has a key of: enough where signatures are trusted.
fn address(n: u64) -> Address {
    let mut bytes = [0x55; 32];
    for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
        let mut mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(place as u64);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes());
    }
    Address(bytes)
}

fn unsigned(order: nostro::UnsignedTransaction) -> Transaction {
    order.with_signatures(&[Signature([0; 64])]).unwrap()
}

fn open(directory: &Path, reserve: u64) -> Engine {
    let config = EngineConfig {
        trust_signatures: true,
        log_reserve_bytes: reserve,
        checkpoint_log_bytes: 1 << 40,
        ..EngineConfig::default()
    };
    Engine::open(directory, config).unwrap()
}

/// Gives every account money.
fn fund(engine: &Engine, accounts: u64) {
    let bank = KeyPair::from_seed(&[0xba; 32]).address();
    let submitter = engine.submitter().waiting();
    let register = Transaction::builder(bank).register_asset("EUR".parse().unwrap(), 2, Amount::MAX).build().unwrap();
    submitter.submit_encoded(unsigned(register).bytes()).unwrap().wait().unwrap();
    let mut tickets = Vec::new();
    for (sequence, first) in (1..).zip((0..accounts).step_by(250)) {
        let mint = Transaction::builder(bank).sequence(sequence);
        let mint =
            (first..accounts.min(first + 250)).fold(mint, |mint, n| mint.transfer(address(n), EURO, Amount(1 << 40)));
        tickets.push(submitter.submit_encoded(unsigned(mint.build().unwrap()).bytes()).unwrap());
    }
    tickets.into_iter().for_each(|ticket| assert_eq!(ticket.wait().unwrap().len(), 1));
}

/// Payments between random accounts, each with its own lane-0 sequence `round`.
fn payments(accounts: u64, count: u64, round: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap() * PAYMENT_BYTES);
    for n in 0..count {
        // A permutation of the accounts, as far as it goes: no payer twice in a round unless there are fewer accounts.
        let payer = n.wrapping_mul(7_368_787) % accounts;
        let payee = (payer + 1 + n.wrapping_mul(2_654_435_761) % (accounts - 1)) % accounts;
        let order = Transaction::builder(address(payer)).sequence(round * 1_000 + n / accounts);
        bytes.extend_from_slice(unsigned(order.transfer(address(payee), EURO, Amount(1)).build().unwrap()).bytes());
    }
    bytes
}

/// Runs payments through; gives how long all took and how long each batch did.
fn run(engine: &Engine, payments: &[u8]) -> (Duration, Vec<Duration>) {
    let submitter = engine.submitter().waiting();
    let start = Instant::now();
    let (done_in, done) = std::sync::mpsc::channel::<(Instant, nostro::Tickets)>();
    let waiting = std::thread::spawn(move || {
        done.into_iter()
            .map(|(begin, ticket)| {
                assert!(ticket.wait().unwrap().applied() > 0);
                begin.elapsed()
            })
            .collect::<Vec<_>>()
    });
    for batch in payments.chunks(1024 * PAYMENT_BYTES) {
        let begin = Instant::now();
        done_in.send((begin, submitter.submit_encoded(batch).unwrap())).unwrap();
    }
    drop(done_in);
    let latencies = waiting.join().unwrap();
    (start.elapsed(), latencies)
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

/// What the command line asks for.
struct Asked {
    is_test: bool,
    accounts: u64,
    payments: u64,
    /// One part alone, by name.
    only: Option<String>,
    /// Where the ledger of the first two parts is, and stays.
    directory: Option<PathBuf>,
}

impl Asked {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let is_test = arguments.iter().any(|argument| argument == "--test") || cfg!(debug_assertions);
        let number = |name: &str, small: u64, large: u64| {
            value(name).map_or(if is_test { small } else { large }, |text| text.parse().unwrap())
        };
        Self {
            is_test,
            accounts: number("--accounts", 5_000, 10_000_000),
            payments: number("--payments", 2_000, 6_000_000),
            only: value("--only"),
            directory: value("--directory").map(PathBuf::from),
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == part)
    }
}

fn main() {
    let asked = Asked::read();
    let temporary = TemporaryDirectory::new("durable");
    let directory = asked.directory.as_deref().unwrap_or(temporary.path());
    if asked.wants("checkpoint") || (asked.wants("recovery") && !directory.exists()) {
        checkpoint(directory, &asked);
    }
    if asked.wants("recovery") {
        recovery(directory, &asked);
    }
    if asked.only.as_deref() == Some("open") {
        let begin = Instant::now();
        let engine = open(directory, 0);
        println!("opened in {:?}, {:?}", begin.elapsed(), engine.recovered());
        return;
    }
    if asked.wants("proofs") {
        proofs(asked.accounts.min(1_000_000), asked.is_test);
    }
    if asked.wants("roots") {
        roots(asked.accounts.min(1_000_000), asked.payments.min(1_000_000));
    }
}

/// A signed load on ledgers with a state root after every 256th, every 16th and every block, in turns.
fn roots(accounts: u64, payments: u64) {
    let name = EngineConfig::default().ledger;
    let ledgers = [256, 16, 1].map(|root_interval| {
        let rules = LedgerRules { root_interval, ..LedgerRules::default() };
        Ledger::with_rules(&name, rules).unwrap()
    });
    let (accounts, payments) = (usize::try_from(accounts).unwrap(), usize::try_from(payments).unwrap());
    let worlds = World::signed_for(&ledgers, accounts, payments).unwrap();
    let mut seldom = 0.0;
    for round in 0..2 {
        for world in &worlds {
            let directory = TemporaryDirectory::new("durable-roots");
            let engine = world.engine(directory.path(), false).unwrap();
            let (before, begin) = (engine.stats(), Instant::now());
            world.run(&engine).unwrap();
            let rate = payments as f64 / begin.elapsed().as_secs_f64();
            let after = engine.stats();
            let root = |stats: &nostro::EngineStats| stats.stage(Stage::Root);
            let (made, cpu_ns) =
                (root(&after).pieces - root(&before).pieces, root(&after).cpu_ns - root(&before).cpu_ns);
            let blocks = world.ledger.root_interval();
            if blocks == 256 {
                seldom = rate;
            }
            println!(
                "round {round}: a root every {blocks} blocks among {accounts} accounts: {rate:.0}/s, ratio {:.3}; {made} roots, {:.0} ns of \
                 CPU per payment, {} blocks",
                rate / seldom,
                cpu_ns as f64 / payments as f64,
                after.blocks - before.blocks,
            );
            engine.close().unwrap();
        }
    }
}

/// Payments alone, then beside a checkpoint being written.
fn checkpoint(directory: &Path, asked: &Asked) {
    let (accounts, count) = (asked.accounts, asked.payments);
    let engine = open(directory, count * 2 * 220);
    let begin = Instant::now();
    fund(&engine, accounts);
    println!("{accounts} accounts funded in {:?}", begin.elapsed());

    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    let (quiet, quiet_latencies) = run(&engine, &payments(accounts, count, 1));
    let load = payments(accounts, count, 2);
    let (busy, busy_latencies, written) = std::thread::scope(|scope| {
        let checkpoint = scope.spawn(|| {
            let begin = Instant::now();
            engine.checkpoint().unwrap();
            begin.elapsed()
        });
        let (busy, latencies) = run(&engine, &load);
        (busy, latencies, checkpoint.join().unwrap())
    });
    println!("payments alone: {:.0}/s; with a checkpoint being written: {:.0}/s", rate(quiet), rate(busy));
    println!("  ratio {:.2}; the payments took {busy:?}, the checkpoint {written:?}", rate(busy) / rate(quiet));
    println!("  p99 of a batch: {:?} alone, {:?} beside a checkpoint", p99(quiet_latencies), p99(busy_latencies));

    let root = engine.stats().stage(Stage::Root);
    let per = root.cpu_ns as f64 / engine.snapshot().unwrap().transaction_count() as f64;
    println!(
        "  {} state roots, {:.0} ms of CPU each, {per:.0} ns per transaction",
        root.pieces,
        root.cpu_ns as f64 / root.pieces.max(1) as f64 / 1e6
    );
    engine.close().unwrap();
}

/// Makes the next opening read from the disk.
fn forget(directory: &Path) {
    if std::env::args().any(|argument| argument == "--warm") {
        return;
    }
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

/// Opening: from a checkpoint of the last block, then with blocks to be executed again.
fn recovery(directory: &Path, asked: &Asked) {
    let engine = open(directory, 0);
    let begin = Instant::now();
    engine.checkpoint().unwrap();
    println!("a checkpoint of a quiet engine: {:?}", begin.elapsed());
    let digest = engine.snapshot().unwrap().digest();
    engine.close().unwrap();

    let mut loaded = Duration::MAX;
    for _ in 0..3 {
        forget(directory);
        let begin = Instant::now();
        let engine = open(directory, 0);
        let opened = begin.elapsed();
        loaded = loaded.min(opened);
        assert_eq!(engine.recovered().transactions, 0);
        println!("opened from the checkpoint in {opened:?}, {} bytes", engine.recovered().bytes);
        assert_eq!(engine.snapshot().unwrap().digest(), digest);
        engine.close().unwrap();
    }

    let engine = open(directory, asked.payments * 220);
    let round = 3 + engine.snapshot().unwrap().transaction_count() / asked.payments.max(1);
    run(&engine, &payments(asked.accounts, asked.payments, round));
    let digest = engine.snapshot().unwrap().digest();
    engine.close().unwrap();
    for _ in 0..2 {
        forget(directory);
        let begin = Instant::now();
        let engine = open(directory, 0);
        let opened = begin.elapsed();
        let replayed = engine.recovered().transactions;
        assert_eq!(replayed, asked.payments);
        let rate = replayed as f64 / opened.saturating_sub(loaded).as_secs_f64();
        println!("opened with {replayed} payments to be executed again in {opened:?}: {rate:.0}/s beside loading");
        assert_eq!(engine.snapshot().unwrap().digest(), digest);
        engine.close().unwrap();
    }
    println!("state digest {digest}");
}

/// The mean time of a call.
fn mean<T>(count: u32, mut call: impl FnMut(u32) -> T) -> Duration {
    let begin = Instant::now();
    (0..count).for_each(|n| drop(std::hint::black_box(call(n))));
    begin.elapsed() / count
}

/// Making and checking proofs, and receipts by id.
fn proofs(accounts: u64, is_test: bool) {
    let directory = TemporaryDirectory::new("durable-proofs");
    let config = EngineConfig { trust_signatures: true, balance_proofs: true, ..EngineConfig::default() };
    let engine = Engine::open(directory.path(), config).unwrap();
    fund(&engine, accounts);
    let count = if is_test { 2_000 } else { 4_000_000 };
    run(&engine, &payments(accounts, count, 1));
    // Blocks enough for a root and for the header that carries it.
    let submitter = engine.submitter();
    for payment in payments(accounts, 400, 2).chunks(PAYMENT_BYTES) {
        submitter.submit_encoded(payment).unwrap().wait().unwrap();
    }
    let repeats = if is_test { 100 } else { 100_000 };
    let block = engine.blocks_from(nostro::Height(engine.durable_height().0 - 500)).map(Result::unwrap);
    let block = block.max_by_key(|block| block.header().count).unwrap();
    let size = block.header().count;
    let begin = Instant::now();
    let prover = block.prover(engine.ledger()).unwrap();
    println!("proofs for a block of {size} prepared in {:?}", begin.elapsed());
    println!("  transaction proof made in {:?}", mean(repeats, |n| prover.prove(n % size).unwrap()));
    let proof = prover.prove(size / 2).unwrap();
    println!(
        "  checked in {:?}, {} bytes",
        mean(repeats, |_| proof.verify(block.header()).unwrap()),
        proof.encode().len()
    );

    let (height, proof) = engine.prove_balance(&address(7)).unwrap();
    let header = engine.header(height).unwrap().unwrap();
    let some = |n: u32| address(u64::from(n) * 7919 % accounts);
    println!("balance proof among {accounts} made in {:?}", mean(repeats, |n| engine.prove_balance(&some(n)).unwrap()));
    let verify = |_| proof.verify(&header, &address(7), EURO).unwrap();
    println!("  checked in {:?}, {} bytes", mean(repeats, verify), proof.encode().len());

    let begin = Instant::now();
    let known = prover.prove(size / 2).unwrap().transaction;
    assert!(engine.receipt(&known).unwrap().is_some());
    println!("first receipt by id: {:?}", begin.elapsed());
    let further = if is_test { 10 } else { 200 };
    let ask = |n| engine.receipt(&prover.prove(n % size).unwrap().transaction).unwrap().unwrap();
    println!("  further ones: {:?} each", mean(further, ask));
}
