//! A sorted map in chunks that copies share: for tables that anyone can make long.
//!
//! Entries lie in chunks of at most [`CHUNK_MAX`], the chunks in a list, both ascending. Entering moves half a chunk and the list's
//! pointers behind it, wherever the entry goes. A copy costs a pointer per chunk, and the owner's next write the one chunk it
//! is in. So neither the order in which somebody fills a table nor a reader who keeps a copy makes a write slow.

use std::sync::Arc;

/// Entries of a chunk at most: few enough to be moved or copied in no time, many enough that the list stays short.
const CHUNK_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Chunks<K, V> {
    /// None of them is empty.
    chunks: Vec<Arc<Vec<(K, V)>>>,
}

impl<K, V> Default for Chunks<K, V> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<K: Copy + Ord, V: Copy> Chunks<K, V> {
    /// The chunk in which a key is, if it is anywhere.
    #[inline]
    fn chunk_of(&self, key: K) -> usize {
        self.chunks.partition_point(|chunk| chunk.first().is_some_and(|&(first, _)| first <= key)).saturating_sub(1)
    }

    #[inline]
    pub(super) fn get(&self, key: K) -> Option<&V> {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let place = chunk.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        chunk.get(place).map(|(_, value)| value)
    }

    /// Enters a value; gives the one that was there.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(key);
        let Some(shared) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            return None;
        };
        let chunk = Arc::make_mut(shared);
        match chunk.binary_search_by_key(&key, |&(key, _)| key) {
            Ok(found) => return Some(std::mem::replace(&mut chunk[found].1, value)),
            Err(place) => chunk.insert(place, (key, value)),
        }
        if chunk.len() > CHUNK_MAX {
            let upper = chunk.split_off(CHUNK_MAX / 2);
            self.chunks.insert(at + 1, Arc::new(upper));
        }
        None
    }

    pub(super) fn remove(&mut self, key: K) {
        let at = self.chunk_of(key);
        let Some(shared) = self.chunks.get_mut(at) else { return };
        if let Ok(found) = shared.binary_search_by_key(&key, |&(key, _)| key) {
            let chunk = Arc::make_mut(shared);
            chunk.remove(found);
            if chunk.is_empty() {
                self.chunks.remove(at);
            }
        }
    }

    /// Every entry, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_of_the_standard_library_and_copies_stay_as_they_were() {
        let (mut own, mut naive) = (Chunks::default(), BTreeMap::new());
        let mut copies = Vec::new();
        let mut seed = 11_u64;
        for round in 0..20_000_u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Descending at first, then anywhere.
            let key = if round < 3_000 { 9_000 - round } else { (seed >> 33) % 9_000 };
            if seed >> 62 == 0 && round >= 3_000 {
                own.remove(key);
                naive.remove(&key);
            } else {
                assert_eq!(own.insert(key, round), naive.insert(key, round));
            }
            assert_eq!(own.get(key), naive.get(&key));
            if round % 2_500 == 0 {
                copies.push((own.clone(), naive.clone()));
            }
        }
        copies.push((own, naive));
        for (own, naive) in copies {
            assert!(own.iter().eq(naive.into_iter()));
            assert!(own.chunks.iter().all(|chunk| (1..=CHUNK_MAX).contains(&chunk.len())));
        }
    }

    #[test]
    fn a_table_can_be_emptied_and_filled_again() {
        let mut own: Chunks<u32, u32> = Chunks::default();
        for _ in 0..2 {
            (0..1_000).for_each(|n| assert_eq!(own.insert(n, n), None));
            (0..1_000).for_each(|n| own.remove(n));
            assert_eq!((own.get(7), own.iter().count(), own.chunks.len()), (None, 0, 0));
        }
    }
}
