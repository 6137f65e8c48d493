//! `posthouse queue`.

mod change;
mod filter;
mod look;
pub(super) mod text;

use std::path::Path;

use posthouse_admin::queue::View;
use posthouse_admin::socket::Client;
use posthouse_admin::{AdminError, queue};

use self::filter::FilterArgs;

pub(super) use self::change::connect;
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
  posthouse queue remove --sender robot@example.org --bounce")]
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
}

/// Where the queue is looked at.
enum Source {
    Running(Client),
    Stopped(View),
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let data = args.data.directory()?;
    let done = posthouse_runtime::block_on(async {
        match args.action {
            Action::List { filter, limit } => look::list(&mut source(&data).await?, filter.filter(), limit, printer).await,
            Action::Summary => look::summary(&mut source(&data).await?, printer).await,
            Action::Show { id } => look::show(&mut source(&data).await?, &data, id, printer).await,
            Action::Remove { which, bounce } => change::run(&data, which, queue::Change::Remove { bounce }, printer).await,
        }
    });
    done.map_err(|error| Failure::new(Exit::Os, error))?
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
