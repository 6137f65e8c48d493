//! The world of the tests: a driver without IO, and the few people the dialogs speak of.
#![allow(dead_code, reason = "each test uses its part")]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use posthouse_mail::{Priority, Status, UnixMillis};
use posthouse_sasl::{ChannelBinding, Mechanism, Nonce, ScramKeys, TokenFault, TokenRefusal, prepare_password};
use posthouse_smtp::server::{
    Answer, AuthAnswer, AuthQuestion, CloseReason, Note, Output, Profile, Protocol, Question, Reason, Refusal, Session, Tls,
    Verdict, XclientQuestion,
};
use posthouse_smtp::syntax::{ForwardPath, FutureRelease};

/// A session, what it said, and what it was given.
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    pub(crate) heard: Vec<u8>,
    /// How many writes that took.
    pub(crate) writes: usize,
    /// The letters that were accepted.
    pub(crate) letters: Vec<Vec<u8>>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) wants_tls: bool,
    pub(crate) until: Option<Instant>,
    /// What [`Question::Letter`] and [`Question::Message`] get.
    pub(crate) room: Verdict,
    pub(crate) verdict: Verdict,
    /// The largest piece and the most that the session held back at once, as far as a driver sees them.
    pub(crate) largest_piece: usize,
    pub(crate) body_octets: u64,
    pub(crate) keep_body: bool,
    /// Whether the peer may ask for a priority without a login.
    trusted: bool,
    submission: bool,
    lmtp: bool,
    login: Option<String>,
    pub(crate) client: Option<XclientQuestion>,
    body: Vec<u8>,
}

/// 2026-11-24 03:12:03 UTC.
pub(crate) const TIME: UnixMillis = UnixMillis(1_795_489_923_000);

pub(crate) fn tls() -> Tls {
    Tls { bindings: ChannelBinding::Exporter([7; 32]).into(), certified: false }
}

pub(crate) fn profile() -> Profile {
    Profile {
        hostname: "mx.example.org".to_owned(),
        starttls: true,
        letter_bytes_max: 100_000,
        drain_bytes_max: 100_000,
        recipients_max: 5,
        letters_max: 20,
        bad_commands_max: 20,
        deliver_by_seconds_min: Some(0),
        ..Profile::default()
    }
}

pub(crate) fn reject(code: u16, subject: u16, detail: u16) -> Verdict {
    Verdict::Reject(Reason::new(code, Status::permanent(subject, detail), "no"))
}

impl World {
    pub(crate) fn new(profile: Profile, secure: bool) -> Self {
        let now = Instant::now();
        let (submission, lmtp) = (!profile.mechanisms.is_empty(), profile.protocol == Protocol::Lmtp);
        Self {
            session: Session::new(profile, secure.then(tls), now),
            now,
            heard: Vec::new(),
            writes: 0,
            letters: Vec::new(),
            refusals: Vec::new(),
            closed: None,
            wants_tls: false,
            until: None,
            room: Verdict::Accept,
            verdict: Verdict::Accept,
            largest_piece: 0,
            body_octets: 0,
            keep_body: true,
            trusted: false,
            submission,
            lmtp,
            login: None,
            client: None,
            body: Vec::new(),
        }
    }

    /// As a dialog's settings want it.
    pub(crate) fn of_settings(setting: impl Fn(&str) -> Option<String>) -> Self {
        let mut profile = profile();
        let number = |key: &str| setting(key).map(|value| value.parse::<u32>().unwrap());
        match setting("listener").as_deref() {
            Some("submission") => {
                let tokens = setting("tokens").is_some();
                profile.mechanisms = if tokens { Mechanism::ALL.to_vec() } else { Mechanism::WITH_PASSWORD.to_vec() };
                let seconds = number("hold-max").unwrap_or(2_592_000);
                profile.future_release = (seconds > 0).then(|| FutureRelease::from_now(TIME, seconds.into()));
            }
            Some("lmtp") => profile.protocol = Protocol::Lmtp,
            _ => {}
        }
        if let Some(size) = number("size-max") {
            (profile.letter_bytes_max, profile.drain_bytes_max) = (size.into(), size.into());
        }
        profile.bad_commands_max = number("bad-commands-max").unwrap_or(profile.bad_commands_max);
        profile.deliver_by_seconds_min = number("deliver-by-min").or(profile.deliver_by_seconds_min);
        profile.letters_max = number("letters-max").unwrap_or(profile.letters_max);
        profile.refused_recipients_max = number("refused-recipients-max").unwrap_or(profile.refused_recipients_max);
        profile.auth_failures_max = number("failed-logins-max").unwrap_or(profile.auth_failures_max);
        Self { trusted: setting("trusted").is_some(), ..Self::new(profile, setting("secure").is_some()) }
    }

    /// Gives the session octets, if it still listens, and lets it do what it can.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.session.receive(self.now, BytesMut::from(bytes));
        self.run();
    }

    /// Sends a line and gives the last line of what came back.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.heard.clear();
        self.send(format!("{line}\r\n").as_bytes());
        String::from_utf8_lossy(&self.heard).trim_end().lines().last().unwrap_or_default().to_owned()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.run();
    }

    pub(crate) fn secure(&mut self) {
        assert!(std::mem::take(&mut self.wants_tls), "the session has not asked for TLS");
        self.login = None;
        self.session.tls_established(self.now, tls());
        self.run();
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// The next line of what was said.
    pub(crate) fn line(&mut self) -> Option<String> {
        let end = self.heard.windows(2).position(|pair| pair == b"\r\n")?;
        let line = String::from_utf8(self.heard.drain(..end + 2).take(end).collect()).unwrap();
        assert!(line.is_ascii() && !line.contains(['\r', '\n', '\0']), "{line:?}");
        assert!(line.len() <= 510, "RFC 5321 §4.5.3.1.5: {line}");
        Some(line)
    }

    pub(crate) fn run(&mut self) {
        // Whoever polls for ever has been told the same thing over and over.
        for _ in 0..1_000_000 {
            match self.session.poll(self.now) {
                Output::Send(bytes) => {
                    assert!(!bytes.is_empty());
                    self.writes += 1;
                    self.heard.extend_from_slice(&bytes);
                }
                Output::Ask(question) => {
                    assert!(!self.session.wants_read(), "a session that asks reads on");
                    let answer = self.answer(question);
                    self.session.answer(self.now, answer);
                }
                Output::Body(piece) => {
                    assert!(!piece.is_empty());
                    self.largest_piece = self.largest_piece.max(piece.len());
                    self.body_octets += u64::try_from(piece.len()).unwrap();
                    if self.keep_body {
                        self.body.extend_from_slice(&piece);
                    }
                }
                Output::Note(Note::Refused(refusal)) => self.refusals.push(refusal),
                Output::Note(Note::Login { login, failure: None, .. }) => self.login = login,
                Output::Note(Note::Login { .. }) => {}
                Output::Note(Note::Abandoned) => self.body.clear(),
                Output::StartTls => {
                    self.wants_tls = true;
                    return;
                }
                Output::Wait(until) => {
                    assert!(until > self.now, "a deadline that is over");
                    self.until = Some(until);
                    return;
                }
                Output::Close(why) => {
                    self.closed = Some(why);
                    return;
                }
            }
        }
        panic!("the session never rests");
    }

    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Connect | Question::Hello { .. } => Answer::Verdict(Verdict::Accept),
            Question::Xclient(client) => {
                self.login = None;
                self.client = Some(client);
                Answer::Verdict(Verdict::Accept)
            }
            Question::Auth(question) => Answer::Auth(answer_login(question)),
            Question::Sender(sender) => match (&self.login, sender.path.to_string().as_str()) {
                (None, _) if self.submission => Answer::Verdict(reject(530, 7, 0)),
                (Some(login), path) if !path.is_empty() && path != login => Answer::Verdict(reject(553, 7, 1)),
                _ => self.priority(sender.priority.unwrap_or_default()),
            },
            Question::Recipient(recipient) => Answer::Verdict(self.recipient(&recipient.path)),
            Question::Letter => {
                self.body.clear();
                Answer::Verdict(self.room.clone())
            }
            Question::Message { size } => {
                let body = std::mem::take(&mut self.body);
                if self.keep_body {
                    assert_eq!(size, u64::try_from(body.len()).unwrap());
                }
                if self.verdict == Verdict::Accept {
                    self.letters.push(body);
                }
                Answer::Message { id: "01HZ".to_owned(), verdicts: vec![self.verdict.clone()] }
            }
        }
    }

    fn priority(&self, asked: Priority) -> Answer {
        let max = if self.trusted || self.login.is_some() { asked.min(Priority::new(4).unwrap()) } else { Priority::default() };
        if max == asked { Answer::Verdict(Verdict::Accept) } else { Answer::Priority(max) }
    }

    fn recipient(&self, path: &ForwardPath) -> Verdict {
        let ForwardPath::Mailbox(address) = path else { return Verdict::Accept };
        let local = address.local().as_str().split('+').next().unwrap();
        match address.domain().as_str() {
            "example.org" if ["alice", "bob", "postmaster"].contains(&local) => Verdict::Accept,
            "example.org" => reject(550, 1, 1),
            _ if self.submission => Verdict::Accept,
            _ => reject(550, 7, 1),
        }
    }
}

fn answer_login(question: AuthQuestion) -> AuthAnswer {
    const RIGHT: (&str, &str) = ("alice@example.org", "secret");
    match question {
        AuthQuestion::Begin(_) => AuthAnswer::Begin(Nonce::from_random([3; 18])),
        AuthQuestion::Password { login, password } => AuthAnswer::Password((login.as_str(), password.reveal()) == RIGHT),
        AuthQuestion::Keys { login, hash } => {
            let derive = || ScramKeys::derive(hash, &prepare_password(RIGHT.1).unwrap(), b"salt of alice...", 4096).unwrap();
            AuthAnswer::Keys { keys: (login == RIGHT.0).then(derive), seed: [9; 32] }
        }
        AuthQuestion::Token { login, token } if token.reveal() == "token" => {
            AuthAnswer::Token(Ok(login.unwrap_or_else(|| RIGHT.0.to_owned())))
        }
        AuthQuestion::Certificate { login } => {
            AuthAnswer::Certificate(login.is_none_or(|login| login == RIGHT.0).then(|| RIGHT.0.to_owned()))
        }
        AuthQuestion::Token { .. } => {
            let (scope, configuration) = (Some("mail".to_owned()), Some("https://id.test/config".to_owned()));
            AuthAnswer::Token(Err(TokenRefusal { fault: TokenFault::Invalid, scope, configuration }))
        }
    }
}
