//! Amounts of an asset.

use std::fmt;

/// A sum that left the range of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amount leaves its range, 0 to 2^128 - 1")]
pub struct AmountOverflow;

/// A quantity of an asset in its smallest unit: 0 to 2¹²⁸ − 1. There are no fractions and no floats; the asset's scale says
/// where a person would put the decimal point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u128::MAX);

    /// The sum.
    ///
    /// # Errors
    /// [`AmountOverflow`] above 2¹²⁸ − 1.
    pub fn plus(self, other: Self) -> Result<Self, AmountOverflow> {
        self.0.checked_add(other.0).map(Self).ok_or(AmountOverflow)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountOverflow`] below zero.
    pub fn minus(self, other: Self) -> Result<Self, AmountOverflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(AmountOverflow)
    }

    /// So many hundredths of a percent of it, at most all of it, rounded down.
    #[must_use]
    pub(crate) fn basis_points(self, points: u16) -> Self {
        /// As many make one.
        const ALL: u64 = 10_000;
        let points = u64::from(points).min(ALL);
        // Nearly always, and several times quicker.
        if let Some(product) = u64::try_from(self.0).ok().and_then(|amount| amount.checked_mul(points)) {
            return Self(u128::from(product / ALL));
        }
        let (all, points) = (u128::from(ALL), u128::from(points));
        // Neither product leaves the range.
        Self((self.0 / all).saturating_mul(points).saturating_add(self.0 % all * points / all))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
