//! P1 by markets: orders of several markets in one block give what the model gives for one after the other, in every layout, on every number
//! of threads, whatever stands between them; the effects of every block are those one by one.
//!
//! `NOSTRO_SEEDS=10000 cargo test --release -p nostro-tests --test markets` runs more programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Address, Amend, Amount, AssetId, EngineConfig, Event, Happening, Lifetime, MarketId, OpenMarket, Operation,
    Outcome, PlaceOrder, PlantedOrder, Predicate, RegisterAsset, RejectionCode, Side, Time, Transaction, Transfer,
};
use nostro_tests::compare::{Shape, difference, events, on_engine, on_model};
use nostro_tests::directory::Directory;
use nostro_tests::model::Model;
use nostro_tests::program::{Program, Step};
use nostro_tests::random::{Random, seeds};
use nostro_tests::sharded::{Expected, Run, check_layouts, differs, expected};
use nostro_tests::world::{open, trusting, unsigned};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn random_markets_give_the_serial_result_in_every_layout_on_every_number_of_threads() {
    let count = seeds(1_000);
    println!("seeds 0 to {count}");
    for seed in 0..count {
        let program = Program::trading(seed);
        let expected = expected(&program);
        // Starting threads costs more than the program; every few seeds will do for more than one.
        let threads = if seed % 4 == 0 { [2, 3, 4, 8][usize::try_from(seed / 4 % 4).unwrap()] } else { 1 };
        let what = format!("seed {seed}");
        // What is told of orders is compared one by one in an engine; by shards it is part of the effects.
        if seed % 10 == 0 {
            let shape = Shape { block_transactions_max: 40, ..Shape::PLAIN };
            let found = difference(&program, &on_model(&program, None), &on_engine(&program, shape));
            assert!(found.is_none(), "{what}: {found:?}");
        }
        check_layouts(&program, &expected, 16_384, &[(1, 1), (7, threads), (64, 1)], &what);
        check_layouts(&program, &expected, [40, 100][usize::from(seed % 2 == 0)], &[(7, 1), (2, 1)], &what);
    }
}

/// Many messages of many accounts, most of them rich, in so many markets.
fn exchange(seed: u64, messages: usize, markets: u64) -> Program {
    const TRADERS: u64 = 200;
    let mut random = Random::new(seed);
    let mut next: BTreeMap<Address, u64> = BTreeMap::new();
    let mut steps = Vec::new();
    let trader = |n: u64| {
        let mut address = [7; 32];
        address[..8].copy_from_slice(&n.to_le_bytes());
        Address(address)
    };
    let mut order = |time, source: Address, order: Operation| {
        let sequence = next.entry(source).or_default();
        let order = Transaction::builder(source).sequence(*sequence).operation(source, order).build().unwrap();
        *sequence += 1;
        steps.push(Step { time: Time(time), transaction: unsigned(order) });
    };
    let issuers = [trader(1_000), trader(1_001)];
    for (place, code) in ["GOLD", "EUR", "OIL"].into_iter().enumerate() {
        order(1_000, issuers[place % 2], RegisterAsset::plain(code.parse().unwrap(), 0, Amount::MAX).into());
    }
    let kinds = [([0, 1], 0), ([2, 1], 0), ([2, 0], 10), ([1, 2], 0)];
    for (n, ([base, quote], fee_basis_points)) in (0..markets).zip(kinds.into_iter().cycle()) {
        let [base, quote] = [base, quote].map(AssetId);
        let fee_account = (fee_basis_points > 0).then(|| trader(7));
        let market = OpenMarket { base, quote, lot: 1, tick: 1, fee_basis_points, fee_account };
        order(1_000, trader(2_000 + n / 4), market.into());
    }
    for n in 0..TRADERS {
        for asset in 0..3 {
            // Every twentieth has to live from what it gets.
            let amount = Amount(if n.is_multiple_of(20) { 300 } else { 1 << 80 });
            let asset = AssetId(asset);
            let issuer = issuers[usize::try_from(asset.0 % 2).unwrap()];
            order(1_000, issuer, Transfer { payee: trader(n), asset, amount, ..Transfer::default() }.into());
        }
    }
    for n in 0..messages {
        let time = if n < messages / 4 { 1_500 } else { 2_000 };
        let place = random.below(markets);
        // The poor stay in one market of four.
        let who = loop {
            let who = random.below(TRADERS);
            if !who.is_multiple_of(20) || place % 4 == 3 {
                break who;
            }
        };
        let id = 10 * place + random.below(6);
        if random.chance(5) {
            let (asset, amount) = (AssetId(1), Amount(u128::from(1 + random.below(9))));
            let payee = trader((who + 1 + random.below(TRADERS - 1)) % TRADERS);
            let payment = Transfer { payee, asset, amount, ..Transfer::default() };
            order(time, trader(who), payment.into());
            continue;
        }
        let market = MarketId(u32::try_from(place).unwrap());
        let message = match random.below(100) {
            0..20 => Amend::Cancel(vec![id]).into(),
            20 => Amend::CancelAll(market).into(),
            21..27 => Amend::Change { id, price: 97 + random.below(7), quantity: 1 + random.below(9) }.into(),
            _ => {
                // An id is of one side mostly: where both have had it, what a change needs isn't known before its turn.
                let side = if id.is_multiple_of(2) != random.chance(1) { Side::Buy } else { Side::Sell };
                let price = if side == Side::Buy { 97 + random.below(5) } else { 98 + random.below(5) };
                let lifetime = *random.pick(&[
                    Lifetime::GoodTillCancelled,
                    Lifetime::GoodTillCancelled,
                    Lifetime::GoodTillCancelled,
                    Lifetime::PostOnly,
                    Lifetime::ImmediateOrCancel,
                    Lifetime::FillOrKill,
                ]);
                let quantity = 1 + random.below(12);
                PlaceOrder { market, id, side, price, quantity, lifetime, ..PlaceOrder::default() }.into()
            }
        };
        order(time, trader(who), message);
    }
    Program { steps }
}

/// What the model makes of an exchange, and in which events; there have to be so many trades.
fn exchange_on_model(program: &Program, trades_min: usize) -> (Expected, Model) {
    let mut model = Model::default();
    let outcomes = program.steps.iter().map(|step| model.apply(&step.transaction.as_ref(), step.time).1).collect();
    model.assert_sound();
    let trades = model.events().iter().filter(|event| matches!(event.what, Happening::Traded { .. })).count();
    println!("{trades} trades");
    assert!(trades > trades_min, "expected more than {trades_min} trades, found {trades}");
    (Expected { outcomes, digest: model.digest() }, model)
}

const EXCHANGE_LAYOUTS: [(u32, usize); 4] = [(64, 1), (64, 2), (64, 3), (7, 2)];

#[test]
fn an_exchange_of_many_accounts_gives_the_serial_result_on_every_number_of_threads() {
    let program = exchange(1, 20_000, 4);
    let (expected, model) = exchange_on_model(&program, 4_000);
    check_layouts(&program, &expected, 4_096, &EXCHANGE_LAYOUTS, "an exchange");
    // And in a whole engine, which decides for itself, and again when it is opened.
    let mut by_shards = 0;
    for execute_threads in [2, 3, 4] {
        let directory = Directory::in_memory();
        let config = EngineConfig {
            execute_threads,
            block_transactions_max: 16_384,
            block_bytes_max: 4 << 20,
            segment_bytes: 64 << 20,
            ..trusting()
        };
        let engine = open(directory.path(), config.clone());
        let mut outcomes = Vec::new();
        for same_time in program.steps.chunk_by(|one, other| one.time == other.time) {
            let orders: Vec<Transaction> = same_time.iter().map(|step| step.transaction.clone()).collect();
            let receipts = engine.submitter().waiting().at(same_time[0].time).submit_batch(&orders).unwrap();
            outcomes.extend(receipts.wait().unwrap().iter().map(|receipt| receipt.unwrap().outcome));
        }
        by_shards += engine.stats().shards.transactions;
        let differs = expected.outcomes.iter().zip(&outcomes).position(|(one, other)| one != other);
        assert_eq!((differs, outcomes.len()), (None, expected.outcomes.len()), "{execute_threads} threads");
        engine.close().unwrap();
        let engine = open(directory.path(), EngineConfig { execute_threads: 6 - execute_threads, ..config });
        assert_eq!(engine.snapshot().unwrap().digest(), expected.digest, "{execute_threads} threads");
        assert!(model.events() == events(&engine), "events differ, {execute_threads} threads");
        engine.close().unwrap();
    }
    println!("{by_shards} went by shards");
    assert!(by_shards > 10_000, "only {by_shards} transactions went by shards");
}

#[test]
fn many_markets_give_the_serial_result_on_every_number_of_threads() {
    let program = exchange(2, 6_000, 150);
    let (expected, _) = exchange_on_model(&program, 500);
    check_layouts(&program, &expected, 4_096, &EXCHANGE_LAYOUTS, "an exchange");
}

#[test]
fn mistakes_put_into_the_schedule_are_noticed_by_markets() {
    let planted = [
        PlantedOrder::MissedContention,
        PlantedOrder::UnorderedResidual,
        PlantedOrder::UndeferredCredit,
        PlantedOrder::MissedPayment,
        PlantedOrder::Unreserved,
        PlantedOrder::BlindPlans,
        PlantedOrder::LateCuts,
    ];
    for planted in planted {
        let mut run = Run::new(7, 1, 16_384);
        run.shape.planted = Some(planted);
        let seed = (0..1_000).find(|&seed| differs(&Program::trading(seed), run).is_some());
        println!("{planted:?}: seed {:?}", seed.unwrap_or_else(|| panic!("{planted:?} isn't noticed")));
    }
}

/// What a program has.
#[derive(Default)]
struct Tally {
    rejections: BTreeMap<RejectionCode, u64>,
    /// By lifetime: orders that wait afterwards, that have taken others, and that have done neither.
    orders: BTreeMap<u8, [u64; 3]>,
    taken_back: u64,
    changed: u64,
    trades: u64,
    /// Orders that waited before the long block and were met in it.
    trades_across: u64,
    trades_of_calm_markets: u64,
    /// Orders that met, or took back, as many as they may.
    full: [u64; 2],
    programs_with_calm_markets: u64,
    programs_with_two: u64,
}

impl Tally {
    fn count(&mut self, program: &Program) {
        let mut model = Model::default();
        let mut trades: BTreeMap<MarketId, u64> = BTreeMap::new();
        let mut earlier = BTreeSet::new();
        for step in &program.steps {
            let transaction = step.transaction.as_ref();
            let (owner, operation) = (transaction.account(), transaction.operations().next().unwrap().1);
            let events = model.events().len();
            let (_, outcome) = model.apply(&transaction, step.time);
            if step.time < Time(2_000) {
                if let Operation::PlaceOrder(order) = operation {
                    earlier.insert((owner, order.id));
                }
                continue;
            }
            let mut traded = false;
            let own = model.events()[events..].iter().filter(|event| event.position.is_some());
            let met = |event: &&Event| matches!(event.what, Happening::Traded { .. } | Happening::OrderEnded { .. });
            if own.filter(met).count() >= 32 {
                self.full[usize::from(matches!(operation, Operation::Amend(_)))] += 1;
            }
            for event in &model.events()[events..] {
                if let Happening::Traded { market, order, .. } = event.what {
                    traded = true;
                    self.trades += 1;
                    self.trades_across += u64::from(earlier.contains(&(event.account, order)));
                    *trades.entry(market).or_default() += 1;
                }
            }
            match (outcome, operation) {
                (Outcome::Rejected(no), _) => *self.rejections.entry(no.code).or_default() += 1,
                _ if transaction.operations().count() > 1 => {}
                (_, Operation::PlaceOrder(order)) => {
                    let all = self.orders.entry(order.lifetime as u8).or_default();
                    let waits = model.waits_in(owner, order.id) == Some(order.market);
                    all[0] += u64::from(waits);
                    all[1] += u64::from(traded);
                    all[2] += u64::from(!waits && !traded);
                    earlier.remove(&(owner, order.id));
                }
                (_, Operation::Amend(Amend::Change { .. })) => self.changed += 1,
                (_, Operation::Amend(_)) => self.taken_back += 1,
                _ => {}
            }
        }
        let calm = calm_markets(program);
        let busy = calm.iter().filter(|market| trades.get(market).is_some_and(|&count| count > 1)).count();
        self.trades_of_calm_markets += calm.iter().filter_map(|market| trades.get(market)).sum::<u64>();
        self.programs_with_calm_markets += u64::from(busy > 0);
        self.programs_with_two += u64::from(busy > 1);
    }
}

/// The markets in which all that is ordered in blocks from 2,000 ms on is ordered by itself, in lane 0, by one signer who has enough: nobody who trades there
/// is ever told otherwise or does something else beside, no id is used in two markets, and nothing in the block is a fence.
fn calm_markets(program: &Program) -> BTreeSet<MarketId> {
    let mut model = Model::default();
    let (mut traders, mut loud) = (BTreeMap::<MarketId, BTreeSet<_>>::new(), BTreeSet::new());
    let mut ids = BTreeMap::new();
    let mut mixed = BTreeSet::new();
    let mut fence = false;
    for step in &program.steps {
        let transaction = step.transaction.as_ref();
        let (_, outcome) = model.apply(&transaction, step.time);
        let is_simple = transaction.operations().count() == 1 && transaction.lane() == 0;
        for (source, operation) in transaction.operations() {
            let owner = transaction.signers().nth(usize::from(source)).unwrap();
            let ordered = match &operation {
                Operation::PlaceOrder(order) => {
                    let known = *ids.entry((owner, order.id)).or_insert(order.market);
                    if known != order.market {
                        mixed.extend([known, order.market]);
                    }
                    vec![order.market]
                }
                Operation::Amend(Amend::CancelAll(market)) => vec![*market],
                Operation::Amend(Amend::Change { id, .. }) => ids.get(&(owner, *id)).copied().into_iter().collect(),
                Operation::Amend(Amend::Cancel(all)) => {
                    all.iter().filter_map(|id| ids.get(&(owner, *id)).copied()).collect()
                }
                _ => vec![],
            };
            if step.time < Time(2_000) {
                continue;
            }
            fence |= match &operation {
                Operation::Authorize(_) => true,
                Operation::Hold(hold) => hold.release != Predicate::always(),
                _ => false,
            };
            let uncovered = matches!(outcome, Outcome::Rejected(no) if no.code == RejectionCode::InsufficientFunds);
            let is_order = matches!(operation, Operation::PlaceOrder(_) | Operation::Amend(_));
            let is_payment = matches!(operation, Operation::Transfer(_) | Operation::Hold(_));
            if uncovered || !is_simple || !(is_order || is_payment) {
                loud.insert(owner);
            }
            for market in ordered {
                traders.entry(market).or_default().insert(owner);
            }
        }
    }
    let is_calm = |(market, traders): &(MarketId, BTreeSet<_>)| !mixed.contains(market) && traders.is_disjoint(&loud);
    traders.into_iter().filter(|_| !fence).filter(is_calm).map(|(market, _)| market).collect()
}

/// The programs are only worth something as long as they reach what they are for.
#[test]
fn random_markets_trade_are_rejected_and_left_alone_often_enough() {
    let mut tally = Tally::default();
    let count = 400;
    for seed in 0..count {
        tally.count(&Program::trading(seed));
    }
    let Tally { rejections, orders, .. } = &tally;
    println!("{rejections:?}\n{orders:?}");
    let Tally { trades, trades_across, trades_of_calm_markets, taken_back, changed, .. } = tally;
    println!(
        "{trades} trades, {trades_across} with orders of earlier blocks, {trades_of_calm_markets} in calm markets"
    );
    println!("{taken_back} taken back, {changed} changed");
    println!("{:?} met or took back as many as they may", tally.full);
    println!("calm markets in {} programs, two in {}", tally.programs_with_calm_markets, tally.programs_with_two);
    for (code, least) in [
        (RejectionCode::Expired, 10),
        (RejectionCode::Duplicate, 50),
        (RejectionCode::Frozen, 10),
        (RejectionCode::InsufficientFunds, 1_000),
        (RejectionCode::ExpiryPast, 200),
        (RejectionCode::ConditionUnmet, 5),
        (RejectionCode::UnknownKey, 5),
        (RejectionCode::NoMarket, 20),
        (RejectionCode::OrderExists, 1_000),
        (RejectionCode::NoOrder, 1_000),
        (RejectionCode::WouldCross, 500),
        (RejectionCode::NotFilled, 1_000),
        (RejectionCode::SelfTrade, 200),
    ] {
        let found = rejections.get(&code).copied().unwrap_or(0);
        assert!(found >= least, "{code:?}: expected at least {least}, found {found}");
    }
    for (lifetime, least) in [
        (Lifetime::GoodTillCancelled, [2_000, 1_000, 100]),
        (Lifetime::ImmediateOrCancel, [0, 300, 300]),
        (Lifetime::FillOrKill, [0, 300, 0]),
        (Lifetime::PostOnly, [500, 0, 0]),
        (Lifetime::Budget, [0, 150, 150]),
    ] {
        let found = orders.get(&(lifetime as u8)).copied().unwrap_or_default();
        let enough = found.iter().zip(least).all(|(&found, least)| found >= least);
        assert!(enough, "{lifetime:?}: expected at least {least:?} that wait, take, do neither; found {found:?}");
    }
    assert!(trades > 5_000 && trades_across > 500 && trades_of_calm_markets > 2_000);
    assert!(tally.full.iter().all(|&count| count > 10));
    assert!(taken_back > 1_000 && changed > 500);
    assert!(tally.programs_with_calm_markets > count * 2 / 5 && tally.programs_with_two > count / 10);
    // As many in which nothing is left alone.
    assert!(tally.programs_with_calm_markets < count * 4 / 5);
}
