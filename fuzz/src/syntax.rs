//! Commands, paths and replies.

use std::fmt::Display;

use posthouse_mail::Reply;
use posthouse_smtp::syntax::{Bdat, ForwardPath, HelloName, Mail, Rcpt, ReplyError, ReplyParser, split_command, take_path};

use crate::pieces;

/// A command line without its CRLF.
pub fn command(data: &[u8]) {
    let Ok(line) = str::from_utf8(data) else { return };
    let (verb, arguments) = split_command(line);
    match verb.to_ascii_uppercase().as_str() {
        "MAIL" => again(arguments, |arguments| Mail::parse(arguments).ok(), "MAIL "),
        "RCPT" => {
            again(arguments, |arguments| Rcpt::parse(arguments, false).ok(), "RCPT ");
            again(arguments, |arguments| Rcpt::parse(arguments, true).ok(), "RCPT ");
        }
        "BDAT" => again(arguments, |arguments| Bdat::parse(arguments).ok(), "BDAT "),
        _ => again(arguments, |arguments| HelloName::parse(arguments).ok(), ""),
    }
}

/// The inside of angle brackets, with and without them.
pub fn path(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    again(text, |text| ForwardPath::parse(text).ok(), "");
    if let Ok((inside, rest)) = take_path(text) {
        assert_eq!(format!("<{inside}>{rest}"), text);
    }
    if let Ok(path) = ForwardPath::parse(text) {
        let bracketed = format!("<{path}> REST");
        assert_eq!(take_path(&bracketed).ok(), Some((path.to_string().as_str(), " REST")), "{bracketed}");
    }
}

/// What a server says. The first octet cuts the rest into pieces.
pub fn reply(data: &[u8]) {
    let Some((&seed, wire)) = data.split_first() else { return };
    let whole = replies(&[wire]);
    let cut = replies(&pieces(wire, seed));
    assert_eq!(whole, cut, "cut by {seed}");
    for reply in whole.0 {
        let mut written = Vec::new();
        reply.write_to(&mut written);
        let (again, error) = replies(&[&written]);
        assert_eq!((again.as_slice(), error), (std::slice::from_ref(&reply), None));
    }
}

fn replies(pieces: &[&[u8]]) -> (Vec<Reply>, Option<ReplyError>) {
    let (mut parser, mut found) = (ReplyParser::new(), Vec::new());
    for piece in pieces {
        parser.push(piece);
        loop {
            match parser.next_reply() {
                Ok(Some(reply)) => found.push(reply),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// What was read is written as one line and read back as it was.
fn again<T: Display + PartialEq>(text: &str, parse: impl Fn(&str) -> Option<T>, verb: &str) {
    let Some(value) = parse(text) else { return };
    let written = value.to_string();
    assert!(!written.chars().any(char::is_control), "{written:?}");
    assert!(written.strip_prefix(verb).and_then(&parse) == Some(value), "{written} is not what {text} was");
}
