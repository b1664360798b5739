//! Orders in a block that goes by shards: what is said to books by accounts of which all is certain, and by which market it goes.
//!
//! An account's shard uses the sequence up and reserves the most that the message may take. So whatever comes of it, the account can pay for it, and
//! what comes of it depends on its market alone. From the first message of which anything isn't certain on a market goes in order.

use super::firsts::{Firsts, by_tag};
use super::phases::{Froms, Lane, Phases, Portion};
use super::plan::{MADE, Plans, Shifted, index};
use super::planned::{Memory, plan};
use super::sharded::PlantedOrder;
use crate::ops::{About, Amend, EncodedOperation, OrderMessage};
use crate::state::{Debited, MarketState, OrderState, Payment, Slot};
use crate::transaction::TransactionRef;
use crate::types::{Address, Amount, AssetId, Lifetime, MarketId, Rejection, RejectionCode, Side, Time};
use std::collections::BTreeMap;

/// A message of which its account's half is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub position: u32,
    pub slot: Slot,
    pub market: MarketId,
    /// What is reserved for it.
    pub reserved: (AssetId, Amount),
    /// The order that it is about, or the first of them.
    pub named: Named,
}

/// An order that a message is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named {
    pub id: u64,
    /// By which it is looked for.
    pub tag: u64,
    /// The number of the one that had the name before the block.
    pub found: Option<u32>,
}

/// Markets that can't be planned, and from which positions on.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    markets: Vec<(MarketId, u32)>,
    /// And those in which these accounts have placed orders of these ids and tags in the block.
    placed: Vec<(Slot, u64, u64, u32)>,
}

impl InOrder {
    pub(super) fn clear(&mut self) {
        self.markets.clear();
        self.placed.clear();
    }

    fn enter(&mut self, market: MarketId, position: u32) {
        // Those of one block come again and again, by ascending positions.
        if self.markets.last().is_none_or(|&(last, _)| last != market) {
            self.markets.push((market, position));
        }
    }

    /// From where on a market goes in order, given that they are sorted.
    fn of(&self, market: MarketId) -> Option<u32> {
        let place = self.markets.partition_point(|&(other, _)| other < market);
        self.markets.get(place).filter(|&&(found, _)| found == market).map(|&(_, position)| position)
    }

    /// Adds those of others; `said` gives where an account has placed an order in the block.
    pub(super) fn add(&mut self, others: &Self, mut said: impl FnMut(Slot, u64, u64) -> Option<MarketId>) {
        self.markets.extend(&others.markets);
        let placed = others.placed.iter().filter_map(|&(slot, id, tag, from)| Some((said(slot, id, tag)?, from)));
        self.markets.extend(placed);
    }
}

/// Under which names the accounts of some shards have said something to books in a block, and where.
#[derive(Debug, Default)]
pub(super) struct Said {
    places: Firsts,
    /// Whose, which id, and where: on which side, if it was always the same.
    all: Vec<(Slot, u64, Whereabouts)>,
}

impl Said {
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.all.clear();
    }

    /// Where an order of this name was placed.
    pub(super) fn of(&self, (slot, id): (Slot, u64), tag: u64) -> Option<Whereabouts> {
        let &(own, same, place) = self.all.get(self.places.of(by_tag(tag))? as usize)?;
        ((own, same) == (slot, id)).then_some(place)
    }

    /// Enters where an order is placed; `false` if another has its place by chance, or it was placed in another market.
    fn enter(&mut self, (slot, id): (Slot, u64), tag: u64, place: Whereabouts) -> bool {
        match self.places.of(by_tag(tag)).and_then(|place| self.all.get_mut(place as usize)) {
            Some((own, same, before)) => {
                let is_there = (*own, *same, before.market) == (slot, id, place.market);
                if is_there {
                    *before = before.and(place);
                }
                is_there
            }
            None => {
                self.places.enter(by_tag(tag), index(self.all.len()));
                self.all.push((slot, id, place));
                true
            }
        }
    }
}

/// Where orders of a name wait or were placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whereabouts {
    pub market: MarketId,
    /// The side, if all were on the same.
    side: Option<Side>,
}

impl Whereabouts {
    /// Those of an order.
    const fn of(order: &OrderState) -> Self {
        Self { market: order.market, side: Some(order.side) }
    }

    /// Both together, of the same market.
    fn and(self, other: Self) -> Self {
        Self { side: self.side.filter(|&side| Some(side) == other.side), ..self }
    }
}

/// What of a message is certain.
enum Half {
    /// It goes by this market. The most that it may take of an asset, and the order that it is about.
    Of(MarketId, (AssetId, Amount), Named),
    /// It is about nothing that there is.
    Nothing(Rejection),
    /// It has to wait for its turn.
    InOrder,
}

impl Phases<'_> {
    /// The account's half of a message.
    pub(super) fn message(
        &self,
        (number, portion): (usize, &mut Portion<'_>),
        (transaction, said, tag): (&TransactionRef<'_>, &OrderMessage, Option<u64>),
        (slot, position): (Slot, u32),
        from: &Froms,
    ) {
        let Portion { shards, first, lane } = portion;
        let account = transaction.account();
        if position > from.fence || lane.contended.of(slot).is_some() {
            self.goes_in_order(said, &account, (slot, position), lane);
            return lane.ordered.push(position);
        }
        let (half, payment) = match self.half((said, tag), &account, slot, lane) {
            Half::InOrder => {
                self.goes_in_order(said, &account, (slot, position), lane);
                return lane.contend(slot, position);
            }
            Half::Nothing(rejection) => (Err(rejection), (AssetId(0), Amount::ZERO)),
            Half::Of(market, reserved, named) => (Ok((market, named)), reserved),
        };
        let (asset, most) = payment;
        let payment = Payment {
            payer: slot,
            payee: slot,
            asset,
            amount: if self.has(PlantedOrder::Unreserved) { Amount::ZERO } else { most },
            sequence: transaction.sequence(),
            valid_until: transaction.valid_until().unwrap_or(Time(u64::MAX)),
        };
        let owner = self.layout.place(slot);
        let Some(shard) = shards.get_mut(owner.shard.wrapping_sub(*first)) else { return };
        match shard.reserve(&payment, owner, self.block.time) {
            Some(Debited::Paid) => match half {
                Err(rejection) => lane.rejections.push((position, rejection)),
                Ok((market, named)) => {
                    let reserved = (asset, payment.amount);
                    lane.messages.push(Message { position, slot, market, reserved, named });
                }
            },
            Some(Debited::Rejected(rejection)) => lane.rejections.push((position, rejection)),
            // What an order needs is known; what a change needs is less than was asked for.
            Some(Debited::Uncovered(window, rejection))
                if matches!(said, OrderMessage::Place(_))
                    && !self.may_be_paid_before((number, lane), slot, position, from) =>
            {
                shard.use_up(owner, window);
                lane.rejections.push((position, rejection));
            }
            Some(Debited::Uncovered(..)) => {
                self.goes_in_order(said, &account, (slot, position), lane);
                lane.contend(slot, position);
            }
            None => {}
        }
    }

    /// What of a message is certain, if its account is.
    fn half(&self, (said, tag): (&OrderMessage, Option<u64>), account: &Address, slot: Slot, lane: &mut Lane) -> Half {
        // The tag of the first was found out before.
        let named = |id| self.named(account, id, tag);
        match said {
            OrderMessage::Place(order) => {
                let Some((market, most)) = self.plannable(order.market).and_then(|market| {
                    let (asset, given) = market.given(order.side, order.quantity, order.price);
                    let most = match (given, order.lifetime) {
                        (given, Lifetime::Budget) => order.budget.min(given.unwrap_or(Amount::MAX)),
                        (given, _) => given?,
                    };
                    Some((order.market, (asset, most)))
                }) else {
                    return Half::InOrder;
                };
                let named = named(order.id);
                // An order of this name elsewhere goes by another market, which can't say here whether it is gone.
                let before = self.before(&named);
                let place = Whereabouts { market: order.market, side: Some(order.side) };
                if before.is_some_and(|before| before.market != order.market)
                    || !lane.said.enter((slot, order.id), named.tag, before.map_or(place, |before| before.and(place)))
                {
                    return Half::InOrder;
                }
                Half::Of(market, most, named)
            }
            OrderMessage::Amend(Amend::CancelAll(market)) => match self.plannable(*market) {
                Some(_) => Half::Of(*market, (AssetId(0), Amount::ZERO), Named::default()),
                None => Half::InOrder,
            },
            OrderMessage::Amend(Amend::Cancel(ids)) => {
                let mut all = None;
                let mut first = Named::default();
                for (place, &id) in ids.iter().enumerate() {
                    let named = if place == 0 { named(id) } else { self.named(account, id, None) };
                    if place == 0 {
                        first = named;
                    }
                    match (self.place_of(&named, slot, lane), all) {
                        (Some(place), None) => all = Some(place.market),
                        (Some(place), Some(other)) if place.market != other => return Half::InOrder,
                        _ => {}
                    }
                }
                match all {
                    Some(market) if self.plannable(market).is_some() => {
                        Half::Of(market, (AssetId(0), Amount::ZERO), first)
                    }
                    Some(_) => Half::InOrder,
                    None => Half::Nothing(Rejection::new(RejectionCode::NoOrder, first.id)),
                }
            }
            &OrderMessage::Amend(Amend::Change { id, price, quantity }) => {
                let named = named(id);
                let Some(place) = self.place_of(&named, slot, lane) else {
                    return Half::Nothing(Rejection::new(RejectionCode::NoOrder, id));
                };
                let market = self.plannable(place.market).zip(place.side);
                match market.map(|(market, side)| market.given(side, quantity, price)) {
                    Some((asset, Some(most))) => Half::Of(place.market, (asset, most), named),
                    _ => Half::InOrder,
                }
            }
        }
    }

    /// An account's order of an id, by its tag if that is known.
    fn named(&self, account: &Address, id: u64, tag: Option<u64>) -> Named {
        let tag = tag.unwrap_or_else(|| self.known.order_tag(account, id));
        Named { id, tag, found: self.known.find_order(account, id, tag) }
    }

    /// Where an order of this name waited before the block.
    fn before(&self, named: &Named) -> Option<Whereabouts> {
        named.found.and_then(|found| self.known.order(found)).map(Whereabouts::of)
    }

    /// Where an order of this name was placed, before the block or in it.
    fn place_of(&self, named: &Named, slot: Slot, lane: &Lane) -> Option<Whereabouts> {
        // What was placed in the block knows where others of its name were before.
        lane.said.of((slot, named.id), named.tag).or_else(|| self.before(named))
    }

    /// A market of whose orders all that there are count.
    fn plannable(&self, market: MarketId) -> Option<&MarketState> {
        let known = &self.known;
        let found = known.market(market)?;
        let is_paid = || found.fee_basis_points == 0 || known.find(&found.fee_account).is_some();
        (known.is_plain(found.base) && known.is_plain(found.quote) && is_paid()).then_some(found)
    }

    /// Enters the markets of a message that isn't certain.
    fn goes_in_order(&self, said: &OrderMessage, account: &Address, (slot, position): (Slot, u32), lane: &mut Lane) {
        let ids = match said.about() {
            About::Market(market) => return lane.in_order.enter(market, position),
            About::Orders(ids) => ids,
        };
        for &id in ids {
            let named = self.named(account, id, None);
            let since = lane.said.of((slot, id), named.tag);
            let both = self.before(&named).into_iter().chain(since);
            both.for_each(|place| lane.in_order.enter(place.market, position));
        }
    }

    /// Enters the markets that an operation may be about which no account's shard decides on.
    pub(super) fn touch_books(
        &self,
        operation: EncodedOperation<'_>,
        source: &Address,
        (position, in_order): (u32, &mut InOrder),
    ) {
        let Some(said) = operation.message() else { return };
        let ids = match said.about() {
            About::Market(market) => return in_order.enter(market, position),
            About::Orders(ids) => ids,
        };
        // Who isn't there has placed none but in order.
        let Some(slot) = self.known.find(source) else { return };
        for &id in ids {
            let named = self.named(source, id, None);
            self.before(&named).into_iter().for_each(|place| in_order.enter(place.market, position));
            in_order.placed.push((slot, id, named.tag, position));
        }
    }

    /// Whether orders can be planned on the table of entries.
    pub(super) fn has_plans(&self) -> bool {
        self.can_promise && self.known.entry_count() < MADE
    }
}

/// All messages of a block whose accounts' halves are done, and how they go. Kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// As the portions of the shards have found them, each by ascending positions.
    lists: Vec<Vec<Message>>,
    /// By position in the block: the list and the place in it.
    at: Vec<Option<(u32, u32)>>,
    /// The same by ascending positions.
    all: Vec<Turn>,
    /// Markets that are planned, with places in that.
    markets: Vec<(MarketId, Vec<u32>)>,
    /// Those with most messages first.
    turns: Vec<u32>,
    /// Those that aren't, or only up to a position.
    odd: InOrder,
}

/// A message in its turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    list: u32,
    place: u32,
    /// The market among those that are planned, if it is.
    market: Option<u32>,
}

impl Messages {
    /// Takes what a portion of the shards has found.
    pub(super) fn take(&mut self, messages: &mut Vec<Message>) {
        self.lists.push(std::mem::take(messages));
    }

    /// Gives memory back.
    pub(super) fn give_back(&mut self) -> impl Iterator<Item = Vec<Message>> {
        self.lists.drain(..)
    }

    /// Sorts what was taken of a block with so many transactions, given the markets that can't be planned.
    pub(super) fn sort(&mut self, count: u32, mut odd: InOrder, is_late: bool) {
        let Self { lists, at, all, markets, turns, .. } = self;
        at.clear();
        all.clear();
        markets.clear();
        turns.clear();
        odd.markets.iter_mut().filter(|_| is_late).for_each(|(_, from)| *from = from.saturating_add(2));
        odd.markets.sort_unstable();
        at.resize(count as usize, None);
        for (list, messages) in (0..).zip(lists.iter()) {
            for (place, message) in (0..).zip(messages) {
                if let Some(at) = at.get_mut(message.position as usize) {
                    *at = Some((list, place));
                }
            }
        }
        // Where each begins to go in order, and the place of the others.
        let mut known: BTreeMap<MarketId, (u32, Option<u32>)> = BTreeMap::new();
        for (list, place) in at.iter().flatten().copied() {
            let Some(message) = lists.get(list as usize).and_then(|list| list.get(place as usize)) else { continue };
            let begin = || (odd.of(message.market).unwrap_or(u32::MAX), None);
            let (from, market) = known.entry(message.market).or_insert_with(begin);
            let market = (message.position < *from).then(|| {
                *market.get_or_insert_with(|| {
                    markets.push((message.market, Vec::new()));
                    index(markets.len() - 1)
                })
            });
            if let Some((_, own)) = market.and_then(|market| markets.get_mut(market as usize)) {
                own.push(index(all.len()));
            }
            all.push(Turn { list, place, market });
        }
        turns.extend((0..).take(markets.len()));
        turns.sort_by_key(|&market| std::cmp::Reverse(markets.get(market as usize).map_or(0, |(_, own)| own.len())));
        self.odd = odd;
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// How many are planned.
    pub(super) fn planned(&self) -> usize {
        self.markets.iter().map(|(_, own)| own.len()).sum()
    }

    /// How many stand before a position.
    pub(super) fn before(&self, position: u32) -> usize {
        let stands_before = |turn: &Turn| self.message(turn).is_some_and(|message| message.position < position);
        self.all.partition_point(stands_before)
    }

    fn message(&self, turn: &Turn) -> Option<&Message> {
        self.lists.get(turn.list as usize)?.get(turn.place as usize)
    }

    /// A message by its turn, and the number of its market's plan if that has one.
    pub(super) fn get(&self, turn: usize) -> Option<(&Message, Option<u32>)> {
        let turn = self.all.get(turn)?;
        Some((self.message(turn)?, turn.market))
    }

    /// What plans come to for the accounts of a portion of the shards: what was reserved for their messages is given back, and what they get and
    /// give is entered. What those get that are contended waits for its position.
    pub(super) fn settle<'a>(
        &self,
        phases: &Phases<'_>,
        (number, portion): (usize, &mut Portion<'_>),
        plans: impl Iterator<Item = &'a Plans>,
    ) {
        let own = self.lists.get(number).map(Vec::as_slice).unwrap_or_default();
        for (at, message) in own.iter().enumerate() {
            bring(portion, phases, |ahead| own.get(at.saturating_add(ahead)).map(|own| (own.slot, own.reserved.0)));
            let (owner, (asset, reserved)) = (phases.layout.place(message.slot), message.reserved);
            if reserved != Amount::ZERO
                && self.odd.of(message.market).is_none_or(|from| message.position < from)
                && let Some(shard) = portion.shard_mut(owner)
            {
                shard.give_reserve_back(owner, asset, reserved);
            }
        }
        let defers = !phases.has(PlantedOrder::UndeferredCredit);
        for plan in plans {
            let shifted = plan.shifted(number);
            for (at, &own) in shifted.iter().enumerate() {
                bring(portion, phases, |ahead| shifted.get(at.saturating_add(ahead)).map(|own| (own.slot, own.asset)));
                let Shifted { position, slot, asset, shift } = own;
                if defers && portion.lane.contended.of(slot).is_some_and(|from| position > from) {
                    portion.lane.shifted.push(own);
                    continue;
                }
                let owner = phases.layout.place(slot);
                let Portion { shards, first, lane } = &mut *portion;
                if let Some(shard) = shards.get_mut(owner.shard.wrapping_sub(*first)) {
                    shard.shift((slot, owner), asset, shift, &mut lane.flows);
                }
            }
        }
    }

    /// Plans some of the markets: every so manyth from one on.
    pub(super) fn plan(
        &self,
        phases: &Phases<'_>,
        (plans, memory): (&mut Plans, &mut Memory),
        (first, step): (usize, usize),
    ) {
        plans.begin(phases.uncertain.len());
        for &turn in self.turns.iter().skip(first).step_by(step) {
            let Some((market, own)) = self.markets.get(turn as usize) else { continue };
            let messages = own.iter().filter_map(|&place| Some(self.get(place as usize)?.0));
            plan(phases, *market, messages, plans.next(turn), memory);
        }
    }
}

/// Brings balances closer that are changed soon, a step at a time; `soon` says which is after so many.
#[inline]
fn bring(portion: &Portion<'_>, phases: &Phases<'_>, soon: impl Fn(usize) -> Option<(Slot, AssetId)>) {
    for (ahead, step) in [(12, 0), (8, 1), (4, 2)] {
        let Some((slot, asset)) = soon(ahead) else { continue };
        let owner = phases.layout.place(slot);
        let Some(shard) = portion.shard(owner) else { continue };
        match step {
            0 => shard.prefetch(owner),
            step => shard.prefetch_balance(owner, asset, step == 2),
        }
    }
}
