//! What is known of a state while its shards are worked on: nothing of it changes meanwhile.

use super::addresses::Addresses;
use super::asset::{Asset, Assets};
use super::entries::{Entries, Entry, MarketState, Name, OrderState, PLACES_MAX as ENTRIES_MAX};
use super::index::Index;
use super::payment::{Issuers, Payment};
use super::shard::Shard;
use super::{Slot, State};
use crate::types::{Address, AssetId, MarketId, Side, Time};

/// What can be known of a state while its shards are worked on: who is there, and who issues what. It doesn't change meanwhile.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    index: &'a Index,
    addresses: &'a Addresses,
    accounts: u32,
    issuers: &'a Issuers,
    entries: &'a Entries,
    assets: &'a Assets,
}

impl Known<'_> {
    /// The slot of an account, if it has come into being.
    pub(crate) fn find(&self, address: &Address) -> Option<Slot> {
        let is_it = |slot: Slot| slot.0 < self.accounts && self.addresses.is(slot, address);
        self.index.find(self.index.hash(address), is_it)
    }

    /// Whether a payment is known to be nothing else: no mint, no burn, nobody's who has rules of their own.
    #[inline]
    pub(crate) fn is_payment(&self, payment: &Payment) -> bool {
        self.issuers.know(payment, self.accounts, self.entries)
    }

    /// Visits the accounts whose balances the hold or the grant of a name asks for.
    pub(crate) fn balances_asked(&self, name: &Name<'_>, see: &mut dyn FnMut(Address)) {
        if !self.entries.asks_for_balances() {
            return;
        }
        match self.entries.find(name).and_then(|number| self.entries.get(number)) {
            Some(Entry::Hold(hold)) => hold.balances(see),
            Some(Entry::Grant(grant)) => grant.predicate.balances(see),
            _ => {}
        }
    }

    /// Whether an account has rules of its own.
    #[inline]
    pub(crate) fn is_guarded(&self, slot: Slot) -> bool {
        self.entries.is_guarded(slot.0)
    }

    /// What is known of an asset.
    #[inline]
    pub(crate) fn asset(&self, asset: AssetId) -> Option<&Asset> {
        self.assets.get(asset)
    }

    /// Whether there is an asset, and it has no policy. It never gets any.
    #[inline]
    pub(crate) fn is_plain(&self, asset: AssetId) -> bool {
        self.asset(asset).is_some_and(|asset| !asset.has_policy())
    }

    /// A market by its number.
    #[inline]
    pub(crate) fn market(&self, market: MarketId) -> Option<&MarketState> {
        match self.entries.get(market.0) {
            Some(Entry::Market(state)) => Some(state),
            _ => None,
        }
    }

    /// An order that waits, by its number.
    #[inline]
    pub(crate) fn order(&self, number: u32) -> Option<&OrderState> {
        self.entries.order(number)
    }

    /// The number of an account's order, whose name has this tag.
    #[inline]
    pub(crate) fn find_order(&self, owner: &Address, id: u64, tag: u64) -> Option<u32> {
        self.entries.find_tagged(&OrderState::name(owner, id), tag)
    }

    /// The best order that waits on a side of a market.
    pub(crate) fn first_waiting(&self, market: MarketId, side: Side) -> Option<u32> {
        self.entries.first_waiting(market, side).map(|(number, _)| number)
    }

    /// The one that comes behind an order.
    pub(crate) fn next_waiting(&self, number: u32) -> Option<u32> {
        self.entries.next_waiting(number)
    }

    /// The newest of an account's orders in a market.
    pub(crate) fn newest_owned(&self, market: MarketId, owner: Slot) -> Option<u32> {
        self.entries.owned(market, owner).next()
    }

    /// The one before an order of an account in its market.
    pub(crate) fn next_owned(&self, number: u32) -> Option<u32> {
        self.entries.next_owned(number)
    }

    /// The slot of the account whose order this is.
    #[inline]
    pub(crate) fn owner_slot(&self, number: u32) -> Option<Slot> {
        self.entries.owner_slot(number)
    }

    /// By which the name of an account's order is looked for.
    #[inline]
    pub(crate) fn order_tag(&self, owner: &Address, id: u64) -> u64 {
        self.entries.tag(&OrderState::name(owner, id))
    }

    /// How many places of entries there are.
    pub(crate) const fn entry_count(&self) -> u32 {
        self.entries.len()
    }

    /// Brings closer what has a name with this tag, when where it is looked for is at hand.
    pub(crate) fn prefetch_named(&self, tag: u64) {
        self.entries.prefetch_places(tag);
    }

    /// Brings closer what is met when those behind an order in its line are.
    pub(crate) fn prefetch_line(&self, number: u32) {
        let _ = self.entries.prefetch_line(number);
    }

    /// Brings an order closer.
    #[inline]
    pub(crate) fn prefetch_order(&self, number: u32) {
        self.entries.prefetch_place(number);
    }

    /// By which a name is looked for.
    pub(crate) fn tag(&self, name: &Name<'_>) -> u64 {
        self.entries.tag(name)
    }

    /// Whether an entry has a name with this tag.
    pub(crate) fn has_entry(&self, name: &Name<'_>, tag: u64) -> bool {
        self.entries.find_tagged(name, tag).is_some()
    }

    /// Whether so many entries more surely find room.
    pub(crate) fn has_room(&self, entries: u64) -> bool {
        u64::from(self.entries.len()).saturating_add(entries) < u64::from(ENTRIES_MAX)
    }

    /// Brings closer where an entry is looked for.
    #[inline]
    pub(crate) fn prefetch_name(&self, tag: u64) {
        self.entries.prefetch_name(tag);
    }

    /// Whether something is over at a time and still in its place.
    pub(crate) fn has_over(&self, now: Time) -> bool {
        self.entries.first_over(now).is_some()
    }
}

impl State {
    /// The shards, and what else has to be known of the state to work on them.
    pub(crate) fn known_and_shards(&mut self) -> (Known<'_>, &mut [Shard]) {
        let Self { accounts, index, issuers, entries, assets, .. } = self;
        let (addresses, accounts, shards) = accounts.split();
        (Known { index, addresses, accounts, issuers, entries, assets }, shards)
    }
}
