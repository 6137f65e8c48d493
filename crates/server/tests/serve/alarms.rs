//! Alarms: by mail, by POST, once each, over restarts, and while the queue itself is the trouble.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;
use sha2::Sha256;

use crate::common::{PATIENCE, Running, Site, Smtp, letter, posthouse, until};
use posthouse_testkit::certificates::{Authority, Ends, Wanted};

/// A web server that takes what is posted: its address, and each request's header and body.
fn web_server() -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, posted) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut header, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                header.push_str(&line.to_ascii_lowercase());
                line.clear();
            }
            let length = header.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            if sender.send((header, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/hook"), posted)
}

/// The next alarm that is posted: `began queue`.
fn next(posted: &Receiver<(String, String)>) -> (String, Value, String) {
    let (header, body) = posted.recv_timeout(PATIENCE).unwrap();
    let json: Value = serde_json::from_str(&body).unwrap();
    let alarm = &json["alarms"][0];
    (format!("{} {}", alarm["turn"].as_str().unwrap(), alarm["title"].as_str().unwrap()), json, header + &body)
}

fn alarms(site: &Site, more: &[&str]) -> (i32, String) {
    let output = posthouse().arg("alarms").args(more).arg("--config").arg(site.config()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

fn settings(url: &str) -> String {
    format!(
        "[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[queue]\nletters-max = 10\n\
         [alarms]\nmail-to = [\"bob@example.test\"]\nlook-every = \"100ms\"\ncalm = \"100ms\"\nignore = [\"full\"]\n\
         [alarms.webhook]\nurl = \"{url}\"\nsecret = \"between us\"\nauthorization = \"Bearer hidden\"\n"
    )
}

/// Waits for so many letters in the operator's inbox: their texts.
fn inbox(site: &Site, count: usize) -> Vec<String> {
    let mut letters: Vec<_> = until(&format!("{count} letters for the operator"), || {
        Some(site.read_all("bob")).filter(|letters| letters.len() >= count)
    })
    .into_iter()
    .collect();
    letters.sort();
    letters.into_iter().map(|(_, octets)| String::from_utf8(octets).unwrap()).collect()
}

#[test]
fn a_queue_that_takes_nothing_more_is_told_by_mail_and_post_once_and_when_it_is_over() {
    let (url, posted) = web_server();
    let site = Site::new(&["mx"], &settings(&url));
    let server = site.start();
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    // No name server answers, so they stay.
    for _ in 0..10 {
        smtp.send("a@elsewhere.test", "b@elsewhere.test", &letter("waits", 100)).unwrap();
    }
    let (told, json, request) = next(&posted);
    assert_eq!(told, "began queue");
    assert!(json["text"].as_str().unwrap().contains("alarm: queue (the queue is nearly full"), "{json}");
    assert!(json["alarms"][0]["remedy"].as_str().unwrap().contains("posthouse queue summary"), "{json}");
    assert!(request.contains("authorization: bearer hidden\r\n"), "{request}");
    let (header, body) = request.split_at(request.find('{').unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"between us").unwrap();
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    assert!(header.contains(&format!("x-posthouse-signature: sha256={hex}\r\n")), "{header}");
    // The queue may take no letter now, not even this one.
    let letters = inbox(&site, 1);
    assert!(letters[0].contains("Subject: [mail.example.test] alarm: queue\r\n"), "{}", letters[0]);
    assert!(letters[0].contains("Return-Path: <>") && letters[0].contains("Auto-Submitted: auto-generated"), "{}", letters[0]);
    let (exit, said) = alarms(&site, &[]);
    assert!(exit == 0 && said.contains("queue: the queue is nearly full") && said.contains("what to do: "), "{said}");
    drop(smtp);
    server.stop();
    // Another process knows what was told.
    let server = site.start();
    let removed = posthouse()
        .args(["queue", "remove", "--sender", "a@elsewhere.test", "--yes", "--config"])
        .arg(site.config())
        .output()
        .unwrap();
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(next(&posted).0, "ended queue", "and nothing between");
    assert!(inbox(&site, 2)[1].contains("Subject: [mail.example.test] ended: queue\r\n"));
    assert_eq!(alarms(&site, &[]), (0, "no alarm stands\n".to_owned()));
    server.stop();
}

#[test]
fn a_spool_that_fails_is_told_by_post_though_no_letter_can_be_written() {
    let (url, posted) = web_server();
    let site = Site::new(&["mx"], &settings(&url));
    // Without the signal a write beyond the limit fails as one to a broken disk does.
    let mut command = Command::new("/bin/sh");
    let script = "trap '' XFSZ; exec \"$0\" serve --config \"$1\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_posthouse")]).arg(site.config());
    let server = Running::of(&mut command, &site.config());
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    smtp.send("a@elsewhere.test", "b@elsewhere.test", &letter("kept", 5_000)).unwrap();
    prlimit(Some(server.pid()), Resource::Fsize, Rlimit { current: Some(0), maximum: None }).unwrap();
    smtp.send("a@elsewhere.test", "b@elsewhere.test", &letter("refused", 5_000)).unwrap_err();
    let (told, json, _) = next(&posted);
    assert_eq!(told, "began spool", "{json}");
    assert!(json["alarms"][0]["what"].as_str().unwrap().contains("the spool log has failed"), "{json}");
    let (exit, said) = alarms(&site, &["test"]);
    assert_eq!(exit, 69, "the mail cannot be stored: {said}");
    // Who knows the path of a chat's webhook may post there: it is said to nobody.
    let host = url.strip_suffix("/hook").unwrap();
    assert!(said.contains(&format!("{host}: told")) && !said.contains("/hook"), "{said}");
    assert_eq!(next(&posted).0, "test test");
    server.kill();
}

#[test]
fn a_test_tells_everybody_and_says_who_could_not_be_told() {
    let site = Site::new(&["mx"], &settings("http://127.0.0.1:1/nobody"));
    let server = site.start();
    let (exit, said) = alarms(&site, &["test"]);
    assert_eq!(exit, 69);
    assert!(
        said.contains("bob@example.test: told\n") && said.contains("http://127.0.0.1:1: [127.0.0.1] cannot be reached"),
        "{said}"
    );
    assert!(inbox(&site, 1)[0].contains("Subject: [mail.example.test] alarms arrive here\r\n"));
    server.stop();
}

#[test]
fn each_trouble_of_a_running_server_is_seen_and_told_with_what_to_do() {
    let (url, posted) = web_server();
    let site = Site::new(&["mx", "submission"], "");
    let shown = Authority::new().issue(&Wanted {
        hosts: &["mail.example.test"],
        for_servers: true,
        ends: Ends::Soon,
        ..Wanted::default()
    });
    for (name, pem) in [("cert.pem", shown.cert), ("key.pem", shown.key)] {
        std::fs::write(site.dir.path().join(name), pem).unwrap();
    }
    // Nobody is at the smarthost's port.
    let more = "[tls]\ncertificate = [{ cert = \"cert.pem\", key = \"key.pem\" }]\n[delivery]\nsmarthost = \"smtp://127.0.0.1:1\"\n\
                [intake]\ntrusted-networks = [\"127.0.0.1/32\"]\nplain-login-on-loopback = true\nconnections-max = 2\n\
                [alarms]\nlook-every = \"100ms\"\ncalm = \"100ms\"\n\
                disk-free-min = \"1000 TiB\"\ndestination-letters = 1\ndestination-time = \"1s\"\nfailed-logins = 2\n[alarms.webhook]\n";
    site.configure(&["mx", "submission"], &format!("{more}url = \"{url}\"\n"));
    let server = site.start();
    let mut relayed = Smtp::open(server.address("mx")).unwrap();
    // One that fails might be an accident; a destination counts as silent when as many fail in a row as are tried at a time.
    for _ in 0..30 {
        relayed.send("a@elsewhere.test", "b@elsewhere.test", &letter("waits", 100)).unwrap();
    }
    let mut guesser = Smtp::open(server.address("submission")).unwrap();
    for _ in 0..2 {
        // \0alice@example.test\0wrong
        assert!(guesser.command("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==").unwrap()[0].starts_with("535 "));
    }
    let mut expected = vec!["began certificate mail.example.test", "began destination [127.0.0.1]", "began logins"];
    while !expected.is_empty() {
        let (told, json, _) = next(&posted);
        assert!(json["alarms"][0]["remedy"].as_str().is_some_and(|remedy| remedy.len() > 20), "{json}");
        let known = expected.iter().position(|name| told.starts_with(name));
        expected.remove(known.unwrap_or_else(|| panic!("{told} beside {expected:?}: {json}")));
    }
    // These come and go with what happens, and are told when they have lasted a while.
    let status = || posthouse().args(["status", "--config"]).arg(site.config()).output().unwrap().stdout;
    until("the troubles that are not told yet", || {
        let said = String::from_utf8(status()).unwrap();
        ["are left where the queue lies", "connections smtp: 2 of 2"].iter().all(|name| said.contains(name)).then_some(())
    });
    server.stop();
}
