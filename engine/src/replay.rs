//! From the log to the state, by the same [`settle`] that ran live.
//!
//! Signatures aren't verified again: they were before the block was sealed, and the hash chain proves that nothing has changed
//! since. What a block gives when it is executed again is compared with what its header says; a difference is an error with its
//! place, never a silent repair.

use crate::block::Block;
use crate::boundary::Tip;
use crate::execute::{Scratch, Settled, settle};
use crate::ledger::Rules;
use crate::prepare::{Prepared, PreparedRun, prepare};
use crate::roots::{Job, Roots, RootsBeside};
use crate::state::State;
use crate::transaction::TransactionRef;
use crate::types::{BlockHeader, Digest, Height, REJECTION_BYTES, Rejection, RootInterval};

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
    pub rejections: Vec<(u32, Rejection)>,
}

impl<'a> Body<'a> {
    /// Takes apart what the header says is there: every byte belongs to a transaction or a rejection.
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
        let wrong = |expected: String, found: String| ReplayError { height, what: "rejections", expected, found };
        let (entries, odd) = rest.as_chunks::<REJECTION_BYTES>();
        if entries.len() != header.rejected as usize || !odd.is_empty() {
            let expected = format!("{} of {REJECTION_BYTES} bytes", header.rejected);
            return Err(wrong(expected, format!("{} bytes", rest.len())));
        }
        let mut rejections: Vec<(u32, Rejection)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let decoded = Rejection::decode(entry).filter(|&(position, _)| {
                position < header.count && rejections.last().is_none_or(|&(last, _)| last < position)
            });
            let complaint = || wrong("a known code at an ascending position".to_owned(), format!("{entry:02x?}"));
            rejections.push(decoded.ok_or_else(complaint)?);
        }
        Ok(Self { transactions, rejections })
    }
}

/// A block on its way from whoever reads to whoever executes.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub header: BlockHeader,
    pub hash: Digest,
    pub body: Vec<u8>,
}

/// Blocks that were read and not yet executed, at most: each may take 64 MiB.
pub(crate) const BLOCKS_AHEAD: usize = 3;

/// Executes recorded blocks on a state, in order; roots are made beside.
#[derive(Debug)]
pub(crate) struct Replayer {
    pub state: State,
    pub tip: Tip,
    pub scratch: Scratch,
    pub roots: RootsBeside,
    interval: RootInterval,
    prepared: Vec<Prepared>,
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
        Ok(Self { state, tip, scratch: Scratch::default(), roots, interval, prepared: Vec::new() })
    }

    /// Executes the next block.
    pub(crate) fn block(&mut self, header: &BlockHeader, body: &[u8]) -> Result<(), ReplayError> {
        let height = header.height;
        compare(height, "number of transactions before it", &self.tip.transactions, &header.first)?;
        if header.time < self.tip.time {
            let (expected, found) = (format!("{} or later", self.tip.time), header.time.to_string());
            return Err(ReplayError { height, what: "time", expected, found });
        }
        let known = self.roots.carried(height).ok_or_else(|| {
            let (expected, found) = ("one to compare with".to_owned(), "none that was made".to_owned());
            ReplayError { height, what: "state root", expected, found }
        });
        let root = known?;
        compare(height, "state root", &root, &header.state)?;
        let body = Body::decode(header, body)?;
        self.prepared.clear();
        prepare(&self.state.resolver(), body.transactions, &mut self.prepared);
        let run = PreparedRun { bytes: body.transactions, prepared: &self.prepared };
        let block = Block::assemble(header.time, header.count, vec![run]);
        let settled = settle(&block, &mut self.state, &mut self.scratch);
        compare(height, "outcomes", &settled.outcomes(), &header.outcomes)?;
        compare(height, "effects", &settled.effects.digest(), &header.effects)?;
        let differs = settled.rejections.iter().zip(&body.rejections).find(|(own, recorded)| own != recorded);
        if let Some(((position, own), (other_position, recorded))) = differs {
            let expected = format!("{own} at position {position}");
            let found = format!("{recorded} at position {other_position}");
            return Err(ReplayError { height, what: "a rejection", expected, found });
        }
        let Settled { effects, .. } = settled;
        self.scratch.reuse(effects.into_buffer());
        let transactions = header.first.saturating_add(u64::from(header.count));
        self.tip = Tip { height, time: header.time, transactions };
        if self.interval.is_due(height) {
            let (records, changed) = (self.state.share_records(), self.scratch.take_changed());
            self.roots.give(Job { height, records, snapshot: None, changed });
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
            let error = Replayer::new(rules).unwrap().block(&header, &[]).unwrap_err();
            assert_eq!((error.height, error.what), (height, "state root"));
            header.state = right;
            let error = Replayer::new(rules).unwrap().block(&header, &[]).unwrap_err();
            assert_eq!(error.what, "outcomes");
        }
    }
}
