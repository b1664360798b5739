//! The house rules that no compiler holds: who may know whom, which words may stand where, how long a file may be. Reads the
//! source of the engine as text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the engine from bottom to top. A module may use those in lines above its own. A new module gets its place here
/// with the commit that adds it.
const LAYERS: &[&[&str]] = &[
    // The log knows bytes, not transactions.
    &["wire", "log", "wide_hash"],
    &["types", "merkle"],
    &["ledger", "keys", "clock", "priority", "crew", "arena"],
    &["config"],
    // These two know each other: an operation changes a state through its context, which takes orders.
    &["state", "ops"],
    &["transaction", "boundary", "proof"],
    &["prepare"],
    &["error", "block"],
    &["stats"],
    &["completion", "roots"],
    &["intake", "execute", "checkpoint"],
    &["verify", "replay"],
    &["query"],
    &["beside"],
    &["follow"],
    &["receipts"],
    &["commit"],
    &["pipeline"],
    &["open"],
    &["audit"],
    &["repair", "engine"],
    &["lib"],
];

/// Neighbours of one line that may use each other.
const MATES: &[(&str, &str)] = &[("state", "ops"), ("ops", "state")];

/// Who must not know whom although it stands below.
const STRANGERS: &[(&str, &str)] =
    &[("verify", "state"), ("verify", "ops"), ("audit", "pipeline"), ("query", "intake")];

/// What has no business in a place, with the reason. A place is a module, or `""` for everywhere.
const BANNED: &[(&[&str], &[&str], &str)] = &[
    (
        &["types", "wire", "state", "ops", "prepare", "execute", "block", "transaction", "ledger"],
        &["std::time", "std::fs", "std::net", "std::thread", "std::env", "std::process", "Instant", "SystemTime"],
        "a result is a function of the state and the block",
    ),
    (&["types", "wire"], &["std::io"], "plain values know no input and output"),
    (
        &["state", "ops", "prepare", "execute", "block"],
        &["rayon", "crossbeam", "parking_lot"],
        "one thread owns the state",
    ),
    (&["query", "audit"], &["SegmentLog", "Committer"], "reading knows nothing that writes"),
    (&[""], &["HashMap", "HashSet"], "their order is random"),
    (&[""], &["f32", "f64"], "floats differ between machines"),
    (&[""], &["todo!", "unimplemented!", "dbg!"], "what isn't done isn't there"),
];

/// The files in which `unsafe` may stand, beside the vector kernels of `engine/ed25519`: memory in large pages, maps, prefetching,
/// and the priority of a thread.
const UNSAFE_HOMES: &[&str] = &[
    "engine/src/arena.rs",
    "engine/src/log/segment.rs",
    "engine/src/state/prefetch.rs",
    "engine/src/priority.rs",
    "loadgen/src/load/map.rs",
];

const LINES_MAX: usize = 600;

struct Source {
    /// From the workspace's root, with slashes.
    path: String,
    text: String,
}

impl Source {
    /// The module of the engine it belongs to: the first part of its path.
    fn module(&self) -> &str {
        let inner = self.path.rsplit_once("src/").map_or(self.path.as_str(), |(_, inner)| inner);
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// Whether it is a test as a whole.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Lines of code that aren't tests, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|line| !line.trim_start().starts_with("#[cfg(test)]"));
        lines.enumerate().map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Whether a word stands in a line as a whole.
fn says(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_part);
        let after = line[at + word.len()..].chars().next().is_some_and(is_part);
        !before && (!after || word.ends_with('!'))
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every Rust file below a folder of the workspace.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no source");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn engine() -> Vec<Source> {
    sources("engine/src")
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The modules of the crate that a line names.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let after = line.split("crate::").skip(1);
    after.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

fn wrong_imports(source: &Source) -> Vec<String> {
    let own = source.module();
    let Some(place) = layer(own) else {
        return vec![format!("{}: the module {own} has no place in LAYERS", source.path)];
    };
    let mut complaints = Vec::new();
    for (line, code) in source.code() {
        for other in imports(code).filter(|&other| other != own) {
            let below = layer(other).is_some_and(|other| other < place);
            if STRANGERS.contains(&(own, other)) {
                complaints.push(format!("{}: {own} uses {other}, which it must not know", source.at(line)));
            } else if !below && !MATES.contains(&(own, other)) {
                complaints.push(format!("{}: {own} uses {other}, which doesn't stand below it", source.at(line)));
            }
        }
    }
    complaints
}

fn banned_words(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (places, words, reason) in BANNED {
        if !places.contains(&"") && !places.contains(&source.module()) {
            continue;
        }
        for (line, code) in source.code() {
            for word in words.iter().filter(|word| says(code, word)) {
                complaints.push(format!("{}: {word}: {reason}", source.at(line)));
            }
        }
    }
    complaints
}

fn homeless_unsafe(source: &Source) -> Vec<String> {
    if UNSAFE_HOMES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let lines = source.code().filter(|(_, code)| says(code, "unsafe"));
    lines.map(|(line, _)| format!("{}: unsafe has its homes elsewhere", source.at(line))).collect()
}

fn hold(sources: &[Source], rule: fn(&Source) -> Vec<String>) {
    let complaints: Vec<String> = sources.iter().filter(|source| !source.is_test()).flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn imports_go_one_way() {
    hold(&engine(), wrong_imports);
}

#[test]
fn every_place_of_the_order_is_somebodys_but_once() {
    let all: Vec<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn operations_do_not_know_each_other() {
    let files: Vec<Source> =
        engine().into_iter().filter(|source| source.module() == "ops" && !source.path.ends_with("mod.rs")).collect();
    let names: Vec<&str> =
        files.iter().map(|file| file.path.rsplit('/').next().unwrap().trim_end_matches(".rs")).collect();
    assert!(names.len() > 1, "{names:?}");
    for file in &files {
        for (line, code) in file.code() {
            for name in &names {
                let knows = [format!("super::{name}"), format!("ops::{name}")].iter().any(|path| says(code, path));
                assert!(!knows, "{}: it knows {name}", file.at(line));
            }
        }
    }
}

#[test]
fn words_stand_where_they_may() {
    hold(&engine(), banned_words);
}

#[test]
fn unsafe_has_its_homes() {
    for folder in ["engine/src", "loadgen", "bench", "tests/src"] {
        hold(&sources(folder), homeless_unsafe);
    }
}

#[test]
fn files_are_short() {
    for folder in ["engine", "loadgen", "bench", "tests"] {
        for source in sources(folder) {
            let lines = source.text.lines().count();
            assert!(lines <= LINES_MAX, "{}: expected at most {LINES_MAX} lines, found {lines}", source.path);
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["engine/src", "tests"] {
        for source in sources(folder).iter().filter(|source| !source.path.ends_with("/tests.rs")) {
            assert!(source.text.starts_with("//!"), "{}: expected a first sentence on what it is", source.path);
        }
    }
}

#[test]
fn what_breaks_a_rule_is_noticed() {
    let source = |path: &str, text: &str| Source { path: format!("engine/src/{path}"), text: text.to_owned() };
    let imports = [
        ("types/mod.rs", "use crate::state::State;", 1),
        ("log/frame.rs", "use crate::types::Height;", 1),
        ("verify/mod.rs", "    crate::state::Slot", 1),
        ("verify/mod.rs", "use crate::block::Block;", 0),
        ("state/context.rs", "use crate::ops::Source;", 0),
        ("newcomer.rs", "", 1),
        ("types/mod.rs", "// use crate::state::State;\n#[cfg(test)]\nuse crate::state::State;", 0),
    ];
    for (path, text, count) in imports {
        assert_eq!(wrong_imports(&source(path, text)).len(), count, "{path}: {text}");
    }
    let words = [
        ("types/mod.rs", "use std::time::Duration;", 1),
        ("types/mod.rs", "std::io::Error", 1),
        ("state/mod.rs", "std::io::Error", 0),
        ("query.rs", "use std::time::Instant;", 0),
        ("engine.rs", "use std::collections::HashMap;", 1),
        ("engine.rs", "let x: f64 = 1.0;", 1),
        ("engine.rs", "let buf64 = 1; // f64", 0),
        ("execute/mod.rs", "todo!()", 1),
        ("execute/mod.rs", "parking_lot::Mutex", 1),
    ];
    for (path, text, count) in words {
        assert_eq!(banned_words(&source(path, text)).len(), count, "{path}: {text}");
    }
    assert_eq!(homeless_unsafe(&source("log/segment.rs", "unsafe { }")).len(), 0);
    assert_eq!(homeless_unsafe(&source("log/mod.rs", "unsafe { }\nunsafe_code")).len(), 1);
}
