//! Commands (RFC 1939 §3): a keyword in any case, and what follows the first space.

/// A command with its arguments read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Capa,
    Stls,
    Utf8,
    User(&'a str),
    /// Everything behind the space: a password may hold spaces (RFC 1939 §7).
    Pass(&'a str),
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
    Stat,
    List(Option<usize>),
    Uidl(Option<usize>),
    Retr(usize),
    Top(usize, u64),
    Dele(usize),
    Noop,
    Rset,
    Quit,
    /// What a program says that speaks another protocol: it will not be taught, and might be an attack through it.
    Foreign,
    /// A known keyword with arguments it does not take.
    BadArguments,
    Unknown,
}

/// Reads a line. Messages are numbered from 1 (RFC 1939 §5); a number no message can have becomes 0, which none has.
pub(crate) fn parse(line: &[u8]) -> Command<'_> {
    let Ok(text) = str::from_utf8(line) else { return Command::Unknown };
    let (keyword, rest) = text.split_once(' ').map_or((text, None), |(keyword, rest)| (keyword, Some(rest)));
    let table = TABLE.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword));
    match table {
        Some((_, read)) => read(rest).unwrap_or(Command::BadArguments),
        None => Command::Unknown,
    }
}

type Read = for<'a> fn(Option<&'a str>) -> Option<Command<'a>>;

const TABLE: &[(&str, Read)] = &[
    ("CAPA", |rest| none(rest, Command::Capa)),
    ("STLS", |rest| none(rest, Command::Stls)),
    ("UTF8", |rest| none(rest, Command::Utf8)),
    ("USER", |rest| rest.filter(|name| !name.trim().is_empty()).map(|name| Command::User(name.trim()))),
    ("PASS", |rest| rest.filter(|password| !password.is_empty()).map(Command::Pass)),
    ("AUTH", auth),
    ("STAT", |rest| none(rest, Command::Stat)),
    ("LIST", |rest| optional(rest).map(Command::List)),
    ("UIDL", |rest| optional(rest).map(Command::Uidl)),
    ("RETR", |rest| number(rest?).map(Command::Retr)),
    ("TOP", top),
    ("DELE", |rest| number(rest?).map(Command::Dele)),
    ("NOOP", |rest| none(rest, Command::Noop)),
    ("RSET", |rest| none(rest, Command::Rset)),
    ("QUIT", |rest| none(rest, Command::Quit)),
    // HTTP and SMTP, as in cross-protocol attacks (ALPACA).
    ("GET", |_| Some(Command::Foreign)),
    ("HEAD", |_| Some(Command::Foreign)),
    ("POST", |_| Some(Command::Foreign)),
    ("PUT", |_| Some(Command::Foreign)),
    ("PATCH", |_| Some(Command::Foreign)),
    ("DELETE", |_| Some(Command::Foreign)),
    ("CONNECT", |_| Some(Command::Foreign)),
    ("OPTIONS", |_| Some(Command::Foreign)),
    ("TRACE", |_| Some(Command::Foreign)),
    ("PRI", |_| Some(Command::Foreign)),
    ("EHLO", |_| Some(Command::Foreign)),
    ("HELO", |_| Some(Command::Foreign)),
];

/// Blanks at the end do no harm, and some clients send one.
fn none<'a>(rest: Option<&'a str>, command: Command<'a>) -> Option<Command<'a>> {
    rest.unwrap_or_default().trim().is_empty().then_some(command)
}

fn optional(rest: Option<&str>) -> Option<Option<usize>> {
    match rest.map(str::trim) {
        None | Some("") => Some(None),
        Some(text) => number(text).map(Some),
    }
}

fn number(text: &str) -> Option<usize> {
    digits(text).map(|number| usize::try_from(number).unwrap_or(0))
}

fn top(rest: Option<&str>) -> Option<Command<'_>> {
    let (message, lines) = rest?.trim().split_once(' ')?;
    Some(Command::Top(number(message)?, digits(lines)?))
}

fn auth(rest: Option<&str>) -> Option<Command<'_>> {
    let rest = rest?.trim();
    let (mechanism, initial) =
        rest.split_once(' ').map_or((rest, None), |(mechanism, initial)| (mechanism, Some(initial.trim())));
    (!mechanism.is_empty()).then_some(Command::Auth { mechanism, initial })
}

/// One to nineteen digits, which always fit.
fn digits(text: &str) -> Option<u64> {
    let text = text.trim();
    let all = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
