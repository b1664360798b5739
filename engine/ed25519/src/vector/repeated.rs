//! Signers with many signatures in independent lanes: tables made once for each of them, and few doublings.
//!
//! A scalar has 64 digits of 4 bits, −8 to 8, cut into `p` *parts* of equal length. A signer's tables hold the multiples of
//! `2^(256·i/p)·A` for each part `i`; digits of the same place in all parts are added up, and the sum is doubled from place
//! to place, so that there are `256/p − 4` doublings in place of 124. The tables of the base are of 16 parts with digits of 8 bits;
//! those of 8 and of 4 parts are among them.
//!
//! # Cost
//!
//! Tables take `256 − 256/p` doublings and `8·p` additions for each eight signers. What is saved by more parts, by fewer or by
//! none at all depends on how many signatures there are and on how few sign them: [`Plan::for_counts`] weighs it.
//!
//! # Memory
//!
//! Tables exist for [`SIGNERS_TOGETHER`] signers at a time, so that they stay near the processor: at most
//! [`ROWS_MAX`] rows of 128 bytes.

#![expect(clippy::cast_possible_truncation, reason = "a batch has at most 2¹³ items, and rows for thrice as many")]

use super::doubled::{affine, invert_all};
use super::element::Element;
use super::lanes::fill_base_table;
use super::nonces::{Nonces, TOGETHER, judge};
use super::point::{Niels, Points};
use super::{Field, LANES, Machine, NielsRow, PointRow, Work};
use crate::scalar::Scalar;

/// Bits of a scalar, with what its digits' signs need.
const BITS: usize = 256;

/// Bits of a digit of a challenge.
const DIGIT_BITS: usize = 4;

/// Digits of a challenge.
const DIGITS: usize = BITS / DIGIT_BITS;

/// Multiples in a part of a signer's table: 1 to 8. The identity is elsewhere.
const MULTIPLES: usize = 8;

/// The most parts a scalar is cut into.
const PARTS_MAX: usize = 16;

/// Signers whose tables exist at a time.
const SIGNERS_TOGETHER: usize = 32;

/// Rows of all tables that exist at a time.
const ROWS_MAX: usize = SIGNERS_TOGETHER * PARTS_MAX * MULTIPLES;
const _: () = assert!(ROWS_MAX * size_of::<NielsRow>() == 512 << 10);

/// The multiples of `−2^(16·i)·B` for each part `i`, the identity before them: windows of 8 bits, digits −128 to 128.
pub(crate) type PartTables = [Vec<NielsRow>; PARTS_MAX];

/// How a scalar is cut for signers with many signatures, and what is many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// A power of two, 4 to 16.
    parts: usize,
    /// Signatures from which a signer has many.
    pub(crate) count_min: usize,
}

/// Costs for eight lanes, in nanoseconds of one processor; only their ratios matter.
mod cost {
    pub(super) const DOUBLING: usize = 95;
    pub(super) const ADDITION: usize = 105;
    /// A multiple of a table: an addition, and the way to `Z = 1`.
    pub(super) const MULTIPLE: usize = 220;
    pub(super) const INVERSION: usize = 5_500;
    /// Signatures of eight lanes without shared tables.
    pub(super) const ALONE: usize = 25_000;
}

impl Plan {
    /// The cheapest plan for signers with so many signatures each, or nothing if it is best not to share tables at all.
    pub(crate) fn for_counts(counts: impl Iterator<Item = usize>) -> Option<Self> {
        // Signers, and their signatures, of 2ⁱ signatures and more.
        let mut classes = [(0_usize, 0_usize); usize::BITS as usize];
        for count in counts {
            if let Some(class) = count.checked_ilog2()
                && let Some((signers, signatures)) = classes.get_mut(class as usize)
            {
                *signers += 1;
                *signatures += count;
            }
        }
        let (mut best, mut saved_most) = (None, 0);
        let (mut signers, mut signatures) = (0, 0);
        for (class, (more_signers, more_signatures)) in classes.iter().enumerate().rev() {
            (signers, signatures) = (signers + more_signers, signatures + more_signatures);
            for parts in [4, 8, PARTS_MAX] {
                let plan = Self { parts, count_min: 1 << class };
                let alone = signatures.div_ceil(LANES) * cost::ALONE;
                let saved = alone.saturating_sub(plan.cost(signers, signatures));
                if saved > saved_most {
                    (best, saved_most) = (Some(plan), saved);
                }
            }
        }
        best
    }

    /// What so many signatures by so many signers cost.
    fn cost(self, signers: usize, signatures: usize) -> usize {
        let part_bits = BITS / self.parts;
        let tables = (BITS - part_bits) * cost::DOUBLING + self.parts * MULTIPLES * cost::MULTIPLE + cost::INVERSION;
        let sum = (part_bits - DIGIT_BITS) * cost::DOUBLING + (DIGITS + DIGITS / 2) * cost::ADDITION;
        signers.div_ceil(LANES) * tables + signatures.div_ceil(LANES) * sum
    }
}

/// Computes the tables of the base's parts from the row of `−B`.
pub(crate) struct MakePartTables<'a> {
    pub(crate) identity: &'a NielsRow,
    pub(crate) point: &'a NielsRow,
}

impl<M: Machine> Work<M> for MakePartTables<'_> {
    type Output = PartTables;

    #[inline(always)]
    fn work(self, machine: M) -> PartTables {
        let mut tables: PartTables = std::array::from_fn(|_| vec![*self.identity]);
        let mut base = Niels::<M::Field>::load(machine, [self.point; LANES]);
        for table in &mut tables {
            fill_base_table(machine, base, table);
            let next = Points::<M::Field>::from_niels(machine, base).double_times((BITS / PARTS_MAX) as u32);
            base = affine(machine, next);
        }
        tables
    }
}

/// A well-formed signature whose signer has tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    /// The signer, among those whose tables are made.
    pub(crate) signer: u32,
    /// `k`.
    pub(crate) challenge: Scalar,
    /// `s`.
    pub(crate) response: Scalar,
}

/// Verifies signatures by signers with many; `repeats`, `nonces` and `verdicts` are of equal length.
pub(crate) struct VerifyRepeated<'a, 'b> {
    pub(crate) plan: Plan,
    pub(crate) base: &'a PartTables,
    /// The rows of the batch.
    pub(crate) rows: &'a [NielsRow],
    /// The row of every signer's `A`.
    pub(crate) signers: &'a [u32],
    /// In the order of their signers.
    pub(crate) repeats: &'a [Repeat],
    pub(crate) nonces: Nonces<'a, 'b>,
    pub(crate) verdicts: &'a mut [bool],
}

impl VerifyRepeated<'_, '_> {
    /// Verifies the signatures, the tables of some signers at a time.
    pub(crate) fn run<M: Machine>(self, machine: M) {
        let Self { plan, base, rows, signers, repeats, nonces, verdicts } = self;
        let Some(identity) = rows.first() else { return };
        let rows_together = SIGNERS_TOGETHER.min(signers.len()) * plan.parts * MULTIPLES;
        let mut tables = vec![*identity; rows_together.min(ROWS_MAX)];
        let mut expected = vec![PointRow([0; 20]); TOGETHER];
        let (mut first, mut first_signer) = (0, 0);
        for signers in signers.chunks(SIGNERS_TOGETHER) {
            machine.run(MakeTables { parts: plan.parts, rows, signers, tables: &mut tables });
            let end_signer = first_signer + signers.len() as u32;
            let end = repeats.partition_point(|repeat| repeat.signer < end_signer);
            for start in (first..end).step_by(TOGETHER) {
                let range = start..end.min(start + TOGETHER);
                let (Some(repeats), Some(verdicts)) = (repeats.get(range.clone()), verdicts.get_mut(range.clone()))
                else {
                    return;
                };
                for (group, expected) in repeats.chunks(LANES).zip(expected.as_chunks_mut::<LANES>().0) {
                    let parts = plan.parts;
                    machine.run(ExpectedNonces {
                        parts,
                        identity,
                        base,
                        tables: &tables,
                        first_signer,
                        group,
                        expected,
                    });
                }
                judge(machine, rows, &expected, nonces.of(range), verdicts);
            }
            (first, first_signer) = (end, end_signer);
        }
    }
}

/// Makes the tables of some signers, in their order: for each of them each part's multiples.
struct MakeTables<'a> {
    parts: usize,
    rows: &'a [NielsRow],
    signers: &'a [u32],
    tables: &'a mut [NielsRow],
}

impl<M: Machine> Work<M> for MakeTables<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { parts, rows, signers, tables } = self;
        let Some(identity) = rows.first() else { return };
        let length = parts * MULTIPLES;
        let mut multiples = vec![Points::<M::Field>::identity(machine); length];
        let mut inverses = vec![M::Field::splat(machine, &Element::ONE); length];
        for (signers, tables) in signers.chunks(LANES).zip(tables.chunks_mut(LANES * length)) {
            let row = |signer: &u32| rows.get(*signer as usize).unwrap_or(identity);
            let keys = std::array::from_fn(|lane| signers.get(lane).map_or(identity, row));
            let mut point = Points::<M::Field>::from_niels(machine, Niels::load(machine, keys));
            for (part, multiples) in multiples.as_chunks_mut::<MULTIPLES>().0.iter_mut().enumerate() {
                if part > 0 {
                    point = point.double_times((BITS / parts) as u32);
                }
                let addends = point.addends(machine);
                let mut multiple = point;
                for place in multiples {
                    *place = multiple;
                    multiple = multiple.plus(addends);
                }
            }
            invert_all(machine, &multiples, &mut inverses);
            for (index, (points, inverse)) in multiples.iter().zip(&inverses).enumerate() {
                for (lane, row) in points.scaled(machine, *inverse).store().into_iter().enumerate() {
                    if let Some(place) = tables.get_mut(lane * length + index) {
                        *place = row;
                    }
                }
            }
        }
    }
}

/// What makes all digits of 4 bits but the topmost unsigned, and of 8.
const KEY_BIAS: Scalar = [0x8888_8888_8888_8888, 0x8888_8888_8888_8888, 0x8888_8888_8888_8888, 0x0888_8888_8888_8888];
const BASE_BIAS: Scalar = [0x8080_8080_8080_8080, 0x8080_8080_8080_8080, 0x8080_8080_8080_8080, 0x0080_8080_8080_8080];

/// A scalar below 2²⁵³ whose digits are unsigned.
#[inline(always)]
fn biased(scalar: &Scalar, bias: &Scalar) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut carry = false;
    for ((bytes, word), bias) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(scalar).zip(bias) {
        let sum;
        (sum, carry) = word.carrying_add(*bias, carry);
        *bytes = sum.to_le_bytes();
    }
    debug_assert!(!carry, "the topmost digit has no bias");
    bytes
}

/// The size of a 4-bit digit, and whether it is negative.
#[inline(always)]
fn key_digit(biased: &[u8; 32], place: usize) -> (usize, bool) {
    let byte = biased.get(place / 2).copied().map_or(0, i32::from);
    let digit = (byte >> (place % 2 * DIGIT_BITS) & 0xf) - if place + 1 == DIGITS { 0 } else { 8 };
    (digit.unsigned_abs() as usize, digit < 0)
}

/// The size of an 8-bit digit, and whether it is negative.
#[inline(always)]
fn base_digit(biased: &[u8; 32], place: usize) -> (usize, bool) {
    let digit = biased.get(place).copied().map_or(0, i32::from) - if place == 31 { 0 } else { 128 };
    (digit.unsigned_abs() as usize, digit < 0)
}

/// `s·B − k·A` of up to eight signatures.
struct ExpectedNonces<'a> {
    parts: usize,
    identity: &'a NielsRow,
    base: &'a PartTables,
    /// The tables of some signers from `first_signer` on.
    tables: &'a [NielsRow],
    first_signer: u32,
    group: &'a [Repeat],
    expected: &'a mut [PointRow; LANES],
}

impl<M: Machine> Work<M> for ExpectedNonces<'_> {
    type Output = ();

    #[inline(always)]
    fn work(self, machine: M) {
        let Self { parts, identity, base, tables, first_signer, group, expected } = self;
        let Some(first) = group.first() else { return };
        let length = parts * MULTIPLES;
        let lanes: [&Repeat; LANES] = std::array::from_fn(|lane| group.get(lane).unwrap_or(first));
        let own = lanes.map(|repeat| {
            let start = (repeat.signer - first_signer) as usize * length;
            tables.get(start..start + length).unwrap_or(&[])
        });
        let key_digits = lanes.map(|repeat| biased(&repeat.challenge, &KEY_BIAS));
        let base_digits = lanes.map(|repeat| biased(&repeat.response, &BASE_BIAS));
        let places = DIGITS / parts;
        // The tables are those of A and −B; the sum is that of −A and B.
        let mut sum = Points::<M::Field>::identity(machine);
        for place in (0..places).rev() {
            if place + 1 < places {
                sum = sum.double_times(DIGIT_BITS as u32);
            }
            for part in 0..parts {
                let mut positive = 0;
                let mut picked = [identity; LANES];
                for (lane, (digits, (own, picked))) in key_digits.iter().zip(own.iter().zip(&mut picked)).enumerate() {
                    let (size, negative) = key_digit(digits, part * places + place);
                    positive |= u8::from(!negative) << lane;
                    if size > 0 {
                        *picked = own.get(part * MULTIPLES + size - 1).unwrap_or(identity);
                    }
                }
                sum = sum.plus_niels(Niels::load(machine, picked).negate_where(positive));
            }
            if place % 2 == 0 {
                for (part, table) in base.iter().step_by(PARTS_MAX / parts).enumerate() {
                    let mut positive = 0;
                    let mut picked = [identity; LANES];
                    for (lane, (digits, picked)) in base_digits.iter().zip(&mut picked).enumerate() {
                        let (size, negative) = base_digit(digits, (part * places + place) / 2);
                        positive |= u8::from(!negative) << lane;
                        *picked = table.get(size).unwrap_or(identity);
                    }
                    sum = sum.plus_niels(Niels::load(machine, picked).negate_where(positive));
                }
            }
        }
        *expected = sum.store();
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::edwards::EdwardsPoint;
    use curve25519_dalek::scalar::Scalar as Reference;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::super::VectorVerifier;
    use super::super::avx2::Avx2;
    use super::super::decode::Decode;
    use super::super::ifma::Ifma;
    use super::*;
    use crate::scalar::canonical;

    /// A scalar at the edges of its digits as often as not.
    fn scalar(generator: &mut ChaCha8Rng) -> Reference {
        let mut bytes = [0; 32];
        match generator.next_u32() % 6 {
            0 => return -Reference::from(generator.next_u32() % 3),
            1 => bytes.fill(0x88),
            2 => bytes.fill(0x77),
            3 => bytes.fill(0x80),
            _ => generator.fill_bytes(&mut bytes),
        }
        bytes[31] &= 0x0f;
        Reference::from_bytes_mod_order(bytes)
    }

    /// Signers with torsion and without, each with a number of signatures that fills no group of lanes: every third one is
    /// wrong, the others have torsion of every order.
    fn repeats_are_judged<M: Machine>(machine: M) {
        let verifier = VectorVerifier::new(machine, 0);
        let mut generator = ChaCha8Rng::seed_from_u64(7);
        for (plan, signers) in [4, 8, 16].map(|parts| Plan { parts, count_min: 1 }).into_iter().zip([3, 70, 33]) {
            let (mut encodings, mut repeats, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            let mut nonces = Vec::new();
            for signer in 0..signers {
                let key = EdwardsPoint::mul_base(&scalar(&mut generator)) + EIGHT_TORSION[signer % 8];
                encodings.push(key.compress().to_bytes());
                for signature in 0..signer * 5 % 23 + 1 {
                    let (challenge, response) = (scalar(&mut generator), scalar(&mut generator));
                    let wrong = if repeats.len() % 3 == 1 {
                        EdwardsPoint::mul_base(&scalar(&mut generator))
                    } else {
                        EIGHT_TORSION[signature % 8]
                    };
                    let nonce = EdwardsPoint::mul_base(&response) - challenge * key + wrong;
                    expected.push(wrong.is_small_order());
                    nonces.push(nonce.compress().to_bytes());
                    repeats.push(Repeat {
                        signer: signer as u32,
                        challenge: canonical(&challenge.to_bytes()).expect("reduced"),
                        response: canonical(&response.to_bytes()).expect("reduced"),
                    });
                }
            }
            encodings.extend(&nonces);
            let encodings: Vec<&[u8; 32]> = encodings.iter().collect();
            let mut rows = vec![verifier.fixed[0]; 1 + encodings.len()];
            let mut decoded = vec![false; encodings.len()];
            machine.run(Decode { encodings: &encodings, rows: &mut rows[1..], decoded: &mut decoded });
            let places: Vec<u32> = (1..=signers as u32).collect();
            let nonce_places: Vec<u32> = (signers as u32 + 1..).take(repeats.len()).collect();
            for nonces in [Nonces::Decoded(&nonce_places), Nonces::Encoded(&encodings[signers..])] {
                let mut verdicts: Vec<bool> = expected.iter().map(|verdict| !verdict).collect();
                let base = &verifier.part_tables;
                let (repeats, verdicts_of) = (&repeats, &mut verdicts);
                VerifyRepeated { plan, base, rows: &rows, signers: &places, repeats, nonces, verdicts: verdicts_of }
                    .run(machine);
                assert_eq!(verdicts, expected, "{plan:?}, {signers} signers, {nonces:?}");
            }
        }
    }

    #[test]
    fn signatures_of_signers_with_many_get_their_verdict_whatever_the_parts() {
        if let Some(machine) = Ifma::detect() {
            repeats_are_judged(machine);
        }
        if let Some(machine) = Avx2::detect() {
            repeats_are_judged(machine);
        }
    }

    #[test]
    fn tables_are_shared_where_signers_repeat_and_nowhere_else() {
        let plan = |counts: &[(usize, usize)]| {
            Plan::for_counts(counts.iter().flat_map(|(signers, count)| std::iter::repeat_n(*count, *signers)))
        };
        assert_eq!(plan(&[]), None);
        assert_eq!(plan(&[(4_096, 1)]), None);
        assert_eq!(plan(&[(1, 8)]), None, "tables for one signer cost as much as for eight");
        assert_eq!(plan(&[(64, 64)]), Some(Plan { parts: 16, count_min: 64 }));
        assert_eq!(plan(&[(64, 40), (1_000, 1)]), Some(Plan { parts: 16, count_min: 32 }));
        assert!(plan(&[(512, 8)]).is_some());
    }
}
