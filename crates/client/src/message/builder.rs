//! What a letter is made of, said piece by piece.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::mime::{self, Attachment, Calendar, Composition, Content, Event, Inline, Mailbox};
use posthouse_mail::{LetterId, Notify, Ret, ReversePath, UnixMillis};
use posthouse_runtime::{clock, random};

use super::body::Opener;
use super::{Message, MessageError, Octets, file};

/// Gathers what a letter is made of; the first mistake is told by [`MessageBuilder::build`].
///
/// ```
/// use posthouse_client::{Message, MessageBuilder};
///
/// fn ours() -> MessageBuilder {
///     Message::builder().from("Us <us@example.org>").reply_to("office@example.org")
/// }
/// let message = ours().to("bob@example.net").subject("Hello").text("Hi.").build()?;
/// # Ok::<(), posthouse_client::MessageError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MessageBuilder {
    pub(super) from: Option<Mailbox>,
    sender: Option<Mailbox>,
    pub(super) to: Vec<Mailbox>,
    pub(super) cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Vec<Mailbox>,
    subject: String,
    text: Option<String>,
    flowed: bool,
    html: Option<String>,
    amp: Option<String>,
    calendar: Option<Planned>,
    inline: Vec<Inline>,
    attachments: Vec<Attachment>,
    files: Vec<Opener>,
    fields: Vec<(String, String)>,
    unsubscribe: Vec<String>,
    date: Option<UnixMillis>,
    message_id: Option<String>,
    pub(super) in_reply_to: Vec<String>,
    pub(super) references: Vec<String>,
    return_path: Option<ReversePath>,
    notify: Option<Notify>,
    ret: Option<Ret>,
    envid: Option<String>,
    mistake: Option<MessageError>,
}

/// What a letter does with a calendar.
#[derive(Clone, Debug)]
enum Planned {
    Object(Calendar),
    Invite(Event),
    CallOff(Event),
}

/// The name of the object where it is attached, too.
const OBJECT_NAME: &str = "invite.ics";

/// Whom it is from, and for.
///
/// ```
/// use posthouse_client::Message;
///
/// let message = Message::builder()
///     .from("Alice Example <alice@example.org>")
///     .sender("secretary@example.org")
///     .reply_to("office@example.org")
///     .return_path("bounces+42@example.org")
///     .to("\"Bob, B.\" <bob@example.net>")
///     .cc("carol@example.net")
///     .bcc("archive@example.org")
///     .subject("Minutes")
///     .text("See you.")
///     .build()?;
/// assert_eq!(message.envelope().recipients.len(), 3);
/// assert_eq!(message.envelope().reverse_path.to_string(), "bounces+42@example.org");
/// assert!(!String::from_utf8_lossy(&message.to_bytes()?).contains("archive@"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl MessageBuilder {
    /// Who it is from: `alice@example.org` or `Alice <alice@example.org>`. Failures are reported there.
    #[must_use]
    pub fn from(mut self, mailbox: &str) -> Self {
        self.from = self.read(mailbox);
        self
    }

    /// Who sends it, if not whom it is from.
    #[must_use]
    pub fn sender(mut self, mailbox: &str) -> Self {
        self.sender = self.read(mailbox);
        self
    }

    /// Where failures are reported, if not to the sender; empty for nowhere.
    #[must_use]
    pub fn return_path(mut self, address: &str) -> Self {
        match address.parse() {
            Ok(path) => self.return_path = Some(path),
            Err(source) => self.blame(MessageError::Address { text: address.to_owned(), source }),
        }
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
}

/// What it says.
///
/// ```
/// use posthouse_client::Message;
///
/// let message = Message::builder()
///     .from("alice@example.org")
///     .to("bob@example.net")
///     .subject("Dinner")
///     .html("<h1>Dinner</h1><p>On <b>Friday</b>.</p>") // the plain text is made of it
///     .amp("<!doctype html><html ⚡4email></html>")
///     .field("X-Priority", "1")
///     .build()?;
/// let plain = Message::builder().from("alice@example.org").to("bob@example.net").text("A long paragraph …").flowed().build()?;
/// # Ok::<(), posthouse_client::MessageError>(())
/// ```
impl MessageBuilder {
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

    /// The text's paragraphs are broken into lines which readers put together again (RFC 3676), for readers that show text as it is.
    #[must_use]
    pub fn flowed(mut self) -> Self {
        self.flowed = true;
        self
    }

    /// The text as HTML; without [`Self::text`] the plain text is made of it.
    #[must_use]
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self
    }

    /// The text as AMP for Email (`text/x-amp-html`), beside the others.
    #[must_use]
    pub fn amp(mut self, amp: impl Into<String>) -> Self {
        self.amp = Some(amp.into());
        self
    }

    /// One more header field, such as `X-Mailer`; none that the letter has by itself.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Where a reader's "unsubscribe" goes with one click (RFC 8058): an `https:` address that takes a POST without a login.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let message = Message::builder()
    ///     .from("news@example.org")
    ///     .to("bob@example.net")
    ///     .subject("News")
    ///     .text("All is well.")
    ///     .unsubscribe("https://example.org/off?who=42")
    ///     .build()?;
    /// let text = String::from_utf8(message.to_bytes()?.to_vec())?;
    /// assert!(text.contains("List-Unsubscribe: <https://example.org/off?who=42>\r\n"));
    /// assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unsubscribe(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        let whole = url.bytes().all(|b| b.is_ascii_graphic() && !b"<>,\"\\".contains(&b)) && url.len() <= 800;
        if url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) && whole {
            self.unsubscribe.push(url);
        } else {
            self.blame(MessageError::Unsubscribe(url));
        }
        self
    }
}

/// What it has to do with a calendar (iTIP, RFC 5546; iMIP, RFC 6047). The object is among the alternatives, for readers that show buttons for it, and
/// attached, for those that do not.
///
/// ```
/// use posthouse_client::mail::UnixMillis;
/// use posthouse_client::{Answer, Event, Message};
///
/// let at = |time| UnixMillis::from_rfc3339(time).unwrap();
/// let dinner = Event::new("dinner-42@example.org", "Dinner", at("2026-12-24T18:00:00Z"), at("2026-12-24T21:00:00Z")).place("Chez Bob");
/// let invitation = Message::builder()
///     .from("Alice <alice@example.org>") // invites
///     .to("bob@example.net") // and is invited
///     .subject("Dinner on Thursday")
///     .text("Will you come?")
///     .invite(dinner.clone())
///     .build()?;
/// let answer = Message::answer_invitation(&invitation.to_bytes()?, "bob@example.net", Answer::Accepted)?.build()?;
/// assert_eq!(answer.envelope().recipients[0].address.to_string(), "alice@example.org");
/// let off = Message::builder().from("alice@example.org").to("bob@example.net").text("Sorry.").call_off(dinner.sequence(1)).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl MessageBuilder {
    /// Invites to an event: the organizer is whom the letter is from, and the guests those in `To` and `Cc`, unless the event says otherwise.
    #[must_use]
    pub fn invite(mut self, event: Event) -> Self {
        self.calendar = Some(Planned::Invite(event));
        self
    }

    /// Says that an event does not take place; people are found as with [`Self::invite`].
    #[must_use]
    pub fn call_off(mut self, event: Event) -> Self {
        self.calendar = Some(Planned::CallOff(event));
        self
    }

    /// An object made elsewhere (RFC 5545); what it is for is its `METHOD`.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let object = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y\nMETHOD:PUBLISH\nBEGIN:VEVENT\nUID:1@x.example\nDTSTAMP:20261126T100000Z\n\
    ///     DTSTART:20261224T180000Z\nORGANIZER:mailto:a@x.example\nSUMMARY:Dinner\nEND:VEVENT\nEND:VCALENDAR\n";
    /// let message = Message::builder().from("a@x.example").to("b@y.example").text("For your calendar.").calendar(object).build()?;
    /// # Ok::<(), posthouse_client::MessageError>(())
    /// ```
    #[must_use]
    pub fn calendar(mut self, object: &str) -> Self {
        match Calendar::parse(object) {
            Ok(calendar) => self.calendar = Some(Planned::Object(calendar)),
            Err(error) => self.blame(MessageError::Calendar(error)),
        }
        self
    }

    pub(super) fn object(mut self, calendar: Calendar) -> Self {
        self.calendar = Some(Planned::Object(calendar));
        self
    }

    fn planned(&mut self, now: UnixMillis) -> Result<Option<Calendar>, MessageError> {
        let calendar = match self.calendar.take() {
            None => return Ok(None),
            Some(Planned::Object(calendar)) => calendar,
            Some(Planned::Invite(event)) => self.with_people(event).request(now)?,
            Some(Planned::CallOff(event)) => self.with_people(event).cancel(now)?,
        };
        self.attachments.push(Attachment {
            name: OBJECT_NAME.to_owned(),
            content_type: "application/ics".to_owned(),
            content: Content::Here(calendar.as_str().to_owned().into()),
        });
        Ok(Some(calendar))
    }

    fn with_people(&self, mut event: Event) -> Event {
        if let (false, Some(from)) = (event.has_organizer(), &self.from) {
            event = event.organizer(from.clone());
        }
        if event.has_guests() {
            return event;
        }
        self.to.iter().chain(&self.cc).cloned().fold(event, Event::guest)
    }
}

/// What goes with it. Large files are read while the letter is sent, and again each time it is sent: a letter of any size takes a few hundred KiB of memory.
///
/// ```
/// use std::io::Cursor;
/// use posthouse_client::Message;
///
/// let message = Message::builder()
///     .from("alice@example.org")
///     .to("bob@example.net")
///     .text("See the files.")
///     .attach_bytes("hello.txt", "text/plain", &b"hello"[..])
///     .attach_stream("zeroes.bin", "application/octet-stream", 1_000_000, || Ok(Cursor::new(vec![0; 1_000_000])))
///     .build()?;
/// assert!(message.size() > 1_300_000);
///
/// # let folder = tempfile::tempdir()?;
/// let picture = folder.path().join("cat.png");
/// std::fs::write(&picture, b"\x89PNG")?;
/// let message = Message::builder()
///     .from("alice@example.org")
///     .to("bob@example.net")
///     .html(r#"<img src="cid:cat@example.org"> <img src="cid:dog@example.org">"#)
///     .inline_file("cat@example.org", &picture)
///     .inline_bytes("dog@example.org", "dog.png", "image/png", &b"\x89PNG"[..])
///     .attach_file(&picture)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl MessageBuilder {
    /// Attaches octets under a name.
    #[must_use]
    pub fn attach_bytes(mut self, name: impl Into<String>, content_type: impl Into<String>, content: impl Into<Bytes>) -> Self {
        self.attachments.push(Attachment {
            name: name.into(),
            content_type: content_type.into(),
            content: Content::Here(content.into()),
        });
        self
    }

    /// Attaches a file under its own name, with the media type of its ending.
    #[must_use]
    pub fn attach_file(mut self, path: impl AsRef<Path>) -> Self {
        let attachment = self.take(path.as_ref());
        self.attachments.extend(attachment);
        self
    }

    /// Attaches `len` octets of what `open` gives, which is asked each time the letter is sent.
    #[must_use]
    pub fn attach_stream<R: Read + Send + 'static>(
        mut self,
        name: impl Into<String>,
        content_type: impl Into<String>,
        len: u64,
        open: impl Fn() -> io::Result<R> + Send + Sync + 'static,
    ) -> Self {
        let opener = Opener(Arc::new(move || open().map(|reader| Box::new(reader) as Box<dyn Read + Send>)));
        let content = self.elsewhere(len, opener);
        self.attachments.push(Attachment { name: name.into(), content_type: content_type.into(), content });
        self
    }

    /// A picture that the HTML shows with `<img src="cid:…">`; the id is `left@right`.
    #[must_use]
    pub fn inline_bytes(
        mut self,
        content_id: impl Into<String>,
        name: impl Into<String>,
        content_type: impl Into<String>,
        content: impl Into<Bytes>,
    ) -> Self {
        let file = Attachment { name: name.into(), content_type: content_type.into(), content: Content::Here(content.into()) };
        self.inline.push(Inline { content_id: content_id.into(), file });
        self
    }

    /// The same from a file.
    #[must_use]
    pub fn inline_file(mut self, content_id: impl Into<String>, path: impl AsRef<Path>) -> Self {
        let content_id = content_id.into();
        let file = self.take(path.as_ref());
        self.inline.extend(file.map(|file| Inline { content_id, file }));
        self
    }

    fn take(&mut self, path: &Path) -> Option<Attachment> {
        let content = match file::find(path) {
            Ok(file::Found::Read(octets)) => Content::Here(octets.into()),
            Ok(file::Found::Large { len, opener }) => self.elsewhere(len, opener),
            Err(why) => {
                self.blame(MessageError::File { path: path.to_owned(), why });
                return None;
            }
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(Attachment { name, content_type: file::content_type(path).to_owned(), content })
    }

    fn elsewhere(&mut self, len: u64, opener: Opener) -> Content {
        self.files.push(opener);
        Content::Elsewhere { len, key: self.files.len() - 1 }
    }
}

/// What is asked of its transport (RFC 3461), and what it is made with.
///
/// ```
/// use posthouse_client::Message;
/// use posthouse_client::mail::{Notify, Ret, UnixMillis};
///
/// let message = Message::builder()
///     .from("alice@example.org")
///     .to("bob@example.net")
///     .text("Did it arrive?")
///     .notify(Notify { success: true, failure: true, delay: true })
///     .ret(Ret::Headers)
///     .envid("order-42")
///     .message_id("order-42@example.org")
///     .in_reply_to("question-41@example.net")
///     .date(UnixMillis::from_rfc3339("2026-12-24T18:00:00Z").unwrap())
///     .build()?;
/// assert_eq!(message.message_id(), Some("order-42@example.org"));
/// # Ok::<(), posthouse_client::MessageError>(())
/// ```
impl MessageBuilder {
    /// What to report of each recipient, as far as the servers on the way know how.
    #[must_use]
    pub fn notify(mut self, notify: Notify) -> Self {
        self.notify = Some(notify);
        self
    }

    /// How much of the letter a report returns.
    #[must_use]
    pub fn ret(mut self, ret: Ret) -> Self {
        self.ret = Some(ret);
        self
    }

    /// What reports call the letter: visible ASCII, at most 100 octets.
    #[must_use]
    pub fn envid(mut self, envid: impl Into<String>) -> Self {
        let envid = envid.into();
        // RFC 3461 §4.4.
        if (1..=100).contains(&envid.len()) && envid.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
            self.envid = Some(envid);
        } else {
            self.blame(MessageError::Envid(envid));
        }
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

    /// The letter that this one answers, by its `Message-ID`; [`Message::reply`] does it by itself.
    #[must_use]
    pub fn in_reply_to(mut self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.references.push(id.clone());
        self.in_reply_to.push(id);
        self
    }

    /// Makes the letter.
    ///
    /// ```
    /// use posthouse_client::{Message, MessageError};
    ///
    /// let mistake = Message::builder().from("alice@example.org").to("bob").build().unwrap_err();
    /// assert!(matches!(mistake, MessageError::Part(_)), "{mistake}");
    /// let injected = Message::builder().from("a@x.example").to("b@y.example").subject("a\r\nBcc: c@z.example").build();
    /// assert!(injected.is_err());
    /// ```
    ///
    /// # Errors
    /// [`MessageError`]: the first mistake that was made.
    pub fn build(mut self) -> Result<Message, MessageError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let now = UnixMillis(clock::unix_millis());
        let calendar = self.planned(now)?;
        let from = self.from.ok_or(MessageError::NoSender)?;
        let sender = from.address.clone();
        // RFC 5322 §3.6.4: unique by time and 80 random bits, in the domain of the sender.
        let message_id = self.message_id.unwrap_or_else(|| format!("{}@{}", LetterId::new(now, random::u128()), sender.domain()));
        let recipients = [&self.to, &self.cc, &self.bcc].into_iter().flatten().map(|mailbox| mailbox.address.clone()).collect();
        let mut fields = self.fields;
        if !self.unsubscribe.is_empty() {
            let each: Vec<String> = self.unsubscribe.iter().map(|url| format!("<{url}>")).collect();
            fields.push(("List-Unsubscribe".to_owned(), each.join(", ")));
            fields.push(("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned()));
        }
        let composed = mime::compose(&Composition {
            from,
            sender: self.sender,
            to: self.to,
            cc: self.cc,
            reply_to: self.reply_to,
            subject: self.subject,
            date: self.date.unwrap_or(now),
            message_id: message_id.clone(),
            in_reply_to: self.in_reply_to,
            references: self.references,
            text: self.text,
            flowed: self.flowed,
            html: self.html,
            amp: self.amp,
            calendar,
            inline: self.inline,
            attachments: self.attachments,
            fields,
            boundary: random::u128(),
        })?;
        let eight_bit = composed.eight_bit || composed.needs_smtputf8;
        let octets = Octets { segments: composed.segments, files: self.files, eight_bit };
        let return_path = self.return_path.unwrap_or_else(|| sender.into());
        let mut message = Message::new(return_path, recipients, octets, composed.needs_smtputf8, Some(message_id))?;
        let envelope = message.envelope_mut();
        (envelope.ret, envelope.envid) = (self.ret, self.envid);
        envelope.recipients.iter_mut().for_each(|recipient| recipient.notify = self.notify);
        Ok(message)
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
