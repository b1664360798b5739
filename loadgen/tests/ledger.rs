//! What is done with a ledger's directory: it is verified, inspected, replayed, and never overwritten.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, fail, result, succeed};
use std::path::PathBuf;

fn ledger(place: &Place) -> (String, serde_json::Value) {
    let directory = place.path("ledger");
    let arguments = ["--accounts", "300", "--transactions", "5000", "--dir", &directory];
    let result = result(place, &arguments);
    (directory, result)
}

/// The segment files of a ledger, in order.
fn segments(directory: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().to_str().unwrap().starts_with("segment-"));
    files.sort();
    files
}

#[test]
fn a_ledger_verifies_and_replays_to_its_own_digest() {
    let place = Place::new();
    let (directory, ran) = ledger(&place);
    let digest = ran["final_digest"].as_str().unwrap();
    let verified = succeed(&["verify", &directory, "--signatures"]);
    assert!(verified.contains(digest) && verified.contains("all valid"), "{verified}");

    for speed in ["max", "10x"] {
        let copy = place.path(&format!("copy-{speed}"));
        let replayed = result(&place, &["replay", &directory, "--speed", speed, "--dir", &copy]);
        assert_eq!(replayed["final_digest"], digest);
        assert_eq!(replayed["expected_digest"], digest);
        assert!(succeed(&["verify", &copy, "--signatures"]).contains(digest));
    }
}

#[test]
fn a_flipped_byte_is_found_and_named() {
    let place = Place::new();
    let (directory, _) = ledger(&place);
    let segment = segments(&directory).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    // In the middle of the first of many blocks.
    bytes[20_000] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    for command in ["verify", "replay"] {
        let complaint = fail(1, &[command, &directory]);
        assert!(complaint.contains(&name) && complaint.contains("expected"), "{complaint}");
        assert!(complaint.contains(&directory), "which of many ledgers it is: {complaint}");
    }
}

#[test]
fn blocks_are_shown_as_text_and_as_json() {
    let place = Place::new();
    let (directory, _) = ledger(&place);
    let blocks: Vec<serde_json::Value> =
        succeed(&["inspect", &directory, "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let transactions: u64 = blocks.iter().map(|block| block["transactions"].as_u64().unwrap()).sum();
    // The asset, 300 accounts funded by two transactions, and the load.
    assert_eq!(transactions, 1 + 2 + 5000);
    assert!(succeed(&["inspect", &directory]).contains("5003 transactions"));
    let first = succeed(&["inspect", &directory, "--height", "1"]);
    assert!(first.contains("register LOAD scale 2"), "{first}");
    let complaint = fail(1, &["inspect", &directory, "--height", "1000000"]);
    assert!(complaint.contains("expected a block 1000000"), "{complaint}");
}

#[test]
fn a_directory_that_holds_something_is_refused_and_left_alone() {
    let place = Place::new();
    let (directory, _) = ledger(&place);
    let complaint = fail(1, &["--transactions", "10", "--accounts", "10", "--dir", &directory]);
    assert!(complaint.contains("expected a new or an empty directory, found the ledger"), "{complaint}");
    succeed(&["verify", &directory]);

    let file = place.write("file", "something");
    let complaint = fail(1, &["--transactions", "10", "--accounts", "10", "--dir", &file]);
    assert!(complaint.contains(&file), "{complaint}");
    for command in ["verify", "inspect", "replay"] {
        let complaint = fail(1, &[command, &place.path("nowhere")]);
        assert!(complaint.contains("nowhere"), "{complaint}");
    }
}
