//! The maildrop: letters that the server has not answered for yet.
//!
//! One file for each: a line of JSON with the envelope, then the letter. A file is whole once it has its name; while it is being sent it is locked, and the lock ends
//! with the process, so that no two calls send the same letter and none is lost when one of them dies.
//!
//! The shared maildrop is a directory of the server's user with the mode 3733: everybody may leave a letter there, nobody else may see or touch it. Its files belong to who
//! left them, and their group is the directory's, so that the server may read them and other users may not. No program needs any privilege for that.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use posthouse_client::Message;
use posthouse_mail::{Address, Domain, LetterId, Notify, Recipient, Ret, ReversePath, TlsWish, UnixMillis};
use posthouse_runtime::{clock, random, users};
use serde::{Deserialize, Serialize};

use crate::cli::{Exit, Failure};

/// Where it is for everybody, if this user may write there.
pub(crate) const SHARED: &str = "/var/spool/posthouse/maildrop";
/// What the name of a whole file ends with.
pub(crate) const ENDING: &str = "letter";
/// What the name of one that is being written ends with.
pub(crate) const PART_ENDING: &str = "part";
/// The file in which the server says what names without a domain belong to.
const DOMAIN: &str = ".domain";
/// The octets of an envelope: ten thousand recipients.
pub(crate) const ENVELOPE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The octets of a domain's name.
const DOMAIN_BYTES_MAX: u64 = 1000;
/// The directory's bit for files of its own group (stat(2), `S_ISGID`).
const SET_GROUP: u32 = 0o2000;

pub(crate) struct Maildrop {
    folder: PathBuf,
    /// Whether another user empties it.
    is_shared: bool,
}

/// A letter in the maildrop, by the name of its file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Kept(PathBuf);

/// A letter that this process alone is sending.
pub(crate) struct Claimed {
    pub(crate) message: Message,
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
    /// Milliseconds since 1970: it is not sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_at: Option<u64>,
    /// TLS is required on its whole way (RFC 8689).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    requires_tls: bool,
}

impl Maildrop {
    /// `POSTHOUSE_MAILDROP`, else the shared one, else one of this user's own, made if it is not there. The shared one is made by whoever sets the server up: one
    /// that root made by calling `sendmail` would be nobody's to empty, and other programs would take it for a sign of a server.
    pub(crate) fn open() -> Result<Self, Failure> {
        if let Some(folder) = std::env::var_os("POSTHOUSE_MAILDROP").filter(|folder| !folder.is_empty()) {
            return Self::at(folder.into());
        }
        if Path::new(SHARED).is_dir()
            && let Ok(shared) = Self::at(SHARED.into())
        {
            return Ok(shared);
        }
        let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = || home.or_else(|| users::home(users::own())).map(|home| home.join(".local/state"));
        let state = state.or_else(home).ok_or_else(|| {
            Failure::say(Exit::CannotCreate, "there is no place for a maildrop: this user has no home directory")
        })?;
        Self::at(state.join("posthouse/maildrop"))
    }

    pub(crate) fn at(folder: PathBuf) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::say(Exit::CannotCreate, format_args!("{}: {error}", folder.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        // Whether this user may write there is found out before the letter depends on it.
        let try_it = folder.join(format!(".{:016x}", random::u64()));
        File::create(&try_it).and_then(|_| fs::remove_file(&try_it)).map_err(failed)?;
        let is_shared = fs::metadata(&folder).map_err(failed)?.permissions().mode() & SET_GROUP != 0;
        Ok(Self { folder, is_shared })
    }

    /// The domain that names without one belong to, as the server that empties it has said.
    pub(crate) fn domain(&self) -> Option<String> {
        let file = File::open(self.folder.join(DOMAIN)).ok()?;
        // Everybody may make files here; this one counts only if it is of the directory's owner.
        if file.metadata().ok()?.uid() != fs::metadata(&self.folder).ok()?.uid() {
            return None;
        }
        let mut text = String::new();
        file.take(DOMAIN_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned()).filter(|text| text.parse::<Domain>().is_ok())
    }

    /// Keeps a letter: when this returns it is on stable storage.
    pub(crate) fn keep(&self, letter: &Message) -> Result<Kept, Failure> {
        let name = LetterId::new(UnixMillis(clock::unix_millis()), random::u128()).to_string();
        let kept = Kept(self.folder.join(name).with_extension(ENDING));
        self.write(&kept, letter).map_err(|error| failed(&kept.0, &error))?;
        Ok(kept)
    }

    /// What waits, oldest first.
    pub(crate) fn letters(&self) -> Result<Vec<Kept>, Failure> {
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
    pub(crate) fn claim(&self, kept: &Kept) -> Result<Option<Claimed>, Failure> {
        let file = match File::open(&kept.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&kept.0, &error)),
        };
        // Another call may have sent it, to all or to some, between the opening and the lock.
        let same = |named: fs::Metadata| file.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (named.dev(), named.ino()));
        if file.try_lock().is_err() || !fs::metadata(&kept.0).is_ok_and(same) {
            return Ok(None);
        }
        let message = read(&file).map_err(|why| Failure::say(Exit::Data, format_args!("{}: {why}", kept.0.display())))?;
        Ok(Some(Claimed { message, kept: kept.clone(), _file: file }))
    }

    /// A letter was answered for, but for those who are still open.
    pub(crate) fn settle(&self, claimed: Claimed, open: &[Address]) -> Result<(), Failure> {
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
    pub(crate) fn release(&self, claimed: Claimed) {
        drop(claimed);
    }

    /// One line about a letter.
    pub(crate) fn describe(&self, kept: &Kept) -> Result<String, Failure> {
        let file = File::open(&kept.0).map_err(|error| failed(&kept.0, &error))?;
        let octets = file.metadata().map_err(|error| failed(&kept.0, &error))?.len();
        let name = kept.0.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(match first_line(&mut BufReader::new(&file)).and_then(|line| Ok((envelope(&line)?, line.len()))) {
            Ok((envelope, line)) => {
                let to: Vec<String> = envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
                let size = octets.saturating_sub(u64::try_from(line).unwrap_or(u64::MAX));
                format!("{name}  {size} octets  <{}> to {}", envelope.reverse_path, to.join(", "))
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
            release_at: envelope.release_at.map(|at| at.0),
            requires_tls: envelope.tls == TlsWish::Required,
        })?;
        let part = self.folder.join(format!(".{:016x}.{PART_ENDING}", random::u64()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        let mode = if self.is_shared { 0o640 } else { 0o600 };
        let written = file
            .set_permissions(fs::Permissions::from_mode(mode))
            .and_then(|()| file.write_all(line.as_bytes()))
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| letter.write_to(&mut file))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&part, &kept.0))
            .and_then(|()| self.sync_name(&file));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }

    /// Makes the new name of a file durable.
    fn sync_name(&self, file: &File) -> io::Result<()> {
        match File::open(&self.folder) {
            Ok(folder) => folder.sync_all(),
            // Of the shared one nobody may see what is in it, so it cannot be opened to be synced. To sync a file whose name has changed since commits the
            // change of the name too on ext4, XFS and Btrfs, whose journals keep the order of both.
            Err(error) if self.is_shared && error.kind() == io::ErrorKind::PermissionDenied => file.sync_all(),
            Err(error) => Err(error),
        }
    }
}

/// Says what names without a domain belong to, for programs that find no server.
pub(crate) fn say_domain(folder: &Path, domain: &Domain) -> io::Result<()> {
    let part = folder.join(format!(".{:016x}.{PART_ENDING}", random::u64()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&part)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    writeln!(file, "{domain}").and_then(|()| fs::rename(&part, folder.join(DOMAIN)))
}

/// The envelope on the first line of a file.
pub(crate) fn envelope(line: &[u8]) -> Result<posthouse_mail::Envelope, String> {
    let read: Envelope = serde_json::from_slice(line).map_err(|error| format!("its envelope cannot be read: {error}"))?;
    if read.version != 1 {
        return Err(format!("it is of version {}, which is not known here", read.version));
    }
    let from: ReversePath = read.from.parse().map_err(|error: posthouse_mail::AddressError| error.to_string())?;
    let notify = read.notify.map(|[success, failure, delay]| Notify { success, failure, delay });
    let recipient = |text: &String| text.parse().map(|address| Recipient { address, notify, orcpt: None });
    let to = read.to.iter().map(recipient).collect::<Result<Vec<_>, _>>();
    let to = to.map_err(|error: posthouse_mail::AddressError| error.to_string())?;
    Ok(posthouse_mail::Envelope {
        ret: read.ret_full.map(|full| if full { Ret::Full } else { Ret::Headers }),
        envid: read.envid,
        release_at: read.release_at.map(UnixMillis),
        tls: if read.requires_tls { TlsWish::Required } else { TlsWish::default() },
        ..posthouse_mail::Envelope::new(from, to)
    })
}

/// The line of the envelope, with its end.
fn first_line(file: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    file.take(ENVELOPE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if line.ends_with(b"\n") { Ok(line) } else { Err("it has no envelope".to_owned()) }
}

/// A kept letter, of any size.
fn read(file: &File) -> Result<Message, String> {
    let mut file = BufReader::new(file);
    let envelope = envelope(&first_line(&mut file)?)?;
    let to = envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
    let mut message = Message::from_eml_reader(file, envelope.reverse_path, to).map_err(|error| error.to_string())?;
    let wanted = message.envelope_mut();
    wanted.recipients = envelope.recipients;
    (wanted.ret, wanted.envid, wanted.release_at) = (envelope.ret, envelope.envid, envelope.release_at);
    wanted.tls = envelope.tls;
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
        letter.envelope_mut().tls = TlsWish::Required;
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
    fn in_a_shared_maildrop_the_server_may_read_and_others_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("drop");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o3733)).unwrap();
        let kept = Maildrop::at(shared.clone()).unwrap().keep(&letter()).unwrap();
        let (file, shared) = (fs::metadata(&kept.0).unwrap(), fs::metadata(&shared).unwrap());
        assert_eq!((file.mode() & 0o7777, file.gid()), (0o640, shared.gid()));
        let own = Maildrop::at(folder.path().join("own")).unwrap().keep(&letter()).unwrap();
        assert_eq!(fs::metadata(&own.0).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_file_that_was_not_finished_is_no_letter() {
        let folder = tempfile::tempdir().unwrap();
        let maildrop = Maildrop::at(folder.path().to_owned()).unwrap();
        std::fs::write(folder.path().join(".0000.part"), b"{\"version\":1").unwrap();
        assert!(maildrop.letters().unwrap().is_empty());
    }
}
