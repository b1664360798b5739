//! `loadgen import`: turns a data set into a load file.
//!
//! Every account of the data set gets a key pair that follows from its name there; the issuer of every asset mints beforehand
//! exactly what each account needs. Rows keep their order; where they have times, that of their times. Every row that is left out
//! is counted with its reason; a row that can't be read ends the import unless `--skip-bad` allows it.
//!
//! The load is then settled once in a temporary directory, so that the file can say which digest it leads to.
//!
//! A day of an exchange is orders instead of payments, and has a way of its own.

mod berka;
mod build;
mod ethereum;
mod fields;
mod lobster;
mod opening;
mod sheet;
mod stellar;
mod table;
mod tally;

use crate::arguments::{Format, ImportArguments};
use crate::failure::Failure;
use crate::load::{Header, LoadWriter, stamp};
use crate::record::describe;
use crate::replay::settle;
use crate::show::grouped;
use nostro::Ledger;
use sheet::Sheet;

/// Imports it.
pub(crate) fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    if arguments.book.is_some() && arguments.format != Format::Lobster {
        return Err(Failure::Usage("--book: expected with --format lobster alone, found with another".into()));
    }
    let (data_set, map) = match (arguments.format, &arguments.map) {
        // Orders instead of payments.
        (Format::Lobster, None) => return lobster::import(arguments),
        (Format::EthereumEtl, None) => ("ethereum-etl", ""),
        (Format::StellarTransfers, None) => ("stellar-transfers", ""),
        (Format::Berka, None) => ("berka", ""),
        (Format::Csv, map) => ("csv", map.as_deref().unwrap_or_default()),
        (_, Some(_)) => {
            return Err(Failure::Usage("--map: expected with --format csv alone, found with another".into()));
        }
    };
    let name = arguments.ledger.clone().unwrap_or_else(|| format!("nostro loadgen {data_set}"));
    let ledger = Ledger::new(&name).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut sheet = Sheet::new(&arguments.file, arguments.skip_bad);
    match arguments.format {
        Format::EthereumEtl => ethereum::read(&mut sheet)?,
        Format::StellarTransfers => stellar::read(&mut sheet)?,
        Format::Berka => berka::read(&mut sheet)?,
        Format::Lobster | Format::Csv => table::read(&mut sheet, map)?,
    }
    let moved = sheet.complete()?;
    if sheet.payments.is_empty() {
        let rows = sheet.tally.rows;
        return Err(Failure::at(
            &arguments.file,
            format_args!("expected rows with payments, found none in {rows} rows"),
        ));
    }
    let openings = opening::openings(&sheet)?;

    let source = arguments.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut header = Header::new(name, format!("{data_set} {source}"), 0);
    header.timed = sheet.payments.iter().any(|payment| payment.time_ms.is_some());
    let mut writer = LoadWriter::create(&arguments.out, header)?;
    build::build(&sheet, &openings, data_set, &ledger, &mut writer)?;
    writer.finish()?;
    let header = stamp(&arguments.out, settle(&arguments.out)?)?;
    print!("{}", describe(&arguments.out.display().to_string(), &header));
    report(&sheet, moved, openings.len());
    Ok(())
}

/// Says what became of every row.
fn report(sheet: &Sheet, moved: u64, openings: usize) {
    let count = |number: usize| grouped(number as u64);
    sheet.tally.report(sheet.payments.len() as u64, "transfers");
    let checked = sheet.payments.iter().filter(|payment| payment.leaves.is_some()).count();
    if checked > 0 {
        println!("  balances      {} checked by the ledger, one with each transfer", count(checked));
    }
    if moved > 0 {
        println!("  order         that of the times: {} rows stood behind a later one", grouped(moved));
    }
    println!(
        "  accounts      {}, {} assets, {} opening balances",
        count(sheet.parties.len()),
        count(sheet.assets.len()),
        count(openings)
    );
}
