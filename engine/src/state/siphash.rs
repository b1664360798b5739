//! SipHash-1-3 of addresses (Aumasson, Bernstein 2012), several at a time: one after the other each round would wait for the last.

use crate::types::Address;

/// The secret key, as two words.
pub(super) type Key = [u64; 2];

/// The hashes of `N` addresses.
#[inline]
pub(super) fn hash<const N: usize>(key: Key, addresses: [&Address; N]) -> [u64; N] {
    hash_lanes(key, 4, |word| addresses.map(|address| u64::from_le_bytes(address.0.as_chunks().0[word])))
}

/// The hash of some words.
#[inline]
pub(super) fn hash_words(key: Key, words: &[u64]) -> u64 {
    let [hash] = hash_lanes(key, words.len(), |word| [words[word]]);
    hash
}

/// The hashes of `N` messages of so many words.
#[inline]
fn hash_lanes<const N: usize>([k0, k1]: Key, words: usize, message: impl Fn(usize) -> [u64; N]) -> [u64; N] {
    let mut v = [
        [k0 ^ 0x736f_6d65_7073_6575; N],
        [k1 ^ 0x646f_7261_6e64_6f6d; N],
        [k0 ^ 0x6c79_6765_6e65_7261; N],
        [k1 ^ 0x7465_6462_7974_6573; N],
    ];
    (0..words).for_each(|word| compress(&mut v, message(word)));
    // The length in bytes, in the last byte.
    compress(&mut v, [(words as u64 * 8) << 56; N]);
    v[2].iter_mut().for_each(|word| *word ^= 0xff);
    (0..3).for_each(|_| round(&mut v));
    std::array::from_fn(|n| v[0][n] ^ v[1][n] ^ v[2][n] ^ v[3][n])
}

#[inline]
fn compress<const N: usize>(v: &mut [[u64; N]; 4], message: [u64; N]) {
    for n in 0..N {
        v[3][n] ^= message[n];
    }
    round(v);
    for n in 0..N {
        v[0][n] ^= message[n];
    }
}

#[inline]
fn round<const N: usize>(v: &mut [[u64; N]; 4]) {
    let [v0, v1, v2, v3] = v;
    for n in 0..N {
        let (mut a, mut b, mut c, mut d) = (v0[n], v1[n], v2[n], v3[n]);
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        (v0[n], v1[n], v2[n], v3[n]) = (a, b, c, d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use siphasher::sip::SipHasher13;

    #[test]
    fn several_at_a_time_hash_as_each_by_the_book() {
        let address = |n: u8| Address(blake3::hash(&[n]).into());
        for n in 0..60 {
            let secret: [u8; 16] = address(n).0.as_chunks().0[0];
            let key = [u64::from_le_bytes(secret.as_chunks().0[0]), u64::from_le_bytes(secret.as_chunks().0[1])];
            let addresses = [n, n + 1, n + 2, n + 3].map(address);
            let expected = addresses.each_ref().map(|address| SipHasher13::new_with_key(&secret).hash(&address.0));
            assert_eq!(hash(key, addresses.each_ref()), expected);
            assert_eq!(hash(key, [&addresses[0]]), [expected[0]]);
            let words: Vec<u64> = addresses[0].0.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            assert_eq!(hash_words(key, &words), expected[0]);
        }
    }
}
