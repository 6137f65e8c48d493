//! TLS and what hangs on it, with a certificate authority of the test's own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::path::Path;
use std::thread::JoinHandle;

use bytes::BytesMut;
use posthouse_client::{Catcher, ClientError, Fault, Mailer, MailerError, Message, Roots, SessionError, blocking};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::tls::{Ca, ServerTls};
use posthouse_runtime::{block_on, task};

/// A server that says its lines, one for each line it hears; `STARTTLS` and the beginning with TLS are done where the script says so.
struct SecurePeer {
    port: u16,
    thread: JoinHandle<()>,
    told: std::sync::mpsc::Receiver<String>,
}

fn listen(folder: &Path, names: &[&str], implicit: bool, script: &'static [&'static str]) -> SecurePeer {
    let ca = Ca::load_or_create(folder).unwrap();
    let (cert, key) = ca.issue(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let tls = ServerTls::from_pem(&cert, &key).unwrap();
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().port();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = task::thread("secure peer", move || {
        block_on(async {
            let mut stream = listener.accept().await.unwrap();
            if implicit {
                match stream.into_tls_server(&tls).await {
                    Ok(secure) => stream = secure,
                    Err(_) => return,
                }
            }
            serve(stream, &tls, script, &tell).await;
        })
        .unwrap();
    })
    .unwrap();
    SecurePeer { port, thread, told }
}

async fn serve(mut stream: Stream, tls: &ServerTls, script: &[&str], tell: &std::sync::mpsc::Sender<String>) {
    let mut heard = BytesMut::new();
    for line in script {
        stream.write_all(format!("{}\r\n", line.replace('|', "\r\n")).as_bytes()).await.unwrap();
        if line.starts_with("220 go") {
            match stream.into_tls_server(tls).await {
                Ok(secure) => stream = secure,
                Err(_) => return,
            }
        }
        while !heard.ends_with(b"\r\n") {
            if !matches!(stream.read(&mut heard).await, Ok(1..)) {
                return;
            }
        }
        tell.send(String::from_utf8_lossy(&heard).into_owned()).unwrap();
        heard.clear();
    }
    stream.close().await;
}

fn message() -> Message {
    Message::builder().from("a@x.example").to("b@y.example").subject("s").text("hello\n").build().unwrap()
}

fn mailer(url: &str, folder: &Path) -> Mailer {
    let ca = Ca::load_or_create(folder).unwrap();
    let builder = Mailer::builder(url).unwrap().password("pencil").helo("me.example").idle(std::time::Duration::ZERO);
    builder.roots(Roots::PemFile(ca.certificate_path().to_owned())).build().unwrap()
}

const SUBMISSION: &[&str] = &[
    "220 x",
    "250-x|250 STARTTLS",
    "220 go",
    "250-x|250-AUTH PLAIN|250-CHUNKING|250 PIPELINING",
    "235 in",
    "250 ok|250 ok|250 2.0.0 stored",
    "221 bye",
];

#[test]
fn a_letter_goes_through_starttls_and_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let peer = listen(folder.path(), &["localhost"], false, SUBMISSION);
    let mailer = mailer(&format!("smtp+starttls://user@localhost:{}", peer.port), folder.path());
    let report = blocking::Mailer::from(mailer).send(&message()).unwrap();
    assert!(report.is_complete() && report.tls.as_deref().is_some_and(|tls| tls.starts_with("TLSv1.3")));
    assert_eq!(report.recipients[0].to_string(), "b@y.example: accepted: 250 2.0.0 stored");
    let heard: Vec<String> = peer.told.try_iter().collect();
    assert_eq!(heard[..2], ["EHLO me.example\r\n", "STARTTLS\r\n"]);
    assert_eq!(heard[3], "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n");
    assert!(heard[4].starts_with("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nBDAT "), "{}", heard[4]);
    peer.thread.join().unwrap();
}

#[test]
fn a_certificate_for_another_name_ends_it_before_anything_is_said() {
    for (implicit, scheme, script) in [(true, "smtps", &["220 x"][..]), (false, "smtp+starttls", SUBMISSION)] {
        let folder = tempfile::tempdir().unwrap();
        let peer = listen(folder.path(), &["other.example"], implicit, script);
        let mailer = mailer(&format!("{scheme}://user@localhost:{}", peer.port), folder.path());
        let error = block_on(mailer.send(&message())).unwrap().unwrap_err();
        assert!(matches!(&error, ClientError::Tls { .. }) && error.fault() == Fault::Server, "{error}");
        assert!(error.to_string().contains("localhost"), "{error}");
        peer.thread.join().unwrap();
        assert!(peer.told.try_iter().all(|line| !line.contains("AUTH")), "the password must not leave");
    }
}

#[test]
fn settings_that_cannot_work_are_told_before_anything_is_connected() {
    let builder = Mailer::builder("smtps://user@mx.example").unwrap();
    assert!(matches!(builder.build(), Err(MailerError::NoPassword(user)) if user == "user"));
    assert!(matches!(Mailer::builder("smtps://mx.example").unwrap().password("x").build(), Err(MailerError::NoUser)));
    let unknown = Mailer::builder("smtps://mx.example").unwrap().roots(Roots::PemFile("/nowhere.pem".into())).build();
    assert!(matches!(unknown, Err(MailerError::Tls(_))));
    for wrong in ["a b", "a\r\nMAIL FROM:<>"] {
        assert!(
            matches!(Mailer::builder("smtps://x").unwrap().helo(wrong).build(), Err(MailerError::Helo(name)) if name == wrong)
        );
    }
}

#[test]
fn plaintext_injected_before_the_handshake_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = &["220 x", "250-x|250 STARTTLS", "220 go|250 injected"];
    let peer = listen(folder.path(), &["localhost"], false, script);
    let mailer = mailer(&format!("smtp+starttls://user@localhost:{}", peer.port), folder.path());
    let error = block_on(mailer.send(&message())).unwrap().unwrap_err();
    assert!(matches!(&error, ClientError::Session { source: SessionError::Injected, .. }), "{error}");
    peer.thread.join().unwrap();
}

#[test]
fn a_letter_goes_over_implicit_tls_to_an_address_too() {
    let folder = tempfile::tempdir().unwrap();
    let script = &["220 x", "250-x|250-AUTH PLAIN|250-CHUNKING|250 PIPELINING", "235 in", "250 ok|250 ok|250 stored", "221 bye"];
    let peer = listen(folder.path(), &["127.0.0.1"], true, script);
    let mailer = mailer(&format!("smtps://user@127.0.0.1:{}", peer.port), folder.path());
    let report = block_on(mailer.send(&message())).unwrap().unwrap();
    assert!(report.is_complete());
    peer.thread.join().unwrap();
}

#[test]
fn a_catcher_with_tls_offers_its_login_inside_and_is_bound_to_it() {
    for builder in [Catcher::builder().starttls(), Catcher::builder().implicit_tls()] {
        let catcher = builder.login("user", "pencil").start().unwrap();
        let said = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let lines = std::sync::Arc::clone(&said);
        let mailer = catcher.mailer().unwrap().credentials("user", "pencil");
        let mailer = mailer.transcript(move |line| *lines.lock().unwrap() += &format!("{line}\n")).build().unwrap();
        let report = blocking::Mailer::from(mailer).send(&message()).unwrap();
        assert!(report.is_complete());
        let letter = catcher.wait_for_now("b@y.example").unwrap();
        assert!(letter.tls().is_some_and(|tls| tls.starts_with("TLSv1.3")) && letter.login() == Some("user"));
        let said = said.lock().unwrap().clone();
        assert!(said.contains("AUTH SCRAM-SHA-256-PLUS"), "{said}");
        let (clear, _) = said.split_once("STARTTLS").unwrap_or_default();
        assert!(!clear.contains("AUTH"), "{said}");
    }
}

#[test]
fn a_catcher_with_tls_is_a_stranger_to_those_who_were_not_told() {
    let catcher = Catcher::builder().implicit_tls().start().unwrap();
    let other = Catcher::builder().implicit_tls().start().unwrap();
    let builder = Mailer::builder(&catcher.url()).unwrap().roots(Roots::Pem(other.authority().unwrap().to_owned()));
    let error = blocking::Mailer::from(builder.build().unwrap()).send(&message()).unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    assert!(catcher.letters().is_empty());
    assert!(Catcher::builder().starttls().lmtp().start().is_err());
}
