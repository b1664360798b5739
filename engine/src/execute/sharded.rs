//! Many payments at once: what is certain by shards side by side, what is contended in order. The result is that of the serial order.
//!
//! ```text
//! bucket ──► debit by payer's shard ──► barrier ──► credit by payee's shard ──► barrier ──► ordered, by position
//! ```
//!
//! # Invariants
//!
//! 1. Every transaction is either certain or ordered. Which one is a function of the state and the block: not of threads, shards or
//!    timing.
//! 2. A certain debit is covered by the balance before the block less the account's earlier debits in the block. Credits could only
//!    have helped. Hence taking it early equals taking it in order.
//! 3. A debit that isn't covered is a certain *no* if nobody credits the account earlier in the block. Otherwise the account is
//!    contended from that position on: its outcomes depend on credits that come in between.
//! 4. Whatever isn't a plain payment is ordered, and contends every account it can touch from its position on. What it can touch is
//!    known of transfers and registrations; anything else may touch all there is, so that nothing behind it is certain.
//! 5. Of a contended account all debits from that position on are ordered, and certain credits from there on are deferred to their
//!    position. So when a transaction is executed in order, every account it reads stands as it would in the serial order.
//! 6. A credit to an account that isn't contended commutes with all that happens to it: its certain debits didn't need it, and nobody
//!    else reads its balance.
//! 7. An account's window changes in the order of its transactions: those before it is contended in its shard, the others after them.
//!
//! # Cost
//!
//! Per payment an entry for either half with all that it needs, so that a shard reads what it has to do in one piece; one byte of
//! outcome, and two entries of what has changed. Work halves with the second thread but for what is ordered and what is put together.

use super::contended::{Contended, Credited};
use super::{Scratch, execute};
use crate::block::Block;
use crate::crew::{Crew, Items};
use crate::ops::Operation;
use crate::prepare::{Prepared, PreparedRun};
use crate::state::{ChangedPart, Judged, Known, Layout, Payment, Shard, Slot, State};
use crate::types::{Amount, AssetId, Rejection, Time};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Entries whose records are brought closer ahead.
const AHEAD: usize = 12;

/// Transactions that one thread buckets at a time at least.
const CHUNK_MIN: usize = 512;

/// When blocks go by shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// When that is likely to be quicker.
    Auto,
    /// Always, so that tests see it with any block.
    #[cfg_attr(not(feature = "measure"), expect(dead_code, reason = "only tests and benchmarks ask for it"))]
    Always,
}

/// A mistake on purpose: tests have to notice it.
#[cfg_attr(not(feature = "measure"), expect(unreachable_pub, reason = "only tests name it"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedOrder {
    /// Credits are given before it is known whether they were paid.
    CreditBeforeBarrier,
    /// What is ordered contends nothing.
    MissedContention,
    /// What is ordered is executed backwards.
    UnorderedResidual,
    /// Credits to contended accounts aren't deferred.
    UndeferredCredit,
}

/// The payer's half of a payment, or an account that is touched by something that isn't one.
#[derive(Clone, Copy, Debug)]
struct Debit {
    amount: Amount,
    sequence: u64,
    /// Zero is unbounded.
    valid_until: Time,
    slot: Slot,
    asset: AssetId,
    /// The position, and [`TOUCHED`] if the account is touched.
    position: u32,
}

/// A block has fewer transactions than this.
const TOUCHED: u32 = 1 << 31;

// One entry is three quarters of a cache line, the other a half.
const _: () = assert!(size_of::<Debit>() == 48 && size_of::<Credit>() == 32);

impl Debit {
    #[inline]
    fn new(payment: &Payment, position: u32) -> Self {
        let Payment { payer: slot, asset, amount, sequence, valid_until, .. } = *payment;
        Self { amount, sequence, valid_until: valid_until.unwrap_or(Time(0)), slot, asset, position }
    }

    const fn touch(slot: Slot, position: u32) -> Self {
        let (amount, sequence, valid_until, asset) = (Amount::ZERO, 0, Time(0), AssetId(u32::MAX));
        Self { amount, sequence, valid_until, slot, asset, position: position | TOUCHED }
    }

    /// The payment whose half this is, as far as the payer is concerned.
    #[inline]
    fn payment(&self) -> Payment {
        let Self { amount, sequence, valid_until, slot, asset, .. } = *self;
        let valid_until = Some(valid_until).filter(|&last| last != Time(0));
        Payment { payer: slot, payee: slot, asset, amount, sequence, valid_until }
    }
}

/// The payee's half of a payment.
#[derive(Clone, Copy, Debug)]
struct Credit {
    amount: Amount,
    slot: Slot,
    asset: AssetId,
    position: u32,
}

/// What a chunk of the block has for each shard, in order.
#[derive(Debug, Default)]
struct Bucket {
    debits: Vec<Vec<Debit>>,
    credits: Vec<Vec<Credit>>,
    /// Positions of what isn't a payment.
    ordered: Vec<u32>,
    /// The first position from which nothing is certain.
    fence: Option<u32>,
}

/// What a shard finds out in a block.
#[derive(Debug, Default)]
struct Lane {
    contended: Contended,
    credited: Credited,
    /// Payments that aren't certain.
    ordered: Vec<u32>,
    /// Certain credits that have to wait for their position.
    deferred: Vec<u32>,
    rejections: Vec<(u32, Rejection)>,
    changed: ChangedPart,
}

/// What executing by shards needs, and the next block can use again.
#[derive(Debug)]
pub(crate) struct Sharding {
    crew: Crew,
    mode: Mode,
    planted: Option<PlantedOrder>,
    buckets: Vec<Bucket>,
    lanes: Vec<Lane>,
    /// Whether the payment at a position is certain to take effect.
    certain: Vec<AtomicBool>,
    /// What is left to be done in order: positions, and whether only the credit is.
    ordered: Vec<(u32, bool)>,
}

impl Sharding {
    pub(crate) fn new(crew: Crew, mode: Mode, planted: Option<PlantedOrder>) -> Self {
        let (buckets, lanes, certain, ordered) = Default::default();
        Self { crew, mode, planted, buckets, lanes, certain, ordered }
    }

    /// Whether this block is worth two barriers.
    pub(super) fn suits(&self, block: &Block<'_>) -> bool {
        /// Below this a block is executed before others have woken up.
        const COUNT_MIN: usize = 4096;
        let count = block.count as usize;
        match self.mode {
            Mode::Always => count > 0,
            Mode::Auto if self.crew.threads() < 2 || count < COUNT_MIN => false,
            Mode::Auto => {
                let prepared = block.runs.iter().flat_map(|run| run.prepared);
                let payments = prepared.filter(|prepared| prepared.payment().is_some()).count();
                payments >= count / 4 * 3
            }
        }
    }
}

/// The transactions of a block by ascending positions.
#[derive(Clone)]
struct Cursor<'a> {
    runs: &'a [PreparedRun<'a>],
    /// Position of the first of the runs' first transaction.
    start: usize,
}

impl<'a> Cursor<'a> {
    const fn new(block: &'a Block<'a>) -> Self {
        Self { runs: block.runs.as_slice(), start: 0 }
    }

    /// What stands at a position, which must be no lower than the last one asked for.
    #[inline]
    fn at(&mut self, position: u32) -> Option<(&'a Prepared, &'a [u8])> {
        loop {
            let run = self.runs.first()?;
            let place = (position as usize).checked_sub(self.start)?;
            if let Some(prepared) = run.prepared.get(place) {
                return Some((prepared, run.bytes));
            }
            self.start += run.prepared.len();
            self.runs = &self.runs[1..];
        }
    }
}

/// Executes a block; the rejections come in order.
pub(super) fn execute_sharded(
    block: &Block<'_>,
    state: &mut State,
    scratch: &mut Scratch,
    sharding: &mut Sharding,
) -> Vec<(u32, Rejection)> {
    let layout = state.layout();
    let count = block.count as usize;
    let Sharding { crew, planted, buckets: spare, lanes, certain, .. } = sharding;
    certain.iter_mut().for_each(|certain| *certain.get_mut() = false);
    if certain.len() < count {
        certain.resize_with(count, AtomicBool::default);
    }
    lanes.resize_with(layout.shards(), Lane::default);
    lanes.iter_mut().for_each(Lane::begin);

    // Some more pieces than threads, so that none has to wait for long.
    let pieces = if crew.threads() == 1 { 1 } else { crew.threads() * 4 };
    let step = count.div_ceil(pieces).max(CHUNK_MIN);
    let chunks = count.div_ceil(step);
    spare.resize_with(chunks.max(spare.len()), Bucket::default);
    let buckets: Vec<OnceLock<Bucket>> = (0..chunks).map(|_| OnceLock::new()).collect();
    let spare = Items::new(spare.iter_mut());

    let (known, shards) = state.known_and_shards();
    let mut pairs: Vec<(&mut Shard, &mut Lane)> = shards.iter_mut().zip(lanes.iter_mut()).collect();
    let pairs = Items::new(pairs.iter_mut());
    let phases = Phases { block, layout, planted: *planted, known, buckets: &buckets, certain };
    let fill = |place: usize| {
        let mut bucket = std::mem::take(&mut **spare.at(place));
        let start = place.saturating_mul(step);
        phases.fill(&mut bucket, start..start.saturating_add(step).min(count));
        // Nobody else fills this one.
        let _ = buckets[place].set(bucket);
    };
    let debit = |number: usize| {
        let (shard, lane) = &mut **pairs.at(number);
        phases.debit(number, shard, lane);
    };
    let credit = |number: usize| {
        let (shard, lane) = &mut **pairs.at(number);
        phases.credit(number, shard, lane);
    };
    let (fill, debit, credit) = ((chunks, &fill as _), (layout.shards(), &debit as _), (layout.shards(), &credit as _));
    if phases.has(PlantedOrder::CreditBeforeBarrier) {
        crew.work(&[fill, credit, debit]);
    } else {
        // A phase begins when the one before it has ended: all debits are decided before a credit is given.
        crew.work(&[fill, debit, credit]);
    }
    for (place, bucket) in buckets.into_iter().enumerate() {
        **spare.at(place) = bucket.into_inner().unwrap_or_default();
    }
    drop(pairs);
    finish(block, chunks, state, scratch, sharding)
}

impl Bucket {
    fn clear(&mut self, layout: Layout) {
        self.debits.resize_with(layout.shards(), Vec::new);
        self.debits.iter_mut().for_each(Vec::clear);
        self.credits.resize_with(layout.shards(), Vec::new);
        self.credits.iter_mut().for_each(Vec::clear);
        self.ordered.clear();
        self.fence = None;
    }
}

/// Visits the accounts that something else than a payment can touch, as far as they are there; those that aren't no payment touches.
/// `false` if nobody can say.
fn touch(prepared: &Prepared, run: &[u8], known: &Known<'_>, mut touched: impl FnMut(Slot)) -> bool {
    let Some(transaction) = prepared.of(run) else { return false };
    prepared.payer().into_iter().for_each(&mut touched);
    // An account that wasn't found when this was prepared may be there by now.
    transaction.signers().filter_map(|signer| known.find(&signer)).for_each(&mut touched);
    transaction.operations().all(|(_, operation)| match operation {
        // By a grant somebody else pays, by a policy a fee account is paid.
        Operation::Transfer(transfer) => {
            known.find(&transfer.payee).into_iter().for_each(&mut touched);
            transfer.grant.is_none() && !known.has_policy(transfer.asset)
        }
        Operation::RegisterAsset(order) => !order.is_update && order.policy.0 == 0,
        _ => false,
    })
}

/// What the phases have in common.
struct Phases<'a> {
    block: &'a Block<'a>,
    layout: Layout,
    planted: Option<PlantedOrder>,
    known: Known<'a>,
    /// Filled by the first phase, read by the others.
    buckets: &'a [OnceLock<Bucket>],
    /// Told by the second phase, read by the third.
    certain: &'a [AtomicBool],
}

impl Phases<'_> {
    fn has(&self, planted: PlantedOrder) -> bool {
        self.planted == Some(planted)
    }

    /// Sorts the halves of some payments by shard.
    fn fill(&self, bucket: &mut Bucket, range: std::ops::Range<usize>) {
        let Self { layout, known, .. } = self;
        bucket.clear(*layout);
        let touches = !self.has(PlantedOrder::MissedContention);
        let mut cursor = Cursor::new(self.block);
        for position in range.filter_map(|position| u32::try_from(position).ok()) {
            let Some((prepared, run)) = cursor.at(position) else { return };
            match prepared.payment().filter(|payment| known.is_payment(payment)) {
                Some(payment) => {
                    let Payment { payer, payee: slot, asset, amount, .. } = payment;
                    bucket.debits[layout.place(payer).shard].push(Debit::new(&payment, position));
                    bucket.credits[layout.place(slot).shard].push(Credit { amount, slot, asset, position });
                }
                None => {
                    bucket.ordered.push(position);
                    let touched = |slot: Slot| {
                        if touches {
                            bucket.debits[layout.place(slot).shard].push(Debit::touch(slot, position));
                        }
                    };
                    if !touch(prepared, run, known, touched) && bucket.fence.is_none() {
                        bucket.fence = Some(position);
                    }
                }
            }
        }
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter().filter_map(OnceLock::get)
    }

    /// The debits of one shard's accounts, in order.
    fn debit(&self, number: usize, shard: &mut Shard, lane: &mut Lane) {
        let (layout, time) = (self.layout, self.block.time);
        // From here on nothing is certain.
        let fence = self.buckets().filter_map(|bucket| bucket.fence).min().unwrap_or(u32::MAX);
        for entries in self.buckets().filter_map(|bucket| bucket.debits.get(number)) {
            for (place, debit) in entries.iter().enumerate() {
                if let Some(ahead) = entries.get(place + AHEAD) {
                    shard.prefetch(layout.place(ahead.slot));
                }
                let &Debit { slot, position, .. } = debit;
                if position & TOUCHED != 0 {
                    lane.contended.enter(slot, position & !TOUCHED);
                    continue;
                }
                if position > fence || lane.contended.from(slot).is_some() {
                    lane.ordered.push(position);
                    continue;
                }
                let place = layout.place(slot);
                match shard.judge(place, &debit.payment(), time) {
                    Some(Judged::Covered(window, rest)) => {
                        shard.use_up(place, window);
                        shard.set_available(place, debit.asset, rest);
                        lane.changed.debited(slot, debit.asset, debit.amount);
                        // Read behind the barrier.
                        self.certain[position as usize].store(true, Ordering::Relaxed);
                    }
                    Some(Judged::Rejected(window, rejection)) => {
                        lane.reject(slot, position, window, rejection, |window| shard.use_up(place, window));
                    }
                    Some(Judged::Uncovered(window, rejection)) => {
                        let credits = || self.buckets().filter_map(|bucket| bucket.credits.get(number)).flatten();
                        let credits = || credits().map(|credit| (credit.slot, credit.position));
                        if lane.credited.is_before(slot, position, credits) {
                            lane.contended.enter(slot, position);
                            lane.ordered.push(position);
                        } else {
                            lane.reject(slot, position, Some(window), rejection, |window| shard.use_up(place, window));
                        }
                    }
                    None => {}
                }
            }
        }
    }

    /// The credits of one shard's accounts that are certain, in order.
    fn credit(&self, number: usize, shard: &mut Shard, lane: &mut Lane) {
        let layout = self.layout;
        let (defers, assumes) =
            (!self.has(PlantedOrder::UndeferredCredit), self.has(PlantedOrder::CreditBeforeBarrier));
        for entries in self.buckets().filter_map(|bucket| bucket.credits.get(number)) {
            for (place, &Credit { amount, slot, asset, position }) in entries.iter().enumerate() {
                if let Some(ahead) = entries.get(place + AHEAD) {
                    shard.prefetch(layout.place(ahead.slot));
                }
                if !assumes && !self.certain[position as usize].load(Ordering::Relaxed) {
                    continue;
                }
                if defers && lane.contended.from(slot).is_some_and(|from| position > from) {
                    lane.deferred.push(position);
                    continue;
                }
                shard.credit(layout.place(slot), asset, amount);
                lane.changed.credited(slot, asset, amount);
            }
        }
    }
}

impl Lane {
    fn begin(&mut self) {
        self.contended.clear();
        self.credited.clear();
        self.ordered.clear();
        self.deferred.clear();
        self.rejections.clear();
    }

    #[cold]
    fn reject<W>(
        &mut self,
        slot: Slot,
        position: u32,
        window: Option<W>,
        rejection: Rejection,
        use_up: impl FnOnce(W),
    ) {
        if let Some(window) = window {
            use_up(window);
            self.changed.used(slot);
        }
        self.rejections.push((position, rejection));
    }
}

/// What is left is done in order; everything that was found out is put together.
fn finish(
    block: &Block<'_>,
    chunks: usize,
    state: &mut State,
    scratch: &mut Scratch,
    sharding: &mut Sharding,
) -> Vec<(u32, Rejection)> {
    let Sharding { planted, buckets, lanes, ordered, .. } = sharding;
    let mut rejections = Vec::new();
    ordered.clear();
    let unlike = buckets.iter().take(chunks).flat_map(|bucket| &bucket.ordered);
    ordered.extend(unlike.map(|&position| (position, false)));
    for lane in lanes {
        ordered.extend(lane.ordered.iter().map(|&position| (position, false)));
        ordered.extend(lane.deferred.iter().map(|&position| (position, true)));
        rejections.append(&mut lane.rejections);
        scratch.changes.take_part(&mut lane.changed);
    }
    ordered.sort_unstable();
    let is_backwards = *planted == Some(PlantedOrder::UnorderedResidual);
    if is_backwards {
        ordered.reverse();
    }
    let mut cursor = Cursor::new(block);
    for &(position, is_credit) in ordered.iter() {
        if is_backwards {
            cursor = Cursor::new(block);
        }
        let Some((prepared, run)) = cursor.at(position) else { continue };
        if !is_credit {
            scratch.changes.go_to(Some(position));
            if let Err(rejection) = execute(prepared, run, block.time, state, &mut scratch.changes) {
                rejections.push((position, rejection));
            }
        } else if let Some(payment) = prepared.payment() {
            state.credit(payment.payee, payment.asset, payment.amount, &mut scratch.changes);
        }
    }
    rejections.sort_unstable_by_key(|&(position, _)| position);
    rejections
}
