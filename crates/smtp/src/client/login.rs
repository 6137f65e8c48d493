//! AUTH (RFC 4954): a SASL exchange inside SMTP.
//!
//! The password leaves only over verified TLS, unless the caller has said by name that it need not. A server's "235" counts only when the
//! mechanism says that the server has proved itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthouse_mail::Reply;
use posthouse_sasl::{ChannelBinding, ClientError, ClientExchange, ClientStep, Method, Possession, choose};

use super::capabilities::Capabilities;
use super::error::{SessionError, Stage};
use super::outbox::Outbox;
use super::settings::{Credentials, Proof, Secured, Settings};

/// RFC 4954 §4: an initial response that would not fit into a command line (RFC 5321 §4.5.3.1.4, 512 octets with CRLF) is kept until it is asked for.
const COMMAND_BYTES_MAX: usize = 510;

/// What is kept of the words against a token.
const REASON_CHARS_MAX: usize = 300;

pub(super) struct Login {
    exchange: ClientExchange,
    method: Method,
    /// The initial response in base64, when it did not fit into the command.
    kept: Option<String>,
    /// What the server has against the token.
    reason: Option<String>,
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
        let possession = match credentials.proof {
            Proof::Password(_) => Possession::Password,
            Proof::Token(_) => Possession::Token,
            Proof::Certificate => Possession::Certificate,
        };
        let wanted = |method: &Method| credentials.methods.is_empty() || credentials.methods.contains(method);
        let usable: Vec<Method> = offered.auth.iter().copied().filter(wanted).collect();
        let Some(method) = choose(&usable, possession, binding) else {
            return Err(SessionError::NoMechanism { offered: offered.auth_text.clone() });
        };
        // RFC 5802 §6: that the server cannot bind is said only where it has not offered to. Elsewhere it would be taken for an attack on the offer.
        let is_bound = |method: &Method| matches!(method, Method::Scram { bound: true, .. });
        let declined = !is_bound(&method) && offered.auth.iter().any(is_bound);
        let binding = if declined { ChannelBinding::None } else { binding };
        let mut exchange = start(method, credentials, settings, binding).map_err(SessionError::Login)?;
        // RFC 4954 §4: an empty initial response is written `=`, since nothing would be none.
        let written = |octets: &[u8]| if octets.is_empty() { "=".to_owned() } else { STANDARD.encode(octets) };
        let initial = exchange.initial().map(|initial| written(&initial));
        let line = initial.as_ref().map(|initial| format!("AUTH {method} {initial}"));
        let kept = match line.filter(|line| line.len() <= COMMAND_BYTES_MAX) {
            Some(line) => {
                out.secret(&line, &format!("AUTH {method} ***"))?;
                None
            }
            None => {
                out.command(&format!("AUTH {method}"))?;
                initial
            }
        };
        Ok(Some(Self { exchange, method, kept, reason: None }))
    }

    /// Whether a reply is not for a transcript: the server's proof (`v=`, RFC 5802 §7) is made of the password, and with what stands before it lets whoever reads along try passwords, where
    /// nothing binds it to the connection.
    pub(super) fn hides(&self, reply: &Reply) -> bool {
        matches!(self.method, Method::Scram { .. }) && reply.code() == 334
    }

    /// Takes a reply; whether the login is done.
    pub(super) fn reply(&mut self, reply: Reply, out: &mut Outbox) -> Result<bool, SessionError> {
        match reply.code() {
            235 => self.exchange.success().map(|()| true).map_err(SessionError::Login),
            334 => self.challenge(&reply, out).map(|()| false),
            200..400 => Err(SessionError::Protocol { stage: Stage::Login, what: "neither a challenge nor an end of the login" }),
            _ => Err(match self.reason.take() {
                Some(reason) => SessionError::TokenRefused { reason, reply },
                None => SessionError::Refused { stage: Stage::Login, reply },
            }),
        }
    }

    fn challenge(&mut self, reply: &Reply, out: &mut Outbox) -> Result<(), SessionError> {
        let decoded = STANDARD.decode(reply.text().trim());
        let challenge = match self.method {
            // Their challenges say nothing, or only why the server refuses, and some servers put words there that are not base64.
            Method::Plain | Method::Login | Method::OAuthBearer | Method::XOAuth2 | Method::External => {
                decoded.unwrap_or_default()
            }
            Method::Scram { .. } | Method::CramMd5 => {
                decoded.map_err(|_| SessionError::Protocol { stage: Stage::Login, what: "a challenge that is not base64" })?
            }
        };
        if let Some(kept) = self.kept.take() {
            return out.secret(&kept, "***");
        }
        if matches!(self.method, Method::OAuthBearer | Method::XOAuth2) {
            self.reason = Some(one_line(&challenge)).filter(|reason| !reason.is_empty());
        }
        match self.exchange.step(&challenge) {
            ClientStep::Send(answer) => out.secret(&STANDARD.encode(&*answer), "***"),
            ClientStep::Failed(error) => Err(SessionError::Login(error)),
        }
    }
}

/// The words of a server, as they can be shown.
fn one_line(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    words.chars().take(REASON_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn start(
    method: Method,
    credentials: &Credentials,
    settings: &Settings,
    binding: ChannelBinding,
) -> Result<ClientExchange, ClientError> {
    let secret = match &credentials.proof {
        Proof::Password(secret) | Proof::Token(secret) => secret.reveal(),
        Proof::Certificate => "",
    };
    ClientExchange::start(method, &credentials.login, secret, binding, settings.nonce.clone())
}
