//! The same seed leads to the same digest, however the load is made, cut, sent and verified.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, fail, read_json, result, run, succeed, text};

const LOAD: [&str; 6] = ["--accounts", "300", "--transactions", "20000", "--seed", "7"];

#[test]
fn threads_and_batches_never_change_the_digest() {
    let place = Place::new();
    let mut digests = Vec::new();
    for more in [
        &["--threads", "1", "--batch", "1024"][..],
        &["--threads", "4", "--batch", "37"],
        &["--in-flight", "500", "--threads", "2"],
        &["--rate", "200000", "--arrivals", "regular"],
        &["--hints"],
        &["--hints", "--batch", "37", "--rate", "200000"],
        &["--trust-signatures"],
    ] {
        let result = result(&place, &[&["run"], &LOAD[..], more].concat());
        assert_eq!(result["transactions_settled"], 20_000, "{more:?}");
        assert_eq!((&result["transactions_rejected"], &result["transactions_refused"]), (&0.into(), &0.into()));
        digests.push(result["final_digest"].as_str().unwrap().to_owned());
    }
    assert_eq!(digests[0].len(), 64);
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");

    let other = result(&place, &["--accounts", "300", "--transactions", "20000", "--seed", "8"]);
    assert_ne!(other["final_digest"], digests[0].as_str());
}

#[test]
fn every_distribution_is_deterministic_and_none_runs_an_account_dry() {
    let place = Place::new();
    for distribution in ["zipf:1.1", "hot:3:0.95"] {
        let mut digests = Vec::new();
        for threads in ["1", "3"] {
            let result = result(
                &place,
                &["--accounts", "100", "--transactions", "5000", "--distribution", distribution, "--threads", threads],
            );
            assert_eq!(result["transactions_settled"], 5000);
            digests.push(result["final_digest"].clone());
        }
        assert_eq!(digests[0], digests[1], "{distribution}");
    }
}

#[test]
fn a_recorded_load_is_the_same_bytes_again_and_leads_where_the_run_did() {
    let place = Place::new();
    let (one, other) = (place.path("one.load"), place.path("other.load"));
    succeed(&[&["record"], &LOAD[..], &["--out", &one]].concat());
    succeed(&[&["record"], &LOAD[..], &["--out", &other]].concat());
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&other).unwrap());

    let ran = result(&place, &LOAD);
    for arguments in [
        &["replay", &one][..],
        &["replay", &one, "--batch", "13", "--threads", "1"],
        &["run", "--load", &one],
        &["replay", &one, "--hints"],
    ] {
        let replayed = result(&place, arguments);
        assert_eq!(replayed["final_digest"], ran["final_digest"], "{arguments:?}");
        assert_eq!(replayed["transactions_settled"], 20_000);
    }
}

#[test]
fn a_recorded_rate_is_kept_when_it_is_replayed() {
    let place = Place::new();
    let load = place.path("timed.load");
    succeed(&[
        "record",
        "--accounts",
        "50",
        "--transactions",
        "1000",
        "--rate",
        "1000",
        "--arrivals",
        "regular",
        "--out",
        &load,
    ]);
    let slow = result(&place, &["replay", &load, "--speed", "1x"]);
    let quick = result(&place, &["replay", &load, "--speed", "10x"]);
    // The last of them is due after 999 ms.
    let seconds = |result: &serde_json::Value| result["seconds"].as_f64().unwrap();
    assert!(seconds(&slow) >= 0.999 && seconds(&quick) >= 0.0999, "{} {}", slow["seconds"], quick["seconds"]);
    assert!(seconds(&quick) < seconds(&slow));
    assert_eq!(slow["final_digest"], quick["final_digest"]);
}

#[test]
fn a_result_has_every_field_that_others_read() {
    let place = Place::new();
    let result = result(&place, &["--accounts", "10", "--transactions", "100", "--trust-signatures"]);
    for field in [
        "schema",
        "seed",
        "machine",
        "engine",
        "transactions_settled",
        "transactions_rejected",
        "transactions_refused",
        "seconds",
        "throughput_per_second",
        "latency_us",
        "stages",
        "limited_by",
        "limit",
        "queues",
        "shards",
        "final_digest",
        "arguments",
        "mode",
        "log_bytes_per_transaction",
        "cpu_ns_per_transaction_without_verify",
        "trust_signatures",
        "interrupted",
    ] {
        assert!(!result[field].is_null(), "{field}");
    }
    for field in ["cpu", "cores", "memory", "kernel"] {
        assert!(!result["machine"][field].is_null(), "{field}");
    }
    for field in ["p50", "p99", "p999", "max"] {
        assert!(result["latency_us"][field].as_f64().unwrap() > 0.0, "{field}");
    }
    for stage in ["admit", "verify", "execute", "seal", "sync", "release"] {
        assert!(result["stages"][stage]["cpu_ns_per_transaction"].as_f64().unwrap() > 0.0, "{stage}");
        assert!(result["stages"][stage]["occupancy"].as_f64().unwrap() > 0.0, "{stage}");
    }
    assert_eq!((&result["schema"], &result["trust_signatures"]), (&1.into(), &true.into()));
}

#[test]
fn a_run_that_trusts_signatures_says_so_in_every_output() {
    let place = Place::new();
    let json = place.path("trusted.json");
    let output = run(&["--accounts", "10", "--transactions", "100", "--trust-signatures", "--json", &json]);
    for said in [text(&output.stdout), text(&output.stderr), succeed(&["report", &json])] {
        assert!(said.contains("NO SIGNATURE WAS VERIFIED"), "{said}");
    }
    assert_eq!(read_json(&json)["trust_signatures"], true);
}

#[test]
fn a_duration_ends_a_run_and_two_results_can_be_compared() {
    let place = Place::new();
    let (one, other) = (place.path("one.json"), place.path("other.json"));
    for json in [&one, &other] {
        succeed(&["--accounts", "100", "--duration", "1", "--rate", "2000", "--json", json]);
        let result = read_json(json);
        let settled = result["transactions_settled"].as_u64().unwrap();
        // Poisson arrivals: 5 standard deviations above 2,000 are 224; below, a machine that stalls may miss the last of them.
        assert!((1000..2300).contains(&settled), "{settled}");
    }
    assert!(succeed(&["compare", &one, &other]).contains("throughput per second"));
}

#[test]
fn a_result_that_cant_be_written_is_said_before_the_work() {
    let place = Place::new();
    let json = place.path("nowhere/result.json");
    let complaint = fail(1, &["--accounts", "10", "--transactions", "4000000000", "--json", &json]);
    assert!(complaint.contains(&json) && complaint.contains("expected to write the result"), "{complaint}");
}

#[test]
fn a_wrong_command_line_is_one_clear_line() {
    for (arguments, expected) in [
        (&["--accounts", "1"][..], "--accounts"),
        (&["run", "--distribution", "zipf"], "zipf:θ"),
        (&["--duration", "1", "--transactions", "1"], "cannot be used with"),
        (&["--accounts", "10", "--distribution", "hot:10:0.5"], "fewer than all 10 accounts"),
        (&["replay"], "SOURCE"),
        (&["import", "--format", "csv", "a", "--out", "b"], "--map"),
        (&["replay", "x", "--speed", "0x"], "1x, 10x"),
        (&["nonsense"], "nonsense"),
    ] {
        let complaint = fail(2, arguments);
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn a_result_says_what_limited_it_what_waited_and_how_the_shards_shared_the_work() {
    let place = Place::new();
    let json = place.path("shards.json");
    // More accounts than a part of the shards has on its pages.
    let load = ["--accounts", "80000", "--transactions", "200000", "--trust-signatures", "--json", &json];
    let said = succeed(&[&["run", "--execute-threads", "3"], &load[..]].concat());
    let by_shards = read_json(&json);
    let limit = by_shards["limit"].as_str().unwrap();
    assert!(said.contains(&format!("limited by    {limit}\n")) && limit.contains(" %"), "{said}");
    let shards = &by_shards["shards"];
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    assert!(number(&shards["blocks"]) > 0.0 && number(&shards["transactions"]) > 0.0, "{shards}");
    // Four parts for each thread; what they have together are two halves of each payment whose accounts were found ahead, which depends on when
    // the first blocks were verified.
    let parts = shards["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 11, "64 shards, six in a part");
    let halves: f64 = parts.iter().map(|part| number(&part["halves"])).sum();
    let all = 2.0 * number(&shards["transactions"]);
    assert!((0.5 * all..=all).contains(&halves), "{shards}");
    let spent: f64 = parts.iter().map(|part| number(&part["seconds"])).sum();
    assert!(spent > 0.0 && spent < 3.0 * number(&by_shards["seconds"]), "{shards}");
    assert!((1.0..3.0).contains(&number(&shards["busiest"])), "{shards}");
    for part in parts {
        let share = number(&part["seconds"]) / number(&by_shards["seconds"]);
        assert!((share - number(&part["occupancy"])).abs() < 1e-6, "{part}");
    }
    assert!(said.contains(" went by shards, ") && said.contains("from part 8 "), "{said}");
    // One by one it is the same.
    let said = succeed(&[&["run", "--execute-threads", "1"], &load[..]].concat());
    let one_by_one = read_json(&json);
    assert!(said.contains("no block went by shards"), "{said}");
    assert_eq!(one_by_one["shards"]["parts"].as_array().unwrap().len(), 0);
    assert_eq!(one_by_one["final_digest"], by_shards["final_digest"]);

    // A queue that is kept full is seen, and a rate that is kept says so.
    succeed(&["run", "--accounts", "100", "--transactions", "40000", "--json", &json]);
    let queues = read_json(&json)["queues"].clone();
    if number(&queues["samples"]) > 0.0 {
        let parts = ["before_verify", "before_execute", "before_release"].map(|name| number(&queues[name]));
        assert!(parts.iter().all(|part| *part <= number(&queues["waiting"]) + 1.0), "{queues}");
        assert!(number(&queues["waiting"]) <= number(&queues["waiting_max"]), "{queues}");
    }
    succeed(&["run", "--accounts", "100", "--transactions", "500", "--rate", "1000", "--json", &json]);
    let slow = read_json(&json);
    if slow["limited_by"] == "rate" {
        assert!(slow["limit"].as_str().unwrap().starts_with("the rate asked for was kept"), "{slow}");
    }
}
