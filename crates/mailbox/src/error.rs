//! What can go wrong, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::account::Uid;

/// Why a mailbox did not do what was asked. `Clone`, because every delivery of a failed batch gets it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// The name of an account that cannot be the name of a folder.
    #[error("`{}` cannot be the id of an account", .0.escape_debug())]
    Account(String),
    /// There is no such message, or no longer.
    #[error("there is no message {0}")]
    NoSuchMessage(Uid),
    /// Another session holds the mailbox.
    #[error("the mailbox is in use by another session")]
    InUse,
    /// The letter could not be read from where it came, or was not as long as announced.
    #[error("the letter could not be read: {0}")]
    Source(String),
    /// The disk is full.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Another process holds the file.
    #[error("the mailbox is busy: {0}")]
    Busy(String),
    /// The mailbox was written by a newer Posthouse.
    #[error("{} has format {found}, and this Posthouse knows formats up to {known}; use the newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The files cannot be opened, read or written, or what they hold makes no sense.
    #[error("the mailbox failed: {0}")]
    Storage(String),
}

impl MailboxError {
    /// Whether a delivery shall be tried again later. Failures of our own storage are: the letter is safe where it is, and somebody will mend
    /// the disk.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::InUse | Self::Source(_) | Self::Full(_) | Self::Busy(_) | Self::Newer { .. } | Self::Storage(_) => true,
            Self::Account(_) | Self::NoSuchMessage(_) => false,
        }
    }

    /// An error of a file or folder.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        if error.kind() == io::ErrorKind::StorageFull { Self::Full(text) } else { Self::Storage(text) }
    }
}

impl From<rusqlite::Error> for MailboxError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error.to_string()),
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            Some(_) | None => Self::Storage(error.to_string()),
        }
    }
}
