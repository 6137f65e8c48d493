//! The mechanisms by name, and what a connection has to bind them to.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::hash::ScramHash;

/// A SASL mechanism.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    /// `PLAIN` (RFC 4616): the password itself; only inside TLS.
    Plain,
    /// `LOGIN`: as PLAIN, in two questions; for old clients.
    Login,
    /// `SCRAM-SHA-256` (RFC 7677): the password never travels, and the server proves that it knows it.
    ScramSha256,
    /// `SCRAM-SHA-256-PLUS`: the same, bound to this very TLS connection (RFC 9266).
    ScramSha256Plus,
    /// `SCRAM-SHA-1` (RFC 5802): for clients that know no better; HMAC does not fall with its hash.
    ScramSha1,
    /// `SCRAM-SHA-1-PLUS`: the same, bound to the TLS connection.
    ScramSha1Plus,
    /// `OAUTHBEARER` (RFC 7628): a token that an issuer vouches for.
    OAuthBearer,
    /// `XOAUTH2`: the same before it was a standard; for clients that know no other.
    XOAuth2,
    /// `EXTERNAL` (RFC 4422 appendix A): the certificate that the client has shown in the TLS handshake.
    External,
}

/// A name that is none of the mechanisms known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a known SASL mechanism such as PLAIN or SCRAM-SHA-256")]
pub struct UnknownMechanism;

/// What a client's connection gives a -PLUS mechanism to bind to: `Exporter` whenever the TLS connection has one; [`choose`](crate::choose) then prefers -PLUS. On the
/// server: [`Bindings`](crate::Bindings).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// Nothing: no TLS, or a TLS library that exports nothing.
    #[default]
    None,
    /// 32 octets of `EXPORTER-Channel-Binding` (RFC 9266 §2).
    Exporter([u8; 32]),
}

impl Mechanism {
    /// Every mechanism, best first.
    pub const ALL: [Self; 9] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha1,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];

    /// Those that need a password and nothing else, best first.
    pub const WITH_PASSWORD: [Self; 6] =
        [Self::ScramSha256Plus, Self::ScramSha256, Self::ScramSha1Plus, Self::ScramSha1, Self::Plain, Self::Login];

    /// The name registered with IANA.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
        }
    }

    /// Whether the password or token itself travels, so that the mechanism may run only inside TLS.
    #[must_use]
    pub const fn reveals_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2)
    }

    /// Whether a token is shown, so that somebody must be there who knows its issuer.
    #[must_use]
    pub const fn takes_token(self) -> bool {
        matches!(self, Self::OAuthBearer | Self::XOAuth2)
    }

    /// What one of the SCRAM family hashes with.
    #[must_use]
    pub const fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Self::ScramSha1 | Self::ScramSha1Plus => Some(ScramHash::Sha1),
            Self::ScramSha256 | Self::ScramSha256Plus => Some(ScramHash::Sha256),
            Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2 | Self::External => None,
        }
    }

    /// Whether it is bound to the connection, so that the connection must have something to bind to.
    #[must_use]
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// Whether the client has something to say before the server does (an initial response).
    #[must_use]
    pub const fn client_first(self) -> bool {
        !matches!(self, Self::Login)
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    /// Any case (RFC 4954 §4 leaves mechanism names to the case-insensitive ABNF).
    fn from_str(text: &str) -> Result<Self, UnknownMechanism> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(text)).ok_or(UnknownMechanism)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ChannelBinding {
    /// Whether a -PLUS mechanism is possible.
    #[must_use]
    pub const fn is_available(&self) -> bool {
        matches!(self, Self::Exporter(_))
    }
}

/// Without the octets: they identify a session.
impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Exporter(_) => "Exporter(..)",
        })
    }
}
