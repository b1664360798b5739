//! The two files: messages, a row each of six columns; the book, a row of price and size of ask and bid for each level. Neither has a
//! header, so a column is named by its number.

use super::super::fields::{decimal, whole};
use super::super::tally::{BadRow, Tally};
use crate::failure::Failure;
use nostro::Side;
use std::path::{Path, PathBuf};

const COLUMNS: usize = 6;
/// Levels of a book file at most.
const LEVELS_MAX: usize = 1024;
/// What stands for the price of a level that isn't there.
const NO_ASK: &str = "9999999999";
const NO_BID: &str = "-9999999999";
const NANOSECONDS_PER_DAY: u64 = 86_400_000_000_000;

/// What a message says of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    New,
    /// Some of it is taken back.
    Reduced,
    Deleted,
    Executed,
}

/// A message that changes the book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) line: u64,
    /// Since midnight.
    pub(super) time_ns: u64,
    pub(super) event: Event,
    pub(super) id: u64,
    pub(super) size: u64,
    pub(super) price: u64,
    /// Of the order that waits.
    pub(super) side: Side,
}

/// Price and size.
pub(super) type Level = (u64, u64);

/// The exchange's book after every row of the messages.
#[derive(Debug)]
pub(super) struct BookRows {
    pub(super) path: PathBuf,
    pub(super) levels: usize,
    /// By row: asks, then bids, best first; only levels that are there.
    pub(super) rows: Vec<[Vec<Level>; 2]>,
}

impl BookRows {
    /// The levels of a side after a line.
    pub(super) fn after(&self, line: u64, side: Side) -> &[Level] {
        let row = usize::try_from(line.saturating_sub(1)).ok().and_then(|place| self.rows.get(place));
        row.map_or(&[], |row| &row[usize::from(side == Side::Buy)])
    }

    /// In which column the price of a level stands.
    pub(super) const fn column(side: Side, level: usize) -> usize {
        4 * level + if matches!(side, Side::Sell) { 1 } else { 3 }
    }
}

fn open(path: &Path) -> Result<csv::Reader<std::fs::File>, Failure> {
    let builder = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path);
    builder.map_err(|error| Failure::at(path, format_args!("expected a CSV file, found: {error}")))
}

/// Reads all messages, leaves out those that change nothing.
pub(super) fn read(path: &Path, tally: &mut Tally) -> Result<Vec<Message>, Failure> {
    let mut reader = open(path)?;
    let mut record = csv::StringRecord::new();
    let mut messages = Vec::new();
    let mut latest = 0;
    loop {
        tally.count()?;
        let line = tally.rows;
        let row = match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => message(line, &record, latest),
            Err(error) => Err(BadRow::new(line, "1", "a row of a CSV file", &error.to_string())),
        };
        match row {
            Ok(Ok(message)) => {
                latest = message.time_ns;
                messages.push(message);
            }
            Ok(Err(reason)) => tally.omit(reason),
            Err(bad) => tally.take_bad(bad)?,
        }
    }
    tally.rows -= 1;
    Ok(messages)
}

/// A message, or why it has no place in a load.
fn message(line: u64, record: &csv::StringRecord, latest: u64) -> Result<Result<Message, &'static str>, BadRow> {
    let found = record.len();
    if found != COLUMNS {
        let column = (found.min(COLUMNS) + 1).to_string();
        return Err(BadRow { line, column, expected: format!("{COLUMNS} columns"), found: found.to_string() });
    }
    let text = |column: usize| record.get(column - 1).unwrap_or_default().trim();
    let bad = |column: usize, expected: &str| BadRow::new(line, &column.to_string(), expected, text(column));
    let time_ns = nanoseconds(text(1)).ok_or_else(|| bad(1, "seconds after midnight"))?;
    if time_ns < latest {
        return Err(bad(1, "a time that isn't before that of the row above"));
    }
    let event = match text(2) {
        "1" => Event::New,
        "2" => Event::Reduced,
        "3" => Event::Deleted,
        "4" => Event::Executed,
        "5" => return Ok(Err("executing a hidden order")),
        "6" => return Ok(Err("of a cross")),
        "7" => return Ok(Err("halting or resuming the trade")),
        _ => return Err(bad(2, "1 to 7")),
    };
    let number = |column: usize, expected: &str| {
        let number =
            whole(text(column)).ok().and_then(|number| u64::try_from(number).ok()).filter(|&number| number > 0);
        number.ok_or_else(|| bad(column, expected))
    };
    let id = number(3, "an order's number")?;
    let size = number(4, "a number of shares")?;
    let price = number(5, "a price in ten-thousandths")?;
    let side = match text(6) {
        "1" => Side::Buy,
        "-1" => Side::Sell,
        _ => return Err(bad(6, "1 to buy or -1 to sell")),
    };
    Ok(Ok(Message { line, time_ns, event, id, size, price, side }))
}

/// Seconds with any fraction, of one day.
fn nanoseconds(text: &str) -> Option<u64> {
    let (digits, places) = decimal(text).ok()?;
    let nanoseconds = match 9_u32.checked_sub(u32::from(places)) {
        Some(missing) => digits.checked_mul(10_u128.checked_pow(missing)?)?,
        None => digits / 10_u128.checked_pow(u32::from(places) - 9)?,
    };
    u64::try_from(nanoseconds).ok().filter(|&nanoseconds| nanoseconds < NANOSECONDS_PER_DAY)
}

/// Reads the book file, which has a row for each of so many messages.
pub(super) fn read_book(path: &Path, messages: u64) -> Result<BookRows, Failure> {
    let mut reader = open(path)?;
    let mut book = BookRows { path: path.to_path_buf(), levels: 0, rows: Vec::new() };
    for (record, line) in reader.records().zip(1_u64..) {
        let record = record.map_err(|error| Failure::at(path, format_args!("line {line}: {error}")))?;
        let levels = record.len() / 4;
        if book.rows.is_empty() {
            book.levels = levels;
        }
        if levels == 0 || record.len() % 4 != 0 || levels != book.levels || levels > LEVELS_MAX {
            let expected = format!("four columns for each level, 1 to {LEVELS_MAX}, as many as in the first row");
            return Err(Failure::at(
                path,
                format_args!("line {line}: expected {expected}, found {} columns", record.len()),
            ));
        }
        book.rows.push(levels_of(line, &record).map_err(|bad| Failure::at(path, bad))?);
    }
    let found = book.rows.len() as u64;
    if found != messages {
        return Err(Failure::at(path, format_args!("expected a row for each of {messages} messages, found {found}")));
    }
    Ok(book)
}

fn levels_of(line: u64, record: &csv::StringRecord) -> Result<[Vec<Level>; 2], BadRow> {
    let mut sides = [Vec::new(), Vec::new()];
    for (side, none, place) in [(Side::Sell, NO_ASK, 0), (Side::Buy, NO_BID, 1)] {
        for level in 0..record.len() / 4 {
            let column = BookRows::column(side, level);
            let [price, size] = [column, column + 1].map(|column| record.get(column - 1).unwrap_or_default().trim());
            if price == none && size == "0" {
                continue;
            }
            let number = |text: &str, column: usize, expected: &str| {
                let number =
                    whole(text).ok().and_then(|number| u64::try_from(number).ok()).filter(|&number| number > 0);
                number.ok_or_else(|| BadRow::new(line, &column.to_string(), expected, text))
            };
            let price = number(price, column, &format!("a price in ten-thousandths, or {none} and a size of 0"))?;
            sides[place].push((price, number(size, column + 1, "a number of shares")?));
        }
    }
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_any_fraction() {
        assert_eq!(nanoseconds("34200.004241176"), Some(34_200_004_241_176));
        assert_eq!(nanoseconds("34200"), Some(34_200_000_000_000));
        assert_eq!(nanoseconds("34200.0042411765"), Some(34_200_004_241_176));
        for wrong in ["", "-1", "86400", "noon", "1.", "1e3"] {
            assert_eq!(nanoseconds(wrong), None, "{wrong}");
        }
    }
}
