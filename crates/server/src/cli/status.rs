//! `posthouse status`.

use posthouse_admin::socket::Order;
use posthouse_admin::{GreylistStatus, KeyStatus, SandboxStatus, Status};
use posthouse_runtime::log::one_line;

use super::data::{DataArgs, failure};
use super::queue::{connect, suspended, text};
use super::{Exit, Failure, Printer};

/// How the running server is: what it takes, what it holds, how near it is to its limits, and what is wrong with it.
///
/// Exit code 69 when it is not running, 75 when it runs and takes no mail.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  posthouse status\n  posthouse status --json\n  posthouse status >/dev/null || logger -p mail.crit 'no mail is taken'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let data = args.data.directory()?;
    let asked = posthouse_runtime::block_on(async { connect(&data).await?.one(Order::Status).await.map_err(failure) });
    let status: Status = asked.map_err(|error| Failure::new(Exit::Os, error))??;
    for line in lines(&status, printer) {
        printer.line(line)?;
    }
    printer.json(&status)?;
    if status.refusing.is_some() { Err(Failure::silent(Exit::TempFail)) } else { Ok(()) }
}

fn lines(status: &Status, printer: &Printer) -> Vec<String> {
    let mail = match &status.refusing {
        None => printer.green("taking mail"),
        Some(why) => printer.red(&format!("refusing mail: {}", one_line(why))),
    };
    let Status { hostname, version, pid, .. } = status;
    let mut lines = vec![format!("{hostname}: {mail}")];
    lines.push(format!("  posthouse {version}, process {pid}, up {}", text::age(status.uptime)));
    for of in &status.connections {
        let turned_away = if of.turned_away > 0 { format!("; {} turned away", of.turned_away) } else { String::new() };
        lines.push(format!(
            "  {} connections: {} of {}, {} for one address, {} for one network{turned_away}",
            of.protocol, of.open, of.max, of.per_address_max, of.per_network_max
        ));
    }
    let (queue, disk) = (&status.queue, &status.disk);
    let letters_max = if queue.letters_max == 0 { "any".to_owned() } else { queue.letters_max.to_string() };
    let (octets, octets_max) = (text::size(queue.octets), text::size(queue.octets_max));
    lines.push(format!("  queue: {} of {letters_max} letters, {octets} of {octets_max} octets", queue.letters));
    lines.extend(queue.suspensions.iter().map(|suspension| printer.red(&format!("  {}", suspended(suspension)))));
    if let Some(drop) = &status.maildrop {
        lines.push(format!("  maildrop: {} letters wait in {}", drop.waiting, one_line(&drop.folder)));
    }
    let GreylistStatus { waiting, known } = status.greylist;
    if waiting + known > 0 {
        lines.push(format!("  greylist: {waiting} were told to come again, {known} are known"));
    }
    let free = disk.free.map_or_else(|| "unknown".to_owned(), text::size);
    lines.push(format!("  disk: {free} left, mail is refused below {}", text::size(disk.free_min)));
    let resident = status.memory.resident.map_or_else(|| "unknown".to_owned(), text::size);
    lines.push(format!("  memory: {resident} of {}", limit(status.memory.max)));
    lines.extend(status.sandbox.iter().map(|SandboxStatus { is_on, words }| {
        let line = format!("  sandbox: {}", one_line(words));
        if *is_on { line } else { printer.red(&line) }
    }));
    for certificate in &status.certificates {
        let line = format!("  certificate: {} until {}", certificate.names.join(" "), certificate.expires);
        lines.push(line);
    }
    for KeyStatus { name, words, .. } in status.keys.iter().filter(|key| !key.is_trouble()) {
        lines.push(format!("  {}: {}", one_line(name), one_line(words)));
    }
    for trouble in &status.troubles {
        lines.push(printer.red(&format!("  {}: {}", one_line(&trouble.title()), one_line(&trouble.what))));
        lines.push(format!("    what to do: {}", trouble.name.remedy()));
    }
    lines
}

fn limit(max: u64) -> String {
    if max == 0 { "any".to_owned() } else { text::size(max) }
}
