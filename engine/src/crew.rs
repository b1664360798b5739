//! Threads that compute side by side for somebody who works along: pure computation, nothing that waits for a disk or a message.
//!
//! Waking a thread takes as long as executing a thousand payments, and sometimes far longer. So the caller begins at once, helpers are woken
//! once for all phases and join where the work has come to, and between phases they stay awake. After their last work they look for more
//! for a little longer than it takes to begin the next block, and only then go to sleep: a crew that has nothing to do takes no processor.

#[cfg(all(test, loom))]
use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::yield_now,
};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};
#[cfg(not(all(test, loom)))]
use std::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::yield_now,
};

/// How long helpers look for more work after their last: what is done by one thread between executing a block and writing its effects takes
/// less.
const AWAKE: Duration = Duration::from_micros(400);

/// Some threads beside the caller's, or none.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pool: Option<rayon::ThreadPool>,
    /// Whether each helper is looking for work.
    looking: Arc<[AtomicBool]>,
    /// How many the caller plays by itself, each phase backwards: so that a test sees more portions than it has threads.
    #[cfg(test)]
    played: Option<usize>,
}

/// Some work: how many items it has, and what to do to the item at a place. It begins when the phase before it has ended.
pub(crate) type Phase<'a> = (usize, &'a (dyn Fn(usize) + Sync));

impl Crew {
    /// A crew of so many threads, the caller's among them.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let Some(helpers) = threads.checked_sub(1).filter(|&helpers| helpers > 0) else { return Ok(Self::default()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(helpers).thread_name(|n| format!("nostro-crew-{n}"));
        let looking = (0..helpers).map(|_| AtomicBool::default()).collect();
        let pool = Some(pool.build().map_err(std::io::Error::other)?);
        Ok(Self {
            pool,
            looking,
            #[cfg(test)]
            played: None,
        })
    }

    /// A crew that has no thread but the caller's, which plays all of them.
    #[cfg(test)]
    pub(crate) fn played(threads: usize) -> Self {
        Self { played: Some(threads), ..Self::default() }
    }

    /// How many compute at once, the caller among them.
    pub(crate) fn threads(&self) -> usize {
        #[cfg(test)]
        if let Some(threads) = self.played {
            return threads;
        }
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads().saturating_add(1))
    }

    /// Has the helper that this is called on look for more work when it is done with what it does.
    fn stay_awake(&self, pool: &rayon::ThreadPool) {
        let Some(helper) = pool.current_thread_index() else { return };
        if self.looking.get(helper).is_none_or(|looking| looking.swap(true, Ordering::Relaxed)) {
            return;
        }
        let looking = self.looking.clone();
        pool.spawn(move || {
            let _looking = looking.get(helper).map(Looking);
            let mut since = Instant::now();
            while since.elapsed() < AWAKE {
                if let Some(rayon::Yield::Executed) = rayon::yield_now() {
                    since = Instant::now();
                }
                spin_loop();
            }
        });
    }

    /// Does phase after phase; comes back when all are done.
    ///
    /// # Panics
    /// If work does.
    pub(crate) fn work(&self, phases: &[Phase<'_>]) {
        #[cfg(test)]
        if self.played.is_some() {
            return phases.iter().for_each(|(count, work)| (0..*count).rev().for_each(work));
        }
        let Some(pool) = &self.pool else {
            return phases.iter().for_each(|(count, work)| (0..*count).for_each(work));
        };
        let board = Board::new(phases);
        pool.in_place_scope(|scope| {
            let help = |_: &rayon::Scope<'_>| {
                board.run();
                self.stay_awake(pool);
            };
            (0..pool.current_num_threads()).for_each(|_| scope.spawn(help));
            board.run();
        });
        assert!(!board.lost.load(Ordering::Relaxed), "work was lost");
    }
}

/// How long something was worked on, by whatever threads.
#[derive(Debug, Default)]
pub(crate) struct Busy(std::sync::atomic::AtomicU64);

impl Busy {
    /// Does work, and counts how long it takes.
    pub(crate) fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let done = work();
        let spent = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(spent, std::sync::atomic::Ordering::Relaxed);
        done
    }

    /// Nanoseconds counted since this was last asked.
    pub(crate) fn take(&mut self) -> u64 {
        std::mem::take(self.0.get_mut())
    }
}

/// Says that a helper no longer looks for work, however that came.
struct Looking<'a>(&'a AtomicBool);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// How far the work has come.
struct Board<'a> {
    phases: &'a [Phase<'a>],
    /// By phase: items that were begun, and items that are done.
    counts: Vec<(AtomicUsize, AtomicUsize)>,
    /// Somebody has panicked, so that a phase will never end.
    lost: AtomicBool,
}

/// Tells the others when its thread panics.
struct Telling<'a>(&'a AtomicBool);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<'a> Board<'a> {
    fn new(phases: &'a [Phase<'a>]) -> Self {
        Self { phases, counts: phases.iter().map(|_| Default::default()).collect(), lost: AtomicBool::default() }
    }

    /// Takes part until all phases have ended.
    fn run(&self) {
        let _telling = Telling(&self.lost);
        for ((count, work), (begun, done)) in self.phases.iter().zip(&self.counts) {
            loop {
                let place = begun.fetch_add(1, Ordering::Relaxed);
                if place >= *count {
                    break;
                }
                work(place);
                done.fetch_add(1, Ordering::Release);
            }
            // Others are at what is left, if they have a processor.
            let mut spins = 0_u32;
            while done.load(Ordering::Acquire) < *count {
                if self.lost.load(Ordering::Relaxed) {
                    return;
                }
                spins = spins.wrapping_add(1);
                if spins.is_multiple_of(64) {
                    yield_now();
                } else {
                    spin_loop();
                }
            }
        }
    }
}

/// Items of which each is worked on by one thread at a time.
pub(crate) struct Items<'a, T>(Vec<Mutex<&'a mut T>>);

impl<'a, T> Items<'a, T> {
    pub(crate) fn new(items: impl Iterator<Item = &'a mut T>) -> Self {
        Self(items.map(Mutex::new).collect())
    }

    /// The item at a place. Nobody else has it in the same phase, so this doesn't wait.
    pub(crate) fn at(&self, place: usize) -> MutexGuard<'_, &'a mut T> {
        self.0[place].lock()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_in_each_phase_and_phases_follow_each_other() {
        // An interpreter takes a thousand times as long.
        let (rounds, count) = if cfg!(miri) { (3, 20) } else { (50, 1000) };
        for threads in [0, 1, 2, 5] {
            let crew = Crew::new(threads).unwrap();
            assert_eq!(crew.threads(), threads.max(1));
            for _ in 0..rounds {
                let mut numbers = vec![0; count];
                let mut sums = [0; 10];
                let (numbers, sums) = (Items::new(numbers.iter_mut()), Items::new(sums.iter_mut()));
                crew.work(&[
                    (count, &|place| **numbers.at(place) += place),
                    (10, &|place| **sums.at(place) = (0..count).map(|number| **numbers.at(number)).sum()),
                    (0, &|_| unreachable!()),
                ]);
                assert!((0..10).all(|place| **sums.at(place) == (count - 1) * count / 2));
            }
        }
    }

    #[test]
    fn work_that_panics_is_told_and_nobody_waits_for_ever() {
        let crew = Crew::new(3).unwrap();
        let work = || crew.work(&[(100, &|place| assert!(place != 50, "on purpose")), (100, &|_| ())]);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        crew.work(&[(100, &|_| ())]);
    }
}

/// In every order in which two threads can run, and with whatever may still hide of one's writes from the other. Two of three threads that wait can
/// keep the third from running in a model, so there are no more.
#[cfg(all(test, loom))]
mod orders {
    use super::*;

    /// Does two phases in all orders: each item of the second reads what every item of the first has written.
    fn check(items: usize, preemptions: Option<usize>) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = preemptions;
        model.check(move || {
            // A thread of the model outlives what it was made in, so all of it stays.
            let written: &'static [AtomicUsize] = Box::leak((0..items).map(|_| AtomicUsize::new(0)).collect());
            let write: &'static (dyn Fn(usize) + Sync) = Box::leak(Box::new(move |item: usize| {
                let before = written[item].load(Ordering::Relaxed);
                written[item].store(before + item + 1, Ordering::Relaxed);
            }));
            let read: &'static (dyn Fn(usize) + Sync) = Box::leak(Box::new(move |_: usize| {
                let all: Vec<usize> = written.iter().map(|item| item.load(Ordering::Relaxed)).collect();
                assert_eq!(all, (1..=items).collect::<Vec<_>>(), "an item is done once, and before the next phase");
            }));
            let phases: &'static [Phase<'static>] = Box::leak(Box::new([(items, write), (items, read)]));
            let board: &'static Board<'static> = Box::leak(Box::new(Board::new(phases)));
            let other = loom::thread::spawn(|| board.run());
            board.run();
            // The caller goes on when all is done, whether the other has noticed or not.
            assert!(board.counts.iter().all(|(_, done)| done.load(Ordering::Relaxed) == items));
            other.join().unwrap();
        });
    }

    #[test]
    fn two_threads_at_one_item_a_phase() {
        check(1, None);
    }

    #[test]
    fn two_threads_at_two_items_a_phase() {
        check(2, None);
    }

    #[test]
    fn two_threads_at_three_items_a_phase() {
        check(3, Some(3));
    }
}
