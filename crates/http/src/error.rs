//! Why there is no answer.

use std::net::IpAddr;

use posthouse_runtime::tls::TlsError;
use thiserror::Error;

/// Why there is no answer. An answer that says no (404, 500) is an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not a URL that is asked: `https://` (or `http://`, for [`crate::Client::for_operator`]), a host, no user.
    #[error("`{0}` is no URL that can be asked: it must begin with https:// and name a host")]
    Url(String),
    /// The host's addresses are not known.
    #[error("the address of {host} cannot be found: {why}")]
    Resolve {
        /// The host.
        host: String,
        /// The resolver's word.
        why: String,
    },
    /// The host has no address outside of this network.
    #[error("{host} is not asked, for its address {address} is inside a private network")]
    Private {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// The way there is not safe without TLS.
    #[error("{host} is at {address}, and what it would be told must not go there in clear: ask it by https://")]
    Clear {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// None of its addresses could be reached.
    #[error("{host} cannot be reached: {why}")]
    Connect {
        /// The host.
        host: String,
        /// The last word of the system.
        why: String,
    },
    /// The handshake failed; [`TlsError::Untrusted`] when the certificate does not convince.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The answer is not HTTP, or breaks off.
    #[error("{host} does not answer as a web server does: {why}")]
    Protocol {
        /// The host.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer of {host} is longer than {octets_max} octets")]
    TooLong {
        /// The host.
        host: String,
        /// How long it may be.
        octets_max: usize,
    },
    /// It took too long.
    #[error("there was no whole answer in time")]
    Timeout,
}

impl HttpError {
    /// Whether it is the server's certificate.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        matches!(self, Self::Tls(TlsError::Untrusted { .. }))
    }
}
