//! What senders are told.

use posthouse_journal::{Event, Outcome};
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mail::{ByMode, DeliverBy, Envelope, LetterId, Notify, Recipient, Ret};
use posthouse_testkit::peer::{Peer, Talk};

use crate::world::{ARRIVED, World, address, farewell, greet, greet_with, hours, on, run, take};

const BODY: &str = "Subject: hello\r\nX-Mark: 1\r\n\r\nthe text itself\r\n";

/// A server that knows nobody but `b`.
fn picky(talk: &mut Talk) {
    greet(talk);
    on(talk, "MAIL", "250 ok");
    on(talk, "RCPT TO:<a@far.test>", "550-5.1.1 no such user\r\n550 5.1.1 go away");
    on(talk, "RCPT TO:<b@far.test>", "250 ok");
    on(talk, "RCPT TO:<c@far.test>", "450 4.2.2 full");
    on(talk, "DATA", "354 go on");
    talk.body();
    talk.say("250 taken");
    farewell(talk);
}

/// The parts of a report: its header, then what is between the boundaries.
fn parts(report: &str) -> Vec<&str> {
    let (fields, _) = end_of_header(report.as_bytes()).unwrap();
    let header = Header::parse(&report.as_bytes()[..fields]).unwrap();
    let kind = header.first("content-type").unwrap().value();
    let boundary = kind.split("boundary=\"").nth(1).unwrap().trim_end_matches('"');
    let end = format!("\r\n--{boundary}--\r\n");
    report.strip_suffix(&end).unwrap().split(&format!("--{boundary}\r\n")).collect()
}

async fn submit(world: &World, notify: Option<Notify>, ret: Option<Ret>, to: &str) -> LetterId {
    let recipient = Recipient { notify, ..Recipient::from(address(to)) };
    let envelope = Envelope { ret, ..Envelope::new("alice@ours.test".parse().unwrap(), vec![recipient]) };
    world.submit_as(envelope, BODY).await
}

#[test]
fn one_refused_of_three_is_reported_and_the_others_go_on() {
    let peer = Peer::listen(1, picky);
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.account("alice@ours.test").await;
        let letter = world.submit("alice@ours.test", &["a@far.test", "b@far.test", "c@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        let states: Vec<_> = world.states(letter).iter().map(|state| state.is_pending()).collect();
        assert_eq!(states, [false, false, true], "only the full mailbox is tried again");
        assert_eq!(world.deliver_at(ARRIVED).await, 1, "the report");
        let inbox = world.inbox("alice@ours.test").await;
        let [report] = &inbox[..] else { panic!("{inbox:?}") };
        let [header, people, programs, returned] = parts(report)[..] else { panic!("{report}") };
        assert!(header.starts_with("Return-Path: <>\r\nDelivered-To: alice@ours.test\r\n"), "{header}");
        assert!(header.contains("\r\nAuto-Submitted: auto-replied\r\n"));
        assert!(people.contains("a@far.test") && people.contains("550 5.1.1 no such user\r\n"), "{people}");
        assert!(!report.contains("c@far.test") && !programs.contains("b@far.test"), "{report}");
        for field in [
            "Reporting-MTA: dns; mail.ours.test\r\n",
            "Final-Recipient: rfc822; a@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.far.test\r\n",
            "Diagnostic-Code: smtp; 550 5.1.1 no such user go away\r\n",
        ] {
            assert!(programs.contains(field), "{field} is not in\n{programs}");
        }
        assert!(returned.starts_with("Content-Type: message/rfc822\r\n") && returned.contains(BODY), "{returned}");
    });
    peer.finish();
}

#[test]
fn all_failures_of_a_round_are_one_report_and_its_id_is_in_the_timeline() {
    run(async {
        let world = World::new(1, "null.test MX 0 .").await;
        world.account("alice@ours.test").await;
        let letter = world.submit("alice@ours.test", &["a@nosuch.test", "b@nosuch.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        let bounced: Vec<_> = world
            .timeline(letter)
            .await
            .into_iter()
            .filter_map(|event| if let Event::Bounced { bounce, .. } = event { Some(bounce) } else { None })
            .collect();
        assert!(bounced.len() == 2 && bounced[0] == bounced[1], "{bounced:?}");
        assert_eq!(world.context.queue.list().iter().map(|one| one.id).collect::<Vec<_>>(), bounced[..1]);
        assert_eq!(world.deliver_at(ARRIVED).await, 1);
        assert_eq!(world.inbox("alice@ours.test").await[0].matches("\r\nFinal-Recipient: ").count(), 2);
    });
}

#[test]
fn a_letter_without_a_sender_is_never_answered() {
    run(async {
        let world = World::new(1, "").await;
        let letter = world.submit("", &["a@nosuch.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
        let timeline = world.timeline(letter).await;
        assert!(
            timeline.iter().any(|event| matches!(event, Event::Discarded { to, .. } if to == "a@nosuch.test")),
            "{timeline:?}"
        );
    });
}

/// THREATS 17: a server's words end up in the report and nowhere else.
#[test]
fn hostile_words_of_a_server_change_nothing_but_the_text() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        on(talk, "MAIL", "250 ok");
        on(
            talk,
            "RCPT",
            "550-5.1.1 x\r\n550-Action: delivered\r\n550-\r\n550-Final-Recipient: rfc822; evil@evil.test\r\n550 5.1.1 type: message-file: /etc/passwd",
        );
        farewell(talk);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.account("alice@ours.test").await;
        world.submit("alice@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        world.deliver_at(ARRIVED).await;
        let inbox = world.inbox("alice@ours.test").await;
        let programs = parts(&inbox[0])[2];
        assert_eq!(programs.matches("\r\nAction: ").count(), 1, "{programs}");
        assert_eq!(programs.matches("\r\nFinal-Recipient: ").count(), 1, "{programs}");
    });
    peer.finish();
}

#[test]
fn a_letter_that_was_tried_too_long_goes_back_with_the_last_answer() {
    let peer = Peer::listen(2, |talk| {
        greet(talk);
        on(talk, "MAIL", "451 4.7.1 come back later");
        farewell(talk);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.account("alice@ours.test").await;
        let letter = world.submit("alice@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert_eq!(world.deliver_at(hours(5 * 24)).await, 1);
        let last = world.attempts(letter).await.pop().unwrap();
        assert_eq!(last.2, Outcome::Failed);
        assert!(world.states(letter).is_empty());
        world.deliver_at(hours(5 * 24)).await;
        let inbox = world.inbox("alice@ours.test").await;
        let programs = parts(&inbox[0])[2];
        assert!(programs.contains("Status: 5.4.7\r\n") && programs.contains("come back later"), "{programs}");
        assert!(!programs.contains("Remote-MTA"), "the words are ours: {programs}");
        assert!(programs.contains("tried 2 times in 5 days"), "{programs}");
    });
    peer.finish();
}

#[test]
fn who_wants_to_hear_nothing_hears_nothing() {
    run(async {
        let world = World::new(1, "").await;
        for notify in [Notify::default(), Notify { success: true, failure: false, delay: true }] {
            submit(&world, Some(notify), None, "a@nosuch.test").await;
            world.deliver_at(ARRIVED).await;
            assert!(world.context.queue.is_empty(), "{notify:?}");
        }
    });
}

#[test]
fn who_wants_to_hear_of_success_hears_of_it() {
    let peer = Peer::listen(1, |talk| {
        take(talk, &["a@far.test"]);
    });
    let success = Some(Notify { success: true, ..Notify::default() });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.account("alice@ours.test").await;
        world.account("bob@ours.test").await;
        for (to, action) in [("bob@ours.test", "delivered"), ("a@far.test", "relayed")] {
            submit(&world, success, None, to).await;
            world.deliver_at(ARRIVED).await;
            world.deliver_at(ARRIVED).await;
            let report = world.inbox("alice@ours.test").await.pop().unwrap();
            assert!(
                parts(&report)[2].contains(&format!("Final-Recipient: rfc822; {to}\r\nAction: {action}\r\nStatus: 2.")),
                "{report}"
            );
            assert!(!report.contains("the text itself"), "good news returns the header alone (RFC 3461 §6.2)");
        }
    });
    peer.finish();
}

#[test]
fn a_host_that_reports_itself_takes_that_over() {
    let peer = Peer::listen(1, |talk| {
        greet_with(talk, "250-mx.far.test\n250 DSN");
        let mail = talk.hear().unwrap();
        assert!(mail.contains(" RET=HDRS"), "{mail}");
        talk.say("250 ok");
        let rcpt = talk.hear().unwrap();
        assert!(rcpt.contains(" NOTIFY=SUCCESS"), "{rcpt}");
        talk.say("250 ok");
        on(talk, "DATA", "354 go on");
        talk.body();
        talk.say("250 taken");
        farewell(talk);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        submit(&world, Some(Notify { success: true, ..Notify::default() }), Some(Ret::Headers), "a@far.test").await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
    });
    peer.finish();
}

#[test]
fn no_more_is_returned_than_was_asked_for_or_fits() {
    run(async {
        let world = World::new(1, "").await;
        world.account("alice@ours.test").await;
        submit(&world, None, Some(Ret::Headers), "a@nosuch.test").await;
        let large = format!("{BODY}{}", "another line of it\r\n".repeat(5000));
        world.submit("alice@ours.test", &["a@nosuch.test"], &large).await;
        world.deliver_at(ARRIVED).await;
        world.deliver_at(ARRIVED).await;
        let inbox = world.inbox("alice@ours.test").await;
        assert_eq!(inbox.len(), 2);
        for report in inbox {
            let returned = parts(&report)[3];
            assert!(returned.starts_with("Content-Type: text/rfc822-headers\r\n"), "{returned}");
            assert!(returned.contains("X-Mark: 1\r\n") && !report.contains("the text itself"), "{returned}");
        }
    });
}

/// The power goes between the report and the end of its letter: the next start makes the same report, which the queue takes once.
#[test]
fn after_a_crash_the_same_failures_make_the_same_report() {
    run(async {
        let world = World::new(1, "null.test MX 0 .").await;
        let letter = world.submit("alice@ours.test", &["a@null.test", "b@nosuch.test", "c@nosuch.test"], BODY).await;
        let before = world.image();
        world.deliver_at(ARRIVED).await;
        let mut reports = vec![world.context.queue.list()[0].id];
        let again = World { context: before.open(&world.context), ..world };
        again.deliver_at(hours(1)).await;
        reports.push(again.context.queue.list()[0].id);
        assert!(reports[0] == reports[1] && reports[0] != letter, "{reports:?}");
    });
}

/// RFC 2852 §4.1.4: who gave a deadline hears where the letter went on without it, and who asked for a trace of each step.
#[test]
fn a_letter_with_a_deadline_is_reported_when_it_is_passed_on() {
    // What the host offers, the deadline's mode and trace, NOTIFY: what it is asked to report, and whether we report that it was relayed.
    let never = Some(Notify::default());
    let success = Some(Notify { success: true, ..Notify::default() });
    let cases = [
        ("250 DELIVERBY", ByMode::Notify, false, None, "", false),
        ("250 DELIVERBY", ByMode::Notify, true, None, "", true),
        ("250 DELIVERBY", ByMode::Return, true, None, "", true),
        ("250 DELIVERBY", ByMode::Return, true, never, "", false),
        ("250 DSN", ByMode::Notify, false, None, " NOTIFY=FAILURE,DELAY", true),
        ("250 DSN", ByMode::Notify, false, success, " NOTIFY=SUCCESS,DELAY", true),
        ("250 DSN", ByMode::Notify, false, never, " NOTIFY=NEVER", false),
        ("250 HELP", ByMode::Notify, false, None, "", true),
    ];
    for (offer, mode, trace, notify, asked, told) in cases {
        let peer = Peer::listen(1, move |talk| {
            greet_with(talk, &format!("250-mx.far.test\n{offer}"));
            on(talk, "MAIL", "250 ok");
            let rcpt = talk.hear().unwrap();
            assert!(rcpt.ends_with(&format!(">{asked}")), "{rcpt}, {offer} {mode:?} {notify:?}");
            talk.say("250 ok");
            on(talk, "DATA", "354 go on");
            talk.body();
            talk.say("250 taken");
            farewell(talk);
        });
        run(async {
            let world = World::new(peer.address().port(), "").await;
            world.account("alice@ours.test").await;
            let recipient = Recipient { notify, ..Recipient::from(address("a@far.test")) };
            // A client counts what is left by the real time, which is later than that of these letters.
            let by = DeliverBy { at: posthouse_mail::UnixMillis(u64::MAX / 2), mode, trace };
            let envelope =
                Envelope { deliver_by: Some(by), ..Envelope::new("alice@ours.test".parse().unwrap(), vec![recipient]) };
            world.submit_as(envelope, BODY).await;
            world.deliver_at(ARRIVED).await;
            world.deliver_at(ARRIVED).await;
            let inbox = world.inbox("alice@ours.test").await;
            assert_eq!(inbox.len(), usize::from(told), "{offer} {mode:?} {notify:?}: {inbox:?}");
            if let Some(report) = inbox.first() {
                let programs = parts(report)[2];
                assert!(
                    programs.contains("\r\nDeliver-By-Date: ") && programs.contains("\r\nAction: relayed\r\nStatus: 2."),
                    "{programs}"
                );
            }
        });
        peer.finish();
    }
}
