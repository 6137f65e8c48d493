//! The session: lines in, states, replies out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use posthouse_sasl::{ChannelBinding, Mechanism, Nonce, Password, ScramKeys};

use super::authorization::Authorization;
use super::body::BodyWriter;
use super::command::{self, Command, Malformed};
use super::transaction::Transaction;

/// The octets of a command line with its CRLF (RFC 2449 §4).
const LINE_BYTES_MAX: usize = 255;
/// The octets of a line that answers a SASL challenge: base 64 of the longest message, and CRLF.
const AUTH_LINE_BYTES_MAX: usize = posthouse_sasl::MESSAGE_BYTES_MAX / 3 * 4 + 8;

/// What bounds a session.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take to log in, from its first octet on.
    pub login: Duration,
    /// How long a client may be silent between two commands once it is in. RFC 1939 §3 asks for ten minutes at least.
    pub idle: Duration,
    /// Commands that cannot be read, before the connection is closed.
    pub bad_commands_max: u32,
    /// Failed logins, before the connection is closed.
    pub failed_logins_max: u32,
}

/// What the session needs to know of its connection and server.
pub struct Profile {
    /// Our name, for the greeting.
    pub hostname: String,
    /// TLS is on.
    pub secure: bool,
    /// STLS can be offered.
    pub tls_available: bool,
    /// What SCRAM-SHA-256-PLUS binds to; available only under TLS.
    pub binding: ChannelBinding,
    /// Makes unknown users look like known ones; a secret of the server's.
    pub fake_salt_seed: [u8; posthouse_sasl::FAKE_SALT_SEED_BYTES],
    /// What bounds it.
    pub limits: Limits,
}

/// What the session wants done, in order.
#[derive(Debug)]
pub enum Output {
    /// Write this.
    Send(Bytes),
    /// Find this out and call [`Session::answer`]; until then nothing more is read.
    Ask(Question),
    /// Do the handshake, then go on with a new session on the secured stream ([`Session::new`] with `secure`). What the client sent
    /// behind STLS in plain text is in this session and dies with it.
    StartTls,
    /// Wait for input, until then at most; then call [`Session::poll`] again.
    Wait(Instant),
    /// Close the connection.
    Close(Closing),
}

/// What the session cannot know.
#[derive(Debug)]
pub enum Question {
    /// Eighteen random octets: whoever answers draws them ([`Answer::Nonce`]).
    Nonce,
    /// Is this the login's password?
    Password {
        /// Who wants in.
        login: String,
        /// With what.
        password: Password,
    },
    /// The login's SCRAM keys.
    Keys {
        /// Who wants in.
        login: String,
    },
    /// The mailbox, locked for this session alone (RFC 1939 §4).
    Open {
        /// Who is in.
        login: String,
        /// How it was proved.
        mechanism: Mechanism,
    },
    /// A login failed. For the journal; answer [`Answer::Noted`], late if guessing is to be slowed down.
    Refused {
        /// Who wanted in, where that was said.
        login: String,
        /// How.
        mechanism: Mechanism,
    },
    /// The letter's octets: [`Session::body`] for each chunk, then [`Session::body_end`].
    Body {
        /// The message.
        uid: u32,
    },
    /// Remove these for good: the client said QUIT.
    Remove {
        /// The messages.
        uids: Vec<u32>,
    },
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// To [`Question::Nonce`].
    Nonce([u8; 18]),
    /// To [`Question::Password`].
    Password(bool),
    /// To [`Question::Keys`].
    Keys(Option<ScramKeys>),
    /// To [`Question::Open`].
    Opened(Result<Vec<Entry>, OpenError>),
    /// To [`Question::Refused`].
    Noted,
    /// To [`Question::Remove`]: whether all are gone.
    Removed(bool),
    /// To any question: it cannot be answered now.
    Trouble,
}

/// One message of the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its UID.
    pub uid: u32,
    /// Its octets, as they are sent by RETR without doubled dots.
    pub size: u64,
    /// Its unique-id: 1 to 70 characters, the same for ever (RFC 1939 §7).
    pub uidl: String,
}

/// Why a mailbox was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// Another session has it.
    InUse,
    /// It cannot be read now.
    Trouble,
}

/// Why the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// QUIT.
    Quit,
    /// The client went away.
    Gone,
    /// It took too long.
    Idle,
    /// It sent too much that is not POP3.
    Garbage,
    /// It guessed too often.
    Guessing,
    /// Something of ours failed in the middle of a reply.
    Trouble,
}

/// A POP3 session.
pub struct Session {
    pub(super) profile: Profile,
    pub(super) out: VecDeque<Output>,
    input: BytesMut,
    state: State,
    deadline: Instant,
    bad_commands: u32,
    body: Option<BodyWriter>,
    eof: bool,
}

/// Where in RFC 1939 §3 the session is.
pub(super) enum State {
    Authorization(Authorization),
    Transaction(Transaction),
    /// Everything is said; what is in `out` is still to be done.
    Over,
}

impl Session {
    /// A session that greets; under [`Profile::secure`] after STLS it does not greet again (`greet` false, RFC 2595 §4).
    #[must_use]
    pub fn new(profile: Profile, now: Instant, greet: bool) -> Self {
        let deadline = now + profile.limits.login;
        let mut session = Self {
            profile,
            out: VecDeque::new(),
            input: BytesMut::new(),
            state: State::Authorization(Authorization::default()),
            deadline,
            bad_commands: 0,
            body: None,
            eof: false,
        };
        if greet {
            let greeting = format!("+OK {} POP3 ready", session.profile.hostname);
            session.say(&greeting);
        }
        session
    }

    /// Whether input is wanted: not while a question is open or a reply is under way, so that the buffer stays bounded.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.is_waiting() && self.body.is_none() && self.out.is_empty() && !matches!(self.state, State::Over)
    }

    /// Takes what the client sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The client closed its side.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// What to do next.
    pub fn poll(&mut self, now: Instant) -> Output {
        loop {
            if let Some(output) = self.out.pop_front() {
                return self.merged(output);
            }
            if matches!(self.state, State::Over) {
                return Output::Close(Closing::Quit);
            }
            // Without this a client that pipelines RETRs could have its next one begun inside the last one's body.
            if self.is_waiting() || self.body.is_some() {
                return Output::Wait(self.deadline);
            }
            match self.line() {
                Line::Whole(line) => self.line_received(now, &line),
                Line::TooLong => self.hang_up("-ERR the line is longer than a command may be", Closing::Garbage),
                Line::Partial if self.eof => self.close(Closing::Gone),
                Line::Partial if now >= self.deadline => self.hang_up("-ERR [SYS/TEMP] too slow, goodbye", Closing::Idle),
                Line::Partial => return Output::Wait(self.deadline),
            }
        }
    }

    /// Takes the answer to the open question. An answer of another kind counts as [`Answer::Trouble`].
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authorization(state) => self.state = state.answer(self, answer),
            State::Transaction(state) => self.state = state.answer(self, answer),
            State::Over => {}
        }
        self.touch(now);
    }

    /// Takes a chunk of the letter asked for by [`Question::Body`]. False when the rest is not wanted (TOP).
    pub fn body(&mut self, chunk: &[u8]) -> bool {
        let Some(writer) = &mut self.body else { return false };
        let mut wire = Vec::new();
        writer.write(chunk, &mut wire);
        let more = !writer.is_full();
        self.out.push_back(Output::Send(wire.into()));
        more
    }

    /// What of the letter can be written already: a pump that writes it between two chunks holds no more than one.
    pub fn take_ready(&mut self) -> Option<Bytes> {
        match self.out.pop_front()? {
            Output::Send(bytes) => Some(bytes),
            other => {
                self.out.push_front(other);
                None
            }
        }
    }

    /// The letter is complete, or reading it failed. A reply that has begun cannot be taken back, so a failure ends the connection
    /// and never sends the dot: the client must not take half a letter for a whole one.
    pub fn body_end(&mut self, now: Instant, whole: bool) {
        let Some(writer) = self.body.take() else { return };
        if whole {
            let mut wire = Vec::new();
            writer.end(&mut wire);
            self.out.push_back(Output::Send(wire.into()));
            if let State::Transaction(state) = &mut self.state {
                state.body_sent();
            }
            self.touch(now);
        } else {
            self.close(Closing::Trouble);
        }
    }

    /// Queues a reply line.
    pub(super) fn say(&mut self, line: &str) {
        self.out.push_back(Output::Send(Bytes::from(format!("{line}\r\n"))));
    }

    pub(super) fn ask(&mut self, question: Question) {
        self.out.push_back(Output::Ask(question));
    }

    /// Queues a reply and the end of the connection.
    pub(super) fn hang_up(&mut self, line: &str, why: Closing) {
        self.say(line);
        self.close(why);
    }

    pub(super) fn begin_body(&mut self, lines: Option<u32>) {
        self.body = Some(BodyWriter::new(lines));
    }

    /// The offer: what can be done on this connection, and nothing that cannot.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        let (secure, bound) = (self.profile.secure, self.profile.binding.is_available());
        Mechanism::ALL.into_iter().filter(move |&mechanism| secure && (bound || mechanism != Mechanism::ScramSha256Plus))
    }

    pub(super) fn nonce(random: [u8; 18]) -> Nonce {
        Nonce::from_random(random)
    }

    pub(super) fn starttls(&mut self) {
        self.say("+OK begin TLS");
        self.out.push_back(Output::StartTls);
        // RFC 2595 §4, CVE-2021-33515: what came behind STLS in plain text is never read.
        self.input.clear();
    }

    /// Whether the connection is to be closed: the step that did it must end in [`State::Over`].
    pub(super) fn is_over(&self) -> bool {
        matches!(self.out.back(), Some(Output::Close(_)))
    }

    fn close(&mut self, why: Closing) {
        self.state = State::Over;
        self.out.push_back(Output::Close(why));
    }

    fn is_waiting(&self) -> bool {
        match &self.state {
            State::Authorization(state) => state.is_waiting(),
            State::Transaction(state) => state.is_waiting(),
            State::Over => false,
        }
    }

    /// A complete command moves the deadline; single octets do not.
    fn touch(&mut self, now: Instant) {
        if matches!(self.state, State::Transaction(_)) {
            self.deadline = now + self.profile.limits.idle;
        }
    }

    fn line_received(&mut self, now: Instant, line: &[u8]) {
        self.touch(now);
        let Some(text) = std::str::from_utf8(line).ok().filter(|text| !text.chars().any(char::is_control)) else {
            return self.bad("-ERR the line holds octets that no command has");
        };
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authorization(state) if state.expects_response() => self.state = state.response(self, text),
            state => {
                self.state = state;
                match command::parse(text) {
                    Ok(command) => self.command(command),
                    Err(Malformed::Unknown) => self.bad("-ERR no such command"),
                    Err(Malformed::Arguments(shape)) => self.bad(&format!("-ERR it takes: {shape}")),
                    Err(Malformed::OtherProtocol) => self.hang_up("-ERR this is a POP3 server", Closing::Garbage),
                }
            }
        }
    }

    fn command(&mut self, command: Command<'_>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Authorization(state) => self.keep(|session| state.command(session, command)),
            State::Transaction(state) => self.keep(|session| state.command(session, command)),
            State::Over => {}
        }
    }

    /// Runs a step that gives the next state.
    fn keep(&mut self, step: impl FnOnce(&mut Self) -> State) {
        self.state = step(self);
    }

    pub(super) fn bad(&mut self, line: &str) {
        self.bad_commands += 1;
        if self.bad_commands > self.profile.limits.bad_commands_max {
            self.hang_up("-ERR too many commands that are none", Closing::Garbage);
        } else {
            self.say(line);
        }
    }

    fn line(&mut self) -> Line {
        let limit = match &self.state {
            State::Authorization(state) if state.expects_response() => AUTH_LINE_BYTES_MAX,
            // AUTH may carry an initial response (RFC 5034 §4 lifts the limit for it).
            State::Authorization(_) if self.input.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH ")) => {
                AUTH_LINE_BYTES_MAX
            }
            State::Authorization(_) | State::Transaction(_) | State::Over => LINE_BYTES_MAX,
        };
        let window = self.input.get(..limit.min(self.input.len())).unwrap_or_default();
        match memchr::memmem::find(window, b"\r\n") {
            Some(at) => {
                let line = self.input.split_to(at).freeze();
                self.input.advance(2);
                Line::Whole(line)
            }
            None if self.input.len() >= limit => Line::TooLong,
            None => Line::Partial,
        }
    }

    /// Joins replies that are ready into one write.
    fn merged(&mut self, first: Output) -> Output {
        let Output::Send(bytes) = first else { return first };
        if !matches!(self.out.front(), Some(Output::Send(_))) {
            return Output::Send(bytes);
        }
        let mut all = BytesMut::from(bytes);
        while let Some(Output::Send(_)) = self.out.front() {
            if let Some(Output::Send(next)) = self.out.pop_front() {
                all.extend_from_slice(&next);
            }
        }
        Output::Send(all.freeze())
    }
}

enum Line {
    Whole(Bytes),
    Partial,
    TooLong,
}

#[cfg(test)]
mod tests;
