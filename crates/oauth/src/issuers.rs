//! All issuers that are trusted, and which of them is asked about a token.

use std::sync::Arc;
use std::time::Duration;

use posthouse_config::Period;
use posthouse_directory::{TokenChecking, TokenHint, Tokens};
use posthouse_dns::Resolver;
use posthouse_http::Client;
use posthouse_runtime::clock;
use posthouse_runtime::tls::TlsError;

use crate::claims::{self, Origin};
use crate::error::Fault;
use crate::introspection;
use crate::jwt::Jwt;
use crate::keys::Key;
use crate::settings::Settings;
use crate::source::Source;

/// How long one question to an issuer may take: somebody waits to be let in.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// See the module. A clone shares what is known of them.
#[derive(Clone)]
pub struct Issuers(Arc<[Arc<Source>]>);

impl Issuers {
    /// Those of the settings, which have been [checked](Settings::check). Nobody is asked before the first token comes.
    ///
    /// # Errors
    /// A file of authorities cannot be read.
    pub fn new(settings: &[Settings], resolver: &Resolver) -> Result<Self, TlsError> {
        let sources = settings.iter().map(|settings| {
            let http = posthouse_http::Settings {
                ca: settings.ca.clone(),
                private_addresses: settings.private_addresses,
                timeout: Period(ANSWER_MAX),
            };
            let client = Client::new(Arc::clone(resolver), &http)?;
            Ok(Arc::new(Source::new(settings.clone(), client)))
        });
        Ok(Self(sources.collect::<Result<_, TlsError>>()?))
    }

    async fn login(&self, token: &str) -> Result<String, Fault> {
        let jwt = Jwt::read(token);
        let issuer = jwt.as_ref().ok().and_then(Jwt::issuer);
        match (jwt.as_ref(), issuer) {
            // A token that says who issued it is shown to nobody else.
            (Ok(jwt), Some(issuer)) => {
                let source = self.0.iter().find(|source| source.settings.url == issuer).ok_or(Fault::Stranger)?;
                if source.settings.introspection.is_some() {
                    introspected(source, token).await
                } else {
                    verified(source, jwt).await
                }
            }
            (Ok(_), None) | (Err(_), _) => {
                let mut fault = jwt.err().unwrap_or(Fault::Stranger);
                for source in self.0.iter().filter(|source| source.settings.introspection.is_some()) {
                    fault = match introspected(source, token).await {
                        Err(fault @ Fault::Inactive) => fault,
                        done => return done,
                    };
                }
                Err(fault)
            }
        }
    }
}

/// The check with a set of keys (JWK, RFC 7517) at hand, asking nobody: the login that a token grants at `now` (seconds since 1970).
///
/// # Errors
/// What is wrong with the token or the keys, for the operator.
pub fn check_with(settings: &Settings, keys: &[u8], token: &str, now: i64) -> Result<String, String> {
    let keys = Key::set(keys)?;
    let read = || {
        let jwt = Jwt::read(token)?;
        claims::login(jwt.verify(&keys, &settings.algorithms)?, settings, Origin::Token, now)
    };
    read().map_err(|fault: Fault| fault.to_string())
}

/// By the issuer's keys.
async fn verified(source: &Arc<Source>, jwt: &Jwt<'_>) -> Result<String, Fault> {
    let (settings, known) = (&source.settings, source.known().await?);
    let claims = match jwt.verify(&known.keys, &settings.algorithms) {
        Err(Fault::UnknownKey) => match source.newer(&known).await {
            Some(newer) => jwt.verify(&newer.keys, &settings.algorithms)?,
            None => return Err(Fault::UnknownKey),
        },
        claims => claims?,
    };
    claims::login(claims, settings, Origin::Token, now())
}

/// By the issuer's word.
async fn introspected(source: &Arc<Source>, token: &str) -> Result<String, Fault> {
    let settings = &source.settings;
    let Some(asks) = &settings.introspection else { return Err(Fault::Stranger) };
    let known = match &asks.url {
        Some(_) => None,
        None => Some(source.known().await?),
    };
    let found = known.as_ref().and_then(|known| known.introspection.as_deref());
    let url = asks.url.as_deref().or(found).ok_or(Fault::Stranger)?;
    let claims = introspection::ask(source, asks, url, token).await?;
    claims::login(&claims, settings, Origin::Introspection, now())
}

fn now() -> i64 {
    i64::try_from(clock::unix_millis() / 1000).unwrap_or(i64::MAX)
}

impl Tokens for Issuers {
    fn check<'a>(&'a self, token: &'a str) -> TokenChecking<'a> {
        Box::pin(async move { Ok(self.login(token).await?) })
    }

    /// There is room for one, and the first is it (RFC 7628 §3.2.2).
    fn hint(&self) -> TokenHint {
        let first = self.0.first().map(|source| &source.settings);
        TokenHint { scope: first.and_then(|settings| settings.scope.clone()), configuration: first.map(Settings::discovery) }
    }
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|source| &source.settings.url)).finish()
    }
}

#[cfg(test)]
mod tests;
