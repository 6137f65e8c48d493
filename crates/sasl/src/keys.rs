//! What a server keeps of a password so that it can run SCRAM without knowing it.
//!
//! The text form is one line, the one PostgreSQL uses: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, with standard base64, and the same
//! with `SCRAM-SHA-1`. A line that cannot be read is a fault of the store, never of the one who logs in.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::hash::ScramHash;
use crate::prepare::{Password, fold_login};

/// The least iterations anybody may ask for (RFC 7677 §4).
pub const ITERATIONS_MIN: u32 = 4096;
/// The most iterations we compute: a server that asks for more wants our processor, not our password.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// The octets of a salt of ours.
pub const SALT_BYTES: usize = 16;
/// The octets a salt may have, when a server or a store gives it.
pub const SALT_BYTES_MAX: usize = 128;
/// The octets of the server's secret from which the salts of unknown users are made.
pub const FAKE_SALT_SEED_BYTES: usize = 32;

/// `StoredKey` and `ServerKey` of RFC 5802 §3, with the salt and iterations they were made with.
///
/// Not the password, yet a secret: `ServerKey` lets its holder pose as the server, and both can be guessed against.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    pub(crate) hash: ScramHash,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Zeroizing<Vec<u8>>,
    pub(crate) server_key: Zeroizing<Vec<u8>>,
}

/// Why keys cannot be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeysError {
    /// Outside [`ITERATIONS_MIN`]..=[`ITERATIONS_MAX`].
    #[error("SCRAM needs {ITERATIONS_MIN} to {ITERATIONS_MAX} iterations")]
    Iterations,
    /// Empty or longer than [`SALT_BYTES_MAX`].
    #[error("a SCRAM salt has 1 to {SALT_BYTES_MAX} octets")]
    Salt,
    /// Not the text form.
    #[error("SCRAM keys are written `SCRAM-SHA-256$iterations:salt$stored-key:server-key`")]
    Form,
}

impl ScramKeys {
    /// The keys of a password. Takes as long as the iterations: not for a thread that serves others.
    ///
    /// # Errors
    /// [`KeysError::Iterations`] and [`KeysError::Salt`] outside the limits.
    pub fn derive(hash: ScramHash, password: &Password, salt: &[u8], iterations: u32) -> Result<Self, KeysError> {
        let salted = hash.salted_password(password, salt, iterations)?;
        let client_key = hash.hmac(&salted, b"Client Key");
        Ok(Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: Zeroizing::new(hash.digest(&client_key)),
            server_key: hash.hmac(&salted, b"Server Key"),
        })
    }

    /// Keys for a login that does not exist: always the same salt for the same login, so that asking twice tells nothing, and keys that no
    /// password fits (RFC 5802 §5.1 leaves the defence to the server).
    pub(crate) fn fake(hash: ScramHash, login: &str, seed: &[u8; FAKE_SALT_SEED_BYTES]) -> Self {
        let login = fold_login(login);
        let key = |what: &str| {
            let mut key = ScramHash::Sha512.hmac(seed, format!("{what} {login}").as_bytes());
            key.truncate(hash.octets());
            key
        };
        Self {
            hash,
            salt: login_salt(hash, &login, seed).to_vec(),
            iterations: hash.iterations(),
            stored_key: key("stored key"),
            server_key: key("server key"),
        }
    }

    /// The text form, one line without its end.
    #[must_use]
    pub fn encode(&self) -> String {
        let (salt, stored) = (STANDARD.encode(&self.salt), STANDARD.encode(&*self.stored_key));
        let label = self.hash.mechanism();
        format!("{label}${}:{salt}${stored}:{}", self.iterations, STANDARD.encode(&*self.server_key))
    }

    /// Reads [`Self::encode`].
    ///
    /// # Errors
    /// [`KeysError::Form`] for any other text; [`KeysError::Iterations`] and [`KeysError::Salt`] outside the limits.
    pub fn decode(text: &str) -> Result<Self, KeysError> {
        let fields = || {
            let (label, rest) = text.split_once('$')?;
            let hash = ScramHash::of_mechanism(label)?;
            let key = |text: &str| {
                let key = Zeroizing::new(STANDARD.decode(text).ok()?);
                (key.len() == hash.octets()).then_some(key)
            };
            let (cost, keys) = rest.split_once('$')?;
            let ((iterations, salt), (stored_key, server_key)) = (cost.split_once(':')?, keys.split_once(':')?);
            Some(Self {
                hash,
                salt: STANDARD.decode(salt).ok()?,
                iterations: iterations.parse().ok()?,
                stored_key: key(stored_key)?,
                server_key: key(server_key)?,
            })
        };
        let keys = fields().ok_or(KeysError::Form)?;
        check_cost(&keys.salt, keys.iterations)?;
        Ok(keys)
    }
}

/// The salt that a login without keys gets, the same for every way to write it, out of a secret of the server's. Keys that are made for an account later than the account
/// can take it too: then nobody who asked before and after sees that there is one.
#[must_use]
pub fn login_salt(hash: ScramHash, login: &str, seed: &[u8; FAKE_SALT_SEED_BYTES]) -> [u8; SALT_BYTES] {
    // Of each hash another one: the same salt twice would make guesses against the one good against the other.
    let what = match hash {
        ScramHash::Sha1 => "salt of SHA-1",
        ScramHash::Sha256 => "salt",
        ScramHash::Sha512 => "salt of SHA-512",
    };
    let salt = ScramHash::Sha256.hmac(seed, format!("{what} {}", fold_login(login)).as_bytes());
    let mut octets = [0; SALT_BYTES];
    octets.iter_mut().zip(salt.iter()).for_each(|(to, from)| *to = *from);
    octets
}

impl FromStr for ScramKeys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        Self::decode(text)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// For CRAM-MD5 alone.
pub(crate) fn hmac_md5(key: &[u8], message: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn check_cost(salt: &[u8], iterations: u32) -> Result<(), KeysError> {
    if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
        return Err(KeysError::Iterations);
    }
    if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
        return Err(KeysError::Salt);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
