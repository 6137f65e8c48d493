//! A signed JWT in its compact form (RFC 7515 §7.1, RFC 7519), read and verified. Nothing in it is believed before the signature is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::Fault;
use crate::keys::Key;
use crate::settings::Algorithm;

/// What a token says.
pub(crate) type Claims = Map<String, Value>;

/// The keys that are tried for a token that names none.
const TRIED_MAX: usize = 8;

/// A token that has the form of one.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    header: Header,
    claims: Claims,
    /// What is signed: both parts, as they came.
    signed: &'a [u8],
    signature: Vec<u8>,
}

/// The JOSE header. A member twice is an error.
#[derive(Deserialize, Debug)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl<'a> Jwt<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, Fault> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Form("it has not three parts"));
        };
        let octets = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Form("a part is not base64url"));
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default().as_bytes();
        let json = |_| Fault::Form("a part is no JSON object of its kind");
        Ok(Self {
            header: serde_json::from_slice(&octets(header)?).map_err(json)?,
            claims: serde_json::from_slice(&octets(payload)?).map_err(json)?,
            signed,
            signature: octets(signature)?,
        })
    }

    /// Who it says has issued it; not yet verified.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// The claims, if one of the keys has signed them by an algorithm that is allowed.
    pub(crate) fn verify(&self, keys: &[Key], allowed: &[Algorithm]) -> Result<&Claims, Fault> {
        let algorithm = self.algorithm(allowed)?;
        let named = |key: &&Key| self.header.kid.is_none() || key.id == self.header.kid;
        let mut fitting = keys.iter().filter(named).filter(|key| key.fits(algorithm)).take(TRIED_MAX).peekable();
        if fitting.peek().is_none() {
            return Err(Fault::UnknownKey);
        }
        if fitting.any(|key| key.verifies(algorithm, self.signed, &self.signature)) {
            return Ok(&self.claims);
        }
        // Without a name it may be a key that is newer than ours.
        Err(if self.header.kid.is_none() { Fault::UnknownKey } else { Fault::Signature })
    }

    fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, Fault> {
        // RFC 7515 §4.1.11: what must be understood and is not makes the token invalid; we understand no extension.
        if self.header.crit.is_some() {
            return Err(Fault::Header("header has extensions that must be understood".to_owned()));
        }
        // RFC 8725 §3.11: a JWT that says it is something else (a logout token, a proof of possession) is no access token.
        let is_token = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
        };
        if let Some(typ) = self.header.typ.as_deref().filter(|typ| !is_token(typ)) {
            return Err(Fault::Header(format!("type is `{}`, and not that of an access token", typ.escape_debug())));
        }
        let algorithm = Algorithm::named(&self.header.alg).filter(|algorithm| allowed.contains(algorithm));
        algorithm.ok_or_else(|| Fault::Header(format!("algorithm `{}` is not allowed", self.header.alg.escape_debug())))
    }
}

#[cfg(test)]
mod tests;
