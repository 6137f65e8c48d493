//! Why a token cannot be checked, or is not taken.

use posthouse_directory::TokenError;
use posthouse_http::HttpError;
use thiserror::Error;

/// What is wrong. The words are for the operator.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// Not a signed JWT in its compact form (RFC 7515 §7.1).
    #[error("it is no signed JWT: {0}")]
    Form(&'static str),
    /// Its header asks for what is not done here.
    #[error("the token's {0}")]
    Header(String),
    /// No key verifies it.
    #[error("the token's signature is not that of its issuer")]
    Signature,
    /// The key that it names is none of the issuer's.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// What it says is not enough, or not for us.
    #[error("the token {0}")]
    Claim(String),
    /// It lacks a scope.
    #[error("the token lacks the scope `{0}`")]
    Scope(String),
    /// The issuer says that it is no longer good, or never was.
    #[error("its issuer does not know the token, or no more")]
    Inactive,
    /// Nobody here knows who issued it.
    #[error("the token is of no issuer that is trusted here")]
    Stranger,
    /// The issuer cannot be asked.
    #[error("the issuer {issuer} cannot be asked: {why}")]
    Unavailable {
        /// Which.
        issuer: String,
        /// Why not.
        why: String,
    },
}

/// Why an answer of an issuer is none.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("`{0}` is no URL")]
    Url(String),
    #[error("{url} answers with {status}")]
    Status { url: String, status: u16 },
    #[error("{url} does not answer as it should: {why}")]
    Document { url: String, why: String },
}

impl From<Fault> for TokenError {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Unavailable { .. } => Self::Unavailable(fault.to_string()),
            Fault::Scope(_) => Self::Scope(fault.to_string()),
            Fault::Form(_)
            | Fault::Header(_)
            | Fault::Signature
            | Fault::UnknownKey
            | Fault::Claim(_)
            | Fault::Inactive
            | Fault::Stranger => Self::Refused(fault.to_string()),
        }
    }
}
