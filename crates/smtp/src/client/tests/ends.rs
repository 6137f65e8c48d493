//! How letters end, or do not.

use super::*;

#[test]
fn a_malformed_letter_is_never_ended() {
    let rows: [&[&'static [u8]]; 7] =
        [&[b"a\nb\r\n"], &[b"a\rb\r\n"], &[b"a\0b\r\n"], &[b"a\r"], &[b"a\r", b"b\r\n"], &[b"a\r\n", b"\n.\r\n"], &[b"a\r\n.\n"]];
    for body in rows {
        for (offer, go) in
            [("S: 250 PIPELINING", "C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go"), ("S: 250-PIPELINING\nS: 250 CHUNKING", "")]
        {
            let play = play().letter(envelope(&["b@y.example"]), body);
            let hello = format!("S: 220 x\nC: EHLO me.example\nS: 250-x\n{offer}\n");
            let script =
                if go.is_empty() { hello } else { format!("{hello}C: MAIL FROM:<a@x.example>\nC: RCPT TO:<b@y.example>\n{go}") };
            let end = play.run(&script);
            assert_eq!(codes(&end.results[0]), ["unsendable 5.6.0"], "{body:?} {offer}");
            assert!(end.closed.is_some());
        }
    }
}

#[test]
fn a_letter_of_another_length_than_announced_is_never_ended() {
    for (announced, given) in [(20, "more"), (22, "fewer")] {
        let now = clock();
        let mut session = play().session();
        session.receive(now, b"220 x\r\n");
        let _ = session.poll(now);
        session.receive(now, b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
        assert_eq!(session.poll(now), Output::Ready);
        session.letter(now, TIME, &envelope(&["b@y.example"]), announced);
        session.body(now, Bytes::from_static(BODY));
        session.body_end(now);
        assert_eq!(session.poll(now), Output::Closed(Some(SessionError::BodyLength { given })));
    }
}

#[test]
fn a_connection_lost_after_the_end_leaves_the_letter_unknown() {
    let play = play().letter(envelope(&["b@y.example", "c@y.example"]), &[BODY]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 550 no
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: ."
    );
    let end = play.run(&script);
    assert_eq!(codes(&end.results[0]), ["refused 550", "unknown"]);
    assert_eq!(end.closed, Some(SessionError::Lost(Stage::End)));
}

#[test]
fn a_connection_lost_before_the_end_is_an_error_and_nobody_has_the_letter() {
    let play = play().letter(envelope(&["b@y.example"]), &[BODY]);
    let script = format!("{ESMTP}C: MAIL FROM:<a@x.example> SIZE=21\nC: RCPT TO:<b@y.example>\nC: DATA\nS: 250 ok");
    let end = play.run(&script);
    assert_eq!(end, End { results: vec![], closed: Some(SessionError::Lost(Stage::Envelope)) });
}

#[test]
fn an_end_that_could_not_be_written_is_not_sent() {
    let now = clock();
    let mut session = play().session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
    session.body(now, Bytes::from_static(BODY));
    session.body_end(now);
    assert!(matches!(session.poll(now), Output::Send(_)));
    session.write_failed(false, 1);
    assert_eq!(session.poll(now), Output::Closed(Some(SessionError::Lost(Stage::Envelope))));
}

#[test]
fn a_refusal_in_the_middle_of_the_letter_is_heard_and_the_letter_not_ended() {
    let now = clock();
    let mut session = play().session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250 PIPELINING\r\n");
    session.letter(now, TIME, &envelope(&["b@y.example"]), 1000);
    let _ = session.poll(now);
    session.receive(now, b"250 ok\r\n250 ok\r\n354 go\r\n");
    assert_eq!(session.poll(now), Output::Body);
    session.body(now, Bytes::from_static(BODY));
    session.receive(now, b"552 5.3.4 too large\r\n");
    let Output::Done(results) = session.poll(now) else { panic!() };
    assert_eq!(codes(&results), ["refused 552"]);
    assert!(matches!(session.poll(now), Output::Closed(Some(_))));
}

#[test]
fn each_step_has_its_own_deadline() {
    let start = clock();
    let later = |minutes: u64| start + Duration::from_secs(60 * minutes);
    let mut session = play().session();
    let due = |session: &mut ClientSession| session.deadline().duration_since(start).as_secs().div_ceil(60);
    assert_eq!(due(&mut session), 5);
    session.receive(start, b"220 x\r\n");
    let _ = session.poll(start);
    session.receive(start, b"250 x\r\n");
    session.letter(start, TIME, &envelope(&["b@y.example"]), 21);
    for (reply, minutes) in [(&b"250 ok\r\n"[..], 5), (b"250 ok\r\n", 2), (b"354 go\r\n", 3)] {
        let _ = session.poll(start);
        session.receive(start, reply);
        assert_eq!(due(&mut session), minutes, "{reply:?}");
    }
    session.body(start, Bytes::from_static(BODY));
    session.body_end(start);
    assert!(matches!(session.poll(start), Output::Send(_)));
    assert_eq!(session.poll(start), Output::Wait(later(10)));
    // An octet at a time does not move it.
    session.receive(later(9), b"2");
    assert_eq!(session.poll(later(9)), Output::Wait(later(10)));
    let Output::Done(results) = session.poll(later(10)) else { panic!() };
    assert_eq!(codes(&results), ["unknown"]);
    assert_eq!(session.poll(later(10)), Output::Closed(Some(SessionError::Timeout(Stage::End))));
}

#[test]
fn statuses_survive() {
    let play = play().letter(envelope(&["b@y.example"]), &[BODY]);
    let end = play.run(&format!(
        "{ESMTP}C: MAIL FROM:<a@x.example> SIZE=21\nC: RCPT TO:<b@y.example>\nC: DATA\nS: 250 2.1.0 ok\nS: 550-5.1.1 no\nS: 550 5.1.1 such user\nS: 503 5.5.1 no"
    ));
    let [RecipientResult::Refused(reply)] = end.results[0].as_slice() else { panic!() };
    assert_eq!((reply.status(), reply.text().as_str()), (Some(Status::permanent(1, 1)), "no such user"));
}
