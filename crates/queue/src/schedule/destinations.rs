//! The destinations that queued letters name, each with a number, and the site each belongs to.

use std::collections::HashMap;
use std::fmt;

use posthouse_mail::{Domain, UnixMillis};

use super::Unit;
use super::sources::Source;

/// Where letters go, and by which of our addresses: what waits for its turn together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Where to.
    pub to: Towards,
    /// The name of the addresses they leave by, where that is not the usual way.
    pub source: Option<Source>,
}

/// Where letters go, as their envelopes or an operator say it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Towards {
    /// To whoever takes mail for this domain.
    Domain(Domain),
    /// To this host, whatever the DNS says: an operator sent the letter that way.
    Host(NextHop),
}

/// A host that an operator chose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Its name or address literal.
    pub host: Domain,
    /// Its port; the usual one when not given.
    pub port: Option<u16>,
}

/// `example.net`, or `example.net by NAME` for what leaves by addresses of its own. No host has a space in its name.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.fmt(f)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " by {source}"))
    }
}

/// A domain as it is; a host as `host` or `host:port`.
impl fmt::Display for Towards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Host(hop) => hop.fmt(f),
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.host.fmt(f),
            Some(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl std::str::FromStr for NextHop {
    type Err = String;

    /// Reads `host` or `host:port`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.rsplit_once(':') {
            // The colons of an IPv6 literal stand inside its brackets.
            Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().map_err(|_| format!("`{port}` is no port"))?)),
            Some(_) | None => (text, None),
        };
        let host = host.parse().map_err(|error| format!("`{host}` is no host: {error}"))?;
        Ok(Self { host, port })
    }
}

/// One destination.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) destination: Destination,
    /// How many units name it.
    units: usize,
    pub(crate) site: Option<u32>,
    /// Until when the site holds; after that it is asked for again.
    good_until: UnixMillis,
    /// Units that are due and wait to hear where to.
    pub(crate) unplaced: Vec<Unit>,
    pub(crate) asked: bool,
}

/// All of them, by number.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    known: Vec<Option<Known>>,
    unused: Vec<u32>,
    by_name: HashMap<Destination, u32>,
}

impl Destinations {
    /// The number of a destination that one more unit names.
    pub(crate) fn enter(&mut self, destination: &Destination) -> u32 {
        if let Some(&number) = self.by_name.get(destination) {
            if let Some(known) = self.number(number) {
                known.units += 1;
            }
            return number;
        }
        let number = self.unused.pop().unwrap_or_else(|| {
            self.known.push(None);
            crate::layout::u32_of(self.known.len() - 1)
        });
        let known = Known {
            destination: destination.clone(),
            units: 1,
            site: None,
            good_until: UnixMillis(0),
            unplaced: Vec::new(),
            asked: false,
        };
        if let Some(place) = self.known.get_mut(crate::layout::usize_of(number)) {
            *place = Some(known);
        }
        self.by_name.insert(destination.clone(), number);
        number
    }

    /// One unit names it no more. With the last one it is forgotten.
    pub(crate) fn leave(&mut self, number: u32) {
        let Some(place) = self.known.get_mut(crate::layout::usize_of(number)) else { return };
        let Some(known) = place else { return };
        known.units = known.units.saturating_sub(1);
        if known.units == 0
            && let Some(gone) = place.take()
        {
            self.by_name.remove(&gone.destination);
            self.unused.push(number);
        }
    }

    pub(crate) fn number(&mut self, number: u32) -> Option<&mut Known> {
        self.known.get_mut(crate::layout::usize_of(number))?.as_mut()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Known> {
        self.known.get(crate::layout::usize_of(number))?.as_ref()
    }

    pub(crate) fn find(&self, destination: &Destination) -> Option<u32> {
        self.by_name.get(destination).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.iter().flatten()
    }
}

impl Known {
    /// The site, while it holds.
    pub(crate) fn site_at(&self, now: UnixMillis) -> Option<u32> {
        self.site.filter(|_| now < self.good_until)
    }

    /// Sets where it goes; gives the units that waited to hear.
    pub(crate) fn place(&mut self, site: u32, good_until: UnixMillis) -> Vec<Unit> {
        (self.site, self.good_until, self.asked) = (Some(site), good_until, false);
        std::mem::take(&mut self.unplaced)
    }
}

#[cfg(test)]
mod tests;
