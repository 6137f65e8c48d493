use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use posthouse_testkit::certificates::{Authority, Ends, Issued, Wanted};
use tempfile::TempDir;

use super::*;
use crate::net::{Listener, Stream};
use crate::tls::{Ca, CertificateFiles, ClientTls, Roots, ServerTls};
use crate::{block_on, join};

/// A server that asks for certificates of `authority`.
struct World {
    folder: TempDir,
    ca: Ca,
    authority: Authority,
    roots: ClientRoots,
    server: ServerTls,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, authority) = (Ca::load_or_create(&folder.path().join("ca")).unwrap(), Authority::new());
        let file = folder.path().join("clients.pem");
        fs::write(&file, authority.pem()).unwrap();
        let plain = ServerTls::from_ca(&ca, &["localhost".to_owned()]).unwrap();
        let roots = ClientRoots::from_pem_file(&file).unwrap();
        let server = plain.for_service_with(&["smtp"], &roots).unwrap();
        Self { folder, ca, authority, roots, server }
    }

    fn client(&self, shown: Option<&Issued>) -> ClientTls {
        let client = ClientTls::verified(&Roots::PemFile(self.ca.certificate_path().to_owned())).unwrap();
        let Some(shown) = shown else { return client };
        let at = |name: &str| self.folder.path().join(name);
        let files = CertificateFiles { cert: at("client.pem"), key: at("client.key") };
        fs::write(&files.cert, &shown.cert).unwrap();
        fs::write(&files.key, &shown.key).unwrap();
        client.with_certificate(&files).unwrap()
    }

    /// What the server believes of a client that shows this; the handshake must succeed.
    fn judge(&self, client: &ClientTls) -> Option<ClientCertificate> {
        block_on(async {
            let listener = Listener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
            let connect = async {
                let stream = Stream::connect(listener.local_addr(), None).await.unwrap();
                let mut stream = stream.into_tls_client(client, "localhost").await.unwrap();
                // Read so that a ticket is taken, and an alert of the server's seen.
                let _ = stream.read(&mut bytes::BytesMut::new()).await.unwrap();
            };
            let accept = async {
                let stream = listener.accept().await.unwrap();
                let mut stream = stream.into_tls_server(&self.server).await.unwrap();
                let client = stream.tls().unwrap().client.clone();
                stream.write_all(b"x").await.unwrap();
                stream.close().await;
                client.map(|client| *client)
            };
            join!(connect, accept).1
        })
        .unwrap()
    }

    fn emails(&self, issued: &Issued) -> Option<Vec<String>> {
        self.judge(&self.client(Some(issued))).map(|shown| shown.emails)
    }
}

#[test]
fn a_certificate_of_the_authority_is_believed_with_its_addresses_and_its_digest() {
    let world = World::new();
    assert_eq!(world.judge(&world.client(None)), None, "nobody needs one");
    let emails = ["alice@example.org", "a.liddell@example.org"];
    let issued = world.authority.issue(&Wanted { common_name: "Alice", emails: &emails, ..Wanted::default() });
    let client = world.client(Some(&issued));
    let shown = world.judge(&client).unwrap();
    assert_eq!(shown.emails, emails);
    assert_eq!(shown.fingerprint.len(), 64);
    // A session that is resumed has it too.
    assert_eq!(world.judge(&client), Some(shown));
}

#[test]
fn a_certificate_that_is_not_quite_right_is_as_good_as_none_and_keeps_nobody_out() {
    let world = World::new();
    let right = Wanted { common_name: "alice@example.org", emails: &["alice@example.org"], ..Wanted::default() };
    let rows = [
        ("of another authority", Authority::new().issue(&right)),
        ("for servers", world.authority.issue(&Wanted { for_servers: true, ..right.clone() })),
    ];
    for (what, issued) in rows {
        assert_eq!(world.emails(&issued), None, "one {what}");
    }
    assert!(world.emails(&world.authority.issue(&right)).is_some());
    // Our own client shows none whose time is over.
    let judge = |issued: &Issued| world.roots.judge(&[CertificateDer::from_pem_slice(issued.cert.as_bytes()).unwrap()]);
    assert_eq!(judge(&world.authority.issue(&Wanted { ends: Ends::Past, ..right.clone() })), None);
    assert!(judge(&world.authority.issue(&right)).is_some());
}

#[test]
fn only_the_mail_addresses_of_a_certificate_name_somebody() {
    let world = World::new();
    let rows: [(Wanted<'_>, &[&str]); 4] = [
        (Wanted { common_name: "alice@example.org", ..Wanted::default() }, &[]),
        (Wanted { hosts: &["alice.example.org"], ..Wanted::default() }, &[]),
        // A NUL does not end a name: it is part of one that no account can have.
        (Wanted { emails: &["alice@example.org\0.evil.test"], ..Wanted::default() }, &["alice@example.org\0.evil.test"]),
        (Wanted { emails: &["alice@example.org\r\n"], ..Wanted::default() }, &["alice@example.org\r\n"]),
    ];
    for (wanted, expected) in rows {
        assert_eq!(world.emails(&world.authority.issue(&wanted)).unwrap(), expected, "{wanted:?}");
    }
}

#[test]
fn a_file_without_an_authority_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.pem");
    assert!(ClientRoots::from_pem_file(&file).unwrap_err().to_string().contains("clients.pem"));
    fs::write(&file, "nothing").unwrap();
    assert!(ClientRoots::from_pem_file(&file).is_err());
}
