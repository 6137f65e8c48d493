//! How to talk to the servers.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse_dns::{Resolver, ResolverError};
use posthouse_mail::Domain;
use posthouse_runtime::tls::{CertificateFiles, ClientTls, Roots, TlsError};
use posthouse_sasl::Method as LoginMethod;
use posthouse_smtp::client::{Credentials, Line, Timeouts};
use thiserror::Error;

use super::pace::Pace;
use super::pool::{Bounds, Pool};
use super::server::{Server, Servers};
use super::{Mailer, Token, Way};
use crate::proxy::Proxy;
use crate::target::{Security, Target, Transcript};
use crate::url::{ServerUrl, UrlError};

/// Gathers how to talk to the server.
///
/// ```no_run
/// use posthouse_client::{CertificateFiles, Mailer, Roots, dns};
///
/// // A server whose certificate the company has signed, and which wants one of ours.
/// let mailer = Mailer::builder("smtps://mail.example.org")?
///     .certificate(CertificateFiles { cert: "app.pem".into(), key: "app.key".into() })
///     .roots(Roots::PemFile("company.pem".into()))
///     .source("192.0.2.7".parse()?)
///     .resolver(dns::real(&dns::Settings::default())?)
///     .build()?;
/// // An old device at the other end of a wire of our own: whoever is on it reads the password.
/// let old = Mailer::builder("smtps://alice@192.0.2.9")?
///     .password("secret")
///     .danger_accept_any_certificate()
///     .danger_send_password_unprotected()
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MailerBuilder {
    urls: Vec<ServerUrl>,
    credentials: Option<(String, String)>,
    password: Option<String>,
    token: Option<Token>,
    methods: Vec<LoginMethod>,
    certificate: Option<CertificateFiles>,
    roots: Roots,
    any_certificate: bool,
    unprotected: bool,
    helo: String,
    source: Option<IpAddr>,
    proxy: Option<Proxy>,
    timeouts: Timeouts,
    transcript: Option<Transcript>,
    all_or_none: bool,
    resolver: Option<Resolver>,
    bounds: Bounds,
    rate: Option<(u32, Duration)>,
}

/// Why there is no [`Mailer`]. The caller's to mend, before anything was sent.
///
/// ```
/// use posthouse_client::{Mailer, MailerError};
///
/// let mistake = Mailer::connect("mail.example.org").unwrap_err();
/// assert!(matches!(mistake, MailerError::Url(_)));
/// assert_eq!(mistake.to_string(), "a server is written smtps://host, smtp+starttls://host, smtp://host or lmtp://host");
/// ```
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
    /// The trusted roots, or the client's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The name for EHLO.
    #[error("`{0}` cannot be our name in EHLO: it must be a host name or an address literal such as [192.0.2.1]")]
    Helo(String),
    /// The trusted roots for mail hosts, which are looked at before the first letter.
    #[error("the trusted roots cannot be used: {0}")]
    Roots(String),
    /// Nobody answers DNS questions; only of one that delivers directly.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// The folder with the policies of domains.
    #[error("the policies of domains cannot be kept: {0}")]
    Policies(String),
}

/// Who logs in.
///
/// ```
/// use posthouse_client::Mailer;
///
/// let by_password = Mailer::builder("smtps://alice@mail.example.org")?.password("secret").build()?;
/// let other_user = Mailer::builder("smtps://mail.example.org")?.credentials("alice@example.org", "secret").build()?;
/// // The token is asked for before each login, so that it may be a fresh one.
/// let by_token = Mailer::builder("smtps://alice%40example.org@mail.example.org")?.token(|| async { Ok("ya29.a0…".to_owned()) });
/// # Ok::<(), posthouse_client::MailerError>(())
/// ```
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

    /// The user in the URL logs in with a token (OAUTHBEARER, XOAUTH2): `fetch` gives one that is valid now, or says why there is none.
    #[must_use]
    pub fn token<F, T>(mut self, fetch: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.token = Some(Token(Arc::new(move || Box::pin(fetch()))));
        self
    }

    /// Logs in by one of these methods only, for a server that offers what it cannot do; the best that is offered if not said.
    ///
    /// ```
    /// use posthouse_client::Mailer;
    ///
    /// let mailer = Mailer::builder("smtps://alice@mail.example.org")?.password("secret").login_methods(&["PLAIN".parse()?]).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn login_methods(mut self, methods: &[LoginMethod]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    /// A certificate of our own, with its key, both in PEM form: shown to servers that ask for one; without a password it is the login too (EXTERNAL).
    #[must_use]
    pub fn certificate(mut self, files: CertificateFiles) -> Self {
        self.certificate = Some(files);
        self
    }
}

/// Which servers, and by what way.
///
/// ```
/// use std::time::Duration;
/// use posthouse_client::{Mailer, Roots, Timeouts};
///
/// let mailer = Mailer::builder("smtps://mail.example.org")?
///     .or("smtps://backup.example.org")?
///     .proxy("socks5://localhost:1080")?
///     .helo("app.example.org")
///     .timeouts(Timeouts { connect: Duration::from_secs(10), ..Timeouts::default() })
///     .transcript(|line| eprintln!("{line}"))
///     .build()?;
/// # Ok::<(), posthouse_client::MailerError>(())
/// ```
impl MailerBuilder {
    pub(super) fn new(url: &str) -> Result<Self, MailerError> {
        Ok(Self {
            urls: vec![url.parse()?],
            credentials: None,
            password: None,
            token: None,
            methods: Vec::new(),
            certificate: None,
            roots: Roots::Platform,
            any_certificate: false,
            unprotected: false,
            helo: String::new(),
            source: None,
            proxy: None,
            timeouts: Timeouts::default(),
            transcript: None,
            all_or_none: false,
            resolver: None,
            bounds: Bounds::default(),
            rate: None,
        })
    }

    /// One more server, for when those before it cannot be used. The same login is used there.
    ///
    /// # Errors
    /// [`MailerError::Url`].
    pub fn or(mut self, url: &str) -> Result<Self, MailerError> {
        self.urls.push(url.parse()?);
        Ok(self)
    }

    /// Through a proxy: `socks5://[user:password@]host:port` or `http://…` (CONNECT). The proxy looks the server's name up.
    ///
    /// # Errors
    /// [`MailerError::Url`].
    pub fn proxy(mut self, url: &str) -> Result<Self, MailerError> {
        self.proxy = Some(url.parse()?);
        Ok(self)
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

    /// A letter goes to all of its recipients or to none: where the server does not take one, the others are [`NotTried`](crate::RecipientResult::NotTried). It costs a
    /// round trip for each letter. Not said, one refusal stops nobody else.
    ///
    /// ```
    /// use posthouse_client::mail::Reply;
    /// use posthouse_client::{Catcher, Message, blocking};
    ///
    /// let catcher = Catcher::builder().refuse("nobody@example.net", Reply::new(550, "5.1.1".parse()?, "no such user")).start()?;
    /// let mailer = blocking::Mailer::from(catcher.mailer()?.all_or_none().build()?);
    /// let message = Message::builder().from("us@example.org").to("bob@example.net").to("nobody@example.net").text("Hi.").build()?;
    /// assert_eq!(mailer.send(&message)?.failed().count(), 2);
    /// assert!(catcher.letters().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn all_or_none(mut self) -> Self {
        self.all_or_none = true;
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
}

/// How much at a time.
///
/// ```
/// use std::time::Duration;
/// use posthouse_client::Mailer;
///
/// let mailer = Mailer::builder("smtp://localhost")?
///     .connections(8)
///     .letters_per_connection(100)
///     .idle(Duration::from_secs(5))
///     .rate(14, Duration::from_secs(1))
///     .waiting_max(500)
///     .build()?;
/// # Ok::<(), posthouse_client::MailerError>(())
/// ```
impl MailerBuilder {
    /// The connections that may stand at a time; 4 if not said.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.bounds.connections_max = connections.max(1);
        self
    }

    /// The letters one connection carries; 1,000 if not said. What a server announces (RFC 9422) is obeyed besides.
    #[must_use]
    pub fn letters_per_connection(mut self, letters: usize) -> Self {
        self.bounds.letters_max = letters.max(1);
        self
    }

    /// How long a connection waits for its next letter; 15 seconds if not said, with zero it is closed behind each batch.
    #[must_use]
    pub fn idle(mut self, time: Duration) -> Self {
        self.bounds.idle = time;
        self
    }

    /// At most so many letters in each `time`, over all connections.
    #[must_use]
    pub fn rate(mut self, letters: u32, time: Duration) -> Self {
        self.rate = Some((letters, time));
        self
    }

    /// The calls that may wait for a connection; more are told that the mailer is busy. 10,000 if not said.
    #[must_use]
    pub fn waiting_max(mut self, calls: usize) -> Self {
        self.bounds.waiting_max = calls;
        self
    }

    /// Makes the mailer.
    ///
    /// ```
    /// use posthouse_client::{Mailer, MailerError};
    ///
    /// let forgotten = Mailer::builder("smtps://alice@mail.example.org")?.build();
    /// assert!(matches!(forgotten, Err(MailerError::NoPassword(_))));
    /// # Ok::<(), MailerError>(())
    /// ```
    ///
    /// # Errors
    /// [`MailerError`].
    pub fn build(mut self) -> Result<Mailer, MailerError> {
        let user = self.urls.iter().find_map(ServerUrl::user).map(str::to_owned);
        let token = self.token.take();
        let credentials = self.who(user.as_deref(), token.is_some())?;
        if !self.helo.is_empty() && self.helo.parse::<Domain>().is_err() {
            return Err(MailerError::Helo(self.helo));
        }
        let token = match token {
            Some(token) => Some((user.ok_or(MailerError::NoUser)?, token)),
            None => None,
        };
        let tls = self.tls()?;
        let all = self.urls.iter().map(|url| Server {
            url: url.clone(),
            target: self.target(url, tls.as_ref(), credentials.clone()),
            avoid_until: Mutex::new(None),
        });
        let first = self.urls.first().cloned().ok_or(UrlError::Scheme)?;
        let (all_or_none, methods) = (self.all_or_none, self.methods.clone());
        let servers = Servers { first, all: all.collect(), resolver: self.resolver, token, all_or_none, methods };
        Ok(Mailer { way: Way::Servers(Arc::new(Pool::new(servers, self.bounds, Pace::new(self.rate)))) })
    }

    /// Who logs in, if not by a token.
    fn who(&mut self, user: Option<&str>, by_token: bool) -> Result<Option<Credentials>, MailerError> {
        let credentials = match (self.credentials.take(), user, self.password.take()) {
            (Some((user, password)), _, _) => Credentials::new(&user, &password),
            (None, Some(user), Some(password)) => Credentials::new(user, &password),
            (None, _, None) if by_token => return Ok(None),
            (None, user, None) if self.certificate.is_some() => Credentials::certificate(user.unwrap_or_default()),
            (None, Some(user), None) => return Err(MailerError::NoPassword(user.to_owned())),
            (None, None, Some(_)) => return Err(MailerError::NoUser),
            (None, None, None) => return Ok(None),
        };
        credentials.map(|who| Some(who.only_by(&self.methods))).map_err(MailerError::Credentials)
    }

    /// What TLS needs, if any of the servers does.
    fn tls(&self) -> Result<Option<ClientTls>, MailerError> {
        if !self.urls.iter().any(ServerUrl::is_protected) {
            return Ok(None);
        }
        let tls = if self.any_certificate { ClientTls::danger_unverified()? } else { ClientTls::verified(&self.roots)? };
        Ok(Some(match &self.certificate {
            Some(files) => tls.with_certificate(files)?,
            None => tls,
        }))
    }

    fn target(&self, url: &ServerUrl, tls: Option<&ClientTls>, credentials: Option<Credentials>) -> Target {
        let security = tls.map_or(Security::Plain, |tls| url.security(tls));
        let mut target = Target::new(url.host(), Vec::new(), security, self.helo.clone());
        target.protocol = url.protocol();
        target.credentials = credentials;
        target.danger_credentials_unprotected = self.unprotected;
        target.sources.extend(self.source);
        target.proxy = self.proxy.clone();
        target.port = url.port();
        target.timeouts = self.timeouts;
        target.transcript = self.transcript.clone();
        target.all_or_none = self.all_or_none;
        target
    }
}
