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
    assert!(letter.text().unwrap().ends_with("full\r\n") && letter.from().starts_with("cron@"));
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
    under_name(folder.path(), "sendmail", &catcher.url(), &["bob@x.test"], "Subject: s\n\nhi\n").fails(69, "no such user");
    under_name(folder.path(), "sendmail", &catcher.url(), &["carol@x.test", "dave@x.test"], "Subject: s\n\nhi\n").ok();
    let listed = under_name(folder.path(), "mailq", &catcher.url(), &[], "").ok();
    assert!(listed.lines().count() == 1 && listed.ends_with("to carol@x.test\n"), "{listed}");
    under_name(folder.path(), "sendmail", &catcher.url(), &["-bs"], "").fails(64, "-bs");
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
    running.stop();
}
