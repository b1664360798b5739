//! All accounts by slot, in shards that can be written side by side.
//!
//! Accounts lie in pages by slot, and pages go to the shards in turn: page `p` to shard `p mod shards`. Each shard has its pages and
//! the side tables of the accounts in them, so that whoever has a shard to itself can do all there is to do to one of its accounts.
//! How many shards there are, and how large pages are, never shows.
//!
//! Addresses, which never change, stand apart for everybody to read.

use super::account::{Account, Balance, BlockMark, Decoded, FurtherLanes, LanesFull, NO_ASSET, Record};
use super::addresses::Addresses;
use super::changed::{Changed, ChangedBalance, balances_of};
use super::further::FurtherBalances;
use super::index::Slot;
use super::layout::{Layout, Place};
use super::load::Unloadable;
use super::pages::{Page, Pages, SharedPages};
use super::prefetch::prefetch;
use super::window::{Use, Window};
use crate::arena::{Arena, Piece};
use crate::types::{Address, Amount, AssetId};
use crate::wire::Reader;
use std::sync::Arc;

const SIDE_PAGE_BITS: u32 = 8;

/// Some of the accounts, with their side tables. An entry of a side table is sorted by asset or by lane.
///
/// What a rejected transaction has opened of a side table stays there empty; whether it does can't be seen from outside.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    records: Vec<Page<Piece<Account>>>,
    balances: Pages<FurtherBalances, SIDE_PAGE_BITS>,
    lanes: Pages<FurtherLanes, SIDE_PAGE_BITS>,
    /// What the present block has changed of it.
    pub(super) changed: Changed,
}

// The list of pages is read at random.
const _: () = assert!(size_of::<Page<Piece<Account>>>() == 24);

impl Shard {
    fn new(layout: Layout, arena: &Arena) -> Self {
        let (balances, lanes) = (Pages::new(arena.clone()), Pages::new(arena.clone()));
        Self { records: Vec::new(), balances, lanes, changed: Changed::new(layout) }
    }

    fn add_page(&mut self, page: Piece<Account>) {
        self.records.push(Page::Owned(page));
        self.changed.add_page();
    }

    /// The accounts of a page.
    #[inline]
    pub(super) fn page(&self, page: usize) -> &[Account] {
        self.records.get(page).map(Page::get).unwrap_or_default()
    }

    #[inline]
    pub(super) fn get(&self, place: Place) -> Option<&Account> {
        self.records.get(place.page)?.get().get(place.offset)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Account> {
        self.records.get_mut(place.page)?.get_mut().get_mut(place.offset)
    }

    #[inline]
    fn record(&self, place: Place) -> Option<Record<'_>> {
        Some(self.record_of(self.get(place)?))
    }

    /// An account of this shard with what it has in the side tables.
    #[inline]
    pub(super) fn record_of<'a>(&'a self, account: &'a Account) -> Record<'a> {
        record(account, |place| self.balances.get(place), |place| self.lanes.get(place))
    }

    #[inline]
    fn set_balance(&mut self, place: Place, asset: AssetId, balance: Balance) {
        let Some(account) = self.get_mut(place) else { return };
        if account.asset == asset {
            account.balance = balance;
        } else if account.asset == NO_ASSET {
            (account.asset, account.balance) = (asset, balance);
        } else {
            self.set_further_balance(place, asset, balance);
        }
    }

    /// Brings a record closer.
    #[inline]
    pub(crate) fn prefetch(&self, place: Place) {
        if let Some(account) = self.get(place) {
            prefetch(account);
        }
    }

    /// What an account holds of an asset that may not be its first.
    #[cold]
    pub(super) fn further_balance(&self, place: Place, asset: AssetId) -> Balance {
        self.record(place).map(|record| record.balance(asset)).unwrap_or_default()
    }

    /// Changes what an account can spend of an asset that may not be its first.
    #[cold]
    pub(super) fn set_further_available(
        &mut self,
        (slot, place): (Slot, Place),
        asset: AssetId,
        after: Amount,
        block: BlockMark,
    ) {
        let before = self.further_balance(place, asset);
        self.set_balance(place, asset, Balance { available: after, ..before });
        self.mark_balance((slot, place), asset, block);
    }

    /// Enters that this block has changed a balance.
    pub(super) fn mark_balance(&mut self, (slot, place): (Slot, Place), asset: AssetId, block: BlockMark) {
        self.changed.enter(place);
        match self.get_mut(place) {
            Some(account) if account.asset == asset => account.changed_in = block,
            _ => self.changed.enter_balance(slot, asset),
        }
    }

    fn set_further_balance(&mut self, place: Place, asset: AssetId, balance: Balance) {
        let Self { records, balances, .. } = self;
        let account = records.get_mut(place.page).and_then(|page| page.get_mut().get_mut(place.offset));
        let entry = account.and_then(|account| open_side_entry(&mut account.balances, balances));
        if let Some(own) = entry.and_then(|entry| balances.get_mut(entry)) {
            own.set(asset, balance);
        }
    }

    #[inline]
    fn set_window(&mut self, place: Place, lane: u16, window: Window) {
        let Self { records, lanes, .. } = self;
        let account = records.get_mut(place.page).and_then(|page| page.get_mut().get_mut(place.offset));
        let Some(account) = account else { return };
        if lane == 0 {
            account.window = window;
            return;
        }
        let entry = open_side_entry(&mut account.lanes, lanes);
        let Some(lanes) = entry.and_then(|entry| lanes.get_mut(entry)) else { return };
        match lanes.binary_search_by_key(&lane, |&(lane, _)| lane) {
            Ok(found) => lanes[found].1 = window,
            Err(at) => lanes.insert(at, (lane, window)),
        }
    }

    /// Empties the record of the newest account, and what it has in the side table of balances. (It has used no sequence, so it has
    /// no lanes.)
    fn clear(&mut self, place: Place) {
        let Some(account) = self.get_mut(place) else { return };
        let entry = std::mem::take(account).balances.checked_sub(1);
        let Some(entry) = entry else { return };
        if entry.checked_add(1) == Some(self.balances.len()) {
            self.balances.pop();
        } else if let Some(balances) = self.balances.get_mut(entry) {
            *balances = FurtherBalances::default();
        }
    }

    fn share(&mut self) -> SharedShard {
        SharedShard {
            records: self.records.iter_mut().map(Page::share).collect(),
            balances: self.balances.share(),
            lanes: self.lanes.share(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Accounts {
    shards: Vec<Shard>,
    addresses: Arc<Addresses>,
    layout: Layout,
    len: u32,
    /// How many there may be.
    max: u32,
    /// The block in the making.
    block: BlockMark,
    arena: Arena,
}

impl Accounts {
    pub(super) fn new(layout: Layout, arena: Arena) -> Self {
        let shards = (0..layout.shards()).map(|_| Shard::new(layout, &arena)).collect();
        let addresses = Arc::new(Addresses::new(arena.clone()));
        Self { shards, addresses, layout, len: 0, max: u32::MAX, block: BlockMark::FIRST, arena }
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// No more than so many come into being.
    pub(super) const fn limit(&mut self, max: u32) {
        self.max = max;
    }

    /// How many more may come into being.
    pub(super) fn room(&self) -> u32 {
        // The largest slot is the index's mark for a free place.
        self.max.min(u32::MAX - 1).saturating_sub(self.len)
    }

    /// The shards, where an account lies in them, and the block in the making.
    #[inline]
    pub(super) fn shards(&mut self) -> (&mut [Shard], Layout, BlockMark) {
        (&mut self.shards, self.layout, self.block)
    }

    /// The addresses, how many there are, the shards, and the block in the making.
    pub(super) fn split(&mut self) -> (&Addresses, u32, &mut [Shard], BlockMark) {
        (&self.addresses, self.len, &mut self.shards, self.block)
    }

    pub(super) fn shard(&self, shard: usize) -> Option<&Shard> {
        self.shards.get(shard)
    }

    pub(super) const fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) const fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    pub(super) fn push(&mut self, address: &Address) -> Option<Slot> {
        let slot = Slot(self.len);
        if self.room() == 0 {
            return None;
        }
        self.len = self.len.checked_add(1)?;
        let place = self.layout.place(slot);
        let shard = &mut self.shards[place.shard];
        if shard.records.len() == place.page {
            shard.add_page(self.arena.piece(self.layout.page_len(), |_| Account::default()));
        }
        self.addresses.set(slot, address);
        Some(slot)
    }

    /// Takes the newest account away.
    pub(super) fn pop(&mut self) {
        if let Some(newest) = self.len.checked_sub(1) {
            let place = self.layout.place(Slot(newest));
            self.shards[place.shard].clear(place);
            self.len = newest;
        }
    }

    /// Whether this account has this slot.
    #[inline]
    pub(super) fn is_at(&self, address: &Address, slot: Slot) -> bool {
        slot.0 < self.len && self.addresses.is(slot, address)
    }

    /// Brings a record closer.
    #[inline]
    pub(super) fn prefetch(&self, slot: Slot) {
        if let Some(account) = self.get(slot) {
            prefetch(account);
        }
    }

    /// Brings further balances closer, when the record is at hand.
    #[inline]
    pub(super) fn prefetch_further(&self, slot: Slot) {
        let place = self.layout.place(slot);
        let Some(shard) = self.shards.get(place.shard) else { return };
        let entry = shard.get(place).and_then(|account| account.balances.checked_sub(1));
        entry.and_then(|entry| shard.balances.get(entry)).iter().for_each(|balances| prefetch(*balances));
    }

    #[inline]
    pub(super) fn get(&self, slot: Slot) -> Option<&Account> {
        let place = self.layout.place(slot);
        self.shards.get(place.shard)?.get(place)
    }

    #[inline]
    fn record(&self, slot: Slot) -> Option<Record<'_>> {
        let place = self.layout.place(slot);
        self.shards.get(place.shard)?.record(place)
    }

    #[inline]
    pub(super) fn balance(&self, slot: Slot, asset: AssetId) -> Balance {
        self.record(slot).map(|record| record.balance(asset)).unwrap_or_default()
    }

    #[inline]
    pub(super) fn set_balance(&mut self, slot: Slot, asset: AssetId, balance: Balance) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.set_balance(place, asset, balance);
        }
    }

    /// What the window of a lane says of a sequence, and which window it is.
    #[inline]
    pub(super) fn check_sequence(&self, slot: Slot, lane: u16, sequence: u64) -> Result<(Window, Use), LanesFull> {
        self.record(slot).ok_or(LanesFull)?.check_sequence(lane, sequence)
    }

    #[inline]
    pub(super) fn set_window(&mut self, slot: Slot, lane: u16, window: Window) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.set_window(place, lane, window);
        }
    }

    /// Canonical bytes of an account, appended: what the digests are made of.
    pub(super) fn encode(&self, slot: Slot, out: &mut Vec<u8>) {
        if let (Some(record), Some(address)) = (self.record(slot), self.addresses.cell(slot)) {
            record.encode(address, out);
        }
    }

    /// Whether an account has anything, available or set aside.
    pub(super) fn holds_anything(&self, slot: Slot) -> bool {
        self.record(slot).is_some_and(|record| record.filled() > 0)
    }

    /// Enters that the block in the making has changed an account.
    pub(super) fn mark(&mut self, slot: Slot) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.changed.enter(place);
        }
    }

    /// Enters that the block in the making has changed what an account holds of an asset.
    pub(super) fn mark_balance(&mut self, slot: Slot, asset: AssetId) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.mark_balance((slot, place), asset, self.block);
        }
    }

    /// Gives the accounts that the block has changed, in order, and forgets them.
    pub(super) fn drain_changed(&mut self, mut visit: impl FnMut(Slot)) {
        let Self { shards, layout, len, .. } = self;
        let pages = len.div_ceil(u32::try_from(layout.page_len()).unwrap_or(1));
        let touched: usize = shards.iter().map(|shard| shard.changed.pages().len()).sum();
        let mut order: Vec<u32> = Vec::new();
        // Looking at every page costs less than sorting when there is something on many of them.
        if touched >= pages as usize / 8 {
            order.extend(0..pages);
        } else {
            for (shard, number) in shards.iter().zip(0..) {
                order.extend(shard.changed.pages().iter().map(|&own| layout.page_of(number, own)));
            }
            order.sort_unstable();
        }
        for page in order {
            let Place { shard, page: own, .. } = layout.place_of_page(page);
            if let Some(shard) = shards.get_mut(shard) {
                let first = layout.first_on(page).0;
                shard.changed.drain_page(own, |place| visit(Slot(first + place)));
            }
        }
        shards.iter_mut().for_each(|shard| shard.changed.clear_pages());
    }

    /// Ends the block in the making: what it has changed has been told.
    pub(super) fn end_block(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.changed.clear_balances());
        self.block = self.block.next().unwrap_or_else(|| {
            // Once in four thousand million blocks, so that no old mark is taken for a new one.
            for page in self.shards.iter_mut().flat_map(|shard| &mut shard.records) {
                page.get_mut().iter_mut().for_each(|account| account.changed_in = BlockMark::default());
            }
            BlockMark::FIRST
        });
    }

    /// The assets of which the block has changed what an account holds, ascending. `further` is [`further_changed`](Self::further_changed).
    pub(super) fn changed_assets(&self, account: &Account, slot: Slot, further: &[ChangedBalance]) -> Vec<AssetId> {
        let first = (account.changed_in == self.block).then_some(account.asset);
        let mut assets: Vec<AssetId> = first.into_iter().chain(balances_of(further, slot)).collect();
        assets.sort_unstable();
        assets.dedup();
        assets
    }

    /// The balances that the block has changed which aren't the first of their account, in order.
    pub(super) fn further_changed(&self) -> Vec<ChangedBalance> {
        let mut all = Vec::new();
        self.shards.iter().for_each(|shard| shard.changed.append_balances(&mut all));
        all.sort_unstable();
        all
    }

    /// Reads an account back from the bytes that digests are made of, and gives it the next slot.
    #[inline]
    pub(super) fn push_encoded(&mut self, reader: &mut Reader<'_>) -> Result<(Slot, Address), Unloadable> {
        let Decoded { address, mut account, further, lanes } = Decoded::read(reader)?;
        let slot = self.push(&address).ok_or_else(Unloadable::full)?;
        let place = self.layout.place(slot);
        let shard = &mut self.shards[place.shard];
        let link = |place: Option<u32>| place.and_then(|place| place.checked_add(1)).ok_or_else(Unloadable::full);
        if let Some(further) = further {
            account.balances = link(shard.balances.push(further))?;
        }
        if let Some(lanes) = lanes {
            account.lanes = link(shard.lanes.push(lanes))?;
        }
        if let Some(record) = shard.get_mut(place) {
            *record = account;
        }
        Ok((slot, address))
    }

    pub(super) fn share(&mut self) -> SharedAccounts {
        let shards = self.shards.iter_mut().map(Shard::share).collect();
        SharedAccounts { shards, addresses: self.addresses.clone(), layout: self.layout, len: self.len }
    }
}

#[derive(Clone, Debug)]
struct SharedShard {
    records: Vec<Arc<Piece<Account>>>,
    balances: SharedPages<FurtherBalances, SIDE_PAGE_BITS>,
    lanes: SharedPages<FurtherLanes, SIDE_PAGE_BITS>,
}

/// What a reader keeps of [`Accounts`].
#[derive(Clone, Debug)]
pub(super) struct SharedAccounts {
    shards: Vec<SharedShard>,
    addresses: Arc<Addresses>,
    layout: Layout,
    len: u32,
}

impl SharedAccounts {
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether this account has this slot.
    pub(super) fn is_at(&self, address: &Address, slot: Slot) -> bool {
        slot.0 < self.len && self.addresses.is(slot, address)
    }

    /// The address of an account.
    pub(super) fn address(&self, slot: Slot) -> Option<Address> {
        self.addresses.get(slot).filter(|_| slot.0 < self.len)
    }

    /// Lets go of the records below a slot as far as they are whole pages, so that the owner needn't copy them. Nothing is found there
    /// afterwards.
    pub(super) fn release_below(&mut self, slot: Slot) {
        let nothing: Arc<Piece<Account>> = Arc::default();
        // From the end, so that what was let go of before is met last and ends it.
        for page in (0..self.layout.page(slot)).rev() {
            let place = self.layout.place_of_page(page);
            let shard = self.shards.get_mut(place.shard);
            match shard.and_then(|shard| shard.records.get_mut(place.page)) {
                Some(page) if !page.is_empty() => *page = nothing.clone(),
                _ => break,
            }
        }
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<(&SharedShard, &Account)> {
        let place = Some(self.layout.place(slot)).filter(|_| slot.0 < self.len)?;
        let shard = self.shards.get(place.shard)?;
        Some((shard, shard.records.get(place.page)?.get(place.offset)?))
    }

    #[inline]
    fn record(&self, slot: Slot) -> Option<Record<'_>> {
        let (shard, account) = self.get(slot)?;
        Some(record(account, |place| shard.balances.get(place), |place| shard.lanes.get(place)))
    }

    /// Brings a record and its address closer.
    #[inline]
    pub(super) fn prefetch(&self, slot: Slot) {
        if let Some((_, account)) = self.get(slot) {
            prefetch(account);
        }
        self.addresses.prefetch(slot);
    }

    pub(super) fn balance(&self, slot: Slot, asset: AssetId) -> Balance {
        self.record(slot).map(|record| record.balance(asset)).unwrap_or_default()
    }

    /// Everything the account ever held, by ascending asset, zeros left out.
    pub(super) fn balances(&self, slot: Slot) -> Vec<(AssetId, Balance)> {
        self.record(slot).map(|record| record.holdings().collect()).unwrap_or_default()
    }

    /// Highest sequence of a lane; `None` if none was used.
    pub(super) fn sequence(&self, slot: Slot, lane: u16) -> Option<u64> {
        let window = self.record(slot)?.window(lane)?;
        (window.bits != 0).then_some(window.top)
    }

    pub(super) fn encode(&self, slot: Slot, out: &mut Vec<u8>) {
        if let (Some(record), Some(address)) = (self.record(slot), self.addresses.cell(slot)) {
            record.encode(address, out);
        }
    }
}

#[inline]
fn record<'a>(
    account: &'a Account,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn coins(n: u128) -> Balance {
        Balance { available: Amount(n), held: Amount::ZERO }
    }

    #[test]
    fn an_account_that_is_taken_back_leaves_nothing_in_the_side_table() {
        let mut accounts = Accounts::new(Layout::new(1, 8), Arena::default());
        let payer = accounts.push(&Address([1; 32])).unwrap();
        for round in 0..100 {
            let payee = accounts.push(&Address([2; 32])).unwrap();
            for asset in 0..3 {
                accounts.set_balance(payee, AssetId(asset), coins(1));
            }
            if round == 50 {
                (0..3).for_each(|asset| accounts.set_balance(payer, AssetId(asset), coins(1)));
            }
            accounts.pop();
        }
        assert!(accounts.shards[0].balances.len() <= 2, "{} entries", accounts.shards[0].balances.len());
        assert_eq!(accounts.share().balances(payer).len(), 3);
    }

    #[test]
    fn a_reader_keeps_what_was_and_lets_go_of_whole_pages() {
        let mut accounts = Accounts::new(Layout::new(3, 1), Arena::default());
        for n in 0..20 {
            let slot = accounts.push(&Address([n; 32])).unwrap();
            accounts.set_balance(slot, AssetId(0), coins(1));
        }
        let mut before = accounts.share();
        accounts.set_balance(Slot(9), AssetId(0), coins(2));
        accounts.push(&Address([20; 32]));
        assert_eq!((before.balance(Slot(9), AssetId(0)), before.len()), (coins(1), 20));
        assert_eq!((before.address(Slot(19)), before.address(Slot(20))), (Some(Address([19; 32])), None));
        before.release_below(Slot(7));
        before.release_below(Slot(13));
        let there: Vec<u32> = (0..20).filter(|&slot| before.balance(Slot(slot), AssetId(0)) == coins(1)).collect();
        assert_eq!(there, (12..20).collect::<Vec<_>>());
    }
}
