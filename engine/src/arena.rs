//! Memory in large pages for what is looked up at random.
//!
//! Finding where an address lies costs more than fetching what is there, above all in a virtual machine: in small pages a random look-up
//! into a hundred megabytes takes twice as long. So accounts, addresses and the index are in pieces that are cut from slabs of whole large pages, which the
//! system is asked for before they are touched. A piece that is dropped, by whatever thread, goes back to its arena and is given out
//! again. When the arena and all its pieces are gone, so are the slabs.
//!
//! Sizes of pieces are powers of two from 16 KB to a large page. What is smaller comes from the usual allocator, and what is larger gets large
//! pages of its own.
#![allow(unsafe_code, reason = "memory that is cut up and given back from any thread has no safe form")]

use parking_lot::Mutex;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// A large page.
const LARGE: usize = 2 << 20;
/// The smallest piece that is cut from a slab.
const PIECE_MIN: usize = 16 << 10;
const CLASSES: usize = (LARGE / PIECE_MIN).trailing_zeros() as usize + 1;
/// Slabs grow with what there is already, up to this.
const SLAB_MAX: usize = 16 * LARGE;
/// What is in a piece is aligned to this at most: a cache line.
const ALIGN: usize = 64;

/// Memory by its first byte. Whoever has one may write to all of it.
#[derive(Debug)]
struct Raw(NonNull<u8>);

// SAFETY: it is an address; holding one means owning the memory, whichever thread that is.
unsafe impl Send for Raw {}

#[derive(Debug, Default)]
struct Slabs {
    /// By class: pieces to be given out.
    free: [Vec<Raw>; CLASSES],
    /// Every slab with its size, until the arena goes.
    all: Vec<(Raw, usize)>,
    /// What is left of the newest slab: large pages to be cut.
    rest: Vec<Raw>,
    bytes: usize,
}

impl Slabs {
    fn take(&mut self, class: usize) -> Raw {
        if let Some(raw) = self.free[class].pop() {
            return raw;
        }
        let Raw(page) = self.page();
        // The page is cut into pieces of this class; the first is given out, the others wait, the lowest on top.
        let piece = PIECE_MIN << class;
        for offset in (piece..LARGE).step_by(piece).rev() {
            // SAFETY: `offset` lies in the page, which is LARGE bytes of one allocation.
            self.free[class].push(Raw(unsafe { page.add(offset) }));
        }
        Raw(page)
    }

    fn page(&mut self) -> Raw {
        if let Some(page) = self.rest.pop() {
            return page;
        }
        // As much again as there is; a small ledger's first page isn't made large.
        let bytes = self.bytes.clamp(LARGE, SLAB_MAX) / LARGE * LARGE;
        let slab = allocate(bytes, LARGE);
        if self.bytes > 0 {
            ask_for_large_pages(slab, bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.all.push((Raw(slab), bytes));
        for offset in (LARGE..bytes).step_by(LARGE).rev() {
            // SAFETY: `offset` lies in the slab, which is `bytes` bytes of one allocation.
            self.rest.push(Raw(unsafe { slab.add(offset) }));
        }
        Raw(slab)
    }
}

/// Where slabs are, and what of them is free.
#[derive(Debug, Default)]
struct Shared(Mutex<Slabs>);

impl Drop for Shared {
    fn drop(&mut self) {
        for (Raw(slab), bytes) in self.0.get_mut().all.drain(..) {
            // SAFETY: it was allocated with this layout in `page`. Every piece of it holds the arena, so none is left.
            unsafe { dealloc(slab.as_ptr(), layout(bytes, LARGE)) };
        }
    }
}

/// Where pieces come from and go back to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arena(Arc<Shared>);

impl Arena {
    /// A piece with `len` values.
    pub(crate) fn piece<T>(&self, len: usize, mut value: impl FnMut(usize) -> T) -> Piece<T> {
        const { assert!(align_of::<T>() <= ALIGN && size_of::<T>() > 0) };
        let bytes = len.saturating_mul(size_of::<T>());
        if bytes == 0 {
            return Piece::default();
        }
        let start = self.take(bytes).cast::<T>();
        for place in 0..len {
            // SAFETY: the memory has room for `len` values, is aligned for them, and is nobody else's. If `value` panics, it is lost.
            unsafe { start.add(place).write(value(place)) };
        }
        Piece { start, len, arena: Some(self.clone()) }
    }

    fn take(&self, bytes: usize) -> NonNull<u8> {
        match class_of(bytes) {
            Some(class) => self.0.0.lock().take(class).0,
            None if bytes < PIECE_MIN => allocate(bytes, ALIGN),
            None => {
                let start = allocate(bytes, LARGE);
                ask_for_large_pages(start, bytes / LARGE * LARGE);
                start
            }
        }
    }

    /// Takes back what was taken as so many bytes.
    fn give_back(&self, start: NonNull<u8>, bytes: usize) {
        match class_of(bytes) {
            Some(class) => self.0.0.lock().free[class].push(Raw(start)),
            None => {
                let align = if bytes < PIECE_MIN { ALIGN } else { LARGE };
                // SAFETY: it was allocated with this layout in `take`, and nobody else has it.
                unsafe { dealloc(start.as_ptr(), layout(bytes, align)) };
            }
        }
    }
}

/// Which pieces a number of bytes is cut from; `None` if it isn't.
fn class_of(bytes: usize) -> Option<usize> {
    let is_cut = (PIECE_MIN..=LARGE).contains(&bytes);
    is_cut.then(|| (bytes.next_power_of_two() / PIECE_MIN).trailing_zeros() as usize)
}

/// Values in memory of an arena.
#[derive(Debug)]
pub(crate) struct Piece<T> {
    start: NonNull<T>,
    len: usize,
    /// Where its memory goes back to; nothing for no values.
    arena: Option<Arena>,
}

// Lists of them are read at random.
const _: () = assert!(size_of::<Piece<u64>>() == 24);

impl<T> Drop for Piece<T> {
    fn drop(&mut self) {
        if let Some(arena) = &self.arena {
            // SAFETY: `piece` has written all of them, and this was their last use.
            unsafe { std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.len).drop_in_place() };
            // It was taken as so many, so this isn't too large.
            arena.give_back(self.start.cast(), self.len.saturating_mul(size_of::<T>()));
        }
    }
}

// SAFETY: a piece owns its values as a boxed slice would.
unsafe impl<T: Send> Send for Piece<T> {}
// SAFETY: a shared piece gives shared values and nothing else.
unsafe impl<T: Sync> Sync for Piece<T> {}

impl<T> Default for Piece<T> {
    fn default() -> Self {
        Self { start: NonNull::dangling(), len: 0, arena: None }
    }
}

impl<T> Deref for Piece<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `piece` has written `len` values from `start` on, in memory that is this piece's as long as it is there.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Piece<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the piece is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Clone> Clone for Piece<T> {
    fn clone(&self) -> Self {
        match &self.arena {
            Some(arena) => arena.piece(self.len, |place| self[place].clone()),
            None => Self::default(),
        }
    }
}

/// Values in memory of an arena that several hold: what can be written to through a shared reference, or nobody writes to.
#[derive(Debug)]
pub(crate) struct Common<T> {
    /// Where the values of `piece` begin, so that finding one takes no look at that.
    start: NonNull<T>,
    len: u32,
    piece: Arc<Piece<T>>,
}

// SAFETY: it gives shared values to whoever has it, and drops them wherever the last one is dropped: what an `Arc` of a piece does.
unsafe impl<T: Send + Sync> Send for Common<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Common<T> {}

impl<T> From<Piece<T>> for Common<T> {
    fn from(piece: Piece<T>) -> Self {
        // There are never so many in a piece.
        let len = u32::try_from(piece.len).unwrap_or(u32::MAX);
        Self { start: piece.start, len, piece: Arc::new(piece) }
    }
}

impl<T> Clone for Common<T> {
    fn clone(&self) -> Self {
        Self { start: self.start, len: self.len, piece: self.piece.clone() }
    }
}

impl<T> Default for Common<T> {
    fn default() -> Self {
        Piece::default().into()
    }
}

impl<T> Deref for Common<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: these are the first `len` values of the piece, at most all of them. It stays as long as this does, its memory stays where it
        // is, and nobody gets it for writing: `piece` is given to nobody.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len as usize) }
    }
}

impl<T: Clone> Common<T> {
    /// Copies the values if anybody else holds them.
    pub(crate) fn make_own(&mut self) {
        if Arc::get_mut(&mut self.piece).is_none() {
            *self = Piece::clone(&self.piece).into();
        }
    }
}

fn layout(bytes: usize, align: usize) -> Layout {
    // Neither is ever so large; if one were, there would be no memory for it.
    Layout::from_size_align(bytes, align).unwrap_or(Layout::new::<u8>())
}

fn allocate(bytes: usize, align: usize) -> NonNull<u8> {
    let layout = layout(bytes, align);
    assert!(layout.size() == bytes && bytes > 0, "memory of {bytes} bytes can be asked for");
    // SAFETY: the size isn't zero.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Asks for large pages where nothing has been touched yet. Where the system has none to give, it stays as it is.
fn ask_for_large_pages(start: NonNull<u8>, bytes: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        // SAFETY: the range is part of one allocation and changes neither its content nor its addresses.
        let _ = unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (start, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_every_size_keep_their_values_and_go_back() {
        let arena = Arena::default();
        let all = [0, 1, 100, PIECE_MIN / 8 - 1, PIECE_MIN / 8, PIECE_MIN / 4, 100_000, LARGE / 8, LARGE / 8 + 1];
        // An interpreter takes a thousand times as long.
        let sizes = if cfg!(miri) { &all[..5] } else { &all[..] };
        let make =
            || -> Vec<Piece<u64>> { sizes.iter().map(|&len| arena.piece(len, |place| (place ^ len) as u64)).collect() };
        let (one, mut other) = (make(), make());
        for (piece, &len) in other.iter_mut().zip(sizes) {
            assert!(piece.as_ptr().addr().is_multiple_of(8) && piece.len() == len);
            piece.iter_mut().for_each(|value| *value = !*value);
        }
        let third = one.clone();
        drop(other);
        for (piece, len) in one.iter().chain(&third).chain(&make()).zip(sizes.iter().cycle()) {
            assert!(piece.iter().enumerate().all(|(place, &value)| value == (place ^ len) as u64), "{len}");
        }
    }

    #[test]
    fn what_several_hold_is_written_by_one_and_read_by_others_until_the_last_lets_go() {
        use std::sync::atomic::{AtomicU64, Ordering};
        let arena = Arena::default();
        for len in [0, 5, PIECE_MIN / 8] {
            let own: Common<AtomicU64> = arena.piece(len, |_| AtomicU64::new(7)).into();
            let other = own.clone();
            let reading =
                std::thread::spawn(move || other.iter().all(|value| [7, 8].contains(&value.load(Ordering::Relaxed))));
            own.iter().for_each(|value| value.store(8, Ordering::Relaxed));
            drop(own);
            assert!(reading.join().unwrap());
            let mut own: Common<u64> = arena.piece(len, |place| place as u64).into();
            let other = own.clone();
            own.make_own();
            assert!(*own == *other && (len == 0 || own.as_ptr() != other.as_ptr()));
            let before = own.as_ptr();
            own.make_own();
            assert_eq!((own.as_ptr(), own.len()), (before, len));
        }
        assert!(Common::<u64>::default().is_empty());
    }

    #[test]
    fn values_that_own_something_are_cloned_and_dropped_once() {
        let value = Arc::new(7);
        let arena = Arena::default();
        let piece = arena.piece(3_000, |_| value.clone());
        let copy = piece.clone();
        assert_eq!((Arc::strong_count(&value), *copy[2_999]), (6_001, 7));
        drop(piece);
        assert_eq!(Arc::strong_count(&value), 3_001);
        drop(copy);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn what_is_dropped_is_given_out_again_from_whatever_thread() {
        let arena = Arena::default();
        let count = if cfg!(miri) { 4 } else { 1_000 };
        let pieces: Vec<Piece<u32>> = (0..count).map(|_| arena.piece(4096, |_| 7)).collect();
        let bytes = arena.0.0.lock().bytes;
        assert!((count * PIECE_MIN..(2 * count * PIECE_MIN).max(2 * LARGE)).contains(&bytes), "{bytes}");
        for _ in 0..3 {
            let copy = pieces.clone();
            let after = arena.0.0.lock().bytes;
            assert!(after <= (4 * count * PIECE_MIN).max(2 * LARGE), "{after}");
            std::thread::spawn(move || drop(copy)).join().unwrap();
        }
        drop(arena);
        assert!(pieces.iter().all(|piece| piece.iter().all(|&value| value == 7)));
    }
}
