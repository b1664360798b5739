//! Moves an amount of an asset from its source to a payee.
//!
//! A transfer by the asset's issuer is a mint: it adds to what is issued, never above the maximum supply. A transfer to the
//! issuer is a burn. The issuer itself holds nothing.
//!
//! **Touches** the source's and the payee's account; the asset's issued amount when one of them is the issuer.

use super::Source;
use crate::state::Context;
use crate::types::{Address, Amount, AssetId, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// An order to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who is paid.
    pub payee: Address,
    /// In what.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit.
    pub amount: Amount,
    /// A number of the sender's own: an invoice, the transfer this one corrects. Kept in the log; has no effect.
    pub reference: u64,
    /// What kind of payment it is, in the sender's own numbering. Kept in the log; has no effect.
    pub code: u32,
}

impl Transfer {
    pub(crate) const CODE: u8 = 1;
    pub(crate) const BYTES: usize = 72;

    #[inline]
    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let asset = context.asset(self.asset)?;
        if *source.address == self.payee {
            return Err(Rejection::new(RejectionCode::SelfTransfer, 0));
        }
        if self.amount == Amount::ZERO {
            return Err(Rejection::new(RejectionCode::ZeroAmount, 0));
        }
        if asset.issuer == *source.address {
            let issued = asset.issued_after(self.amount)?;
            let payee = context.open_account(&self.payee)?;

            // From here on the mint cannot fail: what the payee holds is part of what is issued.
            context.set_issued(self.asset, issued);
            context.credit(payee, self.asset, self.amount);
            return Ok(());
        }
        let (payer, rest) = context.payer(source, self.asset, self.amount)?;
        if asset.issuer == self.payee {
            // From here on the burn cannot fail: what the source holds is part of what is issued.
            let issued = Amount(asset.issued.0.saturating_sub(self.amount.0));
            context.set_available(payer, self.asset, rest);
            context.set_issued(self.asset, issued);
            return Ok(());
        }
        let payee = context.open_account(&self.payee)?;

        // From here on the transfer cannot fail: both hold parts of what is issued, so no sum overflows.
        context.set_available(payer, self.asset, rest);
        context.credit(payee, self.asset, self.amount);
        Ok(())
    }

    /// Reads a transfer that was decoded before, from the bytes of the whole operation; `None` for any other operation.
    #[inline]
    pub(crate) fn peek(operation: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = operation.first_chunk().filter(|bytes| bytes[0] == Self::CODE)?;
        let mut reader = Reader::new(bytes.get(4..)?);
        let code = reader.u32().ok()?;
        let asset = AssetId(reader.u32().ok()?);
        reader.reserved::<4>().ok()?;
        let reference = reader.u64().ok()?;
        let amount = Amount(reader.u128().ok()?);
        Some(Self { payee: Address(reader.array().ok()?), asset, amount, reference, code })
    }

    /// The payee, read from the bytes of the whole operation.
    #[inline]
    pub(super) fn peek_payee(operation: &[u8]) -> Option<Address> {
        operation.get(Self::BYTES - 32..)?.first_chunk().copied().map(Address)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.to_le_bytes());
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.reference.to_le_bytes());
        out.extend_from_slice(&self.amount.0.to_le_bytes());
        out.extend_from_slice(&self.payee.0);
    }

    #[inline]
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let code = reader.u32()?;
        let asset = AssetId(reader.u32()?);
        reader.reserved::<4>()?;
        let reference = reader.u64()?;
        let amount = Amount(reader.u128()?);
        let offset = reader.offset();
        let payee = reader.array()?;
        if nostro_ed25519::is_low_order(&payee) {
            return Err(Malformed::LowOrderAddress { offset });
        }
        Ok(Self { payee: Address(payee), asset, amount, reference, code })
    }
}
