//! What was found of letters is told once a day to those in whose name they came, and to nobody else.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_delivery::DmarcReports;
use posthouse_directory::StoredKey;
use posthouse_dns::Zone;
use posthouse_journal::Event;
use posthouse_mail::UnixMillis;
use posthouse_mail::header::Header;
use posthouse_mailauth::dkim::{Algorithm, DkimResult, Keys, SigningKey, Verification, key_record};
use posthouse_mailauth::dmarc::aggregate::{Report, Row};
use posthouse_mailauth::dmarc::{Evaluation, Ledger as _, Policy, Published};
use posthouse_reports::{Evaluations, Store};
use posthouse_runtime::clock;
use posthouse_testkit::peer::Peer;

use crate::world::{World, farewell, greet, on, run, take};

fn evaluation(source: &str) -> Evaluation {
    Evaluation {
        published: Published {
            domain: "far.test".to_owned(),
            policy: Policy::Reject,
            wants_aggregate: true,
            ..Published::default()
        },
        row: Row {
            source: source.parse().unwrap(),
            disposition: Policy::Reject,
            dkim_aligned: false,
            spf_aligned: false,
            reasons: Vec::new(),
            header_from: "far.test".to_owned(),
            envelope_from: Some(String::new()),
            signatures: Vec::new(),
            spf: None,
        },
    }
}

/// Two letters of today in the name of `far.test`.
async fn reports(world: &World) -> DmarcReports {
    let store = Store::open(&world.folder.path().join("reports.sqlite")).unwrap();
    let evaluations = Evaluations::start(&store).unwrap();
    evaluations.note(evaluation("192.0.2.7"));
    evaluations.note(evaluation("192.0.2.7"));
    evaluations.flush().await;
    let organization = Some("Ours & Sons".to_owned());
    DmarcReports { context: world.context.clone(), evaluations, from: None, organization }
}

/// The end of today, and the hours in which reports are sent.
fn tomorrow() -> UnixMillis {
    UnixMillis(clock::unix_millis()).plus(Duration::from_hours(24 + 5))
}

/// The report in a letter.
fn enclosed(letter: &str) -> Report {
    let packed = letter.split(".xml.gz\"\r\n\r\n").nth(1).unwrap().split("--").next().unwrap().replace("\r\n", "");
    Report::read(&BASE64_STANDARD.decode(packed).unwrap()).unwrap()
}

#[test]
fn a_day_is_reported_once_by_a_signed_letter() {
    run(async {
        let (heard, letters) = std::sync::mpsc::channel();
        let peer = Peer::listen(1, move |talk| heard.send(take(talk, &["d@far.test"])).unwrap());
        let world = World::new(peer.address().port(), "_dmarc.far.test TXT v=DMARC1; p=reject; rua=mailto:d@far.test").await;
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let stored = StoredKey { selector: "s1".to_owned(), octets: key.to_pkcs8().unwrap() };
        world.context.directory.add_keys(&"ours.test".parse().unwrap(), vec![stored]).await.unwrap();
        let reports = reports(&world).await;
        reports.send_due(UnixMillis(clock::unix_millis())).await;
        assert_eq!(world.context.queue.len(), 0, "the day is not over");
        reports.send_due(tomorrow()).await;
        // Had the process ended before the day was let go, the same letter would have come again.
        reports.evaluations.note(evaluation("192.0.2.7"));
        reports.evaluations.flush().await;
        reports.send_due(tomorrow()).await;
        assert_eq!(world.context.queue.len(), 1);
        assert!(reports.evaluations.over(tomorrow()).await.unwrap().is_empty());
        let id = world.context.queue.list()[0].id;
        let told = world.timeline(id).await.into_iter().any(
            |event| matches!(event, Event::Reported { kind, about, to } if (kind.as_str(), about.as_str(), to.as_str()) == ("dmarc-report", "far.test", "d@far.test")),
        );
        assert!(told);
        world.deliver_at(tomorrow().plus(Duration::from_hours(1))).await;
        peer.finish();
        let letter = letters.recv().unwrap();
        for line in [
            "From: postmaster@ours.test",
            "Subject: Report Domain: far.test",
            "Content-Type: application/gzip",
            "d=ours.test; s=s1",
        ] {
            assert!(letter.contains(line), "{line}\n{letter}");
        }
        let report = enclosed(&letter);
        assert_eq!((report.organization.as_str(), report.ends - report.begins), ("Ours & Sons", 86_399));
        assert_eq!(report.rows, [(evaluation("192.0.2.7").row, 2)]);
        let zone = Zone::of(&format!("s1._domainkey.ours.test TXT {}", key_record(&key).unwrap())).unwrap();
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
fn nobody_is_told_who_did_not_ask_or_agree_and_trouble_with_the_dns_waits() {
    run(async {
        for (zone, left) in [
            ("_dmarc.far.test TXT v=DMARC1; p=reject", 0),
            ("_dmarc.far.test TXT v=DMARC1; rua=mailto:d@victim.test", 0),
            ("_dmarc.far.test TXT v=DMARC1; rua=mailto:d@far.test!1k", 0),
            ("_dmarc.far.test SERVFAIL", 1),
            ("_dmarc.far.test TXT v=DMARC1; rua=mailto:d@agreed.test\nfar.test._report._dmarc.agreed.test SERVFAIL", 1),
        ] {
            let world = World::new(1, zone).await;
            let reports = reports(&world).await;
            reports.send_due(tomorrow()).await;
            assert_eq!(world.context.queue.len(), 0, "{zone}");
            assert_eq!(reports.evaluations.over(tomorrow()).await.unwrap().len(), left, "{zone}");
            reports.send_due(tomorrow().plus(Duration::from_hours(4 * 24))).await;
            assert!(reports.evaluations.over(tomorrow()).await.unwrap().is_empty(), "{zone}");
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
        let world = World::new(peer.address().port(), "_dmarc.far.test TXT v=DMARC1; rua=mailto:d@far.test").await;
        world.account("postmaster@ours.test").await;
        reports(&world).await.send_due(tomorrow()).await;
        for _ in 0..3 {
            world.deliver_at(tomorrow().plus(Duration::from_hours(1))).await;
        }
        peer.finish();
        assert_eq!(world.context.queue.len(), 0);
        assert!(world.inbox("postmaster@ours.test").await.is_empty());
    });
}

/// A bounce carries the signature of the domain that the host's name is in, in whose name it is written.
#[test]
fn a_bounce_is_signed() {
    run(async {
        let peer = Peer::listen(1, |talk| {
            greet(talk);
            on(talk, "MAIL FROM:", "250 ok");
            on(talk, "RCPT", "550 5.1.1 nobody");
            farewell(talk);
        });
        let world = World::new(peer.address().port(), "").await;
        world.account("s@ours.test").await;
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let stored = StoredKey { selector: "s1".to_owned(), octets: key.to_pkcs8().unwrap() };
        world.context.directory.add_keys(&"ours.test".parse().unwrap(), vec![stored]).await.unwrap();
        world.submit("s@ours.test", &["a@far.test"], "Subject: x\r\n\r\nhello\r\n").await;
        world.deliver_at(crate::world::ARRIVED).await;
        world.deliver_at(crate::world::ARRIVED).await;
        peer.finish();
        let letter = world.inbox("s@ours.test").await.remove(0);
        let zone = Zone::of(&format!("s1._domainkey.ours.test TXT {}", key_record(&key).unwrap())).unwrap();
        let (fields, body) = letter.split_once("\r\n\r\n").unwrap();
        let fields = format!("{fields}\r\n");
        assert!(fields.contains("From: Mail Delivery System <postmaster@mail.ours.test>"), "{fields}");
        let mut verification = Verification::new(Header::parse(fields.as_bytes()).unwrap(), crate::world::ARRIVED.0 / 1000);
        verification.body(body.as_bytes());
        let keys = Keys::fetch(&zone, verification.key_names()).await;
        let results: Vec<_> = verification.finish(&keys).into_iter().map(|one| (one.domain, one.result)).collect();
        assert_eq!(results, [("ours.test".to_owned(), DkimResult::Pass)]);
    });
}
