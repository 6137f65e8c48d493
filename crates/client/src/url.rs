//! A server as people write it: `smtp+starttls://user@mail.example.org:587`.

use std::fmt;
use std::str::FromStr;

use posthouse_mail::Domain;
use posthouse_runtime::tls::ClientTls;
use posthouse_smtp::client::Protocol;
use thiserror::Error;

use crate::target::Security;

/// A URL is a line, not a file.
const URL_BYTES_MAX: usize = 1000;

/// Which server, how protected, and who logs in. A password is no part of it: URLs stand in process lists, histories and logs.
///
/// | scheme | protection | port |
/// |---|---|---|
/// | `smtps://` | TLS from the first octet (RFC 8314) | 465 |
/// | `smtp+starttls://` | STARTTLS, required | 587 |
/// | `smtp://` | none; a login only on loopback | 25 |
/// | `lmtp://` | none, LMTP | 24 |
///
/// ```
/// use posthouse_client::{ClientTls, Protocol, Roots, Security, ServerUrl};
///
/// let url: ServerUrl = "smtps://alice%40example.org@mail.example.org".parse()?;
/// assert_eq!((url.host(), url.port(), url.user()), ("mail.example.org", 465, Some("alice@example.org")));
/// assert_eq!(url.domain().as_str(), "mail.example.org");
/// assert!(url.is_protected() && url.protocol() == Protocol::Smtp);
/// assert!(matches!(url.security(&ClientTls::verified(&Roots::Platform)?), Security::Implicit(_)));
/// let plain: ServerUrl = "smtp://localhost".parse()?;
/// assert_eq!(plain.clone().with_user("bob").with_starttls().to_string(), "smtp+starttls://bob@localhost:25");
/// assert_eq!(plain.with_implicit_tls().port(), 465);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerUrl {
    scheme: Scheme,
    host: Domain,
    port: u16,
    user: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Smtps,
    StartTls,
    Smtp,
    Lmtp,
}

/// Why a text is not a [`ServerUrl`].
///
/// ```
/// use posthouse_client::{ServerUrl, UrlError};
///
/// assert_eq!("smtps://alice:secret@mail.example.org".parse::<ServerUrl>(), Err(UrlError::Password));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// No scheme, or another one.
    #[error("a server is written smtps://host, smtp+starttls://host, smtp://host or lmtp://host")]
    Scheme,
    /// The host is missing or wrong.
    #[error("`{0}` is not a host name or an IP address")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// The user has broken percent escapes or is empty.
    #[error("the user before the `@` cannot be read; write `%25` for `%` and `%3A` for `:`")]
    User,
    /// A password in the URL would be seen by everybody on this machine.
    #[error("a password does not belong into the URL: anybody on this machine can read it there")]
    Password,
    /// A proxy with no scheme, or another one.
    #[error("a proxy is written socks5://host or http://host")]
    ProxyScheme,
    /// A path or a query.
    #[error("nothing may stand behind the host and the port")]
    Path,
}

impl ServerUrl {
    /// The host's name; of an IP address the literal, such as `[192.0.2.1]`.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// The same as a [`Domain`], as a resolver wants it.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.host
    }

    /// The port, the scheme's own if none was given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who logs in.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The same at another port.
    ///
    /// ```
    /// use posthouse_client::ServerUrl;
    ///
    /// let url: ServerUrl = "smtp://mail.example.org".parse()?;
    /// assert_eq!(url.with_port(2525).with_user("alice").with_starttls().to_string(), "smtp+starttls://alice@mail.example.org:2525");
    /// # Ok::<(), posthouse_client::UrlError>(())
    /// ```
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The same for another user.
    #[must_use]
    pub fn with_user(self, user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// The same server with STARTTLS, where the scheme asks for no TLS; the port stays.
    #[must_use]
    pub fn with_starttls(self) -> Self {
        let scheme = if self.scheme == Scheme::Smtp { Scheme::StartTls } else { self.scheme };
        Self { scheme, ..self }
    }

    /// The same server with TLS from the first octet, where the scheme asks for no TLS; the usual port becomes that of TLS.
    #[must_use]
    pub fn with_implicit_tls(self) -> Self {
        match (self.scheme, self.port) {
            (Scheme::Smtp, 25) => Self { scheme: Scheme::Smtps, port: 465, ..self },
            (Scheme::Smtp, _) => Self { scheme: Scheme::Smtps, ..self },
            (Scheme::Smtps | Scheme::StartTls | Scheme::Lmtp, _) => self,
        }
    }

    /// What is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.scheme {
            Scheme::Smtps | Scheme::StartTls | Scheme::Smtp => Protocol::Smtp,
            Scheme::Lmtp => Protocol::Lmtp,
        }
    }

    /// Whether the scheme asks for TLS.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        matches!(self.scheme, Scheme::Smtps | Scheme::StartTls)
    }

    /// How the connection is protected, where TLS is needed with `tls`.
    #[must_use]
    pub fn security(&self, tls: &ClientTls) -> Security {
        match self.scheme {
            Scheme::Smtps => Security::Implicit(tls.clone()),
            Scheme::StartTls => Security::StartTls(tls.clone()),
            Scheme::Smtp | Scheme::Lmtp => Security::Plain,
        }
    }
}

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").filter(|_| text.len() <= URL_BYTES_MAX).ok_or(UrlError::Scheme)?;
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "smtps" => (Scheme::Smtps, 465),
            "smtp+starttls" => (Scheme::StartTls, 587),
            "smtp" => (Scheme::Smtp, 25),
            "lmtp" => (Scheme::Lmtp, 24),
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // Logins are addresses more often than not, so the last `@` is the one that parts.
        let (user, server) = rest.rsplit_once('@').map_or((None, rest), |(user, server)| (Some(user), server));
        if server.contains(['/', '?', '#']) {
            return Err(UrlError::Path);
        }
        let user = user.map(read_user).transpose()?;
        let (host, port) = self::server(server, port)?;
        Ok(Self { scheme, host, port, user })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Smtps => "smtps",
            Scheme::StartTls => "smtp+starttls",
            Scheme::Smtp => "smtp",
            Scheme::Lmtp => "lmtp",
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = &self.user {
            for c in user.chars() {
                match c {
                    '%' | ':' | '/' | '?' | '#' => write!(f, "%{:02X}", u32::from(c))?,
                    _ => write!(f, "{c}")?,
                }
            }
            f.write_str("@")?;
        }
        match self.host.literal() {
            Some(std::net::IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Some(address) => write!(f, "{address}:{}", self.port),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A host and its port, or the usual one.
pub(crate) fn server(server: &str, usual: u16) -> Result<(Domain, u16), UrlError> {
    let (host, given) = split_port(server)?;
    let port = match given {
        None => usual,
        Some(digits) => {
            let port = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
            port.filter(|&port| port > 0).ok_or_else(|| UrlError::Port(digits.to_owned()))?
        }
    };
    Ok((read_host(host)?, port))
}

/// `host [":" port]`, with an IPv6 address in brackets.
fn split_port(server: &str) -> Result<(&str, Option<&str>), UrlError> {
    if !server.starts_with('[') {
        return Ok(server.split_once(':').map_or((server, None), |(host, port)| (host, Some(port))));
    }
    let end = server.find(']').ok_or_else(|| UrlError::Host(server.to_owned()))?;
    let (host, rest) = server.split_at(end + 1);
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(UrlError::Host(server.to_owned())),
    }
}

fn read_host(host: &str) -> Result<Domain, UrlError> {
    let wrong = || UrlError::Host(host.to_owned());
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match inside.parse() {
        Ok(address) => Ok(Domain::from_ip(address)),
        Err(_) if inside.len() < host.len() => Err(wrong()),
        Err(_) => host.parse().map_err(|_| wrong()),
    }
}

/// RFC 3986 §2.1.
fn read_user(user: &str) -> Result<String, UrlError> {
    if user.contains(':') {
        return Err(UrlError::Password);
    }
    unescaped(user)
}

pub(crate) fn unescaped(user: &str) -> Result<String, UrlError> {
    let mut octets = Vec::with_capacity(user.len());
    let mut bytes = user.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            octets.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
        octets.push(value.and_then(|value| u8::try_from(value).ok()).ok_or(UrlError::User)?);
    }
    let user = String::from_utf8(octets).map_err(|_| UrlError::User)?;
    if user.is_empty() || user.chars().any(char::is_control) { Err(UrlError::User) } else { Ok(user) }
}

#[cfg(test)]
mod tests;
