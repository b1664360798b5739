//! A personal wallet: two devices and a recovery, money in two currencies, a standing order, a payment that can be called back, net worth in one
//! currency.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amount, AssetId, AuthorityKey, AuthorityRules, Authorize, Grant, GrantAction, GrantName, GrantTerms, Hold, KeyPair,
    Predicate, Put, PutAction, RecordKind, RejectionCode, Settle, Share, Time, Transfer,
};
use town::{DAY, Told, Town, person};

const EURO: AssetId = AssetId(0);
const DOLLAR: AssetId = AssetId(1);

fn keys(devices: &[&KeyPair], guardian: &KeyPair) -> AuthorityRules {
    let mut keys: Vec<AuthorityKey> =
        devices.iter().map(|key| AuthorityKey { key: key.address(), weight: 1, scope: 0, expiry: None }).collect();
    keys.sort_by_key(|key| key.key);
    let recovery_keys = vec![guardian.address()];
    AuthorityRules {
        keys,
        low: 1,
        medium: 1,
        high: 1,
        recovery_keys,
        quorum: 1,
        delay_ms: 3 * DAY,
        ..AuthorityRules::default()
    }
}

/// Net worth in cents: euros and dollars at the last rate that the bank has published, in millionths.
fn worth(town: &Town, bank: &KeyPair, who: &KeyPair) -> Told<u128> {
    let snapshot = town.snapshot()?;
    let rate = snapshot.record(&bank.address(), RecordKind::Rate, &[1; 32], None).ok_or("no rate")?;
    let rate = u128::from_le_bytes(rate.value.as_slice().try_into()?);
    Ok(town.has(who, EURO)? + town.has(who, DOLLAR)? * rate / 1_000_000)
}

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("wallet")?;
    let (bank, shop, landlord) = (person("bank"), person("shop"), person("landlord"));
    let (ann, phone, tablet, guardian) = (person("ann"), person("phone"), person("tablet"), person("guardian"));
    let rate = |value: u128| Put {
        action: PutAction::Write,
        kind: RecordKind::Rate,
        key: [1; 32],
        value: value.to_le_bytes().to_vec(),
        ..Put::default()
    };
    town.does(&[&bank], |order| {
        let order = order.register_asset("EUR".parse().unwrap_or_else(|_| unreachable!()), 2, Amount::MAX);
        let order = order.register_asset("USD".parse().unwrap_or_else(|_| unreachable!()), 2, Amount::MAX);
        order
            .transfer(ann.address(), EURO, Amount(100_000))
            .transfer(ann.address(), DOLLAR, Amount(50_000))
            .put(rate(900_000))
    })?;
    let before = worth(&town, &bank, &ann)?;
    town.tell(format!("Ann has euros and dollars worth {before} cents"));

    town.does(&[&ann], |order| order.authorize(Authorize::Set(keys(&[&phone, &tablet], &guardian))))?;
    let by_phone = |order: nostro::TransactionBuilder| order.signed_by(ann.address(), phone.address());
    town.tell("her phone and her tablet may act for her, and a friend can help if both are lost");

    // The landlord may take the rent, once a month and no more.
    let rent = GrantTerms {
        to: landlord.address(),
        asset: EURO,
        payee: Some(landlord.address()),
        period_ms: 30 * DAY,
        period_cap: Amount(20_000),
        ..GrantTerms::default()
    };
    let rent = Grant { action: GrantAction::Create, id: 1, terms: Some(Box::new(rent)) };
    let outcome = town.order_for(ann.address(), &[&phone], |order| by_phone(order).grant(rent))?;
    assert!(outcome.is_applied(), "{outcome:?}");
    let take = Transfer {
        payee: landlord.address(),
        asset: EURO,
        amount: Amount(20_000),
        grant: Some(GrantName { owner: ann.address(), id: 1 }),
        ..Transfer::default()
    };
    town.does(&[&landlord], |order| order.operation(landlord.address(), take.into()))?;
    town.fails(&[&landlord], RejectionCode::PeriodCap, |order| order.operation(landlord.address(), take.into()))?;
    town.tell("the rent was taken once, and not twice in a month");

    // A payment that the shop gets on day 10, unless she calls it back before.
    let callable = Hold {
        id: 1,
        asset: EURO,
        amount: Amount(5_000),
        payees: vec![Share { payee: shop.address(), parts: 1 }],
        release: Predicate::after(Time(10 * DAY)),
        cancel: Predicate::before(Time(10 * DAY)),
        expiry: Some(Time(10 * DAY)),
        releases_at_expiry: true,
        ..Hold::default()
    };
    let outcome = town.order_for(ann.address(), &[&phone], |order| by_phone(order).hold(callable))?;
    assert!(outcome.is_applied(), "{outcome:?}");
    town.day(5);
    let back = Settle { owner: ann.address(), id: 1, cancels: true, ..Settle::default() };
    let outcome = town.order_for(ann.address(), &[&phone], |order| by_phone(order).settle(back))?;
    assert!(outcome.is_applied(), "{outcome:?}");
    assert_eq!(town.has(&shop, EURO)?, 0);
    town.tell("a payment was called back before it was due");

    // Both devices are lost.
    town.day(20);
    let fresh = person("new phone");
    let recover = Authorize::Recover(keys(&[&fresh], &guardian));
    let outcome = town.order_for(ann.address(), &[&guardian], |order| {
        order.signed_by(ann.address(), guardian.address()).authorize(recover)
    })?;
    assert!(outcome.is_applied(), "{outcome:?}");
    let pay = |order: nostro::TransactionBuilder| {
        order.signed_by(ann.address(), fresh.address()).transfer(shop.address(), EURO, Amount(1_000))
    };
    assert!(!town.order_for(ann.address(), &[&fresh], pay)?.is_applied(), "she could still object");
    town.day(23);
    let outcome = town.order_for(ann.address(), &[&fresh], pay)?;
    assert!(outcome.is_applied(), "{outcome:?}");
    town.tell("three days after her friend has asked for it, a new phone acts for her");

    town.does(&[&bank], |order| order.put(rate(1_000_000)))?;
    let after = worth(&town, &bank, &ann)?;
    assert_eq!((before, after), (145_000, 129_000));
    town.tell(format!("net worth: {before} cents at first, {after} now"));

    // Her statement: only what concerns her is read.
    let (all, applied) = town.history(&ann)?;
    assert_eq!((all, applied), (10, 8));
    town.tell(format!("her statement has {all} transactions, of which {applied} applied"));
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
