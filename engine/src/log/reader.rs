//! Reading while the engine runs: records below the durable watermark, without a copy, from any thread.
//!
//! Readers share with the writer one list of segments and one number, the watermark. The writer moves the watermark
//! after each sync; a record at or below it never changes. Each record is checked when it is read: what a rotting disk
//! brings back into the page cache is an error and no record.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use super::error::{Damage, DiskError, ReadError};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Hash, Kind, PAGE_BYTES, RecordHeader, SaltedCrc, frame_bytes};
use super::segment::{Map, Segment, Slice};

/// Maps the segment of this name. Hides the type of the storage from readers.
pub(super) type Mapper = dyn Fn(&str) -> io::Result<Map> + Send + Sync;

/// What the writer and all readers share.
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) crc: SaltedCrc,
    pub(super) mapper: Box<Mapper>,
    /// In ascending order of their first heights.
    pub(super) segments: RwLock<Vec<Arc<Segment>>>,
    pub(super) watermark: AtomicU64,
    pub(super) closed: AtomicBool,
    pub(super) moved: Mutex<()>,
    pub(super) moved_signal: Condvar,
}

impl Shared {
    /// Moves the watermark, and wakes whoever waits for it.
    pub(super) fn publish(&self, watermark: u64) {
        self.watermark.store(watermark, Ordering::Release);
        self.wake();
    }

    /// Says that no writer will move the watermark again.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // Taking the lock orders this behind a waiter that has looked but not yet gone to sleep.
        drop(self.moved.lock());
        self.moved_signal.notify_all();
    }
}

/// Reads durable records while the log is written, and after it has stopped.
#[derive(Clone)]
pub(crate) struct LogReader {
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogReader({}, watermark {})", self.shared.directory.display(), self.watermark())
    }
}

/// A durable record. Its bytes stay readable for as long as the value lives.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    frame: Slice,
    body_bytes: usize,
    header: RecordHeader,
    hash: Hash,
}

impl Record {
    pub(crate) fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// The hash by which the next record names this one.
    pub(crate) fn hash(&self) -> &Hash {
        &self.hash
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.frame.get(FRAME_HEADER_BYTES..).and_then(|rest| rest.get(..self.body_bytes)).unwrap_or_default()
    }
}

/// Where a reader stands: a segment and an offset at which the frame of `height` begins, or one before it.
struct Cursor {
    segment: Arc<Segment>,
    height: u64,
    offset: u64,
}

impl LogReader {
    /// The height up to which everything is durable; 0 if nothing is.
    pub(crate) fn watermark(&self) -> u64 {
        self.shared.watermark.load(Ordering::Acquire)
    }

    /// The first height that is still there; 1 unless segments were retired.
    pub(crate) fn first_height(&self) -> u64 {
        self.shared.segments.read().first().map_or(1, |segment| segment.first_height)
    }

    /// Every segment that is still there, with its first height.
    pub(crate) fn segments(&self) -> Vec<(u32, u64)> {
        self.shared.segments.read().iter().map(|segment| (segment.id, segment.first_height)).collect()
    }

    /// The segment that a height is in, if it is still there.
    pub(crate) fn segment_of(&self, height: u64) -> Option<u32> {
        let segments = self.shared.segments.read();
        let position = segments.partition_point(|segment| segment.first_height <= height).checked_sub(1)?;
        segments.get(position).map(|segment| segment.id)
    }

    /// True if the writer has gone, so that the watermark stays where it is.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// The record of a height, or nothing if it is not durable yet or was retired. Costs a hash of its body.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] if the record is not as it was written, [`ReadError::Disk`] if it can't be mapped.
    pub(crate) fn read(&self, height: u64) -> Result<Option<Record>, ReadError> {
        match self.seek(height) {
            Some(mut cursor) => self.next(&mut cursor, height),
            None => Ok(None),
        }
    }

    /// The same without a hash of its body: whoever takes something from that has to know by other means whether it is as it was written.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] if the record's header is not as it was written, [`ReadError::Disk`] if it can't be mapped.
    pub(crate) fn read_unhashed(&self, height: u64) -> Result<Option<Record>, ReadError> {
        match self.seek(height) {
            Some(mut cursor) => self.find(&mut cursor, height),
            None => Ok(None),
        }
    }

    /// The records from a height up to the watermark, none if that height was retired; at the end the iterator may be asked again when more is durable.
    pub(crate) fn records_from(&self, height: u64) -> Records {
        Records { reader: self.clone(), height: height.max(1), cursor: None, failed: false }
    }

    /// Waits until the watermark is above a height, the writer has gone or the time is up; gives the watermark.
    pub(crate) fn wait_beyond(&self, height: u64, timeout: Duration) -> u64 {
        // A timeout beyond the clock's end waits for ever.
        let deadline = Instant::now().checked_add(timeout);
        let mut guard = self.shared.moved.lock();
        loop {
            let closed = self.is_closed();
            let watermark = self.watermark();
            if watermark > height || closed {
                return watermark;
            }
            match deadline {
                Some(deadline) => {
                    if self.shared.moved_signal.wait_until(&mut guard, deadline).timed_out() {
                        return self.watermark();
                    }
                }
                None => self.shared.moved_signal.wait(&mut guard),
            }
        }
    }

    fn seek(&self, height: u64) -> Option<Cursor> {
        if height == 0 || height > self.watermark() {
            return None;
        }
        let segments = self.shared.segments.read();
        let position = segments.partition_point(|segment| segment.first_height <= height).checked_sub(1)?;
        let segment = Arc::clone(segments.get(position)?);
        let (height, offset) = segment.nearest(height)?;
        Some(Cursor { segment, height, offset })
    }

    /// Follows the frames from the cursor to the record of `height`, checks it, and leaves the cursor behind it.
    fn next(&self, cursor: &mut Cursor, height: u64) -> Result<Option<Record>, ReadError> {
        let Some(record) = self.find(cursor, height)? else { return Ok(None) };
        let found = blake3::hash(record.body());
        if *found.as_bytes() != record.header.body_hash {
            let expected = format!("a body of the hash {}", super::recovery::hex(&record.header.body_hash));
            return Err(damage(cursor, expected, format!("the hash {found}")));
        }
        cursor.height = cursor.height.saturating_add(1);
        cursor.offset = cursor.offset.saturating_add(frame_bytes(record.body_bytes as u64));
        Ok(Some(record))
    }

    /// Follows the frames from the cursor to the record of `height`, and leaves the cursor there.
    fn find(&self, cursor: &mut Cursor, height: u64) -> Result<Option<Record>, ReadError> {
        loop {
            let Some(page) = self.slice(cursor, FRAME_HEADER_BYTES as u64)? else { return Ok(None) };
            let header = page.first_chunk().map(|bytes| FrameHeader::decode(bytes, self.shared.crc));
            let header = match header {
                Some(Ok(header)) => header,
                Some(Err(fault)) => return Err(damage(cursor, "a frame".into(), fault.to_string())),
                None => return Ok(None),
            };
            if header.kind != Kind::Block {
                cursor.offset = cursor.offset.saturating_add(PAGE_BYTES as u64);
                continue;
            }
            if header.record.height != cursor.height {
                let found = format!("the record of height {}", header.record.height);
                return Err(damage(cursor, format!("the record of height {}", cursor.height), found));
            }
            let bytes = frame_bytes(header.body_bytes.into());
            if cursor.height < height {
                cursor.height = cursor.height.saturating_add(1);
                cursor.offset = cursor.offset.saturating_add(bytes);
                continue;
            }
            let Some(frame) = self.slice(cursor, bytes)? else { return Ok(None) };
            let body_bytes = header.body_bytes as usize;
            return Ok(Some(Record { frame, body_bytes, hash: header.record.hash(), header: header.record }));
        }
    }

    fn slice(&self, cursor: &Cursor, bytes: u64) -> Result<Option<Slice>, ReadError> {
        let name = cursor.segment.name();
        cursor.segment.slice(cursor.offset, bytes, || (self.shared.mapper)(&name)).map_err(|source| {
            let file = self.shared.directory.join(&name);
            DiskError { action: "map for reading", file, offset: Some(cursor.offset), source }.into()
        })
    }
}

fn damage(cursor: &Cursor, expected: String, found: String) -> ReadError {
    Damage { file: cursor.segment.name(), offset: cursor.offset, height: cursor.height, expected, found }.into()
}

/// Records in ascending order. See [`LogReader::records_from`].
pub(crate) struct Records {
    reader: LogReader,
    height: u64,
    cursor: Option<Cursor>,
    failed: bool,
}

impl Iterator for Records {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.height > self.reader.watermark() {
            return None;
        }
        // The cursor runs off the end of its segment once per segment; then it is looked up anew.
        let held = match self.cursor.as_mut() {
            Some(cursor) => self.reader.next_within(cursor, self.height),
            None => Ok(None),
        };
        let result = match held {
            Ok(None) => match self.reader.seek(self.height) {
                Some(mut cursor) => {
                    let result = self.reader.next(&mut cursor, self.height);
                    self.cursor = Some(cursor);
                    result
                }
                None => Ok(None),
            },
            other => other,
        };
        match result {
            Ok(Some(record)) => {
                self.height = self.height.saturating_add(1);
                Some(Ok(record))
            }
            Ok(None) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl LogReader {
    /// Like `next`, but nothing if the height is in a later segment than the cursor's.
    fn next_within(&self, cursor: &mut Cursor, height: u64) -> Result<Option<Record>, ReadError> {
        let segments = self.shared.segments.read();
        let position = segments.partition_point(|segment| segment.first_height <= height);
        let same = position.checked_sub(1).and_then(|position| segments.get(position));
        let within = same.is_some_and(|segment| segment.id == cursor.segment.id);
        drop(segments);
        if within { self.next(cursor, height) } else { Ok(None) }
    }
}
