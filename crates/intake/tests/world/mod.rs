//! A server with a real directory, queue and journal, and a client that says what a test wants.
#![allow(dead_code, reason = "each test uses its part")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use posthouse_config::Period;
use posthouse_directory::Directory;
use posthouse_dns::Zone;
use posthouse_intake::{Context, ListenerKind, Settings, serve_smtp};
use posthouse_journal::{Entry, Event, Journal, Query};
use posthouse_mail::Address;
use posthouse_queue::sim::Disk;
use posthouse_queue::{Letter, Queue};
use posthouse_runtime::gate::Gate;
use posthouse_runtime::net::{Listener, Moved, Stream};
use posthouse_runtime::shutdown::{self, Shutdown, Trigger};
use posthouse_runtime::stream::collect;
use posthouse_runtime::tls::{Ca, ClientTls, ServerTls};
use posthouse_runtime::{clock, task};
use tempfile::TempDir;

/// What no wait of a test exceeds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server: `example.org` is here, with Alice (whose password is `secret`) and Bob; `team` is Alice, Bob and somebody elsewhere.
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) folder: TempDir,
    trigger: Trigger,
    shutdown: Shutdown,
}

/// The client's side of a connection.
pub(crate) struct Client {
    stream: Option<Stream>,
    input: BytesMut,
}

/// Runs a test's own steps.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    posthouse_runtime::block_on(future).unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Limits as the dialogs know them.
pub(crate) fn small() -> Settings {
    let bytes = posthouse_config::ByteSize(100_000);
    Settings { letter_size_max: bytes, recipients_max: 5, letters_per_connection_max: 20, ..Settings::default() }
}

pub(crate) fn any_certificate() -> ClientTls {
    ClientTls::danger_unverified().unwrap()
}

impl World {
    pub(crate) async fn new(settings: Settings) -> Self {
        Self::with_queue(settings, posthouse_queue::Settings::default()).await
    }

    pub(crate) async fn with_queue(settings: Settings, queue: posthouse_queue::Settings) -> Self {
        Self::with(settings, |path| Queue::open(&queue, &path.join("spool")).unwrap().0).await
    }

    /// A server whose queue lies on a disk of the test's own.
    pub(crate) async fn on_disk(disk: &Disk) -> Self {
        Self::with(Settings::default(), |_| disk.open().unwrap().0).await
    }

    async fn with(settings: Settings, queue: impl FnOnce(&Path) -> Queue) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let directory = Directory::open(&path.join("directory.sqlite")).unwrap();
        directory.add_domain(&"example.org".parse().unwrap()).await.unwrap();
        for name in ["alice@example.org", "bob@example.org"] {
            directory.add_account(&address(name), "secret").await.unwrap();
        }
        let team = ["alice@example.org", "bob@example.org", "friend@elsewhere.example"].map(address);
        directory.add_alias(&address("team@example.org"), &team).await.unwrap();
        let ca = Ca::load_or_create(&path.join("ca")).unwrap();
        let context = Context {
            hostname: "mx.example.org".parse().unwrap(),
            directory,
            queue: queue(path),
            journal: Journal::open(&path.join("journal.sqlite")).unwrap(),
            abuse: posthouse_intake::Abuse::default(),
            evaluations: Arc::new(posthouse_mailauth::dmarc::NoLedger),
            filters: posthouse_intake::HttpFilters::new(
                &settings.http_filter,
                &(Arc::new(Zone::new()) as posthouse_dns::Resolver),
            )
            .unwrap(),
            resolver: Arc::new(Zone::new()),
            users_tls: None,
            tls: Some(ServerTls::from_ca(&ca, &["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()),
            memory: posthouse_runtime::memory::Ceiling::new(settings.memory_max.bytes()),
            gate: Gate::new(settings.gate()),
            settings: Arc::new(settings),
        };
        let (trigger, shutdown) = shutdown::channel();
        Self { context, folder, trigger, shutdown }
    }

    /// Takes connections from now on.
    pub(crate) fn listen(&self, kind: ListenerKind) -> SocketAddr {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr();
        let (context, shutdown) = (self.context.clone(), self.shutdown.clone());
        let _accepting = task::spawn("accept", async move {
            while let Ok(stream) = listener.accept().await {
                let (context, shutdown) = (context.clone(), shutdown.clone());
                let _serving = task::spawn("serve", async move { serve_smtp(stream, &context, kind, shutdown).await });
            }
        });
        address
    }

    pub(crate) fn stop(&self) {
        self.trigger.fire();
    }

    /// What the journal has of loopback: refusals and logins that failed.
    pub(crate) async fn refusals(&self) -> Vec<Event> {
        self.context.journal.flush().await;
        assert_eq!(self.context.journal.lost(), 0);
        let entries = self.context.journal.query(Query::Address("127.0.0.1".to_owned())).await.unwrap();
        let events = entries.into_iter().map(|entry: Entry| entry.event);
        events.filter(|event| matches!(event, Event::Refused { .. } | Event::Login { ok: false, .. })).collect()
    }

    /// Stage and reply of the refusals.
    pub(crate) async fn refused(&self) -> Vec<(String, String)> {
        let shown = |event| {
            let Event::Refused { stage, reply, .. } = event else { panic!("{event:?}") };
            (stage, reply)
        };
        self.refusals().await.into_iter().map(shown).collect()
    }

    /// Every queued letter and its octets, oldest first.
    pub(crate) async fn letters(&self) -> Vec<(Letter, Vec<u8>)> {
        let mut letters = Vec::new();
        for listed in self.context.queue.list() {
            let lease = self.context.queue.lease_letter(listed.id).unwrap();
            let octets = collect(&mut lease.body(), 100 << 20).await.unwrap();
            letters.push((lease.letter().clone(), octets));
        }
        letters
    }

    /// The one letter as text.
    pub(crate) async fn only_letter(&self) -> (Letter, String) {
        let mut letters = self.letters().await;
        assert_eq!(letters.len(), 1);
        let (letter, octets) = letters.remove(0);
        (letter, String::from_utf8(octets).unwrap())
    }

    /// A listener still serves: what one client did is no other client's trouble.
    pub(crate) async fn assert_serves(&self, address: SocketAddr) {
        let mut client = Client::connect(address).await;
        assert_eq!(client.line().await.as_deref(), Some("220 mx.example.org ESMTP Posthouse"));
        assert!(client.ask("EHLO next").await.starts_with("250 "));
        assert!(client.ask("QUIT").await.starts_with("221 "));
        assert!(client.is_closed().await);
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: Some(Stream::connect(address, None).await.unwrap()), input: BytesMut::new() }
    }

    /// Connects, hears the greeting and says EHLO.
    pub(crate) async fn greeted(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        assert!(client.reply().await.starts_with("220 "));
        assert!(client.ask("EHLO client.example.net").await.starts_with("250 "));
        client
    }

    /// As [`Self::greeted`], in TLS and logged in as Alice.
    pub(crate) async fn logged_in(address: SocketAddr) -> Self {
        let mut client = Self::greeted(address).await;
        assert!(client.ask("STARTTLS").await.starts_with("220 "));
        client.secure().await;
        assert!(client.ask("EHLO client.example.net").await.starts_with("250 "));
        assert!(client.ask("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==").await.starts_with("235 "));
        client
    }

    pub(crate) async fn secure(&mut self) {
        assert!(self.input.is_empty(), "{:?}", self.input);
        let plain = self.stream.take().unwrap();
        self.stream = Some(plain.into_tls_client(&any_certificate(), "localhost").await.unwrap());
    }

    /// The port that the server sees.
    pub(crate) fn local_port(&self) -> u16 {
        self.stream.as_ref().unwrap().local_addr().port()
    }

    /// Sends as much as the server takes, reading meanwhile.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        let mut rest = bytes;
        let sent = clock::timeout(PATIENCE, async {
            loop {
                match stream.write_or_read(rest, &mut self.input).await {
                    Ok(Moved::Written(_)) if rest.is_empty() => return,
                    Ok(Moved::Written(count)) => rest = &rest[count..],
                    Ok(Moved::Read(0)) | Err(_) => return,
                    Ok(Moved::Read(_)) => {}
                }
            }
        });
        sent.await.expect("the server neither reads nor closes");
    }

    /// The next line without CRLF; none at the end of the connection.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.input.split_to(end + 2);
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            let read = clock::timeout(PATIENCE, self.stream.as_mut()?.read(&mut self.input)).await;
            if !matches!(read.expect("the server says nothing"), Ok(1..)) {
                return None;
            }
        }
    }

    /// The last line of the next reply.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            let line = self.line().await.expect("the server closed");
            if line.as_bytes()[3] == b' ' {
                return line;
            }
        }
    }

    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Says a line and checks how the reply begins.
    pub(crate) async fn expect(&mut self, line: &str, begins: &str) {
        let reply = self.ask(line).await;
        assert!(reply.starts_with(begins), "{line:?} got {reply:?}");
    }

    /// Whether the server closes, saying nothing more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.line().await.is_none() && self.input.is_empty()
    }

    /// Sends a letter of these octets by DATA and gives the reply to it.
    pub(crate) async fn letter(&mut self, from: &str, to: &[&str], octets: &[u8]) -> String {
        self.expect(&format!("MAIL FROM:<{from}>"), "250 ").await;
        for recipient in to {
            self.expect(&format!("RCPT TO:<{recipient}>"), "250 ").await;
        }
        self.expect("DATA", "354 ").await;
        self.send(octets).await;
        self.ask(".").await
    }
}

/// A deadline that passes at once, for what is waited out.
pub(crate) fn soon() -> Period {
    Period(Duration::from_millis(50))
}
