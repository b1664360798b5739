//! The phases of a block that goes by shards: what each does, to which accounts, and what it leaves for the next. See `sharded` for
//! why that is right.

use super::firsts::Firsts;
use super::messages::{InOrder, Message, Said};
use super::plan::Shifted;
use super::sharded::PlantedOrder;
use super::touching::Touching;
use crate::block::Block;
use crate::ops::{EncodedOperation, Promise, Touch};
use crate::prepare::{Prepared, PreparedRun};
use crate::state::{Context, Debited, Entry, Flows, Known, Layout, Name, Payment, Place, Shard, Slot, prefetch};
use crate::transaction::TransactionRef;
use crate::types::{AssetId, Rejection, Time};
use std::ops::Range;
use std::sync::OnceLock;

/// Accounts that are brought closer ahead of the one that is at hand.
const AHEAD: usize = 64;

/// The same for what was prepared.
const PREPARED_AHEAD: u32 = 32;

/// One side of a payment, or an account that something else takes from or pays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    pub slot: Slot,
    /// The position, and [`ALONE`] or [`TOUCHED`] if there is something else than a payment: a promise or a message to a book, or anything.
    pub position: u32,
}

/// A block has fewer transactions than either of these.
pub(super) const TOUCHED: u32 = 1 << 31;
/// The same of what its account decides alone.
const ALONE: u32 = 1 << 30;
const POSITION: u32 = ALONE - 1;

/// Some of the shards, which one thread works on at a time.
#[derive(Debug)]
pub(super) struct Portion<'a> {
    pub(super) shards: &'a mut [Shard],
    /// The number of the first of them.
    pub(super) first: usize,
    pub(super) lane: &'a mut Lane,
}

impl Portion<'_> {
    /// The one of its shards that has an account.
    #[inline]
    pub(super) fn shard(&self, account: Place) -> Option<&Shard> {
        self.shards.get(account.shard.wrapping_sub(self.first))
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn shard_mut(&mut self, account: Place) -> Option<&mut Shard> {
        self.shards.get_mut(account.shard.wrapping_sub(self.first))
    }

    #[inline]
    fn prefetch(&self, layout: Layout, slot: Slot) {
        let place = layout.place(slot);
        if let Some(shard) = self.shard(place) {
            shard.prefetch(place);
        }
    }
}

/// What a chunk of the block has for each portion of the shards, in order.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) debits: Vec<Vec<Half>>,
    pub(super) credits: Vec<Vec<Half>>,
    /// Positions of what isn't a payment.
    pub(super) ordered: Vec<u32>,
    /// The first position behind which nothing is certain.
    pub(super) fence: Option<u32>,
    /// The first position behind which anybody may have been paid.
    pub(super) pays_anybody: Option<u32>,
    /// Whether anything is decided by its account alone and is no payment.
    has_alone: bool,
    /// Markets of messages that no account decides alone.
    pub(super) in_order: InOrder,
}

/// What is found out about the accounts of some shards in a block.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// From where on accounts are contended.
    pub(super) contended: Firsts,
    /// Where accounts are first credited, once somebody has asked.
    credited: Firsts,
    knows_credited: bool,
    /// Payments that aren't certain.
    pub(super) ordered: Vec<u32>,
    /// Certain credits that have to wait for their position.
    pub(super) deferred: Vec<u32>,
    /// Promises that are certain, which get their places in the table of entries by position.
    pub(super) made: Vec<(u32, Made)>,
    /// By whose those are, of which kind and under which id, mixed to 32 bits: two that are alike by chance are only taken for the same.
    names: Firsts,
    /// Messages to books whose accounts can pay for whatever comes of them.
    pub(super) messages: Vec<Message>,
    /// By which names those are.
    pub(super) said: Said,
    /// What contended accounts get and give by plans.
    pub(super) shifted: Vec<Shifted>,
    /// Markets of the other messages.
    pub(super) in_order: InOrder,
    pub(super) rejections: Vec<(u32, Rejection)>,
    pub(super) flows: Flows,
    /// A bit per position: payments that aren't certain, or no payments.
    skipped: Vec<u64>,
}

impl Lane {
    pub(super) fn begin(&mut self) {
        self.contended.clear();
        self.credited.clear();
        self.knows_credited = false;
        self.ordered.clear();
        self.deferred.clear();
        self.made.clear();
        self.names.clear();
        self.messages.clear();
        self.said.clear();
        self.shifted.clear();
        self.in_order.clear();
        self.rejections.clear();
    }

    /// Leaves something to be done in order, and whatever its account does behind it.
    pub(super) fn contend(&mut self, slot: Slot, position: u32) {
        self.contended.enter(slot, position);
        self.ordered.push(position);
    }
}

/// An entry that waits for its place.
#[derive(Debug)]
pub(super) struct Made {
    entry: Entry,
    owner: Slot,
    /// Of its name.
    tag: u64,
}

impl Made {
    /// Enters it under the lowest free number.
    pub(super) fn enter(self, context: &mut Context<'_>) {
        let entered = match self.entry {
            Entry::Hold(hold) => context.enter_hold(hold, self.owner, self.tag),
            entry => context.open_entry(entry),
        };
        assert!(entered.is_ok(), "there was room for all that may be promised");
    }
}

/// A slot and a number in 32 bits.
fn mix(slot: Slot, id: u64) -> Slot {
    let mixed = (id ^ u64::from(slot.0) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Slot(u32::try_from((mixed ^ u64::from(slot.0)) >> 32).unwrap_or(0))
}

/// From where on in the block something holds.
pub(super) struct Froms {
    /// Behind this nothing is certain.
    pub(super) fence: u32,
    /// Behind this anybody may have been paid.
    pays_anybody: u32,
}

/// The transactions of a block by ascending positions.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    runs: &'a [PreparedRun<'a>],
    /// Position of the first of the runs' first transaction.
    start: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(block: &'a Block<'a>) -> Self {
        Self { runs: block.runs.as_slice(), start: 0 }
    }

    /// What stands at a position, which must be no lower than the last one asked for.
    #[inline]
    pub(super) fn at(&mut self, position: u32) -> Option<(&'a Prepared, &'a PreparedRun<'a>)> {
        loop {
            let run = self.runs.first()?;
            let place = (position as usize).checked_sub(self.start)?;
            if let Some(prepared) = run.prepared.get(place) {
                return Some((prepared, run));
            }
            self.start += run.prepared.len();
            self.runs = &self.runs[1..];
        }
    }

    /// What stands at a later position, if that is in the run at hand.
    #[inline]
    fn peek(&self, position: u32) -> Option<&'a Prepared> {
        self.runs.first()?.prepared.get((position as usize).checked_sub(self.start)?)
    }
}

/// What the phases have in common.
pub(super) struct Phases<'a> {
    pub(super) block: &'a Block<'a>,
    pub(super) layout: Layout,
    pub(super) planted: Option<PlantedOrder>,
    pub(super) known: Known<'a>,
    /// Whether a promise can be certain: nothing is over and still has its name, and there is room for all that may be made.
    pub(super) can_promise: bool,
    /// By shard: the portion it is in.
    pub(super) portions: &'a [usize],
    /// Filled by the first phase, read by the others.
    pub(super) buckets: &'a [OnceLock<Bucket>],
    /// By portion: payments that aren't certain. Told by the second phase, read by the third.
    pub(super) uncertain: &'a [OnceLock<Vec<u32>>],
}

impl Phases<'_> {
    pub(super) fn has(&self, planted: PlantedOrder) -> bool {
        self.planted == Some(planted)
    }

    #[inline]
    pub(super) fn portion(&self, slot: Slot) -> usize {
        self.portions.get(self.layout.place(slot).shard).copied().unwrap_or_default()
    }

    /// Sorts the halves of some payments by portion.
    pub(super) fn fill(&self, bucket: &mut Bucket, range: Range<u32>) {
        let count = self.uncertain.len();
        for halves in [&mut bucket.debits, &mut bucket.credits] {
            halves.resize_with(count, Vec::new);
            halves.iter_mut().for_each(Vec::clear);
        }
        bucket.ordered.clear();
        (bucket.fence, bucket.pays_anybody) = (None, None);
        bucket.has_alone = false;
        bucket.in_order.clear();
        let mut cursor = Cursor::new(self.block);
        for position in range {
            let Some((prepared, run)) = cursor.at(position) else { return };
            if let Some(later) = cursor.peek(position.saturating_add(PREPARED_AHEAD)) {
                prefetch(later);
            }
            match prepared.payment().filter(|payment| self.known.is_payment(payment)) {
                Some(payment) => {
                    bucket.debits[self.portion(payment.payer)].push(Half { slot: payment.payer, position });
                    bucket.credits[self.portion(payment.payee)].push(Half { slot: payment.payee, position });
                }
                None if let Some((slot, is_message)) = self.alone(prepared, run) => {
                    bucket.debits[self.portion(slot)].push(Half { slot, position: position | ALONE });
                    bucket.has_alone = true;
                    if is_message {
                        Touching { phases: self, bucket, position }.pays_anybody();
                    }
                }
                None => {
                    bucket.ordered.push(position);
                    Touching { phases: self, bucket, position }.enter(prepared, run);
                }
            }
        }
    }

    /// Whose promise or message something is, and whether it is a message, if it is one of nobody but an account that is there.
    fn alone(&self, prepared: &Prepared, run: &PreparedRun<'_>) -> Option<(Slot, bool)> {
        let slot = prepared.payer().filter(|&slot| self.can_promise && !self.known.is_guarded(slot))?;
        let operation = prepared.of(run)?.only_operation()?;
        if operation.is_message() {
            return self.has_plans().then_some((slot, true));
        }
        let mut asks_for_balances = false;
        let see = &mut |touch| asks_for_balances |= matches!(touch, Touch::Anything);
        Some(operation).filter(|operation| operation.may_promise())?.touches(see);
        (!asks_for_balances).then_some((slot, false))
    }

    /// How many halves of payments a portion has.
    pub(super) fn halves(&self, number: usize) -> usize {
        let halves = |bucket: &Bucket| [&bucket.debits, &bucket.credits].map(|all| all.get(number).map_or(0, Vec::len));
        self.buckets().flat_map(halves).sum()
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter().filter_map(OnceLock::get)
    }

    /// Brings closer what a half needs: its account, and what was prepared, which another thread may have looked at last.
    #[inline(always)]
    fn bring(&self, portion: &Portion<'_>, cursor: &mut Cursor<'_>, half: &Half) {
        portion.prefetch(self.layout, half.slot);
        if let Some((prepared, _)) = cursor.at(half.position & POSITION) {
            prefetch(prepared);
            if half.position & ALONE != 0
                && let Some(tag) = prepared.entry_tag()
            {
                self.known.prefetch_name(tag);
            }
        }
    }

    /// The same for what those lead to, of what its account decides alone.
    fn bring_behind(&self, portion: &Portion<'_>, cursor: &mut Cursor<'_>, half: &Half) {
        if half.position & (TOUCHED | ALONE) != ALONE {
            return;
        }
        let place = self.layout.place(half.slot);
        if let Some(shard) = portion.shard(place) {
            shard.prefetch_further(place);
        }
        if let Some((prepared, run)) = cursor.at(half.position & POSITION) {
            prepared.entry_tag().into_iter().for_each(|tag| self.known.prefetch_named(tag));
            prepared.bring(run);
        }
    }

    /// The same for the balances of which an order may take some.
    fn bring_reserved(&self, portion: &Portion<'_>, cursor: &mut Cursor<'_>, half: &Half) {
        let market = cursor.at(half.position & POSITION).and_then(|(prepared, _)| prepared.market());
        let place = self.layout.place(half.slot);
        if let Some(market) = market.and_then(|market| self.known.market(market))
            && let Some(shard) = portion.shard(place)
        {
            [market.base, market.quote].into_iter().for_each(|asset| shard.prefetch_balance(place, asset, true));
        }
    }

    /// The debits of the accounts of a portion, in order.
    pub(super) fn debit(&self, number: usize, portion: &mut Portion<'_>) {
        let first = |of: fn(&Bucket) -> Option<u32>| self.buckets().filter_map(of).min().unwrap_or(u32::MAX);
        let from = Froms { fence: first(|bucket| bucket.fence), pays_anybody: first(|bucket| bucket.pays_anybody) };
        let mut uncertain = Vec::new();
        let mut cursor = Cursor::new(self.block);
        let halves = || self.buckets().filter_map(|bucket| bucket.debits.get(number)).flatten();
        let (mut ahead, mut ahead_cursor) = (halves(), Cursor::new(self.block));
        ahead.by_ref().take(AHEAD).for_each(|half| self.bring(portion, &mut ahead_cursor, half));
        // What lies behind an account or a name, once those are there.
        let has_alone = self.buckets().any(|bucket| bucket.has_alone);
        let (mut behind, mut behind_cursor) = (halves().filter(|_| has_alone), Cursor::new(self.block));
        behind.by_ref().take(AHEAD / 2).for_each(|half| self.bring_behind(portion, &mut behind_cursor, half));
        let (mut near, mut near_cursor) = (halves().filter(|_| has_alone), Cursor::new(self.block));
        near.by_ref().take(AHEAD / 4).for_each(|half| self.bring_reserved(portion, &mut near_cursor, half));
        for &Half { slot, position } in halves() {
            if let Some(half) = ahead.next() {
                self.bring(portion, &mut ahead_cursor, half);
            }
            if let Some(half) = behind.next() {
                self.bring_behind(portion, &mut behind_cursor, half);
            }
            if let Some(half) = near.next() {
                self.bring_reserved(portion, &mut near_cursor, half);
            }
            if position & TOUCHED != 0 {
                portion.lane.contended.enter(slot, position & POSITION);
                continue;
            }
            if position & ALONE != 0 {
                let position = position & POSITION;
                // It was prepared from these bytes, so it is there.
                let Some((prepared, run)) = cursor.at(position) else { continue };
                let Some(transaction) = prepared.of(run) else { continue };
                match transaction.only_operation().and_then(EncodedOperation::message) {
                    Some(said) => {
                        self.message(
                            (number, portion),
                            (&transaction, &said, prepared.entry_tag()),
                            (slot, position),
                            &from,
                        );
                    }
                    None => self.promise((number, portion), &transaction, slot, position, &from),
                }
                continue;
            }
            if position > from.fence || portion.lane.contended.of(slot).is_some() {
                portion.lane.ordered.push(position);
                uncertain.push(position);
                continue;
            }
            let Some(payment) = cursor.at(position).and_then(|(prepared, _)| prepared.payment()) else { continue };
            let payer = self.layout.place(slot);
            let Portion { shards, first, lane } = portion;
            let Some(shard) = shards.get_mut(payer.shard.wrapping_sub(*first)) else { continue };
            match shard.debit(&payment, payer, self.block.time) {
                Some(Debited::Paid) => lane.flows.debited(payment.asset, payment.amount),
                Some(Debited::Rejected(rejection)) => {
                    lane.rejections.push((position, rejection));
                    uncertain.push(position);
                }
                Some(Debited::Uncovered(..)) if self.may_be_paid_before((number, lane), slot, position, &from) => {
                    lane.contend(slot, position);
                    uncertain.push(position);
                }
                Some(Debited::Uncovered(window, rejection)) => {
                    shard.use_up(payer, window);
                    lane.rejections.push((position, rejection));
                    uncertain.push(position);
                }
                None => {}
            }
        }
        // Nobody else tells of this portion.
        let _ = self.uncertain[number].set(uncertain);
    }

    /// The owner's half of a promise.
    fn promise(
        &self,
        (number, portion): (usize, &mut Portion<'_>),
        transaction: &TransactionRef<'_>,
        slot: Slot,
        position: u32,
        from: &Froms,
    ) {
        let Portion { shards, first, lane } = portion;
        if position > from.fence || lane.contended.of(slot).is_some() {
            return lane.ordered.push(position);
        }
        let promise = self.promised(transaction, slot, &lane.names);
        let Some((payment, made, name)) = promise else { return lane.contend(slot, position) };
        let owner = self.layout.place(slot);
        let Some(shard) = shards.get_mut(owner.shard.wrapping_sub(*first)) else { return };
        match shard.set_aside(&payment, owner, self.block.time) {
            Some(Debited::Paid) => {
                lane.names.enter(name, position);
                lane.made.push((position, made));
            }
            Some(Debited::Rejected(rejection)) => lane.rejections.push((position, rejection)),
            Some(Debited::Uncovered(..)) if self.may_be_paid_before((number, lane), slot, position, from) => {
                lane.contend(slot, position);
            }
            Some(Debited::Uncovered(window, rejection)) => {
                shard.use_up(owner, window);
                lane.rejections.push((position, rejection));
            }
            None => {}
        }
    }

    /// What an account promises and takes for it, if nothing but what it has can stand against that: in particular nobody had the promise's name
    /// before the block, and no other has in it.
    fn promised(&self, transaction: &TransactionRef<'_>, slot: Slot, names: &Firsts) -> Option<(Payment, Made, Slot)> {
        let Promise { entry, asset, amount } =
            transaction.only_operation()?.promise(&transaction.account(), self.block.time)?;
        let name = match entry.name() {
            Name::Hold { id, .. } => mix(slot, id),
            Name::Grant { id, .. } => mix(slot, !id),
            _ => return None,
        };
        let tag = self.known.tag(&entry.name());
        if asset.is_some_and(|asset| !self.known.is_plain(asset))
            || names.of(name).is_some()
            || self.known.has_entry(&entry.name(), tag)
        {
            return None;
        }
        let payment = Payment {
            payer: slot,
            payee: slot,
            // Nothing is taken where there is none.
            asset: asset.unwrap_or(AssetId(0)),
            amount,
            sequence: transaction.sequence(),
            valid_until: transaction.valid_until().unwrap_or(Time(u64::MAX)),
        };
        Some((payment, Made { entry, owner: slot, tag }, name))
    }

    /// Whether an account may be paid before a position, so that a debit that isn't covered is no certain *no*. Whoever has money never makes
    /// anybody ask.
    pub(super) fn may_be_paid_before(
        &self,
        (number, lane): (usize, &mut Lane),
        slot: Slot,
        position: u32,
        from: &Froms,
    ) -> bool {
        if position > from.pays_anybody {
            return true;
        }
        if !lane.knows_credited {
            lane.knows_credited = true;
            let credits = self.buckets().filter_map(|bucket| bucket.credits.get(number)).flatten();
            credits.for_each(|credit| lane.credited.enter(credit.slot, credit.position & POSITION));
        }
        lane.credited.of(slot).is_some_and(|first| first < position)
    }

    /// The credits of the accounts of a portion that are certain, in order.
    pub(super) fn credit(&self, number: usize, portion: &mut Portion<'_>) {
        let defers = !self.has(PlantedOrder::UndeferredCredit);
        let skips = self.skip(&mut portion.lane.skipped);
        let mut cursor = Cursor::new(self.block);
        let halves = || self.buckets().filter_map(|bucket| bucket.credits.get(number)).flatten();
        let (mut ahead, mut ahead_cursor) = (halves(), Cursor::new(self.block));
        ahead.by_ref().take(AHEAD).for_each(|half| self.bring(portion, &mut ahead_cursor, half));
        for &Half { slot, position } in halves() {
            if let Some(half) = ahead.next() {
                self.bring(portion, &mut ahead_cursor, half);
            }
            if position & TOUCHED != 0 {
                continue;
            }
            let Portion { shards, first, lane } = portion;
            if skips && lane.skipped[position as usize / 64] >> (position % 64) & 1 == 1 {
                continue;
            }
            if defers && lane.contended.of(slot).is_some_and(|from| position > from) {
                lane.deferred.push(position);
                continue;
            }
            let Some(payment) = cursor.at(position).and_then(|(prepared, _)| prepared.payment()) else { continue };
            let payee = self.layout.place(slot);
            if let Some(shard) = shards.get_mut(payee.shard.wrapping_sub(*first)) {
                shard.credit(&payment, payee);
                lane.flows.credited(payment.asset, payment.amount);
            }
        }
    }

    /// Marks the payments that aren't certain; whether there are any.
    fn skip(&self, skipped: &mut Vec<u64>) -> bool {
        let uncertain = || self.uncertain.iter().filter_map(OnceLock::get).flatten();
        if uncertain().next().is_none() {
            return false;
        }
        skipped.clear();
        skipped.resize((self.block.count as usize).div_ceil(64), 0);
        uncertain().for_each(|&position| skipped[position as usize / 64] |= 1 << (position % 64));
        true
    }
}
