//! Runs programs on the model and on engines, and says where they differ.

use crate::directory::Directory;
use crate::language;
use crate::model::{Bug, Model};
use crate::program::{Program, Step};
use crate::random::Random;
use crate::world::{config, open};
use nostro::{Address, Asset, Digest, Engine, EngineConfig, Event, Height, Holding, Outcome, Snapshot, Tickets, Time};

/// What can be seen of a ledger after a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Block time and outcome of every transaction, in order.
    pub outcomes: Vec<(Time, Outcome)>,
    /// Every account in the order they came into being.
    pub accounts: Vec<(Address, Vec<Holding>)>,
    /// Every asset by number.
    pub assets: Vec<Asset>,
    /// The state digest.
    pub digest: Digest,
    /// What has happened to accounts beside what transactions say, each with the place of its transaction in the whole program, where it was
    /// looked at.
    pub events: Option<Vec<Event>>,
}

/// How an engine is made to run a program; none of it may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Transactions per block at most.
    pub block_transactions_max: usize,
    /// Threads that verify.
    pub threads: usize,
    /// Decides where the program is cut into submissions.
    pub cuts: u64,
    /// Whether signatures are looked at.
    pub verifies: bool,
    /// Whether the ledger is opened again before it is looked at.
    pub reopens: bool,
}

impl Shape {
    /// One block after the other, nothing special.
    pub const PLAIN: Self = Self { block_transactions_max: 7, threads: 1, cuts: 1, verifies: false, reopens: false };

    /// The engine's limits.
    #[must_use]
    pub fn config(&self) -> EngineConfig {
        EngineConfig {
            block_transactions_max: self.block_transactions_max,
            threads: self.threads,
            trust_signatures: !self.verifies,
            ..config()
        }
    }
}

/// What the model makes of a program.
#[must_use]
pub fn on_model(program: &Program, bug: Option<Bug>) -> Observed {
    on_this_model(program, bug.map_or_else(Model::default, Model::with_bug), bug.is_none())
}

/// What a model that was set up makes of a program; `is_sound` if it has no bug, so that it may be held to its own rules after every step.
#[must_use]
pub fn on_this_model(program: &Program, mut model: Model, is_sound: bool) -> Observed {
    let mut outcomes = Vec::with_capacity(program.steps.len());
    for step in &program.steps {
        outcomes.push(model.apply(&step.transaction.as_ref(), step.time));
        if is_sound {
            model.assert_sound();
        }
    }
    let (accounts, assets, digest) = (model.accounts(), model.assets().to_vec(), model.digest());
    let events = Some(model.events().to_vec());
    Observed { outcomes, accounts, assets, digest, events }
}

/// What an engine makes of a program.
///
/// # Panics
/// If the engine doesn't take it, or breaks a rule that needs no model to be seen: receipts out of order, a block too large.
#[must_use]
pub fn on_engine(program: &Program, shape: Shape) -> Observed {
    on_engine_of(program, shape, &shape.config())
}

/// What an engine with these limits makes of a program.
///
/// # Panics
/// As [`on_engine`] does.
#[must_use]
pub fn on_engine_of(program: &Program, shape: Shape, config: &EngineConfig) -> Observed {
    let directory = Directory::in_memory();
    let mut engine = open(directory.path(), config.clone());
    let outcomes = submit(&engine, program, shape);
    if shape.reopens {
        engine.close().expect("a clean close");
        engine = open(directory.path(), config.clone());
    }
    let snapshot = engine.snapshot().expect("a snapshot");
    let observed = Observed { events: Some(events(&engine)), ..observe(outcomes, &snapshot) };
    engine.close().expect("a clean close");
    observed
}

/// What can be seen of a state, with outcomes that were seen before.
#[must_use]
pub fn observe(outcomes: Vec<(Time, Outcome)>, snapshot: &Snapshot) -> Observed {
    let assets = snapshot.assets().map(|(_, asset)| asset).collect();
    Observed { outcomes, accounts: snapshot.accounts().collect(), assets, digest: snapshot.digest(), events: None }
}

/// The events of all blocks, each with the place of its transaction among all.
///
/// # Panics
/// If a block can't be read.
#[must_use]
pub fn events(engine: &Engine) -> Vec<Event> {
    let mut events = Vec::new();
    for block in engine.blocks_from(Height(1)) {
        let block = block.expect("a whole log");
        let first = u32::try_from(block.header().first).expect("a short program");
        let own = block.view().expect("a whole block").events();
        events.extend(own.map(|event| Event { position: event.position.map(|place| first + place), ..event }));
    }
    events
}

/// Submits a program in random cuts; gives what became of it.
fn submit(engine: &Engine, program: &Program, shape: Shape) -> Vec<(Time, Outcome)> {
    let mut random = Random::new(shape.cuts);
    let longest = *random.pick(&[1, 5, 40, 1_000]);
    let mut tickets: Vec<Tickets> = Vec::new();
    for same_time in program.steps.chunk_by(|one, other| one.time == other.time) {
        let submitter = engine.submitter().waiting().at(same_time[0].time);
        let mut rest = same_time;
        while !rest.is_empty() {
            let (cut, after) = rest.split_at((1 + random.index(longest)).min(rest.len()));
            let batch: Vec<_> = cut.iter().map(|step| step.transaction.clone()).collect();
            tickets.push(submitter.submit_batch(&batch).expect("admitted"));
            rest = after;
        }
    }
    let receipts = tickets.into_iter().flat_map(|tickets| tickets.wait().expect("durable").iter().collect::<Vec<_>>());
    let (mut height, mut position) = (Height(0), 0);
    let mut outcomes = Vec::with_capacity(program.steps.len());
    for (Step { transaction, .. }, receipt) in program.steps.iter().zip(receipts) {
        let receipt = receipt.expect("nothing in a program is refused");
        assert_eq!(receipt.transaction, transaction.id(engine.ledger()), "receipts come in the order of submission");
        if receipt.height != height {
            assert_eq!(receipt.height, height.next(), "blocks follow each other");
            (height, position) = (receipt.height, 0);
        }
        assert_eq!(receipt.position, position, "transactions follow each other in block {height}");
        position += 1;
        assert!(position as usize <= shape.block_transactions_max, "block {height} is too large");
        outcomes.push((receipt.time, receipt.outcome));
    }
    assert_eq!(outcomes.len(), program.steps.len(), "every transaction has a receipt");
    outcomes
}

/// The first thing in which two runs of a program differ, as a sentence.
#[must_use]
pub fn difference(program: &Program, model: &Observed, engine: &Observed) -> Option<String> {
    for ((step, said), found) in program.steps.iter().zip(&model.outcomes).zip(&engine.outcomes) {
        if said != found {
            let word = |(time, outcome): &(Time, Outcome)| format!("{} at {time}", language::word(outcome));
            let transaction = language::show(&step.transaction.as_ref());
            return Some(format!("{transaction}: the model says {}, the engine {}", word(said), word(found)));
        }
    }
    if model.accounts != engine.accounts {
        return Some(format!("accounts: the model has {:?}, the engine {:?}", model.accounts, engine.accounts));
    }
    if let (Some(said), Some(found)) = (&model.events, &engine.events)
        && said != found
    {
        return Some(format!("events: the model has {said:?}, the engine {found:?}"));
    }
    if model.assets != engine.assets {
        return Some(format!("assets: the model has {:?}, the engine {:?}", model.assets, engine.assets));
    }
    (model.digest != engine.digest)
        .then(|| format!("state digest: the model's is {}, the engine's {}", model.digest, engine.digest))
}

/// Runs a program on the model and on an engine of this shape.
#[must_use]
pub fn differs(program: &Program, shape: Shape, bug: Option<Bug>) -> Option<String> {
    difference(program, &on_model(program, bug), &on_engine(program, shape))
}

/// Drops transactions from a program as long as it still differs.
#[must_use]
pub fn shrink(program: &Program, differs: &mut dyn FnMut(&Program) -> bool) -> Program {
    let mut smallest = program.clone();
    let mut piece = program.steps.len().div_ceil(2);
    while piece > 0 {
        let mut start = 0;
        while start < smallest.steps.len() {
            let mut without = smallest.clone();
            without.steps.drain(start..(start + piece).min(smallest.steps.len()));
            if differs(&without) {
                smallest = without;
            } else {
                start += piece;
            }
        }
        piece /= 2;
    }
    smallest
}
