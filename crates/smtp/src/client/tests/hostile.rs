//! Servers that mean no good, or do not know better.

use super::*;

#[track_caller]
fn broken(play: &Play, script: &str) -> SessionError {
    let end = play.run(script);
    assert_eq!(end.results, Vec::<Vec<RecipientResult>>::new());
    end.closed.unwrap()
}

fn letter() -> Play {
    play().letter(envelope(&["b@y.example"]), &[BODY])
}

#[test]
fn a_greeting_that_turns_away_is_told() {
    let error = broken(&letter(), "S: 554 go away");
    assert!(matches!(&error, SessionError::Refused { stage: Stage::Greeting, .. }) && !error.is_temporary());
    let error = broken(&letter(), "S: 421 busy");
    assert!(matches!(&error, SessionError::Refused { stage: Stage::Greeting, .. }) && error.is_temporary());
    assert!(matches!(broken(&letter(), "S: 250 hello"), SessionError::Protocol { stage: Stage::Greeting, .. }));
    assert!(matches!(broken(&letter(), "S: HTTP/1.1 200 OK"), SessionError::Unreadable { stage: Stage::Greeting, .. }));
}

#[test]
fn replies_before_their_questions_are_not_believed() {
    // All in one segment: the answer to EHLO is there before EHLO has left.
    let end = letter().run_in_pieces("S: 220 x\nS: 250 x", usize::MAX);
    assert!(matches!(end.closed, Some(SessionError::Protocol { .. })), "{end:?}");
    let script = "S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250 PIPELINING\nS: 250 ok";
    let end = play().run_in_pieces(script, usize::MAX);
    assert_eq!(end.closed, Some(SessionError::Protocol { stage: Stage::Idle, what: "a reply that nobody asked for" }));
}

#[test]
fn a_letter_is_not_delivered_because_the_server_says_so_early() {
    let now = clock();
    let mut session = play().session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250 PIPELINING\r\n");
    session.letter(now, TIME, &envelope(&["b@y.example"]), 21);
    let _ = session.poll(now);
    session.receive(now, b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n");
    assert!(matches!(session.poll(now), Output::Closed(Some(SessionError::Protocol { stage: Stage::Letter, .. }))));
}

#[test]
fn wrong_codes_end_the_session() {
    let envelope = format!("{ESMTP}C: MAIL FROM:<a@x.example> SIZE=21\nC: RCPT TO:<b@y.example>\nC: DATA\n");
    for replies in ["S: 354 go", "S: 250 ok\nS: 354 go", "S: 250 ok\nS: 250 ok\nS: 250 ok", "S: 250 ok\nS: 334 ok", "S: 150 ok"] {
        let error = broken(&letter(), &format!("{envelope}{replies}"));
        assert!(matches!(error, SessionError::Protocol { .. } | SessionError::Unreadable { .. }), "{replies}: {error}");
    }
}

#[test]
fn a_protocol_error_after_the_end_leaves_the_letter_unknown() {
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 354 go on"
    );
    let end = letter().run(&script);
    assert_eq!(codes(&end.results[0]), ["unknown"]);
    assert!(matches!(end.closed, Some(SessionError::Protocol { stage: Stage::End, .. })));
}

#[test]
fn a_server_that_closes_in_the_envelope_has_nothing() {
    let script =
        format!("{ESMTP}C: MAIL FROM:<a@x.example> SIZE=21\nC: RCPT TO:<b@y.example>\nC: DATA\nS: 250 ok\nS: 421 closing");
    let end = letter().run(&script);
    assert_eq!(codes(&end.results[0]), ["refused 421"]);
    assert!(end.closed.is_some());
}

#[test]
fn a_server_that_says_goodbye_at_rest_is_heard() {
    let end = play().run_in_pieces("S: 220 x\nC: EHLO me.example\nS: 250 x\nS: 421 idle too long", usize::MAX);
    assert!(matches!(end.closed, Some(SessionError::Refused { stage: Stage::Idle, .. })));
}

#[test]
fn a_reply_without_end_is_cut_off_in_bounded_memory() {
    let now = clock();
    for line in [&b"250-flood\r\n"[..], b"250-"] {
        let mut session = play().session();
        session.receive(now, b"220 x\r\n");
        let _ = session.poll(now);
        let mut lines = 0;
        while !session.is_closed() {
            session.receive(now, line);
            lines += 1;
            assert!(lines < 1_000_000, "it never ends");
        }
        assert!(matches!(session.poll(now), Output::Closed(Some(SessionError::Unreadable { stage: Stage::Hello, .. }))));
    }
}

#[test]
fn a_million_replies_at_once_end_the_session() {
    let now = clock();
    let mut session = play().session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, &b"250 x\r\n".repeat(1_000_000));
    assert!(matches!(session.poll(now), Output::Closed(Some(_))));
}

#[test]
fn line_ends_other_than_crlf_are_not_replies() {
    for bad in ["220 x\n", "220 x\r250 y\r\n", "220 \0x\r\n"] {
        let now = clock();
        let mut session = play().session();
        session.receive(now, bad.as_bytes());
        assert!(matches!(session.poll(now), Output::Closed(Some(SessionError::Unreadable { .. }))), "{bad:?}");
    }
}

#[test]
fn a_session_driven_out_of_order_says_so() {
    let now = clock();
    let mut session = play().session();
    session.letter(now, TIME, &envelope(&["b@y.example"]), 1);
    assert!(matches!(session.poll(now), Output::Closed(Some(SessionError::Misuse(_)))));
    let mut session = play().session();
    session.tls_started(now, TLS);
    assert!(matches!(session.poll(now), Output::Closed(Some(SessionError::Misuse(_)))));
}
