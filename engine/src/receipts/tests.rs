//! A run answers what was put in, or says that it can't: it never misses an entry because of a flipped bit.

use super::run::{Entry, KIND, Run};
use crate::beside::Origin;
use crate::log::sim::SimDisk;
use std::path::Path;

const DIRECTORY: &str = "/disk/ledger";
const ORIGIN: Origin = Origin { ledger: [7; 32], segment: 3, first: 100, last: 900, hash: [5; 32] };

/// Entries with many alike: about `per` with each prefix, at both ends of the range too.
fn entries(count: u32, per: u32) -> Vec<Entry> {
    let prefix = |n: u32| match n / per {
        0 => 0,
        1 => u64::MAX,
        n => u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    let mut entries: Vec<Entry> =
        (0..count).map(|n| Entry { prefix: prefix(n), height: 100 + u64::from(n % 801), position: n / 801 }).collect();
    entries.sort_unstable();
    entries
}

fn expected(entries: &[Entry], prefix: u64) -> Vec<Entry> {
    entries.iter().copied().filter(|entry| entry.prefix == prefix).collect()
}

#[test]
fn everything_that_was_put_in_is_found_and_nothing_else() {
    for (count, per) in [(0, 1), (1, 1), (255, 1), (256, 1), (257, 3), (5_000, 1), (5_000, 7), (5_000, 700)] {
        let disk = SimDisk::new(1);
        let entries = entries(count, per);
        Run::write(&disk, Path::new(DIRECTORY), ORIGIN, &entries).unwrap();
        let run = Run::open(&disk, Path::new(DIRECTORY), ORIGIN).expect("it was just written");
        for entry in entries.iter().step_by(3) {
            assert_eq!(
                run.find(&disk, entry.prefix, usize::MAX),
                Ok(expected(&entries, entry.prefix)),
                "{count} by {per}"
            );
        }
        for (entry, most) in entries.iter().step_by(41).zip((0..9).cycle()) {
            let mut first = expected(&entries, entry.prefix);
            first.truncate(most);
            assert_eq!(run.find(&disk, entry.prefix, most), Ok(first), "the first {most} of {count} by {per}");
        }
        for stranger in [1, 12_345, u64::MAX - 1, 0, u64::MAX] {
            assert_eq!(run.find(&disk, stranger, usize::MAX), Ok(expected(&entries, stranger)));
        }
        for other in [
            Origin { ledger: [8; 32], ..ORIGIN },
            Origin { segment: 4, ..ORIGIN },
            Origin { first: 99, ..ORIGIN },
            Origin { last: 901, ..ORIGIN },
            Origin { hash: [6; 32], ..ORIGIN },
        ] {
            assert!(Run::open(&disk, Path::new(DIRECTORY), other).is_none(), "a run of {other:?} isn't there");
        }
    }
}

#[test]
fn a_flipped_bit_never_makes_a_run_miss_or_invent_an_entry() {
    let disk = SimDisk::new(1);
    let path = Path::new(DIRECTORY).join(KIND.file_name(ORIGIN.segment));
    let entries = entries(600, 2);
    Run::write(&disk, Path::new(DIRECTORY), ORIGIN, &entries).unwrap();
    let length = disk.durable(&path).unwrap().len();
    assert_eq!(length, 4 * 4096);
    let mut unreadable = 0;
    for offset in 0..length {
        disk.rot(&path, offset, u32::try_from(offset % 8).unwrap());
        let run = Run::open(&disk, Path::new(DIRECTORY), ORIGIN);
        assert_eq!(run.is_none(), offset < 4096, "only what is wrong with the first page is seen at once");
        if let Some(run) = run {
            for entry in entries.iter().step_by(97) {
                match run.find(&disk, entry.prefix, usize::MAX) {
                    Ok(found) => assert_eq!(found, expected(&entries, entry.prefix), "byte {offset}"),
                    Err(_) => unreadable += 1,
                }
            }
        }
        disk.rot(&path, offset, u32::try_from(offset % 8).unwrap());
    }
    assert!(unreadable >= 3 * 4096, "every page but the first was asked for and refused");
}
