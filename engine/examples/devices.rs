//! Finance of devices: a car that pays for its charging out of its owner's account, within a cap a day; a stolen key loses at most that; a stream
//! of money that flows by the second; a thousand payments settled by one.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amount, AssetId, Grant, GrantAction, GrantName, GrantTerms, Hold, KeyPair, Predicate, RejectionCode, Settle, Share,
    Time, TransactionBuilder, Transfer,
};
use town::{DAY, Told, Town, person};

const EURO: AssetId = AssetId(0);
const DEVICES: u64 = 200;

fn draw(
    order: TransactionBuilder,
    device: &KeyPair,
    owner: &KeyPair,
    id: u64,
    payee: &KeyPair,
    amount: u128,
) -> TransactionBuilder {
    let grant = Some(GrantName { owner: owner.address(), id });
    let (payee, amount) = (payee.address(), Amount(amount));
    order.operation(device.address(), Transfer { payee, asset: EURO, amount, grant, ..Transfer::default() }.into())
}

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("devices")?;
    let (bank, fleet, station, thief) = (person("bank"), person("fleet"), person("station"), person("thief"));
    let code = "EUR".parse()?;
    town.does(&[&bank], |order| {
        order.register_asset(code, 2, Amount::MAX).transfer(fleet.address(), EURO, Amount(10_000_000))
    })?;
    let device = |n: u64| person(&format!("device {n}"));
    let daily = |n: u64| {
        let terms = GrantTerms {
            to: device(n).address(),
            asset: EURO,
            period_ms: DAY,
            period_cap: Amount(1_000),
            ..GrantTerms::default()
        };
        Grant { action: GrantAction::Create, id: n, terms: Some(Box::new(terms)) }
    };
    for some in (0..DEVICES).collect::<Vec<_>>().chunks(100) {
        town.does(&[&fleet], |order| some.iter().fold(order, |order, &n| order.grant(daily(n))))?;
    }
    town.tell(format!(
        "{DEVICES} devices may spend 10.00 a day each of the fleet's money, and none has any of its own"
    ));

    for n in 0..DEVICES {
        let own = device(n);
        town.does(&[&own], |order| draw(order, &own, &fleet, n, &station, 100 + u128::from(n)))?;
    }
    let charged = town.has(&station, EURO)?;
    assert_eq!(charged, (0..u128::from(DEVICES)).map(|n| 100 + n).sum::<u128>());
    town.tell(format!("they have charged for {charged} cents"));

    // Somebody has the key of device 7.
    let stolen = device(7);
    town.does(&[&stolen], |order| draw(order, &stolen, &fleet, 7, &thief, 893))?;
    town.fails(&[&stolen], RejectionCode::PeriodCap, |order| draw(order, &stolen, &fleet, 7, &thief, 1))?;
    town.does(&[&fleet], |order| order.grant(Grant { action: GrantAction::Revoke, id: 7, terms: None }))?;
    town.day(2);
    town.fails(&[&stolen], RejectionCode::GrantRevoked, |order| draw(order, &stolen, &fleet, 7, &thief, 1))?;
    assert_eq!(town.has(&thief, EURO)?, 893);
    town.tell("a stolen key lost what was left of its day, and then nothing");

    // A stream: a cent a second, taken when it suits.
    let (sensor, stream) =
        (person("sensor"), GrantTerms { to: person("sensor").address(), rate: Amount(1), ..GrantTerms::default() });
    town.does(&[&fleet], |order| {
        order.grant(Grant { action: GrantAction::Create, id: 1_000, terms: Some(Box::new(stream)) })
    })?;
    town.day(3);
    town.fails(&[&sensor], RejectionCode::NotVested, |order| draw(order, &sensor, &fleet, 1_000, &sensor, 86_401))?;
    town.does(&[&sensor], |order| draw(order, &sensor, &fleet, 1_000, &sensor, 86_400))?;
    assert_eq!(town.has(&sensor, EURO)?, 86_400);
    town.tell("a sensor has earned a cent a second for a day, and has taken it in one go");

    // A channel: the charger signs a voucher for every second of current, and the station settles with the last one.
    let charger = person("charger");
    let channel = Hold {
        id: 1,
        asset: EURO,
        amount: Amount(5_000),
        payees: vec![Share { payee: station.address(), parts: 1 }],
        cancel: Predicate::after(Time(5 * DAY)),
        voucher_key: Some(charger.address()),
        ..Hold::default()
    };
    town.does(&[&fleet], |order| order.hold(channel))?;
    let opened = town.time();
    let voucher = |amount| {
        let message = Settle::voucher_message(&fleet.address(), 1, opened, Amount(amount));
        let voucher = Some(charger.sign(&message));
        Settle { owner: fleet.address(), id: 1, amount: Amount(amount), voucher, ..Settle::default() }
    };
    let payments: Vec<Settle> = (1..=1_000).map(|second| voucher(2 * second)).collect();
    let before = town.has(&station, EURO)?;
    if let [early, .., last] = payments.as_slice() {
        town.does(&[&station], |order| order.settle(last.clone()))?;
        town.fails(&[&station], RejectionCode::StaleVoucher, |order| order.settle(early.clone()))?;
        town.fails(&[&station], RejectionCode::StaleVoucher, |order| order.settle(last.clone()))?;
    }
    assert_eq!(town.has(&station, EURO)?, before + 2_000);
    town.tell("a thousand payments of a charger were settled by one transaction, and none of them twice");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
