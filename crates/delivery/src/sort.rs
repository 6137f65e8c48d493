//! Which recipient goes where: into a mailbox of ours, to another host, or nowhere.

use posthouse_directory::{AccountId, DirectoryError, Route};
use posthouse_mail::{Address, Reply, Status, UnixMillis};

use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult, Hop};
use crate::parcel::Parcel;
use crate::way::{Destination, Way};

/// The recipients that are due, by where they go.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Into mailboxes.
    pub(crate) local: Vec<(usize, AccountId)>,
    /// Aliases by now, with what they lead to.
    pub(crate) aliases: Vec<(usize, Vec<Address>)>,
    /// To other hosts; recipients with the same destination travel together.
    pub(crate) remote: Vec<(Destination, Vec<usize>)>,
    /// Nowhere: it is clear already.
    pub(crate) over: Vec<Attempt>,
}

/// Sorts the recipients that are due.
pub(crate) async fn sort(context: &Context, way: &Way, parcel: &Parcel, now: UnixMillis) -> Sorted {
    let mut sorted = Sorted::default();
    for (index, state) in parcel.recipients().iter().enumerate().filter(|(_, state)| state.is_due(now)) {
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
            // Made an alias since the letter was accepted.
            Ok(Route::Alias(_)) => match context.directory.expand(address).await {
                Ok(targets) if !targets.is_empty() => sorted.aliases.push((index, targets)),
                Ok(_nobody) => sorted.over.push(over(index, unknown(address))),
                Err(error) => sorted.over.push(over(index, unreadable(parcel, address, &error))),
            },
            Ok(Route::Unknown) => sorted.over.push(over(index, unknown(address))),
            Err(error) => sorted.over.push(over(index, unreadable(parcel, address, &error))),
        }
    }
    sorted
}

fn unknown(address: &Address) -> AttemptResult {
    AttemptResult::Failed(Reply::new(550, Status::permanent(1, 1), &format!("there is no mailbox {address} here")))
}

fn unreadable(parcel: &Parcel, address: &Address, error: &DirectoryError) -> AttemptResult {
    tracing::error!(letter = %parcel.id(), %address, %error, "the directory cannot say where a letter goes");
    AttemptResult::Deferred(Reply::new(451, Status::temporary(3, 0), "the directory cannot be read now"))
}

fn over(index: usize, result: AttemptResult) -> Attempt {
    Attempt { index, result, hop: Hop::default() }
}
