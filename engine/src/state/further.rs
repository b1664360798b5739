//! What an account holds beside its first asset: up to three balances in place, in two cache lines with nothing behind them; more in a sorted
//! map, since anyone can pay it in any number of assets.

use super::account::Balance;
use super::chunks::Chunks;
use crate::types::AssetId;

/// Balances in place at most.
const FEW: usize = 3;

/// Balances by ascending asset.
#[derive(Clone, Debug)]
pub(super) enum FurtherBalances {
    /// The first `len` places, none of them zero.
    Few { len: u8, assets: [AssetId; FEW], balances: [Balance; FEW] },
    Many {
        /// Zeros included.
        balances: Chunks<AssetId, Balance>,
        /// How many of them aren't zero.
        filled: u32,
    },
}

const _: () = assert!(size_of::<FurtherBalances>() <= 128);

impl Default for FurtherBalances {
    fn default() -> Self {
        Self::Few { len: 0, assets: [AssetId::default(); FEW], balances: [Balance::ZERO; FEW] }
    }
}

impl FurtherBalances {
    #[inline]
    pub(super) fn get(&self, asset: AssetId) -> Balance {
        match self {
            Self::Few { .. } => self.few().find(|&(own, _)| own == asset).map(|(_, balance)| balance),
            Self::Many { balances, .. } => balances.get(asset).copied(),
        }
        .unwrap_or_default()
    }

    pub(super) fn set(&mut self, asset: AssetId, balance: Balance) {
        match self {
            Self::Few { len, assets, balances } => {
                let count = usize::from(*len).min(FEW);
                let place = assets[..count].partition_point(|own| *own < asset);
                let is_there = assets[..count].get(place) == Some(&asset);
                match (is_there, balance == Balance::ZERO) {
                    (true, false) => balances[place] = balance,
                    (false, true) => {}
                    (true, true) => {
                        assets[place..count].rotate_left(1);
                        balances[place..count].rotate_left(1);
                        *len = len.saturating_sub(1);
                    }
                    (false, false) if count < FEW => {
                        (assets[count], balances[count]) = (asset, balance);
                        assets[place..=count].rotate_right(1);
                        balances[place..=count].rotate_right(1);
                        *len = len.saturating_add(1);
                    }
                    (false, false) => {
                        let mut many = Self::Many { balances: Chunks::default(), filled: 0 };
                        self.iter().for_each(|(asset, balance)| many.set(asset, balance));
                        many.set(asset, balance);
                        *self = many;
                    }
                }
            }
            Self::Many { balances, filled } => {
                let before = balances.insert(asset, balance).unwrap_or_default();
                let is_filled = |balance| u32::from(balance != Balance::ZERO);
                *filled = filled.saturating_add(is_filled(balance)).saturating_sub(is_filled(before));
            }
        }
    }

    /// How many aren't zero.
    #[inline]
    pub(super) fn filled(&self) -> u32 {
        match self {
            Self::Few { len, .. } => u32::from(*len),
            Self::Many { filled, .. } => *filled,
        }
    }

    /// All of them, ascending; zeros may be among them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AssetId, Balance)> {
        let many = match self {
            Self::Few { .. } => None,
            Self::Many { balances, .. } => Some(balances),
        };
        self.few().chain(many.into_iter().flat_map(Chunks::iter))
    }

    /// Those in place.
    #[inline]
    fn few(&self) -> impl Iterator<Item = (AssetId, Balance)> {
        let (len, assets, balances) = match self {
            Self::Few { len, assets, balances } => (*len, assets.as_slice(), balances.as_slice()),
            Self::Many { .. } => (0, [].as_slice(), [].as_slice()),
        };
        assets.iter().copied().zip(balances.iter().copied()).take(usize::from(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Amount;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_map_of_the_standard_library_few_or_many() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut few, mut many) = (0, 0);
        for kinds in [2, 3, 4, 5, 9, 300] {
            for _ in 0..200 {
                let (mut own, mut naive) = (FurtherBalances::default(), BTreeMap::new());
                for _ in 0..random(40) {
                    let asset = AssetId(u32::try_from(random(kinds)).unwrap());
                    let amount = |n: u64| Amount(u128::from(n));
                    let balance = Balance { available: amount(random(3)), held: amount(random(2)) };
                    own.set(asset, balance);
                    naive.insert(asset, balance);
                    assert_eq!(own.get(asset), balance);
                }
                let filled = |(_, balance): &(AssetId, Balance)| *balance != Balance::ZERO;
                let expected: Vec<(AssetId, Balance)> = naive.into_iter().filter(filled).collect();
                assert_eq!(own.iter().filter(filled).collect::<Vec<_>>(), expected);
                assert_eq!(own.filled() as usize, expected.len());
                assert_eq!(own.get(AssetId(1_000)), Balance::ZERO);
                match own {
                    FurtherBalances::Few { .. } => few += 1,
                    FurtherBalances::Many { .. } => many += 1,
                }
            }
        }
        assert!(few > 400 && many > 400, "{few} few, {many} many");
    }
}
