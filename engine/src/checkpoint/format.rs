//! The bytes of a checkpoint: names, chunk headers, footers.

use super::Place;
use crate::types::{Digest, Height, Time};
use crate::wire::{Malformed, Reader};

pub(super) const DRAFT_NAME: &str = "checkpoint.tmp";
pub(super) const CHUNK_HEADER_BYTES: usize = 64;
pub(super) const FOOTER_BYTES: usize = 280;
/// About how much payload a chunk has; one record may be longer.
pub(super) const CHUNK_BYTES: usize = 1 << 20;
/// What a checkpoint with entries has. One without is of format 1, as before there were any.
const FORMAT: u16 = 2;
const CHUNK_MAGIC: [u8; 4] = *b"NCHK";
const FOOTER_MAGIC: [u8; 4] = *b"NCKF";

/// The file of the checkpoint at a height.
pub(crate) fn checkpoint_name(height: Height) -> String {
    format!("checkpoint-{:016}.state", height.0)
}

/// The height in a checkpoint's file name, if it is one, spelled as we spell it.
pub(super) fn checkpoint_height(name: &str) -> Option<Height> {
    let height = Height(name.strip_prefix("checkpoint-")?.strip_suffix(".state")?.parse().ok()?);
    (checkpoint_name(height) == name).then_some(height)
}

/// What the records of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Accounts,
    Assets,
    Entries,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Accounts, Self::Assets, Self::Entries];
}

/// What a chunk says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    pub kind: Kind,
    pub payload_bytes: u64,
    /// Slot or number of its first record.
    pub first: u32,
    pub count: u32,
}

impl ChunkHeader {
    fn fields(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0..4].copy_from_slice(&CHUNK_MAGIC);
        bytes[4] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.first.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// The hash of the chunk with this payload.
    pub(super) fn hash(&self, payload: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("nostro 1 checkpoint chunk");
        hasher.update(&self.fields()).update(payload).finalize().into()
    }

    pub(super) fn encode(&self, hash: &[u8; 32]) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        bytes[..32].copy_from_slice(&self.fields());
        bytes[32..].copy_from_slice(hash);
        bytes
    }

    /// Reads a header and the hash it names; says what is wrong if it isn't one.
    pub(super) fn decode(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Result<(Self, [u8; 32]), String> {
        let mut reader = Reader::new(bytes);
        let mut decode = || -> Result<_, Malformed> {
            let magic: [u8; 4] = reader.array()?;
            // Another kind becomes one that the comparison below finds out.
            let kind = Kind::ALL.get(usize::from(reader.u8()?)).copied().unwrap_or(Kind::Accounts);
            reader.array::<3>()?;
            let header = Self { kind, payload_bytes: reader.u64()?, first: reader.u32()?, count: reader.u32()? };
            reader.array::<8>()?;
            Ok((magic, header, reader.array()?))
        };
        let (magic, header, hash) = decode().map_err(|reason| reason.to_string())?;
        // One value has one encoding: this compares the kind and every zero.
        if header.encode(&hash) == *bytes { Ok((header, hash)) } else { Err(format!("the bytes {magic:02x?} …")) }
    }
}

/// The end of a checkpoint, which says what the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub place: Place,
    pub state: Digest,
    pub accounts: u32,
    pub assets: u32,
    pub chunks: u32,
    /// Whether there are chunks of entries, which format 1 doesn't know.
    pub has_entries: bool,
    pub file_bytes: u64,
    /// BLAKE3 of the hashes of all chunks.
    pub content: [u8; 32],
}

/// Why bytes are no footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FooterFault {
    Damaged(String),
    NewerFormat(u16),
}

impl Footer {
    pub(super) fn encode(&self) -> [u8; FOOTER_BYTES] {
        let Place { ledger, height, hash, time, transactions, segment, roots } = &self.place;
        let [newest, before] = roots;
        let format = if self.has_entries { FORMAT } else { 1 };
        let mut bytes = [0; FOOTER_BYTES];
        let fields: [&[u8]; 17] = [
            &FOOTER_MAGIC,
            &format.to_le_bytes(),
            &[0; 2],
            ledger,
            &height.0.to_le_bytes(),
            &hash.0,
            &time.0.to_le_bytes(),
            &transactions.to_le_bytes(),
            &self.state.0,
            &self.accounts.to_le_bytes(),
            &self.assets.to_le_bytes(),
            &segment.to_le_bytes(),
            &self.chunks.to_le_bytes(),
            &self.file_bytes.to_le_bytes(),
            &newest.0,
            &before.0,
            &self.content,
        ];
        let mut offset = 0;
        for field in fields {
            bytes[offset..offset + field.len()].copy_from_slice(field);
            offset += field.len();
        }
        let hash = Self::hash(&bytes);
        bytes[FOOTER_BYTES - 32..].copy_from_slice(&hash);
        bytes
    }

    fn hash(bytes: &[u8; FOOTER_BYTES]) -> [u8; 32] {
        blake3::derive_key("nostro 1 checkpoint footer", &bytes[..FOOTER_BYTES - 32])
    }

    pub(super) fn decode(bytes: &[u8; FOOTER_BYTES]) -> Result<Self, FooterFault> {
        let damaged = |reason: Malformed| FooterFault::Damaged(reason.to_string());
        let mut reader = Reader::new(bytes);
        let magic: [u8; 4] = reader.array().map_err(damaged)?;
        if magic != FOOTER_MAGIC {
            return Err(FooterFault::Damaged(format!("the bytes {magic:02x?}")));
        }
        if !bytes.ends_with(&Self::hash(bytes)) {
            return Err(FooterFault::Damaged("one with another hash than its bytes have".to_owned()));
        }
        let format = reader.u16().map_err(damaged)?;
        if format > FORMAT {
            return Err(FooterFault::NewerFormat(format));
        }
        let footer = Self { has_entries: format > 1, ..Self::fields(&mut reader).map_err(damaged)? };
        if footer.encode() == *bytes {
            return Ok(footer);
        }
        Err(FooterFault::Damaged("one whose reserved bytes aren't zero".to_owned()))
    }

    fn fields(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array::<2>()?;
        let (ledger, height, hash) = (reader.array()?, Height(reader.u64()?), Digest(reader.array()?));
        let (time, transactions, state) = (Time(reader.u64()?), reader.u64()?, Digest(reader.array()?));
        let (accounts, assets, segment, chunks) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
        let file_bytes = reader.u64()?;
        let roots = [Digest(reader.array()?), Digest(reader.array()?)];
        let content = reader.array()?;
        let place = Place { ledger, height, hash, time, transactions, segment, roots };
        Ok(Self { place, state, accounts, assets, chunks, has_entries: false, file_bytes, content })
    }
}
