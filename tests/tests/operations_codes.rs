//! Every reason to reject is met by an order that the test names with it, in one place, so that none can be forgotten; and of two faults at once
//! the first in precedence is told, operation by operation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::RejectionCode as No;
use nostro::{
    Address, Amend, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, ControlHolder,
    EngineConfig, Grant, GrantAction, GrantKind, GrantName, GrantTerms, Hold, HolderAction, Lifetime, MarketId,
    OpenMarket, Operation, Outcome, PlaceOrder, Predicate, Put, PutAction, RecordKind, RegisterAsset, Rejection,
    Require, SelfTrade, Settle, Share, Side, Signature, Time, Transfer,
};
use nostro_tests::case::{Case, asset, pay, update};
use nostro_tests::compare::{Shape, on_engine_of, on_model};
use nostro_tests::language::program;
use nostro_tests::world::named;
use std::collections::BTreeSet;

fn never() -> Predicate {
    Predicate::always().negated()
}

fn rules(letter: char) -> AuthorityRules {
    let key = AuthorityKey { key: named(letter), weight: 1, scope: 0, expiry: None };
    AuthorityRules { keys: vec![key], low: 1, medium: 1, high: 1, ..AuthorityRules::default() }
}

fn hold(payee: char, amount: u128) -> Hold {
    Hold { id: 1, amount: Amount(amount), payees: vec![Share { payee: named(payee), parts: 1 }], ..Hold::default() }
}

fn settle(owner: char, amount: u128) -> Settle {
    Settle { owner: named(owner), id: 1, amount: Amount(amount), ..Settle::default() }
}

fn grant(id: u64, terms: GrantTerms) -> Grant {
    Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }
}

fn spend(cap: u128) -> GrantTerms {
    GrantTerms { to: named('B'), cap: Amount(cap), ..GrantTerms::default() }
}

fn draw(id: u64, amount: u128) -> Transfer {
    Transfer { grant: Some(GrantName { owner: named('A'), id }), ..pay('C', amount, 0) }
}

fn buy(id: u64, quantity: u64, price: u64) -> PlaceOrder {
    PlaceOrder { market: MarketId(0), id, quantity, price, ..PlaceOrder::default() }
}

fn record(action: PutAction, owner: Option<Address>) -> Put {
    Put { action, owner, kind: RecordKind::Data, ..Put::default() }
}

fn control(action: HolderAction) -> ControlHolder {
    ControlHolder { holder: named('A'), action, ..ControlHolder::default() }
}

/// A and I have rules, closed or not, and come back.
fn of_authority() -> Case {
    let mut case = Case::with_money("A=9");
    let authorizing = AuthorityKey { key: named('D'), weight: 1, scope: 1 << 10, expiry: None };
    let closed = AuthorityRules { is_closed: true, ..rules('X') };
    let recoverable = AuthorityRules { recovery_keys: vec![named('K')], quorum: 1, delay_ms: 10, ..rules('B') };
    case.no_by('A', "K", pay('B', 1, 0), No::UnknownKey, 0)
        .no('A', Authorize::Set(AuthorityRules { high: 2, ..rules('A') }), No::AuthorityUnreachable, 1)
        .no('A', Authorize::Set(closed.clone()), No::NotEmpty, 0)
        .no('A', Authorize::Object, No::NoRecovery, 0)
        .ok('X', Authorize::Set(closed))
        .no('X', Require::default(), No::AccountClosed, 0)
        .no('A', pay('X', 1, 0), No::AccountClosed, 0)
        .ok('C', Authorize::Set(AuthorityRules { needs_memo: true, ..rules('C') }))
        .no('A', pay('C', 1, 0), No::MemoRequired, 0)
        .ok('B', Authorize::Set(recoverable))
        .no_by('B', "K", Authorize::Recover(AuthorityRules { high: 3, ..rules('B') }), No::AuthorityUnreachable, 1)
        .ok_by('B', "K", Authorize::Recover(rules('K')))
        .no_by('B', "K", Authorize::Recover(rules('K')), No::RecoveryPending, 1_010)
        .ok('D', Authorize::Set(AuthorityRules { keys: vec![authorizing], ..rules('D') }))
        .no('D', Require::default(), No::ThresholdUnmet, 0);
    case
}

fn of_assets() -> Case {
    let mut case = Case::new();
    let all = AssetPolicy::FREEZABLE
        .with(AssetPolicy::AUTHORIZATION)
        .with(AssetPolicy::CREDENTIAL)
        .with(AssetPolicy::EXPIRES);
    let terms = AssetTerms { schema: [7; 32], attester: named('K'), expiry: Time(2_000), ..AssetTerms::default() };
    case.ok('I', asset("EUR", all, terms))
        .no('A', pay('B', 1, 9), No::NoAsset, 9)
        .no('I', asset("EUR", all, terms), No::AssetExists, 0)
        .no('A', control(HolderAction::Freeze), No::NotIssuer, 0)
        .no('I', control(HolderAction::ClawBack), No::PolicyForbids, u64::from(AssetPolicy::CLAWBACK.0))
        .ok('I', control(HolderAction::Freeze))
        .no('I', pay('A', 1, 0), No::Frozen, 1)
        .ok('I', control(HolderAction::Unfreeze))
        .no('I', pay('A', 1, 0), No::NotAuthorized, 1)
        .ok('I', control(HolderAction::Authorize))
        .no('I', pay('A', 1, 0), No::NotAttested, 1)
        .no('I', update("EUR", u128::MAX, all.with(AssetPolicy::CLAWBACK), terms), No::PolicyLocked, 1)
        .ok('J', RegisterAsset::plain("USD".parse().unwrap(), 0, Amount(5)))
        .no('J', pay('A', 6, 1), No::SupplyExceeded, 1)
        .ok('J', pay('A', 5, 1))
        .no('A', pay('A', 1, 1), No::SelfTransfer, 0)
        .no('A', pay('B', 0, 1), No::ZeroAmount, 0)
        .no('A', pay('B', 6, 1), No::InsufficientFunds, 1)
        .at(2_001)
        .no('I', pay('A', 1, 0), No::AssetExpired, 2_000);
    case
}

fn of_promises() -> Case {
    let mut case = Case::with_money("A=90 B=1");
    let channel = Hold { voucher_key: Some(named('V')), ..hold('B', 9) };
    let message = Settle::voucher_message(&named('A'), 1, Time(1_000), Amount(2));
    let voucher = Some(nostro_tests::world::key(21).sign(&message));
    let access = GrantTerms { kind: GrantKind::Access, ..spend(0) };
    case.ok('A', channel)
        .no('A', hold('B', 1), No::HoldExists, 0)
        .no('B', settle('B', 1), No::NoHold, 0)
        .no('X', settle('A', 1), No::WrongParty, 0)
        .no('B', settle('A', 1), No::BadVoucher, 0)
        .ok('B', Settle { voucher, ..settle('A', 2) })
        .no('B', Settle { voucher, ..settle('A', 2) }, No::StaleVoucher, 2)
        .no('A', settle('A', 8), No::ExceedsHold, 1)
        .no('A', Hold { id: 2, expiry: Some(Time(9)), ..hold('B', 1) }, No::ExpiryPast, 1_000)
        .ok('A', Hold { id: 3, release: never(), ..hold('B', 1) })
        .no('B', Settle { id: 3, ..settle('A', 1) }, No::ConditionUnmet, 0)
        .ok('A', grant(1, GrantTerms { period_ms: 9, period_cap: Amount(2), ..spend(3) }))
        .no('A', grant(1, spend(1)), No::GrantExists, 2)
        .no('B', draw(9, 1), No::NoGrant, 0)
        .no('B', draw(1, 4), No::PeriodCap, 2)
        .ok('A', grant(2, spend(3)))
        .no('B', draw(2, 4), No::GrantExhausted, 1)
        .ok('A', grant(3, GrantTerms { start: Time(2_000), ..spend(3) }))
        .no('B', draw(3, 1), No::NotVested, u64::MAX)
        .ok('A', grant(4, access))
        .no('B', draw(4, 1), No::OutOfScope, 0)
        .ok('A', Grant { action: GrantAction::Revoke, id: 2, terms: None })
        .no('B', draw(2, 1), No::GrantRevoked, 0);
    case
}

fn of_markets() -> Case {
    let mut case = Case::with_money("A=90 B=90");
    let sell = |id| PlaceOrder { side: Side::Sell, ..buy(id, 1, 5) };
    case.ok('J', asset("USD", AssetPolicy::default(), AssetTerms::default()))
        .ok('J', pay('A', 90, 1))
        .ok('M', OpenMarket { quote: AssetId(1), lot: 1, tick: 1, ..OpenMarket::default() })
        .no('M', OpenMarket { quote: AssetId(1), lot: 1, tick: 1, ..OpenMarket::default() }, No::MarketExists, 0)
        .no('A', PlaceOrder { market: MarketId(3), ..buy(1, 1, 1) }, No::NoMarket, 3)
        .no('A', Amend::Cancel(vec![1]), No::NoOrder, 1)
        .ok('B', sell(1))
        .no('B', sell(1), No::OrderExists, 1)
        .no('A', PlaceOrder { lifetime: Lifetime::PostOnly, ..buy(1, 1, 5) }, No::WouldCross, 5)
        .no('A', PlaceOrder { lifetime: Lifetime::FillOrKill, ..buy(1, 2, 5) }, No::NotFilled, 1)
        .ok('A', PlaceOrder { price: 4, ..sell(2) })
        .no('A', PlaceOrder { self_trade: SelfTrade::Reject, ..buy(1, 1, 5) }, No::SelfTrade, 2);
    case
}

fn of_records() -> Case {
    let mut case = Case::new();
    case.ok('A', record(PutAction::Create, None))
        .no('A', record(PutAction::Create, None), No::RecordExists, 0)
        .no('B', record(PutAction::Revoke, None), No::NoRecord, 0)
        .no('B', record(PutAction::Revoke, Some(named('A'))), No::NotOwner, 0)
        .no('A', Require { predicate: never() }, No::RequirementUnmet, 0);
    case
}

#[test]
fn every_code_is_met_by_an_order_that_is_named_with_it() {
    let mut met: BTreeSet<No> = BTreeSet::new();
    for case in [of_authority(), of_assets(), of_promises(), of_markets(), of_records()] {
        case.run();
        met.extend(case.codes());
    }
    // Those of a transaction as a whole, which a case can't order.
    let lanes: String = (1..=64).map(|lane| format!("A>B:1/{lane} ")).collect();
    let whole = [
        (No::Expired, "I*EUR:9 A>B:1!999".to_owned()),
        (No::Duplicate, "I*EUR:9 I>A:9 A>B:1#1 A>B:1#1".to_owned()),
        (No::OutOfWindow, "I*EUR:9 I>A:9 A>B:1#64 A>B:1#0".to_owned()),
        (No::TooManyLanes, format!("I*EUR:99 I>A:99 {lanes}")),
    ];
    for (code, text) in whole {
        let (_, last) = *on_model(&program(&text), None).outcomes.last().unwrap();
        assert!(matches!(last, Outcome::Rejected(no) if no.code == code), "{text}: {last:?}");
        met.insert(code);
    }
    // An account more than the ledger may have.
    let (shape, text) = (Shape::PLAIN, "I*EUR:9 I>A:9 A>B:1 A>C:1");
    let few = EngineConfig { accounts_max: 3, ..shape.config() };
    let (_, last) = *on_engine_of(&program(text), shape, &few).outcomes.last().unwrap();
    assert_eq!(last, Outcome::Rejected(Rejection { code: No::TooManyAccounts, operation: 0, detail: 3 }));
    met.insert(No::TooManyAccounts);
    // It takes billions of assets or entries: `execute/full.rs` meets them, by all orders that need one, where fewer fill the ledger.
    met.extend([No::TooManyAssets, No::TooManyEntries]);
    let missed: Vec<&No> = No::ALL.iter().filter(|code| !met.contains(code)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// Two faults in one order: the first of the operation's table in the documents is told.
#[test]
fn of_two_faults_the_first_in_precedence_is_told() {
    let past = Some(Time(9));
    let bad = Some(Signature([0; 64]));
    let mut case = Case::with_money("A=9 B=1");
    let locked = Hold { release: never(), voucher_key: Some(named('V')), ..hold('B', 5) };
    // Transfer: asset, oneself, nothing, grant, funds.
    case.no('A', Transfer { asset: AssetId(9), ..pay('A', 0, 0) }, No::NoAsset, 9)
        .no('A', pay('A', 0, 0), No::SelfTransfer, 0)
        .no('X', Transfer { amount: Amount(0), ..draw(1, 0) }, No::ZeroAmount, 0)
        .no('X', draw(1, 99), No::NoGrant, 0)
        .ok('A', grant(1, GrantTerms { predicate: never(), payee: Some(named('D')), ..spend(1) }))
        .no('X', draw(1, 99), No::WrongParty, 0)
        .no('B', draw(1, 99), No::ConditionUnmet, 0)
        .ok('A', Grant { action: GrantAction::Remove, id: 1, terms: None })
        .ok('A', grant(1, GrantTerms { payee: Some(named('D')), start: Time(2_000), ..spend(1) }))
        .no('B', draw(1, 99), No::OutOfScope, 2)
        .ok('A', Grant { action: GrantAction::Revoke, id: 1, terms: None })
        .no('B', draw(1, 99), No::GrantRevoked, 0)
        // Hold: asset, oneself, nothing, funds, end, id.
        .no('A', Hold { asset: AssetId(9), expiry: past, ..hold('A', 0) }, No::NoAsset, 9)
        .no('A', Hold { expiry: past, ..hold('A', 0) }, No::SelfTransfer, 0)
        .no('A', Hold { expiry: past, ..hold('B', 0) }, No::ZeroAmount, 0)
        .no('A', Hold { expiry: past, ..hold('B', 99) }, No::InsufficientFunds, 90)
        .ok('A', locked)
        .no('A', Hold { expiry: past, ..hold('B', 1) }, No::ExpiryPast, 1_000)
        .no('A', hold('B', 99), No::InsufficientFunds, 95)
        // Settle: hold, party, predicate, voucher, amount.
        .no('X', Settle { id: 8, voucher: bad, ..settle('A', 99) }, No::NoHold, 0)
        .no('X', Settle { voucher: bad, ..settle('A', 99) }, No::WrongParty, 0)
        .no('B', Settle { voucher: bad, ..settle('A', 99) }, No::ConditionUnmet, 0)
        .no('A', Settle { voucher: bad, ..settle('A', 99) }, No::BadVoucher, 2)
        .no('A', settle('A', 99), No::ExceedsHold, 94)
        // Grant: asset, oneself, end, id.
        .no('A', grant(1, GrantTerms { to: named('A'), asset: AssetId(9), end: past, ..spend(1) }), No::NoAsset, 9)
        .no('A', grant(1, GrantTerms { to: named('A'), end: past, ..spend(1) }), No::SelfTransfer, 0)
        .no('A', grant(1, GrantTerms { end: past, ..spend(1) }), No::ExpiryPast, 1_000)
        // Put: end, what is there, whose it is.
        .ok('A', record(PutAction::Create, None))
        .no('B', Put { expiry: past, ..record(PutAction::Create, Some(named('A'))) }, No::ExpiryPast, 1_000)
        .no('B', record(PutAction::Create, Some(named('A'))), No::RecordExists, 2)
        .no('B', record(PutAction::Revoke, Some(named('C'))), No::NoRecord, 0)
        // The first operation that fails is told, whatever is wrong with the second.
        .not_together('A', vec![('A', pay('A', 0, 0).into()), ('A', pay('B', 0, 9).into())], No::SelfTransfer, 0)
        .not_together('A', vec![('A', pay('B', 1, 0).into()), ('A', pay('B', 0, 9).into())], No::NoAsset, 1);
    case.run();
}

/// The orders of one transaction share what they may meet.
#[test]
fn a_transaction_meets_thirty_two_orders_however_many_it_has() {
    let mut case = Case::with_money("A=500 B=500");
    case.ok('J', asset("USD", AssetPolicy::default(), AssetTerms::default()))
        .ok('J', pay('A', 900, 1))
        .ok('J', pay('B', 900, 1))
        .ok('M', OpenMarket { quote: AssetId(1), lot: 1, tick: 1, ..OpenMarket::default() });
    for id in 0..50 {
        case.ok('B', PlaceOrder { side: Side::Sell, ..buy(id, 1, 2) });
    }
    let taking = |id, quantity| -> (char, Operation) {
        ('A', PlaceOrder { lifetime: Lifetime::ImmediateOrCancel, ..buy(id, quantity, 2) }.into())
    };
    case.together('A', vec![taking(1, 20), taking(2, 20), taking(3, 1)])
        // 32 were taken, and the third order met nobody.
        .no('A', pay('C', 837, 1), No::InsufficientFunds, 1)
        .not_together(
            'A',
            vec![taking(1, 15), ('A', PlaceOrder { lifetime: Lifetime::FillOrKill, ..buy(2, 4, 2) }.into())],
            No::NotFilled,
            1,
        )
        .together('B', vec![('B', Amend::CancelAll(MarketId(0)).into()), ('B', Amend::CancelAll(MarketId(0)).into())])
        .no('B', Amend::Cancel(vec![49]), No::NoOrder, 49);
    for id in 0..50 {
        case.ok('B', PlaceOrder { side: Side::Sell, ..buy(id, 1, 2) });
    }
    case.together('B', vec![('B', Amend::CancelAll(MarketId(0)).into()), ('B', Amend::CancelAll(MarketId(0)).into())])
        .ok('B', Amend::Cancel((0..18).collect()))
        .run();
}
