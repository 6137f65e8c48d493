//! What is attached from a path that is no plain file, or that changes while the letter is sent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test, and the test stands outside"
)]

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Command;

use posthouse_client::{Catcher, ClientError, Message, MessageError, blocking};

fn attached(path: impl AsRef<Path>) -> Result<Message, MessageError> {
    Message::builder().from("a@x.example").to("b@y.example").text("See.").attach_file(path).build()
}

fn refused(path: impl AsRef<Path>) -> String {
    let Err(MessageError::File { why, .. }) = attached(path) else { panic!("it is attached") };
    why
}

#[test]
fn what_is_no_file_is_refused_before_anything_is_read_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for device in ["/dev/zero", "/dev/null", "/dev/random", "/dev/tty", socket.to_str().unwrap()] {
        assert_eq!(refused(device), "it is a device or a socket, and not a file", "{device}");
    }
    assert!(refused(folder.path()).starts_with("it is a folder"));
    assert!(refused(folder.path().join("nothing")).starts_with("No such file"));
}

fn pipe(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_pipe_is_read_to_its_end_however_much_comes_and_can_be_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipe(folder.path());
    for size in [0, 10, 65_536, 65_537, 3_000_000] {
        let octets: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let (into, written) = (path.clone(), octets.clone());
        let writer = std::thread::spawn(move || fs::write(into, written).unwrap());
        let message = attached(&path).unwrap();
        writer.join().unwrap();
        let catcher = Catcher::start().unwrap();
        let mailer = blocking::Mailer::from(catcher.mailer().unwrap().build().unwrap());
        for _ in 0..2 {
            assert!(mailer.send(&message).unwrap().is_complete());
        }
        for letter in catcher.letters() {
            assert_eq!(letter.attachment("pipe").unwrap().content, octets, "{size}");
        }
    }
}

#[test]
fn a_pipe_that_nobody_writes_into_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(refused(pipe(folder.path())), "it is a pipe, and nobody writes into it for 10 s");
}

#[test]
fn a_file_that_changes_while_it_is_sent_makes_no_broken_letter_and_costs_the_next_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.bin");
    let catcher = Catcher::start().unwrap();
    let mailer = blocking::Mailer::from(catcher.mailer().unwrap().build().unwrap());
    let fails = |told: &str, change: fn(&Path)| {
        fs::write(&path, vec![b'x'; 500_000]).unwrap();
        let message = attached(&path).unwrap();
        change(&path);
        let error = mailer.send(&message).unwrap_err();
        assert!(matches!(error, ClientError::Read(_)) && error.to_string().contains(told), "{error}");
        assert!(error.to_string().contains("log.bin"), "{error}");
        assert!(!message.was_given());
    };
    fails("shorter", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(400_000).unwrap());
    fails("longer", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(600_000).unwrap());
    fails("No such file", |path| fs::remove_file(path).unwrap());
    assert!(catcher.letters().is_empty(), "half a letter was never ended");
    fs::write(&path, vec![b'x'; 500_000]).unwrap();
    assert!(mailer.send(&attached(&path).unwrap()).unwrap().is_complete());
    assert_eq!(catcher.letters().len(), 1);
}
