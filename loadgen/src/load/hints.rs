//! Hints for the signatures of a load, made before the clock starts as a sender would make them who signs: 32 bytes for each
//! signature in order, in a file without a name.

use super::cutter::Cutter;
use super::map::Mapped;
use super::spool::Spool;
use crate::failure::Failure;
use nostro::{Signature, TransactionRef};
use rayon::prelude::*;

/// Bytes of a hint.
pub(super) const HINT_BYTES: usize = 32;
/// Transactions whose hints are made at a time by one thread.
const PIECE: u32 = 1024;
/// Pieces between two writes.
const PIECES: usize = 256;

/// Hints of all transactions that were added.
#[derive(Debug)]
pub(crate) struct Hints(Spool);

impl Hints {
    /// Without any yet.
    pub(crate) fn new() -> Result<Self, Failure> {
        Spool::new("hints").map(Self)
    }

    /// Makes the hints of transactions that lie back to back, on all cores: some microseconds per signature.
    pub(crate) fn add(&mut self, transactions: &[u8]) -> Result<(), Failure> {
        let mut cutter = Cutter::new(transactions);
        loop {
            let cut = || Some(cutter.take(PIECE).bytes).filter(|bytes| !bytes.is_empty());
            let pieces: Vec<&[u8]> = std::iter::from_fn(cut).take(PIECES).collect();
            if pieces.is_empty() {
                return Ok(());
            }
            let hints: Vec<Vec<u8>> = pieces.into_par_iter().map(hints).collect();
            hints.iter().try_for_each(|hints| self.0.append(hints))?;
        }
    }

    /// All of them.
    pub(crate) fn map(&self) -> Result<Mapped, Failure> {
        self.0.map()
    }
}

/// The hints of a piece; zeros, which is none, where a signature has none. Bytes that are no transaction have no signatures.
fn hints(mut transactions: &[u8]) -> Vec<u8> {
    let mut hints = Vec::with_capacity(PIECE as usize * HINT_BYTES);
    while let Ok((transaction, rest)) = TransactionRef::decode_prefix(transactions) {
        for signature in transaction.signatures() {
            hints.extend_from_slice(&Signature(*signature).hint().unwrap_or_default());
        }
        transactions = rest;
    }
    hints
}
