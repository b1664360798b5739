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

mod config;
mod create;
mod error;
mod frame;
mod ledger;
mod pool;
mod reader;
mod recovery;
mod scan;
mod segment;
mod storage;
#[cfg(test)]
mod tests;

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::{Condvar, Mutex, RwLock};

pub(crate) use config::{LogConfig, LogCounters, Recovered};
pub(crate) use error::{DiskError, LogFailure, OpenError};
pub(crate) use frame::{BodyTooLarge, FrameBuilder, Hash, Sealed};
pub(crate) use reader::{LogReader, Record, Records};
pub(crate) use recovery::{RecordRef, Visit};
pub(crate) use scan::{genesis, scan};
pub(crate) use storage::{OsStorage, Storage};
#[cfg(test)]
use {error::ReadError, frame::META_BYTES, ledger::GENESIS_BYTES_MAX, scan::Scanned};

use create::begin_segment;
use frame::{FRAME_HEADER_BYTES, Kind, PAGE_BYTES, SaltedCrc, Stamp, seal_page};
use ledger::Ledger;
use pool::Pool;
use reader::Shared;
use recovery::{Purpose, Unmarked, Walked, cut_tail, walk};
use segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name};
use storage::{Access, LockError, Planted, write_all_at};

/// Of a larger group so many bytes at a time are sent on their way to the disk.
pub(crate) const WRITEBACK_BYTES: usize = 2 << 20;
/// The kernel takes at most so many buffers in one call.
const BUFFERS_MAX: usize = 1024;
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
    pub(crate) fn open(
        storage: S,
        directory: &Path,
        expected: Option<Hash>,
        config: LogConfig,
        visit: &mut Visit<'_>,
    ) -> Result<(Self, Recovered), OpenError> {
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
        let walked = walk(&storage, directory, &ledger, Purpose::Open, visit)?;
        let Some(last) = walked.segments.last() else {
            return Err(OpenError::SegmentMissing { file: segment_name(1), because: "every ledger has one".into() });
        };

        // Everything is checked. From here on files are changed, and each change can be repeated after a crash.
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
        let mut log = Self::assemble(storage, directory, ledger, config, pool, file, segments, tip, lock);
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

    /// The ledger's id, the `previous` of its first record.
    pub(crate) fn ledger_id(&self) -> &Hash {
        &self.ledger.id
    }

    /// The bytes that the ledger was created with.
    pub(crate) fn genesis(&self) -> &[u8] {
        &self.ledger.genesis
    }

    /// Height and hash of the last record, durable or not.
    pub(crate) fn tip(&self) -> (u64, Hash) {
        (self.height, self.hash)
    }

    /// The longest body that a segment can hold.
    pub(crate) fn body_bytes_max(&self) -> u32 {
        let room = self.ledger.segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES).saturating_sub(TAIL_BYTES);
        u32::try_from(room.saturating_sub(FRAME_HEADER_BYTES as u64)).unwrap_or(u32::MAX)
    }

    /// What a committer should put into one group at most, in bytes.
    pub(crate) fn group_bytes_max(&self) -> usize {
        self.config.group_bytes_max
    }

    pub(crate) fn counters(&self) -> LogCounters {
        self.counters
    }

    /// A reader of this log, for any thread; it goes on reading when the log is gone.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Appends a group of records; they are durable after the next [`SegmentLog::sync`], not before.
    ///
    /// The heights must go on from [`SegmentLog::tip`]. Rolls into new segments as needed, which syncs what came before.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: the log has stopped.
    pub(crate) fn append(mut self, frames: &mut [Sealed]) -> Result<Self, LogFailure> {
        self.check_group(frames)?;

        let mut rest = frames;
        while !rest.is_empty() {
            let mut end = self.end;
            let room = self.ledger.segment_bytes.saturating_sub(TAIL_BYTES);
            let fitting = rest
                .iter()
                .take_while(|frame| {
                    end = end.saturating_add(frame.bytes().len() as u64);
                    end <= room
                })
                .count();
            let (run, later) = rest.split_at_mut(fitting);
            self.write_run(run)?;
            rest = later;
            if !rest.is_empty() {
                self.roll()?;
            }
        }
        Ok(self)
    }

    /// Every record follows the one before, and each fits into a segment.
    fn check_group(&self, frames: &[Sealed]) -> Result<(), LogFailure> {
        let bytes_max = self.body_bytes_max();
        let (mut height, mut hash) = (self.height, &self.hash);
        for frame in frames {
            let height_expected = height.saturating_add(1);
            if frame.height() != height_expected || frame.previous() != hash {
                return Err(LogFailure::OutOfOrder { height_expected, height_found: frame.height() });
            }
            let bytes = frame.body().len() as u64;
            if bytes > u64::from(bytes_max) {
                return Err(BodyTooLarge { bytes, bytes_max: bytes_max.into() }.into());
            }
            (height, hash) = (frame.height(), frame.hash());
        }
        Ok(())
    }

    /// Stamps and writes frames that fit into the segment.
    fn write_run(&mut self, run: &mut [Sealed]) -> Result<(), LogFailure> {
        let stamp = self.stamp();
        for frame in run.iter_mut() {
            frame.stamp(stamp, self.crc);
        }
        let Some(last) = run.last() else { return Ok(()) };
        assert!(self.segment.writable_at(self.end), "a frame was to be written over durable bytes");
        let begin = self.end;
        self.write_group(run.iter().map(Sealed::bytes), begin)?;

        for frame in run.iter() {
            self.segment.note(frame.height(), self.end);
            let bytes = frame.bytes().len() as u64;
            self.end = self.end.saturating_add(bytes);
            self.counters.records = self.counters.records.saturating_add(1);
            self.counters.bytes = self.counters.bytes.saturating_add(bytes);
        }
        (self.height, self.hash) = (last.height(), *last.hash());
        (self.unsynced, self.sealed) = (true, false);
        Ok(())
    }

    /// Writes buffers one behind the other, in chunks if they are large.
    fn write_group<'a>(&self, buffers: impl Iterator<Item = &'a [u8]>, begin: u64) -> Result<(), DiskError> {
        let mut buffers = buffers.peekable();
        let (mut offset, mut rest): (u64, &[u8]) = (begin, &[]);
        let mut slices = Vec::new();
        while !rest.is_empty() || buffers.peek().is_some() {
            let mut chunk_bytes = 0;
            slices.clear();
            while chunk_bytes < WRITEBACK_BYTES && slices.len() < BUFFERS_MAX {
                if rest.is_empty() {
                    let Some(next) = buffers.next() else { break };
                    rest = next;
                }
                let (now, later) = rest.split_at(rest.len().min(WRITEBACK_BYTES - chunk_bytes));
                slices.push(IoSlice::new(now));
                chunk_bytes = chunk_bytes.saturating_add(now.len());
                rest = later;
            }
            self.write_slices(&mut slices, offset)?;
            let written = chunk_bytes as u64;
            if !rest.is_empty() || buffers.peek().is_some() {
                let started = self.storage.start_writeback(&self.file, offset, written);
                started.map_err(|source| self.failed("start to write", Some(offset), source))?;
            }
            offset = offset.saturating_add(written);
        }
        Ok(())
    }

    fn write_slices(&self, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> Result<(), DiskError> {
        while !slices.is_empty() {
            let written = match self.storage.pwritev(&self.file, slices, offset) {
                Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(0),
                other => other,
            };
            let written = written.map_err(|source| self.failed("append", Some(offset), source))?;
            IoSlice::advance_slices(&mut slices, written);
            offset = offset.saturating_add(written as u64);
        }
        Ok(())
    }

    /// Makes everything appended durable, and lets readers see it.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: the log has stopped. Which of the records since the last sync are durable, the next opening tells.
    pub(crate) fn sync(mut self) -> Result<Self, LogFailure> {
        self.sync_segment()?;
        Ok(self)
    }

    fn sync_segment(&mut self) -> Result<(), LogFailure> {
        if !self.unsynced {
            return Ok(());
        }
        if !self.storage.planted(Planted::NoSync) {
            let mut synced = self.storage.fdatasync(&self.file);
            if synced.is_err() && self.storage.planted(Planted::SyncRetried) {
                synced = self.storage.fdatasync(&self.file);
            }
            synced.map_err(|source| self.failed("sync", None, source))?;
        }
        self.counters.syncs = self.counters.syncs.saturating_add(1);
        self.unsynced = false;
        self.watermark = self.height;
        self.segment.set_durable(self.end);
        self.shared.publish(self.watermark);
        Ok(())
    }

    /// Ends a busy time with a seal, so that rot in the last records can be told from a torn write. Syncs; costs nothing
    /// if the log is sealed.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: the log has stopped.
    pub(crate) fn seal(mut self) -> Result<Self, LogFailure> {
        self.sync_segment()?;
        if self.sealed {
            return Ok(self);
        }
        let after = self.end.saturating_add(PAGE);
        if after > self.ledger.segment_bytes.saturating_sub(PAGE) {
            // No room beside the continued mark: the header of the next segment says the same.
            self.roll()?;
            return Ok(self);
        }
        let page = seal_page(Kind::Seal, self.height, self.hash, self.stamp(), self.crc);
        assert!(self.segment.writable_at(self.end), "a seal was to be written over durable bytes");
        write_all_at(&*self.storage, &self.file, &page, self.end)
            .map_err(|source| self.failed("write a seal", Some(self.end), source))?;
        self.storage.fdatasync(&self.file).map_err(|source| self.failed("sync a seal", None, source))?;
        self.end = after;
        self.segment.set_durable(after);
        self.sealed = true;
        self.counters.seals = self.counters.seals.saturating_add(1);
        Ok(self)
    }

    /// Seals the log and gives the directory back.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: what was synced before is durable all the same.
    pub(crate) fn close(self) -> Result<(), LogFailure> {
        self.seal().map(drop)
    }

    /// Writes at most `bytes` zeros towards the configured reserve, for a time when nobody waits; true when it is full.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; no record is touched, and the log goes on until the segments it has are full.
    pub(crate) fn fill_reserve(&mut self, bytes: u64) -> Result<bool, DiskError> {
        self.pool.fill(&self.storage, self.config.reserve_bytes, bytes)
    }

    fn stamp(&self) -> Stamp {
        let watermark = if self.storage.planted(Planted::NoWatermark) { 0 } else { self.watermark };
        Stamp { segment: self.segment.id, epoch: self.epoch, watermark }
    }

    /// Ends the segment and begins the next: sync, new header, new name, mark.
    fn roll(&mut self) -> Result<(), LogFailure> {
        if !self.storage.planted(Planted::NoSyncAtRoll) {
            self.sync_segment()?;
        }
        let id = self.segment.id.checked_add(1).ok_or(LogFailure::Exhausted { what: "the segment id" })?;
        let (blank, made_now) = self.pool.take(&self.storage)?;
        let first_height = self.height.saturating_add(1);
        let header = SegmentHeader {
            id,
            epoch: self.epoch,
            segment_bytes: self.ledger.segment_bytes,
            first_height,
            ledger: self.ledger.id,
            previous: self.hash,
            salt: self.ledger.salt,
        };
        let file = begin_segment(&*self.storage, &self.directory, blank, &header)?;

        let page = seal_page(Kind::Continued, self.height, self.hash, self.stamp(), self.crc);
        write_all_at(&*self.storage, &self.file, &page, self.end)
            .map_err(|source| self.failed("write the continued mark", Some(self.end), source))?;
        self.storage.fdatasync(&self.file).map_err(|source| self.failed("sync the continued mark", None, source))?;
        self.segment.set_durable(self.end.saturating_add(PAGE));

        let segment = Arc::new(Segment::new(id, first_height, SEGMENT_HEADER_BYTES));
        self.shared.segments.write().push(Arc::clone(&segment));
        (self.file, self.segment, self.end, self.sealed) = (file, segment, SEGMENT_HEADER_BYTES, true);
        self.counters.rolls = self.counters.rolls.saturating_add(1);
        self.counters.reserve_misses = self.counters.reserve_misses.saturating_add(u64::from(made_now));
        Ok(())
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
    let Unmarked { segment, offset, epoch, height, hash } = *unmarked;
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
