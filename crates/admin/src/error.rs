//! What can go wrong, and whose fault it is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use posthouse_directory::DirectoryError;
use posthouse_journal::JournalError;
use posthouse_mailbox::MailboxError;
use posthouse_queue::QueueError;

/// Why something could not be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// There is nothing to work on.
    #[error("there is no data directory {}; a server makes it when it starts, and so does adding a domain", .0.display())]
    NoData(PathBuf),
    /// The directory cannot be made or read.
    #[error("{}: {cause}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A key of a domain cannot be made or read.
    #[error("a key of the domain cannot be made or read")]
    Key,
    /// The domain has no such key.
    #[error("there is no key `{0}`")]
    NoKey(String),
    /// There is no such account.
    #[error("there is no account `{0}`")]
    NoAccount(String),
    /// The inbox is empty.
    #[error("the inbox of `{0}` is empty")]
    NoMail(String),
    /// Identities.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Stored mail.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// Undelivered mail.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The letter is not in the queue.
    #[error("letter {0} is not in the queue")]
    NotQueued(String),
    /// It is not suspended, or only by another suspension.
    #[error("{0} is not suspended")]
    NotSuspended(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be done at this moment.
    #[error("{0}")]
    Busy(String),
    /// Only a running server can do it.
    #[error("the server is not running; {0}")]
    NotRunning(String),
    /// The admin socket of a running server cannot be used.
    #[error("the admin socket {}: {cause}", path.display())]
    Socket {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// What the server answered to a request.
    #[error("{text}")]
    Answered {
        /// Whose fault it is.
        kind: Kind,
        /// The words.
        text: String,
    },
    /// A letter could not be read to its end.
    #[error("the letter could not be read: {0}")]
    Read(std::io::Error),
}

/// Whose fault an error is, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What was named does not exist.
    NotFound,
    /// It contradicts what is there: it exists already, or is in use.
    Conflict,
    /// What was given cannot be taken as it is.
    Invalid,
    /// It may work in a moment.
    Busy,
    /// The data directory is not there or of another version.
    Setup,
    /// The disk or its rights.
    Storage,
    /// The server does not run.
    Stopped,
    /// Whoever asks has no right to.
    Denied,
    /// Server and command line do not understand each other.
    Protocol,
}

impl AdminError {
    /// Whose fault it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoData(_) => Kind::Setup,
            Self::Folder { .. } | Self::Read(_) | Self::Key => Kind::Storage,
            Self::NoAccount(_)
            | Self::NoKey(_)
            | Self::NoMail(_)
            | Self::NotQueued(_)
            | Self::NotSuspended(_)
            | Self::Queue(QueueError::Gone(_)) => Kind::NotFound,
            Self::Invalid(_) => Kind::Invalid,
            Self::Busy(_) => Kind::Busy,
            Self::NotRunning(_) => Kind::Stopped,
            Self::Socket { cause, .. } if cause.kind() == std::io::ErrorKind::PermissionDenied => Kind::Denied,
            Self::Socket { .. } => Kind::Protocol,
            Self::Answered { kind, .. } => *kind,
            Self::Queue(QueueError::Full(_) | QueueError::Locked(_)) => Kind::Busy,
            Self::Queue(QueueError::Format { .. }) => Kind::Setup,
            Self::Queue(_) => Kind::Storage,
            Self::Directory(error) => directory_kind(error),
            Self::Journal(JournalError::Missing(_) | JournalError::Newer { .. }) => Kind::Setup,
            Self::Journal(_) => Kind::Storage,
            Self::Mailbox(error) => mailbox_kind(error),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other crate may add errors, and storage is what they are then")]
fn directory_kind(error: &DirectoryError) -> Kind {
    match error {
        DirectoryError::NoSuchDomain(_)
        | DirectoryError::NoSuchAccount(_)
        | DirectoryError::NoSuchAlias(_)
        | DirectoryError::NoSuchSenderRule(..)
        | DirectoryError::NoSuchGrant(..)
        | DirectoryError::NoSuchAppPassword(..) => Kind::NotFound,
        DirectoryError::DomainExists(_)
        | DirectoryError::DomainInUse { .. }
        | DirectoryError::AccountExists(_)
        | DirectoryError::AliasExists(_)
        | DirectoryError::AppPasswordExists(..)
        | DirectoryError::TooManySenderRules(_)
        | DirectoryError::TooManyGrants(_)
        | DirectoryError::TooManyAppPasswords(_) => Kind::Conflict,
        DirectoryError::DomainLiteral(_)
        | DirectoryError::CatchAllAccount(_)
        | DirectoryError::NoTargets(_)
        | DirectoryError::CatchAllTarget(_)
        | DirectoryError::TooManyTargets(_)
        | DirectoryError::Loop { .. }
        | DirectoryError::TooMuch(_)
        | DirectoryError::Password(_) => Kind::Invalid,
        DirectoryError::Busy(_) => Kind::Busy,
        DirectoryError::Newer { .. } => Kind::Setup,
        _ => Kind::Storage,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other crate may add errors, and storage is what they are then")]
fn mailbox_kind(error: &MailboxError) -> Kind {
    match error {
        MailboxError::Account(_) | MailboxError::NoSuchMessage(_) => Kind::NotFound,
        MailboxError::InUse | MailboxError::Busy(_) | MailboxError::Full(_) => Kind::Busy,
        MailboxError::Newer { .. } => Kind::Setup,
        _ => Kind::Storage,
    }
}
