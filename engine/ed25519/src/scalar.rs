//! Scalars modulo `l = 2²⁵² + c`, as four words, least first.
//!
//! The batch equation is multiplied by eight, so its scalars matter modulo `l` alone. Reduction folds: `2²⁵⁶` is `−16c`,
//! a number of 129 bits, so each fold takes some 127 bits off; a multiple of `l` keeps the difference from going below zero.

/// A number below 2²⁵⁶.
pub(crate) type Scalar = [u64; 4];

/// `l`.
const ORDER: Scalar = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// `−2²⁵⁶ mod l = 2¹²⁸ + FOLD`.
const FOLD: [u64; 2] = [0x8126_31a5_cf5d_3ed0, 0x4def_9dea_2f79_cd65];

/// `c = l − 2²⁵²`.
const LOW_ORDER: [u64; 2] = [ORDER[0], ORDER[1]];

/// `l · 2¹³³`, above every `h · (2¹²⁸ + FOLD)` with `h < 2²⁵⁶`.
const MULTIPLE_133: [u64; 7] = shifted_order(133);

/// `l · 2¹⁴`, above every `h · (2¹²⁸ + FOLD)` with `h < 2¹³⁷`.
const MULTIPLE_14: [u64; 7] = shifted_order(14);

const fn shifted_order(bits: usize) -> [u64; 7] {
    let mut shifted = [0; 7];
    let mut index = 0;
    while index < 4 {
        shifted[index + bits / 64] |= ORDER[index] << (bits % 64);
        shifted[index + bits / 64 + 1] |= ORDER[index] >> (64 - bits % 64);
        index += 1;
    }
    shifted
}

/// The number that these bytes are, least first, if it is below `l`.
pub(crate) fn canonical(bytes: &[u8; 32]) -> Option<Scalar> {
    let mut scalar = [0; 4];
    for (word, bytes) in scalar.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    scalar.iter().rev().lt(ORDER.iter().rev()).then_some(scalar)
}

/// `left + right · factor`, into `left`; gives what goes past the end.
#[inline(always)]
fn add_product(left: &mut [u64], right: &[u64], factor: u64) -> u64 {
    let mut carry = 0;
    for (left, right) in left.iter_mut().zip(right) {
        (*left, carry) = right.carrying_mul_add(factor, *left, carry);
    }
    carry
}

/// Adds a word, carrying as far as it goes.
#[inline(always)]
fn add_word(left: &mut [u64], word: u64) {
    let mut carry = word;
    for left in left {
        let overflowed;
        (*left, overflowed) = left.overflowing_add(carry);
        carry = u64::from(overflowed);
    }
    debug_assert!(carry == 0, "the bounds of sums are chosen so that none overflows");
}

/// `multiple + low − high · (2¹²⁸ + FOLD)` for a number `low + 2²⁵⁶·high`; not negative, by the choice of the multiple.
#[inline(always)]
fn fold(low: &[u64; 4], high: &[u64], multiple: &[u64; 7]) -> [u64; 7] {
    let mut product = [0; 7];
    for (index, factor) in FOLD.into_iter().enumerate() {
        let end = index + high.len();
        let carry = add_product(&mut product[index..end], high, factor);
        if let Some(word) = product.get_mut(end) {
            *word = carry;
        }
    }
    let mut carry = false;
    for (index, word) in product.iter_mut().enumerate().skip(2) {
        (*word, carry) = word.carrying_add(high.get(index - 2).copied().unwrap_or(0), carry);
    }
    let mut folded = *multiple;
    let mut carry = false;
    for (index, word) in folded.iter_mut().enumerate() {
        (*word, carry) = word.carrying_add(low.get(index).copied().unwrap_or(0), carry);
    }
    let mut borrow = false;
    for (word, product) in folded.iter_mut().zip(product) {
        (*word, borrow) = word.borrowing_sub(product, borrow);
    }
    debug_assert!(!borrow, "the multiple is above the product");
    folded
}

/// Below `l`, of a number below 2³⁰⁸.
#[inline(always)]
fn finish(number: &[u64; 7]) -> Scalar {
    let [first, second, third, fourth, fifth, ..] = *number;
    // number = top·2²⁵² + rest, and 2²⁵² is −c.
    let top = fourth >> 60 | fifth << 4;
    let mut product = [0; 3];
    product[2] = add_product(&mut product[..2], &LOW_ORDER, top);
    let mut rest = [first, second, third, fourth & (u64::MAX >> 4)];
    let mut borrow = false;
    for (index, word) in rest.iter_mut().enumerate() {
        (*word, borrow) = word.borrowing_sub(product.get(index).copied().unwrap_or(0), borrow);
    }
    if borrow {
        let mut carry = false;
        for (word, order) in rest.iter_mut().zip(ORDER) {
            (*word, carry) = word.carrying_add(order, carry);
        }
    }
    rest
}

/// The remainder of a number of 512 bits: a challenge from its digest.
#[inline(always)]
pub(crate) fn reduce(number: &[u64; 8]) -> Scalar {
    let ([low, high], []) = number.as_chunks::<4>() else { unreachable!("8 is twice 4") };
    let [a, b, c, d, e, f, g] = fold(low, high, &MULTIPLE_133);
    finish(&fold(&[a, b, c, d], &[e, f, g], &MULTIPLE_14))
}

/// A sum of products `z · x` with `z < 2¹²⁷` and `x < 2²⁵³`, at most 2¹² · 2 of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Products([u64; 7]);

impl Products {
    /// Products that a sum holds.
    pub(crate) const COUNT_MAX: usize = 1 << 13;

    /// Adds `z · x`.
    #[inline(always)]
    pub(crate) fn add(&mut self, z: u128, x: &Scalar) {
        #[expect(clippy::cast_possible_truncation, reason = "the two words of z")]
        let words = [z as u64, (z >> 64) as u64];
        for (index, factor) in words.into_iter().enumerate() {
            let (product, above) = self.0[index..].split_at_mut(4);
            let carry = add_product(product, x, factor);
            add_word(above, carry);
        }
    }

    /// Whether nothing but zeros was added.
    #[inline(always)]
    pub(crate) fn is_zero(&self) -> bool {
        self.0 == [0; 7]
    }

    /// The sum below `l`.
    pub(crate) fn reduced(&self) -> Scalar {
        let [a, b, c, d, e, f, g] = self.0;
        finish(&fold(&[a, b, c, d], &[e, f, g], &MULTIPLE_14))
    }
}

/// The lower 127 bits, and the rest.
#[inline(always)]
pub(crate) fn split(scalar: &Scalar) -> (u128, u128) {
    let low = u128::from(scalar[0]) | u128::from(scalar[1]) << 64;
    let high = u128::from(scalar[2]) | u128::from(scalar[3]) << 64;
    (low & (u128::MAX >> 1), high << 1 | low >> 127)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::scalar::Scalar as Reference;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A word at an edge as often as not.
    fn word(generator: &mut ChaCha8Rng) -> u64 {
        match generator.next_u32() % 4 {
            0 => u64::MAX,
            1 => 0,
            _ => generator.next_u64(),
        }
    }

    #[test]
    fn remainders_agree_with_dalek() {
        let mut generator = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..20_000 {
            let number: [u64; 8] = std::array::from_fn(|_| word(&mut generator));
            let wide = bytes(&number).try_into().expect("64 bytes");
            let expected = Reference::from_bytes_mod_order_wide(&wide).to_bytes();
            assert_eq!(bytes(&reduce(&number)), expected, "{number:x?}");
        }
    }

    #[test]
    fn the_fullest_sum_of_products_is_held() {
        let largest_z = u128::MAX >> 1;
        let largest_x = [u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 3];
        let mut products = Products::default();
        for _ in 0..Products::COUNT_MAX {
            products.add(largest_z, &largest_x);
        }
        let x = Reference::from_bytes_mod_order(bytes(&largest_x).try_into().expect("32 bytes"));
        let expected = Reference::from(largest_z) * x * Reference::from(Products::COUNT_MAX as u64);
        assert_eq!(bytes(&products.reduced()), expected.to_bytes());
    }

    #[test]
    fn sums_of_products_agree_with_dalek() {
        let mut generator = ChaCha8Rng::seed_from_u64(5);
        for count in 0..200 {
            let (mut products, mut expected) = (Products::default(), Reference::ZERO);
            for _ in 0..count {
                let z = (u128::from(word(&mut generator)) << 64 | u128::from(word(&mut generator))) >> 1;
                let x: [u64; 4] = std::array::from_fn(|index| word(&mut generator) >> if index == 3 { 3 } else { 0 });
                products.add(z, &x);
                expected +=
                    Reference::from(z) * Reference::from_bytes_mod_order(bytes(&x).try_into().expect("32 bytes"));
            }
            assert_eq!(bytes(&products.reduced()), expected.to_bytes());
        }
    }

    #[test]
    fn a_scalar_is_canonical_below_the_order_alone() {
        let mut below = ORDER;
        below[0] -= 1;
        let mut above = ORDER;
        above[0] += 1;
        let encoded = |scalar: Scalar| bytes(&scalar).try_into().expect("32 bytes");
        assert_eq!(canonical(&encoded(below)), Some(below));
        assert_eq!(canonical(&encoded(ORDER)), None);
        assert_eq!(canonical(&encoded(above)), None);
        assert_eq!(canonical(&[0xff; 32]), None);
        assert_eq!(canonical(&[0; 32]), Some([0; 4]));
    }

    #[test]
    fn the_parts_of_a_split_are_its_whole() {
        let mut below = ORDER;
        below[0] -= 1;
        for scalar in [[0; 4], [1, 0, 0, 0], [u64::MAX; 4].map(|word| word >> 1), below] {
            let mut scalar = scalar;
            scalar[3] &= u64::MAX >> 2;
            let (low, high) = split(&scalar);
            assert!(low < 1 << 127 && high < 1 << 127);
            let joined = Reference::from(low) + Reference::from(high) * Reference::from(1_u128 << 127);
            assert_eq!(joined, Reference::from_bytes_mod_order(bytes(&scalar).try_into().expect("32 bytes")));
        }
    }
}
