//! The file `LEDGER`: which ledger this directory holds. It gets its name last when a ledger is created, so a directory
//! with it is complete.
//!
//! ```text
//! offset  width
//!      0      4  magic "NLDG"
//!      4      2  format, 1
//!      6      2  length of the genesis bytes, at most 4096
//!      8      8  segment bytes
//!     16     16  salt of the frame checksums: random, known to no client
//!     32     32  ledger id
//!     64      4  CRC-32C of the whole file with this field zero
//!     68      4  reserved, 0
//!     72      …  genesis bytes, opaque to the log
//! ```

use std::path::Path;

use super::error::{Damage, DiskError, OpenError};
use super::frame::{FORMAT, Hash, SaltedCrc, field};
use super::storage::{Access, Storage, write_all_at};

pub(super) const LEDGER_NAME: &str = "LEDGER";
pub(super) const LEDGER_DRAFT_NAME: &str = "LEDGER.tmp";
/// At most so many bytes of genesis.
pub(crate) const GENESIS_BYTES_MAX: usize = 4096;

const MAGIC: [u8; 4] = *b"NLDG";
const HEADER_BYTES: usize = 72;
const CRC_OFFSET: usize = 64;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) id: Hash,
    pub(crate) segment_bytes: u64,
    pub(crate) salt: [u8; 16],
    pub(crate) genesis: Vec<u8>,
}

impl Ledger {
    pub(super) fn salted_crc(&self) -> SaltedCrc {
        SaltedCrc::new(&self.salt)
    }

    /// The file's bytes, or nothing if the genesis is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let genesis_bytes =
            u16::try_from(self.genesis.len()).ok().filter(|_| self.genesis.len() <= GENESIS_BYTES_MAX)?;
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[6..8].copy_from_slice(&genesis_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.segment_bytes.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.salt);
        bytes[32..64].copy_from_slice(&self.id);
        bytes.extend_from_slice(&self.genesis);
        let crc = crc32c::crc32c(&bytes);
        bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        Some(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let damage = |offset: u64, expected: &str, found: String| {
            Damage { file: LEDGER_NAME.into(), offset, height: 0, expected: expected.into(), found }.into()
        };
        let Some((header, genesis)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            let expected = HEADER_BYTES as u64;
            return Err(OpenError::Length { file: LEDGER_NAME.into(), expected, found: bytes.len() as u64 });
        };
        let magic: [u8; 4] = field(header, 0);
        if magic != MAGIC {
            return Err(damage(0, "the bytes \"NLDG\"", format!("{magic:02x?}")));
        }
        let format = u16::from_le_bytes(field(header, 4));
        if format > FORMAT {
            return Err(OpenError::NewerFormat { file: LEDGER_NAME.into(), found: format, supported: FORMAT });
        }
        let genesis_bytes = u16::from_le_bytes(field(header, 6));
        if genesis.len() != usize::from(genesis_bytes) {
            let expected = (HEADER_BYTES as u64).saturating_add(genesis_bytes.into());
            return Err(OpenError::Length { file: LEDGER_NAME.into(), expected, found: bytes.len() as u64 });
        }
        let ledger = Self {
            id: field(header, 32),
            segment_bytes: u64::from_le_bytes(field(header, 8)),
            salt: field(header, 16),
            genesis: genesis.to_vec(),
        };
        // One value has one encoding, so comparing the bytes compares checksum, format and reserved bytes at once.
        if ledger.encode().as_deref() != Some(bytes) {
            let stored = u32::from_le_bytes(field(header, CRC_OFFSET));
            return Err(damage(0, "a file as its checksum says", format!("another than checksum {stored:08x} covers")));
        }
        Ok(ledger)
    }

    /// Reads the file of a directory.
    pub(super) fn read<S: Storage>(storage: &S, directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(LEDGER_NAME);
        let file = match storage.open(&path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(OpenError::NoLedger { directory: directory.to_path_buf() });
            }
            Err(error) => return Err(DiskError::on("open the file", &path, None)(error).into()),
        };
        storage.drop_cache(&file).map_err(DiskError::on("drop the cache", &path, None))?;
        let length = storage.length(&file).map_err(DiskError::on("ask for the length", &path, None))?;
        let length_max = HEADER_BYTES + GENESIS_BYTES_MAX;
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= length_max) else {
            return Err(OpenError::Length { file: LEDGER_NAME.into(), expected: length_max as u64, found: length });
        };
        let mut bytes = vec![0; length];
        storage.pread_exact(&file, &mut bytes, 0).map_err(DiskError::on("read", &path, Some(0)))?;
        Self::decode(&bytes)
    }

    /// Writes the file of a directory, atomically and durably.
    pub(super) fn write<S: Storage>(bytes: &[u8], storage: &S, directory: &Path) -> Result<(), DiskError> {
        let (draft, path) = (directory.join(LEDGER_DRAFT_NAME), directory.join(LEDGER_NAME));
        let file = storage.create(&draft).map_err(DiskError::on("create the file", &draft, None))?;
        write_all_at(storage, &file, bytes, 0).map_err(DiskError::on("write", &draft, Some(0)))?;
        storage.fdatasync(&file).map_err(DiskError::on("sync", &draft, None))?;
        storage.rename(&draft, &path).map_err(DiskError::on("rename to LEDGER", &draft, None))?;
        storage.sync_dir(directory).map_err(DiskError::on("sync the directory", directory, None))
    }
}
