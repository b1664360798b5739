//! The bytes on the disk, as `docs/format.md` draws them, without the code that writes them.

use super::*;
use crate::log::sim::{Faults, SimDisk};

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The CRC of some bytes in which the four at `offset` count as zero, after the bytes of `before`.
fn crc_without(before: &[u8], bytes: &[u8], offset: usize) -> u64 {
    let mut copy = bytes.to_vec();
    copy[offset..offset + 4].fill(0);
    u64::from(crc32c::crc32c_append(crc32c::crc32c(before), &copy))
}

#[test]
fn the_bytes_are_those_of_the_format_document() {
    let home = Home::new();
    let mut log = home.create();
    let mut tips = vec![log.tip()];
    for _ in 0..2 {
        log = append(log, 1).unwrap().sync().unwrap();
        tips.push(log.tip());
    }
    log.close().unwrap();

    let ledger = std::fs::read(home.file("LEDGER")).unwrap();
    assert_eq!((&ledger[..4], number(&ledger[4..6]), number(&ledger[6..8])), (&b"NLDG"[..], 1, 7));
    assert_eq!((number(&ledger[8..16]), &ledger[16..32], &ledger[32..64]), (65536, &SALT[..], &LEDGER[..]));
    assert_eq!(number(&ledger[64..68]), crc_without(b"", &ledger, 64));
    assert_eq!((number(&ledger[68..72]), &ledger[72..]), (0, &b"genesis"[..]));

    let segment = std::fs::read(home.file("segment-00000001.log")).unwrap();
    let header = &segment[..4096];
    assert_eq!((&header[..4], number(&header[4..6]), number(&header[6..8])), (&b"NSEG"[..], 1, 0));
    assert_eq!((number(&header[8..12]), number(&header[12..16]), number(&header[16..24])), (1, 1, 65536));
    assert_eq!((number(&header[24..32]), &header[32..64], &header[64..96]), (1, &LEDGER[..], &LEDGER[..]));
    assert_eq!((&header[96..112], number(&header[112..116])), (&SALT[..], crc_without(b"", header, 112)));
    assert!(header[116..].iter().all(|byte| *byte == 0));

    let mut offset = 4096;
    for height in 1..=3 {
        // Two blocks and a seal.
        let block = height < 3;
        let (contents, kind) = if block { (body(height), 0) } else { (Vec::new(), 1) };
        let length = (256 + contents.len()).next_multiple_of(4096);
        let frame = &segment[offset..offset + length];
        assert_eq!((&frame[..4], number(&frame[4..6]), frame[6], frame[7]), (&b"NFRM"[..], 1, kind, 0));
        assert_eq!(number(&frame[8..12]), contents.len() as u64);
        assert_eq!((number(&frame[12..16]), number(&frame[16..20])), (1, 1));
        assert_eq!(number(&frame[20..24]), crc_without(&SALT, &frame[..256], 20));
        assert_eq!(number(&frame[24..32]), height - 1, "durable when it was written");
        assert_eq!(number(&frame[32..40]), height.min(2));
        assert_eq!(frame[40..72], tips[height as usize - 1].1);
        if block {
            assert_eq!(frame[72..104], *blake3::hash(&contents).as_bytes());
            assert_eq!(frame[104..256], [3; 152]);
            assert_eq!(blake3::derive_key("nostro 1 block header", &frame[32..256]), tips[height as usize].1);
        } else {
            assert!(frame[72..256].iter().all(|byte| *byte == 0));
        }
        assert_eq!(frame[256..256 + contents.len()], contents);
        assert!(frame[256 + contents.len()..].iter().all(|byte| *byte == 0));
        offset += length;
    }
    assert!(segment[offset..].iter().all(|byte| *byte == 0));
}

/// The same calls write the same bytes in every version of this software that has format 1.
#[test]
fn the_golden_log_is_what_it_was() {
    let home = Home::new();
    let log = append(home.create(), 20).unwrap().sync().unwrap();
    append(log, 5).unwrap().close().unwrap();
    let mut digest = blake3::Hasher::new();
    for name in ["LEDGER", "segment-00000001.log", "segment-00000002.log"] {
        digest.update(&std::fs::read(home.file(name)).unwrap());
    }
    assert_eq!(digest.finalize().to_string(), GOLDEN);
}

const GOLDEN: &str = "a3a1e2e3f83d141eb8b1d1133b2c8284c3ee4f008c353c8a99f66c5b9873a5de";

#[test]
fn no_space_is_said_in_numbers_and_hinders_no_second_try() {
    let disk = SimDisk::new(1);
    let create = || SegmentLog::create_salted(disk.clone(), Path::new("/ledger"), LEDGER, b"", config(), SALT);
    for capacity in [0, 4096, 65535] {
        disk.arm(Faults { capacity: Some(capacity), ..Faults::default() });
        let error = create().unwrap_err().to_string();
        assert_eq!(error, format!("/ledger: 65536 bytes are needed, {capacity} are free"));
    }
    // Enough for a segment and for LEDGER, not for the reserve: that is no reason to stop.
    disk.arm(Faults { capacity: Some(65536 + 5000), ..Faults::default() });
    let log = append(create().unwrap(), 3).unwrap().sync().unwrap();
    // Until a segment is full.
    let failure = append(log, 100).unwrap_err().to_string();
    assert!(failure.starts_with("the log has stopped: /ledger/pool-") && failure.contains("zeros"), "{failure}");
    disk.arm(Faults::default());
    let (log, recovered) =
        SegmentLog::open(disk.clone(), Path::new("/ledger"), None, config(), &mut |_| Ok(())).unwrap();
    assert!(recovered.height >= 3 && recovered.reserve_bytes == 128 << 10);
    append(log, 100).unwrap().close().unwrap();
}
