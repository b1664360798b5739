//! What can be found out about a transaction before its block: where its accounts are, and the few fields that a plain payment needs.
//!
//! It depends on no other transaction and on no timing: an account that has come to stay has its slot for ever. One that isn't found
//! may have come into being since; whoever executes the block looks again. So preparing belongs to the threads that verify, and
//! leaves the owner of the state a few dozen bytes per transaction, in order, instead of hashing, probing and decoding.

use crate::ops::{EncodedOperation, Way};
use crate::state::{Payment, Resolver, Slot, prefetch};
use crate::transaction::TransactionRef;
use crate::types::{Address, Amount, AssetId, MarketId, Time};

/// Transactions whose accounts are looked up together.
const GROUP: usize = 32;

/// No account: the largest slot, which none gets.
const NOWHERE: u32 = u32::MAX;

/// What was found out about transactions that lie back to back.
#[derive(Debug, Default)]
pub(crate) struct PreparedBatch {
    pub transactions: Vec<Prepared>,
    /// Of each that has several operations or signers: how many places follow, then those of its further signers, then those of the parties of its
    /// operations but the first.
    parties: Vec<u32>,
}

impl PreparedBatch {
    /// With room for so many.
    pub(crate) fn with_capacity(transactions: usize) -> Self {
        Self { transactions: Vec::with_capacity(transactions), parties: Vec::new() }
    }

    /// Forgets everything but the memory it takes.
    pub(crate) fn clear(&mut self) {
        self.transactions.clear();
        self.parties.clear();
    }

    /// Some of the transactions, which lie in these bytes.
    pub(crate) fn run<'a>(&'a self, bytes: &'a [u8], of: std::ops::Range<usize>) -> PreparedRun<'a> {
        PreparedRun { bytes, prepared: self.transactions.get(of).unwrap_or_default(), parties: &self.parties }
    }
}

/// A transaction as far as it is known before its block. Holding one proves nothing about the state but where accounts are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    payer: u32,
    payee: u32,
    /// At least `NO_PAYMENT` unless it is a payment between accounts that are there.
    asset: AssetId,
    /// Where it begins in its run, in words of eight bytes.
    words: u32,
    sequence: u64,
    valid_until: Time,
    /// Of a payment; otherwise the tag by which the entry is looked for that its first operation is about, or zero; behind it the market in
    /// which that places an order, less one; behind that where its parties stand, less one.
    amount: Amount,
}

const _: () = assert!(size_of::<Prepared>() == 48);

/// Not paid in: stands where there is no payment.
const NO_PAYMENT: AssetId = AssetId(u32::MAX - 3);
/// The same where the entry that it is about leads to nothing else, and where it is yet to come into being.
const ABOUT_ORDERS: AssetId = AssetId(u32::MAX - 2);
const ABOUT_ENTRY: AssetId = AssetId(u32::MAX - 1);
const ABOUT_NEW_ENTRY: AssetId = AssetId(u32::MAX);

impl Prepared {
    /// A payment of asset 0 whose bytes nobody has, or with no payee something whose bytes begin at so many words.
    #[cfg(test)]
    pub(crate) fn letter(payer: Slot, payee: Option<Slot>, amount: u128, sequence: u64, words: u32) -> Self {
        let (asset, payee) = payee.map_or((NO_PAYMENT, NOWHERE), |payee| (AssetId(0), payee.0));
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
        (asset < NO_PAYMENT).then_some(Payment { payer, payee, asset, amount, sequence, valid_until })
    }

    /// By which the entry is looked for that its first operation is about, if it is no payment and about one.
    #[inline]
    pub(crate) fn entry_tag(&self) -> Option<u64> {
        self.tags().map(|tags| tags.entry).filter(|&tag| tag != 0)
    }

    /// The same if that entry may be there already.
    #[inline]
    pub(crate) fn known_entry_tag(&self) -> Option<u64> {
        self.entry_tag().filter(|_| self.asset != ABOUT_NEW_ENTRY)
    }

    /// The same if it may lead to something else.
    #[inline]
    pub(crate) fn leading_entry_tag(&self) -> Option<u64> {
        self.entry_tag().filter(|_| self.asset <= ABOUT_ORDERS)
    }

    /// Whether its first operation is said to a book.
    #[inline]
    pub(crate) fn is_about_orders(&self) -> bool {
        self.asset == ABOUT_ORDERS
    }

    /// The market in which its first operation places an order.
    #[inline]
    pub(crate) fn market(&self) -> Option<MarketId> {
        self.tags().and_then(|tags| tags.market.checked_sub(1)).map(MarketId)
    }

    #[inline]
    fn tags(&self) -> Option<Tags> {
        (self.asset >= NO_PAYMENT).then(|| Tags::from(self.amount))
    }

    /// Where its further signers are, and behind them the parties of its operations but the first; nothing if it has neither.
    #[inline]
    pub(crate) fn parties<'a>(&self, run: &PreparedRun<'a>) -> Parties<'a> {
        let places = || {
            let start = self.tags()?.parties.checked_sub(1)?;
            let (&count, places) = run.parties.get(start as usize..)?.split_first()?;
            places.get(..count as usize)
        };
        Parties(places().unwrap_or_default())
    }

    /// Its bytes in the run it was prepared from.
    #[inline]
    pub(crate) fn of<'a>(&self, run: &PreparedRun<'a>) -> Option<TransactionRef<'a>> {
        let start = (self.words as usize).checked_mul(8)?;
        TransactionRef::next_checked(run.bytes.get(start..)?).map(|(transaction, _)| transaction)
    }

    /// Brings its first bytes closer.
    #[inline]
    pub(crate) fn bring(&self, run: &PreparedRun<'_>) {
        let bytes = run.bytes.get((self.words as usize).saturating_mul(8)..).unwrap_or_default();
        bytes.as_chunks::<128>().0.iter().take(3).for_each(prefetch);
    }

    #[inline]
    fn new(transaction: &TransactionRef<'_>, words: u32, resolver: &Resolver) -> (Self, Address, Option<Address>) {
        let account = transaction.account();
        let mut prepared = Self {
            payer: NOWHERE,
            payee: NOWHERE,
            asset: NO_PAYMENT,
            words,
            sequence: transaction.sequence(),
            valid_until: transaction.valid_until().unwrap_or(Time(u64::MAX)),
            amount: Amount::ZERO,
        };
        let Some(transfer) = transaction.only_transfer() else {
            prepared.amount = Tags::new(transaction, resolver).into();
            prepared.asset = match transaction.first_way() {
                Way::Further => NO_PAYMENT,
                Way::Orders => ABOUT_ORDERS,
                Way::Entry => ABOUT_ENTRY,
                Way::NewEntry => ABOUT_NEW_ENTRY,
            };
            return (prepared, account, transaction.first_party());
        };
        let is_plain = transaction.lane() == 0 && transfer.amount != Amount::ZERO && transfer.payee != account;
        if is_plain && transfer.asset < NO_PAYMENT {
            (prepared.asset, prepared.amount) = (transfer.asset, transfer.amount);
        }
        (prepared, account, Some(transfer.payee))
    }
}

/// What stands in place of an amount where there is no payment.
#[derive(Clone, Copy, Debug, Default)]
struct Tags {
    entry: u64,
    /// Zero if there is none, and so is the next.
    market: u32,
    parties: u32,
}

impl Tags {
    /// What the first operation of a transaction is about.
    fn new(transaction: &TransactionRef<'_>, resolver: &Resolver) -> Self {
        let Some((owner, id, kind)) = transaction.first_entry() else { return Self::default() };
        let market = transaction.first_market().map_or(0, |market| market.0.wrapping_add(1));
        Self { entry: resolver.tag(&kind(&owner, id)), market, parties: 0 }
    }
}

impl From<Tags> for Amount {
    #[inline]
    fn from(tags: Tags) -> Self {
        Self(u128::from(tags.entry) | u128::from(tags.market) << 64 | u128::from(tags.parties) << 96)
    }
}

impl From<Amount> for Tags {
    #[inline]
    fn from(amount: Amount) -> Self {
        let bytes = amount.0.to_le_bytes();
        let halves = bytes.as_chunks::<4>().0;
        let entry = u64::from(u32::from_le_bytes(halves[0])) | u64::from(u32::from_le_bytes(halves[1])) << 32;
        Self { entry, market: u32::from_le_bytes(halves[2]), parties: u32::from_le_bytes(halves[3]) }
    }
}

/// Where parties of a transaction are, as far as they have come to stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties<'a>(&'a [u32]);

impl<'a> Parties<'a> {
    /// The first so many.
    #[inline]
    pub(crate) fn first(self, count: usize) -> impl Iterator<Item = Slot> + use<'a> {
        self.0.iter().take(count).filter(|&&slot| slot != NOWHERE).map(|&slot| Slot(slot))
    }

    /// The one at a place.
    #[inline]
    pub(crate) fn at(self, place: usize) -> Option<Slot> {
        self.0.get(place).filter(|&&slot| slot != NOWHERE).map(|&slot| Slot(slot))
    }
}

/// Transactions in order, which lie back to back in `bytes`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreparedRun<'a> {
    pub bytes: &'a [u8],
    /// Some of the transactions in those bytes, one after the other.
    pub prepared: &'a [Prepared],
    /// Of all of them.
    parties: &'a [u32],
}

impl<'a> PreparedRun<'a> {
    /// Transactions that have no parties but their accounts and payees.
    #[cfg(test)]
    pub(crate) const fn plain(bytes: &'a [u8], prepared: &'a [Prepared]) -> Self {
        Self { bytes, prepared, parties: &[] }
    }
}

/// Prepares the transactions that lie back to back in `run` and were decoded before.
pub(crate) fn prepare(resolver: &Resolver, run: &[u8], batch: &mut PreparedBatch) {
    let PreparedBatch { transactions: prepared, parties } = batch;
    let mut wanted = Wanted::default();
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
            let (mut own, account, payee) = Prepared::new(&transaction, words, resolver);
            if transaction.signer_count() > 1 || transaction.operation_count() > 1 {
                own.amount = Tags { parties: wanted.enter(&transaction, parties), ..Tags::from(own.amount) }.into();
            }
            // Whoever pays nobody is looked up twice, which is rare.
            (addresses[place], addresses[place + 1]) = (account, payee.unwrap_or(account));
            words = words.saturating_add(u32::try_from(transaction.bytes().len() / 8).unwrap_or(u32::MAX));
            prepared.push(own);
        }
        let group = prepared.get_mut(start..).unwrap_or_default();
        if group.is_empty() {
            return wanted.resolve(resolver, parties);
        }
        let count = 2 * group.len();
        resolver.resolve::<{ 2 * GROUP }>(&addresses[..count], &mut slots[..count]);
        let place = |slot: Option<Slot>| slot.map_or(NOWHERE, |slot| slot.0);
        for (own, [payer, payee]) in group.iter_mut().zip(slots.as_chunks().0) {
            (own.payer, own.payee) = (place(*payer), place(*payee));
            if own.asset < NO_PAYMENT && (own.payer == NOWHERE || own.payee == NOWHERE) {
                (own.asset, own.amount) = (NO_PAYMENT, Amount::ZERO);
            }
        }
    }
}

/// Parties that are looked for, several transactions' together.
#[derive(Default)]
struct Wanted {
    addresses: Vec<Address>,
    /// Where the slot of each goes.
    places: Vec<usize>,
}

impl Wanted {
    /// Enters the parties of a transaction; gives where they stand, and one more.
    fn enter(&mut self, transaction: &TransactionRef<'_>, parties: &mut Vec<u32>) -> u32 {
        let (account, first) = (transaction.account(), transaction.first_party());
        let start = parties.len();
        parties.push(0);
        let further = transaction.further_signers().iter().map(|&address| Some(Address(address)));
        for party in further.chain(transaction.encoded_operations().skip(1).map(EncodedOperation::party)) {
            // The account and the first party are looked for in any case.
            if let Some(party) = party.filter(|party| *party != account && Some(*party) != first) {
                self.addresses.push(party);
                self.places.push(parties.len());
            }
            parties.push(NOWHERE);
        }
        let count = parties.len().saturating_sub(start).saturating_sub(1);
        parties[start] = u32::try_from(count).unwrap_or(0);
        u32::try_from(start).ok().and_then(|start| start.checked_add(1)).unwrap_or(0)
    }

    fn resolve(&self, resolver: &Resolver, parties: &mut [u32]) {
        let mut slots = [None; 2 * GROUP];
        for (addresses, places) in self.addresses.chunks(2 * GROUP).zip(self.places.chunks(2 * GROUP)) {
            let slots = &mut slots[..addresses.len()];
            resolver.resolve::<{ 2 * GROUP }>(addresses, slots);
            for (slot, &place) in slots.iter().zip(places) {
                parties[place] = slot.map_or(NOWHERE, |slot| slot.0);
            }
        }
    }
}
