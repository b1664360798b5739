//! Trading of unique things: a picture of which there is one, its first sale, a resale with a royalty for the artist, and a swap.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amount, AssetId, AssetPolicy, AssetTerms, Hold, OpenMarket, PlaceOrder, Predicate, RegisterAsset, RejectionCode,
    Settle, Share, Side,
};
use town::{Told, Town, person};

const EURO: AssetId = AssetId(0);
const PICTURE: AssetId = AssetId(1);
const POEM: AssetId = AssetId(2);

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("asset-trading")?;
    let (bank, artist, ann, ben) = (person("bank"), person("artist"), person("ann"), person("ben"));
    let code = "EUR".parse()?;
    town.does(&[&bank], |order| {
        let order = order.register_asset(code, 2, Amount::MAX);
        order.transfer(ann.address(), EURO, Amount(100_000)).transfer(ben.address(), EURO, Amount(100_000))
    })?;
    let unique = |code: &str, hash| -> Told<RegisterAsset> {
        let terms = AssetTerms { metadata: [hash; 32], ..AssetTerms::default() };
        let plain = RegisterAsset::plain(code.parse()?, 0, Amount(1));
        Ok(RegisterAsset { policy: AssetPolicy::METADATA, terms: Some(Box::new(terms)), ..plain })
    };
    let (picture, poem) = (unique("PICTURE", 1)?, unique("POEM", 2)?);
    let maker = artist.address();
    town.does(&[&artist], |order| {
        // The one there is goes to Ann, who signs that she pays for it.
        let order = order.operation(maker, picture.into()).operation(maker, poem.into());
        order.transfer(ben.address(), POEM, Amount(1))
    })?;
    town.does(&[&artist, &ann], |order| {
        order.transfer(ann.address(), PICTURE, Amount(1)).transfer_from(ann.address(), maker, EURO, Amount(10_000))
    })?;
    town.fails(&[&artist], RejectionCode::SupplyExceeded, |order| order.transfer(ben.address(), PICTURE, Amount(1)))?;
    town.tell("the artist has sold the one picture there is for 100.00, and can't make another");

    // A market whose fee is the artist's: whoever takes an offer of money gives a tenth of it.
    let market =
        OpenMarket { base: PICTURE, quote: EURO, lot: 1, tick: 1, fee_basis_points: 1_000, fee_account: Some(maker) };
    town.does(&[&artist], |order| order.open_market(market))?;
    let market = town.snapshot()?.find_market(&maker, PICTURE, EURO).ok_or("a market")?;
    let offer = PlaceOrder { market, id: 1, side: Side::Buy, price: 50_000, quantity: 1, ..PlaceOrder::default() };
    town.does(&[&ben], |order| order.order(offer))?;
    town.does(&[&ann], |order| order.order(PlaceOrder { side: Side::Sell, price: 40_000, ..offer }))?;
    assert_eq!((town.has(&ben, PICTURE)?, town.has(&ann, EURO)?), (1, 135_000));
    assert_eq!(town.has(&artist, EURO)?, 15_000);
    town.tell("Ben bought it from Ann for 500.00, of which the artist got 50.00");

    // A swap: the poem waits for whoever brings 20.00.
    let swap = Hold {
        id: 1,
        asset: POEM,
        amount: Amount(1),
        payees: vec![Share { payee: ann.address(), parts: 1 }],
        release: Predicate::signed(ben.address()),
        cancel: Predicate::always(),
        ..Hold::default()
    };
    town.does(&[&ben], |order| order.hold(swap))?;
    let take = Settle { owner: ben.address(), id: 1, ..Settle::default() };
    town.fails(&[&ann], RejectionCode::ConditionUnmet, |order| order.settle(take.clone()))?;
    town.does(&[&ann, &ben], |order| {
        // Ben signs because his cent goes the other way.
        let order = order.transfer(ben.address(), EURO, Amount(2_000)).settle(take);
        order.transfer_from(ben.address(), ann.address(), EURO, Amount(1))
    })?;
    assert_eq!((town.has(&ann, POEM)?, town.has(&ann, EURO)?), (1, 133_001));
    let snapshot = town.snapshot()?;
    assert_eq!(snapshot.asset_terms(POEM).metadata, [2; 32]);
    town.tell("Ann has the poem for 20.00, and its hash says which one it is");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
