//! What a session offers and how far it goes.

use std::time::Duration;

use posthouse_sasl::{Bindings, Mechanism};

use crate::syntax::FutureRelease;

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP: EHLO and HELO, one reply for each letter.
    Smtp,
    /// LMTP (RFC 2033): LHLO, one reply for each recipient.
    Lmtp,
}

/// What a session offers and its limits. Every number bounds something a peer could otherwise take without end.
#[derive(Debug, Clone)]
pub struct Profile {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Our name, in the greeting and the reply to EHLO.
    pub hostname: String,
    /// Whether STARTTLS is offered (never inside TLS).
    pub starttls: bool,
    /// The SASL mechanisms offered; none: AUTH is not known.
    pub mechanisms: Vec<Mechanism>,
    /// Whether AUTH is allowed outside TLS.
    pub auth_without_tls: bool,
    /// Whether this peer may say whose connection it is (XCLIENT). Never for a peer that is not named as trusted.
    pub xclient: bool,
    /// How long a letter may be held (RFC 4865); `None`: FUTURERELEASE is not known. RFC 4865 §4 has it for submission alone.
    pub future_release: Option<FutureRelease>,
    /// The seconds that a letter must have to be returned if it is late (`BY` with `R`, RFC 2852 §4), zero for no minimum; `None`: DELIVERBY is not known.
    pub deliver_by_seconds_min: Option<u32>,
    /// The octets of a letter (RFC 1870).
    pub letter_bytes_max: u64,
    /// The octets read and thrown away beyond a letter's limit before the connection is closed.
    pub drain_bytes_max: u64,
    /// The recipients of a letter (RFC 9422 `RCPTMAX`; at least 100 by RFC 5321 §4.5.3.1.8).
    pub recipients_max: usize,
    /// The letters of a session (RFC 9422 `MAILMAX`).
    pub letters_max: u32,
    /// The commands of a session that are unknown, malformed or out of order.
    pub bad_commands_max: u32,
    /// The commands that bring no letter nearer (NOOP, RSET, VRFY, HELP and greetings), from one letter to the next.
    pub idle_commands_max: u32,
    /// The recipients of a session that are refused for good: more are a search for addresses.
    pub refused_recipients_max: u32,
    /// The logins of a session that fail.
    pub auth_failures_max: u32,
    /// How long the greeting is held back to catch those that talk before it.
    pub greeting_delay: Duration,
    /// For one whole command, however slowly its octets come (RFC 5321 §4.5.3.2.7: 5 minutes).
    pub command_timeout: Duration,
    /// For [`Self::body_progress_bytes_min`] octets of a letter (RFC 5321 §4.5.3.2.5: 3 minutes).
    pub body_timeout: Duration,
    /// The octets of a letter that must come in each [`Self::body_timeout`].
    pub body_progress_bytes_min: u64,
    /// For a whole letter.
    pub letter_timeout: Duration,
    /// For the answer to a question (RFC 5321 §4.5.3.2.6: clients wait 10 minutes for the last reply).
    pub answer_timeout: Duration,
}

/// The TLS connection a session runs in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tls {
    /// What the -PLUS mechanisms bind to.
    pub bindings: Bindings,
    /// Whether the client has shown a certificate that is believed, so that EXTERNAL is possible.
    pub certified: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            protocol: Protocol::Smtp,
            hostname: "localhost".to_owned(),
            starttls: false,
            mechanisms: Vec::new(),
            auth_without_tls: false,
            xclient: false,
            future_release: None,
            deliver_by_seconds_min: None,
            letter_bytes_max: 50 << 20,
            drain_bytes_max: 50 << 20,
            recipients_max: 1000,
            letters_max: 1000,
            bad_commands_max: 10,
            idle_commands_max: 100,
            refused_recipients_max: 100,
            auth_failures_max: 3,
            greeting_delay: Duration::ZERO,
            command_timeout: Duration::from_secs(300),
            body_timeout: Duration::from_secs(180),
            body_progress_bytes_min: 16 << 10,
            letter_timeout: Duration::from_secs(7200),
            answer_timeout: Duration::from_secs(600),
        }
    }
}
