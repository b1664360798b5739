//! The limits of a log, and what it says of itself.

use super::error::OpenError;
use super::frame::{Hash, PAGE_BYTES};
use super::recovery::TornTail;

/// The limits of a log. None of them changes what a record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogConfig {
    /// Size of each segment file. In [64 KiB, 4 GiB], a multiple of 4 KiB; fixed when the ledger is created, ignored
    /// later.
    pub(crate) segment_bytes: u64,
    /// Zeros kept ready for segments to come, in whole segments. In [0, 2^40].
    pub(crate) reserve_bytes: u64,
    /// What a committer should put into one group at most. In [4 KiB, 1 GiB].
    pub(crate) group_bytes_max: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_bytes: 256 << 20, reserve_bytes: 256 << 20, group_bytes_max: 1 << 20 }
    }
}

impl LogConfig {
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let wrong = |name, expected: &str, found: u64| {
            Err(OpenError::Config { name, expected: expected.into(), found: found.to_string() })
        };
        let Self { segment_bytes, reserve_bytes, group_bytes_max } = *self;
        if !(64 << 10..=4 << 30).contains(&segment_bytes) || !segment_bytes.is_multiple_of(PAGE_BYTES as u64) {
            return wrong("segment_bytes", "in [64 KiB, 4 GiB] and a multiple of 4 KiB", segment_bytes);
        }
        if reserve_bytes > 1 << 40 {
            return wrong("reserve_bytes", "in [0, 2^40]", reserve_bytes);
        }
        if !(4 << 10..=1 << 30).contains(&group_bytes_max) {
            return wrong("group_bytes_max", "in [4 KiB, 1 GiB]", group_bytes_max as u64);
        }
        Ok(())
    }
}

/// What opening has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Height of the last record, 0 if there is none.
    pub(crate) height: u64,
    /// Hash of the last record, the ledger id if there is none.
    pub(crate) hash: Hash,
    pub(crate) records: u64,
    /// Bytes of their frames.
    pub(crate) bytes: u64,
    /// What was cut off.
    pub(crate) torn: Option<TornTail>,
    /// Zeros ready for segments to come; less than configured if the disk is full.
    pub(crate) reserve_bytes: u64,
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogCounters {
    pub(crate) records: u64,
    /// Bytes of their frames.
    pub(crate) bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) seals: u64,
    pub(crate) rolls: u64,
    /// Rolls that found the reserve empty, and zero-filled a segment beside the commits.
    pub(crate) reserve_misses: u64,
}
