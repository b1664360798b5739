//! The load generator: drives an embedded engine with generated, recorded or imported loads, and says what it measured.
//!
//! ```text
//! spec ──► accounts ──► generate ──► load file ──► drive ──► measure ──► outcome
//!  what      keys       signs        maps it       submits    histograms   text, JSON
//! ```
//!
//! # Rules
//!
//! 1. Everything is signed before the clock starts, so signing never competes with the engine.
//! 2. The same seed gives the same bytes and the same final digest, whatever the threads and the batches.
//! 3. Latency runs from the moment a transaction was meant to be sent, not from when there was time to send it.
//! 4. What was left out, refused or not verified is said in every output.
//! 5. Nothing is deleted that loadgen didn't create.

mod accounts;
mod arguments;
mod compare;
mod directory;
mod drive;
mod failure;
mod forms;
mod generate;
mod import;
mod inspect;
mod interrupt;
mod limit;
mod load;
mod machine;
mod measure;
mod mix;
mod outcome;
mod record;
mod repair;
mod replay;
mod report;
mod run;
mod show;
mod spec;
mod verify;

pub use generate::{UnsignedLoad, unsigned_load};
pub use mix::Mix;

use arguments::Command;
use std::process::ExitCode;

/// Exit code of a run that Ctrl-C ended early.
const INTERRUPTED: u8 = 130;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let command = match arguments::parse() {
        Ok(Some(command)) => command,
        Ok(None) => return ExitCode::SUCCESS,
        Err(failure) => return failure.report(),
    };
    match dispatch(&command) {
        Ok(()) if interrupt::is_set() => ExitCode::from(INTERRUPTED),
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.report();
            if interrupt::is_set() { ExitCode::from(INTERRUPTED) } else { code }
        }
    }
}

fn dispatch(command: &Command) -> Result<(), failure::Failure> {
    if command.drives_or_writes() {
        interrupt::listen()?;
    }
    match command {
        Command::Run(arguments) => run::run(arguments),
        Command::Record(arguments) => record::record(arguments),
        Command::Replay(arguments) => replay::replay(arguments),
        Command::Import(arguments) => import::import(arguments),
        Command::Verify(arguments) => verify::verify(arguments),
        Command::Inspect(arguments) => inspect::inspect(arguments),
        Command::Repair(arguments) => repair::repair(arguments),
        Command::Report(arguments) => report::report(arguments),
        Command::Compare(arguments) => compare::compare(arguments),
    }
}
