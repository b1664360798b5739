//! A disk on which one call fails, and what the log does about it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::atomic::AtomicU64;

use super::*;
use crate::log::segment::Map;
use crate::log::storage::{Access, LockError};

/// The machine's disk, whose n-th writing call fails. Keeps its cache, so that tests needn't wait for the medium.
#[derive(Clone)]
pub(super) struct Failing {
    calls: Arc<AtomicU64>,
    fails_at: u64,
    error: fn() -> io::Error,
}

impl Failing {
    pub(super) fn never() -> Self {
        Self::at(u64::MAX, || io::ErrorKind::Other.into())
    }

    fn at(fails_at: u64, error: fn() -> io::Error) -> Self {
        Self { calls: Arc::default(), fails_at, error }
    }

    fn count(&self) -> io::Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.fails_at { Err((self.error)()) } else { Ok(()) }
    }
}

impl Storage for Failing {
    type File = File;
    type Lock = File;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.count().and_then(|()| OsStorage.create_dir(path))
    }
    fn create(&self, path: &Path) -> io::Result<File> {
        self.count().and_then(|()| OsStorage.create(path))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        OsStorage.open(path, access)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count().and_then(|()| OsStorage.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count().and_then(|()| OsStorage.link(from, to))
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.count().and_then(|()| OsStorage.unlink(path))
    }
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        OsStorage.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.count().and_then(|()| OsStorage.sync_dir(path))
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        OsStorage.free_space(path)
    }
    fn lock(&self, path: &Path) -> Result<File, LockError> {
        OsStorage.lock(path)
    }
    fn length(&self, file: &File) -> io::Result<u64> {
        OsStorage.length(file)
    }
    fn pwritev(&self, file: &File, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.count().and_then(|()| OsStorage.pwritev(file, buffers, offset))
    }
    fn pread_exact(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        OsStorage.pread_exact(file, buffer, offset)
    }
    fn fdatasync(&self, file: &File) -> io::Result<()> {
        self.count().and_then(|()| OsStorage.fdatasync(file))
    }
    fn drop_cache(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
    fn start_writeback(&self, file: &File, offset: u64, bytes: u64) -> io::Result<()> {
        OsStorage.start_writeback(file, offset, bytes)
    }
    fn map_read_only(&self, file: &File, bytes: u64) -> io::Result<Map> {
        OsStorage.map_read_only(file, bytes)
    }
}

/// A life of a log: what was acknowledged before it ended, and how it ended.
fn live(storage: &Failing, home: &Home, acknowledged: &mut u64) -> Result<(), String> {
    let log = SegmentLog::create_salted(storage.clone(), &home.path(), LEDGER, b"genesis", config(), SALT);
    let mut log = log.map_err(|error| error.to_string())?;
    for _ in 0..15 {
        let reader = log.reader();
        log = append(log, 2).and_then(SegmentLog::sync).map_err(|failure| {
            assert!(reader.is_closed());
            assert!(reader.watermark() >= *acknowledged);
            assert_eq!(reader.records_from(1).filter(Result::is_ok).count() as u64, reader.watermark());
            failure.to_string()
        })?;
        *acknowledged = log.tip().0;
    }
    log.close().map_err(|failure| failure.to_string())
}

#[test]
fn wherever_the_disk_fails_the_log_stops_and_what_was_acknowledged_is_there() {
    let errors: [fn() -> io::Error; 2] =
        [|| io::Error::from_raw_os_error(libc::EIO), || io::Error::from_raw_os_error(libc::ENOSPC)];
    for error in errors {
        for fails_at in 0.. {
            let home = Home::new();
            let mut acknowledged = 0;
            let ended = live(&Failing::at(fails_at, error), &home, &mut acknowledged);
            if let Err(text) = &ended {
                let place = text.contains("nostro-log-");
                assert!(place && text.contains("os error"), "call {fails_at}: {text}");
            }
            match home.open() {
                Ok((log, recovered, seen)) => {
                    assert!(recovered.height >= acknowledged, "call {fails_at}: {recovered:?}");
                    assert_eq!(seen, bodies(1..=recovered.height));
                    append(log, 1).unwrap().close().unwrap();
                }
                Err(OpenError::NoLedger { .. }) => {
                    assert_eq!(acknowledged, 0);
                    home.create().close().unwrap();
                }
                Err(other) => panic!("call {fails_at}: {other}"),
            }
            if ended.is_ok() && acknowledged == 30 && fails_at > 100 {
                break;
            }
        }
    }
}

#[test]
fn a_directory_that_cant_be_written_is_told_apart_from_a_failing_disk() {
    let home = Home::new();
    let denied = || Failing::at(0, || io::Error::from_raw_os_error(libc::EACCES));
    let read_only = || Failing::at(0, || io::Error::from_raw_os_error(libc::EROFS));
    let error = SegmentLog::create(denied(), &home.path(), LEDGER, b"", config()).unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    append(home.create(), 1).unwrap().close().unwrap();
    let open = |storage| SegmentLog::open(storage, &home.path(), None, config(), &mut |_| Ok(())).map(drop);
    for storage in [denied(), read_only()] {
        let error = open(storage).unwrap_err();
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
        assert!(error.to_string().contains("the directory can't be written"), "{error}");
    }
    let broken = Failing::at(0, || io::Error::from_raw_os_error(libc::EIO));
    assert!(matches!(open(broken), Err(OpenError::Disk(_))));
    assert!(open(Failing::never()).is_ok());
}
