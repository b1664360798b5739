//! Writes a load file: the sections in order, then the header with what they have come to, then the checksum over everything.

use super::format::{CHECKSUM_BYTES, Entry, Header};
use super::map::Mapped;
use super::reader::Load;
use crate::failure::Failure;
use nostro::{Digest, Ledger, Time};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How far the checksum begins before the end.
const CHECKSUM_OFFSET: i64 = 32;
const _: () = assert!(CHECKSUM_OFFSET == 32 && CHECKSUM_BYTES == 32);

/// A load file in the making. Dropped before [`finish`](Self::finish) it leaves nothing.
#[derive(Debug)]
pub(crate) struct LoadWriter {
    file: File,
    path: PathBuf,
    ledger: Ledger,
    header: Header,
    entries: Vec<Entry>,
    finished: bool,
}

impl LoadWriter {
    /// Begins a file that mustn't be there yet.
    pub(crate) fn create(path: &Path, header: Header) -> Result<Self, Failure> {
        let ledger = Ledger::new(&header.ledger).map_err(|error| Failure::Usage(error.to_string()))?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(|error| Failure::at(path, format_args!("expected to create it, found: {error}")))?;
        let mut writer = Self { file, path: path.to_path_buf(), ledger, header, entries: Vec::new(), finished: false };
        let header = writer.header.encode(writer.ledger.id());
        writer.write(&header)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| {
            Failure::at(&self.path, format_args!("expected to write {} bytes, found: {error}", bytes.len()))
        })
    }

    /// Adds transactions of the setup; all of them before the first of the load.
    pub(crate) fn setup(&mut self, bytes: &[u8], count: u64) -> Result<(), Failure> {
        assert!(self.entries.is_empty(), "the setup comes before the load");
        self.write(bytes)?;
        self.header.setup_transactions += count;
        self.header.setup_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Adds transactions of the load, meant for one time.
    pub(crate) fn transactions(
        &mut self,
        bytes: &[u8],
        count: u64,
        due_ns: u64,
        time: Option<Time>,
    ) -> Result<(), Failure> {
        self.write(bytes)?;
        self.header.transactions += count;
        self.header.transaction_bytes += bytes.len() as u64;
        let bytes = bytes.len() as u64;
        match self.entries.last_mut() {
            Some(entry) if entry.due_ns == due_ns && entry.time == time => {
                entry.count += count;
                entry.bytes += bytes;
            }
            _ => self.entries.push(Entry { due_ns, time, count, bytes }),
        }
        Ok(())
    }

    /// Ends the file; gives its header.
    pub(crate) fn finish(mut self) -> Result<Header, Failure> {
        let entries: Vec<u8> = self.entries.iter().flat_map(Entry::encode).collect();
        self.write(&entries)?;
        self.header.times = self.entries.len() as u64;
        self.write(&[0; CHECKSUM_BYTES])?;
        seal(&mut self.file, &self.path, &self.header, &self.ledger)?;
        self.finished = true;
        Ok(self.header.clone())
    }
}

/// Writes the digest that a load leads to into its file; gives its header.
pub(crate) fn stamp(path: &Path, digest: Digest) -> Result<Header, Failure> {
    let header = Header { digest: Some(digest), ..Load::open(path)?.header };
    let ledger = Ledger::new(&header.ledger).map_err(|error| Failure::at(path, error))?;
    let file = OpenOptions::new().read(true).write(true).open(path);
    let mut file = file.map_err(|error| Failure::at(path, format_args!("expected to write it, found: {error}")))?;
    seal(&mut file, path, &header, &ledger)?;
    Ok(header)
}

/// Writes the header over the old one, and the checksum over everything at the end.
fn seal(file: &mut File, path: &Path, header: &Header, ledger: &Ledger) -> Result<(), Failure> {
    let failed = |error| Failure::at(path, format_args!("expected to end the file, found: {error}"));
    let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header.encode(ledger.id())));
    written.map_err(failed)?;
    let checksum = {
        let mapped = Mapped::new(file, path)?;
        let covered = mapped.get(..mapped.len().saturating_sub(CHECKSUM_BYTES)).unwrap_or_default();
        *blake3::Hasher::new().update_rayon(covered).finalize().as_bytes()
    };
    let written = file.seek(SeekFrom::End(-CHECKSUM_OFFSET)).and_then(|_| file.write_all(&checksum));
    written.and_then(|()| file.sync_all()).map_err(failed)
}

impl Drop for LoadWriter {
    fn drop(&mut self) {
        if !self.finished {
            // It is this writer's own file; half a load is of no use to anybody.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
