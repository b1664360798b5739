//! The disk by itself: `pwrite` and `fdatasync` into a file that was written full of zeros, the fastest way to it that was found.

use crate::Failure;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file full of zeros, written again from its beginning when it is full.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    offset: u64,
    bytes: u64,
}

impl RawFile {
    /// Makes the file in a directory, which is made too.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn create(directory: &Path, bytes: u64) -> Result<Self, Failure> {
        std::fs::create_dir_all(directory)?;
        let file = std::fs::OpenOptions::new().create_new(true).read(true).write(true).open(directory.join("raw"))?;
        let zeros = vec![0; 1 << 20];
        for offset in (0..bytes).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset)?;
        }
        file.sync_all()?;
        Ok(Self { file, offset: 0, bytes })
    }

    /// Writes a block behind the one before, and syncs.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn append(&mut self, block: &[u8]) -> Result<(), Failure> {
        if self.offset.saturating_add(block.len() as u64) > self.bytes {
            self.offset = 0;
        }
        self.file.write_all_at(block, self.offset)?;
        self.file.sync_data()?;
        self.offset = self.offset.saturating_add(block.len() as u64);
        Ok(())
    }
}
