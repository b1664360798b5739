//! The path of a transaction: admit, verify, assemble, settle, seal, append, sync, release.
//!
//! ```text
//! callers ──► [intake] ──► verify thread ──► rayon pool ──► execute thread ──► commit thread ──► callers
//!  decode     batches      chunks what         verifies      assembles a         seals a group,
//!  admit      in order     is ready            chunks        block, settles      syncs once, releases
//! ```
//!
//! # Rules
//!
//! 1. Order is the order of admission. Chunks are verified side by side and taken in the order they were cut: the execute
//!    thread waits for the oldest, whichever is done first.
//! 2. Every stage takes whatever is ready, so that blocks are small and quick when little is going on and large when much is.
//! 3. Every queue is bounded: the intake by the budget of what is admitted and not yet durable, the others by their length.
//! 4. Nothing blocks inside the pool: a task computes and puts its result into a place that is kept for it.
//! 5. When a thread ends, its outgoing channel closes, and what still comes in is dropped: that tells its submitter why.

use crate::block::Block;
use crate::boundary::{Request, Tip};
use crate::checkpoint::{Command, Keeper};
use crate::clock;
use crate::commit::{Committer, Executed, Part, rejection_bytes_max};
use crate::completion::Budget;
use crate::config::EngineConfig;
use crate::crew::Crew;
use crate::error::{Stop, StopError};
use crate::execute::{Effects, Mode, Scratch, ShardCounts, Sharding, settle};
use crate::follow::FollowIndex;
use crate::intake::Batch;
use crate::log::Storage;
use crate::prepare::{PreparedBatch, prepare};
use crate::priority;
use crate::receipts::ReceiptIndex;
use crate::roots::{self, Job, RootBoard, RootsBeside};
use crate::state::{ORDERS_MET_MAX, Resolver, SWEEP_EVENTS_MAX, State};
use crate::stats::{Stage, Stats};
use crate::transaction::TransactionRef;
use crate::types::{EVENT_BYTES, RootInterval, Time};
use crate::verify::{SignatureCheck, Verified};
use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded, never, select};
use parking_lot::RwLock;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Signatures verified together by one task: enough for the merged batch to be near its best.
const CHUNK_SIGNATURES: usize = 4096;

/// When less is waiting than would fill a chunk per thread, it is shared among the threads in pieces no smaller than this.
const SHARE_SIGNATURES: usize = 32;

/// Below this a chunk is verified at once by the verify thread: waking another would take longer.
const INLINE_SIGNATURES: usize = 8;

/// Blocks executed and not yet taken by the commit thread.
const EXECUTED_BLOCKS: usize = 2;

/// A batch ready to be executed.
type Ready = (Verified, PreparedBatch);

/// A chunk in the making: its batches will be put here, once.
type Chunk = Receiver<Vec<Ready>>;

/// The newest means to find accounts, given by the execute thread. An older one would do, and find less.
type SharedResolver = Arc<RwLock<Arc<Resolver>>>;

/// What the threads have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub stop: Arc<Stop>,
    pub budget: Arc<Budget>,
    pub stats: Arc<Stats>,
}

/// Everything the threads start with.
pub(crate) struct Start<S: Storage> {
    pub check: SignatureCheck,
    pub state: State,
    pub tip: Tip,
    pub committer: Committer<S>,
    pub intake: Receiver<Batch>,
    pub snapshots: Receiver<Request>,
    pub scratch: Scratch,
    /// The roots of what was executed again; the last may still be in the making.
    pub before: RootsBeside,
    pub roots: Arc<RootBoard>,
    pub receipts: Arc<ReceiptIndex<S>>,
    pub follow: Arc<FollowIndex<S>>,
    pub keeper: Keeper<S>,
    pub commands: Receiver<Command>,
    /// Memory of effects that were hashed.
    pub spare: Receiver<Effects>,
}

/// Starts the threads. They end, one after the other, when the intake closes.
pub(crate) fn start<S: Storage>(
    start: Start<S>,
    config: &EngineConfig,
    common: &Arc<Common>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let threads = config.verify_threads();
    let panicked = common.clone();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("nostro-verify-{n}"))
        // The chunk's place is dropped by the panic, which ends the execute thread and then the others.
        .panic_handler(move |panic| {
            panicked.stop.set(StopError::Panicked(format!("verify: {}", panic_text(&*panic)).into()));
        })
        .build();
    let pool = pool.map_err(io::Error::other)?;
    // One chunk being verified per thread, one waiting, and one being taken.
    let (chunks_in, chunks_out) = bounded(threads.saturating_mul(2).saturating_add(1));
    let (blocks_in, blocks_out) = bounded(EXECUTED_BLOCKS);
    let Start {
        check,
        state,
        tip,
        scratch,
        before,
        committer,
        intake,
        snapshots,
        roots,
        receipts,
        follow,
        keeper,
        commands,
        spare,
    } = start;
    let resolver: SharedResolver = Arc::new(RwLock::new(Arc::new(state.resolver())));
    let verifying = Verifying { check: Arc::new(check), pool, resolver: resolver.clone(), common: common.clone() };
    let limits = BlockLimits {
        transactions: config.block_transactions_max,
        bytes: config.block_bytes_max,
        events: (committer.log.body_bytes_max() as usize)
            .saturating_sub(config.block_bytes_max)
            .saturating_sub(SWEEP_EVENTS_MAX * EVENT_BYTES),
    };
    // One root being made, and one waiting.
    let (jobs_in, jobs_out) = bounded(1);
    let (proofs, stats) = (config.balance_proofs, common.stats.clone());
    let published = state.resolver_generation();
    let sharding = Sharding::new(Crew::new(config.crew_threads())?, Mode::Auto, None);
    let scratch = scratch.with_sharding(sharding);
    let executing = ExecuteThread {
        state,
        tip,
        limits,
        scratch,
        spare,
        resolver,
        published,
        roots: jobs_in,
        board: roots.clone(),
        interval: roots.interval(),
        proofs,
        common: common.clone(),
    };
    let closing = keeper.closing.clone();
    // A bounded channel keeps what is in it until its last sender goes, which may be when the engine is closed.
    let (chunks_late, blocks_late, commands_late) = (chunks_out.clone(), blocks_out.clone(), commands.clone());
    let execute = move || executing.run(&chunks_out, snapshots, &blocks_in);
    let commit_stats = common.stats.clone();
    let commit = move || {
        commit_stats.record_priority(priority::raise());
        committer.run(&blocks_out);
    };
    let checkpoint = move || keeper.run(&commands);
    let root = move || {
        roots::run(before.finish(), &jobs_out, &roots, &stats);
        roots.close();
    };
    let mut running = vec![
        // The intake's channel isn't bounded, and drops what is in it with its receiver.
        spawn("nostro-verify", common, move || verifying.run(&intake, &chunks_in), || ())?,
        spawn("nostro-execute", common, execute, move || chunks_late.iter().for_each(drop))?,
        spawn("nostro-commit", common, commit, move || blocks_late.iter().for_each(drop))?,
        // Nobody waits on what is in its channel.
        spawn("nostro-root", common, root, || ())?,
        spawn("nostro-checkpoint", common, checkpoint, move || commands_late.iter().for_each(drop))?,
    ];
    if config.receipt_index {
        let closing = closing.clone();
        running.push(spawn("nostro-receipts", common, move || receipts.run(&closing), || ())?);
    }
    if config.follow_index {
        running.push(spawn("nostro-follow", common, move || follow.run(&closing), || ())?);
    }
    Ok(running)
}

/// Runs a thread whose panic stops the engine. `after` drops what comes in when `run` has ended, however it has.
fn spawn(
    name: &str,
    common: &Arc<Common>,
    run: impl FnOnce() + Send + 'static,
    after: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (common, own_name) = (common.clone(), name.to_owned());
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // What the thread owned is dropped by the panic, and never looked at again.
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            common.stop.set(StopError::Panicked(format!("{own_name}: {}", panic_text(&*panic)).into()));
        }
        common.budget.wake_all();
        after();
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

struct Verifying {
    check: Arc<SignatureCheck>,
    pool: rayon::ThreadPool,
    resolver: SharedResolver,
    common: Arc<Common>,
}

impl Verifying {
    fn run(&self, intake: &Receiver<Batch>, chunks: &Sender<Chunk>) {
        let threads = self.pool.current_num_threads();
        let enough = CHUNK_SIGNATURES.saturating_mul(threads);
        while let Ok(first) = intake.recv() {
            let mut count = first.signatures as usize;
            let mut batches = vec![first];
            while count < enough
                && let Ok(next) = intake.try_recv()
            {
                count = count.saturating_add(next.signatures as usize);
                batches.push(next);
            }
            let pieces = count.div_ceil(CHUNK_SIGNATURES).max((count / SHARE_SIGNATURES).min(threads)).max(1);
            for chunk in cut_evenly(batches, count.div_ceil(pieces)) {
                if chunks.send(self.start(chunk)).is_err() {
                    return;
                }
            }
        }
    }

    /// Has a chunk verified, by the pool or, if it is short, at once.
    fn start(&self, batches: Vec<Batch>) -> Chunk {
        let (place, chunk) = bounded(1);
        let (check, resolver, common) = (self.check.clone(), self.resolver.clone(), self.common.clone());
        let signatures: usize = batches.iter().map(|batch| batch.signatures as usize).sum();
        let work = move || {
            let meter = common.stats.meter();
            let count = batches.iter().map(|batch| batch.count as usize).sum();
            let ready = prepare_all(&resolver, check.verify(batches));
            common.stats.record(Stage::Verify, meter, count);
            // Nobody waits for it any more if the engine stopped.
            let _ = place.send(ready);
        };
        if signatures <= INLINE_SIGNATURES {
            work();
        } else {
            self.pool.spawn(work);
        }
        chunk
    }
}

/// Finds out of verified batches what can be known before their blocks.
fn prepare_all(resolver: &SharedResolver, batches: Vec<Verified>) -> Vec<Ready> {
    let resolver = resolver.read().clone();
    let prepared = |verified: Verified| {
        let mut prepared = PreparedBatch::with_capacity(verified.ids.len());
        prepare(&resolver, &verified.bytes, &mut prepared);
        (verified, prepared)
    };
    batches.into_iter().map(prepared).collect()
}

/// Cuts batches into runs of at least `count` signatures each, but for the last.
fn cut_evenly(batches: Vec<Batch>, count: usize) -> impl Iterator<Item = Vec<Batch>> {
    let mut batches = batches.into_iter();
    std::iter::from_fn(move || {
        let mut taken = 0;
        let mut run = Vec::new();
        while taken < count
            && let Some(batch) = batches.next()
        {
            taken += batch.signatures as usize;
            run.push(batch);
        }
        (!run.is_empty()).then_some(run)
    })
}

#[derive(Clone, Copy)]
struct BlockLimits {
    transactions: usize,
    bytes: usize,
    /// Bytes of events, which stand between the transactions and the rejections.
    events: usize,
}

/// Bytes of events that a byte of a transaction brings about at most: 136 bytes take all orders of a market back, an order of 184 ends one of its
/// own, meets as many others, and pays three fees.
const EVENTS_PER_BYTE: usize = 17;
const _: () = assert!(ORDERS_MET_MAX * EVENT_BYTES <= 136 * EVENTS_PER_BYTE);
const _: () = assert!((ORDERS_MET_MAX + 4) * EVENT_BYTES <= 184 * EVENTS_PER_BYTE);

struct ExecuteThread {
    state: State,
    tip: Tip,
    limits: BlockLimits,
    scratch: Scratch,
    spare: Receiver<Effects>,
    resolver: SharedResolver,
    /// What was known when the resolver was made that the others have.
    published: u64,
    /// Where states go whose root is to be made.
    roots: Sender<Job>,
    /// Where they are put.
    board: Arc<RootBoard>,
    /// How often that is.
    interval: RootInterval,
    /// Whether balances are to be proved.
    proofs: bool,
    common: Arc<Common>,
}

impl ExecuteThread {
    fn run(mut self, chunks: &Receiver<Chunk>, mut snapshots: Receiver<Request>, blocks: &Sender<Executed>) {
        let (no_chunk, no_chunks) = (never(), never());
        let mut ready: VecDeque<Part> = VecDeque::new();
        let mut ready_transactions = 0_usize;
        let mut oldest: Option<Chunk> = None;
        loop {
            while ready_transactions < self.limits.transactions
                && let Some(chunk) = oldest.take().or_else(|| chunks.try_recv().ok())
            {
                match chunk.try_recv() {
                    Ok(batches) => ready_transactions += take(batches, &mut ready),
                    Err(TryRecvError::Empty) => {
                        oldest = Some(chunk);
                        break;
                    }
                    // It got lost, so the engine is stopping.
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            snapshots.try_iter().for_each(|request| self.answer(request));
            if !ready.is_empty() {
                let executed = self.execute(&mut ready);
                ready_transactions -= executed.count as usize;
                if blocks.send(executed).is_err() {
                    return;
                }
                continue;
            }
            // Nothing is verified: wait for the oldest chunk, or for the first there will be.
            let (chunk, more) = match &oldest {
                Some(chunk) => (chunk, &no_chunks),
                None => (&no_chunk, chunks),
            };
            select! {
                recv(chunk) -> batches => match batches {
                    Ok(batches) => {
                        ready_transactions += take(batches, &mut ready);
                        oldest = None;
                    }
                    Err(_) => return,
                },
                recv(more) -> chunk => match chunk {
                    Ok(chunk) => oldest = Some(chunk),
                    Err(_) => return,
                },
                recv(snapshots) -> request => match request {
                    Ok(request) => self.answer(request),
                    Err(_) => snapshots = never(),
                },
            }
        }
    }

    /// Assembles the next block of what is ready and settles it.
    fn execute(&mut self, ready: &mut VecDeque<Part>) -> Executed {
        let meter = self.common.stats.meter();
        let asked = ready.front().and_then(|part| part.verified.time);
        let parts = take_block(ready, asked, self.limits);
        let count: u32 = parts.iter().map(|part| part.count).sum();
        let time = asked.unwrap_or_else(clock::now).max(self.tip.time);
        let (height, first) = (self.tip.height.next(), self.tip.transactions);
        let block = Block::assemble(time, count, parts.iter().map(Part::run).collect());
        self.spare.try_iter().for_each(|effects| self.scratch.reuse(effects));
        let settled = settle(&block, &mut self.state, &mut self.scratch);
        if self.published != self.state.resolver_generation() {
            self.published = self.state.resolver_generation();
            *self.resolver.write() = Arc::new(self.state.resolver());
        }
        self.tip = Tip { height, time, transactions: first.saturating_add(u64::from(count)) };
        if self.interval.is_due(height) {
            let snapshot = self.proofs.then(|| self.state.share_without_books());
            if let Some(leaves) = self.board.take_spare() {
                self.scratch.reuse_leaves(leaves);
            }
            let changed = self.scratch.take_changed(&mut self.state);
            // Nobody takes it any more if the engine is stopping, which the commit thread tells.
            let _ = self.roots.send(Job { height, changed, snapshot });
        }
        let ShardCounts { blocks, transactions, ordered, busiest, parts: portions } = self.scratch.take_shard_counts();
        self.common.stats.record_shards([blocks, transactions, ordered, busiest], &portions);
        self.common.stats.record(Stage::Execute, meter, count as usize);
        Executed { height, time, first, count, parts, settled }
    }

    fn answer(&mut self, request: Request) {
        // Nobody waits for it any more if this fails.
        let _ = match request {
            Request::Snapshot(answer) => answer.send(self.tip.with(self.state.share())).is_ok(),
            Request::Records(answer) => answer.send(self.tip.with(self.state.share_records())).is_ok(),
        };
    }
}

/// All of a verified batch.
fn whole((verified, prepared): Ready) -> Part {
    let (bytes, count) = (0..verified.bytes.len(), u32::try_from(verified.ids.len()).unwrap_or(u32::MAX));
    Part { verified: Arc::new(verified), prepared: Arc::new(prepared), bytes, start: 0, count }
}

/// Puts verified batches behind what is ready; gives the number of their transactions.
fn take(batches: Vec<Ready>, ready: &mut VecDeque<Part>) -> usize {
    let before = ready.len();
    ready.extend(batches.into_iter().map(whole));
    ready.range(before..).map(|part| part.count as usize).sum()
}

/// Takes the parts of the next block: transactions in order, of one asked time, within the limits; at least one.
fn take_block(ready: &mut VecDeque<Part>, asked: Option<Time>, limits: BlockLimits) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut room = Some(limits);
    while let Some(left) = room
        && let Some(part) = ready.pop_front_if(|part| part.verified.time == asked)
    {
        let (own, rest, after) = split(part, left, parts.is_empty());
        parts.extend(own);
        room = after;
        if let Some(rest) = rest {
            ready.push_front(rest);
            room = None;
        }
    }
    parts
}

/// What of a part fits, what is left of it, and what room is left.
fn split(part: Part, room: BlockLimits, is_first: bool) -> (Option<Part>, Option<Part>, Option<BlockLimits>) {
    let needs = |bytes: usize, count: usize| bytes.saturating_add(rejection_bytes_max(count));
    let events = part.bytes.len().saturating_mul(EVENTS_PER_BYTE);
    let fits = part.count as usize <= room.transactions && events <= room.events;
    if fits && needs(part.bytes.len(), part.count as usize) <= room.bytes {
        let transactions = room.transactions - part.count as usize;
        let bytes = room.bytes - needs(part.bytes.len(), part.count as usize);
        let left = BlockLimits { transactions, bytes, events: room.events - events };
        let left = (transactions > 0).then_some(left);
        return (Some(part), None, left);
    }
    let (mut bytes, mut count, mut events) = (0, 0_u32, 0_usize);
    let mut rest = part.bytes();
    while let Some((transaction, after)) = TransactionRef::next_checked(rest) {
        let more = transaction.events_max().saturating_mul(EVENT_BYTES);
        let fits = (count as usize) < room.transactions
            && events.saturating_add(more) <= room.events
            && needs(bytes + transaction.bytes().len(), count as usize + 1) <= room.bytes;
        let must = is_first && count == 0;
        if !(fits || must) {
            break;
        }
        bytes += transaction.bytes().len();
        count += 1;
        events += more;
        rest = after;
    }
    let middle = part.bytes.start + bytes;
    let (verified, prepared) = (part.verified.clone(), part.prepared.clone());
    let own = Part { verified, prepared, bytes: part.bytes.start..middle, start: part.start, count };
    let left = Part { bytes: middle..part.bytes.end, start: part.start + count, count: part.count - count, ..part };
    ((own.count > 0).then_some(own), (left.count > 0).then_some(left), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::{Completion, Delivery, Room};

    #[test]
    fn no_transaction_brings_more_events_than_its_bytes_say() {
        use crate::keys::Signature;
        use crate::ops::{Amend, Hold, Operation, PlaceOrder, Settle, Transfer};
        use crate::state::Share;
        use crate::types::{Address, Amount, MarketId};
        let (own, other) = (Address([65; 32]), Address([66; 32]));
        let payees = vec![Share { payee: other, parts: 1 }];
        let orders: [Operation; 6] = [
            Amend::CancelAll(MarketId(0)).into(),
            Amend::Cancel(vec![1]).into(),
            PlaceOrder { price: 1, quantity: 1, ..PlaceOrder::default() }.into(),
            Settle { owner: other, ..Settle::default() }.into(),
            Hold { amount: Amount(1), payees, ..Hold::default() }.into(),
            Transfer { payee: other, amount: Amount(1), ..Transfer::default() }.into(),
        ];
        for order in orders {
            for count in [1, 2, 10] {
                let builder = crate::Transaction::builder(own);
                let builder = (0..count).fold(builder, |builder, _| builder.operation(own, order.clone()));
                let transaction = builder.build().unwrap().with_signatures(&[Signature([0; 64])]).unwrap();
                let (most, bytes) = (transaction.as_ref().events_max(), transaction.bytes().len());
                assert!(most * EVENT_BYTES <= bytes * EVENTS_PER_BYTE, "{most} events of {bytes} bytes: {order:?}");
            }
        }
    }

    #[test]
    fn a_thread_that_panics_stops_the_engine_and_leaves_nobody_waiting() {
        let room = Room { transactions: 1, bytes: 10 };
        let (stop, budget) = (Arc::new(Stop::default()), Arc::new(Budget::new(room)));
        let common = Arc::new(Common { stop: stop.clone(), budget: budget.clone(), stats: Arc::default() });
        assert!(budget.try_take(room));
        let completion = Completion::new(1);
        let delivery = Delivery::new(completion.clone(), budget.clone(), stop.clone(), room);
        let waiting = std::thread::spawn({
            let (budget, stop) = (budget.clone(), stop.clone());
            // More than there will ever be, so that only the stop ends it.
            move || budget.take(Room { transactions: 2, bytes: 10 }, &stop)
        });
        let run = move || {
            let _delivery = delivery;
            panic!("on purpose");
        };
        spawn("nostro-test", &common, run, || ()).unwrap().join().unwrap();
        assert_eq!(stop.cause(), Some(&StopError::Panicked("nostro-test: on purpose".into())));
        assert_eq!(completion.wait(None).unwrap().unwrap_err(), StopError::Panicked("nostro-test".into()));
        assert!(!waiting.join().unwrap());
        assert_eq!(budget.used().transactions, 0);
    }
}
