//! Looking at a ledger's directory without opening it: reading every block, and checking everything that can be checked.
//!
//! Nothing is written and no lock is taken, so the end of a ledger that an engine has open may look torn.

use crate::checkpoint::{self, CheckpointFault, Loaded, Place};
use crate::ledger::Ledger;
use crate::log::{self, Checkpoint, OsStorage, RecordRef};
use crate::open;
use crate::proof::transaction_tree;
use crate::query::BlockRef;
use crate::replay::{BLOCKS_AHEAD, Recorded, ReplayError, Replayer};
use crate::transaction::{TransactionRef, signed_message};
use crate::types::{BlockHeader, Digest, Height, TransactionId};
use crossbeam::channel::{Receiver, Sender, bounded};
use nostro_ed25519::{Item, Verifier, VerifierConfig};
use rayon::prelude::*;
use std::path::Path;

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
    read_records(directory, &mut |record, block| Ok(visit(block).map_err(|error| at(record, &error))?))
}

/// An error with the place of its record.
fn at(record: &RecordRef<'_>, error: &dyn std::fmt::Display) -> String {
    format!("{}, offset {}: {error}", record.file, record.offset)
}

fn read_records(
    directory: &Path,
    visit: &mut dyn FnMut(&RecordRef<'_>, &BlockRef<'_>) -> Result<(), VisitError>,
) -> Result<LedgerSummary, AuditError> {
    let name = ledger_name(directory)?;
    let place = beginning(directory)?;
    let mut transactions = place.map_or(0, |place| place.transactions);
    let from = place.map(|place| Checkpoint { height: place.height.0, hash: place.hash.0 });
    let scanned = log::scan_from(&OsStorage, directory, from, &mut |record| {
        let block = block_of(&record)?;
        transactions = transactions.saturating_add(u64::from(block.header().count));
        visit(&record, &block)
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

fn block_of<'a>(record: &RecordRef<'a>) -> Result<BlockRef<'a>, VisitError> {
    let stored = record.header;
    let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
    Ok(BlockRef::new(header, Digest(*record.hash), record.body)?)
}

/// Checks every hash, the chain, every id, every checkpoint, and every outcome by executing every block again; with `signatures` every signature
/// too, on all cores. `progress` hears the height and the transactions so far.
///
/// One thread reads, hashes and verifies, a second executes, a third makes the state roots.
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
    let verifier = Verifier::new(VerifierConfig::default());
    let (mut rejected, mut verified, mut transactions) = (0_u64, 0_u64, replayer.tip.transactions);
    let (blocks_in, blocks_out) = bounded(BLOCKS_AHEAD);
    let (empty_in, empty_out) = bounded::<Vec<u8>>(BLOCKS_AHEAD);
    let (executed, summary) = std::thread::scope(|scope| {
        let executing = Executing { load: &load, checkpoints: &checkpoints, blocks: blocks_out, empty: empty_in };
        let executing = scope.spawn(move || executing.run(replayer));
        let summary = read_records(directory, &mut |record, block| {
            let signatures = signatures.then_some(&verifier);
            verified = verified
                .saturating_add(check_transactions(&ledger, block, signatures).map_err(|error| at(record, &error))?);
            let header = *block.header();
            rejected = rejected.saturating_add(u64::from(header.rejected));
            transactions = transactions.saturating_add(u64::from(header.count));
            let mut body = empty_out.try_recv().unwrap_or_default();
            body.clear();
            body.extend_from_slice(block.body());
            let recorded = Recorded { header, hash: block.hash(), body };
            // Whoever executes tells why they want no more.
            blocks_in.send((recorded, at(record, &""))).map_err(|_| "the blocks before can't be executed")?;
            progress(header.height, transactions);
            Ok(())
        });
        drop(blocks_in);
        (executing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), summary)
    });
    // What is executed lies before what is read.
    let mut replayer = executed.map_err(|error| located(directory, &error))?;
    let summary = summary?;
    let state = replayer.state.share().digest();
    Ok(AuditReport { summary, rejected, signatures: verified, state })
}

/// Compares the transactions of a block with its header, and verifies their signatures if there is a verifier; gives how many.
fn check_transactions(ledger: &Ledger, block: &BlockRef<'_>, verifier: Option<&Verifier>) -> Result<u64, ReplayError> {
    let header = block.header();
    let transactions: Vec<TransactionRef<'_>> = block.transactions().map(|(transaction, _)| transaction).collect();
    let mut ids: Vec<TransactionId> = Vec::with_capacity(transactions.len());
    ledger.transaction_ids(transactions.iter().map(TransactionRef::body), &mut ids);
    let found = Digest(transaction_tree(ids.iter(), block.rejections()).root());
    if found != header.transactions {
        let (expected, found) = (header.transactions.to_string(), found.to_string());
        return Err(ReplayError { height: header.height, what: "transactions", expected, found });
    }
    verifier.map_or(Ok(0), |verifier| check_signatures(header.height, &transactions, &ids, verifier))
}

/// The thread that executes what another has read.
struct Executing<'a, L> {
    load: &'a L,
    /// Heights, ascending.
    checkpoints: &'a [Height],
    /// Each with its place in the log.
    blocks: Receiver<(Recorded, String)>,
    empty: Sender<Vec<u8>>,
}

impl<L: Fn(Height) -> Result<Loaded, CheckpointFault>> Executing<'_, L> {
    fn run(self, mut replayer: Replayer) -> Result<Replayer, log::OpenError> {
        for (Recorded { header, hash, body }, place) in &self.blocks {
            let done = self.block(&mut replayer, &header, hash, &body);
            done.map_err(|error| {
                let (source, height) = (format!("{place}{error}").into(), header.height.0);
                log::OpenError::Visit { source, height }
            })?;
            // A buffer more or less is no loss.
            let _ = self.empty.try_send(body);
        }
        Ok(replayer)
    }

    fn block(
        &self,
        replayer: &mut Replayer,
        header: &BlockHeader,
        hash: Digest,
        body: &[u8],
    ) -> Result<(), VisitError> {
        replayer.block(header, body)?;
        if self.checkpoints.binary_search(&header.height).is_ok() {
            // A checkpoint is a shortcut: it has to lead where the blocks do.
            let (loaded, own) = ((self.load)(header.height)?, replayer.state.share_records().digest());
            if (loaded.digest, loaded.place.hash) != (own, hash) {
                let expected = format!("the block {hash} and the state {own}");
                let found = format!("{} and {}", loaded.place.hash, loaded.digest);
                return Err(ReplayError { height: header.height, what: "the checkpoint", expected, found }.into());
            }
        }
        Ok(())
    }
}

/// Verifies all signatures of a block; gives how many there are.
fn check_signatures(
    height: Height,
    transactions: &[TransactionRef<'_>],
    ids: &[TransactionId],
    verifier: &Verifier,
) -> Result<u64, ReplayError> {
    const CHUNK: usize = 4096;
    let chunks: Vec<Result<u64, (usize, u8)>> = transactions
        .par_chunks(CHUNK)
        .zip(ids.par_chunks(CHUNK))
        .enumerate()
        .map(|(chunk, (transactions, ids))| {
            let messages: Vec<_> = ids.iter().map(signed_message).collect();
            let signers: Vec<_> =
                transactions.iter().map(|transaction| transaction.keys().collect::<Vec<_>>()).collect();
            let mut items = Vec::new();
            let mut places = Vec::new();
            for (place, ((transaction, message), keys)) in transactions.iter().zip(&messages).zip(&signers).enumerate()
            {
                for (signer, (signature, key)) in (0_u8..).zip(transaction.signatures().zip(keys)) {
                    items.push(Item { key: &key.0, message, signature });
                    places.push((chunk * CHUNK + place, signer));
                }
            }
            let mut verdicts = vec![false; items.len()];
            verifier.verify_batch(&items, &mut verdicts);
            match places.iter().zip(&verdicts).find(|&(_, &valid)| !valid) {
                Some((&place, _)) => Err(place),
                None => Ok(items.len() as u64),
            }
        })
        .collect();
    chunks.into_iter().try_fold(0, |sum, chunk| chunk.map(|count| sum + count)).map_err(|(position, signer)| {
        ReplayError {
            height,
            what: "a signature",
            expected: "valid signatures".to_owned(),
            found: format!("an invalid one by signer {signer} of the transaction at position {position}"),
        }
    })
}
