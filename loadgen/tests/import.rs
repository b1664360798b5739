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

#[test]
fn every_balance_of_a_berka_row_is_checked_by_the_ledger() {
    let expected = [
        "13 read, 12 became transfers",
        "1 of nothing",
        "balances      12 checked by the ledger",
        "9, 1 assets, 2 opening balances",
    ];
    let (_, result) = check("berka", &fixture("berka.asc"), &[], &expected);
    assert_eq!(result["transactions_settled"], 12);

    // The rows of one day in the order of their balances, each with what it leaves: 872.90 were lent to the account 576.
    let place = Place::new();
    let (load, ledger) = (place.path("load"), place.path("ledger"));
    succeed(&["import", "--format", "berka", &fixture("berka.asc"), "--out", &load]);
    succeed(&["replay", &load, "--dir", &ledger]);
    let said = succeed(&["inspect", &ledger, "--json"]);
    let heights = said.lines().count();
    let mut left = Vec::new();
    for height in 1..=heights {
        let block = succeed(&["inspect", &ledger, "--height", &height.to_string(), "--json"]);
        let block: Value = serde_json::from_str(block.lines().next().unwrap()).unwrap();
        for transaction in block["list"].as_array().unwrap() {
            let operations = transaction["operations"].as_array().unwrap();
            if let Some(text) = operations.get(1).and_then(|operation| operation["text"].as_str()) {
                left.push((operations[0]["reference"].as_u64().unwrap(), text.rsplit(' ').next().unwrap().to_owned()));
            }
        }
    }
    let lines: Vec<u64> = left.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 9, 8, 10, 11, 12, 13], "{left:?}");
    let of = |line| left.iter().find(|(other, _)| *other == line).unwrap().1.clone();
    let number = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    assert_eq!(number(of(9)), "45000");
    assert_eq!(number(of(8)), "11950");
    assert_eq!(number(of(12)), "0");
    assert_eq!(number(of(11)), (712_710 + 87_290).to_string());
}

#[test]
fn a_wrong_balance_or_any_wrong_column_of_a_berka_row_is_named() {
    let place = Place::new();
    let good = std::fs::read_to_string(fixture("berka.asc")).unwrap();
    for (column, wrong, expected) in [
        ("trans_id", "x", "a whole number"),
        ("account_id", "-1", "a whole number"),
        ("date", "931301", "a date such as 930101"),
        ("type", "PRIJEN", "PRIJEM, VYDAJ or VYBER"),
        ("operation", "VKLAT", "nothing, VKLAD"),
        ("amount", "1,5", "an amount"),
        ("amount", "400.01", "800.01, by the rows before it"),
        ("balance", "1.234", "an amount"),
        ("balance", "400.01", "400.00, by the rows before it"),
        ("bank", "q", "two capital letters"),
        ("account", "12a", "an account's number"),
    ] {
        let header: Vec<&str> = good.lines().next().unwrap().split(';').collect();
        let place_in_row = header.iter().position(|name| name.trim_matches('"') == column).unwrap();
        // An amount that doesn't fit shows in the balance.
        let named = if expected.contains("by the rows") { "balance" } else { column };
        let mut rows: Vec<Vec<String>> =
            good.lines().map(|line| line.split(';').map(str::to_owned).collect()).collect();
        // Behind the first row of its account, so that there is something before it.
        let mut extra = rows[5].clone();
        (extra[0], extra[2], extra[5]) = ("\"1\"".to_owned(), "\"930201\"".to_owned(), "\"0.00\"".to_owned());
        extra[place_in_row] = format!("\"{wrong}\"");
        rows.push(extra);
        let text: Vec<String> = rows.iter().map(|row| row.join(";")).collect();
        let file = place.write("bad.asc", text.join("\n"));
        let load = place.path("bad.load");
        let complaint = fail(1, &["import", "--format", "berka", &file, "--out", &load]);
        let line = rows.len();
        assert!(
            complaint.contains(&format!("{file}: line {line}, column {named}: expected {expected}")),
            "{complaint}"
        );
        let said = succeed(&["import", "--format", "berka", &file, "--out", &load, "--skip-bad", "1"]);
        assert!(said.contains("1 that can't be read") && said.contains("12 became transfers"), "{said}");
        std::fs::remove_file(&load).unwrap();
    }
}

const MESSAGES: &str = "ABCD_2012-06-21_34200000_57600000_message_3.csv";
const BOOK: &str = "ABCD_2012-06-21_34200000_57600000_orderbook_3.csv";

#[test]
fn a_day_of_an_exchange_leads_to_the_exchanges_own_book() {
    let rows = std::fs::read_to_string(fixture(MESSAGES)).unwrap();
    let count = |event: char| rows.lines().filter(|row| row.split(',').nth(1) == Some(&event.to_string())).count();
    let orders = "1234".chars().map(count).sum::<usize>();
    let expected = [
        format!("{} read, {orders} became orders, amendments and executions", rows.lines().count()),
        format!("{} executing a hidden order", count('5')),
        format!("{} of a cross", count('6')),
        format!("{} halting or resuming the trade", count('7')),
        format!("the same as the exchange's, 3 levels deep, at {orders} of {orders} rows compared"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let (said, result) = check("lobster", &fixture(MESSAGES), &["--book", &fixture(BOOK)], &expected);
    assert_eq!(result["transactions_settled"], orders as u64);
    assert!(!said.contains("out of turn"), "{said}");

    // Each kind of message has become what it should.
    let place = Place::new();
    let load = place.path("load");
    succeed(&["import", "--format", "lobster", &fixture(MESSAGES), "--book", &fixture(BOOK), "--out", &load]);
    let said: Value = serde_json::from_str(&succeed(&["inspect", &load, "--json"])).unwrap();
    for (form, event) in
        [("PlaceOrder, waits", '1'), ("Amend, changes", '2'), ("Amend, cancels", '3'), ("PlaceOrder, at once", '4')]
    {
        assert_eq!(said["operations"][form], count(event) as u64, "{form}");
    }
    // Without the book only what messages name was there before: it still runs.
    let load = place.path("without.load");
    let said = succeed(&["import", "--format", "lobster", &fixture(MESSAGES), "--out", &load]);
    assert!(said.contains(&format!("{orders} became")) && !said.contains("levels deep"), "{said}");
}

#[test]
fn a_book_that_differs_is_named_with_line_and_column() {
    let place = Place::new();
    let messages = fixture(MESSAGES);
    let good = std::fs::read_to_string(fixture(BOOK)).unwrap();
    let mut rows: Vec<Vec<String>> = good.lines().map(|row| row.split(',').map(str::to_owned).collect()).collect();
    // The best ask of the ninth row.
    rows[8][1] = "58".to_owned();
    let text: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let book = place.write("book.csv", text.join("\n"));
    let load = place.path("load");
    let import = ["import", "--format", "lobster", &messages, "--book", &book, "--out", &load];
    let complaint = fail(1, &import);
    let expected = "line 9, column 1: expected 57 at 5859300, by the messages until then, found 58 at 5859300";
    assert!(complaint.contains(&format!("{book}: {expected}")), "{complaint}");
    std::fs::remove_file(&load).unwrap_or_default();
    let said = succeed(&[&import[..], &["--skip-bad", "1"]].concat());
    assert!(said.contains(expected) && said.contains("rows compared"), "{said}");
    std::fs::remove_file(&load).unwrap();

    for (text, expected) in [
        (good.lines().skip(1).collect::<Vec<_>>().join("\n"), "expected a row for each of 37 messages, found 36"),
        (good.replacen("5859400", "584x", 1), "line 1, column 1: expected a price in ten-thousandths"),
        (good.replacen(",300", "", 1), "line 1: expected four columns for each level"),
    ] {
        let book = place.write("book.csv", text);
        let complaint = fail(1, &["import", "--format", "lobster", &messages, "--book", &book, "--out", &load]);
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn messages_that_cant_be_are_named_with_line_and_column() {
    let place = Place::new();
    let load = place.path("load");
    for (row, column, expected) in [
        ("34199.0,1,9,5,100,1", "1", "a time that isn't before"),
        ("noon,1,9,5,100,1", "1", "seconds after midnight"),
        ("34202.0,8,9,5,100,1", "2", "1 to 7"),
        ("34202.0,1,x,5,100,1", "3", "an order's number"),
        ("34202.0,1,1,5,100,1", "3", "the number of an order that doesn't wait yet"),
        ("34202.0,1,9,0,100,1", "4", "a number of shares"),
        ("34202.0,3,1,5,100,1", "4", "a size that 10 shares allow"),
        ("34202.0,2,1,10,100,1", "4", "a size that 10 shares allow"),
        ("34202.0,4,1,11,100,1", "4", "a size that 10 shares allow"),
        ("34202.0,1,9,5,0,1", "5", "a price in ten-thousandths"),
        ("34202.0,1,9,5,120,1", "5", "a price that takes nothing"),
        ("34202.0,4,1,5,101,1", "5", "the price of the order, 100"),
        ("34202.0,1,9,5,100,0", "6", "1 to buy or -1 to sell"),
        ("34202.0,4,1,5,100,-1", "6", "the direction of the order"),
        ("34202.0,1,9,5,100", "6", "6 columns"),
    ] {
        let file = place.write("messages.csv", format!("34200.5,1,1,10,100,1\n34201.5,1,2,10,120,-1\n{row}\n"));
        let import = ["import", "--format", "lobster", &file, "--out", &load];
        let complaint = fail(1, &import);
        assert!(complaint.contains(&format!("{file}: line 3, column {column}: expected {expected}")), "{complaint}");
        let said = succeed(&[&import[..], &["--skip-bad", "1"]].concat());
        assert!(said.contains("1 that can't be read") && said.contains("2 became orders"), "{said}");
        std::fs::remove_file(&load).unwrap();
    }
    // One that isn't the first in line is taken back instead, so that the book stays the exchange's.
    let rows = "34200.5,1,1,10,100,1\n34201.5,1,2,10,100,1\n34202.0,4,2,4,100,1\n34202.0,4,2,6,100,1\n";
    let file = place.write("messages.csv", rows);
    let said = succeed(&["import", "--format", "lobster", &file, "--out", &load]);
    assert!(said.contains("2 executions of an order that wasn't the first"), "{said}");
    let complaint = fail(2, &["import", "--format", "csv", "--map", "a=b", "--book", "x", &file, "--out", &load]);
    assert!(complaint.contains("--book"), "{complaint}");
}
