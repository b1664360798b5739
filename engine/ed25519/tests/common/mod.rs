//! Signatures of every kind a sender can think of, and the verdict each must get.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use nostro_ed25519::{Item, Path, Verifier, VerifierConfig, hint};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha512};

/// One signature with bytes of its own.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) key: [u8; 32],
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
}

impl Case {
    pub(crate) fn item(&self) -> Item<'_> {
        Item { key: &self.key, message: &self.message, signature: &self.signature }
    }
}

/// A case and its verdict under ZIP-215.
pub(crate) type Judged = (Case, bool);

/// The generator of a test, with its seed printed for whoever has to repeat a failure.
pub(crate) fn generator(seed: u64) -> ChaCha8Rng {
    println!("seed {seed}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// Every verifier this machine can run, by name.
pub(crate) fn verifiers() -> Vec<(String, Verifier)> {
    let mut verifiers = Vec::new();
    for path in Path::ALL {
        if !path.is_available() {
            println!("skipped: {path:?} is not available here");
            continue;
        }
        // No cache, one that forgets all the time, one that holds everything.
        for key_cache_bytes in [0, 1 << 15, 1 << 24] {
            // The cache is the same code for all who have one; the portable path has none.
            if path != Path::Avx512 && key_cache_bytes != 1 << 15 {
                continue;
            }
            let verifier = Verifier::new(VerifierConfig { path: Some(path), key_cache_bytes });
            assert_eq!(verifier.path(), path);
            verifiers.push((format!("{path:?} with {key_cache_bytes} bytes of keys"), verifier));
        }
    }
    verifiers
}

/// The verdicts on some cases, which must be the same merged and each by itself.
pub(crate) fn verdicts(name: &str, verifier: &Verifier, items: &[Item<'_>]) -> Vec<bool> {
    let mut merged = vec![false; items.len()];
    verifier.verify_batch(items, &mut merged);
    let mut single = vec![true; items.len()];
    verifier.verify_each(items, &mut single);
    let differ: Vec<usize> = (0..items.len()).filter(|index| merged[*index] != single[*index]).collect();
    assert!(differ.is_empty(), "{name}: of {}, merged and single differ at {differ:?}", items.len());
    // Right hints, wrong ones, none and those of others.
    let hints: Vec<Option<[u8; 32]>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| match index % 16 {
            3 => None,
            5 => hint(items[index / 2].signature),
            7 => Some(*item.key),
            9 => Some([0; 32]),
            _ => hint(item.signature),
        })
        .collect();
    let hints: Vec<Option<&[u8; 32]>> = hints.iter().map(Option::as_ref).collect();
    let mut hinted = vec![true; items.len()];
    verifier.verify_hinted(items, &hints, &mut hinted);
    let differ: Vec<usize> = (0..items.len()).filter(|index| merged[*index] != hinted[*index]).collect();
    assert!(differ.is_empty(), "{name}: of {}, hinted differ at {differ:?}", items.len());
    merged
}

/// The library with the same rule, written by others.
pub(crate) fn zebra(case: &Case) -> bool {
    let signature = ed25519_zebra::Signature::from(case.signature);
    ed25519_zebra::VerificationKey::try_from(case.key).is_ok_and(|key| key.verify(&signature, &case.message).is_ok())
}

/// Bytes nobody chose.
pub(crate) fn bytes<const N: usize>(generator: &mut ChaCha8Rng) -> [u8; N] {
    let mut bytes = [0; N];
    generator.fill_bytes(&mut bytes);
    bytes
}

/// A scalar nobody chose.
pub(crate) fn scalar(generator: &mut ChaCha8Rng) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&bytes(generator))
}

/// A message: 47 bytes as often as not, else of any length around the borders of SHA-512's blocks.
pub(crate) fn message(generator: &mut ChaCha8Rng) -> Vec<u8> {
    let length = match generator.next_u32() % 8 {
        0..4 => 47,
        4 => usize::try_from(generator.next_u32() % 64).expect("small"),
        5 => 40 + usize::try_from(generator.next_u32() % 16).expect("small"),
        6 => 168 + usize::try_from(generator.next_u32() % 16).expect("small"),
        _ => usize::try_from(generator.next_u32() % 700).expect("small"),
    };
    let mut message = vec![0; length];
    generator.fill_bytes(&mut message);
    message
}

/// `k` over bytes as they are.
pub(crate) fn challenge(nonce: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(nonce).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// Joins the halves of a signature.
pub(crate) fn join(nonce: [u8; 32], response: [u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&nonce);
    signature[32..].copy_from_slice(&response);
    signature
}

/// A signature by `secret` whose key and nonce carry the given torsion: valid, whatever the torsion.
pub(crate) fn signed(generator: &mut ChaCha8Rng, secret: &Scalar, key_torsion: usize, nonce_torsion: usize) -> Case {
    let message = message(generator);
    let nonce_secret = scalar(generator);
    let key = (EdwardsPoint::mul_base(secret) + EIGHT_TORSION[key_torsion]).compress().to_bytes();
    let nonce = (EdwardsPoint::mul_base(&nonce_secret) + EIGHT_TORSION[nonce_torsion]).compress().to_bytes();
    let response = nonce_secret + challenge(&nonce, &key, &message) * secret;
    Case { key, message, signature: join(nonce, response.to_bytes()) }
}

/// A signature as any wallet makes it.
pub(crate) fn honest(generator: &mut ChaCha8Rng) -> Case {
    let secret = scalar(generator);
    signed(generator, &secret, 0, 0)
}

/// The 14 encodings of the points of low order: eight canonical, six not.
pub(crate) fn low_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    for (low, high) in [(0xed, 0x7f), (0xed, 0xff), (0xee, 0x7f), (0xee, 0xff)] {
        let mut encoding = [0xff; 32];
        (encoding[0], encoding[31]) = (low, high);
        encodings.push(encoding);
    }
    let mut one = [0; 32];
    (one[0], one[31]) = (1, 0x80);
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    encodings.extend([one, minus_one]);
    encodings
}

/// `s + l` as a little-endian number.
pub(crate) fn plus_order(response: &[u8]) -> [u8; 32] {
    let order = (-Scalar::ONE).to_bytes();
    let mut carry = 1_u16; // the order is one more than the greatest scalar
    let mut sum = [0; 32];
    for ((sum, left), right) in sum.iter_mut().zip(response).zip(order) {
        let digit = u16::from(*left) + u16::from(right) + carry;
        *sum = digit.to_le_bytes()[0];
        carry = digit >> 8;
    }
    sum
}

/// How many kinds `crafted` knows.
pub(crate) const KINDS: u32 = 16;

/// A case of the given kind and, where its making tells, its verdict.
pub(crate) fn crafted(generator: &mut ChaCha8Rng, kind: u32) -> (Case, Option<bool>) {
    let secret = scalar(generator);
    let torsion = |generator: &mut ChaCha8Rng| 1 + usize::try_from(generator.next_u32() % 7).expect("small");
    let low_order =
        |generator: &mut ChaCha8Rng| low_order_encodings()[usize::try_from(generator.next_u32() % 14).expect("small")];
    let mut case = signed(generator, &secret, 0, 0);
    match kind % KINDS {
        0 => (case, Some(true)),
        1 => {
            let nonce_torsion = torsion(generator);
            (signed(generator, &secret, 0, nonce_torsion), Some(true))
        }
        2 => {
            let key_torsion = torsion(generator);
            (signed(generator, &secret, key_torsion, 0), Some(true))
        }
        3 => {
            let (key_torsion, nonce_torsion) = (torsion(generator), torsion(generator));
            (signed(generator, &secret, key_torsion, nonce_torsion), Some(true))
        }
        4 => {
            let response = plus_order(&case.signature[32..]);
            case.signature[32..].copy_from_slice(&response);
            (case, Some(false))
        }
        // Any one bit of the nonce, the key, the response or the message.
        5 => {
            flip(generator, &mut case.signature[..32]);
            (case, None)
        }
        6 => {
            flip(generator, &mut case.key);
            (case, None)
        }
        7 => {
            flip(generator, &mut case.signature[32..]);
            (case, Some(false))
        }
        8 => {
            case.message.push(0);
            flip(generator, &mut case.message);
            (case, Some(false))
        }
        // A key of low order validates whatever has R = s·B, and more.
        9 => {
            let nonce = EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[torsion(generator)];
            case.key = low_order(generator);
            case.signature = join(nonce.compress().to_bytes(), secret.to_bytes());
            (case, Some(true))
        }
        // A nonce of low order, in all its encodings, with s = k·a.
        10 => {
            let nonce = low_order(generator);
            let response = challenge(&nonce, &case.key, &case.message) * secret;
            case.signature = join(nonce, response.to_bytes());
            (case, Some(true))
        }
        11 => {
            case.key = low_order(generator);
            case.signature = join(low_order(generator), [0; 32]);
            (case, Some(true))
        }
        12 => {
            case.signature = bytes(generator);
            case.signature[63] &= 0x0f;
            (case, None)
        }
        13 => {
            case.key = bytes(generator);
            (case, None)
        }
        // The greatest and the least responses, and the first too great.
        14 => {
            let (response, verdict) = match generator.next_u32() % 3 {
                0 => (Scalar::ZERO.to_bytes(), None),
                1 => ((-Scalar::ONE).to_bytes(), None),
                _ => (plus_order(&[0; 32]), Some(false)),
            };
            case.signature[32..].copy_from_slice(&response);
            (case, verdict)
        }
        // The other sign of the key: the honest signature of somebody else.
        _ => {
            case.key[31] ^= 0x80;
            (case, Some(false))
        }
    }
}

/// Flips one bit.
pub(crate) fn flip(generator: &mut ChaCha8Rng, bytes: &mut [u8]) {
    let bit = usize::try_from(generator.next_u32()).expect("64-bit machines") % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// The 196 pairs of ZIP-215: every encoding of low order as key and as nonce, `s = 0`. All are valid.
pub(crate) fn low_order_pairs() -> Vec<Judged> {
    let encodings = low_order_encodings();
    let pairs = encodings.iter().flat_map(|key| encodings.iter().map(move |nonce| (*key, *nonce)));
    pairs
        .map(|(key, nonce)| (Case { key, message: b"Zcash".to_vec(), signature: join(nonce, [0; 32]) }, true))
        .collect()
}

/// The 12 cases of Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (<https://ia.cr/2020/1244>),
/// table 6, with ZIP-215's answers.
pub(crate) fn speccheck() -> Vec<Judged> {
    SPECCHECK
        .iter()
        .map(|(message, key, signature, verdict)| {
            let case = Case { key: array(key), message: hexadecimal(message), signature: array(signature) };
            (case, *verdict)
        })
        .collect()
}

/// Project Wycheproof's vectors whose signatures are 64 bytes long. Its verdicts are those of RFC 8032, which are
/// ZIP-215's but for one vector: an `R` with `y = 1` and its sign bit set, an encoding that ZIP-215 lets stand for the
/// identity.
pub(crate) fn wycheproof() -> Vec<Judged> {
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).expect("the vectors are part of the crate");
    let mut judged = Vec::new();
    for group in set.test_groups {
        let key: [u8; 32] = group.key.pk.as_slice().try_into().expect("keys are 32 bytes");
        for test in group.tests {
            if let Ok(signature) = test.sig.as_slice().try_into() {
                let case = Case { key, message: test.msg.to_vec(), signature };
                judged.push((case, test.result == TestResult::Valid || test.tc_id == 151));
            }
        }
    }
    judged
}

/// Every fixed vector of this suite.
pub(crate) fn vectors() -> Vec<Judged> {
    let mut all = low_order_pairs();
    all.extend(speccheck());
    all.extend(wycheproof());
    all
}

fn hexadecimal(text: &str) -> Vec<u8> {
    text.as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hexadecimal(text).try_into().expect("of the right length")
}

const SPECCHECK: [(&str, &str, &str, bool); 12] = [
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
        true,
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        true,
    ),
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        true,
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        true,
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        true,
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        true,
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        false,
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        false,
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        false,
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        true,
    ),
    (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        true,
    ),
    (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        true,
    ),
];
