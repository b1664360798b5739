//! Arithmetic of four elements: products, squares and carries. How and within what bounds stands in the module above.
//!
//! Safe functions, which only code compiled with the same instructions may call as such.

#![expect(clippy::float_arithmetic, reason = "constants, exact powers of two and sums of two of them")]

use std::arch::x86_64::{
    __m256d, __m256i, _mm256_add_epi64, _mm256_add_pd, _mm256_and_si256, _mm256_castpd_si256, _mm256_castsi256_pd,
    _mm256_fmadd_pd, _mm256_mul_epu32, _mm256_or_si256, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setzero_pd,
    _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi64, _mm256_sub_pd,
};

/// Four elements: limb `i` of all of them in register `i`, each a whole number.
pub(super) type Half = [__m256d; 5];

/// Sums of products of four elements before carries, as two's complement.
pub(super) type WideHalf = [__m256i; 5];

/// Bits of a limb.
pub(super) const MASK: i64 = (1 << 51) - 1;

/// `2⁵²`: a number of this binade has its last place at one.
pub(super) const WHOLE: f64 = 4_503_599_627_370_496.0;

/// `1½·2⁵²`: the same, with room for either sign.
const LOW: f64 = 6_755_399_441_055_744.0;

/// `1½·2¹⁰³`: a number of this binade has its last place at `2⁵¹`.
const HIGH: f64 = LOW * 2_251_799_813_685_248.0;

/// What a multiple of `2⁵¹` beside [`HIGH`] is taken from to stand beside [`LOW`], negated.
const TURN: f64 = HIGH + LOW;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add(left: __m256i, right: __m256i) -> __m256i {
    _mm256_add_epi64(left, right)
}

/// A number below 2⁵² as a limb.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn narrow(word: __m256i) -> __m256d {
    let whole = _mm256_set1_pd(WHOLE);
    _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(word, _mm256_castpd_si256(whole))), whole)
}

/// The halves of a product beside their constants: bits of `HIGH + high` and of `LOW + low`, where `high·2⁵¹ + low` is
/// the product.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn product(left: __m256d, right: __m256d) -> (__m256i, __m256i) {
    let high = _mm256_fmadd_pd(left, right, _mm256_set1_pd(HIGH));
    let low = _mm256_fmadd_pd(left, right, _mm256_sub_pd(_mm256_set1_pd(TURN), high));
    (_mm256_castpd_si256(high), _mm256_castpd_si256(low))
}

/// What the constants of so many products in each column come to, to be taken off.
const fn constants(products: [i64; 9]) -> [i64; 10] {
    let (high, low) = (HIGH.to_bits().cast_signed(), LOW.to_bits().cast_signed());
    let mut constants = [0_i64; 10];
    let mut column = 0;
    while column < 9 {
        constants[column] = constants[column].wrapping_sub(low.wrapping_mul(products[column]));
        constants[column + 1] = constants[column + 1].wrapping_sub(high.wrapping_mul(products[column]));
        column += 1;
    }
    constants
}

/// Adds up products by column: each list is that of the column of its place.
macro_rules! columns {
    ($constants:ident; $($column:literal: $($left:ident $right:ident),+;)+) => {{
        let mut columns = [_mm256_setzero_si256(); 10];
        for (column, constant) in columns.iter_mut().zip($constants) {
            *column = _mm256_set1_epi64x(constant);
        }
        $($(
            let (high, low) = product($left, $right);
            columns[$column] = add(columns[$column], low);
            columns[$column + 1] = add(columns[$column + 1], high);
        )+)+
        columns
    }};
}

/// Folds ten columns of weight 2⁵¹ⁱ to five: 2²⁵⁵ is 19 = 1 + 2 + 16.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(columns: [__m256i; 10]) -> WideHalf {
    let ([low, high], []) = columns.as_chunks::<5>() else { unreachable!("10 is twice 5") };
    let mut folded = *low;
    for (low, high) in folded.iter_mut().zip(high) {
        *low = add(add(*low, *high), add(add(*high, *high), _mm256_slli_epi64::<4>(*high)));
    }
    folded
}

/// A product, before carries.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn multiply_half(left: &Half, right: &Half) -> WideHalf {
    const CONSTANTS: [i64; 10] = constants([1, 2, 3, 4, 5, 4, 3, 2, 1]);
    let [a0, a1, a2, a3, a4] = *left;
    let [b0, b1, b2, b3, b4] = *right;
    fold(columns! { CONSTANTS;
        0: a0 b0;
        1: a0 b1, a1 b0;
        2: a0 b2, a1 b1, a2 b0;
        3: a0 b3, a1 b2, a2 b1, a3 b0;
        4: a0 b4, a1 b3, a2 b2, a3 b1, a4 b0;
        5: a1 b4, a2 b3, a3 b2, a4 b1;
        6: a2 b4, a3 b3, a4 b2;
        7: a3 b4, a4 b3;
        8: a4 b4;
    })
}

/// A square, before carries. `d` is twice a limb.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn square_half(half: &Half) -> WideHalf {
    const CONSTANTS: [i64; 10] = constants([1, 1, 2, 2, 3, 2, 2, 1, 1]);
    let [a0, a1, a2, a3, a4] = *half;
    let d0 = _mm256_add_pd(a0, a0);
    let d1 = _mm256_add_pd(a1, a1);
    let d2 = _mm256_add_pd(a2, a2);
    let d3 = _mm256_add_pd(a3, a3);
    fold(columns! { CONSTANTS;
        0: a0 a0;
        1: d0 a1;
        2: d0 a2, a1 a1;
        3: d0 a3, d1 a2;
        4: d0 a4, d1 a3, a2 a2;
        5: d1 a4, d2 a3;
        6: d2 a4, a3 a3;
        7: d3 a4;
        8: a4 a4;
    })
}

/// Limbs as two's complement.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn widen_half(half: &Half) -> WideHalf {
    let low = _mm256_set1_pd(LOW);
    let mut wide = [_mm256_setzero_si256(); 5];
    for (wide, limb) in wide.iter_mut().zip(half) {
        *wide = _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(*limb, low)), _mm256_castpd_si256(low));
    }
    wide
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum_half(left: &WideHalf, right: &WideHalf) -> WideHalf {
    let mut sum = *left;
    for (sum, right) in sum.iter_mut().zip(right) {
        *sum = add(*sum, *right);
    }
    sum
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn difference_half(left: &WideHalf, right: &WideHalf) -> WideHalf {
    let mut difference = *left;
    for (difference, right) in difference.iter_mut().zip(right) {
        *difference = _mm256_sub_epi64(*difference, *right);
    }
    difference
}

/// Nineteen times a number below 2³².
#[inline]
#[target_feature(enable = "avx2")]
fn times_19(word: __m256i) -> __m256i {
    _mm256_mul_epu32(word, _mm256_set1_epi64x(19))
}

/// One carry of every limb into the next, the topmost times 19 into the lowest; what is kept is signed.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn reduce_half(wide: &WideHalf) -> Half {
    // Makes every limb positive: half a limb for rounding to the nearest, and so much that carries are off by 2¹¹.
    let bias = _mm256_set1_epi64x((1 << 62) + (1 << 50));
    let mask = _mm256_set1_epi64x(MASK);
    let whole = _mm256_castpd_si256(_mm256_set1_pd(WHOLE));
    let mut carries = [_mm256_setzero_si256(); 5];
    let mut kept = carries;
    for ((carry, kept), wide) in carries.iter_mut().zip(&mut kept).zip(wide) {
        let biased = add(*wide, bias);
        *carry = _mm256_srli_epi64::<51>(biased);
        *kept = _mm256_or_si256(_mm256_and_si256(biased, mask), whole);
    }
    let [a, b, c, d, e] = carries;
    const OFF: f64 = WHOLE + 1_125_899_906_842_624.0;
    let others = _mm256_set1_pd(OFF + 2_048.0);
    [
        _mm256_sub_pd(_mm256_castsi256_pd(add(kept[0], times_19(e))), _mm256_set1_pd(OFF + 19.0 * 2_048.0)),
        _mm256_sub_pd(_mm256_castsi256_pd(add(kept[1], a)), others),
        _mm256_sub_pd(_mm256_castsi256_pd(add(kept[2], b)), others),
        _mm256_sub_pd(_mm256_castsi256_pd(add(kept[3], c)), others),
        _mm256_sub_pd(_mm256_castsi256_pd(add(kept[4], d)), others),
    ]
}

/// The same of limbs below 2⁵³.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn balanced_half(half: &Half) -> Half {
    let (round, down) = (_mm256_set1_pd(HIGH), _mm256_set1_pd(1.0 / 2_251_799_813_685_248.0));
    let mut carries = [_mm256_setzero_pd(); 5];
    let mut kept = carries;
    for ((carry, kept), limb) in carries.iter_mut().zip(&mut kept).zip(half) {
        *carry = _mm256_sub_pd(_mm256_add_pd(*limb, round), round);
        *kept = _mm256_sub_pd(*limb, *carry);
    }
    let [a, b, c, d, e] = carries;
    [
        _mm256_fmadd_pd(e, _mm256_set1_pd(19.0 / 2_251_799_813_685_248.0), kept[0]),
        _mm256_fmadd_pd(a, down, kept[1]),
        _mm256_fmadd_pd(b, down, kept[2]),
        _mm256_fmadd_pd(c, down, kept[3]),
        _mm256_fmadd_pd(d, down, kept[4]),
    ]
}

/// The representative from zero to the prime, its limbs digits.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn freeze_half(half: &Half) -> Half {
    // Twice the prime makes every limb positive and leaves a number below 2²⁵⁷.
    const TWICE_P: [i64; 5] = [(1 << 52) - 38, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2, (1 << 52) - 2];
    let mut digits = widen_half(half);
    for (digit, prime) in digits.iter_mut().zip(TWICE_P) {
        *digit = add(*digit, _mm256_set1_epi64x(prime));
    }
    // Then below 2²⁵⁵ + 2⁷: the prime is in it once at most, and adding 19 carries out of the top where it is.
    let carry = carry_through(&mut digits);
    digits[0] = add(digits[0], times_19(carry));
    let mut sum = digits;
    sum[0] = add(sum[0], _mm256_set1_epi64x(19));
    let carry = carry_through(&mut sum);
    digits[0] = add(digits[0], times_19(carry));
    carry_through(&mut digits);
    let mut frozen = *half;
    for (frozen, digit) in frozen.iter_mut().zip(digits) {
        *frozen = narrow(digit);
    }
    frozen
}

/// Carries through all limbs in turn; gives what leaves the top.
#[inline]
#[target_feature(enable = "avx2")]
fn carry_through(digits: &mut WideHalf) -> __m256i {
    let mut carry = _mm256_setzero_si256();
    for digit in digits {
        let sum = add(*digit, carry);
        carry = _mm256_srli_epi64::<51>(sum);
        *digit = _mm256_and_si256(sum, _mm256_set1_epi64x(MASK));
    }
    carry
}
