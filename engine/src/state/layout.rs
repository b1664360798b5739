//! Where accounts lie: in pages by slot, and pages in shards in turn. None of it ever shows.

use super::Slot;

/// How accounts are spread over shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    shards: u32,
    page_bits: u32,
    /// ⌈2⁶⁴ / shards⌉: multiplying by it divides (Lemire, Kaser, Kurz 2019). 0 for one shard.
    inverse: u64,
}

impl Layout {
    /// Enough shards for many threads; pages of 64 KB: so large that the list of those of ten million accounts stays in the cache and is
    /// shared in a millisecond, small enough that one is copied in some microseconds and the copies of a busy time spread out.
    pub(crate) const DEFAULT: Self = Self::new(64, 10);

    /// `shards` in [1, 1024], pages of `2^page_bits` accounts, at most 4,096.
    pub(crate) const fn new(shards: u32, page_bits: u32) -> Self {
        assert!(shards >= 1 && shards <= 1024 && page_bits <= 12);
        Self { shards, page_bits, inverse: (u64::MAX / shards as u64).wrapping_add(1) }
    }

    /// Where an account lies.
    #[inline]
    pub(crate) fn place(self, slot: Slot) -> Place {
        let Place { shard, page, .. } = self.place_of_page(self.page(slot));
        Place { shard, page, offset: self.offset(slot) }
    }

    /// The page an account is on.
    #[inline]
    pub(super) const fn page(self, slot: Slot) -> u32 {
        slot.0 >> self.page_bits
    }

    /// Which account of its page it is.
    #[inline]
    pub(super) const fn offset(self, slot: Slot) -> usize {
        (slot.0 & ((1 << self.page_bits) - 1)) as usize
    }

    /// The first account on a page.
    #[inline]
    pub(super) const fn first_on(self, page: u32) -> Slot {
        Slot(page << self.page_bits)
    }

    /// Where the first account of a page lies.
    #[inline]
    pub(super) fn place_of_page(self, page: u32) -> Place {
        let own = if self.shards == 1 { page } else { high(u128::from(page) * u128::from(self.inverse)) };
        let shard = page - own * self.shards;
        Place { shard: shard as usize, page: own as usize, offset: 0 }
    }

    /// The page that a shard has at a place of its own.
    pub(super) const fn page_of(self, shard: u32, own: u32) -> u32 {
        own.saturating_mul(self.shards).saturating_add(shard)
    }

    /// The account that lies at a place.
    pub(super) fn slot(self, Place { shard, page, offset }: Place) -> Slot {
        // None of them is ever so large.
        let [shard, page, offset] = [shard, page, offset].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Slot(self.first_on(self.page_of(shard, page)).0.saturating_add(offset))
    }

    /// How many shards there are.
    pub(crate) const fn shards(self) -> usize {
        self.shards as usize
    }

    /// Accounts on a page.
    pub(super) const fn page_len(self) -> usize {
        1 << self.page_bits
    }
}

/// The upper half of a product of two words; the quotient, which is no larger than a page number.
#[inline]
fn high(product: u128) -> u32 {
    u32::try_from(product >> 64).unwrap_or(u32::MAX)
}

/// Where an account lies: its shard, the page of that shard, the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(super) page: usize,
    pub(super) offset: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own_in_every_layout() {
        for (shards, page_bits) in [(1, 0), (2, 0), (7, 0), (64, 8), (3, 2), (1000, 1)] {
            let layout = Layout::new(shards, page_bits);
            for page in (0..5_000).chain(u32::MAX - 3..=u32::MAX).map(|page| page >> page_bits) {
                let slot = Slot(page << page_bits);
                let expected = Place { shard: (page % shards) as usize, page: (page / shards) as usize, offset: 0 };
                assert_eq!(layout.place(slot), expected, "{layout:?}, page {page}");
                assert_eq!(layout.slot(expected), slot);
            }
        }
        assert_eq!(Layout::DEFAULT.place(Slot(64 * 1024 + 5)), Place { shard: 0, page: 1, offset: 5 });
    }
}
