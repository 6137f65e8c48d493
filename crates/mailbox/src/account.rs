//! One account's mailbox: its words, and its statements.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use posthouse_mail::{Address, LetterId, ReversePath, UnixMillis};

use crate::body::{self, Body, NewBody};
use crate::error::MailboxError;
use crate::schema::{self, INBOX, SEEN};

/// The number of a message in its folder: never reused, rising in the order of arrival (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub u32);

/// A folder of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Folder {
    /// Where mail arrives; all that POP3 shows.
    #[default]
    Inbox,
    /// Where mail arrives that is taken for junk.
    Junk,
}

/// What comes with a letter into a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The letter. Together with the recipient it is stored once.
    pub letter: LetterId,
    /// Whom it is for, as the envelope says.
    pub recipient: Address,
    /// Whom it is from, as the envelope says.
    pub reverse_path: ReversePath,
    /// The time shown as its arrival.
    pub at: UnixMillis,
    /// Where it goes.
    pub folder: Folder,
    /// Header lines to put in front (`Return-Path:`, `Delivered-To:`), each with its CRLF.
    pub prefix: Vec<u8>,
}

/// One message of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub uid: Uid,
    /// What makes the number unique for all time.
    pub uidvalidity: u32,
    /// Its octets, prefix included.
    pub size: u64,
    /// When it arrived.
    pub at: UnixMillis,
    /// Whether somebody has read it.
    pub seen: bool,
    /// The letter it came as.
    pub letter: LetterId,
}

/// How far a Junk folder is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JunkState {
    /// What makes its numbers unique for all time.
    pub uidvalidity: u32,
    /// The number of the message that comes next.
    pub uidnext: u32,
}

/// A letter that was removed because of its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// The letter it came as.
    pub letter: LetterId,
    /// Whom it was for.
    pub recipient: String,
}

/// The mailbox of one account, opened when first used.
pub(crate) struct Account {
    pub(crate) folder: PathBuf,
    database: Mutex<Option<Connection>>,
}

/// A delivery that is ready to be committed.
pub(crate) struct Arrival {
    pub(crate) delivery: Delivery,
    pub(crate) body: NewBody,
    pub(crate) size: u64,
}

impl Message {
    /// The unique-id of POP3: the same in every session, never given to another message (RFC 1939 §7).
    #[must_use]
    pub fn unique_id(&self) -> String {
        format!("{}.{}", self.uidvalidity, self.uid)
    }
}

/// As a person names it.
impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbox => "Inbox",
            Self::Junk => schema::JUNK,
        })
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything here blocks.
impl Account {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, database: Mutex::new(None) }
    }

    /// Runs `work` on the database; `None` when there is none and `create` is not set.
    fn with<T>(
        &self,
        create: bool,
        work: impl FnOnce(&mut Connection, &Path) -> Result<T, MailboxError>,
    ) -> Result<Option<T>, MailboxError> {
        // A panic in `work` rolled its transaction back, so the connection behind a poisoned lock is sound.
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            *database = schema::open(&self.folder, create)?;
        }
        database.as_mut().map(|connection| work(connection, &self.folder)).transpose()
    }

    /// Makes the mailbox, and says as what this letter was delivered before.
    pub(crate) fn prepare(&self, letter: LetterId, recipient: &Address) -> Result<Option<Uid>, MailboxError> {
        Ok(self.with(true, |connection, _| delivered(connection, letter, recipient))?.flatten())
    }

    /// Stores all of them in one transaction, which is durable when this returns.
    pub(crate) fn store(&self, arrivals: Vec<Arrival>) -> Result<Vec<Uid>, MailboxError> {
        let stored = self.with(true, |connection, _| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut uids = Vec::with_capacity(arrivals.len());
            let mut files = Vec::new();
            for arrival in arrivals {
                let (uid, new) = insert(&transaction, &arrival)?;
                uids.push(uid);
                match arrival.body {
                    NewBody::File(file) if new => files.push(file),
                    NewBody::File(_) | NewBody::Inline(_) => {} // a file of a letter that was there already goes
                }
            }
            let committed = transaction.commit();
            // Kept even when the commit failed: a failed flush may still turn out durable, and a row without its file would be a lost letter.
            files.into_iter().for_each(body::NewFile::keep);
            committed?;
            Ok(uids)
        })?;
        Ok(stored.unwrap_or_default())
    }

    pub(crate) fn messages(&self, folder: Folder) -> Result<Vec<Message>, MailboxError> {
        let messages = self.with(false, |connection, _| {
            let Some(folder) = row_of(connection, folder, false)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT uid, uidvalidity, size, internal_date, flags, letter FROM message
                 JOIN folder ON folder.id = message.folder WHERE folder = ?1 ORDER BY uid",
            )?;
            let rows = statement.query_map([folder], message)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        Ok(messages.unwrap_or_default())
    }

    pub(crate) fn read(&self, from: Folder, uid: Uid) -> Result<Body, MailboxError> {
        let found = self.with(false, |connection, folder| {
            let Some(from) = row_of(connection, from, false)? else { return Ok(None) };
            let mut statement = connection.prepare_cached(
                "SELECT file, size, octets FROM message LEFT JOIN body ON body.message = message.id WHERE folder = ?1 AND uid = ?2",
            )?;
            let row = statement.query_row((from, uid.0), |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
            });
            match row.optional()? {
                None => Ok(None),
                Some((Some(file), size, _)) => {
                    Body::file(&body::folder(folder).join(file), u64::try_from(size).unwrap_or_default()).map(Some)
                }
                Some((None, _, Some(octets))) => Ok(Some(Body::inline(octets))),
                Some((None, _, None)) => Err(MailboxError::Storage(format!("message {uid} has no body"))),
            }
        })?;
        found.flatten().ok_or(MailboxError::NoSuchMessage(uid))
    }

    /// Moves a message; its number in the other folder (RFC 9051 §6.4.8).
    pub(crate) fn shift(&self, from: Folder, uid: Uid, to: Folder) -> Result<Uid, MailboxError> {
        let moved = self.with(false, |connection, _| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(from) = row_of(&transaction, from, false)? else { return Ok(None) };
            let (to, new, modseq) = next(&transaction, to)?;
            let changed = transaction
                .prepare_cached("UPDATE message SET folder = ?3, uid = ?4, modseq = ?5 WHERE folder = ?1 AND uid = ?2")?
                .execute((from, uid.0, to, new, modseq))?;
            if changed == 0 {
                return Ok(None);
            }
            transaction.execute("UPDATE folder SET modseq = modseq + 1 WHERE id = ?1", [from])?;
            transaction.commit()?;
            Ok(Some(Uid(new)))
        })?;
        moved.flatten().ok_or(MailboxError::NoSuchMessage(uid))
    }

    /// Removes messages of the inbox; those that are gone already do not matter. Says how many were there.
    pub(crate) fn remove(&self, uids: &[Uid]) -> Result<usize, MailboxError> {
        let removed = self.with(false, |connection, folder| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut files = Vec::new();
            {
                let mut statement =
                    transaction.prepare_cached("DELETE FROM message WHERE folder = ?1 AND uid = ?2 RETURNING file")?;
                for uid in uids {
                    files.extend(statement.query_row((INBOX, uid.0), |row| row.get::<_, Option<String>>(0)).optional()?);
                }
            }
            if !files.is_empty() {
                transaction.execute("UPDATE folder SET modseq = modseq + 1 WHERE id = ?1", [INBOX])?;
            }
            transaction.commit()?;
            let bodies = body::folder(folder);
            files.iter().flatten().for_each(|file| body::remove(&bodies.join(file)));
            Ok(files.len())
        })?;
        Ok(removed.unwrap_or_default())
    }

    /// How far the Junk folder is filled; `None`: there is none.
    pub(crate) fn junk_state(&self) -> Result<Option<JunkState>, MailboxError> {
        let state = self.with(false, |connection, _| {
            let Some(junk) = schema::junk(connection, false)? else { return Ok(None) };
            let mut statement = connection.prepare_cached("SELECT uidvalidity, uidnext FROM folder WHERE id = ?1")?;
            let state = statement.query_row([junk], |row| {
                let uidnext = u32::try_from(row.get::<_, i64>(1)?).unwrap_or(u32::MAX);
                Ok(JunkState { uidvalidity: row.get(0)?, uidnext })
            })?;
            Ok(Some(state))
        })?;
        Ok(state.flatten())
    }

    /// Removes messages of the Junk folder with lower numbers than this, the first `max` of them.
    pub(crate) fn expire_junk(&self, below: Uid, max: usize) -> Result<Vec<Expired>, MailboxError> {
        let removed = self.with(false, |connection, folder| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(junk) = schema::junk(&transaction, false)? else { return Ok(Vec::new()) };
            let removed = {
                let mut statement = transaction.prepare_cached(
                    "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE folder = ?1 AND uid < ?2 ORDER BY uid LIMIT ?3)
                     RETURNING letter, recipient, file",
                )?;
                let rows = statement.query_map((junk, below.0, i64::try_from(max).unwrap_or(i64::MAX)), |row| {
                    let expired = Expired { letter: LetterId::from_bytes(row.get(0)?), recipient: row.get(1)? };
                    Ok((expired, row.get::<_, Option<String>>(2)?))
                })?;
                rows.collect::<Result<Vec<_>, _>>()?
            };
            if removed.is_empty() {
                return Ok(Vec::new());
            }
            transaction.execute("UPDATE folder SET modseq = modseq + 1 WHERE id = ?1", [junk])?;
            transaction.commit()?;
            let bodies = body::folder(folder);
            removed.iter().filter_map(|(_, file)| file.as_ref()).for_each(|file| body::remove(&bodies.join(file)));
            Ok(removed.into_iter().map(|(expired, _)| expired).collect())
        })?;
        Ok(removed.unwrap_or_default())
    }

    pub(crate) fn mark_seen(&self, uids: &[Uid]) -> Result<(), MailboxError> {
        self.with(false, |connection, _| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let modseq: i64 = transaction.query_row(
                    "UPDATE folder SET modseq = modseq + 1 WHERE id = ?1 RETURNING modseq",
                    [INBOX],
                    |row| row.get(0),
                )?;
                let mut statement = transaction.prepare_cached(
                    "UPDATE message SET flags = flags | ?4, modseq = ?3 WHERE folder = ?1 AND uid = ?2 AND flags & ?4 = 0",
                )?;
                for uid in uids {
                    statement.execute((INBOX, uid.0, modseq, SEEN))?;
                }
            }
            Ok(transaction.commit()?)
        })?;
        Ok(())
    }
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        uid: Uid(row.get(0)?),
        uidvalidity: row.get(1)?,
        size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
        at: UnixMillis(u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default()),
        seen: row.get::<_, i64>(4)? & SEEN != 0,
        letter: LetterId::from_bytes(row.get(5)?),
    })
}

fn delivered(connection: &Connection, letter: LetterId, recipient: &Address) -> Result<Option<Uid>, MailboxError> {
    let mut statement = connection.prepare_cached("SELECT uid FROM delivered WHERE letter = ?1 AND recipient = ?2")?;
    let key = (letter.to_bytes(), recipient.to_string());
    Ok(statement.query_row(key, |row| row.get(0).map(Uid)).optional()?)
}

/// The row of a folder, which is made where there is none if `create`.
fn row_of(connection: &Connection, folder: Folder, create: bool) -> Result<Option<i64>, MailboxError> {
    match folder {
        Folder::Inbox => Ok(Some(INBOX)),
        Folder::Junk => schema::junk(connection, create),
    }
}

/// The row of a folder, and the number and modification sequence of the message that comes next.
fn next(transaction: &Transaction<'_>, folder: Folder) -> Result<(i64, u32, i64), MailboxError> {
    let lost = || MailboxError::Storage("the folder cannot be made".to_owned());
    let row = row_of(transaction, folder, true)?.ok_or_else(lost)?;
    // The CHECK of `uidnext` refuses the letter after the 4,294,967,295th.
    let (uid, modseq) = transaction
        .prepare_cached(
            "UPDATE folder SET uidnext = uidnext + 1, modseq = modseq + 1 WHERE id = ?1 RETURNING uidnext - 1, modseq",
        )?
        .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((row, uid, modseq))
}

/// The message's UID, and whether it is new.
fn insert(transaction: &Transaction<'_>, arrival: &Arrival) -> Result<(Uid, bool), MailboxError> {
    let Arrival { delivery, body, size } = arrival;
    if let Some(uid) = delivered(transaction, delivery.letter, &delivery.recipient)? {
        return Ok((uid, false));
    }
    let (letter, recipient) = (delivery.letter.to_bytes(), delivery.recipient.to_string());
    let at = i64::try_from(delivery.at.0).unwrap_or(i64::MAX);
    let (folder, uid, modseq) = next(transaction, delivery.folder)?;
    let file = match body {
        NewBody::File(file) => Some(file.name()),
        NewBody::Inline(_) => None,
    };
    transaction
        .prepare_cached(
            "INSERT INTO message (folder, uid, modseq, flags, internal_date, size, letter, recipient, reverse_path, file)
             VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            folder,
            uid,
            modseq,
            at,
            i64::try_from(*size).unwrap_or(i64::MAX),
            letter,
            &recipient,
            delivery.reverse_path.to_string(),
            file,
        ))?;
    if let NewBody::Inline(octets) = body {
        let message = transaction.last_insert_rowid();
        transaction.prepare_cached("INSERT INTO body (message, octets) VALUES (?1, ?2)")?.execute((message, octets))?;
    }
    transaction.prepare_cached("INSERT INTO delivered (letter, recipient, uid, at) VALUES (?1, ?2, ?3, ?4)")?.execute((
        letter,
        recipient,
        uid,
        now(),
    ))?;
    Ok((Uid(uid), true))
}

/// The delivery's own time would do for a letter that is fresh, yet one may have waited for weeks in a queue.
fn now() -> i64 {
    i64::try_from(posthouse_runtime::clock::unix_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
