//! P1, serial equivalence: whatever the block size, the threads and the cuts of the submissions, the result is that of applying
//! transactions one by one. Random and hand-written programs, on the naive model and on engines of many shapes.
//!
//! `NOSTRO_SEEDS=5000 cargo test -p nostro-tests --test determinism` runs more of them. A seed that found something becomes a case here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Address, Amount, AssetId, EngineConfig, Time, Transaction};
use nostro_tests::compare::{Shape, difference, differs, on_engine, on_model, shrink};
use nostro_tests::directory::Directory;
use nostro_tests::language::{agrees, program, word};
use nostro_tests::model::Bug;
use nostro_tests::program::Program;
use nostro_tests::random::{Random, seeds};
use nostro_tests::world::{named, open, trusting, unsigned};

const BLOCK_SIZES: [usize; 5] = [1, 2, 7, 100, 16_384];
const THREADS: [usize; 3] = [1, 2, 4];

/// The shapes a program of a seed runs in: every block size, with a different number of threads from seed to seed.
fn shapes(seed: u64) -> impl Iterator<Item = Shape> {
    BLOCK_SIZES.into_iter().zip(0_u64..).map(move |(block_transactions_max, n)| {
        let threads = THREADS[usize::try_from((seed + n) % 3).unwrap()];
        let reopens = (seed + n).is_multiple_of(8);
        Shape { block_transactions_max, threads, cuts: seed * 31 + n, verifies: false, reopens }
    })
}

/// Fails with the smallest program that still differs.
fn report(seed: u64, program: &Program, shape: Shape, what: &str) -> ! {
    let smallest = shrink(program, &mut |smaller| differs(smaller, shape, None).is_some());
    let still = differs(&smallest, shape, None).unwrap_or_else(|| "nothing any more: it depends on timing".to_owned());
    panic!("seed {seed}, {shape:?}\n{what}\nshrunk to {smallest:?}\n{still}");
}

#[test]
fn random_programs_give_the_serial_result_in_every_shape() {
    let count = seeds(300);
    println!("seeds 0 to {count}");
    for seed in 0..count {
        let program = Program::random(seed, false);
        let model = on_model(&program, None);
        for shape in shapes(seed) {
            if let Some(what) = difference(&program, &model, &on_engine(&program, shape)) {
                report(seed, &program, shape, &what);
            }
        }
    }
}

#[test]
fn programs_with_true_signatures_give_the_serial_result_too() {
    let first = 1_000_000;
    for seed in first..first + seeds(300) / 20 {
        let program = Program::random(seed, true);
        let model = on_model(&program, None);
        for shape in shapes(seed).skip(2) {
            let shape = Shape { verifies: true, ..shape };
            if let Some(what) = difference(&program, &model, &on_engine(&program, shape)) {
                report(seed, &program, shape, &what);
            }
        }
    }
}

#[test]
fn every_mistake_put_into_the_model_is_noticed_and_shrunk() {
    for bug in Bug::ALL {
        let found = (0..400).find_map(|seed| {
            let program = Program::random(seed, false);
            // Where the model with the mistake agrees with the one without, no engine can tell them apart.
            difference(&program, &on_model(&program, Some(bug)), &on_model(&program, None))?;
            Some((seed, program))
        });
        let (seed, program) = found.unwrap_or_else(|| panic!("no program meets {bug:?}"));
        let noticed = differs(&program, Shape::PLAIN, Some(bug));
        assert!(noticed.is_some(), "{bug:?}: seed {seed} doesn't show it to the engine");
        let mut still =
            |smaller: &Program| difference(smaller, &on_model(smaller, Some(bug)), &on_model(smaller, None)).is_some();
        let smallest = shrink(&program, &mut still);
        assert!(differs(&smallest, Shape::PLAIN, Some(bug)).is_some(), "{bug:?}: shrunk too far:{smallest:?}");
        // 65 lanes take 65 transactions.
        let length_max = if bug == Bug::LanesTooMany { 66 } else { 6 };
        assert!(smallest.steps.len() <= length_max, "{bug:?}: seed {seed} shrinks only to{smallest:?}");
    }
}

/// Runs a program from a text in every shape and compares what becomes of each transaction with a text, and everything with the
/// model. `balances` are minted first, by I: `A=5 B=3`.
fn check(balances: &str, text: &str, expected: &str) {
    let mint = |word: &str| {
        let (holder, amount) = word.split_once('=').expect("a balance like A=5");
        format!("I>{holder}:{amount} ")
    };
    let mints: String = balances.split_whitespace().map(mint).collect();
    let before = 1 + balances.split_whitespace().count();
    let program = program(&format!("I*EUR:max {mints} {text}"));
    let model = on_model(&program, None);
    for shape in shapes(0).chain(shapes(1)) {
        let engine = on_engine(&program, shape);
        let found = &engine.outcomes[before..];
        let words: Vec<String> = found.iter().map(|(_, outcome)| word(outcome)).collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let alike = expected.len() == found.len();
        let alike = alike && expected.iter().zip(found).all(|(word, (_, outcome))| agrees(word, outcome));
        assert!(alike, "{text}\nexpected {expected:?}\nfound    {words:?}\n{shape:?}");
        if let Some(what) = difference(&program, &model, &engine) {
            panic!("{text}\n{what}\n{shape:?}");
        }
    }
}

#[test]
fn a_credit_in_the_same_block_can_be_spent() {
    check("A=5", "A>B:5 B>C:5 A>C:1", "ok ok 412=1");
    check("A=5", "B>C:5 A>B:5 B>C:5", "412=5 ok ok");
    check("A=1", "A>B:1 B>C:1 C>D:1 D>E:1 E>A:1 A>B:2", "ok ok ok ok ok 412=1");
}

#[test]
fn a_transaction_takes_effect_as_a_whole_or_not_at_all() {
    check("A=5", "A>B:3+A>C:3 A>C:5", "412.1=1 ok");
    check("A=5", "A>B:5+B>C:5+C>D:5 D>A:5", "ok ok");
    check("A=5 B=5", "A>B:5+B>A:11 A>C:5 B>C:5", "412.1=1 ok ok");
    check("A=5", "A>B:1+A>B:1+A>B:1+A>B:0 A>B:5", "411.3 ok");
}

#[test]
fn several_signers_exchange_in_a_cycle() {
    check("A=5 B=5 C=5", "A>B:5+B>C:5+C>A:5", "ok");
    check("A=5", "A>B:5+B>C:5+C>A:5", "ok");
    check("A=5", "A>B:5+B>C:6+C>A:5", "412.1=1");
    check("A=5", "C>B:1+A>C:5", "412=1");
}

#[test]
fn accounts_opened_by_a_rejected_transaction_are_gone() {
    check("A=5", "A>X:1+A>Y:9 A>Z:1 A>X:1 A>Y:1", "412.1=5 ok ok ok");
    check("A=5", "A>X:1+X>Y:1+Y>Z:2 A>Z:5", "412.2=1 ok");
}

#[test]
fn an_account_that_only_tried_is_there_and_its_sequence_is_used() {
    check("A=5", "X>A:1#0 A>X:1 X>B:1#0 X>B:1#1", "412=1 ok 303=0 ok");
}

#[test]
fn a_rejected_registration_gives_its_number_back() {
    check("", "J*USD:9+J>A:10@1 K*YEN:9 K>A:9@1 J*USD:9 J>A:9@2", "413.1=1 ok ok ok ok");
    check("", "J*USD:9+J*USD:9 J*USD:9 J>A:9@1", "402.1=1 ok ok");
    check("", "J*USD:9 J*USD:8 K*USD:7 I*EUR:1", "ok 402=1 ok 402=0");
}

#[test]
fn mints_and_burns_keep_to_the_supply() {
    check("", "J*USD:10 J>A:10@1 J>A:1@1 A>J:1@1 J>B:1@1 J>B:1@1", "ok ok 413=1 ok ok 413=1");
    check("", "I>A:max I>A:1 A>I:1 I>B:1 A>B:max", "ok 413=1 ok ok 412=1");
    check("A=5", "A>I:6 A>I:5 A>I:1", "412=1 ok 412=1");
    check("", "J*USD:0 J>A:1@1", "ok 413=1");
    check("", "I>A:max+A>I:max+I>B:max+B>I:max", "ok");
}

#[test]
fn a_mint_above_the_room_by_more_than_a_number_holds_says_so() {
    check("", "J*USD:1 J>A:max@1 A>B:max", "ok 413=18446744073709551615 412=18446744073709551615");
}

#[test]
fn what_pays_nobody_or_nothing_is_rejected_in_order_of_precedence() {
    check("A=5", "A>A:1 A>B:0 A>A:0 A>A:0@9 A>B:1@9 I>I:5", "410 411 410 401=9 401=9 410");
}

#[test]
fn a_sequence_is_used_once_in_any_order_within_the_window() {
    check("A=9", "A>B:1#63 A>B:1#0 A>B:1#0 A>B:1#63 A>B:1#64 A>B:1#1 A>B:1#0", "ok ok 303=0 303=63 ok ok 304=1");
    check("A=9", "A>B:1#0 A>B:1#200 A>B:1#137 A>B:1#136", "ok ok ok 304=137");
    check("A=9", "A>B:1#18446744073709551615 A>B:1#0", "ok 304=18446744073709551552");
    check("A=9", "A>B:99#5 A>B:1#5 A>B:1#4", "412=90 303=5 ok");
}

#[test]
fn lanes_are_windows_of_their_own_and_there_are_sixty_four() {
    check("A=9", "A>B:1#0 A>B:1#0/1 A>B:1#0/65535 A>B:1#0/1", "ok ok ok 303=0");
    let all: String = (1..=65).map(|lane| format!("A>B:1#0/{lane} ")).collect();
    let expected = format!("{}305=64 305=64 ok", "ok ".repeat(63));
    check("A=99", &format!("{all} A>B:1#0"), &expected);
}

#[test]
fn a_transaction_is_valid_until_its_last_block_time() {
    check("A=9", "T=2000 A>B:1!2000 A>B:1!1999 A>B:1!2001", "ok 301=2000 ok");
    check("A=9", "T=2000 A>B:1 T=1500 A>B:1!1999 A>B:1!2000", "ok 301=2000 ok");
    check("A=9", "T=2000 A>B:1#0!1 A>B:1#0", "301=2000 303=0");
    check("A=9", "T=2000 A>B:1#0 A>B:1#0!1 A>B:1#0!2000", "ok 301=2000 303=0");
}

#[test]
fn an_expired_transaction_opens_its_account() {
    check("A=9", "T=2000 X>B:1!1 A>Y:1 A>X:1", "301=2000 ok ok");
}

/// Payments between many accounts, most of which have little, so that some outcomes hang on others.
fn crowd(seed: u64) -> (Transaction, Vec<Transaction>) {
    const ACCOUNTS: usize = 3_000;
    let address = |n: usize| {
        let mut bytes = [0xc0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
        Address(bytes)
    };
    let mut random = Random::new(seed);
    let register = Transaction::builder(named('I')).register_asset("EUR".parse().unwrap(), 0, Amount::MAX);
    let mut orders: Vec<Transaction> = Vec::new();
    for (first, sequence) in (0..ACCOUNTS).step_by(200).zip(1..) {
        let mint = |order: nostro::TransactionBuilder, n: usize| {
            order.transfer(address(n), AssetId(0), Amount(if n.is_multiple_of(3) { 1_000 } else { 9 }))
        };
        orders.push(unsigned(
            (first..first + 200).fold(Transaction::builder(named('I')).sequence(sequence), mint).build().unwrap(),
        ));
    }
    let mut sequences = vec![0; ACCOUNTS];
    for _ in 0..40_000 {
        let payer = random.index(ACCOUNTS);
        let payee = if random.below(5) == 0 { random.index(7) } else { random.index(ACCOUNTS) };
        let order = Transaction::builder(address(payer)).sequence(sequences[payer]);
        sequences[payer] += random.below(2);
        let order = order.transfer(address(payee), AssetId(0), Amount(u128::from(1 + random.below(12))));
        orders.push(unsigned(order.build().unwrap()));
    }
    (unsigned(register.build().unwrap()), orders)
}

#[test]
fn a_whole_engine_that_goes_by_shards_gives_the_serial_result() {
    let (register, orders) = crowd(7);
    let mut expected = None;
    let mut by_shards = 0;
    for (execute_threads, block_transactions_max) in
        [(1, 1), (1, 100), (1, 16_384), (2, 16_384), (3, 16_384), (4, 16_384), (8, 16_384), (8, 5_000), (8, 100)]
    {
        let directory = Directory::in_memory();
        let config = EngineConfig {
            execute_threads,
            block_transactions_max,
            block_bytes_max: 4 << 20,
            segment_bytes: 64 << 20,
            ..trusting()
        };
        let engine = open(directory.path(), config.clone());
        let submitter = engine.submitter().waiting().at(Time(1_000));
        let _ = submitter.submit_batch(std::slice::from_ref(&register)).unwrap().wait().unwrap();
        let (before, after) = orders.split_at(20_000);
        let outcomes =
            |receipts: nostro::Receipts| receipts.iter().map(|receipt| receipt.unwrap().outcome).collect::<Vec<_>>();
        let mut seen = outcomes(submitter.submit_batch(before).unwrap().wait().unwrap());
        by_shards += engine.stats().shards.transactions;
        engine.close().unwrap();
        let engine = open(directory.path(), config);
        let submitter = engine.submitter().waiting().at(Time(1_000));
        seen.extend(outcomes(submitter.submit_batch(after).unwrap().wait().unwrap()));
        by_shards += engine.stats().shards.transactions;
        let digest = engine.snapshot().unwrap().digest();
        engine.close().unwrap();
        let (outcomes, state) = expected.get_or_insert_with(|| (seen.clone(), digest));
        let differs = outcomes.iter().zip(&seen).position(|(one, other)| one != other);
        assert_eq!((differs, *state), (None, digest), "{execute_threads} threads, {block_transactions_max} per block");
    }
    assert!(by_shards > 20_000, "only {by_shards} transactions went by shards");
}
