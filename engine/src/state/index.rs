//! The address index: from an address to the slot of its account.
//!
//! Open addressing in buckets of one cache line: eight tags of 32 bits and eight slots. A tag is part of a keyed hash of the
//! address (SipHash-1-3 under a secret of the process), so that nobody can grind keys that collide; the address itself stands
//! in the account's record, where a match is confirmed. 256 tables grow one by one, so that growing never copies more than a
//! 256th of the index at once. The secret decides where entries lie and never what is found.
//!
//! Looking up thousands costs least in groups: hash and prefetch the bucket, match and prefetch the record, compare.

use super::pages::Page;
use super::prefetch::prefetch;
use crate::types::Address;
use siphasher::sip::SipHasher13;
use std::sync::Arc;

/// Place of an account in the state. Slots are given in the order accounts come into being and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub u32);

const TABLES: usize = 256;
const BUCKET_ENTRIES: usize = 8;
const EMPTY: u32 = u32::MAX;

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Bucket {
    tags: [u32; BUCKET_ENTRIES],
    slots: [u32; BUCKET_ENTRIES],
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    const EMPTY: Self = Self { tags: [0; BUCKET_ENTRIES], slots: [EMPTY; BUCKET_ENTRIES] };

    /// Places whose tag matches, as bits. Eight lanes of one comparison.
    #[inline]
    fn matches(&self, tag: u32) -> u32 {
        let mut bits = 0;
        for (place, (&found, &slot)) in self.tags.iter().zip(&self.slots).enumerate() {
            bits |= u32::from(found == tag && slot != EMPTY) << place;
        }
        bits
    }
}

/// A keyed hash of an address: which table, which bucket, which tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

impl Hash {
    #[inline]
    const fn table(self) -> usize {
        (self.0 & 0xff) as usize
    }

    #[inline]
    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Where to begin in a table of `buckets`, a power of two of at most 2²⁴.
    #[inline]
    const fn bucket(self, buckets: usize) -> usize {
        (self.0 >> 8) as usize & (buckets - 1)
    }
}

/// The secret, shared by the owner and its readers.
#[derive(Clone)]
struct Secret([u8; 16]);

impl Secret {
    #[inline]
    fn hash(&self, address: &Address) -> Hash {
        Hash(SipHasher13::new_with_key(&self.0).hash(&address.0))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    secret: Secret,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    buckets: Page<Bucket>,
    len: usize,
}

/// Walks the buckets of one table from where a hash begins, until `visit` is content.
#[inline]
fn probe<R>(buckets: &[Bucket], hash: Hash, mut visit: impl FnMut(usize, &Bucket) -> Option<R>) -> Option<R> {
    let start = hash.bucket(buckets.len());
    (0..buckets.len()).find_map(|step| {
        let place = (start + step) & (buckets.len() - 1);
        visit(place, &buckets[place])
    })
}

#[inline]
fn find(buckets: &[Bucket], hash: Hash, mut is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
    probe(buckets, hash, |_, bucket| {
        let mut bits = bucket.matches(hash.tag());
        while bits != 0 {
            let slot = Slot(bucket.slots[bits.trailing_zeros() as usize]);
            if is_it(slot) {
                return Some(Some(slot));
            }
            bits &= bits - 1;
        }
        // Entries are never taken from the middle, so a free place ends the search.
        (bucket.slots[BUCKET_ENTRIES - 1] == EMPTY).then_some(None)
    })
    .flatten()
}

impl Index {
    /// An empty index under a secret from the operating system.
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        let table = || Table { buckets: Page::Owned(vec![Bucket::EMPTY; 1].into()), len: 0 };
        Ok(Self { secret: Secret(secret), tables: (0..TABLES).map(|_| table()).collect() })
    }

    #[inline]
    pub(crate) fn hash(&self, address: &Address) -> Hash {
        self.secret.hash(address)
    }

    #[inline]
    fn buckets(&self, hash: Hash) -> &[Bucket] {
        self.tables[hash.table()].buckets.get()
    }

    /// Brings the bucket where `hash` begins closer.
    #[inline]
    pub(crate) fn prefetch(&self, hash: Hash) {
        let buckets = self.buckets(hash);
        prefetch(&buckets[hash.bucket(buckets.len())]);
    }

    /// The first slot whose tag matches, without looking at its record: a guess worth prefetching.
    #[inline]
    pub(crate) fn guess(&self, hash: Hash) -> Option<Slot> {
        find(self.buckets(hash), hash, |_| true)
    }

    /// The slot for which `is_it` confirms the address.
    #[inline]
    pub(crate) fn find(&self, hash: Hash, is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
        find(self.buckets(hash), hash, is_it)
    }

    /// Enters a new address. `rehash` gives the hash of an older slot when the table has to grow.
    pub(crate) fn insert(&mut self, hash: Hash, slot: Slot, rehash: impl Fn(&Self, Slot) -> Hash) {
        let table = &self.tables[hash.table()];
        let buckets = table.buckets.get().len();
        // At most three quarters full.
        if (table.len + 1) * 4 > buckets * BUCKET_ENTRIES * 3 {
            let mut grown = vec![Bucket::EMPTY; buckets * 2].into_boxed_slice();
            let mut slots: Vec<u32> =
                table.buckets.get().iter().flat_map(|bucket| bucket.slots).filter(|&slot| slot != EMPTY).collect();
            // In the order they came, so that the newest can be taken out again.
            slots.sort_unstable();
            for slot in slots.into_iter().map(Slot) {
                place(&mut grown, rehash(self, slot), slot);
            }
            self.tables[hash.table()].buckets = Page::Owned(grown);
        }
        let table = &mut self.tables[hash.table()];
        place(table.buckets.get_mut(), hash, slot);
        table.len += 1;
    }

    /// Takes out the newest entry of all. (Taking out any other would break the search for those that came after.)
    pub(crate) fn remove_newest(&mut self, hash: Hash, slot: Slot) {
        let table = &mut self.tables[hash.table()];
        let at = probe(table.buckets.get(), hash, |place, bucket| {
            bucket.slots.iter().position(|&found| found == slot.0).map(|entry| (place, entry))
        });
        if let Some((place, entry)) = at {
            table.buckets.get_mut()[place].slots[entry] = EMPTY;
            table.len -= 1;
        }
    }

    pub(crate) fn share(&mut self) -> SharedIndex {
        let tables = self.tables.iter_mut().map(|table| table.buckets.share()).collect();
        SharedIndex { secret: self.secret.clone(), tables }
    }
}

/// Builds an [`Index`] of many at once: table by table, each while it is in the cache.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    secret: Secret,
    /// By table: hashes, and their slots.
    entries: Vec<(Vec<u64>, Vec<u32>)>,
}

impl IndexBuilder {
    /// Under a secret from the operating system.
    pub(crate) fn new() -> std::io::Result<Self> {
        let Index { secret, .. } = Index::new()?;
        Ok(Self { secret, entries: vec![Default::default(); TABLES] })
    }

    /// Enters an address. Slots ascend.
    #[inline]
    pub(crate) fn push(&mut self, address: &Address, slot: Slot) {
        let hash = self.secret.hash(address);
        let (hashes, slots) = &mut self.entries[hash.table()];
        hashes.push(hash.0);
        slots.push(slot.0);
    }

    /// The index, as if they had been entered one by one.
    pub(crate) fn build(self) -> Index {
        let table = |(hashes, slots): (Vec<u64>, Vec<u32>)| {
            // At most three quarters full.
            let needed = hashes.len().saturating_mul(4).div_ceil(BUCKET_ENTRIES * 3).max(1);
            let mut buckets = vec![Bucket::EMPTY; needed.next_power_of_two()].into_boxed_slice();
            for (&hash, &slot) in hashes.iter().zip(&slots) {
                place(&mut buckets, Hash(hash), Slot(slot));
            }
            Table { buckets: Page::Owned(buckets), len: hashes.len() }
        };
        Index { secret: self.secret, tables: self.entries.into_iter().map(table).collect() }
    }
}

fn place(buckets: &mut [Bucket], hash: Hash, slot: Slot) {
    let free = probe(buckets, hash, |place, bucket| {
        bucket.slots.iter().position(|&slot| slot == EMPTY).map(|entry| (place, entry))
    });
    if let Some((place, entry)) = free {
        buckets[place].tags[entry] = hash.tag();
        buckets[place].slots[entry] = slot.0;
    }
}

/// What a reader keeps of an [`Index`].
#[derive(Clone, Debug)]
pub(crate) struct SharedIndex {
    secret: Secret,
    tables: Vec<Arc<Box<[Bucket]>>>,
}

impl SharedIndex {
    pub(crate) fn find(&self, address: &Address, is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
        let hash = self.secret.hash(address);
        find(&self.tables[hash.table()], hash, is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Address {
        Address(blake3::hash(&n.to_le_bytes()).into())
    }

    #[test]
    fn everything_entered_is_found_and_nothing_else() {
        let mut index = Index::new().unwrap();
        let known: Vec<Address> = (0..50_000).map(address).collect();
        for (slot, address) in (0..).zip(&known) {
            let hash = index.hash(address);
            assert_eq!(index.find(hash, |slot| known[slot.0 as usize] == *address), None);
            index.insert(hash, Slot(slot), |index, slot| index.hash(&known[slot.0 as usize]));
            if slot % 7 == 0 {
                // Out again and in again: as if it had never been.
                index.remove_newest(hash, Slot(slot));
                assert_eq!(index.find(hash, |slot| known[slot.0 as usize] == *address), None);
                index.insert(hash, Slot(slot), |index, slot| index.hash(&known[slot.0 as usize]));
            }
        }
        let shared = index.share();
        for (slot, address) in (0..).zip(&known) {
            let is_it = |slot: Slot| known[slot.0 as usize] == *address;
            assert_eq!(index.find(index.hash(address), is_it), Some(Slot(slot)));
            assert_eq!(shared.find(address, is_it), Some(Slot(slot)));
        }
        for stranger in (50_000..60_000).map(address) {
            assert_eq!(index.find(index.hash(&stranger), |slot| known[slot.0 as usize] == stranger), None);
        }
    }
}
