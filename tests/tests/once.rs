//! P7, once: a signed transaction is applied at most once, forever, however often it is submitted: in one batch, by many at the
//! same time, after a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Amount, AssetId, Engine, Outcome, RejectionCode, Transaction};
use nostro_tests::directory::Directory;
use nostro_tests::language::{agrees, program, signed_program, word};
use nostro_tests::random::Random;
use nostro_tests::world::{config, named, open, trusting};

const EURO: AssetId = AssetId(0);

fn transactions(text: &str) -> Vec<Transaction> {
    program(text).steps.into_iter().map(|step| step.transaction).collect()
}

fn settle(engine: &Engine, transactions: &[Transaction]) -> Vec<Outcome> {
    let receipts = engine.submit_batch(transactions).unwrap().wait().unwrap();
    receipts.iter().map(|receipt| receipt.expect("not refused").outcome).collect()
}

fn assert_outcomes(found: &[Outcome], expected: &str) {
    let expected: Vec<&str> = expected.split_whitespace().collect();
    let words: Vec<String> = found.iter().map(word).collect();
    let alike = expected.len() == found.len() && expected.iter().zip(found).all(|(word, found)| agrees(word, found));
    assert!(alike, "expected {expected:?}, found {words:?}");
}

#[test]
fn a_transaction_submitted_again_is_a_duplicate_before_and_after_restarts() {
    let directory = Directory::in_memory();
    let orders: Vec<Transaction> =
        signed_program("I*EUR:max I>A:50 A>B:1 A>B:2/7").steps.into_iter().map(|step| step.transaction).collect();
    let engine = open(directory.path(), config());
    assert_outcomes(&settle(&engine, &orders), "ok ok ok ok");
    assert_outcomes(&settle(&engine, &orders), "303=0 303=1 303=0 303=0");
    engine.close().unwrap();

    for restart in 1..=3 {
        let engine = open(directory.path(), config());
        assert_outcomes(&settle(&engine, &orders), "303=0 303=1 303=0 303=0");
        let snapshot = engine.snapshot().unwrap();
        assert_eq!(snapshot.balance(&named('B'), EURO), Amount(3), "restart {restart}");
        assert_eq!(snapshot.transaction_count(), 4 * (2 + restart), "rejected ones are in the history");
        engine.close().unwrap();
    }
}

#[test]
fn the_whole_history_submitted_again_in_any_order_changes_nothing() {
    let directory = Directory::in_memory();
    let text: String = (0..300).map(|n| format!("A>{}:1 B>A:1/{} ", ['B', 'C', 'D'][n % 3], n % 5)).collect();
    let mut orders = transactions(&format!("I*EUR:max I>A:200 {text}"));
    let engine = open(directory.path(), trusting());
    settle(&engine, &orders);
    let before: Vec<_> = engine.snapshot().unwrap().accounts().collect();
    engine.close().unwrap();

    let mut random = Random::new(7);
    for _ in 0..3 {
        let engine = open(directory.path(), trusting());
        random.shuffle(&mut orders);
        for outcome in settle(&engine, &orders) {
            let Outcome::Rejected(no) = outcome else { panic!("applied twice") };
            assert!(matches!(no.code, RejectionCode::Duplicate | RejectionCode::OutOfWindow), "{no}");
        }
        assert_eq!(engine.snapshot().unwrap().accounts().collect::<Vec<_>>(), before);
        engine.close().unwrap();
    }
}

#[test]
fn of_many_who_submit_the_same_at_the_same_time_one_gets_through() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    settle(&engine, &transactions("I*EUR:max I>A:1000"));
    let text: String = (0..50).map(|n| format!("A>B:1#{n} ")).collect();
    let orders = transactions(&text);
    let applied: usize = std::thread::scope(|scope| {
        let submit = |seed| {
            let (engine, mut own) = (&engine, orders.clone());
            scope.spawn(move || {
                Random::new(seed).shuffle(&mut own);
                let submitter = engine.submitter();
                let tickets: Vec<_> = own.iter().map(|order| submitter.submit(order).unwrap()).collect();
                let receipts = tickets.into_iter().map(|ticket| ticket.wait().unwrap());
                receipts.filter(|receipt| receipt.outcome.is_applied()).count()
            })
        };
        let threads: Vec<_> = (0..8).map(submit).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(applied, 50);
    assert_eq!(engine.snapshot().unwrap().balance(&named('B'), EURO), Amount(50));
}

#[test]
fn of_two_orders_with_one_sequence_the_first_is_applied() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let orders = transactions("I*EUR:max I>A:9 A>B:1#0 A>C:2#0 A>C:2#0/1");
    assert_outcomes(&settle(&engine, &orders), "ok ok ok 303=0 ok");
    let snapshot = engine.snapshot().unwrap();
    assert_eq!((snapshot.balance(&named('B'), EURO), snapshot.balance(&named('C'), EURO)), (Amount(1), Amount(2)));
    assert_eq!((snapshot.sequence(&named('A'), 0), snapshot.sequence(&named('A'), 2)), (Some(0), None));
}

#[test]
fn what_fell_out_of_the_window_stays_out_after_a_restart() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    assert_outcomes(&settle(&engine, &transactions("I*EUR:max I>A:9 A>B:1#10 A>B:1#500")), "ok ok ok ok");
    engine.close().unwrap();
    let engine = open(directory.path(), trusting());
    let again = transactions("A>B:1#10 A>B:1#436 A>B:1#437 A>B:1#500");
    assert_outcomes(&settle(&engine, &again), "304=437 304=437 ok 303=500");
}

#[test]
fn a_rejected_transaction_cannot_be_applied_later() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let late = transactions("A>B:5#0");
    assert_outcomes(&settle(&engine, &late), "401=0");
    assert_outcomes(&settle(&engine, &transactions("I*EUR:max I>A:5")), "ok ok");
    engine.close().unwrap();
    let engine = open(directory.path(), trusting());
    assert_outcomes(&settle(&engine, &late), "303=0");
    assert_outcomes(&settle(&engine, &transactions("A>B:5#1")), "ok");
}
