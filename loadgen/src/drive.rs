//! Drives an engine: one thread submits in order, one waits for receipts in the same order, this one shows progress.
//!
//! Receipts are waited for in order of submission, which is the order they come in, so waiting for the oldest delays none.

use crate::failure::Failure;
use crate::interrupt;
use crate::limit::Queues;
use crate::load::{Cutter, Piece};
use crate::measure::{Dues, Measured};
use crate::show::Show;
use nostro::{Engine, EngineStats, Submitter, Tickets, Time};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything sleeps before it looks whether it should go on.
const NAP: Duration = Duration::from_millis(20);

/// When a drive ends, and what it holds back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Stops submitting after so long.
    pub(crate) duration: Option<Duration>,
    /// Keeps at most so many transactions in flight.
    pub(crate) in_flight_max: Option<u32>,
    /// The block time asked for where nothing else is.
    pub(crate) time: Option<Time>,
}

/// What a drive has done.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) measured: Measured,
    pub(crate) submitted: u64,
    /// From the first submission to the last receipt.
    pub(crate) seconds: f64,
    pub(crate) before: EngineStats,
    pub(crate) after: EngineStats,
    pub(crate) process_cpu_ns: u64,
    pub(crate) queues: Queues,
}

struct Sent {
    tickets: Tickets,
    dues: Dues,
    sent_ns: u64,
}

struct Shared {
    measured: Mutex<Measured>,
    in_flight: Mutex<u32>,
    freed: Condvar,
    /// Receipts can't come any more.
    failed: AtomicBool,
}

/// The hand that submits.
pub(crate) struct Sending<'a> {
    submitter: Submitter,
    queue: mpsc::Sender<Sent>,
    start: Instant,
    limits: Limits,
    shared: &'a Shared,
    submitted: u64,
}

impl Sending<'_> {
    /// Nanoseconds since the start.
    pub(crate) fn now_ns(&self) -> u64 {
        nanoseconds(self.start)
    }

    /// Whether nothing more should be submitted.
    pub(crate) fn is_over(&self) -> bool {
        interrupt::is_set()
            || self.shared.failed.load(Ordering::Relaxed)
            || self.limits.duration.is_some_and(|duration| self.start.elapsed() >= duration)
    }

    /// Sleeps until something is due. `false` if nothing more should be submitted.
    pub(crate) fn wait_until(&self, due_ns: u64) -> bool {
        loop {
            if self.is_over() {
                return false;
            }
            let left = due_ns.saturating_sub(self.now_ns());
            if left == 0 {
                return true;
            }
            std::thread::sleep(Duration::from_nanos(left).min(NAP));
        }
    }

    /// Submits transactions that lie back to back; waits for room. `false` if nothing more should be submitted.
    pub(crate) fn send(&mut self, piece: Piece<'_>, dues: Dues, time: Option<Time>) -> Result<bool, Failure> {
        let Piece { bytes, count, hints } = piece;
        if let Some(max) = self.limits.in_flight_max {
            let mut in_flight = self.shared.in_flight.lock();
            while *in_flight > 0 && in_flight.saturating_add(count) > max {
                self.shared.freed.wait_for(&mut in_flight, NAP);
                if self.is_over() {
                    return Ok(false);
                }
            }
            *in_flight = in_flight.saturating_add(count);
        }
        if self.is_over() {
            return Ok(false);
        }
        let sent_ns = self.now_ns();
        let submitted = match time.or(self.limits.time) {
            Some(time) => self.submitter.clone().at(time).submit_hinted(bytes, hints),
            None => self.submitter.submit_hinted(bytes, hints),
        };
        let tickets =
            submitted.map_err(|error| Failure::new(format!("after {} transactions: {error}", self.submitted)))?;
        self.submitted = self.submitted.saturating_add(u64::from(count));
        // The receiver lives as long as receipts can come.
        let _ = self.queue.send(Sent { tickets, dues, sent_ns });
        Ok(true)
    }

    /// Submits everything as fast as there is room.
    pub(crate) fn send_all(&mut self, mut cutter: Cutter<'_>, batch: u32) -> Result<(), Failure> {
        while !cutter.is_empty() {
            if !self.send(cutter.take(batch), Dues::WhenSent, None)? {
                break;
            }
        }
        Ok(())
    }

    /// Submits each transaction when it is due, and those that are overdue together.
    pub(crate) fn send_due(
        &mut self,
        mut cutter: Cutter<'_>,
        batch: u32,
        dues: &mut impl Iterator<Item = u64>,
    ) -> Result<(), Failure> {
        let mut dues = dues.peekable();
        while !cutter.is_empty() {
            let Some(first) = dues.next() else { break };
            if !self.wait_until(first) {
                break;
            }
            let now = self.now_ns();
            let mut due = vec![first];
            while due.len() < batch as usize
                && let Some(next) = dues.next_if(|&next| next <= now)
            {
                due.push(next);
            }
            let piece = cutter.take(u32::try_from(due.len()).unwrap_or(batch));
            due.truncate(piece.count as usize);
            if !self.send(piece, Dues::Each(due), None)? {
                break;
            }
        }
        Ok(())
    }
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Drives an engine with what `produce` submits, until all its receipts have come.
pub(crate) fn drive(
    engine: &Engine,
    limits: Limits,
    show: &mut Show,
    produce: impl FnOnce(&mut Sending<'_>) -> Result<(), Failure> + Send,
) -> Result<Driven, Failure> {
    let shared = Shared {
        measured: Mutex::new(Measured::new().map_err(Failure::new)?),
        in_flight: Mutex::new(0),
        freed: Condvar::new(),
        failed: AtomicBool::new(false),
    };
    let (queue, sent) = mpsc::channel();
    let before = engine.stats();
    let cpu_before = crate::machine::process_cpu_ns();
    let start = Instant::now();
    let mut sending =
        Sending { submitter: engine.submitter().waiting(), queue, start, limits, shared: &shared, submitted: 0 };
    let mut queues = Queues::default();
    let (submitted, waited) = std::thread::scope(|scope| {
        let submitting = scope.spawn(move || {
            let produced = produce(&mut sending);
            produced.map(|()| sending.submitted)
        });
        let receiving = &shared;
        let waiting = scope.spawn(move || wait(sent, start, receiving));
        while !waiting.is_finished() {
            std::thread::park_timeout(show.interval());
            let elapsed = start.elapsed();
            let stats = engine.stats();
            queues.look(&stats);
            show.tick(elapsed, limits.duration, &shared.measured.lock(), stats.waiting_transactions);
        }
        (submitting.join(), waiting.join())
    });
    show.clear();
    let lost = |_| Failure::new("a thread of the load generator panicked");
    waited.map_err(lost)??;
    let submitted = submitted.map_err(lost)??;
    let after = engine.stats();
    let process_cpu_ns = crate::machine::process_cpu_ns().saturating_sub(cpu_before);
    let measured = shared.measured.into_inner();
    let seconds = Duration::from_nanos(measured.last_ns).as_secs_f64();
    Ok(Driven { measured, submitted, seconds, before, after, process_cpu_ns, queues })
}

/// Waits for receipts in order until the last submission's have come.
fn wait(sent: mpsc::Receiver<Sent>, start: Instant, shared: &Shared) -> Result<(), Failure> {
    for Sent { tickets, dues, sent_ns } in sent {
        let receipts = match tickets.wait() {
            Ok(receipts) => receipts,
            Err(error) => {
                shared.failed.store(true, Ordering::Relaxed);
                return Err(Failure::new(format!("the engine: {error}")));
            }
        };
        let now = nanoseconds(start);
        shared.measured.lock().record(&receipts, &dues, sent_ns, now);
        let mut in_flight = shared.in_flight.lock();
        *in_flight = in_flight.saturating_sub(u32::try_from(receipts.len()).unwrap_or(u32::MAX));
        drop(in_flight);
        shared.freed.notify_all();
    }
    Ok(())
}
