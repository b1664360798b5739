//! The load file: transactions with the times they are meant for, in one file that can be checked.
//!
//! ```text
//! header │ name, spec, zeros │ setup transactions │ transactions │ times │ checksum
//!  160     to a multiple of 8   back to back         back to back   32 each   32
//!
//!   0  magic               [8]   "nostrold"
//!   8  version             u32   1
//!  12  flags               u32   1: nothing is signed; 2: the times are those of a recorded load; 4: the digest is known
//!  16  ledger              [32]  id of the ledger the transactions are for
//!  48  seed                u64
//!  56  setup_transactions  u64
//!  64  setup_bytes         u64
//!  72  transactions        u64
//!  80  transaction_bytes   u64
//!  88  times               u64   entries in the section of times
//!  96  digest              [32]  the state digest that setup and transactions lead to; zeros if it isn't known
//! 128  name_bytes          u32   length of the ledger's name
//! 132  spec_bytes          u32   length of the text that says what the load is
//! 136  reserved            [24]  zeros
//! ```
//!
//! Numbers are little-endian. An entry of the times is for as many transactions as it says, in order:
//!
//! ```text
//!   0  due_ns      u64   when they are meant to be sent, in nanoseconds from the start
//!   8  block_time  u64   the block time they ask for, in ms; 0 takes the clock's
//!  16  count       u64   how many transactions
//!  24  bytes       u64   their bytes
//! ```
//!
//! The checksum is the BLAKE3 hash of everything before it.

use nostro::{Digest, Ledger, LedgerId, Time};

pub(super) const MAGIC: [u8; 8] = *b"nostrold";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 160;
const RESERVED_OFFSET: usize = 136;
pub(super) const ENTRY_BYTES: usize = 32;
pub(super) const CHECKSUM_BYTES: usize = 32;
const UNSIGNED: u32 = 1;
const TIMED: u32 = 2;
const DIGEST: u32 = 4;
/// Longest name and spec, so that a header can't ask for more.
const TEXT_BYTES_MAX: u32 = 64 << 10;

/// The header with its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) ledger: String,
    pub(crate) spec: String,
    pub(crate) seed: u64,
    /// Nothing is signed: it can only be run without verification.
    pub(crate) unsigned: bool,
    /// The times are those of a recorded load.
    pub(crate) timed: bool,
    pub(crate) digest: Option<Digest>,
    pub(crate) setup_transactions: u64,
    pub(crate) setup_bytes: u64,
    pub(crate) transactions: u64,
    pub(crate) transaction_bytes: u64,
    pub(crate) times: u64,
}

/// Transactions that are meant for one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) due_ns: u64,
    pub(crate) time: Option<Time>,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl Entry {
    pub(super) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let fields = [self.due_ns, self.time.map_or(0, |time| time.0), self.count, self.bytes];
        let mut bytes = [0; ENTRY_BYTES];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *place = field.to_le_bytes();
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let mut fields = bytes.as_chunks::<8>().0.iter().copied().map(u64::from_le_bytes);
        let mut next = || fields.next().unwrap_or(0);
        Self { due_ns: next(), time: Some(next()).filter(|&time| time != 0).map(Time), count: next(), bytes: next() }
    }
}

/// What is wrong with a load file: at which byte, what was expected, what was found.
pub(super) type Wrong = String;

fn wrong(field: &str, offset: usize, expected: &str, found: &str) -> Wrong {
    format!("{field} at byte {offset}: expected {expected}, found {found}")
}

impl Header {
    /// An empty load.
    pub(crate) const fn new(ledger: String, spec: String, seed: u64) -> Self {
        Self {
            ledger,
            spec,
            seed,
            unsigned: false,
            timed: false,
            digest: None,
            setup_transactions: 0,
            setup_bytes: 0,
            transactions: 0,
            transaction_bytes: 0,
            times: 0,
        }
    }

    /// Where the setup begins: behind header and texts.
    pub(super) const fn setup_offset(&self) -> usize {
        (HEADER_BYTES + self.ledger.len() + self.spec.len()).next_multiple_of(8)
    }

    pub(super) fn encode(&self, id: LedgerId) -> Vec<u8> {
        let flags = [(self.unsigned, UNSIGNED), (self.timed, TIMED), (self.digest.is_some(), DIGEST)];
        let flags = flags.iter().fold(0, |sum, &(set, flag)| if set { sum | flag } else { sum });
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = Vec::with_capacity(self.setup_offset());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&id.0);
        for number in [
            self.seed,
            self.setup_transactions,
            self.setup_bytes,
            self.transactions,
            self.transaction_bytes,
            self.times,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.digest.unwrap_or_default().0);
        bytes.extend_from_slice(&length(&self.ledger));
        bytes.extend_from_slice(&length(&self.spec));
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(self.ledger.as_bytes());
        bytes.extend_from_slice(self.spec.as_bytes());
        bytes.resize(self.setup_offset(), 0);
        bytes
    }

    pub(super) fn decode(file: &[u8]) -> Result<Self, Wrong> {
        let short = || wrong("header", 0, &format!("at least {HEADER_BYTES} bytes"), &format!("{} bytes", file.len()));
        let header: &[u8; HEADER_BYTES] = file.first_chunk().ok_or_else(short)?;
        let four =
            |offset: usize| header.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        let u32_at = |offset| u32::from_le_bytes(four(offset));
        let eight =
            |offset: usize| header.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        let u64_at = |offset| u64::from_le_bytes(eight(offset));
        let id =
            |offset: usize| header.get(offset..).and_then(|rest| rest.first_chunk::<32>()).copied().unwrap_or_default();
        if eight(0) != MAGIC {
            let found = String::from_utf8_lossy(&eight(0)).escape_debug().to_string();
            return Err(wrong("magic", 0, "\"nostrold\", a load file", &format!("\"{found}\"")));
        }
        if u32_at(8) != VERSION {
            return Err(wrong("version", 8, &VERSION.to_string(), &u32_at(8).to_string()));
        }
        let flags = u32_at(12);
        if flags > UNSIGNED | TIMED | DIGEST {
            return Err(wrong("flags", 12, "1, 2, 4 or sums of them", &flags.to_string()));
        }
        let reserved = header.get(RESERVED_OFFSET..).unwrap_or_default();
        if let Some((place, byte)) = (RESERVED_OFFSET..).zip(reserved).find(|&(_, &byte)| byte != 0) {
            return Err(wrong("reserved", place, "0", &byte.to_string()));
        }
        let text = |field: &'static str, at: usize, offset: usize| {
            let length = u32_at(at);
            if length > TEXT_BYTES_MAX {
                return Err(wrong(field, at, &format!("a length of at most {TEXT_BYTES_MAX}"), &length.to_string()));
            }
            let bytes = file.get(offset..).and_then(|rest| rest.get(..length as usize));
            let bytes = bytes.ok_or_else(|| wrong(field, offset, &format!("{length} bytes"), "the end of the file"))?;
            let text = std::str::from_utf8(bytes).map_err(|_| wrong(field, offset, "UTF-8 text", "other bytes"))?;
            Ok((text.to_owned(), offset + bytes.len()))
        };
        let (ledger, end) = text("name", 128, HEADER_BYTES)?;
        let (spec, _) = text("spec", 132, end)?;
        let expected = Ledger::new(&ledger).map_err(|error| format!("name at byte {HEADER_BYTES}: {error}"))?.id();
        if id(16) != expected.0 {
            let expected = format!("{expected}, the id of the ledger {ledger:?}");
            return Err(wrong("ledger", 16, &expected, &LedgerId(id(16)).to_string()));
        }
        Ok(Self {
            ledger,
            spec,
            seed: u64_at(48),
            unsigned: flags & UNSIGNED != 0,
            timed: flags & TIMED != 0,
            digest: (flags & DIGEST != 0).then(|| Digest(id(96))),
            setup_transactions: u64_at(56),
            setup_bytes: u64_at(64),
            transactions: u64_at(72),
            transaction_bytes: u64_at(80),
            times: u64_at(88),
        })
    }
}
