//! From an entry's name to its number: a table of small buckets that grows bucket by bucket, in pages that a snapshot can keep.
//!
//! ```text
//! bucket  64 bytes: five tags u64, five numbers u32, how many more lie elsewhere
//! ```
//!
//! A tag is the first half of a half of a name's hash; whether it is the name is seen at the entry, where the whole hash stands. The table has
//! 2ᵏ + s buckets: those below s, and as many at the end, go by k + 1 bits of the tag, the others by k (linear hashing; Litwin 1980). When names
//! are more than two to a bucket the next one is split, so that growing never stops anybody. What finds its bucket full lies in an
//! ordered tree, so that somebody who grinds names that fall into one bucket makes a look a logarithm longer.

use crate::state::pages::{Pages, SharedPages};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| blake3::derive_key("nostro entry name", b""));

/// The hashed name of an entry: its kind and what tells it from others of its kind. Never written anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name([u8; 32]);

impl Name {
    const BYTES_MAX: usize = 128;

    /// Parts of fixed lengths per kind, so that no two names have the same bytes.
    pub(crate) fn new(kind: u8, parts: &[&[u8]]) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[0] = kind;
        let mut length = 1;
        for part in parts {
            let end = length + part.len();
            debug_assert!(end <= Self::BYTES_MAX, "a name is shorter than that");
            if let Some(place) = bytes.get_mut(length..end) {
                place.copy_from_slice(part);
            }
            length = end;
        }
        Self(*blake3::keyed_hash(&KEY, bytes.get(..length).unwrap_or(&bytes)).as_bytes())
    }

    fn tag(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

const WIDTH: usize = 5;
/// The number that no entry has.
const NOBODY: u32 = u32::MAX;
const PAGE_BITS: u32 = 6;

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

/// What names lie in the tree, by tag.
type Elsewhere = BTreeSet<(u64, u32)>;

/// Finds the number of a name; `is_it` looks whether an entry has it.
fn find(bucket: &Bucket, elsewhere: &Elsewhere, tag: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    let own = bucket.tags.iter().zip(bucket.numbers);
    let mut alike = own.filter(|&(&known, number)| known == tag && number != NOBODY).map(|(_, number)| number);
    if let Some(found) = alike.find(|&number| is_it(number)) {
        return Some(found);
    }
    if bucket.elsewhere == 0 {
        return None;
    }
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
    /// Names per bucket before the next is split.
    const LOAD: u32 = 2;

    pub(super) fn new() -> Self {
        let mut buckets = Pages::new();
        // The first of as many as there are numbers.
        let _ = buckets.push(Bucket::default());
        Self { buckets, elsewhere: Arc::default(), shape: Shape::default(), count: 0 }
    }

    pub(super) fn get(&self, name: &Name, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = name.tag();
        find(self.buckets.get(self.shape.bucket(tag))?, &self.elsewhere, tag, is_it)
    }

    /// Enters a name that isn't there.
    pub(super) fn insert(&mut self, name: &Name, number: u32) {
        self.put(name.tag(), number);
        self.count = self.count.saturating_add(1);
        if self.count / Self::LOAD >= self.shape.len() {
            self.grow();
        }
    }

    fn put(&mut self, tag: u64, number: u32) {
        let Some(bucket) = self.buckets.get_mut(self.shape.bucket(tag)) else { return };
        match bucket.numbers.iter().position(|&other| other == NOBODY) {
            Some(free) => (bucket.tags[free], bucket.numbers[free]) = (tag, number),
            None => {
                bucket.elsewhere = bucket.elsewhere.saturating_add(1);
                Arc::make_mut(&mut self.elsewhere).insert((tag, number));
            }
        }
    }

    pub(super) fn remove(&mut self, name: &Name, number: u32) {
        let tag = name.tag();
        let Some(bucket) = self.buckets.get_mut(self.shape.bucket(tag)) else { return };
        match bucket.numbers.iter().position(|&other| other == number) {
            Some(place) => bucket.numbers[place] = NOBODY,
            None => {
                bucket.elsewhere = bucket.elsewhere.saturating_sub(1);
                Arc::make_mut(&mut self.elsewhere).remove(&(tag, number));
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
            let mask = (1_u64 << bits) - 1;
            let own = |&&(tag, _): &&(u64, u32)| tag & mask == u64::from(split);
            let moved: Vec<(u64, u32)> = self.elsewhere.iter().filter(own).copied().collect();
            let tree = Arc::make_mut(&mut self.elsewhere);
            for name in &moved {
                tree.remove(name);
            }
            all.extend(moved);
        }
        all.into_iter().for_each(|(tag, number)| self.put(tag, number));
    }

    pub(super) fn share(&mut self) -> SharedNames {
        SharedNames { buckets: self.buckets.share(), elsewhere: self.elsewhere.clone(), shape: self.shape }
    }
}

/// What a reader keeps of [`Names`].
#[derive(Clone, Debug)]
pub(super) struct SharedNames {
    buckets: SharedPages<Bucket, PAGE_BITS>,
    elsewhere: Arc<Elsewhere>,
    shape: Shape,
}

impl SharedNames {
    pub(super) fn get(&self, name: &Name, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = name.tag();
        find(self.buckets.get(self.shape.bucket(tag))?, &self.elsewhere, tag, is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_and_copies_stay_as_they_were() {
        let (mut names, mut naive) = (Names::new(), BTreeMap::new());
        // What an entry's place says.
        let mut placed: Vec<Name> = Vec::new();
        let mut copies = Vec::new();
        let mut seed = 5_u64;
        for _ in 0..60_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (seed >> 33) % 9_000;
            let mut name = Name::new(7, &[&key.to_le_bytes()]);
            match key % 10 {
                // Names that somebody has ground: in one bucket, and alike in all but the end.
                0 => name.0[..4].fill(9),
                1 => name.0[..31].fill(9),
                _ => {}
            }
            if let Some(number) = naive.remove(&name.0) {
                names.remove(&name, number);
            } else {
                let number = u32::try_from(placed.len()).unwrap();
                placed.push(name);
                names.insert(&name, number);
                naive.insert(name.0, number);
            }
            let is_it = |number: u32| placed[number as usize] == name;
            assert_eq!(names.get(&name, is_it), naive.get(&name.0).copied());
            if placed.len() % 5_000 == 1 {
                copies.push((names.share(), naive.clone()));
            }
        }
        copies.push((names.share(), naive.clone()));
        assert!(names.shape.len() > 1_500 && names.elsewhere.len() > 500, "{names:?}");
        for (names, naive) in copies {
            for (&name, &number) in &naive {
                assert_eq!(names.get(&Name(name), |number| placed[number as usize].0 == name), Some(number));
            }
        }
        naive.iter().for_each(|(&name, &number)| names.remove(&Name(name), number));
        assert!(naive.keys().all(|&name| names.get(&Name(name), |_| true).is_none()));
        assert_eq!((names.count, names.elsewhere.len()), (0, 0));
    }
}
