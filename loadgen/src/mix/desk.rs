//! Where transactions are drafted: whom there is, what comes next by chance, which sequence is whose.

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::generate::UNSIGNED;
use crate::spec::Picker;
use nostro::{Address, Amount, KeyPair, Ledger, Operation, Transaction};

/// The one who issues the assets, beside the numbered accounts.
pub(crate) const ISSUER: u32 = u32::MAX;

/// A transaction before it has its bytes: accounts are numbers.
#[derive(Debug)]
pub(crate) struct Draft {
    account: u32,
    sequence: u64,
    operations: Vec<(u32, Operation)>,
}

/// The author's desk.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) accounts: Accounts,
    pub(crate) picker: Picker,
    /// The last sequence of every account.
    pub(crate) sequences: Vec<u32>,
    issuer: Address,
    issuer_sequence: u64,
    random: Random,
}

impl Desk {
    pub(crate) fn new(accounts: Accounts, picker: Picker, seed: u64) -> Self {
        let (sequences, issuer) = (vec![0; accounts.addresses.len()], accounts.issuer.address());
        Self { accounts, picker, sequences, issuer, issuer_sequence: 0, random: Random::new(seed) }
    }

    /// How many accounts there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.accounts.addresses.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn address(&self, account: u32) -> Address {
        self.accounts.addresses.get(account as usize).copied().unwrap_or(self.issuer)
    }

    /// Somebody, by the distribution of the load.
    pub(crate) fn someone(&mut self) -> u32 {
        let (first, second) = (self.random.next(), self.random.next());
        self.picker.pick(first, second)
    }

    /// Somebody else.
    pub(crate) fn someone_but(&mut self, account: u32) -> u32 {
        let other = self.someone();
        if other == account { (other + 1) % self.count().max(1) } else { other }
    }

    /// A number below a bound, which isn't 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random.next() % bound.max(1)
    }

    /// One to a thousand.
    pub(crate) fn amount(&mut self) -> Amount {
        Amount(u128::from(1 + self.below(1000)))
    }

    /// Drafts one operation of somebody's.
    pub(crate) fn one(&mut self, account: u32, operation: impl Into<Operation>) -> Draft {
        self.many(account, vec![(account, operation.into())])
    }

    /// Drafts several, each with the account it takes from.
    pub(crate) fn many(&mut self, account: u32, operations: Vec<(u32, Operation)>) -> Draft {
        let sequence = match self.sequences.get_mut(account as usize) {
            Some(sequence) => {
                *sequence = sequence.saturating_add(1);
                u64::from(*sequence)
            }
            None => {
                let sequence = self.issuer_sequence;
                self.issuer_sequence += 1;
                sequence
            }
        };
        Draft { account, sequence, operations }
    }

    /// Gives a draft its bytes, signed by everybody it takes from; with marks for signatures where there are no keys.
    pub(crate) fn finish(&self, draft: Draft, ledger: &Ledger) -> Result<Transaction, Failure> {
        let mut builder = Transaction::builder(self.address(draft.account)).sequence(draft.sequence);
        let mut signers = vec![draft.account];
        for (source, operation) in draft.operations {
            if !signers.contains(&source) {
                signers.push(source);
            }
            builder = builder.operation(self.address(source), operation);
        }
        let order = builder.build().map_err(Failure::new)?;
        if self.accounts.keys.is_empty() {
            let marks = vec![UNSIGNED; order.signers().count()];
            return order.with_signatures(&marks).map_err(Failure::new);
        }
        let key = |&account: &u32| self.accounts.keys.get(account as usize).unwrap_or(&self.accounts.issuer);
        let keys: Vec<&KeyPair> = signers.iter().map(key).collect();
        order.sign(ledger, &keys).map_err(Failure::new)
    }
}

/// What comes next by chance: the output of a hash of the seed.
#[derive(Debug)]
struct Random {
    reader: blake3::OutputReader,
    words: std::vec::IntoIter<u64>,
}

impl Random {
    const BYTES: usize = 4096;

    fn new(seed: u64) -> Self {
        let reader = blake3::Hasher::new_derive_key("nostro 1 loadgen mix").update(&seed.to_le_bytes()).finalize_xof();
        Self { reader, words: Vec::new().into_iter() }
    }

    fn next(&mut self) -> u64 {
        if let Some(word) = self.words.next() {
            return word;
        }
        let mut bytes = vec![0; Self::BYTES];
        self.reader.fill(&mut bytes);
        let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().copied().map(u64::from_le_bytes).collect();
        self.words = words.into_iter();
        self.words.next().unwrap_or(0)
    }
}
