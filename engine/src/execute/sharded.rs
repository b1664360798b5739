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
//! Per payment two entries of eight bytes, one byte of outcome and two of what has changed; work halves with the second thread but for
//! two barriers per block and what is ordered.

use super::contended::{Contended, Credited};
use super::{Scratch, execute};
use crate::block::Block;
use crate::crew::Crew;
use crate::ops::Operation;
use crate::prepare::{Prepared, PreparedRun};
use crate::state::{ChangedPart, Judged, Layout, Payment, Shard, Slot, State};
use crate::types::{Rejection, Time};
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

/// An account in a transaction: of a payer or a payee, or touched by something that isn't a payment.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: Slot,
    /// The position, and above it whether the account is touched.
    position: u32,
}

/// A block has fewer transactions than this.
const TOUCHED: u32 = 1 << 31;

/// What a chunk of the block has for each shard, in order.
#[derive(Debug, Default)]
struct Bucket {
    debits: Vec<Vec<Entry>>,
    credits: Vec<Vec<Entry>>,
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
    entries: usize,
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

    fn has(&self, planted: PlantedOrder) -> bool {
        self.planted == Some(planted)
    }
}

/// The payments of a block by ascending positions.
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
    let mut crew = std::mem::take(&mut sharding.crew);
    let rejections = crew.gather(|| execute_gathered(block, state, scratch, sharding, &crew));
    std::mem::swap(&mut sharding.crew, &mut crew);
    rejections
}

fn execute_gathered(
    block: &Block<'_>,
    state: &mut State,
    scratch: &mut Scratch,
    sharding: &mut Sharding,
    crew: &Crew,
) -> Vec<(u32, Rejection)> {
    let layout = state.layout();
    let count = block.count as usize;
    sharding.certain.iter_mut().for_each(|certain| *certain.get_mut() = false);
    if sharding.certain.len() < count {
        sharding.certain.resize_with(count, AtomicBool::default);
    }
    sharding.lanes.resize_with(layout.shards(), Lane::default);

    bucket(block, state, sharding, crew, layout);
    let fence = sharding.buckets.iter().filter_map(|bucket| bucket.fence).min();
    let phases = Phases { block, layout, fence: fence.unwrap_or(u32::MAX), planted: sharding.planted };
    let Sharding { buckets, lanes, certain, .. } = sharding;
    let (buckets, certain) = (&buckets[..], &certain[..]);
    let (shards, _) = state.shards();
    let mut pairs: Vec<(&mut Shard, &mut Lane)> = shards.iter_mut().zip(lanes.iter_mut()).collect();
    if phases.planted == Some(PlantedOrder::CreditBeforeBarrier) {
        certain.iter().for_each(|certain| certain.store(true, Ordering::Relaxed));
        crew.each(&mut pairs, |number, (shard, lane)| phases.credit(number, buckets, certain, shard, lane));
        certain.iter().for_each(|certain| certain.store(false, Ordering::Relaxed));
    }
    crew.each(&mut pairs, |number, (shard, lane)| phases.debit(number, buckets, certain, shard, lane));
    // All debits are decided.
    if phases.planted != Some(PlantedOrder::CreditBeforeBarrier) {
        crew.each(&mut pairs, |number, (shard, lane)| phases.credit(number, buckets, certain, shard, lane));
    }
    // All that is certain is done.
    finish(block, state, scratch, sharding)
}

/// Sorts the accounts of every transaction by shard.
fn bucket(block: &Block<'_>, state: &State, sharding: &mut Sharding, crew: &Crew, layout: Layout) {
    let count = block.count as usize;
    // Some more pieces than threads, so that none has to wait for long.
    let pieces = if crew.threads() == 1 { 1 } else { crew.threads() * 2 };
    let step = count.div_ceil(pieces).max(CHUNK_MIN);
    let touches = !sharding.has(PlantedOrder::MissedContention);
    sharding.buckets.resize_with(count.div_ceil(step), Bucket::default);
    crew.each(&mut sharding.buckets, |place, bucket| {
        bucket.clear(layout);
        let start = place.saturating_mul(step);
        let range = start..start.saturating_add(step).min(count);
        bucket.fill(block, range, state, layout, touches);
    });
}

impl Bucket {
    fn clear(&mut self, layout: Layout) {
        for lists in [&mut self.debits, &mut self.credits] {
            lists.resize_with(layout.shards(), Vec::new);
            lists.iter_mut().for_each(Vec::clear);
        }
        self.ordered.clear();
        self.fence = None;
    }

    fn fill(&mut self, block: &Block<'_>, range: std::ops::Range<usize>, state: &State, layout: Layout, touches: bool) {
        let mut cursor = Cursor::new(block);
        for position in range.filter_map(|position| u32::try_from(position).ok()) {
            let Some((prepared, run)) = cursor.at(position) else { return };
            match prepared.payment().filter(|payment| state.is_known_as_payment(payment)) {
                Some(Payment { payer, payee, .. }) => {
                    self.debits[layout.place(payer).shard].push(Entry { slot: payer, position });
                    self.credits[layout.place(payee).shard].push(Entry { slot: payee, position });
                }
                None => {
                    self.ordered.push(position);
                    let touched = |slot: Slot| {
                        if touches {
                            let position = position | TOUCHED;
                            self.debits[layout.place(slot).shard].push(Entry { slot, position });
                        }
                    };
                    if !touch(prepared, run, state, touched) && self.fence.is_none() {
                        self.fence = Some(position);
                    }
                }
            }
        }
    }
}

/// Visits the accounts that something else than a payment can touch, as far as they are there; those that aren't no payment touches.
/// `false` if nobody can say.
fn touch(prepared: &Prepared, run: &[u8], state: &State, mut touched: impl FnMut(Slot)) -> bool {
    let Some(transaction) = prepared.of(run) else { return false };
    prepared.payer().into_iter().for_each(&mut touched);
    // An account that wasn't found when this was prepared may be there by now.
    transaction.signers().filter_map(|signer| state.find(&signer)).for_each(&mut touched);
    transaction.operations().all(|(_, operation)| match operation {
        // By a grant somebody else pays, by a policy a fee account is paid.
        Operation::Transfer(transfer) => {
            state.find(&transfer.payee).into_iter().for_each(&mut touched);
            transfer.grant.is_none() && !state.has_policy(transfer.asset)
        }
        Operation::RegisterAsset(order) => !order.is_update && order.policy.0 == 0,
        _ => false,
    })
}

/// What the two phases by shard have in common.
struct Phases<'a> {
    block: &'a Block<'a>,
    layout: Layout,
    /// From here on nothing is certain.
    fence: u32,
    planted: Option<PlantedOrder>,
}

impl Phases<'_> {
    /// The debits of one shard's accounts, in order.
    fn debit(&self, number: usize, buckets: &[Bucket], certain: &[AtomicBool], shard: &mut Shard, lane: &mut Lane) {
        let time: Time = self.block.time;
        lane.begin();
        let mut cursor = Cursor::new(self.block);
        for bucket in buckets {
            let Some(entries) = bucket.debits.get(number) else { continue };
            lane.entries += entries.len();
            for (place, &Entry { slot, position }) in entries.iter().enumerate() {
                if let Some(ahead) = entries.get(place + AHEAD) {
                    shard.prefetch(self.layout.place(ahead.slot));
                }
                if position & TOUCHED != 0 {
                    lane.contended.enter(slot, position & !TOUCHED);
                    continue;
                }
                if position > self.fence || lane.contended.from(slot).is_some() {
                    lane.ordered.push(position);
                    continue;
                }
                // It was bucketed as one.
                let Some(payment) = cursor.at(position).and_then(|(prepared, _)| prepared.payment()) else { continue };
                let place = self.layout.place(slot);
                match shard.judge(place, &payment, time) {
                    Some(Judged::Covered(window, rest)) => {
                        shard.use_up(place, window);
                        shard.set_available(place, payment.asset, rest);
                        lane.changed.debited(slot, payment.asset, payment.amount);
                        // Read behind the barrier.
                        certain[position as usize].store(true, Ordering::Relaxed);
                    }
                    Some(Judged::Rejected(window, rejection)) => {
                        lane.reject(slot, position, window, rejection, |window| shard.use_up(place, window));
                    }
                    Some(Judged::Uncovered(window, rejection)) => {
                        let credits = || buckets.iter().filter_map(|bucket| bucket.credits.get(number)).flatten();
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
    fn credit(&self, number: usize, buckets: &[Bucket], certain: &[AtomicBool], shard: &mut Shard, lane: &mut Lane) {
        let defers = self.planted != Some(PlantedOrder::UndeferredCredit);
        let mut cursor = Cursor::new(self.block);
        for bucket in buckets {
            let Some(entries) = bucket.credits.get(number) else { continue };
            lane.entries += entries.len();
            for (place, &Entry { slot, position }) in entries.iter().enumerate() {
                if let Some(ahead) = entries.get(place + AHEAD) {
                    shard.prefetch(self.layout.place(ahead.slot));
                }
                if !certain[position as usize].load(Ordering::Relaxed) {
                    continue;
                }
                if defers && lane.contended.from(slot).is_some_and(|from| position > from) {
                    lane.deferred.push(position);
                    continue;
                }
                let Some(payment) = cursor.at(position).and_then(|(prepared, _)| prepared.payment()) else { continue };
                shard.credit(self.layout.place(slot), payment.asset, payment.amount);
                lane.changed.credited(slot, payment.asset, payment.amount);
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
        self.entries = 0;
    }

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
    state: &mut State,
    scratch: &mut Scratch,
    sharding: &mut Sharding,
) -> Vec<(u32, Rejection)> {
    let backwards = sharding.has(PlantedOrder::UnorderedResidual);
    let Sharding { buckets, lanes, ordered, .. } = sharding;
    let mut rejections = Vec::new();
    ordered.clear();
    ordered.extend(buckets.iter().flat_map(|bucket| &bucket.ordered).map(|&position| (position, false)));
    for lane in lanes {
        ordered.extend(lane.ordered.iter().map(|&position| (position, false)));
        ordered.extend(lane.deferred.iter().map(|&position| (position, true)));
        rejections.append(&mut lane.rejections);
        scratch.changes.take_part(&mut lane.changed);
    }
    ordered.sort_unstable();
    if backwards {
        // Lowest first is what the cursor needs, so only neighbours change places.
        let positions: Vec<(u32, bool)> = ordered.iter().rev().copied().collect();
        for &(position, is_credit) in &positions {
            step(&mut Cursor::new(block), position, is_credit, block.time, state, scratch, &mut rejections);
        }
    } else {
        let mut cursor = Cursor::new(block);
        for &(position, is_credit) in ordered.iter() {
            step(&mut cursor, position, is_credit, block.time, state, scratch, &mut rejections);
        }
    }
    rejections.sort_unstable_by_key(|&(position, _)| position);
    rejections
}

fn step(
    cursor: &mut Cursor<'_>,
    position: u32,
    is_credit: bool,
    time: Time,
    state: &mut State,
    scratch: &mut Scratch,
    rejections: &mut Vec<(u32, Rejection)>,
) {
    let Some((prepared, run)) = cursor.at(position) else { return };
    if !is_credit {
        if let Err(rejection) = execute(prepared, run, time, state, &mut scratch.changes) {
            rejections.push((position, rejection));
        }
    } else if let Some(payment) = prepared.payment() {
        state.credit(payment.payee, payment.asset, payment.amount, &mut scratch.changes);
    }
}
