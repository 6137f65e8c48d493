//! `posthouse alias`.

use serde::Serialize;

use posthouse_mail::Address;

use super::data::{DataArgs, block_on, malformed};
use super::{Failure, Printer};

/// Names that lead to other addresses, here or elsewhere.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse alias add info@example.org alice@example.org
  posthouse alias add team@example.org alice@example.org bob@example.org carol@elsewhere.example
  posthouse alias add '*@example.org' alice@example.org      (every name without an entry of its own)
  posthouse alias list --json")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Add an alias.
    #[command(after_help = "\
Examples:
  posthouse alias add info@example.org alice@example.org
  posthouse alias add '*@example.org' alice@example.org")]
    Add {
        /// The name; `*@domain` stands for every name without an entry of its own.
        address: String,
        /// Where it leads.
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Show the aliases.
    #[command(after_help = "Examples:\n  posthouse alias list\n  posthouse alias list --json")]
    List,
    /// Remove an alias.
    #[command(after_help = "Examples:\n  posthouse alias remove info@example.org")]
    Remove {
        /// The name.
        address: String,
    },
}

#[derive(Serialize)]
struct Removed {
    address: String,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    match args.action {
        Action::Add { address, targets } => {
            let address = parse(&address)?;
            let targets = targets.iter().map(|target| parse(target)).collect::<Result<Vec<_>, _>>()?;
            let admin = args.data.open()?;
            let added = block_on(admin.add_alias(&address, &targets))?;
            printer.line(format_args!("added {} -> {}", added.address, added.targets.join(", ")))?;
            printer.json(&added)
        }
        Action::List => {
            let admin = args.data.open()?;
            let aliases = block_on(admin.aliases())?;
            for alias in &aliases {
                printer.line(format_args!("{} -> {}", alias.address, alias.targets.join(", ")))?;
            }
            printer.json(&aliases)
        }
        Action::Remove { address } => {
            let address = parse(&address)?;
            let admin = args.data.open()?;
            block_on(admin.remove_alias(&address))?;
            printer.line(format_args!("removed {address}"))?;
            printer.json(&Removed { address: address.to_string() })
        }
    }
}

fn parse(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| malformed("the address", text, error))
}
