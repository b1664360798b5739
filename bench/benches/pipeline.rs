//! The whole engine: signed and durable against the verifier alone, everything but verification, latency alone, reopening.
//!
//! `cargo bench -p nostro-bench --bench pipeline`. Ratios within one run are what counts. After the groups a summary prints them,
//! with the state digest that was reached, so that a faster wrong answer would be seen.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a benchmark")]

use criterion::{Criterion, Throughput};
use nostro::{Engine, EngineConfig, EngineStats, Stage};
use nostro_bench::{TemporaryDirectory, World};
use nostro_ed25519::Path;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// One measured run: how long it took and what it says of itself.
struct Run {
    time: Duration,
    before: EngineStats,
    engine: Engine,
    _directory: TemporaryDirectory,
}

fn run(world: &World, trust: bool, name: &str) -> Run {
    let directory = TemporaryDirectory::new(name);
    let engine = world.engine(directory.path(), trust).unwrap();
    let before = engine.stats();
    let start = Instant::now();
    world.run(&engine).unwrap();
    Run { time: start.elapsed(), before, engine, _directory: directory }
}

/// One transfer at a time, each waited for.
fn alone(engine: &Engine, payments: &[u8]) -> Vec<Duration> {
    let submitter = engine.submitter();
    let latency = |payment: &[u8]| {
        let start = Instant::now();
        submitter.submit_encoded(payment).unwrap().wait().unwrap();
        start.elapsed()
    };
    payments.chunks(nostro_bench::PAYMENT_BYTES).map(latency).collect()
}

/// The same number of 4 KiB writes into a zero-filled file, each synced.
fn raw_syncs(count: usize) -> Vec<Duration> {
    let directory = TemporaryDirectory::new("raw");
    std::fs::create_dir_all(directory.path()).unwrap();
    let file = std::fs::OpenOptions::new().create_new(true).write(true).open(directory.path().join("raw")).unwrap();
    file.write_all_at(&vec![0; count * 4096], 0).unwrap();
    file.sync_all().unwrap();
    let write = |n: usize| {
        let start = Instant::now();
        file.write_all_at(&[1; 4096], n as u64 * 4096).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    };
    (0..count).map(write).collect()
}

fn percentile(times: &mut [Duration], per_mille: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * per_mille / 1000]
}

fn main() {
    // `cargo test --benches` runs every part once on a small world, so that none rots.
    let is_test = std::env::args().any(|argument| argument == "--test") || cfg!(debug_assertions);
    let (accounts, signed_count, trusted_count) =
        if is_test { (1_000, 2_000, 4_000) } else { (100_000, 400_000, 10_000_000) };
    let signed = World::signed(accounts, signed_count).unwrap();
    let trusted = World::unsigned(accounts, trusted_count).unwrap();

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10).throughput(Throughput::Elements(signed.count() as u64));
    group.bench_function("signed-durable", |b| {
        b.iter_custom(|times| (0..times).map(|_| run(&signed, false, "signed").time).sum());
    });
    group.bench_function("verifier-alone", |b| {
        b.iter_custom(|times| (0..times).map(|_| signed.verify_alone(None)).sum());
    });
    group.throughput(Throughput::Elements(trusted.count() as u64));
    group.bench_function("trusted-durable", |b| {
        b.iter_custom(|times| (0..times).map(|_| run(&trusted, true, "trusted").time).sum());
    });
    group.finish();

    summary(&signed, &trusted);
}

/// Every ratio in one run, pair by pair.
fn summary(signed: &World, trusted: &World) {
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    for _ in 0..3 {
        let alone = rate(signed.count(), signed.verify_alone(None));
        let portable = rate(signed.count(), signed.verify_alone(Some(Path::Portable)));
        let whole = rate(signed.count(), run(signed, false, "signed").time);
        println!(
            "signed, durable: {whole:.0}/s; {:.3} of the verifier alone, {alone:.0}/s; {:.2} of the portable one, {portable:.0}/s",
            whole / alone,
            whole / portable
        );
    }
    let trusted_run = run(trusted, true, "trusted");
    let (before, stats) = (&trusted_run.before, trusted_run.engine.stats());
    println!("signatures trusted, durable: {:.0}/s", rate(trusted.count(), trusted_run.time));
    let mut sum = 0.0;
    for stage in Stage::ALL {
        let cost = (stats.stage(stage).cpu_ns - before.stage(stage).cpu_ns) as f64 / trusted.count() as f64;
        sum += cost;
        println!("  {:8} {cost:5.0} ns of CPU per transfer", stage.name());
    }
    println!(
        "  everything but verification: {sum:.0} ns; log {:.1} bytes per transfer",
        (stats.log_bytes - before.log_bytes) as f64 / trusted.count() as f64
    );
    println!("  state digest {}", trusted_run.engine.snapshot().unwrap().digest());

    let directory = trusted_run.engine.directory().to_path_buf();
    trusted_run.engine.close().unwrap();
    let start = Instant::now();
    let reopened = Engine::open(&directory, EngineConfig::default()).unwrap();
    let count = usize::try_from(reopened.recovered().transactions).unwrap();
    println!("reopened: {:.0}/s, state digest {}", rate(count, start.elapsed()), reopened.snapshot().unwrap().digest());
    drop(reopened);

    let count = (signed.count() / 2).min(500);
    let directory = TemporaryDirectory::new("alone");
    let engine = signed.engine(directory.path(), false).unwrap();
    let (mut ours, mut raw) =
        (alone(&engine, &signed.payments[..count * nostro_bench::PAYMENT_BYTES]), raw_syncs(count));
    let (p50, p50_raw) = (percentile(&mut ours, 500), percentile(&mut raw, 500));
    let (p99, p99_raw) = (percentile(&mut ours, 990), percentile(&mut raw, 990));
    println!(
        "one transfer alone: p50 {p50:?}, p99 {p99:?}; raw 4 KiB write and sync: p50 {p50_raw:?}, p99 {p99_raw:?}"
    );
    println!("  ratio of p50: {:.2}", p50.as_secs_f64() / p50_raw.as_secs_f64());
}
