//! The result of a run: as JSON for machines, as two numbers and a table for people.

use crate::drive::Driven;
use crate::failure::Failure;
use crate::limit::{self, Queues, Shards};
use crate::machine::{self, Machine};
use crate::measure::Percentiles;
use crate::show::{grouped, microseconds, percent};
use nostro::{EngineConfig, EngineStats, Stage, StageStats};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Version of the JSON. A field may be added without a new one; none is removed or changes its meaning.
pub(crate) const SCHEMA: u32 = 1;

/// How an engine was set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EngineSetup {
    pub(crate) version: String,
    pub(crate) ledger: String,
    pub(crate) verify_threads: usize,
    pub(crate) verify_path: String,
    pub(crate) intake_transactions_max: usize,
    pub(crate) intake_bytes_max: usize,
    pub(crate) block_transactions_max: usize,
    pub(crate) block_bytes_max: usize,
    pub(crate) group_bytes_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) log_reserve_bytes: u64,
    pub(crate) key_cache_bytes: usize,
    /// As asked for; 0 leaves it to the engine.
    #[serde(default)]
    pub(crate) execute_threads: usize,
}

impl EngineSetup {
    pub(crate) fn new(config: &EngineConfig, stats: &EngineStats) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ledger: config.ledger.clone(),
            verify_threads: stats.verify_threads,
            verify_path: stats.verify_path.to_owned(),
            intake_transactions_max: config.intake_transactions_max,
            intake_bytes_max: config.intake_bytes_max,
            block_transactions_max: config.block_transactions_max,
            block_bytes_max: config.block_bytes_max,
            group_bytes_max: config.group_bytes_max,
            segment_bytes: config.segment_bytes,
            log_reserve_bytes: config.log_reserve_bytes,
            key_cache_bytes: config.key_cache_bytes,
            execute_threads: config.execute_threads,
        }
    }
}

/// What a stage has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StageCost {
    /// Processor time of all its threads, per transaction that was settled or rejected.
    pub(crate) cpu_ns_per_transaction: f64,
    /// Share of the time that its threads were at it, waiting for the disk included; 1 is always.
    pub(crate) occupancy: f64,
    /// Threads it has. Seal, sync and release share one.
    pub(crate) threads: usize,
    /// Batches or blocks it took the transactions in.
    pub(crate) pieces: u64,
}

/// Everything known of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) schema: u32,
    /// What was done: run, replay.
    pub(crate) command: String,
    /// How the load was sent: max, closed loop, open loop, recorded times.
    pub(crate) mode: String,
    pub(crate) arguments: Vec<String>,
    /// What the load is, in words that give it again.
    pub(crate) load: String,
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    pub(crate) engine: EngineSetup,
    /// No signature was verified.
    pub(crate) trust_signatures: bool,
    /// Signatures came with hints.
    #[serde(default)]
    pub(crate) hints: bool,
    /// Ctrl-C ended it early.
    pub(crate) interrupted: bool,
    /// Things a reader has to know.
    pub(crate) notes: Vec<String>,
    pub(crate) transactions_submitted: u64,
    /// In a durable block and applied.
    pub(crate) transactions_settled: u64,
    /// In a durable block without effect.
    pub(crate) transactions_rejected: u64,
    /// Never in a block.
    pub(crate) transactions_refused: u64,
    /// Rejections and refusals by reason.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// From the first submission to the last receipt.
    pub(crate) seconds: f64,
    /// Transactions settled per second.
    pub(crate) throughput_per_second: f64,
    /// The rate asked for, in an open loop.
    pub(crate) rate_per_second: Option<f64>,
    /// From the intended time of sending to the receipt.
    pub(crate) latency_us: Percentiles,
    /// From the submission to the receipt.
    pub(crate) service_us: Percentiles,
    pub(crate) stages: BTreeMap<String, StageCost>,
    /// The stage with the highest occupancy, or what held the load back.
    pub(crate) limited_by: String,
    /// The same in a sentence, and why.
    #[serde(default)]
    pub(crate) limit: String,
    /// What waited in the engine.
    #[serde(default)]
    pub(crate) queues: Queues,
    /// What of execution went by shards.
    #[serde(default)]
    pub(crate) shards: Shards,
    /// Sum over the stages but verification.
    pub(crate) cpu_ns_per_transaction_without_verify: f64,
    /// Processor time of the whole process, the load generator included.
    pub(crate) process_cpu_ns_per_transaction: f64,
    pub(crate) blocks: u64,
    pub(crate) log_bytes_per_transaction: f64,
    /// The most memory the process has held while the clock ran, the mapped load included.
    pub(crate) memory_peak_bytes: u64,
    /// The state digest after the last block.
    pub(crate) final_digest: String,
    /// The digest that this load is known to lead to.
    pub(crate) expected_digest: Option<String>,
}

#[expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "ratios for people, of counts below 2^53")]
fn ratio(part: u64, whole: f64) -> f64 {
    if whole > 0.0 { part as f64 / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// What limits a load beside the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeldBack {
    /// Nothing: the queue is kept full.
    Nothing,
    /// The rate asked for, where it is reached.
    Rate(f64),
    /// Something else, where no stage is saturated.
    By(&'static str),
}

/// Above this share of the time a stage counts as busy all the time.
pub(crate) const SATURATED: f64 = 0.9;
/// A rate counts as reached above this share of it.
const REACHED: f64 = 0.97;

impl Outcome {
    /// Takes in what a drive has measured. `held_back` names what limits the load when no stage is saturated.
    #[expect(clippy::float_arithmetic, reason = "ratios for people")]
    pub(crate) fn take(&mut self, driven: &Driven, held_back: HeldBack) {
        let measured = &driven.measured;
        let in_blocks = measured.applied + measured.rejected;
        self.transactions_submitted = driven.submitted;
        self.transactions_settled = measured.applied;
        self.transactions_rejected = measured.rejected;
        self.transactions_refused = measured.refused;
        self.reasons = measured.reasons.clone();
        self.seconds = driven.seconds;
        self.throughput_per_second = ratio(measured.applied, driven.seconds);
        self.latency_us = measured.latency();
        self.service_us = measured.service();
        self.process_cpu_ns_per_transaction = ratio(driven.process_cpu_ns, float(in_blocks));
        self.blocks = driven.after.blocks.saturating_sub(driven.before.blocks);
        let log_bytes = driven.after.log_bytes.saturating_sub(driven.before.log_bytes);
        self.log_bytes_per_transaction = ratio(log_bytes, float(in_blocks));
        self.memory_peak_bytes = machine::memory_peak();
        self.stages = BTreeMap::new();
        for stage in Stage::ALL {
            let (before, after) = (driven.before.stage(stage), driven.after.stage(stage));
            let threads = if stage == Stage::Verify { driven.after.verify_threads } else { 1 };
            let grown = |field: fn(&StageStats) -> u64| field(&after).saturating_sub(field(&before));
            let cost = StageCost {
                cpu_ns_per_transaction: ratio(grown(|stage| stage.cpu_ns), float(in_blocks)),
                occupancy: ratio(grown(|stage| stage.busy_ns), driven.seconds * 1e9 * float(threads as u64)),
                threads,
                pieces: grown(|stage| stage.pieces),
            };
            self.stages.insert(stage.name().to_owned(), cost);
        }
        let without = self.stages.iter().filter(|&(name, _)| name != Stage::Verify.name());
        self.cpu_ns_per_transaction_without_verify = without.map(|(_, cost)| cost.cpu_ns_per_transaction).sum();
        let busiest = self.stages.iter().max_by(|one, other| one.1.occupancy.total_cmp(&other.1.occupancy));
        let occupancy = busiest.map_or(0.0, |(_, cost)| cost.occupancy);
        let busiest = busiest.map_or("nothing", |(name, _)| name.as_str());
        let limit = match held_back {
            _ if in_blocks == 0 => "nothing",
            HeldBack::Rate(rate) if ratio(in_blocks, driven.seconds) >= rate * REACHED => "rate",
            HeldBack::By(what) if occupancy < SATURATED => what,
            _ => busiest,
        };
        self.limited_by = limit.to_owned();
        self.queues = driven.queues;
        self.shards = Shards::between(&driven.before, &driven.after, driven.seconds);
        let processors = ratio(driven.process_cpu_ns, driven.seconds * 1e9 * float(self.machine.cores as u64));
        self.limit = limit::sentence(self, processors);
    }

    /// Writes the JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| Failure::at(path, error))?;
        text.push('\n');
        std::fs::write(path, text)
            .map_err(|error| Failure::at(path, format_args!("expected to write the result, found: {error}")))
    }

    /// The result for people.
    #[expect(clippy::float_arithmetic, reason = "ratios for people")]
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string doesn't fail.
        let _ = self.headline(&mut text);
        let out = &mut text;
        let _ = writeln!(out, "\n  stage     CPU ns/transaction   occupancy   pieces");
        for stage in Stage::ALL {
            if let Some(cost) = self.stages.get(stage.name()) {
                let busy = cost.occupancy * 100.0;
                let threads = if cost.threads > 1 { format!(" × {} threads", cost.threads) } else { String::new() };
                let _ = writeln!(
                    out,
                    "  {:<9} {:>18.0}   {busy:>7.1} %   {}{threads}",
                    stage.name(),
                    cost.cpu_ns_per_transaction,
                    grouped(cost.pieces)
                );
            }
        }
        let _ = writeln!(
            out,
            "  all but verify: {:.0} ns; the whole process: {:.0} ns",
            self.cpu_ns_per_transaction_without_verify, self.process_cpu_ns_per_transaction
        );
        // Results of earlier versions have no sentence.
        let limit = if self.limit.is_empty() { &self.limited_by } else { &self.limit };
        let _ = writeln!(out, "\n  limited by    {limit}");
        out.push_str(&limit::lines(self));
        let _ = writeln!(
            out,
            "  log           {:.1} bytes per transaction, {} blocks",
            self.log_bytes_per_transaction,
            grouped(self.blocks)
        );
        let _ = writeln!(
            out,
            "  memory        {} MiB at most, the mapped load included",
            grouped(self.memory_peak_bytes >> 20)
        );
        let Machine { cpu, cores, memory, kernel } = &self.machine;
        let _ = writeln!(out, "  machine       {cpu}, {cores} cores, {} GiB, Linux {kernel}", memory >> 30);
        let _ = writeln!(out, "  load          {}", self.load);
        let _ = writeln!(out, "  final digest  {}", self.final_digest);
        if let Some(expected) = &self.expected_digest {
            let same = if *expected == self.final_digest { "the same" } else { "NOT THE SAME" };
            let _ = writeln!(out, "  expected      {expected}: {same}");
        }
        for note in &self.notes {
            let _ = writeln!(out, "  note          {note}");
        }
        if self.trust_signatures {
            let _ = writeln!(out, "\n{TRUSTED}");
        }
        text
    }

    fn headline(&self, out: &mut String) -> std::fmt::Result {
        if self.trust_signatures {
            writeln!(out, "{TRUSTED}\n")?;
        }
        if self.interrupted {
            writeln!(out, "Interrupted: what follows is what was done until then; all of it is durable.\n")?;
        }
        let kind = match (self.trust_signatures, self.hints) {
            (true, _) => "unverified",
            (false, true) => "signed and hinted",
            (false, false) => "signed",
        };
        let rate = format!("{:.0}", self.throughput_per_second).parse().unwrap_or(0);
        writeln!(out, "{:>12} {kind}, durable transactions per second", grouped(rate))?;
        writeln!(
            out,
            "{:>12} p99 latency (p50 {}, p99.9 {}, max {}), {}",
            microseconds(self.latency_us.p99),
            microseconds(self.latency_us.p50),
            microseconds(self.latency_us.p999),
            microseconds(self.latency_us.max),
            self.mode
        )?;
        if self.rate_per_second.is_some() {
            writeln!(
                out,
                "{:>12} p99 service time (p50 {}), from the submission instead of the intended time",
                microseconds(self.service_us.p99),
                microseconds(self.service_us.p50)
            )?;
        }
        writeln!(
            out,
            "{:>12} settled in {:.2} s, {} rejected, {} refused",
            grouped(self.transactions_settled),
            self.seconds,
            grouped(self.transactions_rejected),
            grouped(self.transactions_refused)
        )?;
        for (reason, count) in &self.reasons {
            let all = self.transactions_settled + self.transactions_rejected + self.transactions_refused;
            writeln!(out, "{:>12} {reason} ({} %)", grouped(*count), percent(*count, all))?;
        }
        Ok(())
    }
}

/// Said wherever a result without verification is shown.
pub(crate) const TRUSTED: &str =
    "*** NO SIGNATURE WAS VERIFIED (--trust-signatures): this measures everything else. ***";
