//! What the orders of a block come to in one market, found out beside other markets: on a book laid over the ledger's own, which nobody changes
//! meanwhile.
//!
//! # Cost
//!
//! A look-up in a small table for every order that is met, and a place in a tree for every order that begins to wait. What the block has closed is
//! skipped by links that are shortened as they are followed (Tarjan 1975), so that no message pays for many before it.

use super::firsts::{Firsts, by_tag};
use super::messages::{Message, Named};
use super::phases::{Cursor, Phases};
use super::plan::{MADE, NOBODY, Plan, Shifted, Shifts, empty, index};
use crate::ops::{EncodedOperation, Source};
use crate::state::{Asset, Book, Collected, Known, MarketState, ORDERS_MET_MAX, OrderState, Shift, Slot, Trades};
use crate::types::{Address, Amount, AssetId, AssetTerms, Happening, MarketId, Rejection, RejectionCode, Side, Time};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Messages whose orders are brought closer ahead of the one that is planned.
const AHEAD: usize = 8;

/// Finds out what the messages of a market come to, given by ascending positions.
pub(super) fn plan<'a>(
    phases: &Phases<'_>,
    market: MarketId,
    messages: impl Iterator<Item = &'a Message> + Clone,
    (plan, shifts): (&mut Plan, &mut Shifts),
    memory: &mut Memory,
) {
    plan.begin(market);
    memory.clear();
    let state = phases.known.market(market).copied();
    let Some((state, first)) = state.zip(messages.clone().next()) else { return };
    let mut book = PlannedBook::new(phases, (market, state), *first, memory, (plan, shifts));
    let mut cursor = Cursor::new(phases.block);
    let (mut ahead, mut ahead_cursor) = (messages.clone().skip(AHEAD), cursor.clone());
    for message in messages {
        if let Some(ahead) = ahead.next() {
            ahead.named.found.into_iter().for_each(|number| phases.known.prefetch_order(number));
            ahead_cursor.at(ahead.position).into_iter().for_each(|(prepared, run)| prepared.bring(run));
        }
        book.turn_to(*message);
        let transaction = cursor.at(message.position).and_then(|(prepared, run)| prepared.of(run));
        let done = transaction.and_then(|transaction| {
            let said = transaction.only_operation().and_then(EncodedOperation::message)?;
            Some(said.apply(Source { address: &transaction.account(), slot: Some(message.slot) }, &mut book))
        });
        // It was prepared from these bytes, so it is there.
        book.plan.end_message(done.and_then(Result::err));
    }
    let PlannedBook { state, is_changed, .. } = book;
    plan.end_market(is_changed.then_some(state));
}

/// What the plan knows of an order that was there before the block and has changed.
#[derive(Debug)]
enum Seen {
    /// It stands where it stood.
    Stands(OrderState),
    /// It has left its line, for another place or for good; and who stands behind it there, as far as somebody has looked.
    Left(Option<OrderState>, Cell<Option<u32>>),
}

/// An order that the block has opened.
#[derive(Debug)]
struct Made {
    order: OrderState,
    owner: Slot,
    is_there: bool,
    /// The one before it whose name may be the same.
    older: u32,
}

/// A side of the book.
#[derive(Debug, Default)]
struct PlannedSide {
    /// The best of those that stand where they stood before the block.
    first: Option<u32>,
    /// All others, by rank and priority.
    others: BTreeMap<(u64, u64), u32>,
}

/// An account's orders.
#[derive(Debug)]
struct Own {
    /// The newest of those that were there before the block, among which may be some that have moved or are gone.
    before: Option<u32>,
    /// Those that have come or moved since, the newest last; the same.
    since: Vec<u32>,
}

/// What planning needs beside the plan.
#[derive(Debug, Default)]
pub(super) struct Memory {
    made: Vec<Made>,
    /// The newest of those by name, counted backwards.
    names: Firsts,
    seen: Vec<Seen>,
    /// Places of those by number.
    numbers: Firsts,
    /// Whose orders have come or moved, in that order.
    come: Vec<(Slot, u32)>,
}

impl Memory {
    fn clear(&mut self) {
        empty(&mut self.made);
        self.names.clear();
        empty(&mut self.seen);
        self.numbers.clear();
        empty(&mut self.come);
    }
}

/// A market's book in the block, as far as the plan has come.
struct PlannedBook<'a> {
    phases: &'a Phases<'a>,
    known: &'a Known<'a>,
    state: MarketState,
    is_changed: bool,
    sides: [PlannedSide; 2],
    /// Once somebody has asked: how much of what has come is sorted by owner, and the owners.
    own: (usize, BTreeMap<u32, Own>),
    message: Message,
    met: usize,
    collected: Collected,
    memory: &'a mut Memory,
    plan: &'a mut Plan,
    shifts: &'a mut Shifts,
}

impl<'a> PlannedBook<'a> {
    fn new(
        phases: &'a Phases<'a>,
        (market, state): (MarketId, MarketState),
        message: Message,
        memory: &'a mut Memory,
        (plan, shifts): (&'a mut Plan, &'a mut Shifts),
    ) -> Self {
        let known = &phases.known;
        let side = |side| PlannedSide { first: known.first_waiting(market, side), others: BTreeMap::new() };
        let (sides, collected) = ([side(Side::Buy), side(Side::Sell)], Collected::default());
        let own = Default::default();
        Self { phases, known, state, is_changed: false, sides, own, message, met: 0, collected, memory, plan, shifts }
    }

    /// Goes on to a message.
    const fn turn_to(&mut self, message: Message) {
        (self.message, self.met) = (message, 0);
    }

    fn seen(&self, number: u32) -> Option<&Seen> {
        self.memory.seen.get(self.memory.numbers.of(Slot(number))? as usize)
    }

    fn see(&mut self, number: u32, what: Seen) {
        match self.memory.numbers.of(Slot(number)).and_then(|place| self.memory.seen.get_mut(place as usize)) {
            Some(seen) => *seen = what,
            None => {
                self.memory.numbers.enter(Slot(number), index(self.memory.seen.len()));
                self.memory.seen.push(what);
            }
        }
    }

    /// An order that waits.
    fn order(&self, number: u32) -> Option<OrderState> {
        if let Some(place) = number.checked_sub(MADE) {
            return self.memory.made.get(place as usize).filter(|made| made.is_there).map(|made| made.order);
        }
        match self.seen(number) {
            Some(Seen::Stands(order)) => Some(*order),
            Some(Seen::Left(order, _)) => *order,
            None => self.known.order(number).copied(),
        }
    }

    /// Whether an order is one of those that stand where they stood.
    fn stands(&self, number: u32) -> bool {
        number < MADE && !matches!(self.seen(number), Some(Seen::Left(..)))
    }

    /// The first behind an order of those that stand where they stood.
    fn next_standing(&self, number: u32) -> Option<u32> {
        let behind = |number| self.known.next_waiting(number).unwrap_or(NOBODY);
        let link = |number| match self.seen(number) {
            Some(Seen::Left(_, link)) => Some(link),
            Some(Seen::Stands(_)) | None => None,
        };
        let first = behind(number);
        let mut last = first;
        while let Some(link) = link(last) {
            last = link.get().unwrap_or_else(|| behind(last));
        }
        // Whoever comes this way again takes one step.
        let mut next = first;
        while next != last
            && let Some(link) = link(next)
        {
            let after = link.get().unwrap_or_else(|| behind(next));
            link.set(Some(last));
            next = after;
        }
        Some(last).filter(|&last| last != NOBODY)
    }

    /// Enters where an order stands that has come or moved.
    fn join(&mut self, number: u32, order: &OrderState, owner: Slot) {
        self.sides[order.side as usize].others.insert((order.rank(), order.priority), number);
        self.memory.come.push((owner, number));
    }

    /// Takes an order away from where it stands; `after` is what becomes of it.
    fn leave(&mut self, number: u32, order: &OrderState, after: Option<OrderState>) {
        let stood = self.stands(number);
        if let Some(made) = number.checked_sub(MADE).and_then(|place| self.memory.made.get_mut(place as usize)) {
            made.is_there = after.is_some();
            made.order = after.unwrap_or(made.order);
        } else {
            self.see(number, Seen::Left(after, Cell::new(None)));
        }
        let side = order.side as usize;
        if !stood {
            self.sides[side].others.remove(&(order.rank(), order.priority));
        } else if self.sides[side].first == Some(number) {
            self.sides[side].first = self.next_standing(number);
        }
    }

    /// By which the name of an order of the message's account is looked for.
    fn tag(&self, owner: &Address, id: u64) -> u64 {
        let Named { id: own, tag, .. } = self.message.named;
        if id == own { tag } else { self.known.order_tag(owner, id) }
    }

    fn find(&self, owner: Source<'_>, id: u64) -> Option<u32> {
        let tag = self.tag(owner.address, id);
        let is_it = |made: &Made| Some(made.owner) == owner.slot && made.order.id == id;
        let mut place = self.memory.names.of(by_tag(tag)).map(|newest| !newest);
        while let Some(made) = place.and_then(|place| self.memory.made.get(place as usize)) {
            if is_it(made) {
                // All before it that had the name are gone.
                return place.and_then(|place| place.checked_add(MADE)).filter(|_| made.is_there);
            }
            place = Some(made.older);
        }
        let found = match self.message.named {
            Named { id: own, found, .. } if own == id => found,
            _ => self.known.find_order(owner.address, id, tag),
        };
        found.filter(|&number| self.order(number).is_some())
    }

    /// Changes an order where it stands.
    fn keep(&mut self, number: u32, after: OrderState) {
        if let Some(made) = number.checked_sub(MADE).and_then(|place| self.memory.made.get_mut(place as usize)) {
            made.order = after;
            return;
        }
        match self.memory.numbers.of(Slot(number)).and_then(|place| self.memory.seen.get_mut(place as usize)) {
            Some(Seen::Left(order, _)) => *order = Some(after),
            _ => self.see(number, Seen::Stands(after)),
        }
    }

    /// Adds to what an account has.
    fn shift(&mut self, slot: Slot, asset: AssetId, shift: Shift) {
        let position = self.message.position;
        self.shifts.add(self.phases.portion(slot), Shifted { position, slot, asset, shift });
    }
}

impl Book for PlannedBook<'_> {
    fn time(&self) -> Time {
        self.phases.block.time
    }

    fn asset(&self, asset: AssetId) -> Result<&Asset, Rejection> {
        self.known.asset(asset).ok_or(Rejection::new(RejectionCode::NoAsset, u64::from(asset.0)))
    }

    fn terms_of(&self, _: &Asset, _: AssetId) -> AssetTerms {
        // Neither has a policy.
        AssetTerms::default()
    }

    fn market(&self, _: MarketId) -> Result<&MarketState, Rejection> {
        Ok(&self.state)
    }

    fn set_market(&mut self, _: MarketId, after: MarketState) {
        (self.state, self.is_changed) = (after, true);
    }

    fn check_trader(&self, _: &MarketState, _: &Address) -> Result<(), Rejection> {
        Ok(())
    }

    fn can_trade(&self, _: &Trades, _: &OrderState) -> bool {
        true
    }

    fn source(&self, source: Source<'_>, _: AssetId, _: Amount) -> Result<Slot, Rejection> {
        // As much as it takes was reserved.
        source.slot.ok_or(Rejection::new(RejectionCode::InsufficientFunds, 0))
    }

    fn owner_of<'b>(&self, number: u32, order: &'b OrderState) -> Source<'b> {
        let slot = match number.checked_sub(MADE) {
            Some(place) => self.memory.made.get(place as usize).map(|made| made.owner),
            None => self.known.owner_slot(number),
        };
        Source { address: &order.owner, slot }
    }

    fn own_order(&self, owner: Source<'_>, id: u64) -> Option<(u32, OrderState)> {
        let number = self.find(owner, id)?;
        Some((number, self.order(number)?))
    }

    fn find_orders<const N: usize>(
        &self,
        owner: Source<'_>,
        ids: &[u64],
        numbers: &mut [u32; N],
    ) -> Result<(), Rejection> {
        for (place, &id) in ids.iter().enumerate().take(N) {
            let found = self.find(owner, id).filter(|number| !numbers[..place].contains(number));
            numbers[place] = found.ok_or(Rejection::new(RejectionCode::NoOrder, id))?;
        }
        Ok(())
    }

    fn own_orders(&mut self, market: MarketId, owner: Source<'_>, most: usize) -> Vec<u32> {
        let Some(slot) = owner.slot else { return Vec::new() };
        let Self { known, own: (sorted, owners), memory, .. } = self;
        let come = &memory.come;
        let begin = |slot: Slot| Own { before: known.newest_owned(market, slot), since: Vec::new() };
        for &(slot, number) in &come[*sorted..] {
            owners.entry(slot.0).or_insert_with(|| begin(slot)).since.push(number);
        }
        *sorted = come.len();
        let mut own = owners.remove(&slot.0).unwrap_or_else(|| begin(slot));
        let mut numbers: Vec<u32> = Vec::new();
        while numbers.len() < most {
            let newest = match (own.since.pop(), own.before) {
                (Some(number), _) => Some(number).filter(|&number| self.order(number).is_some()),
                (None, Some(number)) => {
                    own.before = self.known.next_owned(number);
                    Some(number).filter(|&number| self.stands(number))
                }
                (None, None) => break,
            };
            // One that has moved twice stands there twice.
            numbers.extend(newest.filter(|newest| !numbers.contains(newest)));
        }
        self.own.1.insert(slot.0, own);
        numbers
    }

    fn free_order(&mut self, owner: Source<'_>, id: u64) -> Result<u64, Rejection> {
        match self.find(owner, id) {
            Some(number) => Err(Rejection::new(RejectionCode::OrderExists, u64::from(number))),
            None => Ok(self.tag(owner.address, id)),
        }
    }

    fn first_order(&self, _: MarketId, side: Side) -> Option<(u32, OrderState)> {
        let PlannedSide { first, others } = &self.sides[side as usize];
        let standing = first.and_then(|number| Some((number, self.order(number)?)));
        let other = others.first_key_value();
        match (standing, other) {
            (Some((_, order)), Some((&place, &number))) if place < (order.rank(), order.priority) => {
                Some((number, self.order(number)?))
            }
            (None, Some((_, &number))) => Some((number, self.order(number)?)),
            (standing, _) => standing,
        }
    }

    fn orders(&self, _: MarketId, side: Side) -> impl Iterator<Item = OrderState> {
        let PlannedSide { first, others } = &self.sides[side as usize];
        let standing = std::iter::successors(*first, |&number| self.next_standing(number));
        let mut standing = standing.filter_map(|number| self.order(number)).peekable();
        let mut others = others.values().filter_map(|&number| self.order(number)).peekable();
        let place = |order: &OrderState| (order.rank(), order.priority);
        std::iter::from_fn(move || match (standing.peek(), others.peek()) {
            (Some(one), Some(other)) if place(other) < place(one) => others.next(),
            (Some(_), _) => standing.next(),
            (None, _) => others.next(),
        })
    }

    fn orders_left(&self) -> usize {
        ORDERS_MET_MAX.saturating_sub(self.met)
    }

    fn meet(&mut self) {
        self.met = self.met.saturating_add(1);
    }

    fn expect_place(&mut self) {
        // There is one for each.
    }

    fn begin_journal(&mut self) {
        // All there is counts, so whatever is rejected is before it has changed anything.
    }

    fn enter_order(&mut self, order: OrderState, owner: Slot, tag: u64) -> Result<u32, Rejection> {
        let place = index(self.memory.made.len());
        let number = self.plan.open(order, owner, tag);
        let older = self.memory.names.of(by_tag(tag)).map_or(NOBODY, |newest| !newest);
        // The lowest stays there, which is the newest.
        self.memory.names.enter(by_tag(tag), !place);
        self.memory.made.push(Made { order, owner, is_there: true, older });
        self.join(number, &order, owner);
        Ok(number)
    }

    fn close_order(&mut self, number: u32) -> Option<OrderState> {
        let order = self.order(number)?;
        self.leave(number, &order, None);
        self.plan.close(number);
        Some(order)
    }

    fn reduce_order(&mut self, number: u32, left: u64) {
        let Some(order) = self.order(number) else { return };
        self.keep(number, OrderState { quantity: left, ..order });
        self.plan.reduce(number, left);
    }

    fn replace_order(&mut self, number: u32, after: OrderState) {
        let Some(order) = self.order(number) else { return };
        if order.stands_like(&after) {
            self.keep(number, after);
        } else {
            self.leave(number, &order, Some(after));
            // Nobody else changes it.
            self.join(number, &after, self.message.slot);
        }
        self.plan.replace(number, after);
    }

    fn bring_line(&self, number: u32) {
        if number < MADE {
            self.known.prefetch_line(number);
        }
    }

    fn credit(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.shift(slot, asset, Shift::default().credited(amount));
    }

    fn debit(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.shift(slot, asset, Shift::default().debited(amount));
    }

    fn deliver_held(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.shift(slot, asset, Shift::default().delivered(amount));
    }

    fn set_aside(&mut self, slot: Slot, asset: AssetId, amount: Amount) {
        self.shift(slot, asset, Shift::default().set_aside(amount));
    }

    fn give_back(&mut self, owner: Source<'_>, asset: AssetId, amount: Amount) {
        if let Some(slot) = owner.slot {
            self.shift(slot, asset, Shift::default().delivered(amount).credited(amount));
        }
    }

    fn burn(&mut self, asset: AssetId, amount: Amount) -> Result<(), Rejection> {
        self.plan.burn(asset, amount);
        Ok(())
    }

    fn find_account(&self, address: &Address) -> Option<Slot> {
        self.known.find(address)
    }

    fn open_account(&mut self, address: &Address) -> Result<Slot, Rejection> {
        // Whoever gets the market's fees is there.
        self.find_account(address).ok_or(Rejection::new(RejectionCode::TooManyAccounts, 0))
    }

    fn tell(&mut self, account: Address, what: Happening) {
        self.plan.tell(account, what);
    }

    fn collect(&mut self, account: Address, asset: AssetId, amount: Amount) {
        self.collected.add(account, asset, amount);
    }

    fn tell_collected(&mut self) {
        while let Some((account, asset, amount)) = self.collected.next() {
            self.tell(account, Happening::Collected { asset, amount });
        }
    }
}
