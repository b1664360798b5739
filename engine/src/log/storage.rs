//! All that the log asks of a disk, in one trait, and the operating system behind it.
//!
//! The trait exists because two real disks exist: the machine's, and the simulated one that loses power, lies about
//! syncs and rots on request. What a back end must promise is little:
//!
//! - after `fdatasync` returns `Ok` for the first time since a write, the file's bytes and length survive a power cut;
//! - after `sync_dir` returns `Ok`, the names in that directory do;
//! - a write that was not followed by a sync may survive in any part, at a grain of 512 bytes;
//! - a sync that failed may have dropped what it was to write, and the next one may say `Ok`. So nobody asks twice.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::segment::Map;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// Why a lock was not given.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another engine holds it; its process, if the file tells.
    Held(Option<u32>),
    Io(io::Error),
}

/// Mistakes that the crash harness plants to see whether it would notice. Only the simulated disk ever says yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(feature = "sim"), expect(unreachable_pub, reason = "given out with the feature `sim`"))]
pub enum Planted {
    /// `sync` does not sync.
    NoSync,
    /// The watermark moves before the sync.
    AcknowledgedEarly,
    /// New names in the directory are not synced.
    NoDirectorySync,
    /// Opening trusts the names that it finds.
    NoDirectorySyncAtOpen,
    /// The header of a new segment is not synced before the segment gets its name.
    NoHeaderSync,
    /// A full segment is not synced before the next one begins.
    NoSyncAtRoll,
    /// A failed sync is tried once more, and believed.
    SyncRetried,
    /// The body of a record is not compared with its hash.
    NoBodyHash,
    /// A record's `previous` is not compared with the record before.
    NoChain,
    /// Opening reads what the cache shows without dropping it.
    CacheTrusted,
    /// Frames carry no watermark.
    NoWatermark,
    /// The first bad frame is taken for the end, whatever comes behind it.
    NoLookAhead,
    /// A torn tail is left where it is.
    TailLeft,
    /// A torn tail is zeroed without a sync.
    TailNotSynced,
    /// A checkpoint gets its name before its bytes are durable.
    CheckpointNotSynced,
    /// A pool file left by another run is used without a look.
    PoolTrusted,
    /// Receipts go out without waiting for the sync.
    ReceiptsBeforeSync,
    /// Receipts go out for a group that could not be made durable.
    ReceiptsOfFailedGroup,
}

/// A disk. See the module for what it must promise.
pub(crate) trait Storage: Send + Sync + 'static {
    /// An open file.
    type File: Send + Sync + 'static;
    /// A held lock, given back when dropped.
    type Lock: Send + Sync + 'static;

    /// Makes a directory and its parents, if they don't exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file for reading and writing; an error if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens an existing file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a further name, which nothing has yet.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in ascending order.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that can still be written where `path` is.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
    /// Takes the lock of this file, which is created if missing, for as long as the value lives.
    fn lock(&self, path: &Path) -> Result<Self::Lock, LockError>;

    /// The length of a file in bytes.
    fn length(&self, file: &Self::File) -> io::Result<u64>;
    /// Writes some or all of the buffers, in order, and says how many bytes.
    fn pwritev(&self, file: &Self::File, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Fills the buffer, or fails.
    fn pread_exact(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes the bytes and the length of a file durable.
    fn fdatasync(&self, file: &Self::File) -> io::Result<()>;
    /// Forgets what is cached of a file and is not waiting to be written, so that reads show the medium.
    fn drop_cache(&self, file: &Self::File) -> io::Result<()>;
    /// Sends a range on its way to the medium without waiting.
    fn start_writeback(&self, file: &Self::File, offset: u64, bytes: u64) -> io::Result<()>;
    /// Asks the medium for a range that will be read soon, without waiting. Only a hint.
    fn read_ahead(&self, _file: &Self::File, _offset: u64, _bytes: u64) {}
    /// Maps the first `bytes` of a file for reading.
    fn map_read_only(&self, file: &Self::File, bytes: u64) -> io::Result<Map>;

    /// Whether the crash harness planted this mistake.
    fn planted(&self, _mistake: Planted) -> bool {
        false
    }
}

/// Writes all the bytes at an offset.
pub(crate) fn write_all_at<S: Storage>(storage: &S, file: &S::File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        done += match storage.pwritev(file, &[IoSlice::new(rest)], offset.saturating_add(done as u64)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OsStorage;

/// How long a lock is asked for again: a killed process gives it back only when the kernel has reaped it.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

impl Storage for OsStorage {
    type File = File;
    type Lock = File;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names = std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        File::open(path)?.sync_all()
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn lock(&self, path: &Path) -> Result<File, LockError> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::Error(error)) => return Err(LockError::Io(error)),
                Err(std::fs::TryLockError::WouldBlock) if begin.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let holder = (&file).take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                    return Err(LockError::Held(holder));
                }
            }
        }
        // The process id is for people; the lock is the kernel's. So a disk without room for it is no reason to stop.
        let text = format!("{}\n", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        Ok(file)
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn pwritev(&self, file: &File, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(file, buffers, offset)?)
    }

    fn pread_exact(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(buffer, offset)
    }

    fn fdatasync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn drop_cache(&self, file: &File) -> io::Result<()> {
        Ok(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?)
    }

    fn start_writeback(&self, file: &File, offset: u64, bytes: u64) -> io::Result<()> {
        super::segment::start_writeback(file, offset, bytes)
    }

    fn read_ahead(&self, file: &File, offset: u64, bytes: u64) {
        // Nothing is lost if the kernel does not want to.
        let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(bytes), rustix::fs::Advice::WillNeed);
    }

    fn map_read_only(&self, file: &File, bytes: u64) -> io::Result<Map> {
        Map::of_file(file, bytes)
    }
}
