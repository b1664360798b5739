//! Directories of a test's own, gone when the test is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that doesn't exist yet in a place of its own, removed when dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Directory {
    /// In memory where the system has such a place: for tests that don't ask what a disk keeps.
    #[must_use]
    pub fn in_memory() -> Self {
        let (memory, temporary) = (Path::new("/dev/shm"), std::env::temp_dir());
        Self::within(if memory.is_dir() { memory } else { &temporary })
    }

    /// On the disk.
    #[must_use]
    pub fn on_disk() -> Self {
        Self::within(&std::env::temp_dir())
    }

    fn within(parent: &Path) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(parent.join(format!("nostro-test-{}-{number}", std::process::id())))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A copy of all its files in memory.
    ///
    /// # Panics
    /// If the files can't be copied.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::in_memory();
        fs::create_dir_all(&copy.0).expect("a directory");
        for (path, bytes) in self.files() {
            let name = path.file_name().expect("a file has a name");
            fs::write(copy.0.join(name), bytes).expect("a copy");
        }
        copy
    }

    /// Every file with its bytes, by name.
    ///
    /// # Panics
    /// If they can't be read.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.0).expect("a directory");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A directory that was never made isn't there to be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}
