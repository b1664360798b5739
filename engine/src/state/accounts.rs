//! All accounts by slot, in shards that can be written side by side.
//!
//! Accounts lie in pages by slot, and pages go to the shards in turn: page `p` to shard `p mod shards`. Each shard has its pages and
//! the side tables of the accounts in them, so that whoever has a shard to itself can do all there is to do to one of its accounts.
//! How many shards there are, and how large pages are, never shows.
//!
//! Addresses, which never change, stand apart for everybody to read.

use super::account::{Account, AccountCell, BlockMark, Decoded, LanesFull, Record};
use super::addresses::Addresses;
use super::balance::Balance;
use super::index::Slot;
use super::layout::{Layout, Place};
use super::leaves::{LEAF_BYTES, leaf, write_leaf};
use super::load::Unloadable;
use super::prefetch::prefetch;
use super::shard::{Before, Shard, SharedShard};
use super::watch::{Watch, Watching};
use super::window::{Use, Window};
use crate::arena::{Arena, Common};
use crate::types::{Address, Amount, AssetId};
use crate::wire::Reader;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Accounts {
    shards: Vec<Shard>,
    addresses: Arc<Addresses>,
    layout: Layout,
    len: u32,
    /// How many there may be.
    max: u32,
    /// Who goes through all accounts as they were.
    watches: Vec<Arc<Watch>>,
    arena: Arena,
}

impl Accounts {
    pub(super) fn new(layout: Layout, arena: Arena) -> Self {
        let shards = (0..layout.shards()).map(|_| Shard::new(layout, &arena)).collect();
        let addresses = Arc::new(Addresses::new(arena.clone()));
        Self { shards, addresses, layout, len: 0, max: u32::MAX, watches: Vec::new(), arena }
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

    /// The shards, and where an account lies in them.
    #[inline]
    pub(super) fn shards(&mut self) -> (&mut [Shard], Layout) {
        (&mut self.shards, self.layout)
    }

    /// The addresses, how many there are, and the shards.
    pub(super) fn split(&mut self) -> (&Addresses, u32, &mut [Shard]) {
        (&self.addresses, self.len, &mut self.shards)
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
        if shard.page_count() == place.page {
            shard.add_page(self.arena.piece(self.layout.page_len(), |_| AccountCell::default()).into());
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
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get(place.shard) {
            shard.prefetch(place);
        }
    }

    /// Brings further balances closer, when the record is at hand.
    #[inline]
    pub(super) fn prefetch_further(&self, slot: Slot) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get(place.shard) {
            shard.prefetch_further(place);
        }
    }

    /// Brings a balance closer if it isn't its account's first, when the record is at hand: what is in place, later what that leads to.
    #[inline]
    pub(super) fn prefetch_balance(&self, slot: Slot, asset: AssetId, is_in_place_at_hand: bool) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get(place.shard) {
            shard.prefetch_balance(place, asset, is_in_place_at_hand);
        }
    }

    /// The first asset of an account.
    #[inline]
    pub(super) fn first_asset(&self, slot: Slot) -> Option<AssetId> {
        let place = self.layout.place(slot);
        self.shards.get(place.shard)?.cell(place).map(AccountCell::asset)
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

    /// What an account can spend of an asset.
    #[inline]
    pub(super) fn available(&self, slot: Slot, asset: AssetId) -> Amount {
        let place = self.layout.place(slot);
        self.shards.get(place.shard).map(|shard| shard.available(place, asset)).unwrap_or_default()
    }

    /// Changes what an account holds of an asset, and enters that the block in the making has.
    #[inline]
    pub(super) fn change_balance(
        &mut self,
        slot: Slot,
        asset: AssetId,
        change: impl FnOnce(Balance) -> Balance,
    ) -> Option<Before> {
        let place = self.layout.place(slot);
        self.shards.get_mut(place.shard)?.change_balance((slot, place), asset, change)
    }

    /// Takes the newest of those changes back.
    pub(super) fn change_back(&mut self, slot: Slot, asset: AssetId, before: Before) {
        let place = self.layout.place(slot);
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.change_back(place, asset, before);
        }
    }

    /// What the window of a lane says of a sequence, and which window it is.
    #[inline]
    pub(super) fn check_sequence(&self, slot: Slot, lane: u16, sequence: u64) -> Result<(Window, Use), LanesFull> {
        if lane == 0 {
            let place = self.layout.place(slot);
            let cell = self.shards.get(place.shard).and_then(|shard| shard.cell(place)).ok_or(LanesFull)?;
            let window = cell.window();
            return Ok((window, window.check(sequence)));
        }
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

    /// Gives the accounts that the block has changed, in order, and forgets them; which of their further balances it has changed each shard
    /// says in order until the block ends.
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
        for shard in shards {
            shard.changed.clear_pages();
            shard.changed.sort_balances();
        }
    }

    /// Whether the block in the making has changed balances beside accounts' first ones.
    #[inline]
    pub(super) fn has_further_changed(&self) -> bool {
        self.shards.iter().any(|shard| shard.changed.has_balances())
    }

    /// The block in the making.
    pub(super) fn block(&self) -> BlockMark {
        self.shards.first().map_or(BlockMark::FIRST, Shard::block)
    }

    /// Ends the block in the making: what it has changed has been told.
    pub(super) fn end_block(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.changed.clear_balances());
        self.begin_block();
        if self.watches.iter().any(|watch| watch.has_ended()) {
            self.tell_watches();
        }
    }

    /// What changes from here on is told from what has changed before.
    fn begin_block(&mut self) {
        let next = self.block().next().unwrap_or_else(|| {
            // Once in a thousand million blocks, so that no old mark is taken for a new one.
            self.shards.iter_mut().for_each(Shard::begin_anew);
            self.watches.clear();
            self.tell_watches();
            BlockMark::FIRST
        });
        self.shards.iter_mut().for_each(|shard| shard.block = next);
    }

    /// Tells the shards who watches.
    fn tell_watches(&mut self) {
        self.watches.retain(|watch| !watch.has_ended());
        let watched = self.watches.iter().map(|watch| watch.block()).max();
        for shard in &mut self.shards {
            (shard.watched, shard.watches) = (watched, self.watches.clone());
        }
    }

    /// Reads an account back from the bytes that digests are made of, and gives it the next slot.
    #[inline]
    pub(super) fn push_encoded(&mut self, reader: &mut Reader<'_>) -> Result<(Slot, Address), Unloadable> {
        let Decoded { address, account, further, lanes } = Decoded::read(reader)?;
        let slot = self.push(&address).ok_or_else(Unloadable::full)?;
        let place = self.layout.place(slot);
        self.shards[place.shard].fill(place, account, further, lanes).ok_or_else(Unloadable::full)?;
        Ok((slot, address))
    }

    /// The accounts as they are now, for one who looks them up as often as it likes.
    pub(super) fn share(&mut self) -> SharedAccounts {
        self.shards.iter_mut().for_each(Shard::keep);
        self.give(None)
    }

    /// The accounts as they are now, for one who goes through all of them once. Only to be asked between two blocks.
    pub(super) fn watch(&mut self) -> SharedAccounts {
        self.begin_block();
        let watch = Arc::new(Watch::new(self.block().before(), self.len, self.layout));
        self.watches.push(watch.clone());
        self.tell_watches();
        self.give(Some(Watching::new(watch)))
    }

    fn give(&mut self, watch: Option<Watching>) -> SharedAccounts {
        let shards = self.shards.iter_mut().map(Shard::share).collect();
        SharedAccounts { shards, addresses: self.addresses.clone(), layout: self.layout, len: self.len, watch }
    }
}

/// What a reader keeps of [`Accounts`].
#[derive(Clone, Debug)]
pub(super) struct SharedAccounts {
    shards: Vec<SharedShard>,
    addresses: Arc<Addresses>,
    layout: Layout,
    len: u32,
    /// What the owner has saved, if he goes on writing to these pages.
    watch: Option<Watching>,
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

    /// Lets go of the records below a slot as far as they are whole pages, so that the owner needn't save or copy them. Nothing is found
    /// there afterwards.
    pub(super) fn release_below(&mut self, slot: Slot) {
        let nothing = Common::default();
        let end = self.layout.page(slot);
        if let Some(watch) = &self.watch {
            watch.pass(self.layout.first_on(end));
        }
        // From the end, so that what was let go of before is met last and ends it.
        for page in (0..end).rev() {
            let place = self.layout.place_of_page(page);
            let shard = self.shards.get_mut(place.shard);
            match shard.and_then(|shard| shard.pages.get_mut(place.page)) {
                Some(page) if !page.is_empty() => *page = nothing.clone(),
                _ => break,
            }
        }
    }

    #[inline]
    fn cell(&self, slot: Slot) -> Option<(&SharedShard, Place, &AccountCell)> {
        let place = Some(self.layout.place(slot)).filter(|_| slot.0 < self.len)?;
        let shard = self.shards.get(place.shard)?;
        Some((shard, place, shard.pages.get(place.page)?.get(place.offset)?))
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<(&SharedShard, Account)> {
        let (shard, place, cell) = self.cell(slot)?;
        let account = match &self.watch {
            None => cell.get(),
            Some(watching) => {
                let watch = watching.watch();
                cell.get_unchanged(watch.block()).or_else(|| watch.find(place))?
            }
        };
        Some((shard, account))
    }

    #[inline]
    fn record(&self, slot: Slot) -> Option<Record<'_>> {
        let (shard, account) = self.get(slot)?;
        Some(shard.record_of(account))
    }

    /// Brings a record and its address closer.
    #[inline]
    pub(super) fn prefetch(&self, slot: Slot) {
        if let Some((_, _, cell)) = self.cell(slot) {
            prefetch(cell);
        }
        self.addresses.prefetch(slot);
    }

    /// Brings closer what was saved of an account, when the account is at hand.
    #[inline]
    pub(super) fn prefetch_saved(&self, slot: Slot) {
        if let Some(watching) = &self.watch
            && let Some((_, place, cell)) = self.cell(slot)
        {
            watching.watch().prefetch(place, cell);
        }
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

    /// Writes the leaf of an account, over whatever was there. `canonical` is memory for a moment.
    #[inline]
    pub(super) fn write_leaf(&self, slot: Slot, canonical: &mut Vec<u8>, bytes: &mut [u8; LEAF_BYTES]) {
        match (self.get(slot), self.addresses.cell(slot)) {
            (Some((_, account)), Some(address)) if account.is_plain() => {
                write_leaf(bytes, |plain| account.write_plain(address, plain));
            }
            _ => {
                canonical.clear();
                self.encode(slot, canonical);
                *bytes = leaf(canonical);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Accounts {
        fn set_balance(&mut self, slot: Slot, asset: AssetId, balance: Balance) {
            self.change_balance(slot, asset, |_| balance).unwrap();
        }
    }

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
        let entries = accounts.shards[0].further_count();
        assert!(entries <= 2, "{entries} entries");
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

    /// Accounts that have as much as their number, in pages of four.
    fn some(count: u32) -> Accounts {
        let mut accounts = Accounts::new(Layout::new(3, 2), Arena::default());
        for n in 0..count {
            let slot = accounts.push(&Address([7; 32])).unwrap();
            accounts.set_balance(slot, AssetId(0), coins(n.into()));
        }
        accounts.end_block();
        accounts
    }

    #[test]
    fn who_watches_keeps_what_was_wherever_he_has_come_to_and_whoever_watches_beside_him() {
        let mut accounts = some(40);
        let holds = |accounts: &SharedAccounts, slot: u32| accounts.balance(Slot(slot), AssetId(0)).available.0;
        let mut first = accounts.watch();
        accounts.set_balance(Slot(9), AssetId(0), coins(100));
        accounts.set_balance(Slot(9), AssetId(1), coins(1));
        accounts.set_balance(Slot(9), AssetId(0), coins(101));
        accounts.push(&Address([8; 32])).unwrap();
        // Nothing says that a block has to end between two of them.
        let second = accounts.watch();
        accounts.set_window(Slot(9), 0, Window::default().with(5));
        accounts.set_window(Slot(10), 3, Window::default().with(6));
        let kept = accounts.share();
        accounts.end_block();
        for slot in 0..40 {
            accounts.set_balance(Slot(slot), AssetId(0), coins(200));
        }
        first.release_below(Slot(22));
        let third = accounts.watch();
        drop(kept.clone());
        accounts.end_block();
        accounts.set_balance(Slot(30), AssetId(0), coins(300));
        for slot in 0..40 {
            let own = u128::from(slot);
            assert_eq!(holds(&first, slot), if slot < 20 { 0 } else { own }, "{slot}");
            assert_eq!(holds(&second, slot), if slot == 9 { 101 } else { own }, "{slot}");
            assert_eq!(holds(&kept, slot), holds(&second, slot), "{slot}");
            assert_eq!(holds(&third, slot), 200, "{slot}");
        }
        assert_eq!((first.len(), second.len(), second.balances(Slot(9)).len()), (40, 41, 2));
        let used = |accounts: &SharedAccounts, slot, lane| accounts.sequence(Slot(slot), lane);
        assert_eq!([used(&second, 9, 0), used(&kept, 9, 0), used(&third, 9, 0)], [None, Some(5), Some(5)]);
        assert_eq!([used(&second, 10, 3), used(&kept, 10, 3)], [None, Some(6)]);
        drop((first, second, third));
        accounts.end_block();
        assert!(accounts.watches.is_empty() && accounts.shards.iter().all(|shard| shard.watched.is_none()));
    }

    #[test]
    fn who_watches_keeps_what_was_when_marks_begin_anew() {
        let mut accounts = some(12);
        for shard in &mut accounts.shards {
            shard.block = BlockMark::LAST.before();
        }
        accounts.set_balance(Slot(1), AssetId(0), coins(100));
        let before = accounts.watch();
        accounts.set_balance(Slot(2), AssetId(0), coins(200));
        accounts.end_block();
        assert_eq!(accounts.block(), BlockMark::FIRST);
        let after = accounts.watch();
        (0..12).for_each(|slot| accounts.set_balance(Slot(slot), AssetId(0), coins(300)));
        for slot in 0..12 {
            let own = if slot == 1 { 100 } else { u128::from(slot) };
            assert_eq!(before.balance(Slot(slot), AssetId(0)), coins(own), "{slot}");
            assert_eq!(after.balance(Slot(slot), AssetId(0)), coins(if slot == 2 { 200 } else { own }), "{slot}");
        }
    }

    #[test]
    fn who_watches_reads_beside_the_owner_and_finds_every_account_as_it_was() {
        // An interpreter takes a thousand times as long.
        let (count, rounds) = if cfg!(miri) { (24, 4) } else { (3_000, 60) };
        let mut accounts = some(count);
        // All accounts have the same, available and held, in every block.
        let set = |accounts: &mut Accounts, slot: u32, round: u128| {
            let balance = Balance { available: Amount(round << 64 | round), held: Amount(round) };
            accounts.set_balance(Slot(slot), AssetId(0), balance);
        };
        (0..count).for_each(|slot| set(&mut accounts, slot, 0));
        std::thread::scope(|scope| {
            for round in 0..rounds {
                let mut watching = accounts.watch();
                scope.spawn(move || {
                    for slot in 0..count {
                        let Balance { available, held } = watching.balance(Slot(slot), AssetId(0));
                        assert_eq!((available.0, held.0), (round << 64 | round, round), "slot {slot}");
                        watching.release_below(Slot(slot));
                    }
                });
                (0..count).rev().for_each(|slot| set(&mut accounts, slot, round + 1));
                accounts.end_block();
            }
        });
    }
}
