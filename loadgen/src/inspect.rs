//! `loadgen inspect`: what is in a ledger, block by block or transaction by transaction, or in a load file.

use crate::arguments::InspectArguments;
use crate::failure::Failure;
use crate::forms::forms;
use crate::load::{Header, Load};
use crate::record::describe;
use crate::show::{grouped, percent};
use nostro::{BlockRef, Operation, Outcome, TransactionRef};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Shows it.
pub(crate) fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let source = &arguments.source;
    if source.is_file() {
        return inspect_load(source, arguments.json);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut seen, mut closed) = (false, false);
    let summary = nostro::read_ledger(source, &mut |block| {
        let wanted = arguments.height.is_none_or(|height| height == block.header().height.0);
        if !wanted {
            return Ok(());
        }
        seen = true;
        let written = if arguments.json {
            block_json(&mut out, block, arguments)
        } else {
            block_text(&mut out, block, arguments)
        };
        written.inspect_err(|error| closed = error.kind() == io::ErrorKind::BrokenPipe)?;
        Ok(())
    });
    if closed {
        return Ok(());
    }
    let summary = summary.map_err(Failure::new)?;
    if let Some(height) = arguments.height.filter(|_| !seen) {
        return Err(Failure::at(
            source,
            format_args!("expected a block {height}, found blocks 1 to {}", summary.height),
        ));
    }
    let written = match (arguments.height, arguments.json) {
        (Some(_), _) | (_, true) => Ok(()),
        _ => writeln!(
            out,
            "ledger {:?}: {} blocks, {} transactions, {} bytes in {} segments, chain {}{}",
            summary.name,
            summary.height,
            summary.transactions,
            summary.bytes,
            summary.segments,
            summary.hash,
            summary.torn.map(|torn| format!("\ntorn end: {torn}")).unwrap_or_default()
        ),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(error)),
        _ => Ok(()),
    }
}

/// Shows what a load is, and how much of it each form of operation is.
fn inspect_load(source: &Path, json: bool) -> Result<(), Failure> {
    let load = Load::open(source)?;
    let forms = forms(&load)?;
    let Header { ledger, spec, seed, transactions, .. } = &load.header;
    if json {
        let digest = load.header.digest.map(|digest| digest.to_string());
        println!(
            "{}",
            json!({
                "ledger": ledger, "load": spec, "seed": seed, "setup": load.header.setup_transactions,
                "transactions": transactions, "digest": digest, "operations": forms,
            })
        );
        return Ok(());
    }
    print!("{}", describe(&source.display().to_string(), &load.header));
    let all: u64 = forms.values().sum();
    println!("  operations    {}", grouped(all));
    for (form, count) in &forms {
        println!("{:>12} %  {}  {form}", percent(*count, all), grouped(*count));
    }
    Ok(())
}

fn block_text(out: &mut impl Write, block: &BlockRef<'_>, arguments: &InspectArguments) -> io::Result<()> {
    let header = block.header();
    writeln!(
        out,
        "block {}  time {} ms  {} transactions  {} rejected  {} bytes  hash {}",
        header.height,
        header.time.0,
        header.count,
        header.rejected,
        block.encoded_transactions().len(),
        block.hash()
    )?;
    if arguments.height.is_none() {
        return Ok(());
    }
    writeln!(out, "  previous {}\n  body {}\n  effects {}", header.previous, header.body, header.effects)?;
    for (position, (transaction, outcome)) in block.transactions().enumerate() {
        writeln!(
            out,
            "  {position}  {}  lane {} sequence {}  {}",
            transaction.account(),
            transaction.lane(),
            transaction.sequence(),
            outcome_text(&outcome)
        )?;
        for (source, operation) in transaction.operations() {
            writeln!(out, "      signer {source}  {}", operation)?;
        }
    }
    Ok(())
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied => "applied".to_owned(),
        Outcome::Rejected(rejection) => format!("rejected {rejection}"),
    }
}

fn block_json(out: &mut impl Write, block: &BlockRef<'_>, arguments: &InspectArguments) -> io::Result<()> {
    let header = block.header();
    let mut object = json!({
        "height": header.height.0,
        "time_ms": header.time.0,
        "transactions": header.count,
        "rejected": header.rejected,
        "bytes": block.encoded_transactions().len(),
        "hash": block.hash().to_string(),
        "previous": header.previous.to_string(),
        "body": header.body.to_string(),
        "effects": header.effects.to_string(),
    });
    if let (Some(_), Some(fields)) = (arguments.height, object.as_object_mut()) {
        let list = block.transactions().map(|(transaction, outcome)| transaction_json(&transaction, &outcome));
        fields.insert("list".to_owned(), list.collect());
    }
    writeln!(out, "{object}")
}

fn transaction_json(transaction: &TransactionRef<'_>, outcome: &Outcome) -> Value {
    let operations: Vec<Value> = transaction
        .operations()
        .map(|(source, operation)| match operation {
            // Amounts as text: JSON's numbers end before theirs do.
            Operation::Transfer(transfer) => json!({
                "kind": "Transfer", "signer": source, "asset": transfer.asset.0, "amount": transfer.amount.to_string(),
                "payee": transfer.payee.to_string(), "reference": transfer.reference, "code": transfer.code,
            }),
            Operation::RegisterAsset(register) => json!({
                "kind": "RegisterAsset", "signer": source, "code": register.code.to_string(), "scale": register.scale,
                "maximum_supply": register.maximum_supply.to_string(),
            }),
            other => json!({ "kind": other.kind().name, "signer": source, "text": other.to_string() }),
        })
        .collect();
    json!({
        "account": transaction.account().to_string(),
        "lane": transaction.lane(),
        "sequence": transaction.sequence(),
        "outcome": outcome_text(outcome),
        "operations": operations,
    })
}
