//! `posthouse account`.

mod app_password;
mod grants;
mod lists;

use serde::Serialize;

use posthouse_admin::{AccountInfo, generate_password};
use posthouse_config::Secret;
use posthouse_directory::SenderRule;
use posthouse_mail::Address;

use super::data::{DataArgs, block_on, malformed};
use super::password::{Ask, PasswordArgs};
use super::{Failure, Printer};

/// The people who have a mailbox here and can log in.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse account add alice@example.org
  posthouse account add robot@example.org --generate
  posthouse account password alice@example.org --password-command 'pass show mail/alice'
  posthouse account app-password add alice@example.org phone
  posthouse account block alice@example.org a.example
  posthouse account list --json")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Add an account. Its address is its login; the domain must be there before.
    #[command(after_help = "\
Examples:
  posthouse account add alice@example.org                    (asks for the password)
  posthouse account add alice@example.org --generate         (makes one and prints it)
  posthouse account add alice@example.org --password-file ./password")]
    Add {
        /// The address.
        address: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Show the accounts.
    #[command(after_help = "Examples:\n  posthouse account list\n  posthouse account list --json")]
    List,
    /// Remove an account. Its mail stays on the disk unless --with-mail is given.
    #[command(
        after_help = "Examples:\n  posthouse account remove alice@example.org\n  posthouse account remove alice@example.org --with-mail"
    )]
    Remove {
        /// The address.
        address: String,
        /// Remove its mail too, for good.
        #[arg(long)]
        with_mail: bool,
    },
    /// Passwords for one device or program each: for some protocols, for some time, and taken away alone.
    #[command(after_help = "\
Examples:
  posthouse account app-password add alice@example.org phone
  posthouse account app-password list alice@example.org
  posthouse account app-password remove alice@example.org phone")]
    AppPassword {
        #[command(subcommand)]
        action: app_password::Action,
    },
    /// Take letters of these senders into the inbox, also when a filter takes them for junk, if it is proven that they are theirs; and without greylisting.
    #[command(
        after_help = "Examples:\n  posthouse account allow alice@example.org bob@a.example\n  posthouse account allow alice@example.org a.example news.b.example"
    )]
    Allow(lists::Senders),
    /// Refuse letters of these senders, for this account alone.
    ///
    /// A sender in the envelope is refused with 550. Who only shows in the header (`From`), or writes to a list that the account is on, is
    /// taken and stored in Junk: there the others could not be answered apart.
    #[command(
        after_help = "Examples:\n  posthouse account block alice@example.org pest@a.example\n  posthouse account block alice@example.org a.example     (and everything below it)"
    )]
    Block(lists::Senders),
    /// Let this account write in the names of others: of an address that several people answer for, or of a whole domain.
    ///
    /// Its own address, with whatever behind a `+`, and aliases that lead to it alone, need no grant. Everything else that is submitted in another name is
    /// refused with 553, in the envelope and in the header.
    #[command(
        after_help = "Examples:\n  posthouse account grant alice@example.org team@example.org\n  posthouse account grant newsletter@example.org news.example.org     (and everything below it)"
    )]
    Grant(lists::Senders),
    /// Take grants back.
    #[command(after_help = "Examples:\n  posthouse account revoke alice@example.org team@example.org")]
    Revoke(lists::Senders),
    /// Show in whose names an account may write beside its own.
    #[command(after_help = "Examples:\n  posthouse account grants alice@example.org --json")]
    Grants {
        /// The account.
        address: String,
    },
    /// Forget what was said of these senders.
    #[command(after_help = "Examples:\n  posthouse account unlist alice@example.org a.example")]
    Unlist(lists::Senders),
    /// Show whom an account allows and blocks.
    #[command(
        after_help = "Examples:\n  posthouse account lists alice@example.org\n  posthouse account lists alice@example.org --json"
    )]
    Lists {
        /// The account.
        address: String,
    },
    /// Change a password.
    #[command(after_help = "\
Examples:
  posthouse account password alice@example.org
  posthouse account password alice@example.org --generate --json")]
    Password {
        /// The address.
        address: String,
        #[command(flatten)]
        password: NewPassword,
    },
}

#[derive(clap::Args, Debug)]
struct NewPassword {
    #[command(flatten)]
    from: PasswordArgs,
    /// Make a random password and print it.
    #[arg(long, conflicts_with_all = ["password_file", "password_env", "password_command"])]
    generate: bool,
}

/// An account whose password was set, with the password if nobody knows it yet.
#[derive(Serialize)]
struct WithPassword<'a> {
    #[serde(flatten)]
    account: &'a AccountInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    match args.action {
        Action::Allow(senders) => lists::set(&args.data, &senders, SenderRule::Allow, printer),
        Action::Block(senders) => lists::set(&args.data, &senders, SenderRule::Block, printer),
        Action::Unlist(senders) => lists::unset(&args.data, &senders, printer),
        Action::Grant(senders) => grants::set(&args.data, &senders, printer),
        Action::Revoke(senders) => grants::unset(&args.data, &senders, printer),
        Action::Grants { address } => grants::show(&args.data, &parse(&address)?, printer),
        Action::Lists { address } => lists::show(&args.data, &parse(&address)?, printer),
        Action::AppPassword { action } => app_password::run(&args.data, action, printer),
        Action::Add { address, password } => {
            let address = parse(&address)?;
            let admin = args.data.open()?;
            let secret = password.get()?;
            let account = block_on(admin.add_account(&address, &secret))?;
            told("added", &account, password.generate.then_some(&secret), printer)
        }
        Action::List => {
            let admin = args.data.open()?;
            let accounts = block_on(admin.accounts())?;
            for account in &accounts {
                printer.line(&account.address)?;
            }
            printer.json(&accounts)
        }
        Action::Remove { address, with_mail } => {
            let address = parse(&address)?;
            let admin = args.data.open()?;
            let removed = block_on(admin.remove_account(&address, with_mail))?;
            printer.line(format_args!("removed {}", removed.account.address))?;
            if let Some(folder) = &removed.mail_folder {
                printer.line(format_args!("its mail is still in {folder}"))?;
            }
            for alias in &removed.aliases {
                printer.line(format_args!("the alias {alias} still names it"))?;
            }
            printer.json(&removed)
        }
        Action::Password { address, password } => {
            let address = parse(&address)?;
            let admin = args.data.open()?;
            // Nobody should think of a password for an account that does not exist.
            let account = block_on(admin.account(&address.to_string()))?;
            let secret = password.get()?;
            block_on(admin.set_password(&address, &secret))?;
            told("changed the password of", &account, password.generate.then_some(&secret), printer)
        }
    }
}

fn told(done: &str, account: &AccountInfo, generated: Option<&Secret>, printer: &Printer) -> Result<(), Failure> {
    let password = generated.map(Secret::expose);
    printer.line(format_args!("{done} {}", account.address))?;
    if let Some(password) = password {
        printer.line(format_args!("password: {password}"))?;
    }
    printer.json(&WithPassword { account, password })
}

impl NewPassword {
    fn get(&self) -> Result<Secret, Failure> {
        if self.generate { Ok(generate_password()) } else { self.from.read(Ask::Twice) }
    }
}

fn parse(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| malformed("the address", text, error))
}
