//! From a directory to where a ledger stands: lock, newest checkpoint that is whole, the log above it.

use crate::checkpoint::{self, CheckpointFault, Loaded, Place};
use crate::engine::OpenProgress;
use crate::error::{OpenError, ReadError};
use crate::ledger::Ledger;
use crate::log::{self, Checkpoint, LogConfig, LogReader, OsStorage, SegmentLog};
use crate::pipeline::Tip;
use crate::query::Blocks;
use crate::replay::{ReplayError, Replayer};
use crate::roots::Roots;
use crate::types::{BlockHeader, Digest, Height};
use std::path::Path;

/// A ledger as it stands, with everything that opening it has found.
pub(crate) struct Opened {
    pub log: SegmentLog<OsStorage>,
    /// Hash of the last block.
    pub hash: Digest,
    pub replayer: Replayer,
    pub progress: OpenProgress,
    /// Heights of checkpoints that are there, ascending.
    pub kept: Vec<Height>,
    pub damaged: Vec<(Height, String)>,
}

/// Opens the ledger in a directory, or creates one where there is none.
pub(crate) fn open(
    directory: &Path,
    ledger: &Ledger,
    config: LogConfig,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Opened, OpenError> {
    let id = ledger.id().0;
    let complain = |error| complain(directory, error);
    let locked = match SegmentLog::lock(OsStorage, directory, Some(id), config) {
        Ok(locked) => locked,
        Err(log::OpenError::NoLedger { .. }) => {
            let log = SegmentLog::create(OsStorage, directory, id, ledger.name().as_bytes(), config);
            return Ok(Opened {
                log: log.map_err(complain)?,
                hash: Digest(id),
                replayer: Replayer::new().map_err(no_randomness)?,
                progress: OpenProgress::default(),
                kept: Vec::new(),
                damaged: Vec::new(),
            });
        }
        Err(error) => return Err(complain(error)),
    };
    let found =
        checkpoint::load_newest(locked.storage(), directory, &id).map_err(|fault| unusable(directory, fault))?;
    let mut kept = found.others;
    let mut done = OpenProgress::default();
    let (mut replayer, from) = match found.loaded {
        Some(loaded) => {
            kept.push(loaded.place.height);
            done.checkpoint = loaded.place.height;
            done.bytes = loaded.bytes;
            let from = Checkpoint { height: loaded.place.height.0, hash: loaded.place.hash.0 };
            (replayer_of(loaded), Some(from))
        }
        None => (Replayer::new().map_err(no_randomness)?, None),
    };
    progress(done);
    let opened = locked.open(from, &mut |record| {
        let stored = record.header;
        let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
        replayer.block(&header, record.body)?;
        done.blocks += 1;
        done.transactions += u64::from(header.count);
        done.bytes += record.body.len() as u64;
        progress(done);
        Ok(())
    });
    let (log, recovered) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let mut told = complain(error);
            if let OpenError::Log(text) = &mut told {
                // Without its checkpoints a log may well lack its beginning.
                found.damaged.iter().for_each(|(_, reason)| *text = format!("{text}; and {reason}"));
            }
            return Err(told);
        }
    };
    Ok(Opened { log, hash: Digest(recovered.hash), replayer, progress: done, kept, damaged: found.damaged })
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
pub(crate) fn replay_durable(directory: &Path, ledger: &Ledger, reader: &LogReader) -> Result<Replayer, ReadError> {
    let failed = |height, reason: String| ReadError { height, reason };
    let found = checkpoint::load_newest(&OsStorage, directory, &ledger.id().0);
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
