//! Passwords: made into an argon2id hash and SCRAM keys, and checked.
//!
//! The work is bounded, since a hash takes 19 MiB and tens of milliseconds: strangers are hashed for in the background, on half of the processors at most, for
//! a flood of logins must not take them away from mail. A login that does not exist costs the same hash as one that does. A
//! password that was right is remembered for ten minutes under a keyed digest of who, which stored hash, and what was typed; so a change of
//! the password, by whatever process, makes the memory useless at once, and no two users can be mixed up.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use posthouse_runtime::sync::Semaphore;
use posthouse_runtime::{clock, random, task};
use posthouse_sasl::{Password, SALT_BYTES};

use crate::account::AccountId;
use crate::error::DirectoryError;
use crate::scram::{KeyLines, key_lines};

/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash of today's parameters that no password has: what an unknown login is checked against.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const REMEMBERED_MAX: usize = 4_096;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What is stored of a password.
pub(crate) struct Credentials {
    pub(crate) hash: String,
    pub(crate) keys: KeyLines,
}

/// The answer to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Wrong,
    Right,
    /// Right, but hashed with other parameters than today's.
    RightAndOld,
}

#[derive(Clone)]
pub(crate) struct Passwords(Arc<Inner>);

struct Inner {
    /// For those who come from where they have logged in before: a flood of strangers does not keep them waiting.
    known_at_once: Semaphore,
    /// The key of the digests: of this process alone.
    secret: [u8; 64],
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let mut secret = [0; 64];
        random::fill(&mut secret);
        Self(Arc::new(Inner { known_at_once: Semaphore::new(1), secret, remembered: Mutex::new(HashMap::new()) }))
    }

    /// What to store of a new password.
    pub(crate) async fn make(
        &self,
        password: Password,
        sha1_salt: Option<[u8; SALT_BYTES]>,
    ) -> Result<Credentials, DirectoryError> {
        task::blocking(move || credentials(&password, sha1_salt.as_ref())).await
    }

    /// Whether `password` is the one whose hash is stored for `who`; `stored` is `None` for a login that does not exist. Takes the same time
    /// for it as for a wrong password. `is_known`: this is somebody who has logged in from there before.
    pub(crate) async fn check(
        &self,
        stored: Option<(&AccountId, String)>,
        password: Option<Password>,
        is_known: bool,
    ) -> Result<Check, DirectoryError> {
        let digest = stored.as_ref().zip(password.as_ref()).map(|((who, hash), password)| self.digest(who, hash, password));
        if digest.is_some_and(|digest| self.remembers(&digest)) {
            return Ok(Check::Right);
        }
        let hash = stored.map(|(_, hash)| hash);
        let work = move || verify(hash.as_deref(), password.as_ref());
        let check = if is_known {
            let _place = self.0.known_at_once.acquire().await;
            task::blocking(work).await?
        } else {
            task::background(work).await?
        };
        if let (Check::Right, Some(digest)) = (check, digest) {
            self.remember(digest);
        }
        Ok(check)
    }

    fn digest(&self, who: &AccountId, hash: &str, password: &Password) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new((&self.0.secret).into());
        // No two logins give the same octets: neither id nor hash holds a zero, and the password comes last.
        for field in [who.as_str().as_bytes(), &[0], hash.as_bytes(), &[0], password.reveal().as_bytes()] {
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).is_some_and(|since| clock::now().duration_since(*since) < REMEMBERED_FOR)
    }

    fn remember(&self, digest: [u8; 32]) {
        let now = clock::now();
        let mut remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, since| now.duration_since(*since) < REMEMBERED_FOR);
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear(); // everybody pays one hash again
        }
        remembered.insert(digest, now);
    }
}

/// Without the secret.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

fn hasher() -> Result<Argon2<'static>, DirectoryError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn credentials(password: &Password, sha1_salt: Option<&[u8; SALT_BYTES]>) -> Result<Credentials, DirectoryError> {
    let mut salt = [0; SALT_BYTES];
    random::fill(&mut salt);
    let hash = hasher()?.hash_password_with_salt(password.reveal().as_bytes(), &salt).map_err(failed)?.to_string();
    Ok(Credentials { hash, keys: key_lines(password, sha1_salt)? })
}

fn verify(stored: Option<&str>, password: Option<&Password>) -> Result<Check, DirectoryError> {
    let hash = PasswordHash::new(stored.unwrap_or(NOBODY)).map_err(failed)?;
    // A password that cannot be one (too long, prohibited characters) costs the same as a wrong one.
    let octets = password.map_or(b"".as_slice(), |password| password.reveal().as_bytes());
    let right = match hasher()?.verify_password(octets, &hash) {
        Ok(()) => stored.is_some() && password.is_some(),
        Err(argon2::password_hash::Error::PasswordInvalid) => false,
        Err(error) => return Err(failed(error)),
    };
    Ok(match (right, is_current(&hash)) {
        (false, _) => Check::Wrong,
        (true, true) => Check::Right,
        (true, false) => Check::RightAndOld,
    })
}

fn is_current(hash: &PasswordHash) -> bool {
    hash.algorithm.as_str() == "argon2id"
        && Params::try_from(hash)
            .is_ok_and(|params| (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES))
}

fn failed(error: impl fmt::Display) -> DirectoryError {
    DirectoryError::Storage(format!("a stored password cannot be used: {error}"))
}

#[cfg(test)]
mod tests;
