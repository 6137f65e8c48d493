//! A certificate from an authority, by ACME: pebble, which rejects nonces and checks what Let's Encrypt would.

use crate::posthouse::posthouse;
use crate::world::{PATIENCE, World, eventually, in_a_world, run_to_end};
use bytes::BytesMut;
use posthouse_runtime::block_on;
use posthouse_runtime::net::Stream;
use posthouse_runtime::tls::{ClientTls, Roots};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

const HOST: &str = "mx.posthouse.test";
/// The name server of the world.
const NAMES: &str = "127.0.0.53:53";

/// The authority; its certificates count for so many seconds, and it asks this name server.
pub(crate) fn authority(world: &World, seconds: u32, more: &str, names: &str) -> (Guard, PathBuf) {
    let folder = world.folder("pebble");
    world.certificate(&folder, "localhost");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let config = format!(
        r#"{{"pebble": {{"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": {cert:?},
        "privateKey": {key:?}, "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "certificateValidityPeriod": {seconds}{more}}}}}"#
    );
    fs::write(folder.join("pebble.json"), config).unwrap();
    let mut pebble = Command::new("pebble");
    pebble.arg("-config").arg(folder.join("pebble.json")).args(["-dnsserver", names]);
    let pebble = Guard::spawn(pebble.env("PEBBLE_VA_NOSLEEP", "1"));
    world.listening("127.0.0.1", 14000);
    world.listening("127.0.0.1", 15000);
    (pebble, cert)
}

/// A server that wants a certificate for this name; and its folder.
fn server(world: &World, ca: &Path, challenge: &str, name: &str, more: &str) -> (Guard, PathBuf) {
    server_with(world, ca, (challenge, &format!("\"{name}\"")), NAMES, &["pop3s", "http", "https"], more)
}

/// As [`server`], for these names, with another name server and listeners.
pub(crate) fn server_with(
    world: &World,
    ca: &Path,
    (challenge, names): (&str, &str),
    dns: &str,
    kinds: &[&str],
    more: &str,
) -> (Guard, PathBuf) {
    let folder = world.folder("server");
    let all = [("pop3s", 995), ("http", 80), ("https", 443)];
    let listeners: String = all
        .iter()
        .filter(|(kind, _)| kinds.contains(kind))
        .map(|(kind, port)| format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.2:{port}\"\n"))
        .collect();
    let text = format!(
        "hostname = \"{HOST}\"\ndata = \"data\"\n{listeners}[dns]\nservers = [\"{dns}\"]\n[tls.acme]\nagree-to-terms = true\n\
         directory = \"https://localhost:14000/dir\"\nca = {ca:?}\nchallenge = \"{challenge}\"\nnames = [{names}]\ncontact = \"op@posthouse.test\"\n{more}"
    );
    fs::write(folder.join("posthouse.toml"), text).unwrap();
    let mut process = Guard::spawn(posthouse().args(["serve", "--config"]).arg(folder.join("posthouse.toml")));
    process.expect(&format!("ready {} 127.0.0.2:", kinds.last().unwrap()), PATIENCE);
    (process, folder)
}

fn address() -> SocketAddr {
    "127.0.0.2:995".parse().unwrap()
}

/// Connects to POP3S by this name, as a client that trusts these roots.
pub(crate) fn connect(roots: &Roots, name: &str) -> Result<Stream, String> {
    let tls = ClientTls::verified(roots).unwrap();
    let connected = async { Stream::connect(address(), None).await.unwrap().into_tls_client(&tls, name).await };
    block_on(connected).unwrap().map_err(|error| error.to_string())
}

/// What pebble signs with, from its management port.
pub(crate) fn roots(ca: &Path) -> Roots {
    let page = run_to_end(Command::new("sh").arg("-c").arg(format!(
        "printf 'GET /roots/0 HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' | openssl s_client -quiet -connect 127.0.0.1:15000 -CAfile {} 2>/dev/null",
        ca.display()
    )));
    Roots::Pem(page.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The key in a file of certificates and a key.
fn key(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text[text.find("PRIVATE KEY").unwrap()..].to_owned()
}

/// Orders a certificate, and gives it to clients while a session goes on.
fn ordered(world: &World, challenge: &str) {
    let (_pebble, ca) = authority(world, 86_400, "", NAMES);
    let (mut process, folder) = server(world, &ca, challenge, HOST, "");
    let own = Roots::PemFile(folder.join("data/ca/ca.pem"));
    process.expect("a new certificate is shown from now on", PATIENCE);
    let theirs = roots(&ca);
    connect(&theirs, HOST).unwrap();
    connect(&own, HOST).err().unwrap();
    let shown = fs::metadata(folder.join("data/acme/certificate.pem")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&shown.permissions()) & 0o777, 0o600);
    let status = run_to_end(posthouse().args(["status", "--config"]).arg(folder.join("posthouse.toml")));
    assert!(status.contains(&format!("certificate: {HOST} until")), "{status}");
    assert!(process.terminate(PATIENCE).success());
    // The next start shows it at once and orders none.
    let mut process = Guard::spawn(posthouse().args(["serve", "--config"]).arg(folder.join("posthouse.toml")));
    process.expect("ready https 127.0.0.2:443", PATIENCE);
    connect(&theirs, HOST).unwrap();
    assert!(!process.output().contains("a new certificate"), "{}", process.output());
}

in_a_world! {
    fn an_authority_that_wants_an_account_of_its_own_is_shown_it(world) {
        let kept = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
        let wants = format!(", \"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {{\"kid-1\": \"{kept}\"}}");
        let (_pebble, ca) = authority(world, 86_400, &wants, NAMES);
        let account = |key: &str| format!("[tls.acme.external-account]\nkey-id = \"kid-1\"\nhmac-key = \"{key}\"\n");
        // Without the account, or with another key, there is none.
        for more in [String::new(), account(&kept.replace('z', "y"))] {
            let (mut process, _) = server(world, &ca, "http-01", HOST, &more);
            process.expect("there is no new certificate", PATIENCE);
            assert!(process.terminate(PATIENCE).success());
        }
        let (mut process, _) = server(world, &ca, "http-01", HOST, &account(kept));
        process.expect("a new certificate is shown from now on", PATIENCE);
        connect(&roots(&ca), HOST).unwrap();
    }

    fn a_certificate_is_ordered_by_http_and_shown_without_a_restart(world) {
        ordered(world, "http-01");
    }

    fn a_certificate_is_ordered_by_a_handshake(world) {
        ordered(world, "tls-alpn-01");
    }

    fn a_certificate_is_renewed_with_its_key_before_it_ends_and_no_session_is_dropped(world) {
        let (_pebble, ca) = authority(world, 15, "", NAMES);
        let (mut process, folder) = server(world, &ca, "http-01", HOST, "");
        process.expect("a new certificate is shown from now on", PATIENCE);
        let file = folder.join("data/acme/certificate.pem");
        let first = fs::read_to_string(&file).unwrap();
        let tls = ClientTls::verified(&roots(&ca)).unwrap();
        block_on(async {
            let mut session = Stream::connect(address(), None).await.unwrap().into_tls_client(&tls, HOST).await.unwrap();
            let mut heard = BytesMut::new();
            session.read(&mut heard).await.unwrap();
            let second = eventually("it was not renewed", || fs::read_to_string(&file).ok().filter(|now| *now != first));
            assert_eq!(key(&file), second[second.find("PRIVATE KEY").unwrap()..]);
            assert!(first.ends_with(&key(&file)), "the key is another one");
            session.write_all(b"QUIT\r\n").await.unwrap();
            heard.clear();
            session.read(&mut heard).await.unwrap();
            assert!(heard.starts_with(b"+OK"), "{heard:?}");
        })
        .unwrap();
    }

    fn a_name_that_is_not_ours_is_told_and_changes_nothing(world) {
        let (_pebble, ca) = authority(world, 86_400, "", NAMES);
        let (mut process, folder) = server(world, &ca, "http-01", "mx.postfix.test", "");
        process.expect("mx.postfix.test could not be proven to be ours", PATIENCE);
        connect(&Roots::PemFile(folder.join("data/ca/ca.pem")), HOST).unwrap();
        let status = run_to_end(posthouse().args(["status", "--config"]).arg(folder.join("posthouse.toml")));
        assert!(status.contains("no new certificate: mx.postfix.test could not be proven"), "{status}");
    }
}
