//! POP3 over TCP and TLS, against a real directory, mailbox and journal.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use tempfile::TempDir;

use posthouse_directory::{Account, Directory, LoginSettings};
use posthouse_journal::{Event, Journal, Query};
use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_mailbox::{Delivery, Mailboxes};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::shutdown::{self, Trigger};
use posthouse_runtime::stream::Buffered;
use posthouse_runtime::tls::{Ca, ClientTls, Roots, ServerTls};
use posthouse_runtime::{block_on, clock, task};

use super::{Parts, Pop3, serve_pop3};
use crate::Settings;

mod sessions;

/// A server on loopback with the account `alice@a.test`, password `secret`.
struct World {
    folder: TempDir,
    parts: Parts,
    alice: Account,
    plain: SocketAddr,
    secure: SocketAddr,
    stop: Trigger,
}

impl World {
    async fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
        directory.add_domain(&"a.test".parse().unwrap()).await.unwrap();
        let alice = directory.add_account(&"alice@a.test".parse().unwrap(), "secret").await.unwrap();
        let ca = Ca::load_or_create(&folder.path().join("ca")).unwrap();
        let parts = Parts {
            hostname: "mail.a.test".to_owned(),
            directory,
            mailboxes: Mailboxes::open(&folder.path().join("accounts")).unwrap(),
            journal: Journal::open(&folder.path().join("journal.sqlite")).unwrap(),
            clients: None,
            tls: Some(ServerTls::from_ca(&ca, &["mail.a.test".to_owned()]).unwrap()),
            settings,
        };
        let pop3 = Pop3::new(parts.clone()).unwrap();
        let (stop, shutdown) = shutdown::channel();
        let listen = |secure_from_start| {
            let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let address = listener.local_addr();
            let (pop3, shutdown) = (pop3.clone(), shutdown.clone());
            task::spawn("listener", async move {
                while let Ok(stream) = listener.accept().await {
                    let (pop3, shutdown) = (pop3.clone(), shutdown.clone());
                    task::spawn("pop3", async move { serve_pop3(stream, &pop3, secure_from_start, &shutdown).await });
                }
            });
            address
        };
        let (plain, secure) = (listen(false), listen(true));
        Self { folder, parts, alice, plain, secure, stop }
    }

    fn client_tls(&self) -> ClientTls {
        let ca = Ca::load_or_create(&self.folder.path().join("ca")).unwrap();
        ClientTls::verified(&Roots::PemFile(ca.certificate_path().to_owned())).unwrap()
    }

    async fn deliver(&self, letter: u8, body: Vec<u8>) {
        let delivery = Delivery {
            folder: posthouse_mailbox::Folder::Inbox,
            letter: LetterId::from_bytes([letter; 16]),
            recipient: self.alice.address.clone(),
            reverse_path: ReversePath::NULL,
            at: UnixMillis(1),
            prefix: Vec::new(),
        };
        self.parts.mailboxes.deliver(self.alice.id.as_str(), delivery, &mut Buffered::new(body)).await.unwrap();
    }

    /// A client on port 110, its greeting read.
    async fn plain_client(&self) -> Client {
        let mut client = Client { stream: Stream::connect(self.plain, None).await.unwrap(), input: BytesMut::new() };
        assert_eq!(client.line().await, "+OK mail.a.test POP3 ready");
        client
    }

    /// A client on port 995, its greeting read.
    async fn client(&self) -> Client {
        let stream = Stream::connect(self.secure, None).await.unwrap();
        let stream = stream.into_tls_client(&self.client_tls(), "mail.a.test").await.unwrap();
        let mut client = Client { stream, input: BytesMut::new() };
        assert_eq!(client.line().await, "+OK mail.a.test POP3 ready");
        client
    }

    async fn logged_in(&self) -> Client {
        let mut client = self.client().await;
        assert_eq!(client.ask("USER alice@a.test").await, "+OK and the password?");
        let reply = client.ask("PASS secret").await;
        assert!(reply.starts_with("+OK"), "{reply}");
        client
    }
}

struct Client {
    stream: Stream,
    input: BytesMut,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Client {
    async fn say(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    async fn ask(&mut self, command: &str) -> String {
        self.say(format!("{command}\r\n").as_bytes()).await;
        self.line().await
    }

    async fn line(&mut self) -> String {
        String::from_utf8(self.octets_of_line().await).unwrap()
    }

    /// A line without its CRLF.
    async fn octets_of_line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.input.iter().position(|&octet| octet == b'\n') {
                let line = self.input.split_to(end + 1);
                return line.strip_suffix(b"\r\n").expect("a line that ends with CRLF").to_vec();
            }
            assert!(self.more().await > 0, "the server hung up");
        }
    }

    async fn more(&mut self) -> usize {
        clock::timeout(PATIENCE, self.stream.read(&mut self.input)).await.unwrap().unwrap()
    }

    /// The octets of a multi-line response, dots undoubled.
    async fn multi_line(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        loop {
            let line = self.octets_of_line().await;
            if line == b"." {
                return octets;
            }
            octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            octets.extend_from_slice(b"\r\n");
        }
    }

    /// Whether the server has hung up, with nothing more said.
    async fn ended(&mut self) -> bool {
        self.input.is_empty() && clock::timeout(PATIENCE, self.stream.read(&mut self.input)).await.unwrap().unwrap_or(0) == 0
    }
}
