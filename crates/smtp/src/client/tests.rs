//! Dialogues as text: `C:` what must be sent, `S:` what the server says. Each runs twice, the server's octets whole and one by one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use posthouse_mail::{BodyKind, Envelope, Recipient, ReversePath, Status, UnixMillis};
use posthouse_sasl::{ChannelBinding, ClientError};

use super::*;

mod all_or_none;
mod chunks;
mod ends;
mod hostile;
mod letters;
mod login;
mod pipeline;
mod wishes;

/// What a dialogue is run with.
struct Play {
    protocol: Protocol,
    start_tls: StartTls,
    credentials: Option<Credentials>,
    secured: Option<Secured>,
    unprotected: bool,
    letters: Vec<(Envelope, Vec<&'static [u8]>)>,
    /// Whether letters are begun as soon as the session takes them.
    eager: bool,
    chunks: Chunks,
    all_or_none: bool,
}

/// How it ended.
#[derive(Debug, PartialEq)]
struct End {
    results: Vec<Vec<RecipientResult>>,
    closed: Option<SessionError>,
}

const TLS: Secured = Secured { binding: ChannelBinding::None, verified: true };
/// 2026-11-24 03:12:03 UTC.
const TIME: UnixMillis = UnixMillis(1_795_489_923_000);
const BODY: &[u8] = b"Subject: x\r\n\r\nhello\r\n";
const ESMTP: &str =
    "S: 220 mx.example\nC: EHLO me.example\nS: 250-mx.example\nS: 250-SIZE 1000\nS: 250-8BITMIME\nS: 250 PIPELINING\n";

fn envelope(recipients: &[&str]) -> Envelope {
    let recipients = recipients.iter().map(|r| Recipient::from(r.parse::<posthouse_mail::Address>().unwrap())).collect();
    Envelope::new("a@x.example".parse::<ReversePath>().unwrap(), recipients)
}

fn play() -> Play {
    Play {
        protocol: Protocol::Smtp,
        start_tls: StartTls::Never,
        credentials: None,
        secured: None,
        unprotected: false,
        letters: Vec::new(),
        eager: false,
        chunks: Chunks::Work,
        all_or_none: false,
    }
}

/// Any moment will do, as long as it is one.
#[allow(clippy::disallowed_methods, reason = "a pure crate has no runtime to ask, and these tests never wait")]
fn clock() -> Instant {
    Instant::now()
}

impl Play {
    fn letter(mut self, envelope: Envelope, chunks: &[&'static [u8]]) -> Self {
        self.letters.push((envelope, chunks.to_vec()));
        self
    }

    fn session(&self) -> ClientSession {
        let settings = Settings {
            protocol: self.protocol,
            helo: "me.example".parse().unwrap(),
            start_tls: self.start_tls,
            credentials: self.credentials.clone(),
            danger_credentials_unprotected: self.unprotected,
            chunks: self.chunks,
            all_or_none: self.all_or_none,
            nonce: "rOprNGfwEbeRWgbNEkqO".parse().unwrap(),
            timeouts: Timeouts::default(),
            transcript: true,
        };
        ClientSession::start(settings, self.secured, clock())
    }

    /// Runs the dialogue both ways and gives its end, which must be the same.
    #[track_caller]
    fn run(&self, script: &str) -> End {
        let whole = self.run_in_pieces(script, usize::MAX);
        assert_eq!(self.run_in_pieces(script, 1), whole, "octet by octet it ends in another way");
        whole
    }

    #[track_caller]
    fn run_in_pieces(&self, script: &str, piece: usize) -> End {
        let now = clock();
        let mut session = self.session();
        let mut turns = turns(script).into_iter();
        let mut letters = self.letters.iter();
        let (mut chunks, mut sent, mut heard): (std::vec::IntoIter<&[u8]>, _, _) =
            (Vec::new().into_iter(), Vec::new(), Vec::new().into_iter());
        let mut end = End { results: Vec::new(), closed: None };
        let mut begin = |session: &mut ClientSession, chunks: &mut std::vec::IntoIter<&'static [u8]>| match letters.next() {
            Some((envelope, body)) => {
                let size = body.iter().map(|chunk| chunk.len() as u64).sum();
                *chunks = body.clone().into_iter();
                session.letter(now, TIME, envelope, size);
                true
            }
            None => false,
        };
        for _ in 0..100_000 {
            if self.eager && session.takes_letter() && begin(&mut session, &mut chunks) {
                continue;
            }
            match session.poll(now) {
                Output::Send(bytes) => sent.extend_from_slice(&bytes),
                Output::StartTls => session.tls_started(now, self.secured.unwrap_or(TLS)),
                Output::Ready => {
                    if !begin(&mut session, &mut chunks) {
                        session.quit(now);
                    }
                }
                Output::Body => match chunks.next() {
                    Some(chunk) => session.body(now, Bytes::from_static(chunk)),
                    None => session.body_end(now),
                },
                Output::Done(results) => end.results.push(results),
                Output::Wait(_) => {
                    let rest: Vec<u8> = heard.by_ref().take(piece).collect();
                    if !rest.is_empty() {
                        session.receive(now, &rest);
                    } else if let Some((expected, reply)) = turns.next() {
                        assert_eq!(String::from_utf8_lossy(&sent), expected);
                        sent.clear();
                        heard = reply.into_bytes().into_iter();
                    } else {
                        assert!(sent.is_empty() || sent == b"QUIT\r\n", "unexpected: {}", String::from_utf8_lossy(&sent));
                        session.closed();
                    }
                }
                Output::Closed(why) => {
                    end.closed = why;
                    return end;
                }
            }
        }
        panic!("the dialogue does not end");
    }
}

/// The script as pairs: what the client must have sent, and then what the server says.
fn turns(script: &str) -> Vec<(String, String)> {
    let mut turns = vec![(String::new(), String::new())];
    for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (who, text) = line.split_at(2);
        let text = format!("{}\r\n", text.strip_prefix(' ').unwrap_or(text));
        let last = turns.last_mut().unwrap();
        match who {
            "C:" if last.1.is_empty() => last.0.push_str(&text),
            "C:" => turns.push((text, String::new())),
            "S:" => last.1.push_str(&text),
            _ => panic!("{line}"),
        }
    }
    turns
}

fn codes(results: &[RecipientResult]) -> Vec<String> {
    let code = |result: &RecipientResult| match result {
        RecipientResult::Accepted(reply) => format!("accepted {}", reply.code()),
        RecipientResult::Refused(reply) => format!("refused {}", reply.code()),
        RecipientResult::Unsendable(reply) => format!("unsendable {}", reply.status().unwrap()),
        RecipientResult::Unknown(_) => "unknown".to_owned(),
        RecipientResult::NotTried(_) => "not tried".to_owned(),
    };
    results.iter().map(code).collect()
}
