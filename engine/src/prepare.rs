//! What can be found out about a transaction before its block: where its accounts are, and the few fields that a plain payment needs.
//!
//! It depends on no other transaction and on no timing: an account that has come to stay has its slot for ever. One that isn't found
//! may have come into being since; whoever executes the block looks again. So preparing belongs to the threads that verify, and
//! leaves the owner of the state a few dozen bytes per transaction, in order, instead of hashing, probing and decoding.

use crate::state::{Payment, Resolver, Slot};
use crate::transaction::TransactionRef;
use crate::types::{Address, Amount, AssetId, MarketId, Time};

/// Transactions whose accounts are looked up together.
const GROUP: usize = 32;

/// No account: the largest slot, which none gets.
const NOWHERE: u32 = u32::MAX;

/// A transaction as far as it is known before its block. Holding one proves nothing about the state but where accounts are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    payer: u32,
    payee: u32,
    /// `NO_ASSET` unless it is a payment between accounts that are there.
    asset: AssetId,
    /// Where it begins in its run, in words of eight bytes.
    words: u32,
    sequence: u64,
    valid_until: Time,
    /// Of a payment; otherwise the tag by which the entry is looked for that its first operation is about, or zero, and behind it the market in
    /// which that places an order, less one.
    amount: Amount,
}

const _: () = assert!(size_of::<Prepared>() == 48);

/// Never registered.
const NO_ASSET: AssetId = AssetId(u32::MAX);

impl Prepared {
    /// A payment of asset 0 whose bytes nobody has, or with no payee something whose bytes begin at so many words.
    #[cfg(test)]
    pub(crate) fn letter(payer: Slot, payee: Option<Slot>, amount: u128, sequence: u64, words: u32) -> Self {
        let (asset, payee) = payee.map_or((NO_ASSET, NOWHERE), |payee| (AssetId(0), payee.0));
        let valid_until = Time(u64::MAX);
        Self { payer: payer.0, payee, asset, words, sequence, valid_until, amount: Amount(amount) }
    }

    /// The account of the transaction, if it has come to stay.
    #[inline]
    pub(crate) fn payer(&self) -> Option<Slot> {
        Some(Slot(self.payer)).filter(|_| self.payer != NOWHERE)
    }

    /// The account beside it that its first operation changes, if it is known and has come to stay.
    #[inline]
    pub(crate) fn payee(&self) -> Option<Slot> {
        Some(Slot(self.payee)).filter(|_| self.payee != NOWHERE)
    }

    /// What it is, if that is a payment between accounts that are there.
    #[inline]
    pub(crate) fn payment(&self) -> Option<Payment> {
        let Self { payer, payee, asset, amount, sequence, valid_until, .. } = *self;
        let (payer, payee) = (Slot(payer), Slot(payee));
        (asset != NO_ASSET).then_some(Payment { payer, payee, asset, amount, sequence, valid_until })
    }

    /// By which the entry is looked for that its first operation is about, if it is no payment and about one.
    #[inline]
    pub(crate) fn entry_tag(&self) -> Option<u64> {
        self.tags().map(|tags| tags[0]).filter(|&tag| tag != 0)
    }

    /// The market in which its first operation places an order.
    #[inline]
    pub(crate) fn market(&self) -> Option<MarketId> {
        let market = self.tags().and_then(|tags| tags[1].checked_sub(1))?;
        u32::try_from(market).ok().map(MarketId)
    }

    #[inline]
    fn tags(&self) -> Option<[u64; 2]> {
        let bytes = self.amount.0.to_le_bytes();
        let tags = bytes.as_chunks().0;
        (self.asset == NO_ASSET).then(|| [0, 1].map(|tag: usize| u64::from_le_bytes(tags[tag])))
    }

    /// Its bytes in the run it was prepared from.
    #[inline]
    pub(crate) fn of<'a>(&self, run: &'a [u8]) -> Option<TransactionRef<'a>> {
        let start = (self.words as usize).checked_mul(8)?;
        TransactionRef::next_checked(run.get(start..)?).map(|(transaction, _)| transaction)
    }

    #[inline]
    fn new(transaction: &TransactionRef<'_>, words: u32, resolver: &Resolver) -> (Self, Address, Option<Address>) {
        let account = transaction.account();
        let mut prepared = Self {
            payer: NOWHERE,
            payee: NOWHERE,
            asset: NO_ASSET,
            words,
            sequence: transaction.sequence(),
            valid_until: transaction.valid_until().unwrap_or(Time(u64::MAX)),
            amount: Amount::ZERO,
        };
        let Some(transfer) = transaction.only_transfer() else {
            prepared.amount = tags(transaction, resolver);
            return (prepared, account, transaction.first_party());
        };
        if transaction.lane() == 0 && transfer.amount != Amount::ZERO && transfer.payee != account {
            (prepared.asset, prepared.amount) = (transfer.asset, transfer.amount);
        }
        (prepared, account, Some(transfer.payee))
    }
}

/// What the first operation of a transaction is about.
fn tags(transaction: &TransactionRef<'_>, resolver: &Resolver) -> Amount {
    let Some((owner, id, kind)) = transaction.first_entry() else { return Amount::ZERO };
    let market = transaction.first_market().map_or(0, |market| u128::from(market.0) + 1);
    Amount(u128::from(resolver.tag(&kind(&owner, id))) | market << 64)
}

/// Transactions in order, which lie back to back in `bytes`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedRun<'a> {
    pub bytes: &'a [u8],
    /// Some of the transactions in those bytes, one after the other.
    pub prepared: &'a [Prepared],
}

/// Prepares the transactions that lie back to back in `run` and were decoded before.
pub(crate) fn prepare(resolver: &Resolver, run: &[u8], prepared: &mut Vec<Prepared>) {
    let mut rest = run;
    let mut words = 0_u32;
    let mut addresses = [Address::default(); 2 * GROUP];
    let mut slots = [None; 2 * GROUP];
    loop {
        let start = prepared.len();
        while prepared.len() - start < GROUP
            && let Some((transaction, after)) = TransactionRef::next_checked(rest)
        {
            rest = after;
            let place = 2 * (prepared.len() - start);
            let (own, account, payee) = Prepared::new(&transaction, words, resolver);
            // Whoever pays nobody is looked up twice, which is rare.
            (addresses[place], addresses[place + 1]) = (account, payee.unwrap_or(account));
            words = words.saturating_add(u32::try_from(transaction.bytes().len() / 8).unwrap_or(u32::MAX));
            prepared.push(own);
        }
        let group = prepared.get_mut(start..).unwrap_or_default();
        if group.is_empty() {
            return;
        }
        let count = 2 * group.len();
        resolver.resolve::<{ 2 * GROUP }>(&addresses[..count], &mut slots[..count]);
        let place = |slot: Option<Slot>| slot.map_or(NOWHERE, |slot| slot.0);
        for (own, [payer, payee]) in group.iter_mut().zip(slots.as_chunks().0) {
            (own.payer, own.payee) = (place(*payer), place(*payee));
            if own.asset != NO_ASSET && (own.payer == NOWHERE || own.payee == NOWHERE) {
                (own.asset, own.amount) = (NO_ASSET, Amount::ZERO);
            }
        }
    }
}
