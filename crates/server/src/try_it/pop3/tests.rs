use std::net::Ipv4Addr;

use posthouse_runtime::net::Listener;
use posthouse_runtime::tls::{Ca, Roots, ServerTls};
use posthouse_runtime::{block_on, join};

use super::*;

/// A server that says `said` line by line as it is spoken to, and the client's whole visit.
fn visit(said: &[&str]) -> Result<Vec<u8>, Pop3Error> {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::load_or_create(dir.path()).unwrap();
    let server = ServerTls::from_ca(&ca, &["localhost".to_owned()]).unwrap();
    let client = ClientTls::verified(&Roots::PemFile(ca.certificate_path().to_owned())).unwrap();
    block_on(async {
        let listener = Listener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
        let serve = async {
            let mut stream = listener.accept().await.unwrap().into_tls_server(&server).await.unwrap();
            let mut heard = BytesMut::new();
            for (place, reply) in said.iter().enumerate() {
                stream.write_all(reply.as_bytes()).await.unwrap();
                let is_last = place + 1 == said.len();
                if !is_last && stream.read(&mut heard).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            stream.close().await;
        };
        let read = async {
            let mut session = Pop3::open(listener.local_addr(), &client, "localhost", "bob", "secret").await?;
            let letter = session.retrieve(1).await?;
            session.quit().await?;
            Ok(letter)
        };
        join!(serve, read).1
    })
    .unwrap()
}

#[test]
fn dots_that_were_doubled_are_single_again_and_a_lone_dot_ends_the_letter() {
    let letter =
        visit(&["+OK hello\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\nSubject: x\r\n\r\n..\r\n...a\r\nb.\r\n.\r\n", "+OK\r\n"]).unwrap();
    assert_eq!(letter, b"Subject: x\r\n\r\n.\r\n..a\r\nb.\r\n");
}

#[test]
fn a_refusal_names_the_command_and_not_the_password() {
    let error = visit(&["+OK\r\n", "+OK\r\n", "-ERR [AUTH] no\x1b[2J\r\n"]).unwrap_err();
    assert_eq!(error.to_string(), "the server refused PASS: [AUTH] no\\u{1b}[2J");
}

#[test]
fn a_letter_that_is_cut_off_is_not_taken_for_a_whole_one() {
    let error = visit(&["+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\nSubject: x\r\n\r\nhalf"]).unwrap_err();
    assert!(matches!(error, Pop3Error::Protocol(_) | Pop3Error::Io(_)), "{error}");
}

#[test]
fn another_protocol_is_told_apart() {
    let error = visit(&["220 mail ESMTP\r\n"]).unwrap_err();
    assert_eq!(error.to_string(), "the server does not speak POP3: 220 mail ESMTP");
}
