//! `posthouse domain`.

use std::sync::Arc;

use posthouse_admin::DnsRecord;
use posthouse_admin::keys::{KeyInfo, Published};
use posthouse_http::Client;
use posthouse_mail::Domain;
use posthouse_transit::check::{self, Finding, Wanted};

use super::data::{DataArgs, block_on, malformed};
use super::{Exit, Failure, Printer, reputation};
use crate::config::Config;
use crate::serve::{hostname, policy};
use crate::tlsa::Keys;

/// The domains whose mail this server takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse domain add example.org
  posthouse domain dns example.org
  posthouse domain check example.org
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
    /// Print the records that the domain's DNS should have: DKIM, SPF, DMARC, TLS-RPT; and MTA-STS where a policy is configured.
    #[command(after_help = "Examples:\n  posthouse domain dns example.org\n  posthouse domain dns example.org --json")]
    Dns {
        /// The domain.
        domain: String,
    },
    /// See whether what is configured, served and published of the domain is the same: MTA-STS, TLSA, DKIM keys, where reports go; and whether SPF
    /// passes for what the host writes itself.
    ///
    /// It looks from outside: asks the DNS, and fetches the policy over HTTPS. Exit code 65 when something is not right.
    #[command(
        after_help = "Examples:\n  posthouse domain check example.org\n  posthouse domain check example.org --json || echo not right"
    )]
    Check {
        /// The domain.
        domain: String,
    },
    /// Make new keys beside those there are, and print the records to publish. The running server signs with them when the DNS has had the records for a
    /// while (`dkim.settle`), and no more with the old ones.
    #[command(
        after_help = "Examples:\n  posthouse domain rotate example.org\n  posthouse domain rotate example.org --now     (others have got hold of a key)"
    )]
    Rotate {
        /// The domain.
        domain: String,
        /// Sign with the new keys from this moment and no more with the old ones, whatever the DNS has: until the records are published, letters go
        /// without a signature that others believe.
        #[arg(long)]
        now: bool,
    },
    /// Show the keys of a domain: which sign, which wait for the DNS, which sign no more.
    #[command(after_help = "Examples:\n  posthouse domain keys example.org\n  posthouse domain keys example.org --json")]
    Keys {
        /// The domain.
        domain: String,
    },
    /// Forget a key, and sign no more with it. Leave its record in the DNS for some days: letters are on their way.
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
            let config = args.data.config()?;
            let settings = config.as_ref().map(|config| config.dkim.clone()).unwrap_or_default();
            let mut records = block_on(admin.dns_records(&domain, &settings))?;
            if let Some(config) = config {
                records.extend(transit_records(&domain, &config)?);
                records.extend(Keys::read(&config, &hostname(&config)?)?.records());
            }
            show(&records, printer)
        }
        Action::Check { domain } => examine(&parse(&domain)?, &args.data, printer),
        Action::Rotate { domain, now } => {
            let domain = parse(&domain)?;
            let admin = args.data.open()?;
            show(&block_on(admin.rotate_keys(&domain, now))?, printer)
        }
        Action::Keys { domain } => {
            let domain = parse(&domain)?;
            let keys = block_on(args.data.open()?.keys(&domain))?;
            for KeyInfo { selector, algorithm, state, made, since } in &keys {
                printer.line(format_args!("{selector}: {algorithm}, {state} since {since}, made {made}"))?;
            }
            printer.json(&keys)
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

/// The records for our own MTA-STS policy.
fn transit_records(domain: &Domain, config: &Config) -> Result<Vec<DnsRecord>, Failure> {
    let (hostname, policy) = (hostname(config)?, policy(config)?);
    let wanted = policy.map(|policy| check::records(domain, &hostname, &policy)).unwrap_or_default();
    let record = |Wanted { name, kind, value }| DnsRecord { name, kind: kind.to_owned(), value };
    Ok(wanted.into_iter().map(record).collect())
}

fn examine(domain: &Domain, data: &DataArgs, printer: &Printer) -> Result<(), Failure> {
    let Some(config) = data.config()? else {
        return Err(Failure::say(Exit::Usage, "a check compares with the configuration: name it by --config in place of --data"));
    };
    let policy = policy(&config)?;
    let setup = |error: anyhow::Error| Failure::new(Exit::Config, error);
    let resolver = posthouse_dns::real(&config.dns).map_err(|error| setup(error.into()))?;
    let client = Client::new(Arc::clone(&resolver), &config.http).map_err(|error| setup(error.into()))?;
    let hostname = hostname(&config)?;
    let keys = Keys::read(&config, &hostname)?;
    let admin = data.open()?;
    let published = block_on(admin.published_keys(domain, &config.dkim, &resolver))?;
    let looked = posthouse_runtime::block_on(async {
        let mut findings = check::examine(&resolver, &client, domain, policy.as_ref(), config.mta_sts.port).await;
        findings.extend(published.into_iter().map(|Published { name, right, words }| Finding { subject: name, right, words }));
        findings.extend(keys.examine(&resolver).await);
        findings.push(reputation::dmarc(&resolver, domain).await);
        findings.extend(reputation::own_letters(&resolver, &hostname).await);
        findings
    });
    let findings: Vec<Finding> = looked.map_err(|error| Failure::new(Exit::Os, error))?;
    for Finding { subject, right, words } in &findings {
        let mark = if *right { printer.green("right") } else { printer.red("wrong") };
        printer.line(format_args!("{mark}  {subject}  {}", posthouse_runtime::log::one_line(words)))?;
    }
    printer.json(&findings)?;
    if findings.iter().all(|finding| finding.right) { Ok(()) } else { Err(Failure::silent(Exit::Data)) }
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
