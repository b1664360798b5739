//! Creating a ledger: the first segment first, the file `LEDGER` last, so that a directory with it is complete.

use std::path::Path;
use std::sync::Arc;

use super::config::LogConfig;
use super::error::{DiskError, OpenError};
use super::frame::Hash;
use super::ledger::{GENESIS_BYTES_MAX, LEDGER_DRAFT_NAME, LEDGER_NAME, Ledger};
use super::pool::{Blank, Pool, is_blank_between};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_id, segment_name};
use super::storage::{Access, Planted, Storage, write_all_at};
use super::{SegmentLog, Tip, fill_reserve, lock};

impl<S: Storage> SegmentLog<S> {
    /// Creates a ledger in a directory that has none, with a first segment and the reserve.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the next call may find remains of this one, and removes them.
    pub(crate) fn create(
        storage: S,
        directory: &Path,
        id: Hash,
        genesis: &[u8],
        config: LogConfig,
    ) -> Result<Self, OpenError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| DiskError {
            action: "draw a salt",
            file: directory.to_path_buf(),
            offset: None,
            source: std::io::Error::other(error),
        })?;
        Self::create_salted(storage, directory, id, genesis, config, salt)
    }

    /// [`SegmentLog::create`] with a salt of the caller's, for logs that must come out the same twice.
    pub(crate) fn create_salted(
        storage: S,
        directory: &Path,
        id: Hash,
        genesis: &[u8],
        config: LogConfig,
        salt: [u8; 16],
    ) -> Result<Self, OpenError> {
        config.check()?;
        let ledger = Ledger { id, segment_bytes: config.segment_bytes, salt, genesis: genesis.to_vec() };
        let Some(ledger_bytes) = ledger.encode() else {
            let expected = format!("at most {GENESIS_BYTES_MAX} bytes");
            return Err(OpenError::Config { name: "genesis", expected, found: format!("{} bytes", genesis.len()) });
        };
        let writing = |error: DiskError| OpenError::writing(directory, error);
        storage
            .create_dir(directory)
            .map_err(DiskError::on("create the directory", directory, None))
            .map_err(writing)?;
        let lock = lock(&storage, directory)?;
        clear_remains(&storage, directory)?;
        let needed = config.segment_bytes;
        let available = storage.free_space(directory).map_err(DiskError::on("ask for free space", directory, None))?;
        if available < needed {
            return Err(OpenError::NoSpace { directory: directory.to_path_buf(), needed, available });
        }

        let mut pool = Pool::open(&storage, directory, ledger.segment_bytes).map_err(writing)?;
        let (blank, _) = pool.take(&storage).map_err(writing)?;
        let (id, salt) = (ledger.id, ledger.salt);
        let first =
            SegmentHeader { id: 1, epoch: 1, segment_bytes: needed, first_height: 1, ledger: id, previous: id, salt };
        let file = begin_segment(&storage, directory, blank, &first)?;
        Ledger::write(&ledger_bytes, &storage, directory)?;
        if let Some(parent) = directory.parent() {
            storage.sync_dir(parent).map_err(DiskError::on("sync the directory", parent, None))?;
        }
        fill_reserve(&mut pool, &storage, &config)?;
        let segment = Arc::new(Segment::new(1, 1, SEGMENT_HEADER_BYTES));
        let tip = Tip { height: 0, hash: id, epoch: 1, end: SEGMENT_HEADER_BYTES, sealed: true };
        Ok(Self::assemble(storage, directory, ledger, config, pool, file, vec![segment], tip, lock))
    }
}

/// Removes what a creation has left that did not come to its end; refuses where there is more.
fn clear_remains<S: Storage>(storage: &S, directory: &Path) -> Result<(), OpenError> {
    let exists = |found: String| Err(OpenError::Exists { directory: directory.to_path_buf(), found });
    let names = storage.list(directory).map_err(DiskError::on("list the directory", directory, None))?;
    let mut remains = Vec::new();
    for name in names.iter().filter_map(|name| name.to_str()) {
        let path = directory.join(name);
        if name == LEDGER_NAME {
            return exists("there is one, the file LEDGER".into());
        }
        if name == LEDGER_DRAFT_NAME {
            remains.push(path);
        } else if let Some(id) = segment_id(name) {
            let file = storage.open(&path, Access::Read).map_err(DiskError::on("open the file", &path, None))?;
            let length = storage.length(&file).map_err(DiskError::on("ask for the length", &path, None))?;
            if id != 1 || !is_blank_between(storage, &file, &path, SEGMENT_HEADER_BYTES, length)? {
                return exists(format!("{name} holds records, and the file LEDGER that belongs to it is missing"));
            }
            remains.push(path);
        }
    }
    for path in remains {
        storage.unlink(&path).map_err(DiskError::on("unlink", &path, None))?;
    }
    Ok(())
}

/// Makes a segment of a file of zeros: header, sync, name, sync of the directory.
pub(super) fn begin_segment<S: Storage>(
    storage: &S,
    directory: &Path,
    blank: Blank<S>,
    header: &SegmentHeader,
) -> Result<S::File, DiskError> {
    let Blank { path, file } = blank;
    write_all_at(storage, &file, &header.encode(), 0).map_err(DiskError::on(
        "write the segment header",
        &path,
        Some(0),
    ))?;
    if !storage.planted(Planted::NoHeaderSync) {
        storage.fdatasync(&file).map_err(DiskError::on("sync the segment header", &path, None))?;
    }
    let name = directory.join(segment_name(header.id));
    storage.rename(&path, &name).map_err(DiskError::on("rename to a segment", &path, None))?;
    if !storage.planted(Planted::NoDirectorySync) {
        storage.sync_dir(directory).map_err(DiskError::on("sync the directory", directory, None))?;
    }
    Ok(file)
}
