//! The accounts of a generated load: their keys follow from the seed.

use nostro::{Address, KeyPair};
use rayon::prelude::*;

/// Accounts that pay each other, and the issuer who funds them.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// Addresses in order.
    pub(crate) addresses: Vec<Address>,
    /// Key pairs in the same order; none if nothing will be signed.
    pub(crate) keys: Vec<KeyPair>,
    /// Issues the money.
    pub(crate) issuer: KeyPair,
}

/// The key pair of an account: number `u64::MAX` is the issuer.
fn key(seed: u64, number: u64) -> KeyPair {
    let mut hasher = blake3::Hasher::new_derive_key("nostro 1 loadgen account");
    hasher.update(&seed.to_le_bytes()).update(&number.to_le_bytes());
    KeyPair::from_seed(hasher.finalize().as_bytes())
}

impl Accounts {
    /// Derives them on all cores. Costs about 10 µs each, and 32 bytes, with their keys about 250.
    pub(crate) fn derive(seed: u64, count: u32, with_keys: bool) -> Self {
        let numbers = (0..count).into_par_iter().map(|number| key(seed, u64::from(number)));
        let (keys, addresses) = if with_keys {
            let keys: Vec<KeyPair> = numbers.collect();
            let addresses = keys.par_iter().map(KeyPair::address).collect();
            (keys, addresses)
        } else {
            (Vec::new(), numbers.map(|key| key.address()).collect())
        };
        Self { addresses, keys, issuer: key(seed, u64::MAX) }
    }
}
