//! The disk under the queue becomes full, for real: a small file system in memory, which only root can mount.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, Site, Smtp, letter};
use posthouse_queue::Queue;

/// A file system of its own; taken away when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(at: &Path, size: &str) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"], at);
        mounted.map(|()| Self(at.to_owned()))
    }

    fn grow(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.0).unwrap();
    }
}

fn mount(args: &[&str], at: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(args).arg(at).output().map_err(|error| format!("mount: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The server that had it open may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sends until a letter is refused: how many were taken, and the refusal.
fn fill(address: SocketAddr, max: usize) -> (usize, Option<String>) {
    let mut smtp = Smtp::open(address).unwrap();
    for taken in 0..max {
        if let Err(error) = smtp.send("sender@elsewhere.test", "somebody@elsewhere.test", &letter("full", 200_000)) {
            return (taken, Some(error.to_string()));
        }
    }
    (max, None)
}

#[test]
fn a_full_disk_is_said_before_the_letter_and_mail_is_taken_again_when_there_is_room() {
    let settings =
        "[queue]\ndisk-free-min = \"0 B\"\n[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[log]\nlevel = \"error\"\n";
    let site = Site::new(&["mx"], settings);
    let disk = match Mount::new(&site.data().join("queue"), "120m") {
        Ok(disk) => disk,
        Err(why) => {
            assert!(std::env::var_os("POSTHOUSE_PEERS_REQUIRED").is_none(), "cannot mount: {why}");
            eprintln!("skipped: {why}");
            return;
        }
    };
    let server = site.start();
    let (mut taken, refused) = fill(server.address("mx"), 10_000);
    let refused = refused.expect("a full disk takes letters without an end");
    assert!(refused.contains("452 4.3.1") && taken > 50, "{taken} letters, then {refused}");
    // Whatever stage the first came at: from now on it is said before the letter.
    let (more, refused) = fill(server.address("mx"), 20);
    taken += more;
    assert!(refused.unwrap().starts_with("MAIL FROM"), "the letter had to be sent to be refused");
    disk.grow("400m");
    let began = Instant::now();
    loop {
        let (more, refused) = fill(server.address("mx"), 20);
        taken += more;
        if refused.is_none() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "there is room, and still: {refused:?}");
        thread::sleep(Duration::from_millis(200));
    }
    server.kill();
    assert_eq!(Queue::open_read_only(&site.data().join("queue")).unwrap().letters.len(), taken);
}

/// What a client leaves on a disk that has no room: a file of its own, filled to the last octets of its last block.
#[expect(clippy::print_stderr, reason = "what is skipped is told")]
fn nearly_full(at: &Path) -> Option<Mount> {
    match Mount::new(at, "64k") {
        Ok(disk) => Some(disk),
        Err(why) => {
            assert!(std::env::var_os("POSTHOUSE_PEERS_REQUIRED").is_none(), "cannot mount: {why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

/// Takes all the room that is left.
fn fill_up(disk: &Mount) {
    use std::io::Write as _;
    let mut filler = fs::File::create(disk.0.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
}

fn client(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = common::posthouse();
    let output = command.current_dir(folder).args(arguments).env("POSTHOUSE_MAILDROP", "disk/maildrop").output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_merge_whose_state_cannot_be_written_stops_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = nearly_full(&folder.path().join("disk")) else { return };
    let known: String = (0..240).map(|n| format!("accepted\t{n:03}@x.t\n")).collect();
    assert_eq!(known.len(), 4080, "the next line does not fit into the block");
    fs::write(disk.0.join("sent.txt"), &known).unwrap();
    fill_up(&disk);
    let rows: String = (0..20).map(|n| format!("new{n}@x.test\n")).collect();
    fs::write(folder.path().join("people.csv"), format!("email\n{rows}")).unwrap();
    let catcher = posthouse_client::Catcher::start().unwrap();
    let url = catcher.url();
    let words = ["send", "--server", &url, "--from", "a@x.test", "--merge", "people.csv", "--to", "{{ email }}", "--text", "Hi"];
    let words = [&words[..], &["--state", "disk/sent.txt", "--connections", "1"]].concat();
    let (exit, told) = client(folder.path(), &words);
    assert!(exit == 74 && told.contains("is not remembered"), "{exit} {told}");
    let first = catcher.letters().len();
    assert!(first < 20, "it went on though nothing was remembered");
    disk.grow("1m");
    let (exit, told) = client(folder.path(), &words);
    assert_eq!(exit, 0, "{told}");
    let state = fs::read_to_string(disk.0.join("sent.txt")).unwrap();
    assert!(state.starts_with(&known) && (0..20).all(|n| state.contains(&format!("accepted\tnew{n}@x.test\n"))), "{state}");
}

#[test]
fn a_letter_that_no_disk_takes_is_the_callers_again_and_half_a_file_stays_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = nearly_full(&folder.path().join("disk")) else { return };
    fs::create_dir(disk.0.join("maildrop")).unwrap();
    fs::write(folder.path().join("big.bin"), vec![b'x'; 200_000]).unwrap();
    fill_up(&disk);
    let letter = ["--from", "a@x.test", "--to", "b@x.test", "--text", "Hi", "--attach", "big.bin"];
    let server = ["send", "--server", "smtp://127.0.0.1:1", "--dry-run", "--save", "disk/letter.eml"];
    let (exit, told) = client(folder.path(), &[&server[..], &letter].concat());
    assert!(exit == 73 && told.contains("No space left"), "{exit} {told}");
    assert!(!disk.0.join("letter.eml").exists());
    let mut sendmail = common::posthouse();
    sendmail.current_dir(folder.path()).env("POSTHOUSE_MAILDROP", "disk/maildrop");
    sendmail
        .args(["sendmail", "--server", "smtp://127.0.0.1:1", "-i", "b@x.test"])
        .stdin(fs::File::open(folder.path().join("big.bin")).unwrap());
    let output = sendmail.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code().unwrap() != 0 && told.contains("No space left"), "{told}");
    assert_eq!(fs::read_dir(disk.0.join("maildrop")).unwrap().count(), 0, "{told}");
}
