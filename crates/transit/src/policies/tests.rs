use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use rusqlite::Connection;
use tempfile::TempDir;

use posthouse_config::Period;
use posthouse_dns::Zone;
use posthouse_mailauth::mta_sts::{Mode, PolicyError};
use posthouse_mailauth::tls_rpt::NoLedger;
use posthouse_runtime::net::Listener;
use posthouse_runtime::task;
use posthouse_runtime::tls::{Ca, ServerTls};

use super::*;

const ENFORCE: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 86400\r\n";

/// A web host for `mta-sts.a.test` and `mta-sts.b.test`, a zone, and a file.
struct World {
    dir: TempDir,
    zone: Arc<Zone>,
    port: u16,
    /// What the host answers; nothing at all when empty.
    answer: Arc<Mutex<Vec<u8>>>,
    hits: Arc<AtomicU64>,
    ca: Ca,
}

fn page(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl World {
    fn new(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ca = Ca::load_or_create(dir.path()).expect("an authority");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let tls = ServerTls::from_ca(&ca, &names).expect("a certificate");
        let listener = Listener::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).expect("a port");
        let port = listener.local_addr().port();
        let (answer, hits) = (Arc::new(Mutex::new(page(ENFORCE))), Arc::new(AtomicU64::new(0)));
        let world = Self { dir, zone: Arc::new(Zone::new()), port, answer: Arc::clone(&answer), hits: Arc::clone(&hits), ca };
        world.announce("1");
        task::spawn("web host", async move {
            loop {
                let stream = listener.accept().await.expect("a connection");
                let (tls, answer, hits) = (tls.clone(), Arc::clone(&answer), Arc::clone(&hits));
                task::spawn("visitor", async move {
                    let Ok(mut stream) = stream.into_tls_server(&tls).await else { return };
                    hits.fetch_add(1, Ordering::Relaxed);
                    let mut heard = BytesMut::new();
                    while !heard.ends_with(b"\r\n\r\n") && stream.read(&mut heard).await.is_ok_and(|count| count > 0) {}
                    let answer = answer.lock().expect("sound").clone();
                    if answer.is_empty() {
                        return std::future::pending().await;
                    }
                    // A visitor who has heard enough goes.
                    let _ = stream.write_all(&answer).await;
                    stream.close().await;
                });
            }
        });
        world
    }

    /// The id that the DNS announces for `a.test`; none when empty.
    fn announce(&self, id: &str) {
        let hosts = "mta-sts.a.test A 127.0.0.1\nmta-sts.b.test A 127.0.0.1";
        let record = if id.is_empty() { String::new() } else { format!("_mta-sts.a.test TXT v=STSv1; id={id};") };
        self.zone.set(&format!("{hosts}\n{record}")).expect("a zone");
    }

    fn serve(&self, answer: Vec<u8>) {
        *self.answer.lock().expect("sound") = answer;
    }

    fn open(&self) -> Policies {
        self.open_for(Duration::from_secs(20), true)
    }

    fn open_for(&self, timeout: Duration, private_addresses: bool) -> Policies {
        let ca = Some(self.ca.certificate_path().to_owned());
        let http = posthouse_http::Settings { ca, private_addresses, timeout: Period(timeout) };
        let resolver: Resolver = Arc::clone(&self.zone) as Resolver;
        let client = Client::new(Arc::clone(&resolver), &http).expect("a client");
        let settings = Settings { port: self.port, ..Settings::default() };
        Policies::open(&Store::open(&self.file()).expect("a file"), resolver, client, &settings, Arc::new(NoLedger))
            .expect("policies")
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("transit.sqlite")
    }

    /// Makes every policy in the file older.
    fn age(&self, by: Duration) {
        let connection = Connection::open(self.file()).expect("the file");
        let millis = i64::try_from(by.as_millis()).expect("some years");
        connection.execute("UPDATE policy SET fetched = fetched - ?1", [millis]).expect("a row");
    }

    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

fn within<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    posthouse_runtime::block_on(async { test().await }).expect("a runtime");
}

fn domain(name: &str) -> Domain {
    name.parse().expect("a domain")
}

/// In short: what holds and what is wrong.
async fn found(policies: &Policies, name: &str) -> (Option<String>, Option<FetchError>) {
    let Lookup { known, trouble } = policies.lookup(&domain(name)).await;
    (known.map(|known| format!("{} {}", known.policy.mode, known.id)), trouble)
}

#[test]
fn a_policy_is_fetched_once_and_again_when_its_id_changes() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        let policies = world.open();
        for _ in 0..3 {
            assert_eq!(found(&policies, "a.test").await, (Some("enforce 1".to_owned()), None));
        }
        assert_eq!(world.hits(), 1);
        world.serve(page(&ENFORCE.replace("enforce", "testing")));
        assert_eq!(found(&policies, "a.test").await.0.as_deref(), Some("enforce 1"));
        world.announce("2");
        assert_eq!(found(&policies, "a.test").await.0.as_deref(), Some("testing 2"));
        assert_eq!(world.hits(), 2);
    });
}

#[test]
fn many_letters_at_once_cost_one_fetch() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        let policies = world.open();
        let name = domain("a.test");
        let (one, two, three) = posthouse_runtime::join!(policies.lookup(&name), policies.lookup(&name), policies.lookup(&name));
        assert!([one, two, three].iter().all(|lookup| lookup.known.is_some()));
        assert_eq!(world.hits(), 1);
        assert!(policies.state().fetching.is_empty());
    });
}

#[test]
fn a_policy_holds_over_a_restart_while_its_host_is_down_and_its_record_gone() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        assert!(found(&world.open(), "a.test").await.0.is_some());
        // Another id, and the host answers nobody in time.
        world.announce("2");
        world.serve(Vec::new());
        let policies = world.open_for(Duration::from_millis(300), true);
        let (known, trouble) = found(&policies, "a.test").await;
        assert_eq!(known.as_deref(), Some("enforce 1"));
        assert!(matches!(&trouble, Some(FetchError::Fetch(why)) if why.contains("in time")), "{trouble:?}");
        // It is not asked again for every letter.
        let hits = world.hits();
        assert_eq!(found(&policies, "a.test").await, (known.clone(), trouble));
        assert_eq!(world.hits(), hits);
        for trouble in ["", "_mta-sts.a.test SERVFAIL", "_mta-sts.a.test TXT v=STSv1; id=1;\n_mta-sts.a.test TXT v=STSv1; id=2;"]
        {
            world.zone.set(trouble).expect("a zone");
            assert_eq!(found(&policies, "a.test").await, (known.clone(), None), "{trouble}");
        }
    });
}

#[test]
fn a_policy_ends_with_its_time_and_not_before() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        assert!(found(&world.open(), "a.test").await.0.is_some());
        world.announce("");
        world.age(Duration::from_secs(86_400 - 60));
        assert!(found(&world.open(), "a.test").await.0.is_some());
        world.age(Duration::from_secs(61));
        let policies = world.open();
        assert_eq!(found(&policies, "a.test").await, (None, None));
        policies.freshen().await;
        assert!(policies.0.store.policies().expect("the file").is_empty());
    });
}

#[test]
fn a_policy_is_fetched_again_long_before_it_ends() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        let policies = world.open();
        assert!(found(&policies, "a.test").await.0.is_some());
        policies.freshen().await;
        assert_eq!(world.hits(), 1);
        world.age(Duration::from_secs(86_400 / 2 + 1));
        let policies = world.open();
        policies.freshen().await;
        assert_eq!(world.hits(), 2);
        // A host that is down then takes nothing away.
        world.age(Duration::from_secs(86_400 / 2 + 1));
        world.serve(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec());
        let policies = world.open();
        policies.freshen().await;
        assert_eq!(world.hits(), 3);
        assert!(found(&policies, "a.test").await.0.is_some());
    });
}

#[test]
fn what_is_no_answer_with_a_policy_gives_none_and_says_why() {
    let text = |status: &str, kind: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let redirect = b"HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.b.test/\r\nContent-Length: 0\r\n\r\n".to_vec();
    let large = format!("{ENFORCE}x: {}\r\n", "y".repeat(64 * 1024));
    let rows = [
        ("a redirect", redirect, "redirects are not followed"),
        ("not found", text("404 Not Found", "text/plain", ENFORCE), "answers 404"),
        ("created", text("201 Created", "text/plain", ENFORCE), "answers 201"),
        ("a page", text("200 OK", "text/html", ENFORCE), "`text/html`, not text/plain"),
        ("what users upload", text("200 OK", "application/octet-stream", ENFORCE), "not text/plain"),
        ("64 KiB and more", page(&large), "longer than 65536 octets"),
        ("a policy that is none", page("version: STSv1\r\nmode: enforce\r\nmax_age: 5\r\n"), "no `mx`"),
        ("nothing", b"HTTP/1.1 204 None\r\n\r\n".to_vec(), "answers 204"),
    ];
    for (name, answer, why) in rows {
        within(|| async {
            let world = World::new(&["mta-sts.a.test"]);
            world.serve(answer);
            let (known, trouble) = found(&world.open(), "a.test").await;
            let said = trouble.map(|trouble| trouble.to_string()).unwrap_or_default();
            assert!(known.is_none() && said.contains(why), "{name}: {said}");
        });
    }
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        world.serve(text("200 OK", "Text/Plain; charset=utf-8", ENFORCE));
        assert!(found(&world.open(), "a.test").await.0.is_some());
        world.announce("2");
        world.serve(page("hello"));
        assert!(matches!(found(&world.open(), "a.test").await, (Some(_), Some(FetchError::Invalid(PolicyError::Line { .. })))));
    });
}

#[test]
fn the_certificate_must_be_for_the_policy_host_by_name_or_wildcard() {
    within(|| async {
        let by_wildcard = World::new(&["*.a.test"]);
        assert!(found(&by_wildcard.open(), "a.test").await.0.is_some());
        let by_parent = World::new(&["a.test", "mx.a.test"]);
        let (known, trouble) = found(&by_parent.open(), "a.test").await;
        assert!(known.is_none() && matches!(trouble, Some(FetchError::Certificate(_))), "{trouble:?}");
    });
}

#[test]
fn a_policy_is_never_looked_up_for_the_mail_host() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        let policies = world.open();
        assert!(found(&policies, "mx.a.test").await.0.is_none());
        assert!(found(&policies, "[192.0.2.1]").await.0.is_none());
        assert_eq!(world.hits(), 0);
    });
}

#[test]
fn a_policy_host_inside_this_network_is_not_asked() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        let (known, trouble) = found(&world.open_for(Duration::from_secs(20), false), "a.test").await;
        assert!(known.is_none() && trouble.is_some_and(|why| why.to_string().contains("private network")));
        assert_eq!(world.hits(), 0);
    });
}

#[test]
fn a_policy_taken_back_replaces_the_one_that_was_known() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        let policies = world.open();
        assert!(found(&policies, "a.test").await.0.is_some());
        world.announce("2");
        world.serve(page("version: STSv1\nmode: none\nmax_age: 86400\n"));
        assert_eq!(found(&policies, "a.test").await.0.as_deref(), Some("none 2"));
        assert_eq!(policies.lookup(&domain("a.test")).await.known.map(|known| known.policy.mode), Some(Mode::None));
    });
}

#[test]
fn a_policy_that_holds_for_no_time_is_not_fetched_for_every_letter() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        world.serve(page(&ENFORCE.replace("86400", "0")));
        let policies = world.open();
        for _ in 0..3 {
            assert_eq!(found(&policies, "a.test").await, (None, None));
        }
        assert_eq!(world.hits(), 1);
    });
}

#[test]
fn failures_are_waited_out_longer_each_time_and_take_bounded_memory() {
    let mut state = State::default();
    let error = FetchError::Fetch("no".to_owned());
    let name = domain("a.test");
    let pauses: Vec<u64> = (0..12)
        .map(|_| {
            state.failed(&name, &error);
            state.failures.get(&name).expect("noted").until.since(now()).as_secs()
        })
        .collect();
    assert!((260..=340).contains(&pauses[0]) && (500..=680).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 86_400 * 11 / 10) && pauses[11] > 70_000, "{pauses:?}");
    for number in 0..FAILURES_MAX + 100 {
        state.failed(&domain(&format!("d{number}.test")), &error);
    }
    assert_eq!(state.failures.len(), FAILURES_MAX);
}

#[test]
fn a_file_from_the_future_is_refused() {
    within(|| async {
        let world = World::new(&["mta-sts.a.test"]);
        drop(world.open());
        Connection::open(world.file()).expect("the file").pragma_update(None, "user_version", 99).expect("a number");
        assert!(matches!(Store::open(&world.file()), Err(TransitError::Newer { found: 99, .. })));
    });
}
