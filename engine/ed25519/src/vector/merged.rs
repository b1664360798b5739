//! The merged batch: one random linear combination of all equations, terms merged by signer.
//!
//! `8·( Σ zᵢ·Rᵢ + Σ_A (Σ zᵢ·kᵢ)·A − (Σ zᵢ·sᵢ)·B ) = 0`, every step eight lanes wide. Structural failures (`s ≥ l`, `R` or `A` not
//! a point) are found first and alone; they take no part in any sum.

use std::ops::Range;

use super::decode::Decode;
use super::hash::{Digest512, Hash};
use super::multiscalar::{MultiScalar, Rest, Scratch, Terms, Vanishes};
use super::signers::Signers;
use super::{Machine, NielsRow, PointRow, VectorVerifier};
use crate::bisect::{self, Sums};
use crate::coefficients::Coefficients;
use crate::scalar::{self, Products, Scalar};
use crate::{Item, rule};

/// Signatures summed together at most.
pub(crate) const BATCH_MAX: usize = Products::COUNT_MAX;

/// Rows before those of the signers: the identity, `−B`, `−2¹²⁷·B`.
pub(crate) const FIXED_ROWS: usize = 3;

/// Memory of a batch, kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    rows: Vec<NielsRow>,
    decoded: Vec<bool>,
    digests: Vec<Digest512>,
    terms: Vec<Term>,
    products: Vec<Products>,
    involved: Vec<u32>,
    combination: Terms,
    scratch: Scratch,
}

/// One signature that is well formed.
#[derive(Clone, Copy, Debug)]
struct Term {
    position: u32,
    signer: u32,
    row: u32,
    coefficient: u128,
    challenge: Scalar,
    response: Scalar,
}

/// Verifies up to [`BATCH_MAX`] items.
pub(crate) fn verify<M: Machine>(
    verifier: &VectorVerifier<M>,
    workspace: &mut Workspace,
    items: &[Item<'_>],
    verdicts: &mut [bool],
) {
    verdicts.fill(false);
    let Some(mut coefficients) = Coefficients::from_system() else {
        for (item, verdict) in items.iter().zip(verdicts) {
            *verdict = rule::verify_item(item);
        }
        return;
    };
    let machine = verifier.machine;

    // What is canonical, by whom.
    let mut signers = Signers::with_capacity(items.len());
    let mut nonces = Vec::with_capacity(items.len());
    workspace.terms.clear();
    for (position, item) in (0_u32..).zip(items) {
        let Some(response) = scalar::canonical(item.response()) else { continue };
        let signer = signers.number(&verifier.key_hash, item.key);
        nonces.push(item.nonce());
        workspace.terms.push(Term { position, signer, row: 0, coefficient: 0, challenge: [0; 4], response });
    }

    // Points: those of the signers, then the nonces.
    let keys = signers.keys();
    let first_nonce = FIXED_ROWS + keys.len();
    workspace.rows.clear();
    workspace.rows.extend_from_slice(&verifier.fixed);
    workspace.rows.resize(first_nonce + nonces.len(), verifier.fixed[0]);
    workspace.decoded.clear();
    workspace.decoded.resize(first_nonce + nonces.len(), true);
    for (encodings, rows) in [(keys, FIXED_ROWS..first_nonce), (&nonces, first_nonce..workspace.rows.len())] {
        machine.run(Decode {
            encodings,
            rows: &mut workspace.rows[rows.clone()],
            decoded: &mut workspace.decoded[rows],
        });
    }

    // Challenges and coefficients of what is well formed.
    workspace.digests.clear();
    workspace.digests.resize(items.len(), [0; 8]);
    machine.run(Hash { items, digests: &mut workspace.digests });
    let (decoded, digests) = (&workspace.decoded, &workspace.digests);
    let mut row = first_nonce;
    workspace.terms.retain_mut(|term| {
        term.row = row as u32;
        row += 1;
        let signer = FIXED_ROWS + term.signer as usize;
        term.challenge = scalar::reduce(&digests[term.position as usize]);
        term.coefficient = coefficients.next();
        decoded[term.row as usize] && decoded[signer]
    });

    workspace.products.clear();
    workspace.products.resize(keys.len(), Products::default());
    let length = workspace.terms.len();
    bisect::decide(&mut Batch { verifier, workspace, items, verdicts }, length);
}

/// The well-formed signatures of a batch, and where their verdicts go.
struct Batch<'a, M: Machine> {
    verifier: &'a VectorVerifier<M>,
    workspace: &'a mut Workspace,
    items: &'a [Item<'a>],
    verdicts: &'a mut [bool],
}

impl<M: Machine> Sums for Batch<'_, M> {
    type Sum = PointRow;

    fn sum(&mut self, range: Range<usize>) -> PointRow {
        let Workspace { rows, terms, products, involved, combination, scratch, .. } = &mut *self.workspace;
        combination.clear();
        involved.clear();
        let mut base = Products::default();
        for term in &terms[range] {
            combination.push_short(term.row, term.coefficient);
            base.add(term.coefficient, &term.response);
            let signer = &mut products[term.signer as usize];
            if signer.is_zero() {
                involved.push(term.signer);
            }
            signer.add(term.coefficient, &term.challenge);
        }
        let (low, high) = scalar::split(&base.reduced());
        combination.push_short(1, low);
        combination.push_short(2, high);
        for signer in involved {
            let products = std::mem::take(&mut products[*signer as usize]);
            combination.push_long(*signer + FIXED_ROWS as u32, &products.reduced());
        }
        self.verifier.machine.run(MultiScalar { rows, terms: combination, scratch })
    }

    fn rest(&mut self, whole: PointRow, part: PointRow) -> PointRow {
        self.verifier.machine.run(Rest { whole, part })
    }

    fn vanishes(&mut self, sum: PointRow) -> bool {
        self.verifier.machine.run(Vanishes(sum))
    }

    fn decide_singly(&mut self, range: Range<usize>) {
        for term in &self.workspace.terms[range] {
            let position = term.position as usize;
            self.verdicts[position] = rule::verify_item(&self.items[position]);
        }
    }

    fn accept(&mut self, range: Range<usize>) {
        for term in &self.workspace.terms[range] {
            self.verdicts[term.position as usize] = true;
        }
    }

    fn leaf(&self) -> usize {
        16
    }
}
