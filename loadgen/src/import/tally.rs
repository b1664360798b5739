//! What becomes of rows: how many were read, which were left out and why, which can't be read.

use crate::failure::Failure;
use crate::interrupt;
use crate::show::grouped;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A row that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) column: String,
    pub(super) expected: String,
    pub(super) found: String,
}

impl BadRow {
    /// Shows at most so much of what was found.
    const FOUND_MAX: usize = 80;

    pub(super) fn new(line: u64, column: &str, expected: &str, found: &str) -> Self {
        let mut shown: String = found.chars().take(Self::FOUND_MAX).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        Self { line, column: column.to_owned(), expected: expected.to_owned(), found: format!("{shown:?}") }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, expected, found } = self;
        write!(f, "line {line}, column {column}: expected {expected}, found {found}")
    }
}

/// The account of a file's rows.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) file: PathBuf,
    pub(super) rows: u64,
    /// Rows left out by reason.
    omitted: BTreeMap<&'static str, u64>,
    bad: Vec<BadRow>,
    skip_bad: u64,
}

impl Tally {
    pub(super) fn new(file: &Path, skip_bad: u64) -> Self {
        Self { file: file.to_path_buf(), rows: 0, omitted: BTreeMap::new(), bad: Vec::new(), skip_bad }
    }

    /// Counts a row. An error if somebody has interrupted the import.
    pub(super) fn count(&mut self) -> Result<(), Failure> {
        if interrupt::is_set() {
            return Err(Failure::at(&self.file, format_args!("interrupted after {} rows", self.rows)));
        }
        self.rows += 1;
        Ok(())
    }

    /// Leaves a row out that is right but has no place in a load.
    pub(super) fn omit(&mut self, reason: &'static str) {
        *self.omitted.entry(reason).or_insert(0) += 1;
    }

    /// Leaves a row out that can't be read; an error when there are more than allowed.
    pub(super) fn take_bad(&mut self, bad: BadRow) -> Result<(), Failure> {
        if self.bad_left() == 0 {
            return Err(Failure::at(&self.file, bad));
        }
        self.bad.push(bad);
        Ok(())
    }

    /// How many more may be bad.
    pub(super) const fn bad_left(&self) -> u64 {
        self.skip_bad.saturating_sub(self.bad.len() as u64)
    }

    /// Says what became of every row.
    pub(super) fn report(&self, became: u64, what: &str) {
        println!("  rows          {} read, {} became {what}", grouped(self.rows), grouped(became));
        for (reason, rows) in &self.omitted {
            println!("  left out      {} {reason}", grouped(*rows));
        }
        if !self.bad.is_empty() {
            println!("  left out      {} that can't be read:", grouped(self.bad.len() as u64));
            for bad in &self.bad {
                println!("                {bad}");
            }
        }
    }
}
