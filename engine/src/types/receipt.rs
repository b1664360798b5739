//! What a caller gets back: proof that a transaction is durable, or why it never was one.

use super::{Height, Outcome, Rejection, Time, TransactionId};
use std::sync::Arc;

/// A transaction is in a durable block. Whoever holds one may act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub transaction: TransactionId,
    /// The block it is in.
    pub height: Height,
    /// Its place in that block, from 0.
    pub position: u32,
    /// The block's time.
    pub time: Time,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a well-formed transaction never entered a block. It left no trace: its sequence number is still free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A signature isn't that of its signer over this transaction for this ledger.
    #[error("the signature of signer {signer} is not valid for this transaction and ledger")]
    BadSignature {
        /// Which signer: 0 is the account, 1 the first further signer.
        signer: u8,
    },
}

/// Consecutive transactions of one submission in one block.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Ids of the verified transactions that the batch kept.
    pub ids: Arc<[TransactionId]>,
    /// Where this span begins in `ids`.
    pub start: u32,
    pub count: u32,
    /// Place in the submission of each of `ids`; `None` if that is `first` and on.
    pub indices: Option<Arc<[u32]>>,
    pub first: u32,
}

impl Span {
    /// Place in the submission of the span's `n`-th transaction.
    fn index(&self, n: u32) -> u32 {
        let n = self.start.saturating_add(n);
        match &self.indices {
            Some(indices) => indices.get(n as usize).copied().unwrap_or(u32::MAX),
            None => self.first.saturating_add(n),
        }
    }

    /// Which of the span's transactions stands at `index` of the submission.
    fn find(&self, index: u32) -> Option<u32> {
        let n = match &self.indices {
            Some(indices) => u32::try_from(indices.binary_search(&index).ok()?).ok()?,
            None => index.checked_sub(self.first)?,
        };
        n.checked_sub(self.start).filter(|&n| n < self.count)
    }
}

/// A span with what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    pub span: Span,
    pub height: Height,
    pub time: Time,
    /// Position in the block of the span's first transaction.
    pub position: u32,
    /// Rejections by place in the span, ascending.
    pub rejections: Vec<(u32, Rejection)>,
}

impl Settlement {
    fn receipt(&self, n: u32) -> Option<Receipt> {
        let transaction = *self.span.ids.get(self.span.start.checked_add(n)? as usize)?;
        let outcome = match self.rejections.binary_search_by_key(&n, |&(place, _)| place) {
            Ok(found) => Outcome::Rejected(self.rejections.get(found)?.1),
            Err(_) => Outcome::Applied,
        };
        let position = self.position.checked_add(n)?;
        Some(Receipt { transaction, height: self.height, position, time: self.time, outcome })
    }
}

/// What became of everything in one submission, in the order of submission. Costs nothing per transaction until it is asked.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    /// Ascending by the index of their first transaction.
    settlements: Vec<Settlement>,
    /// Ascending by index.
    refusals: Vec<(u32, Refusal)>,
    len: usize,
}

impl Receipts {
    pub(crate) fn new(len: usize, mut settlements: Vec<Settlement>, mut refusals: Vec<(u32, Refusal)>) -> Self {
        settlements.sort_unstable_by_key(|settlement| settlement.span.index(0));
        refusals.sort_unstable_by_key(|&(index, _)| index);
        Self { settlements, refusals, len }
    }

    /// How many transactions were submitted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the submission was empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What became of the transaction at `index` of the submission; `None` past its end. Costs two binary searches.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Result<Receipt, Refusal>> {
        let index = u32::try_from(index).ok()?;
        if let Ok(found) = self.refusals.binary_search_by_key(&index, |&(index, _)| index) {
            return self.refusals.get(found).map(|&(_, refusal)| Err(refusal));
        }
        let after = self.settlements.partition_point(|settlement| settlement.span.index(0) <= index);
        let settlement = self.settlements.get(after.checked_sub(1)?)?;
        settlement.receipt(settlement.span.find(index)?).map(Ok)
    }

    /// Everything in the order of submission.
    pub fn iter(&self) -> impl Iterator<Item = Result<Receipt, Refusal>> {
        (0..self.len).filter_map(|index| self.get(index))
    }

    /// How many transactions were applied.
    #[must_use]
    pub fn applied(&self) -> usize {
        let in_blocks: usize = self.settlements.iter().map(|settlement| settlement.span.count as usize).sum();
        in_blocks.saturating_sub(self.rejected())
    }

    /// How many were rejected.
    #[must_use]
    pub fn rejected(&self) -> usize {
        self.settlements.iter().map(|settlement| settlement.rejections.len()).sum()
    }

    /// How many were refused.
    #[must_use]
    pub const fn refused(&self) -> usize {
        self.refusals.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RejectionCode;

    #[test]
    fn every_transaction_is_found_at_its_place_across_blocks_and_refusals() {
        let ids: Arc<[TransactionId]> = (0..5_u8).map(|n| TransactionId([n; 32])).collect();
        // Submitted: 0 1 2(refused) 3 4(refused) 5 6; kept ids 0..5 stand at 0 1 3 5 6.
        let indices: Arc<[u32]> = Arc::new([0, 1, 3, 5, 6]);
        let rejection = Rejection::new(RejectionCode::NoAsset, 9);
        let span = |start, count| Span { ids: ids.clone(), start, count, indices: Some(indices.clone()), first: 0 };
        let part = |start, count, height, position, rejections| Settlement {
            span: span(start, count),
            height: Height(height),
            time: Time(1),
            position,
            rejections,
        };
        let refusal = Refusal::BadSignature { signer: 0 };
        let receipts = Receipts::new(
            7,
            vec![part(2, 3, 8, 0, vec![(1, rejection)]), part(0, 2, 7, 40, vec![])],
            vec![(4, refusal), (2, refusal)],
        );
        let said: Vec<String> = receipts
            .iter()
            .map(|result| match result {
                Ok(receipt) => {
                    let word = if receipt.outcome.is_applied() { "ok" } else { "no" };
                    format!("{}:{}/{} {word}", receipt.transaction.0[0], receipt.height, receipt.position)
                }
                Err(_) => "refused".to_owned(),
            })
            .collect();
        assert_eq!(said, ["0:7/40 ok", "1:7/41 ok", "refused", "2:8/0 ok", "refused", "3:8/1 no", "4:8/2 ok"]);
        assert_eq!((receipts.applied(), receipts.rejected(), receipts.refused()), (4, 1, 2));
        assert_eq!(receipts.get(7), None);
    }
}
