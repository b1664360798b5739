//! The books of all markets: which order comes first, and which orders an account has. They follow from the entries.
//!
//! ```text
//! market and side ──► price ──► the first and the last in a row of orders, by priority
//! market and owner ──► the newest in a row of orders, by priority
//! ```
//!
//! Rows are linked through a place for each number, so that an order joins and leaves its two rows in no more than it takes to find the price.
//!
//! # Cost
//!
//! Finding a price is logarithmic in the number of prices on its side; all else is constant. What is set back where it stood is linked
//! between those it stood between, as changes are undone in reverse.

use super::market::OrderState;
use super::names::{NOBODY, Names, orders_tag};
use crate::state::pages::Pages;
use crate::state::prefetch::prefetch;
use crate::state::siphash::Key;
use crate::types::{Address, MarketId, Side};
use std::collections::BTreeMap;

const PAGE_BITS: u32 = 8;

/// The neighbours of an order in a row: who has waited longer, and who hasn't so long.
#[derive(Clone, Copy, Debug)]
struct Between {
    older: u32,
    newer: u32,
}

/// An order's place in its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    line: Between,
    own: Between,
    priority: u64,
    /// The slot of its owner, if it is known.
    owner: u32,
}

const _: () = assert!(size_of::<Links>() == 32);

impl Default for Links {
    fn default() -> Self {
        let nobody = Between { older: NOBODY, newer: NOBODY };
        Self { line: nobody, own: nobody, priority: u64::MAX, owner: NOBODY }
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
    links: Pages<Links, PAGE_BITS>,
    sides: BTreeMap<(MarketId, Side), Lines>,
    /// The newest order by market and owner.
    owners: Names,
    key: Key,
}

impl Books {
    pub(super) fn new(key: Key) -> Self {
        Self { links: Pages::new(), sides: BTreeMap::new(), owners: Names::new(), key }
    }

    #[inline]
    fn links(&self, number: u32) -> Links {
        self.links.get(number).copied().unwrap_or_default()
    }

    /// Where an order of this priority belongs in a row, given the newest in it: behind all others, unless somebody enters orders in another
    /// order than they came.
    fn place_of(&self, priority: u64, newest: u32, row: Row) -> Between {
        let mut between = Between { older: newest, newer: NOBODY };
        while between.older != NOBODY && self.links(between.older).priority > priority {
            between = Between { older: self.links(between.older).row(row).older, newer: between.older };
        }
        between
    }

    /// Makes an order the neighbour of those it stands between.
    fn join(&mut self, number: u32, between: Between, row: Row) {
        if let Some(older) = self.links.get_mut(between.older) {
            older.row(row).newer = number;
        }
        if let Some(newer) = self.links.get_mut(between.newer) {
            newer.row(row).older = number;
        }
    }

    /// Makes those it stood between neighbours of each other.
    fn leave(&mut self, between: Between, row: Row) {
        if let Some(older) = self.links.get_mut(between.older) {
            older.row(row).newer = between.newer;
        }
        if let Some(newer) = self.links.get_mut(between.newer) {
            newer.row(row).older = between.older;
        }
    }

    /// Enters an order: where it stood, if it was there before and all that came since is undone. `is_own` tells orders of the same owner and
    /// market.
    pub(super) fn insert(
        &mut self,
        order: &OrderState,
        number: u32,
        stood: Option<Links>,
        is_own: impl Fn(u32) -> bool,
    ) {
        while self.links.len() <= number {
            if self.links.push(Links::default()).is_none() {
                return;
            }
        }
        let priority = order.priority;
        let tag = orders_tag(self.key, order.market, &order.owner);
        let links = stood.unwrap_or_else(|| {
            let last = self.line(order).map_or(NOBODY, |line| line.last);
            let newest = self.owners.get(tag, is_own).unwrap_or(NOBODY);
            let (line, own) = (self.place_of(priority, last, Row::Line), self.place_of(priority, newest, Row::Own));
            Links { line, own, priority, owner: NOBODY }
        });
        if let Some(place) = self.links.get_mut(number) {
            *place = links;
        }
        self.join(number, links.line, Row::Line);
        self.join(number, links.own, Row::Own);
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

    /// Takes an order out; gives where it stood.
    pub(super) fn remove(&mut self, order: &OrderState, number: u32) -> Links {
        let links = self.links(number);
        self.leave(links.line, Row::Line);
        self.leave(links.own, Row::Own);
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
            let tag = orders_tag(self.key, order.market, &order.owner);
            match links.own.older {
                NOBODY => self.owners.remove(tag, number),
                older => self.owners.replace(tag, number, older),
            }
        }
        links
    }

    /// The best order of a side.
    #[inline]
    pub(super) fn first(&self, market: MarketId, side: Side) -> Option<u32> {
        Some(self.sides.get(&(market, side))?.first_key_value()?.1.first)
    }

    /// The orders of a side, the best first.
    pub(super) fn side(&self, market: MarketId, side: Side) -> impl Iterator<Item = u32> {
        let lines = self.sides.get(&(market, side)).into_iter().flat_map(BTreeMap::values);
        lines.flat_map(|line| self.row(Some(line.first), |links| links.line.newer))
    }

    /// The newest order of an account in a market. `is_own` tells its orders from all others.
    pub(super) fn newest(&self, market: MarketId, owner: &Address, is_own: impl Fn(u32) -> bool) -> Option<u32> {
        self.owners.get(orders_tag(self.key, market, owner), is_own)
    }

    /// From there on all of them, the newest first.
    pub(super) fn owned(&self, newest: Option<u32>) -> impl Iterator<Item = u32> {
        self.row(newest, |links| links.own.older)
    }

    fn row(&self, first: Option<u32>, next: impl Fn(&Links) -> u32) -> impl Iterator<Item = u32> {
        let next = move |&number: &u32| self.links.get(number).map(&next).filter(|&next| next != NOBODY);
        std::iter::successors(first, next)
    }

    /// The slot of an order's owner, if somebody has said it.
    #[inline]
    pub(super) fn owner(&self, number: u32) -> Option<u32> {
        self.links.get(number).map(|links| links.owner).filter(|&owner| owner != NOBODY)
    }

    /// Says it.
    pub(super) fn set_owner(&mut self, number: u32, owner: u32) {
        if let Some(links) = self.links.get_mut(number) {
            links.owner = owner;
        }
    }

    /// Brings the place of an order closer.
    #[inline]
    pub(super) fn prefetch(&self, number: u32) {
        if let Some(links) = self.links.get(number) {
            prefetch(links);
        }
    }

    /// The same for those beside it, when its own place is at hand.
    #[inline]
    pub(super) fn prefetch_neighbours(&self, number: u32) {
        if let Some(links) = self.links.get(number) {
            self.prefetch(links.line.older);
            self.prefetch(links.line.newer);
        }
    }
}
