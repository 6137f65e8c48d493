//! TLS as a server: which certificate to show.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::ca::Authority;
use super::end_point::end_point;
use super::tickets::{Generation, Tickets};
use super::{Ca, CertificateInfo, ClientRoots, HANDSHAKE_MAX, TlsError, TlsInfo, provider};
use crate::clock;

/// A certificate with its key, as files in PEM form.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateFiles {
    /// The certificate, followed by the certificates between it and the root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How a server takes its part of a handshake. Clones share everything: what [`ServerTls::reload`] changes on one it changes on all.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    /// Whose certificates of clients are believed; `None`: none is asked for.
    clients: Option<ClientRoots>,
}

/// The certificates that are shown now.
#[derive(Debug)]
struct Shown {
    certificates: ArcSwap<Certificates>,
    /// Those that prove a name to an authority, by name: shown to nobody else.
    challenges: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
    /// What sessions are resumed by ends with the certificates.
    generation: Arc<Generation>,
}

/// The protocol of an authority that looks for a proof (RFC 8737 §6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

#[derive(Debug)]
struct Certificates {
    /// By name in lower case; `*.example.org` stands for one label.
    by_name: HashMap<String, Arc<Pair>>,
    default: Arc<Pair>,
}

/// A certificate with its key.
#[derive(Debug)]
struct Pair {
    certified: Arc<CertifiedKey>,
    /// What a client can bind a log-in to.
    end_point: Option<Vec<u8>>,
}

impl ServerTls {
    /// Reads certificates from files. The client's SNI picks by name, the first is shown to everybody else.
    ///
    /// # Errors
    /// A file cannot be read or is malformed, a key is another certificate's, or a certificate's time is over or has not come.
    pub fn from_files(files: &[CertificateFiles]) -> Result<Self, TlsError> {
        Self::new(read_all(files)?)
    }

    /// Takes one certificate chain and its key from memory.
    ///
    /// # Errors
    /// As [`ServerTls::from_files`].
    pub fn from_pem(cert: &str, key: &str) -> Result<Self, TlsError> {
        Self::new(Certificates::new(vec![parse_pair(cert.as_bytes(), "the certificate", key.as_bytes(), "the key")?])?)
    }

    /// A certificate for `names` (host names and IP addresses), freshly issued by a CA of our own.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn from_ca(ca: &Ca, names: &[String]) -> Result<Self, TlsError> {
        let (cert, key) = ca.issue(names)?;
        Self::from_pem(&cert, &key)
    }

    /// A certificate for `names` of an authority that exists for it alone, and is gone with the process; and the authority, in PEM form, for those who shall trust
    /// it. For tests.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn throw_away(names: &[String]) -> Result<(Self, String), TlsError> {
        let authority = Authority::throw_away()?;
        let (cert, key) = authority.issue(names)?;
        Ok((Self::from_pem(&cert, &key)?, authority.pem))
    }

    fn new(certificates: Certificates) -> Result<Self, TlsError> {
        let certificates = ArcSwap::from_pointee(certificates);
        let shown = Shown { certificates, challenges: ArcSwap::default(), generation: Arc::default() };
        Self::with_shown(Arc::new(shown), &[], None)
    }

    fn with_shown(shown: Arc<Shown>, alpn: &[&str], clients: Option<ClientRoots>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::setup)?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.asking()),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        // The ticket keys belong to this configuration alone, and no session is remembered here. Early data stays off (the default): it can be replayed.
        config.ticketer = Arc::new(Tickets::new(&shown.generation)?);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A client that comes again needs one; the default is two.
        config.send_tls13_tickets = 1;
        config.ignore_client_order = true;
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(Self { config: Arc::new(config), shown, clients })
    }

    /// The same certificates, now and after a reload, for another service: with ticket keys of its own, so that a session of one
    /// service is not resumed on another, and refusing clients that ask by ALPN for none of the protocols in `alpn` (a browser
    /// that was led to a mail port, RFC 9325 §3.7). Clients that do not use ALPN are welcome.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn for_service(&self, alpn: &[&str]) -> Result<Self, TlsError> {
        Self::with_shown(Arc::clone(&self.shown), alpn, None)
    }

    /// As [`Self::for_service`], for a service that also asks clients for a certificate: one that `clients` stand behind is in [`TlsInfo::client`]. None is
    /// needed, and no other keeps a client out.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn for_service_with(&self, alpn: &[&str], clients: &ClientRoots) -> Result<Self, TlsError> {
        Self::with_shown(Arc::clone(&self.shown), alpn, Some(clients.clone()))
    }

    /// Shows other certificates from the next handshake on; connections that stand are not touched.
    ///
    /// # Errors
    /// As [`ServerTls::from_files`]; the old ones are then shown on.
    pub fn reload(&self, files: &[CertificateFiles]) -> Result<(), TlsError> {
        self.shown.show(read_all(files)?);
        Ok(())
    }

    /// Shows a freshly issued certificate of a CA of our own from the next handshake on.
    ///
    /// # Errors
    /// As [`ServerTls::from_ca`]; the old one is then shown on.
    pub fn reload_from_ca(&self, ca: &Ca, names: &[String]) -> Result<(), TlsError> {
        let (cert, key) = ca.issue(names)?;
        let pair = parse_pair(cert.as_bytes(), "the certificate", key.as_bytes(), "the key")?;
        self.shown.show(Certificates::new(vec![pair])?);
        Ok(())
    }

    /// What is shown to clients that ask for no name in particular, and to those that ask for these names.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        let shown = self.shown.certificates.load();
        let mut all = vec![Arc::clone(&shown.default)];
        for pair in shown.by_name.values() {
            if !all.iter().any(|known| known.certified.cert.first() == pair.certified.cert.first()) {
                all.push(Arc::clone(pair));
            }
        }
        all.iter().filter_map(|pair| CertificateInfo::of(pair.certified.cert.first()?)).collect()
    }

    /// Proves to an authority that `name` is ours (RFC 8737): services that speak `acme-tls/1` show it what it looks for, and nobody else sees it.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn show_challenge(&self, name: &str, digest: &[u8; 32]) -> Result<(), TlsError> {
        let (cert, key) = super::request::challenge(name, digest)?;
        let failed = |error: pem::Error| TlsError::file("the proof", error);
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).map_err(failed)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(failed)?;
        let key = provider().key_provider.load_private_key(key).map_err(TlsError::setup)?;
        // Not as other pairs are made: the library reads no certificate whose extension it does not know, as this one's must be (RFC 8737 §3).
        let certified = Arc::new(CertifiedKey::new(vec![cert], key));
        let mut challenges = (**self.shown.challenges.load()).clone();
        challenges.insert(name.to_ascii_lowercase(), certified);
        self.shown.challenges.store(Arc::new(challenges));
        Ok(())
    }

    /// Proves nothing any more.
    pub fn clear_challenges(&self) {
        self.shown.challenges.store(Arc::default());
    }

    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, plain: S) -> Result<(TlsStream<S>, TlsInfo), TlsError> {
        let certificates = self.shown.certificates.load_full();
        let handshake = TlsAcceptor::from(Arc::clone(&self.config)).accept(plain);
        let stream = clock::timeout(HANDSHAKE_MAX, handshake)
            .await
            .map_err(|_| TlsError::Timeout)?
            .map_err(|error| TlsError::handshake(&error, None))?;
        let session = stream.get_ref().1;
        let mut info = TlsInfo::of(session, session.server_name().map(str::to_owned), false);
        let shown = session.peer_certificates().unwrap_or_default();
        // One that was changed meanwhile may have been shown as it is now, or as it was.
        if Arc::ptr_eq(&certificates, &self.shown.certificates.load()) {
            info.end_point.clone_from(&certificates.pick(session.server_name()).end_point);
        }
        info.client = self.clients.as_ref().and_then(|clients| clients.judge(shown)).map(Box::new);
        Ok((stream, info))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("names", &self.shown.certificates.load().by_name.keys()).finish_non_exhaustive()
    }
}

impl Shown {
    fn show(&self, certificates: Certificates) {
        self.certificates.store(Arc::new(certificates));
        self.generation.advance();
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_TLS)) {
            // RFC 8737 §4: without a proof for the name there is no handshake.
            return self.challenges.load().get(&hello.server_name()?.to_ascii_lowercase()).cloned();
        }
        Some(Arc::clone(&self.certificates.load().pick(hello.server_name()).certified))
    }
}

impl Certificates {
    fn new(pairs: Vec<(Vec<String>, Arc<CertifiedKey>)>) -> Result<Self, TlsError> {
        let pair = |(names, certified): (Vec<String>, Arc<CertifiedKey>)| {
            let end_point = certified.cert.first().and_then(end_point);
            (names, Arc::new(Pair { certified, end_point }))
        };
        let pairs: Vec<_> = pairs.into_iter().map(pair).collect();
        let default = pairs.first().map(|(_, pair)| Arc::clone(pair)).ok_or(TlsError::NoCertificate)?;
        let mut by_name = HashMap::new();
        for (names, pair) in pairs {
            for name in names {
                // The first certificate of a name wins, as the first of all is the default.
                by_name.entry(name).or_insert_with(|| Arc::clone(&pair));
            }
        }
        Ok(Self { by_name, default })
    }

    fn pick(&self, name: Option<&str>) -> &Pair {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.default };
        let wildcard = || name.split_once('.').and_then(|(_, above)| self.by_name.get(&format!("*.{above}")));
        self.by_name.get(&name).or_else(wildcard).unwrap_or(&self.default)
    }
}

/// A certificate that a client shows.
pub(super) fn read_one(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, TlsError> {
    read_all(std::slice::from_ref(files)).map(|certificates| Arc::clone(&certificates.default.certified))
}

fn read_all(files: &[CertificateFiles]) -> Result<Certificates, TlsError> {
    let pairs = files.iter().map(|pair| {
        let (cert, key) = (read(&pair.cert)?, read(&pair.key)?);
        parse_pair(&cert, &pair.cert.display().to_string(), &key, &pair.key.display().to_string())
    });
    Certificates::new(pairs.collect::<Result<_, TlsError>>()?)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// A certificate with its key, and the names it is for.
fn parse_pair(
    cert: &[u8],
    cert_origin: &str,
    key: &[u8],
    key_origin: &str,
) -> Result<(Vec<String>, Arc<CertifiedKey>), TlsError> {
    let chain = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::file(cert_origin, error))?;
    let first = chain.first().ok_or_else(|| TlsError::file(cert_origin, "there is no certificate in PEM form in it"))?;
    let names = check(first, cert_origin)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            return TlsError::file(key_origin, "there is no private key in PEM form in it");
        }
        TlsError::file(key_origin, error)
    })?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            return TlsError::KeyMismatch { cert: cert_origin.to_owned(), key: key_origin.to_owned() };
        }
        TlsError::file(key_origin, error)
    })?;
    Ok((names, Arc::new(certified)))
}

/// Reads a certificate: its time must be now; the names it is for.
fn check(certificate: &CertificateDer<'_>, origin: &str) -> Result<Vec<String>, TlsError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| TlsError::file(origin, error))?;
    let now = i64::try_from(clock::unix_millis() / 1000).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if validity.not_after.timestamp() < now {
        return Err(TlsError::Expired { origin: origin.to_owned(), at: validity.not_after.to_string() });
    }
    if validity.not_before.timestamp() > now {
        return Err(TlsError::NotYetValid { origin: origin.to_owned(), at: validity.not_before.to_string() });
    }
    let names = parsed.subject_alternative_name().map_err(|error| TlsError::file(origin, error))?;
    let general = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    Ok(general
        .iter()
        .filter_map(|name| if let GeneralName::DNSName(dns) = name { Some(dns.to_ascii_lowercase()) } else { None })
        .collect())
}
