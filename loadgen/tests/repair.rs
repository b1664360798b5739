//! A damaged ledger is cut when somebody says so, after a block that is whole, and never without a copy.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, command, fail, result, succeed};
use std::path::Path;

const SEGMENT: &str = "segment-00000001.log";

/// A ledger of several blocks.
fn ledger(place: &Place) -> String {
    let directory = place.path("ledger");
    result(place, &["--accounts", "300", "--transactions", "1000", "--in-flight", "50", "--dir", &directory]);
    directory
}

/// Hashes of all blocks, in order.
fn hashes(directory: &str) -> Vec<String> {
    let lines = succeed(&["inspect", directory, "--json"]);
    let objects = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    objects.map(|block| block["hash"].as_str().unwrap().to_owned()).collect()
}

/// Flips a bit in the body of a block.
fn damage(directory: &str, height: usize) -> Vec<u8> {
    let path = Path::new(directory).join(SEGMENT);
    let mut bytes = std::fs::read(&path).unwrap();
    let starts = (0..bytes.len()).step_by(4096).filter(|&place| bytes[place..].starts_with(b"NFRM"));
    // Byte 6 is 0 for a block.
    let start = starts.filter(|&place| bytes[place + 6] == 0).nth(height - 1).unwrap();
    bytes[start + 300] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    bytes
}

fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_damaged_ledger_is_cut_after_the_last_whole_block_and_what_was_cut_is_kept() {
    let place = Place::new();
    let directory = ledger(&place);
    let all = hashes(&directory);
    assert!(all.len() > 5, "{} blocks", all.len());
    let damaged = damage(&directory, 4);
    assert!(fail(1, &["verify", &directory]).contains("height 4"));

    let copy = place.path("copy");
    let told = succeed(&["repair", &directory, "--truncate-at", "3", "--copy", &copy]);
    let lost = format!("lost       blocks 4 to {}\n", all.len());
    for part in ["cut after block 3\n", SEGMENT, "offset", "removed    no segment", &lost, &all[2], &copy] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert_eq!(names(&copy), ["LEDGER", SEGMENT]);
    assert_eq!(std::fs::read(Path::new(&copy).join(SEGMENT)).unwrap(), damaged);
    assert!(succeed(&["verify", &directory]).contains("blocks        3\n"));
    assert_eq!(hashes(&directory), all[..3]);

    // A second time there is nothing left to lose, and the first copy isn't written over.
    let complaint = fail(1, &["repair", &directory, "--truncate-at", "3", "--copy", &copy]);
    assert!(complaint.contains("not empty"), "{complaint}");
    assert_eq!(std::fs::read(Path::new(&copy).join(SEGMENT)).unwrap(), damaged);
    let told = succeed(&["repair", &directory, "--truncate-at", "3"]);
    assert!(told.contains("no block that could be recognised"), "{told}");
    assert_eq!(names(&format!("{directory}-before-cut-at-3")), ["LEDGER", SEGMENT]);
    let told = succeed(&["repair", &directory, "--truncate-at", "0"]);
    assert!(told.contains("cut after block 0\n") && told.contains("blocks 1 to 3\n"), "{told}");
    assert!(succeed(&["verify", &directory]).contains("blocks        0\n"));
}

#[test]
fn a_cut_that_cannot_be_is_refused_and_changes_nothing() {
    let place = Place::new();
    let directory = ledger(&place);
    let last = hashes(&directory).len();
    let copy = place.path("copy");
    // Behind the end, and behind the damage.
    let beyond = (last + 1).to_string();
    let complaint = fail(1, &["repair", &directory, "--truncate-at", &beyond, "--copy", &copy]);
    assert!(complaint.contains(&format!("at most {last}")) && complaint.contains(&beyond), "{complaint}");
    let damaged = damage(&directory, 4);
    let complaint = fail(1, &["repair", &directory, "--truncate-at", "4", "--copy", &copy]);
    assert!(complaint.contains(SEGMENT) && complaint.contains("height 4"), "{complaint}");
    assert!(!Path::new(&copy).exists());
    assert_eq!(std::fs::read(Path::new(&directory).join(SEGMENT)).unwrap(), damaged);

    for directory in [place.path("nowhere"), place.write("file", "something")] {
        let complaint = fail(1, &["repair", &directory, "--truncate-at", "1"]);
        assert!(complaint.contains(&directory), "{complaint}");
    }
}

#[test]
fn nothing_is_cut_unless_the_height_is_said() {
    let place = Place::new();
    let directory = ledger(&place);
    let before = hashes(&directory);
    let complaint = fail(2, &["repair", &directory]);
    assert!(complaint.contains("--truncate-at"), "{complaint}");
    let output = command().args(["repair", &directory, "--truncate-at", "-1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(hashes(&directory), before);
}
