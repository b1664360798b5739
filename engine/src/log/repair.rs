//! Cutting a log after a height, because an operator says so: the last resort when a segment is damaged and no copy of it
//! is left. What is cut was acknowledged and is lost to the ledger, so it never happens by itself, and everything that is
//! changed or removed is copied first.
//!
//! A crash in the middle leaves a log that is refused, or a whole one; cutting it again at the same height, with
//! another directory for the copy, ends what was begun.

use std::path::Path;

use super::error::{DiskError, OpenError};
use super::frame::{FrameHeader, Hash, Kind, PAGE_BYTES, frame_bytes};
use super::ledger::{LEDGER_NAME, Ledger};
use super::lock;
use super::recovery::{Checkpoint, Purpose, walk};
use super::segment::{SEGMENT_HEADER_BYTES, segment_id, segment_name};
use super::storage::{Access, Storage, write_all_at};

/// Bytes copied, or zeros written, at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What was cut, and what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truncated {
    /// The last record that is left, the ledger id if there is none.
    pub(crate) height: u64,
    pub(crate) hash: Hash,
    /// The highest record of which a whole header was found behind the cut; the last that is left if none was.
    pub(crate) lost: u64,
    /// The segments that are in the copy, as they were before: the one that was cut, then those that were removed.
    pub(crate) copied: Vec<String>,
    /// Where in the first of them the cut is.
    pub(crate) offset: u64,
}

/// Cuts everything after a height. Everything up to it is checked first, as opening does, and must be whole; what comes
/// behind may be in any state. `copy` is a directory that is empty or can be made; it gets LEDGER and every segment that
/// is changed or removed. With `from` the check begins at a checkpoint, for a log whose first segments were retired.
///
/// # Errors
///
/// [`OpenError`]; nothing was changed if it is not about the disk.
pub(crate) fn truncate_after<S: Storage>(
    storage: &S,
    directory: &Path,
    from: Option<Checkpoint>,
    height: u64,
    copy: &Path,
) -> Result<Truncated, OpenError> {
    let ledger = Ledger::read(storage, directory)?;
    let _lock = lock(storage, directory)?;
    let (id, offset, hash) = end_of(storage, directory, &ledger, from, height)?;

    // From here on files are changed: first the copy, durably, then what it was made for.
    let names = storage.list(directory).map_err(DiskError::on("list the directory", directory, None))?;
    let mut later: Vec<u32> = names.iter().filter_map(|name| segment_id(name.to_str()?)).collect();
    later.retain(|there| *there > id);
    later.sort_unstable();
    storage.create_dir(copy).map_err(DiskError::on("create the directory", copy, None))?;
    if !storage.list(copy).map_err(DiskError::on("list the directory", copy, None))?.is_empty() {
        let found = "it is not empty, and the copy needs a directory of its own".into();
        return Err(OpenError::Exists { directory: copy.to_path_buf(), found });
    }
    let mut copied = vec![segment_name(id)];
    copied.extend(later.iter().copied().map(segment_name));
    let (crc, mut lost) = (ledger.salted_crc(), height);
    for name in copied.iter().map(String::as_str).chain([LEDGER_NAME]) {
        copy_file(storage, &directory.join(name), &copy.join(name), &mut |page| {
            let header = page.first_chunk().and_then(|header| FrameHeader::decode(header, crc).ok());
            if let Some(header) = header.filter(|header| header.kind == Kind::Block) {
                lost = lost.max(header.record.height);
            }
        })?;
    }
    storage.sync_dir(copy).map_err(DiskError::on("sync the directory", copy, None))?;

    for id in later.into_iter().rev() {
        let path = directory.join(segment_name(id));
        storage.unlink(&path).map_err(DiskError::on("unlink", &path, None))?;
    }
    storage.sync_dir(directory).map_err(DiskError::on("sync the directory", directory, None))?;
    let path = directory.join(segment_name(id));
    let file = storage.open(&path, Access::ReadWrite).map_err(DiskError::on("open the file", &path, None))?;
    let zeros = vec![0; CHUNK_BYTES];
    let mut place = offset;
    while place < ledger.segment_bytes {
        let length = usize::try_from(ledger.segment_bytes - place).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        write_all_at(storage, &file, &zeros[..length], place).map_err(DiskError::on("zero", &path, Some(place)))?;
        place = place.saturating_add(length as u64);
    }
    storage.fdatasync(&file).map_err(DiskError::on("sync", &path, None))?;
    Ok(Truncated { height, hash, lost, copied, offset })
}

/// The segment that holds a height, the end of its frame, and its hash.
fn end_of<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    from: Option<Checkpoint>,
    height: u64,
) -> Result<(u32, u64, Hash), OpenError> {
    let mut end = (height == 0).then_some((1, SEGMENT_HEADER_BYTES, ledger.id));
    let walked = walk(storage, directory, ledger, Purpose::Repair, from, &mut |record| {
        if record.header.height > height {
            return Err("the height is behind us".into());
        }
        let id = segment_id(record.file).ok_or("a segment without a number")?;
        let after = record.offset.saturating_add(frame_bytes(record.body.len() as u64));
        end = (record.header.height == height).then_some((id, after, *record.hash));
        Ok(())
    });
    match (end, walked) {
        (Some(end), _) => Ok(end),
        (None, Err(error)) => Err(error),
        (None, Ok(walked)) => Err(OpenError::Config {
            name: "the height to cut after",
            expected: format!("one that can be seen, at most {}", walked.height),
            found: height.to_string(),
        }),
    }
}

/// Copies a file durably, and shows every page of it.
fn copy_file<S: Storage>(storage: &S, from: &Path, to: &Path, show: &mut dyn FnMut(&[u8])) -> Result<(), DiskError> {
    let source = storage.open(from, Access::Read).map_err(DiskError::on("open the file", from, None))?;
    let length = storage.length(&source).map_err(DiskError::on("ask for the length", from, None))?;
    let target = storage.create(to).map_err(DiskError::on("create the file", to, None))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < length {
        let bytes = usize::try_from(length - offset).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let part = &mut chunk[..bytes];
        storage.pread_exact(&source, part, offset).map_err(DiskError::on("read", from, Some(offset)))?;
        part.chunks(PAGE_BYTES).for_each(&mut *show);
        write_all_at(storage, &target, part, offset).map_err(DiskError::on("write", to, Some(offset)))?;
        offset = offset.saturating_add(bytes as u64);
    }
    storage.fdatasync(&target).map_err(DiskError::on("sync", to, None))
}
