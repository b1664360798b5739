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
//!
//! # Cost
//!
//! Look-ups wait for memory, so they are made for a group of transactions ahead: hash and prefetch the index's buckets, then
//! prefetch the records, then execute. The group is small enough that nothing falls out of the first-level cache in between.

use crate::block::Block;
use crate::ops::{Operation, Source};
use crate::state::{Changes, Context, Hash, Slot, State};
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
}

/// Executes a block on a state.
///
/// # Panics
/// If money was made or lost: that is a bug, and going on would make it permanent.
pub(crate) fn settle(block: &Block<'_>, state: &mut State, scratch: &mut Scratch) -> Settled {
    let mut rejections = Vec::new();
    let mut transactions = block.transactions();
    let mut group: Vec<(TransactionRef<'_>, Hash)> = Vec::with_capacity(GROUP);
    let mut payees: Vec<Hash> = Vec::with_capacity(GROUP);
    let mut position = 0_u32;
    loop {
        group.clear();
        payees.clear();
        for transaction in transactions.by_ref().take(GROUP) {
            group.push((transaction, state.look_ahead(&transaction.account())));
            if let Some((_, operation)) = transaction.operations().next()
                && let Some(payee) = operation.payee()
            {
                payees.push(state.look_ahead(payee));
            }
        }
        if group.is_empty() {
            break;
        }
        group.iter().for_each(|&(_, hash)| state.look_closer(hash));
        payees.iter().for_each(|&hash| state.look_closer(hash));
        for (transaction, hash) in &group {
            if let Err(rejection) = apply(transaction, *hash, block.time, state, &mut scratch.changes) {
                rejections.push((position, rejection));
            }
            position = position.saturating_add(1);
        }
    }
    assert_eq!(position, block.count, "a block executes as many transactions as it counts");
    if let Some(asset) = scratch.changes.unconserved() {
        panic!("block {} broke the conservation of asset {asset}", block.height);
    }
    let outcomes = outcomes_digest(block.count, &rejections);
    let effects = effects_digest(state, scratch);
    Settled { rejections, outcomes, effects }
}

#[inline]
fn apply(
    transaction: &TransactionRef<'_>,
    hash: Hash,
    time: Time,
    state: &mut State,
    changes: &mut Changes,
) -> Result<(), Rejection> {
    let account = transaction.account();
    let slot = match state.find(&account, hash) {
        Some(slot) => slot,
        None => Context::new(state, changes, false).open_account(&account)?,
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

    let mut context = Context::new(state, changes, transaction.operation_count() > 1);
    for (place, (source, operation)) in (0_u16..).zip(transaction.operations()) {
        let done = if source == 0 {
            operation.apply(Source { address: &account, slot: Some(slot) }, &mut context)
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

/// BLAKE3 over every changed account by slot, a mark, then every changed asset by number.
fn effects_digest(state: &State, scratch: &mut Scratch) -> Digest {
    let Scratch { changes, effects } = scratch;
    effects.clear();
    changes.accounts.drain(|slot| state.encode_account(slot, effects));
    effects.extend_from_slice(&u32::MAX.to_le_bytes());
    changes.assets.drain(|asset| state.encode_asset(asset, effects));
    let mut hasher = blake3::Hasher::new_derive_key("nostro 1 effects");
    hasher.update(effects);
    Digest(hasher.finalize().into())
}
