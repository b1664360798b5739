//! Generates a load: the setup that registers the assets and funds every account, then the transactions.
//!
//! Payment *i* depends on the seed, on *i*, and through its sequence on the payments before it; a transaction of another mix on all
//! before it. None depends on how many are asked for at a time, nor on the threads that sign.

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::mix::{Author, Desk, Draft, ISSUER, Mix};
use crate::spec::{Distribution, Picker};
use nostro::{
    Amount, AssetId, EngineConfig, Ledger, RegisterAsset, Signature, Time, Transaction, Transfer, UnsignedTransaction,
};
use rayon::prelude::*;

/// What stands where a signature would, when nothing is signed. No verifier takes it.
pub(crate) const UNSIGNED: Signature = Signature(*b"loadgen --trust-signatures: nobody has signed this transaction. ");

/// Mints per transaction of the setup: as many operations as a transaction may have; and transactions per piece of it.
const MINTS: usize = 256;
const MINTS_U32: u32 = 256;
const PIECE: usize = 16;
/// What an author opens per piece of the setup.
const OPENINGS: u64 = 1024;
/// Transactions that are made at a time, between two looks at the progress, if they are as long as a transfer.
const ROUND: u64 = 65_536;
/// Transactions of an author drafted before they are signed.
const DRAFTS: u64 = 4096;
/// What every account is funded with, and the most a transfer moves: nobody runs dry in 10¹² transfers.
pub(crate) const FUNDS: u128 = 1_000_000_000_000_000;
const AMOUNT_MAX: u64 = 1000;
/// Transfers that share a stream of random bytes, and the bytes each of them takes.
const STREAM_TRANSFERS: u64 = 4096;
const DRAW_BYTES: u64 = 40;

/// Transactions back to back.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: u64,
}

/// Makes the transactions of a load in order.
#[derive(Debug)]
pub(crate) struct Generator<'a> {
    ledger: &'a Ledger,
    desk: Desk,
    /// Writes what isn't payments alone.
    author: Option<Box<dyn Author>>,
    /// How many transactions are made at a time at most.
    round: u64,
    seed: u64,
    /// Transactions made so far.
    made: u64,
}

/// A transfer before it has its bytes.
#[derive(Clone, Copy, Debug)]
struct Draw {
    payer: u32,
    payee: u32,
    amount: u64,
    sequence: u32,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(
        ledger: &'a Ledger,
        accounts: Accounts,
        seed: u64,
        distribution: Distribution,
        mix: Mix,
    ) -> Result<Self, Failure> {
        let count = u32::try_from(accounts.addresses.len()).unwrap_or(u32::MAX);
        let picker = Picker::new(distribution, count).map_err(Failure::Usage)?;
        let desk = Desk::new(accounts, picker, seed);
        Ok(Self { ledger, desk, author: mix.author(count), round: ROUND / mix.length(), seed, made: 0 })
    }

    /// The setup: the assets' registration, then mints for every account in order, then what an author opens; in pieces of a few
    /// hundred kilobytes. To be taken to its end, once, before the first transactions.
    pub(crate) fn setup(&mut self) -> impl Iterator<Item = Result<Run, Failure>> {
        let mut funding = Funding::default();
        std::iter::from_fn(move || {
            let drafts = self.funds(&mut funding).or_else(|| self.openings());
            drafts.map(|drafts| self.finish(drafts))
        })
    }

    /// The next drafts of the setup that register assets and mint; `None` at its end.
    fn funds(&mut self, funding: &mut Funding) -> Option<Vec<Draft>> {
        let Self { author, desk, .. } = self;
        let assets = author.as_ref().map_or(1, |author| author.assets());
        if !funding.is_registered {
            funding.is_registered = true;
            let register = |asset| {
                let code = if asset == 0 { "LOAD".to_owned() } else { format!("LOAD{asset}") };
                let code = code.parse().ok()?;
                Some(desk.one(ISSUER, RegisterAsset::plain(code, 2, Amount::MAX)))
            };
            return Some((0..assets).filter_map(register).collect());
        }
        let mut drafts = Vec::new();
        while drafts.len() < PIECE && funding.asset < assets {
            let asset = funding.asset;
            let is_funded = |account: u32| author.as_ref().is_none_or(|author| author.funds(account, asset));
            let mut mints = Vec::with_capacity(MINTS);
            while mints.len() < MINTS && funding.account < desk.count() {
                if is_funded(funding.account) {
                    let payee = desk.address(funding.account);
                    let mint = Transfer { payee, asset: AssetId(asset), amount: Amount(FUNDS), ..Transfer::default() };
                    mints.push((ISSUER, mint.into()));
                }
                funding.account += 1;
            }
            if funding.account == desk.count() {
                (funding.asset, funding.account) = (asset + 1, 0);
            }
            if !mints.is_empty() {
                drafts.push(desk.many(ISSUER, mints));
            }
        }
        Some(drafts).filter(|drafts| !drafts.is_empty())
    }

    /// The next drafts that an author opens; `None` at their end.
    fn openings(&mut self) -> Option<Vec<Draft>> {
        let Self { author, desk, .. } = self;
        let author = author.as_mut()?;
        let count = author.openings().min(OPENINGS);
        (count > 0).then(|| (0..count).map(|_| author.open(desk)).collect())
    }

    /// Transactions of the setup.
    pub(crate) fn setup_count(&self) -> u64 {
        let accounts = self.desk.count();
        let Some(author) = &self.author else { return 1 + u64::from(accounts.div_ceil(MINTS_U32)) };
        let mints = |asset| {
            let funded = (0..accounts).filter(|&account| author.funds(account, asset)).count();
            funded.div_ceil(MINTS) as u64
        };
        let assets = author.assets();
        u64::from(assets) + (0..assets).map(mints).sum::<u64>() + author.openings()
    }

    /// Transactions made so far.
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    /// The next transactions, signed on all cores: as many, or fewer if they are long.
    pub(crate) fn next(&mut self, count: u64) -> Result<Vec<Run>, Failure> {
        let count = count.min(self.round);
        let mut runs = Vec::new();
        let end = self.made.saturating_add(count);
        while self.made < end {
            let part = (end - self.made).min(DRAFTS);
            let Some(author) = &mut self.author else { return self.next_payments(count) };
            let drafts = (0..part).map(|_| author.next(&mut self.desk)).collect();
            self.made += part;
            runs.push(self.finish(drafts)?);
        }
        Ok(runs)
    }

    /// Gives drafts their bytes, on all cores.
    fn finish(&self, drafts: Vec<Draft>) -> Result<Run, Failure> {
        let count = drafts.len() as u64;
        let finish = |draft| self.desk.finish(draft, self.ledger);
        let transactions: Vec<Transaction> = drafts.into_par_iter().map(finish).collect::<Result<_, _>>()?;
        Ok(Run { bytes: transactions.iter().flat_map(Transaction::bytes).copied().collect(), count })
    }

    fn next_payments(&mut self, count: u64) -> Result<Vec<Run>, Failure> {
        let end = self.made.saturating_add(count);
        let first_stream = self.made / STREAM_TRANSFERS;
        let last_stream = end.div_ceil(STREAM_TRANSFERS);
        let streams: Vec<u64> = (first_stream..last_stream).collect();
        let mut draws: Vec<Vec<Draw>> = streams
            .par_iter()
            .map(|&stream| {
                let start = stream * STREAM_TRANSFERS;
                self.draw(stream, self.made.max(start) - start, end.min(start + STREAM_TRANSFERS) - start)
            })
            .collect();
        for draw in draws.iter_mut().flatten() {
            if let Some(sequence) = self.desk.sequences.get_mut(draw.payer as usize) {
                *sequence = sequence.saturating_add(1);
                draw.sequence = *sequence;
            }
        }
        self.made = end;
        draws.into_par_iter().map(|draws| self.encode(&draws)).collect()
    }

    /// Draws a stretch of a stream.
    fn draw(&self, stream: u64, from: u64, to: u64) -> Vec<Draw> {
        let mut hasher = blake3::Hasher::new_derive_key("nostro 1 loadgen transfers");
        hasher.update(&self.seed.to_le_bytes()).update(&stream.to_le_bytes());
        let mut reader = hasher.finalize_xof();
        reader.set_position(from * DRAW_BYTES);
        let bytes = usize::try_from(to.saturating_sub(from) * DRAW_BYTES).unwrap_or(0);
        let mut random = vec![0; bytes];
        reader.fill(&mut random);
        let accounts = self.desk.count();
        let words = random.as_chunks::<8>().0.as_chunks::<5>().0;
        words
            .iter()
            .map(|words| {
                let [payer_one, payer_two, payee_one, payee_two, amount] = words.map(u64::from_le_bytes);
                let payer = self.desk.picker.pick(payer_one, payer_two);
                let payee = self.desk.picker.pick(payee_one, payee_two);
                // Nobody pays themselves: the next one is paid instead.
                let payee = if payee == payer { (payee + 1) % accounts } else { payee };
                Draw { payer, payee, amount: amount % AMOUNT_MAX + 1, sequence: 0 }
            })
            .collect()
    }

    fn encode(&self, draws: &[Draw]) -> Result<Run, Failure> {
        let mut bytes = Vec::with_capacity(draws.len() * 192);
        let address = |number: u32| {
            let found = self.desk.accounts.addresses.get(number as usize).copied();
            found.ok_or_else(|| Failure::new(format!("account {number}: expected an address, found none")))
        };
        for draw in draws {
            let order = Transaction::builder(address(draw.payer)?)
                .sequence(u64::from(draw.sequence))
                .transfer(address(draw.payee)?, AssetId(0), Amount(u128::from(draw.amount)))
                .build()
                .map_err(Failure::new)?;
            let key = self.desk.accounts.keys.get(draw.payer as usize);
            bytes.extend_from_slice(finish(order, self.ledger, key)?.bytes());
        }
        Ok(Run { bytes, count: draws.len() as u64 })
    }
}

/// How far the funding of a setup has come.
#[derive(Debug, Default)]
struct Funding {
    is_registered: bool,
    asset: u32,
    account: u32,
}

/// A load that nobody has signed, for engines that trust.
#[derive(Debug)]
pub struct UnsignedLoad {
    /// Transactions, back to back, that have to be settled before.
    pub setup: Vec<u8>,
    /// The load, back to back.
    pub load: Vec<u8>,
    /// The block time to ask for, if it isn't the clock's.
    pub time: Option<Time>,
}

/// Makes the load that `loadgen run --mix … --trust-signatures` generates for the ledger of `EngineConfig::default`.
///
/// # Errors
/// A text, if there are fewer accounts than two.
pub fn unsigned_load(mix: Mix, accounts: u32, transactions: u64, seed: u64) -> Result<UnsignedLoad, String> {
    if accounts < 2 {
        return Err(format!("expected two accounts or more, found {accounts}"));
    }
    let say = |failure: Failure| failure.to_string();
    let ledger = Ledger::new(&EngineConfig::default().ledger).map_err(|error| error.to_string())?;
    let accounts = Accounts::derive(seed, accounts, false);
    let mut generator = Generator::new(&ledger, accounts, seed, Distribution::Uniform, mix).map_err(say)?;
    let (mut setup, mut load) = (Vec::new(), Vec::new());
    for run in generator.setup() {
        setup.extend_from_slice(&run.map_err(say)?.bytes);
    }
    while generator.made() < transactions {
        let runs = generator.next(transactions - generator.made()).map_err(say)?;
        runs.iter().for_each(|run| load.extend_from_slice(&run.bytes));
    }
    Ok(UnsignedLoad { setup, load, time: mix.time() })
}

/// Signs, or puts the marker where the signature would be.
pub(crate) fn finish(
    order: UnsignedTransaction,
    ledger: &Ledger,
    key: Option<&nostro::KeyPair>,
) -> Result<Transaction, Failure> {
    let signed = match key {
        Some(key) => order.sign(ledger, &[key]),
        None => order.with_signatures(&[UNSIGNED]),
    };
    signed.map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_however_they_are_asked_for() {
        let ledger = Ledger::new("test").unwrap();
        let bytes = |mix: Mix, rounds: &[u64]| {
            let mut generator =
                Generator::new(&ledger, Accounts::derive(5, 50, true), 5, Distribution::Uniform, mix).unwrap();
            generator.setup().for_each(|run| drop(run.unwrap()));
            let runs = rounds.iter().flat_map(|&count| generator.next(count).unwrap());
            runs.flat_map(|run| run.bytes).collect::<Vec<u8>>()
        };
        assert_eq!(bytes(Mix::Payments, &[5000]).len(), 5000 * 192);
        for mix in [Mix::Payments, Mix::Mixed] {
            let whole = bytes(mix, &[5000]);
            assert!(whole == bytes(mix, &[1, 4095, 4, 900]), "{mix}");
            assert!(whole == bytes(mix, &[4097, 903]), "{mix}");
        }
    }

    /// Transactions and operations of a setup.
    fn setup(mix: Mix, accounts: u32) -> (u64, u64) {
        let ledger = Ledger::new("test").unwrap();
        let accounts = Accounts::derive(5, accounts, false);
        let mut generator = Generator::new(&ledger, accounts, 5, Distribution::Uniform, mix).unwrap();
        let expected = generator.setup_count();
        let runs: Vec<Run> = generator.setup().collect::<Result<_, _>>().unwrap();
        assert_eq!(runs.iter().map(|run| run.count).sum::<u64>(), expected, "{mix}");
        let (mut transactions, mut operations) = (0, 0);
        for run in &runs {
            let mut rest = run.bytes.as_slice();
            while !rest.is_empty() {
                let (transaction, after) = nostro::TransactionRef::decode_prefix(rest).unwrap();
                transactions += 1;
                operations += u64::from(transaction.operation_count());
                rest = after;
            }
        }
        assert_eq!(transactions, expected, "{mix}");
        (transactions, operations)
    }

    #[test]
    fn the_setup_funds_everybody_once_and_opens_what_its_mix_needs() {
        assert_eq!(setup(Mix::Payments, 9000), (1 + 36, 9001));
        // Four of the assets each.
        assert_eq!(setup(Mix::ManyAssets, 9000).1, 64 + 4 * 9000);
        // Two assets, a market, an order of everybody's.
        assert_eq!(setup(Mix::Exchange, 9000).1, 2 + 2 * 9000 + 1 + 9000);
        // Every second account is a device.
        assert_eq!(setup(Mix::Devices, 9000).1, 1 + 9000 + 4500);
        assert_eq!(setup(Mix::Holds, 9000).1, 1 + 9000 + 900);
    }
}
