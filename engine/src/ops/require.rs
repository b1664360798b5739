//! Requires that a predicate holds at this point of the transaction; otherwise the whole transaction is rejected.
//!
//! **Touches** what the predicate's nodes name.
//!
//! **Goes in order**, since what it asks for may change with every transaction before it. What others pay meanwhile goes by shards, but for those whose
//! balances it asks for.

use super::{Predicate, Source, Touch};
use crate::state::Context;
use crate::types::{Rejection, RejectionCode};
use crate::wire::{Malformed, Reader};

/// A condition for the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Require {
    /// What has to hold. A hash lock in it never does, since nothing is brought here to open it.
    pub predicate: Predicate,
}

impl Require {
    pub(crate) const CODE: u8 = 11;
    pub(crate) const BYTES_MIN: usize = 16;
    pub(crate) const BYTES_MAX: usize = 1600;

    pub(super) fn apply(&self, _: Source<'_>, context: &mut Context<'_>) -> Result<(), Rejection> {
        let met = self.predicate.holds(context, None);
        met.map_err(|node| Rejection::new(RejectionCode::RequirementUnmet, u64::from(node)))
    }

    /// See [`Touch`].
    pub(super) fn touches(operation: &[u8], see: &mut dyn FnMut(Touch)) -> Option<()> {
        Predicate::read_balances(&mut Reader::new(operation.get(8..)?), &mut |account| see(Touch::Takes(account)))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; 4]);
        super::put_predicate(&self.predicate, out);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.reserved::<4>()?;
        let predicate = super::take_predicate(reader)?;
        Ok(Self { predicate })
    }
}
