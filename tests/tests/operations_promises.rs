//! Holds and grants: every code that names one of them, which comes first where two apply, and that what is set aside is always what holds
//! say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amount, AssetId, AssetPolicy, AssetTerms, ControlHolder, Grant, GrantAction, GrantKind, GrantName, GrantTerms,
    Hold, HolderAction, Predicate, RejectionCode, Settle, Share, Side, Signature, Time, Transaction, Transfer,
};
use nostro_tests::case::{Case, asset, pay};
use nostro_tests::directory::Directory;
use nostro_tests::program::Program;
use nostro_tests::world::{key, named, open, trusting, unsigned};
use std::collections::BTreeMap;

fn never() -> Predicate {
    Predicate::always().negated()
}

fn hold(payees: &str, amount: u128) -> Hold {
    let payees = payees.chars().map(|letter| Share { payee: named(letter), parts: 1 }).collect();
    Hold { id: 1, amount: Amount(amount), payees, ..Hold::default() }
}

fn settle(owner: char, amount: u128) -> Settle {
    Settle { owner: named(owner), id: 1, amount: Amount(amount), ..Settle::default() }
}

fn cancel(owner: char) -> Settle {
    Settle { cancels: true, ..settle(owner, 0) }
}

/// SHA-256 of the single byte 1.
const OF_ONE: [u8; 32] = [
    0x4b, 0xf5, 0x12, 0x2f, 0x34, 0x45, 0x54, 0xc5, 0x3b, 0xde, 0x2e, 0xbb, 0x8c, 0xd2, 0xb7, 0xe3, 0xd1, 0x60, 0x0a,
    0xd6, 0x31, 0xc3, 0x85, 0xa5, 0xd7, 0xcc, 0xe2, 0x3c, 0x77, 0x85, 0x45, 0x9a,
];

#[test]
fn what_is_held_can_be_spent_by_nobody_until_it_is_settled() {
    let mut case = Case::with_money("A=9");
    case.ok('A', hold("B", 6))
        .no('A', pay('C', 4, 0), RejectionCode::InsufficientFunds, 1)
        .no('A', hold("B", 4), RejectionCode::InsufficientFunds, 1)
        .ok('B', settle('A', 2))
        .ok('B', settle('A', 0))
        .no('B', settle('A', 0), RejectionCode::NoHold, 0)
        .ok('B', pay('C', 6, 0))
        .ok('A', hold("B", 3))
        .ok('B', cancel('A'))
        .ok('A', pay('C', 3, 0))
        .run();
}

#[test]
fn each_party_does_what_is_its_own_to_do() {
    let guarded = Hold { release: never(), cancel: never(), arbiter: Some(named('K')), ..hold("BC", 4) };
    let mut case = Case::with_money("A=9");
    case.ok('A', guarded.clone())
        .no('B', settle('A', 1), RejectionCode::ConditionUnmet, 0)
        .no('A', cancel('A'), RejectionCode::ConditionUnmet, 0)
        .no('X', settle('A', 1), RejectionCode::WrongParty, 0)
        .no('X', cancel('A'), RejectionCode::WrongParty, 0)
        .no('X', settle('A', 5), RejectionCode::WrongParty, 0)
        .no('X', settle('B', 5), RejectionCode::NoHold, 0)
        .ok('A', settle('A', 1))
        .ok('K', settle('A', 1))
        .no('K', settle('A', 3), RejectionCode::ExceedsHold, 1)
        .no('B', settle('A', 3), RejectionCode::ConditionUnmet, 0)
        .ok('C', cancel('A'))
        .ok('A', guarded)
        .ok('K', cancel('A'))
        .ok('A', pay('X', 7, 0))
        .run();
}

#[test]
fn a_hash_lock_is_opened_by_what_has_that_hash_and_nothing_else() {
    let locked = Hold { release: Predicate::hash_lock(OF_ONE), cancel: Predicate::after(Time(2_000)), ..hold("B", 5) };
    let with = |preimage: &[u8]| Settle { preimage: Some(preimage.to_vec()), ..settle('A', 0) };
    let mut case = Case::with_money("A=5");
    case.ok('A', locked)
        .no('B', settle('A', 0), RejectionCode::ConditionUnmet, 0)
        .no('B', with(&[2]), RejectionCode::ConditionUnmet, 0)
        .no('B', with(&[]), RejectionCode::ConditionUnmet, 0)
        .no('B', with(&[1, 0]), RejectionCode::ConditionUnmet, 0)
        .no('A', cancel('A'), RejectionCode::ConditionUnmet, 0)
        .ok('B', with(&[1]))
        .at(2_000)
        .no('A', cancel('A'), RejectionCode::NoHold, 0)
        .run();
}

#[test]
fn the_payees_share_and_what_is_left_over_goes_to_the_first() {
    let parts = |parts: [u32; 3]| {
        let payees = ['B', 'C', 'D'].into_iter().zip(parts);
        payees.map(|(letter, parts)| Share { payee: named(letter), parts }).collect()
    };
    let mut case = Case::with_money("A=22");
    case.ok('A', Hold { payees: parts([1, 1, 1]), ..hold("B", 11) })
        .ok('B', settle('A', 1))
        .ok('B', settle('A', 0))
        .no('C', pay('X', 4, 0), RejectionCode::InsufficientFunds, 1)
        .ok('B', pay('X', 5, 0))
        .ok('A', Hold { payees: parts([1, u32::MAX, 3]), ..hold("B", 11) })
        .ok('C', settle('A', 0))
        .ok('C', pay('X', 13, 0))
        .run();
}

#[test]
fn a_hold_of_all_there_can_be_is_shared_without_overflow() {
    let payees = "BCDE".chars().map(|letter| Share { payee: named(letter), parts: u32::MAX }).collect();
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::default(), AssetTerms::default()))
        .ok('I', pay('A', u128::MAX, 0))
        .ok('A', Hold { payees, ..hold("B", u128::MAX) })
        .no('B', Settle { id: 7, ..settle('A', 0) }, RejectionCode::NoHold, 0)
        .ok('B', settle('A', u128::MAX - 1))
        .no('B', settle('A', 2), RejectionCode::ExceedsHold, 1)
        .ok('B', settle('A', 1))
        .run();
}

#[test]
fn a_hold_is_rejected_for_the_first_reason() {
    let past = |hold: Hold| Hold { expiry: Some(Time(999)), ..hold };
    let mut case = Case::with_money("A=5");
    case.ok('A', Hold { expiry: Some(Time(1_000)), ..hold("B", 1) })
        .no('A', Hold { asset: AssetId(3), ..past(hold("A", 0)) }, RejectionCode::NoAsset, 3)
        .no('A', past(hold("BA", 0)), RejectionCode::SelfTransfer, 0)
        .no('A', past(hold("B", 0)), RejectionCode::ZeroAmount, 0)
        .no('A', past(hold("B", 5)), RejectionCode::InsufficientFunds, 1)
        .no('A', past(hold("B", 4)), RejectionCode::ExpiryPast, 1_000)
        .no('A', hold("B", 4), RejectionCode::HoldExists, 0)
        .no('I', hold("B", 4), RejectionCode::InsufficientFunds, 4)
        .no('X', hold("B", 4), RejectionCode::InsufficientFunds, 4)
        .run();
}

#[test]
fn at_its_end_a_hold_goes_back_or_on_whoever_looks_at_it() {
    let until = |hold: Hold, releases_at_expiry| Hold { expiry: Some(Time(1_500)), releases_at_expiry, ..hold };
    let mut case = Case::with_money("A=9 C=9");
    case.ok('A', until(hold("B", 4), false))
        .ok('C', until(hold("D", 4), true))
        .at(1_500)
        .no('C', hold("D", 1), RejectionCode::HoldExists, 1)
        .ok('B', settle('A', 1))
        .at(1_501)
        .no('B', settle('A', 1), RejectionCode::NoHold, 0)
        .no('D', settle('C', 1), RejectionCode::NoHold, 0)
        .ok('A', pay('X', 8, 0))
        .ok('D', pay('X', 4, 0))
        .ok('C', hold("D", 1))
        .run();
}

#[test]
fn more_holds_end_at_once_than_are_settled_at_a_time() {
    let mut case = Case::with_money("A=600");
    for n in 0..300_u64 {
        let order = Hold { id: n, expiry: Some(Time(1_500)), releases_at_expiry: n % 2 == 0, ..hold("B", 2) };
        case.ok('A', order);
    }
    let with_id = |id| Hold { id, expiry: Some(Time(9_999)), ..hold("B", 2) };
    case.at(1_501)
        .no('B', Settle { id: 299, ..settle('A', 0) }, RejectionCode::NoHold, 0)
        // What is still in its place ends when its id is used again.
        .ok('A', with_id(299))
        .at(1_502)
        .no('B', Settle { id: 298, ..settle('A', 0) }, RejectionCode::NoHold, 0)
        .ok('B', Settle { id: 299, ..settle('A', 0) })
        .ok('B', pay('C', 302, 0))
        .ok('A', pay('C', 298, 0))
        .run();
}

#[test]
fn a_policy_has_its_say_when_money_is_set_aside_and_when_it_is_released() {
    let freeze = |holder, action| ControlHolder { holder: named(holder), action, ..ControlHolder::default() };
    let terms = AssetTerms { fee_account: named('F'), fee_basis_points: 1_000, ..AssetTerms::default() };
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::FREEZABLE.with(AssetPolicy::FEE), terms))
        .ok('I', pay('A', 200, 0))
        .ok('I', freeze('B', HolderAction::Freeze))
        .no('A', hold("CB", 50), RejectionCode::Frozen, 1)
        .ok('I', freeze('B', HolderAction::Unfreeze))
        .ok('A', Hold { expiry: Some(Time(1_500)), releases_at_expiry: true, ..hold("CB", 100) })
        .ok('I', freeze('B', HolderAction::Freeze))
        .no('C', settle('A', 10), RejectionCode::Frozen, 1)
        .ok('I', freeze('B', HolderAction::Unfreeze))
        // The fee goes off what each of them gets.
        .ok('C', settle('A', 40))
        .no('C', pay('X', 19, 0), RejectionCode::InsufficientFunds, 2)
        .ok('F', pay('X', 4, 0))
        .ok('I', freeze('B', HolderAction::Freeze))
        .at(1_501)
        // It can't be released, so it goes back.
        .ok('A', pay('X', 145, 0))
        .run();
}

#[test]
fn a_release_to_the_issuer_is_a_burn() {
    let mut case = Case::with_money("A=9");
    case.ok('A', hold("BI", 4)).ok('I', settle('A', 3)).ok('A', settle('A', 0)).ok('B', pay('A', 1, 0)).run();
}

/// A hold of A's that B draws from by vouchers of the key of V.
fn channel(payees: &str, amount: u128) -> Hold {
    Hold { voucher_key: Some(named('V')), ..hold(payees, amount) }
}

/// A settlement of A's hold 1 with what V has signed for it; the hold was opened at this time.
fn draw_by(letter: char, opened: u64, amount: u128) -> Settle {
    let message = Settle::voucher_message(&named('A'), 1, Time(opened), Amount(amount));
    let signature = key(letter as usize - 'A' as usize).sign(&message);
    Settle { voucher: Some(signature), ..settle('A', amount) }
}

#[test]
fn a_voucher_draws_what_the_ones_before_it_have_left() {
    let mut case = Case::with_money("A=9");
    case.ok('A', channel("B", 9))
        .no('B', settle('A', 1), RejectionCode::BadVoucher, 0)
        .no('X', draw_by('V', 1_000, 1), RejectionCode::WrongParty, 0)
        .ok('B', draw_by('V', 1_000, 2))
        // Replayed, shrunk, signed by somebody else, for another hold, of another amount.
        .no('B', draw_by('V', 1_000, 2), RejectionCode::StaleVoucher, 2)
        .no('B', draw_by('V', 1_000, 1), RejectionCode::StaleVoucher, 2)
        .no('B', draw_by('A', 1_000, 5), RejectionCode::BadVoucher, 2)
        .no('B', draw_by('V', 1_001, 5), RejectionCode::BadVoucher, 2)
        .no('B', Settle { amount: Amount(6), ..draw_by('V', 1_000, 5) }, RejectionCode::BadVoucher, 2)
        .no('B', Settle { voucher: Some(Signature([0; 64])), ..settle('A', 5) }, RejectionCode::BadVoucher, 2)
        .ok('B', draw_by('V', 1_000, 5))
        .no('C', pay('X', 1, 0), RejectionCode::InsufficientFunds, 1)
        .ok('B', pay('C', 5, 0))
        .no('B', draw_by('V', 1_000, 10), RejectionCode::ExceedsHold, 1)
        // The owner needs no voucher, and what it releases isn't drawn.
        .ok('A', settle('A', 1))
        .no('B', draw_by('V', 1_000, 9), RejectionCode::ExceedsHold, 1)
        .ok('B', draw_by('V', 1_000, 8))
        .no('B', draw_by('V', 1_000, 9), RejectionCode::NoHold, 0)
        .run();
}

#[test]
fn a_voucher_is_for_one_hold_and_needs_its_predicate_too() {
    let locked = Hold { release: Predicate::after(Time(2_000)), arbiter: Some(named('K')), ..channel("BC", 4) };
    let mut case = Case::with_money("A=9 B=1");
    case.ok('A', locked)
        .no('B', draw_by('V', 1_000, 4), RejectionCode::ConditionUnmet, 0)
        .ok('K', settle('A', 1))
        .at(2_000)
        .ok('C', draw_by('V', 1_000, 3))
        .ok('A', channel("B", 3))
        // The id is that of another hold now.
        .no('B', draw_by('V', 1_000, 3), RejectionCode::BadVoucher, 2)
        .ok('B', draw_by('V', 2_000, 3))
        .ok('A', hold("B", 2))
        .no('B', draw_by('V', 2_000, 2), RejectionCode::BadVoucher, 1)
        .no('A', draw_by('V', 2_000, 2), RejectionCode::BadVoucher, 1)
        .ok('B', cancel('A'))
        .ok('A', channel("B", 2))
        .ok('B', cancel('A'))
        .run();
}

#[test]
fn vouchers_of_all_there_can_be_add_up_without_overflow() {
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::default(), AssetTerms::default()))
        .ok('I', pay('A', u128::MAX, 0))
        .ok('A', channel("B", u128::MAX))
        .ok('B', draw_by('V', 1_000, u128::MAX - 1))
        .no('B', draw_by('V', 1_000, 7), RejectionCode::StaleVoucher, u64::MAX)
        .ok('B', draw_by('V', 1_000, u128::MAX))
        .run();
}

fn spend(to: char, cap: u128) -> GrantTerms {
    GrantTerms { to: named(to), cap: Amount(cap), ..GrantTerms::default() }
}

fn grant(terms: GrantTerms) -> Grant {
    Grant { action: GrantAction::Create, id: 4, terms: Some(Box::new(terms)) }
}

fn take_back(action: GrantAction) -> Grant {
    Grant { action, id: 4, terms: None }
}

/// Pays A's money.
fn draw(payee: char, amount: u128) -> Transfer {
    Transfer { grant: Some(GrantName { owner: named('A'), id: 4 }), ..pay(payee, amount, 0) }
}

#[test]
fn a_grant_spends_its_owners_money_up_to_its_cap() {
    let mut case = Case::with_money("A=9 B=5");
    case.no('B', draw('C', 1), RejectionCode::NoGrant, 0)
        .ok('A', grant(spend('B', 6)))
        .no('A', grant(spend('B', 6)), RejectionCode::GrantExists, 0)
        .ok('B', draw('C', 4))
        .no('B', draw('C', 3), RejectionCode::GrantExhausted, 1)
        .no('C', draw('D', 1), RejectionCode::WrongParty, 0)
        .no('B', draw('A', 1), RejectionCode::SelfTransfer, 0)
        .no('B', draw('C', 0), RejectionCode::ZeroAmount, 0)
        .ok('B', draw('B', 1))
        .ok('A', pay('D', 4, 0))
        .no('B', draw('C', 1), RejectionCode::InsufficientFunds, 1)
        .ok('D', pay('A', 1, 0))
        .ok('B', Transfer { up_to: true, ..draw('C', 9) })
        .no('B', Transfer { up_to: true, ..draw('C', 9) }, RejectionCode::GrantExhausted, 1)
        .ok('B', pay('C', 6, 0))
        .run();
}

#[test]
fn a_grant_that_was_taken_back_or_is_over_is_of_no_use() {
    let until = |time| GrantTerms { end: Some(Time(time)), ..spend('B', 9) };
    let mut case = Case::with_money("A=9");
    case.no('A', take_back(GrantAction::Revoke), RejectionCode::NoGrant, 0)
        .no('A', grant(until(999)), RejectionCode::ExpiryPast, 1_000)
        .no('A', grant(GrantTerms { to: named('A'), ..until(999) }), RejectionCode::SelfTransfer, 0)
        .no('A', grant(GrantTerms { asset: AssetId(5), ..until(999) }), RejectionCode::NoAsset, 5)
        .ok('A', grant(until(2_000)))
        .no('A', grant(until(999)), RejectionCode::ExpiryPast, 1_000)
        .ok('B', draw('C', 1))
        .ok('A', take_back(GrantAction::Revoke))
        .no('B', draw('C', 1), RejectionCode::GrantRevoked, 0)
        .no('A', grant(until(2_000)), RejectionCode::GrantExists, 0)
        .ok('A', take_back(GrantAction::Remove))
        .no('B', draw('C', 1), RejectionCode::NoGrant, 0)
        .ok('A', grant(until(1_200)))
        .at(1_201)
        .no('B', draw('C', 1), RejectionCode::NoGrant, 0)
        .no('A', take_back(GrantAction::Remove), RejectionCode::NoGrant, 0)
        .ok('A', grant(until(1_300)))
        .run();
}

#[test]
fn a_grant_is_for_what_it_says() {
    let mut case = Case::with_money("A=9");
    case.ok('A', grant(GrantTerms { payee: Some(named('C')), ..spend('B', 0) }))
        .ok('I', asset("USD", AssetPolicy::default(), AssetTerms::default()))
        .no('B', draw('D', 1), RejectionCode::OutOfScope, 2)
        .no('B', Transfer { asset: AssetId(1), ..draw('D', 1) }, RejectionCode::OutOfScope, 1)
        .no('B', Transfer { asset: AssetId(2), ..draw('D', 1) }, RejectionCode::NoAsset, 2)
        .ok('B', draw('C', 9))
        .ok('A', take_back(GrantAction::Remove))
        .ok(
            'A',
            grant(GrantTerms { to: named('B'), kind: GrantKind::Access, subject: [7; 32], ..GrantTerms::default() }),
        )
        .no('B', draw('C', 1), RejectionCode::OutOfScope, 0)
        .ok('A', take_back(GrantAction::Remove))
        .ok('A', grant(GrantTerms { predicate: Predicate::signed(named('C')), ..spend('B', 0) }))
        .no('B', draw('C', 1), RejectionCode::ConditionUnmet, 0)
        .run();
}

#[test]
fn periods_and_rates_let_money_go_little_by_little() {
    let weekly = GrantTerms { period_ms: 100, period_cap: Amount(2), ..spend('B', 5) };
    let stream = GrantTerms { rate: Amount(2_000), start: Time(1_250), ..spend('B', 0) };
    let mut case = Case::with_money("A=99");
    case.ok('A', grant(weekly))
        .ok('B', draw('C', 2))
        .no('B', draw('C', 1), RejectionCode::PeriodCap, 1)
        .at(1_099)
        .no('B', draw('C', 1), RejectionCode::PeriodCap, 1)
        .at(1_100)
        .no('B', draw('C', 3), RejectionCode::PeriodCap, 1)
        .ok('B', draw('C', 2))
        .at(1_200)
        .no('B', draw('C', 2), RejectionCode::GrantExhausted, 1)
        .ok('B', draw('C', 1))
        .ok('A', take_back(GrantAction::Remove))
        .ok('A', grant(stream))
        .no('B', draw('C', 1), RejectionCode::NotVested, u64::MAX)
        .at(1_250)
        .no('B', draw('C', 1), RejectionCode::NotVested, 1)
        .at(1_260)
        .no('B', draw('C', 21), RejectionCode::NotVested, 1)
        .ok('B', draw('C', 20))
        .at(1_261)
        .ok('B', Transfer { up_to: true, ..draw('C', 99) })
        .no('B', draw('C', 1), RejectionCode::NotVested, 1)
        .run();
}

#[test]
fn an_issuer_can_grant_the_right_to_mint() {
    let mint = |amount| Transfer { grant: Some(GrantName { owner: named('I'), id: 4 }), ..pay('C', amount, 0) };
    let mut case = Case::with_money("");
    case.ok('I', grant(spend('B', 5)))
        .ok('B', mint(5))
        .no('B', mint(1), RejectionCode::GrantExhausted, 1)
        .ok('C', pay('I', 5, 0))
        .run();
}

#[test]
fn up_to_pays_what_there_is_with_its_fee_and_something_in_any_case() {
    let up_to = |payee, amount| Transfer { up_to: true, ..pay(payee, amount, 0) };
    let terms = AssetTerms { fee_account: named('F'), fee_basis_points: 1_000, ..AssetTerms::default() };
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::FEE, terms))
        .ok('I', pay('A', 21, 0))
        .ok('A', up_to('B', 3))
        .ok('A', up_to('B', 99))
        .no('A', up_to('B', 99), RejectionCode::InsufficientFunds, 1)
        .no('A', up_to('B', 0), RejectionCode::ZeroAmount, 0)
        .ok('B', up_to('I', 99))
        .ok('I', pay('A', 22, 0))
        .ok('A', up_to('B', 99))
        .no('A', pay('F', 1, 0), RejectionCode::InsufficientFunds, 1)
        .run();
}

/// What accounts have set aside is what their holds and orders say, after every piece of a random program.
#[test]
fn what_is_held_is_what_holds_and_orders_say() {
    let (mut seen, mut waiting) = (0, 0);
    for seed in 80_000..80_200 {
        let program = Program::random(seed, false);
        let directory = Directory::in_memory();
        let engine = open(directory.path(), trusting());
        for steps in program.steps.chunks(12) {
            let batch: Vec<Transaction> = steps.iter().map(|step| step.transaction.clone()).collect();
            let _ = engine.submitter().at(steps[0].time).submit_batch(&batch).unwrap().wait().unwrap();
            let snapshot = engine.snapshot().unwrap();
            let mut held: BTreeMap<_, u128> = BTreeMap::new();
            for hold in snapshot.holds() {
                assert!(hold.amount > Amount(0));
                *held.entry((hold.owner, hold.asset)).or_default() += hold.amount.0;
                seen += 1;
            }
            for order in snapshot.orders() {
                let market = snapshot.market(order.market).unwrap();
                let (asset, given) = match order.side {
                    Side::Buy => (market.quote, market.quote_of(order.quantity, order.price).unwrap()),
                    Side::Sell => (market.base, market.base_of(order.quantity)),
                };
                *held.entry((order.owner, asset)).or_default() += given.0;
                waiting += 1;
            }
            for (account, holdings) in snapshot.accounts() {
                for holding in holdings {
                    let said = held.remove(&(account, holding.asset)).unwrap_or(0);
                    assert_eq!(holding.held, Amount(said), "seed {seed}, {account} in {}", holding.asset);
                }
            }
            assert!(held.is_empty(), "seed {seed}: {held:?}");
        }
        engine.close().unwrap();
    }
    assert!(seen > 20, "{seen} holds seen");
    assert!(waiting > 20, "{waiting} orders seen");
}

#[test]
fn fields_of_holds_settlements_and_grants_at_and_past_their_bounds() {
    let build = |order: nostro::Operation| {
        let order = Transaction::builder(named('A')).operation(named('A'), order).build();
        order.map(|order| unsigned(order).bytes().len()).map_err(|error| error.to_string())
    };
    let refused = |order: nostro::Operation, text: &str| {
        let told = build(order).unwrap_err();
        assert!(told.contains(text), "{text}: {told}");
    };
    assert_eq!(build(hold("B", 1).into()), Ok(56 + 96 + 64));
    assert!(build(hold("BCDE", 1).into()).is_ok());
    refused(hold("BCDEF", 1).into(), "1 to 4");
    refused(hold("", 1).into(), "words");
    refused(hold("BB", 1).into(), "each but once");
    refused(Hold { payees: vec![Share { payee: named('B'), parts: 0 }], ..hold("B", 1) }.into(), "share");
    refused(Hold { releases_at_expiry: true, ..hold("B", 1) }.into(), "a time at which it is released");
    refused(Hold { arbiter: Some(nostro::Address([0; 32])), ..hold("B", 1) }.into(), "105 ");
    refused(Hold { release: never().negated().negated().negated(), ..hold("B", 1) }.into(), "four levels");
    let preimage = |length| Settle { preimage: Some(vec![1; length]), ..settle('A', 1) };
    assert!(build(preimage(0).into()).is_ok() && build(preimage(64).into()).is_ok());
    refused(preimage(65).into(), "words");
    refused(preimage(300).into(), "");
    refused(Settle { cancels: true, ..settle('A', 1) }.into(), "0 when cancelling");
    let voucher = Some(Signature([9; 64]));
    assert_eq!(build(Settle { voucher, ..preimage(64) }.into()), Ok(56 + 192 + 64));
    refused(Settle { voucher, ..settle('A', 0) }.into(), "1 or more with a voucher");
    refused(Settle { voucher, ..cancel('A') }.into(), "1 or more with a voucher");
    refused(Hold { voucher_key: Some(nostro::Address([0; 32])), ..hold("B", 1) }.into(), "105 ");
    let all = Hold { arbiter: Some(named('K')), ..channel("BCDE", 1) };
    assert_eq!(build(all.into()), Ok(56 + 96 - 40 + 4 * 40 + 64 + 64));
    let access = |terms: GrantTerms| grant(GrantTerms { kind: GrantKind::Access, ..terms });
    assert!(build(access(spend('B', 0)).into()).is_ok());
    refused(access(spend('B', 1)).into(), "0 unless it is to spend");
    refused(access(GrantTerms { payee: Some(named('C')), ..spend('B', 0) }).into(), "flags");
    refused(grant(GrantTerms { subject: [1; 32], ..spend('B', 0) }).into(), "0 unless it is for access");
    refused(grant(GrantTerms { period_ms: 1, ..spend('B', 0) }).into(), "or neither");
    refused(grant(GrantTerms { period_cap: Amount(1), ..spend('B', 0) }).into(), "or neither");
    refused(Grant { terms: None, ..grant(spend('B', 0)) }.into(), "");
}
