//! The log beside what else there is in Rust to append a block to a disk and know that it stays, in one table.
//!
//! `cargo bench -p nostro-bench --features peers --bench peers`. All append the same blocks, one at a time, each durable before the
//! next. Each runs alone, since some of them write on in the background, and takes turns with raw writes of the same blocks, so that
//! a neighbour who disturbs the one disturbs the other: what counts is the ratio. Each is set up as its own documents
//! advise for this use, without compression, and old blocks are let go outside the time that is taken. What a peer does to
//! protect a block is in its time; the log's hashing, which another thread does in an engine, is not.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a benchmark")]

use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use nostro::MeasuredLog;
use nostro_bench::{Failure, RawFile, TemporaryDirectory};
use okaywal::{Configuration, LogVoid, WriteAheadLog};
use protobuf::well_known_types::BytesValue;
use raft_engine::{LogBatch, MessageExt, ReadableSize};
use redb::TableDefinition;
use std::path::Path;
use std::time::{Duration, Instant};

/// The frame's header of the log, which is part of the bytes that are written.
const HEADER_BYTES: usize = 256;
/// Blocks that are kept before old ones are let go.
const KEPT: u64 = 64;

/// Something that appends blocks durably.
trait Appender {
    /// What isn't timed: making the block ready, and letting old ones go.
    fn prepare(&mut self, _number: u64, _block: &[u8]) -> Result<(), Failure> {
        Ok(())
    }
    /// Appends a block; it is durable when this returns.
    fn append(&mut self, number: u64, block: &[u8]) -> Result<(), Failure>;
}

impl Appender for MeasuredLog {
    fn prepare(&mut self, _number: u64, block: &[u8]) -> Result<(), Failure> {
        self.recycle();
        Self::prepare(self, &block[HEADER_BYTES..])
    }

    fn append(&mut self, _number: u64, _block: &[u8]) -> Result<(), Failure> {
        self.commit()
    }
}

type RaftEngine = raft_engine::Engine;

/// An entry of raft-engine is a message of protobuf; its number stands in its first bytes.
struct Numbered;

impl MessageExt for Numbered {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        u64::from_le_bytes(*entry.value.first_chunk().unwrap())
    }
}

struct Raft {
    engine: RaftEngine,
    batch: LogBatch,
}

impl Raft {
    fn create(path: &Path, file_bytes: u64) -> Result<Self, Failure> {
        let config = raft_engine::Config {
            dir: path.to_str().unwrap().to_owned(),
            batch_compression_threshold: ReadableSize(0),
            target_file_size: ReadableSize(file_bytes / 4),
            purge_threshold: ReadableSize(file_bytes),
            // Its way to files that needn't grow.
            enable_log_recycle: true,
            prefill_for_recycle: true,
            ..Default::default()
        };
        Ok(Self { engine: RaftEngine::open(config)?, batch: LogBatch::default() })
    }
}

impl Appender for Raft {
    fn prepare(&mut self, number: u64, block: &[u8]) -> Result<(), Failure> {
        if number.is_multiple_of(KEPT) {
            self.engine.compact_to(1, number.saturating_sub(KEPT));
            self.engine.purge_expired_files()?;
        }
        let mut entry = BytesValue::new();
        entry.value = block.to_vec();
        entry.value[..8].copy_from_slice(&(number + 1).to_le_bytes());
        Ok(self.batch.add_entries::<Numbered>(1, &[entry])?)
    }

    fn append(&mut self, _number: u64, _block: &[u8]) -> Result<(), Failure> {
        self.engine.write(&mut self.batch, true)?;
        Ok(())
    }
}

impl Appender for WriteAheadLog {
    fn append(&mut self, _number: u64, block: &[u8]) -> Result<(), Failure> {
        let mut entry = self.begin_entry()?;
        entry.write_chunk(block)?;
        entry.commit()?;
        Ok(())
    }
}

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

impl Appender for redb::Database {
    fn prepare(&mut self, number: u64, _block: &[u8]) -> Result<(), Failure> {
        if number.is_multiple_of(KEPT) {
            let transaction = self.begin_write()?;
            transaction.open_table(TABLE)?.retain(|old, _| old + KEPT >= number)?;
            transaction.commit()?;
        }
        Ok(())
    }

    fn append(&mut self, number: u64, block: &[u8]) -> Result<(), Failure> {
        let transaction = self.begin_write()?;
        transaction.open_table(TABLE)?.insert(number, block)?;
        Ok(transaction.commit()?)
    }
}

struct Fjall {
    database: Database,
    log: Keyspace,
}

impl Fjall {
    fn create(path: &Path) -> Result<Self, Failure> {
        let builder = Database::builder(path).manual_journal_persist(true);
        let database = builder.journal_compression(CompressionType::None).open()?;
        let log = database.keyspace("log", KeyspaceCreateOptions::default)?;
        Ok(Self { database, log })
    }
}

impl Appender for Fjall {
    fn prepare(&mut self, number: u64, _block: &[u8]) -> Result<(), Failure> {
        if let Some(old) = number.checked_sub(KEPT) {
            self.log.remove(old.to_be_bytes())?;
        }
        Ok(())
    }

    fn append(&mut self, number: u64, block: &[u8]) -> Result<(), Failure> {
        self.log.insert(number.to_be_bytes(), block)?;
        Ok(self.database.persist(PersistMode::SyncData)?)
    }
}

type Create = fn(&Path, u64) -> Result<Box<dyn Appender>, Failure>;

const CONTESTANTS: [(&str, Create); 5] = [
    ("nostro", |path, file_bytes| Ok(Box::new(MeasuredLog::create(path, file_bytes)?))),
    ("raft-engine", |path, file_bytes| Ok(Box::new(Raft::create(path, file_bytes)?))),
    ("okaywal", |path, file_bytes| {
        let preallocate = u32::try_from(file_bytes / 4).unwrap_or(u32::MAX);
        let config = Configuration::default_for(path).preallocate_bytes(preallocate);
        Ok(Box::new(config.checkpoint_after_bytes(file_bytes / 4).open(LogVoid)?))
    }),
    ("redb", |path, _| {
        std::fs::create_dir_all(path)?;
        Ok(Box::new(redb::Database::create(path.join("redb"))?))
    }),
    ("fjall", |path, _| Ok(Box::new(Fjall::create(path)?))),
];

fn percentile(times: &mut [Duration], per_mille: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * per_mille / 1000]
}

fn main() {
    // With `--test` every contestant appends a little, so that none rots.
    let is_test = std::env::args().any(|argument| argument == "--test") || cfg!(debug_assertions);
    let sizes: &[(usize, u64)] =
        if is_test { &[(64 << 10, 3), (1 << 20, 3)] } else { &[(64 << 10, 1000), (1 << 20, 300)] };
    let file_bytes = if is_test { 16 << 20 } else { 256 << 20 };

    println!("one block at a time, durable before the next; each takes turns with raw writes");
    println!(
        "{:>8}  {:12} {:>8} {:>8} {:>6} {:>10} {:>10} {:>10}",
        "block", "", "MB/s", "raw MB/s", "ratio", "p50", "p99", "max"
    );
    for &(bytes, count) in sizes {
        let block: Vec<u8> = (0..bytes).map(|place| u8::try_from(place * 131 % 251).unwrap()).collect();
        for (name, create) in CONTESTANTS {
            let directories = [TemporaryDirectory::new("peers"), TemporaryDirectory::new("peers-raw")];
            let mut appender = create(directories[0].path(), file_bytes).unwrap();
            let mut raw = RawFile::create(directories[1].path(), file_bytes).unwrap();
            let (mut times, mut raw_time) = (Vec::new(), Duration::ZERO);
            for number in 0..count {
                appender.prepare(number, &block).unwrap();
                let start = Instant::now();
                appender.append(number, &block).unwrap();
                times.push(start.elapsed());
                let start = Instant::now();
                raw.append(&block).unwrap();
                raw_time += start.elapsed();
            }
            let rate = |time: Duration| bytes as f64 * count as f64 / time.as_secs_f64() / 1e6;
            let (own, raw) = (rate(times.iter().sum()), rate(raw_time));
            let [p50, p99, max] = [500, 990, 1000].map(|per_mille| percentile(&mut times, per_mille));
            let size = format!("{} KiB", bytes >> 10);
            let ratio = own / raw;
            println!("{size:>8}  {name:12} {own:8.0} {raw:8.0} {ratio:6.2} {p50:>10.1?} {p99:>10.1?} {max:>10.1?}");
        }
    }
}
