//! What each operation costs, beside plain transfers and in one run: transactions and operations a second, durable, signatures trusted.
//!
//! `cargo bench -p nostro-bench --bench operations` prints a table. No criterion here: a ledger can be run through but once, so that a sample is a fresh
//! ledger, and what counts is the ratio to the first line.

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]

use nostro::{
    Address, Amend, Amount, AssetId, Engine, EngineConfig, Grant, GrantAction, GrantName, GrantTerms, Hold, KeyPair,
    Lifetime, MarketId, OpenMarket, Operation, PlaceOrder, Predicate, Put, PutAction, Settle, Share, Side, Signature,
    Transaction, Transfer,
};
use nostro_bench::{Failure, TemporaryDirectory};
use std::time::Instant;

const GOLD: AssetId = AssetId(0);
const EURO: AssetId = AssetId(1);
const ACCOUNTS: u64 = 1_000;

/// Makes transactions of people in turn, each with the next sequence of its own.
struct Maker {
    people: Vec<Address>,
    sequences: Vec<u64>,
    made: Vec<Transaction>,
}

impl Maker {
    fn new() -> Self {
        let seed = |n: u64| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&n.to_le_bytes());
            seed
        };
        let people: Vec<Address> = (0..ACCOUNTS).map(|n| KeyPair::from_seed(&seed(n + 1)).address()).collect();
        Self { sequences: vec![0; people.len()], people, made: Vec::new() }
    }

    /// Somebody, the same for the same number.
    fn person(&self, n: u64) -> Address {
        self.people[usize::try_from(n % ACCOUNTS).unwrap_or(0)]
    }

    fn add(&mut self, n: u64, orders: Vec<(Address, Operation)>) -> Result<(), Failure> {
        let place = usize::try_from(n % ACCOUNTS)?;
        let builder = Transaction::builder(self.people[place]).sequence(self.sequences[place]);
        self.sequences[place] += 1;
        let add = |builder: nostro::TransactionBuilder, (source, order)| builder.operation(source, order);
        let unsigned = orders.into_iter().fold(builder, add).build()?;
        let signatures = vec![Signature([0; 64]); unsigned.signers().count()];
        self.made.push(unsigned.with_signatures(&signatures)?);
        Ok(())
    }

    fn one(&mut self, n: u64, order: impl Into<Operation>) -> Result<(), Failure> {
        let source = self.person(n);
        self.add(n, vec![(source, order.into())])
    }

    /// Both assets, and some of each for everybody.
    fn fund(&mut self) -> Result<(), Failure> {
        let bank = self.person(0);
        let register = |code: &str| -> Result<Operation, Failure> {
            Ok(nostro::RegisterAsset::plain(code.parse()?, 0, Amount::MAX).into())
        };
        self.add(0, vec![(bank, register("GOLD")?), (bank, register("EUR")?)])?;
        self.one(0, OpenMarket { base: GOLD, quote: EURO, lot: 1, tick: 1, ..OpenMarket::default() })?;
        for n in 1..ACCOUNTS {
            let payee = self.person(n);
            let mint = |asset| Transfer { payee, asset, amount: Amount(1 << 60), ..Transfer::default() };
            self.add(0, vec![(bank, mint(GOLD).into()), (bank, mint(EURO).into())])?;
        }
        Ok(())
    }
}

/// Anyone but the bank.
const fn someone(n: u64) -> u64 {
    1 + n % (ACCOUNTS - 1)
}

fn pay(payee: Address, asset: AssetId) -> Transfer {
    Transfer { payee, asset, amount: Amount(1), ..Transfer::default() }
}

type Load = fn(&mut Maker, u64) -> Result<(), Failure>;

const LOADS: [(&str, Load); 9] = [
    ("transfer", |maker, n| {
        let payee = maker.person(someone(n + 7));
        maker.one(someone(n), pay(payee, EURO))
    }),
    ("delivery versus payment", |maker, n| {
        let (one, other) = (maker.person(someone(n)), maker.person(someone(n + 7)));
        maker.add(someone(n), vec![(one, pay(other, EURO).into()), (other, pay(one, GOLD).into())])
    }),
    ("disbursement of 100", |maker, n| {
        if !n.is_multiple_of(100) {
            return Ok(());
        }
        let payer = maker.person(someone(n));
        let all = (0..100).map(|m| (payer, pay(maker.person(someone(n + 1 + m)), EURO).into())).collect();
        maker.add(someone(n), all)
    }),
    ("hold and settle", |maker, n| {
        let (owner, payee) = (maker.person(someone(n / 2)), maker.person(someone(n / 2 + 7)));
        if n.is_multiple_of(2) {
            let payees = vec![Share { payee, parts: 1 }];
            return maker
                .one(someone(n / 2), Hold { id: n / 2, asset: EURO, amount: Amount(5), payees, ..Hold::default() });
        }
        maker.one(someone(n / 2 + 7), Settle { owner, id: n / 2, ..Settle::default() })
    }),
    ("transfer by grant", |maker, n| {
        let (owner, to) = (maker.person(someone(n)), maker.person(someone(n + 7)));
        if n < ACCOUNTS {
            let terms = GrantTerms { to, asset: EURO, predicate: Predicate::always(), ..GrantTerms::default() };
            let create = Grant { action: GrantAction::Create, id: n, terms: Some(Box::new(terms)) };
            return maker.one(someone(n), create);
        }
        let id = n % (ACCOUNTS - 1);
        let (owner_n, spender) = (someone(id), someone(id + 7));
        let _ = (owner, to);
        let grant = Some(GrantName { owner: maker.person(owner_n), id });
        let payee = maker.person(someone(id + 13));
        maker.one(spender, Transfer { grant, ..pay(payee, EURO) })
    }),
    ("put", |maker, n| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_le_bytes());
        maker.one(someone(n), Put { action: PutAction::Write, key, value: vec![7; 64], ..Put::default() })
    }),
    ("order: waits", |maker, n| {
        let (side, price) = if n.is_multiple_of(2) { (Side::Buy, 1 + n % 500) } else { (Side::Sell, 501 + n % 500) };
        maker.one(someone(n), PlaceOrder { id: n, side, price, quantity: 1, ..PlaceOrder::default() })
    }),
    ("order: trades", |maker, n| {
        let side = if n.is_multiple_of(2) { Side::Buy } else { Side::Sell };
        let order = PlaceOrder { market: MarketId(0), id: n, side, price: 100, quantity: 1, ..PlaceOrder::default() };
        maker.one(someone(n), order)
    }),
    // Six of ten wait, three are taken back, one takes at once.
    ("exchange", |maker, n| {
        let (round, step) = (n / 10, n % 10);
        let id = |step: u64| round * 10 + step;
        let price = |step: u64| 90 + (round * 7 + step * 3) % 20;
        match step {
            6..9 => maker.one(someone(id(step - 6)), Amend::Cancel(vec![id(step - 6)])),
            9 => {
                let lifetime = Lifetime::ImmediateOrCancel;
                let order =
                    PlaceOrder { id: n, side: Side::Buy, price: 110, quantity: 3, lifetime, ..PlaceOrder::default() };
                maker.one(someone(n), order)
            }
            _ => {
                let side = if step.is_multiple_of(2) { Side::Buy } else { Side::Sell };
                let price = if side == Side::Buy { price(step) - 20 } else { price(step) + 10 };
                maker.one(
                    someone(id(step)),
                    PlaceOrder { id: id(step), side, price, quantity: 1, ..PlaceOrder::default() },
                )
            }
        }
    }),
];

/// Seconds, transactions, operations, rejections.
fn measure(name: &str, load: Load, count: u64) -> Result<(f64, usize, usize, usize), Failure> {
    let mut maker = Maker::new();
    maker.fund()?;
    let funding = std::mem::take(&mut maker.made);
    (0..count).try_for_each(|n| load(&mut maker, n))?;
    let directory = TemporaryDirectory::new(&format!("operations-{}", name.replace(' ', "-")));
    let config = EngineConfig { trust_signatures: true, ..EngineConfig::default() };
    let engine = Engine::open(directory.path(), config)?;
    assert_eq!(engine.submit_batch(&funding)?.wait()?.applied(), funding.len(), "everybody has money");
    let batches: Vec<Vec<u8>> =
        maker.made.chunks(1_024).map(|batch| batch.iter().flat_map(Transaction::bytes).copied().collect()).collect();
    let operations = maker.made.iter().map(|made| usize::from(made.as_ref().operation_count())).sum();
    let submitter = engine.submitter().waiting();
    let start = Instant::now();
    let tickets: Vec<_> = batches.iter().map(|batch| submitter.submit_encoded(batch)).collect::<Result<_, _>>()?;
    let mut rejected = 0;
    for ticket in tickets {
        rejected += ticket.wait()?.rejected();
    }
    let seconds = start.elapsed().as_secs_f64();
    engine.close()?;
    Ok((seconds, maker.made.len(), operations, rejected))
}

fn main() -> Result<(), Failure> {
    // As a test it only has to run.
    let count = if std::env::args().any(|argument| argument == "--test") { 2_000 } else { 400_000 };
    println!("{:<26} {:>12} {:>12} {:>10} {:>9}", "load", "k tx/s", "k op/s", "of plain", "rejected");
    let mut plain = None;
    for (name, load) in LOADS {
        let (seconds, transactions, operations, rejected) = measure(name, load, count)?;
        let (transactions, operations) = (transactions as f64 / seconds, operations as f64 / seconds);
        let plain = *plain.get_or_insert(transactions);
        let (a, b, ratio) = (transactions / 1e3, operations / 1e3, operations / plain);
        println!("{name:<26} {a:>12.0} {b:>12.0} {ratio:>10.2} {rejected:>9}");
    }
    Ok(())
}
