//! Between two blocks: where a ledger stands there, its state, and how that is asked for.

use crate::state::{StateRecords, StateSnapshot};
use crate::types::{Height, Time};
use crossbeam::channel::Sender;

/// Asks the execute thread for the state at the next block boundary.
#[derive(Debug)]
pub(crate) enum Request {
    /// For those who look accounts up.
    Snapshot(Sender<Executing>),
    /// For those who go through all of it.
    Records(Sender<Executing<StateRecords>>),
}

/// The state between two blocks.
#[derive(Clone, Debug)]
pub(crate) struct Executing<T = StateSnapshot> {
    pub height: Height,
    pub time: Time,
    pub transactions: u64,
    pub state: T,
}

/// Where a ledger stands, as recovered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tip {
    pub height: Height,
    pub time: Time,
    /// Transactions in all blocks so far.
    pub transactions: u64,
}

impl Tip {
    /// A state that stands there.
    pub(crate) fn with<T>(self, state: T) -> Executing<T> {
        let Self { height, time, transactions } = self;
        Executing { height, time, transactions, state }
    }
}
