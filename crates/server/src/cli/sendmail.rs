//! `posthouse sendmail`, and `sendmail`, `mailq` and `newaliases` by their names.
//!
//! A letter is first put into the maildrop, durably, and only then sent on: with the server down it stays there, the program that sent it is told that all is
//! well, and it goes out with a later call or with `sendmail -q`. It leaves the maildrop when the server has answered for every recipient.

mod drop;
mod options;

use std::io::{self, Read as _};

use posthouse_client::{Mailer, Message, RecipientResult, SendReport};
use posthouse_mail::{Address, ReversePath};
use posthouse_runtime::log::one_line;

use super::{Exit, Failure, Printer};
use drop::{Kept, Maildrop};
use options::{Mode, Options};

/// The octets of a letter that is read.
const LETTER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What programs expect of /usr/sbin/sendmail.
///
/// Reads a letter on standard input and hands it to the server: --server, POSTHOUSE_SERVER, or smtp://localhost:25. With the server down the letter is kept in the
/// maildrop and goes out later. Under the names `sendmail`, `mailq` and `newaliases` the binary does this by itself.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Options: -t (recipients from the header), -f ADDRESS or -r ADDRESS (sender), -F NAME, -i or -oi (a lone dot does not end the letter), -bm, -bp (list the maildrop), -bs (SMTP on
standard input and output: not there), -bv (check only), -q (send what is in the maildrop), -N DSN, -R full|hdrs, -V ENVID, -B TYPE, -O, -o, -C, -v, --

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

fn act(options: Options, printer: &Printer) -> Result<(), Failure> {
    let maildrop = Maildrop::open()?;
    match options.mode {
        Mode::Deliver => deliver(&options, &maildrop, printer),
        Mode::List => list(&maildrop, printer),
        Mode::Flush => flush(&options, &maildrop, printer),
        // Aliases are in the directory, where each change counts at once.
        Mode::Aliases => Ok(()),
        Mode::Verify => options.recipients.iter().try_for_each(|text| {
            let address = options::address(text)?;
            printer.line(format_args!("{address}... deliverable"))
        }),
    }
}

fn deliver(options: &Options, maildrop: &Maildrop, printer: &Printer) -> Result<(), Failure> {
    let letter = read_letter(options)?;
    let kept = maildrop.keep(&letter)?;
    let before = maildrop.letters()?.into_iter().filter(|other| other != &kept).collect::<Vec<_>>();
    // Whatever becomes of it now, it is safe; only a refusal for good is the caller's business.
    let refused = hand_over(options, maildrop, &[kept], printer)?;
    if !refused && !before.is_empty() {
        hand_over(options, maildrop, &before, printer)?;
    }
    if refused { Err(Failure::silent(Exit::Unavailable)) } else { Ok(()) }
}

fn flush(options: &Options, maildrop: &Maildrop, printer: &Printer) -> Result<(), Failure> {
    let waiting = maildrop.letters()?;
    if waiting.is_empty() {
        return Ok(());
    }
    hand_over(options, maildrop, &waiting, printer)?;
    let left = maildrop.letters()?.len();
    if left == 0 { Ok(()) } else { Err(Failure::say(Exit::TempFail, format_args!("{left} letters are still in the maildrop"))) }
}

/// Sends letters on; those whose every recipient has been answered for leave the maildrop. Whether one of them was refused for good.
fn hand_over(options: &Options, maildrop: &Maildrop, waiting: &[Kept], printer: &Printer) -> Result<bool, Failure> {
    let mailer = Mailer::connect(&options.server).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut letters = Vec::new();
    for kept in waiting {
        // Another call may have sent it meanwhile.
        if let Some(letter) = maildrop.claim(kept)? {
            letters.push(letter);
        }
    }
    let messages: Vec<Message> = letters.iter().map(|claimed| claimed.message.clone()).collect();
    let sending = async {
        let results = mailer.send_all(&messages).await;
        mailer.close().await;
        results
    };
    let results = posthouse_runtime::block_on(sending).map_err(|error| Failure::new(Exit::Os, error))?;
    let mut refused = false;
    for (claimed, result) in letters.into_iter().zip(results) {
        match result {
            Ok(report) => {
                refused |= tell(&report, printer);
                let open = still_open(&report);
                maildrop.settle(claimed, &open)?;
            }
            Err(error) => {
                if options.verbose {
                    printer.failure(&Failure::say(
                        Exit::TempFail,
                        format_args!("kept in the maildrop: {}", one_line(&error.to_string())),
                    ));
                }
                maildrop.release(claimed);
            }
        }
    }
    Ok(refused)
}

/// Says what was refused for good; whether anything was.
fn tell(report: &SendReport, printer: &Printer) -> bool {
    let mut refused = false;
    for recipient in report.failed().filter(|recipient| !recipient.is_temporary()) {
        refused = true;
        printer.failure(&Failure::say(Exit::Unavailable, one_line(&recipient.to_string())));
    }
    refused
}

/// Those who are to be tried again. One whose letter may have arrived is not: twice is what nobody asked for.
fn still_open(report: &SendReport) -> Vec<Address> {
    let again = |result: &RecipientResult| match result {
        RecipientResult::Refused(reply) => !reply.is_permanent(),
        RecipientResult::NotTried(_) => true,
        RecipientResult::Accepted(_) | RecipientResult::Unsendable(_) | RecipientResult::Unknown(_) => false,
    };
    report.recipients.iter().filter(|recipient| again(&recipient.result)).map(|recipient| recipient.address.clone()).collect()
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

fn read_letter(options: &Options) -> Result<Message, Failure> {
    let mut octets = Vec::new();
    let read = io::stdin().lock().take(LETTER_BYTES_MAX + 1).read_to_end(&mut octets);
    read.map_err(|error| Failure::new(Exit::NoInput, error))?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > LETTER_BYTES_MAX {
        return Err(Failure::say(Exit::Data, "the letter is larger than 256 MiB"));
    }
    if !options.ignore_dots {
        cut_at_dot(&mut octets);
    }
    let octets = completed(octets, options)?;
    let wrong = |error: posthouse_client::MessageError| Failure::new(Exit::Data, error);
    let mut letter = if options.from_header {
        let mut letter = Message::from_eml_headers(&octets).map_err(wrong)?;
        // As sendmail has it, addresses on the command line are then taken out.
        let not = options.recipients.iter().map(|text| options::address(text)).collect::<Result<Vec<_>, _>>()?;
        letter.envelope_mut().recipients.retain(|recipient| !not.contains(&recipient.address));
        if letter.envelope().recipients.is_empty() {
            return Err(Failure::say(Exit::Usage, "no recipient is left"));
        }
        letter
    } else {
        let to = options.recipients.iter().map(|text| options::address(text)).collect::<Result<Vec<_>, _>>()?;
        Message::from_eml(&octets, ReversePath::NULL, to).map_err(wrong)?
    };
    let envelope = letter.envelope_mut();
    if let Some(sender) = &options.sender {
        envelope.reverse_path = sender.clone();
    } else if !options.from_header {
        envelope.reverse_path = options::me()?.into();
    }
    (envelope.ret, envelope.envid) = (options.ret, options.envid.clone());
    envelope.recipients.iter_mut().for_each(|recipient| recipient.notify = options.notify);
    Ok(letter)
}

/// Without `-i` a line of a single dot ends the letter.
fn cut_at_dot(octets: &mut Vec<u8>) {
    let mut at = 0;
    for line in octets.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line, b".\n" | b".\r\n" | b".") {
            octets.truncate(at);
            return;
        }
        at += line.len();
    }
}

/// The letter with the fields that programs leave to sendmail: `From`, `Date` and `Message-ID`.
fn completed(octets: Vec<u8>, options: &Options) -> Result<Vec<u8>, Failure> {
    use posthouse_mail::header::{Header, end_of_header};
    use posthouse_mail::{LetterId, UnixMillis};
    let whole = posthouse_mail::mime::to_crlf(&octets);
    let (end, _) = end_of_header(&whole).unwrap_or((whole.len(), whole.len()));
    let (header, _) = whole.split_at_checked(end).unwrap_or((&whole, &[]));
    let Ok(header) = Header::parse(header) else {
        // Text without a header: what mail(1) of old sends. The empty line makes it a body.
        let text = [b"\r\n", whole.as_slice()].concat();
        return completed(text, options);
    };
    let now = UnixMillis(posthouse_runtime::clock::unix_millis());
    let mut added = String::new();
    if header.first("From").is_none() {
        let sender = match &options.sender {
            Some(ReversePath(Some(address))) => address.clone(),
            Some(ReversePath(None)) | None => options::me()?,
        };
        added.push_str(&match &options.full_name {
            Some(name) => format!("From: \"{}\" <{sender}>\r\n", name.replace(['"', '\\'], " ")),
            None => format!("From: {sender}\r\n"),
        });
    }
    if header.first("Date").is_none() {
        added.push_str(&format!("Date: {}\r\n", now.to_rfc5322()));
    }
    if header.first("Message-ID").is_none() {
        added.push_str(&format!(
            "Message-ID: <{}@{}>\r\n",
            LetterId::new(now, posthouse_runtime::random::u128()),
            options::host()
        ));
    }
    Ok([added.as_bytes(), &whole].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_dot_ends_the_letter_and_a_line_that_begins_with_one_does_not() {
        let mut octets = b"A: b\n\n.x\n.\nrest\n".to_vec();
        cut_at_dot(&mut octets);
        assert_eq!(octets, b"A: b\n\n.x\n");
        let mut octets = b"A: b\n\nx".to_vec();
        cut_at_dot(&mut octets);
        assert_eq!(octets, b"A: b\n\nx");
    }

    #[test]
    fn what_programs_leave_out_is_put_in_and_what_they_give_is_kept() {
        let options = Options::parse(&["-f".to_owned(), "root@x.test".to_owned(), "-FCron \"D\"".to_owned()]).unwrap();
        let text = |octets: &[u8]| String::from_utf8(completed(octets.to_vec(), &options).unwrap()).unwrap();
        let made = text(b"Subject: s\n\nhi\n");
        assert!(made.starts_with("From: \"Cron  D \" <root@x.test>\r\nDate: "), "{made}");
        assert!(made.contains("\r\nMessage-ID: <") && made.ends_with("\r\nSubject: s\r\n\r\nhi\r\n"));
        let given = "From: a@x.test\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nhi\r\n";
        assert_eq!(text(given.as_bytes()), given);
        assert!(text(b"just text\nand more\n").ends_with("\r\n\r\njust text\r\nand more\r\n"));
    }
}
