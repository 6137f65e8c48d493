//! The little that is served to web clients: our MTA-STS policy (RFC 8461 §3.3) over HTTPS, and over HTTP what proves to an authority that a
//! name is ours (RFC 8555 §8.3).

use bytes::Bytes;

use posthouse_acme::Proofs;
use posthouse_directory::Directory;
use posthouse_http::{Asked, Page, StatusCode};
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::{HOST_LABEL, POLICY_PATH};
use posthouse_runtime::gate::{Gate, Limits};
use posthouse_runtime::net::Stream;
use posthouse_runtime::tls::{ServerTls, TlsError};
use tracing::debug;

use super::parts::Parts;

/// Where an authority looks (RFC 8555 §8.3).
const PROOF_PATH: &str = "/.well-known/acme-challenge/";
/// Connections at a time, in all and from one address: each lasts seconds, and nobody needs many.
const CONNECTIONS: Limits = Limits { in_all: 256, per_address: 8, per_network: 64 };

/// What these connections work with.
#[derive(Clone)]
pub(super) struct Web {
    tls: ServerTls,
    gate: Gate,
    directory: Directory,
    policy: Option<Bytes>,
    proofs: Proofs,
}

impl Web {
    pub(super) fn new(parts: &Parts) -> Result<Self, TlsError> {
        Ok(Self {
            // The last is an authority's that looks for a proof (RFC 8737).
            tls: parts.tls.for_service(&["http/1.1", "http/1.0", "acme-tls/1"])?,
            gate: Gate::new(CONNECTIONS),
            directory: parts.directory.clone(),
            policy: None,
            proofs: Proofs::new(parts.tls.clone()),
        })
    }

    /// The same, with the policy as it is to be served.
    pub(super) fn serving(&self, policy: Option<String>) -> Self {
        Self { policy: policy.map(Bytes::from), ..self.clone() }
    }

    /// Where proofs are shown.
    pub(super) fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    fn prove(&self, asked: &Asked) -> Page {
        match asked.path.strip_prefix(PROOF_PATH).and_then(|token| self.proofs.token(token)) {
            Some(answer) => Page::text(StatusCode::OK, answer),
            None => Page::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        }
    }

    async fn find(&self, asked: Asked) -> Page {
        let nothing = || Page::text(StatusCode::NOT_FOUND, "There is nothing here.\n");
        let Some(policy) = self.policy.clone().filter(|_| asked.path == POLICY_PATH) else { return nothing() };
        let domain = asked.host.strip_prefix(HOST_LABEL).and_then(|rest| rest.strip_prefix('.')?.parse::<Domain>().ok());
        let Some(domain) = domain else { return nothing() };
        match self.directory.is_local(&domain).await {
            Ok(true) => Page::text(StatusCode::OK, policy),
            Ok(false) => nothing(),
            // Nothing is better than "not found", which would be an answer.
            Err(_) => Page::text(StatusCode::SERVICE_UNAVAILABLE, "Try again later.\n"),
        }
    }
}

/// Takes one connection to its end.
pub(super) async fn serve(stream: Stream, web: &Web, secured: bool) {
    let peer = stream.peer_addr();
    // Who is one too many comes again; there is no polite way to say so before the handshake.
    let Ok(_pass) = web.gate.enter(peer.ip()) else { return };
    if !secured {
        return posthouse_http::answer(stream, |asked| std::future::ready(web.prove(&asked))).await;
    }
    match stream.into_tls_server(&web.tls).await {
        Ok(stream) => posthouse_http::answer(stream, |asked| web.find(asked)).await,
        Err(error) => debug!(%peer, %error, "no TLS with a web client"),
    }
}
