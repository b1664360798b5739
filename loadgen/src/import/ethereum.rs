//! `transactions.csv` of ethereum-etl: a header, then a row per transaction; its value is ether in wei.

use super::fields::{is_hexadecimal, seconds, whole};
use super::sheet::{Party, Payment, Row, Sheet};
use super::table::{Fields, Table};
use super::tally::BadRow;
use crate::failure::Failure;

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Hash,
    Address,
    /// An address, or nothing where a contract was made.
    Payee,
    Bytes,
    Number,
    /// A number, or nothing before the column was invented.
    NumberOrNothing,
    Seconds,
}

const COLUMNS: [(&str, Kind); 15] = [
    ("hash", Kind::Hash),
    ("nonce", Kind::Number),
    ("block_hash", Kind::Hash),
    ("block_number", Kind::Number),
    ("transaction_index", Kind::Number),
    ("from_address", Kind::Address),
    ("to_address", Kind::Payee),
    ("value", Kind::Number),
    ("gas", Kind::Number),
    ("gas_price", Kind::NumberOrNothing),
    ("input", Kind::Bytes),
    ("block_timestamp", Kind::Seconds),
    ("max_fee_per_gas", Kind::NumberOrNothing),
    ("max_priority_fee_per_gas", Kind::NumberOrNothing),
    ("transaction_type", Kind::NumberOrNothing),
];

/// What an import can't do without.
const NEEDED: [&str; 4] = ["from_address", "to_address", "value", "block_timestamp"];
/// Decimal places of an ether in wei.
const SCALE: u8 = 18;

/// Reads all rows.
pub(super) fn read(sheet: &mut Sheet) -> Result<(), Failure> {
    let mut table = Table::open(&sheet.tally.file, b',')?;
    for column in NEEDED {
        table.column(column)?;
    }
    let code = "ETH".parse().map_err(Failure::new)?;
    let issuer = sheet.party(Party::Issuer("ETH".to_owned()));
    let ether = sheet.asset(issuer, code, SCALE);
    while let Some(fields) = table.next_row() {
        let row = fields.and_then(|fields| row(sheet, ether, &fields));
        sheet.take(row)?;
    }
    Ok(())
}

fn row(sheet: &mut Sheet, asset: u32, fields: &Fields) -> Result<Row, BadRow> {
    for (column, kind) in COLUMNS {
        if let Some(text) = fields.optional(column)? {
            check(kind, text).map_err(|expected| fields.bad(column, expected, text))?;
        }
    }
    let get = |column: &str| fields.get(column);
    let (from, to, value, time) = (get("from_address")?, get("to_address")?, get("value")?, get("block_timestamp")?);
    let amount = whole(value).map_err(|expected| fields.bad("value", expected, value))?;
    let time = seconds(time).map_err(|expected| fields.bad("block_timestamp", expected, time))?;
    if to.is_empty() {
        return Ok(Row::Omitted("creating a contract (no payee)"));
    }
    if amount == 0 {
        return Ok(Row::Omitted("of nothing"));
    }
    let mut account = |text: &str| sheet.party(Party::Account(text.to_ascii_lowercase()));
    let (payer, payee) = (account(from), account(to));
    Ok(Row::Payment(Payment {
        line: fields.line,
        payer,
        payee,
        asset,
        amount,
        places: SCALE,
        time_ms: Some(time),
        leaves: None,
    }))
}

fn check(kind: Kind, text: &str) -> Result<(), &'static str> {
    let test = |right: bool, expected| if right { Ok(()) } else { Err(expected) };
    match kind {
        Kind::Hash => test(is_hexadecimal(text, Some(32)), "0x and 64 hexadecimal digits"),
        Kind::Address => test(is_hexadecimal(text, Some(20)), "0x and 40 hexadecimal digits"),
        Kind::Payee => {
            test(text.is_empty() || is_hexadecimal(text, Some(20)), "0x and 40 hexadecimal digits, or nothing")
        }
        Kind::Bytes => test(is_hexadecimal(text, None), "0x and hexadecimal digits, two for each byte"),
        Kind::Number => whole(text).map(|_| ()),
        Kind::NumberOrNothing if text.is_empty() => Ok(()),
        Kind::NumberOrNothing => whole(text).map(|_| ()).map_err(|_| "a whole number below 2^128, or nothing"),
        Kind::Seconds => seconds(text).map(|_| ()),
    }
}
