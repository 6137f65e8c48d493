//! What can go wrong with the file.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the journal cannot be opened or read. Recording never fails.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no journal yet: the server has not run with this data directory.
    #[error("there is no journal at {}", .0.display())]
    Missing(PathBuf),
    /// The file was written by a newer Posthouse.
    #[error("{} has format {found}, and this Posthouse knows formats up to {known}; use the newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The file cannot be opened, read or written, or what it holds makes no sense.
    #[error("the journal failed: {0}")]
    Storage(String),
}

impl JournalError {
    pub(crate) fn at(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Storage(format!("{}: {error}", path.display()))
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.to_string())
    }
}
