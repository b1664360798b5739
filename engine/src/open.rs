//! From a directory to where a ledger stands: lock, newest checkpoint that is whole, the log above it.

use crate::boundary::Tip;
use crate::checkpoint::{self, CheckpointFault, Loaded, Place};
use crate::error::{OpenError, ReadError};
use crate::ledger::Ledger;
use crate::log::{self, Checkpoint, LockedLog, LogConfig, LogReader, SegmentLog, Storage};
use crate::query::Blocks;
use crate::replay::{ReplayError, Replayer};
use crate::roots::Roots;
use crate::types::{BlockHeader, Digest, Height};
use std::path::Path;
use std::thread::ScopedJoinHandle;

/// How far opening a ledger has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenProgress {
    /// Blocks executed again.
    pub blocks: u64,
    /// Transactions executed again.
    pub transactions: u64,
    /// Bytes read: of the checkpoint, and of the bodies of blocks.
    pub bytes: u64,
    /// Height of the checkpoint that it began with; 0 if it began with nothing.
    pub checkpoint: Height,
}

/// A ledger as it stands, with everything that opening it has found.
pub(crate) struct Opened<S: Storage> {
    pub log: SegmentLog<S>,
    /// Hash of the last block.
    pub hash: Digest,
    pub replayer: Replayer,
    pub progress: OpenProgress,
    /// Bytes of the blocks that were executed again.
    pub log_bytes: u64,
    /// Heights of checkpoints that are there, ascending.
    pub kept: Vec<Height>,
    pub damaged: Vec<(Height, String)>,
}

/// Opens the ledger in a directory, or creates one where there is none.
pub(crate) fn open<S: Storage + Clone>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    config: LogConfig,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Opened<S>, OpenError> {
    let id = ledger.id().0;
    let complain = |error| complain(directory, error);
    let mut damaged: Vec<(Height, String)> = Vec::new();
    loop {
        let locked = match SegmentLog::lock(storage.clone(), directory, Some(id), config) {
            Ok(locked) => locked,
            Err(log::OpenError::NoLedger { .. }) => {
                let log = SegmentLog::create(storage.clone(), directory, id, ledger.name().as_bytes(), config);
                return Ok(Opened {
                    log: log.map_err(complain)?,
                    hash: Digest(id),
                    replayer: Replayer::new().map_err(no_randomness)?,
                    progress: OpenProgress::default(),
                    log_bytes: 0,
                    kept: Vec::new(),
                    damaged,
                });
            }
            Err(error) => return Err(complain(error)),
        };
        let newest = checkpoint::newest(locked.storage(), directory, &id, &mut damaged);
        let (place, kept) = newest.map_err(|fault| unusable(directory, fault))?;
        match open_above(storage, locked, directory, place, progress) {
            Ok((log, hash, replayer, progress)) => {
                let log_bytes = progress.bytes.saturating_sub(place.map_or(0, |(_, bytes)| bytes));
                return Ok(Opened { log, hash, replayer, progress, log_bytes, kept, damaged });
            }
            // The one before, or all blocks, will do.
            Err(Failed::Checkpoint(height, fault)) if fault.is_damage() => damaged.push((height, fault.to_string())),
            Err(Failed::Checkpoint(_, fault)) => return Err(unusable(directory, fault)),
            Err(Failed::Log(error)) => {
                let mut told = complain(error);
                if let OpenError::Log(text) = &mut told {
                    // Without its checkpoints a log may well lack its beginning.
                    damaged.iter().for_each(|(_, reason)| *text = format!("{text}; and {reason}"));
                }
                return Err(told);
            }
        }
    }
}

/// Why a log couldn't be opened above a checkpoint.
enum Failed {
    Checkpoint(Height, CheckpointFault),
    Log(log::OpenError),
}

/// A state that is being loaded, or has been.
enum Base<'scope> {
    Loading(Height, ScopedJoinHandle<'scope, Result<Loaded, CheckpointFault>>),
    Loaded(Box<Replayer>),
    Failed(Failed),
}

impl Base<'_> {
    /// Waits until it is loaded; `None` if it couldn't be.
    fn replayer(&mut self) -> Option<&mut Replayer> {
        if let Self::Loading(height, _) = *self {
            let gone =
                Self::Failed(Failed::Checkpoint(height, CheckpointFault::Randomness(std::io::Error::other("lost"))));
            if let Self::Loading(_, loading) = std::mem::replace(self, gone) {
                *self = match loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                    Ok(loaded) => Self::Loaded(Box::new(replayer_of(loaded))),
                    Err(fault) => Self::Failed(Failed::Checkpoint(height, fault)),
                };
            }
        }
        match self {
            Self::Loaded(replayer) => Some(replayer),
            _ => None,
        }
    }
}

/// Opens the log above a checkpoint, or all of it. The checkpoint is loaded while the log up to there is checked.
fn open_above<S: Storage>(
    storage: &S,
    locked: LockedLog<S>,
    directory: &Path,
    place: Option<(Place, u64)>,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<(SegmentLog<S>, Digest, Replayer, OpenProgress), Failed> {
    let mut done = OpenProgress::default();
    std::thread::scope(|scope| {
        let mut base = match place {
            None => Base::Loaded(Box::new(
                Replayer::new().map_err(|error| Failed::Checkpoint(Height(0), CheckpointFault::Randomness(error)))?,
            )),
            Some((place, bytes)) => {
                (done.checkpoint, done.bytes) = (place.height, bytes);
                let load = move || checkpoint::load(storage, directory, place.height, &place.ledger);
                Base::Loading(place.height, scope.spawn(load))
            }
        };
        progress(done);
        let from = place.map(|(place, _)| Checkpoint { height: place.height.0, hash: place.hash.0 });
        let opened = locked.open(from, &mut |record| {
            let stored = record.header;
            let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
            let replayer = base.replayer().ok_or("its checkpoint can't be loaded")?;
            replayer.block(&header, record.body)?;
            done.blocks += 1;
            done.transactions += u64::from(header.count);
            done.bytes += record.body.len() as u64;
            progress(done);
            Ok(())
        });
        // What is wrong with the checkpoint comes first: the rest may only be its consequence.
        base.replayer();
        match (base, opened) {
            (Base::Loaded(replayer), Ok((log, recovered))) => Ok((log, Digest(recovered.hash), *replayer, done)),
            (Base::Failed(failed), _) => Err(failed),
            (_, Err(error)) => Err(Failed::Log(error)),
            (Base::Loading(height, _), _) => {
                Err(Failed::Checkpoint(height, CheckpointFault::Randomness(std::io::Error::other("lost"))))
            }
        }
    })
}

pub(crate) fn replayer_of(Loaded { place, state, .. }: Loaded) -> Replayer {
    let Place { height, time, transactions, roots, .. } = place;
    Replayer::on(state, Tip { height, time, transactions }, Roots::at(height, roots))
}

fn no_randomness(source: std::io::Error) -> OpenError {
    OpenError::System { what: "randomness", source }
}

fn unusable(directory: &Path, fault: CheckpointFault) -> OpenError {
    match fault {
        CheckpointFault::Randomness(source) => no_randomness(source),
        other => OpenError::Checkpoint(format!("{}: {other}", directory.display())),
    }
}

fn complain(directory: &Path, error: log::OpenError) -> OpenError {
    match error {
        log::OpenError::Visit { source, height } => match source.downcast::<ReplayError>() {
            Ok(error) => {
                let ReplayError { height, what, expected, found } = *error;
                OpenError::Replay { directory: directory.to_path_buf(), height, what, expected, found }
            }
            Err(other) => OpenError::Log(format!("{}: block {height}: {other}", directory.display())),
        },
        log::OpenError::Checkpoint { .. } => OpenError::Checkpoint(format!("{}: {error}", directory.display())),
        other => OpenError::Log(format!("{}: {other}", directory.display())),
    }
}

/// The state after the last durable block of a log that nobody writes any more: from the newest checkpoint, then by its blocks.
pub(crate) fn replay_durable<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    reader: &LogReader,
) -> Result<Replayer, ReadError> {
    let failed = |height, reason: String| ReadError { height, reason };
    let found = checkpoint::load_newest(storage, directory, &ledger.id().0);
    let loaded = found.map_err(|fault| failed(Height(0), fault.to_string()))?.loaded;
    let mut replayer = match loaded {
        Some(loaded) => replayer_of(loaded),
        None => Replayer::new().map_err(|error| failed(Height(0), error.to_string()))?,
    };
    for block in Blocks::new(reader.clone(), replayer.tip.height.next()) {
        let block = block?;
        let replayed = replayer.block(block.header(), block.body());
        replayed.map_err(|error| failed(block.header().height, error.to_string()))?;
    }
    Ok(replayer)
}
