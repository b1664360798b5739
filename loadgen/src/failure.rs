//! Why a command didn't do what it was asked: one line that names place, expectation and finding.

use std::fmt::{self, Display};
use std::path::Path;
use std::process::ExitCode;

/// Ends a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for something that can't be: exit code 2.
    Usage(String),
    /// The work couldn't be done: exit code 1.
    Failed(String),
}

impl Failure {
    /// A failure of the work itself.
    pub(crate) fn new(text: impl Display) -> Self {
        Self::Failed(text.to_string())
    }

    /// A failure at a file.
    pub(crate) fn at(path: &Path, text: impl Display) -> Self {
        Self::Failed(format!("{}: {text}", path.display()))
    }

    /// Says it on standard error, in one line; gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        };
        eprintln!("loadgen: {}", self.to_string().trim_end().replace('\n', " "));
        ExitCode::from(code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Failed(text)) = self;
        f.write_str(text)
    }
}
