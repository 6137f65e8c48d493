//! One command line, read into a [`Command`].

use std::num::NonZeroU32;

/// A POP3 command (RFC 1939 §3): a keyword and its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Capa,
    Stls,
    User(&'a str),
    Pass(&'a str),
    /// The mechanism and the initial response, still in base 64 (RFC 5034 §4); without either it asks for the list.
    Auth(Option<(&'a str, Option<&'a str>)>),
    Stat,
    List(Option<Number>),
    Uidl(Option<Number>),
    Retr(Number),
    Top(Number, u32),
    Dele(Number),
    Noop,
    Rset,
    Quit,
}

/// A message number: 1 for the first (RFC 1939 §5).
pub(super) type Number = NonZeroU32;

/// Why a line is not a command. The text is for the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not a keyword of ours.
    Unknown,
    /// The keyword of another protocol: somebody speaks to the wrong port, or makes a browser do so (ALPACA, CVE-2021-3618).
    OtherProtocol,
    /// A keyword of ours with other arguments than it takes; holds what it takes.
    Arguments(&'static str),
}

/// Reads a line without its CRLF.
pub(super) fn parse(line: &str) -> Result<Command<'_>, Malformed> {
    let (keyword, rest) = match line.split_once(' ') {
        Some((keyword, rest)) => (keyword, Some(rest)),
        None => (line, None),
    };
    // PASS and USER take the rest of the line as it is: a password may hold spaces (RFC 1939 §7).
    let command = match (keyword.to_ascii_uppercase().as_str(), rest) {
        ("CAPA", None) => Command::Capa,
        ("STLS", None) => Command::Stls,
        ("STAT", None) => Command::Stat,
        ("NOOP", None) => Command::Noop,
        ("RSET", None) => Command::Rset,
        ("QUIT", None) => Command::Quit,
        ("CAPA" | "STLS" | "STAT" | "NOOP" | "RSET" | "QUIT", Some(_)) => return Err(Malformed::Arguments("no argument")),
        ("USER", Some(name)) if !name.is_empty() => Command::User(name),
        ("USER", _) => return Err(Malformed::Arguments("USER name")),
        ("PASS", Some(password)) if !password.is_empty() => Command::Pass(password),
        ("PASS", _) => return Err(Malformed::Arguments("PASS password")),
        ("AUTH", None) => Command::Auth(None),
        ("AUTH", Some(rest)) => Command::Auth(Some(auth(rest)?)),
        ("LIST", None) => Command::List(None),
        ("LIST", Some(n)) => Command::List(Some(number(n, "LIST [message]")?)),
        ("UIDL", None) => Command::Uidl(None),
        ("UIDL", Some(n)) => Command::Uidl(Some(number(n, "UIDL [message]")?)),
        ("RETR", n) => Command::Retr(number(n.unwrap_or_default(), "RETR message")?),
        ("DELE", n) => Command::Dele(number(n.unwrap_or_default(), "DELE message")?),
        ("TOP", rest) => top(rest.unwrap_or_default())?,
        ("GET" | "POST" | "PUT" | "HEAD" | "CONNECT" | "OPTIONS" | "EHLO" | "HELO", _) => return Err(Malformed::OtherProtocol),
        _ => return Err(Malformed::Unknown),
    };
    Ok(command)
}

fn auth(rest: &str) -> Result<(&str, Option<&str>), Malformed> {
    let mut words = rest.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) if !mechanism.is_empty() && initial != Some("") => Ok((mechanism, initial)),
        _ => Err(Malformed::Arguments("AUTH mechanism [initial-response]")),
    }
}

fn top(rest: &str) -> Result<Command<'_>, Malformed> {
    const SHAPE: &str = "TOP message lines";
    let (message, lines) = rest.split_once(' ').ok_or(Malformed::Arguments(SHAPE))?;
    let lines = digits(lines).ok_or(Malformed::Arguments(SHAPE))?;
    Ok(Command::Top(number(message, SHAPE)?, lines))
}

fn number(text: &str, shape: &'static str) -> Result<Number, Malformed> {
    digits(text).and_then(Number::new).ok_or(Malformed::Arguments(shape))
}

/// Digits only: `parse` alone would take a sign as well.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
