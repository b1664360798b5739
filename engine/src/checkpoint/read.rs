//! Reading checkpoints: which there are, what they say, and the state in one of them.

use super::Place;
use super::format::{
    CHUNK_HEADER_BYTES, ChunkHeader, FOOTER_BYTES, Footer, FooterFault, Kind, checkpoint_height, checkpoint_name,
};
use crate::log::{Access, DiskError, Storage, preserve};
use crate::state::{State, StateHasher, StateLoader};
use crate::types::{Digest, Height};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::path::Path;

/// Chunks read and not yet taken apart.
const CHUNKS_AHEAD: usize = 4;

/// Why a checkpoint can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointFault {
    /// Its bytes aren't what was written. An older one may do.
    #[error("{file}, offset {offset}: expected {expected}, found {found}")]
    Damaged { file: String, offset: u64, expected: String, found: String },
    /// It can't be read. An older one may do.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It was put there by somebody.
    #[error("{file}: expected a checkpoint of the ledger {expected}, found one of {found}")]
    OtherLedger { file: String, expected: Digest, found: Digest },
    /// It was written by a later version of this software.
    #[error("{file}: written in format {found}, this version reads up to format 2")]
    NewerFormat { file: String, found: u16 },
    /// The operating system has no randomness for an index, or no thread.
    #[error("the operating system gives no randomness or no thread: {0}")]
    System(std::io::Error),
}

impl CheckpointFault {
    /// Whether an older checkpoint may be used instead.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Disk(_))
    }
}

/// A state out of a checkpoint.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub place: Place,
    pub state: State,
    pub digest: Digest,
}

/// What a directory has of checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The one to go on from.
    pub loaded: Option<Loaded>,
    /// Heights of others that are there and weren't found damaged, ascending.
    pub others: Vec<Height>,
    /// Those that can't be used, with the reason.
    pub damaged: Vec<(Height, String)>,
}

/// Heights of all checkpoints that a directory has by name, ascending.
pub(crate) fn find<S: Storage>(storage: &S, directory: &Path) -> Result<Vec<Height>, DiskError> {
    let names = storage.list(directory).map_err(DiskError::on("list the directory", directory, None))?;
    let mut heights: Vec<Height> = names.iter().filter_map(|name| checkpoint_height(name.to_str()?)).collect();
    heights.sort_unstable();
    Ok(heights)
}

/// Loads the newest checkpoint that is whole; names those that aren't.
pub(crate) fn load_newest<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &[u8; 32],
) -> Result<Found, CheckpointFault> {
    let mut heights = find(storage, directory)?;
    let mut found = Found::default();
    while let Some(height) = heights.pop() {
        match load(storage, directory, height, ledger) {
            Ok(loaded) => {
                found.loaded = Some(loaded);
                break;
            }
            Err(fault) if fault.is_damage() => found.damaged.push((height, fault.to_string())),
            Err(fault) => return Err(fault),
        }
    }
    found.others = heights;
    Ok(found)
}

/// A checkpoint's place with the bytes of its file, and the heights of all that may be whole, ascending.
type Newest = (Option<(Place, u64)>, Vec<Height>);

/// Where the newest checkpoint stands whose footer is whole and that isn't known as damaged; names those that aren't whole.
pub(crate) fn newest<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &[u8; 32],
    damaged: &mut Vec<(Height, String)>,
) -> Result<Newest, CheckpointFault> {
    let mut heights = find(storage, directory)?;
    heights.retain(|height| damaged.iter().all(|(known, _)| known != height));
    while let Some(&height) = heights.last() {
        match read_footer(storage, directory, height, ledger) {
            Ok((_, footer)) => return Ok((Some((footer.place, footer.file_bytes)), heights)),
            Err(fault) if fault.is_damage() => damaged.push((height, fault.to_string())),
            Err(fault) => return Err(fault),
        }
        heights.pop();
    }
    Ok((None, heights))
}

/// Moves every checkpoint above a height to another directory; gives their names.
pub(crate) fn move_above<S: Storage>(
    storage: &S,
    directory: &Path,
    height: Height,
    to: &Path,
) -> Result<Vec<String>, DiskError> {
    let above = find(storage, directory)?.into_iter().filter(|&found| found > height);
    let names: Vec<String> = above.map(checkpoint_name).collect();
    for name in &names {
        preserve(storage, &directory.join(name), &to.join(name))?;
    }
    storage.sync_dir(to).map_err(DiskError::on("sync the directory", to, None))?;
    for name in &names {
        let path = directory.join(name);
        storage.unlink(&path).map_err(DiskError::on("unlink", &path, None))?;
    }
    storage.sync_dir(directory).map_err(DiskError::on("sync the directory", directory, None))?;
    Ok(names)
}

/// Where the oldest checkpoint stands whose footer is whole: from there on all of the log is retained.
pub(crate) fn oldest<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &[u8; 32],
) -> Result<Option<Place>, CheckpointFault> {
    for height in find(storage, directory)? {
        match read_footer(storage, directory, height, ledger) {
            Ok((_, footer)) => return Ok(Some(footer.place)),
            Err(fault) if fault.is_damage() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(None)
}

/// What a checkpoint's footer says, checked against the file's name and length and the ledger.
fn read_footer<S: Storage>(
    storage: &S,
    directory: &Path,
    height: Height,
    ledger: &[u8; 32],
) -> Result<(S::File, Footer), CheckpointFault> {
    let name = checkpoint_name(height);
    let path = directory.join(&name);
    let file = storage.open(&path, Access::Read).map_err(DiskError::on("open the file", &path, None))?;
    let length = storage.length(&file).map_err(DiskError::on("ask for the length", &path, None))?;
    let damaged = |offset: u64, expected: String, found: String| {
        Err(CheckpointFault::Damaged { file: name.clone(), offset, expected, found })
    };
    let Some(offset) = length.checked_sub(FOOTER_BYTES as u64) else {
        return damaged(0, format!("at least {FOOTER_BYTES} bytes"), format!("{length}"));
    };
    let mut bytes = [0; FOOTER_BYTES];
    storage.pread_exact(&file, &mut bytes, offset).map_err(DiskError::on("read", &path, Some(offset)))?;
    let footer = match Footer::decode(&bytes) {
        Ok(footer) => footer,
        Err(FooterFault::Damaged(found)) => return damaged(offset, "a footer".to_owned(), found),
        Err(FooterFault::NewerFormat(found)) => return Err(CheckpointFault::NewerFormat { file: name, found }),
    };
    if footer.place.ledger != *ledger {
        let (expected, found) = (Digest(*ledger), Digest(footer.place.ledger));
        return Err(CheckpointFault::OtherLedger { file: name, expected, found });
    }
    if footer.file_bytes != length {
        return damaged(offset, format!("a file of {} bytes", footer.file_bytes), format!("{length}"));
    }
    if footer.place.height != height {
        return damaged(offset, format!("the height {height} of the name"), footer.place.height.to_string());
    }
    Ok((file, footer))
}

/// Loads a checkpoint, and checks everything in it: one thread reads and hashes, this one takes apart.
pub(crate) fn load<S: Storage>(
    storage: &S,
    directory: &Path,
    height: Height,
    ledger: &[u8; 32],
) -> Result<Loaded, CheckpointFault> {
    let (file, footer) = read_footer(storage, directory, height, ledger)?;
    let name = checkpoint_name(height);
    let path = directory.join(&name);
    let mut loader = StateLoader::new().map_err(CheckpointFault::System)?;
    let (chunks_in, chunks_out) = bounded::<Chunk>(CHUNKS_AHEAD);
    let (empty_in, empty_out) = bounded::<Vec<u8>>(CHUNKS_AHEAD);
    let (read, taken) = std::thread::scope(|scope| {
        let source = Source { storage, file: &file, name: &name, path: &path, footer: &footer };
        let reading = scope.spawn(move || source.read(&chunks_in, &empty_out));
        let taken = take_apart(&mut loader, &name, chunks_out, &empty_in);
        let read = reading.join();
        (read, taken)
    });
    // What the reader has found comes first: the rest may only be its consequence.
    read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    taken?;
    let found = (loader.account_count(), loader.asset_count());
    if found != (footer.accounts, footer.assets) {
        let expected = format!("{} accounts and {} assets", footer.accounts, footer.assets);
        let (found, offset) = (format!("{} and {}", found.0, found.1), footer.file_bytes);
        return Err(CheckpointFault::Damaged { file: name, offset, expected, found });
    }
    Ok(Loaded { place: footer.place, state: loader.finish(), digest: footer.state })
}

/// A chunk whose hash is right.
struct Chunk {
    header: ChunkHeader,
    offset: u64,
    payload: Vec<u8>,
}

/// A checkpoint being read from its first chunk to its last.
struct Source<'a, S: Storage> {
    storage: &'a S,
    file: &'a S::File,
    name: &'a str,
    path: &'a Path,
    footer: &'a Footer,
}

impl<S: Storage> Source<'_, S> {
    /// Gives every chunk on, checks each by itself and all together.
    fn read(&self, chunks: &Sender<Chunk>, empty: &Receiver<Vec<u8>>) -> Result<(), CheckpointFault> {
        let footer = self.footer;
        let end = footer.file_bytes.saturating_sub(FOOTER_BYTES as u64);
        let mut state = StateHasher::new(footer.accounts);
        let mut content = blake3::Hasher::new();
        let (mut offset, mut assets_begun, mut entries) = (0_u64, false, 0_u32);
        for _ in 0..footer.chunks {
            let buffer = empty.try_recv().unwrap_or_default();
            let (chunk, hash) = self.chunk(offset, end, buffer)?;
            content.update(&hash);
            if chunk.header.kind > Kind::Accounts && !assets_begun {
                state.begin_assets(footer.assets);
                assets_begun = true;
            }
            if chunk.header.kind == Kind::Entries {
                entries = entries.saturating_add(chunk.header.count);
            }
            state.update(&chunk.payload);
            offset = chunk.offset.saturating_add(chunk.payload.len() as u64);
            if chunks.send(chunk).is_err() {
                // Whoever takes them apart has found a fault, and tells it.
                return Ok(());
            }
        }
        if !assets_begun {
            state.begin_assets(footer.assets);
        }
        if offset != end {
            return self.damaged(offset, format!("{} chunks up to offset {end}", footer.chunks), offset.to_string());
        }
        if *content.finalize().as_bytes() != footer.content {
            return self.damaged(end, "the chunks of this footer".to_owned(), "others".to_owned());
        }
        if footer.has_entries != (entries > 0) {
            let expected = "format 2 with entries and only with them".to_owned();
            return self.damaged(end, expected, format!("{entries} entries"));
        }
        state.end_entries(entries);
        let found = state.finish();
        if found != footer.state {
            return self.damaged(end, format!("the state digest {}", footer.state), found.to_string());
        }
        Ok(())
    }

    fn chunk(&self, offset: u64, end: u64, mut buffer: Vec<u8>) -> Result<(Chunk, [u8; 32]), CheckpointFault> {
        let begin = offset.saturating_add(CHUNK_HEADER_BYTES as u64);
        let Some(room) = end.checked_sub(begin) else {
            return self.damaged(offset, "a chunk".to_owned(), format!("{} bytes", end.saturating_sub(offset)));
        };
        let mut header = [0; CHUNK_HEADER_BYTES];
        self.pread(&mut header, offset)?;
        let (header, hash) = match ChunkHeader::decode(&header) {
            Ok(decoded) => decoded,
            Err(found) => return self.damaged(offset, "a chunk".to_owned(), found),
        };
        // No more is reserved than the file has.
        let bytes = usize::try_from(header.payload_bytes).ok().filter(|_| header.payload_bytes <= room);
        let Some(bytes) = bytes else {
            return self.damaged(offset, format!("at most {room} bytes"), header.payload_bytes.to_string());
        };
        buffer.resize(bytes, 0);
        self.pread(&mut buffer, begin)?;
        let found = header.hash(&buffer);
        if found != hash {
            let expected = format!("a chunk of the hash {}", Digest(hash));
            return self.damaged(offset, expected, Digest(found).to_string());
        }
        Ok((Chunk { header, offset: begin, payload: buffer }, hash))
    }

    fn pread(&self, buffer: &mut [u8], offset: u64) -> Result<(), CheckpointFault> {
        let read = self.storage.pread_exact(self.file, buffer, offset);
        Ok(read.map_err(DiskError::on("read", self.path, Some(offset)))?)
    }

    fn damaged<T>(&self, offset: u64, expected: String, found: String) -> Result<T, CheckpointFault> {
        Err(CheckpointFault::Damaged { file: self.name.to_owned(), offset, expected, found })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "when it goes, the thread that reads knows that nobody wants more")]
fn take_apart(
    loader: &mut StateLoader,
    name: &str,
    chunks: Receiver<Chunk>,
    empty: &Sender<Vec<u8>>,
) -> Result<(), CheckpointFault> {
    for Chunk { header, offset, payload } in &chunks {
        let damaged = |expected: String, found: String| CheckpointFault::Damaged {
            file: name.to_owned(),
            offset,
            expected,
            found,
        };
        let next = match header.kind {
            Kind::Accounts => loader.account_count(),
            Kind::Assets => loader.asset_count(),
            Kind::Entries => loader.entry_count(),
        };
        let is_late = match header.kind {
            Kind::Accounts => loader.asset_count() > 0 || loader.entry_count() > 0,
            Kind::Assets => loader.entry_count() > 0,
            Kind::Entries => false,
        };
        if header.first != next || is_late {
            return Err(damaged(format!("{:?} from {next} on", header.kind), format!("from {} on", header.first)));
        }
        let taken = match header.kind {
            Kind::Accounts => loader.accounts(header.count, &payload),
            Kind::Assets => loader.assets(header.count, &payload),
            Kind::Entries => loader.entries(header.count, &payload),
        };
        taken.map_err(|fault| damaged(format!("{}: {}", fault.what, fault.expected), fault.found))?;
        // A buffer more or less is no loss.
        let _ = empty.try_send(payload);
    }
    Ok(())
}
