//! A log that nobody harms: restarts, rolls, readers, limits.

use std::time::Duration;

use super::*;

#[test]
fn a_restart_goes_on_where_the_log_stopped() {
    let home = Home::new();
    let mut height = 0;
    home.create().close().unwrap();
    for round in 0..6 {
        let (log, recovered, seen) = home.open().unwrap();
        assert_eq!(recovered.height, height);
        assert_eq!(seen, bodies(1..=height));
        assert_eq!(log.genesis(), b"genesis");
        let log = append(log, 9).unwrap().sync().unwrap();
        height += 9;
        // Sometimes the engine has no time to say goodbye.
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
    let scanned = scan(&OsStorage, &home.path(), &mut |_| Ok(())).unwrap();
    assert!(scanned.segments > 3, "the log has rolled: {scanned:?}");
    assert_eq!((scanned.height, scanned.torn), (height, None));
}

#[test]
fn an_empty_log_opens_again_and_again() {
    let home = Home::new();
    drop(home.create());
    for _ in 0..3 {
        let (_, recovered, _) = home.open().unwrap();
        assert_eq!((recovered.height, recovered.hash, recovered.torn), (0, LEDGER, None));
    }
}

#[test]
fn opening_often_does_not_fill_the_segment() {
    let home = Home::new();
    append(home.create(), 1).unwrap().close().unwrap();
    for _ in 0..40 {
        drop(home.open().unwrap());
    }
    assert_eq!(scan(&OsStorage, &home.path(), &mut |_| Ok(())).unwrap().segments, 1);
}

#[test]
fn bodies_may_be_empty_or_as_long_as_a_segment_holds_and_no_longer() {
    let home = Home::new();
    let mut log = home.create();
    let longest = vec![5; log.body_bytes_max() as usize];
    let all = [Vec::new(), longest.clone(), Vec::new(), longest.clone(), longest.clone(), vec![1]];
    for body in &all {
        let frame = with_body(&log, body);
        log = log.append(&mut [frame]).unwrap().sync().unwrap();
    }
    let mut builder = FrameBuilder::with_buffer(Vec::new(), log.body_bytes_max());
    builder.extend(&longest).unwrap();
    let error = builder.extend(&[0]).unwrap_err();
    assert_eq!(error.bytes, error.bytes_max + 1);
    log.close().unwrap();
    assert_eq!(home.open().unwrap().2, all);
}

#[test]
fn one_group_may_span_many_segments() {
    let home = Home::new();
    let log = home.create();
    let (mut height, mut hash) = log.tip();
    let mut group = Vec::new();
    for _ in 0..40 {
        let mut builder = FrameBuilder::with_buffer(vec![0xAA; 100], log.body_bytes_max());
        builder.extend(&body(height + 1)).unwrap();
        let frame = builder.seal(height + 1, hash, &[3; META_BYTES]);
        (height, hash) = (frame.height(), *frame.hash());
        group.push(frame);
    }
    let log = log.append(&mut group).unwrap().sync().unwrap();
    assert!(log.counters().rolls > 3);
    drop(log);
    assert_eq!(home.open().unwrap().2, bodies(1..=40));
}

#[test]
fn a_record_out_of_order_is_refused_before_anything_is_written() {
    let home = Home::new();
    let log = append(home.create(), 2).unwrap();
    let stranger = FrameBuilder::with_buffer(Vec::new(), 100).seal(3, [1; 32], &[0; META_BYTES]);
    assert!(matches!(log.append(&mut [stranger]), Err(LogFailure::OutOfOrder { height_expected: 3, height_found: 3 })));
    assert_eq!(home.open().unwrap().2, bodies(1..=2));
}

#[test]
fn readers_see_what_is_durable_and_nothing_else() {
    let home = Home::new();
    let log = append(home.create(), 3).unwrap();
    let reader = log.reader();
    assert_eq!(reader.watermark(), 0);
    assert!(reader.read(1).unwrap().is_none());
    let log = log.sync().unwrap();
    assert_eq!(reader.watermark(), 3);
    let record = reader.read(2).unwrap().unwrap();
    assert_eq!(record.body(), body(2));
    assert_eq!(record.header().meta, [3; META_BYTES]);
    assert!(reader.read(0).unwrap().is_none() && reader.read(4).unwrap().is_none());

    let log = append(log, 97).unwrap().sync().unwrap();
    drop(log);
    assert!(reader.is_closed());
    assert_eq!(reader.wait_beyond(100, Duration::from_secs(60)), 100);
    let all: Vec<_> = reader.records_from(1).map(|record| record.unwrap().body().to_vec()).collect();
    assert_eq!(all, bodies(1..=100));
    for height in (1..=100).rev() {
        assert_eq!(reader.read(height).unwrap().unwrap().body(), body(height), "height {height}");
    }
    // The chain can be checked from the records alone.
    let mut previous = LEDGER;
    for record in reader.records_from(1).map(Result::unwrap) {
        assert_eq!(record.header().previous, previous);
        previous = *record.hash();
    }
}

#[test]
fn a_change_feed_follows_the_writer() {
    let home = Home::new();
    let mut log = home.create();
    let reader = log.reader();
    let feed = std::thread::spawn(move || {
        let mut seen = 0;
        let mut records = reader.records_from(1);
        while seen < 300 {
            let watermark = reader.wait_beyond(seen, Duration::from_secs(20));
            assert!(watermark > seen, "the writer has stopped or time is up");
            for record in records.by_ref() {
                let record = record.unwrap();
                seen += 1;
                assert_eq!((record.header().height, record.body()), (seen, &body(seen)[..]));
            }
        }
    });
    for round in 0..100 {
        log = append(log, 3).unwrap().sync().unwrap();
        if round % 10 == 0 {
            log = log.seal().unwrap();
        }
    }
    feed.join().unwrap();
    drop(log);
}

#[test]
fn a_slice_outlives_log_and_reader() {
    let home = Home::new();
    let log = append(home.create(), 1).unwrap().sync().unwrap();
    let record = log.reader().read(1).unwrap().unwrap();
    drop(log);
    drop(home);
    assert_eq!(record.body(), body(1));
}

#[test]
fn a_second_engine_is_refused_and_told_by_whom() {
    let home = Home::new();
    let log = home.create();
    let Err(OpenError::Locked { process, .. }) = home.open() else { panic!("opened twice") };
    assert_eq!(process, Some(std::process::id()));
    drop(log);
    home.open().unwrap();
}

#[test]
fn a_reserve_is_kept_and_its_lack_is_counted() {
    let home = Home::new();
    let mut log = home.create();
    // Two segments in reserve; the third roll has to make its own.
    while log.counters().rolls < 3 {
        log = append(log, 1).unwrap();
    }
    assert_eq!(log.counters().reserve_misses, 1);
    while !log.fill_reserve(10_000).unwrap() {}
    while log.counters().rolls < 5 {
        log = append(log, 1).unwrap();
    }
    assert_eq!(log.counters().reserve_misses, 1);
}

#[test]
fn a_ledger_is_created_once() {
    let home = Home::new();
    append(home.create(), 1).unwrap().close().unwrap();
    let again = || SegmentLog::create(OsStorage, &home.path(), LEDGER, b"", config());
    assert!(matches!(again(), Err(OpenError::Exists { .. })));
    // Without its LEDGER a directory with records is not taken for an empty one.
    std::fs::remove_file(home.file("LEDGER")).unwrap();
    let error = again().unwrap_err();
    assert!(error.to_string().contains("segment-00000001.log holds records"), "{error}");
}

#[test]
fn limits_are_checked_once_at_the_door() {
    let home = Home::new();
    for segment_bytes in [0, 4096, (64 << 10) + 1, (4 << 30) + 4096] {
        let config = LogConfig { segment_bytes, ..config() };
        let error = SegmentLog::create(OsStorage, &home.path(), LEDGER, b"", config).unwrap_err();
        assert!(error.to_string().starts_with("segment_bytes is"), "{error}");
    }
    let genesis = vec![0; GENESIS_BYTES_MAX + 1];
    let error = SegmentLog::create(OsStorage, &home.path(), LEDGER, &genesis, config()).unwrap_err();
    assert!(error.to_string().contains("genesis"), "{error}");
    SegmentLog::create(OsStorage, &home.path(), LEDGER, &genesis[1..], config()).unwrap();
}

#[test]
fn a_visitor_can_stop_the_opening() {
    let home = Home::new();
    append(home.create(), 5).unwrap().close().unwrap();
    let mut visit = |record: RecordRef<'_>| if record.header.height < 3 { Ok(()) } else { Err("no further".into()) };
    let error = SegmentLog::open(OsStorage, &home.path(), None, config(), &mut visit).unwrap_err();
    assert_eq!(error.to_string(), "height 3: no further");
}

#[test]
fn a_log_opens_from_a_checkpoint_and_what_is_below_can_be_retired() {
    let home = Home::new();
    let log = append(home.create(), 100).unwrap().sync().unwrap();
    let reader = log.reader();
    let hash = |height: u64| *reader.read(height).unwrap().unwrap().hash();
    let (at_0, at_60, at_100) = (LEDGER, hash(60), hash(100));
    let held = reader.read(1).unwrap().unwrap();
    let retired = log.retirer().retire(60, None).unwrap();
    assert!(retired > 0 && reader.first_height() > 1 && reader.first_height() <= 60);
    assert!(!home.file("segment-00000001.log").exists());
    assert!(reader.read(1).unwrap().is_none() && reader.records_from(1).next().is_none());
    assert_eq!(held.body(), body(1), "whoever holds a record keeps it");
    assert_eq!(
        reader.records_from(60).map(|record| record.unwrap().body().to_vec()).collect::<Vec<_>>(),
        bodies(60..=100)
    );
    let first_height = reader.first_height();
    let at_first = hash(first_height);
    log.close().unwrap();

    let open = |height, hash| {
        let (from, mut seen) = (Some(Checkpoint { height, hash }), Vec::new());
        let opened = SegmentLog::open_from(OsStorage, &home.path(), None, from, config(), &mut |record| {
            seen.push(record.body.to_vec());
            Ok(())
        });
        opened.map(|(log, recovered)| (log.reader(), recovered, seen)).map_err(|error| error.to_string())
    };
    let (reader, recovered, seen) = open(60, at_60).unwrap();
    assert_eq!((recovered.height, seen), (100, bodies(61..=100)));
    assert_eq!(reader.first_height(), first_height);
    assert_eq!(open(100, at_100).unwrap().2, Vec::<Vec<u8>>::new());
    assert_eq!(open(first_height, at_first).unwrap().2, bodies(first_height + 1..=100));
    // A segment that was not walked can be read all the same.
    let (reader, ..) = open(100, at_100).unwrap();
    assert_eq!(reader.read(first_height).unwrap().unwrap().body(), body(first_height));

    // Not of this log, of a height it never reached, of one it no longer has, and from the beginning.
    let error = open(60, [1; 32]).err().unwrap();
    assert!(error.starts_with("height 60: expected the record 0101") && error.contains(", found "), "{error}");
    let error = open(101, at_100).err().unwrap();
    assert!(error.contains("found a log that ends at height 100"), "{error}");
    for (height, hash) in [(first_height - 1, at_60), (0, at_0)] {
        let error = open(height, hash).err().unwrap();
        assert!(error.contains("is missing"), "{error}");
    }
}
