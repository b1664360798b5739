//! Looking at a ledger's directory without opening it: reading every block, and checking everything that can be checked.
//!
//! Nothing is written and no lock is taken, so the end of a ledger that an engine has open may look torn.

use crate::block::Transactions;
use crate::checkpoint::{self, CheckpointFault, Loaded, Place};
use crate::ledger::Ledger;
use crate::log::{self, Checkpoint, OsStorage, RecordRef};
use crate::open;
use crate::proof::transaction_tree;
use crate::query::BlockRef;
use crate::replay::{BLOCKS_AHEAD, Finder, Ready, Recorded, ReplayError, Replayer, Spare};
use crate::transaction::TransactionRef;
use crate::types::{BlockHeader, Digest, Height, TransactionId};
use crate::verify::SignatureCheck;
use crossbeam::channel::{Receiver, Sender, bounded};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

/// The first thing that is wrong with a ledger's directory. The text names file, place, expectation and finding.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AuditError(String);

/// An error of whoever looks at blocks, which ends the reading.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSummary {
    /// Name of the ledger.
    pub name: String,
    /// Height of the checkpoint below which the log is no longer there; 0 if it begins with its first block. What comes below isn't
    /// looked at.
    pub from: Height,
    /// Height of its last block, 0 if there is none.
    pub height: Height,
    /// Hash of its last block, the ledger's id if there is none.
    pub hash: Digest,
    /// Bytes of all blocks, headers and padding included.
    pub bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Transactions, rejected ones included.
    pub transactions: u64,
    /// Whether the log was closed, or has rested since its last block.
    pub sealed: bool,
    /// The end that the next opening would cut off, as text with its place.
    pub torn: Option<String>,
}

/// What checking everything has found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// What the directory holds.
    pub summary: LedgerSummary,
    /// Rejected transactions.
    pub rejected: u64,
    /// Signatures verified again; 0 if that wasn't asked for.
    pub signatures: u64,
    /// The state digest that all blocks lead to.
    pub state: Digest,
}

/// The name of the ledger in a directory.
///
/// # Errors
/// [`AuditError`] if there is none, or it can't be read.
pub fn ledger_name(directory: &Path) -> Result<String, AuditError> {
    ledger_of(directory).map(|ledger| ledger.name().to_owned())
}

fn ledger_of(directory: &Path) -> Result<Ledger, AuditError> {
    let genesis = log::genesis(&OsStorage, directory).map_err(|error| located(directory, &error))?;
    Ledger::from_genesis(&genesis).map_err(|error| AuditError(format!("{}: LEDGER: {error}", directory.display())))
}

/// Shows every block in order, with its chain and its hashes checked.
///
/// # Errors
/// [`AuditError`], the first thing that is wrong, or what `visit` says is.
pub fn read_ledger(
    directory: &Path,
    visit: &mut dyn FnMut(&BlockRef<'_>) -> Result<(), VisitError>,
) -> Result<LedgerSummary, AuditError> {
    read_records(directory, &mut |record| {
        let stored = record.header;
        let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
        let block = BlockRef::new(header, Digest(*record.hash), record.body)?;
        Ok(visit(&block).map_err(|error| format!("{}{error}", place_of(record)))?)
    })
}

/// Where a record is, to be put in front of what is wrong with it.
fn place_of(record: &RecordRef<'_>) -> String {
    format!("{}, offset {}: ", record.file, record.offset)
}

fn read_records(
    directory: &Path,
    visit: &mut dyn FnMut(&RecordRef<'_>) -> Result<(), VisitError>,
) -> Result<LedgerSummary, AuditError> {
    let name = ledger_name(directory)?;
    let place = beginning(directory)?;
    let mut transactions = place.map_or(0, |place| place.transactions);
    let from = place.map(|place| Checkpoint { height: place.height.0, hash: place.hash.0 });
    let scanned = log::scan_from(&OsStorage, directory, from, &mut |record| {
        visit(&record)?;
        let stored = record.header;
        let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
        transactions = transactions.saturating_add(u64::from(header.count));
        Ok(())
    });
    let scanned = scanned.map_err(|error| located(directory, &error))?;
    let torn = scanned
        .torn
        .map(|torn| format!("{}: {} bytes from offset {}: {}", torn.file, torn.bytes, torn.offset, torn.found));
    Ok(LedgerSummary {
        name,
        from: place.map(|place| place.height).unwrap_or_default(),
        height: Height(scanned.height),
        hash: Digest(scanned.hash),
        bytes: scanned.bytes,
        segments: scanned.segments,
        transactions,
        sealed: scanned.sealed,
        torn,
    })
}

/// The checkpoint that a log begins with whose first segments were retired.
pub(crate) fn beginning(directory: &Path) -> Result<Option<Place>, AuditError> {
    if log::has_beginning(&OsStorage, directory).map_err(|error| located(directory, &error))? {
        return Ok(None);
    }
    let ledger = ledger_of(directory)?;
    let oldest = checkpoint::oldest(&OsStorage, directory, &ledger.id().0);
    oldest.map_err(|fault| AuditError(format!("{}: {fault}", directory.display())))
}

/// Says which directory it was, where the error has but a file's name.
fn located(directory: &Path, error: &log::OpenError) -> AuditError {
    let (directory, text) = (directory.display().to_string(), error.to_string());
    AuditError(if text.starts_with(&directory) { text } else { format!("{directory}: {text}") })
}

/// Checks every hash, the chain, every id, every checkpoint, and every outcome by executing every block again; with `signatures` every signature
/// too, on all cores. `progress` hears the height and the transactions so far.
///
/// One thread reads and hashes, a second takes blocks apart and compares ids, a third executes, a fourth makes the state roots; signatures are
/// verified by as many as there are cores, some thousands at a time whatever blocks they are in.
///
/// # Errors
/// [`AuditError`], the first thing that is wrong.
pub fn audit_ledger(
    directory: &Path,
    signatures: bool,
    progress: &mut dyn FnMut(Height, u64),
) -> Result<AuditReport, AuditError> {
    let ledger = ledger_of(directory)?;
    let wrong = |error: &dyn std::fmt::Display| AuditError(format!("{}: {error}", directory.display()));
    let checkpoints = checkpoint::find(&OsStorage, directory).map_err(|error| wrong(&error))?;
    let load = |height| checkpoint::load(&OsStorage, directory, height, &ledger.id().0);
    let replayer = match beginning(directory)? {
        None => Replayer::new(ledger.rules()).map_err(CheckpointFault::System),
        Some(place) => load(place.height).and_then(|loaded| open::replayer_of(loaded, ledger.rules())),
    };
    let replayer = replayer.map_err(|fault| wrong(&fault))?;
    let (mut rejected, mut transactions) = (0_u64, replayer.tip.transactions);
    let (blocks_in, blocks_out) = bounded(BLOCKS_AHEAD);
    let (checked_in, checked_out) = bounded(BLOCKS_AHEAD);
    let (signed_in, signed_out) = bounded(BLOCKS_SIGNED);
    let (spare_in, spare_out) = bounded(2 * BLOCKS_AHEAD);
    let checking = Checking { ledger: &ledger, finder: replayer.finder(), blocks: blocks_out, checked: checked_in };
    let executing = Executing { load: &load, checkpoints: &checkpoints, blocks: checked_out, spare: spare_in.clone() };
    let verifying =
        Verifying { check: SignatureCheck::new(ledger.clone(), !signatures, KEY_CACHE_BYTES), spare: spare_in };
    let (found, summary) = std::thread::scope(|scope| {
        let verifying = signatures.then(|| scope.spawn(move || verifying.run(&signed_out)));
        let signed = verifying.is_some().then_some(signed_in);
        let checking = scope.spawn(move || checking.run(signed.as_ref()));
        let executing = scope.spawn(move || executing.run(replayer));
        let summary = read_records(directory, &mut |record| {
            let (recorded, spare) = Recorded::copy(record, spare_out.try_recv().unwrap_or_default());
            let header = recorded.header;
            // Whoever takes blocks apart, executes or verifies them tells why they want no more.
            blocks_in.send((recorded, spare, place_of(record))).map_err(|_| "the blocks before aren't right")?;
            rejected = rejected.saturating_add(u64::from(header.rejected));
            transactions = transactions.saturating_add(u64::from(header.count));
            progress(header.height, transactions);
            Ok(())
        });
        drop(blocks_in);
        let found =
            Found { checked: join(checking), executed: join(executing), verified: verifying.map_or(Ok(0), join) };
        (found, summary)
    });
    // What is taken apart, executed and verified lies before what is read.
    if let Some(first) = found.first_wrong() {
        return Err(wrong(&first.what));
    }
    let summary = summary?;
    let Found { executed: Ok(mut replayer), verified: Ok(verified), .. } = found else {
        return Err(wrong(&"blocks were lost"));
    };
    let state = replayer.state.share().digest();
    Ok(AuditReport { summary, rejected, signatures: verified, state })
}

/// Memory for what is known of keys: as much as an engine takes unless it is told otherwise.
const KEY_CACHE_BYTES: usize = 48 << 20;

/// Signatures verified together by one task.
const CHUNK_SIGNATURES: usize = 4096;

/// Tasks for each core at once: others compute beside, so that some end late.
const CHUNKS_PER_CORE: usize = 4;

/// Blocks that wait until those before are verified, at most: nobody waits for the next ones then.
const BLOCKS_SIGNED: usize = 4;

/// What is wrong with a block.
struct Wrong {
    height: Height,
    what: String,
}

impl Wrong {
    fn new(height: Height, place: &str, error: &dyn std::fmt::Display) -> Self {
        Self { height, what: format!("height {}: {place}{error}", height.0) }
    }
}

/// What the threads have found.
struct Found {
    checked: Result<(), Wrong>,
    executed: Result<Replayer, Wrong>,
    verified: Result<u64, Wrong>,
}

impl Found {
    /// Each stops at the first block that is wrong for it; the lowest of those is the first of all.
    fn first_wrong(&self) -> Option<&Wrong> {
        let Self { checked, executed, verified } = self;
        let all = [checked.as_ref().err(), executed.as_ref().err(), verified.as_ref().err()];
        all.into_iter().flatten().min_by_key(|wrong| wrong.height)
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A block whose transactions are those that its header names.
struct Checked {
    ready: Ready,
    ids: Vec<TransactionId>,
    /// In the log.
    place: String,
}

impl Checked {
    fn wrong(&self, error: &dyn std::fmt::Display) -> Wrong {
        Wrong::new(self.ready.header().height, &self.place, error)
    }

    /// Gives its memory back, if nobody else is still at it.
    fn done(self: Arc<Self>, spare: &Sender<Spare>) {
        if let Some(block) = Arc::into_inner(self) {
            // A buffer more or less is no loss.
            let _ = spare.try_send(block.ready.into_spare());
        }
    }
}

/// The thread that takes blocks apart and compares their transactions with their headers.
struct Checking<'a> {
    ledger: &'a Ledger,
    finder: Finder,
    /// Each with its place in the log.
    blocks: Receiver<(Recorded, Spare, String)>,
    checked: Sender<Arc<Checked>>,
}

impl Checking<'_> {
    fn run(self, signed: Option<&Sender<Arc<Checked>>>) -> Result<(), Wrong> {
        for (recorded, spare, place) in &self.blocks {
            let height = recorded.header.height;
            let checked = self.check(recorded, spare).map_err(|error| Wrong::new(height, &place, &error));
            let (ready, ids) = checked?;
            let block = Arc::new(Checked { ready, ids, place });
            let is_wanted = signed.is_none_or(|signed| signed.send(block.clone()).is_ok());
            if !is_wanted || self.checked.send(block).is_err() {
                // Whoever wants no more tells why.
                break;
            }
        }
        Ok(())
    }

    fn check(&self, recorded: Recorded, spare: Spare) -> Result<(Ready, Vec<TransactionId>), ReplayError> {
        let ready = self.finder.ready(recorded, spare)?;
        let header = ready.header();
        let mut ids: Vec<TransactionId> = Vec::with_capacity(header.count as usize);
        let bodies = Transactions(ready.transactions()).map(|transaction| transaction.body());
        self.ledger.transaction_ids(bodies, &mut ids);
        let found = Digest(transaction_tree(ids.iter(), ready.rejections()).root());
        if found == header.transactions {
            return Ok((ready, ids));
        }
        let (expected, found) = (header.transactions.to_string(), found.to_string());
        Err(ReplayError { height: header.height, what: "transactions", expected, found })
    }
}

/// The thread that executes what was checked.
struct Executing<'a, L> {
    load: &'a L,
    /// Heights, ascending.
    checkpoints: &'a [Height],
    blocks: Receiver<Arc<Checked>>,
    spare: Sender<Spare>,
}

impl<L: Fn(Height) -> Result<Loaded, CheckpointFault>> Executing<'_, L> {
    fn run(self, mut replayer: Replayer) -> Result<Replayer, Wrong> {
        for block in &self.blocks {
            self.block(&mut replayer, &block.ready).map_err(|error| block.wrong(&error))?;
            block.done(&self.spare);
        }
        Ok(replayer)
    }

    fn block(&self, replayer: &mut Replayer, ready: &Ready) -> Result<(), VisitError> {
        replayer.execute(ready)?;
        let header = ready.header();
        if self.checkpoints.binary_search(&header.height).is_ok() {
            // A checkpoint is a shortcut: it has to lead where the blocks do.
            let (loaded, own) = ((self.load)(header.height)?, replayer.state.share_records().digest());
            if (loaded.digest, loaded.place.hash) != (own, ready.hash()) {
                let expected = format!("the block {} and the state {own}", ready.hash());
                let found = format!("{} and {}", loaded.place.hash, loaded.digest);
                return Err(ReplayError { height: header.height, what: "the checkpoint", expected, found }.into());
            }
        }
        Ok(())
    }
}

/// The thread that has signatures verified.
struct Verifying {
    check: SignatureCheck,
    spare: Sender<Spare>,
}

impl Verifying {
    /// Gathers blocks until there is work for all cores, and has it done; gives how many signatures there were.
    fn run(self, blocks: &Receiver<Arc<Checked>>) -> Result<u64, Wrong> {
        let enough = CHUNK_SIGNATURES.saturating_mul(CHUNKS_PER_CORE).saturating_mul(rayon::current_num_threads());
        let (mut verified, mut lot, mut waiting) = (0_u64, Vec::new(), 0_usize);
        loop {
            let next = blocks.recv().ok();
            let is_last = next.is_none();
            if let Some(block) = next {
                waiting = waiting.saturating_add(block.ids.len());
                lot.push(block);
            }
            if waiting >= enough || is_last {
                verified = verified.saturating_add(self.verify(&lot)?);
                waiting = 0;
                lot.drain(..).for_each(|block| block.done(&self.spare));
            }
            if is_last {
                return Ok(verified);
            }
        }
    }

    /// Verifies all signatures of some blocks; gives how many there are.
    fn verify(&self, blocks: &[Arc<Checked>]) -> Result<u64, Wrong> {
        let mut transactions: Vec<(TransactionRef<'_>, &TransactionId)> = Vec::new();
        for block in blocks {
            transactions.extend(Transactions(block.ready.transactions()).zip(&block.ids));
        }
        let chunks: Vec<Result<usize, (usize, u8)>> =
            transactions.par_chunks(CHUNK_SIGNATURES).map(|chunk| self.check.first_invalid(chunk)).collect();
        let mut verified = 0_u64;
        for (chunk, first) in chunks.into_iter().enumerate() {
            let (place, signer) = match first {
                Ok(count) => {
                    verified = verified.saturating_add(count as u64);
                    continue;
                }
                Err(first) => first,
            };
            let mut places = blocks.iter().flat_map(|block| (0..block.ids.len()).map(move |place| (block, place)));
            if let Some((block, position)) = places.nth(chunk.saturating_mul(CHUNK_SIGNATURES).saturating_add(place)) {
                let (height, expected) = (block.ready.header().height, "valid signatures".to_owned());
                let found = format!("an invalid one by signer {signer} of the transaction at position {position}");
                return Err(block.wrong(&ReplayError { height, what: "a signature", expected, found }));
            }
        }
        Ok(verified)
    }
}
