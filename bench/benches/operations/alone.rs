//! Each operation alone, inside execution: as it usually is, and the dearest form of it that its limits allow.

use super::people::{EURO, GOLD, Maker, STRICT, pay, someone};
use nostro::{
    Amend, Amount, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, ControlHolder, ExecutionShape,
    Grant, GrantAction, GrantName, GrantTerms, Hold, HolderAction, Lifetime, MarketId, MeasuredExecution, OpenMarket,
    PlaceOrder, Predicate, Put, PutAction, RecordKind, RegisterAsset, Require, Settle, Share, Side, Time, Transfer,
};
use nostro_bench::Failure;
use std::time::{Duration, Instant};

/// Transactions per block.
const BLOCK: u64 = 1_024;
/// Orders that one transaction can take.
const MET: u64 = 32;
const SCHEMA: [u8; 32] = [7; 32];
/// The time of all blocks: what becomes free by the second has become so.
const NOW: Time = Time(1_000_000);
/// Markets are numbered by their entries: behind the terms of the strict asset one of plain ones, then one with it and a fee.
const MARKET: MarketId = MarketId(1);
const DEAR_MARKET: MarketId = MarketId(2);

/// An operation in one form: what has to be there before every block, then one transaction for each number.
struct Case {
    name: &'static str,
    prepare: fn(&mut Maker, std::ops::Range<u64>) -> Result<(), Failure>,
    order: fn(&mut Maker, u64) -> Result<(), Failure>,
    /// How many of them a block has; fewer where much has to be there before.
    block: u64,
}

const fn nothing(_: &mut Maker, _: std::ops::Range<u64>) -> Result<(), Failure> {
    Ok(())
}

const fn plain(name: &'static str, order: fn(&mut Maker, u64) -> Result<(), Failure>) -> Case {
    Case { name, prepare: nothing, order, block: BLOCK }
}

/// Sixteen nodes, each of which has to be looked up.
fn dearest_predicate(maker: &Maker) -> Predicate {
    let bank = maker.person(0);
    let attested: Vec<Predicate> =
        (0..15).map(|n| Predicate::attested(maker.person(someone(n)), SCHEMA, bank)).collect();
    Predicate::any_of(1, &attested)
}

/// Everybody has some of an asset that asks for all that an asset can ask for.
fn strict(maker: &mut Maker) -> Result<(), Failure> {
    let bits = [AssetPolicy::AUTHORIZATION, AssetPolicy::FREEZABLE, AssetPolicy::CLAWBACK];
    let more = [AssetPolicy::CREDENTIAL, AssetPolicy::FEE, AssetPolicy::EXPIRES];
    let policy = bits.into_iter().chain(more).fold(AssetPolicy::default(), AssetPolicy::with);
    let terms = AssetTerms {
        schema: SCHEMA,
        attester: maker.person(0),
        fee_account: maker.person(1),
        fee_basis_points: 1,
        expiry: Time(u64::MAX),
        ..AssetTerms::default()
    };
    let plain = RegisterAsset::plain("STRICT".parse()?, 0, Amount::MAX);
    maker.one(0, RegisterAsset { policy, terms: Some(Box::new(terms)), ..plain })?;
    // Before all else that has an entry but the terms of the asset, so that their numbers are known.
    maker.one(0, OpenMarket { base: GOLD, quote: EURO, lot: 1, tick: 1, ..OpenMarket::default() })?;
    let fees = Some(maker.person(2));
    let dear = OpenMarket { base: STRICT, quote: EURO, lot: 1, tick: 1, fee_basis_points: 10, fee_account: fees };
    maker.one(0, dear)?;
    for n in 1..1_000 {
        let holder = maker.person(n);
        maker.one(0, ControlHolder { asset: STRICT, holder, ..ControlHolder::default() })?;
        let attests = Put { kind: RecordKind::Attestation, key: SCHEMA, subject: Some(holder), ..Put::default() };
        maker.one(0, attests)?;
        maker.one(0, pay(holder, STRICT, 1 << 60))?;
    }
    Ok(())
}

/// The ids of holds, grants and orders of different cases don't meet.
const fn id(case: u64, n: u64) -> u64 {
    case << 40 | n
}

fn hold(maker: &mut Maker, case: u64, n: u64, payees: u64, dear: bool) -> Result<(), Failure> {
    let payees = (1..=payees).map(|m| Share { payee: maker.person(someone(n + m)), parts: 1 }).collect();
    // One of the two: both don't fit.
    let release = if dear { dearest_predicate(maker) } else { Predicate::always() };
    let asset = if dear { STRICT } else { EURO };
    let expiry = dear.then_some(Time(u64::MAX - n));
    let hold = Hold { id: id(case, n), asset, amount: Amount(8), payees, release, expiry, ..Hold::default() };
    maker.one(someone(n), hold)
}

fn settle(maker: &mut Maker, case: u64, n: u64) -> Result<(), Failure> {
    let owner = maker.person(someone(n));
    maker.one(someone(n + 1), Settle { owner, id: id(case, n), ..Settle::default() })
}

fn grant(maker: &mut Maker, case: u64, n: u64, dear: bool) -> Result<(), Failure> {
    let to = maker.person(someone(n + 7));
    let (asset, predicate) = if dear { (STRICT, dearest_predicate(maker)) } else { (EURO, Predicate::always()) };
    let mut terms = GrantTerms { to, asset, predicate, ..GrantTerms::default() };
    if dear {
        terms.payee = Some(maker.person(someone(n + 13)));
        (terms.cap, terms.rate, terms.start) = (Amount::MAX, Amount::MAX, Time(1));
        (terms.period_ms, terms.period_cap) = (1, Amount::MAX);
    }
    maker.one(someone(n), Grant { action: GrantAction::Create, id: id(case, n), terms: Some(Box::new(terms)) })
}

fn spend(maker: &mut Maker, case: u64, n: u64, dear: bool) -> Result<(), Failure> {
    let grant = Some(GrantName { owner: maker.person(someone(n)), id: id(case, n) });
    let payee = maker.person(someone(n + 13));
    let (asset, amount) = if dear { (STRICT, u128::MAX) } else { (EURO, 1) };
    maker.one(someone(n + 7), Transfer { grant, up_to: dear, ..pay(payee, asset, amount) })
}

fn order(maker: &mut Maker, n: u64, order: PlaceOrder) -> Result<(), Failure> {
    maker.one(someone(n), order)
}

/// As many orders that wait as one can take, each of somebody else, for the n-th that takes them all.
fn rows(maker: &mut Maker, numbers: std::ops::Range<u64>, case: u64, market: MarketId) -> Result<(), Failure> {
    for n in numbers.start * MET..numbers.end * MET {
        let sells = PlaceOrder { market, id: id(case, n), side: Side::Sell, price: 1 << 20, quantity: 1, ..waits() };
        order(maker, n, sells)?;
    }
    Ok(())
}

/// Sixty-four orders of the n-th, far from everything.
fn own(maker: &mut Maker, numbers: std::ops::Range<u64>, case: u64) -> Result<(), Failure> {
    for n in numbers {
        for m in 0..64 {
            order(maker, n, PlaceOrder { id: id(case, n * 64 + m), price: 1 + (n * 64 + m) % 997, ..waits() })?;
        }
    }
    Ok(())
}

fn waits() -> PlaceOrder {
    PlaceOrder { market: MARKET, quantity: 1, price: 1, ..PlaceOrder::default() }
}

fn put(maker: &mut Maker, n: u64, bytes: usize) -> Result<(), Failure> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    maker.one(someone(n), Put { action: PutAction::Write, key, value: vec![7; bytes], ..Put::default() })
}

fn rules(maker: &Maker, n: u64, keys: u64, recovery: u64) -> AuthorityRules {
    let mut all: Vec<_> = (0..keys).map(|m| maker.person(n + m)).collect();
    all.sort_unstable();
    let keys = all.into_iter().map(|key| AuthorityKey { key, weight: 1, scope: 0, expiry: None }).collect();
    let mut recovery_keys: Vec<_> = (0..recovery).map(|m| maker.person(n + m)).collect();
    recovery_keys.sort_unstable();
    let quorum = u8::from(recovery > 0);
    AuthorityRules { keys, low: 1, medium: 1, high: 1, recovery_keys, quorum, ..AuthorityRules::default() }
}

fn cases() -> Vec<Case> {
    vec![
        plain("transfer", |maker, n| {
            let payee = maker.person(someone(n + 7));
            maker.one(someone(n), pay(payee, EURO, 1))
        }),
        Case {
            name: "transfer by grant",
            prepare: |maker, mut numbers| numbers.try_for_each(|n| grant(maker, 1, n, false)),
            order: |maker, n| spend(maker, 1, n, false),
            block: BLOCK,
        },
        Case {
            name: "transfer at worst",
            prepare: |maker, mut numbers| numbers.try_for_each(|n| grant(maker, 2, n, true)),
            order: |maker, n| spend(maker, 2, n, true),
            block: BLOCK,
        },
        plain("hold", |maker, n| hold(maker, 3, n, 1, false)),
        plain("hold at worst", |maker, n| hold(maker, 4, n, 4, true)),
        Case {
            name: "settle",
            prepare: |maker, mut numbers| numbers.try_for_each(|n| hold(maker, 5, n, 1, false)),
            order: |maker, n| settle(maker, 5, n),
            block: BLOCK,
        },
        Case {
            name: "settle at worst",
            prepare: |maker, mut numbers| numbers.try_for_each(|n| hold(maker, 6, n, 4, true)),
            order: |maker, n| settle(maker, 6, n),
            block: BLOCK,
        },
        plain("grant", |maker, n| grant(maker, 7, n, false)),
        plain("grant at worst", |maker, n| grant(maker, 8, n, true)),
        plain("put", |maker, n| put(maker, n, 32)),
        plain("put at worst", |maker, n| put(maker, 1 << 40 | n, 256)),
        plain("require", |maker, n| maker.one(someone(n), Require { predicate: Predicate::always() })),
        plain("require at worst", |maker, n| {
            let predicate = dearest_predicate(maker);
            maker.one(someone(n), Require { predicate })
        }),
        plain("order that waits", |maker, n| {
            order(maker, n, PlaceOrder { id: id(9, n), price: 1 + n % 997, ..waits() })
        }),
        Case {
            name: "order that takes one",
            prepare: |maker, numbers| {
                for n in numbers {
                    let sells = PlaceOrder { id: id(10, n), side: Side::Sell, price: 1 << 20, ..waits() };
                    order(maker, n, sells)?;
                }
                Ok(())
            },
            order: |maker, n| {
                let lifetime = Lifetime::ImmediateOrCancel;
                order(maker, n + 7, PlaceOrder { id: id(11, n), price: 1 << 20, lifetime, ..waits() })
            },
            block: BLOCK,
        },
        Case {
            name: "order at worst: takes 32",
            prepare: |maker, numbers| rows(maker, numbers, 12, DEAR_MARKET),
            order: |maker, n| {
                let lifetime = Lifetime::FillOrKill;
                let takes = PlaceOrder { market: DEAR_MARKET, id: id(13, n), price: 1 << 20, quantity: MET, ..waits() };
                order(maker, n * MET + 70, PlaceOrder { lifetime, ..takes })
            },
            block: 64,
        },
        Case {
            name: "amend: less of one",
            prepare: |maker, mut numbers| {
                numbers.try_for_each(|n| {
                    order(maker, n, PlaceOrder { id: id(14, n), price: 1 + n % 997, quantity: 9, ..waits() })
                })
            },
            order: |maker, n| maker.one(someone(n), Amend::Change { id: id(14, n), price: 1 + n % 997, quantity: 4 }),
            block: BLOCK,
        },
        Case {
            name: "amend: another price",
            prepare: |maker, mut numbers| {
                numbers.try_for_each(|n| {
                    order(maker, n, PlaceOrder { id: id(15, n), price: 1 + n % 997, quantity: 9, ..waits() })
                })
            },
            order: |maker, n| maker.one(someone(n), Amend::Change { id: id(15, n), price: 1 + n % 991, quantity: 10 }),
            block: BLOCK,
        },
        Case {
            name: "amend: takes one back",
            prepare: |maker, mut numbers| {
                numbers.try_for_each(|n| order(maker, n, PlaceOrder { id: id(16, n), price: 1 + n % 997, ..waits() }))
            },
            order: |maker, n| maker.one(someone(n), Amend::Cancel(vec![id(16, n)])),
            block: BLOCK,
        },
        Case {
            name: "amend at worst: takes 64 back",
            prepare: |maker, numbers| own(maker, numbers, 17),
            order: |maker, n| maker.one(someone(n), Amend::Cancel((0..64).map(|m| id(17, n * 64 + m)).collect())),
            block: 64,
        },
        plain("authorize", |maker, n| {
            let rules = rules(maker, someone(n), 1, 0);
            maker.one(someone(n), Authorize::Set(rules))
        }),
        plain("authorize at worst", |maker, n| {
            let rules = rules(maker, someone(n), 16, 8);
            maker.one(someone(n), Authorize::Set(rules))
        }),
        plain("holder", |maker, n| {
            let action = if n.is_multiple_of(2) { HolderAction::Freeze } else { HolderAction::Unfreeze };
            let holder = maker.person(someone(n / 2));
            maker.one(0, ControlHolder { asset: STRICT, holder, action, ..ControlHolder::default() })
        }),
        plain("asset", |maker, n| {
            maker.one(someone(n), RegisterAsset::plain(format!("A{n}").parse()?, 2, Amount::MAX))
        }),
    ]
}

/// Nanoseconds per transaction: executing, and its effects.
fn measure(case: &Case, blocks: u64) -> Result<(f64, f64, usize), Failure> {
    let mut maker = Maker::new()?;
    strict(&mut maker)?;
    let mut execution = MeasuredExecution::new(ExecutionShape::SERIAL)?;
    let mut reason = None;
    let mut settle = |bytes: Vec<u8>| {
        let block = execution.prepare(bytes)?;
        let start = Instant::now();
        let executed = execution.execute(NOW, &block);
        let middle = Instant::now();
        let settled = execution.finish(executed);
        let times = (middle - start, middle.elapsed());
        let rejected = settled.rejections().len();
        if let Some((_, rejection)) = settled.rejections().first() {
            reason = Some(*rejection);
        }
        execution.reuse(settled);
        Ok::<_, Failure>((times, rejected))
    };
    settle(maker.take())?;
    let (mut executing, mut finishing, mut rejected) = (Duration::ZERO, Duration::ZERO, 0);
    for block in 0..blocks {
        let numbers = block * case.block..(block + 1) * case.block;
        (case.prepare)(&mut maker, numbers.clone())?;
        rejected += settle(maker.take())?.1;
        for n in numbers {
            (case.order)(&mut maker, n)?;
        }
        let ((executed, finished), more) = settle(maker.take())?;
        rejected += more;
        // The first warms up.
        if block > 0 {
            (executing, finishing) = (executing + executed, finishing + finished);
        }
    }
    if let Some(reason) = reason {
        println!("  {}: rejected: {reason}", case.name);
    }
    let each = |time: Duration| time.as_nanos() as f64 / (case.block * (blocks - 1)) as f64;
    Ok((each(executing), each(finishing), rejected))
}

pub(super) fn print(is_test: bool) -> Result<(), Failure> {
    println!("Each operation alone inside execution, a thousand accounts: nanoseconds, and of a transfer");
    println!("{:<30} {:>9} {:>9} {:>9} {:>9} {:>9}", "operation", "execute", "effects", "both", "of plain", "rejected");
    let mut plain = None;
    // Those of a name, if one is given behind the table's, and the transfer beside which they stand.
    let named = std::env::args().skip_while(|argument| argument != "alone").nth(1).unwrap_or_default();
    for case in cases().into_iter().filter(|case| case.name == "transfer" || case.name.contains(&named)) {
        let blocks = if is_test { 2 } else { 33 };
        let (executing, finishing, rejected) = measure(&case, blocks)?;
        let both = executing + finishing;
        let plain = *plain.get_or_insert(both);
        let ratio = both / plain;
        println!("{:<30} {executing:>9.0} {finishing:>9.0} {both:>9.0} {ratio:>9.1} {rejected:>9}", case.name);
    }
    Ok(())
}
