//! The engine: opens a ledger, owns its threads, holds no logic of its own.

use crate::boundary::Request;
use crate::checkpoint::{Command, Keeper};
use crate::commit::{Committer, Due};
use crate::completion::{Budget, Room};
use crate::config::{EngineConfig, Retention};
use crate::error::{CheckpointError, OpenError, ProveError, ReadError, Stop, StopError, SubmitError};
use crate::follow::{Follow, FollowIndex, Hints};
use crate::intake::{Batch, Intake, Submitter, Ticket, Tickets};
use crate::keys::KeyPair;
use crate::ledger::Ledger;
#[cfg(feature = "sim")]
use crate::log::SimDisk;
use crate::log::{LogConfig, LogReader, OsStorage, Storage};
use crate::open::{self, OpenProgress, Opened};
use crate::pipeline::{self, Common, Start};
use crate::proof::{BalanceProof, SignedHeader, TransactionProof};
use crate::query::{Blocks, Snapshot, StoredBlock};
use crate::receipts::ReceiptIndex;
use crate::replay::Replayer;
use crate::roots::RootBoard;
use crate::stats::{EngineStats, Stats, Verifying};
use crate::transaction::Transaction;
use crate::types::{Address, BlockHeader, Height, MarketId, Receipt, TransactionId};
use crate::verify::SignatureCheck;
use crossbeam::channel::{Sender, bounded, unbounded};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

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
pub struct Engine {
    directory: PathBuf,
    ledger: Ledger,
    intake: Arc<Intake>,
    submitter: Submitter,
    states: Sender<Request>,
    /// Where checkpoints are asked for; nothing once it is being closed.
    commands: Mutex<Option<Sender<Command>>>,
    closing: Arc<AtomicBool>,
    reader: LogReader,
    common: Arc<Common>,
    verifying: Verifying,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The durable state of a stopped engine, made when it is first asked for.
    last: Mutex<Option<Snapshot>>,
    recovered: OpenProgress,
    warnings: Vec<String>,
    roots: Arc<RootBoard>,
    /// Looks a receipt up by its id. Which disk it looks on is nobody's business here.
    receipts: Box<ReceiptById>,
    /// Says which blocks concern somebody. Which disk that stands on is nobody's business here.
    follow: Arc<dyn Hints>,
    /// Makes the last durable state of an engine that has stopped.
    rebuild: Box<Rebuild>,
    header_key: Option<KeyPair>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stopped = self.common.stop.cause();
        write!(f, "Engine({}, {}, stopped: {stopped:?})", self.directory.display(), self.durable_height())
    }
}

type ReceiptById = dyn Fn(&TransactionId) -> Result<Option<Receipt>, ReadError> + Send + Sync;
type Rebuild = dyn Fn() -> Result<Replayer, ReadError> + Send + Sync;

impl Engine {
    /// Opens the ledger in a directory, or creates one where there is none. One engine at a time has a ledger open.
    ///
    /// Of an existing one the newest checkpoint is loaded; every block above it is read, its chain checked, and executed again. What
    /// was torn off by a crash and never acknowledged is cut, damage below that is an error. A damaged checkpoint is replaced by the
    /// one before, or by all blocks, and told by [`warnings`](Self::warnings).
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
        let ledger = Ledger::with_rules(&config.ledger, config.rules())?;
        let system = |what| move |source| OpenError::System { what, source };
        let log_config = LogConfig {
            segment_bytes: config.segment_bytes,
            reserve_bytes: config.log_reserve_bytes,
            group_bytes_max: config.group_bytes_max,
        };
        if let Retention::Archive(archive) = &config.retention {
            storage.create_dir(archive).map_err(system("archive"))?;
        }
        let Opened { log, hash, replayer, progress: recovered, log_bytes, kept, damaged } =
            open::open(&storage, &directory, &ledger, log_config, progress)?;
        let reader = log.reader();
        // The ledger may have smaller segments than the configuration that its blocks were limited for.
        config.block_bytes_max = config.block_bytes_max.min(log.body_bytes_max() as usize / 4);

        let stop = Arc::new(Stop::default());
        let stats = Arc::new(Stats::default());
        let room = Room { transactions: config.intake_transactions_max, bytes: config.intake_bytes_max };
        let budget = Arc::new(Budget::new(room));
        let common = Arc::new(Common { stop: stop.clone(), budget: budget.clone(), stats: stats.clone() });
        let (queue, intake_out) = unbounded::<Batch>();
        let (states, states_out) = unbounded();
        // One that is due while another is being written waits; a third needn't.
        let (commands, commands_out) = bounded(1);
        let closing = Arc::new(AtomicBool::new(false));
        let intake =
            Arc::new(Intake { queue: RwLock::new(Some(queue)), budget, stop: stop.clone(), stats: stats.clone() });
        let Replayer { state, tip, scratch, roots: before, .. } = replayer;
        let roots = before.board().clone();
        let storage = Arc::new(storage);
        let receipts = Arc::new(ReceiptIndex::new(storage.clone(), directory.clone(), ledger.clone(), reader.clone()));
        let follow = Arc::new(FollowIndex::new(storage.clone(), directory.clone(), ledger.id().0, reader.clone()));
        let rebuild = {
            let (storage, directory, ledger, reader) =
                (storage.clone(), directory.clone(), ledger.clone(), reader.clone());
            move || open::replay_durable(&*storage, &directory, &ledger, &reader)
        };
        let keeper = Keeper {
            storage,
            directory: directory.clone(),
            ledger: ledger.id().0,
            reader: reader.clone(),
            retirer: log.retirer(),
            retention: config.retention.clone(),
            states: states.clone(),
            kept,
            damaged: damaged.iter().map(|&(height, _)| height).collect(),
            closing: closing.clone(),
            roots: roots.clone(),
            stop: stop.clone(),
            stats: stats.clone(),
        };
        let due = Due { keeper: commands.clone(), log_bytes, log_bytes_max: config.checkpoint_log_bytes };
        // As many as blocks are on their way; a few more do no harm.
        let (spare, spare_out) = bounded(8);
        let committer = Committer {
            spare,
            log,
            tip: hash,
            group_bytes_max: config.group_bytes_max,
            stats,
            stop,
            due,
            roots: roots.clone(),
        };
        let check = SignatureCheck::new(ledger.clone(), config.trust_signatures, config.key_cache_bytes);
        let verifying = Verifying { threads: config.verify_threads(), path: check.path() };
        let start = Start {
            check,
            state,
            tip,
            scratch,
            before,
            roots: roots.clone(),
            committer,
            intake: intake_out,
            snapshots: states_out,
            receipts: receipts.clone(),
            follow: follow.clone(),
            keeper,
            commands: commands_out,
            spare: spare_out,
        };
        let threads = pipeline::start(start, &config, &common).map_err(system("threads"))?;
        Ok(Self {
            directory,
            ledger,
            submitter: Submitter::new(intake.clone()),
            intake,
            states,
            commands: Mutex::new(Some(commands)),
            closing,
            reader,
            common,
            verifying,
            threads: Mutex::new(threads),
            last: Mutex::new(None),
            recovered,
            roots,
            receipts: Box::new(move |id| receipts.receipt(id)),
            follow,
            rebuild: Box::new(rebuild),
            header_key: config.header_key,
            warnings: damaged.into_iter().map(|(_, reason)| reason).collect(),
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

    /// What opening has found wrong and could do without: damaged checkpoints, each with file, place, expectation and finding.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
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
        let executing = self.states.send(Request::Snapshot(request)).ok().and_then(|()| answer.recv().ok());
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
        let mut replayer = (self.rebuild)()?;
        let executing = replayer.tip.with(replayer.state.share());
        Ok(last.insert(Snapshot::new(executing, self.ledger.clone())).clone())
    }

    /// Durable blocks in order from this height, straight from the log, as long as the iterator lives.
    #[must_use]
    pub fn blocks_from(&self, height: Height) -> Blocks {
        Blocks::new(self.reader.clone(), height)
    }

    /// What concerns an account, from a height on, block by block as they become durable: the transactions it has signed or that name it, its
    /// trades, and what else happened to it, such as money out of a hold whose time had come. Only blocks that may concern it are
    /// read. A follower has no queue, so that a slow one slows nobody; see [`Follow`].
    #[must_use]
    pub fn follow(&self, account: &Address, from: Height) -> Follow {
        Follow::account(*account, self.follow.clone(), self.reader.clone(), from)
    }

    /// The trades of a market, from a height on, in the same way.
    #[must_use]
    pub fn follow_market(&self, market: MarketId, from: Height) -> Follow {
        Follow::market(market, self.follow.clone(), self.reader.clone(), from)
    }

    /// What became of a transaction, by its id, with the height and the position of its first use; `None` if that isn't in the blocks that
    /// are still here. So whoever doesn't know whether a transaction arrived may submit it again blindly: rejected as
    /// [`Duplicate`](crate::RejectionCode::Duplicate), it is found here with what became of it the first time. (Unless another
    /// transaction used its sequence first: then its own rejection is found.) A rejection that left its sequence fresh is found only as long
    /// as there is nothing else. Where blocks were retired, nothing is said of a transaction whose first use may have been in one of them:
    /// one that was rejected for its sequence, its time or its keys, or since its account is closed.
    ///
    /// Costs some page reads per segment of the log and a step over the transactions in front of it; the first call after opening may have to
    /// index the newest segment.
    ///
    /// # Errors
    /// [`ReadError`] if the log can't be read.
    pub fn receipt(&self, transaction: &TransactionId) -> Result<Option<Receipt>, ReadError> {
        (self.receipts)(transaction)
    }

    /// The header of a durable block; `None` if it isn't durable yet or was retired.
    ///
    /// # Errors
    /// [`ReadError`] if the log can't be read.
    pub fn header(&self, height: Height) -> Result<Option<BlockHeader>, ReadError> {
        Ok(self.block(height)?.map(|block| *block.header()))
    }

    /// The same signed with [`header_key`](EngineConfig::header_key); `None` too if there is no key. An Ed25519 signature is a function of the key and
    /// the header, so none is kept.
    ///
    /// # Errors
    /// [`ReadError`] if the log can't be read.
    pub fn signed_header(&self, height: Height) -> Result<Option<SignedHeader>, ReadError> {
        let Some(key) = &self.header_key else { return Ok(None) };
        Ok(self.header(height)?.map(|header| SignedHeader::new(header, key)))
    }

    fn block(&self, height: Height) -> Result<Option<StoredBlock>, ReadError> {
        let failed = |error: crate::log::ReadError| ReadError { height, reason: error.to_string() };
        Ok(self.reader.read(height.0).map_err(failed)?.map(StoredBlock::new))
    }

    /// Proves that a transaction was settled and how, with the height of the block whose header the proof is for. Costs a hash of the
    /// whole block; for many of one block see [`StoredBlock::prover`].
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_transaction(&self, transaction: &TransactionId) -> Result<(Height, TransactionProof), ProveError> {
        let missing = ProveError::NoTransaction(*transaction);
        let receipt = self.receipt(transaction)?.ok_or(missing.clone())?;
        let block = self.block(receipt.height)?.ok_or(missing.clone())?;
        let proof = block.prover(&self.ledger)?.prove(receipt.position).ok_or(missing)?;
        Ok((receipt.height, proof))
    }

    /// Proves what an account held in the state of the newest root that a durable header carries, with the height of such a header.
    /// Costs microseconds. Needs [`balance_proofs`](EngineConfig::balance_proofs).
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn prove_balance(&self, account: &Address) -> Result<(Height, BalanceProof), ProveError> {
        let (header, rooted) = self.roots.rooted(self.durable_height()).ok_or(ProveError::NoRoot)?;
        let missing = ProveError::NoAccount { account: *account, height: rooted.height };
        Ok((header, rooted.prove(account).ok_or(missing)?))
    }

    /// The last durable block; 0 if there is none.
    #[must_use]
    pub fn durable_height(&self) -> Height {
        Height(self.reader.watermark())
    }

    /// Writes a checkpoint of the state as it is now, beside the work, and waits until it is durable. Gives its height; 0 if there is
    /// no block yet. The next opening begins there. Checkpoints are also written by themselves, see
    /// [`checkpoint_log_bytes`](EngineConfig::checkpoint_log_bytes).
    ///
    /// # Errors
    /// [`CheckpointError`]; the engine goes on.
    pub fn checkpoint(&self) -> Result<Height, CheckpointError> {
        let (request, answer) = bounded(1);
        let commands = self.commands.lock().clone();
        let asked = commands.is_some_and(|commands| commands.send(Command::Asked(request)).is_ok());
        let done = if asked { answer.recv().ok() } else { None };
        done.unwrap_or_else(|| Err(CheckpointError::Stopped(self.common.stop.cause_or_closed())))
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
        drop(self.commands.lock().take());
        self.closing.store(true, Ordering::Relaxed);
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
