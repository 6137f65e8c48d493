//! Log-ins: app passwords, and who is slowed down for wrong passwords.

use serde::Serialize;

use posthouse_config::Secret;
use posthouse_directory::{AppPassword, AppPasswordName, LoginSettings, Protocol, SlowedSubject};
use posthouse_mail::{Address, UnixMillis};

use crate::admin::Admin;
use crate::error::AdminError;

/// An app password, without the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppPasswordInfo {
    /// Its name.
    pub name: String,
    /// The login that means this one alone, for clients that use SCRAM.
    pub login: String,
    /// What it is for: `smtp`, `pop3`.
    pub protocols: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it stops working, RFC 3339.
    pub expires: Option<String>,
    /// When it was last used, RFC 3339.
    pub last_used: Option<String>,
    /// From which address.
    pub last_peer: Option<String>,
    /// For what.
    pub last_protocol: Option<String>,
}

/// Somebody whose log-ins are slowed down.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowedInfo {
    /// `address`, `network`, `account`, or `place`: an account at an address where it is known.
    pub kind: String,
    /// The account, if it is one.
    pub account: Option<String>,
    /// The address or network, if it is one.
    pub place: Option<String>,
    /// Wrong passwords, less what time has forgiven.
    pub failures: f64,
    /// The last of them, RFC 3339.
    pub last: String,
    /// Seconds until the next try is looked at.
    pub wait: u64,
}

impl Admin {
    /// Makes an app password. It is said here and never again.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::add_app_password`]; [`AdminError::Invalid`] for no protocol.
    pub async fn add_app_password(
        &self,
        address: &Address,
        name: &AppPasswordName,
        protocols: &[Protocol],
        expires: Option<UnixMillis>,
    ) -> Result<(AppPasswordInfo, Secret), AdminError> {
        if protocols.is_empty() {
            return Err(AdminError::Invalid("an app password is for one protocol at least".to_owned()));
        }
        let (added, password) = self.directory.add_app_password(address, name, protocols, expires).await?;
        Ok((app_password(address, added), Secret::new(password.reveal())))
    }

    /// The app passwords of an account.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::app_passwords`].
    pub async fn app_passwords(&self, address: &Address) -> Result<Vec<AppPasswordInfo>, AdminError> {
        let found = self.directory.app_passwords(address).await?;
        Ok(found.into_iter().map(|one| app_password(address, one)).collect())
    }

    /// Takes an app password away.
    ///
    /// # Errors
    /// As [`posthouse_directory::Directory::remove_app_password`].
    pub async fn remove_app_password(&self, address: &Address, name: &AppPasswordName) -> Result<(), AdminError> {
        Ok(self.directory.remove_app_password(address, name).await?)
    }

    /// Whose log-ins are slowed down, by these limits.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn slowed(&self, limits: LoginSettings) -> Result<Vec<SlowedInfo>, AdminError> {
        self.directory.configure(limits)?;
        Ok(self.directory.guard().slowed().await?.into_iter().map(SlowedInfo::from).collect())
    }

    /// Forgets what went wrong for an account, an address or a network; for everybody with `None`. Says how much there was.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn clear_slowed(&self, subject: Option<String>) -> Result<usize, AdminError> {
        Ok(self.directory.guard().clear(subject).await?)
    }
}

fn app_password(address: &Address, one: AppPassword) -> AppPasswordInfo {
    let AppPassword { name, protocols, created, expires, last_used } = one;
    AppPasswordInfo {
        login: format!("{}+{name}@{}", address.local(), address.domain()),
        name: name.to_string(),
        protocols: protocols.iter().map(ToString::to_string).collect(),
        created: created.to_string(),
        expires: expires.map(|at| at.to_string()),
        last_used: last_used.as_ref().map(|last| last.at.to_string()),
        last_peer: last_used.as_ref().map(|last| last.peer.clone()),
        last_protocol: last_used.map(|last| last.protocol),
    }
}

impl From<SlowedSubject> for SlowedInfo {
    fn from(slowed: SlowedSubject) -> Self {
        let SlowedSubject { subject, failures, last, wait } = slowed;
        let given = |text: String| (!text.is_empty()).then_some(text);
        Self {
            kind: subject.kind.name().to_owned(),
            account: given(subject.account),
            place: given(subject.place),
            failures: (failures * 10.0).round() / 10.0,
            last: last.to_string(),
            wait: wait.as_secs(),
        }
    }
}
