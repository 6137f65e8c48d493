//! What a session is to do, given once at its start.

use std::fmt;
use std::time::Duration;

use posthouse_mail::Domain;
use posthouse_sasl::{ChannelBinding, Method, Nonce, Password, PrepareError, prepare_login, prepare_password, prepare_token};

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033): `LHLO`, and one reply per recipient after the letter.
    Lmtp,
}

/// Whether the session upgrades itself with STARTTLS (RFC 3207).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StartTls {
    /// Not at all: plain, or TLS from the first octet.
    #[default]
    Never,
    /// When the server offers it and does not refuse (RFC 7435). Anybody between can take the offer out.
    IfOffered,
    /// Or nothing is sent.
    Required,
}

/// Whether a server can be given letters in chunks (CHUNKING, RFC 3030). Some announce it and do not know BDAT, mostly because of what stands in front of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Chunks {
    /// It is not known yet: no other letter is begun before the first chunk has its reply.
    #[default]
    Untried,
    /// It has taken some.
    Work,
    /// It does not know BDAT, whatever it announces: letters go by DATA.
    Broken,
}

/// What TLS gives the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Secured {
    /// What a login can be bound to.
    pub binding: ChannelBinding,
    /// Whether the server showed a valid certificate for its name: without it the peer may be anybody.
    pub verified: bool,
}

/// Who logs in, and with what. `Debug` shows neither.
#[derive(Clone)]
pub struct Credentials {
    pub(super) login: String,
    pub(super) proof: Proof,
    /// By which methods; by any if none are named.
    pub(super) methods: Vec<Method>,
}

/// What proves a login.
#[derive(Clone)]
pub(super) enum Proof {
    Password(Password),
    Token(Password),
    /// The certificate that TLS has shown.
    Certificate,
}

/// How long each step may take; the defaults are those of RFC 5321 §4.5.3.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// To one address, until the connection stands. Not used by the session itself.
    pub connect: Duration,
    /// Until the greeting is complete.
    pub greeting: Duration,
    /// Until the reply to EHLO, MAIL, RCPT and every other command but the following.
    pub command: Duration,
    /// Until the reply to DATA.
    pub data_start: Duration,
    /// Until one block of the letter is written, or a chunk of BDAT replied to.
    pub data_block: Duration,
    /// Until the reply to the end of the letter. The longest one: giving up here makes duplicates (RFC 1047).
    pub data_end: Duration,
}

/// Everything a session is given.
#[derive(Debug)]
pub struct Settings {
    /// What is spoken.
    pub protocol: Protocol,
    /// Our name in EHLO or LHLO: a host name or an address literal.
    pub helo: Domain,
    /// Whether to use STARTTLS.
    pub start_tls: StartTls,
    /// Who logs in; `None` for relaying between servers.
    pub credentials: Option<Credentials>,
    /// Logs in although the connection is in clear, or encrypted to somebody unverified. Only for loopback, and for those who ask for it by name.
    pub danger_credentials_unprotected: bool,
    /// Whether a letter goes only where every recipient is taken.
    pub all_or_none: bool,
    /// What is known of the server's BDAT, from connections before.
    pub chunks: Chunks,
    /// For the login; from fresh random octets.
    pub nonce: Nonce,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Whether [`ClientSession::take_transcript`](super::ClientSession::take_transcript) has something to give.
    pub transcript: bool,
}

impl Credentials {
    /// A login with its password.
    ///
    /// # Errors
    /// One of them is empty, too long, or has prohibited characters: the user's to mend.
    pub fn new(login: &str, password: &str) -> Result<Self, PrepareError> {
        Ok(Self { login: prepare_login(login)?, proof: Proof::Password(prepare_password(password)?), methods: Vec::new() })
    }

    /// A login with a token of its issuer (OAUTHBEARER, XOAUTH2).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn bearer(login: &str, token: &str) -> Result<Self, PrepareError> {
        Ok(Self { login: prepare_login(login)?, proof: Proof::Token(prepare_token(token)?), methods: Vec::new() })
    }

    /// The client's certificate of the TLS connection (EXTERNAL), to act as `login`, or as whom it names itself if that is empty.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn certificate(login: &str) -> Result<Self, PrepareError> {
        let login = if login.is_empty() { String::new() } else { prepare_login(login)? };
        Ok(Self { login, proof: Proof::Certificate, methods: Vec::new() })
    }

    /// The same by one of these methods only: for servers that offer what they cannot do. None named is any of them.
    #[must_use]
    pub fn only_by(mut self, methods: &[Method]) -> Self {
        self.methods = methods.to_vec();
        self
    }

    /// The login.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.login
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            // Not in RFC 5321; two minutes leave TCP several of its retries.
            connect: minutes(2),
            greeting: minutes(5),
            command: minutes(5),
            data_start: minutes(2),
            data_block: minutes(3),
            data_end: minutes(10),
        }
    }
}
