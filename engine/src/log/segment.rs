//! Segments: the fixed-size files that hold the frames, their headers, their maps, and where in them a height is.
//!
//! A segment is a file of exactly `segment_bytes`, zero-filled and synced before its first use, named
//! `segment-00000001.log` and so on. Its first page is its header:
//!
//! ```text
//! offset  width
//!      0      4  magic "NSEG"
//!      4      2  format, 1
//!      6      2  reserved, 0
//!      8      4  segment id, as in the file's name
//!     12      4  epoch in which the segment was begun
//!     16      8  segment bytes, as in LEDGER
//!     24      8  first height: that of the first record in this segment
//!     32     32  ledger id
//!     64     32  previous hash: of the record before the first, or the ledger id
//!     96     16  salt, as in LEDGER
//!    112      4  CRC-32C of the page with this field zero
//!    116   3980  zeros
//! ```
//!
//! The header is synced before the file gets its name, the name before the first frame is written, and all of the
//! segment before is synced before that. So a segment with a name is a segment with a header, and a header that says
//! "first height *h*" proves that everything below *h* was durable.
//!
//! # Maps
//!
//! Each segment is mapped read-only, once, when somebody first reads it. Slices of the map are given out only below the
//! segment's `durable_end`, where nobody ever writes again; above it the commit thread writes with `pwritev`, which the
//! map shows at once, and no slice exists. A file that another program truncates while it is mapped kills the process
//! with a bus error: the directory belongs to the engine, and the lock says so.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use parking_lot::RwLock;

use super::frame::{FORMAT, Hash, PAGE_BYTES, field};

/// Bytes of a segment's header: one page.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = PAGE_BYTES as u64;
const PAGE: u64 = PAGE_BYTES as u64;
/// One record in so many has its place noted; from there the frames are followed.
const INDEX_STRIDE: u64 = 16;
const MAGIC: [u8; 4] = *b"NSEG";
const CRC_OFFSET: usize = 112;

/// The name of a segment's file.
pub(crate) fn segment_name(id: u32) -> String {
    format!("segment-{id:08}.log")
}

/// The id in a segment's file name, if it is one, spelled as we spell it.
pub(super) fn segment_id(name: &str) -> Option<u32> {
    let id = name.strip_prefix("segment-")?.strip_suffix(".log")?.parse().ok()?;
    (id > 0 && segment_name(id) == name).then_some(id)
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: u32,
    pub(crate) epoch: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) first_height: u64,
    pub(crate) ledger: Hash,
    pub(crate) previous: Hash,
    pub(crate) salt: [u8; 16],
}

/// Why a page is no segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentHeaderFault {
    Magic([u8; 4]),
    NewerFormat(u16),
    Checksum,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[0..4].copy_from_slice(&MAGIC);
        page[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        page[8..12].copy_from_slice(&self.id.to_le_bytes());
        page[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        page[16..24].copy_from_slice(&self.segment_bytes.to_le_bytes());
        page[24..32].copy_from_slice(&self.first_height.to_le_bytes());
        page[32..64].copy_from_slice(&self.ledger);
        page[64..96].copy_from_slice(&self.previous);
        page[96..112].copy_from_slice(&self.salt);
        let crc = crc32c::crc32c(&page);
        page[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        page
    }

    pub(crate) fn decode(page: &[u8; PAGE_BYTES]) -> Result<Self, SegmentHeaderFault> {
        let magic: [u8; 4] = field(page, 0);
        if magic != MAGIC {
            return Err(SegmentHeaderFault::Magic(magic));
        }
        let format = u16::from_le_bytes(field(page, 4));
        if format > FORMAT {
            return Err(SegmentHeaderFault::NewerFormat(format));
        }
        let header = Self {
            id: u32::from_le_bytes(field(page, 8)),
            epoch: u32::from_le_bytes(field(page, 12)),
            segment_bytes: u64::from_le_bytes(field(page, 16)),
            first_height: u64::from_le_bytes(field(page, 24)),
            ledger: field(page, 32),
            previous: field(page, 64),
            salt: field(page, 96),
        };
        // One value has one encoding: this compares the checksum, the format and every zero.
        if header.encode() == *page { Ok(header) } else { Err(SegmentHeaderFault::Checksum) }
    }
}

/// A file that can be read at any time, without a copy where the machine lets us.
#[derive(Debug)]
pub(crate) struct Map {
    source: MapSource,
    bytes: u64,
}

enum MapSource {
    Mapped(Arc<MmapRaw>),
    /// For a disk that has no pages to share: every slice is a copy.
    #[cfg(any(test, feature = "sim"))]
    #[cfg_attr(not(test), allow(dead_code, reason = "until an engine can be opened on the simulated disk"))]
    Copied(Box<ReadAt>),
}

/// Fills a buffer from an offset of a file.
#[cfg(any(test, feature = "sim"))]
type ReadAt = dyn Fn(&mut [u8], u64) -> io::Result<()> + Send + Sync;

impl std::fmt::Debug for MapSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mapped(_) => "Mapped",
            #[cfg(any(test, feature = "sim"))]
            Self::Copied(_) => "Copied",
        })
    }
}

impl Map {
    /// Maps the first `bytes` of a file.
    pub(super) fn of_file(file: &std::fs::File, bytes: u64) -> io::Result<Self> {
        let length = usize::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if file.metadata()?.len() < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let map = MmapOptions::new().len(length).map_raw_read_only(file)?;
        Ok(Self { source: MapSource::Mapped(Arc::new(map)), bytes })
    }

    /// Stands in for a map where there is none.
    #[cfg(any(test, feature = "sim"))]
    #[cfg_attr(not(test), allow(dead_code, reason = "until an engine can be opened on the simulated disk"))]
    pub(super) fn of_reads(
        bytes: u64,
        read: impl Fn(&mut [u8], u64) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { source: MapSource::Copied(Box::new(read)), bytes }
    }
}

/// Bytes of a segment that will never change, kept readable for as long as the value lives.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    source: SliceSource,
    offset: usize,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum SliceSource {
    Mapped(Arc<MmapRaw>),
    #[cfg(any(test, feature = "sim"))]
    Copied(Arc<[u8]>),
}

impl std::ops::Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.source {
            SliceSource::Mapped(map) => {
                debug_assert!(self.offset.checked_add(self.bytes).is_some_and(|end| end <= map.len()));
                // SAFETY: `Segment::slice`, the only maker of a mapped slice, has checked that the range is within the
                // map, which lives as long as `self.source` and is readable throughout. Nobody writes these bytes
                // while the slice exists: they are below `durable_end`, and frames are written at or above it only
                // (`SegmentLog::append` through `Segment::writable_at`). Other processes keep out by the directory's
                // lock, as the module says.
                #[expect(unsafe_code, reason = "the slice of a raw map, argued above")]
                unsafe {
                    std::slice::from_raw_parts(map.as_ptr().add(self.offset), self.bytes)
                }
            }
            #[cfg(any(test, feature = "sim"))]
            SliceSource::Copied(bytes) => bytes,
        }
    }
}

/// A segment as readers and the writer share it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u32,
    pub(super) first_height: u64,
    /// Bytes below are durable and never written again. Only grows.
    durable_end: AtomicU64,
    /// In which page the record of `first_height + INDEX_STRIDE × i` begins.
    index: RwLock<Vec<u32>>,
    map: OnceLock<Map>,
}

impl Segment {
    /// A segment whose bytes below `durable_end` hold records that begin at the noted offsets.
    pub(super) fn new(id: u32, first_height: u64, durable_end: u64) -> Self {
        Self {
            id,
            first_height,
            durable_end: AtomicU64::new(durable_end),
            index: RwLock::default(),
            map: OnceLock::new(),
        }
    }

    pub(super) fn name(&self) -> String {
        segment_name(self.id)
    }

    /// Notes where a record begins. Heights come in ascending order without a gap.
    pub(super) fn note(&self, height: u64, offset: u64) {
        let distance = height.saturating_sub(self.first_height);
        if distance.is_multiple_of(INDEX_STRIDE) {
            let mut index = self.index.write();
            debug_assert_eq!(index.len() as u64, distance / INDEX_STRIDE, "a height was left out");
            index.push(u32::try_from(offset / PAGE).unwrap_or(u32::MAX));
        }
    }

    /// Where to begin looking for a height: a height not above it, and the offset at which its frame begins, or a mark
    /// before it.
    pub(super) fn nearest(&self, height: u64) -> Option<(u64, u64)> {
        let step = height.checked_sub(self.first_height)? / INDEX_STRIDE;
        let index = self.index.read();
        // A segment that was not walked when the log was opened has no index.
        let Some(last) = index.len().checked_sub(1) else { return Some((self.first_height, SEGMENT_HEADER_BYTES)) };
        let step = usize::try_from(step).unwrap_or(last).min(last);
        let first = self.first_height.saturating_add((step as u64).saturating_mul(INDEX_STRIDE));
        Some((first, u64::from(*index.get(step)?) * PAGE))
    }

    /// Moves the durable end up to `end`.
    pub(super) fn set_durable(&self, end: u64) {
        self.durable_end.fetch_max(end, Ordering::Release);
    }

    /// True if no slice can exist at or above `offset`.
    pub(super) fn writable_at(&self, offset: u64) -> bool {
        offset >= self.durable_end.load(Ordering::Acquire)
    }

    /// Durable bytes of the segment, without a copy where it is mapped; nothing if the range is not all durable. `make`
    /// maps the segment's own file, if nobody has read it yet.
    pub(super) fn slice(
        &self,
        offset: u64,
        bytes: u64,
        make: impl FnOnce() -> io::Result<Map>,
    ) -> io::Result<Option<Slice>> {
        let map = match self.map.get() {
            Some(map) => map,
            None => {
                let map = make()?;
                self.map.get_or_init(|| map)
            }
        };
        let end = offset.saturating_add(bytes);
        if end > self.durable_end.load(Ordering::Acquire) || end > map.bytes {
            return Ok(None);
        }
        let (Ok(start), Ok(length)) = (usize::try_from(offset), usize::try_from(bytes)) else { return Ok(None) };
        Ok(Some(match &map.source {
            MapSource::Mapped(map) => {
                Slice { source: SliceSource::Mapped(Arc::clone(map)), offset: start, bytes: length }
            }
            #[cfg(any(test, feature = "sim"))]
            MapSource::Copied(read) => {
                let mut copy = vec![0; length];
                read(&mut copy, offset)?;
                Slice { source: SliceSource::Copied(copy.into()), offset: start, bytes: length }
            }
        }))
    }
}

/// Sends a range of a file on its way to the disk without waiting for it.
#[cfg(target_os = "linux")]
pub(super) fn start_writeback(file: &std::fs::File, offset: u64, bytes: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let (offset, bytes) = (offset.try_into().map_err(out_of_range)?, bytes.try_into().map_err(out_of_range)?);
    // SAFETY: the call takes no pointer; `file` is open for as long as it is borrowed.
    #[expect(unsafe_code, reason = "a system call that no safe wrapper has, argued above")]
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, bytes, libc::SYNC_FILE_RANGE_WRITE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Elsewhere nothing is sent ahead: the sync that follows does all the work.
#[cfg(not(target_os = "linux"))]
pub(super) fn start_writeback(_file: &std::fs::File, _offset: u64, _bytes: u64) -> io::Result<()> {
    Ok(())
}
