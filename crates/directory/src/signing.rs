//! The keys with which a domain signs its letters.
//!
//! Each has a state ([`KeyState`]) that says whether it signs; who changes it, and when, is the caller's business, and so is what the octets mean.
//! The file is readable by its owner alone.

use rusqlite::Transaction;

use posthouse_mail::{Domain, UnixMillis};

use crate::directory::{Directory, millis, now};
use crate::error::DirectoryError;
use crate::names;

/// A key as it is kept. Its `Debug` shows no octet.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name under the domain.
    pub selector: String,
    /// The key.
    pub octets: Vec<u8>,
}

/// What a key is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// It is to sign when the DNS has its record.
    Waiting,
    /// It signs.
    Signing,
    /// It signs no more; what it has signed may still be on its way.
    Retired,
}

/// A key with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainKey {
    /// The key.
    pub key: StoredKey,
    /// What it is there for.
    pub state: KeyState,
    /// When it was made.
    pub made: UnixMillis,
    /// When it became what it is.
    pub since: UnixMillis,
}

impl KeyState {
    /// Its name in the file and in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Signing => "signing",
            Self::Retired => "retired",
        }
    }

    /// What this version does not know signs nothing.
    fn named(name: &str) -> Self {
        match name {
            "waiting" => Self::Waiting,
            "signing" => Self::Signing,
            _ => Self::Retired,
        }
    }
}

impl Directory {
    /// Keeps keys of a domain, which sign from now on; of a selector that is there already the old key goes.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], storage errors.
    pub async fn add_keys(&self, domain: &Domain, keys: Vec<StoredKey>) -> Result<(), DirectoryError> {
        self.insert_keys(domain, keys, KeyState::Signing).await
    }

    /// As [`Self::add_keys`], for keys that do not sign yet.
    ///
    /// # Errors
    /// As there.
    pub async fn prepare_keys(&self, domain: &Domain, keys: Vec<StoredKey>) -> Result<(), DirectoryError> {
        self.insert_keys(domain, keys, KeyState::Waiting).await
    }

    async fn insert_keys(&self, domain: &Domain, keys: Vec<StoredKey>, state: KeyState) -> Result<(), DirectoryError> {
        let (domain, at) = (domain.clone(), millis(now()));
        self.store()
            .write(move |connection| {
                names::domain_id(connection, &domain)?.ok_or_else(|| DirectoryError::NoSuchDomain(domain.clone()))?;
                for StoredKey { selector, octets } in keys {
                    connection.execute(
                        "INSERT OR REPLACE INTO signing_key (domain, selector, octets, state, made, since)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                        (domain.as_str(), selector, octets, state.name(), at),
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// The keys with which a domain signs now, by selector. None for a domain that is not ours.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn keys(&self, domain: &Domain) -> Result<Vec<StoredKey>, DirectoryError> {
        self.store().read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT selector, octets FROM signing_key WHERE domain = ?1 AND state = 'signing' ORDER BY selector",
            )?;
            let rows =
                statement.query_map([domain.as_str()], |row| Ok(StoredKey { selector: row.get(0)?, octets: row.get(1)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// All keys of a domain, oldest first.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn all_keys(&self, domain: &Domain) -> Result<Vec<DomainKey>, DirectoryError> {
        self.store().read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT selector, octets, state, made, since FROM signing_key WHERE domain = ?1 ORDER BY made, selector",
            )?;
            let time = |millis: i64| UnixMillis(u64::try_from(millis).unwrap_or_default());
            let rows = statement.query_map([domain.as_str()], |row| {
                Ok(DomainKey {
                    key: StoredKey { selector: row.get(0)?, octets: row.get(1)? },
                    state: KeyState::named(&row.get::<_, String>(2)?),
                    made: time(row.get(3)?),
                    since: time(row.get(4)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Gives keys of a domain other states, all in one step. A selector that is not there is passed over: an operator was faster.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn turn_keys(&self, domain: &Domain, turns: Vec<(String, KeyState)>) -> Result<(), DirectoryError> {
        let (domain, at) = (domain.clone(), millis(now()));
        self.store().write(move |connection| turns.into_iter().try_for_each(|turn| turn_key(connection, &domain, turn, at))).await
    }

    /// Forgets a key. Whether it was there.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn remove_key(&self, domain: &Domain, selector: &str) -> Result<bool, DirectoryError> {
        let (domain, selector) = (domain.clone(), selector.to_owned());
        self.store()
            .write(move |connection| {
                let delete = "DELETE FROM signing_key WHERE domain = ?1 AND selector = ?2";
                Ok(connection.execute(delete, (domain.as_str(), selector))? > 0)
            })
            .await
    }
}

fn turn_key(
    connection: &Transaction<'_>,
    domain: &Domain,
    (selector, state): (String, KeyState),
    at: i64,
) -> Result<(), DirectoryError> {
    let update = "UPDATE signing_key SET state = ?3, since = ?4 WHERE domain = ?1 AND selector = ?2";
    connection.execute(update, (domain.as_str(), selector, state.name(), at))?;
    Ok(())
}

/// Nothing of the key.
impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKey").field("selector", &self.selector).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use posthouse_runtime::block_on;

    use super::*;

    fn key(selector: &str) -> StoredKey {
        StoredKey { selector: selector.to_owned(), octets: selector.as_bytes().to_vec() }
    }

    #[test]
    fn a_domain_has_its_own_keys_and_leaves_none_behind() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
            let [one, other]: [Domain; 2] = ["a.test", "a.test.example"].map(|text| text.parse().unwrap());
            assert!(matches!(directory.add_keys(&one, vec![key("x")]).await, Err(DirectoryError::NoSuchDomain(_))));
            directory.add_domain(&one).await.unwrap();
            directory.add_domain(&other).await.unwrap();
            directory.add_keys(&one, vec![key("r"), key("e")]).await.unwrap();
            directory.add_keys(&other, vec![key("o")]).await.unwrap();
            assert_eq!(directory.keys(&one).await.unwrap(), [key("e"), key("r")]);
            assert!(directory.remove_key(&one, "e").await.unwrap() && !directory.remove_key(&one, "e").await.unwrap());
            directory.remove_domain(&one).await.unwrap();
            directory.add_domain(&one).await.unwrap();
            assert_eq!(directory.keys(&one).await.unwrap(), []);
            assert_eq!(directory.keys(&other).await.unwrap(), [key("o")]);
            assert!(!format!("{:?}", key("secret")).contains('['), "no octets are shown");
        })
        .unwrap();
    }

    #[test]
    fn only_what_signs_is_signed_with() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
            let domain: Domain = "a.test".parse().unwrap();
            directory.add_domain(&domain).await.unwrap();
            directory.add_keys(&domain, vec![key("old")]).await.unwrap();
            directory.prepare_keys(&domain, vec![key("new")]).await.unwrap();
            assert_eq!(directory.keys(&domain).await.unwrap(), [key("old")]);
            let turns = [("new", KeyState::Signing), ("old", KeyState::Retired), ("gone", KeyState::Signing)];
            let turns = turns.map(|(selector, state)| (selector.to_owned(), state)).to_vec();
            directory.turn_keys(&domain, turns).await.unwrap();
            assert_eq!(directory.keys(&domain).await.unwrap(), [key("new")]);
            let all = directory.all_keys(&domain).await.unwrap();
            // Both may have been made in one millisecond.
            let states: BTreeMap<_, _> = all.iter().map(|one| (one.key.selector.as_str(), one.state)).collect();
            assert_eq!(states, BTreeMap::from([("old", KeyState::Retired), ("new", KeyState::Signing)]));
        })
        .unwrap();
    }
}
