//! One peer's visit: who it is, what it has begun, and the answers it gets.
//!
//! The protocol's state is the session's; here is what the session does not know. Both forget a letter at the same time, by
//! [`Note::Abandoned`] or by the letter's end.

use std::collections::HashSet;
use std::net::IpAddr;

use bytes::Bytes;
use posthouse_directory::Account;
use posthouse_journal::Event;
use posthouse_mail::{Address, Priority, Recipient, UnixMillis};
use posthouse_smtp::server::{Answer, HelloKind, Note, Question, SenderQuestion, Verdict};

use crate::check;
use crate::context::{Context, ListenerKind};
use crate::letter::Incoming;
use crate::note;

/// See the module.
pub(crate) struct Visit<'a> {
    pub(crate) context: &'a Context,
    pub(crate) kind: ListenerKind,
    pub(crate) peer: IpAddr,
    /// The TLS version and cipher.
    pub(crate) tls: Option<String>,
    pub(crate) hello: Option<Hello>,
    /// Who is logged in.
    pub(crate) account: Option<Account>,
    /// Who is logging in, before the mechanism has come to its end.
    pub(crate) candidate: Option<Account>,
    pub(crate) begun: Option<Begun>,
}

/// What the peer called itself.
pub(crate) struct Hello {
    pub(crate) kind: HelloKind,
    pub(crate) name: String,
}

/// A letter from MAIL on.
pub(crate) struct Begun {
    pub(crate) sender: SenderQuestion,
    /// When MAIL came: what it says in seconds counts from here.
    pub(crate) at: UnixMillis,
    /// The priority it has, whatever was asked for.
    pub(crate) priority: Priority,
    /// What RCPT said, in order: for the replies of LMTP and the `for` of `Received`.
    pub(crate) named: Vec<Address>,
    /// Whom the letter goes to: aliases followed, each once.
    pub(crate) recipients: Vec<Recipient>,
    /// Their addresses.
    pub(crate) known: HashSet<Address>,
    /// The aliases that were followed.
    pub(crate) expanded: Vec<(Address, Vec<Address>)>,
    /// From DATA or BDAT on.
    pub(crate) letter: Option<Incoming>,
    /// What is being asked about the sender, if letters of this peer are looked at.
    pub(crate) asked: Option<check::Asked>,
}

impl Begun {
    pub(crate) fn new(sender: SenderQuestion, at: UnixMillis, priority: Priority) -> Self {
        let (named, recipients, expanded) = (Vec::new(), Vec::new(), Vec::new());
        Self { sender, at, priority, named, recipients, known: HashSet::new(), expanded, letter: None, asked: None }
    }
}

impl<'a> Visit<'a> {
    pub(crate) fn new(context: &'a Context, kind: ListenerKind, peer: IpAddr) -> Self {
        // An IPv4 client is one, however the socket shows it.
        let peer = peer.to_canonical();
        Self { context, kind, peer, tls: None, hello: None, account: None, candidate: None, begun: None }
    }

    /// The answer to a session's question.
    pub(crate) async fn find_out(&mut self, question: Question) -> Answer {
        match question {
            Question::Connect => Answer::Verdict(check::connect(self.context)),
            Question::Hello { kind, name } => Answer::Verdict(check::hello(self, kind, name)),
            Question::Auth(question) => check::auth(self, question).await,
            Question::Sender(question) => check::sender(self, question).await,
            Question::Recipient(question) => Answer::Verdict(check::recipient(self, question).await),
            Question::Letter => Answer::Verdict(check::room(self)),
            Question::Message { .. } => check::accept(self).await,
        }
    }

    /// Takes a piece of the letter.
    pub(crate) async fn take(&mut self, piece: Bytes) -> Result<(), Verdict> {
        check::piece(self, piece).await
    }

    /// Writes down what the session says.
    pub(crate) fn note(&mut self, note: Note) {
        match note {
            Note::Refused(refusal) => {
                let sender = self.begun.as_ref().map(|begun| &begun.sender.path);
                note::refused(self.context, self.kind, self.peer, sender, refusal);
            }
            Note::Login { login, mechanism, failure } => {
                let candidate = self.candidate.take();
                if let Some(why) = &failure {
                    tracing::info!(peer = %self.peer, login, %mechanism, why, "a login failed");
                } else {
                    self.account = candidate;
                }
                let (protocol, account) = ("smtp".to_owned(), login.unwrap_or_default());
                let (mechanism, ok) = (mechanism.to_string(), failure.is_none());
                note::record(self.context, None, Event::Login { protocol, peer: Some(self.peer), account, mechanism, ok });
            }
            Note::Abandoned => self.abandon(),
        }
    }

    /// TLS begins: nothing said before counts (RFC 3207 §4.2).
    pub(crate) fn secured(&mut self, tls: Option<String>) {
        (self.hello, self.account, self.candidate) = (None, None, None);
        self.abandon();
        self.tls = tls;
    }

    /// Forgets the letter that was begun.
    pub(crate) fn abandon(&mut self) {
        self.begun = None;
    }
}
