//! What an earlier build has written still opens: a ledger of each format version stands among the fixtures, with what it has to give.
//!
//! A fixture is a directory as the engine leaves it, its segment cut behind the last byte that isn't zero. A new format version gets one
//! of its own beside the old ones, which stay.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Engine, Height, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::language::signed_program;
use nostro_tests::world::{config, open};
use std::fs;
use std::path::{Path, PathBuf};

const SEGMENT: &str = "segment-00000001.log";
const EXPECTED: &str = "EXPECTED";

/// By format version; those behind it differ in what a header covers.
const FIXTURES: [&str; 2] = ["ledger-format-1", "ledger-format-1-changed-balances"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// What the ledger gives: a line for each block, then the state.
fn contents(engine: &Engine) -> String {
    let mut text = String::new();
    for block in engine.blocks_from(Height(1)) {
        let block = block.unwrap();
        let outcomes: Vec<String> = block.view().unwrap().transactions().map(|(_, no)| format!("{no:?}")).collect();
        text += &format!("{} {} {}\n", block.header().height, block.hash(), outcomes.join(", "));
    }
    let snapshot = engine.snapshot().unwrap();
    text + &format!("{} transactions, state {}\n", snapshot.transaction_count(), snapshot.digest())
}

/// Makes a ledger with something of everything: lanes, several assets, rejections, further operations, a checkpoint, several runs.
fn make(directory: &Path) -> String {
    let texts = [
        "I*EUR:max I*USD:1000 I>A:1000000 I>B:7@1 A>B:1/9",
        "A>B:5 A>C:9999999 B>D:2 I>B:9@1#50 A>B:1#77/3 B>C:1@1 A>B:1#0",
        "A>C:1 B>A:1@1",
        "C>D:1 D>C:5 A>E:17#90",
    ];
    let mut contents_now = String::new();
    for (n, text) in texts.iter().enumerate() {
        let engine = open(directory, config());
        let orders: Vec<_> = signed_program(text).steps.into_iter().map(|step| step.transaction).collect();
        let _ = engine.submit_batch(&orders).unwrap().wait().unwrap();
        if n == 2 {
            engine.checkpoint().unwrap();
        }
        contents_now = contents(&engine);
        engine.close().unwrap();
    }
    contents_now
}

/// Writes a fixture where it can be taken from.
fn write_fixture(kind: &str) -> PathBuf {
    let (directory, to) = (Directory::in_memory(), Path::new(env!("CARGO_TARGET_TMPDIR")).join(kind));
    let expected = make(directory.path());
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(&to).unwrap();
    for (path, bytes) in directory.files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if name == SEGMENT || name == "LEDGER" || name.ends_with(".state") {
            fs::write(to.join(name), &bytes[..if name == SEGMENT { end } else { bytes.len() }]).unwrap();
        }
    }
    fs::write(to.join(EXPECTED), expected).unwrap();
    to
}

#[test]
fn a_ledger_of_every_format_version_opens_and_gives_what_it_gave() {
    for kind in FIXTURES {
        let from = fixture(kind);
        if !from.is_dir() {
            panic!("there is no fixture {kind}; what the engine writes now is in {:?}", write_fixture(kind));
        }
        for with_checkpoint in [true, false] {
            let directory = Directory::in_memory();
            fs::create_dir_all(directory.path()).unwrap();
            for entry in fs::read_dir(&from).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if name != EXPECTED && (with_checkpoint || !name.ends_with(".state")) {
                    let mut bytes = fs::read(&path).unwrap();
                    if name == SEGMENT {
                        bytes.resize(usize::try_from(config().segment_bytes).unwrap(), 0);
                    }
                    fs::write(directory.path().join(name), bytes).unwrap();
                }
            }
            let report = audit_ledger(directory.path(), true, &mut |_, _| ()).unwrap();
            assert!(report.signatures > 15 && report.rejected > 2 && report.summary.torn.is_none());
            let engine = open(directory.path(), config());
            assert_eq!(engine.recovered().checkpoint > Height(0), with_checkpoint);
            assert!(engine.warnings().is_empty());
            assert_eq!(contents(&engine), fs::read_to_string(from.join(EXPECTED)).unwrap());
            // And it goes on.
            let order = signed_program("A>B:1#95").steps.remove(0).transaction;
            assert!(engine.submit(&order).unwrap().wait().unwrap().outcome.is_applied());
            engine.close().unwrap();
        }
    }
}
