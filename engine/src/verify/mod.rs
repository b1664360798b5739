//! Signatures: batches in, verified batches out.
//!
//! The verdict on a signature is a function of its own transaction alone (one cofactored rule, ZIP-215; see `nostro-ed25519`),
//! so it doesn't matter what is verified together. What isn't validly signed is refused here and leaves no trace.

mod signatures;

use crate::block::Transactions;
use crate::completion::Delivery;
use crate::intake::Batch;
use crate::ledger::Ledger;
use crate::transaction::{SignedMessage, TransactionRef, signed_message};
use crate::types::{Address, Refusal, Span, Time, TransactionId};
use nostro_ed25519::{Path, Verifier, VerifierConfig};
use signatures::Signatures;
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
    pub(crate) fn new(ledger: Ledger, trusts: bool, key_cache_bytes: usize) -> Self {
        let key_cache_bytes = if trusts { 0 } else { key_cache_bytes };
        Self {
            ledger,
            verifier: Verifier::new(VerifierConfig { key_cache_bytes, ..VerifierConfig::default() }),
            trusts,
        }
    }

    /// How it computes on this processor.
    pub(crate) fn path(&self) -> &'static str {
        match self.verifier.path() {
            _ if self.trusts => "none",
            Path::Avx512 => "avx512",
            Path::Avx2 => "avx2",
            _ => "portable",
        }
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
            batch.conduct.record(own.is_empty());
            all.extend(release_refused(batch, ids.get(position..end).unwrap_or_default(), &own));
            position = end;
        }
        all
    }

    /// The first signature that isn't valid of transactions with their ids, with the place of its transaction and of its signer; or how many
    /// there are.
    pub(crate) fn first_invalid(
        &self,
        transactions: &[(TransactionRef<'_>, &TransactionId)],
    ) -> Result<usize, (usize, u8)> {
        let messages: Vec<SignedMessage> = transactions.iter().map(|(_, id)| signed_message(id)).collect();
        let keys: Vec<Address> = transactions.iter().flat_map(|(transaction, _)| transaction.keys()).collect();
        let mut signatures = Signatures::default();
        signatures.reserve(keys.len());
        let mut keys = keys.iter();
        for (place, ((transaction, _), message)) in transactions.iter().zip(&messages).enumerate() {
            signatures.gather(*transaction, place, message, &mut keys, &mut std::iter::empty());
        }
        let invalid = signatures.check(|signatures, verdicts| self.verifier.verify_batch(&signatures.items, verdicts));
        invalid.first().map_or(Ok(signatures.items.len()), |first| Err(*first))
    }

    /// Places of the transactions that aren't validly signed, ascending.
    fn refusals(&self, batches: &[Batch], ids: &[TransactionId]) -> Vec<(usize, Refusal)> {
        let messages: Vec<SignedMessage> = ids.iter().map(signed_message).collect();
        let transactions = batches.iter().flat_map(|batch| Transactions(&batch.bytes));
        let mut signers: Vec<Address> = Vec::with_capacity(batches.iter().map(|batch| batch.signatures as usize).sum());
        signers.extend(transactions.flat_map(|transaction| transaction.keys()));

        // Merged with those of others, or each for itself.
        let (mut merged, mut apart) = (Signatures::default(), Signatures::default());
        let (mut keys, mut messages) = (signers.iter(), messages.iter().enumerate());
        for batch in batches {
            let signatures = if batch.conduct.is_on_probation() { &mut apart } else { &mut merged };
            signatures.reserve(batch.signatures as usize);
            let mut hints = batch.hints.as_chunks::<32>().0.iter();
            for (transaction, (place, message)) in Transactions(&batch.bytes).zip(messages.by_ref()) {
                signatures.gather(transaction, place, message, &mut keys, &mut hints);
            }
        }
        let mut invalid = merged.check(|signatures, verdicts| {
            self.verifier.verify_hinted(&signatures.items, &signatures.hints, verdicts);
        });
        invalid.extend(apart.check(|signatures, verdicts| self.verifier.verify_each(&signatures.items, verdicts)));
        invalid.sort_unstable();
        // The first of a transaction's invalid signatures is told.
        invalid.dedup_by_key(|&mut (place, _)| place);
        invalid.into_iter().map(|(place, signer)| (place, Refusal::BadSignature { signer })).collect()
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
