//! The books of all markets: which order comes first, and which orders an account has. They follow from the entries.
//!
//! ```text
//! market and side ──► price ──► the first and the last in a row of orders, by priority
//! market and owner ──► the newest in a row of orders, by priority
//! ```
//!
//! Rows are linked from place to place of the table, so that an order joins and leaves its two rows in no more than it takes to find the price.
//!
//! # Cost
//!
//! Finding a price is logarithmic in the number of prices on its side; all else is constant. What is set back where it stood is linked
//! between those it stood between, as changes are undone in reverse.

use super::market::OrderState;
use super::names::{NOBODY, Names, orders_tag};
use super::{Place, Places};
use crate::arena::Arena;
use crate::state::index::Slot;
use crate::state::siphash::Key;
use crate::types::{MarketId, Side};
use std::collections::BTreeMap;

/// The neighbours of an order in a row: who has waited longer, and who hasn't so long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    pub(super) older: u32,
    pub(super) newer: u32,
}

/// An order's place in its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) line: Between,
    own: Between,
}

impl Default for Links {
    fn default() -> Self {
        let nobody = Between { older: NOBODY, newer: NOBODY };
        Self { line: nobody, own: nobody }
    }
}

/// Which of an order's two rows.
#[derive(Clone, Copy, Debug)]
enum Row {
    Line,
    Own,
}

impl Links {
    #[inline]
    const fn row(&mut self, row: Row) -> &mut Between {
        match row {
            Row::Line => &mut self.line,
            Row::Own => &mut self.own,
        }
    }
}

/// The orders of one price: who comes first, and who last.
#[derive(Clone, Copy, Debug)]
struct Line {
    first: u32,
    last: u32,
}

/// A side by price, the better one first.
type Lines = BTreeMap<u64, Line>;

#[derive(Debug)]
pub(super) struct Books {
    sides: BTreeMap<(MarketId, Side), Lines>,
    /// The newest order by market and owner.
    owners: Names,
    key: Key,
}

impl Books {
    pub(super) fn new(key: Key, arena: Arena) -> Self {
        Self { sides: BTreeMap::new(), owners: Names::new(arena), key }
    }

    /// Enters an order: where it stood, if it was there before and all that came since is undone, otherwise as the newest.
    pub(super) fn insert(&mut self, order: &OrderState, number: u32, stood: Option<Links>, places: &mut Places) {
        let owner = places.get(number).map_or(Slot(NOBODY), |place| Slot(place.owner));
        let tag = orders_tag(self.key, order.market, owner);
        let links = stood.unwrap_or_else(|| Links {
            line: Between { older: self.line(order).map_or(NOBODY, |line| line.last), newer: NOBODY },
            own: Between { older: self.newest(order.market, owner, places).unwrap_or(NOBODY), newer: NOBODY },
        });
        if let Some(place) = places.get_mut(number) {
            place.links = links;
        }
        join(number, links.line, Row::Line, places);
        join(number, links.own, Row::Own, places);
        if links.line.older == NOBODY || links.line.newer == NOBODY {
            let lines = self.sides.entry((order.market, order.side)).or_default();
            let line = lines.entry(order.rank()).or_insert(Line { first: number, last: number });
            if links.line.older == NOBODY {
                line.first = number;
            }
            if links.line.newer == NOBODY {
                line.last = number;
            }
        }
        match links.own {
            Between { older: NOBODY, newer: NOBODY } => self.owners.insert(tag, number),
            Between { older, newer: NOBODY } => self.owners.replace(tag, older, number),
            _ => {}
        }
    }

    fn line(&self, order: &OrderState) -> Option<&Line> {
        self.sides.get(&(order.market, order.side))?.get(&order.rank())
    }

    /// Takes an order out. Its place still says where it stood.
    pub(super) fn remove(&mut self, order: &OrderState, number: u32, places: &mut Places) {
        let (links, owner) = places.get(number).map_or((Links::default(), NOBODY), |place| (place.links, place.owner));
        leave(links.line, Row::Line, places);
        leave(links.own, Row::Own, places);
        let Between { older, newer } = links.line;
        if (older == NOBODY || newer == NOBODY)
            && let Some(lines) = self.sides.get_mut(&(order.market, order.side))
        {
            if older == newer {
                lines.remove(&order.rank());
            } else if let Some(line) = lines.get_mut(&order.rank()) {
                *if older == NOBODY { &mut line.first } else { &mut line.last } =
                    if older == NOBODY { newer } else { older };
            }
        }
        if links.own.newer == NOBODY {
            let tag = orders_tag(self.key, order.market, Slot(owner));
            match links.own.older {
                NOBODY => self.owners.remove(tag, number),
                older => self.owners.replace(tag, number, older),
            }
        }
    }

    /// The best order of a side.
    #[inline]
    pub(super) fn first(&self, market: MarketId, side: Side) -> Option<u32> {
        Some(self.sides.get(&(market, side))?.first_key_value()?.1.first)
    }

    /// The orders of a side, the best first.
    pub(super) fn side(&self, market: MarketId, side: Side, places: &Places) -> impl Iterator<Item = u32> {
        let lines = self.sides.get(&(market, side)).into_iter().flat_map(BTreeMap::values);
        lines.flat_map(|line| row(Some(line.first), places, |links| links.line.newer))
    }

    /// The newest order of an account in a market.
    fn newest(&self, market: MarketId, owner: Slot, places: &Places) -> Option<u32> {
        let is_own = |number| {
            let is_in = |place: &Place| place.order().is_some_and(|order| order.market == market);
            places.get(number).is_some_and(|place| place.owner == owner.0 && is_in(place))
        };
        self.owners.get(orders_tag(self.key, market, owner), is_own)
    }

    /// The orders of an account in a market, the newest first.
    pub(super) fn owned(&self, market: MarketId, owner: Slot, places: &Places) -> impl Iterator<Item = u32> {
        row(self.newest(market, owner, places), places, |links| links.own.older)
    }

    /// Brings closer where the orders of an account in a market are found.
    #[inline]
    pub(super) fn prefetch_owner(&self, market: MarketId, owner: Slot) {
        self.owners.prefetch(orders_tag(self.key, market, owner));
    }
}

fn row(first: Option<u32>, places: &Places, next: impl Fn(&Links) -> u32) -> impl Iterator<Item = u32> {
    let next = move |&number: &u32| places.get(number).map(|place| next(&place.links)).filter(|&next| next != NOBODY);
    std::iter::successors(first, next)
}

/// Makes an order the neighbour of those it stands between.
fn join(number: u32, between: Between, row: Row, places: &mut Places) {
    if let Some(older) = places.get_mut(between.older) {
        older.links.row(row).newer = number;
    }
    if let Some(newer) = places.get_mut(between.newer) {
        newer.links.row(row).older = number;
    }
}

/// Makes those it stood between neighbours of each other.
fn leave(between: Between, row: Row, places: &mut Places) {
    if let Some(older) = places.get_mut(between.older) {
        older.links.row(row).newer = between.newer;
    }
    if let Some(newer) = places.get_mut(between.newer) {
        newer.links.row(row).older = between.older;
    }
}
