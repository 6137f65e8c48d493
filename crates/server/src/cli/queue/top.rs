//! `top`: the queue as it moves.

use std::path::Path;

use serde::Serialize;

use posthouse_admin::Status;
use posthouse_admin::queue::Summary;
use posthouse_admin::socket::Order;

use super::super::data::failure;
use super::super::{Exit, Failure, Printer, live};
use super::{connect, look, text};

/// One look.
#[derive(Serialize)]
pub(in crate::cli) struct Seen {
    pub(in crate::cli) status: Status,
    pub(in crate::cli) summary: Summary,
}

pub(super) fn run(data: &Path, printer: &Printer) -> Result<(), Failure> {
    live::show(printer, "`posthouse queue summary`", || see(data), |seen| page(seen, printer))
}

/// Looks once.
pub(in crate::cli) fn see(data: &Path) -> Result<Seen, Failure> {
    posthouse_runtime::block_on(look(data)).map_err(|error| Failure::new(Exit::Os, error))?
}

async fn look(data: &Path) -> Result<Seen, Failure> {
    let mut client = connect(data).await?;
    let status = client.one(Order::Status).await.map_err(failure)?;
    let summary = client.one(Order::QueueSummary).await.map_err(failure)?;
    Ok(Seen { status, summary })
}

fn page(seen: &Seen, printer: &Printer) -> Vec<String> {
    let mut lines = vec![head(&seen.status, printer), String::new()];
    lines.extend(look::table(&seen.summary, printer));
    lines
}

/// The server in one line.
pub(in crate::cli) fn head(status: &Status, printer: &Printer) -> String {
    let open: Vec<_> = status.connections.iter().map(|of| format!("{} {}/{}", of.protocol, of.open, of.max)).collect();
    let mail = status.refusing.as_ref().map_or_else(
        || printer.green("taking mail"),
        |why| printer.red(&format!("refusing mail: {}", posthouse_runtime::log::one_line(why))),
    );
    let memory = status.memory.resident.map(text::size).unwrap_or_default();
    format!("{}  {mail}  up {}  {}  memory {memory}  (q quits)", status.hostname, text::age(status.uptime), open.join("  "))
}
