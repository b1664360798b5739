//! Predicates: conditions on the ledger that holds wait for, grants are bound to and transactions require.
//!
//! A predicate is a tree of at most 16 nodes, at most four deep, and *is* its canonical bytes: the nodes in preorder, each a tag and then
//! its fields, little-endian.
//!
//! ```text
//! tag  node                      fields behind the tag
//!  0   True
//!  1   After(t)                  t u64: the block's time is t or later
//!  2   Before(t)                 t u64: the block's time is before t
//!  3   HashLock(h)               h [32]: the proof that was brought has this SHA-256
//!  4   Signed(a)                 a [32]: the account is among the signers of the transaction
//!  5   AnyOf(k, list)            k u8, n u8, n nodes: at least k of the n hold; 1 ≤ k ≤ n
//!  6   Attested(s, c, i)         subject [32], schema [32], issuer [32]: there is such an attestation, neither revoked nor over
//!  7   Balance(a, x, cmp, v)     account [32], asset u32, cmp u8, amount u128: what it has available, compared with v
//!  8   Rate(p, i, cmp, v, age)   pair [32], issuer [32], cmp u8, value u128, age u64: the rate record, if it is at most so many ms old
//!  9   Record(o, k, key, cmp, h) owner [32], kind u8, key [32], cmp u8, hash [32]: the record's hash; cmp is 2 or 3
//! 10   And                       two nodes
//! 11   Or                        two nodes
//! 12   Not                       one node
//!
//! cmp  0 less, 1 at most, 2 equal, 3 unequal, 4 at least, 5 more
//! ```
//!
//! A record, a rate or an attestation that isn't there makes its node false, whatever the comparison. Every node is looked at, so the
//! cost is bounded by their number: sixteen look-ups.

use crate::state::Context;
use crate::types::{Address, Amount, AssetId, Comparison, RecordKind, Time};
use crate::wire::{Malformed, Reader};
use sha2::{Digest as _, Sha256};

const NODES_MAX: u8 = 16;
const DEPTH_MAX: u8 = 4;

/// A condition on the ledger; see the table in the documentation of `docs/wire.md`. Limits are checked when it becomes part of a
/// transaction: at most 16 nodes, at most four deep.
#[derive(Clone, PartialEq, Eq)]
pub struct Predicate(
    /// Nothing is the one that holds always, by far the most frequent: it needs no memory.
    Option<Box<[u8]>>,
);

impl Default for Predicate {
    fn default() -> Self {
        Self::always()
    }
}

impl Predicate {
    fn node(tag: u8, fields: &[&[u8]]) -> Self {
        let mut bytes = vec![tag];
        fields.iter().for_each(|field| bytes.extend_from_slice(field));
        Self(Some(bytes.into()))
    }

    /// Holds always.
    #[must_use]
    pub const fn always() -> Self {
        Self(None)
    }

    /// Holds from this time on.
    #[must_use]
    pub fn after(time: Time) -> Self {
        Self::node(1, &[&time.0.to_le_bytes()])
    }

    /// Holds before this time.
    #[must_use]
    pub fn before(time: Time) -> Self {
        Self::node(2, &[&time.0.to_le_bytes()])
    }

    /// Holds if the proof that is brought has this SHA-256 hash.
    #[must_use]
    pub fn hash_lock(sha256: [u8; 32]) -> Self {
        Self::node(3, &[&sha256])
    }

    /// Holds if this account is among the signers.
    #[must_use]
    pub fn signed(account: Address) -> Self {
        Self::node(4, &[&account.0])
    }

    /// Holds if at least `count` of these do.
    #[must_use]
    pub fn any_of(count: u8, of: &[Self]) -> Self {
        // A list that is too long becomes one that the decoder refuses.
        let length = u8::try_from(of.len()).unwrap_or(u8::MAX);
        let all: Vec<u8> = of.iter().flat_map(|one| one.bytes().iter().copied()).collect();
        Self::node(5, &[&[count, length], &all])
    }

    /// Holds if the issuer attests the schema of the subject.
    #[must_use]
    pub fn attested(subject: Address, schema: [u8; 32], issuer: Address) -> Self {
        Self::node(6, &[&subject.0, &schema, &issuer.0])
    }

    /// Compares what an account has available.
    #[must_use]
    pub fn balance(account: Address, asset: AssetId, comparison: Comparison, amount: Amount) -> Self {
        Self::node(7, &[&account.0, &asset.0.to_le_bytes(), &[comparison.number()], &amount.0.to_le_bytes()])
    }

    /// Compares a rate that an issuer has published, if it is at most `age_ms` old.
    #[must_use]
    pub fn rate(pair: [u8; 32], issuer: Address, comparison: Comparison, value: u128, age_ms: u64) -> Self {
        let fields: [&[u8]; 5] =
            [&pair, &issuer.0, &[comparison.number()], &value.to_le_bytes(), &age_ms.to_le_bytes()];
        Self::node(8, &fields)
    }

    /// Compares the hash of a record without subject; only for being equal or unequal.
    #[must_use]
    pub fn record(owner: Address, kind: RecordKind, key: [u8; 32], comparison: Comparison, hash: [u8; 32]) -> Self {
        Self::node(9, &[&owner.0, &[kind.number()], &key, &[comparison.number()], &hash])
    }

    /// Holds if both do.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::node(10, &[self.bytes(), other.bytes()])
    }

    /// Holds if one of them does.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self::node(11, &[self.bytes(), other.bytes()])
    }

    /// Holds if this doesn't.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self::node(12, &[self.bytes()])
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[0])
    }

    /// Reads one; it ends where its last node does.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut scan = reader.clone();
        let mut nodes = 0;
        check(&mut scan, 1, &mut nodes)?;
        let bytes = reader.bytes(scan.offset() - reader.offset())?;
        Ok(Self((bytes != [0]).then(|| bytes.into())))
    }

    /// Visits the accounts whose balances it asks for.
    pub(crate) fn balances(&self, see: &mut dyn FnMut(Address)) {
        // Nearly all hold always.
        if let Some(bytes) = &self.0 {
            // The bytes were read when this value was made.
            let _ = Self::read_balances(&mut Reader::new(bytes), see);
        }
    }

    /// Whether it asks for any.
    pub(crate) fn asks_for_balances(&self) -> bool {
        let mut found = false;
        self.balances(&mut |_| found = true);
        found
    }

    /// The same for one that was read before and that bytes begin with; it ends where its last node does.
    #[inline]
    pub(super) fn read_balances(reader: &mut Reader<'_>, see: &mut dyn FnMut(Address)) -> Option<()> {
        let mut nodes = 1_usize;
        while nodes > 0 {
            nodes -= 1;
            let fields = match reader.u8().ok()? {
                0 => 0,
                1 | 2 => 8,
                3 | 4 => 32,
                5 => {
                    reader.u8().ok()?;
                    nodes += usize::from(reader.u8().ok()?);
                    0
                }
                6 => 96,
                7 => {
                    see(Address(reader.array().ok()?));
                    21
                }
                8 => 89,
                9 => 98,
                10 | 11 => {
                    nodes += 2;
                    0
                }
                _ => {
                    nodes += 1;
                    0
                }
            };
            reader.bytes(fields).ok()?;
        }
        Some(())
    }

    /// Whether it holds; if not, the node that decides, counted in preorder.
    pub(crate) fn holds(&self, context: &Context<'_>, proof: Option<&[u8]>) -> Result<(), u8> {
        let mut walk = Walk { reader: Reader::new(self.bytes()), context, proof, node: 0 };
        // The bytes were read when this value was made, so none is missing here; if one were, nothing would hold.
        walk.next().unwrap_or(Err(0))
    }
}

/// Reads one node with all below it.
fn check(reader: &mut Reader<'_>, depth: u8, nodes: &mut u8) -> Result<(), Malformed> {
    let offset = reader.offset();
    let refuse =
        |expected, found: u8| Err(Malformed::Field { field: "predicate", offset, expected, found: u64::from(found) });
    *nodes += 1;
    if *nodes > NODES_MAX {
        return refuse("at most 16 nodes", *nodes);
    }
    if depth > DEPTH_MAX {
        return refuse("at most four levels", depth);
    }
    let tag = reader.u8()?;
    let children = match tag {
        0 => 0,
        1 | 2 => reader.bytes(8).map(|_| 0)?,
        3 | 4 => reader.bytes(32).map(|_| 0)?,
        5 => {
            let (count, length) = (reader.u8()?, reader.u8()?);
            if count == 0 || count > length {
                return refuse("a list with at least as many nodes as have to hold", count);
            }
            length
        }
        6 => reader.bytes(96).map(|_| 0)?,
        7 => {
            reader.bytes(36)?;
            comparison(reader)?;
            reader.bytes(16).map(|_| 0)?
        }
        8 => {
            reader.bytes(64)?;
            comparison(reader)?;
            reader.bytes(24).map(|_| 0)?
        }
        9 => {
            reader.bytes(32)?;
            kind(reader)?;
            reader.bytes(32)?;
            let at = reader.offset();
            let found = comparison(reader)?;
            if !matches!(found, Comparison::Equal | Comparison::Unequal) {
                let (expected, found) = ("2 or 3", u64::from(found.number()));
                return Err(Malformed::Field { field: "comparison", offset: at, expected, found });
            }
            reader.bytes(32).map(|_| 0)?
        }
        10 | 11 => 2,
        12 => 1,
        _ => return refuse("the tag of a node", tag),
    };
    // At most sixteen nodes are ever looked at, whatever a list's length says.
    (0..children).try_for_each(|_| check(reader, depth + 1, nodes))
}

fn comparison(reader: &mut Reader<'_>) -> Result<Comparison, Malformed> {
    let offset = reader.offset();
    let found = reader.u8()?;
    let refused = Malformed::Field { field: "comparison", offset, expected: "0 to 5", found: u64::from(found) };
    Comparison::from_number(found).ok_or(refused)
}

fn kind(reader: &mut Reader<'_>) -> Result<RecordKind, Malformed> {
    let offset = reader.offset();
    let found = reader.u8()?;
    let refused = Malformed::Field { field: "record kind", offset, expected: "0 to 4", found: u64::from(found) };
    RecordKind::from_number(found).ok_or(refused)
}

/// A predicate being evaluated.
struct Walk<'a> {
    reader: Reader<'a>,
    context: &'a Context<'a>,
    /// What was brought to open hash locks.
    proof: Option<&'a [u8]>,
    /// Nodes met so far.
    node: u8,
}

impl Walk<'_> {
    /// The next node with all below it: whether it holds, or which node decides that it doesn't.
    fn next(&mut self) -> Result<Result<(), u8>, Malformed> {
        let own = self.node;
        self.node = own.saturating_add(1);
        let holds = match self.reader.u8()? {
            0 => true,
            1 => self.context.time() >= Time(self.reader.u64()?),
            2 => self.context.time() < Time(self.reader.u64()?),
            3 => {
                let hash: [u8; 32] = self.reader.array()?;
                self.proof.is_some_and(|proof| *Sha256::digest(proof) == hash)
            }
            4 => self.context.has_signed(&Address(self.reader.array()?)),
            5 => {
                let (count, length) = (self.reader.u8()?, self.reader.u8()?);
                let mut met = 0_u8;
                for _ in 0..length {
                    met = met.saturating_add(u8::from(self.next()?.is_ok()));
                }
                met >= count
            }
            6 => {
                let (subject, schema) = (Address(self.reader.array()?), self.reader.array()?);
                self.context.is_attested(&subject, &schema, &Address(self.reader.array()?))
            }
            7 => {
                let (account, asset) = (Address(self.reader.array()?), AssetId(self.reader.u32()?));
                let comparison = comparison(&mut self.reader)?;
                comparison.holds(self.context.available(&account, asset).0, self.reader.u128()?)
            }
            8 => {
                let (pair, issuer) = (self.reader.array()?, Address(self.reader.array()?));
                let comparison = comparison(&mut self.reader)?;
                let (value, age) = (self.reader.u128()?, self.reader.u64()?);
                self.context.rate(&issuer, &pair, age).is_some_and(|rate| comparison.holds(rate, value))
            }
            9 => {
                let (owner, kind, key) = (Address(self.reader.array()?), kind(&mut self.reader)?, self.reader.array()?);
                let comparison = comparison(&mut self.reader)?;
                let hash: [u8; 32] = self.reader.array()?;
                self.context.record_hash(&owner, kind, &key).is_some_and(|found| comparison.holds(found, hash))
            }
            10 => {
                let (left, right) = (self.next()?, self.next()?);
                return Ok(left.and(right));
            }
            11 => {
                let (left, right) = (self.next()?, self.next()?);
                left.is_ok() || right.is_ok()
            }
            _ => self.next()?.is_err(),
        };
        Ok(if holds { Ok(()) } else { Err(own) })
    }
}

/// As a person would write it.
impl std::fmt::Display for Predicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        if show(&mut Reader::new(self.bytes()), &mut text).is_err() {
            return Err(std::fmt::Error);
        }
        f.write_str(&text)
    }
}

impl std::fmt::Debug for Predicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Predicate({self})")
    }
}

fn show(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Malformed> {
    let hex = |bytes: [u8; 32]| Address(bytes);
    let own = match reader.u8()? {
        0 => "true".to_owned(),
        1 => format!("time >= {}", reader.u64()?),
        2 => format!("time < {}", reader.u64()?),
        3 => format!("sha256(proof) = {}", hex(reader.array()?)),
        4 => format!("signed by {}", hex(reader.array()?)),
        5 => {
            let (count, length) = (reader.u8()?, reader.u8()?);
            out.push_str(&format!("{count} of ("));
            for n in 0..length {
                out.push_str(if n == 0 { "" } else { ", " });
                show(reader, out)?;
            }
            ")".to_owned()
        }
        6 => {
            let (subject, schema, issuer) = (reader.array()?, reader.array()?, reader.array()?);
            format!("{} attests {} of {}", hex(issuer), hex(schema), hex(subject))
        }
        7 => {
            let (account, asset) = (hex(reader.array()?), reader.u32()?);
            let comparison = comparison(reader)?;
            format!("balance of {account} in asset {asset} {comparison} {}", reader.u128()?)
        }
        8 => {
            let (pair, issuer) = (hex(reader.array()?), hex(reader.array()?));
            let comparison = comparison(reader)?;
            let (value, age) = (reader.u128()?, reader.u64()?);
            format!("rate {pair} of {issuer}, at most {age} ms old, {comparison} {value}")
        }
        9 => {
            let (owner, kind, key) = (hex(reader.array()?), kind(reader)?, hex(reader.array()?));
            let comparison = comparison(reader)?;
            format!("hash of the {kind} record {key} of {owner} {comparison} {}", hex(reader.array()?))
        }
        tag @ (10 | 11) => {
            out.push('(');
            show(reader, out)?;
            out.push_str(if tag == 10 { " and " } else { " or " });
            show(reader, out)?;
            ")".to_owned()
        }
        _ => {
            out.push_str("not ");
            return show(reader, out);
        }
    };
    out.push_str(&own);
    Ok(())
}
