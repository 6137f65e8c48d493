//! The dialogue around the letters: greeting, hello, TLS, login, rest, farewell.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use posthouse_mail::{Envelope, Reply, UnixMillis};

use super::capabilities::Capabilities;
use super::error::{SessionError, Stage};
use super::fit::{DomainsTold, lacks_tls};
use super::letter::{Context, Letter};
use super::login::Login;
use super::outbox::Outbox;
use super::result::RecipientResult;
use super::settings::{Chunks, Protocol, Secured, Settings, StartTls};
use super::transcript::Line;
use crate::syntax::ReplyParser;

/// The letters whose replies may be missing at a time: if the connection breaks, it is not known of any of them whether it arrived.
const IN_FLIGHT_MAX: usize = 8;

/// What the driver does next.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Write these octets, all of them and in this order; what comes in meanwhile goes to [`ClientSession::receive`].
    Send(Bytes),
    /// Take the client's part of a TLS handshake, then call [`ClientSession::tls_started`], or [`ClientSession::closed`] if it failed.
    StartTls,
    /// Logged in and at rest: [`ClientSession::letter`] or [`ClientSession::quit`]. Until then, what comes in goes to [`ClientSession::receive`].
    Ready,
    /// Give the next octets with [`ClientSession::body`], or their end with [`ClientSession::body_end`].
    Body,
    /// The first letter that was not done yet is done: one result per recipient of the envelope, in its order.
    Done(Vec<RecipientResult>),
    /// Read, until this time at most. Then poll again.
    Wait(Instant),
    /// Drop the connection: after QUIT (`None`), or for a reason.
    Closed(Option<SessionError>),
}

enum Phase {
    Greeting,
    Hello {
        esmtp: bool,
    },
    StartTls,
    Handshake,
    Login(Box<Login>),
    Ready,
    /// There are letters under way.
    Letters,
    Quit,
    Closed(Option<SessionError>),
}

/// One connection's dialogue with a server, seen from the client.
pub struct ClientSession {
    settings: Settings,
    phase: Phase,
    secured: Option<Secured>,
    capabilities: Capabilities,
    replies: ReplyParser,
    out: Outbox,
    /// Replies are for the first, octets from the last.
    under_way: VecDeque<Letter>,
    results: VecDeque<Vec<RecipientResult>>,
    deadline: Instant,
    needs_reset: bool,
    letters: usize,
    domains: DomainsTold,
    eight_bit_undeclared: bool,
    /// The server wants no letter begun before it has replied to the last.
    one_by_one: bool,
    chunks: Chunks,
}

impl ClientSession {
    /// Why a letter of this envelope may not go to this server because of TLS (`REQUIRETLS`, RFC 8689 §4.2.1): another may do.
    #[must_use]
    pub fn lacks_tls(&self, envelope: &Envelope) -> Option<Reply> {
        lacks_tls(envelope, &self.capabilities, self.secured.is_some_and(|secured| secured.verified))
    }

    /// A session on a connection that has just been made; `secured` when TLS is on it already (implicit TLS, RFC 8314).
    #[must_use]
    pub fn start(settings: Settings, secured: Option<Secured>, now: Instant) -> Self {
        Self {
            deadline: now + settings.timeouts.greeting,
            out: Outbox::new(settings.transcript),
            chunks: settings.chunks,
            settings,
            phase: Phase::Greeting,
            secured,
            capabilities: Capabilities::default(),
            replies: ReplyParser::new(),
            under_way: VecDeque::new(),
            results: VecDeque::new(),
            needs_reset: false,
            letters: 0,
            domains: DomainsTold::default(),
            eight_bit_undeclared: false,
            one_by_one: false,
        }
    }

    /// What to do next. To be called until it gives [`Output::Wait`], [`Output::Ready`], [`Output::Body`] or [`Output::Closed`].
    pub fn poll(&mut self, now: Instant) -> Output {
        if self.under_way.back().is_some_and(Letter::wants_body) && !self.out.is_full() {
            return Output::Body;
        }
        if let Some(results) = self.results.pop_front() {
            return Output::Done(results);
        }
        if let Some(bytes) = self.out.pop() {
            return Output::Send(bytes);
        }
        let awaits = matches!(
            self.phase,
            Phase::Greeting | Phase::Hello { .. } | Phase::StartTls | Phase::Login(_) | Phase::Letters | Phase::Quit
        );
        if awaits && now >= self.deadline {
            self.fail(SessionError::Timeout(self.stage()));
            return self.poll(now);
        }
        match &self.phase {
            Phase::Handshake => Output::StartTls,
            Phase::Ready => Output::Ready,
            Phase::Closed(why) => Output::Closed(why.clone()),
            Phase::Greeting | Phase::Hello { .. } | Phase::StartTls | Phase::Login(_) | Phase::Letters | Phase::Quit => {
                Output::Wait(self.deadline)
            }
        }
    }

    /// Takes what came in.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        match self.phase {
            Phase::Closed(_) => return,
            Phase::Handshake => return self.fail(SessionError::Injected),
            Phase::Greeting
            | Phase::Hello { .. }
            | Phase::StartTls
            | Phase::Login(_)
            | Phase::Ready
            | Phase::Letters
            | Phase::Quit => {}
        }
        self.replies.push(bytes);
        while !matches!(self.phase, Phase::Closed(_) | Phase::Handshake) {
            match self.replies.next_reply() {
                Ok(Some(reply)) => self.reply(now, reply),
                Ok(None) => break,
                Err(error) => self.fail(SessionError::Unreadable { stage: self.stage(), error }),
            }
        }
    }

    /// The peer closed the connection, or it broke, or the handshake failed.
    pub fn closed(&mut self) {
        match self.phase {
            Phase::Closed(_) => {}
            Phase::Quit => self.phase = Phase::Closed(None),
            Phase::Greeting
            | Phase::Hello { .. }
            | Phase::StartTls
            | Phase::Handshake
            | Phase::Login(_)
            | Phase::Ready
            | Phase::Letters => self.fail(SessionError::Lost(self.stage())),
        }
    }

    /// The last `unwritten` octets of the last [`Output::Send`] could not be written, or not in time: a letter whose end stood in them was not sent.
    pub fn write_failed(&mut self, timed_out: bool, unwritten: usize) {
        let stage = self.stage();
        self.fail_with(if timed_out { SessionError::Timeout(stage) } else { SessionError::Lost(stage) }, unwritten);
    }

    /// The handshake that [`Output::StartTls`] asked for is done. Everything the server said before is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self, now: Instant, secured: Secured) {
        if !matches!(self.phase, Phase::Handshake) {
            return self.fail(SessionError::Misuse("TLS was not asked for"));
        }
        self.secured = Some(secured);
        self.capabilities = Capabilities::default();
        self.out.note(if secured.verified {
            "TLS, the server's certificate is verified"
        } else {
            "TLS, certificate not verified"
        });
        self.hello(now);
    }

    /// Whether [`Self::letter`] may be called: at [`Output::Ready`], and, if the server has PIPELINING, as soon as all of the last letter was given. Its
    /// envelope then leaves in one write with the end of the last one.
    #[must_use]
    pub fn takes_letter(&self) -> bool {
        match &self.phase {
            Phase::Ready => !self.is_exhausted(),
            Phase::Letters => {
                !self.one_by_one
                    && self.under_way.len() < IN_FLIGHT_MAX
                    && self.under_way.back().is_some_and(Letter::is_sent)
                    && !self.under_way.iter().any(|letter| letter.must_drop() || letter.tries_chunks())
                    && !self.is_exhausted()
            }
            Phase::Greeting
            | Phase::Hello { .. }
            | Phase::StartTls
            | Phase::Handshake
            | Phase::Login(_)
            | Phase::Quit
            | Phase::Closed(_) => false,
        }
    }

    /// Whether no letter is under way and all has been told.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Ready) && self.results.is_empty()
    }

    /// Begins a letter of `size` octets. Only at [`Output::Ready`], or when [`Self::takes_letter`] says so. `time` is that of people, in which its envelope speaks of
    /// a release and a deadline.
    pub fn letter(&mut self, now: Instant, time: UnixMillis, envelope: &Envelope, size: u64) {
        if !matches!(self.phase, Phase::Ready) && !self.takes_letter() {
            return self.fail(SessionError::Misuse("a letter while the session is not at rest"));
        }
        let reset = self.under_way.back().map_or(self.needs_reset, Letter::may_leave_transaction);
        let verified = self.secured.is_some_and(|secured| secured.verified);
        let behind = !self.under_way.is_empty();
        let (Settings { protocol, all_or_none, .. }, chunks) = (&self.settings, self.chunks);
        let (protocol, all_or_none) = (*protocol, *all_or_none);
        let context = Context { protocol, offered: &self.capabilities, verified, time, chunks, all_or_none, reset, behind };
        let mut letter = Letter::new(envelope, size, &context, &mut self.domains);
        let begun = letter.advance(&mut self.out);
        self.letters += 1;
        self.phase = Phase::Letters;
        self.under_way.push_back(letter);
        self.settle(now, begun);
    }

    /// Takes the next octets of the letter, asked for by [`Output::Body`].
    pub fn body(&mut self, now: Instant, chunk: Bytes) {
        let Some(letter) = self.under_way.back_mut() else { return };
        let done = letter.body(chunk, &mut self.out);
        self.settle(now, done);
    }

    /// All octets of the letter have been given.
    pub fn body_end(&mut self, now: Instant) {
        let Some(letter) = self.under_way.back_mut() else { return };
        let done = letter.body_end(&mut self.out);
        self.settle(now, done);
    }

    /// The rest of the letter cannot be read: it will never be ended, and the connection has to be dropped once the letters before it have their replies.
    pub fn body_failed(&mut self, now: Instant) {
        let Some(letter) = self.under_way.back_mut() else { return };
        letter.body_failed();
        self.settle(now, Ok(()));
    }

    /// Ends the session: with QUIT at rest, at once everywhere else.
    pub fn quit(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ready) && self.out.command("QUIT").is_ok() {
            self.phase = Phase::Quit;
            self.await_reply(now, self.settings.timeouts.command);
        } else if !matches!(self.phase, Phase::Closed(_)) {
            self.phase = Phase::Closed(None);
        }
    }

    /// Until when a write or read that is under way may take.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the next [`Self::poll`]s only give what is left to tell, and then [`Output::Closed`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// What is known of the server's BDAT by now, for the connections that follow.
    #[must_use]
    pub fn chunks(&self) -> Chunks {
        self.chunks
    }

    /// What the server offers, as of its last EHLO; what it announces in vain left out.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the server's announced number of letters per connection is reached (`MAILMAX`, RFC 9422 §4.1), or that of its recipients' domains
    /// (`RCPTDOMAINMAX`, §4.3): what is left goes over another connection.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        let limits = self.capabilities.limits;
        limits.letters_max.is_some_and(|letters_max| self.letters >= letters_max) || self.domains.is_full(limits)
    }

    /// Whether the last letter had 8-bit octets and the server does not offer 8BITMIME: they were sent as they are.
    #[must_use]
    pub fn sent_undeclared_eight_bit(&self) -> bool {
        self.eight_bit_undeclared
    }

    /// The dialogue since the last call, if [`Settings::transcript`] asks for it.
    pub fn take_transcript(&mut self) -> Vec<Line> {
        self.out.take_transcript()
    }

    fn reply(&mut self, now: Instant, reply: Reply) {
        if matches!(&self.phase, Phase::Login(login) if login.hides(&reply)) {
            self.out.heard(&Reply::bare(reply.code(), "***"));
        } else {
            self.out.heard(&reply);
        }
        // A reply to what has not been sent: it was made before the question.
        let lockstep = !matches!(self.phase, Phase::Letters | Phase::Ready);
        if lockstep && !self.out.is_empty() {
            return self.fail(SessionError::Protocol { stage: self.stage(), what: "a reply before its command" });
        }
        match &mut self.phase {
            Phase::Greeting if reply.code() == 220 => self.hello(now),
            Phase::Greeting => self.refused(Stage::Greeting, reply),
            Phase::Hello { esmtp } => {
                let esmtp = *esmtp;
                self.hello_reply(now, esmtp, reply);
            }
            Phase::StartTls => self.start_tls_reply(now, reply),
            Phase::Login(login) => match login.reply(reply, &mut self.out) {
                Ok(true) => self.phase = Phase::Ready,
                Ok(false) => self.await_reply(now, self.settings.timeouts.command),
                Err(error) => self.fail(error),
            },
            // RFC 5321 §3.8: a server may say at any time that it closes.
            Phase::Ready if reply.code() == 421 => self.fail(SessionError::Refused { stage: Stage::Idle, reply }),
            Phase::Ready => self.fail(SessionError::Protocol { stage: Stage::Idle, what: "a reply that nobody asked for" }),
            Phase::Letters => {
                if let Some(letter) = self.under_way.front_mut() {
                    let done = letter.reply(reply, &mut self.out);
                    self.settle(now, done);
                }
            }
            Phase::Quit => self.phase = Phase::Closed(None),
            Phase::Handshake | Phase::Closed(_) => {}
        }
    }

    fn hello(&mut self, now: Instant) {
        let verb = match self.settings.protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        self.say_hello(now, verb, true);
    }

    fn say_hello(&mut self, now: Instant, verb: &str, esmtp: bool) {
        let line = format!("{verb} {}", self.settings.helo);
        self.phase = Phase::Hello { esmtp };
        match self.out.command(&line) {
            Ok(()) => self.await_reply(now, self.settings.timeouts.command),
            Err(error) => self.fail(error),
        }
    }

    fn hello_reply(&mut self, now: Instant, esmtp: bool, reply: Reply) {
        let plain_will_do =
            self.settings.start_tls != StartTls::Required && self.secured.is_none() && self.settings.credentials.is_none();
        match reply.code() {
            200..300 => {
                self.capabilities = if esmtp { Capabilities::parse(&reply) } else { Capabilities::default() };
                if self.chunks == Chunks::Broken {
                    self.capabilities.without_chunks();
                }
                self.after_hello(now);
            }
            // RFC 5321 §3.2: a server that does not know EHLO knows HELO; never where something is needed that only EHLO offers.
            500 | 502 if esmtp && plain_will_do && self.settings.protocol == Protocol::Smtp => self.say_hello(now, "HELO", false),
            _ => self.refused(Stage::Hello, reply),
        }
    }

    fn after_hello(&mut self, now: Instant) {
        let wanted = self.secured.is_none() && self.settings.start_tls != StartTls::Never;
        if wanted && self.capabilities.start_tls {
            self.phase = Phase::StartTls;
            match self.out.command("STARTTLS") {
                Ok(()) => self.await_reply(now, self.settings.timeouts.command),
                Err(error) => self.fail(error),
            }
        } else if wanted && self.settings.start_tls == StartTls::Required {
            self.fail(SessionError::NoStartTls);
        } else {
            self.log_in(now);
        }
    }

    fn start_tls_reply(&mut self, now: Instant, reply: Reply) {
        if reply.code() == 220 {
            // Whatever stands behind this reply came in clear and would be taken for a reply under TLS.
            if self.replies.is_empty() {
                self.phase = Phase::Handshake;
            } else {
                self.fail(SessionError::Injected);
            }
        } else if self.settings.start_tls == StartTls::IfOffered && !reply.is_positive() && reply.code() != 421 {
            self.out.note("the server refused STARTTLS, going on in clear");
            self.log_in(now);
        } else {
            self.refused(Stage::StartTls, reply);
        }
    }

    fn log_in(&mut self, now: Instant) {
        match Login::begin(&self.settings, self.secured, &self.capabilities, &mut self.out) {
            Ok(Some(login)) => {
                self.phase = Phase::Login(Box::new(login));
                self.await_reply(now, self.settings.timeouts.command);
            }
            Ok(None) => self.phase = Phase::Ready,
            Err(error) => self.fail(error),
        }
    }

    /// After something was done with a letter under way: sees which are over. They end in the order in which they began.
    fn settle(&mut self, now: Instant, done: Result<(), SessionError>) {
        if let Err(error) = done {
            return self.fail(error);
        }
        while let Some(letter) = self.under_way.front() {
            if !letter.is_over() {
                let patience = letter.patience(&self.settings.timeouts);
                return self.await_reply(now, patience);
            }
            if letter.is_unreadable() {
                return self.fail(SessionError::BodyUnreadable);
            }
            let must_drop = letter.must_drop();
            self.one_by_one |= letter.was_refused_behind();
            if letter.chunks() != Chunks::Untried {
                self.chunks = letter.chunks();
            }
            self.needs_reset = letter.needs_reset();
            self.eight_bit_undeclared = letter.eight_bit_undeclared();
            self.results.extend(self.under_way.pop_front().map(Letter::into_results));
            if must_drop {
                // Nothing behind it was looked at: a server that says 421 answers no more, and the others end only after all before them.
                self.out.clear();
                self.under_way.clear();
                self.phase = Phase::Closed(Some(SessionError::Lost(Stage::Letter)));
                return;
            }
        }
        self.phase = Phase::Ready;
    }

    fn await_reply(&mut self, now: Instant, patience: Duration) {
        self.deadline = now + patience;
    }

    fn refused(&mut self, stage: Stage, reply: Reply) {
        if reply.is_positive() {
            self.fail(SessionError::Protocol { stage, what: "a reply that does not fit the command" });
        } else {
            self.fail(SessionError::Refused { stage, reply });
        }
    }

    fn fail(&mut self, why: SessionError) {
        self.fail_with(why, 0);
    }

    /// Ends the session. Letters whose end is out have results all the same; what has not been given to the driver yet is not sent.
    fn fail_with(&mut self, why: SessionError, unwritten: usize) {
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        let written = self.out.written(unwritten);
        self.out.clear();
        self.results.extend(self.under_way.drain(..).map_while(|letter| letter.lost(&why, written)));
        self.phase = Phase::Closed(Some(why));
    }

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Greeting => Stage::Greeting,
            Phase::Hello { .. } => Stage::Hello,
            Phase::StartTls | Phase::Handshake => Stage::StartTls,
            Phase::Login(_) => Stage::Login,
            Phase::Ready => Stage::Idle,
            Phase::Letters => self.under_way.front().map_or(Stage::Idle, Letter::stage),
            Phase::Quit | Phase::Closed(_) => Stage::Quit,
        }
    }
}
