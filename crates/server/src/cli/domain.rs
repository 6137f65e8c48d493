//! `posthouse domain`.

use posthouse_admin::DnsRecord;
use posthouse_mail::Domain;

use super::data::{DataArgs, block_on, malformed};
use super::{Failure, Printer};

/// The domains whose mail this server takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse domain add example.org
  posthouse domain dns example.org
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
    /// Take mail for a domain, and make the keys that sign its letters.
    #[command(after_help = "Examples:\n  posthouse domain add example.org\n  posthouse domain add bücher.example --data ./mail")]
    Add {
        /// The domain; U-labels are turned into A-labels.
        domain: String,
    },
    /// Print the records that the domain's DNS should have: DKIM, SPF, DMARC.
    #[command(after_help = "Examples:\n  posthouse domain dns example.org\n  posthouse domain dns example.org --json")]
    Dns {
        /// The domain.
        domain: String,
    },
    /// Make new keys beside those there are, and print their records. All sign until the old ones are dropped.
    #[command(
        after_help = "Examples:\n  posthouse domain rotate example.org     (then publish the records, wait, and drop the old keys)"
    )]
    Rotate {
        /// The domain.
        domain: String,
    },
    /// Sign no more with a key. Leave its record in the DNS for some days: letters are on their way.
    #[command(after_help = "Examples:\n  posthouse domain drop-key example.org 20261124r")]
    DropKey {
        /// The domain.
        domain: String,
        /// The key's selector.
        selector: String,
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
        Action::Dns { domain } => {
            let domain = parse(&domain)?;
            let admin = args.data.open()?;
            show(&block_on(admin.dns_records(&domain))?, printer)
        }
        Action::Rotate { domain } => {
            let domain = parse(&domain)?;
            let admin = args.data.open()?;
            show(&block_on(admin.add_keys(&domain))?, printer)
        }
        Action::DropKey { domain, selector } => {
            let domain = parse(&domain)?;
            let admin = args.data.open()?;
            block_on(admin.remove_key(&domain, &selector))?;
            printer.line(format_args!("dropped {selector}"))?;
            printer.json(&serde_json::json!({ "dropped": selector }))
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

fn show(records: &[DnsRecord], printer: &Printer) -> Result<(), Failure> {
    for record in records {
        printer.line(record.to_line())?;
    }
    printer.json(&records)
}

fn parse(text: &str) -> Result<Domain, Failure> {
    text.parse().map_err(|error| malformed("the domain", text, error))
}
