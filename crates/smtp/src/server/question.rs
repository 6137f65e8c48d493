//! What a session says to its driver, and what it is told.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use posthouse_mail::{BodyKind, Notify, OriginalRecipient, Priority, Reply, Ret, ReversePath};
use posthouse_sasl::{FAKE_SALT_SEED_BYTES, Mechanism, Nonce, Password, ScramHash, ScramKeys, TokenRefusal};

use super::verdict::Verdict;
use crate::syntax::{By, ForwardPath, Hold};

/// What the driver is to do.
#[derive(Debug)]
pub enum Output {
    /// Send this to the peer.
    Send(Bytes),
    /// Find out and answer ([`Session::answer`](super::Session::answer)).
    Ask(Question),
    /// A piece of the letter whose [`Question::Letter`] was accepted; never empty.
    Body(Bytes),
    /// Something to record; nothing is expected back.
    Note(Note),
    /// Begin the TLS handshake; when it is done, call [`Session::tls_established`](super::Session::tls_established). What was read in the clear is to be
    /// thrown away.
    StartTls,
    /// Read until this instant at the latest, then poll again.
    Wait(Instant),
    /// Close the connection. Said at every further poll.
    Close(CloseReason),
}

/// What the session cannot know.
#[derive(Debug)]
pub enum Question {
    /// May this peer connect?
    Connect,
    /// The peer named itself.
    Hello {
        /// How.
        kind: HelloKind,
        /// With which name.
        name: String,
    },
    /// Whose connection it is, as a server in front of us says (XCLIENT). Who is let in is to be found out anew; what was known of the peer counts no more.
    Xclient(XclientQuestion),
    /// A step of a login.
    Auth(AuthQuestion),
    /// May this sender begin a letter?
    Sender(SenderQuestion),
    /// May this recipient be added?
    Recipient(RecipientQuestion),
    /// The envelope is complete and the letter about to come: is there room for it? After [`Verdict::Accept`] its pieces follow.
    Letter,
    /// All of the letter's pieces were put out. Answered with [`Answer::Message`].
    Message {
        /// The octets of the letter.
        size: u64,
    },
}

/// Whose connection it is; what is not there was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XclientQuestion {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client called itself.
    pub helo: Option<String>,
}

/// The greeting command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelloKind {
    /// `HELO`: no extensions.
    Helo,
    /// `EHLO`.
    Ehlo,
    /// `LHLO`.
    Lhlo,
}

/// A step of a login.
#[derive(Debug)]
pub enum AuthQuestion {
    /// A login begins; answered with [`AuthAnswer::Begin`], or a [`Verdict`] that refuses it.
    Begin(Mechanism),
    /// Is this the password? Answered with [`AuthAnswer::Password`].
    Password {
        /// Who wants in.
        login: String,
        /// With what.
        password: Password,
    },
    /// Which keys does this login have? Answered with [`AuthAnswer::Keys`].
    Keys {
        /// Who wants in.
        login: String,
        /// What the keys must be made with.
        hash: ScramHash,
    },
    /// Whose token is this? Answered with [`AuthAnswer::Token`].
    Token {
        /// Who wants in, if the client says so.
        login: Option<String>,
        /// With what.
        token: Password,
    },
    /// Whose certificate has the client shown? Answered with [`AuthAnswer::Certificate`].
    Certificate {
        /// Whom the client wants to act as, if it says so.
        login: Option<String>,
    },
}

/// `MAIL FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderQuestion {
    /// The reverse-path.
    pub path: ReversePath,
    /// The size the client announced, if any.
    pub size: Option<u64>,
    /// `BODY=`.
    pub body: BodyKind,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `RET=`.
    pub ret: Option<Ret>,
    /// `ENVID=`.
    pub envid: Option<String>,
    /// `MT-PRIORITY=`.
    pub priority: Option<Priority>,
    /// `HOLDFOR=` or `HOLDUNTIL=`; within [`Profile::future_release`](super::Profile::future_release).
    pub hold: Option<Hold>,
    /// `BY=`; as [`Profile::deliver_by_seconds_min`](super::Profile::deliver_by_seconds_min) allows it.
    pub by: Option<By>,
    /// `REQUIRETLS`; inside TLS alone.
    pub require_tls: bool,
}

/// `RCPT TO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientQuestion {
    /// The forward-path.
    pub path: ForwardPath,
    /// `NOTIFY=`.
    pub notify: Option<Notify>,
    /// `ORCPT=`.
    pub orcpt: Option<OriginalRecipient>,
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To every question but [`Question::Message`]; to [`Question::Auth`] only a refusal.
    Verdict(Verdict),
    /// To [`Question::Sender`]: yes, but with this priority instead of the one that was asked for.
    Priority(Priority),
    /// To [`Question::Auth`].
    Auth(AuthAnswer),
    /// To [`Question::Message`].
    Message {
        /// What an accepted letter is called from now on; it stands in the reply.
        id: String,
        /// One verdict in SMTP; in LMTP one for each accepted recipient, in order.
        verdicts: Vec<Verdict>,
    },
}

/// The answer to an [`AuthQuestion`].
#[derive(Debug)]
pub enum AuthAnswer {
    /// Go on, with this nonce, which no other login has had.
    Begin(Nonce),
    /// Whether the password is right.
    Password(bool),
    /// The keys, if there is such a login, and the secret from which those of unknown logins are made up.
    Keys {
        /// The login's keys.
        keys: Option<ScramKeys>,
        /// The server's secret.
        seed: [u8; FAKE_SALT_SEED_BYTES],
    },
    /// Whose token it is, or what the client hears.
    Token(Result<String, TokenRefusal>),
    /// Whose certificate it is, if it is that of the one who was named.
    Certificate(Option<String>),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A command, a letter or the whole connection was refused: one note for each negative reply.
    Refused(Refusal),
    /// A login ended. A failed one has no [`Note::Refused`] besides.
    Login {
        /// Who; not known when the failure came first.
        login: Option<String>,
        /// By which mechanism.
        mechanism: Mechanism,
        /// Why it failed, for the log; `None` when it did not.
        failure: Option<String>,
    },
    /// The envelope, and what came of the letter, is to be forgotten: RSET, a new EHLO, or the letter's end, whatever it was. At
    /// [`Output::Close`] it goes without saying.
    Abandoned,
}

/// A negative reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// At what.
    pub stage: Stage,
    /// The sender or recipient it is about, where there is one.
    pub about: Option<String>,
    /// What was said.
    pub reply: Reply,
}

/// Where in a session something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before and at the greeting.
    Connect,
    /// EHLO, HELO, LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA, BDAT and the letter.
    Letter,
    /// Any other command, and what is none.
    Command,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// QUIT.
    Quit,
    /// The peer closed its side.
    Eof,
    /// A deadline passed.
    Timeout,
    /// Too many bad commands, refused recipients or letters.
    TooMany,
    /// Too many failed logins.
    AuthFailures,
    /// Line ends, a line length or a chunk size after which the framing cannot be trusted.
    Malformed,
    /// Another protocol: HTTP.
    OtherProtocol,
    /// The peer talked before the greeting.
    EarlyTalker,
    /// A letter far beyond the limit.
    Oversize,
    /// [`Verdict::Drop`].
    Dropped,
    /// The server stops.
    Shutdown,
}

impl Stage {
    /// The name in logs and in the journal.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Letter => "body",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
