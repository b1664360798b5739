//! Settles a hold: releases some of it to its payees, or cancels it.
//!
//! Who may do what: its owner releases whenever it likes and cancels when the predicate for it holds; a payee releases when the
//! predicate for that holds and cancels whenever it likes; the arbiter does both whenever it likes.
//!
//! **Touches** the hold, the accounts of its owner and its payees, the asset and what its policy asks of them.

use super::Source;
use crate::state::{Context, HoldState};
use crate::types::{Address, Amount, Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// An order to settle a hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settle {
    /// Whose hold it is.
    pub owner: Address,
    /// Which of its owner's.
    pub id: u64,
    /// Gives all that is left back to the owner, instead of releasing any.
    pub cancels: bool,
    /// How much is released; zero is all that is left. Zero when cancelling.
    pub amount: Amount,
    /// What opens a hash lock: at most 64 bytes.
    pub preimage: Option<Vec<u8>>,
}

impl Settle {
    pub(crate) const CODE: u8 = 6;
    pub(crate) const BYTES_MIN: usize = 64;
    pub(crate) const BYTES_MAX: usize = Self::BYTES_MIN + Self::PREIMAGE_MAX;
    const PREIMAGE_MAX: usize = 64;
    const CANCELS: u8 = 1;
    const HAS_PREIMAGE: u8 = 2;

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let missing = Rejection::new(RejectionCode::NoHold, 0);
        let (number, hold) = context.hold(&self.owner, self.id).ok_or(missing)?;
        let hold = hold.clone();
        self.check_party(source.address, &hold, context)?;
        if self.cancels {
            context.refund(number, &hold);
            return Ok(());
        }
        let amount = if self.amount == Amount::ZERO { hold.amount } else { self.amount };
        if let Some(beyond) = amount.0.checked_sub(hold.amount.0).filter(|&beyond| beyond > 0) {
            let beyond = u64::try_from(beyond).unwrap_or(u64::MAX);
            return Err(Rejection::new(RejectionCode::ExceedsHold, beyond));
        }
        context.release(number, &hold, amount)
    }

    /// Whether the source may do this now.
    fn check_party(&self, source: &Address, hold: &HoldState, context: &Context<'_>) -> Result<(), Rejection> {
        let (is_owner, is_payee) = (hold.owner == *source, hold.payees.iter().any(|share| share.payee == *source));
        let is_free = hold.arbiter == Some(*source) || if self.cancels { is_payee } else { is_owner };
        if is_free {
            return Ok(());
        }
        let predicate = match self.cancels {
            true if is_owner => &hold.cancel,
            false if is_payee => &hold.release,
            _ => return Err(Rejection::new(RejectionCode::WrongParty, 0)),
        };
        let met = predicate.holds(context, self.preimage.as_deref());
        met.map_err(|node| Rejection::new(RejectionCode::ConditionUnmet, u64::from(node)))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(Self::CANCELS, self.cancels) | flag(Self::HAS_PREIMAGE, self.preimage.is_some());
        let preimage = self.preimage.as_deref().unwrap_or_default();
        out.extend_from_slice(&[flags, u8::try_from(preimage.len()).unwrap_or(u8::MAX), 0, 0]);
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.amount.0.to_le_bytes());
        out.extend_from_slice(preimage);
        super::pad(start, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field = |field, at: usize, expected, found: u64| {
            Err(Malformed::Field { field, offset: offset + at, expected, found })
        };
        let (flags, length) = (reader.u8()?, reader.u8()?);
        if flags & !(Self::CANCELS | Self::HAS_PREIMAGE) != 0 {
            return field("flags", 0, "0 to 3", flags.into());
        }
        let (cancels, has_preimage) = (flags & Self::CANCELS != 0, flags & Self::HAS_PREIMAGE != 0);
        if usize::from(length) > Self::PREIMAGE_MAX || length > 0 && !has_preimage {
            return field("preimage length", 1, "at most 64, 0 without a preimage", length.into());
        }
        reader.reserved::<2>()?;
        let (owner, id) = (super::address(reader)?, reader.u64()?);
        let at = reader.offset() - offset;
        let amount = Amount(reader.u128()?);
        if cancels && amount != Amount::ZERO {
            return field("amount", at, "0 when cancelling", u64::try_from(amount.0).unwrap_or(u64::MAX));
        }
        let preimage = has_preimage.then(|| reader.bytes(usize::from(length))).transpose()?.map(<[u8]>::to_vec);
        super::padding(reader, reader.offset() - offset + 4)?;
        Ok(Self { owner, id, cancels, amount, preimage })
    }
}
