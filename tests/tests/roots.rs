//! State roots: a function of the blocks alone, carried by headers at heights that the format fixes, whatever was restarted in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{AssetId, Digest, Engine, EngineConfig, Height, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::language::program;
use nostro_tests::world::{ledger, named, open, trusting};

/// One payment per block.
fn pay(engine: &Engine, blocks: std::ops::Range<usize>) {
    for n in blocks {
        let text = match n {
            0 => "I*EUR:max#0".to_owned(),
            1 => "I>A:100000#1".to_owned(),
            n => format!("A>{}:1#{n}", ['B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'L'][n % 10]),
        };
        let receipt = engine.submit(&program(&text).steps[0].transaction).unwrap().wait().unwrap();
        assert!(receipt.outcome.is_applied());
    }
}

fn carried(engine: &Engine) -> Vec<(Option<Height>, Digest)> {
    let headers = engine.blocks_from(Height(1)).map(|block| *block.unwrap().header());
    headers.map(|header| (engine.ledger().state_height(&header), header.state)).collect()
}

#[test]
fn headers_carry_the_same_roots_whatever_is_restarted_and_checkpointed() {
    for interval in [1, 2, 63, 64, 100, 256] {
        let config = EngineConfig { root_interval: interval, ..trusting() };
        let (interval, delay) = (u64::from(interval), u64::from(interval.min(64)));
        let count = 2 * interval.max(70) + 128;
        let straight = Directory::in_memory();
        let engine = open(straight.path(), config.clone());
        pay(&engine, 0..usize::try_from(count).unwrap());
        let expected = carried(&engine);
        engine.close().unwrap();

        for (header, height) in expected.iter().zip(1..) {
            let state = if height < delay { None } else { Some(Height((height - delay) / interval * interval)) };
            assert_eq!(header.0, state, "interval {interval}, block {height}");
            assert_eq!(header.1 == Digest::default(), state.is_none());
        }
        let mut roots: Vec<Digest> = expected.iter().map(|header| header.1).collect();
        roots.dedup();
        // None in the first headers, that of nothing, and one of each state: a payment changes every one of them.
        let none = u64::from(delay > 1);
        assert_eq!(roots.len() as u64, none + 1 + (count - delay) / interval, "interval {interval}");

        let restarted = Directory::in_memory();
        let (mut done, count) = (0, usize::try_from(count).unwrap());
        let stops = [1, 2, 30, 64, 65, 130, 250, 256, 257, 300, 320, 511, 512, 520, 576, count];
        for (n, stop) in stops.into_iter().filter(|&stop| stop <= count).enumerate() {
            let engine = open(
                restarted.path(),
                EngineConfig { balance_proofs: n % 2 == 0, threads: 1 + n % 3, ..config.clone() },
            );
            pay(&engine, done..stop);
            if n % 3 != 2 {
                engine.checkpoint().unwrap();
            }
            engine.close().unwrap();
            done = stop;
        }
        let engine = open(restarted.path(), config);
        assert_eq!(carried(&engine), expected);
        engine.close().unwrap();
        for directory in [straight, restarted] {
            audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
        }
    }
}

#[test]
fn balances_are_proved_from_the_block_before_where_every_block_has_a_root() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { root_interval: 1, balance_proofs: true, ..trusting() });
    for n in 0..40 {
        pay(&engine, n..n + 1);
        if n == 0 {
            continue;
        }
        // Each block carries the root of the one before, which was made before it was durable.
        let (height, proof) = engine.prove_balance(&named('I')).unwrap();
        let header = engine.header(height).unwrap().unwrap();
        assert_eq!(height, engine.durable_height());
        assert_eq!(engine.ledger().state_height(&header), Some(Height(height.0 - 1)));
        proof.verify(&header, &named('I'), AssetId(0)).unwrap();
    }
}

#[test]
fn once_a_balance_can_be_proved_it_always_can() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { root_interval: 70, balance_proofs: true, ..trusting() });
    for n in 0..300 {
        pay(&engine, n..n + 1);
        let height = engine.durable_height();
        let proved = engine.prove_balance(&named('I'));
        assert_eq!(proved.is_ok(), height >= Height(134), "block {height}");
        let Ok((header, _)) = proved else { continue };
        assert_eq!(header, Height((height.0 - 64) / 70 * 70 + 64), "from the newest root that is carried");
    }
}

#[test]
fn another_interval_is_another_ledger_and_says_so() {
    let directory = Directory::in_memory();
    let config = |root_interval| EngineConfig { root_interval, ..trusting() };
    let engine = open(directory.path(), config(16));
    assert_eq!(engine.ledger().root_interval(), 16);
    assert_ne!(engine.ledger().id(), ledger().id());
    engine.close().unwrap();
    for other in [1, 256] {
        let error = Engine::open(directory.path(), config(other)).unwrap_err().to_string();
        let (expected, found) = (format!("a root every {other} blocks"), "a root every 16 blocks".to_owned());
        let (first, then) = error.split_once("found").unwrap();
        assert!(error.contains("LEDGER") && first.contains(&expected) && then.contains(&found), "{error}");
    }
    open(directory.path(), config(16)).close().unwrap();
    assert_eq!(nostro::ledger_name(directory.path()).unwrap(), ledger().name());
}
