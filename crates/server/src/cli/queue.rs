//! `posthouse queue`.

mod change;
mod filter;
mod look;
mod suspend;
pub(super) mod text;
mod top;

use std::path::Path;

use posthouse_admin::AdminError;
use posthouse_admin::queue::{Change, View};
use posthouse_admin::socket::Client;
use posthouse_config::Period;

use self::filter::FilterArgs;

pub(super) use self::change::connect;
pub(super) use self::look::{suspended, table};
pub(super) use self::top::{Seen, head, see};
use super::data::{DataArgs, failure};
use super::{Exit, Failure, Printer};

/// Look at undelivered mail and change what becomes of it.
///
/// A running server is asked through its admin socket, `admin.sock` in the data directory, which only its user (and root) may open. Of a
/// stopped one the data directory is read; nothing can be changed then. Every change is in the journal with who made it: see
/// `posthouse trace`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse queue list --domain example.net --older 1h
  posthouse queue summary
  posthouse queue show 01KAS2Y8QH0000000000000000
  posthouse queue hold --sender robot@example.org
  posthouse queue suspend example.net --for 2h
  posthouse queue top")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show the letters, oldest first. With --json one object a line.
    #[command(after_help = "\
Examples:
  posthouse queue list
  posthouse queue list --domain example.net --older 2h --limit 20
  posthouse queue list --reason 'greylisted' --json")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Show so many at most; 0 shows all.
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
    },
    /// Show where letters go: how many, how old, the last error, the next attempt.
    #[command(after_help = "Examples:\n  posthouse queue summary\n  posthouse queue summary --json")]
    Summary,
    /// Show one letter: envelope, header, timeline, and why it waits.
    #[command(
        after_help = "Examples:\n  posthouse queue show 01KAS2Y8QH0000000000000000\n  posthouse queue show 01KAS2Y8QH0000000000000000 --json"
    )]
    Show {
        /// The id of the letter.
        id: String,
    },
    /// Try letters now, and the hosts they go to as well.
    #[command(
        after_help = "Examples:\n  posthouse queue retry 01KAS2Y8QH0000000000000000\n  posthouse queue retry --domain example.net --yes"
    )]
    Retry {
        #[command(flatten)]
        which: change::WhichArgs,
    },
    /// Keep letters from being tried until they are released. They do not expire meanwhile.
    #[command(after_help = "Examples:\n  posthouse queue hold --sender robot@example.org\n  posthouse queue list --held")]
    Hold {
        #[command(flatten)]
        which: change::WhichArgs,
    },
    /// Let letters go that are held.
    #[command(
        after_help = "Examples:\n  posthouse queue release 01KAS2Y8QH0000000000000000\n  posthouse queue release --held --yes"
    )]
    Release {
        #[command(flatten)]
        which: change::WhichArgs,
    },
    /// Take letters out of the queue, for good.
    #[command(after_help = "\
Examples:
  posthouse queue remove 01KAS2Y8QH0000000000000000
  posthouse queue remove 01KAS2Y8QH0000000000000000 --bounce      (and tell the sender)
  posthouse queue remove --sender robot@example.org --older 1d --yes")]
    Remove {
        #[command(flatten)]
        which: change::WhichArgs,
        /// Tell the sender, as of a failure.
        #[arg(long)]
        bounce: bool,
    },
    /// Send letters by another host, or again to where they are addressed.
    #[command(after_help = "\
Examples:
  posthouse queue redirect --domain example.net --to backup.example.net
  posthouse queue redirect --domain example.net --to '[192.0.2.7]:2525' --yes
  posthouse queue redirect --domain example.net --back --yes")]
    Redirect {
        #[command(flatten)]
        which: change::WhichArgs,
        /// The host, a name or an address literal; its port is 25 when none is given.
        #[arg(long, value_name = "HOST[:PORT]", required_unless_present = "back")]
        to: Option<String>,
        /// Take a redirection back.
        #[arg(long, conflicts_with = "to")]
        back: bool,
    },
    /// Change the priority of letters: the higher goes first.
    #[command(
        after_help = "Examples:\n  posthouse queue priority 5 01KAS2Y8QH0000000000000000\n  posthouse queue priority -9 --sender robot@example.org --yes"
    )]
    Priority {
        /// From -9 to 9; letters have 0 unless their sender asked for another.
        #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i8).range(-9..=9))]
        level: i8,
        #[command(flatten)]
        which: change::WhichArgs,
    },
    /// Stop delivery to a destination, or all of it, for a time or until it is resumed. Letters are taken as before.
    #[command(after_help = "\
Examples:
  posthouse queue suspend example.net --for 2h --reason 'their server is being moved'
  posthouse queue suspend --everything
  posthouse queue summary                                        (shows what is suspended)")]
    Suspend {
        #[command(flatten)]
        what: suspend::WhatArgs,
        /// It ends by itself after this time.
        #[arg(long = "for", value_name = "TIME")]
        period: Option<Period>,
        /// Why: it is shown to whoever asks why a letter waits.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let delivery go on that was suspended.
    #[command(after_help = "Examples:\n  posthouse queue resume example.net\n  posthouse queue resume --everything")]
    Resume {
        #[command(flatten)]
        what: suspend::WhatArgs,
    },
    /// Watch the queue, refreshed once a second; q quits. With --json one object a second.
    #[command(after_help = "Examples:\n  posthouse queue top\n  posthouse queue top --json | jq .summary.letters")]
    Top,
}

/// Where the queue is looked at.
enum Source {
    Running(Client),
    Stopped(View),
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let data = args.data.directory()?;
    if matches!(args.action, Action::Top) {
        return top::run(&data, printer);
    }
    let done = posthouse_runtime::block_on(act(&data, args.action, printer));
    done.map_err(|error| Failure::new(Exit::Os, error))?
}

async fn act(data: &Path, action: Action, printer: &Printer) -> Result<(), Failure> {
    match action {
        Action::List { filter, limit } => look::list(&mut source(data).await?, filter.filter(), limit, printer).await,
        Action::Summary => look::summary(&mut source(data).await?, printer).await,
        Action::Show { id } => look::show(&mut source(data).await?, data, id, printer).await,
        Action::Retry { which } => change::run(data, which, Change::Retry, printer).await,
        Action::Hold { which } => change::run(data, which, Change::Hold, printer).await,
        Action::Release { which } => change::run(data, which, Change::Release, printer).await,
        Action::Remove { which, bounce } => change::run(data, which, Change::Remove { bounce }, printer).await,
        // `--back` is what `to` is without.
        Action::Redirect { which, to, back: _ } => change::run(data, which, Change::Redirect { to }, printer).await,
        Action::Priority { level, which } => change::run(data, which, Change::Priority { level }, printer).await,
        Action::Suspend { what, period, reason } => suspend::suspend(data, what, period, reason, printer).await,
        Action::Resume { what } => suspend::resume(data, what, printer).await,
        Action::Top => Ok(()),
    }
}

async fn source(data: &Path) -> Result<Source, Failure> {
    if !data.is_dir() {
        return Err(failure(AdminError::NoData(data.to_owned())));
    }
    Ok(match Client::connect(data).await.map_err(failure)? {
        Some(client) => Source::Running(client),
        None => Source::Stopped(View::open(data).await.map_err(failure)?),
    })
}
