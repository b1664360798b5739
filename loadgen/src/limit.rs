//! What limited a run, and why: how busy each stage was, what waited before it, and how evenly the shards shared their work.

use crate::outcome::{Outcome, SATURATED};
use crate::show::grouped;
use nostro::{EngineStats, ShardPartStats, Stage};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What waited in the engine: means of what was there each time somebody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Queues {
    /// How often somebody looked.
    pub(crate) samples: u64,
    /// Transactions admitted and not yet durable.
    pub(crate) waiting: f64,
    /// The most of them.
    pub(crate) waiting_max: u64,
    /// Of those: not yet verified.
    pub(crate) before_verify: f64,
    /// Verified and not yet executed.
    pub(crate) before_execute: f64,
    /// Executed and not yet durable and told.
    pub(crate) before_release: f64,
}

impl Queues {
    /// Looks once more.
    #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "means for people, of counts below 2^53")]
    pub(crate) fn look(&mut self, stats: &EngineStats) {
        let waiting = stats.waiting_transactions as u64;
        let passed = |stage| stats.stage(stage).transactions;
        // Counters are read one after the other while they grow.
        let between = |one, other| passed(one).saturating_sub(passed(other)).min(waiting);
        self.samples += 1;
        self.waiting_max = self.waiting_max.max(waiting);
        let share = (self.samples as f64).recip();
        for (mean, now) in [
            (&mut self.waiting, waiting),
            (&mut self.before_verify, between(Stage::Admit, Stage::Verify)),
            (&mut self.before_execute, between(Stage::Verify, Stage::Execute)),
            (&mut self.before_release, between(Stage::Execute, Stage::Release)),
        ] {
            *mean += (now as f64 - *mean) * share;
        }
    }

    /// What waits before a stage, where that is known.
    fn before(&self, stage: &str) -> Option<f64> {
        match stage {
            "verify" => Some(self.before_verify),
            "execute" => Some(self.before_execute),
            "seal" | "sync" | "release" => Some(self.before_release),
            _ => None,
        }
    }
}

/// A part of the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Debits and credits it had.
    pub(crate) halves: u64,
    /// How long threads were at it.
    pub(crate) seconds: f64,
    /// The same as a share of the time.
    pub(crate) occupancy: f64,
}

/// How much of execution went by shards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shards {
    /// Blocks that went by shards.
    pub(crate) blocks: u64,
    /// Transactions in them.
    pub(crate) transactions: u64,
    /// What of them had to be done in order all the same.
    pub(crate) ordered: u64,
    /// What the busiest part had, over what it would have had if all had been as busy; 1 is even, 0 if no block went by shards.
    pub(crate) busiest: f64,
    /// Each part, in order.
    pub(crate) parts: Vec<Part>,
}

impl Shards {
    /// What has happened between two looks, in so many seconds.
    #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "ratios for people, of counts below 2^53")]
    pub(crate) fn between(before: &EngineStats, after: &EngineStats, seconds: f64) -> Self {
        let old = |place: usize| before.shard_parts.get(place).copied().unwrap_or_default();
        let grown = |(place, part): (usize, &ShardPartStats)| {
            let spent = part.busy_ns.saturating_sub(old(place).busy_ns) as f64 / 1e9;
            let occupancy = if seconds > 0.0 { spent / seconds } else { 0.0 };
            Part { halves: part.halves.saturating_sub(old(place).halves), seconds: spent, occupancy }
        };
        let parts: Vec<Part> = after.shard_parts.iter().enumerate().map(grown).collect();
        let all: u64 = parts.iter().map(|part| part.halves).sum();
        let most = parts.iter().map(|part| part.halves).max().unwrap_or(0);
        Self {
            blocks: after.shards.blocks.saturating_sub(before.shards.blocks),
            transactions: after.shards.transactions.saturating_sub(before.shards.transactions),
            ordered: after.shards.ordered.saturating_sub(before.shards.ordered),
            busiest: if all > 0 { (most * parts.len() as u64) as f64 / all as f64 } else { 0.0 },
            parts,
        }
    }
}

fn percent(share: f64) -> String {
    #[expect(clippy::float_arithmetic, reason = "shown to people")]
    let percent = share * 100.0;
    format!("{percent:.0} %")
}

fn whole(mean: f64) -> String {
    grouped(format!("{mean:.0}").parse().unwrap_or(0))
}

/// Says in a sentence what limited a run and why. `processors` is the share of all processors' time that the process took.
pub(crate) fn sentence(outcome: &Outcome, processors: f64) -> String {
    let mut stages: Vec<(&str, f64, usize)> =
        outcome.stages.iter().map(|(name, cost)| (name.as_str(), cost.occupancy, cost.threads)).collect();
    stages.sort_by(|one, other| other.1.total_cmp(&one.1));
    let [(busiest, occupancy, threads), (next, next_occupancy, _), ..] = stages[..] else {
        return "nothing was measured".to_owned();
    };
    let busy = percent(occupancy);
    let mut text = match outcome.limited_by.as_str() {
        "nothing" => return "no transaction came into a block, so nothing limited them".to_owned(),
        "rate" => {
            return format!("the rate asked for was kept; the busiest stage, {busiest}, was at it {busy} of the time");
        }
        limit if limit != busiest => {
            return format!(
                "{limit}: no stage was at it all the time; the busiest, {busiest}, {busy}, with {} transactions waiting in all",
                whole(outcome.queues.waiting)
            );
        }
        _ if occupancy >= SATURATED => {
            let whose = if threads > 1 { format!("its {threads} threads were") } else { "it was".to_owned() };
            format!("{busiest}: {whose} at it {busy} of the time")
        }
        #[expect(clippy::float_arithmetic, reason = "a share")]
        _ if processors >= SATURATED * SATURATED => {
            let taken = percent(processors);
            format!(
                "the processors: {taken} of their time was taken; of the stages {busiest} was at it longest, {busy}"
            )
        }
        _ => format!("no stage all the time: {busiest} was at it longest, {busy}"),
    };
    // Writing to a string doesn't fail.
    if let Some(before) = outcome.queues.before(busiest) {
        let _ = write!(text, ", with {} transactions waiting before it", whole(before));
    }
    let _ = write!(text, "; next was {next}, {}", percent(next_occupancy));
    text
}

/// The lines of a report about queues and shards.
pub(crate) fn lines(outcome: &Outcome) -> String {
    let mut text = String::new();
    let out = &mut text;
    let Queues { samples, waiting, waiting_max, before_verify, before_execute, before_release } = outcome.queues;
    if samples > 0 {
        let _ = writeln!(
            out,
            "  waiting       {} transactions of {} on average, {} at most: {} before verify, {} before execute, {} before release",
            whole(waiting),
            grouped(outcome.engine.intake_transactions_max as u64),
            grouped(waiting_max),
            whole(before_verify),
            whole(before_execute),
            whole(before_release)
        );
    }
    let Shards { blocks, transactions, ordered, busiest, parts } = &outcome.shards;
    if *blocks == 0 {
        let _ = writeln!(out, "  shards        no block went by shards");
        return text;
    }
    let _ = writeln!(
        out,
        "  shards        {} blocks of {} went by shards, {} transactions, {} in order all the same; the busiest part had {busiest:.2} × its share",
        grouped(*blocks),
        grouped(outcome.blocks),
        grouped(*transactions),
        grouped(*ordered)
    );
    for (some, first) in parts.chunks(8).zip((0..).step_by(8)) {
        let all: Vec<String> =
            some.iter().map(|part| format!("{:.3} s {:>4}", part.seconds, percent(part.occupancy))).collect();
        let _ = writeln!(out, "    from part {first:<3} {}", all.join("  "));
    }
    text
}
