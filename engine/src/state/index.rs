//! The address index: from an address to the slot of its account, readable beside its one writer.
//!
//! Open addressing in buckets of one cache line with eight entries: a tag of 32 bits and a slot. A tag is part of a keyed hash of the
//! address (SipHash-1-3 under a secret of the process), so that nobody can grind keys that collide; the address itself stands in
//! [`Addresses`], where a match is confirmed. The secret decides where entries lie and never what is found.
//!
//! 256 tables grow one by one. Where an entry lies follows from its tag, so growing reads nothing but the table: it copies a 256th
//! of the index at once, some nanoseconds per entry.
//!
//! # Readers
//!
//! An entry is one word that is written whole. A reader holds tables as they were when it asked; the owner goes on entering into
//! them until they grow, and then into larger ones. So a reader finds whatever was there when it asked, may find more, and misses
//! what came into a larger table later. Who only wants to know an account's place early ([`Resolver`]) loses nothing by a miss: the
//! owner looks again. Who looks into a snapshot ([`SharedIndex`]) asks only for accounts that were there.
//!
//! Looking up thousands costs least in groups: hash and prefetch the bucket, match and prefetch the address, compare.

use super::addresses::Addresses;
use super::entries::Name;
use super::prefetch::prefetch;
use super::siphash::{self, Key};
use crate::arena::{Arena, Piece};
use crate::types::Address;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Place of an account in the state. Slots are given in the order accounts come into being and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub u32);

const TABLES: usize = 256;
const BUCKET_ENTRIES: usize = 8;

/// No transaction opens as many accounts as this, so no more are ever taken back together.
pub(super) const TAKEN_BACK_MAX: u32 = 1024;

/// Tag and slot of an entry in one word; zero where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    const NONE: Self = Self(0);

    /// The largest slot has no entry; no account gets it.
    #[inline]
    const fn new(tag: u32, slot: Slot) -> Self {
        Self((tag as u64) << 32 | (slot.0.wrapping_add(1)) as u64)
    }

    #[inline]
    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn slot(self) -> Option<Slot> {
        // The lower half of the word.
        u32::try_from(self.0 & u64::from(u32::MAX)).ok()?.checked_sub(1).map(Slot)
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; BUCKET_ENTRIES]);

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    #[inline]
    fn entry(&self, place: usize) -> Entry {
        Entry(self.0[place].load(Ordering::Relaxed))
    }

    fn set(&self, place: usize, entry: Entry) {
        self.0[place].store(entry.0, Ordering::Relaxed);
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..BUCKET_ENTRIES).map(|place| self.entry(place))
    }

    /// Places whose tag matches, as bits. No branches: eight comparisons in a row.
    #[inline]
    fn matches(&self, tag: u32) -> u32 {
        let mut bits = 0;
        for place in 0..BUCKET_ENTRIES {
            let entry = self.entry(place);
            bits |= u32::from(entry.tag() == tag && entry != Entry::NONE) << place;
        }
        bits
    }

    fn is_full(&self) -> bool {
        self.entry(BUCKET_ENTRIES - 1) != Entry::NONE
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
}

/// Where a tag begins in a table of `buckets`, a power of two.
#[inline]
const fn home(tag: u32, buckets: usize) -> usize {
    tag as usize & (buckets - 1)
}

/// The secret, shared by the owner and its readers.
#[derive(Clone)]
struct Secret(Key);

impl Secret {
    fn new() -> std::io::Result<Self> {
        let mut secret = [0_u8; 16];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        Ok(Self(std::array::from_fn(|word| u64::from_le_bytes(secret.as_chunks().0[word]))))
    }

    #[inline]
    fn hash(&self, address: &Address) -> Hash {
        let [hash] = siphash::hash(self.0, [address]);
        Hash(hash)
    }

    /// The hashes of as many addresses as `hashes` has places, four at a time.
    #[inline]
    fn hash_all(&self, addresses: &[Address], hashes: &mut [Hash]) {
        let (fours, rest) = addresses.as_chunks::<4>();
        let (four_hashes, rest_hashes) = hashes.as_chunks_mut::<4>();
        for (addresses, hashes) in fours.iter().zip(four_hashes) {
            *hashes = siphash::hash(self.0, addresses.each_ref()).map(Hash);
        }
        for (address, hash) in rest.iter().zip(rest_hashes) {
            *hash = self.hash(address);
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

type Buckets = Arc<Piece<Bucket>>;

fn empty(buckets: usize, arena: &Arena) -> Buckets {
    Arc::new(arena.piece(buckets, |_| Bucket::default()))
}

#[derive(Debug)]
pub(crate) struct Index {
    secret: Secret,
    tables: Vec<Table>,
    /// How often a table has grown.
    generation: u64,
    arena: Arena,
}

#[derive(Debug)]
struct Table {
    buckets: Buckets,
    len: usize,
}

/// Walks the buckets of one table from where a tag begins, until `visit` is content.
#[inline]
fn probe<R>(buckets: &[Bucket], tag: u32, mut visit: impl FnMut(&Bucket) -> Option<R>) -> Option<R> {
    let start = home(tag, buckets.len());
    (0..buckets.len()).find_map(|step| visit(&buckets[(start + step) & (buckets.len() - 1)]))
}

#[inline]
fn find(buckets: &[Bucket], hash: Hash, mut is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
    probe(buckets, hash.tag(), |bucket| {
        let mut bits = bucket.matches(hash.tag());
        while bits != 0 {
            let slot = bucket.entry(bits.trailing_zeros() as usize).slot();
            if slot.is_some_and(&mut is_it) {
                return Some(slot);
            }
            bits &= bits - 1;
        }
        // Entries are never taken from the middle, so a free place ends the search.
        (!bucket.is_full()).then_some(None)
    })
    .flatten()
}

impl Index {
    /// An empty index under a secret from the operating system.
    pub(crate) fn new(arena: Arena) -> std::io::Result<Self> {
        let table = || Table { buckets: empty(1, &arena), len: 0 };
        Ok(Self { secret: Secret::new()?, tables: (0..TABLES).map(|_| table()).collect(), generation: 0, arena })
    }

    /// The secret.
    pub(super) const fn key(&self) -> Key {
        self.secret.0
    }

    #[inline]
    pub(crate) fn hash(&self, address: &Address) -> Hash {
        self.secret.hash(address)
    }

    /// The slot for which `is_it` confirms the address.
    #[inline]
    pub(crate) fn find(&self, hash: Hash, is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
        find(&self.tables[hash.table()].buckets, hash, is_it)
    }

    /// Enters a new address.
    pub(crate) fn insert(&mut self, hash: Hash, slot: Slot) {
        let table = &mut self.tables[hash.table()];
        // At most three quarters full.
        if (table.len + 1) * 4 > table.buckets.len() * BUCKET_ENTRIES * 3 {
            table.buckets = grown(&table.buckets, slot, &self.arena);
            self.generation = self.generation.wrapping_add(1);
        }
        place(&table.buckets, Entry::new(hash.tag(), slot));
        table.len += 1;
    }

    /// Takes out the newest entry of all. (Taking out any other would break the search for those that came after.)
    pub(crate) fn remove_newest(&mut self, hash: Hash, slot: Slot) {
        let table = &mut self.tables[hash.table()];
        let own = Entry::new(hash.tag(), slot);
        let taken = probe(&table.buckets, hash.tag(), |bucket| {
            let place = bucket.entries().position(|entry| entry == own)?;
            bucket.set(place, Entry::NONE);
            Some(())
        });
        if taken.is_some() {
            table.len -= 1;
        }
    }

    /// How often a table has grown: a reader from before may miss more than one from now.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// What there is now, for readers to keep.
    pub(crate) fn share(&self) -> SharedIndex {
        SharedIndex {
            secret: self.secret.clone(),
            tables: self.tables.iter().map(|table| table.buckets.clone()).collect(),
        }
    }
}

/// The entries of a table in one of twice the size; none of them is newer than `newest`.
fn grown(old: &[Bucket], newest: Slot, arena: &Arena) -> Buckets {
    let buckets = empty(old.len().saturating_mul(2), arena);
    let entries = || old.iter().flat_map(Bucket::entries).filter(|&entry| entry != Entry::NONE);
    let stays = |entry: &Entry| entry.slot().is_some_and(|slot| slot.0.saturating_add(TAKEN_BACK_MAX) < newest.0);
    entries().filter(stays).for_each(|entry| place(&buckets, entry));
    // Those that may be taken out again come last, in the order they came.
    let mut new: Vec<Entry> = entries().filter(|entry| !stays(entry)).collect();
    new.sort_unstable_by_key(|entry| entry.slot());
    new.into_iter().for_each(|entry| place(&buckets, entry));
    buckets
}

fn place(buckets: &[Bucket], own: Entry) {
    probe(buckets, own.tag(), |bucket| {
        let place = bucket.entries().position(|entry| entry == Entry::NONE)?;
        bucket.set(place, own);
        Some(())
    });
}

/// Builds an [`Index`] of many at once: table by table, each while it is in the cache.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    secret: Secret,
    /// By table.
    entries: Vec<Vec<Entry>>,
}

impl IndexBuilder {
    /// Under a secret from the operating system.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { secret: Secret::new()?, entries: vec![Vec::new(); TABLES] })
    }

    /// The secret.
    pub(super) const fn key(&self) -> Key {
        self.secret.0
    }

    /// Enters an address. Slots ascend.
    #[inline]
    pub(crate) fn push(&mut self, address: &Address, slot: Slot) {
        let hash = self.secret.hash(address);
        self.entries[hash.table()].push(Entry::new(hash.tag(), slot));
    }

    /// The index, as if they had been entered one by one.
    pub(crate) fn build(self, arena: Arena) -> Index {
        let table = |entries: Vec<Entry>| {
            // At most three quarters full.
            let needed = entries.len().saturating_mul(4).div_ceil(BUCKET_ENTRIES * 3).max(1);
            let buckets = empty(needed.next_power_of_two(), &arena);
            entries.iter().for_each(|&entry| place(&buckets, entry));
            Table { buckets, len: entries.len() }
        };
        Index { secret: self.secret, tables: self.entries.into_iter().map(table).collect(), generation: 0, arena }
    }
}

/// What a reader keeps of an [`Index`].
#[derive(Clone, Debug)]
pub(crate) struct SharedIndex {
    secret: Secret,
    tables: Vec<Buckets>,
}

impl SharedIndex {
    #[inline]
    pub(crate) fn find(&self, address: &Address, is_it: impl FnMut(Slot) -> bool) -> Option<Slot> {
        let hash = self.secret.hash(address);
        find(&self.tables[hash.table()], hash, is_it)
    }
}

/// Finds accounts that have come to stay, in any thread, beside the owner of the state.
///
/// What it finds is right for ever. What it doesn't find may be there all the same, and more so the longer ago it was asked for.
#[derive(Debug)]
pub(crate) struct Resolver {
    index: SharedIndex,
    addresses: Arc<Addresses>,
}

impl Resolver {
    pub(super) const fn new(index: SharedIndex, addresses: Arc<Addresses>) -> Self {
        Self { index, addresses }
    }

    /// By which an entry of this name is looked for.
    pub(crate) fn tag(&self, name: &Name<'_>) -> u64 {
        name.tag(self.index.secret.0)
    }

    /// Slots of a group of addresses, in three passes so that no look-up waits for another. `slots` is as long as `addresses`.
    pub(crate) fn resolve<const N: usize>(&self, addresses: &[Address], slots: &mut [Option<Slot>]) {
        let settled = self.addresses.settled();
        let Self { index: SharedIndex { secret, tables }, addresses: known } = self;
        for (addresses, slots) in addresses.chunks(N).zip(slots.chunks_mut(N)) {
            let mut hashes = [Hash(0); N];
            let hashes = &mut hashes[..addresses.len()];
            secret.hash_all(addresses, hashes);
            for hash in &*hashes {
                let buckets = &tables[hash.table()];
                prefetch(&buckets[home(hash.tag(), buckets.len())]);
            }
            for (&hash, slot) in hashes.iter().zip(slots.iter_mut()) {
                *slot = find(&tables[hash.table()], hash, |slot| slot.0 < settled);
                slot.iter().for_each(|&slot| known.prefetch(slot));
            }
            for ((hash, address), slot) in hashes.iter().zip(addresses).zip(slots) {
                if slot.is_some_and(|slot| !known.is(slot, address)) {
                    // Another address has the same tag.
                    *slot = find(&tables[hash.table()], *hash, |slot| slot.0 < settled && known.is(slot, address));
                }
            }
        }
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
        let mut index = Index::new(Arena::default()).unwrap();
        let known: Vec<Address> = (0..50_000).map(address).collect();
        for (slot, address) in (0..).zip(&known) {
            let hash = index.hash(address);
            assert_eq!(index.find(hash, |slot| known[slot.0 as usize] == *address), None);
            index.insert(hash, Slot(slot));
            if slot % 7 == 0 {
                // Out again and in again: as if it had never been.
                index.remove_newest(hash, Slot(slot));
                assert_eq!(index.find(hash, |slot| known[slot.0 as usize] == *address), None);
                index.insert(hash, Slot(slot));
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

    #[test]
    fn those_of_one_transaction_are_taken_back_across_growing_and_the_others_stay() {
        let mut index = Index::new(Arena::default()).unwrap();
        let known: Vec<Address> = (0..40_000).map(address).collect();
        let mut next = 0;
        for round in 0_u32.. {
            let count = round * 37 % 257;
            let end = (next + count).min(40_000);
            let slots = || (next..end).map(|slot| (index_of(slot), slot));
            for (place, slot) in slots() {
                index.insert(index.hash(&known[place]), Slot(slot));
            }
            if round % 3 == 0 {
                for (place, slot) in slots().collect::<Vec<_>>().into_iter().rev() {
                    index.remove_newest(index.hash(&known[place]), Slot(slot));
                }
            } else {
                next = end;
            }
            if end == 40_000 {
                break;
            }
            if round % 16 == 1 {
                for slot in 0..40_000 {
                    let address = &known[index_of(slot)];
                    let found = index.find(index.hash(address), |found| known[index_of(found.0)] == *address);
                    assert_eq!(found, (slot < next).then_some(Slot(slot)), "round {round}");
                }
            }
        }
    }

    fn index_of(slot: u32) -> usize {
        usize::try_from(slot).unwrap()
    }

    #[test]
    fn a_resolver_finds_what_has_settled_and_an_older_one_only_misses() {
        let (mut index, addresses) =
            (Index::new(Arena::default()).unwrap(), Arc::new(Addresses::new(Arena::default())));
        // An interpreter takes a thousand times as long.
        let (first, count) = if cfg!(miri) { (400, 900) } else { (4_000, 9_000) };
        let known: Vec<Address> = (0..count).map(address).collect();
        let mut older = None;
        for (slot, address) in (0..).zip(&known) {
            addresses.set(Slot(slot), address);
            index.insert(index.hash(address), Slot(slot));
            if slot == first {
                addresses.settle(slot + 1);
                older = Some(Resolver::new(index.share(), addresses.clone()));
            }
        }
        let now = Resolver::new(index.share(), addresses.clone());
        let mut slots = vec![None; known.len()];
        now.resolve::<24>(&known, &mut slots);
        for (slot, found) in (0..).zip(&slots) {
            assert_eq!(*found, (slot <= first).then_some(Slot(slot)));
        }
        addresses.settle(count);
        older.unwrap().resolve::<24>(&known, &mut slots);
        assert!(slots[..=index_of(first)].iter().all(Option::is_some));
        assert!(slots[index_of(first) + 1..].iter().any(Option::is_none));
        assert!((0..).zip(&slots).all(|(slot, found)| found.is_none_or(|found| found == Slot(slot))));
        now.resolve::<24>(&known, &mut slots);
        assert!((0..).zip(&slots).all(|(slot, found)| *found == Some(Slot(slot))));
    }
}
