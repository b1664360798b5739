//! The order book: messages of a stock exchange on a book with a million orders that wait, and on one that fits the caches.

use super::{batches, run};
use nostro::{ExecutionShape, MeasuredExecution, Time};
use nostro_bench::Failure;
use nostro_loadgen::{Mix, unsigned_load};
use std::time::{Duration, Instant};

/// Transactions per block, as a busy engine makes them.
const BLOCK: usize = 16_384;

/// The time at a share of all, from times in ascending order.
fn at(times: &[Duration], thousandths: usize) -> f64 {
    let place = (times.len() * thousandths / 1000).min(times.len().saturating_sub(1));
    times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

pub(super) fn print(is_test: bool) -> Result<(), Failure> {
    print_with(1_000_000, is_test)
}

/// The same with few orders that wait: what is left is computing.
pub(super) fn print_few(is_test: bool) -> Result<(), Failure> {
    print_with(5_000, is_test)
}

/// Eight markets inside execution: one by one, and by shards on more and more threads.
pub(super) fn print_markets(is_test: bool) -> Result<(), Failure> {
    let (orders, messages) = if is_test { (200, 1_000) } else { (100_000, 1_000_000) };
    println!("Eight markets: {orders} orders of as many accounts wait, the exchange mix in each, blocks of 16,384");
    println!("{:<44} {:>9} {:>9} {:>9} {:>9}", "", "execute", "effects", "both", "of serial");
    let load = unsigned_load(Mix::Markets, orders, messages, 1)?;
    let (mut serial, mut digest) = (None, None);
    for threads in 0..=std::thread::available_parallelism()?.get().min(8) {
        let mut execution = MeasuredExecution::new(ExecutionShape { threads, ..ExecutionShape::SERIAL })?;
        let mut settle = |bytes: &[u8]| -> Result<(Duration, Duration), Failure> {
            let block = execution.prepare(bytes.to_vec())?;
            let start = Instant::now();
            let executed = execution.execute(Time(1), &block);
            let middle = Instant::now();
            let settled = execution.finish(executed);
            let times = (middle - start, middle.elapsed());
            assert!(settled.rejections().is_empty(), "an author orders what can be done");
            execution.reuse(settled);
            Ok(times)
        };
        for block in batches(&load.setup, BLOCK)? {
            settle(block)?;
        }
        let (mut executing, mut finishing) = (Duration::ZERO, Duration::ZERO);
        for block in batches(&load.load, BLOCK)? {
            let times = settle(block)?;
            (executing, finishing) = (executing + times.0, finishing + times.1);
        }
        let [execute, effects] = [executing, finishing].map(|time| time.as_nanos() as f64 / messages as f64);
        let both = execute + effects;
        let of_serial = both / *serial.get_or_insert(both);
        let name = if threads == 0 { "one by one".to_owned() } else { format!("by shards, {threads} threads") };
        println!("{name:<44} {execute:>9.0} {effects:>9.0} {both:>9.0} {of_serial:>9.2}");
        let found = execution.digest();
        assert_eq!(*digest.get_or_insert(found), found, "{threads} threads");
    }
    Ok(())
}

fn print_with(orders: u32, is_test: bool) -> Result<(), Failure> {
    let (orders, messages, singles) = if is_test { (100, 500, 100) } else { (orders, 1_000_000, 100_000) };
    let load = unsigned_load(Mix::Exchange, orders, messages + singles, 1)?;
    println!("An order book: {orders} orders of as many accounts wait, the exchange mix");
    let ran = run(&load)?;
    println!("{:<44} {:>9.0} k messages/s", "through the engine, durable", ran.per_second() / 1e3);
    println!("{:<44} {:>9} ns", "  the execute thread, effects included", ran.execute_ns);
    println!("{:<44} {:>9}", "  rejected", ran.rejected);

    let mut execution = MeasuredExecution::new(ExecutionShape::SERIAL)?;
    for block in batches(&load.setup, BLOCK)? {
        let block = execution.prepare(block.to_vec())?;
        let settled = execution.settle(Time(1), &block);
        assert!(settled.rejections().is_empty(), "the setup is applied");
        execution.reuse(settled);
    }
    let all = batches(&load.load, usize::try_from(messages)?)?;
    let [many, few] = all.as_slice() else { return Err("expected messages for blocks, and some behind them".into()) };
    let (mut executing, mut finishing) = (Duration::ZERO, Duration::ZERO);
    for block in batches(many, BLOCK)? {
        let block = execution.prepare(block.to_vec())?;
        let start = Instant::now();
        let executed = execution.execute(Time(1), &block);
        let middle = Instant::now();
        let settled = execution.finish(executed);
        (executing, finishing) = (executing + (middle - start), finishing + middle.elapsed());
        execution.reuse(settled);
    }
    let each = |time: Duration| time.as_nanos() as f64 / messages as f64;
    println!("{:<44} {:>9.0} k messages/s", "inside execution, blocks of 16,384", 1e6 / each(executing));
    println!("{:<44} {:>9.0} ns, its effects {:.0} ns", "  of a message", each(executing), each(finishing));
    let mut times = Vec::new();
    for message in batches(few, 1)? {
        let block = execution.prepare(message.to_vec())?;
        let start = Instant::now();
        let executed = execution.execute(Time(1), &block);
        times.push(start.elapsed());
        let settled = execution.finish(executed);
        execution.reuse(settled);
    }
    times.sort_unstable();
    println!(
        "{:<44} p50 {:.2} µs, p99 {:.2} µs, p99.9 {:.2} µs, max {:.0} µs",
        "inside execution, one by one",
        at(&times, 500),
        at(&times, 990),
        at(&times, 999),
        at(&times, 1000)
    );
    println!("  digest {}", execution.digest());
    Ok(())
}
