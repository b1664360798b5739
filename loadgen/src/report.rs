//! `loadgen report`: shows a result that was written with `--json`.

use crate::arguments::ReportArguments;
use crate::failure::Failure;
use crate::outcome::{Outcome, SCHEMA};
use std::path::Path;

/// Shows it.
pub(crate) fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    print!("{}", read(&arguments.result)?.text());
    Ok(())
}

/// Reads a result.
pub(crate) fn read(path: &Path) -> Result<Outcome, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::at(path, format_args!("expected a result, found: {error}")))?;
    let outcome: Outcome = serde_json::from_str(&text)
        .map_err(|error| Failure::at(path, format_args!("expected a result of loadgen --json, found: {error}")))?;
    if outcome.schema != SCHEMA {
        let found = outcome.schema;
        return Err(Failure::at(path, format_args!("schema: expected {SCHEMA}, found {found}")));
    }
    Ok(outcome)
}
