//! The mechanisms a client knows: those that servers of ours have too, and those that need an issuer, a certificate or a weak hash.

use std::fmt;
use std::str::FromStr;

use crate::hash::ScramHash;
use crate::mechanism::{Mechanism, UnknownMechanism};

/// A mechanism that a client can log in with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// `SCRAM-…` (RFC 5802): the password never travels, and the server proves that it knows it.
    Scram {
        /// What it hashes with.
        hash: ScramHash,
        /// `-PLUS`: bound to this very TLS connection (RFC 9266).
        bound: bool,
    },
    /// `PLAIN` (RFC 4616): the password itself.
    Plain,
    /// `CRAM-MD5` (RFC 2195): with a password, proved by a hash that is broken for other uses; the server proves nothing.
    CramMd5,
    /// `LOGIN`: as PLAIN, in two questions.
    Login,
    /// `OAUTHBEARER` (RFC 7628): with a token.
    OAuthBearer,
    /// `XOAUTH2`: the same before it was a standard.
    XOAuth2,
    /// `EXTERNAL` (RFC 4422): with the certificate that TLS has shown.
    External,
}

const fn scram(hash: ScramHash, bound: bool) -> Method {
    Method::Scram { hash, bound }
}

impl Method {
    /// Every one, best first: what is bound to the connection, what proves the server, then what TLS alone protects; CRAM-MD5 and LOGIN where there is nothing else.
    pub const ALL: [Self; 12] = [
        Self::External,
        scram(ScramHash::Sha512, true),
        scram(ScramHash::Sha256, true),
        scram(ScramHash::Sha1, true),
        scram(ScramHash::Sha512, false),
        scram(ScramHash::Sha256, false),
        scram(ScramHash::Sha1, false),
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::CramMd5,
        Self::Login,
    ];

    /// The name by which servers offer it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scram { hash: ScramHash::Sha1, bound: false } => "SCRAM-SHA-1",
            Self::Scram { hash: ScramHash::Sha1, bound: true } => "SCRAM-SHA-1-PLUS",
            Self::Scram { hash: ScramHash::Sha256, bound: false } => "SCRAM-SHA-256",
            Self::Scram { hash: ScramHash::Sha256, bound: true } => "SCRAM-SHA-256-PLUS",
            Self::Scram { hash: ScramHash::Sha512, bound: false } => "SCRAM-SHA-512",
            Self::Scram { hash: ScramHash::Sha512, bound: true } => "SCRAM-SHA-512-PLUS",
            Self::Plain => "PLAIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::Login => "LOGIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
        }
    }
}

impl From<Mechanism> for Method {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Plain => Self::Plain,
            Mechanism::Login => Self::Login,
            Mechanism::ScramSha256 => scram(ScramHash::Sha256, false),
            Mechanism::ScramSha256Plus => scram(ScramHash::Sha256, true),
            Mechanism::ScramSha1 => scram(ScramHash::Sha1, false),
            Mechanism::ScramSha1Plus => scram(ScramHash::Sha1, true),
            Mechanism::OAuthBearer => Self::OAuthBearer,
            Mechanism::XOAuth2 => Self::XOAuth2,
            Mechanism::External => Self::External,
        }
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
