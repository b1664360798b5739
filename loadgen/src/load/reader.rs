//! Opens a load file: maps it, and believes nothing of it before the checksum is right.

use super::format::{CHECKSUM_BYTES, ENTRY_BYTES, Entry, Header};
use super::map::Mapped;
use crate::failure::Failure;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

/// A load, mapped.
#[derive(Debug)]
pub(crate) struct Load {
    mapped: Mapped,
    pub(crate) header: Header,
    setup: Range<usize>,
    transactions: Range<usize>,
    times: Range<usize>,
}

impl Load {
    /// Opens it. Costs one read of the whole file.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let opened = File::open(path);
        let file = opened.map_err(|error| Failure::at(path, format_args!("expected a load file, found: {error}")))?;
        let mapped = Mapped::new(&file, path)?;
        Self::check(mapped).map_err(|wrong| Failure::at(path, wrong))
    }

    fn check(mapped: Mapped) -> Result<Self, String> {
        let header = Header::decode(&mapped)?;
        let start = header.setup_offset();
        let number = |number: u64| usize::try_from(number).ok();
        let ends = || {
            let setup = start.checked_add(number(header.setup_bytes)?)?;
            let transactions = setup.checked_add(number(header.transaction_bytes)?)?;
            let times = transactions.checked_add(number(header.times)?.checked_mul(ENTRY_BYTES)?)?;
            Some((setup, transactions, times, times.checked_add(CHECKSUM_BYTES)?))
        };
        let impossible = "sizes at byte 56: expected sections that fit into memory, found larger ones";
        let (setup, transactions, times, end) = ends().ok_or(impossible)?;
        if mapped.len() != end {
            let kind = if mapped.len() < end { "cut short" } else { "too long" };
            return Err(format!("the file is {kind}: expected {end} bytes by its header, found {}", mapped.len()));
        }
        let (covered, checksum) = mapped.split_at(times);
        let found = blake3::Hasher::new().update_rayon(covered).finalize();
        if found.as_bytes().as_slice() != checksum {
            let expected = blake3::Hash::from_slice(checksum).map(|hash| hash.to_hex().to_string()).unwrap_or_default();
            return Err(format!(
                "checksum at byte {times}: expected {expected} over the bytes before it, found {}: the file is damaged",
                found.to_hex()
            ));
        }
        let load =
            Self { setup: start..setup, transactions: setup..transactions, times: transactions..times, mapped, header };
        let sum =
            |field: fn(&Entry) -> u64| load.entries().try_fold(0_u64, |sum, entry| sum.checked_add(field(&entry)));
        for (what, expected, found) in [
            ("transactions", load.header.transactions, sum(|entry| entry.count)),
            ("bytes", load.header.transaction_bytes, sum(|entry| entry.bytes)),
        ] {
            if found != Some(expected) {
                let found = found.map_or_else(|| "more than 2^64".to_owned(), |found| found.to_string());
                return Err(format!("times at byte {transactions}: expected {expected} {what} in all, found {found}"));
            }
        }
        Ok(load)
    }

    /// Bytes of all transactions, those of the setup included.
    pub(crate) fn bytes(&self) -> u64 {
        (self.setup().len() + self.transactions().len()) as u64
    }

    /// The transactions of the setup.
    pub(crate) fn setup(&self) -> &[u8] {
        self.mapped.get(self.setup.clone()).unwrap_or_default()
    }

    /// The transactions of the load.
    pub(crate) fn transactions(&self) -> &[u8] {
        self.mapped.get(self.transactions.clone()).unwrap_or_default()
    }

    /// The times of the transactions, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let times = self.mapped.get(self.times.clone()).unwrap_or_default();
        times.as_chunks::<ENTRY_BYTES>().0.iter().map(Entry::decode)
    }

    /// The entries with their transactions.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Entry, &[u8])> {
        let mut rest = self.transactions();
        self.entries().map(move |entry| {
            // The sum of the lengths was checked when the file was opened.
            let length = usize::try_from(entry.bytes).unwrap_or(usize::MAX).min(rest.len());
            let (piece, after) = rest.split_at(length);
            rest = after;
            (entry, piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::{LoadWriter, stamp};
    use super::*;
    use nostro::{Digest, Time};

    fn written(name: &str) -> (std::path::PathBuf, Vec<u8>) {
        let path = std::env::temp_dir().join(format!("nostro-load-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let header = Header::new("test".to_owned(), "a test".to_owned(), 7);
        let mut writer = LoadWriter::create(&path, header).unwrap();
        writer.setup(&[1; 48], 2).unwrap();
        writer.transactions(&[2; 64], 1, 0, None).unwrap();
        writer.transactions(&[3; 64], 1, 0, None).unwrap();
        writer.transactions(&[4; 32], 1, 5, Some(Time(9))).unwrap();
        writer.finish().unwrap();
        stamp(&path, Digest([8; 32])).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        let (path, _) = written("read");
        let load = Load::open(&path).unwrap();
        assert_eq!((load.header.seed, load.header.digest), (7, Some(Digest([8; 32]))));
        assert_eq!(load.setup(), [1; 48]);
        let pieces: Vec<(u64, Option<Time>, u64, usize)> =
            load.pieces().map(|(entry, bytes)| (entry.due_ns, entry.time, entry.count, bytes.len())).collect();
        assert_eq!(pieces, [(0, None, 2, 128), (5, Some(Time(9)), 1, 32)]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn reserved_bytes_are_zero_whatever_the_checksum_says() {
        let (path, bytes) = written("reserved");
        for at in 136..160 {
            let mut odd = bytes.clone();
            odd[at] = 7;
            let covered = odd.len() - CHECKSUM_BYTES;
            let checksum = blake3::hash(&odd[..covered]);
            odd[covered..].copy_from_slice(checksum.as_bytes());
            std::fs::write(&path, &odd).unwrap();
            let Err(Failure::Failed(text)) = Load::open(&path) else { panic!("byte {at}") };
            assert!(text.ends_with(&format!("reserved at byte {at}: expected 0, found 7")), "{text}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn no_byte_can_be_changed_and_none_left_out() {
        let (path, bytes) = written("damage");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            assert!(Load::open(&path).is_err(), "byte {at}");
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(Load::open(&path).is_err(), "length {at}");
        }
        std::fs::remove_file(path).unwrap();
    }
}
