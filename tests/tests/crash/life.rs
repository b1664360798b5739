//! One life of a ledger on a disk that lies: an engine is opened, given orders, loses power or its disk, is opened again, and
//! gets the orders again to which nobody had an answer.
//!
//! A seed decides the orders and the faults. Threads decide how orders fall into blocks where several are on their way, so that
//! a seed that found something may have to be lived more than once to find it again.

use nostro::{
    Amount, AssetId, Chance, Digest, Engine, EngineConfig, Faults, Height, OpenError, Outcome, Planted, Receipt,
    SimDisk, Tickets, Transaction, TransactionId,
};
use nostro_tests::model::Model;
use nostro_tests::world::{address, number, trusting, unsigned};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATH: &str = "/disk/ledger";
const EURO: AssetId = AssetId(0);
const PAYERS: u64 = 8;
/// Longer than anything takes: whoever waits for so long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broken promise.
pub(crate) type Violation = String;

fn violation<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(text.into())
}

/// What kind of trouble a seed is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The power goes.
    Power,
    /// A call or a sync fails, or the disk is full; and the power goes.
    Errors,
    /// A bit turns on the medium; and the power goes.
    Rot,
}

impl Trouble {
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 8 {
            0..=3 => Self::Power,
            4..=5 => Self::Errors,
            _ => Self::Rot,
        }
    }
}

/// What happened in many lives, to see that something did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lives: u64,
    pub(crate) deaths: u64,
    pub(crate) recoveries: u64,
    pub(crate) failures: u64,
    pub(crate) refused: u64,
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) retried: u64,
    pub(crate) survived: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        let Self { lives, deaths, recoveries, failures, refused, acknowledged, lost, retried, survived } = other;
        self.lives += lives;
        self.deaths += deaths;
        self.recoveries += recoveries;
        self.failures += failures;
        self.refused += refused;
        self.acknowledged += acknowledged;
        self.lost += lost;
        self.retried += retried;
        self.survived += survived;
    }
}

/// What the model makes of the blocks of a ledger.
#[derive(Default)]
struct History {
    model: Model,
    blocks: Vec<Digest>,
    transactions: usize,
    applied: BTreeSet<TransactionId>,
}

/// One seed's ledger, and all that is known of it outside the disk.
struct Life {
    chance: Chance,
    trouble: Trouble,
    disk: SimDisk,
    config: EngineConfig,
    /// Orders of many operations, so that segments fill up.
    fat: bool,
    next_order: u64,
    /// In the order of admission: the history that is still possible, with the receipts there were.
    submitted: Vec<(Transaction, Option<Receipt>)>,
    /// Where in it this engine began.
    began: usize,
    /// Orders without an answer, to be given again.
    retry: Vec<Transaction>,
    history: History,
    /// Highest block that a receipt or an engine has called durable.
    promised: u64,
    /// Highest block that whoever reads the disk can know to have been durable.
    proven: u64,
    armed: bool,
    rotten: Option<(PathBuf, usize, u32)>,
    tally: Tally,
}

/// Lives one life. An error is a broken promise.
pub(crate) fn live(seed: u64, planted: &[Planted]) -> Result<Tally, Violation> {
    let mut chance = Chance::new(seed);
    let disk = SimDisk::new(chance.bits());
    planted.iter().for_each(|&mistake| disk.plant(mistake));
    let config = EngineConfig {
        block_transactions_max: if chance.one_in(2) { 1 + chance.index(4) } else { 16_384 },
        log_reserve_bytes: if chance.one_in(4) { 1 << 20 } else { 0 },
        key_cache_bytes: 0,
        // A root after every block takes another way through the engine.
        root_interval: [256, 1, 256, 3][usize::try_from(seed / 11 % 4).unwrap_or(0)],
        ..trusting()
    };
    let mut life = Life {
        trouble: Trouble::of(seed),
        disk,
        config,
        fat: chance.one_in(5),
        next_order: 0,
        submitted: Vec::new(),
        began: 0,
        retry: Vec::new(),
        history: History::default(),
        promised: 0,
        proven: 0,
        armed: false,
        rotten: None,
        tally: Tally { lives: 1, ..Tally::default() },
        chance,
    };
    for _ in 0..2 + life.chance.below(3) {
        life.arm();
        if let Some(engine) = life.open()? {
            life.work(engine)?;
        }
        life.die();
        // Recovery may die too, again and again.
        for _ in 0..life.chance.below(3) {
            life.arm_for_recovery();
            if let Some(engine) = life.open()? {
                life.kill(engine);
            }
            life.die();
        }
        if life.trouble == Trouble::Rot {
            life.rot()?;
        }
    }
    life.faults_stop()?;
    Ok(life.tally)
}

/// The n-th order: the first gives eight accounts money, the others pay.
fn order(n: u64, fat: bool) -> Transaction {
    let payer = |n: u64| address(usize::try_from(n % PAYERS).unwrap());
    let builder = if n == 0 {
        let builder = Transaction::builder(address(number('I')));
        let builder = builder.register_asset("EUR".parse().unwrap(), 2, Amount::MAX);
        (0..PAYERS).fold(builder, |builder, n| builder.transfer(payer(n), EURO, Amount(100_000)))
    } else {
        let builder = Transaction::builder(payer(n)).sequence(n / PAYERS);
        let operations = if fat { 200 } else { 1 + n % 2 };
        // Never to oneself; some of it more than there is.
        (0..operations).fold(builder, |builder, k| {
            builder.transfer(payer(n + 1 + (n / 8 + k) % 7), EURO, Amount(u128::from(1 + n * 37 % 900)))
        })
    };
    unsigned(builder.build().unwrap())
}

impl Life {
    fn arm(&mut self) {
        let chance = &mut self.chance;
        let mut faults = Faults::default();
        if chance.one_in(2) {
            match chance.below(6) {
                0 => faults.power_cut_at_directory_sync = Some(chance.below(4)),
                1 => faults.power_cut_at_write = Some(chance.below(30)),
                2 => faults.power_cut_at = Some(chance.below(30)),
                _ => faults.power_cut_at = Some(chance.below(100)),
            }
        }
        if self.trouble == Trouble::Errors {
            match chance.below(5) {
                0 => faults.fails_at = Some(chance.below(80)),
                1 | 2 => faults.sync_fails_at = Some(chance.below(25)),
                3 => faults.directory_sync_fails_at = Some(chance.below(4)),
                _ => faults.capacity = Some((1 << 20) * (1 + chance.below(3)) + chance.below(3) * 5000),
            }
        }
        self.armed = faults != Faults::default();
        self.disk.arm(faults);
    }

    fn arm_for_recovery(&mut self) {
        let mut faults = Faults::default();
        match self.chance.below(2) {
            0 => faults.power_cut_at = Some(self.chance.below(40)),
            _ => faults.power_cut_at_write = Some(self.chance.below(4)),
        }
        self.armed = true;
        self.disk.arm(faults);
    }

    /// Opens the ledger, or creates it, and checks what it holds.
    fn open(&mut self) -> Result<Option<Engine>, Violation> {
        match Engine::open_simulated(&self.disk, Path::new(PATH), &self.config) {
            Ok(engine) if self.check(&engine)? => Ok(Some(engine)),
            Ok(engine) => {
                self.kill(engine);
                Ok(None)
            }
            Err(error) => self.not_opened(&error).map(|()| None),
        }
    }

    fn not_opened(&mut self, error: &OpenError) -> Result<(), Violation> {
        let text = error.to_string();
        if !text.contains(PATH) {
            return violation(format!("A8: no place in {text:?}"));
        }
        if let Some((path, offset, bit)) = self.rotten.clone() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if text.contains(&name) {
                self.tally.refused += 1;
                // Healed, everything is there.
                self.disk.rot(&path, offset, bit);
                self.rotten = None;
                return Ok(());
            }
            if !self.armed {
                return violation(format!("A7: rot in {name}, offset {offset}; the error names another: {text}"));
            }
        }
        if text.contains("damaged") || text.contains("is missing") || text.contains("expected") {
            return violation(format!("A1: refused after honest faults: {text}"));
        }
        if self.armed { Ok(()) } else { violation(format!("A9: not opened although nothing fails: {text}")) }
    }

    /// Follows the blocks on the model, and asks for everything that was promised. False if the disk failed meanwhile.
    fn check(&mut self, engine: &Engine) -> Result<bool, Violation> {
        self.tally.recoveries += 1;
        let height = engine.durable_height().0;
        let (floor, name) =
            if self.rotten.is_some() { (self.proven, "A7: proven") } else { (self.promised, "A1: promised") };
        if height < floor {
            return violation(format!("{name} up to block {floor}, recovered {height}"));
        }
        if height < self.history.blocks.len() as u64 {
            // Rot may take what was never proven; then the story is told from its beginning.
            self.history = History::default();
        }
        for block in engine.blocks_from(Height(1)) {
            let block = match block {
                Ok(block) => block,
                // The armed call may be one of ours.
                Err(_) if self.armed => return Ok(false),
                Err(error) => return violation(format!("A1: a block can't be read: {error}")),
            };
            self.check_block(&block, engine.ledger())?;
        }
        if self.history.blocks.len() as u64 != height {
            return violation(format!("A1: {} blocks shown, {height} durable", self.history.blocks.len()));
        }
        self.check_state(engine)?;
        self.collect(height);
        Ok(true)
    }

    fn check_block(&mut self, block: &nostro::StoredBlock, ledger: &nostro::Ledger) -> Result<(), Violation> {
        let (header, hash) = (*block.header(), block.hash());
        let place = usize::try_from(header.height.0 - 1).unwrap();
        if let Some(known) = self.history.blocks.get(place) {
            return if *known == hash { Ok(()) } else { violation(format!("A3: block {} is another", header.height)) };
        }
        let history = &mut self.history;
        let previous = history.blocks.last().copied();
        let chained = place == history.blocks.len() && previous.is_none_or(|previous| previous == header.previous);
        if !chained || header.first != history.transactions as u64 {
            return violation(format!("A4: block {} does not follow the one before", header.height));
        }
        let view = block.view().map_err(|error| error.to_string())?;
        for ((transaction, outcome), position) in view.transactions().zip(0..) {
            let at = format!("block {}, position {position}", header.height);
            let Some((order, receipt)) = self.submitted.get(history.transactions) else {
                return violation(format!("A2: {at} was never submitted"));
            };
            if order.bytes() != transaction.bytes() {
                return violation(format!("A2: {at} holds another order, or one out of order"));
            }
            let (time, expected) = history.model.apply(&transaction, header.time);
            if (time, expected) != (header.time, outcome) {
                return violation(format!("A4: {at}: the model says {expected:?}, the block {outcome:?}"));
            }
            let id = order.id(ledger);
            let found = Receipt { transaction: id, height: header.height, position, time, outcome };
            if let Some(receipt) = receipt.filter(|receipt| *receipt != found) {
                return violation(format!("A1: {at}: acknowledged as {receipt:?}, recovered as {found:?}"));
            }
            if outcome == Outcome::Applied && !history.applied.insert(id) {
                return violation(format!("A5: {at} was applied before"));
            }
            history.transactions += 1;
        }
        history.blocks.push(hash);
        Ok(())
    }

    fn check_state(&self, engine: &Engine) -> Result<(), Violation> {
        let snapshot = engine.snapshot().map_err(|error| format!("A1: no snapshot: {error}"))?;
        if snapshot.digest() != self.history.model.digest() {
            return violation("A4: the state is not that of executing all again");
        }
        let held = snapshot
            .accounts()
            .flat_map(|(_, holdings)| holdings)
            .map(|holding| holding.available.0 + holding.held.0)
            .sum::<u128>();
        let issued = snapshot.assets().map(|(_, asset)| asset.issued.0).sum::<u128>();
        if held != issued {
            return violation(format!("A6: {issued} issued, {held} held"));
        }
        Ok(())
    }

    /// Takes the recovered history for the only one, and what has no answer for what to ask again.
    fn collect(&mut self, height: u64) {
        let kept = self.history.transactions;
        let may_lose = self.rotten.take().is_some();
        assert!(may_lose || self.submitted[kept..].iter().all(|(_, receipt)| receipt.is_none()), "A1: below the floor");
        self.tally.lost += (self.submitted.len() - kept) as u64;
        let (began, unanswered) = (self.began, |(_, receipt): &&(Transaction, Option<Receipt>)| receipt.is_none());
        let survived = self.submitted[began.min(kept)..kept].iter().filter(unanswered).count();
        self.tally.survived += survived as u64;
        let again: Vec<Transaction> =
            self.submitted[began.min(kept)..].iter().filter(unanswered).map(|(order, _)| order.clone()).collect();
        self.retry.splice(0..0, again);
        self.submitted.truncate(kept);
        self.began = kept;
        (self.promised, self.proven) = (height, height);
    }

    /// Gives orders until something happens.
    fn work(&mut self, engine: Engine) -> Result<(), Violation> {
        let mut waiting: Vec<(usize, Tickets)> = Vec::new();
        let one_by_one = self.chance.one_in(2);
        for _ in 0..self.chance.below(if self.fat { 12 } else { 30 }) {
            let batch = self.batch();
            let start = self.submitted.len();
            match engine.submit_batch(&batch) {
                Ok(tickets) => waiting.push((start, tickets)),
                Err(_) => {
                    self.retry.extend(batch);
                    break;
                }
            }
            self.submitted.extend(batch.into_iter().map(|order| (order, None)));
            let patient = if one_by_one { true } else { self.chance.one_in(6) };
            if patient && !self.wait(&mut waiting)? {
                break;
            }
            if self.chance.one_in(60) {
                // Long enough for the log to come to rest.
                std::thread::sleep(Duration::from_millis(25));
            }
        }
        self.wait(&mut waiting)?;
        if engine.stopped().is_some() {
            self.check_stopped(&engine)?;
        }
        if self.chance.one_in(3) {
            let height = engine.durable_height().0;
            if engine.close().is_ok() {
                (self.promised, self.proven) = (self.promised.max(height), height);
            }
        } else {
            self.kill(engine);
        }
        Ok(())
    }

    fn batch(&mut self) -> Vec<Transaction> {
        let count = if self.fat { 1 + self.chance.index(16) } else { 1 + self.chance.index(6) };
        let again = self.retry.len().min(count);
        self.tally.retried += again as u64;
        let mut batch: Vec<Transaction> = self.retry.drain(..again).collect();
        while batch.len() < count {
            batch.push(order(self.next_order, self.fat));
            self.next_order += 1;
        }
        batch
    }

    /// Waits for what is on its way, in order. False if the engine has stopped.
    fn wait(&mut self, waiting: &mut Vec<(usize, Tickets)>) -> Result<bool, Violation> {
        let mut goes_on = true;
        for (start, tickets) in waiting.drain(..) {
            let Ok(result) = tickets.wait_for(PATIENCE) else {
                return violation("A8: nobody answers");
            };
            let receipts = match result {
                Ok(receipts) if goes_on => receipts,
                Ok(_) => return violation("A8: acknowledged after an error"),
                Err(_) => {
                    goes_on = false;
                    continue;
                }
            };
            for (place, receipt) in receipts.iter().enumerate() {
                let receipt = receipt.map_err(|refusal| format!("A2: an order was refused: {refusal}"))?;
                self.promised = self.promised.max(receipt.height.0);
                self.submitted[start + place].1 = Some(receipt);
                self.tally.acknowledged += 1;
            }
        }
        Ok(goes_on)
    }

    /// A8: it says why, takes nothing more, and still answers reads of what is durable.
    fn check_stopped(&mut self, engine: &Engine) -> Result<(), Violation> {
        self.tally.failures += 1;
        let cause = engine.stopped().map(|cause| cause.to_string()).unwrap_or_default();
        if !cause.contains(PATH) {
            return violation(format!("A8: no place in {cause:?}"));
        }
        match engine.submit(&order(0, false)) {
            Err(error) if error.to_string().contains(&cause) => {}
            other => return violation(format!("A8: a stopped engine says {other:?}, its cause is {cause:?}")),
        }
        match engine.snapshot() {
            Ok(snapshot) if snapshot.height().0 < self.promised => {
                violation(format!("A8: a stopped engine shows block {} of {}", snapshot.height(), self.promised))
            }
            Err(error) if !self.disk.is_off() && !self.armed => {
                violation(format!("A8: a stopped engine can't read: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// The power goes at the next thing that is asked of the disk.
    fn kill(&mut self, engine: Engine) {
        self.disk.arm(Faults { power_cut_at: Some(0), ..Faults::default() });
        // What an engine has shown as durable, it has promised.
        self.promised = self.promised.max(engine.durable_height().0);
        drop(engine);
    }

    fn die(&mut self) {
        self.tally.deaths += 1;
        self.disk.power_cycle();
        self.disk.arm(Faults::default());
        self.armed = false;
    }

    /// A7: turns a bit, and looks.
    fn rot(&mut self) -> Result<(), Violation> {
        // A file of zeros, or a draft, may be another file's second name.
        let ours = |path: &PathBuf| path.extension() != Some("tmp".as_ref());
        let paths: Vec<PathBuf> = self.disk.paths().into_iter().filter(ours).collect();
        if paths.is_empty() || self.chance.one_in(3) {
            return Ok(());
        }
        let path = paths[self.chance.index(paths.len())].clone();
        let length = self.disk.durable(&path).map_or(0, |bytes| bytes.len());
        // More often where something is written.
        let length = if self.chance.one_in(4) { length } else { length.min(100_000) };
        let (offset, bit) = (self.chance.index(length), u32::try_from(self.chance.below(8)).unwrap());
        self.disk.rot(&path, offset, bit);
        self.rotten = Some((path, offset, bit));
        if let Some(engine) = self.open()? {
            self.kill(engine);
        }
        self.die();
        Ok(())
    }

    /// A9 and A5: with an honest disk from now on it opens, takes everything again, and gives the same twice.
    fn faults_stop(&mut self) -> Result<(), Violation> {
        for _ in 0..2 {
            let Some(engine) = self.open()? else { return violation("A9: not opened although nothing fails") };
            while !self.retry.is_empty() {
                let batch = self.batch();
                let start = self.submitted.len();
                let tickets = engine.submit_batch(&batch).map_err(|error| format!("A9: {error}"))?;
                self.submitted.extend(batch.into_iter().map(|order| (order, None)));
                if !self.wait(&mut vec![(start, tickets)])? {
                    return violation("A9: stopped although nothing fails");
                }
            }
            engine.close().map_err(|error| format!("A9: {error}"))?;
            self.die();
        }
        let Some(engine) = self.open()? else { return violation("A9: not opened although nothing fails") };
        let all = self.submitted.len();
        if self.history.transactions != all || self.submitted.iter().rev().take(1).any(|(_, receipt)| receipt.is_none())
        {
            return violation(format!("A5: {} of {all} orders are there", self.history.transactions));
        }
        engine.close().map_err(|error| format!("A9: {error}"))
    }
}
