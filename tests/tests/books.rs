//! What orders of one block see of each other and of those before it, in one market and across markets: hand-written cases, each in every layout
//! against the model.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{Amend, Amount, Lifetime, MarketId, PlaceOrder, RejectionCode, Require, SelfTrade};
use nostro_tests::case::pay;
use nostro_tests::orders::{
    at_once, buy, cancel, change, has, hold, living, post, sell, settle, there, trading, whole,
};
use nostro_tests::sharded::check_case;

use RejectionCode::{
    HoldExists, InsufficientFunds, NoMarket, NoOrder, NotFilled, OrderExists, RequirementUnmet, WouldCross,
};

#[test]
fn what_was_got_in_one_market_pays_in_another() {
    for first in [false, true] {
        let mut case = trading();
        case.ok('I', pay('P', 5, 0)).ok('B', buy(1, 5, 10)).ok('C', there(sell(1, 5, 10))).at(2_000);
        if first {
            case.no('P', there(buy(2, 5, 10)), InsufficientFunds, 50);
        }
        case.ok('P', sell(1, 5, 10))
            .ok('P', there(buy(2, 5, 10)))
            .no('P', pay('X', 1, 1), InsufficientFunds, 1)
            .ok('P', pay('X', 5, 2));
        check_case(&case);
    }
}

#[test]
fn what_an_order_took_is_spent_later_in_the_block() {
    let mut case = trading();
    case.ok('J', pay('P', 50, 1))
        .ok('A', sell(1, 5, 10))
        .at(2_000)
        .no('P', pay('X', 1, 0), InsufficientFunds, 1)
        .ok('P', buy(1, 5, 10))
        .ok('P', pay('X', 5, 0))
        .ok('X', pay('Y', 5, 0))
        .ok('A', pay('Y', 1_050, 1))
        .no('A', pay('Y', 1, 1), InsufficientFunds, 1);
    check_case(&case);
}

#[test]
fn whoever_waits_can_spend_what_it_got_behind_the_trade_and_not_before() {
    for earlier in [true, false] {
        let mut case = trading();
        case.ok('I', pay('P', 5, 0));
        case.at(if earlier { 1_500 } else { 2_000 }).ok('P', sell(1, 5, 10)).at(2_000);
        case.no('P', pay('X', 50, 1), InsufficientFunds, 50)
            .no('C', Require { predicate: has('P', 50) }, RequirementUnmet, 0)
            .ok('B', at_once(buy(1, 3, 10)))
            .no('P', there(buy(2, 4, 10)), InsufficientFunds, 10)
            .ok('B', at_once(buy(1, 2, 10)))
            .ok('C', Require { predicate: has('P', 50) })
            .ok('P', pay('X', 50, 1))
            .ok('X', pay('Y', 50, 1));
        check_case(&case);
    }
}

#[test]
fn an_id_is_free_again_in_another_market_when_its_order_has_gone() {
    for earlier in [true, false] {
        let mut case = trading();
        case.at(if earlier { 1_500 } else { 2_000 })
            .ok('A', sell(1, 5, 10))
            .ok('A', sell(2, 5, 10))
            .ok('A', sell(3, 5, 20))
            .at(2_000)
            .ok('A', cancel(1))
            .ok('A', there(sell(1, 5, 10)))
            .ok('B', there(buy(1, 5, 10)))
            .no('A', cancel(1), NoOrder, 1)
            .ok('A', sell(1, 5, 10))
            // Both at ten, the second first.
            .ok('B', at_once(buy(1, 9, 10)))
            .no('A', cancel(2), NoOrder, 2)
            .ok('A', there(sell(2, 5, 30)))
            .no('A', there(sell(1, 5, 30)), OrderExists, 2)
            .no('A', Amend::Cancel(vec![3, 1, 9]), NoOrder, 9)
            .ok('A', Amend::Cancel(vec![3, 2, 1]))
            .ok('A', pay('X', 991, 0))
            .ok('A', pay('X', 995, 2));
        check_case(&case);
    }
}

#[test]
fn an_order_that_is_there_is_named_by_its_number() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 10))
        .at(2_000)
        .ok('B', sell(1, 5, 11))
        .no('B', sell(1, 5, 11), OrderExists, 3)
        .no('B', there(sell(1, 5, 11)), OrderExists, 3)
        .no('A', there(buy(1, 5, 1)), OrderExists, 2)
        .ok('C', hold(1, 'D'))
        .ok('A', cancel(1))
        .ok('C', there(sell(7, 5, 10)))
        .no('C', sell(7, 5, 10), OrderExists, 2)
        .ok('C', hold(2, 'D'))
        .ok('D', sell(9, 5, 10))
        .no('D', there(buy(9, 5, 1)), OrderExists, 6);
    check_case(&case);
}

#[test]
fn the_lowest_free_number_is_given_across_markets_and_holds() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 10))
        .ok('A', there(sell(2, 5, 10)))
        .ok('A', sell(3, 5, 11))
        .at(2_000)
        .ok('B', hold(1, 'D'))
        .ok('C', buy(1, 5, 10))
        .ok('D', there(sell(1, 5, 12)))
        .no('D', sell(1, 5, 12), OrderExists, 2)
        .ok('C', there(buy(2, 5, 10)))
        .ok('B', hold(2, 'D'))
        .no('B', hold(2, 'D'), HoldExists, 3)
        .ok('D', sell(5, 5, 12))
        .no('D', there(sell(5, 5, 12)), OrderExists, 6)
        .ok('A', cancel(3))
        .ok('D', settle('B', 1))
        .ok('D', there(sell(7, 5, 12)))
        .no('D', sell(7, 5, 12), OrderExists, 4)
        .ok('D', sell(8, 5, 12))
        .no('D', sell(8, 5, 12), OrderExists, 5)
        .ok('B', hold(3, 'D'))
        .no('B', hold(3, 'D'), HoldExists, 7)
        // Closes two and opens one.
        .ok('C', there(buy(3, 11, 12)))
        .no('C', buy(3, 1, 1), OrderExists, 2)
        .ok('B', hold(4, 'D'))
        .no('B', hold(4, 'D'), HoldExists, 4);
    check_case(&case);
}

#[test]
fn all_are_taken_back_the_newest_first_whichever_block_they_are_of() {
    let mut case = trading();
    for id in 0..20 {
        case.ok('A', sell(id, 1, 50));
    }
    case.ok('A', there(sell(100, 1, 50))).at(2_000);
    for id in 20..40 {
        case.ok('A', sell(id, 1, 50));
    }
    case.ok('A', Amend::CancelAll(MarketId(0)))
        .no('A', cancel(8), NoOrder, 8)
        .no('A', cancel(39), NoOrder, 39)
        .ok('A', cancel(7))
        .ok('A', sell(39, 1, 49))
        .ok('A', Amend::CancelAll(MarketId(0)))
        .no('B', whole(buy(1, 1, 50)), NotFilled, 1)
        .ok('A', cancel(100))
        .no('A', Amend::CancelAll(MarketId(7)), NoMarket, 7)
        .ok('A', pay('X', 1_000, 0))
        .ok('A', pay('X', 1_000, 2));
    check_case(&case);
}

#[test]
fn an_order_that_has_moved_twice_is_taken_back_once() {
    for earlier in [true, false] {
        let mut case = trading();
        case.at(if earlier { 1_500 } else { 2_000 });
        for id in 0..33 {
            case.ok('A', sell(id, 1, 50));
        }
        case.at(2_000)
            .ok('A', change(5, 51, 1))
            .ok('A', change(5, 50, 2))
            .ok('A', change(7, 52, 1))
            .ok('A', Amend::CancelAll(MarketId(0)))
            .no('A', cancel(5), NoOrder, 5)
            .no('A', cancel(1), NoOrder, 1)
            // Thirty-two are gone, all but the oldest.
            .ok('B', whole(buy(1, 1, 52)))
            .no('A', cancel(0), NoOrder, 0)
            .no('B', whole(buy(1, 1, 52)), NotFilled, 1)
            .ok('A', pay('X', 999, 0));
        check_case(&case);
    }
}

#[test]
fn orders_of_two_markets_are_taken_back_together_or_not_at_all() {
    for earlier in [true, false] {
        let mut case = trading();
        case.at(if earlier { 1_500 } else { 2_000 })
            .ok('A', sell(1, 5, 10))
            .ok('A', there(sell(2, 5, 10)))
            .ok('A', there(sell(3, 5, 11)))
            .at(2_000)
            .ok('B', at_once(buy(1, 1, 10)))
            .ok('C', there(at_once(buy(1, 1, 10))))
            .no('A', Amend::Cancel(vec![1, 2, 9]), NoOrder, 9)
            .ok('A', Amend::Cancel(vec![1, 2]))
            .ok('B', at_once(buy(1, 1, 10)))
            .ok('C', there(at_once(buy(1, 1, 10))))
            .no('A', Amend::Cancel(vec![3, 1]), NoOrder, 1)
            .ok('C', there(whole(buy(1, 5, 11))))
            .no('B', pay('X', 1_002, 0), InsufficientFunds, 1);
        check_case(&case);
    }
}

#[test]
fn a_changed_order_stands_behind_one_of_the_block_unless_it_is_less() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 10))
        .ok('C', there(sell(1, 5, 10)))
        .at(2_000)
        .ok('B', sell(1, 5, 10))
        .ok('A', change(1, 10, 6))
        .ok('C', at_once(buy(2, 5, 10)))
        .no('B', cancel(1), NoOrder, 1)
        .ok('B', sell(1, 5, 10))
        .ok('A', change(1, 10, 3))
        .ok('C', at_once(buy(2, 3, 10)))
        .no('A', change(1, 10, 1), NoOrder, 1)
        .ok('A', buy(1, 1, 9))
        .no('B', change(1, 9, 5), WouldCross, 9)
        .ok('B', change(1, 11, 5))
        .ok('A', change(1, 10, 2))
        .no('A', change(1, 11, 2), WouldCross, 11)
        .no('A', change(1, 10, 1_000), InsufficientFunds, 8_970)
        // To another price and back again, behind whoever came meanwhile.
        .ok('C', change(1, 9, 5))
        .ok('D', there(sell(1, 5, 10)))
        .ok('C', change(1, 10, 5))
        .ok('B', there(at_once(buy(2, 5, 10))))
        .no('D', cancel(1), NoOrder, 1)
        .ok('C', cancel(1));
    check_case(&case);
}

#[test]
fn all_or_nothing_looks_at_orders_of_both_blocks() {
    let mut case = trading();
    case.ok('A', sell(1, 5, 10))
        .at(2_000)
        .no('C', whole(buy(1, 10, 11)), NotFilled, 5)
        .ok('B', sell(1, 5, 11))
        .no('C', whole(buy(1, 11, 11)), NotFilled, 1)
        .no('C', whole(buy(1, 6, 10)), NotFilled, 1)
        .ok('C', whole(buy(1, 10, 11)))
        .no('C', pay('X', 896, 1), InsufficientFunds, 1)
        .ok('B', pay('X', 1_055, 1))
        .ok('A', pay('X', 1_050, 1));
    check_case(&case);
}

#[test]
fn who_would_only_wait_meets_orders_of_the_block() {
    let mut case = trading();
    case.ok('D', sell(1, 1, 12))
        .at(2_000)
        .ok('A', sell(1, 5, 10))
        .no('B', post(buy(1, 1, 10)), WouldCross, 10)
        .ok('B', post(buy(1, 1, 9)))
        .no('A', post(sell(2, 1, 9)), WouldCross, 9)
        .ok('C', at_once(buy(1, 5, 12)))
        .no('B', post(buy(2, 1, 12)), WouldCross, 12)
        .ok('B', post(buy(2, 1, 10)))
        .ok('D', cancel(1))
        .ok('B', post(buy(3, 1, 12)));
    check_case(&case);
}

#[test]
fn the_rules_for_meeting_oneself_hold_for_orders_of_both_blocks() {
    let with = |self_trade, order| PlaceOrder { self_trade, ..order };
    for earlier in [true, false] {
        let mut case = trading();
        case.at(if earlier { 1_500 } else { 2_000 })
            .ok('A', sell(1, 2, 10))
            .at(2_000)
            .ok('B', sell(1, 2, 10))
            .no('A', with(SelfTrade::Reject, buy(2, 3, 10)), RejectionCode::SelfTrade, 1)
            .no('A', with(SelfTrade::CancelTaking, whole(buy(2, 1, 10))), NotFilled, 1)
            .no('A', whole(buy(2, 3, 10)), NotFilled, 1)
            .ok('A', with(SelfTrade::CancelTaking, buy(2, 3, 10)))
            .no('A', cancel(2), NoOrder, 2)
            .ok('A', buy(2, 3, 10))
            .no('A', cancel(1), NoOrder, 1)
            .no('B', cancel(1), NoOrder, 1)
            .ok('A', cancel(2))
            .ok('A', pay('X', 980, 1))
            .ok('A', pay('X', 1_002, 0))
            // Behind another's, which is enough or isn't.
            .ok('B', there(sell(1, 2, 10)))
            .ok('C', there(sell(1, 2, 10)))
            .no('C', there(with(SelfTrade::Reject, buy(2, 3, 10))), RejectionCode::SelfTrade, 1)
            .ok('C', there(with(SelfTrade::Reject, buy(2, 1, 10))))
            .ok('C', there(with(SelfTrade::CancelTaking, buy(2, 2, 10))))
            .no('C', cancel(2), NoOrder, 2)
            .ok('C', cancel(1));
        check_case(&case);
    }
}

#[test]
fn a_budget_is_spent_on_orders_of_both_blocks() {
    let with = |budget, order| PlaceOrder { budget: Amount(budget), ..living(Lifetime::Budget, order) };
    let mut case = trading();
    case.ok('A', sell(1, 2, 10))
        .ok('J', pay('P', 30, 1))
        .at(2_000)
        .ok('B', sell(1, 5, 20))
        .ok('C', with(65, buy(1, 9, 30)))
        .ok('C', pay('X', 940, 1))
        .no('C', pay('X', 1_005, 0), InsufficientFunds, 1)
        .ok('D', with(19, buy(1, 9, 30)))
        .no('P', with(31, buy(1, 9, 30)), InsufficientFunds, 1)
        .ok('P', with(30, buy(1, u64::MAX, u64::MAX)))
        .ok('P', there(with(10, buy(1, 1, 10))))
        .no('P', pay('X', 11, 1), InsufficientFunds, 1)
        // What a budget ends at stands before one's own.
        .ok('D', sell(1, 2, 21))
        .ok('D', with(25, buy(2, 9, 30)))
        .ok('D', cancel(1))
        .ok('B', cancel(1))
        .ok('B', pay('X', 996, 0));
    check_case(&case);
}

#[test]
fn an_order_meets_thirty_two_of_both_blocks_and_the_rest_of_it_is_gone() {
    let mut case = trading();
    for id in 0..20 {
        case.ok('A', sell(id, 1, 10));
    }
    case.at(2_000);
    for id in 20..40 {
        case.ok('A', sell(id, 1, 10));
    }
    case.no('B', whole(buy(1, 40, 10)), NotFilled, 8)
        .ok('B', buy(1, 40, 10))
        .no('B', cancel(1), NoOrder, 1)
        .no('A', cancel(31), NoOrder, 31)
        .ok('A', cancel(32))
        .ok('C', buy(1, 40, 10))
        .ok('C', cancel(1))
        .ok('B', pay('X', 680, 1))
        .ok('C', pay('X', 930, 1))
        .ok('A', pay('X', 1_390, 1));
    check_case(&case);
}

#[test]
fn what_is_taken_back_pays_for_the_next_order() {
    let mut case = trading();
    case.ok('J', pay('P', 50, 1))
        .ok('P', buy(1, 5, 10))
        .at(2_000)
        .no('P', there(buy(2, 5, 10)), InsufficientFunds, 50)
        .ok('P', cancel(1))
        .ok('P', there(buy(2, 5, 10)))
        .no('P', buy(1, 1, 1), InsufficientFunds, 1)
        .ok('P', change(2, 10, 3))
        .ok('P', buy(1, 2, 10))
        .ok('P', Amend::CancelAll(MarketId(1)))
        .ok('P', buy(3, 3, 10))
        .ok('B', at_once(sell(1, 5, 10)))
        .ok('P', pay('X', 5, 0))
        .no('P', pay('X', 1, 1), InsufficientFunds, 1);
    check_case(&case);
}

#[test]
fn what_an_order_cost_less_than_its_limit_pays_for_the_next() {
    let mut case = trading();
    case.ok('J', pay('P', 50, 1))
        .ok('A', sell(1, 5, 6))
        .at(2_000)
        .ok('P', buy(1, 5, 10))
        .ok('P', there(buy(2, 2, 10)))
        .no('P', pay('X', 1, 1), InsufficientFunds, 1)
        .ok('B', there(sell(1, 2, 9)))
        .ok('P', pay('X', 2, 2));
    check_case(&case);
}
