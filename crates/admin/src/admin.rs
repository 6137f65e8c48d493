//! Domains, accounts and aliases.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use posthouse_config::Secret;
use posthouse_directory::{Account, Directory, DirectoryError, REPORTS, StoredKey};
use posthouse_journal::Reader;
use posthouse_mail::{Address, Domain, UnixMillis};
use posthouse_mailauth::dkim::{Algorithm, SigningKey, key_record};
use posthouse_mailbox::Mailboxes;
use posthouse_runtime::clock;

use crate::error::AdminError;
use crate::results::{AccountInfo, AliasInfo, DnsRecord, DomainInfo, RemovedAccount};

/// The operations on one data directory. What it changes a running server sees at once.
#[derive(Clone)]
pub struct Admin {
    pub(crate) directory: Directory,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) journal: Reader,
}

impl Admin {
    /// Works on a data directory that exists.
    ///
    /// # Errors
    /// [`AdminError::NoData`], and whatever opening the files gives.
    pub fn open(data: &Path) -> Result<Self, AdminError> {
        if !data.is_dir() {
            return Err(AdminError::NoData(data.to_owned()));
        }
        let directory = Directory::open(&data.join("directory.sqlite"))?;
        let mailboxes = Mailboxes::open(&data.join("accounts"))?;
        Ok(Self { directory, mailboxes, journal: Reader::new(&data.join("journal.sqlite")) })
    }

    /// Works on a data directory, which is made if it does not exist: for what may be done before the first start of the server.
    ///
    /// # Errors
    /// As [`Self::open`]; [`AdminError::Folder`].
    pub fn open_or_create(data: &Path) -> Result<Self, AdminError> {
        // The server's alone: it holds letters, keys and password hashes.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
        made.map_err(|cause| AdminError::Folder { path: data.to_owned(), cause })?;
        Self::open(data)
    }

    /// Works on what a running server has open.
    #[must_use]
    pub fn new(directory: Directory, mailboxes: Mailboxes, journal: Reader) -> Self {
        Self { directory, mailboxes, journal }
    }

    /// Makes a domain ours, with keys that sign its letters (DKIM): RSA, which everybody reads, and Ed25519 beside it.
    ///
    /// # Errors
    /// As [`Directory::add_domain`]; [`AdminError::Key`].
    pub async fn add_domain(&self, domain: &Domain) -> Result<DomainInfo, AdminError> {
        let keys = fresh_keys(&[])?;
        self.directory.add_domain(domain).await?;
        self.directory.add_keys(domain, keys).await?;
        Ok(domain.into())
    }

    /// Makes new keys beside those a domain has. All sign, so that the old ones hold until the DNS has the new ones.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`AdminError::Key`], storage errors.
    pub async fn add_keys(&self, domain: &Domain) -> Result<Vec<DnsRecord>, AdminError> {
        let keys = fresh_keys(&self.directory.keys(domain).await?)?;
        let records: Result<Vec<_>, _> = keys.iter().map(|key| published(domain, key)).collect();
        self.directory.add_keys(domain, keys).await?;
        records
    }

    /// Signs no more with a key. Its record should stay in the DNS for some days: letters are on their way.
    ///
    /// # Errors
    /// [`AdminError::NoKey`], storage errors.
    pub async fn remove_key(&self, domain: &Domain, selector: &str) -> Result<(), AdminError> {
        if self.directory.remove_key(domain, selector).await? { Ok(()) } else { Err(AdminError::NoKey(selector.to_owned())) }
    }

    /// The records that a domain's DNS should have for its letters to be believed: its keys, SPF, DMARC.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`AdminError::Key`], storage errors.
    pub async fn dns_records(&self, domain: &Domain) -> Result<Vec<DnsRecord>, AdminError> {
        if !self.directory.is_local(domain).await? {
            return Err(DirectoryError::NoSuchDomain(domain.clone()).into());
        }
        let mut records = Vec::new();
        for key in self.directory.keys(domain).await? {
            records.push(published(domain, &key)?);
        }
        // The hosts of its MX send; whoever else does must be added by hand.
        records.push(DnsRecord::txt(domain.to_string(), "v=spf1 mx -all".to_owned()));
        // Reports first; `p=reject` when they show that nothing honest fails. They are read at this address (`posthouse reports`).
        records.push(DnsRecord::txt(format!("_dmarc.{domain}"), format!("v=DMARC1; p=none; rua=mailto:{REPORTS}@{domain}")));
        records.push(DnsRecord::txt(format!("_smtp._tls.{domain}"), format!("v=TLSRPTv1; rua=mailto:{REPORTS}@{domain}")));
        Ok(records)
    }

    /// Gives up a domain and its aliases.
    ///
    /// # Errors
    /// As [`Directory::remove_domain`].
    pub async fn remove_domain(&self, domain: &Domain) -> Result<DomainInfo, AdminError> {
        self.directory.remove_domain(domain).await?;
        Ok(domain.into())
    }

    /// The domains of this server.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn domains(&self) -> Result<Vec<DomainInfo>, AdminError> {
        Ok(self.directory.domains().await?.iter().map(DomainInfo::from).collect())
    }

    /// Adds an account; its address is its login.
    ///
    /// # Errors
    /// As [`Directory::add_account`].
    pub async fn add_account(&self, address: &Address, password: &Secret) -> Result<AccountInfo, AdminError> {
        Ok((&self.directory.add_account(address, password.expose()).await?).into())
    }

    /// Removes an account, and its mail if that is asked for.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`]; when the mail cannot be removed (a session has it open) the account is gone all the same.
    pub async fn remove_account(&self, address: &Address, with_mail: bool) -> Result<RemovedAccount, AdminError> {
        let removed = self.directory.remove_account(address).await?;
        let folder = self.mailboxes.folder(removed.account.id.as_str())?;
        if with_mail {
            self.mailboxes.remove_account(removed.account.id.as_str()).await?;
        }
        Ok(RemovedAccount {
            account: (&removed.account).into(),
            aliases: removed.aliases.iter().map(ToString::to_string).collect(),
            mail_removed: with_mail,
            mail_folder: (!with_mail && folder.exists()).then(|| folder.display().to_string()),
        })
    }

    /// Changes a password.
    ///
    /// # Errors
    /// As [`Directory::set_password`].
    pub async fn set_password(&self, address: &Address, password: &Secret) -> Result<(), AdminError> {
        Ok(self.directory.set_password(address, password.expose()).await?)
    }

    /// The accounts, in the order they were added.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn accounts(&self) -> Result<Vec<AccountInfo>, AdminError> {
        Ok(self.directory.accounts().await?.iter().map(AccountInfo::from).collect())
    }

    /// One account by its address.
    ///
    /// # Errors
    /// [`AdminError::NoAccount`], storage errors.
    pub async fn account(&self, login: &str) -> Result<AccountInfo, AdminError> {
        Ok((&self.existing(login).await?).into())
    }

    /// Adds an alias; `*@domain` takes every name without an entry of its own.
    ///
    /// # Errors
    /// As [`Directory::add_alias`].
    pub async fn add_alias(&self, address: &Address, targets: &[Address]) -> Result<AliasInfo, AdminError> {
        Ok((&self.directory.add_alias(address, targets).await?).into())
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// As [`Directory::remove_alias`].
    pub async fn remove_alias(&self, address: &Address) -> Result<(), AdminError> {
        Ok(self.directory.remove_alias(address).await?)
    }

    /// The aliases.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn aliases(&self) -> Result<Vec<AliasInfo>, AdminError> {
        Ok(self.directory.aliases().await?.iter().map(AliasInfo::from).collect())
    }

    pub(crate) async fn existing(&self, login: &str) -> Result<Account, AdminError> {
        self.directory.account(login).await?.ok_or_else(|| AdminError::NoAccount(login.to_owned()))
    }
}

/// Two keys with the day in their names, so that others can stand beside them when they are changed.
fn fresh_keys(present: &[StoredKey]) -> Result<Vec<StoredKey>, AdminError> {
    // `2026-11-24T…`
    let day: String = UnixMillis(clock::unix_millis()).to_string().chars().take(10).filter(char::is_ascii_digit).collect();
    let fresh = |algorithm, mark: &str| {
        let octets = SigningKey::generate(algorithm).and_then(|key| key.to_pkcs8()).map_err(|_| AdminError::Key)?;
        let names = (1..).map(|number| if number == 1 { format!("{day}{mark}") } else { format!("{day}{mark}{number}") });
        let free = |name: &String| present.iter().all(|key| key.selector != *name);
        names.take(present.len() + 1).find(free).map(|selector| StoredKey { selector, octets }).ok_or(AdminError::Key)
    };
    Ok(vec![fresh(Algorithm::Rsa, "r")?, fresh(Algorithm::Ed25519, "e")?])
}

/// The record of a key.
fn published(domain: &Domain, key: &StoredKey) -> Result<DnsRecord, AdminError> {
    let value = read_key(&key.octets).and_then(|key| key_record(&key).ok()).ok_or(AdminError::Key)?;
    Ok(DnsRecord::txt(format!("{}._domainkey.{domain}", key.selector), value))
}

fn read_key(octets: &[u8]) -> Option<SigningKey> {
    [Algorithm::Rsa, Algorithm::Ed25519].into_iter().find_map(|algorithm| SigningKey::from_der(algorithm, octets).ok())
}

#[cfg(test)]
mod tests;
