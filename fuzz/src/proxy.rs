//! What a proxy says before anything else.

use std::net::SocketAddr;

use posthouse_runtime::net::proxy::{Proxied, read_binary, read_text, rest_length};

/// A whole header of either version. Whatever it is there is no panic, and one that names a client is written in the form of version 1 and read back
/// as the same.
pub fn proxy_header(data: &[u8]) {
    if let Some((fixed, rest)) = data.split_first_chunk::<16>()
        && let Ok(length) = rest_length(fixed)
        && let Some(rest) = rest.get(..length)
        && let Ok(proxied) = read_binary(fixed, rest)
    {
        again(proxied);
    }
    if let Ok(proxied) = read_text(data) {
        again(proxied);
    }
}

fn again(proxied: Proxied) {
    let Proxied::For { client, local } = proxied else { return };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!("PROXY {family} {} {} {} {}\r\n", client.ip(), local.ip(), client.port(), local.port());
    // Version 2 has no scopes and flows, and its addresses are of one family.
    let bare = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
    assert_eq!(read_text(line.as_bytes()), Ok(Proxied::For { client: bare(client), local: bare(local) }), "{line}");
}
