//! What the directory asks of whoever else knows passwords, such as an LDAP directory of the operator's.

use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;

use posthouse_mail::{Address, Domain};

use crate::account::Account;
use crate::app_password::generate;
use crate::directory::{Directory, login_address};
use crate::error::DirectoryError;

/// An answer that may take the time of a question to another host.
pub type OutsideChecking<'a> = Pin<Box<dyn Future<Output = Result<bool, Unavailable>> + Send + 'a>>;

/// Knows passwords that we do not.
pub trait OutsidePasswords: Send + Sync {
    /// Whether it alone knows the passwords of the accounts of this domain.
    fn speaks_for(&self, domain: &Domain) -> bool;

    /// Whether an account is to be made for somebody whom it knows and we do not.
    fn creates(&self) -> bool;

    /// Whether this is the password. An unknown login takes as long as a known one.
    fn check<'a>(&'a self, login: &'a str, password: &'a str) -> OutsideChecking<'a>;
}

/// It cannot be asked: it may work later.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

impl Directory {
    /// Takes who else knows passwords; `None`: nobody does.
    pub fn trust_passwords(&self, outside: Option<Arc<dyn OutsidePasswords>>) {
        self.outside().set(outside);
    }

    /// Whether SCRAM is possible: nobody outside says its keys.
    #[must_use]
    pub fn takes_scram(&self) -> bool {
        self.outside().get().is_none()
    }

    /// Who else knows the password of this login, if it is of a domain of ours.
    pub(crate) async fn asked_outside(&self, login: &str) -> Result<Option<Arc<dyn OutsidePasswords>>, DirectoryError> {
        let (Some(outside), Some(address)) = (self.outside().get(), login_address(login)) else { return Ok(None) };
        let is_theirs = outside.speaks_for(address.domain()) && self.is_local(address.domain()).await?;
        Ok(is_theirs.then_some(outside))
    }

    /// Makes the account of somebody who is known outside. Its own password nobody knows.
    pub(crate) async fn adopt(&self, login: &str) -> Result<Option<Account>, DirectoryError> {
        let Some(address): Option<Address> = login_address(login) else { return Ok(None) };
        match self.add_account(&address, &generate()).await {
            Ok(account) => {
                tracing::info!(%address, "an account was made for somebody whom the LDAP directory knows");
                Ok(Some(account))
            }
            // Two log-ins at once, or an alias of this name: then it is nobody's own.
            Err(DirectoryError::AccountExists(_)) => self.account(login).await,
            Err(DirectoryError::AliasExists(_) | DirectoryError::CatchAllAccount(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
