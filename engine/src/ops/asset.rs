//! Registers an asset, issued by its source.
//!
//! The asset gets the next dense number. Its issuer's transfers create it, transfers to the issuer destroy it.
//!
//! **Touches** the table of assets, which has one order: registrations follow each other.

use super::Source;
use crate::state::Context;
use crate::types::{Amount, AssetCode, Rejection};
use crate::wire::{Malformed, Reader};

/// An order to register an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterAsset {
    /// Its short name; an issuer has each but once.
    pub code: AssetCode,
    /// Where a person puts the decimal point: how many decimal places the smallest unit is away. 0 to 30.
    pub scale: u8,
    /// The most that may ever be issued at one time, in the smallest unit.
    pub maximum_supply: Amount,
}

impl RegisterAsset {
    pub(crate) const CODE: u8 = 2;
    pub(crate) const BYTES: usize = 40;
    const SCALE_MAX: u8 = 30;

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        context.register_asset(source.address, self)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.scale, 0, 0, 0]);
        out.extend_from_slice(self.code.field());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.maximum_supply.0.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let scale = reader.u8()?;
        if scale > Self::SCALE_MAX {
            return Err(Malformed::Field { field: "scale", offset, expected: "0 to 30", found: u64::from(scale) });
        }
        reader.reserved::<3>()?;
        let offset = reader.offset();
        let field = reader.array()?;
        let Some(code) = AssetCode::from_field(field) else {
            let expected = "1 to 12 of A-Z a-z 0-9 . _ -, then zeros";
            let odd = field.iter().find(|byte| !byte.is_ascii_alphanumeric()).copied().unwrap_or(0);
            return Err(Malformed::Field { field: "asset code", offset, expected, found: u64::from(odd) });
        };
        reader.reserved::<4>()?;
        Ok(Self { code, scale, maximum_supply: Amount(reader.u128()?) })
    }
}
