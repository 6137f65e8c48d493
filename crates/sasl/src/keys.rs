//! What a server keeps of a password so that it can run SCRAM without knowing it.
//!
//! The text form is one line, the one PostgreSQL uses: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, with standard base64. A line
//! that cannot be read is a fault of the store, never of the one who logs in.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::prepare::Password;

/// The least iterations anybody may ask for (RFC 7677 §4).
pub const ITERATIONS_MIN: u32 = 4096;
/// The most iterations we compute: a server that asks for more wants our processor, not our password.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// The iterations of new keys: well above the least of 2015, and still below a tenth of a second on a client of today.
pub const DEFAULT_ITERATIONS: u32 = 50_000;
/// The octets of a salt of ours.
pub const SALT_BYTES: usize = 16;
/// The octets a salt may have, when a server or a store gives it.
pub const SALT_BYTES_MAX: usize = 128;
/// The octets of the server's secret from which the salts of unknown users are made.
pub const FAKE_SALT_SEED_BYTES: usize = 32;

const LABEL: &str = "SCRAM-SHA-256";

/// `StoredKey` and `ServerKey` of RFC 5802 §3, with the salt and iterations they were made with.
///
/// Not the password, yet a secret: `ServerKey` lets its holder pose as the server, and both can be guessed against.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: [u8; 32],
    pub(crate) server_key: [u8; 32],
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
    #[error("SCRAM keys are written `{LABEL}$iterations:salt$stored-key:server-key`")]
    Form,
}

impl ScramKeys {
    /// The keys of a password. Takes as long as the iterations: not for a thread that serves others.
    ///
    /// # Errors
    /// [`KeysError::Iterations`] and [`KeysError::Salt`] outside the limits.
    pub fn derive(password: &Password, salt: &[u8], iterations: u32) -> Result<Self, KeysError> {
        check_cost(salt, iterations)?;
        // `SaltedPassword := Hi(Normalize(password), salt, i)` (RFC 5802 §3).
        let mut salted = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.reveal().as_bytes(), salt, iterations, &mut *salted);
        let client_key = Zeroizing::new(hmac(&salted, b"Client Key"));
        Ok(Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: Sha256::digest(*client_key).into(),
            server_key: hmac(&salted, b"Server Key"),
        })
    }

    /// Keys for a login that does not exist: always the same salt for the same login, so that asking twice tells nothing, and keys that no
    /// password fits (RFC 5802 §5.1 leaves the defence to the server).
    pub(crate) fn fake(login: &str, seed: &[u8; FAKE_SALT_SEED_BYTES]) -> Self {
        let salt = hmac(seed, format!("salt {login}").as_bytes());
        Self {
            salt: salt.get(..SALT_BYTES).unwrap_or_default().to_vec(),
            iterations: DEFAULT_ITERATIONS,
            stored_key: hmac(seed, format!("stored key {login}").as_bytes()),
            server_key: hmac(seed, format!("server key {login}").as_bytes()),
        }
    }

    /// The text form, one line without its end.
    #[must_use]
    pub fn encode(&self) -> String {
        let (salt, stored) = (STANDARD.encode(&self.salt), STANDARD.encode(self.stored_key));
        format!("{LABEL}${}:{salt}${stored}:{}", self.iterations, STANDARD.encode(self.server_key))
    }

    /// Reads [`Self::encode`].
    ///
    /// # Errors
    /// [`KeysError::Form`] for any other text; [`KeysError::Iterations`] and [`KeysError::Salt`] outside the limits.
    pub fn decode(text: &str) -> Result<Self, KeysError> {
        let key = |text: &str| -> Option<[u8; 32]> { STANDARD.decode(text).ok()?.try_into().ok() };
        let fields = || {
            let mut parts = text.strip_prefix(LABEL)?.strip_prefix('$')?.splitn(2, '$');
            let (cost, keys) = (parts.next()?.split_once(':')?, parts.next()?.split_once(':')?);
            Some((cost.0.parse().ok()?, STANDARD.decode(cost.1).ok()?, key(keys.0)?, key(keys.1)?))
        };
        let (iterations, salt, stored_key, server_key): (u32, Vec<u8>, _, _) = fields().ok_or(KeysError::Form)?;
        check_cost(&salt, iterations)?;
        Ok(Self { salt, iterations, stored_key, server_key })
    }
}

impl FromStr for ScramKeys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        Self::decode(text)
    }
}

impl Drop for ScramKeys {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
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

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // RFC 2104 §2 pads a short key with zeroes up to the block; with a whole block no length can be wrong.
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let block: &[u8; 64] = &block;
    let mut mac = Hmac::<Sha256>::new(block.into());
    mac.update(text);
    mac.finalize().into_bytes().into()
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
