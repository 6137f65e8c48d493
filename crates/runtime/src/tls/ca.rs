//! A certificate authority of our own, for servers that have no certificate yet and for throw-away ones.
//!
//! Two files in a directory, made on first use: `ca.pem`, which clients are told to trust, and `ca.key`, readable by the owner alone. The
//! directory is ours, so it is never cleaned, and files that do not fit each other are an error, never replaced: clients trust them.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use super::TlsError;
use crate::clock;

const DAY: Duration = Duration::from_hours(24);
/// The time of the authority itself: clients have to be told by hand when it changes.
const CA_DAYS: u32 = 3650;
/// The time of the certificates it issues; 398 days is what clients accept at most.
const LEAF_DAYS: u32 = 397;

/// A certificate authority in a directory.
pub struct Ca {
    authority: Authority,
    certificate_path: PathBuf,
}

/// Whoever signs.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Ca {
    /// Opens the authority in `dir`, or makes one there (ECDSA P-256, ten years).
    ///
    /// # Errors
    /// The files cannot be read or written, or are not a CA's.
    pub fn load_or_create(dir: &Path) -> Result<Self, TlsError> {
        let certificate_path = dir.join("ca.pem");
        let key_path = dir.join("ca.key");
        let key_origin = key_path.display().to_string();
        make_dir(dir)?;
        // The key is written first: a crash between the two leaves a key without a certificate, which is then made for it.
        let key = match read(&key_path)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|error| TlsError::file(&key_origin, error))?,
            None if certificate_path.exists() => {
                return Err(TlsError::file(&key_origin, "the key of ca.pem beside it is missing"));
            }
            None => {
                let key = KeyPair::generate().map_err(|error| TlsError::Setup(error.to_string()))?;
                write_new(&key_path, &key.serialize_pem(), 0o600)?;
                key
            }
        };
        let pem = match read(&certificate_path)? {
            Some(pem) => pem,
            None => {
                let pem = self_signed(&key)?;
                write_new(&certificate_path, &pem, 0o644)?;
                pem
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&pem, key)
            .map_err(|error| TlsError::file(&certificate_path.display().to_string(), error))?;
        Ok(Self { authority: Authority { issuer, pem }, certificate_path })
    }

    /// Issues a certificate for host names and IP addresses, valid for a year: the chain and its key, in PEM form.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn issue(&self, names: &[String]) -> Result<(String, String), TlsError> {
        self.authority.issue(names)
    }

    /// The file that clients are told to trust.
    #[must_use]
    pub fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }
}

impl Authority {
    /// One that nobody has seen before and that is gone with the process.
    pub(super) fn throw_away() -> Result<Self, TlsError> {
        let key = KeyPair::generate().map_err(|error| TlsError::Setup(error.to_string()))?;
        let pem = self_signed(&key)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|error| TlsError::Setup(error.to_string()))?;
        Ok(Self { issuer, pem })
    }

    pub(super) fn issue(&self, names: &[String]) -> Result<(String, String), TlsError> {
        let failed = |error: rcgen::Error| TlsError::Setup(format!("no certificate for {}: {error}", names.join(", ")));
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(names).map_err(failed)?;
        set_time(&mut params, LEAF_DAYS);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names.first().map_or("posthouse", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok((format!("{}{}", certificate.pem(), self.pem), key.serialize_pem()))
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("certificate_path", &self.certificate_path).finish_non_exhaustive()
    }
}

fn self_signed(key: &KeyPair) -> Result<String, TlsError> {
    Ok(ca_params().self_signed(key).map_err(|error| TlsError::Setup(error.to_string()))?.pem())
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    set_time(&mut params, CA_DAYS);
    params.distinguished_name = rcgen::DistinguishedName::new();
    // The random part tells two authorities apart in a client's list of them.
    let tag = format!("{:08x}", crate::random::u64() & 0xffff_ffff);
    params.distinguished_name.push(DnType::CommonName, format!("Posthouse CA {tag}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From yesterday, for clients whose clocks are late.
fn set_time(params: &mut CertificateParams, days: u32) {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(clock::unix_millis());
    params.not_before = now - DAY;
    params.not_after = now + DAY * days;
}

fn make_dir(dir: &Path) -> Result<(), TlsError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(dir);
    made.map_err(|source| TlsError::Write { path: dir.to_owned(), source })
}

fn read(path: &Path) -> Result<Option<String>, TlsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TlsError::Read { path: path.to_owned(), source }),
    }
}

/// Writes beside and renames: the file is whole or not there.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let failed = |source| TlsError::Write { path: path.to_owned(), source };
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed)
}
