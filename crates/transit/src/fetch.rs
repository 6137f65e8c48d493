//! Fetching a policy (RFC 8461 §3.3).

use bytes::Bytes;
use thiserror::Error;

use posthouse_http::{Client, HttpError, Limits, Request, header};
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::{HOST_LABEL, POLICY_PATH, Policy, PolicyError};

/// §3.3: the octets of a policy.
const POLICY_BYTES_MAX: usize = 64 * 1024;

/// Why a policy that the DNS announces cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The certificate of the policy's host does not hold.
    #[error("the policy cannot be fetched: {0}")]
    Certificate(String),
    /// It cannot be reached, or does not answer with a policy.
    #[error("the policy cannot be fetched: {0}")]
    Fetch(String),
    /// What it serves is no policy.
    #[error(transparent)]
    Invalid(#[from] PolicyError),
}

/// Fetches the policy of a domain.
pub(crate) async fn policy(client: &Client, domain: &Domain, port: u16) -> Result<Policy, FetchError> {
    let host = format!("{HOST_LABEL}.{domain}");
    let url = if port == 443 { format!("https://{host}{POLICY_PATH}") } else { format!("https://{host}:{port}{POLICY_PATH}") };
    let request = Request::get(url).body(Bytes::new()).map_err(|error| FetchError::Fetch(error.to_string()))?;
    let response = client.send(request, Limits { body_bytes_max: POLICY_BYTES_MAX }).await.map_err(FetchError::of)?;
    // §3.3: redirects are not followed, and only 200 gives a policy.
    if response.status().as_u16() != 200 {
        let what = if response.status().is_redirection() { ", and redirects are not followed" } else { "" };
        return Err(FetchError::Fetch(format!("{host} answers {}{what}", response.status())));
    }
    let written = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // §3.2: what users of the host may upload is not its word.
    if !is_plain_text(written) {
        let written: String = written.chars().take(60).collect();
        return Err(FetchError::Fetch(format!("what {host} serves is `{written}`, not text/plain")));
    }
    Ok(Policy::parse(response.body())?)
}

/// Whether a media type is text/plain, whatever its parameters (RFC 9110 §8.3.1).
fn is_plain_text(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}

impl FetchError {
    fn of(error: HttpError) -> Self {
        if error.is_certificate() { Self::Certificate(error.to_string()) } else { Self::Fetch(error.to_string()) }
    }
}
