//! What the log promises, tried on the machine's own disk.

#![expect(clippy::cast_possible_truncation, reason = "offsets in files of 64 KiB")]

mod crash;
mod damage;
mod failing;
mod format;
mod life;
mod real;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const LEDGER: Hash = [7; 32];
const SALT: [u8; 16] = [9; 16];

fn config() -> LogConfig {
    LogConfig { segment_bytes: 64 << 10, reserve_bytes: 128 << 10, group_bytes_max: 64 << 10 }
}

/// A log, what its opening found, and the bodies it showed.
type Opened = (SegmentLog<OsStorage>, Recovered, Vec<Vec<u8>>);

/// A directory that is gone when the test is.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("nostro-log-{}-{number}", std::process::id())))
    }

    fn path(&self) -> PathBuf {
        self.0.join("ledger")
    }

    fn create(&self) -> SegmentLog<OsStorage> {
        SegmentLog::create_salted(OsStorage, &self.path(), LEDGER, b"genesis", config(), SALT).unwrap()
    }

    fn open(&self) -> Result<Opened, OpenError> {
        let mut bodies = Vec::new();
        let (log, recovered) = SegmentLog::open(OsStorage, &self.path(), Some(LEDGER), config(), &mut |record| {
            bodies.push(record.body.to_vec());
            Ok(())
        })?;
        Ok((log, recovered, bodies))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The body of a height: its length and its bytes follow from it.
fn body(height: u64) -> Vec<u8> {
    let length = (height * 2654435761) % 9001;
    (0..length).map(|place| u8::try_from((place * 31 + height * 7) % 251).unwrap()).collect()
}

/// The record that comes next in a log, with the body of its height.
fn next<S: Storage>(log: &SegmentLog<S>) -> Sealed {
    with_body(log, &body(log.tip().0 + 1))
}

fn with_body<S: Storage>(log: &SegmentLog<S>, body: &[u8]) -> Sealed {
    let mut builder = FrameBuilder::with_buffer(Vec::new(), log.body_bytes_max());
    builder.extend(body).unwrap();
    let (height, hash) = log.tip();
    builder.seal(height + 1, hash, &[3; META_BYTES])
}

/// Appends so many records one by one, without a sync.
fn append<S: Storage>(mut log: SegmentLog<S>, count: u64) -> Result<SegmentLog<S>, LogFailure> {
    for _ in 0..count {
        let frame = next(&log);
        log = log.append(&mut [frame])?;
    }
    Ok(log)
}

fn bodies(range: std::ops::RangeInclusive<u64>) -> Vec<Vec<u8>> {
    range.map(body).collect()
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
