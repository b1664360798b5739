//! P2, a verdict depends on its own bytes: exactly the transactions that aren't validly signed are refused, whoever their
//! neighbours are, and what is refused leaves no trace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Address, Amount, AssetId, Engine, EngineConfig, Ledger, Refusal, Signature, Time, Transaction, TransactionBuilder,
    UnsignedTransaction, WaitError,
};
use nostro_tests::directory::Directory;
use nostro_tests::language::signed_program;
use nostro_tests::random::Random;
use nostro_tests::world::{config, key, ledger, named, number, open, sign};

const EURO: AssetId = AssetId(0);

/// A pays B 1: with this sequence.
fn order(sequence: u64) -> TransactionBuilder {
    Transaction::builder(named('A')).sequence(sequence).transfer(named('B'), EURO, Amount(1))
}

/// A pays B 1 and C, who signs further, pays D 1.
fn exchange(sequence: u64) -> TransactionBuilder {
    order(sequence).transfer_from(named('C'), named('D'), EURO, Amount(1))
}

fn build(builder: TransactionBuilder) -> UnsignedTransaction {
    builder.build().unwrap()
}

fn signature(unsigned: &UnsignedTransaction, signer: char, ledger: &Ledger) -> Signature {
    key(number(signer)).sign(&unsigned.message(ledger))
}

/// Decodes after a bit has been turned over.
fn flipped(transaction: &Transaction, byte: usize, bit: u8) -> Result<Transaction, nostro::Malformed> {
    let mut bytes = transaction.bytes().to_vec();
    bytes[byte] ^= 1 << bit;
    Transaction::decode(&bytes)
}

/// Every way of signing wrongly that a test has a name for, with the signer that is told.
fn wrongly_signed(sequence: u64) -> Vec<(&'static str, Transaction, u8)> {
    let own = ledger();
    let other = Ledger::new("another ledger").unwrap();
    let with = |unsigned: UnsignedTransaction, signatures: &[Signature]| unsigned.with_signatures(signatures).unwrap();
    let plain = || build(order(sequence));
    let both = || build(exchange(sequence));
    let of_a = signature(&plain(), 'A', &own);
    let (first, second) = (signature(&both(), 'A', &own), signature(&both(), 'C', &own));
    let valid = sign(plain(), &own);
    let end = valid.bytes().len();
    let mut large_s = of_a;
    large_s.0[32..].fill(0xff);
    let bad_first = Signature([1; 64]);
    vec![
        ("another's key", with(plain(), &[signature(&plain(), 'B', &own)]), 0),
        ("for another ledger", sign(plain(), &other), 0),
        ("of another transaction", with(plain(), &[signature(&build(order(sequence + 1_000)), 'A', &own)]), 0),
        ("of zeros", with(plain(), &[Signature([0; 64])]), 0),
        ("s beyond the order", with(plain(), &[large_s]), 0),
        ("a bit of R", flipped(&valid, end - 64, 0).unwrap(), 0),
        ("a bit of s", flipped(&valid, end - 32, 0).unwrap(), 0),
        ("a bit of the lane", flipped(&valid, 6, 0).unwrap(), 0),
        ("a bit of valid_until", flipped(&valid, 23, 7).unwrap(), 0),
        ("a bit of the amount", flipped(&valid, 56 + 24, 1).unwrap(), 0),
        ("the signatures of the two swapped", with(both(), &[second, first]), 0),
        ("the first signer's missing", with(both(), &[bad_first, second]), 0),
        ("the further signer's missing", with(both(), &[first, bad_first]), 1),
        ("both missing", with(both(), &[bad_first, bad_first]), 0),
    ]
}

/// An engine on which A and C have money.
fn engine(directory: &Directory, threads: usize) -> Engine {
    let engine = open(directory.path(), EngineConfig { threads, ..config() });
    let before = signed_program("I*EUR:max I>A:100000 I>C:100000");
    let before: Vec<Transaction> = before.steps.into_iter().map(|step| step.transaction).collect();
    assert_eq!(engine.submit_batch(&before).unwrap().wait().unwrap().applied(), 3);
    engine
}

#[test]
fn each_wrong_signature_is_refused_at_every_place_among_valid_ones_and_its_sequence_stays_free() {
    let directory = Directory::in_memory();
    let engine = engine(&directory, 2);
    let submitter = engine.submitter();
    let length = 12;
    let mut sequence = 0;
    let mut transactions_settled = engine.snapshot().unwrap().transaction_count();
    for place in 0..length {
        for kind in 0..wrongly_signed(0).len() {
            let batch: Vec<u64> = (0..length as u64).map(|n| sequence + n).collect();
            let mut orders: Vec<Transaction> = batch.iter().map(|&n| sign(build(order(n)), engine.ledger())).collect();
            let (name, wrong, signer) = wrongly_signed(batch[place]).swap_remove(kind);
            orders[place] = wrong;
            let receipts = submitter.submit_batch(&orders).unwrap().wait().unwrap();
            for n in 0..length {
                let found = receipts.get(n).unwrap();
                if n == place {
                    assert_eq!(found, Err(Refusal::BadSignature { signer }), "{name} at {place}");
                } else {
                    assert!(found.unwrap().outcome.is_applied(), "{n} beside {name} at {place}");
                }
            }
            assert_eq!((receipts.applied(), receipts.refused(), receipts.len()), (length - 1, 1, length));
            let right = sign(build(order(batch[place])), engine.ledger());
            assert!(submitter.submit(&right).unwrap().wait().unwrap().outcome.is_applied(), "{name}: sequence used up");
            transactions_settled += length as u64;
            sequence += length as u64;
        }
    }
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(snapshot.transaction_count(), transactions_settled, "what is refused is in no block");
    assert_eq!(snapshot.balance(&named('B'), EURO), Amount(sequence.into()));
}

#[test]
fn every_flipped_bit_is_malformed_or_refused() {
    let directory = Directory::in_memory();
    let engine = engine(&directory, 2);
    for unsigned in [build(order(5).valid_until(Time(u64::MAX)).lane(3)), build(exchange(5))] {
        let valid = sign(unsigned, engine.ledger());
        let flip = |place: usize| flipped(&valid, place / 8, u8::try_from(place % 8).unwrap());
        let decoded: Vec<Transaction> = (0..valid.bytes().len() * 8).filter_map(|place| flip(place).ok()).collect();
        assert!(decoded.len() > 1_000, "most flipped bits leave it well-formed, {} do", decoded.len());
        let receipts = engine.submit_batch(&decoded).unwrap().wait().unwrap();
        for (transaction, receipt) in decoded.iter().zip(receipts.iter()) {
            assert!(matches!(receipt, Err(Refusal::BadSignature { .. })), "{transaction:?}: {receipt:?}");
        }
        assert_eq!(receipts.refused(), decoded.len());
        assert!(engine.submit(&valid).unwrap().wait().unwrap().outcome.is_applied());
    }
}

#[test]
fn neighbours_batches_and_threads_change_no_verdict() {
    let mut random = Random::new(11);
    let mut orders: Vec<(Transaction, Option<u8>)> = Vec::new();
    for sequence in 0..60 {
        let right = if random.chance(50) { order(sequence) } else { exchange(sequence) };
        orders.push((sign(build(right), &ledger()), None));
        let (_, wrong, signer) = wrongly_signed(sequence).swap_remove(random.index(14));
        orders.push((wrong, Some(signer)));
    }
    for (threads, longest) in [(1, 1), (1, 1_000), (2, 7), (4, 30)] {
        let directory = Directory::in_memory();
        let engine = engine(&directory, threads);
        random.shuffle(&mut orders);
        let mut tickets = Vec::new();
        for batch in orders.chunks(longest) {
            let transactions: Vec<Transaction> = batch.iter().map(|(transaction, _)| transaction.clone()).collect();
            tickets.push(engine.submit_batch(&transactions).unwrap());
        }
        let receipts = tickets.into_iter().flat_map(|tickets| tickets.wait().unwrap().iter().collect::<Vec<_>>());
        for ((transaction, wrong), receipt) in orders.iter().zip(receipts) {
            let expected = wrong.map(|signer| Refusal::BadSignature { signer });
            assert_eq!(receipt.err(), expected, "{threads} threads, batches of {longest}: {transaction:?}");
        }
    }
}

#[test]
fn a_single_wrong_transaction_is_refused_with_the_reason() {
    let directory = Directory::in_memory();
    let engine = engine(&directory, 1);
    for (name, wrong, signer) in wrongly_signed(0) {
        let error = engine.submit(&wrong).unwrap().wait().unwrap_err();
        assert_eq!(error, WaitError::Refused(Refusal::BadSignature { signer }), "{name}");
        assert!(error.to_string().contains(&format!("signer {signer}")), "{error}");
    }
    assert_eq!(engine.snapshot().unwrap().sequence(&named('A'), 0), None);
}

#[test]
fn an_account_that_never_signed_validly_never_comes_into_being() {
    let directory = Directory::in_memory();
    let engine = engine(&directory, 1);
    let stranger: Address = named('Z');
    let unsigned = build(Transaction::builder(stranger).transfer(named('Y'), EURO, Amount(1)));
    let wrong = unsigned.with_signatures(&[Signature([9; 64])]).unwrap();
    assert!(engine.submit(&wrong).unwrap().wait().is_err());
    let snapshot = engine.snapshot().unwrap();
    assert!(!snapshot.contains(&stranger) && !snapshot.contains(&named('Y')));
}

#[test]
fn an_all_wrong_submission_leaves_no_block() {
    let directory = Directory::in_memory();
    let engine = engine(&directory, 2);
    let height = engine.snapshot().unwrap().height();
    let wrong: Vec<Transaction> = (0..3_000).map(|n| wrongly_signed(n).swap_remove(3).1).collect();
    let receipts = engine.submit_batch(&wrong).unwrap().wait().unwrap();
    assert_eq!((receipts.refused(), receipts.applied(), receipts.rejected()), (3_000, 0, 0));
    assert_eq!(engine.snapshot().unwrap().height(), height);
}

#[test]
fn hints_right_wrong_or_missing_change_no_verdict() {
    let directory = Directory::in_memory();
    let engine = engine(&directory, 2);
    let hint = |transaction: &Transaction| Signature(*transaction.bytes().last_chunk().unwrap()).hint().unwrap();
    let (mut bytes, mut hints) = (Vec::new(), Vec::new());
    // Every third signature is broken; hints are right, wrong, another's, zero or no number at all in turn; the last ones lack
    // theirs.
    for sequence in 0..600_u64 {
        let transaction = sign(build(order(sequence)), &ledger());
        let others = sign(build(order(sequence + 10_000)), &ledger());
        let kinds =
            [hint(&transaction), hint(&transaction).map(|byte| byte ^ 0x55), hint(&others), [0; 32], [0xff; 32]];
        hints.extend(kinds[usize::try_from(sequence % 5).unwrap()]);
        bytes.extend_from_slice(transaction.bytes());
        if sequence % 3 == 0 {
            *bytes.last_mut().unwrap() ^= 0x10;
        }
    }
    hints.truncate(550 * 32 + 7);
    // Verified together with those of others first, then apart from them.
    for round in 0..2 {
        let receipts = engine.submitter().submit_hinted(&bytes, &hints).unwrap().wait().unwrap();
        for index in 0..600 {
            assert_eq!(receipts.get(index).unwrap().is_err(), index % 3 == 0, "transaction {index}, round {round}");
        }
    }
}
