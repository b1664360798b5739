//! The books of all markets: which order comes first, and which orders an account has. They follow from the entries.
//!
//! ```text
//! market and side ──► price ──► the first and the last in a row of orders, by priority
//! market and owner ──► the newest in a row of orders, by priority
//! ```
//!
//! Rows are linked from place to place of the table, so that an order joins and leaves its two rows in no more than it takes to find the price.
//!
//! A reader keeps the first order of each price as they were, and finds the others by the links in the places that it keeps too.
//!
//! # Cost
//!
//! Finding a price is logarithmic in the number of prices on its side; all else is constant. What is set back where it stood is linked
//! between those it stood between, as changes are undone in reverse. Where a price has got another first order since a reader asked, the next one to ask pays
//! for a copy of that side's prices.

use super::Places;
use super::market::OrderState;
use super::names::{NOBODY, Names, orders_tag};
use crate::arena::Arena;
use crate::state::index::Slot;
use crate::state::siphash::Key;
use crate::types::{MarketId, Side};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

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
    /// All who stand next to it.
    #[inline]
    pub(super) const fn neighbours(self) -> [u32; 4] {
        [self.line.older, self.line.newer, self.own.older, self.own.newer]
    }

    /// The one before it in its owner's row.
    pub(super) fn older_own(&self) -> Option<u32> {
        Some(self.own.older).filter(|&older| older != NOBODY)
    }

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
#[derive(Debug, Default)]
struct Lines {
    by_rank: BTreeMap<u64, Line>,
    /// The rank of the best price, and who comes first there.
    best: Option<(u64, u32)>,
    /// The first orders for readers, unless one has changed since.
    shown: Option<Arc<[u32]>>,
}

impl Lines {
    /// Enters an order between those it stood between, or as the newest of its price; gives its neighbours.
    fn enter(&mut self, rank: u64, number: u32, stood: Option<Between>) -> Between {
        if let Some(between @ Between { older, newer }) = stood
            && older != NOBODY
            && newer != NOBODY
        {
            return between;
        }
        let line = self.by_rank.entry(rank).or_insert(Line { first: NOBODY, last: NOBODY });
        let between = stood.unwrap_or(Between { older: line.last, newer: NOBODY });
        if between.newer == NOBODY {
            line.last = number;
        }
        if between.older == NOBODY {
            line.first = number;
            self.shown = None;
            if self.best.is_none_or(|(best, _)| rank <= best) {
                self.best = Some((rank, number));
            }
        }
        between
    }

    /// Takes an order out that stood between these.
    fn leave(&mut self, rank: u64, Between { older, newer }: Between) {
        if older != NOBODY && newer != NOBODY {
            return;
        }
        if older == newer {
            self.by_rank.remove(&rank);
        } else if let Some(line) = self.by_rank.get_mut(&rank) {
            if older == NOBODY {
                line.first = newer;
            } else {
                line.last = older;
            }
        }
        if older == NOBODY {
            self.shown = None;
            if self.best.is_some_and(|(best, _)| best == rank) {
                self.best = self.by_rank.first_key_value().map(|(&rank, line)| (rank, line.first));
            }
        }
    }
}

/// What a reader keeps of the books: the first order of each price, the better one first.
#[derive(Clone, Debug, Default)]
pub(in crate::state) struct SharedBooks(BTreeMap<(MarketId, Side), Arc<[u32]>>);

impl SharedBooks {
    /// The first order of each price of a side, the better one first.
    pub(super) fn firsts(&self, market: MarketId, side: Side) -> &[u32] {
        self.0.get(&(market, side)).map(|firsts| &**firsts).unwrap_or_default()
    }
}

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
        let Some(owner) = places.get(number).map(|place| Slot(place.owner)) else { return };
        let lines = self.sides.entry((order.market, order.side)).or_default();
        let line = lines.enter(order.rank(), number, stood.map(|links| links.line));
        let own = match stood {
            Some(links) => links.own,
            None => Between { older: self.newest(order.market, owner).unwrap_or(NOBODY), newer: NOBODY },
        };
        let tag = orders_tag(self.key, order.market, owner);
        match own {
            Between { older: NOBODY, newer: NOBODY } => self.owners.insert(tag, number),
            Between { older, newer: NOBODY } => self.owners.replace(tag, older, number),
            _ => {}
        }
        if let Some(place) = places.get_mut(number) {
            place.links = Links { line, own };
        }
        join(number, line, Row::Line, places);
        join(number, own, Row::Own, places);
    }

    /// Takes an order out. Its place still says where it stood.
    pub(super) fn remove(&mut self, order: &OrderState, number: u32, places: &mut Places) {
        let Some((Links { line, own }, owner)) = places.get(number).map(|place| (place.links, place.owner)) else {
            return;
        };
        leave(line, Row::Line, places);
        leave(own, Row::Own, places);
        if (line.older == NOBODY || line.newer == NOBODY)
            && let Some(lines) = self.sides.get_mut(&(order.market, order.side))
        {
            lines.leave(order.rank(), line);
        }
        if own.newer == NOBODY {
            let tag = orders_tag(self.key, order.market, Slot(owner));
            match own.older {
                NOBODY => self.owners.remove(tag, number),
                older => self.owners.replace(tag, number, older),
            }
        }
    }

    /// The best order of a side.
    #[inline]
    pub(super) fn first(&self, market: MarketId, side: Side) -> Option<u32> {
        self.sides.get(&(market, side))?.best.map(|(_, number)| number)
    }

    /// The orders of a side, the best first.
    pub(super) fn side(&self, market: MarketId, side: Side, places: &Places) -> impl Iterator<Item = u32> {
        let lines = self.sides.get(&(market, side)).into_iter().flat_map(|lines| lines.by_rank.values());
        lines.flat_map(|line| row(Some(line.first), places, |links| links.line.newer))
    }

    /// The order that comes behind another on its side.
    pub(super) fn next(&self, order: &OrderState, line: Between) -> Option<u32> {
        if line.newer != NOBODY {
            return Some(line.newer);
        }
        let lines = self.sides.get(&(order.market, order.side))?;
        let behind = (Bound::Excluded(order.rank()), Bound::Unbounded);
        lines.by_rank.range(behind).next().map(|(_, line)| line.first)
    }

    /// What a reader keeps.
    pub(super) fn share(&mut self) -> SharedBooks {
        let sides = self.sides.iter_mut().filter(|(_, lines)| !lines.by_rank.is_empty());
        let shown = |(&side, lines): (&(MarketId, Side), &mut Lines)| {
            let Lines { by_rank, shown, .. } = lines;
            (side, shown.get_or_insert_with(|| by_rank.values().map(|line| line.first).collect()).clone())
        };
        SharedBooks(sides.map(shown).collect())
    }

    /// The newest order of an account in a market. No two of those have the same tag, so it is the one.
    #[inline]
    pub(super) fn newest(&self, market: MarketId, owner: Slot) -> Option<u32> {
        self.owners.get(orders_tag(self.key, market, owner), |_| true)
    }

    /// The orders of an account in a market, the newest first.
    pub(super) fn owned(&self, market: MarketId, owner: Slot, places: &Places) -> impl Iterator<Item = u32> {
        row(self.newest(market, owner), places, |links| links.own.older)
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
