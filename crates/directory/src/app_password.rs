//! App passwords: one for each device or program, of its own, for some protocols, for some time.
//!
//! They are made here and never chosen: a hundred random bits. So a plain digest of one tells nothing, comparing costs microseconds, and no
//! list of common passwords has it. The login is the account's own with a mechanism that shows the password; with the name behind a `+`
//! (`alice+phone@example.org`) it is that app password alone, and SCRAM works too, since its keys are then known before the proof.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest, Sha256};
use thiserror::Error;

use posthouse_mail::{Address, UnixMillis};
use posthouse_runtime::{random, task};
use posthouse_sasl::{Password, prepare_password};

use crate::directory::{Directory, existing, millis, now};
use crate::error::DirectoryError;
use crate::guard::LastUse;
use crate::names::fold;
use crate::protocol::Protocol;
use crate::scram::{KeyLines, key_lines};

/// The app passwords that one account may have.
pub const APP_PASSWORDS_MAX: u32 = 50;

/// The name of an app password: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppPasswordName(String);

/// A text that is not an [`AppPasswordName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the name of an app password has 1 to 32 characters: letters a to z, digits and `-`")]
pub struct AppPasswordNameError;

/// An app password, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Its name, which also stands in the login.
    pub name: AppPasswordName,
    /// What it is good for.
    pub protocols: Vec<Protocol>,
    /// When it was made.
    pub created: UnixMillis,
    /// When it stops working.
    pub expires: Option<UnixMillis>,
    /// When and where it was last used.
    pub last_used: Option<LastUse>,
}

/// A row of the table, with what a log-in needs.
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) expires: Option<UnixMillis>,
    pub(crate) scram_keys: String,
    pub(crate) scram_sha1_keys: Option<String>,
    created: UnixMillis,
}

impl AppPasswordName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppPasswordName {
    type Err = AppPasswordNameError;

    fn from_str(text: &str) -> Result<Self, AppPasswordNameError> {
        let fits = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
        let is_name = (1..=32).contains(&text.len()) && text.bytes().all(fits);
        is_name.then(|| Self(text.to_owned())).ok_or(AppPasswordNameError)
    }
}

impl fmt::Display for AppPasswordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Directory {
    /// Makes an app password and says it, once: it is stored nowhere.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::AppPasswordExists`], [`DirectoryError::TooManyAppPasswords`], storage errors.
    pub async fn add_app_password(
        &self,
        address: &Address,
        name: &AppPasswordName,
        protocols: &[Protocol],
        expires: Option<UnixMillis>,
    ) -> Result<(AppPassword, Password), DirectoryError> {
        let password = prepare_password(&generate())?;
        let login = format!("{}+{name}@{}", address.local(), address.domain());
        let keys = task::blocking({
            let (password, salt) = (password.clone(), self.sha1_salt(&login));
            move || key_lines(&password, salt.as_ref())
        });
        let (keys, digest) = (keys.await?, digest(&password));
        let mut protocols = protocols.to_vec();
        protocols.sort_unstable();
        protocols.dedup();
        let added = AppPassword { name: name.clone(), protocols, created: now(), expires, last_used: None };
        let (address, row) = (address.clone(), added.clone());
        let work = move |connection: &rusqlite::Transaction<'_>| {
            let account = existing(connection, &address)?;
            let seq: i64 =
                connection.query_row("SELECT seq FROM account WHERE id = ?1", [account.id.as_str()], |row| row.get(0))?;
            let count: u32 =
                connection.query_row("SELECT count(*) FROM app_password WHERE account = ?1", [seq], |row| row.get(0))?;
            if count >= APP_PASSWORDS_MAX {
                return Err(DirectoryError::TooManyAppPasswords(address));
            }
            let KeyLines { sha256, sha1 } = keys;
            let names: Vec<_> = row.protocols.iter().map(|protocol| protocol.name()).collect();
            let added = connection.execute(
                "INSERT INTO app_password (account, name, digest, scram_keys, scram_sha1_keys, protocols, created, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (account, name) DO NOTHING",
                (seq, row.name.as_str(), digest, sha256, sha1, names.join(" "), millis(row.created), row.expires.map(millis)),
            )?;
            if added == 0 { Err(DirectoryError::AppPasswordExists(address, row.name)) } else { Ok(()) }
        };
        self.store().write(work).await?;
        Ok((added, password))
    }

    /// The app passwords of an account, by name.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], storage errors.
    pub async fn app_passwords(&self, address: &Address) -> Result<Vec<AppPassword>, DirectoryError> {
        let rows = self.store().read(|connection| {
            let account = existing(connection, address)?;
            let mut statement =
                connection.prepare_cached(&format!("{SELECT} WHERE account.id = ?1 ORDER BY app_password.name"))?;
            let rows = statement.query_map([account.id.as_str()], stored)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        let row = |row: Stored| {
            let last_used = self.guard().last_use(row.id)?;
            let name = row.name.parse().map_err(|_| DirectoryError::corrupt("the app password", &row.name))?;
            Ok(AppPassword { name, protocols: row.protocols, created: row.created, expires: row.expires, last_used })
        };
        rows.into_iter().map(row).collect()
    }

    /// Takes an app password away. Whoever is logged in with it stays so until the connection ends.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::NoSuchAppPassword`], storage errors.
    pub async fn remove_app_password(&self, address: &Address, name: &AppPasswordName) -> Result<(), DirectoryError> {
        let (address, name) = (address.clone(), name.clone());
        let work = move |connection: &rusqlite::Transaction<'_>| {
            let account = existing(connection, &address)?;
            let removed = connection.execute(
                "DELETE FROM app_password WHERE name = ?2 AND account = (SELECT seq FROM account WHERE id = ?1)",
                (account.id.as_str(), name.as_str()),
            )?;
            if removed == 0 { Err(DirectoryError::NoSuchAppPassword(address, name)) } else { Ok(()) }
        };
        self.store().write(work).await
    }
}

const SELECT: &str =
    "SELECT app_password.id, app_password.name, app_password.protocols, app_password.created, app_password.expires,
     app_password.scram_keys, app_password.scram_sha1_keys FROM app_password JOIN account ON account.seq = app_password.account";

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let protocols: String = row.get(2)?;
    let time = |millis: i64| UnixMillis(u64::try_from(millis).unwrap_or_default());
    Ok(Stored {
        id: row.get(0)?,
        name: row.get(1)?,
        // One that this version does not know grants nothing.
        protocols: protocols.split(' ').filter_map(|name| name.parse().ok()).collect(),
        created: time(row.get(3)?),
        expires: row.get::<_, Option<i64>>(4)?.map(time),
        scram_keys: row.get(5)?,
        scram_sha1_keys: row.get(6)?,
    })
}

/// The app password that this is, of the account.
pub(crate) fn matching(connection: &Connection, account: &str, password: &Password) -> Result<Option<Stored>, DirectoryError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE account.id = ?1 AND app_password.digest = ?2"))?;
    Ok(statement.query_row((account, digest(password)), stored).optional()?)
}

/// The app password of this name.
pub(crate) fn named(connection: &Connection, account: &str, name: &str) -> Result<Option<Stored>, DirectoryError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE account.id = ?1 AND app_password.name = ?2"))?;
    Ok(statement.query_row((account, name), stored).optional()?)
}

/// A login as the account's and, behind `+`, the name of an app password.
pub(crate) fn split(login: &Address) -> Option<(Address, String)> {
    let local = fold(login.local().as_str());
    let (base, name) = local.split_once('+')?;
    let base = format!("{base}@{}", login.domain()).parse().ok()?;
    Some((base, name.to_owned()))
}

/// Five groups of four out of 32 characters that cannot be taken for each other.
pub(crate) fn generate() -> String {
    const ALPHABET: [u8; 32] = *b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut octets = [0; 20];
    random::fill(&mut octets);
    let mut text = String::with_capacity(24);
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET.get(usize::from(octet % 32)).copied().unwrap_or(b'a')));
    }
    text
}

/// Spaces and hyphens are there for the eye: with or without them it is the same password.
fn digest(password: &Password) -> [u8; 32] {
    let bare: String = password.reveal().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    Sha256::digest(bare.as_bytes()).into()
}

#[cfg(test)]
mod tests;
