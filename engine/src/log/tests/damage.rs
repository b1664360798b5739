//! A log that was harmed: cut, flipped, swapped, copied. Refused with the place, or provably never acknowledged.

use std::os::unix::fs::FileExt as _;

use super::failing::Failing;
use super::*;
use crate::log::frame::frame_bytes;

/// A log in two segments: the first full, in the second acknowledged records, a seal, and records nobody acknowledged.
struct Sample {
    home: Home,
    /// First height of the second segment, last acknowledged height, last height.
    second: u64,
    acknowledged: u64,
    last: u64,
    /// In the second segment: where each record's frame begins and ends.
    frames: Vec<(u64, u64)>,
    /// Where the seal is.
    seal: u64,
}

fn sample() -> Sample {
    let home = Home::new();
    let mut log = home.create();
    while log.counters().rolls == 0 {
        log = append(log, 1).unwrap();
    }
    let second = log.tip().0;
    log = append(log, 1).unwrap().seal().unwrap();
    let acknowledged = log.tip().0;
    log = append(log, 2).unwrap();
    let last = log.tip().0;
    drop(log);
    let (mut frames, mut offset, mut seal) = (Vec::new(), 4096, 0);
    for height in second..=last {
        let end = offset + frame_bytes(body(height).len() as u64);
        frames.push((offset, end));
        offset = end;
        if height == acknowledged {
            seal = offset;
            offset += 4096;
        }
    }
    Sample { home, second, acknowledged, last, frames, seal }
}

/// Looks at the log; what it shows is always what was written, as far as it goes.
fn look(home: &Home) -> Result<Scanned, OpenError> {
    let storage = Failing::never();
    scan(&storage, &home.path(), &mut |record| {
        assert_eq!(record.body, body(record.header.height), "wrong data at height {}", record.header.height);
        Ok(())
    })
}

#[test]
fn every_flipped_byte_is_reported_or_was_never_acknowledged() {
    let sample = sample();
    assert_eq!(look(&sample.home).unwrap().height, sample.last);
    for name in ["LEDGER", "segment-00000001.log", "segment-00000002.log"] {
        let path = sample.home.file(name);
        let original = std::fs::read(&path).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for (offset, byte) in original.iter().enumerate() {
            let place = offset as u64;
            file.write_at(&[byte ^ (1 << (offset * 5 % 8))], place).unwrap();
            let seen = look(&sample.home);
            let frame = sample.frames.iter().position(|(begin, end)| (*begin..*end).contains(&place));
            let height = sample.second + frame.unwrap_or_default() as u64;
            let unacknowledged = frame.is_some() && height > sample.acknowledged;
            if name != "segment-00000002.log" || place < sample.seal + 4096 {
                let error = seen.err().unwrap_or_else(|| panic!("{name}, offset {place}: the flip was not seen"));
                assert!(error.to_string().contains(name), "{name}, offset {place}: {error}");
                if let OpenError::Damaged(damage) = error {
                    assert!(damage.offset <= place, "{name}, offset {place}: {damage}");
                }
            } else if unacknowledged {
                let scanned = seen.unwrap();
                assert_eq!(scanned.height, height - 1, "offset {place}");
                assert_eq!(scanned.torn.unwrap().offset, sample.frames[frame.unwrap()].0);
            } else {
                let scanned = seen.unwrap();
                assert_eq!((scanned.height, scanned.torn.is_some()), (sample.last, true), "offset {place}");
            }
            file.write_at(&[*byte], place).unwrap();
        }
    }
}

#[test]
fn a_flip_in_the_seal_of_a_closed_log_loses_nothing() {
    let home = Home::new();
    append(home.create(), 2).unwrap().close().unwrap();
    let scanned = look(&home).unwrap();
    let seal = 4096 + scanned.bytes;
    let file = std::fs::OpenOptions::new().write(true).open(home.file("segment-00000001.log")).unwrap();
    file.write_at(&[0xFF], seal + 100).unwrap();
    let (_, recovered, seen) = home.open().unwrap();
    assert_eq!(seen, bodies(1..=2));
    assert_eq!(recovered.torn.unwrap().offset, seal);
}

#[test]
fn a_tail_torn_at_any_sector_is_cut_and_the_log_goes_on() {
    let sample = sample();
    let path = sample.home.file("segment-00000002.log");
    let original = std::fs::read(&path).unwrap();
    let begin = sample.seal + 4096;
    let end = sample.frames.last().unwrap().1;
    for from_front in [true, false] {
        for cut in (begin..=end).step_by(512) {
            let copy = Home::new();
            copy_directory(&sample.home.path(), &copy.path());
            let mut torn = original.clone();
            // Either the end never reached the disk, or the beginning didn't.
            let lost = if from_front { begin..cut } else { cut..end };
            torn[lost.start as usize..lost.end as usize].fill(0);
            let whole =
                |(from, to): &(u64, u64)| torn[*from as usize..*to as usize] == original[*from as usize..*to as usize];
            let kept = sample.second + sample.frames.iter().take_while(|frame| whole(frame)).count() as u64 - 1;
            std::fs::write(copy.file("segment-00000002.log"), &torn).unwrap();

            let (log, recovered, seen) = copy.open().unwrap();
            assert_eq!(seen, bodies(1..=kept), "cut at {cut}, from the front: {from_front}");
            assert!(kept >= sample.acknowledged);
            let kept_end = sample.frames.iter().take_while(|frame| whole(frame)).last().unwrap().1 as usize;
            let nothing_left = torn[kept_end.max(begin as usize)..].iter().all(|byte| *byte == 0);
            assert_eq!(recovered.torn.is_none(), nothing_left, "cut at {cut}, from the front: {from_front}");
            append(log, 2).unwrap().close().unwrap();
            let (_, again, seen) = copy.open().unwrap();
            assert_eq!((again.height, again.torn), (kept + 2, None));
            assert_eq!(seen, bodies(1..=kept + 2));
        }
    }
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let sample = sample();
    append(sample.home.open().unwrap().0, 20).unwrap().close().unwrap();
    for (lost, text) in [
        ("segment-00000001.log", "segment-00000001.log is missing: segment-00000002.log exists"),
        ("segment-00000002.log", "segment-00000002.log is missing: segment-00000003.log exists"),
    ] {
        let (path, aside) = (sample.home.file(lost), sample.home.file("aside"));
        std::fs::rename(&path, &aside).unwrap();
        assert_eq!(look(&sample.home).unwrap_err().to_string(), text);
        assert_eq!(sample.home.open().err().unwrap().to_string(), text);
        std::fs::rename(&aside, &path).unwrap();
    }
    let segments = look(&sample.home).unwrap().segments;
    std::fs::remove_file(sample.home.file(&format!("segment-{segments:08}.log"))).unwrap();
    let error = look(&sample.home).unwrap_err().to_string();
    assert!(error.contains("is missing") && error.contains("says that it goes on there"), "{error}");
    assert!(sample.home.open().is_err());
}

#[test]
fn segments_that_were_swapped_copied_cut_or_lengthened_are_named() {
    let sample = sample();
    let (first, second) = (sample.home.file("segment-00000001.log"), sample.home.file("segment-00000002.log"));
    let (one, two) = (std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    let check = |contents: [&[u8]; 2], expected: &str| {
        std::fs::write(&first, contents[0]).unwrap();
        std::fs::write(&second, contents[1]).unwrap();
        let error = sample.home.open().err().unwrap().to_string();
        assert!(error.contains(expected), "expected {expected:?} in {error:?}");
    };
    check([&two, &one], "segment-00000001.log, offset 0, height 0: expected the segment 1, found the segment 2");
    check([&one, &one], "segment-00000002.log, offset 0, height 0: expected the segment 2, found the segment 1");
    check([&one, &two[..40_000]], "segment-00000002.log: expected 65536 bytes, found 40000");
    check([&[&one[..], &[0]].concat(), &two], "segment-00000001.log: expected 65536 bytes, found 65537");
    check([&[], &two], "segment-00000001.log: expected 65536 bytes, found 0");

    // Another ledger's segment of the same number.
    let other = Home::new();
    drop(SegmentLog::create(OsStorage, &other.path(), [8; 32], b"", config()).unwrap());
    let stranger = std::fs::read(other.file("segment-00000001.log")).unwrap();
    check([&stranger, &two], "found one of the ledger 0808");
    std::fs::write(&first, &one).unwrap();
    assert!(sample.home.open().is_ok());
}

#[test]
fn another_ledger_a_newer_format_and_no_ledger_are_told_apart() {
    let home = Home::new();
    drop(home.create());
    let open = |expected| SegmentLog::open(OsStorage, &home.path(), expected, config(), &mut |_| Ok(())).map(drop);
    assert!(matches!(open(Some([1; 32])), Err(OpenError::OtherLedger { .. })));
    assert!(open(None).is_ok());
    let path = home.file("LEDGER");
    let original = std::fs::read(&path).unwrap();
    let mut newer = original.clone();
    newer[4] = 2;
    std::fs::write(&path, newer).unwrap();
    assert!(matches!(open(None), Err(OpenError::NewerFormat { found: 2, supported: 1, .. })));
    for length in 0..original.len() {
        std::fs::write(&path, &original[..length]).unwrap();
        assert!(matches!(open(None), Err(OpenError::Length { .. })), "LEDGER cut to {length} bytes");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(open(None), Err(OpenError::NoLedger { .. })));
    let nowhere = home.file("nowhere");
    let error = SegmentLog::open(OsStorage, &nowhere, None, config(), &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, OpenError::NoLedger { .. }), "{error}");
}

#[test]
fn files_of_others_are_left_alone() {
    let home = Home::new();
    append(home.create(), 3).unwrap().close().unwrap();
    let names = ["notes.txt", "segment-1.log", "segment-00000002.log.bak", "segment-99.log", "segment-00000000.log"];
    for name in names {
        std::fs::write(home.file(name), name).unwrap();
    }
    // Remains of our own kind are cleared: a pool file that was never finished, or is a segment's second name.
    std::fs::write(home.file("pool-00000077.tmp"), [0; 100]).unwrap();
    std::fs::hard_link(home.file("segment-00000001.log"), home.file("pool-00000078.tmp")).unwrap();
    let (log, _, seen) = home.open().unwrap();
    assert_eq!(seen, bodies(1..=3));
    append(log, 30).unwrap().close().unwrap();
    assert_eq!(home.open().unwrap().2, bodies(1..=33));
    for name in names {
        assert_eq!(std::fs::read(home.file(name)).unwrap(), name.as_bytes());
    }
    assert!(!home.file("pool-00000077.tmp").exists() && !home.file("pool-00000078.tmp").exists());
}

#[test]
fn a_body_full_of_frames_fools_nobody() {
    // A stranger knows the format, and fills a body with pages that claim a watermark beyond everything.
    let home = Home::new();
    let log = append(home.create(), 2).unwrap().sync().unwrap();
    let forged = crate::log::frame::seal_page(
        crate::log::frame::Kind::Seal,
        u64::MAX,
        [0; 32],
        crate::log::frame::Stamp { segment: 1, epoch: 1, watermark: u64::MAX },
        SaltedCrc::new(&[0; 16]),
    );
    let mut body = vec![0; 4096 - 256];
    for _ in 0..3 {
        body.extend_from_slice(&forged);
    }
    let begin = 4096 + log.counters().bytes;
    let frame = with_body(&log, &body);
    drop(log.append(&mut [frame]).unwrap());
    let file = std::fs::OpenOptions::new().write(true).open(home.file("segment-00000001.log")).unwrap();
    file.write_at(&[0; 256], begin).unwrap();
    let (_, recovered, seen) = home.open().unwrap();
    assert_eq!(seen, bodies(1..=2));
    assert_eq!(recovered.torn.unwrap().bytes, 4 * 4096, "the first page is blank now, the forged ones are cut with it");
}

#[test]
fn a_record_in_the_wrong_place_is_not_taken_for_a_torn_tail() {
    let home = Home::new();
    let log = append(home.create(), 2).unwrap().sync().unwrap();
    let begin = 4096 + log.counters().bytes;
    let log = append(log, 1).unwrap().sync().unwrap();
    let end = 4096 + log.counters().bytes;
    drop(log);
    let path = home.file("segment-00000001.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let (from, to) = (begin as usize, end as usize);
    bytes.copy_within(from..to, to);
    bytes[from..to].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let error = home.open().err().unwrap().to_string();
    let expected = format!(
        "offset {begin}, height 3: expected the record of height 3, found zeros, and that record at offset {end}"
    );
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn rot_under_a_running_engine_is_an_error_and_no_record() {
    let home = Home::new();
    let log = append(home.create(), 4).unwrap().sync().unwrap();
    let reader = log.reader();
    let file = std::fs::OpenOptions::new().write(true).open(home.file("segment-00000001.log")).unwrap();
    let third = 4096 + frame_bytes(body(1).len() as u64) + frame_bytes(body(2).len() as u64);
    file.write_at(&[0xFF], third + 300).unwrap();
    assert_eq!(reader.read(2).unwrap().unwrap().body(), body(2));
    let Err(ReadError::Damaged(damage)) = reader.read(3) else { panic!("rot was read") };
    assert_eq!((damage.offset, damage.height), (third, 3));
    assert_eq!(reader.records_from(1).filter(Result::is_ok).count(), 2);
}

#[test]
fn a_continued_mark_may_be_missing_only_before_the_next_segment_is_used() {
    let home = Home::new();
    let mut log = home.create();
    let (mut end, mut rolls) = (0, 0);
    while rolls == 0 {
        end = 4096 + log.counters().bytes;
        log = append(log, 1).unwrap();
        rolls = log.counters().rolls;
    }
    let (tip, _) = log.tip();
    drop(log.sync().unwrap());
    let (first, second) = (home.file("segment-00000001.log"), home.file("segment-00000002.log"));
    let mut blank = std::fs::read(&second).unwrap();
    let used = blank.clone();
    blank[4096..].fill(0);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&first).unwrap();
    let mut mark = vec![0; 4096];
    file.read_exact_at(&mut mark, end).unwrap();
    for torn in [0, 1, 25, 60] {
        // The crash came while the mark was written: it is written again, also when opening from a checkpoint.
        let mut part = mark.clone();
        part[torn..].fill(0);
        file.write_all_at(&part, end).unwrap();
        std::fs::write(&second, &blank).unwrap();
        let (log, recovered, seen) = home.open().unwrap();
        assert_eq!((seen, recovered.torn), (bodies(1..=tip - 1), None));
        drop(log);
        file.read_exact_at(&mut part, end).unwrap();
        assert_eq!(part[..4], mark[..4], "the mark is back");
        // The next segment is in use: then the mark was durable, and something took it away.
        part[torn..].fill(0);
        file.write_all_at(&part, end).unwrap();
        std::fs::write(&second, &used).unwrap();
        let error = home.open().err().unwrap().to_string();
        assert!(error.contains(&format!("segment-00000001.log, offset {end}")), "{error}");
        assert!(error.contains("expected the mark that the log goes on in segment-00000002.log"), "{error}");
    }
}

#[test]
fn opening_from_a_checkpoint_writes_a_missing_mark_again() {
    let home = Home::new();
    let mut log = home.create();
    let mut hash = LEDGER;
    while log.counters().rolls == 0 {
        hash = log.tip().1;
        log = append(log, 1).unwrap();
    }
    let (tip, _) = log.tip();
    drop(log.sync().unwrap());
    let (first, second) = (home.file("segment-00000001.log"), home.file("segment-00000002.log"));
    // A crash in the middle of the roll: no mark, and nothing behind the new header.
    let scanned = look(&home).unwrap();
    let end = 4096 + scanned.bytes - frame_bytes(body(tip).len() as u64);
    for (path, from) in [(&first, end as usize), (&second, 4096)] {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[from..].fill(0);
        std::fs::write(path, bytes).unwrap();
    }
    let from = Some(Checkpoint { height: tip - 1, hash });
    let (log, ..) = SegmentLog::open_from(OsStorage, &home.path(), None, from, config(), &mut |_| Ok(())).unwrap();
    append(log, 1).unwrap().close().unwrap();
    assert_eq!(home.open().unwrap().2, bodies(1..=tip));
}

#[test]
fn an_operator_can_cut_a_damaged_log_and_keeps_a_copy() {
    use crate::log::repair::truncate_after;
    let sample = sample();
    append(sample.home.open().unwrap().0, 20).unwrap().close().unwrap();
    let whole = look(&sample.home).unwrap();
    assert!(whole.segments > 3);
    let spoil = |home: &Home, what: u64| {
        let second = home.file("segment-00000002.log");
        match what {
            // A record in the middle, the header of its segment, the whole segment, the header of a later one.
            0 => std::fs::write(&second, {
                let mut bytes = std::fs::read(&second).unwrap();
                bytes[sample.frames[0].0 as usize + 300] ^= 1;
                bytes
            }),
            1 => std::fs::write(&second, vec![1; 65536]),
            2 => std::fs::remove_file(&second),
            _ => std::fs::write(home.file("segment-00000003.log"), b"short"),
        }
        .unwrap();
    };
    for what in 0..4 {
        for height in [0, 1, sample.second - 1] {
            let home = Home::new();
            copy_directory(&sample.home.path(), &home.path());
            spoil(&home, what);
            assert!(home.open().is_err(), "damage {what}");
            let damaged = std::fs::read(home.file("segment-00000001.log")).unwrap();
            let copy = home.0.join("copy");
            // A height that can't be seen is refused, and nothing changes.
            let error = truncate_after(&OsStorage, &home.path(), None, whole.height + 1, &copy).unwrap_err();
            assert!(!copy.exists(), "{error}");
            let cut = truncate_after(&OsStorage, &home.path(), None, height, &copy).unwrap();
            assert_eq!(cut.lost, whole.height, "damage {what}: the end of what was lost is seen");
            assert_eq!((cut.height, cut.copied.first().map(String::as_str)), (height, Some("segment-00000001.log")));
            assert_eq!(std::fs::read(copy.join("segment-00000001.log")).unwrap(), damaged);
            assert!(copy.join("LEDGER").exists());
            let (log, recovered, seen) = home.open().unwrap();
            assert_eq!((seen, recovered.hash, recovered.torn), (bodies(1..=height), cut.hash, None));
            append(log, 30).unwrap().close().unwrap();
            assert_eq!(home.open().unwrap().2, bodies(1..=height + 30));
            // The copy is never written over.
            assert!(matches!(truncate_after(&OsStorage, &home.path(), None, 1, &copy), Err(OpenError::Exists { .. })));
        }
    }
}
