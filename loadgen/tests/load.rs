//! A load file that is not what it should be is refused, with what is wrong and where.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, fail, result, succeed};

fn load(place: &Place) -> (String, Vec<u8>) {
    let path = place.path("good.load");
    succeed(&["record", "--accounts", "10", "--transactions", "100", "--out", &path]);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn a_load_that_is_cut_short_or_damaged_or_no_load_is_refused() {
    let place = Place::new();
    let (_, bytes) = load(&place);
    let changed = |at: usize, change: u8| {
        let mut bytes = bytes.clone();
        bytes[at] ^= change;
        bytes
    };
    let cases: [(Vec<u8>, &str); 9] = [
        (Vec::new(), "at least 160 bytes, found 0 bytes"),
        (bytes[..100].to_vec(), "at least 160 bytes, found 100 bytes"),
        (bytes[..bytes.len() - 1].to_vec(), "cut short: expected"),
        ([&bytes[..], &[0]].concat(), "too long: expected"),
        (changed(0, 1), "magic at byte 0: expected"),
        (changed(8, 2), "version at byte 8: expected 1, found 3"),
        (changed(20, 1), "ledger at byte 16: expected"),
        (changed(3000, 1), "the file is damaged"),
        (b"from,to,amount\nann,ben,5\n".repeat(20), "magic at byte 0: expected"),
    ];
    for (bytes, expected) in cases {
        let path = place.write("bad.load", bytes);
        for command in ["replay", "inspect"] {
            let complaint = fail(1, &[command, &path]);
            assert!(complaint.contains(&path) && complaint.contains(expected), "{expected}: {complaint}");
        }
    }
}

#[test]
fn a_load_for_another_ledger_is_refused() {
    let place = Place::new();
    let (path, _) = load(&place);
    let complaint = fail(1, &["replay", &path, "--ledger", "another"]);
    assert!(
        complaint.contains("expected a load for the ledger \"another\", found one for \"nostro loadgen\""),
        "{complaint}"
    );

    let other = place.path("other.load");
    succeed(&["record", "--accounts", "10", "--transactions", "100", "--ledger", "another", "--out", &other]);
    let result = result(&place, &["replay", &other, "--ledger", "another"]);
    assert_eq!((&result["transactions_settled"], &result["engine"]["ledger"]), (&100.into(), &"another".into()));
}

#[test]
fn a_load_that_lies_about_its_ledger_settles_nothing() {
    let place = Place::new();
    let (_, mut bytes) = load(&place);
    let name = "nostro forgery";
    assert_eq!(name.len(), "nostro loadgen".len());
    bytes[160..160 + name.len()].copy_from_slice(name.as_bytes());
    bytes[16..48].copy_from_slice(nostro::Ledger::new(name).unwrap().id().as_bytes());
    let covered = bytes.len() - 32;
    let checksum = blake3::hash(&bytes[..covered]);
    bytes[covered..].copy_from_slice(checksum.as_bytes());
    let complaint = fail(1, &["replay", &place.write("forged.load", bytes)]);
    assert!(complaint.contains("expected all 2 transactions to be applied, found 0"), "{complaint}");
    assert!(complaint.contains("not valid for this transaction and ledger"), "{complaint}");
}

#[test]
fn a_load_without_signatures_runs_only_without_verification() {
    let place = Place::new();
    let path = place.path("unsigned.load");
    let said = succeed(&["record", "--accounts", "10", "--transactions", "100", "--trust-signatures", "--out", &path]);
    assert!(said.contains("NOTHING IS SIGNED"), "{said}");
    let complaint = fail(1, &["replay", &path]);
    assert!(complaint.contains("expected signed transactions"), "{complaint}");
    assert_eq!(result(&place, &["replay", &path, "--trust-signatures"])["transactions_settled"], 100);
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let place = Place::new();
    let path = place.write("precious", "precious");
    let complaint = fail(1, &["record", "--accounts", "10", "--transactions", "10", "--out", &path]);
    assert!(complaint.contains("precious: expected to create it"), "{complaint}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn single_transactions_of_a_load_are_shown_as_a_person_would_write_them() {
    let place = Place::new();
    let load = place.path("mixed.load");
    let spec = ["--mix", "mixed", "--accounts", "60", "--transactions", "400", "--seed", "5"];
    succeed(&[&["record"], &spec[..], &["--out", &load]].concat());
    let all = succeed(&["inspect", &load, "--at", "0", "--count", "1000"]);
    let heads: Vec<&str> = all.lines().filter(|line| line.contains(" sequence ")).collect();
    assert_eq!(heads.len(), 400, "as many as there are");
    for (place, head) in heads.iter().enumerate() {
        assert!(head.starts_with(&format!("  {place}  ")) && head.contains("due after 0 µs"), "{head}");
    }
    for words in ["transfer ", " of asset ", "hold ", "signer 1 is ", "signer 1  ", "buy ", "cancel "] {
        assert!(all.contains(words), "{words}: {all}");
    }
    // One of them, and the same for machines.
    let one = succeed(&["inspect", &load, "--at", "7"]);
    assert!(all.contains(&one) && one.starts_with("  7  "), "{one}");
    let json = succeed(&["inspect", &load, "--at", "7", "--count", "2", "--json"]);
    let json: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.iter().map(|one| one["place"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 8]);
    assert!(one.contains(json[0]["account"].as_str().unwrap()), "{one}");
    assert!(json[0]["outcome"].is_null() && json[0]["operations"].as_array().is_some());

    let setup = succeed(&["inspect", &load, "--setup", "--at", "0"]);
    assert!(setup.contains("register ") && !setup.contains("due after"), "{setup}");
    let complaint = fail(1, &["inspect", &load, "--at", "400"]);
    assert!(complaint.contains("expected a transaction 400, from 0, found 400 of them"), "{complaint}");
    for wrong in [&["--count", "3"][..], &["--at", "1", "--height", "1"], &["--setup"]] {
        fail(2, &[&["inspect", &load], wrong].concat());
    }

    // Of a block of a ledger.
    let ledger = place.path("ledger");
    succeed(&["replay", &load, "--dir", &ledger]);
    let block = succeed(&["inspect", &ledger, "--height", "1"]);
    let second = succeed(&["inspect", &ledger, "--height", "1", "--at", "1"]);
    let line = second.lines().find(|line| line.starts_with("  1  ")).unwrap();
    assert!(block.contains(line) && line.ends_with("applied") && !second.contains("\n  0  "), "{second}");
    assert!(fail(1, &["inspect", &ledger, "--height", "1", "--at", "9999"]).contains("expected a transaction 9999"));
    assert!(fail(2, &["inspect", &ledger, "--at", "1"]).contains("--height"));
}
