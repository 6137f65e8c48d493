//! The client half of every mechanism.
//!
//! A server that says "you are in" has proved nothing: with SCRAM it must first show that it knows the password too, so the caller asks
//! [`ClientExchange::success`] when the server reports success and trusts only that. A failure here before the password left is the
//! server's fault and permanent; nothing is retried with a weaker mechanism.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::MESSAGE_BYTES_MAX;
use crate::hash::ScramHash;
use crate::keys::KeysError;
use crate::mechanism::ChannelBinding;
use crate::method::Method;
use crate::nonce::Nonce;
use crate::prepare::{Password, PrepareError, prepare_login, prepare_password, prepare_token};
use crate::scram;

/// One login, seen from the client.
pub struct ClientExchange {
    state: State,
    login: String,
    password: Password,
    binding: ChannelBinding,
    nonce: Nonce,
}

/// What the client does next.
#[derive(Debug)]
pub enum ClientStep {
    /// Send this to the server. May be empty, which is not the same as sending nothing.
    Send(Zeroizing<Vec<u8>>),
    /// Abort the exchange (SMTP: `*`) and give up.
    Failed(ClientError),
}

/// Why the client does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The user's fault: the login cannot be used.
    #[error("the login cannot be used: {0}")]
    Login(PrepareError),
    /// The user's fault: the password cannot be used.
    #[error("the password cannot be used: {0}")]
    Password(PrepareError),
    /// Ours: -PLUS without a binding.
    #[error("the connection has nothing to bind a mechanism to")]
    NoBinding,
    /// The server's fault: its message is not one of the mechanism, or longer than [`MESSAGE_BYTES_MAX`].
    #[error("the server's message does not follow the mechanism")]
    Malformed,
    /// The server's fault: the nonce it repeats is not ours.
    #[error("the server did not repeat our nonce")]
    Nonce,
    /// The server's fault: too few iterations protect nobody, too many are an attack on us.
    #[error("the server asks for an unacceptable cost: {0}")]
    Cost(KeysError),
    /// The server could not show that it knows the password: it is not the server we have an account with.
    #[error("the server did not prove that it knows the password")]
    ServerUnproven,
    /// The server rejects the login within the mechanism (`e=` of RFC 5802 §7).
    #[error("the server refused the login within the mechanism")]
    Refused,
}

enum State {
    Plain,
    LoginName,
    LoginPassword,
    CramMd5,
    /// What is sent at once, and what answers the challenge that carries a refusal.
    Token {
        message: Zeroizing<Vec<u8>>,
        farewell: &'static [u8],
    },
    TokenSent {
        farewell: &'static [u8],
    },
    /// The identity to act as; empty for that of the certificate.
    External(String),
    ScramFirst(Scram),
    ScramChallenge {
        scram: Scram,
        gs2_header: String,
        first_bare: String,
    },
    ScramSignature {
        expected: Zeroizing<Vec<u8>>,
    },
    /// Whether the server may say that the login succeeded.
    Ended {
        proved: bool,
    },
}

/// One of the SCRAM mechanisms.
#[derive(Clone, Copy)]
struct Scram {
    hash: ScramHash,
    bound: bool,
}

/// What a client has to log in with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Possession {
    /// A password.
    Password,
    /// A token.
    Token,
    /// A certificate, shown in the TLS handshake.
    Certificate,
}

/// The best method the server offers that can be used: SCRAM before a password in clear, bound to the connection where possible.
#[must_use]
pub fn choose(offered: &[Method], possession: Possession, binding: ChannelBinding) -> Option<Method> {
    let possible = |method: &Method| match method {
        Method::Scram { bound, .. } => possession == Possession::Password && (!bound || binding.is_available()),
        Method::Plain | Method::CramMd5 | Method::Login => possession == Possession::Password,
        Method::OAuthBearer | Method::XOAuth2 => possession == Possession::Token,
        Method::External => possession == Possession::Certificate,
    };
    Method::ALL.into_iter().filter(possible).find(|method| offered.contains(method))
}

impl ClientExchange {
    /// Begins an exchange. `secret` is the password or the token; with [`Method::External`] there is none, and `login` is whom to act as, empty for whom the
    /// certificate names.
    ///
    /// For a SCRAM method that is not bound, `binding` is [`ChannelBinding::Exporter`] when we could have bound but the server did not offer -PLUS: the server
    /// then learns of it and can tell an honest old server from a downgrade.
    ///
    /// # Errors
    /// [`ClientError::Login`], [`ClientError::Password`] and [`ClientError::NoBinding`].
    pub fn start(
        method: impl Into<Method>,
        login: &str,
        secret: &str,
        binding: ChannelBinding,
        nonce: Nonce,
    ) -> Result<Self, ClientError> {
        let method = method.into();
        let unnamed = method == Method::External && login.is_empty();
        let login = if unnamed { String::new() } else { prepare_login(login).map_err(ClientError::Login)? };
        let password = match method {
            Method::External => Ok(Password::none()),
            Method::OAuthBearer | Method::XOAuth2 => prepare_token(secret),
            Method::Scram { .. } | Method::Plain | Method::CramMd5 | Method::Login => prepare_password(secret),
        }
        .map_err(ClientError::Password)?;
        let state = match method {
            Method::Scram { bound: true, .. } if !binding.is_available() => return Err(ClientError::NoBinding),
            Method::Scram { hash, bound } => State::ScramFirst(Scram { hash, bound }),
            Method::Plain => State::Plain,
            Method::Login => State::LoginName,
            Method::CramMd5 => State::CramMd5,
            Method::External => State::External(login.clone()),
            // The fields end with %x01, which neither can hold; a refusal comes as a challenge that has to be answered before the server says so.
            Method::OAuthBearer => {
                let message = format!("n,a={},\x01auth=Bearer {}\x01\x01", scram::encode_name(&login), password.reveal());
                State::Token { message: Zeroizing::new(message.into_bytes()), farewell: b"\x01" }
            }
            Method::XOAuth2 => {
                let message = format!("user={login}\x01auth=Bearer {}\x01\x01", password.reveal());
                State::Token { message: Zeroizing::new(message.into_bytes()), farewell: b"" }
            }
        };
        Ok(Self { state, login, password, binding, nonce })
    }

    /// The initial response, to be sent with the command; `None` when the server speaks first.
    pub fn initial(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        match &self.state {
            State::Plain => {
                self.state = State::Ended { proved: true };
                // No authzid: the login acts as itself. A NUL cannot stand in either field, SASLprep prohibits it.
                Some(Zeroizing::new(format!("\0{}\0{}", self.login, self.password.reveal()).into_bytes()))
            }
            &State::ScramFirst(scram) => {
                let gs2_header = match (scram.bound, self.binding) {
                    (true, _) => format!("p={},,", crate::scram::BINDING_NAME),
                    (false, ChannelBinding::Exporter(_)) => "y,,".to_owned(),
                    (false, ChannelBinding::None) => "n,,".to_owned(),
                };
                let first_bare = format!("n={},r={}", crate::scram::encode_name(&self.login), self.nonce.as_str());
                let message = format!("{gs2_header}{first_bare}").into_bytes();
                self.state = State::ScramChallenge { scram, gs2_header, first_bare };
                Some(Zeroizing::new(message))
            }
            State::Token { .. } | State::External(_) => match std::mem::replace(&mut self.state, State::Ended { proved: true }) {
                State::Token { message, farewell } => {
                    self.state = State::TokenSent { farewell };
                    Some(message)
                }
                State::External(login) => Some(Zeroizing::new(login.into_bytes())),
                State::Plain
                | State::LoginName
                | State::LoginPassword
                | State::CramMd5
                | State::TokenSent { .. }
                | State::ScramFirst(_)
                | State::ScramChallenge { .. }
                | State::ScramSignature { .. }
                | State::Ended { .. } => None,
            },
            State::LoginName
            | State::LoginPassword
            | State::CramMd5
            | State::TokenSent { .. }
            | State::ScramChallenge { .. }
            | State::ScramSignature { .. }
            | State::Ended { .. } => None,
        }
    }

    /// Takes a challenge of the server. An empty one before anything was sent asks for the initial response.
    pub fn step(&mut self, server: &[u8]) -> ClientStep {
        if server.len() > MESSAGE_BYTES_MAX {
            self.state = State::Ended { proved: false };
            return ClientStep::Failed(ClientError::Malformed);
        }
        if matches!(self.state, State::Plain | State::ScramFirst(_) | State::Token { .. } | State::External(_)) {
            let initial = self.initial().filter(|_| server.is_empty());
            return initial.map_or(ClientStep::Failed(ClientError::Malformed), ClientStep::Send);
        }
        match std::mem::replace(&mut self.state, State::Ended { proved: false }) {
            // The two questions of LOGIN are answered in order whatever their words are: servers differ.
            State::LoginName => {
                self.state = State::LoginPassword;
                ClientStep::Send(Zeroizing::new(self.login.clone().into_bytes()))
            }
            State::LoginPassword => {
                self.state = State::Ended { proved: true };
                ClientStep::Send(Zeroizing::new(self.password.reveal().as_bytes().to_vec()))
            }
            State::CramMd5 => {
                self.state = State::Ended { proved: true };
                ClientStep::Send(Zeroizing::new(self.digest(server).into_bytes()))
            }
            State::TokenSent { farewell } => ClientStep::Send(Zeroizing::new(farewell.to_vec())),
            State::ScramChallenge { scram, gs2_header, first_bare } => match self.answer(scram, server, &gs2_header, &first_bare)
            {
                Ok((message, expected)) => {
                    self.state = State::ScramSignature { expected };
                    ClientStep::Send(Zeroizing::new(message))
                }
                Err(error) => ClientStep::Failed(error),
            },
            State::ScramSignature { expected } => match check_signature(server, &expected) {
                Ok(()) => {
                    self.state = State::Ended { proved: true };
                    ClientStep::Send(Zeroizing::default())
                }
                Err(error) => ClientStep::Failed(error),
            },
            State::Plain | State::ScramFirst(_) | State::Token { .. } | State::External(_) | State::Ended { .. } => {
                ClientStep::Failed(ClientError::Malformed)
            }
        }
    }

    /// Whether the server's word that the login succeeded can be believed.
    ///
    /// # Errors
    /// [`ClientError::ServerUnproven`] when it says so before it has shown what it had to.
    pub fn success(&self) -> Result<(), ClientError> {
        let proved = matches!(self.state, State::Ended { proved: true } | State::TokenSent { .. });
        if proved { Ok(()) } else { Err(ClientError::ServerUnproven) }
    }

    /// RFC 2195 §2: the login, and the keyed MD5 of the challenge in lower-case hexadecimal.
    fn digest(&self, challenge: &[u8]) -> String {
        let hash = crate::keys::hmac_md5(self.password.reveal().as_bytes(), challenge);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {hex}", self.login)
    }

    /// `client-final-message`, and the signature the server must answer with.
    fn answer(
        &self,
        Scram { hash, bound }: Scram,
        server: &[u8],
        gs2_header: &str,
        first_bare: &str,
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), ClientError> {
        let text = str::from_utf8(server).map_err(|_| ClientError::Malformed)?;
        let first = scram::server_first(text).ok_or(ClientError::Malformed)?;
        // The server's nonce begins with ours and adds to it (RFC 5802 §5.1).
        if first.nonce.strip_prefix(self.nonce.as_str()).is_none_or(str::is_empty) {
            return Err(ClientError::Nonce);
        }
        let salted = hash.salted_password(&self.password, &first.salt, first.iterations).map_err(ClientError::Cost)?;
        let mut binding = Zeroizing::new(gs2_header.as_bytes().to_vec());
        if let (true, ChannelBinding::Exporter(octets)) = (bound, &self.binding) {
            binding.extend_from_slice(octets);
        }
        let without_proof = format!("c={},r={}", STANDARD.encode(&*binding), first.nonce);
        let signed = scram::auth_message(first_bare, text, &without_proof);
        // `ClientProof := ClientKey XOR HMAC(StoredKey, AuthMessage)` (RFC 5802 §3).
        let mut proof = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&proof), &signed);
        proof.iter_mut().zip(signature.iter()).for_each(|(octet, signed)| *octet ^= signed);
        let server_key = hash.hmac(&salted, b"Server Key");
        Ok((format!("{without_proof},p={}", STANDARD.encode(&*proof)).into_bytes(), hash.hmac(&server_key, &signed)))
    }
}

/// `server-final-message = (server-error / verifier) ["," extensions]` (RFC 5802 §7).
fn check_signature(server: &[u8], expected: &[u8]) -> Result<(), ClientError> {
    let text = str::from_utf8(server).map_err(|_| ClientError::Malformed)?;
    let first = text.split(',').next().unwrap_or_default();
    if first.starts_with("e=") {
        return Err(ClientError::Refused);
    }
    let signature = first.strip_prefix("v=").and_then(|v| STANDARD.decode(v).ok()).ok_or(ClientError::Malformed)?;
    if bool::from(signature.as_slice().ct_eq(expected)) { Ok(()) } else { Err(ClientError::ServerUnproven) }
}

#[cfg(test)]
mod tests;
