//! Which recipient goes where: into a mailbox of ours, to another host, or nowhere.

use posthouse_directory::{AccountId, Route};
use posthouse_mail::{Reply, Status};
use posthouse_queue::Lease;

use crate::context::{Context, now};
use crate::outcome::{Attempt, AttemptResult, Hop};
use crate::way::{Destination, Way};

/// The recipients that are due, by where they go.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Into mailboxes.
    pub(crate) local: Vec<(usize, AccountId)>,
    /// To other hosts; recipients with the same destination travel together.
    pub(crate) remote: Vec<(Destination, Vec<usize>)>,
    /// Nowhere: it is clear already.
    pub(crate) over: Vec<Attempt>,
}

/// Sorts the recipients that are due.
pub(crate) async fn sort(context: &Context, way: &Way, lease: &Lease) -> Sorted {
    let mut sorted = Sorted::default();
    let now = now();
    for (index, state) in lease.recipients().iter().enumerate().filter(|(_, state)| state.is_due(now)) {
        let address = &state.recipient.address;
        match context.directory.route(address).await {
            Ok(Route::Account { account, .. }) => sorted.local.push((index, account)),
            Ok(Route::Elsewhere) => {
                let destination = way.destination(address.domain());
                match sorted.remote.iter_mut().find(|(known, _)| *known == destination) {
                    Some((_, indexes)) => indexes.push(index),
                    None => sorted.remote.push((destination, vec![index])),
                }
            }
            // Aliases are followed when a letter is accepted. One made since then is no reason to lose the letter, and one end per
            // recipient would not hold if it split here: what was accepted as a mailbox is gone as a mailbox.
            Ok(Route::Alias(_) | Route::Unknown) => {
                let reply = Reply::new(550, Status::permanent(1, 1), &format!("there is no mailbox {address} here"));
                sorted.over.push(over(index, AttemptResult::Failed(reply)));
            }
            Err(error) => {
                tracing::error!(letter = %lease.id(), %address, %error, "the directory cannot say where a letter goes");
                let reply = Reply::new(451, Status::temporary(3, 0), "the directory cannot be read now");
                sorted.over.push(over(index, AttemptResult::Deferred(reply)));
            }
        }
    }
    sorted
}

fn over(index: usize, result: AttemptResult) -> Attempt {
    Attempt { index, result, hop: Hop::default() }
}
