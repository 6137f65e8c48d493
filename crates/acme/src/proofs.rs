//! What proves that names are ours, while an authority asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthouse_runtime::tls::{ServerTls, TlsError};

/// The octets of a token that is looked for (RFC 8555 §8.3 has base64url, and authorities use some dozens).
const TOKEN_BYTES_MAX: usize = 256;

/// The tokens and certificates that are shown now. Clones share them.
#[derive(Clone)]
pub struct Proofs {
    tokens: Arc<Mutex<HashMap<String, String>>>,
    tls: ServerTls,
}

impl Proofs {
    /// Nothing to prove yet; certificates are shown by `tls`, to those who ask for them by ALPN.
    #[must_use]
    pub fn new(tls: ServerTls) -> Self {
        Self { tokens: Arc::default(), tls }
    }

    /// What stands at `/.well-known/acme-challenge/TOKEN`.
    #[must_use]
    pub fn token(&self, token: &str) -> Option<String> {
        if token.len() > TOKEN_BYTES_MAX { None } else { self.tokens().get(token).cloned() }
    }

    pub(crate) fn show_token(&self, token: &str, answer: &str) {
        self.tokens().insert(token.to_owned(), answer.to_owned());
    }

    pub(crate) fn show_certificate(&self, name: &str, digest: &[u8; 32]) -> Result<(), TlsError> {
        self.tls.show_challenge(name, digest)
    }

    /// Nobody asks any more.
    pub(crate) fn clear(&self) {
        self.tokens().clear();
        self.tls.clear_challenges();
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").field("tokens", &self.tokens().len()).finish_non_exhaustive()
    }
}
