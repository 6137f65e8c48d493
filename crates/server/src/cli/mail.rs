//! `posthouse mail`.

use std::io::{self, IsTerminal as _};

use serde::Serialize;

use posthouse_admin::{AdminError, Letter, MailInfo};
use posthouse_mailbox::Folder;
use posthouse_runtime::log::one_line;
use posthouse_runtime::stream::ByteSource as _;

use super::data::{DataArgs, block_on, failure};
use super::{Exit, Failure, Printer};

/// The largest letter that is put into JSON: it is held in memory for that.
const JSON_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Look into a mailbox. Nothing is marked as read.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse mail list alice@example.org
  posthouse mail show alice@example.org             (the newest letter)
  posthouse mail show alice@example.org 7 > letter.eml
  posthouse mail list alice@example.org --folder junk
  posthouse mail move alice@example.org 3 --folder junk --to inbox
  posthouse mail list alice@example.org --json")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show what is in a folder, oldest first.
    #[command(after_help = "Examples:\n  posthouse mail list alice@example.org\n  posthouse mail list alice@example.org --json")]
    List {
        /// The account's address.
        account: String,
        /// The folder.
        #[arg(long, value_enum, default_value_t)]
        folder: Place,
    },
    /// Show one letter: its octets as they are, or without control characters on a terminal.
    #[command(
        after_help = "Examples:\n  posthouse mail show alice@example.org\n  posthouse mail show alice@example.org 7 > letter.eml"
    )]
    Show {
        /// The account's address.
        account: String,
        /// The letter's number in the list; the newest if none is given.
        uid: Option<u32>,
        /// The folder.
        #[arg(long, value_enum, default_value_t)]
        folder: Place,
    },
    /// Move a letter to another folder: what was taken for junk into the inbox, where POP3 sees it, or the other way.
    #[command(after_help = "Examples:\n  posthouse mail move alice@example.org 3 --folder junk --to inbox")]
    Move {
        /// The account's address.
        account: String,
        /// The letter's number in the list.
        uid: u32,
        /// The folder that it is in.
        #[arg(long, value_enum, default_value_t)]
        folder: Place,
        /// The folder that it goes to.
        #[arg(long, value_enum)]
        to: Place,
    },
}

/// A folder, as it is typed.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Where mail arrives.
    #[default]
    Inbox,
    /// Where mail arrives that is taken for junk.
    Junk,
}

/// Where a letter is now.
#[derive(Serialize)]
struct Moved {
    uid: u32,
    folder: String,
}

impl From<Place> for Folder {
    fn from(place: Place) -> Self {
        match place {
            Place::Inbox => Self::Inbox,
            Place::Junk => Self::Junk,
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    info: &'a MailInfo,
    /// Whether octets that are not UTF-8 were replaced in `raw`.
    lossy: bool,
    raw: &'a str,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let admin = args.data.open()?;
    match args.action {
        Action::List { account, folder } => {
            let inbox = block_on(admin.messages(&account, folder.into()))?;
            for info in &inbox {
                printer.line(row(info))?;
            }
            printer.json(&inbox)
        }
        Action::Move { account, uid, folder, to } => {
            if folder == to {
                return Err(Failure::say(Exit::Usage, format_args!("the letter is in {} already", Folder::from(to))));
            }
            let (uid, folder) = (block_on(admin.shift(&account, folder.into(), uid, to.into()))?, Folder::from(to).to_string());
            printer.line(format_args!("it is in {folder} now, as {uid}"))?;
            printer.json(&Moved { uid, folder })
        }
        Action::Show { account, uid, folder } => {
            let shown = posthouse_runtime::block_on(async {
                let letter = admin.letter(&account, folder.into(), uid).await.map_err(failure)?;
                if printer.is_json() { show_json(letter, printer).await } else { show(letter, printer).await }
            });
            shown.map_err(|error| Failure::new(Exit::Os, error))?
        }
    }
}

/// `   7 *  2026-11-24 03:12  12345  Alice <alice@example.org>  Hello`; the star is for what nobody has read.
fn row(info: &MailInfo) -> String {
    let new = if info.seen { ' ' } else { '*' };
    let at = info.at.get(..16).unwrap_or(&info.at).replace('T', " ");
    let text = |field: &Option<String>| field.as_deref().map_or_else(|| "-".to_owned(), |text| one_line(text).into_owned());
    format!("{:>5} {new}  {at}  {:>9}  {}  {}", info.uid, info.size, text(&info.from), text(&info.subject))
}

async fn show(mut letter: Letter, printer: &Printer) -> Result<(), Failure> {
    let terminal = io::stdout().is_terminal();
    while let Some(chunk) = letter.body.next().await.map_err(|error| failure(AdminError::Read(error)))? {
        if terminal {
            printer.raw(&harmless(&chunk))?;
        } else {
            printer.raw(&chunk)?;
        }
    }
    Ok(())
}

/// A letter comes from anybody: what would speak to the terminal is shown as a dot.
fn harmless(chunk: &[u8]) -> Vec<u8> {
    let speaks = |byte: u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t');
    // U+0080 to U+009F are controls too: 0xC2 and 0x80 to 0x9F.
    let mut before = 0;
    let shown = chunk.iter().map(|&byte| {
        let c1 = before == 0xc2 && (0x80..=0x9f).contains(&byte);
        before = byte;
        if speaks(byte) || c1 { b'.' } else { byte }
    });
    shown.collect()
}

async fn show_json(mut letter: Letter, printer: &Printer) -> Result<(), Failure> {
    if letter.info.size > JSON_BYTES_MAX {
        return Err(Failure::say(Exit::Data, "the letter is too large for JSON; show it without --json"));
    }
    let mut octets = Vec::new();
    while let Some(chunk) = letter.body.next().await.map_err(|error| failure(AdminError::Read(error)))? {
        octets.extend_from_slice(&chunk);
    }
    let raw = String::from_utf8_lossy(&octets);
    let lossy = matches!(raw, std::borrow::Cow::Owned(_));
    printer.json(&Shown { info: &letter.info, lossy, raw: &raw })
}

#[cfg(test)]
mod tests;
