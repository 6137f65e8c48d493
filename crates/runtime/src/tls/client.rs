//! TLS as a client: whom to trust.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::untrusted;
use super::info::cipher_name;
use super::server::read_one;
use super::{CertificateFiles, HANDSHAKE_MAX, TlsError, TlsInfo, provider};
use crate::clock;
use crate::log::one_line;

/// The authorities that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those of this system.
    Platform,
    /// Those in a PEM file, and no others.
    PemFile(PathBuf),
    /// Those in a text in PEM form, and no others.
    Pem(String),
}

/// How a client takes its part of a handshake. Clones share their resumable sessions.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    trust: Trust,
}

/// What is made of the server's certificate.
#[derive(Clone)]
enum Trust {
    /// It convinces, or there is no connection.
    Verified,
    /// It is not looked at.
    Unverified,
    /// It is judged in each handshake anew.
    Judged(Arc<dyn Judge>),
}

/// Somebody who judges the certificates that a server shows.
trait Judge: Send + Sync {
    /// What convinced, or what is wrong.
    fn judge(&self, chain: &Chain<'_>) -> Result<String, String>;

    /// Whether a certificate that does not convince ends the handshake.
    fn is_strict(&self) -> bool;
}

/// What a server shows.
struct Chain<'a> {
    certificates: Vec<&'a CertificateDer<'a>>,
    name: &'a ServerName<'a>,
    now: UnixTime,
}

impl ClientTls {
    /// The server must show a certificate for its name, signed by one of the roots.
    ///
    /// # Errors
    /// The roots cannot be read, or there are none.
    pub fn verified(roots: &Roots) -> Result<Self, TlsError> {
        Self::new(verifier(roots)?, Trust::Verified)
    }

    /// Any certificate will do: the connection is encrypted, to whom is not known. For opportunistic TLS between servers
    /// (RFC 7435), where the alternative is the clear; never with credentials.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn danger_unverified() -> Result<Self, TlsError> {
        Self::new(Arc::new(AnyCertificate), Trust::Unverified)
    }

    /// As [`Self::danger_unverified`], but the certificate is verified as by [`Self::verified`] and the result told
    /// ([`TlsInfo::verified`], [`TlsInfo::verdict`]).
    ///
    /// # Errors
    /// As [`Self::verified`].
    pub fn danger_observed(roots: &Roots) -> Result<Self, TlsError> {
        Self::new(Arc::new(AnyCertificate), Trust::Judged(Arc::new(Observer(verifier(roots)?))))
    }

    /// The server must show certificates that the caller's check takes: in DER form, its own first, with the time in seconds since 1970. The check
    /// says what convinced it, or what is wrong, in words for people. Neither name nor authority nor time is looked at besides. No session
    /// is resumed, so every connection is checked.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn checked(check: impl Fn(&[&[u8]], u64) -> Result<String, String> + Send + Sync + 'static) -> Result<Self, TlsError> {
        Self::new(Arc::new(AnyCertificate), Trust::Judged(Arc::new(Check(check))))
    }

    /// As [`Self::danger_unverified`], without these ciphers ([`TlsInfo::cipher`]); nothing where none is left. It finds out what a server would take.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn danger_unverified_without(ciphers: &[String]) -> Result<Option<Self>, TlsError> {
        let mut provider = CryptoProvider::clone(&provider());
        provider.cipher_suites.retain(|suite| !ciphers.contains(&cipher_name(suite.suite())));
        if provider.cipher_suites.is_empty() {
            return Ok(None);
        }
        Self::with_provider(provider.into(), Arc::new(AnyCertificate), Trust::Unverified).map(Some)
    }

    fn new(verifier: Arc<dyn ServerCertVerifier>, trust: Trust) -> Result<Self, TlsError> {
        Self::with_provider(provider(), verifier, trust)
    }

    fn with_provider(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
        trust: Trust,
    ) -> Result<Self, TlsError> {
        // Both constructors of the library's that avoid its `dangerous()` insist on its own kinds of verifiers; which one it is
        // is what the functions above are about.
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::setup)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        if matches!(trust, Trust::Judged(_)) {
            // A session that is resumed shows no certificate.
            config.resumption = Resumption::disabled();
        }
        Ok(Self { config: Arc::new(config), trust })
    }

    /// Whether a server whose certificate does not convince is turned away.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        match &self.trust {
            Trust::Verified => true,
            Trust::Unverified => false,
            Trust::Judged(judge) => judge.is_strict(),
        }
    }

    /// The same, showing a certificate to servers that ask for one.
    ///
    /// # Errors
    /// As [`ServerTls::from_files`](super::ServerTls::from_files).
    pub fn with_certificate(mut self, files: &CertificateFiles) -> Result<Self, TlsError> {
        let certified = Arc::unwrap_or_clone(read_one(files)?);
        let mut config = (*self.config).clone();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        self.config = Arc::new(config);
        Ok(self)
    }

    /// The same, naming protocols by ALPN.
    #[cfg(test)]
    pub(crate) fn with_alpn(mut self, protocols: &[&str]) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self.config = Arc::new(config);
        self
    }

    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        plain: S,
        name: &str,
    ) -> Result<(TlsStream<S>, TlsInfo), TlsError> {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        let server_name = matches!(server, ServerName::DnsName(_)).then(|| name.to_owned());
        let (config, hearing) = self.hearing();
        let handshake = TlsConnector::from(config).connect(server, plain);
        let stream = clock::timeout(HANDSHAKE_MAX, handshake).await.map_err(|_| TlsError::Timeout)?;
        let verdict = hearing.and_then(|hearing| hearing.verdict.get().cloned());
        let stream = stream.map_err(|error| match &verdict {
            Some(Err(why)) if self.is_verified() => {
                TlsError::Untrusted { name: name.to_owned(), why: one_line(why).into_owned() }
            }
            Some(_) | None => TlsError::handshake(&error, Some(name)),
        })?;
        let mut info = TlsInfo::of(stream.get_ref().1, server_name, matches!(self.trust, Trust::Verified));
        if let Some(verdict) = verdict {
            info.verified = verdict.is_ok();
            info.verdict = Some(one_line(&verdict.unwrap_or_else(|why| why)).into_owned());
        }
        Ok((stream, info))
    }

    /// The configuration for one handshake, and what will be known of its certificates.
    fn hearing(&self) -> (Arc<ClientConfig>, Option<Arc<Hearing>>) {
        let Trust::Judged(judge) = &self.trust else { return (Arc::clone(&self.config), None) };
        let hearing = Arc::new(Hearing { judge: Arc::clone(judge), verdict: OnceLock::new() });
        let mut config = (*self.config).clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&hearing) as Arc<dyn ServerCertVerifier>);
        (Arc::new(config), Some(hearing))
    }
}

fn verifier(roots: &Roots) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    Ok(match roots {
        Roots::Platform => Arc::new(rustls_platform_verifier::Verifier::new(provider()).map_err(TlsError::setup)?),
        Roots::PemFile(path) => {
            let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source })?;
            by_roots(&pem, &path.display().to_string())?
        }
        Roots::Pem(pem) => by_roots(pem.as_bytes(), "the trusted roots")?,
    })
}

fn by_roots(pem: &[u8], origin: &str) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsError::file(origin, error))?;
        store.add(certificate).map_err(|error| TlsError::file(origin, error))?;
    }
    if store.is_empty() {
        return Err(TlsError::file(origin, "there is no certificate in PEM form in it"));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error| TlsError::file(origin, error))
}

/// The caller's word counts.
struct Check<F>(F);

impl<F: Fn(&[&[u8]], u64) -> Result<String, String> + Send + Sync> Judge for Check<F> {
    fn judge(&self, chain: &Chain<'_>) -> Result<String, String> {
        let certificates: Vec<&[u8]> = chain.certificates.iter().map(|certificate| certificate.as_ref()).collect();
        (self.0)(&certificates, chain.now.as_secs())
    }

    fn is_strict(&self) -> bool {
        true
    }
}

/// The usual verification, of which only the result is told.
struct Observer(Arc<dyn ServerCertVerifier>);

impl Judge for Observer {
    fn judge(&self, chain: &Chain<'_>) -> Result<String, String> {
        let Some((first, rest)) = chain.certificates.split_first() else { return Err("it shows none".to_owned()) };
        let rest: Vec<CertificateDer<'_>> = rest.iter().map(|&certificate| certificate.clone()).collect();
        let verified = self.0.verify_server_cert(first, &rest, chain.name, &[], chain.now);
        verified.map(|_| "it is signed by an authority that is trusted here".to_owned()).map_err(|error| untrusted(&error))
    }

    fn is_strict(&self) -> bool {
        false
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("verified", &self.is_verified()).finish_non_exhaustive()
    }
}

/// Takes every certificate, but insists that the server holds its key.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// One handshake's look at the certificates.
struct Hearing {
    judge: Arc<dyn Judge>,
    verdict: OnceLock<Result<String, String>>,
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hearing").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

/// As [`AnyCertificate`], with a judge.
impl ServerCertVerifier for Hearing {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificates = std::iter::once(end_entity).chain(intermediates).collect();
        let verdict = self.verdict.get_or_init(|| self.judge.judge(&Chain { certificates, name, now }));
        if verdict.is_err() && self.judge.is_strict() {
            return Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        AnyCertificate.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        AnyCertificate.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        AnyCertificate.supported_verify_schemes()
    }
}
