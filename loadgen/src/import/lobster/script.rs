//! Writes the day as a load: who orders, with which money, what every message becomes.

use super::super::build::key;
use super::super::sheet::Party;
use super::DATA_SET;
use super::floor::Act;
use super::messages::{Event, Message};
use super::opening::Opening;
use crate::failure::Failure;
use crate::generate::finish;
use crate::load::LoadWriter;
use nostro::{
    Address, Amend, Amount, AssetCode, AssetId, KeyPair, Ledger, Lifetime, MarketId, OpenMarket, Operation, PlaceOrder,
    RegisterAsset, SelfTrade, Side, Time, Transaction, Transfer,
};

/// The stock, and what it is paid in.
const STOCK: AssetId = AssetId(0);
const DOLLAR: AssetId = AssetId(1);
/// The market is the first entry of its ledger.
pub(super) const MARKET: MarketId = MarketId(0);
/// Over whom the orders are spread; then the one who takes, and the issuer.
const TRADERS: u64 = 64;
const TAKER: usize = 64;
const ISSUER: usize = 65;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Who plays, and what they need.
#[derive(Debug)]
pub(super) struct Script<'a> {
    ledger: &'a Ledger,
    code: AssetCode,
    keys: Vec<KeyPair>,
    addresses: Vec<Address>,
    /// Midnight of the day, in ms.
    midnight_ms: u64,
    /// More than anybody can need of stock and of money.
    enough: [Amount; 2],
}

/// A transaction before it has its sequence: who orders what.
type Order = (usize, Operation);

impl<'a> Script<'a> {
    pub(super) fn new(source: &str, ledger: &'a Ledger, opening: &Opening, acts: &[Act]) -> Result<Self, String> {
        let placed = acts.iter().map(|act| (act.message.size, act.message.price));
        let sizes = opening.0.iter().map(|early| (early.size, early.price)).chain(placed);
        let (mut stock, mut money) = (0_u128, 0_u128);
        for (size, price) in sizes {
            stock = stock.saturating_add(u128::from(size));
            money = money.saturating_add(u128::from(size).saturating_mul(u128::from(price)));
        }
        if stock.max(money).checked_mul(u128::from(TRADERS) + 1).is_none() {
            return Err(format!("expected sizes and prices whose sums are below 2^121, found {stock} and {money}"));
        }
        let names = (0..=TAKER as u64).map(|n| Party::Account(n.to_string()));
        let parties = names.chain([Party::Issuer("exchange".to_owned())]);
        let keys: Vec<KeyPair> = parties.map(|party| key(DATA_SET, &party)).collect();
        let addresses = keys.iter().map(KeyPair::address).collect();
        let (ticker, date) = named(source);
        let code = ticker.parse().or_else(|_| "STOCK".parse()).map_err(|error| format!("{error}"))?;
        Ok(Self { ledger, code, keys, addresses, midnight_ms: date, enough: [Amount(stock), Amount(money)] })
    }

    /// Writes setup and messages.
    pub(super) fn write(&self, opening: &Opening, acts: &[Act], writer: &mut LoadWriter) -> Result<(), Failure> {
        let mut sequences = vec![0_u64; self.keys.len()];
        let mut sign = |(who, operation): Order| {
            let missing = || Failure::new(format!("party {who}: expected a key, found none"));
            let (key, address) = (self.keys.get(who).ok_or_else(missing)?, self.addresses[who]);
            sequences[who] += 1;
            let order = Transaction::builder(address).sequence(sequences[who]).operation(address, operation);
            finish(order.build().map_err(Failure::new)?, self.ledger, Some(key))
        };
        for order in self.setup(opening)? {
            writer.setup(sign(order)?.bytes(), 1)?;
        }
        let first = acts.first().map_or(0, |act| act.message.time_ns);
        for act in acts {
            let since = act.message.time_ns.saturating_sub(first);
            let time = self.midnight_ms + act.message.time_ns / NANOSECONDS_PER_MILLISECOND;
            writer.transactions(sign(self.order(act))?.bytes(), 1, since, Some(Time(time)))?;
        }
        Ok(())
    }

    fn setup(&self, opening: &Opening) -> Result<Vec<Order>, Failure> {
        let dollar = "USD".parse().map_err(Failure::new)?;
        let mut orders: Vec<Order> = vec![
            (ISSUER, RegisterAsset::plain(self.code, 0, Amount::MAX).into()),
            // Prices are in ten-thousandths.
            (ISSUER, RegisterAsset::plain(dollar, 4, Amount::MAX).into()),
            (ISSUER, OpenMarket { base: STOCK, quote: DOLLAR, lot: 1, tick: 1, ..OpenMarket::default() }.into()),
        ];
        for &payee in self.addresses.iter().take(ISSUER) {
            for (asset, amount) in [STOCK, DOLLAR].into_iter().zip(self.enough) {
                orders.push((ISSUER, Transfer { payee, asset, amount, ..Transfer::default() }.into()));
            }
        }
        // What nobody names gets numbers that nobody uses.
        for (early, unused) in opening.0.iter().zip((0..=u64::MAX).rev()) {
            let id = early.id.unwrap_or(unused);
            orders.push((trader(id), waits(id, early.side, early.price, early.size).into()));
        }
        Ok(orders)
    }

    /// What a message is.
    fn order(&self, act: &Act) -> Order {
        let Message { line, event, id, size, price, side, .. } = act.message;
        let owner = trader(id);
        match event {
            Event::New => (owner, waits(id, side, price, size).into()),
            Event::Executed if !act.is_out_of_turn => {
                let lifetime = Lifetime::ImmediateOrCancel;
                let takes = PlaceOrder { id: line, side: side.other(), lifetime, ..waits(id, side, price, size) };
                (TAKER, takes.into())
            }
            _ if act.left == 0 => (owner, Amend::Cancel(vec![id]).into()),
            _ => (owner, Amend::Change { id, price, quantity: act.left }.into()),
        }
    }
}

/// Whose order it is.
fn trader(id: u64) -> usize {
    usize::try_from(id % TRADERS).unwrap_or(0)
}

/// An order that waits, and takes nothing.
fn waits(id: u64, side: Side, price: u64, quantity: u64) -> PlaceOrder {
    let (lifetime, self_trade) = (Lifetime::PostOnly, SelfTrade::Reject);
    PlaceOrder { market: MARKET, id, side, price, quantity, lifetime, self_trade, ..PlaceOrder::default() }
}

/// Ticker and midnight of a file such as `AAPL_2012-06-21_34200000_57600000_message_10.csv`; the first of January 1970 where there is no date.
fn named(source: &str) -> (&str, u64) {
    let mut parts = source.split('_');
    let ticker = parts.next().unwrap_or_default();
    let date = parts.next().and_then(|date| super::super::fields::written_time(&format!("{date}T00:00:00Z")).ok());
    (ticker, date.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_stock_and_day() {
        let (ticker, midnight) = named("AAPL_2012-06-21_34200000_57600000_message_10.csv");
        assert_eq!((ticker, midnight), ("AAPL", 1_340_236_800_000));
        assert_eq!(named("messages.csv"), ("messages.csv", 0));
    }
}
