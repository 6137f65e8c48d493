//! The servers a mailer may use, and a connection to the first that takes one.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthouse_dns::Resolver;
use posthouse_mail::Domain;
use posthouse_runtime::{clock, task};
use posthouse_sasl::Method;
use posthouse_smtp::client::Credentials;

use super::Token;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::target::Target;
use crate::url::ServerUrl;

/// How long a server that could not be used is tried after the others.
const AVOIDED: Duration = Duration::from_secs(60);

/// One server.
pub(super) struct Server {
    pub(super) url: ServerUrl,
    /// Without addresses: those are looked up for each connection.
    pub(super) target: Target,
    pub(super) avoid_until: Mutex<Option<Instant>>,
}

/// All of them, best first.
pub(super) struct Servers {
    pub(super) first: ServerUrl,
    pub(super) all: Vec<Server>,
    pub(super) resolver: Option<Resolver>,
    /// Who logs in with a token that is asked for before each login.
    pub(super) token: Option<(String, Token)>,
    /// Whether a letter goes only where every recipient is taken.
    pub(super) all_or_none: bool,
    /// By which methods, if not by any.
    pub(super) methods: Vec<Method>,
}

impl Servers {
    /// The best one, by which the mailer is known. There is always one.
    pub(super) fn first(&self) -> &ServerUrl {
        &self.first
    }

    /// A connection to the first server that takes one. A login that is refused is the last word: the others would refuse it too, and soon lock the account.
    pub(super) async fn open(&self) -> Result<Connection, ClientError> {
        let now = clock::now();
        let (good, avoided): (Vec<&Server>, Vec<&Server>) = self.all.iter().partition(|server| !server.is_avoided(now));
        let mut first = None;
        for server in good.into_iter().chain(avoided) {
            match self.open_one(server).await {
                Ok(connection) => {
                    server.avoid(None);
                    return Ok(connection);
                }
                Err(error) if error.is_login() => return Err(error),
                Err(error) => {
                    server.avoid(Some(clock::now() + AVOIDED));
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(ClientError::NoAddress { name: String::new() }))
    }

    async fn open_one(&self, server: &Server) -> Result<Connection, ClientError> {
        let mut target = server.target.clone();
        let (host, port) = match &target.proxy {
            Some(proxy) => (proxy.domain().clone(), proxy.port()),
            None => (server.url.domain().clone(), server.url.port()),
        };
        target.addresses = self.addresses(&host, port, &target).await?;
        if let Some((user, token)) = &self.token {
            let token = (token.0)().await.map_err(ClientError::Token)?;
            let credentials = Credentials::bearer(user, &token).map_err(|error| ClientError::Token(error.to_string()))?;
            target.credentials = Some(credentials.only_by(&self.methods));
        }
        Connection::open(&target).await
    }

    /// From the resolver that was given, else as every program of this system finds them, `/etc/hosts` included.
    async fn addresses(&self, host: &Domain, port: u16, target: &Target) -> Result<Vec<SocketAddr>, ClientError> {
        if let Some(address) = host.literal() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = match &self.resolver {
            Some(resolver) => resolver.addresses(host).await.map(|answer| answer.value).map_err(|error| error.to_string()),
            None => system_addresses(host.clone(), target.timeouts.connect).await,
        };
        let name = host.as_str().to_owned();
        let addresses = found.map_err(|why| ClientError::Resolve { name, why })?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

impl Server {
    fn is_avoided(&self, now: Instant) -> bool {
        self.avoid_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > now)
    }

    fn avoid(&self, until: Option<Instant>) {
        *self.avoid_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// getaddrinfo(3), which blocks, and knows what only this machine knows.
async fn system_addresses(host: Domain, patience: Duration) -> Result<Vec<IpAddr>, String> {
    let lookup = task::blocking(move || {
        let found = (host.as_str(), 0u16).to_socket_addrs();
        found.map(|addresses| addresses.map(|address| address.ip()).collect()).map_err(|error| error.to_string())
    });
    clock::timeout(patience, lookup).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}
