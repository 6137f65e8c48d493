//! Alarms by POST to a web server of the operator's choice.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use posthouse_admin::{Notice, WebhookSettings};
use posthouse_dns::Resolver;
use posthouse_http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use posthouse_http::{Client, Limits, Request};
use serde::Serialize;
use sha2::Sha256;

use super::letter;

/// How long the web server may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of its answer.
const LIMITS: Limits = Limits { body_bytes_max: 16 * 1024 };
/// The field that proves that it was us.
const SIGNATURE: &str = "x-posthouse-signature";

pub(super) struct Hook<'a> {
    pub(super) webhook: &'a WebhookSettings,
    pub(super) resolver: &'a Resolver,
}

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    /// The version of this form; fields may be added, their meaning never changes.
    v: u32,
    host: &'a str,
    /// All in one line: what chats show of a webhook.
    text: String,
    alarms: &'a [Notice],
}

impl Hook<'_> {
    pub(super) async fn post(&self, host: &str, notices: &[Notice]) -> Result<(), String> {
        let client = Client::for_operator(self.resolver.clone(), self.webhook.ca.as_deref(), TIMEOUT);
        let request = self.request(host, notices)?;
        let response =
            client.map_err(|error| error.to_string())?.send(request, LIMITS).await.map_err(|error| error.to_string())?;
        if response.status().is_success() { Ok(()) } else { Err(format!("it answers {}", response.status())) }
    }

    fn request(&self, host: &str, notices: &[Notice]) -> Result<Request<Bytes>, String> {
        let whats: Vec<&str> = notices.iter().map(|notice| notice.what.as_str()).collect();
        let text = format!("{host}: {} ({})", letter::headline(notices), whats.join("; "));
        let body = serde_json::to_vec(&Body { v: 1, host, text, alarms: notices }).map_err(|error| error.to_string())?;
        let mut request = Request::post(self.webhook.url.as_str()).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.webhook.secret {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|error| error.to_string())?;
            mac.update(&body);
            let hex: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
            request = request.header(SIGNATURE, format!("sha256={hex}"));
        }
        if let Some(authorization) = &self.webhook.authorization {
            let mut value = HeaderValue::from_str(authorization.expose()).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Bytes::from(body)).map_err(|error| error.to_string())
    }
}
