//! `loadgen inspect`: what is in a ledger, block by block or transaction by transaction, or in a load file.

use crate::arguments::InspectArguments;
use crate::failure::Failure;
use crate::forms::forms;
use crate::load::{Header, Load};
use crate::record::describe;
use crate::show::{grouped, percent};
use nostro::{BlockRef, Operation, Outcome, Time, TransactionRef};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Shows it.
pub(crate) fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let source = &arguments.source;
    let (is_load, is_placed) = (source.is_file(), arguments.at.is_some());
    if is_load && arguments.height.is_some() {
        return Err(Failure::Usage("--height: expected with a ledger, found a load file".to_owned()));
    }
    if is_load && is_placed {
        return inspect_transactions(source, arguments);
    }
    if is_load {
        return inspect_load(source, arguments.json);
    }
    if is_placed && (arguments.height.is_none() || arguments.setup) {
        return Err(Failure::Usage("--at: expected with --height and without --setup for a ledger".to_owned()));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut seen, mut closed, mut found) = (false, false, 0);
    let summary = nostro::read_ledger(source, &mut |block| {
        let wanted = arguments.height.is_none_or(|height| height == block.header().height.0);
        if !wanted {
            return Ok(());
        }
        (seen, found) = (true, u64::from(block.header().count));
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
    if let Some(at) = arguments.at.filter(|&at| at >= found) {
        return Err(nothing_there(source, at, found));
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

fn nothing_there(source: &Path, at: u64, found: u64) -> Failure {
    Failure::at(source, format_args!("expected a transaction {at}, from 0, found {found} of them"))
}

/// Shows some transactions of a load, each as a person would write it down.
fn inspect_transactions(source: &Path, arguments: &InspectArguments) -> Result<(), Failure> {
    let load = Load::open(source)?;
    let at = arguments.at.unwrap_or(0);
    let timeless = load.header.setup_transactions;
    let pieces: Vec<(u64, u64, Option<Time>, &[u8])> = if arguments.setup {
        vec![(timeless, 0, None, load.setup())]
    } else {
        load.pieces().map(|(entry, bytes)| (entry.count, entry.due_ns, entry.time, bytes)).collect()
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut place, end) = (0_u64, at.saturating_add(arguments.count));
    for (count, due_ns, time, bytes) in pieces {
        // What lies before or behind isn't decoded.
        if place.saturating_add(count) <= at || place >= end {
            place = place.saturating_add(count);
            continue;
        }
        let mut rest = bytes;
        while !rest.is_empty() && place < end {
            let (transaction, after) =
                TransactionRef::decode_prefix(rest).map_err(|error| Failure::at(source, error))?;
            rest = after;
            let written = if place < at {
                Ok(())
            } else if arguments.json {
                let mut object = transaction_json(&transaction, None);
                object["place"] = place.into();
                (object["due_ns"], object["time_ms"]) = (due_ns.into(), time.map(|time| time.0).into());
                writeln!(out, "{object}")
            } else {
                let asked = time.map_or_else(String::new, |time| format!(", block time {} ms", time.0));
                let due =
                    if arguments.setup { String::new() } else { format!("due after {} µs{asked}", due_ns / 1_000) };
                transaction_text(&mut out, place, &transaction, &due)
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.map_err(Failure::new)?,
            }
            place = place.saturating_add(1);
        }
    }
    if place <= at {
        return Err(nothing_there(source, at, place));
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(error)),
        _ => Ok(()),
    }
}

/// A transaction as a person would write it down: whose, and a line for each operation.
fn transaction_text(out: &mut impl Write, place: u64, transaction: &TransactionRef<'_>, what: &str) -> io::Result<()> {
    let until = transaction.valid_until().map_or_else(String::new, |time| format!(" until {} ms", time.0));
    let (lane, sequence) = (transaction.lane(), transaction.sequence());
    writeln!(out, "  {place}  {}  lane {lane} sequence {sequence}{until}  {what}", transaction.account())?;
    for (signer, address) in transaction.signers().enumerate().skip(1) {
        writeln!(out, "      signer {signer} is {address}")?;
    }
    for (source, operation) in transaction.operations() {
        writeln!(out, "      signer {source}  {operation}")?;
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
    for (position, (transaction, outcome)) in
        (0..).zip(block.transactions()).filter(|(position, _)| shows(arguments, *position))
    {
        transaction_text(out, position, &transaction, &outcome_text(&outcome))?;
    }
    Ok(())
}

/// Whether a place is among those that are asked for.
fn shows(arguments: &InspectArguments, position: u64) -> bool {
    arguments.at.is_none_or(|at| (at..at.saturating_add(arguments.count)).contains(&position))
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
        let all = (0..).zip(block.transactions()).filter(|(position, _)| shows(arguments, *position));
        let list = all.map(|(_, (transaction, outcome))| transaction_json(&transaction, Some(&outcome)));
        fields.insert("list".to_owned(), list.collect());
    }
    writeln!(out, "{object}")
}

/// The same for machines.
fn transaction_json(transaction: &TransactionRef<'_>, outcome: Option<&Outcome>) -> Value {
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
    let mut object = json!({
        "account": transaction.account().to_string(),
        "lane": transaction.lane(),
        "sequence": transaction.sequence(),
        "operations": operations,
    });
    if let Some(outcome) = outcome {
        object["outcome"] = outcome_text(outcome).into();
    }
    object
}
