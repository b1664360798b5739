//! Recovery: from the files of a directory to the records that are in them, or to the first place that is wrong.
//!
//! # The rule
//!
//! Segments are walked in the order of their ids, frames in the order of their offsets. A frame is good if its header
//! passes its checksum, names this segment, an epoch not below the one before, the next height and the hash of the
//! record before, and if the body has the hash that the header says and zeros behind it.
//!
//! At the first place that is not good, with height *h* expected:
//!
//! 1. A whole header that does not belong there was put there by no crash: **refuse**.
//! 2. A later segment exists: its header proves that *h* was durable, or that nothing but the continued mark was to
//!    follow here: **refuse**, unless only that mark is missing, behind it are zeros, and the next segment is the last and
//!    blank: then the crash came between the two, and the mark is written again.
//! 3. Otherwise look at every page from there to the end of the segment. A whole frame header there whose watermark is
//!    *h* or above proves that *h* was durable: **refuse**. So does the very record *h* in another place.
//! 4. Otherwise the rest was never acknowledged: a **torn tail**. It is zeroed, durably, and the epoch is raised.
//!
//! Opening from a checkpoint, of the records up to its own the headers alone are read: they carry the chain, and their bodies are in
//! the checkpoint. Whoever reads such a body later checks it then.
//!
//! What is read is what is on the medium: the directory and each file are synced first, then the file is dropped from
//! the cache, then read with `pread`, so that an error is an error and not a signal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::{Headers, headers};
use super::error::{Damage, DiskError, OpenError, VisitError};
use super::frame::{
    FRAME_HEADER_BYTES, FrameHeader, Hash, HeaderFault, Kind, PAGE_BYTES, RecordHeader, SaltedCrc, frame_bytes,
    is_blank,
};
use super::ledger::Ledger;
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name};
use super::storage::{Access, Planted, Storage, write_all_at};

/// Bytes asked of the disk at once.
const READ_BYTES: u64 = 1 << 20;
/// The same where headers alone are read.
const SKIM_BYTES: u64 = 1 << 16;
/// Bytes announced to the disk behind them.
const READ_AHEAD_BYTES: u64 = 4 << 20;
const PAGE: u64 = PAGE_BYTES as u64;

/// A record that has passed every check, as a visitor sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'a> {
    pub(crate) header: &'a RecordHeader,
    pub(crate) body: &'a [u8],
    pub(crate) hash: &'a Hash,
    /// The file it is in.
    pub(crate) file: &'a str,
    /// Where its frame begins in the file.
    pub(crate) offset: u64,
}

/// What a visitor of records is.
pub(crate) type Visit<'a> = dyn FnMut(RecordRef<'_>) -> Result<(), VisitError> + 'a;

/// A record that the caller knows to have been durable, and from which it goes on: that of its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) height: u64,
    pub(crate) hash: Hash,
}

impl Checkpoint {
    /// Compares with what the log has at that height.
    fn check(&self, height: u64, hash: &Hash) -> Result<(), OpenError> {
        if height != self.height || *hash == self.hash {
            return Ok(());
        }
        Err(OpenError::Checkpoint { height, expected: hex(&self.hash), found: hex(hash) })
    }
}

/// The end of a log that was written but never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TornTail {
    pub(crate) file: String,
    pub(crate) offset: u64,
    /// From the offset to the end of the last page that is not blank.
    pub(crate) bytes: u64,
    /// What was found at the offset.
    pub(crate) found: String,
}

/// What the walk over a log has found.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) height: u64,
    pub(super) hash: Hash,
    /// The highest epoch seen.
    pub(super) epoch: u32,
    pub(super) records: u64,
    /// Bytes of their frames.
    pub(super) bytes: u64,
    pub(super) segments: Vec<Arc<Segment>>,
    /// Where the next frame goes in the last segment.
    pub(super) end: u64,
    /// The last frame is a seal, or there is nothing to seal.
    pub(super) sealed: bool,
    /// The segment before the last, if a crash has kept it from getting its continued mark.
    pub(super) unmarked: Option<Unmarked>,
    pub(super) torn: Option<TornTail>,
    /// What has to be zeroed in the last segment: offset and length.
    dirty: Vec<(u64, u64)>,
}

/// What the continued mark says that is missing, and where.
#[derive(Debug)]
pub(super) struct Unmarked {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) epoch: u32,
    pub(super) height: u64,
    pub(super) hash: Hash,
    /// What is in its place.
    found: String,
}

/// Whether files are made ready for writing, or only looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Open,
    Look,
    /// Like `Open`, but segments behind the first bad header are as good as gone.
    Repair,
}

/// What is wrong with a place.
struct Finding {
    offset: u64,
    /// A whole header that does not belong here; not the work of a crash.
    foreign: bool,
    expected: String,
    found: String,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, and the large one is the usual one")]
enum Found {
    Record { record: RecordHeader, hash: Hash, body_bytes: u32, frame_bytes: u64, epoch: u32 },
    Mark { kind: Kind, epoch: u32 },
    Bad(Finding),
}

/// Goes over all segments, or those that are needed from a checkpoint on. See the module for the rule.
pub(super) fn walk<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    purpose: Purpose,
    from: Option<Checkpoint>,
    visit: &mut Visit<'_>,
) -> Result<Walked, OpenError> {
    let from = from.unwrap_or(Checkpoint { height: 0, hash: ledger.id });
    let Headers { retained, needed } = headers(storage, directory, ledger, purpose, &from)?;
    let crc = ledger.salted_crc();
    let mut walked = Walked {
        height: 0,
        hash: ledger.id,
        epoch: 1,
        records: 0,
        bytes: 0,
        segments: Vec::with_capacity(retained.len().saturating_add(needed.len())),
        end: SEGMENT_HEADER_BYTES,
        sealed: true,
        unmarked: None,
        torn: None,
        dirty: Vec::new(),
    };
    for header in &retained {
        let segment = Segment::new(header.id, header.first_height, ledger.segment_bytes);
        walked.segments.push(Arc::new(segment));
    }
    if let Some(first) = needed.first().filter(|first| first.first_height > 1) {
        // What came before is vouched for by the checkpoint, once its record has been seen.
        (walked.height, walked.hash, walked.epoch) =
            (first.first_height.saturating_sub(1), first.previous, first.epoch);
    }
    from.check(walked.height, &walked.hash)?;
    let mut visit_above = |record: RecordRef<'_>| {
        if record.header.height > from.height {
            let height = record.header.height;
            return visit(record).map_err(|source| OpenError::Visit { height, source });
        }
        from.check(record.header.height, record.hash)
    };
    let mut window = Vec::new();
    for (position, header) in needed.iter().enumerate() {
        check_join(header, &walked)?;
        walked.epoch = header.epoch;
        // A segment's header says how far the log was durable, just as a seal does.
        walked.sealed = true;
        let segment = Arc::new(Segment::new(header.id, header.first_height, 0));
        let mut reader = Reader::open(storage, directory, header, crc, window)?;
        // Whoever only looks wants to see everything.
        reader.skim_to = if purpose == Purpose::Open { from.height } else { 0 };
        let unmarked = walked.unmarked.take();
        let stop = walk_segment(&mut reader, &mut walked, &segment, &mut visit_above)?;
        match needed.get(position + 1) {
            Some(next) => close_segment(&mut reader, &mut walked, stop, next)?,
            None => end_of_log(&mut reader, &mut walked, stop)?,
        }
        if let Some(unmarked) = unmarked {
            let blank = walked.end == SEGMENT_HEADER_BYTES && walked.torn.is_none();
            check_unmarked(&unmarked, blank, &reader.name)?;
            walked.unmarked = Some(unmarked);
        }
        segment.set_durable(walked.end);
        walked.segments.push(segment);
        window = reader.window;
    }
    if walked.height < from.height {
        let found = format!("a log that ends at height {}", walked.height);
        return Err(OpenError::Checkpoint { height: from.height, expected: hex(&from.hash), found });
    }
    Ok(walked)
}

/// A segment must go on where the one before has ended.
fn check_join(header: &SegmentHeader, walked: &Walked) -> Result<(), OpenError> {
    let next = walked.height.saturating_add(1);
    let damage = |expected: String, found: String| {
        Err(Damage { file: segment_name(header.id), offset: 0, height: next, expected, found }.into())
    };
    if header.first_height != next {
        return damage(format!("the first height {next}"), format!("the first height {}", header.first_height));
    }
    if header.previous != walked.hash {
        return damage(format!("the previous hash {}", hex(&walked.hash)), hex(&header.previous));
    }
    if header.epoch < walked.epoch {
        return damage(format!("an epoch not below {}", walked.epoch), format!("the epoch {}", header.epoch));
    }
    Ok(())
}

/// Goes over the frames of a segment, up to its end, its continued mark, or the first place that is not good.
fn walk_segment<S: Storage>(
    reader: &mut Reader<'_, S>,
    walked: &mut Walked,
    segment: &Segment,
    visit: &mut dyn FnMut(RecordRef<'_>) -> Result<(), OpenError>,
) -> Result<Option<Finding>, OpenError> {
    walked.end = SEGMENT_HEADER_BYTES;
    while walked.end < reader.segment_bytes {
        match reader.frame_at(walked.end, walked)? {
            Found::Bad(finding) => return Ok(Some(finding)),
            Found::Mark { kind, epoch } => {
                walked.epoch = epoch;
                walked.sealed = true;
                walked.end = walked.end.saturating_add(PAGE);
                if kind == Kind::Continued {
                    return Ok(None);
                }
            }
            Found::Record { record, hash, body_bytes, frame_bytes, epoch } => {
                let offset = walked.end;
                let body_bytes = if record.height > reader.skim_to { body_bytes } else { 0 };
                let body = reader.bytes(offset.saturating_add(FRAME_HEADER_BYTES as u64), body_bytes.into())?;
                segment.note(record.height, offset);
                let height = record.height;
                visit(RecordRef { header: &record, body, hash: &hash, file: &segment.name(), offset })?;
                walked.height = height;
                walked.hash = hash;
                walked.epoch = epoch;
                walked.records = walked.records.saturating_add(1);
                walked.bytes = walked.bytes.saturating_add(frame_bytes);
                walked.sealed = false;
                walked.end = offset.saturating_add(frame_bytes);
            }
        }
    }
    Ok(None)
}

/// A segment that has a successor: everything in it was durable, and there is nothing else in it.
fn close_segment<S: Storage>(
    reader: &mut Reader<'_, S>,
    walked: &mut Walked,
    stop: Option<Finding>,
    next: &SegmentHeader,
) -> Result<(), OpenError> {
    let height = walked.height.saturating_add(1);
    let proof = format!("{} begins at height {}", segment_name(next.id), next.first_height);
    let mut offset = walked.end;
    if let Some(finding) = stop {
        if height < next.first_height || finding.foreign {
            let expected = format!("{} ({proof})", finding.expected);
            let found = finding.found;
            return Err(Damage { file: reader.name.clone(), offset: finding.offset, height, expected, found }.into());
        }
        let Walked { epoch, height, hash, .. } = *walked;
        walked.unmarked = Some(Unmarked { segment: reader.id, offset, epoch, height, hash, found: finding.found });
        offset = offset.saturating_add(PAGE);
    }
    // The join itself is checked when the next segment is.
    while offset < reader.segment_bytes {
        if !is_blank(reader.bytes(offset, PAGE)?) {
            let expected = format!("zeros to the end of the segment ({proof})");
            let found = "other bytes".into();
            return Err(Damage { file: reader.name.clone(), offset, height, expected, found }.into());
        }
        offset = offset.saturating_add(PAGE);
    }
    Ok(())
}

/// The mark of a segment is durable before the first frame of the next is written.
fn check_unmarked(unmarked: &Unmarked, next_is_blank: bool, next: &str) -> Result<(), OpenError> {
    if next_is_blank {
        return Ok(());
    }
    let file = segment_name(unmarked.segment);
    let expected = format!("the mark that the log goes on in {next}, which is not blank");
    let (offset, height, found) = (unmarked.offset, unmarked.height.saturating_add(1), unmarked.found.clone());
    Err(Damage { file, offset, height, expected, found }.into())
}

/// The last segment: tells a hole from a torn tail.
fn end_of_log<S: Storage>(
    reader: &mut Reader<'_, S>,
    walked: &mut Walked,
    stop: Option<Finding>,
) -> Result<(), OpenError> {
    let height = walked.height.saturating_add(1);
    let Some(finding) = stop else {
        // Not stopped by a bad place, so by the end of the segment or by its continued mark.
        if walked.end < reader.segment_bytes || reader.continued {
            let because = format!("{} says that it goes on there", reader.name);
            return Err(OpenError::SegmentMissing { file: segment_name(reader.id.saturating_add(1)), because });
        }
        return Ok(());
    };
    let (file, place) = (reader.name.clone(), finding.offset);
    let damage = |expected: String, found: String| {
        Err(Damage { file: file.clone(), offset: place, height, expected, found }.into())
    };
    if finding.foreign {
        return damage(finding.expected, finding.found);
    }
    let look_ahead = !reader.storage.planted(Planted::NoLookAhead);
    let mut offset = finding.offset;
    while offset < reader.segment_bytes {
        let crc = reader.crc;
        let page = reader.bytes(offset, PAGE)?;
        if !is_blank(page) {
            match walked.dirty.last_mut() {
                Some((start, bytes)) if start.saturating_add(*bytes) == offset => *bytes = bytes.saturating_add(PAGE),
                _ => walked.dirty.push((offset, PAGE)),
            }
            let header = page.first_chunk().and_then(|header| FrameHeader::decode(header, crc).ok());
            if let Some(header) = header.filter(|_| look_ahead) {
                walked.epoch = walked.epoch.max(header.stamp.epoch);
                let watermark = header.stamp.watermark;
                if watermark >= height {
                    let proof = format!("durable by the watermark {watermark} of the frame at offset {offset}");
                    return damage(format!("{}, {proof}", finding.expected), finding.found);
                }
                if header.kind == Kind::Block && header.record.height == height && offset != finding.offset {
                    let found = format!("{}, and that record at offset {offset}", finding.found);
                    return damage(finding.expected, found);
                }
            }
        }
        offset = offset.saturating_add(PAGE);
    }
    if let Some((start, bytes)) = walked.dirty.last() {
        let bytes = start.saturating_add(*bytes).saturating_sub(finding.offset);
        walked.torn = Some(TornTail { file: reader.name.clone(), offset: finding.offset, bytes, found: finding.found });
    }
    Ok(())
}

/// Zeroes a torn tail, durably.
pub(super) fn cut_tail<S: Storage>(storage: &S, file: &S::File, path: &Path, walked: &Walked) -> Result<(), DiskError> {
    if walked.dirty.is_empty() || storage.planted(Planted::TailLeft) {
        return Ok(());
    }
    let zeros = vec![0; 1 << 16];
    for (start, bytes) in &walked.dirty {
        let end = start.saturating_add(*bytes);
        for offset in (*start..end).step_by(zeros.len()) {
            let length = usize::try_from(end - offset).unwrap_or(usize::MAX).min(zeros.len());
            write_all_at(storage, file, &zeros[..length], offset).map_err(DiskError::on(
                "zero the torn tail",
                path,
                Some(offset),
            ))?;
        }
    }
    if storage.planted(Planted::TailNotSynced) {
        return Ok(());
    }
    storage.fdatasync(file).map_err(DiskError::on("sync the zeroed tail", path, None))
}

/// Reads a segment through a window that moves forward.
struct Reader<'s, S: Storage> {
    storage: &'s S,
    file: S::File,
    path: PathBuf,
    name: String,
    id: u32,
    segment_bytes: u64,
    crc: SaltedCrc,
    /// A continued mark was the last frame read.
    continued: bool,
    /// Of records up to this height the headers alone are read.
    skim_to: u64,
    /// The last record's body wasn't read.
    skims: bool,
    window: Vec<u8>,
    window_offset: u64,
    window_bytes: usize,
}

impl<'s, S: Storage> Reader<'s, S> {
    fn open(
        storage: &'s S,
        directory: &Path,
        header: &SegmentHeader,
        crc: SaltedCrc,
        window: Vec<u8>,
    ) -> Result<Self, DiskError> {
        let name = segment_name(header.id);
        let path = directory.join(&name);
        let file = storage.open(&path, Access::Read).map_err(DiskError::on("open the file", &path, None))?;
        Ok(Self {
            storage,
            file,
            path,
            name,
            id: header.id,
            segment_bytes: header.segment_bytes,
            crc,
            continued: false,
            skim_to: 0,
            skims: false,
            window,
            window_offset: 0,
            window_bytes: 0,
        })
    }

    /// Bytes of the segment. The range must be within it.
    fn bytes(&mut self, offset: u64, bytes: u64) -> Result<&[u8], DiskError> {
        debug_assert!(offset.checked_add(bytes).is_some_and(|end| end <= self.segment_bytes));
        let too_large = |_| DiskError {
            action: "hold a frame in memory",
            file: self.path.clone(),
            offset: Some(offset),
            source: std::io::ErrorKind::OutOfMemory.into(),
        };
        let length = usize::try_from(bytes).map_err(too_large)?;
        let held = offset.checked_sub(self.window_offset).and_then(|start| usize::try_from(start).ok());
        let held = held.filter(|start| *start <= self.window_bytes);
        if let Some(start) = held.filter(|start| start.checked_add(length).is_some_and(|end| end <= self.window_bytes))
        {
            return Ok(&self.window[start..start + length]);
        }
        let unit = if self.skims { SKIM_BYTES } else { READ_BYTES };
        let wanted = bytes.max(unit).min(self.segment_bytes.saturating_sub(offset));
        let wanted = usize::try_from(wanted).map_err(too_large)?;
        let kept = match held {
            Some(start) => {
                self.window.copy_within(start..self.window_bytes, 0);
                (self.window_bytes - start).min(wanted)
            }
            None => 0,
        };
        if self.window.len() < wanted {
            self.window.resize(wanted, 0);
        }
        (self.window_offset, self.window_bytes) = (offset, kept);
        let from = offset.saturating_add(kept as u64);
        self.storage.pread_exact(&self.file, &mut self.window[kept..wanted], from).map_err(DiskError::on(
            "read",
            &self.path,
            Some(from),
        ))?;
        self.window_bytes = wanted;
        if !self.skims {
            // While this window is checked, the next is on its way.
            self.storage.read_ahead(&self.file, offset.saturating_add(wanted as u64), READ_AHEAD_BYTES);
        }
        Ok(&self.window[..length])
    }

    /// The frame at an offset, checked against everything that came before it.
    fn frame_at(&mut self, offset: u64, walked: &Walked) -> Result<Found, DiskError> {
        let (crc, id) = (self.crc, self.id);
        let height = walked.height.saturating_add(1);
        let bad = |foreign: bool, expected: String, found: String| {
            Ok(Found::Bad(Finding { offset, foreign, expected, found }))
        };
        let record_expected = || format!("the record of height {height}");
        let page = self.bytes(offset, PAGE)?;
        let header = match page.first_chunk().map(|header| FrameHeader::decode(header, crc)) {
            Some(Ok(header)) => header,
            Some(Err(fault)) => {
                let foreign = matches!(fault, HeaderFault::Unknown { .. });
                return bad(foreign, record_expected(), fault.to_string());
            }
            None => return bad(false, record_expected(), "less than a page".into()),
        };
        let FrameHeader { kind, body_bytes, stamp, record } = header;
        if stamp.segment != id {
            return bad(true, format!("a frame of segment {id}"), format!("one of segment {}", stamp.segment));
        }
        if stamp.epoch < walked.epoch {
            let found = format!("one of epoch {}", stamp.epoch);
            return bad(true, format!("a frame of an epoch not below {}", walked.epoch), found);
        }
        if kind != Kind::Block {
            if (record.height, record.previous) != (walked.height, walked.hash) {
                let found = format!("a seal of height {} and hash {}", record.height, hex(&record.previous));
                let expected = format!("a seal of height {} and hash {}", walked.height, hex(&walked.hash));
                return bad(true, expected, found);
            }
            if !is_blank(&page[FRAME_HEADER_BYTES..]) {
                return bad(false, "zeros behind a seal".into(), "other bytes".into());
            }
            self.continued = kind == Kind::Continued;
            return Ok(Found::Mark { kind, epoch: stamp.epoch });
        }
        if record.height != height {
            return bad(true, record_expected(), format!("the record of height {}", record.height));
        }
        if record.previous != walked.hash && !self.storage.planted(Planted::NoChain) {
            let expected = format!("{} after {}", record_expected(), hex(&walked.hash));
            return bad(true, expected, format!("one after {}", hex(&record.previous)));
        }
        let frame_bytes = frame_bytes(body_bytes.into());
        if frame_bytes > self.segment_bytes.saturating_sub(offset) {
            let found = format!("a body of {body_bytes} bytes, beyond the segment's end");
            return bad(true, record_expected(), found);
        }
        self.skims = height <= self.skim_to;
        if self.skims {
            return Ok(Found::Record { record, hash: record.hash(), body_bytes, frame_bytes, epoch: stamp.epoch });
        }
        let check_body = !self.storage.planted(Planted::NoBodyHash);
        let frame = self.bytes(offset, frame_bytes)?;
        let (body, padding) = frame[FRAME_HEADER_BYTES..].split_at(body_bytes as usize);
        if check_body && *blake3::hash(body).as_bytes() != record.body_hash {
            let expected = format!("{} with a body of the hash {}", record_expected(), hex(&record.body_hash));
            return bad(false, expected, format!("the hash {}", blake3::hash(body)));
        }
        if check_body && !is_blank(padding) {
            return bad(false, format!("{} with zeros behind its body", record_expected()), "other bytes".into());
        }
        Ok(Found::Record { record, hash: record.hash(), body_bytes, frame_bytes, epoch: stamp.epoch })
    }
}

/// Sixteen bytes' worth of a hash's digits are enough to tell two apart, all are given.
pub(super) fn hex(hash: &Hash) -> String {
    blake3::Hash::from(*hash).to_string()
}
