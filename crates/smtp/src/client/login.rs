//! AUTH (RFC 4954): a SASL exchange inside SMTP.
//!
//! The password leaves only over verified TLS, unless the caller has said by name that it need not. A server's "235" counts only when the
//! mechanism says that the server has proved itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthouse_mail::Reply;
use posthouse_sasl::{ChannelBinding, ClientExchange, ClientStep, Mechanism, choose};

use super::capabilities::Capabilities;
use super::error::{SessionError, Stage};
use super::outbox::Outbox;
use super::settings::{Secured, Settings};

/// RFC 4954 §4: an initial response that would not fit into a command line (RFC 5321 §4.5.3.1.4, 512 octets with CRLF) is kept until it is asked for.
const COMMAND_BYTES_MAX: usize = 510;

pub(super) struct Login {
    exchange: ClientExchange,
    mechanism: Mechanism,
    /// The initial response in base64, when it did not fit into the command.
    kept: Option<String>,
}

impl Login {
    /// Sends AUTH, with an initial response where the mechanism has one.
    pub(super) fn begin(
        settings: &Settings,
        secured: Option<Secured>,
        offered: &Capabilities,
        out: &mut Outbox,
    ) -> Result<Option<Self>, SessionError> {
        let Some(credentials) = &settings.credentials else { return Ok(None) };
        if !settings.danger_credentials_unprotected && !secured.is_some_and(|secured| secured.verified) {
            return Err(SessionError::UnprotectedLogin);
        }
        let binding = secured.map_or(ChannelBinding::None, |secured| secured.binding);
        let Some(mechanism) = choose(&offered.auth, binding) else {
            return Err(SessionError::NoMechanism { offered: offered.auth_text.clone() });
        };
        let nonce = settings.nonce.clone();
        let started = ClientExchange::start(mechanism, &credentials.login, credentials.password.reveal(), binding, nonce);
        let mut exchange = started.map_err(SessionError::Login)?;
        let initial = exchange.initial().map(|initial| STANDARD.encode(&*initial));
        let line = initial.as_ref().map(|initial| format!("AUTH {mechanism} {initial}"));
        let kept = match line.filter(|line| line.len() <= COMMAND_BYTES_MAX) {
            Some(line) => {
                out.secret(&line, &format!("AUTH {mechanism} ***"))?;
                None
            }
            None => {
                out.command(&format!("AUTH {mechanism}"))?;
                initial
            }
        };
        Ok(Some(Self { exchange, mechanism, kept }))
    }

    /// Takes a reply; whether the login is done.
    pub(super) fn reply(&mut self, reply: Reply, out: &mut Outbox) -> Result<bool, SessionError> {
        match reply.code() {
            235 => self.exchange.success().map(|()| true).map_err(SessionError::Login),
            334 => self.challenge(&reply, out).map(|()| false),
            200..400 => Err(SessionError::Protocol { stage: Stage::Login, what: "neither a challenge nor an end of the login" }),
            _ => Err(SessionError::Refused { stage: Stage::Login, reply }),
        }
    }

    fn challenge(&mut self, reply: &Reply, out: &mut Outbox) -> Result<(), SessionError> {
        let decoded = STANDARD.decode(reply.text().trim());
        let challenge = match self.mechanism {
            // Their challenges say nothing, and some servers put words there that are not base64.
            Mechanism::Plain | Mechanism::Login => decoded.unwrap_or_default(),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                decoded.map_err(|_| SessionError::Protocol { stage: Stage::Login, what: "a challenge that is not base64" })?
            }
        };
        if let Some(kept) = self.kept.take() {
            return out.secret(&kept, "***");
        }
        match self.exchange.step(&challenge) {
            ClientStep::Send(answer) => out.secret(&STANDARD.encode(&*answer), "***"),
            ClientStep::Failed(error) => Err(SessionError::Login(error)),
        }
    }
}
