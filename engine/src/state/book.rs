//! What orders ask of a book, what they do to it, and how they trade: the same whether the book is the ledger's own or one that is planned beside
//! others.

use super::entries::{MarketState, OrderState};
use super::{Asset, Slot, facts};
use crate::ops::Source;
use crate::types::{
    Address, Amount, AssetId, AssetPolicy, AssetTerms, Happening, MarketId, Rejection, RejectionCode, Side, Time,
};

/// The most orders that wait which those of one transaction meet, or which it takes back market by market.
pub(crate) const ORDERS_MET_MAX: usize = 32;

/// The markets as an order finds them.
///
/// A number names an order that waits from when it is opened until it is closed.
pub(crate) trait Book: Sized {
    /// The time of the block.
    fn time(&self) -> Time;

    /// What is known of an asset.
    fn asset(&self, asset: AssetId) -> Result<&Asset, Rejection>;

    /// Its terms; zeros where it has none.
    fn terms_of(&self, asset: &Asset, id: AssetId) -> AssetTerms;

    /// A market by its number.
    fn market(&self, market: MarketId) -> Result<&MarketState, Rejection>;

    /// Writes a market that has changed.
    fn set_market(&mut self, market: MarketId, after: MarketState);

    /// What the policies of both assets have against somebody trading in them.
    fn check_trader(&self, market: &MarketState, trader: &Address) -> Result<(), Rejection>;

    /// Whether an order that waits can trade now: it isn't over, and nothing stands against its owner trading. All is known of the assets.
    fn can_trade(&self, trades: &Trades, order: &OrderState) -> bool;

    /// The account that an amount is to be taken from; refuses what isn't there.
    fn source(&self, source: Source<'_>, asset: AssetId, amount: Amount) -> Result<Slot, Rejection>;

    /// Whose order this is: an order that waits.
    fn owner_of<'b>(&self, number: u32, order: &'b OrderState) -> Source<'b>;

    /// An order of the source's that waits, with its number, unless it is over.
    fn own_order(&self, owner: Source<'_>, id: u64) -> Option<(u32, OrderState)>;

    /// The numbers of the source's orders that wait, by their ids, as many as there is room for.
    fn find_orders<const N: usize>(
        &self,
        owner: Source<'_>,
        ids: &[u64],
        numbers: &mut [u32; N],
    ) -> Result<(), Rejection>;

    /// The numbers of the source's orders in a market, the newest first.
    fn own_orders(&mut self, market: MarketId, owner: Source<'_>, most: usize) -> Vec<u32>;

    /// Makes sure that an id is free: one that is over and still in its place is ended. Gives the tag by which it is going to be looked for.
    fn free_order(&mut self, owner: Source<'_>, id: u64) -> Result<u64, Rejection>;

    /// The best order that waits on a side, with its number.
    fn first_order(&self, market: MarketId, side: Side) -> Option<(u32, OrderState)>;

    /// The orders that wait on a side, the best first, whether they count or not.
    fn orders(&self, market: MarketId, side: Side) -> impl Iterator<Item = OrderState>;

    /// How many more orders the transaction may meet.
    fn orders_left(&self) -> usize;

    /// Counts an order that was met.
    fn meet(&mut self);

    /// Makes sure that what is done can be undone if there is no place for an order in the end.
    fn expect_place(&mut self);

    /// From here on changes are journalled. For what has changed nothing yet and may be rejected after it has.
    fn begin_journal(&mut self);

    /// Lets an order wait, for whose name there is this tag; what it gives is yet to be set aside. Gives its number.
    fn enter_order(&mut self, order: OrderState, owner: Slot, tag: u64) -> Result<u32, Rejection>;

    /// Takes an order that waits out of its place.
    fn close_order(&mut self, number: u32) -> Option<OrderState>;

    /// Leaves an order so many lots. Its place among others stays.
    fn reduce_order(&mut self, number: u32, left: u64);

    /// Changes an order. It stays where it is if its price and its priority do.
    fn replace_order(&mut self, number: u32, after: OrderState);

    /// Brings closer what trading with an order and with those behind it needs.
    fn bring_line(&self, number: u32);

    /// Adds to what an account can spend.
    fn credit(&mut self, slot: Slot, asset: AssetId, amount: Amount);

    /// Takes from what an account can spend; the caller has made sure that it is there. This and what follows.
    fn debit(&mut self, slot: Slot, asset: AssetId, amount: Amount);

    /// Takes from what an account has set aside.
    fn deliver_held(&mut self, slot: Slot, asset: AssetId, amount: Amount);

    /// Moves a part of what an account can spend to what it has set aside.
    fn set_aside(&mut self, slot: Slot, asset: AssetId, amount: Amount);

    /// Gives what was set aside back.
    fn give_back(&mut self, owner: Source<'_>, asset: AssetId, amount: Amount);

    /// Takes some of an asset out of the world.
    fn burn(&mut self, asset: AssetId, amount: Amount) -> Result<(), Rejection>;

    /// The slot of an account, if it has come into being.
    fn find_account(&self, address: &Address) -> Option<Slot>;

    /// The slot of an account, which comes into being if it hasn't.
    fn open_account(&mut self, address: &Address) -> Result<Slot, Rejection>;

    /// Tells what happens to an account.
    fn tell(&mut self, account: Address, what: Happening);

    /// Enters a fee that somebody got, of which it is yet to be told.
    fn collect(&mut self, account: Address, asset: AssetId, amount: Amount);

    /// Tells whoever got fees how much they were, in the order in which they first came.
    fn tell_collected(&mut self);

    /// Refuses an end that has come.
    fn check_expiry(&self, expiry: Option<Time>) -> Result<(), Rejection> {
        facts::check_expiry(expiry, self.time())
    }

    /// Whether something counts no more.
    fn is_over(&self, expiry: Option<Time>) -> bool {
        facts::is_over(expiry, self.time())
    }

    /// Lets an order wait, for whose name there is this tag, and sets aside what it gives.
    fn open_order(
        &mut self,
        order: OrderState,
        (owner, tag): (Slot, u64),
        (asset, given): (AssetId, Amount),
    ) -> Result<(), Rejection> {
        self.enter_order(order, owner, tag)?;
        self.set_aside(owner, asset, given);
        Ok(())
    }

    /// Refuses a price at which an order would trade. What no longer counts is taken out of the book as it is met.
    fn check_crosses_nothing(&mut self, market: MarketId, side: Side, price: u64) -> Result<(), Rejection> {
        loop {
            let Some((number, order)) = self.first_order(market, side.other()) else { return Ok(()) };
            if !side.crosses(price, order.price) {
                return Ok(());
            }
            if self.orders_left() == 0 {
                return Err(Rejection::new(RejectionCode::WouldCross, price));
            }
            if self.counts(&order) {
                return Err(Rejection::new(RejectionCode::WouldCross, order.price));
            }
            self.begin_journal();
            self.meet();
            self.end_order(number, &order);
        }
    }

    /// Whether an order that waits can trade now: it isn't over, and nothing stands against its owner trading.
    fn counts(&self, order: &OrderState) -> bool {
        let allowed = |market: &MarketState| self.check_trader(market, &order.owner).is_ok();
        !self.is_over(order.expiry) && self.market(order.market).is_ok_and(allowed)
    }

    /// Takes an order out of its book and gives back what was set aside for it; its owner is told.
    fn end_order(&mut self, number: u32, order: &OrderState) {
        let owner = self.owner_of(number, order);
        if let Some((asset, amount)) = close(self, number, true) {
            self.give_back(owner, asset, amount);
        }
    }

    /// The same for several of one owner's, who is told if it doesn't know. What it gets back is summed up first: mostly it is of one market.
    fn end_orders(&mut self, owner: Source<'_>, numbers: &[u32], is_told: bool) {
        let mut sums = [(AssetId(0), Amount::ZERO); 2];
        for &number in numbers {
            let Some((asset, amount)) = close(self, number, is_told) else { continue };
            let place = sums.iter().position(|&(own, sum)| own == asset || sum == Amount::ZERO).unwrap_or(0);
            let (own, sum) = &mut sums[place];
            if *own != asset {
                give_back_some(self, owner, *own, *sum);
                (*own, *sum) = (asset, Amount::ZERO);
            }
            // Both are part of what is issued.
            sum.0 = sum.0.saturating_add(amount.0);
        }
        sums.into_iter().for_each(|(asset, sum)| give_back_some(self, owner, asset, sum));
    }

    /// Looks up what the trades of an order on this side need.
    fn begin_trades(&self, market: MarketState, side: Side) -> Result<Trades, Rejection> {
        let traded = |id| {
            let asset = *self.asset(id)?;
            Ok(Traded { id, asset, terms: self.terms_of(&asset, id), fee: Amount::ZERO, burnt: Amount::ZERO })
        };
        let (given, got) = match side {
            Side::Buy => (market.quote, market.base),
            Side::Sell => (market.base, market.quote),
        };
        let (given, got) = (traded(given)?, traded(got)?);
        Ok(Trades { market, given, got, paid: Amount::ZERO, kept: Amount::ZERO, collected: Amount::ZERO })
    }

    /// Trades some lots with an order that waits; gives the quote that was paid. What the taker gives and gets is summed up, and so are the fees,
    /// of which it is yet to be told who got them.
    fn trade(
        &mut self,
        trades: &mut Trades,
        taker: &Address,
        (number, order): (u32, &OrderState),
        quantity: u64,
    ) -> Amount {
        let Trades { market, given, got, .. } = trades;
        let base = market.base_of(quantity);
        // What waits is set aside, so there is as much of it.
        let quote = market.quote_of(quantity, order.price).unwrap_or(Amount::MAX);
        let (given_amount, got_amount) = match order.side {
            Side::Sell => (quote, base),
            Side::Buy => (base, quote),
        };
        let owner = self.owner_of(number, order);
        match order.quantity.saturating_sub(quantity) {
            0 => drop(self.close_order(number)),
            left => self.reduce_order(number, left),
        }
        let (kept, credited) = given.deliver(&order.owner, given_amount);
        collect_fee(self, given, given_amount, kept);
        // Whoever has an order that waits has an account.
        if let Some(slot) = owner.slot.or_else(|| self.find_account(owner.address)) {
            self.deliver_held(slot, got.id, got_amount);
            credit_some(self, slot, given.id, credited);
        }
        let fee = got_amount.basis_points(market.fee_basis_points);
        let got_amount = Amount(got_amount.0.saturating_sub(fee.0));
        let (kept, credited) = got.deliver(taker, got_amount);
        collect_fee(self, got, got_amount, kept);
        trades.kept.0 = trades.kept.0.saturating_add(credited.0);
        if fee != Amount::ZERO {
            let (kept, credited) = got.deliver(&market.fee_account, fee);
            collect_fee(self, got, fee, kept);
            self.collect(market.fee_account, got.id, kept);
            trades.collected.0 = trades.collected.0.saturating_add(credited.0);
        }
        trades.paid.0 = trades.paid.0.saturating_add(given_amount.0);
        let &OrderState { market: id, id: own, price, .. } = order;
        self.tell(order.owner, Happening::Traded { market: id, order: own, price, quantity });
        market.trades = market.trades.saturating_add(1);
        market.volume = market.volume.saturating_add(u128::from(quantity));
        market.last_price = order.price;
        quote
    }

    /// Enters what the trades of an order have come to; gives the market as it is now.
    fn end_trades(&mut self, trades: Trades, taker: Slot) -> Result<MarketState, Rejection> {
        let Trades { market, given, got, paid, kept, collected } = trades;
        self.debit(taker, given.id, paid);
        credit_some(self, taker, got.id, kept);
        if collected != Amount::ZERO {
            let slot = self.open_account(&market.fee_account)?;
            self.credit(slot, got.id, collected);
        }
        for Traded { id, asset, terms, fee, mut burnt } in [given, got] {
            if terms.fee_account == asset.issuer {
                burnt.0 = burnt.0.saturating_add(fee.0);
            } else if fee != Amount::ZERO {
                let slot = self.open_account(&terms.fee_account)?;
                self.credit(slot, id, fee);
            }
            if burnt != Amount::ZERO {
                self.burn(id, burnt)?;
            }
        }
        Ok(market)
    }
}

fn give_back_some(book: &mut impl Book, owner: Source<'_>, asset: AssetId, amount: Amount) {
    if amount != Amount::ZERO {
        book.give_back(owner, asset, amount);
    }
}

/// Takes an order out of its book; gives what was set aside for it.
fn close(book: &mut impl Book, number: u32, is_told: bool) -> Option<(AssetId, Amount)> {
    let order = book.close_order(number)?;
    // An order waits in a market, which is for ever.
    let (asset, given) = book.market(order.market).ok()?.given(order.side, order.quantity, order.price);
    let amount = given.unwrap_or(Amount::ZERO);
    if is_told {
        book.tell(order.owner, Happening::OrderEnded { order: order.id, asset, amount });
    }
    Some((asset, amount))
}

/// Enters whose an asset's fee is: what of an amount the payee doesn't keep.
fn collect_fee(book: &mut impl Book, traded: &Traded, amount: Amount, kept: Amount) {
    if kept != amount {
        book.collect(traded.terms.fee_account, traded.id, Amount(amount.0.saturating_sub(kept.0)));
    }
}

/// Adds to what an account can spend, unless it is nothing.
fn credit_some(book: &mut impl Book, slot: Slot, asset: AssetId, amount: Amount) {
    if amount != Amount::ZERO {
        book.credit(slot, asset, amount);
    }
}

/// Fees of an operation that nobody was told of yet: whose, in what, how much.
#[derive(Debug, Default)]
pub(crate) struct Collected(Vec<(Address, AssetId, Amount)>);

impl Collected {
    /// Enters a fee that somebody got. Of one asset it is one sum however often it came.
    pub(crate) fn add(&mut self, account: Address, asset: AssetId, amount: Amount) {
        if amount == Amount::ZERO {
            return;
        }
        match self.0.iter_mut().find(|(whose, what, _)| (*whose, *what) == (account, asset)) {
            // All of it is part of what is issued.
            Some((_, _, sum)) => sum.0 = sum.0.saturating_add(amount.0),
            None => self.0.push((account, asset, amount)),
        }
    }

    /// Takes the one that came first.
    pub(crate) fn next(&mut self) -> Option<(Address, AssetId, Amount)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The trades of one order with those that wait: what was looked up for all of them, and what they have come to.
#[derive(Debug)]
pub(crate) struct Trades {
    pub(crate) market: MarketState,
    /// What the taker gives, and what it gets.
    given: Traded,
    got: Traded,
    /// How much the taker has given.
    paid: Amount,
    /// How much it has got.
    kept: Amount,
    /// How much of that went to whom the market's fees go to.
    collected: Amount,
}

impl Trades {
    /// Both assets, with their terms.
    pub(super) const fn assets(&self) -> [(AssetId, &Asset, &AssetTerms); 2] {
        let Self { given, got, .. } = self;
        [(given.id, &given.asset, &given.terms), (got.id, &got.asset, &got.terms)]
    }
}

/// An asset that is traded.
#[derive(Debug)]
struct Traded {
    id: AssetId,
    asset: Asset,
    terms: AssetTerms,
    /// How much its own fees have come to.
    fee: Amount,
    /// How much has come to its issuer.
    burnt: Amount,
}

impl Traded {
    /// Lets somebody have an amount, less the asset's fee: what is kept of it, and what that adds to the payee's account, which is nothing if it
    /// is the issuer.
    fn deliver(&mut self, payee: &Address, amount: Amount) -> (Amount, Amount) {
        if *payee == self.asset.issuer {
            self.burnt.0 = self.burnt.0.saturating_add(amount.0);
            return (amount, Amount::ZERO);
        }
        if !self.asset.policy.has(AssetPolicy::FEE) {
            return (amount, amount);
        }
        let fee = self.terms.fee(amount).0.min(amount.0);
        self.fee.0 = self.fee.0.saturating_add(fee);
        let kept = Amount(amount.0.saturating_sub(fee));
        (kept, kept)
    }
}
