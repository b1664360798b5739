//! Holds, which set money aside.
//!
//! ```text
//! hold       4 u8, owner [32], id u64, asset u32, amount u128, expiry u64, flags u8 (1 releases at expiry, 2 arbiter), arbiter [32] or zeros,
//!            payees u8, each: [32], share u32; release: length u16, bytes; cancel: length u16, bytes; with flag 4 (vouchers): key [32],
//!            opened u64, drawn u128
//! ```

use super::Name;
use super::entry::{odd, take_address, take_time};
use super::grant::{put_predicate, take_predicate};
use crate::ops::Predicate;
use crate::state::load::Unloadable;
use crate::types::{Address, Amount, AssetId, Time};
use crate::wire::Reader;
use std::sync::Arc;

/// Who gets a part of a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub payee: Address,
    /// How many parts of all the shares together; not 0.
    pub parts: u32,
}

/// Money set aside until somebody releases or cancels it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldState {
    /// Whose money it is.
    pub owner: Address,
    /// Which of its owner's.
    pub id: u64,
    /// Of which asset.
    pub asset: AssetId,
    /// How much is left.
    pub amount: Amount,
    /// The last block time at which it can be settled.
    pub expiry: Option<Time>,
    /// Whether it is released then, not refunded.
    pub releases_at_expiry: bool,
    /// Who may settle it either way.
    pub arbiter: Option<Address>,
    /// One to four.
    pub payees: Vec<Share>,
    /// When a payee may release it.
    pub release: Predicate,
    /// When its owner may cancel it.
    pub cancel: Predicate,
    /// How payees draw from it by vouchers, if they have to.
    pub channel: Option<Channel>,
}

/// How payees draw from a hold: by vouchers that its owner gives them, each good for all that may have been drawn so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// The key that signs vouchers.
    pub key: Address,
    /// The time of the block in which the hold was opened; part of what a voucher's signature is for.
    pub opened: Time,
    /// How much was drawn by vouchers.
    pub drawn: Amount,
}

/// Bytes that all holds have, those of the first payee included.
const HEAD: usize = 32 + 8 + 4 + 16 + 8 + 1 + 32 + 1 + 36;

/// A hold as it lies in its place: what most have is at hand, what few have is behind a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacedHold {
    pub owner: Address,
    pub id: u64,
    pub asset: AssetId,
    pub amount: Amount,
    pub expiry: Option<Time>,
    pub releases_at_expiry: bool,
    first: Share,
    rest: Option<Arc<Rest>>,
}

/// What a hold for one payee, who may release it at any time, doesn't have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    payees: Vec<Share>,
    release: Predicate,
    cancel: Predicate,
    arbiter: Option<Address>,
    channel: Option<Channel>,
}

static NO_REST: Rest = Rest {
    payees: Vec::new(),
    release: Predicate::always(),
    cancel: Predicate::always(),
    arbiter: None,
    channel: None,
};

impl From<HoldState> for PlacedHold {
    fn from(hold: HoldState) -> Self {
        let HoldState { owner, id, asset, amount, expiry, releases_at_expiry, mut payees, release, cancel, .. } = hold;
        let first = payees.first().copied().unwrap_or_default();
        payees.drain(..payees.len().min(1));
        let rest = Rest { payees, release, cancel, arbiter: hold.arbiter, channel: hold.channel };
        let rest = (rest != NO_REST).then(|| rest.into());
        Self { owner, id, asset, amount, expiry, releases_at_expiry, first, rest }
    }
}

impl PlacedHold {
    pub(crate) const fn name(owner: &Address, id: u64) -> Name<'_> {
        Name::Hold { owner, id }
    }

    fn rest(&self) -> &Rest {
        self.rest.as_deref().unwrap_or(&NO_REST)
    }

    /// For whom it is: one to four.
    pub(crate) fn payees(&self) -> impl Iterator<Item = &Share> + Clone {
        std::iter::once(&self.first).chain(&self.rest().payees)
    }

    /// Whether somebody is among those.
    pub(crate) fn is_for(&self, account: &Address) -> bool {
        self.payees().any(|share| share.payee == *account)
    }

    /// When a payee may release it.
    pub(crate) fn release(&self) -> &Predicate {
        &self.rest().release
    }

    /// When its owner may cancel it.
    pub(crate) fn cancel(&self) -> &Predicate {
        &self.rest().cancel
    }

    /// Who may settle it either way.
    pub(crate) fn arbiter(&self) -> Option<&Address> {
        self.rest().arbiter.as_ref()
    }

    /// How payees draw from it by vouchers, if they have to.
    pub(crate) fn channel(&self) -> Option<&Channel> {
        self.rest().channel.as_ref()
    }

    /// Leaves so much of it, of which vouchers have drawn so much, if one did.
    pub(super) fn reduce(&mut self, left: Amount, drawn: Option<Amount>) {
        self.amount = left;
        if let (Some(drawn), Some(rest)) = (drawn, &mut self.rest)
            && let Some(channel) = &mut Arc::make_mut(rest).channel
        {
            channel.drawn = drawn;
        }
    }

    /// Visits the accounts whose balances it asks for.
    pub(crate) fn balances(&self, see: &mut dyn FnMut(Address)) {
        [self.release(), self.cancel()].iter().for_each(|predicate| predicate.balances(see));
    }

    /// How much each payee gets of an amount: rounded down, and what is left over to the first.
    pub(crate) fn split(&self, amount: Amount) -> impl Iterator<Item = (Address, Amount)> {
        let others = &self.rest().payees;
        let all: u128 = self.payees().map(|share| u128::from(share.parts)).sum::<u128>().max(1);
        let part = move |share: &Share| {
            let parts = u128::from(share.parts);
            // At most the amount: parts are at most all.
            Amount((amount.0 / all).saturating_mul(parts).saturating_add(amount.0 % all * parts / all))
        };
        let first = Amount(amount.0.saturating_sub(others.iter().map(|share| part(share).0).sum()));
        let others = others.iter().map(move |share| (share.payee, part(share)));
        std::iter::once((self.first.payee, first)).chain(others)
    }

    /// All of it, for a reader.
    pub(crate) fn state(&self) -> HoldState {
        let &Self { owner, id, asset, amount, expiry, releases_at_expiry, .. } = self;
        let payees = self.payees().copied().collect();
        let Rest { release, cancel, arbiter, channel, .. } = self.rest().clone();
        HoldState { owner, id, asset, amount, expiry, releases_at_expiry, arbiter, payees, release, cancel, channel }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (arbiter, channel) = (self.arbiter(), self.channel());
        let flags = u8::from(self.releases_at_expiry) | u8::from(arbiter.is_some()) << 1;
        let flags = flags | u8::from(channel.is_some()) << 2;
        let payees = u8::try_from(self.payees().count()).unwrap_or(u8::MAX);
        // What all have goes there in one piece.
        let mut head = [0; HEAD];
        let mut rest = head.as_mut_slice();
        let fields: [&[u8]; 10] = [
            &self.owner.0,
            &self.id.to_le_bytes(),
            &self.asset.0.to_le_bytes(),
            &self.amount.0.to_le_bytes(),
            &self.expiry.map_or(0, |time| time.0).to_le_bytes(),
            &[flags],
            &arbiter.copied().unwrap_or_default().0,
            &[payees],
            &self.first.payee.0,
            &self.first.parts.to_le_bytes(),
        ];
        for field in fields {
            let (here, after) = rest.split_at_mut(field.len().min(rest.len()));
            here.copy_from_slice(&field[..here.len()]);
            rest = after;
        }
        out.extend_from_slice(&head);
        for share in &self.rest().payees {
            out.extend_from_slice(&share.payee.0);
            out.extend_from_slice(&share.parts.to_le_bytes());
        }
        put_predicate(self.release(), out);
        put_predicate(self.cancel(), out);
        if let Some(Channel { key, opened, drawn }) = channel {
            out.extend_from_slice(&key.0);
            out.extend_from_slice(&opened.0.to_le_bytes());
            out.extend_from_slice(&drawn.0.to_le_bytes());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Unloadable> {
        let (owner, id, asset) = (Address(reader.array()?), reader.u64()?, AssetId(reader.u32()?));
        let (amount, expiry, flags) = (Amount(reader.u128()?), take_time(reader)?, reader.u8()?);
        let arbiter = take_address(reader)?;
        if flags > 7 || arbiter.is_some() != (flags & 2 == 2) {
            return Err(odd("a hold's flags", flags));
        }
        let count = reader.u8()?;
        if !(1..=4).contains(&count) {
            return Err(odd("a hold's payees", count));
        }
        let share = |reader: &mut Reader<'_>| -> Result<Share, Unloadable> {
            Ok(Share { payee: Address(reader.array()?), parts: reader.u32()? })
        };
        let payees = (0..count).map(|_| share(reader)).collect::<Result<_, _>>()?;
        let (release, cancel) = (take_predicate(reader)?, take_predicate(reader)?);
        let channel = |reader: &mut Reader<'_>| -> Result<Channel, Unloadable> {
            let (key, opened) = (Address(reader.array()?), Time(reader.u64()?));
            Ok(Channel { key, opened, drawn: Amount(reader.u128()?) })
        };
        let channel = (flags & 4 == 4).then(|| channel(reader)).transpose()?;
        let releases_at_expiry = flags & 1 == 1;
        let hold = HoldState {
            owner,
            id,
            asset,
            amount,
            expiry,
            releases_at_expiry,
            arbiter,
            payees,
            release,
            cancel,
            channel,
        };
        Ok(hold.into())
    }
}
