//! Whom some blocks concern, in few bits: a filter says *no* for certain and *maybe* for all others.
//!
//! Marks of consecutive blocks of one segment are gathered until they fill a page; a block with more gets several pages, and a mark belongs to
//! one of them. With sixteen bits for a mark and six of them set, less than one in a thousand strangers is taken for somebody who is
//! there. What that costs is a look at the blocks in vain. Whoever grinds an address that makes somebody look in vain could as well have
//! paid them something, so nothing here is keyed.

use crate::types::{Address, MarketId};

/// What a page holds beside its checksum.
pub(super) const PAGE_BITS_BYTES: usize = 4092;
const BITS: u64 = PAGE_BITS_BYTES as u64 * 8;
/// Marks per page: sixteen bits for each.
pub(super) const PAGE_MARKS: usize = PAGE_BITS_BYTES / 2;
const BITS_SET: u64 = 6;

/// Somebody or something that blocks concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(super) fn account(account: &Address) -> Self {
        let (halves, _) = account.0.as_chunks::<8>();
        Self(halves.iter().fold(0, |mark, half| mix(mark ^ u64::from_le_bytes(*half))))
    }

    pub(super) const fn market(market: MarketId) -> Self {
        Self(mix(u64::from_le_bytes(*b"market \0") ^ (market.0 as u64) << 32))
    }

    /// Which of some pages it belongs to.
    fn page(self, pages: usize) -> usize {
        usize::try_from(((self.0 >> 32).saturating_mul(pages as u64)) >> 32).unwrap_or(0)
    }

    /// The bits of its page that it sets.
    fn bits(self) -> impl Iterator<Item = (usize, u8)> {
        // The high bits have chosen the page.
        let (start, step) = (mix(self.0) & 0xffff_ffff, (mix(self.0) >> 32) | 1);
        let bit = move |n: u64| start.wrapping_add(step.wrapping_mul(n)) % BITS;
        (0..BITS_SET).map(move |n| ((bit(n) / 8) as usize, 1 << (bit(n) % 8)))
    }
}

/// Stirs 64 bits: each of them depends on each.
const fn mix(mut bits: u64) -> u64 {
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xe9b5_dba5_8a1c_4d6b);
    bits ^= bits >> 29;
    bits = bits.wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 32)
}

/// Whom consecutive blocks concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub first: u64,
    pub last: u64,
    /// One page behind the other, none for blocks that concern nobody.
    pub pages: Vec<u8>,
}

impl Chunk {
    pub(super) fn new(first: u64, last: u64, marks: &[Mark]) -> Self {
        let count = marks.len().div_ceil(PAGE_MARKS);
        let mut pages = vec![0_u8; count * PAGE_BITS_BYTES];
        for mark in marks {
            let page = mark.page(count) * PAGE_BITS_BYTES;
            for (byte, bit) in mark.bits() {
                if let Some(byte) = pages.get_mut(page + byte) {
                    *byte |= bit;
                }
            }
        }
        Self { first, last, pages }
    }

    pub(super) fn may_concern(&self, mark: Mark) -> bool {
        let count = self.pages.len() / PAGE_BITS_BYTES;
        let page = page_of(mark, count).and_then(|page| self.pages.get(page * PAGE_BITS_BYTES..));
        page.is_some_and(|page| may_hold(page, mark))
    }
}

/// Which of some pages may hold a mark; `None` if there is no page.
pub(super) fn page_of(mark: Mark, pages: usize) -> Option<usize> {
    (pages > 0).then(|| mark.page(pages))
}

/// Whether a page may hold a mark that belongs to it.
pub(super) fn may_hold(page: &[u8], mark: Mark) -> bool {
    mark.bits().all(|(byte, bit)| page.get(byte).is_some_and(|byte| byte & bit != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(n: u64) -> Mark {
        let mut address = [0; 32];
        address[..8].copy_from_slice(&n.to_le_bytes());
        Mark::account(&Address(address))
    }

    #[test]
    fn nobody_is_missed_and_few_strangers_are_taken_in() {
        for count in [1, 7, PAGE_MARKS, PAGE_MARKS + 1, 33_000] {
            let marks: Vec<Mark> = (0..count as u64).map(mark).collect();
            let chunk = Chunk::new(1, 9, &marks);
            assert_eq!(chunk.pages.len(), count.div_ceil(PAGE_MARKS) * PAGE_BITS_BYTES);
            assert!(marks.iter().all(|&mark| chunk.may_concern(mark)), "{count}");
            let strangers = (1 << 40..(1 << 40) + 20_000).filter(|&n| chunk.may_concern(mark(n))).count();
            assert!(strangers < 40, "{count}: {strangers} of 20,000 strangers");
        }
        assert!(!Chunk::new(1, 1, &[]).may_concern(mark(1)));
        assert_ne!(Mark::market(MarketId(1)), Mark::market(MarketId(2)));
    }
}
