//! Passwords that an LDAP directory knows (RFC 4511).
//!
//! [`Ldap`] finds who a login is, by a filter of the operator's, and binds to that one entry with the password: the directory says whether it is right, and nothing is kept here. TLS is verified and
//! comes first; references to other servers are not followed, and the only host that is ever asked is the one that the operator named. An empty password is never shown to it, for that would be an
//! anonymous bind, which succeeds. A login that it does not know costs a bind all the same.
//!
//! A directory that is down, slow, or speaks nonsense is [`Unavailable`]: a log-in is then put off and not refused.

mod ber;
mod connection;
mod filter;
mod message;
mod settings;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use posthouse_directory::{OutsideChecking, OutsidePasswords, Unavailable};
use posthouse_dns::Resolver;
use posthouse_mail::Domain;
use posthouse_runtime::clock;
use posthouse_runtime::net::Stream;
use posthouse_runtime::sync::Semaphore;
use posthouse_runtime::tls::{ClientTls, Roots, TlsError};

use crate::connection::{Connection, Found};
use crate::filter::Filter;
use crate::message::{NOT_NOW, Outcome, SUCCESS};
use crate::settings::Place;
pub use crate::settings::Settings;

/// The addresses of the host that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long one of them may take to take the connection, where there are several.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A directory.
pub struct Ldap {
    settings: Settings,
    place: Place,
    filter: Filter,
    domains: Vec<Domain>,
    /// None: in clear, as the operator wants it.
    tls: Option<ClientTls>,
    resolver: Resolver,
    at_once: Semaphore,
}

impl Ldap {
    /// One that is found by `resolver`. The settings were checked ([`Settings::check`]).
    ///
    /// # Errors
    /// The authorities cannot be read; the settings are wrong.
    pub fn new(settings: &Settings, resolver: &Resolver) -> Result<Self, TlsError> {
        let roots = settings.ca.clone().map_or(Roots::Platform, Roots::PemFile);
        let tls = if settings.danger_without_tls { None } else { Some(ClientTls::verified(&roots)?) };
        let wrong = |why: String| TlsError::Setup(why);
        Ok(Self {
            place: settings.place().map_err(wrong)?,
            filter: settings.parsed_filter().map_err(wrong)?,
            domains: settings.domains().map_err(wrong)?,
            tls,
            resolver: resolver.clone(),
            at_once: Semaphore::new(settings.connections_max),
            settings: settings.clone(),
        })
    }

    async fn ask(&self, login: &str, password: &str) -> Result<bool, String> {
        let _turn = self.at_once.acquire().await;
        let mut connection = self.connect().await?;
        let (who, secret) = (self.settings.bind_dn.as_ref(), self.settings.bind_password.as_ref());
        if let (Some(name), Some(secret)) = (who, secret) {
            let Outcome { code, words } = connection.bind(name, secret.expose()).await?;
            if code != SUCCESS {
                return Err(format!("it does not let us in as {name}: result {code}, {words}"));
            }
        }
        let seconds = u32::try_from(self.settings.timeout.duration().as_secs()).unwrap_or(u32::MAX).max(1);
        let found = connection.search(&self.settings.base, &self.filter.encode(login), seconds).await?;
        let right = match found {
            // A bind without a name is nobody's too (RFC 4513 §5.1.1).
            Found::One(name) if !name.is_empty() => {
                let Outcome { code, words } = connection.bind(&name, password).await?;
                if NOT_NOW.contains(&code) {
                    return Err(format!("it neither takes nor refuses a password: result {code}, {words}"));
                }
                code == SUCCESS
            }
            // As long as for somebody: the same questions, with a name that nobody has.
            Found::Nobody | Found::One(_) | Found::Several => {
                if found == Found::Several {
                    tracing::error!(login, filter = self.settings.filter, "the LDAP filter finds several entries for one login");
                }
                let nobody = format!("cn=nobody by this name,{}", self.settings.base);
                connection.bind(&nobody, password).await?;
                false
            }
        };
        connection.end().await;
        Ok(right)
    }

    async fn connect(&self) -> Result<Connection, String> {
        let stream = self.reach().await?;
        let Some(tls) = &self.tls else { return Ok(Connection::new(stream)) };
        let stream = if self.place.tls_at_once { stream } else { Connection::new(stream).start_tls().await? };
        let stream = stream.into_tls_client(tls, &self.place.host).await.map_err(|error| error.to_string())?;
        Ok(Connection::new(stream))
    }

    async fn reach(&self) -> Result<Stream, String> {
        let mut why = "it has no address".to_owned();
        for address in self.addresses().await?.into_iter().take(ADDRESSES_MAX) {
            match clock::timeout(CONNECT_MAX, Stream::connect(SocketAddr::new(address, self.place.port), None)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = format!("{address}: {error}"),
                Err(_) => why = format!("{address}: no answer"),
            }
        }
        Err(why)
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = self.place.host.parse() {
            return Ok(vec![address]);
        }
        let host: Domain = self.place.host.parse().map_err(|error| format!("{}: {error}", self.place.host))?;
        self.resolver.addresses(&host).await.map(|answer| answer.value).map_err(|error| error.to_string())
    }
}

impl OutsidePasswords for Ldap {
    fn speaks_for(&self, domain: &Domain) -> bool {
        self.domains.is_empty() || self.domains.contains(domain)
    }

    fn creates(&self) -> bool {
        self.settings.create
    }

    fn check<'a>(&'a self, login: &'a str, password: &'a str) -> OutsideChecking<'a> {
        Box::pin(async move {
            // RFC 4513 §5.1.2: a bind with a name and no password is nobody's, and succeeds.
            if password.is_empty() || login.is_empty() {
                return Ok(false);
            }
            let timeout = self.settings.timeout.duration();
            match clock::timeout(timeout, self.ask(login, password)).await {
                Ok(answer) => answer.map_err(|why| Unavailable(format!("{}: {why}", self.settings.url))),
                Err(_) => Err(Unavailable(format!("{}: no answer within {}", self.settings.url, self.settings.timeout))),
            }
        })
    }
}

/// Without secrets.
impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap").field("url", &self.settings.url).finish_non_exhaustive()
    }
}
