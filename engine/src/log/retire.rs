//! Taking segments away that a checkpoint has made unneeded, beside the writer.

use super::error::DiskError;
use super::reader::Shared;
use super::segment::Segment;
use super::storage::{Access, Storage, write_all_at};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes copied at once, where a file can't be linked.
const COPY_BYTES: usize = 1 << 20;

/// Retires segments of a log, on a thread of the caller's.
pub(crate) struct Retirer<S: Storage> {
    pub(super) storage: Arc<S>,
    pub(super) directory: PathBuf,
    pub(super) shared: Arc<Shared>,
}

impl<S: Storage> Retirer<S> {
    /// Takes away the segments that hold nothing from a checkpoint's height on; gives their number. The checkpoint's own record
    /// stays, and everything above; records that somebody still holds stay readable. With `archive`, an existing directory, they
    /// are kept there under their names; without one they are gone.
    ///
    /// The checkpoint must be durable first: only from there, or from a later one, can the log be opened again. Files are unlinked
    /// and never overwritten, since readers may have them mapped; the reserve is filled anew.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; the log goes on, and segments that are left over are ignored by later openings and retired by later calls.
    pub(crate) fn retire(&self, checkpoint: u64, archive: Option<&Path>) -> Result<u64, DiskError> {
        let mut retired: u64 = 0;
        while let Some(segment) = self.oldest_below(checkpoint) {
            if let Some(archive) = archive {
                self.keep(&segment, archive)?;
            }
            // Readers must not find it any more before it is gone.
            self.shared.segments.write().retain(|other| other.id != segment.id);
            let path = self.directory.join(segment.name());
            self.storage.unlink(&path).map_err(DiskError::on("unlink", &path, None))?;
            retired = retired.saturating_add(1);
        }
        if retired > 0 {
            let synced = self.storage.sync_dir(&self.directory);
            synced.map_err(DiskError::on("sync the directory", &self.directory, None))?;
        }
        Ok(retired)
    }

    fn oldest_below(&self, checkpoint: u64) -> Option<Arc<Segment>> {
        let segments = self.shared.segments.read();
        let next = segments.get(1)?;
        segments.first().filter(|_| next.first_height <= checkpoint).cloned()
    }

    fn keep(&self, segment: &Segment, archive: &Path) -> Result<(), DiskError> {
        preserve(&*self.storage, &self.directory.join(segment.name()), &archive.join(segment.name()))?;
        self.storage.sync_dir(archive).map_err(DiskError::on("sync the directory", archive, None))
    }
}

/// Gives a file a name elsewhere, its bytes durable; the name is when its directory is synced. What stands there under that name is
/// what an earlier call has left.
pub(crate) fn preserve<S: Storage>(storage: &S, path: &Path, target: &Path) -> Result<(), DiskError> {
    match storage.unlink(target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(DiskError::on("unlink", target, None)(error));
        }
        _ => {}
    }
    if storage.link(path, target).is_ok() {
        return Ok(());
    }
    // Another file system, or one without links.
    let from = storage.open(path, Access::Read).map_err(DiskError::on("open the file", path, None))?;
    let to = storage.create(target).map_err(DiskError::on("create the file", target, None))?;
    let length = storage.length(&from).map_err(DiskError::on("ask for the length", path, None))?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < length {
        let bytes = usize::try_from(length - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let piece = &mut buffer[..bytes];
        storage.pread_exact(&from, piece, offset).map_err(DiskError::on("read", path, Some(offset)))?;
        write_all_at(storage, &to, piece, offset).map_err(DiskError::on("write", target, Some(offset)))?;
        offset = offset.saturating_add(bytes as u64);
    }
    storage.fdatasync(&to).map_err(DiskError::on("sync", target, None))
}
