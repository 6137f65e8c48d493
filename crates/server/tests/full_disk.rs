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
