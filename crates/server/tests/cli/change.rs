//! `posthouse queue`: what changes letters and destinations of a running server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use posthouse_mail::LetterId;

use super::*;
use crate::common::{PATIENCE, Running, Site, Smtp, letter};

/// Letters are taken for anybody and stay queued.
const HELD: &str = "[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[delivery]\nconcurrency-max = 0\n";
/// Letters are taken for anybody and tried; no name server answers.
const TRIED: &str = "[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n";

fn send(server: &Running, from: &str, to: &str) -> LetterId {
    Smtp::open(server.address("mx")).unwrap().send(from, to, &letter("queued", 2_000)).unwrap()
}

fn shown(dir: &Path, id: &str) -> serde_json::Value {
    run(dir, &["queue", "show", id, "--json"]).json()
}

/// A server that takes one letter: its address, and the recipient it will have seen.
fn sink() -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let say =
            |reader: &mut BufReader<TcpStream>, line: &str| reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        say(&mut reader, "220 sink");
        let (mut recipient, mut body) = (String::new(), false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                return recipient;
            }
            let line = line.trim_end();
            match line.split(' ').next().unwrap() {
                "." if body => {
                    body = false;
                    say(&mut reader, "250 taken");
                }
                _ if body => {}
                "DATA" => {
                    body = true;
                    say(&mut reader, "354 go on");
                }
                "RCPT" => {
                    recipient = line.to_owned();
                    say(&mut reader, "250 ok");
                }
                _ => say(&mut reader, "250 ok"),
            }
        }
    };
    (address, thread::spawn(serve))
}

#[test]
fn a_held_letter_waits_over_a_restart_until_it_is_released() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    let id = send(&server, "alice@example.test", "bob@example.net").to_string();
    send(&server, "carol@example.test", "bob@example.net");
    assert_eq!(run(dir, &["queue", "hold", &id]).ok(), "held 1 letter\n");
    assert_eq!(server.stop().code(), Some(0));
    // Also of the stopped server's directory it is known.
    let held = |dir: &Path| run(dir, &["queue", "list", "--held", "--json"]).ok().lines().count();
    assert_eq!(held(dir), 1);
    let _server = site.start();
    assert_eq!((shown(dir, &id)["state"].as_str(), held(dir)), (Some("held"), 1));
    assert!(run(dir, &["queue", "show", &id]).ok().contains("an operator holds it"));
    assert_eq!(run(dir, &["queue", "release", "--held", "--yes"]).ok(), "released 1 letter\n");
    assert_eq!((shown(dir, &id)["state"].as_str(), held(dir)), (Some("new"), 0));
    let told = run(dir, &["trace", &id]).ok();
    assert!(told.contains("): hold") && told.contains("): release"), "{told}");
}

#[test]
fn a_priority_is_kept_and_one_that_is_none_is_refused() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    let id = send(&server, "alice@example.test", "bob@example.net").to_string();
    assert_eq!(run(dir, &["queue", "priority", "-7", &id]).ok(), "changed 1 letter\n");
    assert_eq!(shown(dir, &id)["priority"], -7);
    run(dir, &["queue", "priority", "10", &id]).fails(64, "10 is not in -9..=9");
    run(dir, &["queue", "redirect", &id, "--to", "no host:25"]).fails(65, "");
    assert!(run(dir, &["trace", &id]).ok().contains("): priority, -7"));
}

#[test]
fn what_is_suspended_waits_and_says_why_until_it_is_resumed() {
    let site = Site::new(&["mx"], "");
    let dir = site.dir.path();
    let server = site.start();
    run(dir, &["queue", "suspend"]).fails(64, "--everything");
    for (name, more) in [("", ""), ("a b", ""), ("example.test", "--for=0s")] {
        let arguments = ["queue", "suspend", name, more];
        let wanted = if more.is_empty() { 3 } else { 4 };
        run(dir, &arguments[..wanted]).fails(65, if more.is_empty() { "neither a domain nor a next hop" } else { "no time" });
    }
    assert!(
        run(dir, &["queue", "suspend", "--everything", "--reason", "the disk is copied"])
            .ok()
            .starts_with("suspended everything")
    );
    let id = send(&server, "sender@elsewhere.test", "bob@example.test");
    let why = shown(dir, &id.to_string())["why"].as_str().unwrap().to_owned();
    assert!(why.contains("delivery is suspended by ") && why.contains("the disk is copied"), "{why}");
    let summary = run(dir, &["queue", "summary", "--json"]).json();
    assert_eq!((&summary["destinations"][0]["state"], &summary["letters"]), (&"suspended".into(), &1.into()), "{summary}");
    assert!(run(dir, &["queue", "summary"]).ok().contains("everything is suspended by "));
    assert!(run(dir, &["status"]).ok().contains("the disk is copied"));
    // It lasts over a restart, and nothing was delivered meanwhile.
    assert_eq!(server.stop().code(), Some(0));
    assert!(site.inbox("bob").is_empty());
    let _server = site.start();
    run(dir, &["queue", "resume", "example.test"]).fails(67, "example.test is not suspended");
    assert_eq!(run(dir, &["queue", "resume", "--everything"]).ok(), "resumed everything\n");
    site.wait_for("bob", id);
    let told = run(dir, &["trace", "everything"]).ok();
    assert!(told.contains("): suspend everything, the disk is copied") && told.contains("): resume everything"), "{told}");
}

#[test]
fn a_suspension_ends_by_itself() {
    let site = Site::new(&["mx"], "");
    let dir = site.dir.path();
    let server = site.start();
    run(dir, &["queue", "suspend", "Example.TEST", "--for", "2s"]).ok();
    let id = send(&server, "sender@elsewhere.test", "bob@example.test");
    assert_eq!(run(dir, &["queue", "list", "--json"]).ok().lines().count(), 1);
    site.wait_for("bob", id);
}

#[test]
fn a_letter_that_waits_for_a_dead_host_is_redirected_and_arrives() {
    let (address, taken) = sink();
    // The kernel lets the server connect to the ports that are usual, and to those that are named.
    let site = Site::new(&["mx"], &format!("{TRIED}[sandbox]\nconnect = [{}]\n", address.port()));
    let dir = site.dir.path();
    let server = site.start();
    let id = send(&server, "alice@example.test", "bob@example.net").to_string();
    // An attempt that is under way takes no notice of the change, and none of the wish for another.
    let began = Instant::now();
    while shown(dir, &id)["state"] != "deferred" {
        assert!(began.elapsed() < PATIENCE, "the first attempt does not end");
    }
    run(dir, &["queue", "redirect", "--domain", "example.net", "--to", &format!("[127.0.0.1]:{}", address.port()), "--yes"]).ok();
    // It may have left already.
    run(dir, &["queue", "retry", &id]);
    assert_eq!(taken.join().unwrap(), "RCPT TO:<bob@example.net>");
    let told = run(dir, &["trace", &id]).ok();
    assert!(told.contains("): redirect, to [127.0.0.1]:"), "{told}");
}

#[test]
fn the_live_view_gives_an_object_a_second_and_needs_a_terminal_for_more() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    run(dir, &["queue", "top", "--json"]).fails(69, "the server is not running");
    let server = site.start();
    send(&server, "alice@example.test", "bob@example.net");
    run(dir, &["queue", "top"]).fails(64, "no terminal");
    let mut top = posthouse().current_dir(dir).args(["queue", "top", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let seen: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&seen["summary"]["letters"], &seen["status"]["queue"]["letters"]), (&1.into(), &1.into()), "{seen}");
    }
    top.kill().unwrap();
    top.wait().unwrap();
}

#[test]
fn more_letters_than_may_wait_are_refused_at_mail_and_taken_when_there_is_room() {
    let site = Site::new(&["mx"], &format!("{HELD}[queue]\nletters-max = 2\n"));
    let dir = site.dir.path();
    let server = site.start();
    let first = send(&server, "alice@example.test", "bob@example.net").to_string();
    send(&server, "alice@example.test", "bob@example.net");
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    let refused = smtp.command("MAIL FROM:<alice@example.test>").unwrap();
    assert_eq!(refused, ["452 4.3.1 insufficient system storage, try again later"]);
    let status = run(dir, &["status"]);
    assert_eq!(status.exit, 75);
    assert!(status.out.contains("`queue.letters-max` is reached") && status.out.contains("2 of 2 letters"), "{}", status.out);
    // A report stands for the letter that leaves, so a full queue can empty.
    run(dir, &["queue", "remove", &first, "--bounce"]).ok();
    run(dir, &["queue", "remove", "--sender", "<>", "--yes"]).ok();
    smtp.send("alice@example.test", "bob@example.net", &letter("room", 10)).unwrap();
}

#[test]
fn with_too_little_left_of_the_disk_mail_is_refused_before_it_is_sent() {
    let site = Site::new(&["mx"], &format!("{HELD}[queue]\ndisk-free-min = \"1000000 TiB\"\n"));
    let server = site.start();
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    assert!(smtp.command("MAIL FROM:<alice@example.test>").unwrap()[0].starts_with("452 4.3.1 "));
    assert!(run(site.dir.path(), &["status"]).out.contains("queue.disk-free-min"));
}
