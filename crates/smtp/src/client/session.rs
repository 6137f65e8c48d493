//! The dialogue around the letters: greeting, hello, TLS, login, rest, farewell.

use std::time::{Duration, Instant};

use bytes::Bytes;
use posthouse_mail::{Envelope, Reply, UnixMillis};

use super::capabilities::Capabilities;
use super::error::{SessionError, Stage};
use super::fit::DomainsTold;
use super::letter::{Context, Letter, RecipientResult};
use super::login::Login;
use super::outbox::Outbox;
use super::settings::{Protocol, Secured, Settings, StartTls};
use super::transcript::Line;
use crate::syntax::ReplyParser;

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
    /// The letter is done: one result per recipient of the envelope, in its order.
    Done(Vec<RecipientResult>),
    /// Read, until this time at most. Then poll again.
    Wait(Instant),
    /// Drop the connection: after QUIT (`None`), or for a reason.
    Closed(Option<SessionError>),
}

enum Phase {
    Greeting,
    Hello { esmtp: bool },
    StartTls,
    Handshake,
    Login(Box<Login>),
    Ready,
    Letter(Box<Letter>),
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
    results: Option<Vec<RecipientResult>>,
    deadline: Instant,
    needs_reset: bool,
    letters: usize,
    domains: DomainsTold,
    eight_bit_undeclared: bool,
}

impl ClientSession {
    /// A session on a connection that has just been made; `secured` when TLS is on it already (implicit TLS, RFC 8314).
    #[must_use]
    pub fn start(settings: Settings, secured: Option<Secured>, now: Instant) -> Self {
        Self {
            deadline: now + settings.timeouts.greeting,
            out: Outbox::new(settings.transcript),
            settings,
            phase: Phase::Greeting,
            secured,
            capabilities: Capabilities::default(),
            replies: ReplyParser::new(),
            results: None,
            needs_reset: false,
            letters: 0,
            domains: DomainsTold::default(),
            eight_bit_undeclared: false,
        }
    }

    /// What to do next. To be called until it gives [`Output::Wait`], [`Output::Ready`], [`Output::Body`] or [`Output::Closed`].
    pub fn poll(&mut self, now: Instant) -> Output {
        if let Phase::Letter(letter) = &self.phase
            && letter.wants_body()
            && !self.out.is_full()
        {
            return Output::Body;
        }
        if let Some(results) = self.results.take() {
            return Output::Done(results);
        }
        if let Some(bytes) = self.out.pop() {
            return Output::Send(bytes);
        }
        let awaits = matches!(
            self.phase,
            Phase::Greeting | Phase::Hello { .. } | Phase::StartTls | Phase::Login(_) | Phase::Letter(_) | Phase::Quit
        );
        if awaits && now >= self.deadline {
            self.fail(SessionError::Timeout(self.stage()));
            return self.poll(now);
        }
        match &self.phase {
            Phase::Handshake => Output::StartTls,
            Phase::Ready => Output::Ready,
            Phase::Closed(why) => Output::Closed(why.clone()),
            Phase::Greeting | Phase::Hello { .. } | Phase::StartTls | Phase::Login(_) | Phase::Letter(_) | Phase::Quit => {
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
            | Phase::Letter(_)
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
            | Phase::Letter(_) => self.fail(SessionError::Lost(self.stage())),
        }
    }

    /// The octets of the last [`Output::Send`] could not be written to their end, or not in time: a letter whose end stood in them was not sent.
    pub fn write_failed(&mut self, timed_out: bool) {
        let stage = self.stage();
        self.fail_with(if timed_out { SessionError::Timeout(stage) } else { SessionError::Lost(stage) }, false);
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

    /// Begins a letter of `size` octets. Only at [`Output::Ready`]. `time` is that of people, in which its envelope speaks of a release and a
    /// deadline.
    pub fn letter(&mut self, now: Instant, time: UnixMillis, envelope: &Envelope, size: u64) {
        if !matches!(self.phase, Phase::Ready) {
            return self.fail(SessionError::Misuse("a letter while the session is not at rest"));
        }
        let context = Context { protocol: self.settings.protocol, offered: &self.capabilities, time, reset: self.needs_reset };
        let letter = Letter::new(envelope, size, &context, &mut self.domains);
        self.letters += 1;
        self.phase = Phase::Letter(Box::new(letter));
        self.with_letter(now, Letter::advance);
    }

    /// Takes the next octets of the letter, asked for by [`Output::Body`].
    pub fn body(&mut self, now: Instant, chunk: Bytes) {
        self.with_letter(now, |letter, out| letter.body(chunk, out));
    }

    /// All octets of the letter have been given.
    pub fn body_end(&mut self, now: Instant) {
        self.with_letter(now, Letter::body_end);
    }

    /// The rest of the letter cannot be read: it will never be ended, and the connection has to be dropped.
    pub fn body_failed(&mut self) {
        self.fail(SessionError::BodyUnreadable);
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

    /// What the server offers, as of its last EHLO.
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
        self.out.heard(&reply);
        // A reply to what has not been sent: it was made before the question.
        let lockstep = !matches!(self.phase, Phase::Letter(_) | Phase::Ready);
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
            Phase::Letter(_) => self.with_letter(now, |letter, out| letter.reply(reply, out)),
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

    /// Does something with the letter under way, and sees whether it is over.
    fn with_letter(&mut self, now: Instant, act: impl FnOnce(&mut Letter, &mut Outbox) -> Result<(), SessionError>) {
        let Phase::Letter(letter) = &mut self.phase else { return };
        if let Err(error) = act(letter, &mut self.out) {
            return self.fail(error);
        }
        if !letter.is_over() {
            let patience = letter.patience(&self.settings.timeouts);
            return self.await_reply(now, patience);
        }
        let next = if letter.must_drop() {
            self.out.clear();
            Phase::Closed(Some(SessionError::Lost(Stage::Letter)))
        } else {
            Phase::Ready
        };
        self.needs_reset = letter.needs_reset();
        self.eight_bit_undeclared = letter.eight_bit_undeclared();
        if let Phase::Letter(letter) = std::mem::replace(&mut self.phase, next) {
            self.results = Some(letter.into_results());
        }
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
        // What has not been given to the driver yet is not sent; the end of a letter always stands last.
        let handed_over = self.out.is_empty();
        self.fail_with(why, handed_over);
    }

    /// Ends the session. A letter whose end is out has results all the same.
    fn fail_with(&mut self, why: SessionError, handed_over: bool) {
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        self.out.clear();
        if let Phase::Letter(letter) = std::mem::replace(&mut self.phase, Phase::Closed(Some(why.clone()))) {
            self.results = letter.lost(&why, handed_over);
        }
    }

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Greeting => Stage::Greeting,
            Phase::Hello { .. } => Stage::Hello,
            Phase::StartTls | Phase::Handshake => Stage::StartTls,
            Phase::Login(_) => Stage::Login,
            Phase::Ready => Stage::Idle,
            Phase::Letter(letter) => letter.stage(),
            Phase::Quit | Phase::Closed(_) => Stage::Quit,
        }
    }
}
