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
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
