//! Following an account: it hears what a scan of everything would tell it, live, from any height on, across restarts, damaged indexes and
//! retired blocks; and nobody waits for a follower.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Address, Amount, AssetId, AssetPolicy, AssetTerms, Engine, EngineConfig, Event, Follow, FollowError, Happening,
    Height, Hold, Lifetime, MarketId, Notice, OpenMarket, Operation, Outcome, PlaceOrder, RegisterAsset, Retention,
    Settle, Share, Side, Time, Trade, Transaction, TransactionBuilder, TransactionRef, Transfer,
};
use nostro_tests::case::pay;
use nostro_tests::directory::Directory;
use nostro_tests::language::program;
use nostro_tests::program::Program;
use nostro_tests::world::{address, named, open, trusting, unsigned};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a notice says, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Heard {
    height: Height,
    transactions: Vec<(u32, Vec<u8>, Outcome)>,
    events: Vec<Event>,
}

fn heard(notice: &Notice) -> Heard {
    let transactions = notice.transactions().map(|(place, order, outcome)| (place, order.bytes().to_vec(), outcome));
    Heard { height: notice.header().height, transactions: transactions.collect(), events: notice.events().to_vec() }
}

fn all(follow: &mut Follow) -> Vec<Heard> {
    follow.map(|notice| heard(&notice.unwrap())).collect()
}

/// Whom a transaction names, as a reader of the documents would find out.
fn names(transaction: &TransactionRef<'_>, account: &Address) -> bool {
    let named = |operation: &Operation| match operation {
        Operation::Transfer(order) => order.payee == *account || order.grant.is_some_and(|by| by.owner == *account),
        Operation::RegisterAsset(order) => order.terms.as_ref().is_some_and(|terms| terms.fee_account == *account),
        Operation::ControlHolder(order) => order.holder == *account,
        Operation::Put(order) => order.subject == Some(*account) || order.owner == Some(*account),
        Operation::Hold(order) => {
            order.arbiter == Some(*account) || order.payees.iter().any(|share| share.payee == *account)
        }
        Operation::Settle(order) => order.owner == *account,
        Operation::Grant(order) => {
            order.terms.as_ref().is_some_and(|terms| terms.to == *account || terms.payee == Some(*account))
        }
        Operation::OpenMarket(order) => order.fee_account == Some(*account),
        _ => false,
    };
    transaction.signers().any(|signer| signer == *account) || transaction.operations().any(|(_, order)| named(&order))
}

/// The same from all blocks.
fn scanned(engine: &Engine, account: &Address, from: Height) -> Vec<Heard> {
    let mut all = Vec::new();
    for block in engine.blocks_from(from) {
        let block = block.unwrap();
        let view = block.view().unwrap();
        let events: Vec<Event> = view.events().collect();
        let mut heard = Heard { height: block.header().height, transactions: vec![], events: vec![] };
        let mut ended = None;
        for event in events.iter().filter(|event| event.position.is_none()) {
            let of_a_hold = matches!(event.what, Happening::Paid { .. } | Happening::HoldLost { .. });
            if matches!(event.what, Happening::HoldReleased { .. } | Happening::HoldReturned { .. }) {
                ended = Some(*event);
            }
            if event.account == *account {
                // Whose hold it was is told once.
                let owner = ended.filter(|owner| of_a_hold && !heard.events.contains(owner));
                heard.events.extend(owner);
                heard.events.push(*event);
            }
        }
        for ((transaction, outcome), place) in view.transactions().zip(0..) {
            let own: Vec<Event> = events.iter().copied().filter(|event| event.position == Some(place)).collect();
            let is_named = names(&transaction, account);
            let told: Vec<Event> = own.into_iter().filter(|event| is_named || event.account == *account).collect();
            if is_named || !told.is_empty() {
                heard.transactions.push((place, transaction.bytes().to_vec(), outcome));
                heard.events.extend(told);
            }
        }
        if !heard.transactions.is_empty() || !heard.events.is_empty() {
            all.push(heard);
        }
    }
    all
}

#[test]
fn every_account_hears_what_a_scan_of_everything_would_tell() {
    let mut kinds = [0; 8];
    for seed in 90_000..90_200 {
        let directory = Directory::in_memory();
        let mut engine = open(directory.path(), EngineConfig { block_transactions_max: 9, ..trusting() });
        for steps in Program::random(seed, false).steps.chunk_by(|one, other| one.time == other.time) {
            let batch: Vec<Transaction> = steps.iter().map(|step| step.transaction.clone()).collect();
            let _ = engine.submitter().waiting().at(steps[0].time).submit_batch(&batch).unwrap().wait().unwrap();
        }
        for reopened in [false, true] {
            if reopened {
                engine.close().unwrap();
                engine = open(directory.path(), trusting());
            }
            let last = engine.durable_height();
            for letter in 0..9 {
                for from in [Height(0), Height(1), Height(last.0 / 2), last, last.next()] {
                    let account = address(letter);
                    let found = all(&mut engine.follow(&account, from));
                    assert_eq!(found, scanned(&engine, &account, from), "seed {seed}, letter {letter}, from {from}");
                    for event in found.iter().flat_map(|heard| &heard.events) {
                        let kind = match event.what {
                            Happening::Traded { .. } => 0,
                            Happening::Paid { .. } => 1,
                            Happening::HoldReturned { .. } => 2,
                            Happening::HoldReleased { .. } => 3,
                            Happening::OrderEnded { .. } => 4,
                            Happening::Sent { .. } => 5,
                            Happening::Collected { .. } => 6,
                            Happening::HoldLost { .. } => 7,
                            other => panic!("{other:?}"),
                        };
                        kinds[kind] += 1;
                    }
                }
            }
            let stranger = Address([0x5a; 32]);
            assert_eq!(all(&mut engine.follow(&stranger, Height(1))), vec![]);
        }
        engine.close().unwrap();
    }
    assert!(kinds.iter().all(|&count| count > 0), "{kinds:?}");
}

#[test]
fn a_follower_hears_of_payments_as_they_become_durable_and_of_the_end() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { block_transactions_max: 3, ..trusting() });
    let follow = |who: char| {
        let mut follow = engine.follow(&named(who), Height(1));
        std::thread::spawn(move || {
            let mut all = Vec::new();
            while let Some(notice) = follow.next_within(Duration::from_secs(60)) {
                all.push(heard(&notice.unwrap()));
            }
            assert_eq!(follow.lag(), 0);
            all
        })
    };
    let followers = ['A', 'B', 'X'].map(|who| (who, follow(who)));
    let text: String = (0..300).map(|n| format!("A>{}:1 ", if n % 50 == 7 { 'X' } else { 'B' })).collect();
    let mut receipts = Vec::new();
    for step in program(&format!("I*EUR:max I>A:1000 {text}")).steps {
        receipts.push(engine.submit(&step.transaction).unwrap());
    }
    for receipt in receipts {
        assert!(receipt.wait().unwrap().outcome.is_applied());
    }
    let expected = ['A', 'B', 'X'].map(|who| scanned(&engine, &named(who), Height(1)));
    // Nothing comes: the time is up.
    let mut idle = engine.follow(&named('A'), engine.durable_height().next());
    assert!(idle.next_within(Duration::from_millis(30)).is_none());
    engine.close().unwrap();
    assert!(idle.next_within(Duration::from_secs(60)).is_none(), "a closed engine ends it at once");
    for ((who, follower), expected) in followers.into_iter().zip(expected) {
        let found = follower.join().unwrap();
        assert_eq!(found, expected, "{who}");
        let paid: usize = found.iter().map(|heard| heard.transactions.len()).sum();
        assert_eq!(
            paid,
            match who {
                'A' => 301,
                'B' => 294,
                _ => 6,
            },
            "{who}"
        );
    }
}

/// Some five segments of payments between A and B, C, D; X is paid now and then.
fn history(engine: &Engine) {
    let payee = |n: usize| if n % 3_000 == 1_234 { 'X' } else { ['B', 'C', 'D'][n % 3] };
    let text: String =
        (0..18_000).map(|n| format!("A>{}:{}#{n} ", payee(n), if n % 10 == 0 { 9_999_999 } else { 1 })).collect();
    let steps = program(&format!("I*EUR:max I>A:1000000 {text}")).steps;
    for batch in steps.chunks(700) {
        let batch: Vec<Transaction> = batch.iter().map(|step| step.transaction.clone()).collect();
        let _ = engine.submit_batch(&batch).unwrap().wait().unwrap();
    }
}

fn filters(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "filter")).collect();
    all.sort();
    all
}

fn check(engine: &Engine) {
    for (who, least) in [('X', 6), ('B', 20), ('I', 1)] {
        for from in [1, 9, 20, engine.durable_height().0] {
            let found = all(&mut engine.follow(&named(who), Height(from)));
            assert_eq!(found, scanned(engine, &named(who), Height(from)), "{who} from {from}");
            assert!(from > 1 || found.len() >= least, "{who}: {}", found.len());
        }
    }
    assert_eq!(all(&mut engine.follow(&named('Y'), Height(1))), vec![]);
}

#[test]
fn across_segments_and_restarts_and_whatever_became_of_the_index() {
    for follow_index in [true, false] {
        let config = EngineConfig { follow_index, ..trusting() };
        let directory = Directory::in_memory();
        let engine = open(directory.path(), config.clone());
        assert_eq!(all(&mut engine.follow(&named('A'), Height(1))), vec![], "an empty ledger tells nothing");
        // Somebody follows from early on, and somebody only later.
        let mut early = engine.follow(&named('X'), Height(1));
        history(&engine);
        check(&engine);
        assert_eq!(all(&mut early), scanned(&engine, &named('X'), Height(1)));
        engine.close().unwrap();
        assert!(filters(directory.path()).len() >= 3, "{:?}", filters(directory.path()));
        for damage in 0..6 {
            for path in filters(directory.path()) {
                let mut bytes = fs::read(&path).unwrap();
                let pages = bytes.len() / 4096;
                match damage {
                    0 => continue,
                    1 => bytes.truncate(bytes.len() / 2),
                    2 => bytes.clear(),
                    // A filter that says no to everybody.
                    3 => bytes[2 * 4096..].fill(0),
                    4 => bytes.chunks_mut(4096).skip(1).for_each(|page| page[9] ^= 4),
                    _ => bytes.copy_within(8192..12_288, (pages - 1) * 4096),
                }
                fs::write(&path, bytes).unwrap();
            }
            let engine = open(directory.path(), config.clone());
            check(&engine);
            engine.close().unwrap();
        }
        // Files of another ledger's log say nothing of this one.
        let other = Directory::in_memory();
        let engine = open(other.path(), config.clone());
        let steps = program("I*EUR:max I>A:1000000").steps;
        let batch: Vec<Transaction> = steps.into_iter().map(|step| step.transaction).collect();
        let _ = engine.submit_batch(&batch).unwrap().wait().unwrap();
        history(&engine);
        engine.close().unwrap();
        for path in filters(directory.path()) {
            fs::copy(&path, other.path().join(path.file_name().unwrap())).unwrap();
        }
        let engine = open(other.path(), config);
        check(&engine);
        engine.close().unwrap();
    }
}

#[test]
fn a_follower_too_slow_for_what_is_kept_is_told_and_goes_on() {
    let directory = Directory::in_memory();
    let config = EngineConfig { retention: Retention::Recycle, checkpoint_log_bytes: 1 << 20, ..trusting() };
    let engine = open(directory.path(), config);
    let mut slow = engine.follow(&named('B'), Height(1));
    history(&engine);
    engine.checkpoint().unwrap();
    let last = Transaction::builder(named('B')).operation(named('B'), pay('X', 1, 0).into()).build().unwrap();
    assert!(engine.submit(&unsigned(last)).unwrap().wait().unwrap().outcome.is_applied());
    engine.checkpoint().unwrap();
    let kept = (2..).map(Height).find(|&height| engine.header(height).unwrap().is_some()).unwrap();
    assert!(kept > Height(5), "{kept}");
    assert_eq!(slow.lag(), engine.durable_height().0);
    let told = slow.next().unwrap().unwrap_err();
    assert_eq!(told, FollowError::Lagged { at: Height(1), next: kept });
    assert_eq!(slow.next_height(), kept);
    assert_eq!(all(&mut slow), scanned(&engine, &named('B'), kept));
    assert_eq!((slow.lag(), slow.next_height()), (0, engine.durable_height().next()));
    engine.close().unwrap();
    assert!(filters(directory.path()).len() < 3, "what is of retired segments goes with them");
}

/// A trade as short as it can be said: whose order took whose, at which price, how many.
fn word(trade: &Trade) -> String {
    let letter = |who: Address| ('A'..='Z').find(|&letter| named(letter) == who).unwrap();
    let Trade { taker, taker_order, side, maker, maker_order, price, quantity, .. } = trade;
    let side = if *side == Side::Buy { "buys" } else { "sells" };
    format!("{}{taker_order} {side} {quantity} at {price} {}{maker_order}", letter(*taker), letter(*maker))
}

#[test]
fn the_trades_of_a_market_and_of_whoever_traded() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    for step in program("I*EUR:max I*USD:max I>A:100 I>B:100 I>C:100 I>A:100@1 I>B:100@1 I>C:100@1").steps {
        let _ = engine.submitter().at(Time(1_000)).submit(&step.transaction).unwrap().wait().unwrap();
    }
    let mut next = 100;
    let mut submit = |who: char, orders: Vec<(char, Operation)>| {
        next += 1;
        let builder = Transaction::builder(named(who)).sequence(next);
        let add = |builder: TransactionBuilder, (source, order)| builder.operation(named(source), order);
        let order = unsigned(orders.into_iter().fold(builder, add).build().unwrap());
        let receipt = engine.submitter().at(Time(1_000)).submit(&order).unwrap().wait().unwrap();
        assert!(receipt.outcome.is_applied(), "{:?}", receipt.outcome);
    };
    let market = |base, quote| OpenMarket {
        base: AssetId(base),
        quote: AssetId(quote),
        lot: 1,
        tick: 1,
        ..OpenMarket::default()
    };
    submit('I', vec![('I', market(0, 1).into()), ('I', market(1, 0).into())]);
    let order = |market, id, side, price, quantity| -> Operation {
        PlaceOrder { market: MarketId(market), id, side, price, quantity, ..PlaceOrder::default() }.into()
    };
    submit('A', vec![('A', order(0, 1, Side::Sell, 2, 5)), ('A', order(1, 9, Side::Sell, 1, 1))]);
    submit('B', vec![('B', order(0, 1, Side::Sell, 3, 5))]);
    let taking = PlaceOrder {
        market: MarketId(0),
        id: 7,
        side: Side::Buy,
        price: 3,
        quantity: 7,
        lifetime: Lifetime::ImmediateOrCancel,
        ..PlaceOrder::default()
    };
    submit('C', vec![('C', pay('A', 1, 0).into()), ('C', taking.into()), ('C', order(1, 8, Side::Buy, 1, 1))]);
    submit('A', vec![('A', order(0, 2, Side::Buy, 3, 1))]);
    let told = |follow: Follow| -> Vec<String> {
        follow.flat_map(|notice| notice.unwrap().trades().iter().map(word).collect::<Vec<_>>()).collect()
    };
    let of = |letter| told(engine.follow(&named(letter), Height(1)));
    let (one, two, three, four) = ("C7 buys 5 at 2 A1", "C7 buys 2 at 3 B1", "C8 buys 1 at 1 A9", "A2 buys 1 at 3 B1");
    assert_eq!(told(engine.follow_market(MarketId(0), Height(1))), [one, two, four]);
    assert_eq!(told(engine.follow_market(MarketId(1), Height(1))), [three]);
    assert_eq!(told(engine.follow_market(MarketId(2), Height(1))), [""; 0]);
    assert_eq!(of('B'), [two, four]);
    assert_eq!(of('C'), [one, two, three]);
    assert_eq!(of('A'), [one, two, three, four]);
    engine.close().unwrap();
}

/// Whom something happened to and what, as short as it can be said.
fn happened(event: &Event) -> String {
    let letter = ('A'..='Z').find(|&letter| named(letter) == event.account).unwrap();
    let what = match event.what {
        Happening::Traded { order, price, quantity, .. } => format!("traded {quantity} of order {order} at {price}"),
        Happening::Paid { hold, amount, .. } => format!("paid {amount} by hold {hold}"),
        Happening::HoldReturned { hold, amount, .. } => format!("got {amount} of hold {hold} back"),
        Happening::HoldReleased { hold, amount, .. } => format!("released {amount} of hold {hold}"),
        Happening::OrderEnded { order, amount, .. } => format!("got {amount} of order {order} back"),
        Happening::Sent { amount, .. } => format!("was sent {amount}"),
        Happening::Collected { asset, amount } => format!("collected {amount} of asset {asset}"),
        Happening::HoldLost { hold, amount, .. } => format!("lost {amount} of hold {hold}"),
        other => format!("{other:?}"),
    };
    format!("{letter} {what}{}", if event.position.is_none() { ", in time" } else { "" })
}

#[test]
fn everybody_hears_what_happened_to_them_and_what_their_own_orders_did() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), trusting());
    let mut next = 0;
    let mut submit = |time: u64, who: char, order: Operation| {
        next += 1;
        let order = Transaction::builder(named(who)).sequence(next).operation(named(who), order).build().unwrap();
        let receipt = engine.submitter().at(Time(time)).submit(&unsigned(order)).unwrap().wait().unwrap();
        assert!(receipt.outcome.is_applied(), "{:?}", receipt.outcome);
    };
    let plain = |code: &str| RegisterAsset::plain(code.parse().unwrap(), 0, Amount::MAX).into();
    submit(1_000, 'I', plain("EUR"));
    submit(1_000, 'I', plain("USD"));
    for (letter, asset) in [('A', 0), ('B', 0), ('C', 1)] {
        submit(1_000, 'I', pay(letter, 100, asset).into());
    }
    let hold = |id, payees: &str, amount| -> Hold {
        let payees = payees.chars().map(|letter| Share { payee: named(letter), parts: 1 }).collect();
        Hold { id, amount: Amount(amount), payees, ..Hold::default() }
    };
    let settle = |id, cancels| Settle { owner: named('A'), id, cancels, ..Settle::default() };
    let until = |hold: Hold, releases_at_expiry| Hold { expiry: Some(Time(1_500)), releases_at_expiry, ..hold };
    submit(1_000, 'A', hold(1, "XY", 5).into());
    submit(1_000, 'X', settle(1, false).into());
    submit(1_000, 'A', hold(2, "X", 7).into());
    submit(1_000, 'X', settle(2, true).into());
    submit(1_000, 'A', until(hold(3, "XY", 8), true).into());
    submit(1_000, 'A', until(hold(4, "Z", 9), false).into());
    submit(1_000, 'M', OpenMarket { quote: AssetId(1), lot: 1, tick: 1, ..OpenMarket::default() }.into());
    let market = engine.snapshot().unwrap().find_market(&named('M'), AssetId(0), AssetId(1)).unwrap();
    let sell = |id, quantity| PlaceOrder { market, id, side: Side::Sell, price: 2, quantity, ..PlaceOrder::default() };
    submit(1_000, 'B', PlaceOrder { expiry: Some(Time(1_500)), ..sell(1, 9) }.into());
    submit(1_000, 'C', PlaceOrder { side: Side::Buy, lifetime: Lifetime::ImmediateOrCancel, ..sell(1, 4) }.into());
    submit(1_000, 'B', Transfer { up_to: true, ..pay('D', 1_000, 0) }.into());
    // Everything that ends in time ends before this.
    submit(1_501, 'C', pay('D', 1, 1).into());
    let of = |letter| -> Vec<String> {
        let notices = engine.follow(&named(letter), Height(1));
        notices.flat_map(|notice| notice.unwrap().events().iter().map(happened).collect::<Vec<_>>()).collect()
    };
    let (one, two) = ("X paid 3 by hold 1", "Y paid 2 by hold 1");
    let released = "A released 8 of hold 3, in time";
    let (back, lost) = ("A got 7 of hold 2 back", "X lost 7 of hold 2");
    let over = "A got 9 of hold 4 back, in time";
    assert_eq!(of('A'), [one, two, back, lost, released, over]);
    assert_eq!(of('X'), [one, two, back, lost, released, "X paid 4 by hold 3, in time"]);
    assert_eq!(of('Y'), [two, released, "Y paid 4 by hold 3, in time"]);
    assert_eq!(of('Z'), [over, "Z lost 9 of hold 4, in time"]);
    let (traded, sent) = ("B traded 4 of order 1 at 2", "D was sent 91");
    assert_eq!(of('B'), [traded, sent, "B got 5 of order 1 back, in time"]);
    assert_eq!(of('C'), [traded]);
    assert_eq!(of('D'), [sent]);
    engine.close().unwrap();
}

/// An engine whose orders follow each other, each of which has to apply.
struct Told {
    _directory: Directory,
    engine: Engine,
    next: u64,
}

impl Told {
    fn new() -> Self {
        let directory = Directory::in_memory();
        let engine = open(directory.path(), trusting());
        Self { _directory: directory, engine, next: 0 }
    }

    fn ok(&mut self, time: u64, who: char, order: impl Into<Operation>) {
        self.next += 1;
        let order = Transaction::builder(named(who)).sequence(self.next).operation(named(who), order.into());
        let order = unsigned(order.build().unwrap());
        let receipt = self.engine.submitter().at(Time(time)).submit(&order).unwrap().wait().unwrap();
        assert!(receipt.outcome.is_applied(), "{:?}", receipt.outcome);
    }

    /// What somebody hears, and in how many transactions.
    fn of(&self, letter: char) -> (Vec<String>, usize) {
        let notices: Vec<Notice> =
            self.engine.follow(&named(letter), Height(1)).map(|notice| notice.unwrap()).collect();
        let events = notices.iter().flat_map(|notice| notice.events().iter().map(happened));
        (events.collect(), notices.iter().map(|notice| notice.transactions().count()).sum())
    }
}

#[test]
fn whoever_collects_fees_hears_of_them_and_the_sum_is_the_balance() {
    let mut told = Told::new();
    // A tenth of all that moves in euros goes to F, a fifth of all dollars is burnt.
    let priced = |code: &str, collector, points| {
        let plain = RegisterAsset::plain(code.parse().unwrap(), 0, Amount::MAX);
        let terms = AssetTerms { fee_account: named(collector), fee_basis_points: points, ..AssetTerms::default() };
        RegisterAsset { policy: AssetPolicy::FEE, terms: Some(Box::new(terms)), ..plain }
    };
    told.ok(1_000, 'I', priced("EUR", 'F', 1_000));
    told.ok(1_000, 'I', priced("USD", 'I', 2_000));
    for (letter, asset) in [('A', 0), ('B', 1), ('C', 1)] {
        told.ok(1_000, 'I', pay(letter, 1_000, asset));
    }
    told.ok(1_000, 'A', pay('X', 100, 0));
    // Less than costs anything.
    told.ok(1_000, 'A', pay('X', 9, 0));
    told.ok(1_000, 'B', pay('X', 50, 1));
    let share = |letter| Share { payee: named(letter), parts: 1 };
    let hold = Hold { id: 1, amount: Amount(200), payees: vec![share('X'), share('Y')], ..Hold::default() };
    told.ok(1_000, 'A', Hold { id: 2, expiry: Some(Time(1_500)), releases_at_expiry: true, ..hold.clone() });
    told.ok(1_000, 'A', hold);
    told.ok(1_000, 'A', Settle { owner: named('A'), id: 1, ..Settle::default() });
    // The market takes another fifth of what the taker gets, for G, who pays the asset's fee on that.
    let market = OpenMarket { quote: AssetId(1), lot: 10, tick: 10, fee_basis_points: 2_000, ..OpenMarket::default() };
    told.ok(1_000, 'M', OpenMarket { fee_account: Some(named('G')), ..market });
    let market = told.engine.snapshot().unwrap().find_market(&named('M'), AssetId(0), AssetId(1)).unwrap();
    let order = |id, side, price, quantity| PlaceOrder { market, id, side, price, quantity, ..PlaceOrder::default() };
    told.ok(1_000, 'B', order(1, Side::Buy, 3, 5));
    told.ok(1_000, 'C', order(1, Side::Buy, 2, 5));
    told.ok(1_000, 'A', order(9, Side::Sell, 2, 10));
    // And the hold that is over.
    told.ok(1_501, 'A', pay('X', 5, 0));

    let (of_f, in_transactions) = told.of('F');
    let expected = ["F collected 10 of asset 0", "F collected 20 of asset 0", "F collected 10 of asset 0"];
    assert_eq!(of_f[..3], expected);
    assert_eq!(of_f[3..], ["F collected 20 of asset 0, in time"]);
    // That it was named as such, the transfer, the settlement and the order.
    assert_eq!(in_transactions, 4);
    // 250 dollars come of 150 and 100: a fifth each is the market's, and of each of its two parts a fifth is burnt.
    let (of_g, in_transactions) = told.of('G');
    assert_eq!((of_g, in_transactions), (vec!["G collected 40 of asset 1".to_owned()], 2));
    let (of_issuer, _) = told.of('I');
    assert_eq!(of_issuer, ["I collected 10 of asset 1", "I collected 50 of asset 1"]);
    let snapshot = told.engine.snapshot().unwrap();
    assert_eq!(snapshot.balance(&named('F'), AssetId(0)), Amount(60));
    assert_eq!(snapshot.balance(&named('G'), AssetId(1)), Amount(40));
    assert_eq!(snapshot.asset(AssetId(1)).unwrap().issued, Amount(1_940));
    told.engine.close().unwrap();
}

#[test]
fn whoever_a_cancelled_hold_would_have_paid_hears_of_it() {
    let mut told = Told::new();
    told.ok(1_000, 'I', RegisterAsset::plain("EUR".parse().unwrap(), 0, Amount::MAX));
    told.ok(1_000, 'I', pay('A', 1_000, 0));
    let shares = |letters: &str| -> Vec<Share> {
        letters.chars().zip(1..).map(|(letter, parts)| Share { payee: named(letter), parts }).collect()
    };
    let hold = |id, letters: &str, amount| Hold {
        id,
        amount: Amount(amount),
        payees: shares(letters),
        arbiter: Some(named('J')),
        ..Hold::default()
    };
    let cancel = |id| Settle { owner: named('A'), id, cancels: true, ..Settle::default() };
    // The arbiter, another payee, and an expired one that makes room for another of its id.
    told.ok(1_000, 'A', hold(1, "XY", 9));
    told.ok(1_000, 'J', cancel(1));
    told.ok(1_000, 'A', hold(2, "XY", 6));
    told.ok(1_000, 'X', Settle { amount: Amount(3), owner: named('A'), id: 2, ..Settle::default() });
    told.ok(1_000, 'X', cancel(2));
    told.ok(1_000, 'A', Hold { expiry: Some(Time(1_500)), ..hold(3, "XY", 30) });
    told.ok(1_501, 'A', hold(3, "X", 1));
    let (lost, paid) = ("Y lost 6 of hold 1", "Y paid 2 by hold 2");
    let over = "A got 30 of hold 3 back, in time";
    assert_eq!(told.of('Y').0, [lost, paid, "Y lost 2 of hold 2", over, "Y lost 20 of hold 3, in time"]);
    // Whom the transactions name hears all of it.
    assert_eq!(told.of('J').0, ["A got 9 of hold 1 back", "X lost 3 of hold 1", lost]);
    told.engine.close().unwrap();
}
