//! `send`, against servers that do what the test says, and against our own.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use posthouse_testkit::peer::{Peer, Talk};

use super::*;
use crate::common::{PATIENCE, Site};

/// Plays the beginning of a session.
pub(super) fn greet(talk: &mut Talk) {
    greet_with(talk, "8BITMIME");
}

/// The same, with this extension.
fn greet_with(talk: &mut Talk, extension: &str) {
    talk.say("220 peer.test");
    assert!(talk.hear().unwrap().starts_with("EHLO "));
    talk.say("250-peer.test");
    talk.say(&format!("250 {extension}"));
}

/// What follows DATA, to the end of the session.
fn take_rest(talk: &mut Talk) -> Vec<u8> {
    talk.say("354 go on");
    let body = talk.body();
    talk.say("250 2.6.0 queued as 7");
    assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    talk.say("221 bye");
    body
}

/// Answers each RCPT with what `answer` says, and the end of the letter with 250.
fn take(talk: &mut Talk, answer: fn(&str) -> &'static str) -> Vec<u8> {
    greet(talk);
    assert!(talk.hear().unwrap().starts_with("MAIL FROM:<alice@x.test>"));
    talk.say("250 2.1.0 ok");
    loop {
        let line = talk.hear().unwrap();
        match line.as_str() {
            "DATA" => break,
            line => talk.say(answer(line)),
        }
    }
    take_rest(talk)
}

fn by_name(line: &str) -> &'static str {
    match line {
        "RCPT TO:<bob@x.test>" => "250 2.1.5 ok",
        "RCPT TO:<carol@x.test>" => "550 5.1.1 no such user \x1b[31m",
        "RCPT TO:<dave@x.test>" => "450 4.2.0 later",
        other => panic!("{other}"),
    }
}

fn send(peer: &Peer, arguments: &[&str]) -> Done {
    let server = format!("smtp://{}", peer.address());
    run(Path::new("/"), &[&["send", "--server", &server, "--from", "alice@x.test"], arguments].concat())
}

#[test]
fn each_recipient_has_a_line_and_the_worst_decides() {
    let peer = Peer::listen(2, |talk| {
        take(talk, by_name);
    });
    let everybody = ["--to", "bob@x.test", "--cc", "carol@x.test", "--bcc", "dave@x.test", "--text", "Hi"];
    let sent = send(&peer, &everybody);
    assert_eq!(sent.exit, 67, "{}", sent.err);
    let expected = "\
accepted  bob@x.test: 250 2.6.0 queued as 7
refused  carol@x.test: 550 5.1.1 no such user  [31m
deferred  dave@x.test: 450 4.2.0 later
";
    assert_eq!(sent.out, expected);
    let sent = send(&peer, &[&everybody[..], &["--json"]].concat());
    assert_eq!(sent.exit, 67);
    let told = sent.json();
    let outcomes: Vec<_> = told["recipients"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["accepted", "refused", "deferred"]);
    assert_eq!((&told["recipients"][1]["code"], &told["recipients"][1]["status"]), (&550.into(), &"5.1.1".into()));
    peer.finish();
}

#[test]
fn all_accepted_is_0_and_later_is_75() {
    let peer = Peer::listen(2, |talk| {
        take(talk, by_name);
    });
    assert_eq!(send(&peer, &["--to", "bob@x.test", "--text", "Hi"]).ok(), "accepted  bob@x.test: 250 2.6.0 queued as 7\n");
    assert_eq!(send(&peer, &["--to", "bob@x.test", "--to", "dave@x.test", "--text", "Hi"]).exit, 75);
    peer.finish();
}

#[test]
fn several_mailboxes_stand_in_one_argument_and_a_reader_that_goes_away_changes_no_exit_code() {
    let peer = Peer::listen(2, |talk| {
        take(talk, by_name);
    });
    let all = ["--to", "bob@x.test, \"Carol, C.\" <carol@x.test>", "--cc", "dave@x.test", "--text", "Hi"];
    let sent = send(&peer, &all);
    assert_eq!((sent.exit, sent.out.lines().count()), (67, 3), "{}{}", sent.out, sent.err);
    let mut command = posthouse();
    command.args(["send", "--server", &format!("smtp://{}", peer.address()), "--from", "alice@x.test"]).args(all);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(command.stdout(writer).status().unwrap().code(), Some(67));
    peer.finish();
}

#[test]
fn a_letter_on_standard_input_arrives_as_it_is() {
    let peer = Peer::listen(1, |talk| {
        let body = take(talk, by_name);
        assert_eq!(body, b"From: alice@x.test\r\nTo: bob@x.test\r\n\r\n..dots\r\n...\r\nF\xc3\xb6\r\n");
    });
    let mut child = posthouse()
        .args(["send", "--eml", "-"])
        .env("POSTHOUSE_SERVER", format!("smtp://{}", peer.address()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"From: alice@x.test\nTo: bob@x.test\n\n.dots\n..\nF\xc3\xb6\n").unwrap();
    assert!(child.wait().unwrap().success());
    peer.finish();
}

#[test]
fn a_piped_text_is_the_body() {
    let peer = Peer::listen(1, |talk| {
        let body = String::from_utf8(take(talk, by_name)).unwrap();
        assert!(body.contains("Subject: Disks\r\n") && body.contains("\r\n\r\nall full\r\n"), "{body}");
    });
    let mut child = posthouse()
        .args(["send", "--server", &format!("smtp://{}", peer.address())])
        .args(["--from", "alice@x.test", "--to", "bob@x.test", "--subject", "Disks"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"all full\n").unwrap();
    assert!(child.wait().unwrap().success());
    peer.finish();
}

#[test]
fn a_refused_login_is_77_and_the_password_stays_with_us() {
    let peer = Peer::listen(1, |talk| {
        talk.say("220 peer.test");
        talk.hear();
        talk.say("250-peer.test");
        talk.say("250 AUTH PLAIN");
        // "\0alice\0hunter2"
        assert_eq!(talk.hear().as_deref(), Some("AUTH PLAIN AGFsaWNlAGh1bnRlcjI="));
        talk.say("535 5.7.8 wrong");
        talk.rest();
    });
    let server = format!("smtp://alice@{}", peer.address());
    let mut command = posthouse();
    command.args(["send", "--server", &server, "--transcript", "--password-env", "SECRET"]).env("SECRET", "hunter2");
    let sent = done(command.args(["--from", "alice@x.test", "--to", "bob@x.test", "--text", "Hi"]));
    sent.fails(77, "Check the user name and the password");
    assert!(sent.err.contains("<** 535 5.7.8 wrong") && sent.err.contains(" -> AUTH PLAIN"), "{}", sent.err);
    for secret in ["hunter2", "AGFsaWNlAGh1bnRlcjI="] {
        assert!(!sent.err.contains(secret) && !sent.out.contains(secret), "{}", sent.err);
    }
    peer.finish();
}

#[test]
fn a_password_in_the_url_is_refused_without_showing_it() {
    let sent = run(Path::new("/"), &["send", "--server", "smtps://alice:hunter2@localhost", "--to", "b@x.test", "--text", "Hi"]);
    sent.fails(64, "a password does not belong into the URL");
    assert!(!sent.err.contains("hunter2"), "{}", sent.err);
    let mut command = posthouse();
    command.env("POSTHOUSE_SERVER", "smtps://alice:hunter2@localhost").args(["send", "--help"]);
    assert!(!done(&mut command).ok().contains("hunter2"));
}

#[test]
fn a_server_that_is_not_there_is_75() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("smtp://{gone}");
    let sent = run(Path::new("/"), &["send", "--server", &server, "--from", "a@x.test", "--to", "b@x.test", "--text", "Hi"]);
    sent.fails(75, "cannot connect");
}

#[test]
fn a_server_that_breaks_off_is_75_and_one_that_speaks_nonsense_76() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        talk.hear();
        talk.hang_up();
    });
    assert_eq!(send(&peer, &["--to", "bob@x.test", "--text", "Hi"]).exit, 75);
    let peer = Peer::listen(1, |talk| {
        talk.say("HTTP/1.1 400 Bad Request");
        talk.rest();
    });
    assert_eq!(send(&peer, &["--to", "bob@x.test", "--text", "Hi"]).exit, 76);
}

#[test]
fn our_own_server_takes_it_over_tls_and_the_story_is_told() {
    let site = Site::new(&["submission"], "");
    let server = site.start();
    let address = server.address("submission");
    let url = format!("smtp+starttls://alice%40example.test@localhost:{}", address.port());
    let ca = site.data().join("ca/ca.pem");
    let mut command = posthouse();
    command.args(["send", "--server", &url, "--ca", ca.to_str().unwrap(), "--password-env", "SECRET", "--json"]);
    command.env("SECRET", "secret").args(["--to", "bob@example.test", "--subject", "Grüße", "--text", "Hallo"]);
    let told = done(&mut command).json();
    assert_eq!(told["recipients"][0]["outcome"], "accepted", "{told}");
    assert!(told["tls"].as_str().unwrap().starts_with("TLSv1.3"), "{told}");

    // The reply carries the id, and the id leads to the story.
    let reply = told["recipients"][0]["text"].as_str().unwrap().to_owned();
    let id = reply.split_whitespace().find_map(|word| word.parse::<posthouse_mail::LetterId>().ok()).expect(&reply);
    site.wait_for("bob", id);
    let began = std::time::Instant::now();
    let story = loop {
        let story = run(site.dir.path(), &["trace", &id.to_string()]);
        if story.out.contains("stored for bob@example.test") {
            break story.ok();
        }
        assert!(began.elapsed() < PATIENCE, "{}{}", story.out, story.err);
    };
    assert!(story.contains("over TLSv1.3") && story.contains("as alice@example.test"), "{story}");
    assert!(run(site.dir.path(), &["mail", "list", "bob@example.test"]).ok().contains("Grüße"));

    // Without the authority the certificate is worth nothing, and the password is not sent.
    let mut command = posthouse();
    command.args(["send", "--server", &url, "--password-env", "SECRET"]).env("SECRET", "secret");
    let refused = done(command.args(["--to", "bob@example.test", "--text", "Hallo"]));
    refused.fails(76, "certificate");
    let mut command = posthouse();
    command
        .args(["send", "--server", &url, "--password-env", "SECRET"])
        .env("SECRET", "wrong")
        .arg("--danger-accept-any-certificate");
    done(command.args(["--to", "bob@example.test", "--text", "Hallo"])).fails(77, "password");
}

/// `send --queue` beside a server's site.
fn queue(site: &crate::common::Site, arguments: &[&str]) -> Done {
    let mut command = posthouse();
    command.env("POSTHOUSE_SUBMIT", site.data().join("submit.sock")).env("POSTHOUSE_MAILDROP", site.dir.path().join("drop"));
    done(
        command
            .arg("send")
            .arg("--queue")
            .args(["--from", "root@example.test", "--subject", "s", "--text", "hi"])
            .args(arguments),
    )
}

#[test]
fn a_letter_for_the_queue_is_answered_for_held_until_its_time_and_kept_with_the_server_down() {
    let site = crate::common::Site::new(&["mx"], "[intake.local]\nmaildrop = \"drop\"\n");
    let running = site.start();
    let told = queue(&site, &["--to", "bob@example.test", "--json"]).json();
    assert_eq!(told["recipients"][0]["outcome"], "accepted", "{told}");
    assert!(site.wait_for_any("bob").contains("\r\n\r\nhi\r\n"));
    queue(&site, &["--to", "nosuch@example.test"]).fails(67, "");
    queue(&site, &["--to", "alice@example.test", "--at", "+2h"]).ok();
    let waiting = run(&site.data(), &["queue", "list", "--data", ".", "--json"]);
    assert!(waiting.out.contains("alice@example.test") && site.inbox("alice").is_empty(), "{}", waiting.out);
    queue(&site, &["--to", "alice@example.test", "--at", "2000-01-01T00:00:00Z"]).fails(65, "that time is over");
    running.stop();
    let kept = queue(&site, &["--to", "bob@example.test"]).ok();
    assert!(kept.starts_with("kept  bob@example.test: the server is down"), "{kept}");
    let before = site.inbox("bob").len();
    let running = site.start();
    let began = std::time::Instant::now();
    while site.inbox("bob").len() == before {
        assert!(began.elapsed() < crate::common::PATIENCE, "the kept letter does not come");
    }
    running.stop();
}

#[test]
fn a_letter_for_later_is_not_given_to_a_server_that_would_send_it_at_once() {
    let catcher = posthouse_client::Catcher::start().unwrap();
    let arguments = ["send", "--server", &catcher.url(), "--from", "a@x.test", "--to", "b@x.test", "--text", "hi", "--at", "+1h"];
    run(Path::new("/"), &arguments).fails(65, "");
    assert!(catcher.letters().is_empty());
}

#[test]
fn the_switches_of_swaks_and_curl_mean_what_they_mean_there() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = posthouse_client::Catcher::builder().starttls().start().unwrap();
    let at = catcher.address();
    std::fs::write(folder.path().join("ca.pem"), catcher.authority().unwrap()).unwrap();
    std::fs::write(folder.path().join("a.eml"), "From: a@x.test\nTo: b@x.test\nSubject: whole\n\nHi.\n").unwrap();
    std::fs::write(folder.path().join("f.bin"), "file").unwrap();
    let port = at.port().to_string();
    let swaks = [
        "send",
        "-s",
        "127.0.0.1",
        "-p",
        &port,
        "--tls",
        "--cacert",
        "ca.pem",
        "-f",
        "a@x.test",
        "-t",
        "b@x.test",
        "--ehlo",
        "me.test",
    ];
    let letter = ["--h-Subject", "From swaks", "--header-X-Mark=7", "--body", "Hi.", "--attach", "@f.bin", "--timeout", "20"];
    run(folder.path(), &[&swaks[..], &letter[..]].concat()).ok();
    let caught = catcher.wait_for_now("b@x.test").unwrap();
    assert_eq!((caught.subject().as_deref(), caught.header("X-Mark").as_deref()), (Some("From swaks"), Some("7")));
    assert!(caught.tls().is_some() && caught.attachment("f.bin").is_some());
    run(folder.path(), &[&swaks[..], &["--data", "@a.eml"]].concat()).ok();
    let url = format!("smtp://{at}");
    let curl = [
        "send",
        "--url",
        &url,
        "--ssl-reqd",
        "--cacert",
        "ca.pem",
        "--mail-from",
        "a@x.test",
        "--mail-rcpt",
        "c@x.test",
        "-T",
        "a.eml",
    ];
    run(folder.path(), &curl).ok();
    let subjects: Vec<_> = catcher.letters().iter().map(|letter| letter.subject().unwrap()).collect();
    assert_eq!(subjects, ["From swaks", "whole", "whole"]);
}

#[test]
fn what_is_asked_of_the_transport_is_said_in_the_envelope() {
    let peer = Peer::listen(1, |talk| {
        greet_with(talk, "DSN");
        assert_eq!(talk.hear().as_deref(), Some("MAIL FROM:<alice@x.test> RET=HDRS ENVID=no+2B7"));
        talk.say("250 ok");
        assert_eq!(talk.hear().as_deref(), Some("RCPT TO:<bob@x.test> NOTIFY=SUCCESS,FAILURE"));
        talk.say("250 ok");
        assert_eq!(talk.hear().as_deref(), Some("DATA"));
        take_rest(talk);
    });
    let asked = ["--to", "bob@x.test", "--text", "Hi", "--notify", "success,failure", "--ret", "hdrs", "--envid", "no+7"];
    send(&peer, &asked).ok();
    peer.finish();
    let catcher = posthouse_client::Catcher::start().unwrap();
    let unsafe_way =
        ["send", "--server", &catcher.url(), "--from", "a@x.test", "--to", "b@x.test", "--text", "hi", "--require-tls"];
    let refused = run(Path::new("/"), &unsafe_way);
    assert!(refused.exit != 0 && refused.out.contains("5.7"), "{}", refused.out);
    assert!(catcher.letters().is_empty(), "it went without TLS");
    run(
        Path::new("/"),
        &["send", "--server", &catcher.url(), "--from", "a@x.test", "--to", "b@x.test", "--text", "hi", "--notify", "soon"],
    )
    .fails(64, "never, or some of");
}

#[test]
fn the_next_server_takes_it_where_the_first_is_down() {
    let catcher = posthouse_client::Catcher::start().unwrap();
    let servers = ["send", "--server", "smtp://127.0.0.1:1", "--server", &catcher.url()];
    run(Path::new("/"), &[&servers[..], &["--from", "a@x.test", "--to", "b@x.test", "--text", "hi"]].concat()).ok();
    assert_eq!(catcher.letters().len(), 1);
}

#[test]
fn a_token_is_what_a_command_prints_and_is_in_no_transcript() {
    let peer = Peer::listen(1, |talk| {
        greet_with(talk, "AUTH XOAUTH2");
        // user=al@x.test, then "auth=Bearer ya29.secret", each ended by ^A.
        assert_eq!(talk.hear().as_deref(), Some("AUTH XOAUTH2 dXNlcj1hbEB4LnRlc3QBYXV0aD1CZWFyZXIgeWEyOS5zZWNyZXQBAQ=="));
        talk.say("235 2.7.0 welcome");
        for _ in 0..2 {
            talk.hear().unwrap();
            talk.say("250 ok");
        }
        assert_eq!(talk.hear().as_deref(), Some("DATA"));
        take_rest(talk);
    });
    let token =
        ["--user", "al@x.test", "--token-command", "echo ya29.secret", "--to", "bob@x.test", "--text", "Hi", "--transcript"];
    let sent = send(&peer, &token);
    assert_eq!(sent.exit, 0, "{}", sent.err);
    assert!(sent.err.contains(" -> AUTH XOAUTH2 ***") && !sent.err.contains("dXNlcj"), "{}", sent.err);
    peer.finish();
}

#[test]
fn an_answer_goes_to_the_writer_and_into_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = posthouse_client::Catcher::start().unwrap();
    let letter = "From: Bob <bob@x.test>\nTo: al@x.test, carol@x.test\nSubject: Lunch?\nMessage-ID: <1@x.test>\n\nAt noon?\n";
    std::fs::write(folder.path().join("a.eml"), letter).unwrap();
    let send = |more: &[&str]| {
        run(folder.path(), &[&["send", "--server", &catcher.url(), "--from", "al@x.test", "--text", "Yes."], more].concat()).ok();
        catcher.letters().pop().unwrap()
    };
    let answer = send(&["--reply", "a.eml"]);
    assert_eq!((answer.to(), answer.subject().as_deref()), (vec!["bob@x.test".to_owned()], Some("Re: Lunch?")));
    assert_eq!(answer.header("In-Reply-To").as_deref(), Some("<1@x.test>"));
    assert_eq!(send(&["--reply-all", "a.eml"]).to(), ["bob@x.test", "carol@x.test"]);
    let forwarded = send(&["--forward", "a.eml", "--to", "dave@x.test"]);
    assert_eq!(forwarded.subject().as_deref(), Some("Fwd: Lunch?"));
    assert!(String::from_utf8_lossy(forwarded.bytes()).contains("message/rfc822"));
}

#[test]
fn a_server_in_the_environment_is_no_reason_against_another_way() {
    let dry = |way: &str| {
        let letter = ["--dry-run", "--from", "a@x.test", "--to", "b@x.test", "--text", "hi"];
        let output = posthouse().args(["send", way]).args(letter).env("POSTHOUSE_SERVER", "smtp://localhost").output().unwrap();
        assert!(output.status.success(), "{way}: {}", String::from_utf8_lossy(&output.stderr));
    };
    dry("--queue");
    dry("--direct");
    run(Path::new("/"), &["send", "--direct", "--server", "smtp://x.test", "--to", "b@x.test", "--text", "hi"])
        .fails(64, "cannot be used with");
}

#[test]
fn a_password_comes_from_an_open_descriptor_and_recipients_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let catcher = posthouse_client::Catcher::builder().login("al", "hunter2").start().unwrap();
    std::fs::write(folder.path().join("secret"), "hunter2\nnot this\n").unwrap();
    std::fs::write(folder.path().join("list"), "# friends\nbob@x.test\n\nCarol <carol@x.test>\r\n").unwrap();
    let words = "send --user al --password-fd 7 --from us@x.test --to-file list --text hi";
    let program = format!("exec '{}' {words} --server {} 7<secret", env!("CARGO_BIN_EXE_posthouse"), catcher.url());
    done(Command::new("/bin/sh").current_dir(folder.path()).args(["-c", &program])).ok();
    let letter = &catcher.letters()[0];
    assert_eq!((letter.login(), letter.to()), (Some("al"), vec!["bob@x.test".to_owned(), "carol@x.test".to_owned()]));
    assert!(!String::from_utf8_lossy(letter.bytes()).contains("bob@"), "they do not see each other");
}

#[test]
fn all_or_none_is_none_where_one_is_refused() {
    let reply = posthouse_client::mail::Reply::new(550, "5.1.1".parse().unwrap(), "no such user");
    let catcher = posthouse_client::Catcher::builder().refuse("nobody@x.test", reply).start().unwrap();
    let url = catcher.url();
    let words = ["send", "--server", &url, "--from", "a@x.test", "--to", "b@x.test,nobody@x.test", "--text", "hi"];
    let sent = run(Path::new("/"), &[&words[..], &["--all-or-none"]].concat());
    assert_eq!(sent.exit, 67, "{}", sent.err);
    assert!(sent.out.contains("not tried  b@x.test: it was to be all or none"), "{}", sent.out);
    assert!(catcher.letters().is_empty());
    assert_eq!(run(Path::new("/"), &words).exit, 67);
    assert_eq!(catcher.letters()[0].to(), ["b@x.test"]);
}

#[test]
fn a_port_where_tls_comes_first_or_not_at_all_is_told_of() {
    let site = Site::new(&["submission", "submissions"], "");
    let running = site.start();
    let send = |scheme: &str, kind: &str| {
        let server = format!("{scheme}://localhost:{}", running.address(kind).port());
        run(
            Path::new("/"),
            &["send", "--server", &server, "--from", "a@x.test", "--to", "b@x.test", "--text", "hi", "--timeout", "2"],
        )
    };
    send("smtps", "submission").fails(76, "smtp+starttls://");
    send("smtp", "submissions").fails(75, "smtps://");
    running.stop();
}
