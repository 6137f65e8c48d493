//! Other people's mail servers, each with its own name and address in the world.

use crate::world::{World, eventually, run_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running server that keeps all mail for its domain in one maildir.
pub(crate) struct Server {
    /// The domain whose MX it is.
    pub(crate) domain: &'static str,
    /// Its address in the world.
    pub(crate) address: &'static str,
    /// Whether it takes and offers SMTPUTF8.
    pub(crate) smtputf8: bool,
    pub(crate) folder: PathBuf,
    pub(crate) log: &'static str,
    pub(crate) _process: Option<Guard>,
}

/// Postfix, with STARTTLS required on the way to Posthouse.
pub(crate) fn postfix(world: &World) -> Server {
    let folder = world.folder("postfix");
    world.folder_of("postfix/mail", "vmail");
    world.folder_of("postfix/data", "postfix");
    world.folder("postfix/spool");
    world.certificate(&folder, "mx.postfix.test");
    let (uid, gid) = (id("-u"), id("-g"));
    let words = [("DIR", folder.to_str().unwrap()), ("UID", &uid), ("GID", &gid)];
    world.fill(include_str!("conf/postfix-main.cf"), &words, Path::new("/etc/postfix/main.cf"));
    world.fill(include_str!("conf/postfix-master.cf"), &words, Path::new("/etc/postfix/master.cf"));
    fs::write("/etc/postfix/dynamicmaps.cf", "").unwrap();
    // It goes to the background and ends with the world.
    run_to_end(Command::new("postfix").arg("start"));
    let server = Server { domain: "postfix.test", address: "127.0.0.3", smtputf8: true, folder, log: "log", _process: None };
    world.listening(server.address, 25);
    server
}

/// Exim, with STARTTLS required on the way to Posthouse.
pub(crate) fn exim(world: &World) -> Server {
    let folder = world.folder_of("exim", "Debian-exim");
    world.folder_of("exim/mail", "vmail");
    world.folder_of("exim/spool", "Debian-exim");
    world.certificate(&folder, "mx.exim.test");
    let words = [("DIR", folder.to_str().unwrap())];
    world.fill(include_str!("conf/exim.conf"), &words, Path::new("/etc/exim4/exim4.conf"));
    let process = Guard::spawn(Command::new("exim4").args(["-bdf", "-q2s"]));
    let server =
        Server { domain: "exim.test", address: "127.0.0.4", smtputf8: true, folder, log: "log.main", _process: Some(process) };
    world.listening(server.address, 25);
    server
}

/// OpenSMTPD; it offers no STARTTLS, which is broken in Debian 12's build.
pub(crate) fn opensmtpd(world: &World) -> Server {
    let folder = world.folder("opensmtpd");
    world.folder_of("opensmtpd/mail", "vmail");
    for needed in ["/var/spool/smtpd", "/var/lib/opensmtpd/empty"] {
        fs::create_dir_all(needed).unwrap();
    }
    run_to_end(Command::new("chmod").args(["711", "/var/spool/smtpd"]));
    let words = [("DIR", folder.to_str().unwrap())];
    world.fill(include_str!("conf/smtpd.conf"), &words, Path::new("/etc/smtpd.conf"));
    let log = folder.join("log");
    let script = format!("exec /usr/sbin/smtpd -d >{} 2>&1", log.display());
    let process = Guard::spawn(Command::new("sh").args(["-c", &script]));
    let server =
        Server { domain: "opensmtpd.test", address: "127.0.0.5", smtputf8: false, folder, log: "log", _process: Some(process) };
    world.listening(server.address, 25);
    server
}

fn id(what: &str) -> String {
    run_to_end(Command::new("id").args([what, "vmail"])).trim().to_owned()
}

impl Server {
    /// Waits until so many letters have arrived, takes them out and returns them, with LF line endings as kept.
    pub(crate) fn take(&self, count: usize) -> Vec<Vec<u8>> {
        let new = self.folder.join("mail/box/new");
        let files = || -> Vec<PathBuf> {
            fs::read_dir(&new).map(|all| all.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
        };
        eventually(&format!("{count} letters did not arrive; {}", self.log()), || (files().len() >= count).then_some(()));
        let letters: Vec<Vec<u8>> = files().iter().map(|file| fs::read(file).unwrap()).collect();
        files().iter().for_each(|file| fs::remove_file(file).unwrap());
        assert_eq!(letters.len(), count, "{}", self.log());
        letters
    }

    /// What it has written about itself.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join(self.log)).unwrap_or_default()
    }
}

/// A failed test shows what the peer had to say.
impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.domain, self.log());
        }
    }
}
