//! `loadgen record`: generates, signs and writes a load file without running it.

use crate::accounts::Accounts;
use crate::arguments::RecordArguments;
use crate::failure::Failure;
use crate::generate::Generator;
use crate::interrupt;
use crate::load::{Cutter, Header, LoadWriter};
use crate::run::LEDGER;
use crate::show::{Show, grouped};
use crate::spec::Schedule;
use nostro::Ledger;

/// Records it.
pub(crate) fn record(arguments: &RecordArguments) -> Result<(), Failure> {
    let spec = &arguments.spec;
    let count = spec.transactions.unwrap_or(1_000_000);
    let name = arguments.ledger.as_deref().unwrap_or(LEDGER);
    let ledger = Ledger::new(name).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut text = format!("{}, {} accounts, {}", spec.mix, spec.accounts, spec.distribution);
    if let Some(rate) = spec.rate {
        text.push_str(&format!(", {rate} per second, {}", spec.arrivals));
    }
    let mut header = Header::new(name.to_owned(), text, spec.seed);
    header.unsigned = spec.trust_signatures;
    header.timed = spec.rate.is_some();
    let mut writer = LoadWriter::create(&arguments.out, header)?;
    let mut show = Show::new();
    let accounts = Accounts::derive(spec.seed, spec.accounts, !spec.trust_signatures);
    let mut generator = Generator::new(&ledger, accounts, spec.seed, spec.distribution, spec.mix)?;
    for run in generator.setup() {
        let run = run?;
        writer.setup(&run.bytes, run.count)?;
    }
    let mut dues = spec.rate.map(|rate| Schedule::new(spec.arrivals, rate, spec.seed));
    while generator.made() < count {
        if interrupt::is_set() {
            show.clear();
            return Err(Failure::at(&arguments.out, "interrupted before it was complete; nothing was written"));
        }
        let time = spec.mix.time();
        for run in generator.next(count - generator.made())? {
            let Some(dues) = &mut dues else {
                writer.transactions(&run.bytes, run.count, 0, time)?;
                continue;
            };
            let mut cutter = Cutter::new(&run.bytes);
            while !cutter.is_empty() {
                let piece = cutter.take(1);
                writer.transactions(piece.bytes, u64::from(piece.count), dues.next().unwrap_or(u64::MAX), time)?;
            }
        }
        show.step("recording", generator.made(), count);
    }
    show.clear();
    let header = writer.finish()?;
    print!("{}", describe(&arguments.out.display().to_string(), &header));
    if spec.trust_signatures {
        println!("\n*** NOTHING IS SIGNED in this load (--trust-signatures): it runs only without verification. ***");
    }
    Ok(())
}

/// What a load file holds, for people.
pub(crate) fn describe(path: &str, header: &Header) -> String {
    let digest = header.digest.map_or_else(|| "not known".to_owned(), |digest| digest.to_string());
    format!(
        "{path}\n  load          {}\n  ledger        {}\n  seed          {}\n  setup         {} transactions, {} bytes\n  \
         transactions  {}, {} bytes, {} times\n  final digest  {digest}\n",
        header.spec,
        header.ledger,
        header.seed,
        grouped(header.setup_transactions),
        grouped(header.setup_bytes),
        grouped(header.transactions),
        grouped(header.transaction_bytes),
        grouped(header.times),
    )
}
