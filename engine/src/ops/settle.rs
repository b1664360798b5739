//! Settles a hold: releases some of it to its payees, or cancels it.
//!
//! From a hold with a voucher key a payee draws by vouchers, which the owner gives it outside of the ledger: each is signed by that key, for all that
//! may have been drawn so far. So one transaction settles any number of payments, and the newest voucher is the only one that counts.
//!
//! Who may do what: its owner releases whenever it likes and cancels when the predicate for it holds; a payee releases when the
//! predicate for that holds and cancels whenever it likes; the arbiter does both whenever it likes.
//!
//! **Touches** the hold, the accounts of its owner and its payees, the asset and what its policy asks of them.
//!
//! **Goes in order**, since it may free a place of the table of entries, which the next entry gets. What others pay meanwhile goes by shards: whom it
//! pays isn't known, but to be paid takes nothing from anybody.

use super::{Source, Touch};
use crate::keys::Signature;
use crate::state::{Context, PlacedHold};
use crate::types::{Address, Amount, Rejection, RejectionCode, Time};
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
    /// How much is released; zero is all that is left. Zero when cancelling. With a voucher: how much it is for, all that was drawn by earlier ones
    /// included.
    pub amount: Amount,
    /// What opens a hash lock: at most 64 bytes.
    pub preimage: Option<Vec<u8>>,
    /// The signature of a voucher for the amount, see [`voucher_message`](Self::voucher_message).
    pub voucher: Option<Signature>,
}

impl Settle {
    pub(crate) const CODE: u8 = 6;
    pub(crate) const BYTES_MIN: usize = 64;
    pub(crate) const BYTES_MAX: usize = Self::BYTES_MIN + Self::VOUCHER_BYTES + Self::PREIMAGE_MAX;
    const VOUCHER_BYTES: usize = 64;
    const PREIMAGE_MAX: usize = 64;
    const CANCELS: u8 = 1;
    const HAS_PREIMAGE: u8 = 2;
    const HAS_VOUCHER: u8 = 4;
    const FLAGS: u8 = Self::CANCELS | Self::HAS_PREIMAGE | Self::HAS_VOUCHER;

    /// What a hold's voucher key signs, so that payees may have drawn this much of it in all. It is good for the hold of this owner and id
    /// that was opened at this block time, and for no other. No ledger is named: a key signs vouchers on one.
    #[must_use]
    pub fn voucher_message(owner: &Address, id: u64, opened: Time, amount: Amount) -> [u8; 80] {
        let mut message = [0; 80];
        message[..16].copy_from_slice(b"nostro 1 voucher");
        message[16..48].copy_from_slice(&owner.0);
        message[48..56].copy_from_slice(&id.to_le_bytes());
        message[56..64].copy_from_slice(&opened.0.to_le_bytes());
        message[64..].copy_from_slice(&amount.0.to_le_bytes());
        message
    }

    pub(super) fn apply(&self, source: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let missing = Rejection::new(RejectionCode::NoHold, 0);
        let (number, hold) = context.hold(&self.owner, self.id).ok_or(missing)?;
        self.check_party(source.address, &hold, context)?;
        if self.cancels {
            context.refund(number, &hold);
            return Ok(());
        }
        let drawn = self.check_voucher(source.address, &hold)?;
        let asked = Amount(self.amount.0.saturating_sub(drawn.unwrap_or_default().0));
        let amount = if asked == Amount::ZERO { hold.amount } else { asked };
        if let Some(beyond) = amount.0.checked_sub(hold.amount.0).filter(|&beyond| beyond > 0) {
            let beyond = u64::try_from(beyond).unwrap_or(u64::MAX);
            return Err(Rejection::new(RejectionCode::ExceedsHold, beyond));
        }
        context.release((number, &hold), source, amount, drawn.map(|_| self.amount))
    }

    /// How much was drawn by vouchers before, if one is brought; whether it is good, and whether one has to be brought.
    fn check_voucher(&self, source: &Address, hold: &PlacedHold) -> Result<Option<Amount>, Rejection> {
        let bad = |why| Err(Rejection::new(RejectionCode::BadVoucher, why));
        let (channel, signature) = match (hold.channel(), &self.voucher) {
            (None, None) => return Ok(None),
            // The owner and the arbiter need none.
            (Some(_), None) if hold.owner == *source || hold.arbiter() == Some(source) => return Ok(None),
            (Some(_), None) => return bad(0),
            (None, Some(_)) => return bad(1),
            (Some(channel), Some(signature)) => (channel, signature),
        };
        let message = Self::voucher_message(&hold.owner, hold.id, channel.opened, self.amount);
        if !nostro_ed25519::verify(&channel.key.0, &message, &signature.0) {
            return bad(2);
        }
        if self.amount <= channel.drawn {
            let drawn = u64::try_from(channel.drawn.0).unwrap_or(u64::MAX);
            return Err(Rejection::new(RejectionCode::StaleVoucher, drawn));
        }
        Ok(Some(channel.drawn))
    }

    /// Whether the source may do this now.
    fn check_party(&self, source: &Address, hold: &PlacedHold, context: &Context<'_>) -> Result<(), Rejection> {
        let (is_owner, is_payee) = (hold.owner == *source, hold.is_for(source));
        let is_free = hold.arbiter() == Some(source) || if self.cancels { is_payee } else { is_owner };
        if is_free {
            return Ok(());
        }
        let predicate = match self.cancels {
            true if is_owner => hold.cancel(),
            false if is_payee => hold.release(),
            _ => return Err(Rejection::new(RejectionCode::WrongParty, 0)),
        };
        let met = predicate.holds(context, self.preimage.as_deref());
        met.map_err(|node| Rejection::new(RejectionCode::ConditionUnmet, u64::from(node)))
    }

    /// Whose hold it is and which, read from the bytes of the whole operation.
    #[inline]
    pub(super) fn peek_name(operation: &[u8]) -> Option<(Address, u64)> {
        let owner = operation.get(8..)?.first_chunk().copied().map(Address)?;
        Some((owner, super::peek_u64(operation, 40)?))
    }

    /// See [`Touch`].
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        let (owner, id) = Self::peek_name(operation)?;
        see(Touch::PaysAnybody);
        see(Touch::Asks(owner, id, PlacedHold::name));
        Some(())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        let flags = flag(Self::CANCELS, self.cancels)
            | flag(Self::HAS_PREIMAGE, self.preimage.is_some())
            | flag(Self::HAS_VOUCHER, self.voucher.is_some());
        let preimage = self.preimage.as_deref().unwrap_or_default();
        out.extend_from_slice(&[flags, u8::try_from(preimage.len()).unwrap_or(u8::MAX), 0, 0]);
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.amount.0.to_le_bytes());
        self.voucher.iter().for_each(|voucher| out.extend_from_slice(&voucher.0));
        out.extend_from_slice(preimage);
        super::pad(start, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let offset = reader.offset();
        let field = |field, at: usize, expected, found: u64| {
            Err(Malformed::Field { field, offset: offset + at, expected, found })
        };
        let (flags, length) = (reader.u8()?, reader.u8()?);
        if flags & !Self::FLAGS != 0 {
            return field("flags", 0, "0 to 7", flags.into());
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
        let has_voucher = flags & Self::HAS_VOUCHER != 0;
        if has_voucher && amount == Amount::ZERO {
            return field("amount", at, "1 or more with a voucher", 0);
        }
        let voucher = has_voucher.then(|| reader.array()).transpose()?.map(Signature);
        let preimage = has_preimage.then(|| reader.bytes(usize::from(length))).transpose()?.map(<[u8]>::to_vec);
        super::padding(reader, reader.offset() - offset + 4)?;
        Ok(Self { owner, id, cancels, amount, preimage, voucher })
    }
}
