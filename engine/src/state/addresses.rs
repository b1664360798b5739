//! The addresses of all accounts by slot, readable beside their one writer.
//!
//! An account keeps its address and its slot for ever, so whoever has read a pair of them once may rely on it. The owner enters an
//! address before it enters the slot into the index, and says after each block how many accounts have come to stay: below that
//! number nothing changes any more, and any thread reads what it likes without a lock. What lies above may still be taken back with a
//! transaction that is rejected, and is the owner's alone.
//!
//! Segments of [`SEGMENT`] addresses are made as they are needed and stay where they are, so growing moves nothing.

use super::index::Slot;
use super::prefetch::prefetch;
use crate::arena::{Arena, Piece};
use crate::types::Address;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const SEGMENT_BITS: u32 = 12;
/// Addresses in a segment, 128 KB of them.
const SEGMENT: usize = 1 << SEGMENT_BITS;
const SHELF_BITS: u32 = 10;
/// Segments on a shelf, and shelves.
const SHELF: usize = 1 << SHELF_BITS;

// Every slot has a place.
const _: () = assert!(SEGMENT_BITS + 2 * SHELF_BITS == 32);

/// An address in four words, so that half a cache line holds it whole.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(super) struct Cell([AtomicU64; 4]);

impl Cell {
    fn set(&self, address: &Address) {
        for (word, bytes) in self.0.iter().zip(address.0.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// Writes it into 32 bytes.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8]) {
        for (word, bytes) in self.0.iter().zip(out.as_chunks_mut::<8>().0) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Address {
        let mut address = Address::default();
        self.write(&mut address.0);
        address
    }

    #[inline]
    fn is(&self, address: &Address) -> bool {
        let words = self.0.iter().zip(address.0.as_chunks::<8>().0);
        words.fold(0, |odd, (word, bytes)| odd | (word.load(Ordering::Relaxed) ^ u64::from_le_bytes(*bytes))) == 0
    }
}

/// The segment an address is in, and its place there.
#[inline]
pub(super) const fn segment_of(slot: Slot) -> (u32, usize) {
    (slot.0 >> SEGMENT_BITS, slot.0 as usize % SEGMENT)
}

type Segment = Piece<Cell>;
type Shelf = Box<[OnceLock<Segment>]>;

/// The table. Its owner writes; everybody reads.
#[derive(Debug)]
pub(super) struct Addresses {
    shelves: Box<[OnceLock<Shelf>]>,
    /// Accounts that have come to stay.
    settled: AtomicU32,
    arena: Arena,
}

impl Addresses {
    pub(super) fn new(arena: Arena) -> Self {
        Self { shelves: (0..SHELF).map(|_| OnceLock::new()).collect(), settled: AtomicU32::new(0), arena }
    }

    #[inline]
    pub(super) fn cell(&self, slot: Slot) -> Option<&Cell> {
        let (segment, place) = segment_of(slot);
        self.made(segment)?.get(place)
    }

    /// The addresses of a segment; none if there is no such segment yet.
    pub(super) fn segment(&self, segment: u32) -> &[Cell] {
        self.made(segment).map(|segment| &**segment).unwrap_or_default()
    }

    #[inline]
    fn made(&self, segment: u32) -> Option<&Segment> {
        let segment = segment as usize;
        self.shelves.get(segment >> SHELF_BITS)?.get()?.get(segment % SHELF)?.get()
    }

    /// Enters the address of a new account. Only the owner of the state does this.
    pub(super) fn set(&self, slot: Slot, address: &Address) {
        let (segment, place) = segment_of(slot);
        let segment = segment as usize;
        let shelf = self.shelves[segment >> SHELF_BITS].get_or_init(|| (0..SHELF).map(|_| OnceLock::new()).collect());
        let cells = shelf[segment % SHELF].get_or_init(|| self.arena.piece(SEGMENT, |_| Cell::default()));
        cells[place].set(address);
    }

    /// The address at a slot. What is there says nothing unless an account is known to have that slot.
    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<Address> {
        self.cell(slot).map(Cell::get)
    }

    /// Whether this address stands at a slot.
    #[inline]
    pub(super) fn is(&self, slot: Slot, address: &Address) -> bool {
        self.cell(slot).is_some_and(|cell| cell.is(address))
    }

    /// Brings an address closer.
    #[inline]
    pub(super) fn prefetch(&self, slot: Slot) {
        if let Some(cell) = self.cell(slot) {
            prefetch(cell);
        }
    }

    /// Says that so many accounts have come to stay.
    pub(super) fn settle(&self, accounts: u32) {
        // With what the readers acquire this makes everything entered before visible to them.
        self.settled.store(accounts, Ordering::Release);
    }

    /// Accounts that have come to stay: of slots below this a reader may rely on what it finds.
    #[inline]
    pub(super) fn settled(&self) -> u32 {
        self.settled.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn address(n: u32) -> Address {
        let mut bytes = [0xa5; 32];
        bytes[13..17].copy_from_slice(&n.to_le_bytes());
        Address(bytes)
    }

    #[test]
    fn readers_find_every_address_that_has_settled_while_the_owner_enters_more() {
        let (addresses, ended) = (Addresses::new(Arena::default()), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        let settled = addresses.settled();
                        for slot in (0..settled).rev().take(300) {
                            assert!(addresses.is(Slot(slot), &address(slot)), "slot {slot} of {settled}");
                        }
                    }
                });
            }
            // An interpreter takes a thousand times as long.
            let count = if cfg!(miri) { 60 } else { 20_000 };
            for n in 0..count {
                // One that is taken back and another that gets its place.
                addresses.set(Slot(n), &address(!n));
                addresses.set(Slot(n), &address(n));
                if n % 7 == 0 {
                    addresses.settle(n + 1);
                }
            }
            ended.store(true, Ordering::Relaxed);
        });
        assert_eq!(addresses.get(Slot(59)), Some(address(59)));
        assert!(!addresses.is(Slot(5), &address(6)) && !addresses.is(Slot(u32::MAX), &address(6)));
        addresses.set(Slot(u32::MAX - 1), &address(9));
        assert!(addresses.is(Slot(u32::MAX - 1), &address(9)));
    }
}
