//! Hints: `x(R)`, which whoever sends a signature can send along.
//!
//! A signature holds `y(R)` and the sign of `x(R)`; to get `x(R)` back takes a square root. Given it, only the curve's
//! equation is left to check. Hints are not signed, decide nothing and need not be kept.

/// The hint for a signature: `x(R)`, least byte first; none if `R` is not a point. About 5 µs.
///
/// ```
/// let mut signature = [0; 64];
/// signature[0] = 1; // the identity, whose x is zero
/// assert_eq!(nostro_ed25519::hint(&signature), Some([0; 32]));
/// ```
#[must_use]
pub fn hint(signature: &[u8; 64]) -> Option<[u8; 32]> {
    let mut encoding = [0; 32];
    encoding.copy_from_slice(&signature[..32]);
    let y = Element::from_bytes(&encoding);
    let square = y.times(y);
    let (u, v) = (square.minus(Element::ONE), square.times(D).plus(Element::ONE));
    let cube = v.times(v).times(v);
    let mut x = u.times(cube).times(u.times(cube).times(cube).times(v).to_p58());
    let check = x.times(x).times(v);
    if check.to_bytes() != u.to_bytes() {
        if check.plus(u).to_bytes() != [0; 32] {
            return None;
        }
        x = x.times(SQRT_MINUS_ONE);
    }
    let mut bytes = x.to_bytes();
    if bytes[0] & 1 != encoding[31] >> 7 {
        bytes = Element::ZERO.minus(x).to_bytes();
    }
    Some(bytes)
}

/// An element of GF(2²⁵⁵ − 19): five limbs below 2⁵², each of weight 2⁵¹ more than the one before.
#[derive(Clone, Copy)]
struct Element([u64; 5]);

const MASK: u64 = (1 << 51) - 1;

/// `d` of the curve.
const D: Element = Element([
    929_955_233_495_203,
    466_365_720_129_213,
    1_662_059_464_998_953,
    2_033_849_074_728_123,
    1_442_794_654_840_575,
]);

/// A square root of −1.
const SQRT_MINUS_ONE: Element = Element([
    1_718_705_420_411_056,
    234_908_883_556_509,
    2_233_514_472_574_048,
    2_117_202_627_021_982,
    765_476_049_583_133,
]);

impl Element {
    const ZERO: Self = Self([0; 5]);
    const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// The lowest 255 bits, as a number.
    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        let [a, b, c, d] = words;
        Self([
            a & MASK,
            (a >> 51 | b << 13) & MASK,
            (b >> 38 | c << 26) & MASK,
            (c >> 25 | d << 39) & MASK,
            d >> 12 & MASK,
        ])
    }

    /// The number below 2²⁵⁵ − 19.
    fn to_bytes(self) -> [u8; 32] {
        // Adding 19 and taking 2²⁵⁵ off again tells whether the prime fits in once more.
        let limbs = Self::carried(self.0.map(u128::from)).0;
        let over = limbs.iter().fold(19, |carry, limb| (limb + carry) >> 51);
        let mut carry = 19 * over;
        let [a, b, c, d, e] = limbs.map(|limb| {
            let sum = limb + carry;
            carry = sum >> 51;
            sum & MASK
        });
        let words = [a | b << 51, b >> 13 | c << 38, c >> 26 | d << 25, d >> 39 | e << 12];
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// Limbs below 2⁵¹ + 2⁷ from any below 2¹¹⁶.
    fn carried(mut limbs: [u128; 5]) -> Self {
        for _ in 0..2 {
            let mut carry = 0;
            for limb in &mut limbs {
                *limb += carry;
                carry = *limb >> 51;
                *limb &= u128::from(MASK);
            }
            limbs[0] += 19 * carry;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 2⁵² after two passes")]
        Self(limbs.map(|limb| limb as u64))
    }

    fn plus(self, other: Self) -> Self {
        let mut sum = self.0.map(u128::from);
        for (sum, other) in sum.iter_mut().zip(other.0) {
            *sum += u128::from(other);
        }
        Self::carried(sum)
    }

    fn minus(self, other: Self) -> Self {
        // Four times the prime is above any element's limbs.
        let mut difference = [MASK - 18, MASK, MASK, MASK, MASK].map(|limb| u128::from(limb) * 4);
        for (difference, (left, right)) in difference.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            *difference = *difference + u128::from(left) - u128::from(right);
        }
        Self::carried(difference)
    }

    fn times(self, other: Self) -> Self {
        let mut product = [0; 5];
        for (i, left) in self.0.into_iter().enumerate() {
            for (j, right) in other.0.into_iter().enumerate() {
                let fold = if i + j < 5 { 1 } else { 19 };
                product[(i + j) % 5] += u128::from(left) * u128::from(right) * fold;
            }
        }
        Self::carried(product)
    }

    /// To the `(p − 5)/8 = 2²⁵² − 3`: all bits but the second lowest.
    fn to_p58(self) -> Self {
        let mut power = self;
        for bit in (0..251).rev() {
            power = power.times(power);
            if bit != 1 {
                power = power.times(self);
            }
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::rule;

    #[test]
    fn a_hint_is_a_root_of_the_curves_equation_with_the_encoded_sign() {
        let mut generator = ChaCha8Rng::seed_from_u64(8);
        let (mut points, mut others) = (0, 0);
        for low in 0..600_u32 {
            let mut signature = [if low % 2 == 0 { 0xff } else { 0 }; 64];
            signature[..2].copy_from_slice(&low.to_le_bytes()[..2]);
            signature[31] = signature[31] & 0x7f | (generator.next_u32() & 0x80).to_le_bytes()[0];
            if low > 300 {
                generator.fill_bytes(&mut signature);
            }
            let mut encoding = [0; 32];
            encoding.copy_from_slice(&signature[..32]);
            let Some(x) = hint(&signature) else {
                assert!(rule::decode(&encoding).is_none(), "{encoding:02x?}");
                others += 1;
                continue;
            };
            assert!(rule::decode(&encoding).is_some(), "{encoding:02x?}");
            points += 1;
            let (xx, y) = (Element::from_bytes(&x).times(Element::from_bytes(&x)), Element::from_bytes(&encoding));
            let yy = y.times(y);
            assert_eq!(yy.minus(xx).to_bytes(), xx.times(yy).times(D).plus(Element::ONE).to_bytes());
            assert!(x == [0; 32] || x[0] & 1 == encoding[31] >> 7);
        }
        assert!(points > 200 && others > 200);
    }
}
