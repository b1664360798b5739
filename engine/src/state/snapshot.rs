//! A state that stays as it was while the owner goes on.

use super::entries::SharedBooks;
use super::entries::{
    AuthorityState, Entry, GrantState, HoldState, HolderState, MarketState, OrderState, PlacedHold, Record,
    SharedNames, Terms,
};
use super::index::{SharedIndex, Slot};
use super::{Asset, Balance, StateRecords};
use crate::types::{Address, AssetCode, AssetId, AssetTerms, Digest, MarketId, RecordKind, Side};

#[derive(Clone, Debug)]
pub(crate) struct StateSnapshot {
    pub(super) records: StateRecords,
    pub(super) index: SharedIndex,
    pub(super) names: SharedNames,
    pub(super) books: SharedBooks,
}

impl StateSnapshot {
    /// The place of an account, if it has come into being. `ahead` is told where it probably is, before that is certain.
    pub(crate) fn slot(&self, address: &Address, mut ahead: impl FnMut(u32)) -> Option<u32> {
        let found = self.index.find(address, |slot| {
            ahead(slot.0);
            self.records.accounts.is_at(address, slot)
        });
        found.map(|slot| slot.0)
    }

    pub(crate) const fn records(&self) -> &StateRecords {
        &self.records
    }

    fn find(&self, address: &Address) -> Option<Slot> {
        self.index.find(address, |slot| self.records.accounts.is_at(address, slot))
    }

    pub(crate) const fn account_count(&self) -> u32 {
        self.records.accounts.len()
    }

    pub(crate) fn contains(&self, address: &Address) -> bool {
        self.find(address).is_some()
    }

    pub(crate) fn balance(&self, address: &Address, asset: AssetId) -> Balance {
        self.find(address).map(|slot| self.records.accounts.balance(slot, asset)).unwrap_or_default()
    }

    pub(crate) fn balances(&self, address: &Address) -> Vec<(AssetId, Balance)> {
        self.find(address).map(|slot| self.records.accounts.balances(slot)).unwrap_or_default()
    }

    pub(crate) fn sequence(&self, address: &Address, lane: u16) -> Option<u64> {
        self.records.accounts.sequence(self.find(address)?, lane)
    }

    pub(crate) const fn asset_count(&self) -> u32 {
        self.records.assets.len()
    }

    pub(crate) fn asset(&self, asset: AssetId) -> Option<Asset> {
        self.records.assets.get(asset).copied()
    }

    pub(crate) fn find_asset(&self, issuer: &Address, code: AssetCode) -> Option<AssetId> {
        self.records.assets.find(issuer, code)
    }

    fn entry(&self, name: &super::entries::Name<'_>) -> Option<&Entry> {
        self.records.entries.get(self.records.entries.find(name, &self.names)?)
    }

    pub(crate) fn record(
        &self,
        owner: &Address,
        kind: RecordKind,
        key: &[u8; 32],
        subject: Option<&Address>,
    ) -> Option<&Record> {
        match self.entry(&Record::name(owner, kind, key, subject))? {
            Entry::Record(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn holder_state(&self, asset: AssetId, holder: &Address) -> HolderState {
        match self.entry(&HolderState::name(asset, holder)) {
            Some(Entry::Holder(state)) => *state,
            _ => HolderState { asset, holder: *holder, ..HolderState::default() },
        }
    }

    pub(crate) fn asset_terms(&self, asset: AssetId) -> AssetTerms {
        match self.entry(&Terms::name(asset)) {
            Some(Entry::Terms(terms)) => terms.terms,
            _ => AssetTerms::default(),
        }
    }

    pub(crate) fn hold(&self, owner: &Address, id: u64) -> Option<HoldState> {
        match self.entry(&PlacedHold::name(owner, id))? {
            Entry::Hold(hold) => Some(hold.state()),
            _ => None,
        }
    }

    pub(crate) fn grant(&self, owner: &Address, id: u64) -> Option<&GrantState> {
        match self.entry(&GrantState::name(owner, id))? {
            Entry::Grant(grant) => Some(&**grant),
            _ => None,
        }
    }

    pub(crate) fn authority(&self, owner: &Address) -> Option<&AuthorityState> {
        match self.entry(&AuthorityState::name(owner))? {
            Entry::Authority(authority) => Some(authority),
            _ => None,
        }
    }

    pub(crate) fn market(&self, number: u32) -> Option<&MarketState> {
        match self.records.entries.get(number)? {
            Entry::Market(market) => Some(market),
            _ => None,
        }
    }

    pub(crate) fn find_market(&self, operator: &Address, base: AssetId, quote: AssetId) -> Option<u32> {
        self.records.entries.find(&MarketState::name(operator, base, quote), &self.names)
    }

    pub(crate) fn order(&self, owner: &Address, id: u64) -> Option<&OrderState> {
        match self.entry(&OrderState::name(owner, id))? {
            Entry::Order(order) => Some(order),
            _ => None,
        }
    }

    /// Every order that waits, by number.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &OrderState> {
        let entries = &self.records.entries;
        (0..entries.len()).filter_map(|number| match entries.get(number)? {
            Entry::Order(order) => Some(order),
            _ => None,
        })
    }

    /// The prices of a side, the best first, each with how many lots wait at it.
    pub(crate) fn depth(&self, market: MarketId, side: Side) -> impl Iterator<Item = (u64, u128)> {
        self.records.entries.depth(&self.books, market, side)
    }

    /// Every hold, by number.
    pub(crate) fn holds(&self) -> impl Iterator<Item = HoldState> {
        let entries = &self.records.entries;
        (0..entries.len()).filter_map(|number| match entries.get(number)? {
            Entry::Hold(hold) => Some(hold.state()),
            _ => None,
        })
    }

    /// Every grant, by number.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &GrantState> {
        let entries = &self.records.entries;
        (0..entries.len()).filter_map(|number| match entries.get(number)? {
            Entry::Grant(grant) => Some(&**grant),
            _ => None,
        })
    }

    /// Places in the table of entries, free ones included.
    pub(crate) const fn entry_count(&self) -> u32 {
        self.records.entries.len()
    }

    /// Every record that somebody has put, by number.
    pub(crate) fn records_put(&self) -> impl Iterator<Item = &Record> {
        let entries = &self.records.entries;
        (0..entries.len()).filter_map(|number| match entries.get(number)? {
            Entry::Record(record) => Some(&**record),
            _ => None,
        })
    }

    /// Every account in the order they came into being.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = Address> {
        (0..self.records.accounts.len()).filter_map(|slot| self.records.accounts.address(Slot(slot)))
    }

    /// What the `n`-th account holds.
    pub(crate) fn balances_at(&self, n: u32) -> Vec<(AssetId, Balance)> {
        self.records.accounts.balances(Slot(n))
    }

    /// The state digest; see [`StateRecords::digest`].
    pub(crate) fn digest(&self) -> Digest {
        self.records.digest()
    }
}
