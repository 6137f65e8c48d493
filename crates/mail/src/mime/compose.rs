//! Letters made of words and files.

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address as AddressList;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use thiserror::Error;

use super::lines::to_crlf;
use crate::address::{Address, AddressError};
use crate::time::UnixMillis;

/// The octets of one value: a subject, a name, a field.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// The mailboxes in one field, the attachments, the further fields.
const ITEMS_MAX: usize = 10_000;

/// A name and an address, as in `Alice Example <alice@example.org>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// The name, without quotes.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

/// A file that goes with a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// The file's name, without folders.
    pub name: String,
    /// The media type, such as `application/pdf`. Of the type `message` none travels: such a file goes as `application/octet-stream`.
    pub content_type: String,
    /// The file's octets; they arrive as they are.
    pub content: Vec<u8>,
}

/// Everything a letter is made of. Blind copies are not among it: they belong to the envelope alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Composition {
    /// `From`.
    pub from: Mailbox,
    /// `To`.
    pub to: Vec<Mailbox>,
    /// `Cc`.
    pub cc: Vec<Mailbox>,
    /// `Reply-To`.
    pub reply_to: Vec<Mailbox>,
    /// `Subject`.
    pub subject: String,
    /// `Date`.
    pub date: UnixMillis,
    /// `Message-ID` without the angle brackets, such as `01K…@example.org`.
    pub message_id: String,
    /// The text for people; with any line ends.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// Further fields, such as `X-Mailer`; those that a letter has by itself cannot be given here.
    pub fields: Vec<(String, String)>,
    /// Random bits for the lines between parts.
    pub boundary: u128,
}

/// A letter that is ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Composed {
    /// Header and body, with CRLF line ends.
    pub bytes: Vec<u8>,
    /// Whether it needs a server with SMTPUTF8 (RFC 6532): an address in its header is not ASCII. Everything else is encoded.
    pub needs_smtputf8: bool,
}

/// Why a letter cannot be made. The caller's to mend.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A value with a line break or another control character, which could add a field of its own.
    #[error("{field} has a line break or another control character")]
    Control {
        /// Where.
        field: String,
    },
    /// A value beyond 8 KiB.
    #[error("{field} is longer than {VALUE_BYTES_MAX} octets")]
    TooLong {
        /// Where.
        field: String,
    },
    /// Too many mailboxes, attachments or fields.
    #[error("more than {ITEMS_MAX} of {field}")]
    TooMany {
        /// Where.
        field: &'static str,
    },
    /// A field name that is not one, or one that is made by the letter itself.
    #[error("`{0}` cannot be given as a further field")]
    FieldName(String),
    /// Not `type/subtype`.
    #[error("`{0}` is not a media type such as application/pdf")]
    ContentType(String),
    /// Not `left@right`.
    #[error("`{0}` is not a message id such as 123@example.org")]
    MessageId(String),
    /// A mailbox that cannot be read.
    #[error("`{text}` is not a mailbox: {source}")]
    Mailbox {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: AddressError,
    },
}

impl From<Address> for Mailbox {
    fn from(address: Address) -> Self {
        Self { name: None, address }
    }
}

impl std::str::FromStr for Mailbox {
    type Err = ComposeError;

    /// Reads `alice@example.org`, `<alice@example.org>`, `Alice <alice@example.org>` and `"Alice, A." <alice@example.org>`.
    fn from_str(text: &str) -> Result<Self, ComposeError> {
        let trimmed = text.trim();
        let (name, address) = match trimmed.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", trimmed),
        };
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).replace("\\\"", "\"");
        check("the name of a mailbox", &name)?;
        let address = address.parse().map_err(|source| ComposeError::Mailbox { text: text.to_owned(), source })?;
        Ok(Self { name: (!name.is_empty()).then_some(name), address })
    }
}

impl Composed {
    /// Whether the body has octets that need 8BITMIME.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.bytes.is_ascii()
    }
}

/// Makes a letter.
///
/// # Errors
/// [`ComposeError`] for a part that cannot be written without changing what the others mean.
pub fn compose(composition: &Composition) -> Result<Composed, ComposeError> {
    check_all(composition)?;
    let mut builder = MessageBuilder::new()
        .header("Date", Raw::new(composition.date.to_rfc5322()))
        .from(list(std::slice::from_ref(&composition.from)))
        .message_id(MessageId::new(composition.message_id.as_str()));
    for (field, mailboxes) in [("To", &composition.to), ("Cc", &composition.cc), ("Reply-To", &composition.reply_to)] {
        if !mailboxes.is_empty() {
            builder = builder.header(field, list(mailboxes));
        }
    }
    builder = builder.subject(composition.subject.as_str());
    for (name, value) in &composition.fields {
        builder = builder.header(name.as_str(), Text::new(value.as_str()));
    }
    let bytes = builder.body(body(composition)).write_to_vec().unwrap_or_default();
    let mailboxes = [&composition.to, &composition.cc, &composition.reply_to];
    let mut addresses = mailboxes.into_iter().flatten().chain([&composition.from]).map(|mailbox| &mailbox.address);
    Ok(Composed { bytes, needs_smtputf8: addresses.any(Address::needs_smtputf8) })
}

fn list(mailboxes: &[Mailbox]) -> AddressList<'_> {
    let each = |mailbox: &Mailbox| AddressList::new_address(mailbox.name.clone(), mailbox.address.to_string());
    match mailboxes {
        [one] => each(one),
        many => AddressList::new_list(many.iter().map(each).collect()),
    }
}

/// Text, HTML or both as alternatives; with files, these in front of them.
fn body(composition: &Composition) -> MimePart<'_> {
    let words = |text: &str| String::from_utf8_lossy(&to_crlf(text.as_bytes())).into_owned();
    let text = composition.text.as_deref().map(|text| MimePart::new("text/plain", words(text)));
    let html = composition.html.as_deref().map(|html| MimePart::new("text/html", words(html)));
    let content = match (text, html) {
        (Some(text), Some(html)) => multipart("alternative", composition.boundary, vec![text, html]),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => MimePart::new("text/plain", ""),
    };
    if composition.attachments.is_empty() {
        return content;
    }
    let mut parts = vec![content];
    parts.extend(composition.attachments.iter().map(attachment));
    multipart("mixed", composition.boundary, parts)
}

fn multipart<'a>(kind: &str, boundary: u128, parts: Vec<MimePart<'a>>) -> MimePart<'a> {
    // `=_` cannot stand in quoted-printable (RFC 2045 §6.7) nor `_` in base64; the random bits keep it out of text that is sent as it is.
    let boundary = format!("=_{kind}_{boundary:032x}");
    MimePart::new(ContentType::new(format!("multipart/{kind}")).attribute("boundary", boundary), BodyPart::Multipart(parts))
}

/// A part whose octets arrive as they are: base64, or for text what keeps its line ends too.
fn attachment(file: &Attachment) -> MimePart<'_> {
    // RFC 2046 §5.2: a part of the type message may not be encoded, so it could not have any octets. As a plain file it can.
    let is_message = file.content_type.get(..8).is_some_and(|kind| kind.eq_ignore_ascii_case("message/"));
    let content_type = if is_message { "application/octet-stream" } else { file.content_type.as_str() };
    let content_type = ContentType::new(content_type.to_ascii_lowercase()).attribute("name", file.name.as_str());
    MimePart::new(content_type, BodyPart::Binary(file.content.as_slice().into())).attachment(file.name.as_str())
}

fn check_all(composition: &Composition) -> Result<(), ComposeError> {
    check("the subject", &composition.subject)?;
    let message_id = &composition.message_id;
    let whole = message_id.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
    if !whole || message_id.len() > 250 || !message_id.bytes().all(|b| b.is_ascii_graphic() && !b"<>()\"\\,;".contains(&b)) {
        return Err(ComposeError::MessageId(message_id.clone()));
    }
    let lists = [("To", &composition.to), ("Cc", &composition.cc), ("Reply-To", &composition.reply_to)];
    for (field, mailboxes) in lists {
        if mailboxes.len() > ITEMS_MAX {
            return Err(ComposeError::TooMany { field });
        }
    }
    for mailbox in lists.into_iter().flat_map(|(_, mailboxes)| mailboxes).chain([&composition.from]) {
        check("the name of a mailbox", mailbox.name.as_deref().unwrap_or_default())?;
    }
    if composition.attachments.len() > ITEMS_MAX {
        return Err(ComposeError::TooMany { field: "attachments" });
    }
    for file in &composition.attachments {
        check("the name of an attachment", &file.name)?;
        if !is_content_type(&file.content_type) {
            return Err(ComposeError::ContentType(file.content_type.clone()));
        }
    }
    if composition.fields.len() > ITEMS_MAX {
        return Err(ComposeError::TooMany { field: "fields" });
    }
    for (name, value) in &composition.fields {
        if !is_free_field(name) {
            return Err(ComposeError::FieldName(name.clone()));
        }
        check(name, value)?;
    }
    Ok(())
}

/// Whether a value stays within its field: no control character, and neither of the separators that some programs take for line ends.
fn check(field: &str, value: &str) -> Result<(), ComposeError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(ComposeError::TooLong { field: field.to_owned() });
    }
    if value.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(ComposeError::Control { field: field.to_owned() });
    }
    Ok(())
}

/// `type "/" subtype`, both tokens (RFC 2045 §5.1), without parameters; a part's structure is not a file's.
fn is_content_type(text: &str) -> bool {
    let token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    text.len() <= 127
        && text.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub) && !kind.eq_ignore_ascii_case("multipart"))
}

/// `field-name = 1*ftext` (RFC 5322 §3.6.8), and none that the letter, or the servers on its way, write themselves.
fn is_free_field(name: &str) -> bool {
    const TAKEN: [&str; 14] = [
        "From",
        "Sender",
        "To",
        "Cc",
        "Bcc",
        "Resent-Bcc",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Return-Path",
        "Received",
        "DKIM-Signature",
    ];
    let ftext = !name.is_empty() && name.len() <= 70 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
    ftext && !content && !TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
