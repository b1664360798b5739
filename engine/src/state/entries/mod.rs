//! The table of entries: everything the ledger knows that is neither an account nor an asset.
//!
//! ```text
//! number ──► entry          dense places in pages, which a snapshot can keep
//! name   ──► number         a table of hashed names, which a snapshot can keep
//! end    ──► numbers        what is over when, in order of time and number
//! market ──► numbers        the books: orders by side, price and priority
//! ```
//!
//! # Invariants
//!
//! 1. A new entry gets the lowest free number. So the table is as long as it ever was full, and which number an entry gets is a function of
//!    the state alone.
//! 2. The table itself is all there is to keep: names, ends, books and free numbers follow from it, in memory and after loading.
//! 3. Every change goes through [`Entries::set`], which gives back what was there; setting that again undoes it.
//! 4. A place knows its entry's name, so that it is hashed but once.

mod authority;
mod books;
mod entry;
mod market;
mod names;
mod promise;

pub use authority::AuthorityState;
pub(crate) use entry::{Entry, Terms};
pub use entry::{HolderState, Record};
pub use market::{MarketState, OrderState};
pub(super) use names::Name;
pub use promise::{Channel, GrantState, HoldState, Share};

use super::load::Unloadable;
use super::pages::{Pages, SharedPages};
use crate::types::{Address, MarketId, Side, Time};
use crate::wire::Reader;
use books::Books;
use names::{Names, SharedNames};
use std::collections::BTreeSet;
use std::sync::Arc;

const PAGE_BITS: u32 = 6;
/// The largest number is never given, so that a count of places fits 32 bits.
const PLACES_MAX: u32 = u32::MAX - 1;

/// An entry in its place, with its name.
#[derive(Debug)]
pub(super) struct Placed {
    name: Name,
    pub(super) entry: Entry,
}

pub(super) type Place = Option<Arc<Placed>>;

#[derive(Debug)]
pub(super) struct Entries {
    places: Pages<Place, PAGE_BITS>,
    free: BTreeSet<u32>,
    names: Names,
    /// What is over after a time, and its number.
    ends: BTreeSet<(Time, u32)>,
    books: Books,
    /// Slots of accounts that have rules of their own.
    guarded: BTreeSet<u32>,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self {
            places: Pages::new(),
            free: BTreeSet::new(),
            names: Names::new(),
            ends: BTreeSet::new(),
            books: Books::default(),
            guarded: BTreeSet::new(),
        }
    }

    /// How many places there are, free ones included.
    pub(super) const fn len(&self) -> u32 {
        self.places.len()
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.places.get(number)?.as_ref().map(|placed| &placed.entry)
    }

    pub(super) fn find(&self, name: &Name) -> Option<u32> {
        let has_it =
            |number| self.places.get(number).and_then(Option::as_ref).is_some_and(|placed| placed.name == *name);
        self.names.get(name, has_it)
    }

    /// Enters something under the lowest free number; says too whether the table has grown. `None` when it is full.
    pub(super) fn open(&mut self, entry: Entry) -> Option<(u32, bool)> {
        let (number, has_grown) = match self.free.first() {
            Some(&number) => (number, false),
            None if self.places.len() >= PLACES_MAX => return None,
            None => (self.places.push(None)?, true),
        };
        self.change(number, Some(entry));
        Some((number, has_grown))
    }

    /// Puts something in a place that there is, or frees it; gives what was there.
    pub(super) fn change(&mut self, number: u32, after: Option<Entry>) -> Place {
        let before = self.places.get(number).and_then(Option::as_ref);
        let placed = after.map(|entry| {
            let known = before.filter(|before| before.entry.is_alike(&entry)).map(|before| before.name);
            Arc::new(Placed { name: known.unwrap_or_else(|| entry.name()), entry })
        });
        self.set(number, placed)
    }

    /// The same with what stood somewhere before.
    pub(super) fn set(&mut self, number: u32, after: Place) -> Place {
        let place = self.places.get_mut(number)?;
        let before = std::mem::replace(place, after);
        // Just put there; the page isn't shared any more.
        let after = self.places.get(number).and_then(Option::as_deref);
        follow(&mut self.books, &mut self.guarded, before.as_deref(), after, number);
        let (old, new) = (before.as_ref().map(|placed| placed.name), after.map(|placed| placed.name));
        if old != new {
            old.iter().for_each(|name| self.names.remove(name, number));
            new.iter().for_each(|name| self.names.insert(name, number));
        }
        let end = |placed: Option<&Placed>| placed.and_then(|placed| placed.entry.expiry());
        let (old_end, new_end) = (end(before.as_deref()), end(after));
        if old_end != new_end {
            if let Some(time) = old_end {
                self.ends.remove(&(time, number));
            }
            self.ends.extend(new_end.map(|time| (time, number)));
        }
        if after.is_none() {
            self.free.insert(number);
        } else if before.is_none() {
            self.free.remove(&number);
        }
        before
    }

    /// Takes the last place away, which is free.
    pub(super) fn shrink(&mut self) {
        if let Some(last) = self.places.len().checked_sub(1) {
            self.free.remove(&last);
            self.places.pop();
        }
    }

    /// Whether an account has rules of its own.
    #[inline]
    pub(super) fn is_guarded(&self, slot: u32) -> bool {
        self.has_guarded() && self.guarded.contains(&slot)
    }

    /// Whether any account has.
    #[inline]
    pub(super) fn has_guarded(&self) -> bool {
        !self.guarded.is_empty()
    }

    /// The orders that wait on a side of a market, the best first.
    pub(super) fn waiting(&self, market: MarketId, side: Side) -> impl Iterator<Item = u32> {
        self.books.side(market, side)
    }

    /// The orders of an account in a market, by number.
    pub(super) fn owned(&self, market: MarketId, owner: &Address) -> impl Iterator<Item = u32> {
        self.books.owned(market, owner)
    }

    /// The first entry that is over at a time.
    pub(super) fn first_over(&self, now: Time) -> Option<u32> {
        self.ends.first().filter(|&&(end, _)| end < now).map(|&(_, number)| number)
    }

    pub(super) fn encode(&self, number: u32, out: &mut Vec<u8>) {
        encode(self.places.get(number), out);
    }

    /// Reads an entry back from its canonical bytes, and gives it the next number.
    pub(super) fn push_encoded(&mut self, reader: &mut Reader<'_>) -> Result<(), Unloadable> {
        let entry = Entry::decode(reader)?;
        let number = self.places.push(None).ok_or_else(Unloadable::full)?;
        self.free.insert(number);
        let Some(entry) = entry else { return Ok(()) };
        if let Some(known) = self.find(&entry.name()) {
            return Err(Unloadable::new("an entry", "a name that no other has", format!("that of {known}")));
        }
        self.change(number, Some(entry));
        Ok(())
    }

    pub(super) fn share(&mut self) -> SharedEntries {
        SharedEntries { places: self.places.share(), names: self.names.share() }
    }
}

/// Lets the books and the set of guarded accounts follow what changes in a place.
fn follow(
    books: &mut Books,
    guarded: &mut BTreeSet<u32>,
    before: Option<&Placed>,
    after: Option<&Placed>,
    number: u32,
) {
    let order = |placed: Option<&Placed>| match placed?.entry {
        Entry::Order(order) => Some(order),
        _ => None,
    };
    let (old, new) = (order(before), order(after));
    let stays = old.zip(new).is_some_and(|(old, new)| old.stands_like(&new));
    if !stays {
        old.iter().for_each(|order| books.remove(order, number));
        new.iter().for_each(|order| books.insert(order, number));
    }
    if let Some(Entry::Authority(authority)) = before.map(|placed| &placed.entry) {
        guarded.remove(&authority.slot);
    }
    if let Some(Entry::Authority(authority)) = after.map(|placed| &placed.entry) {
        guarded.insert(authority.slot);
    }
}

/// What a reader keeps of [`Entries`].
#[derive(Clone, Debug)]
pub(super) struct SharedEntries {
    places: SharedPages<Place, PAGE_BITS>,
    names: SharedNames,
}

impl SharedEntries {
    pub(super) const fn len(&self) -> u32 {
        self.places.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        let place = if number < self.places.len() { self.places.get(number)? } else { &None };
        place.as_ref().map(|placed| &placed.entry)
    }

    pub(super) fn find(&self, name: &Name) -> Option<u32> {
        let has_it =
            |number| self.places.get(number).and_then(Option::as_ref).is_some_and(|placed| placed.name == *name);
        self.names.get(name, has_it)
    }

    pub(super) fn encode(&self, number: u32, out: &mut Vec<u8>) {
        encode(self.places.get(number), out);
    }
}

/// A free place is a single zero.
fn encode(place: Option<&Place>, out: &mut Vec<u8>) {
    match place.and_then(Option::as_ref) {
        Some(placed) => placed.entry.encode(out),
        None => out.push(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Address, AssetId};

    fn state(n: u8) -> Entry {
        HolderState { asset: AssetId(1), holder: Address([n; 32]), is_authorized: true, is_frozen: false }.into()
    }

    fn bytes(entries: &Entries) -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..entries.len()).for_each(|number| entries.encode(number, &mut bytes));
        bytes
    }

    #[test]
    fn the_lowest_free_number_is_given_and_setting_back_undoes() {
        let mut entries = Entries::new();
        for n in 0..5 {
            assert_eq!(entries.open(state(n)), Some((u32::from(n), true)));
        }
        let before = bytes(&entries);
        let kept = entries.share();
        let (one, three) = (entries.change(1, None), entries.change(3, None));
        assert_eq!(entries.find(&state(3).name()), None);
        assert_eq!((entries.open(state(9)), entries.open(state(8))), (Some((1, false)), Some((3, false))));
        assert_eq!(entries.open(state(7)), Some((5, true)));
        entries.change(5, None);
        entries.shrink();
        entries.set(3, three);
        entries.set(1, one);
        assert_eq!((bytes(&entries), entries.find(&state(3).name())), (before, Some(3)));
        assert_eq!((entries.free.len(), entries.find(&state(9).name())), (0, None));
        assert_eq!((kept.find(&state(3).name()), kept.len()), (Some(3), 5));
    }

    #[test]
    fn what_was_encoded_comes_back_with_its_free_places() {
        let mut entries = Entries::new();
        (0..200).for_each(|n| assert_eq!(entries.open(state(n)), Some((u32::from(n), true))));
        (0..200).step_by(3).for_each(|number| drop(entries.change(number, None)));
        let encoded = bytes(&entries);
        let (mut loaded, mut reader) = (Entries::new(), Reader::new(&encoded));
        (0..200).for_each(|_| loaded.push_encoded(&mut reader).unwrap());
        assert_eq!((reader.offset(), bytes(&loaded)), (encoded.len(), encoded.clone()));
        assert_eq!((loaded.free.clone(), loaded.open(state(201))), (entries.free, Some((0, false))));
        // The same entry twice is no table.
        let twice = [encoded.clone(), encoded[1..].to_vec()].concat();
        let mut reader = Reader::new(&twice);
        let all: Result<Vec<()>, Unloadable> =
            (0..202).map(|_| Entries::push_encoded(&mut loaded, &mut reader)).collect();
        assert!(all.is_err());
    }
}
