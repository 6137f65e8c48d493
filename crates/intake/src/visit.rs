//! One peer's visit: who it is, what it has begun, and the answers it gets.
//!
//! The protocol's state is the session's; here is what the session does not know. Both forget a letter at the same time, by
//! [`Note::Abandoned`] or by the letter's end.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use posthouse_directory::{Account, Attempt, Protocol};
use posthouse_journal::Event;
use posthouse_mail::{Address, LetterId, Priority, Recipient, Status, UnixMillis};
use posthouse_runtime::gate::Pass;
use posthouse_runtime::tls::{ClientCertificate, TlsInfo};
use posthouse_sasl::Mechanism;
use posthouse_smtp::server::{Answer, HelloKind, Note, Question, Reason, SenderQuestion, Verdict, XclientQuestion};

use crate::abuse::{self, Lists};
use crate::check;
use crate::context::{Context, ListenerKind};
use crate::letter::Incoming;
use crate::local::Caller;
use crate::milter::Milters;
use crate::note::{self, Who};

/// See the module.
pub(crate) struct Visit<'a> {
    pub(crate) context: &'a Context,
    pub(crate) kind: ListenerKind,
    pub(crate) peer: IpAddr,
    /// Its port; 0 where a server in front of us has not said it.
    pub(crate) port: u16,
    /// The user of this machine who came; then `peer` is loopback and means nothing.
    pub(crate) caller: Option<Caller>,
    /// The address at which it came, if it came over the network.
    pub(crate) local: Option<IpAddr>,
    /// The TLS version and cipher.
    pub(crate) tls: Option<String>,
    /// The certificate that the client has shown, if it is believed.
    pub(crate) certificate: Option<Box<ClientCertificate>>,
    pub(crate) hello: Option<Hello>,
    /// Who is logged in.
    pub(crate) account: Option<Account>,
    /// The log-in under way, until the mechanism has come to its end. On the heap, as the letter: a connection that waits has neither.
    pub(crate) attempt: Option<Box<Attempt>>,
    pub(crate) begun: Option<Box<Begun>>,
    /// What lists say of the peer.
    pub(crate) lists: Lists,
    /// The filters of this visit, if there are any.
    pub(crate) milters: Option<Milters>,
    /// What the client called itself, when a server in front of us has said it.
    pub(crate) named: Option<String>,
    /// The place of the client that a server in front of us has named.
    pub(crate) pass: Option<Pass>,
}

/// What the peer called itself.
pub(crate) struct Hello {
    pub(crate) kind: HelloKind,
    pub(crate) name: String,
    /// Why it cannot be right, if that is to be told.
    pub(crate) fault: Option<&'static str>,
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
    /// Under which id the journal has something of the letter, though it is not in the queue.
    pub(crate) told: Option<LetterId>,
}

impl Begun {
    pub(crate) fn new(sender: SenderQuestion, at: UnixMillis, priority: Priority) -> Self {
        let (named, recipients, expanded) = (Vec::new(), Vec::new(), Vec::new());
        Self { sender, at, priority, named, recipients, known: HashSet::new(), expanded, letter: None, asked: None, told: None }
    }
}

impl<'a> Visit<'a> {
    pub(crate) fn new(context: &'a Context, kind: ListenerKind, peer: SocketAddr) -> Self {
        // An IPv4 client is one, however the socket shows it.
        let (peer, port) = (peer.ip().to_canonical(), peer.port());
        let milters = Milters::new(context, kind);
        Self {
            context,
            kind,
            peer,
            port,
            caller: None,
            local: None,
            tls: None,
            certificate: None,
            hello: None,
            account: None,
            attempt: None,
            begun: None,
            lists: Lists::Unasked,
            milters,
            named: None,
            pass: None,
        }
    }

    /// Whose visit it is.
    pub(crate) fn who(&self) -> Who<'_> {
        self.caller.as_ref().map_or(Who::Peer(self.peer), |caller| Who::User(&caller.submitter))
    }

    /// The answer to a session's question.
    pub(crate) async fn find_out(&mut self, question: Question) -> Answer {
        match question {
            Question::Connect => Answer::Verdict(check::connect(self)),
            Question::Hello { kind, name } => Answer::Verdict(check::hello(self, kind, name)),
            Question::Xclient(question) => Answer::Verdict(self.handed_on(question)),
            Question::Auth(question) => check::auth(self, question).await,
            Question::Sender(question) => check::sender(self, question).await,
            Question::Recipient(question) => Answer::Verdict(check::recipient(self, question).await),
            Question::Letter => Answer::Verdict(check::room(self)),
            Question::Message { .. } => check::accept(self).await,
        }
    }

    /// A server in front of us says whose connection this is: everything begins anew, and who may connect is asked about the client.
    fn handed_on(&mut self, question: XclientQuestion) -> Verdict {
        if let Some(address) = question.address {
            let address = address.to_canonical();
            self.pass = match self.context.gate.enter(address) {
                Ok(pass) => Some(pass),
                Err(_) => {
                    return Verdict::Drop(Reason::new(421, Status::temporary(7, 0), "too many connections, try again later"));
                }
            };
            (self.peer, self.port) = (address, 0);
            // The server in front has shown it, and not the client.
            self.certificate = None;
        }
        (self.hello, self.account, self.attempt) = (None, None, None);
        self.named = question.helo;
        self.abandon();
        self.milters = Milters::new(self.context, self.kind);
        check::connect(self)
    }

    /// Takes a piece of the letter.
    pub(crate) async fn take(&mut self, piece: Bytes) -> Result<(), Verdict> {
        check::piece(self, piece).await
    }

    /// Writes down what the session says.
    pub(crate) async fn note(&mut self, note: Note) {
        match note {
            Note::Refused(refusal) => {
                if refusal.reply.is_permanent() {
                    abuse::error(self);
                }
                note::refused(self.context, self.kind, self.who(), self.begun.as_deref(), refusal);
            }
            Note::Login { login, mechanism, failure } => self.login(login, mechanism, failure).await,
            Note::Abandoned => self.abandon(),
        }
    }

    /// A login has ended.
    async fn login(&mut self, login: Option<String>, mechanism: Mechanism, failure: Option<String>) {
        let ended = match self.attempt.take() {
            Some(attempt) => Some(attempt.ended(failure.is_none()).await),
            None => None,
        };
        let (mut app_password, mut why) = (None, failure);
        if let Some(ended) = ended {
            (self.account, app_password) = (ended.account, ended.app_password);
            why = ended.why.or(why);
        }
        if let Some(why) = &why {
            tracing::info!(peer = %self.peer, login, %mechanism, why, "a login failed");
        }
        let event = Event::Login {
            protocol: Protocol::Smtp.to_string(),
            peer: Some(self.peer),
            account: login.unwrap_or_default(),
            mechanism: mechanism.to_string(),
            ok: self.account.is_some(),
            client: self.hello.as_ref().map(|hello| hello.name.clone()),
            tls: self.tls.clone(),
            app_password,
            why,
        };
        note::record(self.context, None, event);
    }

    /// TLS begins: nothing said before counts (RFC 3207 §4.2).
    pub(crate) fn secured(&mut self, tls: Option<&TlsInfo>) {
        (self.hello, self.account, self.attempt) = (None, None, None);
        self.abandon();
        self.milters = Milters::new(self.context, self.kind);
        self.shown(tls);
    }

    /// What the handshake said.
    pub(crate) fn shown(&mut self, tls: Option<&TlsInfo>) {
        self.tls = tls.map(ToString::to_string);
        self.certificate = tls.and_then(|tls| tls.client.clone());
    }

    /// Forgets the letter that was begun.
    pub(crate) fn abandon(&mut self) {
        self.begun = None;
        if let Some(milters) = &mut self.milters {
            milters.abandon();
        }
    }
}
