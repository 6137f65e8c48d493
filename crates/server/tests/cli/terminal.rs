//! On a terminal: the live views, what is asked before much is changed, and how far a merge is. script(1) gives the terminal.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use super::*;
use crate::common::{PATIENCE, Running, Site, Smtp, letter, wait};

const HELD: &str = "[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[delivery]\nconcurrency-max = 0\n";

/// A program on a terminal of 24 lines and 110 columns.
struct Terminal {
    script: Child,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn run(dir: &Path, arguments: &str) -> Self {
        let program = format!("stty rows 24 cols 110; exec '{}' {arguments}", env!("CARGO_BIN_EXE_posthouse"));
        let mut command = Command::new("script");
        command.args(["-qefc", &program, "/dev/null"]).current_dir(dir).env_remove("POSTHOUSE_CONFIG").env("TERM", "xterm");
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut screen = script.stdout.take().unwrap();
        let (sender, shown) = channel();
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut some) {
                if sender.send(some[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { script, shown, seen: String::new() }
    }

    /// Reads on until this is seen; gives what was seen since the last time, up to there.
    fn wait_for(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(words) {
                return self.seen.drain(..at + words.len()).collect();
            }
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(some) => self.seen.push_str(&String::from_utf8_lossy(&some)),
                Err(_) => panic!("no `{words}` on the screen: {:?}", self.seen),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.script.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// The exit code of the program.
    fn ended(mut self) -> i32 {
        wait(&mut self.script).code().unwrap()
    }
}

fn send(server: &Running, to: &str) {
    Smtp::open(server.address("mx")).unwrap().send("alice@example.test", to, &letter("queued", 2_000)).unwrap();
}

#[test]
fn the_live_view_follows_the_queue_and_gives_the_terminal_back() {
    let site = Site::new(&["mx"], HELD);
    let server = site.start();
    send(&server, "bob@example.net");
    let mut top = Terminal::run(site.dir.path(), "queue top");
    let first = top.wait_for("example.net");
    assert!(first.contains("\x1b[?1049h\x1b[?25l"), "the other screen, and no cursor: {first:?}");
    assert!(first.contains("mail.example.test") && first.contains("1 letters"), "{first:?}");
    send(&server, "dave@example.org");
    // It looks by itself, without a key.
    let second = top.wait_for("example.org");
    assert!(second.contains("2 letters"), "{second:?}");
    assert!(second.split("\r\n").all(|line| line.chars().count() < 200), "a line is as wide as it likes: {second:?}");
    top.press("q");
    top.wait_for("\x1b[?25h\x1b[?1049l");
    assert_eq!(top.ended(), 0);
}

#[test]
fn the_live_view_of_a_server_that_stops_says_so_on_the_old_screen() {
    let site = Site::new(&["mx"], HELD);
    let server = site.start();
    let mut top = Terminal::run(site.dir.path(), "queue top");
    top.wait_for("0 letters");
    assert_eq!(server.stop().code(), Some(0));
    top.wait_for("\x1b[?1049l");
    top.wait_for("the server is not running");
    assert_eq!(top.ended(), 69);
}

#[test]
fn who_is_asked_and_says_no_changes_nothing_and_who_says_yes_does() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    send(&server, "bob@example.net");
    let count = || run(dir, &["queue", "list", "--json"]).ok().lines().count();
    for (answer, exit, left) in [("n\r", 64, 1), ("\r", 64, 1), ("\x04", 64, 1), ("yes\r", 0, 0)] {
        let mut asked = Terminal::run(dir, "queue remove --all");
        asked.wait_for("remove 1 letter? [y/N] ");
        asked.press(answer);
        asked.wait_for(if exit == 0 { "removed 1 letter\r\n" } else { "nothing was changed" });
        assert_eq!((asked.ended(), count()), (exit, left), "{answer:?}");
    }
}

#[test]
fn what_comes_in_is_seen_as_it_comes() {
    let site = Site::new(&["mx"], HELD);
    let server = site.start();
    let mut watch = Terminal::run(site.dir.path(), "watch");
    watch.wait_for("nothing has come yet");
    send(&server, "bob@example.net");
    let moving = watch.wait_for("/s)");
    assert!(moving.contains("letters accepted  mx 1"), "{moving:?}");
    watch.wait_for("example.net");
    watch.press("q");
    watch.wait_for("\x1b[?25h\x1b[?1049l");
    assert_eq!(watch.ended(), 0);
}

#[test]
fn a_merge_says_on_the_terminal_how_far_it_is_and_how_long_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = posthouse_client::Catcher::start().unwrap();
    std::fs::write(folder.path().join("t.csv"), "email\na@x.test\nb@x.test\nc@x.test\n").unwrap();
    let url = catcher.url();
    let arguments = format!(
        "send --server {url} --from us@x.test --merge t.csv --to '{{{{ email }}}}' --subject s --text hi --state sent.txt > results.txt"
    );
    let mut merge = Terminal::run(folder.path(), &arguments);
    let shown = merge.wait_for("3 sent, 0 sent before");
    assert!(shown.contains("1 of 3, ") && shown.contains(" a second, ") && shown.contains(" s left"), "{shown:?}");
    assert_eq!((merge.ended(), catcher.letters().len()), (0, 3));
    let mut again = Terminal::run(folder.path(), &arguments);
    again.wait_for("0 sent, 3 sent before");
    assert_eq!((again.ended(), catcher.letters().len()), (0, 3), "what was accepted is not sent again");
}

#[test]
fn a_password_that_is_given_nowhere_is_asked_for_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = posthouse_client::Catcher::builder().login("al", "hunter2").start().unwrap();
    let url = catcher.url().replace("://", "://al@");
    let mut send = Terminal::run(folder.path(), &format!("send --server {url} --from us@x.test --to b@x.test --text hi"));
    send.wait_for("Password: ");
    send.press("hunter2\r");
    let shown = send.wait_for("b@x.test: 250");
    assert!(!shown.contains("hunter2"), "{shown:?}");
    assert_eq!((send.ended(), catcher.letters()[0].login()), (0, Some("al")));
}

#[test]
fn who_is_refused_is_told_at_the_terminal_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let reply = posthouse_client::mail::Reply::new(552, "5.2.2".parse().unwrap(), "no room");
    let catcher = posthouse_client::Catcher::builder().refuse("b@x.test", reply).start().unwrap();
    let words = format!("send --server {} --from us@x.test --to b@x.test --text hi", catcher.url());
    let mut send = Terminal::run(folder.path(), &words);
    send.wait_for("552 5.2.2 no room");
    send.wait_for("The recipient's mailbox is full.");
    assert_eq!(send.ended(), 69);
}
