//! A stream of transactions that anyone can make again from a number: what a process that is killed was doing is known.

use crate::directory::Directory;
use crate::model::Model;
use crate::world::{address, number, open, trusting, unsigned};
use nostro::{Amount, AssetId, EngineConfig, Height, Outcome, StoredBlock, Transaction};

/// The asset that the stream pays in.
pub const EURO: AssetId = AssetId(0);

const PAYERS: u64 = 8;

/// The n-th transaction. The first gives eight accounts money; the others pay, most of them something and each somebody else.
///
/// # Panics
/// Never.
#[must_use]
pub fn order(n: u64) -> Transaction {
    let letter = |n: u64| address(usize::try_from(n % PAYERS).expect("a letter"));
    if n == 0 {
        let bank = address(number('I'));
        let mut builder = Transaction::builder(bank).register_asset("EUR".parse().expect("a code"), 2, Amount::MAX);
        for payer in 0..PAYERS {
            builder = builder.transfer(letter(payer), EURO, Amount(1_000));
        }
        return unsigned(builder.build().expect("well-formed"));
    }
    let builder = Transaction::builder(letter(n)).sequence(n / PAYERS);
    unsigned(
        builder.transfer(letter(n * 5 + n / 16), EURO, Amount(u128::from(n % 7) * 100)).build().expect("well-formed"),
    )
}

/// A closed ledger of three segments, with the first 600 transactions in a block each.
///
/// # Panics
/// If the engine doesn't open, stops, or takes another number of segments.
#[must_use]
pub fn closed() -> Directory {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { block_transactions_max: 1, ..trusting() });
    let orders: Vec<_> = (0..600).map(order).collect();
    let _ = engine.submit_batch(&orders).expect("room for all").wait().expect("a running engine");
    engine.close().expect("a running engine");
    assert!(directory.path().join("segment-00000003.log").exists());
    assert!(!directory.path().join("segment-00000004.log").exists());
    directory
}

/// A receipt as a line of text: number, height, position, code of the rejection or 0.
#[must_use]
pub fn line(n: u64, height: Height, position: u32, outcome: &Outcome) -> String {
    format!("{n} {height} {position} {}\n", code(outcome))
}

const fn code(outcome: &Outcome) -> u16 {
    match outcome {
        Outcome::Applied => 0,
        Outcome::Rejected(rejection) => rejection.code.number(),
    }
}

/// Follows the stream through a ledger's blocks on the model, and writes the receipts it should have given.
#[derive(Debug, Default)]
pub struct Follower {
    model: Model,
    /// Lines of everything followed so far, by number.
    pub lines: Vec<String>,
    /// Hashes of the blocks followed so far.
    pub hashes: Vec<nostro::Digest>,
}

impl Follower {
    /// Takes the next block.
    ///
    /// # Panics
    /// If it isn't what the stream gives: something is missing, or there twice, or out of order.
    pub fn follow(&mut self, block: &StoredBlock) {
        let header = block.header();
        assert_eq!(header.height.0, self.hashes.len() as u64 + 1, "blocks come in order");
        assert_eq!(header.first, self.lines.len() as u64, "block {} begins where the one before ends", header.height);
        if let Some(&previous) = self.hashes.last() {
            assert_eq!(header.previous, previous, "block {} names the one before", header.height);
        }
        for ((transaction, outcome), position) in block.view().expect("readable").transactions().zip(0..) {
            let n = self.lines.len() as u64;
            assert_eq!(transaction.bytes(), order(n).bytes(), "block {}, position {position}", header.height);
            let (time, expected) = self.model.apply(&transaction, header.time);
            assert_eq!((time, expected), (header.time, outcome), "transaction {n}");
            self.lines.push(line(n, header.height, position, &outcome));
        }
        self.hashes.push(block.hash());
    }

    /// The state digest that all this leads to.
    #[must_use]
    pub fn digest(&self) -> nostro::Digest {
        self.model.digest()
    }
}
