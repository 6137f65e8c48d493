//! `posthouse send`.

mod letter;
mod report;

use std::path::PathBuf;

use posthouse_client::{ClientError, Line, Mailer, MailerBuilder, MailerError, ServerUrl, SessionError, Stage, UrlError};
use posthouse_config::Secret;
use posthouse_runtime::log::one_line;
use posthouse_runtime::tls::Roots;

use super::password::{Ask, PasswordArgs};
use super::{Exit, Failure, Printer};
use letter::LetterArgs;
use report::Report;

/// Send a letter and see what becomes of it for each recipient.
///
/// The letter is made of --subject, --text, --html and --attach, or taken whole from --eml. Text is read from standard input when it is
/// piped. One line is printed for each recipient, with the server's reply; the exit code is that of the worst: 0 all accepted, 67 no such
/// recipient, 69 refused for good, 75 try again later, 77 not allowed (see sysexits(3)).
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse send --server smtp+starttls://alice@mail.example.org --to bob@example.net --subject Hello --text 'How are you?'
  df -h | posthouse send --from root@example.org --to admin@example.org --subject Disks
  posthouse send --to 'Bob <bob@example.net>' --cc carol@example.net --subject Report --text 'See the file.' --attach report.pdf
  posthouse send --eml letter.eml --transcript
  posthouse send --server smtps://localhost:2465 --ca mail/ca/ca.pem --user alice@example.test --password-env PASSWORD \\
                 --to bob@example.test --text Hello --json

Servers: smtps://host (TLS, port 465), smtp+starttls://host (port 587), smtp://host (no TLS, port 25), lmtp://host (port 24);
with a user smtps://user@host; with a port smtps://host:2465.")]
pub(crate) struct Args {
    /// The server, such as smtp+starttls://alice@mail.example.org:587.
    #[arg(long, short, value_name = "URL", env = "POSTHOUSE_SERVER", hide_env_values = true)]
    server: String,
    /// Log in as this user, if the URL names none.
    #[arg(long, short, value_name = "LOGIN")]
    user: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Trust the certificate authorities in this PEM file, and no others.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Accept any certificate: whoever is on the way can read and change everything, the password too.
    #[arg(long, conflicts_with = "ca")]
    danger_accept_any_certificate: bool,
    /// Our name in EHLO: a host name or an address literal [default: our address].
    #[arg(long, value_name = "NAME")]
    helo: Option<String>,
    /// Show the dialogue with the server on standard error, without its secrets.
    #[arg(long)]
    transcript: bool,
    #[command(flatten)]
    letter: LetterArgs,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    // Before the password is asked for: a wrong URL should not cost one.
    let url: ServerUrl = args.server.parse().map_err(|error: UrlError| unusable(error.into()))?;
    let user = args.user.as_deref().or(url.user());
    let letter = args.letter.read(user, args.password.uses_stdin())?;
    let password = user.is_some().then(|| args.password.read(Ask::Once)).transpose()?;
    let mailer = args.mailer(&url, user.zip(password.as_ref())).and_then(MailerBuilder::build).map_err(unusable)?;
    let sending = async {
        let sent = mailer.send(&letter).await;
        mailer.close().await;
        sent
    };
    let sent = posthouse_runtime::block_on(sending).map_err(|error| Failure::new(Exit::Os, error))?;
    let report = Report::new(&mailer, &letter, &sent.map_err(|error| failure(&error))?);
    report.print(printer)?;
    report.exit().map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

impl Args {
    fn mailer(&self, url: &ServerUrl, credentials: Option<(&str, &Secret)>) -> Result<MailerBuilder, MailerError> {
        let mut mailer = Mailer::builder(&self.server)?;
        if let Some((user, password)) = credentials {
            mailer = mailer.credentials(user, password.expose());
        }
        if let Some(ca) = &self.ca {
            mailer = mailer.roots(Roots::PemFile(ca.clone()));
        }
        if let Some(helo) = &self.helo {
            mailer = mailer.helo(helo);
        }
        if self.transcript {
            mailer = mailer.transcript(|line: &Line| report::dialogue(&line.to_string()));
        }
        if self.danger_accept_any_certificate {
            // Asked for by name. Without TLS a password still goes nowhere but to loopback.
            mailer = mailer.danger_accept_any_certificate();
            if url.is_protected() {
                mailer = mailer.danger_send_password_unprotected();
            }
        }
        Ok(mailer)
    }
}

/// The exit code for arguments that make no mailer.
fn unusable(error: MailerError) -> Failure {
    let exit = match &error {
        MailerError::Tls(_) => Exit::NoInput,
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
        ClientError::Helo(_) => Exit::Usage,
        ClientError::Session { source, .. } => session_exit(source),
        ClientError::Runtime(_) => Exit::Os,
        ClientError::Token(_) => Exit::NoPermission,
        ClientError::Busy { .. } => Exit::TempFail,
        ClientError::NoConnection(error) => return failure(error),
        _ => Exit::Unavailable,
    };
    Failure::say(exit, format_args!("{}. {}", one_line(&error.to_string()), error.advice()))
}

fn session_exit(error: &SessionError) -> Exit {
    match error {
        SessionError::Refused { stage: Stage::Login, reply } if reply.is_permanent() => Exit::NoPermission,
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
