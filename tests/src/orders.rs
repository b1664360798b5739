//! Orders in short, and a ledger in which they meet.

use crate::case::{Case, asset, pay};
use crate::world::named;
use nostro::{
    Amend, Amount, AssetId, AssetPolicy, AssetTerms, Comparison, Hold, Lifetime, MarketId, OpenMarket, PlaceOrder,
    Predicate, RegisterAsset, Settle, Share, Side,
};

/// The base of market 0.
pub const GOLD: AssetId = AssetId(0);
/// The quote of both.
pub const EURO: AssetId = AssetId(1);
/// The base of market 1.
pub const OIL: AssetId = AssetId(2);

/// A market of an asset for euros.
#[must_use]
pub fn market(base: AssetId) -> OpenMarket {
    OpenMarket { base, quote: EURO, lot: 1, tick: 1, ..OpenMarket::default() }
}

/// So many lots at this price or less.
#[must_use]
pub fn buy(id: u64, quantity: u64, price: u64) -> PlaceOrder {
    PlaceOrder { id, quantity, price, ..PlaceOrder::default() }
}

/// So many lots at this price or more.
#[must_use]
pub fn sell(id: u64, quantity: u64, price: u64) -> PlaceOrder {
    PlaceOrder { side: Side::Sell, ..buy(id, quantity, price) }
}

/// The same in the market of oil.
#[must_use]
pub const fn there(order: PlaceOrder) -> PlaceOrder {
    PlaceOrder { market: MarketId(1), ..order }
}

/// The same with another lifetime.
#[must_use]
pub const fn living(lifetime: Lifetime, order: PlaceOrder) -> PlaceOrder {
    PlaceOrder { lifetime, ..order }
}

/// The same, what isn't taken at once is gone.
#[must_use]
pub const fn at_once(order: PlaceOrder) -> PlaceOrder {
    living(Lifetime::ImmediateOrCancel, order)
}

/// The same, all or nothing.
#[must_use]
pub const fn whole(order: PlaceOrder) -> PlaceOrder {
    living(Lifetime::FillOrKill, order)
}

/// The same, only to wait.
#[must_use]
pub const fn post(order: PlaceOrder) -> PlaceOrder {
    living(Lifetime::PostOnly, order)
}

/// To another price and quantity.
#[must_use]
pub const fn change(id: u64, price: u64, quantity: u64) -> Amend {
    Amend::Change { id, price, quantity }
}

/// Takes one order back.
#[must_use]
pub fn cancel(id: u64) -> Amend {
    Amend::Cancel(vec![id])
}

/// Markets 0 of gold and 1 of oil, both for euros; A to D have 1,000 of each asset, P nothing but its account. I issues gold and oil, J euros, of which
/// there may be 5,000.
#[must_use]
pub fn trading() -> Case {
    trading_with(market(GOLD), market(OIL))
}

/// The same with other terms of these markets.
#[must_use]
pub fn trading_with(gold: OpenMarket, oil: OpenMarket) -> Case {
    let plain = |code| asset(code, AssetPolicy::default(), AssetTerms::default());
    let mut case = Case::new();
    case.ok('I', plain("GOLD"))
        .ok('J', RegisterAsset { maximum_supply: Amount(5_000), ..plain("EUR") })
        .ok('I', plain("OIL"))
        .ok('M', gold)
        .ok('M', oil);
    for letter in ['A', 'B', 'C', 'D'] {
        case.ok('I', pay(letter, 1_000, 0)).ok('J', pay(letter, 1_000, 1)).ok('I', pay(letter, 1_000, 2));
    }
    case.ok('I', pay('P', 1, 2)).ok('P', pay('I', 1, 2)).at(1_500);
    case
}

/// One unit of gold set aside for somebody.
#[must_use]
pub fn hold(id: u64, payee: char) -> Hold {
    let payees = vec![Share { payee: named(payee), parts: 1 }];
    Hold { id, asset: GOLD, amount: Amount(1), payees, ..Hold::default() }
}

/// Releases or cancels a hold of somebody's.
#[must_use]
pub fn settle(owner: char, id: u64) -> Settle {
    Settle { owner: named(owner), id, ..Settle::default() }
}

/// That somebody has so many euros.
#[must_use]
pub fn has(letter: char, amount: u128) -> Predicate {
    Predicate::balance(named(letter), EURO, Comparison::AtLeast, Amount(amount))
}
