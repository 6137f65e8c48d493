//! The sender of a letter that is forwarded from here (SRS).
//!
//! A letter that came from outside and leaves again goes on by an alias. With its own sender SPF would fail at the next server, for we are none of that
//! domain's hosts; so it is given one of ours that leads bounces back. The letter's own envelope stays as it is: what we say ourselves goes to its sender.

use posthouse_directory::DirectoryError;
use posthouse_mail::{Address, ReversePath, UnixMillis};
use posthouse_mailauth::srs;
use posthouse_queue::Lease;

use crate::context::Context;
use crate::sign;

/// Where letters come in from outside, and those made of them.
const FROM_OUTSIDE: [&str; 3] = ["mx", "lmtp", "alias"];

/// The sender that the next server is told; and what the timeline says of it, where it is not the letter's own or should not be.
pub(crate) async fn sender(context: &Context, lease: &Lease, now: UnixMillis) -> (ReversePath, Option<String>) {
    let own = &lease.letter().envelope.reverse_path;
    match rewritten(context, lease, now).await {
        Ok(Rewritten::Not) => (own.clone(), None),
        Ok(Rewritten::As(sender)) => {
            let words = sender.to_string();
            (ReversePath(Some(sender)), Some(words))
        }
        Ok(Rewritten::TooLong) => {
            (own.clone(), Some(format!("{own}, which is too long for SRS: SPF cannot pass at the next server, DKIM may")))
        }
        Err(error) => {
            tracing::error!(letter = %lease.id(), %error, "a forwarded letter keeps its sender, for the directory cannot be read");
            (own.clone(), Some(format!("{own}, for the directory could not be read")))
        }
    }
}

/// What became of the sender.
enum Rewritten {
    /// It stays as it is.
    Not,
    /// It is this one.
    As(Address),
    /// RFC 5321 §4.5.3.1.1 has no room for it.
    TooLong,
}

async fn rewritten(context: &Context, lease: &Lease, now: UnixMillis) -> Result<Rewritten, DirectoryError> {
    let letter = lease.letter();
    let Some(sender) = letter.envelope.reverse_path.address() else { return Ok(Rewritten::Not) };
    let origin = &letter.origin;
    let is_relayed = origin.peer.is_some_and(|peer| context.relays_for.iter().any(|network| network.contains(peer)));
    let is_from_outside = origin.account.is_none() && FROM_OUTSIDE.contains(&origin.listener.as_str());
    if !context.settings.rewrite_senders
        || !is_from_outside
        || is_relayed
        || lease.via().is_some()
        || context.directory.is_local(sender.domain()).await?
    {
        return Ok(Rewritten::Not);
    }
    let Some(domain) = sign::domain_of_host(context).await? else { return Ok(Rewritten::Not) };
    let keys = context.directory.forwarding_keys(now).await?;
    let Some(key) = keys.first() else { return Ok(Rewritten::Not) };
    Ok(srs::forward(key, sender, &domain, now).map_or(Rewritten::TooLong, Rewritten::As))
}
