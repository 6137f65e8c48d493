//! Logins and passwords in the one form in which they are compared.
//!
//! SASLprep (RFC 4013): what looks the same to the one who types becomes the same octets. A text that the profile prohibits is refused
//! and never used as it is, since the two sides could then disagree on it. A refusal is the user's to mend, and it is permanent.

use std::fmt;

use posthouse_mail::Address;
use thiserror::Error;
use zeroize::Zeroizing;

/// The octets of a login: an address of RFC 5321 §4.5.3.1 (64 + 1 + 255).
pub const LOGIN_BYTES_MAX: usize = 320;
/// The octets of a password. RFC 4616 §2 wants at least 255; more than this only costs the hash.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The octets of a token; issuers give up to 4 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A password after SASLprep. Wiped when dropped; `Debug` prints `***`.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a login or password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PrepareError {
    /// Nothing is left of it.
    #[error("it is empty")]
    Empty,
    /// Longer than [`LOGIN_BYTES_MAX`] or [`PASSWORD_BYTES_MAX`].
    #[error("it is too long")]
    TooLong,
    /// Not UTF-8, or with a character that SASLprep prohibits: a control, a private or unassigned one, or mixed directions.
    #[error("it has a character that may not stand in a login or password (RFC 4013)")]
    Prohibited,
}

impl Password {
    /// Where none is needed.
    pub(crate) fn none() -> Self {
        Self(Zeroizing::default())
    }

    /// The password in clear.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The form of a login that is compared. Idempotent.
///
/// # Errors
/// [`PrepareError`] when it is empty, too long or has prohibited characters.
pub fn prepare_login(login: &str) -> Result<String, PrepareError> {
    prepare(login, LOGIN_BYTES_MAX).map(|prepared| prepared.as_str().to_owned())
}

/// One form for every way to write the same login: capital letters, and a domain in Unicode or in A-labels, make no other account.
pub(crate) fn fold_login(login: &str) -> String {
    let lower = login.to_lowercase();
    let lower = prepare_login(&lower).unwrap_or(lower);
    match lower.parse::<Address>() {
        Ok(address) => address.to_string(),
        Err(_) => lower,
    }
}

/// The form of a password that is hashed and compared: whoever stores a password stores this one. Idempotent.
///
/// # Errors
/// [`PrepareError`] when it is empty, too long or has prohibited characters.
pub fn prepare_password(password: &str) -> Result<Password, PrepareError> {
    prepare(password, PASSWORD_BYTES_MAX).map(Password)
}

/// A bearer token (RFC 6750 §2.1): visible ASCII, as it is.
///
/// # Errors
/// [`PrepareError`] when it is empty, too long or has other characters.
pub fn prepare_token(token: &str) -> Result<Password, PrepareError> {
    if token.is_empty() {
        return Err(PrepareError::Empty);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(PrepareError::TooLong);
    }
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Password(Zeroizing::new(token.to_owned())))
    } else {
        Err(PrepareError::Prohibited)
    }
}

fn prepare(text: &str, bytes_max: usize) -> Result<Zeroizing<String>, PrepareError> {
    if text.len() > bytes_max {
        return Err(PrepareError::TooLong);
    }
    let prepared = Zeroizing::new(stringprep::saslprep(text).map_err(|_| PrepareError::Prohibited)?.into_owned());
    // NFKC can lengthen a text up to eighteen-fold, and the mapping to nothing can empty it.
    match prepared.len() {
        0 => Err(PrepareError::Empty),
        length if length > bytes_max => Err(PrepareError::TooLong),
        _ => Ok(prepared),
    }
}

#[cfg(test)]
mod tests;
