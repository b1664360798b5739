//! A set of numbers whose lowest is at hand.

/// Bits in levels, the numbers' own first: a bit of one level says that a word of the level below isn't zero. Entering and removing
/// cost a word of each level at most, and so does removing the lowest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NumberSet {
    levels: [Vec<u64>; LEVELS],
    first: Option<u32>,
}

/// Six bits each make all of a number.
const LEVELS: usize = 6;

impl NumberSet {
    pub(super) fn insert(&mut self, number: u32) {
        if self.first.is_none_or(|first| number < first) {
            self.first = Some(number);
        }
        let mut place = number as usize;
        for level in &mut self.levels {
            let (word, bit) = (place / 64, 1 << (place % 64));
            if word >= level.len() {
                level.resize((word + 1).next_power_of_two(), 0);
            }
            let before = level[word];
            level[word] = before | bit;
            if before != 0 {
                return;
            }
            place = word;
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        let mut place = number as usize;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(place / 64) else { break };
            *word &= !(1 << (place % 64));
            if *word != 0 {
                break;
            }
            place /= 64;
        }
        if self.first == Some(number) {
            self.first = self.find_first();
        }
    }

    #[inline]
    pub(super) fn contains(&self, number: u32) -> bool {
        self.levels[0].get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    #[inline]
    pub(super) const fn first(&self) -> Option<u32> {
        self.first
    }

    fn find_first(&self) -> Option<u32> {
        let mut place = 0;
        for level in self.levels.iter().rev() {
            let word = level.get(place).copied().filter(|&word| word != 0)?;
            place = place * 64 + word.trailing_zeros() as usize;
        }
        u32::try_from(place).ok()
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_agrees_with_a_set_of_the_standard_library() {
        let (mut own, mut naive) = (NumberSet::default(), BTreeSet::new());
        assert!(own.is_empty());
        let mut seed = 3_u64;
        for round in 0..60_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = u32::try_from(seed >> 33).unwrap() % (1 << (4 + round % 20));
            if seed >> 62 < 2 {
                own.insert(number);
                naive.insert(number);
            } else {
                own.remove(number);
                naive.remove(&number);
                while naive.len() > 50 && round % 3 == 0 {
                    let first = naive.pop_first().unwrap();
                    own.remove(first);
                }
            }
            assert_eq!((own.first(), own.contains(number)), (naive.first().copied(), naive.contains(&number)));
        }
        naive.iter().for_each(|&number| own.remove(number));
        assert!(own.is_empty() && own.levels.iter().flatten().all(|&word| word == 0));
    }
}
