//! Following one account, or one market, as its blocks become durable: from any height on, without a scan of everything.
//!
//! A follower reads the log, below the watermark, at its own pace. It holds nothing up and is held up by nobody: there is no queue between it and
//! the engine that could fill. One so slow that blocks it hasn't seen were retired is told so, and where it goes on.
//!
//! Which blocks to look into an index of filters says (`index.rs`); what is told is read from the blocks themselves.

mod filter;
mod index;
mod run;

pub(crate) use filter::Mark;
pub(crate) use index::{FollowIndex, Hint};

use crate::error::{FollowError, ReadError};
use crate::log::{LogReader, Storage};
use crate::ops::Operation;
use crate::query::StoredBlock;
use crate::transaction::TransactionRef;
use crate::types::{Address, BlockHeader, Event, Happening, Height, MarketId, Outcome, Side};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whom or what somebody follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Account(Address),
    Market(MarketId),
}

impl Subject {
    fn mark(&self) -> Mark {
        match self {
            Self::Account(account) => Mark::account(account),
            Self::Market(market) => Mark::market(*market),
        }
    }
}

/// Says which blocks to look into; hides on which disk the index is.
pub(crate) trait Hints: Send + Sync {
    /// The first durable blocks from a height on that may concern somebody.
    fn hint(&self, mark: Mark, from: u64) -> Result<Hint, ReadError>;
}

impl<S: Storage> Hints for FollowIndex<S> {
    fn hint(&self, mark: Mark, from: u64) -> Result<Hint, ReadError> {
        self.look(mark, from)
    }
}

/// What concerns an account, or the trades of a market, block by block as they become durable. Ends at the tip, and can be asked again when more
/// is durable.
pub struct Follow {
    subject: Subject,
    hints: Arc<dyn Hints>,
    reader: LogReader,
    /// The next height to be looked into, or before.
    next: u64,
    /// The last height that a hint has named.
    named: Option<u64>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follow({:?}, next: {})", self.subject, self.next)
    }
}

impl Follow {
    fn new(subject: Subject, hints: Arc<dyn Hints>, reader: LogReader, from: Height) -> Self {
        Self { subject, hints, reader, next: from.0.max(1), named: None }
    }

    pub(crate) fn account(account: Address, hints: Arc<dyn Hints>, reader: LogReader, from: Height) -> Self {
        Self::new(Subject::Account(account), hints, reader, from)
    }

    pub(crate) fn market(market: MarketId, hints: Arc<dyn Hints>, reader: LogReader, from: Height) -> Self {
        Self::new(Subject::Market(market), hints, reader, from)
    }

    /// Everything below this height was told. Whoever follows again from here on misses nothing and hears nothing twice.
    #[must_use]
    pub const fn next_height(&self) -> Height {
        Height(self.next)
    }

    /// How many durable blocks haven't been looked into.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.reader.watermark().saturating_add(1).saturating_sub(self.next)
    }

    /// The next notice, waited for if there is none yet; `None` when the time is up or the engine has stopped.
    pub fn next_within(&mut self, time: Duration) -> Option<Result<Notice, FollowError>> {
        let deadline = Instant::now().checked_add(time);
        loop {
            if let Some(notice) = self.next() {
                return Some(notice);
            }
            let left = deadline.map_or(time, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.reader.wait_beyond(self.next.saturating_sub(1), left) < self.next {
                return None;
            }
        }
    }

    /// Goes on to the next block that may concern the subject; `None` at the tip.
    fn step(&mut self) -> Result<Option<Notice>, FollowError> {
        loop {
            let first = self.reader.first_height();
            if self.next < first {
                let at = Height(self.next);
                (self.next, self.named) = (first, None);
                return Err(FollowError::Lagged { at, next: Height(first) });
            }
            if self.named.is_none_or(|last| last < self.next) {
                match self.hints.hint(self.subject.mark(), self.next)? {
                    Hint::Nothing { next } => {
                        self.next = next.max(self.next);
                        return Ok(None);
                    }
                    Hint::Maybe { first, last } => (self.next, self.named) = (first.max(self.next), Some(last)),
                }
            }
            let height = Height(self.next);
            let failed = |error: crate::log::ReadError| ReadError { height, reason: error.to_string() };
            // One that isn't there any more was retired meanwhile.
            let Some(record) = self.reader.read(self.next).map_err(failed)? else { continue };
            let notice = Notice::of(StoredBlock::new(record), &self.subject)?;
            self.next = self.next.saturating_add(1);
            if notice.is_some() {
                return Ok(notice);
            }
        }
    }
}

impl Iterator for Follow {
    type Item = Result<Notice, FollowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// What one block holds for whoever follows.
#[derive(Clone, Debug)]
pub struct Notice {
    block: StoredBlock,
    transactions: Vec<Found>,
    events: Vec<Event>,
    trades: Vec<Trade>,
}

/// A transaction in the body of a block.
#[derive(Clone, Debug)]
struct Found {
    position: u32,
    bytes: Range<usize>,
    outcome: Outcome,
}

/// A trade: an order took another that waited, at the price of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Place in the block of the transaction whose order took.
    pub position: u32,
    /// In which market.
    pub market: MarketId,
    /// Whose order took.
    pub taker: Address,
    /// Which of the taker's.
    pub taker_order: u64,
    /// Which side the taker was on.
    pub side: Side,
    /// Whose order had waited.
    pub maker: Address,
    /// Which of the maker's.
    pub maker_order: u64,
    /// In ticks per lot.
    pub price: u64,
    /// In lots.
    pub quantity: u64,
}

impl Notice {
    /// What of a block concerns somebody, if anything does.
    fn of(block: StoredBlock, subject: &Subject) -> Result<Option<Self>, ReadError> {
        let view = block.view()?;
        let events: Vec<Event> = view.events().collect();
        let mut own: Vec<Event> = Vec::new();
        let mut found = Vec::new();
        let mut trades = Vec::new();
        let mut start = 0;
        let mut rest = events.as_slice();
        let mut take = |position: Option<u32>| {
            let count = rest.iter().take_while(|event| event.position == position).count();
            let (taken, after) = rest.split_at(count);
            rest = after;
            taken
        };
        let concerns = |event: &Event| match (subject, event.what) {
            (Subject::Account(account), _) => event.account == *account,
            (Subject::Market(id), Happening::Traded { market, .. }) => market == *id,
            (Subject::Market(_), _) => false,
        };
        own.extend(told_with_owner(take(None), concerns));
        for ((transaction, outcome), position) in view.transactions().zip(0_u32..) {
            let bytes = start..start + transaction.bytes().len();
            start = bytes.end;
            let events = take(Some(position));
            let mut is_named = false;
            if let Subject::Account(account) = subject {
                transaction.concerns(&mut |other| is_named |= other == account);
            }
            let told = events.iter().any(concerns);
            if !is_named && !told {
                continue;
            }
            found.push(Found { position, bytes, outcome });
            let seen: Vec<Event> = events.iter().copied().filter(|event| is_named || concerns(event)).collect();
            trades.extend(trades_of(&transaction, &seen));
            own.extend(seen);
        }
        let is_empty = found.is_empty() && own.is_empty();
        Ok((!is_empty).then_some(Self { block, transactions: found, events: own, trades }))
    }

    /// The block's header.
    #[must_use]
    pub const fn header(&self) -> &BlockHeader {
        self.block.header()
    }

    /// The transactions in the block that the account has signed or that name it, or in which something happened to it, each with its
    /// position and what became of it. Of a market those that traded in it.
    pub fn transactions(&self) -> impl Iterator<Item = (u32, TransactionRef<'_>, Outcome)> {
        self.transactions.iter().filter_map(|found| {
            let (transaction, _) = TransactionRef::next_checked(self.block.body().get(found.bytes.clone())?)?;
            Some((found.position, transaction, found.outcome))
        })
    }

    /// What has happened beside: to the account, and to others by its own transactions.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The trades among it: the account's, whichever side it was on, or all of the market's.
    #[must_use]
    pub fn trades(&self) -> &[Trade] {
        &self.trades
    }
}

/// Those events before the first transaction that concern somebody; who is paid out of a hold, or isn't any more, hears whose it was.
fn told_with_owner(events: &[Event], concerns: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut ended: Option<Event> = None;
    let mut told = Vec::new();
    for event in events {
        let is_ended = matches!(event.what, Happening::HoldReleased { .. } | Happening::HoldReturned { .. });
        if is_ended {
            ended = Some(*event);
        }
        if !concerns(event) {
            continue;
        }
        if matches!(event.what, Happening::Paid { .. } | Happening::HoldLost { .. }) {
            told.extend(ended.take());
        }
        told.push(*event);
        if is_ended {
            ended = None;
        }
    }
    told
}

/// The trades of a transaction among some of its events.
fn trades_of(transaction: &TransactionRef<'_>, events: &[Event]) -> Vec<Trade> {
    let mut trades = Vec::new();
    let mut operations = (0_u16..).zip(transaction.operations()).peekable();
    for event in events {
        let Happening::Traded { market, order, price, quantity } = event.what else { continue };
        while operations.next_if(|&(place, _)| place < event.operation).is_some() {}
        let Some((_, (source, Operation::PlaceOrder(taking)))) = operations.peek() else { continue };
        let taker = transaction.signers().nth(usize::from(*source)).unwrap_or_default();
        trades.push(Trade {
            position: event.position.unwrap_or(0),
            market,
            taker,
            taker_order: taking.id,
            side: taking.side,
            maker: event.account,
            maker_order: order,
            price,
            quantity,
        });
    }
    trades
}
