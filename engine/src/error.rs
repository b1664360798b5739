//! What can go wrong: one error per public call, each saying what it means for the caller.

use crate::config::ConfigError;
use crate::ledger::LedgerNameError;
use crate::log;
use crate::types::{Address, Height, Refusal, TransactionId};
use crate::wire::Malformed;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Why an engine didn't open. Nothing was changed on the disk but what recovery itself says it does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A limit is outside its interval.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The ledger's name can't be one.
    #[error("configuration: {0}")]
    LedgerName(#[from] LedgerNameError),
    /// The log can't be opened: locked, not writable, another ledger's, of another version, damaged. The text says which file,
    /// where, what was expected and what was found.
    #[error("{0}")]
    Log(String),
    /// A checkpoint can't be one of this ledger: it is another's, or of a later format. The text names the file.
    #[error("{0}")]
    Checkpoint(String),
    /// A block of the log doesn't give what its header says when it is executed again.
    #[error("block {height} of {directory}: {what}: expected {expected}, found {found}")]
    Replay {
        /// Which directory.
        directory: PathBuf,
        /// Which block.
        height: Height,
        /// Which of its parts.
        what: &'static str,
        /// What the header says.
        expected: String,
        /// What executing it gives.
        found: String,
    },
    /// The operating system refuses threads or randomness.
    #[error("the operating system gives no {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
}

/// Why nothing of a submission was admitted. It left no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The bytes aren't a transaction.
    #[error("transaction {index} of the submission, at byte {offset}: {reason}")]
    Malformed {
        /// Which transaction, from 0.
        index: usize,
        /// Where it begins in the submission.
        offset: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// The submission alone is larger than the queue; cut it up.
    #[error(
        "a submission has at most {transactions_max} transactions and {bytes_max} bytes, found {transactions} and {bytes}"
    )]
    TooLarge {
        /// Limit of transactions.
        transactions_max: usize,
        /// Limit of bytes.
        bytes_max: usize,
        /// Transactions found.
        transactions: usize,
        /// Bytes found.
        bytes: usize,
    },
    /// The queue is full: try again when receipts have come, or let the submitter wait.
    #[error("901 full: {waiting} transactions wait already, at most {transactions_max} may")]
    Full {
        /// How many wait.
        waiting: usize,
        /// How many may.
        transactions_max: usize,
    },
    /// The engine takes nothing more.
    #[error("902 stopped: {0}")]
    Stopped(#[from] StopError),
}

/// Why there is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The transaction was refused; it left no trace.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The engine stopped before the transaction was durable. Whether it is in the log is known after reopening; submitting it
    /// again is safe then.
    #[error("stopped: {0}")]
    Stopped(#[from] StopError),
}

/// Why an engine stopped. It accepts nothing more; what was acknowledged stays readable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// It was closed.
    #[error("the engine was closed")]
    Closed,
    /// A write or a sync failed. The log is never written again by this engine; reopen it once the cause is mended.
    #[error("the log failed: {0}")]
    Log(Arc<str>),
    /// A thread of the engine panicked: a bug.
    #[error("a thread of the engine panicked: {0}")]
    Panicked(Arc<str>),
}

/// Why there is no new checkpoint. The engine goes on as if none had been asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The engine has stopped, or stops.
    #[error("stopped: {0}")]
    Stopped(#[from] StopError),
    /// It couldn't be written. The text says which file and why.
    #[error("the checkpoint wasn't written: {0}")]
    Failed(Arc<str>),
    /// It was written, and what it makes unneeded couldn't be taken away. The next one tries again.
    #[error(
        "the checkpoint at height {height} was written, but not everything below it could be cleared away: {reason}"
    )]
    Kept {
        /// Height of the new checkpoint.
        height: Height,
        /// Which file, and why.
        reason: Arc<str>,
    },
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// No block of the retained history holds the transaction.
    #[error("transaction {0} is in no durable block that is still here")]
    NoTransaction(TransactionId),
    /// The account hadn't come into being in the state of the newest root.
    #[error("account {account} had not come into being at height {height}, of which the newest state root is")]
    NoAccount {
        /// Which account.
        account: Address,
        /// Which state was looked at.
        height: Height,
    },
    /// The engine keeps no state to prove balances from, see [`EngineConfig::balance_proofs`](crate::EngineConfig::balance_proofs), or has
    /// made no root since it was opened, or no durable header carries it yet.
    #[error("no state root can be proved from yet: one is made every 256 blocks, if the engine is set up for it")]
    NoRoot,
    /// The log can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a block couldn't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {height}: {reason}")]
pub struct ReadError {
    /// Which block.
    pub height: Height,
    /// What is wrong.
    pub reason: String,
}

/// Why a follower hears nothing of some blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The follower was so slow, or began so far back, that blocks were retired which it hasn't seen. Asked again it goes on at `next`.
    #[error("the blocks from {at} on were retired before they were followed: expected {next} or later")]
    Lagged {
        /// The first block that it has missed.
        at: Height,
        /// The first that is still there.
        next: Height,
    },
    /// A block can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Whether and why the engine stopped; the first cause stands.
#[derive(Debug, Default)]
pub(crate) struct Stop(OnceLock<StopError>);

impl Stop {
    pub(crate) fn cause(&self) -> Option<&StopError> {
        self.0.get()
    }

    pub(crate) fn set(&self, cause: StopError) {
        // A later cause is a consequence of the first.
        let _ = self.0.set(cause);
    }

    /// The cause; without one it is about to be closed.
    pub(crate) fn cause_or_closed(&self) -> StopError {
        self.cause().cloned().unwrap_or(StopError::Closed)
    }

    /// The cause; if a batch got lost without one, that is a bug and is said so. What a panic drops on its way is lost before
    /// its text is known, so that the thread's name has to do.
    pub(crate) fn cause_or_lost(&self) -> StopError {
        self.cause().cloned().unwrap_or_else(|| {
            let thread = std::thread::current();
            let name = thread.name().filter(|_| std::thread::panicking());
            StopError::Panicked(name.unwrap_or("a batch was lost").into())
        })
    }
}

impl From<log::LogFailure> for StopError {
    fn from(failure: log::LogFailure) -> Self {
        Self::Log(failure.to_string().into())
    }
}
