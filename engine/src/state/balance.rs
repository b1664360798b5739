//! What an account has of an asset, and what is added to it.

use crate::types::Amount;

/// What an account holds of one asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Free to be spent.
    pub available: Amount,
    /// Reserved.
    pub held: Amount,
}

impl Balance {
    pub(super) const ZERO: Self = Self { available: Amount::ZERO, held: Amount::ZERO };

    /// With so much more to be spent. Can't overflow, since all balances together are at most the maximum supply.
    #[inline]
    pub(super) fn credited(self, amount: Amount) -> Self {
        debug_assert!(self.available.plus(amount).is_ok(), "balances are part of what is issued");
        Self { available: Amount(self.available.0.saturating_add(amount.0)), ..self }
    }

    /// With so much less to be spent, which was there.
    #[inline]
    pub(super) fn debited(self, amount: Amount) -> Self {
        debug_assert!(self.available >= amount, "only what is there is spent");
        Self { available: Amount(self.available.0.saturating_sub(amount.0)), ..self }
    }

    /// With so much less set aside, which was there.
    #[inline]
    pub(super) fn delivered(self, amount: Amount) -> Self {
        debug_assert!(self.held >= amount, "only what was set aside is delivered or given back");
        Self { held: Amount(self.held.0.saturating_sub(amount.0)), ..self }
    }

    /// With so much more set aside of what can be spent.
    #[inline]
    pub(super) fn set_aside(self, amount: Amount) -> Self {
        let Self { available, held } = self.debited(amount);
        Self { available, held: Amount(held.0.saturating_add(amount.0)) }
    }

    /// With all that a shift adds.
    #[inline]
    pub(super) fn shifted(self, Shift { available, held }: Shift) -> Self {
        let plus = |amount: Amount, shift: u128| Amount(amount.0.wrapping_add(shift));
        Self { available: plus(self.available, available), held: plus(self.held, held) }
    }

    /// Both together: a part of what is issued.
    #[inline]
    pub(super) const fn all(self) -> Amount {
        Amount(self.available.0.wrapping_add(self.held.0))
    }
}

/// What is added to a balance, modulo 2¹²⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    available: u128,
    held: u128,
}

impl Shift {
    /// With so much more to be spent.
    pub(crate) const fn credited(self, amount: Amount) -> Self {
        Self { available: self.available.wrapping_add(amount.0), ..self }
    }

    /// With so much less to be spent.
    pub(crate) const fn debited(self, amount: Amount) -> Self {
        Self { available: self.available.wrapping_sub(amount.0), ..self }
    }

    /// With so much less set aside.
    pub(crate) const fn delivered(self, amount: Amount) -> Self {
        Self { held: self.held.wrapping_sub(amount.0), ..self }
    }

    /// With so much more set aside of what can be spent.
    pub(crate) const fn set_aside(self, amount: Amount) -> Self {
        Self { held: self.held.wrapping_add(amount.0), ..self.debited(amount) }
    }

    /// What both parts of a balance together get.
    pub(super) const fn all(self) -> u128 {
        self.available.wrapping_add(self.held)
    }

    /// Both one after the other.
    pub(crate) const fn and(self, other: Self) -> Self {
        let available = self.available.wrapping_add(other.available);
        Self { available, held: self.held.wrapping_add(other.held) }
    }
}
