//! All mailboxes of a server: the public face, and which of them are open.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use posthouse_runtime::stream::ByteSource;
use posthouse_runtime::sync::Semaphore;
use posthouse_runtime::task;

use crate::account::{Account, Arrival, Delivery, Expired, Folder, JunkState, Message, Uid};
use crate::body::{self, Body, INLINE_BYTES_MAX};
use crate::error::MailboxError;
use crate::schema;
use crate::writer::Writer;

/// The databases kept open, of three file descriptors and some 200 KiB each. More are opened while more are in use at once. Opening and
/// closing one costs as much as storing ten letters.
const OPEN_MAX: usize = 256;
/// The memory of deliveries under way at once, in KiB.
const DELIVERING_KIB_MAX: usize = 64 * 1024;
/// What one takes beside its letter, in KiB; and one whose letter goes into a file.
const DELIVERING_KIB: u64 = 1;
const DELIVERING_FILE_KIB: u64 = 512;
/// An account's id is the name of its folder.
const ACCOUNT_BYTES_MAX: usize = 64;

/// The mailboxes under one folder. A clone is another handle to the same.
#[derive(Clone)]
pub struct Mailboxes(Arc<Inner>);

struct Inner {
    accounts: Arc<Accounts>,
    writer: Writer,
    deliveries: Semaphore,
    locked: Arc<Locked>,
}

type Locked = Mutex<HashSet<String>>;

/// An exclusive session (RFC 1939 §4); it ends when this is dropped. Deliveries go on meanwhile.
#[derive(Debug)]
pub struct Lock {
    locked: Arc<Locked>,
    account: String,
}

impl Mailboxes {
    /// The mailboxes under `dir`, one folder per account; makes `dir` where there is none.
    ///
    /// # Errors
    /// [`MailboxError::Storage`] when the folder or the threads cannot be had.
    pub fn open(dir: &Path) -> Result<Self, MailboxError> {
        Self::open_keeping(dir, OPEN_MAX)
    }

    fn open_keeping(dir: &Path, open_max: usize) -> Result<Self, MailboxError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| MailboxError::file(dir, &error))?;
        let accounts = Arc::new(Accounts { dir: dir.to_owned(), open_max, open: Mutex::default() });
        let writer = Writer::start(&accounts)?;
        Ok(Self(Arc::new(Inner { accounts, writer, deliveries: Semaphore::new(DELIVERING_KIB_MAX), locked: Arc::default() })))
    }

    /// Stores a letter in a folder of the account and says under what number. The letter is on stable storage when this returns. The same letter
    /// for the same recipient is stored once; a repetition gets the number of the first.
    ///
    /// # Errors
    /// [`MailboxError::Account`] for an id that is none; everything else is temporary.
    pub async fn deliver(&self, account: &str, delivery: Delivery, body: &mut dyn ByteSource) -> Result<Uid, MailboxError> {
        let folder = self.0.accounts.folder(account)?;
        let mut delivery = delivery;
        let prefix = std::mem::take(&mut delivery.prefix);
        let size = body.len().saturating_add(u64::try_from(prefix.len()).unwrap_or(u64::MAX));
        let _memory = self.0.deliveries.acquire_many(memory_kib(size)).await;
        if size > INLINE_BYTES_MAX {
            // Worth a look before a hundred megabytes are written; it makes the folder for the file, too.
            let (letter, recipient) = (delivery.letter, delivery.recipient.clone());
            if let Some(uid) = self.run(account, move |account| account.prepare(letter, &recipient)).await? {
                return Ok(uid);
            }
        }
        let (body, size) = body::take_in(&folder, delivery.letter, prefix, body).await?;
        self.0.writer.store(account, Arrival { delivery, body, size }).await
    }

    /// The messages of the account's inbox, oldest first. Empty for an account that never got mail.
    ///
    /// # Errors
    /// As [`MailboxError`] says.
    pub async fn inbox(&self, account: &str) -> Result<Vec<Message>, MailboxError> {
        self.messages(account, Folder::Inbox).await
    }

    /// The messages of a folder, oldest first. Empty for one that never got mail.
    ///
    /// # Errors
    /// As [`MailboxError`] says.
    pub async fn messages(&self, account: &str, folder: Folder) -> Result<Vec<Message>, MailboxError> {
        self.run(account, move |account| account.messages(folder)).await
    }

    /// Moves a message from one folder to another, and says its number there.
    ///
    /// # Errors
    /// [`MailboxError::NoSuchMessage`], storage errors.
    pub async fn shift(&self, account: &str, from: Folder, uid: Uid, to: Folder) -> Result<Uid, MailboxError> {
        self.run(account, move |account| account.shift(from, uid, to)).await
    }

    /// The octets of a message of the inbox. What is read stays readable while the message is removed.
    ///
    /// # Errors
    /// [`MailboxError::NoSuchMessage`], storage errors.
    pub async fn read(&self, account: &str, uid: Uid) -> Result<Body, MailboxError> {
        self.read_in(account, Folder::Inbox, uid).await
    }

    /// The octets of a message of a folder.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_in(&self, account: &str, folder: Folder, uid: Uid) -> Result<Body, MailboxError> {
        self.run(account, move |account| account.read(folder, uid)).await
    }

    /// Removes messages of the inbox for good, all or none; those that are gone already do not matter. Says how many were there.
    ///
    /// # Errors
    /// Storage errors; nothing is removed then.
    pub async fn remove(&self, account: &str, uids: &[Uid]) -> Result<usize, MailboxError> {
        let uids = uids.to_vec();
        self.run(account, move |account| account.remove(&uids)).await
    }

    /// How far the Junk folder is filled; `None` for an account that never had junk.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn junk_state(&self, account: &str) -> Result<Option<JunkState>, MailboxError> {
        self.run(account, Account::junk_state).await
    }

    /// Removes messages of the Junk folder with lower numbers than `below` for good, the first `max` of them, and says which.
    ///
    /// # Errors
    /// Storage errors; nothing is removed then.
    pub async fn expire_junk(&self, account: &str, below: Uid, max: usize) -> Result<Vec<Expired>, MailboxError> {
        self.run(account, move |account| account.expire_junk(below, max)).await
    }

    /// Marks messages of the inbox as read.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn mark_seen(&self, account: &str, uids: &[Uid]) -> Result<(), MailboxError> {
        let uids = uids.to_vec();
        self.run(account, move |account| account.mark_seen(&uids)).await
    }

    /// Takes the mailbox for one session alone, within this process.
    ///
    /// # Errors
    /// [`MailboxError::InUse`] while another session has it.
    pub fn lock(&self, account: &str) -> Result<Lock, MailboxError> {
        self.0.accounts.folder(account)?;
        let taken = self.0.locked.lock().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned());
        if !taken {
            return Err(MailboxError::InUse);
        }
        Ok(Lock { locked: Arc::clone(&self.0.locked), account: account.to_owned() })
    }

    /// Where the mail of an account is, or would be.
    ///
    /// # Errors
    /// [`MailboxError::Account`].
    pub fn folder(&self, account: &str) -> Result<PathBuf, MailboxError> {
        self.0.accounts.folder(account)
    }

    /// Removes all mail of an account, for good. The account should be out of the directory before.
    ///
    /// # Errors
    /// [`MailboxError::InUse`] while a session has the mailbox; storage errors.
    pub async fn remove_account(&self, account: &str) -> Result<(), MailboxError> {
        let folder = self.0.accounts.folder(account)?;
        let lock = self.lock(account)?;
        let (accounts, name) = (Arc::clone(&self.0.accounts), account.to_owned());
        task::blocking(move || {
            let _lock = lock;
            accounts.forget(&name);
            schema::remove_folder(&folder)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        account: &str,
        work: impl FnOnce(&Account) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, MailboxError> {
        self.0.accounts.folder(account)?;
        let (accounts, account) = (Arc::clone(&self.0.accounts), account.to_owned());
        task::blocking(move || work(&accounts.account(&account))).await
    }
}

/// What the delivery of a letter of this size takes of [`DELIVERING_KIB_MAX`].
fn memory_kib(size: u64) -> u32 {
    let kib = if size > INLINE_BYTES_MAX { DELIVERING_FILE_KIB } else { size / 1024 + DELIVERING_KIB };
    u32::try_from(kib).unwrap_or(u32::MAX)
}

impl fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailboxes").field("dir", &self.0.accounts.dir).finish_non_exhaustive()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

/// Which mailboxes are open. Everything but [`Self::folder`] blocks: closing one writes its log back.
pub(crate) struct Accounts {
    dir: PathBuf,
    open_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    accounts: HashMap<String, (Arc<Account>, u64)>,
    /// Counts uses: the account with the lowest mark was used longest ago.
    mark: u64,
}

impl Accounts {
    fn folder(&self, account: &str) -> Result<PathBuf, MailboxError> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if account.is_empty() || account.len() > ACCOUNT_BYTES_MAX || !account.bytes().all(safe) {
            return Err(MailboxError::Account(account.to_owned()));
        }
        Ok(self.dir.join(account))
    }

    /// The mailbox, from among the open ones or to be opened by its first use. The name was checked by [`Self::folder`].
    pub(crate) fn account(&self, name: &str) -> Arc<Account> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.mark += 1;
        let mark = open.mark;
        let account = {
            let entry = open.accounts.entry(name.to_owned());
            let (account, used) = entry.or_insert_with(|| (Arc::new(Account::new(self.dir.join(name))), mark));
            *used = mark;
            Arc::clone(account)
        };
        let surplus = if open.accounts.len() > self.open_max { open.surplus() } else { None };
        drop(open);
        drop(surplus); // closed here, outside the lock
        account
    }

    fn forget(&self, name: &str) {
        let gone = self.open.lock().unwrap_or_else(PoisonError::into_inner).accounts.remove(name);
        drop(gone);
    }
}

impl Open {
    /// Takes out the account that was used longest ago and is not in use now. One that is stays, so that no account is ever open twice.
    fn surplus(&mut self) -> Option<Arc<Account>> {
        let idle = self.accounts.iter().filter(|(_, (account, _))| Arc::strong_count(account) == 1);
        let name = idle.min_by_key(|(_, (_, used))| *used)?.0.clone();
        self.accounts.remove(&name).map(|(account, _)| account)
    }
}

#[cfg(test)]
mod tests;
