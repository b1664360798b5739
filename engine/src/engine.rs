//! The engine: opens a ledger, owns its threads, holds no logic of its own.

use crate::commit::Committer;
use crate::completion::{Budget, Room};
use crate::config::EngineConfig;
use crate::error::{OpenError, ReadError, Stop, StopError, SubmitError};
use crate::intake::{Batch, Intake, Submitter, Ticket, Tickets};
use crate::ledger::Ledger;
#[cfg(feature = "sim")]
use crate::log::SimDisk;
use crate::log::{self, LogConfig, LogReader, OsStorage, SegmentLog, Storage};
use crate::pipeline::{self, Common, Executing, SnapshotRequest, Start};
use crate::query::{Blocks, Snapshot};
use crate::replay::{ReplayError, Replayer};
use crate::stats::{EngineStats, Stats, Verifying};
use crate::transaction::Transaction;
use crate::types::{BlockHeader, Digest, Height};
use crate::verify::SignatureCheck;
use crossbeam::channel::{Sender, bounded, unbounded};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How far opening a ledger has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenProgress {
    /// Blocks executed again.
    pub blocks: u64,
    /// Transactions executed again.
    pub transactions: u64,
    /// Bytes of blocks read.
    pub bytes: u64,
}

/// A settlement engine on one ledger directory. Share it by reference or in an [`Arc`]; dropping it closes it.
///
/// ```
/// # let directory = std::env::temp_dir().join(format!("nostro-doc-{}", std::process::id()));
/// use nostro::{Amount, AssetId, Engine, EngineConfig, KeyPair, Transaction};
///
/// let engine = Engine::open(&directory, EngineConfig::default())?;
/// let (bank, ann) = (KeyPair::generate()?, KeyPair::generate()?);
/// let order = Transaction::builder(bank.address())
///     .register_asset("EUR".parse()?, 2, Amount::MAX)
///     .transfer(ann.address(), AssetId(0), Amount(100_00))
///     .build()?
///     .sign(engine.ledger(), &[&bank])?;
/// let receipt = engine.submit(&order)?.wait()?;
/// assert!(receipt.outcome.is_applied());
/// assert_eq!(engine.snapshot()?.balance(&ann.address(), AssetId(0)), Amount(100_00));
/// engine.close()?;
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    directory: PathBuf,
    ledger: Ledger,
    intake: Arc<Intake>,
    submitter: Submitter,
    snapshots: Sender<SnapshotRequest>,
    reader: LogReader,
    common: Arc<Common>,
    verifying: Verifying,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The durable state of a stopped engine, made when it is first asked for.
    last: Mutex<Option<Snapshot>>,
    recovered: OpenProgress,
}

impl Engine {
    /// Opens the ledger in a directory, or creates one where there is none. One engine at a time has a ledger open.
    ///
    /// Every block of an existing one is read, its chain checked, and executed again; what was torn off by a crash and never
    /// acknowledged is cut, damage below that is an error.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(directory: impl AsRef<Path>, config: EngineConfig) -> Result<Self, OpenError> {
        Self::open_with(directory, config, |_| ())
    }

    /// The same, telling how far it has come after every block.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(
        directory: impl AsRef<Path>,
        config: EngineConfig,
        mut progress: impl FnMut(OpenProgress),
    ) -> Result<Self, OpenError> {
        Self::open_on(OsStorage, directory.as_ref(), config, &mut progress)
    }

    /// Opens a ledger on a disk that lies, for tests of crashes.
    ///
    /// # Errors
    /// [`OpenError`].
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn open_simulated(disk: &SimDisk, directory: &Path, config: &EngineConfig) -> Result<Self, OpenError> {
        Self::open_on(disk.clone(), directory, config.clone(), &mut |_| ())
    }

    fn open_on<S: Storage + Clone>(
        storage: S,
        directory: &Path,
        mut config: EngineConfig,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<Self, OpenError> {
        let directory = directory.to_path_buf();
        config.check()?;
        let ledger = Ledger::new(&config.ledger)?;
        let system = |what| move |source| OpenError::System { what, source };
        let mut replayer = Replayer::new().map_err(system("randomness"))?;
        let log_config = LogConfig {
            segment_bytes: config.segment_bytes,
            reserve_bytes: config.log_reserve_bytes,
            group_bytes_max: config.group_bytes_max,
        };
        let (log, tip, recovered) = open_log(storage, &directory, &ledger, log_config, &mut replayer, progress)?;
        let reader = log.reader();
        // The ledger may have smaller segments than the configuration that its blocks were limited for.
        config.block_bytes_max = config.block_bytes_max.min(log.body_bytes_max() as usize);

        let stop = Arc::new(Stop::default());
        let stats = Arc::new(Stats::default());
        let room = Room { transactions: config.intake_transactions_max, bytes: config.intake_bytes_max };
        let budget = Arc::new(Budget::new(room));
        let common = Arc::new(Common { stop: stop.clone(), budget: budget.clone(), stats: stats.clone() });
        let (queue, intake_out) = unbounded::<Batch>();
        let (snapshots, snapshots_out) = unbounded();
        let intake =
            Arc::new(Intake { queue: RwLock::new(Some(queue)), budget, stop: stop.clone(), stats: stats.clone() });
        let check = SignatureCheck::new(ledger.clone(), config.trust_signatures, config.key_cache_bytes);
        let verifying = Verifying { threads: config.verify_threads(), path: check.path() };
        let start = Start {
            check,
            state: replayer.state,
            tip: replayer.tip,
            committer: Committer { log, tip, group_bytes_max: config.group_bytes_max, stats, stop },
            intake: intake_out,
            snapshots: snapshots_out,
        };
        let threads = pipeline::start(start, &config, &common).map_err(system("threads"))?;
        Ok(Self {
            directory,
            ledger,
            submitter: Submitter::new(intake.clone()),
            intake,
            snapshots,
            reader,
            common,
            verifying,
            threads: Mutex::new(threads),
            last: Mutex::new(None),
            recovered,
        })
    }

    /// The ledger: what transactions are signed for.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The directory it was opened in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What opening has read.
    #[must_use]
    pub const fn recovered(&self) -> OpenProgress {
        self.recovered
    }

    /// Submits one transaction. Never waits. All that is submitted here counts as one source of traffic; a host that serves many gives
    /// each a [submitter](Self::submitter) of its own.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was admitted then.
    pub fn submit(&self, transaction: &Transaction) -> Result<Ticket, SubmitError> {
        self.submitter.submit(transaction)
    }

    /// Submits many at once, in order: one completion for all. Never waits.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was admitted then.
    pub fn submit_batch(&self, transactions: &[Transaction]) -> Result<Tickets, SubmitError> {
        self.submitter.submit_batch(transactions)
    }

    /// A submitter of its own, for one source of traffic. It can wait for room, ask for a block time, and take encoded
    /// transactions.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        Submitter::new(self.intake.clone())
    }

    /// The state after the last executed block, as soon as that is durable. It holds everything there was a receipt for.
    ///
    /// A stopped engine answers with its last durable state, which it makes from the log when it is first asked.
    ///
    /// # Errors
    /// [`ReadError`] if the engine has stopped and its log can't be read.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let (request, answer) = bounded(1);
        let executing = self.snapshots.send(request).ok().and_then(|()| answer.recv().ok());
        if let Some(executing) = executing {
            while self.reader.watermark() < executing.height.0 && !self.has_ended() {
                self.reader.wait_beyond(executing.height.0.saturating_sub(1), Duration::from_millis(50));
            }
            if self.reader.watermark() >= executing.height.0 {
                return Ok(Snapshot::new(executing, self.ledger.clone()));
            }
        }
        self.last_durable()
    }

    fn has_ended(&self) -> bool {
        self.common.stop.cause().is_some() || self.reader.is_closed()
    }

    /// The durable state of a stopped engine, from its log.
    fn last_durable(&self) -> Result<Snapshot, ReadError> {
        let mut last = self.last.lock();
        // Blocks that were on their way when another thread failed may have become durable since.
        if let Some(snapshot) = last.as_ref().filter(|last| last.height() >= self.durable_height()) {
            return Ok(snapshot.clone());
        }
        let failed = |height, reason: String| ReadError { height, reason };
        let mut replayer = Replayer::new().map_err(|error| failed(Height(0), error.to_string()))?;
        for block in self.blocks_from(Height(1)) {
            let block = block?;
            let replayed = replayer.block(block.header(), block.body());
            replayed.map_err(|error| failed(block.header().height, error.to_string()))?;
        }
        let tip = replayer.tip;
        let state = replayer.state.share();
        let executing = Executing { height: tip.height, time: tip.time, transactions: tip.transactions, state };
        Ok(last.insert(Snapshot::new(executing, self.ledger.clone())).clone())
    }

    /// Durable blocks in order from this height, straight from the log, as long as the iterator lives.
    #[must_use]
    pub fn blocks_from(&self, height: Height) -> Blocks {
        Blocks::new(self.reader.clone(), height)
    }

    /// The last durable block; 0 if there is none.
    #[must_use]
    pub fn durable_height(&self) -> Height {
        Height(self.reader.watermark())
    }

    /// Why the engine stopped, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<StopError> {
        self.common.stop.cause().cloned()
    }

    /// What its stages have done so far.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        self.common.stats.read(self.verifying, self.common.budget.used().transactions)
    }

    /// Takes nothing more, makes everything durable that was admitted, and lets the directory go.
    ///
    /// # Errors
    /// The [`StopError`] that stopped it before.
    pub fn close(self) -> Result<(), StopError> {
        self.shut();
        match self.common.stop.cause() {
            None | Some(StopError::Closed) => Ok(()),
            Some(cause) => Err(cause.clone()),
        }
    }

    fn shut(&self) {
        drop(self.intake.queue.write().take());
        for thread in self.threads.lock().drain(..) {
            // Its panic, if any, stands in `stop`.
            let _ = thread.join();
        }
        self.common.stop.set(StopError::Closed);
        self.common.budget.wake_all();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Creates the log or recovers the state from it; gives the hash of its last block too.
fn open_log<S: Storage + Clone>(
    storage: S,
    directory: &Path,
    ledger: &Ledger,
    config: LogConfig,
    replayer: &mut Replayer,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<(SegmentLog<S>, Digest, OpenProgress), OpenError> {
    let complain = |error: log::OpenError| match error {
        log::OpenError::Visit { source, height } => match source.downcast::<ReplayError>() {
            Ok(error) => {
                let ReplayError { height, what, expected, found } = *error;
                OpenError::Replay { directory: directory.to_path_buf(), height, what, expected, found }
            }
            Err(other) => OpenError::Log(format!("{}: block {height}: {other}", directory.display())),
        },
        other => OpenError::Log(format!("{}: {other}", directory.display())),
    };
    let id = ledger.id().0;
    let mut done = OpenProgress::default();
    let opened = SegmentLog::open(storage.clone(), directory, Some(id), config, &mut |record| {
        let stored = record.header;
        let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
        let header = header.ok_or("reserved bytes of the header: expected zeros, found others")?;
        replayer.block(&header, record.body)?;
        done.blocks += 1;
        done.transactions += u64::from(header.count);
        done.bytes += record.body.len() as u64;
        progress(done);
        Ok(())
    });
    match opened {
        Ok((log, recovered)) => Ok((log, Digest(recovered.hash), done)),
        Err(log::OpenError::NoLedger { .. }) => {
            let log = SegmentLog::create(storage, directory, id, ledger.name().as_bytes(), config).map_err(complain)?;
            Ok((log, Digest(id), done))
        }
        Err(error) => Err(complain(error)),
    }
}
