//! LOBSTER: a day's messages of one stock at NASDAQ, and the exchange's own book after each of them.
//!
//! ```text
//! messages ──► rows ──► opening ──► floor ──► load file ──► settled in an engine ──► its book is compared
//!  and book     read     what waited  plays the   orders,      piece by piece           with the exchange's,
//!  files        strictly before       day through amendments                            level by level
//! ```
//!
//! A new order waits and takes nothing, or is rejected. A partial cancellation is an amendment to less, a deletion a cancellation. An
//! execution is an order of the other side that takes at once what was executed, at its price. Hidden executions, crosses and halts
//! change nothing in the visible book and are left out. Nobody's name is in the data, so orders are spread over sixty-four traders; one more
//! account takes.
//!
//! What waited before the first message: every order that a message names and none has placed, and at every price what the book file
//! shows beyond that when it first shows the price. The exchange ranks by price, then time, so orders of before stand by their numbers,
//! what nobody names behind them.

mod floor;
mod messages;
mod opening;
mod oracle;
mod script;

use super::tally::Tally;
use crate::arguments::ImportArguments;
use crate::failure::Failure;
use crate::load::{Header, LoadWriter, stamp};
use crate::record::describe;
use crate::show::grouped;
use floor::Floor;
use nostro::Ledger;
use script::Script;

const DATA_SET: &str = "lobster";

/// Imports it.
pub(super) fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let name = arguments.ledger.clone().unwrap_or_else(|| format!("nostro loadgen {DATA_SET}"));
    let ledger = Ledger::new(&name).map_err(|error| Failure::Usage(error.to_string()))?;
    let file = &arguments.file;
    let mut tally = Tally::new(file, arguments.skip_bad);
    let messages = messages::read(file, &mut tally)?;
    let book = arguments.book.as_deref().map(|path| messages::read_book(path, tally.rows)).transpose()?;
    let opening = opening::opening(&messages, book.as_ref());
    let mut floor = Floor::new(&opening);
    let mut acts = Vec::new();
    let mut out_of_turn = 0;
    for message in &messages {
        match floor.act(message) {
            Ok(act) => {
                out_of_turn += u64::from(act.is_out_of_turn);
                acts.push(act);
            }
            Err(bad) => tally.take_bad(bad)?,
        }
    }
    if acts.is_empty() {
        let rows = tally.rows;
        return Err(Failure::at(
            file,
            format_args!("expected messages that change the book, found none in {rows} rows"),
        ));
    }
    let source = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut header = Header::new(name, format!("{DATA_SET} {source}"), 0);
    header.timed = true;
    let mut writer = LoadWriter::create(&arguments.out, header)?;
    let script = Script::new(&source, &ledger, &opening, &acts).map_err(|error| Failure::at(file, error))?;
    script.write(&opening, &acts, &mut writer)?;
    writer.finish()?;
    let allowed = tally.bad_left();
    let compared = oracle::settle(&arguments.out, &acts, book.as_ref(), allowed)?;
    let header = stamp(&arguments.out, compared.digest)?;
    print!("{}", describe(&arguments.out.display().to_string(), &header));
    tally.report(acts.len() as u64, "orders, amendments and executions");
    let count = |number: usize| grouped(number as u64);
    println!(
        "  before        {} orders waited, {} of them known by number",
        count(opening.len()),
        count(opening.known())
    );
    if out_of_turn > 0 {
        println!(
            "  out of turn   {} executions of an order that wasn't the first: taken back instead",
            grouped(out_of_turn)
        );
    }
    if let Some(book) = &book {
        println!(
            "  book          the same as the exchange's, {} levels deep, at {} of {} rows compared",
            book.levels,
            grouped(compared.same),
            grouped(compared.rows)
        );
        compared.differences.iter().for_each(|difference| println!("                {difference}"));
    }
    Ok(())
}
