//! The keys that make and know the senders of forwarded letters (SRS).
//!
//! A key makes addresses for a month; it knows its own for longer than they lead back.

use rusqlite::Transaction;

use posthouse_mail::UnixMillis;
use posthouse_runtime::random;

use crate::directory::Directory;
use crate::error::DirectoryError;

const KEY_BYTES: usize = 32;
const DAY_MILLIS: u64 = 86_400_000;
/// How long a key makes addresses, and how many are kept.
const DAYS: u64 = 30;
const KEPT: usize = 3;

impl Directory {
    /// The keys, the one that makes addresses first. A new one is made when its month is over.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn forwarding_keys(&self, now: UnixMillis) -> Result<Vec<Vec<u8>>, DirectoryError> {
        // As a text it sorts like the number.
        let name = format!("srs/{:08}", now.0 / DAY_MILLIS / DAYS);
        let known = self.store().read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT name, octets FROM secret WHERE name >= 'srs/' AND name < 'srs0' ORDER BY name DESC")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        if known.first().is_some_and(|(newest, _)| *newest >= name) {
            return Ok(known.into_iter().map(|(_, octets)| octets).collect());
        }
        self.store().write(move |connection| renew(connection, &name)).await
    }
}

fn renew(connection: &Transaction<'_>, name: &str) -> Result<Vec<Vec<u8>>, DirectoryError> {
    let mut key = [0; KEY_BYTES];
    random::fill(&mut key);
    connection.execute("INSERT INTO secret (name, octets) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (name, key))?;
    connection.execute(
        "DELETE FROM secret WHERE name IN (SELECT name FROM secret WHERE name >= 'srs/' AND name < 'srs0' ORDER BY name DESC LIMIT -1 OFFSET ?1)",
        [i64::try_from(KEPT).unwrap_or(i64::MAX)],
    )?;
    let mut statement =
        connection.prepare("SELECT octets FROM secret WHERE name >= 'srs/' AND name < 'srs0' ORDER BY name DESC")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use posthouse_runtime::block_on;

    use super::*;

    #[test]
    fn a_key_lasts_a_month_and_is_known_for_two_more() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
            let month = |number: u64| UnixMillis((number * DAYS + 1) * DAY_MILLIS);
            let first = directory.forwarding_keys(month(700)).await.unwrap();
            assert_eq!(directory.forwarding_keys(month(700)).await.unwrap(), first);
            let second = directory.forwarding_keys(month(701)).await.unwrap();
            assert!(second.len() == 2 && second[1] == first[0] && second[0] != first[0]);
            directory.forwarding_keys(month(702)).await.unwrap();
            let fourth = directory.forwarding_keys(month(703)).await.unwrap();
            assert!(fourth.len() == 3 && !fourth.contains(&first[0]) && fourth.contains(&second[0]));
        })
        .unwrap();
    }
}
