//! The keys of SCRAM that are kept of a password.
//!
//! Those of SHA-256 are made whenever a password is. Those of SHA-1 came later and may be forbidden ([`LoginSettings::scram_sha1`]), so an account may have none: they are
//! then made when its password is next seen in clear, with the salt that was said to be the account's all the while, so that nobody sees the difference.

use rusqlite::Connection;

use posthouse_runtime::{random, task};
use posthouse_sasl::{Password, SALT_BYTES, ScramHash, ScramKeys, login_salt};

use crate::account::AccountId;
use crate::directory::Directory;
use crate::error::DirectoryError;
use crate::guard::LoginSettings;

/// The lines that are stored.
pub(crate) struct KeyLines {
    pub(crate) sha256: String,
    pub(crate) sha1: Option<String>,
}

/// Whose keys are not there yet.
#[derive(Debug, Clone)]
pub(crate) enum Lacking {
    Account(AccountId),
    AppPassword(i64),
}

/// The keys of a password. Takes a tenth of a second.
///
/// The salt of SHA-256 is random, and told to everybody who asks, so it is no other hash's.
pub(crate) fn key_lines(password: &Password, sha1_salt: Option<&[u8; SALT_BYTES]>) -> Result<KeyLines, DirectoryError> {
    let mut salt = [0; SALT_BYTES];
    random::fill(&mut salt);
    let sha1 = sha1_salt.map(|salt| key_line(ScramHash::Sha1, password, salt)).transpose()?;
    Ok(KeyLines { sha256: key_line(ScramHash::Sha256, password, &salt)?, sha1 })
}

fn key_line(hash: ScramHash, password: &Password, salt: &[u8]) -> Result<String, DirectoryError> {
    let keys = ScramKeys::derive(hash, password, salt, hash.iterations());
    keys.map(|keys| keys.encode()).map_err(|error| DirectoryError::Storage(format!("SCRAM keys cannot be made: {error}")))
}

/// Reads a line. It is not shown in the error: keys are secret.
pub(crate) fn decoded(line: &str, whose: &str) -> Result<ScramKeys, DirectoryError> {
    ScramKeys::decode(line).map_err(|_| DirectoryError::corrupt("the SCRAM keys of", whose))
}

impl Directory {
    /// Takes what an operator says of log-ins; until then the defaults hold. Keys that are not to be kept any more are dropped.
    ///
    /// # Errors
    /// Storage errors.
    pub fn configure(&self, settings: LoginSettings) -> Result<(), DirectoryError> {
        let keeps_sha1 = settings.scram_sha1;
        self.guard().configure(settings);
        if keeps_sha1 {
            return Ok(());
        }
        let kept = "SELECT EXISTS (SELECT 1 FROM account WHERE scram_sha1_keys IS NOT NULL)
                    OR EXISTS (SELECT 1 FROM app_password WHERE scram_sha1_keys IS NOT NULL)";
        if !self.store().read(|connection| Ok(connection.query_row(kept, [], |row| row.get::<_, bool>(0))?))? {
            return Ok(());
        }
        self.store().write_here(|connection| {
            connection.execute("UPDATE account SET scram_sha1_keys = NULL", [])?;
            connection.execute("UPDATE app_password SET scram_sha1_keys = NULL", [])?;
            Ok(())
        })
    }

    /// Whether SCRAM-SHA-1 is offered.
    #[must_use]
    pub fn takes_scram_sha1(&self) -> bool {
        self.guard().settings().scram_sha1
    }

    /// The salt for the keys of SHA-1 of this login; `None` if none are to be kept.
    pub(crate) fn sha1_salt(&self, login: &str) -> Option<[u8; SALT_BYTES]> {
        self.takes_scram_sha1().then(|| login_salt(ScramHash::Sha1, login, self.fake_salt_seed()))
    }

    /// Makes the keys of SHA-1 of a password that was just found right, if they are wanted and not there. The log-in is right also when this fails.
    pub(crate) async fn complete_keys(&self, lacking: Lacking, login: &str, password: Password) {
        let Some(salt) = self.sha1_salt(login) else { return };
        let made = task::blocking(move || key_line(ScramHash::Sha1, &password, &salt)).await;
        let stored = match made {
            Ok(line) => self.store().write(move |connection| keep_sha1(connection, &lacking, &line)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::warn!(%error, login, "the keys for SCRAM-SHA-1 could not be made");
        }
    }
}

fn keep_sha1(connection: &Connection, lacking: &Lacking, line: &str) -> Result<(), DirectoryError> {
    match lacking {
        Lacking::Account(id) => connection
            .execute("UPDATE account SET scram_sha1_keys = ?2 WHERE id = ?1 AND scram_sha1_keys IS NULL", (id.as_str(), line))?,
        Lacking::AppPassword(id) => connection
            .execute("UPDATE app_password SET scram_sha1_keys = ?2 WHERE id = ?1 AND scram_sha1_keys IS NULL", (id, line))?,
    };
    Ok(())
}
