//! Writing: append, sync, seal, roll, retire.

use std::io::IoSlice;
use std::sync::Arc;

use super::create::begin_segment;
use super::error::{DiskError, LogFailure};
use super::frame::{BodyTooLarge, Kind, PAGE_BYTES, Sealed, Stamp, seal_page};
use super::retire::Retirer;
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use super::storage::{Planted, Storage, write_all_at};
use super::{SegmentLog, TAIL_BYTES, WRITEBACK_BYTES};

/// The kernel takes at most so many buffers in one call.
const BUFFERS_MAX: usize = 1024;
const PAGE: u64 = PAGE_BYTES as u64;

impl<S: Storage> SegmentLog<S> {
    /// Appends a group of records; they are durable after the next [`SegmentLog::sync`], not before.
    ///
    /// The heights must go on from that of the last record. Rolls into new segments as needed, which syncs what came before.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: the log has stopped.
    pub(crate) fn append(mut self, frames: &mut [Sealed]) -> Result<Self, LogFailure> {
        self.check_group(frames)?;

        let mut rest = frames;
        while !rest.is_empty() {
            let mut end = self.end;
            let room = self.ledger.segment_bytes.saturating_sub(TAIL_BYTES);
            let fitting = rest
                .iter()
                .take_while(|frame| {
                    end = end.saturating_add(frame.bytes().len() as u64);
                    end <= room
                })
                .count();
            let (run, later) = rest.split_at_mut(fitting);
            self.write_run(run)?;
            rest = later;
            if !rest.is_empty() {
                self.roll()?;
            }
        }
        Ok(self)
    }

    /// Every record follows the one before, and each fits into a segment.
    fn check_group(&self, frames: &[Sealed]) -> Result<(), LogFailure> {
        let bytes_max = self.body_bytes_max();
        let (mut height, mut hash) = (self.height, &self.hash);
        for frame in frames {
            let height_expected = height.saturating_add(1);
            if frame.height() != height_expected || frame.previous() != hash {
                return Err(LogFailure::OutOfOrder { height_expected, height_found: frame.height() });
            }
            let bytes = frame.body().len() as u64;
            if bytes > u64::from(bytes_max) {
                return Err(BodyTooLarge { bytes, bytes_max: bytes_max.into() }.into());
            }
            (height, hash) = (frame.height(), frame.hash());
        }
        Ok(())
    }

    /// Stamps and writes frames that fit into the segment.
    fn write_run(&mut self, run: &mut [Sealed]) -> Result<(), LogFailure> {
        let stamp = self.stamp();
        for frame in run.iter_mut() {
            frame.stamp(stamp, self.crc);
        }
        let Some(last) = run.last() else { return Ok(()) };
        assert!(self.segment.writable_at(self.end), "a frame was to be written over durable bytes");
        let begin = self.end;
        self.write_group(run.iter().map(Sealed::bytes), begin)?;

        for frame in run.iter() {
            self.segment.note(frame.height(), self.end);
            let bytes = frame.bytes().len() as u64;
            self.end = self.end.saturating_add(bytes);
            self.counters.records = self.counters.records.saturating_add(1);
            self.counters.bytes = self.counters.bytes.saturating_add(bytes);
        }
        (self.height, self.hash) = (last.height(), *last.hash());
        (self.unsynced, self.sealed) = (true, false);
        if self.storage.planted(Planted::AcknowledgedEarly) {
            self.shared.publish(self.height);
        }
        Ok(())
    }

    /// Writes buffers one behind the other, in chunks if they are large.
    fn write_group<'a>(&self, buffers: impl Iterator<Item = &'a [u8]>, begin: u64) -> Result<(), DiskError> {
        let mut buffers = buffers.peekable();
        let (mut offset, mut rest): (u64, &[u8]) = (begin, &[]);
        let mut slices = Vec::new();
        while !rest.is_empty() || buffers.peek().is_some() {
            let mut chunk_bytes = 0;
            slices.clear();
            while chunk_bytes < WRITEBACK_BYTES && slices.len() < BUFFERS_MAX {
                if rest.is_empty() {
                    let Some(next) = buffers.next() else { break };
                    rest = next;
                }
                let (now, later) = rest.split_at(rest.len().min(WRITEBACK_BYTES - chunk_bytes));
                slices.push(IoSlice::new(now));
                chunk_bytes = chunk_bytes.saturating_add(now.len());
                rest = later;
            }
            self.write_slices(&mut slices, offset)?;
            let written = chunk_bytes as u64;
            if !rest.is_empty() || buffers.peek().is_some() {
                let started = self.storage.start_writeback(&self.file, offset, written);
                started.map_err(|source| self.failed("start to write", Some(offset), source))?;
            }
            offset = offset.saturating_add(written);
        }
        Ok(())
    }

    fn write_slices(&self, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> Result<(), DiskError> {
        while !slices.is_empty() {
            let written = match self.storage.pwritev(&self.file, slices, offset) {
                Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(0),
                other => other,
            };
            let written = written.map_err(|source| self.failed("append", Some(offset), source))?;
            IoSlice::advance_slices(&mut slices, written);
            offset = offset.saturating_add(written as u64);
        }
        Ok(())
    }

    /// Makes everything appended durable, and lets readers see it.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: the log has stopped. Which of the records since the last sync are durable, the next opening tells.
    pub(crate) fn sync(mut self) -> Result<Self, LogFailure> {
        self.sync_segment()?;
        Ok(self)
    }

    fn sync_segment(&mut self) -> Result<(), LogFailure> {
        if !self.unsynced {
            return Ok(());
        }
        if !self.storage.planted(Planted::NoSync) {
            let mut synced = self.storage.fdatasync(&self.file);
            if synced.is_err() && self.storage.planted(Planted::SyncRetried) {
                synced = self.storage.fdatasync(&self.file);
            }
            synced.map_err(|source| self.failed("sync", None, source))?;
        }
        self.counters.syncs = self.counters.syncs.saturating_add(1);
        self.unsynced = false;
        self.watermark = self.height;
        self.segment.set_durable(self.end);
        self.shared.publish(self.watermark);
        Ok(())
    }

    /// Ends a busy time with a seal, so that rot in the last records can be told from a torn write. Syncs; costs nothing
    /// if the log is sealed.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: the log has stopped.
    pub(crate) fn seal(mut self) -> Result<Self, LogFailure> {
        self.sync_segment()?;
        if self.sealed {
            return Ok(self);
        }
        let after = self.end.saturating_add(PAGE);
        if after > self.ledger.segment_bytes.saturating_sub(PAGE) {
            // No room beside the continued mark: the header of the next segment says the same.
            self.roll()?;
            return Ok(self);
        }
        let page = seal_page(Kind::Seal, self.height, self.hash, self.stamp(), self.crc);
        assert!(self.segment.writable_at(self.end), "a seal was to be written over durable bytes");
        write_all_at(&*self.storage, &self.file, &page, self.end)
            .map_err(|source| self.failed("write a seal", Some(self.end), source))?;
        self.storage.fdatasync(&self.file).map_err(|source| self.failed("sync a seal", None, source))?;
        self.end = after;
        self.segment.set_durable(after);
        self.sealed = true;
        self.counters.seals = self.counters.seals.saturating_add(1);
        Ok(self)
    }

    /// Seals the log and gives the directory back.
    ///
    /// # Errors
    ///
    /// [`LogFailure`]: what was synced before is durable all the same.
    pub(crate) fn close(self) -> Result<(), LogFailure> {
        self.seal().map(drop)
    }

    /// Writes at most `bytes` zeros towards the configured reserve, for a time when nobody waits; true when it is full.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; no record is touched, and the log goes on until the segments it has are full.
    pub(crate) fn fill_reserve(&mut self, bytes: u64) -> Result<bool, DiskError> {
        self.pool.fill(&self.storage, self.config.reserve_bytes, bytes)
    }

    /// Retires segments of this log, on any thread.
    pub(crate) fn retirer(&self) -> Retirer<S> {
        let (storage, shared) = (Arc::clone(&self.storage), Arc::clone(&self.shared));
        Retirer { storage, directory: self.directory.clone(), shared }
    }

    /// Whether the crash harness planted this mistake.
    pub(crate) fn planted(&self, mistake: Planted) -> bool {
        self.storage.planted(mistake)
    }

    fn stamp(&self) -> Stamp {
        let watermark = if self.storage.planted(Planted::NoWatermark) { 0 } else { self.watermark };
        Stamp { segment: self.segment.id, epoch: self.epoch, watermark }
    }

    /// Ends the segment and begins the next: sync, new header, new name, mark.
    fn roll(&mut self) -> Result<(), LogFailure> {
        if !self.storage.planted(Planted::NoSyncAtRoll) {
            self.sync_segment()?;
        }
        let id = self.segment.id.checked_add(1).ok_or(LogFailure::Exhausted { what: "the segment id" })?;
        let (blank, made_now) = self.pool.take(&self.storage)?;
        let first_height = self.height.saturating_add(1);
        let header = SegmentHeader {
            id,
            epoch: self.epoch,
            segment_bytes: self.ledger.segment_bytes,
            first_height,
            ledger: self.ledger.id,
            previous: self.hash,
            salt: self.ledger.salt,
        };
        let file = begin_segment(&*self.storage, &self.directory, blank, &header)?;

        let page = seal_page(Kind::Continued, self.height, self.hash, self.stamp(), self.crc);
        write_all_at(&*self.storage, &self.file, &page, self.end)
            .map_err(|source| self.failed("write the continued mark", Some(self.end), source))?;
        self.storage.fdatasync(&self.file).map_err(|source| self.failed("sync the continued mark", None, source))?;
        self.segment.set_durable(self.end.saturating_add(PAGE));

        let segment = Arc::new(Segment::new(id, first_height, SEGMENT_HEADER_BYTES));
        self.shared.segments.write().push(Arc::clone(&segment));
        (self.file, self.segment, self.end, self.sealed) = (file, segment, SEGMENT_HEADER_BYTES, true);
        self.counters.rolls = self.counters.rolls.saturating_add(1);
        self.counters.reserve_misses = self.counters.reserve_misses.saturating_add(u64::from(made_now));
        Ok(())
    }
}
