//! Which recipient goes where: into a mailbox of ours, to another host, or nowhere.

use posthouse_directory::{AccountId, DirectoryError, Route};
use posthouse_mail::{Address, ByMode, Reply, Status, UnixMillis};
use posthouse_queue::{Lease, RecipientState};

use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult, Hop};
use crate::way::{Destination, Way};

/// The recipients that are due, by where they go.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Into mailboxes.
    pub(crate) local: Vec<(usize, AccountId)>,
    /// Reports of other servers.
    pub(crate) reports: Vec<usize>,
    /// Aliases by now, with what they lead to.
    pub(crate) aliases: Vec<(usize, Vec<Address>)>,
    /// To another host.
    pub(crate) remote: Option<(Destination, Vec<usize>)>,
    /// Nowhere: it is clear already.
    pub(crate) over: Vec<Attempt>,
}

/// The lease's recipients that are due at `now`.
pub(crate) fn waiting(lease: &Lease, now: UnixMillis) -> impl Iterator<Item = (usize, &RecipientState)> {
    lease.recipients().iter().enumerate().filter(move |(index, state)| lease.is_mine(*index) && state.is_due(now))
}

/// Sorts the recipients that are due.
pub(crate) async fn sort(context: &Context, way: &Way, lease: &Lease, now: UnixMillis) -> Sorted {
    let mut sorted = Sorted::default();
    let is_too_late = lease.letter().envelope.deliver_by.is_some_and(|by| by.mode == ByMode::Return && by.at <= now);
    let by_operator = lease.via().is_some();
    let addresses = waiting(lease, now).map(|(_, state)| &state.recipient.address);
    let routes = if by_operator { Ok(Vec::new()) } else { context.directory.routes(addresses).await };
    let mut routes = routes.map(Vec::into_iter).map_err(|error| unreadable(lease, &error));
    for (index, state) in waiting(lease, now) {
        let address = &state.recipient.address;
        let route = routes.as_mut().map(Iterator::next);
        if is_too_late {
            // RFC 2852 §4.1.4: it goes back. RFC 3463 §3.5: X.4.7, delivery time expired.
            let reply = Reply::new(554, Status::permanent(4, 7), "it could not be delivered in the time its sender set");
            sorted.over.push(over(index, AttemptResult::Failed(reply)));
            continue;
        }
        match route {
            Ok(Some(Route::Account { account, .. })) => sorted.local.push((index, account)),
            Ok(Some(Route::Reports)) => sorted.reports.push(index),
            // No route is asked for where an operator's word comes before ours.
            Ok(Some(Route::Elsewhere) | None) => to(&mut sorted, way.destination(lease, address.domain()), index),
            // Made an alias since the letter was accepted.
            Ok(Some(Route::Alias(_))) => match context.directory.expand(address).await {
                Ok(targets) if !targets.is_empty() => sorted.aliases.push((index, targets)),
                Ok(_nobody) => sorted.over.push(over(index, unknown(address))),
                Err(error) => sorted.over.push(over(index, unreadable(lease, &error))),
            },
            Ok(Some(Route::Unknown)) => sorted.over.push(over(index, unknown(address))),
            Err(later) => sorted.over.push(over(index, later.clone())),
        }
    }
    sorted
}

/// Has a recipient travel to another host. All of a lease go to the same one; should a domain have stopped being ours this moment,
/// the others are tried next.
fn to(sorted: &mut Sorted, destination: Destination, index: usize) {
    match &mut sorted.remote {
        None => sorted.remote = Some((destination, vec![index])),
        Some((known, indexes)) if *known == destination => indexes.push(index),
        Some(_) => {}
    }
}

fn unknown(address: &Address) -> AttemptResult {
    AttemptResult::Failed(Reply::new(550, Status::permanent(1, 1), &format!("there is no mailbox {address} here")))
}

fn unreadable(lease: &Lease, error: &DirectoryError) -> AttemptResult {
    tracing::error!(letter = %lease.id(), %error, "the directory cannot say where a letter goes");
    AttemptResult::Deferred(Reply::new(451, Status::temporary(3, 0), "the directory cannot be read now"))
}

fn over(index: usize, result: AttemptResult) -> Attempt {
    Attempt { index, result, hop: Hop::default() }
}
