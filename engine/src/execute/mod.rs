//! What happens to a block, live or on replay: the one function [`settle`].
//!
//! # Rules
//!
//! 1. Transactions apply one after the other in the block's order; the result is a function of the state and the block alone.
//! 2. The account of a transaction comes into being if it hasn't, whatever becomes of the transaction, since its replay window
//!    must be kept.
//! 3. Reasons to reject are met in this order: expired, sequence used, then operation by operation. A fresh sequence is used up
//!    even when the transaction is rejected.
//! 4. A rejected transaction changes nothing else.
//! 5. Before the first transaction at a new time, what is over by then is taken out of the table of entries, up to a bound.
//!
//! # Cost
//!
//! Look-ups wait for memory, so they are made for a group of transactions ahead: hash and prefetch the index's buckets, then
//! prefetch the records, then execute. The group is small enough that nothing falls out of the first-level cache in between.

use crate::block::Block;
use crate::ops::{Operation, Source};
use crate::state::{ChangedGroups, Changes, Context, Hash, Scene, Slot, SlotSet, State, group_of, sweep};
use crate::transaction::TransactionRef;
use crate::types::{Address, Digest, Rejection, RejectionCode, Time};

/// Transactions looked up ahead together.
const GROUP: usize = 24;

/// What a block did to a state: proof that it was executed.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Rejections by position, ascending.
    pub rejections: Vec<(u32, Rejection)>,
    pub outcomes: Digest,
    pub effects: Digest,
}

/// Memory that executing a block needs and that the next one can use again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    changes: Changes,
    effects: Vec<u8>,
    /// Groups of accounts, of assets and of entries that have changed since the last state root.
    unrooted: [SlotSet; 3],
}

impl Scratch {
    /// What has changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> ChangedGroups {
        let mut changed = ChangedGroups::default();
        let [accounts, assets, entries] = &mut self.unrooted;
        accounts.drain(|group| changed.accounts.push(group));
        assets.drain(|group| changed.assets.push(group));
        entries.drain(|group| changed.entries.push(group));
        changed
    }
}

/// A transaction whose accounts were looked up ahead. A slot once given never changes, so what was found stays right; what
/// wasn't found may have come into being since.
struct Ahead<'a> {
    transaction: TransactionRef<'a>,
    account: (Address, Hash, Option<Slot>),
    /// The payee of the first operation.
    payee: Option<(Address, Hash, Option<Slot>)>,
}

/// Executes a block on a state.
///
/// # Panics
/// If money was made or lost: that is a bug, and going on would make it permanent.
pub(crate) fn settle(block: &Block<'_>, state: &mut State, scratch: &mut Scratch) -> Settled {
    let mut rejections = Vec::new();
    let mut transactions = block.transactions();
    let mut group = Vec::with_capacity(GROUP);
    let mut position = 0_u32;
    if state.pass_time(block.time) {
        let mut context = Context::new(state, &mut scratch.changes, false);
        context.within(Scene { time: block.time, ..Scene::default() });
        sweep(&mut context);
    }
    loop {
        group.clear();
        group.extend(transactions.by_ref().take(GROUP).map(|transaction| look_ahead(transaction, state)));
        if group.is_empty() {
            break;
        }
        look_up(&mut group, state);
        for ahead in &group {
            if let Err(rejection) = apply(ahead, block.time, state, &mut scratch.changes) {
                rejections.push((position, rejection));
            }
            position = position.saturating_add(1);
        }
    }
    assert_eq!(position, block.count, "a block executes as many transactions as it counts");
    assert_eq!(scratch.changes.unconserved(), None, "a block makes no asset of nothing and loses none");
    let outcomes = outcomes_digest(block.count, &rejections);
    let effects = effects_digest(state, scratch);
    Settled { rejections, outcomes, effects }
}

#[inline]
fn look_ahead<'a>(transaction: TransactionRef<'a>, state: &State) -> Ahead<'a> {
    let ahead = |address| (address, state.look_ahead(&address), None);
    Ahead { account: ahead(transaction.account()), payee: transaction.first_payee().map(ahead), transaction }
}

/// The second and the third pass over a group.
#[inline]
fn look_up(group: &mut [Ahead<'_>], state: &State) {
    for ahead in group.iter() {
        state.look_closer(ahead.account.1);
        if let Some((_, hash, _)) = ahead.payee {
            state.look_closer(hash);
        }
    }
    for ahead in group {
        let (address, hash, slot) = &mut ahead.account;
        *slot = state.find(address, *hash);
        if let Some((address, hash, slot)) = &mut ahead.payee {
            *slot = state.find(address, *hash);
        }
    }
}

#[inline]
fn apply(ahead: &Ahead<'_>, time: Time, state: &mut State, changes: &mut Changes) -> Result<(), Rejection> {
    let Ahead { transaction, account: (address, hash, found), payee } = ahead;
    let slot = match found.or_else(|| state.find(address, *hash)) {
        Some(slot) => slot,
        None => Context::new(state, changes, false).open_account(address)?,
    };
    let expired = transaction.valid_until().is_some_and(|last| time > last);
    let used = state.use_sequence(slot, transaction.lane(), transaction.sequence());
    if used.is_ok() {
        changes.accounts.insert(slot.0);
    }
    if expired {
        return Err(Rejection::new(RejectionCode::Expired, time.0));
    }
    used?;

    let mut context = Context::new(state, changes, transaction.needs_journal());
    context.within(Scene { time, account: *address, further: transaction.further_signers() });
    context.expect(payee.and_then(|(_, _, slot)| slot));
    for (place, (source, operation)) in (0_u16..).zip(transaction.operations()) {
        let done = if source == 0 {
            operation.apply(Source { address, slot: Some(slot) }, &mut context)
        } else {
            apply_further(transaction, source, &operation, &mut context)
        };
        if let Err(rejection) = done {
            context.roll_back();
            return Err(rejection.at(place));
        }
    }
    context.keep();
    Ok(())
}

/// An operation that takes from a further signer.
#[cold]
fn apply_further(
    transaction: &TransactionRef<'_>,
    source: u8,
    operation: &Operation,
    context: &mut Context<'_>,
) -> Result<(), Rejection> {
    // Decoding made sure that the source is one of the signers.
    let address: Address = transaction.signers().nth(usize::from(source)).unwrap_or_default();
    let slot: Option<Slot> = context.find_account(&address);
    operation.apply(Source { address: &address, slot }, context)
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

/// BLAKE3 over every changed account by slot, a mark, then every changed asset by number; if entries have changed, another mark and
/// then those by number.
fn effects_digest(state: &State, scratch: &mut Scratch) -> Digest {
    let Scratch { changes, effects, unrooted } = scratch;
    effects.clear();
    let Changes { accounts, balances, .. } = changes;
    accounts.drain(|slot| {
        unrooted[0].insert(group_of(slot));
        state.encode_changed_account(slot, balances, effects);
    });
    balances.clear();
    effects.extend_from_slice(&u32::MAX.to_le_bytes());
    changes.assets.drain(|asset| {
        unrooted[1].insert(group_of(asset));
        state.encode_asset(asset, effects);
    });
    let mut has_entries = false;
    changes.entries.drain(|number| {
        if !std::mem::replace(&mut has_entries, true) {
            effects.extend_from_slice(&u32::MAX.to_le_bytes());
        }
        unrooted[2].insert(group_of(number));
        state.encode_entry(number, effects);
    });
    let mut hasher = blake3::Hasher::new_derive_key("nostro 1 effects");
    hasher.update(effects);
    Digest(hasher.finalize().into())
}
