//! How many connections are open: in all, from one address and from one network.
//!
//! A [`Gate`] counts; a [`Pass`] is held as long as its connection and gives its place back when dropped. What one address and one network are says
//! [`origin`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::origin;

/// Counts connections against [`Limits`]. Clones share the count.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

/// How many may be open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub in_all: usize,
    /// From one address (IPv6: one /64).
    pub per_address: usize,
    /// From one network (IPv4: a /24, IPv6: a /48); never less than for one address.
    pub per_network: usize,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    open: Mutex<Open>,
    turned_away: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: Counts,
    by_network: Counts,
}

/// What has nothing open is not in it, so that it holds no more entries than there are connections.
#[derive(Debug, Default)]
struct Counts(HashMap<IpAddr, usize>);

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
    /// This network has all the connections it gets.
    ForNetwork,
}

impl Gate {
    /// A gate for so many connections.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { per_network: limits.per_network.max(limits.per_address), ..limits };
        Self(Arc::new(Inner { limits, open: Mutex::default(), turned_away: AtomicU64::new(0) }))
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
        let limits = &self.0.limits;
        let (host, network) = (origin::host(address), origin::network(address));
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= limits.in_all {
            return Err(Full::InAll);
        }
        if open.by_address.of(host) >= limits.per_address {
            return Err(Full::ForAddress);
        }
        if open.by_network.of(network) >= limits.per_network {
            return Err(Full::ForNetwork);
        }
        open.by_address.add(host);
        open.by_network.add(network);
        open.all += 1;
        Ok(Pass { gate: self.clone(), address })
    }

    /// How many places there are.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
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
        open.by_address.take(origin::host(self.address));
        open.by_network.take(origin::network(self.address));
    }
}

impl Counts {
    fn of(&self, origin: IpAddr) -> usize {
        self.0.get(&origin).copied().unwrap_or_default()
    }

    fn add(&mut self, origin: IpAddr) {
        *self.0.entry(origin).or_default() += 1;
    }

    fn take(&mut self, origin: IpAddr) {
        if let Some(here) = self.0.get_mut(&origin) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.0.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests;
