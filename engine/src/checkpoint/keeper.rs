//! The thread that writes checkpoints, keeps two, and lets go of the log below the older one.

use super::format::checkpoint_name;
use super::write::{WriteError, write};
use super::{Command, Place};
use crate::boundary::{Executing, Request};
use crate::config::Retention;
use crate::error::{CheckpointError, Stop};
use crate::log::{DiskError, LogReader, Retirer, Storage};
use crate::roots::RootBoard;
use crate::state::StateRecords;
use crate::stats::{Stage, Stats};
use crate::types::{Digest, Height};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It rests so many times as long as it works, so that two cores give it an eighth of what they have.
const REST: u32 = 3;
/// A disk that stalls makes it rest no longer than this.
const REST_MAX: Duration = Duration::from_millis(50);

/// Keeps the checkpoints of a ledger.
pub(crate) struct Keeper<S: Storage> {
    pub storage: Arc<S>,
    pub directory: PathBuf,
    pub ledger: [u8; 32],
    pub reader: LogReader,
    pub retirer: Retirer<S>,
    pub retention: Retention,
    /// Where the state is to be had.
    pub states: Sender<Request>,
    /// Heights of the checkpoints there are, ascending.
    pub kept: Vec<Height>,
    /// Those that opening has found damaged: gone when there is a new one.
    pub damaged: Vec<Height>,
    pub closing: Arc<AtomicBool>,
    pub roots: Arc<RootBoard>,
    pub stop: Arc<Stop>,
    pub stats: Arc<Stats>,
}

impl<S: Storage> Keeper<S> {
    /// Writes checkpoints when told to, until nobody can tell any more.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            let done = self.checkpoint();
            self.stats.record_checkpoint(&done);
            if let Command::Asked(answer) = command {
                // Nobody may wait for it any more.
                let _ = answer.send(done);
            }
        }
    }

    fn checkpoint(&mut self) -> Result<Height, CheckpointError> {
        let (request, answer) = bounded(1);
        let boundary = self.states.send(Request::Records(request)).ok().and_then(|()| answer.recv().ok());
        let Some(boundary) = boundary.filter(|boundary| self.becomes_durable(boundary.height)) else {
            return Err(CheckpointError::Stopped(self.stop.cause_or_closed()));
        };
        let height = boundary.height;
        if height == Height(0) || self.kept.last() == Some(&height) {
            return Ok(height);
        }
        let meter = self.stats.meter();
        self.write(boundary).map_err(|error| match error {
            WriteError::Disk(error) => CheckpointError::Failed(error.to_string().into()),
            WriteError::Abandoned => CheckpointError::Stopped(self.stop.cause_or_closed()),
        })?;
        self.stats.record(Stage::Checkpoint, meter, 0);
        self.kept.push(height);
        self.clear_away().map_err(|error| CheckpointError::Kept { height, reason: error.to_string().into() })?;
        Ok(height)
    }

    /// Waits until a block is durable; `false` if it never will be.
    fn becomes_durable(&self, height: Height) -> bool {
        while self.reader.watermark() < height.0 {
            if self.stop.cause().is_some() || self.reader.is_closed() {
                return self.reader.watermark() >= height.0;
            }
            self.reader.wait_beyond(height.0.saturating_sub(1), Duration::from_millis(50));
        }
        true
    }

    fn write(&self, boundary: Executing<StateRecords>) -> Result<u64, WriteError> {
        let Executing { height, time, transactions, state } = boundary;
        let read = |reason: String| DiskError {
            action: "read the last block of the checkpoint",
            file: self.directory.clone(),
            offset: None,
            source: std::io::Error::other(reason),
        };
        let record = self.reader.read(height.0).map_err(|error| read(error.to_string()))?;
        let record = record.ok_or_else(|| read(format!("block {height} is durable and not there")))?;
        let segment = self.reader.segment_of(height.0).unwrap_or(0);
        // Without them the engine is stopping.
        let roots = self.roots.newest_two(height).ok_or(WriteError::Abandoned)?;
        let (ledger, hash) = (self.ledger, Digest(*record.hash()));
        let place = Place { ledger, height, hash, time, transactions, segment, roots };
        write(&*self.storage, &self.directory, place, state, &mut |took| {
            std::thread::sleep(took.saturating_mul(REST).min(REST_MAX));
            !self.closing.load(Ordering::Relaxed)
        })
    }

    /// Removes what the newest checkpoint has made unneeded: checkpoints, then segments.
    fn clear_away(&mut self) -> Result<(), DiskError> {
        let keep = self.kept.len().saturating_sub(2);
        let old: Vec<Height> = self.damaged.drain(..).chain(self.kept.drain(..keep)).collect();
        for height in &old {
            let path = self.directory.join(checkpoint_name(*height));
            match self.storage.unlink(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DiskError::on("unlink", &path, None)(error));
                }
                _ => {}
            }
        }
        if !old.is_empty() {
            let synced = self.storage.sync_dir(&self.directory);
            synced.map_err(DiskError::on("sync the directory", &self.directory, None))?;
        }
        let [older, _] = self.kept.as_slice() else { return Ok(()) };
        match &self.retention {
            Retention::KeepAll => {}
            Retention::Archive(archive) => drop(self.retirer.retire(older.0, Some(archive))?),
            Retention::Recycle => drop(self.retirer.retire(older.0, None)?),
        }
        Ok(())
    }
}
