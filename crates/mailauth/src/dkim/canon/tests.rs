use super::*;
use crate::crypto::hash;

const RELAXED_BODY: &[u8] = b" C \r\nD \t E\r\n\r\n\r\n";

fn hashed(canon: Canon, limit: Option<u64>, pieces: &[&[u8]]) -> (Hash, u64) {
    let mut body = BodyHash::new(canon, limit);
    pieces.iter().for_each(|piece| body.update(piece));
    body.finish()
}

/// What the pieces come to, by a definition that looks at the whole body at once.
fn whole(canon: Canon, body: &[u8]) -> Vec<u8> {
    let text: String = body.iter().map(|&b| char::from(b)).collect();
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    if canon == Canon::Relaxed {
        for line in &mut lines {
            let trimmed = line.trim_end_matches([' ', '\t']);
            let mut shrunk = String::new();
            for c in trimmed.chars() {
                let space = c == ' ' || c == '\t';
                if !(space && shrunk.ends_with(' ')) {
                    shrunk.push(if space { ' ' } else { c });
                }
            }
            *line = shrunk;
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let mut out: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    if out.is_empty() && canon == Canon::Simple {
        out.push_str("\r\n");
    }
    out.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

#[test]
fn the_examples_of_the_standard() {
    // RFC 6376 §3.4.5
    let mut out = Vec::new();
    Canon::Relaxed.field(b"A: X\r\n", true, &mut out);
    Canon::Relaxed.field(b"B : Y\t\r\n\tZ  \r\n", true, &mut out);
    assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
    assert_eq!(hashed(Canon::Relaxed, None, &[RELAXED_BODY]), (hash(b" C\r\nD E\r\n"), 9));
    assert_eq!(hashed(Canon::Simple, None, &[RELAXED_BODY]), (hash(b" C \r\nD \t E\r\n"), 12));
    // §3.4.3, §3.4.4
    assert_eq!(hashed(Canon::Simple, None, &[]), (hash(b"\r\n"), 2));
    assert_eq!(hashed(Canon::Relaxed, None, &[]), (hash(b""), 0));
}

#[test]
fn a_body_is_the_same_however_it_is_cut() {
    let bodies: [&[u8]; 9] = [
        RELAXED_BODY,
        b"no end",
        b"\r\n\r\n\r\n",
        b" \t \r\n \r\n",
        b"a\r\rb\n\r\n c\rd\r\n\r",
        b"\r",
        b"bare\nlf\n\n\n",
        b"  lead\t\ttabs  \r\n\r\n.\r\n\r\n",
        b"x\r\n \t",
    ];
    for body in bodies {
        for canon in [Canon::Simple, Canon::Relaxed] {
            let expected = whole(canon, body);
            for at in 0..=body.len() {
                for to in at..=body.len() {
                    let found = hashed(canon, None, &[&body[..at], &body[at..to], &body[to..]]);
                    assert_eq!(found, (hash(&expected), expected.len() as u64), "{canon:?} {body:?} cut at {at}, {to}");
                }
            }
        }
    }
}

#[test]
fn what_lies_beyond_the_limit_is_counted_and_not_hashed() {
    assert_eq!(hashed(Canon::Simple, Some(5), &[b"abc", b"defgh\r\n"]), (hash(b"abcde"), 10));
    assert_eq!(hashed(Canon::Simple, Some(0), &[b"abc"]), (hash(b""), 5));
    assert_eq!(hashed(Canon::Simple, Some(99), &[b"abc"]), (hash(b"abc\r\n"), 5));
}

#[test]
fn the_signature_stands_last_and_without_its_line_end() {
    let mut out = Vec::new();
    Canon::Simple.field(b"X: y\r\n", false, &mut out);
    assert_eq!(out, b"X: y");
}
