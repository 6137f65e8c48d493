//! `posthouse tls`.

use std::sync::Arc;

use posthouse_delivery::{HostOutlook, NoLedger, Outlook, OutlookQuestion, Reached, Way, outlook};
use posthouse_http::Client;
use posthouse_mail::{Domain, TlsWish};
use posthouse_mailauth::Looked;
use posthouse_runtime::log::one_line;
use posthouse_transit::Store;

use super::data::{DataArgs, malformed};
use super::{Exit, Failure, Printer};
use crate::config::Config;
use crate::serve::hostname;

/// How safely letters travel to other servers.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse tls check example.org
  posthouse tls check example.org --no-connect --json")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Say how letters to a domain would travel now: what is asked of the connection to each of its hosts, by whom, and whether the host keeps it.
    ///
    /// Every DNS record that was looked at is shown, with a mark where DNSSEC vouches for it. Each host is connected to, and left before a letter. Exit code 75
    /// when no host could be used now.
    #[command(after_help = "\
Examples:
  posthouse tls check example.org
  posthouse tls check example.org --require-tls     (for a letter with REQUIRETLS)
  posthouse tls check example.org --no-connect")]
    Check {
        /// The domain of a recipient.
        domain: String,
        /// Ask the DNS alone.
        #[arg(long)]
        no_connect: bool,
        /// For a letter that requires TLS on its whole way (REQUIRETLS).
        #[arg(long)]
        require_tls: bool,
    },
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let Action::Check { domain, no_connect, require_tls } = args.action;
    let domain: Domain = domain.parse().map_err(|error| malformed("the domain", &domain, error))?;
    let Some(config) = args.data.config()? else {
        return Err(Failure::say(
            Exit::Usage,
            "what is asked depends on the configuration: name it by --config in place of --data",
        ));
    };
    let wish = if require_tls { TlsWish::Required } else { TlsWish::AsPromised };
    let found = look(&config, &domain, wish, !no_connect)?;
    show(&found, printer)?;
    printer.json(&found)?;
    if found.is_good() { Ok(()) } else { Err(Failure::silent(Exit::TempFail)) }
}

fn look(config: &Config, domain: &Domain, wish: TlsWish, connect: bool) -> Result<Outlook, Failure> {
    let setup = |error: anyhow::Error| Failure::new(Exit::Config, error);
    let resolver = posthouse_dns::real(&config.dns).map_err(|error| setup(error.into()))?;
    let way = Way::new(&config.delivery).map_err(|error| setup(error.into()))?;
    let client = Client::new(Arc::clone(&resolver), &config.http).map_err(|error| setup(error.into()))?;
    // The policies that a server knows count here too.
    let failed = |error: posthouse_transit::TransitError| Failure::new(Exit::Io, error);
    let store = Store::open(&config.data.join("transit.sqlite")).map_err(failed)?;
    let known = posthouse_transit::Policies::open(&store, Arc::clone(&resolver), client, &config.mta_sts, Arc::new(NoLedger))
        .map_err(failed)?;
    let hostname = hostname(config)?;
    let question = OutlookQuestion {
        domain,
        wish,
        connect,
        hostname: &hostname,
        settings: &config.delivery,
        way: &way,
        resolver: &resolver,
        sts: &known,
    };
    posthouse_runtime::block_on(outlook(&question)).map_err(|error| Failure::new(Exit::Os, error))
}

fn show(found: &Outlook, printer: &Printer) -> Result<(), Failure> {
    record(&found.mx, printer)?;
    if let Some(policy) = &found.mta_sts {
        printer.line(format_args!("MTA-STS policy, {}", one_line(policy)))?;
    }
    if let Some(why) = &found.nowhere {
        printer.line(printer.red(&one_line(why)))?;
    }
    for host in &found.hosts {
        show_host(host, printer)?;
    }
    Ok(())
}

fn show_host(host: &HostOutlook, printer: &Printer) -> Result<(), Failure> {
    printer.line("")?;
    printer.line(printer.bold(&format!("{}: {}", host.host, one_line(&host.policy))))?;
    for looked in &host.records {
        record(looked, printer)?;
    }
    if let Some(why) = &host.dane {
        printer.line(format_args!("  no DANE: {why}"))?;
    }
    if let Some(why) = &host.refused {
        printer.line(format_args!("  {}", printer.red(&format!("not used: {}", one_line(why)))))?;
    }
    let Some(Reached { ok, address, tls, why }) = &host.reached else { return Ok(()) };
    let mark = if *ok { printer.green("reached") } else { printer.red("not reached") };
    let address = address.map(|address| format!(" at {address}")).unwrap_or_default();
    let tls = match tls {
        Some(tls) => format!(" over {tls}"),
        None if *ok => " without TLS".to_owned(),
        None => String::new(),
    };
    let why = why.as_ref().map(|why| format!(": {}", one_line(why))).unwrap_or_default();
    printer.line(format_args!("  {mark}{address}{tls}{why}"))
}

fn record(looked: &Looked, printer: &Printer) -> Result<(), Failure> {
    let signed = if looked.authenticated { ", signed" } else { "" };
    let said = match &looked.error {
        Some(error) => error.clone(),
        None => looked.records.join("; "),
    };
    printer.line(printer.dim(&format!("  {} {}{signed}: {}", looked.name, looked.kind, one_line(&said))))
}
