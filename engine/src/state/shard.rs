//! Some of the accounts, with all that one writer needs to change them.
//!
//! Pages are written to in place, word by word, beside those who read them (see `account.rs` and `watch.rs`). Only of a page that a
//! snapshot may hold the owner makes a copy first.

use super::account::{Account, AccountCell, BlockMark, FurtherLanes, LastChange, NO_ASSET, Record};
use super::balance::Balance;
use super::changed::Changed;
use super::further::FurtherBalances;
use super::index::Slot;
use super::layout::{Layout, Place};
use super::pages::{Pages, SharedPages};
use super::prefetch::prefetch;
use super::watch::Watch;
use super::window::Window;
use crate::arena::{Arena, Common};
use crate::types::{Amount, AssetId};
use std::sync::Arc;

const SIDE_PAGE_BITS: u32 = 8;

/// Some of the accounts, with their side tables. An entry of a side table is sorted by asset or by lane.
///
/// What a rejected transaction has opened of a side table stays there empty; whether it does can't be seen from outside.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    pages: Vec<Page>,
    balances: Pages<FurtherBalances, SIDE_PAGE_BITS>,
    lanes: Pages<FurtherLanes, SIDE_PAGE_BITS>,
    /// What the present block has changed of it.
    pub(super) changed: Changed,
    /// The block in the making.
    pub(super) block: BlockMark,
    /// The newest block that somebody watches the accounts of; what was last changed no later is saved before it changes.
    pub(super) watched: Option<BlockMark>,
    pub(super) watches: Vec<Arc<Watch>>,
}

/// What a change of a balance has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) balance: Balance,
    /// What the account said of its changes.
    changed: LastChange,
    /// Whether it was among those that the block has changed.
    was_entered: bool,
}

/// Accounts that lie together.
#[derive(Debug)]
struct Page {
    cells: Common<AccountCell>,
    /// Whether a snapshot may hold them, so that they are copied before they are written to.
    is_kept: bool,
}

// The list of pages is read at random.
const _: () = assert!(size_of::<Page>() == 32);

impl Shard {
    pub(super) fn new(layout: Layout, arena: &Arena) -> Self {
        Self {
            pages: Vec::new(),
            balances: Pages::new(arena.clone()),
            lanes: Pages::new(arena.clone()),
            changed: Changed::new(layout),
            block: BlockMark::FIRST,
            watched: None,
            watches: Vec::new(),
        }
    }

    pub(super) fn add_page(&mut self, cells: Common<AccountCell>) {
        self.pages.push(Page { cells, is_kept: false });
        self.changed.add_page();
    }

    /// Entries of the side table of balances.
    #[cfg(test)]
    pub(super) const fn further_count(&self) -> u32 {
        self.balances.len()
    }

    pub(super) const fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Puts an account with what it has in the side tables; `None` if those are full.
    pub(super) fn fill(
        &mut self,
        place: Place,
        mut account: Account,
        further: Option<FurtherBalances>,
        lanes: Option<FurtherLanes>,
    ) -> Option<()> {
        if let Some(further) = further {
            account.balances = self.balances.push(further)?.checked_add(1)?;
        }
        if let Some(lanes) = lanes {
            account.lanes = self.lanes.push(lanes)?.checked_add(1)?;
        }
        self.put(place, &account);
        Some(())
    }

    /// The accounts of a page.
    #[inline]
    pub(super) fn page(&self, page: usize) -> &[AccountCell] {
        self.pages.get(page).map(|page| &*page.cells).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn get(&self, place: Place) -> Option<Account> {
        self.cell(place).map(AccountCell::get)
    }

    #[inline(always)]
    pub(super) fn cell(&self, place: Place) -> Option<&AccountCell> {
        self.page(place.page).get(place.offset)
    }

    /// The account at a place, which is going to be changed: whoever wants to keep it as it is has it.
    #[inline(always)]
    pub(super) fn change(&mut self, place: Place) -> Option<&AccountCell> {
        let page = self.pages.get_mut(place.page)?;
        if page.is_kept {
            page.copy();
        }
        let cell = page.cells.get(place.offset)?;
        if self.watched.is_some_and(|watched| cell.changed().block() <= watched) {
            save(&self.watches, cell, place.shard, place.page, place.offset);
        }
        Some(cell)
    }

    /// Writes an account as it is after a change.
    #[inline]
    fn put(&mut self, place: Place, account: &Account) {
        if let Some(cell) = self.change(place) {
            cell.set(account);
        }
    }

    /// The account at a place, to be changed and put back: marked as changed by the block in the making.
    #[inline]
    fn touch(&self, place: Place) -> Option<Account> {
        let mut account = self.get(place)?;
        account.changed = account.changed.touched(self.block);
        Some(account)
    }

    /// The block in the making.
    #[inline]
    pub(super) const fn block(&self) -> BlockMark {
        self.block
    }

    #[inline]
    pub(super) fn record(&self, place: Place) -> Option<Record<'_>> {
        Some(self.record_of(self.get(place)?))
    }

    /// An account of this shard with what it has in the side tables.
    #[inline]
    pub(super) fn record_of(&self, account: Account) -> Record<'_> {
        record(account, |place| self.balances.get(place), |place| self.lanes.get(place))
    }

    /// What an account can spend of an asset.
    #[inline]
    pub(super) fn available(&self, place: Place, asset: AssetId) -> Amount {
        match self.cell(place) {
            Some(cell) if cell.asset() == asset => cell.available(),
            _ => self.further_balance(place, asset).available,
        }
    }

    /// Leaves an account of this block so much to be spent, without a word that its balance has changed.
    pub(super) fn leave_available(&mut self, place: Place, asset: AssetId, available: Amount) -> Option<()> {
        let cell = self.change(place)?;
        if cell.asset() == asset {
            cell.set_available(available);
            return Some(());
        }
        let entry = cell.get().balances.checked_sub(1)?;
        let own = self.balances.get_mut(entry)?;
        own.set(asset, Balance { available, ..own.get(asset) });
        Some(())
    }

    /// Changes a balance, and enters that this block has.
    #[inline]
    pub(super) fn change_balance(
        &mut self,
        (slot, place): (Slot, Place),
        asset: AssetId,
        change: impl FnOnce(Balance) -> Balance,
    ) -> Option<Before> {
        let block = self.block;
        let cell = self.change(place)?;
        let (first, changed) = (cell.asset(), cell.changed());
        if first != asset && first != NO_ASSET {
            return self.change_further_balance((slot, place), asset, change);
        }
        let balance = cell.balance();
        cell.mark(changed.paid(block));
        if first != asset {
            cell.set_asset(asset);
        }
        cell.set_balance(change(balance));
        Some(Before { balance, changed, was_entered: self.changed.enter(place) })
    }

    /// The same of one that isn't its account's first.
    fn change_further_balance(
        &mut self,
        (slot, place): (Slot, Place),
        asset: AssetId,
        change: impl FnOnce(Balance) -> Balance,
    ) -> Option<Before> {
        let mut account = self.get(place)?;
        let (block, changed, is_new) = (self.block, account.changed, account.balances == 0);
        let entry = open_side_entry(&mut account.balances, &mut self.balances)?;
        account.changed = changed.paid_further(block);
        let cell = self.change(place)?;
        cell.mark(account.changed);
        if is_new {
            cell.set(&account);
        }
        let own = self.balances.get_mut(entry)?;
        let balance = own.get(asset);
        own.set(asset, change(balance));
        self.changed.enter_balance(slot, asset);
        Some(Before { balance, changed, was_entered: self.changed.enter(place) })
    }

    /// Takes the newest change of all back.
    pub(super) fn change_back(&mut self, place: Place, asset: AssetId, before: Before) {
        let block = self.block;
        let Some(cell) = self.change(place) else { return };
        cell.mark(before.changed.touched(block));
        if cell.asset() == asset {
            cell.set_balance(before.balance);
        } else {
            let entry = cell.get().balances.checked_sub(1);
            if let Some(own) = entry.and_then(|entry| self.balances.get_mut(entry)) {
                own.set(asset, before.balance);
            }
            self.changed.take_balance_back(asset);
        }
        if !before.was_entered {
            self.changed.take_back(place);
        }
    }

    /// Brings a record closer.
    #[inline]
    pub(crate) fn prefetch(&self, place: Place) {
        if let Some(cell) = self.cell(place) {
            prefetch(cell);
        }
    }

    /// Brings further balances closer, when the record is at hand.
    #[inline]
    pub(crate) fn prefetch_further(&self, place: Place) {
        self.get(place).iter().for_each(|account| self.prefetch_further_of(account));
    }

    /// Brings one of an account's further balances closer, a step each time: what is in place, then what that leads to.
    #[inline]
    pub(crate) fn prefetch_balance(&self, place: Place, asset: AssetId, is_in_place_at_hand: bool) {
        let Some(account) = self.get(place).filter(|account| account.asset != asset) else { return };
        if is_in_place_at_hand {
            self.prefetch_further_at(&account, asset);
        } else {
            self.prefetch_further_of(&account);
        }
    }

    #[inline]
    pub(super) fn prefetch_further_at(&self, account: &Account, asset: AssetId) {
        let entry = account.balances.checked_sub(1);
        entry.and_then(|entry| self.balances.get(entry)).iter().for_each(|balances| balances.prefetch(asset));
    }

    #[inline]
    pub(super) fn prefetch_further_of(&self, account: &Account) {
        let entry = account.balances.checked_sub(1);
        if let Some(balances) = entry.and_then(|entry| self.balances.get(entry)) {
            prefetch(balances);
        }
    }

    /// What an account holds of an asset that may not be its first.
    #[cold]
    pub(super) fn further_balance(&self, place: Place, asset: AssetId) -> Balance {
        self.record(place).map(|record| record.balance(asset)).unwrap_or_default()
    }

    #[inline]
    pub(super) fn set_first_window(&mut self, place: Place, window: Window) {
        let block = self.block;
        if let Some(cell) = self.change(place) {
            cell.mark(cell.changed().touched(block));
            cell.set_window(window);
        }
    }

    #[inline]
    pub(super) fn set_window(&mut self, place: Place, lane: u16, window: Window) {
        if lane == 0 {
            return self.set_first_window(place, window);
        }
        let Some(mut account) = self.touch(place) else { return };
        let entry = open_side_entry(&mut account.lanes, &mut self.lanes);
        if let Some(lanes) = entry.and_then(|entry| self.lanes.get_mut(entry)) {
            match lanes.binary_search_by_key(&lane, |&(lane, _)| lane) {
                Ok(found) => lanes[found].1 = window,
                Err(at) => lanes.insert(at, (lane, window)),
            }
        }
        self.put(place, &account);
    }

    /// Empties the record of the newest account, and what it has in the side table of balances. (It has used no sequence, so it has
    /// no lanes.)
    pub(super) fn clear(&mut self, place: Place) {
        let Some(account) = self.get(place) else { return };
        self.put(place, &Account::default());
        let Some(entry) = account.balances.checked_sub(1) else { return };
        if entry.checked_add(1) == Some(self.balances.len()) {
            self.balances.pop();
        } else if let Some(balances) = self.balances.get_mut(entry) {
            *balances = FurtherBalances::default();
        }
    }

    /// Forgets when accounts have changed. Who watches them keeps them as they are.
    #[cold]
    pub(super) fn begin_anew(&mut self) {
        for page in &mut self.pages {
            page.copy();
            for cell in page.cells.iter() {
                cell.set(&Account { changed: LastChange::default(), ..cell.get() });
            }
        }
    }

    /// Makes sure that the next writes copy what is here now.
    pub(super) fn keep(&mut self) {
        self.pages.iter_mut().for_each(|page| page.is_kept = true);
    }

    /// The accounts and their side tables, for a reader.
    pub(super) fn share(&mut self) -> SharedShard {
        let (balances, lanes) = (self.balances.share(), self.lanes.share());
        SharedShard { pages: self.pages.iter().map(|page| page.cells.clone()).collect(), balances, lanes }
    }
}

impl Page {
    /// Makes sure that nobody else holds it.
    #[cold]
    fn copy(&mut self) {
        self.cells.make_own();
        self.is_kept = false;
    }
}

/// Saves an account for everybody who watches. Its place comes in words, so that whoever calls this needs no memory for it.
#[cold]
#[inline(never)]
fn save(watches: &[Arc<Watch>], cell: &AccountCell, shard: usize, page: usize, offset: usize) {
    watches.iter().for_each(|watch| watch.save(Place { shard, page, offset }, &cell.get()));
}

/// What a reader keeps of a [`Shard`].
#[derive(Clone, Debug)]
pub(super) struct SharedShard {
    pub(super) pages: Vec<Common<AccountCell>>,
    balances: SharedPages<FurtherBalances, SIDE_PAGE_BITS>,
    lanes: SharedPages<FurtherLanes, SIDE_PAGE_BITS>,
}

impl SharedShard {
    /// An account of this shard with what it had in the side tables.
    #[inline]
    pub(super) fn record_of(&self, account: Account) -> Record<'_> {
        record(account, |place| self.balances.get(place), |place| self.lanes.get(place))
    }
}

#[inline]
fn record<'a>(
    account: Account,
    further: impl FnOnce(u32) -> Option<&'a FurtherBalances>,
    lanes: impl FnOnce(u32) -> Option<&'a FurtherLanes>,
) -> Record<'a> {
    let further = account.balances.checked_sub(1).and_then(further);
    let lanes = account.lanes.checked_sub(1).and_then(lanes).map(Vec::as_slice).unwrap_or_default();
    Record { account, further, lanes }
}

/// Place of a record's side entry, opened if it has none.
fn open_side_entry<T: Clone + Default, const BITS: u32>(link: &mut u32, table: &mut Pages<T, BITS>) -> Option<u32> {
    if *link == 0 {
        *link = table.push(T::default())?.checked_add(1)?;
    }
    link.checked_sub(1)
}
