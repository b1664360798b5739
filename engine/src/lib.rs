//! Nostro is a settlement engine: signed transactions go in; verified, ordered, executed and durable blocks come out, at the
//! speed of the machine.
//!
//! ```text
//! bytes ──► Transaction ──► Verified ──► Block ──► Settled ──► Sealed ──► durable ──► Receipt
//!        decode         verify       assemble   execute     seal       append+sync   release
//! ```
//!
//! Start with [`Engine`]: open one on a directory, [submit](Engine::submit) transactions, wait for their receipts, read
//! [snapshots](Engine::snapshot) and [blocks](Engine::blocks_from).
//!
//! # Promises
//!
//! - The result is that of applying transactions one by one in order of admission, whatever the threads and the block sizes.
//! - A verdict on a signature depends on that transaction's bytes alone.
//! - A receipt is handed out only after the block that holds it is on the disk; after a crash every receipt still holds.
//! - For every asset, all holdings together equal what was issued.
//! - A flipped bit in a durable block is reported with its place.
//! - Any bytes at all give a clear error, never a panic.
//! - A transaction is applied at most once.
//! - After a failed write the engine says so, accepts nothing more, and still answers reads of what is durable.

mod arena;
mod audit;
mod beside;
mod block;
mod boundary;
mod checkpoint;
mod clock;
mod commit;
mod completion;
mod config;
mod crew;
mod engine;
mod error;
mod execute;
mod follow;
mod intake;
mod keys;
mod ledger;
mod log;
mod merkle;
mod open;
mod ops;
mod pipeline;
mod prepare;
mod priority;
mod proof;
mod query;
mod receipts;
mod repair;
mod replay;
mod roots;
mod state;
mod stats;
mod transaction;
mod types;
mod verify;
mod wide_hash;
mod wire;

pub use audit::{AuditError, AuditReport, LedgerSummary, VisitError, audit_ledger, ledger_name, read_ledger};
pub use config::{ConfigError, EngineConfig, Retention};
pub use engine::Engine;
pub use error::{CheckpointError, FollowError, OpenError, ProveError, ReadError, StopError, SubmitError, WaitError};
#[cfg(feature = "measure")]
#[doc(hidden)]
pub use execute::{
    PlantedOrder,
    measure::{ExecutedBlock, ExecutionShape, MeasuredExecution, PreparedBlock, SettledBlock},
};
pub use follow::{Follow, Notice, Trade};
pub use intake::{Submitter, Ticket, Tickets};
pub use keys::{KeyPair, Signature};
pub use ledger::{Ledger, LedgerNameError, LedgerRules};
#[cfg(feature = "measure")]
#[doc(hidden)]
pub use log::measure::MeasuredLog;
#[cfg(feature = "sim")]
#[doc(hidden)]
pub use log::{Chance, Faults, Planted, SimDisk};
pub use open::OpenProgress;
pub use ops::{
    Amend, Authorize, ControlHolder, Grant, GrantAction, GrantName, GrantTerms, Hold, HolderAction, OPERATIONS,
    OpenMarket, Operation, OperationKind, PlaceOrder, Predicate, Put, PutAction, RegisterAsset, Require, Settle,
    Transfer,
};
pub use proof::{BalanceProof, ProofError, SignedHeader, TransactionProof};
pub use query::{BlockProver, BlockRef, Blocks, Snapshot, StoredBlock};
pub use repair::{RepairError, Truncation, truncate_ledger};
pub use state::{
    Asset, AuthorityState, Channel, GrantState, HoldState, HolderState, MarketState, OrderState, Record, Share,
};
pub use stats::{EngineStats, ShardPartStats, ShardStats, Stage, StageStats};
pub use transaction::{
    SignError, SignedMessage, TRANSACTION_BYTES_MAX, Transaction, TransactionBuilder, TransactionRef,
    UnsignedTransaction,
};
pub use types::{
    Address, Amount, AmountOverflow, AssetCode, AssetCodeError, AssetId, AssetPolicy, AssetTerms, AuthorityKey,
    AuthorityRules, BlockHeader, Comparison, Digest, Event, GrantKind, Happening, Height, Holding, LedgerId, Lifetime,
    MarketId, Outcome, ParseHexError, Receipt, Receipts, RecordKind, Refusal, Rejection, RejectionCode, SelfTrade,
    Side, Time, TransactionId,
};
pub use wire::Malformed;
