//! What the ledger knows: accounts, balances, replay windows, assets, and entries for everything else.
//!
//! One thread owns it and changes it through a [`Context`], one transaction at a time. Everything lies in dense arrays by slot
//! or by asset number, in pages which a snapshot can keep. Nothing here knows a thread, a clock or a disk.
//!
//! # Invariants
//!
//! 1. An account has one slot for ever: the n-th account to come into being has slot n.
//! 2. For every asset the sum over all holders of available and held equals what is issued, which is at most the maximum supply.
//!    So no balance ever overflows.
//! 3. An entry's number is the lowest that was free when it came into being.
//! 4. The digest is a function of what transactions did: not of where they were cut into blocks, nor of what a rejected one tried.

mod account;
mod accounts;
mod acting;
mod addresses;
mod asset;
mod authorities;
mod balance;
mod book;
mod changed;
mod chunks;
mod context;
mod effects;
mod entries;
mod facts;
mod further;
mod groups;
mod index;
mod known;
mod layout;
mod leaves;
mod level;
mod load;
mod markets;
mod pages;
mod payment;
mod prefetch;
mod promises;
mod records;
mod shard;
mod siphash;
mod slots;
mod snapshot;
mod tree;
mod watch;
mod window;

pub use asset::Asset;
pub(crate) use balance::{Balance, Shift};
pub(crate) use book::{Book, Collected, ORDERS_MET_MAX, Trades};
pub(crate) use context::{Changes, Context, Flows};
pub use entries::{
    AuthorityState, Channel, GrantState, HoldState, HolderState, MarketState, OrderState, Record, Share,
};
pub(crate) use entries::{Entry, Name, PlacedHold};
pub(crate) use facts::{SWEEP_EVENTS_MAX, Scene, sweep};
pub(crate) use index::{Resolver, Slot};
pub(crate) use known::Known;
pub(crate) use leaves::Leaves;
pub(crate) use load::{StateLoader, decode_record};
pub(crate) use records::{StateHasher, StateRecords};
pub(crate) use shard::Shard;
pub(crate) use slots::SlotSet;
pub(crate) use snapshot::StateSnapshot;
pub(crate) use tree::{ChangedNodes, Kept, Keys, RootParts, StateTree, levels_above};

use crate::arena::Arena;
use crate::types::{Address, Amount, AssetId, MarketId, Rejection, RejectionCode, Time};
use accounts::Accounts;
#[cfg(test)]
pub(crate) use asset::ASSETS_MAX;
use asset::Assets;
#[cfg(test)]
pub(crate) use entries::PLACES_MAX as ENTRIES_MAX;
use entries::{Entries, SharedBooks};
use index::{Hash, Index};
pub(crate) use layout::{Layout, Place};
use payment::Issuers;
pub(crate) use payment::{Debited, Payment};
pub(crate) use prefetch::prefetch;
use window::Use;

#[derive(Debug)]
pub(crate) struct State {
    accounts: Accounts,
    index: Index,
    assets: Assets,
    entries: Entries,
    /// The time of the last block.
    time: Time,
    issuers: Issuers,
}

impl State {
    /// An empty state. Fails only if the operating system has no randomness for the index's secret.
    pub(crate) fn new() -> std::io::Result<Self> {
        Self::with_layout(Layout::DEFAULT)
    }

    /// The same with its accounts laid out in another way, which never shows.
    pub(crate) fn with_layout(layout: Layout) -> std::io::Result<Self> {
        let arena = Arena::default();
        let (accounts, index) = (Accounts::new(layout, arena.clone()), Index::new(arena.clone())?);
        Ok(Self {
            accounts,
            assets: Assets::new(arena.clone()),
            entries: Entries::new(index.key(), &arena),
            index,
            time: Time(0),
            issuers: Issuers::default(),
        })
    }

    /// Finds accounts that have come to stay by now, in any thread.
    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::new(self.index.share(), self.accounts.addresses().clone())
    }

    /// Says that all accounts have come to stay, so that resolvers find them: between two blocks.
    pub(crate) fn settle_accounts(&self) {
        self.accounts.addresses().settle(self.accounts.len());
    }

    /// Grows whenever a new resolver would find more than an old one ever can.
    pub(crate) const fn resolver_generation(&self) -> u64 {
        self.index.generation()
    }

    /// The account's slot, if it has come into being.
    #[inline]
    pub(crate) fn find(&self, address: &Address) -> Option<Slot> {
        self.find_hashed(address, self.index.hash(address))
    }

    #[inline]
    fn find_hashed(&self, address: &Address, hash: Hash) -> Option<Slot> {
        self.index.find(hash, |slot| self.accounts.is_at(address, slot))
    }

    /// Brings the record of an account closer.
    #[inline]
    pub(crate) fn prefetch(&self, slot: Slot) {
        self.accounts.prefetch(slot);
    }

    /// Brings closer where an entry is looked up.
    #[inline]
    pub(crate) fn prefetch_name(&self, tag: u64) {
        self.entries.prefetch_name(tag);
    }

    /// Where the orders of an account in a market are.
    #[inline]
    pub(crate) fn prefetch_orders(&self, market: MarketId, owner: Slot) {
        self.entries.prefetch_owner(market, owner);
    }

    /// The newest of those, when that is at hand.
    #[inline]
    pub(crate) fn prefetch_newest_order(&self, market: MarketId, owner: Slot) {
        self.entries.prefetch_newest(market, owner);
    }

    /// Whether something is over at a time and still in its place.
    pub(crate) fn has_over(&self, now: Time) -> bool {
        self.entries.first_over(now).is_some()
    }

    /// What opens or closes an order of an account in a market: where its name is looked for, its place if it has one, and those that stand next to
    /// that, a step each time.
    #[inline]
    pub(crate) fn prefetch_planned(
        &self,
        tag: u64,
        (market, owner): (MarketId, Slot),
        number: Option<u32>,
        is_place_at_hand: bool,
    ) {
        match (number, is_place_at_hand) {
            (Some(number), true) => self.entries.prefetch_neighbours(number),
            (None, true) => self.entries.prefetch_newest(market, owner),
            (_, false) => {
                self.entries.prefetch_name(tag);
                self.entries.prefetch_owner(market, owner);
                number.into_iter().for_each(|number| self.entries.prefetch_place(number));
            }
        }
    }

    /// The place of an entry.
    #[inline]
    pub(crate) fn prefetch_place(&self, number: u32) {
        self.entries.prefetch_place(number);
    }

    /// What it leads to, when it is at hand.
    #[inline]
    pub(crate) fn prefetch_behind_place(&self, number: u32) {
        self.entries.prefetch_behind_place(number);
    }

    /// What is found there, when that is at hand.
    #[inline]
    pub(crate) fn prefetch_entry(&self, tag: u64) {
        self.entries.prefetch_places(tag);
    }

    /// What that leads to.
    #[inline]
    pub(crate) fn prefetch_behind(&self, tag: u64) {
        self.entries.prefetch_behind(tag);
    }

    /// Brings closer what an account has beside its record, when that is at hand.
    #[inline]
    pub(crate) fn prefetch_further(&self, slot: Slot) {
        self.accounts.prefetch_further(slot);
    }

    /// Uses up a sequence of an account. `Err` says why it can't be used; then nothing has changed.
    #[inline]
    pub(crate) fn use_sequence(&mut self, slot: Slot, lane: u16, sequence: u64) -> Result<(), Rejection> {
        match self.accounts.check_sequence(slot, lane, sequence) {
            Err(account::LanesFull) => Err(Rejection::new(RejectionCode::TooManyLanes, 64)),
            Ok((_, Use::Duplicate)) => Err(Rejection::new(RejectionCode::Duplicate, sequence)),
            Ok((_, Use::OutOfWindow(lowest))) => Err(Rejection::new(RejectionCode::OutOfWindow, lowest)),
            Ok((window, Use::Fresh)) => {
                self.accounts.set_window(slot, lane, window.with(sequence));
                self.accounts.mark(slot);
                Ok(())
            }
        }
    }

    fn open(&mut self, address: &Address, hash: Hash) -> Result<Slot, Rejection> {
        let full = Rejection::new(RejectionCode::TooManyAccounts, u64::from(self.accounts.len()));
        let slot = self.accounts.push(address).ok_or(full)?;
        self.index.insert(hash, slot);
        Ok(slot)
    }

    /// Canonical bytes of an account.
    pub(crate) fn encode_account(&self, slot: Slot, out: &mut Vec<u8>) {
        self.accounts.encode(slot, out);
    }

    /// How many accounts, assets and places for entries there are.
    pub(crate) const fn counts(&self) -> [u32; 3] {
        [self.accounts.len(), self.assets.len(), self.entries.len()]
    }

    /// Canonical bytes of a changed asset: number, then the record.
    pub(crate) fn encode_asset(&self, asset: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&asset.to_le_bytes());
        self.assets.encode(AssetId(asset), out);
    }

    /// Canonical bytes of a changed entry: number, then what stands there.
    pub(crate) fn encode_entry(&self, number: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&number.to_le_bytes());
        self.entries.encode(number, out);
    }

    /// Says how many accounts there may be: a rule of the ledger.
    pub(crate) const fn limit_accounts(&mut self, max: u32) {
        self.accounts.limit(max);
    }

    /// Whether a transaction could open more accounts than there may be.
    #[inline]
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.accounts.room() < index::TAKEN_BACK_MAX
    }

    /// The state stands at the time of its last block.
    pub(crate) const fn set_time(&mut self, time: Time) {
        self.time = time;
    }

    /// Goes on to the time of a block; whether that is a new one.
    pub(crate) fn pass_time(&mut self, time: Time) -> bool {
        let is_new = time > self.time;
        self.time = self.time.max(time);
        is_new
    }

    /// The state as it is now, for readers who look things up. The owner's next writes copy what the reader still holds, page by page.
    pub(crate) fn share(&mut self) -> StateSnapshot {
        let books = self.entries.share_books();
        StateSnapshot { books, ..self.share_without_books() }
    }

    /// The same for those who don't look into books.
    pub(crate) fn share_without_books(&mut self) -> StateSnapshot {
        let Self { accounts, assets, entries, index, .. } = self;
        let names = entries.share_names();
        let records = StateRecords { accounts: accounts.share(), assets: assets.share(), entries: entries.share() };
        StateSnapshot { records, index: index.share(), names, books: SharedBooks::default() }
    }

    /// The same without the means to find an address, for those who go through everything in order, once: the owner saves accounts ahead of
    /// them, one by one, instead of copying pages.
    pub(crate) fn share_records(&mut self) -> StateRecords {
        StateRecords { accounts: self.accounts.watch(), assets: self.assets.share(), entries: self.entries.share() }
    }

    fn available(&self, slot: Slot, asset: AssetId) -> Amount {
        self.accounts.available(slot, asset)
    }
}
