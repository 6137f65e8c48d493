//! The maildrop: letters that the server has not answered for yet.
//!
//! One file for each: a line of JSON with the envelope, then the letter. A file is whole once it has its name; while it is being sent it has another one, under a lock that ends
//! with the process, so that no two calls send the same letter and none is lost when one of them dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use posthouse_client::Message;
use posthouse_mail::{Address, LetterId, Notify, Ret, UnixMillis};
use posthouse_runtime::{clock, random};
use serde::{Deserialize, Serialize};

use crate::cli::{Exit, Failure};

/// Where it is for everybody, if this user may write there.
const SHARED: &str = "/var/spool/posthouse/maildrop";
const ENDING: &str = "letter";

pub(super) struct Maildrop {
    folder: PathBuf,
}

/// A letter in the maildrop, by the name of its file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Kept(PathBuf);

/// A letter that this process alone is sending.
pub(super) struct Claimed {
    pub(super) message: Message,
    kept: Kept,
    /// Holds the lock.
    _file: File,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    from: String,
    to: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notify: Option<[bool; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ret_full: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envid: Option<String>,
}

impl Maildrop {
    /// `POSTHOUSE_MAILDROP`, else the shared one, else one of this user's own, made if it is not there.
    pub(super) fn open() -> Result<Self, Failure> {
        if let Some(folder) = std::env::var_os("POSTHOUSE_MAILDROP").filter(|folder| !folder.is_empty()) {
            return Self::at(folder.into());
        }
        if let Ok(shared) = Self::at(SHARED.into()) {
            return Ok(shared);
        }
        let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let state = state
            .or_else(home)
            .ok_or_else(|| Failure::say(Exit::CannotCreate, "there is no place for a maildrop: HOME is not set"))?;
        Self::at(state.join("posthouse/maildrop"))
    }

    pub(super) fn at(folder: PathBuf) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::say(Exit::CannotCreate, format_args!("{}: {error}", folder.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        // Whether this user may write there is found out before the letter depends on it.
        let try_it = folder.join(format!(".{:016x}", random::u64()));
        File::create(&try_it).and_then(|_| fs::remove_file(&try_it)).map_err(failed)?;
        Ok(Self { folder })
    }

    /// Keeps a letter: when this returns it is on stable storage.
    pub(super) fn keep(&self, letter: &Message) -> Result<Kept, Failure> {
        let name = LetterId::new(UnixMillis(clock::unix_millis()), random::u128()).to_string();
        let kept = Kept(self.folder.join(name).with_extension(ENDING));
        self.write(&kept, letter).map_err(|error| failed(&kept.0, &error))?;
        Ok(kept)
    }

    /// What waits, oldest first.
    pub(super) fn letters(&self) -> Result<Vec<Kept>, Failure> {
        let entries = fs::read_dir(&self.folder).map_err(|error| failed(&self.folder, &error))?;
        let mut found: Vec<Kept> = entries
            .flatten()
            .map(|entry| Kept(entry.path()))
            .filter(|kept| kept.0.extension().is_some_and(|e| e == ENDING))
            .collect();
        found.sort();
        Ok(found)
    }

    /// Takes a letter to send it; none if another process has it, or has sent it.
    pub(super) fn claim(&self, kept: &Kept) -> Result<Option<Claimed>, Failure> {
        let mut file = match File::open(&kept.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&kept.0, &error)),
        };
        // Another call may have sent it, to all or to some, between the opening and the lock.
        let same = |named: fs::Metadata| file.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (named.dev(), named.ino()));
        if file.try_lock().is_err() || !fs::metadata(&kept.0).is_ok_and(same) {
            return Ok(None);
        }
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(|error| failed(&kept.0, &error))?;
        let message = read(&octets).map_err(|why| Failure::say(Exit::Data, format_args!("{}: {why}", kept.0.display())))?;
        Ok(Some(Claimed { message, kept: kept.clone(), _file: file }))
    }

    /// A letter was answered for, but for those who are still open.
    pub(super) fn settle(&self, claimed: Claimed, open: &[Address]) -> Result<(), Failure> {
        let path = &claimed.kept.0;
        if !open.is_empty() {
            let mut rest = claimed.message.clone();
            rest.envelope_mut().recipients.retain(|recipient| open.contains(&recipient.address));
            return self.write(&claimed.kept, &rest).map_err(|error| failed(path, &error));
        }
        fs::remove_file(path).map_err(|error| failed(path, &error))
    }

    /// Nobody got the letter: it stays.
    #[expect(clippy::unused_self, reason = "the counterpart of `settle`; dropping the claim ends its lock")]
    pub(super) fn release(&self, claimed: Claimed) {
        drop(claimed);
    }

    /// One line about a letter.
    pub(super) fn describe(&self, kept: &Kept) -> Result<String, Failure> {
        let octets = fs::read(&kept.0).map_err(|error| failed(&kept.0, &error))?;
        let name = kept.0.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(match read(&octets) {
            Ok(letter) => {
                let to: Vec<String> =
                    letter.envelope().recipients.iter().map(|recipient| recipient.address.to_string()).collect();
                format!("{name}  {} octets  <{}> to {}", letter.size(), letter.envelope().reverse_path, to.join(", "))
            }
            Err(why) => format!("{name}  {why}"),
        })
    }

    fn write(&self, kept: &Kept, letter: &Message) -> io::Result<()> {
        let envelope = letter.envelope();
        let notify = envelope.recipients.first().and_then(|recipient| recipient.notify);
        let line = serde_json::to_string(&Envelope {
            version: 1,
            from: envelope.reverse_path.to_string(),
            to: envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect(),
            notify: notify.map(|notify| [notify.success, notify.failure, notify.delay]),
            ret_full: envelope.ret.map(|ret| ret == Ret::Full),
            envid: envelope.envid.clone(),
        })?;
        let part = self.folder.join(format!(".{:016x}.part", random::u64()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.write_all(&letter.to_bytes()?))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&part, &kept.0))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }
}

fn read(octets: &[u8]) -> Result<Message, String> {
    let end = octets.iter().position(|&byte| byte == b'\n').ok_or("it has no envelope")?;
    let (line, letter) = octets.split_at_checked(end + 1).ok_or("it has no letter")?;
    let envelope: Envelope = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if envelope.version != 1 {
        return Err(format!("it is of version {}, which is not known here", envelope.version));
    }
    let from = envelope.from.parse().map_err(|error: posthouse_mail::AddressError| error.to_string())?;
    let to =
        envelope.to.iter().map(|text| text.parse()).collect::<Result<Vec<Address>, _>>().map_err(|error| error.to_string())?;
    let mut message = Message::from_eml(letter, from, to).map_err(|error| error.to_string())?;
    let notify = envelope.notify.map(|[success, failure, delay]| Notify { success, failure, delay });
    let wanted = message.envelope_mut();
    wanted.recipients.iter_mut().for_each(|recipient| recipient.notify = notify);
    wanted.ret = envelope.ret_full.map(|full| if full { Ret::Full } else { Ret::Headers });
    wanted.envid = envelope.envid;
    Ok(message)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::say(Exit::CannotCreate, format_args!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Message {
        let to = vec!["b@y.test".parse().unwrap(), "c@y.test".parse().unwrap()];
        let mut letter = Message::from_eml(b"Subject: s\n\nh\xc3\xa9\n", "a@x.test".parse().unwrap(), to).unwrap();
        letter.envelope_mut().ret = Some(Ret::Headers);
        letter
    }

    #[test]
    fn a_kept_letter_is_what_it_was_and_goes_when_all_are_answered_for() {
        let folder = tempfile::tempdir().unwrap();
        let maildrop = Maildrop::at(folder.path().join("drop")).unwrap();
        let kept = maildrop.keep(&letter()).unwrap();
        assert_eq!(maildrop.letters().unwrap(), std::slice::from_ref(&kept));
        let claimed = maildrop.claim(&kept).unwrap().unwrap();
        assert_eq!(
            (claimed.message.envelope(), claimed.message.to_bytes().unwrap()),
            (letter().envelope(), letter().to_bytes().unwrap())
        );
        assert!(maildrop.claim(&kept).unwrap().is_none(), "two calls do not send the same letter");
        maildrop.settle(claimed, &["c@y.test".parse().unwrap()]).unwrap();
        let claimed = maildrop.claim(&kept).unwrap().unwrap();
        assert_eq!(claimed.message.envelope().recipients.len(), 1);
        maildrop.release(claimed);
        let claimed = maildrop.claim(&kept).unwrap().unwrap();
        maildrop.settle(claimed, &[]).unwrap();
        assert!(maildrop.letters().unwrap().is_empty() && maildrop.claim(&kept).unwrap().is_none());
    }

    #[test]
    fn a_file_that_was_not_finished_is_no_letter() {
        let folder = tempfile::tempdir().unwrap();
        let maildrop = Maildrop::at(folder.path().to_owned()).unwrap();
        std::fs::write(folder.path().join(".0000.part"), b"{\"version\":1").unwrap();
        assert!(maildrop.letters().unwrap().is_empty());
    }
}
