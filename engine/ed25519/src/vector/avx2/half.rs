//! Arithmetic of four elements: products, squares and carries. The bounds of limbs stand in the module above.
//!
//! Safe functions, which only code compiled with the same instructions may call as such.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_mul_epu32, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_slli_epi64, _mm256_srli_epi64, _mm256_sub_epi64,
};

/// Four elements: limb `i` of all of them in register `i`.
pub(super) type Half = [__m256i; 10];

/// Bits of an even limb, of an odd one.
pub(super) const EVEN: i64 = (1 << 26) - 1;
const ODD: i64 = (1 << 25) - 1;

/// The mask of each limb.
pub(super) const MASKS: [i64; 10] = [EVEN, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD];

/// The limbs of the prime.
pub(super) const PRIME: [i64; 10] = [EVEN - 18, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD];

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add(left: __m256i, right: __m256i) -> __m256i {
    _mm256_add_epi64(left, right)
}

/// A product of the low 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn product(left: __m256i, right: __m256i) -> __m256i {
    _mm256_mul_epu32(left, right)
}

/// Nineteen times a number below 2³².
#[inline]
#[target_feature(enable = "avx2")]
fn times_19(word: __m256i) -> __m256i {
    _mm256_mul_epu32(word, _mm256_set1_epi64x(19))
}

/// The sum of products.
macro_rules! products {
    ($left:ident $right:ident $(, $lefts:ident $rights:ident)*) => {{
        let sum = product($left, $right);
        $(let sum = add(sum, product($lefts, $rights));)*
        sum
    }};
}

/// A product, before carries. `d` is twice a limb of `f`, `n` nineteen times one of `g`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn multiply_half(f: &Half, g: &Half) -> Half {
    let [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9] = *f;
    let [g0, g1, g2, g3, g4, g5, g6, g7, g8, g9] = *g;
    let d1 = add(f1, f1);
    let d3 = add(f3, f3);
    let d5 = add(f5, f5);
    let d7 = add(f7, f7);
    let d9 = add(f9, f9);
    let n1 = times_19(g1);
    let n2 = times_19(g2);
    let n3 = times_19(g3);
    let n4 = times_19(g4);
    let n5 = times_19(g5);
    let n6 = times_19(g6);
    let n7 = times_19(g7);
    let n8 = times_19(g8);
    let n9 = times_19(g9);
    [
        products!(f0 g0, d1 n9, f2 n8, d3 n7, f4 n6, d5 n5, f6 n4, d7 n3, f8 n2, d9 n1),
        products!(f0 g1, f1 g0, f2 n9, f3 n8, f4 n7, f5 n6, f6 n5, f7 n4, f8 n3, f9 n2),
        products!(f0 g2, d1 g1, f2 g0, d3 n9, f4 n8, d5 n7, f6 n6, d7 n5, f8 n4, d9 n3),
        products!(f0 g3, f1 g2, f2 g1, f3 g0, f4 n9, f5 n8, f6 n7, f7 n6, f8 n5, f9 n4),
        products!(f0 g4, d1 g3, f2 g2, d3 g1, f4 g0, d5 n9, f6 n8, d7 n7, f8 n6, d9 n5),
        products!(f0 g5, f1 g4, f2 g3, f3 g2, f4 g1, f5 g0, f6 n9, f7 n8, f8 n7, f9 n6),
        products!(f0 g6, d1 g5, f2 g4, d3 g3, f4 g2, d5 g1, f6 g0, d7 n9, f8 n8, d9 n7),
        products!(f0 g7, f1 g6, f2 g5, f3 g4, f4 g3, f5 g2, f6 g1, f7 g0, f8 n9, f9 n8),
        products!(f0 g8, d1 g7, f2 g6, d3 g5, f4 g4, d5 g3, f6 g2, d7 g1, f8 g0, d9 n9),
        products!(f0 g9, f1 g8, f2 g7, f3 g6, f4 g5, f5 g4, f6 g3, f7 g2, f8 g1, f9 g0),
    ]
}

/// A square, before carries. `d` is twice a limb, `q` four times, `n` nineteen times.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn square_half(f: &Half) -> Half {
    let [f0, f1, f2, f3, f4, f5, f6, f7, f8, f9] = *f;
    let d0 = add(f0, f0);
    let d1 = add(f1, f1);
    let d2 = add(f2, f2);
    let d3 = add(f3, f3);
    let d4 = add(f4, f4);
    let d5 = add(f5, f5);
    let d6 = add(f6, f6);
    let d7 = add(f7, f7);
    let d8 = add(f8, f8);
    let d9 = add(f9, f9);
    let q1 = add(d1, d1);
    let q3 = add(d3, d3);
    let q5 = add(d5, d5);
    let q7 = add(d7, d7);
    let n5 = times_19(f5);
    let n6 = times_19(f6);
    let n7 = times_19(f7);
    let n8 = times_19(f8);
    let n9 = times_19(f9);
    [
        products!(f0 f0, q1 n9, d2 n8, q3 n7, d4 n6, d5 n5),
        products!(d0 f1, d2 n9, d3 n8, d4 n7, d5 n6),
        products!(d0 f2, d1 f1, q3 n9, d4 n8, q5 n7, f6 n6),
        products!(d0 f3, d1 f2, d4 n9, d5 n8, d6 n7),
        products!(d0 f4, q1 f3, f2 f2, q5 n9, d6 n8, d7 n7),
        products!(d0 f5, d1 f4, d2 f3, d6 n9, d7 n8),
        products!(d0 f6, q1 f5, d2 f4, d3 f3, q7 n9, f8 n8),
        products!(d0 f7, d1 f6, d2 f5, d3 f4, d8 n9),
        products!(d0 f8, q1 f7, d2 f6, q3 f5, f4 f4, d9 n9),
        products!(d0 f9, d1 f8, d2 f7, d3 f6, d4 f5),
    ]
}

/// Carries a limb into the next: even ones of 26 bits, odd ones of 25.
macro_rules! carry {
    (even $from:ident $into:ident) => {
        let $into = add($into, _mm256_srli_epi64::<26>($from));
        let $from = _mm256_and_si256($from, _mm256_set1_epi64x(EVEN));
    };
    (odd $from:ident $into:ident) => {
        let $into = add($into, _mm256_srli_epi64::<25>($from));
        let $from = _mm256_and_si256($from, _mm256_set1_epi64x(ODD));
    };
}

/// Carries: two chains side by side, then the topmost limb into the lowest.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn reduce_half(wide: &Half) -> Half {
    let [a, b, c, d, e, f, g, h, i, j] = *wide;
    carry!(even a b);
    carry!(even e f);
    carry!(odd b c);
    carry!(odd f g);
    carry!(even c d);
    carry!(even g h);
    carry!(odd d e);
    carry!(odd h i);
    carry!(even e f);
    carry!(even i j);
    let top = _mm256_srli_epi64::<25>(j);
    let j = _mm256_and_si256(j, _mm256_set1_epi64x(ODD));
    // 19 = 1 + 2 + 16, of a number that may have more than 32 bits.
    let a = add(add(a, top), add(add(top, top), _mm256_slli_epi64::<4>(top)));
    carry!(even a b);
    [a, b, c, d, e, f, g, h, i, j]
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn difference(left: &[Half; 2], right: &[Half; 2]) -> [Half; 2] {
    let mut difference = *left;
    for (difference, right) in difference.iter_mut().zip(right) {
        for ((difference, right), prime) in difference.iter_mut().zip(right).zip(PRIME) {
            *difference = add(*difference, _mm256_sub_epi64(_mm256_set1_epi64x(prime << 35), *right));
        }
    }
    difference
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn freeze_half(half: &Half) -> Half {
    // Below 2²⁵⁵ + 2¹⁰: the prime is in it once at most, and then adding 19 carries out of the top.
    let mut limbs = carried_through(half, _mm256_setzero_si256());
    let mut carry = _mm256_set1_epi64x(19);
    for (limb, mask) in limbs.iter().zip(MASKS) {
        let sum = add(*limb, carry);
        carry = if mask == EVEN { _mm256_srli_epi64::<26>(sum) } else { _mm256_srli_epi64::<25>(sum) };
    }
    limbs[0] = add(limbs[0], times_19(carry));
    let mut carry = _mm256_setzero_si256();
    for (limb, mask) in limbs.iter_mut().zip(MASKS) {
        let sum = add(*limb, carry);
        carry = if mask == EVEN { _mm256_srli_epi64::<26>(sum) } else { _mm256_srli_epi64::<25>(sum) };
        *limb = _mm256_and_si256(sum, _mm256_set1_epi64x(mask));
    }
    limbs
}

/// One carry through all limbs in turn, the topmost times 19 into the lowest.
#[inline]
#[target_feature(enable = "avx2")]
fn carried_through(half: &Half, mut carry: __m256i) -> Half {
    let mut limbs = *half;
    for (limb, mask) in limbs.iter_mut().zip(MASKS) {
        let sum = add(*limb, carry);
        carry = if mask == EVEN { _mm256_srli_epi64::<26>(sum) } else { _mm256_srli_epi64::<25>(sum) };
        *limb = _mm256_and_si256(sum, _mm256_set1_epi64x(mask));
    }
    limbs[0] = add(limbs[0], times_19(carry));
    limbs
}
