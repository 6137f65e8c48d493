//! Letters read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mail_parser::{Address as AddressList, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use memchr::memmem;
use thiserror::Error;

use crate::header::end_of_header;

/// What a letter may have to be read at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Octets in all.
    pub bytes_max: usize,
    /// Octets of the outermost header.
    pub header_bytes_max: usize,
    /// Parts, counted by what could separate them.
    pub parts_max: usize,
    /// Mailboxes taken of one field, and attachments taken; more are left out.
    pub items_max: usize,
}

/// A letter as people see it. What is missing or broken in it is empty here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parsed {
    /// `From`.
    pub from: Vec<ParsedMailbox>,
    /// `To`.
    pub to: Vec<ParsedMailbox>,
    /// `Cc`.
    pub cc: Vec<ParsedMailbox>,
    /// `Bcc`: only in letters that were not sent yet.
    pub bcc: Vec<ParsedMailbox>,
    /// `Reply-To`.
    pub reply_to: Vec<ParsedMailbox>,
    /// `Subject`, decoded.
    pub subject: Option<String>,
    /// `Date` in seconds since 1970.
    pub date: Option<i64>,
    /// `Message-ID` without angle brackets.
    pub message_id: Option<String>,
    /// `In-Reply-To` without angle brackets.
    pub in_reply_to: Vec<String>,
    /// `References` without angle brackets.
    pub references: Vec<String>,
    /// The first part of plain text, decoded; made from HTML if there is only that.
    pub text: Option<String>,
    /// The first part of HTML, decoded.
    pub html: Option<String>,
    /// What else is in it.
    pub attachments: Vec<ParsedAttachment>,
}

/// A mailbox as somebody wrote it: the address need not be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParsedMailbox {
    /// The name.
    pub name: Option<String>,
    /// What stands where the address should.
    pub address: String,
}

/// A part that is not shown as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParsedAttachment {
    /// The file's name as the sender gave it: never to be used as a path.
    pub name: Option<String>,
    /// The media type, such as `application/pdf`.
    pub content_type: String,
    /// `Content-ID` without angle brackets: what `cid:` in the HTML names.
    pub content_id: Option<String>,
    /// The octets, decoded; of text its UTF-8, whatever its charset was.
    pub content: Vec<u8>,
}

/// Why a letter is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Beyond [`Limits`]: the named thing.
    #[error("the letter has too many {0} to be read")]
    Limit(&'static str),
    /// There is nothing in it that looks like a header.
    #[error("this is not a letter: it has no header")]
    NoHeader,
    /// The MIME library failed on it; the letter is of interest to us.
    #[error("the letter cannot be read because of a fault in this program")]
    Fault,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 100 << 20, header_bytes_max: 1 << 20, parts_max: 10_000, items_max: 10_000 }
    }
}

/// Reads a letter.
///
/// # Errors
/// [`ParseError`]. Broken MIME is no error: what can be read of it is.
pub fn parse(letter: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    if letter.len() > limits.bytes_max {
        return Err(ParseError::Limit("octets"));
    }
    let header_bytes = end_of_header(letter).map_or(letter.len(), |(end, _)| end);
    if header_bytes > limits.header_bytes_max {
        return Err(ParseError::Limit("octets in its header"));
    }
    // A part begins behind a line that begins with two hyphens (RFC 2046 §5.1.1); counting all such lines takes too many for parts, never too few.
    if memmem::find_iter(letter, b"\n--").take(limits.parts_max + 1).count() > limits.parts_max {
        return Err(ParseError::Limit("parts"));
    }
    // The library is fuzzed and has no unsafe code; should it panic all the same, one letter is lost and not the server.
    let read =
        catch_unwind(AssertUnwindSafe(|| MessageParser::new().parse(letter).map(|message| taken(&message, limits.items_max))));
    match read {
        Ok(Some(parsed)) => Ok(parsed),
        Ok(None) => Err(ParseError::NoHeader),
        Err(_) => Err(ParseError::Fault),
    }
}

fn taken(message: &Message<'_>, items_max: usize) -> Parsed {
    let attachment = |part: &MessagePart<'_>| ParsedAttachment {
        name: part.attachment_name().map(str::to_owned),
        content_type: content_type(part),
        content_id: part.content_id().map(str::to_owned),
        content: part.contents().to_vec(),
    };
    Parsed {
        from: mailboxes(message.from(), items_max),
        to: mailboxes(message.to(), items_max),
        cc: mailboxes(message.cc(), items_max),
        bcc: mailboxes(message.bcc(), items_max),
        reply_to: mailboxes(message.reply_to(), items_max),
        subject: message.subject().map(str::to_owned),
        date: message.date().map(mail_parser::DateTime::to_timestamp),
        message_id: message.message_id().map(str::to_owned),
        in_reply_to: ids(message.in_reply_to(), items_max),
        references: ids(message.references(), items_max),
        text: message.body_text(0).map(std::borrow::Cow::into_owned),
        html: message.html_bodies().find(|part| matches!(part.body, PartType::Html(_))).map(|part| text_of(part)),
        attachments: message.attachments().take(items_max).map(attachment).collect(),
    }
}

fn ids(value: &HeaderValue<'_>, items_max: usize) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![id.to_string()],
        HeaderValue::TextList(ids) => ids.iter().take(items_max).map(ToString::to_string).collect(),
        HeaderValue::Address(_)
        | HeaderValue::DateTime(_)
        | HeaderValue::ContentType(_)
        | HeaderValue::Received(_)
        | HeaderValue::Empty => Vec::new(),
    }
}

fn text_of(part: &MessagePart<'_>) -> String {
    String::from_utf8_lossy(part.contents()).into_owned()
}

fn content_type(part: &MessagePart<'_>) -> String {
    // RFC 2045 §5.2: without a type a part is text.
    let Some(found) = part.content_type() else { return "text/plain".to_owned() };
    format!("{}/{}", found.ctype(), found.subtype().unwrap_or("octet-stream")).to_ascii_lowercase()
}

fn mailboxes(list: Option<&AddressList<'_>>, items_max: usize) -> Vec<ParsedMailbox> {
    let each = |mailbox: &mail_parser::Addr<'_>| {
        // What has no `@` is taken for a name by the library; here it stands where an address should.
        Some(match (mailbox.name.as_deref(), mailbox.address.as_deref()) {
            (name, Some(address)) => ParsedMailbox { name: name.map(str::to_owned), address: address.to_owned() },
            (Some(word), None) => ParsedMailbox { name: None, address: word.to_owned() },
            (None, None) => return None,
        })
    };
    list.into_iter().flat_map(AddressList::iter).filter_map(each).take(items_max).collect()
}

#[cfg(test)]
mod tests;
