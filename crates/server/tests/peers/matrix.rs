//! Our client against the servers of others: each door, each login, each extension. What is at the far end is what was sent, and every recipient's result is
//! right.
//!
//! What a server offers is a row of [`offers::ROWS`], compared with what it says, and printed in `docs/design/client.md`.

mod offers;
mod servers;

use crate::posthouse::PASSWORD;
use crate::relay::{assert_kept, with_lf};
use crate::world::in_a_world;
use offers::{Door, Row};
use posthouse_client::mail::{Notify, Ret};
use posthouse_client::{
    CertificateFiles, Connection, LoginMethod, Mailer, MailerBuilder, Message, RecipientResult, Roots, Timeouts, blocking,
};
use posthouse_runtime::block_on;
use posthouse_testkit::letters;
use servers::Peer;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The dialogue of one mailer.
#[derive(Clone, Default)]
struct Dialogue(Arc<Mutex<String>>);

impl Dialogue {
    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// How one of the rows is connected to, by which login.
fn builder(peer: &Peer, row: &Row, method: Option<LoginMethod>, dialogue: &Dialogue) -> MailerBuilder {
    let (scheme, port) = match row.door {
        Door::Plain(port) => ("smtp", port),
        Door::StartTls(port) => ("smtp+starttls", port),
        Door::Tls(port) => ("smtps", port),
        Door::Lmtp(port) => ("lmtp", port),
    };
    let user = peer.user().replace('@', "%40");
    let who = if method.is_some() { format!("{user}@") } else { String::new() };
    let lines = dialogue.clone();
    let second = Duration::from_secs(20);
    let timeouts =
        Timeouts { greeting: second, command: second, data_start: second, data_block: second, data_end: second, connect: second };
    let mut builder = Mailer::builder(&format!("{scheme}://{who}{}:{port}", peer.host))
        .unwrap()
        .timeouts(timeouts)
        .connections(1)
        .helo("client.test")
        .transcript(move |line| *lines.0.lock().unwrap() += &format!("{line}\n"));
    if let Some(ca) = &peer.ca {
        builder = builder.roots(Roots::PemFile(ca.clone()));
    }
    match method {
        None => builder,
        Some(method @ (LoginMethod::OAuthBearer | LoginMethod::XOAuth2)) => {
            let token = peer.token.clone().unwrap();
            builder.login_methods(&[method]).token(move || std::future::ready(Ok(token.clone())))
        }
        Some(LoginMethod::External) => {
            let folder = peer.client_certificate.as_ref().unwrap();
            builder.certificate(CertificateFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") })
        }
        Some(method) => builder.login_methods(&[method]).password(PASSWORD),
    }
}

/// Everything that one server can be asked for.
fn walk(peer: &Peer) {
    let rows: Vec<&Row> = offers::ROWS.iter().filter(|row| row.server == peer.name).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let methods: Vec<Option<LoginMethod>> = match row.logins {
            "" => vec![None],
            logins => logins.split(' ').map(|name| Some(name.parse().unwrap())).collect(),
        };
        for (number, method) in methods.into_iter().enumerate() {
            let at = format!("{} {:?} {method:?}", peer.name, row.door);
            let dialogue = Dialogue::default();
            let mailer = builder(peer, row, method, &dialogue).build().unwrap();
            block_on(async {
                let connection = mailer.open().await.unwrap_or_else(|error| panic!("{at}: {error}\n{}", dialogue.take()));
                assert_offers(&at, row, &connection);
                connection.quit().await;
            })
            .unwrap();
            let mailer = blocking::Mailer::from(mailer);
            let said = dialogue.take();
            assert_eq!(
                method.map_or(0, |method| said.matches(&format!("C: AUTH {method}")).count()),
                usize::from(method.is_some()),
                "{said}"
            );
            // The way of a letter is the same behind every login.
            if number == 0 {
                samples_arrive(&at, peer, row, &mailer, &dialogue);
                results_are_right(&at, peer, row, &mailer, &dialogue);
                letters_follow_each_other(&at, peer, &mailer, &dialogue);
            } else {
                let letter = letters::letter("login", b"Who am I?\r\n");
                send(&at, &mailer, &letter, &[&peer.at("bob")], &dialogue);
                assert_arrived(peer, &[("login", letter)]);
            }
            mailer.close();
        }
        if row.logins.contains("PLAIN") {
            let dialogue = Dialogue::default();
            let wrong = builder(peer, row, Some(LoginMethod::Plain), &dialogue).password("wrong").build().unwrap();
            let error = block_on(wrong.open()).unwrap().err().unwrap().to_string();
            assert!(error.contains("535"), "{}: {error}", peer.name);
        }
    }
}

fn assert_offers(at: &str, row: &Row, connection: &Connection) {
    let found = connection.capabilities();
    let said = [
        ("8BITMIME", found.eight_bit_mime),
        ("SMTPUTF8", found.smtputf8),
        ("CHUNKING", found.chunking),
        ("DSN", found.dsn),
        ("PIPELINING", found.pipelining),
    ];
    let said: Vec<&str> = said.iter().filter(|(_, offered)| *offered).map(|(name, _)| *name).collect();
    assert_eq!(said.join(" "), row.extensions, "{at}");
    let mut logins: Vec<String> = found.auth.iter().map(ToString::to_string).collect();
    let mut expected: Vec<&str> = row.logins.split(' ').filter(|name| !name.is_empty()).collect();
    logins.sort_unstable();
    expected.sort_unstable();
    assert_eq!(logins, expected, "{at}: {}", found.auth_text);
    assert_eq!(connection.tls().is_some(), matches!(row.door, Door::StartTls(_) | Door::Tls(_)), "{at}");
}

/// Sends a letter as it is; the results of its recipients.
fn send(at: &str, mailer: &blocking::Mailer, letter: &[u8], to: &[&str], dialogue: &Dialogue) -> Vec<RecipientResult> {
    let to = to.iter().map(|address| address.parse().unwrap()).collect();
    let mut message = Message::from_eml(letter, letters::SENDER.parse().unwrap(), to).unwrap();
    let envelope = message.envelope_mut();
    (envelope.ret, envelope.envid) = (Some(Ret::Headers), Some("matrix-1".to_owned()));
    envelope.recipients.iter_mut().for_each(|recipient| {
        recipient.notify = Some(Notify { success: false, failure: true, delay: false });
    });
    let sent = mailer.send(&message).unwrap_or_else(|error| panic!("{at}: {error}\n{}", dialogue.take()));
    sent.recipients.into_iter().map(|recipient| recipient.result).collect()
}

fn samples_arrive(at: &str, peer: &Peer, row: &Row, mailer: &blocking::Mailer, dialogue: &Dialogue) {
    let mut sent = Vec::new();
    for sample in letters::samples() {
        let to = if sample.smtputf8 { peer.at("bøb") } else { peer.at("bob") };
        let results = send(at, mailer, &sample.bytes, &[&to], dialogue);
        if sample.smtputf8 && !row.has("SMTPUTF8") {
            assert!(matches!(results[..], [RecipientResult::Unsendable(_)]), "{at}: {results:?}");
            continue;
        }
        assert!(matches!(results[..], [RecipientResult::Accepted(_)]), "{at} {}: {results:?}\n{}", sample.name, dialogue.take());
        sent.push((sample.name, sample.bytes));
    }
    let large = letters::with_attachment("large", 1_000_000);
    assert!(matches!(send(at, mailer, &large, &[&peer.at("bob")], dialogue)[..], [RecipientResult::Accepted(_)]), "{at}");
    sent.push(("large", large));
    let said = dialogue.take();
    // LMTP is spoken on short ways, where DATA is as good.
    let chunks = row.has("CHUNKING") && !matches!(row.door, Door::Lmtp(_));
    assert_eq!((said.contains("C: BDAT "), said.contains("C: DATA")), (chunks, !chunks), "{at}\n{said}");
    for parameter in [" RET=HDRS ENVID=matrix-1", " NOTIFY=FAILURE"] {
        assert_eq!(said.contains(parameter), row.has("DSN"), "{at}\n{said}");
    }
    let (first, rest) = (said.find("C: MAIL").unwrap(), said.find("C: RCPT").unwrap());
    assert_eq!(!said[first..rest].contains("S: "), row.has("PIPELINING"), "{at}\n{said}");
    assert_arrived(peer, &sent);
}

/// Somebody who exists, somebody who does not, somebody who is told to wait, and one more who exists.
fn results_are_right(at: &str, peer: &Peer, row: &Row, mailer: &blocking::Mailer, dialogue: &Dialogue) {
    let letter = letters::letter("results", b"To some of you.\r\n");
    let (bob, nobody, later, carol) = (peer.at("bob"), peer.at("nobody"), peer.at("later"), peer.at("carol"));
    let mut to = vec![bob.as_str(), &nobody, &carol];
    if row.defers {
        to.push(&later);
    }
    let results = send(at, mailer, &letter, &to, dialogue);
    assert!(
        matches!(results[0], RecipientResult::Accepted(_)) && matches!(results[2], RecipientResult::Accepted(_)),
        "{at}: {results:?}"
    );
    assert!(matches!(&results[1], RecipientResult::Refused(reply) if reply.is_permanent()), "{at}: {results:?}");
    if row.defers {
        assert!(matches!(&results[3], RecipientResult::Refused(reply) if !reply.is_permanent()), "{at}: {results:?}");
    }
    let copies = if peer.copy_for_each { 2 } else { 1 };
    assert_arrived(peer, &vec![("results", letter.clone()); copies]);
    // Nobody at all: nothing may be stored.
    let results = send(at, mailer, &letter, &[&nobody], dialogue);
    assert!(matches!(&results[..], [RecipientResult::Refused(reply)] if reply.is_permanent()), "{at}: {results:?}");
}

/// One behind the other, as fast as the server lets them: each arrives once.
fn letters_follow_each_other(at: &str, peer: &Peer, mailer: &blocking::Mailer, dialogue: &Dialogue) {
    let letters: Vec<Vec<u8>> =
        (0..8).map(|number| letters::letter("line", format!("Number {number}.\r\n").as_bytes())).collect();
    let to = vec![peer.at("bob").parse().unwrap()];
    let message = |letter: &Vec<u8>| Message::from_eml(letter, letters::SENDER.parse().unwrap(), to.clone()).unwrap();
    let messages: Vec<Message> = letters.iter().map(message).collect();
    for result in mailer.send_all(&messages).unwrap() {
        assert!(result.as_ref().is_ok_and(|report| report.is_complete()), "{at}: {result:?}\n{}", dialogue.take());
    }
    assert_arrived(peer, &letters.into_iter().map(|letter| ("line", letter)).collect::<Vec<_>>());
}

/// Takes as many letters as were sent; each of them is there, with nothing but headers added at its top.
fn assert_arrived(peer: &Peer, sent: &[(&str, Vec<u8>)]) {
    let mut arrived = (peer.take)(sent.len());
    for (name, bytes) in sent {
        let bytes = if arrived.iter().any(|letter| letter.contains(&b'\r')) { bytes.clone() } else { with_lf(bytes) };
        let Some(place) = arrived.iter().position(|letter| letter.ends_with(&bytes)) else {
            let id = format!("<{name}@client.test>");
            let near = arrived.iter().find(|letter| String::from_utf8_lossy(letter).contains(&id)).unwrap_or(&arrived[0]);
            return assert_kept(&format!("{name} at {}", peer.name), &bytes, near);
        };
        assert_kept(name, &bytes, &arrived.swap_remove(place));
    }
}

in_a_world! {
    fn our_client_and_postfix(world) {
        walk(&servers::postfix(world));
    }

    fn our_client_and_exim(world) {
        walk(&servers::exim(world));
    }

    fn our_client_and_opensmtpd(world) {
        walk(&servers::opensmtpd(world));
    }

    fn our_client_and_dovecots_submission(world) {
        let postfix = crate::servers::postfix(world);
        walk(&servers::dovecot_submission(world, postfix));
    }

    fn our_client_and_dovecots_lmtp(world) {
        walk(&servers::dovecot_lmtp(world));
    }

    fn our_client_and_aiosmtpd(world) {
        walk(&servers::aiosmtpd(world));
    }

    fn our_client_and_posthouse(world) {
        walk(&servers::posthouse(world));
    }
}

#[test]
fn our_client_and_haraka() {
    crate::world::run_with_npm(concat!(module_path!(), "::our_client_and_haraka"), |world, npm| {
        walk(&servers::haraka(world, npm))
    });
}
