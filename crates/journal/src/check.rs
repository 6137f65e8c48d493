//! Whether the file is whole, as SQLite sees it. It changes nothing, and works beside a running server.

use std::path::Path;

use crate::error::JournalError;
use crate::store::open_reader;

/// What is wrong with the journal at `path`, one sentence each.
///
/// # Errors
/// It is not there, of another version, or cannot be read at all.
pub fn check(path: &Path) -> Result<Vec<String>, JournalError> {
    let connection = open_reader(path)?;
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let words = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(words.into_iter().filter(|word| word != "ok").collect())
}
