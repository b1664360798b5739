//! The issuer's control over those who hold its asset: authorise, freeze, claw back.
//!
//! Each action needs its policy bit on the asset.
//!
//! **Touches** the asset, the holder's state for it, and the holder's account when something is clawed back.
//!
//! **Goes in order**, since whatever follows in the block is judged by it. What others pay in assets without policy goes by shards meanwhile.

use super::{Source, Touch};
use crate::state::Context;
use crate::types::{Address, Amount, AssetId, AssetPolicy, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// What the issuer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HolderAction {
    /// Lets the holder have the asset.
    #[default]
    Authorize,
    /// No longer does. What is held stays held.
    Deauthorize,
    /// The holder neither pays nor is paid.
    Freeze,
    /// Both again.
    Unfreeze,
    /// Takes back what the holder has available.
    ClawBack,
}

impl HolderAction {
    const ALL: [Self; 5] = [Self::Authorize, Self::Deauthorize, Self::Freeze, Self::Unfreeze, Self::ClawBack];

    /// The policy bit it needs.
    const fn policy(self) -> AssetPolicy {
        match self {
            Self::Authorize | Self::Deauthorize => AssetPolicy::AUTHORIZATION,
            Self::Freeze | Self::Unfreeze => AssetPolicy::FREEZABLE,
            Self::ClawBack => AssetPolicy::CLAWBACK,
        }
    }
}

/// An issuer's order about a holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlHolder {
    /// Of which asset.
    pub asset: AssetId,
    /// Whose state changes.
    pub holder: Address,
    /// What is done.
    pub action: HolderAction,
    /// How much is clawed back; zero for other actions.
    pub amount: Amount,
    /// Claws back what there is, if that is less.
    pub up_to: bool,
}

impl ControlHolder {
    pub(crate) const CODE: u8 = 3;
    pub(crate) const BYTES: usize = 64;

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let asset = context.asset(self.asset)?;
        if asset.issuer != *source.address {
            return Err(Rejection::new(RejectionCode::NotIssuer, u64::from(self.asset.0)));
        }
        let needed = self.action.policy();
        if !asset.policy.has(needed) {
            return Err(Rejection::new(RejectionCode::PolicyForbids, u64::from(needed.0)));
        }
        if self.holder == asset.issuer {
            return Err(Rejection::new(RejectionCode::SelfTransfer, 0));
        }
        if self.action == HolderAction::ClawBack {
            return self.claw_back(asset.issued, context);
        }
        let mut state = context.holder_state(self.asset, &self.holder);
        match self.action {
            HolderAction::Authorize => state.is_authorized = true,
            HolderAction::Deauthorize => state.is_authorized = false,
            HolderAction::Freeze => state.is_frozen = true,
            _ => state.is_frozen = false,
        }
        context.set_holder_state(state)
    }

    fn claw_back(&self, issued: Amount, context: &mut Context<'_>) -> Result<(), Rejection> {
        if self.amount == Amount::ZERO {
            return Err(Rejection::new(RejectionCode::ZeroAmount, 0));
        }
        let holder = Source { address: &self.holder, slot: context.find_account(&self.holder) };
        let available = context.available(&self.holder, self.asset);
        let amount = if self.up_to { Amount(self.amount.0.min(available.0)) } else { self.amount };
        if amount == Amount::ZERO {
            return Ok(());
        }
        let (slot, rest) = context.payer(holder, self.asset, amount)?;

        // From here on it cannot fail: what the holder has is part of what is issued.
        context.set_available(slot, self.asset, rest);
        context.set_issued(self.asset, Amount(issued.0.saturating_sub(amount.0)));
        Ok(())
    }

    /// See [`Touch`]. Where anything is to be authorised or frozen an asset has a policy, and all is paid in order.
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        if *operation.get(4)? == HolderAction::ClawBack as u8 {
            see(Touch::Takes(operation.get(16..)?.first_chunk().copied().map(Address)?));
        }
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.action as u8, u8::from(self.up_to), 0, 0]);
        out.extend_from_slice(&self.asset.0.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.holder.0);
        out.extend_from_slice(&self.amount.0.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let (action, up_to) = (reader.u8()?, reader.u8()?);
        let Some(&action) = HolderAction::ALL.get(usize::from(action)) else {
            return Err(Malformed::Field { field: "action", offset, expected: "0 to 4", found: action.into() });
        };
        let is_claw_back = action == HolderAction::ClawBack;
        if up_to > u8::from(is_claw_back) {
            let expected = "0, or 1 when clawing back";
            return Err(Malformed::Field { field: "up to", offset: offset + 1, expected, found: up_to.into() });
        }
        reader.reserved::<2>()?;
        let asset = AssetId(reader.u32()?);
        reader.reserved::<4>()?;
        let holder = super::address(reader)?;
        let offset = reader.offset();
        let amount = Amount(reader.u128()?);
        if !is_claw_back && amount != Amount::ZERO {
            let found = u64::try_from(amount.0).unwrap_or(u64::MAX);
            return Err(Malformed::Field { field: "amount", offset, expected: "0 but for clawing back", found });
        }
        Ok(Self { asset, holder, action, amount, up_to: up_to == 1 })
    }
}
