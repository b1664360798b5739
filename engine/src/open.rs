//! From a directory to where a ledger stands: lock, newest checkpoint that is whole, the log above it.

use crate::boundary::Tip;
use crate::checkpoint::{self, CheckpointFault, Loaded, Place};
use crate::error::{OpenError, ReadError};
use crate::ledger::{Ledger, Rules};
use crate::log::{self, CheckedLog, Checkpoint, LockedLog, LogConfig, LogReader, SegmentLog, Storage};
use crate::query::Blocks;
use crate::replay::{BLOCKS_AHEAD, Ready, Recorded, ReplayError, Replayer, Spare};
use crate::roots::Roots;
use crate::types::{Digest, Height};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::path::Path;

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
                let log = SegmentLog::create(storage.clone(), directory, id, &ledger.genesis(), config);
                return Ok(Opened {
                    log: log.map_err(complain)?,
                    hash: Digest(id),
                    replayer: Replayer::new(ledger.rules()).map_err(no_system)?,
                    progress: OpenProgress::default(),
                    log_bytes: 0,
                    kept: Vec::new(),
                    damaged,
                });
            }
            Err(log::OpenError::OtherLedger { .. }) => return Err(another(storage, directory, ledger)),
            Err(error) => return Err(complain(error)),
        };
        let newest = checkpoint::newest(locked.storage(), directory, &id, &mut damaged);
        let (place, kept) = newest.map_err(|fault| unusable(directory, fault))?;
        match open_above(storage, locked, directory, (ledger.rules(), place), progress) {
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

/// Says which ledger is in a directory instead of the one that was asked for.
fn another<S: Storage>(storage: &S, directory: &Path, ledger: &Ledger) -> OpenError {
    let genesis = log::genesis(storage, directory).ok();
    let found = genesis.and_then(|genesis| Ledger::from_genesis(&genesis).ok());
    let say = |ledger: &Ledger| {
        let limit = Some(ledger.accounts_max()).filter(|&max| max != u32::MAX);
        let limit = limit.map(|max| format!(" and at most {max} accounts")).unwrap_or_default();
        format!("{:?} with a root every {} blocks{limit} ({})", ledger.name(), ledger.root_interval(), ledger.id())
    };
    let found = found.map_or_else(|| "one of unknown genesis".to_owned(), |found| say(&found));
    OpenError::Log(format!("{}: LEDGER: expected the ledger {}, found {found}", directory.display(), say(ledger)))
}

/// Why a log couldn't be opened above a checkpoint.
enum Failed {
    Checkpoint(Height, CheckpointFault),
    Log(log::OpenError),
}

/// Opens the log above a checkpoint, or all of it. One thread reads the log and checks it, one takes blocks apart and finds their accounts, this
/// one loads the checkpoint and executes, and the replay's own makes the roots. Nothing is changed on the disk before all blocks were executed.
fn open_above<S: Storage>(
    storage: &S,
    locked: LockedLog<S>,
    directory: &Path,
    (rules, place): (Rules, Option<(Place, u64)>),
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<(SegmentLog<S>, Digest, Replayer, OpenProgress), Failed> {
    let mut done = OpenProgress::default();
    (done.checkpoint, done.bytes) = place.map_or_else(Default::default, |(place, bytes)| (place.height, bytes));
    progress(done);
    let (blocks_in, blocks_out) = bounded(BLOCKS_AHEAD);
    let (ready_in, ready_out) = bounded(BLOCKS_AHEAD);
    let (spare_in, spare_out) = bounded(2 * BLOCKS_AHEAD);
    let (executed, checked) = std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(locked, place.map(|(place, _)| place), &blocks_in, &spare_out));
        let replayer = replayer_above(storage, directory, rules, place.map(|(place, _)| place));
        let executed = match replayer {
            Ok(replayer) => {
                let finder = replayer.finder();
                scope.spawn(move || finder.run(&blocks_out, &ready_in));
                execute(replayer, ready_out, &spare_in, &mut done, progress)
            }
            Err(failed) => {
                // Whoever reads learns from this that nobody wants more.
                drop(blocks_out);
                Err(failed)
            }
        };
        (executed, reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // What is wrong with the checkpoint or with a block comes first: the rest may only be its consequence.
    let replayer = executed?;
    let (log, recovered) = checked.and_then(CheckedLog::open).map_err(Failed::Log)?;
    Ok((log, Digest(recovered.hash), replayer, done))
}

/// Reads the log and passes its blocks on.
fn read<S: Storage>(
    locked: LockedLog<S>,
    place: Option<Place>,
    blocks: &Sender<(Recorded, Spare)>,
    spare: &Receiver<Spare>,
) -> Result<CheckedLog<S>, log::OpenError> {
    let from = place.map(|place| Checkpoint { height: place.height.0, hash: place.hash.0 });
    locked.read(from, &mut |record| {
        // Whoever executes tells why they want no more.
        let sent = blocks.send(Recorded::copy(&record, spare.try_recv().unwrap_or_default()));
        Ok(sent.map_err(|_| "the blocks before can't be executed")?)
    })
}

/// The state to begin with.
fn replayer_above<S: Storage>(
    storage: &S,
    directory: &Path,
    rules: Rules,
    place: Option<Place>,
) -> Result<Replayer, Failed> {
    let height = place.map(|place| place.height).unwrap_or_default();
    let replayer = match place {
        None => Replayer::new(rules).map_err(CheckpointFault::System),
        Some(place) => {
            let loaded = checkpoint::load(storage, directory, height, &place.ledger);
            loaded.and_then(|loaded| replayer_of(loaded, rules))
        }
    };
    replayer.map_err(|fault| Failed::Checkpoint(height, fault))
}

#[expect(clippy::needless_pass_by_value, reason = "when it goes, the threads before know that nobody wants more")]
fn execute(
    mut replayer: Replayer,
    blocks: Receiver<Result<Ready, ReplayError>>,
    spare: &Sender<Spare>,
    done: &mut OpenProgress,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Replayer, Failed> {
    for ready in &blocks {
        let executed = ready.and_then(|ready| replayer.execute(&ready).map(|()| ready));
        let ready = executed.map_err(|error| {
            let height = error.height.0;
            Failed::Log(log::OpenError::Visit { source: error.into(), height })
        })?;
        done.blocks = done.blocks.saturating_add(1);
        done.transactions = done.transactions.saturating_add(ready.header().count.into());
        done.bytes = done.bytes.saturating_add(ready.body_bytes());
        progress(*done);
        // A buffer more or less is no loss.
        let _ = spare.try_send(ready.into_spare());
    }
    Ok(replayer)
}

/// Goes on from a checkpoint.
pub(crate) fn replayer_of(loaded: Loaded, rules: Rules) -> Result<Replayer, CheckpointFault> {
    let Loaded { place: Place { height, time, transactions, roots, .. }, state, .. } = loaded;
    let tip = Tip { height, time, transactions };
    Replayer::on(state, tip, Roots::at(rules.roots, height, roots), rules).map_err(CheckpointFault::System)
}

fn no_system(source: std::io::Error) -> OpenError {
    OpenError::System { what: "randomness or a thread", source }
}

fn unusable(directory: &Path, fault: CheckpointFault) -> OpenError {
    match fault {
        CheckpointFault::System(source) => no_system(source),
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
        Some(loaded) => replayer_of(loaded, ledger.rules()).map_err(|fault| failed(Height(0), fault.to_string()))?,
        None => Replayer::new(ledger.rules()).map_err(|error| failed(Height(0), error.to_string()))?,
    };
    for block in Blocks::new(reader.clone(), replayer.tip.height.next()) {
        let block = block?;
        let header = *block.header();
        let recorded = Recorded { header, hash: block.hash(), body: block.body().to_vec() };
        replayer.block(recorded).map_err(|error| failed(header.height, error.to_string()))?;
    }
    Ok(replayer)
}
