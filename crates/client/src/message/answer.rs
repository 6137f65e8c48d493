//! Answers: a letter begun from another one.

use posthouse_mail::UnixMillis;
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mail::mime::{self, Answer, Calendar, Limits, Mailbox, Parsed, ParsedMailbox};
use posthouse_runtime::clock;

use super::{Message, MessageBuilder, MessageError};

/// The ids a long thread keeps: its first, and the last ones.
const REFERENCES_MAX: usize = 50;

impl Message {
    /// Begins an answer to whoever wrote a letter: the recipient, the subject with `Re:`, and what ties it to the thread (RFC 5322 §3.6.4).
    ///
    /// ```
    /// use posthouse_client::Message;
    ///
    /// let letter = b"From: Bob <bob@y.example>\nSubject: Lunch?\nMessage-ID: <1@y.example>\n\nAt noon?\n";
    /// let answer = Message::reply(letter)?
    ///     .from("alice@x.example")
    ///     .text(format!("Yes.\n\n{}", Message::quote(letter)?))
    ///     .build()?;
    /// let text = String::from_utf8(answer.to_bytes()?.to_vec())?;
    /// assert!(text.contains("Subject: Re: Lunch?") && text.contains("In-Reply-To: <1@y.example>"));
    /// assert!(text.contains("> At noon?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`] when the letter cannot be read or does not say whom it is from.
    pub fn reply(letter: &[u8]) -> Result<MessageBuilder, MessageError> {
        let parsed = read(letter)?;
        let mut builder = Self::builder().subject(prefixed("Re: ", parsed.subject.as_deref()));
        builder.to = answered(&parsed)?;
        let id: Vec<String> = parsed.message_id.iter().filter(|id| is_id(id)).cloned().collect();
        // RFC 5322 §3.6.4: the parent's References, or its In-Reply-To if there is one id in it, and the parent's own id.
        let before = match (parsed.references.as_slice(), parsed.in_reply_to.as_slice()) {
            ([], [one]) => std::slice::from_ref(one),
            (references, _) => references,
        };
        let mut references: Vec<String> = before.iter().filter(|id| is_id(id)).chain(&id).cloned().collect();
        if references.len() > REFERENCES_MAX {
            references.drain(1..=references.len() - REFERENCES_MAX);
        }
        (builder.in_reply_to, builder.references) = (id, references);
        Ok(builder)
    }

    /// The same to everybody: those whom the letter was for get copies, except `me`.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let letter = b"From: bob@y.example\nTo: alice@x.example, carol@z.example\n\nLunch?\n";
    /// let answer = Message::reply_all(letter, "alice@x.example")?.from("alice@x.example").text("Yes.").build()?;
    /// let to: Vec<String> = answer.envelope().recipients.iter().map(|r| r.address.to_string()).collect();
    /// assert_eq!(to, ["bob@y.example", "carol@z.example"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::reply`].
    pub fn reply_all(letter: &[u8], me: &str) -> Result<MessageBuilder, MessageError> {
        let parsed = read(letter)?;
        let mut builder = Self::reply(letter)?;
        for mailbox in parsed.to.iter().chain(&parsed.cc) {
            let Ok(mailbox) = mailbox_of(mailbox) else { continue };
            let known = |other: &Mailbox| other.address == mailbox.address;
            let is_me = mailbox.address.to_string().eq_ignore_ascii_case(me);
            if !is_me && !builder.to.iter().chain(&builder.cc).any(known) {
                builder.cc.push(mailbox);
            }
        }
        Ok(builder)
    }

    /// Begins a letter that passes another one on, whole, as an attachment; its blind copies are taken out.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let letter = b"From: bob@y.example\nSubject: Offer\n\nBuy!\n";
    /// let passed_on = Message::forward(letter)?.from("alice@x.example").to("carol@z.example").text("See below.").build()?;
    /// let text = String::from_utf8(passed_on.to_bytes()?.to_vec())?;
    /// assert!(text.contains("Subject: Fwd: Offer") && text.contains("Content-Type: message/rfc822"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`] when the letter cannot be read.
    pub fn forward(letter: &[u8]) -> Result<MessageBuilder, MessageError> {
        let parsed = read(letter)?;
        let whole = mime::to_crlf(letter);
        let (end, _) = end_of_header(&whole).unwrap_or((whole.len(), whole.len()));
        let (header, body) = whole.split_at_checked(end).unwrap_or((&whole, &[]));
        let mut passed_on = Header::parse(header)?.without(&["Bcc", "Resent-Bcc", "Return-Path"]);
        passed_on.extend_from_slice(body);
        if !passed_on.ends_with(b"\r\n") {
            passed_on.extend_from_slice(b"\r\n");
        }
        let subject = prefixed("Fwd: ", parsed.subject.as_deref());
        Ok(Self::builder().subject(subject).attach_bytes("letter.eml", "message/rfc822", passed_on))
    }

    /// Begins the answer of `me` to the invitation in a letter, to its organizer (RFC 5546 §3.2.3).
    ///
    /// ```
    /// use posthouse_client::mail::UnixMillis;
    /// use posthouse_client::{Answer, Event, Message};
    ///
    /// let lunch = Event::new("lunch-1@x.example", "Lunch", UnixMillis(1_798_113_600_000), UnixMillis(1_798_117_200_000));
    /// let invitation = Message::builder().from("alice@x.example").to("bob@y.example").text("Lunch?").invite(lunch).build()?;
    /// let answer = Message::answer_invitation(&invitation.to_bytes()?, "Bob <bob@y.example>", Answer::Declined)?.build()?;
    /// assert!(String::from_utf8_lossy(&answer.to_bytes()?).contains("Subject: Declined: Lunch"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`] when the letter cannot be read, has no invitation, or its organizer has no address.
    pub fn answer_invitation(letter: &[u8], me: &str, answer: Answer) -> Result<MessageBuilder, MessageError> {
        let parsed = read(letter)?;
        let me: Mailbox = me.parse()?;
        let requests = parsed.attachments.iter().filter_map(|part| Calendar::parse(str::from_utf8(&part.content).ok()?).ok());
        let request = requests.into_iter().find(|found| found.method() == "REQUEST").ok_or(MessageError::NoInvitation)?;
        let organizer = request.organizer().ok_or(MessageError::NoRecipient)?;
        let word = match answer {
            Answer::Accepted => "Accepted",
            Answer::Tentative => "Tentative",
            Answer::Declined => "Declined",
        };
        let summary = request.summary().or(parsed.subject).unwrap_or_default();
        let words = format!("{word}: {}", one_line(&summary));
        let mut builder = Self::builder().subject(words.clone()).text(words);
        let reply = request.answer(&me, answer, UnixMillis(clock::unix_millis()))?;
        (builder.to, builder.from) = (vec![organizer.into()], Some(me));
        Ok(builder.object(reply))
    }

    /// The text of a letter as it is quoted in an answer.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let quoted = Message::quote(b"From: Bob <bob@y.example>\n\nOne\n> two\n")?;
    /// assert_eq!(quoted, "Bob wrote:\n\n> One\n>> two\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`] when the letter cannot be read.
    pub fn quote(letter: &[u8]) -> Result<String, MessageError> {
        let parsed = read(letter)?;
        let who = parsed.from.first().map_or("Somebody", |from| from.name.as_deref().unwrap_or(&from.address));
        let mut quoted = format!("{} wrote:\n\n", one_line(who));
        for line in parsed.text.as_deref().unwrap_or_default().trim_end().lines() {
            // RFC 3676 §4.5: marks stand together, without spaces between them.
            quoted.push_str(if line.starts_with('>') { ">" } else { "> " });
            quoted.push_str(line);
            quoted.push('\n');
        }
        Ok(quoted)
    }
}

fn read(letter: &[u8]) -> Result<Parsed, MessageError> {
    Ok(mime::parse(&mime::to_crlf(letter), &Limits::default())?)
}

/// Whom an answer goes to: `Reply-To`, else `From`.
fn answered(parsed: &Parsed) -> Result<Vec<Mailbox>, MessageError> {
    let wanted = if parsed.reply_to.is_empty() { &parsed.from } else { &parsed.reply_to };
    let found = wanted.iter().map(mailbox_of).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(MessageError::NoRecipient) } else { Ok(found) }
}

fn mailbox_of(mailbox: &ParsedMailbox) -> Result<Mailbox, MessageError> {
    Ok(Mailbox { name: mailbox.name.as_deref().map(one_line), address: super::address(&mailbox.address)? })
}

/// One prefix is enough, however often a letter went to and fro.
fn prefixed(prefix: &str, subject: Option<&str>) -> String {
    let subject = one_line(subject.unwrap_or_default());
    let known = subject.get(..prefix.len() - 1).is_some_and(|start| start.eq_ignore_ascii_case(prefix.trim_end()));
    if known { subject } else { format!("{prefix}{subject}") }
}

/// What somebody else wrote may hold what no field of ours may.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// Whether an id of somebody else's can be repeated.
fn is_id(id: &str) -> bool {
    id.len() <= 250
        && id.bytes().all(|b| b.is_ascii_graphic() && !b"<>()\"\\,;".contains(&b))
        && id.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty())
}
