//! Hashing many short messages of one length at once, as wide as the processor goes.
//!
//! BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020) hashes independent inputs side by side: sixteen of 128 bytes cost little more
//! than one. The crate's entry point for that is hidden and may change, so its version is pinned, it is called here alone, and a test
//! compares it with the ordinary call.

use blake3::hazmat::ContextKey;
use blake3::platform::{Platform, words_from_le_bytes_32};

/// Bytes of the body of one transfer: two blocks of the hash function, one chunk.
pub(crate) const MESSAGE_BYTES: usize = 128;

/// Messages worth giving at once.
pub(crate) const WIDTH: usize = 16;

const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const DERIVE_KEY_MATERIAL: u8 = 1 << 6;

/// The derive-key hashes of up to [`WIDTH`] messages of whole blocks under one key; those of places beyond the messages are zero.
pub(crate) fn derive_keys<const N: usize>(key: &ContextKey, messages: &[&[u8; N]]) -> [[u8; 32]; WIDTH] {
    const { assert!(N > 0 && N.is_multiple_of(64) && N <= 1024, "whole blocks of one chunk") };
    let mut hashes = [[0; 32]; WIDTH];
    let messages = messages.get(..WIDTH).unwrap_or(messages);
    Platform::detect().hash_many(
        messages,
        &words_from_le_bytes_32(key),
        0,
        blake3::IncrementCounter::No,
        DERIVE_KEY_MATERIAL,
        CHUNK_START,
        CHUNK_END | ROOT,
        hashes.as_flattened_mut(),
    );
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake3::hazmat::{HasherExt, hash_derive_key_context};

    #[test]
    fn many_at_once_hash_as_one_by_one() {
        compare::<64>();
        compare::<MESSAGE_BYTES>();
    }

    fn compare<const N: usize>() {
        let key = hash_derive_key_context("nostro test");
        let messages: Vec<[u8; N]> = (0..WIDTH as u64)
            .map(|n| std::array::from_fn(|place| blake3::hash(&n.to_le_bytes()).as_bytes()[place % 32]))
            .collect();
        for count in 0..=WIDTH {
            let some: Vec<&[u8; N]> = messages.iter().take(count).collect();
            let hashes = derive_keys(&key, &some);
            for (message, hash) in some.iter().zip(hashes) {
                let expected = blake3::Hasher::new_from_context_key(&key).update(*message).finalize();
                assert_eq!(blake3::Hash::from(hash), expected);
            }
            assert!(hashes.iter().skip(count).all(|hash| *hash == [0; 32]));
        }
    }
}
