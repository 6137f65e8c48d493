//! Why there is no new certificate.

use std::path::{Path, PathBuf};

use posthouse_dns::UpdateError;
use posthouse_runtime::tls::TlsError;
use thiserror::Error;

/// Why there is no new certificate. The one that is there stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The authority refuses, or cannot be reached; its words.
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    /// The authority could not be convinced that a name is ours.
    #[error("{name} could not be proven to be ours: {why}")]
    Unproven {
        /// The name.
        name: String,
        /// Its words.
        why: String,
    },
    /// It offers no proof of the kind that is set.
    #[error("the authority offers no `{challenge}` for {name}")]
    NoChallenge {
        /// The name.
        name: String,
        /// The kind.
        challenge: String,
    },
    /// A proof cannot be put into the DNS.
    #[error("the proof for {name} cannot be published: {why}")]
    Dns {
        /// The name.
        name: String,
        /// Why.
        why: UpdateError,
    },
    /// The DNS has no room for the proof.
    #[error("{0} is too long for a proof in the DNS")]
    NameTooLong(String),
    /// It took longer than anybody waits.
    #[error("the authority did not come to an end in time")]
    Timeout,
    /// What it gave is no certificate that can be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The terms of service were not agreed to.
    #[error("the authority wants its terms of service agreed to: read them and set `tls.acme.agree-to-terms = true`")]
    Terms,
    /// A file of ours.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        why: String,
    },
}

impl AcmeError {
    pub(crate) fn file(path: &Path, why: impl ToString) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}
