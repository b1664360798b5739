//! Files mapped for reading: the only place of this crate with `unsafe`.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature; the argument stands at the block")]

use crate::failure::Failure;
use memmap2::Mmap;
use std::fs::File;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file, mapped.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps a whole file as long as it is now.
    pub(crate) fn new(file: &File, path: &Path) -> Result<Self, Failure> {
        // SAFETY: the map is read-only. What must not happen is that the file is cut short while it is mapped: the spool of a run
        // is a file without a name that only this process has, and only grows; a load file named by the user is opened for
        // reading, and whoever truncates it meanwhile gets a bus error that ends this process, never a wrong read of other
        // memory. Bytes that change under the map are decoded with bounds checked on every access, so they give errors.
        let map = unsafe { Mmap::map(file) };
        map.map(Self).map_err(|error| Failure::at(path, format_args!("expected to map the file, found: {error}")))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
