//! A run: whom the blocks of one full segment concern, in a file.
//!
//! ```text
//! follow-00000001.filter     of segment-00000001.log; pages as in `beside/pages.rs`, the magic "NFLW"
//!
//! counts             number of chunks; number of filter pages
//! directory    0  …  511 entries, the last page fewer: height of a chunk's first block above that of the segment u32, number of its first
//!                    filter page u32; ascending; zeros behind the last
//! filters      0  …  4092 bytes of bits, a chunk's pages one behind the other
//! ```

use super::filter::{Chunk, Mark, PAGE_BITS_BYTES, may_hold, page_of};
use crate::beside::{CONTENT_BYTES, Kind, Origin, PAGE_BYTES, PagedFile, Unreadable};
use crate::log::{DiskError, Storage};
use std::path::Path;

const ENTRY_BYTES: usize = 8;
const ENTRIES: usize = CONTENT_BYTES / ENTRY_BYTES;
pub(super) const KIND: Kind = Kind { magic: *b"NFLW", stem: "follow", extension: "filter" };

const _: () = assert!(CONTENT_BYTES == PAGE_BITS_BYTES);

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
    file: PagedFile<S>,
    /// Of the chunks, ascending.
    places: Vec<Place>,
    /// How many filter pages there are.
    pages: u32,
}

impl<S: Storage> Run<S> {
    /// Opens the run of a segment, if there is one that says it is.
    pub(super) fn open(storage: &S, directory: &Path, origin: Origin) -> Option<Self> {
        let all = |[chunks, pages]: [u64; 2]| chunks.div_ceil(ENTRIES as u64).checked_add(pages);
        let (file, [chunks, pages]) = PagedFile::open(storage, directory, KIND, origin, all)?;
        let mut run = RunFile { file, places: Vec::new(), pages: u32::try_from(pages).ok()? };
        for number in 0..chunks.div_ceil(ENTRIES as u64) {
            let page = run.file.page(storage, number.checked_add(1)?).ok()?;
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
        let mut places = Vec::with_capacity(chunks.len());
        let mut pages = 0_u32;
        for chunk in chunks {
            places.push(Place { first: chunk.first, page: pages });
            pages = pages.saturating_add(u32::try_from(chunk.pages.len() / PAGE_BITS_BYTES).unwrap_or(u32::MAX));
        }
        let page = |content: &[u8]| {
            let mut page = [0; PAGE_BYTES];
            page[..content.len()].copy_from_slice(content);
            page
        };
        let entry = |place: &Place| {
            let above = u32::try_from(place.first.saturating_sub(origin.first)).unwrap_or(u32::MAX);
            [above.to_le_bytes(), place.page.to_le_bytes()]
        };
        let listed =
            places.chunks(ENTRIES).map(|some| page(some.iter().flat_map(entry).collect::<Vec<_>>().as_flattened()));
        let filters = chunks.iter().flat_map(|chunk| chunk.pages.chunks(PAGE_BITS_BYTES)).map(page);
        let counts = [chunks.len() as u64, u64::from(pages)];
        let file = PagedFile::write(storage, directory, KIND, origin, counts, listed.chain(filters))?;
        Ok(Self::File(RunFile { file, places, pages }))
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
        let begins = self.places.first().is_some_and(|place| (place.first, place.page) == (self.file.origin.first, 0));
        let ends =
            self.places.last().is_some_and(|last| last.first <= self.file.origin.last && last.page <= self.pages);
        begins && ends && self.places.windows(2).all(follows)
    }

    fn find(&self, storage: &S, mark: Mark, from: u64) -> Result<Option<(u64, u64)>, Unreadable> {
        let end = Place { first: self.file.origin.last.saturating_add(1), page: self.pages };
        let ends = self.places.iter().skip(1).chain([&end]);
        let directory = self.places.len().div_ceil(ENTRIES);
        let directory = u32::try_from(directory).map_err(|_| Unreadable)?;
        for (place, next) in self.places.iter().zip(ends).filter(|(_, next)| next.first > from) {
            let count = next.page.saturating_sub(place.page);
            let Some(page) = page_of(mark, count as usize) else { continue };
            let page = u32::try_from(page).map_err(|_| Unreadable)?;
            let number = 1_u32.saturating_add(directory).saturating_add(place.page).saturating_add(page);
            if may_hold(&self.file.page(storage, number.into())?, mark) {
                return Ok(Some((place.first, next.first.saturating_sub(1))));
            }
        }
        Ok(None)
    }
}

/// The first of some chunks from a height on that may hold a mark.
pub(super) fn find(chunks: &[Chunk], mark: Mark, from: u64) -> Option<(u64, u64)> {
    let found = chunks.iter().filter(|chunk| chunk.last >= from).find(|chunk| chunk.may_concern(mark));
    found.map(|chunk| (chunk.first, chunk.last))
}
