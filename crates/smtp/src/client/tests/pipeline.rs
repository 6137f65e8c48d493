//! Letters behind each other, before the replies to the first have come.

use super::*;

const CHUNKING: &str = "S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250-CHUNKING\nS: 250 PIPELINING\n";

fn eager(letters: usize) -> Play {
    let mut play = play();
    play.eager = true;
    (0..letters).fold(play, |play, n| play.letter(envelope(&[&format!("r{n}@y.example")]), &[BODY]))
}

fn told(end: &End) -> Vec<Vec<String>> {
    end.results.iter().map(|results| codes(results)).collect()
}

#[test]
fn the_next_envelope_leaves_with_the_end_of_the_letter_before() {
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<r0@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<r1@y.example>
        C: DATA
        S: 250 taken
        S: 250 ok
        S: 550 no
        S: 554 nobody
        C: QUIT
        S: 221 bye"
    );
    assert_eq!(told(&eager(2).run(&script)), [["accepted 250"], ["refused 550"]]);
}

#[test]
fn a_server_that_wants_nothing_behind_a_letter_is_given_one_at_a_time() {
    let envelope = |n: usize| format!("C: MAIL FROM:<a@x.example> SIZE=21\nC: RCPT TO:<r{n}@y.example>\nC: DATA\n");
    let go = "S: 250 ok\nS: 250 ok\nS: 354 go\nC: Subject: x\nC:\nC: hello\nC: .\n";
    let script = format!(
        "{ESMTP}{}{go}{}S: 250 taken\nS: 503 no\nS: 503 no\nS: 503 no\n{}{go}S: 250 taken\n{}{go}S: 250 taken\nC: QUIT\nS: 221 bye",
        envelope(0),
        envelope(1),
        envelope(2),
        envelope(3)
    );
    let end = eager(4).run(&script);
    assert_eq!(told(&end), [["accepted 250"], ["not tried"], ["accepted 250"], ["accepted 250"]]);
}

#[test]
fn in_chunks_whole_letters_follow_each_other_each_behind_a_reset() {
    let letter = |n: usize, reset: &str| {
        format!("{reset}C: MAIL FROM:<a@x.example>\nC: RCPT TO:<r{n}@y.example>\nC: BDAT 21 LAST\nC: Subject: x\nC:\nC: hello\n")
    };
    let script = format!(
        "{CHUNKING}{}{}{}
        S: 250 ok
        S: 550 no
        S: 503 nobody
        S: 250 reset
        S: 250 ok
        S: 250 ok
        S: 250 taken
        S: 250 reset
        S: 250 ok
        S: 250 ok
        S: 452 later
        C: QUIT
        S: 221 bye",
        letter(0, ""),
        letter(1, "C: RSET\n"),
        letter(2, "C: RSET\n")
    );
    assert_eq!(told(&eager(3).run(&script)), [["refused 550"], ["accepted 250"], ["refused 452"]]);
}

#[test]
fn no_more_letters_are_in_flight_than_may_be_lost_at_once() {
    let now = clock();
    let mut session = eager(0).session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n");
    let mut begun = 0;
    while session.takes_letter() {
        session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
        session.body(now, Bytes::from_static(BODY));
        session.body_end(now);
        begun += 1;
    }
    assert_eq!(begun, 8);
    let Output::Send(_) = session.poll(now) else { panic!() };
    session.receive(now, b"250 ok\r\n250 ok\r\n250 taken\r\n");
    assert!(session.takes_letter());
    session.closed();
    let mut ends = Vec::new();
    while let Output::Done(results) = session.poll(now) {
        ends.push(codes(&results).remove(0));
    }
    assert_eq!(ends, ["accepted 250", "unknown", "unknown", "unknown", "unknown", "unknown", "unknown", "unknown"]);
}

#[test]
fn a_server_that_closes_at_the_first_letter_has_none_of_those_behind() {
    let script = format!(
        "{CHUNKING}C: MAIL FROM:<a@x.example>\nC: RCPT TO:<r0@y.example>\nC: BDAT 21 LAST\nC: Subject: x\nC:\nC: hello
        C: RSET\nC: MAIL FROM:<a@x.example>\nC: RCPT TO:<r1@y.example>\nC: BDAT 21 LAST\nC: Subject: x\nC:\nC: hello
        S: 250 ok
        S: 421 closing"
    );
    let end = eager(2).run(&script);
    assert_eq!(told(&end), [["refused 421"]]);
    assert!(end.closed.is_some());
}

#[test]
fn of_letters_in_one_write_that_broke_off_those_before_the_break_are_unknown_and_those_behind_not_sent() {
    let now = clock();
    let mut session = eager(0).session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n");
    for _ in 0..3 {
        session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
        session.body(now, Bytes::from_static(BODY));
        session.body_end(now);
    }
    let Output::Send(bytes) = session.poll(now) else { panic!() };
    assert!(matches!(session.poll(now), Output::Wait(_)), "all of it leaves in one write");
    // The last octet of the second letter was not written.
    session.write_failed(false, bytes.len() / 3 + 3);
    let Output::Done(results) = session.poll(now) else { panic!() };
    assert_eq!(codes(&results), ["unknown"]);
    assert!(matches!(session.poll(now), Output::Closed(Some(SessionError::Lost(_)))));
}

#[test]
fn a_letter_that_cannot_be_read_does_not_cost_those_before_it_their_replies() {
    let now = clock();
    let mut session = eager(0).session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n");
    session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
    session.body(now, Bytes::from_static(BODY));
    session.body_end(now);
    session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
    session.body_failed(now);
    let Output::Send(_) = session.poll(now) else { panic!() };
    session.receive(now, b"250 ok\r\n250 ok\r\n250 taken\r\n");
    let Output::Done(results) = session.poll(now) else { panic!() };
    assert_eq!(codes(&results), ["accepted 250"]);
    assert_eq!(session.poll(now), Output::Closed(Some(SessionError::BodyUnreadable)));
}

#[test]
fn a_server_without_pipelining_gets_one_letter_after_the_other() {
    let script = "S: 220 x
        C: EHLO me.example
        S: 250 x
        C: MAIL FROM:<a@x.example>
        S: 250 ok
        C: RCPT TO:<r0@y.example>
        S: 250 ok
        C: DATA
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 taken
        C: MAIL FROM:<a@x.example>
        S: 452 later
        C: QUIT
        S: 221 bye";
    assert_eq!(told(&eager(2).run(script)), [["accepted 250"], ["refused 452"]]);
}

#[test]
fn an_announced_number_of_letters_is_not_exceeded() {
    let now = clock();
    let mut session = eager(0).session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250-CHUNKING\r\n250-LIMITS MAILMAX=1\r\n250 PIPELINING\r\n");
    assert!(session.takes_letter());
    session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
    session.body(now, Bytes::from_static(BODY));
    session.body_end(now);
    assert!(!session.takes_letter() && session.is_exhausted());
}
