//! How to go to mail hosts.

use std::net::IpAddr;
#[cfg(feature = "direct")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posthouse_dns::Resolver;
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::Policies;
use posthouse_mailauth::transport::Demand;
use posthouse_runtime::tls::Roots;
use posthouse_smtp::client::{Line, Timeouts};

use super::Direct;
use crate::mailer::builder::MailerError;
use crate::mailer::pace::Pace;
use crate::mailer::places::Places;
use crate::mailer::pool::Bounds;
use crate::mailer::{Mailer, Way};
use crate::mx::{self, Means};
use crate::target::{Security, Target, Transcript};

/// Gathers how to go to the mail hosts of the recipients' domains ([`Mailer::direct_with`]).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use posthouse_client::{Mailer, Roots, Timeouts, dns, mx::NoPolicies};
///
/// // A resolver that validates DNSSEC, for DANE: one on this machine, or one that is trusted by name.
/// let resolver = dns::real(&dns::Settings { servers: vec!["127.0.0.1:53".parse()?], ..dns::Settings::default() })?;
/// let mailer = Mailer::direct_with("app.example.org", Arc::new(NoPolicies))
///     .resolver(resolver)
///     .roots(Roots::Platform)
///     .require_tls()
///     .port(25)
///     .source("192.0.2.25".parse()?)
///     .connections(8)
///     .letters_per_connection(100)
///     .idle(Duration::from_secs(5))
///     .rate(10, Duration::from_secs(1))
///     .waiting_max(500)
///     .timeouts(Timeouts { connect: Duration::from_secs(10), ..Timeouts::default() })
///     .transcript(|line| eprintln!("{line}"))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DirectBuilder {
    helo: String,
    policies: Source,
    resolver: Option<Resolver>,
    roots: Roots,
    requires_tls: bool,
    port: u16,
    source: Option<IpAddr>,
    timeouts: Timeouts,
    transcript: Option<Transcript>,
    bounds: Bounds,
    rate: Option<(u32, Duration)>,
}

/// Who knows what domains promise of their hosts.
pub(in crate::mailer) enum Source {
    Given(Arc<dyn Policies>),
    /// Found in the DNS, fetched, and kept: in this folder, or as long as the mailer lives.
    #[cfg(feature = "direct")]
    Fetched(Option<PathBuf>),
}

impl DirectBuilder {
    pub(in crate::mailer) fn new(helo: String, policies: Source) -> Self {
        Self {
            helo,
            policies,
            resolver: None,
            roots: Roots::Platform,
            requires_tls: false,
            port: 25,
            source: None,
            timeouts: Timeouts::default(),
            transcript: None,
            bounds: Bounds::default(),
            rate: None,
        }
    }

    /// Keeps the MTA-STS policies of domains in this folder, in a file `transit.sqlite`, so that the next mailer knows them: who could withhold a policy
    /// then finds no moment to do it (RFC 8461 §10.2). Without it they are known as long as the mailer lives. Not used where [`Mailer::direct_with`] was given who knows
    /// them.
    ///
    /// ```no_run
    /// let mailer = posthouse_client::Mailer::direct("app.example.org").policies_in("/var/lib/app").build()?;
    /// # Ok::<(), posthouse_client::MailerError>(())
    /// ```
    #[cfg(feature = "direct")]
    #[must_use]
    pub fn policies_in(mut self, folder: impl Into<PathBuf>) -> Self {
        if let Source::Fetched(place) = &mut self.policies {
            *place = Some(folder.into());
        }
        self
    }

    /// Who answers DNS questions; those that `/etc/resolv.conf` names if not said. What DNSSEC vouches for is only believed of a resolver on this machine, or one that is
    /// trusted by name ([`posthouse_dns::Settings::trust_ad`]): without one there is no DANE.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Whose signature makes a certificate valid, of mail hosts and of those that serve policies; the system's roots if not said.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// TLS, or the letter is not given to a host. What a domain promises is asked besides.
    #[must_use]
    pub fn require_tls(mut self) -> Self {
        self.requires_tls = true;
        self
    }

    /// The port of mail hosts: 25, but for test worlds.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to connect from: hosts look at its name, and at what is known of it.
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

    /// Who wants to read the dialogues along.
    #[must_use]
    pub fn transcript(mut self, hook: impl Fn(&Line) + Send + Sync + 'static) -> Self {
        self.transcript = Some(Arc::new(hook));
        self
    }

    /// The domains that may be served at a time, over all letters; 4 if not said.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.bounds.connections_max = connections.max(1);
        self
    }

    /// The letters one connection carries; 1,000 if not said.
    #[must_use]
    pub fn letters_per_connection(mut self, letters: usize) -> Self {
        self.bounds.letters_max = letters.max(1);
        self
    }

    /// How long a connection waits for its next letter; 15 seconds if not said.
    #[must_use]
    pub fn idle(mut self, time: Duration) -> Self {
        self.bounds.idle = time;
        self
    }

    /// At most so many letters in each `time`, to all hosts together.
    #[must_use]
    pub fn rate(mut self, letters: u32, time: Duration) -> Self {
        self.rate = Some((letters, time));
        self
    }

    /// The domains of letters that may wait for their turn; letters beyond are told that the mailer is busy. 10,000 if not said.
    #[must_use]
    pub fn waiting_max(mut self, domains: usize) -> Self {
        self.bounds.waiting_max = domains;
        self
    }

    /// Makes the mailer.
    ///
    /// # Errors
    /// [`MailerError`]: the name for EHLO, the trusted roots, the resolver, or the folder of policies.
    pub fn build(self) -> Result<Mailer, MailerError> {
        if self.helo.parse::<Domain>().is_err() {
            return Err(MailerError::Helo(self.helo));
        }
        let means = Means::new(self.roots.clone())?;
        if !matches!(self.roots, Roots::Platform) {
            means.check().map_err(MailerError::Roots)?;
        }
        let resolver = match self.resolver {
            Some(resolver) => resolver,
            None => posthouse_dns::real(&posthouse_dns::Settings::default())?,
        };
        #[cfg_attr(
            not(feature = "direct"),
            allow(clippy::infallible_destructuring_match, reason = "there are two kinds with the feature `direct`")
        )]
        let policies = match self.policies {
            Source::Given(policies) => policies,
            #[cfg(feature = "direct")]
            Source::Fetched(folder) => fetched(folder.as_deref(), &resolver, &self.roots)?,
        };
        let mut model = Target::new("", Vec::new(), Security::Plain, self.helo);
        model.sources.extend(self.source);
        model.port = self.port;
        model.timeouts = self.timeouts;
        model.transcript = self.transcript;
        let Bounds { connections_max, letters_max, waiting_max, idle } = self.bounds;
        let direct = Direct {
            resolver,
            policies,
            means,
            demand: self.requires_tls.then_some(Demand::Require),
            port: self.port,
            model,
            at_rest: mx::Pool::new(u32::try_from(letters_max).unwrap_or(u32::MAX), idle),
            places: Places::new(connections_max, waiting_max),
            connections_max,
            pace: Pace::new(self.rate),
        };
        Ok(Mailer { way: Way::Direct(Arc::new(direct)) })
    }
}

#[cfg(feature = "direct")]
fn fetched(folder: Option<&std::path::Path>, resolver: &Resolver, roots: &Roots) -> Result<Arc<dyn Policies>, MailerError> {
    use posthouse_transit::{Settings, Store};

    let broken = |error: posthouse_transit::TransitError| MailerError::Policies(error.to_string());
    let store = match folder {
        Some(folder) => Store::open(&folder.join("transit.sqlite")),
        None => Store::in_memory(),
    };
    let client = posthouse_http::Client::trusting(Arc::clone(resolver), &posthouse_http::Settings::default(), roots.clone())?;
    let nobody = Arc::new(posthouse_mailauth::tls_rpt::NoLedger);
    let settings = Settings::default();
    let known = posthouse_transit::Policies::open(&store.map_err(broken)?, Arc::clone(resolver), client, &settings, nobody);
    Ok(Arc::new(known.map_err(broken)?))
}
