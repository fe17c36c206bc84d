//! How a command fails, which is how its exit status is found.

use aqueduct::error::{Error, ErrorKind};

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Something went wrong that the user does not know of yet.
    Run(String),
    /// Something went wrong, and the user has been told.
    Told,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            // The library's arguments are the command line's.
            ErrorKind::Invalid => Self::Usage(error.to_string()),
            _ => Self::Run(error.to_string()),
        }
    }
}
