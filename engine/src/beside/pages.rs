//! A file beside the log for one full segment: pages that say whose they are.
//!
//! ```text
//! page 0       0  4  magic of the kind
//!              4  2  format, 1
//!              6  2  0
//!              8  4  segment
//!             12  4  0
//!             16  8  height of the segment's first block
//!             24  8  height of its last
//!             32  8  first count of the kind
//!             40 32  ledger id
//!             72 32  hash of the segment's last block
//!            104  8  second count of the kind
//! other pages  0  …  of the kind
//! every page 4092 4  CRC-32C of ledger id, segment u32, number of the page u32, and the page's first 4092 bytes
//! ```

use crate::log::{Access, DiskError, Storage, write_all_at};
use std::path::Path;

pub(crate) const PAGE_BYTES: usize = 4096;
/// Bytes of a page that its checksum covers.
pub(crate) const CONTENT_BYTES: usize = PAGE_BYTES - 4;
/// Written at a time.
const PIECE_BYTES: usize = 1 << 20;

pub(crate) type Page = [u8; PAGE_BYTES];

/// What such files are for: their names, and what they begin with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub magic: [u8; 4],
    pub stem: &'static str,
    pub extension: &'static str,
}

impl Kind {
    pub(crate) fn file_name(&self, segment: u32) -> String {
        format!("{}-{segment:08}.{}", self.stem, self.extension)
    }
}

/// What a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub ledger: [u8; 32],
    pub segment: u32,
    pub first: u64,
    pub last: u64,
    /// Of the last block: a segment that was cut and filled again is another.
    pub hash: [u8; 32],
}

impl Origin {
    fn header(&self, kind: Kind, counts: [u64; 2]) -> Page {
        let mut page = [0; PAGE_BYTES];
        page[0..4].copy_from_slice(&kind.magic);
        page[4..6].copy_from_slice(&1_u16.to_le_bytes());
        page[8..12].copy_from_slice(&self.segment.to_le_bytes());
        page[16..24].copy_from_slice(&self.first.to_le_bytes());
        page[24..32].copy_from_slice(&self.last.to_le_bytes());
        page[32..40].copy_from_slice(&counts[0].to_le_bytes());
        page[40..72].copy_from_slice(&self.ledger);
        page[72..104].copy_from_slice(&self.hash);
        page[104..112].copy_from_slice(&counts[1].to_le_bytes());
        self.close(&mut page, 0);
        page
    }

    fn crc(&self, page: &Page, number: u32) -> [u8; 4] {
        let crc = crc32c::crc32c(&self.ledger);
        let crc = crc32c::crc32c_append(crc, &self.segment.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
        crc32c::crc32c_append(crc, &page[..CONTENT_BYTES]).to_le_bytes()
    }

    fn close(&self, page: &mut Page, number: u32) {
        let crc = self.crc(page, number);
        page[CONTENT_BYTES..].copy_from_slice(&crc);
    }
}

/// Something of a file isn't as it was written, or can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// A file that says it is what was asked for.
pub(crate) struct PagedFile<S: Storage> {
    file: S::File,
    pub(crate) origin: Origin,
}

impl<S: Storage> PagedFile<S> {
    /// Opens the file of a segment, if there is one that says it is; with its counts. `pages` tells how many pages there are behind the first
    /// by the counts, or that there are no such counts.
    pub(crate) fn open(
        storage: &S,
        directory: &Path,
        kind: Kind,
        origin: Origin,
        pages: impl FnOnce([u64; 2]) -> Option<u64>,
    ) -> Option<(Self, [u64; 2])> {
        let file = storage.open(&directory.join(kind.file_name(origin.segment)), Access::Read).ok()?;
        let mut page = [0; PAGE_BYTES];
        storage.pread_exact(&file, &mut page, 0).ok()?;
        let field = |at: usize| Some(u64::from_le_bytes(*page.get(at..)?.first_chunk()?));
        let counts = [field(32)?, field(104)?];
        // One value has one encoding: this compares everything.
        let all = pages(counts)?.checked_add(1)?;
        let whole = page == origin.header(kind, counts)
            && storage.length(&file).ok() == all.checked_mul(PAGE_BYTES as u64)
            && u32::try_from(all).is_ok();
        whole.then_some((Self { file, origin }, counts))
    }

    /// Writes the file of a segment and opens it. The contents of the pages behind the first leave room for the checksum.
    pub(crate) fn write(
        storage: &S,
        directory: &Path,
        kind: Kind,
        origin: Origin,
        counts: [u64; 2],
        pages: impl Iterator<Item = Page>,
    ) -> Result<Self, DiskError> {
        let path = directory.join(format!("{}.tmp", kind.stem));
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
        let mut buffer = origin.header(kind, counts).to_vec();
        for (number, mut page) in (1_u32..).zip(pages) {
            origin.close(&mut page, number);
            buffer.extend_from_slice(&page);
            if buffer.len() >= PIECE_BYTES {
                write(&buffer)?;
                buffer.clear();
            }
        }
        write(&buffer)?;
        storage.fdatasync(&file).map_err(DiskError::on("sync", &path, None))?;
        let name = directory.join(kind.file_name(origin.segment));
        storage.rename(&path, &name).map_err(DiskError::on("rename to a run", &path, None))?;
        Ok(Self { file, origin })
    }

    /// A page, the first one having the number 0, after its checksum was compared.
    pub(crate) fn page(&self, storage: &S, number: u64) -> Result<Page, Unreadable> {
        let mut page = [0; PAGE_BYTES];
        let offset = number.saturating_mul(PAGE_BYTES as u64);
        storage.pread_exact(&self.file, &mut page, offset).map_err(|_| Unreadable)?;
        let number = u32::try_from(number).map_err(|_| Unreadable)?;
        if page.ends_with(&self.origin.crc(&page, number)) { Ok(page) } else { Err(Unreadable) }
    }
}
