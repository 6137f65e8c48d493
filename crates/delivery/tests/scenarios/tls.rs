//! What is asked of the connection to a host: obeyed, told, and never weakened by a connection that is at hand.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_config::Period;
use posthouse_delivery::{DestinationSettings, Policies, Settings, TlsDemand, TlsFloor};
use posthouse_dns::Zone;
use posthouse_journal::{Event, Outcome};
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::{Asked, Mode, Policy};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::tls::{Ca, ServerTls};
use posthouse_testkit::peer::Peer;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::remote::answer;
use crate::world::{ARRIVED, World, greet_with, on, run, take};

const BODY: &str = "Subject: secret\r\n\r\nhello\r\n";

/// Everybody promises the same.
struct Promise(Arc<Policy>);

impl Policies for Promise {
    fn policy<'a>(&'a self, _domain: &'a Domain) -> Asked<'a> {
        Box::pin(std::future::ready(Some(Arc::clone(&self.0))))
    }
}

pub(crate) fn promise(mode: Mode, host: &str) -> Arc<dyn Policies> {
    Arc::new(Promise(Arc::new(Policy { mode, mx: vec![host.parse().unwrap()], max_age: Duration::from_secs(60) })))
}

/// The host of `far.test`, with a certificate of an authority that is trusted.
pub(crate) struct Host {
    folder: TempDir,
    tls: ServerTls,
    /// The key's hash.
    pub(crate) pin: String,
    /// What it says to EHLO inside TLS, behind its name.
    pub(crate) offers: &'static str,
}

impl Host {
    pub(crate) fn named(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (certificate, key) = Ca::load_or_create(folder.path()).unwrap().issue(&[name.to_owned()]).unwrap();
        let pin = pin_of(&certificate);
        Self { tls: ServerTls::from_pem(&certificate, &key).unwrap(), folder, pin, offers: "" }
    }

    pub(crate) fn settings(&self, port: u16) -> Settings {
        let tls_ca = Some(self.folder.path().join("ca.pem"));
        Settings { port, tls_ca, idle_timeout: Period(Duration::ZERO), ..Settings::default() }
    }

    /// Offers TLS and takes one letter over it; gives how far it came.
    pub(crate) async fn serve(&self, mut stream: Stream) -> &'static str {
        stream.write_all(b"220 mx\r\n").await.unwrap();
        answer(&mut stream, "EHLO", "250-mx\r\n250 STARTTLS\r\n").await;
        answer(&mut stream, "STARTTLS", "220 go on\r\n").await;
        let Ok(mut stream) = stream.into_tls_server(&self.tls).await else { return "no handshake" };
        let mut heard = bytes::BytesMut::new();
        // A client that is not content hangs up here.
        if !matches!(stream.read(&mut heard).await, Ok(1..)) {
            return "no handshake";
        }
        assert!(heard.starts_with(b"EHLO"), "{heard:?}");
        let offers = if self.offers.is_empty() { "250 mx\r\n".to_owned() } else { format!("250-mx\r\n250 {}\r\n", self.offers) };
        stream.write_all(offers.as_bytes()).await.unwrap();
        heard.clear();
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        if heard.starts_with(b"QUIT") {
            return "no letter";
        }
        assert!(heard.starts_with(b"MAIL"), "{heard:?}");
        let requires_tls = heard.ends_with(b" REQUIRETLS\r\n");
        stream.write_all(b"250 ok\r\n").await.unwrap();
        for (command, reply) in [("RCPT", "250 ok"), ("DATA", "354 go on")] {
            answer(&mut stream, command, &format!("{reply}\r\n")).await;
        }
        answer(&mut stream, "", "250 taken\r\n").await;
        answer(&mut stream, "QUIT", "221 bye\r\n").await;
        if requires_tls { "a letter that requires TLS" } else { "a letter" }
    }
}

/// By another way than the code that is tested: the SubjectPublicKeyInfo of an ECDSA P-256 key has 91 octets and this beginning (RFC 5480 §2).
fn pin_of(certificate: &str) -> String {
    const BEGINNING: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0,
    ];
    let first: String = certificate.lines().skip(1).take_while(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(first).unwrap();
    let at = der.windows(BEGINNING.len()).position(|window| window == BEGINNING).unwrap();
    Sha256::digest(&der[at..at + 91]).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn asks(tls: TlsDemand) -> DestinationSettings {
    DestinationSettings {
        name: "far.test".to_owned(),
        concurrency_max: None,
        letters_per_minute: None,
        tls: Some(tls),
        tls_hosts: Vec::new(),
        tls_pins: Vec::new(),
    }
}

/// One letter to a host; how far it came there, how the attempt ended, and the timeline's words.
fn attempt(host: &Host, change: impl FnOnce(&mut Settings), sts: Option<Arc<dyn Policies>>) -> (&'static str, Outcome, String) {
    attempt_in("", host, change, sts)
}

/// The same where DNSSEC vouches for names, when `zone` says something of them; `PORT` in it is the host's.
fn attempt_in(
    zone: &str,
    host: &Host,
    change: impl FnOnce(&mut Settings),
    sts: Option<Arc<dyn Policies>>,
) -> (&'static str, Outcome, String) {
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut settings = host.settings(listener.local_addr().port());
        change(&mut settings);
        let port = settings.port;
        let mut world = World::with("", settings).await;
        if let Some(sts) = sts {
            world.context.sts = sts;
        }
        if !zone.is_empty() {
            world.context.resolver = Arc::new(Zone::of(&zone.replace("PORT", &port.to_string())).unwrap().authenticated());
        }
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let peer = async { host.serve(listener.accept().await.unwrap()).await };
        let (_, came) = posthouse_runtime::join!(world.deliver_at(ARRIVED), peer);
        let attempt = world.timeline(letter).await.into_iter().find_map(|event| {
            let Event::Attempt { outcome, policy, reply, tls, .. } = event else { return None };
            assert_eq!(tls.is_some(), outcome == Outcome::Delivered, "{reply}");
            Some((outcome, policy.unwrap_or_default()))
        });
        let (outcome, policy) = attempt.unwrap();
        (came, outcome, policy)
    })
}

#[test]
fn what_was_asked_is_obeyed_and_told() {
    let (right, wrong) = (Host::named("mx.far.test"), Host::named("mx.evil.test"));
    let enforce = || Some(promise(Mode::Enforce, "*.far.test"));
    let nothing = |_: &mut Settings| {};
    let taken = |policy: &str| ("a letter", Outcome::Delivered, policy.to_owned());
    let kept = |policy: &str| ("no handshake", Outcome::Deferred, policy.to_owned());
    assert_eq!(attempt(&wrong, nothing, None), taken("opportunistic"));
    assert_eq!(attempt(&wrong, |settings| settings.tls = TlsFloor::Require, None), taken("encrypted, as the operator asks"));
    assert_eq!(attempt(&right, nothing, enforce()), taken("verified, as the domain's MTA-STS policy asks"));
    assert_eq!(attempt(&wrong, nothing, enforce()), kept("verified, as the domain's MTA-STS policy asks"));
    let opportunistic = |settings: &mut Settings| settings.destination = vec![asks(TlsDemand::Opportunistic)];
    assert_eq!(attempt(&wrong, opportunistic, enforce()), taken("opportunistic, as the operator asks"));
    let verify = |settings: &mut Settings| {
        let tls_hosts = vec!["*.far.test".to_owned()];
        settings.destination = vec![DestinationSettings { tls_hosts, ..asks(TlsDemand::Verify) }];
    };
    assert_eq!(attempt(&right, verify, None), taken("verified, as the operator asks"));
    assert_eq!(attempt(&wrong, verify, None), kept("verified, as the operator asks"));
    let pin = |pin: &str| {
        let tls_pins = vec![pin.to_owned()];
        move |settings: &mut Settings| {
            settings.destination = vec![DestinationSettings { tls_pins, ..asks(TlsDemand::Pin) }];
        }
    };
    let pinned = attempt(&wrong, pin(&wrong.pin), enforce());
    assert_eq!(pinned, taken("pinned, as the operator asks; it has a key that is pinned"));
    assert_eq!(attempt(&right, pin(&wrong.pin), None), kept("pinned, as the operator asks"));
}

#[test]
fn what_the_dns_says_of_a_certificate_is_obeyed_and_told() {
    let (right, wrong) = (Host::named("mx.far.test"), Host::named("mx.evil.test"));
    let zone = |records: &str| format!("far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\n{records}");
    let nothing = |_: &mut Settings| {};
    let by = |host: &Host, records: &str| attempt_in(&zone(records), host, nothing, Some(promise(Mode::Enforce, "*.far.test")));
    let at = "_PORT._tcp.mx.far.test";
    let (own, authority) = (&wrong.pin, pin_of(&std::fs::read_to_string(right.folder.path().join("ca.pem")).unwrap()));
    let other = "00".repeat(32);
    // Its own certificate: the name does not matter, and neither does what MTA-STS asks.
    let (came, outcome, policy) = by(&wrong, &format!("{at} TLSA 3 1 1 {own}"));
    assert_eq!((came, outcome), ("a letter", Outcome::Delivered), "{policy}");
    assert!(policy.starts_with("dane, by 1 TLSA records at _") && policy.contains("; it fits TLSA 3 1 1 at _"), "{policy}");
    let (came, outcome, policy) = by(&right, &format!("{at} TLSA 3 1 1 {other}"));
    assert_eq!((came, outcome), ("no handshake", Outcome::Deferred), "{policy}");
    // An authority: what it signed is for the name.
    let (came, outcome, policy) = by(&right, &format!("{at} TLSA 2 1 1 {authority}\n{at} TLSA 3 1 1 {other}"));
    assert_eq!((came, outcome), ("a letter", Outcome::Delivered), "{policy}");
    assert!(policy.contains("; it fits TLSA 2 1 1 at _"), "{policy}");
    let ca = pin_of(&std::fs::read_to_string(wrong.folder.path().join("ca.pem")).unwrap());
    let (came, outcome, _) = by(&wrong, &format!("{at} TLSA 2 1 1 {ca}"));
    assert_eq!((came, outcome), ("no handshake", Outcome::Deferred));
    // Nothing that counts: encrypted, and MTA-STS has the word.
    let unusable = format!("{at} TLSA 1 1 1 {other}");
    let (came, outcome, policy) = attempt_in(&zone(&unusable), &wrong, nothing, None);
    assert_eq!((came, outcome), ("a letter", Outcome::Delivered), "{policy}");
    assert_eq!(policy, "encrypted, because none of the host's TLSA records can be used");
    assert_eq!(by(&wrong, &unusable).1, Outcome::Deferred);
}

#[test]
fn an_alias_is_called_by_the_name_its_records_stand_at() {
    let host = Host::named("real.test");
    let zone =
        "far.test MX 10 mx.far.test\nmx.far.test CNAME real.test\nreal.test A 127.0.0.1\n_PORT._tcp.real.test TLSA 2 1 1 CA";
    let authority = pin_of(&std::fs::read_to_string(host.folder.path().join("ca.pem")).unwrap());
    let (came, outcome, policy) = attempt_in(&zone.replace("CA", &authority), &host, |_| {}, None);
    assert_eq!((came, outcome), ("a letter", Outcome::Delivered), "{policy}");
    assert!(policy.contains("._tcp.real.test; it fits TLSA 2 1 1"), "{policy}");
}

#[test]
fn a_host_whose_records_cannot_be_read_is_not_used() {
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().port();
        let mut world = World::new(port, "").await;
        let zone = format!("far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\n_{port}._tcp.mx.far.test SERVFAIL");
        world.context.resolver = Arc::new(Zone::of(&zone).unwrap().authenticated());
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        let attempts = world.attempts(letter).await;
        let expected = format!(
            "451 4.4.3 the TLSA records at _{port}._tcp.mx.far.test cannot be read now: the name server answers Server Failure"
        );
        assert_eq!(attempts, [("a@far.test".to_owned(), "mx.far.test".to_owned(), Outcome::Deferred, expected)]);
    });
}

#[test]
fn a_policy_that_is_being_tested_is_reported_and_blocks_nothing() {
    let (right, wrong) = (Host::named("mx.far.test"), Host::named("mx.evil.test"));
    let testing = || Some(promise(Mode::Testing, "mx.far.test"));
    let (came, outcome, policy) = attempt(&right, |_| {}, testing());
    assert_eq!((came, outcome), ("a letter", Outcome::Delivered));
    assert!(policy.ends_with("tests its MTA-STS policy; it is signed by an authority that is trusted here"), "{policy}");
    let (came, outcome, policy) = attempt(&wrong, |_| {}, testing());
    assert_eq!((came, outcome), ("a letter", Outcome::Delivered));
    assert!(policy.ends_with("tests its MTA-STS policy; it is for mx.evil.test"), "{policy}");
}

#[test]
fn a_host_that_the_policy_does_not_name_is_never_spoken_to() {
    let host = Host::named("mx.far.test");
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Whoever put the first record there listens at the same port.
        let mut world =
            World::with("far.test MX 1 evil.test\nevil.test A 127.0.0.1", host.settings(listener.local_addr().port())).await;
        world.context.sts = promise(Mode::Enforce, "mx.far.test");
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let peer = async { host.serve(listener.accept().await.unwrap()).await };
        let (_, came) = posthouse_runtime::join!(world.deliver_at(ARRIVED), peer);
        assert_eq!(came, "a letter");
        let attempts = world.attempts(letter).await;
        let (_, first, outcome, reply) = &attempts[0];
        assert_eq!((first.as_str(), *outcome), ("evil.test", Outcome::Deferred));
        assert_eq!(reply, "451 4.7.5 the domain's MTA-STS policy does not name this host");
        assert_eq!((attempts[1].1.as_str(), attempts[1].2), ("mx.far.test", Outcome::Delivered));
    });
}

#[test]
fn hosts_that_the_policy_does_not_name_take_no_place_of_one_that_it_names() {
    let host = Host::named("mx.far.test");
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let zone: String = (1..=9).map(|n| format!("far.test MX {n} evil{n}.test\nevil{n}.test A 127.0.0.1\n")).collect();
        let settings = Settings { hosts_max: 1, ..host.settings(listener.local_addr().port()) };
        let mut world = World::with(&zone, settings).await;
        world.context.sts = promise(Mode::Enforce, "mx.far.test");
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let peer = async { host.serve(listener.accept().await.unwrap()).await };
        let (_, came) = posthouse_runtime::join!(world.deliver_at(ARRIVED), peer);
        assert_eq!(came, "a letter");
        assert_eq!(world.attempts(letter).await.len(), 10);
    });
}

#[test]
fn no_more_hosts_are_tried_than_are_allowed() {
    run(async {
        // Nobody listens at any of them.
        let closed = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().port();
        let zone: String = (11..=19).map(|n| format!("far.test MX {n} h{n}.test\nh{n}.test A 127.0.0.1\n")).collect();
        let world = World::with(&zone, Settings { port: closed, hosts_max: 3, ..Settings::default() }).await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        let hosts: Vec<String> = world.attempts(letter).await.into_iter().map(|(_, host, ..)| host).collect();
        assert_eq!(hosts, ["mx.far.test", "h11.test", "h12.test"]);
    });
}

#[test]
fn tls_that_does_not_work_is_told_where_the_letter_went_in_clear() {
    let visits = std::sync::atomic::AtomicUsize::new(0);
    let peer = Peer::listen(2, move |talk| {
        if visits.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            greet_with(talk, "250-mx.far.test\n250 STARTTLS");
            on(talk, "STARTTLS", "220 go on");
            talk.hang_up();
        } else {
            take(talk, &["a@far.test"]);
        }
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        let line = world.timeline(letter).await.remove(0).to_string();
        assert!(line.contains(" without TLS (opportunistic; in clear because the TLS handshake failed"), "{line}");
    });
    peer.finish();
}

/// Two domains on one host; the letters of one must be encrypted. The connection in clear that rests there is not for them.
#[test]
fn a_connection_in_clear_carries_no_letter_that_must_be_encrypted() {
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let idle_timeout = Period(Duration::from_secs(60));
        let destination = vec![asks(TlsDemand::Require)];
        let settings = Settings { port: listener.local_addr().port(), idle_timeout, destination, ..Settings::default() };
        let hosts = "both.test A 127.0.0.1\nother.test MX 1 both.test\nfar.test MX 1 both.test";
        let world = World::with(hosts, settings).await;
        world.submit("s@ours.test", &["a@other.test"], BODY).await;
        let first = async {
            let mut stream = listener.accept().await.unwrap();
            stream.write_all(b"220 mx\r\n").await.unwrap();
            for (command, reply) in
                [("EHLO", "250 mx"), ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on"), ("Subject", "250 taken")]
            {
                answer(&mut stream, command, &format!("{reply}\r\n")).await;
            }
            stream
        };
        let (_, at_rest) = posthouse_runtime::join!(world.deliver_at(ARRIVED), first);
        assert!(world.context.queue.is_empty());
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let second = async {
            // `far.test` has another host besides, so there are two visits.
            for _ in 0..2 {
                let mut stream = listener.accept().await.unwrap();
                stream.write_all(b"220 mx\r\n").await.unwrap();
                answer(&mut stream, "EHLO", "250 mx\r\n").await;
                let mut rest = bytes::BytesMut::new();
                while matches!(stream.read(&mut rest).await, Ok(1..)) {}
                assert!(!rest.starts_with(b"MAIL"), "{rest:?}");
            }
        };
        posthouse_runtime::join!(world.deliver_at(ARRIVED), second);
        let attempts = world.attempts(letter).await;
        assert!(attempts.iter().all(|(_, _, outcome, _)| *outcome == Outcome::Deferred), "{attempts:?}");
        drop(at_rest);
    });
}

#[test]
fn demands_that_do_not_fit_together_are_told_with_their_key() {
    let wrong = |own: DestinationSettings| {
        let settings = Settings { destination: vec![own], ..Settings::default() };
        settings.check().unwrap_err().to_string()
    };
    let hosts = DestinationSettings { tls_hosts: vec!["mx.far.test".to_owned()], ..asks(TlsDemand::Require) };
    assert_eq!(wrong(hosts), "delivery.destination.0.tls-hosts: hosts are named only with `tls = \"verify\"`");
    let pins = DestinationSettings { tls_pins: vec!["00".repeat(32)], ..asks(TlsDemand::Verify) };
    assert_eq!(wrong(pins), "delivery.destination.0.tls-pins: keys are named only with `tls = \"pin\"`");
    assert_eq!(wrong(asks(TlsDemand::Pin)), "delivery.destination.0.tls: `pin` needs the keys in `tls-pins`");
    let pin = DestinationSettings { tls_pins: vec!["abc".to_owned()], ..asks(TlsDemand::Pin) };
    assert!(wrong(pin).starts_with("delivery.destination.0.tls-pins: `abc`: a pin is"));
}
