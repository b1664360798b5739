//! Executes programs in memory, by shards or one by one: no log, no signatures.

use crate::program::{Program, Step};
use nostro::{Digest, ExecutionShape, MeasuredExecution, Outcome, PreparedBlock, Rejection, Time};

/// How a program is run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Shards, their pages, threads.
    pub shape: ExecutionShape,
    /// How many transactions a block has at most.
    pub block_transactions_max: usize,
    /// Blocks that are prepared before the first of them is executed.
    pub ahead: usize,
}

impl Run {
    /// So many shards and threads, each block prepared when it is due.
    #[must_use]
    pub const fn new(shards: u32, threads: usize, block_transactions_max: usize) -> Self {
        // A page for each account, so that neighbours are in different shards.
        let shape = ExecutionShape { shards, page_bits: 0, threads, planted: None };
        Self { shape, block_transactions_max, ahead: 1 }
    }
}

/// What can be seen of an execution.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Of each transaction.
    pub outcomes: Vec<Outcome>,
    /// Of each block.
    pub effects: Vec<Digest>,
    /// Of the state, in the end.
    pub digest: Digest,
}

/// Executes a program; a block ends where it is full and where the time changes.
///
/// # Panics
/// If what becomes of its transactions isn't told in order and once.
#[must_use]
pub fn execute(program: &Program, run: Run) -> Seen {
    let mut execution = MeasuredExecution::new(run.shape).expect("in range");
    let blocks = |steps: &[Step]| steps.chunks(run.block_transactions_max).map(<[Step]>::to_vec).collect::<Vec<_>>();
    let blocks: Vec<Vec<Step>> = program.steps.chunk_by(|one, other| one.time == other.time).flat_map(blocks).collect();
    let (mut outcomes, mut effects) = (Vec::new(), Vec::new());
    for blocks in blocks.chunks(run.ahead) {
        let prepare = |block: &Vec<Step>| -> (Time, usize, PreparedBlock) {
            let bytes = block.iter().flat_map(|step| step.transaction.bytes()).copied().collect();
            (block[0].time, block.len(), execution.prepare(bytes).expect("canonical"))
        };
        let prepared: Vec<_> = blocks.iter().map(prepare).collect();
        for (time, count, block) in prepared {
            let settled = execution.settle(time, &block);
            let mut rejections: Vec<(u32, Rejection)> = settled.rejections().to_vec();
            rejections.reverse();
            for position in 0..u32::try_from(count).expect("in range") {
                let own = rejections.pop_if(|&mut (place, _)| place == position);
                outcomes.push(own.map_or(Outcome::Applied, |(_, rejection)| Outcome::Rejected(rejection)));
            }
            assert!(rejections.is_empty(), "rejections come in order and once");
            effects.push(settled.effects());
            execution.reuse(settled);
        }
    }
    Seen { outcomes, effects, digest: execution.digest() }
}
