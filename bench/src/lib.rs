//! Worlds to measure in: accounts with money, and payments between them, made before any clock runs.

mod raw;

pub use raw::RawFile;

use nostro::{
    Address, Amount, AssetId, Engine, EngineConfig, KeyPair, Ledger, Malformed, SignError, Signature, Transaction,
    TransactionRef, UnsignedTransaction,
};
use nostro_ed25519::{Item, Verifier, VerifierConfig};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Anything that can go wrong while measuring.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Accounts with money, and payments between them.
#[derive(Debug)]
pub struct World {
    /// The ledger it is signed for.
    pub ledger: Ledger,
    /// Registers the asset and gives every account money.
    pub funding: Vec<Transaction>,
    /// One-transfer transactions back to back, 192 bytes each, uniform over payers and payees.
    pub payments: Vec<u8>,
}

/// Bytes of a payment.
pub const PAYMENT_BYTES: usize = 192;

/// A small generator, so that every run measures the same (splitmix64; Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % bound as u64).unwrap_or(0)
    }
}

impl World {
    /// Makes `payments` signed payments between `accounts` accounts. Signing takes some 12 µs each, on all cores.
    ///
    /// # Errors
    /// None that are expected.
    pub fn signed(accounts: usize, payments: usize) -> Result<Self, Failure> {
        let mut worlds = Self::signed_for(&[Ledger::new(&EngineConfig::default().ledger)?], accounts, payments)?;
        Ok(worlds.remove(0))
    }

    /// The same world signed for each of some ledgers.
    ///
    /// # Errors
    /// None that are expected.
    pub fn signed_for(ledgers: &[Ledger], accounts: usize, payments: usize) -> Result<Vec<Self>, Failure> {
        let keys: Vec<KeyPair> = (0..accounts as u64).into_par_iter().map(|n| KeyPair::from_seed(&seed(n))).collect();
        let addresses: Vec<Address> = keys.par_iter().map(KeyPair::address).collect();
        let sign = |transaction: UnsignedTransaction, ledger: &Ledger, payer: usize| {
            Ok(transaction.sign(ledger, &[&keys[payer]])?)
        };
        ledgers.iter().map(|ledger| Self::new(ledger.clone(), &addresses, payments, sign)).collect()
    }

    /// The same with a mark in place of every signature, for engines that trust.
    ///
    /// # Errors
    /// None that are expected.
    pub fn unsigned(accounts: usize, payments: usize) -> Result<Self, Failure> {
        let addresses: Vec<Address> = (0..accounts as u64).map(|n| KeyPair::from_seed(&seed(n)).address()).collect();
        let ledger = Ledger::new(&EngineConfig::default().ledger)?;
        let mark =
            |transaction: UnsignedTransaction, _: &Ledger, _| Ok(transaction.with_signatures(&[Signature([0; 64])])?);
        Self::new(ledger, &addresses, payments, mark)
    }

    fn new(
        ledger: Ledger,
        addresses: &[Address],
        payments: usize,
        sign: impl Fn(UnsignedTransaction, &Ledger, usize) -> Result<Transaction, Failure> + Sync,
    ) -> Result<Self, Failure> {
        let mut random = Random(7);
        let mut sequences = vec![0_u64; addresses.len()];
        let orders: Vec<(usize, usize, u64)> = (0..payments)
            .map(|_| {
                let payer = random.below(addresses.len());
                let payee = (payer + 1 + random.below(addresses.len() - 1)) % addresses.len();
                sequences[payer] += 1;
                (payer, payee, sequences[payer])
            })
            .collect();
        let signed: Result<Vec<Transaction>, Failure> = orders
            .into_par_iter()
            .map(|(payer, payee, sequence)| {
                let order = Transaction::builder(addresses[payer]).sequence(sequence);
                let order = order.transfer(addresses[payee], AssetId(0), Amount(1)).build()?;
                sign(order, &ledger, payer)
            })
            .collect();
        let payments = signed?.iter().flat_map(Transaction::bytes).copied().collect();
        Ok(Self { funding: funding(&ledger, addresses)?, ledger, payments })
    }

    /// Opens a fresh engine in `directory`, which must not exist, and gives every account its money.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn engine(&self, directory: &Path, trust_signatures: bool) -> Result<Engine, Failure> {
        let bytes = (self.payments.len() as u64).saturating_mul(11) / 10 + (64 << 20);
        let root_interval = self.ledger.root_interval();
        let config =
            EngineConfig { trust_signatures, root_interval, log_reserve_bytes: bytes, ..EngineConfig::default() };
        let engine = Engine::open(directory, config)?;
        let mut applied = 0;
        // As much as may be submitted at once, and somewhat less.
        for some in self.funding.chunks(1_000) {
            applied += engine.submit_batch(some)?.wait()?.applied();
        }
        assert_eq!(applied, self.funding.len(), "every account has its money");
        Ok(engine)
    }

    /// Runs all payments through an engine until the last is durable.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn run(&self, engine: &Engine) -> Result<(), Failure> {
        const BATCH: usize = 1024 * PAYMENT_BYTES;
        let submitter = engine.submitter().waiting();
        let tickets: Vec<nostro::Tickets> =
            self.payments.chunks(BATCH).map(|batch| submitter.submit_encoded(batch)).collect::<Result<_, _>>()?;
        let mut applied = 0;
        for ticket in tickets {
            applied += ticket.wait()?.applied();
        }
        assert_eq!(applied, self.count(), "every payment is applied");
        Ok(())
    }

    /// How long the verifier alone takes on all cores, over all payments in chunks as large as the engine's.
    ///
    /// # Panics
    /// If a payment isn't validly signed.
    #[must_use]
    pub fn verify_alone(&self, path: Option<nostro_ed25519::Path>) -> Duration {
        let transactions: Vec<TransactionRef<'_>> =
            self.payments.chunks(PAYMENT_BYTES).filter_map(|bytes| TransactionRef::decode(bytes).ok()).collect();
        assert_eq!(transactions.len(), self.count(), "every payment is well-formed");
        let key_cache_bytes = EngineConfig::default().key_cache_bytes;
        let verifier = Verifier::new(VerifierConfig { path, key_cache_bytes });
        let start = Instant::now();
        transactions.par_chunks(4096).for_each(|chunk| {
            let message = |transaction: &TransactionRef<'_>| {
                let mut message = *b"nostro 1 signed................................";
                message[15..].copy_from_slice(transaction.id(&self.ledger).as_bytes());
                message
            };
            let messages: Vec<[u8; 47]> = chunk.iter().map(message).collect();
            let keys: Vec<Address> = chunk.iter().map(TransactionRef::account).collect();
            let signatures = chunk.iter().flat_map(TransactionRef::signatures);
            let items: Vec<Item<'_>> = signatures
                .zip(&messages)
                .zip(&keys)
                .map(|((signature, message), key)| Item { key: key.as_bytes(), message, signature })
                .collect();
            let mut verdicts = vec![false; items.len()];
            verifier.verify_batch(&items, &mut verdicts);
            assert!(verdicts.iter().all(|&valid| valid), "every payment is validly signed");
        });
        start.elapsed()
    }

    /// How many payments there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.payments.len() / PAYMENT_BYTES
    }
}

fn seed(n: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    seed
}

fn funding(ledger: &Ledger, addresses: &[Address]) -> Result<Vec<Transaction>, Failure> {
    const PER_TRANSACTION: usize = 250;
    let bank = KeyPair::from_seed(&[0xba; 32]);
    let register = Transaction::builder(bank.address()).register_asset("EUR".parse()?, 2, Amount::MAX).build()?;
    let mints = addresses.chunks(PER_TRANSACTION).zip(1_u64..).map(|(chunk, sequence)| {
        let mint = Transaction::builder(bank.address()).sequence(sequence);
        chunk.iter().fold(mint, |mint, &payee| mint.transfer(payee, AssetId(0), Amount(1 << 40))).build()
    });
    let all: Result<Vec<_>, Malformed> = std::iter::once(Ok(register)).chain(mints).collect();
    let signed: Result<Vec<Transaction>, SignError> =
        all?.into_iter().map(|transaction| transaction.sign(ledger, &[&bank])).collect();
    Ok(signed?)
}

/// A directory that is gone when this is dropped.
#[derive(Debug)]
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// A name of this process in the system's temporary directory; the directory isn't made.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nostro-bench-{}-{name}", std::process::id()));
        let this = Self(path);
        this.remove();
        this
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn remove(&self) {
        // It may well not be there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        self.remove();
    }
}
