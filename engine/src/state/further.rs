//! What an account holds beside its first asset: up to three balances in place; up to two dozen with their assets in place and the amounts behind
//! one pointer, so that a look at two cache lines says where the third is; more in a sorted map, since anyone can pay it in any number of
//! assets.

use super::balance::Balance;
use super::chunks::Chunks;
use super::prefetch::prefetch;
use crate::types::AssetId;
use std::sync::Arc;

/// Balances in place at most.
const FEW: usize = 3;
/// Assets in place at most.
const SOME: usize = 24;
/// Room for balances grows by so many.
const STEP: usize = 8;

/// Balances by ascending asset.
#[derive(Clone, Debug)]
pub(super) enum FurtherBalances {
    /// The first `len` places, none of them zero.
    Few { len: u8, assets: [AssetId; FEW], balances: [Balance; FEW] },
    /// The same with as many balances as there is room for, which a reader's copy shares.
    Some { len: u8, assets: [AssetId; SOME], balances: Arc<[Balance]> },
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
        self.find(asset).copied().unwrap_or_default()
    }

    /// Brings a balance closer, or where it would be, when what is in place is at hand.
    #[inline]
    pub(super) fn prefetch(&self, asset: AssetId) {
        if let Self::Some { balances, .. } = self {
            let (assets, _) = self.in_place();
            let place = assets.partition_point(|own| *own < asset);
            // Beside the first stands who shares them.
            balances.get(place).into_iter().chain(balances.first()).for_each(prefetch);
        }
    }

    #[inline]
    fn find(&self, asset: AssetId) -> Option<&Balance> {
        match self {
            Self::Many { balances, .. } => balances.get(asset),
            Self::Few { .. } | Self::Some { .. } => self.find_in_place(asset),
        }
    }

    #[inline]
    fn find_in_place(&self, asset: AssetId) -> Option<&Balance> {
        let (assets, balances) = self.in_place();
        let place = assets.partition_point(|own| *own < asset);
        balances.get(place).filter(|_| assets.get(place) == Some(&asset))
    }

    /// Assets, and balances of those at least, unless they are many.
    #[inline]
    fn in_place(&self) -> (&[AssetId], &[Balance]) {
        let (len, assets, balances) = match self {
            Self::Few { len, assets, balances } => (*len, assets.as_slice(), balances.as_slice()),
            Self::Some { len, assets, balances } => (*len, assets.as_slice(), &**balances),
            Self::Many { .. } => (0, [].as_slice(), [].as_slice()),
        };
        (assets.get(..usize::from(len)).unwrap_or_default(), balances)
    }

    pub(super) fn set(&mut self, asset: AssetId, balance: Balance) {
        let is_set = match self {
            Self::Few { len, assets, balances } => set_in_place(len, assets, balances, asset, balance),
            Self::Some { len, assets, balances } => set_in_place(len, assets, Arc::make_mut(balances), asset, balance),
            Self::Many { balances, filled } => {
                let before = balances.insert(asset, balance).unwrap_or_default();
                let is_filled = |balance| u32::from(balance != Balance::ZERO);
                *filled = filled.saturating_add(is_filled(balance)).saturating_sub(is_filled(before));
                true
            }
        };
        if !is_set {
            self.grow();
            self.set(asset, balance);
        }
    }

    /// Makes room for another.
    #[cold]
    fn grow(&mut self) {
        let (own, balances) = self.in_place();
        let count = own.len();
        if count >= SOME {
            let mut many = Self::Many { balances: Chunks::default(), filled: 0 };
            self.iter().for_each(|(asset, balance)| many.set(asset, balance));
            *self = many;
            return;
        }
        let mut assets = [AssetId::default(); SOME];
        assets[..count].copy_from_slice(own);
        let room = (count + 1).next_multiple_of(STEP);
        let zeros = std::iter::repeat(Balance::ZERO);
        let balances = balances.iter().copied().take(count).chain(zeros).take(room).collect();
        // There are never more than two dozen.
        *self = Self::Some { len: u8::try_from(count).unwrap_or(0), assets, balances };
    }

    /// How many aren't zero.
    #[inline]
    pub(super) fn filled(&self) -> u32 {
        match self {
            Self::Few { len, .. } | Self::Some { len, .. } => u32::from(*len),
            Self::Many { filled, .. } => *filled,
        }
    }

    /// All of them, ascending; zeros may be among them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (AssetId, Balance)> {
        let many = match self {
            Self::Few { .. } | Self::Some { .. } => None,
            Self::Many { balances, .. } => Some(balances),
        };
        let (assets, balances) = self.in_place();
        let in_place = assets.iter().copied().zip(balances.iter().copied());
        in_place.chain(many.into_iter().flat_map(Chunks::iter))
    }
}

/// Sets a balance among `len` of ascending assets, or takes it away if it is zero; `false` if there is no room for it.
fn set_in_place(
    len: &mut u8,
    assets: &mut [AssetId],
    balances: &mut [Balance],
    asset: AssetId,
    balance: Balance,
) -> bool {
    let count = usize::from(*len).min(assets.len()).min(balances.len());
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
        (false, false) if count < assets.len().min(balances.len()) => {
            (assets[count], balances[count]) = (asset, balance);
            assets[place..=count].rotate_right(1);
            balances[place..=count].rotate_right(1);
            *len = len.saturating_add(1);
        }
        (false, false) => return false,
    }
    true
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
        let mut forms = [0; 3];
        for kinds in [2, 3, 4, 5, 9, 40, 300] {
            for _ in 0..200 {
                let (mut own, mut naive) = (FurtherBalances::default(), BTreeMap::new());
                let mut copy = (own.clone(), naive.clone());
                for round in 0..random(90) {
                    let asset = AssetId(u32::try_from(random(kinds)).unwrap());
                    let amount = |n: u64| Amount(u128::from(n));
                    let balance = Balance { available: amount(random(3)), held: amount(random(2)) };
                    own.set(asset, balance);
                    naive.insert(asset, balance);
                    assert_eq!(own.get(asset), balance);
                    own.prefetch(asset);
                    if round == 30 {
                        copy = (own.clone(), naive.clone());
                    }
                }
                let filled = |(_, balance): &(AssetId, Balance)| *balance != Balance::ZERO;
                let all = |naive: BTreeMap<_, _>| naive.into_iter().filter(filled).collect::<Vec<_>>();
                let expected = all(naive);
                assert_eq!(own.iter().filter(filled).collect::<Vec<_>>(), expected);
                assert_eq!(copy.0.iter().filter(filled).collect::<Vec<_>>(), all(copy.1));
                assert_eq!(own.filled() as usize, expected.len());
                assert_eq!(own.get(AssetId(1_000)), Balance::ZERO);
                forms[match own {
                    FurtherBalances::Few { .. } => 0,
                    FurtherBalances::Some { .. } => 1,
                    FurtherBalances::Many { .. } => 2,
                }] += 1;
            }
        }
        assert!(forms.iter().all(|&count| count > 100), "{forms:?}");
    }
}
