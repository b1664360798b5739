//! `loadgen compare`: two results side by side.
//!
//! Each is one run, so a difference within a twentieth is called the same: less than that is noise on a quiet machine too.

#![expect(clippy::float_arithmetic, reason = "ratios for people")]

use crate::arguments::CompareArguments;
use crate::failure::Failure;
use crate::outcome::Outcome;
use crate::report::read;

/// Relative difference that counts.
const NOISE: f64 = 0.05;

/// Compares them.
pub(crate) fn compare(arguments: &CompareArguments) -> Result<(), Failure> {
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    for (what, one, other) in [
        ("machine", format!("{:?}", before.machine), format!("{:?}", after.machine)),
        ("engine", format!("{:?}", before.engine), format!("{:?}", after.engine)),
        ("load", before.load.clone(), after.load.clone()),
        ("mode", before.mode.clone(), after.mode.clone()),
        ("trust_signatures", before.trust_signatures.to_string(), after.trust_signatures.to_string()),
    ] {
        if one != other {
            println!("not alike: {what}\n  before  {one}\n  after   {other}");
        }
    }
    println!("{:<40} {:>14} {:>14} {:>9}", "", "before", "after", "");
    let line = |name: &str, higher_is_better: bool, field: &dyn Fn(&Outcome) -> f64| {
        let (one, other) = (field(&before), field(&after));
        println!(
            "{name:<40} {one:>14.1} {other:>14.1} {:>+8.1} %  {}",
            change(one, other) * 100.0,
            verdict(one, other, higher_is_better)
        );
    };
    line("throughput per second", true, &|outcome| outcome.throughput_per_second);
    line("latency p50 µs", false, &|outcome| outcome.latency_us.p50);
    line("latency p99 µs", false, &|outcome| outcome.latency_us.p99);
    line("latency p99.9 µs", false, &|outcome| outcome.latency_us.p999);
    for stage in before.stages.keys().filter(|&name| after.stages.contains_key(name)) {
        let cost = |outcome: &Outcome| outcome.stages.get(stage).map_or(0.0, |cost| cost.cpu_ns_per_transaction);
        line(&format!("{stage} CPU ns per transaction"), false, &cost);
    }
    line("all but verify CPU ns per transaction", false, &|outcome| outcome.cpu_ns_per_transaction_without_verify);
    line("log bytes per transaction", false, &|outcome| outcome.log_bytes_per_transaction);
    let same = before.final_digest == after.final_digest;
    println!("final digest: {}", if same { "the same" } else { "not the same" });
    Ok(())
}

fn change(before: f64, after: f64) -> f64 {
    if before > 0.0 { after / before - 1.0 } else { 0.0 }
}

fn verdict(before: f64, after: f64, higher_is_better: bool) -> &'static str {
    let change = change(before, after);
    if change.abs() <= NOISE {
        "same"
    } else if (change > 0.0) == higher_is_better {
        "better"
    } else {
        "worse"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_knows_which_way_is_better() {
        assert_eq!(verdict(100.0, 120.0, true), "better");
        assert_eq!(verdict(100.0, 120.0, false), "worse");
        assert_eq!(verdict(100.0, 80.0, true), "worse");
        assert_eq!(verdict(100.0, 104.0, true), "same");
        assert_eq!(verdict(0.0, 5.0, true), "same");
    }
}
