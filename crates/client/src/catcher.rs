//! A real SMTP server for tests, in this process: it takes letters and keeps them.
//!
//! It listens on a free port of this machine, on a thread of its own, and ends when it is dropped. It speaks the same protocol as the server of this project, so
//! that what it accepts is well-formed; it delivers nothing.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use posthouse_mail::{Address, Envelope, Recipient, Reply};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::shutdown::{self, Shutdown, Trigger};
use posthouse_runtime::sync::watch;
use posthouse_runtime::tls::{Roots, ServerTls};
use posthouse_runtime::{block_on, clock, random, select, task};
use posthouse_sasl::{
    ChannelBinding, FAKE_SALT_SEED_BYTES, ITERATIONS_MIN, Mechanism, Nonce, SALT_BYTES, ScramKeys, TokenFault, TokenRefusal,
    prepare_login, prepare_password,
};
use posthouse_smtp::server::{
    Answer, AuthAnswer, AuthQuestion, Output, Profile, Protocol, Question, Reason, Session, Tls, Verdict,
};
use posthouse_smtp::syntax::ForwardPath;

use crate::caught::{Caught, NotCaught};
use crate::mailer::{Mailer, MailerBuilder, MailerError};

/// How long a test waits for a letter unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// The letters that are named when another one does not come.
const SHOWN_MAX: usize = 10;

/// A server that keeps what it is sent.
///
/// ```
/// use posthouse_client::{Catcher, Message, blocking};
///
/// let catcher = Catcher::start()?;
/// let mailer = blocking::Mailer::from(catcher.mailer()?.build()?);
/// let message = Message::builder().from("us@example.org").to("bob@example.net").subject("Hello").text("Hi.").build()?;
/// mailer.send(&message)?;
///
/// // In asynchronous tests: `catcher.wait_for("bob@example.net").await?`.
/// let letter = catcher.wait_for_now("bob@example.net")?;
/// assert_eq!(letter.subject().as_deref(), Some("Hello"));
/// assert_eq!(catcher.letters().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Catcher {
    shared: Arc<Shared>,
    address: SocketAddr,
    changed: watch::Receiver<usize>,
    stop: Trigger,
}

/// How a [`Catcher`] behaves.
///
/// ```
/// use posthouse_client::mail::Reply;
/// use posthouse_client::{Catcher, Message, blocking};
///
/// let catcher = Catcher::builder()
///     .login("alice", "secret")
///     .refuse("nobody@example.net", Reply::new(550, "5.1.1".parse()?, "no such user"))
///     .start()?;
/// let mailer = blocking::Mailer::from(catcher.mailer()?.credentials("alice", "secret").build()?);
/// let message = Message::builder().from("us@example.org").to("bob@example.net").to("nobody@example.net").text("Hi.").build()?;
/// let report = mailer.send(&message)?;
/// assert_eq!(report.failed().next().unwrap().to_string(), "nobody@example.net: refused: 550 5.1.1 no such user");
/// assert_eq!(catcher.wait_for_now("bob@example.net")?.login(), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CatcherBuilder {
    door: Door,
    login: Option<(String, String)>,
    refused: Vec<(String, Reply)>,
    refused_letters: Option<Reply>,
    size_max: Option<u64>,
    lmtp: bool,
    address: Option<SocketAddr>,
    hostname: Option<String>,
}

/// Where TLS begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Door {
    #[default]
    Plain,
    StartTls,
    Tls,
}

struct Shared {
    settings: CatcherBuilder,
    /// Our certificate, and the authority of it.
    tls: Option<(ServerTls, String)>,
    letters: Mutex<Vec<Arc<Caught>>>,
    changed: watch::Sender<usize>,
}

/// Where it is, and what has come.
///
/// ```
/// use std::time::Duration;
/// use posthouse_client::{Catcher, Mailer, Message, block_on, blocking};
///
/// let catcher = Catcher::start()?;
/// assert_eq!(catcher.url(), format!("smtp://{}", catcher.address())); // for a program that is told its server
/// assert!(catcher.authority().is_none(), "without TLS there is no certificate");
/// let mailer = blocking::Mailer::from(Mailer::connect(&catcher.url())?);
/// let message = Message::builder().from("us@example.org").to("bob@example.net").subject("Hello").text("Hi.").build()?;
/// for _ in 0..3 {
///     mailer.send(&message)?;
/// }
/// assert_eq!(catcher.wait_for_count_now(3)?.len(), 3); // in asynchronous tests: `catcher.wait_for_count(3).await?`
/// let wanted = |letter: &&std::sync::Arc<posthouse_client::Caught>| letter.subject().as_deref() == Some("Hello");
/// let wait = catcher.wait_until("called Hello", Duration::from_secs(1), |letters| letters.iter().find(wanted).cloned());
/// assert!(block_on(wait)?.is_ok());
/// catcher.clear();
/// assert!(catcher.letters().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Catcher {
    /// One that takes everything.
    ///
    /// # Errors
    /// The system gives no port or no thread.
    pub fn start() -> std::io::Result<Self> {
        Self::builder().start()
    }

    /// One that behaves otherwise.
    #[must_use]
    pub fn builder() -> CatcherBuilder {
        CatcherBuilder::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL for [`Mailer::builder`].
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match (self.shared.settings.lmtp, self.shared.settings.door) {
            (true, _) => "lmtp",
            (false, Door::Plain) => "smtp",
            (false, Door::StartTls) => "smtp+starttls",
            (false, Door::Tls) => "smtps",
        };
        format!("{scheme}://{}", self.address)
    }

    /// The authority of its certificate, in PEM form, made for this catcher alone: whoever shall send to it over TLS has to trust it.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.shared.tls.as_ref().map(|(_, authority)| authority.as_str())
    }

    /// A mailer that sends to it and trusts its authority, to be built.
    ///
    /// # Errors
    /// None in practice; those of [`Mailer::builder`].
    pub fn mailer(&self) -> Result<MailerBuilder, MailerError> {
        let mailer = Mailer::builder(&self.url())?;
        Ok(match self.authority() {
            Some(authority) => mailer.roots(Roots::Pem(authority.to_owned())),
            None => mailer,
        })
    }

    /// The letters so far, in the order in which they came.
    #[must_use]
    pub fn letters(&self) -> Vec<Arc<Caught>> {
        self.shared.letters().clone()
    }

    /// Forgets the letters so far.
    pub fn clear(&self) {
        self.shared.letters().clear();
    }

    /// Waits for a letter to somebody; one that came before counts.
    ///
    /// # Errors
    /// [`NotCaught`] after five seconds.
    pub async fn wait_for(&self, recipient: &str) -> Result<Arc<Caught>, NotCaught> {
        let wanted = format!("to {recipient}");
        self.wait_until(&wanted, PATIENCE, |letters| letters.iter().find(|letter| letter.is_for(recipient)).cloned()).await
    }

    /// The same for tests that are not asynchronous.
    ///
    /// # Errors
    /// [`NotCaught`] after five seconds.
    pub fn wait_for_now(&self, recipient: &str) -> Result<Arc<Caught>, NotCaught> {
        // Without an event queue what is there already is all that will come.
        block_on(self.wait_for(recipient)).unwrap_or_else(|_| Err(self.missing(recipient, Duration::ZERO)))
    }

    /// Waits until there are so many letters.
    ///
    /// # Errors
    /// [`NotCaught`] after five seconds.
    pub async fn wait_for_count(&self, count: usize) -> Result<Vec<Arc<Caught>>, NotCaught> {
        let wanted = format!("of {count}");
        self.wait_until(&wanted, PATIENCE, |letters| (letters.len() >= count).then(|| letters.to_vec())).await
    }

    /// The same for tests that are not asynchronous.
    ///
    /// # Errors
    /// [`NotCaught`] after five seconds.
    pub fn wait_for_count_now(&self, count: usize) -> Result<Vec<Arc<Caught>>, NotCaught> {
        block_on(self.wait_for_count(count)).unwrap_or_else(|_| Err(self.missing("at all", Duration::ZERO)))
    }

    /// Waits until `found` finds what it looks for, at most `patience`.
    ///
    /// # Errors
    /// [`NotCaught`].
    pub async fn wait_until<T>(
        &self,
        wanted: &str,
        patience: Duration,
        found: impl Fn(&[Arc<Caught>]) -> Option<T>,
    ) -> Result<T, NotCaught> {
        let mut changed = self.changed.clone();
        let deadline = clock::now() + patience;
        loop {
            changed.borrow_and_update();
            if let Some(found) = found(&self.shared.letters()) {
                return Ok(found);
            }
            if !matches!(clock::timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                return Err(self.missing(wanted, patience));
            }
        }
    }

    fn missing(&self, wanted: &str, patience: Duration) -> NotCaught {
        let letters = self.shared.letters();
        let last = letters.iter().skip(letters.len().saturating_sub(SHOWN_MAX));
        let found = last.map(|letter| format!("<{}> to {}", letter.from(), letter.to().join(" "))).collect();
        NotCaught { wanted: wanted.to_owned(), patience, count: letters.len(), found }
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.stop.fire();
    }
}

impl fmt::Debug for Catcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catcher").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Other doors, and refusals.
///
/// ```
/// use posthouse_client::mail::Reply;
/// use posthouse_client::{Catcher, Message, blocking};
///
/// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
/// let sent = |catcher: &Catcher| -> Result<bool, Box<dyn std::error::Error>> {
///     Ok(blocking::Mailer::from(catcher.mailer()?.build()?).send(&message)?.is_complete())
/// };
/// assert!(sent(&Catcher::builder().implicit_tls().start()?)?);
/// assert!(sent(&Catcher::builder().lmtp().start()?)?);
/// assert!(sent(&Catcher::builder().listen("127.0.0.2:0".parse()?).start()?)?);
/// assert!(!sent(&Catcher::builder().size_max(100).start()?)?);
/// assert!(!sent(&Catcher::builder().refuse_letters(Reply::new(452, "4.3.1".parse()?, "no room")).start()?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl CatcherBuilder {
    /// Offers STARTTLS, with a certificate for `localhost` and its address, of an authority that is made for it. A login is offered inside TLS only.
    ///
    /// ```
    /// use posthouse_client::{Catcher, Mailer, Message, Roots, blocking};
    ///
    /// let catcher = Catcher::builder().starttls().start()?;
    /// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
    /// // As any other program would do it; `catcher.mailer()` trusts it already.
    /// let authority = Roots::Pem(catcher.authority().unwrap().to_owned());
    /// let mailer = Mailer::builder(&format!("smtp+starttls://localhost:{}", catcher.address().port()))?.roots(authority).build()?;
    /// blocking::Mailer::from(mailer).send(&message)?;
    /// assert!(catcher.wait_for_now("bob@example.net")?.tls().unwrap().starts_with("TLSv1.3"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn starttls(mut self) -> Self {
        self.door = Door::StartTls;
        self
    }

    /// Speaks TLS from the first octet, with a certificate as [`Self::starttls`] has.
    #[must_use]
    pub fn implicit_tls(mut self) -> Self {
        self.door = Door::Tls;
        self
    }

    /// Offers a login, to this user with this password; letters are taken without it too.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// Refuses a recipient with this reply.
    #[must_use]
    pub fn refuse(mut self, address: impl Into<String>, reply: Reply) -> Self {
        self.refused.push((address.into(), reply));
        self
    }

    /// Refuses every letter at its end with this reply.
    #[must_use]
    pub fn refuse_letters(mut self, reply: Reply) -> Self {
        self.refused_letters = Some(reply);
        self
    }

    /// The octets a letter may have; 50 MiB if not said.
    #[must_use]
    pub fn size_max(mut self, octets: u64) -> Self {
        self.size_max = Some(octets);
        self
    }

    /// Speaks LMTP, which has no TLS here.
    #[must_use]
    pub fn lmtp(mut self) -> Self {
        self.lmtp = true;
        self
    }

    /// Listens at this address; at a free port of 127.0.0.1 if not said.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// What it is called: in its greeting, and in its certificate too. With a zone in memory that leads to it, it is the mail host of a domain:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use posthouse_client::{Catcher, Mailer, Message, blocking, dns, mx::NoPolicies};
    ///
    /// let catcher = Catcher::builder().starttls().hostname("mx.example.net").start()?;
    /// let zone = dns::Zone::of("example.net MX 10 mx.example.net\nmx.example.net A 127.0.0.1")?;
    /// let mailer = Mailer::direct_with("app.example.org", Arc::new(NoPolicies))
    ///     .resolver(Arc::new(zone))
    ///     .port(catcher.address().port())
    ///     .build()?;
    /// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
    /// blocking::Mailer::from(mailer).send(&message)?;
    /// assert!(catcher.wait_for_now("bob@example.net")?.tls().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = Some(name.into());
        self
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// The system gives no port or no thread.
    pub fn start(self) -> std::io::Result<Catcher> {
        let listener = Listener::bind(self.address.unwrap_or_else(|| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)))?;
        let address = listener.local_addr();
        let (changed, watcher) = watch::channel(0);
        let tls = match self.door {
            Door::Plain => None,
            Door::StartTls | Door::Tls if self.lmtp => {
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "LMTP has no TLS here"));
            }
            Door::StartTls | Door::Tls => {
                let known = ["localhost".to_owned(), address.ip().to_string()];
                let names: Vec<String> = known.into_iter().chain(self.hostname.clone()).collect();
                Some(ServerTls::throw_away(&names).map_err(std::io::Error::other)?)
            }
        };
        let shared = Arc::new(Shared { settings: self, tls, letters: Mutex::default(), changed });
        let (stop, stopped) = shutdown::channel();
        let visitors = Arc::clone(&shared);
        task::thread("catcher", move || {
            // Without an event queue nobody is served, and every test that waits says so.
            let _ = block_on(listen(listener, visitors, stopped));
        })?;
        Ok(Catcher { shared, address, changed: watcher, stop })
    }

    fn profile(&self) -> Profile {
        let offered = if self.login.is_some() { Mechanism::WITH_PASSWORD.to_vec() } else { Vec::new() };
        Profile {
            protocol: if self.lmtp { Protocol::Lmtp } else { Protocol::Smtp },
            hostname: self.hostname.clone().unwrap_or_else(|| "catcher.localhost".to_owned()),
            starttls: self.door == Door::StartTls,
            mechanisms: offered,
            auth_without_tls: self.door == Door::Plain,
            letter_bytes_max: self.size_max.unwrap_or(50 << 20),
            letters_max: u32::MAX,
            ..Profile::default()
        }
    }
}

async fn listen(listener: Listener, shared: Arc<Shared>, stopped: Shutdown) {
    loop {
        select! {
            accepted = listener.accept() => {
                let Ok(stream) = accepted else { return };
                let visit = Visit::new(Arc::clone(&shared));
                task::spawn("catcher", visit.serve(stream));
            }
            () = stopped.requested() => return,
        }
    }
}

/// One connection.
struct Visit {
    shared: Arc<Shared>,
    tls: Option<String>,
    login: Option<String>,
    envelope: Option<Envelope>,
    letter: BytesMut,
}

impl Visit {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tls: None, login: None, envelope: None, letter: BytesMut::new() }
    }

    async fn serve(mut self, mut stream: Stream) {
        let mut channel = None;
        if self.shared.settings.door == Door::Tls {
            let Some(secured) = self.secure(stream).await else { return };
            (stream, channel) = (secured.0, Some(secured.1));
        }
        let mut session = Session::new(self.shared.settings.profile(), channel, clock::now());
        let mut input = BytesMut::new();
        loop {
            match session.poll(clock::now()) {
                Output::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Output::Ask(question) => session.answer(clock::now(), self.answer(question)),
                Output::Body(piece) => self.letter.extend_from_slice(&piece),
                Output::Note(_) => {}
                Output::Wait(deadline) if session.wants_read() => {
                    match clock::timeout_at(deadline, stream.read(&mut input)).await {
                        Ok(Ok(0)) => session.receive_eof(clock::now()),
                        Ok(Ok(_)) => session.receive(clock::now(), input.split()),
                        Ok(Err(_)) => return,
                        // The session itself says what a deadline means.
                        Err(_) => {}
                    }
                }
                Output::Wait(deadline) => clock::sleep_until(deadline).await,
                Output::StartTls => {
                    input.clear();
                    let Some((secured, channel)) = self.secure(stream).await else { return };
                    stream = secured;
                    session.tls_established(clock::now(), channel);
                }
                Output::Close(_) => return stream.close().await,
            }
        }
    }

    /// A client that does not trust us is gone here.
    async fn secure(&mut self, stream: Stream) -> Option<(Stream, Tls)> {
        let (tls, _) = self.shared.tls.as_ref()?;
        let stream = stream.into_tls_server(tls).await.ok()?;
        let info = stream.tls()?;
        self.tls = Some(info.to_string());
        let binding = info.exporter.map_or(ChannelBinding::None, ChannelBinding::Exporter);
        Some((stream, Tls { bindings: binding.into(), certified: false }))
    }

    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Connect | Question::Hello { .. } | Question::Xclient(_) | Question::Letter => {
                self.letter.clear();
                Answer::Verdict(Verdict::Accept)
            }
            Question::Auth(question) => self.log_in(question),
            Question::Sender(sender) => {
                let mut envelope = Envelope::new(sender.path, Vec::new());
                (envelope.body, envelope.smtputf8) = (sender.body, sender.smtputf8);
                (envelope.ret, envelope.envid) = (sender.ret, sender.envid);
                self.envelope = Some(envelope);
                Answer::Verdict(Verdict::Accept)
            }
            Question::Recipient(recipient) => {
                let address: Option<Address> = match recipient.path {
                    ForwardPath::Mailbox(address) => Some(address),
                    ForwardPath::Postmaster => "postmaster@catcher.localhost".parse().ok(),
                };
                let Some((address, envelope)) = address.zip(self.envelope.as_mut()) else {
                    return Answer::Verdict(Verdict::Accept);
                };
                let text = address.to_string();
                let refused = self.shared.settings.refused.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(&text));
                if let Some((_, reply)) = refused {
                    return Answer::Verdict(verdict(reply));
                }
                envelope.recipients.push(Recipient { address, notify: recipient.notify, orcpt: recipient.orcpt });
                Answer::Verdict(Verdict::Accept)
            }
            Question::Message { .. } => self.keep(),
        }
    }

    fn log_in(&mut self, question: AuthQuestion) -> Answer {
        let known = self.shared.settings.login.as_ref();
        Answer::Auth(match question {
            AuthQuestion::Begin(_) => {
                let mut octets = [0; 18];
                random::fill(&mut octets);
                AuthAnswer::Begin(Nonce::from_random(octets))
            }
            AuthQuestion::Password { login, password } => {
                let right = known.is_some_and(|(user, secret)| {
                    prepare_login(user).is_ok_and(|user| user == login)
                        && prepare_password(secret).is_ok_and(|secret| secret.reveal() == password.reveal())
                });
                self.login = right.then_some(login);
                AuthAnswer::Password(right)
            }
            AuthQuestion::Keys { login, hash } => {
                let keys = known.filter(|(user, _)| *user == login).and_then(|(_, secret)| {
                    ScramKeys::derive(hash, &prepare_password(secret).ok()?, &[7; SALT_BYTES], ITERATIONS_MIN).ok()
                });
                self.login = Some(login);
                AuthAnswer::Keys { keys, seed: [7; FAKE_SALT_SEED_BYTES] }
            }
            // Neither is offered: a catcher knows no issuer, and asks for no certificate.
            AuthQuestion::Certificate { .. } => AuthAnswer::Certificate(None),
            AuthQuestion::Token { .. } => {
                AuthAnswer::Token(Err(TokenRefusal { fault: TokenFault::Invalid, scope: None, configuration: None }))
            }
        })
    }

    fn keep(&mut self) -> Answer {
        let envelope = self.envelope.take();
        let letter = std::mem::take(&mut self.letter).freeze();
        let count = if self.shared.settings.lmtp { envelope.as_ref().map_or(1, |envelope| envelope.recipients.len()) } else { 1 };
        if let Some(reply) = &self.shared.settings.refused_letters {
            return Answer::Message { id: String::new(), verdicts: vec![verdict(reply); count] };
        }
        let number = {
            let mut letters = self.shared.letters();
            letters.extend(
                envelope.map(|envelope| Arc::new(Caught::new(envelope, letter).over(self.login.clone(), self.tls.clone()))),
            );
            letters.len()
        };
        self.shared.changed.send_modify(|changes| *changes += 1);
        Answer::Message { id: format!("caught {number}"), verdicts: vec![Verdict::Accept; count] }
    }
}

impl Shared {
    fn letters(&self) -> MutexGuard<'_, Vec<Arc<Caught>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verdict(reply: &Reply) -> Verdict {
    let reason = Reason::new(reply.code(), reply.status_or_default(), reply.text());
    if reply.is_permanent() { Verdict::Reject(reason) } else { Verdict::Defer(reason) }
}
