//! Moves an amount of an asset from its source to a payee.
//!
//! A transfer by the asset's issuer is a mint: it adds to what is issued, never above the maximum supply. A transfer to the
//! issuer is a burn. The issuer itself holds nothing. What the asset's policy asks of holders is looked at only if it has one.
//!
//! **Touches** the source's and the payee's account; the asset's issued amount when one of them is the issuer.

use super::Source;
use crate::state::{Asset, Context};
use crate::types::{Address, Amount, AssetId, AssetPolicy, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// An order to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        if asset.has_policy() {
            context.check_policy(&asset, self.asset, source.address, &self.payee)?;
        }
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
        if asset.policy.has(AssetPolicy::FEE) && asset.issuer != self.payee {
            return self.pay_with_fee(&asset, source, context);
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

    /// Pays in an asset whose transfers cost a fee, which the source pays on top.
    #[cold]
    fn pay_with_fee(&self, asset: &Asset, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let terms = context.asset_terms(self.asset);
        let is_free = *source.address == terms.fee_account;
        let fee = if is_free { Amount::ZERO } else { terms.fee(self.amount) };
        let Ok(total) = self.amount.plus(fee) else {
            // More than there can be of an asset.
            let spare = context.available(source.address, self.asset).0.saturating_sub(self.amount.0);
            let missing = u64::try_from(fee.0.saturating_sub(spare)).unwrap_or(u64::MAX);
            return Err(Rejection::new(RejectionCode::InsufficientFunds, missing));
        };
        let (payer, rest) = context.payer(source, self.asset, total)?;
        let payee = context.open_account(&self.payee)?;
        let is_burnt = terms.fee_account == asset.issuer;
        let collector =
            if fee == Amount::ZERO || is_burnt { payee } else { context.open_account(&terms.fee_account)? };

        // From here on it cannot fail, for the same reasons.
        context.set_available(payer, self.asset, rest);
        context.credit(payee, self.asset, self.amount);
        if is_burnt {
            context.set_issued(self.asset, Amount(asset.issued.0.saturating_sub(fee.0)));
        } else {
            context.credit(collector, self.asset, fee);
        }
        Ok(())
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
