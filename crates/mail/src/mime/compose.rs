//! Letters made of words and files.
//!
//! The result is ASCII but for addresses that are not (RFC 6532) and for letters attached as they are; no line has more than 998 octets. Large files are
//! not in it: their place is kept by a [`Segment`], which whoever sends the letter fills with [`base64_lines`].

mod check;
mod encode;
mod fields;
mod tree;

use bytes::Bytes;
use thiserror::Error;

use crate::address::{Address, AddressError};
use crate::mime::calendar::Calendar;
use crate::time::UnixMillis;
use check::{ITEMS_MAX, VALUE_BYTES_MAX, check, check_all};
pub use encode::{BASE64_LINE_BYTES, base64_len, base64_lines};
use fields::Fields;
use tree::Tree;

/// A name and an address, as in `Alice Example <alice@example.org>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// The name, without quotes.
    pub name: Option<String>,
    /// The address.
    pub address: Address,
}

/// The octets of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// In memory.
    Here(Bytes),
    /// Somewhere that only the caller knows: so many, and a number to know them by.
    Elsewhere {
        /// The octets.
        len: u64,
        /// The caller's number.
        key: usize,
    },
}

/// A file that goes with a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// The file's name; of a path the last piece is sent.
    pub name: String,
    /// The media type, such as `application/pdf`. A `message/rfc822` that cannot travel as it is goes as `application/octet-stream`.
    pub content_type: String,
    /// The file's octets; they arrive as they are.
    pub content: Content,
}

/// A picture that the HTML shows by `cid:` and its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inline {
    /// `Content-ID` without angle brackets: `left@right`.
    pub content_id: String,
    /// The picture.
    pub file: Attachment,
}

/// Everything a letter is made of. Blind copies are not among it: they belong to the envelope alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Composition {
    /// `From`.
    pub from: Mailbox,
    /// `Sender`: who sends it, if that is not whom it is from.
    pub sender: Option<Mailbox>,
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
    /// `In-Reply-To`, without angle brackets.
    pub in_reply_to: Vec<String>,
    /// `References`, without angle brackets.
    pub references: Vec<String>,
    /// The text for people; with any line ends. Made of the HTML if there is only that.
    pub text: Option<String>,
    /// Whether the text's paragraphs may be broken and put together again by the reader (RFC 3676).
    pub flowed: bool,
    /// The same as HTML.
    pub html: Option<String>,
    /// The same as AMP for Email.
    pub amp: Option<String>,
    /// The same as an invitation.
    pub calendar: Option<Calendar>,
    /// The pictures of the HTML; without HTML they are left out.
    pub inline: Vec<Inline>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// Further fields, such as `X-Mailer`; those that a letter has by itself cannot be given here.
    pub fields: Vec<(String, String)>,
    /// Random bits for the lines between parts.
    pub boundary: u128,
}

/// A piece of a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Segment {
    /// Octets as they are sent.
    Octets(Bytes),
    /// What [`base64_lines`] makes of a file.
    Base64 {
        /// The file.
        content: Content,
        /// The octets it takes in the letter.
        len: u64,
    },
    /// The octets of a file as they are sent.
    File {
        /// How many.
        len: u64,
        /// Which file; what it means is the caller's.
        key: usize,
    },
}

/// A letter that is ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Composed {
    /// Header and body, with CRLF line ends; together the letter.
    pub segments: Vec<Segment>,
    /// Whether it needs a server with SMTPUTF8 (RFC 6532): an address in its header is not ASCII. Everything else is encoded.
    pub needs_smtputf8: bool,
    /// Whether its body has octets beyond ASCII: those of a letter that is attached as it is.
    pub eight_bit: bool,
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
    #[error("`{0}` is not an id such as 123@example.org")]
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

/// Makes a letter.
///
/// # Errors
/// [`ComposeError`] for a part that cannot be written without changing what the others mean.
pub fn compose(composition: &Composition) -> Result<Composed, ComposeError> {
    check_all(composition)?;
    let mut fields = Fields::default();
    fields.plain("Date", &composition.date.to_rfc5322());
    fields.mailboxes("From", std::slice::from_ref(&composition.from));
    fields.ids("Message-ID", std::slice::from_ref(&composition.message_id));
    let sender = composition.sender.clone().into_iter().collect();
    let lists = [("Sender", &sender), ("To", &composition.to), ("Cc", &composition.cc), ("Reply-To", &composition.reply_to)];
    for (name, mailboxes) in lists {
        if !mailboxes.is_empty() {
            fields.mailboxes(name, mailboxes);
        }
    }
    fields.text("Subject", &composition.subject);
    for (name, ids) in [("In-Reply-To", &composition.in_reply_to), ("References", &composition.references)] {
        if !ids.is_empty() {
            fields.ids(name, ids);
        }
    }
    for (name, value) in &composition.fields {
        fields.text(name, value);
    }
    fields.plain("MIME-Version", "1.0");
    let mut addresses = lists.into_iter().flat_map(|(_, mailboxes)| mailboxes).chain([&composition.from]);
    let needs_smtputf8 = addresses.any(|mailbox| mailbox.address.needs_smtputf8());
    let (segments, eight_bit) = Tree::write(fields, composition);
    Ok(Composed { segments, needs_smtputf8, eight_bit })
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

impl Content {
    /// How many octets there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Here(octets) => u64::try_from(octets.len()).unwrap_or(u64::MAX),
            Self::Elsewhere { len, .. } => *len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(octets: T) -> Self {
        Self::Here(octets.into())
    }
}

impl Segment {
    /// The octets it takes in the letter.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Octets(octets) => u64::try_from(octets.len()).unwrap_or(u64::MAX),
            Self::Base64 { len, .. } | Self::File { len, .. } => *len,
        }
    }

    /// Whether it takes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Composed {
    /// The octets of the whole letter.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments.iter().map(Segment::len).fold(0, u64::saturating_add)
    }

    /// The whole letter in memory, if all of it is.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Bytes> {
        if let [Segment::Octets(all)] = self.segments.as_slice() {
            return Some(all.clone());
        }
        let mut whole = Vec::with_capacity(usize::try_from(self.size()).ok()?);
        for segment in &self.segments {
            match segment {
                Segment::Octets(octets) => whole.extend_from_slice(octets),
                Segment::Base64 { content: Content::Here(octets), .. } => base64_lines(octets, &mut whole),
                Segment::Base64 { content: Content::Elsewhere { .. }, .. } | Segment::File { .. } => return None,
            }
        }
        Some(whole.into())
    }
}

/// `token` (RFC 2045 §5.1).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

#[cfg(test)]
mod tests;
