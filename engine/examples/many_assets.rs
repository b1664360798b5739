//! Two banks issue three currencies; Ann and Ben exchange francs for euros in one transaction that both sign.

#![expect(clippy::inconsistent_digit_grouping, reason = "the last two digits are cents")]

use nostro::{Address, Amount, AssetId, Engine, EngineConfig, KeyPair, Snapshot, Transaction};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("nostro-many-assets-{}", std::process::id()));
    let engine = Engine::open(&directory, EngineConfig::default())?;
    let ledger = engine.ledger();
    let (north, south) = (KeyPair::generate()?, KeyPair::generate()?);
    let (ann, ben) = (KeyPair::generate()?, KeyPair::generate()?);

    // Assets get the next numbers in the order in which they are registered. What the issuer pays is thereby issued.
    let (euro, franc, yen) = (AssetId(0), AssetId(1), AssetId(2));
    let first = Transaction::builder(north.address())
        .register_asset("EUR".parse()?, 2, Amount(1_000_000_00))
        .register_asset("CHF".parse()?, 2, Amount(1_000_000_00))
        .transfer(ann.address(), franc, Amount(100_00))
        .transfer(ben.address(), euro, Amount(100_00))
        .build()?
        .sign(ledger, &[&north])?;
    let second = Transaction::builder(south.address())
        .register_asset("JPY".parse()?, 0, Amount(1_000_000))
        .transfer(ann.address(), yen, Amount(15_000))
        .build()?
        .sign(ledger, &[&south])?;
    for receipt in engine.submit_batch(&[first, second])?.wait()?.iter() {
        println!("issued: {:?}", receipt?.outcome);
    }

    // Delivery versus payment: both legs happen or none, and nobody's money moves without their signature.
    let exchange = |sequence, francs, euros| {
        Transaction::builder(ann.address())
            .sequence(sequence)
            .transfer(ben.address(), franc, Amount(francs))
            .transfer_from(ben.address(), ann.address(), euro, Amount(euros))
            .build()
    };
    let fair = exchange(0, 40_00, 42_00)?.sign(ledger, &[&ann, &ben])?;
    println!("exchange: {:?}", engine.submit(&fair)?.wait()?.outcome);
    // Ben has 58 euros left, so Ann keeps her francs too.
    let too_much = exchange(1, 60_00, 63_00)?.sign(ledger, &[&ann, &ben])?;
    println!("another:  {:?}", engine.submit(&too_much)?.wait()?.outcome);

    // Paying the issuer takes out of circulation.
    let redeem = Transaction::builder(ann.address())
        .sequence(2)
        .transfer(south.address(), yen, Amount(5_000))
        .build()?
        .sign(ledger, &[&ann])?;
    println!("redeemed: {:?}", engine.submit(&redeem)?.wait()?.outcome);

    let snapshot = engine.snapshot()?;
    show(&snapshot, "Ann", &ann.address());
    show(&snapshot, "Ben", &ben.address());
    for (id, asset) in snapshot.assets() {
        let held: u128 = snapshot.accounts().map(|(account, _)| snapshot.balance(&account, id).0).sum();
        println!("{}: {} issued, {held} held", asset.code, asset.issued);
        assert_eq!(asset.issued, Amount(held));
    }
    assert_eq!(snapshot.balance(&ann.address(), euro), Amount(42_00));
    assert_eq!(snapshot.balance(&ben.address(), euro), Amount(58_00));
    assert_eq!(snapshot.balance(&ann.address(), franc), Amount(60_00));
    engine.close()?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn show(snapshot: &Snapshot, name: &str, address: &Address) {
    let holdings = snapshot.holdings(address);
    let holdings = holdings.iter().filter_map(|holding| {
        let asset = snapshot.asset(holding.asset)?;
        Some(format!("{} {}", asset.code, holding.available))
    });
    println!("{name} has {} in the smallest units", holdings.collect::<Vec<_>>().join(", "));
}
