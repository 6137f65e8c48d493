//! The messages of OAUTHBEARER (RFC 7628 §3.1) and XOAUTH2 as a server reads them, and what it answers to a token that it does not take.
//!
//! Who the client is, the token says; a name beside it is only a wish, for whoever knows the issuer to compare.

use crate::prepare::{LOGIN_BYTES_MAX, Password, TOKEN_BYTES_MAX, prepare_login, prepare_token};
use crate::scram;
use crate::server::Refusal;

/// The octets of a message with a token: the token, a login, and what RFC 7628 puts around them (host, port, names of fields). With its base64 it fits into
/// the line that AUTH may have (RFC 4954 §4).
pub const TOKEN_MESSAGE_BYTES_MAX: usize = TOKEN_BYTES_MAX + LOGIN_BYTES_MAX + 512;

/// Between two fields.
const SEPARATOR: char = '\x01';

/// What is wrong with a token (RFC 6750 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// It is expired, revoked, not for us, or no token at all.
    Invalid,
    /// It is good, but not for this.
    Scope,
}

/// A token was refused, and where a client may get a better one (RFC 7628 §3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefusal {
    /// What is wrong.
    pub fault: TokenFault,
    /// The scopes that are needed.
    pub scope: Option<String>,
    /// The URL of the issuer's discovery document.
    pub configuration: Option<String>,
}

/// What a client shows: the name it wants, if it says one, and the token.
pub(crate) type Shown = (Option<String>, Password);

/// `client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep` (RFC 7628 §3.1). The host and port that it may name are the token's business.
pub(crate) fn oauthbearer(message: &[u8]) -> Result<Shown, Refusal> {
    let text = str::from_utf8(message).map_err(|_| Refusal::Malformed)?;
    let (header, fields) = text.split_once(SEPARATOR).ok_or(Refusal::Malformed)?;
    // `gs2-header`: no binding to the connection is defined for this mechanism, so `p=` cannot be meant.
    let authzid = header.strip_prefix("n,").or_else(|| header.strip_prefix("y,")).and_then(|rest| rest.strip_suffix(','));
    let login = match authzid.ok_or(Refusal::Malformed)? {
        "" => None,
        authzid => Some(authzid.strip_prefix("a=").and_then(scram::decode_name).ok_or(Refusal::Malformed)?),
    };
    shown(login.as_deref(), fields)
}

/// `user=… ^A auth=Bearer … ^A ^A`.
pub(crate) fn xoauth2(message: &[u8]) -> Result<Shown, Refusal> {
    let text = str::from_utf8(message).map_err(|_| Refusal::Malformed)?;
    let (user, fields) = text.split_once(SEPARATOR).ok_or(Refusal::Malformed)?;
    shown(Some(user.strip_prefix("user=").ok_or(Refusal::Malformed)?), fields)
}

/// The token among fields that each end with the separator; the last of them is empty.
fn shown(login: Option<&str>, fields: &str) -> Result<Shown, Refusal> {
    let fields = fields.strip_suffix("\x01\x01").ok_or(Refusal::Malformed)?;
    let mut token = None;
    for field in fields.split(SEPARATOR) {
        let (key, value) = field.split_once('=').ok_or(Refusal::Malformed)?;
        if key == "auth" {
            let (scheme, credentials) = value.split_once(' ').ok_or(Refusal::Malformed)?;
            // RFC 9110 §11.1: a scheme in any case. Two tokens are none.
            if !scheme.eq_ignore_ascii_case("bearer") || token.is_some() {
                return Err(Refusal::Malformed);
            }
            token = Some(prepare_token(credentials.trim_start_matches(' ')).map_err(|_| Refusal::Malformed)?);
        }
    }
    let login = login.map(prepare_login).transpose().map_err(|_| Refusal::Malformed)?;
    Ok((login, token.ok_or(Refusal::Malformed)?))
}

impl TokenRefusal {
    /// The error of OAUTHBEARER (RFC 7628 §3.2.2).
    pub(crate) fn oauthbearer(&self) -> Vec<u8> {
        let status = match self.fault {
            TokenFault::Invalid => "invalid_token",
            TokenFault::Scope => "insufficient_scope",
        };
        let fields =
            [("status", Some(status)), ("scope", self.scope.as_deref()), ("openid-configuration", self.configuration.as_deref())];
        object(&fields)
    }

    /// The error of XOAUTH2, which speaks in codes of HTTP.
    pub(crate) fn xoauth2(&self) -> Vec<u8> {
        let status = match self.fault {
            TokenFault::Invalid => "401",
            TokenFault::Scope => "403",
        };
        object(&[("status", Some(status)), ("schemes", Some("bearer")), ("scope", self.scope.as_deref())])
    }
}

/// A JSON object of texts. They come from our own configuration, yet nothing in them may end a text early.
fn object(fields: &[(&str, Option<&str>)]) -> Vec<u8> {
    let quoted = |value: &str| -> String {
        value
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
            .collect()
    };
    let pairs: Vec<String> =
        fields.iter().filter_map(|(name, value)| Some(format!("\"{name}\":\"{}\"", quoted((*value)?)))).collect();
    format!("{{{}}}", pairs.join(",")).into_bytes()
}

#[cfg(test)]
mod tests;
