//! Whose letters an account wants, and whose not.

use serde::Serialize;

use posthouse_directory::{SenderPattern, SenderRule};
use posthouse_mail::Address;

use crate::admin::Admin;
use crate::error::AdminError;

/// A rule of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SenderRuleInfo {
    /// The address or domain.
    pub sender: String,
    /// `allow` or `block`.
    pub rule: String,
    /// When it was made, RFC 3339.
    pub made: String,
}

impl Admin {
    /// Makes a rule; one for the same sender goes.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::list_sender`].
    pub async fn list_sender(&self, account: &Address, sender: &SenderPattern, rule: SenderRule) -> Result<(), AdminError> {
        Ok(self.directory.list_sender(account, sender, rule).await?)
    }

    /// Takes a rule away.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::unlist_sender`].
    pub async fn unlist_sender(&self, account: &Address, sender: &SenderPattern) -> Result<(), AdminError> {
        Ok(self.directory.unlist_sender(account, sender).await?)
    }

    /// The rules of an account.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::sender_rules`].
    pub async fn sender_rules(&self, account: &Address) -> Result<Vec<SenderRuleInfo>, AdminError> {
        let rules = self.directory.sender_rules(account).await?.into_iter().map(|entry| SenderRuleInfo {
            sender: entry.pattern.to_string(),
            rule: entry.rule.name().to_owned(),
            made: entry.made.to_string(),
        });
        Ok(rules.collect())
    }
}
