//! Trade settlement: a letter of credit with an arbiter and a deadline, paid in parts; delivery versus payment, in which a leg that fails
//! takes the other back.

#[path = "town/mod.rs"]
mod town;

use nostro::{Amount, AssetId, Comparison, Hold, Predicate, Put, RecordKind, RejectionCode, Settle, Share, Time};
use town::{DAY, Told, Town, person};

const EURO: AssetId = AssetId(0);
const STEEL: AssetId = AssetId(1);

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("trade-settlement")?;
    let (bank, mill, carrier) = (person("bank"), person("mill"), person("carrier"));
    let (importer, exporter, arbiter) = (person("importer"), person("exporter"), person("arbiter"));
    let (euro, steel) = ("EUR".parse()?, "STEEL".parse()?);
    town.does(&[&bank], |order| {
        order.register_asset(euro, 2, Amount::MAX).transfer(importer.address(), EURO, Amount(100_000))
    })?;
    town.does(&[&mill], |order| {
        order.register_asset(steel, 0, Amount(500)).transfer(exporter.address(), STEEL, Amount(100))
    })?;

    // Paid when the carrier has anchored the bill of lading; until day 30.
    let (key, bill) = ([3; 32], [0xb1; 32]);
    let shipped = Predicate::record(carrier.address(), RecordKind::Anchor, key, Comparison::Equal, bill);
    let credit = Hold {
        id: 1,
        asset: EURO,
        amount: Amount(60_000),
        payees: vec![Share { payee: exporter.address(), parts: 1 }],
        release: shipped,
        cancel: Predicate::always().negated(),
        arbiter: Some(arbiter.address()),
        expiry: Some(Time(30 * DAY)),
        ..Hold::default()
    };
    town.does(&[&importer], |order| order.hold(credit))?;
    town.tell("the importer has set 600.00 aside for the exporter, until day 30");
    let settle = |amount, cancels| Settle {
        owner: importer.address(),
        id: 1,
        amount: Amount(amount),
        cancels,
        ..Settle::default()
    };
    town.fails(&[&exporter], RejectionCode::ConditionUnmet, |order| order.settle(settle(0, false)))?;
    town.fails(&[&importer], RejectionCode::ConditionUnmet, |order| order.settle(settle(0, true)))?;
    town.tell("nobody gets it alone: nothing is shipped, and the importer can't take it back");

    town.day(9);
    let anchor = Put { kind: RecordKind::Anchor, key, hash: bill, ..Put::default() };
    town.does(&[&carrier], |order| order.put(anchor))?;
    town.does(&[&exporter], |order| order.settle(settle(40_000, false)))?;
    assert_eq!(town.has(&exporter, EURO)?, 40_000);
    town.tell("the bill of lading is there: the exporter takes 400.00 of it");

    town.day(12);
    town.does(&[&arbiter], |order| order.settle(settle(5_000, false)))?;
    town.does(&[&arbiter], |order| order.settle(settle(0, true)))?;
    assert_eq!((town.has(&exporter, EURO)?, town.has(&importer, EURO)?), (45_000, 55_000));
    town.tell("they quarrel about the rest: the arbiter gives 50.00 to one and 150.00 to the other");

    // Steel against money, both or neither.
    let deliver = |order: nostro::TransactionBuilder, tons, cents| {
        order.transfer(exporter.address(), EURO, Amount(cents)).transfer_from(
            exporter.address(),
            importer.address(),
            STEEL,
            Amount(tons),
        )
    };
    town.fails(&[&importer, &exporter], RejectionCode::InsufficientFunds, |order| deliver(order, 101, 50_000))?;
    assert_eq!((town.has(&importer, EURO)?, town.has(&importer, STEEL)?), (55_000, 0));
    town.does(&[&importer, &exporter], |order| deliver(order, 80, 50_000))?;
    assert_eq!((town.has(&importer, EURO)?, town.has(&importer, STEEL)?), (5_000, 80));
    town.tell("a delivery that lacked steel paid nothing; the next one went through in one step");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
