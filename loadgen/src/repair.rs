//! `loadgen repair`: cuts a damaged ledger after a block that is whole, keeps a copy of what it changes, and says what is lost.

use crate::arguments::RepairArguments;
use crate::failure::Failure;
use nostro::Height;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Repairs it.
pub(crate) fn repair(arguments: &RepairArguments) -> Result<(), Failure> {
    let directory = &arguments.directory;
    let copy = match &arguments.copy {
        Some(copy) => copy.clone(),
        None => beside(directory, arguments.truncate_at)?,
    };
    let cut = nostro::truncate_ledger(directory, Height(arguments.truncate_at), &copy).map_err(Failure::new)?;
    println!("{}: cut after block {}", directory.display(), cut.height);
    println!("  cut        {} from offset {} to its end", cut.file, cut.offset);
    if cut.removed.is_empty() {
        println!("  removed    no segment");
    } else {
        println!("  removed    {}", cut.removed.join(", "));
    }
    if cut.lost > cut.height {
        println!("  lost       blocks {} to {}", cut.height.0.saturating_add(1), cut.lost);
    } else {
        println!("  lost       no block that could be recognised");
    }
    println!("  chain      {}", cut.hash);
    println!("  copy       {}", copy.display());
    Ok(())
}

/// A name beside the ledger's own directory.
fn beside(directory: &Path, height: u64) -> Result<PathBuf, Failure> {
    let whole = std::fs::canonicalize(directory)
        .map_err(|error| Failure::at(directory, format_args!("expected the directory of a ledger, found: {error}")))?;
    let mut name = whole.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!("-before-cut-at-{height}"));
    Ok(whole.with_file_name(name))
}
