//! The pump: one connection, from accept to close.
//!
//! It never interprets what it carries. What fails here ends this connection only; the mailbox is as the client knows it, because
//! deletions happen in one step at QUIT.

use std::net::IpAddr;

use bytes::BytesMut;
use posthouse_directory::AccountId;
use posthouse_journal::{Entry as JournalEntry, Event};
use posthouse_mail::UnixMillis;
use posthouse_mailbox::{Body, Lock, MailboxError, Uid};
use posthouse_runtime::net::Stream;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::stream::ByteSource as _;
use posthouse_runtime::{clock, random, select};
use posthouse_sasl::{ChannelBinding, Mechanism};

use super::session::{Answer, Entry, Limits, OpenError, Output, Profile, Question, Session};
use crate::context::Context;

/// Serves one connection; `implicit_tls` does the handshake before the greeting (RFC 8314 §3.2).
pub async fn serve(stream: Stream, context: Context, implicit_tls: bool, shutdown: Shutdown) {
    let peer = stream.peer_addr().ip();
    let Ok(_pass) = context.gate.enter(peer) else {
        let mut stream = stream;
        if !implicit_tls {
            // Nothing better can be said: the client tries again, which is right.
            let _gone = write(&mut stream, &context, b"-ERR [SYS/TEMP] too many connections, try again later\r\n").await;
        }
        return stream.close().await;
    };
    let stream = if implicit_tls { handshake(stream, &context).await } else { Some(stream) };
    let Some(mut stream) = stream else { return };
    let mut greet = true;
    loop {
        let mut visit = Visit::new(&stream, context.clone(), peer, greet);
        let end = select! {
            end = visit.run(&mut stream) => end,
            () = shutdown.requested() => End::Close,
        };
        match end {
            End::Close => return stream.close().await,
            // The old session and what it had buffered die here (RFC 2595 §4).
            End::StartTls => match handshake(stream, &context).await {
                Some(secured) => stream = secured,
                None => return,
            },
        }
        greet = false;
    }
}

enum End {
    Close,
    StartTls,
}

/// One session and what the client has of the mailbox.
struct Visit {
    session: Session,
    context: Context,
    peer: IpAddr,
    account: Option<AccountId>,
    lock: Option<Lock>,
}

impl Visit {
    fn new(stream: &Stream, context: Context, peer: IpAddr, greet: bool) -> Self {
        let settings = &context.settings;
        let profile = Profile {
            hostname: context.hostname.to_string(),
            secure: stream.tls().is_some(),
            tls_available: context.tls.is_some(),
            binding: stream.tls().and_then(|tls| tls.exporter).map_or(ChannelBinding::None, ChannelBinding::Exporter),
            fake_salt_seed: *context.directory.fake_salt_seed(),
            limits: Limits {
                login: settings.login_timeout.0,
                idle: settings.idle_timeout.0,
                bad_commands_max: settings.bad_commands_max,
                failed_logins_max: settings.failed_logins_max,
            },
        };
        Self { session: Session::new(profile, clock::now(), greet), context, peer, account: None, lock: None }
    }

    async fn run(&mut self, stream: &mut Stream) -> End {
        let mut input = BytesMut::new();
        loop {
            match self.session.poll(clock::now()) {
                Output::Send(bytes) => {
                    if !write(stream, &self.context, &bytes).await {
                        return End::Close;
                    }
                }
                Output::Ask(Question::Body { uid }) => {
                    if !self.send_body(stream, uid).await {
                        return End::Close;
                    }
                }
                Output::Ask(question) => {
                    let answer = self.find_out(question).await;
                    self.session.answer(clock::now(), answer);
                }
                Output::Wait(deadline) => {
                    // A time-out is said by the session itself at the next poll.
                    match clock::timeout_at(deadline, stream.read(&mut input)).await {
                        Ok(Ok(0)) => self.session.receive_eof(),
                        Ok(Ok(_)) => self.session.receive(&input.split()),
                        Ok(Err(_)) => return End::Close,
                        Err(_) => {}
                    }
                }
                Output::StartTls => return End::StartTls,
                Output::Close(why) => {
                    tracing::debug!(peer = %self.peer, ?why, "POP3 session ended");
                    return End::Close;
                }
            }
        }
    }

    async fn find_out(&mut self, question: Question) -> Answer {
        match question {
            Question::Nonce => {
                let mut nonce = [0; 18];
                random::fill(&mut nonce);
                Answer::Nonce(nonce)
            }
            Question::Password { login, password } => {
                let found = self.context.directory.verify_password(&login, password.reveal()).await;
                found.map_or_else(trouble, |account| Answer::Password(account.is_some()))
            }
            Question::Keys { login } => self.context.directory.scram_keys(&login).await.map_or_else(trouble, Answer::Keys),
            Question::Open { login, mechanism } => self.open(&login, mechanism).await,
            Question::Refused { login, mechanism } => {
                self.note_login(login, mechanism, false);
                Answer::Noted
            }
            Question::Remove { uids } => self.remove(uids).await,
            // Asked for in `run`, where the stream is.
            Question::Body { .. } => Answer::Trouble,
        }
    }

    async fn open(&mut self, login: &str, mechanism: Mechanism) -> Answer {
        let account = match self.context.directory.account(login).await {
            Ok(Some(account)) => account,
            Ok(None) => return Answer::Opened(Err(OpenError::Trouble)), // removed since the password was compared
            Err(error) => return trouble(error),
        };
        self.note_login(login.to_owned(), mechanism, true);
        let lock = match self.context.mailboxes.lock(account.id.as_str()) {
            Ok(lock) => lock,
            Err(MailboxError::InUse) => return Answer::Opened(Err(OpenError::InUse)),
            Err(error) => return trouble(error),
        };
        match self.context.mailboxes.inbox(account.id.as_str()).await {
            Ok(messages) => {
                self.account = Some(account.id);
                self.lock = Some(lock);
                let entry = |message: posthouse_mailbox::Message| {
                    let uidl = message.unique_id();
                    Entry { uid: message.uid.0, size: message.size, uidl }
                };
                Answer::Opened(Ok(messages.into_iter().map(entry).collect()))
            }
            Err(error) => trouble(error),
        }
    }

    async fn remove(&mut self, uids: Vec<u32>) -> Answer {
        let Some(account) = &self.account else { return Answer::Trouble };
        let uids: Vec<_> = uids.into_iter().map(Uid).collect();
        match self.context.mailboxes.remove(account.as_str(), &uids).await {
            // A message that was gone already is gone as well.
            Ok(_removed) => Answer::Removed(true),
            Err(error) => trouble(error),
        }
    }

    /// Streams a letter; false when the client is gone.
    async fn send_body(&mut self, stream: &mut Stream, uid: u32) -> bool {
        let mut body = match self.body(uid).await {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, uid, "a letter cannot be read from its mailbox");
                self.session.body_end(clock::now(), false);
                return true;
            }
        };
        let whole = loop {
            match body.next().await {
                Ok(Some(chunk)) => {
                    let more = self.session.body(&chunk);
                    while let Some(bytes) = self.session.take_ready() {
                        if !write(stream, &self.context, &bytes).await {
                            return false;
                        }
                    }
                    if !more {
                        break true;
                    }
                }
                Ok(None) => break true,
                Err(error) => {
                    tracing::error!(%error, uid, "a letter cannot be read from its mailbox");
                    break false;
                }
            }
        };
        self.session.body_end(clock::now(), whole);
        if let (true, Some(account)) = (whole, &self.account) {
            self.note(Event::Fetched { account: account.to_string(), uid, peer: Some(self.peer) });
        }
        true
    }

    async fn body(&self, uid: u32) -> Result<Body, MailboxError> {
        let account = self.account.as_ref().map_or("", AccountId::as_str);
        self.context.mailboxes.read(account, Uid(uid)).await
    }

    fn note_login(&self, account: String, mechanism: Mechanism, ok: bool) {
        let (protocol, mechanism) = ("pop3".to_owned(), mechanism.to_string());
        self.note(Event::Login { protocol, peer: Some(self.peer), account, mechanism, ok });
    }

    fn note(&self, event: Event) {
        self.context.journal.record(JournalEntry { at: UnixMillis(clock::unix_millis()), letter: None, event });
    }
}

/// What is not the client's fault is logged here and answered with `[SYS/TEMP]`.
fn trouble(error: impl std::error::Error) -> Answer {
    tracing::error!(%error, "a POP3 session cannot be served");
    Answer::Trouble
}

async fn handshake(stream: Stream, context: &Context) -> Option<Stream> {
    let peer = stream.peer_addr();
    let tls = context.tls.as_ref()?;
    match stream.into_tls_server(tls).await {
        Ok(secured) => Some(secured),
        Err(error) => {
            tracing::debug!(%peer, %error, "the TLS handshake of a POP3 client failed");
            None
        }
    }
}

/// Writes within the time a client has; false when it is gone.
async fn write(stream: &mut Stream, context: &Context, bytes: &[u8]) -> bool {
    matches!(clock::timeout(context.settings.write_timeout.0, stream.write_all(bytes)).await, Ok(Ok(())))
}
