//! `docs/operations.md` says what the code says: every operation, every rejection, and which operation can meet which.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{OPERATIONS, OperationKind, RejectionCode};

const PAGE: &str = include_str!("../../docs/operations.md");

/// The cells of every row of the tables under a heading, without the tables' heads.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, after) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = after.split("\n## ").next().unwrap_or_default();
    let cells = |line: &'static str| {
        let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inside.split(" | ").map(str::trim).collect::<Vec<_>>())
    };
    let rows: Vec<Vec<&str>> = section.lines().filter_map(cells).collect();
    assert!(!rows.is_empty(), "no table under {heading}");
    // A head stands before the dashes.
    let heads: Vec<usize> = (1..rows.len()).filter(|&n| rows[n][0] == "---").collect();
    let is_body = |n: &usize| !heads.contains(n) && !heads.contains(&(n + 1));
    for (n, row) in rows.iter().enumerate().skip(1).filter(|(n, _)| !heads.contains(&(n + 1))) {
        assert_eq!(row.len(), rows[n - 1].len(), "a table with uneven rows under {heading}: {row:?}");
    }
    (0..rows.len()).filter(is_body).map(|n| rows[n].clone()).collect()
}

fn bytes(kind: &OperationKind) -> String {
    if kind.bytes_min == kind.bytes_max {
        return kind.bytes_min.to_string();
    }
    format!("{} to {}", kind.bytes_min, kind.bytes_max)
}

#[test]
fn the_table_lists_every_operation_with_its_code_and_length() {
    let listed: Vec<String> = rows("The table").iter().map(|row| row[..3].join(" ")).collect();
    let expected: Vec<String> =
        OPERATIONS.iter().map(|kind| format!("{} {} {}", kind.code, kind.name, bytes(kind))).collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_page_lists_every_rejection_with_its_name_and_meaning() {
    let listed: Vec<String> = rows("Rejections").iter().map(|row| row[..3].join(" ")).collect();
    let expected: Vec<String> =
        RejectionCode::ALL.iter().map(|code| format!("{} {code:?} {}", code.number(), code.text())).collect();
    assert_eq!(listed, expected);
    assert!(rows("Rejections").iter().all(|row| !row[3].is_empty()), "a rejection without its detail");
}

/// Each operation's own table has the codes that the first table gives it, and together they are all there are from 4xx on.
#[test]
fn every_rejection_of_an_operation_is_told_where_it_is_met() {
    let mut met: Vec<u16> = Vec::new();
    for row in rows("The table") {
        let (name, codes) = (row[1], row[row.len() - 1]);
        let codes: Vec<u16> = codes.split(' ').map(|code| code.parse().expect("a code")).collect();
        // The last table of a section is that of its rejections; a row may have several.
        let own = rows(name).into_iter().filter(|row| row.len() == 2).flat_map(|row| row[1].split(' '));
        let mut own: Vec<u16> = own.filter_map(|code| code.parse().ok()).collect();
        own.sort_unstable();
        assert_eq!(own, codes, "{name}");
        met.extend(own);
    }
    met.sort_unstable();
    met.dedup();
    let all: Vec<u16> =
        RejectionCode::ALL.iter().map(|code| code.number()).filter(|number| (400..900).contains(number)).collect();
    assert_eq!(met, all);
}
