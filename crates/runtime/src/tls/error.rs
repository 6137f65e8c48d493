//! What can be wrong with a certificate, a key or a handshake.

use std::io;
use std::path::PathBuf;

use rustls::CertificateError;
use thiserror::Error;

use crate::log::one_line;

/// Why there is no TLS. Errors that name a file are ours to mend; the others came from the peer or the network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file of the own CA cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{origin}: {what}")]
    File {
        /// The file, or the words for what was given in memory.
        origin: String,
        /// What is wrong with it.
        what: String,
    },
    /// The key is another certificate's.
    #[error("the key in {key} does not belong to the certificate in {cert}")]
    KeyMismatch {
        /// The certificate's file.
        cert: String,
        /// The key's file.
        key: String,
    },
    /// The certificate's time is over.
    #[error("the certificate in {origin} expired on {at}")]
    Expired {
        /// The certificate's file.
        origin: String,
        /// The last moment of its time.
        at: String,
    },
    /// The certificate's time has not come.
    #[error("the certificate in {origin} is valid only from {at} on")]
    NotYetValid {
        /// The certificate's file.
        origin: String,
        /// The first moment of its time.
        at: String,
    },
    /// No certificate was given to a server.
    #[error("a server needs at least one certificate")]
    NoCertificate,
    /// A name that no certificate can be checked against.
    #[error("`{0}` is neither a host name nor an IP address")]
    Name(String),
    /// The server's certificate does not convince.
    #[error("the certificate of {name} was not accepted: {why}")]
    Untrusted {
        /// Who the peer was to be.
        name: String,
        /// What is wrong with its certificate.
        why: String,
    },
    /// The handshake failed for another reason.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// The handshake took too long.
    #[error("the TLS handshake took too long")]
    Timeout,
    /// The connection is a TLS connection already.
    #[error("the connection is encrypted already")]
    AlreadySecure,
    /// The library or the system refuses: no roots on this system, no randomness.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl TlsError {
    pub(super) fn setup(error: rustls::Error) -> Self {
        Self::Setup(error.to_string())
    }

    pub(super) fn file(origin: &str, what: impl ToString) -> Self {
        Self::File { origin: origin.to_owned(), what: what.to_string() }
    }

    /// What a failed handshake means; `name` is the server's, and `None` on the server itself.
    pub(super) fn handshake(error: &io::Error, name: Option<&str>) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, name) {
            (Some(error @ rustls::Error::InvalidCertificate(_)), Some(name)) => {
                Self::Untrusted { name: name.to_owned(), why: untrusted(error) }
            }
            (Some(other), _) => Self::Handshake(one_line(&other.to_string()).into_owned()),
            (None, _) => Self::Handshake(one_line(&error.to_string()).into_owned()),
        }
    }
}

/// What kind of thing is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It is for another name.
    Name,
    /// Its time is over, or has not come.
    Time,
    /// Its authority is not trusted here.
    Authority,
    /// Another.
    Other,
}

const OTHER_NAME: &str = "it is for ";
const NO_NAME: &str = "it names no host";
const EXPIRED: &str = "it has expired";
const NOT_YET: &str = "its time has not come yet";
const UNKNOWN_AUTHORITY: &str = "it is not signed by an authority that is trusted here";

impl Doubt {
    /// The kind, of the words in [`TlsError::Untrusted`] and in [`TlsInfo::verdict`](super::TlsInfo::verdict).
    #[must_use]
    pub fn of(words: &str) -> Self {
        match words {
            EXPIRED | NOT_YET => Self::Time,
            UNKNOWN_AUTHORITY => Self::Authority,
            NO_NAME => Self::Name,
            _ if words.starts_with(OTHER_NAME) => Self::Name,
            _ => Self::Other,
        }
    }
}

/// What is wrong with a certificate, for people.
pub(super) fn untrusted(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else { return one_line(&error.to_string()).into_owned() };
    #[allow(clippy::wildcard_enum_match_arm, reason = "the library's enum is open, and has words of its own for the rest")]
    match why {
        CertificateError::UnknownIssuer => UNKNOWN_AUTHORITY.to_owned(),
        CertificateError::NotValidForName => format!("{OTHER_NAME}another name"),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => NO_NAME.to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            format!("{OTHER_NAME}{}", one_line(&names.join(", ")))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => EXPIRED.to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => NOT_YET.to_owned(),
        other => one_line(&other.to_string()).into_owned(),
    }
}

/// The library shows a name with its kind, as in `DnsName("a.test")`.
fn bare(presented: &str) -> &str {
    let inside = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(presented).trim_matches('"')
}
