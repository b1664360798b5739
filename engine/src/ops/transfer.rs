//! Moves an amount of an asset from its source to a payee.
//!
//! A transfer by the asset's issuer is a mint: it adds to what is issued, never above the maximum supply. A transfer to the
//! issuer is a burn. The issuer itself holds nothing. What the asset's policy asks of holders is looked at only if it has one. With a grant
//! the money is that of the account which has granted it to the source.
//!
//! **Touches** the source's and the payee's account; the asset's issued amount when one of them is the issuer; with a grant that, and the
//! account of its owner.
//!
//! **Goes by shards** where it is the only order of one signer, in lane 0, in an asset without policy, neither a mint nor a burn, between accounts that are there and have
//! no rules of their own: a debit of one account and a credit of another (see `execute/sharded.rs`). Any other goes in order.

use super::{Source, Touch};
use crate::state::{Asset, Context, GrantState};
use crate::types::{Address, Amount, AssetId, AssetPolicy, AssetTerms, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// Names a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantName {
    /// Who has granted it: whose money it is.
    pub owner: Address,
    /// Which of its owner's.
    pub id: u64,
}

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
    /// Pays what there is, if that is less; something in any case.
    pub up_to: bool,
    /// Pays another's money, who has granted it to the source.
    pub grant: Option<GrantName>,
}

impl Transfer {
    pub(crate) const CODE: u8 = 1;
    pub(crate) const BYTES: usize = 72;
    pub(crate) const BYTES_MAX: usize = Self::BYTES + 40;
    const UP_TO: u8 = 1;
    const HAS_GRANT: u8 = 2;

    #[inline]
    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let asset = context.asset(self.asset)?;
        if self.up_to || self.grant.is_some() || asset.has_policy() {
            let asset = *asset;
            return self.pay_by_rules(&asset, source, context);
        }
        if *source.address == self.payee {
            return Err(Rejection::new(RejectionCode::SelfTransfer, 0));
        }
        if self.amount == Amount::ZERO {
            return Err(Rejection::new(RejectionCode::ZeroAmount, 0));
        }
        if asset.issuer == *source.address {
            let asset = *asset;
            return self.mint(&asset, self.amount, context);
        }
        let (payer, rest) = context.payer(source, self.asset, self.amount)?;
        if asset.issuer == self.payee {
            // From here on the burn cannot fail: what the source holds is part of what is issued.
            let issued = Amount(asset.issued.0.saturating_sub(self.amount.0));
            context.set_available(payer, self.asset, rest);
            context.set_issued(self.asset, issued);
            return Ok(());
        }
        context.check_payee(&self.payee, self.reference != 0)?;
        let payee = context.open_account(&self.payee)?;

        // From here on the transfer cannot fail: both hold parts of what is issued, so no sum overflows.
        context.set_available(payer, self.asset, rest);
        context.credit(payee, self.asset, self.amount);
        Ok(())
    }

    #[inline]
    fn mint(&self, asset: &Asset, amount: Amount, context: &mut Context<'_>) -> Result<(), Rejection> {
        let issued = asset.issued_after(amount)?;
        context.check_payee(&self.payee, self.reference != 0)?;
        let payee = context.open_account(&self.payee)?;

        // From here on the mint cannot fail: what the payee holds is part of what is issued.
        context.set_issued(self.asset, issued);
        context.credit(payee, self.asset, amount);
        Ok(())
    }

    /// The same where something else has a say: the asset's policy, a grant, or what there is.
    #[cold]
    fn pay_by_rules(&self, asset: &Asset, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let address = self.grant.map_or(*source.address, |grant| grant.owner);
        let slot = if self.grant.is_some() { context.find_account(&address) } else { source.slot };
        let owner = Source { address: &address, slot };
        if asset.has_policy() {
            context.check_policy(asset, self.asset, owner.address, &self.payee)?;
        }
        if *owner.address == self.payee {
            return Err(Rejection::new(RejectionCode::SelfTransfer, 0));
        }
        if self.amount == Amount::ZERO {
            return Err(Rejection::new(RejectionCode::ZeroAmount, 0));
        }
        let grant = match self.grant {
            None => None,
            Some(GrantName { owner, id }) => {
                let (number, grant) = context.spending(&owner, id, source, self.asset, &self.payee)?;
                let (most, code) = context.spendable(&grant);
                Some((number, grant, most, code))
            }
        };
        let granted = grant.as_ref().map_or(Amount::MAX, |&(_, _, most, _)| most);
        let fees = self.fees(asset, owner, context);
        let amount = self.payable(asset, owner, granted, fees.as_ref(), context);
        if let Some(&(_, _, most, code)) = grant.as_ref()
            && let Some(beyond) = amount.0.checked_sub(most.0).filter(|&beyond| beyond > 0)
        {
            return Err(Rejection::new(code, u64::try_from(beyond).unwrap_or(u64::MAX)));
        }
        if asset.issuer == *owner.address {
            self.mint(asset, amount, context)?;
        } else {
            self.pay_with_fee(asset, owner, amount, fees.as_ref(), context)?;
        }
        if let Some((number, grant, ..)) = grant {
            context.spend(number, &grant, amount);
        }
        if self.up_to {
            context.tell_sent(self.payee, self.asset, amount);
        }
        context.tell_collected();
        Ok(())
    }

    /// How much is paid: the amount, or what there is. At least one, so that where there is nothing that is what is missing.
    fn payable(
        &self,
        asset: &Asset,
        owner: Source<'_>,
        granted: Amount,
        fees: Option<&AssetTerms>,
        context: &Context<'_>,
    ) -> Amount {
        if !self.up_to {
            return self.amount;
        }
        let most = if asset.issuer == *owner.address {
            asset.maximum_supply.0.saturating_sub(asset.issued.0)
        } else {
            let available = context.available(owner.address, self.asset).0;
            let fits = |amount| fee(fees, Amount(amount)).0.saturating_add(amount) <= available;
            largest(available, fits)
        };
        Amount(self.amount.0.min(most).min(granted.0).max(1))
    }

    /// The terms by which the payment costs something beside itself.
    fn fees(&self, asset: &Asset, owner: Source<'_>, context: &Context<'_>) -> Option<AssetTerms> {
        let costs = asset.policy.has(AssetPolicy::FEE) && asset.issuer != self.payee;
        costs.then(|| context.asset_terms(self.asset)).filter(|terms| terms.fee_account != *owner.address)
    }

    /// Pays in an asset whose transfers may cost a fee, which the owner of the money pays on top.
    fn pay_with_fee(
        &self,
        asset: &Asset,
        owner: Source<'_>,
        amount: Amount,
        fees: Option<&AssetTerms>,
        context: &mut Context<'_>,
    ) -> Result<(), Rejection> {
        let fee = fee(fees, amount);
        let fee_account = fees.map_or(Address::default(), |terms| terms.fee_account);
        let Ok(total) = amount.plus(fee) else {
            // More than there can be of an asset.
            let spare = context.available(owner.address, self.asset).0.saturating_sub(amount.0);
            let missing = u64::try_from(fee.0.saturating_sub(spare)).unwrap_or(u64::MAX);
            return Err(Rejection::new(RejectionCode::InsufficientFunds, missing));
        };
        let (payer, rest) = context.payer(owner, self.asset, total)?;
        let burns = asset.issuer == self.payee;
        if !burns {
            context.check_payee(&self.payee, self.reference != 0)?;
        }
        let payee = if burns { payer } else { context.open_account(&self.payee)? };
        let burnt = match (burns, fee != Amount::ZERO && fee_account == asset.issuer) {
            (true, _) => amount,
            (_, true) => fee,
            _ => Amount::ZERO,
        };
        // The fee account has come into being with the terms, so none is opened here.
        let collects = fee != Amount::ZERO && burnt == Amount::ZERO;
        let collector = if collects { context.open_account(&fee_account)? } else { payee };

        // From here on it cannot fail: everyone holds parts of what is issued.
        context.set_available(payer, self.asset, rest);
        if !burns {
            context.credit(payee, self.asset, amount);
        }
        if collects {
            context.credit(collector, self.asset, fee);
        }
        if fee != Amount::ZERO {
            context.collect(fee_account, self.asset, fee);
        }
        if burnt != Amount::ZERO {
            context.set_issued(self.asset, Amount(asset.issued.0.saturating_sub(burnt.0)));
        }
        Ok(())
    }

    /// Reads a transfer that was decoded before, from the bytes of the whole operation; `None` for any other operation and
    /// for one with flags.
    #[inline]
    pub(crate) fn peek(operation: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = operation.first_chunk().filter(|bytes| bytes[0] == Self::CODE)?;
        let mut reader = Reader::new(bytes.get(4..)?);
        let code = reader.u32().ok()?;
        let asset = AssetId(reader.u32().ok()?);
        // Without flags: with them it is more than a payment.
        reader.reserved::<4>().ok()?;
        let reference = reader.u64().ok()?;
        let amount = Amount(reader.u128().ok()?);
        Some(Self { payee: Address(reader.array().ok()?), asset, amount, reference, code, ..Self::default() })
    }

    /// The payee, read from the bytes of the whole operation.
    #[inline]
    pub(super) fn peek_payee(operation: &[u8]) -> Option<Address> {
        operation.get(Self::BYTES - 32..)?.first_chunk().copied().map(Address)
    }

    /// See [`Touch`].
    #[inline]
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        see(Touch::Pays(Self::peek_payee(operation)?));
        if let Some((owner, id)) = Self::peek_grant(operation) {
            see(Touch::Takes(owner));
            see(Touch::Asks(owner, id, GrantState::name));
        }
        Some(())
    }

    /// The grant it is by, read in the same way.
    #[inline]
    pub(super) fn peek_grant(operation: &[u8]) -> Option<(Address, u64)> {
        let owner = operation.get(Self::BYTES..)?.first_chunk().copied().map(Address)?;
        let flags = *operation.get(Self::BYTES - 60)?;
        (flags & Self::HAS_GRANT != 0).then_some((owner, super::peek_u64(operation, Self::BYTES + 32)?))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(Self::UP_TO, self.up_to) | flag(Self::HAS_GRANT, self.grant.is_some());
        out.extend_from_slice(&self.code.to_le_bytes());
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(&[flags, 0, 0, 0]);
        out.extend_from_slice(&self.reference.to_le_bytes());
        out.extend_from_slice(&self.amount.0.to_le_bytes());
        out.extend_from_slice(&self.payee.0);
        if let Some(grant) = &self.grant {
            out.extend_from_slice(&grant.owner.0);
            out.extend_from_slice(&grant.id.to_le_bytes());
        }
    }

    #[inline]
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let code = reader.u32()?;
        let asset = AssetId(reader.u32()?);
        let offset = reader.offset();
        let flags = reader.u8()?;
        if flags > Self::UP_TO | Self::HAS_GRANT {
            return Err(Malformed::Field { field: "flags", offset, expected: "0 to 3", found: u64::from(flags) });
        }
        reader.reserved::<3>()?;
        let reference = reader.u64()?;
        let amount = Amount(reader.u128()?);
        let payee = super::address(reader)?;
        let grant = if flags & Self::HAS_GRANT == 0 {
            None
        } else {
            Some(GrantName { owner: super::address(reader)?, id: reader.u64()? })
        };
        Ok(Self { payee, asset, amount, reference, code, up_to: flags & Self::UP_TO != 0, grant })
    }
}

/// What an amount costs beside itself.
fn fee(terms: Option<&AssetTerms>, amount: Amount) -> Amount {
    terms.map_or(Amount::ZERO, |terms| terms.fee(amount))
}

/// The largest number up to a limit that fits, where everything below one that fits does too.
fn largest(limit: u128, fits: impl Fn(u128) -> bool) -> u128 {
    if fits(limit) {
        return limit;
    }
    // What is below `low` or it fits, what is from `high` on doesn't.
    let (mut low, mut high) = (0, limit);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *(if fits(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}
