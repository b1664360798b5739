//! State roots: a function of the blocks alone, carried by headers at heights that the format fixes, whatever was restarted in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{BlockHeader, Digest, Engine, EngineConfig, Height, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::language::program;
use nostro_tests::world::{open, trusting};

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
    engine.blocks_from(Height(1)).map(|block| *block.unwrap().header()).map(|h| (h.state_height(), h.state)).collect()
}

#[test]
fn headers_carry_the_same_roots_whatever_is_restarted_and_checkpointed() {
    let count = usize::try_from(2 * BlockHeader::ROOT_INTERVAL + 2 * BlockHeader::ROOT_DELAY).unwrap();
    let straight = Directory::in_memory();
    let engine = open(straight.path(), trusting());
    pay(&engine, 0..count);
    let expected = carried(&engine);
    engine.close().unwrap();

    let (delay, interval) = (BlockHeader::ROOT_DELAY, BlockHeader::ROOT_INTERVAL);
    for (header, height) in expected.iter().zip(1..) {
        let state = if height < delay { None } else { Some(Height((height - delay) / interval * interval)) };
        assert_eq!(header.0, state, "block {height}");
        assert_eq!(header.1 == Digest::default(), state.is_none());
    }
    let mut roots: Vec<Digest> = expected.iter().map(|header| header.1).collect();
    roots.dedup();
    assert_eq!(roots.len(), 4, "none, that of nothing, and two of states");

    let restarted = Directory::in_memory();
    let mut done = 0;
    for (n, stop) in [30, 64, 250, 256, 257, 300, 320, 511, 512, 520, 576, count].into_iter().enumerate() {
        let engine =
            open(restarted.path(), EngineConfig { balance_proofs: n % 2 == 0, threads: 1 + n % 3, ..trusting() });
        pay(&engine, done..stop);
        if n % 3 != 2 {
            engine.checkpoint().unwrap();
        }
        engine.close().unwrap();
        done = stop;
    }
    let engine = open(restarted.path(), trusting());
    assert_eq!(carried(&engine), expected);
    engine.close().unwrap();
    for directory in [straight, restarted] {
        audit_ledger(directory.path(), false, &mut |_, _| ()).unwrap();
    }
}
