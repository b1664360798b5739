//! The log by itself, for benchmarks: one block after the other, each durable before the next.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::frame::{FrameBuilder, Hash, META_BYTES, Sealed};
use super::{LogConfig, OsStorage, SegmentLog, scan_from};

/// Anything that can go wrong while measuring.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A log in a directory, and the block that it will append next.
pub struct MeasuredLog {
    /// Nothing after a failure.
    log: Option<SegmentLog<OsStorage>>,
    buffer: Vec<u8>,
    next: Vec<Sealed>,
    tip: (u64, Hash),
}

impl std::fmt::Debug for MeasuredLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeasuredLog(height {})", self.tip.0)
    }
}

impl MeasuredLog {
    /// Creates a log with segments of this size, and one in reserve.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn create(directory: &Path, segment_bytes: u64) -> Result<Self, Failure> {
        let config = LogConfig { segment_bytes, reserve_bytes: segment_bytes, ..LogConfig::default() };
        let id = [1; 32];
        let log = SegmentLog::create(OsStorage, directory, id, b"", config)?;
        Ok(Self { log: Some(log), buffer: Vec::new(), next: Vec::new(), tip: (0, id) })
    }

    /// Makes the block that [`MeasuredLog::commit`] will write: what other threads do in an engine.
    ///
    /// # Errors
    /// If the body is too long, or the log has failed.
    pub fn prepare(&mut self, body: &[u8]) -> Result<(), Failure> {
        let log = self.log.as_mut().ok_or("the log has failed")?;
        // Keeps the reserve full and the directory small.
        log.retirer().retire(self.tip.0, None)?;
        log.fill_reserve(u64::MAX)?;
        let mut builder = FrameBuilder::with_buffer(std::mem::take(&mut self.buffer), log.body_bytes_max());
        builder.extend(body)?;
        let height = self.tip.0.checked_add(1).ok_or("too many blocks")?;
        let frame = builder.seal(height, self.tip.1, &[0; META_BYTES]);
        self.tip = (height, *frame.hash());
        self.next.push(frame);
        Ok(())
    }

    /// Appends the prepared block and makes it durable.
    ///
    /// # Errors
    /// Those of the disk; then the log is gone.
    pub fn commit(&mut self) -> Result<(), Failure> {
        let log = self.log.take().ok_or("the log has failed")?;
        self.log = Some(log.append(&mut self.next)?.sync()?);
        Ok(())
    }

    /// Takes the committed block's buffer back for the next.
    pub fn recycle(&mut self) {
        self.buffer = self.next.pop().map(Sealed::into_buffer).unwrap_or_default();
        self.next.clear();
    }

    /// The height up to which readers see blocks.
    pub fn watermark(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.shared.watermark.load(Ordering::Acquire))
    }

    /// Reads all durable blocks that are retained through the maps, each checked; gives the bytes of their bodies.
    ///
    /// # Errors
    /// If one is not as it was written.
    pub fn read_all(&self) -> Result<u64, Failure> {
        let reader = self.log.as_ref().ok_or("the log has failed")?.reader();
        let mut bytes = 0_u64;
        for record in reader.records_from(reader.first_height()) {
            bytes = bytes.saturating_add(record?.body().len() as u64);
        }
        Ok(bytes)
    }

    /// Checks a whole log from the medium, as `verify` does; gives the bytes of its frames.
    ///
    /// # Errors
    /// If anything in it is not as it was written.
    pub fn verify(directory: &Path) -> Result<u64, Failure> {
        Ok(scan_from(&OsStorage, directory, None, &mut |_| Ok(()))?.bytes)
    }
}
