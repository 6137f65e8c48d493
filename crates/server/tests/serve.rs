//! `posthouse serve` as a process: starts, reloads, stops.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

#[path = "serve/alarms.rs"]
mod alarms;
mod common;
#[path = "serve/failures.rs"]
mod failures;
#[path = "serve/metrics.rs"]
mod metrics;
#[path = "serve/policy.rs"]
mod policy;
#[path = "serve/private.rs"]
mod private;

use std::fs;

use common::{Running, Site, Smtp, letter, posthouse};
use posthouse_runtime::block_on;
use posthouse_runtime::net::Stream;
use posthouse_runtime::tls::{Ca, ClientTls, Roots, TlsError};
use posthouse_testkit::name_server::NameServer;
use rustix::process::Signal;

#[test]
fn a_letter_that_is_accepted_reaches_the_inbox_and_is_whole() {
    let site = Site::new(&["mx"], "");
    let server = site.start();
    let text = letter("whole", 200_000);
    let id = Smtp::open(server.address("mx")).unwrap().send("sender@elsewhere.test", "bob@example.test", &text).unwrap();
    let message = site.wait_for("bob", id);
    let stored = String::from_utf8(site.read_all("bob").remove(&message.uid).unwrap()).unwrap();
    assert!(stored.ends_with(&text), "the letter was changed");
    assert!(stored.contains("Return-Path: <sender@elsewhere.test>"), "{}", &stored[..500]);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(site.inbox("bob").len(), 1);
}

#[test]
fn a_stop_ends_connections_that_are_open() {
    let site = Site::new(&["mx", "pop3"], "");
    let server = site.start();
    let mut idle = Smtp::open(server.address("mx")).unwrap();
    assert_eq!(server.stop().code(), Some(0));
    // RFC 5321 §3.8: 421 and the end; or the end alone.
    if let Ok(reply) = idle.reply() {
        assert!(reply[0].starts_with("421"), "{reply:?}");
    }
}

#[test]
fn a_bad_file_is_refused_at_the_start_with_its_line() {
    let site = Site::new(&["mx"], "[intake]\nletter-size-maxx = 3\n");
    let output = posthouse().arg("serve").arg("--config").arg(site.config()).output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{complained}");
    assert!(complained.contains("posthouse.toml:") && complained.contains("letter-size-maxx"), "{complained}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let site = Site::new(&["mx"], "");
    let _first = site.start();
    let output = posthouse().arg("serve").arg("--config").arg(site.config()).output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75), "{complained}");
    assert!(complained.contains("in use by another process"), "{complained}");
}

#[test]
fn a_hang_up_with_a_bad_file_keeps_the_good_one_and_says_so() {
    let site = Site::new(&["mx"], "");
    let server = site.start();
    let good = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), format!("{good}\n[log]\nlevel = \"loud\"\n")).unwrap();
    server.signal(Signal::HUP);
    let said = server.wait_for_log("was not reloaded");
    assert!(said.contains("loud") && said.contains("posthouse.toml"), "{said}");
    let id =
        Smtp::open(server.address("mx")).unwrap().send("a@elsewhere.test", "bob@example.test", &letter("still", 10)).unwrap();
    site.wait_for("bob", id);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_hang_up_takes_new_certificates_limits_and_level_without_a_restart() {
    let site = Site::new(&["mx", "pop3s"], "");
    let ca = Ca::load_or_create(&site.dir.path().join("ca")).unwrap();
    let certify = |name: &str| {
        let (cert, key) = ca.issue(&[name.to_owned()]).unwrap();
        fs::write(site.dir.path().join("server.pem"), cert).unwrap();
        fs::write(site.dir.path().join("server.key"), key).unwrap();
    };
    let tls = "[[tls.certificate]]\ncert = \"server.pem\"\nkey = \"server.key\"\n";
    certify("old.example.test");
    site.configure(&["mx", "pop3s"], tls);
    let server = site.start();
    let client = ClientTls::verified(&Roots::PemFile(ca.certificate_path().to_owned())).unwrap();
    let shown = |name: &str| -> Result<(), TlsError> {
        let handshake = async {
            let stream = Stream::connect(server.address("pop3s"), None).await.unwrap();
            stream.into_tls_client(&client, name).await.map(drop)
        };
        block_on(handshake).unwrap()
    };
    shown("old.example.test").unwrap();
    let limit = |smtp: &mut Smtp| smtp.command("EHLO again").unwrap().into_iter().find(|line| line.contains("SIZE")).unwrap();
    let mut before = Smtp::open(server.address("mx")).unwrap();
    certify("new.example.test");
    site.configure(&["mx", "pop3s"], &format!("{tls}[intake]\nletter-size-max = \"1 MiB\"\n[log]\nlevel = \"debug\"\n[queue]\nsize-max = \"1 GiB\"\nletters-max = 1\n[journal]\nkeep = \"1d\"\n[delivery]\nconcurrency-max = 0\n"));
    server.signal(Signal::HUP);
    // What can only be taken at the start is told, and it alone.
    assert!(server.wait_for_log("takes effect only").contains("section=\"queue.size-max\""));
    assert!(server.wait_for_log("takes effect only").contains("section=\"delivery\""));
    server.wait_for_log("was reloaded");
    shown("new.example.test").unwrap();
    shown("old.example.test").unwrap_err();
    assert!(limit(&mut Smtp::open(server.address("mx")).unwrap()).ends_with("SIZE 1048576"));
    assert!(!limit(&mut before).ends_with("SIZE 1048576"), "a connection that stood was changed");
    // A certificate that cannot be read leaves everything as it is.
    fs::write(site.dir.path().join("server.pem"), "nonsense").unwrap();
    server.signal(Signal::HUP);
    assert!(server.wait_for_log("was not reloaded").contains("server.pem"));
    shown("new.example.test").unwrap();
}

/// The kernel says no, not we: the test runs as root, and the file is there.
#[test]
fn what_the_configuration_did_not_name_at_the_start_is_out_of_reach() {
    let (site, elsewhere) = (Site::new(&["mx"], ""), tempfile::tempdir().unwrap());
    let ca = Ca::load_or_create(&elsewhere.path().join("ca")).unwrap();
    let (cert, key) = ca.issue(&["mail.example.test".to_owned()]).unwrap();
    for (name, text) in [("cert.pem", cert), ("key.pem", key)] {
        fs::write(elsewhere.path().join(name), &text).unwrap();
        fs::write(site.dir.path().join(name), &text).unwrap();
    }
    let tls = |folder: &str| format!("[[tls.certificate]]\ncert = \"{folder}cert.pem\"\nkey = \"{folder}key.pem\"\n");
    site.configure(&["mx"], &format!("{}[sandbox]\nlandlock = \"require\"\n", tls("")));
    let server = site.start();
    server.wait_for_log("this process may touch what it needs, and no other files");
    let status = posthouse().args(["status", "--config"]).arg(site.config()).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("sandbox: on"), "{status}");
    let kernel = fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    assert!(kernel.contains("NoNewPrivs:\t1"), "{kernel}");
    // A link that leads out of where it may read.
    fs::remove_file(site.dir.path().join("cert.pem")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("cert.pem"), site.dir.path().join("cert.pem")).unwrap();
    server.signal(Signal::HUP);
    let said = server.wait_for_log("was not reloaded");
    assert!(said.contains("the sandbox does not let this process read"), "{said}");
    // A path that is elsewhere to begin with.
    site.configure(&["mx"], &tls(&format!("{}/", elsewhere.path().display())));
    server.signal(Signal::HUP);
    let said = server.wait_for_log("was not reloaded");
    assert!(said.contains("the sandbox does not let this process read") && said.contains("start it again"), "{said}");
    let id = Smtp::open(server.address("mx")).unwrap().send("a@elsewhere.test", "bob@example.test", &letter("on", 10)).unwrap();
    site.wait_for("bob", id);
    assert_eq!(server.stop().code(), Some(0));
    // Started with it, it reads it.
    assert_eq!(site.start().stop().code(), Some(0));
}

#[test]
fn a_sandbox_that_is_switched_off_is_told_of() {
    let site = Site::new(&["mx"], "[sandbox]\nlandlock = \"off\"\n");
    let server = site.start();
    server.wait_for_log("this process may touch every file that its user may");
    let status = posthouse().args(["status", "--config"]).arg(site.config()).output().unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().contains("sandbox: none: the configuration says so"));
}

#[test]
fn a_server_that_runs_out_of_descriptors_serves_again_when_there_are_some() {
    let site = Site::new(&["mx"], "[intake]\nconnections-per-address-max = 1000\n");
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "ulimit -n 120; exec \"$0\" serve --config \"$1\"", env!("CARGO_BIN_EXE_posthouse")]).arg(site.config());
    let server = Running::of(&mut command, &site.config());
    let address = server.address("mx");
    let crowd: Vec<_> = (0..200).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    server.wait_for_log("cannot accept connections for now");
    drop(crowd);
    let id = Smtp::open(address).unwrap().send("a@elsewhere.test", "bob@example.test", &letter("after", 10)).unwrap();
    site.wait_for("bob", id);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_second_signal_does_not_wait_for_the_deadline() {
    let site = Site::new(&["mx"], "");
    let text = fs::read_to_string(site.config()).unwrap().replace("stop-deadline = \"5s\"", "stop-deadline = \"1h\"");
    fs::write(site.config(), text).unwrap();
    let server = site.start();
    // A letter that never ends keeps the connection, and with it the server, busy.
    let mut endless = Smtp::open(server.address("mx")).unwrap();
    for line in ["MAIL FROM:<a@elsewhere.test>", "RCPT TO:<bob@example.test>", "DATA"] {
        assert!(endless.command(line).unwrap()[0].starts_with(['2', '3']));
    }
    server.signal(Signal::TERM);
    server.wait_for_log("stopping");
    assert_eq!(server.stop().code(), Some(75));
}

#[test]
fn the_status_names_lists_that_are_dead_and_counts_who_was_told_to_come_again() {
    let names = NameServer::start("2.0.0.127.good.test A 127.0.0.2");
    let more = "[intake.lists]\nexempt = []\n[[intake.lists.list]]\nzone = \"dead.test\"\n[[intake.lists.list]]\nzone = \"good.test\"\n\
                [intake.greylist]\npolicy = \"all\"\n";
    let site = Site::new(&["mx"], more);
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), text.replace("127.0.0.1:1\"", &format!("{}\"", names.address()))).unwrap();
    let server = site.start();
    let status = || {
        let output = posthouse().args(["status", "--config"]).arg(site.config()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!status().contains("list "), "nobody has come yet, and nothing was tested");
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    assert!(smtp.command("MAIL FROM:<a@elsewhere.test>").unwrap()[0].starts_with("250"));
    assert!(smtp.command("RCPT TO:<bob@example.test>").unwrap()[0].starts_with("451 4.7.1"));
    let said = status();
    assert!(said.contains("list dead.test: it fails its test and is left out: it does not list 127.0.0.2"), "{said}");
    assert!(!said.contains("good.test"), "{said}");
    assert!(said.contains("greylist: 1 were told to come again, 0 are known"), "{said}");
}
