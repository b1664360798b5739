//! Settles the load in an engine and compares its book with the exchange's.
//!
//! Every row of a small file is compared. Of a large one so many, at equal distances, and the last: to compare is to wait for the disk.

use super::floor::Act;
use super::messages::{BookRows, Level};
use super::script::MARKET;
use crate::directory::Directory;
use crate::failure::Failure;
use crate::interrupt;
use crate::load::{Cutter, Load};
use crate::replay::set_up;
use crate::run::{settled, sized_for};
use crate::show::Show;
use nostro::{Digest, Engine, EngineConfig, Side, Snapshot, Tickets};
use std::collections::VecDeque;
use std::path::Path;

/// Rows that are compared at most, about.
const COMPARED: usize = 1000;
const BATCH: u32 = 1024;
/// Submissions that wait at one time.
const WAITING: usize = 64;

/// What came of it.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) digest: Digest,
    pub(super) rows: u64,
    pub(super) same: u64,
    pub(super) differences: Vec<String>,
}

/// Settles a load of these acts. Everything must be applied; so many rows of the book may differ.
pub(super) fn settle(path: &Path, acts: &[Act], book: Option<&BookRows>, allowed: u64) -> Result<Compared, Failure> {
    let load = Load::open(path)?;
    let mut show = Show::new();
    let directory = Directory::take(None)?;
    let config = EngineConfig { ledger: load.header.ledger.clone(), trust_signatures: true, ..sized_for(load.bytes()) };
    let engine = Engine::open(directory.path(), config).map_err(Failure::new)?;
    set_up(&engine, &load, &mut show)?;
    let submitter = engine.submitter().waiting();
    let mut compared = Compared { digest: Digest::default(), rows: 0, same: 0, differences: Vec::new() };
    let every = acts.len().div_ceil(COMPARED).max(1);
    let (mut done, mut next) = (0_usize, if book.is_some() { every } else { usize::MAX });
    let mut waiting: VecDeque<Tickets> = VecDeque::new();
    for (entry, bytes) in load.pieces() {
        let submitter = entry.time.map_or_else(|| submitter.clone(), |time| submitter.clone().at(time));
        let mut cutter = Cutter::new(bytes);
        while !cutter.is_empty() {
            if interrupt::is_set() {
                return Err(Failure::at(path, "interrupted before its digest was known; the load itself is complete"));
            }
            let until = u32::try_from(next.saturating_sub(done)).unwrap_or(BATCH).clamp(1, BATCH);
            let piece = cutter.take(until);
            waiting.push_back(submitter.submit_encoded(piece.bytes).map_err(Failure::new)?);
            done += piece.count as usize;
            let is_compared = book.is_some() && (done >= next || done == acts.len());
            while waiting.len() > WAITING || is_compared && !waiting.is_empty() {
                waiting.pop_front().map_or(Ok(()), settled)?;
            }
            if let (true, Some(book), Some(act)) = (is_compared, book, acts.get(done.saturating_sub(1))) {
                next = done + every;
                // Rows that change nothing have the same book.
                let line = acts.get(done).map_or(book.rows.len() as u64, |next| next.message.line - 1);
                let snapshot = engine.snapshot().map_err(Failure::new)?;
                compared.rows += 1;
                match difference(&snapshot, book, act.message.line).or_else(|| difference(&snapshot, book, line)) {
                    None => compared.same += 1,
                    Some(text) if compared.differences.len() as u64 >= allowed => {
                        return Err(Failure::at(&book.path, text));
                    }
                    Some(text) => compared.differences.push(format!("{}: {text}", book.path.display())),
                }
            }
            show.step("settling", done as u64, acts.len() as u64);
        }
    }
    waiting.into_iter().try_for_each(settled)?;
    show.clear();
    compared.digest = engine.snapshot().map_err(Failure::new)?.digest();
    engine.close().map_err(Failure::new)?;
    Ok(compared)
}

/// The first place in which the book of a ledger isn't that of a row.
fn difference(snapshot: &Snapshot, book: &BookRows, line: u64) -> Option<String> {
    for side in [Side::Sell, Side::Buy] {
        let theirs = book.after(line, side);
        let ours = snapshot.depth(MARKET, side, book.levels);
        for level in 0..book.levels {
            let (our, their) = (ours.get(level), theirs.get(level));
            let same = our.copied() == their.map(|&(price, size)| (price, u128::from(size)));
            if !same {
                let column = BookRows::column(side, level);
                let shown = |level: Option<&Level>| {
                    level.map_or("no level".to_owned(), |(price, size)| format!("{size} at {price}"))
                };
                let our = our.map_or("no level".to_owned(), |(price, size)| format!("{size} at {price}"));
                return Some(format!(
                    "line {line}, column {column}: expected {our}, by the messages until then, found {}",
                    shown(their)
                ));
            }
        }
    }
    None
}
