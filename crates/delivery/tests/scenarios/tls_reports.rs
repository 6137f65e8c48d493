//! How the TLS of connections went: written down for each, reported once a day, and never reported on itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_delivery::{Ledger, TlsReports};
use posthouse_directory::StoredKey;
use posthouse_dns::Zone;
use posthouse_http::Client;
use posthouse_mail::UnixMillis;
use posthouse_mail::header::Header;
use posthouse_mailauth::dkim::{Algorithm, DkimResult, Keys, SigningKey, Verification, key_record};
use posthouse_mailauth::mta_sts::Mode;
use posthouse_mailauth::tls_rpt::{AppliedPolicy, PolicyType, Report, Session};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::tls::{Ca, ServerTls};
use posthouse_runtime::{clock, join};
use posthouse_testkit::peer::Peer;
use posthouse_transit::{Sessions, Store};

use crate::tls::{Host, promise};
use crate::world::{ARRIVED, World, farewell, greet, on, run, take};

const BODY: &str = "Subject: x\r\n\r\nhello\r\n";

/// Keeps what is written down.
#[derive(Default)]
struct Kept(Mutex<Vec<Session>>);

impl Ledger for Kept {
    fn note(&self, session: Session) {
        self.0.lock().unwrap().push(session);
    }
}

/// One letter to a host that offers TLS, under a policy; what is written down: the kind of policy, the kind of failure.
fn noted(host: &Host, mode: Option<(Mode, &str)>) -> Vec<(PolicyType, Option<String>)> {
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut world = World::with("", host.settings(listener.local_addr().port())).await;
        let kept = Arc::new(Kept::default());
        world.context.ledger = Arc::clone(&kept) as Arc<dyn Ledger>;
        if let Some((mode, named)) = mode {
            world.context.sts = promise(mode, named);
        }
        world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let peer = async {
            match clock::timeout(Duration::from_secs(5), listener.accept()).await {
                Ok(stream) => host.serve(stream.unwrap()).await,
                Err(_) => "nobody came",
            }
        };
        if mode == Some((Mode::Enforce, "mx.evil.test")) {
            world.deliver_at(ARRIVED).await;
        } else {
            join!(world.deliver_at(ARRIVED), peer);
        }
        let sessions = std::mem::take(&mut *kept.0.lock().unwrap());
        sessions.into_iter().map(|one| (one.policy.policy_type, one.failure.map(|failure| failure.result_type))).collect()
    })
}

#[test]
fn each_session_is_written_down_as_what_it_was() {
    let (right, wrong) = (Host::named("mx.far.test"), Host::named("mx.evil.test"));
    let (sts, none) = (PolicyType::Sts, PolicyType::NoPolicyFound);
    let failed = |kind: &str| Some(kind.to_owned());
    assert_eq!(noted(&wrong, None), [(none, None)]);
    assert_eq!(noted(&right, Some((Mode::Enforce, "mx.far.test"))), [(sts, None)]);
    assert_eq!(noted(&wrong, Some((Mode::Enforce, "mx.far.test"))), [(sts, failed("certificate-host-mismatch"))]);
    assert_eq!(noted(&wrong, Some((Mode::Testing, "mx.far.test"))), [(sts, failed("certificate-host-mismatch"))]);
    assert_eq!(noted(&right, Some((Mode::Testing, "mx.evil.test"))), [(sts, failed("validation-failure"))]);
    assert_eq!(noted(&right, Some((Mode::Enforce, "mx.evil.test"))), [(sts, failed("validation-failure"))]);
    assert_eq!(noted(&right, Some((Mode::None, "mx.far.test"))), [(none, None)]);
}

#[test]
fn a_host_without_tls_is_written_down_too() {
    run(async {
        let peer = Peer::listen(1, |talk| drop(take(talk, &["a@far.test"])));
        let mut world = World::new(peer.address().port(), "").await;
        let kept = Arc::new(Kept::default());
        world.context.ledger = Arc::clone(&kept) as Arc<dyn Ledger>;
        world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        peer.finish();
        let failure = kept.0.lock().unwrap()[0].failure.clone().unwrap();
        assert_eq!(failure.result_type, "starttls-not-supported");
        assert_eq!(
            (failure.receiving_mx_hostname.as_deref(), failure.receiving_ip.as_deref()),
            (Some("mx.far.test"), Some("127.0.0.1"))
        );
        assert_eq!(failure.sending_mta_ip.as_deref(), Some("127.0.0.1"));
    });
}

/// Sessions of today with `far.test`, and the reports on them when the day is over.
async fn reports(world: &World, zone: &str, ca: Option<&Ca>) -> TlsReports {
    let store = Store::open(&world.folder.path().join("transit.sqlite")).unwrap();
    let sessions = Sessions::start(&store).unwrap();
    sessions.note(Session { policy: AppliedPolicy::none(&"far.test".parse().unwrap()), failure: None });
    sessions.flush().await;
    let ca = ca.map(|ca| ca.certificate_path().to_owned());
    let settings = posthouse_http::Settings { ca, private_addresses: true, ..posthouse_http::Settings::default() };
    let client = Client::new(Arc::new(Zone::of(zone).unwrap()), &settings).unwrap();
    TlsReports { context: world.context.clone(), sessions, client, from: None }
}

/// The end of today, and the hours in which reports are sent.
fn tomorrow() -> UnixMillis {
    UnixMillis(clock::unix_millis()).plus(Duration::from_hours(24 + 5))
}

fn key() -> (StoredKey, String) {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    (StoredKey { selector: "s1".to_owned(), octets: key.to_pkcs8().unwrap() }, key_record(&key).unwrap())
}

#[test]
fn a_day_is_reported_once_by_a_signed_letter_in_clear_if_need_be() {
    run(async {
        let (heard, letters) = std::sync::mpsc::channel();
        let peer = Peer::listen(1, move |talk| heard.send(take(talk, &["tls@far.test"])).unwrap());
        let mut world = World::new(peer.address().port(), "_smtp._tls.far.test TXT v=TLSRPTv1; rua=mailto:tls@far.test").await;
        let (stored, record) = key();
        world.context.directory.add_keys(&"ours.test".parse().unwrap(), vec![stored]).await.unwrap();
        // The domain's own policy would keep the report from its hosts, and nothing is written down of the way there.
        let kept = Arc::new(Kept::default());
        world.context.sts = promise(Mode::Enforce, "other.far.test");
        world.context.ledger = Arc::clone(&kept) as Arc<dyn Ledger>;
        let reports = reports(&world, "", None).await;
        reports.send_due(UnixMillis(clock::unix_millis())).await;
        assert_eq!(world.context.queue.len(), 0, "the day is not over");
        reports.send_due(tomorrow()).await;
        // Had the process ended before the day was let go, the same letter would have come again.
        reports.sessions.note(Session { policy: AppliedPolicy::none(&"far.test".parse().unwrap()), failure: None });
        reports.sessions.flush().await;
        reports.send_due(tomorrow()).await;
        assert_eq!(world.context.queue.len(), 1);
        assert!(reports.sessions.over(tomorrow()).await.unwrap().is_empty());
        world.deliver_at(tomorrow().plus(Duration::from_hours(1))).await;
        peer.finish();
        let letter = letters.recv().unwrap();
        for line in ["From: postmaster@ours.test", "TLS-Required: No", "TLS-Report-Domain: far.test", "d=ours.test; s=s1"] {
            assert!(letter.contains(line), "{line}\n{letter}");
        }
        let packed = letter.split(".json.gz\"\r\n\r\n").nth(1).unwrap().split("--").next().unwrap().replace("\r\n", "");
        let report = Report::read(&BASE64_STANDARD.decode(packed).unwrap()).unwrap();
        assert_eq!(report.total().total_successful_session_count, 1);
        assert!(kept.0.lock().unwrap().is_empty());
        let zone = Zone::of(&format!("s1._domainkey.ours.test TXT {record}")).unwrap();
        let (fields, body) = letter.split_once("\r\n\r\n").unwrap();
        let fields = format!("{fields}\r\n");
        let mut verification = Verification::new(Header::parse(fields.as_bytes()).unwrap(), tomorrow().0 / 1000);
        verification.body(body.as_bytes());
        let keys = Keys::fetch(&zone, verification.key_names()).await;
        let results: Vec<_> = verification.finish(&keys).into_iter().map(|verdict| verdict.result).collect();
        assert_eq!(results, [DkimResult::Pass]);
    });
}

#[test]
fn nobody_is_told_who_did_not_ask_and_trouble_with_the_dns_waits() {
    run(async {
        for (zone, left) in [("", 0), ("_smtp._tls.far.test TXT v=TLSRPTv1; rua=ftp://x", 0), ("_smtp._tls.far.test SERVFAIL", 1)]
        {
            let world = World::new(1, zone).await;
            let reports = reports(&world, "", None).await;
            reports.send_due(tomorrow()).await;
            assert_eq!(world.context.queue.len(), 0, "{zone}");
            assert_eq!(reports.sessions.over(tomorrow()).await.unwrap().len(), left, "{zone}");
            reports.send_due(tomorrow().plus(Duration::from_hours(4 * 24))).await;
            assert!(reports.sessions.over(tomorrow()).await.unwrap().is_empty(), "{zone}");
        }
    });
}

#[test]
fn a_report_that_is_refused_goes_back_to_nobody() {
    run(async {
        let peer = Peer::listen(1, |talk| {
            greet(talk);
            on(talk, "MAIL FROM:<>", "250 ok");
            on(talk, "RCPT", "550 5.1.1 nobody");
            farewell(talk);
        });
        let world = World::new(peer.address().port(), "_smtp._tls.far.test TXT v=TLSRPTv1; rua=mailto:tls@far.test").await;
        world.account("postmaster@ours.test").await;
        let reports = reports(&world, "", None).await;
        reports.send_due(tomorrow()).await;
        for _ in 0..3 {
            world.deliver_at(tomorrow().plus(Duration::from_hours(1))).await;
        }
        peer.finish();
        assert_eq!(world.context.queue.len(), 0);
        assert!(world.inbox("postmaster@ours.test").await.is_empty());
    });
}

/// Reads a request to its end and answers it.
async fn web(mut stream: Stream, reply: &str) -> String {
    let mut heard = bytes::BytesMut::new();
    let mut fields = BTreeMap::new();
    loop {
        assert!(stream.read(&mut heard).await.unwrap() > 0);
        let text = String::from_utf8_lossy(&heard).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        fields.extend(
            head.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())),
        );
        let at = heard.len() - heard.windows(4).position(|end| end == b"\r\n\r\n").unwrap() - 4;
        if fields["content-length"].parse::<usize>().unwrap() <= at && !body.is_empty() {
            break;
        }
    }
    stream.write_all(format!("HTTP/1.1 {reply}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
    stream.close().await;
    fields["content-type"].clone()
}

#[test]
fn a_report_by_https_is_posted_until_it_is_taken() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_create(folder.path()).unwrap();
        let tls = ServerTls::from_ca(&ca, &["web.test".to_owned()]).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().port();
        let zone = format!("_smtp._tls.far.test TXT v=TLSRPTv1; rua=https://web.test:{port}/in");
        let world = World::new(1, &zone).await;
        let reports = reports(&world, "web.test A 127.0.0.1", Some(&ca)).await;
        for (reply, left) in [("503 No", 1), ("302 Found\r\nLocation: https://web.test/", 1), ("201 Created", 0)] {
            let serve = async {
                let stream = listener.accept().await.unwrap().into_tls_server(&tls).await.unwrap();
                web(stream, reply).await
            };
            let ((), kind) = join!(reports.send_due(tomorrow()), serve);
            assert_eq!(kind, "application/tlsrpt+gzip");
            assert_eq!(reports.sessions.over(tomorrow()).await.unwrap().len(), left, "{reply}");
        }
    });
}

#[test]
fn a_record_cannot_make_us_post_into_this_network() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::load_or_create(folder.path()).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().port();
        for host in ["web.test", "127.0.0.1", "[::ffff:127.0.0.1]"] {
            let zone = format!("_smtp._tls.far.test TXT v=TLSRPTv1; rua=https://{host}:{port}/in");
            let world = World::new(1, &zone).await;
            let mut reports = reports(&world, "", None).await;
            let names = Arc::new(Zone::of("web.test A 127.0.0.1").unwrap());
            let settings =
                posthouse_http::Settings { ca: Some(ca.certificate_path().to_owned()), ..posthouse_http::Settings::default() };
            reports.client = Client::new(names, &settings).unwrap();
            reports.send_due(tomorrow()).await;
            assert!(clock::timeout(Duration::from_millis(50), listener.accept()).await.is_err(), "{host}: somebody knocked");
            assert_eq!(reports.sessions.over(tomorrow()).await.unwrap().len(), 1, "{host}");
        }
    });
}
