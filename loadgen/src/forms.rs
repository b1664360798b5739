//! The forms that operations take, finer than their kinds: what an order does to a book depends on how long it waits. Inspecting a load counts
//! them.

use crate::failure::Failure;
use crate::load::Load;
use nostro::{Amend, Amount, GrantAction, Lifetime, Operation, TransactionRef};
use std::collections::BTreeMap;

/// What an operation is, in a word or two.
const fn form(operation: &Operation) -> Option<&'static str> {
    Some(match operation {
        Operation::Transfer(transfer) if transfer.grant.is_some() => "Transfer by grant",
        Operation::PlaceOrder(order) => match order.lifetime {
            Lifetime::GoodTillCancelled | Lifetime::PostOnly => "PlaceOrder, waits",
            _ => "PlaceOrder, at once",
        },
        Operation::Amend(Amend::Change { .. }) => "Amend, changes",
        Operation::Amend(_) => "Amend, cancels",
        Operation::Settle(settle) if settle.cancels => "Settle, cancels",
        Operation::Settle(settle) if settle.amount.0 == Amount::ZERO.0 => "Settle, releases all",
        Operation::Settle(_) => "Settle, releases a part",
        Operation::Grant(grant) => match grant.action {
            GrantAction::Create => "Grant, creates",
            _ => "Grant, takes back",
        },
        _ => return None,
    })
}

/// Counts the operations of a load, its setup left out, by their forms.
pub(crate) fn forms(load: &Load) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let mut forms = BTreeMap::new();
    for (_, bytes) in load.pieces() {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (transaction, after) = TransactionRef::decode_prefix(rest).map_err(Failure::new)?;
            for (_, operation) in transaction.operations() {
                *forms.entry(form(&operation).unwrap_or(operation.kind().name)).or_insert(0) += 1;
            }
            rest = after;
        }
    }
    Ok(forms)
}
