//! `sendmail` and its other names, and `probe`.

use std::io::Write as _;
use std::process::Stdio;

use posthouse_client::Catcher;

use super::*;
use crate::common::Site;

/// Runs it under a name of its own, as a link would.
fn under_name(folder: &Path, name: &str, server: &str, arguments: &[&str], letter: &str) -> Done {
    let link = folder.join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(posthouse().get_program(), &link).unwrap();
    }
    let mut command = Command::new(link);
    command.args(arguments).env("POSTHOUSE_SERVER", server).env("POSTHOUSE_MAILDROP", folder.join("drop")).env("LOGNAME", "cron");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(letter.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Done {
        exit: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const LETTER: &str = "To: bob@x.test, Carol <carol@x.test>\nBcc: dave@x.test\nSubject: Disks\n\nfull\n.\nnot sent without -i\n";

#[test]
fn a_letter_with_its_recipients_in_the_header_arrives() {
    let (folder, catcher) = (tempfile::tempdir().unwrap(), Catcher::start().unwrap());
    under_name(folder.path(), "sendmail", &catcher.url(), &["-t", "-i", "-FCron Daemon", "-f", "root@x.test"], LETTER).ok();
    let letter = catcher.wait_for_now("dave@x.test").unwrap();
    assert_eq!((letter.from().as_str(), letter.to().len()), ("root@x.test", 3));
    assert!(!String::from_utf8_lossy(letter.bytes()).contains("dave@x.test"));
    assert_eq!(letter.header("From").unwrap(), "\"Cron Daemon\" <root@x.test>");
    assert!(letter.header("Date").is_some() && letter.header("Message-ID").is_some());
    assert!(letter.text().unwrap().ends_with("full\r\n.\r\nnot sent without -i\r\n"));
    under_name(folder.path(), "sendmail", &catcher.url(), &["erin@x.test"], LETTER).ok();
    let letter = catcher.wait_for_now("erin@x.test").unwrap();
    let user = posthouse_runtime::users::name(posthouse_runtime::users::own()).unwrap();
    assert!(letter.text().unwrap().ends_with("full\r\n") && letter.from().starts_with(&format!("{user}@")));
}

#[test]
fn a_letter_of_40_mb_goes_through_the_maildrop_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("sendmail");
    std::os::unix::fs::symlink(posthouse().get_program(), &link).unwrap();
    let lines = "All work and no play makes Jack a dull boy, all work and no play makes.\n".repeat(1000);
    // Keeps a letter of so many thousand lines; the KiB it took, when all but what fits into the pipe was read.
    let keep = |thousands: usize| {
        let mut command = Command::new(&link);
        command.arg("-t").env("POSTHOUSE_SERVER", "smtp://127.0.0.1:1").env("POSTHOUSE_MAILDROP", folder.path().join("drop"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(b"To: bob@x.test\nSubject: large\n\n").unwrap();
        (0..thousands).for_each(|_| pipe.write_all(lines.as_bytes()).unwrap());
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        pipe.write_all(b".\nnot sent\n").unwrap();
        drop(pipe);
        assert!(child.wait().unwrap().success());
        peak
    };
    let (small, large) = (keep(10), keep(550));
    assert!(large < small + 8 * 1024, "{large} KiB for a letter of 40 MB, {small} for one of 0.7 MB");
    let catcher = Catcher::builder().size_max(100 << 20).start().unwrap();
    under_name(folder.path(), "sendmail", &catcher.url(), &["-q"], "").ok();
    let octets: Vec<usize> = catcher.letters().iter().map(|letter| letter.bytes().len()).collect();
    assert!(octets.len() == 2 && octets.iter().any(|&octets| octets > 40_000_000), "{octets:?}");
    assert!(catcher.letters().iter().all(|letter| letter.bytes().ends_with(b"makes.\r\n")));
    assert!(under_name(folder.path(), "mailq", "smtp://127.0.0.1:1", &[], "").ok().contains("empty"));
}

#[test]
fn with_the_server_down_the_letter_is_kept_and_goes_out_later() {
    let folder = tempfile::tempdir().unwrap();
    let dead = "smtp://127.0.0.1:1";
    under_name(folder.path(), "sendmail", dead, &["-t"], LETTER).ok();
    under_name(folder.path(), "sendmail", dead, &["erin@x.test"], LETTER).ok();
    let listed = under_name(folder.path(), "mailq", dead, &[], "").ok();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("to bob@x.test, carol@x.test, dave@x.test"), "{listed}");
    under_name(folder.path(), "sendmail", dead, &["-q"], "").fails(75, "2 letters are still in the maildrop");
    let catcher = Catcher::start().unwrap();
    under_name(folder.path(), "sendmail", &catcher.url(), &["-q"], "").ok();
    assert_eq!(catcher.letters().len(), 2);
    assert_eq!(under_name(folder.path(), "mailq", dead, &[], "").ok(), "the maildrop is empty\n");
    under_name(folder.path(), "newaliases", dead, &[], "").ok();
}

#[test]
fn a_refusal_for_good_is_the_callers_business_and_one_for_now_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let refused = posthouse_mail::Reply::new(550, "5.1.1".parse().unwrap(), "no such user");
    let later = posthouse_mail::Reply::new(450, "4.2.1".parse().unwrap(), "later");
    let catcher = Catcher::builder().refuse("bob@x.test", refused).refuse("carol@x.test", later).start().unwrap();
    under_name(folder.path(), "sendmail", &catcher.url(), &["bob@x.test"], "Subject: s\n\nhi\n").fails(67, "no such user");
    under_name(folder.path(), "sendmail", &catcher.url(), &["carol@x.test", "dave@x.test"], "Subject: s\n\nhi\n").ok();
    let listed = under_name(folder.path(), "mailq", &catcher.url(), &[], "").ok();
    assert!(listed.lines().count() == 1 && listed.ends_with("to carol@x.test\n"), "{listed}");
    under_name(folder.path(), "sendmail", &catcher.url(), &["-bs"], "").fails(69, "-bs");
}

#[test]
fn what_is_nobodys_address_is_not_kept_for_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let dead = "smtp://127.0.0.1:1";
    under_name(folder.path(), "sendmail", dead, &[], "Subject: s\n\nhi\n").fails(64, "no recipient");
    under_name(folder.path(), "sendmail", dead, &["-it"], "Subject: s\n\nhi\n").fails(65, "no recipient");
    let mut latin1 = Command::new(folder.path().join("sendmail"));
    latin1.arg(std::os::unix::ffi::OsStrExt::from_bytes(b"b\xf6b@x.test".as_slice()) as &std::ffi::OsStr);
    done(latin1.env("POSTHOUSE_SERVER", dead).env("POSTHOUSE_MAILDROP", folder.path().join("drop"))).fails(65, "it is not UTF-8");
    assert_eq!(under_name(folder.path(), "mailq", dead, &[], "").ok(), "the maildrop is empty\n");
}

/// Runs it as the sendmail of the machine that a server serves.
fn local(site: &Site, name: &str, arguments: &[&str], input: &str) -> Done {
    let link = site.dir.path().join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(posthouse().get_program(), &link).unwrap();
    }
    let mut command = Command::new(link);
    command.args(arguments).env_remove("POSTHOUSE_SERVER").env("POSTHOUSE_MAILDROP", site.dir.path().join("drop"));
    command.env("POSTHOUSE_SUBMIT", site.data().join("submit.sock"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Done { exit: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_letter_is_handed_to_the_server_of_this_machine_and_its_user_is_written_down() {
    let site = Site::new(&["mx"], "");
    let running = site.start();
    local(&site, "sendmail", &["-i", "bob"], "From: root (Cron Daemon)\nTo: bob\nSubject: Disks\n\nfull\n").ok();
    let letter = site.wait_for_any("bob");
    assert!(letter.contains("Received: by mail.example.test (Posthouse, from userid "), "{letter}");
    assert!(letter.contains("\r\nFrom: \"Cron Daemon\" <root@example.test>\r\n"), "{letter}");
    local(&site, "sendmail", &["nosuch"], "Subject: s\n\nhi\n").fails(67, "nobody here has this address");
    let story = run(&site.data(), &["trace", "bob@example.test", "--data", "."]).ok();
    assert!(story.contains(") on this machine, ") && story.contains("(uid "), "{story}");
    assert!(local(&site, "mailq", &[], "").ok().contains("empty"));
    running.stop();
}

#[test]
fn mail_for_a_system_account_is_the_postmasters() {
    let site = Site::new(&["mx"], "");
    run(&site.data(), &["alias", "add", "postmaster@example.test", "alice@example.test", "--data", "."]).ok();
    let running = site.start();
    local(&site, "sendmail", &["-i", "root"], "Subject: Cron\n\nfull\n").ok();
    assert!(site.wait_for_any("alice").contains("\r\nSubject: Cron\r\n"));
    running.stop();
}

#[test]
fn smtp_on_standard_input_is_spoken_with_the_server() {
    let site = Site::new(&["mx"], "");
    let running = site.start();
    let dialogue = "EHLO here\r\nMAIL FROM:<root@example.test>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<nosuch@example.test>\r\nDATA\r\n\
        Subject: by hand\r\n\r\nhi\r\n.\r\nQUIT\r\n";
    let said = local(&site, "sendmail", &["-bs"], dialogue).ok();
    let codes: Vec<&str> = said.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect();
    assert_eq!(codes, ["220", "250", "250", "250", "550", "354", "250", "221"], "{said}");
    assert!(!said.contains("AUTH") && !said.contains("STARTTLS"), "{said}");
    assert!(site.wait_for_any("bob").contains("\r\nSubject: by hand\r\n"));
    running.stop();
    let down = local(&site, "sendmail", &["-bs"], "QUIT\r\n");
    assert!(down.exit == 75 && down.out.starts_with("421 4.3.2 "), "{}{}", down.out, down.err);
}

#[test]
fn what_was_left_while_the_server_was_down_arrives_and_what_is_no_letter_is_set_aside() {
    let site = Site::new(&["mx"], "[intake.local]\nmaildrop = \"drop\"\n");
    let drop = site.dir.path().join("drop");
    std::fs::create_dir(&drop).unwrap();
    // It says once what a name without a domain belongs to.
    let running = site.start();
    local(&site, "sendmail", &["alice"], "Subject: s\n\nhi\n").ok();
    let began = std::time::Instant::now();
    while !drop.join(".domain").exists() {
        assert!(began.elapsed() < crate::common::PATIENCE);
    }
    running.stop();
    local(&site, "sendmail", &["-i", "bob", "nosuch@example.test"], "Subject: kept\n\nhi\n").ok();
    assert_eq!(local(&site, "mailq", &[], "").ok().lines().count(), 1);
    std::fs::write(drop.join("0.letter"), "rubbish\n").unwrap();
    let running = site.start();
    assert!(site.wait_for_any("bob").contains("\r\nSubject: kept\r\n"));
    let asked = || run(&site.data(), &["status", "--data", "."]).ok();
    let began = std::time::Instant::now();
    let status = loop {
        let status = asked();
        if status.contains("maildrop: 0 letters wait") && status.contains("1 files could not be taken") {
            break status;
        }
        assert!(began.elapsed() < crate::common::PATIENCE, "{status}");
    };
    assert!(status.contains("set-aside"), "{status}");
    let reason = std::fs::read_to_string(drop.join("set-aside/0.reason")).unwrap();
    assert!(reason.starts_with("its envelope cannot be read"), "{reason}");
    // Nobody waits for a letter from the maildrop, so its sender is told by a bounce.
    assert!(run(&site.data(), &["trace", "nosuch@example.test", "--data", "."]).ok().contains("gave up on nosuch@example.test"));
    running.stop();
}

#[test]
fn whoever_left_a_letter_that_cannot_be_taken_is_told_once() {
    let site = Site::new(&["mx"], "[intake.local]\nmaildrop = \"drop\"\ntrusted-users = []\n");
    let drop = site.dir.path().join("drop");
    std::fs::create_dir(&drop).unwrap();
    run(&site.data(), &["alias", "add", "postmaster@example.test", "alice@example.test", "--data", "."]).ok();
    let envelope = "{\"version\":1,\"from\":\"bob@example.test\",\"to\":[\"carol@elsewhere.test\"]}\n";
    std::fs::write(
        drop.join("1.letter"),
        format!("{envelope}From: bob@example.test\r\nSubject: in another's name\r\n\r\nhi\r\n"),
    )
    .unwrap();
    let running = site.start();
    // The user's mail is the postmaster's, as that of every system account.
    let told = site.wait_for_any("alice");
    assert!(told.contains("\r\nSubject: Your letter was not sent\r\n") && told.contains("for carol@"), "{told}");
    assert!(
        told.contains("is not an address") && told.contains("Auto-Submitted: auto-replied") && told.contains("1.letter"),
        "{told}"
    );
    let began = std::time::Instant::now();
    while !drop.join("set-aside/1.reason").exists() {
        assert!(began.elapsed() < crate::common::PATIENCE);
    }
    running.stop();
}

#[test]
fn whether_a_recipient_would_be_taken_is_asked_of_the_server() {
    let site = Site::new(&["mx"], "");
    let running = site.start();
    let asked = local(&site, "sendmail", &["-bv", "bob", "nosuch", "carol@elsewhere.test"], "");
    assert_eq!(asked.exit, 67, "{}{}", asked.out, asked.err);
    let lines: Vec<&str> = asked.out.lines().collect();
    assert_eq!((lines[0], lines[2]), ("bob@example.test... deliverable", "carol@elsewhere.test... deliverable"));
    assert!(lines[1].starts_with("nosuch@example.test... 550 5.1.1"), "{}", asked.out);
    local(&site, "sendmail", &["-bv", "bob"], "").ok();
    running.stop();
    local(&site, "sendmail", &["-bv", "bob"], "").fails(75, "cannot reach the Posthouse of this machine");
    let folder = tempfile::tempdir().unwrap();
    let relayed = under_name(folder.path(), "sendmail", "smtp://relay.test", &["-bv", "bob@x.test"], "").ok();
    assert_eq!(relayed, "bob@x.test... deliverable: through smtp://relay.test:25, which decides\n");
}

#[test]
fn an_untrusted_user_writes_in_no_name_of_ours_but_its_own() {
    let more = "[intake.local]\ntrusted-users = []\n[[intake.local.grant]]\nuser = \"0\"\naddresses = [\"shop@example.test\"]\n";
    let site = Site::new(&["mx"], more);
    let running = site.start();
    let letter = |from: &str| format!("From: {from}\nSubject: s\n\nhi\n");
    for from in ["shop@example.test", "someone@elsewhere.test", "root@example.test"] {
        local(&site, "sendmail", &["-f", from, "bob"], &letter(from)).ok();
    }
    local(&site, "sendmail", &["-f", "alice@example.test", "bob"], &letter("root")).fails(77, "intake.local.grant");
    local(&site, "sendmail", &["-f", "root@example.test", "bob"], &letter("alice@example.test")).fails(77, "intake.local.grant");
    running.stop();
    site.configure(&["mx"], "[intake.local]\nusers = [\"www-data\"]\n");
    let running = site.start();
    local(&site, "sendmail", &["bob"], &letter("root")).fails(77, "intake.local.users");
    running.stop();
}

#[test]
fn a_probe_says_what_our_server_offers() {
    let site = Site::new(&["submission"], "");
    let running = site.start();
    let server = format!("localhost:{}", running.address("submission").port());
    let ca = site.data().join("ca/ca.pem");
    let probed = run(Path::new("/"), &["probe", &server, "--ca", ca.to_str().unwrap(), "--json"]);
    let told = probed.json();
    let port = &told[0];
    assert_eq!(port["problems"].as_array().unwrap().len(), 0, "{told}");
    assert_eq!((&port["tls"]["verified"], &port["tls"]["protocol"]), (&true.into(), &"TLSv1.3".into()));
    assert!(port["tls"]["certificates"][0]["names"].as_array().unwrap().contains(&"localhost".into()), "{told}");
    let extensions = port["protected"]["extensions"].as_array().unwrap();
    assert!(extensions.contains(&"CHUNKING".into()) && port["protected"]["auth"].as_str().unwrap().contains("SCRAM-SHA-256"));
    assert!(port["clear"]["extensions"].as_array().unwrap().contains(&"STARTTLS".into()));
    let unknown = run(Path::new("/"), &["probe", &server, "--timeout", "5"]);
    assert!(unknown.exit == 0 && unknown.out.contains("not verified") && unknown.out.contains("problem"), "{}", unknown.out);
    assert_eq!(run(Path::new("/"), &["probe", "127.0.0.1:1"]).exit, 69);
    let by_url =
        run(Path::new("/"), &["probe", &format!("smtp+starttls://{server}"), "--ca", ca.to_str().unwrap(), "--json"]).json();
    assert_eq!(by_url[0]["tls"]["verified"], true, "{by_url}");
    run(Path::new("/"), &["probe", &server, "--timeout", "0"]).fails(64, "--timeout");
    running.stop();
}

#[test]
fn what_is_announced_is_tried_with_commands_that_leave_nothing_behind() {
    let site = Site::new(&["mx", "submission"], "");
    let running = site.start();
    let ca = site.data().join("ca/ca.pem");
    let try_it =
        |server: String| run(Path::new("/"), &["probe", &server, "--try", "--ca", ca.to_str().unwrap(), "--json"]).json();
    let told = try_it(format!("localhost:{}", running.address("mx").port()));
    let tried = told[0]["tried"].as_array().unwrap();
    assert!(tried.len() >= 7 && tried.iter().all(|one| one["works"] == true), "{told}");
    let told = try_it(format!("localhost:{}", running.address("submission").port()));
    let untried = told[0]["tried"].as_array().unwrap().iter().find(|one| one["extension"] == "DSN").unwrap();
    assert!(untried["works"].is_null() && untried["said"].as_str().unwrap().starts_with("530 "), "{told}");
    let inside = |more: &[&str]| {
        let submission = format!("localhost:{}", running.address("submission").port());
        let probe =
            ["probe", &submission, "--try", "--ciphers", "--ca", ca.to_str().unwrap(), "--json", "--user", "alice@example.test"];
        run(site.dir.path(), &[&probe[..], more].concat())
    };
    std::fs::write(site.dir.path().join("wrong"), "nonsense\n").unwrap();
    std::fs::set_permissions(site.dir.path().join("wrong"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let told = inside(&["--password-file", "wrong"]).json();
    assert!(told[0]["problems"].to_string().contains("the login by SCRAM-SHA-256-PLUS is refused: 535"), "{told}");
    let told = inside(&["--password-command", "echo secret"]).json();
    let tried = told[0]["tried"].as_array().unwrap();
    assert!(tried.len() >= 7 && tried.iter().all(|one| one["works"] == true), "{told}");
    let ciphers: Vec<&str> = told[0]["tls"]["ciphers"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(ciphers[0], told[0]["tls"]["cipher"].as_str().unwrap(), "its favourite is the one that is used");
    assert!(ciphers.len() >= 3 && ciphers.iter().any(|cipher| cipher.starts_with("TLS_ECDHE_")), "{ciphers:?}");
    assert_eq!(run(&site.data(), &["queue", "list", "--data", "."]).ok().matches("example.test").count(), 0);
    running.stop();
}

#[test]
fn an_extension_that_is_only_announced_is_told() {
    let peer = posthouse_testkit::peer::Peer::listen(2, |talk| {
        talk.say("220 peer.test");
        while let Some(line) = talk.hear() {
            match line.split(' ').next().unwrap_or_default() {
                "EHLO" => {
                    for word in ["250-peer.test", "250-CHUNKING", "250-SIZE 1000", "250-SMTPUTF8", "250 DSN"] {
                        talk.say(word);
                    }
                }
                "MAIL" if line.contains("SMTPUTF8") || line.contains("RET=") => talk.say("555 unknown parameter"),
                "MAIL" | "RSET" | "NOOP" => talk.say("250 ok"),
                "RCPT" | "DATA" => panic!("{line}"),
                "QUIT" => return talk.say("221 bye"),
                _ => talk.say("500 what?"),
            }
        }
    });
    let told = run(Path::new("/"), &["probe", &peer.address().to_string(), "--try", "--json"]).json();
    let problems = told[0]["problems"].to_string();
    for word in ["SMTPUTF8 is announced", "DSN is announced", "CHUNKING is announced", "SIZE is announced"] {
        assert!(problems.contains(word), "no {word} in {problems}");
    }
}
