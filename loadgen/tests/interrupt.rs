//! Ctrl-C in the middle of a run: what was acknowledged is on the disk, and the report covers what was done.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Place, command, read_json, succeed, text};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// Waits until a line of standard error holds this, then presses Ctrl-C; gives the exit code, and what was said after.
fn interrupt_at(mut child: Child, sign: &str) -> (Option<i32>, String) {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(sign) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "{sign} was never said");
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout))
}

fn start(arguments: &[&str]) -> Child {
    command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn an_interrupted_run_reports_what_is_on_the_disk() {
    let place = Place::new();
    let (directory, json) = (place.path("ledger"), place.path("result.json"));
    let child =
        start(&["run", "--accounts", "50", "--duration", "30", "--rate", "2000", "--dir", &directory, "--json", &json]);
    let (code, said) = interrupt_at(child, "/s · p50");
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("Interrupted"), "{said}");
    let result = read_json(&json);
    assert_eq!(result["interrupted"], true);
    let settled = result["transactions_settled"].as_u64().unwrap();
    assert!(settled > 100 && settled < 50_000, "{settled}");
    assert_eq!(result["transactions_submitted"], settled);

    // The asset and one transaction of funding come before.
    let verified = succeed(&["verify", &directory, "--signatures"]);
    assert!(verified.contains(result["final_digest"].as_str().unwrap()), "{verified}");
    let blocks = succeed(&["inspect", &directory]);
    assert!(blocks.contains(&format!(" {} transactions, ", settled + 2)), "{settled}: {blocks}");
}

#[test]
fn a_run_interrupted_before_the_clock_starts_still_reports() {
    let place = Place::new();
    let json = place.path("result.json");
    let child = start(&["run", "--accounts", "50", "--transactions", "100000000", "--json", &json]);
    let (code, said) = interrupt_at(child, "signing");
    assert_eq!(code, Some(130), "{said}");
    let result = read_json(&json);
    assert_eq!((&result["interrupted"], &result["transactions_settled"]), (&true.into(), &0.into()));
    assert_eq!(result["final_digest"].as_str().unwrap().len(), 64);
}
