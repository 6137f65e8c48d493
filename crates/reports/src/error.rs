//! What can go wrong with the file.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the file cannot be opened, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportsError {
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
    /// The system or SQLite refuses, or what the file holds makes no sense.
    #[error("the file of reports failed: {0}")]
    Storage(String),
}

impl ReportsError {
    pub(crate) fn at(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Storage(format!("{}: {error}", path.display()))
    }
}

impl From<rusqlite::Error> for ReportsError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error.to_string())
    }
}
