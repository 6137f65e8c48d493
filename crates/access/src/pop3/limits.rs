//! How many connections there may be at once: over all, and from one address.
//!
//! A place is given back when its holder is dropped, however the connection ended. Counting is all it does: it never waits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Limits {
    total_max: usize,
    per_address_max: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place among the others.
pub(crate) struct Place {
    address: IpAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Limits {
    pub(crate) fn new(total_max: usize, per_address_max: usize) -> Self {
        Self { total_max, per_address_max, counts: Arc::default() }
    }

    /// A place, or none if there are too many already.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = counts.by_address.get(&address).copied().unwrap_or_default();
        if counts.total >= self.total_max || from_here >= self.per_address_max {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, from_here + 1);
        Some(Place { address, counts: Arc::clone(&self.counts) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        let left = counts.by_address.get(&self.address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            counts.by_address.remove(&self.address);
        } else {
            counts.by_address.insert(self.address, left);
        }
    }
}

/// What counts as one address: one customer gets a whole IPv6 /64, and an IPv4 address may come in IPv6 clothes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}
