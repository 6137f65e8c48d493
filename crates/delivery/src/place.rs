//! Which site a destination belongs to: where its letters take turns.
//!
//! Mailboxes of ours are one site; the smarthost is one; a domain elsewhere belongs to the mail host it names first, which many domains may
//! share. Only the turns depend on it: where a letter really goes is decided anew when it goes.

use std::time::Duration;

use posthouse_dns::{DnsError, MxAnswer};
use posthouse_mail::Domain;
use posthouse_queue::{Destination, SiteLimits, Towards};

use crate::context::{Context, now};
use crate::way::Way;

/// The site of our own mailboxes.
pub(crate) const HERE: &str = "local";
/// How long an answer holds: what the DNS said, what the directory said, and what could not be found out.
const DNS_HOLDS: Duration = Duration::from_hours(1);
const DIRECTORY_HOLDS: Duration = Duration::from_mins(1);
const TROUBLE_HOLDS: Duration = Duration::from_mins(5);
/// Letters on their way into our mailboxes at a time, beside those that other hosts are spoken to about: what waits for the same
/// account is committed together.
pub(crate) const HERE_MAX: usize = 1024;

/// A destination whose MX records have to be asked for.
pub(crate) struct Lookup {
    destination: Destination,
    domain: Domain,
}

/// Places a destination if that needs no other host; else gives back what is to be asked.
pub(crate) async fn quickly(context: &Context, way: &Way, destination: Destination) -> Option<Lookup> {
    let domain = match &destination.to {
        Towards::Host(hop) => {
            place(context, &destination, &hop.to_string(), false, DNS_HOLDS);
            return None;
        }
        Towards::Domain(domain) => domain.clone(),
    };
    // When the directory cannot be read the round will say so; the letter waits in the line of its domain meanwhile.
    if context.directory.is_local(&domain).await.unwrap_or(false) {
        place(context, &destination, HERE, true, DIRECTORY_HOLDS);
        return None;
    }
    if let Some(smarthost) = way.smarthost() {
        place(context, &destination, smarthost.as_str(), true, DIRECTORY_HOLDS);
        return None;
    }
    Some(Lookup { destination, domain })
}

impl Lookup {
    /// Asks the DNS and places the destination. It always does: trouble makes the domain a site of its own for a while.
    pub(crate) async fn finish(self, context: &Context) {
        let (site, holds) = if self.domain.literal().is_some() {
            (self.domain.clone(), DNS_HOLDS)
        } else {
            match context.resolver.mx(&self.domain).await {
                Ok(answer) => (first_host(&answer.value).unwrap_or_else(|| self.domain.clone()), DNS_HOLDS),
                Err(DnsError::NoData | DnsError::NoSuchDomain) => (self.domain.clone(), DNS_HOLDS),
                Err(DnsError::Temporary(_)) => (self.domain.clone(), TROUBLE_HOLDS),
            }
        };
        place(context, &self.destination, site.as_str(), false, holds);
    }
}

/// The first by name of the hosts that are preferred, so that the same records give the same site.
fn first_host(answer: &MxAnswer) -> Option<Domain> {
    let MxAnswer::Hosts(hosts) = answer else { return None };
    hosts.iter().min_by_key(|mx| (mx.preference, &mx.host)).map(|mx| mx.host.clone())
}

fn place(context: &Context, destination: &Destination, site: &str, together: bool, holds: Duration) {
    let settings = &context.settings;
    let all = u32::try_from(settings.concurrency_max).unwrap_or(u32::MAX);
    let until = now().plus(holds);
    if site == HERE {
        let window = all.saturating_add(u32::try_from(HERE_MAX).unwrap_or(u32::MAX));
        let limits = SiteLimits { window_first: window, window_max: window, letters_per_minute: None, together };
        return context.queue.place(destination, HERE, limits, until);
    }
    let own = settings.destination.iter().find(|own| own.is_for(&destination.to.to_string()) || own.is_for(site));
    let source = destination.source.as_deref().and_then(|name| settings.source.iter().find(|source| source.name == name));
    let window_max = own.and_then(|own| own.concurrency_max).or(source.and_then(|source| source.concurrency_per_destination_max));
    let window_max = window_max.unwrap_or(settings.concurrency_per_destination_max);
    let window_max = u32::try_from(window_max).unwrap_or(u32::MAX).clamp(1, all.max(1));
    let window_first = u32::try_from(settings.concurrency_per_destination_first).unwrap_or(u32::MAX).clamp(1, window_max);
    let letters_per_minute = own
        .and_then(|own| own.letters_per_minute)
        .or(source.and_then(|source| source.letters_per_minute_per_destination))
        .or(settings.letters_per_minute_per_destination);
    let limits = SiteLimits { window_first, window_max, letters_per_minute, together };
    // To the host each address of ours is another caller.
    let site = destination.source.as_ref().map_or_else(|| site.to_owned(), |source| format!("{site} by {source}"));
    context.queue.place(destination, &site, limits, until);
}
