//! A decentralised exchange: a book of orders, a price that moves, a payment across currencies by two orders in one transaction, and a trade
//! that only happens near a published rate.

#[path = "town/mod.rs"]
mod town;

use nostro::{
    Amend, Amount, AssetId, Comparison, Lifetime, MarketId, OpenMarket, PlaceOrder, Predicate, Put, PutAction,
    RecordKind, RejectionCode, Side,
};
use town::{Told, Town, person};

const GOLD: AssetId = AssetId(0);
const EURO: AssetId = AssetId(1);
const YEN: AssetId = AssetId(2);

fn order(market: MarketId, id: u64, side: Side, quantity: u64, price: u64) -> PlaceOrder {
    PlaceOrder { market, id, side, quantity, price, ..PlaceOrder::default() }
}

pub(crate) fn story() -> Told<Vec<String>> {
    let mut town = Town::open("exchange")?;
    let (mint, venue, oracle) = (person("mint"), person("venue"), person("oracle"));
    let (ann, ben, cid) = (person("ann"), person("ben"), person("cid"));
    let codes = ["GOLD".parse()?, "EUR".parse()?, "JPY".parse()?];
    town.does(&[&mint], |order| {
        let order = codes.iter().fold(order, |order, code| order.register_asset(*code, 0, Amount::MAX));
        let order = order.transfer(ann.address(), GOLD, Amount(100)).transfer(ben.address(), EURO, Amount(10_000));
        order.transfer(cid.address(), YEN, Amount(1_000_000)).transfer(ann.address(), EURO, Amount(10_000))
    })?;
    let market = |base, quote| OpenMarket { base, quote, lot: 1, tick: 1, ..OpenMarket::default() };
    town.does(&[&venue], |order| order.open_market(market(GOLD, EURO)).open_market(market(EURO, YEN)))?;
    let snapshot = town.snapshot()?;
    let find = |base, quote| snapshot.find_market(&venue.address(), base, quote).ok_or("a market");
    let (gold, euro) = (find(GOLD, EURO)?, find(EURO, YEN)?);

    town.does(&[&ann], |ann| ann.order(order(gold, 1, Side::Sell, 10, 61)).order(order(gold, 2, Side::Sell, 10, 60)))?;
    town.does(&[&ben], |ben| ben.order(order(gold, 1, Side::Buy, 5, 58)))?;
    town.does(&[&ben], |ben| ben.order(order(gold, 2, Side::Buy, 12, 61)))?;
    let snapshot = town.snapshot()?;
    let state = snapshot.market(gold).ok_or("a market")?;
    assert_eq!((state.trades, state.volume, state.last_price), (2, 12, 61));
    assert_eq!(snapshot.depth(gold, Side::Sell, 5), [(61, 8)]);
    assert_eq!(snapshot.depth(gold, Side::Buy, 5), [(58, 5)]);
    town.tell("Ben bought ten at 60 and two at 61; eight wait at 61, and his bid for five at 58");

    town.does(&[&ann], |ann| ann.amend(Amend::Change { id: 1, price: 59, quantity: 4 }))?;
    town.fails(&[&ann], RejectionCode::WouldCross, |ann| ann.amend(Amend::Change { id: 1, price: 58, quantity: 4 }))?;
    town.tell("Ann lowered her price to 59; an amended order never trades by itself");

    // Cid has yen and wants gold: euros in between, all or nothing.
    town.does(&[&ann], |ann| ann.order(order(euro, 3, Side::Sell, 300, 160)))?;
    let fill = |order| PlaceOrder { lifetime: Lifetime::FillOrKill, ..order };
    town.does(&[&cid], |cid| {
        cid.order(fill(order(euro, 1, Side::Buy, 236, 160))).order(fill(order(gold, 2, Side::Buy, 4, 59)))
    })?;
    assert_eq!((town.has(&cid, GOLD)?, town.has(&cid, EURO)?, town.has(&cid, YEN)?), (4, 0, 962_240));
    town.tell("Cid paid yen and got gold: two orders, one transaction, no euro left over");

    // A condition on the world.
    let rate = 59_u128.to_le_bytes().to_vec();
    let put = Put { action: PutAction::Write, kind: RecordKind::Rate, key: [7; 32], value: rate, ..Put::default() };
    town.does(&[&oracle], |order| order.put(put))?;
    let below = |limit| Predicate::rate([7; 32], oracle.address(), Comparison::AtMost, limit, 60_000);
    town.fails(&[&ann], RejectionCode::RequirementUnmet, |ann| {
        ann.require(below(50)).order(order(gold, 9, Side::Buy, 1, 50))
    })?;
    town.does(&[&ann], |ann| ann.require(below(60)).order(order(gold, 9, Side::Buy, 1, 50)))?;
    town.tell("Ann bids only as long as the oracle's rate is at most 60");

    town.does(&[&ben], |ben| ben.amend(Amend::CancelAll(gold)))?;
    let snapshot = town.snapshot()?;
    let held = snapshot.holdings(&ben.address()).iter().map(|holding| holding.held.0).sum::<u128>();
    assert_eq!((held, snapshot.depth(gold, Side::Buy, 5)), (0, vec![(50, 1)]));
    town.tell("Ben took his orders back, and nothing of his is set aside any more");
    town.end()
}

#[allow(dead_code, reason = "the test of the cases has a main of its own")]
fn main() -> Told {
    story()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
