//! P5 against whoever can write to the disk, and against a disk that writes to the wrong place: blocks rewritten with every checksum
//! made to fit, pages that came to lie elsewhere. Each is refused with its place by an opening and by an audit, and nothing is changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Engine, audit_ledger};
use nostro_tests::directory::Directory;
use nostro_tests::stream::closed;
use nostro_tests::world::trusting;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: usize = 4096;
const HEADER: usize = 256;

/// A frame by its place: which file, where in it, its body, and whether it is a block.
#[derive(Clone, Copy, Debug)]
struct Frame {
    file: usize,
    start: usize,
    body_bytes: usize,
    is_block: bool,
}

/// A closed ledger, as bytes.
struct World {
    directory: Directory,
    segments: Vec<(PathBuf, Vec<u8>)>,
    salt: Vec<u8>,
    frames: Vec<Frame>,
}

impl World {
    fn new() -> Self {
        let directory = closed();
        let files = directory.files();
        let salt = files.iter().find(|(path, _)| path.ends_with("LEDGER")).unwrap().1[16..32].to_vec();
        let is_segment = |path: &Path| path.extension().is_some_and(|end| end == "log");
        let segments: Vec<(PathBuf, Vec<u8>)> = files.into_iter().filter(|(path, _)| is_segment(path)).collect();
        let mut frames = Vec::new();
        for (file, (_, bytes)) in segments.iter().enumerate() {
            let starts = (PAGE..bytes.len()).step_by(PAGE).filter(|&start| bytes[start..].starts_with(b"NFRM"));
            frames.extend(starts.map(|start| Frame {
                file,
                start,
                body_bytes: u32::from_le_bytes(bytes[start + 8..start + 12].try_into().unwrap()) as usize,
                is_block: bytes[start + 6] == 0,
            }));
        }
        Self { directory, segments, salt, frames }
    }

    fn name(&self, file: usize) -> &str {
        self.segments[file].0.file_name().unwrap().to_str().unwrap()
    }

    /// Puts these segments in the place of its own, has them refused, and puts its own back. Gives both errors.
    fn refused(&self, what: &str, segments: &[Vec<u8>]) -> [String; 2] {
        for ((path, own), forged) in self.segments.iter().zip(segments) {
            if own != forged {
                fs::write(path, forged).unwrap();
            }
        }
        let opened = Engine::open(self.directory.path(), trusting()).expect_err(what).to_string();
        let audited = audit_ledger(self.directory.path(), false, &mut |_, _| ()).expect_err(what).to_string();
        for ((path, own), forged) in self.segments.iter().zip(segments) {
            assert!(fs::read(path).unwrap() == *forged, "{what}: refused, and changed");
            if own != forged {
                fs::write(path, own).unwrap();
            }
        }
        [opened, audited]
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        self.segments.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Makes a frame's hash and checksum fit its bytes; gives the hash of its block.
    fn mend(&self, frame: &Frame, segment: &mut [u8]) -> [u8; 32] {
        let Frame { start, body_bytes, is_block, .. } = *frame;
        let (header, body) = segment[start..start + HEADER + body_bytes].split_at_mut(HEADER);
        if is_block {
            header[72..104].copy_from_slice(blake3::hash(body).as_bytes());
        }
        header[20..24].fill(0);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&self.salt), header);
        header[20..24].copy_from_slice(&crc.to_le_bytes());
        blake3::derive_key("nostro 1 block header", &header[32..])
    }
}

#[test]
fn what_is_rewritten_here_is_what_the_engine_writes() {
    let world = World::new();
    let mut bytes = world.bytes();
    for frame in &world.frames {
        world.mend(frame, &mut bytes[frame.file]);
    }
    assert!(bytes == world.bytes(), "mending what is whole changes nothing");
    assert!(world.frames.iter().filter(|frame| frame.is_block).count() == 600);
}

#[test]
fn a_block_rewritten_with_all_its_checksums_is_refused_by_what_follows() {
    let world = World::new();
    for n in (1..world.frames.len()).step_by(37).chain([1, 2]) {
        let (frame, next) = (world.frames[n], world.frames[n + 1]);
        if !frame.is_block {
            continue;
        }
        let mut bytes = world.bytes();
        // In the signature, which executing the block wouldn't miss.
        bytes[frame.file][frame.start + HEADER + 130] ^= 1;
        world.mend(&frame, &mut bytes[frame.file]);
        for error in world.refused(&format!("frame {n}"), &bytes) {
            assert!(error.contains(world.name(next.file)), "frame {n}: {error}");
            assert!(error.contains(&format!("offset {}", next.start)), "frame {n}: {error}");
        }
    }
}

/// Makes a chain whole again from a frame on: everything that names a hash before names the new one.
fn forge_from(world: &World, n: usize, change: impl Fn(&mut [u8])) -> Vec<Vec<u8>> {
    let mut bytes = world.bytes();
    let frame = world.frames[n];
    change(&mut bytes[frame.file][frame.start..frame.start + HEADER + frame.body_bytes]);
    let mut hash = world.mend(&frame, &mut bytes[frame.file]);
    for (frame, before) in world.frames[n + 1..].iter().zip(&world.frames[n..]) {
        if frame.file != before.file {
            // The segment's header names it too.
            let page = &mut bytes[frame.file][..PAGE];
            page[64..96].copy_from_slice(&hash);
            page[112..116].fill(0);
            let crc = crc32c::crc32c(page);
            page[112..116].copy_from_slice(&crc.to_le_bytes());
        }
        let segment = &mut bytes[frame.file];
        segment[frame.start + 40..frame.start + 72].copy_from_slice(&hash);
        let own = world.mend(frame, segment);
        hash = if frame.is_block { own } else { hash };
    }
    bytes
}

#[test]
fn a_history_rewritten_to_its_end_is_refused_since_executing_it_gives_something_else() {
    let world = World::new();
    // The amount of a transfer, what the header says of outcomes and effects, of the root over the transactions, of the count before.
    let changes: [(&str, usize, &str); 4] = [
        ("outcomes", 32 + 128, "outcomes"),
        ("effects", 32 + 160, "effects"),
        ("count before", 32 + 80, "number of transactions before it"),
        ("time", 32 + 72 + 7, "time"),
    ];
    for n in [3, 250, 599] {
        for (what, place, complaint) in changes {
            // A time that is later is anybody's guess; a block after it isn't.
            if what == "time" && n == 599 {
                continue;
            }
            let forged = forge_from(&world, n, |frame| frame[place] ^= 0x40);
            for error in world.refused(&format!("{what} of frame {n}"), &forged) {
                assert!(error.contains(complaint) && error.contains("expected"), "{what} of frame {n}: {error}");
            }
        }
    }
    // The order of a payment itself: its amount stands 80 bytes behind its beginning.
    let forged = forge_from(&world, 9, |frame| frame[HEADER + 80] ^= 1);
    for error in world.refused("an amount", &forged) {
        assert!(error.contains("effects") || error.contains("transactions"), "{error}");
    }
    // An audit compares the root over the transactions; an opening leaves that to the chain.
    let root = forge_from(&world, 9, |frame| frame[32 + 96] ^= 1);
    for ((path, _), bytes) in world.segments.iter().zip(&root) {
        fs::write(path, bytes).unwrap();
    }
    let error = audit_ledger(world.directory.path(), false, &mut |_, _| ()).unwrap_err().to_string();
    assert!(error.contains("transactions: expected"), "{error}");
}

#[test]
fn a_page_written_to_the_wrong_place_is_refused() {
    let world = World::new();
    let blocks: Vec<Frame> = world.frames.iter().copied().filter(|frame| frame.is_block).collect();
    for (n, from) in blocks.iter().enumerate().step_by(29).chain([(599, &blocks[599])]) {
        let end = world.segments[from.file].1.len();
        // Over an earlier block, over a later one, into what is still empty, into another segment, over a segment's header.
        let others = [blocks[n / 2], blocks[(n + 7).min(598)], blocks[(n * 7 + 300) % 600]];
        let places = others.iter().map(|other| (other.file, other.start)).chain([(2, end - 8 * PAGE), (from.file, 0)]);
        for (file, to) in places.filter(|&place| place != (from.file, from.start)) {
            for (what, lost) in [("and its own place is empty", true), ("and its own place is right", false)] {
                if !lost && (file, to) == (2, end - 8 * PAGE) {
                    continue;
                }
                let mut bytes = world.bytes();
                let page = bytes[from.file][from.start..from.start + PAGE].to_vec();
                bytes[file][to..to + PAGE].copy_from_slice(&page);
                if lost {
                    bytes[from.file][from.start..from.start + PAGE].fill(0);
                }
                for error in world.refused(&format!("block {n} at {to} of file {file}, {what}"), &bytes) {
                    let named = [(file, to), (from.file, from.start)].iter().any(|&(file, place)| {
                        error.contains(world.name(file)) && (place == 0 || error.contains(&format!("offset {place}")))
                    });
                    assert!(named, "block {n} at {to} of {}, {what}: {error}", world.name(file));
                }
            }
        }
    }
}
