//! Orders and holds in their places: they come and go by the million, so each change of one writes what it has to and looks nothing up
//! twice.

use super::market::OrderState;
use super::{Before, Entries, Entry, PlacedHold};
use crate::state::index::Slot;
use crate::types::{Amount, Time};

impl Entries {
    /// What stands in a place, for [`set_back`](Self::set_back).
    pub(in crate::state) fn before(&self, number: u32) -> Before {
        Before(self.places.get(number).cloned().unwrap_or_default())
    }

    /// Enters an order of the account with this slot, as [`open`](Self::open) does; `tag` is that of its name, which is free.
    pub(in crate::state) fn open_order(&mut self, order: OrderState, owner: Slot, tag: u64) -> Option<(u32, bool)> {
        let (number, has_grown) = self.enter(order.into(), owner, tag)?;
        self.books.insert(&order, number, None, &mut self.places);
        Some((number, has_grown))
    }

    /// The same for a hold.
    pub(in crate::state) fn open_hold(&mut self, hold: PlacedHold, owner: Slot, tag: u64) -> Option<(u32, bool)> {
        self.enter(hold.into(), owner, tag)
    }

    /// Takes an order out of its book and frees its place; gives what it was.
    pub(in crate::state) fn close_order(&mut self, number: u32) -> Option<OrderState> {
        let order = *self.order(number)?;
        self.leave(number, order.expiry);
        self.books.remove(&order, number, &mut self.places);
        Some(order)
    }

    /// Frees the place of a hold.
    pub(in crate::state) fn close_hold(&mut self, number: u32) {
        if let Some(Entry::Hold(hold)) = self.get(number) {
            self.leave(number, hold.expiry);
        }
    }

    #[inline]
    fn enter(&mut self, entry: Entry, owner: Slot, tag: u64) -> Option<(u32, bool)> {
        let (number, has_grown) = self.take_place()?;
        self.ends.extend(entry.expiry().map(|time| (time, number)));
        self.asking = self.asking.saturating_add(u32::from(entry.asks_for_balances()));
        if let Some(place) = self.places.get_mut(number) {
            (place.owner, place.tag, place.entry) = (owner.0, tag, Some(entry));
        }
        self.names.insert(tag, number);
        self.free.remove(number);
        self.prefetch_free();
        Some((number, has_grown))
    }

    #[inline]
    fn leave(&mut self, number: u32, expiry: Option<Time>) {
        let Some(place) = self.places.get_mut(number) else { return };
        let asks = place.entry.as_ref().is_some_and(Entry::asks_for_balances);
        place.entry = None;
        self.asking = self.asking.saturating_sub(u32::from(asks));
        self.names.remove(place.tag, number);
        if let Some(time) = expiry {
            self.ends.remove(&(time, number));
        }
        self.free.insert(number);
    }

    /// Leaves an order so many lots; nothing else that is known of it changes.
    pub(in crate::state) fn reduce_order(&mut self, number: u32, left: u64) {
        if let Some(place) = self.places.get_mut(number)
            && let Some(Entry::Order(order)) = &mut place.entry
        {
            order.quantity = left;
        }
    }

    /// Brings closer what changes beside an order when it goes, when it is at hand.
    #[inline]
    pub(in crate::state) fn prefetch_neighbours(&self, number: u32) {
        let Some(place) = self.places.get(number) else { return };
        if let Some(order) = place.order() {
            place.links.neighbours().into_iter().for_each(|number| self.prefetch_links(number));
            self.books.prefetch_owner(order.market, Slot(place.owner));
        }
    }

    /// Brings closer what is needed when those behind an order in its line are taken: of the next one its name, of the one after that its place. Gives
    /// the slot of the next one's owner.
    #[inline]
    pub(in crate::state) fn prefetch_line(&self, number: u32) -> Option<Slot> {
        let next = self.places.get(self.places.get(number)?.links.line.newer)?;
        self.names.prefetch(next.tag);
        self.prefetch_place(next.links.line.newer);
        Some(Slot(next.owner))
    }

    /// Leaves a hold so much, of which vouchers have drawn so much, if one did; nothing else that is known of it changes.
    pub(in crate::state) fn reduce_hold(&mut self, number: u32, left: Amount, drawn: Option<Amount>) {
        if let Some(place) = self.places.get_mut(number)
            && let Some(Entry::Hold(hold)) = &mut place.entry
        {
            hold.reduce(left, drawn);
        }
    }
}
