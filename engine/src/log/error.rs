//! What can go wrong with a log, and where. Every text says place, expectation and finding.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A place in the log that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}, offset {offset}, height {height}: expected {expected}, found {found}")]
pub(crate) struct Damage {
    /// The file's name in the ledger's directory.
    pub(crate) file: String,
    /// Where the bad range begins, in bytes from the beginning of the file.
    pub(crate) offset: u64,
    /// The record that is damaged, or the one that comes next.
    pub(crate) height: u64,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// Something that was asked of the disk and did not happen.
#[derive(Debug, Error)]
#[error("{}: cannot {action}{}: {source}", file.display(), at(*offset))]
pub(crate) struct DiskError {
    /// What was tried, as a verb and its object.
    pub(crate) action: &'static str,
    pub(crate) file: PathBuf,
    pub(crate) offset: Option<u64>,
    pub(crate) source: io::Error,
}

fn at(offset: Option<u64>) -> String {
    offset.map(|offset| format!(" at offset {offset}")).unwrap_or_default()
}

impl DiskError {
    /// For `map_err`: what was tried, on which file, where.
    pub(crate) fn on<'a>(
        action: &'static str,
        file: &'a std::path::Path,
        offset: Option<u64>,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self { action, file: file.to_path_buf(), offset, source }
    }
}

/// What a visitor of records says when it can't go on.
pub(crate) type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// Why a log was not opened or created. Nothing was changed, unless it says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// The configuration is outside its limits.
    #[error("{name} is {found}, it must be {expected}")]
    Config { name: &'static str, expected: String, found: String },
    /// Another engine has the directory open.
    #[error("{}: the ledger is open in another engine{}", directory.display(), of_process(*process))]
    Locked { directory: PathBuf, process: Option<u32> },
    /// The directory or the medium does not let itself be written.
    #[error("{}: the directory can't be written: {source}", directory.display())]
    NotWritable { directory: PathBuf, source: io::Error },
    /// There is no ledger in the directory.
    #[error("{}: there is no ledger here: the file LEDGER is missing", directory.display())]
    NoLedger { directory: PathBuf },
    /// A ledger was to be created where there is one, or the remains of one.
    #[error("{}: can't create a ledger: {found}", directory.display())]
    Exists { directory: PathBuf, found: String },
    /// The ledger has another id than the caller expected.
    #[error("{}: expected the ledger {expected}, found {found}", directory.display())]
    OtherLedger { directory: PathBuf, expected: String, found: String },
    /// The files were written by a later version of this software.
    #[error("{file}: written in format {found}, this version reads up to format {supported}")]
    NewerFormat { file: String, found: u16, supported: u16 },
    /// A segment is not there.
    #[error("{file} is missing: {because}")]
    SegmentMissing { file: String, because: String },
    /// A file is shorter or longer than it was made.
    #[error("{file}: expected {expected} bytes, found {found}")]
    Length { file: String, expected: u64, found: u64 },
    /// Durable bytes are not what they were.
    #[error("the log is damaged: {0}")]
    Damaged(#[from] Damage),
    /// The checkpoint to start from is not of this log.
    #[error("height {height}: expected the record {expected} of the checkpoint, found {found}")]
    Checkpoint { height: u64, expected: String, found: String },
    /// There is not enough space for what is needed at least.
    #[error("{}: {needed} bytes are needed, {available} are free", directory.display())]
    NoSpace { directory: PathBuf, needed: u64, available: u64 },
    /// The visitor refused a record that is whole.
    #[error("height {height}: {source}")]
    Visit { height: u64, source: VisitError },
    /// A number of the format has reached its end.
    #[error("{what} has reached its end")]
    Exhausted { what: &'static str },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

fn of_process(process: Option<u32>) -> String {
    process.map(|process| format!(" (process {process})")).unwrap_or_default()
}

impl OpenError {
    /// A failure while getting write access to the directory, told apart by its cause.
    pub(super) fn writing(directory: &std::path::Path, error: DiskError) -> Self {
        match error.source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { directory: directory.to_path_buf(), source: error.source }
            }
            _ => Self::Disk(error),
        }
    }
}

/// Why a log stopped. It can't be used again; what was synced before is durable, of the rest nothing is known.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum LogFailure {
    /// A record came out of order: a mistake of the caller, and nothing was written.
    #[error("expected the record of height {height_expected}, found {height_found}, or its previous hash is another")]
    OutOfOrder { height_expected: u64, height_found: u64 },
    /// A body is larger than a segment can hold: a mistake of the caller, and nothing was written.
    #[error(transparent)]
    TooLarge(#[from] super::frame::BodyTooLarge),
    /// There are no more segment ids.
    #[error("{what} has reached its end")]
    Exhausted { what: &'static str },
    /// The disk failed.
    #[error("the log has stopped: {0}")]
    Disk(#[from] DiskError),
}

/// Why a record can't be read while the engine runs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ReadError {
    /// Durable bytes are not what they were.
    #[error("the log is damaged: {0}")]
    Damaged(#[from] Damage),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
