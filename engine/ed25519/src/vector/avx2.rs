//! The machine with AVX2 and FMA: exact products of whole numbers in floating point, four at a time, two of them for eight lanes.
//!
//! # How a product of 102 bits is had from a multiplier of 53
//!
//! A limb is a whole number in a `f64`. `high = a·b + C` in one rounding, where `C = 1½·2¹⁰³` has 2⁵¹ for its last place, is `C`
//! and the multiple of 2⁵¹ nearest to the product; `low = a·b + (C + M − high)`, `M = 1½·2⁵²`, is `M` and what is left of it, exactly.
//! Both lie beside their constant in a known binade, so that their bits, taken as whole numbers, are those of the constant and
//! the quotient or the remainder: they are added up as such, and the constants taken off by the column. (Emmart, Zheng, Weems,
//! "Faster modular exponentiation using double precision floating point arithmetic on the GPU", ARITH 2018, for rounding to
//! nearest and with the radix in the place of the quotient.) It rests on the rounding mode, round to nearest, which Rust
//! assumes too.
//!
//! # Limbs
//!
//! Radix 2⁵¹, five limbs, signed, four lanes to a register.
//!
//! | value | bound of a limb's size | why |
//! | --- | --- | --- |
//! | reduced | ≤ 2⁵⁰ + 2¹⁶ | one carry pass to the nearest over limbs < 2⁶²: carries ≤ 2¹¹, the topmost times 19 |
//! | frozen, encoded | < 2⁵¹ | digits, not signed |
//! | operands of a product | a · b < 2¹⁰² | so that `C + a·b` stays in its binade; twice a reduced one times another is half that |
//! | high half of a product of reduced | ≤ 2⁴⁹ + 2¹⁶ | a · b / 2⁵¹ |
//! | low half | ≤ 2⁵⁰ | what is left of rounding to a multiple of 2⁵¹ |
//! | product of reduced | < 2⁵⁸ | 4 low and 5 high halves times 19, and one low half |
//! | sum | < 2⁶² | what a carry pass takes; four products are 2⁶⁰ |
//!
//! A register file of sixteen holds few elements, so the larger operations are functions of their own: a call
//! costs less than what it would spill.

#![expect(unsafe_code, reason = "vector instructions, behind the proof that the processor has them")]

use std::arch::x86_64::{
    __m256d, __m256i, _mm256_add_pd, _mm256_and_pd, _mm256_and_si256, _mm256_blendv_pd, _mm256_castpd_si256,
    _mm256_castsi256_pd, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setr_epi64x, _mm256_setzero_pd,
    _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_pd, _mm256_storeu_si256, _mm256_sub_pd,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_pd,
};

use super::element::Element;
use super::{Field, LANES, Machine, NielsRow, PointRow, Work};

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, if this processor has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("bmi2");
        has.then_some(Self(()))
    }
}

impl Machine for Avx2 {
    type Field = Field4x2;
    type Words = Words4x2;

    #[inline]
    fn run<W: Work<Self>>(self, work: W) -> W::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,bmi2")]
        fn compiled<W: Work<Avx2>>(machine: Avx2, work: W) -> W::Output {
            work.work(machine)
        }
        // SAFETY: `self` was made by `detect`, so the processor has every feature that `compiled` enables.
        unsafe { compiled(self, work) }
    }
}

/// Eight elements, the first four lanes in the first half. Only made from an [`Avx2`] or from another.
#[derive(Clone, Copy)]
pub(crate) struct Field4x2([Half; 2]);

/// Sums of products of eight elements, before carries.
#[derive(Clone, Copy)]
pub(crate) struct Wide4x2([WideHalf; 2]);

/// Evaluates vector instructions, all of them arithmetic on registers.
///
/// The one argument for all of them: an `Avx2`, a `Field4x2` or a `Words4x2` is at hand, so the processor has the
/// instructions.
macro_rules! instructions {
    ($body:expr) => {{
        // SAFETY: the instructions need AVX2 and FMA and nothing else: no memory is touched but that of the values themselves.
        // Every caller holds an `Avx2` or what is made from one, which exist only where `Avx2::detect` found them.
        unsafe { $body }
    }};
}

mod half;
mod words;

use half::{
    Half, MASK, WHOLE, WideHalf, balanced_half, difference_half, freeze_half, multiply_half, narrow, reduce_half,
    square_half, sum_half, widen_half,
};
use words::Words4x2;

/// Calls a function that is too large to be copied to every place it is used: `#[inline(never)]` alone does not
/// survive beside `#[target_feature]`, and the code grew beyond the instruction cache.
macro_rules! call {
    ($function:ident: $($signature:ty),+ => $output:ty; $($argument:expr),+) => {
        instructions!(std::hint::black_box($function as unsafe fn($($signature),+) -> $output)($($argument),+))
    };
}

/// Defines functions of both halves from functions of one.
macro_rules! both_halves {
    ($($(#[$meta:meta])* $name:ident: $($argument:ident: $type:ty),+ => $output:ident; $half:expr;)+) => {$(
        $(#[$meta])*
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn $name($($argument: &$type),+) -> $output {
            let first = {
                $(let $argument = &$argument.0[0];)+
                $half
            };
            let second = {
                $(let $argument = &$argument.0[1];)+
                $half
            };
            $output([first, second])
        }
    )+};
}

both_halves! {
    multiply_wide: left: Field4x2, right: Field4x2 => Wide4x2; multiply_half(left, right);
    square_wide: field: Field4x2 => Wide4x2; square_half(field);
    multiply: left: Field4x2, right: Field4x2 => Field4x2; reduce_half(&multiply_half(left, right));
    square: field: Field4x2 => Field4x2; reduce_half(&square_half(field));
    widen: field: Field4x2 => Wide4x2; widen_half(field);
    wide_plus: left: Wide4x2, right: Wide4x2 => Wide4x2; sum_half(left, right);
    wide_minus: left: Wide4x2, right: Wide4x2 => Wide4x2; difference_half(left, right);
    reduce: wide: Wide4x2 => Field4x2; reduce_half(wide);
    reduced_sum: left: Wide4x2, right: Wide4x2 => Field4x2; reduce_half(&sum_half(left, right));
    reduced_difference: left: Wide4x2, right: Wide4x2 => Field4x2; reduce_half(&difference_half(left, right));
    plus: left: Field4x2, right: Field4x2 => Field4x2; {
        let mut sum = *left;
        for (sum, right) in sum.iter_mut().zip(right) {
            *sum = _mm256_add_pd(*sum, *right);
        }
        balanced_half(&sum)
    };
    minus: left: Field4x2, right: Field4x2 => Field4x2; {
        let mut difference = *left;
        for (difference, right) in difference.iter_mut().zip(right) {
            *difference = _mm256_sub_pd(*difference, *right);
        }
        balanced_half(&difference)
    };
    freeze: field: Field4x2 => Field4x2; freeze_half(field);
}

/// All bits in the given lanes of a half.
#[inline]
#[target_feature(enable = "avx2")]
fn lane_mask(lanes: u8, half: usize) -> __m256d {
    let each = _mm256_setr_epi64x(1, 2, 4, 8);
    let bits = _mm256_set1_epi64x(i64::from(lanes >> (4 * half)));
    _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_and_si256(bits, each), each))
}

/// The lanes of a half whose topmost bit is set.
#[inline]
#[target_feature(enable = "avx2")]
fn top_bits(words: __m256i, half: usize) -> u8 {
    let bits = _mm256_movemask_pd(_mm256_castsi256_pd(words)).to_le_bytes()[0];
    bits << (4 * half)
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn replace_where(field: &Field4x2, lanes: u8, chosen: &Field4x2) -> Field4x2 {
    let mut replaced = *field;
    for (half, (replaced, chosen)) in replaced.0.iter_mut().zip(&chosen.0).enumerate() {
        let mask = lane_mask(lanes, half);
        for (replaced, chosen) in replaced.iter_mut().zip(chosen) {
            *replaced = _mm256_blendv_pd(*replaced, *chosen, mask);
        }
    }
    replaced
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn negate_where(field: &Field4x2, lanes: u8) -> Field4x2 {
    let mut negated = *field;
    for (half, negated) in negated.0.iter_mut().enumerate() {
        let signs = _mm256_and_pd(lane_mask(lanes, half), _mm256_set1_pd(-0.0));
        for limb in negated {
            *limb = _mm256_xor_pd(*limb, signs);
        }
    }
    negated
}

/// Four words of four rows, each word of all rows in one register; also its own converse.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (ab_even, ab_odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let (cd_even, cd_odd) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
    [
        _mm256_permute2x128_si256::<0x20>(ab_even, cd_even),
        _mm256_permute2x128_si256::<0x20>(ab_odd, cd_odd),
        _mm256_permute2x128_si256::<0x31>(ab_even, cd_even),
        _mm256_permute2x128_si256::<0x31>(ab_odd, cd_odd),
    ]
}

/// Four words from each of four places.
#[inline]
#[target_feature(enable = "avx2")]
fn load(rows: [&[u64; 4]; 4]) -> [__m256i; 4] {
    let mut words = [_mm256_setzero_si256(); 4];
    for (words, row) in words.iter_mut().zip(rows) {
        // SAFETY: 32 bytes are read from an array of that size; the load needs no alignment.
        *words = unsafe { _mm256_loadu_si256(row.as_ptr().cast()) };
    }
    transposed(words)
}

/// Four words to each of four places.
#[inline]
#[target_feature(enable = "avx2")]
fn store(words: [__m256i; 4], rows: [&mut [u64; 4]; 4]) {
    for (words, row) in transposed(words).into_iter().zip(rows) {
        // SAFETY: 32 bytes are written to an array of that size; the store needs no alignment.
        unsafe { _mm256_storeu_si256(row.as_mut_ptr().cast(), words) };
    }
}

/// `WORDS` words of eight rows as coordinates of five words, a limb in each.
#[inline(never)]
#[target_feature(enable = "avx2")]
fn load_rows<const WORDS: usize, const COORDINATES: usize>(rows: [&[u64; WORDS]; LANES]) -> [Field4x2; COORDINATES] {
    let mut coordinates = [Field4x2([[_mm256_setzero_pd(); 5]; 2]); COORDINATES];
    for (half, rows) in rows.as_chunks::<4>().0.iter().enumerate() {
        for group in 0..WORDS / 4 {
            let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0.get(group).unwrap_or(&[0; 4]));
            for (word, limb) in load([a, b, c, d]).into_iter().enumerate() {
                if let Some(field) = coordinates.get_mut((4 * group + word) / 5) {
                    field.0[half][(4 * group + word) % 5] = _mm256_castsi256_pd(limb);
                }
            }
        }
    }
    coordinates
}

/// The converse of [`load_rows`].
#[inline(never)]
#[target_feature(enable = "avx2")]
fn store_rows<const WORDS: usize, const COORDINATES: usize>(
    coordinates: &[Field4x2; COORDINATES],
) -> [[u64; WORDS]; LANES] {
    let mut rows = [[0; WORDS]; LANES];
    for (half, rows) in rows.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        for group in 0..WORDS / 4 {
            let mut words = [_mm256_setzero_si256(); 4];
            for (word, place) in words.iter_mut().enumerate() {
                if let Some(field) = coordinates.get((4 * group + word) / 5) {
                    *place = _mm256_castpd_si256(field.0[half][(4 * group + word) % 5]);
                }
            }
            let mut parts = [[0; 4]; 4];
            let [a, b, c, d] = parts.each_mut();
            store(words, [a, b, c, d]);
            for (row, part) in rows.iter_mut().zip(parts) {
                if let Some(place) = row.as_chunks_mut::<4>().0.get_mut(group) {
                    *place = part;
                }
            }
        }
    }
    rows
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn load_encodings(encodings: [&[u8; 32]; LANES]) -> (Field4x2, u8) {
    let (mut field, mut signs) = (Field4x2([[_mm256_setzero_pd(); 5]; 2]), 0);
    for (half, encodings) in encodings.as_chunks::<4>().0.iter().enumerate() {
        let mut words = [[0; 4]; 4];
        for (words, encoding) in words.iter_mut().zip(encodings) {
            *words = super::signers::words(encoding);
        }
        let [a, b, c, d] = words.each_ref();
        let [a, b, c, d] = load([a, b, c, d]);
        let digits = [
            a,
            _mm256_or_si256(_mm256_srli_epi64::<51>(a), _mm256_slli_epi64::<13>(b)),
            _mm256_or_si256(_mm256_srli_epi64::<38>(b), _mm256_slli_epi64::<26>(c)),
            _mm256_or_si256(_mm256_srli_epi64::<25>(c), _mm256_slli_epi64::<39>(d)),
            _mm256_srli_epi64::<12>(d),
        ];
        let mut limbs = [_mm256_setzero_pd(); 5];
        for (limb, digit) in limbs.iter_mut().zip(digits) {
            *limb = narrow(_mm256_and_si256(digit, _mm256_set1_epi64x(MASK)));
        }
        field.0[half] = balanced_half(&limbs);
        signs |= top_bits(d, half);
    }
    (field, signs)
}

impl Field for Field4x2 {
    type Machine = Avx2;
    type Wide = Wide4x2;

    #[inline(always)]
    fn splat(_: Avx2, element: &Element) -> Self {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        fn compiled(element: &Element) -> Field4x2 {
            let mut limbs = [_mm256_setzero_pd(); 5];
            for (limb, digit) in limbs.iter_mut().zip(element.0) {
                *limb = narrow(_mm256_set1_epi64x(digit.cast_signed()));
            }
            Field4x2([balanced_half(&limbs); 2])
        }
        instructions!(compiled(element))
    }

    #[inline(always)]
    fn load_encodings(_: Avx2, encodings: [&[u8; 32]; LANES]) -> (Self, u8) {
        instructions!(load_encodings(encodings))
    }

    #[inline(always)]
    fn load_niels(_: Avx2, rows: [&NielsRow; LANES]) -> [Self; 3] {
        instructions!(load_rows(rows.map(|row| &row.0)))
    }

    #[inline(always)]
    fn store_niels(coordinates: [Self; 3]) -> [NielsRow; LANES] {
        instructions!(store_rows(&coordinates)).map(NielsRow)
    }

    #[inline(always)]
    fn load_points(_: Avx2, rows: [&PointRow; LANES]) -> [Self; 4] {
        instructions!(load_rows(rows.map(|row| &row.0)))
    }

    #[inline(always)]
    fn store_points(coordinates: [Self; 4]) -> [PointRow; LANES] {
        instructions!(store_rows(&coordinates)).map(PointRow)
    }

    #[inline(always)]
    fn multiply_wide(self, other: Self) -> Wide4x2 {
        call!(multiply_wide: &Field4x2, &Field4x2 => Wide4x2; &self, &other)
    }

    #[inline(always)]
    fn square_wide(self) -> Wide4x2 {
        call!(square_wide: &Field4x2 => Wide4x2; &self)
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        call!(multiply: &Field4x2, &Field4x2 => Field4x2; &self, &other)
    }

    #[inline(always)]
    fn square(self) -> Self {
        call!(square: &Field4x2 => Field4x2; &self)
    }

    #[inline(always)]
    fn widen(self) -> Wide4x2 {
        instructions!(widen(&self))
    }

    #[inline(always)]
    fn wide_plus(left: Wide4x2, right: Wide4x2) -> Wide4x2 {
        instructions!(wide_plus(&left, &right))
    }

    #[inline(always)]
    fn wide_minus(left: Wide4x2, right: Wide4x2) -> Wide4x2 {
        instructions!(wide_minus(&left, &right))
    }

    #[inline(always)]
    fn reduce(wide: Wide4x2) -> Self {
        call!(reduce: &Wide4x2 => Field4x2; &wide)
    }

    #[inline(always)]
    fn reduced_sum(left: Wide4x2, right: Wide4x2) -> Self {
        call!(reduced_sum: &Wide4x2, &Wide4x2 => Field4x2; &left, &right)
    }

    #[inline(always)]
    fn reduced_difference(left: Wide4x2, right: Wide4x2) -> Self {
        call!(reduced_difference: &Wide4x2, &Wide4x2 => Field4x2; &left, &right)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        call!(plus: &Field4x2, &Field4x2 => Field4x2; &self, &other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        call!(minus: &Field4x2, &Field4x2 => Field4x2; &self, &other)
    }

    #[inline(always)]
    fn freeze(self) -> Self {
        call!(freeze: &Field4x2 => Field4x2; &self)
    }

    #[inline(always)]
    fn frozen_zeros(self) -> u8 {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(field: &Field4x2) -> u8 {
            let zero = _mm256_setzero_si256();
            let mut zeros = 0;
            for (half, limbs) in field.0.iter().enumerate() {
                let mut any = zero;
                for limb in limbs {
                    any = _mm256_or_si256(any, _mm256_castpd_si256(*limb));
                }
                zeros |= top_bits(_mm256_cmpeq_epi64(any, zero), half);
            }
            zeros
        }
        instructions!(compiled(&self))
    }

    #[inline(always)]
    fn frozen_odds(self) -> u8 {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(field: &Field4x2) -> u8 {
            let mut odds = 0;
            for (half, [lowest, ..]) in field.0.iter().enumerate() {
                // Beside 2⁵² the last bit is that of the number.
                let whole = _mm256_castpd_si256(_mm256_add_pd(*lowest, _mm256_set1_pd(WHOLE)));
                odds |= top_bits(_mm256_slli_epi64::<63>(whole), half);
            }
            odds
        }
        instructions!(compiled(&self))
    }

    #[inline(always)]
    fn replace_where(self, lanes: u8, chosen: Self) -> Self {
        instructions!(replace_where(&self, lanes, &chosen))
    }

    #[inline(always)]
    fn negate_where(self, lanes: u8) -> Self {
        instructions!(negate_where(&self, lanes))
    }

    #[inline(always)]
    fn permute(self, from: [u8; LANES]) -> Self {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(field: &Field4x2, from: [u8; LANES]) -> Field4x2 {
            let mut permuted = *field;
            for limb in 0..5 {
                let mut lanes = [0.0_f64; LANES];
                for (part, half) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(&field.0) {
                    // SAFETY: 32 bytes are written to an array of that size; the store needs no alignment.
                    unsafe { _mm256_storeu_pd(part.as_mut_ptr(), half[limb]) };
                }
                let lanes = from.map(|lane| lanes[usize::from(lane) % LANES].to_bits());
                for (part, half) in lanes.as_chunks::<4>().0.iter().zip(&mut permuted.0) {
                    // SAFETY: 32 bytes are read from an array of that size; the load needs no alignment.
                    half[limb] = _mm256_castsi256_pd(unsafe { _mm256_loadu_si256(part.as_ptr().cast()) });
                }
            }
            permuted
        }
        instructions!(compiled(&self, from))
    }
}
