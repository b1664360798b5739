//! The load file of a run: has no name, so nothing is left of it however the process ends.

use super::map::Mapped;
use crate::failure::Failure;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// A file that transactions, or their hints, are written to before the clock starts, and mapped from when it runs.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    path: PathBuf,
    bytes: usize,
}

impl Spool {
    /// An empty one in the directory for temporary files, with the kind of its content for the moment that it has a name.
    pub(crate) fn new(kind: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("nostro-loadgen-{}.{kind}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Failure::at(&path, format_args!("expected to create it, found: {error}")))?;
        std::fs::remove_file(&path)
            .map_err(|error| Failure::at(&path, format_args!("expected to take its name away, found: {error}")))?;
        Ok(Self { file, path, bytes: 0 })
    }

    /// Adds bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| {
            let (count, offset) = (bytes.len(), self.bytes);
            Failure::at(&self.path, format_args!("expected to write {count} bytes at {offset}, found: {error}"))
        })?;
        self.bytes = self.bytes.saturating_add(bytes.len());
        Ok(())
    }

    /// Everything in it; written to the disk first, so that the disk is the engine's alone when the clock runs.
    pub(crate) fn map(&self) -> Result<Mapped, Failure> {
        let synced = self.file.sync_data();
        synced.map_err(|error| Failure::at(&self.path, format_args!("expected to sync it, found: {error}")))?;
        Mapped::new(&self.file, &self.path)
    }
}
