//! What the messages of a market come to, step by step, and how it is entered in the ledger when their positions have come.
//!
//! Orders that the block opens have no number before that, so a plan counts them from [`MADE`] on.

use crate::state::{Book, Context, MarketState, OrderState, Shift, Slot};
use crate::types::{Address, Amount, AssetId, Happening, MarketId, Rejection, RejectionCode};

/// The number of the first order that a plan opens. Only tables of fewer places are planned on.
pub(super) const MADE: u32 = 1 << 31;
/// The number of no order.
pub(super) const NOBODY: u32 = u32::MAX;

/// A change of the ledger.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The order of this place among those that the plan opens.
    Open(u32),
    Close(u32),
    Reduce(u32, u64),
    /// Makes another order of it: that of this place among those.
    Replace(u32, u32),
    Burn(AssetId, Amount),
    /// What stands in this place among what is told.
    Tell(u32),
}

/// What an account gets or gives at a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shifted {
    pub position: u32,
    pub slot: Slot,
    pub asset: AssetId,
    pub shift: Shift,
}

/// An order that a plan opens.
#[derive(Debug)]
struct Opened {
    order: OrderState,
    owner: Slot,
    tag: u64,
    /// Where it is, once it is entered.
    number: u32,
}

/// What the messages of a market come to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The number by which it is asked for.
    number: u32,
    market: MarketId,
    /// The market behind all of them, if it has changed.
    after: Option<MarketState>,
    steps: Vec<Step>,
    opened: Vec<Opened>,
    replaced: Vec<OrderState>,
    told: Vec<(Address, Happening)>,
    /// By message: where its steps end, and why it is rejected if it is.
    ends: Vec<(usize, Option<Rejection>)>,
    /// Steps and messages that are entered.
    entered: (usize, usize),
}

/// Some plans, kept for their memory.
#[derive(Debug, Default)]
pub(super) struct Plans {
    all: Vec<Plan>,
    used: usize,
    shifts: Shifts,
}

/// What accounts get and give by some plans, by portion of the shards.
#[derive(Debug, Default)]
pub(super) struct Shifts(Vec<Vec<Shifted>>);

impl Shifts {
    /// Adds to what an account of a portion has; what follows each other is one.
    pub(super) fn add(&mut self, portion: usize, shifted: Shifted) {
        let Some(all) = self.0.get_mut(portion) else { return };
        let whose = |shifted: &Shifted| (shifted.position, shifted.slot, shifted.asset);
        match all.last_mut() {
            Some(last) if whose(last) == whose(&shifted) => last.shift = last.shift.and(shifted.shift),
            _ => all.push(shifted),
        }
    }
}

/// Entries of a list that are kept for the next block however few that needs.
const KEPT_MAX: usize = 1 << 15;

/// Empties a list without keeping memory for the worst that there ever was.
pub(super) fn empty<T>(list: &mut Vec<T>) {
    list.clear();
    list.shrink_to(KEPT_MAX);
}

impl Plans {
    /// Begins a block, with so many portions of the shards.
    pub(super) fn begin(&mut self, portions: usize) {
        self.used = 0;
        self.shifts.0.resize_with(portions, Vec::new);
        self.shifts.0.iter_mut().for_each(empty);
    }

    /// One that is yet to be made, of this number, and what accounts get and give by all of them.
    pub(super) fn next(&mut self, number: u32) -> (&mut Plan, &mut Shifts) {
        if self.used == self.all.len() {
            self.all.push(Plan::default());
        }
        self.used += 1;
        let plan = &mut self.all[self.used - 1];
        plan.number = number;
        (plan, &mut self.shifts)
    }

    /// What accounts of a portion of the shards get and give.
    pub(super) fn shifted(&self, portion: usize) -> &[Shifted] {
        self.shifts.0.get(portion).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those of the block.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Plan> {
        self.all.iter_mut().take(self.used)
    }
}

impl Plan {
    /// Begins one for a market.
    pub(super) fn begin(&mut self, market: MarketId) {
        let Self { steps, opened, replaced, told, ends, .. } = self;
        empty(steps);
        empty(opened);
        empty(replaced);
        empty(told);
        empty(ends);
        (self.market, self.after, self.entered) = (market, None, (0, 0));
    }

    /// Opens an order; gives the number by which the plan knows it.
    pub(super) fn open(&mut self, order: OrderState, owner: Slot, tag: u64) -> u32 {
        let place = index(self.opened.len());
        let number = MADE.saturating_add(place);
        self.opened.push(Opened { order, owner, tag, number });
        self.steps.push(Step::Open(place));
        number
    }

    pub(super) fn close(&mut self, number: u32) {
        self.steps.push(Step::Close(number));
    }

    pub(super) fn reduce(&mut self, number: u32, left: u64) {
        self.steps.push(Step::Reduce(number, left));
    }

    pub(super) fn replace(&mut self, number: u32, after: OrderState) {
        self.steps.push(Step::Replace(number, index(self.replaced.len())));
        self.replaced.push(after);
    }

    pub(super) fn burn(&mut self, asset: AssetId, amount: Amount) {
        self.steps.push(Step::Burn(asset, amount));
    }

    pub(super) fn tell(&mut self, account: Address, what: Happening) {
        self.steps.push(Step::Tell(index(self.told.len())));
        self.told.push((account, what));
    }

    /// Says what became of a message.
    pub(super) fn end_message(&mut self, rejection: Option<Rejection>) {
        let (before, end) = (self.ends.last().map_or(0, |&(end, _)| end), self.steps.len());
        assert!(rejection.is_none() || end == before, "what is rejected in a market where all counts changes nothing");
        self.ends.push((end, rejection));
    }

    /// Says what became of the market, if it has changed.
    pub(super) const fn end_market(&mut self, after: Option<MarketState>) {
        self.after = after;
    }

    /// The number by which it is asked for.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Enters what the next message comes to; behind the last the market too.
    pub(super) fn enter(&mut self, context: &mut Context<'_>) -> Result<(), Rejection> {
        let (start, message) = self.entered;
        let Some(&(end, rejection)) = self.ends.get(message) else { return Ok(()) };
        self.entered = (end, message.saturating_add(1));
        for &step in self.steps.get(start..end).unwrap_or_default() {
            match step {
                Step::Open(place) => {
                    let Some(opened) = self.opened.get_mut(place as usize) else { continue };
                    let number = context.enter_order(opened.order, opened.owner, opened.tag);
                    assert!(number.is_ok(), "there was room for all that may be opened");
                    opened.number = number.unwrap_or(NOBODY);
                }
                Step::Close(number) => drop(context.close_order(self.place(number))),
                Step::Reduce(number, left) => context.reduce_order(self.place(number), left),
                Step::Replace(number, place) => {
                    if let Some(&after) = self.replaced.get(place as usize) {
                        context.replace_order(self.place(number), after);
                    }
                }
                Step::Burn(asset, amount) => {
                    let burnt = context.burn(asset, amount);
                    assert!(burnt.is_ok(), "what is traded is there");
                }
                Step::Tell(place) => {
                    if let Some(&(account, what)) = self.told.get(place as usize) {
                        Book::tell(context, account, what);
                    }
                }
            }
        }
        if self.entered.1 == self.ends.len()
            && let Some(after) = self.after
        {
            context.set_market(self.market, after);
        }
        match rejection {
            Some(Rejection { code: RejectionCode::OrderExists, detail, .. }) => {
                let number = u32::try_from(detail).map_or(detail, |number| u64::from(self.place(number)));
                Err(Rejection::new(RejectionCode::OrderExists, number))
            }
            Some(rejection) => Err(rejection),
            None => Ok(()),
        }
    }

    /// The number of an order in the ledger.
    fn place(&self, number: u32) -> u32 {
        let opened = number.checked_sub(MADE).and_then(|place| self.opened.get(place as usize));
        opened.map_or(number, |opened| opened.number)
    }
}

/// There are never so many in a block.
pub(super) fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NOBODY)
}
