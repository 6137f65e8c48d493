//! Why a session ended before its work was done.

use std::fmt;

use posthouse_mail::Reply;
use posthouse_sasl as sasl;
use thiserror::Error;

use crate::syntax::ReplyError;

/// Where in the dialogue something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Before the greeting was complete.
    Greeting,
    /// EHLO, HELO, LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Login,
    /// Between letters.
    Idle,
    /// MAIL and RCPT.
    Envelope,
    /// From DATA or the first BDAT to the last octet of the letter.
    Letter,
    /// After the end of the letter.
    End,
    /// QUIT.
    Quit,
}

/// Why a session ended. None of these says that a letter was delivered, and but for what [`RecipientResult`](super::RecipientResult) says none was.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SessionError {
    /// The server refused the connection, the hello, TLS or the login, or announced that it closes. Its reply says for how long.
    #[error("the server refused at {stage}: {reply}")]
    Refused {
        /// Where.
        stage: Stage,
        /// Its words.
        reply: Reply,
    },
    /// The server refused a token, and said within the mechanism why (RFC 7628 §3.2.2).
    #[error("the server refused the token: {reply} ({reason})")]
    TokenRefused {
        /// Its words within the mechanism, such as `{"status":"invalid_token","scope":"mail"}`.
        reason: String,
        /// Its reply at the end.
        reply: Reply,
    },
    /// The server does not speak SMTP as it should.
    #[error("the server broke the protocol at {stage}: {what}")]
    Protocol {
        /// Where.
        stage: Stage,
        /// How.
        what: &'static str,
    },
    /// What the server says cannot be read as replies, or is without end.
    #[error("the server broke the protocol at {stage}: {error}")]
    Unreadable {
        /// Where.
        stage: Stage,
        /// How.
        error: ReplyError,
    },
    /// Octets came after the reply to STARTTLS and before the handshake: somebody injected a reply in clear that we would have believed to be
    /// protected (RFC 3207 §4.2, CVE-2021-33515).
    #[error("plaintext was injected before the TLS handshake; this connection is under attack or its server is broken")]
    Injected,
    /// TLS is required and not offered: an old server, or somebody between who took the offer out.
    #[error("the server does not offer STARTTLS, which is required")]
    NoStartTls,
    /// A login would have travelled in clear, or to a server whose certificate was not verified.
    #[error("the connection is not protected by verified TLS, so the password is not sent")]
    UnprotectedLogin,
    /// The server offers no login that we know, or that was wanted.
    #[error("the server offers no login that can be used (it offers: {offered})")]
    NoMechanism {
        /// Its words.
        offered: String,
    },
    /// The login failed on our side.
    #[error("the login failed: {0}")]
    Login(sasl::ClientError),
    /// A step took longer than it may.
    #[error("the server did not answer in time at {0}")]
    Timeout(Stage),
    /// The connection ended or broke.
    #[error("the connection was lost at {0}")]
    Lost(Stage),
    /// Ours: the letter has other octets than were announced. Nothing was delivered.
    #[error("the letter has {given} octets than was announced")]
    BodyLength {
        /// `more` or `fewer`.
        given: &'static str,
    },
    /// Ours: the letter could not be read to its end. Nothing was delivered.
    #[error("the letter could not be read to its end")]
    BodyUnreadable,
    /// Ours: the session was driven out of order.
    #[error("the session was driven out of order: {0}")]
    Misuse(&'static str),
}

impl SessionError {
    /// Whether trying again later can help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { reply, .. } | Self::TokenRefused { reply, .. } => !reply.is_permanent(),
            Self::Timeout(_)
            | Self::Lost(_)
            | Self::Protocol { .. }
            | Self::Unreadable { .. }
            | Self::Injected
            | Self::NoStartTls
            | Self::BodyUnreadable => true,
            Self::UnprotectedLogin | Self::NoMechanism { .. } | Self::Login(_) | Self::BodyLength { .. } | Self::Misuse(_) => {
                false
            }
        }
    }

    /// The server's reply, where that was the reason.
    #[must_use]
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Refused { reply, .. } | Self::TokenRefused { reply, .. } => Some(reply),
            Self::Protocol { .. }
            | Self::Unreadable { .. }
            | Self::Injected
            | Self::NoStartTls
            | Self::UnprotectedLogin
            | Self::NoMechanism { .. }
            | Self::Login(_)
            | Self::Timeout(_)
            | Self::Lost(_)
            | Self::BodyLength { .. }
            | Self::BodyUnreadable
            | Self::Misuse(_) => None,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Login => "the login",
            Self::Idle => "rest between letters",
            Self::Envelope => "the envelope",
            Self::Letter => "the letter",
            Self::End => "the end of the letter",
            Self::Quit => "QUIT",
        })
    }
}
