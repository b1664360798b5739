//! Any signatures at all get the same verdict from every path, merged, hinted and alone, as from the plain rule.
//!
//! The input is cut into signatures of 96 bytes, each with a byte that says how to bend it: towards valid ones, by signing for a
//! key made from the input, and towards the edges of encodings.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nostro_ed25519::{Item, Path, Verifier, VerifierConfig, hint, verify};

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    Path::ALL
        .into_iter()
        .filter(|path| path.is_available())
        .map(|path| Verifier::new(VerifierConfig { path: Some(path), key_cache_bytes: 1 << 15 }))
        .collect()
});

/// Bytes of input that make one signature.
const RECORD: usize = 97;

fuzz_target!(|data: &[u8]| {
    let mut cases: Vec<([u8; 32], [u8; 47], [u8; 64])> = data
        .as_chunks::<RECORD>()
        .0
        .iter()
        .map(|record| {
            let (mut key, mut signature) = ([0; 32], [0; 64]);
            key.copy_from_slice(&record[1..33]);
            signature.copy_from_slice(&record[33..]);
            let bend = record[0];
            if bend & 1 == 1 {
                // A key of low order validates s = 0 with a nonce of low order.
                key = [0; 32];
                key[0] = bend >> 1 & 1;
                key[31] = bend << 5 & 0x80;
            }
            if bend & 8 == 8 {
                signature[32..].fill(0);
            }
            if bend & 16 == 16 {
                signature[..32].fill(if bend & 32 == 32 { 0xff } else { 0 });
                signature[0] = record[33];
                signature[31] = signature[31] & 0x7f | bend & 0x80;
            }
            (key, [bend; 47], signature)
        })
        .collect();
    // Enough of them to be merged, if the input asks for it.
    if data.first().is_some_and(|first| first & 64 == 64) && !cases.is_empty() {
        cases = cases.iter().cycle().take(100.max(cases.len())).copied().collect();
    }
    let items: Vec<Item<'_>> =
        cases.iter().map(|(key, message, signature)| Item { key, message, signature }).collect();
    let expected: Vec<bool> = items.iter().map(|item| verify(item.key, item.message, item.signature)).collect();
    let hints: Vec<Option<[u8; 32]>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| if index % 3 == 0 { Some(*item.key) } else { hint(item.signature) })
        .collect();
    let hints: Vec<Option<&[u8; 32]>> = hints.iter().map(Option::as_ref).collect();
    for verifier in VERIFIERS.iter() {
        let mut verdicts = vec![false; items.len()];
        verifier.verify_batch(&items, &mut verdicts);
        assert_eq!(verdicts, expected, "merged on {:?}", verifier.path());
        verifier.verify_each(&items, &mut verdicts);
        assert_eq!(verdicts, expected, "alone on {:?}", verifier.path());
        verifier.verify_hinted(&items, &hints, &mut verdicts);
        assert_eq!(verdicts, expected, "hinted on {:?}", verifier.path());
    }
});
