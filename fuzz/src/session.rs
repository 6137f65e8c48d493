//! Whole sessions of the server half.

use std::sync::LazyLock;
use std::time::Instant;

use bytes::BytesMut;
use posthouse_mail::{Priority, Status, UnixMillis};
use posthouse_sasl::{ChannelBinding, Mechanism, Nonce, TokenFault, TokenRefusal};
use posthouse_smtp::server::{
    Answer, AuthAnswer, AuthQuestion, CloseReason, Note, Output, Profile, Protocol, Question, Reason, Session, Tls, Verdict,
};
use posthouse_smtp::syntax::{FutureRelease, ReplyParser};

use crate::pieces;

/// One instant for all: time is not what is looked for here.
#[allow(clippy::disallowed_methods, reason = "an instant can be had from the clock alone")]
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What can be seen of a session.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    said: Vec<u8>,
    letters: Vec<Vec<u8>>,
    notes: Vec<Note>,
    closed: Option<CloseReason>,
    tls: bool,
}

/// A client. The first octet cuts the rest into pieces, the second chooses the listener.
pub fn server_session(data: &[u8]) {
    let [seed, listener, wire @ ..] = data else { return };
    let whole = play(*listener, &[wire]);
    let cut = play(*listener, &pieces(wire, *seed));
    assert_eq!(whole, cut, "cut by {seed}");
    replies_are_replies(&whole.said);
    let negative = whole.notes.iter().filter(|note| matches!(note, Note::Refused(_))).count();
    assert!(negative <= 1 + whole.said.split(|&b| b == b'\n').count());
}

fn replies_are_replies(said: &[u8]) {
    let mut parser = ReplyParser::new();
    parser.push(said);
    loop {
        match parser.next_reply() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            // A challenge is a 334 of its own kind.
            Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(said)),
        }
    }
    assert!(parser.is_empty(), "half a reply");
}

fn play(listener: u8, pieces: &[&[u8]]) -> Seen {
    let profile = Profile {
        protocol: if listener & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
        starttls: listener & 2 == 0,
        mechanisms: if listener & 4 == 0 { Mechanism::ALL.to_vec() } else { Vec::new() },
        auth_without_tls: listener & 8 == 0,
        xclient: listener & 128 != 0,
        future_release: (listener & 32 == 0).then(|| FutureRelease::from_now(UnixMillis(1_795_489_923_000), 3600)),
        deliver_by_seconds_min: (listener & 64 == 0).then_some(60),
        letter_bytes_max: 500,
        drain_bytes_max: 500,
        recipients_max: 3,
        letters_max: 3,
        ..Profile::default()
    };
    let tls = (listener & 16 != 0).then_some(Tls { bindings: ChannelBinding::Exporter([1; 32]).into(), certified: true });
    let mut driver = Driver { session: Session::new(profile, tls, *NOW), seen: Seen::default(), body: Vec::new() };
    driver.run();
    for piece in pieces {
        if driver.seen.tls || driver.seen.closed.is_some() {
            break;
        }
        driver.session.receive(*NOW, BytesMut::from(*piece));
        driver.run();
    }
    driver.session.receive_eof(*NOW);
    driver.run();
    driver.seen
}

struct Driver {
    session: Session,
    seen: Seen,
    body: Vec<u8>,
}

impl Driver {
    fn run(&mut self) {
        loop {
            match self.session.poll(*NOW) {
                Output::Send(bytes) => self.seen.said.extend_from_slice(&bytes),
                Output::Ask(question) => {
                    assert!(!self.session.wants_read());
                    let answer = self.answer(question);
                    self.session.answer(*NOW, answer);
                }
                Output::Body(piece) => {
                    self.body.extend_from_slice(&piece);
                    assert!(self.body.len() <= 500, "a letter beyond the limit");
                }
                Output::Note(note) => self.seen.notes.push(note),
                Output::StartTls => {
                    self.seen.tls = true;
                    return;
                }
                Output::Wait(until) => {
                    assert!(until > *NOW);
                    return;
                }
                Output::Close(why) => {
                    self.seen.closed = Some(why);
                    assert!(matches!(self.session.poll(*NOW), Output::Close(again) if again == why));
                    return;
                }
            }
        }
    }

    /// Every kind of answer, by what is asked about.
    fn answer(&mut self, question: Question) -> Answer {
        Answer::Verdict(match question {
            Question::Connect => Verdict::Accept,
            Question::Hello { name, .. } => by_text(&name),
            Question::Xclient(client) => by_text(client.helo.as_deref().unwrap_or_default()),
            Question::Auth(AuthQuestion::Begin(_)) => return Answer::Auth(AuthAnswer::Begin(Nonce::from_random([2; 18]))),
            Question::Auth(AuthQuestion::Password { login, .. }) => {
                return Answer::Auth(AuthAnswer::Password(login.len() % 2 == 0));
            }
            Question::Auth(AuthQuestion::Keys { .. }) => return Answer::Auth(AuthAnswer::Keys { keys: None, seed: [3; 32] }),
            Question::Auth(AuthQuestion::Token { login, token }) => {
                let refusal = TokenRefusal { fault: TokenFault::Invalid, scope: Some("mail".to_owned()), configuration: None };
                let right = token.reveal().len() % 2 == 0;
                return Answer::Auth(AuthAnswer::Token(if right { Ok(login.unwrap_or_default()) } else { Err(refusal) }));
            }
            Question::Auth(AuthQuestion::Certificate { login }) => {
                return Answer::Auth(AuthAnswer::Certificate(login.filter(|login| login.len() % 2 == 0)));
            }
            Question::Sender(sender) => match sender.priority {
                Some(_) => return Answer::Priority(Priority::default()),
                None => by_text(&sender.path.to_string()),
            },
            Question::Recipient(recipient) => by_text(&recipient.path.to_string()),
            Question::Letter => {
                self.body.clear();
                Verdict::Accept
            }
            Question::Message { size } => {
                assert_eq!(u64::try_from(self.body.len()).ok(), Some(size));
                let letter = std::mem::take(&mut self.body);
                let verdict = by_text(&String::from_utf8_lossy(&letter));
                self.seen.letters.push(letter);
                return Answer::Message { id: "ID".to_owned(), verdicts: vec![verdict] };
            }
        })
    }
}

fn by_text(text: &str) -> Verdict {
    let reason = Reason::new(450, Status::temporary(1, 1), "so it is\r\nand no other way");
    match text {
        text if text.contains("later") => Verdict::Defer(reason),
        text if text.contains("never") => Verdict::Reject(reason),
        text if text.contains("away") => Verdict::Drop(reason),
        _ => Verdict::Accept,
    }
}
