//! From the log to the state, by the same function that ran live: [`settle`](crate::execute::settle_again).
//!
//! Signatures aren't verified again: they were before the block was sealed, and the hash chain proves that nothing has changed
//! since. What a block gives when it is executed again is compared with what its header says; a difference is an error with its
//! place, never a silent repair.
//!
//! Where many blocks are replayed, one thread reads them, a second takes them apart and finds their accounts, as the threads that verify
//! do live, and a third executes; roots are made by a fourth.

use crate::block::Block;
use crate::boundary::Tip;
use crate::execute::{Scratch, settle_again};
use crate::ledger::Rules;
use crate::log::RecordRef;
use crate::prepare::{PreparedBatch, prepare};
use crate::roots::{Job, Roots, RootsBeside};
use crate::state::{Resolver, State};
use crate::transaction::TransactionRef;
use crate::types::{BlockHeader, Digest, EVENT_BYTES, Event, Height, REJECTION_BYTES, Rejection, RootInterval};
use crossbeam::channel::{Receiver, Sender};
use parking_lot::RwLock;
use std::sync::Arc;

/// A record that isn't what a ledger writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {height}: {what}: expected {expected}, found {found}")]
pub(crate) struct ReplayError {
    pub height: Height,
    pub what: &'static str,
    pub expected: String,
    pub found: String,
}

/// A block's body, taken apart.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    /// The transactions back to back.
    pub transactions: &'a [u8],
    /// The events, encoded, each of which was read.
    pub events: &'a [u8],
    pub rejections: Vec<(u32, Rejection)>,
}

impl<'a> Body<'a> {
    /// Takes apart what the header says is there: every byte belongs to a transaction, a rejection or an event.
    pub(crate) fn decode(header: &BlockHeader, body: &'a [u8]) -> Result<Self, ReplayError> {
        let height = header.height;
        let mut rest = body;
        for position in 0..header.count {
            let (_, after) = TransactionRef::decode_prefix(rest).map_err(|reason| ReplayError {
                height,
                what: "a transaction",
                expected: format!("{} transactions", header.count),
                found: format!("at position {position}, byte {} of the body: {reason}", body.len() - rest.len()),
            })?;
            rest = after;
        }
        let transactions = body.get(..body.len() - rest.len()).unwrap_or_default();
        let rejected = (header.rejected as usize).checked_mul(REJECTION_BYTES);
        let events = rejected.and_then(|bytes| rest.len().checked_sub(bytes)).unwrap_or(0);
        let (events, rejections) = rest.split_at_checked(events).unwrap_or_default();
        let rejections = decode_rejections(header, rejections)?;
        check_events(header, events)?;
        Ok(Self { transactions, events, rejections })
    }
}

/// Reads the rejections of a block: a known code each, at ascending positions.
pub(crate) fn decode_rejections(header: &BlockHeader, bytes: &[u8]) -> Result<Vec<(u32, Rejection)>, ReplayError> {
    let height = header.height;
    let wrong = |expected: String, found: String| ReplayError { height, what: "rejections", expected, found };
    let (entries, odd) = bytes.as_chunks::<REJECTION_BYTES>();
    if entries.len() != header.rejected as usize || !odd.is_empty() {
        let expected = format!("{} of {REJECTION_BYTES} bytes", header.rejected);
        return Err(wrong(expected, format!("{} bytes", bytes.len())));
    }
    let mut rejections: Vec<(u32, Rejection)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let decoded = Rejection::decode(entry).filter(|&(position, _)| {
            position < header.count && rejections.last().is_none_or(|&(last, _)| last < position)
        });
        let complaint = || wrong("a known code at an ascending position".to_owned(), format!("{entry:02x?}"));
        rejections.push(decoded.ok_or_else(complaint)?);
    }
    Ok(rejections)
}

/// Whether these are whole events, in the order in which they happened.
fn check_events(header: &BlockHeader, events: &[u8]) -> Result<(), ReplayError> {
    let wrong = |expected: &str, found: String| {
        Err(ReplayError { height: header.height, what: "events", expected: expected.to_owned(), found })
    };
    let (entries, odd) = events.as_chunks::<EVENT_BYTES>();
    if !odd.is_empty() {
        return wrong("whole ones of 72 bytes", format!("{} bytes", events.len()));
    }
    let mut last = None;
    for entry in entries {
        let position = Event::decode(entry).map(|event| event.position);
        let follows = position.is_some_and(|position| position >= last && position < Some(header.count));
        match position {
            Some(position) if follows => last = position,
            _ => return wrong("a known one at an ascending position", format!("{entry:02x?}")),
        }
    }
    Ok(())
}

/// A block on its way from whoever reads to whoever takes it apart.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub header: BlockHeader,
    pub hash: Digest,
    pub body: Vec<u8>,
}

impl Recorded {
    /// Copies a record of the log, into memory of another one.
    pub(crate) fn copy(record: &RecordRef<'_>, spare: Spare) -> (Self, Spare) {
        let stored = record.header;
        let header = BlockHeader::from_log(stored.height, stored.previous, stored.body_hash, &stored.meta);
        let Spare { mut body, prepared } = spare;
        body.clear();
        body.extend_from_slice(record.body);
        (Self { header, hash: Digest(*record.hash), body }, Spare { body: Vec::new(), prepared })
    }
}

/// A block on its way to whoever executes: taken apart, its accounts found as far as they have come to stay.
#[derive(Debug)]
pub(crate) struct Ready {
    recorded: Recorded,
    /// How much of the body is transactions.
    transactions: usize,
    /// How much behind them is events.
    events: usize,
    rejections: Vec<(u32, Rejection)>,
    prepared: PreparedBatch,
}

impl Ready {
    pub(crate) const fn header(&self) -> &BlockHeader {
        &self.recorded.header
    }

    pub(crate) const fn hash(&self) -> Digest {
        self.recorded.hash
    }

    /// The bytes of its transactions, back to back.
    pub(crate) fn transactions(&self) -> &[u8] {
        self.recorded.body.get(..self.transactions).unwrap_or_default()
    }

    /// Its events, back to back.
    fn events(&self) -> &[u8] {
        self.recorded.body.get(self.transactions..).and_then(|rest| rest.get(..self.events)).unwrap_or_default()
    }

    /// Its rejections by ascending position.
    pub(crate) fn rejections(&self) -> &[(u32, Rejection)] {
        &self.rejections
    }

    pub(crate) const fn body_bytes(&self) -> u64 {
        self.recorded.body.len() as u64
    }

    /// Its memory, for another block.
    pub(crate) fn into_spare(self) -> Spare {
        Spare { body: self.recorded.body, prepared: self.prepared }
    }
}

/// Memory of a block that was executed.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    body: Vec<u8>,
    prepared: PreparedBatch,
}

/// The newest means to find accounts, given by whoever executes. An older one would do, and find less.
#[derive(Clone, Debug)]
pub(crate) struct Finder(Arc<RwLock<Arc<Resolver>>>);

impl Finder {
    /// Takes a block apart and finds its accounts.
    pub(crate) fn ready(&self, recorded: Recorded, spare: Spare) -> Result<Ready, ReplayError> {
        let Spare { mut prepared, .. } = spare;
        let Body { transactions, events, rejections } = Body::decode(&recorded.header, &recorded.body)?;
        let resolver = self.0.read().clone();
        prepared.clear();
        prepared.transactions.reserve(recorded.header.count as usize);
        prepare(&resolver, transactions, &mut prepared);
        let (transactions, events) = (transactions.len(), events.len());
        Ok(Ready { recorded, transactions, events, rejections, prepared })
    }

    /// The thread: makes blocks ready as they come, until one can't be or nobody wants more.
    pub(crate) fn run(&self, blocks: &Receiver<(Recorded, Spare)>, ready: &Sender<Result<Ready, ReplayError>>) {
        for (recorded, spare) in blocks {
            let done = self.ready(recorded, spare);
            let was_last = done.is_err();
            if ready.send(done).is_err() || was_last {
                return;
            }
        }
    }
}

/// Blocks that were read and not yet taken apart, and again those that weren't yet executed, at most: each may take 64 MiB.
pub(crate) const BLOCKS_AHEAD: usize = 2;

/// Executes recorded blocks on a state, in order; roots are made beside.
#[derive(Debug)]
pub(crate) struct Replayer {
    pub state: State,
    pub tip: Tip,
    pub scratch: Scratch,
    pub roots: RootsBeside,
    interval: RootInterval,
    finder: Finder,
    /// The generation of the finder's resolver.
    generation: u64,
}

impl Replayer {
    /// Begins with nothing.
    ///
    /// # Errors
    /// If the operating system has no randomness for an index, or no thread.
    pub(crate) fn new(rules: Rules) -> std::io::Result<Self> {
        Self::on(State::new()?, Tip::default(), Roots::new(rules.roots), rules)
    }

    /// Goes on from a state, such as that of a checkpoint.
    ///
    /// # Errors
    /// If the operating system has no thread.
    pub(crate) fn on(mut state: State, tip: Tip, roots: Roots, rules: Rules) -> std::io::Result<Self> {
        state.set_time(tip.time);
        state.limit_accounts(rules.accounts_max);
        let (interval, roots) = (roots.interval(), RootsBeside::start(roots)?);
        let finder = Finder(Arc::new(RwLock::new(Arc::new(state.resolver()))));
        let generation = state.resolver_generation();
        Ok(Self { state, tip, scratch: Scratch::rooting(interval), roots, interval, finder, generation })
    }

    /// What makes blocks ready for it.
    pub(crate) fn finder(&self) -> Finder {
        self.finder.clone()
    }

    /// Takes the next block apart and executes it.
    pub(crate) fn block(&mut self, recorded: Recorded) -> Result<(), ReplayError> {
        let ready = self.finder.ready(recorded, Spare::default())?;
        self.execute(&ready)
    }

    /// Executes the next block.
    pub(crate) fn execute(&mut self, ready: &Ready) -> Result<(), ReplayError> {
        let header = ready.header();
        let height = header.height;
        compare(height, "number of transactions before it", &self.tip.transactions, &header.first)?;
        if header.time < self.tip.time {
            let (expected, found) = (format!("{} or later", self.tip.time), header.time.to_string());
            return Err(ReplayError { height, what: "time", expected, found });
        }
        let run = ready.prepared.run(ready.transactions(), 0..header.count as usize);
        let block = Block::assemble(header.time, header.count, vec![run]);
        let settled = settle_again(&block, &mut self.state, &mut self.scratch, Some(&header.effects));
        // Made while the block was executed, where it is that of the block before.
        let known = self.roots.carried(height).ok_or_else(|| {
            let (expected, found) = ("one to compare with".to_owned(), "none that was made".to_owned());
            ReplayError { height, what: "state root", expected, found }
        });
        let root = known?;
        compare(height, "state root", &root, &header.state)?;
        compare(height, "outcomes", &settled.outcomes(), &header.outcomes)?;
        compare(height, "effects", &settled.effects.digest(), &header.effects)?;
        let differs = settled.rejections.iter().zip(&ready.rejections).find(|(own, recorded)| own != recorded);
        if let Some(((position, own), (other_position, recorded))) = differs {
            let expected = format!("{own} at position {position}");
            let found = format!("{recorded} at position {other_position}");
            return Err(ReplayError { height, what: "a rejection", expected, found });
        }
        if settled.effects.events() != ready.events() {
            let text = |events: &[u8]| format!("{} bytes of the hash {}", events.len(), blake3::hash(events));
            let (expected, found) = (text(settled.effects.events()), text(ready.events()));
            return Err(ReplayError { height, what: "events", expected, found });
        }
        self.scratch.reuse(settled.effects);
        let transactions = header.first.saturating_add(u64::from(header.count));
        self.tip = Tip { height, time: header.time, transactions };
        let generation = self.state.resolver_generation();
        if generation != self.generation {
            *self.finder.0.write() = Arc::new(self.state.resolver());
            self.generation = generation;
        }
        if self.interval.is_due(height) {
            if let Some(leaves) = self.roots.board().take_spare() {
                self.scratch.reuse_leaves(leaves);
            }
            let changed = self.scratch.take_changed(&mut self.state);
            self.roots.give(Job { height, changed, snapshot: None });
        }
        Ok(())
    }
}

/// What execution gives against what the header says.
fn compare<T: PartialEq + std::fmt::Display>(
    height: Height,
    what: &'static str,
    own: &T,
    recorded: &T,
) -> Result<(), ReplayError> {
    if own == recorded {
        return Ok(());
    }
    Err(ReplayError { height, what, expected: own.to_string(), found: recorded.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Time;

    #[test]
    fn a_header_with_another_state_root_is_an_error_with_its_place() {
        let (rules, interval) = (Rules::DEFAULT, RootInterval::DEFAULT);
        let carried = Roots::new(interval).carried(Height(64)).unwrap();
        for (height, right) in [(Height(1), Digest::default()), (Height(64), carried)] {
            let mut header = BlockHeader {
                height,
                previous: Digest::default(),
                body: Digest::default(),
                time: Time(1),
                first: 0,
                count: 0,
                rejected: 0,
                transactions: Digest::default(),
                outcomes: Digest::default(),
                effects: Digest::default(),
                state: Digest([1; 32]),
            };
            let empty = |header| Recorded { header, hash: Digest::default(), body: Vec::new() };
            let error = Replayer::new(rules).unwrap().block(empty(header)).unwrap_err();
            assert_eq!((error.height, error.what), (height, "state root"));
            header.state = right;
            let error = Replayer::new(rules).unwrap().block(empty(header)).unwrap_err();
            assert_eq!(error.what, "outcomes");
        }
    }
}
