//! What the directory asks of whoever knows the issuers of tokens.
//!
//! The directory knows no issuer and asks nobody on the network: it takes the login that a token was issued to, and finds the account.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;

/// An answer that may take the time of a question to the issuer.
pub type TokenChecking<'a> = Pin<Box<dyn Future<Output = Result<String, TokenError>> + Send + 'a>>;

/// Knows what a token is worth.
pub trait Tokens: Send + Sync {
    /// The login, an address, that the token was issued to; only if it is for us, and its time has not run out.
    fn check<'a>(&'a self, token: &'a str) -> TokenChecking<'a>;

    /// What a client is told whose token was refused.
    fn hint(&self) -> TokenHint;
}

/// Where a client may get a token that is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenHint {
    /// The scopes that it needs.
    pub scope: Option<String>,
    /// The URL of the issuer's discovery document.
    pub configuration: Option<String>,
}

/// Why there is no login.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// The token is not taken; the text is for the operator alone.
    #[error("{0}")]
    Refused(String),
    /// It lacks a scope.
    #[error("{0}")]
    Scope(String),
    /// Our issuer cannot be asked: it may work later.
    #[error("{0}")]
    Unavailable(String),
}

/// Who is asked; nobody until an operator names somebody.
pub(crate) struct Slot<T: ?Sized>(Arc<RwLock<Option<Arc<T>>>>);

impl<T: ?Sized> Slot<T> {
    pub(crate) fn set(&self, asked: Option<Arc<T>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: ?Sized> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(None)))
    }
}

impl<T: ?Sized> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.get().is_some()).finish()
    }
}
