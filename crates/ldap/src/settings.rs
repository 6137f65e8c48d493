//! What an operator may set of an LDAP directory.

use std::path::PathBuf;

use posthouse_config::{Period, Secret};
use posthouse_mail::Domain;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::filter::Filter;

/// `[ldap]`: a directory that knows the passwords. With it SCRAM is not offered, since the directory does not say the keys.
///
/// Who logs in is looked for with `filter`; the one entry that is found is then bound to with the password. App passwords stay ours.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Where it is: `ldaps://host` (port 636), or `ldap://host` (port 389), where STARTTLS is taken before anything is said.
    pub url: String,
    /// Below which entry people are looked for, such as `ou=people,dc=example,dc=org`.
    pub base: String,
    /// How they are found (RFC 4515): `%u` is the login, `%n` what stands before its `@`, `%d` what stands behind.
    #[serde(default = "filter")]
    pub filter: String,
    /// As whom we look; not set: as nobody.
    #[serde(default)]
    pub bind_dn: Option<String>,
    /// The password of `bind-dn`.
    #[serde(default)]
    pub bind_password: Option<Secret>,
    /// The domains whose accounts have their passwords there. Not set: every domain of this server.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Whether an account is made when somebody first logs in whom the directory knows and we do not.
    #[serde(default)]
    pub create: bool,
    /// A file with the certificate authorities that the directory is believed by. Not set: those that the system knows.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Says everything in clear, passwords too. Of hosts on this machine it is harmless.
    #[serde(default)]
    pub danger_without_tls: bool,
    /// How long a log-in waits for it.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// The log-ins that ask it at a time.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
}

/// A URL that was taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tls_at_once: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
}

fn filter() -> String {
    "(mail=%u)".to_owned()
}

const fn timeout() -> Period {
    Period::seconds(10)
}

const fn connections_max() -> usize {
    16
}

impl Settings {
    /// Whether it can be used.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        self.place().map_err(|why| ("url", why))?;
        self.parsed_filter().map_err(|why| ("filter", why))?;
        self.domains().map_err(|why| ("domains", why))?;
        if self.base.is_empty() {
            return Err(("base", "an empty base would be the directory's description of itself".to_owned()));
        }
        match (&self.bind_dn, &self.bind_password) {
            (Some(_), None) => return Err(("bind-dn", "it needs `bind-password`".to_owned())),
            (None, Some(_)) => return Err(("bind-password", "it needs `bind-dn`".to_owned())),
            // RFC 4513 §5.1.2: it would be taken, as nobody's.
            (Some(_), Some(password)) if password.expose().is_empty() => {
                return Err(("bind-password", "it is empty".to_owned()));
            }
            _ => {}
        }
        if self.timeout.duration().is_zero() {
            return Err(("timeout", "a log-in cannot wait for no time".to_owned()));
        }
        if self.connections_max == 0 {
            return Err(("connections-max", "at least one log-in has to ask".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn place(&self) -> Result<Place, String> {
        let (tls_at_once, rest) = match self.url.split_once("://") {
            Some(("ldaps", rest)) => (true, rest),
            Some(("ldap", rest)) => (false, rest),
            _ => return Err("it begins with `ldaps://` or `ldap://`".to_owned()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '@']) {
            return Err("it names a host and perhaps a port, and nothing else".to_owned());
        }
        let port = if tls_at_once { 636 } else { 389 };
        let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = match (bracketed, rest.rsplit_once(':')) {
            (Some((host, "")), _) => (host, Ok(port)),
            (Some((host, behind)), _) => (host, behind.trim_start_matches(':').parse()),
            (None, Some((host, port))) => (host, port.parse()),
            (None, None) => (rest, Ok(port)),
        };
        let port = port.map_err(|_| "its port is no number up to 65535".to_owned())?;
        if host.is_empty() { Err("it names no host".to_owned()) } else { Ok(Place { tls_at_once, host: host.to_owned(), port }) }
    }

    pub(crate) fn parsed_filter(&self) -> Result<Filter, String> {
        let filter = Filter::parse(&self.filter)?;
        if filter.names_login() {
            Ok(filter)
        } else {
            Err("neither `%u` nor `%n` stands in it, so anybody would be found".to_owned())
        }
    }

    pub(crate) fn domains(&self) -> Result<Vec<Domain>, String> {
        self.domains.iter().map(|name| name.parse().map_err(|error| format!("`{name}`: {error}"))).collect()
    }
}

#[cfg(test)]
mod tests;
