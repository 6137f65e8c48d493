//! Servers that announce CHUNKING and do not know BDAT.

use super::*;

const CHUNKING: &str = "S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250-CHUNKING\nS: 250 PIPELINING\n";
const FIRST: &str = "C: MAIL FROM:<a@x.example>\nC: RCPT TO:<b@y.example>\nC: BDAT 21 LAST\nC: Subject: x\nC:\nC: hello\n";

/// Nothing is known of the server.
fn untried() -> Play {
    Play { chunks: Chunks::Untried, ..play() }.letter(envelope(&["b@y.example"]), &[BODY])
}

/// Says that to the first letter, and gives its results, what is known then, and whether the connection is over.
#[track_caller]
fn told(letters: &Play, replies: &str) -> (Vec<String>, Chunks, bool) {
    let now = clock();
    let mut session = letters.session();
    session.receive(now, b"220 x\r\n");
    while let Output::Send(_) = session.poll(now) {}
    session.receive(now, b"250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n");
    let (to, body) = &letters.letters[0];
    session.letter(now, TIME, to, body.iter().map(|chunk| chunk.len() as u64).sum());
    let mut chunks = body.iter();
    loop {
        match session.poll(now) {
            Output::Body => match chunks.next() {
                Some(chunk) => session.body(now, Bytes::from_static(chunk)),
                None => session.body_end(now),
            },
            Output::Send(_) => {}
            Output::StartTls | Output::Ready | Output::Done(_) | Output::Wait(_) | Output::Closed(_) => break,
        }
    }
    assert!(!session.takes_letter(), "nothing goes behind a chunk that may not be understood");
    session.receive(now, replies.as_bytes());
    let Output::Done(results) = session.poll(now) else { panic!("no end") };
    (codes(&results), session.chunks(), session.is_closed())
}

#[test]
fn a_letter_whose_first_chunk_is_not_understood_was_not_tried_and_nothing_more_is_said() {
    for code in [500, 501, 502, 503, 504] {
        let replies = format!("250 ok\r\n250 ok\r\n{code} what\r\n");
        assert_eq!(told(&untried(), &replies), (vec!["not tried".to_owned()], Chunks::Broken, true), "{code}");
    }
}

#[test]
fn what_a_server_says_to_lines_that_it_took_for_commands_is_nobodys_reply() {
    let replies = "250 ok\r\n250 ok\r\n500 what\r\n500 what\r\n500 what\r\n250 so\r\n";
    assert_eq!(told(&untried(), replies), (vec!["not tried".to_owned()], Chunks::Broken, true));
}

#[test]
fn those_who_were_refused_stay_refused() {
    let play = Play { chunks: Chunks::Untried, ..play() }.letter(envelope(&["b@y.example", "c@y.example"]), &[BODY]);
    let (results, chunks, over) = told(&play, "250 ok\r\n550 no\r\n250 ok\r\n502 what\r\n");
    assert_eq!((results, chunks, over), (vec!["refused 550".to_owned(), "not tried".to_owned()], Chunks::Broken, true));
}

#[test]
fn a_refusal_of_the_letter_is_none_of_bdat() {
    for code in [451, 452, 550, 552, 554] {
        let replies = format!("250 ok\r\n250 ok\r\n{code} no\r\n");
        assert_eq!(told(&untried(), &replies), (vec![format!("refused {code}")], Chunks::Untried, false), "{code}");
    }
}

#[test]
fn where_nobody_was_taken_only_an_unknown_command_says_so() {
    let (results, chunks, over) = told(&untried(), "250 ok\r\n550 no\r\n503 nobody\r\n");
    assert_eq!((results, chunks, over), (vec!["refused 550".to_owned()], Chunks::Untried, false));
    let (results, chunks, over) = told(&untried(), "250 ok\r\n550 no\r\n500 what\r\n");
    assert_eq!((results, chunks, over), (vec!["refused 550".to_owned()], Chunks::Broken, true));
}

#[test]
fn the_first_chunk_of_a_large_letter_tells() {
    let two = Play { chunks: Chunks::Untried, ..play() }.letter(envelope(&["b@y.example"]), &[b"one\r\n", b"two\r\n"]);
    let (results, chunks, over) = told(&two, "250 ok\r\n250 ok\r\n500 what\r\n");
    assert_eq!((results, chunks, over), (vec!["not tried".to_owned()], Chunks::Broken, true));
}

#[test]
fn a_later_chunk_that_is_refused_is_about_the_letter() {
    let three =
        Play { chunks: Chunks::Untried, ..play() }.letter(envelope(&["b@y.example"]), &[b"one\r\n", b"two\r\n", b"three\r\n"]);
    let script = format!(
        "{CHUNKING}C: MAIL FROM:<a@x.example>
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
        S: 500 no
        S: 503 no
        C: QUIT
        S: 221 bye"
    );
    assert_eq!(codes(&three.run(&script).results[0]), ["refused 500"]);
}

#[test]
fn once_a_chunk_was_taken_letters_follow_each_other() {
    let mut play = untried();
    play.eager = true;
    let play = play.letter(envelope(&["c@y.example"]), &[BODY]).letter(envelope(&["d@y.example"]), &[BODY]);
    let next = |to: &str| format!("C: RSET\n{}", FIRST.replace("b@y", to));
    // RFC 3030 §2: behind a chunk that was taken there is no transaction, so that the first RSET is not needed.
    let second = FIRST.replace("b@y", "c@y");
    let script = format!(
        "{CHUNKING}{FIRST}S: 250 ok\nS: 250 ok\nS: 250 taken\n{second}{}S: 250 ok\nS: 250 ok\nS: 250 taken\nS: 250 reset\nS: 250 ok\nS: 250 ok\nS: 500 no\nC: QUIT\nS: 221 bye",
        next("d@y")
    );
    let end = play.run(&script);
    let told: Vec<Vec<String>> = end.results.iter().map(|results| codes(results)).collect();
    assert_eq!(told, [["accepted 250"], ["accepted 250"], ["refused 500"]]);
}

#[test]
fn a_server_that_is_known_not_to_understand_is_given_dots() {
    let play = Play { chunks: Chunks::Broken, ..play() }.letter(envelope(&["b@y.example"]), &[BODY]);
    let script = format!(
        "{CHUNKING}C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
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
    assert_eq!(codes(&play.run(&script).results[0]), ["accepted 250"]);
}

#[test]
fn a_connection_that_breaks_instead_of_an_answer_leaves_the_letter_unknown() {
    let end = untried().run(&format!("{CHUNKING}{FIRST}S: 250 ok\nS: 250 ok"));
    assert_eq!(codes(&end.results[0]), ["unknown"]);
}
