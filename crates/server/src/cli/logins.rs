//! `posthouse logins`.

use serde::Serialize;

use posthouse_admin::SlowedInfo;

use super::data::{DataArgs, block_on};
use super::{Exit, Failure, Printer};

/// Who is slowed down for wrong passwords.
///
/// Works beside a running server or without one. The log-ins themselves are in the timeline: `posthouse trace ADDRESS`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse logins list
  posthouse logins clear 192.0.2.7
  posthouse logins clear alice@example.org
  posthouse trace alice@example.org")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show the accounts, addresses and networks whose log-ins are slowed down now.
    #[command(after_help = "Examples:\n  posthouse logins list\n  posthouse logins list --json")]
    List,
    /// Forgive: the next try is looked at.
    #[command(after_help = "Examples:\n  posthouse logins clear 192.0.2.0/24\n  posthouse logins clear --all")]
    Clear {
        /// An account, an address or a network, as `list` shows it.
        #[arg(required_unless_present = "all")]
        subject: Option<String>,
        /// Everybody.
        #[arg(long, conflicts_with = "subject")]
        all: bool,
    },
}

#[derive(Serialize)]
struct Cleared {
    cleared: usize,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let admin = args.data.open()?;
    match args.action {
        Action::List => {
            let limits = args.data.config()?.map(|config| config.logins).unwrap_or_default();
            let slowed = block_on(admin.slowed(limits))?;
            for one in &slowed {
                printer.line(line(one))?;
            }
            if slowed.is_empty() {
                printer.line("nobody is slowed down")?;
            }
            printer.json(&slowed)
        }
        Action::Clear { subject, all: _ } => {
            let cleared = block_on(admin.clear_slowed(subject.clone()))?;
            if let (0, Some(subject)) = (cleared, &subject) {
                let words = format_args!("nothing went wrong for `{}`", posthouse_runtime::log::one_line(subject)).to_string();
                return Err(Failure::say(Exit::NoUser, words));
            }
            printer.line(format_args!("forgotten: {cleared}"))?;
            printer.json(&Cleared { cleared })
        }
    }
}

/// `the address 192.0.2.7: 24 wrong passwords, the next try in 58 min`
fn line(one: &SlowedInfo) -> String {
    let who = [one.account.as_deref(), one.place.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" from ");
    let who = posthouse_runtime::log::one_line(&who);
    let kind = if one.kind == "place" { "account" } else { &one.kind };
    format!("the {kind} {who}: {} wrong passwords, the next try in {} min", one.failures, one.wait.div_ceil(60))
}
