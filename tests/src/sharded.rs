//! Executes programs in memory, by shards or one by one: no log, no signatures. Compares that with the model.

use crate::case::Case;
use crate::compare::{on_model, shrink};
use crate::language::word;
use crate::program::{Program, Step};
use nostro::{Digest, ExecutionShape, MeasuredExecution, Outcome, PreparedBlock, Rejection, Time};

/// How many shards a layout has.
pub const SHARDS: [u32; 4] = [1, 2, 7, 64];

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

    /// The same blocks one by one.
    #[must_use]
    pub fn serial(self) -> Self {
        Self { shape: ExecutionShape::SERIAL, ..self }
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

/// What a program does according to the model.
#[derive(Debug)]
pub struct Expected {
    /// Of each transaction.
    pub outcomes: Vec<Outcome>,
    /// Of the state, in the end.
    pub digest: Digest,
}

/// Asks the model what a program does.
#[must_use]
pub fn expected(program: &Program) -> Expected {
    let model = on_model(program, None);
    Expected { outcomes: model.outcomes.into_iter().map(|(_, outcome)| outcome).collect(), digest: model.digest }
}

fn difference(program: &Program, expected: &Expected, seen: &Seen) -> Option<String> {
    let wrong = expected.outcomes.iter().zip(&seen.outcomes).position(|(model, own)| model != own);
    if let Some(place) = wrong {
        let (model, own) = (&expected.outcomes[place], &seen.outcomes[place]);
        return Some(format!("transaction {place}: the model says {}, the shards {}", word(model), word(own)));
    }
    assert_eq!(seen.outcomes.len(), program.steps.len());
    (expected.digest != seen.digest).then(|| "the state digests differ".to_owned())
}

/// In what a run of a program differs from what the model says, or from the effects of the same blocks one by one.
#[must_use]
pub fn differs(program: &Program, run: Run) -> Option<String> {
    // A mistake may also make the engine notice that money is lost.
    let quiet = std::panic::catch_unwind(|| {
        let seen = execute(program, run);
        difference(program, &expected(program), &seen).or_else(|| {
            let serial = execute(program, run.serial());
            let block = serial.effects.iter().zip(&seen.effects).position(|(one, other)| one != other)?;
            Some(format!("the effects of block {block} differ from those one by one"))
        })
    });
    quiet.unwrap_or_else(|_| Some("it panics".to_owned()))
}

/// Runs a program.
///
/// # Panics
/// If it does something else than the model, with the smallest program that still does.
#[must_use]
pub fn check_against_model(program: &Program, expected: &Expected, run: Run, what: &str) -> Seen {
    let seen = execute(program, run);
    if let Some(found) = difference(program, expected, &seen) {
        fail(program, run, &format!("{what}, {run:?}\n{found}"));
    }
    seen
}

/// Runs a program in blocks of a size one by one, and then in these layouts of so many shards and threads each, every second time with blocks that
/// are prepared early.
///
/// # Panics
/// If it does something else than the model, or if the effects of a block differ, with the smallest program that still does.
pub fn check_layouts(
    program: &Program,
    expected: &Expected,
    block_transactions_max: usize,
    layouts: &[(u32, usize)],
    what: &str,
) {
    let serial = Run::new(1, 0, block_transactions_max).serial();
    let serial = check_against_model(program, expected, serial, what);
    for (&(shards, threads), ahead) in layouts.iter().zip([1, 3].into_iter().cycle()) {
        let run = Run { ahead, ..Run::new(shards, threads, block_transactions_max) };
        if check_against_model(program, expected, run, what) != serial {
            fail(program, run, &format!("{what}, {run:?}\nthe effects differ from those one by one"));
        }
    }
}

/// Runs a case on the model and on engines, and in every layout.
///
/// # Panics
/// As [`Case::run`] and [`check_layouts`] do.
pub fn check_case(case: &Case) {
    case.run();
    let program = case.program();
    let layouts: Vec<(u32, usize)> = SHARDS.into_iter().flat_map(|shards| [(shards, 1), (shards, 2)]).collect();
    check_layouts(&program, &expected(&program), 16_384, &layouts, "a case");
}

/// Longer programs aren't shrunk, which would take hours.
const SHRUNK_MAX: usize = 2_000;

fn fail(program: &Program, run: Run, what: &str) -> ! {
    assert!(program.steps.len() <= SHRUNK_MAX, "{what}");
    let smallest = shrink(program, &mut |smaller| differs(smaller, run).is_some());
    panic!("{what}\nshrunk to {smallest:?}\n{:?}", differs(&smallest, run));
}
