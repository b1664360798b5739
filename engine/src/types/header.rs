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
    /// Hash over the ids of the transactions in order.
    pub transactions: Digest,
    /// Hash over the outcomes: the count and every rejection in order.
    pub outcomes: Digest,
    /// Hash over the effects: every account and asset the block changed, as it is after the block, in order. Of an account with more
    /// than 64 holdings it covers those that the block changed.
    pub effects: Digest,
}

impl BlockHeader {
    /// Bytes of a header that the log keeps without reading them.
    pub(crate) const META_BYTES: usize = 152;

    /// The part of the header behind height, previous hash and body hash, as the log stores it. The last 32 bytes are
    /// reserved and zero.
    pub(crate) fn meta(&self) -> [u8; Self::META_BYTES] {
        let mut meta = [0; Self::META_BYTES];
        let fields: [&[u8]; 7] = [
            &self.time.0.to_le_bytes(),
            &self.first.to_le_bytes(),
            &self.count.to_le_bytes(),
            &self.rejected.to_le_bytes(),
            &self.transactions.0,
            &self.outcomes.0,
            &self.effects.0,
        ];
        let mut rest = meta.as_mut_slice();
        for field in fields {
            let (head, tail) = rest.split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        }
        meta
    }

    /// Reads a header back from what the log stored. `None` if the reserved bytes aren't zero.
    pub(crate) fn from_log(
        height: u64,
        previous: [u8; 32],
        body: [u8; 32],
        meta: &[u8; Self::META_BYTES],
    ) -> Option<Self> {
        let mut reader = crate::wire::Reader::new(meta);
        let header = Self {
            height: Height(height),
            previous: Digest(previous),
            body: Digest(body),
            time: Time(reader.u64().ok()?),
            first: reader.u64().ok()?,
            count: reader.u32().ok()?,
            rejected: reader.u32().ok()?,
            transactions: Digest(reader.array().ok()?),
            outcomes: Digest(reader.array().ok()?),
            effects: Digest(reader.array().ok()?),
        };
        (reader.array::<32>().ok()? == [0; 32]).then_some(header)
    }
}
