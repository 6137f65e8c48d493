//! A POP3 session without IO: octets and time come in, octets and questions go out.
//!
//! The pump calls [`Session::poll`] until it says [`Output::Wait`], gives what has come to [`Session::receive`], and answers each
//! [`Question`] once. While a question is open no further command is read, so answers come in the order of the commands (RFC 2449 §6.6).
//!
//! Nothing here looks anything up, reads a clock or draws randomness. A client that misbehaves is answered and in the end shut out; the session
//! itself cannot fail.

mod login;
mod transaction;

use std::time::{Duration, Instant};

use posthouse_mailbox::Uid;
use posthouse_sasl::{Bindings, Password, ScramHash, ServerExchange};

use super::command::{Command, parse};
use super::dots::Dots;
use super::lines::{Line, Lines};
use super::maildrop::Maildrop;

pub(crate) use login::Verdict;

/// A command line with its CRLF (RFC 2449 §4).
const COMMAND_BYTES_MAX: usize = 255;
/// A line of an AUTH exchange: the base64 of the longest message that `sasl` takes, with the command before it.
const AUTH_BYTES_MAX: usize = 12 * 1024 + 32;
/// How long one line may take from its first octet to its last.
const LINE_TIME: Duration = Duration::from_secs(60);
/// The shortest idle time a server may have (RFC 1939 §3).
const IDLE_MIN: Duration = Duration::from_secs(600);
/// What is gathered before it is sent on.
const OUT_BYTES: usize = 32 * 1024;

/// What does not change while a session lasts.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) hostname: String,
    /// Whether STLS can be offered.
    pub(crate) tls: bool,
    pub(crate) idle: Duration,
    pub(crate) login_time: Duration,
    pub(crate) wrong_passwords_max: u32,
    pub(crate) bad_commands_max: u32,
    /// Whether there is somebody who knows what a token is worth.
    pub(crate) tokens: bool,
    /// Whether SCRAM is offered.
    pub(crate) scram: bool,
    /// Whether SCRAM-SHA-1 is offered beside SCRAM-SHA-256.
    pub(crate) scram_sha1: bool,
    /// Fresh random octets for a nonce.
    pub(crate) nonce: fn() -> [u8; 18],
}

/// What the pump does next.
#[derive(Debug)]
pub(crate) enum Output {
    Send(Vec<u8>),
    Ask(Question),
    /// The next chunk of the message asked for by [`Question::Message`], to [`Session::chunk`].
    NeedChunk,
    /// The handshake, then [`Session::secured`].
    StartTls,
    /// A login failed.
    LoginFailed {
        login: String,
        mechanism: &'static str,
    },
    /// A whole message was handed out.
    Fetched(Uid),
    /// More octets, until this time at the latest; then [`Session::poll`] again.
    Wait(Instant),
    Close,
}

/// What the session cannot know.
#[derive(Debug)]
pub(crate) enum Question {
    /// To [`Session::password`].
    Password { login: String, password: Password },
    /// To [`Session::keys`].
    Keys { login: String, hash: ScramHash },
    /// To [`Session::certificate`].
    Certificate { login: Option<String> },
    /// To [`Session::token`].
    Token { login: Option<String>, token: Password },
    /// Take the mailbox and list it: to [`Session::opened`].
    Open { login: String, mechanism: &'static str },
    /// Open the message: to [`Session::message`].
    Message { uid: Uid },
    /// Remove and mark, then give the mailbox back: to [`Session::updated`].
    Update { remove: Vec<Uid>, seen: Vec<Uid> },
}

/// Why a mailbox cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    InUse,
    Failed,
}

pub(crate) struct Session {
    config: Config,
    lines: Lines,
    out: Vec<u8>,
    state: State,
    /// A question that waits to be asked.
    question: Option<Question>,
    /// Something to be written down.
    note: Option<Output>,
    /// Under TLS, and what it can be bound to.
    secure: Option<Bindings>,
    /// Whether the client has shown a certificate that is believed.
    certified: bool,
    bad_commands: u32,
    wrong_passwords: u32,
    /// When the session must be logged in.
    login_until: Instant,
    /// When the last command came, or its reply was out.
    active: Instant,
    /// Whether the pump was given something to send since it last polled.
    sent: bool,
    /// When the line under way began.
    line_began: Option<Instant>,
}

/// Between a question and its answer the state is that of the one who asked.
enum State {
    /// RFC 1939 §4.
    Authorization(Authorization),
    /// Between AUTH or PASS and its end.
    Login(Box<Login>),
    /// The reply to STLS is on its way.
    Securing,
    /// RFC 1939 §5.
    Transaction(Maildrop),
    /// A list is going out.
    Listing(Maildrop, Listing),
    /// A message is going out.
    Sending(Maildrop, Sending),
    /// RFC 1939 §6.
    Update,
    Ended,
}

#[derive(Default)]
struct Authorization {
    /// What USER said.
    user: Option<String>,
}

struct Login {
    exchange: ServerExchange,
    mechanism: &'static str,
    /// Who, once the client has said it.
    who: String,
    /// Whether the client's next line belongs to the exchange.
    challenged: bool,
    /// Whether it was written down that it failed.
    failed: bool,
}

struct Listing {
    unique_ids: bool,
    /// The first number that is not out yet.
    next: usize,
}

struct Sending {
    uid: Uid,
    size: u64,
    dots: Dots,
    whole: bool,
    /// Whether the message is open.
    begun: bool,
}

/// What one turn of the session came to.
enum Turn {
    /// Something moved.
    Moved,
    /// This must be done first; what waits to be sent may wait on.
    First(Output),
    /// This must be done, and everything sent before.
    Last(Output),
}

impl Session {
    /// A session that begins at `now`; `secure` when the connection is under TLS from its start. Says the greeting.
    pub(crate) fn new(config: Config, now: Instant, secure: Option<Bindings>) -> Self {
        let mut session = Self {
            lines: Lines::default(),
            out: Vec::new(),
            state: State::Authorization(Authorization::default()),
            question: None,
            note: None,
            secure,
            certified: false,
            bad_commands: 0,
            wrong_passwords: 0,
            login_until: now + config.login_time,
            active: now,
            sent: false,
            line_began: None,
            config,
        };
        // No `<…>` in it: APOP is not offered (RFC 1939 §7), MD5 over a password kept in clear.
        let greeting = format!("{} POP3 ready", session.config.hostname);
        session.ok(&greeting);
        session
    }

    /// The client has shown a certificate in the handshake.
    pub(crate) fn certify(&mut self, certified: bool) {
        self.certified = certified;
    }

    /// Takes what the client sent.
    pub(crate) fn receive(&mut self, now: Instant, octets: &[u8]) {
        self.line_began.get_or_insert(now);
        self.lines.push(octets);
    }

    /// What to do next.
    pub(crate) fn poll(&mut self, now: Instant) -> Output {
        if std::mem::take(&mut self.sent) {
            // Idle time begins when the client has what it asked for: a long letter over a slow line is not idleness.
            self.active = now;
            self.line_began = self.line_began.map(|_| now);
        }
        loop {
            if self.out.len() >= OUT_BYTES {
                return self.flush();
            }
            match self.turn(now) {
                Turn::Moved => {}
                Turn::First(output) => return output,
                Turn::Last(_) if !self.out.is_empty() => return self.flush(),
                Turn::Last(output) => return output,
            }
        }
    }

    fn flush(&mut self) -> Output {
        self.sent = true;
        Output::Send(std::mem::take(&mut self.out))
    }

    /// The handshake of STLS is done. What came before it was not protected and is thrown away (RFC 2595 §4).
    pub(crate) fn secured(&mut self, now: Instant, bindings: Bindings) {
        self.lines.clear();
        self.line_began = None;
        self.secure = Some(bindings);
        self.active = now;
        self.state = State::Authorization(Authorization::default());
    }

    fn turn(&mut self, now: Instant) -> Turn {
        if let Some(note) = self.note.take() {
            return Turn::First(note);
        }
        if let Some(question) = self.question.take() {
            return Turn::First(Output::Ask(question));
        }
        match &mut self.state {
            State::Ended => Turn::Last(Output::Close),
            State::Securing => Turn::Last(Output::StartTls),
            State::Listing(..) => {
                self.list_on();
                Turn::Moved
            }
            State::Sending(_, sending) if sending.begun => Turn::First(Output::NeedChunk),
            State::Login(_) | State::Authorization(_) | State::Transaction(_) => self.read_line(now),
            // A question is open; the pump answers it before it polls.
            State::Sending(..) | State::Update => Turn::Last(Output::Wait(self.deadline())),
        }
    }

    fn read_line(&mut self, now: Instant) -> Turn {
        let bytes_max = match &self.state {
            State::Login(login) if !login.challenged => return Turn::Last(Output::Wait(self.deadline())),
            State::Login(_) => AUTH_BYTES_MAX,
            // An AUTH command may bring its first message with it.
            State::Authorization(_) => AUTH_BYTES_MAX,
            State::Transaction(_) | State::Listing(..) | State::Sending(..) | State::Securing | State::Update | State::Ended => {
                COMMAND_BYTES_MAX
            }
        };
        let Some(line) = self.lines.next(bytes_max) else {
            if now < self.deadline() {
                return Turn::Last(Output::Wait(self.deadline()));
            }
            // RFC 1939 §3: no reply, and nothing is removed.
            self.state = State::Ended;
            self.out.clear();
            return Turn::Moved;
        };
        self.active = now;
        self.line_began = self.lines.is_begun().then_some(now);
        match line {
            Line::Text(text) => self.line(&text),
            Line::TooLong => self.bad("that line is too long"),
            Line::Malformed => self.bad("lines end with CR LF and hold no control characters"),
            Line::Endless => self.give_up("that line does not end"),
        }
        Turn::Moved
    }

    fn line(&mut self, text: &[u8]) {
        if let State::Login(login) = &mut self.state {
            login.challenged = false;
            self.login_line(text);
            return;
        }
        let command = parse(text);
        if text.len() + 2 > COMMAND_BYTES_MAX && !matches!(command, Command::Auth { .. }) {
            return self.bad("that line is too long");
        }
        match command {
            Command::Capa => self.capabilities(),
            Command::Quit => self.quit(),
            Command::Foreign => self.give_up("this is POP3"),
            Command::BadArguments => self.bad("wrong arguments"),
            Command::Unknown => self.bad("unknown command"),
            Command::Stls | Command::Utf8 | Command::User(_) | Command::Pass(_) | Command::Auth { .. } => {
                self.authorize(&command)
            }
            Command::Stat
            | Command::List(_)
            | Command::Uidl(_)
            | Command::Retr(_)
            | Command::Top(..)
            | Command::Dele(_)
            | Command::Noop
            | Command::Rset => self.transact(&command),
        }
    }

    /// RFC 2449 §5. What needs TLS is named only under TLS.
    fn capabilities(&mut self) {
        self.ok("this is what I can");
        let mut lines = vec!["TOP".to_owned(), "UIDL".to_owned(), "RESP-CODES".to_owned(), "AUTH-RESP-CODE".to_owned()];
        lines.extend(["PIPELINING".to_owned(), "EXPIRE NEVER".to_owned(), "UTF8 USER".to_owned()]);
        match &self.secure {
            None if self.config.tls => lines.push("STLS".to_owned()),
            None => {}
            Some(_) => {
                let offered: Vec<_> = self.offered().map(|mechanism| mechanism.name()).collect();
                lines.push("USER".to_owned());
                lines.push(format!("SASL {}", offered.join(" ")));
            }
        }
        lines.push("IMPLEMENTATION Posthouse".to_owned());
        for line in lines {
            self.out.extend_from_slice(line.as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.extend_from_slice(b".\r\n");
    }

    fn quit(&mut self) {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Transaction(maildrop) => {
                let (remove, seen) = maildrop.changes();
                self.state = State::Update;
                self.question = Some(Question::Update { remove, seen });
            }
            State::Authorization(_)
            | State::Login(_)
            | State::Securing
            | State::Listing(..)
            | State::Sending(..)
            | State::Update
            | State::Ended => self.ok("goodbye"),
        }
    }

    /// When a client that sends nothing more is shut out.
    fn deadline(&self) -> Instant {
        let state = match &self.state {
            State::Transaction(_) | State::Listing(..) | State::Sending(..) | State::Update => {
                self.active + self.config.idle.max(IDLE_MIN)
            }
            // Shorter than RFC 1939 §3 has it: whoever has not logged in is not yet somebody.
            State::Authorization(_) | State::Login(_) | State::Securing | State::Ended => self.login_until,
        };
        self.line_began.map_or(state, |began| state.min(began + LINE_TIME))
    }

    fn ok(&mut self, text: &str) {
        self.reply("+OK", text);
    }

    fn err(&mut self, text: &str) {
        self.reply("-ERR", text);
    }

    fn reply(&mut self, indicator: &str, text: &str) {
        self.out.extend_from_slice(format!("{indicator} {text}\r\n").as_bytes());
    }

    /// A command that cannot be understood.
    fn bad(&mut self, text: &str) {
        self.bad_commands += 1;
        if self.bad_commands >= self.config.bad_commands_max {
            return self.give_up("too many bad commands");
        }
        self.err(text);
        if matches!(self.state, State::Login(_)) {
            self.state = State::Authorization(Authorization::default());
        }
    }

    fn give_up(&mut self, text: &str) {
        self.err(text);
        self.lines.clear();
        self.state = State::Ended;
    }
}

#[cfg(test)]
mod tests;
