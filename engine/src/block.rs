//! A block: transactions whose order and time are fixed.

use crate::transaction::TransactionRef;
use crate::types::{Height, Time};

/// Transactions in order, at a time. What executes and what is sealed is exactly this.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub height: Height,
    pub time: Time,
    /// How many transactions the ledger held before.
    pub first: u64,
    pub count: u32,
    runs: Vec<&'a [u8]>,
}

impl<'a> Block<'a> {
    /// Fixes order and time. `runs` are canonical transactions back to back, `count` of them in all; they come from verification,
    /// or from a record of the log whose hash was checked.
    pub(crate) const fn assemble(height: Height, time: Time, first: u64, count: u32, runs: Vec<&'a [u8]>) -> Self {
        Self { height, time, first, count, runs }
    }

    /// The transactions in order.
    #[inline]
    pub(crate) fn transactions(&self) -> impl Iterator<Item = TransactionRef<'a>> {
        self.runs.iter().flat_map(|&run| Transactions(run))
    }

    /// The bytes of the transactions in order, in as many pieces as there are runs.
    pub(crate) fn runs(&self) -> &[&'a [u8]] {
        &self.runs
    }
}

/// Walks transactions that lie back to back and were decoded before.
#[derive(Clone, Debug)]
pub(crate) struct Transactions<'a>(pub &'a [u8]);

impl<'a> Iterator for Transactions<'a> {
    type Item = TransactionRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<TransactionRef<'a>> {
        let (transaction, rest) = TransactionRef::next_checked(self.0)?;
        self.0 = rest;
        Some(transaction)
    }
}
