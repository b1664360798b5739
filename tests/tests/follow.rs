//! Following an account: it hears what a scan of everything would tell it, live, from any height on, across restarts, damaged indexes and
//! retired blocks; and nobody waits for a follower.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Address, AssetId, Engine, EngineConfig, Event, Follow, FollowError, Happening, Height, Lifetime, MarketId, Notice,
    OpenMarket, Operation, Outcome, PlaceOrder, Retention, Side, Time, Trade, Transaction, TransactionBuilder,
    TransactionRef,
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
        let mut released = None;
        for event in events.iter().filter(|event| event.position.is_none()) {
            let is_paid = matches!(event.what, Happening::Paid { .. });
            if matches!(event.what, Happening::HoldReleased { .. }) {
                released = Some(*event);
            }
            if event.account == *account {
                // Whose hold it was is told once.
                let owner = released.filter(|owner| is_paid && !heard.events.contains(owner));
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
    let mut kinds = [0; 6];
    for seed in 90_000..90_080 {
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
    assert!(kinds.iter().all(|&count| count > 20), "{kinds:?}: everything that can happen did");
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
