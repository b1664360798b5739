//! The command line.

use crate::failure::Failure;
use crate::mix::Mix;
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
    /// Generate, sign and write a load file without running it.
    Record(RecordArguments),
    /// Run a load file or a ledger's own log again, and compare the digest.
    Replay(ReplayArguments),
    /// Turn a data set into a load file.
    Import(ImportArguments),
    /// Check every hash, digest and outcome of a ledger, and every signature if asked.
    Verify(VerifyArguments),
    /// Show what is in a ledger or in a load file.
    Inspect(InspectArguments),
    /// Cut a damaged ledger after a block that is whole. What is cut is lost to the ledger; a copy is kept.
    Repair(RepairArguments),
    /// Show a result that was written with --json.
    Report(ReportArguments),
    /// Compare two results.
    Compare(CompareArguments),
}

impl Command {
    /// Whether it drives an engine or writes a file, so that Ctrl-C has to end it in good order. The others only read.
    pub(crate) const fn drives_or_writes(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Record(_) | Self::Replay(_) | Self::Import(_))
    }
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
    /// What the transactions are: payments, or operations in the shares of some trade.
    #[arg(long, value_name = "NAME", default_value = "payments")]
    pub(crate) mix: Mix,
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
    /// Threads that execute large blocks by shards; 0 leaves it to the engine, 1 executes one by one.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub(crate) execute_threads: u16,
    /// Directory of the ledger, new or empty; without it a temporary one is used and removed.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,
    /// Writes the result there as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Transactions per submission at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: Option<u32>,
    /// Sends a hint beside every signature, made before the clock starts as one who signs would make it: spares a square root.
    #[arg(long, conflicts_with = "trust_signatures")]
    pub(crate) hints: bool,
}

impl DriveArguments {
    /// Makes sure that the result can be written, before the work is done whose result it is.
    pub(crate) fn check_json(&self) -> Result<(), Failure> {
        let Some(path) = &self.json else { return Ok(()) };
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened
            .map(drop)
            .map_err(|error| Failure::at(path, format_args!("expected to write the result, found: {error}")))
    }
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
    /// Runs a recorded load instead of generating one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["transactions", "duration", "rate", "in_flight", "seed", "mix", "distribution", "accounts"])]
    pub(crate) load: Option<PathBuf>,
}

/// `loadgen record`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordArguments {
    #[command(flatten)]
    pub(crate) spec: SpecArguments,
    /// The load file, which mustn't be there yet.
    #[arg(long, value_name = "LOAD")]
    pub(crate) out: PathBuf,
    /// Name of the ledger the load is for.
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger: Option<String>,
}

/// How fast a load is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speed {
    /// As fast as there is room.
    Max,
    /// So many times as fast as it was recorded.
    Times(u32),
}

impl Speed {
    /// A time from the start of the recording, in the replay.
    pub(crate) fn scaled(self, due_ns: u64) -> u64 {
        match self {
            Self::Max => 0,
            Self::Times(times) => due_ns / u64::from(times.max(1)),
        }
    }
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = || text.strip_suffix('x')?.parse().ok().filter(|&times| times >= 1).map(Self::Times);
        let max = (text == "max").then_some(Self::Max);
        max.or_else(times).ok_or_else(|| "expected 1x, 10x or another whole number of times, or max".to_owned())
    }
}

/// `loadgen replay`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArguments {
    /// A load file, or the directory of a ledger.
    pub(crate) source: PathBuf,
    /// 1x keeps the recorded times, 10x is ten times as fast, max doesn't wait.
    #[arg(long, value_name = "SPEED", default_value = "max")]
    pub(crate) speed: Speed,
    /// Verifies NO SIGNATURE AT ALL. A ledger's own log is always replayed so: its signatures were verified when it was written.
    #[arg(long)]
    pub(crate) trust_signatures: bool,
    /// Refuses a load for any ledger but the one of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger: Option<String>,
    #[command(flatten)]
    pub(crate) drive: DriveArguments,
}

/// Data sets that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// `transactions.csv` of ethereum-etl.
    EthereumEtl,
    /// `token_transfers` of stellar-etl, JSON lines.
    StellarTransfers,
    /// `trans.asc` of the Berka data set; each balance is checked by the ledger.
    Berka,
    /// Messages of LOBSTER; with --book the exchange's book is compared.
    Lobster,
    /// Any CSV with a header, by --map.
    Csv,
}

/// `loadgen import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArguments {
    /// Which data set it is.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// The data set.
    pub(crate) file: PathBuf,
    /// The load file, which mustn't be there yet.
    #[arg(long, value_name = "LOAD")]
    pub(crate) out: PathBuf,
    /// Which columns of a CSV mean what: from=…,to=…,amount=… and, if there are any, asset=…,time=….
    #[arg(long, value_name = "MAP", required_if_eq("format", "csv"))]
    pub(crate) map: Option<String>,
    /// The order book file that belongs to the messages of LOBSTER: says what waited before, and what has to wait after each message.
    #[arg(long, value_name = "FILE")]
    pub(crate) book: Option<PathBuf>,
    /// Leaves out up to so many rows that can't be read, and reports each.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_bad: u64,
    /// Name of the ledger the load is for.
    #[arg(long, value_name = "NAME")]
    pub(crate) ledger: Option<String>,
}

/// `loadgen verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Directory of the ledger.
    pub(crate) directory: PathBuf,
    /// Verifies every signature too.
    #[arg(long)]
    pub(crate) signatures: bool,
}

/// `loadgen inspect`.
#[derive(Clone, Debug, Args)]
pub(crate) struct InspectArguments {
    /// Directory of a ledger, or a load file.
    pub(crate) source: PathBuf,
    /// Shows the transactions of this block instead of all blocks.
    #[arg(long, value_name = "H", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) height: Option<u64>,
    /// Shows the transactions from this place on, from 0: of a load file behind its setup, of a ledger in the block of --height.
    #[arg(long, value_name = "N")]
    pub(crate) at: Option<u64>,
    /// So many of them.
    #[arg(long, value_name = "M", default_value_t = 1, requires = "at", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// Of a load file's setup instead.
    #[arg(long, requires = "at", conflicts_with = "height")]
    pub(crate) setup: bool,
    /// As JSON, one object per line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `loadgen repair`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RepairArguments {
    /// Directory of the ledger, which no engine may have open.
    pub(crate) directory: PathBuf,
    /// The last block that is to be left; everything behind it is cut, and LOST TO THE LEDGER. 0 leaves none.
    #[arg(long, value_name = "HEIGHT", required = true)]
    pub(crate) truncate_at: u64,
    /// Where what is changed or removed is copied first: a directory, new or empty. Without it one beside the ledger, named
    /// after it and the height.
    #[arg(long, value_name = "PATH")]
    pub(crate) copy: Option<PathBuf>,
}

/// `loadgen report`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArguments {
    /// A result.
    pub(crate) result: PathBuf,
}

/// `loadgen compare`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompareArguments {
    /// The result to compare with.
    pub(crate) before: PathBuf,
    /// The result that is compared.
    pub(crate) after: PathBuf,
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
