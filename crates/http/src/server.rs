//! The other side, as small as it can be: one request, one answer, and the connection ends.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use posthouse_runtime::clock;
use posthouse_runtime::net::Stream;

use crate::io::Io;

/// How long a connection may last, from its handshake to its end.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// The octets of a request's header; the library takes no smaller bound.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// What was asked for, by GET or HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The host, in lower case, without a port; empty when the request names none.
    pub host: String,
    /// The path, as it was written.
    pub path: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it says of the request.
    pub status: StatusCode,
    /// What the body is.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Page {
    /// A plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: text.into() }
    }
}

/// Reads one request and answers it with what `find` says; ends within ten seconds, whatever the other side does. Bodies of requests are not
/// read.
pub async fn answer<Finding: Future<Output = Page>>(stream: Stream, find: impl Fn(Asked) -> Finding) {
    let respond = |request: Request<Incoming>| {
        let found = is_question(&request).then(|| find(asked(&request)));
        async move {
            let page = match found {
                Some(found) => found.await,
                None => Page::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered here.\n"),
            };
            Ok::<_, Infallible>(response(page))
        }
    };
    let mut server = http1::Builder::new();
    server.keep_alive(false).half_close(false).max_buf_size(HEADER_BYTES_MAX);
    let served = clock::timeout(CONNECTION_MAX, server.serve_connection(Io(stream), service_fn(respond))).await;
    if let Ok(Err(error)) = served {
        tracing::debug!(%error, "a request could not be answered");
    }
}

fn is_question(request: &Request<Incoming>) -> bool {
    *request.method() == Method::GET || *request.method() == Method::HEAD
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let is_wrong_method = page.status == StatusCode::METHOD_NOT_ALLOWED;
    let mut response = Response::new(Full::new(page.body));
    *response.status_mut() = page.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_wrong_method {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

fn asked(request: &Request<Incoming>) -> Asked {
    let named = request.headers().get(HOST).and_then(|value| value.to_str().ok());
    // RFC 9112 §3.2.2: an absolute target overrides `Host`.
    let host = request.uri().host().or(named).unwrap_or_default();
    let bare = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or(host) };
    Asked { host: bare.trim_end_matches('.').to_ascii_lowercase(), path: request.uri().path().to_owned() }
}

#[cfg(test)]
mod tests;
