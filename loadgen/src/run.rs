//! `loadgen run`: generates a load, drives a fresh engine with it, reports.
//!
//! The setup (the asset, and money for everybody) is settled before the clock starts and isn't counted. So that signing doesn't
//! compete with the engine, everything is signed before. A run of some duration first measures, on the first transactions of the
//! load, how fast the engine takes them, and then signs as many as it will need, and some more.

use crate::accounts::Accounts;
use crate::arguments::{RunArguments, Speed};
use crate::directory::Directory;
use crate::drive::{Driven, Limits, drive};
use crate::failure::Failure;
use crate::generate::{Generator, Run};
use crate::interrupt;
use crate::load::{Cutter, Hints, Load, Spool};
use crate::machine::{self, Machine};
use crate::mix::Mix;
use crate::outcome::{EngineSetup, HeldBack, Outcome, SCHEMA};
use crate::replay::replay_load;
use crate::show::{Show, grouped, per_second};
use crate::spec::Schedule;
use nostro::{Engine, EngineConfig, Ledger};
use std::time::Duration;

/// The ledger that generated loads are for.
pub(crate) const LEDGER: &str = "nostro loadgen";
const DURATION_DEFAULT: u32 = 5;
const BATCH_DEFAULT: u32 = 1024;
/// How long the engine is tried before a run of some duration, and with how many transactions at most.
const WARM_UP: Duration = Duration::from_millis(700);
const WARM_UP_SIGNED: u64 = 100_000;
const WARM_UP_TRUSTED: u64 = 1_000_000;

/// Runs it.
pub(crate) fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let spec = &arguments.spec;
    arguments.drive.check_json()?;
    if let Some(path) = &arguments.load {
        let load = Load::open(path)?;
        return replay_load(path, &load, Speed::Max, spec.trust_signatures, &arguments.drive, "run");
    }
    let mut show = Show::new();
    let directory = Directory::take(arguments.drive.dir.as_deref())?;
    let config = EngineConfig {
        ledger: LEDGER.to_owned(),
        threads: usize::from(arguments.drive.threads),
        execute_threads: usize::from(arguments.drive.execute_threads),
        trust_signatures: spec.trust_signatures,
        ..sized_for(log_bytes(arguments))
    };
    let ledger = Ledger::new(LEDGER).map_err(Failure::new)?;
    if spec.trust_signatures {
        show.say(crate::outcome::TRUSTED);
    }
    let ledger_place = if directory.is_temporary() { "a temporary directory" } else { "the directory given" };
    show.say(&format!(
        "{}, {} accounts, {}, seed {}; ledger in {ledger_place}",
        spec.mix,
        grouped(u64::from(spec.accounts)),
        spec.distribution,
        spec.seed
    ));
    let accounts = Accounts::derive(spec.seed, spec.accounts, !spec.trust_signatures);
    let mut generator = Generator::new(&ledger, accounts, spec.seed, spec.distribution, spec.mix)?;
    let engine = Engine::open(directory.path(), config.clone()).map_err(Failure::new)?;

    let mut outcome = Outcome {
        schema: SCHEMA,
        command: "run".to_owned(),
        mode: mode(arguments),
        arguments: std::env::args().skip(1).collect(),
        seed: spec.seed,
        machine: Machine::this(),
        engine: EngineSetup::new(&config, &engine.stats()),
        trust_signatures: spec.trust_signatures,
        hints: arguments.drive.hints,
        ..Outcome::default()
    };
    fund(&engine, &mut generator, spec.mix, &mut show)?;
    let (driven, generated) = match arguments.spec.transactions {
        Some(count) => run_count(arguments, &engine, generator, &mut show, count)?,
        None => run_duration(arguments, &engine, generator, &mut show, &mut outcome.notes)?,
    };
    if let Some(driven) = driven {
        let held_back = match (spec.rate.and_then(|rate| u32::try_from(rate).ok()), arguments.in_flight) {
            (Some(rate), _) => HeldBack::Rate(f64::from(rate)),
            (_, Some(_)) => HeldBack::By("in-flight"),
            _ => HeldBack::Nothing,
        };
        outcome.take(&driven, held_back);
    }
    outcome.load = format!(
        "{}, {} accounts, {}, seed {}, {} transactions generated",
        spec.mix, spec.accounts, spec.distribution, spec.seed, generated
    );
    outcome.rate_per_second = spec.rate.and_then(|rate| u32::try_from(rate).ok()).map(f64::from);
    conclude(outcome, engine, arguments.drive.json.as_deref()).map(|_| ())
}

/// What a run will write to the log, as far as that can be told before.
fn log_bytes(arguments: &RunArguments) -> u64 {
    /// More than this machine's kind has been seen to write.
    const BYTES_PER_SECOND_MAX: u64 = 250 << 20;
    const PAGE_BYTES: u64 = 4096;
    /// Money and goods for an account, and what it opens.
    const ACCOUNT_BYTES: u64 = 400;
    const TRANSFER_BYTES: u64 = 192;
    let spec = &arguments.spec;
    // At a low rate every transaction may take a page of its own.
    let length = spec.mix.length().saturating_mul(TRANSFER_BYTES + 8);
    let each = if spec.rate.is_some() { length.max(PAGE_BYTES) } else { length };
    let transfers = match spec.transactions {
        Some(count) => count.saturating_mul(each),
        None => u64::from(arguments.duration.unwrap_or(DURATION_DEFAULT)).saturating_mul(BYTES_PER_SECOND_MAX),
    };
    transfers.saturating_add(u64::from(spec.accounts).saturating_mul(ACCOUNT_BYTES))
}

/// The default configuration with a reserve for as much as will be written, so that no segment is filled with zeros beside the run;
/// with small segments for what is far smaller than a default one.
pub(crate) fn sized_for(log_bytes: u64) -> EngineConfig {
    const SMALL_SEGMENT_BYTES: u64 = 16 << 20;
    const RESERVE_BYTES_MAX: u64 = 8 << 30;
    let default = EngineConfig::default();
    if log_bytes > SMALL_SEGMENT_BYTES / 2 {
        return EngineConfig { log_reserve_bytes: log_bytes.min(RESERVE_BYTES_MAX), ..default };
    }
    EngineConfig { segment_bytes: SMALL_SEGMENT_BYTES, log_reserve_bytes: SMALL_SEGMENT_BYTES, ..default }
}

/// Takes the digest, closes the engine, writes and prints the result.
pub(crate) fn conclude(
    mut outcome: Outcome,
    engine: Engine,
    json: Option<&std::path::Path>,
) -> Result<String, Failure> {
    outcome.interrupted = interrupt::is_set();
    outcome.final_digest = engine.snapshot().map_err(Failure::new)?.digest().to_string();
    engine.close().map_err(Failure::new)?;
    if let Some(path) = json {
        outcome.write(path)?;
    }
    print!("{}", outcome.text());
    Ok(outcome.final_digest)
}

fn mode(arguments: &RunArguments) -> String {
    match (arguments.spec.rate, arguments.in_flight) {
        (Some(rate), _) => format!("open loop, {rate} per second, {}", arguments.spec.arrivals),
        (_, Some(count)) => format!("closed loop, {count} in flight"),
        _ => "queue kept full".to_owned(),
    }
}

/// Registers the assets, funds every account, opens what the mix begins with.
fn fund(engine: &Engine, generator: &mut Generator<'_>, mix: Mix, show: &mut Show) -> Result<(), Failure> {
    let submitter = engine.submitter().waiting();
    let submitter = mix.time().map_or(submitter.clone(), |time| submitter.at(time));
    let mut waiting = std::collections::VecDeque::new();
    let (mut done, all) = (0, generator.setup_count());
    for run in generator.setup() {
        if interrupt::is_set() {
            break;
        }
        let run = run?;
        waiting.push_back(submitter.submit_encoded(&run.bytes).map_err(Failure::new)?);
        done += run.count;
        show.step("funding", done, all);
        if waiting.len() > 64
            && let Some(tickets) = waiting.pop_front()
        {
            settled(tickets)?;
        }
    }
    waiting.into_iter().try_for_each(settled)?;
    show.clear();
    Ok(())
}

/// Waits for a piece of a load, of which everything must be applied.
pub(crate) fn settled(tickets: nostro::Tickets) -> Result<(), Failure> {
    let receipts = tickets.wait().map_err(Failure::new)?;
    let (applied, count) = (receipts.applied(), receipts.len());
    if applied == count {
        return Ok(());
    }
    let reason = receipts.iter().find_map(|result| match result {
        Ok(receipt) => match receipt.outcome {
            nostro::Outcome::Applied => None,
            nostro::Outcome::Rejected(rejection) => Some(rejection.to_string()),
        },
        Err(refusal) => Some(refusal.to_string()),
    });
    let reason = reason.unwrap_or_default();
    Err(Failure::new(format!("expected all {count} transactions to be applied, found {applied}: {reason}")))
}

/// Generates and signs into the spool. `false` if it was interrupted.
fn sign(
    generator: &mut Generator<'_>,
    signed: &mut Signed,
    count: u64,
    show: &mut Show,
    what: &str,
) -> Result<bool, Failure> {
    let start = generator.made();
    let mut done = 0;
    while done < count {
        if interrupt::is_set() {
            show.clear();
            return Ok(false);
        }
        for run in generator.next(count - done)? {
            signed.add(&run)?;
        }
        done = generator.made() - start;
        show.step(what, done, count);
    }
    show.clear();
    Ok(true)
}

const fn signing(arguments: &RunArguments) -> &'static str {
    if arguments.spec.trust_signatures { "generating" } else { "signing" }
}

fn run_count(
    arguments: &RunArguments,
    engine: &Engine,
    mut generator: Generator<'_>,
    show: &mut Show,
    count: u64,
) -> Result<(Option<Driven>, u64), Failure> {
    let mut signed = Signed::new(arguments)?;
    if !sign(&mut generator, &mut signed, count, show, signing(arguments))? {
        return Ok((None, generator.made()));
    }
    // The keys of all accounts would count as memory of the run.
    drop(generator);
    show.expected = Some(count);
    Ok((Some(measure(arguments, engine, &signed, 0, None, show)?), count))
}

fn run_duration(
    arguments: &RunArguments,
    engine: &Engine,
    mut generator: Generator<'_>,
    show: &mut Show,
    notes: &mut Vec<String>,
) -> Result<(Option<Driven>, u64), Failure> {
    let duration = Duration::from_secs(u64::from(arguments.duration.unwrap_or(DURATION_DEFAULT)));
    let mut signed = Signed::new(arguments)?;
    let mix = arguments.spec.mix;
    let trial_max = if arguments.spec.trust_signatures { WARM_UP_TRUSTED } else { WARM_UP_SIGNED } / mix.length();
    let expected = |rate: u64, time: Duration| {
        // A given rate is kept, give or take; a trial is short, so two fifths more than it says, and the queue on top.
        let count = u128::from(rate) * time.as_millis() / 1000;
        let count = if arguments.spec.rate.is_some() {
            count * 51 / 50 + 1000
        } else {
            count * 7 / 5 + 65_536 / u128::from(mix.length())
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    let (rate, start) = if let Some(rate) = arguments.spec.rate {
        (rate, 0)
    } else {
        if !sign(&mut generator, &mut signed, trial_max, show, "preparing a trial")? {
            return Ok((None, generator.made()));
        }
        let trial = measure(arguments, engine, &signed, 0, Some(WARM_UP), show)?;
        let rate = per_second(trial.submitted, Duration::from_secs_f64(trial.seconds));
        notes.push(format!("warmed up with {} transactions, not counted", grouped(trial.submitted)));
        (rate, trial.submitted)
    };
    let needed = expected(rate, duration).saturating_sub(signed.count.saturating_sub(start));
    if !sign(&mut generator, &mut signed, needed, show, signing(arguments))? {
        return Ok((None, generator.made()));
    }
    let generated = generator.made();
    drop(generator);
    show.expected = None;
    let driven = measure(arguments, engine, &signed, start, Some(duration), show)?;
    let given = signed.count.saturating_sub(start);
    if driven.submitted == given && !interrupt::is_set() {
        notes.push(format!("the {} transactions signed ran out before the time did", grouped(given)));
    }
    Ok((Some(driven), generated))
}

/// What was generated before the clock starts.
#[derive(Debug)]
struct Signed {
    transactions: Spool,
    hints: Option<Hints>,
    count: u64,
}

impl Signed {
    fn new(arguments: &RunArguments) -> Result<Self, Failure> {
        let hints = arguments.drive.hints.then(Hints::new).transpose()?;
        Ok(Self { transactions: Spool::new("load")?, hints, count: 0 })
    }

    fn add(&mut self, run: &Run) -> Result<(), Failure> {
        self.count = self.count.saturating_add(run.count);
        if let Some(hints) = &mut self.hints {
            hints.add(&run.bytes)?;
        }
        self.transactions.append(&run.bytes)
    }
}

/// Drives the engine with what was generated, but for so many at its beginning.
fn measure(
    arguments: &RunArguments,
    engine: &Engine,
    signed: &Signed,
    start: u64,
    duration: Option<Duration>,
    show: &mut Show,
) -> Result<Driven, Failure> {
    let transactions = signed.transactions.map()?;
    let hints = signed.hints.as_ref().map(Hints::map).transpose()?;
    let mut cutter = Cutter::with_hints(&transactions, hints.as_deref().unwrap_or_default());
    cutter.take(u32::try_from(start).unwrap_or(u32::MAX));
    let batch = arguments.drive.batch.unwrap_or_else(|| {
        arguments.in_flight.map_or(BATCH_DEFAULT, |in_flight| (in_flight / 4).clamp(1, BATCH_DEFAULT))
    });
    let in_flight_max = arguments.in_flight;
    let batch = in_flight_max.map_or(batch, |in_flight| batch.min(in_flight));
    machine::forget_memory_peak();
    let limits = Limits { duration, in_flight_max, time: arguments.spec.mix.time() };
    let arrivals = arguments.spec.arrivals;
    let schedule = arguments.spec.rate.map(|rate| Schedule::new(arrivals, rate, arguments.spec.seed));
    drive(engine, limits, show, |sending| match schedule {
        Some(mut dues) => sending.send_due(cutter, batch, &mut dues),
        None => sending.send_all(cutter, batch),
    })
}
