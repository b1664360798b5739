//! A whole engine takes any bytes: it refuses them, or settles them, and never stops. Signatures are trusted, so that what is
//! well-formed gets as far as the state. From time to time the ledger is closed, audited, opened again and compared.
//!
//! An input that begins with an even byte is submitted as it is. One that begins with an odd byte is read as orders among few
//! accounts, assets and sequences, which meet each other in every way; its transactions are submitted together.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nostro::{Address, Amount, AssetId, Engine, EngineConfig, KeyPair, Signature, Time, Transaction, audit_ledger};
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
        let held: u128 = snapshot.accounts().map(|(account, _)| snapshot.balance(&account, id).0).sum();
        assert_eq!(asset.issued, Amount(held), "asset {id}");
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
            let Some((&[what, from, to, asset, amount, shift, scale, name], after)) = rest.split_first_chunk::<8>()
            else {
                break;
            };
            rest = after;
            let quantity = Amount(u128::from(amount) << (shift % 128));
            let asset = AssetId(u32::from(asset % 8));
            builder = if what % 4 == 0 {
                let letter = char::from(b'A' + name % 26).to_string();
                builder.register_asset(letter.parse().expect("a letter"), scale % 32, quantity)
            } else {
                builder.transfer_from(person(from), person(to), asset, quantity)
            };
        }
        if let Ok(unsigned) = builder.build() {
            let signatures: Vec<Signature> = unsigned.signers().map(|_| Signature([who; 64])).collect();
            all.extend_from_slice(unsigned.with_signatures(&signatures).expect("one for each signer").bytes());
        }
    }
    all
}
