//! The octets of letters: in the database up to 256 KiB, beyond that in a file of their own.
//!
//! A file is written under a temporary name, synced, renamed and its folder synced, all before the row that names it is committed: a row never
//! names a file that is not whole. A crash between can leave a file that no row names; [`clean`] removes those when they are a day old, which no
//! delivery under way can be.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rusqlite::Connection;

use posthouse_mail::LetterId;
use posthouse_runtime::stream::{Buffered, ByteSource, CHUNK_BYTES_MAX, NextChunk};
use posthouse_runtime::{clock, random, task};

use crate::error::MailboxError;
use crate::schema::sync_folder;

/// The octets up to which a letter is kept in the database.
pub const INLINE_BYTES_MAX: u64 = 256 * 1024;

/// How old a file without a row must be to be removed.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);
/// What is gathered before it is written: a hop to the blocking pool costs as much as copying some chunks.
const WRITE_BYTES: usize = 256 * 1024;
const TEMPORARY: &str = ".tmp";

/// The octets of a stored letter.
#[derive(Debug)]
pub struct Body {
    len: u64,
    from: From,
}

#[derive(Debug)]
enum From {
    Memory(Buffered),
    /// The file is away while a chunk is read; `None` after a failure.
    File {
        file: Option<File>,
        left: u64,
    },
}

/// What a delivery stores.
#[derive(Debug)]
pub(crate) enum NewBody {
    Inline(Vec<u8>),
    File(NewFile),
}

/// A file that belongs to no row yet. Removed when dropped, unless it was kept.
#[derive(Debug)]
pub(crate) struct NewFile {
    name: String,
    path: Option<PathBuf>,
}

impl Body {
    pub(crate) fn inline(octets: Vec<u8>) -> Self {
        let buffered = Buffered::new(octets);
        Self { len: buffered.len(), from: From::Memory(buffered) }
    }

    pub(crate) fn file(path: &Path, size: u64) -> Result<Self, MailboxError> {
        let file = File::open(path).map_err(|error| MailboxError::file(path, &error))?;
        let found = file.metadata().map_err(|error| MailboxError::file(path, &error))?.len();
        if found != size {
            return Err(MailboxError::Storage(format!("{} has {found} octets instead of {size}", path.display())));
        }
        Ok(Self { len: size, from: From::File { file: Some(file), left: size } })
    }
}

impl ByteSource for Body {
    fn len(&self) -> u64 {
        self.len
    }

    fn next(&mut self) -> NextChunk<'_> {
        match &mut self.from {
            From::Memory(buffered) => buffered.next(),
            From::File { file, left } => Box::pin(read_chunk(file, left)),
        }
    }
}

async fn read_chunk(place: &mut Option<File>, left: &mut u64) -> io::Result<Option<Bytes>> {
    if *left == 0 {
        return Ok(None);
    }
    let mut file = place.take().ok_or_else(|| io::Error::other("an earlier chunk could not be read"))?;
    let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK_BYTES_MAX);
    let (file, chunk) = task::blocking(move || {
        let mut chunk = vec![0; wanted];
        file.read_exact(&mut chunk).map(|()| (file, chunk))
    })
    .await?;
    *left -= u64::try_from(chunk.len()).unwrap_or(u64::MAX);
    *place = Some(file);
    Ok(Some(chunk.into()))
}

/// Takes in a letter behind its prefix: into memory if it is small, into a new file if not.
pub(crate) async fn take_in(
    folder: &Path,
    letter: LetterId,
    prefix: Vec<u8>,
    source: &mut dyn ByteSource,
) -> Result<(NewBody, u64), MailboxError> {
    let size = source.len().saturating_add(u64::try_from(prefix.len()).unwrap_or(u64::MAX));
    let mut whole = Counted { source, left: size - u64::try_from(prefix.len()).unwrap_or(size) };
    if size > INLINE_BYTES_MAX {
        let file = write_file(folder, letter, prefix, &mut whole).await?;
        return Ok((NewBody::File(file), size));
    }
    let mut octets = prefix;
    octets.reserve_exact(usize::try_from(whole.left).unwrap_or(0));
    while let Some(chunk) = whole.next().await? {
        octets.extend_from_slice(&chunk);
    }
    Ok((NewBody::Inline(octets), size))
}

/// A source that is held to the length it announced.
struct Counted<'a> {
    source: &'a mut dyn ByteSource,
    left: u64,
}

impl Counted<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, MailboxError> {
        let chunk = self.source.next().await.map_err(|error| MailboxError::Source(error.to_string()))?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(u64::try_from(length).unwrap_or(u64::MAX)) {
            None => Err(MailboxError::Source("it is longer than announced".to_owned())),
            Some(left) if chunk.is_none() && left > 0 => Err(MailboxError::Source(format!("it ended {left} octets too early"))),
            Some(left) => {
                self.left = left;
                Ok(chunk)
            }
        }
    }
}

async fn write_file(folder: &Path, letter: LetterId, prefix: Vec<u8>, source: &mut Counted<'_>) -> Result<NewFile, MailboxError> {
    let name = format!("{letter}-{:016x}", random::u64());
    let last = self::folder(folder).join(&name);
    let temporary = self::folder(folder).join(format!("{name}{TEMPORARY}"));
    let mut growing = task::blocking(move || Growing::begin(name, &temporary)).await?;
    let mut gathered = prefix;
    while let Some(chunk) = source.next().await? {
        gathered.extend_from_slice(&chunk);
        if gathered.len() >= WRITE_BYTES {
            (growing, gathered) = task::blocking(move || growing.append(gathered)).await?;
        }
    }
    task::blocking(move || growing.append(gathered)?.0.finish(last)).await
}

/// A file that is being written. It goes into the blocking pool and comes back as a whole, so that when nobody waits any more it is removed
/// behind the last write and not before it.
struct Growing {
    file: File,
    new: NewFile,
}

impl Growing {
    fn begin(name: String, path: &Path) -> Result<Self, MailboxError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = made.map_err(|error| MailboxError::file(path, &error))?;
        Ok(Self { file, new: NewFile { name, path: Some(path.to_owned()) } })
    }

    /// Gives the emptied buffer back.
    fn append(mut self, mut octets: Vec<u8>) -> Result<(Self, Vec<u8>), MailboxError> {
        self.file.write_all(&octets).map_err(|error| self.new.failed(&error))?;
        octets.clear();
        Ok((self, octets))
    }

    /// Makes it durable under its last name.
    fn finish(mut self, last: PathBuf) -> Result<NewFile, MailboxError> {
        self.file.sync_all().map_err(|error| self.new.failed(&error))?;
        if let Some(temporary) = &self.new.path {
            fs::rename(temporary, &last).map_err(|error| MailboxError::file(&last, &error))?;
        }
        let folder = last.parent().map(Path::to_owned);
        self.new.path = Some(last);
        folder.map_or(Ok(()), |folder| sync_folder(&folder))?;
        Ok(self.new)
    }
}

impl NewFile {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn failed(&self, error: &io::Error) -> MailboxError {
        MailboxError::file(self.path.as_deref().unwrap_or(Path::new(&self.name)), error)
    }

    /// A row names it now.
    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            remove(&path);
        }
    }
}

/// Where the files of an account are.
pub(crate) fn folder(account: &Path) -> PathBuf {
    account.join("bodies")
}

/// Removes a file that no row names. A failure costs only room on the disk: [`clean`] tries again.
pub(crate) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a body without a message could not be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Removes the files that no row names and that no delivery can still be writing.
pub(crate) fn clean(connection: &Connection, account: &Path) -> Result<(), MailboxError> {
    let folder = folder(account);
    // `None` when the clock stands before 1970 and a day.
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(clock::unix_millis());
    let old = now.checked_sub(ORPHAN_AGE);
    let fail = |error: &io::Error| MailboxError::file(&folder, error);
    let mut orphans = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| fail(&error))? {
        let entry = entry.map_err(|error| fail(&error))?;
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.ok().zip(old).is_some_and(|(modified, old)| modified < old) {
            orphans.push(entry.path());
        }
    }
    if orphans.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare("SELECT file FROM message WHERE file IS NOT NULL")?;
    let named = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<HashSet<_>, _>>()?;
    for path in orphans {
        if path.file_name().and_then(|name| name.to_str()).is_none_or(|name| !named.contains(name)) {
            tracing::info!(path = %path.display(), "removing a body without a message, left by a crash");
            remove(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
