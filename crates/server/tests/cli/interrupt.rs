//! A single letter whose sending is interrupted: what became of it is told, at once or when it is known.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use posthouse_testkit::peer::{Peer, Talk};

use super::*;

fn begin(peer: &Peer, more: &[&str]) -> Child {
    let server = format!("smtp://{}", peer.address());
    let letter = ["send", "--server", &server, "--from", "a@x.test", "--to", "bob@x.test", "--text", "Hi"];
    let mut command = posthouse();
    command.args(letter).args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn interrupt(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn ended(mut child: Child) -> Done {
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut err).unwrap();
    }
    Done { exit: child.wait().unwrap().code().expect("it ends by itself"), out, err }
}

/// Tells when the letter has come that far, and waits to be told to go on.
fn stop_here(here: &Sender<Sender<()>>) {
    let (go_on, told) = channel();
    here.send(go_on).unwrap();
    // The client may be gone, and the test with it.
    let _ = told.recv();
}

fn take_envelope(talk: &mut Talk) {
    super::send::greet(talk);
    for reply in ["250 ok", "250 ok", "354 go on"] {
        talk.hear().unwrap();
        talk.say(reply);
    }
}

/// A server that has all of the letter and does not answer before it is told to.
fn slow() -> (Peer, Receiver<Sender<()>>) {
    let (here, at) = channel();
    let peer = Peer::listen(1, move |talk| {
        take_envelope(talk);
        talk.body();
        stop_here(&here);
        talk.try_send(b"250 taken\r\n");
        talk.rest();
    });
    (peer, at)
}

fn wait_for_words(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn before_its_end_nobody_has_it_and_it_ends_at_once() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let (here, at) = channel();
        let peer = Peer::listen(1, move |talk| {
            super::send::greet(talk);
            talk.hear().unwrap();
            stop_here(&here);
            assert!(talk.is_closed());
        });
        let child = begin(&peer, &[]);
        let go_on = at.recv().unwrap();
        interrupt(&child, signal);
        let done = ended(child);
        drop(go_on);
        assert_eq!(done.exit, 75, "{signal}: {}", done.err);
        assert_eq!(done.out, "not tried  bob@x.test: interrupted before all of it was sent: nobody has it\n");
        peer.finish();
    }
}

#[test]
fn behind_its_end_the_answer_is_waited_for() {
    let (peer, at) = slow();
    let mut child = begin(&peer, &[]);
    let go_on = at.recv().unwrap();
    interrupt(&child, "-INT");
    let words = wait_for_words(&mut child);
    assert!(words.contains("waiting for the server's answer"), "{words}");
    go_on.send(()).unwrap();
    let done = ended(child);
    assert_eq!((done.exit, done.out.as_str()), (0, "accepted  bob@x.test: 250 taken\n"));
    peer.finish();
}

#[test]
fn who_does_not_want_to_wait_is_told_that_it_may_have_arrived() {
    let (peer, at) = slow();
    let mut child = begin(&peer, &["--json"]);
    let go_on = at.recv().unwrap();
    interrupt(&child, "-INT");
    wait_for_words(&mut child);
    interrupt(&child, "-INT");
    let done = ended(child);
    drop(go_on);
    assert_eq!(done.exit, 75);
    assert_eq!(done.json()["recipients"][0]["outcome"], "unknown");
    peer.finish();
}

#[test]
fn a_terminal_that_is_closed_is_nothing_to_who_said_nohup() {
    let (peer, at) = slow();
    let server = format!("smtp://{}", peer.address());
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_posthouse")).args(["send", "--server", &server, "--from", "a@x.test"]);
    command.args(["--to", "bob@x.test", "--text", "Hi"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let go_on = at.recv().unwrap();
    interrupt(&child, "-HUP");
    go_on.send(()).unwrap();
    let done = ended(child);
    assert_eq!((done.exit, done.out.as_str()), (0, "accepted  bob@x.test: 250 taken\n"), "{}", done.err);
    peer.finish();
}
