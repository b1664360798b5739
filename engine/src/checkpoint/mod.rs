//! Checkpoints: the state at a height in a file, so that opening a ledger needn't execute all of its history again.
//!
//! ```text
//! checkpoint-0000000000001234.state      the state after block 1234
//! checkpoint.tmp                         one in the making
//!
//! chunk, chunk, … of accounts by slot; chunk, … of assets by number; chunk, … of entries by number; footer
//!
//! chunk   0  4  magic "NCHK"
//!         4  1  kind: 0 accounts, 1 assets, 2 entries, in this order
//!         5  3  0
//!         8  8  length of the payload
//!        16  4  slot or number of the first record
//!        20  4  number of records
//!        24  8  0
//!        32 32  BLAKE3 in derive-key mode, context "nostro 1 checkpoint chunk", of these 32 bytes and the payload
//!        64  …  payload: the canonical bytes of whole records back to back, about 1 MiB of them
//!
//! footer  0  4  magic "NCKF"
//!         4  2  format, 2; 1 if there are no entries
//!         6  2  0
//!         8 32  ledger id
//!        40  8  height
//!        48 32  hash of the block of that height
//!        80  8  its time
//!        88  8  number of transactions up to there
//!        96 32  state digest
//!       128  4  number of accounts
//!       132  4  number of assets
//!       136  4  first segment of the log that is needed to go on from here
//!       140  4  number of chunks
//!       144  8  bytes of the file, this footer included
//!       152 32  newest state root at that height: of the state after the last block whose height is a multiple of the
//!              root interval
//!       184 32  the root before that one; zeros if there is none
//!       216 32  BLAKE3 of the hashes of all chunks in order
//!       248 32  BLAKE3 in derive-key mode, context "nostro 1 checkpoint footer", of the 248 bytes before
//! ```
//!
//! # Rules
//!
//! 1. The payloads are exactly what the state digest is made of, so a checkpoint is a function of the state: not of the machine, of
//!    memory or of how often the ledger was opened.
//! 2. A checkpoint gets its name when its bytes are durable and its block is; the name is made durable before anything that it
//!    replaces goes. So the newest name is a checkpoint that the log has reached, whatever crashed.
//! 3. Two are kept. A damaged one is named and the older one used; the log is kept from the older one on at least.
//! 4. One of another ledger, of a later format, or of a block that the log doesn't have, is no damage: the directory was mixed
//!    up, and isn't opened.
//!
//! # Cost
//!
//! Beginning one takes the pages of the state as they are, some fifty nanoseconds each. Writing it happens on a thread of its own, which rests
//! three times as long as it works; the owner of the state copies each page it changes once, unless it was written by then.

mod format;
mod keeper;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use keeper::Keeper;
pub(crate) use read::{CheckpointFault, Loaded, find, load, load_newest, move_above, newest, oldest};

use crate::error::CheckpointError;
use crate::types::{Digest, Height, Time};
use crossbeam::channel::Sender;

/// What the [`Keeper`] is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// The log has grown enough since the last one.
    Due,
    /// Somebody wants one, and waits for its height.
    Asked(Sender<Result<Height, CheckpointError>>),
}

/// Where a checkpoint stands in its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub ledger: [u8; 32],
    pub height: Height,
    /// Hash of the block of that height.
    pub hash: Digest,
    pub time: Time,
    /// Transactions in all blocks up to there.
    pub transactions: u64,
    /// First segment of the log that is needed to go on.
    pub segment: u32,
    /// The newest state root, and the one before.
    pub roots: [Digest; 2],
}
