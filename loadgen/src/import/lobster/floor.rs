//! The floor of the exchange: plays the day through as the messages tell it, and says what each of them is in a load.

use super::super::tally::BadRow;
use super::messages::{Event, Message};
use super::opening::Opening;
use nostro::Side;
use std::collections::{BTreeMap, VecDeque};

/// What a message becomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    pub(super) message: Message,
    /// What is left of the order.
    pub(super) left: u64,
    /// It was executed before those in front of it. That can't be ordered, so it is taken back instead.
    pub(super) is_out_of_turn: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    side: Side,
    price: u64,
    left: u64,
}

/// What waits, as far as it is told.
#[derive(Debug, Default)]
pub(super) struct Floor {
    waiting: BTreeMap<u64, Waiting>,
    /// Of buyers and of sellers: who waits at a price, in order; `None` for what no message names.
    queues: [BTreeMap<u64, VecDeque<Option<u64>>>; 2],
}

impl Floor {
    pub(super) fn new(opening: &Opening) -> Self {
        let mut floor = Self::default();
        for early in &opening.0 {
            if let Some(id) = early.id {
                floor.waiting.insert(id, Waiting { side: early.side, price: early.price, left: early.size });
            }
            floor.queue(early.side, early.price).push_back(early.id);
        }
        floor
    }

    fn queue(&mut self, side: Side, price: u64) -> &mut VecDeque<Option<u64>> {
        self.queues[side as usize].entry(price).or_default()
    }

    /// The best price of a side.
    fn best(&self, side: Side) -> Option<u64> {
        let queues = &self.queues[side as usize];
        let best = if side == Side::Buy { queues.last_key_value() } else { queues.first_key_value() };
        best.map(|(&price, _)| price)
    }

    /// Takes a message; what can't have happened is a bad row.
    pub(super) fn act(&mut self, message: &Message) -> Result<Act, BadRow> {
        let Message { line, event, id, size, price, side, .. } = *message;
        let bad =
            |column: &str, expected: &str, found: u64| Err(BadRow::new(line, column, expected, &found.to_string()));
        let Some(waiting) = self.waiting.get(&id).copied() else {
            if event != Event::New {
                return bad("3", "the number of an order that waits", id);
            }
            if let Some(best) = self.best(side.other())
                && if side == Side::Buy { best <= price } else { best >= price }
            {
                return bad("5", &format!("a price that takes nothing: the other side has {best}"), price);
            }
            self.waiting.insert(id, Waiting { side, price, left: size });
            self.queue(side, price).push_back(Some(id));
            return Ok(Act { message: *message, left: size, is_out_of_turn: false });
        };
        if event == Event::New {
            return bad("3", "the number of an order that doesn't wait yet", id);
        }
        if waiting.side != side {
            let found = if side == Side::Buy { "1" } else { "-1" };
            return Err(BadRow::new(line, "6", "the direction of the order", found));
        }
        if waiting.price != price {
            return bad("5", &format!("the price of the order, {}", waiting.price), price);
        }
        let fits = match event {
            Event::Deleted => size == waiting.left,
            Event::Reduced => size < waiting.left,
            _ => size <= waiting.left,
        };
        if !fits {
            return bad("4", &format!("a size that {} shares allow", waiting.left), size);
        }
        let is_first = self.best(side) == Some(price) && self.queue(side, price).front() == Some(&Some(id));
        let left = waiting.left.saturating_sub(size);
        if left > 0 {
            self.waiting.insert(id, Waiting { left, ..waiting });
        } else {
            self.waiting.remove(&id);
            let queue = self.queue(side, price);
            queue.retain(|&other| other != Some(id));
            if queue.is_empty() {
                self.queues[side as usize].remove(&price);
            }
        }
        Ok(Act { message: *message, left, is_out_of_turn: event == Event::Executed && !is_first })
    }
}
