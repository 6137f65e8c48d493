//! Sending letters through one server.
//!
//! A [`Mailer`] holds settings and no connection: each [`Mailer::send`] opens one, and [`Mailer::send_all`] uses one for many letters. Certificates are
//! verified and passwords protected unless a method whose name begins with `danger_` was called. It retries nothing: what failed for now is in the
//! report. The one exception loses and doubles nothing: recipients a server does not take because there are too many are sent to in further rounds.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use posthouse_dns::Resolver;
use posthouse_mail::{Domain, Envelope};
use posthouse_runtime::tls::{ClientTls, Roots, TlsError};
use posthouse_runtime::{clock, task};
use posthouse_smtp::client::{Credentials, Line, RecipientResult, Timeouts};
use thiserror::Error;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::message::Message;
use crate::report::{RecipientReport, SendReport};
use crate::target::{Security, Target, Transcript};
use crate::url::{ServerUrl, UrlError};

/// Sends letters through one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailer {
    url: ServerUrl,
    /// Without addresses: those are looked up for each connection.
    target: Target,
    resolver: Option<ResolverHandle>,
}

#[derive(Clone)]
struct ResolverHandle(Resolver);

/// Gathers how to talk to the server.
pub struct MailerBuilder {
    url: ServerUrl,
    credentials: Option<(String, String)>,
    password: Option<String>,
    roots: Roots,
    any_certificate: bool,
    unprotected: bool,
    helo: String,
    source: Option<IpAddr>,
    timeouts: Timeouts,
    transcript: Option<Transcript>,
    resolver: Option<Resolver>,
}

/// Why there is no [`Mailer`]. The caller's to mend, before anything was sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MailerError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The login or password has characters that cannot be used, or is empty.
    #[error("the user name or the password cannot be used: {0}")]
    Credentials(posthouse_sasl::PrepareError),
    /// The URL names a user and there is no password.
    #[error("there is a user, `{0}`, but no password")]
    NoPassword(String),
    /// There is a password and nobody it belongs to.
    #[error("there is a password but no user: write the user into the URL, as in smtps://user@host")]
    NoUser,
    /// The trusted roots.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The name for EHLO.
    #[error("`{0}` cannot be our name in EHLO: it must be a host name or an address literal such as [192.0.2.1]")]
    Helo(String),
}

impl Mailer {
    /// A mailer for a server without login. Nothing is connected yet.
    ///
    /// # Errors
    /// [`MailerError`].
    pub fn connect(url: &str) -> Result<Self, MailerError> {
        Self::builder(url)?.build()
    }

    /// Begins a mailer for the server at a URL ([`ServerUrl`]).
    ///
    /// # Errors
    /// [`MailerError::Url`].
    pub fn builder(url: &str) -> Result<MailerBuilder, MailerError> {
        Ok(MailerBuilder {
            url: url.parse()?,
            credentials: None,
            password: None,
            roots: Roots::Platform,
            any_certificate: false,
            unprotected: false,
            helo: String::new(),
            source: None,
            timeouts: Timeouts::default(),
            transcript: None,
            resolver: None,
        })
    }

    /// The server.
    #[must_use]
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Sends one letter and tells what became of each recipient.
    ///
    /// # Errors
    /// [`ClientError`]: nobody got it.
    pub async fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        let mut connection = None;
        let result = self.send_over(&mut connection, message).await;
        if let Some(connection) = connection {
            connection.quit().await;
        }
        result
    }

    /// Sends several letters over one connection, and over a new one where that one was lost.
    pub async fn send_all(&self, messages: &[Message]) -> Vec<Result<SendReport, ClientError>> {
        let mut connection = None;
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            results.push(self.send_over(&mut connection, message).await);
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
        results
    }

    /// Opens a connection, logged in, to send with it oneself.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open(&self) -> Result<Connection, ClientError> {
        let mut target = self.target.clone();
        target.addresses = self.addresses().await?;
        Connection::open(&target).await
    }

    async fn send_over(&self, kept: &mut Option<Connection>, message: &Message) -> Result<SendReport, ClientError> {
        let recipients = &message.envelope().recipients;
        let mut results: Vec<Option<RecipientResult>> = vec![None; recipients.len()];
        let mut report = None;
        loop {
            let open: Vec<usize> =
                results.iter().enumerate().filter(|(_, result)| is_open(result.as_ref())).map(|(index, _)| index).collect();
            let Some(_) = open.first() else { break };
            let envelope = Envelope {
                recipients: open.iter().filter_map(|&index| recipients.get(index)).cloned().collect(),
                ..message.envelope().clone()
            };
            let round = match self.round(kept, &envelope, message, &mut report).await {
                Ok(round) => round,
                Err(error) if report.is_none() || results.iter().all(Option::is_none) => return Err(error),
                // Some have it already: the rest stays untried, with the reason.
                Err(error) => {
                    results.iter_mut().filter(|result| is_open(result.as_ref())).for_each(|result| {
                        *result = Some(RecipientResult::NotTried(error.to_string()));
                    });
                    break;
                }
            };
            let ended = round.iter().any(|result| !matches!(result, RecipientResult::NotTried(_)));
            for (index, result) in open.into_iter().zip(round) {
                if let Some(slot) = results.get_mut(index) {
                    *slot = Some(result);
                }
            }
            // Each round ends at least one recipient, or there is no next.
            if !ended {
                break;
            }
        }
        let unknown = || RecipientResult::NotTried("the letter was not sent".to_owned());
        let ends = recipients.iter().zip(results);
        let each = ends.map(|(recipient, result)| RecipientReport {
            address: recipient.address.clone(),
            result: result.unwrap_or_else(unknown),
        });
        let mut report = report.ok_or_else(|| ClientError::NoAddress { name: self.target.name.clone() })?;
        report.recipients = each.collect();
        Ok(report)
    }

    /// One letter to as many as the server takes at once.
    async fn round(
        &self,
        kept: &mut Option<Connection>,
        envelope: &Envelope,
        message: &Message,
        report: &mut Option<SendReport>,
    ) -> Result<Vec<RecipientResult>, ClientError> {
        let mut connection = match kept.take() {
            Some(connection) if connection.is_reusable() => connection,
            Some(used) => {
                used.quit().await;
                self.open().await?
            }
            None => self.open().await?,
        };
        *report = Some(SendReport {
            recipients: Vec::new(),
            server: self.target.name.clone(),
            peer: connection.peer(),
            tls: connection.tls().map(ToString::to_string),
            message_id: message.message_id().map(str::to_owned),
        });
        let results = connection.send(envelope, &mut message.body()).await?;
        if connection.is_reusable() {
            *kept = Some(connection);
        }
        Ok(results)
    }

    /// The server's addresses: from the resolver that was given, else as every program of this system finds them, `/etc/hosts` included.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, ClientError> {
        let (host, port) = (self.url.domain().clone(), self.url.port());
        if let Some(address) = host.literal() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = match &self.resolver {
            Some(resolver) => resolver.0.addresses(&host).await.map(|answer| answer.value).map_err(|error| error.to_string()),
            None => system_addresses(host, self.target.timeouts.connect).await,
        };
        let name = self.target.name.clone();
        let addresses = found.map_err(|why| ClientError::Resolve { name, why })?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

fn is_open(result: Option<&RecipientResult>) -> bool {
    matches!(result, None | Some(RecipientResult::NotTried(_)))
}

/// getaddrinfo(3), which blocks, and knows what only this machine knows.
async fn system_addresses(host: Domain, patience: std::time::Duration) -> Result<Vec<IpAddr>, String> {
    let lookup = task::blocking(move || {
        let found = (host.as_str(), 0u16).to_socket_addrs();
        found.map(|addresses| addresses.map(|address| address.ip()).collect()).map_err(|error| error.to_string())
    });
    clock::timeout(patience, lookup).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

impl MailerBuilder {
    /// The password of the user in the URL.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// User and password.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Whose signature makes a certificate valid; the system's roots if not said.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Our name in EHLO: a host name or an address literal; the literal of our own address if not said.
    #[must_use]
    pub fn helo(mut self, name: impl Into<String>) -> Self {
        self.helo = name.into();
        self
    }

    /// The address to connect from.
    #[must_use]
    pub fn source(mut self, address: IpAddr) -> Self {
        self.source = Some(address);
        self
    }

    /// How long each step may take; the defaults are those of RFC 5321 §4.5.3.2, in minutes.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Who wants to read the dialogue along; secrets are left out.
    #[must_use]
    pub fn transcript(mut self, hook: impl Fn(&Line) + Send + Sync + 'static) -> Self {
        self.transcript = Some(Arc::new(hook));
        self
    }

    /// Where names are looked up, if not in the system.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Takes every certificate: whoever is on the way can read and change everything. A login then needs
    /// [`Self::danger_send_password_unprotected`] too.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.any_certificate = true;
        self
    }

    /// Logs in without verified TLS: whoever is on the way can read the password.
    #[must_use]
    pub fn danger_send_password_unprotected(mut self) -> Self {
        self.unprotected = true;
        self
    }

    /// Makes the mailer.
    ///
    /// # Errors
    /// [`MailerError`].
    pub fn build(self) -> Result<Mailer, MailerError> {
        let credentials = match (self.credentials, self.url.user(), self.password) {
            (Some((user, password)), _, _) => Some((user, password)),
            (None, Some(user), Some(password)) => Some((user.to_owned(), password)),
            (None, Some(user), None) => return Err(MailerError::NoPassword(user.to_owned())),
            (None, None, Some(_)) => return Err(MailerError::NoUser),
            (None, None, None) => None,
        };
        let credentials = credentials.map(|(user, password)| Credentials::new(&user, &password)).transpose();
        if !self.helo.is_empty() && self.helo.parse::<Domain>().is_err() {
            return Err(MailerError::Helo(self.helo));
        }
        let security = match (self.url.is_protected(), self.any_certificate) {
            (false, _) => Security::Plain,
            (true, true) => self.url.security(&ClientTls::danger_unverified()?),
            (true, false) => self.url.security(&ClientTls::verified(&self.roots)?),
        };
        let mut target = Target::new(self.url.host(), Vec::new(), security, self.helo);
        target.protocol = self.url.protocol();
        target.credentials = credentials.map_err(MailerError::Credentials)?;
        target.danger_credentials_unprotected = self.unprotected;
        target.source = self.source;
        target.timeouts = self.timeouts;
        target.transcript = self.transcript;
        Ok(Mailer { url: self.url, target, resolver: self.resolver.map(ResolverHandle) })
    }
}

impl std::fmt::Debug for ResolverHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}
