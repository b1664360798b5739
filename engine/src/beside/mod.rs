//! What grows beside the log and can be made again from it: a file for each full segment (`pages.rs`), and who sees to it that they are there.

mod pages;

pub(crate) use pages::{CONTENT_BYTES, Kind, Origin, PAGE_BYTES, Page, PagedFile, Unreadable};

use crate::error::ReadError;
use crate::log::{LogReader, Storage};
use crate::query::StoredBlock;
use crate::types::Height;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It rests so many times as long as it works, when nobody waits for it, so that it takes an eighth of a core from those who are waited
/// for; and no longer than this.
const REST: u32 = 7;
const REST_MAX: Duration = Duration::from_millis(50);
/// How often the thread looks whether a segment is full.
const LOOK: Duration = Duration::from_millis(200);

/// A full segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub segment: u32,
    pub first: u64,
    pub last: u64,
}

/// The files of one kind beside one ledger's log.
pub(crate) struct Beside<S: Storage> {
    pub storage: Arc<S>,
    pub directory: PathBuf,
    pub ledger: [u8; 32],
    pub reader: LogReader,
    pub kind: Kind,
}

impl<S: Storage> Beside<S> {
    /// The thread: calls whenever a segment has filled, until the engine closes.
    pub(crate) fn watch(&self, closing: &AtomicBool, mut follow: impl FnMut()) {
        let mut seen = usize::MAX;
        while !closing.load(Ordering::Relaxed) && !self.reader.is_closed() {
            let full = self.full().len();
            if full != seen {
                follow();
                seen = full;
            }
            self.reader.wait_beyond(u64::MAX, LOOK);
        }
    }

    /// Rests after some work that nobody waits for.
    pub(crate) fn rest(took: Duration) {
        std::thread::sleep(took.saturating_mul(REST).min(REST_MAX));
    }

    /// The full segments, ascending; one without a block has nothing to be kept.
    pub(crate) fn full(&self) -> Vec<Full> {
        let segments = self.reader.segments();
        let ends = segments.iter().skip(1);
        let full = |(&(segment, first), &(_, next)): (&(u32, u64), &(u32, u64))| Full {
            segment,
            first,
            last: next.saturating_sub(1),
        };
        segments.iter().zip(ends).map(full).filter(|full| full.first <= full.last).collect()
    }

    /// The full segments of which there is nothing yet. What there is of segments that are gone is forgotten, files and all.
    pub(crate) fn missing<R>(&self, runs: &mut BTreeMap<u32, R>) -> Vec<Full> {
        let mut all = self.full();
        let gone: Vec<u32> = runs.keys().copied().filter(|id| all.iter().all(|full| full.segment != *id)).collect();
        for segment in gone {
            runs.remove(&segment);
            // It may have gone with its segment.
            let _ = self.storage.unlink(&self.directory.join(self.kind.file_name(segment)));
        }
        all.retain(|full| !runs.contains_key(&full.segment));
        all
    }

    /// What the file of a full segment says it is of.
    pub(crate) fn origin(&self, full: Full) -> Result<Origin, ReadError> {
        let Full { segment, first, last } = full;
        let hash = self.stored(last)?.hash().0;
        Ok(Origin { ledger: self.ledger, segment, first, last, hash })
    }

    /// A block of the log.
    pub(crate) fn stored(&self, height: u64) -> Result<StoredBlock, ReadError> {
        let failed = |reason: String| ReadError { height: Height(height), reason };
        let record = self.reader.read(height).map_err(|error| failed(error.to_string()))?;
        Ok(StoredBlock::new(record.ok_or_else(|| failed("expected a block, found none".to_owned()))?))
    }
}
