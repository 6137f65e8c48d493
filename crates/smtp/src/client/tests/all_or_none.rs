//! Letters that go to everybody or to nobody.

use super::*;

const CHUNKING: &str = "S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250-CHUNKING\nS: 250 PIPELINING\n";
const ENVELOPE: &str = "C: MAIL FROM:<a@x.example>\nC: RCPT TO:<b@y.example>\nC: RCPT TO:<c@y.example>\n";

fn both() -> Play {
    Play { all_or_none: true, ..play() }.letter(envelope(&["b@y.example", "c@y.example"]), &[BODY])
}

#[test]
fn one_refusal_keeps_the_letter_from_the_others_and_the_next_begins_with_a_reset() {
    let two = both().letter(envelope(&["d@y.example"]), &[BODY]);
    let script = "C: RSET\nC: MAIL FROM:<a@x.example>\nC: RCPT TO:<d@y.example>\n";
    let end = two.run(&format!(
        "{CHUNKING}{ENVELOPE}S: 250 ok\nS: 250 ok\nS: 550 no\n{script}S: 250 reset\nS: 250 ok\nS: 250 ok\nC: BDAT 21 LAST\nC: Subject: x\nC:\nC: hello\nS: 250 taken\nC: QUIT\nS: 221 bye"
    ));
    assert_eq!(codes(&end.results[0]), ["not tried", "refused 550"]);
    assert_eq!(codes(&end.results[1]), ["accepted 250"]);
}

#[test]
fn with_everybody_taken_the_letter_follows_its_envelope() {
    let dots = ESMTP.replace("S: 250-SIZE 1000\n", "");
    let data = "C: DATA\nS: 354 go\nC: Subject: x\nC:\nC: hello\nC: .\nS: 250 taken";
    let end = both().run(&format!("{dots}{ENVELOPE}S: 250 ok\nS: 250 ok\nS: 250 ok\n{data}"));
    assert_eq!(codes(&end.results[0]), ["accepted 250", "accepted 250"]);
}

#[test]
fn a_server_without_pipelining_and_one_refusal_for_now_are_no_exception() {
    let script = "S: 220 x\nC: EHLO me.example\nS: 250 x\nC: MAIL FROM:<a@x.example>\nS: 250 ok\nC: RCPT TO:<b@y.example>\nS: 451 later\nC: RCPT TO:<c@y.example>\nS: 250 ok\nC: QUIT\nS: 221 bye";
    assert_eq!(codes(&both().run(script).results[0]), ["refused 451", "not tried"]);
}

#[test]
fn who_cannot_be_sent_to_at_all_counts_before_anything_is_said() {
    let play = Play { all_or_none: true, ..play() }.letter(envelope(&["b@y.example", "ü@y.example"]), &[BODY]);
    let end = play.run(&format!("{CHUNKING}C: QUIT\nS: 221 bye"));
    assert_eq!(codes(&end.results[0]), ["not tried", "unsendable 5.6.7"]);
}

#[test]
fn a_server_that_takes_fewer_at_a_time_is_given_none() {
    let script = "S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250-PIPELINING\nS: 250 LIMITS RCPTMAX=1\nC: QUIT\nS: 221 bye";
    assert_eq!(codes(&both().run(script).results[0]), ["not tried", "not tried"]);
}
