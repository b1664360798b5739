//! The header of a block: what the hash chain covers.

use super::{Digest, Height, Time};

/// What is known of a block after it was executed. Its encoding is the 224-byte record header of `docs/format.md`; the
/// block's hash is the hash of those bytes, so whoever holds a header and trusts its hash holds the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Number of the block, from 1.
    pub height: Height,
    /// Hash of the block before; for the first block the id of the ledger.
    pub previous: Digest,
    /// Hash of the block's body: its transactions with their signatures, then its rejections.
    pub body: Digest,
    /// Time of the block. Never earlier than that of the block before.
    pub time: Time,
    /// How many transactions the ledger held before this block.
    pub first: u64,
    /// How many transactions the block holds.
    pub count: u32,
    /// How many of them were rejected.
    pub rejected: u32,
    /// Root over the transactions in order, each with what became of it; see `docs/proofs.md`.
    pub transactions: Digest,
    /// Hash over the outcomes: the count and every rejection in order.
    pub outcomes: Digest,
    /// Hash over the effects: every account and asset the block changed, as it is after the block, in order. Of an account with more
    /// than 64 holdings it covers those that the block changed.
    pub effects: Digest,
    /// State root of an earlier height, which [`state_height`](Self::state_height) tells; zeros if there is none yet.
    pub state: Digest,
}

impl BlockHeader {
    /// Bytes of a header that the log keeps without reading them.
    pub(crate) const META_BYTES: usize = 152;

    /// A state root is made after so many blocks: every [`ROOT_INTERVAL`](Self::ROOT_INTERVAL)-th. Part of the format, so that every
    /// replica makes the same ones.
    pub const ROOT_INTERVAL: u64 = 256;

    /// The first header that carries a root is so many blocks above the state it is of: time to compute it beside the work.
    pub const ROOT_DELAY: u64 = 64;

    /// The height whose state root the header carries; `None` in the first headers of a ledger.
    #[must_use]
    pub const fn state_height(&self) -> Option<Height> {
        Self::state_height_at(self.height)
    }

    pub(crate) const fn state_height_at(height: Height) -> Option<Height> {
        match height.0.checked_sub(Self::ROOT_DELAY) {
            Some(latest) => Some(Height(latest / Self::ROOT_INTERVAL * Self::ROOT_INTERVAL)),
            None => None,
        }
    }

    /// Bytes of an encoded header.
    pub const BYTES: usize = 224;

    /// Its bytes, which its hash covers: height, previous, body, time, first, count, rejected, transactions, outcomes, effects, state.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.height.0.to_le_bytes());
        bytes[8..40].copy_from_slice(&self.previous.0);
        bytes[40..72].copy_from_slice(&self.body.0);
        bytes[72..].copy_from_slice(&self.meta());
        bytes
    }

    /// Reads one back. Any bytes are some header: what makes it one of a ledger is its hash.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        let (height, previous, body) = (u64::from_le_bytes(take(&mut rest)), take(&mut rest), take(&mut rest));
        Self::from_log(height, previous, body, &take(&mut rest))
    }

    /// Its hash, which the next block names.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest(blake3::derive_key("nostro 1 block header", &self.encode()))
    }

    /// The part of the header behind height, previous hash and body hash, as the log stores it.
    pub(crate) fn meta(&self) -> [u8; Self::META_BYTES] {
        let mut meta = [0; Self::META_BYTES];
        let fields: [&[u8]; 8] = [
            &self.time.0.to_le_bytes(),
            &self.first.to_le_bytes(),
            &self.count.to_le_bytes(),
            &self.rejected.to_le_bytes(),
            &self.transactions.0,
            &self.outcomes.0,
            &self.effects.0,
            &self.state.0,
        ];
        let mut rest = meta.as_mut_slice();
        for field in fields {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        meta
    }

    /// Reads a header back from what the log stored.
    pub(crate) fn from_log(height: u64, previous: [u8; 32], body: [u8; 32], meta: &[u8; Self::META_BYTES]) -> Self {
        let mut rest = meta.as_slice();
        Self {
            height: Height(height),
            previous: Digest(previous),
            body: Digest(body),
            time: Time(u64::from_le_bytes(take(&mut rest))),
            first: u64::from_le_bytes(take(&mut rest)),
            count: u32::from_le_bytes(take(&mut rest)),
            rejected: u32::from_le_bytes(take(&mut rest)),
            transactions: Digest(take(&mut rest)),
            outcomes: Digest(take(&mut rest)),
            effects: Digest(take(&mut rest)),
            state: Digest(take(&mut rest)),
        }
    }
}

const _: () = assert!(8 + 8 + 4 + 4 + 4 * 32 == BlockHeader::META_BYTES);

/// The next field. The fields fill the bytes, as asserted above, so none is ever cut short.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (field, after) = rest.split_first_chunk().unwrap_or((&[0; N], &[]));
    *rest = after;
    *field
}
