//! `loadgen verify`: checks everything that can be checked in a ledger's directory, and names the first thing that is wrong.

use crate::arguments::VerifyArguments;
use crate::failure::Failure;
use crate::show::{Show, grouped};

/// Verifies it.
pub(crate) fn verify(arguments: &VerifyArguments) -> Result<(), Failure> {
    let mut show = Show::new();
    let directory = &arguments.directory;
    let report = nostro::audit_ledger(directory, arguments.signatures, &mut |_, done| show.count("checked", done));
    show.clear();
    let report = report.map_err(Failure::new)?;
    let summary = &report.summary;
    println!("{}: every hash, id and outcome is right", directory.display());
    println!("  ledger        {}", summary.name);
    println!("  blocks        {}", summary.height);
    println!("  transactions  {}, {} of them rejected", grouped(summary.transactions), grouped(report.rejected));
    if arguments.signatures {
        println!("  signatures    {}, all valid", grouped(report.signatures));
    } else {
        println!("  signatures    not checked (--signatures checks them)");
    }
    println!("  log           {} bytes in {} segments", grouped(summary.bytes), grouped(summary.segments));
    println!("  chain         {}", summary.hash);
    println!("  final digest  {}", report.state);
    if let Some(torn) = &summary.torn {
        println!("  torn end      {torn}: never acknowledged, the next opening cuts it off");
    }
    Ok(())
}
