//! The messages of a stock exchange, in the shares counted on a day of real order flow: of a thousand 481 are new orders that wait, 5
//! take some of one back, 446 take one back whole, 68 take what waits.
//!
//! A new order stands a number of ticks behind the best of its side that halves its probability with every doubling, or up to three
//! ticks before it where there is room. What takes takes the whole of the first in line, or a part of it, as often as keeps the number
//! that wait where it is.

use super::book::{Book, Waiting};
use super::{Author, Desk, Draft, GOODS, ISSUER, MONEY};
use nostro::{Amend, AssetId, Lifetime, MarketId, OpenMarket, PlaceOrder, Side};

/// Where prices begin.
const MIDDLE: u64 = 1_000_000;
/// An order is for so many lots at most.
const LOTS_MAX: u64 = 100;
/// The farthest that an order stands behind the best, as a power of two.
const FAR: u32 = 10;
/// The farthest before the best.
const NEAR: u64 = 3;
/// Ids of a market begin at so many times its number.
const IDS: u64 = 1 << 40;

/// Their author, who keeps the book of a market.
#[derive(Debug)]
pub(super) struct Exchange {
    market: MarketId,
    openings: u64,
    is_open: bool,
    ids: u64,
    book: Book,
    /// The last best prices: where a side goes on that was empty.
    last: [u64; 2],
}

impl Exchange {
    /// With so many orders waiting when the load begins.
    pub(super) fn new(openings: u64) -> Self {
        Self::of(0, openings)
    }

    /// The market of this number: the first entries of a ledger are its markets.
    fn of(market: u32, openings: u64) -> Self {
        let (book, last) = (Book::default(), [MIDDLE - 1, MIDDLE]);
        Self { market: MarketId(market), openings, is_open: false, ids: u64::from(market) * IDS, book, last }
    }

    fn best(&mut self, side: Side) -> u64 {
        let last = &mut self.last[side as usize];
        *last = self.book.best(side).unwrap_or(*last);
        *last
    }

    /// A price at which an order of this side waits.
    fn price(&mut self, side: Side, desk: &mut Desk) -> u64 {
        let (own, other) = (self.best(side), self.best(side.other()));
        let room = own.abs_diff(other).saturating_sub(1);
        let before = if room > 0 && desk.below(4) == 0 { 1 + desk.below(room.min(NEAR)) } else { 0 };
        // The logarithm of the distance is as likely as a coin shows so many heads.
        let doublings = desk.below(1 << FAR).trailing_zeros().min(FAR);
        let behind = if before > 0 { 0 } else { desk.below(1 << doublings) };
        match side {
            Side::Buy => (own + before).saturating_sub(behind).max(1),
            Side::Sell => own.saturating_sub(before) + behind,
        }
    }

    fn place(&mut self, desk: &mut Desk) -> Draft {
        let owner = desk.someone();
        let side = if desk.below(2) == 0 { Side::Buy } else { Side::Sell };
        let price = self.price(side, desk);
        let (id, quantity) = (self.ids, 1 + desk.below(LOTS_MAX));
        self.ids += 1;
        self.book.add(Waiting { owner, id, side, price, quantity });
        desk.one(owner, PlaceOrder { market: self.market, id, side, price, quantity, ..PlaceOrder::default() })
    }

    /// Takes the first in line: the whole of it, or a part.
    fn execute(&mut self, desk: &mut Desk) -> Option<Draft> {
        let side = if desk.below(2) == 0 { Side::Buy } else { Side::Sell };
        let place = self.book.first(side)?;
        let waiting = self.book.any(place)?;
        // New ones less those taken back, of all executions.
        let is_whole = desk.below(68) < 481 - 446;
        let quantity =
            if is_whole || waiting.quantity < 2 { waiting.quantity } else { 1 + desk.below(waiting.quantity - 1) };
        let taker = desk.someone_but(waiting.owner);
        let id = self.ids;
        self.ids += 1;
        self.book.reduce(place, quantity);
        let lifetime = Lifetime::ImmediateOrCancel;
        let Waiting { price, .. } = waiting;
        let (market, side) = (self.market, side.other());
        Some(desk.one(taker, PlaceOrder { market, id, side, price, quantity, lifetime, ..PlaceOrder::default() }))
    }

    /// Takes some of one back, where there is one of more than a lot.
    fn reduce(&mut self, desk: &mut Desk) -> Option<Draft> {
        const TRIES: u32 = 8;
        let count = self.book.len() as u64;
        let mut places = (0..TRIES).map(|_| usize::try_from(desk.below(count)).unwrap_or(0));
        let (place, order) = places
            .find_map(|place| self.book.any(place).filter(|order| order.quantity > 1).map(|order| (place, order)))?;
        let by = 1 + desk.below(order.quantity - 1);
        self.book.reduce(place, by);
        let Waiting { owner, id, price, quantity, .. } = order;
        Some(desk.one(owner, Amend::Change { id, price, quantity: quantity - by }))
    }

    fn delete(&mut self, desk: &mut Desk) -> Option<Draft> {
        let place = usize::try_from(desk.below(self.book.len() as u64)).ok()?;
        let Waiting { owner, id, quantity, .. } = self.book.any(place)?;
        self.book.reduce(place, quantity);
        Some(desk.one(owner, Amend::Cancel(vec![id])))
    }
}

impl Author for Exchange {
    fn assets(&self) -> u32 {
        2
    }

    fn openings(&self) -> u64 {
        self.openings + u64::from(!self.is_open)
    }

    fn open(&mut self, desk: &mut Desk) -> Draft {
        if !self.is_open {
            self.is_open = true;
            let base = AssetId(GOODS.0 + self.market.0);
            return desk.one(ISSUER, OpenMarket { base, quote: MONEY, lot: 1, tick: 1, ..OpenMarket::default() });
        }
        self.openings = self.openings.saturating_sub(1);
        self.place(desk)
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        let draft = match desk.below(1000) {
            0..481 => None,
            481..486 => self.reduce(desk),
            486..932 => self.delete(desk),
            _ => self.execute(desk),
        };
        // Where nothing waits there is nothing to do but to order.
        draft.unwrap_or_else(|| self.place(desk))
    }
}

/// How many markets [`Markets`] has.
const MARKETS: u32 = 8;

/// The author of the same in several markets, all of which are paid in one currency.
#[derive(Debug)]
pub(super) struct Markets(Vec<Exchange>);

impl Markets {
    /// With so many orders waiting when the load begins.
    pub(super) fn new(openings: u64) -> Self {
        Self((0..MARKETS).map(|market| Exchange::of(market, openings / u64::from(MARKETS))).collect())
    }
}

impl Author for Markets {
    fn assets(&self) -> u32 {
        GOODS.0 + MARKETS
    }

    fn openings(&self) -> u64 {
        self.0.iter().map(Author::openings).sum()
    }

    fn open(&mut self, desk: &mut Desk) -> Draft {
        // All markets before the first order.
        let closed = self.0.iter().position(|exchange| !exchange.is_open);
        let place = closed.or_else(|| self.0.iter().position(|exchange| exchange.openings() > 0));
        self.0[place.unwrap_or(0)].open(desk)
    }

    fn next(&mut self, desk: &mut Desk) -> Draft {
        let place = usize::try_from(desk.below(self.0.len() as u64)).unwrap_or(0);
        self.0[place].next(desk)
    }
}
