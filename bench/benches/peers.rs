//! The log beside what else there is in Rust to append a block to a disk and know that it stays, in one table.
//!
//! `cargo bench -p nostro-bench --features peers --bench peers`. All append the same blocks, one at a time, each durable before the
//! next; they take turns block by block, so that a neighbour who disturbs one disturbs all. Each is set up as its own documents
//! advise for this use, without compression, and old blocks are let go outside the time that is taken. Nothing but the log and
//! raw writes hashes beforehand: what a peer does to protect a block is in its time, what another thread does in an engine is
//! not in the log's.
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

impl Appender for RawFile {
    fn append(&mut self, _number: u64, block: &[u8]) -> Result<(), Failure> {
        Self::append(self, block)
    }
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
    fn append(&mut self, number: u64, block: &[u8]) -> Result<(), Failure> {
        let transaction = self.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            table.insert(number, block)?;
            if let Some(old) = number.checked_sub(KEPT) {
                table.remove(old)?;
            }
        }
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

/// One of those who take turns.
struct Contestant {
    name: &'static str,
    appender: Box<dyn Appender>,
    times: Vec<Duration>,
    _directory: TemporaryDirectory,
}

fn contestants(file_bytes: u64) -> Vec<Contestant> {
    let new = |name: &'static str, create: &dyn Fn(&Path) -> Result<Box<dyn Appender>, Failure>| {
        let directory = TemporaryDirectory::new(&format!("peers-{name}"));
        let appender = create(directory.path()).unwrap();
        Contestant { name, appender, times: Vec::new(), _directory: directory }
    };
    vec![
        new("raw", &|path| Ok(Box::new(RawFile::create(path, file_bytes)?))),
        new("nostro", &|path| Ok(Box::new(MeasuredLog::create(path, file_bytes)?))),
        new("raft-engine", &|path| Ok(Box::new(Raft::create(path, file_bytes)?))),
        new("okaywal", &|path| {
            let preallocate = u32::try_from(file_bytes / 4).unwrap_or(u32::MAX);
            let config = Configuration::default_for(path).preallocate_bytes(preallocate);
            Ok(Box::new(config.checkpoint_after_bytes(file_bytes / 4).open(LogVoid)?))
        }),
        new("redb", &|path| {
            std::fs::create_dir_all(path)?;
            Ok(Box::new(redb::Database::create(path.join("redb"))?))
        }),
        new("fjall", &|path| Ok(Box::new(Fjall::create(path)?))),
    ]
}

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

    println!("one block at a time, durable before the next; all take turns");
    println!("{:>8}  {:12} {:>8} {:>6} {:>10} {:>10} {:>10}", "block", "", "MB/s", "of raw", "p50", "p99", "max");
    for &(bytes, count) in sizes {
        let block: Vec<u8> = (0..bytes).map(|place| u8::try_from(place * 131 % 251).unwrap()).collect();
        let mut contestants = contestants(file_bytes);
        for number in 0..count {
            for Contestant { appender, times, .. } in &mut contestants {
                appender.prepare(number, &block).unwrap();
                let start = Instant::now();
                appender.append(number, &block).unwrap();
                times.push(start.elapsed());
            }
        }
        let total = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
        let raw = total(&contestants[0].times);
        for Contestant { name, times, .. } in &mut contestants {
            let all = total(times);
            let (p50, p99, max) = (percentile(times, 500), percentile(times, 990), percentile(times, 1000));
            let rate = bytes as f64 * count as f64 / all / 1e6;
            let size = format!("{} KiB", bytes >> 10);
            let ratio = raw / all;
            println!("{size:>8}  {name:12} {rate:8.0} {ratio:6.2} {p50:>10.0?} {p99:>10.0?} {max:>10.0?}");
        }
    }
}
