//! Ports of loopback that nobody listens on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// A port of 127.0.0.1 that was free a moment ago. A server that can take port 0 and tell what it got is better.
#[must_use]
pub fn free() -> u16 {
    free_on(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A port of this address that was free a moment ago.
///
/// # Panics
/// When the address is not of this machine, or no port is left.
#[must_use]
pub fn free_on(address: IpAddr) -> u16 {
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

/// One port that is free on each of these addresses at once, as a world of servers under one next-hop port needs it.
///
/// # Panics
/// When no such port is found.
#[must_use]
pub fn free_on_all(addresses: &[IpAddr]) -> u16 {
    for _ in 0..100 {
        let port = free();
        let held: Vec<_> =
            addresses.iter().map_while(|&address| TcpListener::bind(SocketAddr::new(address, port)).ok()).collect();
        if held.len() == addresses.len() {
            return port;
        }
    }
    panic!("no port is free on all of {addresses:?}");
}

#[cfg(test)]
mod tests;
