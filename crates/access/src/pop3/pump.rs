//! One POP3 connection: the session, the socket, and the answers to the session's questions.
//!
//! Every wait has a deadline: reading by the session's, writing by [`WRITE_TIME`]. Whatever ends the connection, the mailbox is given back.

use std::net::IpAddr;
use std::time::Duration;

use bytes::BytesMut;

use posthouse_directory::{Account, Attempt, LoggedIn, Protocol, Slowed};
use posthouse_journal::{Entry, Event};
use posthouse_mail::UnixMillis;
use posthouse_mailbox::{Body, Lock, MailboxError, Message, Uid};
use posthouse_runtime::net::Stream;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::stream::ByteSource;
use posthouse_runtime::tls::ClientCertificate;
use posthouse_runtime::{clock, random, select};
use posthouse_sasl::{Bindings, EndPoint, TokenRefusal};

use super::session::{Closed, Config, Output, Question, Session, Verdict};
use super::{Parts, Pop3};

/// How long a client may take to read what one write sends it.
const WRITE_TIME: Duration = Duration::from_secs(120);

/// Serves one connection to its end. `secure_from_start` is the listener's kind: TLS before the first octet (port 995, RFC 8314 §3.3), or STLS on
/// request (port 110). A shutdown ends it without removing anything.
pub async fn serve_pop3(mut stream: Stream, pop3: &Pop3, secure_from_start: bool, shutdown: &Shutdown) {
    let parts = &pop3.0.parts;
    let Ok(_pass) = pop3.0.gate.enter(stream.peer_addr().ip()) else {
        if !secure_from_start {
            let refusal = b"-ERR [SYS/TEMP] too many connections; try again later\r\n";
            let _ = clock::timeout(WRITE_TIME, stream.write_all(refusal)).await;
        }
        stream.close().await;
        return;
    };
    if secure_from_start {
        let Some(secured) = handshake(stream, parts).await else { return };
        stream = secured;
    }
    let mut session = Session::new(config(parts), clock::now(), secure_from_start.then(|| bindings(&stream)));
    session.certify(certificate(&stream).is_some());
    let connection =
        Connection { parts, peer: stream.peer_addr().ip(), session, attempt: None, account: None, lock: None, body: None };
    connection.run(stream, shutdown).await;
}

struct Connection<'a> {
    parts: &'a Parts,
    peer: IpAddr,
    session: Session,
    /// The log-in under way.
    attempt: Option<Attempt>,
    /// Who is logged in.
    account: Option<Account>,
    lock: Option<Lock>,
    /// The message that is going out.
    body: Option<Body>,
}

impl Connection<'_> {
    async fn run(mut self, mut stream: Stream, shutdown: &Shutdown) {
        let mut input = BytesMut::new();
        loop {
            match self.session.poll(clock::now()) {
                Output::Send(octets) => {
                    if !matches!(clock::timeout(WRITE_TIME, stream.write_all(&octets)).await, Ok(Ok(()))) {
                        return;
                    }
                }
                Output::Wait(deadline) => {
                    let read = select! {
                        read = clock::timeout_at(deadline, stream.read(&mut input)) => read,
                        () = shutdown.requested() => break,
                    };
                    match read {
                        Ok(Ok(1..)) => self.session.receive(clock::now(), &input.split()),
                        Ok(Ok(0) | Err(_)) => return,
                        Err(_) => {} // the session sees that its time is up
                    }
                }
                Output::StartTls => {
                    input.clear();
                    let Some(secured) = handshake(stream, self.parts).await else { return };
                    stream = secured;
                    self.session.secured(clock::now(), bindings(&stream));
                    self.session.certify(certificate(&stream).is_some());
                }
                Output::Ask(question) => self.answer(question, &stream).await,
                Output::NeedChunk => self.chunk().await,
                Output::LoginFailed { login, mechanism } => self.login(login, mechanism, false, &stream).await,
                Output::Fetched(uid) => self.fetched(uid),
                Output::Close => break,
            }
        }
        // The mailbox is free before the client sees the end, so that its next session finds it so.
        drop(self);
        stream.close().await;
    }

    async fn answer(&mut self, question: Question, stream: &Stream) {
        match question {
            Question::Password { login, password } => {
                let verdict = match self.attempt(&login) {
                    Ok(attempt) => match attempt.password(password.reveal()).await {
                        Ok(true) => Verdict::Right,
                        Ok(false) => Verdict::Wrong,
                        Err(error) => {
                            tracing::error!(%error, "a login could not be checked");
                            Verdict::Failed
                        }
                    },
                    Err(slowed) => Verdict::Slowed(slowed),
                };
                self.session.password(verdict);
            }
            Question::Keys { login, hash } => {
                let keys = match self.attempt(&login) {
                    Ok(attempt) => attempt.keys(hash).await.map_err(|error| {
                        tracing::error!(%error, "a login could not be checked");
                        Verdict::Failed
                    }),
                    Err(slowed) => Err(Verdict::Slowed(slowed)),
                };
                self.session.keys(keys, self.parts.directory.fake_salt_seed());
            }
            Question::Certificate { login } => {
                let whose = self.certificate(login.as_deref(), certificate(stream)).await;
                self.session.certificate(whose);
            }
            Question::Token { login, token } => {
                let result = self.token(login.as_deref(), token.reveal()).await;
                self.session.token(result);
            }
            Question::Open { login, mechanism } => {
                self.login(login.clone(), mechanism, true, stream).await;
                let opened = self.open(&login).await;
                self.session.opened(opened);
            }
            Question::Message { uid } => {
                self.body = self.message(uid).await;
                self.session.message(self.body.is_some());
            }
            Question::Update { remove, seen } => {
                let updated = self.update(&remove, &seen).await;
                self.lock = None;
                self.session.updated(updated);
            }
        }
    }

    async fn open(&mut self, login: &str) -> Result<Vec<Message>, Closed> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, login, "a mailbox could not be opened");
            Closed::Failed
        };
        let account = self.account.take().ok_or(Closed::Failed)?;
        let id = account.id.as_str();
        let lock = self.parts.mailboxes.lock(id);
        self.lock = Some(lock.map_err(|error| if error == MailboxError::InUse { Closed::InUse } else { failed(&error) })?);
        match self.parts.mailboxes.inbox(id).await {
            Ok(messages) => {
                self.account = Some(account);
                Ok(messages)
            }
            Err(error) => {
                self.lock = None;
                Err(failed(&error))
            }
        }
    }

    async fn message(&self, uid: Uid) -> Option<Body> {
        let account = self.account.as_ref()?;
        match self.parts.mailboxes.read(account.id.as_str(), uid).await {
            Ok(body) => Some(body),
            Err(error) => {
                tracing::error!(%error, account = %account.id, %uid, "a message could not be opened");
                None
            }
        }
    }

    async fn chunk(&mut self) {
        let chunk = match &mut self.body {
            Some(body) => body.next().await,
            None => Ok(None),
        };
        match chunk {
            Ok(chunk) => {
                if !self.session.chunk(chunk.as_deref()) {
                    self.body = None;
                }
            }
            Err(error) => {
                tracing::error!(%error, "a message could not be read to its end");
                self.session.broken();
            }
        }
    }

    async fn update(&self, remove: &[Uid], seen: &[Uid]) -> Result<(), Closed> {
        let Some(account) = &self.account else { return Err(Closed::Failed) };
        let (mailboxes, id) = (&self.parts.mailboxes, account.id.as_str());
        if !seen.is_empty()
            && let Err(error) = mailboxes.mark_seen(id, seen).await
        {
            tracing::warn!(%error, account = id, "messages could not be marked as read"); // the client did not ask for it
        }
        if !remove.is_empty()
            && let Err(error) = mailboxes.remove(id, remove).await
        {
            tracing::error!(%error, account = id, "messages could not be removed");
            return Err(Closed::Failed);
        }
        Ok(())
    }

    async fn certificate(&mut self, login: Option<&str>, shown: Option<&ClientCertificate>) -> Result<Option<String>, Verdict> {
        self.attempt = None;
        let begun = self.parts.directory.attempt_with_certificate(login, Protocol::Pop3, self.peer);
        let attempt = self.begun(begun, login.unwrap_or_default()).map_err(Verdict::Slowed)?;
        let Some(shown) = shown else { return Ok(None) };
        attempt.certificate(&shown.emails, &shown.fingerprint).await.map_err(|error| {
            tracing::error!(%error, "a certificate could not be checked");
            Verdict::Failed
        })
    }

    async fn token(&mut self, login: Option<&str>, token: &str) -> Result<Result<String, TokenRefusal>, Verdict> {
        self.attempt = None;
        let begun = self.parts.directory.attempt_with_token(login, Protocol::Pop3, self.peer);
        let attempt = self.begun(begun, login.unwrap_or_default()).map_err(Verdict::Slowed)?;
        attempt.token(token).await.map_err(|error| {
            tracing::error!(%error, "a token could not be checked");
            Verdict::Failed
        })
    }

    /// Begins a log-in; the words of a refusal if too many have failed.
    fn attempt(&mut self, login: &str) -> Result<&mut Attempt, String> {
        // What another command began and did not end counts for nothing.
        self.attempt = None;
        let begun = self.parts.directory.attempt(login, Protocol::Pop3, self.peer);
        self.begun(begun, login)
    }

    fn begun(&mut self, begun: Result<Attempt, Slowed>, login: &str) -> Result<&mut Attempt, String> {
        let attempt = begun.map_err(|slowed| {
            tracing::info!(peer = %self.peer, login, full = slowed.subject.kind.name(), "a log-in was not looked at: {slowed}");
            slowed.to_string()
        })?;
        Ok(self.attempt.insert(attempt))
    }

    /// A log-in has ended.
    async fn login(&mut self, login: String, mechanism: &'static str, ok: bool, stream: &Stream) {
        let ended = match self.attempt.take() {
            Some(attempt) => attempt.ended(ok).await,
            None => LoggedIn { account: None, app_password: None, why: None },
        };
        self.account = ended.account;
        self.record(Event::Login {
            protocol: Protocol::Pop3.to_string(),
            peer: Some(self.peer),
            account: login,
            mechanism: mechanism.to_owned(),
            ok: self.account.is_some(),
            client: None,
            tls: stream.tls().map(ToString::to_string),
            app_password: ended.app_password,
            why: ended.why,
        });
    }

    fn fetched(&self, uid: Uid) {
        if let Some(account) = &self.account {
            self.record(Event::Fetched { account: account.address.to_string(), uid: uid.0, peer: Some(self.peer) });
        }
    }

    fn record(&self, event: Event) {
        self.parts.journal.record(Entry::new(UnixMillis(clock::unix_millis()), event));
    }
}

async fn handshake(stream: Stream, parts: &Parts) -> Option<Stream> {
    let peer = stream.peer_addr();
    let Some(tls) = &parts.tls else {
        tracing::error!(%peer, "a listener that needs TLS has no certificate");
        return None;
    };
    match stream.into_tls_server(tls).await {
        Ok(secured) => Some(secured),
        Err(error) => {
            tracing::debug!(%error, %peer, "no TLS with this client");
            None
        }
    }
}

fn certificate(stream: &Stream) -> Option<&ClientCertificate> {
    stream.tls()?.client.as_deref()
}

fn bindings(stream: &Stream) -> Bindings {
    let end_point = |digest: &Vec<u8>| EndPoint::from_digest(digest);
    stream.tls().map_or_else(Bindings::default, |tls| Bindings {
        exporter: tls.exporter,
        end_point: tls.end_point.as_ref().and_then(end_point),
    })
}

fn config(parts: &Parts) -> Config {
    let settings = &parts.settings;
    Config {
        hostname: parts.hostname.clone(),
        tls: parts.tls.is_some(),
        idle: settings.idle.0,
        login_time: settings.login_time.0,
        wrong_passwords_max: settings.wrong_passwords_max,
        bad_commands_max: settings.bad_commands_max,
        tokens: parts.directory.takes_tokens(),
        scram: parts.directory.takes_scram(),
        scram_sha1: parts.directory.takes_scram_sha1(),
        nonce: || {
            let mut octets = [0; 18];
            random::fill(&mut octets);
            octets
        },
    }
}
