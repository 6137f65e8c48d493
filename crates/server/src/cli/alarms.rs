//! `posthouse alarms`.

use posthouse_admin::AlarmInfo;
use posthouse_admin::socket::{Answer, Order, Tried};
use posthouse_runtime::log::one_line;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::data::{DataArgs, failure};
use super::queue::connect;
use super::{Exit, Failure, Printer};

/// Show the alarms that stand, with what to do about each; or try whether alarms arrive.
///
/// What is wrong is told once when it begins, again once a day (`alarms.remind-every`), and once when it ends: by mail to `alarms.mail-to` and by POST to
/// `alarms.webhook`. What is wrong at this moment, also what has not lasted long enough for an alarm, is in `posthouse status`. With --json one object a line.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  posthouse alarms\n  posthouse alarms test\n  posthouse alarms --json | jq -r .what")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show the alarms that stand.
    #[command(after_help = "Examples:\n  posthouse alarms list\n  posthouse alarms list --json")]
    List,
    /// Tell everybody who is told of alarms that this is a test, and say who could not be told and why (exit code 69).
    #[command(after_help = "Examples:\n  posthouse alarms test\n  posthouse alarms test --json")]
    Test,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    match args.action {
        None | Some(Action::List) => list(&args.data, printer),
        Some(Action::Test) => test(&args.data, printer),
    }
}

fn list(data: &DataArgs, printer: &Printer) -> Result<(), Failure> {
    let alarms: Vec<AlarmInfo> = all(data, Order::Alarms, printer)?;
    if alarms.is_empty() {
        return printer.line("no alarm stands");
    }
    for AlarmInfo { trouble, remedy, since, told } in alarms {
        printer.line(format_args!("{}: {}", printer.red(&one_line(&trouble.title())), one_line(&trouble.what)))?;
        printer.line(format_args!("  since {since}, told {told}"))?;
        printer.line(format_args!("  what to do: {remedy}"))?;
    }
    Ok(())
}

fn test(data: &DataArgs, printer: &Printer) -> Result<(), Failure> {
    let tried: Vec<Tried> = all(data, Order::AlarmsTest, printer)?;
    if tried.is_empty() {
        return Err(Failure::say(Exit::Config, "nobody is told of alarms: set `alarms.mail-to` or `alarms.webhook`"));
    }
    for Tried { to, error } in &tried {
        let came = error.as_ref().map_or_else(|| printer.green("told"), |why| printer.red(&one_line(why)));
        printer.line(format_args!("{}: {came}", one_line(to)))?;
    }
    if tried.iter().any(|one| one.error.is_some()) { Err(Failure::silent(Exit::Unavailable)) } else { Ok(()) }
}

/// Asks the running server.
fn all<T: DeserializeOwned + Serialize>(data: &DataArgs, order: Order, printer: &Printer) -> Result<Vec<T>, Failure> {
    let data = data.directory()?;
    let asked = posthouse_runtime::block_on(async {
        let mut client = connect(&data).await?;
        client.ask(order).await.map_err(failure)?;
        let mut items = Vec::new();
        while let Answer::Item(item) = client.next().await.map_err(failure)? {
            items.push(item);
        }
        Ok::<_, Failure>(items)
    });
    let items: Vec<T> = asked.map_err(|error| Failure::new(Exit::Os, error))??;
    items.iter().try_for_each(|item| printer.json(item))?;
    Ok(items)
}
