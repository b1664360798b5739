//! A state that stays as it was while the owner goes on.

use super::index::{SharedIndex, Slot};
use super::{Asset, StateRecords, account::Balance};
use crate::types::{Address, AssetCode, AssetId, Digest};

#[derive(Clone, Debug)]
pub(crate) struct StateSnapshot {
    pub(super) records: StateRecords,
    pub(super) index: SharedIndex,
}

impl StateSnapshot {
    /// The place of an account, if it has come into being.
    pub(crate) fn slot(&self, address: &Address) -> Option<u32> {
        self.find(address).map(|slot| slot.0)
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
