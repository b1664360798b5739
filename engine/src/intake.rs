//! Admission: bounds, decoding, back-pressure. The only place that refuses.
//!
//! A submission is decoded in the caller's thread, copied once, and cut into batches of bounded size which keep their order. It
//! is admitted as a whole or not at all.

use crate::completion::{Budget, Completion, Delivery, Room};
use crate::error::{Stop, StopError, SubmitError, WaitError};
use crate::stats::{Stage, Stats};
use crate::transaction::{Transaction, TransactionRef};
use crate::types::{Receipt, Receipts, Time};
use crossbeam::channel::Sender;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Signatures per batch, and so transactions at most: enough to verify well together, few enough to spread over cores. The last
/// transaction may have some more.
const BATCH_SIGNATURES: u32 = 1024;

/// Well-formed transactions back to back, on their way.
#[derive(Debug)]
pub(crate) struct Batch {
    pub bytes: Vec<u8>,
    pub count: u32,
    pub signatures: u32,
    /// Place of its first transaction in the submission.
    pub first: u32,
    /// The block time asked for; `None` takes the clock's.
    pub time: Option<Time>,
    /// Hints for its signatures, 32 bytes each, in order; as many as there are.
    pub hints: Vec<u8>,
    pub conduct: Arc<Conduct>,
    pub delivery: Delivery,
}

/// How a source of traffic has behaved.
///
/// One invalid signature makes a merged batch fail, which then costs several times as much. So what comes from a source that
/// sent one is checked signature by signature, apart from that of others, until enough of its batches were clean. A source is
/// whoever holds the submitter and never the account that a transaction names: anyone can send junk in another's name.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    /// Clean batches to go.
    probation: AtomicU32,
}

impl Conduct {
    /// Clean batches after an invalid signature.
    const PROBATION_BATCHES: u32 = 64;

    pub(crate) fn is_on_probation(&self) -> bool {
        self.probation.load(Ordering::Relaxed) > 0
    }

    /// Counts a batch.
    pub(crate) fn record(&self, is_clean: bool) {
        let after = |probation: u32| if is_clean { probation.saturating_sub(1) } else { Self::PROBATION_BATCHES };
        // It decides what verification costs and nothing else, so threads needn't agree on it.
        self.probation.store(after(self.probation.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

/// The way in, shared by every submitter.
#[derive(Debug)]
pub(crate) struct Intake {
    /// `None` once the engine is closed.
    pub queue: parking_lot::RwLock<Option<Sender<Batch>>>,
    pub budget: Arc<Budget>,
    pub stop: Arc<Stop>,
    pub stats: Arc<Stats>,
}

/// Submits transactions, in one of several ways. Cheap to clone; a clone counts as the same source of traffic.
///
/// Give each source of traffic its own: transactions of one that sent invalid signatures are verified apart from those of
/// others for a while, so that it can't slow them down.
#[derive(Clone, Debug)]
pub struct Submitter {
    intake: Arc<Intake>,
    conduct: Arc<Conduct>,
    waits: bool,
    time: Option<Time>,
}

impl Submitter {
    pub(crate) fn new(intake: Arc<Intake>) -> Self {
        Self { intake, conduct: Arc::default(), waits: false, time: None }
    }

    /// Waits for room instead of answering [`SubmitError::Full`]. Those who wait get room in the order in which they came.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }

    /// Asks for blocks of this time instead of the clock's, as a replay does. Time never goes backwards: an earlier one than that
    /// of the last block becomes that, so a time far ahead stays the ledger's for good, and what was valid until before it expires.
    /// Transactions of different times never share a block.
    #[must_use]
    pub fn at(self, time: Time) -> Self {
        Self { time: Some(time), ..self }
    }

    /// Submits one transaction.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was admitted then.
    pub fn submit(&self, transaction: &Transaction) -> Result<Ticket, SubmitError> {
        self.submit_encoded(transaction.bytes()).map(Ticket)
    }

    /// Submits many at once, in order: one completion for all. An empty slice is complete at once.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was admitted then.
    pub fn submit_batch(&self, transactions: &[Transaction]) -> Result<Tickets, SubmitError> {
        let bytes: Vec<u8> = transactions.iter().flat_map(Transaction::bytes).copied().collect();
        self.submit_encoded(&bytes)
    }

    /// Submits encoded transactions that lie back to back: what comes from a wire or a file. Costs a decoding and a copy in this
    /// thread.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was admitted then.
    pub fn submit_encoded(&self, bytes: &[u8]) -> Result<Tickets, SubmitError> {
        self.submit_hinted(bytes, &[])
    }

    /// The same with [hints](crate::Signature::hint): 32 bytes for each signature in order, zeros where there is none. They make
    /// verification cheaper and decide nothing: a missing or a wrong one is ignored. They aren't kept.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was admitted then.
    pub fn submit_hinted(&self, bytes: &[u8], hints: &[u8]) -> Result<Tickets, SubmitError> {
        let meter = self.intake.stats.meter();
        let cuts = cut(bytes)?;
        let count: usize = cuts.iter().map(|cut| cut.count as usize).sum();
        let room = Room { transactions: count, bytes: bytes.len() };
        let max = self.intake.budget.max();
        if room.transactions > max.transactions || room.bytes > max.bytes {
            let (transactions_max, bytes_max) = (max.transactions, max.bytes);
            return Err(SubmitError::TooLarge { transactions_max, bytes_max, transactions: count, bytes: bytes.len() });
        }
        self.intake.stats.record(Stage::Admit, meter, count);
        self.take(room)?;
        // Held until everything is sent, so that the engine isn't closed between two batches. Others may send theirs in between.
        let queue = self.intake.queue.read();
        let Some(queue) = queue.as_ref() else {
            self.intake.budget.give_back(room);
            return Err(StopError::Closed.into());
        };

        let meter = self.intake.stats.meter();
        let completion = Completion::new(count);
        let mut first = 0;
        let mut hints = hints;
        let batches: Vec<Batch> = cuts
            .into_iter()
            .map(|cut| {
                let room = Room { transactions: cut.count as usize, bytes: cut.bytes.len() };
                let Intake { budget, stop, .. } = &*self.intake;
                let delivery = Delivery::new(completion.clone(), budget.clone(), stop.clone(), room);
                let (own_hints, rest) = hints.split_at(hints.len().min(cut.signatures as usize * 32));
                hints = rest;
                let batch = Batch {
                    bytes: cut.bytes.to_vec(),
                    count: cut.count,
                    signatures: cut.signatures,
                    first,
                    time: self.time,
                    hints: own_hints.to_vec(),
                    conduct: self.conduct.clone(),
                    delivery,
                };
                first += cut.count;
                batch
            })
            .collect();
        self.intake.stats.record(Stage::Admit, meter, 0);
        for batch in batches {
            // Sending never waits: the budget bounds what is in the queue. If the threads have ended, the delivery of the batch
            // says so to the completion when it is dropped.
            let _ = queue.send(batch);
        }
        Ok(Tickets(completion))
    }

    fn take(&self, room: Room) -> Result<(), SubmitError> {
        let Intake { budget, stop, .. } = &*self.intake;
        if let Some(cause) = stop.cause() {
            return Err(cause.clone().into());
        }
        let taken = if self.waits { budget.take(room, stop) } else { budget.try_take(room) };
        match (taken, stop.cause()) {
            (true, _) => Ok(()),
            (false, Some(cause)) => Err(cause.clone().into()),
            (false, None) => {
                let (waiting, transactions_max) = (budget.used().transactions, budget.max().transactions);
                Err(SubmitError::Full { waiting, transactions_max })
            }
        }
    }
}

/// A stretch of a submission that becomes a batch.
struct Cut<'a> {
    bytes: &'a [u8],
    count: u32,
    signatures: u32,
}

/// Decodes everything and cuts it up.
fn cut(bytes: &[u8]) -> Result<Vec<Cut<'_>>, SubmitError> {
    let mut cuts = Vec::new();
    let (mut start, mut count, mut signatures, mut index) = (0, 0_u32, 0_u32, 0_usize);
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let (transaction, after) =
            TransactionRef::decode_prefix(rest).map_err(|reason| SubmitError::Malformed { index, offset, reason })?;
        rest = after;
        count += 1;
        index += 1;
        signatures += u32::from(transaction.signature_count());
        if signatures >= BATCH_SIGNATURES || rest.is_empty() {
            let end = bytes.len() - rest.len();
            cuts.push(Cut { bytes: bytes.get(start..end).unwrap_or_default(), count, signatures });
            (start, count, signatures) = (end, 0, 0);
        }
    }
    Ok(cuts)
}

/// Stands for one submitted transaction until it is durable. Dropping it changes nothing about the transaction.
#[derive(Debug)]
#[must_use = "a ticket is how the receipt is got"]
pub struct Ticket(Tickets);

impl Ticket {
    /// Waits until the transaction is durable.
    ///
    /// # Errors
    /// [`WaitError`] if it was refused or the engine stopped.
    pub fn wait(self) -> Result<Receipt, WaitError> {
        Self::only(&self.0.wait()?)
    }

    /// The same, but not longer than this; gives itself back if it isn't known yet.
    ///
    /// # Errors
    /// The outer error is the ticket; the inner one as [`wait`](Self::wait).
    pub fn wait_for(self, time: Duration) -> Result<Result<Receipt, WaitError>, Self> {
        match self.0.wait_for(time) {
            Ok(receipts) => Ok(receipts.map_err(WaitError::from).and_then(|receipts| Self::only(&receipts))),
            Err(tickets) => Err(Self(tickets)),
        }
    }

    /// Whether [`wait`](Self::wait) would answer at once.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    fn only(receipts: &Receipts) -> Result<Receipt, WaitError> {
        match receipts.get(0) {
            Some(result) => result.map_err(WaitError::from),
            None => Err(WaitError::Stopped(StopError::Panicked("a receipt was lost".into()))),
        }
    }
}

/// Stands for one submission of many.
#[derive(Debug)]
#[must_use = "tickets are how the receipts are got"]
pub struct Tickets(Arc<Completion>);

impl Tickets {
    /// Waits until every transaction of the submission is durable or refused.
    ///
    /// # Errors
    /// [`StopError`] if the engine stopped before; some of them may be durable then.
    pub fn wait(self) -> Result<Receipts, StopError> {
        self.0.wait(None).unwrap_or_else(|| Err(StopError::Panicked("a completion was lost".into())))
    }

    /// The same, but not longer than this; gives itself back if not everything is known yet.
    ///
    /// # Errors
    /// The outer error is the tickets; the inner one as [`wait`](Self::wait).
    pub fn wait_for(self, time: Duration) -> Result<Result<Receipts, StopError>, Self> {
        let deadline = Instant::now().checked_add(time);
        self.0.wait(deadline).ok_or(self)
    }

    /// Whether [`wait`](Self::wait) would answer at once.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Address, Amount, AssetId};

    #[test]
    fn a_batch_is_as_much_work_as_another_however_many_sign() {
        let order = |signers: u8| {
            let address = |n: u8| Address([n.saturating_add(7); 32]);
            let order = (0..signers).fold(Transaction::builder(address(0)), |order, n| {
                order.transfer_from(address(n), address(100), AssetId(0), Amount(1))
            });
            order.build().unwrap().with_signatures(&vec![crate::Signature([0; 64]); usize::from(signers)]).unwrap()
        };
        for (signers, expected) in [(1, [1024, 1024, 952]), (16, [64, 64, 64]), (15, [69, 69, 69])] {
            let bytes = order(signers).bytes().repeat(3000);
            let cuts = cut(&bytes).unwrap();
            let counts: Vec<u32> = cuts.iter().map(|cut| cut.count).take(3).collect();
            assert_eq!(counts, expected);
            assert_eq!(cuts.iter().map(|cut| cut.count).sum::<u32>(), 3000);
            assert_eq!(cuts.iter().flat_map(|cut| cut.bytes).count(), bytes.len());
        }
    }
}
