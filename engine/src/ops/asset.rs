//! Registers an asset, issued by its source, or changes one.
//!
//! The asset gets the next dense number. Its issuer's transfers create it, transfers to the issuer destroy it. What a later change may
//! do is bounded: unless the asset is mutable it can only bind the issuer more.
//!
//! **Touches** the table of assets, which has one order: registrations follow each other.
//!
//! **Goes in order**, since numbers of assets are given in order. What others pay meanwhile goes by shards: no change gives an asset without policy one.

use super::{Source, Touch};
use crate::state::Context;
use crate::types::{Address, Amount, AssetCode, AssetPolicy, AssetTerms, Rejection, RejectionCode, Time};
use crate::wire::{Malformed, Reader};

/// An order to register an asset, or to change one of the source's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterAsset {
    /// Its short name; an issuer has each but once.
    pub code: AssetCode,
    /// Where a person puts the decimal point: how many decimal places the smallest unit is away. 0 to 30.
    pub scale: u8,
    /// The most that may ever be issued at one time, in the smallest unit.
    pub maximum_supply: Amount,
    /// What the issuer may do, and what holding it asks for.
    pub policy: AssetPolicy,
    /// What belongs to the policy; boxed, since most assets have none.
    pub terms: Option<Box<AssetTerms>>,
    /// Whether this changes an asset that was registered before. Its scale stays what it was.
    pub is_update: bool,
}

impl RegisterAsset {
    pub(crate) const CODE: u8 = 2;
    pub(crate) const BYTES_MIN: usize = 40;
    pub(crate) const BYTES_MAX: usize = Self::BYTES_MIN + Self::TERMS_BYTES;
    const TERMS_BYTES: usize = 160;
    const SCALE_MAX: u8 = 30;

    /// An asset without any policy.
    #[must_use]
    pub const fn plain(code: AssetCode, scale: u8, maximum_supply: Amount) -> Self {
        Self { code, scale, maximum_supply, policy: AssetPolicy(0), terms: None, is_update: false }
    }

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        if self.is_update { self.update(source, context) } else { context.register_asset(source.address, self) }
    }

    fn update(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let missing = Rejection::new(RejectionCode::NoAsset, u64::MAX);
        let id = context.find_asset(source.address, self.code).ok_or(missing)?;
        let asset = context.asset(id)?;
        if let Some(beyond) = asset.issued.0.checked_sub(self.maximum_supply.0).filter(|&beyond| beyond > 0) {
            return Err(Rejection::new(RejectionCode::SupplyExceeded, u64::try_from(beyond).unwrap_or(u64::MAX)));
        }
        let (before, terms) = (context.asset_terms(id), self.terms.as_deref().copied().unwrap_or_default());
        if !asset.policy.has(AssetPolicy::MUTABLE) {
            let locked = |what| Err(Rejection::new(RejectionCode::PolicyLocked, what));
            if self.maximum_supply > asset.maximum_supply {
                return locked(0);
            }
            if !asset.policy.has(self.policy) {
                return locked(1);
            }
            if !binds_more(self.policy, &before, &terms) {
                return locked(2);
            }
        }
        context.update_asset(id, self.maximum_supply, self.policy, &terms)
    }

    /// See [`Touch`].
    #[expect(clippy::unnecessary_wraps, reason = "all operations say it alike")]
    pub(super) const fn touches(_: &[u8], _: &mut dyn FnMut(Touch)) -> Option<()> {
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.scale, u8::from(self.is_update)]);
        out.extend_from_slice(&self.policy.0.to_le_bytes());
        out.extend_from_slice(self.code.field());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.maximum_supply.0.to_le_bytes());
        if let Some(terms) = &self.terms {
            out.extend_from_slice(&terms.schema);
            out.extend_from_slice(&terms.attester.0);
            out.extend_from_slice(&terms.fee_account.0);
            out.extend_from_slice(&terms.fee_maximum.0.to_le_bytes());
            out.extend_from_slice(&u64::from(terms.fee_basis_points).to_le_bytes());
            out.extend_from_slice(&terms.expiry.0.to_le_bytes());
            out.extend_from_slice(&terms.metadata);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let scale = reader.u8()?;
        if scale > Self::SCALE_MAX {
            return Err(Malformed::Field { field: "scale", offset, expected: "0 to 30", found: u64::from(scale) });
        }
        let offset = reader.offset();
        let is_update = reader.u8()?;
        if is_update > 1 || is_update == 1 && scale != 0 {
            let expected = "0, or 1 with a scale of 0";
            return Err(Malformed::Field { field: "update", offset, expected, found: u64::from(is_update) });
        }
        let offset = reader.offset();
        let policy = AssetPolicy(reader.u16()?);
        if !AssetPolicy::ALL.has(policy) {
            let found = u64::from(policy.0);
            return Err(Malformed::Field { field: "policy", offset, expected: "the policy bits there are", found });
        }
        let offset = reader.offset();
        let field = reader.array()?;
        let Some(code) = AssetCode::from_field(field) else {
            let expected = "1 to 12 of A-Z a-z 0-9 . _ -, then zeros";
            let odd = field.iter().find(|byte| !byte.is_ascii_alphanumeric()).copied().unwrap_or(0);
            return Err(Malformed::Field { field: "asset code", offset, expected, found: u64::from(odd) });
        };
        reader.reserved::<4>()?;
        let maximum_supply = Amount(reader.u128()?);
        let has_terms = policy.has_any(AssetPolicy::WITH_TERMS);
        let terms = has_terms.then(|| decode_terms(policy, reader)).transpose()?.map(Box::new);
        Ok(Self { code, scale, maximum_supply, policy, terms, is_update: is_update == 1 })
    }
}

/// Whether the terms of the bits that are kept give the issuer no more than before.
fn binds_more(policy: AssetPolicy, before: &AssetTerms, after: &AssetTerms) -> bool {
    let kept = |bit: AssetPolicy, is_same: bool| !policy.has(bit) || is_same;
    kept(AssetPolicy::CREDENTIAL, (before.schema, before.attester) == (after.schema, after.attester))
        && kept(
            AssetPolicy::FEE,
            (before.fee_account, before.fee_maximum) == (after.fee_account, after.fee_maximum)
                && after.fee_basis_points <= before.fee_basis_points,
        )
        && kept(AssetPolicy::EXPIRES, before.expiry == after.expiry)
        && kept(AssetPolicy::METADATA, before.metadata == after.metadata)
}

/// Reads terms: what belongs to a bit that isn't set is zero.
fn decode_terms(policy: AssetPolicy, reader: &mut Reader<'_>) -> Result<AssetTerms, Malformed> {
    let offset = reader.offset();
    let schema = reader.array()?;
    let attester = Address(reader.array()?);
    let fee_account = Address(reader.array()?);
    let fee_maximum = Amount(reader.u128()?);
    let points = reader.u64()?;
    let expiry = Time(reader.u64()?);
    let metadata = reader.array()?;
    let field = |field, at: usize, expected, found| Malformed::Field { field, offset: offset + at, expected, found };
    let fee_basis_points = u16::try_from(points).ok().filter(|&points| points <= 10_000);
    let fee_basis_points =
        fee_basis_points.ok_or_else(|| field("fee", 112, "at most 10,000 hundredths of a percent", points))?;
    let terms = AssetTerms { schema, attester, fee_account, fee_maximum, fee_basis_points, expiry, metadata };
    let zero = "0 without its policy bit, something with it";
    let is_low = |address: &Address| nostro_ed25519::is_low_order(&address.0);
    let parts = [
        (AssetPolicy::CREDENTIAL, "attester", 32, terms.attester != Address::default()),
        (AssetPolicy::FEE, "fee account", 64, terms.fee_account != Address::default()),
        (AssetPolicy::FEE, "fee", 112, terms.fee_basis_points != 0),
        (AssetPolicy::EXPIRES, "expiry", 120, terms.expiry != Time(0)),
        (AssetPolicy::METADATA, "metadata", 128, terms.metadata != [0; 32]),
    ];
    for (bit, name, at, is_there) in parts {
        if policy.has(bit) != is_there {
            return Err(field(name, at, zero, u64::from(is_there)));
        }
    }
    if !policy.has(AssetPolicy::CREDENTIAL) && terms.schema != [0; 32] {
        return Err(field("schema", 0, zero, 1));
    }
    if !policy.has(AssetPolicy::FEE) && terms.fee_maximum != Amount::ZERO {
        return Err(field("fee maximum", 96, zero, 1));
    }
    for (bit, at, address) in [(AssetPolicy::CREDENTIAL, 32, &attester), (AssetPolicy::FEE, 64, &fee_account)] {
        if policy.has(bit) && is_low(address) {
            return Err(Malformed::LowOrderAddress { offset: offset + at });
        }
    }
    Ok(terms)
}
