//! What is asked of the connection to one mail host: what is known is gathered here, decided in [`posthouse_mailauth::transport`], and made into
//! this library's terms.
//!
//! It opens no connection. A demand that cannot be met (no trusted roots on this machine) refuses the host for now; nothing is ever weakened.

use std::sync::{Arc, OnceLock};

use posthouse_dns::Resolver;
use posthouse_mail::{Domain, Envelope, Reply, Status, TlsWish};
use posthouse_mailauth::dane::{self, Dane, Found, Nothing};
use posthouse_mailauth::mta_sts;
use posthouse_mailauth::transport::{self, Decision, Demand, Known, Refusal, TlsPolicy};
use posthouse_runtime::tls::{ClientTls, Roots, TlsError};

use super::unreachable;
use crate::connection::Connection;
use crate::target::Security;

/// The means to do what is asked. Made once; nothing is read before it is needed.
pub struct Means {
    unverified: ClientTls,
    roots: Roots,
    /// Made when they are first needed: most machines that only relay need no roots.
    verified: OnceLock<Result<ClientTls, String>>,
    observed: OnceLock<Result<ClientTls, String>>,
}

/// What is known of a destination before its hosts are looked at.
#[derive(Clone)]
pub struct Promises {
    /// The recipients' domain, or the host that an operator named.
    pub destination: Domain,
    /// Whether it is beyond doubt which hosts it has.
    pub are_hosts_vouched: bool,
    /// Its MTA-STS policy.
    pub sts: Option<Arc<mta_sts::Policy>>,
    /// What the letter's sender asks.
    pub wish: TlsWish,
}

impl Promises {
    /// Decides for one host, with what the DNS said of it. `demand` is what the operator asks.
    pub async fn decide(&self, host: &Domain, port: u16, demand: Option<&Demand>, resolver: &Resolver) -> (Decision, Found) {
        let wish = self.wish;
        let not_asked = || Found { dane: Dane::Nothing(Nothing::NotAsked), records: Vec::new() };
        let found = match demand {
            // The operator's word is the only one.
            Some(Demand::Pin(_)) => not_asked(),
            Some(Demand::Clear | Demand::Opportunistic) if wish != TlsWish::Required => not_asked(),
            Some(_) | None if wish == TlsWish::Optional => not_asked(),
            Some(_) | None => dane::find(resolver.as_ref(), host, port).await,
        };
        let (is_vouched, sts) = (self.are_hosts_vouched, self.sts.as_deref());
        (transport::decide(&Known { host, is_vouched, demand, dane: &found.dane, sts, wish }), found)
    }
}

impl Means {
    /// With the authorities that are trusted for mail hosts.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(roots: Roots) -> Result<Self, TlsError> {
        Ok(Self { unverified: ClientTls::danger_unverified()?, roots, verified: OnceLock::new(), observed: OnceLock::new() })
    }

    /// Reads the authorities now and not with the first letter that needs them.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub fn check(&self) -> Result<(), String> {
        self.verified().map(drop)
    }

    /// How to connect for it.
    ///
    /// # Errors
    /// The reply that says why not.
    pub fn security(&self, decision: &Decision, promises: &Promises, host: &Domain) -> Result<Security, Reply> {
        let later = |why: String| Reply::new(451, Status::temporary(7, 5), &why);
        Ok(match &decision.policy {
            TlsPolicy::Clear => Security::Plain,
            TlsPolicy::Opportunistic if decision.is_trial => {
                // Without roots there is nothing to try, and the letter goes all the same.
                Security::Opportunistic(self.observed().unwrap_or_else(|_| self.unverified.clone()))
            }
            TlsPolicy::Opportunistic => Security::Opportunistic(self.unverified.clone()),
            TlsPolicy::Encrypted if decision.is_trial => {
                Security::StartTls(self.observed().unwrap_or_else(|_| self.unverified.clone()))
            }
            TlsPolicy::Encrypted => Security::StartTls(self.unverified.clone()),
            TlsPolicy::Verified => Security::StartTls(self.verified().map_err(later)?),
            TlsPolicy::Dane(records) => {
                let records = Arc::clone(records);
                // RFC 7672 §3.2.2: the recipients' domain is a name of the host only where nobody can have changed its MX records.
                let destination = promises.are_hosts_vouched.then(|| promises.destination.clone());
                let names: Vec<Domain> = std::iter::once(host.clone()).chain(destination).collect();
                let check = move |chain: &[&[u8]], now| records.check(chain, &names.iter().collect::<Vec<_>>(), now);
                Security::StartTls(ClientTls::checked(check).map_err(|error| later(error.to_string()))?)
            }
            TlsPolicy::Pinned(pins) => {
                let pins = Arc::clone(pins);
                let check = move |chain: &[&[u8]], _| {
                    let first = chain.first().ok_or("it shows none")?;
                    transport::check_pins(first, &pins).map(|()| "it has a key that is pinned".to_owned())
                };
                Security::StartTls(ClientTls::checked(check).map_err(|error| later(error.to_string()))?)
            }
            // RFC 3463 §3.5: X.4.3, as for every answer that the DNS does not give.
            TlsPolicy::Refused(why @ Refusal::DaneTrouble(_)) => return Err(unreachable(3, &why.to_string())),
            // RFC 8689 §4.2.1.
            TlsPolicy::Refused(why @ Refusal::TlsRequired) => {
                return Err(Reply::new(550, Status::permanent(7, 30), &why.to_string()));
            }
            // RFC 8461 §5: treated as a delivery failure for now. RFC 3463 §3.8: X.7.5, cryptographic failure.
            TlsPolicy::Refused(why) => return Err(later(why.to_string())),
        })
    }

    fn verified(&self) -> Result<ClientTls, String> {
        made(&self.verified, || ClientTls::verified(&self.roots))
    }

    fn observed(&self) -> Result<ClientTls, String> {
        made(&self.observed, || ClientTls::danger_observed(&self.roots))
    }
}

fn made(
    place: &OnceLock<Result<ClientTls, String>>,
    make: impl FnOnce() -> Result<ClientTls, TlsError>,
) -> Result<ClientTls, String> {
    place.get_or_init(|| make().map_err(|error| error.to_string())).clone()
}

/// What a letter's sender asks. A report has no sender, and is not lost for want of TLS on the way back (RFC 8689 §5).
#[must_use]
pub fn wish(envelope: &Envelope) -> TlsWish {
    if envelope.tls == TlsWish::Required && envelope.reverse_path.is_null() { TlsWish::AsPromised } else { envelope.tls }
}

/// Whether the host is none of those that a letter may go to, whatever state it is in (RFC 8461 §5.1).
#[must_use]
pub fn leaves_out(decision: &Decision) -> bool {
    matches!(decision.policy, TlsPolicy::Refused(Refusal::NotNamed | Refusal::NotVouched))
}

/// What the host is called in the handshake, where that is not its name (RFC 7672 §8.1).
#[must_use]
pub fn tls_name(decision: &Decision) -> Option<String> {
    if let TlsPolicy::Dane(records) = &decision.policy { Some(records.base().to_owned()) } else { None }
}

/// The timeline's words for what was asked and what came of it.
#[must_use]
pub fn words(decision: &Decision, connection: Option<&Connection>) -> String {
    match connection.and_then(outcome) {
        Some(more) => format!("{decision}; {more}"),
        None => decision.to_string(),
    }
}

/// What came of it: why the connection is in clear, or what was made of the certificate.
#[must_use]
pub fn outcome(connection: &Connection) -> Option<String> {
    let fallback = connection.tls_fallback().map(|why| format!("in clear because {why}"));
    fallback.or_else(|| connection.tls()?.verdict.clone())
}
