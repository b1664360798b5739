//! The promise: every vector gets ZIP-215's verdict, alone and at any place of any batch, on every path.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Case, crafted, generator, honest, signed, vectors, verdicts, verifiers, zebra};
use nostro_ed25519::{Item, Verifier, verify};
use rand_chacha::rand_core::Rng;

/// Asserts that the batch gets these verdicts, and says where not.
fn check(name: &str, verifier: &Verifier, cases: &[Case], expected: &[bool]) {
    let items: Vec<Item<'_>> = cases.iter().map(Case::item).collect();
    let verdicts = verdicts(name, verifier, &items);
    assert_eq!(verdicts.len(), expected.len());
    let wrong: Vec<usize> = (0..cases.len()).filter(|index| verdicts[*index] != expected[*index]).collect();
    assert!(wrong.is_empty(), "{name}: of {}, not as expected: {wrong:?}", cases.len());
}

#[test]
fn every_vector_gets_its_verdict_alone() {
    let vectors = vectors();
    assert_eq!(common::low_order_pairs().len(), 196);
    assert!(common::wycheproof().len() > 80, "the published set is complete");
    for (number, (case, verdict)) in vectors.iter().enumerate() {
        assert_eq!(zebra(case), *verdict, "vector {number} under the peer: {case:02x?}");
        assert_eq!(verify(&case.key, &case.message, &case.signature), *verdict, "vector {number}: {case:02x?}");
    }
}

#[test]
fn every_vector_gets_its_verdict_as_a_batch_of_one() {
    for (name, verifier) in verifiers() {
        for (number, (case, verdict)) in vectors().into_iter().enumerate() {
            check(&format!("vector {number} on {name}"), &verifier, &[case], &[verdict]);
        }
    }
}

#[test]
fn every_vector_gets_its_verdict_all_together() {
    for (name, verifier) in verifiers() {
        let (cases, verdicts): (Vec<Case>, Vec<bool>) = vectors().into_iter().unzip();
        check(&name, &verifier, &cases, &verdicts);
        let (cases, verdicts): (Vec<Case>, Vec<bool>) = vectors().into_iter().filter(|(_, verdict)| *verdict).unzip();
        check(&name, &verifier, &cases, &verdicts);
    }
}

/// Honest signatures by a few hundred signers, some of them often.
fn crowd(count: usize) -> Vec<Case> {
    let mut generator = generator(11);
    let secrets: Vec<_> = (0..300).map(|_| common::scalar(&mut generator)).collect();
    (0..count)
        .map(|index| {
            let rare = index % 3 == 0;
            let signer = usize::try_from(generator.next_u32()).expect("64-bit machines") % if rare { 300 } else { 12 };
            signed(&mut generator, &secrets[signer], 0, 0)
        })
        .collect()
}

#[test]
fn the_place_in_a_large_batch_changes_nothing() {
    let honest = crowd(3_000);
    for (name, verifier) in verifiers() {
        check(&name, &verifier, &honest, &vec![true; honest.len()]);
        for (shift, vectors) in vectors().chunks(40).enumerate() {
            let mut cases = honest.clone();
            let mut expected = vec![true; cases.len()];
            for (number, (case, verdict)) in vectors.iter().enumerate() {
                let place = (shift * 7 + number * 73) % cases.len();
                cases[place] = case.clone();
                expected[place] = *verdict;
            }
            check(&format!("chunk {shift} on {name}"), &verifier, &cases, &expected);
        }
    }
}

#[test]
fn one_bad_signature_is_found_at_every_place() {
    let honest = crowd(150);
    for (name, verifier) in verifiers() {
        for place in 0..honest.len() {
            let mut cases = honest.clone();
            cases[place].signature[40] ^= 1;
            let expected: Vec<bool> = (0..cases.len()).map(|index| index != place).collect();
            check(&name, &verifier, &cases, &expected);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_signature_and_its_key_is_noticed() {
    let mut generator = generator(12);
    let case = honest(&mut generator);
    let mut cases = Vec::new();
    for bit in 0..96 * 8 {
        let mut flipped = case.clone();
        if bit < 64 * 8 {
            flipped.signature[bit / 8] ^= 1 << (bit % 8);
        } else {
            flipped.key[bit / 8 - 64] ^= 1 << (bit % 8);
        }
        cases.push(flipped);
    }
    for (name, verifier) in verifiers() {
        check(&name, &verifier, &cases, &vec![false; cases.len()]);
        for case in &cases {
            check(&name, &verifier, std::slice::from_ref(case), &[false]);
        }
    }
}

#[test]
fn batches_of_every_small_length_agree_with_the_single_verdict() {
    let mut generator = generator(13);
    for (name, verifier) in verifiers() {
        check(&name, &verifier, &[], &[]);
        for length in 1..150_usize {
            let bad = length % 4;
            let cases: Vec<Case> = (0..length)
                .map(|index| {
                    let kind = if bad > 0 && index % (bad * 5) == 0 { generator.next_u32() } else { 0 };
                    crafted(&mut generator, kind).0
                })
                .collect();
            let expected: Vec<bool> =
                cases.iter().map(|case| verify(&case.key, &case.message, &case.signature)).collect();
            check(&name, &verifier, &cases, &expected);
        }
    }
}

#[test]
fn two_wrong_signatures_that_would_cancel_are_both_found() {
    let mut generator = generator(14);
    for (name, verifier) in verifiers() {
        for _ in 0..20 {
            let mut cases: Vec<Case> = (0..200).map(|_| honest(&mut generator)).collect();
            // s + 1 here and s − 1 there: without secret coefficients the errors cancel.
            let one = curve25519_dalek::Scalar::ONE;
            for (place, change) in [(17, one), (140, -one)] {
                let response: [u8; 32] = cases[place].signature[32..].try_into().expect("half of 64");
                let response = curve25519_dalek::Scalar::from_canonical_bytes(response).expect("honest") + change;
                cases[place].signature[32..].copy_from_slice(&response.to_bytes());
            }
            let expected: Vec<bool> = (0..200).map(|index| index != 17 && index != 140).collect();
            check(&name, &verifier, &cases, &expected);
        }
    }
}

#[test]
fn signers_who_sign_often_get_the_verdicts_of_those_who_sign_once() {
    let mut generator = generator(15);
    // From one signature to hundreds each: some are worth tables of their own, some are not.
    for (signers, each) in [(9, 60), (40, 12), (150, 3)] {
        let secrets: Vec<_> = (0..signers).map(|_| common::scalar(&mut generator)).collect();
        for bad in [2, 16, 64] {
            let mut cases = Vec::new();
            for (signer, secret) in secrets.iter().enumerate() {
                let count = if signer % 5 == 4 { 1 } else { each };
                cases.extend((0..count).map(|place| signed(&mut generator, secret, signer % 8, (signer + place) % 8)));
            }
            for case in cases.iter_mut().skip(1).step_by(bad) {
                let part = usize::try_from(generator.next_u32() % 2).expect("small") * 32;
                common::flip(&mut generator, &mut case.signature[part..part + 31]);
            }
            // Signers take turns, so that no group of lanes has one signer throughout.
            let stride = (cases.len() / 3..).find(|stride| is_coprime(*stride, cases.len())).expect("there is one");
            let cases: Vec<Case> = (0..cases.len()).map(|place| cases[place * stride % cases.len()].clone()).collect();
            let expected: Vec<bool> =
                cases.iter().map(|case| verify(&case.key, &case.message, &case.signature)).collect();
            for (name, verifier) in verifiers() {
                check(&format!("{signers} signers, 1 in {bad}, {name}"), &verifier, &cases, &expected);
            }
        }
    }
}

fn is_coprime(mut one: usize, mut other: usize) -> bool {
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one == 1
}

#[test]
#[should_panic(expected = "a verdict for every item")]
fn a_missing_verdict_is_a_bug_of_the_caller() {
    let (_, verifier) = verifiers().remove(0);
    verifier.verify_batch(&[], &mut [true]);
}
