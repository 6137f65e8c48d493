//! In whose names an account may write beside its own.

use posthouse_directory::SenderPattern;
use posthouse_mail::Address;

use crate::admin::Admin;
use crate::error::AdminError;

impl Admin {
    /// Lets an account write in the name of an address, or of all in a domain.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::grant`].
    pub async fn grant(&self, account: &Address, sender: &SenderPattern) -> Result<(), AdminError> {
        Ok(self.directory.grant(account, sender).await?)
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::revoke`].
    pub async fn revoke(&self, account: &Address, sender: &SenderPattern) -> Result<(), AdminError> {
        Ok(self.directory.revoke(account, sender).await?)
    }

    /// What an account was granted: addresses and domains, in order.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::grants`].
    pub async fn grants(&self, account: &Address) -> Result<Vec<String>, AdminError> {
        Ok(self.directory.grants(account).await?)
    }
}
