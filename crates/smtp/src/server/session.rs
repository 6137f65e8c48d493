//! The session: what the driver calls.

use std::time::Instant;

use bytes::BytesMut;

use super::command::{self, Step};
use super::core::Core;
use super::letter;
use super::profile::{Profile, Tls};
use super::question::{Answer, AuthAnswer, CloseReason, Output, Question, Stage};
use super::replies;
use super::state::{Asked, Ended, Greeting, Start, State};
use super::verb::{self, Turn};
use super::verdict::Verdict;
use crate::syntax::LineScanner;

/// Above this many octets of unread input nothing more is to be read.
const INPUT_BYTES_ENOUGH: usize = 64 << 10;
/// Above this many octets of unsent replies they are sent before anything else.
const HELD_BYTES_MAX: usize = 32 << 10;

/// One connection, from before the greeting to the end.
pub struct Session {
    core: Core,
    state: State,
    input: BytesMut,
    scanner: LineScanner,
    eof: bool,
    /// An answer led to this further question.
    asks: Option<Output>,
}

impl Session {
    /// A session that begins now. `tls` is given when TLS came first (RFC 8314 §3.3).
    #[must_use]
    pub fn new(profile: Profile, tls: Option<Tls>, now: Instant) -> Self {
        let core = Core::new(profile, tls, now);
        let state = State::Greeting(Greeting { at: None });
        Self { core, state, input: BytesMut::new(), scanner: LineScanner::default(), eof: false, asks: None }
    }

    /// Takes what the peer sent. Read at most 64 KiB at a time, and only if [`Self::wants_read`] says so: that bounds what waits here.
    pub fn receive(&mut self, now: Instant, bytes: BytesMut) {
        self.core.now = now;
        // RFC 3207 §4.2: what came in the clear behind STARTTLS counts for nothing.
        if matches!(self.state, State::Handshake(_) | State::Ended(_)) {
            return;
        }
        if self.input.is_empty() {
            self.input = bytes;
        } else {
            self.input.unsplit(bytes);
        }
    }

    /// The peer will send nothing more.
    pub fn receive_eof(&mut self, now: Instant) {
        self.core.now = now;
        self.eof = true;
    }

    /// Whether to read. Never while a question is open.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        let parses = !matches!(self.state, State::Asked(_) | State::Handshake(_) | State::Ended(_));
        parses && !self.eof && self.input.len() < INPUT_BYTES_ENOUGH
    }

    /// What to do next.
    pub fn poll(&mut self, now: Instant) -> Output {
        self.core.now = now;
        loop {
            if let Some(note) = self.core.next_note() {
                return Output::Note(note);
            }
            if self.core.held() > HELD_BYTES_MAX
                && let Some(replies) = self.core.take_held()
            {
                return Output::Send(replies);
            }
            if let Some(question) = self.asks.take() {
                return question;
            }
            match self.step() {
                Step::Again => {}
                Step::Out(output) => return output,
                Step::Idle => match self.core.take_held() {
                    Some(replies) => return Output::Send(replies),
                    None if now < self.core.deadline => {
                        // An idle connection holds no buffer: what is empty may still be large.
                        if self.input.is_empty() {
                            self.input = BytesMut::new();
                        }
                        return Output::Wait(self.core.deadline);
                    }
                    None => self.state = self.core.end(self.stage(), replies::timeout(), CloseReason::Timeout),
                },
            }
        }
    }

    /// Answers [`Output::Ask`]. An answer that was not asked for is ignored; one that does not fit the question is a temporary failure.
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        self.core.now = now;
        if !matches!(self.state, State::Asked(_)) {
            return;
        }
        if let State::Asked(asked) = self.take_state() {
            let turn = self.answered(asked, answer);
            if let Step::Out(question) = self.settle(turn) {
                self.asks = Some(question);
            }
        }
    }

    /// The letter that is coming cannot be taken after all: the rest of it is read and thrown away, then this is said. Nothing more of it is put out.
    pub fn refuse_letter(&mut self, now: Instant, verdict: &Verdict) {
        self.core.now = now;
        letter::refuse(&mut self.state, verdict);
    }

    /// The handshake after [`Output::StartTls`] is done. The session begins anew (RFC 3207 §4.2).
    pub fn tls_established(&mut self, now: Instant, tls: Tls) {
        self.core.now = now;
        if matches!(self.state, State::Handshake(_)) {
            self.core.tls = Some(tls);
            self.forget_input();
            self.settle(Turn::Go(Start.state()));
        }
    }

    /// The server stops: the session says so and ends as soon as no letter is begun.
    pub fn shut_down(&mut self, now: Instant) {
        self.core.now = now;
        self.core.stopping = true;
    }

    fn step(&mut self) -> Step {
        let turn = match self.take_state() {
            State::Greeting(greeting) => return self.greet(greeting),
            State::Open(open) => command::next(open, &mut self.core, &mut self.input, &mut self.scanner),
            State::Login(login) => command::next_in_login(login, &mut self.core, &mut self.input, &mut self.scanner),
            State::Text(text) => letter::text(text, &mut self.core, &mut self.input),
            State::Chunk(chunk) => letter::chunk(chunk, &mut self.core, &mut self.input),
            State::Discard(discard) => letter::discard(discard, &mut self.core, &mut self.input),
            State::Asked(asked) => {
                self.state = State::Asked(asked);
                return Step::Idle;
            }
            State::Handshake(handshake) => {
                self.forget_input();
                self.state = State::Handshake(handshake);
                return self.announce_tls();
            }
            State::Ended(ended) => {
                let why = ended.why;
                self.state = State::Ended(ended);
                return Step::Out(self.core.take_held().map_or(Output::Close(why), Output::Send));
            }
        };
        match turn {
            command::Next::Turn(turn) => self.settle(turn),
            command::Next::Body(state, piece) => {
                self.state = state;
                Step::Out(Output::Body(piece))
            }
            command::Next::Wait(_) if self.eof => {
                self.state = State::Ended(Ended { why: CloseReason::Eof });
                Step::Again
            }
            command::Next::Wait(state) => {
                self.state = state;
                Step::Idle
            }
        }
    }

    /// The state as it is, to be put back or replaced by every caller.
    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Ended(Ended { why: CloseReason::Dropped }))
    }

    fn greet(&mut self, greeting: Greeting) -> Step {
        let Some(at) = greeting.at else {
            return self.settle(Turn::Ask(State::Asked(Asked::Connect), Question::Connect));
        };
        let turn = if !self.input.is_empty() {
            // RFC 5321 §3.1: the client waits for the greeting. Those that do not are not mail servers.
            Turn::Go(self.core.end(Stage::Connect, replies::early_talker(), CloseReason::EarlyTalker))
        } else if self.eof {
            Turn::Go(State::Ended(Ended { why: CloseReason::Eof }))
        } else if self.core.now >= at {
            let reply = replies::greeting(&self.core.profile.hostname, self.core.is_lmtp());
            self.core.say(&reply);
            Turn::Go(Start.state())
        } else {
            self.core.deadline = at;
            self.state = State::Greeting(greeting);
            // Not idle: this deadline passes without blame.
            return Step::Out(Output::Wait(at));
        };
        self.settle(turn)
    }

    fn announce_tls(&mut self) -> Step {
        if let Some(replies) = self.core.take_held() {
            return Step::Out(Output::Send(replies));
        }
        let State::Handshake(handshake) = &mut self.state else { return Step::Idle };
        if std::mem::replace(&mut handshake.announced, true) { Step::Idle } else { Step::Out(Output::StartTls) }
    }

    fn settle(&mut self, turn: Turn) -> Step {
        match turn {
            Turn::Go(state) => {
                if matches!(state, State::Open(_)) {
                    self.core.allow(self.core.profile.command_timeout);
                }
                self.state = state;
                Step::Again
            }
            Turn::Ask(state, question) => {
                self.core.allow(self.core.profile.answer_timeout);
                self.state = state;
                Step::Out(Output::Ask(question))
            }
        }
    }

    fn answered(&mut self, asked: Asked, answer: Answer) -> Turn {
        let core = &mut self.core;
        let verdict = |answer: &Answer| match answer {
            Answer::Verdict(verdict) => verdict.clone(),
            Answer::Auth(_) | Answer::Priority(_) | Answer::Message { .. } => command::misfit(),
        };
        Turn::Go(match asked {
            Asked::Connect => connected(core, &verdict(&answer)),
            Asked::Hello { back, kind } => verb::hello_answered(back, kind, core, &verdict(&answer)),
            Asked::Xclient(open) => verb::xclient_answered(open, core, &verdict(&answer)),
            Asked::AuthBegin { ready, mechanism, initial } => {
                let nonce = if let Answer::Auth(AuthAnswer::Begin(nonce)) = answer { Ok(nonce) } else { Err(verdict(&answer)) };
                return verb::auth_begun(ready, mechanism, initial.as_deref(), core, nonce);
            }
            Asked::Auth(login) => {
                let answer = if let Answer::Auth(answer) = answer { Ok(answer) } else { Err(verdict(&answer)) };
                return verb::auth_answered(login, core, answer);
            }
            Asked::Sender { transaction, about } => {
                let given = if let Answer::Priority(priority) = answer { Some(priority) } else { None };
                let verdict = given.map_or_else(|| verdict(&answer), |_| Verdict::Accept);
                verb::mail_answered(transaction, about, core, &verdict, given)
            }
            Asked::Recipient { transaction, about } => verb::rcpt_answered(transaction, about, core, &verdict(&answer)),
            Asked::Text(transaction) => verb::data_answered(transaction, core, &verdict(&answer)),
            Asked::Chunk { transaction, bdat } => verb::bdat_answered(transaction, bdat, core, &verdict(&answer)),
            Asked::Message(transaction) => letter::answered(transaction, core, answer),
        })
    }

    fn forget_input(&mut self) {
        self.input.clear();
        self.scanner.reset();
    }

    /// Where a timeout strikes.
    fn stage(&self) -> Stage {
        match self.state {
            State::Greeting(_) => Stage::Connect,
            State::Login(_) => Stage::Auth,
            State::Handshake(_) => Stage::StartTls,
            State::Text(_) | State::Chunk(_) | State::Discard(_) => Stage::Letter,
            State::Open(_) | State::Asked(_) | State::Ended(_) => Stage::Command,
        }
    }
}

/// After [`Question::Connect`]: RFC 5321 §3.1 lets a refused client stay for its QUIT, but nobody has to wait for that.
fn connected(core: &mut Core, verdict: &Verdict) -> State {
    if *verdict == Verdict::Accept {
        return State::Greeting(Greeting { at: Some(core.now + core.profile.greeting_delay) });
    }
    core.end(Stage::Connect, verdict.reply(replies::ok), CloseReason::Dropped)
}
