//! Where to connect, and how.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use posthouse_runtime::tls::ClientTls;
use posthouse_smtp::client::{Chunks, Credentials, Line, Protocol, Timeouts};

use crate::proxy::Proxy;

/// Is called with each line of the dialogue, without its secrets.
///
/// ```
/// let transcript: posthouse_client::Transcript = std::sync::Arc::new(|line| eprintln!("{line}"));
/// ```
pub type Transcript = Arc<dyn Fn(&Line) + Send + Sync>;

/// How the connection is protected.
///
/// ```
/// use posthouse_client::{ClientTls, Roots, Security};
///
/// let required = Security::StartTls(ClientTls::verified(&Roots::Platform)?);
/// let wanted = Security::Opportunistic(ClientTls::danger_unverified()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub enum Security {
    /// Not at all.
    Plain,
    /// By STARTTLS where the server offers it and it works, else not at all (RFC 7435): what servers do among each other without a policy.
    Opportunistic(ClientTls),
    /// By STARTTLS, or nothing is sent.
    StartTls(ClientTls),
    /// By TLS from the first octet (RFC 8314).
    Implicit(ClientTls),
}

/// What connections have found out about a server, for those that follow. Clones share it.
///
/// ```
/// use posthouse_client::{Known, Security, Target};
///
/// let known = Known::default();
/// let mut target = Target::new("mail.example.org", vec![], Security::Plain, "app.example.org");
/// target.known = known.clone(); // and of every other target that is the same server
/// ```
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Mutex<Chunks>>);

impl Known {
    pub(crate) fn chunks(&self) -> Chunks {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection that was refused counts more than others that were not: behind a name there may be several machines.
    pub(crate) fn learn(&self, chunks: Chunks) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match chunks {
            Chunks::Untried => {}
            Chunks::Work if *known == Chunks::Broken => {}
            Chunks::Work | Chunks::Broken => *known = chunks,
        }
    }
}

/// One server, and everything that is needed to talk to it.
///
/// ```
/// use posthouse_client::{Credentials, Security, Target};
///
/// let mut target = Target::new("localhost", vec!["127.0.0.1:2525".parse()?], Security::Plain, "app.example.org");
/// target.credentials = Some(Credentials::new("alice", "secret")?);
/// target.timeouts.connect = std::time::Duration::from_secs(5);
/// assert!(target.addresses.len() <= Target::ADDRESSES_MAX);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Target {
    /// Its name: what its certificate is checked against, and what errors call it.
    pub name: String,
    /// What its certificate is checked against and what it is called in the handshake (SNI), where that is not its name.
    pub tls_name: Option<String>,
    /// Its addresses, best first; tried in turn, with the two families interleaved. At most [`Self::ADDRESSES_MAX`] are tried.
    pub addresses: Vec<SocketAddr>,
    /// What it speaks.
    pub protocol: Protocol,
    /// How the connection is protected.
    pub security: Security,
    /// Who logs in. Only over verified TLS, or over loopback.
    pub credentials: Option<Credentials>,
    /// Logs in even without verified TLS: whoever is on the way can read the password.
    pub danger_credentials_unprotected: bool,
    /// Our name in EHLO: a host name or an address literal; if empty, the literal of the address we connect from.
    pub helo: String,
    /// Through whom: then `addresses` are the proxy's, and the server is reached by its name and [`Self::port`].
    pub proxy: Option<Proxy>,
    /// The server's port behind a proxy; not used without one.
    pub port: u16,
    /// The addresses to connect from, one of each family; those of a family that is not among them are not tried. None: what the system chooses.
    pub sources: Vec<IpAddr>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Whether a letter goes only where every recipient is taken.
    pub all_or_none: bool,
    /// Who wants to read along.
    pub transcript: Option<Transcript>,
    /// What is known of it from connections before.
    pub known: Known,
}

impl Target {
    /// The addresses of one target that are tried: a name with thousands of them is no reason to try for days.
    pub const ADDRESSES_MAX: usize = 16;

    /// A target without login, with the timeouts of RFC 5321.
    #[must_use]
    pub fn new(name: impl Into<String>, addresses: Vec<SocketAddr>, security: Security, helo: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tls_name: None,
            addresses,
            protocol: Protocol::Smtp,
            security,
            credentials: None,
            danger_credentials_unprotected: false,
            helo: helo.into(),
            proxy: None,
            port: 25,
            sources: Vec::new(),
            timeouts: Timeouts::default(),
            all_or_none: false,
            transcript: None,
            known: Known::default(),
        }
    }

    /// The address to connect from to this one.
    pub(crate) fn source_to(&self, address: SocketAddr) -> Option<IpAddr> {
        self.sources.iter().copied().find(|source| source.is_ipv4() == address.is_ipv4())
    }

    /// The addresses in the order in which they are tried: the families take turns, each in its own order, so that a host whose one family
    /// leads nowhere is reached at the second try (RFC 8305 §4).
    pub(crate) fn in_order(&self) -> Vec<SocketAddr> {
        let usable = |address: &&SocketAddr| self.sources.is_empty() || self.source_to(**address).is_some();
        let first_is_v4 = self.addresses.iter().find(usable).is_some_and(SocketAddr::is_ipv4);
        let (mut one, mut other): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
            self.addresses.iter().filter(usable).partition(|address| address.is_ipv4() == first_is_v4);
        let mut ordered = Vec::with_capacity(one.len() + other.len());
        one.reverse();
        other.reverse();
        while !(one.is_empty() && other.is_empty()) {
            ordered.extend(one.pop());
            ordered.extend(other.pop());
        }
        ordered.truncate(Self::ADDRESSES_MAX);
        ordered
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("addresses", &self.addresses)
            .field("protocol", &self.protocol)
            .field("security", &self.security)
            .field("helo", &self.helo)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
