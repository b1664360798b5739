//! What happens to a block, live or on replay: the one function [`settle`].
//!
//! # Rules
//!
//! 1. Transactions apply one after the other in the block's order; the result is a function of the state and the block alone.
//! 2. The account of a transaction comes into being if it hasn't, whatever becomes of the transaction, since its replay window
//!    must be kept.
//! 3. Reasons to reject are met in this order: not signed by whom it takes, which leaves no trace at all; expired, sequence used, then operation by operation. A fresh sequence is used up
//!    even when the transaction is rejected.
//! 4. A rejected transaction changes nothing else.
//! 5. Before the first transaction at a new time, what is over by then is taken out of the table of entries, up to a bound.
//!
//! A block of many payments goes by shards on several threads where that is quicker (see `sharded`); all else goes one by one. The
//! result is the same, so the choice is free at every block.
//!
//! # Cost
//!
//! Where accounts are was found out before, on all cores (see `prepare`). What is left of a plain payment is one cache line of each
//! account, brought closer three dozen payments ahead.

mod effects;
mod firsts;
#[cfg(test)]
mod full;
#[cfg(feature = "measure")]
pub(crate) mod measure;
mod messages;
mod phases;
mod plan;
mod planned;
mod sharded;
mod touching;
mod unrooted;

pub(crate) use effects::Effects;
#[cfg(feature = "measure")]
pub use sharded::PlantedOrder;
pub(crate) use sharded::{Mode, ShardCounts, Sharding};

use crate::block::Block;
use crate::ops::{Class, EncodedOperation, Source};
use crate::prepare::{Prepared, PreparedRun};
use crate::roots::Changed;
use crate::state::{Changes, Context, Leaves, Scene, Slot, State, prefetch, sweep};
use crate::transaction::TransactionRef;
use crate::types::{Address, Digest, Rejection, RejectionCode, RootInterval, Time};
use sharded::execute_sharded;
use unrooted::Unrooted;

/// Transactions whose accounts are brought closer ahead of the one that is executed.
const AHEAD: usize = 32;
/// The same for the steps in which entries are.
const STEPS: [usize; 3] = [AHEAD, AHEAD / 4 * 3, AHEAD / 2];

/// Parties of a transaction that are brought closer before it; those behind them while it is executed.
const PARTIES_AHEAD: usize = 8;

/// The same of balances in side tables.
const BALANCES_AHEAD: usize = AHEAD / 4 * 3;

/// What a block did to a state: proof that it was executed.
#[derive(Debug)]
pub(crate) struct Settled {
    pub count: u32,
    /// Rejections by position, ascending.
    pub rejections: Vec<(u32, Rejection)>,
    pub effects: Effects,
}

impl Settled {
    /// BLAKE3 over what became of the transactions.
    pub(crate) fn outcomes(&self) -> Digest {
        outcomes_digest(self.count, &self.rejections)
    }
}

/// Memory that executing a block needs and that the next one can use again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    changes: Changes,
    /// Memory of effects that were hashed.
    spare: Vec<Effects>,
    /// Changed accounts in order.
    slots: Vec<Slot>,
    /// Changed entries in order.
    numbers: Vec<u32>,
    /// What has changed since the last state root.
    unrooted: Unrooted,
    /// How blocks go by shards, if any does.
    sharding: Option<Box<Sharding>>,
}

impl Scratch {
    /// Lets blocks go by shards.
    pub(crate) fn with_sharding(self, sharding: Sharding) -> Self {
        Self { sharding: Some(Box::new(sharding)), ..self }
    }

    /// Collects what state roots of this interval need.
    pub(crate) fn rooting(interval: RootInterval) -> Self {
        Self { unrooted: Unrooted::new(interval), ..Self::default() }
    }

    /// What has changed since this was last asked.
    pub(crate) fn take_changed(&mut self, state: &mut State) -> Changed {
        self.unrooted.take(state)
    }

    /// Takes memory of leaves back.
    pub(crate) fn reuse_leaves(&mut self, leaves: Leaves) {
        self.unrooted.reuse(leaves);
    }

    /// How blocks have gone by shards since this was last asked.
    pub(crate) fn take_shard_counts(&mut self) -> ShardCounts {
        self.sharding.as_mut().map(|sharding| sharding.take_counts()).unwrap_or_default()
    }

    /// Takes memory back.
    pub(crate) fn reuse(&mut self, effects: Effects) {
        self.spare.push(effects);
    }
}

/// Executes a block on a state.
///
/// # Panics
/// If money was made or lost: that is a bug, and going on would make it permanent.
pub(crate) fn settle(block: &Block<'_>, state: &mut State, scratch: &mut Scratch) -> Settled {
    settle_again(block, state, scratch, None)
}

/// The same for a block of which this digest of its effects was recorded: they are said in the way in which they were.
pub(crate) fn settle_again(
    block: &Block<'_>,
    state: &mut State,
    scratch: &mut Scratch,
    recorded: Option<&Digest>,
) -> Settled {
    let rejections = execute_all(block, state, scratch);
    Settled { count: block.count, rejections, effects: Effects::take(state, scratch, recorded) }
}

/// Executes the transactions of a block; what has changed is left in the scratch.
fn execute_all(block: &Block<'_>, state: &mut State, scratch: &mut Scratch) -> Vec<(u32, Rejection)> {
    if state.pass_time(block.time) {
        scratch.changes.go_to(None);
        let mut context = Context::new(state, &mut scratch.changes, false);
        context.within(Scene { time: block.time, ..Scene::default() });
        sweep(&mut context);
    }
    let listed: usize = block.runs.iter().map(|run| run.prepared.len()).sum();
    assert_eq!(listed, block.count as usize, "a block executes as many transactions as it counts");
    let rejections = match scratch.sharding.take() {
        Some(mut sharding) => {
            let suits = sharding.suits(block, state.has_over(block.time));
            let rejections = if suits {
                execute_sharded(block, state, scratch, &mut sharding)
            } else {
                execute_in_order(block, state, scratch)
            };
            scratch.sharding = Some(sharding);
            rejections
        }
        None => execute_in_order(block, state, scratch),
    };
    assert_eq!(scratch.changes.unconserved(), None, "a block makes no asset of nothing and loses none");
    state.settle_accounts();
    rejections
}

/// Executes a block one by one; the rejections come in order.
fn execute_in_order(block: &Block<'_>, state: &mut State, scratch: &mut Scratch) -> Vec<(u32, Rejection)> {
    let mut rejections = Vec::new();
    let mut position = 0_u32;
    // How many more transactions there are to look around in for one that needs more than two records.
    let mut others = 0;
    // The same for payments in accounts' further assets.
    let mut further = 0;
    for run in &block.runs {
        for (place, prepared) in run.prepared.iter().enumerate() {
            if let Some(ahead) = run.prepared.get(place + AHEAD) {
                if ahead.payment().is_none() {
                    others = AHEAD;
                }
                bring_accounts(ahead, run, state);
            }
            if let Some(later) = run.prepared.get(place + AHEAD + 16) {
                prefetch(later);
            }
            // Where some are in accounts' further assets, many are.
            if place.is_multiple_of(AHEAD / 2)
                && let Some(near) = run.prepared.get(place + BALANCES_AHEAD).and_then(Prepared::payment)
                && state.pays_further(&near)
            {
                further = AHEAD;
            }
            if further > 0 {
                further -= 1;
                bring_balances(run.prepared, place, state);
            }
            if others > 0 {
                others -= 1;
                bring_entries(STEPS.map(|ahead| Some((run.prepared.get(place + ahead)?, run))), state);
            }
            scratch.changes.go_to(Some(position));
            if let Err(rejection) = execute(prepared, run, block.time, state, &mut scratch.changes) {
                rejections.push((position, rejection));
            }
            position = position.saturating_add(1);
        }
    }
    rejections
}

/// Brings the accounts of a transaction closer.
#[inline]
fn bring_accounts(ahead: &Prepared, run: &PreparedRun<'_>, state: &State) {
    if let Some(payer) = ahead.payer() {
        state.prefetch(payer);
    }
    if let Some(payee) = ahead.payee() {
        state.prefetch(payee);
    }
    if ahead.payment().is_none() {
        for party in ahead.parties(run).first(PARTIES_AHEAD) {
            state.prefetch(party);
        }
    }
}

/// Brings closer the balances of payments in assets that aren't the first of their accounts.
#[inline]
fn bring_balances(prepared: &[Prepared], place: usize, state: &State) {
    for (ahead, is_in_place_at_hand) in [(BALANCES_AHEAD, false), (BALANCES_AHEAD / 2, true)] {
        if let Some(payment) = prepared.get(place + ahead).and_then(Prepared::payment) {
            state.prefetch_balances(&payment, is_in_place_at_hand);
        }
    }
}

/// Brings closer what transactions that are no payments need beside records of accounts: a step at a time, since each shows where the next
/// thing lies. Given are those that come so many later as [`STEPS`] says.
#[inline]
fn bring_entries(ahead: [Option<(&Prepared, &PreparedRun<'_>)>; 3], state: &State) {
    let [first, second, third] = ahead.map(|ahead| ahead.filter(|(ahead, _)| ahead.payment().is_none()));
    if let Some((ahead, _)) = first {
        ahead.entry_tag().into_iter().for_each(|tag| state.prefetch_name(tag));
        if let Some((market, owner)) = ahead.market().zip(ahead.payer()) {
            state.prefetch_orders(market, owner);
        }
    }
    if let Some((ahead, run)) = second {
        if let Some((market, owner)) = ahead.market().zip(ahead.payer()) {
            state.prefetch_newest_order(market, owner);
        }
        ahead.known_entry_tag().into_iter().for_each(|tag| state.prefetch_entry(tag));
        if let Some(payer) = ahead.payer() {
            state.prefetch_further(payer);
        }
        if let Some(payee) = ahead.payee() {
            state.prefetch_further(payee);
        }
        for party in ahead.parties(run).first(PARTIES_AHEAD) {
            state.prefetch_further(party);
        }
    }
    if let Some((ahead, run)) = third {
        ahead.bring(run);
        ahead.leading_entry_tag().into_iter().for_each(|tag| state.prefetch_behind(tag));
    }
}

/// Executes one transaction, the short way if it is plain.
#[inline]
fn execute(
    prepared: &Prepared,
    run: &PreparedRun<'_>,
    time: Time,
    state: &mut State,
    changes: &mut Changes,
) -> Result<(), Rejection> {
    match prepared.payment().and_then(|payment| state.pay(&payment, time, changes)) {
        Some(done) => done,
        None => apply(prepared, run, time, state, changes),
    }
}

/// Executes any transaction.
fn apply(
    prepared: &Prepared,
    run: &PreparedRun<'_>,
    time: Time,
    state: &mut State,
    changes: &mut Changes,
) -> Result<(), Rejection> {
    // It was prepared from these bytes, so it is there.
    let Some(transaction) = prepared.of(run) else { return Ok(()) };
    let address = transaction.account();
    let acting = if state.has_guarded() || transaction.names_keys() {
        // Whoever may not act for an account leaves no trace on it, not even a sequence used.
        check_authorities(&transaction, time, state)?
    } else {
        0
    };
    let slot = match prepared.payer().or_else(|| state.find(&address)) {
        Some(slot) => slot,
        None => Context::new(state, changes, false).open_account(&address)?,
    };
    let expired = transaction.valid_until().is_some_and(|last| time > last);
    let used = state.use_sequence(slot, transaction.lane(), transaction.sequence());
    if expired {
        return Err(Rejection::new(RejectionCode::Expired, time.0));
    }
    used?;

    apply_operations(prepared, run, (&transaction, slot, acting), time, state, changes)
}

/// Executes what a transaction orders, of which all else is done.
fn apply_operations(
    prepared: &Prepared,
    run: &PreparedRun<'_>,
    (transaction, slot, acting): (&TransactionRef<'_>, Slot, u32),
    time: Time,
    state: &mut State,
    changes: &mut Changes,
) -> Result<(), Rejection> {
    let address = transaction.account();
    // Where few accounts more may come into being, what finds no room late has to be undone.
    let journalled = transaction.needs_journal() || state.is_nearly_full();
    let mut context = Context::new(state, changes, journalled);
    let further = transaction.further_signers();
    context.within(Scene { time, account: address, slot: Some(slot), further });
    context.expect(transaction.first_party().zip(prepared.payee()));
    let parties = prepared.parties(run);
    for (place, operation) in (0_u16..).zip(transaction.encoded_operations()) {
        context.turn_to(place);
        if place > 0 {
            let party = (further.len() + usize::from(place)).saturating_sub(1);
            context.prefetch(parties.at(party + PARTIES_AHEAD));
            context.expect_too(parties.at(party).and_then(|slot| Some((operation.party()?, slot))));
        }
        let done = match operation.source() {
            0 => operation.apply(Source { address: &address, slot: Some(slot) }, &mut context),
            source => {
                let slot = parties.at(usize::from(source).saturating_sub(1));
                apply_further(transaction, (source, slot), operation, acting, &mut context)
            }
        };
        if let Err(rejection) = done {
            context.roll_back();
            return Err(rejection.at(place));
        }
    }
    context.keep();
    Ok(())
}

/// Whether those who have signed may act for all they sign for; gives the places of the signers, as bits, in whose place the account acts by a
/// grant.
#[cold]
fn check_authorities(transaction: &TransactionRef<'_>, time: Time, state: &State) -> Result<u32, Rejection> {
    let mut keys = Vec::new();
    let mut orders = Vec::new();
    let mut acting = 0;
    let account = transaction.account();
    for (place, signer) in (0_u8..).zip(transaction.signers()) {
        keys.clear();
        keys.extend(transaction.signed_keys().filter(|&(of, _)| of == place).map(|(_, key)| key));
        orders.clear();
        orders.extend(transaction.operations().filter(|&(of, _)| of == place).map(|(_, order)| order.class()));
        if orders.is_empty() {
            // Its sequence is used in any case.
            orders.push((Class::Low, 0, false));
        }
        let Err(rejection) = state.check_authority(&signer, place, &keys, &orders, time) else { continue };
        // Whoever acts for another signs for both with the same keys, and answers for it as for its own.
        let own = transaction.signed_keys().filter(|&(of, _)| of == 0).map(|(_, key)| key);
        let codes = orders.iter().map(|&(_, code, _)| code);
        let may_act = place > 0
            && rejection.code == RejectionCode::UnknownKey
            && own.eq(keys.iter().copied())
            && state.may_act(&signer, &account, place, codes, time)?;
        if !may_act {
            return Err(rejection);
        }
        state.check_authority(&account, 0, &keys, &orders, time)?;
        acting |= 1 << place;
    }
    Ok(acting)
}

/// An operation that takes from a further signer.
#[cold]
fn apply_further(
    transaction: &TransactionRef<'_>,
    (source, found): (u8, Option<Slot>),
    operation: EncodedOperation<'_>,
    acting: u32,
    context: &mut Context<'_>,
) -> Result<(), Rejection> {
    // Decoding made sure that the source is one of the signers.
    let address: Address = transaction.signers().nth(usize::from(source)).unwrap_or_default();
    let slot: Option<Slot> = found.or_else(|| context.find_account(&address));
    let source_account = Source { address: &address, slot };
    if acting & (1 << source) != 0 {
        let Some(operation) = operation.decode() else { return Ok(()) };
        return context.act(&transaction.account(), source_account, operation);
    }
    operation.apply(source_account, context)
}

/// BLAKE3 over the count and every rejection, as they stand in the block's body.
pub(crate) fn outcomes_digest(count: u32, rejections: &[(u32, Rejection)]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("nostro 1 outcomes");
    hasher.update(&count.to_le_bytes());
    for (position, rejection) in rejections {
        hasher.update(&rejection.encode(*position));
    }
    Digest(hasher.finalize().into())
}
