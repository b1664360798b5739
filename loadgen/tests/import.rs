//! Data sets become loads: every row is accounted for, and the same data leads to the same digest.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, fail, fixture, result, sample, succeed};
use serde_json::Value;

const MAP: &str = "from=payer,to=payee,asset=currency,amount=sum,time=when";

/// Imports, replays twice, once pretending to be slow; gives what the import said, and the result.
#[track_caller]
fn check(format: &str, file: &str, more: &[&str], expected: &[&str]) -> (String, Value) {
    let place = Place::new();
    let (load, again) = (place.path("one.load"), place.path("other.load"));
    let said = succeed(&[&["import", "--format", format, file, "--out", &load], more].concat());
    for expected in expected {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    succeed(&[&["import", "--format", format, file, "--out", &again], more].concat());
    assert!(std::fs::read(&load).unwrap() == std::fs::read(&again).unwrap(), "two imports differ");
    let ledger = place.path("ledger");
    let first = result(&place, &["replay", &load, "--dir", &ledger]);
    let second = result(&place, &["replay", &load, "--batch", "3", "--threads", "1"]);
    assert_eq!(first["final_digest"], second["final_digest"]);
    assert_eq!(first["final_digest"], first["expected_digest"]);
    assert_eq!((&first["transactions_rejected"], &first["transactions_refused"]), (&0.into(), &0.into()));
    assert!(succeed(&["verify", &ledger, "--signatures"]).contains(first["final_digest"].as_str().unwrap()));
    (said, first)
}

#[test]
fn the_ethereum_sample_settles_to_the_same_digest_twice() {
    let Some(file) = sample("ethereum/transactions.csv") else { return };
    // 298 rows: one creates a contract, 162 move no ether.
    let expected = ["298 read, 135 became transfers", "1 creating a contract", "162 of nothing", "214, 1 assets"];
    let (_, result) = check("ethereum-etl", &file, &[], &expected);
    assert_eq!(result["transactions_settled"], 135);
}

#[test]
fn the_stellar_sample_settles_to_the_same_digest_twice() {
    let Some(file) = sample("stellar/token_transfers.jsonl") else { return };
    let expected = ["668 read, 665 became transfers", "2 of nothing", "1 to oneself", "7 assets"];
    let (_, result) = check("stellar-transfers", &file, &[], &expected);
    assert_eq!(result["transactions_settled"], 665);
}

#[test]
fn opening_balances_are_exactly_what_is_needed() {
    // a1 pays 5 and 1 ether out of nothing: opens with 6. b2 got 5 and pays 6: opens with 1.
    let expected = ["6 read, 3 became transfers", "1 creating a contract", "1 of nothing", "1 to oneself"];
    let (said, result) = check("ethereum-etl", &fixture("ethereum.csv"), &[], &expected);
    assert!(said.contains("4, 1 assets, 2 opening balances"), "{said}");
    assert_eq!(result["transactions_settled"], 3);

    let place = Place::new();
    let (load, ledger) = (place.path("load"), place.path("ledger"));
    succeed(&["import", "--format", "ethereum-etl", &fixture("ethereum.csv"), "--out", &load]);
    succeed(&["replay", &load, "--dir", &ledger]);
    let blocks: Vec<Value> = succeed(&["inspect", &ledger, "--height", "1", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mints: Vec<&str> = blocks[0]["list"][1]["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| operation["amount"].as_str().unwrap())
        .collect();
    assert_eq!(mints, ["6000000000000000000", "1000000000000000000"]);
    assert_eq!(blocks[0]["time_ms"], 1_683_029_999_000_u64);
}

#[test]
fn every_kind_of_stellar_movement_has_its_transfer() {
    let expected = [
        "10 read, 7 became transfers",
        "1 of nothing",
        "1 to oneself",
        "1 of a contract's own token",
        "order         that of the times: 6 rows",
    ];
    let (said, _) = check("stellar-transfers", &fixture("transfers.jsonl"), &[], &expected);
    // A, B, the issuer of USD, the issuer of XLM, the taker of fees. A opens with 100 and 70 of XLM less the 30 refunded.
    assert!(said.contains("5, 2 assets, 1 opening balances"), "{said}");
}

#[test]
fn any_csv_becomes_a_load_by_its_map() {
    let expected = ["4 read, 3 became transfers", "1 of nothing", "2 assets"];
    check("csv", &fixture("payments.csv"), &["--map", MAP], &expected);
}

#[test]
fn a_row_that_is_wrong_in_any_column_is_named_with_line_column_expectation_and_finding() {
    let place = Place::new();
    let cases = [
        ("yesterday,ann,ben,EUR,1", "when", "a time", "yesterday"),
        ("1,,ben,EUR,1", "payer", "an account's name", ""),
        ("1,ann,,EUR,1", "payee", "an account's name", ""),
        ("1,ann,ben,euro €,1", "currency", "an asset code", "euro €"),
        ("1,ann,ben,EUR,-1", "sum", "an amount", "-1"),
        ("1,ann,ben,EUR,1e3", "sum", "an amount", "1e3"),
        (
            "1,ann,ben,EUR,340282366920938463463374607431768211456",
            "sum",
            "an amount",
            "340282366920938463463374607431768211456",
        ),
    ];
    for (row, column, expected, found) in cases {
        let file = place.write("bad.csv", format!("when,payer,payee,currency,sum\n1,ann,ben,EUR,1\n{row}\n"));
        let complaint = fail(1, &["import", "--format", "csv", &file, "--out", &place.path("load"), "--map", MAP]);
        let place_named = format!("{file}: line 3, column {column}: expected {expected}");
        assert!(complaint.contains(&place_named) && complaint.contains(&format!("{found:?}")), "{complaint}");
        assert!(!std::path::Path::new(&place.path("load")).exists());

        // The same is allowed once, and said.
        let load = place.path("skipped.load");
        let arguments = ["import", "--format", "csv", &file, "--out", &load, "--map", MAP, "--skip-bad", "1"];
        let said = succeed(&arguments);
        assert!(said.contains("1 that can't be read") && said.contains("line 3"), "{said}");
        std::fs::remove_file(&load).unwrap();
    }
    let file = place.write("bad.csv", "when,payer,payee,currency,sum\n1,ann,ben\n");
    let complaint = fail(1, &["import", "--format", "csv", &file, "--out", &place.path("load"), "--map", MAP]);
    assert!(complaint.contains("line 2, column 4: expected 5 columns, found 3"), "{complaint}");
    let file = place.write("bad.csv", "when,payer,payee,sum\n1,ann,ben,1\n");
    let complaint = fail(1, &["import", "--format", "csv", &file, "--out", &place.path("load"), "--map", MAP]);
    assert!(complaint.contains("line 1: expected a column currency"), "{complaint}");
}

#[test]
fn every_column_of_an_ethereum_row_is_checked() {
    let place = Place::new();
    let good = std::fs::read_to_string(fixture("ethereum.csv")).unwrap();
    let header: Vec<&str> = good.lines().next().unwrap().split(',').collect();
    for (place_in_row, column) in header.iter().enumerate() {
        let mut rows: Vec<Vec<&str>> = good.lines().map(|line| line.split(',').collect()).collect();
        rows[2][place_in_row] = "0xwrong";
        let text: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
        let file = place.write("bad.csv", text.join("\n"));
        let complaint = fail(1, &["import", "--format", "ethereum-etl", &file, "--out", &place.path("load")]);
        assert!(complaint.contains(&format!("line 3, column {column}: expected")), "{complaint}");
        assert!(complaint.contains("found \"0xwrong\""), "{complaint}");
    }
}

#[test]
fn every_field_of_a_stellar_line_is_checked() {
    let place = Place::new();
    let good = std::fs::read_to_string(fixture("transfers.jsonl")).unwrap();
    for (line, field, wrong) in [
        (1, "closed_at", "today"),
        (1, "ledger_sequence", "x"),
        (1, "event_topic", "gift"),
        (1, "amount_raw", "-5"),
        (1, "amount_raw", "1.5"),
        (1, "from", "ann"),
        (1, "to", ""),
        (1, "asset_type", "gold"),
        (4, "asset_code", "two words"),
        (4, "asset_issuer", "ann"),
    ] {
        let mut lines: Vec<Value> = good.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines[line - 1][field] = wrong.into();
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        let file = place.write("bad.jsonl", text.join("\n"));
        let complaint = fail(1, &["import", "--format", "stellar-transfers", &file, "--out", &place.path("load")]);
        assert!(complaint.contains(&format!("line {line}, column {field}: expected")), "{complaint}");
    }
    let file = place.write("bad.jsonl", "{\"from\": \n");
    let complaint = fail(1, &["import", "--format", "stellar-transfers", &file, "--out", &place.path("load")]);
    assert!(complaint.contains("line 1, column") && complaint.contains("expected a JSON object"), "{complaint}");
}

#[test]
fn money_that_passes_all_bounds_is_refused_where_it_does() {
    let place = Place::new();
    let most = u128::MAX.to_string();
    let file = place.write("much.csv", format!("a,b,c\nann,ben,{most}\nann,ben,1\n"));
    let complaint =
        fail(1, &["import", "--format", "csv", &file, "--out", &place.path("load"), "--map", "from=a,to=b,amount=c"]);
    assert!(complaint.contains("line 3, column amount: expected an amount that keeps what is issued"), "{complaint}");
    // With one more decimal place elsewhere, the same amount no longer fits.
    let file = place.write("much.csv", format!("a,b,c\nann,ben,{most}\nben,ann,0.1\n"));
    let complaint =
        fail(1, &["import", "--format", "csv", &file, "--out", &place.path("load"), "--map", "from=a,to=b,amount=c"]);
    assert!(complaint.contains("line 2, column amount: expected an amount below 2^128"), "{complaint}");
}
