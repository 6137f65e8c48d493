//! What an operator may set of issuers.

use std::fmt;
use std::path::PathBuf;

use posthouse_config::{Period, Secret};
use posthouse_mail::Domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[[issuer]]`: who issues the tokens that log in with OAUTHBEARER and XOAUTH2. With none these are not offered.
///
/// Keys are found by the issuer's discovery document, `/.well-known/openid-configuration` under `url`, unless `keys` or `introspection` says where to ask.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The issuer's URL, letter for letter as its tokens have it in `iss`.
    pub url: String,
    /// Whom its tokens must be for: one of the values of `aud`. It may be left out with `introspection` alone; otherwise a token that somebody gave to any
    /// other service of the same issuer would open our mailboxes.
    #[serde(default)]
    pub audience: Option<String>,
    /// The scopes that a token must have, with spaces between them.
    #[serde(default)]
    pub scope: Option<String>,
    /// The claim that names the account by its address. With `email` a token that says `email_verified` is false is refused. Take one that users cannot change by
    /// themselves at the issuer.
    #[serde(default = "claim")]
    pub claim: String,
    /// The domains whose accounts it speaks for. Not set: every domain of this server. A claim without an `@` is taken to be in the first of them.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The algorithms of signatures that are taken.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours.
    #[serde(default = "leeway")]
    pub leeway: Period,
    /// The URL of the issuer's keys (a JWK set). Not set: its discovery document says.
    #[serde(default)]
    pub keys: Option<String>,
    /// How often the keys are asked for again.
    #[serde(default = "keys_fresh")]
    pub keys_fresh: Period,
    /// How long they are used while the issuer cannot be reached.
    #[serde(default = "keys_kept")]
    pub keys_kept: Period,
    /// How long the issuer is left alone after a question for its keys, whatever tokens come with keys that are not known.
    #[serde(default = "keys_pause")]
    pub keys_pause: Period,
    /// The issuer is asked about each token (RFC 7662), and a token that is none of its JWTs is shown to it as well: for tokens that say nothing by themselves, or that must
    /// stop working at once when they are revoked.
    #[serde(default)]
    pub introspection: Option<Introspection>,
    /// A file with the certificate authorities that the issuer's hosts are believed by. Not set: those that the system knows.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Whether the issuer may be at an address of this machine or of a private network.
    #[serde(default)]
    pub private_addresses: bool,
}

/// How an issuer is asked about a token.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Introspection {
    /// The URL of the question. Not set: the discovery document says.
    #[serde(default)]
    pub url: Option<String>,
    /// As whom we ask.
    pub client_id: String,
    /// The secret of that client.
    pub client_secret: Secret,
}

/// An algorithm of signatures (RFC 7518 §3.1, RFC 8037). Those with a shared secret are not among them.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA (PKCS #1 version 1.5) with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// The same with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// The same with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA (PSS) with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// The same with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// The same with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

fn claim() -> String {
    "email".to_owned()
}

fn algorithms() -> Vec<Algorithm> {
    vec![Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa]
}

fn leeway() -> Period {
    Period::minutes(1)
}

fn keys_fresh() -> Period {
    Period::hours(1)
}

fn keys_kept() -> Period {
    Period::hours(24)
}

fn keys_pause() -> Period {
    Period::seconds(30)
}

impl Settings {
    /// Whether the values fit together; else the key that does not, and why.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let is_url = |url: &str| url.len() < 1000 && url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
        if !is_url(&self.url) || self.url.contains(['?', '#']) {
            // OpenID Connect Discovery 1.0 §3.
            return Err(("url", "an issuer is a URL that begins with https:// and has no query".to_owned()));
        }
        if self.audience.is_none() && self.introspection.is_none() {
            let why = "`audience` is missing: without it a token for any other service of the issuer would log in here";
            return Err(("audience", why.to_owned()));
        }
        if self.algorithms.is_empty() {
            return Err(("algorithms", "no algorithm is allowed, so no token could be taken".to_owned()));
        }
        if let Some(Err(error)) = self.domains.iter().map(|domain| domain.parse::<Domain>()).find(Result::is_err) {
            return Err(("domains", error.to_string()));
        }
        let asked = self.introspection.as_ref().and_then(|introspection| introspection.url.as_deref());
        match (self.keys.as_deref().is_none_or(is_url), asked.is_none_or(is_url)) {
            (false, _) => Err(("keys", "the URL must begin with https://".to_owned())),
            (_, false) => Err(("introspection.url", "the URL must begin with https://".to_owned())),
            (true, true) => Ok(()),
        }
    }

    /// The URL of the discovery document (OpenID Connect Discovery 1.0 §4).
    pub(crate) fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'))
    }
}

impl Algorithm {
    /// The one that `alg` names; RFC 9864 has another name for the last.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        })
    }
}
