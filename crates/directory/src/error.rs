//! What can go wrong, and whose fault it is.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use posthouse_mail::{Address, Domain};
use posthouse_sasl::PrepareError;

use crate::app_password::{APP_PASSWORDS_MAX, AppPasswordName};
use crate::grants::GRANTS_MAX;
use crate::lists::{SENDER_RULES_MAX, SenderPattern};
use crate::names::{ALIAS_DEPTH_MAX, EXPANSION_MAX, TARGETS_MAX};
use crate::outside::Unavailable;

/// Why the directory did not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The domain is not ours.
    #[error("`{0}` is not a domain of this server")]
    NoSuchDomain(Domain),
    /// The domain was added before.
    #[error("`{0}` is a domain of this server already")]
    DomainExists(Domain),
    /// A domain may go only after its accounts.
    #[error("`{domain}` still has {accounts} account(s), `{first}` among them; remove them first")]
    DomainInUse {
        /// The domain.
        domain: Domain,
        /// How many accounts it has.
        accounts: u64,
        /// One of them.
        first: Address,
    },
    /// An address literal is not a name.
    #[error("`{0}` is an address literal; mail domains are names")]
    DomainLiteral(Domain),
    /// There is no such account.
    #[error("there is no account `{0}`")]
    NoSuchAccount(Address),
    /// There is no such alias.
    #[error("there is no alias `{0}`")]
    NoSuchAlias(Address),
    /// The account has no app password of this name.
    #[error("`{0}` has no app password `{1}`")]
    NoSuchAppPassword(Address, AppPasswordName),
    /// The account has an app password of this name.
    #[error("`{0}` has an app password `{1}` already; remove it first, or choose another name")]
    AppPasswordExists(Address, AppPasswordName),
    /// The account has as many as it may have.
    #[error("`{0}` has {APP_PASSWORDS_MAX} app passwords; remove some first")]
    TooManyAppPasswords(Address),
    /// The account says nothing of this sender.
    #[error("`{0}` has no rule for `{1}`")]
    NoSuchSenderRule(Address, SenderPattern),
    /// The account has as many rules as it may have.
    #[error("`{0}` has {SENDER_RULES_MAX} rules for senders; remove some first")]
    TooManySenderRules(Address),
    /// The account was not granted this.
    #[error("`{0}` was not granted `{1}`")]
    NoSuchGrant(Address, SenderPattern),
    /// The account has as many grants as it may have.
    #[error("`{0}` has {GRANTS_MAX} grants; revoke some first, or grant a domain")]
    TooManyGrants(Address),
    /// The name belongs to an account.
    #[error("`{0}` is an account already")]
    AccountExists(Address),
    /// The name belongs to an alias.
    #[error("`{0}` is an alias already")]
    AliasExists(Address),
    /// `*` stands for every other name, so nobody can have it.
    #[error("`{0}` stands for every other name of the domain; make it an alias")]
    CatchAllAccount(Address),
    /// An alias that leads nowhere.
    #[error("the alias `{0}` needs at least one target")]
    NoTargets(Address),
    /// `*` as a target would never end.
    #[error("`{0}` cannot be a target: `*` is not somebody")]
    CatchAllTarget(Address),
    /// An alias with more targets than one may have.
    #[error("the alias `{0}` has more than {TARGETS_MAX} targets")]
    TooManyTargets(Address),
    /// The alias would lead back to itself.
    #[error("the alias `{alias}` would lead to itself through `{through}`")]
    Loop {
        /// The alias that was to be added.
        alias: Address,
        /// The last address before the circle closes.
        through: Address,
    },
    /// Aliases of aliases of aliases.
    #[error("`{0}` leads through more than {ALIAS_DEPTH_MAX} aliases or to more than {EXPANSION_MAX} addresses")]
    TooMuch(Address),
    /// The password cannot be used.
    #[error("the password cannot be used: {0}")]
    Password(#[from] PrepareError),
    /// The file was written by a newer Posthouse.
    #[error("{} has format {found}, and this Posthouse knows formats up to {known}; use the newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// Another process or thread holds the file, or the disk is full: it may work later.
    #[error("the directory is busy or its disk is full: {0}")]
    Busy(String),
    /// The issuer of a token cannot be asked.
    #[error("a token cannot be checked: {0}")]
    Issuer(String),
    /// Whoever knows the passwords cannot be asked.
    #[error("the directory that knows the passwords cannot be asked: {0}")]
    Outside(#[from] Unavailable),
    /// The file cannot be opened, read or written, or what it holds makes no sense.
    #[error("the directory failed: {0}")]
    Storage(String),
}

impl DirectoryError {
    /// Whether the same question may be answered later without anybody's doing: a peer gets a 4xx. Everything the operator or the
    /// user has to change first is permanent for the one who asked, yet for mail on its way [`Self::TooMuch`] and
    /// [`Self::Storage`] are temporary too, since they are our fault.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Issuer(_) | Self::Outside(_) | Self::Storage(_) | Self::TooMuch(_) | Self::Newer { .. } => true,
            Self::NoSuchDomain(_)
            | Self::DomainExists(_)
            | Self::DomainInUse { .. }
            | Self::DomainLiteral(_)
            | Self::NoSuchAccount(_)
            | Self::NoSuchAlias(_)
            | Self::NoSuchAppPassword(..)
            | Self::NoSuchSenderRule(..)
            | Self::TooManySenderRules(_)
            | Self::NoSuchGrant(..)
            | Self::TooManyGrants(_)
            | Self::AppPasswordExists(..)
            | Self::TooManyAppPasswords(_)
            | Self::AccountExists(_)
            | Self::AliasExists(_)
            | Self::CatchAllAccount(_)
            | Self::NoTargets(_)
            | Self::CatchAllTarget(_)
            | Self::TooManyTargets(_)
            | Self::Loop { .. }
            | Self::Password(_) => false,
        }
    }

    pub(crate) fn at(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Storage(format!("{}: {error}", path.display()))
    }

    /// A value in the file that cannot have been written by this code.
    pub(crate) fn corrupt(what: &str, value: &str) -> Self {
        Self::Storage(format!("{what} `{}` makes no sense", value.escape_debug()))
    }
}

impl From<rusqlite::Error> for DirectoryError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => Self::Busy(error.to_string()),
            Some(_) | None => Self::Storage(error.to_string()),
        }
    }
}
