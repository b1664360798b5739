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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A batch whose sums are counts of invalid signatures, and what was done to it.
    struct Counted {
        invalid: Vec<bool>,
        verdicts: Vec<Option<bool>>,
        summed: usize,
        sampled: Vec<usize>,
        /// What is secret about every position.
        secret: usize,
    }

    impl Sums for Counted {
        type Sum = usize;

        fn sum(&mut self, range: Range<usize>) -> usize {
            self.summed += range.len();
            self.invalid[range].iter().filter(|invalid| **invalid).count()
        }

        fn rest(&mut self, whole: usize, part: usize) -> usize {
            whole - part
        }

        fn vanishes(&mut self, sum: usize) -> bool {
            sum == 0
        }

        fn sample(&mut self, positions: &[usize]) -> bool {
            self.sampled.extend(positions);
            positions.iter().any(|position| self.invalid[*position])
        }

        fn secret(&self, position: usize) -> usize {
            let mixed = (self.secret << 32 | position).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
        }

        fn decide_singly(&mut self, range: Range<usize>) {
            for position in range {
                assert_eq!(self.verdicts[position].replace(!self.invalid[position]), None, "{position} twice");
            }
        }

        fn accept(&mut self, range: Range<usize>) {
            for position in range {
                assert_eq!(self.verdicts[position].replace(true), None, "{position} twice");
            }
        }

        fn leaf(&self) -> usize {
            64
        }

        fn round(&self) -> usize {
            64
        }
    }

    /// Decides a batch in which these positions are invalid, and holds the invariants.
    fn decided(length: usize, secret: usize, is_invalid: impl Fn(usize) -> bool) -> Counted {
        let invalid: Vec<bool> = (0..length).map(is_invalid).collect();
        let (verdicts, sampled) = (vec![None; length], Vec::new());
        let mut batch = Counted { invalid, verdicts, summed: 0, sampled, secret };
        decide(&mut batch, length);
        for (position, (verdict, invalid)) in batch.verdicts.iter().zip(&batch.invalid).enumerate() {
            assert_eq!(*verdict, Some(!invalid), "{position} of {length}");
        }
        assert!(batch.summed <= length + length / 2 * BUDGET_HALVES, "{} summed of {length}", batch.summed);
        let rounds = (length / ROUND_EVERY).clamp(1, ROUNDS_MAX);
        assert!(batch.sampled.len() <= 64 * rounds, "{} sampled of {length}", batch.sampled.len());
        let distinct: BTreeSet<usize> = batch.sampled.iter().copied().collect();
        assert_eq!(distinct.len(), batch.sampled.len(), "nothing is sampled twice");
        batch
    }

    #[test]
    fn every_position_gets_its_verdict_at_a_bounded_cost() {
        for length in [0_usize, 1, 63, 64, 65, 96, 127, 128, 129, 1_000, 1_024, 3_000, 4_096, 8_192] {
            for every in [1, 2, 7, 64, 65, 500, 4_000] {
                for first in [0, 1, length / 2, length.saturating_sub(1)] {
                    decided(length, every, |position| position % every == first % every);
                    decided(length, every, |position| position >= first && (position - first) % every == 0);
                }
            }
        }
    }

    #[test]
    fn a_valid_batch_is_summed_once_and_not_sampled() {
        let batch = decided(4_096, 0, |_| false);
        assert_eq!((batch.summed, batch.sampled.len()), (4_096, 0));
    }

    #[test]
    fn one_round_is_enough_where_all_are_invalid() {
        let batch = decided(4_096, 0, |_| true);
        assert_eq!((batch.summed, batch.sampled.len()), (4_096, 64));
    }

    #[test]
    fn a_batch_with_one_invalid_signature_in_64_is_hardly_ever_bisected() {
        let bisected =
            (0..1_000).filter(|secret| decided(4_096, secret * 77, |position| position % 64 == 9).summed > 4_096);
        // (63/64)²⁵⁶ is 1.8 %.
        assert!(bisected.count() < 60);
    }

    #[test]
    fn every_position_may_be_sampled() {
        let seen: BTreeSet<usize> = (0..400).flat_map(|secret| decided(4_096, secret, |at| at == 0).sampled).collect();
        assert_eq!(seen.len(), 4_096);
    }
}
