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
    /// Hash of the block's body: its transactions with their signatures, then its events and its rejections.
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
    /// Hash over the effects: every account, asset and entry the block changed, as it is after the block, in order, and its events. Of what an
    /// account holds it covers what the block changed; in the first logs all of it, of more than 64 holdings what the block changed.
    pub effects: Digest,
    /// State root of an earlier height, which [`Ledger::state_height`](crate::Ledger::state_height) tells; zeros if there is none yet.
    pub state: Digest,
}

/// How often state roots are made: part of a ledger's genesis, so that every replica makes the same ones, and never of timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootInterval(u32);

impl RootInterval {
    /// After every 256th block: following the changes of as many costs little more than of one.
    pub(crate) const DEFAULT: Self = Self(256);
    pub(crate) const BLOCKS_MAX: u32 = 65_536;
    /// So many blocks are time enough to make a root beside the work.
    const DELAY_MAX: u32 = 64;

    /// After every so many blocks; `None` unless that is in [1, 65,536].
    pub(crate) const fn new(blocks: u32) -> Option<Self> {
        if blocks >= 1 && blocks <= Self::BLOCKS_MAX { Some(Self(blocks)) } else { None }
    }

    pub(crate) const fn blocks(self) -> u32 {
        self.0
    }

    /// The first header that carries a root is so many blocks above the state it is of. No more than the interval, so that two roots
    /// are all that a checkpoint must know.
    pub(crate) const fn delay(self) -> u64 {
        (if self.0 < Self::DELAY_MAX { self.0 } else { Self::DELAY_MAX }) as u64
    }

    /// Whether a root is made of the state after this block.
    pub(crate) const fn is_due(self, height: Height) -> bool {
        height.0.is_multiple_of(self.0 as u64)
    }

    /// The height of the newest root at or below a height.
    pub(crate) const fn newest_at(self, height: Height) -> Height {
        Height(height.0 - height.0 % self.0 as u64)
    }

    /// The height of the root before one.
    pub(crate) const fn before(self, height: Height) -> Option<Height> {
        match height.0.checked_sub(self.0 as u64) {
            Some(before) => Some(Height(before)),
            None => None,
        }
    }

    /// The height whose root the header of a height carries; `None` in the first headers of a ledger.
    pub(crate) const fn carried_by(self, height: Height) -> Option<Height> {
        match height.0.checked_sub(self.delay()) {
            Some(latest) => Some(self.newest_at(Height(latest))),
            None => None,
        }
    }
}

impl BlockHeader {
    /// Bytes of a header that the log keeps without reading them.
    pub(crate) const META_BYTES: usize = 152;

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
