//! A letter that arrived in a test, or did not.

use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::Envelope;
use posthouse_mail::mime::{Limits, ParseError, Parsed, ParsedAttachment, parse};
use thiserror::Error;

/// A letter with the envelope it came in, and its parts, to be looked at.
///
/// ```
/// use posthouse_client::{Memory, Message, blocking::Transport as _};
///
/// let memory = Memory::new();
/// let message = Message::builder()
///     .from("us@example.org")
///     .to("bob@example.net")
///     .subject("Your bill")
///     .html("<p>See <b>below</b>.</p>")
///     .attach_bytes("bill.pdf", "application/pdf", &b"%PDF"[..])
///     .build()?;
/// memory.send(&message)?;
/// let letter = &memory.letters()[0];
/// assert_eq!((letter.from().as_str(), letter.to()), ("us@example.org", vec!["bob@example.net".to_owned()]));
/// assert_eq!(letter.subject().as_deref(), Some("Your bill"));
/// assert!(letter.text().unwrap().contains("See below.") && letter.html().unwrap().contains("<b>"));
/// assert_eq!(letter.attachment("bill.pdf").unwrap().content, b"%PDF");
/// assert!(letter.header("Subject").unwrap().contains("bill"));
/// assert!(letter.is_for("bob@example.net") && letter.bytes().starts_with(b"Date: "));
/// assert_eq!(letter.parsed()?.attachments.len(), 1);
/// assert!(letter.envelope().ret.is_none(), "no report was asked for");
/// assert_eq!((letter.login(), letter.tls()), (None, None)); // of the connection, where it came over one
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caught {
    envelope: Envelope,
    bytes: Bytes,
    login: Option<String>,
    tls: Option<String>,
}

impl Caught {
    pub(crate) fn new(envelope: Envelope, bytes: Bytes) -> Self {
        Self { envelope, bytes, login: None, tls: None }
    }

    /// The same, from a connection of which there is something to say.
    pub(crate) fn over(self, login: Option<String>, tls: Option<String>) -> Self {
        Self { login, tls, ..self }
    }

    /// The envelope, with the recipients that were accepted.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The letter as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Who was logged in.
    #[must_use]
    pub fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// The protocol and cipher of the connection it came over; nothing in clear.
    #[must_use]
    pub fn tls(&self) -> Option<&str> {
        self.tls.as_deref()
    }

    /// The sender of the envelope; empty for a bounce.
    #[must_use]
    pub fn from(&self) -> String {
        self.envelope.reverse_path.to_string()
    }

    /// The recipients of the envelope.
    #[must_use]
    pub fn to(&self) -> Vec<String> {
        self.envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect()
    }

    /// Whether somebody is among the recipients of the envelope.
    #[must_use]
    pub fn is_for(&self, address: &str) -> bool {
        self.envelope.recipients.iter().any(|recipient| recipient.address.to_string().eq_ignore_ascii_case(address))
    }

    /// The letter's parts.
    ///
    /// # Errors
    /// It is not a letter.
    pub fn parsed(&self) -> Result<Parsed, ParseError> {
        parse(&self.bytes, &Limits::default())
    }

    /// The subject, decoded.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.parsed().ok()?.subject
    }

    /// The plain text, decoded.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.parsed().ok()?.text
    }

    /// The HTML, decoded.
    #[must_use]
    pub fn html(&self) -> Option<String> {
        self.parsed().ok()?.html
    }

    /// The first attachment or picture of a name.
    #[must_use]
    pub fn attachment(&self, name: &str) -> Option<ParsedAttachment> {
        self.parsed().ok()?.attachments.into_iter().find(|file| file.name.as_deref() == Some(name))
    }

    /// The first field of a name, as it came, unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        use posthouse_mail::header::{Header, end_of_header};
        let (end, _) = end_of_header(&self.bytes).unwrap_or((self.bytes.len(), self.bytes.len()));
        Header::parse(self.bytes.get(..end)?).ok()?.first(name).map(|field| field.value())
    }
}

/// The letter did not come.
///
/// ```
/// use std::time::Duration;
/// use posthouse_client::{Catcher, NotCaught, block_on};
///
/// let catcher = Catcher::start()?;
/// let wait = catcher.wait_until("at all", Duration::from_millis(10), |letters| letters.first().cloned());
/// let missing: NotCaught = block_on(wait)?.unwrap_err();
/// assert_eq!(missing.to_string(), "no letter at all came within 0.01 s; there are 0, the last of them: ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no letter {wanted} came within {} s; there are {count}, the last of them: {}", patience.as_secs_f32(), found.join(", "))]
pub struct NotCaught {
    pub(crate) wanted: String,
    pub(crate) patience: Duration,
    pub(crate) count: usize,
    pub(crate) found: Vec<String>,
}
