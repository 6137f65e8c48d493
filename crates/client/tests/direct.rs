//! Straight to the mail hosts of domains: which are tried, how safely, and what each recipient is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_client::mail::{Reply, TlsWish};
use posthouse_client::mx::{NoPolicies, Policies};
use posthouse_client::{Catcher, CatcherBuilder, DirectBuilder, Mailer, Message, RecipientReport, Roots, SendReport, dns};
use posthouse_http::Page;
use posthouse_mailauth::tls_rpt::NoLedger;
use posthouse_runtime::net::Listener;
use posthouse_runtime::tls::ServerTls;
use posthouse_runtime::{block_on, task};
use posthouse_testkit::peer::Peer;
use posthouse_transit::Store;

/// A mail host at an address of its own; all have the same port, as in the world.
fn host(name: &str, address: &str, behaviour: CatcherBuilder) -> Catcher {
    let at = |port: u16| SocketAddr::new(address.parse().unwrap(), port);
    behaviour.hostname(name).listen(at(0)).start().unwrap()
}

/// Another one at the port of the first.
fn beside(first: &Catcher, name: &str, address: &str, behaviour: CatcherBuilder) -> Catcher {
    let at = SocketAddr::new(address.parse().unwrap(), first.address().port());
    behaviour.hostname(name).listen(at).start().unwrap()
}

fn zone(text: &str) -> dns::Zone {
    dns::Zone::of(text).unwrap()
}

fn direct(zone: dns::Zone, port: u16) -> DirectBuilder {
    direct_under(zone, port, Arc::new(NoPolicies))
}

fn direct_under(zone: dns::Zone, port: u16, policies: Arc<dyn Policies>) -> DirectBuilder {
    Mailer::direct_with("app.us.test", policies).resolver(Arc::new(zone)).port(port)
}

fn letter(to: &[&str]) -> Message {
    let builder = Message::builder().from("app@us.test").subject("s").text("hello\n");
    to.iter().fold(builder, |builder, to| builder.to(to)).build().unwrap()
}

fn sent(mailer: DirectBuilder, letter: &Message) -> SendReport {
    let mailer = mailer.build().unwrap();
    block_on(async {
        let report = mailer.send(letter).await;
        mailer.close().await;
        report
    })
    .unwrap()
    .unwrap()
}

fn lines(report: &SendReport) -> Vec<String> {
    report.recipients.iter().map(ToString::to_string).collect()
}

fn server(recipient: &RecipientReport) -> &str {
    recipient.via.as_ref().map_or("nobody", |via| &via.server)
}

fn policy(report: &SendReport) -> &str {
    &report.recipients[0].via.as_ref().unwrap().policy
}

/// The authority of a catcher as its mail host's TLSA record names it (usage 2, the whole certificate).
fn tlsa(catcher: &Catcher) -> String {
    let base64: String = catcher.authority().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    let octets = BASE64_STANDARD.decode(base64).unwrap();
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("2 0 0 {hex}")
}

#[test]
fn each_domain_is_served_by_its_own_host_and_one_that_is_down_holds_up_nobody() {
    let a = host("mx.a.test", "127.0.0.2", Catcher::builder().starttls());
    let b = beside(
        &a,
        "b.test",
        "127.0.0.3",
        Catcher::builder().refuse("no@b.test", Reply::new(550, "5.1.1".parse().unwrap(), "no")),
    );
    let zone = zone(
        "a.test MX 10 mx.a.test\nmx.a.test A 127.0.0.2\nb.test A 127.0.0.3\ndown.test MX 10 mx.down.test\nmx.down.test A 127.0.0.4\n\
         null.test MX 0 .\nslow.test SERVFAIL",
    );
    let to = ["x@a.test", "x@b.test", "no@b.test", "x@down.test", "x@null.test", "x@gone.test", "x@slow.test", "y@a.test"];
    let report = sent(direct(zone, a.address().port()), &letter(&to));
    let told = lines(&report);
    assert!(told[0].starts_with("x@a.test: accepted: 250 2"), "{told:?}");
    assert!(told[1].starts_with("x@b.test: accepted: 250 2"), "the domain is its own host without MX records: {told:?}");
    assert_eq!(told[2], "no@b.test: refused: 550 5.1.1 no");
    assert!(told[3].starts_with("x@down.test: not sent for now: 451 4.4.1 cannot connect to mx.down.test"), "{told:?}");
    assert!(told[4].starts_with("x@null.test: not sent: 556 5.1.10"), "{told:?}");
    assert!(told[5].starts_with("x@gone.test: not sent: 550 5.1.2"), "{told:?}");
    assert!(told[6].starts_with("x@slow.test: not sent for now: 451 4.4.3"), "{told:?}");
    assert!(told[7].starts_with("y@a.test: accepted"), "{told:?}");
    let temporary: Vec<bool> = report.recipients.iter().map(RecipientReport::is_temporary).collect();
    assert_eq!(temporary, [false, false, false, true, false, false, true, false]);
    let servers: Vec<&str> = report.recipients.iter().map(server).collect();
    assert_eq!(servers, ["mx.a.test", "b.test", "b.test", "mx.down.test", "nobody", "nobody", "nobody", "mx.a.test"]);
    assert_eq!(report.server, "mx.a.test, b.test, mx.down.test");
    assert_eq!((a.letters().len(), b.letters().len()), (1, 1), "recipients of one domain travel together");
    assert!(a.letters()[0].tls().is_some(), "TLS is used where it is offered");
    assert!(b.letters()[0].tls().is_none());
}

#[test]
fn the_next_host_is_tried_where_one_takes_nobody_now_and_not_after_a_last_word() {
    let greylist = Catcher::builder().refuse("x@a.test", Reply::new(450, "4.7.1".parse().unwrap(), "come back"));
    let first = host("one.a.test", "127.0.0.2", greylist);
    let second = beside(&first, "two.a.test", "127.0.0.3", Catcher::builder());
    let records = "a.test MX 10 one.a.test\na.test MX 20 two.a.test\none.a.test A 127.0.0.2\ntwo.a.test A 127.0.0.3";
    let port = first.address().port();
    let report = sent(direct(zone(records), port), &letter(&["x@a.test"]));
    assert_eq!((server(&report.recipients[0]), second.letters().len()), ("two.a.test", 1));
    let one_down = records.replace("127.0.0.3", "127.0.0.4");
    let told = lines(&sent(direct(zone(&one_down), port), &letter(&["x@a.test"])));
    assert!(told[0].contains("4.4.1 cannot connect to two.a.test"), "the last one that failed for now: {told:?}");
    // One recipient is taken: the other has its answer, and no other host is asked for it.
    let report = sent(direct(zone(records), port), &letter(&["x@a.test", "y@a.test"]));
    assert_eq!(lines(&report)[0], "x@a.test: refused for now: 450 4.7.1 come back");
    assert!(report.recipients[1].is_accepted());
}

#[test]
fn a_letter_of_unknown_fate_is_given_to_nobody_else() {
    let peer = Peer::listen(1, |talk| {
        talk.say("220 mx");
        assert!(talk.hear().unwrap().starts_with("EHLO app.us.test"));
        talk.say("250 mx");
        for _ in 0..2 {
            talk.hear().unwrap();
            talk.say("250 ok");
        }
        assert_eq!(talk.hear().as_deref(), Some("DATA"));
        talk.say("354 go on");
        talk.body();
    });
    let port = peer.address().port();
    let other = Catcher::builder().listen(SocketAddr::new("127.0.0.5".parse().unwrap(), port)).start().unwrap();
    let zone = zone("a.test MX 10 one.a.test\na.test MX 20 two.a.test\none.a.test A 127.0.0.1\ntwo.a.test A 127.0.0.5");
    let report = sent(direct(zone, port), &letter(&["x@a.test"]));
    assert!(lines(&report)[0].starts_with("x@a.test: unknown: "), "{:?}", lines(&report));
    assert!(other.letters().is_empty());
    peer.finish();
}

#[test]
fn dane_holds_a_host_to_what_the_dns_says_and_forged_answers_deliver_nothing() {
    let good = host("mx.a.test", "127.0.0.2", Catcher::builder().starttls());
    let downgraded = beside(&good, "mx.b.test", "127.0.0.3", Catcher::builder());
    let port = good.address().port();
    let right = tlsa(&good);
    let records = format!(
        "a.test MX 10 mx.a.test\nmx.a.test A 127.0.0.2\n_{port}._tcp.mx.a.test TLSA {right}\n\
         b.test MX 10 mx.b.test\nmx.b.test A 127.0.0.3\n_{port}._tcp.mx.b.test TLSA {right}\n\
         c.test MX 10 mx.c.test\nmx.c.test A 127.0.0.2\n_{port}._tcp.mx.c.test TLSA 3 1 1 {}\n\
         d.test MX 10 mx.d.test\nmx.d.test A 127.0.0.2\n_{port}._tcp.mx.d.test SERVFAIL",
        "07".repeat(32)
    );
    let send = |to: &str| sent(direct(zone(&records).authenticated(), port), &letter(&[to]));

    let report = send("x@a.test");
    assert!(report.is_complete() && policy(&report).starts_with("dane, by 1 TLSA records"), "{report:?}");
    for (to, why) in [("x@b.test", "STARTTLS"), ("x@c.test", "no TLS with mx.c.test"), ("x@d.test", "4.4.3 the TLSA records at")]
    {
        let report = send(to);
        let told = &lines(&report)[0];
        assert!(told.starts_with(&format!("{to}: not sent for now: 451")) && told.contains(why), "{told}");
    }
    assert_eq!((good.letters().len(), downgraded.letters().len()), (1, 0));

    // Nobody vouches for the records: then they say nothing, and TLS is used where it is offered.
    let report = sent(direct(zone(&records), port), &letter(&["x@b.test"]));
    assert!(report.is_complete() && report.tls.is_none(), "{report:?}");
    let strict = direct(zone(&records), port).require_tls();
    assert!(lines(&sent(strict, &letter(&["x@b.test"])))[0].starts_with("x@b.test: not sent for now"));
    assert_eq!(downgraded.letters().len(), 1);
}

/// The web host of a domain's policy; gives who asks it, and keeps what it finds in memory.
fn web_host(resolver: dns::Resolver, policy: &'static str) -> (Arc<dyn Policies>, String) {
    let (tls, authority) = ServerTls::throw_away(&["mta-sts.a.test".to_owned()]).unwrap();
    let (told, port) = std::sync::mpsc::channel();
    task::thread("web host", move || {
        block_on(async move {
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            told.send(listener.local_addr().port()).unwrap();
            // As long as the test runs.
            while let Ok(stream) = listener.accept().await {
                let Ok(stream) = stream.into_tls_server(&tls).await else { continue };
                posthouse_http::answer(stream, |_| async move { Page::text(posthouse_http::StatusCode::OK, policy) }).await;
            }
        })
        .unwrap();
    })
    .unwrap();
    let web = posthouse_http::Settings { private_addresses: true, ..posthouse_http::Settings::default() };
    let client = posthouse_http::Client::trusting(Arc::clone(&resolver), &web, Roots::Pem(authority.clone())).unwrap();
    let settings = posthouse_transit::Settings { port: port.recv().unwrap(), ..posthouse_transit::Settings::default() };
    let store = Store::in_memory().unwrap();
    let policies = posthouse_transit::Policies::open(&store, resolver, client, &settings, Arc::new(NoLedger)).unwrap();
    (Arc::new(policies), authority)
}

#[test]
fn an_mta_sts_policy_is_fetched_and_obeyed() {
    const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 86400\r\n";
    const RECORDS: &str = "a.test MX 10 mx.other.test\na.test MX 20 mx.a.test\nmx.a.test A 127.0.0.2\nmx.other.test A 127.0.0.3\n\
                           mta-sts.a.test A 127.0.0.1\n_mta-sts.a.test TXT v=STSv1; id=1;";
    let named = host("mx.a.test", "127.0.0.2", Catcher::builder().starttls());
    let other = beside(&named, "mx.other.test", "127.0.0.3", Catcher::builder().starttls());
    let port = named.address().port();
    let (policies, _) = web_host(Arc::new(zone(RECORDS)), POLICY);
    let roots = Roots::Pem(named.authority().unwrap().to_owned());

    let mailer = direct_under(zone(RECORDS), port, Arc::clone(&policies)).roots(roots);
    let report = sent(mailer, &letter(&["x@a.test"]));
    assert!(report.is_complete() && policy(&report).starts_with("verified, as the domain's MTA-STS policy asks"), "{report:?}");
    assert_eq!((named.letters().len(), other.letters().len()), (1, 0), "a host that is not named is passed over");

    // A certificate of somebody else's, and no STARTTLS at all: the letter stays here.
    let somebody = Roots::Pem(other.authority().unwrap().to_owned());
    let report = sent(direct_under(zone(RECORDS), port, Arc::clone(&policies)).roots(somebody.clone()), &letter(&["x@a.test"]));
    assert!(lines(&report)[0].starts_with("x@a.test: not sent for now: 451 4.4.2 no TLS with mx.a.test"), "{:?}", lines(&report));
    let stripped = beside(&other, "mx.a.test", "127.0.0.6", Catcher::builder());
    let moved = zone(&RECORDS.replace("127.0.0.2", "127.0.0.6"));
    let report = sent(direct_under(moved, port, policies).roots(somebody), &letter(&["x@a.test"]));
    assert!(report.recipients[0].is_temporary() && stripped.letters().is_empty(), "{report:?}");
}

#[test]
fn a_letter_that_requires_tls_goes_to_no_host_that_nobody_vouches_for() {
    let host = host("mx.a.test", "127.0.0.2", Catcher::builder().starttls());
    let port = host.address().port();
    let mut letter = letter(&["x@a.test"]);
    letter.envelope_mut().tls = TlsWish::Required;
    let report = sent(direct(zone("a.test MX 10 mx.a.test\nmx.a.test A 127.0.0.2"), port), &letter);
    assert!(lines(&report)[0].starts_with("x@a.test: not sent: 550 5.7.30"), "{:?}", lines(&report));
    assert!(host.letters().is_empty());
}

#[test]
fn many_letters_share_connections_and_each_is_told() {
    let host = host("mx.a.test", "127.0.0.2", Catcher::builder().starttls());
    let port = host.address().port();
    let mailer = direct(zone("a.test MX 10 mx.a.test\nmx.a.test A 127.0.0.2"), port).connections(2).build().unwrap();
    let letters: Vec<Message> = (0..40).map(|n| letter(&[&format!("x{n}@a.test")])).collect();
    let mut ends = Vec::new();
    block_on(async {
        mailer.send_each(letters, |number, result| ends.push((number, result.unwrap().is_complete()))).await;
        mailer.close().await;
    })
    .unwrap();
    ends.sort_unstable();
    assert_eq!(ends, (0..40).map(|number| (number, true)).collect::<Vec<_>>());
    assert_eq!(host.letters().len(), 40);
    assert!(mailer.url().is_none());
    assert!(block_on(mailer.open()).unwrap().is_err());
}
