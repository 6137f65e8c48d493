//! The letter that is sent: made of the arguments, or taken whole from a file.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use posthouse_mail::header::{Header, end_of_header};
use posthouse_mail::mime::{self, Attachment, Composition, Limits, Mailbox};
use posthouse_mail::{Address, BodyKind, Envelope, LetterId, Recipient, ReversePath, UnixMillis};
use posthouse_runtime::{clock, random};

use crate::cli::data::malformed;
use crate::cli::{Exit, Failure};

/// All files of one letter together. Servers take a tenth of it at most.
const LETTER_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What the letter is made of.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "The letter")]
pub(super) struct LetterArgs {
    /// A recipient: bob@example.net or 'Bob <bob@example.net>'. Can be repeated.
    #[arg(long, short, value_name = "MAILBOX")]
    to: Vec<String>,
    /// A recipient of a copy. Can be repeated.
    #[arg(long, value_name = "MAILBOX")]
    cc: Vec<String>,
    /// A recipient of a copy whom the others do not see. Can be repeated.
    #[arg(long, value_name = "MAILBOX")]
    bcc: Vec<String>,
    /// The sender [default: the user, if it is an address].
    #[arg(long, short, value_name = "MAILBOX")]
    from: Option<String>,
    /// Where answers go.
    #[arg(long, value_name = "MAILBOX")]
    reply_to: Option<String>,
    /// The subject.
    #[arg(long)]
    subject: Option<String>,
    /// The text [default: standard input, if it is piped].
    #[arg(long)]
    text: Option<String>,
    /// The text as HTML, instead of or beside --text.
    #[arg(long)]
    html: Option<String>,
    /// A file that goes with it. Can be repeated.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// A further header field, such as 'X-Priority: 1'. Can be repeated.
    #[arg(long, value_name = "FIELD")]
    header: Vec<String>,
    /// A whole letter (`-`: standard input). Without --to, --cc and --bcc it goes to those whom it names itself.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reply_to", "subject", "text", "html", "attach", "header"])]
    eml: Option<PathBuf>,
}

/// A letter that is ready to be sent.
pub(super) struct Letter {
    pub(super) envelope: Envelope,
    pub(super) bytes: Vec<u8>,
    pub(super) message_id: Option<String>,
}

impl LetterArgs {
    /// Makes or reads the letter. `user` is who logs in; standard input is not read when the password has it.
    pub(super) fn read(&self, user: Option<&str>, stdin_taken: bool) -> Result<Letter, Failure> {
        let mailboxes = Mailboxes {
            to: each("--to", &self.to)?,
            cc: each("--cc", &self.cc)?,
            bcc: each("--bcc", &self.bcc)?,
            from: self.from.as_deref().map(|text| mailbox("--from", text)).transpose()?,
        };
        match &self.eml {
            Some(path) if stdin_taken && path == Path::new("-") => {
                Err(Failure::say(Exit::Usage, "standard input cannot be both the letter and the password"))
            }
            Some(path) => mailboxes.with_eml(&read_whole(path)?, user),
            None => self.compose(mailboxes, user, stdin_taken),
        }
    }

    fn compose(&self, mailboxes: Mailboxes, user: Option<&str>, stdin_taken: bool) -> Result<Letter, Failure> {
        if mailboxes.everybody().next().is_none() {
            return Err(Failure::say(Exit::Usage, "nobody to send to: give --to, --cc or --bcc"));
        }
        let from = mailboxes.from.clone().or_else(|| sender(user));
        let from = from.ok_or_else(|| Failure::say(Exit::Usage, "no sender: give --from"))?;
        let now = UnixMillis(clock::unix_millis());
        let message_id = format!("{}@{}", LetterId::new(now, random::u128()), from.address.domain());
        let composition = Composition {
            subject: self.subject.clone().unwrap_or_default(),
            date: now,
            message_id: message_id.clone(),
            text: self.text(stdin_taken)?,
            html: self.html.clone(),
            attachments: attachments(&self.attach)?,
            fields: self.header.iter().map(|field| split_field(field)).collect::<Result<_, _>>()?,
            reply_to: self.reply_to.as_deref().map(|text| mailbox("--reply-to", text)).transpose()?.into_iter().collect(),
            boundary: random::u128(),
            from: from.clone(),
            to: mailboxes.to.clone(),
            cc: mailboxes.cc.clone(),
        };
        let composed = mime::compose(&composition).map_err(|error| Failure::new(Exit::Data, error))?;
        let recipients = mailboxes.everybody().cloned().collect();
        let envelope = envelope(from.address, recipients, &composed.bytes, composed.needs_smtputf8);
        Ok(Letter { envelope, bytes: composed.bytes, message_id: Some(message_id) })
    }

    fn text(&self, stdin_taken: bool) -> Result<Option<String>, Failure> {
        if self.text.is_some() || self.html.is_some() {
            return Ok(self.text.clone());
        }
        if !stdin_taken && !io::stdin().is_terminal() {
            let text = String::from_utf8(read_whole(Path::new("-"))?);
            return text
                .map(Some)
                .map_err(|_| Failure::say(Exit::Data, "the text on standard input is not UTF-8; send it with --attach"));
        }
        if self.attach.is_empty() {
            return Err(Failure::say(Exit::Usage, "nothing to send: give --text, --html, --attach or --eml, or pipe a text"));
        }
        Ok(None)
    }
}

/// Who is named in the arguments.
struct Mailboxes {
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    from: Option<Mailbox>,
}

impl Mailboxes {
    fn everybody(&self) -> impl Iterator<Item = &Address> {
        self.to.iter().chain(&self.cc).chain(&self.bcc).map(|mailbox| &mailbox.address)
    }

    /// A letter that exists: sent as it is, but for its `Bcc` and its line ends.
    fn with_eml(&self, octets: &[u8], user: Option<&str>) -> Result<Letter, Failure> {
        let whole = mime::to_crlf(octets);
        let bytes = without_bcc(&whole)?;
        let head = end_of_header(&whole).and_then(|(_, end)| whole.get(..end)).unwrap_or(&whole);
        let named = mime::parse(head, &Limits::default()).map_err(|error| Failure::new(Exit::Data, error))?;
        let mut recipients: Vec<Address> = self.everybody().cloned().collect();
        if recipients.is_empty() {
            let written = named.to.iter().chain(&named.cc).chain(&named.bcc);
            recipients = written.map(|mailbox| address("the letter's recipient", &mailbox.address)).collect::<Result<_, _>>()?;
        }
        if recipients.is_empty() {
            return Err(Failure::say(Exit::Data, "the letter names no recipient: give --to"));
        }
        let from = match (&self.from, named.from.first()) {
            (Some(mailbox), _) => mailbox.address.clone(),
            (None, Some(mailbox)) => address("the letter's sender", &mailbox.address)?,
            (None, None) => {
                sender(user).ok_or_else(|| Failure::say(Exit::Data, "the letter names no sender: give --from"))?.address
            }
        };
        // RFC 6532: a header in UTF-8 needs SMTPUTF8.
        let utf8 = !head.is_ascii();
        Ok(Letter { envelope: envelope(from, recipients, &bytes, utf8), bytes, message_id: named.message_id })
    }
}

fn envelope(from: Address, mut recipients: Vec<Address>, bytes: &[u8], utf8: bool) -> Envelope {
    let mut seen = std::collections::HashSet::new();
    recipients.retain(|address| seen.insert(address.clone()));
    let smtputf8 = utf8 || from.needs_smtputf8() || recipients.iter().any(Address::needs_smtputf8);
    let body = if bytes.is_ascii() { BodyKind::SevenBit } else { BodyKind::EightBitMime };
    let recipients = recipients.into_iter().map(Recipient::from).collect();
    Envelope { body, smtputf8, ..Envelope::new(ReversePath::from(from), recipients) }
}

/// RFC 5322 §3.6.3: whoever gets a blind copy must not see the others.
fn without_bcc(letter: &[u8]) -> Result<Vec<u8>, Failure> {
    let fields = end_of_header(letter).map_or(letter.len(), |(fields, _)| fields);
    let (head, rest) = letter.split_at_checked(fields).unwrap_or((letter, &[]));
    let header = Header::parse(head).map_err(|error| Failure::new(Exit::Data, error))?;
    let mut bytes = header.without(&["Bcc"]);
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

fn sender(user: Option<&str>) -> Option<Mailbox> {
    user?.parse::<Address>().ok().map(Mailbox::from)
}

fn each(option: &str, texts: &[String]) -> Result<Vec<Mailbox>, Failure> {
    texts.iter().map(|text| mailbox(option, text)).collect()
}

fn mailbox(option: &str, text: &str) -> Result<Mailbox, Failure> {
    text.parse().map_err(|error| malformed(option, text, error))
}

fn address(what: &str, text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| malformed(what, text, error))
}

fn split_field(text: &str) -> Result<(String, String), Failure> {
    let (name, value) = text.split_once(':').ok_or_else(|| malformed("--header", text, "write 'Name: value'"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn attachments(paths: &[PathBuf]) -> Result<Vec<Attachment>, Failure> {
    let read = paths.iter().map(|path| {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Attachment { content_type: media_type(path).to_owned(), name, content: read_whole(path)? })
    });
    read.collect()
}

/// A file, or standard input.
fn read_whole(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LETTER_BYTES_MAX + 1).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(LETTER_BYTES_MAX + 1).read_to_end(&mut octets))
    };
    read.map_err(|error| Failure::say(Exit::NoInput, format_args!("{}: {error}", path.display())))?;
    if u64::try_from(octets.len()).is_ok_and(|len| len > LETTER_BYTES_MAX) {
        return Err(Failure::say(Exit::Data, format_args!("{} is larger than 1 GiB", path.display())));
    }
    Ok(octets)
}

/// By the file's ending; what is not known is octets.
fn media_type(path: &Path) -> &'static str {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "txt" | "log" | "md" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "ics" => "text/calendar",
        "vcf" => "text/vcard",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "xml" => "application/xml",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
