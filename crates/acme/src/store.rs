//! The files: the account, and the certificate with its key in one, so that both are replaced in one step.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use posthouse_runtime::tls::{CertificateFiles, CertificateInfo, certificates_of};

use crate::error::AcmeError;

/// A folder of these files.
#[derive(Debug, Clone)]
pub struct Store(PathBuf);

/// What is kept of the account: useless with another authority.
#[derive(serde::Serialize, serde::Deserialize)]
struct KeptAccount {
    directory: String,
    credentials: AccountCredentials,
}

impl Store {
    /// The files under this folder, which is made when the first is written.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where the certificate and its key are.
    #[must_use]
    pub fn files(&self) -> CertificateFiles {
        CertificateFiles { cert: self.certificate_path(), key: self.certificate_path() }
    }

    /// The certificate that is there: its own, without those above it.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateInfo> {
        certificates_of(&fs::read(self.certificate_path()).ok()?).into_iter().next()
    }

    /// The certificate and key as they are.
    #[must_use]
    pub fn pem(&self) -> Option<String> {
        fs::read_to_string(self.certificate_path()).ok()
    }

    /// Where the key of a certificate to come is, if there is one.
    #[must_use]
    pub fn next_key_path(&self) -> PathBuf {
        self.0.join("next-key.pem")
    }

    /// That key.
    #[must_use]
    pub fn next_key(&self) -> Option<String> {
        fs::read_to_string(self.next_key_path()).ok()
    }

    /// Puts a key for a certificate to come in the place of one that is there.
    ///
    /// # Errors
    /// [`AcmeError::File`].
    pub fn put_next_key(&self, pem: &str) -> Result<(), AcmeError> {
        self.write(&self.next_key_path(), pem.as_bytes())
    }

    /// Puts a certificate and its key in the place of those that are there.
    pub(crate) fn put(&self, chain: &str, key: &str) -> Result<(), AcmeError> {
        self.write(&self.certificate_path(), format!("{}\n{key}", chain.trim_end()).as_bytes())
    }

    /// The account with this authority.
    pub(crate) fn account(&self, directory: &str) -> Option<AccountCredentials> {
        let kept: KeptAccount = serde_json::from_slice(&fs::read(self.account_path()).ok()?).ok()?;
        (kept.directory == directory).then_some(kept.credentials)
    }

    pub(crate) fn put_account(&self, directory: &str, credentials: AccountCredentials) -> Result<(), AcmeError> {
        let kept = KeptAccount { directory: directory.to_owned(), credentials };
        let text = serde_json::to_vec(&kept).map_err(|error| AcmeError::file(&self.account_path(), error))?;
        self.write(&self.account_path(), &text)
    }

    fn certificate_path(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    fn account_path(&self) -> PathBuf {
        self.0.join("account.json")
    }

    /// Writes beside and renames: the file is whole or as it was.
    fn write(&self, path: &Path, octets: &[u8]) -> Result<(), AcmeError> {
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let beside = path.with_extension("new");
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(octets)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            fs::File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| AcmeError::file(path, error))
    }
}
