//! Execution by itself, for benchmarks and for tests of many shapes: a state in memory and blocks for it, no log, no signatures.

use super::{Effects, Mode, PlantedOrder, Scratch, Settled, Sharding, execute_all};
use crate::block::Block;
use crate::crew::Crew;
use crate::prepare::{PreparedBatch, prepare};
use crate::state::{Layout, State};
use crate::transaction::TransactionRef;
use crate::types::{Digest, Rejection, Time};
use crate::wire::Malformed;

/// How blocks are executed; none of it may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionShape {
    /// Shards the accounts are in. In [1, 1024].
    pub shards: u32,
    /// Accounts per page of a shard, as a power of two. In [0, 12].
    pub page_bits: u32,
    /// Threads that go by shards; 0 executes one by one.
    pub threads: usize,
    /// A mistake on purpose.
    pub planted: Option<PlantedOrder>,
}

impl ExecutionShape {
    /// One by one, laid out as in an engine.
    pub const SERIAL: Self = Self { shards: 64, page_bits: 10, threads: 0, planted: None };
}

/// A state that blocks are executed on.
#[derive(Debug)]
pub struct MeasuredExecution {
    state: State,
    scratch: Scratch,
    time: Time,
}

/// Transactions of a block, with what was known of them before.
#[derive(Debug)]
pub struct PreparedBlock {
    bytes: Vec<u8>,
    prepared: PreparedBatch,
}

/// A block whose effects haven't been taken yet.
#[derive(Debug)]
#[must_use = "its effects have to be taken"]
pub struct ExecutedBlock {
    count: u32,
    rejections: Vec<(u32, Rejection)>,
}

/// What became of a block.
#[derive(Debug)]
pub struct SettledBlock(Settled);

impl SettledBlock {
    /// Rejections by position, ascending.
    #[must_use]
    pub fn rejections(&self) -> &[(u32, Rejection)] {
        &self.0.rejections
    }

    /// The digest over everything the block changed.
    #[must_use]
    pub fn effects(&self) -> Digest {
        self.0.effects.digest()
    }
}

impl MeasuredExecution {
    /// An empty state.
    ///
    /// # Errors
    /// If the system has no randomness or no threads.
    ///
    /// # Panics
    /// If a number of the shape is outside its interval.
    pub fn new(shape: ExecutionShape) -> std::io::Result<Self> {
        let ExecutionShape { shards, page_bits, threads, planted } = shape;
        let state = State::with_layout(Layout::new(shards, page_bits))?;
        let mut execution = Self { state, scratch: Scratch::default(), time: Time(0) };
        execution.use_threads(threads, planted)?;
        Ok(execution)
    }

    /// Goes on with so many threads; 0 executes one by one.
    ///
    /// # Errors
    /// If the system has no threads.
    pub fn use_threads(&mut self, threads: usize, planted: Option<PlantedOrder>) -> std::io::Result<()> {
        let crew = Crew::new(threads)?;
        self.scratch.sharding = (threads > 0).then(|| Box::new(Sharding::new(crew, Mode::Always, planted)));
        Ok(())
    }

    /// Prepares encoded transactions that lie back to back, with the accounts that are there by now.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn prepare(&self, bytes: Vec<u8>) -> Result<PreparedBlock, Malformed> {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            (_, rest) = TransactionRef::decode_prefix(rest)?;
        }
        let mut prepared = PreparedBatch::default();
        prepare(&self.state.resolver(), &bytes, &mut prepared);
        Ok(PreparedBlock { bytes, prepared })
    }

    /// Executes a block at a time, or at that of the block before if that is later.
    pub fn settle(&mut self, time: Time, block: &PreparedBlock) -> SettledBlock {
        let executed = self.execute(time, block);
        self.finish(executed)
    }

    /// The first part of settling: everything but the effects. [`finish`](Self::finish) has to follow.
    pub fn execute(&mut self, time: Time, block: &PreparedBlock) -> ExecutedBlock {
        self.time = self.time.max(time);
        let count = block.prepared.transactions.len();
        let run = block.prepared.run(&block.bytes, 0..count);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let block = Block::assemble(self.time, count, vec![run]);
        ExecutedBlock { count, rejections: execute_all(&block, &mut self.state, &mut self.scratch) }
    }

    /// The second part: the effects of the block, as bytes.
    pub fn finish(&mut self, executed: ExecutedBlock) -> SettledBlock {
        let ExecutedBlock { count, rejections } = executed;
        SettledBlock(Settled { count, rejections, effects: Effects::take(&mut self.state, &mut self.scratch, None) })
    }

    /// Takes memory back for the next block.
    pub fn reuse(&mut self, settled: SettledBlock) {
        self.scratch.reuse(settled.0.effects);
    }

    /// The state digest.
    pub fn digest(&mut self) -> Digest {
        self.state.share_records().digest()
    }
}
