//! The portable path: the merged batch on curve25519-dalek's arithmetic.
//!
//! `Σ zᵢ·Rᵢ + Σ_A (Σ zᵢ·kᵢ)·A − (Σ zᵢ·sᵢ)·B`, one multiscalar multiplication, terms merged by signer.

use std::collections::BTreeMap;
use std::ops::Range;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};

use crate::Item;
use crate::bisect::{self, Sums};
use crate::coefficients::Coefficients;
use crate::rule;

/// Signatures summed together at most: what bounds a batch's memory.
const BATCH_MAX: usize = 8_192;

/// Verifies every item; the two slices are of equal length.
pub(crate) fn verify_batch(items: &[Item<'_>], verdicts: &mut [bool]) {
    for (items, verdicts) in items.chunks(BATCH_MAX).zip(verdicts.chunks_mut(BATCH_MAX)) {
        verify_sum(items, verdicts);
    }
}

/// Verifies every item by itself.
pub(crate) fn verify_each(items: &[Item<'_>], verdicts: &mut [bool]) {
    for (item, verdict) in items.iter().zip(verdicts) {
        *verdict = rule::verify_item(item);
    }
}

/// Verifies up to [`BATCH_MAX`] items. Structural failures are decided first and alone.
fn verify_sum(items: &[Item<'_>], verdicts: &mut [bool]) {
    verdicts.fill(false);
    let Some(mut coefficients) = Coefficients::from_system() else {
        verify_each(items, verdicts);
        return;
    };
    let mut batch = Batch { signers: Vec::new(), terms: Vec::new(), verdicts };
    let mut known: BTreeMap<&[u8; 32], Option<usize>> = BTreeMap::new();
    for (position, item) in items.iter().enumerate() {
        let Some(response) = rule::response(item) else { continue };
        let signer = *known.entry(item.key).or_insert_with(|| {
            batch.signers.push(rule::decode(item.key)?);
            Some(batch.signers.len() - 1)
        });
        let Some(signer) = signer else { continue };
        let Some(nonce) = rule::decode(item.nonce()) else { continue };
        let coefficient = Scalar::from(coefficients.next());
        batch.terms.push(Term { position, signer, nonce, challenge: rule::challenge(item), response, coefficient });
    }
    let length = batch.terms.len();
    bisect::decide(&mut batch, length);
}

/// Signatures of a round when a failed batch is sampled.
const SAMPLE: usize = 32;

/// One signature that is well formed.
struct Term {
    position: usize,
    signer: usize,
    nonce: EdwardsPoint,
    challenge: Scalar,
    response: Scalar,
    coefficient: Scalar,
}

/// The well-formed signatures of a batch, and where their verdicts go.
struct Batch<'a> {
    signers: Vec<EdwardsPoint>,
    terms: Vec<Term>,
    verdicts: &'a mut [bool],
}

impl Sums for Batch<'_> {
    type Sum = EdwardsPoint;

    fn sum(&mut self, range: Range<usize>) -> EdwardsPoint {
        let terms = &self.terms[range];
        let mut by_signer = vec![Scalar::ZERO; self.signers.len()];
        let mut by_base = Scalar::ZERO;
        for term in terms {
            by_signer[term.signer] += term.coefficient * term.challenge;
            by_base -= term.coefficient * term.response;
        }
        let signers = by_signer.iter().zip(&self.signers).filter(|(scalar, _)| **scalar != Scalar::ZERO);
        let (mut scalars, mut points): (Vec<Scalar>, Vec<EdwardsPoint>) = signers.unzip();
        scalars.push(by_base);
        points.push(ED25519_BASEPOINT_POINT);
        scalars.extend(terms.iter().map(|term| term.coefficient));
        points.extend(terms.iter().map(|term| term.nonce));
        EdwardsPoint::vartime_multiscalar_mul(&scalars, &points)
    }

    fn rest(&mut self, whole: EdwardsPoint, part: EdwardsPoint) -> EdwardsPoint {
        whole - part
    }

    fn vanishes(&mut self, sum: EdwardsPoint) -> bool {
        sum.mul_by_cofactor().is_identity()
    }

    fn sample(&mut self, positions: &[usize]) -> bool {
        for position in positions {
            self.decide_singly(*position..*position + 1);
        }
        positions.iter().any(|position| !self.verdicts[self.terms[*position].position])
    }

    fn secret(&self, position: usize) -> usize {
        self.terms[position].coefficient.as_bytes().first_chunk().map_or(0, |bytes| usize::from_le_bytes(*bytes))
    }

    fn decide_singly(&mut self, range: Range<usize>) {
        for term in &self.terms[range] {
            let signer = &self.signers[term.signer];
            self.verdicts[term.position] = rule::holds(signer, &term.nonce, &term.challenge, &term.response);
        }
    }

    fn accept(&mut self, range: Range<usize>) {
        for term in &self.terms[range] {
            self.verdicts[term.position] = true;
        }
    }

    fn leaf(&self) -> usize {
        4
    }

    fn round(&self) -> usize {
        SAMPLE
    }
}
