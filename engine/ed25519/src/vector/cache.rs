//! The key cache: rows of `A` and `2¹²⁷·A` of signers seen before.
//!
//! It saves a signer's decoding and half the windows of its scalar. It is a cache of a pure function, keyed by all 32 bytes
//! of the key: what it holds or forgets never changes a verdict.
//!
//! # Concurrency
//!
//! Readers take no lock and write nothing. Each entry carries a version that is odd while it is written; a reader that
//! finds it odd or changed has a miss. All words are atomic, so a torn read is seen, not suffered. A writer that finds
//! an entry being written leaves it.
//!
//! # Attack
//!
//! Sets are chosen by a hash with a secret, so that keys can't be made to collide. A key is admitted when it is met a second time
//! and has a valid signature: junk costs no entry, and a stream of fresh signers displaces nobody.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use super::NielsRow;
use super::prefetch::prefetch;
use super::signers::{Hashed, words};

/// Entries in which a key may be.
const WAYS: usize = 4;

/// Words of a row that carry limbs.
const ROW: usize = 15;

/// A key and its two rows, aligned to lines: so they are written with zeros when the cache is made. Pages that the system only gives
/// when they are first used cost a virtual machine more than many a key is worth.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Entry {
    /// Odd while the entry is written.
    version: AtomicU64,
    key: [AtomicU64; 4],
    rows: [[AtomicU64; ROW]; 2],
}

/// A bounded map from keys to rows, shared by threads without contention.
#[derive(Debug)]
pub(crate) struct KeyCache {
    /// A part of the hash of each entry's key; 0 where there is none.
    tags: Box<[AtomicU32]>,
    entries: Box<[Entry]>,
    /// Traces of keys that were met once.
    met: Box<[AtomicU16]>,
}

/// Bytes that an entry takes, its tag and trace included.
const ENTRY_BYTES: usize = size_of::<Entry>() + size_of::<AtomicU32>() + size_of::<AtomicU16>();

/// So many zeros, or none if there is no memory for them.
fn zeroed<T: Default>(count: usize) -> Box<[T]> {
    let mut zeros = Vec::new();
    if zeros.try_reserve_exact(count).is_ok() {
        zeros.resize_with(count, T::default);
    }
    zeros.into_boxed_slice()
}

impl KeyCache {
    /// A cache of at most so many bytes; none at all if they don't hold one set, or if there is no such memory.
    pub(crate) fn new(bytes: usize) -> Self {
        let entries = bytes / ENTRY_BYTES / WAYS * WAYS;
        Self { tags: zeroed(entries), entries: zeroed(entries), met: zeroed(entries) }
    }

    /// The first entry of the key's set, and its tag.
    #[inline(always)]
    fn place(&self, hash: u64) -> (usize, u32) {
        let sets = (self.entries.len() / WAYS) as u64;
        #[expect(clippy::cast_possible_truncation, reason = "below the number of sets, which is a usize")]
        let set = ((u128::from(hash) * u128::from(sets)) >> 64) as usize;
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is the tag")]
        let tag = hash as u32 | 1;
        (set * WAYS, tag)
    }

    /// The entry that is likely to be the key's: its tag is.
    #[inline(always)]
    fn likely(&self, hash: u64) -> Option<&Entry> {
        let (first, tag) = self.place(hash);
        let tags = self.tags.get(first..first + WAYS)?;
        let way = tags.iter().position(|found| found.load(Ordering::Relaxed) == tag)?;
        self.entries.get(first + way)
    }

    /// Asks for the tags that a hash leads to: the first of three steps, each some keys behind the one before, since all wait for memory.
    #[inline(always)]
    pub(crate) fn look_ahead(&self, hash: u64) {
        if let Some(tag) = self.tags.get(self.place(hash).0) {
            prefetch(tag);
        }
    }

    /// Asks for the entry that a hash leads to: the second step.
    #[inline(always)]
    pub(crate) fn look_closer(&self, hash: u64) {
        if let Some(entry) = self.likely(hash) {
            prefetch(entry);
        }
    }

    /// Copies the rows of `A` and `2¹²⁷·A`, if the cache has them; says whether it has. Otherwise the rows are left as anything.
    #[inline(always)]
    pub(crate) fn get(&self, signer: Hashed<'_>, rows: [&mut NielsRow; 2]) -> bool {
        self.likely(signer.hash).is_some_and(|entry| entry.read(signer.key, rows))
    }

    /// Whether the key was met before, or something like it; it has been from now on.
    #[inline(always)]
    pub(crate) fn meet(&self, Hashed { hash, .. }: Hashed<'_>) -> bool {
        let sets = self.met.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "below the length, and the lowest bits")]
        let (place, trace) = (((u128::from(hash) * u128::from(sets)) >> 64) as usize, hash as u16 | 1);
        let Some(met) = self.met.get(place) else { return false };
        let before = met.load(Ordering::Relaxed) == trace;
        if !before {
            met.store(trace, Ordering::Relaxed);
        }
        before
    }

    /// Keeps the rows of a key, in place of another's if there is no room.
    pub(crate) fn insert(&self, Hashed { key, hash }: Hashed<'_>, rows: [&NielsRow; 2]) {
        let (first, tag) = self.place(hash);
        let Some(tags) = self.tags.get(first..first + WAYS) else { return };
        let free = tags.iter().position(|found| found.load(Ordering::Relaxed) == 0);
        let same = tags.iter().position(|found| found.load(Ordering::Relaxed) == tag);
        // Any way will do when all are taken; this one is as good as random.
        let way = same.or(free).unwrap_or(usize::from(hash >> 33 & 1 == 1) * 2 + usize::from(hash >> 34 & 1 == 1));
        if let (Some(entry), Some(found)) = (self.entries.get(first + way), tags.get(way))
            && entry.write(key, rows)
        {
            found.store(tag, Ordering::Relaxed);
        }
    }
}

impl Entry {
    /// Copies the rows; says whether they are this key's and nobody wrote meanwhile.
    #[inline(always)]
    fn read(&self, key: &[u8; 32], rows: [&mut NielsRow; 2]) -> bool {
        let before = self.version.load(Ordering::Acquire);
        for (row, words) in rows.into_iter().zip(&self.rows) {
            for (row, word) in row.0.iter_mut().zip(words) {
                *row = word.load(Ordering::Relaxed);
            }
        }
        let same = self.key.iter().zip(words(key)).all(|(own, word)| own.load(Ordering::Relaxed) == word);
        // The loads above happen before the version is read again.
        fence(Ordering::Acquire);
        let unchanged = before == self.version.load(Ordering::Relaxed) && before.is_multiple_of(2) && before > 0;
        same && unchanged
    }

    /// Writes the entry, unless somebody else does.
    fn write(&self, key: &[u8; 32], rows: [&NielsRow; 2]) -> bool {
        let before = self.version.load(Ordering::Relaxed);
        let taken = before.is_multiple_of(2)
            && self.version.compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !taken {
            return false;
        }
        // The odd version is seen before any word that follows.
        fence(Ordering::Release);
        for (own, word) in self.key.iter().zip(words(key)) {
            own.store(word, Ordering::Relaxed);
        }
        for (own, row) in self.rows.iter().zip(rows) {
            for (own, word) in own.iter().zip(row.0) {
                own.store(word, Ordering::Relaxed);
            }
        }
        self.version.store(before.wrapping_add(2), Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::signers::KeyHash;

    fn key(number: u64) -> [u8; 32] {
        let mut key = [7; 32];
        key[9..17].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn rows(number: u64) -> [NielsRow; 2] {
        let mut rows = [NielsRow([number; 16]), NielsRow([!number; 16])];
        for row in &mut rows {
            row.0[15] = 0;
        }
        rows
    }

    /// A hit must be what was put in.
    fn check(cache: &KeyCache, hash: &KeyHash, number: u64) -> bool {
        let (key, mut first, mut second) = (key(number), NielsRow([1; 16]), NielsRow([1; 16]));
        (first.0[15], second.0[15]) = (0, 0);
        if !cache.get(Hashed::new(hash, &key), [&mut first, &mut second]) {
            return false;
        }
        for (found, expected) in [first, second].iter().zip(rows(number)) {
            assert_eq!(found.0, expected.0, "rows of key {number}");
        }
        true
    }

    #[test]
    fn what_is_put_in_is_found_until_room_runs_out() {
        let hash = KeyHash::from_system();
        let cache = KeyCache::new(1 << 20);
        let room = cache.entries.len() as u64;
        assert!(room > 3_000 && room * (ENTRY_BYTES as u64) <= 1 << 20);
        for number in 0..room / 4 {
            assert!(!check(&cache, &hash, number));
            let rows = rows(number);
            cache.insert(Hashed::new(&hash, &key(number)), [&rows[0], &rows[1]]);
            assert!(check(&cache, &hash, number));
        }
        let kept = (0..room / 4).filter(|number| check(&cache, &hash, *number)).count();
        assert!(kept as u64 > room / 5, "{kept} kept");
        for number in 0..room * 4 {
            let rows = rows(number);
            cache.insert(Hashed::new(&hash, &key(number)), [&rows[0], &rows[1]]);
        }
        let kept = (0..room * 4).filter(|number| check(&cache, &hash, *number)).count();
        assert!(kept as u64 > room * 3 / 4 && kept as u64 <= room, "{kept} kept of {room}");
    }

    #[test]
    fn no_room_means_no_hits() {
        let hash = KeyHash::from_system();
        let cache = KeyCache::new(100);
        cache.insert(Hashed::new(&hash, &key(1)), [&rows(1)[0], &rows(1)[1]]);
        assert!(!check(&cache, &hash, 1));
        assert!(!cache.meet(Hashed::new(&hash, &key(1))) && !cache.meet(Hashed::new(&hash, &key(1))));
    }

    #[test]
    fn a_key_is_met_the_second_time() {
        let hash = KeyHash::from_system();
        let cache = KeyCache::new(1 << 16);
        assert!(!cache.meet(Hashed::new(&hash, &key(1))));
        assert!(cache.meet(Hashed::new(&hash, &key(1))));
    }

    #[test]
    fn readers_beside_writers_find_whole_entries_or_none() {
        let hash = KeyHash::from_system();
        let cache = KeyCache::new(ENTRY_BYTES * WAYS);
        let hits: usize = std::thread::scope(|scope| {
            for start in 0..2 {
                let (cache, hash) = (&cache, &hash);
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let number = (round + start) % 12;
                        let rows = rows(number);
                        cache.insert(Hashed::new(hash, &key(number)), [&rows[0], &rows[1]]);
                    }
                });
            }
            let readers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| (0..60_000).filter(|round| check(&cache, &hash, round % 12)).count()))
                .collect();
            readers.into_iter().map(|reader| reader.join().expect("no reader fails")).sum()
        });
        assert!(hits > 0);
    }
}
