//! What is measured while the clock runs: histograms and counts.

use hdrhistogram::Histogram;
use nostro::{Outcome, Receipts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest latency that is told apart: an hour, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// When transactions were meant to be sent, in nanoseconds from the start.
#[derive(Debug)]
pub(crate) enum Dues {
    /// When they were: the engine's own pace.
    WhenSent,
    /// All at one time.
    At(u64),
    /// Each at its own.
    Each(Vec<u64>),
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

/// Counts and histograms of one run.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From the intended time of sending to the receipt, in nanoseconds.
    latency: Histogram<u64>,
    /// From the submission to the receipt.
    service: Histogram<u64>,
    pub(crate) applied: u64,
    pub(crate) rejected: u64,
    pub(crate) refused: u64,
    /// Rejections and refusals by their texts.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// When the last receipt came.
    pub(crate) last_ns: u64,
}

impl Measured {
    pub(crate) fn new() -> Result<Self, hdrhistogram::CreationError> {
        let histogram = Histogram::new_with_max(LONGEST_NS, 3)?;
        Ok(Self {
            latency: histogram.clone(),
            service: histogram,
            applied: 0,
            rejected: 0,
            refused: 0,
            reasons: BTreeMap::new(),
            last_ns: 0,
        })
    }

    /// Transactions whose fate is known.
    pub(crate) const fn done(&self) -> u64 {
        self.applied + self.rejected + self.refused
    }

    /// Counts a submission whose receipts came at `now_ns`.
    pub(crate) fn record(&mut self, receipts: &Receipts, dues: &Dues, sent_ns: u64, now_ns: u64) {
        let count = receipts.len() as u64;
        self.service.saturating_record_n(now_ns.saturating_sub(sent_ns).max(1), count);
        match dues {
            Dues::WhenSent => self.latency.saturating_record_n(now_ns.saturating_sub(sent_ns).max(1), count),
            Dues::At(due) => self.latency.saturating_record_n(now_ns.saturating_sub(*due).max(1), count),
            Dues::Each(dues) => {
                dues.iter().for_each(|due| self.latency.saturating_record(now_ns.saturating_sub(*due).max(1)));
            }
        }
        let (rejected, refused) = (receipts.rejected() as u64, receipts.refused() as u64);
        self.applied += receipts.applied() as u64;
        self.rejected += rejected;
        self.refused += refused;
        self.last_ns = now_ns;
        if rejected + refused > 0 {
            for result in receipts.iter() {
                let reason = match result {
                    Ok(receipt) => match receipt.outcome {
                        Outcome::Applied => continue,
                        Outcome::Rejected(rejection) => format!("rejected: {}", rejection.code),
                    },
                    Err(refusal) => format!("refused: {refusal}"),
                };
                *self.reasons.entry(reason).or_insert(0) += 1;
            }
        }
    }

    /// Percentiles of the latency.
    pub(crate) fn latency(&self) -> Percentiles {
        percentiles(&self.latency)
    }

    /// Percentiles of the service time.
    pub(crate) fn service(&self) -> Percentiles {
        percentiles(&self.service)
    }
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "microseconds for people, below 2^53 ns")]
fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    if histogram.is_empty() {
        return Percentiles::default();
    }
    let (max, mean) = (histogram.max() as f64 / 1000.0, histogram.mean() / 1000.0);
    Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max, mean }
}
