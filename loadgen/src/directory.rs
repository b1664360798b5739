//! Where a ledger is put: a directory that was named and is empty, or a temporary one that is removed at the end.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// The directory of one ledger.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    /// The named directory, which must be empty or not there yet; without a name a fresh temporary one.
    pub(crate) fn take(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Self::named(path),
            None => Self::temporary(),
        }
    }

    fn named(path: &Path) -> Result<Self, Failure> {
        match std::fs::read_dir(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::at(path, format_args!("expected a new or an empty directory, found: {error}")));
            }
            Ok(entries) => {
                let count = entries.count();
                if count > 0 {
                    let found = match nostro::ledger_name(path) {
                        Ok(name) => format!("the ledger {name:?}"),
                        Err(_) => format!("{count} entries"),
                    };
                    let why = "a run begins with a fresh ledger, and nothing is deleted here";
                    return Err(Failure::at(
                        path,
                        format_args!("expected a new or an empty directory, found {found} ({why})"),
                    ));
                }
            }
        }
        Ok(Self { path: path.to_path_buf(), temporary: false })
    }

    fn temporary() -> Result<Self, Failure> {
        let parent = std::env::temp_dir();
        for attempt in 0..1000_u32 {
            let path = parent.join(format!("nostro-loadgen-{}-{attempt}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, temporary: true }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Failure::at(&path, format_args!("expected to create a directory, found: {error}")));
                }
            }
        }
        Err(Failure::at(&parent, "expected a free name for a temporary directory, found 1,000 taken"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it goes away at the end.
    pub(crate) const fn is_temporary(&self) -> bool {
        self.temporary
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("loadgen: {}: expected to remove the temporary directory, found: {error}", self.path.display());
        }
    }
}
