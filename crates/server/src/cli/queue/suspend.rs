//! `suspend` and `resume`.

use std::path::Path;

use serde::Serialize;

use posthouse_admin::queue::Suspend;
use posthouse_admin::socket::Order;
use posthouse_config::Period;

use super::super::data::failure;
use super::super::{Failure, Printer};
use super::change::connect;

/// A destination, or everything: never everything by a word that was forgotten.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct WhatArgs {
    /// A domain, or a next hop as the summary names it.
    destination: Option<String>,
    /// All delivery, into the mailboxes here too.
    #[arg(long)]
    everything: bool,
}

#[derive(Serialize)]
struct Done<'a> {
    /// `null`: everything.
    destination: Option<&'a str>,
    suspended: bool,
}

pub(super) async fn suspend(
    data: &Path,
    what: WhatArgs,
    period: Option<Period>,
    reason: Option<String>,
    printer: &Printer,
) -> Result<(), Failure> {
    let seconds = period.map(|period| period.duration().as_secs());
    let order = Order::QueueSuspend(Suspend { destination: what.destination.clone(), seconds, reason });
    connect(data).await?.done(order).await.map_err(failure)?;
    let how_long = period.map_or_else(|| "until it is resumed".to_owned(), |period| format!("for {period}"));
    printer.line(format_args!("suspended {} {how_long}", what.name()))?;
    printer.json(&Done { destination: what.destination.as_deref(), suspended: true })
}

pub(super) async fn resume(data: &Path, what: WhatArgs, printer: &Printer) -> Result<(), Failure> {
    let order = Order::QueueResume { destination: what.destination.clone() };
    connect(data).await?.done(order).await.map_err(failure)?;
    printer.line(format_args!("resumed {}", what.name()))?;
    printer.json(&Done { destination: what.destination.as_deref(), suspended: false })
}

impl WhatArgs {
    fn name(&self) -> &str {
        self.destination.as_deref().unwrap_or("everything")
    }
}
