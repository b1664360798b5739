//! Secure data sharing: an anchored document, access that ends, and a sale in which the key is revealed by being paid for.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amount, AssetId, Grant, GrantAction, GrantKind, GrantTerms, Hold, Predicate, Put, RecordKind, RejectionCode,
    Settle, Share, Time,
};
use town::{DAY, Told, Town, person};

const EURO: AssetId = AssetId(0);
/// SHA-256 of the key below.
const LOCK: [u8; 32] = [
    0x4b, 0xf5, 0x12, 0x2f, 0x34, 0x45, 0x54, 0xc5, 0x3b, 0xde, 0x2e, 0xbb, 0x8c, 0xd2, 0xb7, 0xe3, 0xd1, 0x60, 0x0a,
    0xd6, 0x31, 0xc3, 0x85, 0xa5, 0xd7, 0xcc, 0xe2, 0x3c, 0x77, 0x85, 0x45, 0x9a,
];
const KEY: [u8; 1] = [1];

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("data-sharing")?;
    let (bank, clinic, doctor, buyer) = (person("bank"), person("clinic"), person("doctor"), person("buyer"));
    let code = "EUR".parse()?;
    town.does(&[&bank], |order| {
        order.register_asset(code, 2, Amount::MAX).transfer(buyer.address(), EURO, Amount(9_000))
    })?;

    let anchor = Put { kind: RecordKind::Anchor, key: [1; 32], hash: [0xab; 32], ..Put::default() };
    town.does(&[&clinic], |order| order.put(anchor.clone()))?;
    town.fails(&[&clinic], RejectionCode::RecordExists, |order| order.put(anchor))?;
    town.tell("the clinic has anchored the hash of its data; nobody can anchor another in its place unseen");

    let access = GrantTerms {
        kind: GrantKind::Access,
        to: doctor.address(),
        subject: [1; 32],
        end: Some(Time(7 * DAY)),
        ..GrantTerms::default()
    };
    let access = Grant { action: GrantAction::Create, id: 1, terms: Some(Box::new(access)) };
    town.does(&[&clinic], |order| order.grant(access))?;
    let snapshot = town.snapshot()?;
    let granted = snapshot.grant(&clinic.address(), 1).ok_or("a grant")?;
    assert_eq!((granted.to, granted.start, granted.end), (doctor.address(), town.time(), Some(Time(7 * DAY))));
    town.tell("a doctor may see it for a week, and everybody can see that");

    town.day(2);
    let offer = Hold {
        id: 1,
        asset: EURO,
        amount: Amount(5_000),
        payees: vec![Share { payee: clinic.address(), parts: 1 }],
        release: Predicate::hash_lock(LOCK),
        cancel: Predicate::after(Time(5 * DAY)),
        expiry: Some(Time(6 * DAY)),
        ..Hold::default()
    };
    town.does(&[&buyer], |order| order.hold(offer.clone()))?;
    let open = |preimage: &[u8]| Settle {
        owner: buyer.address(),
        id: 1,
        preimage: Some(preimage.to_vec()),
        ..Settle::default()
    };
    town.fails(&[&clinic], RejectionCode::ConditionUnmet, |order| order.settle(open(&[2])))?;
    town.does(&[&clinic], |order| order.settle(open(&KEY)))?;
    assert_eq!((town.has(&clinic, EURO)?, town.has(&buyer, EURO)?), (5_000, 4_000));
    town.tell("a buyer's money waited for the key of the data; taking it has revealed the key");

    town.does(&[&buyer], |order| order.hold(Hold { amount: Amount(4_000), ..offer }))?;
    town.day(7);
    town.fails(&[&clinic], RejectionCode::NoHold, |order| order.settle(open(&KEY)))?;
    assert_eq!(town.has(&buyer, EURO)?, 4_000);
    town.tell("another offer was over before anyone has revealed anything, and the money went back");

    town.day(8);
    town.does(&[&clinic], |order| order.put(Put { key: [2; 32], kind: RecordKind::Anchor, ..Put::default() }))?;
    assert!(town.snapshot()?.grant(&clinic.address(), 1).is_none());
    town.tell("the doctor's access is over");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
