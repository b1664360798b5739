//! Receipts by id: where in the log a transaction is, from its id alone.
//!
//! For each segment of the log that is full there is a run: a file of entries sorted by the first eight bytes of the id, with height and
//! position (`run.rs`). What came since is indexed in memory when somebody asks. An entry is a hint and no more: what it points to is
//! read from the log, compared with the whole id, and the outcomes of its block with their hash in the header; so the worst that an index could
//! do is to miss something, and against that each of its pages has a checksum. A run that is missing, damaged or another log's is made
//! again from its segment. Where a hint and the log differ, the whole block is hashed to tell whose fault that is.
//!
//! A transaction may be in several blocks: submitted again, or rejected without a trace and applied later. [`Says`] tells which of its
//! receipts counts.
//!
//! # Cost
//!
//! A run costs some 0.1 µs per transaction, beside the work; an answer some page reads per segment, and a step to each transaction in
//! front of it in its block.

mod run;
#[cfg(test)]
mod tests;

use crate::beside::{Beside, Full};
use crate::error::ReadError;
use crate::ledger::Ledger;
use crate::log::{LogReader, Storage};
use crate::query::StoredBlock;
use crate::transaction::TransactionRef;
use crate::types::{BlockHeader, Height, Outcome, Receipt, RejectionCode, TransactionId};
use parking_lot::Mutex;
use run::{Entry, KIND, Run};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Entries alike of which no more are read at first: somebody may have submitted one transaction a million times.
const HINTS: usize = 8;
/// The index of one ledger's log.
pub(crate) struct ReceiptIndex<S: Storage> {
    beside: Beside<S>,
    ledger: Ledger,
    indexed: Mutex<Indexed<S>>,
}

impl<S: Storage> std::fmt::Debug for ReceiptIndex<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReceiptIndex({})", self.beside.directory.display())
    }
}

struct Indexed<S: Storage> {
    /// By segment.
    runs: BTreeMap<u32, Run<S>>,
    /// Of heights from `tail_first` up to, not including, `tail_next`; sorted pieces, each at least twice as long as the next.
    tail: Vec<Vec<Entry>>,
    tail_first: u64,
    tail_next: u64,
}

/// What a receipt tells of a transaction's first use, the most first. Of several the lowest one of those that tell most counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// This is it: the sequence was fresh, or will never be used. No other receipt tells as much.
    First,
    /// It may have had a first use before: it was too late, or the account was closed.
    Late,
    /// Its sequence had been used: by itself most likely.
    Again,
    /// Whoever signed might not act for the account: no sequence was used, so it may have had a first use before and may have one later.
    NoTrace,
}

impl Says {
    const fn of(outcome: Outcome) -> Self {
        let Outcome::Rejected(no) = outcome else { return Self::First };
        match no.code {
            RejectionCode::UnknownKey | RejectionCode::ThresholdUnmet => Self::NoTrace,
            RejectionCode::Duplicate | RejectionCode::OutOfWindow => Self::Again,
            RejectionCode::Expired => Self::Late,
            // Of the first operation's payee, which uses the sequence up, or of the signer, which doesn't.
            RejectionCode::AccountClosed if no.operation == 0 => Self::Late,
            _ => Self::First,
        }
    }
}

/// The receipt that counts so far.
type Best = Option<(Says, Receipt)>;

impl<S: Storage> ReceiptIndex<S> {
    pub(crate) fn new(storage: Arc<S>, directory: PathBuf, ledger: Ledger, reader: LogReader) -> Self {
        let indexed = Indexed { runs: BTreeMap::new(), tail: Vec::new(), tail_first: 0, tail_next: 0 };
        let beside = Beside { storage, directory, ledger: ledger.id().0, reader, kind: KIND };
        Self { beside, ledger, indexed: Mutex::new(indexed) }
    }

    /// The receipt of a transaction's first use; `None` if that isn't in the blocks that are still there. If blocks were retired and those
    /// that are left don't say for certain that a first use was in one of them, it may have been in those that are gone.
    pub(crate) fn receipt(&self, id: &TransactionId) -> Result<Option<Receipt>, ReadError> {
        let mut best: Best = None;
        for most in [HINTS, usize::MAX] {
            let (hints, are_all) = self.hints(run::prefix(id), most)?;
            best = None;
            for block in hints.chunk_by(|one, other| one.0 == other.0) {
                let Some(&(height, _)) = block.first() else { continue };
                let positions: Vec<u32> = block.iter().map(|&(_, position)| position).collect();
                best = self.look(id, height, &positions, best)?;
                if best.is_some_and(|(says, _)| says == Says::First) {
                    break;
                }
            }
            if are_all || best.is_some_and(|(says, _)| says == Says::First) {
                break;
            }
        }
        let is_told = |says| says == Says::First || self.beside.reader.first_height() == 1;
        Ok(best.filter(|&(says, _)| is_told(says)).map(|(_, receipt)| receipt))
    }

    /// Where ids with a prefix are, from the lowest place up; of each part of the index at most so many, and whether those are all.
    fn hints(&self, prefix: u64, most: usize) -> Result<(Vec<(u64, u32)>, bool), ReadError> {
        let mut indexed = self.indexed.lock();
        self.follow_full(&mut indexed, None)?;
        self.follow_tail(&mut indexed)?;
        let mut parts: Vec<Vec<Entry>> = indexed.tail.iter().map(|piece| run::alike(piece, prefix, most)).collect();
        for full in self.beside.full() {
            let found = indexed.runs.get(&full.segment).map(|run| run.find(&*self.beside.storage, prefix, most));
            parts.push(match found {
                Some(Ok(entries)) => entries,
                // Damaged since it was opened: made again, and what was just made is asked.
                _ => {
                    let entries = self.entries(full, &indexed, &mut |_| true)?.unwrap_or_default();
                    self.put(full, &entries, &mut indexed)?;
                    run::alike(&entries, prefix, most)
                }
            });
        }
        drop(indexed);
        let are_all = parts.iter().all(|part| part.len() < most);
        let mut hints: Vec<(u64, u32)> = parts.iter().flatten().map(|entry| (entry.height, entry.position)).collect();
        hints.sort_unstable();
        Ok((hints, are_all))
    }

    /// What hints into one block point to, as far as it is that transaction and says more than what is known.
    fn look(&self, id: &TransactionId, height: u64, positions: &[u32], best: Best) -> Result<Best, ReadError> {
        let failed = |error: crate::log::ReadError| ReadError { height: Height(height), reason: error.to_string() };
        let Some(record) = self.beside.reader.read_unhashed(height).map_err(failed)? else { return Ok(best) };
        let block = StoredBlock::new(record);
        if let Some(picked) = block.pick(positions) {
            let (better, are_alike) = self.better(id, block.header(), positions, &picked, best);
            if are_alike {
                return Ok(better);
            }
        }
        // Either only the beginning of the id is the same, or the block isn't as it was written.
        let Some(record) = self.beside.reader.read(height).map_err(failed)? else { return Ok(best) };
        let block = StoredBlock::new(record);
        let view = block.view()?;
        let all: Vec<(TransactionRef<'_>, Outcome)> = view.transactions().collect();
        let there: Vec<u32> = positions.iter().copied().filter(|&place| (place as usize) < all.len()).collect();
        let some: Vec<_> = there.iter().filter_map(|&place| all.get(place as usize).copied()).collect();
        Ok(self.better(id, view.header(), &there, &some, best).0)
    }

    /// The best of what is known and of some transactions of a block; and whether those that were compared all have this id.
    fn better(
        &self,
        id: &TransactionId,
        header: &BlockHeader,
        positions: &[u32],
        some: &[(TransactionRef<'_>, Outcome)],
        mut best: Best,
    ) -> (Best, bool) {
        let mut are_alike = true;
        for (&position, (transaction, outcome)) in positions.iter().zip(some) {
            let says = Says::of(*outcome);
            if best.is_some_and(|(known, _)| known <= says) {
                continue;
            }
            if transaction.id(&self.ledger) == *id {
                let BlockHeader { height, time, .. } = *header;
                best = Some((says, Receipt { transaction: *id, height, position, time, outcome: *outcome }));
            } else {
                are_alike = false;
            }
        }
        (best, are_alike)
    }

    /// The thread: makes runs as segments fill, until the engine closes.
    pub(crate) fn run(&self, closing: &AtomicBool) {
        self.beside.watch(closing, || {
            // What fails now is tried again, and told, when somebody asks.
            let _ = self.follow_full(&mut self.indexed.lock(), Some(closing));
        });
    }

    /// Opens or makes the runs that are missing; forgets those whose segment is gone. With `closing` nobody waits for it.
    fn follow_full(&self, indexed: &mut Indexed<S>, closing: Option<&AtomicBool>) -> Result<(), ReadError> {
        for full in self.beside.missing(&mut indexed.runs) {
            if let Some(run) = Run::open(&*self.beside.storage, &self.beside.directory, self.beside.origin(full)?) {
                indexed.runs.insert(full.segment, run);
                continue;
            }
            let mut go_on = |took: Duration| {
                let Some(closing) = closing else { return true };
                Beside::<S>::rest(took);
                !closing.load(Ordering::Relaxed)
            };
            let Some(entries) = self.entries(full, indexed, &mut go_on)? else { return Ok(()) };
            self.put(full, &entries, indexed)?;
        }
        Ok(())
    }

    /// Writes a run. One that can't be written isn't there, and its entries stay in memory.
    fn put(&self, full: Full, entries: &[Entry], indexed: &mut Indexed<S>) -> Result<(), ReadError> {
        let run = Run::write(&*self.beside.storage, &self.beside.directory, self.beside.origin(full)?, entries);
        let run = run.unwrap_or_else(|_| Run::in_memory(entries.to_vec()));
        indexed.runs.insert(full.segment, run);
        if indexed.tail_first <= full.last {
            indexed.tail.iter_mut().for_each(|piece| piece.retain(|entry| entry.height > full.last));
            indexed.tail_first = full.last.saturating_add(1);
            indexed.tail_next = indexed.tail_next.max(indexed.tail_first);
        }
        Ok(())
    }

    /// The sorted entries of a full segment: from memory if they are there, else from the log. `None` if it was told not to go on.
    fn entries(
        &self,
        full: Full,
        indexed: &Indexed<S>,
        go_on: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Option<Vec<Entry>>, ReadError> {
        let mut entries = Vec::new();
        if indexed.tail_first <= full.first && full.last < indexed.tail_next {
            let own = indexed.tail.iter().flatten().filter(|entry| (full.first..=full.last).contains(&entry.height));
            entries.extend(own);
        } else {
            for height in full.first..=full.last {
                let begin = Instant::now();
                self.block(height, &mut entries)?;
                if !go_on(begin.elapsed()) {
                    return Ok(None);
                }
            }
        }
        entries.sort_unstable();
        Ok(Some(entries))
    }

    /// Indexes in memory what is durable and in no full segment.
    fn follow_tail(&self, indexed: &mut Indexed<S>) -> Result<(), ReadError> {
        let begin = self.beside.reader.segments().last().map_or(1, |&(_, first)| first);
        if indexed.tail_next < begin {
            indexed.tail.clear();
            (indexed.tail_first, indexed.tail_next) = (begin, begin);
        }
        let watermark = self.beside.reader.watermark();
        let mut entries = Vec::new();
        while indexed.tail_next <= watermark {
            self.block(indexed.tail_next, &mut entries)?;
            indexed.tail_next = indexed.tail_next.saturating_add(1);
        }
        if entries.is_empty() {
            return Ok(());
        }
        entries.sort_unstable();
        indexed.tail.push(entries);
        while let [.., before, last] = indexed.tail.as_mut_slice()
            && before.len() < last.len().saturating_mul(2)
        {
            before.append(last);
            before.sort_unstable();
            indexed.tail.pop();
        }
        Ok(())
    }

    /// Appends the entries of a block.
    fn block(&self, height: u64, entries: &mut Vec<Entry>) -> Result<(), ReadError> {
        let block = self.beside.stored(height)?;
        let transactions = block.walk_transactions();
        let mut ids = Vec::with_capacity(block.header().count as usize);
        self.ledger.transaction_ids(transactions.map(|transaction| transaction.body()), &mut ids);
        let entry = |(id, position): (&TransactionId, u32)| Entry { prefix: run::prefix(id), height, position };
        entries.extend(ids.iter().zip(0..).map(entry));
        Ok(())
    }
}
