//! Execution alone: nanoseconds per transfer one by one and by shards, with accounts found before, as the pipeline does it.
//!
//! `cargo bench -p nostro-bench --bench execute`. Blocks of 16,384 transfers, so many that no block finds its accounts in the cache; the
//! time is that of executing, without the effects, which the summary measures apart. Ratios within one run are what counts.
//!
//! Behind the transfers come mixes of the load generator, in which they stand among holds, grants, orders and records: `-- mix` runs those alone. A
//! sample is a fresh ledger there, since a load can be run through but once.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a benchmark")]

use criterion::{BenchmarkId, Criterion, Throughput};
use nostro::{
    Address, Amount, AssetId, Digest, ExecutionShape, MeasuredExecution, PreparedBlock, Signature, Time, Transaction,
    TransactionBuilder, TransactionRef,
};
use nostro_loadgen::{Mix, unsigned_load};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::time::{Duration, Instant};

const BLOCK: usize = 16_384;

/// Who pays whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Uniform,
    /// The n-th account takes part with a weight of n^-0.99, as payer and as payee.
    Zipf,
    HotPayee,
    HotPayer,
    /// Nobody has much, so that nearly half of the payments are rejected.
    Poor,
}

struct World {
    load: Load,
    addresses: Vec<Address>,
    /// By account: its next sequence.
    sequences: Vec<u64>,
    /// Sums of weights, for the loads that have any.
    weights: Vec<f64>,
    random: ChaCha8Rng,
    execution: MeasuredExecution,
    blocks: usize,
    /// What funding them took of the machine's memory, per account: records, addresses and the index.
    account_bytes: f64,
}

/// Bytes that the process has in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn address(n: usize) -> Address {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
    let mut bytes = [0; 32];
    ChaCha8Rng::from_seed(seed).fill_bytes(&mut bytes);
    Address(bytes)
}

fn bytes(order: TransactionBuilder) -> Vec<u8> {
    order.build().unwrap().with_signatures(&[Signature([0; 64])]).unwrap().bytes().to_vec()
}

impl World {
    fn new(load: Load, accounts: usize, blocks: usize) -> Self {
        let addresses: Vec<Address> = (0..accounts).map(address).collect();
        let mut sum = 0.0;
        let zipf = |n: usize| {
            sum += (n as f64 + 1.0).powf(-0.99);
            sum
        };
        let weights = if load == Load::Zipf { (0..accounts).map(zipf).collect() } else { Vec::new() };
        let execution = MeasuredExecution::new(ExecutionShape::SERIAL).unwrap();
        let sequences = vec![0; accounts];
        let random = ChaCha8Rng::seed_from_u64(7);
        let mut world = Self { load, addresses, sequences, weights, random, execution, blocks, account_bytes: 0.0 };
        world.sequences.fill(0);
        let before = resident();
        world.fund();
        world.account_bytes = resident().saturating_sub(before) as f64 / accounts as f64;
        world
    }

    fn fund(&mut self) {
        let bank = address(usize::MAX);
        let money = if self.load == Load::Poor { 4 } else { 1 << 60 };
        let register = Transaction::builder(bank).register_asset("EUR".parse().unwrap(), 2, Amount(u128::MAX));
        let mut funding = bytes(register);
        let mut held = 1;
        let addresses = std::mem::take(&mut self.addresses);
        for (chunk, sequence) in addresses.chunks(250).zip(1..) {
            let mint = Transaction::builder(bank).sequence(sequence);
            let mint = chunk.iter().fold(mint, |mint, &payee| mint.transfer(payee, AssetId(0), Amount(money)));
            funding.extend(bytes(mint));
            held += 1;
            if held == 64 {
                self.settle_all(std::mem::take(&mut funding));
                held = 0;
            }
        }
        self.settle_all(funding);
        self.addresses = addresses;
    }

    fn settle_all(&mut self, bytes: Vec<u8>) {
        let block = self.execution.prepare(bytes).unwrap();
        let settled = self.execution.settle(Time(1), &block);
        assert!(settled.rejections().is_empty());
        self.execution.reuse(settled);
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn anybody(&mut self) -> usize {
        if self.load == Load::Zipf {
            let total = *self.weights.last().unwrap();
            let point = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 * total;
            return self.weights.partition_point(|&sum| sum <= point).min(self.addresses.len() - 1);
        }
        usize::try_from(self.below(self.addresses.len() as u64)).unwrap()
    }

    fn block(&mut self) -> PreparedBlock {
        let mut all = Vec::with_capacity(BLOCK * 192);
        for _ in 0..BLOCK {
            let payer = if self.load == Load::HotPayer { 0 } else { self.anybody() };
            let payee = if self.load == Load::HotPayee { 0 } else { self.anybody() };
            let payee = if payee == payer { (payee + 1) % self.addresses.len() } else { payee };
            let amount = if self.load == Load::Poor { 1 + self.below(8) } else { 1 };
            self.sequences[payer] += 1;
            let order = Transaction::builder(self.addresses[payer]).sequence(self.sequences[payer]);
            all.extend(bytes(order.transfer(self.addresses[payee], AssetId(0), Amount(u128::from(amount)))));
        }
        self.execution.prepare(all).unwrap()
    }

    /// Executes fresh blocks; gives the time that executing took, and that taking the effects took.
    fn run(&mut self) -> (Duration, Duration) {
        let blocks: Vec<PreparedBlock> = (0..self.blocks).map(|_| self.block()).collect();
        let (mut executing, mut finishing) = (Duration::ZERO, Duration::ZERO);
        for block in &blocks {
            let start = Instant::now();
            let executed = self.execution.execute(Time(1), block);
            let middle = Instant::now();
            let settled = self.execution.finish(executed);
            finishing += middle.elapsed();
            executing += middle - start;
            self.execution.reuse(settled);
        }
        (executing, finishing)
    }

    fn transfers(&self) -> usize {
        self.blocks * BLOCK
    }

    fn digest(&mut self) -> Digest {
        self.execution.digest()
    }
}

const LOADS: [(&str, Load, usize); 6] = [
    ("uniform-1m", Load::Uniform, 1_000_000),
    ("zipf-1m", Load::Zipf, 1_000_000),
    ("hot-payee", Load::HotPayee, 1_000_000),
    ("hot-payer", Load::HotPayer, 1_000_000),
    ("poor", Load::Poor, 1_000_000),
    ("uniform-10m", Load::Uniform, 10_000_000),
];

const SHAPES: [(&str, usize); 4] = [("serial", 0), ("sharded-1", 1), ("sharded-2", 2), ("sharded-4", 4)];

fn main() {
    // `cargo test --benches` runs every part once on a small world, so that none rots.
    let is_test = std::env::args().any(|argument| argument == "--test") || cfg!(debug_assertions);
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut criterion = Criterion::default().configure_from_args();
    for (name, load, accounts) in LOADS {
        // A filter may name a load or a function of one; a world nobody asked for isn't made.
        let is_asked = |text: &String| SHAPES.iter().any(|(shape, _)| format!("execute/{shape}/{name}").contains(text));
        if !asked.is_empty() && !asked.iter().any(is_asked) {
            continue;
        }
        let (accounts, blocks) = if is_test { (2_000, 1) } else { (accounts, 16) };
        let mut world = World::new(load, accounts, blocks);
        let mut group = criterion.benchmark_group("execute");
        group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        group.throughput(Throughput::Elements(world.transfers() as u64));
        for (shape, threads) in SHAPES {
            world.execution.use_threads(threads, None).unwrap();
            group.bench_function(BenchmarkId::new(shape, name), |b| {
                b.iter_custom(|times| (0..times).map(|_| world.run().0).sum());
            });
        }
        group.finish();
        summary(name, &mut world);
    }
    for mix in MIXES {
        if asked.is_empty() || asked.iter().any(|text| format!("mix/{}", mix.name()).contains(text)) {
            mixed(mix, is_test);
        }
    }
}

/// Mixes that have more than payments.
const MIXES: [Mix; 4] = [Mix::Mixed, Mix::Holds, Mix::Devices, Mix::Dvp];

/// A mix in all shapes in turns, each on a ledger of its own.
fn mixed(mix: Mix, is_test: bool) {
    let (accounts, transactions, rounds) = if is_test { (200, 2_000, 1) } else { (100_000, 400_000, 3) };
    let load = unsigned_load(mix, accounts, transactions, 7).unwrap();
    let time = load.time.unwrap_or(Time(1));
    let mut best = [f64::MAX; SHAPES.len()];
    let mut digest = None;
    for _ in 0..rounds {
        for ((_, threads), best) in SHAPES.iter().zip(&mut best) {
            let mut execution = MeasuredExecution::new(ExecutionShape::SERIAL).unwrap();
            for block in blocks(&load.setup, 64) {
                let block = execution.prepare(block).unwrap();
                assert!(execution.settle(time, &block).rejections().is_empty());
            }
            execution.use_threads(*threads, None).unwrap();
            let all: Vec<PreparedBlock> =
                blocks(&load.load, BLOCK).into_iter().map(|block| execution.prepare(block).unwrap()).collect();
            let mut executing = Duration::ZERO;
            for block in &all {
                let start = Instant::now();
                let executed = execution.execute(time, block);
                executing += start.elapsed();
                let settled = execution.finish(executed);
                execution.reuse(settled);
            }
            *best = best.min(executing.as_nanos() as f64 / transactions as f64);
            let reached = execution.digest();
            assert_eq!(*digest.get_or_insert(reached), reached, "every shape leads to the same state");
        }
    }
    println!("mix/{}: best of {rounds} in turns, ns per transaction; state {}", mix.name(), digest.unwrap());
    for ((shape, _), executing) in SHAPES.iter().zip(best) {
        println!("  {shape:10} {executing:6.1}   {:.2} of serial", executing / best[0]);
    }
}

/// Blocks of so many transactions.
fn blocks(bytes: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut after = rest;
        for _ in 0..count {
            if !after.is_empty() {
                (_, after) = TransactionRef::decode_prefix(after).unwrap();
            }
        }
        blocks.push(rest[..rest.len() - after.len()].to_vec());
        rest = after;
    }
    blocks
}

/// All shapes in turns, so that what the machine does meanwhile meets each alike.
fn summary(name: &str, world: &mut World) {
    const ROUNDS: usize = 5;
    let mut best = [(f64::MAX, f64::MAX); SHAPES.len()];
    for _ in 0..ROUNDS {
        for ((_, threads), best) in SHAPES.iter().zip(&mut best) {
            world.execution.use_threads(*threads, None).unwrap();
            let (executing, finishing) = world.run();
            let each = |time: Duration| time.as_nanos() as f64 / world.transfers() as f64;
            *best = (best.0.min(each(executing)), best.1.min(each(finishing)));
        }
    }
    let digest = world.digest();
    println!(
        "{name}: best of {ROUNDS} in turns, ns per transfer; effects {:.1} more; {:.0} bytes per account; state {}",
        best[0].1, world.account_bytes, digest
    );
    for ((shape, _), (executing, _)) in SHAPES.iter().zip(best) {
        println!("  {shape:10} {executing:6.1}   {:.2} of serial", executing / best[0].0);
    }
}
