//! Who may act for an account: keys, thresholds, scopes, recovery, closing; every code that names one of them, and that whoever may not act
//! leaves no trace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nostro::{
    Address, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, EngineConfig, Grant,
    GrantAction, GrantKind, GrantName, GrantTerms, Hold, KeyPair, Operation, Predicate, Put, PutAction, RecordKind,
    RejectionCode, Require, Share, Time, Transaction, Transfer, WaitError,
};
use nostro_tests::case::{Case, asset, pay};
use nostro_tests::directory::Directory;
use nostro_tests::world::{config, key, named, open, unsigned};

const TRANSFER: u32 = 1 << 1;
const AUTHORIZE: u32 = 1 << 10;

/// Keys of these letters, each of weight one; thresholds of one.
fn rules(letters: &str) -> AuthorityRules {
    let mut keys: Vec<AuthorityKey> =
        letters.chars().map(|letter| AuthorityKey { key: named(letter), weight: 1, scope: 0, expiry: None }).collect();
    keys.sort_by_key(|key| key.key);
    AuthorityRules { keys, low: 1, medium: 1, high: 1, ..AuthorityRules::default() }
}

fn with_key(mut rules: AuthorityRules, letter: char, change: impl Fn(&mut AuthorityKey)) -> AuthorityRules {
    rules.keys.iter_mut().filter(|key| key.key == named(letter)).for_each(change);
    rules
}

fn recoverable(rules: AuthorityRules, letters: &str, quorum: u8, delay_ms: u64) -> AuthorityRules {
    let mut recovery_keys: Vec<Address> = letters.chars().map(named).collect();
    recovery_keys.sort_unstable();
    AuthorityRules { recovery_keys, quorum, delay_ms, ..rules }
}

fn require() -> Require {
    Require { predicate: Predicate::always() }
}

#[test]
fn a_key_that_was_given_away_no_longer_signs_and_the_new_one_does() {
    let mut case = Case::with_money("A=9");
    case.no_by('A', "K", pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .ok('A', Authorize::Set(rules("K")))
        .no('A', pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .ok_by('A', "K", pay('B', 1, 0))
        .no_by('A', "AK", pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .ok_by('A', "K", Authorize::Set(AuthorityRules::of_address(named('A'))))
        .no_by('A', "K", pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .ok('A', pay('B', 8, 0))
        .run();
}

#[test]
fn weights_reach_the_threshold_of_what_is_ordered() {
    let three = AuthorityRules { medium: 2, high: 3, ..rules("AKL") };
    let mut case = Case::with_money("A=9");
    case.ok('A', Authorize::Set(three.clone()))
        .ok('A', require())
        .no('A', pay('B', 1, 0), RejectionCode::ThresholdUnmet, 0)
        .ok_by('A', "AL", pay('B', 1, 0))
        .no_by('A', "AL", Authorize::Set(rules("A")), RejectionCode::ThresholdUnmet, 0)
        .ok_by('A', "AKL", Authorize::Set(with_key(three, 'K', |key| key.weight = 2)))
        .ok_by('A', "K", pay('B', 1, 0))
        .ok_by('A', "KL", Authorize::Set(rules("A")))
        .ok('A', pay('B', 7, 0))
        .run();
}

#[test]
fn a_key_signs_within_its_scope_and_time() {
    let limited = with_key(rules("AK"), 'K', |key| (key.scope, key.expiry) = (TRANSFER, Some(Time(1_500))));
    let mut case = Case::with_money("A=9");
    case.ok('A', Authorize::Set(limited))
        .ok_by('A', "K", pay('B', 1, 0))
        .no_by('A', "K", require(), RejectionCode::ThresholdUnmet, 0)
        .no_by('A', "K", Authorize::Set(rules("K")), RejectionCode::ThresholdUnmet, 0)
        .at(1_500)
        .ok_by('A', "K", pay('B', 1, 0))
        .at(1_501)
        .no_by('A', "K", pay('B', 1, 0), RejectionCode::ThresholdUnmet, 0)
        .ok('A', pay('B', 7, 0))
        .run();
}

#[test]
fn rules_that_nobody_could_change_again_are_rejected() {
    let unreachable = RejectionCode::AuthorityUnreachable;
    let mut case = Case::new();
    case.no('A', Authorize::Set(AuthorityRules { high: 3, ..rules("AK") }), unreachable, 2)
        .no('A', Authorize::Set(with_key(rules("A"), 'A', |key| key.expiry = Some(Time(9_999)))), unreachable, 0)
        .no('A', Authorize::Set(with_key(rules("A"), 'A', |key| key.scope = TRANSFER)), unreachable, 0)
        .ok('A', Authorize::Set(with_key(rules("A"), 'A', |key| key.scope = AUTHORIZE)))
        .no('A', require(), RejectionCode::ThresholdUnmet, 0)
        .ok('A', Authorize::Set(rules("A")))
        .run();
}

#[test]
fn a_lost_key_is_recovered_after_a_delay_in_which_the_account_can_object() {
    let mut case = Case::with_money("A=9");
    case.ok('A', Authorize::Set(recoverable(rules("A"), "KLM", 2, 100)))
        .no_by('A', "K", Authorize::Recover(rules("N")), RejectionCode::ThresholdUnmet, 0)
        .no_by('A', "KL", Authorize::Set(rules("N")), RejectionCode::UnknownKey, 0)
        .no_by('A', "KX", Authorize::Recover(rules("N")), RejectionCode::UnknownKey, 0)
        .no_by(
            'A',
            "KL",
            Authorize::Recover(AuthorityRules { high: 2, ..rules("N") }),
            RejectionCode::AuthorityUnreachable,
            1,
        )
        .no('A', Authorize::Object, RejectionCode::NoRecovery, 0)
        .ok_by('A', "KL", Authorize::Recover(rules("N")))
        .no_by('A', "LM", Authorize::Recover(rules("O")), RejectionCode::RecoveryPending, 1_100)
        .ok('A', Authorize::Object)
        .ok_by('A', "KM", Authorize::Recover(rules("N")))
        .ok('A', pay('B', 1, 0))
        .at(1_099)
        .no_by('A', "N", pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .at(1_100)
        .ok_by('A', "N", pay('B', 1, 0))
        .no('A', Authorize::Object, RejectionCode::UnknownKey, 0)
        .no_by('A', "N", Authorize::Object, RejectionCode::NoRecovery, 0)
        .ok_by('A', "N", Authorize::Set(rules("A")))
        .ok('A', pay('B', 7, 0))
        .run();
}

#[test]
fn setting_new_rules_ends_a_recovery() {
    let mut case = Case::new();
    case.ok('A', Authorize::Set(recoverable(rules("A"), "K", 1, 100)))
        .ok_by('A', "K", Authorize::Recover(rules("K")))
        .ok('A', Authorize::Set(rules("A")))
        .at(5_000)
        .ok('A', require())
        .no_by('A', "K", require(), RejectionCode::UnknownKey, 0)
        .run();
}

#[test]
fn a_closed_account_is_empty_can_not_be_paid_and_can_be_opened_again() {
    let closed = AuthorityRules { is_closed: true, ..rules("A") };
    let mut case = Case::with_money("A=9 B=9");
    case.no('A', Authorize::Set(closed.clone()), RejectionCode::NotEmpty, 0)
        .ok('A', pay('B', 9, 0))
        .ok('A', Authorize::Set(closed))
        .no('B', pay('A', 1, 0), RejectionCode::AccountClosed, 0)
        .no('I', pay('A', 1, 0), RejectionCode::AccountClosed, 0)
        .no('B', pay('A', 19, 0), RejectionCode::InsufficientFunds, 1)
        .no('A', require(), RejectionCode::AccountClosed, 0)
        .ok('A', Authorize::Set(rules("A")))
        .ok('B', pay('A', 1, 0))
        .run();
}

#[test]
fn who_asks_for_a_memo_gets_one_or_nothing() {
    let referred = |amount| Transfer { reference: 7, ..pay('A', amount, 0) };
    let mut case = Case::with_money("A=9 B=9");
    case.ok('A', Authorize::Set(AuthorityRules { needs_memo: true, ..rules("A") }))
        .no('B', pay('A', 1, 0), RejectionCode::MemoRequired, 0)
        .no('B', pay('A', 10, 0), RejectionCode::InsufficientFunds, 1)
        .no('I', pay('A', 1, 0), RejectionCode::MemoRequired, 0)
        .ok('B', referred(1))
        .ok('I', referred(1))
        .ok('A', pay('B', 11, 0))
        .run();
}

/// Whoever may not act for an account must not be able to use its sequences up, nor to bring it into being.
#[test]
fn who_may_not_act_leaves_no_trace() {
    let mut case = Case::with_money("A=9");
    case.ok('A', Authorize::Set(rules("K")))
        .no('A', pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .no_by('X', "K", pay('B', 1, 0), RejectionCode::UnknownKey, 0)
        .ok('B', require())
        .run();
}

#[test]
fn everyone_who_is_taken_from_signs_by_the_rules_of_their_own() {
    let mut case = Case::with_money("A=9 B=9");
    case.ok('B', Authorize::Set(rules("K")))
        .not_together(
            'A',
            vec![('A', pay('B', 1, 0).into()), ('B', pay('A', 1, 0).into())],
            RejectionCode::UnknownKey,
            0,
        )
        .ok('A', pay('B', 9, 0))
        .run();
}

/// With true signatures: the named key's is looked at, and nobody else's will do.
#[test]
fn the_named_key_has_to_sign() {
    let directory = Directory::in_memory();
    let engine = open(directory.path(), EngineConfig { trust_signatures: false, ..config() });
    let keys = |letters: &str| -> Vec<&KeyPair> {
        letters.chars().map(|letter| key(usize::from(letter as u8 - b'A'))).collect()
    };
    let order = |sequence: u64| Transaction::builder(named('A')).sequence(sequence);
    let set = order(0).authorize(Authorize::Set(rules("KL"))).build().unwrap();
    let set = set.sign(engine.ledger(), &keys("A")).unwrap();
    assert!(engine.submit(&set).unwrap().wait().unwrap().outcome.is_applied());

    let signed = |sequence: u64, named_keys: &str, signing: &str| {
        let builder = order(sequence).require(Predicate::always());
        let builder = named_keys.chars().fold(builder, |builder, letter| builder.signed_by(named('A'), named(letter)));
        builder.build().unwrap().sign(engine.ledger(), &keys(signing))
    };
    let both = signed(1, "LK", "KL").unwrap();
    assert_eq!(both.as_ref().signature_count(), 2);
    assert_eq!(Transaction::decode(both.bytes()).unwrap(), both);
    assert!(engine.submit(&both).unwrap().wait().unwrap().outcome.is_applied());
    assert!(signed(2, "K", "A").is_err(), "a key is missing");
    let mut forged = signed(2, "K", "K").unwrap().bytes().to_vec();
    let last = forged.len() - 70;
    forged[last] ^= 1;
    if let Ok(forged) = Transaction::decode(&forged) {
        let verdict = engine.submit(&forged).unwrap().wait();
        assert!(matches!(verdict, Err(WaitError::Refused(_))), "{verdict:?}");
    }
    let good = signed(2, "K", "K").unwrap();
    let wrong = good.bytes()[..good.bytes().len() - 64].iter().chain(&[7; 64]).copied().collect::<Vec<u8>>();
    let verdict = engine.submit(&Transaction::decode(&wrong).unwrap()).unwrap().wait();
    assert!(matches!(verdict, Err(WaitError::Refused(_))), "{verdict:?}");
    assert!(engine.submit(&good).unwrap().wait().unwrap().outcome.is_applied());
    engine.close().unwrap();
    let report = nostro::audit_ledger(directory.path(), true, &mut |_, _| ()).unwrap();
    assert_eq!(report.summary.transactions, 3);
}

#[test]
fn keys_are_named_in_one_way_only() {
    let build = |keys: &[(char, char)]| {
        let builder = Transaction::builder(named('A')).transfer(named('B'), nostro::AssetId(0), nostro::Amount(1));
        let builder = builder.transfer_from(named('C'), named('B'), nostro::AssetId(0), nostro::Amount(1));
        let add = |builder: nostro::TransactionBuilder, &(signer, key): &(char, char)| {
            builder.signed_by(named(signer), named(key))
        };
        unsigned(keys.iter().fold(builder, add).build().unwrap()).bytes().to_vec()
    };
    // Keys that are those of the addresses aren't named.
    assert_eq!(build(&[('A', 'A'), ('C', 'C')]), build(&[]));
    assert_eq!(build(&[('A', 'K'), ('A', 'K')]), build(&[('A', 'K')]));
    let valid = build(&[('A', 'K'), ('A', 'L')]);
    let keys = 56 + 32;
    assert_eq!((valid[0], valid[keys]), (2, 3));
    let refused = |change: &dyn Fn(&mut Vec<u8>), number: &str| {
        let mut bytes = valid.clone();
        change(&mut bytes);
        let told = Transaction::decode(&bytes).unwrap_err().to_string();
        assert!(told.starts_with(number), "{told}");
    };
    assert!(Transaction::decode(&valid).is_ok());
    refused(&|bytes| bytes[0] = 1, "10");
    refused(&|bytes| bytes[0] = 3, "102 format");
    for count in [0, 1, 33, 255] {
        refused(&|bytes| bytes[keys] = count, "102 keys");
    }
    refused(&|bytes| bytes[keys + 1] = 1, "102 reserved");
    refused(&|bytes| bytes[keys + 8] = 1, "102 key");
    refused(&|bytes| bytes[keys + 9] = 1, "102 reserved");
    refused(&|bytes| bytes.copy_within(keys + 8..keys + 48, keys + 48), "102 key");
    refused(&|bytes| bytes[keys + 16..keys + 48].fill(0), "105");
    // Only keys of the addresses, all the same.
    let mut needless = build(&[('A', 'K')]);
    needless[keys + 16..keys + 48].copy_from_slice(&named('A').0);
    assert!(Transaction::decode(&needless).unwrap_err().to_string().starts_with("102 format"));
}

#[test]
fn fields_of_rules_at_and_past_their_bounds() {
    let build = |order: Authorize| {
        let order = Transaction::builder(named('A')).authorize(order).build();
        order.map(|order| unsigned(order).bytes().len()).map_err(|error| error.to_string())
    };
    let refused = |rules: AuthorityRules, text: &str| {
        let told = build(Authorize::Set(rules)).unwrap_err();
        assert!(told.contains(text), "{text}: {told}");
    };
    assert_eq!(build(Authorize::Object), Ok(56 + 8 + 64));
    assert_eq!(build(Authorize::Set(rules("A"))), Ok(56 + 24 + 48 + 64));
    assert!(build(Authorize::Set(recoverable(rules("ABCDEFGHIJKLMNOP"), "ABCDEFGH", 8, 1))).is_ok());
    refused(rules("ABCDEFGHIJKLMNOPQ"), "1 to 16");
    refused(rules(""), "1 to 16");
    refused(recoverable(rules("A"), "ABCDEFGHI", 1, 1), "at most 8");
    refused(AuthorityRules { keys: [rules("A").keys, rules("A").keys].concat(), ..rules("A") }, "none twice");
    refused(recoverable(rules("A"), "BB", 1, 1), "none twice");
    refused(with_key(rules("A"), 'A', |key| key.weight = 0), "weight");
    for thresholds in [(0, 1, 1), (2, 1, 1), (1, 2, 1)] {
        let (low, medium, high) = thresholds;
        refused(AuthorityRules { low, medium, high, ..rules("A") }, "thresholds");
    }
    refused(recoverable(rules("A"), "B", 0, 0), "quorum");
    refused(recoverable(rules("A"), "B", 2, 0), "quorum");
    refused(recoverable(rules("A"), "", 0, 1), "delay");
}

/// A grant to act for whoever makes it: transfers, holds and records.
fn agent(letter: char, cap: u128) -> GrantTerms {
    let scope = TRANSFER | 1 << 4 | 1 << 5;
    GrantTerms { kind: GrantKind::Act, to: named(letter), scope, cap: Amount(cap), ..GrantTerms::default() }
}

fn granting(terms: GrantTerms) -> Grant {
    let id = GrantTerms::acting_id(&terms.to);
    Grant { action: GrantAction::Create, id, terms: Some(Box::new(terms)) }
}

fn taking_back(letter: char, action: GrantAction) -> Grant {
    Grant { action, id: GrantTerms::acting_id(&named(letter)), terms: None }
}

fn hold(payee: char, amount: u128) -> Hold {
    Hold { amount: Amount(amount), payees: vec![Share { payee: named(payee), parts: 1 }], ..Hold::default() }
}

#[test]
fn an_agent_acts_within_its_scope_and_its_caps_until_that_is_taken_back() {
    let stranger = (RejectionCode::UnknownKey, 1);
    let data = Put { action: PutAction::Create, kind: RecordKind::Data, ..Put::default() };
    let mut case = Case::with_money("A=20 B=1");
    case.no_for('B', "B", 'A', pay('C', 1, 0), stranger)
        .ok('A', granting(agent('B', 9)))
        .ok_for('B', "B", 'A', pay('C', 3, 0))
        .no_for('B', "B", 'A', pay('C', 7, 0), (RejectionCode::GrantExhausted, 1))
        // What is set aside counts, and what costs nothing doesn't.
        .ok_for('B', "B", 'A', hold('C', 2))
        .ok_for('B', "B", 'A', data)
        .no_for('B', "B", 'A', require(), (RejectionCode::ThresholdUnmet, 1))
        .no_for('B', "B", 'A', Authorize::Set(rules("B")), (RejectionCode::ThresholdUnmet, 1))
        .no_for('C', "C", 'A', pay('C', 1, 0), stranger)
        // By its own key alone, and in nobody else's place.
        .no_for('B', "C", 'A', pay('C', 1, 0), (RejectionCode::UnknownKey, 0))
        .no_for('B', "B", 'C', pay('D', 1, 0), stranger)
        .no_by('A', "B", pay('C', 1, 0), RejectionCode::UnknownKey, 0)
        .ok_for('B', "B", 'A', pay('C', 4, 0))
        .no_for('B', "B", 'A', pay('C', 1, 0), (RejectionCode::GrantExhausted, 1))
        .ok('A', pay('C', 1, 0))
        .ok('A', taking_back('B', GrantAction::Revoke))
        .no_for('B', "B", 'A', data_of(2), stranger)
        .ok('A', taking_back('B', GrantAction::Remove))
        .ok('A', granting(GrantTerms { end: Some(Time(1_500)), start: Time(1_200), ..agent('B', 0) }))
        .no_for('B', "B", 'A', data_of(2), stranger)
        .at(1_200)
        .ok_for('B', "B", 'A', pay('C', 10, 0))
        .at(1_501)
        .no_for('B', "B", 'A', data_of(2), stranger)
        .run();
}

fn data_of(key: u8) -> Put {
    Put { action: PutAction::Create, kind: RecordKind::Data, key: [key; 32], ..Put::default() }
}

#[test]
fn an_agent_spends_no_other_asset_and_by_no_other_grant_and_answers_for_itself() {
    let cents = |cap| GrantTerms { asset: AssetId(1), ..agent('B', cap) };
    let spend = GrantTerms { to: named('A'), cap: Amount(5), ..GrantTerms::default() };
    let lent = Transfer { grant: Some(GrantName { owner: named('D'), id: 4 }), ..pay('C', 1, 0) };
    let two = AuthorityRules { medium: 2, ..rules("BK") };
    let mut case = Case::with_money("A=20 D=5");
    case.ok('J', asset("USD", AssetPolicy::default(), AssetTerms::default()))
        .ok('J', pay('A', 9, 1))
        .ok('D', Grant { action: GrantAction::Create, id: 4, terms: Some(Box::new(spend)) })
        .no('A', granting(GrantTerms { asset: AssetId(7), ..agent('B', 5) }), RejectionCode::NoAsset, 7)
        .no('B', granting(agent('B', 5)), RejectionCode::SelfTransfer, 0)
        .ok('A', granting(cents(5)))
        .no('A', granting(cents(5)), RejectionCode::GrantExists, 1)
        .no_for('B', "B", 'A', pay('C', 1, 0), (RejectionCode::OutOfScope, 1))
        .no_for('B', "B", 'A', hold('C', 1), (RejectionCode::OutOfScope, 1))
        .no_for('B', "B", 'A', lent, (RejectionCode::OutOfScope, 3))
        .ok_for('B', "B", 'A', pay('C', 5, 1))
        .ok('A', taking_back('B', GrantAction::Remove))
        .ok('A', granting(GrantTerms { predicate: Predicate::signed(named('Z')), ..agent('B', 0) }))
        .no_for('B', "B", 'A', pay('C', 1, 0), (RejectionCode::ConditionUnmet, 0))
        .ok('A', taking_back('B', GrantAction::Remove))
        .ok('A', granting(agent('B', 0)))
        // An agent that needs two keys needs them for what it does for others.
        .ok('B', Authorize::Set(two))
        .no_for('B', "B", 'A', pay('C', 1, 0), (RejectionCode::ThresholdUnmet, 0))
        .ok_for('B', "BK", 'A', pay('C', 1, 1))
        .ok_for('B', "BK", 'A', pay('C', 20, 0))
        .run();
}

#[test]
fn an_issuers_agent_mints_within_its_cap_and_a_closed_account_has_none() {
    let closed = AuthorityRules { is_closed: true, ..rules("E") };
    let mut case = Case::with_money("");
    case.ok('I', granting(agent('B', 5)))
        .ok_for('B', "B", 'I', pay('C', 5, 0))
        .no_for('B', "B", 'I', pay('C', 1, 0), (RejectionCode::GrantExhausted, 1))
        .ok('E', granting(agent('B', 0)))
        .ok_for('B', "B", 'E', data_of(1))
        .ok('E', Authorize::Set(closed))
        .no_for('B', "B", 'E', data_of(2), (RejectionCode::AccountClosed, 1))
        .run();
}

#[test]
fn fields_of_grants_to_act_at_and_past_their_bounds() {
    let build = |terms: GrantTerms| {
        let order: Operation = granting(terms).into();
        let order = Transaction::builder(named('A')).operation(named('A'), order).build();
        order.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build(agent('B', 0)), Ok(()));
    assert_eq!(build(GrantTerms { scope: 0x1b7e, ..agent('B', 1) }), Ok(()));
    for scope in [0, 1, 1 << 7, 1 << 10, 1 << 13, u32::MAX] {
        assert!(build(GrantTerms { scope, ..agent('B', 0) }).unwrap_err().contains("scope"), "{scope:#x}");
    }
    let spend = GrantTerms { kind: GrantKind::Spend, ..agent('B', 1) };
    assert!(build(spend).unwrap_err().contains("scope"));
    assert!(build(GrantTerms { asset: AssetId(1), ..agent('B', 0) }).unwrap_err().contains("0 without limits"));
    assert!(build(GrantTerms { payee: Some(named('C')), ..agent('B', 0) }).unwrap_err().contains("flags"));
    assert!(build(GrantTerms { subject: [1; 32], ..agent('B', 0) }).unwrap_err().contains("subject"));
    let other = Grant { id: 4, ..granting(agent('B', 0)) };
    let other = Transaction::builder(named('A')).operation(named('A'), other.into()).build().unwrap_err();
    assert!(other.to_string().contains("the first eight bytes"), "{other}");
}
