//! The distinct signers of a batch, each with a number.
//!
//! An open table over the keys' bytes, placed by a hash with a secret of the process, so that keys cannot be
//! chosen to collide.

#![expect(clippy::cast_possible_truncation, reason = "a batch has at most 2¹³ items, and rows for thrice as many")]

/// A hash of keys that nobody outside the process can predict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHash([u64; 4]);

impl KeyHash {
    /// A hash with a fresh secret. Without randomness the hash is fixed: slower under attack, never wrong.
    pub(crate) fn from_system() -> Self {
        let mut bytes = [0x5a; 32];
        if getrandom::fill(&mut bytes).is_err() {
            bytes = [0x5a; 32];
        }
        Self(words(&bytes))
    }

    /// The hash of a key.
    #[inline(always)]
    pub(crate) fn of(&self, key: &[u8; 32]) -> u64 {
        let [a, b, c, d] = words(key);
        let [s, t, u, v] = self.0;
        // The last product spreads what one secret word alone would leave in rows: keys need not be random.
        folded(folded(a ^ s, b ^ t) ^ folded(c ^ u, d ^ v).rotate_left(32), SPREAD)
    }
}

/// An odd number without structure: the digits of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of a product, mixed.
#[inline(always)]
fn folded(left: u64, right: u64) -> u64 {
    let (low, high) = left.carrying_mul(right, 0);
    low ^ high
}

/// A key as four words.
#[inline(always)]
pub(crate) fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// A key with its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed<'a> {
    pub(crate) key: &'a [u8; 32],
    pub(crate) hash: u64,
}

impl<'a> Hashed<'a> {
    /// A key, hashed.
    #[cfg(test)]
    pub(crate) fn new(hash: &KeyHash, key: &'a [u8; 32]) -> Self {
        Self { key, hash: hash.of(key) }
    }
}

/// No signer.
const EMPTY: u32 = u32::MAX;

/// The distinct keys of a batch, in order of appearance.
#[derive(Debug, Default)]
pub(crate) struct Signers<'a> {
    keys: Vec<&'a [u8; 32]>,
    /// The hash of each.
    hashes: Vec<u64>,
    /// Numbers of signers by hash; a power of two, at least twice as many as there can be signers.
    slots: Vec<u32>,
}

impl<'a> Signers<'a> {
    /// Room for so many signers.
    pub(crate) fn with_capacity(signers: usize) -> Self {
        Self {
            keys: Vec::with_capacity(signers),
            hashes: Vec::with_capacity(signers),
            slots: vec![EMPTY; (signers * 2).next_power_of_two()],
        }
    }

    /// The number of the signer with this key; a new one the first time. At most as many keys as there is room for.
    #[inline(always)]
    pub(crate) fn number(&mut self, hash: &KeyHash, key: &'a [u8; 32]) -> u32 {
        let mask = self.slots.len() - 1;
        let hash = hash.of(key);
        let mut place = hash as usize & mask;
        loop {
            let Some(slot) = self.slots.get_mut(place) else { unreachable!("masked to the table's length") };
            match self.keys.get(*slot as usize) {
                Some(known) if *known == key => return *slot,
                Some(_) => place = (place + 1) & mask,
                None => {
                    let number = self.keys.len() as u32;
                    *slot = number;
                    self.keys.push(key);
                    self.hashes.push(hash);
                    return number;
                }
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Keys and their hashes, by number.
    pub(crate) fn each(&self) -> impl Iterator<Item = Hashed<'a>> + '_ {
        self.keys.iter().zip(&self.hashes).map(|(key, hash)| Hashed { key, hash: *hash })
    }

    /// The key of this number, and its hash.
    pub(crate) fn get(&self, number: u32) -> Option<Hashed<'a>> {
        let number = number as usize;
        Some(Hashed { key: self.keys.get(number)?, hash: *self.hashes.get(number)? })
    }
}
