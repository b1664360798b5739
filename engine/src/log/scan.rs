//! Looking at a log without opening it: for `verify` and `inspect`. Nothing is written and no lock is taken, so the end
//! of a log that is being written may look torn.

use std::path::Path;

use super::error::{DiskError, OpenError};
use super::frame::Hash;
use super::ledger::Ledger;
use super::recovery::{Checkpoint, Purpose, TornTail, Visit, walk};
use super::segment::segment_name;
use super::storage::Storage;

/// What a look at a log has found, if everything durable in it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) ledger_id: Hash,
    pub(crate) genesis: Vec<u8>,
    pub(crate) segment_bytes: u64,
    pub(crate) segments: u64,
    /// The highest epoch seen: how often the log was opened after an end that was not a clean one, and one.
    pub(crate) epoch: u32,
    /// Height of the last record, 0 if there is none.
    pub(crate) height: u64,
    /// Hash of the last record, the ledger id if there is none.
    pub(crate) hash: Hash,
    pub(crate) records: u64,
    /// Bytes of their frames.
    pub(crate) bytes: u64,
    /// The log ends with a seal: it was closed, or it rests.
    pub(crate) sealed: bool,
    /// What the next opening would cut off.
    pub(crate) torn: Option<TornTail>,
}

/// The bytes a ledger was created with.
///
/// # Errors
///
/// [`OpenError`] if there is no ledger or its file can't be read.
pub(crate) fn genesis<S: Storage>(storage: &S, directory: &Path) -> Result<Vec<u8>, OpenError> {
    Ledger::read(storage, directory).map(|ledger| ledger.genesis)
}

/// Whether a log has its first segment, and so needs no checkpoint to be read.
///
/// # Errors
///
/// [`OpenError`] if the directory can't be read.
pub(crate) fn has_beginning<S: Storage>(storage: &S, directory: &Path) -> Result<bool, OpenError> {
    let names = storage.list(directory).map_err(DiskError::on("list the directory", directory, None))?;
    Ok(names.iter().any(|name| name.to_str() == Some(&segment_name(1))))
}

/// Checks everything in a log and shows every record to `visit`, in order.
///
/// # Errors
///
/// [`OpenError`], the first thing that is wrong, as opening would find it, with file, offset, height, expectation and
/// finding.
#[cfg(test)]
pub(crate) fn scan<S: Storage>(storage: &S, directory: &Path, visit: &mut Visit<'_>) -> Result<Scanned, OpenError> {
    scan_from(storage, directory, None, visit)
}

/// The same, but only what is above a checkpoint, for a log whose first segments were retired.
///
/// # Errors
///
/// [`OpenError`], the first thing that is wrong, as opening would find it.
pub(crate) fn scan_from<S: Storage>(
    storage: &S,
    directory: &Path,
    from: Option<Checkpoint>,
    visit: &mut Visit<'_>,
) -> Result<Scanned, OpenError> {
    let ledger = Ledger::read(storage, directory)?;
    let walked = walk(storage, directory, &ledger, Purpose::Look, from, visit)?;
    Ok(Scanned {
        ledger_id: ledger.id,
        segment_bytes: ledger.segment_bytes,
        genesis: ledger.genesis,
        segments: walked.segments.len() as u64,
        epoch: walked.epoch,
        height: walked.height,
        hash: walked.hash,
        records: walked.records,
        bytes: walked.bytes,
        sealed: walked.sealed,
        torn: walked.torn,
    })
}
