//! The issuer's own word on a token (RFC 7662).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use posthouse_http::{Request, header};
use serde_json::Value;

use crate::error::{Fault, FetchError};
use crate::jwt::Claims;
use crate::settings::Introspection;
use crate::source::Source;

/// Asks at `url`; the claims of a token that is good now.
pub(crate) async fn ask(source: &Source, asks: &Introspection, url: &str, token: &str) -> Result<Claims, Fault> {
    let unavailable = |error: FetchError| source.unavailable(error);
    // RFC 6749 §2.3.1: both are encoded as in a form before they are put together.
    let client = format!("{}:{}", form(&asks.client_id), form(asks.client_secret.expose()));
    let body = format!("token={}&token_type_hint=access_token", form(token));
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(client)))
        .body(Bytes::from(body))
        .map_err(|_| unavailable(FetchError::Url(url.to_owned())))?;
    let response = source.send(request).await.map_err(unavailable)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(unavailable(FetchError::Status { url: url.to_owned(), status }));
    }
    let claims: Claims = serde_json::from_slice(response.body())
        .map_err(|error| unavailable(FetchError::Document { url: url.to_owned(), why: error.to_string() }))?;
    // §2.2: the one member that is always there.
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(claims),
        Some(Value::Bool(false)) => Err(Fault::Inactive),
        _ => Err(unavailable(FetchError::Document { url: url.to_owned(), why: "it does not say `active`".to_owned() })),
    }
}

/// As a field of a form.
fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(char::from(octet)),
            // A text takes everything.
            _ => drop(write!(encoded, "%{octet:02X}")),
        }
    }
    encoded
}
