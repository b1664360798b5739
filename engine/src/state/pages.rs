//! Growing arrays in pages that a reader can keep while the owner goes on writing.
//!
//! A page belongs to the owner until a snapshot is taken, then to both; the owner's next write to a shared page takes it back
//! if the readers are gone and copies it if they aren't. Reading and writing an unshared page costs no atomic operation.

use crate::arena::{Arena, Piece};
use std::ops::DerefMut;
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Page<B> {
    Owned(B),
    Shared(Arc<B>),
}

impl<T, B: DerefMut<Target = [T]> + Clone + Default> Page<B> {
    #[inline]
    pub(super) fn get(&self) -> &[T] {
        match self {
            Self::Owned(items) => items,
            Self::Shared(items) => items,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> &mut [T] {
        if let Self::Shared(_) = self {
            self.take_back();
        }
        match self {
            Self::Owned(items) => items,
            // Never: it was just taken back.
            Self::Shared(_) => &mut [],
        }
    }

    #[cold]
    fn take_back(&mut self) {
        if let Self::Shared(items) = std::mem::replace(self, Self::Owned(B::default())) {
            *self = Self::Owned(Arc::try_unwrap(items).unwrap_or_else(|shared| shared.as_ref().clone()));
        }
    }

    /// The page as it is now, for a reader to keep. The owner's next write leaves the reader's as it was.
    pub(super) fn share(&mut self) -> Arc<B> {
        match self {
            Self::Shared(items) => items.clone(),
            Self::Owned(items) => {
                let shared = Arc::new(std::mem::take(items));
                *self = Self::Shared(shared.clone());
                shared
            }
        }
    }
}

/// An array that grows by whole pages of `2^BITS` items in memory of an arena. Growing copies nothing.
#[derive(Debug)]
pub(super) struct Pages<T, const BITS: u32> {
    pages: Vec<Page<Piece<T>>>,
    len: u32,
    arena: Arena,
}

impl<T: Clone + Default, const BITS: u32> Pages<T, BITS> {
    const MASK: u32 = (1 << BITS) - 1;

    pub(super) const fn new(arena: Arena) -> Self {
        Self { pages: Vec::new(), len: 0, arena }
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.pages.get((place >> BITS) as usize)?.get().get((place & Self::MASK) as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.pages.get_mut((place >> BITS) as usize)?.get_mut().get_mut((place & Self::MASK) as usize)
    }

    /// Appends an item and gives its place. `None` when every place is taken.
    pub(super) fn push(&mut self, item: T) -> Option<u32> {
        let place = self.len;
        let after = place.checked_add(1)?;
        if place & Self::MASK == 0 && self.pages.len() == (place >> BITS) as usize {
            self.pages.push(Page::Owned(self.arena.piece(1 << BITS, |_| T::default())));
        }
        *self.get_mut(place)? = item;
        self.len = after;
        Some(place)
    }

    /// Takes the last item away.
    pub(super) fn pop(&mut self) {
        if let Some(last) = self.len.checked_sub(1) {
            if let Some(item) = self.get_mut(last) {
                *item = T::default();
            }
            self.len = last;
        }
    }

    pub(super) fn share(&mut self) -> SharedPages<T, BITS> {
        SharedPages { pages: self.pages.iter_mut().map(Page::share).collect(), len: self.len }
    }
}

/// What a reader keeps of [`Pages`].
#[derive(Clone, Debug)]
pub(super) struct SharedPages<T, const BITS: u32> {
    pages: Vec<Arc<Piece<T>>>,
    len: u32,
}

impl<T, const BITS: u32> SharedPages<T, BITS> {
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.pages.get((place >> BITS) as usize)?.get((place & ((1 << BITS) - 1)) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_what_was_and_the_owner_goes_on() {
        let mut pages: Pages<u64, 2> = Pages::new(Arena::default());
        for n in 0..10 {
            assert_eq!(pages.push(n), Some(u32::try_from(n).unwrap()));
        }
        let before = pages.share();
        *pages.get_mut(3).unwrap() = 333;
        pages.push(10);
        pages.pop();
        pages.pop();
        let after = pages.share();
        assert_eq!((before.get(3), before.len(), before.get(9)), (Some(&3), 10, Some(&9)));
        assert_eq!((after.get(3), after.len(), pages.len()), (Some(&333), 9, 9));
        assert_eq!(before.get(12), None);
    }
}
