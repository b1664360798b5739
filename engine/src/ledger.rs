//! The ledger a transaction is for: its genesis, its id, and the key its transaction ids are made with.
//!
//! ```text
//! genesis     name, 1 to 64 bytes of printable ASCII; if the rules aren't the default ones: 0 u8, root interval u32;
//!             if there is a limit of accounts, behind that accounts_max u32
//! ledger id   derive-key "nostro 1 genesis" of the genesis
//! ```

use crate::types::{BlockHeader, Height, LedgerId, RootInterval, TransactionId};
use crate::wide_hash;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};

/// What can't be a ledger's name or one of its rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ledger's {expected}, found {found}")]
pub struct LedgerNameError {
    expected: &'static str,
    found: String,
}

/// What holds in a ledger from its beginning: part of its genesis, so that every replica keeps to it. With other rules it is another ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerRules {
    /// Blocks between two state roots. In [1, 65,536].
    pub root_interval: u32,
    /// Accounts there may be. In [1, 4,294,967,295]; the highest of these is no limit of its own. Beyond it whatever takes a new account
    /// is rejected, and all else goes on.
    pub accounts_max: u32,
}

impl Default for LedgerRules {
    fn default() -> Self {
        Self { root_interval: RootInterval::DEFAULT.blocks(), accounts_max: u32::MAX }
    }
}

/// The same, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub roots: RootInterval,
    pub accounts_max: u32,
}

impl Rules {
    /// Those of a ledger nobody chose anything for.
    pub(crate) const DEFAULT: Self = Self { roots: RootInterval::DEFAULT, accounts_max: u32::MAX };
}

/// A ledger, named by whoever starts it. Two ledgers of one name are the same ledger to a signature, so give each its own.
///
/// Cheap to clone; everything that signs, verifies or computes an id needs one.
#[derive(Clone, PartialEq, Eq)]
pub struct Ledger {
    name: String,
    rules: Rules,
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
        Self::with_rules(name, LedgerRules::default())
    }

    /// The ledger of this name with rules of its own.
    ///
    /// # Errors
    /// [`LedgerNameError`] unless the name has 1 to 64 printable ASCII characters and every rule is in its interval.
    pub fn with_rules(name: &str, rules: LedgerRules) -> Result<Self, LedgerNameError> {
        let LedgerRules { root_interval: blocks, accounts_max } = rules;
        let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if name.is_empty() || name.len() > Self::NAME_BYTES_MAX || !printable {
            let expected = "name has 1 to 64 printable ASCII characters";
            return Err(LedgerNameError {
                expected,
                found: format!("{:?}", name.chars().take(80).collect::<String>()),
            });
        }
        let Some(roots) = RootInterval::new(blocks) else {
            return Err(LedgerNameError { expected: "root interval is 1 to 65536 blocks", found: blocks.to_string() });
        };
        if accounts_max == 0 {
            return Err(LedgerNameError {
                expected: "limit of accounts is 1 or more",
                found: accounts_max.to_string(),
            });
        }
        let rules = Rules { roots, accounts_max };
        let id = LedgerId(blake3::derive_key(Self::GENESIS_CONTEXT, &genesis(name, rules)));
        let key = hash_derive_key_context(&format!("nostro 1 transaction of ledger {id}"));
        Ok(Self { name: name.to_owned(), rules, id, key })
    }

    /// The ledger of these genesis bytes.
    pub(crate) fn from_genesis(bytes: &[u8]) -> Result<Self, LedgerNameError> {
        let (name, rest) = bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
        let mut rules = LedgerRules::default();
        let words = rest.get(1..).unwrap_or_default().as_chunks().0;
        for (rule, word) in [&mut rules.root_interval, &mut rules.accounts_max].into_iter().zip(words) {
            *rule = u32::from_le_bytes(*word);
        }
        let ledger = Self::with_rules(&String::from_utf8_lossy(name), rules)?;
        // One value has one encoding.
        if ledger.genesis() == bytes {
            return Ok(ledger);
        }
        Err(LedgerNameError {
            expected: "genesis is a name, and rules if they aren't the default ones",
            found: hex(bytes),
        })
    }

    /// What its id is the hash of.
    pub(crate) fn genesis(&self) -> Vec<u8> {
        genesis(&self.name, self.rules)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Blocks between two state roots.
    #[must_use]
    pub const fn root_interval(&self) -> u32 {
        self.rules.roots.blocks()
    }

    /// Accounts there may be; 4,294,967,295 is no limit of its own.
    #[must_use]
    pub const fn accounts_max(&self) -> u32 {
        self.rules.accounts_max
    }

    pub(crate) const fn rules(&self) -> Rules {
        self.rules
    }

    /// The height of the state whose root a header of this ledger carries; `None` for its first headers.
    #[must_use]
    pub const fn state_height(&self, header: &BlockHeader) -> Option<Height> {
        self.rules.roots.carried_by(header.height)
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

    /// The ids of many, in order, hashed side by side.
    pub(crate) fn transaction_ids<'a>(&self, bodies: impl Iterator<Item = &'a [u8]>, ids: &mut Vec<TransactionId>) {
        let places = ids.len()..;
        let mut messages = wide_hash::Messages::new(&self.key, |place, hash| {
            if ids.len() <= place {
                ids.resize(place.saturating_add(1), TransactionId::default());
            }
            ids[place] = TransactionId(hash);
        });
        places.zip(bodies).for_each(|(place, body)| messages.push(place, body));
        messages.finish();
    }
}

fn genesis(name: &str, rules: Rules) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    if rules != Rules::DEFAULT {
        bytes.push(0);
        bytes.extend_from_slice(&rules.roots.blocks().to_le_bytes());
    }
    if rules.accounts_max != Rules::DEFAULT.accounts_max {
        bytes.extend_from_slice(&rules.accounts_max.to_le_bytes());
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
        let max = u32::MAX;
        let known = [
            ("a", 256, max),
            ("a", 1, max),
            ("a", 255, max),
            ("a", 65_536, max),
            ("b", 1, max),
            ("a", 256, 5),
            ("a", 1, 1),
        ];
        let ledgers = known.map(|(name, root_interval, accounts_max)| {
            Ledger::with_rules(name, LedgerRules { root_interval, accounts_max }).unwrap()
        });
        for (n, ledger) in ledgers.iter().enumerate() {
            assert!(ledgers.iter().skip(n + 1).all(|other| other.id() != ledger.id()));
            assert_eq!(Ledger::from_genesis(&ledger.genesis()).as_ref(), Ok(ledger));
        }
        assert_eq!(ledgers[0], Ledger::new("a").unwrap());
        assert_eq!((ledgers[0].genesis(), ledgers[1].genesis()), (b"a".to_vec(), b"a\0\x01\0\0\0".to_vec()));
        assert_eq!(ledgers[5].genesis(), b"a\0\0\x01\0\0\x05\0\0\0");
        let wrong: [&[u8]; 13] = [
            b"",
            b"a\n",
            b"a\xff",
            b"a\0",
            b"a\0\0\0\0\0",
            b"a\0\x01\0\0",
            b"a\0\x01\0\0\0\0",
            b"a\0\0\x01\0\0",
            b"a\0\x01\0\x01\0",
            b"a\x01\x01\0\0\0",
            b"a\0\x01\0\0\0\0\0\0\0",
            b"a\0\x01\0\0\0\xff\xff\xff\xff",
            b"a\0\x01\0\0\0\x05\0\0\0\0",
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
