//! Why a letter could not be handed over at all, whose fault that is, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use posthouse_mail::Reply;
use posthouse_runtime::tls::TlsError;
use posthouse_smtp::client::{SessionError, Stage};
use thiserror::Error;

use crate::cause::cause;

/// Whose fault something is.
///
/// ```
/// use posthouse_client::Fault;
///
/// fn told(fault: Fault) -> &'static str {
///     match fault {
///         Fault::Yours => "look at your settings",
///         Fault::Server => "tell its operator",
///         Fault::Network => "try again",
///     }
/// }
/// assert_eq!(told(Fault::Network), "try again");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The caller's: a wrong setting, password, address or file.
    Yours,
    /// The server's.
    Server,
    /// The network's between.
    Network,
}

/// Why nothing was handed over. Whatever this is, no recipient got the letter by it.
///
/// ```
/// use posthouse_client::{ClientError, Fault, Mailer, Message, blocking};
///
/// let mailer = blocking::Mailer::from(Mailer::connect("smtp://127.0.0.1:1")?);
/// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
/// let error: ClientError = mailer.send(&message).unwrap_err();
/// assert!(error.is_temporary() && error.fault() == Fault::Network);
/// assert!(error.reply().is_none() && error.cause().is_none(), "nobody answered");
/// eprintln!("{error}. {}", error.advice());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no address to connect to.
    #[error("{name} has no address that can be used")]
    NoAddress {
        /// The server.
        name: String,
    },
    /// The server's name could not be looked up.
    #[error("cannot find {name}: {why}")]
    Resolve {
        /// The server.
        name: String,
        /// The resolver's words.
        why: String,
    },
    /// No address could be reached.
    #[error("cannot connect to {name}: {}", list(failures))]
    Connect {
        /// The server.
        name: String,
        /// Each address tried, with the system's words.
        failures: Vec<(SocketAddr, String)>,
    },
    /// The handshake failed.
    #[error("no TLS with {name} at {address}: {source}")]
    Tls {
        /// The server.
        name: String,
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        source: TlsError,
    },
    /// The dialogue ended early.
    #[error("{name} at {address}: {source}")]
    Session {
        /// The server.
        name: String,
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        source: SessionError,
    },
    /// The letter could not be read while it was sent; it was not ended, so the server has none of it.
    #[error("the letter could not be read: {0}")]
    Read(io::Error),
    /// This system gives us no event queue; only with [`crate::blocking`].
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// No token could be had for the login.
    #[error("no token for the login: {0}")]
    Token(String),
    /// Too many letters wait for a connection already.
    #[error("{waiting} letters wait for a connection already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The connection that this letter waited for together with others could not be made.
    #[error("no connection: {0}")]
    NoConnection(Arc<ClientError>),
    /// The Posthouse of this machine could not be reached.
    #[error("cannot reach the Posthouse of this machine at {}: {cause}", path.display())]
    Local {
        /// Its socket file.
        path: PathBuf,
        /// The system's words; not found and refused connections mean that none runs.
        cause: io::Error,
    },
    /// A mailer that delivers directly has no server to open a connection to.
    #[error("this mailer delivers to the recipients' mail hosts and has no server of its own")]
    NoServer,
    /// The name for EHLO is neither a host name nor an address literal.
    #[error("`{0}` cannot be our name in EHLO: it must be a host name or an address literal such as [192.0.2.1]")]
    Helo(String),
}

impl ClientError {
    /// Whether the same may work later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NoAddress { .. }
            | Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Read(_)
            | Self::Runtime(_)
            | Self::Token(_)
            | Self::Local { .. }
            | Self::Busy { .. } => true,
            Self::NoConnection(error) => error.is_temporary(),
            Self::Session { source, .. } => source.is_temporary(),
            Self::NoServer | Self::Helo(_) => false,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect { .. } => Fault::Network,
            Self::Tls { .. } => Fault::Server,
            Self::NoAddress { .. }
            | Self::Resolve { .. }
            | Self::Read(_)
            | Self::Runtime(_)
            | Self::NoServer
            | Self::Helo(_)
            | Self::Token(_)
            | Self::Local { .. }
            | Self::Busy { .. } => Fault::Yours,
            Self::NoConnection(error) => error.fault(),
            Self::Session { source, .. } => match source {
                SessionError::Timeout(_) | SessionError::Lost(_) => Fault::Network,
                SessionError::Refused { stage: Stage::Login, .. }
                | SessionError::TokenRefused { .. }
                | SessionError::UnprotectedLogin
                | SessionError::Login(_)
                | SessionError::BodyLength { .. }
                | SessionError::BodyUnreadable
                | SessionError::Misuse(_) => Fault::Yours,
                SessionError::Refused { .. }
                | SessionError::Protocol { .. }
                | SessionError::Unreadable { .. }
                | SessionError::Injected
                | SessionError::NoStartTls
                | SessionError::NoMechanism { .. } => Fault::Server,
            },
        }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoAddress { .. } | Self::Resolve { .. } => "Check the server's name and its DNS records.",
            Self::Connect { .. } => "Check the server's name and port, and whether a firewall or the provider blocks the port.",
            Self::Tls { source: TlsError::Handshake(_) | TlsError::Timeout, .. } => {
                "A port where TLS does not come first (587, 25) is written smtp+starttls://; else the server and this program have no version or cipher in common."
            }
            Self::Tls { .. } => {
                "Check that the name is the one in the server's certificate; a private CA has to be given as a file of trusted roots."
            }
            Self::Runtime(_) => "Close some files or programs and try again.",
            Self::Read(_) => "Check the file the letter is read from.",
            Self::NoServer => "Look the hosts up (`mx::hosts`) and open a connection to one of them (`Connection::open`).",
            Self::Helo(_) => "Give a host name such as mail.example.org.",
            Self::Token(_) => "Ask the issuer for a new token; the one who granted it may have taken it back.",
            Self::Busy { .. } => "Wait for letters that are under way before sending more.",
            Self::Local { .. } => "Start it, or name the socket file of the one that runs (POSTHOUSE_SUBMIT).",
            Self::NoConnection(error) => error.advice(),
            Self::Session { source, .. } => match source {
                SessionError::Refused { stage: Stage::Login, .. } => "Check the user name and the password.",
                SessionError::TokenRefused { .. } => {
                    "Ask the issuer for a new token, with the scope that the server wants for sending mail."
                }
                SessionError::Login(_) => {
                    "Check the user name and the password; if both are right, this is not the server they belong to."
                }
                SessionError::UnprotectedLogin => {
                    "Use smtp+starttls:// or smtps://, so that the password is protected on its way."
                }
                SessionError::NoStartTls => {
                    "Try smtps:// on port 465; if the server offered STARTTLS before, somebody on the way may have removed it."
                }
                SessionError::NoMechanism { .. } => "Log in on the submission port (587 or 465), where servers offer it.",
                SessionError::Injected => "Do not use this network for mail; tell the server's operator.",
                SessionError::Refused { .. } if self.is_temporary() => "Try again later.",
                SessionError::Refused { .. } => "Read the server's words: it does not want mail from here.",
                SessionError::Timeout(Stage::Greeting) => {
                    "A server that says nothing may be one where TLS comes first (465), which is written smtps://; else try again later."
                }
                SessionError::Timeout(_) | SessionError::Lost(_) => "Try again later.",
                SessionError::Protocol { .. } | SessionError::Unreadable { .. } => {
                    "Tell the server's operator: the server does not behave as it must."
                }
                SessionError::BodyLength { .. } | SessionError::BodyUnreadable | SessionError::Misuse(_) => {
                    "Report this: the program that uses this library, or the library itself, is at fault."
                }
            },
        }
    }

    /// The server's reply, where that was the reason.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Session { source, .. } => source.reply(),
            Self::NoConnection(error) => error.reply(),
            Self::NoAddress { .. }
            | Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Read(_)
            | Self::Runtime(_)
            | Self::Token(_)
            | Self::Busy { .. }
            | Self::Local { .. }
            | Self::NoServer
            | Self::Helo(_) => None,
        }
    }

    /// What a reply like this one usually means with this provider; nothing where nobody knows.
    ///
    /// ```
    /// use posthouse_client::cause;
    /// use posthouse_client::mail::Reply;
    ///
    /// let reply = Reply::new(535, "5.7.8".parse()?, "Username and Password not accepted");
    /// assert!(cause("smtp.gmail.com", &reply).unwrap().contains("app password"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Session { name, source, .. } => cause(name, source.reply()?),
            Self::NoConnection(error) => error.cause(),
            Self::NoAddress { .. }
            | Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Read(_)
            | Self::Runtime(_)
            | Self::Token(_)
            | Self::Busy { .. }
            | Self::Local { .. }
            | Self::NoServer
            | Self::Helo(_) => None,
        }
    }

    /// Whether the login failed, which another server would not change.
    pub(crate) fn is_login(&self) -> bool {
        let refused = |source: &SessionError| {
            matches!(
                source,
                SessionError::Refused { stage: Stage::Login, .. }
                    | SessionError::TokenRefused { .. }
                    | SessionError::Login(_)
                    | SessionError::UnprotectedLogin
            )
        };
        matches!(self, Self::Token(_)) || matches!(self, Self::Session { source, .. } if refused(source))
    }

    /// Whether the connection ended without a word about a letter.
    pub(crate) fn is_connection_lost(&self) -> bool {
        let lost =
            |source: &SessionError| matches!(source, SessionError::Lost(_) | SessionError::Refused { stage: Stage::Idle, .. });
        matches!(self, Self::Session { source, .. } if lost(source))
    }
}

fn list(failures: &[(SocketAddr, String)]) -> String {
    let each: Vec<String> = failures.iter().map(|(address, words)| format!("{address}: {words}")).collect();
    each.join("; ")
}
