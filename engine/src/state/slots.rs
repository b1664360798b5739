//! A set of slots that gives them back in order, without sorting.

/// A bitmap under a bitmap of its words that aren't zero. Entering costs two bits; giving back costs what was entered plus a
/// 4,096th of the range.
#[derive(Debug, Default)]
pub(crate) struct SlotSet {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl SlotSet {
    #[inline]
    pub(crate) fn insert(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if word >= self.words.len() {
            self.grow(word);
        }
        let bit = 1 << (slot % 64);
        self.words[word] |= bit;
        self.summary[word / 64] |= 1 << (word % 64);
    }

    #[cold]
    fn grow(&mut self, word: usize) {
        let words = (word + 1).next_power_of_two().max(64);
        self.words.resize(words, 0);
        self.summary.resize(words / 64, 0);
    }

    /// Gives every slot in ascending order and empties the set.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(u32)) {
        for (above, summary) in self.summary.iter_mut().enumerate() {
            for word in bits(std::mem::take(summary)) {
                let word = above * 64 + word;
                for bit in bits(std::mem::take(&mut self.words[word])) {
                    visit(u32::try_from(word * 64 + bit).unwrap_or(u32::MAX));
                }
            }
        }
    }
}

/// Places of the bits that are set, ascending.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then_some(word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn slots_come_back_once_and_in_order() {
        let mut set = SlotSet::default();
        for round in 0..3_u32 {
            let slots: Vec<u32> = (0..5_000_u32).map(|n| n.wrapping_mul(2_654_435_761) % (70_000 << round)).collect();
            slots.iter().for_each(|&slot| set.insert(slot));
            let expected: Vec<u32> = slots.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            let mut found = Vec::new();
            set.drain(|slot| found.push(slot));
            assert_eq!(found, expected);
        }
        set.drain(|slot| panic!("{slot} is left over"));
    }
}
