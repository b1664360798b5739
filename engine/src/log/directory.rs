//! Which segments there are, and what they say of themselves.

use std::path::Path;

use super::error::{Damage, DiskError, OpenError};
use super::frame::{FORMAT, PAGE_BYTES};
use super::ledger::Ledger;
use super::recovery::{Checkpoint, Purpose, hex};
use super::segment::{SegmentHeader, SegmentHeaderFault, segment_id, segment_name};
use super::storage::{Access, Planted, Storage};

/// The segments of a directory, in order and without a gap, each checked by itself.
pub(super) struct Headers {
    /// Wholly below the checkpoint: not walked, but there to be read.
    pub(super) retained: Vec<SegmentHeader>,
    /// From the one on that has the record of the checkpoint. Never empty.
    pub(super) needed: Vec<SegmentHeader>,
}

/// Finds the segments of a directory and reads their headers.
pub(super) fn headers<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    purpose: Purpose,
    from: &Checkpoint,
) -> Result<Headers, OpenError> {
    // A name that a crash could still take away must not be built upon.
    if purpose != Purpose::Look && !storage.planted(Planted::NoDirectorySyncAtOpen) {
        let synced = storage.sync_dir(directory).map_err(DiskError::on("sync the directory", directory, None));
        synced.map_err(|error| OpenError::writing(directory, error))?;
    }
    let names = storage.list(directory).map_err(DiskError::on("list the directory", directory, None))?;
    let mut ids: Vec<u32> = names.iter().filter_map(|name| segment_id(name.to_str()?)).collect();
    ids.sort_unstable();
    let Some(last) = ids.last().copied() else {
        let because = "LEDGER exists, and every ledger has a segment".into();
        return Err(OpenError::SegmentMissing { file: segment_name(1), because });
    };
    let missing = |id: u32| {
        let next = ids.iter().copied().find(|there| *there > id).unwrap_or(last);
        OpenError::SegmentMissing { file: segment_name(id), because: format!("{} exists", segment_name(next)) }
    };
    let there = |id: u32| if ids.binary_search(&id).is_ok() { Ok(id) } else { Err(missing(id)) };
    let mut needed: Vec<SegmentHeader> = Vec::new();
    if from.height == 0 {
        for id in 1..=last {
            match there(id).and_then(|id| segment_header(storage, directory, ledger, purpose, id)) {
                Ok(header) => needed.push(header),
                Err(_) if purpose == Purpose::Repair && id > 1 => break,
                Err(error) => return Err(error),
            }
        }
    } else {
        // From the last one back to the one that has the record of the checkpoint.
        for id in (1..=last).rev() {
            let header = segment_header(storage, directory, ledger, purpose, there(id)?)?;
            let enough = header.first_height <= from.height;
            needed.push(header);
            if enough {
                break;
            }
        }
        needed.reverse();
    }
    let first = needed.first().map_or(last, |header| header.id);
    // Further back, whatever is there without a gap can still be read; what is not is nobody's concern.
    let mut retained: Vec<SegmentHeader> = Vec::new();
    let mut next_height = needed.first().map_or(1, |header| header.first_height);
    for id in (1..first).rev().take_while(|id| ids.binary_search(id).is_ok()) {
        match segment_header(storage, directory, ledger, Purpose::Look, id) {
            Ok(header) if header.first_height < next_height => {
                next_height = header.first_height;
                retained.push(header);
            }
            _ => break,
        }
    }
    retained.reverse();
    Ok(Headers { retained, needed })
}

fn segment_header<S: Storage>(
    storage: &S,
    directory: &Path,
    ledger: &Ledger,
    purpose: Purpose,
    id: u32,
) -> Result<SegmentHeader, OpenError> {
    let name = segment_name(id);
    let path = directory.join(&name);
    let access = if purpose == Purpose::Look { Access::Read } else { Access::ReadWrite };
    let file = storage
        .open(&path, access)
        .map_err(|source| OpenError::writing(directory, DiskError::on("open the file", &path, None)(source)))?;
    let length = storage.length(&file).map_err(DiskError::on("ask for the length", &path, None))?;
    if length != ledger.segment_bytes {
        return Err(OpenError::Length { file: name, expected: ledger.segment_bytes, found: length });
    }
    if purpose != Purpose::Look {
        storage.fdatasync(&file).map_err(DiskError::on("sync before reading", &path, None))?;
    }
    if !storage.planted(Planted::CacheTrusted) {
        storage.drop_cache(&file).map_err(DiskError::on("drop the cache", &path, None))?;
    }
    let mut page = [0; PAGE_BYTES];
    storage.pread_exact(&file, &mut page, 0).map_err(DiskError::on("read", &path, Some(0)))?;
    let damage = |expected: String, found: String| {
        Err(Damage { file: segment_name(id), offset: 0, height: 0, expected, found }.into())
    };
    let header = match SegmentHeader::decode(&page) {
        Ok(header) => header,
        Err(SegmentHeaderFault::NewerFormat(found)) => {
            return Err(OpenError::NewerFormat { file: name, found, supported: FORMAT });
        }
        Err(SegmentHeaderFault::Magic(found)) => {
            return damage("a segment header".into(), format!("the bytes {found:02x?}"));
        }
        Err(SegmentHeaderFault::Checksum) => {
            return damage("a segment header as its checksum says".into(), "another than the checksum covers".into());
        }
    };
    if header.ledger != ledger.id || header.salt != ledger.salt || header.segment_bytes != ledger.segment_bytes {
        return damage(
            format!("a segment of the ledger {} of {} bytes", hex(&ledger.id), ledger.segment_bytes),
            format!("one of the ledger {} of {} bytes", hex(&header.ledger), header.segment_bytes),
        );
    }
    if header.id != id {
        return damage(format!("the segment {id}"), format!("the segment {}: a copy, or two were swapped", header.id));
    }
    Ok(header)
}
