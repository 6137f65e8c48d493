//! The session without IO: dialogues, each with its octets together, one by one, and cut at every place.

use std::time::{Duration, Instant};

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_mailbox::{Message, Uid};
use posthouse_runtime::clock;
use posthouse_sasl::{ChannelBinding, ScramKeys, TokenFault, TokenRefusal, prepare_password};

use super::*;

mod dialogs;
mod limits;
mod logins;

const EXPORTER: ChannelBinding = ChannelBinding::Exporter([7; 32]);

/// What a directory and a mailbox would answer: `alice@a.test` with the password `secret`.
struct World {
    letters: Vec<Vec<u8>>,
    in_use: bool,
    failing: bool,
    /// The message that is being sent, and how much of it is out.
    sending: Option<(usize, usize)>,
    chunk: usize,
    log: Vec<String>,
}

impl World {
    fn new(letters: &[&[u8]]) -> Self {
        let letters = letters.iter().map(|letter| letter.to_vec()).collect();
        Self { letters, in_use: false, failing: false, sending: None, chunk: 5, log: Vec::new() }
    }

    fn messages(&self) -> Vec<Message> {
        (1..)
            .zip(&self.letters)
            .map(|(number, letter)| Message {
                uid: Uid(number * 10),
                uidvalidity: 77,
                size: letter.len() as u64,
                at: UnixMillis(0),
                seen: false,
                letter: LetterId::from_bytes([0; 16]),
            })
            .collect()
    }

    /// Polls until the session waits, wants TLS, or ends; says what it sent, and whether it ended.
    fn drive(&mut self, session: &mut Session, now: Instant) -> (Vec<u8>, bool) {
        let mut sent = Vec::new();
        loop {
            match session.poll(now) {
                Output::Send(octets) => {
                    assert!(!octets.is_empty());
                    sent.extend(octets);
                }
                Output::Ask(question) => self.answer(session, question),
                Output::NeedChunk => self.next_chunk(session),
                Output::StartTls => {
                    self.log.push("tls".to_owned());
                    session.secured(now, EXPORTER.into());
                }
                Output::LoginFailed { login, mechanism } => self.log.push(format!("failed {login} {mechanism}")),
                Output::Fetched(uid) => self.log.push(format!("fetched {uid}")),
                Output::Wait(deadline) => {
                    assert!(deadline > now, "a wait that is over");
                    return (sent, false);
                }
                Output::Close => return (sent, true),
            }
        }
    }

    fn answer(&mut self, session: &mut Session, question: Question) {
        match question {
            Question::Password { .. } if self.failing => session.password(Verdict::Failed),
            Question::Password { login, password } => {
                let right = login == "alice@a.test" && password.reveal() == "secret";
                session.password(if right { Verdict::Right } else { Verdict::Wrong });
            }
            Question::Keys { .. } if self.failing => session.keys(Err(Verdict::Failed), &[9; 32]),
            Question::Keys { login, hash } => {
                let keys = ScramKeys::derive(hash, &prepare_password("secret").unwrap(), &[1; 16], 4096).unwrap();
                session.keys(Ok((login == "alice@a.test").then_some(keys)), &[9; 32]);
            }
            Question::Certificate { login } => {
                let right = login.is_none_or(|login| login == "alice@a.test");
                session.certificate(Ok(right.then(|| "alice@a.test".to_owned())));
            }
            Question::Token { login, token } => {
                let refusal = TokenRefusal { fault: TokenFault::Invalid, scope: None, configuration: None };
                let right = token.reveal() == "good";
                session.token(Ok(if right { Ok(login.unwrap_or_else(|| "alice@a.test".to_owned())) } else { Err(refusal) }));
            }
            Question::Open { login, mechanism } => {
                self.log.push(format!("open {login} {mechanism}"));
                session.opened(if self.in_use { Err(Closed::InUse) } else { Ok(self.messages()) });
            }
            Question::Message { uid } => {
                self.sending = Some(((uid.0 / 10 - 1) as usize, 0));
                session.message(!self.failing);
            }
            Question::Update { remove, seen } => {
                self.log.push(format!("update {remove:?} {seen:?}"));
                session.updated(if self.failing { Err(Closed::Failed) } else { Ok(()) });
            }
        }
    }

    fn next_chunk(&mut self, session: &mut Session) {
        let (index, sent) = self.sending.unwrap();
        let letter = &self.letters[index];
        let end = letter.len().min(sent + self.chunk);
        self.sending = Some((index, end));
        session.chunk((end > sent).then(|| &letter[sent..end]));
    }
}

fn config() -> Config {
    Config {
        hostname: "mail.a.test".to_owned(),
        tls: true,
        idle: Duration::from_secs(600),
        login_time: Duration::from_secs(180),
        wrong_passwords_max: 3,
        tokens: false,
        scram: true,
        scram_sha1: true,
        bad_commands_max: 10,
        nonce: || [3; 18],
    }
}

/// A session under TLS whose greeting has been read.
fn secure(world: &mut World, now: Instant) -> Session {
    let mut session = Session::new(config(), now, Some(EXPORTER.into()));
    assert_eq!(world.drive(&mut session, now), (b"+OK mail.a.test POP3 ready\r\n".to_vec(), false));
    session
}

fn logged_in(world: &mut World, now: Instant) -> Session {
    let mut session = secure(world, now);
    let (sent, _) = say(world, &mut session, now, "USER alice@a.test\r\nPASS secret\r\n");
    assert!(sent.contains("octets\r\n"), "{sent}");
    world.log.clear();
    session
}

fn say(world: &mut World, session: &mut Session, now: Instant, octets: &str) -> (String, bool) {
    session.receive(now, octets.as_bytes());
    let (sent, ended) = world.drive(session, now);
    (String::from_utf8(sent).unwrap(), ended)
}
