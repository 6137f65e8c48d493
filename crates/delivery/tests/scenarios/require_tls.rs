//! What the sender asks of TLS (RFC 8689): only to hosts that keep the promise, or back; or on, whatever the destination promises.

use std::sync::Arc;

use posthouse_dns::Zone;
use posthouse_journal::Outcome;
use posthouse_mail::{Envelope, Recipient, Ret, TlsWish};
use posthouse_runtime::net::Listener;

use crate::tls::Host;
use crate::world::{ARRIVED, World, address, run};

const BODY: &str = "Subject: secret\r\n\r\nthe secret itself\r\n";

fn envelope(from: &str, tls: TlsWish) -> Envelope {
    let recipients = vec![Recipient::from(address("a@far.test"))];
    // RFC 8689 §5: this wish is not heard.
    Envelope { tls, ret: Some(Ret::Full), ..Envelope::new(from.parse().unwrap(), recipients) }
}

/// How far the letter came at the host, the attempts (which host, how they ended, the reply), and the reports that its sender got.
type Sent = (Option<&'static str>, Vec<(String, Outcome, String)>, Vec<String>);

/// A letter to `far.test`, whose records are signed, and what came of it.
fn sent(host: &Host, records: &str, envelope: Envelope) -> Sent {
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().port();
        let mut world = World::with("", host.settings(port)).await;
        world.account("alice@ours.test").await;
        let zone = format!("far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\n{}", records.replace("PORT", &port.to_string()));
        world.context.resolver = Arc::new(Zone::of(&zone).unwrap().authenticated());
        let letter = world.submit_as(envelope, BODY).await;
        let peer = async {
            // Nobody may come.
            let came = posthouse_runtime::clock::timeout(std::time::Duration::from_secs(2), listener.accept()).await;
            match came {
                Ok(stream) => Some(host.serve(stream.unwrap()).await),
                Err(_) => None,
            }
        };
        let (_, came) = posthouse_runtime::join!(world.deliver_at(ARRIVED), peer);
        // The report, if there is one.
        world.deliver_at(ARRIVED).await;
        let attempts = world.attempts(letter).await.into_iter();
        (came, attempts.map(|(_, host, outcome, reply)| (host, outcome, reply)).collect(), world.inbox("alice@ours.test").await)
    })
}

#[test]
fn a_letter_that_requires_tls_goes_only_to_a_host_that_is_verified_and_promises_the_same() {
    let mut host = Host::named("mx.far.test");
    host.offers = "REQUIRETLS";
    let letter = || envelope("alice@ours.test", TlsWish::Required);
    // By an authority that is trusted, and by DANE.
    let (came, attempts, _) = sent(&host, "", letter());
    assert_eq!((came, attempts[0].1), (Some("a letter that requires TLS"), Outcome::Delivered), "{attempts:?}");
    let records = format!("_PORT._tcp.mx.far.test TLSA 3 1 1 {}", host.pin);
    let (came, attempts, _) = sent(&host, &records, letter());
    assert_eq!((came, attempts[0].1), (Some("a letter that requires TLS"), Outcome::Delivered), "{attempts:?}");
    // Not to the host that others name, and not to one that does not pass the condition on.
    let (came, attempts, _) = sent(&host, "far.test INSECURE", letter());
    assert_eq!(came, None);
    assert!(attempts[0].2.starts_with("550 5.7.30 "), "{attempts:?}");
    host.offers = "";
    let (came, attempts, reports) = sent(&host, "", letter());
    assert_eq!((came, attempts[0].1), (Some("no letter"), Outcome::Failed), "{attempts:?}");
    assert!(attempts[0].2.starts_with("550 5.7.30 "), "{attempts:?}");
    let report = &reports[0];
    assert!(report.contains("5.7.30") && report.contains("Subject: secret") && !report.contains("the secret itself"), "{report}");
}

#[test]
fn a_report_on_a_letter_that_requires_tls_is_not_lost_for_want_of_it() {
    let host = Host::named("mx.far.test");
    let (came, attempts, _) = sent(&host, "far.test INSECURE", envelope("", TlsWish::Required));
    assert_eq!((came, attempts[0].1), (Some("a letter"), Outcome::Delivered), "{attempts:?}");
}

#[test]
fn a_letter_that_must_arrive_is_not_kept_by_a_broken_promise() {
    let host = Host::named("mx.far.test");
    let broken = format!("_PORT._tcp.mx.far.test TLSA 3 1 1 {}", "00".repeat(32));
    let (came, attempts, _) = sent(&host, &broken, envelope("alice@ours.test", TlsWish::AsPromised));
    assert_eq!((came, attempts[0].1), (Some("no handshake"), Outcome::Deferred), "{attempts:?}");
    let (came, attempts, _) = sent(&host, &broken, envelope("alice@ours.test", TlsWish::Optional));
    assert_eq!((came, attempts[0].1), (Some("a letter"), Outcome::Delivered), "{attempts:?}");
}
