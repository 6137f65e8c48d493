//! `posthouse account app-password`.

use serde::Serialize;

use posthouse_admin::AppPasswordInfo;
use posthouse_config::Period;
use posthouse_directory::{AppPasswordName, Protocol};
use posthouse_mail::UnixMillis;
use posthouse_runtime::clock;

use super::parse;
use crate::cli::data::{DataArgs, block_on, malformed};
use crate::cli::{Failure, Printer};

#[derive(clap::Subcommand, Debug)]
pub(super) enum Action {
    /// Make an app password and print it, this one time.
    #[command(after_help = "\
A client that shows its password (PLAIN, LOGIN, POP3's PASS) logs in with the account's address; one that uses SCRAM,
with the name in it: alice+phone@example.org.

Examples:
  posthouse account app-password add alice@example.org phone
  posthouse account app-password add alice@example.org printer --for smtp --expires 365d")]
    Add {
        /// The account's address.
        address: String,
        /// What it is called: letters a to z, digits and `-`.
        name: String,
        /// What it is for: smtp (sending), pop3 (reading).
        #[arg(long = "for", value_name = "PROTOCOLS", value_delimiter = ',', default_value = "smtp,pop3")]
        protocols: Vec<String>,
        /// After this time it stops working, such as 90d.
        #[arg(long, value_name = "PERIOD")]
        expires: Option<String>,
    },
    /// Show the app passwords of an account, and when and where each was last used.
    #[command(after_help = "Examples:\n  posthouse account app-password list alice@example.org --json")]
    List {
        /// The account's address.
        address: String,
    },
    /// Take an app password away.
    #[command(after_help = "Examples:\n  posthouse account app-password remove alice@example.org phone")]
    Remove {
        /// The account's address.
        address: String,
        /// Its name.
        name: String,
    },
}

/// An app password that was just made.
#[derive(Serialize)]
struct Fresh<'a> {
    #[serde(flatten)]
    info: &'a AppPasswordInfo,
    password: &'a str,
}

#[derive(Serialize)]
struct Removed {
    removed: String,
}

pub(super) fn run(data: &DataArgs, action: Action, printer: &Printer) -> Result<(), Failure> {
    match action {
        Action::Add { address, name, protocols, expires } => {
            let (address, name) = (parse(&address)?, parse_name(&name)?);
            let protocols: Vec<Protocol> = protocols.iter().map(|text| parse_protocol(text)).collect::<Result<_, _>>()?;
            let expires = expires.map(|text| parse_expires(&text)).transpose()?;
            let (info, password) = block_on(data.open()?.add_app_password(&address, &name, &protocols, expires))?;
            printer.line(format_args!("added {name} for {address}: {}", about(&info)))?;
            printer.line(format_args!("login: {address} (with SCRAM: {})", info.login))?;
            printer.line(format_args!("password: {}", password.expose()))?;
            printer.json(&Fresh { info: &info, password: password.expose() })
        }
        Action::List { address } => {
            let found = block_on(data.open()?.app_passwords(&parse(&address)?))?;
            for info in &found {
                printer.line(format_args!("{}: {}, {}", info.name, about(info), last_used(info)))?;
            }
            printer.json(&found)
        }
        Action::Remove { address, name } => {
            let (address, name) = (parse(&address)?, parse_name(&name)?);
            block_on(data.open()?.remove_app_password(&address, &name))?;
            printer.line(format_args!("removed {name} of {address}"))?;
            printer.json(&Removed { removed: name.to_string() })
        }
    }
}

/// `for smtp and pop3, until 2027-11-26`
fn about(info: &AppPasswordInfo) -> String {
    let until = info.expires.as_ref().map(|at| format!(", until {at}"));
    format!("for {}{}", info.protocols.join(" and "), until.unwrap_or_default())
}

fn last_used(info: &AppPasswordInfo) -> String {
    match (&info.last_used, &info.last_peer, &info.last_protocol) {
        (Some(at), Some(peer), Some(protocol)) => format!("last used {at} for {protocol} from {peer}"),
        _ => "never used".to_owned(),
    }
}

fn parse_name(text: &str) -> Result<AppPasswordName, Failure> {
    text.parse().map_err(|error| malformed("the name", text, error))
}

fn parse_protocol(text: &str) -> Result<Protocol, Failure> {
    text.parse().map_err(|error| malformed("--for", text, error))
}

fn parse_expires(text: &str) -> Result<UnixMillis, Failure> {
    let period: Period = text.parse().map_err(|error| malformed("--expires", text, error))?;
    Ok(UnixMillis(clock::unix_millis()).plus(period.duration()))
}
