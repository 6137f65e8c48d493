//! Tickets that are good as long as the certificates that were shown.
//!
//! A session that is resumed shows no certificate: the client goes by the one that it saw. What is bound to the certificate (`tls-server-end-point`) would then
//! differ between the two ends after a reload, so a session from before it is not resumed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::server::ProducesTickets;

use super::TlsError;

/// Counts the reloads.
#[derive(Debug, Default)]
pub(super) struct Generation(AtomicU64);

/// See the module.
pub(super) struct Tickets {
    keys: Arc<dyn ProducesTickets>,
    generation: Arc<Generation>,
}

impl Generation {
    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn octets(&self) -> [u8; 8] {
        self.0.load(Ordering::Acquire).to_be_bytes()
    }
}

impl Tickets {
    /// With keys of their own, which change every six hours.
    pub(super) fn new(generation: &Arc<Generation>) -> Result<Self, TlsError> {
        let keys = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(TlsError::setup)?;
        Ok(Self { keys, generation: Arc::clone(generation) })
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.keys.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.keys.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.encrypt(&[plain, &self.generation.octets()].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.keys.decrypt(cipher)?;
        let generation = self.generation.octets();
        let made = plain.split_off(plain.len().checked_sub(generation.len())?);
        (made == generation).then_some(plain)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}
