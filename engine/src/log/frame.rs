//! Frames: what a record looks like on the disk.
//!
//! A frame begins on a 4 KiB boundary, is padded with zeros to the next one and never spans segments, so that a
//! page holding acknowledged bytes is never written again. All integers are little-endian.
//!
//! ```text
//! offset  width
//!      0      4  magic "NFRM"
//!      4      2  format, 1
//!      6      1  kind: 0 block, 1 seal, 2 continued
//!      7      1  reserved, 0
//!      8      4  body length
//!     12      4  segment id
//!     16      4  epoch
//!     20      4  CRC-32C of the ledger's salt and these 256 bytes with this field zero
//!     24      8  durable watermark: the height known durable when this frame was written
//!     32    224  record header, what the chain covers:
//!                  32   8  height
//!                  40  32  hash of the record before
//!                  72  32  BLAKE3 of the body
//!                 104 152  meta, opaque to the log
//!    256      …  body, then zeros to the next 4 KiB boundary
//! ```
//!
//! The hash of a record is BLAKE3 in derive-key mode (context `nostro 1 block header`) of the 224 bytes of its record
//! header. The body needs no checksum of its own: its BLAKE3 is in the header, which both the CRC and the chain cover.
//!
//! A **seal** has no body and is no part of the chain. Its record header holds the height and, in the place of the hash
//! before, the hash of the last block; the rest is zero. A **continued** mark is a seal that ends a segment: the next
//! segment exists.
//!
//! The salt is sixteen random bytes of the ledger that no client ever sees. It keeps a body from containing pages that
//! pass for frames: recovery looks for frames at every page behind a torn one, and bodies are written by strangers.

/// The unit of alignment of everything in a segment, in bytes.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Bytes of a frame before its body.
pub(crate) const FRAME_HEADER_BYTES: usize = 256;
/// Bytes of the record header, the part that is hashed into the chain.
pub(crate) const RECORD_HEADER_BYTES: usize = 224;
/// Bytes of a record header that belong to the engine.
pub(crate) const META_BYTES: usize = 152;
/// The format that this code writes and the newest it reads.
pub(crate) const FORMAT: u16 = 1;

const MAGIC: [u8; 4] = *b"NFRM";
const CRC_OFFSET: usize = 20;
const RECORD_OFFSET: usize = FRAME_HEADER_BYTES - RECORD_HEADER_BYTES;
const HASH_CONTEXT: &str = "nostro 1 block header";
const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

const _: () = assert!(8 + 32 + 32 + META_BYTES == RECORD_HEADER_BYTES);
const _: () = assert!(RECORD_OFFSET == 32);

/// A BLAKE3 hash.
pub(crate) type Hash = [u8; 32];

/// The `N` bytes at `offset`; panics beyond the end, so only for fixed layouts in fixed arrays.
pub(super) fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[offset..offset + N]);
    value
}

/// True if every byte is zero.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE_BYTES).all(|chunk| ZEROS.get(..chunk.len()) == Some(chunk))
}

/// Bytes that a frame with such a body takes up in a segment.
pub(crate) fn frame_bytes(body_bytes: u64) -> u64 {
    let page = PAGE_BYTES as u64;
    (FRAME_HEADER_BYTES as u64).saturating_add(body_bytes).div_ceil(page).saturating_mul(page)
}

/// The CRC-32C of a ledger's salt, from which the checksum of each of its frames goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SaltedCrc(u32);

impl SaltedCrc {
    pub(crate) fn new(salt: &[u8; 16]) -> Self {
        Self(crc32c::crc32c(salt))
    }

    fn of(self, header: &[u8; FRAME_HEADER_BYTES]) -> u32 {
        let crc = crc32c::crc32c_append(self.0, &header[..CRC_OFFSET]);
        let crc = crc32c::crc32c_append(crc, &[0; 4]);
        crc32c::crc32c_append(crc, &header[CRC_OFFSET + 4..])
    }
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record.
    Block,
    /// Says how far the log was durable when nothing more came.
    Seal,
    /// A seal at the end of a segment that has a successor.
    Continued,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Block => 0,
            Self::Seal => 1,
            Self::Continued => 2,
        }
    }
}

/// The part of a frame that the chain covers: 224 bytes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Counts from 1; the first record's `previous` is the ledger id.
    pub(crate) height: u64,
    pub(crate) previous: Hash,
    pub(crate) body_hash: Hash,
    pub(crate) meta: [u8; META_BYTES],
}

impl RecordHeader {
    pub(crate) fn encode(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&self.height.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.previous);
        bytes[40..72].copy_from_slice(&self.body_hash);
        bytes[72..].copy_from_slice(&self.meta);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; RECORD_HEADER_BYTES]) -> Self {
        Self {
            height: u64::from_le_bytes(field(bytes, 0)),
            previous: field(bytes, 8),
            body_hash: field(bytes, 40),
            meta: field(bytes, 72),
        }
    }

    /// The hash by which the next record names this one.
    pub(crate) fn hash(&self) -> Hash {
        hash_record_header(&self.encode())
    }
}

/// The hash of a record whose header is these 224 bytes.
pub(crate) fn hash_record_header(bytes: &[u8; RECORD_HEADER_BYTES]) -> Hash {
    blake3::derive_key(HASH_CONTEXT, bytes)
}

/// What append adds to a frame: where and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) segment: u32,
    pub(crate) epoch: u32,
    pub(crate) watermark: u64,
}

/// A frame header that passed its checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) body_bytes: u32,
    pub(crate) stamp: Stamp,
    pub(crate) record: RecordHeader,
}

/// Why 256 bytes are no frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// All zero: nothing was ever written here.
    Blank,
    /// The first four bytes are not the magic.
    Magic([u8; 4]),
    Checksum {
        stored: u32,
        computed: u32,
    },
    /// Whole, but written by a format or for a purpose that this code does not know.
    Unknown {
        format: u16,
        kind: u8,
    },
}

impl std::fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blank => f.write_str("zeros"),
            Self::Magic(bytes) => write!(f, "the bytes {bytes:02x?}"),
            Self::Checksum { stored, computed } => {
                write!(f, "a header of checksum {computed:08x} that says {stored:08x}")
            }
            Self::Unknown { format, kind } => write!(f, "a frame of format {format} and kind {kind}"),
        }
    }
}

impl FrameHeader {
    /// Reads a frame header. What it says is what was written, unless it is an error.
    ///
    /// # Errors
    ///
    /// [`HeaderFault`], the first that applies in the order of its variants.
    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER_BYTES], crc: SaltedCrc) -> Result<Self, HeaderFault> {
        let magic: [u8; 4] = field(bytes, 0);
        if magic != MAGIC {
            return Err(if is_blank(bytes) { HeaderFault::Blank } else { HeaderFault::Magic(magic) });
        }
        let stored = u32::from_le_bytes(field(bytes, CRC_OFFSET));
        let computed = crc.of(bytes);
        if stored != computed {
            return Err(HeaderFault::Checksum { stored, computed });
        }
        let (format, body_bytes) = (u16::from_le_bytes(field(bytes, 4)), u32::from_le_bytes(field(bytes, 8)));
        let kind = match (format, bytes[6], bytes[7]) {
            (FORMAT, 0, 0) => Kind::Block,
            (FORMAT, 1, 0) if body_bytes == 0 => Kind::Seal,
            (FORMAT, 2, 0) if body_bytes == 0 => Kind::Continued,
            (_, kind, _) => return Err(HeaderFault::Unknown { format, kind }),
        };
        let stamp = Stamp {
            segment: u32::from_le_bytes(field(bytes, 12)),
            epoch: u32::from_le_bytes(field(bytes, 16)),
            watermark: u64::from_le_bytes(field(bytes, 24)),
        };
        let record = RecordHeader::decode(&field(bytes, RECORD_OFFSET));
        Ok(Self { kind, body_bytes, stamp, record })
    }
}

/// Writes everything of a frame header but the record header, in place, checksum last.
fn stamp_header(bytes: &mut [u8; FRAME_HEADER_BYTES], kind: Kind, body_bytes: u32, stamp: Stamp, crc: SaltedCrc) {
    bytes[0..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[6] = kind.code();
    bytes[7] = 0;
    bytes[8..12].copy_from_slice(&body_bytes.to_le_bytes());
    bytes[12..16].copy_from_slice(&stamp.segment.to_le_bytes());
    bytes[16..20].copy_from_slice(&stamp.epoch.to_le_bytes());
    bytes[24..32].copy_from_slice(&stamp.watermark.to_le_bytes());
    let checksum = crc.of(bytes);
    bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// The page of a seal or a continued mark: the log ends, durably, at `height` with `hash`.
pub(crate) fn seal_page(kind: Kind, height: u64, hash: Hash, stamp: Stamp, crc: SaltedCrc) -> [u8; PAGE_BYTES] {
    let record = RecordHeader { height, previous: hash, body_hash: [0; 32], meta: [0; META_BYTES] };
    let mut header = [0; FRAME_HEADER_BYTES];
    header[RECORD_OFFSET..].copy_from_slice(&record.encode());
    stamp_header(&mut header, kind, 0, stamp, crc);
    let mut page = [0; PAGE_BYTES];
    page[..FRAME_HEADER_BYTES].copy_from_slice(&header);
    page
}

/// The body would be longer than a segment can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a body of {bytes} bytes is longer than the {bytes_max} that a segment can hold")]
pub(crate) struct BodyTooLarge {
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
}

/// Builds a frame in place: the body is written once, straight into the bytes that go to the disk.
#[derive(Debug)]
pub(crate) struct FrameBuilder {
    buffer: Vec<u8>,
    body_bytes_max: u32,
}

impl FrameBuilder {
    /// Starts a frame in a buffer, new or taken back with [`Sealed::into_buffer`]; a warm buffer saves the page faults
    /// of a fresh one. `body_bytes_max` is that of the log, [`super::SegmentLog::body_bytes_max`].
    pub(crate) fn with_buffer(mut buffer: Vec<u8>, body_bytes_max: u32) -> Self {
        buffer.clear();
        buffer.resize(FRAME_HEADER_BYTES, 0);
        Self { buffer, body_bytes_max }
    }

    /// Bytes of the body so far.
    pub(crate) fn body_bytes(&self) -> usize {
        self.buffer.len().saturating_sub(FRAME_HEADER_BYTES)
    }

    /// Adds to the body.
    ///
    /// # Errors
    ///
    /// If the body would be too long; then nothing is added.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> Result<(), BodyTooLarge> {
        let total = (self.body_bytes() as u64).saturating_add(bytes.len() as u64);
        if total > u64::from(self.body_bytes_max) {
            return Err(BodyTooLarge { bytes: total, bytes_max: self.body_bytes_max.into() });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The body so far.
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.get(FRAME_HEADER_BYTES..).unwrap_or_default()
    }

    /// Ends the frame. Its bytes and its hash are final, but for the stamp that append puts in.
    pub(crate) fn seal(self, height: u64, previous: Hash, meta: &[u8; META_BYTES]) -> Sealed {
        let record = RecordHeader { height, previous, body_hash: *blake3::hash(self.body()).as_bytes(), meta: *meta };
        let body_bytes = u32::try_from(self.body_bytes()).unwrap_or(u32::MAX);
        debug_assert!(body_bytes <= self.body_bytes_max, "extend lets no longer body through");
        let mut buffer = self.buffer;
        let encoded = record.encode();
        buffer[RECORD_OFFSET..FRAME_HEADER_BYTES].copy_from_slice(&encoded);
        buffer.resize(buffer.len().next_multiple_of(PAGE_BYTES), 0);
        Sealed { buffer, body_bytes, height, previous, hash: hash_record_header(&encoded) }
    }
}

/// A frame whose content is final. Only [`FrameBuilder::seal`] makes one.
#[derive(Debug)]
pub(crate) struct Sealed {
    buffer: Vec<u8>,
    body_bytes: u32,
    height: u64,
    previous: Hash,
    hash: Hash,
}

impl Sealed {
    pub(crate) fn height(&self) -> u64 {
        self.height
    }

    pub(crate) fn previous(&self) -> &Hash {
        &self.previous
    }

    /// The hash by which the next record names this one.
    pub(crate) fn hash(&self) -> &Hash {
        &self.hash
    }

    /// The body, as it was given.
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.get(FRAME_HEADER_BYTES..).and_then(|rest| rest.get(..self.body_bytes as usize)).unwrap_or_default()
    }

    /// Bytes of the whole frame, padded.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The whole frame, padded.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the buffer back for the next frame.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    pub(super) fn stamp(&mut self, stamp: Stamp, crc: SaltedCrc) {
        if let Some(header) = self.buffer.first_chunk_mut() {
            stamp_header(header, Kind::Block, self.body_bytes, stamp, crc);
        }
    }
}
