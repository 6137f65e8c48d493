use super::*;
use crate::entry::tests::every_event;

#[test]
fn every_event_reads_as_a_sentence() {
    let lines: Vec<String> =
        every_event().into_iter().map(|event| Entry::new(UnixMillis(1_795_489_929_120), event).to_string()).collect();
    let expected = "\
03:12:09.120  accepted from 192.0.2.7 (client.example) on submission over TLSv1.3 as alice@example.test, 12 KiB, from Alice@Example.test for bob@example.test, Carol@example.org
03:12:09.120  team@example.test leads to bob@example.test
03:12:09.120  author alice@example.test: spf=pass example.test (`ip4:192.0.2.7` matches; by example.test TXT v=spf1 ip4:192.0.2.7 -all); taken
03:12:09.120  refused from 192.0.2.7 at letter on mx, from <>, for bob@example.test, carol@example.test: 550 5.7.26 no
03:12:09.120  delivered for bob@example.test at mx.example (198.51.100.1:25) from news (192.0.2.9) without TLS (opportunistic), as from SRS0=x@ours.test: 250 2.0.0 ok
03:12:09.120  deferred for bob@example.test at mx.example (198.51.100.1:25) from news (192.0.2.9) without TLS (opportunistic), as from SRS0=x@ours.test: 250 2.0.0 ok; next try at 03:17:09.120
03:12:09.120  failed for bob@example.test, Carol@example.test at mx.example (198.51.100.1:25) from news (192.0.2.9) without TLS (opportunistic), as from SRS0=x@ours.test: 250 2.0.0 ok
03:12:09.120  not tried for bob@example.test, and waits on: 451 4.3.2 delivery is suspended by root
03:12:09.120  stored for bob@example.test as message 7 of account 01ACCOUNT
03:12:09.120  gave up on bob@example.test; letter ID tells the sender
03:12:09.120  a dmarc report on example.net is on its way to d@example.net
03:12:09.120  read for reports@example.test as a dmarc report of big.example on example.test, and kept
03:12:09.120  no report for reports@example.test, so the postmaster gets it: there is no report in it
03:12:09.120  dropped for bob@example.test: removed by the operator
03:12:09.120  removed for bob@example.test: it lay in Junk for 30d
03:12:09.120  alice was not let in over smtp by PLAIN, from 192.0.2.7 (phone.example): wrong
03:12:09.120  message 7 of account bob was read, from this machine
03:12:09.120  the operator alice (uid 1000, process 4711): redirect, to relay.example:25
03:12:09.120  the operator alice (uid 1000, process 4711): suspend example.net";
    let id = posthouse_mail::LetterId::new(UnixMillis(1_795_489_929_120), 7).to_string();
    assert_eq!(lines.join("\n").replace(&id, "ID"), expected);
}

#[test]
fn a_peer_cannot_break_the_line_or_speak_to_the_terminal() {
    let event = Event::Login {
        protocol: "smtp".to_owned(),
        peer: None,
        account: "alice\r\n03:00:00 bob\x1b[31m\u{9b}".to_owned(),
        mechanism: "PLAIN".to_owned(),
        ok: true,
        client: None,
        tls: None,
        app_password: None,
        why: None,
    };
    let line = event.to_string();
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    assert!(line.contains("alice\\r\\n03:00:00"), "{line}");
}

#[test]
fn many_recipients_are_counted() {
    let to: Vec<String> = (0..100).map(|n| format!("{n}@x")).collect();
    assert_eq!(list(&to), "0@x, 1@x, 2@x and 97 more");
    assert_eq!(list(&[]), "nobody");
}

#[test]
fn sizes_are_rounded_to_what_people_say() {
    let sizes =
        [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (12_345, "12 KiB"), (20_000_000, "19 MiB"), (u64::MAX, "16777216 TiB")];
    for (octets, text) in sizes {
        assert_eq!(human_size(octets), text);
    }
}
