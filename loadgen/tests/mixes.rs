//! Every mix is what it says: the operations in its shares, nearly all of them applied, to the same digest however they are sent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, result, run, succeed, text};
use serde_json::Value;

const COUNT: u64 = 20_000;

/// Of every mix the operations of its load, each with how many of a thousand transactions have one.
const MIXES: [(&str, &[(&str, u64)]); 10] = [
    ("payments", &[("Transfer", 1000)]),
    ("many-assets", &[("Transfer", 1000)]),
    (
        "holds",
        &[("Hold", 480), ("Settle, releases all", 430), ("Settle, releases a part", 40), ("Settle, cancels", 50)],
    ),
    ("dvp", &[("Transfer", 2000)]),
    (
        "exchange",
        &[("PlaceOrder, waits", 481), ("Amend, changes", 5), ("Amend, cancels", 446), ("PlaceOrder, at once", 68)],
    ),
    (
        "markets",
        &[("PlaceOrder, waits", 481), ("Amend, changes", 5), ("Amend, cancels", 446), ("PlaceOrder, at once", 68)],
    ),
    ("devices", &[("Transfer by grant", 800), ("Put", 150), ("Grant, takes back", 50), ("Grant, creates", 50)]),
    ("disburse", &[("Transfer", 100_000)]),
    // Between 850 and 1,000: what moves everything a customer has takes from two accounts, or from one where the other is empty.
    ("smallbank", &[("Require", 150), ("Transfer", 920)]),
    (
        "mixed",
        &[
            ("Transfer", 1700),
            ("Hold", 58),
            ("Settle, releases all", 52),
            ("PlaceOrder, waits", 58),
            ("Amend, cancels", 54),
            ("PlaceOrder, at once", 8),
            ("Transfer by grant", 80),
            ("Put", 15),
        ],
    ),
];

/// Whether a count is what chance gives for a share of so many in a thousand: five standard deviations, and two of a hundred.
fn is_near(found: u64, per_thousand: u64, transactions: u64) -> bool {
    let expected = per_thousand * transactions / 1000;
    let off = found.abs_diff(expected);
    off * off <= 25 * expected || off * 50 <= expected
}

#[test]
fn the_operations_of_every_mix_have_their_shares() {
    let place = Place::new();
    for (mix, shares) in MIXES {
        let count = if mix == "disburse" { 500 } else { COUNT };
        let load = place.path(&format!("{mix}.load"));
        let transactions = count.to_string();
        let arguments = ["--accounts", "1001", "--transactions", &transactions, "--trust-signatures", "--out", &load];
        succeed(&[&["record", "--mix", mix], &arguments[..]].concat());
        let said: Value = serde_json::from_str(&succeed(&["inspect", &load, "--json"])).unwrap();
        assert_eq!(said["transactions"], count, "{mix}");
        for &(form, per_thousand) in shares {
            let found = said["operations"][form].as_u64().unwrap_or(0);
            assert!(
                is_near(found, per_thousand, count),
                "{mix}: {form}: {found} of {count}, not {per_thousand} of 1000"
            );
        }
        let forms = said["operations"].as_object().unwrap().len();
        assert!(forms == shares.len() || mix == "mixed" && forms > shares.len(), "{mix}: {}", said["operations"]);
        // The same for people.
        let said = succeed(&["inspect", &load]);
        assert!(said.contains(mix) && shares.iter().all(|(form, _)| said.contains(form)), "{said}");
    }
}

#[test]
fn the_same_seed_leads_to_the_same_digest_in_every_mix() {
    let place = Place::new();
    for (mix, _) in MIXES {
        let count = if mix == "disburse" { "300" } else { "5000" };
        let load = ["--mix", mix, "--accounts", "300", "--transactions", count, "--seed", "11"];
        let mut digests = Vec::new();
        for more in [
            &["--threads", "1", "--batch", "1024"][..],
            &["--threads", "3", "--batch", "17"],
            &["--in-flight", "64"],
            &["--rate", "50000", "--arrivals", "regular"],
            &["--trust-signatures"],
        ] {
            let result = result(&place, &[&load[..], more].concat());
            let [settled, rejected, refused] =
                ["settled", "rejected", "refused"].map(|what| result[format!("transactions_{what}")].as_u64().unwrap());
            assert_eq!((settled + rejected, refused), (count.parse().unwrap(), 0), "{mix} {more:?}");
            // A bank has customers with empty accounts; everywhere else everything is covered.
            let rejected_max = if mix == "smallbank" { settled / 10 } else { 0 };
            assert!(rejected <= rejected_max, "{mix} {more:?}: {}", result["reasons"]);
            digests.push(result["final_digest"].as_str().unwrap().to_owned());
        }
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{mix}: {digests:?}");

        // And recorded and replayed.
        let file = place.path(&format!("{mix}.load"));
        succeed(&[&["record"], &load[..], &["--out", &file]].concat());
        let replayed = result(&place, &["replay", &file, "--batch", "100"]);
        assert_eq!(replayed["final_digest"], digests[0].as_str(), "{mix}");
        let other = result(&place, &[&load[..6], &["--seed", "12"]].concat());
        assert_ne!(other["final_digest"], digests[0].as_str(), "{mix}");
    }
}

#[test]
fn a_mix_runs_for_a_duration_and_says_how_many_were_rejected_and_why() {
    let place = Place::new();
    let json = place.path("bank.json");
    let arguments = ["--mix", "smallbank", "--accounts", "40", "--transactions", "3000", "--json", &json];
    let output = run(&arguments);
    let said = text(&output.stdout);
    assert!(said.contains("412 InsufficientFunds") && said.contains(" %)"), "{said}");
    let result = result(&place, &["--mix", "exchange", "--accounts", "500", "--duration", "1", "--trust-signatures"]);
    assert_eq!(result["transactions_rejected"], 0);
    assert!(result["load"].as_str().unwrap().starts_with("exchange, 500 accounts"), "{}", result["load"]);
}

#[test]
fn a_mix_that_is_none_is_told_so() {
    let complaint = common::fail(2, &["--mix", "nonsense"]);
    assert!(complaint.contains("many-assets") && complaint.contains("smallbank"), "{complaint}");
}
