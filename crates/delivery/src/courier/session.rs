//! What a report says of the TLS of one connection (RFC 8460 §4.3).

use std::net::IpAddr;

use posthouse_client::mx::Promises;
use posthouse_client::{ClientError, Connection, SessionError};
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::Mode;
use posthouse_mailauth::tls_rpt::{AppliedPolicy, Failure, PolicyType, ResultType, Session};
use posthouse_mailauth::transport::{Decision, Refusal, TlsPolicy};
use posthouse_runtime::tls::{Doubt, TlsError};

/// What went wrong, in short.
struct Trouble {
    kind: ResultType,
    words: String,
}

/// What came of connecting to a host. `None` when it says nothing of TLS: the host was not reached, or nobody wanted TLS.
pub(super) fn of(
    promises: &Promises,
    decision: &Decision,
    host: &Domain,
    opened: &Result<Connection, ClientError>,
) -> Option<Session> {
    if decision.policy == TlsPolicy::Clear {
        return None;
    }
    let (local, peer, trouble) = match opened {
        Ok(connection) => {
            let trouble = settled(promises, decision, host, connection);
            (Some(connection.local().ip()), Some(connection.peer().ip()), trouble)
        }
        Err(ClientError::Tls { address, source, .. }) => (None, Some(address.ip()), Some(Trouble::of(source))),
        Err(ClientError::Session { address, source: SessionError::NoStartTls, .. }) => {
            (None, Some(address.ip()), Some(Trouble::no_start_tls()))
        }
        Err(_) => return None,
    };
    Some(session(promises, decision, host, (local, peer), trouble))
}

/// A host that was not connected to, because the policy does not name it or nobody can say what it is.
pub(super) fn refused(promises: &Promises, decision: &Decision, host: &Domain) -> Option<Session> {
    let TlsPolicy::Refused(refusal) = &decision.policy else { return None };
    let trouble = match refusal {
        Refusal::NotNamed => Trouble::not_named(),
        Refusal::DaneTrouble(why) => Trouble { kind: ResultType::DnssecInvalid, words: why.clone() },
        // The operator's own wish.
        Refusal::NotVouched | Refusal::TlsRequired => return None,
    };
    Some(session(promises, decision, host, (None, None), Some(trouble)))
}

/// What is wrong with a connection that stands.
fn settled(promises: &Promises, decision: &Decision, host: &Domain, connection: &Connection) -> Option<Trouble> {
    let Some(tls) = connection.tls() else {
        return Some(match connection.tls_fallback() {
            Some(why) => Trouble { kind: ResultType::ValidationFailure, words: why.to_owned() },
            None => Trouble::no_start_tls(),
        });
    };
    if !decision.is_trial {
        return None;
    }
    // A policy that is tested is judged as if it were enforced.
    if promises.sts.as_ref().is_some_and(|policy| !policy.allows(host)) {
        return Some(Trouble::not_named());
    }
    tls.verdict.as_deref().filter(|_| !tls.verified).map(Trouble::doubted)
}

impl Trouble {
    fn of(error: &TlsError) -> Self {
        if let TlsError::Untrusted { why, .. } = error {
            return Self::doubted(why);
        }
        Self { kind: ResultType::ValidationFailure, words: error.to_string() }
    }

    fn doubted(why: &str) -> Self {
        let kind = match Doubt::of(why) {
            Doubt::Name => ResultType::CertificateHostMismatch,
            Doubt::Time => ResultType::CertificateExpired,
            Doubt::Authority => ResultType::CertificateNotTrusted,
            Doubt::Other => ResultType::ValidationFailure,
        };
        Self { kind, words: why.to_owned() }
    }

    fn no_start_tls() -> Self {
        Self { kind: ResultType::StarttlsNotSupported, words: "the host offers no STARTTLS".to_owned() }
    }

    fn not_named() -> Self {
        Self { kind: ResultType::ValidationFailure, words: Refusal::NotNamed.to_string() }
    }
}

fn session(
    promises: &Promises,
    decision: &Decision,
    host: &Domain,
    (local, peer): (Option<IpAddr>, Option<IpAddr>),
    trouble: Option<Trouble>,
) -> Session {
    let domain = &promises.destination;
    let policy = match (&decision.policy, &promises.sts) {
        (TlsPolicy::Dane(records), _) => AppliedPolicy::tlsa(domain, host, records),
        (TlsPolicy::Refused(Refusal::DaneTrouble(_)), _) => {
            AppliedPolicy { policy_type: PolicyType::Tlsa, mx_host: vec![host.to_string()], ..AppliedPolicy::none(domain) }
        }
        (_, Some(policy)) if policy.mode != Mode::None => AppliedPolicy::sts(domain, policy),
        (_, Some(_) | None) => AppliedPolicy::none(domain),
    };
    let failure = trouble.map(|Trouble { kind, words }| Failure {
        result_type: kind.to_string(),
        sending_mta_ip: local.map(|address| address.to_string()),
        receiving_mx_hostname: Some(host.to_string()),
        receiving_ip: peer.map(|address| address.to_string()),
        failure_reason_code: Some(words),
    });
    Session { policy, failure }
}
