//! Records and what is required of them and of the rest of the ledger: every code that names one of them, ends in time, and predicates node by
//! node.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Amount, AssetId, Comparison, Operation, Predicate, Put, PutAction, RecordKind, RejectionCode, Require, Time,
};
use nostro_tests::case::{Case, pay};
use nostro_tests::world::{named, unsigned};

fn put(action: PutAction, kind: RecordKind, key: u8) -> Put {
    Put { action, kind, key: [key; 32], ..Put::default() }
}

fn data(action: PutAction) -> Put {
    put(action, RecordKind::Data, 1)
}

fn attestation(action: PutAction, subject: char) -> Put {
    Put { subject: Some(named(subject)), ..put(action, RecordKind::Attestation, 1) }
}

fn require(predicate: Predicate) -> Require {
    Require { predicate }
}

#[test]
fn a_record_is_made_once_changed_taken_back_and_removed_by_its_owner() {
    let of_a = |action| Put { owner: Some(named('A')), ..data(action) };
    let mut case = Case::new();
    case.ok('A', Put { value: vec![1, 2, 3], hash: [4; 32], ..data(PutAction::Create) })
        .no('A', data(PutAction::Create), RejectionCode::RecordExists, 0)
        .ok('B', data(PutAction::Create))
        .no('B', of_a(PutAction::Create), RejectionCode::RecordExists, 0)
        .no('B', of_a(PutAction::Write), RejectionCode::NotOwner, 0)
        .no('B', of_a(PutAction::Revoke), RejectionCode::NotOwner, 0)
        .no('B', of_a(PutAction::Remove), RejectionCode::NotOwner, 0)
        .ok('A', of_a(PutAction::Write))
        .ok('A', data(PutAction::Revoke))
        .no('A', data(PutAction::Create), RejectionCode::RecordExists, 0)
        .ok('A', data(PutAction::Remove))
        .no('A', data(PutAction::Remove), RejectionCode::NoRecord, 0)
        .no('A', data(PutAction::Revoke), RejectionCode::NoRecord, 0)
        .no('B', of_a(PutAction::Revoke), RejectionCode::NoRecord, 0)
        .no('B', of_a(PutAction::Create), RejectionCode::NotOwner, 0)
        .ok('C', data(PutAction::Create))
        .no('C', data(PutAction::Create), RejectionCode::RecordExists, 0)
        .no('B', data(PutAction::Create), RejectionCode::RecordExists, 1)
        .run();
}

#[test]
fn an_attestation_is_revoked_by_its_issuer_and_removed_by_its_subject() {
    let of_k = |action| Put { owner: Some(named('K')), ..attestation(action, 'S') };
    let about = |action| Put { subject: Some(named('S')), ..data(action) };
    let mut case = Case::new();
    case.ok('K', attestation(PutAction::Create, 'S'))
        .ok('K', attestation(PutAction::Create, 'T'))
        .no('S', of_k(PutAction::Revoke), RejectionCode::NotOwner, 0)
        .no('T', of_k(PutAction::Remove), RejectionCode::NotOwner, 0)
        .ok('S', of_k(PutAction::Remove))
        .no('S', of_k(PutAction::Remove), RejectionCode::NoRecord, 0)
        .ok('K', about(PutAction::Create))
        .no('S', Put { owner: Some(named('K')), ..about(PutAction::Remove) }, RejectionCode::NotOwner, 0)
        .run();
}

#[test]
fn a_record_that_is_over_is_as_if_it_were_not_there() {
    let until = |time| Put { expiry: Some(Time(time)), ..data(PutAction::Create) };
    let mut case = Case::new();
    case.no('A', until(999), RejectionCode::ExpiryPast, 1_000)
        .ok('A', until(1_000))
        .no('A', until(999), RejectionCode::ExpiryPast, 1_000)
        .no('A', until(1_000), RejectionCode::RecordExists, 0)
        .ok('B', until(1_001))
        .at(1_001)
        .no('A', data(PutAction::Revoke), RejectionCode::NoRecord, 0)
        .no('B', until(1_001), RejectionCode::RecordExists, 1)
        .ok('A', until(1_002))
        .at(1_000)
        .no('A', until(1_000), RejectionCode::ExpiryPast, 1_001)
        .at(1_003)
        .ok('B', data(PutAction::Create))
        .ok('A', data(PutAction::Create))
        .run();
}

/// More ends at once than leave the table at a time: the rest counts no more all the same, wherever blocks are cut.
#[test]
fn six_hundred_records_end_at_once() {
    let mut case = Case::new();
    for n in 0..300_u128 {
        let pair = [n, n + 1_000].map(|key| {
            let mut key_bytes = [0; 32];
            key_bytes[..16].copy_from_slice(&key.to_le_bytes());
            let order = Put { key: key_bytes, expiry: Some(Time(1_000 + u64::from(n % 2 == 0))), ..Put::default() };
            ('A', Operation::from(order))
        });
        case.together('A', pair.to_vec());
    }
    let first = Put { action: PutAction::Revoke, ..Put::default() };
    case.at(1_002).no('A', first.clone(), RejectionCode::NoRecord, 0);
    case.ok('B', data(PutAction::Create));
    case.at(1_002).no('A', first.clone(), RejectionCode::NoRecord, 0);
    case.at(1_003).ok('C', data(PutAction::Create));
    case.at(1_004).ok('D', data(PutAction::Create)).no('A', first, RejectionCode::NoRecord, 0);
    case.run();
}

#[test]
fn an_unmet_requirement_rejects_everything_and_names_the_node() {
    let (yes, no) = (Predicate::always(), Predicate::always().negated());
    let unmet = RejectionCode::RequirementUnmet;
    let mut case = Case::with_money("A=5");
    case.ok('A', require(yes.clone()))
        .no('A', require(no.clone()), unmet, 0)
        .no('A', require(yes.and(&no)), unmet, 2)
        .no('A', require(yes.and(&yes).and(&no.and(&yes))), unmet, 5)
        .no('A', require(no.or(&no)), unmet, 0)
        .ok('A', require(no.or(&yes)))
        .ok('A', require(Predicate::any_of(2, &[yes.clone(), no.clone(), yes.clone()])))
        .no('A', require(Predicate::any_of(3, &[yes.clone(), no.clone(), yes.clone()])), unmet, 0)
        .no('A', require(Predicate::hash_lock([0; 32])), unmet, 0)
        .not_together('A', vec![('A', pay('B', 5, 0).into()), ('A', require(no).into())], unmet, 1)
        .ok('A', pay('B', 5, 0))
        .run();
}

#[test]
fn time_and_signers_and_balances_are_those_of_the_moment() {
    let unmet = RejectionCode::RequirementUnmet;
    let balance = |comparison, amount| Predicate::balance(named('B'), AssetId(0), comparison, Amount(amount));
    let signed = |letter| require(Predicate::signed(named(letter)));
    let mut case = Case::with_money("A=5");
    case.ok('A', require(Predicate::after(Time(1_000))))
        .no('A', require(Predicate::after(Time(1_001))), unmet, 0)
        .ok('A', require(Predicate::before(Time(1_001))))
        .no('A', require(Predicate::before(Time(1_000))), unmet, 0)
        .ok('A', signed('A'))
        .no('A', signed('B'), unmet, 0)
        .together('A', vec![('B', signed('A').into()), ('A', signed('B').into())])
        .ok('A', require(balance(Comparison::Equal, 0)))
        .together('A', vec![('A', pay('B', 3, 0).into()), ('A', require(balance(Comparison::AtLeast, 3)).into())])
        .no('A', require(balance(Comparison::Less, 3)), unmet, 0)
        .no('A', require(balance(Comparison::More, 3)), unmet, 0)
        .no('A', require(balance(Comparison::Unequal, 3)), unmet, 0)
        .ok('A', require(balance(Comparison::AtMost, 3)))
        .run();
}

#[test]
fn rates_records_and_attestations_count_while_they_are_there() {
    let unmet = RejectionCode::RequirementUnmet;
    let rate = |value: u128| Put { value: value.to_le_bytes().into(), ..put(PutAction::Write, RecordKind::Rate, 9) };
    let needs_rate = |comparison, age| require(Predicate::rate([9; 32], named('R'), comparison, 100, age));
    let anchor = Put { hash: [3; 32], ..put(PutAction::Create, RecordKind::Anchor, 2) };
    let needs_anchor =
        |comparison, hash| require(Predicate::record(named('R'), RecordKind::Anchor, [2; 32], comparison, [hash; 32]));
    let needs_attestation = || require(Predicate::attested(named('S'), [1; 32], named('R')));
    let mut case = Case::new();
    case.no('A', needs_rate(Comparison::Unequal, 9), unmet, 0)
        .ok('R', rate(100))
        .ok('A', needs_rate(Comparison::Equal, 0))
        .at(1_005)
        .ok('A', needs_rate(Comparison::Equal, 5))
        .no('A', needs_rate(Comparison::Equal, 4), unmet, 0)
        .ok('R', rate(101))
        .ok('A', needs_rate(Comparison::More, 0))
        .ok('R', put(PutAction::Revoke, RecordKind::Rate, 9))
        .no('A', needs_rate(Comparison::More, 0), unmet, 0)
        .no('A', needs_anchor(Comparison::Unequal, 4), unmet, 0)
        .ok('R', anchor)
        .ok('A', needs_anchor(Comparison::Unequal, 4))
        .ok('A', needs_anchor(Comparison::Equal, 3))
        .no('A', needs_anchor(Comparison::Equal, 4), unmet, 0)
        .ok('R', put(PutAction::Revoke, RecordKind::Anchor, 2))
        .no('A', needs_anchor(Comparison::Equal, 3), unmet, 0)
        .no('A', needs_attestation(), unmet, 0)
        .ok('R', attestation(PutAction::Create, 'S'))
        .ok('A', needs_attestation())
        .ok('R', attestation(PutAction::Revoke, 'S'))
        .no('A', needs_attestation(), unmet, 0)
        .run();
}

#[test]
fn a_predicate_has_at_most_sixteen_nodes_four_deep() {
    let build = |predicate: Predicate| {
        let order = nostro::Transaction::builder(named('A')).require(predicate).build();
        order.map(|order| unsigned(order).bytes().len()).map_err(|error| error.to_string())
    };
    let leaf = Predicate::always;
    let list = |count: usize| Predicate::any_of(1, &vec![leaf(); count]);
    assert!(build(list(15)).is_ok());
    assert!(build(list(16)).unwrap_err().contains("at most 16 nodes"));
    assert!(build(list(300)).is_err());
    let (three, four) = (leaf().negated().negated().negated(), leaf().negated().negated().negated().negated());
    assert!(build(three).is_ok());
    assert!(build(four).unwrap_err().contains("at most four levels"));
    assert!(build(Predicate::any_of(0, &[leaf()])).unwrap_err().contains("a list"));
    assert!(build(Predicate::any_of(2, &[leaf()])).unwrap_err().contains("a list"));
    assert!(build(Predicate::any_of(1, &[])).unwrap_err().contains("a list"));
    let record = |comparison| Predicate::record(named('A'), RecordKind::Data, [0; 32], comparison, [0; 32]);
    assert!(build(record(Comparison::Equal)).is_ok());
    assert!(build(record(Comparison::Less)).unwrap_err().contains("comparison"));
}

#[test]
fn fields_of_a_record_at_and_past_their_bounds() {
    let build = |order: Put| {
        let order = nostro::Transaction::builder(named('A')).put(order).build();
        order.map(|order| unsigned(order).bytes().len()).map_err(|error| error.to_string())
    };
    let valued = |kind, length| Put { value: vec![1; length], ..put(PutAction::Write, kind, 1) };
    for length in [0, 1, 8, 255, 256] {
        assert_eq!(build(valued(RecordKind::Data, length)), Ok(56 + 88 + length.next_multiple_of(8) + 64));
    }
    assert!(build(valued(RecordKind::Data, 257)).unwrap_err().contains("at most 256"));
    assert!(build(valued(RecordKind::Data, 70_000)).is_err());
    assert!(build(valued(RecordKind::Rate, 16)).is_ok());
    for length in [0, 15, 17] {
        assert!(build(valued(RecordKind::Rate, length)).unwrap_err().contains("16 of a rate"));
    }
    for action in [PutAction::Revoke, PutAction::Remove] {
        assert!(build(data(action)).is_ok());
        assert!(build(Put { value: vec![1], ..data(action) }).unwrap_err().contains("value length"));
        assert!(build(Put { hash: [1; 32], ..data(action) }).unwrap_err().contains("expiry and hash"));
        assert!(build(Put { expiry: Some(Time(5)), ..data(action) }).unwrap_err().contains("expiry and hash"));
    }
    assert!(build(put(PutAction::Create, RecordKind::Attestation, 1)).unwrap_err().contains("a subject"));
    let nobody = Some(nostro::Address([0; 32]));
    assert!(build(Put { subject: nobody, ..data(PutAction::Create) }).unwrap_err().starts_with("105 "));
    assert!(build(Put { owner: nobody, ..data(PutAction::Create) }).unwrap_err().starts_with("105 "));
}
