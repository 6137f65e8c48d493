//! The PROXY protocol, versions 1 and 2: a proxy says for whom it connects, before anything else.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. Whoever may say so is the caller's to decide: a header that is believed from
//! anybody would let everybody come from anywhere. There is no guessing either: where a header is expected and something else comes the
//! connection is of no use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// What every header of version 2 begins with; none of version 1 is shorter.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The octets of version 2 before the addresses.
pub(super) const FIXED_BYTES: usize = 16;
/// The octets of a header of version 1 (§2.1).
pub(super) const TEXT_BYTES_MAX: usize = 107;
/// The addresses and what a proxy adds to them. Certificates of clients may be among that; more is not sent by anybody.
const REST_BYTES_MAX: usize = 4096;

/// For whom a proxy connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// For this client, which connected to that address of the proxy.
    For {
        /// The client.
        client: SocketAddr,
        /// Where it connected to.
        local: SocketAddr,
    },
    /// For itself, such as to see whether we are well, or for somebody it does not know (§2.2: the real addresses count).
    Itself,
}

/// What is not a PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// Neither version's first octets.
    #[error("no PROXY header came")]
    Missing,
    /// It begins like one.
    #[error("the PROXY header is malformed")]
    Malformed,
    /// A version or transport that is not ours.
    #[error("the PROXY header is of a version or for a transport that is not TCP's")]
    Unsupported,
    /// Longer than any proxy's.
    #[error("the PROXY header is too long")]
    TooLong,
}

/// Reads a header of version 1, its CRLF included.
///
/// # Errors
/// [`ProxyError`].
pub fn read_text(line: &[u8]) -> Result<Proxied, ProxyError> {
    let line = line.strip_suffix(b"\r\n").filter(|line| line.len() + 2 <= TEXT_BYTES_MAX).ok_or(ProxyError::Malformed)?;
    let line = str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
    let rest = line.strip_prefix("PROXY ").ok_or(ProxyError::Missing)?;
    let words: Vec<&str> = rest.split(' ').collect();
    let (family, client, local, client_port, local_port) = match *words.as_slice() {
        // "the receiver must ignore anything presented before the CRLF".
        ["UNKNOWN", ..] => return Ok(Proxied::Itself),
        [family @ ("TCP4" | "TCP6"), client, local, client_port, local_port] => (family, client, local, client_port, local_port),
        _ => return Err(ProxyError::Malformed),
    };
    let end = |address: &str, port: &str| {
        let address: IpAddr = address.parse().map_err(|_| ProxyError::Malformed)?;
        let is_number =
            port == "0" || !port.is_empty() && !port.starts_with('0') && port.bytes().all(|octet| octet.is_ascii_digit());
        if address.is_ipv4() != (family == "TCP4") || !is_number {
            return Err(ProxyError::Malformed);
        }
        Ok(SocketAddr::new(address, port.parse().map_err(|_| ProxyError::Malformed)?))
    };
    Ok(Proxied::For { client: end(client, client_port)?, local: end(local, local_port)? })
}

/// How many octets follow the fixed part of a header of version 2.
///
/// # Errors
/// [`ProxyError`].
pub fn rest_length(fixed: &[u8; FIXED_BYTES]) -> Result<usize, ProxyError> {
    let [signature @ .., version_and_command, _, high, low] = fixed;
    if *signature != SIGNATURE {
        return Err(ProxyError::Missing);
    }
    if version_and_command >> 4 != 2 {
        return Err(ProxyError::Unsupported);
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > REST_BYTES_MAX { Err(ProxyError::TooLong) } else { Ok(length) }
}

/// Reads a header of version 2 from its fixed part and the rest.
///
/// # Errors
/// [`ProxyError`].
pub fn read_binary(fixed: &[u8; FIXED_BYTES], rest: &[u8]) -> Result<Proxied, ProxyError> {
    if rest.len() != rest_length(fixed)? {
        return Err(ProxyError::Malformed);
    }
    let [.., version_and_command, family, _, _] = fixed;
    match version_and_command & 0xf {
        0 => return Ok(Proxied::Itself),
        1 => {}
        _ => return Err(ProxyError::Unsupported),
    }
    match family {
        // AF_UNSPEC, and a UNIX socket: nothing that we could know a client by.
        0x00 | 0x31 => Ok(Proxied::Itself),
        0x11 => {
            let (addresses, _) = rest.split_first_chunk::<12>().ok_or(ProxyError::Malformed)?;
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *addresses;
            let (client, local) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
            let (client_port, local_port) = (u16::from_be_bytes([i, j]), u16::from_be_bytes([k, l]));
            Ok(Proxied::For { client: (client, client_port).into(), local: (local, local_port).into() })
        }
        0x21 => {
            let (client, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Malformed)?;
            let (local, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Malformed)?;
            let (ports, _) = rest.split_first_chunk::<4>().ok_or(ProxyError::Malformed)?;
            let [i, j, k, l] = *ports;
            let (client, local) = (Ipv6Addr::from(*client), Ipv6Addr::from(*local));
            let (client_port, local_port) = (u16::from_be_bytes([i, j]), u16::from_be_bytes([k, l]));
            Ok(Proxied::For { client: (client, client_port).into(), local: (local, local_port).into() })
        }
        _ => Err(ProxyError::Unsupported),
    }
}

#[cfg(test)]
mod tests;
