//! The letter on standard input, completed with what programs leave to sendmail.

use std::io;

use posthouse_client::{Message, MessageError};
use posthouse_mail::header::{Field, Header, end_of_header};
use posthouse_mail::{LetterId, ReversePath, UnixMillis, mime};
use posthouse_runtime::{clock, random};

use super::dot::UntilDot;
use super::options::{self, Options};
use crate::cli::mailboxes::items;
use crate::cli::whole::Given;
use crate::cli::{Exit, Failure};

/// What is said where nobody is named.
const NOBODY: &str = "there is no recipient: name one, or give -t to take them from the header";
/// The octets of a letter that is read.
const LETTER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The fields in which names without a domain are this system's (RFC 822 allowed them, and cron still writes them).
const OF_ADDRESSES: &[&str] =
    &["From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Bcc"];

/// What stands on standard input.
pub(super) fn read() -> Result<Given, Failure> {
    Given::read(io::stdin(), LETTER_BYTES_MAX).map_err(|error| Failure::new(Exit::NoInput, error))
}

/// The letter with its envelope; names without a domain are of `domain`.
pub(super) fn make(mut given: Given, options: &Options, domain: &str) -> Result<Message, Failure> {
    if !options.ignore_dots {
        given.tail = if cut_at_dot(&mut given.head) { None } else { given.tail.map(|tail| Box::new(UntilDot::new(tail)) as _) };
    }
    given.head = completed(given.head, options, domain)?;
    let octets = &given.head;
    let wrong = |error: MessageError| {
        let is_missing = matches!(error, MessageError::NoRecipient) && !options.from_header;
        let is_disk = matches!(error, MessageError::Read(_));
        if is_missing {
            return Failure::say(Exit::Usage, NOBODY);
        }
        let exit = if is_disk { Exit::Io } else { Exit::Data };
        Failure::new(exit, error)
    };
    let named = options.recipients.iter().map(|text| options::address(text, domain)).collect::<Result<Vec<_>, _>>()?;
    let mut letter = if options.from_header {
        let mut letter = Message::from_eml_headers(octets).map_err(wrong)?;
        // As sendmail has it, addresses on the command line are then taken out.
        letter.envelope_mut().recipients.retain(|recipient| !named.contains(&recipient.address));
        letter
    } else {
        Message::from_eml(octets, ReversePath::NULL, named).map_err(wrong)?
    };
    let envelope = letter.envelope_mut();
    if envelope.recipients.is_empty() {
        return Err(Failure::say(Exit::Usage, NOBODY));
    }
    if let Some(text) = &options.sender {
        envelope.reverse_path = options::sender(text, domain)?;
    } else if !options.from_header {
        envelope.reverse_path = options::me(domain)?.into();
    }
    (envelope.ret, envelope.envid) = (options.ret, options.envid.clone());
    envelope.recipients.iter_mut().for_each(|recipient| recipient.notify = options.notify);
    given.complete(letter).map_err(wrong)
}

/// Without `-i` a line of a single dot ends the letter. Whether there was one.
fn cut_at_dot(octets: &mut Vec<u8>) -> bool {
    let mut at = 0;
    for line in octets.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line, b".\n" | b".\r\n" | b".") {
            octets.truncate(at);
            return true;
        }
        at += line.len();
    }
    false
}

/// The letter with `From`, `Date` and `Message-ID`, and whole addresses.
fn completed(octets: Vec<u8>, options: &Options, domain: &str) -> Result<Vec<u8>, Failure> {
    let whole = mime::to_crlf(&octets);
    let (end, _) = end_of_header(&whole).unwrap_or((whole.len(), whole.len()));
    let (block, rest) = whole.split_at_checked(end).unwrap_or((&whole, &[]));
    let Ok(header) = Header::parse(block) else {
        // Text without a header: what mail(1) of old sends. The empty line makes it a body.
        let text = [b"\r\n", whole.as_slice()].concat();
        return completed(text, options, domain);
    };
    let now = UnixMillis(clock::unix_millis());
    let mut made = Vec::with_capacity(whole.len() + 256);
    if header.first("From").is_none() {
        let sender = match options.sender.as_deref().map(|text| options::sender(text, domain)).transpose()? {
            Some(ReversePath(Some(address))) => address,
            Some(ReversePath(None)) | None => options::me(domain)?,
        };
        let from = match &options.full_name {
            Some(name) => format!("From: {} <{sender}>\r\n", phrase(name)),
            None => format!("From: {sender}\r\n"),
        };
        made.extend_from_slice(from.as_bytes());
    }
    if header.first("Date").is_none() {
        made.extend_from_slice(format!("Date: {}\r\n", now.to_rfc5322()).as_bytes());
    }
    if header.first("Message-ID").is_none() {
        let id = LetterId::new(now, random::u128());
        made.extend_from_slice(format!("Message-ID: <{id}@{}>\r\n", options::host()).as_bytes());
    }
    for field in header.fields() {
        match qualified(&field, domain) {
            Some(value) => made.extend_from_slice(format!("{}: {value}\r\n", field.name()).as_bytes()),
            None => made.extend_from_slice(field.raw()),
        }
    }
    made.extend_from_slice(rest);
    Ok(made)
}

/// A name for people, as RFC 5322 §3.2.5 has it; beyond ASCII as RFC 2047 has it.
fn phrase(name: &str) -> String {
    if name.is_ascii() { format!("\"{}\"", name.replace(['"', '\\'], " ")) } else { encoded(name) }
}

/// Encoded words of at most 75 octets, none of which parts a character (RFC 2047 §2, §5).
fn encoded(name: &str) -> String {
    const OCTETS_MAX: usize = 75 - "=?UTF-8?Q??=".len();
    let mut words = vec![String::new()];
    for c in name.chars() {
        let mut buffer = [0; 4];
        let octets = c.encode_utf8(&mut buffer).bytes();
        let piece = if c.is_ascii_alphanumeric() { c.to_string() } else { octets.map(|octet| format!("={octet:02X}")).collect() };
        match words.last_mut() {
            Some(word) if word.len() + piece.len() <= OCTETS_MAX => word.push_str(&piece),
            _ => words.push(piece),
        }
    }
    words.iter().map(|word| format!("=?UTF-8?Q?{word}?=")).collect::<Vec<_>>().join(" ")
}

/// The value of a field of addresses with a domain behind each bare name; `None` if it has none that is bare.
fn qualified(field: &Field<'_>, domain: &str) -> Option<String> {
    if !OF_ADDRESSES.iter().any(|name| field.is(name)) {
        return None;
    }
    let value = field.value();
    let items: Vec<String> = items(&value).into_iter().map(|item| with_domain(item, domain)).collect();
    let joined = items.join(",");
    (joined != value).then(|| joined.trim().to_owned())
}

/// One mailbox with its domain: `root`, `Root <root>` or `root (Cron Daemon)`. Anything else is left as it is, for others to judge.
fn with_domain(item: &str, domain: &str) -> String {
    let bare = |text: &str| {
        let text = text.trim();
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
    };
    let told = item.trim();
    if let Some((name, rest)) = told.rsplit_once('<')
        && let Some(inside) = rest.strip_suffix('>')
        && bare(inside)
    {
        return format!(" {name}<{}@{domain}>", inside.trim());
    }
    if let Some((local, comment)) = told.split_once('(')
        && let Some(comment) = comment.strip_suffix(')')
        && bare(local)
        && !comment.contains(['(', ')'])
    {
        return format!(" {} <{}@{domain}>", phrase(comment), local.trim());
    }
    if bare(told) { format!(" {told}@{domain}") } else { item.to_owned() }
}

#[cfg(test)]
mod tests;
