//! To the address for reports: what other servers report of our domains is read and kept; a letter that is no report goes to the postmaster.

use posthouse_client::mx::unreachable;
use posthouse_directory::DirectoryError;
use posthouse_journal::Event;
use posthouse_mail::{Address, LocalPart, Reply, Status, UnixMillis};
use posthouse_queue::Lease;
use posthouse_reports::{Filed, LETTER_BYTES_MAX};
use posthouse_runtime::stream::collect;

use super::alias;
use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult, Hop};

/// Reads the letter and keeps the report in it.
pub(crate) async fn file(context: &Context, lease: &Lease, index: usize, now: UnixMillis) -> Attempt {
    let hop = Hop { host: Some(context.hostname.to_string()), ..Hop::default() };
    let Some(to) = lease.recipients().get(index).map(|state| state.recipient.address.clone()) else {
        return Attempt { index, hop, result: AttemptResult::Deferred(unreachable(0, "no such recipient")) };
    };
    let result = match read(context, lease, now).await {
        Ok(Filed::Kept(entry)) => {
            let (kind, about, reporter) = (entry.kind, entry.domain, entry.reporter);
            context.note(lease.id(), Event::Filed { to: to.to_string(), kind, about, reporter });
            AttemptResult::Delivered(Reply::new(250, Status::success(1, 5), "the report is kept"))
        }
        Ok(Filed::Unread(why)) => {
            context.note(lease.id(), Event::Unread { to: to.to_string(), why });
            return to_postmaster(context, lease, index, &to, now).await;
        }
        Err(error) => later(lease, &error),
    };
    Attempt { index, result, hop }
}

async fn read(context: &Context, lease: &Lease, now: UnixMillis) -> Result<Filed, String> {
    if lease.size() > u64::try_from(LETTER_BYTES_MAX).unwrap_or(u64::MAX) {
        return Ok(Filed::Unread(format!("it is larger than the {LETTER_BYTES_MAX} octets of a letter with a report")));
    }
    let letter = collect(&mut lease.body(), LETTER_BYTES_MAX).await.map_err(|error| error.to_string())?;
    let ours = context.directory.domains().await.map_err(|error| error.to_string())?;
    let filed = context.reports.file(letter, lease.id(), &context.hostname, ours, now).await;
    filed.map_err(|error| error.to_string())
}

async fn to_postmaster(context: &Context, lease: &Lease, index: usize, to: &Address, now: UnixMillis) -> Attempt {
    let targets = async {
        // Ten letters are a local part.
        let local = LocalPart::new("postmaster").map_err(|error| DirectoryError::Storage(error.to_string()))?;
        let mut ends = context.directory.expand(&Address::new(local, to.domain().clone())).await?;
        // Who has the postmaster's mail sent to the address for reports gets it nowhere.
        ends.retain(|end| end != to);
        Ok::<_, DirectoryError>(ends)
    };
    let hop = Hop { host: Some(context.hostname.to_string()), ..Hop::default() };
    match targets.await {
        Ok(targets) if targets.is_empty() => {
            let reply = Reply::new(550, Status::permanent(1, 1), "it is no report, and there is no postmaster to read it");
            Attempt { index, hop, result: AttemptResult::Failed(reply) }
        }
        Ok(targets) => alias::forward(context, lease, index, targets, now).await,
        Err(error) => Attempt { index, hop, result: later(lease, &error.to_string()) },
    }
}

/// Ours, whatever it is: it waits and is tried again.
fn later(lease: &Lease, error: &str) -> AttemptResult {
    tracing::error!(letter = %lease.id(), error, "a report cannot be kept now");
    AttemptResult::Deferred(Reply::new(451, Status::temporary(2, 0), "reports cannot be kept now"))
}
