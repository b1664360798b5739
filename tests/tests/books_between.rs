//! What comes between the orders of a block: markets, fees, issues, rules, whatever takes from those who order, and time. Hand-written cases, each
//! in every layout against the model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amend, AssetPolicy, AssetTerms, AuthorityRules, Authorize, ControlHolder, Grant, GrantAction, GrantKind, GrantName,
    GrantTerms, Hold, HolderAction, MarketId, OpenMarket, PlaceOrder, RejectionCode, Require, Time, Transfer,
};
use nostro_tests::case::{Case, asset, pay};
use nostro_tests::orders::{
    EURO, GOLD, OIL, at_once, buy, cancel, has, hold, market, post, sell, settle, there, trading, trading_with, whole,
};
use nostro_tests::sharded::check_case;
use nostro_tests::world::named;

use RejectionCode::{InsufficientFunds, MemoRequired, NoMarket, NoOrder, NotFilled, RequirementUnmet, SupplyExceeded};

#[test]
fn a_market_is_there_from_its_position_on_and_its_collector_with_it() {
    let fee = OpenMarket { fee_basis_points: 1_000, fee_account: Some(named('F')), quote: GOLD, ..market(OIL) };
    let new = |order| PlaceOrder { market: MarketId(3), ..order };
    let mut case = trading();
    case.at(2_000)
        .no('A', new(sell(1, 20, 2)), NoMarket, 3)
        .ok('A', sell(1, 5, 10))
        .no('F', pay('X', 1, 0), InsufficientFunds, 1)
        .no('A', new(sell(2, 20, 2)), NoMarket, 3)
        .ok('M', fee)
        // That number is an order's.
        .no('A', PlaceOrder { market: MarketId(2), ..sell(2, 20, 2) }, NoMarket, 2)
        .ok('A', new(sell(2, 20, 2)))
        .ok('B', new(buy(1, 20, 3)))
        .ok('B', buy(1, 5, 10))
        .ok('F', pay('X', 2, 2))
        .no('F', pay('X', 1, 2), InsufficientFunds, 1)
        .ok('B', pay('X', 1_018, 2))
        .ok('B', pay('X', 965, 0));
    check_case(&case);
}

#[test]
fn fees_can_be_spent_and_traded_with_behind_the_trade() {
    let with_fee = OpenMarket { fee_basis_points: 1_000, fee_account: Some(named('P')), ..market(GOLD) };
    let mut case = trading_with(with_fee, market(OIL));
    case.ok('A', buy(1, 50, 10))
        .ok('C', there(sell(1, 5, 10)))
        .at(2_000)
        .no('P', there(buy(1, 5, 10)), InsufficientFunds, 50)
        .ok('B', sell(1, 30, 10))
        .no('P', there(buy(1, 4, 10)), InsufficientFunds, 10)
        .ok('P', there(buy(1, 1, 10)))
        .ok('P', pay('X', 1, 1))
        .ok('B', sell(1, 20, 10))
        .ok('P', there(buy(2, 3, 10)))
        .ok('P', pay('X', 9, 1))
        .no('P', pay('X', 1, 1), InsufficientFunds, 1)
        // The collector takes, and pays itself.
        .ok('C', buy(7, 10, 10))
        .ok('I', pay('P', 10, 0))
        .ok('P', sell(9, 10, 10))
        .no('P', pay('X', 101, 1), InsufficientFunds, 1);
    check_case(&case);
}

#[test]
fn what_contends_an_account_before_its_order_is_seen_by_it() {
    // A payment that isn't covered before the block.
    let mut case = trading();
    case.ok('A', sell(1, 9, 10))
        .ok('J', pay('P', 10, 1))
        .at(2_000)
        .ok('B', pay('P', 50, 1))
        .ok('P', pay('X', 60, 1))
        .no('P', buy(1, 3, 10), InsufficientFunds, 30)
        .ok('B', pay('P', 30, 1))
        .ok('P', buy(1, 3, 10))
        .no('P', buy(2, 3, 10), InsufficientFunds, 30)
        .ok('C', buy(1, 6, 10))
        .ok('P', pay('X', 3, 0));
    check_case(&case);
    // What others take by a grant, what is looked at, what is ordered together with something else.
    let mut case = trading();
    let terms = GrantTerms { to: named('D'), asset: EURO, ..GrantTerms::default() };
    case.ok('A', sell(1, 9, 10))
        .ok('J', pay('P', 60, 1))
        .ok('P', Grant { action: GrantAction::Create, id: 1, terms: Some(Box::new(terms)) })
        .at(2_000)
        .ok('C', Require { predicate: has('P', 60) })
        .ok('D', Transfer { grant: Some(GrantName { owner: named('P'), id: 1 }), ..pay('X', 20, 1) })
        .no('P', buy(1, 5, 10), InsufficientFunds, 10)
        .ok('P', buy(1, 2, 10))
        .together('P', vec![('P', there(buy(2, 1, 10)).into()), ('P', pay('X', 5, 1).into())])
        .no('P', buy(3, 1, 6), InsufficientFunds, 1)
        .ok('P', buy(3, 1, 5))
        .no('C', Require { predicate: has('P', 1) }, RequirementUnmet, 0);
    check_case(&case);
}

#[test]
fn what_an_issuer_gets_is_gone_and_can_be_issued_again() {
    let mut case = trading();
    case.ok('I', pay('J', 20, 0))
        .ok('J', pay('I', 100, 1))
        .ok('J', pay('X', 900, 1))
        // Both wait before the block and in it.
        .ok('J', sell(1, 5, 10))
        .ok('I', there(buy(1, 2, 10)))
        .at(2_000)
        .no('J', pay('X', 1, 1), SupplyExceeded, 1)
        .ok('A', buy(1, 5, 10))
        .ok('J', pay('X', 49, 1))
        .no('J', pay('X', 2, 1), SupplyExceeded, 1)
        .ok('B', there(sell(1, 2, 10)))
        .ok('J', sell(2, 5, 11))
        .ok('I', buy(2, 3, 11))
        .no('J', pay('X', 35, 1), SupplyExceeded, 1)
        .ok('C', buy(1, 4, 9))
        // Both take.
        .ok('J', sell(3, 4, 9))
        .ok('A', there(sell(2, 2, 10)))
        .ok('I', there(buy(3, 2, 10)))
        .no('J', pay('X', 71, 1), SupplyExceeded, 1)
        .no('I', pay('X', 28, 1), InsufficientFunds, 1)
        .no('I', sell(9, 1, 1), InsufficientFunds, 1)
        .no('J', buy(9, 1, 1), InsufficientFunds, 1)
        .ok('J', Amend::CancelAll(MarketId(0)))
        .ok('J', pay('X', 8, 0));
    check_case(&case);
}

#[test]
fn a_transaction_of_several_orders_is_seen_as_a_whole() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 10))
        .ok('A', there(sell(2, 5, 10)))
        .at(2_000)
        .ok('B', at_once(buy(1, 1, 10)))
        .not_together(
            'B',
            vec![('B', buy(1, 2, 10).into()), ('B', there(buy(2, 5, 10)).into()), ('B', pay('X', 991, 1).into())],
            InsufficientFunds,
            2,
        )
        .together('C', vec![('C', whole(buy(1, 4, 10)).into()), ('C', there(buy(2, 2, 10)).into())])
        .no('D', whole(buy(1, 1, 10)), NotFilled, 1)
        .ok('D', there(whole(buy(1, 3, 10))))
        // Two sign, and one order meets the other.
        .together('A', vec![('A', sell(3, 2, 10).into()), ('B', buy(3, 2, 10).into())])
        .not_together('A', vec![('A', sell(4, 2, 10).into()), ('B', whole(buy(4, 3, 10)).into())], NotFilled, 1)
        .no('D', whole(buy(1, 1, 10)), NotFilled, 1)
        .ok('A', pay('X', 1_120, 1));
    check_case(&case);
}

#[test]
fn what_is_taken_back_together_with_something_else_is_gone_from_its_book() {
    for earlier in [true, false] {
        let mut case = trading();
        case.at(if earlier { 1_500 } else { 2_000 })
            .ok('A', sell(1, 5, 10))
            .ok('A', there(sell(2, 5, 10)))
            .ok('D', sell(1, 5, 11))
            .at(2_000)
            .ok('B', at_once(buy(1, 1, 10)))
            .ok('C', there(at_once(buy(1, 1, 10))))
            .together('A', vec![('A', cancel(1).into()), ('A', pay('X', 1, 0).into())])
            .together(
                'A',
                vec![('A', pay('X', 1, 0).into()), ('A', Amend::Change { id: 2, price: 12, quantity: 2 }.into())],
            )
            .ok('B', at_once(buy(1, 2, 11)))
            .ok('C', there(at_once(buy(1, 4, 12))))
            .no('D', cancel(7), NoOrder, 7)
            .ok('D', pay('X', 1_022, 1))
            .ok('A', pay('X', 1_044, 1));
        check_case(&case);
    }
}

#[test]
fn a_promise_asks_for_what_there_is_before_an_order() {
    let asks = |id| Hold { release: has('P', 50), ..hold(id, 'B') };
    // One that was made before the block, and in it.
    for made in [1_500, 2_000] {
        let mut case = trading();
        case.ok('J', pay('P', 50, 1))
            .ok('C', sell(1, 5, 10))
            .at(made)
            .ok('A', asks(1))
            .ok('A', asks(2))
            .at(2_000)
            .ok('D', there(sell(1, 1, 10)))
            .ok('B', settle('A', 1))
            .ok('P', buy(1, 5, 10))
            .no('B', settle('A', 2), RejectionCode::ConditionUnmet, 0)
            .ok('P', sell(2, 5, 10))
            .ok('D', at_once(buy(2, 5, 10)))
            .ok('B', settle('A', 2))
            .ok('P', there(buy(3, 1, 10)))
            .ok('P', pay('X', 40, 1));
        check_case(&case);
    }
}

#[test]
fn whose_key_has_changed_orders_by_the_new_one() {
    let key = AuthorityRules::of_address(named('D'));
    let mut case = trading();
    case.ok('A', sell(1, 9, 10))
        .ok('C', there(sell(4, 9, 10)))
        .at(2_000)
        .ok('C', buy(1, 1, 10))
        .ok('C', Authorize::Set(key))
        .no('C', buy(2, 1, 10), RejectionCode::UnknownKey, 0)
        .no('C', cancel(4), RejectionCode::UnknownKey, 0)
        .ok('B', there(buy(1, 1, 10)))
        .ok_by('C', "D", buy(2, 1, 10))
        .ok_by('C', "D", cancel(4))
        .ok('B', buy(2, 7, 10))
        .no('B', there(whole(buy(3, 1, 10))), NotFilled, 1)
        .ok('A', pay('X', 1_090, 1));
    check_case(&case);
}

#[test]
fn rules_and_those_who_act_for_others_bind_orders_behind_them() {
    let mut case = trading();
    let rules = AuthorityRules { needs_memo: true, ..AuthorityRules::of_address(named('C')) };
    let acts = GrantTerms { kind: GrantKind::Act, to: named('D'), scope: 0x1b7e, ..GrantTerms::default() };
    let id = GrantTerms::acting_id(&acts.to);
    case.ok('A', sell(1, 9, 10))
        .ok('B', Grant { action: GrantAction::Create, id, terms: Some(Box::new(acts)) })
        .at(2_000)
        .ok('C', buy(1, 1, 10))
        .ok('C', Authorize::Set(rules))
        .ok('C', buy(2, 1, 10))
        .no('A', pay('C', 1, 1), MemoRequired, 0)
        .ok_for('D', "D", 'B', buy(1, 3, 10))
        .ok('B', pay('X', 3, 0))
        .no('B', pay('X', 1_001, 0), InsufficientFunds, 1)
        .ok('D', buy(1, 4, 10))
        .ok('A', pay('X', 1_090, 1))
        .at(2_001)
        // It has rules of its own by now.
        .ok('C', there(sell(3, 1, 10)))
        .ok('B', there(buy(3, 1, 10)))
        .ok('C', pay('X', 990, 1));
    check_case(&case);
}

#[test]
fn who_is_frozen_between_two_orders_is_passed_by() {
    let control = |action| ControlHolder { asset: GOLD, holder: named('A'), action, ..ControlHolder::default() };
    let mut case = Case::new();
    case.ok('I', asset("GOLD", AssetPolicy::FREEZABLE, AssetTerms::default()))
        .ok('J', asset("EUR", AssetPolicy::default(), AssetTerms::default()))
        .ok('I', asset("OIL", AssetPolicy::default(), AssetTerms::default()))
        .ok('M', market(GOLD))
        .ok('M', market(OIL))
        .ok('I', pay('A', 10, 0))
        .ok('I', pay('A', 10, 2))
        .ok('J', pay('B', 100, 1))
        .at(1_500)
        .ok('A', sell(1, 5, 10))
        .at(2_000)
        .ok('A', there(sell(2, 5, 10)))
        .ok('B', at_once(buy(1, 1, 10)))
        .ok('I', control(HolderAction::Freeze))
        .no('B', whole(buy(1, 1, 10)), NotFilled, 1)
        .ok('B', there(buy(1, 1, 10)))
        .no('A', sell(3, 1, 10), RejectionCode::Frozen, 0)
        .ok('I', control(HolderAction::Unfreeze))
        .ok('B', whole(buy(1, 1, 10)))
        .ok('A', pay('X', 30, 1));
    check_case(&case);
}

#[test]
fn an_order_that_is_over_is_ended_where_it_is_met() {
    let until = |time, order| PlaceOrder { expiry: Some(Time(time)), ..order };
    let mut case = trading();
    case.ok('A', until(2_000, sell(1, 5, 10)))
        .ok('A', until(1_999, sell(2, 5, 9)))
        .at(2_000)
        .no('A', cancel(2), NoOrder, 2)
        .ok('B', at_once(buy(1, 1, 10)))
        .no('B', until(1_999, sell(1, 1, 20)), RejectionCode::ExpiryPast, 2_000)
        .ok('B', until(2_000, sell(1, 1, 20)))
        .ok('C', at_once(buy(1, 5, 20)))
        .ok('B', until(2_000, there(sell(1, 1, 20))))
        .at(2_001)
        .no('C', there(whole(buy(1, 1, 20))), NotFilled, 1)
        .ok('B', pay('X', 1_000, 2));
    check_case(&case);
    // More is over than leaves its place at once, so the orders are still there: first where nothing else happens.
    let mut case = trading();
    let over = |id| ('D', Hold { expiry: Some(Time(1_600)), ..hold(id, 'X') }.into());
    case.together('D', (0..140).map(over).collect())
        .together('D', (140..280).map(over).collect())
        .ok('A', until(1_700, sell(1, 5, 10)))
        .ok('C', sell(1, 5, 11))
        .at(2_000)
        .ok('B', buy(1, 6, 11))
        .ok('B', pay('X', 1_005, 0))
        .ok('C', pay('X', 1_055, 1));
    check_case(&case);
    let mut case = trading();
    let over = |id| ('D', Hold { expiry: Some(Time(1_600)), ..hold(id, 'X') }.into());
    case.together('D', (0..140).map(over).collect())
        .together('D', (140..280).map(over).collect())
        .ok('A', until(1_700, sell(1, 5, 10)))
        .ok('A', until(1_700, there(sell(2, 5, 10))))
        .ok('A', until(1_700, there(sell(3, 5, 11))))
        .ok('C', sell(1, 5, 11))
        .at(2_000)
        .no('A', pay('X', 1_000, 0), InsufficientFunds, 5)
        .no('A', cancel(1), NoOrder, 1)
        .no('B', whole(buy(1, 6, 11)), NotFilled, 1)
        .no('A', pay('X', 1_000, 0), InsufficientFunds, 5)
        .ok('B', buy(1, 5, 11))
        .ok('A', pay('X', 1_000, 0))
        .no('A', pay('X', 991, 2), InsufficientFunds, 1)
        // Its id is wanted again.
        .ok('A', there(sell(2, 5, 50)))
        .no('A', pay('X', 991, 2), InsufficientFunds, 1)
        .ok('B', there(post(buy(7, 1, 11))))
        .ok('A', pay('X', 995, 2));
    check_case(&case);
}
