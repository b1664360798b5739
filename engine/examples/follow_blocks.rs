//! One thread pays; another follows the blocks as they become durable, keeps a sum of its own, and never asks the engine for one.

use nostro::{Amount, AssetId, Engine, EngineConfig, Height, KeyPair, Operation, Transaction};
use std::sync::Arc;
use std::time::Duration;

const PAYMENTS: u64 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("nostro-follow-blocks-{}", std::process::id()));
    let engine = Arc::new(Engine::open(&directory, EngineConfig::default())?);
    let (bank, shop) = (KeyPair::generate()?, KeyPair::generate()?);
    let euro = AssetId(0);

    // The follower has the blocks, not the engine: it holds nothing up, and ends when the engine has stopped.
    let mut blocks = engine.blocks_from(Height(1));
    let shop_address = shop.address();
    let follower = std::thread::spawn(move || -> Result<(u64, u128), nostro::ReadError> {
        let (mut transactions, mut income) = (0, 0);
        while let Some(block) = blocks.next_within(Duration::from_secs(60)) {
            let block = block?;
            for (transaction, outcome) in block.view()?.transactions() {
                transactions += 1;
                for (_, operation) in transaction.operations().filter(|_| outcome.is_applied()) {
                    if let Operation::Transfer(transfer) = operation
                        && transfer.payee == shop_address
                    {
                        income += transfer.amount.0;
                    }
                }
            }
            let header = block.header();
            println!("block {}: {} transactions, income so far {income}", header.height, header.count);
        }
        Ok((transactions, income))
    });

    let issue = Transaction::builder(bank.address()).register_asset("EUR".parse()?, 2, Amount::MAX).build()?;
    engine.submit(&issue.sign(engine.ledger(), &[&bank])?)?.wait()?;
    let mut tickets = Vec::new();
    for sequence in 1..=PAYMENTS {
        let pay = Transaction::builder(bank.address())
            .sequence(sequence)
            .transfer(shop.address(), euro, Amount(u128::from(sequence)))
            .build()?
            .sign(engine.ledger(), &[&bank])?;
        tickets.push(engine.submit(&pay)?);
    }
    for ticket in tickets {
        assert!(ticket.wait()?.outcome.is_applied());
    }
    let balance = engine.snapshot()?.balance(&shop.address(), euro);

    // Everything that was admitted is durable when the engine is closed; the follower sees it all and then the end.
    drop(engine);
    let (transactions, income) = follower.join().map_err(|_| "the follower panicked")??;
    println!("followed {transactions} transactions: income {income}, balance {balance}");
    assert_eq!((transactions, Amount(income)), (PAYMENTS + 1, balance));
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
