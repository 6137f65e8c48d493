//! How many connections are open, in all and from one address.
//!
//! A [`Gate`] counts; a [`Pass`] is held as long as its connection and gives its place back when dropped. IPv6 clients are counted by
//! their /64, since one host has that many addresses at will.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections against two limits. Clones share the count.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open_max: usize,
    open_per_address_max: usize,
    open: Mutex<Open>,
    turned_away: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place that is taken.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    address: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The server has all the connections it takes.
    InAll,
    /// This address has all the connections it gets.
    ForAddress,
}

impl Gate {
    /// A gate for so many connections in all, and so many from one address.
    #[must_use]
    pub fn new(open_max: usize, open_per_address_max: usize) -> Self {
        let (open, turned_away) = (Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { open_max, open_per_address_max, open, turned_away }))
    }

    /// Takes a place.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn enter(&self, address: IpAddr) -> Result<Pass, Full> {
        let taken = self.take(address);
        if taken.is_err() {
            self.0.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn take(&self, address: IpAddr) -> Result<Pass, Full> {
        let address = network(address);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.0.open_max {
            return Err(Full::InAll);
        }
        let here = open.by_address.get(&address).copied().unwrap_or_default();
        if here >= self.0.open_per_address_max {
            return Err(Full::ForAddress);
        }
        open.by_address.insert(address, here + 1);
        open.all += 1;
        Ok(Pass { gate: self.clone(), address })
    }

    /// How many places there are, in all and for one address.
    #[must_use]
    pub fn limits(&self) -> (usize, usize) {
        (self.0.open_max, self.0.open_per_address_max)
    }

    /// How many were turned away so far.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// How many places are taken.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        // An address with nothing open leaves the map, so that it holds no more entries than there are connections.
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one client.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
