//! One connection to one server: a session, pumped over a socket.
//!
//! It never waits with a full hand: while it writes it reads, so that a server that answers early, or answers a thousand recipients before it reads
//! on, does not wait for us while we wait for it. It never retries a letter; what to do with a result is the caller's policy. An error means that
//! the connection is of no further use.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use posthouse_mail::{Domain, Envelope, Reply, UnixMillis};
use posthouse_runtime::net::{Moved, Stream};
use posthouse_runtime::stream::ByteSource;
use posthouse_runtime::tls::{CertificateInfo, ClientTls, TlsError, TlsInfo};
use posthouse_runtime::{clock, random};
use posthouse_sasl::{ChannelBinding, Nonce};
use posthouse_smtp::client::{
    Capabilities, Chunks, ClientSession, Output, RecipientResult, Secured, SessionError, Settings, Stage, StartTls,
};

use crate::error::ClientError;
use crate::race::{self, Race};
use crate::target::{Known, Security, Target, Transcript};

/// How long a farewell may take: nothing depends on it.
const QUIT_MAX: Duration = Duration::from_secs(5);
/// How long to look for a reply that came just before the connection broke.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// A connection that is logged in and at rest.
///
/// ```
/// use posthouse_client::{Catcher, ClientError, Connection, Message, Security, Target, block_on};
///
/// let catcher = Catcher::start()?;
/// let target = Target::new("localhost", vec![catcher.address()], Security::Plain, "app.example.org");
/// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
/// block_on(async {
///     let mut connection = Connection::open(&target).await?;
///     println!("{} at {}, from {}", connection.name(), connection.peer(), connection.local());
///     assert!(connection.capabilities().pipelining);
///     assert!(connection.tls().is_none() && connection.tls_fallback().is_none() && connection.certificates().is_empty());
///     assert!(connection.lacks_tls(message.envelope()).is_none());
///     for result in connection.send(message.envelope(), &mut message.body()).await? {
///         println!("{result:?}");
///     }
///     assert!(connection.is_reusable() && connection.letters() == 1);
///     assert!(!connection.refused_chunks() && !connection.sent_undeclared_eight_bit());
///     connection.quit().await;
///     Ok::<_, ClientError>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    wire: Wire,
    name: String,
    fallback: Option<String>,
    letters: usize,
    known: Known,
}

/// A letter for [`Connection::send_each`].
///
/// ```
/// use std::borrow::Cow;
/// use posthouse_client::{Message, Outgoing};
///
/// let message = Message::builder().from("us@example.org").to("bob@example.net").text("Hi.").build()?;
/// let outgoing = Outgoing { envelope: Cow::Borrowed(message.envelope()), body: Box::new(message.body()) };
/// assert_eq!(outgoing.body.len(), message.size());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outgoing<'a> {
    /// Who it goes to.
    pub envelope: Cow<'a, Envelope>,
    /// Its octets, with CRLF line ends.
    pub body: Box<dyn ByteSource + 'a>,
}

/// The session and its socket.
struct Wire {
    stream: Stream,
    session: ClientSession,
    input: BytesMut,
    /// Something was heard since we said something.
    heard: bool,
    transcript: Option<Transcript>,
}

/// Why one address did not lead to a session.
enum Missed {
    Connect(String),
    Tls(TlsError),
    Session(SessionError),
}

impl Connection {
    /// Connects to the first of the target's addresses that answers, secures the connection and logs in.
    ///
    /// The addresses are raced (RFC 8305). Another one is tried when one breaks off, does not answer in time, or turns us away before the login; a refused login,
    /// missing TLS and wrong certificates are the last word.
    ///
    /// # Errors
    /// [`ClientError`]; of several addresses, that of the last with which there was a dialogue.
    pub async fn open(target: &Target) -> Result<Self, ClientError> {
        let helo = match target.helo.as_str() {
            "" => None,
            name => Some(name.parse::<Domain>().map_err(|_| ClientError::Helo(name.to_owned()))?),
        };
        let mut race = Race::new(target, target.in_order());
        let mut last = None;
        while let Some((address, stream)) = race.next().await {
            let missed = match Self::open_on(target, helo.as_ref(), stream).await {
                Ok(connection) => return Ok(connection),
                Err(missed) => missed,
            };
            let name = target.name.clone();
            match missed {
                Missed::Connect(words) => race.failures.push((address, words)),
                Missed::Tls(source) => return Err(ClientError::Tls { name, address, source }),
                Missed::Session(source) => {
                    let elsewhere = may_differ_elsewhere(&source);
                    let error = ClientError::Session { name, address, source };
                    if !elsewhere {
                        return Err(error);
                    }
                    last = Some(error);
                }
            }
        }
        let name = target.name.clone();
        Err(match last {
            Some(error) => error,
            None if race.failures.is_empty() => ClientError::NoAddress { name },
            None => ClientError::Connect { name, failures: race.failures },
        })
    }

    /// Speaks with a server that is connected already: over a socket of this machine, or whatever else the caller has opened. The target's addresses and
    /// proxy are not used.
    ///
    /// ```no_run
    /// use posthouse_client::{ClientError, Connection, Stream, Target};
    ///
    /// async fn open(target: &Target) -> Result<Connection, Box<dyn std::error::Error>> {
    ///     let stream = Stream::connect("192.0.2.1:25".parse()?, None).await?;
    ///     Ok(Connection::open_over(target, stream).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_over(target: &Target, stream: Stream) -> Result<Self, ClientError> {
        let helo = match target.helo.as_str() {
            "" => None,
            name => Some(name.parse::<Domain>().map_err(|_| ClientError::Helo(name.to_owned()))?),
        };
        let (name, address) = (target.name.clone(), stream.peer_addr());
        let (tls, start_tls) = match &target.security {
            Security::Plain | Security::Implicit(_) => (None, StartTls::Never),
            Security::Opportunistic(tls) => (Some(tls), StartTls::IfOffered),
            Security::StartTls(tls) => (Some(tls), StartTls::Required),
        };
        Self::attempt(target, helo.as_ref(), stream, start_tls, tls).await.map_err(|missed| match missed {
            Missed::Connect(words) => ClientError::Connect { name, failures: vec![(address, words)] },
            Missed::Tls(source) => ClientError::Tls { name, address, source },
            Missed::Session(source) => ClientError::Session { name, address, source },
        })
    }

    async fn open_on(target: &Target, helo: Option<&Domain>, stream: Stream) -> Result<Self, Missed> {
        let (tls, start_tls) = match &target.security {
            Security::Plain | Security::Implicit(_) => (None, StartTls::Never),
            Security::Opportunistic(tls) => (Some(tls), StartTls::IfOffered),
            Security::StartTls(tls) => (Some(tls), StartTls::Required),
        };
        let address = stream.peer_addr();
        match Self::attempt(target, helo, stream, start_tls, tls).await {
            // RFC 7435 §3: a server whose TLS does not work is no worse than one without. The connection is new, because the old one is in the middle of a handshake.
            Err(Missed::Tls(error)) if start_tls == StartTls::IfOffered => {
                let stream = race::connect(target, address).await.map_err(Missed::Connect)?;
                let mut connection = Self::attempt(target, helo, stream, StartTls::Never, None).await?;
                connection.fallback = Some(error.to_string());
                Ok(connection)
            }
            other => other,
        }
    }

    async fn attempt(
        target: &Target,
        helo: Option<&Domain>,
        mut stream: Stream,
        start_tls: StartTls,
        tls: Option<&ClientTls>,
    ) -> Result<Self, Missed> {
        // Behind a proxy the far end is another machine, wherever the proxy is.
        let is_local = target.proxy.is_none() && is_loopback(stream.peer_addr());
        let mut early = BytesMut::new();
        if let Some(proxy) = &target.proxy {
            let through = clock::timeout(target.timeouts.connect, proxy.pass(&mut stream, &target.name, target.port));
            early = through
                .await
                .map_err(|_| Missed::Connect("no answer of the proxy in time".to_owned()))?
                .map_err(Missed::Connect)?;
        }
        if let Security::Implicit(tls) = &target.security {
            stream = stream.into_tls_client(tls, &tls_name(target)).await.map_err(Missed::Tls)?;
        }
        let mut nonce = [0; 18];
        random::fill(&mut nonce);
        let settings = Settings {
            protocol: target.protocol,
            // RFC 5321 §4.1.4: one without a name gives its address.
            helo: helo.cloned().unwrap_or_else(|| Domain::from_ip(stream.local_addr().ip().to_canonical())),
            start_tls,
            credentials: target.credentials.clone(),
            danger_credentials_unprotected: target.danger_credentials_unprotected || is_local,
            all_or_none: target.all_or_none,
            chunks: target.known.chunks(),
            nonce: Nonce::from_random(nonce),
            timeouts: target.timeouts,
            transcript: target.transcript.is_some(),
        };
        let session = ClientSession::start(settings, secured(&stream), clock::now());
        let mut wire = Wire { stream, session, input: BytesMut::new(), heard: false, transcript: target.transcript.clone() };
        if !early.is_empty() {
            wire.session.receive(clock::now(), &early);
        }
        loop {
            match wire.run().await {
                Output::Ready => {
                    let (name, known) = (target.name.clone(), target.known.clone());
                    return Ok(Self { wire, name, fallback: None, letters: 0, known });
                }
                Output::StartTls => {
                    let Some(tls) = tls else { return Err(Missed::Session(SessionError::Misuse("TLS was not asked for"))) };
                    wire = wire.secure(tls, &tls_name(target)).await.map_err(Missed::Tls)?;
                }
                Output::Closed(why) => {
                    return Err(Missed::Session(why.unwrap_or(SessionError::Misuse("closed before it began"))));
                }
                Output::Send(_) | Output::Body | Output::Done(_) | Output::Wait(_) => {
                    return Err(Missed::Session(SessionError::Misuse("a letter before the login")));
                }
            }
        }
    }

    /// The address this connection goes to.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.wire.stream.peer_addr()
    }

    /// The address it comes from.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.wire.stream.local_addr()
    }

    /// What TLS agreed on; `None` in clear.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.wire.stream.tls()
    }

    /// The certificates the server showed, its own first.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        self.wire.stream.peer_certificates()
    }

    /// Why the connection is in clear although the server offered STARTTLS; only with [`Security::Opportunistic`].
    #[must_use]
    pub fn tls_fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// What the server offers.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.wire.session.capabilities()
    }

    /// The server's name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many letters were begun on it.
    #[must_use]
    pub fn letters(&self) -> usize {
        self.letters
    }

    /// Whether another letter may be sent.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        !self.wire.session.is_closed() && !self.wire.session.is_exhausted()
    }

    /// Whether the server has announced BDAT and does not know it: then what was not tried goes over another connection to the same [`Target`], by DATA.
    #[must_use]
    pub fn refused_chunks(&self) -> bool {
        !self.is_reusable() && self.wire.session.chunks() == Chunks::Broken
    }

    /// Why a letter of this envelope may not go to this server because of TLS (`REQUIRETLS`, RFC 8689 §4.2.1): another may do. [`Self::send`] refuses it
    /// too.
    #[must_use]
    pub fn lacks_tls(&self, envelope: &Envelope) -> Option<Reply> {
        self.wire.session.lacks_tls(envelope)
    }

    /// Whether the last letter had 8-bit text that the server has not said it can take (it was sent as it is).
    #[must_use]
    pub fn sent_undeclared_eight_bit(&self) -> bool {
        self.wire.session.sent_undeclared_eight_bit()
    }

    /// Sends a letter: one result per recipient of the envelope, in its order.
    ///
    /// `body` must have CRLF line ends, unless the envelope says BINARYMIME; what is malformed is [`RecipientResult::Unsendable`].
    ///
    /// # Errors
    /// The connection broke or the server broke the protocol before the letter was complete, so that nobody got it; or `body` could not be read.
    pub async fn send(&mut self, envelope: &Envelope, body: &mut dyn ByteSource) -> Result<Vec<RecipientResult>, ClientError> {
        let mut letter = Some(Outgoing { envelope: Cow::Borrowed(envelope), body: Box::new(body) });
        let mut end = None;
        let sent = self.send_each(&mut || letter.take(), &mut |results| end = Some(results)).await;
        match (end, sent) {
            (Some(results), _) => Ok(results),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(self.error(Some(SessionError::Misuse("a letter without an end")))),
        }
    }

    /// Sends letters one behind the other. With PIPELINING the envelope of the next leaves in one write with the end of the last, and with CHUNKING small letters
    /// whole, so that a round trip carries several of them.
    ///
    /// `next` is asked whenever another letter can be begun; it may have none now and one later. Each letter's results are given to `done`, in the order in which
    /// they were begun. It returns when none is under way and `next` has none, or [`Self::is_reusable`] is no longer true.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use posthouse_client::{ClientError, Connection, Message, Outgoing};
    ///
    /// async fn all(connection: &mut Connection, letters: &[Message]) -> Result<usize, ClientError> {
    ///     let (mut letters, mut ended) = (letters.iter(), 0);
    ///     let mut next = || letters.next().map(|letter| Outgoing { envelope: Cow::Borrowed(letter.envelope()), body: Box::new(letter.body()) });
    ///     connection.send_each(&mut next, &mut |_results| ended += 1).await?;
    ///     Ok(ended)
    /// }
    /// ```
    ///
    /// # Errors
    /// The connection is of no further use. Nobody got those letters that were begun and have no results.
    pub async fn send_each<'a>(
        &mut self,
        next: &mut (dyn FnMut() -> Option<Outgoing<'a>> + Send),
        done: &mut (dyn FnMut(Vec<RecipientResult>) + Send),
    ) -> Result<(), ClientError> {
        self.wire.look_up().await;
        let mut body: Option<Box<dyn ByteSource + 'a>> = None;
        let mut unreadable = None;
        loop {
            if self.wire.session.takes_letter()
                && let Some(letter) = next()
            {
                self.letters += 1;
                self.wire.session.letter(clock::now(), UnixMillis(clock::unix_millis()), &letter.envelope, letter.body.len());
                body = Some(letter.body);
            } else if self.wire.session.is_at_rest() {
                return Ok(());
            }
            match self.wire.run().await {
                Output::Body => match next_chunk(body.as_deref_mut()).await {
                    Ok(Some(chunk)) => self.wire.session.body(clock::now(), chunk),
                    Ok(None) => self.wire.session.body_end(clock::now()),
                    Err(error) => {
                        self.wire.session.body_failed(clock::now());
                        unreadable = Some(error);
                    }
                },
                Output::Done(results) => {
                    self.wire.tell();
                    self.known.learn(self.wire.session.chunks());
                    done(results);
                }
                Output::Ready => {}
                Output::Closed(why) => {
                    return Err(match unreadable {
                        Some(error) => ClientError::Read(error),
                        None => self.error(why),
                    });
                }
                Output::StartTls | Output::Send(_) | Output::Wait(_) => {
                    return Err(self.error(Some(SessionError::Misuse("a letter without an end"))));
                }
            }
        }
    }

    /// Says QUIT and closes the connection; a server that does not answer is not waited for.
    pub async fn quit(mut self) {
        self.wire.session.quit(clock::now());
        let _ = clock::timeout(QUIT_MAX, self.wire.run()).await;
        self.wire.stream.close().await;
    }

    fn error(&self, why: Option<SessionError>) -> ClientError {
        let source = why.unwrap_or(SessionError::Misuse("a letter after QUIT"));
        ClientError::Session { name: self.name.clone(), address: self.peer(), source }
    }
}

impl Wire {
    /// Reads and writes until the session wants something else.
    async fn run(&mut self) -> Output {
        loop {
            let output = self.session.poll(clock::now());
            self.tell();
            match output {
                Output::Send(bytes) => {
                    self.heard = false;
                    self.write(bytes).await;
                }
                Output::Wait(until) => {
                    // The server has more to say, and without TCP_NODELAY it waits for us to have heard the first of it.
                    if self.heard {
                        self.stream.acknowledge();
                    }
                    // At the deadline the next poll ends the session.
                    if let Ok(read) = clock::timeout_at(until, self.stream.read(&mut self.input)).await {
                        self.heard(read);
                    }
                }
                Output::StartTls | Output::Ready | Output::Body | Output::Done(_) | Output::Closed(_) => return output,
            }
        }
    }

    async fn write(&mut self, mut bytes: Bytes) {
        loop {
            let is_over = bytes.is_empty();
            if is_over && self.stream.tls().is_none() {
                return;
            }
            let moved = clock::timeout_at(self.session.deadline(), self.stream.write_or_read(&bytes, &mut self.input)).await;
            match moved {
                Ok(Ok(Moved::Written(_))) if is_over => return,
                Ok(Ok(Moved::Written(count))) => bytes.advance(count.min(bytes.len())),
                Ok(Ok(Moved::Read(count))) if count > 0 || is_over => self.heard(Ok(count)),
                // The rest cannot be written any more.
                Ok(Ok(Moved::Read(_))) => self.session.write_failed(false, bytes.len()),
                Ok(Err(_)) => {
                    self.last_words().await;
                    if is_over { self.session.closed() } else { self.session.write_failed(false, bytes.len()) }
                }
                Err(_) => self.session.write_failed(true, bytes.len()),
            }
            if self.session.is_closed() {
                return;
            }
        }
    }

    /// A server that refuses and closes breaks our write; its reply may still lie here.
    async fn last_words(&mut self) {
        while let Ok(Ok(1..)) = clock::timeout(LAST_WORDS_MAX, self.stream.read(&mut self.input)).await {
            self.session.receive(clock::now(), &self.input);
            self.input.clear();
        }
    }

    /// Before a letter: whether the server has closed meanwhile. A letter sent into a closed connection would have an unknown end.
    async fn look_up(&mut self) {
        if let Ok(read) = clock::timeout(Duration::ZERO, self.stream.read(&mut self.input)).await {
            self.heard(read);
        }
    }

    fn heard(&mut self, read: io::Result<usize>) {
        match read {
            Ok(1..) => {
                self.heard = true;
                self.session.receive(clock::now(), &self.input);
                self.input.clear();
            }
            Ok(0) | Err(_) => self.session.closed(),
        }
    }

    async fn secure(self, tls: &ClientTls, name: &str) -> Result<Self, TlsError> {
        let Self { stream, mut session, transcript, .. } = self;
        let stream = stream.into_tls_client(tls, name).await?;
        if let Some(secured) = secured(&stream) {
            session.tls_started(clock::now(), secured);
        }
        Ok(Self { stream, session, input: BytesMut::new(), heard: false, transcript })
    }

    fn tell(&mut self) {
        if let Some(transcript) = &self.transcript {
            self.session.take_transcript().iter().for_each(|line| transcript(line));
        }
    }
}

async fn next_chunk(body: Option<&mut (dyn ByteSource + '_)>) -> io::Result<Option<Bytes>> {
    match body {
        Some(body) => body.next().await,
        None => Ok(None),
    }
}

/// Whether another address of the same server may do better: it is another machine as often as not.
fn may_differ_elsewhere(error: &SessionError) -> bool {
    match error {
        SessionError::Refused { stage, .. } => *stage != Stage::Login,
        SessionError::Timeout(_) | SessionError::Lost(_) | SessionError::Protocol { .. } | SessionError::Unreadable { .. } => {
            true
        }
        SessionError::Injected
        | SessionError::NoStartTls
        | SessionError::UnprotectedLogin
        | SessionError::NoMechanism { .. }
        | SessionError::Login(_)
        | SessionError::TokenRefused { .. }
        | SessionError::BodyLength { .. }
        | SessionError::BodyUnreadable
        | SessionError::Misuse(_) => false,
    }
}

fn secured(stream: &Stream) -> Option<Secured> {
    stream.tls().map(|info| Secured {
        binding: info.exporter.map_or(ChannelBinding::None, ChannelBinding::Exporter),
        verified: info.verified,
    })
}

/// What the certificate must be for: a host name, or the address inside a literal.
fn tls_name(target: &Target) -> String {
    let name = target.tls_name.as_ref().unwrap_or(&target.name);
    let literal = name.parse::<Domain>().ok().and_then(|domain| domain.literal());
    literal.map_or_else(|| name.trim_end_matches('.').to_owned(), |address| address.to_string())
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
