//! The merged batch: one random linear combination of all equations, terms merged by signer.
//!
//! `8·( Σ zᵢ·Rᵢ + Σ_A (Σ zᵢ·kᵢ)·A − (Σ zᵢ·sᵢ)·B ) = 0`, every step eight lanes wide. Structural failures (`s ≥ l`, `R` or `A` not
//! a point) are found first and alone; they take no part in any sum. What the sums leave open goes to the
//! independent lanes.

#![expect(clippy::cast_possible_truncation, reason = "a batch has at most 2¹³ items, and rows for thrice as many")]

use std::ops::Range;

use super::decode::{Decode, DecodeHinted};
use super::hash::{Digest512, Hash};
use super::lanes::{Single, VerifySingly};
use super::multiscalar::{MultiScalar, Rest, Scratch, Terms, Vanishes};
use super::nonces::Nonces;
use super::repeated::{Plan, Repeat, VerifyRepeated};
use super::roster::Roster;
use super::signers::Signers;
use super::{Machine, PointRow, VectorVerifier};
use crate::Item;
use crate::bisect::{self, Sums};
use crate::coefficients::Coefficients;
use crate::scalar::{self, Products, Scalar};

/// Signatures summed together at most.
pub(crate) const BATCH_MAX: usize = Products::COUNT_MAX;

/// Signatures below which independent lanes are faster than a sum.
const MERGED_MIN: usize = 96;

/// Signatures of a round when a failed batch is sampled, to see whether it is worth bisecting.
const SAMPLE: usize = 64;

/// Memory of a batch, kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    roster: Roster,
    decoded: Vec<bool>,
    digests: Vec<Digest512>,
    terms: Vec<Term>,
    products: Vec<Products>,
    involved: Vec<u32>,
    combination: Terms,
    scratch: Scratch,
    open: Vec<u32>,
    /// Every term has the row of its nonce.
    are_nonces_decoded: bool,
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

/// Verifies up to [`BATCH_MAX`] items, merged if they are enough.
pub(crate) fn verify<M: Machine>(
    verifier: &VectorVerifier<M>,
    workspace: &mut Workspace,
    items: &[Item<'_>],
    hints: &[Option<&[u8; 32]>],
    verdicts: &mut [bool],
) {
    let coefficients = if items.len() < MERGED_MIN { None } else { Coefficients::from_system() };
    match coefficients {
        Some(coefficients) => verify_merged(verifier, workspace, items, hints, verdicts, coefficients),
        None => verify_singly(verifier, workspace, items, verdicts),
    }
}

/// Verifies up to [`BATCH_MAX`] items, each in a lane of its own.
pub(crate) fn verify_singly<M: Machine>(
    verifier: &VectorVerifier<M>,
    workspace: &mut Workspace,
    items: &[Item<'_>],
    verdicts: &mut [bool],
) {
    verdicts.fill(false);
    let signers = workspace.begin(verifier, items);
    workspace.roster.prepare(verifier, &signers);
    workspace.roster.double_admitted(verifier, &signers);
    workspace.hash(verifier, items);
    workspace.open.clear();
    let all = 0..workspace.terms.len() as u32;
    workspace.open.extend(all);
    workspace.decide_open(verifier, items, verdicts);
    workspace.keep(verifier, &signers, verdicts);
}

/// Verifies up to [`BATCH_MAX`] items by their sum.
fn verify_merged<M: Machine>(
    verifier: &VectorVerifier<M>,
    workspace: &mut Workspace,
    items: &[Item<'_>],
    hints: &[Option<&[u8; 32]>],
    verdicts: &mut [bool],
    mut coefficients: Coefficients,
) {
    verdicts.fill(false);
    let signers = workspace.begin(verifier, items);
    workspace.roster.prepare(verifier, &signers);
    workspace.roster.double_some(verifier, &signers, items.len());
    workspace.hash(verifier, items);
    workspace.decode_nonces(verifier, items, hints);
    for term in &mut workspace.terms {
        term.coefficient = coefficients.next();
    }
    workspace.products.clear();
    workspace.products.resize(signers.len(), Products::default());
    workspace.open.clear();
    let length = workspace.terms.len();
    let mut batch = Batch { verifier, workspace, items, verdicts };
    bisect::decide(&mut batch, length);
    workspace.decide_open(verifier, items, verdicts);
    workspace.keep(verifier, &signers, verdicts);
}

impl Workspace {
    /// Lists what has a canonical `s`, by whom.
    fn begin<'a, M: Machine>(&mut self, verifier: &VectorVerifier<M>, items: &[Item<'a>]) -> Signers<'a> {
        let mut signers = Signers::with_capacity(items.len());
        self.are_nonces_decoded = false;
        self.terms.clear();
        for (position, item) in (0_u32..).zip(items) {
            let Some(response) = scalar::canonical(item.response()) else { continue };
            let signer = signers.number(&verifier.key_hash, item.key);
            self.terms.push(Term { position, signer, row: 0, coefficient: 0, challenge: [0; 4], response });
        }
        signers
    }

    /// Drops the terms whose signer is no point, and gives the others their challenge.
    fn hash<M: Machine>(&mut self, verifier: &VectorVerifier<M>, items: &[Item<'_>]) {
        // What an older batch left is written over.
        self.digests.resize(items.len().max(self.digests.len()), [0; 8]);
        verifier.machine.run(Hash { items, digests: &mut self.digests[..items.len()] });
        let (roster, digests) = (&self.roster, &self.digests);
        self.terms.retain_mut(|term| {
            term.challenge = scalar::reduce(&digests[term.position as usize]);
            roster.is_decoded(term.signer)
        });
    }

    /// Decodes the nonces of all terms, and drops the terms whose nonce is no point. Hints may be missing altogether.
    fn decode_nonces<M: Machine>(
        &mut self,
        verifier: &VectorVerifier<M>,
        items: &[Item<'_>],
        hints: &[Option<&[u8; 32]>],
    ) {
        let hint = |term: &Term| hints.get(term.position as usize).copied().flatten();
        let first = self.roster.more(verifier, self.terms.len());
        self.decoded.clear();
        self.decoded.resize(self.terms.len(), false);
        // Hinted terms come first; those whose hint is wrong are decoded with the others.
        let hinted = self.terms.iter().filter(|term| hint(term).is_some()).count();
        if 0 < hinted && hinted < self.terms.len() {
            self.terms.sort_unstable_by_key(|term| hint(term).is_none());
        }
        let encodings: Vec<&[u8; 32]> = self.terms.iter().map(|term| items[term.position as usize].nonce()).collect();
        let given: Vec<&[u8; 32]> = self.terms[..hinted].iter().filter_map(hint).collect();
        verifier.machine.run(DecodeHinted {
            encodings: &encodings[..hinted],
            hints: &given,
            rows: &mut self.roster.rows[first..first + hinted],
            decoded: &mut self.decoded[..hinted],
        });
        let wrong: Vec<usize> = (0..hinted).filter(|place| !self.decoded[*place]).collect();
        if !wrong.is_empty() {
            let encodings: Vec<&[u8; 32]> = wrong.iter().map(|place| encodings[*place]).collect();
            let mut rows = vec![verifier.fixed[0]; wrong.len()];
            let mut decoded = vec![false; wrong.len()];
            verifier.machine.run(Decode { encodings: &encodings, rows: &mut rows, decoded: &mut decoded });
            for ((place, row), decoded) in wrong.iter().zip(rows).zip(decoded) {
                self.roster.rows[first + place] = row;
                self.decoded[*place] = decoded;
            }
        }
        verifier.machine.run(Decode {
            encodings: &encodings[hinted..],
            rows: &mut self.roster.rows[first + hinted..first + self.terms.len()],
            decoded: &mut self.decoded[hinted..],
        });
        let mut places = (first as u32..).zip(&self.decoded);
        self.terms.retain_mut(|term| {
            let Some((row, decoded)) = places.next() else { return false };
            term.row = row;
            *decoded
        });
        self.are_nonces_decoded = true;
    }

    /// Decides the open terms in independent lanes.
    fn decide_open<M: Machine>(&mut self, verifier: &VectorVerifier<M>, items: &[Item<'_>], verdicts: &mut [bool]) {
        let mut open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.decide_in_lanes(verifier, items, verdicts, &mut open);
        }
        self.open = open;
    }

    /// Decides these terms in independent lanes; sorts them by signer, to find those with many.
    fn decide_in_lanes<M: Machine>(
        &mut self,
        verifier: &VectorVerifier<M>,
        items: &[Item<'_>],
        verdicts: &mut [bool],
        open: &mut [u32],
    ) {
        let terms = &self.terms;
        let signer = |term: u32| terms[term as usize].signer;
        open.sort_unstable_by_key(|term| signer(*term));
        let by_signer = || open.chunk_by(|one, other| signer(*one) == signer(*other));
        let plan = Plan::for_counts(by_signer().map(<[u32]>::len));
        let (mut repeated, mut alone) = (Vec::new(), Vec::new());
        for terms in by_signer() {
            let is_repeated = plan.is_some_and(|plan| terms.len() >= plan.count_min);
            if is_repeated { &mut repeated } else { &mut alone }.extend_from_slice(terms);
        }
        if let Some(plan) = plan {
            self.decide_repeated(verifier, items, verdicts, &repeated, plan);
        }
        self.decide_alone(verifier, items, verdicts, &alone);
    }

    /// Decides these terms, each with tables of its own.
    fn decide_alone<M: Machine>(
        &mut self,
        verifier: &VectorVerifier<M>,
        items: &[Item<'_>],
        verdicts: &mut [bool],
        alone: &[u32],
    ) {
        let mut lacking: Vec<u32> = self.signers(alone).filter(|signer| !self.roster.is_doubled(*signer)).collect();
        lacking.dedup();
        self.roster.double(verifier, &lacking);
        let roster = &self.roster;
        let single = |term: &Term| Single {
            signer: roster.row(term.signer),
            doubled: roster.doubled_row(term.signer),
            challenge: term.challenge,
            response: term.response,
        };
        let singles: Vec<Single> = alone.iter().map(|term| single(&self.terms[*term as usize])).collect();
        let mut decided = vec![false; alone.len()];
        let (mut encodings, mut places) = (Vec::new(), Vec::new());
        let nonces = self.nonces(items, alone, &mut encodings, &mut places);
        let (tables, rows) = (&verifier.base_tables, &roster.rows);
        verifier.machine.run(VerifySingly { tables, rows, singles: &singles, nonces, verdicts: &mut decided });
        self.record(alone, &decided, verdicts);
    }

    /// Decides these terms, sorted by signer, with tables for each signer.
    fn decide_repeated<M: Machine>(
        &self,
        verifier: &VectorVerifier<M>,
        items: &[Item<'_>],
        verdicts: &mut [bool],
        repeated: &[u32],
        plan: Plan,
    ) {
        let mut signers: Vec<u32> = self.signers(repeated).collect();
        signers.dedup();
        let mut number = 0;
        let repeat = |term: &u32| {
            let term = &self.terms[*term as usize];
            number += u32::from(signers[number as usize] != term.signer);
            Repeat { signer: number, challenge: term.challenge, response: term.response }
        };
        let repeats: Vec<Repeat> = repeated.iter().map(repeat).collect();
        signers.iter_mut().for_each(|signer| *signer = self.roster.row(*signer));
        let mut decided = vec![false; repeated.len()];
        let (mut encodings, mut places) = (Vec::new(), Vec::new());
        let nonces = self.nonces(items, repeated, &mut encodings, &mut places);
        let (base, rows, verdicts_of) = (&verifier.part_tables, &self.roster.rows, &mut decided);
        let work =
            VerifyRepeated { plan, base, rows, signers: &signers, repeats: &repeats, nonces, verdicts: verdicts_of };
        work.run(verifier.machine);
        self.record(repeated, &decided, verdicts);
    }

    /// The signers of these terms.
    fn signers(&self, terms: &[u32]) -> impl Iterator<Item = u32> {
        terms.iter().map(|term| self.terms[*term as usize].signer)
    }

    /// The nonces of these terms, as far as they are known.
    fn nonces<'a, 'b>(
        &self,
        items: &[Item<'b>],
        terms: &[u32],
        encodings: &'a mut Vec<&'b [u8; 32]>,
        places: &'a mut Vec<u32>,
    ) -> Nonces<'a, 'b> {
        let terms = terms.iter().map(|term| &self.terms[*term as usize]);
        if self.are_nonces_decoded {
            places.extend(terms.map(|term| term.row));
            Nonces::Decoded(places)
        } else {
            encodings.extend(terms.map(|term| items[term.position as usize].nonce()));
            Nonces::Encoded(encodings)
        }
    }

    /// Puts the verdicts on these terms where they belong.
    fn record(&self, terms: &[u32], decided: &[bool], verdicts: &mut [bool]) {
        for (term, verdict) in terms.iter().zip(decided) {
            verdicts[self.terms[*term as usize].position as usize] = *verdict;
        }
    }

    /// Caches the signers that were admitted and have a valid signature.
    fn keep<M: Machine>(&mut self, verifier: &VectorVerifier<M>, signers: &Signers<'_>, verdicts: &[bool]) {
        let valid = self.terms.iter().filter(|term| verdicts[term.position as usize]).map(|term| term.signer);
        self.roster.keep(verifier, signers, valid);
    }
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
        let Workspace { roster, terms, products, involved, combination, scratch, .. } = &mut *self.workspace;
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
            let products = std::mem::take(&mut products[*signer as usize]).reduced();
            if roster.is_doubled(*signer) {
                let (low, high) = scalar::split(&products);
                combination.push_short(roster.row(*signer), low);
                combination.push_short(roster.doubled_row(*signer), high);
            } else {
                combination.push_long(roster.row(*signer), &products);
            }
        }
        self.verifier.machine.run(MultiScalar { rows: &roster.rows, terms: combination, scratch })
    }

    fn rest(&mut self, whole: PointRow, part: PointRow) -> PointRow {
        self.verifier.machine.run(Rest { whole, part })
    }

    fn vanishes(&mut self, sum: PointRow) -> bool {
        self.verifier.machine.run(Vanishes(sum))
    }

    fn sample(&mut self, positions: &[usize]) -> bool {
        let mut sample: Vec<u32> = positions.iter().map(|term| *term as u32).collect();
        self.workspace.decide_in_lanes(self.verifier, self.items, self.verdicts, &mut sample);
        positions.iter().any(|term| !self.verdicts[self.workspace.terms[*term].position as usize])
    }

    fn secret(&self, position: usize) -> usize {
        self.workspace.terms.get(position).map_or(0, |term| term.coefficient as usize)
    }

    fn decide_singly(&mut self, range: Range<usize>) {
        self.workspace.open.extend(range.map(|term| term as u32));
    }

    fn accept(&mut self, range: Range<usize>) {
        for term in &self.workspace.terms[range] {
            self.verdicts[term.position as usize] = true;
        }
    }

    fn leaf(&self) -> usize {
        SAMPLE
    }

    fn round(&self) -> usize {
        SAMPLE
    }
}
