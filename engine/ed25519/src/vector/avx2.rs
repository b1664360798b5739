//! The machine with AVX2: four 32-bit multiplications in one instruction, two of them for eight lanes.
//!
//! # Limbs
//!
//! Radix 2²⁵·⁵: ten limbs, even ones of 26 bits, odd ones of 25, each in a lane of 64 bits, four lanes to a register. The
//! multiplier reads the low 32 bits of a lane and ignores the rest.
//!
//! | value | bound of an even limb | of an odd limb | why |
//! | --- | --- | --- | --- |
//! | reduced | < 2²⁶ + 2¹⁷ | < 2²⁵ + 2¹⁷ | one carry through all limbs, the topmost times 19 into the lowest, and on |
//! | operand of a product | ≤ 2²⁷ | ≤ 2²⁶ | 19 times it is below 2³² |
//! | product of reduced | < 2⁵⁹ | < 2⁵⁸·⁴ | ten products, half of them times 19, odd ones with odd ones twice |
//! | bias of a difference | > 2⁶¹ − 2⁴⁰ | > 2⁶⁰ − 2³⁶ | `2³⁵·p`: above two products, whatever their value |
//! | sum | < 2⁶³ | < 2⁶² | four products and a bias |
//!
//! A register file of sixteen holds no element and a half, so the larger operations are functions of their own: a call
//! costs less than what it would spill.

#![expect(unsafe_code, reason = "vector instructions, behind the proof that the processor has them")]

use std::arch::x86_64::{
    __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castsi256_pd, _mm256_cmpeq_epi64,
    _mm256_loadu_si256, _mm256_movemask_pd, _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi64x,
    _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_sub_epi64, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use super::element::Element;
use super::{Field, LANES, Machine, NielsRow, PointRow, Work};

/// Proof that the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, if this processor has the instructions.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")).then_some(Self(()))
    }
}

impl Machine for Avx2 {
    type Field = Field4x2;
    type Words = Words4x2;

    #[inline(always)]
    fn prefetch(self, row: &NielsRow) {
        // SAFETY: both lines of the row are within it, and a prefetch reads nothing that the program could see. Every x86-64
        // processor has the instruction.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(row.0.as_ptr().cast());
            _mm_prefetch::<_MM_HINT_T0>(row.0.as_ptr().add(8).cast());
        }
    }

    #[inline]
    fn run<W: Work<Self>>(self, work: W) -> W::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,bmi2")]
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

/// Evaluates vector instructions, all of them arithmetic on registers.
///
/// The one argument for all of them: an `Avx2`, a `Field4x2` or a `Words4x2` is at hand, so the processor has the
/// instructions.
macro_rules! instructions {
    ($body:expr) => {{
        // SAFETY: the instructions need AVX2 and nothing else: no memory is touched but that of the values themselves.
        // Every caller holds an `Avx2` or what is made from one, which exist only where `Avx2::detect` found it.
        unsafe { $body }
    }};
}

mod half;
mod words;

use half::{EVEN, Half, MASKS, PRIME, add, difference, freeze_half, multiply_half, reduce_half, square_half};
use words::Words4x2;

/// Calls a function that is too large to be copied to every place it is used: `#[inline(never)]` alone does not
/// survive beside `#[target_feature]`, and the code grew beyond the instruction cache.
macro_rules! call {
    ($function:ident: $($signature:ty),+ => $output:ty; $($argument:expr),+) => {
        instructions!(std::hint::black_box($function as unsafe fn($($signature),+) -> $output)($($argument),+))
    };
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn multiply_wide(left: &Field4x2, right: &Field4x2) -> [Half; 2] {
    [multiply_half(&left.0[0], &right.0[0]), multiply_half(&left.0[1], &right.0[1])]
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn square_wide(field: &Field4x2) -> [Half; 2] {
    [square_half(&field.0[0]), square_half(&field.0[1])]
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn multiply(left: &Field4x2, right: &Field4x2) -> Field4x2 {
    let first = reduce_half(&multiply_half(&left.0[0], &right.0[0]));
    Field4x2([first, reduce_half(&multiply_half(&left.0[1], &right.0[1]))])
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn square(field: &Field4x2) -> Field4x2 {
    let first = reduce_half(&square_half(&field.0[0]));
    Field4x2([first, reduce_half(&square_half(&field.0[1]))])
}

/// The carried sum.
#[inline(never)]
#[target_feature(enable = "avx2")]
fn reduced_sum(left: &[Half; 2], right: &[Half; 2]) -> Field4x2 {
    let mut sum = *left;
    for (sum, right) in sum.iter_mut().zip(right) {
        for (sum, right) in sum.iter_mut().zip(right) {
            *sum = add(*sum, *right);
        }
    }
    Field4x2([reduce_half(&sum[0]), reduce_half(&sum[1])])
}

/// The carried difference.
#[inline(never)]
#[target_feature(enable = "avx2")]
fn reduced_difference(left: &[Half; 2], right: &[Half; 2]) -> Field4x2 {
    let difference = difference(left, right);
    Field4x2([reduce_half(&difference[0]), reduce_half(&difference[1])])
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn freeze(field: &Field4x2) -> Field4x2 {
    Field4x2([freeze_half(&field.0[0]), freeze_half(&field.0[1])])
}

/// All bits in the given lanes of a half.
#[inline]
#[target_feature(enable = "avx2")]
fn lane_mask(lanes: u8, half: usize) -> __m256i {
    let each = _mm256_setr_epi64x(1, 2, 4, 8);
    let bits = _mm256_set1_epi64x(i64::from(lanes >> (4 * half)));
    _mm256_cmpeq_epi64(_mm256_and_si256(bits, each), each)
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
            *replaced = _mm256_blendv_epi8(*replaced, *chosen, mask);
        }
    }
    replaced
}

#[inline(never)]
#[target_feature(enable = "avx2")]
fn negate_where(field: &Field4x2, lanes: u8) -> Field4x2 {
    let mut negated = *field;
    for (half, negated) in negated.0.iter_mut().enumerate() {
        let mask = lane_mask(lanes, half);
        for (limb, prime) in negated.iter_mut().zip(PRIME) {
            let negative = _mm256_sub_epi64(_mm256_set1_epi64x(2 * prime), *limb);
            *limb = _mm256_blendv_epi8(*limb, negative, mask);
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

/// `WORDS` words of eight rows as coordinates of five words, two limbs in each.
#[inline(never)]
#[target_feature(enable = "avx2")]
fn load_rows<const WORDS: usize, const COORDINATES: usize>(rows: [&[u64; WORDS]; LANES]) -> [Field4x2; COORDINATES] {
    let zero = _mm256_setzero_si256();
    let mut coordinates = [Field4x2([[zero; 10]; 2]); COORDINATES];
    for (half, rows) in rows.as_chunks::<4>().0.iter().enumerate() {
        for group in 0..WORDS / 4 {
            let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>().0.get(group).unwrap_or(&[0; 4]));
            for (word, pair) in load([a, b, c, d]).into_iter().enumerate() {
                let (coordinate, limb) = ((4 * group + word) / 5, (4 * group + word) % 5 * 2);
                if let Some(field) = coordinates.get_mut(coordinate) {
                    field.0[half][limb] = _mm256_and_si256(pair, _mm256_set1_epi64x(0xffff_ffff));
                    field.0[half][limb + 1] = _mm256_srli_epi64::<32>(pair);
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
            for (word, pair) in words.iter_mut().enumerate() {
                let (coordinate, limb) = ((4 * group + word) / 5, (4 * group + word) % 5 * 2);
                if let Some(field) = coordinates.get(coordinate) {
                    let (low, high) = (field.0[half][limb], field.0[half][limb + 1]);
                    *pair = _mm256_or_si256(low, _mm256_slli_epi64::<32>(high));
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
#[target_feature(enable = "avx2")]
fn load_encodings(encodings: [&[u8; 32]; LANES]) -> (Field4x2, u8) {
    let zero = _mm256_setzero_si256();
    let (mut field, mut signs) = (Field4x2([[zero; 10]; 2]), 0);
    for (half, encodings) in encodings.as_chunks::<4>().0.iter().enumerate() {
        let mut words = [[0; 4]; 4];
        for (words, encoding) in words.iter_mut().zip(encodings) {
            *words = super::signers::words(encoding);
        }
        let [a, b, c, d] = words.each_ref();
        let [a, b, c, d] = load([a, b, c, d]);
        let limbs = [
            a,
            _mm256_srli_epi64::<26>(a),
            _mm256_or_si256(_mm256_srli_epi64::<51>(a), _mm256_slli_epi64::<13>(b)),
            _mm256_srli_epi64::<13>(b),
            _mm256_srli_epi64::<38>(b),
            c,
            _mm256_srli_epi64::<25>(c),
            _mm256_or_si256(_mm256_srli_epi64::<51>(c), _mm256_slli_epi64::<13>(d)),
            _mm256_srli_epi64::<12>(d),
            _mm256_srli_epi64::<38>(d),
        ];
        for ((place, limb), mask) in field.0[half].iter_mut().zip(limbs).zip(MASKS) {
            *place = _mm256_and_si256(limb, _mm256_set1_epi64x(mask));
        }
        signs |= top_bits(d, half);
    }
    (field, signs)
}

impl Field for Field4x2 {
    type Machine = Avx2;
    type Wide = [Half; 2];

    #[inline(always)]
    fn splat(_: Avx2, element: &Element) -> Self {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(element: &Element) -> Field4x2 {
            let mut half = [_mm256_setzero_si256(); 10];
            for (pair, limb) in half.as_chunks_mut::<2>().0.iter_mut().zip(element.0) {
                let limb = limb.cast_signed();
                *pair = [_mm256_set1_epi64x(limb & EVEN), _mm256_set1_epi64x(limb >> 26)];
            }
            Field4x2([half; 2])
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
    fn multiply_wide(self, other: Self) -> Self::Wide {
        call!(multiply_wide: &Field4x2, &Field4x2 => [Half; 2]; &self, &other)
    }

    #[inline(always)]
    fn square_wide(self) -> Self::Wide {
        call!(square_wide: &Field4x2 => [Half; 2]; &self)
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
    fn widen(self) -> Self::Wide {
        self.0
    }

    #[inline(always)]
    fn wide_plus(left: Self::Wide, right: Self::Wide) -> Self::Wide {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(left: &[Half; 2], right: &[Half; 2]) -> [Half; 2] {
            let mut sum = *left;
            for (sum, right) in sum.iter_mut().zip(right) {
                for (sum, right) in sum.iter_mut().zip(right) {
                    *sum = add(*sum, *right);
                }
            }
            sum
        }
        instructions!(compiled(&left, &right))
    }

    #[inline(always)]
    fn wide_minus(left: Self::Wide, right: Self::Wide) -> Self::Wide {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(left: &[Half; 2], right: &[Half; 2]) -> [Half; 2] {
            difference(left, right)
        }
        instructions!(compiled(&left, &right))
    }

    #[inline(always)]
    fn reduce(wide: Self::Wide) -> Self {
        #[inline(never)]
        #[target_feature(enable = "avx2")]
        fn compiled(wide: &[Half; 2]) -> Field4x2 {
            Field4x2([reduce_half(&wide[0]), reduce_half(&wide[1])])
        }
        instructions!(compiled(&wide))
    }

    #[inline(always)]
    fn reduced_sum(left: Self::Wide, right: Self::Wide) -> Self {
        call!(reduced_sum: &[Half; 2], &[Half; 2] => Field4x2; &left, &right)
    }

    #[inline(always)]
    fn reduced_difference(left: Self::Wide, right: Self::Wide) -> Self {
        call!(reduced_difference: &[Half; 2], &[Half; 2] => Field4x2; &left, &right)
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
                    any = _mm256_or_si256(any, *limb);
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
            let [[first, ..], [second, ..]] = field.0;
            top_bits(_mm256_slli_epi64::<63>(first), 0) | top_bits(_mm256_slli_epi64::<63>(second), 1)
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
            for limb in 0..10 {
                let mut lanes = [0_u64; LANES];
                for (part, half) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(&field.0) {
                    // SAFETY: 32 bytes are written to an array of that size; the store needs no alignment.
                    unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), half[limb]) };
                }
                let lanes = from.map(|lane| lanes[usize::from(lane) % LANES]);
                for (part, half) in lanes.as_chunks::<4>().0.iter().zip(&mut permuted.0) {
                    // SAFETY: 32 bytes are read from an array of that size; the load needs no alignment.
                    half[limb] = unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
                }
            }
            permuted
        }
        instructions!(compiled(&self, from))
    }
}
