//! Letters to be sent: made of words and files, or taken as they are.
//!
//! A [`Message`] is complete: its octets, with CRLF line ends, and its envelope. Blind copies stand in the envelope alone. Nothing that is
//! given to the builder can add a header field, a recipient or a command; what would is a [`MessageError`], and the caller's to mend.

mod answer;
mod body;
mod builder;
mod file;
mod sign;
mod whole;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use posthouse_mail::header::{Header, HeaderError, end_of_header};
use posthouse_mail::mime::{self, CalendarError, ComposeError, Limits, ParseError, ParsedMailbox, Segment};
use posthouse_mail::{Address, AddressError, BodyKind, Envelope, Recipient, ReversePath};
use thiserror::Error;

pub use body::Body;
use body::Opener;
pub use builder::MessageBuilder;
pub use sign::{SignError, dkim_key};

/// The octets of one letter. Servers rarely take more than a hundredth of it.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// A letter with its envelope. Cheap to clone.
///
/// ```
/// use posthouse_client::Message;
/// use posthouse_client::mail::Ret;
///
/// let mut message = Message::builder().from("a@x.example").to("b@y.example").text("Hi.").message_id("1@x.example").build()?;
/// assert_eq!(message.message_id(), Some("1@x.example"));
/// message.envelope_mut().ret = Some(Ret::Headers); // what a report gives back
/// assert_eq!(message.envelope().recipients[0].address.to_string(), "b@y.example");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    envelope: Envelope,
    segments: Arc<[Segment]>,
    files: Arc<[Opener]>,
    size: u64,
    message_id: Option<String>,
    given: Arc<AtomicBool>,
}

/// Why there is no letter.
///
/// ```
/// use posthouse_client::{Message, MessageError};
///
/// let mistake = Message::builder().from("a@x.example").text("Hi.").build().unwrap_err();
/// assert_eq!(mistake, MessageError::NoRecipient);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Nobody it is from.
    #[error("the letter has no sender")]
    NoSender,
    /// Nobody it is for.
    #[error("the letter has no recipient")]
    NoRecipient,
    /// A mailbox or another part that cannot be used.
    #[error(transparent)]
    Part(#[from] ComposeError),
    /// An event or an iCalendar object that nobody could act on.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// A letter that invites nobody.
    #[error("there is no invitation in the letter")]
    NoInvitation,
    /// An address in the header of a given letter that is none.
    #[error("`{text}` in the header is not an address: {source}")]
    Address {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// An address to unsubscribe at that no mail program would call.
    #[error(
        "`{0}` cannot be an address to unsubscribe at: it must be https, in ASCII, without spaces, commas and angle brackets"
    )]
    Unsubscribe(String),
    /// Something that no report can call the letter.
    #[error("`{}` cannot be what reports call the letter: it must be 1 to 100 visible characters of ASCII", .0.escape_debug())]
    Envid(String),
    /// A file that cannot be attached.
    #[error("cannot attach {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Larger than any server takes.
    #[error("the letter is larger than {MESSAGE_BYTES_MAX} octets")]
    TooLarge,
    /// A given letter without a readable header.
    #[error("this is not a letter: {0}")]
    Header(#[from] HeaderError),
    /// A given letter that cannot be read from where it is, in the system's words.
    #[error("the letter cannot be read: {0}")]
    Read(String),
    /// A given letter that cannot be understood.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// A given letter with a NUL octet, which no server takes (RFC 5321 §4.5.2, RFC 5322 §4).
    #[error("the letter has a NUL octet; a binary file has to be attached, not sent as the letter itself")]
    Nul,
}

impl Message {
    /// Begins a letter.
    ///
    /// ```
    /// use posthouse_client::Message;
    ///
    /// let message = Message::builder()
    ///     .from("Alice <alice@example.org>")
    ///     .to("bob@example.net")
    ///     .subject("Grüße")
    ///     .html("<p>Look: <img src=\"cid:cat@example.org\" alt=\"a cat\"></p>")
    ///     .inline_bytes("cat@example.org", "cat.png", "image/png", &b"\x89PNG"[..])
    ///     .build()?;
    /// # Ok::<(), posthouse_client::MessageError>(())
    /// ```
    #[must_use]
    pub fn builder() -> MessageBuilder {
        MessageBuilder::default()
    }

    /// Takes a letter that is complete, such as an `.eml` file, for an envelope given apart.
    ///
    /// ```
    /// use posthouse_client::Message;
    ///
    /// let to = vec!["bob@example.net".parse()?];
    /// let message = Message::from_eml(b"Subject: Hello\n\nHi.\n", "alice@example.org".parse()?, to)?;
    /// assert_eq!(message.to_bytes()?, "Subject: Hello\r\n\r\nHi.\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Two things are changed in it: line ends become CRLF, here and once, as files of this system have LF; and a `Bcc` field is taken out.
    ///
    /// # Errors
    /// [`MessageError`] when it has no header, a NUL, or nobody to go to.
    pub fn from_eml(eml: &[u8], from: ReversePath, to: Vec<Address>) -> Result<Self, MessageError> {
        if u64::try_from(eml.len()).unwrap_or(u64::MAX) > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge);
        }
        if eml.contains(&0) {
            return Err(MessageError::Nul);
        }
        let mut bytes = mime::to_crlf(eml);
        if !bytes.ends_with(b"\r\n") {
            bytes.extend_from_slice(b"\r\n");
        }
        let (header_end, _) = end_of_header(&bytes).unwrap_or((bytes.len(), bytes.len()));
        let (header, body) = bytes.split_at_checked(header_end).unwrap_or((&bytes, &[]));
        let header = Header::parse(header)?;
        let smtputf8 = !header.as_bytes().is_ascii();
        let message_id = header.first("Message-ID").map(|field| field.value().trim_matches(['<', '>', ' ']).to_owned());
        let mut without = header.without(&["Bcc", "Resent-Bcc"]);
        without.extend_from_slice(body);
        let eight_bit = !without.is_ascii();
        let octets = Octets { segments: vec![Segment::Octets(without.into())], files: Vec::new(), eight_bit };
        Self::new(from, to, octets, smtputf8, message_id)
    }

    /// The same, with sender and recipients read from `From` (or `Sender`), `To`, `Cc` and `Bcc`, as `sendmail -t` does.
    ///
    /// ```
    /// use posthouse_client::Message;
    ///
    /// let message = Message::from_eml_headers(b"From: a@x.example\nTo: b@y.example\nBcc: c@z.example\n\nHi.\n")?;
    /// assert_eq!(message.envelope().recipients.len(), 2);
    /// assert!(!String::from_utf8_lossy(&message.to_bytes()?).contains("c@z.example"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`], also for an address in these fields that is none.
    pub fn from_eml_headers(eml: &[u8]) -> Result<Self, MessageError> {
        let parsed = mime::parse(eml, &Limits::default())?;
        let addresses = |mailboxes: &[ParsedMailbox]| {
            mailboxes.iter().map(|mailbox| address(&mailbox.address)).collect::<Result<Vec<_>, _>>()
        };
        let from = addresses(&parsed.from)?.into_iter().next().ok_or(MessageError::NoSender)?;
        let to = [addresses(&parsed.to)?, addresses(&parsed.cc)?, addresses(&parsed.bcc)?].concat();
        Self::from_eml(eml, from.into(), to)
    }

    fn new(
        from: ReversePath,
        to: Vec<Address>,
        octets: Octets,
        smtputf8: bool,
        message_id: Option<String>,
    ) -> Result<Self, MessageError> {
        let mut recipients: Vec<Recipient> = Vec::with_capacity(to.len());
        let mut known = std::collections::HashSet::with_capacity(to.len());
        recipients.extend(to.into_iter().filter(|address| known.insert(address.clone())).map(Recipient::from));
        if recipients.is_empty() {
            return Err(MessageError::NoRecipient);
        }
        let mut envelope = Envelope::new(from, recipients);
        envelope.smtputf8 = smtputf8;
        envelope.body = if octets.eight_bit { BodyKind::EightBitMime } else { BodyKind::SevenBit };
        let size = octets.segments.iter().map(Segment::len).fold(0, u64::saturating_add);
        if size > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge);
        }
        Ok(Self {
            envelope,
            segments: octets.segments.into(),
            files: octets.files.into(),
            size,
            message_id,
            given: Arc::default(),
        })
    }

    /// Who it goes to, from whom, and what was asked of its transport.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// To change what is asked of its transport, such as delivery reports.
    pub fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    /// Header and body, with CRLF line ends, piece by piece; large files are read meanwhile.
    ///
    /// ```
    /// use posthouse_client::Message;
    /// use posthouse_client::stream::ByteSource as _;
    ///
    /// let message = Message::builder().from("a@x.example").to("b@y.example").text("Hi.").build()?;
    /// assert_eq!(message.body().len(), message.size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn body(&self) -> Body {
        Body::new(Arc::clone(&self.segments), Arc::clone(&self.files), self.size, Arc::clone(&self.given))
    }

    /// Whether its last octet was given to a connection, or wherever it was sent to. Until then nobody has it, whatever becomes of the sending: whoever breaks that off (by
    /// dropping what [`Mailer::send`](crate::Mailer::send) gives) knows that it was not sent. From then on it may have arrived. Clones share the answer.
    ///
    /// ```
    /// # use posthouse_client::{Memory, Message, blocking::Transport as _};
    /// let message = Message::builder().from("a@x.example").to("b@y.example").text("Hi.").build()?;
    /// assert!(!message.was_given());
    /// Memory::new().send(&message)?;
    /// assert!(message.was_given());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn was_given(&self) -> bool {
        self.given.load(Ordering::SeqCst)
    }

    /// The octets of the whole letter.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let message = Message::builder().from("a@x.example").to("b@y.example").text("Hi.").build()?;
    /// assert!(message.size() > 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole letter in memory, as it is sent: an `.eml` file. Waits for files that are read for it.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let message = Message::builder().from("a@x.example").to("b@y.example").subject("Hello").text("Hi.").build()?;
    /// assert!(message.to_bytes()?.ends_with(b"\r\n\r\nHi.\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A file cannot be read any more, or is not what it was.
    pub fn to_bytes(&self) -> std::io::Result<Bytes> {
        if let [Segment::Octets(all)] = &*self.segments {
            return Ok(all.clone());
        }
        let mut whole = BytesMut::with_capacity(usize::try_from(self.size).unwrap_or_default());
        let mut body = self.body();
        while let Some(chunk) = body.next_now()? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// `Message-ID` without angle brackets.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }
}

/// What a letter is made of once it is made.
struct Octets {
    segments: Vec<Segment>,
    files: Vec<Opener>,
    eight_bit: bool,
}

fn address(text: &str) -> Result<Address, MessageError> {
    text.parse().map_err(|source| MessageError::Address { text: text.to_owned(), source })
}

#[cfg(test)]
mod tests;
