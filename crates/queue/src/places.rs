//! Which next hop each destination had when the queue was last closed in order, for those who look at a stopped server's spool.
//!
//! Only for the eye: what is delivered where is asked anew ([`crate::Work::Place`]), and a list that is missing or old misleads nobody else.

use std::collections::HashMap;
use std::io;

use crate::index::Index;
use crate::notes;
use crate::storage::Storage;

const PREFIX: &str = "places-";
/// More destinations are not written down.
const PLACES_MAX: usize = 10_000;

/// Next hops by destination.
pub(crate) type Places = HashMap<String, String>;

pub(crate) fn load(storage: &dyn Storage) -> io::Result<Places> {
    Ok(notes::load(storage, PREFIX)?.unwrap_or_default())
}

/// Writes down what is known of the destinations that letters wait for.
pub(crate) fn store(storage: &dyn Storage, index: &Index) -> io::Result<()> {
    let scheduler = &index.scheduler;
    let places: Places = scheduler
        .destinations
        .iter()
        // By which addresses is for the next start's settings to say.
        .filter_map(|known| Some((known.destination.to.to_string(), host(&scheduler.site(known.site?)?.name).to_owned())))
        .take(PLACES_MAX)
        .collect();
    if places == load(storage)? { Ok(()) } else { notes::store(storage, PREFIX, &places) }
}

fn host(site: &str) -> &str {
    site.split_once(' ').map_or(site, |(host, _)| host)
}
