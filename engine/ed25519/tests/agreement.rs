//! The promise: no signature gets another verdict here than from ed25519-zebra, which follows the same rule.
//!
//! `NOSTRO_AGREEMENT` multiplies the number of cases: 1 by default, some 30,000 signatures on every path; 400 passes ten million, an eighth
//! of them on the portable path.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Case, KINDS, crafted, generator, verdicts, verifiers, zebra};
use nostro_ed25519::{Item, Path, Verifier, verify};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn random_and_crafted_signatures_get_the_peers_verdict() {
    #[expect(clippy::disallowed_methods, reason = "the length of a test, not its result")]
    let rounds = std::env::var("NOSTRO_AGREEMENT").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1_u64);
    let verifiers = verifiers();
    let compared = AtomicUsize::new(0);
    (0..rounds).into_par_iter().for_each(|round| {
        let length = compare(round, &verifiers);
        let so_far = compared.fetch_add(length, Ordering::Relaxed) + length;
        println!("{so_far} signatures on {} paths", verifiers.len());
    });
    assert!(compared.into_inner() > 100);
}

/// One round of batches; gives the number of signatures.
fn compare(round: u64, verifiers: &[(String, Verifier)]) -> usize {
    let mut generator = generator(1_000 + round);
    let mut compared = 0;
    // One case in `rarity` is crafted; from clean batches, where sums decide, to pure junk.
    for rarity in [1, 2, 16, 128, 1024] {
        let length = 1 + usize::try_from(generator.next_u32() % 10_000).expect("small");
        let cases: Vec<(Case, Option<bool>)> = (0..length)
            .map(|_| {
                let chosen = generator.next_u32().is_multiple_of(rarity);
                let kind = if chosen { generator.next_u32() % KINDS } else { 0 };
                crafted(&mut generator, kind)
            })
            .collect();
        let items: Vec<Item<'_>> = cases.iter().map(|(case, _)| case.item()).collect();
        let expected: Vec<bool> = cases.iter().map(|(case, _)| zebra(case)).collect();
        for ((case, made), expected) in cases.iter().zip(&expected) {
            assert!(made.is_none_or(|made| made == *expected), "{case:02x?}");
        }
        for (case, expected) in cases.iter().zip(&expected).step_by(16) {
            assert_eq!(verify(&case.0.key, &case.0.message, &case.0.signature), *expected, "{case:02x?}");
        }
        for (name, verifier) in verifiers {
            // Half of the time would be the portable path's, whose arithmetic is a sister of the peer's.
            if verifier.path() == Path::Portable && !round.is_multiple_of(8) {
                continue;
            }
            let verdicts = verdicts(name, verifier, &items);
            for (index, (verdict, expected)) in verdicts.iter().zip(&expected).enumerate() {
                assert_eq!(verdict, expected, "{name}, {index} of {length}: {:02x?}", cases[index]);
            }
        }
        compared += length;
    }
    compared
}
