//! `loadgen replay`: runs a load file, or another ledger's own log, at its own pace or flat out; and `loadgen run --load`.
//!
//! A load is run as it was recorded: its setup first and not counted, then its transactions in order, those that ask for a block
//! time at that time. A ledger is replayed block by block at the recorded block times; its signatures were verified when it was
//! written, so they aren't verified again, and the digest reached must be the one that its own blocks lead to.

use crate::arguments::{DriveArguments, ReplayArguments, Speed};
use crate::directory::Directory;
use crate::drive::{Limits, Sending, drive};
use crate::failure::Failure;
use crate::interrupt;
use crate::load::{Cutter, Hints, Load};
use crate::machine::{self, Machine};
use crate::measure::Dues;
use crate::outcome::{EngineSetup, HeldBack, Outcome, SCHEMA, TRUSTED};
use crate::run::{conclude, settled, sized_for};
use crate::show::{Show, grouped};
use nostro::{Digest, Engine, EngineConfig, Ledger, Time};
use std::path::Path;

const BATCH_DEFAULT: u32 = 1024;
/// Transactions of a setup submitted at a time: the largest ones still fit into the queue.
const SETUP_BATCH: u32 = 64;

/// Replays what is named.
pub(crate) fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let source = &arguments.source;
    arguments.drive.check_json()?;
    if source.is_dir() {
        if arguments.drive.hints {
            let text = "--hints: expected a load file, found a ledger, whose signatures aren't verified again";
            return Err(Failure::Usage(text.to_owned()));
        }
        if let Some(name) = &arguments.ledger {
            check_ledger(source, name, &nostro::ledger_name(source).map_err(Failure::new)?)?;
        }
        return replay_ledger(source, arguments);
    }
    let load = Load::open(source)?;
    if let Some(name) = &arguments.ledger {
        check_ledger(source, name, &load.header.ledger)?;
    }
    replay_load(source, &load, arguments.speed, arguments.trust_signatures, &arguments.drive, "replay")
}

fn check_ledger(source: &Path, expected: &str, found: &str) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    Err(Failure::at(source, format_args!("expected a load for the ledger {expected:?}, found one for {found:?}")))
}

/// Opens a fresh engine and begins its result.
fn begin(
    command: &str,
    ledger: &str,
    trust_signatures: bool,
    log_bytes: u64,
    drive: &DriveArguments,
    directory: &Directory,
) -> Result<(Engine, Outcome), Failure> {
    let config = EngineConfig {
        ledger: ledger.to_owned(),
        threads: usize::from(drive.threads),
        execute_threads: usize::from(drive.execute_threads),
        trust_signatures,
        ..sized_for(log_bytes)
    };
    let engine = Engine::open(directory.path(), config.clone()).map_err(Failure::new)?;
    let outcome = Outcome {
        schema: SCHEMA,
        command: command.to_owned(),
        arguments: std::env::args().skip(1).collect(),
        machine: Machine::this(),
        engine: EngineSetup::new(&config, &engine.stats()),
        trust_signatures,
        ..Outcome::default()
    };
    Ok((engine, outcome))
}

/// Runs a load file.
pub(crate) fn replay_load(
    source: &Path,
    load: &Load,
    speed: Speed,
    trust_signatures: bool,
    arguments: &DriveArguments,
    command: &str,
) -> Result<(), Failure> {
    let header = &load.header;
    if header.unsigned && !trust_signatures {
        return Err(Failure::at(
            source,
            "expected signed transactions, found a load recorded with --trust-signatures: it runs only with that flag",
        ));
    }
    let mut show = Show::new();
    if trust_signatures {
        show.say(TRUSTED);
    }
    let directory = Directory::take(arguments.dir.as_deref())?;
    let (engine, mut outcome) = begin(command, &header.ledger, trust_signatures, load.bytes(), arguments, &directory)?;
    outcome.seed = header.seed;
    outcome.load = format!("{}: {}", source.display(), header.spec);
    outcome.mode = mode(speed, header.timed, &mut outcome.notes);
    set_up(&engine, load, &mut show)?;
    let hints = if arguments.hints {
        let mut hints = Hints::new()?;
        hints.add(load.transactions())?;
        Some(hints.map()?)
    } else {
        None
    };

    show.expected = Some(header.transactions);
    outcome.hints = arguments.hints;
    machine::forget_memory_peak();
    let batch = arguments.batch.unwrap_or(BATCH_DEFAULT);
    let timed = header.timed && speed != Speed::Max;
    let driven = drive(&engine, Limits::default(), &mut show, |sending| {
        let mut cutter = Cutter::with_hints(load.transactions(), hints.as_deref().unwrap_or_default());
        for entry in load.entries() {
            let due = speed.scaled(entry.due_ns);
            if timed && !sending.wait_until(due) {
                break;
            }
            if !send_piece(sending, cutter.part(entry.bytes), batch, timed.then_some(due), entry.time)? {
                break;
            }
        }
        Ok(())
    })?;
    outcome.take(&driven, held_back(timed));
    let complete = !interrupt::is_set();
    outcome.expected_digest = header.digest.filter(|_| complete).map(|digest| digest.to_string());
    finish(outcome, engine, arguments.json.as_deref())
}

/// What limits a replay whose stages aren't saturated.
const fn held_back(timed: bool) -> HeldBack {
    if timed { HeldBack::By("recorded times") } else { HeldBack::Nothing }
}

/// Settles the setup of a load.
pub(crate) fn set_up(engine: &Engine, load: &Load, show: &mut Show) -> Result<(), Failure> {
    let submitter = engine.submitter().waiting();
    // At the time of the first block, so that later ones don't come too late for a clock that is ahead of them.
    let submitter = match load.entries().find_map(|entry| entry.time) {
        Some(time) => submitter.at(time),
        None => submitter,
    };
    let mut cutter = Cutter::new(load.setup());
    let mut done = 0;
    while !cutter.is_empty() && !interrupt::is_set() {
        let piece = cutter.take(SETUP_BATCH);
        settled(submitter.submit_encoded(piece.bytes).map_err(Failure::new)?)?;
        done += u64::from(piece.count);
        show.step("setup", done, load.header.setup_transactions);
    }
    show.clear();
    Ok(())
}

/// Settles a load once in a temporary directory, without verifying; gives the digest it leads to. Everything must be applied.
pub(crate) fn settle(path: &Path) -> Result<Digest, Failure> {
    let load = Load::open(path)?;
    let mut show = Show::new();
    let directory = Directory::take(None)?;
    let config = EngineConfig { ledger: load.header.ledger.clone(), trust_signatures: true, ..sized_for(load.bytes()) };
    let engine = Engine::open(directory.path(), config).map_err(Failure::new)?;
    set_up(&engine, &load, &mut show)?;
    let driven = drive(&engine, Limits::default(), &mut show, |sending| {
        for (entry, bytes) in load.pieces() {
            if !send_piece(sending, Cutter::new(bytes), BATCH_DEFAULT, None, entry.time)? {
                break;
            }
        }
        Ok(())
    })?;
    if interrupt::is_set() {
        return Err(Failure::at(path, "interrupted before its digest was known; the load itself is complete"));
    }
    let (expected, found) = (load.header.transactions, driven.measured.applied);
    if found != expected {
        let reasons = driven.measured.reasons.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Failure::at(
            path,
            format_args!("expected all {expected} transactions to be applied, found {found}: {reasons}"),
        ));
    }
    let digest = engine.snapshot().map_err(Failure::new)?.digest();
    engine.close().map_err(Failure::new)?;
    Ok(digest)
}

fn mode(speed: Speed, timed: bool, notes: &mut Vec<String>) -> String {
    match speed {
        Speed::Max => "queue kept full".to_owned(),
        Speed::Times(times) if timed => format!("recorded times, {times}x"),
        Speed::Times(_) => {
            notes.push("the load has no times recorded: it was sent as fast as there was room".to_owned());
            "queue kept full".to_owned()
        }
    }
}

/// Submits transactions of one time.
fn send_piece(
    sending: &mut Sending<'_>,
    mut cutter: Cutter<'_>,
    batch: u32,
    due_ns: Option<u64>,
    time: Option<Time>,
) -> Result<bool, Failure> {
    while !cutter.is_empty() {
        if !sending.send(cutter.take(batch), due_ns.map_or(Dues::WhenSent, Dues::At), time)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Replays a ledger's own log.
fn replay_ledger(source: &Path, arguments: &ReplayArguments) -> Result<(), Failure> {
    let mut show = Show::new();
    let name = nostro::ledger_name(source).map_err(Failure::new)?;
    Ledger::new(&name).map_err(|error| Failure::at(source, error))?;
    show.say(&format!("{}: the ledger {name:?}; checking it first", source.display()));
    let audit = nostro::audit_ledger(source, false, &mut |_, transactions| show.count("checked", transactions));
    let audit = audit.map_err(Failure::new)?;
    show.clear();
    if interrupt::is_set() {
        return Err(Failure::at(source, "interrupted before the replay began"));
    }
    let directory = Directory::take(arguments.drive.dir.as_deref())?;
    let (engine, mut outcome) = begin("replay", &name, true, audit.summary.bytes, &arguments.drive, &directory)?;
    outcome.load = format!("{}: {} blocks of the ledger {name:?}", source.display(), audit.summary.height);
    outcome.notes.push("signatures were verified when the ledger was written; they aren't here".to_owned());
    if let Some(torn) = &audit.summary.torn {
        outcome.notes.push(format!("the torn end was left out: {torn}"));
    }
    outcome.mode = mode(arguments.speed, true, &mut outcome.notes);
    show.expected = Some(audit.summary.transactions);
    machine::forget_memory_peak();
    let batch = arguments.drive.batch.unwrap_or(BATCH_DEFAULT);
    let speed = arguments.speed;
    let driven = drive(&engine, Limits::default(), &mut show, |sending| {
        let mut first = None;
        let (mut over, mut problem) = (false, None);
        let read = nostro::read_ledger(source, &mut |block| {
            let time = block.header().time;
            let since = time.0.saturating_sub(first.get_or_insert(time).0);
            let due = (speed != Speed::Max).then(|| speed.scaled(since.saturating_mul(1_000_000)));
            over = over || due.is_some_and(|due| !sending.wait_until(due));
            if over {
                return Err("stopped".into());
            }
            match send_piece(sending, Cutter::new(block.encoded_transactions()), batch, due, Some(time)) {
                Ok(true) => Ok(()),
                Ok(false) => {
                    over = true;
                    Err("stopped".into())
                }
                Err(failure) => {
                    problem = Some(failure);
                    Err("stopped".into())
                }
            }
        });
        match (problem, read) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) if !over => Err(Failure::new(error)),
            _ => Ok(()),
        }
    })?;
    outcome.take(&driven, held_back(speed != Speed::Max));
    let done = driven.measured.done();
    if done == audit.summary.transactions {
        outcome.expected_digest = Some(audit.state.to_string());
    } else {
        outcome.notes.push(format!(
            "{} of {} transactions replayed",
            grouped(done),
            grouped(audit.summary.transactions)
        ));
    }
    finish(outcome, engine, arguments.drive.json.as_deref())
}

/// Reports; a digest other than the expected one is a failure.
fn finish(outcome: Outcome, engine: Engine, json: Option<&Path>) -> Result<(), Failure> {
    let expected = outcome.expected_digest.clone();
    let found = conclude(outcome, engine, json)?;
    match expected {
        Some(expected) if expected != found => {
            Err(Failure::new(format!("final digest: expected {expected}, found {found}")))
        }
        _ => Ok(()),
    }
}
