//! P1 by shards: payments that are executed side by side give what the model gives for one after the other, in every layout, on every
//! number of threads, in blocks of every size, prepared early or late. Mistakes put into the schedule on purpose are noticed.
//!
//! `NOSTRO_SEEDS=10000 cargo test --release -p nostro-tests --test shards` runs more programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amount, AssetId, AuthorityRules, Authorize, Comparison, Grant, GrantAction, GrantKind, GrantName, GrantTerms, Hold,
    PlantedOrder, Predicate, RejectionCode, Require, Settle, Share, Time, Transfer,
};
use nostro_tests::case::{Case, pay};
use nostro_tests::compare::shrink;
use nostro_tests::language::{agrees, program, word};
use nostro_tests::program::Program;
use nostro_tests::random::{Random, seeds};
use nostro_tests::sharded::{Run, SHARDS, check_against_model, check_case, check_layouts, differs, expected};
use nostro_tests::world::named;

const THREADS: [usize; 5] = [1, 2, 3, 4, 8];
const BLOCK_SIZES: [usize; 4] = [1, 2, 100, 16_384];

#[test]
fn random_programs_give_the_serial_result_in_every_layout_on_every_number_of_threads() {
    let count = seeds(400);
    println!("seeds 0 to {count}");
    for seed in 0..count {
        let program = Program::random(seed, false);
        let expected = expected(&program);
        for (number, block_transactions_max) in (seed..).zip(BLOCK_SIZES) {
            // One by one, which all shapes have to agree with in every block's effects.
            let serial = Run::new(1, 0, block_transactions_max).serial();
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
        let layouts = [1, 2, 64].map(|shards| (shards, threads));
        check_layouts(&program, &expected, 16_384, &layouts, &format!("seed {seed}"));
        check_layouts(&program, &expected, 100, &[(7, threads)], &format!("seed {seed}"));
    }
}

#[test]
fn orders_of_all_kinds_among_payments_give_the_serial_result() {
    for seed in 0..seeds(400) * 2 {
        let program = Program::contended(seed);
        let expected = expected(&program);
        let threads = if seed % 8 == 0 { THREADS[usize::try_from(seed / 8 % 5).unwrap()] } else { 1 };
        let layouts = [1, 64].map(|shards| (shards, threads));
        check_layouts(&program, &expected, 16_384, &layouts, &format!("seed {seed}"));
        check_layouts(&program, &expected, 100, &[(7, threads)], &format!("seed {seed}"));
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
        PlantedOrder::PromisesByShard,
        PlantedOrder::Unreserved,
        PlantedOrder::BlindPlans,
    ];
    for planted in planted {
        // One thread has all shards in one part.
        let threads = if planted == PlantedOrder::PromisesByShard { 2 } else { 1 };
        let mut run = Run::new(7, threads, 16_384);
        run.shape.planted = Some(planted);
        let (seed, program) = (0..300)
            .flat_map(|seed| [contention(seed), Program::contended(seed), Program::trading(seed)].map(|it| (seed, it)))
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

/// A case in which letters have money before the last block, and who issues it is known.
fn with_money(balances: &str) -> Case {
    let mut case = Case::with_money(&format!("{balances} Z=1"));
    case.at(1_100).ok('Z', pay('I', 1, 0));
    case
}

fn hold(id: u64, payee: char, amount: u128) -> Hold {
    Hold { id, amount: Amount(amount), payees: vec![Share { payee: named(payee), parts: 1 }], ..Hold::default() }
}

fn settle(owner: char, id: u64) -> Settle {
    Settle { owner: named(owner), id, ..Settle::default() }
}

fn has(letter: char, amount: u128) -> Predicate {
    Predicate::balance(named(letter), AssetId(0), Comparison::AtLeast, Amount(amount))
}

fn grant(to: char, terms: GrantTerms) -> Grant {
    let terms = GrantTerms { to: named(to), ..terms };
    let id = if terms.kind == GrantKind::Act { GrantTerms::acting_id(&terms.to) } else { 1 };
    Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }
}

#[test]
fn a_balance_that_is_asked_for_is_that_of_its_position() {
    let mut case = with_money("A=9 B=1 C=7 D=1");
    case.at(2_000).ok('A', Require { predicate: has('C', 7) }).ok('C', pay('D', 5, 0)).no(
        'A',
        Require { predicate: has('C', 3) },
        RejectionCode::RequirementUnmet,
        0,
    );
    check_case(&case);
    // What was promised before the block, and in it.
    for made in [1_200, 2_000] {
        let mut case = with_money("A=9 B=1 C=7 D=1 E=9");
        let release = Predicate::before(Time(1)).or(&has('C', 7));
        case.at(made)
            .ok('A', Hold { release: release.clone(), ..hold(1, 'B', 2) })
            .ok('A', Hold { cancel: release.negated(), ..hold(2, 'B', 2) })
            .ok('A', grant('B', GrantTerms { predicate: release, ..GrantTerms::default() }))
            .at(2_000)
            .ok('E', pay('A', 1, 0))
            .ok('B', Transfer { grant: Some(GrantName { owner: named('A'), id: 1 }), ..pay('D', 1, 0) })
            .no('A', Settle { cancels: true, ..settle('A', 2) }, RejectionCode::ConditionUnmet, 0)
            .ok('B', settle('A', 1))
            .ok('C', pay('D', 1, 0))
            .ok('A', Settle { cancels: true, ..settle('A', 2) })
            .no(
                'B',
                Transfer { grant: Some(GrantName { owner: named('A'), id: 1 }), ..pay('D', 1, 0) },
                RejectionCode::ConditionUnmet,
                0,
            );
        check_case(&case);
    }
}

#[test]
fn whose_money_a_grant_spends_is_the_payer() {
    let mut case = with_money("A=5 B=1 C=7 D=1");
    let acts = GrantTerms { kind: GrantKind::Act, scope: 1 << 1, predicate: has('C', 7), ..GrantTerms::default() };
    case.ok('A', grant('B', GrantTerms::default()))
        .ok('A', grant('D', acts))
        .at(2_000)
        .ok('B', Transfer { grant: Some(GrantName { owner: named('A'), id: 1 }), ..pay('C', 4, 0) })
        .ok_for('D', "D", 'A', pay('C', 1, 0))
        .no('A', pay('D', 1, 0), RejectionCode::InsufficientFunds, 1)
        .ok('C', pay('D', 6, 0));
    check_case(&case);
}

#[test]
fn who_acts_for_another_asks_for_what_the_grant_asks_for() {
    let mut case = with_money("A=5 B=1 C=7 D=1");
    let acts = GrantTerms { kind: GrantKind::Act, scope: 1 << 1, predicate: has('C', 7), ..GrantTerms::default() };
    case.ok('A', grant('D', acts)).at(2_000).ok_for('D', "D", 'A', pay('B', 1, 0)).ok('C', pay('D', 6, 0)).no_for(
        'D',
        "D",
        'A',
        pay('B', 1, 0),
        (RejectionCode::ConditionUnmet, 0),
    );
    check_case(&case);
}

#[test]
fn whoever_is_paid_by_what_names_nobody_can_spend_it() {
    // Settled by its payee, its owner, and because a new one takes its id when it is over and more is over than a block ends.
    let mut case = with_money("A=900 B=1 C=1");
    let over = |id| (('A'), Hold { expiry: Some(Time(1_500)), releases_at_expiry: true, ..hold(id, 'C', 1) }.into());
    case.ok('A', hold(900, 'B', 5))
        .together('A', (0..200).map(over).collect())
        .together('A', (200..400).map(over).collect())
        .at(2_000)
        .no('C', pay('B', 258, 0), RejectionCode::InsufficientFunds, 1)
        .ok('A', hold(399, 'B', 7))
        .ok('C', pay('B', 258, 0))
        .no('C', pay('B', 1, 0), RejectionCode::InsufficientFunds, 1)
        .ok('A', settle('A', 900))
        .ok('B', pay('C', 264, 0))
        .no('B', pay('C', 1, 0), RejectionCode::InsufficientFunds, 1);
    check_case(&case);
}

#[test]
fn rules_bind_those_who_pay_behind_them() {
    let mut case = with_money("A=5 C=7");
    let rules = AuthorityRules { needs_memo: true, ..AuthorityRules::of_address(named('C')) };
    case.at(2_000)
        .ok('A', pay('C', 1, 0))
        .ok('C', Authorize::Set(rules))
        .no('A', pay('C', 1, 0), RejectionCode::MemoRequired, 0)
        .ok('A', Transfer { reference: 1, ..pay('C', 4, 0) });
    check_case(&case);
}

#[test]
fn a_name_is_free_when_what_had_it_is_gone() {
    let mut case = with_money("A=9 B=1 C=1");
    case.ok('A', hold(1, 'B', 2))
        .at(2_000)
        .no('A', hold(1, 'B', 2), RejectionCode::HoldExists, 0)
        .ok('A', hold(2, 'C', 3))
        .no('A', hold(2, 'C', 3), RejectionCode::HoldExists, 1)
        .ok('C', settle('A', 2))
        .ok('A', hold(2, 'C', 4))
        .no('A', hold(3, 'C', 1), RejectionCode::InsufficientFunds, 1)
        .ok('B', Settle { cancels: true, ..settle('A', 1) })
        .ok('A', hold(1, 'B', 1))
        .ok('C', pay('B', 3, 0))
        .ok('C', settle('A', 2))
        .ok('A', pay('B', 1, 0));
    check_case(&case);
}
