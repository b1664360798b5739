//! What an issuer may do with an asset, and what holding it asks for.

use super::{Address, Amount, Time};

/// The policy bits of an asset. None of them is the policy of money: anyone can hold it and pay it to anyone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AssetPolicy(pub u16);

impl AssetPolicy {
    /// Only holders whom the issuer has authorised get any.
    pub const AUTHORIZATION: Self = Self(1);
    /// The issuer can freeze a holder, who then neither pays nor is paid.
    pub const FREEZABLE: Self = Self(1 << 1);
    /// The issuer can take back what a holder has available.
    pub const CLAWBACK: Self = Self(1 << 2);
    /// It goes from the issuer and back to it, nowhere else.
    pub const NON_TRANSFERABLE: Self = Self(1 << 3);
    /// Whoever holds it needs an attestation; see [`AssetTerms::schema`].
    pub const CREDENTIAL: Self = Self(1 << 4);
    /// A transfer pays a fee; see [`AssetTerms::fee_basis_points`].
    pub const FEE: Self = Self(1 << 5);
    /// It can be paid until a time; see [`AssetTerms::expiry`].
    pub const EXPIRES: Self = Self(1 << 6);
    /// It has a hash of something that describes it; see [`AssetTerms::metadata`].
    pub const METADATA: Self = Self(1 << 7);
    /// The issuer can change supply, policy and terms at will. Can be given up, never gained.
    pub const MUTABLE: Self = Self(1 << 8);

    pub(crate) const ALL: Self = Self(0x1ff);
    /// Bits that have terms.
    pub(crate) const WITH_TERMS: Self = Self(0xf0);

    /// Both policies together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub(crate) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What belongs to the policy bits of an asset. Zero where the bit isn't set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetTerms {
    /// The key of the attestation a holder needs; see [`AssetPolicy::CREDENTIAL`].
    pub schema: [u8; 32],
    /// Who attests it.
    pub attester: Address,
    /// Who gets the fee; see [`AssetPolicy::FEE`]. The issuer's fee is burnt.
    pub fee_account: Address,
    /// The most a fee is; 0 is no limit.
    pub fee_maximum: Amount,
    /// The fee in hundredths of a percent of the amount, 1 to 10,000. Rounded down.
    pub fee_basis_points: u16,
    /// The last block time at which it is paid; see [`AssetPolicy::EXPIRES`]. Afterwards it only goes back to the issuer.
    pub expiry: Time,
    /// See [`AssetPolicy::METADATA`].
    pub metadata: [u8; 32],
}

impl AssetTerms {
    /// What an amount costs beside itself.
    #[must_use]
    pub fn fee(&self, amount: Amount) -> Amount {
        let fee = amount.basis_points(self.fee_basis_points);
        if self.fee_maximum == Amount::ZERO { fee } else { fee.min(self.fee_maximum) }
    }
}
