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
//! 3. Every change goes through [`Entries::change`], which gives back what was there, but those of orders, which are many (see `orders.rs`);
//!    [`Entries::set_back`] undoes all of them, in reverse.

mod authority;
mod books;
mod entry;
mod grant;
mod hold;
mod market;
mod names;
mod numbers;
mod orders;

pub use authority::AuthorityState;
pub(crate) use entry::{Entry, Terms};
pub use entry::{HolderState, Record};
pub use grant::GrantState;
pub(crate) use hold::PlacedHold;
pub use hold::{Channel, HoldState, Share};
pub use market::{MarketState, OrderState};
pub(crate) use names::Name;

use super::index::Slot;
use super::load::Unloadable;
use super::pages::{Pages, SharedPages};
use super::prefetch::prefetch;
use super::siphash::Key;
use crate::arena::Arena;
use crate::types::{Address, MarketId, Side, Time};
use crate::wire::Reader;
pub(in crate::state) use books::SharedBooks;
use books::{Books, Links};
use names::Names;
pub(super) use names::SharedNames;
use numbers::NumberSet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A page is as small as one may be that lies in a large page of the system.
const PAGE_BITS: u32 = 7;
/// The largest number is never given, so that a count of places fits 32 bits. Tests can fill fewer.
pub(crate) const PLACES_MAX: u32 = if cfg!(test) { 1 << 16 } else { u32::MAX - 1 };
/// No slot.
const NOWHERE: Slot = Slot(names::NOBODY);

/// An entry, if one is there, and where it stands in a book, if it is an order.
///
/// What books ask for lies in the first two cache lines.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Place {
    /// First, so that what changes when a neighbour comes or goes is in one cache line.
    links: Links,
    /// By which the entry's name is looked for.
    tag: u64,
    /// The slot of the account whose order or hold it is.
    owner: u32,
    entry: Option<Entry>,
}

const _: () = assert!(size_of::<Place>() == 192);

impl Default for Place {
    fn default() -> Self {
        Self { links: Links::default(), tag: 0, owner: names::NOBODY, entry: None }
    }
}

impl Place {
    #[inline]
    const fn order(&self) -> Option<&OrderState> {
        match &self.entry {
            Some(Entry::Order(order)) => Some(order),
            _ => None,
        }
    }
}

type Places = Pages<Place, PAGE_BITS>;

/// What stood in a place before it was changed.
#[derive(Debug)]
pub(super) struct Before(Place);

#[derive(Debug)]
pub(super) struct Entries {
    places: Places,
    free: NumberSet,
    names: Names,
    /// What is over after a time, and its number.
    ends: BTreeSet<(Time, u32)>,
    books: Books,
    /// Slots of accounts that have rules of their own.
    guarded: NumberSet,
    /// How many holds and grants ask for balances.
    asking: u32,
    /// By which names are hashed.
    key: Key,
}

impl Entries {
    /// An empty table, whose names are hashed by a secret of the process.
    pub(super) fn new(key: Key, arena: &Arena) -> Self {
        Self {
            places: Pages::new(arena.clone()),
            free: NumberSet::default(),
            names: Names::new(arena.clone()),
            ends: BTreeSet::new(),
            books: Books::new(key, arena.clone()),
            guarded: NumberSet::default(),
            asking: 0,
            key,
        }
    }

    /// How many places there are, free ones included.
    pub(super) const fn len(&self) -> u32 {
        self.places.len()
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.places.get(number)?.entry.as_ref()
    }

    #[inline]
    pub(super) fn find(&self, name: &Name<'_>) -> Option<u32> {
        self.find_tagged(name, self.tag(name))
    }

    /// By which a name is looked for.
    #[inline]
    pub(super) fn tag(&self, name: &Name<'_>) -> u64 {
        name.tag(self.key)
    }

    /// The same as [`find`](Self::find) where the tag is known.
    #[inline]
    pub(super) fn find_tagged(&self, name: &Name<'_>, tag: u64) -> Option<u32> {
        self.names.get(tag, |number| self.get(number).is_some_and(|entry| entry.name() == *name))
    }

    /// Enters something but an order or a hold under the lowest free number; says too whether the table has grown. `None` when it is full.
    pub(super) fn open(&mut self, entry: Entry) -> Option<(u32, bool)> {
        let (number, has_grown) = self.take_place()?;
        self.change(number, Some(entry));
        self.prefetch_free();
        Some((number, has_grown))
    }

    /// The lowest free place, and whether the table has grown for it.
    #[inline]
    fn take_place(&mut self) -> Option<(u32, bool)> {
        match self.free.first() {
            Some(number) => Some((number, false)),
            None if self.places.len() >= PLACES_MAX => None,
            None => Some((self.places.push(Place::default())?, true)),
        }
    }

    /// Brings the next free place closer: somebody was there long ago.
    #[inline]
    fn prefetch_free(&self) {
        if let Some(next) = self.free.first() {
            self.prefetch_place(next);
        }
    }

    /// Whether there is no place left.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.places.len() >= PLACES_MAX && self.free.is_empty()
    }

    /// Puts something in a place that there is, or frees it; gives what was there.
    #[inline]
    pub(super) fn change(&mut self, number: u32, after: Option<Entry>) -> Before {
        let before = self.put(number, after);
        self.follow(number, before.entry.as_ref());
        self.follow_in_books(number, before.entry.as_ref(), None);
        Before(before)
    }

    /// A market, to be changed where it is: `None` if a reader holds it too.
    pub(super) fn market_mut(&mut self, number: u32) -> Option<&mut MarketState> {
        match &mut self.places.get_mut(number)?.entry {
            Some(Entry::Market(market)) => Arc::get_mut(market),
            _ => None,
        }
    }

    /// Undoes the newest change of a place that isn't undone.
    pub(super) fn set_back(&mut self, number: u32, Before(place): Before) {
        let undone = self.put(number, place.entry);
        if let Some(now) = self.places.get_mut(number) {
            now.owner = place.owner;
        }
        self.follow(number, undone.entry.as_ref());
        self.follow_in_books(number, undone.entry.as_ref(), Some(place.links));
    }

    fn put(&mut self, number: u32, after: Option<Entry>) -> Place {
        let place = self.places.get_mut(number);
        place.map_or_else(Place::default, |place| Place { entry: std::mem::replace(&mut place.entry, after), ..*place })
    }

    /// Lets names, ends, free numbers and guarded accounts go from what was in a place to what is.
    fn follow(&mut self, number: u32, before: Option<&Entry>) {
        let Self { places, free, names, ends, guarded, asking, key, .. } = self;
        let Some(place) = places.get_mut(number) else { return };
        let after = place.entry.as_ref();
        let (old, new) = (before.map(Entry::name), after.map(Entry::name));
        if old != new {
            if old.is_some() {
                names.remove(place.tag, number);
            }
            if let Some(name) = new {
                place.tag = name.tag(*key);
                names.insert(place.tag, number);
            }
        }
        let (old, new) = (before.and_then(Entry::expiry), after.and_then(Entry::expiry));
        if old != new {
            if let Some(time) = old {
                ends.remove(&(time, number));
            }
            ends.extend(new.map(|time| (time, number)));
        }
        match (before, after) {
            (None, Some(_)) => free.remove(number),
            (Some(_), None) => free.insert(number),
            _ => {}
        }
        // There are no more of them than there are places.
        *asking = asking.saturating_sub(u32::from(before.is_some_and(Entry::asks_for_balances)));
        *asking = asking.saturating_add(u32::from(after.is_some_and(Entry::asks_for_balances)));
        if let Some(Entry::Authority(authority)) = before {
            guarded.remove(authority.slot);
        }
        if let Some(Entry::Authority(authority)) = after {
            guarded.insert(authority.slot);
        }
    }

    /// The same for books; `stood` is where an order that is set back stood.
    fn follow_in_books(&mut self, number: u32, before: Option<&Entry>, stood: Option<Links>) {
        let Self { places, books, .. } = self;
        let old = match before {
            Some(Entry::Order(order)) => Some(order),
            _ => None,
        };
        let new = places.get(number).and_then(Place::order).copied();
        if old.zip(new.as_ref()).is_some_and(|(old, new)| old.stands_like(new)) {
            return;
        }
        if let Some(old) = old {
            books.remove(old, number, places);
        }
        if let Some(new) = new {
            books.insert(&new, number, stood, places);
        }
    }

    /// Enters whose orders and holds are, and all orders into their books, given where accounts are: after loading.
    pub(super) fn fill_books(&mut self, slot_of: impl Fn(&Address) -> Option<Slot>) {
        for number in 0..self.len() {
            let Some(place) = self.places.get_mut(number) else { continue };
            let owner = match &place.entry {
                Some(Entry::Order(order)) => slot_of(&order.owner),
                Some(Entry::Hold(hold)) => slot_of(&hold.owner),
                _ => None,
            };
            place.owner = owner.map_or(names::NOBODY, |slot| slot.0);
        }
        let orders = (0..self.len()).filter_map(|number| Some((self.order(number)?.priority, number)));
        let mut orders: Vec<(u64, u32)> = orders.collect();
        // In the order in which they came, each is the newest.
        orders.sort_unstable();
        for (_, number) in orders {
            self.follow_in_books(number, None, None);
        }
    }

    /// Takes the last place away, which is free.
    pub(super) fn shrink(&mut self) {
        if let Some(last) = self.places.len().checked_sub(1) {
            self.free.remove(last);
            self.places.pop();
        }
    }

    /// Whether an account has rules of its own.
    #[inline]
    pub(super) fn is_guarded(&self, slot: u32) -> bool {
        self.guarded.contains(slot)
    }

    /// Whether any account has.
    #[inline]
    pub(super) fn has_guarded(&self) -> bool {
        !self.guarded.is_empty()
    }

    /// Whether any hold or grant asks for balances.
    #[inline]
    pub(super) const fn asks_for_balances(&self) -> bool {
        self.asking > 0
    }

    #[inline]
    pub(super) fn order(&self, number: u32) -> Option<&OrderState> {
        self.places.get(number)?.order()
    }

    /// The best order that waits on a side of a market.
    #[inline]
    pub(super) fn first_waiting(&self, market: MarketId, side: Side) -> Option<(u32, &OrderState)> {
        let number = self.books.first(market, side)?;
        Some((number, self.order(number)?))
    }

    /// The order that comes behind another on its side.
    pub(super) fn next_waiting(&self, number: u32) -> Option<u32> {
        let place = self.places.get(number)?;
        self.books.next(place.order()?, place.links.line)
    }

    /// The order that its owner has placed before another in its market.
    pub(super) fn next_owned(&self, number: u32) -> Option<u32> {
        self.places.get(number).and_then(|place| place.links.older_own())
    }

    /// The orders that wait on a side of a market, the best first.
    pub(super) fn waiting(&self, market: MarketId, side: Side) -> impl Iterator<Item = &OrderState> {
        self.books.side(market, side, &self.places).filter_map(|number| self.order(number))
    }

    /// The numbers of an account's orders in a market, the newest first.
    pub(super) fn owned(&self, market: MarketId, owner: Slot) -> impl Iterator<Item = u32> {
        self.books.owned(market, owner, &self.places)
    }

    /// The slot of the account whose order or hold this is.
    #[inline]
    pub(super) fn owner_slot(&self, number: u32) -> Option<Slot> {
        self.places.get(number).map(|place| Slot(place.owner)).filter(|&slot| slot != NOWHERE)
    }

    /// Brings closer where a name is looked up.
    #[inline]
    pub(super) fn prefetch_name(&self, tag: u64) {
        self.names.prefetch(tag);
    }

    /// The same for what is found there, when that is at hand.
    #[inline]
    pub(super) fn prefetch_places(&self, tag: u64) {
        for number in self.names.alike(tag) {
            self.prefetch_place(number);
        }
    }

    #[inline]
    pub(super) fn prefetch_place(&self, number: u32) {
        self.places.get(number).iter().for_each(|place| prefetch(*place));
    }

    /// The same for what of an order changes when a neighbour comes or goes.
    #[inline]
    fn prefetch_links(&self, number: u32) {
        self.places.get(number).iter().for_each(|place| prefetch(&place.links));
    }

    /// Brings closer where the orders of an account in a market are found.
    #[inline]
    pub(super) fn prefetch_owner(&self, market: MarketId, owner: Slot) {
        self.books.prefetch_owner(market, owner);
    }

    /// The same for the newest of them, when that is at hand.
    #[inline]
    pub(super) fn prefetch_newest(&self, market: MarketId, owner: Slot) {
        self.books.newest(market, owner).into_iter().for_each(|number| self.prefetch_links(number));
    }

    /// The same for what that leads to.
    #[inline]
    pub(super) fn prefetch_behind(&self, tag: u64) {
        for number in self.names.alike(tag) {
            self.prefetch_behind_place(number);
            self.prefetch_neighbours(number);
        }
    }

    /// The same for what lies behind an entry.
    #[inline]
    pub(super) fn prefetch_behind_place(&self, number: u32) {
        if let Some(Entry::Grant(grant)) = self.get(number) {
            prefetch(&**grant);
        }
    }

    /// The first entry that is over at a time.
    pub(super) fn first_over(&self, now: Time) -> Option<u32> {
        self.ends.first().filter(|&&(end, _)| end < now).map(|&(_, number)| number)
    }

    pub(super) fn encode(&self, number: u32, out: &mut Vec<u8>) {
        encode(self.places.get(number), out);
    }

    /// Reads an entry back from its canonical bytes, and gives it the next number. Orders stand in no book before
    /// [`fill_books`](Self::fill_books).
    pub(super) fn push_encoded(&mut self, reader: &mut Reader<'_>) -> Result<(), Unloadable> {
        let entry = Entry::decode(reader)?;
        let number = self.places.push(Place::default()).ok_or_else(Unloadable::full)?;
        self.free.insert(number);
        let Some(entry) = entry else { return Ok(()) };
        if let Some(known) = self.find(&entry.name()) {
            return Err(Unloadable::new("an entry", "a name that no other has", format!("that of {known}")));
        }
        self.put(number, Some(entry));
        self.follow(number, None);
        Ok(())
    }

    /// The table, without the means to find a name.
    pub(super) fn share(&mut self) -> SharedEntries {
        SharedEntries(self.places.share())
    }

    /// Those.
    pub(super) fn share_names(&mut self) -> SharedNames {
        self.names.share(self.key)
    }

    /// And of the books.
    pub(super) fn share_books(&mut self) -> SharedBooks {
        self.books.share()
    }
}

/// What a reader keeps of [`Entries`].
#[derive(Clone, Debug)]
pub(super) struct SharedEntries(SharedPages<Place, PAGE_BITS>);

impl SharedEntries {
    pub(super) const fn len(&self) -> u32 {
        self.0.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Entry> {
        self.0.get(number)?.entry.as_ref().filter(|_| number < self.len())
    }

    pub(super) fn find(&self, name: &Name<'_>, names: &SharedNames) -> Option<u32> {
        names.get(name, |number| self.get(number).is_some_and(|entry| entry.name() == *name))
    }

    /// The first prices of a side, each with how many lots wait at it.
    pub(super) fn depth<'a>(
        &'a self,
        books: &'a SharedBooks,
        market: MarketId,
        side: Side,
    ) -> impl Iterator<Item = (u64, u128)> {
        let order = |&number: &u32| self.0.get(number).and_then(|place| Some((place.order()?, place.links.line.newer)));
        books.firsts(market, side).iter().filter_map(move |first| {
            let line = std::iter::successors(order(first), move |(_, newer)| order(newer));
            let lots = |(order, _): (&OrderState, u32)| u128::from(order.quantity);
            Some((order(first)?.0.price, line.map(lots).fold(0, u128::saturating_add)))
        })
    }

    pub(super) fn encode(&self, number: u32, out: &mut Vec<u8>) {
        encode(self.0.get(number), out);
    }
}

/// A free place is a single zero.
fn encode(place: Option<&Place>, out: &mut Vec<u8>) {
    match place.and_then(|place| place.entry.as_ref()) {
        Some(entry) => entry.encode(out),
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
        let mut entries = Entries::new([1, 2], &Arena::default());
        for n in 0..5 {
            assert_eq!(entries.open(state(n)), Some((u32::from(n), true)));
        }
        let before = bytes(&entries);
        let (kept, names) = (entries.share(), entries.share_names());
        let (one, three) = (entries.change(1, None), entries.change(3, None));
        assert_eq!(entries.find(&state(3).name()), None);
        assert_eq!((entries.open(state(9)), entries.open(state(8))), (Some((1, false)), Some((3, false))));
        assert_eq!(entries.open(state(7)), Some((5, true)));
        entries.change(5, None);
        entries.shrink();
        entries.set_back(3, three);
        entries.set_back(1, one);
        assert_eq!((bytes(&entries), entries.find(&state(3).name())), (before, Some(3)));
        assert_eq!((entries.free.is_empty(), entries.find(&state(9).name())), (true, None));
        assert_eq!((kept.find(&state(3).name(), &names), kept.len()), (Some(3), 5));
    }

    #[test]
    fn what_was_encoded_comes_back_with_its_free_places() {
        let mut entries = Entries::new([1, 2], &Arena::default());
        (0..200).for_each(|n| assert_eq!(entries.open(state(n)), Some((u32::from(n), true))));
        (0..200).step_by(3).for_each(|number| drop(entries.change(number, None)));
        let encoded = bytes(&entries);
        let (mut loaded, mut reader) = (Entries::new([1, 2], &Arena::default()), Reader::new(&encoded));
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
