//! Whom each block concerns, so that a follower looks into those that may concern it and no others.
//!
//! For each segment of the log that is full there is a run of filters in a file (`run.rs`); what came since is gathered in memory when a
//! follower asks. A filter is a hint and no more: what it lets through is read from the log and looked at; so the worst that an index could
//! do is to miss something, and against that each of its pages has a checksum. A run that is missing, damaged or another log's is
//! made again from its segment.
//!
//! # Cost
//!
//! About a tenth of a microsecond per transaction, half of it for hashing its block, beside the work and at its leisure; and four bytes of disk per payment. A look costs one page read per
//! thousand payments, whatever they were.

use super::filter::{Chunk, Mark, PAGE_MARKS};
use super::run::{self, KIND, Run};
use crate::beside::{Beside, Full, Unreadable};
use crate::error::ReadError;
use crate::log::{LogReader, Storage};
use crate::query::StoredBlock;
use crate::types::{Happening, Height};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the index says of the blocks from a height on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// These may concern it; those before don't.
    Maybe { first: u64, last: u64 },
    /// None below this height does; it isn't durable yet.
    Nothing { next: u64 },
}

/// The index of one ledger's log.
pub(crate) struct FollowIndex<S: Storage> {
    beside: Beside<S>,
    indexed: Mutex<Indexed<S>>,
    /// How many wait for an answer.
    waiting: AtomicUsize,
}

impl<S: Storage> std::fmt::Debug for FollowIndex<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FollowIndex({})", self.beside.directory.display())
    }
}

struct Indexed<S: Storage> {
    /// By segment.
    runs: BTreeMap<u32, Run<S>>,
    tail: Gathered,
}

impl<S: Storage> Indexed<S> {
    /// Keeps a run, and forgets what the tail has of its blocks.
    fn keep(&mut self, full: Full, run: Run<S>) {
        self.runs.insert(full.segment, run);
        self.tail.forget(full.last);
    }
}

/// Blocks that were gathered in memory: of heights from `first` up to, not including, `next`.
#[derive(Default)]
struct Gathered {
    first: u64,
    next: u64,
    chunks: Vec<Chunk>,
    /// Of the blocks behind the last chunk.
    open: Vec<Mark>,
    /// The first of those.
    open_first: u64,
    /// The segment they are in.
    segment: Option<u32>,
}

impl Gathered {
    const fn from(height: u64) -> Self {
        Self { first: height, next: height, chunks: Vec::new(), open: Vec::new(), open_first: height, segment: None }
    }

    /// Adds the next block.
    fn add(&mut self, block: &StoredBlock, segment: Option<u32>) -> Result<(), ReadError> {
        if self.segment != segment {
            self.close();
            self.segment = segment;
        }
        marks(block, &mut self.open)?;
        self.next = self.next.saturating_add(1);
        if self.open.len() >= PAGE_MARKS {
            self.close();
        }
        Ok(())
    }

    /// Makes a chunk of what is open.
    fn close(&mut self) {
        if self.open_first < self.next {
            self.chunks.push(Chunk::new(self.open_first, self.next.saturating_sub(1), &self.open));
        }
        self.open.clear();
        self.open_first = self.next;
    }

    /// Those of a segment, if all of it is here.
    fn of(&mut self, full: Full) -> Option<Vec<Chunk>> {
        if full.first < self.first || full.last >= self.next {
            return None;
        }
        if self.open_first <= full.last {
            self.close();
        }
        let within = |chunk: &&Chunk| (full.first..=full.last).contains(&chunk.first);
        Some(self.chunks.iter().filter(within).cloned().collect())
    }

    /// Forgets what is in a run.
    fn forget(&mut self, last: u64) {
        if self.next <= last.saturating_add(1) {
            *self = Self::from(last.saturating_add(1));
        } else if self.first <= last {
            self.chunks.retain(|chunk| chunk.first > last);
            self.first = last.saturating_add(1);
        }
    }

    fn find(&self, mark: Mark, from: u64) -> Option<(u64, u64)> {
        let is_open = || self.open_first.max(from) < self.next && self.open.contains(&mark);
        let open = || is_open().then(|| (self.open_first, self.next.saturating_sub(1)));
        run::find(&self.chunks, mark, from).or_else(open)
    }
}

/// Appends whom and what a block concerns.
fn marks(block: &StoredBlock, marks: &mut Vec<Mark>) -> Result<(), ReadError> {
    let height = block.header().height;
    let reason = "expected transactions, events and rejections as the header counts them, found others";
    let (transactions, events) = block.walk().ok_or_else(|| ReadError { height, reason: reason.to_owned() })?;
    for transaction in transactions {
        transaction.concerns(&mut |account| marks.push(Mark::account(account)));
    }
    for event in events {
        marks.push(Mark::account(&event.account));
        if let Happening::Traded { market, .. } = event.what {
            marks.push(Mark::market(market));
        }
    }
    Ok(())
}

impl<S: Storage> FollowIndex<S> {
    pub(crate) fn new(storage: Arc<S>, directory: PathBuf, ledger: [u8; 32], reader: LogReader) -> Self {
        let indexed = Indexed { runs: BTreeMap::new(), tail: Gathered::from(0) };
        let beside = Beside { storage, directory, ledger, reader, kind: KIND };
        Self { beside, indexed: Mutex::new(indexed), waiting: AtomicUsize::new(0) }
    }

    /// Which durable blocks from a height on may concern somebody; the first of them.
    pub(super) fn look(&self, mark: Mark, from: u64) -> Result<Hint, ReadError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let hint = self.look_now(mark, from);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        hint
    }

    fn look_now(&self, mark: Mark, from: u64) -> Result<Hint, ReadError> {
        let mut indexed = self.indexed.lock();
        self.follow_tail(&mut indexed.tail)?;
        self.follow_full(&mut indexed, None)?;
        let maybe = |(first, last): (u64, u64)| Hint::Maybe { first: first.max(from), last };
        for full in self.beside.full().into_iter().filter(|full| full.last >= from) {
            let Some(run) = indexed.runs.get(&full.segment) else { continue };
            let found = match run.find(&*self.beside.storage, mark, from) {
                Ok(found) => found,
                // Damaged since it was opened: made again, and what was just made is asked.
                Err(Unreadable) => {
                    let chunks = self.gather(full, &mut |_| true)?.unwrap_or_default();
                    let found = run::find(&chunks, mark, from);
                    self.put(full, &chunks, &mut indexed)?;
                    found
                }
            };
            if let Some(found) = found {
                return Ok(maybe(found));
            }
        }
        let tail = &indexed.tail;
        Ok(tail.find(mark, from).map_or(Hint::Nothing { next: tail.next.max(from) }, maybe))
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
                indexed.keep(full, run);
                continue;
            }
            let mut go_on = |took: Duration| {
                let Some(closing) = closing else { return true };
                if self.waiting.load(Ordering::Relaxed) == 0 {
                    Beside::<S>::rest(took);
                }
                !closing.load(Ordering::Relaxed)
            };
            let chunks = match indexed.tail.of(full) {
                Some(chunks) => chunks,
                None => match self.gather(full, &mut go_on)? {
                    Some(chunks) => chunks,
                    None => return Ok(()),
                },
            };
            self.put(full, &chunks, indexed)?;
        }
        Ok(())
    }

    /// Writes a run. One that can't be written isn't there, and stays in memory.
    fn put(&self, full: Full, chunks: &[Chunk], indexed: &mut Indexed<S>) -> Result<(), ReadError> {
        let run = Run::write(&*self.beside.storage, &self.beside.directory, self.beside.origin(full)?, chunks);
        indexed.keep(full, run.unwrap_or_else(|_| Run::Memory(chunks.to_vec())));
        Ok(())
    }

    /// The chunks of a full segment, from the log. `None` if it was told not to go on.
    fn gather(&self, full: Full, go_on: &mut dyn FnMut(Duration) -> bool) -> Result<Option<Vec<Chunk>>, ReadError> {
        let mut gathered = Gathered::from(full.first);
        for height in full.first..=full.last {
            let begin = Instant::now();
            gathered.add(&self.beside.stored(height)?, Some(full.segment))?;
            if !go_on(begin.elapsed()) {
                return Ok(None);
            }
        }
        gathered.close();
        Ok(Some(gathered.chunks))
    }

    /// Gathers what is durable and in no run.
    fn follow_tail(&self, tail: &mut Gathered) -> Result<(), ReadError> {
        let begin = self.beside.reader.segments().last().map_or(1, |&(_, first)| first);
        if tail.next == 0 || tail.next < self.beside.reader.first_height() {
            *tail = Gathered::from(begin);
        }
        let watermark = self.beside.reader.watermark();
        for record in self.beside.reader.records_from(tail.next) {
            if tail.next > watermark {
                break;
            }
            let failed =
                |error: crate::log::ReadError| ReadError { height: Height(tail.next), reason: error.to_string() };
            let block = StoredBlock::new(record.map_err(failed)?);
            tail.add(&block, self.beside.reader.segment_of(tail.next))?;
        }
        Ok(())
    }
}
