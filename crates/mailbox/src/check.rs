//! Whether a mailbox is whole: what SQLite says of its file, and what we know of our own tables. It changes nothing, and works beside
//! a running server.

use std::path::Path;

use rusqlite::Connection;

use crate::body;
use crate::error::MailboxError;
use crate::schema::DATABASE;

/// What a look at one account's mailbox has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Its messages.
    pub messages: u64,
    /// What is not as it should be, one sentence each.
    pub problems: Vec<String>,
}

/// Rows that should not be there; each row of a result names a message and what it should have been.
const RULES: [(&str, &str); 3] = [
    ("its octets are missing", "SELECT uid FROM message WHERE file IS NULL AND id NOT IN (SELECT message FROM body)"),
    (
        "it has not as many octets as it should",
        "SELECT uid FROM message JOIN body ON body.message = message.id WHERE length(octets) <> size",
    ),
    (
        "its number is one that is still to be given",
        "SELECT uid FROM message JOIN folder ON folder.id = folder WHERE uid >= uidnext",
    ),
];

/// Looks at the mailbox in `folder`; `None` where there is none.
///
/// # Errors
/// The file cannot be read at all.
pub fn check(folder: &Path) -> Result<Option<Checked>, MailboxError> {
    let path = folder.join(DATABASE);
    if !path.try_exists().map_err(|error| MailboxError::file(&path, &error))? {
        return Ok(None);
    }
    let connection = Connection::open(&path)?;
    connection.pragma_update(None, "query_only", true)?;
    let mut problems = words(&connection, "PRAGMA integrity_check")?;
    problems.retain(|word| word != "ok");
    for (problem, sql) in RULES {
        let mut statement = connection.prepare(sql)?;
        let uids = statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
        problems.extend(uids.into_iter().map(|uid| format!("message {uid}: {problem}")));
    }
    problems.extend(files(&connection, folder)?);
    let messages = connection.query_row("SELECT count(*) FROM message", [], |row| row.get::<_, i64>(0))?;
    Ok(Some(Checked { messages: u64::try_from(messages).unwrap_or_default(), problems }))
}

fn words(connection: &Connection, sql: &str) -> Result<Vec<String>, MailboxError> {
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Bodies in files that are not there, or not as long as their message.
fn files(connection: &Connection, folder: &Path) -> Result<Vec<String>, MailboxError> {
    let mut statement = connection.prepare("SELECT uid, file, size FROM message WHERE file IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?;
    let mut problems = Vec::new();
    for row in rows {
        let (uid, name, size) = row?;
        match std::fs::metadata(body::folder(folder).join(&name)) {
            Ok(file) if i64::try_from(file.len()) == Ok(size) => {}
            Ok(file) => problems.push(format!("message {uid}: its file {name} has {} octets instead of {size}", file.len())),
            Err(error) => problems.push(format!("message {uid}: its file {name}: {error}")),
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests;
