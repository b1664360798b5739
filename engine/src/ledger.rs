//! The ledger a transaction is for: its name, its id, and the key its transaction ids are made with.

use crate::types::{LedgerId, TransactionId};
use crate::wide_hash;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};

/// A name that can't be a ledger's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ledger's name has 1 to 64 printable ASCII characters, found {found:?}")]
pub struct LedgerNameError {
    found: String,
}

/// A ledger, named by whoever starts it. Two ledgers of one name are the same ledger to a signature, so give each its own.
///
/// Cheap to clone; everything that signs, verifies or computes an id needs one.
#[derive(Clone, PartialEq, Eq)]
pub struct Ledger {
    name: String,
    id: LedgerId,
    key: ContextKey,
}

impl Ledger {
    const NAME_BYTES_MAX: usize = 64;
    const GENESIS_CONTEXT: &str = "nostro 1 genesis";

    /// The ledger of this name.
    ///
    /// # Errors
    /// [`LedgerNameError`] unless the name has 1 to 64 printable ASCII characters.
    pub fn new(name: &str) -> Result<Self, LedgerNameError> {
        let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if name.is_empty() || name.len() > Self::NAME_BYTES_MAX || !printable {
            return Err(LedgerNameError { found: name.chars().take(80).collect() });
        }
        let id = LedgerId(blake3::derive_key(Self::GENESIS_CONTEXT, name.as_bytes()));
        let key = hash_derive_key_context(&format!("nostro 1 transaction of ledger {id}"));
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id: the hash of its genesis.
    #[must_use]
    pub const fn id(&self) -> LedgerId {
        self.id
    }

    /// The id of the transaction with this unsigned body.
    pub(crate) fn transaction_id(&self, body: &[u8]) -> TransactionId {
        TransactionId(*blake3::Hasher::new_from_context_key(&self.key).update(body).finalize().as_bytes())
    }

    /// The ids of many, in order. Bodies of one transfer are hashed side by side.
    pub(crate) fn transaction_ids<'a>(&self, bodies: impl Iterator<Item = &'a [u8]>, ids: &mut Vec<TransactionId>) {
        let mut waiting = Vec::with_capacity(wide_hash::WIDTH);
        let mut places = Vec::with_capacity(wide_hash::WIDTH);
        let flush = |waiting: &mut Vec<_>, places: &mut Vec<usize>, ids: &mut Vec<TransactionId>| {
            let hashes = wide_hash::derive_keys(&self.key, waiting);
            for (place, hash) in places.drain(..).zip(hashes) {
                ids[place] = TransactionId(hash);
            }
            waiting.clear();
        };
        for body in bodies {
            if let Ok(body) = <&[u8; wide_hash::MESSAGE_BYTES]>::try_from(body) {
                waiting.push(body);
                places.push(ids.len());
                ids.push(TransactionId::default());
                if waiting.len() == wide_hash::WIDTH {
                    flush(&mut waiting, &mut places, ids);
                }
            } else {
                ids.push(self.transaction_id(body));
            }
        }
        flush(&mut waiting, &mut places, ids);
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({:?}, {})", self.name, self.id)
    }
}
