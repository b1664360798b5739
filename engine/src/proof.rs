//! Proofs that need no engine: that a transaction was settled and how, that an account held a balance.
//!
//! A proof leads from what it proves to a hash in a block's header. Whoever trusts the header, because they have it from a block they
//! trust or because the engine signed it, needs nothing else. `docs/proofs.md` tells it to those who check proofs in another language,
//! with vectors.
//!
//! ```text
//! transaction proof   format u8 1, kind u8 1, 0 u16, position u32, rejection code u16 (0 = applied), operation u16, detail u64,
//!                     transaction id [32], siblings from the bottom up, 32 bytes each, depth(count of the header) of them
//! balance proof       format u8 1, kind u8 2, 0 u16, slot u32, number of accounts u32, number of assets u32, root over the assets [32],
//!                     if the 0 u16 is 1 instead: number of entries u32, root over the entries [32];
//!                     length of the record u32, record, siblings from the bottom up, max(3, depth(number of accounts)) of them
//! signed header       the 224 bytes of the header, signature [64] over "nostro 1 header" and the hash of the header
//! ```

use crate::keys::{KeyPair, Signature};
use crate::merkle::{self, Hash, Levels};
use crate::state::{Keys, RootParts, decode_record, levels_above};
use crate::types::{Address, AssetId, BlockHeader, Digest, Holding, Outcome, Rejection, RejectionCode, TransactionId};
use crate::wire::{Malformed, Reader};
use blake3::hazmat::{ContextKey, hash_derive_key_context};
use nostro_ed25519::{Item, Verifier, VerifierConfig};

const FORMAT: u8 = 1;
const LEAF_BYTES: usize = 64;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The bytes aren't a proof.
    #[error("a proof: {0}")]
    Malformed(#[from] Malformed),
    /// A field has a value it may not have.
    #[error("{what}: expected {expected}, found {found}")]
    Field {
        /// Which field.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It leads elsewhere: it is of another block, or was changed.
    #[error("the header's {what}: expected {expected}, the proof leads to {found}")]
    Elsewhere {
        /// Which of the header's hashes.
        what: &'static str,
        /// What the header has.
        expected: Digest,
        /// Where the proof leads.
        found: Digest,
    },
    /// The header's signature isn't that of the given key.
    #[error("the header's signature is not valid for the key {0}")]
    BadSignature(Address),
}

#[expect(clippy::needless_pass_by_value, reason = "numbers and texts, written in place")]
fn field(what: &'static str, expected: impl ToString, found: impl ToString) -> ProofError {
    ProofError::Field { what, expected: expected.to_string(), found: found.to_string() }
}

/// The keys of a block's tree of transactions.
struct TransactionKeys {
    leaf: ContextKey,
    node: ContextKey,
}

impl TransactionKeys {
    fn new() -> Self {
        Self {
            leaf: hash_derive_key_context("nostro 1 transaction leaf"),
            node: hash_derive_key_context("nostro 1 transaction node"),
        }
    }
}

/// What stands for a transaction in its block's tree: its id, then what became of it.
///
/// ```text
/// id [32], position u32, rejection code u16 (0 = applied), operation u16, detail u64, 0 [16]
/// ```
fn leaf(id: &TransactionId, position: u32, outcome: Outcome) -> [u8; LEAF_BYTES] {
    let mut bytes = [0; LEAF_BYTES];
    bytes[..32].copy_from_slice(&id.0);
    bytes[32..36].copy_from_slice(&position.to_le_bytes());
    if let Outcome::Rejected(rejection) = outcome {
        bytes[32..48].copy_from_slice(&rejection.encode(position));
    }
    bytes
}

/// The tree over a block's transactions: their ids in order, the rejections by ascending position.
pub(crate) fn transaction_tree<'a>(
    ids: impl Iterator<Item = &'a TransactionId>,
    rejections: &[(u32, Rejection)],
) -> Levels {
    let keys = TransactionKeys::new();
    let mut rejections = rejections.iter().peekable();
    let mut leaves = Vec::new();
    let mut messages = Vec::with_capacity(crate::wide_hash::WIDTH);
    for (position, id) in (0_u32..).zip(ids) {
        let rejection = rejections.next_if(|&&(place, _)| place == position);
        messages.push(leaf(id, position, rejection.map_or(Outcome::Applied, |&(_, no)| Outcome::Rejected(no))));
        if messages.len() == crate::wide_hash::WIDTH {
            merkle::leaves(&keys.leaf, &messages, &mut leaves);
            messages.clear();
        }
    }
    merkle::leaves(&keys.leaf, &messages, &mut leaves);
    Levels::new(&keys.node, leaves)
}

/// That a transaction is in a block, where, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionProof {
    /// The transaction.
    pub transaction: TransactionId,
    /// Its place in the block.
    pub position: u32,
    /// What became of it.
    pub outcome: Outcome,
    pub(crate) path: Vec<Hash>,
}

impl TransactionProof {
    /// Checks it against the header of the block. Costs a hash per level: microseconds.
    ///
    /// # Errors
    /// [`ProofError`]; then it proves nothing.
    pub fn verify(&self, header: &BlockHeader) -> Result<(), ProofError> {
        if self.position >= header.count {
            return Err(field("position", format!("below {}", header.count), self.position));
        }
        check_length(&self.path, merkle::depth(header.count.into()) as usize)?;
        let keys = TransactionKeys::new();
        let mut hashes = Vec::with_capacity(1);
        merkle::leaves(&keys.leaf, &[leaf(&self.transaction, self.position, self.outcome)], &mut hashes);
        let leaf = hashes.first().copied().unwrap_or_default();
        let found = Digest(merkle::climb(&keys.node, leaf, self.position.into(), &self.path));
        agree("transactions", header.transactions, found)
    }

    /// Its bytes, at most 692.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, 1, 0, 0];
        // Position and outcome stand as they do in the leaf.
        bytes.extend_from_slice(&leaf(&self.transaction, self.position, self.outcome)[32..48]);
        bytes.extend_from_slice(&self.transaction.0);
        bytes.extend_from_slice(self.path.as_flattened());
        bytes
    }

    /// Reads one back.
    ///
    /// # Errors
    /// [`ProofError`] if the bytes aren't a transaction proof.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut reader = begin(bytes, 1)?;
        let position = reader.u32()?;
        let (code, operation, detail) = (reader.u16()?, reader.u16()?, reader.u64()?);
        let outcome = match code {
            0 if operation == 0 && detail == 0 => Outcome::Applied,
            0 => return Err(field("operation and detail", "0", format!("{operation} and {detail}"))),
            code => {
                let known = RejectionCode::from_number(code).ok_or_else(|| field("rejection", "a known code", code))?;
                Outcome::Rejected(Rejection { code: known, operation, detail })
            }
        };
        let transaction = TransactionId(reader.array()?);
        Ok(Self { transaction, position, outcome, path: read_path(&mut reader, bytes.len())? })
    }
}

/// What an account held in the state whose root a header carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceProof {
    pub(crate) slot: u32,
    pub(crate) accounts: u32,
    pub(crate) assets: u32,
    pub(crate) asset_root: Hash,
    pub(crate) entries: u32,
    pub(crate) entry_root: Hash,
    pub(crate) record: Vec<u8>,
    pub(crate) path: Vec<Hash>,
}

impl BalanceProof {
    /// Checks it against a header that carries the root of that state, and gives what the account held of an asset after the block of
    /// the header's [`state_height`](crate::Ledger::state_height). Costs a hash per level: microseconds.
    ///
    /// # Errors
    /// [`ProofError`]; then it proves nothing.
    pub fn verify(&self, header: &BlockHeader, account: &Address, asset: AssetId) -> Result<Holding, ProofError> {
        if self.slot >= self.accounts {
            return Err(field("slot", format!("below {}", self.accounts), self.slot));
        }
        check_length(&self.path, levels_above(self.accounts))?;
        let account_root = Keys::new().climb_account(&self.record, self.slot, &self.path);
        let Self { accounts, assets, entries, asset_root, entry_root, .. } = *self;
        let parts = RootParts { accounts, assets, entries, account_root, asset_root, entry_root };
        agree("state root", header.state, parts.root())?;
        let (address, balances) =
            decode_record(&self.record).map_err(|fault| field("record", fault.expected, fault.found))?;
        if address != *account {
            return Err(field("account", account, address));
        }
        let held =
            balances.into_iter().find(|&(held, _)| held == asset).map(|(_, balance)| balance).unwrap_or_default();
        Ok(Holding { asset, available: held.available, held: held.held })
    }

    /// Its bytes: some 830 for an account of one asset among ten million.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, 2, u8::from(self.entries > 0), 0];
        for number in [self.slot, self.accounts, self.assets] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.asset_root);
        if self.entries > 0 {
            bytes.extend_from_slice(&self.entries.to_le_bytes());
            bytes.extend_from_slice(&self.entry_root);
        }
        bytes.extend_from_slice(&u32::try_from(self.record.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&self.record);
        bytes.extend_from_slice(self.path.as_flattened());
        bytes
    }

    /// Reads one back.
    ///
    /// # Errors
    /// [`ProofError`] if the bytes aren't a balance proof.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let has_entries = bytes.get(2) == Some(&1);
        let mut reader = if has_entries { begin_with(bytes, [FORMAT, 2, 1, 0])? } else { begin(bytes, 2)? };
        let (slot, accounts, assets) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let asset_root = reader.array()?;
        let (entries, entry_root) = if has_entries { (reader.u32()?, reader.array()?) } else { (0, [0; 32]) };
        if has_entries && entries == 0 {
            return Err(field("entries", "some where there are said to be", entries));
        }
        let length = reader.u32()?;
        let record = reader.bytes(length as usize)?.to_vec();
        Ok(Self {
            slot,
            accounts,
            assets,
            asset_root,
            entries,
            entry_root,
            record,
            path: read_path(&mut reader, bytes.len())?,
        })
    }
}

/// A header with the engine's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// The header.
    pub header: BlockHeader,
    /// Over its hash.
    pub signature: Signature,
}

impl SignedHeader {
    pub(crate) fn new(header: BlockHeader, key: &KeyPair) -> Self {
        Self { header, signature: key.sign(&message(&header)) }
    }

    /// Checks that the holder of this key signed it.
    ///
    /// # Errors
    /// [`ProofError::BadSignature`].
    pub fn verify(&self, key: &Address) -> Result<(), ProofError> {
        let message = message(&self.header);
        let items = [Item { key: &key.0, message: &message, signature: &self.signature.0 }];
        let mut verdicts = [false];
        Verifier::new(VerifierConfig::default()).verify_batch(&items, &mut verdicts);
        if verdicts[0] { Ok(()) } else { Err(ProofError::BadSignature(*key)) }
    }

    /// Its bytes: header, signature.
    #[must_use]
    pub fn encode(&self) -> [u8; BlockHeader::BYTES + 64] {
        let mut bytes = [0; BlockHeader::BYTES + 64];
        bytes[..BlockHeader::BYTES].copy_from_slice(&self.header.encode());
        bytes[BlockHeader::BYTES..].copy_from_slice(&self.signature.0);
        bytes
    }

    /// Reads one back.
    ///
    /// # Errors
    /// [`ProofError::Malformed`] unless there are exactly 288 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut reader = Reader::new(bytes);
        let header = BlockHeader::decode(&reader.array()?);
        let signature = Signature(reader.array()?);
        match bytes.len() - reader.offset() {
            0 => Ok(Self { header, signature }),
            _ => Err(Malformed::Trailing { expected: reader.offset(), found: bytes.len() }.into()),
        }
    }
}

/// What the engine signs: 47 bytes, as for a transaction, under another tag.
fn message(header: &BlockHeader) -> [u8; 47] {
    let mut message = [0; 47];
    message[..15].copy_from_slice(b"nostro 1 header");
    message[15..].copy_from_slice(&header.hash().0);
    message
}

fn begin(bytes: &[u8], kind: u8) -> Result<Reader<'_>, ProofError> {
    begin_with(bytes, [FORMAT, kind, 0, 0])
}

fn begin_with(bytes: &[u8], expected: [u8; 4]) -> Result<Reader<'_>, ProofError> {
    let mut reader = Reader::new(bytes);
    let found: [u8; 4] = reader.array()?;
    if found == expected {
        return Ok(reader);
    }
    Err(field("format and kind", format!("{expected:?}"), format!("{found:?}")))
}

/// The siblings that fill the rest.
fn read_path(reader: &mut Reader<'_>, length: usize) -> Result<Vec<Hash>, ProofError> {
    let rest = reader.bytes(length.saturating_sub(reader.offset()))?;
    let (path, odd) = rest.as_chunks::<32>();
    if !odd.is_empty() || path.len() > 64 {
        return Err(field("siblings", "at most 64 of 32 bytes", format!("{} bytes", rest.len())));
    }
    Ok(path.to_vec())
}

fn check_length(path: &[Hash], expected: usize) -> Result<(), ProofError> {
    if path.len() == expected { Ok(()) } else { Err(field("siblings", expected, path.len())) }
}

fn agree(what: &'static str, expected: Digest, found: Digest) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Elsewhere { what, expected, found }) }
}
