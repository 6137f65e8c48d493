//! `posthouse send`.

mod direct;
mod interrupt;
mod later;
mod letter;
mod merge;
mod profile;
mod report;
mod server;
mod state;
mod table;
mod way;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use posthouse_client::{ClientError, Mailer, MailerError, Message, ServerUrl, SessionError, Stage};
use posthouse_mail::UnixMillis;
use posthouse_runtime::log::one_line;
use posthouse_runtime::{clock, select};
use serde::Serialize;

use super::{Exit, Failure, Printer};
use direct::DirectArgs;
use interrupt::Interrupts;
use letter::LetterArgs;
use merge::MergeArgs;
use profile::Profile;
pub(super) use report::refused as refusal;
use report::{Report, Sketch};
use server::ServerArgs;
use way::Way;

/// Send a letter and see what becomes of it for each recipient.
///
/// The letter is made of --subject, --text, --html and --attach, or taken whole from --eml. Text is read from standard input when it is
/// piped. One line is printed for each recipient, with the server's reply; the exit code is that of the worst: 0 all accepted, 67 no such
/// recipient, 69 refused for good, 75 try again later, 77 not allowed (see sysexits(3)). What is not given is taken from the profile of the sender in
/// ~/.config/posthouse/profiles.toml.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse send --server smtp+starttls://alice@mail.example.org --to bob@example.net --subject Hello --text 'How are you?'
  df -h | posthouse send --from root@example.org --to admin@example.org --subject Disks
  posthouse send --to 'Bob <bob@example.net>' --cc carol@example.net --subject Report --text 'See the file.' --attach report.pdf
  posthouse send --eml letter.eml --transcript
  posthouse send --direct --helo mail.example.org --from alice@example.org --to bob@example.net --subject Hello --text 'Straight to you.'
  posthouse send --queue --at 18:00 --from root@example.org --to bob@example.net --subject Tonight --text 'See you.'
  posthouse send --merge people.csv --to '{{ email }}' --subject 'Hello {{ name }}' --html-file page.html --state sent.txt
  posthouse send --server smtps://localhost:2465 --ca mail/ca/ca.pem --user alice@example.test --password-env PASSWORD \\
                 --to bob@example.test --text Hello --json

Servers: smtps://host (TLS, port 465), smtp+starttls://host (port 587), smtp://host (no TLS, port 25), lmtp://host (port 24);
with a user smtps://user@host; with a port smtps://host:2465.")]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Hand the letter to the Posthouse of this machine, which delivers it; with its server down it is kept and goes out when it is up again. No password is
    /// needed (POSTHOUSE_SUBMIT names its socket file).
    #[arg(long, conflicts_with_all = ["server", "port", "user", "auth", "token_command", "cert", "ca", "tls", "tls_on_connect", "danger_accept_any_certificate", "proxy", "helo", "source"])]
    queue: bool,
    /// The server holds the letter until then: 18:00, '2026-12-24 18:00' (local time), a time with its zone (RFC 3339), +90m, +2h or +3d. It has to offer FUTURERELEASE;
    /// with --queue ours does.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Use this profile [default: the one whose sender this is].
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Connect to nobody: make everything, and print what would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Write the letter to this file too (`-`: standard output).
    #[arg(long, value_name = "FILE", conflicts_with = "merge")]
    save: Option<PathBuf>,
    #[command(flatten)]
    direct: DirectArgs,
    #[command(flatten)]
    letter: LetterArgs,
    #[command(flatten)]
    merge: MergeArgs,
}

/// What would be sent. The names are an interface.
#[derive(Serialize)]
struct Planned<'a> {
    from: String,
    to: Vec<String>,
    message_id: Option<&'a str>,
    size: u64,
}

/// The words of the command line, with swaks' `--h-NAME VALUE` and `--header-NAME VALUE` written as our own.
pub(super) fn spelled(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut spelled: Vec<OsString> = Vec::new();
    let mut words = words;
    let mut is_send = false;
    while let Some(word) = words.next() {
        is_send |= spelled.len() == 1 && word == "send";
        let text = word.to_str().filter(|_| is_send);
        let field = text.and_then(|text| text.strip_prefix("--h-").or_else(|| text.strip_prefix("--header-")));
        let Some(field) = field.map(str::to_owned) else {
            spelled.push(word);
            continue;
        };
        let (name, value) = match field.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (field, words.next().map(|value| value.to_string_lossy().into_owned())),
        };
        let value = value.unwrap_or_default();
        let subject = name.eq_ignore_ascii_case("Subject");
        spelled.push(if subject { format!("--subject={value}") } else { format!("--header={name}: {value}") }.into());
    }
    spelled
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let profile = profile::find(args.profile.as_deref(), args.letter.from.as_deref())?;
    args.with(profile).run(printer)
}

impl Args {
    /// What is not given is the profile's.
    fn with(mut self, mut profile: Profile) -> Self {
        self.direct.direct |= profile.direct && self.server.server.is_empty() && !self.queue;
        self.letter.part_mailboxes();
        self.letter.from = self.letter.from.or(profile.from.take());
        self.server.take(profile, self.queue || self.direct.direct);
        self
    }

    fn run(self, printer: &Printer) -> Result<(), Failure> {
        // Before the password is asked for: a wrong URL or time should not cost one.
        let at = self.at.as_deref().map(|text| later::read(text, UnixMillis(clock::unix_millis()))).transpose()?;
        let urls = self.server.urls()?;
        if urls.is_empty() && !(self.queue || self.direct.direct || self.dry_run) {
            return Err(Failure::say(
                Exit::Usage,
                "no server: give --server, or a profile that has one, or --direct, or --queue",
            ));
        }
        let user = self.server.user(&urls);
        if let Some(path) = &self.merge.merge {
            return self.run_merge(path, &urls, user.as_deref(), at, printer);
        }
        let mut letter = self.letter.clone().read(user.as_deref(), self.server.password.uses_stdin())?;
        letter.envelope_mut().release_at = at;
        if let Some(path) = &self.save {
            save(&letter, path, printer)?;
        }
        if self.dry_run {
            return plan(&letter, printer);
        }
        let way = self.way(&urls, user.as_deref())?;
        let sending = async {
            let told = match carry(&way, &letter, printer).await? {
                Ok(report) => {
                    let printed = report.print(printer);
                    report.exit().map_or(printed, |exit| Err(Failure::silent(exit)))
                }
                Err(error) => Err(failure(&error)),
            };
            // What is known is told before a server is waited for that does not say farewell.
            way.close().await;
            told
        };
        posthouse_runtime::block_on(sending).map_err(|error| Failure::new(Exit::Os, error))?
    }

    fn run_merge(
        &self,
        path: &Path,
        urls: &[ServerUrl],
        user: Option<&str>,
        at: Option<UnixMillis>,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let mut letter = self.letter.clone();
        letter.take_files(self.server.password.uses_stdin())?;
        let letters = self.merge.letters(path, letter, user)?;
        if self.dry_run {
            for letter in letters.each() {
                plan(&letter?, printer)?;
            }
            return Ok(());
        }
        let state = self.merge.state()?;
        let way = self.way(urls, user)?;
        posthouse_runtime::block_on(merge::send(&way, letters, at, state, printer))
            .map_err(|error| Failure::new(Exit::Os, error))?
    }

    fn way(&self, urls: &[ServerUrl], user: Option<&str>) -> Result<Way, Failure> {
        let mailer = if self.queue {
            return Ok(Way::queue(self.server.transcript));
        } else if self.direct.direct {
            self.straight()?
        } else {
            let mut mailer = self.server.mailer(urls, user)?;
            if self.merge.merge.is_some() {
                mailer = mailer.connections(self.merge.connections.into());
            }
            if let Some(rate) = self.merge.rate {
                mailer = mailer.rate(rate, Duration::from_secs(1));
            }
            mailer.build().map_err(unusable)?
        };
        Ok(Way::Server(Box::new(mailer)))
    }

    fn straight(&self) -> Result<Mailer, Failure> {
        let mut mailer = self.direct.mailer(&self.server)?;
        if self.merge.merge.is_some() {
            mailer = mailer.connections(self.merge.connections.into());
        }
        if let Some(rate) = self.merge.rate {
            mailer = mailer.rate(rate, Duration::from_secs(1));
        }
        mailer.build().map_err(unusable)
    }
}

/// Sends one letter. Who interrupts it is told what became of it: as long as not all of it was sent, nobody has it and it ends at once; then the answer is waited for,
/// unless it is interrupted once more.
async fn carry(way: &Way, letter: &Message, printer: &Printer) -> Result<Result<Report, ClientError>, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let sketch = Sketch::of(letter);
    let mut sending = Box::pin(way.send(letter));
    let mut waits = false;
    loop {
        select! {
            sent = &mut sending => return Ok(sent?.map(|end| Report::of(way, &sketch, &end))),
            () = interrupts.next() => {
                let was_given = letter.was_given();
                if waits || !was_given {
                    return Ok(Ok(Report::interrupted(way, &sketch, was_given)));
                }
                waits = true;
                let words = "all of the letter was sent; waiting for the server's answer (once more does not wait)";
                printer.failure(&Failure::say(Exit::TempFail, words));
            }
        }
    }
}

fn plan(letter: &Message, printer: &Printer) -> Result<(), Failure> {
    let envelope = letter.envelope();
    let to: Vec<String> = envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let planned = Planned { from: envelope.reverse_path.to_string(), to, message_id: letter.message_id(), size: letter.size() };
    let words = format!("would send {} octets from <{}> to {}", planned.size, planned.from, planned.to.join(", "));
    printer.line(one_line(&words))?;
    printer.json(&planned)
}

/// The letter as it is sent, piece by piece.
fn save(letter: &Message, path: &Path, printer: &Printer) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::say(Exit::CannotCreate, format_args!("{}: {error}", path.display()));
    if path == Path::new("-") {
        let bytes = letter.to_bytes().map_err(|error| Failure::new(Exit::NoInput, error))?;
        return printer.raw(&bytes);
    }
    let mut file = File::create(path).map_err(failed)?;
    letter.write_to(&mut file).map_err(|error| {
        // Half a letter is none.
        if file.metadata().is_ok_and(|about| about.is_file()) {
            let _ = std::fs::remove_file(path);
        }
        failed(error)
    })
}

/// The exit code for arguments that make no mailer.
fn unusable(error: MailerError) -> Failure {
    let exit = match &error {
        MailerError::Tls(_) | MailerError::Roots(_) | MailerError::Policies(_) => Exit::NoInput,
        MailerError::Resolver(_) => Exit::Config,
        MailerError::Credentials(_) => Exit::Data,
        MailerError::Url(_) | MailerError::NoPassword(_) | MailerError::NoUser | MailerError::Helo(_) | _ => Exit::Usage,
    };
    Failure::new(exit, error)
}

/// The exit code for a letter that nobody got, with the reason and what to do about it.
fn failure(error: &ClientError) -> Failure {
    let exit = match error {
        ClientError::NoAddress { .. } | ClientError::Resolve { .. } => Exit::NoHost,
        ClientError::Connect { .. } => Exit::TempFail,
        // Trying again does not mend a certificate.
        ClientError::Tls { .. } => Exit::Protocol,
        ClientError::Read(_) => Exit::Io,
        ClientError::Helo(_) | ClientError::NoServer => Exit::Usage,
        ClientError::Session { source, .. } => session_exit(source),
        ClientError::Runtime(_) => Exit::Os,
        ClientError::Token(_) => Exit::NoPermission,
        ClientError::Busy { .. } => Exit::TempFail,
        ClientError::Local { .. } => Exit::TempFail,
        ClientError::NoConnection(error) => return failure(error),
        _ => Exit::Unavailable,
    };
    let cause = error.cause().map_or_else(String::new, |cause| format!(" {cause}"));
    Failure::say(exit, format_args!("{}. {}{cause}", one_line(&error.to_string()), error.advice()))
}

fn session_exit(error: &SessionError) -> Exit {
    match error {
        SessionError::Refused { stage: Stage::Login, reply } if reply.is_permanent() => Exit::NoPermission,
        SessionError::TokenRefused { reply, .. } if reply.is_permanent() => Exit::NoPermission,
        SessionError::TokenRefused { .. } => Exit::TempFail,
        SessionError::UnprotectedLogin | SessionError::Login(_) => Exit::NoPermission,
        SessionError::Refused { reply, .. } if reply.is_permanent() => Exit::Unavailable,
        SessionError::Refused { .. } | SessionError::Timeout(_) | SessionError::Lost(_) => Exit::TempFail,
        SessionError::NoMechanism { .. } => Exit::Unavailable,
        SessionError::Misuse(_) => Exit::Software,
        SessionError::BodyUnreadable | SessionError::BodyLength { .. } => Exit::Io,
        SessionError::Protocol { .. } | SessionError::Unreadable { .. } | SessionError::Injected | SessionError::NoStartTls => {
            Exit::Protocol
        }
    }
}
