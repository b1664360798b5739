//! Cuts transactions that lie back to back into batches, by the lengths they begin with, with the hints that belong to them.

use super::hints::HINT_BYTES;

/// Where the keys of a transaction that names them are counted, if it has one signer; each further signer takes 32 bytes more.
const KEYS_OFFSET: usize = 56;

/// What is left of a run of transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutter<'a> {
    transactions: &'a [u8],
    /// Of their signatures in order; none, or of all.
    hints: &'a [u8],
}

/// Transactions back to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) count: u32,
    /// Hints for their signatures in order, or none.
    pub(crate) hints: &'a [u8],
}

impl<'a> Cutter<'a> {
    pub(crate) const fn new(transactions: &'a [u8]) -> Self {
        Self { transactions, hints: &[] }
    }

    /// With hints for the signatures of all transactions; or with none, which are no bytes.
    pub(crate) const fn with_hints(transactions: &'a [u8], hints: &'a [u8]) -> Self {
        Self { transactions, hints }
    }

    /// Whether everything was taken.
    pub(crate) const fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// The next `count` transactions, fewer at the end. Bytes that can't be cut are given whole, as one: admission says what is
    /// wrong with them.
    pub(crate) fn take(&mut self, count: u32) -> Piece<'a> {
        self.cut(|taken, _| taken >= count)
    }

    /// The next transactions up to so many bytes, to be cut further.
    pub(crate) fn part(&mut self, bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes >= self.transactions.len() {
            return std::mem::replace(self, Self::new(&[]));
        }
        if self.hints.is_empty() {
            let (part, rest) = self.transactions.split_at(bytes);
            *self = Self::new(rest);
            return Self::new(part);
        }
        let piece = self.cut(|_, end| end >= bytes);
        Self { transactions: piece.bytes, hints: piece.hints }
    }

    fn cut(&mut self, is_enough: impl Fn(u32, usize) -> bool) -> Piece<'a> {
        let (mut end, mut taken, mut signatures) = (0_usize, 0_u32, 0_usize);
        while !is_enough(taken, end) && end < self.transactions.len() {
            let rest = self.transactions.get(end..).unwrap_or_default();
            let words = rest.get(4..).and_then(<[u8]>::first_chunk).copied().map(u16::from_le_bytes);
            let bytes = usize::from(words.unwrap_or(0)) * 8;
            if !self.hints.is_empty() {
                signatures += signature_count(rest);
            }
            end = if bytes == 0 {
                self.transactions.len()
            } else {
                end.saturating_add(bytes).min(self.transactions.len())
            };
            taken += 1;
        }
        let (bytes, transactions) = self.transactions.split_at(end);
        let (hints, others) = self.hints.split_at(self.hints.len().min(signatures.saturating_mul(HINT_BYTES)));
        *self = Self { transactions, hints: others };
        Piece { bytes, count: taken, hints }
    }
}

/// How many signatures a transaction says it has: one for each signer, or for each key that it names.
fn signature_count(transaction: &[u8]) -> usize {
    let Some(&[format, signers]) = transaction.first_chunk() else { return 0 };
    let signers = usize::from(signers);
    let keys = || transaction.get(KEYS_OFFSET + signers.saturating_sub(1) * 32).copied().unwrap_or(0);
    if format == 1 { signers } else { usize::from(keys()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nostro::{Amount, AssetId, KeyPair, Ledger, Transaction, TransactionRef};

    #[test]
    fn hints_go_with_their_transactions() {
        let ledger = Ledger::new("test").unwrap();
        let keys = [1, 2, 3].map(|seed| KeyPair::from_seed(&[seed; 32]));
        let (mut bytes, mut hints, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for sequence in 0..20_u8 {
            let [one, two, three] = keys.each_ref();
            let order = Transaction::builder(one.address()).sequence(u64::from(sequence) + 1);
            let order = order.transfer(three.address(), AssetId(0), Amount(1));
            let signed = match sequence % 3 {
                0 => order.build().unwrap().sign(&ledger, &[one]),
                1 => order
                    .transfer_from(two.address(), one.address(), AssetId(0), Amount(2))
                    .build()
                    .unwrap()
                    .sign(&ledger, &[one, two]),
                _ => order
                    .signed_by(one.address(), three.address())
                    .signed_by(one.address(), two.address())
                    .build()
                    .unwrap()
                    .sign(&ledger, &[two, three]),
            };
            let signed = signed.unwrap();
            let count = TransactionRef::decode(signed.bytes()).unwrap().signature_count();
            bytes.extend_from_slice(signed.bytes());
            hints.extend(std::iter::repeat_n([sequence; HINT_BYTES], usize::from(count)).flatten());
            counts.push(usize::from(count));
        }
        assert!(counts.contains(&1) && counts.contains(&2));
        let mut cutter = Cutter::with_hints(&bytes, &hints);
        let mut first = 0;
        while !cutter.is_empty() {
            let piece = cutter.take(7);
            let numbers = first..first + piece.count as usize;
            let expected =
                numbers.clone().flat_map(|number| vec![u8::try_from(number).unwrap(); counts[number] * HINT_BYTES]);
            assert!(piece.hints.iter().copied().eq(expected), "{numbers:?}");
            first = numbers.end;
        }
        assert_eq!(first, 20);
        assert!(Cutter::new(&bytes).take(20).hints.is_empty());

        let mut cutter = Cutter::with_hints(&bytes, &hints);
        let head = cutter.take(4);
        let mut whole = Cutter::with_hints(&bytes, &hints);
        let mut part = whole.part(head.bytes.len() as u64);
        assert_eq!((part.take(9).hints, part.is_empty()), (head.hints, true));
        assert_eq!(whole.part(u64::MAX).take(20).hints, cutter.take(20).hints);
        assert!(whole.is_empty());
    }
}
