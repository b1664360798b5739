//! A state that stays as it was while the owner goes on.

use super::account::SharedAccounts;
use super::asset::SharedAssets;
use super::index::{SharedIndex, Slot};
use super::{Asset, account::Balance};
use crate::types::{Address, AssetCode, AssetId, Digest};

#[derive(Clone, Debug)]
pub(crate) struct StateSnapshot {
    pub(super) accounts: SharedAccounts,
    pub(super) index: SharedIndex,
    pub(super) assets: SharedAssets,
}

impl StateSnapshot {
    const DIGEST_CONTEXT: &str = "nostro 1 state";
    /// Hashing in pieces of this size keeps the hash function wide and the memory small.
    const PIECE_BYTES: usize = 1 << 20;

    fn find(&self, address: &Address) -> Option<Slot> {
        self.index.find(address, |slot| self.accounts.get(slot).is_some_and(|account| account.address == *address))
    }

    pub(crate) const fn account_count(&self) -> u32 {
        self.accounts.len()
    }

    pub(crate) fn contains(&self, address: &Address) -> bool {
        self.find(address).is_some()
    }

    pub(crate) fn balance(&self, address: &Address, asset: AssetId) -> Balance {
        self.find(address).map(|slot| self.accounts.balance(slot, asset)).unwrap_or_default()
    }

    pub(crate) fn balances(&self, address: &Address) -> Vec<(AssetId, Balance)> {
        self.find(address).map(|slot| self.accounts.balances(slot)).unwrap_or_default()
    }

    pub(crate) fn sequence(&self, address: &Address, lane: u16) -> Option<u64> {
        self.accounts.sequence(self.find(address)?, lane)
    }

    pub(crate) const fn asset_count(&self) -> u32 {
        self.assets.len()
    }

    pub(crate) fn asset(&self, asset: AssetId) -> Option<Asset> {
        self.assets.get(asset).copied()
    }

    pub(crate) fn find_asset(&self, issuer: &Address, code: AssetCode) -> Option<AssetId> {
        self.assets.find(issuer, code)
    }

    /// Every account in the order they came into being.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = Address> {
        (0..self.accounts.len()).filter_map(|slot| self.accounts.get(Slot(slot))).map(|account| account.address)
    }

    /// What the `n`-th account holds.
    pub(crate) fn balances_at(&self, n: u32) -> Vec<(AssetId, Balance)> {
        self.accounts.balances(Slot(n))
    }

    /// The state digest: BLAKE3 over the number of accounts, every account by slot, the number of assets, every asset.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(Self::DIGEST_CONTEXT);
        let mut piece = Vec::with_capacity(Self::PIECE_BYTES + 4096);
        let mut flush = |piece: &mut Vec<u8>, at: usize| {
            if piece.len() >= at {
                hasher.update(piece);
                piece.clear();
            }
        };
        piece.extend_from_slice(&self.accounts.len().to_le_bytes());
        for slot in 0..self.accounts.len() {
            self.accounts.encode(Slot(slot), &mut piece);
            flush(&mut piece, Self::PIECE_BYTES);
        }
        piece.extend_from_slice(&self.assets.len().to_le_bytes());
        for asset in 0..self.assets.len() {
            self.assets.encode(AssetId(asset), &mut piece);
            flush(&mut piece, Self::PIECE_BYTES);
        }
        flush(&mut piece, 0);
        Digest(hasher.finalize().into())
    }
}
