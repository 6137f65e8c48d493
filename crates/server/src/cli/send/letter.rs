//! The letter that is sent: made of the arguments, or taken whole from a file.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use posthouse_client::dkim::Signer;
use posthouse_client::{Message, MessageBuilder, MessageError, dkim_key};
use posthouse_mail::mime::{self, Limits, Mailbox};
use posthouse_mail::{Address, Notify, Ret, ReversePath, TlsWish};

use crate::cli::data::malformed;
use crate::cli::dsn;
use crate::cli::mailboxes::items;
use crate::cli::whole::Given;
use crate::cli::{Exit, Failure};

/// What is read from a file or standard input. Servers take a tenth of it at most.
const INPUT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What the letter is made of.
#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "The letter")]
pub(super) struct LetterArgs {
    /// A recipient: bob@example.net or 'Bob <bob@example.net>'. Can be repeated, or be several with commas between them.
    #[arg(long, short, alias = "mail-rcpt", value_name = "MAILBOX")]
    to: Vec<String>,
    /// Recipients, one on each line of this file; they do not see each other.
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// A recipient of a copy. Can be repeated.
    #[arg(long, value_name = "MAILBOX")]
    cc: Vec<String>,
    /// A recipient of a copy whom the others do not see. Can be repeated.
    #[arg(long, value_name = "MAILBOX")]
    bcc: Vec<String>,
    /// The sender [default: the user, if it is an address].
    #[arg(long, short, alias = "mail-from", value_name = "MAILBOX")]
    pub(super) from: Option<String>,
    /// Where answers go.
    #[arg(long, value_name = "MAILBOX")]
    reply_to: Option<String>,
    /// The subject.
    #[arg(long)]
    subject: Option<String>,
    /// The text [default: made of the HTML, or standard input, if it is piped].
    #[arg(long, alias = "body")]
    text: Option<String>,
    /// The text from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    text_file: Option<PathBuf>,
    /// The text as HTML, instead of or beside --text.
    #[arg(long)]
    html: Option<String>,
    /// The HTML from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "html")]
    html_file: Option<PathBuf>,
    /// A picture that the HTML shows by `cid:ID`, such as logo@example.org=logo.png. Can be repeated.
    #[arg(long, value_name = "ID=FILE")]
    inline: Vec<String>,
    /// A file that goes with it. Can be repeated.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// An invitation or another iCalendar file; its METHOD says what it is for.
    #[arg(long, value_name = "FILE")]
    invite: Option<PathBuf>,
    /// Where readers unsubscribe with one click (RFC 8058): an https address.
    #[arg(long, value_name = "URL")]
    unsubscribe: Option<String>,
    /// The same as an AMP page, beside the others, from a file.
    #[arg(long, value_name = "FILE")]
    amp_file: Option<PathBuf>,
    /// Answer the letter in this file: whoever wrote it, the subject and the thread are its own.
    #[arg(long, value_name = "FILE")]
    reply: Option<PathBuf>,
    /// The same to everybody it went to.
    #[arg(long, value_name = "FILE", conflicts_with = "reply", requires = "from")]
    reply_all: Option<PathBuf>,
    /// Forward the letter in this file, as a letter inside this one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reply", "reply_all"])]
    forward: Option<PathBuf>,
    /// Sign with this DKIM key (PEM) for the sender's domain: SELECTOR=FILE. Can be repeated.
    #[arg(long, value_name = "SELECTOR=FILE")]
    dkim: Vec<String>,
    /// A further header field, such as 'X-Priority: 1'. Can be repeated.
    #[arg(long, value_name = "FIELD")]
    header: Vec<String>,
    /// A whole letter (`-`: standard input). Without --to, --cc and --bcc it goes to those whom it names itself.
    #[arg(long, aliases = ["upload-file", "data"], short_alias = 'T', value_name = "FILE", conflicts_with_all = [
        "amp_file", "reply", "reply_all", "forward", "reply_to", "subject", "text", "text_file", "html", "html_file", "inline", "attach", "invite", "unsubscribe", "header",
    ])]
    eml: Option<PathBuf>,
    #[command(flatten)]
    wishes: Wishes,
}

/// What is asked of its transport.
#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "On its way")]
struct Wishes {
    /// Have reports sent of these: success, failure, delay, with commas between; or never (DSN).
    #[arg(long, value_name = "WHEN", value_parser = dsn::notify)]
    notify: Option<Notify>,
    /// What a report gives back: the full letter, or its header: hdrs (DSN).
    #[arg(long, value_name = "full|hdrs", value_parser = dsn::ret)]
    ret: Option<Ret>,
    /// What reports call the letter (DSN).
    #[arg(long, value_name = "ID", value_parser = dsn::envid)]
    envid: Option<String>,
    /// TLS on the whole way, from server to server, or the letter comes back (REQUIRETLS).
    #[arg(long)]
    require_tls: bool,
}

impl Wishes {
    fn put(&self, letter: &mut Message) {
        let envelope = letter.envelope_mut();
        envelope.recipients.iter_mut().for_each(|recipient| recipient.notify = self.notify.or(recipient.notify));
        envelope.ret = self.ret.or(envelope.ret);
        envelope.envid = self.envid.clone().or(envelope.envid.take());
        if self.require_tls {
            envelope.tls = TlsWish::Required;
        }
    }
}

/// Where in a letter a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Html,
    Elsewhere,
}

impl LetterArgs {
    /// Makes or reads the letter. `user` is who logs in; standard input is not read when the password has it.
    pub(super) fn read(mut self, user: Option<&str>, stdin_taken: bool) -> Result<Message, Failure> {
        match &self.eml {
            Some(path) if stdin_taken && path == Path::new("-") => {
                Err(Failure::say(Exit::Usage, "standard input cannot be both the letter and the password"))
            }
            Some(path) => {
                let mut letter = self.sign(self.whole(given(&at_sign(path))?, user)?)?;
                self.wishes.put(&mut letter);
                Ok(letter)
            }
            None => {
                self.take_files(stdin_taken)?;
                self.compose(user)
            }
        }
    }

    /// Several in one argument, as swaks has it. What a table puts in later is one, whatever it holds.
    pub(super) fn part_mailboxes(&mut self) {
        for mailboxes in [&mut self.to, &mut self.cc, &mut self.bcc] {
            let apart = |text: &String| items(text).into_iter().map(|one| one.trim().to_owned()).collect::<Vec<_>>();
            *mailboxes = mailboxes.iter().flat_map(apart).collect();
        }
    }

    /// Reads the files and standard input that texts and recipients come from.
    pub(super) fn take_files(&mut self, stdin_taken: bool) -> Result<(), Failure> {
        let text = |path: &Path| {
            let words = || format!("{} is not UTF-8; send it as a file with --attach", path.display());
            String::from_utf8(read_whole(path)?).map_err(|_| Failure::say(Exit::Data, words()))
        };
        if let Some(path) = self.to_file.take() {
            let lines = text(&path)?;
            let named = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            self.bcc.extend(named.map(str::to_owned));
        }
        if let Some(path) = self.text_file.take() {
            self.text = Some(text(&path)?);
        }
        if let Some(path) = self.html_file.take() {
            self.html = Some(text(&path)?);
        }
        if self.text.is_none() {
            self.text = self.body(stdin_taken)?;
        }
        Ok(())
    }

    /// The same with every text filled in by `fill`.
    pub(super) fn filled(&self, fill: &dyn Fn(Place, &str) -> Result<String, Failure>) -> Result<Self, Failure> {
        let some = |text: &Option<String>, place| text.as_deref().map(|text| fill(place, text)).transpose();
        let all = |texts: &[String]| texts.iter().map(|text| fill(Place::Elsewhere, text)).collect::<Result<Vec<_>, _>>();
        let paths = |paths: &[PathBuf]| {
            let each = paths.iter().map(|path| fill(Place::Elsewhere, &path.to_string_lossy()).map(PathBuf::from));
            each.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            to: all(&self.to)?,
            cc: all(&self.cc)?,
            bcc: all(&self.bcc)?,
            from: some(&self.from, Place::Elsewhere)?,
            reply_to: some(&self.reply_to, Place::Elsewhere)?,
            subject: some(&self.subject, Place::Elsewhere)?,
            text: some(&self.text, Place::Elsewhere)?,
            html: some(&self.html, Place::Html)?,
            inline: all(&self.inline)?,
            attach: paths(&self.attach)?,
            invite: self.invite.clone(),
            unsubscribe: some(&self.unsubscribe, Place::Elsewhere)?,
            header: all(&self.header)?,
            dkim: self.dkim.clone(),
            amp_file: self.amp_file.clone(),
            reply: self.reply.clone(),
            reply_all: self.reply_all.clone(),
            forward: self.forward.clone(),
            wishes: self.wishes.clone(),
            ..Self::default()
        })
    }

    /// Makes the letter of its parts.
    pub(super) fn compose(&self, user: Option<&str>) -> Result<Message, Failure> {
        if self.named().next().is_none() && self.reply.is_none() && self.reply_all.is_none() {
            return Err(Failure::say(Exit::Usage, "nobody to send to: give --to, --cc or --bcc"));
        }
        let user = user.filter(|user| user.parse::<Address>().is_ok());
        let from = self.from.as_deref().or(user).ok_or_else(|| Failure::say(Exit::Usage, "no sender: give --from"))?;
        let mut letter = self.begun(from)?.from(from);
        letter = self.subject.iter().fold(letter, |letter, subject| letter.subject(subject));
        letter = self.to.iter().fold(letter, |letter, mailbox| letter.to(mailbox));
        letter = self.cc.iter().fold(letter, |letter, mailbox| letter.cc(mailbox));
        letter = self.bcc.iter().fold(letter, |letter, mailbox| letter.bcc(mailbox));
        letter = self.reply_to.iter().fold(letter, |letter, mailbox| letter.reply_to(mailbox));
        for field in &self.header {
            let (name, value) = field.split_once(':').ok_or_else(|| malformed("--header", field, "write 'Name: value'"))?;
            letter = letter.field(name.trim(), value.trim());
        }
        letter = self.text.iter().fold(letter, |letter, text| letter.text(text));
        letter = self.html.iter().fold(letter, |letter, html| letter.html(html));
        letter = self.unsubscribe.iter().fold(letter, |letter, url| letter.unsubscribe(url));
        if let Some(path) = &self.amp_file {
            let amp = String::from_utf8(read_whole(path)?)
                .map_err(|error| malformed("--amp-file", &path.display().to_string(), error))?;
            letter = letter.amp(amp);
        }
        if let Some(path) = &self.invite {
            let ics = String::from_utf8(read_whole(path)?)
                .map_err(|error| malformed("--invite", &path.display().to_string(), error))?;
            letter = letter.calendar(&ics);
        }
        for inline in &self.inline {
            let (id, path) = inline.split_once('=').ok_or_else(|| malformed("--inline", inline, "write ID=FILE"))?;
            letter = letter.inline_file(id, path);
        }
        // Last, so that the first mistake that is told is not the one that takes longest to find.
        letter = self.attach.iter().fold(letter, |letter, path| letter.attach_file(at_sign(path)));
        let mut letter = self.sign(letter.build().map_err(failure)?)?;
        self.wishes.put(&mut letter);
        Ok(letter)
    }

    /// From nothing, or from another letter.
    fn begun(&self, from: &str) -> Result<MessageBuilder, Failure> {
        let of = |path: &Path, begin: &dyn Fn(&[u8]) -> Result<MessageBuilder, MessageError>| {
            begin(&read_whole(path)?).map_err(failure)
        };
        match (&self.reply, &self.reply_all, &self.forward) {
            (Some(path), _, _) => of(path, &|letter| Message::reply(letter)),
            (None, Some(path), _) => {
                let me = address(from)?.to_string();
                of(path, &|letter| Message::reply_all(letter, &me))
            }
            (None, None, Some(path)) => of(path, &|letter| Message::forward(letter)),
            (None, None, None) => Ok(Message::builder()),
        }
    }

    fn sign(&self, letter: Message) -> Result<Message, Failure> {
        if self.dkim.is_empty() {
            return Ok(letter);
        }
        let Some(from) = letter.envelope().reverse_path.address().cloned() else {
            return Err(Failure::say(Exit::Usage, "a letter without a sender has no domain to sign for"));
        };
        let signer = |given: &String| {
            let (selector, path) = given.split_once('=').ok_or_else(|| malformed("--dkim", given, "write SELECTOR=FILE"))?;
            let pem = read_whole(Path::new(path))?;
            let key = dkim_key(&String::from_utf8_lossy(&pem)).map_err(|error| malformed("--dkim", given, error))?;
            Ok(Signer { domain: from.domain().clone(), selector: selector.to_owned(), key: key.into() })
        };
        let signers = self.dkim.iter().map(signer).collect::<Result<Vec<_>, Failure>>()?;
        letter.signed(&signers).map_err(|error| Failure::new(Exit::Data, error))
    }

    fn body(&self, stdin_taken: bool) -> Result<Option<String>, Failure> {
        if self.html.is_some() {
            return Ok(None);
        }
        if !stdin_taken && !io::stdin().is_terminal() {
            let text = String::from_utf8(read_whole(Path::new("-"))?);
            return text.map(Some).map_err(|_| {
                Failure::say(Exit::Data, "the text on standard input is not UTF-8; send it as a file with --attach")
            });
        }
        if self.attach.is_empty() && self.invite.is_none() && self.forward.is_none() {
            return Err(Failure::say(Exit::Usage, "nothing to send: give --text, --html, --attach or --eml, or pipe a text"));
        }
        Ok(None)
    }

    /// A letter that exists. What is named in the arguments goes before what it says itself.
    fn whole(&self, given: Given, user: Option<&str>) -> Result<Message, Failure> {
        let to = self.named().map(address).collect::<Result<Vec<_>, _>>()?;
        let from = self.from.as_deref().map(address).transpose()?.map(ReversePath::from);
        let letter = if to.is_empty() {
            let mut letter = Message::from_eml_headers(&given.head).map_err(failure)?;
            if let Some(from) = from {
                letter.envelope_mut().reverse_path = from;
            }
            letter
        } else {
            let from = match from {
                Some(from) => from,
                None => sender(&given.head, user)?.into(),
            };
            Message::from_eml(&given.head, from, to).map_err(failure)?
        };
        given.complete(letter).map_err(failure)
    }

    fn named(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }
}

/// Who a letter says it is from, or else who logs in.
fn sender(eml: &[u8], user: Option<&str>) -> Result<Address, Failure> {
    let named = mime::parse(eml, &Limits::default()).map_err(|error| Failure::new(Exit::Data, error))?.from;
    let from = named.first().map(|from| from.address.as_str()).or(user);
    address(from.ok_or_else(|| Failure::say(Exit::Data, "the letter names no sender: give --from"))?)
}

/// A file as swaks has it: `@letter.eml`, unless there is one that is called so.
fn at_sign(path: &Path) -> PathBuf {
    let bare = path.to_str().and_then(|path| path.strip_prefix('@')).map(PathBuf::from);
    bare.filter(|_| !path.exists()).unwrap_or_else(|| path.to_owned())
}

fn address(text: impl AsRef<str>) -> Result<Address, Failure> {
    let text = text.as_ref();
    text.parse::<Mailbox>().map(|mailbox| mailbox.address).map_err(|error| malformed("the mailbox", text, error))
}

fn failure(error: MessageError) -> Failure {
    let exit = if matches!(error, MessageError::File { .. } | MessageError::Read(_)) { Exit::NoInput } else { Exit::Data };
    Failure::new(exit, error)
}

/// A letter in a file, or on standard input.
fn given(path: &Path) -> Result<Given, Failure> {
    let read = if path == Path::new("-") {
        Given::read(io::stdin(), INPUT_BYTES_MAX)
    } else {
        File::open(path).and_then(|file| Given::read(file, INPUT_BYTES_MAX))
    };
    read.map_err(|error| Failure::say(Exit::NoInput, format_args!("{}: {error}", path.display())))
}

/// A file, or standard input.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut octets = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut octets))
    };
    read.map_err(|error| Failure::say(Exit::NoInput, format_args!("{}: {error}", path.display())))?;
    if u64::try_from(octets.len()).is_ok_and(|len| len > INPUT_BYTES_MAX) {
        return Err(Failure::say(Exit::Data, format_args!("{} is larger than 1 GiB", path.display())));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests;
