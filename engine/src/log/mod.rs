//! The log: an append-only sequence of records in segment files, each chained to the one before by its hash.
//!
//! It knows bytes, heights and hashes, and nothing of transactions. A record is durable or it is not; what is durable is
//! given back by every later opening, bit for bit, or the opening says which bit is wrong.
//!
//! ```text
//! ledger/
//!   LOCK                    held by the engine that has the directory open
//!   LEDGER                  which ledger, how large its segments; written once, last of all when it is created
//!   segment-00000001.log    header page, frames, continued mark, zeros
//!   segment-00000002.log    header page, frames, seal, zeros …
//!   pool-00000003.tmp       zeros, ready to become a segment
//! ```
//!
//! # Invariants
//!
//! 1. A page that holds acknowledged bytes is never written again.
//! 2. A segment is whole and durable before the next one gets its name. So only the last can have a torn tail.
//! 3. Every frame carries the height that was durable when it was written (the watermark), every segment header the same
//!    by its first height, and a log that rests ends with a seal. So rot below the watermark can be told from a torn
//!    write, by anyone, from the files alone.
//! 4. After a failed write or sync nothing is written again: the log consumes itself, and opening anew is the only way on.
//!    The kernel forgets what it failed to write, and the next sync would say that all is well.
//!
//! # Cost
//!
//! A group of frames costs one `pwritev` and one `fdatasync` into blocks that the file system has allocated and
//! written before. A group of more than [`WRITEBACK_BYTES`] goes out in chunks, each on its way to the disk while the
//! next is copied. The bytes of a record are copied once, by the kernel.
//!
//! The frame is drawn in `frame.rs`, the segment in `segment.rs`, the rule of recovery is in `recovery.rs`, and
//! `docs/format.md` has it all in one place.

mod append;
mod config;
mod create;
mod directory;
mod error;
mod frame;
mod ledger;
#[cfg(feature = "measure")]
pub(crate) mod measure;
mod pool;
mod reader;
mod recovery;
mod repair;
mod retire;
mod scan;
mod segment;
#[cfg(any(test, feature = "sim"))]
#[cfg_attr(not(feature = "sim"), expect(unreachable_pub, reason = "given out with the feature `sim`"))]
pub(crate) mod sim;
mod storage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::{Condvar, Mutex, RwLock};

pub(crate) use config::{LogConfig, LogCounters, Recovered};
pub(crate) use error::{DiskError, LogFailure, OpenError, ReadError};
pub(crate) use frame::{FrameBuilder, Hash, Sealed};
pub(crate) use reader::{LogReader, Record, Records};
pub(crate) use recovery::{Checkpoint, RecordRef, Visit};
pub(crate) use repair::truncate_after;
pub(crate) use retire::{Retirer, preserve};
pub(crate) use scan::{genesis, has_beginning, scan_from};
#[cfg(feature = "sim")]
pub use sim::{Chance, Faults, SimDisk};
#[cfg_attr(not(feature = "sim"), expect(unreachable_pub, reason = "given out with the feature `sim`"))]
pub use storage::Planted;
pub(crate) use storage::{Access, OsStorage, Storage, write_all_at};
#[cfg(test)]
use {
    frame::META_BYTES,
    ledger::GENESIS_BYTES_MAX,
    scan::{Scanned, scan},
};

use frame::{FRAME_HEADER_BYTES, Kind, PAGE_BYTES, SaltedCrc, Stamp, seal_page};
use ledger::Ledger;
use pool::Pool;
use reader::Shared;
use recovery::{Purpose, Unmarked, Walked, cut_tail, walk};
use segment::{SEGMENT_HEADER_BYTES, Segment, segment_name};
use storage::LockError;

/// Of a larger group so many bytes at a time are sent on their way to the disk.
pub(crate) const WRITEBACK_BYTES: usize = 2 << 20;
const PAGE: u64 = PAGE_BYTES as u64;
/// Kept at a segment's end for a seal and for the continued mark.
const TAIL_BYTES: u64 = 2 * PAGE;
const LOCK_NAME: &str = "LOCK";

/// The writer of a log. There is one per directory; every call that fails consumes it.
pub(crate) struct SegmentLog<S: Storage> {
    storage: Arc<S>,
    directory: PathBuf,
    ledger: Ledger,
    crc: SaltedCrc,
    config: LogConfig,
    pool: Pool<S>,
    /// The last segment, and where its next frame goes.
    file: S::File,
    segment: Arc<Segment>,
    end: u64,
    /// The last record.
    height: u64,
    hash: Hash,
    /// The last record that is durable.
    watermark: u64,
    epoch: u32,
    /// Something was written since the last sync.
    unsynced: bool,
    /// The last frame is a seal, or the segment header does its work.
    sealed: bool,
    shared: Arc<Shared>,
    counters: LogCounters,
    _lock: S::Lock,
}

impl<S: Storage> std::fmt::Debug for SegmentLog<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { directory, height, watermark, epoch, .. } = self;
        write!(f, "SegmentLog({}, height {height}, watermark {watermark}, epoch {epoch})", directory.display())
    }
}

impl<S: Storage> Drop for SegmentLog<S> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<S: Storage> SegmentLog<S> {
    /// Opens a ledger and shows every record to `visit`, in order, each checked in full.
    ///
    /// A torn tail is cut off; see `recovery.rs` for what is one. With `expected` the ledger must have that id.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. An error of `visit` ends the opening; the files are then as they were.
    #[cfg(test)]
    pub(crate) fn open(
        storage: S,
        directory: &Path,
        expected: Option<Hash>,
        config: LogConfig,
        visit: &mut Visit<'_>,
    ) -> Result<(Self, Recovered), OpenError> {
        Self::open_from(storage, directory, expected, None, config, visit)
    }

    /// Like [`SegmentLog::open`], but shows only the records above a checkpoint. The log must have the record of the
    /// checkpoint, with its hash; segments that are wholly below are not read, and need not be there.
    ///
    /// # Errors
    ///
    /// [`OpenError`], [`OpenError::Checkpoint`] if the log is not the one that the checkpoint was taken from.
    #[cfg(test)]
    pub(crate) fn open_from(
        storage: S,
        directory: &Path,
        expected: Option<Hash>,
        from: Option<Checkpoint>,
        config: LogConfig,
        visit: &mut Visit<'_>,
    ) -> Result<(Self, Recovered), OpenError> {
        Self::lock(storage, directory, expected, config)?.read(from, visit)?.open()
    }

    /// Takes the lock of a ledger, so that whoever wants to look at other files in its directory first can do so undisturbed.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub(crate) fn lock(
        storage: S,
        directory: &Path,
        expected: Option<Hash>,
        config: LogConfig,
    ) -> Result<LockedLog<S>, OpenError> {
        config.check()?;
        let ledger = Ledger::read(&storage, directory)?;
        if let Some(expected) = expected.filter(|expected| *expected != ledger.id) {
            return Err(OpenError::OtherLedger {
                directory: directory.to_path_buf(),
                expected: recovery::hex(&expected),
                found: recovery::hex(&ledger.id),
            });
        }
        let lock = lock(&storage, directory)?;
        Ok(LockedLog { storage, directory: directory.to_path_buf(), ledger, config, lock })
    }
}

/// A ledger whose lock is held, and whose log nobody has read yet.
pub(crate) struct LockedLog<S: Storage> {
    storage: S,
    directory: PathBuf,
    ledger: Ledger,
    config: LogConfig,
    lock: S::Lock,
}

impl<S: Storage> LockedLog<S> {
    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    /// Reads and checks the log and shows its records to `visit`; see `SegmentLog::open_from`. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub(crate) fn read(self, from: Option<Checkpoint>, visit: &mut Visit<'_>) -> Result<CheckedLog<S>, OpenError> {
        let Self { storage, directory, ledger, config, lock } = self;
        let walked = walk(&storage, &directory, &ledger, Purpose::Open, from, visit)?;
        Ok(CheckedLog { storage, directory, ledger, config, lock, walked })
    }
}

/// A log in which everything was read and is right, and of which nothing was changed yet.
pub(crate) struct CheckedLog<S: Storage> {
    storage: S,
    directory: PathBuf,
    ledger: Ledger,
    config: LogConfig,
    lock: S::Lock,
    walked: Walked,
}

impl<S: Storage> CheckedLog<S> {
    /// Cuts what was torn, and makes the log ready to be written.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub(crate) fn open(self) -> Result<(SegmentLog<S>, Recovered), OpenError> {
        let Self { storage, directory, ledger, config, lock, walked } = self;
        let directory = directory.as_path();
        let Some(last) = walked.segments.last() else {
            return Err(OpenError::SegmentMissing { file: segment_name(1), because: "every ledger has one".into() });
        };

        // From here on files are changed, and each change can be repeated after a crash.
        let path = directory.join(last.name());
        let file = storage
            .open(&path, Access::ReadWrite)
            .map_err(|source| OpenError::writing(directory, DiskError::on("open the file", &path, None)(source)))?;
        cut_tail(&storage, &file, &path, &walked)?;
        if let Some(unmarked) = &walked.unmarked {
            mark_continued(&storage, directory, &ledger, unmarked)?;
        }
        let mut pool = Pool::open(&storage, directory, ledger.segment_bytes)?;
        fill_reserve(&mut pool, &storage, &config)?;
        let mut recovered = Recovered {
            height: walked.height,
            hash: walked.hash,
            records: walked.records,
            bytes: walked.bytes,
            torn: walked.torn.clone(),
            reserve_bytes: pool.ready_bytes(),
        };
        let rests = walked.sealed && walked.torn.is_none();
        let epoch = if rests { Some(walked.epoch) } else { walked.epoch.checked_add(1) };
        let epoch = epoch.ok_or(OpenError::Exhausted { what: "the epoch" })?;
        let Walked { height, hash, end, segments, .. } = walked;
        let tip = Tip { height, hash, epoch, end, sealed: rests };
        let mut log = SegmentLog::assemble(storage, directory, ledger, config, pool, file, segments, tip, lock);
        if !rests {
            // What this opening reports, every later one must report, or say what happened to it.
            log = log.seal().map_err(|failure| match failure {
                LogFailure::Disk(error) => OpenError::Disk(error),
                _ => OpenError::Exhausted { what: "the segment id" },
            })?;
            recovered.reserve_bytes = log.pool.ready_bytes();
        }
        Ok((log, recovered))
    }
}

impl<S: Storage> SegmentLog<S> {
    #[expect(clippy::too_many_arguments, reason = "the parts of a log, each made by its own step")]
    fn assemble(
        storage: S,
        directory: &Path,
        ledger: Ledger,
        config: LogConfig,
        pool: Pool<S>,
        file: S::File,
        segments: Vec<Arc<Segment>>,
        tip: Tip,
        lock: S::Lock,
    ) -> Self {
        let storage = Arc::new(storage);
        let (mapper_storage, mapper_directory) = (Arc::clone(&storage), directory.to_path_buf());
        let segment_bytes = ledger.segment_bytes;
        let mapper = move |name: &str| {
            let file = mapper_storage.open(&mapper_directory.join(name), Access::Read)?;
            mapper_storage.map_read_only(&file, segment_bytes)
        };
        let segment = segments.last().map_or_else(|| Arc::new(Segment::new(1, 1, 0)), Arc::clone);
        let crc = ledger.salted_crc();
        let Tip { height, hash, epoch, end, sealed } = tip;
        let shared = Arc::new(Shared {
            directory: directory.to_path_buf(),
            crc,
            mapper: Box::new(mapper),
            segments: RwLock::new(segments),
            watermark: AtomicU64::new(height),
            closed: AtomicBool::new(false),
            moved: Mutex::new(()),
            moved_signal: Condvar::new(),
        });
        Self {
            storage,
            directory: directory.to_path_buf(),
            ledger,
            crc,
            config,
            pool,
            file,
            segment,
            end,
            height,
            hash,
            watermark: height,
            epoch,
            unsynced: false,
            sealed,
            shared,
            counters: LogCounters::default(),
            _lock: lock,
        }
    }

    /// The bytes that the ledger was created with.
    #[cfg(test)]
    pub(crate) fn genesis(&self) -> &[u8] {
        &self.ledger.genesis
    }

    /// Height and hash of the last record, durable or not.
    #[cfg(test)]
    pub(crate) fn tip(&self) -> (u64, Hash) {
        (self.height, self.hash)
    }

    /// The longest body that a segment can hold.
    pub(crate) fn body_bytes_max(&self) -> u32 {
        let room = self.ledger.segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES).saturating_sub(TAIL_BYTES);
        u32::try_from(room.saturating_sub(FRAME_HEADER_BYTES as u64)).unwrap_or(u32::MAX)
    }

    /// What this log has done.
    #[cfg(test)]
    pub(crate) fn counters(&self) -> LogCounters {
        self.counters
    }

    /// A reader of this log, for any thread; it goes on reading when the log is gone.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    fn failed(&self, action: &'static str, offset: Option<u64>, source: std::io::Error) -> DiskError {
        DiskError { action, file: self.directory.join(self.segment.name()), offset, source }
    }
}

/// Where a log stands.
#[derive(Clone, Copy)]
struct Tip {
    height: u64,
    hash: Hash,
    epoch: u32,
    end: u64,
    sealed: bool,
}

fn lock<S: Storage>(storage: &S, directory: &Path) -> Result<S::Lock, OpenError> {
    let path = directory.join(LOCK_NAME);
    storage.lock(&path).map_err(|error| match error {
        LockError::Held(process) => OpenError::Locked { directory: directory.to_path_buf(), process },
        LockError::Io(source) => OpenError::writing(directory, DiskError::on("take the lock", &path, None)(source)),
    })
}

/// Writes the continued mark that a crash has kept from a segment.
fn mark_continued<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    unmarked: &Unmarked,
) -> Result<(), DiskError> {
    let Unmarked { segment, offset, epoch, height, hash, .. } = *unmarked;
    let path = directory.join(segment_name(segment));
    let file = storage.open(&path, Access::ReadWrite).map_err(DiskError::on("open the file", &path, None))?;
    let stamp = Stamp { segment, epoch, watermark: height };
    let page = seal_page(Kind::Continued, height, hash, stamp, ledger.salted_crc());
    write_all_at(storage, &file, &page, offset).map_err(DiskError::on(
        "write the continued mark",
        &path,
        Some(offset),
    ))?;
    storage.fdatasync(&file).map_err(DiskError::on("sync the continued mark", &path, None))
}

/// Fills the reserve as far as the disk has room. A log without a reserve is slower, not wrong.
fn fill_reserve<S: Storage>(pool: &mut Pool<S>, storage: &S, config: &LogConfig) -> Result<(), DiskError> {
    match pool.fill(storage, config.reserve_bytes, u64::MAX) {
        Err(error) if is_full(&error.source) => Ok(()),
        other => other.map(drop),
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
