//! What can go wrong with the spool, whose fault it is, and what a peer is told of it.

use std::path::PathBuf;

use posthouse_mail::{LetterId, Reply, Status};
use thiserror::Error;

/// Why the queue could not do what was asked. [`QueueError::reply`] is the text for a peer; `Display` is the cause, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// No room for another letter: the disk or the configured limit is reached. Temporary; nothing was lost.
    #[error("no room for another letter: {0}")]
    Full(String),
    /// The log could not be written or synced. It takes nothing more until the spool is opened again.
    #[error("the spool log has failed: {0}")]
    Failed(String),
    /// Another process has the spool open.
    #[error("the spool in {0} is in use by another process")]
    Locked(PathBuf),
    /// The spool was written by a version of Posthouse that this one does not know.
    #[error("{segment} has format {found}; this version of Posthouse reads format {known}")]
    Format {
        /// The segment's file name.
        segment: String,
        /// The version found in it.
        found: u16,
        /// The version this build reads and writes.
        known: u16,
    },
    /// The directory or a file in it cannot be used.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried, with the file's name.
        what: String,
        /// The system's words.
        cause: String,
    },
    /// The envelope is larger than one record of the log may be.
    #[error("the envelope needs {bytes} octets, a record holds {bytes_max}")]
    EnvelopeTooLarge {
        /// What it would need.
        bytes: u64,
        /// What there is.
        bytes_max: u64,
    },
    /// The letter is no longer queued, or is leased to somebody else.
    #[error("letter {0} is not in the queue")]
    Gone(LetterId),
    /// What is on the disk is not what was written.
    #[error("letter {id} is damaged on the disk: {what}")]
    Damaged {
        /// Whose record it is.
        id: LetterId,
        /// What does not fit.
        what: String,
    },
}

impl QueueError {
    pub(crate) fn io(what: impl Into<String>, cause: &std::io::Error) -> Self {
        Self::Io { what: what.into(), cause: cause.to_string() }
    }

    /// What a peer is told: nothing of paths or causes, and always temporary, for the letter may be taken later.
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self {
            // RFC 3463 §3.4: X.3.1 mail system full; RFC 5321 §4.2.3: 452 insufficient system storage.
            Self::Full(_) => Reply::new(452, Status::temporary(3, 1), "insufficient system storage, try again later"),
            // RFC 5321 §4.5.3.1.8: too many recipients for one transaction.
            Self::EnvelopeTooLarge { .. } => Reply::new(452, Status::temporary(5, 3), "too many recipients for one letter"),
            Self::Failed(_) | Self::Locked(_) | Self::Format { .. } | Self::Io { .. } | Self::Gone(_) | Self::Damaged { .. } => {
                Reply::new(421, Status::temporary(3, 0), "letters cannot be stored now, try again later")
            }
        }
    }
}
