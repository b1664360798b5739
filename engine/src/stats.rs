//! What each stage costs: processor time, busy time, transactions.

use crate::error::CheckpointError;
use crate::types::Height;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Decoding, bounds, the copy; in the caller's thread.
    Admit,
    /// Ids and signatures; on all verifying threads.
    Verify,
    /// Assembly and execution; one thread.
    Execute,
    /// Hashing and laying out the block; the committing thread.
    Seal,
    /// Writing and syncing; the committing thread.
    Sync,
    /// Telling callers; the committing thread.
    Release,
    /// Writing checkpoints, rests included in what it takes; a thread of its own. No transaction passes here.
    Checkpoint,
    /// Making state roots; a thread of its own, beside the work. No transaction passes here.
    Root,
}

impl Stage {
    /// Every stage, in the order a transaction meets them.
    pub const ALL: [Self; 8] =
        [Self::Admit, Self::Verify, Self::Execute, Self::Seal, Self::Sync, Self::Release, Self::Checkpoint, Self::Root];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["admit", "verify", "execute", "seal", "sync", "release", "checkpoint", "root"][self as usize]
    }
}

/// What a stage has done since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageStats {
    /// Processor time of all its threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Time its threads were at it, waiting for the disk included, in nanoseconds.
    pub busy_ns: u64,
    /// Transactions it was done with.
    pub transactions: u64,
    /// Batches or blocks it took them in.
    pub pieces: u64,
}

/// How much of execution went by shards on several threads, and what stood against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Blocks that went by shards.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// What of them had to be done in order all the same: transactions whose outcome depends on others, and credits that had to wait.
    pub ordered: u64,
    /// How busy the busiest part of the shards was, in thousandths of what it would have had if all had been as busy: 1,000 is even, 2,000
    /// means that half of the threads could have waited. 0 if no block went by shards.
    pub busiest_per_mille: u64,
}

/// A part of the shards, which one thread works on at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardPartStats {
    /// Debits and credits of its accounts that were looked at side by side with those of others.
    pub halves: u64,
    /// Time that threads were at it, in nanoseconds.
    pub busy_ns: u64,
}

/// What an engine has done since it was opened. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    stages: [StageStats; 8],
    /// Threads that verify.
    pub verify_threads: usize,
    /// How they compute on this processor: `avx512`, `avx2` or `portable`; `none` where signatures are trusted.
    pub verify_path: &'static str,
    /// Transactions admitted and not yet durable.
    pub waiting_transactions: usize,
    /// Blocks that were executed by shards.
    pub shards: ShardStats,
    /// The parts of the shards in order; none if no block went by shards.
    pub shard_parts: Vec<ShardPartStats>,
    /// Blocks made durable.
    pub blocks: u64,
    /// Bytes written to the log for them, headers and padding included.
    pub log_bytes: u64,
    /// Height of the last checkpoint written, 0 if none was.
    pub checkpoint: Height,
    /// Why the last one that was due wasn't written, if it wasn't.
    pub checkpoint_failure: Option<CheckpointError>,
    /// Whether the committing thread runs at real-time priority. Where the system doesn't allow it, it runs as any other, and
    /// commits take longer to be told when all cores are busy.
    pub commit_is_real_time: bool,
}

impl EngineStats {
    /// What one stage has done.
    #[must_use]
    pub const fn stage(&self, stage: Stage) -> StageStats {
        self.stages[stage as usize]
    }
}

/// What verification runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verifying {
    pub threads: usize,
    pub path: &'static str,
}

#[derive(Debug, Default)]
struct Counters {
    cpu_ns: AtomicU64,
    busy_ns: AtomicU64,
    transactions: AtomicU64,
    pieces: AtomicU64,
}

/// Counters that the threads of the engine add to.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    stages: [Counters; 8],
    /// Blocks, transactions, ordered, and what the busiest had.
    shards: [AtomicU64; 4],
    shard_parts: Mutex<Vec<ShardPartStats>>,
    blocks: AtomicU64,
    log_bytes: AtomicU64,
    checkpoint: Mutex<(Height, Option<CheckpointError>)>,
    commit_is_real_time: AtomicBool,
}

/// When a piece of work began, by the wall and by this thread's processor time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    wall: Instant,
    cpu_ns: u64,
}

fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

impl Stats {
    #[expect(clippy::unused_self, reason = "reads as what it is for")]
    pub(crate) fn meter(&self) -> Meter {
        Meter { wall: Instant::now(), cpu_ns: thread_cpu_ns() }
    }

    /// Counts a piece of work that began at `meter` and ends now.
    pub(crate) fn record(&self, stage: Stage, meter: Meter, transactions: usize) {
        let counters = &self.stages[stage as usize];
        let busy = u64::try_from(meter.wall.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counters.busy_ns.fetch_add(busy, Ordering::Relaxed);
        counters.cpu_ns.fetch_add(thread_cpu_ns().saturating_sub(meter.cpu_ns), Ordering::Relaxed);
        counters.transactions.fetch_add(transactions as u64, Ordering::Relaxed);
        counters.pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds to what went by shards: blocks, transactions, what was ordered, and what it would have been if all had been as busy as the
    /// busiest, in halves of payments; and to each part how many of those it had, and how long it was worked on.
    pub(crate) fn record_shards(&self, counts: [u64; 4], parts: &[(u64, u64)]) {
        if !parts.is_empty() {
            let mut all = self.shard_parts.lock();
            all.resize(parts.len(), ShardPartStats::default());
            for (part, (halves, busy_ns)) in all.iter_mut().zip(parts) {
                part.halves = part.halves.saturating_add(*halves);
                part.busy_ns = part.busy_ns.saturating_add(*busy_ns);
            }
        }
        for (counter, count) in self.shards.iter().zip(counts).filter(|&(_, count)| count > 0) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn record_blocks(&self, blocks: usize, log_bytes: u64) {
        self.blocks.fetch_add(blocks as u64, Ordering::Relaxed);
        self.log_bytes.fetch_add(log_bytes, Ordering::Relaxed);
    }

    pub(crate) fn record_checkpoint(&self, done: &Result<Height, CheckpointError>) {
        let mut last = self.checkpoint.lock();
        match done {
            Ok(height) => *last = (*height, None),
            Err(error) => last.1 = Some(error.clone()),
        }
    }

    pub(crate) fn record_priority(&self, commit_is_real_time: bool) {
        self.commit_is_real_time.store(commit_is_real_time, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, verifying: Verifying, waiting_transactions: usize) -> EngineStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stages = std::array::from_fn(|stage| {
            let counters = &self.stages[stage];
            StageStats {
                cpu_ns: read(&counters.cpu_ns),
                busy_ns: read(&counters.busy_ns),
                transactions: read(&counters.transactions),
                pieces: read(&counters.pieces),
            }
        });
        let [own_blocks, transactions, ordered, busiest] = std::array::from_fn(|count| read(&self.shards[count]));
        let busiest_per_mille = busiest.saturating_mul(1_000).checked_div(transactions.saturating_mul(2)).unwrap_or(0);
        let shards = ShardStats { blocks: own_blocks, transactions, ordered, busiest_per_mille };
        let shard_parts = self.shard_parts.lock().clone();
        let (blocks, log_bytes) = (read(&self.blocks), read(&self.log_bytes));
        let (checkpoint, checkpoint_failure) = self.checkpoint.lock().clone();
        let commit_is_real_time = self.commit_is_real_time.load(Ordering::Relaxed);
        let Verifying { threads: verify_threads, path: verify_path } = verifying;
        EngineStats {
            stages,
            verify_threads,
            verify_path,
            waiting_transactions,
            shards,
            shard_parts,
            blocks,
            log_bytes,
            checkpoint,
            checkpoint_failure,
            commit_is_real_time,
        }
    }
}
