//! P1 by shards: payments that are executed side by side give what the model gives for one after the other, in every layout, on every
//! number of threads, in blocks of every size, prepared early or late. Mistakes put into the schedule on purpose are noticed.
//!
//! `NOSTRO_SEEDS=10000 cargo test --release -p nostro-tests --test shards` runs more programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Digest, ExecutionShape, Outcome, PlantedOrder};
use nostro_tests::compare::{on_model, shrink};
use nostro_tests::language::{agrees, program, word};
use nostro_tests::program::Program;
use nostro_tests::random::Random;
use nostro_tests::sharded::{Run, Seen, execute};

const SHARDS: [u32; 4] = [1, 2, 7, 64];
const THREADS: [usize; 5] = [1, 2, 3, 4, 8];
const BLOCK_SIZES: [usize; 4] = [1, 2, 100, 16_384];

#[expect(clippy::disallowed_methods, reason = "how many seeds to try isn't part of any result")]
fn seeds(default: u64) -> u64 {
    std::env::var("NOSTRO_SEEDS").ok().map_or(default, |text| text.parse().expect("NOSTRO_SEEDS is a number"))
}

/// What a program does according to the model.
struct Expected {
    outcomes: Vec<Outcome>,
    digest: Digest,
}

fn expected(program: &Program) -> Expected {
    let model = on_model(program, None);
    Expected { outcomes: model.outcomes.into_iter().map(|(_, outcome)| outcome).collect(), digest: model.digest }
}

fn difference(program: &Program, expected: &Expected, seen: &Seen) -> Option<String> {
    let wrong = expected.outcomes.iter().zip(&seen.outcomes).position(|(model, own)| model != own);
    if let Some(place) = wrong {
        let (model, own) = (&expected.outcomes[place], &seen.outcomes[place]);
        return Some(format!("transaction {place}: the model says {}, the shards {}", word(model), word(own)));
    }
    assert_eq!(seen.outcomes.len(), program.steps.len());
    (expected.digest != seen.digest).then(|| "the state digests differ".to_owned())
}

fn differs(program: &Program, run: Run) -> Option<String> {
    // A mistake may also make the engine notice that money is lost.
    let quiet = std::panic::catch_unwind(|| difference(program, &expected(program), &execute(program, run)));
    quiet.unwrap_or_else(|_| Some("it panics".to_owned()))
}

fn check_against_model(program: &Program, expected: &Expected, run: Run, what: &str) -> Seen {
    let seen = execute(program, run);
    if let Some(found) = difference(program, expected, &seen) {
        let smallest = shrink(program, &mut |smaller| differs(smaller, run).is_some());
        panic!("{what}, {run:?}\n{found}\nshrunk to {smallest:?}\n{:?}", differs(&smallest, run));
    }
    seen
}

#[test]
fn random_programs_give_the_serial_result_in_every_layout_on_every_number_of_threads() {
    let count = seeds(400);
    println!("seeds 0 to {count}");
    for seed in 0..count {
        let program = Program::random(seed, false);
        let expected = expected(&program);
        for (number, block_transactions_max) in (seed..).zip(BLOCK_SIZES) {
            // One by one, which all shapes have to agree with in every block's effects.
            let serial = Run { shape: ExecutionShape::SERIAL, ..Run::new(1, 0, block_transactions_max) };
            let serial = check_against_model(&program, &expected, serial, &format!("seed {seed}"));
            for shards in SHARDS {
                let threads = THREADS[usize::try_from((number + u64::from(shards)) % 5).unwrap()];
                // Starting threads costs more than the program; every few seeds will do for more than one.
                let threads = if seed % 4 == 0 { threads } else { 1 };
                let ahead = if number % 3 == 0 { 1 } else { 3 };
                let run = Run { ahead, ..Run::new(shards, threads, block_transactions_max) };
                let seen = check_against_model(&program, &expected, run, &format!("seed {seed}"));
                assert_eq!(seen, serial, "seed {seed}, {run:?}");
            }
        }
    }
}

/// A program of plain payments between some accounts with little money, interrupted by what is ordered.
fn contention(seed: u64) -> Program {
    let mut random = Random::new(seed);
    let letters = 2 + random.index(7);
    let letter = |n: usize| char::from(b'A' + u8::try_from(n).unwrap());
    let mut text = "I*EUR:max J*USD:max ".to_owned();
    for n in 0..letters {
        text += &format!("I>{}:{} J>{}:{}@1 ", letter(n), random.below(20), letter(n), random.below(5));
    }
    // The setup has a block of its own, so that the payments find everybody there.
    text += "T=2000 ";
    for _ in 0..[10, 60, 200][random.index(3)] {
        let (payer, payee) = (letter(random.index(letters)), letter(random.index(letters)));
        let (amount, other) = (random.below(9), random.below(4));
        text += &match random.below(40) {
            0 => format!("I>{payee}:{amount} "),
            1 => format!("{payer}>I:{amount} "),
            2 => format!("{payer}>{payee}:{amount}+{payee}>{payer}:{other} "),
            3 => format!("{payer}>{payee}:{amount}/{} ", 1 + random.below(3)),
            4 => format!("{payer}>{payee}:{amount}!{} ", 1_999 + random.below(3)),
            5 => format!("{payer}>{payee}:{amount}#{} ", random.below(5)),
            6 => format!("{payer}>{}:{amount} ", letter(10 + random.index(3))),
            7 => format!("{payer}>{payee}:{amount}+{payee}>{payer}:90 "),
            8 => format!("{payer}*X{}:9 ", random.below(9)),
            9 => format!("{payer}>{payee}:{}@{} ", random.below(3), 1 + random.below(3)),
            10 => format!("{payer}>{payee}:{other}@1 "),
            11 => "T=2001 ".to_owned(),
            _ => format!("{payer}>{payee}:{amount} "),
        };
    }
    program(&text)
}

#[test]
fn contended_payments_give_the_serial_result() {
    for seed in 0..seeds(400) * 2 {
        let program = contention(seed);
        let expected = expected(&program);
        let threads = if seed % 8 == 0 { THREADS[usize::try_from(seed / 8 % 5).unwrap()] } else { 1 };
        for (shards, block) in [(1, 16_384), (2, 16_384), (7, 100), (64, 16_384)] {
            check_against_model(&program, &expected, Run::new(shards, threads, block), &format!("seed {seed}"));
        }
    }
}

#[test]
fn orders_of_all_kinds_among_payments_give_the_serial_result() {
    for seed in 0..seeds(400) * 2 {
        let program = Program::contended(seed);
        let expected = expected(&program);
        let threads = if seed % 8 == 0 { THREADS[usize::try_from(seed / 8 % 5).unwrap()] } else { 1 };
        for (shards, block) in [(1, 16_384), (7, 100), (64, 16_384)] {
            check_against_model(&program, &expected, Run::new(shards, threads, block), &format!("seed {seed}"));
        }
    }
}

#[test]
fn every_mistake_put_into_the_schedule_is_noticed() {
    let planted = [
        PlantedOrder::CreditBeforeBarrier,
        PlantedOrder::MissedContention,
        PlantedOrder::UnorderedResidual,
        PlantedOrder::UndeferredCredit,
        PlantedOrder::MissedPayment,
    ];
    for planted in planted {
        let mut run = Run::new(7, 1, 16_384);
        run.shape.planted = Some(planted);
        let (seed, program) = (0..300)
            .map(|seed| (seed, contention(seed)))
            .find(|(_, program)| differs(program, run).is_some())
            .unwrap_or_else(|| panic!("{planted:?} isn't noticed"));
        let smallest = shrink(&program, &mut |smaller| differs(smaller, run).is_some());
        assert!(differs(&smallest, run).is_some());
        println!("{planted:?}: seed {seed}, {} transactions", smallest.steps.len());
        // Two assets and their first holders, and what shows the mistake.
        assert!(smallest.steps.len() <= 12, "{planted:?}: seed {seed} shrinks only to {smallest:?}");
    }
}

/// From balances like `A=5 B=3`, a block of payments and what becomes of each, in every layout.
fn check(balances: &str, text: &str, words: &str) {
    let mint = |word: &str| {
        let (holder, amount) = word.split_once('=').expect("a balance like A=5");
        format!("I>{holder}:{amount} ")
    };
    let mints: String = balances.split_whitespace().map(mint).collect();
    let before = 1 + balances.split_whitespace().count();
    let program = program(&format!("I*EUR:max {mints} T=2000 {text}"));
    let model = expected(&program);
    for shards in SHARDS {
        for threads in [1, 2] {
            let seen = check_against_model(&program, &model, Run::new(shards, threads, 16_384), text);
            let found = &seen.outcomes[before..];
            let alike = words.split_whitespace().count() == found.len()
                && words.split_whitespace().zip(found).all(|(word, outcome)| agrees(word, outcome));
            assert!(alike, "{text}: expected {words}, found {:?}", found.iter().map(word).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_credit_earlier_in_the_block_can_be_spent_and_a_later_one_cannot() {
    check("A=5 B=0 C=0", "A>B:5 B>C:5 C>A:5 A>B:5", "ok ok ok ok");
    check("A=5 B=1 C=0", "B>C:2 A>B:5 B>C:2", "412=1 ok ok");
    check("A=1 B=1 C=1", "A>B:1 B>C:2 C>A:3 A>B:3 B>C:4", "ok ok ok ok 412=1");
}

#[test]
fn a_debit_is_only_certain_for_those_before_it() {
    check("A=5 B=0 C=0", "A>B:3 A>C:3 A>B:2 A>C:1", "ok 412=1 ok 412=1");
    check("A=5 B=9 C=0", "A>B:3 A>C:3 B>A:4 A>C:3 B>C:8", "ok 412=1 ok ok ok");
}

#[test]
fn what_is_ordered_sees_what_came_before_and_nothing_of_what_comes_after() {
    check("A=5 B=5 C=0", "A>B:5 B>C:10+C>B:1 A>C:1 B>A:1", "ok ok 412=1 ok");
    check("A=5 B=5 C=0", "B>C:6+C>B:1 A>B:5 B>C:10", "412=1 ok ok");
    check("A=5 B=0 C=0", "I>B:5 B>C:5 A>I:5 A>C:1", "ok ok ok 412=1");
}

#[test]
fn sequences_are_used_in_order_on_both_sides_of_contention() {
    check("A=5 B=9 C=0", "A>C:5#7 A>C:1#7 A>C:9#8 B>A:9 A>C:9#8 A>C:9#9", "ok 303=7 412=9 ok 303=8 ok");
    check("A=1 B=9 C=0", "B>A:1 A>C:2#100 A>C:1#36 A>C:1#37", "ok ok 304=37 412=1");
}
