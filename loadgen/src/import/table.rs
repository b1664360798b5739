//! CSV files with a header, read row by row; and the generic import, which is told what its columns mean.

use super::fields::{decimal, time};
use super::sheet::{Party, Payment, Row, Sheet};
use super::tally::BadRow;
use crate::failure::Failure;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A CSV file.
pub(super) struct Table {
    reader: csv::Reader<File>,
    path: PathBuf,
    header: Arc<[String]>,
    line: u64,
}

/// One row of it.
pub(super) struct Fields {
    pub(super) line: u64,
    header: Arc<[String]>,
    record: csv::ByteRecord,
}

impl Table {
    pub(super) fn open(path: &Path, delimiter: u8) -> Result<Self, Failure> {
        let file = File::open(path);
        let file = file.map_err(|error| Failure::at(path, format_args!("expected a CSV file, found: {error}")))?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(file);
        let header = reader.headers().map_err(|error| Failure::at(path, format_args!("line 1: {error}")))?;
        let header: Arc<[String]> = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        Ok(Self { reader, path: path.to_path_buf(), header, line: 1 })
    }

    /// Makes sure that there is such a column.
    pub(super) fn column(&self, name: &str) -> Result<(), Failure> {
        if self.header.iter().any(|column| column == name) {
            return Ok(());
        }
        let found = self.header.join(", ");
        Err(Failure::at(&self.path, format_args!("line 1: expected a column {name}, found {found:?}")))
    }

    /// The next row; `None` at the end.
    pub(super) fn next_row(&mut self) -> Option<Result<Fields, BadRow>> {
        let mut record = csv::ByteRecord::new();
        match self.reader.read_byte_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                self.line = record.position().map_or(self.line + 1, csv::Position::line);
                let (expected, found) = (self.header.len(), record.len());
                if expected == found {
                    return Some(Ok(Fields { line: self.line, header: self.header.clone(), record }));
                }
                let (line, column) = (self.line, (expected.min(found) + 1).to_string());
                let bad = BadRow { line, column, expected: format!("{expected} columns"), found: found.to_string() };
                Some(Err(bad))
            }
            Err(error) => Some(Err(BadRow::new(self.line + 1, "1", "a row of a CSV file", &error.to_string()))),
        }
    }
}

impl Fields {
    /// The text of a column that must be there.
    pub(super) fn get(&self, column: &str) -> Result<&str, BadRow> {
        self.optional(column)?.ok_or_else(|| BadRow::new(self.line, column, "the column", "none"))
    }

    /// The text of a column, if the file has it.
    pub(super) fn optional(&self, column: &str) -> Result<Option<&str>, BadRow> {
        let place = self.header.iter().position(|name| name == column);
        let Some(bytes) = place.and_then(|place| self.record.get(place)) else { return Ok(None) };
        let text = std::str::from_utf8(bytes);
        text.map(Some).map_err(|_| self.bad(column, "UTF-8 text", &String::from_utf8_lossy(bytes)))
    }

    pub(super) fn bad(&self, column: &str, expected: &str, found: &str) -> BadRow {
        BadRow::new(self.line, column, expected, found)
    }
}

/// Which columns mean what.
struct Map {
    from: String,
    to: String,
    amount: String,
    asset: Option<String>,
    time: Option<String>,
}

impl Map {
    fn parse(text: &str) -> Result<Self, Failure> {
        let mut named: [(&str, Option<String>); 5] =
            [("from", None), ("to", None), ("amount", None), ("asset", None), ("time", None)];
        for part in text.split(',') {
            let complaint = || {
                let expected = "from=…,to=…,amount=… and, if there are any, asset=…,time=…, each once";
                Failure::Usage(format!("--map: expected {expected}, found {part:?}"))
            };
            let (key, column) = part.split_once('=').ok_or_else(complaint)?;
            let place = named.iter_mut().find(|(name, taken)| *name == key.trim() && taken.is_none());
            place.ok_or_else(complaint)?.1 = Some(column.trim().to_owned());
        }
        let [from, to, amount, asset, time] = named.map(|(_, column)| column);
        match (from, to, amount) {
            (Some(from), Some(to), Some(amount)) => Ok(Self { from, to, amount, asset, time }),
            _ => Err(Failure::Usage(format!("--map: expected from=…, to=… and amount=…, found {text:?}"))),
        }
    }
}

/// Longest name of an account.
const NAME_BYTES_MAX: usize = 256;

/// Reads all rows of any CSV.
pub(super) fn read(sheet: &mut Sheet, map: &str) -> Result<(), Failure> {
    let map = Map::parse(map)?;
    let mut table = Table::open(&sheet.tally.file, b',')?;
    let named = [Some(&map.from), Some(&map.to), Some(&map.amount), map.asset.as_ref(), map.time.as_ref()];
    for column in named.into_iter().flatten() {
        table.column(column)?;
    }
    while let Some(fields) = table.next_row() {
        let row = fields.and_then(|fields| row(sheet, &map, &fields));
        sheet.take(row)?;
    }
    Ok(())
}

fn row(sheet: &mut Sheet, map: &Map, fields: &Fields) -> Result<Row, BadRow> {
    let name = |column: &str| {
        let text = fields.get(column)?;
        let fits = !text.is_empty() && text.len() <= NAME_BYTES_MAX;
        if fits { Ok(text) } else { Err(fields.bad(column, "an account's name of 1 to 256 bytes", text)) }
    };
    let (from, to) = (name(&map.from)?, name(&map.to)?);
    let text = fields.get(&map.amount)?;
    let (amount, places) = decimal(text).map_err(|expected| fields.bad(&map.amount, expected, text))?;
    let (column, asset) = match &map.asset {
        Some(column) => (column.as_str(), fields.get(column)?),
        None => ("asset", "UNIT"),
    };
    let code = asset.parse().map_err(|_| fields.bad(column, "an asset code: 1 to 12 of A-Z a-z 0-9 . _ -", asset))?;
    let time_ms = match &map.time {
        Some(column) => {
            let text = fields.get(column)?;
            Some(time(text).map_err(|expected| fields.bad(column, expected, text))?)
        }
        None => None,
    };
    let mut account = |text: &str| sheet.party(Party::Account(text.to_owned()));
    let (payer, payee) = (account(from), account(to));
    let issuer = sheet.party(Party::Issuer(asset.to_owned()));
    let asset = sheet.asset(issuer, code, 0);
    Ok(Row::Payment(Payment { line: fields.line, payer, payee, asset, amount, places, time_ms, leaves: None }))
}
