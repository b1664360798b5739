//! Signatures: batches in, verified batches out.
//!
//! The verdict on a signature is a function of its own transaction alone (one cofactored rule, ZIP-215; see `nostro-ed25519`),
//! so it doesn't matter what is verified together. What isn't validly signed is refused here and leaves no trace.

use crate::block::Transactions;
use crate::completion::Delivery;
use crate::intake::Batch;
use crate::ledger::Ledger;
use crate::transaction::{SignedMessage, TransactionRef, signed_message};
use crate::types::{Address, Refusal, Span, Time, TransactionId};
use nostro_ed25519::{Item, Verifier, VerifierConfig};
use std::sync::Arc;

/// A batch of transactions whose signers signed exactly these bytes for this ledger. Only this module makes one.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Canonical transactions back to back.
    pub bytes: Vec<u8>,
    pub ids: Arc<[TransactionId]>,
    pub time: Option<Time>,
    pub delivery: Delivery,
    first: u32,
    indices: Option<Arc<[u32]>>,
}

impl Verified {
    /// Some of its transactions, for their receipts.
    pub(crate) fn span(&self, start: u32, count: u32) -> Span {
        Span { ids: self.ids.clone(), start, count, indices: self.indices.clone(), first: self.first }
    }
}

/// Verifies for one ledger. Shared by all threads.
#[derive(Debug)]
pub(crate) struct SignatureCheck {
    ledger: Ledger,
    verifier: Verifier,
    trusts: bool,
}

impl SignatureCheck {
    /// `trusts` takes every signature for valid.
    pub(crate) fn new(ledger: Ledger, trusts: bool) -> Self {
        Self { ledger, verifier: Verifier::new(VerifierConfig::default()), trusts }
    }

    /// Verifies batches together. Refused transactions are told to their submitters at once and are gone from the result; a
    /// batch of which nothing is left is gone too.
    pub(crate) fn verify(&self, batches: Vec<Batch>) -> Vec<Verified> {
        let count = batches.iter().map(|batch| batch.count as usize).sum();
        let mut ids = Vec::with_capacity(count);
        let transactions = batches.iter().flat_map(|batch| Transactions(&batch.bytes));
        self.ledger.transaction_ids(transactions.map(|transaction| transaction.body()), &mut ids);
        let refusals = if self.trusts { Vec::new() } else { self.refusals(&batches, &ids) };
        let mut refusals = refusals.into_iter().peekable();
        let mut position = 0;
        let mut all = Vec::with_capacity(batches.len());
        for batch in batches {
            let end = position + batch.count as usize;
            let own: Vec<(usize, Refusal)> = std::iter::from_fn(|| refusals.next_if(|&(place, _)| place < end))
                .map(|(place, refusal)| (place - position, refusal))
                .collect();
            all.extend(release_refused(batch, ids.get(position..end).unwrap_or_default(), &own));
            position = end;
        }
        all
    }

    /// Places of the transactions that aren't validly signed, ascending.
    fn refusals(&self, batches: &[Batch], ids: &[TransactionId]) -> Vec<(usize, Refusal)> {
        let transactions = || batches.iter().flat_map(|batch| Transactions(&batch.bytes));
        let messages: Vec<SignedMessage> = ids.iter().map(signed_message).collect();
        let signatures = batches.iter().map(|batch| batch.signatures as usize).sum();
        let mut signers: Vec<Address> = Vec::with_capacity(signatures);
        signers.extend(transactions().flat_map(|transaction| transaction.signers()));

        let mut items = Vec::with_capacity(signatures);
        let mut places = Vec::with_capacity(signatures);
        let mut keys = signers.iter();
        for (place, (transaction, message)) in transactions().zip(&messages).enumerate() {
            for (signer, (signature, key)) in (0_u8..).zip(transaction.signatures().zip(keys.by_ref())) {
                items.push(Item { key: &key.0, message, signature });
                places.push((place, signer));
            }
        }
        let mut verdicts = vec![false; items.len()];
        self.verifier.verify_batch(&items, &mut verdicts);

        let mut refused: Vec<(usize, Refusal)> = Vec::new();
        for (&(place, signer), _) in places.iter().zip(&verdicts).filter(|&(_, &valid)| !valid) {
            // The first of a transaction's invalid signatures is told.
            if refused.last().is_none_or(|&(last, _)| last != place) {
                refused.push((place, Refusal::BadSignature { signer }));
            }
        }
        refused
    }
}

/// Tells the submitter what is refused and keeps the rest.
fn release_refused(batch: Batch, ids: &[TransactionId], refused: &[(usize, Refusal)]) -> Option<Verified> {
    let Batch { mut bytes, first, time, delivery, .. } = batch;
    if refused.is_empty() {
        return Some(Verified { bytes, ids: ids.into(), time, delivery, first, indices: None });
    }
    let index = |place: usize| first.saturating_add(u32::try_from(place).unwrap_or(u32::MAX));
    let is_kept = |place: &usize| refused.binary_search_by_key(place, |&(place, _)| place).is_err();
    let kept = Transactions(&bytes).enumerate().filter(|(place, _)| is_kept(place));
    let kept_bytes: Vec<u8> =
        kept.flat_map(|(_, transaction): (usize, TransactionRef<'_>)| transaction.bytes()).copied().collect();
    bytes = kept_bytes;
    let kept_ids: Arc<[TransactionId]> =
        ids.iter().enumerate().filter(|(place, _)| is_kept(place)).map(|(_, id)| *id).collect();
    let indices: Arc<[u32]> = (0..ids.len()).filter(is_kept).map(index).collect();
    delivery.refuse(refused.iter().map(|&(place, refusal)| (index(place), refusal)).collect());
    (!kept_ids.is_empty()).then(|| Verified { bytes, ids: kept_ids, time, delivery, first, indices: Some(indices) })
}
