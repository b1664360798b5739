//! Starts itself as a child that pays as fast as it can and tells every receipt; kills the child in the middle; opens the ledger
//! again and finds everything there was a receipt for.

use nostro::{Amount, AssetId, Engine, EngineConfig, Height, KeyPair, Outcome, Transaction};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

type Failure = Box<dyn std::error::Error>;

/// Receipts the parent waits for before it kills.
const ENOUGH: usize = 2_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(directory) => pay_until_killed(Path::new(&directory)),
        None => kill_and_reopen(),
    }
}

/// The bank, which parent and child know.
fn bank() -> KeyPair {
    KeyPair::from_seed(b"a secret for an example and none")
}

fn shop() -> KeyPair {
    KeyPair::from_seed(b"another secret that is not one, ")
}

/// The child: pays the shop 1 over and over, eight payments in flight, and writes a line per receipt.
fn pay_until_killed(directory: &Path) -> Result<(), Failure> {
    let engine = Engine::open(directory, EngineConfig::default())?;
    let (bank, shop) = (bank(), shop().address());
    let mut receipts = std::io::stdout().lock();
    let mut tickets = std::collections::VecDeque::new();
    for sequence in 0.. {
        let order = Transaction::builder(bank.address()).sequence(sequence);
        let order = match sequence {
            0 => order.register_asset("EUR".parse()?, 2, Amount::MAX),
            _ => order.transfer(shop, AssetId(0), Amount(1)),
        };
        tickets.push_back(engine.submit(&order.build()?.sign(engine.ledger(), &[&bank])?)?);
        if tickets.len() == 8
            && let Some(ticket) = tickets.pop_front()
        {
            let receipt = ticket.wait()?;
            writeln!(receipts, "{} {} {}", receipt.transaction, receipt.height, receipt.position)?;
            receipts.flush()?;
        }
    }
    Ok(())
}

/// The parent.
fn kill_and_reopen() -> Result<(), Failure> {
    let directory = std::env::temp_dir().join(format!("nostro-crash-{}", std::process::id()));
    let mut child =
        Command::new(std::env::current_exe()?).arg(&directory).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?).lines();
    let mut receipts: Vec<String> = lines.by_ref().take(ENOUGH).collect::<Result<_, _>>()?;
    // SIGKILL: no handler, no destructor, no last word.
    child.kill()?;
    child.wait()?;
    // What it still managed to say counts too; a line is one write, so none is cut in the middle.
    receipts.extend(lines.map_while(Result::ok));
    println!("killed after {} receipts", receipts.len());

    let engine = Engine::open(&directory, EngineConfig::default())?;
    let recovered = engine.recovered();
    println!("reopened: {} blocks, {} transactions", recovered.blocks, recovered.transactions);
    let mut settled = std::collections::BTreeSet::new();
    for block in engine.blocks_from(Height(1)) {
        let block = block?;
        for (position, (transaction, outcome)) in block.view()?.transactions().enumerate() {
            assert_eq!(outcome, Outcome::Applied);
            settled.insert(format!("{} {} {position}", transaction.id(engine.ledger()), block.header().height));
        }
    }
    let missing: Vec<&String> = receipts.iter().filter(|&receipt| !settled.contains(receipt)).collect();
    println!("{} of {} receipts hold", receipts.len() - missing.len(), receipts.len());
    assert!(missing.is_empty() && receipts.len() >= ENOUGH, "{missing:?}");

    // Nothing was applied twice or by half: each payment was 1, and the first transaction registered the asset.
    let balance = engine.snapshot()?.balance(&shop().address(), AssetId(0));
    assert_eq!(balance, Amount(u128::from(recovered.transactions) - 1));

    // And the ledger goes on.
    let next = Transaction::builder(bank().address())
        .sequence(u64::MAX)
        .transfer(shop().address(), AssetId(0), Amount(1))
        .build()?
        .sign(engine.ledger(), &[&bank()])?;
    println!("went on with block {}", engine.submit(&next)?.wait()?.height);
    engine.close()?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
