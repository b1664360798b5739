//! The coefficients `z` of the batch equation: 127 fresh, secret, uniform bits each.
//!
//! A batch is checked by one random linear combination of its equations. Whoever can predict a coefficient can
//! make two wrong signatures cancel, so the generator is seeded by the operating system anew for every batch,
//! and nothing of the batch enters it.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of coefficients that nobody outside the process can predict.
pub(crate) struct Coefficients(ChaCha12Rng);

impl Coefficients {
    /// A new stream, or nothing where the operating system gives no randomness; the caller then verifies one by one.
    pub(crate) fn from_system() -> Option<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok()?;
        Some(Self(ChaCha12Rng::from_seed(seed)))
    }

    /// The next coefficient, below 2¹²⁷.
    pub(crate) fn next(&mut self) -> u128 {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        u128::from_le_bytes(bytes) >> 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_streams_share_a_coefficient() {
        let mut seen = BTreeSet::new();
        for _ in 0..64 {
            let mut stream = Coefficients::from_system().expect("this machine has randomness");
            for _ in 0..64 {
                assert!(seen.insert(stream.next()));
            }
        }
    }

    #[test]
    fn every_bit_of_a_coefficient_is_used() {
        let mut stream = Coefficients::from_system().expect("this machine has randomness");
        let (mut ones, mut zeros) = (0_u128, 0_u128);
        for _ in 0..256 {
            let z = stream.next();
            ones |= z;
            zeros |= !z & u128::MAX >> 1;
        }
        assert_eq!((ones, zeros), (u128::MAX >> 1, u128::MAX >> 1));
    }
}
