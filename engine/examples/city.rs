//! A city's disbursement: a currency that stays within the city, paid to a hundred people at once, spent in its shops, taken back when it is
//! over.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amount, AssetId, AssetPolicy, AssetTerms, ControlHolder, HolderAction, KeyPair, Put, RecordKind, RegisterAsset,
    RejectionCode, Time, Transaction,
};
use town::{DAY, Told, Town, person};

const VOUCHER: AssetId = AssetId(0);
const CITIZEN: [u8; 32] = *b"schema: citizen or shop of city ";
const PEOPLE: usize = 100;

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("city")?;
    let (city, shop, stranger) = (person("city"), person("shop"), person("stranger"));
    let people: Vec<KeyPair> = (0..PEOPLE).map(|n| person(&format!("citizen {n}"))).collect();
    let attest = |who: &KeyPair| Put {
        kind: RecordKind::Attestation,
        key: CITIZEN,
        subject: Some(who.address()),
        ..Put::default()
    };
    for some in people.chunks(50) {
        town.does(&[&city], |order| some.iter().fold(order, |order, who| order.put(attest(who))))?;
    }
    town.does(&[&city], |order| order.put(attest(&shop)))?;
    let terms =
        AssetTerms { schema: CITIZEN, attester: city.address(), expiry: Time(30 * DAY), ..AssetTerms::default() };
    let policy = AssetPolicy::CREDENTIAL.with(AssetPolicy::EXPIRES).with(AssetPolicy::CLAWBACK);
    let plain = RegisterAsset::plain("VOUCHER".parse()?, 2, Amount(10_000_000));
    let voucher = RegisterAsset { policy, terms: Some(Box::new(terms)), ..plain };
    let mayor = city.address();
    town.does(&[&city], |order| order.operation(mayor, voucher.into()))?;

    let pay_all = |order| {
        people
            .iter()
            .fold(order, |order: nostro::TransactionBuilder, who| order.transfer(who.address(), VOUCHER, Amount(5_000)))
    };
    let bytes = pay_all(Transaction::builder(mayor)).build()?.sign(town.snapshot()?.ledger(), &[&city])?.bytes().len();
    town.does(&[&city], pay_all)?;
    town.tell(format!("the city has paid 50.00 to {PEOPLE} people in one transaction of {bytes} bytes"));

    let first = &people[0];
    town.fails(&[first], RejectionCode::NotAttested, |order| order.transfer(stranger.address(), VOUCHER, Amount(1)))?;
    town.fails(&[&city], RejectionCode::NotAttested, |order| {
        let order = order.transfer(first.address(), VOUCHER, Amount(1));
        order.transfer(stranger.address(), VOUCHER, Amount(1))
    })?;
    assert_eq!(town.has(first, VOUCHER)?, 5_000);
    town.tell("it can't reach a stranger, and a payment to many with one stranger among them pays nobody");

    for (n, who) in people.iter().enumerate().take(60) {
        let amount = Amount(u128::try_from(n)? * 80);
        if amount > Amount(0) {
            town.does(&[who], |order| order.transfer(shop.address(), VOUCHER, amount))?;
        }
    }
    let spent = town.has(&shop, VOUCHER)?;
    town.does(&[&shop], |order| order.transfer(mayor, VOUCHER, Amount(spent)))?;
    town.tell(format!("the shop took {spent} cents of it, and the city redeemed them"));

    town.day(31);
    town.fails(&[first], RejectionCode::AssetExpired, |order| order.transfer(shop.address(), VOUCHER, Amount(1)))?;
    let take_back = |who: &KeyPair| ControlHolder {
        asset: VOUCHER,
        holder: who.address(),
        action: HolderAction::ClawBack,
        amount: Amount::MAX,
        up_to: true,
    };
    town.does(&[&city], |order| people.iter().fold(order, |order, who| order.operation(mayor, take_back(who).into())))?;
    let left = town.snapshot()?.asset(VOUCHER).ok_or("an asset")?.issued;
    assert_eq!(left, Amount(0));
    town.tell("after a month what nobody has spent is the city's again, and nothing is issued");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
