//! How an engine is set up: limits, each with its unit and interval. None of them changes a result.

use crate::keys::KeyPair;
use crate::ledger::LedgerRules;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Limits of an engine. Start from the default and change what you need.
///
/// ```
/// let config = nostro::EngineConfig { threads: 2, ..Default::default() };
/// assert_eq!(config.block_transactions_max, 16_384);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Name of the ledger, 1 to 64 printable ASCII characters. Its hash is what transactions are signed for. Counts when a
    /// ledger is created; an existing one must have the same name.
    pub ledger: String,
    /// Blocks between two state roots. In [1, 65,536]. Part of the ledger's genesis: with another value it is another ledger, so an existing
    /// one isn't opened. Up to 16 it takes 64 bytes of memory per account instead of eight.
    pub root_interval: u32,
    /// Accounts there may be. In [1, 4,294,967,295]; the highest of these is no limit. Beyond it whatever takes a new account is rejected
    /// (`TooManyAccounts`) and all else goes on, so it bounds the memory that accounts take, about 128 bytes each. Part of the ledger's
    /// genesis too.
    pub accounts_max: u32,
    /// Threads that verify. In [0, 1024]; 0 takes one per core.
    pub threads: usize,
    /// Threads that execute a large block side by side. In [0, 1024]; 0 decides by the threads that verify: fewer than eight have no need of
    /// more than one.
    pub execute_threads: usize,
    /// Transactions admitted and not yet durable. In [1, 16,777,216]. Beyond it submission answers `Full`.
    pub intake_transactions_max: usize,
    /// The same in bytes. In [32 KiB, 16 GiB].
    pub intake_bytes_max: usize,
    /// Transactions per block. In [1, 1,048,576].
    pub block_transactions_max: usize,
    /// Bytes of transactions per block. In [32 KiB, 64 MiB], and at most a quarter of `segment_bytes`. Of an existing ledger with
    /// smaller segments a block never has more than fits into one.
    pub block_bytes_max: usize,
    /// Bytes of blocks made durable by one sync; a single larger block still goes alone. In [4 KiB, 64 MiB].
    pub group_bytes_max: usize,
    /// Size of a segment file. In [1 MiB, 4 GiB], whole pages of 4 KiB. Counts when a ledger is created.
    pub segment_bytes: u64,
    /// Bytes of segments written full of zeros when the engine opens, so that commits needn't. In [0, 1 TiB].
    pub log_reserve_bytes: u64,
    /// Bytes of log after which a checkpoint is written. In [1 MiB, 1 TiB]. What bounds the time that opening takes: at the default about ten
    /// seconds with ten million accounts.
    pub checkpoint_log_bytes: u64,
    /// What becomes of the log below the older of two checkpoints.
    pub retention: Retention,
    /// Whether the index of receipts by id follows beside the work. Without it the first question waits for it.
    pub receipt_index: bool,
    /// Whether the index by which accounts are followed grows beside the work. Without it whoever follows waits for it.
    pub follow_index: bool,
    /// Whether balances can be proved: keeps the states of the newest root and of the one before beside the present one, which under a load
    /// that touches everything triples the memory of accounts.
    pub balance_proofs: bool,
    /// Signs headers that are asked for, so that proofs can be checked by whoever knows its address.
    pub header_key: Option<KeyPair>,
    /// Memory for decoded keys of signers met before, which spares a part of verification; taken at once. In [0, 64 GiB]; about 330
    /// bytes a key.
    pub key_cache_bytes: usize,
    /// **Verifies no signature at all.** For measuring the rest, and for transactions whose signatures were verified before.
    pub trust_signatures: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ledger: "nostro".to_owned(),
            root_interval: 256,
            accounts_max: u32::MAX,
            threads: 0,
            execute_threads: 0,
            intake_transactions_max: 65_536,
            intake_bytes_max: 64 << 20,
            block_transactions_max: 16_384,
            block_bytes_max: 4 << 20,
            group_bytes_max: 4 << 20,
            segment_bytes: 256 << 20,
            log_reserve_bytes: 256 << 20,
            checkpoint_log_bytes: 2 << 30,
            retention: Retention::KeepAll,
            receipt_index: true,
            follow_index: true,
            balance_proofs: false,
            header_key: None,
            key_cache_bytes: 48 << 20,
            trust_signatures: false,
        }
    }
}

/// What becomes of segments of the log that no opening needs any more: everything in them is in two checkpoints. Blocks that are
/// gone can't be read, audited or proved from this directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// They stay.
    #[default]
    KeepAll,
    /// They move to this directory, which is made if it isn't there.
    Archive(PathBuf),
    /// They are removed.
    Recycle,
}

/// A limit outside its interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, found {found}")]
pub struct ConfigError {
    field: &'static str,
    expected: String,
    found: String,
}

impl EngineConfig {
    /// Checks every limit, once.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bytes = |value: u64, field, low: u64, high: u64| {
            let complaint = || ConfigError { field, expected: format!("{low} to {high}"), found: value.to_string() };
            if (low..=high).contains(&value) { Ok(()) } else { Err(complaint()) }
        };
        bytes(self.root_interval.into(), "root_interval", 1, 65_536)?;
        bytes(self.accounts_max.into(), "accounts_max", 1, u32::MAX.into())?;
        bytes(self.threads as u64, "threads", 0, 1024)?;
        bytes(self.execute_threads as u64, "execute_threads", 0, 1024)?;
        bytes(self.intake_transactions_max as u64, "intake_transactions_max", 1, 1 << 24)?;
        bytes(self.intake_bytes_max as u64, "intake_bytes_max", 32 << 10, 16 << 30)?;
        bytes(self.block_transactions_max as u64, "block_transactions_max", 1, 1 << 20)?;
        bytes(self.segment_bytes, "segment_bytes", 1 << 20, 4 << 30)?;
        bytes(self.block_bytes_max as u64, "block_bytes_max", 32 << 10, (64 << 20).min(self.segment_bytes / 4))?;
        bytes(self.group_bytes_max as u64, "group_bytes_max", 4 << 10, 64 << 20)?;
        bytes(self.log_reserve_bytes, "log_reserve_bytes", 0, 1 << 40)?;
        bytes(self.checkpoint_log_bytes, "checkpoint_log_bytes", 1 << 20, 1 << 40)?;
        bytes(self.key_cache_bytes as u64, "key_cache_bytes", 0, 64 << 30)?;
        if !self.segment_bytes.is_multiple_of(4096) {
            let expected = "a multiple of 4096".to_owned();
            return Err(ConfigError { field: "segment_bytes", expected, found: self.segment_bytes.to_string() });
        }
        Ok(())
    }

    /// What of it is part of a ledger.
    pub(crate) const fn rules(&self) -> LedgerRules {
        LedgerRules { root_interval: self.root_interval, accounts_max: self.accounts_max }
    }

    /// Threads to verify with on this machine.
    pub(crate) fn verify_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }

    /// Threads to execute large blocks with on this machine. One thread executes as much as a dozen others verify.
    pub(crate) fn crew_threads(&self) -> usize {
        const VERIFY_THREADS_MIN: usize = 8;
        const MAX: usize = 16;
        match self.execute_threads {
            0 if self.verify_threads() < VERIFY_THREADS_MIN => 1,
            0 => (self.verify_threads() / 4).clamp(2, MAX),
            threads => threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_allowed_and_every_limit_is_checked() {
        assert_eq!(EngineConfig::default().check(), Ok(()));
        type Wrong = (&'static str, fn(&mut EngineConfig));
        let wrong: [Wrong; 14] = [
            ("root_interval", |c| c.root_interval = 0),
            ("root_interval", |c| c.root_interval = 65_537),
            ("accounts_max", |c| c.accounts_max = 0),
            ("threads", |c| c.threads = 1025),
            ("execute_threads", |c| c.execute_threads = 1025),
            ("intake_transactions_max", |c| c.intake_transactions_max = 0),
            ("intake_bytes_max", |c| c.intake_bytes_max = 100),
            ("block_transactions_max", |c| c.block_transactions_max = 0),
            ("block_bytes_max", |c| c.block_bytes_max = 65 << 20),
            ("group_bytes_max", |c| c.group_bytes_max = 0),
            ("segment_bytes", |c| c.segment_bytes = 4096),
            ("segment_bytes", |c| c.segment_bytes += 1),
            ("log_reserve_bytes", |c| c.log_reserve_bytes = u64::MAX),
            ("checkpoint_log_bytes", |c| c.checkpoint_log_bytes = 1),
        ];
        for (field, change) in wrong {
            let mut config = EngineConfig::default();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert!(error.to_string().starts_with(field), "{field}: {error}");
        }
    }
}
