//! From one verdict on a batch to a verdict per signature, at a bounded cost.
//!
//! A batch whose sum vanishes is valid throughout. One that doesn't is cut in two: the left half is summed again, the
//! right half's sum is the whole less the left. Where few signatures are invalid this finds them in a few half-batches;
//! where many are it would cost ten batches, so it isn't tried where a sample has an invalid one, and stops when its
//! budget is spent; what is still open is verified one by one. The sample is taken in rounds, and ends with the first
//! invalid one: where all are invalid one round is enough, where one in 64 is, four nearly always see it.
//!
//! # Invariants
//!
//! 1. Every position ends valid by a vanishing sum that covers it, or by its own single check.
//! 2. No position is found invalid by anything but its own single check.
//! 3. The terms summed again are at most [`BUDGET_HALVES`] halves of the batch.
//! 4. The rounds of a sample are at most [`ROUNDS_MAX`], and one for every [`ROUND_EVERY`] positions but the first.
//!    Hence a position costs at most one sum, one and a half more, its own check, and a small share of the sample.

use std::ops::Range;

/// What can be summed and checked in ranges.
pub(crate) trait Sums {
    /// The sum of a range's terms; `Sub` gives the rest of a larger range.
    type Sum: Copy;

    /// The sum over a range of positions.
    fn sum(&mut self, range: Range<usize>) -> Self::Sum;

    /// The sum over what remains of `whole` without `part`.
    fn rest(&mut self, whole: Self::Sum, part: Self::Sum) -> Self::Sum;

    /// Whether eight times the sum is the identity.
    fn vanishes(&mut self, sum: Self::Sum) -> bool;

    /// Decides these positions on their own; whether one of them is invalid.
    fn sample(&mut self, positions: &[usize]) -> bool;

    /// A number that nobody outside can know, another for each position.
    fn secret(&self, position: usize) -> usize;

    /// Decides every position of the range on its own, now or later.
    fn decide_singly(&mut self, range: Range<usize>);

    /// Records that every signature of the range is valid.
    fn accept(&mut self, range: Range<usize>);

    /// The length below which single checks cost no more than another sum.
    fn leaf(&self) -> usize;

    /// Positions of a round of the sample.
    fn round(&self) -> usize;
}

/// Rounds of a sample.
const ROUNDS_MAX: usize = 4;

/// Positions for each round, so that a sample stays a small part of the batch.
const ROUND_EVERY: usize = 1 << 10;

/// Halves of the batch that may be summed again before the rest is verified one by one.
const BUDGET_HALVES: usize = 3;

/// Decides all of `0..length`.
pub(crate) fn decide(sums: &mut impl Sums, length: usize) {
    if length <= sums.leaf() {
        sums.decide_singly(0..length);
        return;
    }
    let sum = sums.sum(0..length);
    if sums.vanishes(sum) {
        sums.accept(0..length);
        return;
    }
    if is_sample_invalid(sums, length) {
        sums.decide_singly(0..length);
        return;
    }
    let mut budget = (length / 2).saturating_mul(BUDGET_HALVES);
    // Widest first, so that a spent budget has cleared the largest clean ranges it could.
    let mut open = std::collections::VecDeque::from([(0..length, sum)]);
    while let Some((range, sum)) = open.pop_front() {
        let middle = range.start.midpoint(range.end);
        let left = range.start..middle;
        if range.len() <= sums.leaf() || left.len() > budget {
            sums.decide_singly(range);
            continue;
        }
        budget -= left.len();
        let left_sum = sums.sum(left.clone());
        let right_sum = sums.rest(sum, left_sum);
        for (half, sum) in [(left, left_sum), (middle..range.end, right_sum)] {
            if sums.vanishes(sum) {
                sums.accept(half);
            } else {
                open.push_back((half, sum));
            }
        }
    }
}

/// Whether a sample of all positions has an invalid one. The batch is cut into equal parts, one position of each is taken, at
/// a secret place, and the rounds take turns among the parts.
fn is_sample_invalid(sums: &mut impl Sums, length: usize) -> bool {
    let rounds = (length / ROUND_EVERY).clamp(1, ROUNDS_MAX);
    let parts = (sums.round() * rounds).min(length);
    let stride = length / parts.max(1);
    (0..rounds).any(|round| {
        let starts = (round..parts).step_by(rounds).map(|part| part * stride);
        let positions: Vec<usize> = starts.map(|start| start + sums.secret(start) % stride.max(1)).collect();
        sums.sample(&positions)
    })
}
