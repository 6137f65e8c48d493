//! Domains, accounts and aliases.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use posthouse_config::Secret;
use posthouse_directory::{Account, Directory, LoginSettings};
use posthouse_journal::Reader;
use posthouse_mail::{Address, Domain};
use posthouse_mailbox::Mailboxes;

use crate::error::AdminError;
use crate::keys;
use crate::results::{AccountInfo, AliasInfo, DomainInfo, RemovedAccount};

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

    /// The same, as an operator's configuration has it.
    ///
    /// # Errors
    /// Storage errors.
    pub fn configured(self, logins: LoginSettings) -> Result<Self, AdminError> {
        self.directory.configure(logins)?;
        Ok(self)
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
        // They sign at once: there are none before them that could go on.
        let keys = keys::fresh(&[])?;
        self.directory.add_domain(domain).await?;
        self.directory.add_keys(domain, keys).await?;
        Ok(domain.into())
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

#[cfg(test)]
mod tests;
