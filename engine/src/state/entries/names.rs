//! From an entry's name to its number: a table of small buckets that grows bucket by bucket, in pages that a snapshot can keep.
//!
//! ```text
//! bucket  64 bytes: five tags u64, five numbers u32, how many more lie elsewhere
//! ```
//!
//! A tag is a hash under a secret of the process; whether it is the name is seen at the entry. The table has
//! 2ᵏ + s buckets: those below s, and as many at the end, go by k + 1 bits of the tag, the others by k (linear hashing; Litwin 1980). When names
//! are more than three to two buckets the next one is split, so that growing never stops anybody. What finds its bucket full lies in an
//! ordered tree.

use crate::arena::Arena;
use crate::state::index::Slot;
use crate::state::pages::{Pages, SharedPages};
use crate::state::prefetch::prefetch;
use crate::state::siphash::{self, Key};
use crate::types::{Address, AssetId, MarketId, RecordKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What tells an entry from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    Record { owner: &'a Address, kind: RecordKind, key: &'a [u8; 32], subject: Option<&'a Address> },
    Holder { asset: AssetId, holder: &'a Address },
    Terms { asset: AssetId },
    Hold { owner: &'a Address, id: u64 },
    Grant { owner: &'a Address, id: u64 },
    Market { operator: &'a Address, base: AssetId, quote: AssetId },
    Order { owner: &'a Address, id: u64 },
    Authority { owner: &'a Address },
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let words = bytes.as_chunks().0;
    [0, 1, 2, 3].map(|word: usize| u64::from_le_bytes(words[word]))
}

/// An owner, the kind of entry, and a number among them.
fn owned(owner: &Address, kind: u64, id: u64) -> [u64; 6] {
    let [a, b, c, d] = words(&owner.0);
    [kind, id, a, b, c, d]
}

impl Name<'_> {
    /// By which it is looked for. Names of one kind are equally long, and each begins with its kind.
    #[inline]
    pub(in crate::state) fn tag(&self, key: Key) -> u64 {
        let hash = |words: &[u64]| siphash::hash_words(key, words);
        match *self {
            Self::Record { owner, kind, key, subject } => {
                let (owner, own, subject) =
                    (words(&owner.0), words(key), words(&subject.copied().unwrap_or_default().0));
                let all = [[1 | u64::from(kind.number()) << 8, 0, 0, 0], owner, own, subject];
                hash(all.as_flattened())
            }
            Self::Holder { asset, holder } => hash(&owned(holder, 2, u64::from(asset.0))),
            Self::Terms { asset } => hash(&[3, u64::from(asset.0)]),
            Self::Hold { owner, id } => hash(&owned(owner, 4, id)),
            Self::Grant { owner, id } => hash(&owned(owner, 5, id)),
            Self::Market { operator, base, quote } => {
                hash(&owned(operator, 6, u64::from(base.0) << 32 | u64::from(quote.0)))
            }
            Self::Order { owner, id } => hash(&owned(owner, 7, id)),
            Self::Authority { owner } => hash(&owned(owner, 8, 0)),
        }
    }
}

/// The tag of all orders of an account in a market, by its slot: each step can be undone, so that no two have the same. Who grinds slots can't know
/// the factor.
pub(super) const fn orders_tag([factor, mask]: Key, market: MarketId, owner: Slot) -> u64 {
    let all = ((market.0 as u64) << 32 | owner.0 as u64) ^ mask;
    let mixed = all.wrapping_mul(factor | 1);
    (mixed ^ mixed >> 32).wrapping_mul(factor | 1).swap_bytes()
}

const WIDTH: usize = 5;
/// The number that no entry has.
pub(super) const NOBODY: u32 = u32::MAX;
/// A page is as small as one may be that lies in a large page of the system.
const PAGE_BITS: u32 = 8;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tags: [u64; WIDTH],
    numbers: [u32; WIDTH],
    /// How many names of this bucket lie in the tree.
    elsewhere: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Default for Bucket {
    fn default() -> Self {
        Self { tags: [0; WIDTH], numbers: [NOBODY; WIDTH], elsewhere: 0 }
    }
}

/// What names lie in the tree, by tag: its bits in reverse, so that those of a bucket lie together.
type Elsewhere = BTreeSet<(u64, u32)>;

impl Bucket {
    /// The numbers in it that have this tag.
    #[inline]
    fn alike(&self, tag: u64) -> impl Iterator<Item = u32> {
        // Most often one is, and a word says which faster than a look at each.
        let mut left = (0..WIDTH).fold(0_u8, |bits, place| bits | u8::from(self.tags[place] == tag) << place);
        std::iter::from_fn(move || {
            let place = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            self.numbers.get(place).copied()
        })
        .filter(|&number| number != NOBODY)
    }
}

/// Finds the number of a name; `is_it` looks whether an entry has it.
#[inline]
fn find(bucket: &Bucket, elsewhere: &Elsewhere, tag: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    if let Some(found) = bucket.alike(tag).find(|&number| is_it(number)) {
        return Some(found);
    }
    if bucket.elsewhere == 0 {
        return None;
    }
    let tag = tag.reverse_bits();
    elsewhere.range((tag, 0)..=(tag, NOBODY)).map(|&(_, number)| number).find(|&number| is_it(number))
}

/// How many buckets there are, and which of them a tag belongs to.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    bits: u32,
    split: u32,
}

impl Shape {
    const fn len(self) -> u32 {
        (1 << self.bits) + self.split
    }

    fn bucket(self, tag: u64) -> u32 {
        let low = |bits: u32| u32::try_from(tag & ((1 << bits) - 1)).unwrap_or(0);
        let bucket = low(self.bits);
        if bucket < self.split { low(self.bits + 1) } else { bucket }
    }
}

#[derive(Debug)]
pub(super) struct Names {
    buckets: Pages<Bucket, PAGE_BITS>,
    elsewhere: Arc<Elsewhere>,
    shape: Shape,
    count: u32,
}

impl Names {
    /// Names to two buckets before the next is split. With four of them one name in twenty would find its bucket full.
    const LOAD: u32 = 3;

    pub(super) fn new(arena: Arena) -> Self {
        let mut buckets = Pages::new(arena);
        // The first of as many as there are numbers.
        let _ = buckets.push(Bucket::default());
        Self { buckets, elsewhere: Arc::default(), shape: Shape::default(), count: 0 }
    }

    #[inline]
    pub(super) fn get(&self, tag: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        find(self.buckets.get(self.shape.bucket(tag))?, &self.elsewhere, tag, is_it)
    }

    /// Brings the bucket of a tag closer.
    #[inline]
    pub(super) fn prefetch(&self, tag: u64) {
        if let Some(bucket) = self.buckets.get(self.shape.bucket(tag)) {
            prefetch(bucket);
        }
    }

    /// Numbers that may have this tag, those that lie elsewhere left out.
    #[inline]
    pub(super) fn alike(&self, tag: u64) -> impl Iterator<Item = u32> {
        self.buckets.get(self.shape.bucket(tag)).into_iter().flat_map(move |bucket| bucket.alike(tag))
    }

    /// Enters a name that isn't there.
    pub(super) fn insert(&mut self, tag: u64, number: u32) {
        self.put(tag, number);
        self.count = self.count.saturating_add(1);
        if self.count / Self::LOAD >= self.shape.len() / 2 {
            self.grow();
        }
    }

    fn put(&mut self, tag: u64, number: u32) {
        let Some(bucket) = self.buckets.get_mut(self.shape.bucket(tag)) else { return };
        match bucket.numbers.iter().position(|&other| other == NOBODY) {
            Some(free) => (bucket.tags[free], bucket.numbers[free]) = (tag, number),
            None => {
                bucket.elsewhere = bucket.elsewhere.saturating_add(1);
                Arc::make_mut(&mut self.elsewhere).insert((tag.reverse_bits(), number));
            }
        }
    }

    /// Gives a name another number.
    pub(super) fn replace(&mut self, tag: u64, before: u32, after: u32) {
        let bucket = self.buckets.get_mut(self.shape.bucket(tag));
        match bucket.and_then(|bucket| bucket.numbers.iter_mut().find(|number| **number == before)) {
            Some(number) => *number = after,
            None => {
                self.remove(tag, before);
                self.insert(tag, after);
            }
        }
    }

    pub(super) fn remove(&mut self, tag: u64, number: u32) {
        let Some(bucket) = self.buckets.get_mut(self.shape.bucket(tag)) else { return };
        match bucket.numbers.iter().position(|&other| other == number) {
            Some(place) => bucket.numbers[place] = NOBODY,
            None => {
                bucket.elsewhere = bucket.elsewhere.saturating_sub(1);
                Arc::make_mut(&mut self.elsewhere).remove(&(tag.reverse_bits(), number));
            }
        }
        self.count = self.count.saturating_sub(1);
    }

    /// Splits the next bucket in two.
    fn grow(&mut self) {
        let Shape { bits, split } = self.shape;
        if bits >= 31 || self.buckets.push(Bucket::default()).is_none() {
            return;
        }
        let Some(bucket) = self.buckets.get_mut(split) else { return };
        let Bucket { tags, numbers, elsewhere } = std::mem::take(bucket);
        let next = split + 1;
        self.shape = if next == 1 << bits { Shape { bits: bits + 1, split: 0 } } else { Shape { bits, split: next } };
        let mut all: Vec<(u64, u32)> = tags.into_iter().zip(numbers).filter(|&(_, number)| number != NOBODY).collect();
        if elsewhere > 0 {
            let first = u64::from(split).reverse_bits();
            let last = first | u64::MAX.checked_shr(bits).unwrap_or(0);
            let moved: Vec<(u64, u32)> = self.elsewhere.range((first, 0)..=(last, NOBODY)).copied().collect();
            let tree = Arc::make_mut(&mut self.elsewhere);
            for name in &moved {
                tree.remove(name);
            }
            all.extend(moved.into_iter().map(|(tag, number)| (tag.reverse_bits(), number)));
        }
        all.into_iter().for_each(|(tag, number)| self.put(tag, number));
    }

    pub(super) fn share(&mut self, key: Key) -> SharedNames {
        SharedNames { buckets: self.buckets.share(), elsewhere: self.elsewhere.clone(), shape: self.shape, key }
    }
}

/// What a reader keeps of [`Names`].
#[derive(Clone, Debug)]
pub(in crate::state) struct SharedNames {
    buckets: SharedPages<Bucket, PAGE_BITS>,
    elsewhere: Arc<Elsewhere>,
    shape: Shape,
    key: Key,
}

impl SharedNames {
    pub(super) fn get(&self, name: &Name<'_>, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.find(name.tag(self.key), is_it)
    }

    fn find(&self, tag: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        find(self.buckets.get(self.shape.bucket(tag))?, &self.elsewhere, tag, is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_and_copies_stay_as_they_were() {
        let (mut names, mut naive) = (Names::new(Arena::default()), BTreeMap::new());
        // What an entry's place says: a tag, and what tells it from others of that tag.
        let mut placed: Vec<(u64, u64)> = Vec::new();
        let mut copies = Vec::new();
        let mut seed = 5_u64;
        for _ in 0..60_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (seed >> 33) % 9_000;
            let hash = siphash::hash_words([1, 2], &[key]);
            let tag = match key % 10 {
                // In one bucket, and alike.
                0 => hash << 32,
                1 => 9,
                _ => hash,
            };
            let name = (tag, key);
            let new = u32::try_from(placed.len()).unwrap();
            if seed >> 61 == 0 && naive.contains_key(&name) {
                placed.push(name);
                names.replace(tag, naive.insert(name, new).unwrap(), new);
            } else if let Some(number) = naive.remove(&name) {
                names.remove(tag, number);
            } else {
                placed.push(name);
                names.insert(tag, new);
                naive.insert(name, new);
            }
            let is_it = |number: u32| placed[number as usize] == name;
            assert_eq!(names.get(tag, is_it), naive.get(&name).copied());
            if placed.len() % 5_000 == 1 {
                copies.push((names.share([1, 2]), naive.clone()));
            }
        }
        copies.push((names.share([1, 2]), naive.clone()));
        assert!(names.shape.len() > 1_500 && names.elsewhere.len() > 500, "{names:?}");
        for (names, naive) in copies {
            for (&name, &number) in &naive {
                assert_eq!(names.find(name.0, |number| placed[number as usize] == name), Some(number));
            }
        }
        naive.iter().for_each(|(&name, &number)| names.remove(name.0, number));
        assert!(naive.keys().all(|&(tag, _)| names.get(tag, |_| true).is_none()));
        assert_eq!((names.count, names.elsewhere.len()), (0, 0));
    }
}
