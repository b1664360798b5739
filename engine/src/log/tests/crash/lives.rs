//! How many lives are lived, and that mistakes planted in the log are noticed.

use super::*;

/// Runs many seeds on both cores; the first broken promise ends the test and prints its seed.
fn run_all(seeds: std::ops::Range<u64>) -> Tally {
    let half = |remainder: u64| {
        let mut tally = Tally::default();
        for seed in seeds.clone().filter(|seed| seed % 2 == remainder) {
            let life = std::panic::catch_unwind(|| run(seed, &[]));
            match life {
                Ok(Ok(life)) => tally.add(life),
                Ok(Err(violation)) => panic!("seed {seed} ({:?}): {violation}", Trouble::of(seed)),
                Err(_) => panic!("seed {seed} ({:?}): panicked", Trouble::of(seed)),
            }
        }
        tally
    };
    std::thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        let mut tally = half(0);
        tally.add(odd.join().unwrap());
        println!("seeds {seeds:?}: {tally:?}");
        tally
    })
}

#[test]
fn two_thousand_lives_on_a_disk_that_lies() {
    let tally = run_all(0..2000);
    // A harness in which nothing happens proves nothing.
    assert!(tally.deaths > 6000 && tally.recoveries > 4000, "{tally:?}");
    assert!(tally.torn > 300 && tally.lost > 1000 && tally.rolls > 500, "{tally:?}");
    assert!(tally.failures > 500 && tally.refused > 100 && tally.acknowledged > 20_000, "{tally:?}");
}

#[test]
#[ignore = "by hand, for hours if wanted"]
fn many_more_lives() {
    run_all(2000..42_000);
}

/// Every mistake in the list is noticed within so many seeds.
#[test]
fn planted_mistakes_are_noticed() {
    for (planted, seeds_max) in [
        (&[Planted::NoSync][..], 100),
        (&[Planted::AcknowledgedEarly], 100),
        (&[Planted::NoDirectorySync], 100),
        (&[Planted::NoDirectorySyncAtOpen], 3000),
        (&[Planted::NoHeaderSync], 1000),
        (&[Planted::NoSyncAtRoll], 2000),
        (&[Planted::SyncRetried], 500),
        (&[Planted::NoBodyHash], 100),
        (&[Planted::NoChain], 500),
        (&[Planted::CacheTrusted], 500),
        (&[Planted::NoWatermark], 500),
        (&[Planted::NoLookAhead], 500),
        (&[Planted::TailLeft], 100),
        (&[Planted::TailNotSynced], 3000),
        (&[Planted::PoolTrusted], 3000),
    ] {
        let noticed = (0..seeds_max).find_map(|seed| {
            let life = std::panic::catch_unwind(|| run(seed, planted));
            match life {
                Ok(Ok(_)) => None,
                Ok(Err(violation)) => Some((seed, violation)),
                Err(_) => Some((seed, "an assertion failed".to_string())),
            }
        });
        match noticed {
            Some((seed, violation)) => println!("{planted:?} noticed with seed {seed}: {violation}"),
            None => panic!("{planted:?} was not noticed with the seeds below {seeds_max}"),
        }
    }
}
