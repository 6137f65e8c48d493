//! `posthouse queue`, beside a running server and after it has ended.

use std::os::unix::fs::PermissionsExt as _;

use posthouse_mail::LetterId;

use super::*;
use crate::common::{Running, Site, Smtp, letter};

/// Letters are taken for anybody and stay queued.
const HELD: &str = "[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[delivery]\nconcurrency-max = 0\n";

fn send(server: &Running, from: &str, to: &str) -> LetterId {
    Smtp::open(server.address("mx")).unwrap().send(from, to, &letter("queued", 2_000)).unwrap()
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_queued_is_listed_filtered_summed_up_and_shown() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    assert_eq!(run(dir, &["queue", "list"]).ok(), "no letter waits\n");
    let first = send(&server, "alice@example.test", "bob@example.net").to_string();
    let second = send(&server, "carol@example.test", "dave@example.org").to_string();
    let table = run(dir, &["queue", "list"]).ok();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("ID ") && rows.len() == 3, "{table}");
    assert!(
        rows[1].starts_with(&format!("{first}  new ")) && rows[1].ends_with("alice@example.test → bob@example.net"),
        "{table}"
    );
    let listed = lines(&run(dir, &["queue", "list", "--domain", "example.org", "--younger", "1h", "--json"]).ok());
    assert_eq!((listed.len(), listed[0]["id"].as_str(), listed[0]["state"].as_str()), (1, Some(second.as_str()), Some("new")));
    assert_eq!(run(dir, &["queue", "list", "--older", "1h"]).ok(), "no letter waits that is meant by that\n");
    assert!(run(dir, &["queue", "list", "--limit", "1"]).ok().contains("there are more than 1"));
    run(dir, &["queue", "list", "--id", "nonsense"]).fails(65, "is not the id of a letter");
    let summary = run(dir, &["queue", "summary", "--json"]).json();
    assert_eq!((summary["letters"].as_u64(), summary["destinations"][0]["destination"].as_str()), (Some(2), Some("example.net")));
    assert!(run(dir, &["queue", "summary"]).ok().contains("example.org "));
    let shown = run(dir, &["queue", "show", &first]).ok();
    for words in ["it has not been tried yet", "Subject: queued", "waiting   bob@example.net", "accepted from 127.0.0.1"] {
        assert!(shown.contains(words), "no `{words}` in {shown}");
    }
    let shown = run(dir, &["queue", "show", &second, "--json"]).json();
    assert_eq!((shown["from"].as_str(), shown["timeline"][0]["event"].as_str()), (Some("carol@example.test"), Some("accepted")));
    run(dir, &["queue", "show", "01KAS2Y8QH0000000000000000"]).fails(67, "is not in the queue");
}

#[test]
fn a_letter_is_removed_with_a_report_and_the_journal_says_by_whom() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    let removed = send(&server, "alice@example.test", "bob@example.net").to_string();
    let kept = send(&server, "carol@example.test", "dave@example.org").to_string();
    let quiet = send(&server, "alice@example.test", "erin@example.net").to_string();
    assert_eq!(run(dir, &["queue", "remove", &removed, "--bounce"]).ok(), "removed 1 letter\n");
    assert_eq!(run(dir, &["queue", "remove", "--recipient", "erin@example.net", "--yes", "--json"]).json()["id"], quiet.as_str());
    let left = lines(&run(dir, &["queue", "list", "--json"]).ok());
    let left: Vec<_> = left.iter().map(|line| (line["from"].as_str().unwrap(), line["to"][0].as_str().unwrap())).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&("", "alice@example.test")) && left.contains(&("carol@example.test", "dave@example.org")), "{left:?}");
    let told = run(dir, &["trace", &removed]).ok();
    assert!(
        told.contains("gave up on bob@example.net; letter ") && told.contains(": remove, with a report to its sender"),
        "{told}"
    );
    assert!(told.contains("the operator ") && told.contains("process "), "{told}");
    run(dir, &["queue", "remove", &removed]).fails(67, "");
    assert!(lines(&run(dir, &["queue", "list", "--json", "--id", &kept]).ok()).len() == 1);
}

#[test]
fn nothing_is_changed_by_accident() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    send(&server, "alice@example.test", "bob@example.net");
    run(dir, &["queue", "remove"]).fails(64, "or say --all");
    run(dir, &["queue", "remove", "--all"]).fails(64, "remove 1 letter? Say --yes");
    run(dir, &["queue", "remove", "--domain", "example.net"]).fails(64, "Say --yes");
    run(dir, &["queue", "remove", "--domain", "example.net", "--all", "--yes"]).fails(64, "--all goes with neither");
    run(dir, &["queue", "remove", "--domain", "example.org", "--yes"]).fails(67, "no letter in the queue is meant");
    assert_eq!(lines(&run(dir, &["queue", "list", "--json"]).ok()).len(), 1);
    assert_eq!(run(dir, &["queue", "remove", "--all", "--yes"]).ok(), "removed 1 letter\n");
}

#[test]
fn a_status_says_how_near_the_limits_are_and_whether_mail_is_taken() {
    let limits = "[intake]\nconnections-max = 7\nconnections-per-address-max = 3\nconnections-per-network-max = 5\n";
    let site = Site::new(&["mx"], limits);
    let dir = site.dir.path();
    run(dir, &["status"]).fails(69, "the server is not running");
    let server = site.start();
    let _open = Smtp::open(server.address("mx")).unwrap();
    let status = run(dir, &["status", "--json"]).json();
    let smtp = &status["connections"][0];
    assert_eq!((&smtp["open"], &smtp["max"], &smtp["per_address_max"]), (&1.into(), &7.into(), &3.into()), "{status}");
    assert!(status["memory"]["resident"].as_u64().unwrap() > 1_000_000 && status["refusing"].is_null(), "{status}");
    let said = run(dir, &["status"]).ok();
    assert!(
        said.starts_with("mail.example.test: taking mail\n")
            && said.contains("smtp connections: 1 of 7, 3 for one address, 5 for one network"),
        "{said}"
    );
    let _more = [0, 1].map(|_| Smtp::open(server.address("mx")).unwrap());
    let mut one_too_many = Smtp::connect(server.address("mx")).unwrap();
    assert_eq!(one_too_many.reply().unwrap(), ["421 4.7.0 too many connections, try again later"]);
    assert!(
        run(dir, &["status"]).ok().contains("smtp connections: 3 of 7, 3 for one address, 5 for one network; 1 turned away\n")
    );
    // The limit changes by a reload, and the status shows it.
    site.configure(&["mx"], &limits.replace("= 7", "= 8").replace("[intake]", "[intake]\nmemory-max = \"1 MiB\""));
    server.signal(rustix::process::Signal::HUP);
    server.wait_for_log("was reloaded");
    let refusing = run(dir, &["status"]);
    assert_eq!(refusing.exit, 75, "{}", refusing.err);
    assert!(refusing.out.contains("refusing mail: the limit of memory is reached"), "{}", refusing.out);
    assert!(Smtp::open(server.address("mx")).is_err());
}

#[test]
fn of_a_server_that_was_killed_the_queue_is_read_and_not_changed() {
    let site = Site::new(&["mx"], HELD);
    let dir = site.dir.path();
    let server = site.start();
    let id = send(&server, "alice@example.test", "bob@example.net").to_string();
    let socket = site.data().join("admin.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    server.kill();
    assert!(socket.exists(), "the test shows nothing");
    assert_eq!(lines(&run(dir, &["queue", "list", "--json"]).ok())[0]["id"], id.as_str());
    assert_eq!(run(dir, &["queue", "summary", "--json"]).json()["letters"], 1);
    let shown = run(dir, &["queue", "show", &id]).ok();
    assert!(shown.contains("Subject: queued") && shown.contains("first attempt is due now"), "{shown}");
    run(dir, &["queue", "remove", &id]).fails(69, "the server is not running");
    let again = site.start();
    assert_eq!(run(dir, &["queue", "remove", &id]).ok(), "removed 1 letter\n");
    assert_eq!(again.stop().code(), Some(0));
    assert!(!socket.exists());
    assert_eq!(run(dir, &["queue", "list", "--json"]).ok(), "");
}
