//! The command line.

use crate::failure::Failure;
use crate::spec::{Arrivals, Distribution};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Loads a Nostro engine and measures it. Without a command: `run`.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate a load, drive a fresh engine with it, report.
    Run(RunArguments),
}

/// What to generate.
#[derive(Clone, Debug, Args)]
pub(crate) struct SpecArguments {
    /// Accounts that pay each other.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..=100_000_000))]
    pub(crate) accounts: u32,
    /// Transactions to generate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4_000_000_000))]
    pub(crate) transactions: Option<u64>,
    /// The same seed gives the same load and the same final digest.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Who pays and is paid: uniform, zipf:θ, or hot:k:p (k accounts take the share p).
    #[arg(long, value_name = "KIND", default_value = "uniform")]
    pub(crate) distribution: Distribution,
    /// Sends so many transactions per second, however fast answers come (open loop).
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) rate: Option<u64>,
    /// How the transactions of --rate follow each other: regular or poisson.
    #[arg(long, value_name = "KIND", default_value = "poisson")]
    pub(crate) arrivals: Arrivals,
    /// Signs nothing and verifies NO SIGNATURE AT ALL: for measuring the rest.
    #[arg(long)]
    pub(crate) trust_signatures: bool,
}

/// How to drive the engine, and where the result goes.
#[derive(Clone, Debug, Args)]
pub(crate) struct DriveArguments {
    /// Threads that verify; 0 takes one per core.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub(crate) threads: u16,
    /// Directory of the ledger, new or empty; without it a temporary one is used and removed.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,
    /// Writes the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Transactions per submission at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: Option<u32>,
}

/// `loadgen run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) spec: SpecArguments,
    /// Seconds to run, 5 unless --transactions says how many.
    #[arg(long, value_name = "S", conflicts_with = "transactions", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) duration: Option<u32>,
    #[command(flatten)]
    pub(crate) drive: DriveArguments,
    /// Keeps so many transactions in flight (closed loop).
    #[arg(long, value_name = "N", conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) in_flight: Option<u32>,
}

/// Reads the command line. `None` when it asked for help, which has been given.
pub(crate) fn parse() -> Result<Option<Command>, Failure> {
    match CommandLine::try_parse() {
        Ok(CommandLine { command, run }) => Ok(Some(command.unwrap_or(Command::Run(run)))),
        Err(error) if !error.use_stderr() => {
            print!("{}", error.render());
            Ok(None)
        }
        Err(error) => {
            let text = error.render().to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
            let text = lines.join(" ");
            Err(Failure::Usage(text.trim().trim_start_matches("error: ").to_owned()))
        }
    }
}
