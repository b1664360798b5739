//! Hashing many short messages at once, as wide as the processor goes.
//!
//! BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020) hashes independent inputs side by side: sixteen of 128 bytes cost little more
//! than one. The crate's entry point for that is hidden and may change, so its version is pinned, it is called here alone, and a test
//! compares it with the ordinary call.

use blake3::hazmat::{ContextKey, HasherExt};
use blake3::platform::{Platform, le_bytes_from_words_32, words_from_le_bytes_32};

/// Messages worth giving at once.
pub(crate) const WIDTH: usize = 16;

/// Bytes the hash function takes at a time.
const BLOCK: usize = blake3::BLOCK_LEN;

/// Messages with more whole blocks than this are hashed one by one.
const BLOCKS_MAX: usize = 4;

const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const DERIVE_KEY_MATERIAL: u8 = 1 << 6;

/// The derive-key hashes of up to [`WIDTH`] messages of whole blocks under one key; those of places beyond the messages are zero.
pub(crate) fn derive_keys<const N: usize>(key: &ContextKey, messages: &[&[u8; N]]) -> [[u8; 32]; WIDTH] {
    many(key, messages, CHUNK_END | ROOT)
}

/// The same as far as the whole blocks that messages begin with go.
fn many<const N: usize>(key: &ContextKey, messages: &[&[u8; N]], end: u8) -> [[u8; 32]; WIDTH] {
    const { assert!(N > 0 && N.is_multiple_of(BLOCK) && N <= 1024, "whole blocks of one chunk") };
    let mut hashes = [[0; 32]; WIDTH];
    let messages = messages.get(..WIDTH).unwrap_or(messages);
    Platform::detect().hash_many(
        messages,
        &words_from_le_bytes_32(key),
        0,
        blake3::IncrementCounter::No,
        DERIVE_KEY_MATERIAL,
        CHUNK_START,
        end,
        hashes.as_flattened_mut(),
    );
    hashes
}

/// Goes on with a message behind its whole blocks.
fn finish(chain: &[u8; 32], tail: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    let length = tail.len().min(BLOCK);
    block[..length].copy_from_slice(&tail[..length]);
    let mut words = words_from_le_bytes_32(chain);
    // At most the bytes of a block.
    let length = u8::try_from(length).unwrap_or(0);
    Platform::detect().compress_in_place(&mut words, &block, length, 0, DERIVE_KEY_MATERIAL | CHUNK_END | ROOT);
    le_bytes_from_words_32(&words)
}

/// Derive-key hashes of many short messages of different lengths, side by side as far as their blocks are whole.
#[derive(Debug)]
pub(crate) struct Messages<'a, F> {
    key: &'a ContextKey,
    /// By whole blocks, and whether there is more behind them: messages and their places.
    waiting: [Vec<(usize, &'a [u8])>; 2 * BLOCKS_MAX],
    found: F,
}

impl<'a, F: FnMut(usize, [u8; 32])> Messages<'a, F> {
    /// Tells the hash of a message by its place, sooner or later.
    pub(crate) fn new(key: &'a ContextKey, found: F) -> Self {
        Self { key, waiting: Default::default(), found }
    }

    /// Hashes a message, or keeps it until there are more like it.
    pub(crate) fn push(&mut self, place: usize, message: &'a [u8]) {
        let (blocks, is_whole) = (message.len() / BLOCK, message.len().is_multiple_of(BLOCK));
        let list = (blocks.wrapping_sub(1)).saturating_mul(2).saturating_add(usize::from(!is_whole));
        let Some(waiting) = self.waiting.get_mut(list) else {
            let hash = blake3::Hasher::new_from_context_key(self.key).update(message).finalize();
            return (self.found)(place, hash.into());
        };
        waiting.push((place, message));
        if waiting.len() == WIDTH {
            self.flush(list);
        }
    }

    /// Hashes what is kept.
    pub(crate) fn finish(mut self) {
        (0..self.waiting.len()).for_each(|list| self.flush(list));
    }

    fn flush(&mut self, list: usize) {
        match list / 2 {
            0 => self.flush_blocks::<BLOCK>(list),
            1 => self.flush_blocks::<{ 2 * BLOCK }>(list),
            2 => self.flush_blocks::<{ 3 * BLOCK }>(list),
            _ => self.flush_blocks::<{ 4 * BLOCK }>(list),
        }
    }

    fn flush_blocks<const N: usize>(&mut self, list: usize) {
        let Some(waiting) = self.waiting.get_mut(list) else { return };
        if waiting.is_empty() {
            return;
        }
        let mut whole = [&[0; N]; WIDTH];
        let heads = waiting.iter().filter_map(|(_, message)| message.first_chunk::<N>());
        whole.iter_mut().zip(heads).for_each(|(place, head)| *place = head);
        let whole = &whole[..waiting.len().min(WIDTH)];
        let is_whole = list.is_multiple_of(2);
        let hashes = many(self.key, whole, if is_whole { CHUNK_END | ROOT } else { 0 });
        for (&(place, message), hash) in waiting.iter().zip(&hashes) {
            let tail = message.get(N..).unwrap_or_default();
            (self.found)(place, if is_whole { *hash } else { finish(hash, tail) });
        }
        waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake3::hazmat::hash_derive_key_context;

    #[test]
    fn many_at_once_hash_as_one_by_one() {
        compare::<64>();
        compare::<128>();
    }

    #[test]
    fn messages_of_all_lengths_hash_as_one_by_one() {
        let key = hash_derive_key_context("nostro test");
        let bytes: Vec<u8> = (0..40_u64).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
        // As many of each length as leave lists full, empty and half full.
        let lengths = (0..=1_100).chain((0..500).map(|n| n % 37 * 8));
        let messages: Vec<&[u8]> = lengths.enumerate().map(|(n, length)| &bytes[n % 100..][..length]).collect();
        let mut hashes = vec![None; messages.len()];
        let mut many = Messages::new(&key, |place: usize, hash| assert_eq!(hashes[place].replace(hash), None));
        messages.iter().enumerate().for_each(|(place, message)| many.push(place, message));
        many.finish();
        for (message, hash) in messages.iter().zip(hashes) {
            let expected = blake3::Hasher::new_from_context_key(&key).update(message).finalize();
            assert_eq!(hash, Some(*expected.as_bytes()), "{} bytes", message.len());
        }
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
