//! What the directory holds: accounts and aliases.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use posthouse_mail::{Address, LetterId, UnixMillis};

/// The identity of an account: opaque, never reused, never made of what a user typed, and safe as the name of a folder (26 digits and
/// upper-case letters).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Arc<str>);

/// A text that is not an [`AccountId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an account's id has 26 characters, digits and letters without I, L, O and U")]
pub struct AccountIdError;

/// Somebody who receives mail here and can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Stays when the address changes; names the mailbox.
    pub id: AccountId,
    /// The address, as the operator wrote it; it is the login too.
    pub address: Address,
    /// When the account was added.
    pub created: UnixMillis,
}

/// A name that leads to other addresses. The local part `*` stands for every name of its domain that has no entry of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub address: Address,
    /// Where it leads, in the order given.
    pub targets: Vec<Address>,
}

/// What a removed account leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The account; the mailbox folder named by its id is still there.
    pub account: Account,
    /// The aliases that still name its address.
    pub aliases: Vec<Address>,
}

impl AccountId {
    /// A new id. It shares the form of a letter's id: a ULID, ordered by time.
    pub(crate) fn new(time: UnixMillis, random: u128) -> Self {
        Self(LetterId::new(time, random).to_string().into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = AccountIdError;

    fn from_str(text: &str) -> Result<Self, AccountIdError> {
        text.parse::<LetterId>().map(|id| Self(id.to_string().into())).map_err(|_| AccountIdError)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({self})")
    }
}
