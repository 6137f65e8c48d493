//! One question to a web server.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Request, Response, Uri};
use posthouse_config::Period;
use posthouse_dns::{DnsError, Resolver};
use posthouse_mail::Domain;
use posthouse_runtime::clock;
use posthouse_runtime::net::Stream;
use posthouse_runtime::stream::ByteSource;
use posthouse_runtime::tls::{ClientTls, Roots, TlsError};

use crate::body::{Outgoing, feed};
use crate::error::HttpError;
use crate::io::Io;
use crate::reach::is_public;
use crate::settings::Settings;

/// The addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long one of them may take to answer.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The octets of an answer's header.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// How we are called.
const AGENT: &str = concat!("posthouse/", env!("CARGO_PKG_VERSION"));

/// Asks web servers. Clones share what it is made of.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    resolver: Resolver,
    roots: Roots,
    /// Made when it is first needed: a machine without any roots may never need them.
    tls: OnceLock<Result<ClientTls, String>>,
    private: bool,
    /// Whether `http://` may be asked, of hosts inside this network alone.
    clear: bool,
    timeout: Duration,
}

/// How much one answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The octets of its body.
    pub body_bytes_max: usize,
}

/// Where a URL leads.
struct Target {
    /// Whether it is asked without TLS.
    clear: bool,
    host: Domain,
    port: u16,
    /// As `Host` says it.
    authority: String,
    /// As the request line says it.
    path: String,
}

impl Client {
    /// One that finds hosts by `resolver`. Unless the settings allow them it connects to no private address: what the name of a host leads to is
    /// looked at after it was looked up, and that very address is connected to.
    ///
    /// # Errors
    /// The file of authorities cannot be read.
    pub fn new(resolver: Resolver, settings: &Settings) -> Result<Self, TlsError> {
        Self::trusting(resolver, settings, settings.ca.clone().map_or(Roots::Platform, Roots::PemFile))
    }

    /// The same with these authorities in place of those in the settings.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub fn trusting(resolver: Resolver, settings: &Settings, roots: Roots) -> Result<Self, TlsError> {
        Self::made(resolver, settings, roots, false)
    }

    /// One for URLs that the operator wrote into the configuration: they may lead to addresses of this machine and of private networks, and there
    /// without TLS (`http://`) too. No credentials go without TLS beyond this machine.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn for_operator(resolver: Resolver, ca: Option<&Path>, timeout: Duration) -> Result<Self, TlsError> {
        let roots = ca.map_or(Roots::Platform, |ca| Roots::PemFile(ca.to_owned()));
        let settings = Settings { ca: None, private_addresses: true, timeout: Period(timeout) };
        Self::made(resolver, &settings, roots, true)
    }

    fn made(resolver: Resolver, settings: &Settings, roots: Roots, clear: bool) -> Result<Self, TlsError> {
        let tls = OnceLock::new();
        // Those that were named are looked at now and not with the first question.
        if !matches!(roots, Roots::Platform) {
            // Empty as yet, so it is taken.
            let _ = tls.set(Ok(ClientTls::verified(&roots)?));
        }
        let (private, timeout) = (settings.private_addresses, settings.timeout.0);
        Ok(Self(Arc::new(Inner { resolver, roots, tls, private, clear, timeout })))
    }

    /// Asks the URL of `request`. Whatever the server answers is given back, a redirect too.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn send(&self, request: Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, HttpError> {
        let (parts, octets) = request.into_parts();
        let request = Request::from_parts(parts, Outgoing::whole(octets));
        clock::timeout(self.0.timeout, self.ask(request, std::future::ready(()), limits)).await.map_err(|_| HttpError::Timeout)?
    }

    /// The same with a body that is read while it is sent, so that its size never shows in memory.
    ///
    /// # Errors
    /// [`HttpError`]; what cannot be read to its end breaks the request off.
    pub async fn send_from(
        &self,
        request: Request<()>,
        body: &mut dyn ByteSource,
        limits: Limits,
    ) -> Result<Response<Bytes>, HttpError> {
        let (parts, ()) = request.into_parts();
        let (outgoing, chunks) = Outgoing::fed(body.len());
        let asked = self.ask(Request::from_parts(parts, outgoing), feed(body, chunks), limits);
        clock::timeout(self.0.timeout, asked).await.map_err(|_| HttpError::Timeout)?
    }

    /// Asks, while `feeding` gives the request its body.
    async fn ask(
        &self,
        request: Request<Outgoing>,
        feeding: impl Future<Output = ()>,
        limits: Limits,
    ) -> Result<Response<Bytes>, HttpError> {
        let target = Target::of(request.uri(), self.0.clear)?;
        let stream = self.connect(&target).await?;
        let stream = if target.clear {
            target.may_be_clear(stream.peer_addr().ip(), request.headers())?;
            stream
        } else {
            stream.into_tls_client(&self.tls()?, &name(&target.host)).await?
        };
        let broken = |why: String| HttpError::Protocol { host: target.host.to_string(), why };
        let request = target.complete(request).map_err(&broken)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEADER_BYTES_MAX)
            .handshake(Io(stream))
            .await
            .map_err(|error| broken(words(&error)))?;
        let mut connection = pin!(connection);
        let mut exchange = pin!(async {
            let response = sender.send_request(request).await.map_err(|error| broken(words(&error)))?;
            whole(response, &target, limits.body_bytes_max).await
        });
        // The connection moves the octets while the exchange waits for them; it may end before what it has read is taken.
        let (mut moving, mut feeding, mut hungry) = (true, pin!(feeding), true);
        poll_fn(|context| {
            if hungry {
                hungry = feeding.as_mut().poll(context).is_pending();
            }
            if moving {
                moving = connection.as_mut().poll(context).is_pending();
            }
            exchange.as_mut().poll(context)
        })
        .await
    }

    fn tls(&self) -> Result<ClientTls, TlsError> {
        let made = self.0.tls.get_or_init(|| ClientTls::verified(&self.0.roots).map_err(|error| error.to_string()));
        made.clone().map_err(TlsError::Setup)
    }

    async fn connect(&self, target: &Target) -> Result<Stream, HttpError> {
        let host = || target.host.to_string();
        let addresses = self.addresses(&target.host).await.map_err(|why| HttpError::Resolve { host: host(), why })?;
        let (mut why, mut inside) = (None, None);
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            if !self.0.private && !is_public(address) {
                inside = Some(address);
                continue;
            }
            match clock::timeout(CONNECT_MAX, Stream::connect(SocketAddr::new(address, target.port), None)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = Some(format!("{address}: {error}")),
                Err(_) => why = Some(format!("{address}: no answer")),
            }
        }
        Err(match (why, inside) {
            (None, Some(address)) => HttpError::Private { host: host(), address },
            (why, _) => HttpError::Connect { host: host(), why: why.unwrap_or_else(|| "it has no address".to_owned()) },
        })
    }

    async fn addresses(&self, host: &Domain) -> Result<Vec<IpAddr>, String> {
        if let Some(address) = host.literal() {
            return Ok(vec![address]);
        }
        match self.0.resolver.addresses(host).await {
            Ok(answer) => Ok(answer.value),
            Err(error @ (DnsError::NoData | DnsError::NoSuchDomain | DnsError::Temporary(_))) => Err(error.to_string()),
        }
    }
}

/// Whether a URL of the operator's can be asked, as far as it shows: for the check of a configuration.
///
/// # Errors
/// [`HttpError::Url`].
pub fn check_url(url: &str) -> Result<(), HttpError> {
    let wrong = || HttpError::Url(url.chars().take(200).collect());
    Target::of(&url.parse().map_err(|_| wrong())?, true).map(|_| ()).map_err(|_| wrong())
}

impl Target {
    fn of(uri: &Uri, may_be_clear: bool) -> Result<Self, HttpError> {
        let wrong = || HttpError::Url(uri.to_string().chars().take(200).collect());
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(wrong)?;
        let clear = match uri.scheme_str() {
            Some("https") => false,
            Some("http") if may_be_clear => true,
            _ => return Err(wrong()),
        };
        // An address: `[::1]` in a URL, `[IPv6:::1]` in mail; `127.0.0.1` and `[127.0.0.1]`.
        let bare = authority.host().trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse::<IpAddr>() {
            Ok(address) => Domain::from_ip(address),
            Err(_) => authority.host().parse().map_err(|_| wrong())?,
        };
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let port = authority.port_u16().unwrap_or(if clear { 80 } else { 443 });
        Ok(Self { clear, host, port, authority: authority.to_string(), path })
    }

    /// Nothing goes in clear through the public network, and no credentials beyond this machine.
    fn may_be_clear(&self, address: IpAddr, headers: &HeaderMap) -> Result<(), HttpError> {
        let has_secret = headers.values().any(HeaderValue::is_sensitive) || headers.contains_key(AUTHORIZATION);
        if is_public(address) || (has_secret && !address.to_canonical().is_loopback()) {
            return Err(HttpError::Clear { host: self.host.to_string(), address });
        }
        Ok(())
    }

    /// The request as it goes over the wire (RFC 9112 §3.2.1).
    fn complete(&self, request: Request<Outgoing>) -> Result<Request<Outgoing>, String> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.path.parse().map_err(|_| "the URL has no path".to_owned())?;
        let host = HeaderValue::from_str(&self.authority).map_err(|error| error.to_string())?;
        parts.headers.insert(HOST, host);
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(Request::from_parts(parts, body))
    }
}

/// Reads the body, as far as it may go.
async fn whole(
    response: Response<hyper::body::Incoming>,
    target: &Target,
    octets_max: usize,
) -> Result<Response<Bytes>, HttpError> {
    let host = || target.host.to_string();
    let (parts, mut body) = response.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|octets| octets > octets_max) {
        return Err(HttpError::TooLong { host: host(), octets_max });
    }
    let mut octets = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpError::Protocol { host: host(), why: words(&error) })?;
        let Ok(data) = frame.into_data() else { continue };
        if octets.len() + data.len() > octets_max {
            return Err(HttpError::TooLong { host: host(), octets_max });
        }
        octets.extend_from_slice(&data);
    }
    Ok(Response::from_parts(parts, octets.freeze()))
}

/// As TLS names a host: an address without brackets.
fn name(host: &Domain) -> String {
    host.literal().map_or_else(|| host.to_string(), |address| address.to_string())
}

/// The library's error with its cause.
fn words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
