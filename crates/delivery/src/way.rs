//! How letters leave: through a smarthost, or straight to the hosts of their domains; and over connections that are kept.

use std::sync::Arc;

use posthouse_client::mx::Pool;
use posthouse_client::{Credentials, Security};
use posthouse_mail::Domain;
use posthouse_queue::{Lease, NextHop};
use posthouse_runtime::tls::{ClientTls, Roots, TlsError};
use thiserror::Error;

use crate::policy::Transport;
use crate::settings::{Settings, SettingsMistake};
use crate::source::{self, Source};

/// Where a recipient's letter goes next. Recipients with the same destination travel together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To the smarthost.
    Smarthost(Domain),
    /// To the host that an operator chose for this letter.
    Host(NextHop),
    /// To the hosts of a domain.
    Domain(Domain),
}

impl Destination {
    /// The name that settings know it by.
    pub(crate) fn name(&self) -> &Domain {
        match self {
            Self::Smarthost(name) | Self::Domain(name) => name,
            Self::Host(hop) => &hop.host,
        }
    }
}

/// The way out, made once from the settings for each worker. Clones share its connections.
#[derive(Clone)]
pub struct Way(Arc<Inner>);

struct Inner {
    smarthost: Option<Smarthost>,
    transport: Transport,
    pool: Pool,
    /// First those of all letters.
    sources: Vec<Source>,
}

struct Smarthost {
    host: Domain,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
}

/// Why the settings make no way: the operator's to mend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WayError {
    /// The smarthost's URL, or its password.
    #[error("delivery.smarthost: {0}")]
    Smarthost(String),
    /// The authorities for mail hosts.
    #[error("delivery.tls-ca: {0}")]
    TlsCa(String),
    /// What is asked of one destination, or an address to leave by.
    #[error(transparent)]
    Mistake(SettingsMistake),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Way {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`WayError`].
    pub fn new(settings: &Settings) -> Result<Self, WayError> {
        let smarthost = settings.smarthost.as_deref().map(|url| Smarthost::new(url, settings)).transpose()?;
        let transport = Transport::new(settings)?;
        let pool = Pool::new(settings.letters_per_connection_max, settings.idle_timeout.0);
        let sources = source::addresses(settings).map_err(WayError::Mistake)?;
        Ok(Self(Arc::new(Inner { smarthost, transport, pool, sources })))
    }

    /// The addresses that a letter leaves by.
    pub(crate) fn source(&self, lease: &Lease) -> Source {
        let name = lease.source().map(|name| &**name);
        let found = self.0.sources.iter().find(|source| source.name.as_deref() == name);
        found.cloned().unwrap_or_default()
    }

    pub(crate) fn destination(&self, lease: &Lease, domain: &Domain) -> Destination {
        match (lease.via(), &self.0.smarthost) {
            (Some(hop), _) => Destination::Host(hop.clone()),
            (None, Some(smarthost)) => Destination::Smarthost(smarthost.host.clone()),
            (None, None) => Destination::Domain(domain.clone()),
        }
    }

    /// The smarthost's name.
    pub(crate) fn smarthost(&self) -> Option<&Domain> {
        self.0.smarthost.as_ref().map(|smarthost| &smarthost.host)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// How a destination's hosts are spoken to.
    pub(crate) fn manner(&self, destination: &Destination, settings: &Settings) -> Manner {
        match (destination, &self.0.smarthost) {
            (Destination::Smarthost(_), Some(smarthost)) => Manner {
                port: smarthost.port,
                security: Some(smarthost.security.clone()),
                credentials: smarthost.credentials.clone(),
            },
            (Destination::Host(hop), _) => Manner { port: hop.port.unwrap_or(settings.port), security: None, credentials: None },
            (Destination::Smarthost(_) | Destination::Domain(_), _) => {
                Manner { port: settings.port, security: None, credentials: None }
            }
        }
    }
}

/// How a host is spoken to.
pub(crate) struct Manner {
    pub(crate) port: u16,
    /// Set for a smarthost; for others it is decided host by host.
    pub(crate) security: Option<Security>,
    pub(crate) credentials: Option<Credentials>,
}

impl Smarthost {
    fn new(url: &str, settings: &Settings) -> Result<Self, WayError> {
        let wrong = |why: String| WayError::Smarthost(why);
        let url: posthouse_client::ServerUrl = url.parse().map_err(|error| wrong(format!("`{url}`: {error}")))?;
        let roots = settings.smarthost_ca.clone().map_or(Roots::Platform, Roots::PemFile);
        let security = url.security(&ClientTls::verified(&roots)?);
        let host = url.host().parse().map_err(|error| wrong(format!("`{}`: {error}", url.host())))?;
        let credentials = match (url.user(), &settings.smarthost_password) {
            (Some(user), Some(password)) => {
                Some(Credentials::new(user, password.expose()).map_err(|error| wrong(error.to_string()))?)
            }
            (Some(user), None) => return Err(wrong(format!("`smarthost-password` is missing for `{user}`"))),
            (None, Some(_)) => return Err(wrong("there is a password but no user: write `smtps://user@host`".to_owned())),
            (None, None) => None,
        };
        Ok(Self { host, port: url.port(), security, credentials })
    }
}
