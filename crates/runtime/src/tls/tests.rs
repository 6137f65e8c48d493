use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::BytesMut;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::net::{Listener, Stream};
use crate::{block_on, join};

struct World {
    dir: TempDir,
    ca: Ca,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_create(&dir.path().join("ca")).unwrap();
        Self { dir, ca }
    }

    fn server(&self, names: &[&str]) -> ServerTls {
        ServerTls::from_ca(&self.ca, &owned(names)).unwrap()
    }

    fn client(&self) -> ClientTls {
        ClientTls::verified(&Roots::PemFile(self.ca.certificate_path().to_owned())).unwrap()
    }

    /// Writes a certificate for `names` and its key as files.
    fn files(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let (cert, key) = self.ca.issue(&owned(names)).unwrap();
        write_pair(self.dir.path(), file, &cert, &key)
    }
}

fn write_pair(dir: &Path, file: &str, cert: &str, key: &str) -> CertificateFiles {
    let files = CertificateFiles { cert: dir.join(format!("{file}.pem")), key: dir.join(format!("{file}.key")) };
    fs::write(&files.cert, cert).unwrap();
    fs::write(&files.key, key).unwrap();
    files
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn loopback() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)
}

/// A handshake over loopback: the client's and the server's result.
fn handshake(server: &ServerTls, client: &ClientTls, name: &str) -> (Result<Stream, TlsError>, Result<Stream, TlsError>) {
    block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        let (connected, accepted) = join!(Stream::connect(listener.local_addr(), None), listener.accept());
        let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
        join!(connected.into_tls_client(client, name), accepted.into_tls_server(server))
    })
    .unwrap()
}

/// Who the server showed itself as: the words of the refusal name what the certificate is for.
fn shown(server: &ServerTls, client: &ClientTls, name: &str) -> String {
    match handshake(server, client, name).0 {
        Ok(_) => "the right one".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn both_ends_agree_on_1_3_with_the_hybrid_group_and_on_the_channel_binding() {
    let world = World::new();
    let (client, server) = handshake(&world.server(&["mx.example.test"]), &world.client(), "mx.example.test");
    let (client, server) = (client.unwrap().tls().unwrap().clone(), server.unwrap().tls().unwrap().clone());
    for info in [&client, &server] {
        assert_eq!(info.protocol, "TLSv1.3");
        assert!(info.cipher.starts_with("TLS_"), "{}", info.cipher);
        assert_eq!(info.group.as_deref(), Some("X25519MLKEM768"));
        assert_eq!(info.server_name.as_deref(), Some("mx.example.test"));
    }
    assert!(client.verified);
    assert!(!server.verified);
    assert_eq!(client.exporter, server.exporter);
    assert!(client.exporter.is_some_and(|exporter| exporter != [0; 32]));
    assert_eq!(client.to_string(), format!("TLSv1.3 {} X25519MLKEM768", client.cipher));
}

#[test]
fn the_binding_differs_between_connections() {
    let world = World::new();
    let (server, client) = (world.server(&["a.test"]), world.client());
    let first = handshake(&server, &client, "a.test").0.unwrap();
    let second = handshake(&server, &client, "a.test").0.unwrap();
    assert_ne!(first.tls().unwrap().exporter, second.tls().unwrap().exporter);
}

#[test]
fn octets_pass_both_ways_and_the_end_is_seen() {
    let world = World::new();
    let (server, client) = (world.server(&["a.test"]), world.client());
    block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        let (connected, accepted) = join!(Stream::connect(listener.local_addr(), None), listener.accept());
        let (connected, accepted) =
            join!(connected.unwrap().into_tls_client(&client, "a.test"), accepted.unwrap().into_tls_server(&server));
        let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let ((), received) = join!(
            async {
                connected.write_all(&sent).await.unwrap();
                connected.close().await;
            },
            async {
                let mut received = BytesMut::new();
                while accepted.read(&mut received).await.unwrap() > 0 {}
                accepted.close().await;
                received
            }
        );
        assert_eq!(&received[..], &sent[..]);
    })
    .unwrap();
}

#[test]
fn a_connection_cut_without_close_notify_is_an_error_not_an_end() {
    let world = World::new();
    let (server, client) = (world.server(&["a.test"]), world.client());
    let read = block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        let (connected, accepted) = join!(Stream::connect(listener.local_addr(), None), listener.accept());
        let (connected, accepted) =
            join!(connected.unwrap().into_tls_client(&client, "a.test"), accepted.unwrap().into_tls_server(&server));
        drop(connected.unwrap());
        accepted.unwrap().read(&mut BytesMut::new()).await
    })
    .unwrap();
    assert!(read.is_err());
}

#[test]
fn a_certificate_for_another_name_is_refused_and_says_for_which() {
    let world = World::new();
    let error = handshake(&world.server(&["right.test"]), &world.client(), "wrong.test").0.unwrap_err();
    assert!(matches!(error, TlsError::Untrusted { .. }));
    assert_eq!(error.to_string(), "the certificate of wrong.test was not accepted: it is for right.test");
}

#[test]
fn an_address_is_a_name_too() {
    let world = World::new();
    let server = world.server(&["localhost", "127.0.0.1"]);
    assert_eq!(shown(&server, &world.client(), "127.0.0.1"), "the right one");
    assert!(shown(&server, &world.client(), "127.0.0.2").contains("not accepted"));
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (world, other) = (World::new(), World::new());
    let error = handshake(&world.server(&["a.test"]), &other.client(), "a.test").0.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the certificate of a.test was not accepted: it is not signed by an authority that is trusted here"
    );
}

#[test]
fn an_authority_of_our_own_is_not_trusted_by_the_platform() {
    let world = World::new();
    // A host without any roots cannot verify anything and says so when it is set up.
    if let Ok(client) = ClientTls::verified(&Roots::Platform) {
        let error = handshake(&world.server(&["a.test"]), &client, "a.test").0.unwrap_err();
        assert!(matches!(error, TlsError::Untrusted { .. }), "{error}");
    }
}

#[test]
fn without_verification_anybody_will_do_but_it_is_not_called_verified() {
    let world = World::new();
    let client = ClientTls::danger_unverified().unwrap();
    assert!(!client.is_verified());
    let (stream, _) = handshake(&world.server(&["a.test"]), &client, "elsewhere.test");
    let stream = stream.unwrap();
    assert!(!stream.tls().unwrap().verified);
}

#[test]
fn a_name_that_is_none_is_refused_before_the_network() {
    let world = World::new();
    let error = handshake(&world.server(&["a.test"]), &world.client(), "not a name").0.unwrap_err();
    assert!(matches!(error, TlsError::Name(_)), "{error}");
}

#[test]
fn sni_picks_the_certificate_and_the_first_serves_the_rest() {
    let world = World::new();
    let files = [world.files("a", &["a.test"]), world.files("b", &["b.test", "*.c.test"])];
    let (server, client) = (ServerTls::from_files(&files).unwrap(), world.client());
    for name in ["a.test", "b.test", "B.Test", "x.c.test"] {
        assert_eq!(shown(&server, &client, name), "the right one", "{name}");
    }
    for name in ["d.test", "x.y.c.test", "127.0.0.1"] {
        assert!(shown(&server, &client, name).ends_with("it is for a.test"), "{name}");
    }
}

#[test]
fn a_reload_shows_the_new_certificate_on_every_service_and_a_bad_one_keeps_the_old() {
    let world = World::new();
    let server = ServerTls::from_files(&[world.files("old", &["old.test"])]).unwrap();
    let service = server.for_service(&["pop3"]).unwrap();
    let client = world.client();
    server.reload(&[world.files("new", &["new.test"])]).unwrap();
    for tls in [&server, &service] {
        assert_eq!(shown(tls, &client, "new.test"), "the right one");
        assert!(shown(tls, &client, "old.test").ends_with("it is for new.test"));
    }
    let missing = CertificateFiles { cert: world.dir.path().join("none.pem"), key: world.dir.path().join("none.key") };
    let error = server.reload(&[missing]).unwrap_err().to_string();
    assert!(error.starts_with("cannot read ") && error.contains("none.pem"), "{error}");
    assert_eq!(shown(&service, &client, "new.test"), "the right one");
    server.reload_from_ca(&world.ca, &owned(&["own.test"])).unwrap();
    assert_eq!(shown(&service, &client, "own.test"), "the right one");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let world = World::new();
    let (a, b) = (world.files("a", &["a.test"]), world.files("b", &["b.test"]));
    let swapped = CertificateFiles { cert: a.cert.clone(), key: b.key.clone() };
    let refused = |files: CertificateFiles| ServerTls::from_files(&[files]).unwrap_err().to_string();
    let said = refused(swapped);
    assert_eq!(said, format!("the key in {} does not belong to the certificate in {}", b.key.display(), a.cert.display()));
    let said = refused(CertificateFiles { cert: a.key.clone(), key: a.key.clone() });
    assert_eq!(said, format!("{}: there is no certificate in PEM form in it", a.key.display()));
    let said = refused(CertificateFiles { cert: a.cert.clone(), key: a.cert.clone() });
    assert_eq!(said, format!("{}: there is no private key in PEM form in it", a.cert.display()));
    assert_eq!(ServerTls::from_files(&[]).unwrap_err().to_string(), "a server needs at least one certificate");
}

#[test]
fn a_certificate_whose_time_is_not_now_is_refused() {
    let world = World::new();
    let of = |file: &str, from: i32, to: i32| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(owned(&["a.test"])).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        write_pair(world.dir.path(), file, &params.self_signed(&key).unwrap().pem(), &key.serialize_pem())
    };
    let expired = ServerTls::from_files(&[of("expired", 2001, 2002)]).unwrap_err();
    assert!(
        matches!(expired, TlsError::Expired { .. }) && expired.to_string().contains("expired.pem expired on Jan"),
        "{expired}"
    );
    let early = ServerTls::from_files(&[of("early", 3001, 3002)]).unwrap_err();
    assert!(matches!(early, TlsError::NotYetValid { .. }), "{early}");
}

#[test]
fn the_authority_survives_a_restart_and_its_key_is_the_owners_alone() {
    let world = World::new();
    let dir = world.dir.path().join("ca");
    let again = Ca::load_or_create(&dir).unwrap();
    let server = ServerTls::from_ca(&again, &owned(&["a.test"])).unwrap();
    assert_eq!(shown(&server, &world.client(), "a.test"), "the right one");
    assert_eq!(fs::metadata(dir.join("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    // A crash between key and certificate: the certificate is made anew.
    fs::remove_file(dir.join("ca.pem")).unwrap();
    Ca::load_or_create(&dir).unwrap();
    // A lost key is never replaced: clients trust the certificate beside it.
    fs::remove_file(dir.join("ca.key")).unwrap();
    let error = Ca::load_or_create(&dir).unwrap_err().to_string();
    assert!(error.contains("ca.key"), "{error}");
    fs::write(dir.join("ca.key"), "nonsense").unwrap();
    let error = Ca::load_or_create(&dir).unwrap_err().to_string();
    assert!(error.contains("ca.key"), "{error}");
}

#[test]
fn a_client_that_knows_only_tls_1_1_is_refused() {
    let world = World::new();
    let server = world.server(&["a.test"]);
    // A ClientHello whose highest version is TLS 1.1 (0x0302) and that has no supported_versions extension; the groups and the
    // signature algorithms would suit 1.2, so that the version alone is at fault.
    let mut hello = vec![0x03, 0x02];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    hello.extend_from_slice(&[0, 22, 0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 4, 0, 2, 4, 3, 0, 11, 0, 2, 1, 0]);
    let mut record =
        vec![0x16, 0x03, 0x01, 0, u8::try_from(hello.len() + 4).unwrap(), 1, 0, 0, u8::try_from(hello.len()).unwrap()];
    record.extend_from_slice(&hello);
    let alert = block_on(async {
        let listener = Listener::bind(loopback()).unwrap();
        let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
        client.write_all(&record).await.unwrap();
        let refused = listener.accept().await.unwrap().into_tls_server(&server).await.unwrap_err();
        assert!(matches!(refused, TlsError::Handshake(_)), "{refused}");
        let mut alert = Vec::new();
        client.read_to_end(&mut alert).await.unwrap();
        alert
    })
    .unwrap();
    // Alert record: fatal (2), protocol_version (70).
    assert_eq!((alert[0], &alert[5..]), (0x15, &[2, 70][..]));
}

/// How the second of two handshakes with the same client came about.
fn second_handshake(first: &ServerTls, second: &ServerTls, client: &ClientTls) -> HandshakeKind {
    second_handshake_after(first, second, client, || ())
}

fn second_handshake_after(first: &ServerTls, second: &ServerTls, client: &ClientTls, between: impl Fn() + Copy) -> HandshakeKind {
    block_on(async {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut kind = HandshakeKind::Full;
        for server in [first, second] {
            let (tcp, accepted) = join!(TcpStream::connect(address), listener.accept());
            let (connected, served) = join!(client.connect(tcp.unwrap(), "a.test"), server.accept(accepted.unwrap().0));
            let ((mut connected, _), (mut served, _)) = (connected.unwrap(), served.unwrap());
            // The tickets come with the first octet.
            served.write_all(b"2").await.unwrap();
            served.flush().await.unwrap();
            connected.read_u8().await.unwrap();
            between();
            kind = connected.get_ref().1.handshake_kind().unwrap();
        }
        kind
    })
    .unwrap()
}

#[test]
fn a_session_is_resumed_on_its_own_service_and_on_no_other() {
    let world = World::new();
    let submission = world.server(&["a.test"]);
    let pop3 = submission.for_service(&[]).unwrap();
    assert_eq!(second_handshake(&submission, &submission, &world.client()), HandshakeKind::Resumed);
    assert_eq!(second_handshake(&submission, &pop3, &world.client()), HandshakeKind::Full);
}

#[test]
fn no_session_outlives_the_certificate_that_it_began_with() {
    // Who resumes one is shown no certificate, and would bind its log-in to the old one.
    let world = World::new();
    let (server, client) = (world.server(&["a.test"]), world.client());
    let service = server.for_service(&[]).unwrap();
    assert_eq!(second_handshake(&service, &service, &client), HandshakeKind::Resumed);
    let reload = || server.reload_from_ca(&world.ca, &owned(&["a.test"])).unwrap();
    assert_eq!(second_handshake_after(&service, &service, &world.client(), reload), HandshakeKind::Full);
    assert_eq!(second_handshake(&service, &service, &world.client()), HandshakeKind::Resumed);
}

/// A handshake with a client that knows TLS 1.2 alone, as the server saw it.
fn old_handshake(world: &World, server: &ServerTls, name: &str) -> TlsInfo {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(world.ca.certificate_path()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS12]);
    let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    let (connector, name) = (TlsConnector::from(Arc::new(config)), name.to_owned().try_into().unwrap());
    block_on(async {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let (tcp, accepted) = join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (connected, served) = join!(connector.connect(name, tcp.unwrap()), server.accept(accepted.unwrap().0));
        connected.unwrap();
        served.unwrap().1
    })
    .unwrap()
}

#[test]
fn a_server_knows_the_end_point_that_it_has_shown_under_both_versions() {
    use sha2::Digest as _;
    let world = World::new();
    let (one, other) = (world.files("one", &["a.test"]), world.files("other", &["b.test", "*.c.test"]));
    let digest = |files: &CertificateFiles| {
        let cert = CertificateDer::from_pem_file(&files.cert).unwrap();
        Some(sha2::Sha256::digest(cert).to_vec())
    };
    let server = ServerTls::from_files(&[one.clone(), other.clone()]).unwrap();
    for (name, files) in [("a.test", &one), ("b.test", &other), ("x.c.test", &other), ("B.TEST", &other)] {
        let (client, served) = handshake(&server, &world.client(), name);
        let info = served.unwrap().tls().unwrap().clone();
        assert_eq!((info.end_point, info.exporter.is_some()), (digest(files), true), "{name}");
        assert_eq!(client.unwrap().tls().unwrap().end_point, None);
        let info = old_handshake(&world, &server, name);
        assert_eq!((info.end_point, info.exporter, info.protocol), (digest(files), None, "TLSv1.2"), "{name}");
    }
    server.reload(std::slice::from_ref(&other)).unwrap();
    let info = handshake(&server, &world.client(), "b.test").1.unwrap().tls().unwrap().clone();
    assert_eq!(info.end_point, digest(&other));
}

#[test]
fn the_digest_of_an_end_point_is_that_of_its_signature() {
    let self_signed = |algorithm: &'static rcgen::SignatureAlgorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::new(owned(&["a.test"])).unwrap().self_signed(&key).unwrap().der().clone()
    };
    for (algorithm, octets) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
        (&rcgen::PKCS_ECDSA_P521_SHA512, Some(64)),
        (&rcgen::PKCS_RSA_SHA384, Some(48)),
        (&rcgen::PKCS_ED25519, None),
    ] {
        let digest = super::end_point::end_point(&self_signed(algorithm));
        assert_eq!(digest.map(|digest| digest.len()), octets, "{algorithm:?}");
    }
}

#[test]
fn a_browser_led_to_a_mail_port_is_refused() {
    let world = World::new();
    let pop3 = world.server(&["a.test"]).for_service(&["pop3"]).unwrap();
    assert_eq!(shown(&pop3, &world.client(), "a.test"), "the right one");
    let browser = world.client().with_alpn(&["h2", "http/1.1"]);
    let (client, server) = handshake(&pop3, &browser, "a.test");
    assert!(matches!(client.unwrap_err(), TlsError::Handshake(_)));
    assert!(server.is_err());
}

#[test]
fn tls_on_tls_is_refused() {
    let world = World::new();
    let stream = handshake(&world.server(&["a.test"]), &world.client(), "a.test").0.unwrap();
    let error = block_on(stream.into_tls_client(&world.client(), "a.test")).unwrap().unwrap_err();
    assert!(matches!(error, TlsError::AlreadySecure));
}

#[test]
fn the_kinds_of_doubt_are_known_by_our_own_words() {
    use rustls::CertificateError;

    use super::error::untrusted;
    let kind = |error| Doubt::of(&untrusted(&rustls::Error::InvalidCertificate(error)));
    assert_eq!(kind(CertificateError::Expired), Doubt::Time);
    assert_eq!(kind(CertificateError::NotValidYet), Doubt::Time);
    assert_eq!(kind(CertificateError::UnknownIssuer), Doubt::Authority);
    assert_eq!(kind(CertificateError::NotValidForName), Doubt::Name);
    assert_eq!(kind(CertificateError::BadSignature), Doubt::Other);
}

#[test]
fn a_proof_is_shown_to_an_authority_that_asks_for_it_and_to_nobody_else() {
    let world = World::new();
    let server = world.server(&["mail.test"]);
    let web = server.for_service(&["http/1.1", "acme-tls/1"]).unwrap();
    let authority = ClientTls::danger_unverified().unwrap().with_alpn(&["acme-tls/1"]);
    // Our own client reads no certificate with an extension that it does not know and that is critical: so it is known that this one was shown.
    let is_proven = |service: &ServerTls, name: &str| {
        handshake(service, &authority, name).0.unwrap_err().to_string().contains("UnsupportedCriticalExtension")
    };
    assert!(!is_proven(&web, "mail.test"), "there is no proof yet");
    server.show_challenge("Mail.test", &[7; 32]).unwrap();
    assert!(is_proven(&web, "mail.test") && !is_proven(&web, "other.test"));
    assert_eq!(shown(&web, &world.client(), "mail.test"), "the right one");
    // A service that is not for it does not show it.
    assert!(!is_proven(&server.for_service(&["smtp"]).unwrap(), "mail.test"));
    server.clear_challenges();
    assert!(!is_proven(&web, "mail.test"));
}

#[test]
fn a_request_is_for_the_key_that_is_kept() {
    let names = owned(&["mail.test"]);
    let first = CertificateRequest::new(&names, None).unwrap();
    let kept = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{}", first.key);
    let again = CertificateRequest::new(&names, Some(&kept)).unwrap();
    assert_eq!(first.key, again.key);
    assert_ne!(first.key, CertificateRequest::new(&names, None).unwrap().key);
    assert!(CertificateRequest::new(&names, Some("nothing")).is_err());
}
