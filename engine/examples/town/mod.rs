//! What the cases share: a ledger in a temporary directory, people with keys, block times as the story needs them.

#![allow(dead_code, reason = "no case needs all of it")]

use nostro::{
    Address, Amount, AssetId, Engine, EngineConfig, Height, KeyPair, Outcome, RejectionCode, Snapshot, Time,
    Transaction, TransactionBuilder,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a story returns.
pub(crate) type Told<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A day in milliseconds.
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1_000;

pub(crate) struct Town {
    engine: Engine,
    directory: PathBuf,
    time: Time,
    sequences: BTreeMap<Address, u64>,
    story: Vec<String>,
}

/// Somebody, by name; the same name has the same keys.
pub(crate) fn person(name: &str) -> KeyPair {
    let mut seed = [0; 32];
    seed.iter_mut().zip(name.bytes()).for_each(|(byte, letter)| *byte = letter);
    KeyPair::from_seed(&seed)
}

impl Town {
    pub(crate) fn open(name: &str) -> Told<Self> {
        let directory = std::env::temp_dir().join(format!("nostro-{name}-{}", std::process::id()));
        let config = EngineConfig {
            segment_bytes: 1 << 20,
            block_bytes_max: 256 << 10,
            log_reserve_bytes: 0,
            ..EngineConfig::default()
        };
        let engine = Engine::open(&directory, config)?;
        Ok(Self { engine, directory, time: Time(DAY), sequences: BTreeMap::new(), story: Vec::new() })
    }

    /// What follows happens on this day.
    pub(crate) fn day(&mut self, day: u64) {
        self.time = Time(day * DAY);
    }

    pub(crate) fn time(&self) -> Time {
        self.time
    }

    /// Orders as the account of the first key, signed by all of them.
    pub(crate) fn order(
        &mut self,
        keys: &[&KeyPair],
        orders: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Told<Outcome> {
        self.order_for(keys[0].address(), keys, orders)
    }

    /// Orders as an account, signed by these keys.
    pub(crate) fn order_for(
        &mut self,
        account: Address,
        keys: &[&KeyPair],
        orders: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Told<Outcome> {
        let sequence = self.sequences.entry(account).or_default();
        let order = orders(Transaction::builder(account).sequence(*sequence)).build()?;
        *sequence += 1;
        let order = order.sign(self.engine.ledger(), keys)?;
        Ok(self.engine.submitter().at(self.time).submit(&order)?.wait()?.outcome)
    }

    /// The same; it has to apply.
    pub(crate) fn does(
        &mut self,
        keys: &[&KeyPair],
        orders: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Told {
        match self.order(keys, orders)? {
            Outcome::Applied => Ok(()),
            Outcome::Rejected(no) => Err(format!("expected it to apply, found {no}").into()),
        }
    }

    /// The same; it has to be rejected for this reason.
    pub(crate) fn fails(
        &mut self,
        keys: &[&KeyPair],
        code: RejectionCode,
        orders: impl FnOnce(TransactionBuilder) -> TransactionBuilder,
    ) -> Told {
        match self.order(keys, orders)? {
            Outcome::Rejected(no) if no.code == code => Ok(()),
            found => Err(format!("expected {code}, found {found:?}").into()),
        }
    }

    pub(crate) fn snapshot(&self) -> Told<Snapshot> {
        Ok(self.engine.snapshot()?)
    }

    pub(crate) fn has(&self, who: &KeyPair, asset: AssetId) -> Told<u128> {
        let Amount(amount) = self.snapshot()?.balance(&who.address(), asset);
        Ok(amount)
    }

    /// What concerns somebody, from the ledger's first block on: how many transactions, and how many applied.
    pub(crate) fn history(&self, who: &KeyPair) -> Told<(usize, usize)> {
        let (mut all, mut applied) = (0, 0);
        for notice in self.engine.follow(&who.address(), Height(1)) {
            for (_, _, outcome) in notice?.transactions() {
                all += 1;
                applied += usize::from(outcome.is_applied());
            }
        }
        Ok((all, applied))
    }

    pub(crate) fn tell(&mut self, line: impl Into<String>) {
        self.story.push(format!("day {:>3}  {}", self.time.0 / DAY, line.into()));
    }

    /// Closes the ledger, opens it again, finds the same, and gives the story.
    pub(crate) fn end(self) -> Told<Vec<String>> {
        let digest = self.engine.snapshot()?.digest();
        self.engine.close()?;
        let again = Engine::open(
            &self.directory,
            EngineConfig {
                segment_bytes: 1 << 20,
                block_bytes_max: 256 << 10,
                log_reserve_bytes: 0,
                ..EngineConfig::default()
            },
        )?;
        assert_eq!(again.snapshot()?.digest(), digest, "the ledger tells the same story when it is opened again");
        again.close()?;
        std::fs::remove_dir_all(&self.directory)?;
        Ok(self.story)
    }
}
