//! The mechanisms a client knows: those that servers of ours have too, and those that need an issuer, a certificate or a weak hash.

use std::fmt;
use std::str::FromStr;

use crate::mechanism::{Mechanism, UnknownMechanism};

/// A mechanism that a client can log in with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// With a password, by a mechanism that our servers have too.
    Password(Mechanism),
    /// `CRAM-MD5` (RFC 2195): with a password, proved by a hash that is broken for other uses; the server proves nothing.
    CramMd5,
    /// `OAUTHBEARER` (RFC 7628): with a token.
    OAuthBearer,
    /// `XOAUTH2`: the same before it was a standard.
    XOAuth2,
    /// `EXTERNAL` (RFC 4422): with the certificate that TLS has shown.
    External,
}

impl Method {
    /// Every one, best first: what proves the server, then what TLS alone protects; CRAM-MD5 and LOGIN where there is nothing else.
    pub const ALL: [Self; 8] = [
        Self::External,
        Self::Password(Mechanism::ScramSha256Plus),
        Self::Password(Mechanism::ScramSha256),
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Password(Mechanism::Plain),
        Self::CramMd5,
        Self::Password(Mechanism::Login),
    ];

    /// The name by which servers offer it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password(mechanism) => mechanism.name(),
            Self::CramMd5 => "CRAM-MD5",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
        }
    }
}

impl From<Mechanism> for Method {
    fn from(mechanism: Mechanism) -> Self {
        Self::Password(mechanism)
    }
}

impl FromStr for Method {
    type Err = UnknownMechanism;

    fn from_str(text: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(text)).ok_or(UnknownMechanism)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
