//! A run: the sorted entries of one full segment in a file.
//!
//! ```text
//! receipts-00000001.index    of segment-00000001.log; pages as in `beside/pages.rs`, the magic "NRCP"
//!
//! counts             number of entries; 0
//! other pages  0  …  255 entries, the last page fewer: first eight bytes of the id as a big-endian number u64, height above that of
//!                    the first block u32, position u32; ascending; zeros behind the last
//! ```

use crate::beside::{CONTENT_BYTES, Kind, Origin, PAGE_BYTES, Page, PagedFile, Unreadable};
use crate::log::{DiskError, Storage};
use crate::types::TransactionId;
use crate::wire::Reader;
use std::path::Path;

const ENTRY_BYTES: usize = 16;
const ENTRIES: usize = CONTENT_BYTES / ENTRY_BYTES;
pub(super) const KIND: Kind = Kind { magic: *b"NRCP", stem: "receipts", extension: "index" };

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

/// A run that can be asked.
pub(super) enum Run<S: Storage> {
    File {
        file: PagedFile<S>,
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
        let pages = |[entries, none]: [u64; 2]| (none == 0).then(|| entries.div_ceil(ENTRIES as u64));
        let (file, [entries, _]) = PagedFile::open(storage, directory, KIND, origin, pages)?;
        Some(Self::File { file, entries })
    }

    /// Writes the run of a segment and opens it.
    pub(super) fn write(storage: &S, directory: &Path, origin: Origin, entries: &[Entry]) -> Result<Self, DiskError> {
        let page = |some: &[Entry]| -> Page {
            let mut page = [0; PAGE_BYTES];
            for (place, entry) in page.as_chunks_mut::<ENTRY_BYTES>().0.iter_mut().zip(some) {
                let height = u32::try_from(entry.height.saturating_sub(origin.first)).unwrap_or(u32::MAX);
                place[..8].copy_from_slice(&entry.prefix.to_le_bytes());
                place[8..12].copy_from_slice(&height.to_le_bytes());
                place[12..].copy_from_slice(&entry.position.to_le_bytes());
            }
            page
        };
        let count = entries.len() as u64;
        let file = PagedFile::write(storage, directory, KIND, origin, [count, 0], entries.chunks(ENTRIES).map(page))?;
        Ok(Self::File { file, entries: count })
    }

    /// The entries with a prefix, from the lowest up; at most so many.
    pub(super) fn find(&self, storage: &S, prefix: u64, most: usize) -> Result<Vec<Entry>, Unreadable> {
        let (file, entries) = match self {
            Self::Memory(entries) => return Ok(alike(entries, prefix, most)),
            Self::File { file, entries } => (file, *entries),
        };
        let read = |page: u64| read_page(storage, file, page, entries);
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
fn read_page<S: Storage>(storage: &S, file: &PagedFile<S>, page: u64, entries: u64) -> Result<Vec<Entry>, Unreadable> {
    let bytes = file.page(storage, page.saturating_add(1))?;
    let count = entries.saturating_sub(page.saturating_mul(ENTRIES as u64)).min(ENTRIES as u64);
    let mut reader = Reader::new(&bytes);
    let mut entry = || -> Option<Entry> {
        let (prefix, height, position) = (reader.u64().ok()?, reader.u32().ok()?, reader.u32().ok()?);
        Some(Entry { prefix, height: file.origin.first.saturating_add(u64::from(height)), position })
    };
    (0..count).map(|_| entry().ok_or(Unreadable)).collect()
}
