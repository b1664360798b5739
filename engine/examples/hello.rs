//! A bank issues money and pays Ann; Ann pays Ben.

use nostro::{Amount, AssetId, Engine, EngineConfig, KeyPair, Transaction};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("nostro-hello-{}", std::process::id()));
    let engine = Engine::open(&directory, EngineConfig::default())?;
    let (bank, ann, ben) = (KeyPair::generate()?, KeyPair::generate()?, KeyPair::generate()?);
    let euro = AssetId(0);

    let issue = Transaction::builder(bank.address())
        .register_asset("EUR".parse()?, 2, Amount(100_000_000))
        .transfer(ann.address(), euro, Amount(10_000))
        .build()?
        .sign(engine.ledger(), &[&bank])?;
    let pay = Transaction::builder(ann.address())
        .transfer(ben.address(), euro, Amount(3_000))
        .build()?
        .sign(engine.ledger(), &[&ann])?;
    println!("issued in block {}", engine.submit(&issue)?.wait()?.height);
    println!("paid in block {}", engine.submit(&pay)?.wait()?.height);

    let snapshot = engine.snapshot()?;
    println!(
        "Ann has {} cents, Ben has {}",
        snapshot.balance(&ann.address(), euro),
        snapshot.balance(&ben.address(), euro)
    );
    engine.close()?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
