//! How a caller learns what became of a submission: one completion for many transactions.
//!
//! A submission is cut into batches; each batch carries a [`Delivery`], and each delivery is either told what became of all its
//! transactions or, when it is dropped before that, tells its completion that the engine stopped. So nobody waits for ever,
//! whatever happens to the threads in between.

use crate::error::{Stop, StopError};
use crate::types::{Receipts, Refusal, Settlement};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Instant;

/// Room for transactions that are admitted and not yet durable. Those who wait for it get it in the order in which they came, so
/// that many small submissions never keep a large one out.
#[derive(Debug)]
pub(crate) struct Budget {
    taken: Mutex<Taken>,
    freed: Condvar,
    max: Room,
}

#[derive(Debug, Default)]
struct Taken {
    used: Room,
    /// The number that the next one to wait gets.
    next: u64,
    /// The number whose turn it is.
    turn: u64,
}

/// A number of transactions with their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub transactions: usize,
    pub bytes: usize,
}

impl Room {
    const fn plus(self, other: Self) -> Self {
        Self { transactions: self.transactions + other.transactions, bytes: self.bytes + other.bytes }
    }

    const fn fits(self, max: Self) -> bool {
        self.transactions <= max.transactions && self.bytes <= max.bytes
    }
}

impl Budget {
    pub(crate) fn new(max: Room) -> Self {
        Self { taken: Mutex::default(), freed: Condvar::new(), max }
    }

    pub(crate) const fn max(&self) -> Room {
        self.max
    }

    /// What is taken now.
    pub(crate) fn used(&self) -> Room {
        self.taken.lock().used
    }

    /// Takes room if there is any, before those who wait: they said that they have time.
    pub(crate) fn try_take(&self, room: Room) -> bool {
        let mut taken = self.taken.lock();
        let after = taken.used.plus(room);
        let fits = after.fits(self.max);
        if fits {
            taken.used = after;
        }
        fits
    }

    /// Takes room when there is some and those who came before have theirs; `false` if the engine stops before that.
    pub(crate) fn take(&self, room: Room, stop: &Stop) -> bool {
        let mut taken = self.taken.lock();
        let number = taken.next;
        taken.next = number.wrapping_add(1);
        loop {
            // Nobody's turn comes any more.
            if stop.cause().is_some() {
                return false;
            }
            let after = taken.used.plus(room);
            if taken.turn == number && after.fits(self.max) {
                taken.used = after;
                taken.turn = number.wrapping_add(1);
                // There may be room for the next one too.
                let is_last = taken.turn == taken.next;
                drop(taken);
                if !is_last {
                    self.freed.notify_all();
                }
                return true;
            }
            self.freed.wait(&mut taken);
        }
    }

    pub(crate) fn give_back(&self, room: Room) {
        let mut taken = self.taken.lock();
        taken.used.transactions = taken.used.transactions.saturating_sub(room.transactions);
        taken.used.bytes = taken.used.bytes.saturating_sub(room.bytes);
        drop(taken);
        self.freed.notify_all();
    }

    /// Lets everybody who waits for room see that the engine stopped.
    pub(crate) fn wake_all(&self) {
        // Under the lock, so that nobody can be between looking and waiting.
        let _taken = self.taken.lock();
        self.freed.notify_all();
    }
}

/// What became of one submission so far.
#[derive(Debug)]
pub(crate) struct Completion {
    state: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    len: usize,
    /// Transactions whose fate isn't known yet.
    open: usize,
    settlements: Vec<Settlement>,
    refusals: Vec<(u32, Refusal)>,
    failure: Option<StopError>,
}

impl Progress {
    const fn is_done(&self) -> bool {
        self.open == 0 || self.failure.is_some()
    }
}

impl Completion {
    pub(crate) fn new(len: usize) -> Arc<Self> {
        let state = Mutex::new(Progress { len, open: len, ..Progress::default() });
        Arc::new(Self { state, changed: Condvar::new() })
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state.lock();
        change(&mut state);
        let done = state.is_done();
        drop(state);
        if done {
            self.changed.notify_all();
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().is_done()
    }

    /// Waits until everything is known, or until `deadline`; `None` then.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Option<Result<Receipts, StopError>> {
        let mut state = self.state.lock();
        while !state.is_done() {
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() && !state.is_done() {
                        return None;
                    }
                }
            }
        }
        if let Some(failure) = &state.failure {
            return Some(Err(failure.clone()));
        }
        let progress = std::mem::take(&mut *state);
        // What was taken stays done, for whoever asks again.
        state.len = progress.len;
        Some(Ok(Receipts::new(progress.len, progress.settlements, progress.refusals)))
    }
}

/// The duty to tell a completion what became of a batch.
#[derive(Debug)]
pub(crate) struct Delivery {
    completion: Arc<Completion>,
    budget: Arc<Budget>,
    stop: Arc<Stop>,
    open: Mutex<Room>,
}

impl Delivery {
    /// For a batch that has taken `room`.
    pub(crate) const fn new(completion: Arc<Completion>, budget: Arc<Budget>, stop: Arc<Stop>, room: Room) -> Self {
        Self { completion, budget, stop, open: Mutex::new(room) }
    }

    /// Tells that these are refused.
    pub(crate) fn refuse(&self, refusals: Vec<(u32, Refusal)>) {
        let count = refusals.len();
        self.close(count);
        self.completion.update(|progress| {
            progress.open = progress.open.saturating_sub(count);
            progress.refusals.extend(refusals);
        });
    }

    /// Tells that these are durable.
    pub(crate) fn settle(&self, settlement: Settlement) {
        let count = settlement.span.count as usize;
        self.close(count);
        self.completion.update(|progress| {
            progress.open = progress.open.saturating_sub(count);
            progress.settlements.push(settlement);
        });
    }

    /// Gives room back; before the completion is told, so that whoever holds all receipts finds an empty queue.
    fn close(&self, count: usize) {
        let mut open = self.open.lock();
        let rest = open.transactions.saturating_sub(count);
        // The bytes are given back with the batch's last transaction.
        let bytes = if rest == 0 { std::mem::take(&mut open.bytes) } else { 0 };
        open.transactions = rest;
        drop(open);
        self.budget.give_back(Room { transactions: count, bytes });
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let open = *self.open.get_mut();
        if open.transactions > 0 {
            let cause = self.stop.cause_or_lost();
            self.completion.update(|progress| progress.failure = Some(cause));
            self.budget.give_back(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    const fn room(transactions: usize) -> Room {
        Room { transactions, bytes: 0 }
    }

    /// Waits until so many have come to wait.
    fn until_waiting(budget: &Budget, count: u64) {
        while budget.taken.lock().next < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn small_ones_that_come_later_never_keep_a_large_one_out() {
        let (budget, stop) = (Budget::new(room(10)), Stop::default());
        assert!(budget.try_take(room(8)));
        let (done, order) = mpsc::channel();
        std::thread::scope(|scope| {
            let wait = |name, count, size| {
                let (budget, stop, done) = (&budget, &stop, done.clone());
                scope.spawn(move || {
                    assert!(budget.take(room(size), stop));
                    done.send(name).unwrap();
                });
                until_waiting(budget, count);
            };
            wait("large", 1, 10);
            wait("small", 2, 1);
            wait("another small one", 3, 1);
            assert!(order.recv_timeout(Duration::from_millis(50)).is_err(), "there is room for the small ones");
            budget.give_back(room(8));
            assert_eq!(order.recv(), Ok("large"));
            budget.give_back(room(10));
            // The second small one is woken by the first, not by room that comes back.
            let mut both = [order.recv().unwrap(), order.recv().unwrap()];
            both.sort_unstable();
            assert_eq!(both, ["another small one", "small"]);
        });
        assert_eq!(budget.used().transactions, 2);
    }

    #[test]
    fn all_who_wait_hear_that_the_engine_stops() {
        let (budget, stop) = (Budget::new(room(1)), Stop::default());
        assert!(budget.try_take(room(1)));
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| budget.take(room(1), &stop))).collect();
            until_waiting(&budget, 5);
            stop.set(StopError::Closed);
            budget.wake_all();
            assert!(waiting.into_iter().all(|waiting| !waiting.join().unwrap()));
        });
    }
}
