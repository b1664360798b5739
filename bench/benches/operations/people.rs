//! A thousand people and a bank, and the transactions they order, each with the next sequence of its own.

use nostro::{Address, Amount, AssetId, KeyPair, Operation, RegisterAsset, Signature, Transaction, Transfer};
use nostro_bench::Failure;

pub(super) const GOLD: AssetId = AssetId(0);
pub(super) const EURO: AssetId = AssetId(1);
/// Two assets with every policy that a payment is held to.
pub(super) const STRICT: AssetId = AssetId(2);
const PEOPLE: u64 = 1_000;

pub(super) struct Maker {
    people: Vec<Address>,
    sequences: Vec<u64>,
    pub(super) made: Vec<Transaction>,
}

impl Maker {
    /// With assets and some of each for everybody: number 0 is the bank.
    pub(super) fn new() -> Result<Self, Failure> {
        let seed = |n: u64| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            seed
        };
        let people: Vec<Address> = (0..PEOPLE).map(|n| KeyPair::from_seed(&seed(n + 1)).address()).collect();
        let mut maker = Self { sequences: vec![0; people.len()], people, made: Vec::new() };
        for code in ["GOLD", "EUR"] {
            maker.one(0, RegisterAsset::plain(code.parse()?, 0, Amount::MAX))?;
        }
        for n in 1..PEOPLE {
            maker.one(0, pay(maker.person(n), GOLD, 1 << 60))?;
            maker.one(0, pay(maker.person(n), EURO, 1 << 60))?;
        }
        Ok(maker)
    }

    /// Somebody, the same for the same number.
    pub(super) fn person(&self, n: u64) -> Address {
        self.people[usize::try_from(n % PEOPLE).unwrap_or(0)]
    }

    /// A transaction of one operation.
    pub(super) fn one(&mut self, n: u64, order: impl Into<Operation>) -> Result<(), Failure> {
        let place = usize::try_from(n % PEOPLE)?;
        let source = self.people[place];
        let builder = Transaction::builder(source).sequence(self.sequences[place]);
        self.sequences[place] += 1;
        let unsigned = builder.operation(source, order.into()).build()?;
        self.made.push(unsigned.with_signatures(&[Signature([0; 64])])?);
        Ok(())
    }

    /// What was made since this was last asked, as bytes.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.made).iter().flat_map(Transaction::bytes).copied().collect()
    }
}

/// Anyone but the bank.
pub(super) const fn someone(n: u64) -> u64 {
    1 + n % (PEOPLE - 1)
}

pub(super) fn pay(payee: Address, asset: AssetId, amount: u128) -> Transfer {
    Transfer { payee, asset, amount: Amount(amount), ..Transfer::default() }
}
