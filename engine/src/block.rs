//! A block: transactions whose order and time are fixed.

use crate::prepare::PreparedRun;
use crate::transaction::TransactionRef;
use crate::types::Time;

/// Transactions in order, at a time. What executes and what is sealed is exactly this.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub time: Time,
    pub count: u32,
    /// The transactions in order.
    pub runs: Vec<PreparedRun<'a>>,
}

impl<'a> Block<'a> {
    /// Fixes order and time. `runs` are canonical transactions back to back, `count` of them in all; they come from verification,
    /// or from a record of the log whose hash was checked.
    pub(crate) const fn assemble(time: Time, count: u32, runs: Vec<PreparedRun<'a>>) -> Self {
        Self { time, count, runs }
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
