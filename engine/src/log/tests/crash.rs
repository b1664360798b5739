//! The crash harness: logs live and die on a disk that lies, and after each death what was promised is asked for.
//!
//! After every recovery:
//!
//! - A1 what was acknowledged is a prefix of what was recovered;
//! - A2 what was recovered is a prefix of what was submitted: no hole, no other order, no duplicate;
//! - A3 what one recovery reported, every later one reports;
//! - A4 chain and digests verify when everything is executed again;
//! - A5 recovering twice gives the same, and what was lost and is submitted again applies once;
//! - A6 the books balance;
//! - A7 rot is reported with its place, or was provably never acknowledged; never wrong data;
//! - A8 after an error nothing more is acknowledged, and the error says where;
//! - A9 when the faults stop, it works again.
//!
//! A seed is one life of a ledger with several deaths. One that fails is printed; run it alone with [`run`].

mod lives;

use std::collections::BTreeSet;

use super::*;
use crate::log::frame::{FrameHeader, frame_bytes};
use crate::log::sim::{Chance, Faults, SimDisk};
use crate::log::storage::Planted;

const PATH: &str = "/disk/ledger";

/// What kind of trouble a seed is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The power goes, or the process dies.
    Power,
    /// A call or a sync fails, or the disk is full; and the power goes.
    Errors,
    /// A bit turns on the medium.
    Rot,
    /// The device writes a page to the wrong place.
    Misplaced,
    /// Somebody rewrites a record and all that is checked by sums.
    Forgery,
}

impl Trouble {
    fn of(seed: u64) -> Self {
        match seed % 20 {
            0..=9 => Self::Power,
            10..=14 => Self::Errors,
            15..=16 => Self::Rot,
            17..=18 => Self::Misplaced,
            _ => Self::Forgery,
        }
    }
}

/// What happened in many lives, to see that something did.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    lives: u64,
    deaths: u64,
    recoveries: u64,
    torn: u64,
    refused: u64,
    failures: u64,
    rolls: u64,
    acknowledged: u64,
    lost: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        let Self { lives, deaths, recoveries, torn, refused, failures, rolls, acknowledged, lost } = other;
        self.lives += lives;
        self.deaths += deaths;
        self.recoveries += recoveries;
        self.torn += torn;
        self.refused += refused;
        self.failures += failures;
        self.rolls += rolls;
        self.acknowledged += acknowledged;
        self.lost += lost;
    }
}

/// Eight accounts that pay each other: each record is one payment, and its meta the digest of all balances after it.
#[derive(Clone, Default)]
struct Books {
    balances: [i64; 8],
    paid: BTreeSet<u64>,
}

impl Books {
    fn pay(&mut self, payment: u64) -> Result<[u8; META_BYTES], String> {
        if !self.paid.insert(payment) {
            return Err(format!("A5: payment {payment:x} was applied twice"));
        }
        let amount = i64::try_from((payment >> 6) % 1000).unwrap();
        self.balances[usize::try_from(payment % 8).unwrap()] -= amount;
        self.balances[usize::try_from((payment >> 3) % 8).unwrap()] += amount;
        let bytes: Vec<u8> = self.balances.iter().flat_map(|balance| balance.to_le_bytes()).collect();
        let mut meta = [0; META_BYTES];
        meta[..32].copy_from_slice(blake3::hash(&bytes).as_bytes());
        Ok(meta)
    }
}

/// One seed's ledger, and all that is known of it outside the disk.
struct World {
    chance: Chance,
    trouble: Trouble,
    disk: SimDisk,
    config: LogConfig,
    body_bytes: Option<u64>,
    /// Bodies and hashes by height, of the history that is still possible.
    submitted: Vec<Vec<u8>>,
    hashes: Vec<Hash>,
    /// Below this height the log may be gone: a snapshot of it is durable elsewhere.
    retired: u64,
    retires: bool,
    /// Payments that were lost with the power, to be submitted again.
    lost: Vec<u64>,
    created: bool,
    acknowledged: u64,
    /// What the last recovery reported.
    reported: u64,
    /// Height that whoever reads the disk can know to have been durable.
    proven: u64,
    tally: Tally,
}

type Violation = String;

fn violation<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(text.into())
}

/// One life. An error is a broken promise.
fn run(seed: u64, planted: &[Planted]) -> Result<Tally, Violation> {
    let mut chance = Chance::new(seed);
    let disk = SimDisk::new(chance.bits());
    for mistake in planted {
        disk.plant(*mistake);
    }
    let segment_bytes = 64 << 10;
    let reserve_bytes = segment_bytes * chance.below(3);
    let body_bytes = chance.one_in(3).then(|| 8 + chance.below(9000));
    let mut world = World {
        trouble: Trouble::of(seed),
        disk,
        config: LogConfig { segment_bytes, reserve_bytes, group_bytes_max: 64 << 10 },
        body_bytes,
        submitted: Vec::new(),
        hashes: Vec::new(),
        retired: 0,
        retires: chance.one_in(3),
        lost: Vec::new(),
        created: false,
        acknowledged: 0,
        reported: 0,
        proven: 0,
        tally: Tally { lives: 1, ..Tally::default() },
        chance,
    };
    for _ in 0..2 + world.chance.below(5) {
        world.arm();
        if let Some(log) = world.open()? {
            world.work(log)?;
        }
        world.die();
        // Recovery may die too, again and again.
        for _ in 0..world.chance.below(4) {
            let mut faults = Faults::default();
            match world.chance.below(2) {
                0 => faults.power_cut_at = Some(world.chance.below(90)),
                _ => faults.power_cut_at_write = Some(world.chance.below(4)),
            }
            world.disk.arm(faults);
            drop(world.open()?);
            world.die();
        }
        let unharmed = match world.trouble {
            Trouble::Rot => world.rot()?,
            Trouble::Forgery => world.forge()?,
            _ => true,
        };
        if !unharmed {
            return Ok(world.tally);
        }
    }
    world.faults_stop()?;
    world.tally.acknowledged = world.acknowledged;
    Ok(world.tally)
}

impl World {
    fn path(&self) -> &'static Path {
        Path::new(PATH)
    }

    /// True if the disk loses, or fails openly, but keeps what it has promised.
    fn honest(&self) -> bool {
        !self.disk.has_misplaced()
    }

    fn arm(&mut self) {
        let chance = &mut self.chance;
        let mut faults = Faults::default();
        if chance.one_in(2) {
            let calls = if chance.one_in(3) { 30 } else { 200 };
            match chance.below(6) {
                0 => faults.power_cut_at_directory_sync = Some(chance.below(6)),
                1 => faults.power_cut_at_write = Some(chance.below(40)),
                _ => faults.power_cut_at = Some(chance.below(calls)),
            }
        }
        match self.trouble {
            Trouble::Errors => match chance.below(4) {
                3 => faults.directory_sync_fails_at = Some(chance.below(6)),
                0 => faults.fails_at = Some(chance.below(120)),
                1 => faults.sync_fails_at = Some(chance.below(25)),
                _ => faults.capacity = Some((64 << 10) * (1 + chance.below(6)) + chance.below(3) * 5000),
            },
            Trouble::Misplaced => faults.misplaces_at = Some(chance.below(40)),
            _ => {}
        }
        self.disk.arm(faults);
    }

    /// Opens the log, or creates it, and checks what it shows.
    fn open(&mut self) -> Result<Option<SegmentLog<SimDisk>>, Violation> {
        let from = self.checkpoint();
        let (mut books, mut hash, mut height, mut broken) = (Books::default(), from.hash, from.height, None);
        let submitted = &self.submitted;
        for body in &submitted[..height as usize] {
            books.pay(u64::from_le_bytes(*body.first_chunk().unwrap()))?;
        }
        let mut visit = |record: RecordRef<'_>| {
            let check = || {
                height += 1;
                if record.header.height != height || record.header.previous != hash {
                    return violation(format!("A4: the chain is broken at height {height}"));
                }
                match submitted.get(height as usize - 1) {
                    None => return violation(format!("A2: height {height} was never submitted")),
                    Some(body) if body != record.body => {
                        return violation(format!("A2: wrong data at height {height}"));
                    }
                    Some(_) => {}
                }
                hash = *record.hash;
                let payment = u64::from_le_bytes(*record.body.first_chunk().ok_or("A2: a body is short")?);
                if books.pay(payment)? != record.header.meta {
                    return violation(format!("A4: the digest of height {height} is another"));
                }
                if books.balances.iter().sum::<i64>() != 0 {
                    return violation(format!("A6: the books don't balance at height {height}"));
                }
                Ok(())
            };
            let mut check = check;
            check().map_err(|text| {
                broken = Some(text.clone());
                text.into()
            })
        };
        let from = (from.height > 0).then_some(from);
        let opened = SegmentLog::open_from(self.disk.clone(), self.path(), Some(LEDGER), from, self.config, &mut visit);
        if let Some(broken) = broken {
            return Err(broken);
        }
        match opened {
            Ok((log, recovered)) => {
                self.check_recovered(&recovered, height)?;
                Ok(Some(log))
            }
            Err(error) => self.not_opened(&error),
        }
    }

    /// Where the next opening starts: at the beginning, or at any height that is there and proven.
    fn checkpoint(&mut self) -> Checkpoint {
        let mut height = 0;
        if self.retired > 0 || self.chance.one_in(3) {
            height = self.retired + self.chance.below(self.proven - self.retired + 1);
        }
        self.checkpoint_at(height)
    }

    fn checkpoint_at(&self, height: u64) -> Checkpoint {
        let hash = height.checked_sub(1).map_or(LEDGER, |place| self.hashes[place as usize]);
        Checkpoint { height, hash }
    }

    fn check_recovered(&mut self, recovered: &Recovered, seen: u64) -> Result<(), Violation> {
        self.tally.recoveries += 1;
        self.tally.torn += u64::from(recovered.torn.is_some());
        if recovered.height != seen {
            return violation(format!("A4: {seen} records were shown, {} reported", recovered.height));
        }
        let (promised, name) = match (self.trouble, self.honest()) {
            (Trouble::Rot, _) | (_, false) => (self.proven, "A7: proven"),
            _ if self.acknowledged > self.reported => (self.acknowledged, "A1: acknowledged"),
            _ => (self.reported, "A3: reported before"),
        };
        if recovered.height < promised {
            return violation(format!("{name} up to height {promised}, recovered {}", recovered.height));
        }
        // What did not survive may be submitted again.
        let kept = usize::try_from(recovered.height).unwrap();
        self.hashes.truncate(kept);
        for body in self.submitted.drain(kept..) {
            self.tally.lost += 1;
            self.lost.push(u64::from_le_bytes(*body.first_chunk().unwrap()));
        }
        (self.created, self.acknowledged, self.reported, self.proven) =
            (true, recovered.height, recovered.height, recovered.height);
        Ok(())
    }

    fn not_opened(&mut self, error: &OpenError) -> Result<Option<SegmentLog<SimDisk>>, Violation> {
        let text = error.to_string();
        match error {
            OpenError::NoLedger { .. } if !self.created => {
                let created =
                    SegmentLog::create_salted(self.disk.clone(), self.path(), LEDGER, b"genesis", self.config, SALT);
                match created {
                    Ok(log) => {
                        self.created = true;
                        Ok(Some(log))
                    }
                    Err(OpenError::Disk(_) | OpenError::NoSpace { .. } | OpenError::NotWritable { .. }) => Ok(None),
                    // A misplaced page may be taken for a record.
                    Err(_) if !self.honest() => Ok(None),
                    Err(other) => violation(format!("A9: not created: {other}")),
                }
            }
            OpenError::Disk(failed) => {
                if text.contains(PATH) && !failed.action.is_empty() {
                    Ok(None)
                } else {
                    violation(format!("A8: no place in {text:?}"))
                }
            }
            _ if self.honest() => violation(format!("A1: refused after honest faults: {text}")),
            _ => {
                self.tally.refused += 1;
                Ok(None)
            }
        }
    }

    /// The next record: a payment that was lost, or a new one.
    fn next(&mut self, books: &mut Books, log: (u64, Hash), body_bytes_max: u32) -> Result<Sealed, Violation> {
        let again = if self.chance.one_in(2) { self.lost.pop() } else { None };
        let payment = again.unwrap_or_else(|| self.chance.bits());
        let meta = books.pay(payment)?;
        let length = self.body_bytes.unwrap_or_else(|| match self.chance.below(8) {
            0 => 8,
            1 => 4096 - 256,
            2 => 8 + self.chance.below(30_000),
            _ => 8 + self.chance.below(4000),
        });
        let mut body = vec![0; length as usize];
        self.chance.fill(&mut body);
        body[..8].copy_from_slice(&payment.to_le_bytes());
        let mut builder = FrameBuilder::with_buffer(Vec::new(), body_bytes_max);
        builder.extend(&body).map_err(|error| error.to_string())?;
        self.submitted.push(body);
        let frame = builder.seal(log.0 + 1, log.1, &meta);
        self.hashes.push(*frame.hash());
        Ok(frame)
    }

    /// Appends, syncs and seals until something happens.
    fn work(&mut self, mut log: SegmentLog<SimDisk>) -> Result<(), Violation> {
        let reader = log.reader();
        let mut books = Books::default();
        for body in &self.submitted {
            books.pay(u64::from_le_bytes(*body.first_chunk().unwrap()))?;
        }
        for _ in 0..self.chance.below(30) {
            let mut group = Vec::new();
            let mut tip = log.tip();
            for _ in 0..self.chance.below(5) {
                let frame = self.next(&mut books, tip, log.body_bytes_max())?;
                tip = (frame.height(), *frame.hash());
                group.push(frame);
            }
            let (action, watermark, rolls) = (self.chance.below(10), reader.watermark(), log.counters().rolls);
            let result = log.append(&mut group).and_then(|log| match action {
                0 => log.seal(),
                1..=3 => Ok(log),
                _ => log.sync(),
            });
            self.acknowledged = self.acknowledged.max(reader.watermark());
            log = match result {
                Ok(log) => log,
                Err(failure) => return self.stopped(&failure, &reader),
            };
            self.tally.rolls += log.counters().rolls - rolls;
            self.proven = self.proven.max(log.segment.first_height - 1);
            match action {
                0 => self.proven = log.tip().0,
                1..=3 => {}
                _ => self.proven = self.proven.max(if group.is_empty() { 0 } else { watermark }),
            }
            if self.chance.one_in(6) {
                // A full disk keeps the reserve from growing; that alone stops nothing.
                let _ = log.fill_reserve(self.chance.below(100_000));
            }
            if self.chance.one_in(8) && !self.disk.is_off() {
                self.read_back(&reader)?;
            }
            if self.retires && self.chance.one_in(12) {
                // A snapshot is durable; from now on the log need not reach further back.
                self.retired = self.retired.max(self.chance.below(self.proven + 1));
                let _ = log.retirer().retire(self.retired, None);
            }
        }
        if self.chance.one_in(2) {
            let tip = log.tip().0;
            match log.close() {
                Ok(()) => (self.acknowledged, self.proven) = (tip, tip),
                Err(failure) => return self.stopped(&failure, &reader),
            }
        }
        Ok(())
    }

    /// A8: the log has stopped; it says where, and readers go on.
    fn stopped(&mut self, failure: &LogFailure, reader: &LogReader) -> Result<(), Violation> {
        self.tally.failures += 1;
        let text = failure.to_string();
        if !text.contains(PATH) {
            return violation(format!("A8: no place in {text:?}"));
        }
        // What was synced before the error is acknowledged, and nothing after it.
        self.acknowledged = self.acknowledged.max(reader.watermark());
        if !reader.is_closed() {
            return violation("A8: readers wait for a log that has stopped");
        }
        if self.disk.is_off() || !self.honest() { Ok(()) } else { self.read_back(reader) }
    }

    /// What is below the watermark can be read while the engine runs.
    fn read_back(&self, reader: &LogReader) -> Result<(), Violation> {
        let watermark = reader.watermark();
        let mut height = watermark.saturating_sub(40).max(reader.first_height() - 1);
        for record in reader.records_from(height + 1) {
            match record {
                Ok(record) if self.submitted.get(height as usize).map(Vec::as_slice) == Some(record.body()) => {}
                Ok(_) => return violation(format!("A7: a reader saw wrong data at height {}", height + 1)),
                // The armed call may be one of ours.
                Err(ReadError::Disk(_)) => return Ok(()),
                // What opening did not walk, a reader finds.
                Err(_) if !self.honest() || (self.trouble == Trouble::Rot && self.retired > 0) => return Ok(()),
                Err(error) => return violation(format!("A1: a reader could not read: {error}")),
            }
            height += 1;
        }
        if height == watermark { Ok(()) } else { violation(format!("A1: a reader saw {height} of {watermark}")) }
    }

    /// The process is gone, and more often than not the power with it.
    fn die(&mut self) {
        self.tally.deaths += 1;
        if self.disk.is_off() || self.chance.below(3) > 0 {
            self.disk.power_cycle();
        }
        self.disk.arm(Faults::default());
    }

    /// A7: turns a bit, and looks. False if the life is over.
    fn rot(&mut self) -> Result<bool, Violation> {
        if !self.created || self.chance.one_in(2) {
            return Ok(true);
        }
        self.disk.power_cycle();
        // A file of zeros, or a draft, may be another file's second name.
        let ours = |path: &PathBuf| path.extension() != Some("tmp".as_ref());
        let paths: Vec<PathBuf> = self.disk.paths().into_iter().filter(ours).collect();
        let path = &paths[self.chance.index(paths.len())];
        let length = self.disk.durable(path).unwrap().len();
        let (offset, bit) = (self.chance.index(length), self.chance.below(8) as u32);
        self.disk.rot(path, offset, bit);
        let refused = self.tally.refused;
        let from = (self.retired > 0).then(|| self.checkpoint_at(self.retired));
        let opened =
            SegmentLog::open_from(self.disk.clone(), self.path(), Some(LEDGER), from, self.config, &mut |_| Ok(()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match opened {
            Ok((log, _)) => {
                drop(log);
                // Opening passes over bodies that are in its checkpoint. Whoever looks at everything doesn't.
                match scan_from(&self.disk, self.path(), from, &mut |_| Ok(())) {
                    Err(error) if from.is_none() || !error.to_string().contains(&name) => {
                        return violation(format!("A7: opened with rot in {name}, offset {offset}: {error}"));
                    }
                    Err(_) => self.disk.rot(path, offset, bit),
                    Ok(_) => {}
                }
                self.open().map(|_| true)
            }
            Err(error) if error.to_string().contains(&name) => {
                // Healed, everything is there.
                self.tally.refused = refused + 1;
                self.disk.rot(path, offset, bit);
                self.open().map(|_| true)
            }
            Err(error) => violation(format!("A7: rot in {name}, offset {offset}; the error names another: {error}")),
        }
    }

    /// Rewrites a record and its sums; only the chain can tell. False: the life is over.
    fn forge(&mut self) -> Result<bool, Violation> {
        if !self.created || self.retired > 0 || self.chance.one_in(2) {
            return Ok(true);
        }
        match self.open()? {
            Some(log) => log.close().map_err(|failure| failure.to_string())?,
            None => return violation("A9: not opened although nothing fails"),
        }
        let path = self.path().join("segment-00000001.log");
        let bytes = self.disk.durable(&path).unwrap();
        let (crc, mut frames, mut offset) = (SaltedCrc::new(&SALT), Vec::new(), 4096);
        while let Some(Ok(header)) =
            bytes[offset..].first_chunk().map(|header| FrameHeader::decode(header, crc)).filter(Result::is_ok)
        {
            if header.kind == Kind::Block {
                frames.push((offset, header));
            }
            offset += frame_bytes(header.body_bytes.into()) as usize;
        }
        if frames.is_empty() {
            return Ok(true);
        }
        let (offset, header) = frames[self.chance.index(frames.len())];
        let mut body = bytes[offset + 256..offset + 256 + header.body_bytes as usize].to_vec();
        *body.last_mut().unwrap() ^= 1;
        let mut builder = FrameBuilder::with_buffer(Vec::new(), u32::MAX);
        builder.extend(&body).unwrap();
        let mut forged = builder.seal(header.record.height, header.record.previous, &header.record.meta);
        forged.stamp(header.stamp, crc);
        self.disk.tamper(&path, offset, forged.bytes());
        let opened = SegmentLog::open(self.disk.clone(), self.path(), None, self.config, &mut |_| Ok(()));
        self.tally.refused += 1;
        match opened {
            Ok(_) => violation(format!("A7: a forged record of height {} was taken", header.record.height)),
            Err(OpenError::Damaged(_)) => Ok(false),
            Err(error) => violation(format!("A7: a forged record gave {error}")),
        }
    }

    /// A9 and A5: with an honest disk from now on, the log opens, goes on, and gives the same twice.
    fn faults_stop(&mut self) -> Result<(), Violation> {
        for _ in 0..2 {
            let Some(mut log) = self.open()? else {
                return if self.honest() { violation("A9: not opened although nothing fails") } else { Ok(()) };
            };
            let mut books = Books::default();
            for body in &self.submitted {
                books.pay(u64::from_le_bytes(*body.first_chunk().unwrap()))?;
            }
            for _ in 0..3 {
                let frame = self.next(&mut books, log.tip(), log.body_bytes_max())?;
                log = log.append(&mut [frame]).map_err(|failure| format!("A9: {failure}"))?;
            }
            log.close().map_err(|failure| format!("A9: {failure}"))?;
            (self.acknowledged, self.proven) = (self.submitted.len() as u64, self.submitted.len() as u64);
            self.disk.power_cycle();
        }
        let all = self.submitted.len() as u64;
        let from = (self.retired > 0).then(|| self.checkpoint_at(self.retired));
        match scan_from(&self.disk, self.path(), from, &mut |_| Ok(())) {
            Ok(scanned) if scanned.height == all && scanned.torn.is_none() && scanned.sealed => Ok(()),
            Ok(scanned) => violation(format!("A5: expected {all} records at rest, a scan shows {scanned:?}")),
            Err(_) if !self.honest() => Ok(()),
            Err(error) => violation(format!("A9: {error}")),
        }
    }
}
