//! Many payments at once: what is certain by shards side by side, what is contended in order. The result is that of the serial order.
//!
//! ```text
//! bucket ──► debit by payer's shard ──► barrier ──► credit by payee's shard ──► barrier ──► ordered, by position
//!                     │                        └──► plan by market ──► shift by owner's shard ──┘
//!                     └ an order's account pays what it may cost at most
//! ```
//!
//! # Invariants
//!
//! 1. Every transaction is either certain or ordered. Which one may depend on shards and on the process's secret, where names fall together by
//!    chance; the result doesn't.
//! 2. A certain debit is covered by the balance before the block less the account's earlier debits in the block. Credits could only
//!    have helped. Hence taking it early equals taking it in order.
//! 3. A debit that isn't covered is a certain *no* if nobody credits the account earlier in the block. Otherwise the account is
//!    contended from that position on: its outcomes depend on credits that come in between. Behind what may pay anybody everybody counts
//!    as credited.
//! 4. Whatever isn't a plain payment is ordered. Every operation says what it touches (see [`Touch`](crate::ops::Touch)): the accounts that it may
//!    take from or read the balances of, and those of its signers, are contended from its position on; those that it may pay are
//!    credited there, which may be anybody. What can't say it is a fence: nothing behind it is certain.
//! 5. Of a contended account all debits from that position on are ordered, and certain credits from there on are deferred to their
//!    position. So when a transaction is executed in order, every account it reads stands as it would in the serial order.
//! 6. A credit to an account that isn't contended commutes with all that happens to it, whichever pass makes it: its certain debits didn't
//!    need it, and nobody else reads its balance.
//! 7. What a predicate asks for that is kept and looked at later was there before the block, where it is looked up by its promise's name; or it
//!    came in the block, and is a fence if it asks for balances.
//! 8. A promise of an account alone, a hold or a grant, is a debit of what it sets aside, certain or not like any other; if it is certain the
//!    entry waits for its position, where it gets the lowest free place. That nobody has its name is seen in the table before the block and in what
//!    the account has promised in it; where somebody has, it is ordered, and its account is contended.
//! 9. A message to a book, alone in its transaction, is a debit of the most that it may take, certain or not like any other. If it is certain, the
//!    most is reserved: other debits don't find it, and nothing says that the balance has changed. What comes of it then depends on its
//!    market alone, as long as all that waits there counts: no asset has a policy, nothing is over, and whoever gets fees is there. So markets
//!    are planned side by side on the table as it was before the block, and give the reserves back.
//! 10. A market is planned up to the first that is said to it which isn't certain, or by somebody who says things elsewhere under the same name;
//!     from there on all that is said to it is ordered, and what was reserved is given back when its turn comes. What a plan opens, closes and tells waits
//!     for its position, where what is opened gets the lowest free place; what it gives to accounts and takes from them commutes like a credit, and
//!     is deferred like one.
//! 11. An account's window changes in the order of its transactions: those before it is contended in its shard, the others after them.
//!
//! # Cost
//!
//! Shards are shared out in a few portions per thread. The first phase leaves two words per payment, one for the payer's portion and one for
//! the payee's; a portion then reads its words and what was prepared, and one cache line per account. What threads have in common they only
//! read. Work halves with the second thread but for what is ordered.

#[cfg(test)]
mod letters;

use super::messages::{InOrder, Messages};
use super::phases::{Bucket, Cursor, Lane, Made, Phases, Portion};
use super::plan::{Plans, Shifted};
use super::planned::Memory;
use super::{STEPS, Scratch, apply_operations, bring_accounts, bring_entries, execute};
use crate::block::Block;
use crate::crew::{Busy, Crew, Items};
use crate::prepare::Prepared;
use crate::state::{Context, State};
use crate::transaction::OPERATIONS_MAX;
use crate::types::Rejection;
use std::sync::OnceLock;

/// When blocks go by shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// When that is likely to be quicker.
    Auto,
    /// Always, so that tests see it with any block.
    #[cfg_attr(not(any(feature = "measure", test)), expect(dead_code, reason = "only tests and benchmarks ask for it"))]
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
    /// What is ordered credits nobody.
    MissedPayment,
    /// Promises get their places in the table of entries by shard.
    PromisesByShard,
    /// What orders may take isn't reserved.
    Unreserved,
    /// Markets that have to go in order are planned.
    BlindPlans,
    /// What comes right behind what can't be planned is.
    LateCuts,
}

/// What executing by shards needs, and the next block can use again.
#[derive(Debug)]
pub(crate) struct Sharding {
    crew: Crew,
    mode: Mode,
    planted: Option<PlantedOrder>,
    buckets: Vec<Bucket>,
    /// By portion of the shards.
    lanes: Vec<Lane>,
    /// The same: how long it was worked on.
    busy: Vec<Busy>,
    /// What is left to be done in order: positions, and whether only a part is: the credit, the promise's entry, what a plan says.
    ordered: Vec<(u32, bool)>,
    /// The entries of those promises.
    made: Vec<(u32, Made)>,
    messages: Messages,
    /// By part of the markets: what they come to.
    plans: Vec<Plans>,
    /// The same: what planning them needs.
    memories: Vec<Memory>,
    outlook: Outlook,
    counts: ShardCounts,
}

/// Whether what is said to books is likely to be planned.
#[derive(Debug, Default)]
struct Outlook {
    /// For how many blocks more it is taken for granted that it can't be, since that of the last one couldn't.
    doubted: u32,
    /// For how many it was the last time.
    before: u32,
    /// Transactions of the block at hand that begin with something said to a book.
    messages: usize,
}

impl Outlook {
    /// The most blocks that are doubted.
    const DOUBTED_MAX: u32 = 15;

    /// Learns how many messages of the block were planned.
    fn learn(&mut self, planned: usize) {
        if planned.saturating_mul(2) < self.messages {
            self.before = self.before.saturating_mul(2).saturating_add(1).min(Self::DOUBTED_MAX);
            self.doubted = self.before;
        } else if self.messages > 0 {
            self.before = 0;
        }
        self.messages = 0;
    }
}

/// How blocks have gone by shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardCounts {
    pub blocks: u64,
    pub transactions: u64,
    /// What was left to be done in order: transactions, and credits that had to wait; what plans come to left out.
    pub ordered: u64,
    /// Of every block what the busiest portion of the shards had to do, times the portions there are: as many halves of payments as there
    /// would be if all had been as busy.
    pub busiest: u64,
    /// By portion of the shards: halves of payments it had, and the nanoseconds it was worked on.
    pub parts: Vec<(u64, u64)>,
}

impl Sharding {
    pub(crate) fn new(crew: Crew, mode: Mode, planted: Option<PlantedOrder>) -> Self {
        let (buckets, lanes, busy, ordered, made, counts, messages, plans, memories, outlook) = Default::default();
        Self { crew, mode, planted, buckets, lanes, busy, ordered, made, messages, plans, memories, outlook, counts }
    }

    /// Those who work side by side.
    pub(super) const fn crew(&self) -> &Crew {
        &self.crew
    }

    /// How blocks have gone since this was last asked.
    pub(super) fn take_counts(&mut self) -> ShardCounts {
        std::mem::take(&mut self.counts)
    }

    /// Whether this block is likely to be quicker by shards; `has_over` says whether anything is over and still in its place, so that no market
    /// can be planned.
    pub(super) fn suits(&mut self, block: &Block<'_>, has_over: bool) -> bool {
        let (count, threads) = (block.count as usize, self.crew.threads());
        match self.mode {
            Mode::Always => count > 0,
            Mode::Auto => {
                let mut tally = Tally { payments: count, ..Tally::default() };
                // Nobody counts where nothing would be gained if all were of one kind.
                let all_orders = Tally { messages: count, markets: u64::MAX, ..Tally::default() };
                if !tally.costs_less(threads) && !all_orders.costs_less(threads) {
                    return false;
                }
                tally.payments = 0;
                tally.are_planned = !has_over && self.outlook.doubted == 0;
                self.outlook.doubted = self.outlook.doubted.saturating_sub(1);
                block.runs.iter().flat_map(|run| run.prepared).for_each(|prepared| tally.enter(prepared));
                self.outlook.messages = tally.messages;
                tally.costs_less(threads)
            }
        }
    }
}

/// What a block consists of.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    payments: usize,
    messages: usize,
    others: usize,
    /// Markets in which orders are placed: bits by the rests of their numbers.
    markets: u64,
    /// Whether messages to books are likely to be planned.
    are_planned: bool,
}

impl Tally {
    fn enter(&mut self, prepared: &Prepared) {
        if prepared.payment().is_some() {
            self.payments += 1;
        } else if self.are_planned && prepared.is_about_orders() {
            self.messages += 1;
            self.markets |= prepared.market().map_or(0, |market| 1 << (market.0 % u64::BITS));
        } else {
            self.others += 1;
        }
    }

    /// What it costs either way, from `cargo bench -p nostro-bench --bench execute` and `--bench operations -- markets`; what counts is how they
    /// compare.
    fn costs_less(self, threads: usize) -> bool {
        /// A payment one by one, and the same by shards on one thread.
        const SERIAL_NS: usize = 30;
        const SHARDED_NS: usize = 40;
        /// A message to a book one by one; by shards what its account costs, what planning costs, and what entering the plan does, in order.
        const MESSAGE_NS: usize = 570;
        const MESSAGE_SHARDED_NS: usize = 380;
        const PLANNED_NS: usize = 270;
        const ENTERED_NS: usize = 260;
        /// What anything else costs more by shards, since it is gone through twice: in order, and side by side.
        const ORDERED_MORE_NS: usize = 90;
        const SIDE_BY_SIDE_MORE_NS: usize = 90;
        /// Until the others have woken up.
        const WAKING_NS: usize = 60_000;
        let Self { payments, messages, others, markets, .. } = self;
        if threads < 2 {
            return false;
        }
        let sum =
            |costs: [(usize, usize); 3]| costs.iter().map(|(count, each)| count.saturating_mul(*each)).sum::<usize>();
        let serial = sum([(payments, SERIAL_NS), (messages, MESSAGE_NS), (0, 0)]);
        let in_order = sum([(1, WAKING_NS), (messages, ENTERED_NS), (others, ORDERED_MORE_NS)]);
        let by_shards =
            sum([(payments, SHARDED_NS), (messages, MESSAGE_SHARDED_NS), (others, SIDE_BY_SIDE_MORE_NS)]) / threads;
        let planners = threads.min(markets.count_ones().max(1) as usize);
        let by_markets = messages.saturating_mul(PLANNED_NS) / planners;
        in_order.saturating_add(by_shards).saturating_add(by_markets) < serial
    }
}

/// Shards are cut into so many portions per thread, and blocks into so many chunks, so that none has to wait for long.
const PORTIONS: usize = 4;
const CHUNKS: usize = 8;

/// Into so many parts the markets of a block are shared out.
const MARKETS_AT_ONCE: usize = 64;

/// Transactions that one thread sorts at a time at least.
const CHUNK_MIN: usize = if cfg!(test) { 2 } else { 512 };

/// Executes a block; the rejections come in order.
pub(super) fn execute_sharded(
    block: &Block<'_>,
    state: &mut State,
    scratch: &mut Scratch,
    sharding: &mut Sharding,
) -> Vec<(u32, Rejection)> {
    let layout = state.layout();
    let (count, threads) = (block.count as usize, sharding.crew.threads());
    let Sharding {
        crew,
        planted,
        buckets: spare,
        lanes,
        busy,
        messages: spare_messages,
        plans: spare_plans,
        memories,
        counts,
        ..
    } = &mut *sharding;

    let pieces = if threads == 1 { 1 } else { threads.saturating_mul(PORTIONS).min(layout.shards()) };
    let width = layout.shards().div_ceil(pieces);
    let portions: Vec<usize> = (0..layout.shards()).map(|shard| shard / width).collect();
    let (known, shards) = state.known_and_shards();
    lanes.resize_with(shards.len().div_ceil(width), Lane::default);
    lanes.iter_mut().for_each(Lane::begin);
    busy.resize_with(lanes.len(), Busy::default);
    let uncertain: Vec<OnceLock<Vec<u32>>> = lanes.iter().map(|_| OnceLock::new()).collect();
    let shares = shards.chunks_mut(width).zip(lanes.iter_mut()).zip((0..).step_by(width));
    let mut shares: Vec<Portion<'_>> = shares.map(|((shards, lane), first)| Portion { shards, first, lane }).collect();
    let shares = Items::new(shares.iter_mut());
    spare_plans.resize_with(MARKETS_AT_ONCE, Plans::default);
    memories.resize_with(MARKETS_AT_ONCE, Memory::default);
    let memories = Items::new(memories.iter_mut());
    let messages: OnceLock<Messages> = OnceLock::new();
    let plans: Vec<OnceLock<Plans>> = spare_plans.iter().map(|_| OnceLock::new()).collect();
    let (spare_messages, spare_plans) =
        (Items::new(std::iter::once(spare_messages)), Items::new(spare_plans.iter_mut()));

    let pieces = if threads == 1 { 1 } else { threads.saturating_mul(CHUNKS) };
    let step = count.div_ceil(pieces).max(CHUNK_MIN);
    let chunks = count.div_ceil(step);
    spare.resize_with(chunks.max(spare.len()), Bucket::default);
    let buckets: Vec<OnceLock<Bucket>> = (0..chunks).map(|_| OnceLock::new()).collect();
    let spare = Items::new(spare.iter_mut());

    let phases = Phases {
        block,
        layout,
        planted: *planted,
        can_promise: !known.has_over(block.time)
            && known.has_room(u64::from(block.count).saturating_mul(OPERATIONS_MAX.into())),
        known,
        portions: &portions,
        buckets: &buckets,
        uncertain: &uncertain,
    };
    // No position lies above the block's count.
    let position = |place: usize| u32::try_from(place.min(count)).unwrap_or(block.count);
    let fill = |place: usize| {
        let mut bucket = std::mem::take(&mut **spare.at(place));
        let start = place.saturating_mul(step);
        phases.fill(&mut bucket, position(start)..position(start.saturating_add(step)));
        // Nobody else fills this one.
        let _ = buckets[place].set(bucket);
    };
    let debit = |number: usize| busy[number].count(|| phases.debit(number, &mut shares.at(number)));
    let credit = |number: usize| busy[number].count(|| phases.credit(number, &mut shares.at(number)));
    let sort = |_: usize| {
        let mut sorted = std::mem::take(&mut **spare_messages.at(0));
        let mut odd = InOrder::default();
        if !phases.has(PlantedOrder::BlindPlans) {
            let mut said = |slot, id, tag| {
                let lane = &shares.at(phases.portion(slot)).lane;
                lane.said.of((slot, id), tag).map(|place| place.market)
            };
            let others = buckets.iter().filter_map(OnceLock::get);
            others.for_each(|bucket| odd.add(&bucket.in_order, &mut said));
        }
        for number in 0..uncertain.len() {
            let lane = &mut shares.at(number).lane;
            sorted.take(&mut lane.messages);
            if !phases.has(PlantedOrder::BlindPlans) {
                odd.add(&lane.in_order, |_, _, _| None);
            }
        }
        sorted.sort(block.count, odd, phases.has(PlantedOrder::LateCuts));
        // Nobody else sorts them.
        let _ = messages.set(sorted);
    };
    let plan = |place: usize| {
        let mut own = std::mem::take(&mut **spare_plans.at(place));
        if let Some(messages) = messages.get() {
            messages.plan(&phases, (&mut own, &mut memories.at(place)), (place, MARKETS_AT_ONCE));
        }
        // Nobody else plans these.
        let _ = plans[place].set(own);
    };
    // Markets first: each takes longer than a portion's credits.
    let plan_or_credit = |place: usize| match place.checked_sub(MARKETS_AT_ONCE) {
        None => plan(place),
        Some(number) => credit(number),
    };
    let settle = |number: usize| {
        let plans = plans.iter().filter_map(OnceLock::get);
        let work = |messages: &Messages| messages.settle(&phases, (number, &mut shares.at(number)), plans);
        busy[number].count(|| messages.get().filter(|messages| messages.len() > 0).map_or((), work));
    };
    let portions = uncertain.len();
    let (fill, debit, sort) = ((chunks, &fill as _), (portions, &debit as _), (1, &sort as _));
    let (last, settle) = ((MARKETS_AT_ONCE + portions, &plan_or_credit as _), (portions, &settle as _));
    if phases.has(PlantedOrder::CreditBeforeBarrier) {
        crew.work(&[fill, (portions, &credit as _), debit, sort, (MARKETS_AT_ONCE, &plan as _), settle]);
    } else {
        // A phase begins when the one before it has ended: all debits are decided before a credit is given.
        crew.work(&[fill, debit, sort, last, settle]);
    }
    counts.blocks += 1;
    counts.transactions += u64::from(block.count);
    counts.parts.resize(uncertain.len(), (0, 0));
    let mut busiest = 0;
    for (number, (part, busy)) in counts.parts.iter_mut().zip(busy).enumerate() {
        let halves = phases.halves(number);
        busiest = halves.max(busiest);
        *part = (part.0 + halves as u64, part.1.saturating_add(busy.take()));
    }
    counts.busiest += (busiest * uncertain.len()) as u64;
    for (place, bucket) in buckets.into_iter().enumerate() {
        **spare.at(place) = bucket.into_inner().unwrap_or_default();
    }
    for (place, own) in plans.into_iter().enumerate() {
        **spare_plans.at(place) = own.into_inner().unwrap_or_default();
    }
    drop((shares, spare_messages, spare_plans));
    let messages = messages.into_inner().unwrap_or_default();
    finish(block, (chunks, messages), state, scratch, sharding)
}

/// What is left is done in order; everything that was found out is put together.
fn finish(
    block: &Block<'_>,
    (chunks, mut messages): (usize, Messages),
    state: &mut State,
    scratch: &mut Scratch,
    sharding: &mut Sharding,
) -> Vec<(u32, Rejection)> {
    let Sharding { planted, buckets, lanes, ordered, made, messages: kept, plans, outlook, counts, .. } = sharding;
    let (mut rejections, mut shifted) = (Vec::new(), Vec::new());
    ordered.clear();
    let unlike = buckets.iter().take(chunks).flat_map(|bucket| &bucket.ordered);
    ordered.extend(unlike.map(|&position| (position, false)));
    for lane in lanes.iter_mut() {
        ordered.extend(lane.ordered.iter().map(|&position| (position, false)));
        ordered.extend(lane.deferred.iter().map(|&position| (position, true)));
        ordered.extend(lane.made.iter().map(|&(position, _)| (position, true)));
        made.append(&mut lane.made);
        shifted.append(&mut lane.shifted);
        rejections.append(&mut lane.rejections);
        scratch.changes.take_flows(&mut lane.flows);
    }
    ordered.extend((0..messages.len()).filter_map(|turn| Some((messages.get(turn)?.0.position, true))));
    // These lists consist of a few parts in order, which this sort makes use of.
    ordered.sort();
    if *planted != Some(PlantedOrder::PromisesByShard) {
        made.sort_by_key(|&(position, _)| position);
    }
    let is_backwards = *planted == Some(PlantedOrder::UnorderedResidual);
    if is_backwards {
        ordered.reverse();
        made.reverse();
    }
    let mut made = made.drain(..);
    let mut plans: Vec<_> = plans.iter_mut().flat_map(Plans::iter_mut).collect();
    plans.sort_unstable_by_key(|plan| plan.number());
    let mut turn = 0_usize;
    shifted.sort_by_key(|shifted: &Shifted| shifted.position);
    let mut shifted = shifted.into_iter().peekable();
    outlook.learn(messages.planned());
    counts.ordered += ordered.len().saturating_sub(messages.planned()) as u64;
    let mut cursor = Cursor::new(block);
    let mut ahead = STEPS.map(|step| {
        let rest = ordered.get(step..).unwrap_or_default();
        let turn = rest.first().map_or(0, |&(position, _)| messages.before(position));
        (rest.iter(), Cursor::new(block), turn)
    });
    for &(position, is_rest) in ordered.iter() {
        if is_backwards {
            cursor = Cursor::new(block);
        } else {
            let ahead = ahead.each_mut().map(|(rest, cursor, turn)| {
                let &(position, _) = rest.next()?;
                let message = messages.get(*turn).filter(|(message, _)| message.position == position);
                *turn += usize::from(message.is_some());
                // Of what is planned it is known where it is, and only entries are left.
                let is_planned = message.is_some_and(|(_, plan)| plan.is_some());
                cursor.at(position).filter(|_| !is_planned)
            });
            ahead[0].into_iter().for_each(|(ahead, run)| bring_accounts(ahead, run, state));
            bring_entries(ahead, state);
            for (ahead, is_place_at_hand) in [(8, false), (4, true)] {
                if let Some((ahead, Some(_))) = messages.get(turn.saturating_add(ahead)) {
                    let (named, owner) = (ahead.named, (ahead.market, ahead.slot));
                    state.prefetch_planned(named.tag, owner, named.found, is_place_at_hand);
                }
            }
        }
        let Some((prepared, run)) = cursor.at(position) else { continue };
        if !is_rest {
            scratch.changes.go_to(Some(position));
            if let Err(rejection) = execute(prepared, run, block.time, state, &mut scratch.changes) {
                rejections.push((position, rejection));
            }
        } else if let Some(payment) = prepared.payment() {
            state.credit(&payment, &mut scratch.changes);
        } else if let Some((message, plan)) = messages.get(turn).filter(|(message, _)| message.position == position) {
            turn += 1;
            scratch.changes.go_to(Some(position));
            let done = match (plan.and_then(|number| plans.get_mut(number as usize)), prepared.of(run)) {
                (Some(plan), _) => {
                    let mut context = Context::new(state, &mut scratch.changes, false);
                    while let Some(Shifted { slot, asset, shift, .. }) = shifted.next_if(|own| own.position == position)
                    {
                        context.shift_balance(slot, asset, shift);
                    }
                    plan.enter(&mut context)
                }
                (None, Some(transaction)) => {
                    let (asset, reserved) = message.reserved;
                    state.give_reserve_back(message.slot, asset, reserved);
                    let by = (&transaction, message.slot, 0);
                    apply_operations(prepared, run, by, block.time, state, &mut scratch.changes)
                }
                (None, None) => Ok(()),
            };
            rejections.extend(done.err().map(|rejection| (position, rejection)));
        } else if let Some((_, made)) = made.next() {
            made.enter(&mut Context::new(state, &mut scratch.changes, false));
        }
    }
    for (lane, memory) in lanes.iter_mut().zip(messages.give_back()) {
        lane.messages = memory;
    }
    *kept = messages;
    rejections.sort_by_key(|&(position, _)| position);
    rejections
}
