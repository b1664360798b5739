//! Cutting a ledger's log after a height, by hand: the last resort where a segment is damaged and no copy of it is left.
//!
//! Nothing in the engine calls it. What is cut was acknowledged and is lost to the ledger; everything that is changed or
//! removed is copied first, so that what was lost can still be looked at.

use crate::audit;
use crate::checkpoint;
use crate::log::{self, Checkpoint, OsStorage};
use crate::types::{Digest, Height};
use std::path::Path;

/// Why a ledger wasn't cut. The text names file, place, expectation and finding; it begins with the disk where that failed, and only
/// then something may have been changed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RepairError(String);

/// What was cut, and what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The last block that is left, 0 if none is.
    pub height: Height,
    /// Its hash; the ledger's id if there is none.
    pub hash: Digest,
    /// The highest block of which a whole header was found behind the cut; `height` if none was. Those between are lost.
    pub lost: Height,
    /// The segment that was cut.
    pub file: String,
    /// Where in it: from there on it holds zeros.
    pub offset: u64,
    /// The segments behind it, then the checkpoints above it, which were removed.
    pub removed: Vec<String>,
}

/// Cuts everything after a block from the log of a ledger that no engine has open.
///
/// Every block up to `height` is checked first, as opening does, and must be whole; what comes behind may be in any state. Then
/// `LEDGER` and every segment that is changed or removed are copied, durably, to `copy`, a directory that is empty or can be
/// made. Only then is anything touched. Checkpoints above the cut move there afterwards. If the cut is interrupted the ledger is refused or whole; cutting again at the same height,
/// with another directory for the copy, ends it.
///
/// # Errors
/// [`RepairError`].
pub fn truncate_ledger(directory: &Path, height: Height, copy: &Path) -> Result<Truncation, RepairError> {
    let wrong = |error: &dyn std::fmt::Display| RepairError(format!("{}: {error}", directory.display()));
    let place = audit::beginning(directory).map_err(|error| RepairError(error.to_string()))?;
    let from = place.map(|place| Checkpoint { height: place.height.0, hash: place.hash.0 });
    let cut = log::truncate_after(&OsStorage, directory, from, height.0, copy).map_err(|error| wrong(&error))?;
    // A checkpoint above the cut is of a history that is no more. Until all are gone the ledger is refused.
    let moved = checkpoint::move_above(&OsStorage, directory, height, copy).map_err(|error| wrong(&error))?;
    let mut copied = cut.copied.into_iter().chain(moved);
    Ok(Truncation {
        height: Height(cut.height),
        hash: Digest(cut.hash),
        lost: Height(cut.lost),
        file: copied.next().unwrap_or_default(),
        offset: cut.offset,
        removed: copied.collect(),
    })
}
