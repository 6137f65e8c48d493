//! What the DNS says of a mail host's certificate (DANE: RFC 6698, 7671, 7672).
//!
//! [`find`] asks for the TLSA records of a host and says what follows from the answer; [`Records::check`] compares them with what the host
//! shows. Only answers that DNSSEC vouches for count. It opens no connection; what is asked of one is decided in [`crate::transport`].

mod chain;
mod find;
mod name;
mod records;

use std::fmt;
use std::sync::Arc;

pub use find::{Found, find};
pub use records::{Records, UnusableTlsa, record_of_authority, record_of_host};

/// What the DNS says of a host's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dane {
    /// Nothing that counts.
    Nothing(Nothing),
    /// The host speaks TLS, and shows a certificate that fits one of these.
    Records(Arc<Records>),
    /// The host speaks TLS, and nothing can be said of its certificate: its records say nothing that counts between mail servers
    /// (RFC 7672 §2.2, §3.1.3).
    Unusable,
    /// It could not be found out, or somebody tampers with the answers: the host must not be used now (RFC 7672 §2.1.2).
    Trouble(String),
}

/// Why DANE says nothing of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// It was not asked.
    NotAsked,
    /// DNSSEC does not vouch for the host's addresses, or our resolver is not trusted to know: then a TLSA record could be anybody's
    /// (RFC 7672 §2.2.2).
    Unsigned,
    /// There are no TLSA records.
    NoRecords,
    /// There are, and DNSSEC does not vouch for them.
    UnsignedRecords,
    /// The host is an address.
    Literal,
}

impl Dane {
    /// Why it says nothing, where it does not.
    #[must_use]
    pub fn nothing(&self) -> Option<Nothing> {
        if let Self::Nothing(why) = self { Some(*why) } else { None }
    }
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "it was not asked",
            Self::Unsigned => "DNSSEC does not vouch for the host's addresses",
            Self::NoRecords => "there are no TLSA records",
            Self::UnsignedRecords => "DNSSEC does not vouch for the TLSA records",
            Self::Literal => "the host is an address",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
