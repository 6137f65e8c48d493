//! `posthouse send`.

mod letter;
mod report;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use posthouse_client::{
    ClientError, Connection, Credentials, Line, RecipientResult, Security, ServerUrl, SessionError, Stage, Target,
};
use posthouse_mail::Envelope;
use posthouse_runtime::log::one_line;
use posthouse_runtime::stream::Buffered;
use posthouse_runtime::tls::{ClientTls, Roots};
use posthouse_runtime::{clock, task};

use super::password::{Ask, PasswordArgs};
use super::{Exit, Failure, Printer};
use letter::{Letter, LetterArgs};
use report::Report;

/// How long the system's resolver may take.
const LOOKUP_MAX: Duration = Duration::from_secs(30);
/// How we call ourselves: an address literal needs no name and tells nobody ours (RFC 5321 §4.1.3).
const HELO: &str = "[127.0.0.1]";

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
    /// Our name in EHLO: a host name or an address literal.
    #[arg(long, value_name = "NAME", default_value = HELO)]
    helo: String,
    /// Show the dialogue with the server on standard error, without its secrets.
    #[arg(long)]
    transcript: bool,
    #[command(flatten)]
    letter: LetterArgs,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let url: ServerUrl = args.server.parse().map_err(|error| Failure::say(Exit::Usage, format_args!("--server: {error}")))?;
    let user = args.user.as_deref().or(url.user());
    let letter = args.letter.read(user, args.password.uses_stdin())?;
    let credentials = match user {
        Some(user) => Some(credentials(user, &args.password)?),
        None => None,
    };
    let target = Target { credentials, ..target(&args, &url)? };
    let report = posthouse_runtime::block_on(send(target, &url, letter)).map_err(|error| Failure::new(Exit::Os, error))??;
    report.print(printer)?;
    report.exit().map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

fn credentials(user: &str, password: &PasswordArgs) -> Result<Credentials, Failure> {
    let password = password.read(Ask::Once)?;
    Credentials::new(user, password.expose()).map_err(|error| Failure::new(Exit::Data, error))
}

fn target(args: &Args, url: &ServerUrl) -> Result<Target, Failure> {
    let config = |error| Failure::new(Exit::NoInput, error);
    let security = if !url.is_protected() {
        Security::Plain
    } else if args.danger_accept_any_certificate {
        url.security(&ClientTls::danger_unverified().map_err(config)?)
    } else {
        let roots = args.ca.clone().map_or(Roots::Platform, Roots::PemFile);
        url.security(&ClientTls::verified(&roots).map_err(config)?)
    };
    // Certificates name hosts and addresses, not literals.
    let name = url.domain().literal().map_or_else(|| url.host().to_owned(), |address| address.to_string());
    let mut target = Target::new(name, Vec::new(), security, args.helo.as_str());
    target.protocol = url.protocol();
    // Asked for by name, and only where there is TLS at all: it keeps out who can only listen.
    target.danger_credentials_unprotected = args.danger_accept_any_certificate && url.is_protected();
    if args.transcript {
        target.transcript = Some(Arc::new(|line: &Line| report::dialogue(&line.to_string())));
    }
    Ok(target)
}

async fn send(mut target: Target, url: &ServerUrl, letter: Letter) -> Result<Report, Failure> {
    target.addresses = addresses(&target.name, url.port()).await?;
    let mut connection = Connection::open(&target).await.map_err(|error| failure(&error))?;
    let mut report = Report::new(url, &connection, &letter);
    let mut envelope: Envelope = letter.envelope;
    while !envelope.recipients.is_empty() {
        let mut body = Buffered::new(letter.bytes.clone());
        let results = connection.send(&envelope, &mut body).await.map_err(|error| failure(&error))?;
        let mut again = Vec::new();
        let asked = envelope.recipients.len();
        for (recipient, result) in std::mem::take(&mut envelope.recipients).into_iter().zip(results) {
            match result {
                // The server takes only so many at a time; the others were taken, so this ends.
                RecipientResult::NotTried(_) if connection.is_reusable() => again.push(recipient),
                result => report.add(&recipient.address, &result),
            }
        }
        if again.len() == asked {
            return Err(Failure::say(Exit::Protocol, "the server takes none of the recipients and refuses none"));
        }
        envelope.recipients = again;
    }
    connection.quit().await;
    Ok(report)
}

/// As every program of this machine finds a host: hosts file, search domains and all. A person types this name, not a mail server.
async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let name = host.to_owned();
    let lookup = task::blocking(move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    match clock::timeout(LOOKUP_MAX, lookup).await {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(Ok(_)) => Err(Failure::say(Exit::NoHost, format_args!("{host} has no address"))),
        Ok(Err(error)) => Err(Failure::say(Exit::NoHost, format_args!("{host} cannot be found: {error}"))),
        Err(_) => Err(Failure::say(Exit::TempFail, format_args!("{host} was not found in time"))),
    }
}

/// The exit code for a letter that nobody got, with the reason and what to do about it.
fn failure(error: &ClientError) -> Failure {
    let exit = match error {
        ClientError::NoAddress { .. } => Exit::NoHost,
        ClientError::Connect { .. } => Exit::TempFail,
        // Trying again does not mend a certificate.
        ClientError::Tls { .. } => Exit::Protocol,
        ClientError::Read(_) => Exit::Io,
        ClientError::Helo(_) => Exit::Usage,
        ClientError::Session { source, .. } => session_exit(source),
        _ if error.is_temporary() => Exit::TempFail,
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
        _ => Exit::Protocol,
    }
}
