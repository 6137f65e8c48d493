//! Who really sent it: letters from strangers over TCP, with a zone in the place of the DNS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::sync::Arc;

use posthouse_directory::StoredKey;
use posthouse_dns::Zone;
use posthouse_intake::{ListenerKind, SenderPolicy, Senders, Settings};
use posthouse_journal::{Event, Query};
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mailauth::dkim::{Algorithm, DkimResult, Keys, SigningKey, Verification, key_record};
use posthouse_mailauth::dmarc::{Evaluation, Failure, Ledger};

mod world;

use world::{Client, World, run};

/// Everything is checked, loopback as well.
async fn world(policy: SenderPolicy, zone: &str) -> World {
    let senders = Senders { policy, exempt: Vec::new(), ..Senders::default() };
    let mut world = World::new(Settings { senders, ..Settings::default() }).await;
    world.context.resolver = Arc::new(Zone::master(zone).unwrap());
    world
}

const HONEST: &str = "a.test. TXT \"v=spf1 ip4:127.0.0.1 -all\"\n_dmarc.a.test. TXT \"v=DMARC1; p=reject\"";
const FORGED: &str = "a.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.a.test. TXT \"v=DMARC1; p=reject\"";
const LETTER: &[u8] = b"From: alice@a.test\r\nSubject: x\r\n\r\nx\r\n";

async fn sent(world: &World, octets: &[u8]) -> String {
    Client::greeted(world.listen(ListenerKind::Mx)).await.letter("alice@a.test", &["bob@example.org"], octets).await
}

#[test]
fn the_verdicts_stand_at_the_top_of_the_letter_and_in_its_timeline() {
    run(async {
        let world = world(SenderPolicy::Enforce, HONEST).await;
        let reply = sent(&world, LETTER).await;
        let id = reply.split(' ').nth(2).unwrap().parse().unwrap();
        let (_, text) = world.only_letter().await;
        assert!(text.starts_with("Authentication-Results: mx.example.org;\r\n\tspf=pass"), "{text}");
        assert!(text.contains("dmarc=pass") && text.contains("\r\nReceived: from "), "{text}");
        assert!(text.ends_with("\r\nFrom: alice@a.test\r\nSubject: x\r\n\r\nx\r\n"), "{text}");
        world.context.journal.flush().await;
        let entries = world.context.journal.query(Query::Letter(id)).await.unwrap();
        let told = entries.iter().find_map(|entry| {
            let Event::Verified { findings, action, .. } = &entry.event else { return None };
            Some((findings.clone(), action.clone()))
        });
        let (findings, action) = told.unwrap();
        assert_eq!(action, "taken");
        let record = |method: &str| findings.iter().find(|one| one.method == method).unwrap().record.clone();
        assert_eq!(record("spf").as_deref(), Some("a.test TXT v=spf1 ip4:127.0.0.1 -all"));
        assert_eq!(record("dmarc").as_deref(), Some("_dmarc.a.test TXT v=DMARC1; p=reject"));
    });
}

#[test]
fn a_letter_that_is_not_taken_is_explained_as_one_that_is() {
    run(async {
        let included =
            "a.test. TXT unrelated\na.test. TXT \"v=spf1 include:i.test -all\"\ni.test. TXT \"v=spf1 ip4:127.0.0.1\"\n";
        let wish = "_dmarc.b.test. TXT \"v=DMARC1; p=reject\"";
        for (zone, reply, action, dmarc) in [
            (format!("{included}{wish}"), "550 5.7.26 ", "refused", "_dmarc.b.test TXT v=DMARC1; p=reject"),
            (
                format!("{included}_dmarc.b.test. SERVFAIL"),
                "451 4.4.3 ",
                "put off",
                "_dmarc.b.test TXT the name server answers Server Failure",
            ),
        ] {
            let world = world(SenderPolicy::Enforce, &zone).await;
            let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
            let letter = b"From: Ceo <ceo@b.test>\r\nSubject: x\r\n\r\nx\r\n";
            let said = client.letter("alice@a.test", &["bob@example.org", "postmaster@example.org"], letter).await;
            assert!(said.starts_with(reply), "{said}");
            world.context.journal.flush().await;
            // Whoever asks, sees the same: the author, the sender, each recipient.
            for address in ["ceo@b.test", "alice@a.test", "bob@example.org", "postmaster@example.org"] {
                let entries = world.context.journal.query(Query::Address(address.to_owned())).await.unwrap();
                let [verified, refused] = entries.as_slice() else { panic!("{address}: {entries:?}") };
                assert!(verified.letter.is_some() && verified.letter == refused.letter, "{address}: {entries:?}");
                let Event::Verified { authors, findings, action: told } = &verified.event else { panic!("{verified:?}") };
                assert_eq!((authors.as_slice(), told.as_str()), (&["ceo@b.test".to_owned()][..], action));
                let of = |method: &str| findings.iter().find(|one| one.method == method).unwrap();
                assert_eq!(of("spf").record.as_deref(), Some("i.test TXT v=spf1 ip4:127.0.0.1"));
                assert_eq!(of("dmarc").record.as_deref(), Some(dmarc));
                let line = refused.event.to_string();
                assert!(line.contains("for bob@example.org, postmaster@example.org: ") && line.contains(reply), "{line}");
            }
            assert!(world.letters().await.is_empty());
        }
    });
}

#[test]
fn the_policy_says_what_becomes_of_a_forgery() {
    run(async {
        for (policy, zone, reply, mark) in [
            (SenderPolicy::Enforce, FORGED.to_owned(), "550 5.7.26 ", None),
            (SenderPolicy::Enforce, FORGED.replace("p=reject", "p=quarantine"), "250 ", Some("dmarc")),
            (SenderPolicy::Enforce, FORGED.replace("p=reject", "p=none"), "250 ", None),
            (SenderPolicy::Quarantine, FORGED.to_owned(), "250 ", Some("dmarc")),
            (SenderPolicy::Mark, FORGED.to_owned(), "250 ", None),
            (SenderPolicy::Off, FORGED.to_owned(), "250 ", None),
        ] {
            let world = world(policy, &zone).await;
            let said = sent(&world, LETTER).await;
            assert!(said.starts_with(reply), "{policy:?} {zone}: {said}");
            if reply.starts_with("250") {
                let (_, text) = world.only_letter().await;
                let marked = text.contains("\r\nX-Posthouse-Quarantine: dmarc\r\n");
                assert_eq!(marked, mark.is_some(), "{policy:?} {zone}: {text}");
                assert_eq!(text.starts_with("Authentication-Results: "), policy != SenderPolicy::Off, "{text}");
            } else {
                assert!(world.letters().await.is_empty());
                assert!(world.refused().await[0].1.contains("the record of a.test asks for `reject`"));
            }
        }
    });
}

#[test]
fn dns_trouble_puts_a_letter_off_only_where_the_decision_hangs_on_it() {
    run(async {
        let rejects = "_dmarc.a.test. TXT \"v=DMARC1; p=reject\"\n";
        let wants_nothing = "_dmarc.a.test. TXT \"v=DMARC1; p=none\"\n";
        let tests_quarantine = "_dmarc.a.test. TXT \"v=DMARC1; p=quarantine; t=y\"\n";
        for (zone, hangs) in [
            // SPF's record, an included one, a host in it.
            (format!("{rejects}a.test. SERVFAIL"), true),
            (format!("{rejects}a.test. TXT \"v=spf1 include:i.test -all\"\ni.test. TIMEOUT"), true),
            (format!("{rejects}a.test. TXT \"v=spf1 a:h.test -all\"\nh.test. SERVFAIL"), true),
            // The policy, here and above.
            ("_dmarc.a.test. TIMEOUT".to_owned(), true),
            ("_dmarc.test. SERVFAIL".to_owned(), true),
            // Nobody asked for anything: whether SPF passes changes nothing.
            ("a.test. TIMEOUT".to_owned(), false),
            (format!("{wants_nothing}a.test. SERVFAIL"), false),
            (format!("{tests_quarantine}a.test. SERVFAIL"), false),
        ] {
            for (policy, puts_off) in
                [(SenderPolicy::Enforce, true), (SenderPolicy::Quarantine, true), (SenderPolicy::Mark, false)]
            {
                let world = world(policy, &zone).await;
                let said = sent(&world, LETTER).await;
                let expected = if hangs && puts_off { "451 4.4.3 " } else { "250 " };
                assert!(said.starts_with(expected), "{policy:?} {zone}: {said}");
                if expected == "250 " {
                    let (_, text) = world.only_letter().await;
                    assert!(!text.contains("X-Posthouse-Quarantine"), "{policy:?} {zone}: {text}");
                }
            }
        }
    });
}

#[test]
fn a_key_that_cannot_be_read_puts_off_only_what_its_domain_could_vouch_for() {
    run(async {
        let signed = |domain: &str| {
            let signature =
                format!("DKIM-Signature: v=1; a=ed25519-sha256; d={domain}; s=s; h=from; bh={}; b={}", b64(32), b64(64));
            [signature.as_bytes(), b"\r\n", LETTER].concat()
        };
        for (policy, wish, domain, reply) in [
            (SenderPolicy::Enforce, "reject", "a.test", "451 4.4.3 "),
            (SenderPolicy::Quarantine, "reject", "a.test", "451 4.4.3 "),
            (SenderPolicy::Mark, "reject", "a.test", "250 "),
            (SenderPolicy::Enforce, "none", "a.test", "250 "),
            (SenderPolicy::Quarantine, "none", "a.test", "250 "),
            (SenderPolicy::Enforce, "reject", "evil.test", "550 5.7.26 "),
            (SenderPolicy::Quarantine, "reject", "evil.test", "250 "),
        ] {
            let zone = format!("{}\ns._domainkey.{domain}. SERVFAIL", FORGED.replace("p=reject", &format!("p={wish}")));
            let world = world(policy, &zone).await;
            let said = sent(&world, &signed(domain)).await;
            assert!(said.starts_with(reply), "{policy:?} {zone}: {said}");
        }
    });
}

#[test]
fn a_stranger_whose_servers_fail_brings_no_forgery_into_the_inbox() {
    run(async {
        let zone = format!("{FORGED}\nevil.test. TXT \"v=spf1 ip4:127.0.0.1 -all\"\n_dmarc.evil.test. SERVFAIL");
        for (policy, reply) in [(SenderPolicy::Enforce, "550 5.7.26 "), (SenderPolicy::Quarantine, "250 ")] {
            let world = world(policy, &zone).await;
            let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
            let said = client.letter("x@evil.test", &["bob@example.org"], LETTER).await;
            assert!(said.starts_with(reply), "{policy:?}: {said}");
            if reply == "250 " {
                let (_, text) = world.only_letter().await;
                assert!(text.contains("\r\nX-Posthouse-Quarantine: dmarc\r\n"), "{text}");
            }
        }
    });
}

/// So many octets, as base64.
fn b64(octets: usize) -> String {
    let whole = "AAAA".repeat(octets / 3);
    match octets % 3 {
        0 => whole,
        1 => whole + "AA==",
        _ => whole + "AAA=",
    }
}

#[test]
fn two_authors_do_not_slip_through() {
    run(async {
        let world = world(SenderPolicy::Enforce, HONEST).await;
        let said = sent(&world, b"From: alice@a.test\r\nFrom: ceo@example.org\r\n\r\nx\r\n").await;
        assert!(said.starts_with("550 5.7.26 "), "{said}");
    });
}

#[test]
fn what_only_claims_to_be_our_verdict_is_removed_everywhere() {
    run(async {
        let forged = b"Authentication-Results: MX.Example.ORG (x) 1; dmarc=pass\r\nauthentication-results:\r\n \"mx.example.org\";\r\n dmarc=pass\r\n\
            AUTHENTICATION-RESULTS \t: mx.example.org; dmarc=pass\r\nX-Posthouse-Quarantine: no\r\nAuthentication-Results: mx.other.test; dmarc=pass\r\nFrom: alice@a.test\r\n\r\nx\r\n";
        for kind in [ListenerKind::Mx, ListenerKind::Lmtp] {
            let world = World::new(Settings::default()).await;
            let mut client = Client::connect(world.listen(kind)).await;
            assert!(client.reply().await.starts_with("220 "));
            let hello = if kind == ListenerKind::Lmtp { "LHLO c.test" } else { "EHLO c.test" };
            assert!(client.ask(hello).await.starts_with("250 "));
            assert!(client.letter("alice@a.test", &["bob@example.org"], forged).await.starts_with("250 "));
            let (_, text) = world.only_letter().await;
            let rest =
                text.split_once("\r\nAuthentication-Results: mx.other.test; dmarc=pass\r\nFrom: alice@a.test\r\n\r\nx\r\n");
            let (added, _) = rest.unwrap_or_else(|| panic!("{text}"));
            assert!(!added.to_lowercase().contains("authentication-results") && !added.contains("Quarantine"), "{text}");
        }
        // A user's word on their own letter counts no more.
        let world = World::new(Settings::default()).await;
        let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
        let forged = String::from_utf8(forged.to_vec()).unwrap().replace("alice@a.test", "alice@example.org");
        let said = client.letter("alice@example.org", &["bob@example.org"], forged.as_bytes()).await;
        assert!(said.starts_with("250 "), "{said}");
        let text = world.only_letter().await.1.to_lowercase();
        assert!(text.contains("authentication-results: mx.other.test"), "{text}");
        assert!(text.matches("authentication-results").count() == 1 && !text.contains("quarantine"), "{text}");
    });
}

#[test]
fn a_large_letter_is_verified_and_marked_as_well() {
    run(async {
        let world = world(SenderPolicy::Quarantine, FORGED).await;
        let mut octets = b"From: alice@a.test\r\n\r\n".to_vec();
        octets.extend(b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(10_000));
        assert!(sent(&world, &octets).await.starts_with("250 "));
        let (_, text) = world.only_letter().await;
        assert!(text.starts_with("Authentication-Results: ") && text.len() > octets.len());
        assert!(text.as_bytes().ends_with(&octets));
    });
}

#[test]
fn a_submitted_letter_is_signed_with_every_key_of_its_authors_domain() {
    run(async {
        let world = World::new(Settings::default()).await;
        let keys = [(Algorithm::Rsa, "r"), (Algorithm::Ed25519, "e")]
            .map(|(algorithm, name)| (SigningKey::generate(algorithm).unwrap(), name));
        let stored = keys.iter().map(|(key, name)| StoredKey { selector: (*name).to_owned(), octets: key.to_pkcs8().unwrap() });
        world.context.directory.add_keys(&"example.org".parse().unwrap(), stored.collect()).await.unwrap();
        let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
        let mut octets = b"Subject: x\r\nFrom: Alice <alice@example.org>\r\nBcc: c@c.test\r\n\r\nx  y \r\n\r\n".to_vec();
        octets.extend(b"a line of a long letter, and one more word\r\n".repeat(5_000));
        assert!(client.letter("alice@example.org", &["bob@example.net"], &octets).await.starts_with("250 "));
        let (_, text) = world.only_letter().await;
        assert_eq!(text.matches("DKIM-Signature: ").count(), 2, "{}", &text[..1000]);
        let zone: Vec<String> = keys
            .iter()
            .map(|(key, name)| format!("{name}._domainkey.example.org. TXT \"{}\"", key_record(key).unwrap()))
            .collect();
        let zone = Zone::master(&zone.join("\n")).unwrap();
        let (fields, whole) = end_of_header(text.as_bytes()).unwrap();
        let mut verification = Verification::new(Header::parse(&text.as_bytes()[..fields]).unwrap(), u64::MAX / 2);
        verification.body(&text.as_bytes()[whole..]);
        let names = verification.key_names();
        let verdicts = verification.finish(&Keys::fetch(&zone, names).await);
        assert!(verdicts.iter().all(|verdict| verdict.result == DkimResult::Pass), "{verdicts:?}");
    });
}

#[test]
fn a_submitted_letter_asks_for_complaints_where_the_operator_wants_them_and_nobody_can_lead_them_elsewhere() {
    run(async {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let zone = format!("k._domainkey.example.org. TXT \"{}\"", key_record(&key).unwrap());
        let zone = Zone::master(&zone).unwrap();
        let verified = async |text: &str| {
            let (fields, whole) = end_of_header(text.as_bytes()).unwrap();
            let mut verification = Verification::new(Header::parse(&text.as_bytes()[..fields]).unwrap(), u64::MAX / 2);
            verification.body(&text.as_bytes()[whole..]);
            let names = verification.key_names();
            verification.finish(&Keys::fetch(&zone, names).await)[0].result
        };
        let plain = "From: Alice <alice@example.org>\r\nSubject: x\r\n\r\nx\r\n";
        let own = format!("CFBL-Address: fbl@example.org\r\nCFBL-Feedback-ID: 1:2\r\n{plain}");
        for (wanted, letter, expected) in [
            (false, plain, None),
            (true, plain, Some("reports@example.org; report=arf")),
            (true, own.as_str(), Some("fbl@example.org")),
        ] {
            let world = World::new(Settings { ask_for_complaints: wanted, ..Settings::default() }).await;
            let stored = StoredKey { selector: "k".to_owned(), octets: key.to_pkcs8().unwrap() };
            world.context.directory.add_keys(&"example.org".parse().unwrap(), vec![stored]).await.unwrap();
            let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
            assert!(client.letter("alice@example.org", &["bob@example.net"], letter.as_bytes()).await.starts_with("250 "));
            let (_, text) = world.only_letter().await;
            let (fields, _) = end_of_header(text.as_bytes()).unwrap();
            let header = Header::parse(&text.as_bytes()[..fields]).unwrap();
            let asked: Vec<String> = header.named("CFBL-Address").map(|field| field.value().trim().to_owned()).collect();
            assert_eq!(asked, expected.map(str::to_owned).into_iter().collect::<Vec<_>>());
            assert_eq!(verified(&text).await, DkimResult::Pass, "{text}");
            // Neither another address nor one more can be put in on the way; where there is none, whoever hands it on may ask for them.
            let more = verified(&format!("CFBL-Address: evil@evil.test\r\n{text}")).await;
            assert_eq!(more == DkimResult::Pass, expected.is_none(), "{text}");
            if let Some(address) = expected {
                assert_eq!(verified(&text.replace(address, "evil@evil.test")).await, DkimResult::Fail);
            }
        }
    });
}

#[test]
fn what_is_relayed_for_a_trusted_network_is_signed_for_nobody() {
    run(async {
        let trusted_networks = vec!["127.0.0.0/8".parse().unwrap()];
        let world = World::new(Settings { trusted_networks, ..Settings::default() }).await;
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let stored = StoredKey { selector: "e".to_owned(), octets: key.to_pkcs8().unwrap() };
        world.context.directory.add_keys(&"example.org".parse().unwrap(), vec![stored]).await.unwrap();
        for (kind, from) in [(ListenerKind::Mx, "alice@example.org"), (ListenerKind::Mx, "ceo@elsewhere.example")] {
            let mut client = Client::greeted(world.listen(kind)).await;
            let octets = format!("From: {from}\r\nSubject: pay\r\n\r\nx\r\n");
            assert!(client.letter(from, &["friend@elsewhere.example"], octets.as_bytes()).await.starts_with("250 "));
        }
        let letters = world.letters().await;
        assert_eq!(letters.len(), 2);
        for (_, octets) in letters {
            let text = String::from_utf8(octets).unwrap();
            assert!(!text.contains("DKIM-Signature"), "{text}");
        }
    });
}

#[test]
fn letters_of_exempt_networks_ask_nothing() {
    run(async {
        let mut world = World::new(Settings::default()).await;
        let zone = Arc::new(Zone::master(FORGED).unwrap());
        world.context.resolver = Arc::clone(&zone) as _;
        assert!(sent(&world, LETTER).await.starts_with("250 "));
        assert_eq!(zone.questions(), 0);
    });
}

/// What was written down for reports.
#[derive(Default)]
struct Noted(std::sync::Mutex<Vec<Evaluation>>, std::sync::Mutex<Vec<Failure>>);

impl Ledger for Noted {
    fn note(&self, evaluation: Evaluation) {
        self.0.lock().unwrap().push(evaluation);
    }

    fn wants_failures(&self) -> bool {
        true
    }

    fn failed(&self, failure: Failure) {
        self.1.lock().unwrap().push(failure);
    }
}

/// What is written down of one letter under a policy of ours and a zone of theirs: what was done, why that, and whether SPF was aligned.
fn noted(policy: SenderPolicy, zone: &str, letter: &[u8]) -> Vec<(String, Vec<String>, bool)> {
    run(async {
        let mut world = world(policy, zone).await;
        let noted = Arc::new(Noted::default());
        world.context.evaluations = Arc::clone(&noted) as Arc<dyn Ledger>;
        sent(&world, letter).await;
        let all = std::mem::take(&mut *noted.0.lock().unwrap());
        all.into_iter()
            .map(|Evaluation { published, row }| {
                assert_eq!((published.domain.as_str(), row.header_from.as_str()), ("a.test", "a.test"));
                assert_eq!((row.source.to_string().as_str(), row.envelope_from.as_deref()), ("127.0.0.1", Some("a.test")));
                (row.disposition.to_string(), row.reasons.into_iter().map(|reason| reason.kind).collect(), row.spf_aligned)
            })
            .collect()
    })
}

#[test]
fn what_was_found_and_done_is_written_down_for_those_who_want_to_know() {
    let asks = |zone: &str, more: &str| zone.replace("p=reject", &format!("p=reject; rua=mailto:d@a.test{more}"));
    let (honest, forged) = (asks(HONEST, ""), asks(FORGED, ""));
    let row =
        |done: &str, why: &[&str], aligned| vec![(done.to_owned(), why.iter().map(|one| (*one).to_owned()).collect(), aligned)];
    let report = [b"Subject: Report Domain: x.test Submitter: a.test Report-ID: <1>\r\n".as_slice(), LETTER].concat();
    let report = String::from_utf8(report).unwrap().replace("Subject: x\r\n", "");
    for (name, policy, zone, letter, expected) in [
        ("it passes", SenderPolicy::Enforce, honest.as_str(), LETTER, row("none", &[], true)),
        ("it fails and is refused", SenderPolicy::Enforce, forged.as_str(), LETTER, row("reject", &[], false)),
        ("we are milder", SenderPolicy::Quarantine, forged.as_str(), LETTER, row("quarantine", &["local_policy"], false)),
        ("we only mark", SenderPolicy::Mark, forged.as_str(), LETTER, row("none", &["local_policy"], false)),
        (
            "they only test",
            SenderPolicy::Enforce,
            &asks(FORGED, "; t=y"),
            LETTER,
            row("quarantine", &["policy_test_mode"], false),
        ),
        ("nobody asked", SenderPolicy::Enforce, FORGED, LETTER, Vec::new()),
        ("nothing could be found out", SenderPolicy::Enforce, "_dmarc.a.test. TIMEOUT", LETTER, Vec::new()),
        ("nothing is looked at", SenderPolicy::Off, forged.as_str(), LETTER, Vec::new()),
        ("it is a report itself", SenderPolicy::Enforce, honest.as_str(), report.as_bytes(), Vec::new()),
    ] {
        assert_eq!(noted(policy, zone, letter), expected, "{name}");
    }
}

#[test]
fn a_letter_that_failed_is_told_with_its_header_and_never_its_body_or_that_of_a_bounce() {
    let asks = |zone: &str| zone.replace("p=reject", "p=reject; ruf=mailto:f@a.test");
    let bounce = [b"Content-Type: multipart/report; report-type=delivery-status\r\n".as_slice(), LETTER].concat();
    for (name, policy, zone, letter, expected) in [
        ("it fails and is refused", SenderPolicy::Enforce, asks(FORGED), LETTER, Some("reject")),
        ("we are milder", SenderPolicy::Quarantine, asks(FORGED), LETTER, Some("quarantine")),
        ("it passes", SenderPolicy::Enforce, asks(HONEST), LETTER, None),
        ("nobody asked", SenderPolicy::Enforce, FORGED.to_owned(), LETTER, None),
        ("nothing is looked at", SenderPolicy::Off, asks(FORGED), LETTER, None),
        ("it is a bounce", SenderPolicy::Enforce, asks(FORGED), bounce.as_slice(), None),
    ] {
        run(async {
            let mut world = world(policy, &zone).await;
            let noted = Arc::new(Noted::default());
            world.context.evaluations = Arc::clone(&noted) as Arc<dyn Ledger>;
            sent(&world, letter).await;
            let told = std::mem::take(&mut *noted.1.lock().unwrap());
            assert_eq!(told.first().map(|failure| failure.done.to_string()).as_deref(), expected, "{name}");
            if let Some(failure) = told.first() {
                assert!(letter.starts_with(&failure.header) && !failure.header.is_empty(), "{name}");
                assert!(failure.results.contains("dmarc=fail") && failure.mail_from.ends_with("@a.test"), "{failure:?}");
            }
        });
    }
}
