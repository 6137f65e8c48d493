#![allow(clippy::disallowed_methods, reason = "a thread of its own, for what is given up is given up for good")]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

use super::*;

/// A directory of ours, one of somebody else's, and a program.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        for name in ["data/a", "data/b", "others", "programs", "live", "archive"] {
            fs::create_dir_all(folders.path(name)).unwrap();
        }
        fs::write(folders.path("others/secret"), "secret").unwrap();
        for program in ["programs/true", "others/true"] {
            fs::copy("/bin/true", folders.path(program)).unwrap();
            fs::set_permissions(folders.path(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn usual(&self) -> Reach {
        Reach::usual(&self.path("programs/true"), Path::new("/etc/hosts"))
    }
}

/// What comes of it in a thread that is confined.
fn confined<T: Send>(reach: &Reach, within: impl FnOnce() -> T + Send) -> T {
    let confined = || {
        let confined = confine(&Settings { landlock: Landlock::Require, ..Settings::default() }, reach.clone(), false);
        assert!(matches!(confined.unwrap().hold, Hold::Whole | Hold::Partly));
        within()
    };
    thread::scope(|scope| scope.spawn(confined).join().unwrap())
}

fn denied<T>(tried: std::io::Result<T>) -> bool {
    tried.is_err_and(|error| matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::CrossesDevices))
}

#[test]
fn nothing_but_what_was_named_is_read_written_or_started() {
    let folders = Folders::new();
    let mut reach = folders.usual();
    reach.write(&folders.path("data"));
    symlink(folders.path("others/secret"), folders.path("data/a/link")).unwrap();
    let path = |name: &str| folders.path(name);
    confined(&reach, || {
        // A server's day.
        fs::write(path("data/a/letter"), "x").unwrap();
        fs::rename(path("data/a/letter"), path("data/b/letter")).unwrap();
        File::options().write(true).open(path("data/b/letter")).unwrap().set_len(0).unwrap();
        fs::remove_file(path("data/b/letter")).unwrap();
        fs::create_dir(path("data/c")).unwrap();
        fs::remove_dir(path("data/c")).unwrap();
        drop(UnixListener::bind(path("data/admin.sock")).unwrap());
        drop(tempfile::tempfile_in(path("data")).unwrap());
        assert!(!fs::read("/etc/hosts").unwrap().is_empty() && fs::read("/proc/self/statm").is_ok());
        assert!(Command::new(path("programs/true")).status().unwrap().success());
        // What it is not for.
        assert!(denied(fs::read(path("others/secret"))) && denied(fs::read(path("data/a/link"))));
        assert!(denied(fs::read_dir(path("others"))) && denied(fs::read_dir("/root")));
        assert!(denied(fs::write(path("others/new"), "")) && denied(fs::write("/etc/posthouse-was-here", "")));
        assert!(denied(fs::remove_file(path("others/secret"))) && denied(fs::create_dir(path("others/new"))));
        fs::write(path("data/a/letter"), "x").unwrap();
        assert!(denied(fs::rename(path("data/a/letter"), path("others/letter"))));
        assert!(denied(fs::hard_link(path("others/secret"), path("data/a/secret"))));
        for program in [path("others/true"), "/bin/sh".into(), "/usr/bin/env".into()] {
            assert!(denied(Command::new(program).status()));
        }
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let secret = path("others/secret");
        assert!(denied(thread::spawn(|| fs::read(secret)).join().unwrap()), "a thread that was started since");
    });
    assert!(fs::read(path("others/secret")).is_ok(), "the others are not confined");
}

#[test]
fn what_an_update_puts_in_the_place_of_a_file_or_behind_a_link_is_read_and_started() {
    let folders = Folders::new();
    let path = |name: &str| folders.path(name);
    fs::write(path("archive/1.pem"), "1").unwrap();
    symlink("../archive/1.pem", path("live/cert.pem")).unwrap();
    let mut reach = folders.usual();
    reach.read(&path("live/cert.pem"));
    reach.write(&path("data"));
    confined(&reach, || {
        assert_eq!(fs::read(path("live/cert.pem")).unwrap(), b"1");
    });
    fs::write(path("archive/2.pem"), "2").unwrap();
    fs::remove_file(path("live/cert.pem")).unwrap();
    symlink("../archive/2.pem", path("live/cert.pem")).unwrap();
    fs::copy("/bin/true", path("programs/new")).unwrap();
    fs::rename(path("programs/new"), path("programs/true")).unwrap();
    confined(&reach, || {
        assert_eq!(fs::read(path("live/cert.pem")).unwrap(), b"2");
        assert!(Command::new(path("programs/true")).status().unwrap().success());
    });
}

#[test]
fn a_part_of_the_data_on_another_disk_belongs_to_it() {
    let folders = Folders::new();
    symlink(folders.path("archive"), folders.path("data/accounts")).unwrap();
    let mut reach = folders.usual();
    reach.write(&folders.path("data"));
    confined(&reach, || fs::write(folders.path("data/accounts/x"), "x")).unwrap();
    // A certificate in the root opens no more than itself.
    let mut root = Reach::default();
    root.read(Path::new("/cert.pem"));
    assert_eq!(root.places.into_iter().collect::<Vec<_>>(), [(Way::Read, PathBuf::from("/cert.pem"))]);
}

#[test]
fn a_successor_is_told_what_it_may_touch_and_does_not_start_with_less_than_it_needs() {
    let folders = Folders::new();
    let mut held = folders.usual();
    held.write(&folders.path("data"));
    let confined = Confined { hold: Hold::Whole, reach: Some(held.clone()) };
    let (_, told) = confined.told().unwrap();
    assert_eq!(Reach::of_text(told), held);
    assert_eq!(Reach::of_text("write\nfly /x\n\nread".into()), Reach::default());
    let mut more = folders.usual();
    more.write(&folders.path("data/a"));
    more.socket(&folders.path("data/submit.sock"));
    more.read(&folders.path("data/b/key.pem"));
    assert_eq!(confined.allows(&more), Ok(()));
    more.write(&folders.path("others/not/yet"));
    let error = confined.allows(&more).unwrap_err().to_string();
    assert!(error.contains("does not let this process write in") && error.contains("others/not/yet"), "{error}");
    assert_eq!(Confined { hold: Hold::Not(String::new()), reach: None }.allows(&more), Ok(()));
    let mut reads = folders.usual();
    reads.write(&folders.path("data"));
    reads.read(&folders.path("others"));
    assert_eq!(confined.allows(&reads), Err(OutOfReach::Place(Way::Read, folders.path("others").canonicalize().unwrap())));
}

#[test]
fn to_a_port_that_nobody_named_there_is_no_connection_and_no_listener() {
    let [named, other] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let free = port(&TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let mut reach = Folders::new().usual();
    reach.connect(port(&named));
    reach.bind(free);
    confined(&reach, || {
        assert!(TcpStream::connect(named.local_addr().unwrap()).is_ok());
        assert!(denied(TcpStream::connect(other.local_addr().unwrap())));
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, free)).is_ok());
        assert!(
            denied(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
                && denied(TcpListener::bind((Ipv4Addr::LOCALHOST, port(&other) ^ 1)))
        );
        // Questions to the DNS are asked by UDP, from any port.
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().send_to(b"x", other.local_addr().unwrap()).unwrap();
    });
    assert!(TcpStream::connect(other.local_addr().unwrap()).is_ok(), "the others are not confined");
}

#[test]
fn a_successor_is_told_the_ports_and_other_listeners_wait_for_the_next_start() {
    let folders = Folders::new();
    let mut held = folders.usual();
    held.connect(4318);
    held.bind(25);
    let confined = Confined { hold: Hold::Whole, reach: Some(held.clone()) };
    let (_, told) = confined.told().unwrap();
    assert_eq!(Reach::of_text(told), held);
    let mut listens = held.clone();
    listens.bind(2525);
    assert_eq!(confined.allows(&listens), Ok(()));
    assert_eq!(listens.is_within(&held), Err(OutOfReach::Port(Door::Bind, 2525)));
    let mut connects = held.clone();
    connects.connect(11333);
    let error = confined.allows(&connects).unwrap_err().to_string();
    assert!(error.starts_with("the sandbox does not let this process connect to port 11333"), "{error}");
    // A predecessor from before ports were restricted.
    let before = Reach { ports: None, ..held.clone() };
    assert_eq!(Reach::of_text(Confined { hold: Hold::Whole, reach: Some(before.clone()) }.told().unwrap().1), before);
    assert_eq!(connects.is_within(&before), Ok(()));
}
