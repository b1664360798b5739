//! Runs the real binary, and keeps what it leaves in a place that goes away.
#![allow(dead_code, reason = "every test file takes what it needs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of one test's own.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nostro-loadgen-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file; gives its path.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs what must succeed; gives its standard output.
#[track_caller]
pub(crate) fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs what must fail with this code; gives its one line of complaint.
#[track_caller]
pub(crate) fn fail(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
    let lines: Vec<&str> = complaint.lines().filter(|line| line.starts_with("loadgen: ")).collect();
    assert_eq!(lines.len(), 1, "{complaint}");
    assert_eq!(complaint.lines().last(), lines.last().copied(), "{complaint}");
    lines[0].to_owned()
}

/// Runs what must succeed with `--json`; gives the result.
#[track_caller]
pub(crate) fn result(place: &Place, arguments: &[&str]) -> Value {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let json = place.path(&format!("result-{}.json", NUMBER.fetch_add(1, Ordering::Relaxed)));
    succeed(&[arguments, &["--json", &json]].concat());
    read_json(&json)
}

pub(crate) fn read_json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).to_str().unwrap().to_owned()
}

/// A file of the real samples; `None`, and said so, where they aren't.
#[expect(clippy::disallowed_methods, reason = "names where the samples are, changes no result")]
pub(crate) fn sample(name: &str) -> Option<String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var("NOSTRO_DATA").map_or_else(|_| beside(), PathBuf::from).join(name);
    if path.is_file() {
        return Some(path.to_str().unwrap().to_owned());
    }
    eprintln!("skipped: {} is not there; NOSTRO_DATA names the directory of the samples", path.display());
    None
}
