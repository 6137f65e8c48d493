//! The sender of a letter that is forwarded from here (SRS).
//!
//! A letter that came from outside and leaves again goes on by an alias. With its own sender SPF would fail at the next server, for we are none of that
//! domain's hosts; so it is given one of ours that leads bounces back. The letter's own envelope stays as it is: what we say ourselves goes to its sender.

use posthouse_directory::DirectoryError;
use posthouse_mail::{ReversePath, UnixMillis};
use posthouse_mailauth::srs;
use posthouse_queue::Lease;

use crate::context::Context;
use crate::sign;

/// Where letters come in from outside, and those made of them.
const FROM_OUTSIDE: [&str; 3] = ["mx", "lmtp", "alias"];

/// The sender that the next server is told.
pub(crate) async fn sender(context: &Context, lease: &Lease, now: UnixMillis) -> ReversePath {
    let own = &lease.letter().envelope.reverse_path;
    match rewritten(context, lease, now).await {
        Ok(Some(sender)) => sender,
        Ok(None) => own.clone(),
        Err(error) => {
            tracing::error!(letter = %lease.id(), %error, "a forwarded letter keeps its sender, for the directory cannot be read");
            own.clone()
        }
    }
}

async fn rewritten(context: &Context, lease: &Lease, now: UnixMillis) -> Result<Option<ReversePath>, DirectoryError> {
    let letter = lease.letter();
    let Some(sender) = letter.envelope.reverse_path.address() else { return Ok(None) };
    let origin = &letter.origin;
    let is_relayed = origin.peer.is_some_and(|peer| context.relays_for.iter().any(|network| network.contains(peer)));
    let is_from_outside = origin.account.is_none() && FROM_OUTSIDE.contains(&origin.listener.as_str());
    if !context.settings.rewrite_senders
        || !is_from_outside
        || is_relayed
        || lease.via().is_some()
        || context.directory.is_local(sender.domain()).await?
    {
        return Ok(None);
    }
    let Some(domain) = sign::domain_of_host(context).await? else { return Ok(None) };
    let keys = context.directory.forwarding_keys(now).await?;
    let written = keys.first().and_then(|key| srs::forward(key, sender, &domain, now));
    if written.is_none() {
        tracing::info!(letter = %lease.id(), %sender, "a forwarded letter keeps its sender, which is too long to be written into another");
    }
    Ok(written.map(|written| ReversePath(Some(written))))
}
