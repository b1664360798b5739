//! Seal, append, sync, release: what makes an executed block durable and lets its receipts go.
//!
//! One thread does it. Whatever has been executed when the last sync returns is sealed and goes out together with one sync, up
//! to a limit of bytes: no timer, small groups when idle and large ones when busy. Receipts go out after the sync and never
//! before. A write or a sync that fails ends it for good: nothing is retried, nothing more is acknowledged.

use crate::checkpoint::Command;
use crate::error::{Stop, StopError};
use crate::execute::{Effects, Settled};
use crate::log::{FrameBuilder, LogFailure, Planted, Sealed, SegmentLog, Storage};
use crate::prepare::{PreparedBatch, PreparedRun};
use crate::proof::transaction_tree;
use crate::roots::RootBoard;
use crate::stats::{Stage, Stats};
use crate::types::{BlockHeader, Digest, Height, REJECTION_BYTES, Settlement, Time, TransactionId};
use crate::verify::Verified;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::time::Duration;

/// How long the log stays without a seal frame when there is nothing to do.
const IDLE: Duration = Duration::from_millis(20);

/// Zeros written at once towards the reserve: what a block that comes in between has to wait for.
const REFILL_BYTES: u64 = 1 << 20;

/// Some transactions of a verified batch that one block holds.
#[derive(Debug)]
pub(crate) struct Part {
    pub verified: Arc<Verified>,
    /// What is known of the transactions of the whole batch.
    pub prepared: Arc<PreparedBatch>,
    /// Bytes of the batch.
    pub bytes: std::ops::Range<usize>,
    /// Its first transaction in the batch.
    pub start: u32,
    pub count: u32,
}

impl Part {
    /// Its transactions, back to back.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.verified.bytes.get(self.bytes.clone()).unwrap_or_default()
    }

    /// What is executed.
    pub(crate) fn run(&self) -> PreparedRun<'_> {
        let start = self.start as usize;
        self.prepared.run(&self.verified.bytes, start..start.saturating_add(self.count as usize))
    }

    fn ids(&self) -> &[TransactionId] {
        self.verified.ids.get(self.start as usize..).and_then(|ids| ids.get(..self.count as usize)).unwrap_or_default()
    }
}

/// A block with its parts, executed and not yet durable.
#[derive(Debug)]
pub(crate) struct Executed {
    pub height: Height,
    pub time: Time,
    pub first: u64,
    pub count: u32,
    pub parts: Vec<Part>,
    pub settled: Settled,
}

impl Executed {
    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }
}

/// The committing thread.
pub(crate) struct Committer<S: Storage> {
    pub log: SegmentLog<S>,
    pub tip: Digest,
    pub group_bytes_max: usize,
    pub stats: Arc<Stats>,
    pub stop: Arc<Stop>,
    pub due: Due,
    pub roots: Arc<RootBoard>,
    /// Where memory of effects goes that were hashed.
    pub spare: Sender<Effects>,
}

/// Tells when a checkpoint is due.
pub(crate) struct Due {
    pub keeper: Sender<Command>,
    /// Bytes of log since the last time.
    pub log_bytes: u64,
    pub log_bytes_max: u64,
}

impl Due {
    fn count(&mut self, bytes: u64) {
        self.log_bytes = self.log_bytes.saturating_add(bytes);
        // One that can't be told yet, since the last one isn't done, is told with a later group.
        if self.log_bytes >= self.log_bytes_max && self.keeper.try_send(Command::Due).is_ok() {
            self.log_bytes = 0;
        }
    }
}

impl<S: Storage> Committer<S> {
    /// Commits blocks until there are no more, then closes the log.
    pub(crate) fn run(self, blocks: &Receiver<Executed>) {
        let Self { mut log, mut tip, group_bytes_max, stats, stop, mut due, roots, spare } = self;
        let mut buffers = Vec::new();
        let mut is_sealed = true;
        let failed = |failure: LogFailure| stop.set(StopError::from(failure));
        loop {
            let first = if is_sealed {
                blocks.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                blocks.recv_timeout(IDLE)
            };
            let mut group = match first {
                Ok(first) => take_group(first, blocks, group_bytes_max),
                Err(RecvTimeoutError::Disconnected) => return log.close().unwrap_or_else(failed),
                Err(RecvTimeoutError::Timeout) => {
                    match log.seal() {
                        Ok(sealed) => log = sealed,
                        Err(failure) => return failed(failure),
                    }
                    is_sealed = true;
                    refill(&mut log, blocks);
                    continue;
                }
            };
            is_sealed = false;
            let carried: Option<Vec<Digest>> = group.iter().map(|block| roots.carried(block.height)).collect();
            let Some(carried) = carried else {
                return stop.set(StopError::Panicked("a state root was lost".into()));
            };
            let releases_failed = log.planted(Planted::ReceiptsOfFailedGroup);
            match commit(log, &mut tip, &mut group, &carried, &mut buffers, (&spare, &stats)) {
                Ok((durable, bytes)) => {
                    log = durable;
                    due.count(bytes);
                }
                Err(failure) => {
                    // The cause stands before the group is dropped, so that every batch in it tells its submitter.
                    failed(failure);
                    return group.into_iter().filter(|_| releases_failed).for_each(release);
                }
            }
            let meter = stats.meter();
            let count = group.iter().map(|block| block.count as usize).sum();
            group.into_iter().for_each(release);
            stats.record(Stage::Release, meter, count);
        }
    }
}

/// Fills the reserve of segments in small steps for as long as there is nothing to commit. One that can't be filled is no failure:
/// the next segment is then filled when it is needed, and stops the log there if the disk is still full.
fn refill<S: Storage>(log: &mut SegmentLog<S>, blocks: &Receiver<Executed>) {
    while blocks.is_empty() && matches!(log.fill_reserve(REFILL_BYTES), Ok(false)) {}
}

fn take_group(first: Executed, blocks: &Receiver<Executed>, bytes_max: usize) -> Vec<Executed> {
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while bytes < bytes_max
        && let Ok(next) = blocks.try_recv()
    {
        bytes += next.bytes();
        group.push(next);
    }
    group
}

/// Makes a group of blocks durable with one sync; gives the bytes of their frames too.
fn commit<S: Storage>(
    log: SegmentLog<S>,
    tip: &mut Digest,
    group: &mut [Executed],
    roots: &[Digest],
    buffers: &mut Vec<Vec<u8>>,
    (spare, stats): (&Sender<Effects>, &Stats),
) -> Result<(SegmentLog<S>, u64), LogFailure> {
    let meter = stats.meter();
    let count = group.iter().map(|block| block.count as usize).sum();
    let mut frames = Vec::with_capacity(group.len());
    for (block, &root) in group.iter_mut().zip(roots) {
        let builder = FrameBuilder::with_buffer(buffers.pop().unwrap_or_default(), log.body_bytes_max());
        let sealed = seal(block, *tip, root, builder)?;
        *tip = Digest(*sealed.hash());
        frames.push(sealed);
        // If there is no room the memory isn't needed.
        let _ = spare.try_send(std::mem::take(&mut block.settled.effects));
    }
    stats.record(Stage::Seal, meter, count);

    let meter = stats.meter();
    let mut log = log.append(&mut frames)?;
    if !log.planted(Planted::ReceiptsBeforeSync) {
        log = log.sync()?;
    }
    stats.record(Stage::Sync, meter, count);
    let bytes = frames.iter().map(|frame| frame.frame_bytes() as u64).sum();
    stats.record_blocks(group.len(), bytes);
    buffers.extend(frames.into_iter().map(Sealed::into_buffer));
    Ok((log, bytes))
}

/// Fixes a block's bytes and hash: the transactions as received, then the events, then the rejections.
fn seal(executed: &Executed, previous: Digest, root: Digest, mut builder: FrameBuilder) -> Result<Sealed, LogFailure> {
    let Executed { settled, parts, .. } = executed;
    for part in parts {
        builder.extend(part.bytes())?;
    }
    builder.extend(settled.effects.events())?;
    for (position, rejection) in &settled.rejections {
        builder.extend(&rejection.encode(*position))?;
    }
    let tree = transaction_tree(parts.iter().flat_map(Part::ids), &settled.rejections);
    let header = BlockHeader {
        height: executed.height,
        previous,
        body: Digest::default(),
        time: executed.time,
        first: executed.first,
        count: executed.count,
        rejected: u32::try_from(settled.rejections.len()).unwrap_or(u32::MAX),
        transactions: Digest(tree.root()),
        outcomes: settled.outcomes(),
        effects: settled.effects.digest(),
        state: root,
    };
    Ok(builder.seal(header.height.0, previous.0, &header.meta()))
}

/// The most bytes a block's rejections can take beside its transactions.
pub(crate) const fn rejection_bytes_max(transactions: usize) -> usize {
    transactions.saturating_mul(REJECTION_BYTES)
}

/// Hands out the receipts of a durable block.
fn release(block: Executed) {
    let mut rejections = block.settled.rejections.into_iter().peekable();
    let mut position = 0_u32;
    for part in block.parts {
        let end = position.saturating_add(part.count);
        let own = std::iter::from_fn(|| rejections.next_if(|&(place, _)| place < end));
        let rejections = own.map(|(place, rejection)| (place - position, rejection)).collect();
        let span = part.verified.span(part.start, part.count);
        let settlement = Settlement { span, height: block.height, time: block.time, position, rejections };
        part.verified.delivery.settle(settlement);
        position = end;
    }
}
