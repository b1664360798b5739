//! The ledger a transaction is for: its genesis, its id, and the key its transaction ids are made with.
//!
//! ```text
//! genesis     name, 1 to 64 bytes of printable ASCII; if the root interval isn't 256: 0 u8, root interval u32
//! ledger id   derive-key "nostro 1 genesis" of the genesis
//! ```

use crate::types::{BlockHeader, Height, LedgerId, RootInterval, TransactionId};
use crate::wide_hash;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};

/// What can't be a ledger's name or root interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ledger's {expected}, found {found}")]
pub struct LedgerNameError {
    expected: &'static str,
    found: String,
}

/// A ledger, named by whoever starts it. Two ledgers of one name are the same ledger to a signature, so give each its own.
///
/// Cheap to clone; everything that signs, verifies or computes an id needs one.
#[derive(Clone, PartialEq, Eq)]
pub struct Ledger {
    name: String,
    root_interval: RootInterval,
    id: LedgerId,
    key: ContextKey,
}

impl Ledger {
    const NAME_BYTES_MAX: usize = 64;
    const GENESIS_CONTEXT: &str = "nostro 1 genesis";

    /// The ledger of this name, with a state root after every 256th block.
    ///
    /// # Errors
    /// [`LedgerNameError`] unless the name has 1 to 64 printable ASCII characters.
    pub fn new(name: &str) -> Result<Self, LedgerNameError> {
        Self::with_root_interval(name, RootInterval::DEFAULT.blocks())
    }

    /// The ledger of this name with a state root after every so many blocks. With another interval it is another ledger.
    ///
    /// # Errors
    /// [`LedgerNameError`] unless the name has 1 to 64 printable ASCII characters and the interval is in [1, 65,536].
    pub fn with_root_interval(name: &str, blocks: u32) -> Result<Self, LedgerNameError> {
        let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if name.is_empty() || name.len() > Self::NAME_BYTES_MAX || !printable {
            let expected = "name has 1 to 64 printable ASCII characters";
            return Err(LedgerNameError {
                expected,
                found: format!("{:?}", name.chars().take(80).collect::<String>()),
            });
        }
        let Some(root_interval) = RootInterval::new(blocks) else {
            return Err(LedgerNameError { expected: "root interval is 1 to 65536 blocks", found: blocks.to_string() });
        };
        let id = LedgerId(blake3::derive_key(Self::GENESIS_CONTEXT, &genesis(name, root_interval)));
        let key = hash_derive_key_context(&format!("nostro 1 transaction of ledger {id}"));
        Ok(Self { name: name.to_owned(), root_interval, id, key })
    }

    /// The ledger of these genesis bytes.
    pub(crate) fn from_genesis(bytes: &[u8]) -> Result<Self, LedgerNameError> {
        let (name, rest) = bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
        let blocks = match rest.split_first_chunk::<5>() {
            Some((&[0, a, b, c, d], _)) => u32::from_le_bytes([a, b, c, d]),
            _ => RootInterval::DEFAULT.blocks(),
        };
        let ledger = Self::with_root_interval(&String::from_utf8_lossy(name), blocks)?;
        // One value has one encoding.
        if ledger.genesis() == bytes {
            return Ok(ledger);
        }
        Err(LedgerNameError { expected: "genesis is a name, and an interval if it isn't 256", found: hex(bytes) })
    }

    /// What its id is the hash of.
    pub(crate) fn genesis(&self) -> Vec<u8> {
        genesis(&self.name, self.root_interval)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Blocks between two state roots.
    #[must_use]
    pub const fn root_interval(&self) -> u32 {
        self.root_interval.blocks()
    }

    pub(crate) const fn roots(&self) -> RootInterval {
        self.root_interval
    }

    /// The height of the state whose root a header of this ledger carries; `None` for its first headers.
    #[must_use]
    pub const fn state_height(&self, header: &BlockHeader) -> Option<Height> {
        self.root_interval.carried_by(header.height)
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

fn genesis(name: &str, root_interval: RootInterval) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    if root_interval != RootInterval::DEFAULT {
        bytes.push(0);
        bytes.extend_from_slice(&root_interval.blocks().to_le_bytes());
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({:?}, a root every {} blocks, {})", self.name, self.root_interval(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_its_genesis_and_nothing_else_is() {
        let known = [("a", 256), ("a", 1), ("a", 255), ("a", 65_536), ("b", 1)];
        let ledgers = known.map(|(name, blocks)| Ledger::with_root_interval(name, blocks).unwrap());
        for (n, ledger) in ledgers.iter().enumerate() {
            assert!(ledgers.iter().skip(n + 1).all(|other| other.id() != ledger.id()));
            assert_eq!(Ledger::from_genesis(&ledger.genesis()).as_ref(), Ok(ledger));
        }
        assert_eq!(ledgers[0], Ledger::new("a").unwrap());
        assert_eq!((ledgers[0].genesis(), ledgers[1].genesis()), (b"a".to_vec(), b"a\0\x01\0\0\0".to_vec()));
        let wrong: [&[u8]; 9] = [
            b"",
            b"a\n",
            b"a\xff",
            b"a\0",
            b"a\0\0\0\0\0",
            b"a\0\x01\0\0",
            b"a\0\x01\0\0\0\0",
            b"a\0\0\x01\0\0",
            b"a\0\x01\0\x01\0",
        ];
        for bytes in wrong {
            assert!(Ledger::from_genesis(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn roots_come_after_whole_intervals_and_are_carried_no_later_than_the_next_one_but_one() {
        for blocks in [1_u64, 2, 63, 64, 65, 256, 65_536] {
            let roots = RootInterval::new(u32::try_from(blocks).unwrap()).unwrap();
            for height in (0..300).chain([blocks - 1, blocks, 2 * blocks + 63, 2 * blocks + 64, 5 * blocks]).map(Height)
            {
                let newest = roots.newest_at(height);
                assert!(roots.is_due(newest) && newest <= height && height.0 - newest.0 < blocks);
                let Some(carried) = roots.carried_by(height.next()) else { continue };
                assert!(carried == newest || Some(carried) == roots.before(newest), "{blocks}, {height}: {carried}");
                assert!(carried < height.next(), "a header carries nothing of its own block");
            }
        }
        assert_eq!((RootInterval::new(0), RootInterval::new(65_537)), (None, None));
    }
}
