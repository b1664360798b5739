//! A run: whom the blocks of one full segment concern, in a file.
//!
//! ```text
//! follow-00000001.filter     of segment-00000001.log; pages of 4096 bytes
//!
//! page 0       0  4  magic "NFLW"
//!              4  2  format, 1
//!              6  2  0
//!              8  4  segment
//!             12  4  0
//!             16  8  height of the segment's first block
//!             24  8  height of its last
//!             32  8  number of chunks
//!             40 32  ledger id
//!             72 32  hash of the segment's last block
//!            104  8  number of filter pages
//! directory    0  …  511 entries, the last page fewer: height of a chunk's first block above that of the segment u32, number of its first
//!                    filter page u32; ascending; zeros behind the last
//! filters      0  …  4092 bytes of bits, a chunk's pages one behind the other
//! every page 4092 4  CRC-32C of ledger id, segment u32, number of the page u32, and the page's first 4092 bytes
//! ```

use super::filter::{Chunk, Mark, PAGE_BITS_BYTES, may_hold, page_of};
use crate::log::{Access, DiskError, Storage, write_all_at};
use std::path::Path;

const PAGE_BYTES: usize = 4096;
const CRC_OFFSET: usize = PAGE_BYTES - 4;
const ENTRY_BYTES: usize = 8;
const ENTRIES: usize = CRC_OFFSET / ENTRY_BYTES;
const MAGIC: [u8; 4] = *b"NFLW";
const DRAFT_NAME: &str = "follow.tmp";

const _: () = assert!(CRC_OFFSET == PAGE_BITS_BYTES);

pub(super) fn run_name(segment: u32) -> String {
    format!("follow-{segment:08}.filter")
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
    fn header(&self, chunks: u64, pages: u64) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[0..4].copy_from_slice(&MAGIC);
        page[4..6].copy_from_slice(&1_u16.to_le_bytes());
        page[8..12].copy_from_slice(&self.segment.to_le_bytes());
        page[16..24].copy_from_slice(&self.first.to_le_bytes());
        page[24..32].copy_from_slice(&self.last.to_le_bytes());
        page[32..40].copy_from_slice(&chunks.to_le_bytes());
        page[40..72].copy_from_slice(&self.ledger);
        page[72..104].copy_from_slice(&self.hash);
        page[104..112].copy_from_slice(&pages.to_le_bytes());
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

/// Where a chunk's first block and its first page are.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: u64,
    page: u32,
}

/// A run that can be asked.
pub(super) enum Run<S: Storage> {
    File(RunFile<S>),
    /// The disk wouldn't take it.
    Memory(Vec<Chunk>),
}

pub(super) struct RunFile<S: Storage> {
    file: S::File,
    origin: Origin,
    /// Of the chunks, ascending.
    places: Vec<Place>,
    /// How many filter pages there are.
    pages: u32,
}

impl<S: Storage> Run<S> {
    /// Opens the run of a segment, if there is one that says it is.
    pub(super) fn open(storage: &S, directory: &Path, origin: Origin) -> Option<Self> {
        let file = storage.open(&directory.join(run_name(origin.segment)), Access::Read).ok()?;
        let mut page = [0; PAGE_BYTES];
        storage.pread_exact(&file, &mut page, 0).ok()?;
        let field = |at: usize| Some(u64::from_le_bytes(*page.get(at..)?.first_chunk()?));
        let (chunks, pages) = (field(32)?, field(104)?);
        // One value has one encoding: this compares everything.
        let all = chunks.div_ceil(ENTRIES as u64).checked_add(pages)?.checked_add(1)?;
        let whole = page == origin.header(chunks, pages)
            && storage.length(&file).ok() == all.checked_mul(PAGE_BYTES as u64)
            && u32::try_from(all).is_ok();
        if !whole {
            return None;
        }
        let mut run = RunFile { file, origin, places: Vec::new(), pages: u32::try_from(pages).ok()? };
        for number in 0..chunks.div_ceil(ENTRIES as u64) {
            let page = run.page(storage, u32::try_from(number).ok()?.checked_add(1)?).ok()?;
            let left = usize::try_from(chunks).ok()?.saturating_sub(run.places.len());
            for entry in page.as_chunks::<ENTRY_BYTES>().0.iter().take(ENTRIES.min(left)) {
                let (above, page) = (entry.first_chunk()?, entry.last_chunk()?);
                let first = origin.first.checked_add(u64::from(u32::from_le_bytes(*above)))?;
                run.places.push(Place { first, page: u32::from_le_bytes(*page) });
            }
        }
        run.is_in_order().then_some(Self::File(run))
    }

    /// Writes the run of a segment and opens it.
    pub(super) fn write(storage: &S, directory: &Path, origin: Origin, chunks: &[Chunk]) -> Result<Self, DiskError> {
        let path = directory.join(DRAFT_NAME);
        match storage.unlink(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DiskError::on("unlink", &path, None)(error));
            }
            _ => {}
        }
        let file = storage.create(&path).map_err(DiskError::on("create the file", &path, None))?;
        let mut places = Vec::with_capacity(chunks.len());
        let mut pages = 0_u32;
        for chunk in chunks {
            places.push(Place { first: chunk.first, page: pages });
            pages = pages.saturating_add(u32::try_from(chunk.pages.len() / PAGE_BITS_BYTES).unwrap_or(u32::MAX));
        }
        let mut bytes = origin.header(chunks.len() as u64, u64::from(pages)).to_vec();
        let mut number = 0;
        let mut put = |content: &[u8]| {
            let mut page = [0; PAGE_BYTES];
            page[..content.len()].copy_from_slice(content);
            number += 1;
            origin.close(&mut page, number);
            bytes.extend_from_slice(&page);
        };
        for some in places.chunks(ENTRIES) {
            let entry = |place: &Place| {
                let above = u32::try_from(place.first.saturating_sub(origin.first)).unwrap_or(u32::MAX);
                [above.to_le_bytes(), place.page.to_le_bytes()]
            };
            put(some.iter().flat_map(entry).collect::<Vec<_>>().as_flattened());
        }
        chunks.iter().flat_map(|chunk| chunk.pages.chunks(PAGE_BITS_BYTES)).for_each(put);
        write_all_at(storage, &file, &bytes, 0).map_err(DiskError::on("write", &path, Some(0)))?;
        storage.fdatasync(&file).map_err(DiskError::on("sync", &path, None))?;
        let name = directory.join(run_name(origin.segment));
        storage.rename(&path, &name).map_err(DiskError::on("rename to a run", &path, None))?;
        Ok(Self::File(RunFile { file, origin, places, pages }))
    }

    /// The first chunk from a height on that may hold a mark: its first and its last height.
    pub(super) fn find(&self, storage: &S, mark: Mark, from: u64) -> Result<Option<(u64, u64)>, Unreadable> {
        match self {
            Self::Memory(chunks) => Ok(find(chunks, mark, from)),
            Self::File(run) => run.find(storage, mark, from),
        }
    }
}

impl<S: Storage> RunFile<S> {
    /// Whether chunks follow each other, and their pages do.
    fn is_in_order(&self) -> bool {
        let follows = |pair: &[Place]| pair[0].first < pair[1].first && pair[0].page <= pair[1].page;
        let begins = self.places.first().is_some_and(|place| (place.first, place.page) == (self.origin.first, 0));
        let ends = self.places.last().is_some_and(|last| last.first <= self.origin.last && last.page <= self.pages);
        begins && ends && self.places.windows(2).all(follows)
    }

    fn find(&self, storage: &S, mark: Mark, from: u64) -> Result<Option<(u64, u64)>, Unreadable> {
        let end = Place { first: self.origin.last.saturating_add(1), page: self.pages };
        let ends = self.places.iter().skip(1).chain([&end]);
        let directory = self.places.len().div_ceil(ENTRIES);
        let directory = u32::try_from(directory).map_err(|_| Unreadable)?;
        for (place, next) in self.places.iter().zip(ends).filter(|(_, next)| next.first > from) {
            let count = next.page.saturating_sub(place.page);
            let Some(page) = page_of(mark, count as usize) else { continue };
            let page = u32::try_from(page).map_err(|_| Unreadable)?;
            let number = 1_u32.saturating_add(directory).saturating_add(place.page).saturating_add(page);
            if may_hold(&self.page(storage, number)?, mark) {
                return Ok(Some((place.first, next.first.saturating_sub(1))));
            }
        }
        Ok(None)
    }

    /// A page, after its checksum was compared.
    fn page(&self, storage: &S, number: u32) -> Result<[u8; PAGE_BYTES], Unreadable> {
        let mut page = [0; PAGE_BYTES];
        let offset = u64::from(number).saturating_mul(PAGE_BYTES as u64);
        storage.pread_exact(&self.file, &mut page, offset).map_err(|_| Unreadable)?;
        if page.ends_with(&self.origin.crc(&page, number)) { Ok(page) } else { Err(Unreadable) }
    }
}

/// The first of some chunks from a height on that may hold a mark.
pub(super) fn find(chunks: &[Chunk], mark: Mark, from: u64) -> Option<(u64, u64)> {
    let found = chunks.iter().filter(|chunk| chunk.last >= from).find(|chunk| chunk.may_concern(mark));
    found.map(|chunk| (chunk.first, chunk.last))
}
