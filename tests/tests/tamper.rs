//! P5, tamper evidence: a flipped bit anywhere in a closed ledger is reported with its place, and never repaired silently; what
//! isn't reported was never said to be durable, and changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{AuditReport, Engine, EngineConfig, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::stream::order;
use nostro_tests::world::{open, trusting};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;

/// A frame of a segment, as found by its magic.
#[derive(Clone, Debug)]
struct Frame {
    file: String,
    start: usize,
    bytes: usize,
    body_bytes: usize,
    /// 0 block, 1 seal, 2 continued.
    kind: u8,
}

/// A closed ledger of two segments, its files, its frames in order, and what an audit says of it.
struct World {
    directory: Directory,
    files: Vec<(PathBuf, Vec<u8>)>,
    frames: Vec<Frame>,
    report: AuditReport,
}

fn audit(directory: &Path) -> Result<AuditReport, String> {
    audit_ledger(directory, false, &mut |_, _| ()).map_err(|error| error.to_string())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn frames(name: &str, bytes: &[u8]) -> Vec<Frame> {
    let is_frame = |start: &usize| bytes[*start..].starts_with(b"NFRM");
    let starts: Vec<usize> = (0..bytes.len()).step_by(PAGE).filter(is_frame).collect();
    let frame = |&start: &usize| {
        let body_bytes = u32::from_le_bytes(bytes[start + 8..start + 12].try_into().unwrap()) as usize;
        let bytes_all = (256 + body_bytes).next_multiple_of(PAGE);
        Frame { file: name.to_owned(), start, bytes: bytes_all, body_bytes, kind: bytes[start + 6] }
    };
    starts.iter().map(frame).collect()
}

impl World {
    fn new() -> Self {
        let directory = Directory::in_memory();
        // Blocks of one page and of several, then so many that a second segment is begun.
        for (count, block_transactions_max) in [(40, 1), (160, 50), (300, 1), (40, 40)] {
            let engine = open(directory.path(), EngineConfig { block_transactions_max, ..trusting() });
            let first = engine.snapshot().unwrap().transaction_count();
            let orders: Vec<_> = (first..first + count).map(order).collect();
            let _ = engine.submit_batch(&orders).unwrap().wait().unwrap();
            engine.close().unwrap();
        }
        let files = directory.files();
        let frames: Vec<Frame> = files.iter().flat_map(|(path, bytes)| frames(&name_of(path), bytes)).collect();
        let report = audit(directory.path()).unwrap();
        assert_eq!(report.summary.segments, 2);
        assert_eq!(report.summary.transactions, 540);
        assert_eq!(frames.last().unwrap().kind, 1, "a closed ledger ends with a seal");
        assert!(frames.iter().any(|frame| frame.kind == 2), "a segment that goes on says so");
        Self { directory, files, frames, report }
    }

    fn bytes(&self, name: &str) -> &[u8] {
        &self.files.iter().find(|(path, _)| name_of(path) == name).unwrap().1
    }

    /// What an audit and an opening say with this bit turned over. Everything is as it was afterwards.
    fn flip(&self, name: &str, place: usize, bit: usize) -> Flipped {
        let path = self.directory.path().join(name);
        let mut bytes = self.bytes(name).to_vec();
        bytes[place] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let audited = audit(self.directory.path());
        if let Ok(report) = &audited {
            self.assert_nothing_wrong(name, place, report);
        }
        let opened = match Engine::open(self.directory.path(), trusting()) {
            Err(error) => {
                assert_eq!(fs::read(&path).unwrap(), bytes, "{name}, byte {place}: refused, and changed");
                Err(error.to_string())
            }
            Ok(engine) => {
                let snapshot = engine.snapshot().unwrap();
                let (height, digest) = (self.report.summary.height, self.report.state);
                assert_eq!(
                    (snapshot.height(), snapshot.digest()),
                    (height, digest),
                    "{name}, byte {place}: wrong data"
                );
                Ok(())
            }
        };
        self.restore();
        Flipped { audited: audited.map(|_| ()), opened }
    }

    fn assert_nothing_wrong(&self, name: &str, place: usize, report: &AuditReport) {
        let of =
            |report: &AuditReport| (report.state, report.rejected, report.summary.hash, report.summary.transactions);
        assert_eq!(of(report), of(&self.report), "{name}, byte {place}: wrong data");
    }

    fn restore(&self) {
        for (path, bytes) in &self.files {
            if fs::read(path).ok().as_ref() != Some(bytes) {
                fs::write(path, bytes).unwrap();
            }
        }
    }

    /// The bit is reported by both, in this file, with a place in these bytes.
    fn assert_reported(&self, name: &str, place: usize, bit: usize, offsets: std::ops::Range<usize>) {
        let Flipped { audited, opened } = self.flip(name, place, bit);
        for error in [audited, opened] {
            let error = error.expect_err(&format!("{name}, byte {place}, bit {bit} is not reported"));
            assert!(error.contains(name), "{name}, byte {place}: {error}");
            assert!(error.contains("expected") && error.contains("found"), "{name}, byte {place}: {error}");
            let offset =
                error.split("offset ").nth(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap());
            let offset: usize =
                offset.unwrap_or_else(|| panic!("{name}, byte {place}: no offset: {error}")).parse().unwrap();
            assert!(offsets.contains(&offset), "{name}, byte {place}: expected within {offsets:?}: {error}");
            assert!(error.contains("height "), "{error}");
        }
    }
}

struct Flipped {
    audited: Result<(), String>,
    opened: Result<(), String>,
}

#[test]
fn every_bit_of_the_ledger_file_counts() {
    let world = World::new();
    for place in 0..world.bytes("LEDGER").len() {
        for bit in [0, 3, 7] {
            let Flipped { audited, opened } = world.flip("LEDGER", place, bit);
            for error in [audited, opened] {
                let error = error.expect_err(&format!("byte {place} of LEDGER, bit {bit}"));
                assert!(error.contains("LEDGER"), "byte {place}, bit {bit}: {error}");
            }
        }
    }
}

#[test]
fn every_byte_of_a_segment_header_counts() {
    let world = World::new();
    for name in ["segment-00000001.log", "segment-00000002.log"] {
        for place in (0..120).chain((120..PAGE).step_by(97)).chain([PAGE - 1]) {
            let Flipped { audited, opened } = world.flip(name, place, place % 8);
            for error in [audited, opened] {
                let error = error.expect_err(&format!("byte {place} of {name}"));
                assert!(error.contains(name), "byte {place}: {error}");
            }
        }
    }
}

#[test]
fn every_byte_of_a_frame_header_is_reported_with_its_frame() {
    let world = World::new();
    let blocks: Vec<&Frame> = world.frames.iter().filter(|frame| frame.kind == 0).collect();
    let in_second = blocks.iter().position(|frame| frame.file.ends_with("2.log")).unwrap();
    let large = blocks.iter().position(|frame| frame.body_bytes > 2 * PAGE).unwrap();
    // The first, one of many pages, the last before a segment ends, the first behind, the very last.
    for n in [0, large, in_second - 1, in_second, blocks.len() - 1] {
        let frame = blocks[n];
        for place in 0..256 {
            world.assert_reported(&frame.file, frame.start + place, place % 8, frame.start..frame.start + frame.bytes);
        }
    }
}

#[test]
fn every_byte_of_a_body_is_reported_with_its_frame() {
    let world = World::new();
    let blocks: Vec<&Frame> = world.frames.iter().filter(|frame| frame.kind == 0).collect();
    for (n, frame) in blocks.iter().enumerate() {
        let last = frame.body_bytes - 1;
        // Every byte of a few, the ends and some in between of all.
        let places: Vec<usize> = if n == 3 { (0..=last).collect() } else { vec![0, last / 2, last] };
        for place in places {
            let range = frame.start..frame.start + frame.bytes;
            world.assert_reported(&frame.file, frame.start + 256 + place, (n + place) % 8, range);
        }
    }
}

#[test]
fn padding_behind_a_body_is_reported_too() {
    let world = World::new();
    for frame in world.frames.iter().filter(|frame| frame.kind == 0).step_by(20) {
        let end = frame.start + frame.bytes;
        for place in [frame.start + 256 + frame.body_bytes, end - 1] {
            if place < end {
                world.assert_reported(&frame.file, place, 5, frame.start..end);
            }
        }
    }
}

#[test]
fn a_mark_that_a_segment_goes_on_counts() {
    let world = World::new();
    let mark = world.frames.iter().find(|frame| frame.kind == 2).unwrap();
    for place in (0..256).chain([256, PAGE - 1]) {
        let Flipped { audited, opened } = world.flip(&mark.file, mark.start + place, place % 8);
        assert!(audited.is_err() && opened.is_err(), "byte {place}: {audited:?}, {opened:?}");
        assert!(audited.unwrap_err().contains(&mark.file), "byte {place}");
    }
}

#[test]
fn what_stands_behind_a_seal_that_another_session_followed_counts() {
    let world = World::new();
    let last = world.frames.len() - 1;
    let seals = world.frames[..last].iter().filter(|frame| frame.kind == 1);
    for seal in seals {
        for place in (0..256).step_by(5) {
            world.assert_reported(&seal.file, seal.start + place, place % 8, seal.start..seal.start + PAGE);
        }
    }
}

#[test]
fn what_was_never_said_to_be_durable_may_go_and_changes_nothing() {
    let world = World::new();
    let seal = world.frames.last().unwrap();
    let end = world.bytes(&seal.file).len();
    // The last seal, and the empty rest of the segment. `flip` holds that no data is wrong.
    let places = (0..256).step_by(3).map(|place| seal.start + place);
    for place in places.chain((seal.start + PAGE..end).step_by(50_021)).chain([end - 1]) {
        let Flipped { audited, opened } = world.flip(&seal.file, place, place % 8);
        if let (Ok(()), Err(error)) | (Err(error), Ok(())) = (&audited, &opened) {
            panic!("byte {place}: an audit and an opening differ: {error}");
        }
    }
}

#[test]
fn a_segment_of_another_ledger_or_two_swapped_are_refused() {
    let (world, other) = (World::new(), World::new());
    let (first, second) = ("segment-00000001.log", "segment-00000002.log");
    // The same name, the same blocks, and another salt.
    for name in [first, second] {
        fs::write(world.directory.path().join(name), other.bytes(name)).unwrap();
        let error = audit(world.directory.path()).unwrap_err();
        assert!(error.contains(name), "{error}");
        assert!(Engine::open(world.directory.path(), trusting()).is_err());
        world.restore();
    }
    fs::write(world.directory.path().join(first), world.bytes(second)).unwrap();
    fs::write(world.directory.path().join(second), world.bytes(first)).unwrap();
    let error = audit(world.directory.path()).unwrap_err();
    assert!(error.contains(first), "{error}");
    world.restore();
    assert!(audit(world.directory.path()).is_ok());
}

#[test]
fn frames_moved_to_another_place_are_refused() {
    let world = World::new();
    let small: Vec<&Frame> =
        world.frames.iter().filter(|frame| frame.kind == 0 && frame.bytes == PAGE).take(10).collect();
    for pair in small.windows(2) {
        let mut bytes = world.bytes(&pair[0].file).to_vec();
        let copied = bytes[pair[0].start..pair[0].start + PAGE].to_vec();
        // One frame twice: the second in the place of the one that follows.
        bytes[pair[1].start..pair[1].start + PAGE].copy_from_slice(&copied);
        fs::write(world.directory.path().join(&pair[0].file), bytes).unwrap();
        let error = audit(world.directory.path()).unwrap_err();
        assert!(error.contains(&format!("offset {}", pair[1].start)), "{error}");
        assert!(Engine::open(world.directory.path(), trusting()).is_err());
        world.restore();
    }
}
