//! TLS: 1.2 and 1.3 by rustls over aws-lc-rs, the hybrid post-quantum key exchange first, no early data.
//!
//! Which certificate is shown and which are trusted is decided here, whether TLS is needed at all is not. A failure is a
//! [`TlsError`] whose text names the file or the peer and what is wrong with it.

mod ca;
mod certificate;
mod client;
mod error;
mod info;
mod keys;
mod request;
mod server;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;

pub use ca::Ca;
pub use certificate::{CertificateInfo, certificates_of};
pub use client::{ClientTls, Roots};
pub use error::{Doubt, TlsError};
pub use info::TlsInfo;
pub use keys::PublicKey;
pub use request::CertificateRequest;
pub use server::{CertificateFiles, ServerTls};

/// How long a handshake may take, from the first octet to the last.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// The one provider: chosen here, never the process's default, so that no other crate can change it.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

#[cfg(test)]
mod tests;
