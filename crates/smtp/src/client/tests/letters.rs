//! Letters and what becomes of their recipients.

use super::*;

#[track_caller]
fn one(play: &Play, script: &str) -> Vec<String> {
    let end = play.run(script);
    assert_eq!(end.results.len(), 1, "{:?}", end.closed);
    codes(&end.results[0])
}

#[test]
fn a_server_without_extensions_is_talked_to_step_by_step() {
    let play = play().letter(envelope(&["b@y.example", "c@y.example"]), &[BODY]);
    let end = play.run(
        "S: 220 old
        C: EHLO me.example
        S: 502 what
        C: HELO me.example
        S: 250 old
        C: MAIL FROM:<a@x.example>
        S: 250 ok
        C: RCPT TO:<b@y.example>
        S: 550 no
        C: RCPT TO:<c@y.example>
        S: 251 elsewhere
        C: DATA
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 taken
        C: QUIT
        S: 221 bye",
    );
    assert_eq!(codes(&end.results[0]), ["refused 550", "accepted 250"]);
    assert_eq!(end.closed, None);
}

#[test]
fn the_envelope_leaves_in_one_write() {
    let play = play().letter(envelope(&["b@y.example", "c@y.example"]), &[BODY]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 451 later
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 taken"
    );
    assert_eq!(one(&play, &script), ["accepted 250", "refused 451"]);
}

#[test]
fn with_chunking_a_small_letter_leaves_with_its_envelope() {
    let play = play().letter(envelope(&["b@y.example"]), &[BODY]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-CHUNKING
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: BDAT 21 LAST
        C: Subject: x
        C:
        C: hello
        S: 250 ok
        S: 250 ok
        S: 250 taken";
    assert_eq!(one(&play, script), ["accepted 250"]);
}

#[test]
fn the_chunks_of_a_large_letter_wait_for_the_envelope() {
    let play = play().letter(envelope(&["b@y.example"]), &[b"one\r\n", b"two\r\n", b"three\r\n"]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-CHUNKING
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: BDAT 5
        C: one
        S: 250 ok
        S: 250 ok
        S: 250 chunk
        C: BDAT 5
        C: two
        C: BDAT 7 LAST
        C: three
        S: 250 chunk
        S: 250 taken";
    assert_eq!(one(&play, script), ["accepted 250"]);
}

#[test]
fn a_refused_chunk_stops_the_letter_and_clears_the_transaction() {
    let two = play()
        .letter(envelope(&["b@y.example"]), &[b"one\r\n", b"two\r\n", b"three\r\n"])
        .letter(envelope(&["c@y.example"]), &[b"x\r\n"]);
    let end = two.run(
        "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-CHUNKING
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: BDAT 5
        C: one
        S: 250 ok
        S: 250 ok
        S: 452 4.3.1 full
        C: RSET
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<c@y.example>
        C: BDAT 3 LAST
        C: x
        S: 250 reset
        S: 250 ok
        S: 250 ok
        S: 250 taken",
    );
    assert_eq!(codes(&end.results[0]), ["refused 452"]);
    assert_eq!(codes(&end.results[1]), ["accepted 250"]);
}

#[test]
fn chunks_without_pipelining_go_one_by_one() {
    let play = play().letter(envelope(&["b@y.example"]), &[b"one\r\n", b"two\r\n"]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250 CHUNKING
        C: MAIL FROM:<a@x.example>
        S: 250 ok
        C: RCPT TO:<b@y.example>
        S: 250 ok
        C: BDAT 5
        C: one
        S: 250 ok
        C: BDAT 5 LAST
        C: two
        S: 250 taken";
    assert_eq!(one(&play, script), ["accepted 250"]);
}

#[test]
fn dots_at_line_starts_are_doubled_across_chunks() {
    let play = play().letter(envelope(&["b@y.example"]), &[b".one\r", b"\n", b".\r\n..two\r\nx.y"]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=19
        C: RCPT TO:<b@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: ..one
        C: ..
        C: ...two
        C: x.y
        C: .
        S: 250 taken"
    );
    assert_eq!(one(&play, &script), ["accepted 250"]);
}

#[test]
fn when_nobody_is_taken_and_the_server_goes_ahead_it_gets_a_lone_dot() {
    let two = play().letter(envelope(&["b@y.example"]), &[BODY]).letter(envelope(&["c@y.example"]), &[b"x\r\n"]);
    let end = two.run(&format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 354 go
        C: .
        S: 554 no valid recipients
        C: MAIL FROM:<a@x.example> SIZE=3
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: x
        C: .
        S: 250 taken"
    ));
    assert_eq!(codes(&end.results[0]), ["refused 550"]);
    assert_eq!(codes(&end.results[1]), ["accepted 250"]);
}

#[test]
fn when_nobody_is_taken_the_next_letter_begins_with_a_reset() {
    let two = play().letter(envelope(&["b@y.example"]), &[BODY]).letter(envelope(&["c@y.example"]), &[b"x\r\n"]);
    let end = two.run(&format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: DATA
        S: 250 ok
        S: 550 5.1.1 no such user
        S: 503 no recipients
        C: RSET
        C: MAIL FROM:<a@x.example> SIZE=3
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: x
        C: .
        S: 250 taken"
    ));
    assert_eq!(codes(&end.results[0]), ["refused 550"]);
    assert_eq!(codes(&end.results[1]), ["accepted 250"]);
}

#[test]
fn a_refused_sender_is_the_word_for_every_recipient() {
    let play = play().letter(envelope(&["b@y.example", "c@y.example"]), &[BODY]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 451 greylisted
        S: 503 no sender
        S: 503 no sender
        S: 503 no sender"
    );
    assert_eq!(one(&play, &script), ["refused 451", "refused 451"]);
}

#[test]
fn too_many_recipients_are_left_for_another_letter() {
    let play = play().letter(envelope(&["b@y.example", "c@y.example", "d@y.example", "e@y.example"]), &[BODY]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: RCPT TO:<d@y.example>
        C: RCPT TO:<e@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 452 4.5.3 too many
        S: 452 too many
        S: 452 4.2.2 mailbox full
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 taken"
    );
    assert_eq!(one(&play, &script), ["accepted 250", "not tried", "not tried", "refused 452"]);
}

#[test]
fn too_many_with_nobody_taken_is_a_refusal_so_that_splitting_ends() {
    let play = play().letter(envelope(&["b@y.example"]), &[BODY]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<b@y.example>
        C: DATA
        S: 250 ok
        S: 452 4.5.3 too many
        S: 503 no"
    );
    assert_eq!(one(&play, &script), ["refused 452"]);
}

#[test]
fn announced_limits_are_kept() {
    let play = play().letter(envelope(&["b@y.example", "c@y.example", "d@y.example"]), &[BODY]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-LIMITS RCPTMAX=2 MAILMAX=1
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 taken";
    assert_eq!(one(&play, script), ["accepted 250", "accepted 250", "not tried"]);
}

#[test]
fn lmtp_has_a_reply_for_each_recipient_it_took() {
    let mut play = play().letter(envelope(&["b@y.example", "c@y.example", "d@y.example"]), &[BODY]);
    play.protocol = Protocol::Lmtp;
    let script = "S: 220 x
        C: LHLO me.example
        S: 250-x
        S: 250-CHUNKING
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: RCPT TO:<d@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 550 no
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 stored
        S: 452 4.2.2 full";
    assert_eq!(one(&play, script), ["accepted 250", "refused 550", "refused 452"]);
}

#[test]
fn lmtp_that_breaks_off_between_its_replies_leaves_the_rest_unknown() {
    let mut play = play().letter(envelope(&["b@y.example", "c@y.example"]), &[BODY]);
    play.protocol = Protocol::Lmtp;
    let script = "S: 220 x
        C: LHLO me.example
        S: 250-x
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 stored";
    assert_eq!(one(&play, script), ["accepted 250", "unknown"]);
}

#[test]
fn a_binary_letter_goes_as_it_is_or_not_at_all() {
    let mut binary = envelope(&["b@y.example"]);
    binary.body = BodyKind::BinaryMime;
    let play = play().letter(binary, &[b"\0\r\n\n\r"]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example> BODY=BINARYMIME
        C: RCPT TO:<b@y.example>
        C: BDAT 5 LAST";
    // The script's lines end with CRLF, which the octets of this letter do not: they are looked at by hand.
    let now = clock();
    let mut session = play.session();
    session.receive(now, b"220 x\r\n");
    assert!(matches!(session.poll(now), Output::Send(_)));
    session.receive(now, b"250-x\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n");
    assert_eq!(session.poll(now), Output::Ready);
    session.letter(now, TIME, &play.letters[0].0, 5);
    assert_eq!(session.poll(now), Output::Body);
    session.body(now, Bytes::from_static(play.letters[0].1[0]));
    assert_eq!(session.poll(now), Output::Body);
    session.body_end(now);
    let mut expected = turns(script)[2].0.clone().into_bytes();
    expected.extend_from_slice(b"\0\r\n\n\r");
    assert_eq!(session.poll(now), Output::Send(expected.into()));

    // With nothing to carry it, nothing is sent, and the session goes on.
    assert_eq!(one(&play, ESMTP), ["unsendable 5.6.3"]);
    assert_eq!(play.run(ESMTP).closed, None);
}

#[test]
fn a_letter_that_needs_utf8_is_not_given_to_a_server_without() {
    let mut utf8 = envelope(&["b@y.example"]);
    utf8.smtputf8 = true;
    assert_eq!(one(&play().letter(utf8, &[BODY]), ESMTP), ["unsendable 5.6.7"]);

    let some = play().letter(envelope(&["böb@y.example", "c@y.example"]), &[BODY]);
    let script = format!(
        "{ESMTP}
        C: MAIL FROM:<a@x.example> SIZE=21
        C: RCPT TO:<c@y.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: hello
        C: .
        S: 250 taken"
    );
    assert_eq!(one(&some, &script), ["unsendable 5.6.7", "accepted 250"]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250 SMTPUTF8
        C: MAIL FROM:<a@x.example> SMTPUTF8
        S: 550 no";
    assert_eq!(one(&some, script), ["refused 550", "refused 550"]);
}

#[test]
fn a_letter_beyond_the_announced_size_is_not_sent() {
    static LARGE: [u8; 1001] = [b'x'; 1001];
    assert_eq!(one(&play().letter(envelope(&["b@y.example"]), &[&LARGE]), ESMTP), ["unsendable 5.3.4"]);
}

#[test]
fn eight_bit_text_is_declared_where_it_can_be_and_sent_anyway() {
    let mut eight = envelope(&["b@y.example"]);
    eight.body = BodyKind::EightBitMime;
    let play = play().letter(eight, &[b"h\xc3\xa9\r\n"]);
    let refused = "S: 250 ok\nS: 550 no\nS: 503 no";
    let with = format!("{ESMTP}C: MAIL FROM:<a@x.example> SIZE=5 BODY=8BITMIME\nC: RCPT TO:<b@y.example>\nC: DATA\n{refused}");
    assert_eq!(one(&play, &with), ["refused 550"]);
    let without = "S: 220 x
        C: EHLO me.example
        S: 250 x
        C: MAIL FROM:<a@x.example>
        S: 250 ok
        C: RCPT TO:<b@y.example>
        S: 250 ok
        C: DATA
        S: 354 go
        C: hé
        C: .
        S: 250 taken";
    assert_eq!(one(&play, without), ["accepted 250"]);
}

#[test]
fn what_the_sender_wants_to_hear_travels_with_dsn_only() {
    let mut asked = envelope(&["b@y.example"]);
    asked.ret = Some(posthouse_mail::Ret::Headers);
    asked.envid = Some("a+b=c d\r\nRSET".to_owned());
    asked.recipients[0].notify = Some(posthouse_mail::Notify { success: true, failure: true, delay: false });
    asked.recipients[0].orcpt =
        Some(posthouse_mail::OriginalRecipient { kind: "rfc822".to_owned(), address: "B+1@y.example\r\nRSET".to_owned() });
    let play = play().letter(asked, &[BODY]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-DSN
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example> RET=HDRS ENVID=a+2Bb+3Dc+20d+0D+0ARSET
        C: RCPT TO:<b@y.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B+2B1@y.example+0D+0ARSET
        C: DATA
        S: 250 ok
        S: 550 no
        S: 503 no";
    assert_eq!(one(&play, script), ["refused 550"]);
    let script =
        format!("{ESMTP}C: MAIL FROM:<a@x.example> SIZE=21\nC: RCPT TO:<b@y.example>\nC: DATA\nS: 250 ok\nS: 550 no\nS: 503 no");
    assert_eq!(one(&play, &script), ["refused 550"]);
}
