//! `posthouse domain`.

use posthouse_mail::Domain;

use super::data::{DataArgs, block_on, malformed};
use super::{Failure, Printer};

/// The domains whose mail this server takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse domain add example.org
  posthouse domain list --json
  posthouse domain remove example.org")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Take mail for a domain.
    #[command(after_help = "Examples:\n  posthouse domain add example.org\n  posthouse domain add bücher.example --data ./mail")]
    Add {
        /// The domain; U-labels are turned into A-labels.
        domain: String,
    },
    /// Show the domains.
    #[command(after_help = "Examples:\n  posthouse domain list\n  posthouse domain list --json")]
    List,
    /// Take no more mail for a domain. It must have no accounts; its aliases go with it.
    #[command(after_help = "Examples:\n  posthouse domain remove example.org")]
    Remove {
        /// The domain.
        domain: String,
    },
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    match args.action {
        Action::Add { domain } => {
            let domain = parse(&domain)?;
            let admin = args.data.open_or_create()?;
            let added = block_on(admin.add_domain(&domain))?;
            printer.line(format_args!("added {}", added.unicode))?;
            printer.json(&added)
        }
        Action::List => {
            let admin = args.data.open()?;
            let domains = block_on(admin.domains())?;
            for domain in &domains {
                printer.line(&domain.unicode)?;
            }
            printer.json(&domains)
        }
        Action::Remove { domain } => {
            let domain = parse(&domain)?;
            let admin = args.data.open()?;
            let removed = block_on(admin.remove_domain(&domain))?;
            printer.line(format_args!("removed {}", removed.unicode))?;
            printer.json(&removed)
        }
    }
}

fn parse(text: &str) -> Result<Domain, Failure> {
    text.parse().map_err(|error| malformed("the domain", text, error))
}
