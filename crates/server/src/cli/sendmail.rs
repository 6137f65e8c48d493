//! `posthouse sendmail`, and `sendmail`, `mailq` and `newaliases` by their names.
//!
//! A letter is handed to the Posthouse of this machine over its socket file, or by SMTP to a server that is named. What neither takes now is put into the maildrop,
//! durably, and the program is told that all is well: it goes out with a later call, with `sendmail -q`, or when the server that starts again empties the maildrop. A
//! letter whose end is unknown, because the server went away before its answer, is kept too: it may come twice, with the same Message-ID, but it is never lost.

mod dot;
mod letter;
mod options;
mod verify;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use posthouse_client::{ClientError, LocalServer, Mailer, Message, RecipientResult, SendReport, Transport};
use posthouse_mail::Address;
use posthouse_runtime::local;
use posthouse_runtime::log::one_line;

use self::options::{Mode, Options};
use super::send::refusal;
use super::{Exit, Failure, Printer};
use crate::maildrop::{Kept, Maildrop, SHARED};

/// The server that is asked where there is neither a Posthouse nor a shared maildrop, and none is named.
const SERVER: &str = "smtp://localhost:25";

/// What programs expect of /usr/sbin/sendmail.
///
/// Reads a letter on standard input and hands it to the Posthouse of this machine over its socket file (POSTHOUSE_SUBMIT, else /run/posthouse/submit.sock), or by SMTP to
/// the server that --server or POSTHOUSE_SERVER names. When the server is down or puts the letter off it is kept in the maildrop and goes out later. Under the names `sendmail`, `mailq` and `newaliases` the
/// binary does this by itself.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Options: -t (recipients from the header), -f ADDRESS or -r ADDRESS (sender), -F NAME, -i or -oi (a lone dot does not end the letter), -bm, -bp (list the maildrop), -bs (SMTP on
standard input and output), -bv (ask whether recipients would be taken), -q (send what is in the maildrop), -N DSN, -R full|hdrs, -V ENVID, -B TYPE, -O, -o, -C, -v, --

Exit codes: 0 the letter is accepted or kept, 64 wrong use, 65 it is no letter, 67 no such recipient, 69 refused for good, 75 -q left letters in the maildrop, 77 not allowed (see sysexits(3)).

Examples:
  posthouse sendmail -t < letter.eml
  posthouse sendmail -f alice@example.org bob@example.net < letter.eml
  git config sendemail.smtpServer /usr/sbin/sendmail     (a link to posthouse)")]
pub(crate) struct Args {
    /// Options as sendmail has them, and recipients.
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result<(), Failure> {
    act(Options::parse(&args.words)?, printer)
}

/// What one of the three names asks for; none for any other name.
pub(crate) fn by_name(name: &str, words: &[String], printer: &Printer) -> Option<Result<(), Failure>> {
    let run = |first: &[&str]| {
        let all: Vec<String> = first.iter().map(|&word| word.to_owned()).chain(words.iter().cloned()).collect();
        Options::parse(&all).and_then(|options| act(options, printer))
    };
    match name {
        "sendmail" => Some(run(&[])),
        "mailq" => Some(run(&["-bp"])),
        "newaliases" => Some(run(&["-bi"])),
        _ => None,
    }
}

/// Who is given letters.
enum Way {
    /// The Posthouse of this machine.
    Local(LocalServer),
    /// A server, by SMTP.
    Server(Box<Mailer>),
}

impl Way {
    fn of(options: &Options) -> Result<Self, Failure> {
        let named = std::env::var_os("POSTHOUSE_SUBMIT").filter(|path| !path.is_empty()).map(PathBuf::from);
        let socket = named.clone().unwrap_or_else(|| LocalServer::SOCKET.into());
        let is_here = named.is_some() || socket.exists() || Path::new(SHARED).exists();
        let url = match &options.server {
            None if is_here => return Ok(Self::Local(LocalServer::at(&socket))),
            None => SERVER,
            Some(server) => server,
        };
        Mailer::connect(url).map(|mailer| Self::Server(Box::new(mailer))).map_err(|error| Failure::new(Exit::Usage, error))
    }

    fn transport(&self) -> &dyn Transport {
        match self {
            Self::Local(server) => server,
            Self::Server(mailer) => mailer.as_ref(),
        }
    }

    async fn close(&self) {
        if let Self::Server(mailer) = self {
            mailer.close().await;
        }
    }

    /// The domain that names without one belong to: the local server says it, or else this host's name has to do.
    async fn domain(&self) -> String {
        if let Self::Local(server) = self
            && let Ok(connection) = server.open().await
        {
            let name = connection.capabilities().name.clone();
            connection.quit().await;
            return name;
        }
        Maildrop::open().ok().and_then(|maildrop| maildrop.domain()).unwrap_or_else(options::host)
    }
}

fn act(options: Options, printer: &Printer) -> Result<(), Failure> {
    match options.mode {
        Mode::Deliver => deliver(&options, printer),
        Mode::Smtp => smtp(&options, printer),
        Mode::List => list(&Maildrop::open()?, printer),
        Mode::Flush => flush(&options, printer),
        // Aliases are in the directory, where each change counts at once.
        Mode::Aliases => Ok(()),
        Mode::Verify => verify::run(&options, printer),
    }
}

/// What became of a letter that was handed over.
#[derive(Default)]
struct Given {
    /// Those who are to be tried again.
    open: Vec<Address>,
    /// The exit code of the worst refusal.
    refused: Option<Exit>,
    /// Why nobody got it.
    why: Option<String>,
}

fn deliver(options: &Options, printer: &Printer) -> Result<(), Failure> {
    let given = letter::read()?;
    let way = Way::of(options)?;
    let given = posthouse_runtime::block_on(async {
        let letter = letter::make(given, options, &way.domain().await)?;
        let given = give(&way, &letter, options, printer).await;
        if let (Way::Server(_), [], None) = (&way, given.open.as_slice(), given.refused) {
            // The server is up: what waited for it goes too.
            let maildrop = Maildrop::open()?;
            for kept in maildrop.letters()? {
                send_kept(&way, &maildrop, &kept, options, printer).await?;
            }
        }
        way.close().await;
        Ok::<_, Failure>((letter, given))
    });
    let (mut letter, given) = given.map_err(|error| Failure::new(Exit::Os, error))??;
    if !given.open.is_empty() {
        letter.envelope_mut().recipients.retain(|recipient| given.open.contains(&recipient.address));
        Maildrop::open()?.keep(&letter)?;
    }
    given.refused.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

/// Hands a letter over, and tells what was refused for good.
async fn give(way: &Way, letter: &Message, options: &Options, printer: &Printer) -> Given {
    let told = match way.transport().send(letter).await {
        Ok(report) => return tell(&report, printer),
        Err(error) => error,
    };
    if options.verbose {
        printer.failure(&Failure::say(Exit::TempFail, format_args!("kept in the maildrop: {}", one_line(&told.to_string()))));
    }
    let open = letter.envelope().recipients.iter().map(|recipient| recipient.address.clone()).collect();
    Given { open, refused: None, why: Some(one_line(&told.to_string()).into_owned()) }
}

fn tell(report: &SendReport, printer: &Printer) -> Given {
    let mut given = Given::default();
    for recipient in &report.recipients {
        let exit = match &recipient.result {
            RecipientResult::Accepted(_) => continue,
            RecipientResult::Refused(reply) if reply.is_permanent() => refusal(reply),
            RecipientResult::Unsendable(_) => Exit::Data,
            RecipientResult::Refused(_) | RecipientResult::NotTried(_) | RecipientResult::Unknown(_) => {
                given.open.push(recipient.address.clone());
                continue;
            }
        };
        given.refused = given.refused.or(Some(exit));
        printer.failure(&Failure::say(exit, one_line(&recipient.to_string())));
    }
    given
}

/// SMTP on standard input and output: what is spoken there is spoken with the server.
fn smtp(options: &Options, printer: &Printer) -> Result<(), Failure> {
    let Way::Local(server) = Way::of(options)? else {
        return Err(Failure::say(Exit::Unavailable, "-bs speaks with the Posthouse of this machine, and none is there"));
    };
    match local::couple(server.path(), io::stdin(), io::stdout()) {
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            // RFC 5321 §3.8, so that the program hears it in its own language.
            printer.raw(b"421 4.3.2 the mail server of this machine is down, try again later\r\n")?;
            Err(Failure::new(Exit::TempFail, ClientError::Local { path: server.path().to_owned(), cause }))
        }
        coupled => coupled.map_err(|error| Failure::new(Exit::Io, error)),
    }
}

fn flush(options: &Options, printer: &Printer) -> Result<(), Failure> {
    let maildrop = Maildrop::open()?;
    let waiting = maildrop.letters()?;
    if waiting.is_empty() {
        return Ok(());
    }
    let way = Way::of(options)?;
    let sent = posthouse_runtime::block_on(async {
        let mut why = None;
        for kept in &waiting {
            why = send_kept(&way, &maildrop, kept, options, printer).await?.or(why);
        }
        way.close().await;
        Ok::<_, Failure>(why)
    });
    let why = sent.map_err(|error| Failure::new(Exit::Os, error))??;
    let left = maildrop.letters()?.len();
    let words = match left {
        0 => return Ok(()),
        1 => "1 letter is still in the maildrop".to_owned(),
        _ => format!("{left} letters are still in the maildrop"),
    };
    Err(Failure::say(Exit::TempFail, why.map_or(words.clone(), |why| format!("{words}: {why}"))))
}

/// Sends a letter of the maildrop; why nobody got it, where that is so.
async fn send_kept(
    way: &Way,
    maildrop: &Maildrop,
    kept: &Kept,
    options: &Options,
    printer: &Printer,
) -> Result<Option<String>, Failure> {
    // Another call may have sent it meanwhile.
    let Some(claimed) = maildrop.claim(kept)? else { return Ok(None) };
    let given = give(way, &claimed.message, options, printer).await;
    if given.open.len() < claimed.message.envelope().recipients.len() {
        maildrop.settle(claimed, &given.open)?;
    } else {
        maildrop.release(claimed);
    }
    Ok(given.why)
}

fn list(maildrop: &Maildrop, printer: &Printer) -> Result<(), Failure> {
    let waiting = maildrop.letters()?;
    if waiting.is_empty() {
        return printer.line("the maildrop is empty");
    }
    for kept in &waiting {
        printer.line(one_line(&maildrop.describe(kept)?))?;
    }
    Ok(())
}
