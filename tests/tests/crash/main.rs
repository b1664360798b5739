//! P3 and P8 on a disk that lies: whole engines live and die on it, and after each death what was promised is asked for.
//!
//! After every opening, for transactions:
//!
//! - A1 what has a receipt is there, as the receipt says;
//! - A2 what is there was submitted, in the order of admission: no hole, no other order, no duplicate;
//! - A3 what one opening showed, every later one shows;
//! - A4 chain, outcomes and state are what the model says;
//! - A5 opening twice gives the same, and what is submitted again because nobody had answered applies once;
//! - A6 the books balance;
//! - A7 rot is reported with its place, or was provably never acknowledged; never wrong data;
//! - A8 after an error nothing is acknowledged, nobody waits for ever, and the error says where;
//! - A9 when the faults stop, it works again.
//!
//! `NOSTRO_SEEDS=20000 cargo test -p nostro-tests --test crash` lives so many lives. The log's own tests live many more of logs
//! alone, with more ways to fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod life;

use life::{Tally, Trouble, live};
use nostro::Planted;
use nostro_tests::random::seeds;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lives many lives side by side; the first broken promise ends the test and prints its seed.
fn live_all(seeds: u64) -> Tally {
    let next = AtomicU64::new(0);
    let some = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return tally;
            }
            match catch_unwind(|| live(seed, &[])) {
                Ok(Ok(life)) => tally.add(life),
                Ok(Err(violation)) => panic!("seed {seed} ({:?}): {violation}", Trouble::of(seed)),
                Err(_) => panic!("seed {seed} ({:?}): panicked", Trouble::of(seed)),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(some)).collect();
        let mut tally = Tally::default();
        threads.into_iter().for_each(|thread| tally.add(thread.join().unwrap()));
        println!("seeds 0 to {}: {tally:?}", seeds - 1);
        tally
    })
}

#[test]
fn engines_on_a_disk_that_lies_keep_what_they_promised() {
    let seeds = seeds(300);
    let tally = live_all(seeds);
    // A harness in which nothing happens proves nothing.
    assert_eq!(tally.lives, seeds);
    let per_life = |count: u64| count as f64 / seeds as f64;
    assert!(per_life(tally.deaths) > 3.0 && per_life(tally.recoveries) > 3.0, "{tally:?}");
    assert!(per_life(tally.acknowledged) > 20.0 && per_life(tally.lost) > 1.0, "{tally:?}");
    assert!(per_life(tally.retried) > 2.0 && per_life(tally.survived) > 0.1, "{tally:?}");
    assert!(per_life(tally.failures) > 0.3 && per_life(tally.refused) > 0.05, "{tally:?}");
}

/// Every mistake in the list is noticed within so many seeds.
#[test]
fn planted_mistakes_are_noticed() {
    for (planted, seeds_max) in [
        (Planted::ReceiptsBeforeSync, 100),
        (Planted::ReceiptsOfFailedGroup, 100),
        (Planted::NoSync, 100),
        (Planted::AcknowledgedEarly, 200),
        (Planted::NoDirectorySync, 100),
        (Planted::SyncRetried, 500),
        (Planted::NoBodyHash, 500),
    ] {
        let noticed = (0..seeds_max).find_map(|seed| match catch_unwind(|| live(seed, &[planted])) {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some((seed, violation)),
            Err(_) => Some((seed, "an assertion failed".to_owned())),
        });
        match noticed {
            Some((seed, violation)) => println!("{planted:?} noticed with seed {seed}: {violation}"),
            None => panic!("{planted:?} was not noticed with the seeds below {seeds_max}"),
        }
    }
}
