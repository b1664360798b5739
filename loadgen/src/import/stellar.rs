//! `token_transfers` of stellar-etl: a JSON object per line and movement of a token.
//!
//! A transfer pays from an account to another. A mint pays from the asset's issuer, a burn and a clawback to it. A fee is paid to
//! one account that takes all fees; a negative one is a refund and comes from there. What has no issuer of its own, the native
//! asset, is issued by an account the import adds.

use super::fields::{whole, written_time};
use super::sheet::{Party, Payment, Row, Sheet};
use super::tally::BadRow;
use crate::failure::Failure;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// Decimal places of every classic asset of Stellar.
const SCALE: u8 = 7;
/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Reads all lines.
pub(super) fn read(sheet: &mut Sheet) -> Result<(), Failure> {
    let file = File::open(&sheet.tally.file);
    let file =
        file.map_err(|error| Failure::at(&sheet.tally.file, format_args!("expected lines of JSON, found: {error}")))?;
    let mut reader = BufReader::new(file);
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        line += 1;
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| Failure::at(&sheet.tally.file, format_args!("line {line}: {error}")))?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
            return Err(Failure::at(
                &sheet.tally.file,
                format_args!("line {line}: expected at most {LINE_BYTES_MAX} bytes, found more"),
            ));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let row = match serde_json::from_slice::<Value>(&bytes) {
            Ok(object) => row(sheet, &Fields { line, object: &object }),
            Err(error) => Err(BadRow::new(line, &error.column().to_string(), "a JSON object", &error.to_string())),
        };
        sheet.take(row)?;
    }
}

struct Fields<'a> {
    line: u64,
    object: &'a Value,
}

impl<'a> Fields<'a> {
    fn bad(&self, column: &str, expected: &str) -> BadRow {
        let found = self.object.get(column).map_or_else(
            || "nothing".to_owned(),
            |value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        );
        BadRow::new(self.line, column, expected, &found)
    }

    /// A text; `None` for null, for nothing between the quotes, and where there is no such field.
    fn optional(&self, column: &str) -> Result<Option<&'a str>, BadRow> {
        match self.object.get(column) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.bad(column, "a text or null")),
        }
    }

    fn text(&self, column: &str) -> Result<&'a str, BadRow> {
        self.optional(column)?.ok_or_else(|| self.bad(column, "a text"))
    }

    /// An address: a letter that says its kind, then base 32.
    fn address(&self, column: &str) -> Result<Option<&'a str>, BadRow> {
        let fits = |text: &str| {
            let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
            (56..=72).contains(&text.len()) && text.starts_with(['G', 'C', 'M', 'B', 'L']) && text.bytes().all(base32)
        };
        match self.optional(column)? {
            Some(text) if !fits(text) => Err(self.bad(column, "an address: 56 to 72 of A-Z 2-7, G first, or null")),
            text => Ok(text),
        }
    }
}

fn row(sheet: &mut Sheet, fields: &Fields<'_>) -> Result<Row, BadRow> {
    let time = written_time(fields.text("closed_at")?).map_err(|expected| fields.bad("closed_at", expected))?;
    if !fields.object.get("ledger_sequence").is_some_and(Value::is_u64) {
        return Err(fields.bad("ledger_sequence", "a whole number"));
    }
    let topic = fields.text("event_topic")?;
    let raw = fields.text("amount_raw")?;
    let (negative, digits) = raw.strip_prefix('-').map_or((false, raw), |digits| (true, digits));
    let amount = whole(digits).map_err(|expected| fields.bad("amount_raw", expected))?;
    if negative && topic != "fee" {
        return Err(fields.bad("amount_raw", "a whole number below 2^128"));
    }
    let (from, to) = (fields.address("from")?, fields.address("to")?);

    // Which asset: its code and issuer say so.
    let kind = fields.optional("asset_type")?;
    let (issuer, code) = match kind {
        None => return Ok(Row::Omitted("of a contract's own token")),
        Some("native") => (Party::Issuer("native".to_owned()), "XLM"),
        Some("credit_alphanum4" | "credit_alphanum12") => {
            let issuer = fields.address("asset_issuer")?;
            let issuer = issuer.ok_or_else(|| fields.bad("asset_issuer", "the issuer's address"))?;
            (Party::Account(issuer.to_owned()), fields.text("asset_code")?)
        }
        Some(_) => return Err(fields.bad("asset_type", "native, credit_alphanum4 or credit_alphanum12")),
    };
    let code = code.parse().map_err(|_| fields.bad("asset_code", "an asset code: 1 to 12 letters and digits"))?;

    // Who pays whom.
    let named = |column: &str, text: Option<&str>| {
        let text = text.ok_or_else(|| fields.bad(column, "an address"))?;
        Ok(Party::Account(text.to_owned()))
    };
    let (payer, payee) = match topic {
        "transfer" => (named("from", from)?, named("to", to)?),
        "mint" => (issuer.clone(), named("to", to)?),
        "burn" | "clawback" => (named("from", from)?, issuer.clone()),
        "fee" if negative => (Party::Fees, named("from", from)?),
        "fee" => (named("from", from)?, Party::Fees),
        _ => return Err(fields.bad("event_topic", "transfer, mint, burn, clawback or fee")),
    };
    if amount == 0 {
        return Ok(Row::Omitted("of nothing"));
    }
    let issuer = sheet.party(issuer);
    let asset = sheet.asset(issuer, code, SCALE);
    let (payer, payee) = (sheet.party(payer), sheet.party(payee));
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
