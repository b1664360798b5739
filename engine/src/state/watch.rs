//! Accounts as they were after a block, for somebody who goes through them all while the owner goes on.
//!
//! Nothing is copied when it begins. Before an account changes for the first time since then, the owner saves what it was; the reader
//! takes an account from where it lies if it hasn't changed, and else from what was saved. What lies below the place that the reader has
//! come to isn't saved any more. So it costs as much memory as is changed ahead of the reader, and the owner a cache line at the first
//! change, written behind the one before.
//!
//! # Why what the reader finds is what was there
//!
//! The owner saves an account before it marks it as changed, and marks it before it changes anything else. The reader looks at the mark
//! after it has read everything else ([`AccountCell`]). If the mark is an old one, nothing that was read is new. If it is a new one, what was
//! saved is there: nobody writes there any more, and the mark was set after it and is read before it.

use super::Slot;
use super::account::{Account, AccountCell, BlockMark};
use super::layout::{Layout, Place};
use super::prefetch::prefetch;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// What was saved for one reader.
#[derive(Debug)]
pub(super) struct Watch {
    /// The block after which it is: later changes are saved.
    block: BlockMark,
    /// How many accounts there were.
    len: u32,
    layout: Layout,
    /// Slots below this aren't asked for any more.
    passed: AtomicU32,
    /// Nothing is asked for any more.
    ended: AtomicBool,
    shards: Box<[SavedShard]>,
}

/// What was saved of a shard, by its one writer.
#[derive(Debug)]
#[repr(align(64))]
struct SavedShard {
    /// How much.
    count: AtomicU32,
    /// In the order in which it was saved: as many to a piece as there are on a page.
    saved: Box<[OnceLock<Box<[AccountCell]>>]>,
    /// By page, then offset: 1 + place among those saved; 0 = none.
    places: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl Watch {
    pub(super) fn new(block: BlockMark, len: u32, layout: Layout) -> Self {
        // Of some shards that is one page too many.
        let pages = (layout.page(Slot(len)) as usize / layout.shards()).saturating_add(1);
        let shard = |_| SavedShard {
            count: AtomicU32::new(0),
            saved: (0..pages).map(|_| OnceLock::new()).collect(),
            places: (0..pages).map(|_| OnceLock::new()).collect(),
        };
        let shards = (0..layout.shards()).map(shard).collect();
        Self { block, len, layout, passed: AtomicU32::new(0), ended: AtomicBool::new(false), shards }
    }

    pub(super) const fn block(&self) -> BlockMark {
        self.block
    }

    /// Whether nobody asks any more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Saves an account that is going to be changed. Only the owner of its shard does this.
    #[inline]
    pub(super) fn save(&self, place: Place, account: &Account) {
        let Slot(slot) = self.layout.slot(place);
        let is_asked_for = (self.passed.load(Ordering::Relaxed)..self.len).contains(&slot);
        if is_asked_for && account.changed.block() <= self.block {
            self.save_asked_for(place, account);
        }
    }

    fn save_asked_for(&self, place: Place, account: &Account) {
        let Some(SavedShard { count, saved, places }) = self.shards.get(place.shard) else { return };
        let length = self.layout.page_len();
        let number = count.load(Ordering::Relaxed);
        let (piece, at) = (number as usize / length, number as usize % length);
        let cells =
            saved.get(piece).map(|cells| cells.get_or_init(|| (0..length).map(|_| AccountCell::default()).collect()));
        let places = places
            .get(place.page)
            .map(|places| places.get_or_init(|| (0..length).map(|_| AtomicU32::new(0)).collect()));
        let (Some(cell), Some(own)) =
            (cells.and_then(|cells| cells.get(at)), places.and_then(|places| places.get(place.offset)))
        else {
            debug_assert!(false, "an account is saved once");
            return;
        };
        cell.set(account);
        // The reader sees both with the mark that the account gets next.
        own.store(number.saturating_add(1), Ordering::Relaxed);
        count.store(number.saturating_add(1), Ordering::Relaxed);
    }

    /// What an account was before it changed, for who has seen that it did.
    pub(super) fn find(&self, place: Place) -> Option<Account> {
        self.saved(place).map(AccountCell::get)
    }

    /// Brings closer what was saved of an account, if it is at hand that it changed.
    pub(super) fn prefetch(&self, place: Place, cell: &AccountCell) {
        if cell.changed().block() > self.block
            && let Some(saved) = self.saved(place)
        {
            prefetch(saved);
        }
    }

    fn saved(&self, place: Place) -> Option<&AccountCell> {
        let SavedShard { saved, places, .. } = self.shards.get(place.shard)?;
        let own = places.get(place.page)?.get()?.get(place.offset)?.load(Ordering::Relaxed).checked_sub(1)?;
        let length = self.layout.page_len();
        saved.get(own as usize / length)?.get()?.get(own as usize % length)
    }
}

/// The reader's end of it.
#[derive(Clone, Debug)]
pub(super) struct Watching(Arc<Ending>);

#[derive(Debug)]
struct Ending(Arc<Watch>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

impl Watching {
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self(Arc::new(Ending(watch)))
    }

    #[inline]
    pub(super) fn watch(&self) -> &Watch {
        &self.0.0
    }

    /// Says that slots below this aren't asked for any more.
    pub(super) fn pass(&self, slot: Slot) {
        self.watch().passed.store(slot.0, Ordering::Relaxed);
    }
}
