//! The reports that we sent, kept as long as those that came in: an operator wants to know what the server tells, and to whom; and what one host was sent lately bounds
//! what it is sent next.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;

use posthouse_mail::{Domain, UnixMillis};

use crate::error::ReportsError;
use crate::received::{REPORTS_MAX, Received, before, is_within, millis};

/// A report on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// `dmarc-report`, `tls-report`, `failure-report`.
    pub kind: String,
    /// The domain it is about.
    pub domain: String,
    /// Where that wants it: an address, or a URL.
    pub receiver: String,
    /// The host there; one who asks for reports in many names is told as much as one who asks in one.
    #[serde(skip)]
    pub host: String,
    /// The letter that it is; empty for one that went by HTTPS.
    pub letter: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl Received {
    /// Writes down that a report is sent; once for each letter.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn sent(&self, sent: Sent) -> Result<(), ReportsError> {
        let kept = self.keep;
        self.store.with(move |connection| write(connection, &sent, kept)).await
    }

    /// How many reports of a kind a host was sent since then.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn sent_to(&self, host: &str, kind: &'static str, since: UnixMillis) -> Result<u64, ReportsError> {
        let host = host.to_owned();
        self.store
            .with(move |connection| {
                let count: i64 = connection.query_row(
                    "SELECT count(*) FROM sent WHERE host = ?1 AND at > ?2 AND kind = ?3",
                    params![host, millis(since), kind],
                    |row| row.get(0),
                )?;
                Ok(u64::try_from(count).unwrap_or_default())
            })
            .await
    }

    /// The reports that were sent since then, the latest first; on one domain and those below it, if that is named.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn list_sent(&self, since: UnixMillis, domain: Option<&Domain>) -> Result<Vec<Sent>, ReportsError> {
        let domain = domain.cloned();
        self.store
            .with(move |connection| {
                let mut statement = connection.prepare(
                    "SELECT kind, domain, receiver, host, letter, at FROM sent WHERE at >= ?1 ORDER BY at DESC, id DESC",
                )?;
                let rows = statement.query_map([millis(since)], |row| {
                    Ok(Sent {
                        kind: row.get(0)?,
                        domain: row.get(1)?,
                        receiver: row.get(2)?,
                        host: row.get(3)?,
                        letter: row.get(4)?,
                        at: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
                    })
                })?;
                let wanted = |sent: &Sent| domain.as_ref().is_none_or(|domain| is_within(&sent.domain, domain));
                Ok(rows.filter(|row| row.as_ref().map_or(true, wanted)).collect::<Result<_, _>>()?)
            })
            .await
    }
}

fn write(connection: &mut Connection, sent: &Sent, kept: Duration) -> Result<(), ReportsError> {
    let at = UnixMillis(sent.at);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM sent WHERE at < ?1", [millis(before(at, kept))])?;
    transaction
        .execute("DELETE FROM sent WHERE id IN (SELECT id FROM sent ORDER BY id DESC LIMIT -1 OFFSET ?1)", [REPORTS_MAX - 1])?;
    let Sent { kind, domain, receiver, host, letter, .. } = sent;
    // After a crash the same letter is made again.
    transaction.execute(
        "INSERT INTO sent (kind, domain, receiver, host, letter, at) SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE ?5 = '' OR NOT EXISTS (SELECT 1 FROM sent WHERE host = ?4 AND letter = ?5)",
        params![kind, domain, receiver, host, letter, millis(at)],
    )?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_500_000_000);

    fn sent(host: &str, letter: &str, at: UnixMillis) -> Sent {
        let (kind, domain, receiver) = ("failure-report".to_owned(), format!("news.{host}"), format!("d@{host}"));
        Sent { kind, domain, receiver, host: host.to_owned(), letter: letter.to_owned(), at: at.0 }
    }

    #[test]
    fn what_was_sent_is_counted_by_host_and_known_for_a_year() {
        posthouse_runtime::block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let received = Received::open(&folder.path().join("reports.sqlite")).unwrap();
            let later = NOW.plus(Duration::from_hours(2));
            for one in
                [sent("a.test", "1", NOW), sent("a.test", "1", NOW), sent("a.test", "2", later), sent("b.test", "3", later)]
            {
                received.sent(one).await.unwrap();
            }
            assert_eq!(received.sent_to("a.test", "failure-report", UnixMillis(0)).await.unwrap(), 2, "the same letter is one");
            assert_eq!(received.sent_to("a.test", "failure-report", NOW).await.unwrap(), 1);
            assert_eq!(received.sent_to("a.test", "dmarc-report", UnixMillis(0)).await.unwrap(), 0);
            let domain = "a.test".parse().unwrap();
            let listed = received.list_sent(UnixMillis(0), Some(&domain)).await.unwrap();
            assert_eq!(listed.iter().map(|one| one.letter.as_str()).collect::<Vec<_>>(), ["2", "1"]);
            received.sent(sent("c.test", "4", later.plus(received.keep))).await.unwrap();
            assert_eq!(received.list_sent(UnixMillis(0), None).await.unwrap().len(), 3);
        })
        .unwrap();
    }
}
