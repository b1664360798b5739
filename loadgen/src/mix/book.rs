//! An order book as the author of a load keeps it: who waits at which price, in order.

use nostro::Side;
use std::collections::{BTreeMap, VecDeque};

/// An order that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) owner: u32,
    pub(super) id: u64,
    pub(super) side: Side,
    pub(super) price: u64,
    pub(super) quantity: u64,
}

/// Orders that wait, by side and price, first come first; any of them can be picked.
///
/// A level's queue may name orders that have gone; they are skipped when their turn comes, and swept out once they are the most of it.
#[derive(Debug, Default)]
pub(super) struct Book {
    buys: BTreeMap<u64, Level>,
    sells: BTreeMap<u64, Level>,
    /// All that wait, in no order; with the number each has in its queue.
    all: Vec<(u64, Waiting)>,
    /// By number: its place in `all`.
    places: BTreeMap<u64, usize>,
    numbers: u64,
}

#[derive(Debug, Default)]
struct Level {
    queue: VecDeque<u64>,
    waiting: usize,
}

impl Book {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<u64, Level> {
        if side == Side::Buy { &mut self.buys } else { &mut self.sells }
    }

    /// The best price of a side.
    pub(super) fn best(&self, side: Side) -> Option<u64> {
        match side {
            Side::Buy => self.buys.last_key_value(),
            Side::Sell => self.sells.first_key_value(),
        }
        .map(|(&price, _)| price)
    }

    /// Any that waits, by its place below [`len`](Self::len).
    pub(super) fn any(&self, place: usize) -> Option<Waiting> {
        self.all.get(place).map(|&(_, order)| order)
    }

    /// The place of the one whose turn is next on a side.
    pub(super) fn first(&mut self, side: Side) -> Option<usize> {
        let price = self.best(side)?;
        let number = loop {
            let number = *self.side(side).get(&price)?.queue.front()?;
            if self.places.contains_key(&number) {
                break number;
            }
            self.side(side).get_mut(&price)?.queue.pop_front();
        };
        self.places.get(&number).copied()
    }

    /// Takes one in, behind the others at its price.
    pub(super) fn add(&mut self, order: Waiting) {
        let number = self.numbers;
        self.numbers += 1;
        self.places.insert(number, self.all.len());
        self.all.push((number, order));
        let level = self.side(order.side).entry(order.price).or_default();
        level.queue.push_back(number);
        level.waiting += 1;
    }

    /// Takes some of one away; all that is left, and it is gone.
    pub(super) fn reduce(&mut self, place: usize, by: u64) {
        let Some((number, order)) = self.all.get_mut(place) else { return };
        order.quantity = order.quantity.saturating_sub(by);
        if order.quantity > 0 {
            return;
        }
        let (number, order) = (*number, *order);
        self.all.swap_remove(place);
        self.places.remove(&number);
        if let Some((moved, _)) = self.all.get(place) {
            self.places.insert(*moved, place);
        }
        let Self { buys, sells, places, .. } = self;
        let levels = if order.side == Side::Buy { buys } else { sells };
        let Some(level) = levels.get_mut(&order.price) else { return };
        level.waiting -= 1;
        if level.waiting == 0 {
            levels.remove(&order.price);
        } else if level.queue.len() > 2 * level.waiting + 16 {
            level.queue.retain(|number| places.contains_key(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: u64, side: Side, price: u64, quantity: u64) -> Waiting {
        Waiting { owner: 0, id, side, price, quantity }
    }

    #[test]
    fn the_best_price_and_then_the_first_come_is_next() {
        let mut book = Book::default();
        for (id, price) in [(1, 10), (2, 12), (3, 12), (4, 9)] {
            book.add(order(id, Side::Buy, price, 5));
            book.add(order(10 + id, Side::Sell, 20 + price, 5));
        }
        let next = |book: &mut Book, side| {
            let place = book.first(side)?;
            Some((place, book.any(place)?.id))
        };
        let mut taken = Vec::new();
        while let Some((place, id)) = next(&mut book, Side::Buy) {
            taken.push(id);
            book.reduce(place, 5);
        }
        assert_eq!(taken, [2, 3, 1, 4]);
        let (place, id) = next(&mut book, Side::Sell).unwrap();
        assert_eq!((id, book.best(Side::Sell)), (14, Some(29)));
        // A part of it leaves it where it is.
        book.reduce(place, 4);
        assert_eq!(next(&mut book, Side::Sell).unwrap().1, 14);
        assert_eq!(book.len(), 4);
    }

    #[test]
    fn those_who_have_gone_are_swept_out() {
        let mut book = Book::default();
        for id in 0..1000 {
            book.add(order(id, Side::Sell, 7, 1));
        }
        for _ in 0..990 {
            // The second in line, so that the first stays.
            let place = book.all.iter().position(|(number, _)| *number > 0).unwrap();
            book.reduce(place, 1);
        }
        assert!(book.sells[&7].queue.len() <= 2 * 10 + 17, "{}", book.sells[&7].queue.len());
        let first = book.first(Side::Sell).unwrap();
        assert_eq!(book.any(first).unwrap().id, 0);
    }
}
