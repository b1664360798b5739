//! What waited before the first message.

use super::messages::{BookRows, Event, Message};
use nostro::Side;
use std::collections::{BTreeMap, BTreeSet};

/// An order of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Early {
    /// `None` for what is left at a price that no message names.
    pub(super) id: Option<u64>,
    pub(super) side: Side,
    pub(super) price: u64,
    pub(super) size: u64,
}

/// All of them, in the order in which their turns come at a price.
#[derive(Debug, Default)]
pub(super) struct Opening(pub(super) Vec<Early>);

impl Opening {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of them messages name.
    pub(super) fn known(&self) -> usize {
        self.0.iter().filter(|early| early.id.is_some()).count()
    }
}

/// Finds them: those that are named, by their numbers, then what the book file shows beside them.
pub(super) fn opening(messages: &[Message], book: Option<&BookRows>) -> Opening {
    let (mut placed, mut reduced) = (BTreeSet::new(), BTreeSet::new());
    let mut named: BTreeMap<u64, Early> = BTreeMap::new();
    for message in messages {
        let Message { event, id, size, price, side, .. } = *message;
        if event == Event::New {
            placed.insert(id);
        } else if !placed.contains(&id) {
            let early = named.entry(id).or_insert(Early { id: Some(id), side, price, size: 0 });
            // All that is ever taken of it was there.
            early.size = early.size.saturating_add(size);
            if event == Event::Deleted {
                placed.insert(id);
            }
            // What only some is taken back of is still there.
            if event == Event::Reduced {
                reduced.insert(id);
            } else {
                reduced.remove(&id);
            }
        }
    }
    for id in reduced {
        named.entry(id).and_modify(|early| early.size = early.size.saturating_add(1));
    }
    let mut all: Vec<Early> = named.into_values().collect();
    if let Some(book) = book {
        all.extend(beside(&all, messages, book));
    }
    Opening(all)
}

/// What is at a price when the book file first shows it, less what is known to be there.
fn beside(named: &[Early], messages: &[Message], book: &BookRows) -> Vec<Early> {
    // By side and price; the side as a number, to have an order.
    let mut known: BTreeMap<(u8, u64), i128> = BTreeMap::new();
    let add = |known: &mut BTreeMap<(u8, u64), i128>, side: Side, price: u64, size: i128| {
        *known.entry((side as u8, price)).or_insert(0) += size;
    };
    for early in named {
        add(&mut known, early.side, early.price, i128::from(early.size));
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut messages = messages.iter().peekable();
    for line in 1..=book.rows.len() as u64 {
        while let Some(message) = messages.next_if(|message| message.line <= line) {
            let size = i128::from(message.size);
            add(&mut known, message.side, message.price, if message.event == Event::New { size } else { -size });
        }
        for side in [Side::Sell, Side::Buy] {
            for &(price, size) in book.after(line, side) {
                if seen.insert((side as u8, price)) {
                    let rest = i128::from(size) - known.get(&(side as u8, price)).copied().unwrap_or(0);
                    // Less than is known to be there shows when the books are compared.
                    if let Some(size) = u64::try_from(rest).ok().filter(|&size| size > 0) {
                        found.push(Early { id: None, side, price, size });
                    }
                }
            }
        }
    }
    found
}
