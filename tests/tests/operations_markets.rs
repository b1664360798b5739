//! Markets: every code that names one of their orders, which comes first where two apply, price and time priority, and a book against a
//! naive one over many messages.
//!
//! `NOSTRO_MESSAGES=1000000 cargo test -p nostro-tests --test operations_markets` sends more of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amend, Amount, AssetId, AssetPolicy, AssetTerms, ControlHolder, Engine, HolderAction, Lifetime, MarketId,
    OpenMarket, Operation, Outcome, PlaceOrder, RejectionCode, SelfTrade, Side, Time, Transaction,
};
use nostro_tests::case::{Case, asset, pay};
use nostro_tests::directory::Directory;
use nostro_tests::orders::{EURO, GOLD, buy, living, sell};
use nostro_tests::random::Random;
use nostro_tests::world::{address, named, open, trusting, unsigned};
use std::collections::BTreeMap;

const MARKET: MarketId = MarketId(0);

fn market() -> OpenMarket {
    OpenMarket { base: GOLD, quote: EURO, lot: 1, tick: 1, ..OpenMarket::default() }
}

/// Gold and euros of I, a market of M, and what A, B, C have of each.
fn trading() -> Case {
    trading_in(AssetPolicy::default(), 100)
}

/// The same where gold has a policy, and each has so much of it.
fn trading_in(policy: AssetPolicy, gold: u128) -> Case {
    let mut case = Case::new();
    case.ok('I', asset("GOLD", policy, AssetTerms::default()))
        .ok('I', asset("EUR", AssetPolicy::default(), AssetTerms::default()))
        .ok('M', market());
    for letter in ['A', 'B', 'C'] {
        case.ok('I', pay(letter, gold, 0)).ok('I', pay(letter, 100, 1));
    }
    case
}

/// What the issuer does about A's gold.
fn control(action: HolderAction) -> ControlHolder {
    ControlHolder { asset: GOLD, holder: named('A'), action, ..ControlHolder::default() }
}

#[test]
fn the_best_price_is_taken_first_and_at_one_price_who_waited_longest() {
    let mut case = trading();
    case.ok('A', sell(1, 2, 5))
        .ok('B', sell(1, 2, 4))
        .ok('A', sell(2, 2, 4))
        .ok('C', buy(1, 3, 5))
        // B's two at 4, then one of A's at 4.
        .ok('C', pay('X', 88, 1))
        .no('C', pay('X', 1, 1), RejectionCode::InsufficientFunds, 1)
        .ok('B', pay('X', 108, 1))
        .ok('A', pay('X', 104, 1))
        .ok('C', pay('X', 103, 0))
        .run();
}

#[test]
fn what_is_not_taken_waits_and_what_waits_is_set_aside() {
    let mut case = trading();
    case.ok('A', buy(1, 10, 6))
        .no('A', pay('X', 41, 1), RejectionCode::InsufficientFunds, 1)
        .ok('B', sell(1, 4, 6))
        .ok('B', sell(2, 10, 7))
        .no('B', pay('X', 87, 0), RejectionCode::InsufficientFunds, 1)
        .ok('A', Amend::Cancel(vec![1]))
        .ok('A', pay('X', 76, 1))
        .ok('B', Amend::CancelAll(MARKET))
        .ok('B', pay('X', 96, 0))
        .run();
}

#[test]
fn an_order_is_rejected_for_the_first_reason() {
    let past = |order| PlaceOrder { expiry: Some(Time(999)), ..order };
    let mut case = trading();
    case.no('A', PlaceOrder { market: MarketId(7), ..past(buy(1, 101, 1)) }, RejectionCode::NoMarket, 7)
        .no('A', past(buy(1, 101, 1)), RejectionCode::InsufficientFunds, 1)
        .no('A', buy(1, u64::MAX, u64::MAX), RejectionCode::InsufficientFunds, u64::MAX)
        .no('A', past(sell(1, 101, 1)), RejectionCode::InsufficientFunds, 1)
        .no('X', sell(1, 1, 1), RejectionCode::InsufficientFunds, 1)
        .ok('A', buy(1, 1, 1))
        .no('A', past(buy(1, 1, 1)), RejectionCode::ExpiryPast, 1_000)
        .ok('B', sell(1, 1, 2))
        .no('A', living(Lifetime::PostOnly, buy(1, 1, 2)), RejectionCode::OrderExists, 1)
        .no('A', living(Lifetime::PostOnly, buy(2, 1, 2)), RejectionCode::WouldCross, 2)
        .no('A', living(Lifetime::FillOrKill, buy(2, 2, 2)), RejectionCode::NotFilled, 1)
        .no('M', market(), RejectionCode::MarketExists, 0)
        .no('M', OpenMarket { quote: AssetId(9), ..market() }, RejectionCode::NoAsset, 9)
        .ok('A', OpenMarket { base: EURO, quote: GOLD, ..market() })
        .run();
}

#[test]
fn each_lifetime_does_what_it_says() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 3))
        .ok('A', sell(2, 5, 4))
        .ok('B', living(Lifetime::ImmediateOrCancel, buy(1, 7, 3)))
        .no('B', Amend::Cancel(vec![1]), RejectionCode::NoOrder, 1)
        .ok('B', living(Lifetime::FillOrKill, buy(1, 2, 9)))
        // Three are left at 4; with ten euros two are had.
        .ok('C', PlaceOrder { budget: Amount(10), ..living(Lifetime::Budget, buy(1, 9, 9)) })
        .ok('C', pay('X', 92, 1))
        .ok('C', pay('X', 102, 0))
        .run();
}

#[test]
fn the_rule_for_meeting_oneself_is_the_new_orders() {
    let with = |self_trade, order| PlaceOrder { self_trade, ..order };
    let mut case = trading();
    case.ok('A', sell(1, 2, 3))
        .ok('B', sell(1, 2, 3))
        .no('A', with(SelfTrade::Reject, buy(2, 3, 3)), RejectionCode::SelfTrade, 1)
        .no('A', living(Lifetime::FillOrKill, with(SelfTrade::CancelTaking, buy(2, 3, 3))), RejectionCode::NotFilled, 3)
        .no('A', living(Lifetime::FillOrKill, buy(2, 3, 3)), RejectionCode::NotFilled, 1)
        .ok('A', with(SelfTrade::CancelTaking, buy(2, 3, 3)))
        .no('A', Amend::Cancel(vec![2]), RejectionCode::NoOrder, 2)
        .ok('A', with(SelfTrade::CancelWaiting, buy(2, 3, 3)))
        .no('A', Amend::Cancel(vec![1]), RejectionCode::NoOrder, 1)
        .ok('A', Amend::Cancel(vec![2]))
        .ok('A', pay('X', 94, 1))
        .run();
}

#[test]
fn less_keeps_its_place_and_a_new_price_or_more_loses_it() {
    let change = |id, price, quantity| Amend::Change { id, price, quantity };
    let mut case = trading();
    case.ok('A', sell(1, 5, 3))
        .ok('B', sell(1, 5, 3))
        .ok('A', change(1, 3, 2))
        .ok('C', living(Lifetime::ImmediateOrCancel, buy(1, 3, 3)))
        // A's two went first, then one of B's.
        .no('A', change(1, 3, 1), RejectionCode::NoOrder, 1)
        .ok('A', sell(1, 4, 3))
        .ok('B', change(1, 3, 5))
        .ok('C', living(Lifetime::ImmediateOrCancel, buy(1, 4, 3)))
        .no('A', Amend::Cancel(vec![1]), RejectionCode::NoOrder, 1)
        .ok('C', buy(1, 1, 2))
        .no('B', change(1, 2, 5), RejectionCode::WouldCross, 2)
        .no('B', change(1, 3, 101), RejectionCode::InsufficientFunds, 2)
        .no('C', change(1, u64::MAX, u64::MAX), RejectionCode::InsufficientFunds, u64::MAX)
        .ok('B', change(1, 9, 1))
        .ok('B', pay('X', 98, 0))
        .run();
}

#[test]
fn the_taker_pays_the_markets_fee_out_of_what_it_gets() {
    let mut case = trading();
    let fee = OpenMarket { fee_basis_points: 1_000, fee_account: Some(named('F')), ..market() };
    let there = |order| PlaceOrder { market: MarketId(1), ..order };
    case.ok('N', fee)
        .ok('A', there(sell(1, 25, 2)))
        .ok('B', there(buy(1, 25, 2)))
        .ok('F', pay('X', 2, 0))
        .ok('B', pay('X', 123, 0))
        .ok('A', pay('X', 150, 1))
        .ok('C', there(buy(1, 10, 3)))
        .ok('A', there(sell(1, 10, 1)))
        .ok('F', pay('X', 3, 1))
        .ok('A', pay('X', 27, 1))
        .run();
}

#[test]
fn orders_that_are_over_or_whose_owner_may_not_trade_are_passed_by() {
    let freeze = control(HolderAction::Freeze);
    let mut case = trading_in(AssetPolicy::FREEZABLE, 10);
    case.ok('A', sell(1, 5, 2))
        .ok('B', PlaceOrder { expiry: Some(Time(1_500)), ..sell(1, 5, 3) })
        .ok('C', sell(1, 5, 4))
        .ok('I', freeze)
        .no('A', sell(2, 1, 9), RejectionCode::Frozen, 0)
        .at(1_501)
        .ok('B', living(Lifetime::ImmediateOrCancel, buy(2, 1, 4)))
        .no('A', Amend::Cancel(vec![1]), RejectionCode::NoOrder, 1)
        .ok('B', pay('X', 11, 0))
        .ok('B', pay('X', 96, 1))
        .run();
}

#[test]
fn what_cannot_be_transferred_has_no_market() {
    let mut case = Case::new();
    case.ok('I', asset("GOLD", AssetPolicy::NON_TRANSFERABLE, AssetTerms::default()))
        .ok('I', asset("EUR", AssetPolicy::default(), AssetTerms::default()))
        .no('M', market(), RejectionCode::PolicyForbids, 8)
        .run();
}

#[test]
fn an_order_meets_thirty_two_others_and_the_rest_of_it_is_gone() {
    let mut case = trading();
    for id in 0..70 {
        case.ok('A', sell(id, 1, 1));
    }
    case.no('B', living(Lifetime::FillOrKill, buy(1, 33, 1)), RejectionCode::NotFilled, 1)
        .ok('B', buy(1, 70, 1))
        .no('B', Amend::Cancel(vec![1]), RejectionCode::NoOrder, 1)
        .no('B', pay('X', 69, 1), RejectionCode::InsufficientFunds, 1)
        // All 32 that it may meet are all that it wants, so nothing of it is left to be gone.
        .ok('B', living(Lifetime::FillOrKill, buy(1, 32, 1)))
        .ok('B', pay('X', 36, 1))
        // Six are left: an order for seven takes them and waits with the last lot.
        .ok('B', pay('I', 64, 0))
        .ok('I', pay('B', 7, 1))
        .ok('B', buy(1, 7, 1))
        .ok('B', Amend::Cancel(vec![1]))
        .ok('A', pay('X', 30, 0))
        .run();
}

#[test]
fn a_trade_of_a_rejected_transaction_has_not_happened() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 2))
        .not_together(
            'B',
            vec![('B', buy(1, 3, 2).into()), ('B', buy(2, 1, 1).into()), ('B', pay('X', 94, 1).into())],
            RejectionCode::InsufficientFunds,
            2,
        )
        .ok('C', buy(1, 5, 2))
        .ok('B', pay('X', 100, 1))
        .run();
}

#[test]
fn an_order_that_is_rejected_late_leaves_what_it_met_as_it_was() {
    let rejects = |order| PlaceOrder { self_trade: SelfTrade::Reject, ..order };
    let mut case = trading_in(AssetPolicy::FREEZABLE, 10);
    // A's is taken before B's own is met.
    case.ok('A', sell(1, 1, 2))
        .ok('B', sell(1, 2, 3))
        .no('B', rejects(buy(2, 4, 3)), RejectionCode::SelfTrade, 1)
        .no('B', pay('X', 101, 1), RejectionCode::InsufficientFunds, 1)
        .no('A', sell(1, 1, 9), RejectionCode::OrderExists, 1)
        // A's would be ended, had B's not been behind it.
        .ok('I', control(HolderAction::Freeze))
        .no('C', living(Lifetime::PostOnly, buy(2, 1, 3)), RejectionCode::WouldCross, 3)
        .no('C', living(Lifetime::FillOrKill, buy(2, 5, 3)), RejectionCode::NotFilled, 3)
        .ok('I', control(HolderAction::Unfreeze))
        .ok('C', living(Lifetime::FillOrKill, buy(2, 3, 3)))
        .ok('C', pay('X', 92, 1))
        .ok('C', pay('X', 13, 0))
        .run();
}

#[test]
fn orders_are_taken_back_together_or_not_at_all() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 3))
        .ok('A', buy(2, 5, 1))
        .ok('A', sell(3, 5, 4))
        .no('A', Amend::Cancel(vec![1, 2, 9]), RejectionCode::NoOrder, 9)
        .no('A', Amend::Cancel(vec![1, 2, 1, 9]), RejectionCode::NoOrder, 1)
        .no('A', pay('X', 91, 0), RejectionCode::InsufficientFunds, 1)
        .ok('B', living(Lifetime::FillOrKill, buy(1, 10, 4)))
        .no('A', Amend::Cancel(vec![2, 1]), RejectionCode::NoOrder, 1)
        .ok('A', Amend::Cancel(vec![2]))
        .ok('A', pay('X', 135, 1))
        .run();
}

#[test]
fn two_orders_in_one_transaction_exchange_across_currencies() {
    let mut case = trading();
    let second = |order| PlaceOrder { market: MarketId(1), ..order };
    case.ok('I', asset("USD", AssetPolicy::default(), AssetTerms::default()))
        .ok('M', OpenMarket { base: GOLD, quote: AssetId(2), ..market() })
        .ok('I', pay('C', 100, 2))
        .ok('A', sell(1, 5, 2))
        .ok('C', second(buy(1, 5, 3)))
        .together(
            'B',
            vec![
                ('B', living(Lifetime::FillOrKill, buy(1, 5, 2)).into()),
                ('B', living(Lifetime::FillOrKill, second(sell(2, 5, 3))).into()),
            ],
        )
        .ok('B', pay('X', 15, 2))
        .ok('B', pay('X', 90, 1))
        .run();
}

/// A book that keeps its orders in a list and looks at all of them.
#[derive(Default)]
struct Naive {
    orders: Vec<Waiting>,
    last_priority: u64,
    trades: Vec<(u64, u64)>,
}

#[derive(Clone, Copy)]
struct Waiting {
    owner: usize,
    id: u64,
    side: Side,
    price: u64,
    quantity: u64,
    priority: u64,
}

impl Naive {
    fn best(&self, side: Side) -> Option<usize> {
        let rank =
            |order: &Waiting| (if side == Side::Buy { u64::MAX - order.price } else { order.price }, order.priority);
        let own = self.orders.iter().enumerate().filter(|(_, order)| order.side == side);
        own.min_by_key(|(_, order)| rank(order)).map(|(place, _)| place)
    }

    fn place(&mut self, owner: usize, order: &PlaceOrder) -> bool {
        if self.orders.iter().any(|known| (known.owner, known.id) == (owner, order.id)) {
            return false;
        }
        let mut left = order.quantity;
        let mut met = 0;
        let crosses = |price| if order.side == Side::Buy { price <= order.price } else { price >= order.price };
        while let Some(place) = self.best(order.side.other()).filter(|&place| crosses(self.orders[place].price)) {
            if left == 0 || met == 32 {
                return true;
            }
            met += 1;
            if self.orders[place].owner == owner {
                self.orders.swap_remove(place);
                continue;
            }
            let other = &mut self.orders[place];
            let quantity = left.min(other.quantity);
            self.trades.push((other.price, quantity));
            left -= quantity;
            other.quantity -= quantity;
            if other.quantity == 0 {
                self.orders.swap_remove(place);
            }
        }
        if left > 0 && order.lifetime == Lifetime::GoodTillCancelled {
            self.last_priority += 1;
            let &PlaceOrder { id, side, price, .. } = order;
            self.orders.push(Waiting { owner, id, side, price, quantity: left, priority: self.last_priority });
        }
        true
    }

    fn cancel(&mut self, owner: usize, id: u64) -> bool {
        let place = self.orders.iter().position(|order| (order.owner, order.id) == (owner, id));
        place.map(|place| self.orders.swap_remove(place)).is_some()
    }

    fn depth(&self, side: Side) -> BTreeMap<u64, u128> {
        let mut all = BTreeMap::new();
        for order in self.orders.iter().filter(|order| order.side == side) {
            *all.entry(order.price).or_default() += u128::from(order.quantity);
        }
        all
    }
}

#[expect(clippy::disallowed_methods, reason = "how many messages to send isn't part of any result")]
fn messages(default: u64) -> u64 {
    std::env::var("NOSTRO_MESSAGES").ok().map_or(default, |text| text.parse().expect("NOSTRO_MESSAGES is a number"))
}

const TRADERS: usize = 8;

fn send(engine: &Engine, orders: &[Transaction]) -> Vec<Outcome> {
    let receipts = engine.submitter().waiting().submit_batch(orders).unwrap().wait().unwrap();
    receipts.iter().map(|receipt| receipt.unwrap().outcome).collect()
}

fn sequenced(sequences: &mut [u64], trader: usize, order: impl Into<Operation>) -> Transaction {
    let builder = Transaction::builder(address(trader)).sequence(sequences[trader]);
    sequences[trader] += 1;
    unsigned(builder.operation(address(trader), order.into()).build().unwrap())
}

#[test]
fn a_book_agrees_with_a_naive_book_over_many_messages() {
    let directory = Directory::in_memory();
    let mut engine = open(directory.path(), trusting());
    let issuer = 8;
    let mut sequences = [0; TRADERS + 1];
    let mut setup = vec![
        sequenced(&mut sequences, issuer, asset("GOLD", AssetPolicy::default(), AssetTerms::default())),
        sequenced(&mut sequences, issuer, asset("EUR", AssetPolicy::default(), AssetTerms::default())),
        sequenced(&mut sequences, issuer, market()),
    ];
    for trader in 0..TRADERS {
        for money in 0..2 {
            let letter = char::from(b'A' + u8::try_from(trader).unwrap());
            setup.push(sequenced(&mut sequences, issuer, pay(letter, 1 << 80, money)));
        }
    }
    assert!(send(&engine, &setup).iter().all(Outcome::is_applied));
    let (mut naive, mut random) = (Naive::default(), Random::new(17));
    let count = messages(20_000);
    let mut sent = 0;
    let mut looked = Vec::new();
    while sent < count {
        let (mut orders, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..500 {
            let trader = random.index(TRADERS);
            let id = random.below(60);
            if random.chance(35) {
                orders.push(sequenced(&mut sequences, trader, Amend::Cancel(vec![id])));
                expected.push(naive.cancel(trader, id));
                continue;
            }
            let side = if random.chance(50) { Side::Buy } else { Side::Sell };
            // Around a middle, so that some cross and most wait.
            let price = if side == Side::Buy { 96 + random.below(7) } else { 99 + random.below(7) };
            let lifetime = if random.chance(80) { Lifetime::GoodTillCancelled } else { Lifetime::ImmediateOrCancel };
            let order = PlaceOrder { side, lifetime, ..buy(id, 1 + random.below(20), price) };
            expected.push(naive.place(trader, &order));
            orders.push(sequenced(&mut sequences, trader, order));
        }
        sent += 500;
        let found: Vec<bool> = send(&engine, &orders).iter().map(Outcome::is_applied).collect();
        assert_eq!(found, expected, "after {sent} messages");
        if sent % 5_000 == 0 {
            engine.checkpoint().unwrap();
            engine.close().unwrap();
            engine = open(directory.path(), trusting());
        }
        let snapshot = engine.snapshot().unwrap();
        let depths = [Side::Buy, Side::Sell].map(|side| {
            let mut depth: Vec<(u64, u128)> = naive.depth(side).into_iter().collect();
            if side == Side::Buy {
                depth.reverse();
            }
            (side, depth)
        });
        // Who has looked before sees what was then, whatever came since.
        looked.push((snapshot.clone(), depths));
        for (snapshot, depths) in &looked {
            for (side, depth) in depths {
                for levels in [0, 1, 3, usize::MAX] {
                    let expected: Vec<(u64, u128)> = depth.iter().copied().take(levels).collect();
                    assert_eq!(snapshot.depth(MARKET, *side, levels), expected, "after {sent} messages");
                }
            }
        }
        if looked.len() == 4 {
            looked.clear();
        }
        let state = snapshot.market(MARKET).unwrap();
        assert_eq!(state.trades, naive.trades.len() as u64);
        assert_eq!(state.volume, naive.trades.iter().map(|&(_, quantity)| u128::from(quantity)).sum::<u128>());
        assert_eq!(state.last_price, naive.trades.last().map_or(0, |&(price, _)| price));
    }
    assert!(naive.trades.len() as u64 > count / 10, "{} trades", naive.trades.len());
    engine.close().unwrap();
}

#[test]
fn fields_of_orders_and_markets_at_and_past_their_bounds() {
    let build = |order: Operation| {
        let order = Transaction::builder(named('A')).operation(named('A'), order).build();
        order.map(|order| unsigned(order).bytes().len()).map_err(|error| error.to_string())
    };
    let refused = |order: Operation, text: &str| {
        let told = build(order).unwrap_err();
        assert!(told.contains(text), "{text}: {told}");
    };
    assert_eq!(build(buy(1, u64::MAX, u64::MAX).into()), Ok(56 + 64 + 64));
    refused(buy(1, 0, 1).into(), "price and quantity");
    refused(buy(1, 1, 0).into(), "price and quantity");
    refused(living(Lifetime::Budget, buy(1, 1, 1)).into(), "budget");
    refused(PlaceOrder { budget: Amount(1), ..buy(1, 1, 1) }.into(), "budget");
    refused(PlaceOrder { budget: Amount(1), ..living(Lifetime::Budget, sell(1, 1, 1)) }.into(), "lifetime");
    let expiring = |order| PlaceOrder { expiry: Some(Time(9_999)), ..order };
    assert!(build(expiring(buy(1, 1, 1)).into()).is_ok());
    refused(expiring(living(Lifetime::FillOrKill, buy(1, 1, 1))).into(), "expiry");
    assert!(build(Amend::Cancel(vec![1; 64]).into()).is_ok());
    refused(Amend::Cancel(vec![1; 65]).into(), "words");
    refused(Amend::Cancel(vec![]).into(), "words");
    refused(Amend::Change { id: 1, price: 0, quantity: 1 }.into(), "price and quantity");
    refused(Amend::Change { id: 1, price: 1, quantity: 0 }.into(), "price and quantity");
    assert_eq!(build(market().into()), Ok(56 + 64 + 64));
    refused(OpenMarket { quote: GOLD, ..market() }.into(), "another asset");
    refused(OpenMarket { lot: 0, ..market() }.into(), "lot and tick");
    refused(OpenMarket { tick: 0, ..market() }.into(), "lot and tick");
    let with_fee = |points| OpenMarket { fee_basis_points: points, fee_account: Some(named('F')), ..market() };
    assert!(build(with_fee(10_000).into()).is_ok());
    refused(with_fee(10_001).into(), "fee");
    refused(with_fee(0).into(), "reserved");
    refused(OpenMarket { fee_account: None, ..with_fee(5) }.into(), "105 ");
}
