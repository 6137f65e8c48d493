//! Through a proxy: SOCKS5 (RFC 1928) and HTTP CONNECT (RFC 9110 §9.3.6).
//!
//! The proxy is given the server's name and looks it up itself, so that nothing leaks to the local DNS. What is sent through it is protected by TLS to the server,
//! not to the proxy; that the proxy is on this machine does not make the server local.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use posthouse_mail::Domain;
use posthouse_runtime::net::Stream;

use crate::url::{self, UrlError};

/// What a proxy may say before the connection stands.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// A proxy: `socks5://[user:password@]host[:1080]` or `http://[user:password@]host[:8080]`.
///
/// ```
/// let proxy: posthouse_client::Proxy = "socks5://localhost:1080".parse()?;
/// assert_eq!((proxy.host(), proxy.port()), ("localhost", 1080));
/// assert_eq!(proxy.domain().as_str(), "localhost");
/// # Ok::<(), posthouse_client::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: Domain,
    port: u16,
    login: Option<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Socks5,
    Http,
}

impl Proxy {
    /// Its name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The same as a [`Domain`].
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks for a connection to a server; then the stream is one to it. What the server has said already, or why there is none, in words.
    pub(crate) async fn pass(&self, stream: &mut Stream, name: &str, port: u16) -> Result<BytesMut, String> {
        let passed = match self.kind {
            Kind::Socks5 => self.socks(stream, name, port).await,
            Kind::Http => self.http(stream, name, port).await,
        };
        passed.map_err(|why| format!("the proxy {}: {why}", self.host))
    }

    async fn socks(&self, stream: &mut Stream, name: &str, port: u16) -> Result<BytesMut, String> {
        let mut input = BytesMut::new();
        // RFC 1928 §3: no login (0), or user and password (2).
        let methods: &[u8] = if self.login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        say(stream, methods).await?;
        match *take(stream, &mut input, 2).await? {
            [5, 0] => {}
            [5, 2] => self.socks_login(stream, &mut input).await?,
            [5, _] => return Err("it wants a login that is not known here".to_owned()),
            _ => return Err("it is not a SOCKS5 proxy".to_owned()),
        }
        say(stream, &socks_request(name, port)?).await?;
        let head = take(stream, &mut input, 4).await?;
        let &[5, result, _, family] = &*head else { return Err("its answer is not one of SOCKS5".to_owned()) };
        if result != 0 {
            return Err(socks_refusal(result).to_owned());
        }
        let rest = match family {
            1 => 4,
            4 => 16,
            3 => usize::from(take(stream, &mut input, 1).await?.first().copied().unwrap_or_default()),
            _ => return Err("its answer is not one of SOCKS5".to_owned()),
        };
        take(stream, &mut input, rest + 2).await?;
        Ok(input)
    }

    /// RFC 1929.
    async fn socks_login(&self, stream: &mut Stream, input: &mut BytesMut) -> Result<(), String> {
        let (user, password) = self.login.as_ref().ok_or("it wants a login")?;
        let mut login = vec![1];
        for word in [user, password] {
            login.push(u8::try_from(word.len()).map_err(|_| "the login is longer than 255 octets")?);
            login.extend_from_slice(word.as_bytes());
        }
        say(stream, &login).await?;
        if take(stream, input, 2).await?.get(1) == Some(&0) { Ok(()) } else { Err("it refused the login".to_owned()) }
    }

    async fn http(&self, stream: &mut Stream, name: &str, port: u16) -> Result<BytesMut, String> {
        let host = match name.parse::<Domain>().ok().and_then(|domain| domain.literal()) {
            Some(IpAddr::V6(address)) => format!("[{address}]"),
            Some(address) => address.to_string(),
            None => name.to_owned(),
        };
        let login = self.login.as_ref().map_or_else(String::new, |(user, password)| {
            format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
        });
        say(stream, format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n").as_bytes()).await?;
        let mut input = BytesMut::new();
        loop {
            if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = input.split_to(end + 4).freeze();
                let status = String::from_utf8_lossy(head.split(|&b| b == b'\r').next().unwrap_or_default()).into_owned();
                // RFC 9110 §9.3.6: any 2xx; there is no content behind it.
                let taken = status.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..3)) == Some("2");
                return if taken { Ok(input) } else { Err(format!("it said `{}`", status.escape_debug())) };
            }
            if input.len() > ANSWER_BYTES_MAX {
                return Err("its answer has no end".to_owned());
            }
            more(stream, &mut input).await?;
        }
    }
}

impl FromStr for Proxy {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::ProxyScheme)?;
        let (kind, port) = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            "http" => (Kind::Http, 8080),
            _ => return Err(UrlError::ProxyScheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, server) = rest.rsplit_once('@').map_or((None, rest), |(login, server)| (Some(login), server));
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Ok::<_, UrlError>((url::unescaped(user)?, url::unescaped(password)?))
        });
        let (host, port) = url::server(server, port)?;
        Ok(Self { kind, host, port, login: login.transpose()? })
    }
}

/// Without the login.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("kind", &self.kind)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn socks_request(name: &str, port: u16) -> Result<Vec<u8>, String> {
    let mut request = vec![5, 1, 0];
    match name.parse::<Domain>().ok().and_then(|domain| domain.literal()) {
        Some(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        None => {
            request.push(3);
            request.push(u8::try_from(name.len()).map_err(|_| "the server's name is too long")?);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// RFC 1928 §6.
fn socks_refusal(result: u8) -> &'static str {
    match result {
        2 => "its rules do not allow the connection",
        3 => "the network cannot be reached",
        4 => "the server cannot be reached",
        5 => "the server refused the connection",
        6 => "the server did not answer in time",
        _ => "it could not connect",
    }
}

async fn say(stream: &mut Stream, octets: &[u8]) -> Result<(), String> {
    stream.write_all(octets).await.map_err(|error| error.to_string())
}

async fn take(stream: &mut Stream, input: &mut BytesMut, count: usize) -> Result<BytesMut, String> {
    while input.len() < count {
        more(stream, input).await?;
    }
    Ok(input.split_to(count))
}

async fn more(stream: &mut Stream, input: &mut BytesMut) -> Result<(), String> {
    match stream.read(input).await {
        Ok(0) => Err("it closed the connection".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
