//! Letters written into a folder: with those that go with a letter the only place of this crate that touches files, and only where the caller says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use posthouse_mail::{Reply, Status};
use posthouse_runtime::{clock, random, task};
use posthouse_smtp::client::RecipientResult;

use crate::error::ClientError;
use crate::message::Message;
use crate::report::RecipientReport;
use crate::transport::{Sending, Transport, report, whole};

/// Writes letters into a folder: as `.eml` files, or as a Maildir that mail programs read.
///
/// ```
/// use posthouse_client::{Folder, Message, blocking::Transport as _};
///
/// # let place = tempfile::tempdir()?;
/// let folder = Folder::maildir(place.path().join("Mail"))?;
/// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
/// assert!(folder.send(&message)?.is_complete());
/// assert_eq!(std::fs::read_dir(place.path().join("Mail/new"))?.count(), 1);
/// let files = Folder::eml(place.path().join("letters"))?; // letters/….eml
/// assert!(files.send(&message)?.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    maildir: bool,
    count: AtomicU64,
}

impl Folder {
    /// A folder of `.eml` files, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn eml(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, maildir: false, count: AtomicU64::new(0) })
    }

    /// A Maildir, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn maildir(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        for part in ["tmp", "new", "cur"] {
            std::fs::create_dir_all(path.join(part))?;
        }
        Ok(Self { path, maildir: true, count: AtomicU64::new(0) })
    }

    /// Where the next letter goes: first here, then, once whole, there.
    fn next(&self) -> (PathBuf, PathBuf) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{number}_{:016x}", clock::unix_millis(), random::u64());
        if self.maildir {
            let name = format!("{name}.posthouse");
            (self.path.join("tmp").join(&name), self.path.join("new").join(name))
        } else {
            (self.path.join(format!(".{name}.part")), self.path.join(format!("{name}.eml")))
        }
    }
}

impl Transport for Folder {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move {
            let (part, place) = self.next();
            let bytes = whole(message).await?;
            task::blocking(move || write(&bytes, &part, &place)).await.map_err(ClientError::Read)?;
            let accepted = |text| RecipientResult::Accepted(Reply::new(250, Status::success(0, 0), text));
            let ends = message.envelope().recipients.iter();
            let ends =
                ends.map(|recipient| RecipientReport::new(recipient.address.clone(), accepted("written to a file"))).collect();
            Ok(report(&self.path.display().to_string(), ends, message))
        })
    }
}

/// A reader of the folder never sees half a letter.
fn write(bytes: &[u8], part: &Path, place: &Path) -> io::Result<()> {
    std::fs::write(part, bytes)?;
    std::fs::rename(part, place)
}
