//! TLS: 1.2 and 1.3 by rustls over aws-lc-rs, the hybrid post-quantum key exchange first, no early data.
//!
//! Which certificate is shown and which are trusted is decided here, whether TLS is needed at all is not. A failure is a
//! [`TlsError`] whose text names the file or the peer and what is wrong with it.

mod ca;
mod certificate;
mod client;
mod clients;
mod end_point;
mod error;
mod info;
mod keys;
mod request;
mod server;
mod tickets;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use ca::Ca;
pub use certificate::{CertificateInfo, certificates_of};
pub use client::{ClientTls, Roots};
pub use clients::{ClientCertificate, ClientRoots};
pub use error::{Doubt, TlsError};
pub use info::TlsInfo;
pub use keys::PublicKey;
pub use request::{CertificateRequest, fresh_key};
pub use server::{CertificateFiles, ServerTls};

/// How long a handshake may take, from the first octet to the last.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// The one provider: chosen here, never the process's default, so that no other crate can change it.
///
/// AES-128 stands first: a handshake hashes more than a letter encrypts, and of SHA-256 (AES-128-GCM) and SHA-384 (AES-256-GCM) most processors have
/// only the first as an instruction. Neither is in reach of anybody (RFC 9325 §4.2 recommends both).
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| !suite.suite().as_str().is_some_and(|name| name.contains("AES_128")));
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

#[cfg(test)]
mod tests;
