//! The keys with which a domain signs its letters.
//!
//! They stand in the table `secret`, one row each, under `dkim/<domain>/<selector>`; what the octets mean is the caller's business. The file is
//! readable by its owner alone.

use rusqlite::Transaction;

use posthouse_mail::Domain;

use crate::directory::Directory;
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

impl Directory {
    /// Keeps keys of a domain; of a selector that is there already the old key goes.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], storage errors.
    pub async fn add_keys(&self, domain: &Domain, keys: Vec<StoredKey>) -> Result<(), DirectoryError> {
        let domain = domain.clone();
        self.store()
            .write(move |connection| {
                names::domain_id(connection, &domain)?.ok_or_else(|| DirectoryError::NoSuchDomain(domain.clone()))?;
                for StoredKey { selector, octets } in keys {
                    let name = format!("{}{selector}", prefix(&domain));
                    connection.execute("INSERT OR REPLACE INTO secret (name, octets) VALUES (?1, ?2)", (name, octets))?;
                }
                Ok(())
            })
            .await
    }

    /// The keys of a domain, by selector. None for a domain that is not ours.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn keys(&self, domain: &Domain) -> Result<Vec<StoredKey>, DirectoryError> {
        let prefix = prefix(domain);
        self.store().read(|connection| {
            // `0` is the character behind `/`.
            let end = format!("{}0", prefix.trim_end_matches('/'));
            let mut statement =
                connection.prepare_cached("SELECT name, octets FROM secret WHERE name >= ?1 AND name < ?2 ORDER BY name")?;
            let rows = statement.query_map([&prefix, &end], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            rows.map(|row| {
                let (name, octets) = row?;
                Ok(StoredKey { selector: name.strip_prefix(&prefix).unwrap_or_default().to_owned(), octets })
            })
            .collect()
        })
    }

    /// Forgets a key. Whether it was there.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn remove_key(&self, domain: &Domain, selector: &str) -> Result<bool, DirectoryError> {
        let name = format!("{}{selector}", prefix(domain));
        self.store().write(move |connection| Ok(connection.execute("DELETE FROM secret WHERE name = ?1", [name])? > 0)).await
    }
}

/// A domain that is given up leaves no key behind.
pub(crate) fn remove_keys(connection: &Transaction<'_>, domain: &Domain) -> Result<(), DirectoryError> {
    let prefix = prefix(domain);
    let end = format!("{}0", prefix.trim_end_matches('/'));
    connection.execute("DELETE FROM secret WHERE name >= ?1 AND name < ?2", [prefix, end])?;
    Ok(())
}

fn prefix(domain: &Domain) -> String {
    format!("dkim/{domain}/")
}

/// Nothing of the key.
impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKey").field("selector", &self.selector).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use posthouse_runtime::block_on;

    use super::*;

    #[test]
    fn a_domain_has_its_own_keys_and_leaves_none_behind() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
            let [one, other]: [Domain; 2] = ["a.test", "a.test.example"].map(|text| text.parse().unwrap());
            let key = |selector: &str| StoredKey { selector: selector.to_owned(), octets: selector.as_bytes().to_vec() };
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
}
