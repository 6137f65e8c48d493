//! The server half of every mechanism.
//!
//! It reads what the client sends, asks for what it needs to know, and says who logged in. It never holds a password longer than until it
//! is handed out in [`ServerStep::NeedPassword`], and never tells the client which part was wrong: every [`Refusal`] but a
//! malformed message gets the same words. After [`ServerStep::Done`] or [`ServerStep::Failed`] the exchange is over; a further step fails.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::MESSAGE_BYTES_MAX;
use crate::bearer::{self, TOKEN_MESSAGE_BYTES_MAX, TokenRefusal};
use crate::binding::Bindings;
use crate::hash::ScramHash;
use crate::keys::{FAKE_SALT_SEED_BYTES, ScramKeys};
use crate::mechanism::Mechanism;
use crate::nonce::Nonce;
use crate::prepare::{Password, prepare_login, prepare_password};
use crate::scram::{self, Flag};

/// One login, from the first message to the end.
pub struct ServerExchange {
    state: State,
    bindings: Bindings,
    nonce: Nonce,
}

/// What the server does next.
#[derive(Debug)]
pub enum ServerStep {
    /// Send this to the client and give its answer to [`ServerExchange::step`]. May be empty.
    Challenge(Vec<u8>),
    /// Compare the password and answer with [`ServerExchange::password_result`].
    NeedPassword {
        /// Who wants in.
        login: String,
        /// With what; already prepared ([`prepare_password`]).
        password: Password,
    },
    /// Look up the keys and answer with [`ServerExchange::keys`].
    NeedKeys {
        /// Who wants in.
        login: String,
        /// For which mechanism: the keys must be made with it.
        hash: ScramHash,
    },
    /// Have the token checked and answer with [`ServerExchange::token_result`].
    NeedToken {
        /// Who wants in, if the client says so. The token must be theirs.
        login: Option<String>,
        /// The token, as it came.
        token: Password,
    },
    /// Say whose certificate the client has shown and answer with [`ServerExchange::identity_result`].
    NeedIdentity {
        /// Whom the client wants to act as, if it says so.
        login: Option<String>,
    },
    /// The client is who it says it is.
    Done {
        /// Who logged in.
        login: String,
    },
    /// It is not.
    Failed(Refusal),
}

/// Why a login failed. For the log: the client gets one of two replies, by [`Refusal::is_malformed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The client's fault: the message is not one of the mechanism, or longer than [`MESSAGE_BYTES_MAX`].
    #[error("the client's message does not follow the mechanism")]
    Malformed,
    /// The user's fault: no such user, or another password.
    #[error("wrong login or password")]
    Credentials,
    /// The user's fault, or its issuer's: the token is not one that is taken here, for this login.
    #[error("the token is not accepted")]
    Token,
    /// The client wants to act as another user than the one who logs in (RFC 4422 §3.4.1), which nobody may here.
    #[error("acting as another user is not allowed")]
    OtherIdentity,
    /// The client can bind and was told that we cannot: somebody between us took the -PLUS mechanism out of our offer (RFC 5802 §6).
    #[error("the client believes that channel binding is not offered: somebody changed the offer on its way")]
    Downgrade,
    /// The client is bound to another connection than ours: somebody stands between us.
    #[error("the channel binding is that of another connection")]
    Binding,
    /// The client binds in a way that this connection has nothing for, or the mechanism and its use of binding do not match.
    #[error("the channel binding is not one that was offered")]
    BindingKind,
    /// The user's fault: the certificate is nobody's here, or not that of the login.
    #[error("the certificate is not that of such an account")]
    Certificate,
    /// Our fault: a step or an answer that was not asked for.
    #[error("the exchange was driven out of order")]
    Order,
}

enum State {
    Plain,
    LoginName,
    LoginPassword {
        login: String,
    },
    AwaitPassword {
        login: String,
    },
    ScramFirst {
        hash: ScramHash,
        plus: bool,
    },
    AwaitKeys(Box<Opened>),
    ScramFinal(Box<Challenged>),
    ScramAck {
        login: String,
    },
    /// OAUTHBEARER, or else XOAUTH2.
    Token {
        standard: bool,
    },
    AwaitToken {
        standard: bool,
    },
    /// The client has been told that its token is not taken, and acknowledges it.
    TokenRefused,
    External,
    AwaitIdentity,
    Ended,
}

/// What the client opened a SCRAM exchange with.
struct Opened {
    login: String,
    first_bare: String,
    client_nonce: String,
    hash: ScramHash,
    /// What `c=` must hold: the gs2 header as it was sent and, for -PLUS, the octets of our own connection (RFC 5802 §7).
    channel: Zeroizing<Vec<u8>>,
}

/// A SCRAM exchange whose challenge is out.
struct Challenged {
    opened: Opened,
    keys: ScramKeys,
    known: bool,
    server_first: String,
    nonce: String,
}

impl Refusal {
    /// Whether the client broke the protocol (SMTP: 501 5.5.2) rather than failing to log in (535 5.7.8).
    #[must_use]
    pub const fn is_malformed(self) -> bool {
        matches!(self, Self::Malformed)
    }
}

impl ServerExchange {
    /// Begins an exchange. `bindings` are there exactly when the -PLUS mechanisms were offered to this client.
    #[must_use]
    pub fn start(mechanism: Mechanism, bindings: impl Into<Bindings>, nonce: Nonce) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginName,
            Mechanism::ScramSha1 => State::ScramFirst { hash: ScramHash::Sha1, plus: false },
            Mechanism::ScramSha1Plus => State::ScramFirst { hash: ScramHash::Sha1, plus: true },
            Mechanism::ScramSha256 => State::ScramFirst { hash: ScramHash::Sha256, plus: false },
            Mechanism::ScramSha256Plus => State::ScramFirst { hash: ScramHash::Sha256, plus: true },
            Mechanism::OAuthBearer => State::Token { standard: true },
            Mechanism::XOAuth2 => State::Token { standard: false },
            Mechanism::External => State::External,
        };
        Self { state, bindings: bindings.into(), nonce }
    }

    /// Takes the client's initial response or its answer to a challenge; `None` when it began without an initial response.
    pub fn step(&mut self, client: Option<&[u8]>) -> ServerStep {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let first = matches!(state, State::Plain | State::ScramFirst { .. } | State::Token { .. } | State::External);
        let bytes_max = if matches!(state, State::Token { .. }) { TOKEN_MESSAGE_BYTES_MAX } else { MESSAGE_BYTES_MAX };
        match (client, state) {
            // The first message of all but LOGIN is asked for with an empty challenge (RFC 4422 §3, RFC 4954 §4).
            (None, state) if first => self.next(state, Vec::new()),
            (None, State::LoginName) => self.next(State::LoginName, b"Username:".to_vec()),
            (None, _) => ServerStep::Failed(Refusal::Order),
            (Some(message), _) if message.len() > bytes_max => ServerStep::Failed(Refusal::Malformed),
            (Some(message), state) => self.message(state, message).unwrap_or_else(ServerStep::Failed),
        }
    }

    /// The answer to [`ServerStep::NeedPassword`].
    pub fn password_result(&mut self, right: bool) -> ServerStep {
        let State::AwaitPassword { login } = std::mem::replace(&mut self.state, State::Ended) else {
            return ServerStep::Failed(Refusal::Order);
        };
        if right { ServerStep::Done { login } } else { ServerStep::Failed(Refusal::Credentials) }
    }

    /// The answer to [`ServerStep::NeedKeys`]. A login without keys gets made-up ones, always the same for the same login and `seed`, and fails
    /// at the end like a wrong password. `seed` is a secret of the server's that outlives a restart. Keys of another hash were not asked for.
    pub fn keys(&mut self, keys: Option<ScramKeys>, seed: &[u8; FAKE_SALT_SEED_BYTES]) -> ServerStep {
        let State::AwaitKeys(opened) = std::mem::replace(&mut self.state, State::Ended) else {
            return ServerStep::Failed(Refusal::Order);
        };
        if keys.as_ref().is_some_and(|keys| keys.hash != opened.hash) {
            return ServerStep::Failed(Refusal::Order);
        }
        // Made in both cases, so that both take the same time.
        let fake = ScramKeys::fake(opened.hash, &opened.login, seed);
        let known = keys.is_some();
        let keys = keys.unwrap_or(fake);
        let nonce = format!("{}{}", opened.client_nonce, self.nonce.as_str());
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
        let challenge = server_first.clone().into_bytes();
        self.next(State::ScramFinal(Box::new(Challenged { opened: *opened, keys, known, server_first, nonce })), challenge)
    }

    /// The answer to [`ServerStep::NeedToken`]: whose it is. A refusal is told to the client, which acknowledges it before the exchange ends (RFC 7628
    /// §3.2.3).
    pub fn token_result(&mut self, result: Result<String, TokenRefusal>) -> ServerStep {
        let State::AwaitToken { standard } = std::mem::replace(&mut self.state, State::Ended) else {
            return ServerStep::Failed(Refusal::Order);
        };
        match result {
            Ok(login) => ServerStep::Done { login },
            Err(refusal) if standard => self.next(State::TokenRefused, refusal.oauthbearer()),
            Err(refusal) => self.next(State::TokenRefused, refusal.xoauth2()),
        }
    }

    /// The answer to [`ServerStep::NeedIdentity`]: the login, or `None` if the certificate is nobody's, or not that of whom the client wants to act as.
    pub fn identity_result(&mut self, login: Option<String>) -> ServerStep {
        let State::AwaitIdentity = std::mem::replace(&mut self.state, State::Ended) else {
            return ServerStep::Failed(Refusal::Order);
        };
        login.map_or(ServerStep::Failed(Refusal::Certificate), |login| ServerStep::Done { login })
    }

    fn next(&mut self, state: State, challenge: Vec<u8>) -> ServerStep {
        self.state = state;
        ServerStep::Challenge(challenge)
    }

    fn message(&mut self, state: State, message: &[u8]) -> Result<ServerStep, Refusal> {
        match state {
            State::Plain => {
                let (login, password) = plain(message)?;
                Ok(self.ask_password(login, password))
            }
            State::LoginName => {
                let login = login_text(message)?;
                Ok(self.next(State::LoginPassword { login }, b"Password:".to_vec()))
            }
            State::LoginPassword { login } => {
                let password = password_text(message)?;
                Ok(self.ask_password(login, password))
            }
            State::ScramFirst { hash, plus } => {
                let opened = open(message, hash, plus, &self.bindings)?;
                let login = opened.login.clone();
                self.state = State::AwaitKeys(Box::new(opened));
                Ok(ServerStep::NeedKeys { login, hash })
            }
            State::ScramFinal(challenged) => {
                let server_final = challenged.finish(message)?;
                let login = challenged.opened.login;
                Ok(self.next(State::ScramAck { login }, server_final.into_bytes()))
            }
            // SMTP and POP3 cannot carry data with success, so the server's signature was a challenge, answered with nothing (RFC 4422 §3.6).
            State::ScramAck { login } if message.is_empty() => Ok(ServerStep::Done { login }),
            State::ScramAck { .. } => Err(Refusal::Malformed),
            State::Token { standard } => {
                let (login, token) = if standard { bearer::oauthbearer(message)? } else { bearer::xoauth2(message)? };
                self.state = State::AwaitToken { standard };
                Ok(ServerStep::NeedToken { login, token })
            }
            // Whatever it says: a %x01, or nothing where clients know no better.
            State::TokenRefused => Err(Refusal::Token),
            // RFC 4422 appendix A.1: an identity to act as, or nothing for the one that the certificate means.
            State::External => {
                let login = if message.is_empty() { None } else { Some(login_text(message)?) };
                self.state = State::AwaitIdentity;
                Ok(ServerStep::NeedIdentity { login })
            }
            State::AwaitPassword { .. }
            | State::AwaitKeys(_)
            | State::AwaitToken { .. }
            | State::AwaitIdentity
            | State::Ended => Err(Refusal::Order),
        }
    }

    fn ask_password(&mut self, login: String, password: Password) -> ServerStep {
        self.state = State::AwaitPassword { login: login.clone() };
        ServerStep::NeedPassword { login, password }
    }
}

impl Challenged {
    /// Checks the proof and gives `server-final-message`.
    fn finish(&self, message: &[u8]) -> Result<String, Refusal> {
        let text = str::from_utf8(message).map_err(|_| Refusal::Malformed)?;
        let last = scram::client_final(text).ok_or(Refusal::Malformed)?;
        if last.nonce != self.nonce || last.proof.len() != self.keys.hash.octets() {
            return Err(Refusal::Malformed);
        }
        if !bool::from(last.binding.as_slice().ct_eq(&self.opened.channel)) {
            return Err(Refusal::Binding);
        }
        let signed = scram::auth_message(&self.opened.first_bare, &self.server_first, last.without_proof);
        let client_key = scram::client_key(&self.keys, &last.proof, &signed);
        let right = self.keys.hash.digest(&client_key).as_slice().ct_eq(&self.keys.stored_key);
        if bool::from(right) && self.known { Ok(scram::server_final(&self.keys, &signed)) } else { Err(Refusal::Credentials) }
    }
}

/// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2).
fn plain(message: &[u8]) -> Result<(String, Password), Refusal> {
    let mut parts = message.split(|&b| b == 0);
    let (Some(authzid), Some(authcid), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Refusal::Malformed);
    };
    let (login, password) = (login_text(authcid)?, password_text(password)?);
    if !authzid.is_empty() && login_text(authzid)? != login {
        return Err(Refusal::OtherIdentity);
    }
    Ok((login, password))
}

/// Reads `client-first-message` and checks what can be checked before the keys are known.
fn open(message: &[u8], hash: ScramHash, plus: bool, bindings: &Bindings) -> Result<Opened, Refusal> {
    let text = str::from_utf8(message).map_err(|_| Refusal::Malformed)?;
    let first = scram::client_first(text).ok_or(Refusal::Malformed)?;
    let bound = match (first.flag, plus) {
        (Flag::Used(name), true) => bindings.named(name).ok_or(Refusal::BindingKind)?,
        (Flag::Used(_), false) | (Flag::No, true) => return Err(Refusal::BindingKind),
        (Flag::ServerCannot, _) if bindings.is_available() => return Err(Refusal::Downgrade),
        (Flag::ServerCannot, true) => return Err(Refusal::BindingKind),
        (Flag::No | Flag::ServerCannot, false) => &[],
    };
    let login = prepare_login(&first.login).map_err(|_| Refusal::Malformed)?;
    if let Some(authzid) = &first.authzid
        && prepare_login(authzid).map_err(|_| Refusal::Malformed)? != login
    {
        return Err(Refusal::OtherIdentity);
    }
    Ok(Opened {
        login,
        first_bare: first.bare.to_owned(),
        client_nonce: first.nonce.to_owned(),
        hash,
        channel: Zeroizing::new([first.gs2_header.as_bytes(), bound].concat()),
    })
}

fn login_text(octets: &[u8]) -> Result<String, Refusal> {
    str::from_utf8(octets).ok().and_then(|text| prepare_login(text).ok()).ok_or(Refusal::Malformed)
}

fn password_text(octets: &[u8]) -> Result<Password, Refusal> {
    str::from_utf8(octets).ok().and_then(|text| prepare_password(text).ok()).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod tests;
