//! Who takes part: accounts named by letters, with keys, and engines set up small and quick.

use nostro::{Address, Engine, EngineConfig, KeyPair, Ledger, Signature, Transaction, UnsignedTransaction};
use std::path::Path;
use std::sync::LazyLock;

/// How many accounts have a letter: `A` to `Z`.
pub const LETTERS: usize = 26;

static KEYS: LazyLock<Vec<KeyPair>> =
    LazyLock::new(|| (b'A'..=b'Z').map(|name| KeyPair::from_seed(&[name; 32])).collect());

static ADDRESSES: LazyLock<Vec<Address>> = LazyLock::new(|| KEYS.iter().map(KeyPair::address).collect());

/// The key of the n-th letter.
#[must_use]
pub fn key(n: usize) -> &'static KeyPair {
    &KEYS[n]
}

/// The address of the n-th letter.
#[must_use]
pub fn address(n: usize) -> Address {
    ADDRESSES[n]
}

/// The address of a letter.
///
/// # Panics
/// Unless it is one of `A` to `Z`.
#[must_use]
pub fn named(letter: char) -> Address {
    address(number(letter))
}

/// The place of a letter in the alphabet.
///
/// # Panics
/// Unless it is one of `A` to `Z`.
#[must_use]
pub fn number(letter: char) -> usize {
    assert!(letter.is_ascii_uppercase(), "an account is a letter from A to Z, found {letter:?}");
    (letter as usize) - ('A' as usize)
}

/// The letter of an address, or the beginning of its digits.
#[must_use]
pub fn name_of(address: &Address) -> String {
    match ADDRESSES.iter().position(|known| known == address) {
        Some(n) => char::from_u32('A' as u32 + u32::try_from(n).expect("a letter")).expect("a letter").to_string(),
        None => address.to_string()[..8].to_owned(),
    }
}

/// Signs with the keys of all letters.
///
/// # Panics
/// If a signer has no letter.
#[must_use]
pub fn sign(unsigned: UnsignedTransaction, ledger: &Ledger) -> Transaction {
    let keys: Vec<&KeyPair> = KEYS.iter().collect();
    unsigned.sign(ledger, &keys).expect("every signer has a letter")
}

/// Puts zeros where the signatures go: for engines that don't look at them.
///
/// # Panics
/// Never.
#[must_use]
pub fn unsigned(unsigned: UnsignedTransaction) -> Transaction {
    let zeros = vec![Signature([0; 64]); unsigned.signers().count()];
    unsigned.with_signatures(&zeros).expect("one signature per signer")
}

/// The ledger that tests sign for.
///
/// # Panics
/// Never.
#[must_use]
pub fn ledger() -> Ledger {
    Ledger::new(&config().ledger).expect("a name")
}

/// An engine's limits for tests: small segments, nothing written ahead, signatures verified.
#[must_use]
pub fn config() -> EngineConfig {
    EngineConfig {
        ledger: "nostro tests".to_owned(),
        threads: 1,
        segment_bytes: 1 << 20,
        block_bytes_max: 256 << 10,
        log_reserve_bytes: 0,
        ..EngineConfig::default()
    }
}

/// The same for engines that don't look at signatures.
#[must_use]
pub fn trusting() -> EngineConfig {
    EngineConfig { trust_signatures: true, ..config() }
}

/// Opens an engine.
///
/// # Panics
/// If it doesn't open.
#[must_use]
pub fn open(directory: &Path, config: EngineConfig) -> Engine {
    Engine::open(directory, config).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
}
