//! What an asset's policy asks of holders, and what its issuer may do: every code that names one of them, and which comes first where two
//! apply.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amount, AssetId, AssetPolicy, AssetTerms, ControlHolder, HolderAction, Put, PutAction, RecordKind, RejectionCode,
    Time,
};
use nostro_tests::case::{Case, asset, pay, update};
use nostro_tests::world::named;

const NONE: AssetTerms = AssetTerms {
    schema: [0; 32],
    attester: nostro::Address([0; 32]),
    fee_account: nostro::Address([0; 32]),
    fee_maximum: Amount(0),
    fee_basis_points: 0,
    expiry: Time(0),
    metadata: [0; 32],
};

fn control(holder: char, action: HolderAction) -> ControlHolder {
    ControlHolder { asset: AssetId(0), holder: named(holder), action, ..ControlHolder::default() }
}

fn claw(holder: char, amount: u128, up_to: bool) -> ControlHolder {
    ControlHolder { amount: Amount(amount), up_to, ..control(holder, HolderAction::ClawBack) }
}

fn with(policy: AssetPolicy) -> Case {
    let mut case = Case::new();
    case.ok('I', asset("EUR", policy, NONE));
    case
}

fn fee(account: char, points: u16, maximum: u128) -> AssetTerms {
    AssetTerms {
        fee_account: named(account),
        fee_basis_points: points,
        fee_maximum: Amount(maximum),
        ..AssetTerms::default()
    }
}

#[test]
fn only_the_authorised_hold_what_asks_for_it_and_anyone_gives_it_back() {
    let mut case = with(AssetPolicy::AUTHORIZATION);
    case.no('I', pay('A', 5, 0), RejectionCode::NotAuthorized, 1)
        .ok('I', control('A', HolderAction::Authorize))
        .ok('I', control('A', HolderAction::Authorize))
        .ok('I', pay('A', 5, 0))
        .no('A', pay('B', 1, 0), RejectionCode::NotAuthorized, 1)
        .ok('I', control('B', HolderAction::Authorize))
        .ok('A', pay('B', 1, 0))
        .ok('I', control('A', HolderAction::Deauthorize))
        .no('A', pay('B', 1, 0), RejectionCode::NotAuthorized, 0)
        .no('B', pay('A', 1, 0), RejectionCode::NotAuthorized, 1)
        .ok('A', pay('I', 4, 0))
        .run();
}

#[test]
fn the_frozen_neither_pay_nor_are_paid_between_two_payments_of_one_block() {
    let mut case = with(AssetPolicy::FREEZABLE);
    case.ok('I', pay('A', 9, 0))
        .ok('A', pay('B', 1, 0))
        .ok('I', control('A', HolderAction::Freeze))
        .no('A', pay('B', 1, 0), RejectionCode::Frozen, 0)
        .no('B', pay('A', 1, 0), RejectionCode::Frozen, 1)
        .no('A', pay('I', 1, 0), RejectionCode::Frozen, 0)
        .no('I', pay('A', 1, 0), RejectionCode::Frozen, 1)
        .ok('I', control('A', HolderAction::Unfreeze))
        .ok('A', pay('B', 8, 0))
        .ok('I', control('C', HolderAction::Unfreeze))
        .run();
}

#[test]
fn an_issuer_claws_back_what_is_there_and_no_more() {
    let mut case = with(AssetPolicy::CLAWBACK);
    case.ok('I', pay('A', 9, 0))
        .ok('I', claw('A', 4, false))
        .no('I', claw('A', 6, false), RejectionCode::InsufficientFunds, 1)
        .no('I', claw('A', 0, true), RejectionCode::ZeroAmount, 0)
        .ok('I', claw('A', 6, true))
        .ok('I', claw('A', 6, true))
        .ok('I', claw('X', 6, true))
        .no('I', claw('X', 6, false), RejectionCode::InsufficientFunds, 6)
        .no('I', claw('I', 6, true), RejectionCode::SelfTransfer, 0)
        .run();
}

#[test]
fn control_is_the_issuers_and_the_policys_in_this_order() {
    let mut case = with(AssetPolicy::FREEZABLE);
    let other = ControlHolder { asset: AssetId(9), ..control('A', HolderAction::Freeze) };
    case.no('I', other, RejectionCode::NoAsset, 9)
        .no('A', other, RejectionCode::NoAsset, 9)
        .no('A', control('B', HolderAction::Freeze), RejectionCode::NotIssuer, 0)
        .no('A', control('B', HolderAction::Authorize), RejectionCode::NotIssuer, 0)
        .no('I', control('B', HolderAction::Authorize), RejectionCode::PolicyForbids, 1)
        .no('I', claw('I', 0, false), RejectionCode::PolicyForbids, 4)
        .no('I', control('I', HolderAction::Freeze), RejectionCode::SelfTransfer, 0)
        .run();
}

#[test]
fn what_cannot_be_transferred_goes_from_the_issuer_and_back() {
    let mut case = with(AssetPolicy::NON_TRANSFERABLE.with(AssetPolicy::FREEZABLE));
    case.ok('I', pay('A', 2, 0))
        .no('A', pay('B', 1, 0), RejectionCode::PolicyForbids, 8)
        .ok('I', control('A', HolderAction::Freeze))
        .no('A', pay('B', 1, 0), RejectionCode::PolicyForbids, 8)
        .no('A', pay('I', 1, 0), RejectionCode::Frozen, 0)
        .ok('I', control('A', HolderAction::Unfreeze))
        .ok('A', pay('I', 1, 0))
        .run();
}

#[test]
fn an_asset_is_paid_until_its_expiry_and_then_only_back() {
    let terms = AssetTerms { expiry: Time(2_000), ..NONE };
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::EXPIRES.with(AssetPolicy::CLAWBACK), terms))
        .ok('I', pay('A', 9, 0))
        .at(2_000)
        .ok('A', pay('B', 2, 0))
        .at(2_001)
        .no('A', pay('B', 1, 0), RejectionCode::AssetExpired, 2_000)
        .no('I', pay('A', 1, 0), RejectionCode::AssetExpired, 2_000)
        .no('A', pay('A', 0, 0), RejectionCode::AssetExpired, 2_000)
        .ok('A', pay('I', 3, 0))
        .ok('I', claw('A', 99, true))
        .run();
}

/// A credential is a record like any other: one revoked in this block stops the next transfer of this block.
#[test]
fn a_revoked_credential_stops_the_next_transfer_in_the_same_block() {
    let terms = AssetTerms { schema: [5; 32], attester: named('K'), ..NONE };
    let attest = |subject: char, action: PutAction| Put {
        action,
        kind: RecordKind::Attestation,
        key: [5; 32],
        subject: Some(named(subject)),
        ..Put::default()
    };
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::CREDENTIAL, terms))
        .no('I', pay('A', 9, 0), RejectionCode::NotAttested, 1)
        .ok('K', attest('A', PutAction::Create))
        .ok('I', pay('A', 9, 0))
        .no('A', pay('B', 1, 0), RejectionCode::NotAttested, 1)
        .ok('L', attest('B', PutAction::Create))
        .no('A', pay('B', 1, 0), RejectionCode::NotAttested, 1)
        .ok('K', Put { expiry: Some(Time(1_500)), ..attest('B', PutAction::Create) })
        .ok('A', pay('B', 1, 0))
        .ok('K', attest('A', PutAction::Revoke))
        .no('A', pay('B', 1, 0), RejectionCode::NotAttested, 0)
        .ok('K', attest('A', PutAction::Write))
        .ok('A', pay('B', 1, 0))
        .at(1_501)
        .no('A', pay('B', 1, 0), RejectionCode::NotAttested, 1)
        .no('B', pay('A', 1, 0), RejectionCode::NotAttested, 0)
        .ok('B', pay('I', 1, 0))
        .run();
}

#[test]
fn a_fee_is_paid_on_top_rounded_down_and_capped() {
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::FEE, fee('F', 100, 3)))
        .ok('I', pay('A', 1_000, 0))
        .ok('A', pay('B', 99, 0))
        .ok('A', pay('B', 100, 0))
        .ok('A', pay('B', 700, 0))
        .ok('A', pay('B', 97, 0))
        .no('A', pay('B', 1, 0), RejectionCode::InsufficientFunds, 1)
        .run();
}

#[test]
fn fees_go_to_the_fee_account_or_are_burnt() {
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::FEE, fee('F', 5_000, 0)))
        .ok('I', asset("USD", AssetPolicy::FEE, fee('I', 10_000, 0)))
        .ok('I', pay('A', 30, 0))
        .ok('A', pay('B', 10, 0))
        .no('A', pay('B', 11, 0), RejectionCode::InsufficientFunds, 1)
        .ok('A', pay('F', 2, 0))
        .ok('F', pay('A', 7, 0))
        .ok('A', pay('I', 19, 0))
        .ok('I', pay('A', 30, 1))
        .no('A', pay('B', 16, 1), RejectionCode::InsufficientFunds, 2)
        .ok('A', pay('B', 15, 1))
        .run();
}

#[test]
fn a_fee_beyond_all_there_can_be_is_missing_funds() {
    let mut case = Case::new();
    case.ok('I', asset("EUR", AssetPolicy::FEE, fee('F', 10_000, 7)))
        .ok('I', pay('A', u128::MAX, 0))
        .no('A', pay('B', u128::MAX, 0), RejectionCode::InsufficientFunds, 7)
        .no('A', pay('B', u128::MAX - 3, 0), RejectionCode::InsufficientFunds, 4)
        .ok('A', pay('B', u128::MAX - 7, 0))
        .run();
}

#[test]
fn an_update_of_what_is_not_mutable_only_binds_the_issuer() {
    let policy = AssetPolicy::FREEZABLE.with(AssetPolicy::FEE).with(AssetPolicy::METADATA);
    let terms = |points, metadata| AssetTerms { metadata: [metadata; 32], ..fee('F', points, 9) };
    let mut case = Case::new();
    case.ok('I', asset("EUR", policy, terms(50, 1)))
        .ok('I', pay('A', 100, 0))
        .no('J', update("EUR", 1, policy, terms(50, 1)), RejectionCode::NoAsset, u64::MAX)
        .no('I', update("USD", 1, policy, terms(50, 1)), RejectionCode::NoAsset, u64::MAX)
        .no('I', update("EUR", 98, policy.with(AssetPolicy::CLAWBACK), terms(50, 1)), RejectionCode::SupplyExceeded, 2)
        .ok('I', update("EUR", 1_000, policy, terms(50, 1)))
        .no('I', update("EUR", 1_001, policy.with(AssetPolicy::CLAWBACK), terms(51, 1)), RejectionCode::PolicyLocked, 0)
        .no('I', update("EUR", 1_000, policy.with(AssetPolicy::CLAWBACK), terms(51, 1)), RejectionCode::PolicyLocked, 1)
        .no('I', update("EUR", 1_000, policy.with(AssetPolicy::MUTABLE), terms(50, 1)), RejectionCode::PolicyLocked, 1)
        .no('I', update("EUR", 1_000, policy, terms(51, 1)), RejectionCode::PolicyLocked, 2)
        .no('I', update("EUR", 1_000, policy, terms(50, 2)), RejectionCode::PolicyLocked, 2)
        .ok('I', update("EUR", 1_000, policy, terms(49, 1)))
        .ok('I', update("EUR", 100, AssetPolicy::FREEZABLE, NONE))
        .no('I', pay('A', 1, 0), RejectionCode::SupplyExceeded, 1)
        .ok('A', pay('B', 100, 0))
        .ok('I', update("EUR", 100, AssetPolicy::default(), NONE))
        .no('I', control('A', HolderAction::Freeze), RejectionCode::PolicyForbids, 2)
        .run();
}

#[test]
fn an_update_of_what_is_mutable_does_what_it_says() {
    let terms = AssetTerms { schema: [1; 32], attester: named('K'), ..NONE };
    let mut case = with(AssetPolicy::MUTABLE);
    case.ok('I', pay('A', 10, 0))
        .ok('I', update("EUR", 10, AssetPolicy::MUTABLE.with(AssetPolicy::CREDENTIAL), terms))
        .no('A', pay('B', 1, 0), RejectionCode::NotAttested, 0)
        .no('I', pay('A', 1, 0), RejectionCode::NotAttested, 1)
        .ok('I', update("EUR", 12, AssetPolicy::MUTABLE.with(AssetPolicy::CLAWBACK), NONE))
        .ok('I', pay('A', 2, 0))
        .ok('I', claw('A', 1, false))
        .ok('I', update("EUR", 12, AssetPolicy::CLAWBACK, NONE))
        .no('I', update("EUR", 13, AssetPolicy::CLAWBACK, NONE), RejectionCode::PolicyLocked, 0)
        .run();
}

#[test]
fn a_frozen_stranger_is_told_before_a_missing_credential() {
    let policy = AssetPolicy::FREEZABLE.with(AssetPolicy::CREDENTIAL).with(AssetPolicy::AUTHORIZATION);
    let terms = AssetTerms { schema: [1; 32], attester: named('K'), ..NONE };
    let mut case = Case::new();
    case.ok('I', asset("EUR", policy, terms))
        .ok('I', control('A', HolderAction::Freeze))
        .no('I', pay('A', 0, 0), RejectionCode::Frozen, 1)
        .ok('I', control('A', HolderAction::Unfreeze))
        .no('I', pay('A', 0, 0), RejectionCode::NotAuthorized, 1)
        .ok('I', control('A', HolderAction::Authorize))
        .no('I', pay('A', 0, 0), RejectionCode::NotAttested, 1)
        .run();
}

#[test]
fn what_a_rejected_transaction_did_to_holders_and_policies_is_gone() {
    let mut case = with(AssetPolicy::MUTABLE.with(AssetPolicy::FREEZABLE));
    let nothing = || pay('B', 0, 0).into();
    let changed = update("EUR", 5, AssetPolicy::FREEZABLE.with(AssetPolicy::FEE), fee('F', 5, 5));
    let orders = vec![
        ('I', control('A', HolderAction::Freeze).into()),
        ('I', changed.into()),
        ('I', asset("USD", AssetPolicy::FEE, fee('G', 5, 5)).into()),
        ('I', nothing()),
    ];
    case.ok('I', pay('A', 5, 0))
        .not_together('I', orders, RejectionCode::ZeroAmount, 3)
        .ok('A', pay('B', 5, 0))
        .ok('I', asset("USD", AssetPolicy::default(), NONE))
        .run();
}
