//! A run: the sorted entries of one full segment in a file.
//!
//! ```text
//! receipts-00000001.index    of segment-00000001.log; pages of 4096 bytes
//!
//! page 0       0  4  magic "NRCP"
//!              4  2  format, 1
//!              6  2  0
//!              8  4  segment
//!             12  4  0
//!             16  8  height of the segment's first block
//!             24  8  height of its last
//!             32  8  number of entries
//!             40 32  ledger id
//!             72 32  hash of the segment's last block
//! other pages  0  …  255 entries, the last page fewer: first eight bytes of the id as a big-endian number u64, height above that of
//!                    the first block u32, position u32; ascending; zeros behind the last
//! every page 4092 4  CRC-32C of ledger id, segment u32, number of the page u32, and the page's first 4092 bytes
//! ```

use crate::log::{Access, DiskError, Storage, write_all_at};
use crate::types::TransactionId;
use crate::wire::Reader;
use std::path::Path;

const PAGE_BYTES: usize = 4096;
const CRC_OFFSET: usize = PAGE_BYTES - 4;
const ENTRY_BYTES: usize = 16;
const ENTRIES: usize = CRC_OFFSET / ENTRY_BYTES;
const MAGIC: [u8; 4] = *b"NRCP";
const DRAFT_NAME: &str = "receipts.tmp";

/// Where a transaction is, by the beginning of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub prefix: u64,
    pub height: u64,
    pub position: u32,
}

/// The beginning of an id, which sorts as the id does.
pub(super) fn prefix(id: &TransactionId) -> u64 {
    id.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

pub(super) fn run_name(segment: u32) -> String {
    format!("receipts-{segment:08}.index")
}

/// What a run is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub ledger: [u8; 32],
    pub segment: u32,
    pub first: u64,
    pub last: u64,
    /// Of the last block: a segment that was cut and filled again is another.
    pub hash: [u8; 32],
}

impl Origin {
    fn header(&self, entries: u64) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[0..4].copy_from_slice(&MAGIC);
        page[4..6].copy_from_slice(&1_u16.to_le_bytes());
        page[8..12].copy_from_slice(&self.segment.to_le_bytes());
        page[16..24].copy_from_slice(&self.first.to_le_bytes());
        page[24..32].copy_from_slice(&self.last.to_le_bytes());
        page[32..40].copy_from_slice(&entries.to_le_bytes());
        page[40..72].copy_from_slice(&self.ledger);
        page[72..104].copy_from_slice(&self.hash);
        self.close(&mut page, 0);
        page
    }

    fn crc(&self, page: &[u8; PAGE_BYTES], number: u32) -> [u8; 4] {
        let crc = crc32c::crc32c(&self.ledger);
        let crc = crc32c::crc32c_append(crc, &self.segment.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
        crc32c::crc32c_append(crc, &page[..CRC_OFFSET]).to_le_bytes()
    }

    fn close(&self, page: &mut [u8; PAGE_BYTES], number: u32) {
        let crc = self.crc(page, number);
        page[CRC_OFFSET..].copy_from_slice(&crc);
    }
}

/// Something of a run isn't as it was written, or can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A run that can be asked.
pub(super) enum Run<S: Storage> {
    File {
        file: S::File,
        origin: Origin,
        entries: u64,
    },
    /// The disk wouldn't take it.
    Memory(Vec<Entry>),
}

impl<S: Storage> Run<S> {
    pub(super) const fn in_memory(entries: Vec<Entry>) -> Self {
        Self::Memory(entries)
    }

    /// Opens the run of a segment, if there is one that says it is.
    pub(super) fn open(storage: &S, directory: &Path, origin: Origin) -> Option<Self> {
        let file = storage.open(&directory.join(run_name(origin.segment)), Access::Read).ok()?;
        let mut page = [0; PAGE_BYTES];
        storage.pread_exact(&file, &mut page, 0).ok()?;
        let entries = u64::from_le_bytes(*page.get(32..)?.first_chunk()?);
        // One value has one encoding: this compares everything.
        let pages = entries.div_ceil(ENTRIES as u64).checked_add(1)?;
        let whole = page == origin.header(entries)
            && storage.length(&file).ok() == pages.checked_mul(PAGE_BYTES as u64)
            && u32::try_from(pages).is_ok();
        whole.then_some(Self::File { file, origin, entries })
    }

    /// Writes the run of a segment and opens it.
    pub(super) fn write(storage: &S, directory: &Path, origin: Origin, entries: &[Entry]) -> Result<Self, DiskError> {
        let path = directory.join(DRAFT_NAME);
        match storage.unlink(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DiskError::on("unlink", &path, None)(error));
            }
            _ => {}
        }
        let file = storage.create(&path).map_err(DiskError::on("create the file", &path, None))?;
        let mut offset = 0;
        let mut write = |bytes: &[u8]| {
            let written = write_all_at(storage, &file, bytes, offset);
            written.map_err(DiskError::on("write", &path, Some(offset)))?;
            offset = offset.saturating_add(bytes.len() as u64);
            Ok(())
        };
        let mut buffer = origin.header(entries.len() as u64).to_vec();
        for (number, some) in (1_u32..).zip(entries.chunks(ENTRIES)) {
            let mut page = [0; PAGE_BYTES];
            for (place, entry) in page.as_chunks_mut::<ENTRY_BYTES>().0.iter_mut().zip(some) {
                let height = u32::try_from(entry.height.saturating_sub(origin.first)).unwrap_or(u32::MAX);
                place[..8].copy_from_slice(&entry.prefix.to_le_bytes());
                place[8..12].copy_from_slice(&height.to_le_bytes());
                place[12..].copy_from_slice(&entry.position.to_le_bytes());
            }
            origin.close(&mut page, number);
            buffer.extend_from_slice(&page);
            if buffer.len() >= 1 << 20 {
                write(&buffer)?;
                buffer.clear();
            }
        }
        write(&buffer)?;
        storage.fdatasync(&file).map_err(DiskError::on("sync", &path, None))?;
        let name = directory.join(run_name(origin.segment));
        storage.rename(&path, &name).map_err(DiskError::on("rename to a run", &path, None))?;
        Ok(Self::File { file, origin, entries: entries.len() as u64 })
    }

    /// The entries with a prefix, from the lowest up; at most so many.
    pub(super) fn find(&self, storage: &S, prefix: u64, most: usize) -> Result<Vec<Entry>, Unreadable> {
        let (file, origin, entries) = match self {
            Self::Memory(entries) => return Ok(alike(entries, prefix, most)),
            Self::File { file, origin, entries } => (file, origin, *entries),
        };
        let read = |page: u64| read_page(storage, file, origin, page, entries);
        // The first page whose last entry isn't below the prefix.
        let (mut low, mut high) = (0, entries.div_ceil(ENTRIES as u64));
        while low < high {
            let middle = low.midpoint(high);
            match read(middle)?.last() {
                Some(last) if last.prefix < prefix => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        let mut found = Vec::new();
        for page in low..entries.div_ceil(ENTRIES as u64) {
            let before = found.len();
            let page = read(page)?;
            found.extend(page.iter().copied().filter(|entry| entry.prefix == prefix));
            if found.len() >= most || found.len() == before || page.last().is_none_or(|last| last.prefix > prefix) {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }
}

/// Those of some sorted entries that have a prefix, from the lowest up; at most so many.
pub(super) fn alike(entries: &[Entry], prefix: u64, most: usize) -> Vec<Entry> {
    let from = entries.partition_point(|entry| entry.prefix < prefix);
    entries.iter().skip(from).take_while(|entry| entry.prefix == prefix).take(most).copied().collect()
}

/// The entries of a page, counted from 0, after its checksum was compared.
fn read_page<S: Storage>(
    storage: &S,
    file: &S::File,
    origin: &Origin,
    page: u64,
    entries: u64,
) -> Result<Vec<Entry>, Unreadable> {
    let mut bytes = [0; PAGE_BYTES];
    let number = page.saturating_add(1);
    storage.pread_exact(file, &mut bytes, number.saturating_mul(PAGE_BYTES as u64)).map_err(|_| Unreadable)?;
    if !bytes.ends_with(&origin.crc(&bytes, u32::try_from(number).map_err(|_| Unreadable)?)) {
        return Err(Unreadable);
    }
    let count = entries.saturating_sub(page.saturating_mul(ENTRIES as u64)).min(ENTRIES as u64);
    let mut reader = Reader::new(&bytes);
    let mut entry = || -> Option<Entry> {
        let (prefix, height, position) = (reader.u64().ok()?, reader.u32().ok()?, reader.u32().ok()?);
        Some(Entry { prefix, height: origin.first.saturating_add(u64::from(height)), position })
    };
    (0..count).map(|_| entry().ok_or(Unreadable)).collect()
}
