//! Generates a load: the setup that registers the asset and funds every account, then the transfers.
//!
//! Transfer *i* depends on the seed, on *i*, and through its sequence on the transfers before it; not on how many are asked for
//! at a time, nor on the threads that sign.

use crate::accounts::Accounts;
use crate::failure::Failure;
use crate::spec::{Distribution, Picker};
use nostro::{Amount, AssetId, Ledger, Signature, Transaction, UnsignedTransaction};
use rayon::prelude::*;

/// What stands where a signature would, when nothing is signed. No verifier takes it.
pub(crate) const UNSIGNED: Signature = Signature(*b"loadgen --trust-signatures: nobody has signed this transaction. ");

/// Mints per transaction of the setup: as many operations as a transaction may have.
const MINTS: usize = 256;
/// What every account is funded with, and the most a transfer moves: nobody runs dry in 10¹² transfers.
const FUNDS: u128 = 1_000_000_000_000_000;
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
    accounts: Accounts,
    picker: Picker,
    seed: u64,
    signs: bool,
    /// The last sequence of every account.
    sequences: Vec<u32>,
    /// Transfers made so far.
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
    ) -> Result<Self, Failure> {
        let count = accounts.addresses.len();
        let picker = Picker::new(distribution, u32::try_from(count).unwrap_or(u32::MAX)).map_err(Failure::Usage)?;
        let signs = !accounts.keys.is_empty();
        Ok(Self { ledger, accounts, picker, seed, signs, sequences: vec![0; count], made: 0 })
    }

    /// The setup: the asset's registration, then mints for every account in order, in pieces of a few hundred kilobytes.
    pub(crate) fn setup(&self) -> impl Iterator<Item = Result<Run, Failure>> {
        let issuer = &self.accounts.issuer;
        let sign = |unsigned| finish(unsigned, self.ledger, self.signs.then_some(issuer));
        let register = move || {
            let code = "LOAD".parse().map_err(Failure::new)?;
            let order = Transaction::builder(issuer.address()).register_asset(code, 2, Amount::MAX);
            let bytes = sign(order.build().map_err(Failure::new)?)?.bytes().to_vec();
            Ok(Run { bytes, count: 1 })
        };
        let pieces = self.accounts.addresses.chunks(MINTS * 16).zip(0_u64..).map(move |(piece, number)| {
            let mut run = Run { bytes: Vec::new(), count: 0 };
            for payees in piece.chunks(MINTS) {
                let sequence = number * 16 + run.count + 1;
                let order = Transaction::builder(issuer.address()).sequence(sequence);
                let order = payees.iter().fold(order, |order, &payee| order.transfer(payee, AssetId(0), Amount(FUNDS)));
                run.bytes.extend_from_slice(sign(order.build().map_err(Failure::new)?)?.bytes());
                run.count += 1;
            }
            Ok(run)
        });
        std::iter::once_with(register).chain(pieces)
    }

    /// Transactions of the setup.
    pub(crate) fn setup_count(&self) -> u64 {
        1 + self.accounts.addresses.len().div_ceil(MINTS) as u64
    }

    /// Transfers made so far.
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    /// The next transfers, signed on all cores.
    pub(crate) fn next(&mut self, count: u64) -> Result<Vec<Run>, Failure> {
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
            if let Some(sequence) = self.sequences.get_mut(draw.payer as usize) {
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
        let accounts = u32::try_from(self.accounts.addresses.len()).unwrap_or(u32::MAX);
        let words = random.as_chunks::<8>().0.as_chunks::<5>().0;
        words
            .iter()
            .map(|words| {
                let [payer_one, payer_two, payee_one, payee_two, amount] = words.map(u64::from_le_bytes);
                let payer = self.picker.pick(payer_one, payer_two);
                let payee = self.picker.pick(payee_one, payee_two);
                // Nobody pays themselves: the next one is paid instead.
                let payee = if payee == payer { (payee + 1) % accounts } else { payee };
                Draw { payer, payee, amount: amount % AMOUNT_MAX + 1, sequence: 0 }
            })
            .collect()
    }

    fn encode(&self, draws: &[Draw]) -> Result<Run, Failure> {
        let mut bytes = Vec::with_capacity(draws.len() * 192);
        let address = |number: u32| {
            let found = self.accounts.addresses.get(number as usize).copied();
            found.ok_or_else(|| Failure::new(format!("account {number}: expected an address, found none")))
        };
        for draw in draws {
            let order = Transaction::builder(address(draw.payer)?)
                .sequence(u64::from(draw.sequence))
                .transfer(address(draw.payee)?, AssetId(0), Amount(u128::from(draw.amount)))
                .build()
                .map_err(Failure::new)?;
            let key = self.accounts.keys.get(draw.payer as usize);
            bytes.extend_from_slice(finish(order, self.ledger, key)?.bytes());
        }
        Ok(Run { bytes, count: draws.len() as u64 })
    }
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
        let bytes = |rounds: &[u64]| {
            let mut generator =
                Generator::new(&ledger, Accounts::derive(5, 50, true), 5, Distribution::Uniform).unwrap();
            let runs = rounds.iter().flat_map(|&count| generator.next(count).unwrap());
            runs.flat_map(|run| run.bytes).collect::<Vec<u8>>()
        };
        let whole = bytes(&[5000]);
        assert_eq!(whole.len(), 5000 * 192);
        assert!(whole == bytes(&[1, 4095, 4, 900]));
        assert!(whole == bytes(&[4097, 903]));
    }

    #[test]
    fn the_setup_funds_everybody_once() {
        let ledger = Ledger::new("test").unwrap();
        let accounts = Accounts::derive(5, 9000, false);
        let generator = Generator::new(&ledger, accounts, 5, Distribution::Uniform).unwrap();
        let runs: Vec<Run> = generator.setup().collect::<Result<_, _>>().unwrap();
        assert_eq!(runs.iter().map(|run| run.count).sum::<u64>(), generator.setup_count());
        let (mut operations, mut sequence) = (0, 0);
        for run in &runs {
            let mut rest = run.bytes.as_slice();
            while !rest.is_empty() {
                let (transaction, after) = nostro::TransactionRef::decode_prefix(rest).unwrap();
                assert_eq!(transaction.sequence(), sequence);
                sequence += 1;
                operations += u64::from(transaction.operation_count());
                rest = after;
            }
        }
        assert_eq!(operations, 9001);
    }
}
