//! Writing a checkpoint: draft, chunks, footer, sync, name, sync of the directory.

use super::Place;
use super::format::{
    CHUNK_BYTES, CHUNK_HEADER_BYTES, ChunkHeader, DRAFT_NAME, FOOTER_BYTES, Footer, Kind, checkpoint_name,
};
use crate::log::{DiskError, Planted, Storage, write_all_at};
use crate::state::{StateHasher, StateRecords};
use std::path::Path;
use std::time::{Duration, Instant};

/// Why a checkpoint wasn't written. Those there were are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It was no longer wanted.
    #[error("the engine was closed before the checkpoint was written")]
    Abandoned,
}

/// Chunks on their way into a file.
struct Draft<'a, S: Storage> {
    storage: &'a S,
    file: S::File,
    path: &'a Path,
    offset: u64,
    chunks: u32,
    content: blake3::Hasher,
}

impl<S: Storage> Draft<'_, S> {
    /// Writes a chunk: `buffer` begins with room for the header.
    fn chunk(&mut self, kind: Kind, first: u32, next: u32, buffer: &mut [u8]) -> Result<(), DiskError> {
        let (header, payload) = buffer.split_at_mut(CHUNK_HEADER_BYTES);
        let count = next.saturating_sub(first);
        let described = ChunkHeader { kind, payload_bytes: payload.len() as u64, first, count };
        let hash = described.hash(payload);
        header.copy_from_slice(&described.encode(&hash));
        self.content.update(&hash);
        let (begin, bytes) = (self.offset, buffer.len() as u64);
        self.write(buffer)?;
        self.chunks = self.chunks.saturating_add(1);
        let started = self.storage.start_writeback(&self.file, begin, bytes);
        started.map_err(DiskError::on("start to write", self.path, Some(begin)))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        let written = write_all_at(self.storage, &self.file, bytes, self.offset);
        written.map_err(DiskError::on("write the checkpoint", self.path, Some(self.offset)))?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

/// Writes the checkpoint of these records, and gives its size. `pause` is told after each chunk how long that took; it may sleep, and
/// says whether to go on.
///
/// # Errors
/// [`WriteError`]. A draft that is left over is removed by the next writing.
pub(super) fn write<S: Storage>(
    storage: &S,
    directory: &Path,
    place: Place,
    mut records: StateRecords,
    pause: &mut dyn FnMut(Duration) -> bool,
) -> Result<u64, WriteError> {
    let path = directory.join(DRAFT_NAME);
    remove_draft(storage, directory)?;
    let file = storage.create(&path).map_err(DiskError::on("create the file", &path, None))?;
    let mut draft = Draft { storage, file, path: &path, offset: 0, chunks: 0, content: blake3::Hasher::new() };
    let (accounts, assets, entries) = (records.account_count(), records.asset_count(), records.entry_count());
    let mut state = StateHasher::new(accounts);
    let mut buffer = Vec::with_capacity(CHUNK_HEADER_BYTES + CHUNK_BYTES + 4096);
    for (kind, count) in Kind::ALL.into_iter().zip([accounts, assets, entries]) {
        if kind == Kind::Assets {
            state.begin_assets(assets);
        }
        let mut first = 0;
        while first < count {
            let begin = Instant::now();
            buffer.clear();
            buffer.resize(CHUNK_HEADER_BYTES, 0);
            let next = match kind {
                Kind::Accounts => records.encode_accounts(first, CHUNK_BYTES, &mut buffer),
                Kind::Assets => records.encode_assets(first, CHUNK_BYTES, &mut buffer),
                Kind::Entries => records.encode_entries(first, CHUNK_BYTES, &mut buffer),
            };
            if kind == Kind::Accounts {
                records.release_accounts_below(next);
            }
            draft.chunk(kind, first, next, &mut buffer)?;
            state.update(&buffer[CHUNK_HEADER_BYTES..]);
            first = next;
            if !pause(begin.elapsed()) {
                remove_draft(storage, directory)?;
                return Err(WriteError::Abandoned);
            }
        }
    }
    state.end_entries(entries);
    let file_bytes = draft.offset.saturating_add(FOOTER_BYTES as u64);
    let (chunks, content) = (draft.chunks, draft.content.finalize().into());
    let footer = Footer {
        place,
        state: state.finish(),
        accounts,
        assets,
        chunks,
        has_entries: entries > 0,
        file_bytes,
        content,
    };
    draft.write(&footer.encode())?;
    if !storage.planted(Planted::CheckpointNotSynced) {
        storage.fdatasync(&draft.file).map_err(DiskError::on("sync the checkpoint", &path, None))?;
    }
    let name = directory.join(checkpoint_name(place.height));
    storage.rename(&path, &name).map_err(DiskError::on("rename to a checkpoint", &path, None))?;
    storage.sync_dir(directory).map_err(DiskError::on("sync the directory", directory, None))?;
    Ok(file_bytes)
}

/// Removes a draft that didn't come to its end.
pub(super) fn remove_draft<S: Storage>(storage: &S, directory: &Path) -> Result<(), DiskError> {
    let path = directory.join(DRAFT_NAME);
    match storage.unlink(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DiskError::on("unlink", &path, None)(error)),
        _ => Ok(()),
    }
}
