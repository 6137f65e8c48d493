//! Letters to be sent: made of words and files, or taken as they are.
//!
//! A [`Message`] is complete: its octets, with CRLF line ends, and its envelope. Blind copies stand in the envelope alone. Nothing that is
//! given to the builder can add a header field, a recipient or a command; what would is a [`MessageError`], and the caller's to mend.

mod file;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use posthouse_mail::header::{Header, HeaderError, end_of_header};
use posthouse_mail::mime::{self, Attachment, ComposeError, Composition, Limits, Mailbox, ParseError, ParsedMailbox};
use posthouse_mail::{Address, AddressError, BodyKind, Envelope, LetterId, Recipient, ReversePath, UnixMillis};
use posthouse_runtime::{clock, random};
use thiserror::Error;

/// The octets of one letter. Servers rarely take more than a hundredth of it.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// A letter with its envelope.
#[derive(Clone, Debug)]
pub struct Message {
    envelope: Envelope,
    bytes: Bytes,
    message_id: Option<String>,
}

/// Gathers what a letter is made of; the first mistake is told by [`MessageBuilder::build`].
#[derive(Clone, Debug, Default)]
pub struct MessageBuilder {
    from: Option<Mailbox>,
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Vec<Mailbox>,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    attachments: Vec<Attachment>,
    fields: Vec<(String, String)>,
    date: Option<UnixMillis>,
    message_id: Option<String>,
    mistake: Option<MessageError>,
}

/// Why there is no letter.
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
    /// An address in the header of a given letter that is none.
    #[error("`{text}` in the header is not an address: {source}")]
    Address {
        /// What stands there.
        text: String,
        /// What is wrong with it.
        source: AddressError,
    },
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
    /// A given letter that cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// A given letter with a NUL octet, which no server takes (RFC 5321 §4.5.2, RFC 5322 §4).
    #[error("the letter has a NUL octet; a binary file has to be attached, not sent as the letter itself")]
    Nul,
}

impl Message {
    /// Begins a letter.
    #[must_use]
    pub fn builder() -> MessageBuilder {
        MessageBuilder::default()
    }

    /// Takes a letter that is complete, such as an `.eml` file, for an envelope given apart.
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
        Self::new(from, to, without, smtputf8, message_id)
    }

    /// The same, with sender and recipients read from `From` (or `Sender`), `To`, `Cc` and `Bcc`, as `sendmail -t` does.
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
        bytes: Vec<u8>,
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
        envelope.body = if bytes.is_ascii() { BodyKind::SevenBit } else { BodyKind::EightBitMime };
        Ok(Self { envelope, bytes: bytes.into(), message_id })
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

    /// Header and body, with CRLF line ends.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// `Message-ID` without angle brackets.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }
}

impl MessageBuilder {
    /// Who it is from: `alice@example.org` or `Alice <alice@example.org>`. Failures are reported there.
    #[must_use]
    pub fn from(mut self, mailbox: &str) -> Self {
        self.from = self.read(mailbox);
        self
    }

    /// One more recipient.
    #[must_use]
    pub fn to(mut self, mailbox: &str) -> Self {
        let mailbox = self.read(mailbox);
        self.to.extend(mailbox);
        self
    }

    /// One more recipient of a copy.
    #[must_use]
    pub fn cc(mut self, mailbox: &str) -> Self {
        let mailbox = self.read(mailbox);
        self.cc.extend(mailbox);
        self
    }

    /// One more recipient whom the others do not see: it stands in the envelope and nowhere in the letter.
    #[must_use]
    pub fn bcc(mut self, mailbox: &str) -> Self {
        let mailbox = self.read(mailbox);
        self.bcc.extend(mailbox);
        self
    }

    /// Where answers go, if not to the sender.
    #[must_use]
    pub fn reply_to(mut self, mailbox: &str) -> Self {
        let mailbox = self.read(mailbox);
        self.reply_to.extend(mailbox);
        self
    }

    /// What it is about.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// The text, with any line ends.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The text as HTML; with [`Self::text`] too, readers choose.
    #[must_use]
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self
    }

    /// Attaches octets under a name.
    #[must_use]
    pub fn attach_bytes(mut self, name: impl Into<String>, content_type: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.attachments.push(Attachment { name: name.into(), content_type: content_type.into(), content: content.into() });
        self
    }

    /// Attaches a file, read here, under its own name.
    #[must_use]
    pub fn attach_file(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        match file::read(path) {
            Ok(content) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let content_type = file::content_type(path).to_owned();
                self.attachments.push(Attachment { name, content_type, content });
            }
            Err(why) => self.blame(MessageError::File { path: path.to_owned(), why }),
        }
        self
    }

    /// One more header field, such as `X-Mailer` or `In-Reply-To`; none that the letter has by itself.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// `Date`, if not now.
    #[must_use]
    pub fn date(mut self, date: UnixMillis) -> Self {
        self.date = Some(date);
        self
    }

    /// `Message-ID` without angle brackets, if not a new one.
    #[must_use]
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Makes the letter.
    ///
    /// # Errors
    /// [`MessageError`]: the first mistake that was made.
    pub fn build(self) -> Result<Message, MessageError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let from = self.from.ok_or(MessageError::NoSender)?;
        let size: u64 = self
            .attachments
            .iter()
            .map(|file| u64::try_from(file.content.len()).unwrap_or(u64::MAX))
            .fold(0, u64::saturating_add);
        if size > MESSAGE_BYTES_MAX / 2 {
            return Err(MessageError::TooLarge);
        }
        let now = UnixMillis(clock::unix_millis());
        let sender = from.address.clone();
        // RFC 5322 §3.6.4: unique by time and 80 random bits, in the domain of the sender.
        let message_id = self.message_id.unwrap_or_else(|| format!("{}@{}", LetterId::new(now, random::u128()), sender.domain()));
        let recipients = [&self.to, &self.cc, &self.bcc].into_iter().flatten().map(|mailbox| mailbox.address.clone()).collect();
        let composed = mime::compose(&Composition {
            from,
            to: self.to,
            cc: self.cc,
            reply_to: self.reply_to,
            subject: self.subject,
            date: self.date.unwrap_or(now),
            message_id: message_id.clone(),
            text: self.text,
            html: self.html,
            attachments: self.attachments,
            fields: self.fields,
            boundary: random::u128(),
        })?;
        Message::new(sender.into(), recipients, composed.bytes, composed.needs_smtputf8, Some(message_id))
    }

    fn read(&mut self, mailbox: &str) -> Option<Mailbox> {
        match mailbox.parse() {
            Ok(mailbox) => Some(mailbox),
            Err(error) => {
                self.blame(MessageError::Part(error));
                None
            }
        }
    }

    fn blame(&mut self, mistake: MessageError) {
        self.mistake.get_or_insert(mistake);
    }
}

fn address(text: &str) -> Result<Address, MessageError> {
    text.parse().map_err(|source| MessageError::Address { text: text.to_owned(), source })
}

#[cfg(test)]
mod tests;
