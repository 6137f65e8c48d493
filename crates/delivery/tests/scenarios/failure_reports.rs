//! A letter that failed is told at once to those who ask for that and agree, as often as a host has its share; and to nobody else.

use posthouse_delivery::{FailureReports, Failures};
use posthouse_directory::StoredKey;
use posthouse_journal::Event;
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_mailauth::dkim::{Algorithm, SigningKey};
use posthouse_mailauth::dmarc::{Failure, FailureKind, Policy, Published};
use posthouse_mailauth::feedback::Redaction;
use posthouse_runtime::{clock, shutdown};
use posthouse_testkit::peer::Peer;

use crate::world::{World, run, take};

const ASKS: &str = "_dmarc.far.test TXT v=DMARC1; p=reject; ruf=mailto:f@far.test";

fn failure(number: u8, source: &str, done: Policy) -> Failure {
    Failure {
        letter: LetterId::from_bytes([number; 16]),
        at: UnixMillis(clock::unix_millis()),
        source: source.parse().unwrap(),
        mail_from: "x@evil.test".to_owned(),
        domain: "news.far.test".to_owned(),
        published: Published {
            domain: "far.test".to_owned(),
            policy: Policy::Reject,
            wants_failures: true,
            ..Published::default()
        },
        kind: FailureKind::Dmarc,
        is_dkim_unaligned: true,
        is_spf_unaligned: true,
        done,
        results: "Authentication-Results: mail.ours.test; dmarc=fail\r\n".to_owned(),
        signature: None,
        spf: Vec::new(),
        header: b"From: a@news.far.test\r\nTo: bob@ours.test\r\nSubject: hello\r\n".to_vec(),
    }
}

fn reports(world: &World, limits: (u32, u32)) -> FailureReports {
    FailureReports { context: world.context.clone(), from: None, limits, is_redacted: true }
}

#[test]
fn a_failure_is_told_once_by_a_signed_letter_without_a_sender() {
    run(async {
        let (heard, letters) = std::sync::mpsc::channel();
        let peer = Peer::listen(1, move |talk| heard.send(take(talk, &["f@far.test"])).unwrap());
        let world = World::new(peer.address().port(), ASKS).await;
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let stored = StoredKey { selector: "s1".to_owned(), octets: key.to_pkcs8().unwrap() };
        world.context.directory.add_keys(&"ours.test".parse().unwrap(), vec![stored]).await.unwrap();
        let (reports, redaction) = (reports(&world, (9, 9)), Redaction::new(b"key"));
        let failure = failure(1, "192.0.2.7", Policy::Quarantine);
        for _ in 0..2 {
            reports.report(&failure, 1, Some(&redaction)).await.unwrap();
        }
        assert_eq!(world.context.queue.len(), 1, "the same letter is one");
        let id = world.context.queue.list()[0].id;
        for letter in [id, failure.letter] {
            let told = world.timeline(letter).await.into_iter().any(
                |event| matches!(event, Event::Reported { kind, about, to } if (kind.as_str(), about.as_str(), to.as_str()) == ("failure-report", "far.test", "f@far.test")),
            );
            assert!(told, "{letter}");
        }
        let sent = world.context.reports.list_sent(UnixMillis(0), None).await.unwrap();
        assert_eq!(sent.iter().map(|one| one.letter.clone()).collect::<Vec<_>>(), [id.to_string()]);
        world.deliver_at(UnixMillis(clock::unix_millis())).await;
        peer.finish();
        let letter = letters.recv().unwrap();
        for line in [
            "From: postmaster@ours.test",
            "Auto-Submitted: auto-generated",
            "report-type=feedback-report",
            "Auth-Failure: dmarc",
            "Delivery-Result: spam",
            "From: a@news.far.test",
            "d=ours.test; s=s1",
        ] {
            assert!(letter.contains(line), "{line}\n{letter}");
        }
        assert!(!letter.contains("bob@"), "{letter}");
    });
}

#[test]
fn nobody_is_told_who_does_not_agree_and_a_host_is_told_no_more_than_its_share() {
    run(async {
        for (zone, limits, expected) in [
            ("_dmarc.far.test TXT v=DMARC1; p=reject; rua=mailto:f@far.test", (9, 9), 0),
            ("_dmarc.far.test TXT v=DMARC1; p=reject; psd=y; ruf=mailto:f@far.test", (9, 9), 0),
            ("_dmarc.far.test TXT v=DMARC1; p=reject; ruf=mailto:f@victim.test", (9, 9), 0),
            ("_dmarc.far.test TXT v=DMARC1; p=reject; ruf=mailto:f@far.test!1k", (9, 9), 0),
            (
                "_dmarc.far.test TXT v=DMARC1; p=reject; ruf=mailto:f@agreed.test\nfar.test._report._dmarc.agreed.test TXT v=DMARC1",
                (9, 9),
                3,
            ),
            ("_dmarc.far.test TXT v=DMARC1; p=reject; ruf=mailto:f@far.test,mailto:g@far.test", (9, 9), 6),
            ("_dmarc.far.test TXT v=DMARC1; p=reject; ruf=mailto:f@far.test,mailto:g@far.test", (3, 9), 3),
            (ASKS, (9, 2), 2),
            (ASKS, (0, 9), 0),
        ] {
            let world = World::new(1, zone).await;
            let reports = reports(&world, limits);
            for number in 1..=3 {
                reports.report(&failure(number, "192.0.2.7", Policy::Reject), 1, None).await.unwrap();
            }
            assert_eq!(world.context.queue.len(), expected, "{zone} {limits:?}");
        }
        let world = World::new(1, "_dmarc.far.test SERVFAIL").await;
        assert!(reports(&world, (9, 9)).report(&failure(1, "192.0.2.7", Policy::Reject), 1, None).await.is_err());
    });
}

#[test]
fn letters_that_fail_alike_are_told_once_and_a_flood_is_left_out() {
    run(async {
        let world = World::new(1, ASKS).await;
        let (failures, (_trigger, shutdown)) = (Failures::default(), shutdown::channel());
        for number in 0..200 {
            failures.put(failure(number, if number == 1 { "192.0.2.8" } else { "192.0.2.7" }, Policy::Reject));
        }
        let waiting = failures.clone();
        drop(failures);
        reports(&world, (99, 99)).run(waiting, shutdown).await;
        assert_eq!(world.context.queue.len(), 2, "one for each address that sends");
        assert_eq!(world.context.reports.list_sent(UnixMillis(0), None).await.unwrap().len(), 2);
    });
}
