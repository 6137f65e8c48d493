//! The maildrop, emptied by the running server: what `sendmail` left there while it was down.
//!
//! Whoever may leave a letter may also leave something else, so nothing but what the kernel says is believed: a file is opened without following links and without
//! waiting, is a regular file with one name, and its owner is who writes. It goes through the same session and the same checks as a letter that is handed in over the
//! socket. It is spooled first and removed after; the id of its letter is made of the file, so that the same file is never two letters, whatever happens between. What can never be
//! taken is set aside with the reason beside it, and shown by `posthouse status`.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use posthouse_client::stream::ByteSource;
use posthouse_client::{Connection, Message, RecipientResult, Security, Target};
use posthouse_intake::{LocalDoor, Submitter, origin, serve_local};
use posthouse_mail::{Address, Domain, Envelope, LetterId, UnixMillis};
use posthouse_runtime::local::LocalStream;
use posthouse_runtime::net::Stream;
use posthouse_runtime::stream::{CHUNK_BYTES_MAX, NextChunk};
use posthouse_runtime::{clock, select, task, users};

use super::listen::Accepting;
use crate::config::Config;
use crate::maildrop::{ENDING, ENVELOPE_BYTES_MAX, PART_ENDING, SHARED, envelope, say_domain};

/// How often it is looked into.
const EVERY: Duration = Duration::from_secs(5);
/// The recipients of one transaction; more are sent in several (RFC 5321 §4.5.3.1.8 has servers take 100).
const RECIPIENTS_MAX: usize = 100;
/// The recipients that a note to a letter's owner names.
const RECIPIENTS_SHOWN: usize = 10;
/// In the place of the number of a group of recipients, of which there are never so many.
const NOTE: usize = usize::MAX;
/// The files of one round; the rest is for the next.
const FILES_MAX: usize = 10_000;
/// Where what cannot be taken is put.
const ASIDE: &str = "set-aside";
/// What is behind the name of such a file in that of its reason.
const REASON: &str = "reason";
/// A file that is still not whole after so long never will be.
const PART_AGE_MAX: Duration = Duration::from_hours(24);

/// The maildrop of a configuration: the one it names, else the usual one if that is there and ours.
pub(super) fn place(config: &Config) -> Option<PathBuf> {
    let usual = || {
        let shared = Path::new(SHARED);
        fs::symlink_metadata(shared).is_ok_and(|found| found.is_dir() && found.uid() == users::own()).then(|| shared.to_owned())
    };
    config.intake.local.maildrop.clone().or_else(usual)
}

/// How many letters wait in a maildrop, and how many files are set aside; counted up to [`FILES_MAX`].
pub(super) fn count(folder: &Path) -> (usize, usize) {
    let named = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter(|entry| Path::new(&entry.file_name()).extension().is_some_and(|end| end == ENDING)).take(FILES_MAX).count()
    };
    (named(folder), named(&folder.join(ASIDE)))
}

/// Empties it again and again until the server stops.
pub(super) async fn run(folder: PathBuf, door: LocalDoor, accepting: Accepting) {
    info!(maildrop = %folder.display(), "the maildrop is emptied");
    let mut round = Round { folder, door, accepting, failed: None, said: None };
    loop {
        round.run().await;
        let shutdown = round.accepting.shutdown.clone();
        select! {
            () = clock::sleep(EVERY) => {}
            () = shutdown.requested() => return,
        }
    }
}

struct Round {
    folder: PathBuf,
    door: LocalDoor,
    accepting: Accepting,
    /// Why it could not be read last time: said once.
    failed: Option<String>,
    /// What was said of names without a domain.
    said: Option<Domain>,
}

/// A letter in the maildrop.
struct Found {
    name: String,
    uid: u32,
    envelope: Envelope,
    file: File,
    body_at: u64,
    body_len: u64,
    /// What tells this file from all others.
    mark: [u8; 32],
    left: UnixMillis,
}

/// What is to be done with a file.
enum End {
    /// Its letter is spooled.
    Taken,
    /// It stays for another time; until then its owner's other letters stay too.
    Later,
    /// It can never be taken.
    Never(String),
}

impl Round {
    async fn run(&mut self) {
        let folder = self.folder.clone();
        let names = match task::blocking(move || names(&folder)).await {
            Ok(names) => names,
            // Nobody has left anything yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let words = error.to_string();
                if self.failed.as_ref() != Some(&words) {
                    error!(maildrop = %self.folder.display(), %error, "the maildrop cannot be read");
                    self.failed = Some(words);
                }
                return;
            }
        };
        self.failed = None;
        self.say_domain().await;
        let mut waiting = HashSet::new();
        for name in names {
            if self.accepting.shutdown.is_requested() {
                return;
            }
            let (path, owner) = (self.folder.join(&name), name.clone());
            match task::blocking(move || open(&path, owner)).await {
                Ok(None) => {}
                Ok(Some(found)) if waiting.contains(&found.uid) => {}
                Ok(Some(found)) => {
                    let (uid, name) = (found.uid, found.name.clone());
                    match self.take(&found).await {
                        End::Taken => remove(&self.folder.join(&name)),
                        End::Later => drop(waiting.insert(uid)),
                        End::Never(why) => {
                            // Told first, and once however often that is begun: its id is made of the file.
                            self.tell_owner(&found, &why).await;
                            self.set_aside(&name, &why);
                        }
                    }
                }
                Err(why) => self.set_aside(&name, &why),
            }
        }
    }

    async fn say_domain(&mut self) {
        let context = self.accepting.contexts.borrow().smtp.clone();
        let Ok(domain) = origin(&context).await else { return };
        if self.said.as_ref() != Some(&domain) {
            if let Err(error) = say_domain(&self.folder, &domain) {
                warn!(maildrop = %self.folder.display(), %error, "programs are not told what names without a domain belong to");
            }
            self.said = Some(domain);
        }
    }

    /// Spools a letter: when it returns [`End::Taken`] it is on stable storage for every recipient.
    async fn take(&self, found: &Found) -> End {
        for (number, some) in found.envelope.recipients.chunks(RECIPIENTS_MAX).enumerate() {
            let envelope = Envelope { recipients: some.to_vec(), ..found.envelope.clone() };
            match self.hand_in(found, number, &envelope).await {
                End::Taken => {}
                end @ (End::Later | End::Never(_)) => return end,
            }
        }
        End::Taken
    }

    async fn hand_in(&self, found: &Found, number: usize, envelope: &Envelope) -> End {
        let Ok(file) = found.file.try_clone() else { return End::Later };
        let mut body = FileBody { file: Some(file), at: found.body_at, left: found.body_len, len: found.body_len };
        self.submit(Submitter::left(found.uid, id(found, number)), envelope, &mut body).await
    }

    async fn submit(&self, submitter: Submitter, envelope: &Envelope, body: &mut dyn ByteSource) -> End {
        let Ok((ours, theirs)) = LocalStream::pair() else { return End::Later };
        let (door, accepting) = (self.door.clone(), self.accepting.clone());
        let serving = task::spawn("maildrop", async move {
            let contexts = Arc::clone(&accepting.contexts.borrow());
            serve_local(theirs, submitter, &door, &contexts.smtp, accepting.shutdown).await;
        });
        let target = Target::new("the maildrop", Vec::new(), Security::Plain, "localhost");
        let end = match Connection::open_over(&target, Stream::of_local(ours)).await {
            Err(_) => End::Later,
            Ok(mut connection) => {
                let end = match connection.send(envelope, body).await {
                    Ok(results) => judge(&results),
                    Err(_) => End::Later,
                };
                connection.quit().await;
                end
            }
        };
        serving.join().await;
        end
    }

    /// Writes to whoever left the letter, in that user's own name, which nobody has to be granted.
    async fn tell_owner(&self, found: &Found, why: &str) {
        let Some(note) = self.said.as_ref().and_then(|domain| note(found, domain, why)) else { return };
        let submitter = Submitter::left(found.uid, id(found, NOTE));
        match self.submit(submitter, note.envelope(), &mut note.body()).await {
            End::Taken => {}
            End::Later => warn!(file = found.name, "and its user could not be told"),
            End::Never(words) => warn!(file = found.name, words, "and its user could not be told"),
        }
    }

    fn set_aside(&self, name: &str, why: &str) {
        warn!(file = name, why, "a file in the maildrop is no letter that can be taken; it is set aside");
        let aside = self.folder.join(ASIDE);
        let moved = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&aside)
            .and_then(|()| fs::write(aside.join(name).with_extension(REASON), format!("{why}\n")))
            .and_then(|()| fs::rename(self.folder.join(name), aside.join(name)));
        if let Err(error) = moved {
            error!(file = name, %error, "and it could not be moved");
        }
    }
}

/// What is told to the user who left a letter that cannot be taken; nothing to one whose name is no mailbox.
fn note(found: &Found, domain: &Domain, why: &str) -> Option<Message> {
    let user = users::name(found.uid)?;
    let owner = format!("{user}@{domain}").parse::<Address>().ok()?.to_string();
    let shown = found.envelope.recipients.iter().take(RECIPIENTS_SHOWN).map(|recipient| recipient.address.to_string());
    let mut to: Vec<String> = shown.collect();
    if found.envelope.recipients.len() > to.len() {
        to.push(format!("{} more", found.envelope.recipients.len() - to.len()));
    }
    let text = format!(
        "The letter that you handed in on {} for {} was not sent: {why}\n\nIt is kept by the operator of this machine as {}.\n",
        found.left.to_rfc5322(),
        to.join(", "),
        found.name
    );
    let note = Message::builder().from(&owner).to(&owner).subject("Your letter was not sent").text(text);
    // RFC 3834 §5.
    note.field("Auto-Submitted", "auto-replied").build().ok()
}

/// What was answered, for all recipients together: what is refused for one stays whole, for nobody hears it otherwise.
fn judge(results: &[RecipientResult]) -> End {
    let mut end = End::Taken;
    for result in results {
        match result {
            RecipientResult::Accepted(_) => {}
            RecipientResult::Refused(reply) if reply.is_permanent() => return End::Never(reply.to_string()),
            RecipientResult::Unsendable(reply) => return End::Never(reply.to_string()),
            RecipientResult::Refused(_) | RecipientResult::Unknown(_) | RecipientResult::NotTried(_) => end = End::Later,
        }
    }
    end
}

/// The files that are whole, oldest first; what was begun long ago and never finished is removed.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)?.flatten().take(FILES_MAX) {
        let path = entry.path();
        let ends = |ending: &str| path.extension().is_some_and(|end| end == ending);
        if ends(ENDING) {
            names.extend(entry.file_name().into_string());
        } else if ends(PART_ENDING) && entry.metadata().is_ok_and(|part| is_old(&part)) {
            remove(&path);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_old(part: &fs::Metadata) -> bool {
    let changed = UnixMillis(u64::try_from(part.mtime()).unwrap_or_default().saturating_mul(1000));
    UnixMillis(clock::unix_millis()).since(changed) > PART_AGE_MAX
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        error!(file = %path.display(), %error, "a file in the maildrop cannot be removed");
    }
}

/// Opens a file and reads its envelope; none if somebody else is sending it or has. The error is why it can never be taken.
fn open(path: &Path, name: String) -> Result<Option<Found>, String> {
    // A link is not followed, and a pipe that nobody writes into is not waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(i32::try_from(flags).unwrap_or_default());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("it cannot be opened: {error}")),
    };
    let told = file.metadata().map_err(|error| format!("it cannot be looked at: {error}"))?;
    if !told.is_file() {
        return Err("it is not a file".to_owned());
    }
    // A file with another name may be one of somebody else's that was only linked to here.
    if told.nlink() > 1 {
        return Err("the file has other names too".to_owned());
    }
    let same = |named: fs::Metadata| (told.dev(), told.ino()) == (named.dev(), named.ino());
    // The owner's `sendmail -q` may be at it, or have been.
    if file.try_lock().is_err() || !fs::symlink_metadata(path).is_ok_and(same) {
        return Ok(None);
    }
    let mut line = Vec::new();
    let read = BufReader::new(&file).take(ENVELOPE_BYTES_MAX).read_until(b'\n', &mut line);
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if line.last() != Some(&b'\n') {
        return Err("it has no envelope".to_owned());
    }
    let (envelope, body_at) = (envelope(&line)?, u64::try_from(line.len()).unwrap_or(u64::MAX));
    if envelope.recipients.is_empty() {
        return Err("it is for nobody".to_owned());
    }
    let left = UnixMillis(u64::try_from(told.mtime()).unwrap_or_default().saturating_mul(1000));
    let mark = mark(&name, &told);
    Ok(Some(Found { name, uid: told.uid(), envelope, file, body_at, body_len: told.len().saturating_sub(body_at), mark, left }))
}

fn mark(name: &str, told: &fs::Metadata) -> [u8; 32] {
    let numbers = [
        u64::from(told.uid()),
        told.dev(),
        told.ino(),
        told.len(),
        told.mtime().cast_unsigned(),
        told.mtime_nsec().cast_unsigned(),
    ];
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    numbers.iter().for_each(|number| hash.update(number.to_le_bytes()));
    hash.finalize().into()
}

/// The id of the letter that a file and the number of a group of its recipients make: the same each time, and no other letter's, whatever its owner does.
fn id(found: &Found, number: usize) -> LetterId {
    let mut hash = Sha256::new();
    hash.update(found.mark);
    hash.update(u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes());
    let mut random = [0; 16];
    random.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    LetterId::new(found.left, u128::from_le_bytes(random))
}

/// The letter in a file, chunk by chunk.
struct FileBody {
    /// Lent to the reading thread meanwhile.
    file: Option<File>,
    at: u64,
    left: u64,
    len: u64,
}

impl ByteSource for FileBody {
    fn len(&self) -> u64 {
        self.len
    }

    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(async move {
            let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK_BYTES_MAX);
            let Some(mut file) = self.file.take().filter(|_| size > 0) else { return Ok(None) };
            let at = self.at;
            let (file, chunk) = task::blocking(move || {
                let mut chunk = vec![0; size];
                file.seek(io::SeekFrom::Start(at))?;
                // A file that has become shorter is not what it was.
                file.read_exact(&mut chunk)?;
                Ok::<_, io::Error>((file, chunk))
            })
            .await?;
            self.file = Some(file);
            let count = u64::try_from(size).unwrap_or(u64::MAX);
            (self.at, self.left) = (self.at + count, self.left - count);
            Ok(Some(chunk.into()))
        })
    }
}

#[cfg(test)]
mod tests;
