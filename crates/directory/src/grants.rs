//! In whose names an account may write beside its own: addresses and domains that an operator has granted it.

use rusqlite::{Connection, Transaction};

use posthouse_mail::Address;

use crate::account::AccountId;
use crate::directory::{Directory, existing, millis, now};
use crate::error::DirectoryError;
use crate::lists::{self, SenderPattern};
use crate::names::fold;

/// The grants that one account may have.
pub const GRANTS_MAX: u32 = 1_000;

impl Directory {
    /// Lets an account write in the name of an address, or of all in a domain and those below it. Whether anybody has it does not matter: two people may
    /// both answer for `team@`.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::TooManyGrants`], storage errors.
    pub async fn grant(&self, account: &Address, pattern: &SenderPattern) -> Result<(), DirectoryError> {
        let (account, pattern, made) = (account.clone(), pattern.to_string(), millis(now()));
        let work = move |connection: &Transaction<'_>| {
            let seq = lists::seq(connection, &existing(connection, &account)?.id)?;
            let insert = "INSERT OR IGNORE INTO sender_grant (account, pattern, made) VALUES (?1, ?2, ?3)";
            connection.execute(insert, (seq, pattern, made))?;
            let count = "SELECT count(*) FROM sender_grant WHERE account = ?1";
            let count: u32 = connection.query_row(count, [seq], |row| row.get(0))?;
            if count > GRANTS_MAX { Err(DirectoryError::TooManyGrants(account)) } else { Ok(()) }
        };
        self.store().write(work).await
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::NoSuchGrant`], storage errors.
    pub async fn revoke(&self, account: &Address, pattern: &SenderPattern) -> Result<(), DirectoryError> {
        let (account, pattern) = (account.clone(), pattern.clone());
        let work = move |connection: &Transaction<'_>| {
            let seq = lists::seq(connection, &existing(connection, &account)?.id)?;
            let delete = "DELETE FROM sender_grant WHERE account = ?1 AND pattern = ?2";
            let gone = connection.execute(delete, (seq, pattern.to_string()))?;
            if gone == 0 { Err(DirectoryError::NoSuchGrant(account, pattern)) } else { Ok(()) }
        };
        self.store().write(work).await
    }

    /// What an account was granted, in order.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], storage errors.
    pub async fn grants(&self, account: &Address) -> Result<Vec<String>, DirectoryError> {
        self.store().read(|connection| {
            let seq = lists::seq(connection, &existing(connection, account)?.id)?;
            let mut statement =
                connection.prepare_cached("SELECT pattern FROM sender_grant WHERE account = ?1 ORDER BY pattern")?;
            let rows = statement.query_map([seq], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Whether the account was granted this address, with or without its detail, or a domain that it is in.
pub(crate) fn is_granted(connection: &Connection, account: &AccountId, address: &Address) -> Result<bool, DirectoryError> {
    let select =
        "SELECT 1 FROM sender_grant JOIN account ON account.seq = sender_grant.account WHERE account.id = ?1 AND pattern = ?2";
    let mut statement = connection.prepare_cached(select)?;
    let folded = fold(address.local().as_str());
    let base = folded.split_once('+').map(|(base, _)| format!("{base}@{}", address.domain()));
    for pattern in lists::patterns(address).chain(base) {
        if statement.exists((account.as_str(), pattern))? {
            return Ok(true);
        }
    }
    Ok(false)
}
