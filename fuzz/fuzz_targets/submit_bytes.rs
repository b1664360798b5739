//! A whole engine takes any bytes: it refuses them, or settles them, and never stops. Signatures are trusted, so that what is
//! well-formed gets as far as the state. From time to time the ledger is closed, audited, opened again and compared.
//!
//! An input that begins with an even byte is submitted as it is. One that begins with an odd byte is read as orders of every kind among few
//! accounts, assets, ids and sequences, which meet each other in every way; its transactions are submitted together.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nostro::{
    Address, Amend, Amount, AssetId, AssetPolicy, AssetTerms, AuthorityKey, AuthorityRules, Authorize, Comparison,
    ControlHolder, Engine, EngineConfig, Grant, GrantAction, GrantName, GrantTerms, Hold, HolderAction, KeyPair,
    Lifetime, MarketId, OpenMarket, Operation, PlaceOrder, Predicate, Put, PutAction, RecordKind, RegisterAsset,
    Require, SelfTrade, Settle, Share, Side, Signature, Time, Transaction, Transfer, audit_ledger,
};
use std::cell::RefCell;
use std::path::PathBuf;

/// Submissions to one ledger.
const SUBMISSIONS: u32 = 2_000;

struct Run {
    directory: PathBuf,
    people: Vec<Address>,
    open: Option<Engine>,
    submissions: u32,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::new(Run {
        directory: std::env::temp_dir().join(format!("nostro-fuzz-submit-{}", std::process::id())),
        people: (1..=4).map(|n| KeyPair::from_seed(&[n; 32]).address()).collect(),
        open: None,
        submissions: 0,
    });
}

fn config() -> EngineConfig {
    EngineConfig {
        ledger: "fuzz".to_owned(),
        threads: 1,
        segment_bytes: 4 << 20,
        block_bytes_max: 1 << 20,
        group_bytes_max: 1 << 20,
        log_reserve_bytes: 0,
        trust_signatures: true,
        ..EngineConfig::default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    RUN.with_borrow_mut(|run| {
        let Run { directory, people, open, submissions } = run;
        let engine = open.get_or_insert_with(|| {
            let _ = std::fs::remove_dir_all(&*directory);
            Engine::open(&*directory, config()).expect("an engine opens in an empty directory")
        });
        let Some((&first, rest)) = bytes.split_first() else { return };
        let orders = if first & 1 == 0 { rest.to_vec() } else { orders(rest, people) };
        if let Ok(tickets) = engine.submitter().at(Time(u64::from(first))).submit_encoded(&orders) {
            let receipts = tickets.wait().expect("the engine goes on");
            assert_eq!(receipts.iter().count(), receipts.len());
            assert_eq!(receipts.applied() + receipts.rejected(), receipts.len());
        }
        *submissions += 1;
        if *submissions == SUBMISSIONS {
            *submissions = 0;
            let engine = open.take().expect("it was opened above");
            close_and_compare(engine, directory);
        }
    });
});

/// Closes a ledger, checks everything in it, opens it again and finds the same state.
fn close_and_compare(engine: Engine, directory: &PathBuf) {
    let snapshot = engine.snapshot().expect("a snapshot");
    for (id, asset) in snapshot.assets() {
        let of_all = snapshot.accounts().flat_map(|(_, holdings)| holdings).filter(|holding| holding.asset == id);
        let sum: u128 = of_all.map(|holding| holding.available.0 + holding.held.0).sum();
        assert_eq!(asset.issued, Amount(sum), "asset {id}");
        assert!(asset.issued <= asset.maximum_supply);
    }
    engine.close().expect("a clean close");
    let report = audit_ledger(directory, false, &mut |_, _| ()).expect("a ledger that passes its audit");
    assert_eq!(report.state, snapshot.digest());
    assert_eq!(report.summary.transactions, snapshot.transaction_count());
    let again = Engine::open(directory, config()).expect("the ledger opens again");
    assert_eq!(again.snapshot().expect("a snapshot").digest(), snapshot.digest());
    again.close().expect("a clean close");
    std::fs::remove_dir_all(directory).expect("the directory goes");
}

/// Eight bytes make an operation, four before the first of them a transaction.
fn orders(bytes: &[u8], people: &[Address]) -> Vec<u8> {
    let mut all = Vec::new();
    let person = |byte: u8| people[usize::from(byte) % people.len()];
    let mut rest = bytes;
    while let Some((&[who, lane, sequence, count], after)) = rest.split_first_chunk::<4>() {
        rest = after;
        let mut builder = Transaction::builder(person(who))
            .lane(u16::from(lane % 80))
            .sequence(u64::from(sequence) << (who >> 4))
            .valid_until(Time(u64::from(lane)));
        for _ in 0..=count % 5 {
            let Some((word, after)) = rest.split_first_chunk::<8>() else { break };
            rest = after;
            builder = builder.operation(person(word[1]), operation(*word, &person));
        }
        if let Ok(unsigned) = builder.build() {
            let signatures: Vec<Signature> = unsigned.signers().map(|_| Signature([who; 64])).collect();
            all.extend_from_slice(unsigned.with_signatures(&signatures).expect("one for each signer").bytes());
        }
    }
    all
}

/// An operation of any kind among a handful of everything.
fn operation([what, _, to, asset, amount, shift, scale, name]: [u8; 8], person: &impl Fn(u8) -> Address) -> Operation {
    let quantity = Amount(u128::from(amount) << (shift % 128));
    let (other, asset) = (person(to), AssetId(u32::from(asset % 8)));
    let id = u64::from(name % 6);
    let time = |byte: u8| Some(Time(u64::from(byte))).filter(|&time| time != Time(0));
    let predicate = predicate(scale, other, asset, quantity);
    let letter = |byte: u8| char::from(b'A' + byte % 26).to_string().parse().expect("a letter");
    let key = [name % 6; 32];
    match what % 24 {
        0 | 1 => RegisterAsset::plain(letter(name), scale % 31, quantity).into(),
        2 => {
            let policy = AssetPolicy(u16::from(shift));
            let zero_unless = |bit: u16| policy.0 & bit != 0;
            let terms = AssetTerms {
                schema: if zero_unless(0x10) { key } else { [0; 32] },
                attester: if zero_unless(0x10) { other } else { Address::default() },
                fee_account: if zero_unless(0x20) { other } else { Address::default() },
                fee_basis_points: if zero_unless(0x20) { 1 + u16::from(amount) } else { 0 },
                expiry: Time(if zero_unless(0x40) { 1 + u64::from(scale) } else { 0 }),
                metadata: if zero_unless(0x80) { [1; 32] } else { [0; 32] },
                ..AssetTerms::default()
            };
            let terms = (policy.0 & 0xf0 != 0).then(|| Box::new(terms));
            let plain = RegisterAsset::plain(letter(name), 0, Amount(u128::MAX));
            RegisterAsset { policy, terms, is_update: name & 0x80 != 0, ..plain }.into()
        }
        3 => {
            let actions = [HolderAction::Authorize, HolderAction::Deauthorize, HolderAction::Freeze];
            let more = [HolderAction::Unfreeze, HolderAction::ClawBack];
            let action = *actions.iter().chain(&more).nth(usize::from(scale % 5)).expect("one of five");
            let claws = action == HolderAction::ClawBack;
            let amount = if claws { quantity } else { Amount(0) };
            ControlHolder { asset, holder: other, action, amount, up_to: claws && name & 1 == 1 }.into()
        }
        4 | 5 => {
            let action =
                [PutAction::Create, PutAction::Write, PutAction::Revoke, PutAction::Remove][usize::from(shift % 4)];
            let kind = [RecordKind::Attestation, RecordKind::Anchor, RecordKind::Rate, RecordKind::Data];
            let kind = kind[usize::from(scale % 4)];
            let writes = matches!(action, PutAction::Create | PutAction::Write);
            let value = if kind == RecordKind::Rate {
                quantity.0.to_le_bytes().to_vec()
            } else {
                vec![amount; usize::from(amount)]
            };
            let subject = (kind == RecordKind::Attestation || amount & 1 == 1).then_some(other);
            let owner = (!writes && amount & 2 == 2).then(|| person(amount));
            let (expiry, value) = if writes { (time(amount), value) } else { (None, Vec::new()) };
            Put { action, kind, key, subject, owner, expiry, value, ..Put::default() }.into()
        }
        6..9 => {
            let payees = (0..=scale % 3).map(|n| Share { payee: person(to.wrapping_add(n)), parts: 1 + u32::from(n) });
            let expiry = time(amount.rotate_left(3));
            let releases_at_expiry = expiry.is_some() && name & 0x40 != 0;
            let arbiter = (name & 0x80 != 0).then(|| person(name));
            let payees = payees.collect();
            let (release, cancel) = (predicate.clone(), predicate);
            let hold = Hold { id, asset, amount: quantity, payees, release, cancel, ..Hold::default() };
            Hold { arbiter, expiry, releases_at_expiry, ..hold }.into()
        }
        9..11 => {
            let (cancels, preimage) = (scale & 1 == 1, (scale & 2 == 2).then(|| vec![amount; usize::from(shift % 65)]));
            let amount = if cancels { Amount(0) } else { quantity };
            Settle { owner: other, id, cancels, amount, preimage, ..Settle::default() }.into()
        }
        11 | 12 => {
            let terms = GrantTerms {
                to: other,
                asset,
                payee: (scale & 1 == 1).then(|| person(scale)),
                cap: quantity,
                rate: Amount(u128::from(amount)),
                end: time(scale),
                predicate,
                ..GrantTerms::default()
            };
            let action = [GrantAction::Create, GrantAction::Create, GrantAction::Revoke, GrantAction::Remove];
            let action = action[usize::from(shift % 4)];
            Grant { action, id, terms: (action == GrantAction::Create).then(|| Box::new(terms)) }.into()
        }
        13 => {
            let (quote, fee_account) = (AssetId(u32::from(name % 8)), (scale > 99).then_some(other));
            let fee_basis_points = if scale > 99 { u16::from(scale) * 39 } else { 0 };
            let (lot, tick) = (1 + u64::from(amount), 1 + u64::from(shift));
            OpenMarket { base: asset, quote, lot, tick, fee_basis_points, fee_account }.into()
        }
        14..17 => {
            let lifetimes = [Lifetime::GoodTillCancelled, Lifetime::ImmediateOrCancel, Lifetime::FillOrKill];
            let more = [Lifetime::PostOnly, Lifetime::Budget];
            let lifetime = *lifetimes.iter().chain(&more).nth(usize::from(scale % 5)).expect("one of five");
            let side = if to & 1 == 1 && lifetime != Lifetime::Budget { Side::Sell } else { Side::Buy };
            let waits = matches!(lifetime, Lifetime::GoodTillCancelled | Lifetime::PostOnly);
            let budget = if lifetime == Lifetime::Budget { Amount(1 + quantity.0 / 2) } else { Amount(0) };
            let self_trade = [SelfTrade::CancelWaiting, SelfTrade::CancelTaking, SelfTrade::Reject];
            PlaceOrder {
                market: MarketId(asset.0),
                id,
                side,
                price: 1 + u64::from(amount % 8),
                quantity: 1 + u64::from(shift),
                lifetime,
                self_trade: self_trade[usize::from(name / 6 % 3)],
                expiry: time(name).filter(|_| waits && scale > 127),
                budget,
            }
            .into()
        }
        17 => match scale % 3 {
            0 => Amend::Cancel((0..=amount % 4).map(|n| u64::from((name + n) % 6)).collect()).into(),
            1 => Amend::CancelAll(MarketId(asset.0)).into(),
            _ => Amend::Change { id, price: 1 + u64::from(amount % 8), quantity: 1 + u64::from(shift) }.into(),
        },
        18 => {
            let own = AuthorityKey { key: other, weight: 1 + amount % 3, scope: u32::from(shift), expiry: time(scale) };
            let (is_closed, needs_memo) = (name & 1 == 1, name & 2 == 2);
            let rules = AuthorityRules { keys: vec![own], low: 1, medium: 1, high: 1, ..AuthorityRules::default() };
            let rules = AuthorityRules { is_closed, needs_memo, ..rules };
            if name & 4 == 4 { Authorize::Recover(rules).into() } else { Authorize::Set(rules).into() }
        }
        19 => Require { predicate }.into(),
        20 => {
            let grant = Some(GrantName { owner: person(name), id: u64::from(scale % 6) });
            Transfer { payee: other, asset, amount: quantity, up_to: shift & 1 == 1, grant, ..Transfer::default() }
                .into()
        }
        _ => Transfer { payee: other, asset, amount: quantity, up_to: name > 240, ..Transfer::default() }.into(),
    }
}

/// One of a few conditions.
fn predicate(which: u8, someone: Address, asset: AssetId, amount: Amount) -> Predicate {
    let time = Time(u64::from(which));
    match which % 6 {
        0 | 1 => Predicate::always(),
        2 => Predicate::after(time).or(&Predicate::signed(someone)),
        3 => Predicate::before(time).and(&Predicate::balance(someone, asset, Comparison::AtLeast, amount)),
        4 => Predicate::attested(someone, [which % 6; 32], someone).negated(),
        _ => Predicate::any_of(1, &[Predicate::hash_lock([which; 32]), Predicate::signed(someone).negated()]),
    }
}
