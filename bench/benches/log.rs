//! The log against the disk: durable appends beside raw writes and syncs of the same bytes, reading, checking.
//!
//! `cargo bench -p nostro-bench --bench log`. The raw side is `pwrite` and `fdatasync` into a file that was written full of
//! zeros, which is the fastest way to the disk that was found. Both sides take turns, block by block, so that a neighbour
//! who disturbs the one disturbs the other; the summary gives the ratios. Times of one block include no hashing on either
//! side: in the engine another thread does it. `-- verifying` measures only how fast whole ledgers are verified.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a benchmark")]

use criterion::{BenchmarkId, Criterion, Throughput};
use nostro::MeasuredLog;
use nostro_bench::{RawFile, TemporaryDirectory, World};
use std::time::{Duration, Instant};

/// The frame's header, which is part of the bytes that are written.
const HEADER_BYTES: usize = 256;
/// Both sides, with blocks of one size.
struct Pair {
    log: MeasuredLog,
    raw: RawFile,
    bytes: Vec<u8>,
    _directories: [TemporaryDirectory; 2],
}

impl Pair {
    /// Segments and the raw file have the same size; when the raw file is full it is written again from the beginning.
    fn new(block_bytes: usize, file_bytes: u64) -> Self {
        let directories = [TemporaryDirectory::new("log"), TemporaryDirectory::new("log-raw")];
        let log = MeasuredLog::create(directories[0].path(), file_bytes).unwrap();
        let raw = RawFile::create(directories[1].path(), file_bytes).unwrap();
        let bytes = (0..block_bytes).map(|place| u8::try_from(place * 131 % 251).unwrap()).collect();
        Self { log, raw, bytes, _directories: directories }
    }

    /// One block through the log, from sealed to durable.
    fn log_block(&mut self) -> Duration {
        self.log.prepare(&self.bytes[HEADER_BYTES..]).unwrap();
        let start = Instant::now();
        self.log.commit().unwrap();
        let time = start.elapsed();
        self.log.recycle();
        time
    }

    /// As many bytes straight to the disk.
    fn raw_block(&mut self) -> Duration {
        let start = Instant::now();
        self.raw.append(&self.bytes).unwrap();
        start.elapsed()
    }
}

fn percentile(times: &mut [Duration], per_mille: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * per_mille / 1000]
}

fn name(bytes: usize) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

fn main() {
    // `cargo test --benches` runs every part once with little, so that none rots.
    let is_test = std::env::args().any(|argument| argument == "--test") || cfg!(debug_assertions);
    if std::env::args().any(|argument| argument == "verifying") {
        return verify(is_test);
    }
    let sizes: &[(usize, usize)] = if is_test {
        &[(4 << 10, 3), (3 << 20, 2)]
    } else {
        &[(4 << 10, 1000), (64 << 10, 1000), (1 << 20, 400), (8 << 20, 60)]
    };

    let file_bytes = if is_test { 16 << 20 } else { 256 << 20 };

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("log");
    group.sample_size(10);
    for &(bytes, _) in sizes {
        let mut pair = Pair::new(bytes, file_bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("append-durable", name(bytes)), |b| {
            b.iter_custom(|times| (0..times).map(|_| pair.log_block()).sum());
        });
        group.bench_function(BenchmarkId::new("raw-write-and-sync", name(bytes)), |b| {
            b.iter_custom(|times| (0..times).map(|_| pair.raw_block()).sum());
        });
    }
    group.finish();

    println!("one block at a time, durable before the next; log and raw take turns");
    for &(bytes, count) in sizes {
        let mut pair = Pair::new(bytes, file_bytes);
        let (mut ours, mut raw): (Vec<_>, Vec<_>) = (0..count).map(|_| (pair.log_block(), pair.raw_block())).unzip();
        let total = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
        let (all, all_raw) = (total(&ours), total(&raw));
        let mut ratio = |per_mille| {
            let (ours, raw) = (percentile(&mut ours, per_mille), percentile(&mut raw, per_mille));
            (ours, raw, ours.as_secs_f64() / raw.as_secs_f64())
        };
        let ((p50, p50_raw, p50_ratio), (p99, p99_raw, p99_ratio)) = (ratio(500), ratio(990));
        println!(
            "{:>8}: {:6.0} MB/s, raw {:6.0} MB/s, ratio {:.2}; p50 {p50:.0?}, raw {p50_raw:.0?}, ratio {p50_ratio:.2}; \
             p99 {p99:.0?}, raw {p99_raw:.0?}, ratio {p99_ratio:.2}",
            name(bytes),
            (bytes * count) as f64 / all / 1e6,
            (bytes * count) as f64 / all_raw / 1e6,
            all_raw / all,
        );
    }
    reading(if is_test { 8 } else { 200 }, file_bytes);
    verify(is_test);
}

fn verify(is_test: bool) {
    let (payments, signed) = if is_test { (2_000, 400) } else { (2_000_000, 1_000_000) };
    verifying(payments, signed);
}

/// How fast a log of one-megabyte blocks is read through its maps, and checked from the medium.
fn reading(count: usize, file_bytes: u64) {
    let directory = TemporaryDirectory::new("log-reading");
    let mut log = MeasuredLog::create(directory.path(), file_bytes).unwrap();
    let body = vec![7; (1 << 20) - HEADER_BYTES];
    for _ in 0..count {
        log.prepare(&body).unwrap();
        log.commit().unwrap();
        log.recycle();
    }
    let start = Instant::now();
    let bytes = log.read_all().unwrap();
    println!(
        "read through the maps, each block checked: {:.0} MB/s",
        bytes as f64 / start.elapsed().as_secs_f64() / 1e6
    );
    drop(log);
    let start = Instant::now();
    let bytes = MeasuredLog::verify(directory.path()).unwrap();
    println!("verified from the medium: {:.0} MB/s", bytes as f64 / start.elapsed().as_secs_f64() / 1e6);
}

/// How fast a whole ledger of payments is verified: every hash and id, and every block executed again; without the signatures, then with them
/// beside the verifier alone on the same ones.
fn verifying(payments: usize, signed: usize) {
    let audited = |world: &World, signatures: bool| {
        let directory = TemporaryDirectory::new("log-verifying");
        let engine = world.engine(directory.path(), true).unwrap();
        world.run(&engine).unwrap();
        engine.close().unwrap();
        let audit = || {
            let start = Instant::now();
            let report = nostro::audit_ledger(directory.path(), signatures, &mut |_, _| ()).unwrap();
            (start.elapsed().as_secs_f64(), report)
        };
        let (first, second) = (audit(), audit());
        if first.0 < second.0 { first } else { second }
    };
    let accounts = (payments / 20).max(100);
    let (seconds, report) = audited(&World::unsigned(accounts, payments).unwrap(), false);
    println!(
        "a ledger of {payments} payments among {accounts} verified without signatures: {:.0} MB/s, {:.0} payments/s, digest {}",
        report.summary.bytes as f64 / seconds / 1e6,
        payments as f64 / seconds,
        report.state
    );
    let accounts = (signed / 4).max(100);
    let world = World::signed(accounts, signed).unwrap();
    let (seconds, report) = audited(&world, true);
    let alone = (0..2).map(|_| world.verify_alone(None)).min().unwrap().as_secs_f64();
    println!(
        "a ledger of {signed} payments among {accounts} verified with signatures: {:.0}/s, {:.3} of the verifier alone, {:.0}/s, digest {}",
        report.signatures as f64 / seconds,
        alone / seconds * report.signatures as f64 / signed as f64,
        signed as f64 / alone,
        report.state
    );
}
