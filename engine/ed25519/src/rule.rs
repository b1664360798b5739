//! The rule, in its plainest form: one signature at a time, on curve25519-dalek.
//!
//! Everything else in this crate is a faster way to the same answers, and is tested against this file.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};

use crate::Item;

/// Verifies one signature, exactly: no randomness, no state. About 40 µs; a [`Verifier`](crate::Verifier) takes a
/// fraction of that for each of many.
///
/// ```
/// let (key, signature) = ([0; 32], [0; 64]);
/// assert!(!nostro_ed25519::verify(&key, b"message", &[0xff; 64]), "s is not below l");
/// assert!(nostro_ed25519::verify(&key, b"message", &signature), "a key of low order validates anything");
/// ```
#[must_use]
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    verify_item(&Item { key, message, signature })
}

/// [`verify`] for an [`Item`].
pub(crate) fn verify_item(item: &Item<'_>) -> bool {
    let Some(response) = response(item) else { return false };
    let Some(signer) = decode(item.key) else { return false };
    let Some(nonce) = decode(item.nonce()) else { return false };
    holds(&signer, &nonce, &challenge(item), &response)
}

/// Whether `8·s·B = 8·R + 8·k·A`.
pub(crate) fn holds(signer: &EdwardsPoint, nonce: &EdwardsPoint, challenge: &Scalar, response: &Scalar) -> bool {
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(challenge, &-signer, response);
    (expected - nonce).mul_by_cofactor().is_identity()
}

/// The point an encoding stands for, canonical or not, if it stands for one.
pub(crate) fn decode(encoding: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*encoding).decompress()
}

/// `s`, if it is below `l`.
pub(crate) fn response(item: &Item<'_>) -> Option<Scalar> {
    Scalar::from_canonical_bytes(*item.response()).into_option()
}

/// `k = SHA-512(R ‖ A ‖ M) mod l`.
pub(crate) fn challenge(item: &Item<'_>) -> Scalar {
    let hash = Sha512::new().chain_update(item.nonce()).chain_update(item.key).chain_update(item.message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// Whether the key is one of the 14 encodings of the eight points of low order, under which anyone can make signatures
/// that verify. Constant work, no curve arithmetic; such a key has no owner and should never be an account's.
///
/// ```
/// assert!(nostro_ed25519::is_low_order(&[0; 32]));
/// ```
#[must_use]
pub fn is_low_order(key: &[u8; 32]) -> bool {
    // Their second bytes tell all but one key in sixty-four at once.
    if !matches!(key[1], 0x00 | 0x17 | 0xe8 | 0xff) {
        return false;
    }
    let mut y = *key;
    y[31] &= 0x7f;
    LOW_ORDER_Y.contains(&y)
}

/// The `y` of the points of low order in all their encodings. Each stands for two keys, one for either sign bit:
/// `0` (order 4), two of order 8, `1` and `-1` (orders 1 and 2, where the sign bit changes nothing), and the
/// non-canonical `p` and `p + 1`.
const LOW_ORDER_Y: [[u8; 32]; 7] = [
    near_p(0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    near_p(1, 0),
    near_p(0xec, 0xff),
    near_p(0xed, 0xff),
    near_p(0xee, 0xff),
];

/// The encoding whose lowest byte is `low` and whose others are `rest`, sign bit clear.
const fn near_p(low: u8, rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[0] = low;
    bytes[31] &= 0x7f;
    bytes
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;

    use super::*;

    #[test]
    fn low_order_is_what_eight_times_gives_the_identity() {
        let mut encodings = 0;
        for y in LOW_ORDER_Y {
            for sign in [0, 0x80] {
                let mut key = y;
                key[31] |= sign;
                assert!(decode(&key).is_some_and(|point| point.mul_by_cofactor().is_identity()), "{key:02x?}");
                assert!(is_low_order(&key));
                encodings += 1;
            }
        }
        assert_eq!(encodings, 14);
        for point in EIGHT_TORSION {
            assert!(is_low_order(&point.compress().to_bytes()));
        }
    }

    #[test]
    fn every_other_non_canonical_encoding_is_of_high_order_or_none() {
        for low in 0xed..=0xff {
            for sign in [0, 0x80] {
                let mut key = near_p(low, 0xff);
                key[31] |= sign;
                let small = decode(&key).is_some_and(|point| point.is_small_order());
                assert_eq!(is_low_order(&key), small, "{key:02x?}");
            }
        }
    }

    #[test]
    fn an_honest_key_is_not_of_low_order() {
        for seed in 1_u8..=64 {
            let key = EdwardsPoint::mul_base(&Scalar::from(seed)).compress().to_bytes();
            assert!(!is_low_order(&key));
        }
    }
}
